/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks on a thread's own stack. A task that waits blocks the thread; one that is run meanwhile runs on top of it,
 * and the one below goes on when that has ended. So a home may have several parked tasks on its stack, of which only
 * the topmost can go on.
 *
 * woken (in the task's state): set by whoever settles what the task waits for, then the thread is unparked. A parker
 * holds one token, so that a token for one task may be taken by another: everybody looks at his own state after each
 * return from the parker, and goes back to sleep when it was not for him.
 *
 * Homes are never freed, only used again: who unparks one may do so when the task has already gone on, and its thread
 * has ended. To unpark a home that belongs to another thread by now costs that a look around.
 *
 * morrow_future_wait (), for threads that run no tasks, sleeps on the same kind of home. */

#include "config.h"

#include <sched.h>

#include <morrow/error.h>

#include "base/clock-private.h"
#include "base/fork-private.h"
#include "core/relay-private.h"
#include "exec/rest-private.h"
#include "exec/task-run-private.h"
#include "exec/thread-home-private.h"

MORROW__FORK_LOCK (free_lock)
static MorrowThreadHome *free_homes;   /* under free_lock */

/* --- waiting ----------------------------------------------------------------------------------------------------- */

static gboolean
is_woken (MorrowTask *task)
{
  /* Acquire: pairs with the release in thread_wake (). */
  return atomic_load_explicit (&task->state, memory_order_acquire) == MORROW_TASK_WOKEN;
}

/* From the bottom, since what a task below passes on may be for the one above. */
static void
deliver_cancels (MorrowThreadHome *self)
{
  morrow__task_begin_round (FALSE);
  for (guint i = 0; i < self->parked->len; i++)
    if (morrow__task_is_asked (g_ptr_array_index (self->parked, i)))
      morrow__task_deliver_cancel (g_ptr_array_index (self->parked, i));
  morrow__task_end_round ();
}

static void
sleep_until_woken (MorrowThreadHome *self, MorrowTask *task)
{
  while (!is_woken (task))
    {
      deliver_cancels (self);
      if (!is_woken (task) && (self->blocking->idle == NULL || !self->blocking->idle (self)))
        morrow__parker_park (&self->parker);
    }
}

/* The topmost task goes on. */
static void
finish_wait (MorrowThreadHome *self, MorrowTask *task)
{
  atomic_store_explicit (&task->state, MORROW_TASK_STARTED, memory_order_relaxed);
  if (self->blocking->after != NULL)
    self->blocking->after (self, task);
  g_ptr_array_set_size (self->parked, self->parked->len - 1);
  self->home.current = task;
}

static gboolean
thread_park (MorrowHome *home, MorrowTask *task, MorrowFuture *awaited, GError **error)
{
  MorrowThreadHome *self = morrow__thread_home_of (home);
  GError *hopeless = NULL;

  g_ptr_array_add (self->parked, task);
  if (self->blocking->before != NULL && !self->blocking->before (self, task, awaited, &hopeless) &&
      (is_woken (task) || !morrow__future_unsubscribe (awaited, &task->waiter, NULL)))
    g_clear_error (&hopeless);               /* it has settled after all, or a cancel has taken the task off it */

  if (hopeless == NULL)
    sleep_until_woken (self, task);
  finish_wait (self, task);
  if (hopeless == NULL)
    return TRUE;

  g_propagate_error (error, hopeless);
  return FALSE;
}

static gboolean
poll_until_over (MorrowThreadHome *self, MorrowTask *task, const MorrowPoll *wait, GError **error)
{
  gboolean ready = FALSE;

  /* Acquire: what was done before the flag was set is visible. */
  while (!ready && !(atomic_load_explicit (wait->flags, memory_order_acquire) & wait->stop))
    {
      deliver_cancels (self);
      if (morrow__task_fail_cancelled (task, error))
        return FALSE;
      if (morrow__clock_now () >= wait->deadline)
        {
          g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "The time to wait has run out");
          return FALSE;
        }
      if ((self->blocking->idle == NULL || !self->blocking->idle (self)) &&
          !morrow__parker_poll (&self->parker, wait->fd, wait->events, wait->deadline, &ready, error))
        return FALSE;
    }

  return TRUE;
}

