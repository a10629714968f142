/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running what is ready on a loop: the queue, and the switches between fibers.
 *
 *   the loop's own stack          fibers
 *   --------------------          -----------------------------------------------------------------
 *   run_portion ():  pops a job > start: a task gets a stack         \
 *        ^                        resume: a parked task goes on       > runs until it parks or ends,
 *        |                        call: a callback, on this stack    /  then switches to the next ready task directly,
 *        '------------------------------------------------------------  or back here: out of fuel, nothing ready, or a callback is next
 *
 * A task that parks switches to the next that is ready without passing through the loop's own stack: a switch is what
 * a yield costs. Fuel bounds how many jobs run before the loop looks at descriptors and timers again.
 *
 * A fiber is a loop over tasks: when one ends, and the next job is a task that has not started, that runs on the same
 * stack. With nothing to run, it becomes a spare, to be taken by the next task that starts.
 *
 * A callback is called by the loop's own stack, but for one that is next when a task awaits it: that one calls it in place (await.c).
 * It is no task's all the same, and may turn the loop's context: then that stack is the loop's own meanwhile (source.c). */

#include "config.h"

#include <morrow/error.h>

#include "exec/bundle-private.h"
#include "exec/loop-pool-private.h"
#include "exec/scheduler-private.h"
#include "exec/task-run-private.h"

/* --- what comes next --------------------------------------------------------------------------------------------- */

static G_GNUC_NO_INLINE MorrowTask *
take_oldest (MorrowLoop *self)
{
  self->has_looked = FALSE;
  return morrow__deque_steal (&self->deque);
}

/* On a pool, what is ready goes before what has not started, and of that the newest goes first, which keeps few alive. So that nothing
 * starves, every 64th job is one that has not started, and the oldest if there has been a look at descriptors and timers since the
 * last: each grows a tree of its own over those that are under way, so that cheap tasks, of which there are thousands between two
 * looks, would be alive by the hundred otherwise. Where jobs are dear 64 of them are a long time, and every 8th is one that has not
 * started. */
static MorrowJob *
pop_of_pool (MorrowLoop *self)
{
  gboolean is_64th = (self->tick & 63) == 0, is_dear = self->batch < MORROW_LOOP_BATCH;
  MorrowJob *job = is_64th || (is_dear && (self->tick & 7) == 0) ? NULL : morrow__loop_pop_ready (self);
  MorrowTask *task;

  if (job != NULL)
    return job;

  task = is_64th && self->has_looked ? take_oldest (self) : morrow__deque_pop (&self->deque);
  return task != NULL ? &task->job : morrow__loop_pop_ready (self);
}

/* A task on whose stack a callback in place turns the loop's context cannot go on before that has returned, woken or not. */
static gboolean
put_aside (MorrowLoop *self, MorrowJob *job)
{
  for (MorrowTurn *turn = self->turn; turn != NULL; turn = turn->outer)
    if (job == &turn->below->job)
      {
        turn->is_woken = TRUE;
        return TRUE;
      }
  return FALSE;
}

static MorrowJob *
pop_but_for_those_below (MorrowLoop *self)
{
  MorrowJob *job;

  do
    job = morrow__loop_pop_ready (self);
  while (job != NULL && put_aside (self, job));
  return job;
}

MorrowJob *
morrow__loop_pop_out_of_order (MorrowLoop *self)
{
  return self->pool != NULL ? pop_of_pool (self) : pop_but_for_those_below (self);
}

gboolean
morrow__loop_has_ready (MorrowLoop *self)
{
  return !morrow__queue_is_empty (&self->ready) || (self->pool != NULL && morrow__deque_size (&self->deque) > 0);
}

/* --- tasks on fibers --------------------------------------------------------------------------------------------- */

/* What lives here is in the list once another task starts, or somebody asks: most have ended before, and have never been in it. */
static G_GNUC_NO_INLINE void
enlist_newest (MorrowLoop *self)
{
  morrow__list_append (&self->tasks, &g_steal_pointer (&self->newest)->link);
}

