/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pool as an object: its threads, a run on it, and its end.
 *
 * Main lives on a loop beside the pool's, made for the run, on the thread of who runs it: what it starts comes to the pool from
 * outside. A pool ends as a run on it does (loop-pool-sweep.c), and refuses from then on what comes from outside (E2). */

#include "config.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <morrow/error.h>

#include "exec/interrupt-private.h"
#include "exec/lane-private.h"
#include "exec/loop-pool-private.h"

/**
 * MorrowLoopPool:
 *
 * Several event loops, a thread each. A task that waits parks its fiber; it stays on the loop where it started, and
 * one that has not started is taken by whichever loop has time.
 *
 * Dropped with tasks still alive, a pool cancels them as the end of a run does, and waits until they have ended. A task
 * that drops a pool waits in the middle of its thread: if the pool's tasks wait for another task of its loop then, that is for
 * ever. A task whose own pool has been dropped, which waits for the task, does not wait. Callbacks on the pool of what has not
 * settled are still called: they keep the pool, but not its tasks.
 */
G_DEFINE_FINAL_TYPE (MorrowLoopPool, morrow_loop_pool, MORROW_TYPE_EXECUTOR)

/* --- runs -------------------------------------------------------------------------------------------------------- */

static gboolean
loop_pool_run (MorrowExecutor *executor, MorrowFuture *main, gboolean *ret_interrupted, GError **error)
{
  MorrowLoopPool *self = (MorrowLoopPool *) executor;
  MorrowLoop *runner;
  MorrowInterrupt interrupt;

  if (self->broken != NULL)
    {
      g_propagate_error (error, g_error_copy (self->broken));
      return FALSE;
    }
  if (atomic_load_explicit (&self->closed, memory_order_relaxed))   /* for who has found it again through a weak reference */
    {
      g_propagate_error (error, morrow__executor_closed_error ());
      return FALSE;
    }

  runner = morrow__loop_new (executor, NULL);
  if (!morrow__loop_take_thread (runner, error))
    {
      g_object_unref (runner);
      return FALSE;
    }

  morrow__peers_join (&self->peers, runner);
  morrow__task_claim ((MorrowTask *) main, MORROW_TASK_LAZY, MORROW_TASK_QUEUED);
  morrow__future_ref (main);
  morrow__loop_mark_start ((MorrowTask *) main);
  morrow__loop_post (runner, &((MorrowTask *) main)->job);
  morrow__interrupt_begin (&interrupt, main, runner, NULL);
  morrow__loop_run_until (runner, main);
  if (morrow__likely (morrow__executor_is_ours (executor)))   /* else main has forked, and this is the child: the rest is its parent's */
    morrow__loop_pool_finish (self, runner);
  *ret_interrupted = morrow__interrupt_end (&interrupt);
  morrow__peers_leave (runner);
  morrow__loop_drain (runner);
  morrow__loop_close (runner);
  morrow__loop_yield_thread (runner);
  g_object_unref (runner);
  return TRUE;
}

