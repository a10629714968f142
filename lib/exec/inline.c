/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sequential baseline: a task runs to its end, on the caller's stack, when it is created. What waits blocks the
 * thread. Callbacks are queued, and run when the thread would sleep, when it yields, or at the end of the run.
 *
 * So who creates a task waits for it, in the middle of its code, and the cancel of a task that waits is passed on to what
 * it waits for (CAN-4). But to create a task is no suspension point: the creator keeps its request until the next, and
 * what it creates before that is cancelled as well.
 *
 * A task that a settling starts, the next of a gather with a limit, has no creator who waits for it, and who settles may be
 * any thread, in the middle of anything: it is queued as callbacks are.
 *
 * What is queued is the business of the run's thread, while there is a run. Outside one it is that of whoever spawned
 * something, until that has ended. */

#include "config.h"

#include <pthread.h>

#include <morrow/error.h>

#include "base/fork-private.h"
#include "core/relay-private.h"
#include "exec/hopeless-private.h"
#include "exec/interrupt-private.h"
#include "exec/lane-private.h"
#include "exec/thread-home-private.h"

struct _MorrowInline
{
  MorrowExecutor  parent_instance;

  /* Under the lock. */
  MorrowQueue     posted;      /* callbacks, and tasks that a settling has started */
  atomic_uint     n_posted;    /* any thread may look, relaxed: who posts unparks the homes afterwards */
  GPtrArray      *homes;       /* MorrowThreadHome, those that tasks run on here; borrowed */
  GThread        *run_thread;  /* the run's, NULL outside one */
  gboolean        sweeping;    /* the run's main has ended */
  gboolean        closed;      /* nobody can run it any more, so that nothing is queued */
};

/**
 * MorrowInline:
 *
 * The caller's own stack: a task runs to its end when it is created, and nothing runs at the same time. What the
 * other models are compared with.
 *
 * A task that is started as another future settles, the next of a gather with a limit, runs when the thread of the run would
 * sleep, when a task yields there, or when main has ended.
 *
 * As on a #MorrowThreadPool, no main context is turned.
 */
G_DEFINE_FINAL_TYPE (MorrowInline, morrow_inline, MORROW_TYPE_EXECUTOR)

/* One for all of them, since fork () takes it: a child settles what has callbacks here, and a task that forks goes on with what
 * is queued. Who spawns outside a run has passed the lock of all homes just before. */
MORROW__FORK_LOCK (inline_lock)

/* Passes on to @task what its creator was asked, or got from its own creator. This goes as deep as tasks lie on the stack
 * already. */
static gboolean
inherit_from (MorrowTask *task, MorrowTask *creator)
{
  if (creator == NULL)
    return FALSE;

  inherit_from (creator, morrow__task_get_frame (creator)->creator);
  return morrow__task_inherit_request (task, creator);
}

