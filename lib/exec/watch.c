/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Callbacks on descriptors and on time, for those who bring another event-driven library to a loop. */

#include "config.h"

#include <errno.h>
#include <sys/epoll.h>

#include "exec/loop-private.h"

/* --- descriptors -------------------------------------------------------------------------------------------------- */

struct _MorrowFdWatch
{
  MorrowPollable pollable;
  MorrowLoop    *loop;       /* borrowed: watches go before their loop */
  int            fd;
  GIOCondition   condition;
  MorrowFdFunc   func;
  gpointer       data;
};

static guint32
epoll_events (GIOCondition condition)
{
  return (condition & G_IO_IN ? EPOLLIN : 0) | (condition & G_IO_OUT ? EPOLLOUT : 0) | (condition & G_IO_PRI ? EPOLLPRI : 0);
}

static GIOCondition
io_condition (guint32 events)
{
  return (events & EPOLLIN ? G_IO_IN : 0) | (events & EPOLLOUT ? G_IO_OUT : 0) | (events & EPOLLPRI ? G_IO_PRI : 0) |
         (events & EPOLLERR ? G_IO_ERR : 0) | (events & EPOLLHUP ? G_IO_HUP : 0);
}

void
morrow__watch_ready (MorrowPollable *pollable, guint32 events)
{
  MorrowFdWatch *self = morrow__container_of (pollable, MorrowFdWatch, pollable);
  /* It may have been changed since the event was taken from the system. */
  GIOCondition condition = io_condition (events) & (self->condition | G_IO_ERR | G_IO_HUP);

  if (condition != 0)
    self->func (self->fd, condition, self->data);
}

/**
 * morrow_fd_watch_new: (skip)
 * @loop: the loop, on whose thread this is called
 * @fd: a descriptor that epoll can watch; it stays the caller's, and must stay open as long as the watch lives
 * @condition: what to watch for; errors and hang-ups always are
 * @func: (scope notified) (closure data): what to call, as often as the descriptor is ready
 * @data: (nullable): passed to @func
 *
 * Watches a descriptor, for those who bring another event-driven library to a loop. A descriptor has one watch at
 * most.
 *
 * Returns: (transfer full) (nullable): a watch; %NULL with `errno` set when the system refuses
 */
MorrowFdWatch *
morrow_fd_watch_new (MorrowLoop *loop, int fd, GIOCondition condition, MorrowFdFunc func, gpointer data)
{
  MorrowFdWatch *self;

  g_return_val_if_fail (MORROW_IS_LOOP (loop), NULL);
  g_return_val_if_fail (fd >= 0 && func != NULL, NULL);

  self = g_new (MorrowFdWatch, 1);
  *self = (MorrowFdWatch) { .pollable.ready = morrow__watch_ready, .loop = loop, .fd = fd, .condition = condition, .func = func, .data = data };
  if (morrow__reactor_control (loop, EPOLL_CTL_ADD, fd, epoll_events (condition), &self->pollable))
    return self;

  g_free (self);
  return NULL;
}

/**
 * morrow_fd_watch_set_condition: (skip)
 * @self: a watch
 * @condition: what to watch for from now on
 *
 * Changes what is watched for; nothing but errors and hang-ups, for 0.
 */
void
morrow_fd_watch_set_condition (MorrowFdWatch *self, GIOCondition condition)
{
  g_return_if_fail (self != NULL);

  if (self->condition == condition)
    return;

  self->condition = condition;
  if (!morrow__reactor_control (self->loop, EPOLL_CTL_MOD, self->fd, epoll_events (condition), &self->pollable))
    g_warning ("A descriptor that is watched (%d) cannot be: %s", self->fd, g_strerror (errno));
}

/**
 * morrow_fd_watch_free: (skip)
 * @self: (transfer full): a watch
 *
 * Ends a watch: its function is not called any more. May be called inside any callback.
 */
void
morrow_fd_watch_free (MorrowFdWatch *self)
{
  g_return_if_fail (self != NULL);

  /* When the caller has closed the descriptor already, the kernel has forgotten it. */
  morrow__reactor_control (self->loop, EPOLL_CTL_DEL, self->fd, 0, NULL);
  morrow__reactor_forget (self->loop, &self->pollable);
  g_free (self);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

struct _MorrowTimeout
{
  MorrowAlarm    alarm;
  MorrowLoop    *loop;  /* borrowed */
  MorrowWorkFunc func;
  gpointer       data;
};

static void
timeout_fire (MorrowAlarm *alarm)
{
  MorrowTimeout *self = (MorrowTimeout *) alarm;

  /* Relaxed: written by this thread, or by none that runs any more. */
  if (!atomic_load_explicit (&self->loop->closed, memory_order_relaxed))
    self->func (self->data);
}

/**
 * morrow_timeout_new: (skip)
 * @loop: the loop, on whose thread this is called
 * @func: (scope notified) (closure data): what to call when the time has come
 * @data: (nullable): passed to @func
 *
 * Makes a time-out that is not set, for those who bring another event-driven library to a loop.
 *
 * Returns: (transfer full): a time-out
 */
MorrowTimeout *
morrow_timeout_new (MorrowLoop *loop, MorrowWorkFunc func, gpointer data)
{
  MorrowTimeout *self;

  g_return_val_if_fail (MORROW_IS_LOOP (loop) && func != NULL, NULL);

  self = g_new0 (MorrowTimeout, 1);
  self->alarm.fire = timeout_fire;
  self->loop = loop;
  self->func = func;
  self->data = data;
  return self;
}

/**
 * morrow_timeout_set: (skip)
 * @self: a time-out
 * @deadline: when, in microseconds of the monotonic clock
 *
 * Sets it, once, in place of what it was set to before. A time that has passed is due on the loop's next turn, never
 * inside this call.
 */
void
morrow_timeout_set (MorrowTimeout *self, gint64 deadline)
{
  g_return_if_fail (self != NULL);

  /* What fires now is what was due at the last poll: one that always sets itself in the past is not due in the same turn. */
  morrow__alarm_set (self->loop, &self->alarm, MAX (deadline, self->loop->last_poll + 1));
}

/**
 * morrow_timeout_unset: (skip)
 * @self: a time-out
 *
 * Unsets it, whether it was set or not.
 */
void
morrow_timeout_unset (MorrowTimeout *self)
{
  g_return_if_fail (self != NULL);

  morrow__alarm_unset (self->loop, &self->alarm);
}

/**
 * morrow_timeout_free: (skip)
 * @self: (transfer full): a time-out
 *
 * Unsets and frees it. May be called inside its own function.
 */
void
morrow_timeout_free (MorrowTimeout *self)
{
  g_return_if_fail (self != NULL);

  morrow__alarm_unset (self->loop, &self->alarm);
  g_free (self);
}
