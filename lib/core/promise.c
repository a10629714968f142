/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The write end. A promise and its future are one object: all write ends together hold one reference of it, and are
 * counted in aux. */

#include "config.h"

#include <morrow/promise.h>

#include "base/alone-private.h"
#include "base/cache-private.h"
#include "core/error-private.h"
#include "core/executor-private.h"
#include "core/future-private.h"

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

static inline MorrowFuture *
future_of (MorrowPromise *self)
{
  return (MorrowFuture *) self;
}

static void
promise_free (MorrowFuture *self)
{
  morrow__future_free (self, sizeof (MorrowFuture));
}

static MorrowFutureOps promise_ops = { .kind = "promise", .free_kind = promise_free };

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

  *ret_future = morrow__future_ref (future_of (self));
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
  morrow__fetch_add (&future_of (self)->aux, 1, memory_order_relaxed);
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
  MorrowFuture *future = future_of (self);
  guint others;

  g_return_if_fail (self != NULL);

  /* Acquire and release: the last write end sees what the others did; alone it needs no exchange, as for a future's
   * reference. */
  others = atomic_load_explicit (&future->aux, memory_order_acquire) & ~MORROW__NAMED;
  if (morrow__seldom (others != 1))
    {
      others = morrow__fetch_sub (&future->aux, 1, memory_order_acq_rel) & ~MORROW__NAMED;
      if (others != 1)
        return;
    }

  if (morrow__unlikely (!morrow__future_is_settled (future)))
    morrow__future_reject (future, g_error_new_literal (MORROW_ERROR, MORROW_ERROR_BROKEN_PROMISE,
                                                        "The promise was dropped before it was settled"));
  if (morrow__future_drop (future))
    promise_free (future);
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

  return morrow__future_ref (future_of (self));
}

/**
 * morrow_promise_resolve:
 * @self: a promise
 *
 * Settles the future without a value.
 *
 * Returns: whether it was this call that settled it
 */
gboolean
morrow_promise_resolve (MorrowPromise *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return morrow__future_resolve_bare (future_of (self));
}

/* A value without contents to copy: its type and its word are written as g_value_init () and a setter would. */
#define DEFINE_RESOLVE(name, ctype, gtype, field)                                  \
  gboolean                                                                         \
  morrow_promise_resolve_##name (MorrowPromise *self, ctype v_##name)              \
  {                                                                                \
    MorrowFuture *future = future_of (self);                                       \
    guintptr claimed;                                                              \
                                                                                   \
    g_return_val_if_fail (self != NULL, FALSE);                                    \
                                                                                   \
    claimed = morrow__future_claim (future);                                       \
    if (morrow__unlikely (claimed & MORROW__SETTLED))                              \
      return FALSE;                                                                \
    future->outcome.value.g_type = gtype;                                          \
    future->outcome.value.data[0].field = v_##name;                                \
    morrow__future_publish (future, claimed, 0);                                   \
    return TRUE;                                                                   \
  }

/**
 * morrow_promise_resolve_boolean:
 * @self: a promise
 * @v_boolean: the value
 *
 * Returns: whether it was this call that settled the future
 */
DEFINE_RESOLVE (boolean, gboolean, G_TYPE_BOOLEAN, v_int)

/**
 * morrow_promise_resolve_int:
 * @self: a promise
 * @v_int: the value
 *
 * Returns: whether it was this call that settled the future
 */
DEFINE_RESOLVE (int, gint, G_TYPE_INT, v_int)

/**
 * morrow_promise_resolve_int64:
 * @self: a promise
 * @v_int64: the value
 *
 * Returns: whether it was this call that settled the future
 */
DEFINE_RESOLVE (int64, gint64, G_TYPE_INT64, v_int64)

/**
 * morrow_promise_resolve_uint64:
 * @self: a promise
 * @v_uint64: the value
 *
 * Returns: whether it was this call that settled the future
 */
DEFINE_RESOLVE (uint64, guint64, G_TYPE_UINT64, v_uint64)

/**
 * morrow_promise_resolve_double:
 * @self: a promise
 * @v_double: the value
 *
 * Returns: whether it was this call that settled the future
 */
DEFINE_RESOLVE (double, gdouble, G_TYPE_DOUBLE, v_double)

/**
 * morrow_promise_resolve_pointer:
 * @self: a promise
 * @v_pointer: (nullable): the value
 *
 * Returns: whether it was this call that settled the future
 */
DEFINE_RESOLVE (pointer, gpointer, G_TYPE_POINTER, v_pointer)

/**
 * morrow_promise_resolve_string:
 * @self: a promise
 * @v_string: (nullable): the value, which is copied
 *
 * Returns: whether it was this call that settled the future
 */
gboolean
morrow_promise_resolve_string (MorrowPromise *self, const gchar *v_string)
{
  GValue value = G_VALUE_INIT;

  g_return_val_if_fail (self != NULL, FALSE);

  g_value_init (&value, G_TYPE_STRING);
  g_value_set_string (&value, v_string);
  return morrow__future_resolve_move (future_of (self), &value);
}

/**
 * morrow_promise_resolve_boxed:
 * @self: a promise
 * @type: the boxed type
 * @v_boxed: (nullable): the value, which is copied
 *
 * Returns: whether it was this call that settled the future
 */
gboolean
morrow_promise_resolve_boxed (MorrowPromise *self, GType type, gconstpointer v_boxed)
{
  GValue value = G_VALUE_INIT;

  g_return_val_if_fail (self != NULL && G_TYPE_IS_BOXED (type), FALSE);

  g_value_init (&value, type);
  g_value_set_boxed (&value, v_boxed);
  return morrow__future_resolve_move (future_of (self), &value);
}

/**
 * morrow_promise_resolve_object:
 * @self: a promise
 * @v_object: (nullable) (type GObject): the value, of which a reference is taken
 *
 * Returns: whether it was this call that settled the future
 */
gboolean
morrow_promise_resolve_object (MorrowPromise *self, gpointer v_object)
{
  GValue value = G_VALUE_INIT;

  g_return_val_if_fail (self != NULL && (v_object == NULL || G_IS_OBJECT (v_object)), FALSE);

  g_value_init (&value, v_object != NULL ? G_OBJECT_TYPE (v_object) : G_TYPE_OBJECT);
  g_value_set_object (&value, v_object);
  return morrow__future_resolve_move (future_of (self), &value);
}

/**
 * morrow_promise_resolve_value:
 * @self: a promise
 * @value: (nullable): the value, which is copied, or %NULL for none
 *
 * Returns: whether it was this call that settled the future
 */
gboolean
morrow_promise_resolve_value (MorrowPromise *self, const GValue *value)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return morrow__future_resolve (future_of (self), value);
}

/**
 * morrow_promise_reject:
 * @self: a promise
 * @error: (transfer full): the error
 *
 * Settles the future with an error.
 *
 * Returns: whether it was this call that settled it
 */
gboolean
morrow_promise_reject (MorrowPromise *self, GError *error)
{
  g_return_val_if_fail (self != NULL && error != NULL, FALSE);

  return morrow__future_reject (future_of (self), error);
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

  if (!morrow__future_subscribe_observer (future_of (self), &on_cancel->observer))
    on_cancel_settled (&on_cancel->observer, future_of (self));
}
