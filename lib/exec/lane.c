/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Blocking work has a lane of its own: threads apart from GTask's, from the executors' and from each other's lanes,
 * so that a slow resolver cannot stop a file read. A run waits, at its end, for what was given to the lane from its
 * executor. */

#include "config.h"

#include <pthread.h>

#include <morrow/error.h>
#include <morrow/task.h>

#include "base/cache-private.h"
#include "core/future-private.h"
#include "exec/lane-private.h"

#define MAX_THREADS 64

typedef struct
{
  MorrowFuture        future;
  MorrowCoroutineFunc func;        /* immutable, as are the next three */
  gpointer            data;
  GDestroyNotify      data_free;
  const char         *func_name;
  MorrowExecutor     *executor;    /* held while it runs: where it was started */
  atomic_uint         started;     /* any thread: an exchange with STARTED decides who starts it, then HANDED_OVER */
} Work;

enum
{
  NOT_STARTED,
  STARTED,
  HANDED_OVER
};

static pthread_mutex_t lane_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t lane_ended = PTHREAD_COND_INITIALIZER;           /* with lane_lock: some work has ended */
static pthread_once_t lane_once = PTHREAD_ONCE_INIT;
static GThreadPool *lane;          /* made once */
static GHashTable *lane_running;   /* under lane_lock: executor to Running, for those that have works here */

/* The works of one executor; under lane_lock. */
typedef struct
{
  guint    n;
  void   (*wake) (gpointer joiner);   /* when there is none left; or NULL */
  gpointer joiner;                    /* borrowed */
} Running;

/* --- counting, for the runs that wait ---------------------------------------------------------------------------- */

static void
count_started (MorrowExecutor *executor)
{
  Running *running;

  if (executor == NULL)
    return;

  pthread_mutex_lock (&lane_lock);
  if (lane_running == NULL)
    lane_running = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  running = g_hash_table_lookup (lane_running, executor);
  if (running == NULL)
    {
      running = g_new0 (Running, 1);
      g_hash_table_insert (lane_running, executor, running);
    }
  running->n++;
  pthread_mutex_unlock (&lane_lock);
}

static void
count_ended (MorrowExecutor *executor)
{
  Running *running;

  if (executor == NULL)
    return;

  pthread_mutex_lock (&lane_lock);
  running = g_hash_table_lookup (lane_running, executor);
  if (--running->n == 0)
    {
      if (running->wake != NULL)
        running->wake (running->joiner);   /* it is there: it has yet to find out, under this lock */
      g_hash_table_remove (lane_running, executor);
      pthread_cond_broadcast (&lane_ended);
    }
  pthread_mutex_unlock (&lane_lock);
}

gboolean
morrow__lane_join (MorrowExecutor *executor)
{
  gboolean waited = FALSE;

  pthread_mutex_lock (&lane_lock);
  while (lane_running != NULL && g_hash_table_contains (lane_running, executor))
    {
      pthread_cond_wait (&lane_ended, &lane_lock);
      waited = TRUE;
    }
  pthread_mutex_unlock (&lane_lock);

  return waited;
}

gboolean
morrow__lane_is_busy (MorrowExecutor *executor, void (*wake) (gpointer joiner), gpointer joiner)
{
  Running *running;

  pthread_mutex_lock (&lane_lock);
  running = lane_running != NULL ? g_hash_table_lookup (lane_running, executor) : NULL;
  if (running != NULL)
    {
      running->wake = wake;
      running->joiner = joiner;
    }
  pthread_mutex_unlock (&lane_lock);

  return running != NULL;
}

/* --- the work ---------------------------------------------------------------------------------------------------- */

static void
work_free (MorrowFuture *future)
{
  Work *self = (Work *) future;

  if (!atomic_load_explicit (&self->started, memory_order_relaxed) && self->data_free != NULL)
    self->data_free (self->data);
  morrow__future_clear (future);
  morrow__cache_free (sizeof (Work), self);
}