/* A task becomes one of this loop's: from now on it lives here. Gives what it is to run. */
static inline MorrowTaskBody
adopt (MorrowLoop *self, MorrowResident *resident, MorrowTask *task, MorrowFiber *fiber)
{
  MorrowTaskBody body;

  if (morrow__seldom (self->newest != NULL))
    enlist_newest (self);
  resident->task = task;
  self->newest = resident;
  body = morrow__task_set_home (task, &self->home, &fiber->wait);
  if (morrow__unlikely (morrow__loop_is_sweeping (self)))
    morrow__task_sweep (task);
  return body;
}

/* The list of all that live here (MorrowResident), in the order in which they started; the newest is put into it now. For the loop's
 * thread, and for who looks for circles while the loop is at rest. */
MorrowList *
morrow__loop_get_tasks (MorrowLoop *self)
{
  if (self->newest != NULL)
    enlist_newest (self);
  return &self->tasks;
}

/* A task has settled. Whoever turns the loop has a reference of it. */
static inline void
let_go (MorrowLoop *self, MorrowTask *task)
{
  if (morrow__seldom (self->is_special))
    {
      if (self->pool != NULL)
        morrow__loop_pool_task_ended (self);
      else
        morrow__executor_release (self->executor);   /* it is hosted */
    }
  morrow__future_unref (&task->future);
}

static void
run_task (MorrowLoop *self, MorrowTask *task, MorrowFiber *fiber)
{
  MorrowResident resident;
  MorrowTaskBody body = adopt (self, &resident, task, fiber);

  morrow__task_run (task, &body);
  self->home.current = NULL;
  if (morrow__usually (self->newest == &resident))
    self->newest = NULL;
  else
    morrow__list_remove (&resident.link);
  let_go (self, task);
}

/* A task has ended, and @job, or NULL, is not for its stack: the stack that the processor goes to. */
static inline MorrowFiber *
next_after_end (MorrowLoop *self, MorrowJob *job)
{
  if (job != NULL && job->run == morrow__loop_resume_run)
    return morrow__loop_resume_task (self, job);

  return &self->main_fiber;
}

/* What runs on every fiber: one task after the other, where the stack is of the usual size. */
static void
fiber_main (MorrowFiber *fiber)
{
  MorrowLoop *self = fiber->user;
  gboolean reusable = morrow__task_is_of_usual_size (self->home.current);

  for (;;)
    {
      MorrowFiber *next;
      MorrowJob *job;

      run_task (self, self->home.current, fiber);

      job = morrow__loop_next_job (self);
      if (job != NULL && job->run == morrow__loop_start_run && reusable && morrow__task_is_of_usual_size (morrow__task_of_job (job)))
        {
          self->home.current = morrow__task_of_job (job);
          continue;
        }

      next = next_after_end (self, job);
      if (!reusable || self->n_spares == MORROW_LOOP_MAX_SPARES)
        morrow__fiber_exit (fiber, next, job);
      self->spares[self->n_spares++] = fiber;
      morrow__fiber_switch (fiber, next, job);   /* returns when this is given another task */
    }
}

/* Gives a task that has not started a new stack, which is to be switched to. NULL when there is none: it has settled then, and may be
 * gone. */
static G_GNUC_NO_INLINE MorrowFiber *
start_on_new (MorrowLoop *self, MorrowTask *task)
{
  GError *error = NULL;
  MorrowFiber *fiber = morrow__fiber_new (self->stacks, (gsize) morrow__task_get_pending (task)->stack_kib * 1024, fiber_main, self, &error);

  if (morrow__unlikely (fiber == NULL))
    {
      morrow__task_abandon (task, g_error_new_literal (MORROW_ERROR, MORROW_ERROR_NO_STACK, error->message));
      g_error_free (error);
      let_go (self, task);
      return NULL;
    }

  self->home.current = task;
  return fiber;
}

static inline MorrowFiber *
start_task (MorrowLoop *self, MorrowTask *task)
{
  MorrowFiber *fiber = morrow__loop_start_on_spare (self, task);

  return fiber != NULL ? fiber : start_on_new (self, task);
}

/* What start jobs do is in start_task () and fiber_main (), and who takes jobs knows them by this function. It is called when the loop
 * has been closed. */
