/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A task's wait for something that is no future, on a loop: a descriptor's readiness, say. It costs no more than the
 * two switches.
 *
 * A pause is where one task at a time waits; it belongs to whoever has what is waited for, who ends it. A time and a
 * cancel of the task end it too, whichever comes first. All of that happens on the loop's own thread. A task that goes
 * on looks for itself whether what it waited for has come. */

#pragma once

#include "exec/scheduler-private.h"

/* Filled with zeros it is ready for use. */
struct _MorrowPause
{
  MorrowTask *task;       /* the one that waits, borrowed; NULL when none does, or when it has been told to go on */
  gboolean    timed_out;
};

/* The two ways of morrow__pause (): with a deadline, and without. */
gboolean morrow__pause_until (MorrowPause *self, MorrowTask *task, MorrowLoop *loop, gint64 deadline, GError **error);

static inline gboolean
morrow__pause_park (MorrowPause *self, MorrowTask *task, GError **error)
{
  gboolean parked;

  self->task = task;
  task->pause = self;
  task->paused = TRUE;
  parked = morrow__task_park (task, morrow__home, NULL, error);
  task->paused = FALSE;
  task->pause = NULL;
  return morrow__likely (parked) && !morrow__task_fail_cancelled (task, error);
}

/* In a task on a loop: waits until morrow__pause_end () is called, or @deadline (G_MAXINT64 for none). Returns: FALSE
 * with %G_IO_ERROR_TIMED_OUT, or with the cancel. Inline, as all of the way to the switch: each function on it has a frame, which is
 * in no cache when the task goes on, and a return that is mispredicted then. */
static inline gboolean
morrow__pause (MorrowPause *self, gint64 deadline, GError **error)
{
  MorrowLoop *loop = morrow__loop_here ();
  MorrowTask *task = loop->home.current;

  if (morrow__task_fail_cancelled (task, error))
    return FALSE;
  if (morrow__seldom (deadline != G_MAXINT64))
    return morrow__pause_until (self, task, loop, deadline, error);
  return morrow__pause_park (self, task, error);
}
