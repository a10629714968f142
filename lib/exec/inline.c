/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sequential baseline: a task runs to its end, on the caller's stack, when it is created. What waits blocks the
 * thread. Callbacks are queued, and run when the thread would sleep, when a task has ended, or at the end of the run.
 *
 * So who creates a task waits for it, in the middle of its code, and the cancel of a task that waits is passed on to what
 * it waits for (CAN-4). But to create a task is no suspension point: the creator keeps its request until the next, and
 * what it creates before that is cancelled as well. */

#include "config.h"

#include <pthread.h>

#include <morrow/error.h>

#include "base/mpsc-private.h"
#include "exec/hopeless-private.h"
#include "exec/interrupt-private.h"
#include "exec/lane-private.h"
#include "exec/thread-home-private.h"

struct _MorrowInline
{
  MorrowExecutor             parent_instance;

  MorrowMpsc                 inbox;   /* any thread: callbacks */
  pthread_mutex_t            lock;
  MorrowThreadHome          *home;    /* under the lock: the run's, NULL outside one; who posts unparks it */
  gboolean                   closed;  /* under the lock: nobody can run it any more, so that nothing is queued */
};

/**
 * MorrowInline:
 *
 * The caller's own stack: a task runs to its end when it is created, and nothing runs at the same time. What the
 * other models are compared with.
 */
G_DEFINE_FINAL_TYPE (MorrowInline, morrow_inline, MORROW_TYPE_EXECUTOR)

/* On the run's thread. TRUE when there was something. */
static gboolean
run_callbacks (MorrowInline *self, gboolean closed)
{
  MorrowQueue posted = MORROW__QUEUE_INIT;
  MorrowQueueNode *node;
  gboolean any = FALSE;

  morrow__mpsc_take_all (&self->inbox, &posted);
  while ((node = morrow__queue_pop (&posted)) != NULL)
    {
      MorrowJob *job = morrow__queue_entry (node, MorrowJob, node);

      job->run (job, closed);
      any = TRUE;
    }
  return any;
}

/* Passes on to @task what its creator was asked, or got from its own creator. This goes as deep as tasks lie on the stack
 * already. */
static gboolean
inherit_from (MorrowTask *task, MorrowTask *creator)
{
  if (creator == NULL)
    return FALSE;

  inherit_from (creator, creator->creator);
  return morrow__task_inherit_request (task, creator);
}

static gboolean
inherit_request (MorrowTask *task)
{
  return inherit_from (task, task->creator);
}

/* For the tasks that wait, and for the one that yields. TRUE when there was something to pass on. */
static gboolean
inherit_requests (MorrowThreadHome *home, MorrowTask *current)
{
  gboolean any = inherit_request (current);

  for (guint i = 0; i < home->parked->len; i++)
    any |= inherit_request (g_ptr_array_index (home->parked, i));
  return any;
}

static gboolean
inline_idle (MorrowThreadHome *home)
{
  MorrowTask *current = home->home.current;
  gboolean any;

  home->home.current = NULL;                    /* callbacks run outside any task */
  any = run_callbacks (atomic_load_explicit (&home->executor, memory_order_relaxed), FALSE);
  home->home.current = current;
  return inherit_requests (home, current) || any;
}

/* What runs on this very stack, below the one that waits, goes on when that has ended. */
static gboolean
is_below (MorrowSearch *search, MorrowTask *task)
{
  return morrow__task_get_home (task) == search->owner;
}

static gboolean
needs_below (MorrowFuture *future, MorrowHome *home)
{
  MorrowSearch search = MORROW_SEARCH (is_below, FALSE, home);
  gboolean needs = morrow__search_awaited (future, &search);

  morrow__search_clear (&search);
  return needs;
}

static gboolean
inline_before (MorrowThreadHome *home, MorrowTask *task, MorrowFuture *awaited, GError **error)
{
  if (awaited == NULL || !needs_below (awaited, &home->home))
    return TRUE;

  g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_DEADLOCK,
                       "This wait would last for ever: what is awaited goes on when this task has ended");
  return FALSE;
}

static void
inline_inherit (MorrowTask *task)
{
  inherit_request (task);
}

static const MorrowBlocking blocking = { .before = inline_before, .idle = inline_idle, .yield = inline_idle, .inherit = inline_inherit };

