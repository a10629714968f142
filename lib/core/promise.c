/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The write end: its life, and who is told of a cancel. Settling is in settle.c. */

#include "config.h"

#include <morrow/promise.h>

#include "base/alone-private.h"
#include "base/cache-private.h"
#include "core/error-private.h"
#include "core/executor-private.h"
#include "core/promise-private.h"

/**
 * MorrowPromise:
 *
 * The write end of a future, for whoever does the work.
 *
 * When the last reference of a promise is dropped and its future has not settled, the future rejects with
 * %MORROW_ERROR_BROKEN_PROMISE.
 */
G_DEFINE_BOXED_TYPE (MorrowPromise, morrow_promise, morrow_promise_ref, morrow_promise_unref)

/* A morrow_promise_on_cancel (): waits for the future, and says so to the producer when it was a cancel that settled
 * it. */
typedef struct
{
  MorrowObserver  observer;   /* the future's */
  MorrowJob       job;        /* the executor's */
  MorrowWorkFunc  func;       /* immutable, as are the rest */
  gpointer        data;
  GDestroyNotify  data_free;
  MorrowExecutor *executor;   /* held */
} OnCancel;

static void
promise_free (MorrowFuture *self)
{
  morrow__future_free (self, sizeof (MorrowFuture));
}

static MorrowFutureOps promise_ops = { .kind = "promise", .free_kind = promise_free };

void
morrow__promise_break (MorrowFuture *future)
{
  morrow__future_reject (future, g_error_new_literal (MORROW_ERROR, MORROW_ERROR_BROKEN_PROMISE,
                                                      "The promise was dropped before it was settled"));
}

/* Where morrow__future_take () gives nothing. */
static G_GNUC_NO_INLINE MorrowPromise *
new_with_calls (const MorrowSite *site)
{
  MorrowFuture *future = morrow__future_alloc (sizeof (MorrowFuture), &promise_ops);

  morrow__future_init_with (future, &promise_ops, site, 1, 1);
  return (MorrowPromise *) future;
}

static G_GNUC_NO_INLINE MorrowPromise *
new_with_future_and_calls (MorrowFuture **ret_future, const MorrowSite *site)
{
  MorrowPromise *self = new_with_calls (site);

  *ret_future = morrow__future_ref (morrow__promise_future (self));
  return self;
}

/**
 * morrow_promise_new_at: (skip)
 * @site: (nullable): where it is made; of static storage
 *
 * What the macro morrow_promise_new () calls.
 *
 * Returns: (transfer full): a promise whose future is pending
 */
MorrowPromise *
morrow_promise_new_at (const MorrowSite *site)
{
  MorrowFuture *future = morrow__future_take (sizeof (MorrowFuture), &promise_ops);

  if (morrow__unlikely (future == NULL))
    return new_with_calls (site);

  morrow__future_init_with (future, &promise_ops, site, 1, 1);
  return (MorrowPromise *) future;
}

/**
 * morrow_promise_new:
 *
 * Makes a promise.
 *
 * Returns: (transfer full): a promise whose future is pending
 */
MorrowPromise *
(morrow_promise_new) (void)
{
  return morrow_promise_new_at (NULL);
}

/**
 * morrow_promise_new_with_future_at: (skip)
 * @ret_future: (out) (transfer full): the future that the promise settles
 * @site: (nullable): where it is made; of static storage
 *
 * What the macro morrow_promise_new_with_future () calls.
 *
 * Returns: (transfer full): a promise
 */
MorrowPromise *
morrow_promise_new_with_future_at (MorrowFuture **ret_future, const MorrowSite *site)
{
  MorrowFuture *future;

  g_return_val_if_fail (ret_future != NULL, NULL);

  future = morrow__future_take (sizeof (MorrowFuture), &promise_ops);
  if (morrow__unlikely (future == NULL))
    return new_with_future_and_calls (ret_future, site);

  morrow__future_init_with (future, &promise_ops, site, 2, 1);
  *ret_future = future;
  return (MorrowPromise *) future;
}

