/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The queue of a thread pool, and the workers that run what is in it, one task each at a time.
 *
 * Workers are added as there is more queued than idle ones to take it, up to their number; beyond that a stand-in
 * (thread-stuck.c) is a thread as the others are: whoever comes when all workers have a job takes another only if one is to
 * stand in.
 *
 * A task is claimed, and taken out of the queue, under the lock, be it by a worker or by whoever waits for it. */

#include "config.h"

#include <morrow/error.h>

#include "exec/thread-pool-private.h"

/* --- adding workers ---------------------------------------------------------------------------------------------- */

static gpointer worker_main (gpointer data);

gboolean
morrow__thread_pool_add_worker (MorrowThreadPool *self, GError **error)
{
  GThread *thread = g_thread_try_new ("morrow-worker", worker_main, self, error);

  if (thread != NULL)
    g_ptr_array_add (self->threads, thread);
  else
    self->no_more = TRUE;
  return thread != NULL;
}

/* Adds a worker when there is more queued than idle workers to take it. */
void
morrow__thread_pool_want_worker (MorrowThreadPool *self, GError **error)
{
  if (self->n_queued > self->n_idle && self->threads->len < morrow__thread_pool_n_workers_at_most (self))
    morrow__thread_pool_add_worker (self, error);
}

/* --- the queue --------------------------------------------------------------------------------------------------- */

MorrowJob *
morrow__thread_pool_take_callback (MorrowThreadPool *self)
{
  MorrowQueueNode *node = morrow__queue_pop (&self->callbacks);

  if (node == NULL)
    return NULL;

  self->n_queued--;
  return morrow__queue_entry (node, MorrowJob, node);
}

/* Takes a task out of the queue: the caller is to run it. FALSE when it has been taken before. */
gboolean
morrow__thread_pool_claim (MorrowThreadPool *self, MorrowTask *task, MorrowResident *resident)
{
  if (!morrow__task_claim (task, MORROW_TASK_POOLED, MORROW_TASK_CLAIMED))
    return FALSE;

  self->n_queued--;
  morrow__list_remove (&task->link);
  resident->task = task;
  morrow__list_append (&self->claimed, &resident->link);
  return TRUE;
}

/* Under the lock. */
static void
add_task (MorrowThreadPool *self, MorrowTask *task)
{
  morrow__list_append (&self->queue, &task->link);
  atomic_store_explicit (&morrow__task_get_pending (task)->pool_number, self->number, memory_order_relaxed);
  /* Release: pairs with the acquire in morrow__thread_pool_has_queued (), for the number. */
  atomic_store_explicit (&task->state, MORROW_TASK_POOLED, memory_order_release);
}

/* Whether @task is in this queue; without the lock it may not be any more. */
gboolean
morrow__thread_pool_has_queued (MorrowThreadPool *self, MorrowTask *task)
{
  gboolean is_here;

  /* Acquire, in the look at the state: pairs with the release in add_task (). */
  if (morrow__task_get_state (task) != MORROW_TASK_POOLED || !morrow__future_begin_look (&task->future))
    return FALSE;

  is_here = atomic_load_explicit (&morrow__task_get_pending (task)->pool_number, memory_order_relaxed) == self->number;
  morrow__future_end_look (&task->future);
  return is_here;
}

/* Under the lock. */
static void
add_callback (MorrowThreadPool *self, MorrowJob *job)
{
  morrow__queue_push (&self->callbacks, &job->node);
  self->n_callbacks++;
}

/* Under the lock. Takes the callback @job, or @task, unless there is nobody to run it, nor will be. */
static gboolean
take_job (MorrowThreadPool *self, MorrowJob *job, MorrowTask *task, GError **error)
{
  g_autoptr (GError) no_thread = NULL;

  if (self->stopping)
    {
      g_propagate_error (error, morrow__executor_closed_error ());
      return FALSE;
    }

  self->n_queued++;
  self->no_more = FALSE;                        /* perhaps this time */
  morrow__thread_pool_want_worker (self, &no_thread);
  if (self->threads->len == 0)
    {
      self->n_queued--;
      g_set_error (error, MORROW_ERROR, MORROW_ERROR_NO_THREAD, "No thread could be had for a task: %s", no_thread->message);
      return FALSE;
    }

  if (task != NULL)
    add_task (self, task);
  else
    add_callback (self, job);
  self->n_jobs++;
  return TRUE;
}