static void
inline_post (MorrowExecutor *executor, MorrowJob *job)
{
  MorrowInline *self = MORROW_INLINE (executor);
  gboolean closed;

  pthread_mutex_lock (&self->lock);
  closed = self->closed;
  if (!closed)
    morrow__mpsc_push (&self->inbox, &job->node);
  if (self->home != NULL)
    morrow__parker_unpark (&self->home->parker);
  pthread_mutex_unlock (&self->lock);

  if (closed)
    job->run (job, TRUE);
}

static void
run_task (MorrowThreadHome *home, MorrowTask *task)
{
  task->future.outcome.pending.n_inherited = 0;
  inherit_from (task, home->home.current);
  morrow__thread_home_run (home, task);
}

static void
inline_start (MorrowExecutor *executor, MorrowFuture *future)
{
  MorrowTask *task = (MorrowTask *) future;

  morrow__task_claim (task, MORROW_TASK_QUEUED, MORROW_TASK_CLAIMED);
  if (morrow__executor_current == executor && morrow__home != NULL)
    run_task (morrow__container_of (morrow__home, MorrowThreadHome, home), task);
  else
    {
      MorrowThreadHome *home = morrow__thread_home_enter (executor, &blocking);

      run_task (home, task);
      morrow__thread_home_leave (home);
    }
  morrow_future_unref (future);
}

static void
set_home (MorrowInline *self, MorrowThreadHome *home)
{
  pthread_mutex_lock (&self->lock);
  self->home = home;
  pthread_mutex_unlock (&self->lock);
}

static void
unpark (gpointer home)
{
  morrow__parker_unpark (&((MorrowThreadHome *) home)->parker);
}

/* Until no callback is queued, and no thread works for this executor: each may make more of the other. It is asked for threads
 * again before each sleep, since one token may have been for a callback and for the last of them. */
static void
finish (MorrowInline *self, MorrowThreadHome *home)
{
  gboolean busy;

  do
    {
      while (run_callbacks (self, FALSE))
        ;
      busy = morrow__lane_is_busy (&self->parent_instance, unpark, home);
      if (busy && morrow__mpsc_is_empty (&self->inbox))
        morrow__parker_park (&home->parker);
    }
  while (busy || !morrow__mpsc_is_empty (&self->inbox));
}

static gboolean
inline_run (MorrowExecutor *executor, MorrowFuture *main, gboolean *ret_interrupted, GError **error)
{
  MorrowInline *self = MORROW_INLINE (executor);
  MorrowThreadHome *home = morrow__thread_home_enter (executor, &blocking);
  MorrowInterrupt interrupt;

  set_home (self, home);
  morrow__task_claim ((MorrowTask *) main, MORROW_TASK_LAZY, MORROW_TASK_CLAIMED);
  morrow__interrupt_begin (&interrupt, main, NULL, &home->parker);
  run_task (home, (MorrowTask *) main);
  finish (self, home);
  *ret_interrupted = morrow__interrupt_end (&interrupt);
  set_home (self, NULL);
  morrow__thread_home_leave (home);
  return TRUE;
}

static void
inline_abandon (MorrowExecutor *executor)
{
  MorrowInline *self = MORROW_INLINE (executor);

  pthread_mutex_lock (&self->lock);
  self->closed = TRUE;
  pthread_mutex_unlock (&self->lock);
  run_callbacks (self, TRUE);
}

static void
morrow_inline_finalize (GObject *object)
{
  MorrowInline *self = MORROW_INLINE (object);

  run_callbacks (self, TRUE);
  pthread_mutex_destroy (&self->lock);
  G_OBJECT_CLASS (morrow_inline_parent_class)->finalize (object);
}

static void
morrow_inline_class_init (MorrowInlineClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = morrow_inline_finalize;
  klass->post = inline_post;
  klass->start = inline_start;
  klass->run = inline_run;
  klass->abandon = inline_abandon;
}

static void
morrow_inline_init (MorrowInline *self)
{
  morrow__mpsc_init (&self->inbox);
  pthread_mutex_init (&self->lock, NULL);
}

/**
 * morrow_inline_new:
 *
 * Makes an executor that runs each task on the stack of whoever creates it. To cancel a task there cancels what it has
 * created and what has not ended, too.
 *
 * Returns: (transfer full) (type MorrowInline): an executor
 */
MorrowExecutor *
morrow_inline_new (void)
{
  return g_object_new (MORROW_TYPE_INLINE, NULL);
}
