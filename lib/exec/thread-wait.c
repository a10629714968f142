/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A wait on a thread of a pool's: what the thread does meanwhile.
 *
 *   1. Somebody else can run what is queued: an idle worker, or one that may still be added. Then the worker just
 *      blocks.
 *   2. All workers that there may be are blocked. Then nobody runs what is queued, and each blocked worker runs, on
 *      its own stack, what its topmost task waits for and what has not started: the awaited task itself, or those of an
 *      awaited gather. Callbacks, which do not wait, are run by any of them.
 *   3. Nothing of that kind is left: thread-stuck.c tells whether the wait fails, goes on, or has somebody stand in.
 *
 * Main's thread is a home of the pool's tasks too while a run lasts, but no worker: it does not count among them, and
 * takes nothing from the queue. */

#include "config.h"

#include <morrow/error.h>

#include "base/fork-private.h"
#include "exec/thread-pool-private.h"

/* --- running what it waits for ----------------------------------------------------------------------------------- */

/* Claims it, to run it on top of the task that waits here. Under the lock it is on top from the moment that it is claimed. */
static gboolean
claim_here (MorrowThreadPool *self, MorrowTask *task, MorrowResident *resident)
{
  gboolean claimed;

  if (!morrow__thread_pool_has_queued (self, task))
    return FALSE;

  pthread_mutex_lock (&self->lock);
  claimed = morrow__thread_pool_claim (self, task, resident);
  if (claimed)
    g_hash_table_insert (self->above, morrow__home->current, morrow__future_ref (&task->future));
  pthread_mutex_unlock (&self->lock);
  return claimed;
}

static void
run_claimed (gpointer data)
{
  morrow__thread_pool_run_claimed (morrow__thread_pool_of (morrow__home), data);
}

/* Where less than MORROW_FIBER_RESERVE are left of the thread's stack, on another. If that cannot be had either it fails. */
static void
run_claimed_somewhere (MorrowThreadPool *self, MorrowResident *resident)
{
  MorrowThreadHome *home = morrow__thread_home_of (morrow__home);
  GError *error = NULL;

  if (!morrow__thread_home_is_short_of (home, MORROW_FIBER_RESERVE))
    run_claimed (resident);
  else if (!morrow__thread_home_call (home, 0, run_claimed, resident, &error))
    morrow__thread_pool_abandon_claimed (self, resident, g_error_new_literal (MORROW_ERROR, MORROW_ERROR_NO_STACK, error->message));
  g_clear_error (&error);
}

/* Runs it on top of the task that waits here. FALSE when it is not for this thread to run, or not any more. */
static gboolean
run_on_top (MorrowThreadPool *self, MorrowTask *task)
{
  MorrowResident resident;

  if (!claim_here (self, task, &resident))
    return FALSE;

  run_claimed_somewhere (self, &resident);

  pthread_mutex_lock (&self->lock);
  g_hash_table_remove (self->above, morrow__home->current);
  pthread_mutex_unlock (&self->lock);
  morrow_future_unref (&task->future);
  return TRUE;
}

static gboolean
add_awaited (MorrowFuture *future, gpointer awaited)
{
  g_ptr_array_add (awaited, morrow__future_ref (future));
  return TRUE;
}

/* Runs what a blocked worker waits for and what has not started, however deep it lies in gathers of gathers. TRUE when it
 * did. */
static gboolean
run_awaited (MorrowThreadPool *self, MorrowFuture *awaited)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func ((GDestroyNotify) morrow_future_unref);
  gboolean did = FALSE;

  add_awaited (awaited, all);
  for (guint i = 0; i < all->len; i++)
    {
      MorrowFuture *future = g_ptr_array_index (all, i);

      if (morrow__future_is_task (future))
        did |= run_on_top (self, (MorrowTask *) future);
      else if (!morrow__future_is_settled (future) && morrow__future_get_ops (future)->visit_awaited != NULL)
        morrow__future_get_ops (future)->visit_awaited (future, add_awaited, all);
    }
  return did;
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

void
morrow__thread_pool_unpark_blocked (MorrowThreadPool *self)
{
  morrow__list_foreach (&self->blocked, node)
    morrow__parker_unpark (&morrow__list_entry (node, MorrowThreadHome, link)->parker);
}

