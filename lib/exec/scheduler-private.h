/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting in a task, to the switch and back: inline in the functions that wait, since the choice of what runs next and the
 * switch are all that a wait costs. What else a loop's jobs are is in scheduler.c. */

#pragma once

#include "core/relay-private.h"
#include "exec/loop-private.h"

/* Where the processor goes when a task waits. */
typedef struct
{
  MorrowFiber *fiber;
  MorrowJob   *job;     /* what the loop's own stack, if it is that, is to run first; NULL for what there is. Else it means nothing */
} MorrowNext;

/* What the job of a task that is to go on is known by; never called. */
void         morrow__loop_resume_run    (MorrowJob *job, gboolean closed);

#ifdef MORROW_ENABLE_DEBUG
void         morrow__loop_check_context (MorrowLoop *self, MorrowTask *task);
#endif
MorrowJob   *morrow__loop_pop_out_of_order (MorrowLoop *self);
MorrowNext   morrow__loop_next_on_new   (MorrowLoop *self, MorrowTask *task);

static inline MorrowLoop *
morrow__loop_of_home (MorrowHome *home)
{
  return morrow__container_of (home, MorrowLoop, home);
}

static inline MorrowJob *
morrow__loop_pop_ready (MorrowLoop *self)
{
  MorrowQueueNode *node = morrow__queue_pop (&self->ready);

  return node != NULL ? morrow__queue_entry (node, MorrowJob, node) : NULL;
}

/* The next job that there is fuel for. */
static inline MorrowJob *
morrow__loop_next_job (MorrowLoop *self)
{
  if (self->tick == self->out_of_fuel)
    return NULL;

  self->tick++;
  return morrow__usually (self->in_order) ? morrow__loop_pop_ready (self) : morrow__loop_pop_out_of_order (self);
}

/* The stack of a task that goes on. */
static inline MorrowFiber *
morrow__loop_resume_task (MorrowLoop *self, MorrowJob *job)
{
  self->home.current = morrow__task_of_job (job);
  return morrow__task_get_fiber (self->home.current);
}

/* @next takes over from @task. Where hundreds do so one after the other, a stack is in no first cache, nor its page in the first table of
 * translations: that of the one after @next is asked for now. Not where there are two, which have theirs at hand.
 * Always inline, as what it calls. */
static inline __attribute__ ((always_inline)) void
morrow__loop_prefetch_after (MorrowTask *task, MorrowJob *next)
{
  MorrowJob *after = (MorrowJob *) next->node.next;

  if (after != NULL && after != &task->job && after->run == morrow__loop_resume_run)
    {
      __builtin_prefetch (after->node.next);   /* NULL does no harm once at the end of a queue */
      morrow__fiber_prefetch (morrow__task_get_fiber (morrow__task_of_job (after)));
    }
}

/* Gives a task that has not started a spare stack, which is to be switched to. NULL when there is none. */
static inline MorrowFiber *
morrow__loop_start_on_spare (MorrowLoop *self, MorrowTask *task)
{
  if (morrow__seldom (!morrow__task_is_of_usual_size (task) || self->n_spares == 0))
    return NULL;

  self->home.current = task;
  return self->spares[--self->n_spares];
}

/* A task waits: the loop's own stack, which is to run @job, or NULL for what there is. */
static inline MorrowNext
morrow__loop_next_on_own_stack (MorrowLoop *self, MorrowJob *job)
{
  self->home.current = NULL;
  return (MorrowNext) { &self->main_fiber, job };
}

/* A task waits, and what comes next is no task that goes on: @job, or NULL for nothing. Always inline: a call and its return would take
 * as long as a quarter of a switch. */
static inline __attribute__ ((always_inline)) MorrowNext
morrow__loop_next_other (MorrowLoop *self, MorrowJob *job)
{
  MorrowFiber *fiber;

  if (job == NULL || job->run != morrow__loop_start_run)
    return morrow__loop_next_on_own_stack (self, job);

  fiber = morrow__loop_start_on_spare (self, morrow__task_of_job (job));
  return morrow__usually (fiber != NULL) ? (MorrowNext) { fiber, job } : morrow__loop_next_on_new (self, morrow__task_of_job (job));
}

