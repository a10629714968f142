/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The echo server that has nothing between it and the kernel: one thread, one epoll set, a read and a write a message.
 */
#include <sys/epoll.h>

#include "echo-epoll.h"
#include "echo-server.h"

enum { N_EVENTS = 512 };

static int      epoll_fd;
static uint32_t connection_events;

static void
watch (int fd, uint32_t events)
{
  struct epoll_event event = { .events = events, .data.fd = fd };

  if (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
    {
      perror ("epoll_ctl");
      exit (EXIT_FAILURE);
    }
}

static void
accept_all (int listener)
{
  int fd;

  while ((fd = echo_accept (listener)) >= 0)
    watch (fd, connection_events);
}

static void
echo (int fd)
{
  char buffer[ECHO_BUFFER_SIZE];
  ssize_t n = recv (fd, buffer, sizeof buffer, 0);

  if (n > 0)
    n = send (fd, buffer, (size_t) n, MSG_NOSIGNAL);
  if (n == 0 || (n < 0 && errno != EAGAIN))
    close (fd);
}

void
echo_epoll_serve (uint32_t trigger)
{
  struct epoll_event events[N_EVENTS];
  int listener;

  connection_events = EPOLLIN | trigger;
  epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  listener = echo_listen ();
  watch (listener, EPOLLIN);
  watch (STDIN_FILENO, EPOLLIN);

  for (;;)
    {
      const int n = epoll_wait (epoll_fd, events, N_EVENTS, -1);

      for (int i = 0; i < n; i++)
        if (events[i].data.fd == listener)
          accept_all (listener);
        else if (events[i].data.fd == STDIN_FILENO)
          return;
        else
          echo (events[i].data.fd);
    }
}
