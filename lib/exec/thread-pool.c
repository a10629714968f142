/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A thread pool from outside: what it is given, its runs, and its life. What goes on inside is told in the files that
 * thread-pool-private.h names. */

#include "config.h"

#include "exec/interrupt-private.h"
#include "exec/lane-private.h"
#include "exec/thread-pool-private.h"

/**
 * MorrowThreadPool:
 *
 * Worker threads that run one task each at a time; a task that waits blocks its worker. What one does without an
 * event loop.
 *
 * When every worker waits for what only a task may bring about that is still queued, a promise to be resolved say, the
 * pool runs that too, on up to 256 threads more, which rest again afterwards. When every worker waits, each runs what its own task waits
 * for, and goes on when that has ended: so with one worker a morrow_race () of what has not started lasts as long as the first of it.
 *
 * No main context is turned on its threads. So a call of GIO's that calls back, g_file_read_async () say, calls back in the default
 * main context when a task makes it here; a task that awaits that waits for ever if nobody turns that context. On loops it is turned.
 *
 * Dropped with tasks still alive, a pool cancels them as the end of a run does, and waits until they have ended. A task
 * that drops a pool waits in the middle of its thread: if the pool's tasks wait for another task of its loop then, that is for
 * ever. A task whose own pool has been dropped, which waits for the task, does not wait. Callbacks on the pool of what has not
 * settled are still called: they keep the pool, but not its tasks.
 */
G_DEFINE_FINAL_TYPE (MorrowThreadPool, morrow_thread_pool, MORROW_TYPE_EXECUTOR)

/* --- what it is given -------------------------------------------------------------------------------------------- */

/* In a forked child there are no workers, and the lock may be one's. */
static void
thread_pool_post (MorrowExecutor *executor, MorrowJob *job)
{
  GError *error = NULL;
  gboolean sweep, taken = FALSE;

  if (morrow__likely (morrow__executor_is_ours (executor)))
    {
      error = morrow__thread_pool_enqueue (MORROW_THREAD_POOL (executor), job, NULL, &sweep);
      taken = error == NULL;
    }

  if (!taken)
    job->run (job, TRUE);
  g_clear_error (&error);
}

static void
thread_pool_start (MorrowExecutor *executor, MorrowFuture *future)
{
  MorrowThreadPool *self = MORROW_THREAD_POOL (executor);
  MorrowTask *task = (MorrowTask *) future;
  gboolean sweep;
  GError *error;

  morrow__task_inherit_spared (task, executor);
  morrow__future_ref (future);                  /* this function's: for the sweep */
  error = morrow__thread_pool_enqueue (self, NULL, task, &sweep);
  if (error != NULL)
    {
      morrow__task_claim (task, MORROW_TASK_QUEUED, MORROW_TASK_CLAIMED);
      morrow__task_abandon (task, error);
      morrow_future_unref (future);
    }
  else if (sweep)
    {
      morrow__task_sweep (task);
    }
  morrow_future_unref (future);
}

/* Those who wait look again whether they are stuck. */
static void
thread_pool_reconsider (MorrowExecutor *executor)
{
  MorrowThreadPool *self = MORROW_THREAD_POOL (executor);

  pthread_mutex_lock (&self->lock);
  if (self->n_queued > 0 && morrow__thread_pool_all_are_blocked (self))
    morrow__thread_pool_unpark_blocked (self);
  pthread_mutex_unlock (&self->lock);
}

/* --- runs -------------------------------------------------------------------------------------------------------- */

static void
mark_swept (MorrowTask *task, GPtrArray *left)
{
  if (morrow__task_mark_swept (task))
    g_ptr_array_add (left, morrow__future_ref (&task->future));
}

/* Cancels what is left over, and what is started from now on. All are marked before one is asked, since that may be passed on
 * to another, which cleans up as what is swept does. */
static void
sweep (MorrowThreadPool *self)
{
  g_autoptr (GPtrArray) left = g_ptr_array_new_with_free_func ((GDestroyNotify) morrow_future_unref);

  pthread_mutex_lock (&self->lock);
  self->sweeping = TRUE;
  morrow__list_foreach (&self->claimed, node)
    mark_swept (morrow__list_entry (node, MorrowResident, link)->task, left);
  morrow__list_foreach (&self->queue, node)
    mark_swept (morrow__list_entry (node, MorrowTask, link), left);
  pthread_mutex_unlock (&self->lock);

  for (guint i = 0; i < left->len; i++)
    morrow_future_cancel (g_ptr_array_index (left, i));
}

/* Under the lock: until no task is alive, and no callback is queued or running. Returns: how many jobs there have been so far. */
static gulong
wait_for_jobs (MorrowThreadPool *self)
{
  while (!morrow__list_is_empty (&self->queue) || !morrow__list_is_empty (&self->claimed) || self->n_callbacks > 0)
    pthread_cond_wait (&self->ended, &self->lock);
  return self->n_jobs;
}

/* Tasks and callbacks may still give work to threads, and these may still make some of them: until there was none of
 * all from one look to the next. */
static void
wait_for_all (MorrowThreadPool *self)
{
  gulong n_jobs;

  pthread_mutex_lock (&self->lock);
  do
    {
      n_jobs = wait_for_jobs (self);
      pthread_mutex_unlock (&self->lock);
      morrow__lane_join (&self->parent_instance);
      pthread_mutex_lock (&self->lock);
    }
  while (wait_for_jobs (self) != n_jobs);
  pthread_mutex_unlock (&self->lock);
}