void
morrow__loop_start_run (MorrowJob *job, gboolean closed)
{
  MorrowTask *task = morrow__task_of_job (job);

  g_assert (closed);
  morrow__task_abandon (task, morrow__executor_closed_error ());
  morrow_future_unref (&task->future);
}

/* What lives on a loop has ended when that is closed. */
void
morrow__loop_resume_run (MorrowJob *job, gboolean closed)
{
  g_assert_not_reached ();
}

/* --- what a task may not leave behind ------------------------------------------------------------------------------ */

/* The thread's default context is the thread's, and not saved for each fiber: to look at it takes as long as a switch. */
static inline void
begin_checks (MorrowLoop *self)
{
#ifdef MORROW_ENABLE_DEBUG
  self->found_context = g_main_context_get_thread_default ();
#endif
}

#ifdef MORROW_ENABLE_DEBUG
/* @task waits. */
void
morrow__loop_check_context (MorrowLoop *self, MorrowTask *task)
{
  g_autofree char *name = NULL;

  if (morrow__likely (g_main_context_get_thread_default () == self->found_context))
    return;

  name = morrow_future_dup_name (&task->future);
  g_critical ("Task '%s' waits between g_main_context_push_thread_default () and pop: other tasks find its context there", name);
}
#endif

/* --- the home ---------------------------------------------------------------------------------------------------- */

/* A task waits, and what comes next is one for which there is no spare stack. */
MorrowNext
morrow__loop_next_on_new (MorrowLoop *self, MorrowTask *task)
{
  MorrowFiber *fiber = start_on_new (self, task);

  return fiber != NULL ? (MorrowNext) { fiber, NULL } : morrow__loop_next_on_own_stack (self, NULL);
}

static void
loop_wake (MorrowHome *home, MorrowTask *task)
{
  task->job.run = morrow__loop_resume_run;
  morrow__loop_post (morrow__loop_of_home (home), &task->job);
}

/* A request to cancel, on its way to the task's loop. */
typedef struct
{
  MorrowJob   job;
  MorrowTask *task;   /* owned */
} Poke;

static void
poke_run (MorrowJob *job, gboolean closed)
{
  Poke *self = (Poke *) job;

  if (!closed && !morrow__future_is_settled (&self->task->future))
    morrow__task_deliver_cancel (self->task);
  morrow_future_unref (&self->task->future);
  g_free (self);
}

static void
loop_poke (MorrowHome *home, MorrowTask *task)
{
  Poke *poke = g_new (Poke, 1);

  poke->job.run = poke_run;
  poke->task = (MorrowTask *) morrow__future_ref (&task->future);
  morrow__loop_post (morrow__loop_of_home (home), &poke->job);
}

const MorrowHomeClass morrow__loop_home_class = {
  .wake = loop_wake,
  .poke = loop_poke,
};

/* --- reports of overflows ---------------------------------------------------------------------------------------- */

/* In a signal handler: neither locks nor allocates. */
static void
append_number (char *buffer, gsize size, guint64 number)
{
  char digits[24];
  char *digit = digits + sizeof digits;

  *--digit = '\0';
  do
    *--digit = '0' + number % 10;
  while ((number /= 10) > 0);
  g_strlcat (buffer, digit, size);
}

static void
append_task (MorrowTask *task, char *buffer, gsize size)
{
  if (atomic_load_explicit (&task->future.aux, memory_order_relaxed) & MORROW__NAMED)
    {
      g_strlcat (buffer, task->future.name, size);
      return;
    }

  g_strlcat (buffer, "Task-", size);
  append_number (buffer, size, morrow__task_get_number (task));
  g_strlcat (buffer, ", ", size);
  g_strlcat (buffer, morrow__task_func_name (task), size);
}

/* The task on whose stack a callback is, NULL for none. */
static MorrowTask *
get_below (MorrowLoop *self)
{
  if (self->below == NULL && self->turn != NULL)
    return self->turn->below;
  return self->below;
}

