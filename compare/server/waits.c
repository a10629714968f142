/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "server/waits.h"

#include <errno.h>
#include <gio/gio.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct _Waits
{
  GSequence *order; /* Of Wait, borrowed; equal deadlines stay in the order they came. */
  int        fd;
  gint64     armed; /* What the timerfd is set to; G_MAXINT64 when it is not. */
};

static gint
compare_deadlines (gconstpointer a, gconstpointer b, gpointer data)
{
  gint64 left = ((const Wait *) a)->deadline;
  gint64 right = ((const Wait *) b)->deadline;

  return (left > right) - (left < right);
}

Waits *
waits_new (GError **error)
{
  int fd = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  Waits *self;

  if (fd < 0)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "No timer: %s",
                   g_strerror (errno));
      return NULL;
    }

  self = g_new0 (Waits, 1);
  self->order = g_sequence_new (NULL);
  self->fd = fd;
  self->armed = G_MAXINT64;

  return self;
}

void
waits_free (Waits *self)
{
  g_sequence_free (self->order);
  close (self->fd);
  g_free (self);
}

int
waits_get_fd (Waits *self)
{
  return self->fd;
}

/* G_MAXINT64 is never due. */
void
waits_add (Waits *self, Wait *wait, gint64 deadline)
{
  g_assert (wait->place == NULL);

  wait->deadline = deadline;
  wait->place = g_sequence_insert_sorted (self->order, wait, compare_deadlines, NULL);
}

void
waits_remove (Waits *self, Wait *wait)
{
  g_sequence_remove (wait->place);
  wait->place = NULL;
}

static Wait *
peek (Waits *self)
{
  GSequenceIter *first = g_sequence_get_begin_iter (self->order);

  return g_sequence_iter_is_end (first) ? NULL : g_sequence_get (first);
}

/* Takes out the earliest, due or not; NULL when none waits. */
Wait *
waits_pop (Waits *self)
{
  Wait *wait = peek (self);

  if (wait != NULL)
    waits_remove (self, wait);
  return wait;
}

/* Takes out the earliest that is due; NULL when none is. */
Wait *
waits_pop_due (Waits *self, gint64 now)
{
  Wait *wait = peek (self);

  return wait != NULL && wait->deadline <= now ? waits_pop (self) : NULL;
}

/*
 * Sets the timerfd to the earliest deadline; called before each poll.  A deadline that has passed
 * makes it readable at once, and setting it again is what makes it unreadable: it is never read.
 */
void
waits_arm (Waits *self)
{
  Wait *first = peek (self);
  gint64 deadline = first != NULL ? first->deadline : G_MAXINT64;
  struct itimerspec at = { 0 };

  if (deadline == self->armed)
    return;

  if (deadline != G_MAXINT64)
    {
      at.it_value.tv_sec = deadline / G_USEC_PER_SEC;
      at.it_value.tv_nsec = deadline % G_USEC_PER_SEC * 1000;
    }
  timerfd_settime (self->fd, TFD_TIMER_ABSTIME, &at, NULL);
  self->armed = deadline;
}