/* Under the lock. */
static void
add_waiting (MorrowThreadPool *self, MorrowThreadHome *home, MorrowTask *task, MorrowFuture *awaited)
{
  g_hash_table_insert (self->waiting, task, awaited);
  home->top = task;
  if (home->parked->len > 1)
    return;

  morrow__list_append (&self->blocked, &home->link);
  if (home->is_worker)
    self->n_blocked++;
}

static void
remove_waiting (MorrowThreadPool *self, MorrowThreadHome *home, MorrowTask *task)
{
  g_hash_table_remove (self->waiting, task);
  if (home->parked->len > 1)
    {
      home->top = g_ptr_array_index (home->parked, home->parked->len - 2);
      return;
    }

  morrow__list_remove (&home->link);
  if (home->is_worker)
    self->n_blocked--;
}

static gboolean
before_wait (MorrowThreadHome *home, MorrowTask *task, MorrowFuture *awaited, GError **error)
{
  MorrowThreadPool *self = morrow__thread_pool_of (&home->home);
  gboolean hope;

  pthread_mutex_lock (&self->lock);
  add_waiting (self, home, task, awaited);
  morrow__thread_pool_want_worker (self, NULL);
  if (morrow__thread_pool_all_are_blocked (self))
    morrow__thread_pool_unpark_blocked (self);   /* each looks at what it waits for */
  hope = morrow__thread_pool_check_hope (self, task, error);
  pthread_mutex_unlock (&self->lock);

  return hope;
}

/* TRUE when it ran one. @ret_all_blocked: whether this worker may run what it waits for. */
static gboolean
run_a_callback (MorrowThreadPool *self, MorrowThreadHome *home, gboolean *ret_all_blocked)
{
  MorrowJob *callback = NULL;

  pthread_mutex_lock (&self->lock);
  *ret_all_blocked = morrow__thread_pool_all_are_blocked (self);
  if (*ret_all_blocked && home->is_worker)
    callback = morrow__thread_pool_take_callback (self);
  pthread_mutex_unlock (&self->lock);

  if (callback != NULL)
    morrow__thread_pool_run_callback (home, callback);
  return callback != NULL;
}

/* What the topmost task waits for. What those below it wait for besides would be in its way: it may wait for that one in turn, for a
 * promise or a lock. It is a stand-in's. */
static gboolean
idle_wait (MorrowThreadHome *home)
{
  MorrowThreadPool *self = morrow__thread_pool_of (&home->home);
  MorrowFuture *awaited;
  gboolean all_blocked, did;

  if (run_a_callback (self, home, &all_blocked))
    return TRUE;

  awaited = morrow__task_get_awaited (g_ptr_array_index (home->parked, home->parked->len - 1));
  did = all_blocked && awaited != NULL && run_awaited (self, awaited);   /* it is NULL for a descriptor */
  if (all_blocked && !did)
    {
      pthread_mutex_lock (&self->lock);
      morrow__thread_pool_relieve_stuck (self);
      pthread_mutex_unlock (&self->lock);
    }
  return did;
}

static gboolean
yield_worker (MorrowThreadHome *home)
{
  MorrowThreadPool *self = morrow__thread_pool_of (&home->home);
  gboolean all_blocked;

  pthread_mutex_lock (&self->lock);
  morrow__thread_pool_relieve_yielding (self, home);
  pthread_mutex_unlock (&self->lock);

  return home->parked->len > 0 && run_a_callback (self, home, &all_blocked);
}

static void
after_wait (MorrowThreadHome *home, MorrowTask *task)
{
  MorrowThreadPool *self = morrow__thread_pool_of (&home->home);

  pthread_mutex_lock (&self->lock);
  remove_waiting (self, home, task);
  pthread_mutex_unlock (&self->lock);
}

const MorrowBlocking morrow__thread_pool_blocking = {
  .before = before_wait,
  .idle = idle_wait,
  .after = after_wait,
  .yield = yield_worker,
};

/* --- in a forked child ------------------------------------------------------------------------------------------- */

static gboolean
yield_in_child (MorrowThreadHome *home)
{
  return FALSE;
}

/* Just blocks. */
static const MorrowBlocking blocking_in_child = { .yield = yield_in_child };

/* A task goes on in a new child: what else is the pool's is not there, and a thread of the parent's may have had the lock. */
static void
leave_pool (void)
{
  MorrowThreadHome *home = morrow__thread_home_here ();

  if (home != NULL && home->blocking == &morrow__thread_pool_blocking)
    home->blocking = &blocking_in_child;
}

MORROW__IN_EACH_CHILD (leave_pool)