/* In the task that runs here: blocks the thread until the wait is over. FALSE when a cancel came instead, or the
 * deadline. */
gboolean
morrow__thread_home_poll (MorrowThreadHome *self, const MorrowPoll *wait, GError **error)
{
  MorrowRelays left = morrow__relay_leave ();
  MorrowTask *task = self->home.current;
  gboolean ok;

  g_ptr_array_add (self->parked, task);
  if (self->blocking->before != NULL)
    self->blocking->before (self, task, NULL, NULL);
  ok = poll_until_over (self, task, wait, error);
  finish_wait (self, task);
  morrow__relay_return (&left);
  return ok;
}

static void
thread_wake (MorrowHome *home, MorrowTask *task)
{
  /* Release: pairs with the acquire in is_woken (). */
  atomic_store_explicit (&task->state, MORROW_TASK_WOKEN, memory_order_release);
  morrow__parker_unpark (&morrow__thread_home_of (home)->parker);
}

static void
thread_poke (MorrowHome *home, MorrowTask *task)
{
  morrow__parker_unpark (&morrow__thread_home_of (home)->parker);
}

static void
thread_inherit (MorrowHome *home, MorrowTask *task)
{
  const MorrowBlocking *blocking = morrow__thread_home_of (home)->blocking;

  if (blocking->inherit != NULL)
    blocking->inherit (task);
}

static void
thread_yield (MorrowHome *home, MorrowTask *task)
{
  MorrowThreadHome *self = morrow__thread_home_of (home);

  if (!self->blocking->yield (self))
    sched_yield ();
}

static const MorrowHomeClass thread_home_class = {
  .park = thread_park,
  .wake = thread_wake,
  .poke = thread_poke,
  .inherit = thread_inherit,
  .yield = thread_yield,
};

/* The home that tasks run on here, NULL where none does, or a loop. */
MorrowThreadHome *
morrow__thread_home_here (void)
{
  return morrow__home != NULL && morrow__home->klass == &thread_home_class ? morrow__thread_home_of (morrow__home) : NULL;
}

/* --- the thread -------------------------------------------------------------------------------------------------- */

static MorrowThreadHome *
take_home (void)
{
  MorrowThreadHome *self;

  pthread_mutex_lock (&free_lock);
  self = free_homes;
  if (self != NULL)
    free_homes = self->next_free;
  pthread_mutex_unlock (&free_lock);

  if (self == NULL)
    {
      self = g_new0 (MorrowThreadHome, 1);
      self->home.klass = &thread_home_class;
      self->parked = g_ptr_array_new ();
      morrow__parker_init (&self->parker);
    }
  return self;
}

static void
give_home (MorrowThreadHome *self)
{
  pthread_mutex_lock (&free_lock);
  self->next_free = free_homes;
  free_homes = self;
  pthread_mutex_unlock (&free_lock);
}

MorrowThreadHome *
morrow__thread_home_enter (MorrowExecutor *executor, const MorrowBlocking *blocking)
{
  MorrowThreadHome *self = take_home ();

  self->blocking = blocking;
  self->is_worker = FALSE;
  morrow__fiber_init_caller (&self->stack);
  atomic_store_explicit (&self->executor, executor, memory_order_relaxed);
  self->outer_home = morrow__home;
  self->outer_executor = morrow__executor_current;
  morrow__home = &self->home;
  morrow__executor_current = executor;
  return self;
}

void
morrow__thread_home_leave (MorrowThreadHome *self)
{
  morrow__home = self->outer_home;
  morrow__executor_current = self->outer_executor;
  g_clear_pointer (&self->stacks, morrow__stack_pool_free);
  give_home (self);
}

gboolean
morrow__thread_home_call (MorrowThreadHome *self, gsize stack_size, void (*func) (gpointer data), gpointer data, GError **error)
{
  if (self->stacks == NULL)
    self->stacks = morrow__stack_pool_new ();
  return morrow__fiber_call (&self->stack, self->stacks, stack_size, func, data, error);
}

