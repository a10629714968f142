/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A task's wait for something that is no future, on a loop: a descriptor's readiness, say. It costs no more than the
 * two switches.
 *
 * A pause is where one task at a time waits; it belongs to whoever has what is waited for, who ends it. A time and a
 * cancel of the task end it too, whichever comes first. All of that happens on the loop's own thread. A task that goes
 * on looks for itself whether what it waited for has come, even where the time has run out. */

#pragma once

#include "exec/scheduler-private.h"

struct _MorrowPause
{
  MorrowTask    *task;    /* the one that waits, borrowed; NULL when none does, or when it has been told to go on */
  gconstpointer  owner;   /* immutable: where a task that goes on will look first. It is prefetched and never read through: it may be
                             gone, or NULL */
};

/* The rare ways of morrow__pause (): with a deadline, and on a stack that has relayed calls. */
gboolean morrow__pause_until   (MorrowPause *self, MorrowTask *task, MorrowLoop *loop, gint64 deadline, GError **error);
gboolean morrow__pause_relayed (MorrowPause *self, gint64 deadline, GError **error);

/* The task whose job is at @node, if that is to go on from a pause; else NULL. */
static inline __attribute__ ((always_inline)) MorrowTask *
morrow__pause_task_at (MorrowQueueNode *node)
{
  MorrowJob *job = (MorrowJob *) node;

  if (node == NULL || job->run != morrow__loop_resume_run || !morrow__task_of_job (job)->paused)
    return NULL;
  return morrow__task_of_job (job);
}

/* A task is about to wait, and the one at @next, or NULL, to go on. What a poll has woken was brought to the caches at once
 * (morrow__loop_warm ()); but each task calls the kernel, which drives out of them what the later ones will touch. So it is asked
 * for again, one step of the way further for each task that is nearer: of the fourth of the queue its stack's end, of the third
 * the frames and the pause, of the second who owns that. Always inline: gcc leaves out calls of a function that has no other effect. */
static inline __attribute__ ((always_inline)) void
morrow__pause_prefetch_behind (MorrowQueueNode *next)
{
  MorrowQueueNode *second = next != NULL ? next->next : NULL;
  MorrowQueueNode *third = second != NULL ? second->next : NULL;
  MorrowQueueNode *fourth = third != NULL ? third->next : NULL;
  MorrowTask *task;

  if ((task = morrow__pause_task_at (second)) != NULL)
    {
      const MorrowPause *pause = task->wait->awaited;

      __builtin_prefetch (pause->owner);
    }
  if ((task = morrow__pause_task_at (third)) != NULL)
    {
      morrow__fiber_prefetch_frames (morrow__task_get_fiber (task));
      __builtin_prefetch (task->wait->awaited);
    }
  if ((task = morrow__pause_task_at (fourth)) != NULL)
    {
      morrow__fiber_prefetch (morrow__task_get_fiber (task));
      __builtin_prefetch (fourth->next);
    }
}

static inline gboolean
morrow__pause_park (MorrowPause *self, MorrowTask *task, MorrowLoop *loop, GError **error)
{
  gboolean parked;

  morrow__pause_prefetch_behind (loop->ready.head);
  self->task = task;
  task->wait->awaited = self;
  task->paused = TRUE;
  parked = morrow__task_park (task, morrow__home, NULL, error);
  task->paused = FALSE;
  task->wait->awaited = NULL;
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

  if (morrow__unlikely (morrow__relay_is_nested ()))
    return morrow__pause_relayed (self, deadline, error);
  if (morrow__task_fail_cancelled (task, error))
    return FALSE;
  if (morrow__seldom (deadline != G_MAXINT64))
    return morrow__pause_until (self, task, loop, deadline, error);
  return morrow__pause_park (self, task, loop, error);
}
