/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The other sources of a loop's context, which are the user's, where the loop has its thread and the context is turned by it.
 *
 * When they watch no descriptor, which is nearly always, the only descriptor that the context itself wants to be polled is
 * the one that other threads wake it by: that is in our set, and so the loop sleeps in one system call that also brings the
 * events. Otherwise the context polls, and our source (source.c) is one among the others. */

#include "config.h"

#include "base/clock-private.h"
#include "exec/asleep-private.h"
#include "exec/main-context-private.h"
#include "exec/reactor-private.h"

/* Another thread has called the context. */
static void
context_ready (MorrowPollable *pollable, guint32 events)
{
  morrow__container_of (pollable, MorrowLoop, context_pollable)->context_called = TRUE;
}

/* The one descriptor that the context polls by itself has a place in our set, from the first time that we see it. */
static gboolean
hold_context_fd (MorrowLoop *self, int fd)
{
  if (morrow__unlikely (self->context_fd != fd))
    {
      self->context_pollable.ready = context_ready;
      if (!morrow__reactor_control (self, EPOLL_CTL_ADD, fd, EPOLLIN, &self->context_pollable))
        return FALSE;
      self->context_fd = fd;
    }
  return TRUE;
}

/* Asks the context what its other sources want; @deadline becomes sooner when they want to be served before. */
MorrowContextState
morrow__loop_ask_context (MorrowLoop *self, gint64 *deadline)
{
  GPollFD fds[2];   /* ours, and its own */
  gint priority, timeout, n;

  if (morrow__unlikely (!morrow__executor_is_ours (&self->parent_instance)))
    return MORROW_CONTEXT_QUIET;
  if (self->context_called)
    return MORROW_CONTEXT_READY;

  self->stand_aside = g_main_depth () + 1;
  g_main_context_prepare (self->context, &priority);
  n = g_main_context_query (self->context, G_MAXINT, &timeout, fds, G_N_ELEMENTS (fds));
  self->stand_aside = 0;

  if (timeout == 0)
    return MORROW_CONTEXT_READY;
  if (n != G_N_ELEMENTS (fds) || g_main_context_get_poll_func (self->context) != g_poll ||
      !hold_context_fd (self, fds[0].fd != self->epoll_fd ? fds[0].fd : fds[1].fd))
    return MORROW_CONTEXT_HAS_DESCRIPTORS;
  if (timeout > 0)
    *deadline = MIN (*deadline, morrow__clock_now () + timeout * (gint64) 1000);
  return MORROW_CONTEXT_QUIET;
}

/* A turn of the context's other sources: ours stands aside, but in a main loop that one of them runs meanwhile. */
void
morrow__loop_serve_context (MorrowLoop *self)
{
  self->context_called = FALSE;
  self->stand_aside = g_main_depth () + 1;
  g_main_context_iteration (self->context, FALSE);
  self->stand_aside = 0;
}

/* Has the context poll, when its sources watch more than our set. A turn of it in our own steps, so that the loop is awake before
 * any of them is called: for one of a higher priority than ours, ours is not asked whether it woke up. */
void
morrow__loop_poll_context (MorrowLoop *self)
{
  g_autoptr (GArray) fds = g_array_new (FALSE, FALSE, sizeof (GPollFD));
  gint64 before = self->last_poll;
  gint priority, timeout, n;
  gboolean ready;

  g_main_context_prepare (self->context, &priority);
  while ((n = g_main_context_query (self->context, priority, &timeout, (GPollFD *) fds->data, fds->len)) > (gint) fds->len)
    g_array_set_size (fds, n);
  if (timeout != 0 && self->peers->are_several && morrow__loop_come_to_rest (self))
    timeout = 0;
  g_main_context_get_poll_func (self->context) ((GPollFD *) fds->data, n, timeout);
  morrow__loop_come_awake (self);
  morrow__loop_do_own_first (self);   /* ours may be the last of those that are dispatched */
  ready = g_main_context_check (self->context, priority, (GPollFD *) fds->data, n);
  if (ready)
    g_main_context_dispatch (self->context);
  if (ready && self->last_poll == before)
    morrow__reactor_poll (self);   /* our source has had to stand back, and may have to each time */
}