void
morrow__thread_home_run (MorrowThreadHome *self, MorrowTask *task)
{
  MorrowThreadFrame frame = { .creator = self->home.current };
  MorrowTaskBody body = morrow__task_set_home (task, &self->home, &frame.wait);

  thread_inherit (&self->home, task);
  self->home.current = task;
  morrow__task_run (task, &body);
  self->home.current = frame.creator;
}

/* --- waiting without a task -------------------------------------------------------------------------------------- */

typedef struct
{
  MorrowWaiter      waiter;    /* the future's */
  MorrowThreadHome *home;      /* immutable */
  atomic_int        settled;   /* set by the settling thread, last */
} Wait;

static void
wait_notify (MorrowWaiter *waiter, MorrowFuture *future)
{
  Wait *self = (Wait *) waiter;
  MorrowThreadHome *home = self->home;

  /* Release: pairs with the acquire in wait_until (). After this the Wait may be gone. */
  atomic_store_explicit (&self->settled, TRUE, memory_order_release);
  morrow__parker_unpark (&home->parker);
}

static gboolean
wait_until (MorrowFuture *future, gint64 deadline)
{
  Wait wait = { .waiter.notify = wait_notify, .home = take_home () };
  gboolean settled = TRUE;

  morrow__future_ref (future);   /* the caller's may be another thread's too: see task.c:claim_for_executor () */
  if (morrow__future_subscribe (future, &wait.waiter))
    {
      while (!atomic_load_explicit (&wait.settled, memory_order_acquire))
        {
          if (deadline == G_MAXINT64)
            morrow__parker_park (&wait.home->parker);
          else if (!morrow__parker_park_until (&wait.home->parker, deadline) && morrow__clock_now () >= deadline)
            break;
        }

      if (!atomic_load_explicit (&wait.settled, memory_order_acquire))
        settled = !morrow__future_unsubscribe (future, &wait.waiter, NULL);
      while (settled && !atomic_load_explicit (&wait.settled, memory_order_acquire))
        morrow__parker_park (&wait.home->parker);   /* it is being settled at this moment */
    }

  give_home (wait.home);
  morrow_future_unref (future);
  return settled;
}

/**
 * morrow_future_wait_until:
 * @self: a future, in any state
 * @deadline: until when to wait, in microseconds of the monotonic clock; %G_MAXINT64 for ever
 * @error: return location for an error
 *
 * Blocks the calling thread until @self has settled. For threads that run no executor: on one, it would stop what is
 * to settle @self, and is refused with %MORROW_ERROR_WOULD_BLOCK_LOOP. So it is in a handler of an application's main loop, on
 * whose context there is a #MorrowLoop; before that main loop runs, nobody can tell, and what only it could do is waited for without
 * end. A coroutine that has not started is refused
 * with %MORROW_ERROR_NOT_IN_TASK: give it to morrow_executor_spawn () first.
 *
 * When the time runs out, @self goes on.
 *
 * Returns: %TRUE when @self has resolved; %FALSE with its error, or with %G_IO_ERROR_TIMED_OUT
 */
gboolean
morrow_future_wait_until (MorrowFuture *self, gint64 deadline, GError **error)
{
  g_return_val_if_fail (self != NULL, FALSE);

  if (!morrow__future_is_settled (self))
    {
      if (morrow__executor_current != NULL || morrow__rest_owns_a_loop ())
        {
          g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_WOULD_BLOCK_LOOP,
                               "Waiting here would stop what is to settle the future: await it in a task");
          return FALSE;
        }
      if (!wait_until (self, deadline))
        {
          g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "The time to wait has run out");
          return FALSE;
        }
    }

  return morrow__future_propagate (self, error);
}

/**
 * morrow_future_wait:
 * @self: a future, in any state
 * @error: return location for an error
 *
 * Blocks the calling thread until @self has settled. See morrow_future_wait_until ().
 *
 * Returns: %TRUE when @self has resolved; %FALSE with its error
 */
gboolean
morrow_future_wait (MorrowFuture *self, GError **error)
{
  return morrow_future_wait_until (self, G_MAXINT64, error);
}