static void
finish (MorrowThreadPool *self)
{
  sweep (self);
  wait_for_all (self);

  pthread_mutex_lock (&self->lock);
  self->sweeping = FALSE;
  pthread_mutex_unlock (&self->lock);
}

static void
add_mains (MorrowThreadPool *self, gint n)
{
  pthread_mutex_lock (&self->lock);
  self->n_mains += n;
  pthread_mutex_unlock (&self->lock);
}

static gboolean
thread_pool_run (MorrowExecutor *executor, MorrowFuture *main, gboolean *ret_interrupted, GError **error)
{
  MorrowThreadPool *self = MORROW_THREAD_POOL (executor);
  MorrowThreadHome *home = morrow__thread_home_enter (executor, &morrow__thread_pool_blocking);
  MorrowInterrupt interrupt;

  morrow__task_claim ((MorrowTask *) main, MORROW_TASK_LAZY, MORROW_TASK_CLAIMED);
  morrow__interrupt_begin (&interrupt, main, NULL, &home->parker);
  add_mains (self, 1);
  morrow__thread_home_run (home, (MorrowTask *) main);
  if (morrow__likely (morrow__executor_is_ours (executor)))   /* else main has forked, and this is the child: the rest is its parent's */
    {
      add_mains (self, -1);
      finish (self);
    }
  *ret_interrupted = morrow__interrupt_end (&interrupt);
  morrow__thread_home_leave (home);
  return TRUE;
}

static guint
thread_pool_get_n_threads (MorrowExecutor *executor)
{
  return MORROW_THREAD_POOL (executor)->max_threads;
}

/* --- life -------------------------------------------------------------------------------------------------------- */

/* Cancels what is still alive, waits until it has ended, and ends the workers once they have done what was submitted. */
static void
shut_down (MorrowThreadPool *self)
{
  sweep (self);
  wait_for_all (self);

  pthread_mutex_lock (&self->lock);
  wait_for_jobs (self);
  self->stopping = TRUE;                        /* at a moment without a job, and there will be none */
  pthread_cond_broadcast (&self->work);
  pthread_mutex_unlock (&self->lock);

  for (guint i = 0; i < self->threads->len; i++)
    g_thread_join (g_ptr_array_index (self->threads, i));
  g_ptr_array_set_size (self->threads, 0);
}

static void
thread_pool_sweep (MorrowExecutor *executor)
{
  finish (MORROW_THREAD_POOL (executor));
}

static gboolean
thread_pool_outlives_users (MorrowExecutor *executor)
{
  return TRUE;
}

static void
thread_pool_end (MorrowExecutor *executor)
{
  if (morrow__executor_is_ours (executor))
    shut_down (MORROW_THREAD_POOL (executor));
}

static void
morrow_thread_pool_finalize (GObject *object)
{
  MorrowThreadPool *self = MORROW_THREAD_POOL (object);

  g_ptr_array_unref (self->threads);
  g_hash_table_unref (self->waiting);
  g_hash_table_unref (self->above);
  pthread_cond_destroy (&self->ended);
  pthread_cond_destroy (&self->work);
  pthread_mutex_destroy (&self->lock);

  G_OBJECT_CLASS (morrow_thread_pool_parent_class)->finalize (object);
}

static void
morrow_thread_pool_class_init (MorrowThreadPoolClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = morrow_thread_pool_finalize;
  klass->outlives_users = thread_pool_outlives_users;
  klass->arrange_end = morrow__lane_arrange_end_of_pool;
  klass->sweep = thread_pool_sweep;
  klass->end = thread_pool_end;
  klass->post = thread_pool_post;
  klass->start = thread_pool_start;
  klass->run = thread_pool_run;
  klass->get_n_threads = thread_pool_get_n_threads;
  klass->reconsider = thread_pool_reconsider;
}

static void
morrow_thread_pool_init (MorrowThreadPool *self)
{
  static atomic_uint n_pools;   /* any thread: relaxed, a number is all that it hands out */
  pthread_mutexattr_t recursive;

  self->number = atomic_fetch_add_explicit (&n_pools, 1, memory_order_relaxed);
  pthread_mutexattr_init (&recursive);
  pthread_mutexattr_settype (&recursive, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init (&self->lock, &recursive);
  pthread_mutexattr_destroy (&recursive);
  pthread_cond_init (&self->work, NULL);
  pthread_cond_init (&self->ended, NULL);
  morrow__queue_init (&self->callbacks);
  morrow__list_init (&self->queue);
  morrow__list_init (&self->claimed);
  self->threads = g_ptr_array_new ();
  self->waiting = g_hash_table_new (NULL, NULL);
  morrow__list_init (&self->blocked);
  self->above = g_hash_table_new (NULL, NULL);
}

/**
 * morrow_thread_pool_new:
 * @max_threads: how many workers there may be, not counting those that stand in for others that wait; 0 for the number of
 *   processors
 *
 * Makes a pool. Its threads are started as they are needed. When the pool goes, they do what is queued, and end.
 *
 * Returns: (transfer full) (type MorrowThreadPool): a pool
 */
MorrowExecutor *
morrow_thread_pool_new (guint max_threads)
{
  MorrowThreadPool *self = g_object_new (MORROW_TYPE_THREAD_POOL, NULL);

  self->max_threads = max_threads != 0 ? max_threads : g_get_num_processors ();
  return &self->parent_instance;
}
