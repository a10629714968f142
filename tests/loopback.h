/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports of 127.0.0.1.  A port that was listened on and closed is anybody's: another process may listen there
 * by the time that a test expects to be refused.  One that is bound and not listened on refuses whoever
 * connects, and is given to nobody else.
 */
#pragma once

#include <check.h>
#include <glib.h>
#include <netinet/in.h>
#include <sys/socket.h>

/*
 * The port is reserved as long as the descriptor is open.  Who asks for it by number, and reuses addresses, may
 * listen on it all the same: a server that a test starts there, and whose port refuses once it has ended.
 */
static inline int
reserve_port (guint *ret_port)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t len = sizeof address;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int yes = 1;

  ck_assert_int_eq (setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
  ck_assert_int_eq (bind (fd, (struct sockaddr *) &address, sizeof address), 0);
  ck_assert_int_eq (getsockname (fd, (struct sockaddr *) &address, &len), 0);
  *ret_port = ntohs (address.sin_port);
  return fd;
}

/* With room for so many that nobody has accepted. */
static inline int
listen_on_port (int backlog, guint *ret_port)
{
  int fd = reserve_port (ret_port);

  ck_assert_int_eq (listen (fd, backlog), 0);
  return fd;
}