void
morrow__loop_describe_fiber (MorrowFiber *fiber, char *buffer, gsize size)
{
  MorrowLoop *self = fiber->user;
  gboolean in_place;
  MorrowTask *task;

  if (self == NULL)
    return;   /* it is a thread that has gone on there, of which nothing is told */

  in_place = self->home.current == NULL;
  task = in_place ? get_below (self) : self->home.current;

  /* It has not begun, or is not on that stack. */
  if (task == NULL || morrow__task_get_home (task) == NULL || morrow__task_get_fiber (task)->floor != fiber->low)
    return;

  *buffer = '\0';
  append_task (task, buffer, size);
  if (in_place)
    g_strlcat (buffer, ", a callback that it awaits", size);
}

/* --- what a poll has woken ----------------------------------------------------------------------------------------- */

/* Up to @n of the tasks that are to go on, from the head of the queue. */
static guint
peek_tasks (MorrowLoop *self, MorrowTask **tasks, guint n)
{
  guint n_tasks = 0;

  for (MorrowQueueNode *node = self->ready.head; node != NULL && n_tasks < n; node = node->next)
    {
      MorrowJob *job = morrow__queue_entry (node, MorrowJob, node);

      if (job->run != morrow__loop_resume_run)
        break;
      tasks[n_tasks++] = morrow__task_of_job (job);
    }
  return n_tasks;
}

/* Has the tasks that are to go on next brought into the caches, all of them at once and one step of the way after the
 * other, where each for itself would be waited for. Measured with 10,000 connections: 0.8 us a message. */
void
morrow__loop_warm (MorrowLoop *self)
{
  MorrowTask *tasks[MORROW_LOOP_EVENTS];
  guint n = peek_tasks (self, tasks, G_N_ELEMENTS (tasks));

  for (guint i = 0; i < n; i++)
    morrow__fiber_prefetch (morrow__task_get_fiber (tasks[i]));
  for (guint i = 0; i < n; i++)
    morrow__fiber_prefetch_frames (morrow__task_get_fiber (tasks[i]));
}

/* --- batches ----------------------------------------------------------------------------------------------------- */

/* On the loop's own stack, where no task is current: runs up to @fuel jobs of a batch. Calls may stay in the bundle, for the next portion. */
void
morrow__loop_run_portion (MorrowLoop *self, guint fuel)
{
  MorrowJob *job;

  begin_checks (self);
  morrow__fiber_hooks_stay (&self->main_fiber.hooks);
  self->out_of_fuel = self->tick + fuel;
  job = morrow__loop_next_job (self);
  while (job != NULL)
    {
      MorrowFiber *fiber = NULL;

      if (job->run == morrow__loop_resume_run)
        fiber = morrow__loop_resume_task (self, job);
      else if (job->run == morrow__loop_start_run)
        fiber = start_task (self, morrow__task_of_job (job));
      else
        job->run (job, FALSE);

      job = fiber != NULL ? morrow__fiber_switch (&self->main_fiber, fiber, NULL) : NULL;
      if (job == NULL)
        job = morrow__loop_next_job (self);
    }
}

/* After the last portion: no call stays in the bundle beyond the batch. */
void
morrow__loop_end_batch (MorrowLoop *self)
{
  if (morrow__seldom (self->n_bundled > 0))
    morrow__bundle_make (self);
}

/* All of it at once. */
void
morrow__loop_run_batch (MorrowLoop *self, guint fuel)
{
  morrow__loop_run_portion (self, fuel);
  morrow__loop_end_batch (self);
}

/* Asks every task that lives here to end, and those that will. */
void
morrow__loop_sweep (MorrowLoop *self)
{
  MorrowList *tasks = morrow__loop_get_tasks (self);

  if (self->pool == NULL)
    atomic_store_explicit (&self->own_sweeping, TRUE, memory_order_relaxed);
  morrow__task_begin_round (TRUE);
  morrow__list_foreach_safe (tasks, node, after)
    morrow__task_sweep (morrow__list_entry (node, MorrowResident, link)->task);
  morrow__task_end_round ();
}

/* The loop ends: no task lives here any more. */
void
morrow__loop_drop_fibers (MorrowLoop *self)
{
  while (self->n_spares > 0)
    morrow__fiber_free (self->spares[--self->n_spares]);
}