/* @task waits: what runs instead. Its own when it has been woken already. */
static inline MorrowNext
morrow__loop_next (MorrowLoop *self, MorrowTask *task)
{
  MorrowJob *job;

#ifdef MORROW_ENABLE_DEBUG
  morrow__loop_check_context (self, task);
#endif
  job = morrow__loop_next_job (self);
  if (morrow__usually (job != NULL && job->run == morrow__loop_resume_run))
    {
      morrow__loop_prefetch_after (task, job);
      return (MorrowNext) { morrow__loop_resume_task (self, job), job };
    }

  return morrow__loop_next_other (self, job);
}

/* @task is to go on, after what is ready already. */
static inline void
morrow__loop_queue_task (MorrowLoop *self, MorrowTask *task)
{
  task->job.run = morrow__loop_resume_run;
  morrow__queue_push (&self->ready, &task->job.node);
}

/* From any thread: @self, which is parked or about to park, goes on. */
static inline void
morrow__task_wake (MorrowTask *self)
{
  MorrowHome *home = self->home, *here = morrow__home, *same = morrow__apart (here);

  if (morrow__usually (home == here && morrow__home_is_loop (same)))
    morrow__loop_queue_task (morrow__loop_of_home (same), self);
  else
    home->klass->wake (home, self);
}

/* In @task, which is about to wait for what @job settles: whether that is the next to run, without a look at anything else first, and may do
 * so on the task's stack. Not on special loops, whose callbacks are counted, or have the stack of an application's main loop. */
static inline gboolean
morrow__loop_may_call_in_place (MorrowLoop *self, MorrowTask *task, MorrowJob *job)
{
  return self->ready.head == &job->node && !self->is_special && self->tick != self->out_of_fuel && !morrow__relay_is_nested () &&
         !(atomic_load_explicit (&task->cancel, memory_order_relaxed) & (MORROW__CANCEL_PENDING | MORROW__CANCEL_STICKY)) &&
         morrow__fiber_may_stand_in (morrow__task_get_fiber (task), &self->main_fiber);
}

/* In @self: what comes next runs, and this returns when @self goes on. errno is kept first, since what comes next may need a new
 * stack. To ask the C library where errno is would cost an eighth of it. */
static inline __attribute__ ((always_inline)) void
morrow__task_give_way (MorrowTask *self, MorrowHome *home, gboolean is_prepared)
{
  int saved_errno = *home->errno_at;
  MorrowFiber *fiber = morrow__task_get_fiber (self);
  MorrowNext next = morrow__loop_next (morrow__loop_of_home (home), self);

  if (next.fiber != fiber && is_prepared)
    morrow__fiber_switch_prepared (fiber, next.fiber, next.job);
  else if (next.fiber != fiber)
    morrow__fiber_switch (fiber, next.fiber, next.job);
  *home->errno_at = saved_errno;
}

/* In @self, whose stack has no relayed calls, or has left them: waits until wake () was called for it. FALSE and an error when that can
 * never be. */
static inline __attribute__ ((always_inline)) gboolean
morrow__task_park (MorrowTask *self, MorrowHome *home, MorrowFuture *awaited, GError **error)
{
  if (morrow__seldom (!morrow__home_is_loop (home)))
    return home->klass->park (home, self, awaited, error);

  morrow__task_give_way (self, home, FALSE);
  return TRUE;
}

/* In @self, likewise: lets the other ready tasks run. The switch is nearly all of it, and begins at once: that takes 0.91 of the time. A wait would
 * gain nothing by it. */
static inline __attribute__ ((always_inline)) void
morrow__task_yield (MorrowTask *self, MorrowHome *home)
{
  if (morrow__seldom (!morrow__home_is_loop (home)))
    {
      home->klass->yield (home, self);
      return;
    }

  morrow__fiber_prepare_switch (morrow__task_get_fiber (self));
  morrow__loop_queue_task (morrow__loop_of_home (home), self);
  morrow__task_give_way (self, home, TRUE);
}