/**
 * morrow_promise_new_with_future:
 * @ret_future: (out) (transfer full): the future that the promise settles
 *
 * Makes a promise, and gives both of its ends.
 *
 * Returns: (transfer full): a promise
 */
MorrowPromise *
(morrow_promise_new_with_future) (MorrowFuture **ret_future)
{
  return morrow_promise_new_with_future_at (ret_future, NULL);
}

/**
 * morrow_promise_ref:
 * @self: a promise
 *
 * Returns: (transfer full): @self
 */
MorrowPromise *
morrow_promise_ref (MorrowPromise *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  /* Relaxed: as for a future's reference. */
  morrow__fetch_add (&morrow__promise_future (self)->aux, 1, memory_order_relaxed);
  return self;
}

/**
 * morrow_promise_unref:
 * @self: (transfer full): a promise
 *
 * Drops a reference. With the last one a pending future rejects with %MORROW_ERROR_BROKEN_PROMISE.
 */
void
morrow_promise_unref (MorrowPromise *self)
{
  g_return_if_fail (self != NULL);

  morrow__promise_drop (morrow__promise_future (self));
}

/**
 * morrow_promise_get_future:
 * @self: a promise
 *
 * Gives the read end.
 *
 * Returns: (transfer full): the future that @self settles
 */
MorrowFuture *
morrow_promise_get_future (MorrowPromise *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return morrow__future_ref (morrow__promise_future (self));
}

/* --- telling the producer ---------------------------------------------------------------------------------------- */

static void
on_cancel_free (OnCancel *self)
{
  if (self->data_free != NULL)
    self->data_free (self->data);
  morrow__executor_release (self->executor);
  morrow__cache_free (sizeof (OnCancel), self);
}

static void
on_cancel_run (MorrowJob *job, gboolean closed)
{
  OnCancel *self = G_STRUCT_MEMBER_P (job, -(glong) G_STRUCT_OFFSET (OnCancel, job));

  if (self->func != NULL && !closed)
    self->func (self->data);
  on_cancel_free (self);
}

/* The future has settled: the function runs only when that was a cancel; the data goes where the function would have
 * run. */
static void
on_cancel_settled (MorrowObserver *observer, MorrowFuture *future)
{
  OnCancel *self = (OnCancel *) observer;

  if (!(morrow__future_peek (future) & MORROW__CANCELLED))
    self->func = NULL;

  if (self->func == NULL && self->data_free == NULL)
    on_cancel_free (self);
  else
    morrow__executor_post (self->executor, &self->job);
}

/**
 * morrow_promise_on_cancel:
 * @self: a promise
 * @func: (scope notified) (closure data) (destroy data_free): what to do when the future is cancelled
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, where @func runs, after it or instead of it
 *
 * Tells the producer when nobody wants the result any more: the future has settled with %G_IO_ERROR_CANCELLED by
 * then, and the work may be dropped.
 *
 * @func runs where this was called: on that executor; from a plain thread, on its thread-default #GMainContext. Never
 * inside the call that cancels. It does not count as somebody who waits.
 */
void
morrow_promise_on_cancel (MorrowPromise *self, MorrowWorkFunc func, gpointer data, GDestroyNotify data_free)
{
  OnCancel *on_cancel;

  g_return_if_fail (self != NULL && func != NULL);

  on_cancel = morrow__cache_alloc (sizeof (OnCancel));
  *on_cancel = (OnCancel) {
    .observer = MORROW_OBSERVER (on_cancel_settled),
    .job.run = on_cancel_run,
    .func = func,
    .data = data,
    .data_free = data_free,
    .executor = morrow__executor_hold_for_callback (),
  };

  if (!morrow__future_subscribe_observer (morrow__promise_future (self), &on_cancel->observer))
    on_cancel_settled (&on_cancel->observer, morrow__promise_future (self));
}
