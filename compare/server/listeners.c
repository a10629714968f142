/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "server/listeners.h"

#include <errno.h>
#include <gio/gio.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_LISTENERS 16

static int
get_queue_limit (void)
{
  g_autofree char *text = NULL;

  if (!g_file_get_contents ("/proc/sys/net/core/somaxconn", &text, NULL, NULL))
    return SOMAXCONN;
  return MAX (atoi (text), 1);
}

static gboolean
set_option (int fd, int option)
{
  int yes = 1;

  return setsockopt (fd, SOL_SOCKET, option, &yes, sizeof yes) == 0;
}

/*
 * A socket on 127.0.0.1 and *@port, which is set to the one that it got; -1 with errno set.  The
 * first is bound before it says that it shares, so that it fails where anybody else listens.
 */
static int
open_listener (guint16 *port, gboolean first)
{
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_port = htons (*port),
                                 .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t size = sizeof address;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  if (fd >= 0 && set_option (fd, SO_REUSEADDR) && (first || set_option (fd, SO_REUSEPORT))
      && bind (fd, (struct sockaddr *) &address, sizeof address) == 0
      && set_option (fd, SO_REUSEPORT) && listen (fd, LISTEN_TOTAL) == 0
      && getsockname (fd, (struct sockaddr *) &address, &size) == 0)
    {
      *port = ntohs (address.sin_port);
      return fd;
    }

  if (fd >= 0)
    {
      int saved_errno = errno;

      close (fd);
      errno = saved_errno;
    }
  return -1;
}

/* Of int; NULL with @error. */
GArray *
listeners_open (guint16 port, guint16 *real_port, GError **error)
{
  GArray *listeners = g_array_new (FALSE, FALSE, sizeof (int));
  int limit = get_queue_limit ();
  int n = CLAMP ((LISTEN_TOTAL + limit - 1) / limit, 1, MAX_LISTENERS);

  *real_port = port;
  for (int i = 0; i < n; i++)
    {
      int fd = open_listener (real_port, i == 0);

      if (fd < 0)
        {
          g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                       "Cannot listen on 127.0.0.1, port %d: %s", port, g_strerror (errno));
          listeners_close (listeners);
          return NULL;
        }
      g_array_append_val (listeners, fd);
    }

  return listeners;
}

void
listeners_close (GArray *listeners)
{
  for (guint i = 0; i < listeners->len; i++)
    close (g_array_index (listeners, int, i));
  g_array_unref (listeners);
}