/* Takes the callback @job, or @task, or gives back why nobody ever will run it. */
GError *
morrow__thread_pool_enqueue (MorrowThreadPool *self, MorrowJob *job, MorrowTask *task, gboolean *ret_sweep)
{
  GError *error = NULL;

  pthread_mutex_lock (&self->lock);
  if (take_job (self, job, task, &error))
    {
      morrow__home_note_ask ();
      pthread_cond_signal (&self->work);
      if (morrow__thread_pool_all_are_blocked (self))
        morrow__thread_pool_unpark_blocked (self);   /* it may be what one of them waits for */
    }
  *ret_sweep = self->sweeping;
  pthread_mutex_unlock (&self->lock);

  return error;
}

/* --- working ----------------------------------------------------------------------------------------------------- */

/* What a worker is to do. */
typedef struct
{
  MorrowJob     *callback;   /* or, when it is NULL, */
  MorrowResident resident;   /* a task that has been claimed */
} Work;

static void
task_ended (MorrowThreadPool *self, MorrowResident *resident)
{
  pthread_mutex_lock (&self->lock);
  morrow__list_remove (&resident->link);
  pthread_cond_broadcast (&self->ended);
  pthread_mutex_unlock (&self->lock);

  morrow_future_unref (&resident->task->future);
}

static MorrowThreadHome *
home_here (void)
{
  return morrow__container_of (morrow__home, MorrowThreadHome, home);
}

void
morrow__thread_pool_run_claimed (MorrowThreadPool *self, MorrowResident *resident)
{
  morrow__thread_home_run (home_here (), resident->task);
  task_ended (self, resident);
}

/* In place of that, if it cannot run. */
void
morrow__thread_pool_abandon_claimed (MorrowThreadPool *self, MorrowResident *resident, GError *error)
{
  morrow__task_abandon (resident->task, error);
  task_ended (self, resident);
}

static void
callback_ended (MorrowThreadPool *self)
{
  pthread_mutex_lock (&self->lock);
  self->n_callbacks--;
  pthread_cond_broadcast (&self->ended);
  pthread_mutex_unlock (&self->lock);
}

/* Outside any task, though perhaps on the stack of one. */
void
morrow__thread_pool_run_callback (MorrowThreadHome *home, MorrowJob *job)
{
  MorrowTask *current = home->home.current;

  home->home.current = NULL;
  job->run (job, FALSE);
  home->home.current = current;
  callback_ended (morrow__thread_pool_of (&home->home));
}

static gboolean
take_task (MorrowThreadPool *self, Work *work)
{
  work->callback = NULL;
  return !morrow__list_is_empty (&self->queue) &&
         morrow__thread_pool_claim (self, morrow__list_entry (self->queue.next, MorrowTask, link), &work->resident);
}

static gboolean
take_callback (MorrowThreadPool *self, Work *work)
{
  work->callback = morrow__thread_pool_take_callback (self);
  return work->callback != NULL;
}

/* More than there may be workers are to be busy only where one stands in. Callbacks go first, but so that those which make more and
 * more of them do not starve tasks each 8th job is a task. */
static gboolean
take_next (MorrowThreadPool *self, Work *work)
{
  if (morrow__thread_pool_count_busy (self) >= self->max_threads && !self->stopping && !self->wants_stand_in &&
      !(self->n_queued > 0 && morrow__thread_pool_all_are_stuck (self)))
    return FALSE;

  self->wants_stand_in = FALSE;
  if (++self->n_taken % 8 == 0)
    return take_task (self, work) || take_callback (self, work);
  return take_callback (self, work) || take_task (self, work);
}

/* Waits for something to do; FALSE when the pool stops. */
static gboolean
take_work (MorrowThreadPool *self, Work *work)
{
  gboolean taken;

  pthread_mutex_lock (&self->lock);
  self->n_idle++;
  while (!(taken = take_next (self, work)) && !self->stopping)
    pthread_cond_wait (&self->work, &self->lock);
  self->n_idle--;
  pthread_mutex_unlock (&self->lock);

  return taken;
}

static gpointer
worker_main (gpointer data)
{
  MorrowThreadPool *self = data;
  MorrowThreadHome *home = morrow__thread_home_enter (&self->parent_instance, &morrow__thread_pool_blocking);
  Work work;

  morrow__executor_of_thread = &self->parent_instance;
  home->is_worker = TRUE;
  while (take_work (self, &work))
    {
      if (work.callback != NULL)
        morrow__thread_pool_run_callback (home, work.callback);
      else
        morrow__thread_pool_run_claimed (self, &work.resident);
    }
  morrow__thread_home_leave (home);
  return NULL;
}
