/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A future of what a thread for blocking work makes of a function. */

#include "config.h"

#include <morrow/error.h>
#include <morrow/task.h>

#include "base/cache-private.h"
#include "core/future-private.h"
#include "core/relay-private.h"
#include "exec/lane-private.h"

typedef struct
{
  MorrowFuture        future;
  MorrowErrand        errand;      /* the lane's, once it is started */
  MorrowCoroutineFunc func;        /* immutable, as are the next two */
  gpointer            data;
  GDestroyNotify      data_free;
} Work;

static void
release_data (Work *self)
{
  if (self->data_free != NULL)
    self->data_free (self->data);
}

static const char *
get_func_name (Work *self)
{
  const char *name = morrow__future_get_func_name (&self->future);

  return name != NULL ? name : "?";
}

static void
warn_never_awaited (Work *self)
{
  const char *location = morrow__future_get_location (&self->future);

  g_log_structured (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                    "MORROW_SITE", location != NULL ? location : "",
                    "MESSAGE", "'%s', for a thread, was never awaited, made at %s",
                    get_func_name (self), location != NULL ? location : "?");
}

static void
release_lazy (MorrowFuture *future, gpointer data)
{
  Work *self = (Work *) future;

  if (!morrow__future_is_settled (future))
    warn_never_awaited (self);
  release_data (self);
  morrow__future_settle_cancelled (future, NULL);
}

/* Nobody has started it: as free_lazy () of task.c. */
static void
free_lazy (Work *self)
{
  /* Relaxed, both: nobody else can reach it. */
  atomic_fetch_and_explicit (&self->future.aux, ~MORROW__LAZY, memory_order_relaxed);
  atomic_store_explicit (&self->future.ref_count, 1, memory_order_relaxed);
  morrow__relay_release (release_lazy, &self->future);
  morrow_future_unref (&self->future);
}

static void
work_free (MorrowFuture *future)
{
  Work *self = (Work *) future;

  if (morrow__unlikely (atomic_load_explicit (&future->aux, memory_order_relaxed) & MORROW__LAZY))
    {
      free_lazy (self);
      return;
    }

  morrow__future_free (future, sizeof (Work));
}

/* Sees to it that what comes back is a result or an error and not both. */
static gboolean
call_func (Work *self, GValue *result, GError **error)
{
  gboolean ok = self->func (self->data, result, error);

  if (morrow__unlikely (!ok != (*error != NULL)))
    g_critical ("'%s', on a thread, returned %s", get_func_name (self),
                ok ? "TRUE with an error" : "FALSE without an error");
  if (ok && *error == NULL)
    return TRUE;

  if (G_IS_VALUE (result))
    g_value_unset (result);
  if (*error == NULL)
    *error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "It failed without saying why");
  return FALSE;
}

/* On a thread of the lane. */
static void
work_run (MorrowJob *job, gboolean closed)
{
  Work *self = G_STRUCT_MEMBER_P (job, -(glong) G_STRUCT_OFFSET (Work, errand.job));
  GValue result = G_VALUE_INIT;
  GError *error = NULL;

  if (morrow__future_is_settled (&self->future))
    release_data (self);                         /* cancelled while it was queued */
  else
    {
      gboolean ok = call_func (self, &result, &error);

      release_data (self);
      if (ok)
        morrow__future_resolve_move (&self->future, &result);
      else
        morrow__future_reject (&self->future, error);
    }
  morrow_future_unref (&self->future);
}

static void
work_start (MorrowFuture *future, MorrowExecutor *executor)
{
  Work *self = (Work *) future;
  GError *error = NULL;

  /* The exchange decides who starts it. */
  if (morrow__future_is_settled (future) ||
      !(atomic_fetch_and_explicit (&future->aux, ~MORROW__LAZY, memory_order_relaxed) & MORROW__LAZY))
    return;

  self->errand.job.run = work_run;
  self->errand.executor = executor;
  morrow__future_ref (future);
  if (morrow__lane_push (&self->errand, &error))
    return;

  release_data (self);
  morrow__future_reject (future, g_error_new (MORROW_ERROR, MORROW_ERROR_NO_THREAD, "No thread could be had for blocking work: %s", error->message));
  g_error_free (error);
  morrow_future_unref (future);
}

static MorrowFutureOps work_ops = { .kind = "thread", .start = work_start, .free_kind = work_free, .settles_itself = TRUE };

/**
 * morrow_to_thread_at: (skip)
 * @func: (scope notified) (closure data) (destroy data_free): what to run
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, on the thread, after @func; where it is dropped, if nobody started it
 * @site: (nullable): where it is made; of static storage
 *
 * What the macro morrow_to_thread () calls.
 *
 * Returns: (transfer full): a pending future
 */
MorrowFuture *
morrow_to_thread_at (MorrowCoroutineFunc func, gpointer data, GDestroyNotify data_free, const MorrowSite *site)
{
  Work *self;

  g_return_val_if_fail (func != NULL, NULL);

  self = morrow__cache_alloc (sizeof (Work));
  morrow__future_init (&self->future, &work_ops, site);
  self->func = func;
  self->data = data;
  self->data_free = data_free;
  atomic_init (&self->future.aux, MORROW__LAZY);
  return &self->future;
}

/**
 * morrow_to_thread: (skip)
 * @func: (scope notified) (closure data) (destroy data_free): what to run; it must not await
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, on the thread, after @func; where it is dropped, if nobody started it
 *
 * Runs @func on a thread for blocking work, under every executor. asyncio's `to_thread()`: lazy, as a coroutine is, and
 * it warns as one does when it is dropped before it has started.
 *
 * Cancelled, the future settles at once; @func is not run if it has not begun, and where it has, the thread runs on
 * and its result is dropped. The end of a run waits for such threads. Where no thread can be had, the future rejects
 * with %MORROW_ERROR_NO_THREAD.
 *
 * Returns: (transfer full): a future of what @func returns
 */
MorrowFuture *
(morrow_to_thread) (MorrowCoroutineFunc func, gpointer data, GDestroyNotify data_free)
{
  return morrow_to_thread_at (func, data, data_free, NULL);
}
