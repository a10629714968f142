/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the echo servers in C and C++ share. A server listens on a free port of 127.0.0.1, prints it on a line, and
 * serves until its standard input ends.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum
{
  ECHO_SIZE        = 64,
  ECHO_BUFFER_SIZE = 1024,   /* longer than a message, so that a short read tells that nothing is left */
  ECHO_BACKLOG     = 4096
};

static inline void
echo_raise_descriptor_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0)
    {
      limit.rlim_cur = limit.rlim_max;
      setrlimit (RLIMIT_NOFILE, &limit);
    }
}

/* Returns: a listening socket that does not block, its port printed. */
static inline int
echo_listen (void)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl (INADDR_LOOPBACK) } };
  socklen_t length = sizeof address;
  const int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  echo_raise_descriptor_limit ();
  if (fd < 0 || bind (fd, (struct sockaddr *) &address, sizeof address) < 0 || listen (fd, ECHO_BACKLOG) < 0 ||
      getsockname (fd, (struct sockaddr *) &address, &length) < 0)
    {
      perror ("listen");
      exit (EXIT_FAILURE);
    }
  printf ("%d\n", ntohs (address.sin_port));
  fflush (stdout);
  return fd;
}

/* Returns: a connection, or -1 when there is none now. */
static inline int
echo_accept (int listener)
{
  const int fd = accept4 (listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  const int one = 1;

  if (fd >= 0)
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}