static guint
loop_pool_get_n_threads (MorrowExecutor *executor)
{
  return MAX (1, ((MorrowLoopPool *) executor)->loops->len);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static gboolean
goes_on (gpointer data)
{
  MorrowLoop *loop = data;

  /* Acquire: pairs with the release in shut_down (): what the last tasks posted and submitted is seen. */
  return !atomic_load_explicit (&loop->pool->stopping, memory_order_acquire) || morrow__loop_has_tasks (loop) ||
         morrow__loop_pool_has_submitted (loop->pool);
}

static gpointer
worker_main (gpointer data)
{
  MorrowLoop *loop = data;

  morrow__executor_of_thread = &loop->pool->parent_instance;
  /* The pool is complete. */
  pthread_mutex_lock (&loop->pool->lock);
  pthread_mutex_unlock (&loop->pool->lock);

  /* The context is the loop's own, and nobody else has it: it can be had. */
  morrow__loop_take_thread (loop, NULL);
  morrow__loop_turn_while (loop, goes_on, loop);
  morrow__loop_close (loop);
  morrow__loop_yield_thread (loop);
  return NULL;
}

static void
add_loop (MorrowLoopPool *self, GError **error)
{
  MorrowLoop *loop = morrow__loop_new (&self->parent_instance, self);

  if (loop->broken != NULL)
    {
      g_set_error_literal (error, loop->broken->domain, loop->broken->code, loop->broken->message);
      g_object_unref (loop);
    }
  else
    {
      g_ptr_array_add (self->loops, loop);
    }
}

/* A loop whose thread cannot be had goes again, as do those after it. Threads look at all loops: they wait at the lock
 * until it is known which there are. */
static void
start_threads (MorrowLoopPool *self)
{
  GError *error = NULL;

  pthread_mutex_lock (&self->lock);
  for (guint i = 0; i < self->loops->len && error == NULL; i++)
    {
      GThread *thread = g_thread_try_new ("morrow-loop", worker_main, morrow__loop_pool_at (self, i), &error);

      if (thread != NULL)
        g_ptr_array_add (self->threads, thread);
    }
  g_ptr_array_set_size (self->loops, self->threads->len);
  for (guint i = 0; i < self->loops->len; i++)
    morrow__peers_join (&self->peers, morrow__loop_pool_at (self, i));
  pthread_mutex_unlock (&self->lock);

  if (error != NULL && self->threads->len == 0)
    g_set_error (&self->broken, MORROW_ERROR, MORROW_ERROR_NO_THREAD, "No thread could be had for an event loop: %s", error->message);
  g_clear_error (&error);
}

/* Cancels what is still alive, waits until it has ended, and ends the threads. What is started from outside meanwhile is a
 * part of that, until all has ended. */
static void
shut_down (MorrowLoopPool *self)
{
  atomic_store_explicit (&self->sweeping, TRUE, memory_order_relaxed);
  morrow__loop_pool_wait_for_rounds (self);
  /* E2: the store and the fence before the look at the tasks pair with the addition and the look in offer (). */
  atomic_store_explicit (&self->closed, TRUE, memory_order_seq_cst);
  atomic_thread_fence (memory_order_seq_cst);
  if (morrow__loop_pool_has_tasks (self))
    morrow__loop_pool_wait_for_rounds (self);

  /* Release: pairs with the acquire in goes_on (). */
  atomic_store_explicit (&self->stopping, TRUE, memory_order_release);
  for (guint i = 0; i < self->threads->len; i++)
    morrow__wakeup_signal (&morrow__loop_pool_at (self, i)->wakeup);
  for (guint i = 0; i < self->threads->len; i++)
    g_thread_join (g_ptr_array_index (self->threads, i));
  g_ptr_array_set_size (self->threads, 0);
}

static void
loop_pool_sweep (MorrowExecutor *executor)
{
  MorrowLoopPool *self = (MorrowLoopPool *) executor;

  if (self->threads->len == 0)
    return;

  atomic_store_explicit (&self->sweeping, TRUE, memory_order_relaxed);
  morrow__loop_pool_wait_for_rounds (self);
  atomic_store_explicit (&self->sweeping, FALSE, memory_order_relaxed);
}

static gboolean
loop_pool_outlives_users (MorrowExecutor *executor)
{
  return TRUE;
}

static void
loop_pool_end (MorrowExecutor *executor)
{
  MorrowLoopPool *self = (MorrowLoopPool *) executor;

  if (self->threads->len == 0 || !morrow__executor_is_ours (executor))
    return;

  shut_down (self);
  morrow__loop_pool_drop_work (self);
  morrow__loop_pool_drop_tasks (self);
  for (guint i = 0; i < self->loops->len; i++)
    morrow__executor_end (&morrow__loop_pool_at (self, i)->parent_instance);
}

static void
morrow_loop_pool_finalize (GObject *object)
{
  MorrowLoopPool *self = MORROW_LOOP_POOL (object);

  morrow__loop_pool_drop_work (self);
  g_aligned_free (self->ring);
  morrow__room_clear (&self->room);
  morrow__backlog_clear (&self->backlog);
  g_ptr_array_unref (self->threads);
  g_ptr_array_unref (self->loops);
  morrow__peers_clear (&self->peers);
  pthread_cond_destroy (&self->ended);
  pthread_mutex_destroy (&self->lock);
  g_clear_error (&self->broken);
  G_OBJECT_CLASS (morrow_loop_pool_parent_class)->finalize (object);
}

static void
morrow_loop_pool_class_init (MorrowLoopPoolClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = morrow_loop_pool_finalize;
  klass->outlives_users = loop_pool_outlives_users;
  klass->arrange_end = morrow__lane_arrange_end_of_pool;
  klass->sweep = loop_pool_sweep;
  klass->end = loop_pool_end;
  klass->post = morrow__loop_pool_post;
  klass->start = morrow__loop_pool_start;
  klass->run = loop_pool_run;
  klass->submit = morrow__loop_pool_submit;
  klass->get_n_threads = loop_pool_get_n_threads;
}

static void
morrow_loop_pool_init (MorrowLoopPool *self)
{
  self->ring = g_aligned_alloc (1, sizeof (MorrowRing), G_ALIGNOF (MorrowRing));
  morrow__ring_init (self->ring);
  morrow__room_init (&self->room);
  morrow__backlog_init (&self->backlog);
  self->loops = g_ptr_array_new_with_free_func (g_object_unref);
  self->threads = g_ptr_array_new ();
  morrow__peers_init (&self->peers, TRUE);
  pthread_mutex_init (&self->lock, NULL);
  pthread_cond_init (&self->ended, NULL);
  self->fence = syscall (SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0;
}

/**
 * morrow_loop_pool_new:
 * @n_loops: how many loops; 0 for the number of processors
 *
 * Makes a pool and starts its threads. When not one loop or thread can be had, what is given to the pool is rejected
 * with that error.
 *
 * Returns: (transfer full) (type MorrowLoopPool): a pool
 */
MorrowExecutor *
morrow_loop_pool_new (guint n_loops)
{
  MorrowLoopPool *self = g_object_new (MORROW_TYPE_LOOP_POOL, NULL);
  GError *error = NULL;

  if (n_loops == 0)
    n_loops = g_get_num_processors ();
  while (self->loops->len < n_loops && error == NULL)   /* what cannot be had for one cannot for the next either */
    add_loop (self, &error);
  if (self->loops->len == 0)
    self->broken = error;
  else
    g_clear_error (&error);

  start_threads (self);
  return &self->parent_instance;
}