static void
work_do (Work *self)
{
  GValue result = G_VALUE_INIT;
  GError *error = NULL;
  gboolean ok = self->func (self->data, &result, &error);

  if (G_UNLIKELY (ok != (error == NULL)))
    g_critical ("'%s', on a thread, returned %s", self->func_name != NULL ? self->func_name : "?",
                ok ? "TRUE with an error" : "FALSE without an error");

  if (ok && error == NULL)
    {
      morrow__future_resolve_move (&self->future, &result);
    }
  else
    {
      if (G_IS_VALUE (&result))
        g_value_unset (&result);
      if (error == NULL)
        error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "It failed without saying why");
      morrow__future_reject (&self->future, error);
    }
}

/* On a thread of the lane. What was cancelled while it was queued is not done. */
static void
work_run (gpointer data, gpointer unused)
{
  Work *self = data;
  MorrowExecutor *executor;

  /* Acquire: pairs with the release in work_start (). GLib's queue orders as much, but no tool can see that. */
  if (atomic_load_explicit (&self->started, memory_order_acquire) != HANDED_OVER)
    g_assert_not_reached ();

  executor = self->executor;
  if (!morrow__future_is_settled (&self->future))
    work_do (self);
  if (self->data_free != NULL)
    self->data_free (self->data);

  morrow_future_unref (&self->future);
  count_ended (executor);
  if (executor != NULL)
    morrow__executor_release (executor);
}

static void
make_lane (void)
{
  lane = g_thread_pool_new (work_run, NULL, MAX_THREADS, FALSE, NULL);
}

static void
work_start (MorrowFuture *future, MorrowExecutor *executor)
{
  Work *self = (Work *) future;

  if (morrow__future_is_settled (future) || atomic_exchange_explicit (&self->started, STARTED, memory_order_relaxed))
    return;

  pthread_once (&lane_once, make_lane);
  self->executor = executor;
  if (executor != NULL)
    morrow__executor_hold (executor);
  count_started (executor);
  morrow__future_ref (future);

  /* When no thread can be had now, the work stays queued until one can. */
  atomic_store_explicit (&self->started, HANDED_OVER, memory_order_release);   /* pairs with the acquire in work_run () */
  g_thread_pool_push (lane, self, NULL);
}

static const MorrowFutureOps work_ops = { .kind = "thread", .start = work_start, .free_kind = work_free };

/**
 * morrow_to_thread_at: (skip)
 * @func: (scope notified) (closure data) (destroy data_free): what to run
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, on the thread, after @func
 * @func_name: (nullable): what to call it, a string that lives as long as the program
 * @site: (nullable): where it is made, likewise
 *
 * What the macro morrow_to_thread () calls.
 *
 * Returns: (transfer full): a pending future
 */
MorrowFuture *
morrow_to_thread_at (MorrowCoroutineFunc func, gpointer data, GDestroyNotify data_free, const gchar *func_name, const gchar *site)
{
  Work *self;

  g_return_val_if_fail (func != NULL, NULL);

  self = morrow__cache_alloc (sizeof (Work));
  morrow__future_init (&self->future, &work_ops, site);
  self->func = func;
  self->data = data;
  self->data_free = data_free;
  self->func_name = func_name;
  self->executor = NULL;
  atomic_init (&self->started, NOT_STARTED);
  return &self->future;
}

/**
 * morrow_to_thread: (skip)
 * @func: (scope notified) (closure data) (destroy data_free): what to run; it must not await
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, on the thread, after @func
 *
 * Runs @func on a thread for blocking work, under every executor. asyncio's `to_thread()`: lazy, as a coroutine is.
 *
 * Cancelled, the future settles at once: a thread that runs already runs on and its result is dropped; what waits for a
 * thread is not done. The end of a run waits for such threads.
 *
 * Returns: (transfer full): a future of what @func returns
 */
MorrowFuture *
(morrow_to_thread) (MorrowCoroutineFunc func, gpointer data, GDestroyNotify data_free)
{
  return morrow_to_thread_at (func, data, data_free, NULL, NULL);
}
