/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the test server can do, so that a comparison can tell its own limit from the server's.
 *
 * A bare epoll client opens all connections at once and asks each for one delayed answer: nothing
 * that a library under comparison does can be faster.  What it takes beyond the delays is the
 * server's, the kernel's and this client's together; the server's own part is its CPU time, which
 * the kernel counts for it.
 */

#include "config.h"

#include "server/launch.h"

#include <errno.h>
#include <gio/gio.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS 256

typedef struct
{
  int      fd;
  int      n_answers;  /* So far. */
  gboolean asked;      /* An answer is due. */
  gint64   began;      /* When it was asked, or the connection begun. */
} Client;

typedef struct
{
  int    n;               /* Connections. */
  int    n_requests;      /* On each. */
  int    delay;           /* Milliseconds. */
  int    bytes;
  int    n_ok;            /* Answers. */
  int    n_early;         /* Answers that came before the delay was over. */
  int    n_failed;        /* Connections. */
  int    n_done;          /* Connections, failed or not. */
  double wall;            /* Seconds, from the first connect to the last answer. */
  double server_cpu;      /* Seconds. */
  double client_cpu;
} Run;

static double
get_cpu_time (clockid_t clock)
{
  struct timespec time = { 0 };

  clock_gettime (clock, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static gboolean
connect_client (Client *client, guint16 port, int poll_fd)
{
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_port = htons (port),
                                 .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client };

  client->began = g_get_monotonic_time ();
  client->fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return client->fd >= 0
         && (connect (client->fd, (struct sockaddr *) &address, sizeof address) == 0
             || errno == EINPROGRESS)
         && epoll_ctl (poll_fd, EPOLL_CTL_ADD, client->fd, &event) == 0;
}

static void
ask (Run *run, Client *client)
{
  char request[128];
  int length = snprintf (request, sizeof request,
                         "GET /delay/%d/%d HTTP/1.1\r\nHost: localhost\r\n\r\n", run->delay,
                         run->bytes);

  client->asked = write (client->fd, request, length) == length;
}

/* A reset leaves no TIME_WAIT behind, of which ten thousand would slow the next connects down. */
static void
finish (Run *run, Client *client, gboolean ok)
{
  const struct linger at_once = { .l_onoff = 1 };

  run->n_done++;
  run->n_failed += !ok;
  setsockopt (client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close (client->fd);
}

/* The answers are short: each comes in one piece. */
static void
count_answer (Run *run, Client *client)
{
  gint64 now = g_get_monotonic_time ();

  run->n_ok++;
  run->n_early += now - client->began < run->delay * G_GINT64_CONSTANT (1000);
  client->began = now;
  if (++client->n_answers < run->n_requests)
    ask (run, client);
  else
    finish (run, client, TRUE);
}

static void
handle_event (Run *run, const struct epoll_event *event)
{
  Client *client = event->data.ptr;
  char answer[4096];
  ssize_t n;

  if (event->events & (EPOLLERR | EPOLLHUP))
    {
      finish (run, client, FALSE);
      return;
    }

  if (!client->asked && (event->events & EPOLLOUT) != 0)
    ask (run, client);
  if ((event->events & EPOLLIN) == 0)
    return;

  n = read (client->fd, answer, sizeof answer);
  if (n < 12 || memcmp (answer, "HTTP/1.1 200", 12) != 0)
    finish (run, client, FALSE);
  else
    count_answer (run, client);
}

static void
run_once (Run *run, guint16 port, clockid_t server_clock)
{
  g_autofree Client *clients = g_new0 (Client, run->n);
  struct epoll_event events[MAX_EVENTS];
  int poll_fd = epoll_create1 (EPOLL_CLOEXEC);
  gint64 began = g_get_monotonic_time ();
  double server_cpu = get_cpu_time (server_clock);
  double client_cpu = get_cpu_time (CLOCK_PROCESS_CPUTIME_ID);

  run->n_ok = run->n_failed = run->n_early = run->n_done = 0;
  for (int i = 0; i < run->n; i++)
    if (!connect_client (&clients[i], port, poll_fd))
      finish (run, &clients[i], FALSE);

  while (run->n_done < run->n)
    {
      int n = epoll_wait (poll_fd, events, MAX_EVENTS, 10000);

      if (n <= 0 && errno != EINTR)
        break;
      for (int i = 0; i < n; i++)
        handle_event (run, &events[i]);
    }

  run->wall = (double) (g_get_monotonic_time () - began) / G_USEC_PER_SEC;
  run->server_cpu = get_cpu_time (server_clock) - server_cpu;
  run->client_cpu = get_cpu_time (CLOCK_PROCESS_CPUTIME_ID) - client_cpu;
  close (poll_fd);
}

static void
print_run (const Run *run)
{
  int n = MAX (run->n_ok, 1);

  g_print ("%7d %6d %7d %6d %6d %8.3f %8.3f %10.2f %10.2f\n", run->n, run->delay, run->n_ok,
           run->n_failed, run->n_early, run->wall,
           run->wall - run->n_requests * run->delay / 1000.0, run->server_cpu * 1e6 / n,
           run->client_cpu * 1e6 / n);
}

static gboolean
calibrate (Run *run, int repeat, GError **error)
{
  g_autoptr (MorrowTestServer) server = test_server_start (NULL, error);
  gboolean good = TRUE;
  clockid_t clock;
  guint16 port;

  if (server == NULL)
    return FALSE;

  port = (guint16) atoi (strrchr (test_server_get_url (server), ':') + 1);
  clock_getcpuclockid (test_server_get_pid (server), &clock);
  g_print ("%7s %6s %7s %6s %6s %8s %8s %10s %10s\n", "at once", "ms", "ok", "failed", "early",
           "wall s", "beyond s", "server us", "client us");
  for (int i = 0; i < repeat; i++)
    {
      run_once (run, port, clock);
      print_run (run);
      good = good && run->n_ok == run->n * run->n_requests && run->n_early == 0;
    }

  if (!good)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "Some answers failed or came early");
  return good;
}

static void
raise_descriptor_limit (void)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
}

int
main (int argc, char **argv)
{
  Run run = { .n = 10000, .n_requests = 1, .delay = 100, .bytes = 100 };
  int repeat = 5;
  const GOptionEntry entries[] = {
    { "connections", 'n', 0, G_OPTION_ARG_INT, &run.n, "Open N connections at once", "N" },
    { "requests", 'q', 0, G_OPTION_ARG_INT, &run.n_requests, "Ask N times on each", "N" },
    { "delay", 'd', 0, G_OPTION_ARG_INT, &run.delay, "Ask for answers after MS milliseconds", "MS" },
    { "bytes", 'b', 0, G_OPTION_ARG_INT, &run.bytes, "... of BYTES", "BYTES" },
    { "repeat", 'r', 0, G_OPTION_ARG_INT, &repeat, "Do it N times", "N" },
    { NULL }
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- measure morrow-testserver");
  g_autoptr (GError) error = NULL;

  raise_descriptor_limit ();
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error)
      || !calibrate (&run, repeat, &error))
    {
      g_printerr ("calibrate: %s\n", error->message);
      return EXIT_FAILURE;
    }
  return EXIT_SUCCESS;
}
