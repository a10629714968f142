/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An eventfd: signalling adds one to its counter, acknowledging reads the counter, which sets it to
 * zero.  Not blocking: a counter at its end (after 2^64 - 2 signals) is readable all the same, and
 * that is all a signal has to achieve. */

#include "base/wakeup-private.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static gint
open_eventfd (void)
{
  return eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
}

gboolean
morrow__wakeup_init (MorrowWakeup  *wakeup,
                     GError       **error)
{
  wakeup->fd = open_eventfd ();
  if (wakeup->fd < 0)
    {
      int saved_errno = errno;

      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno),
                   "Could not create an eventfd: %s", g_strerror (saved_errno));
      return FALSE;
    }
  return TRUE;
}

void
morrow__wakeup_clear (MorrowWakeup *wakeup)
{
  if (wakeup->fd >= 0)
    close (wakeup->fd);
  wakeup->fd = -1;
}

void
morrow__wakeup_part (MorrowWakeup *wakeup)
{
  morrow__wakeup_clear (wakeup);
  wakeup->fd = open_eventfd ();
}

gint
morrow__wakeup_fd (MorrowWakeup *wakeup)
{
  return wakeup->fd;
}

void
morrow__wakeup_signal (MorrowWakeup *wakeup)
{
  const guint64 one = 1;
  int saved_errno = errno;
  gssize n_written;

  do
    n_written = write (wakeup->fd, &one, sizeof one);
  while (n_written < 0 && errno == EINTR);
  errno = saved_errno;
}

gboolean
morrow__wakeup_acknowledge (MorrowWakeup *wakeup)
{
  guint64 n_signals;
  gssize n_read;

  do
    n_read = read (wakeup->fd, &n_signals, sizeof n_signals);
  while (n_read < 0 && errno == EINTR);
  return n_read == sizeof n_signals;
}