static gboolean
inherit_request (MorrowTask *task)
{
  return inherit_from (task, morrow__task_get_frame (task)->creator);
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

/* --- what is queued ---------------------------------------------------------------------------------------------- */

/* What is queued is this thread's business. Under the lock. */
static gboolean
is_mine (MorrowInline *self)
{
  return self->run_thread == NULL || self->run_thread == g_thread_self ();
}

/* Here the end of a run is waited for. */
static gboolean
is_sweeping (MorrowInline *self)
{
  gboolean sweeping;

  pthread_mutex_lock (&inline_lock);
  sweeping = self->sweeping && is_mine (self);
  pthread_mutex_unlock (&inline_lock);
  return sweeping;
}

/* The job of a task that a settling has started. */
static void
start_queued (MorrowJob *job, gboolean closed)
{
  MorrowTask *task = morrow__task_of_job (job);

  morrow__task_claim (task, MORROW_TASK_QUEUED, MORROW_TASK_CLAIMED);
  if (closed)
    morrow__task_abandon (task, morrow__executor_closed_error ());
  else
    {
      if (is_sweeping ((MorrowInline *) morrow__executor_current))
        morrow__task_sweep (task);
      morrow__thread_home_run (morrow__thread_home_here (), task);
    }
  morrow_future_unref (&task->future);
}

/* A callback runs outside any task, though perhaps on the stack of one. A task has that one for its creator: one that yields
 * cannot be given its cancel before. */
static void
run_job (MorrowThreadHome *home, MorrowJob *job)
{
  MorrowTask *current = home->home.current;

  if (job->run != start_queued)
    home->home.current = NULL;
  job->run (job, FALSE);
  home->home.current = current;
}

static gboolean
has_posted (MorrowInline *self)
{
  return atomic_load_explicit (&self->n_posted, memory_order_relaxed) > 0;
}

/* NULL when there is none, or, unless @anybody may, when it is another's business. One at a time: it may wait for the next. */
static MorrowJob *
take_posted (MorrowInline *self, gboolean anybody)
{
  MorrowQueueNode *node = NULL;

  if (!has_posted (self))
    return NULL;

  pthread_mutex_lock (&inline_lock);
  if (anybody || is_mine (self))
    node = morrow__queue_pop (&self->posted);
  if (node != NULL)
    atomic_fetch_sub_explicit (&self->n_posted, 1, memory_order_relaxed);
  pthread_mutex_unlock (&inline_lock);
  return node != NULL ? morrow__queue_entry (node, MorrowJob, node) : NULL;
}

/* TRUE when there was something. */
static gboolean
run_posted (MorrowInline *self, MorrowThreadHome *home)
{
  gboolean any = FALSE;
  MorrowJob *job;

  while ((job = take_posted (self, FALSE)) != NULL)
    {
      run_job (home, job);
      any = TRUE;
    }
  return any;
}

/* Nobody can run it any more. */
static void
drop_posted (MorrowInline *self)
{
  MorrowJob *job;

  while ((job = take_posted (self, TRUE)) != NULL)
    job->run (job, TRUE);
}

static void
unpark (gpointer home)
{
  morrow__parker_unpark (&((MorrowThreadHome *) home)->parker);
}

/* Under the lock. One of them may take what is queued: each looks whether it is the one. */
static void
unpark_homes (MorrowInline *self)
{
  for (guint i = 0; i < self->homes->len; i++)
    unpark (g_ptr_array_index (self->homes, i));
}

static void
inline_post (MorrowExecutor *executor, MorrowJob *job)
{
  MorrowInline *self = MORROW_INLINE (executor);
  gboolean closed;

  pthread_mutex_lock (&inline_lock);
  closed = self->closed;
  if (!closed)
    {
      morrow__queue_push (&self->posted, &job->node);
      atomic_fetch_add_explicit (&self->n_posted, 1, memory_order_relaxed);
      unpark_homes (self);
    }
  pthread_mutex_unlock (&inline_lock);

  if (closed)
    job->run (job, TRUE);
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

static gboolean
inline_idle (MorrowThreadHome *home)
{
  gboolean any = run_posted (atomic_load_explicit (&home->executor, memory_order_relaxed), home);

  return inherit_requests (home, home->home.current) || any;
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

/* --- running ----------------------------------------------------------------------------------------------------- */

static MorrowThreadHome *
enter (MorrowInline *self)
{
  MorrowThreadHome *home = morrow__thread_home_enter (&self->parent_instance, &blocking);

  pthread_mutex_lock (&inline_lock);
  g_ptr_array_add (self->homes, home);
  pthread_mutex_unlock (&inline_lock);
  return home;
}

static void
leave (MorrowInline *self, MorrowThreadHome *home)
{
  pthread_mutex_lock (&inline_lock);
  g_ptr_array_remove_fast (self->homes, home);
  pthread_mutex_unlock (&inline_lock);
  morrow__thread_home_leave (home);
}

/* On a thread that runs nothing else here: what @task has queued, or others meanwhile, is seen to before it leaves. The
 * executor is held, since the task may drop the caller's reference. */
static void
run_outside (MorrowInline *self, MorrowTask *task)
{
  MorrowThreadHome *home;

  morrow__executor_hold (&self->parent_instance);
  home = enter (self);
  morrow__thread_home_run (home, task);
  run_posted (self, home);
  leave (self, home);
  morrow__executor_release (&self->parent_instance);
}

static void
inline_start (MorrowExecutor *executor, MorrowFuture *future)
{
  MorrowTask *task = (MorrowTask *) future;

  if (morrow__unlikely (morrow__relay.depth > 0))
    {
      task->job.run = start_queued;
      inline_post (executor, &task->job);
      return;
    }

  morrow__task_claim (task, MORROW_TASK_QUEUED, MORROW_TASK_CLAIMED);
  if (morrow__executor_current == executor && morrow__home != NULL)
    morrow__thread_home_run (morrow__container_of (morrow__home, MorrowThreadHome, home), task);
  else
    run_outside (MORROW_INLINE (executor), task);
  morrow_future_unref (future);
}

/* Begins a run, its sweep, or, where @thread is NULL, ends it: then others who wait here have to see to what is queued. */
static void
set_run (MorrowInline *self, GThread *thread, gboolean sweeping)
{
  pthread_mutex_lock (&inline_lock);
  self->run_thread = thread;
  self->sweeping = sweeping;
  unpark_homes (self);
  pthread_mutex_unlock (&inline_lock);
}

/* Until nothing is queued, and no thread works for this executor: each may make more of the other. It is asked for threads
 * again before each sleep, since one token may have been for a callback and for the last of them. */
static void
finish (MorrowInline *self, MorrowThreadHome *home)
{
  gboolean busy;

  set_run (self, g_thread_self (), TRUE);
  do
    {
      run_posted (self, home);
      busy = morrow__lane_is_busy (&self->parent_instance, unpark, home);
      if (busy && !has_posted (self))
        morrow__parker_park (&home->parker);
    }
  while (busy || has_posted (self));
}

static gboolean
inline_run (MorrowExecutor *executor, MorrowFuture *main, gboolean *ret_interrupted, GError **error)
{
  MorrowInline *self = MORROW_INLINE (executor);
  MorrowThreadHome *home = enter (self);
  MorrowInterrupt interrupt;

  set_run (self, g_thread_self (), FALSE);
  morrow__task_claim ((MorrowTask *) main, MORROW_TASK_LAZY, MORROW_TASK_CLAIMED);
  morrow__interrupt_begin (&interrupt, main, NULL, &home->parker);
  morrow__thread_home_run (home, (MorrowTask *) main);
  finish (self, home);
  *ret_interrupted = morrow__interrupt_end (&interrupt);
  set_run (self, NULL, FALSE);
  leave (self, home);
  return TRUE;
}

static void
inline_end (MorrowExecutor *executor)
{
  MorrowInline *self = MORROW_INLINE (executor);

  pthread_mutex_lock (&inline_lock);
  self->closed = TRUE;
  pthread_mutex_unlock (&inline_lock);
  drop_posted (self);
}

static void
morrow_inline_finalize (GObject *object)
{
  MorrowInline *self = MORROW_INLINE (object);

  g_ptr_array_unref (self->homes);
  G_OBJECT_CLASS (morrow_inline_parent_class)->finalize (object);
}

static void
morrow_inline_class_init (MorrowInlineClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = morrow_inline_finalize;
  klass->post = inline_post;
  klass->start = inline_start;
  klass->run = inline_run;
  klass->arrange_end = morrow__lane_arrange_end;
  klass->end = inline_end;
}

static void
morrow_inline_init (MorrowInline *self)
{
  morrow__queue_init (&self->posted);
  self->homes = g_ptr_array_new ();
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
