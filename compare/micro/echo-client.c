/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The load of the echo servers, the same for all of them.
 *
 *   echo-client NAME PORT SERVER-PID CONNECTIONS MESSAGES
 *   echo-client --idle PORT SERVER-PID CONNECTIONS
 *
 * Opens the connections one after another and has every thousandth answered before it goes on, so that the queue of
 * the listening socket never overflows. Then each connection sends ECHO_SIZE bytes, waits until they are back, and
 * sends again, until MESSAGES have come back. After one message each, to warm up, there are BENCH_ROUNDS of that. Prints the
 * processor time that the server took for a message, in the median round, and how long it took to open the connections. With --idle
 * it opens them, prints a line, and holds them until its standard input ends.
 */
#include <string.h>
#include <sys/epoll.h>

#include "bench.h"
#include "echo-server.h"

enum
{
  N_EVENTS     = 512,
  QUEUE_LENGTH = 1000   /* connections that the server may be behind */
};

typedef struct
{
  int    epoll_fd;
  int   *fds;
  size_t n_fds;
} Load;

static void
fail (const char *what)
{
  perror (what);
  exit (EXIT_FAILURE);
}

static void
send_message (int fd)
{
  static const char message[ECHO_SIZE];

  if (send (fd, message, sizeof message, MSG_NOSIGNAL) != sizeof message)
    fail ("send");
}

static void
receive_message (int fd)
{
  char message[ECHO_SIZE];

  if (recv (fd, message, sizeof message, MSG_WAITALL) != sizeof message)
    fail ("recv");
}

static void
open_connections (Load *load, int port)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons ((uint16_t) port),
                                 .sin_addr = { htonl (INADDR_LOOPBACK) } };
  const int one = 1;

  for (size_t i = 0; i < load->n_fds; i++)
    {
      const int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

      if (fd < 0 || connect (fd, (struct sockaddr *) &address, sizeof address) < 0)
        fail ("connect");
      setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      load->fds[i] = fd;
      if ((i + 1) % QUEUE_LENGTH == 0 || i + 1 == load->n_fds)
        {
          send_message (fd);
          receive_message (fd);
        }
    }
}

static void
watch_connections (Load *load)
{
  for (size_t i = 0; i < load->n_fds; i++)
    {
      struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.fd = load->fds[i] };

      if (epoll_ctl (load->epoll_fd, EPOLL_CTL_ADD, load->fds[i], &event) < 0)
        fail ("epoll_ctl");
    }
}

/* Every connection sends at once, then whenever it has been answered, until @n_messages have been sent and are back. */
static void
exchange (Load *load, size_t n_messages)
{
  struct epoll_event events[N_EVENTS];
  size_t n_sent = 0, n_back = 0;

  for (size_t i = 0; i < load->n_fds && n_sent < n_messages; i++, n_sent++)
    send_message (load->fds[i]);
  while (n_back < n_messages)
    {
      const int n = epoll_wait (load->epoll_fd, events, N_EVENTS, -1);

      for (int i = 0; i < n; i++)
        {
          receive_message (events[i].data.fd);
          n_back++;
          if (n_sent < n_messages)
            {
              send_message (events[i].data.fd);
              n_sent++;
            }
        }
    }
}

static clockid_t
clock_of_process (pid_t pid)
{
  clockid_t clock;

  if (clock_getcpuclockid (pid, &clock) != 0)
    fail ("clock_getcpuclockid");
  return clock;
}

static void
measure (Load *load, const char *name, clockid_t server, size_t n_messages)
{
  double us[BENCH_ROUNDS];

  watch_connections (load);
  exchange (load, load->n_fds);
  for (unsigned i = 0; i < BENCH_ROUNDS; i++)
    {
      const double start = bench_clock (server);

      exchange (load, n_messages);
      us[i] = (bench_clock (server) - start) / 1e3 / (double) n_messages;
    }
  bench_row (name, bench_median (us, BENCH_ROUNDS), "us");
  bench_row (name, (double) n_messages * BENCH_ROUNDS, "units");
}

int
main (int argc, char **argv)
{
  Load load = { .epoll_fd = epoll_create1 (EPOLL_CLOEXEC) };
  char setup_name[128];
  clockid_t server;
  double start;

  if (argc < 5)
    return EXIT_FAILURE;

  echo_raise_descriptor_limit ();
  load.n_fds = strtoul (argv[4], NULL, 10);
  load.fds = calloc (load.n_fds, sizeof load.fds[0]);
  server = clock_of_process ((pid_t) strtol (argv[3], NULL, 10));
  start = bench_now ();
  open_connections (&load, atoi (argv[2]));
  snprintf (setup_name, sizeof setup_name, "%s_setup", argv[1]);
  bench_row (setup_name, (bench_now () - start) / 1e9, "s");
  bench_row (setup_name, (double) load.n_fds, "units");

  if (strcmp (argv[1], "--idle") == 0)
    getchar ();
  else
    measure (&load, argv[1], server, strtoul (argv[5], NULL, 10));

  return EXIT_SUCCESS;
}
