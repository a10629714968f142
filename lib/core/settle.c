/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settling a promise's future, with each type of value: by the methods, which borrow the promise, and by the verbs, which take it. Most
 * who settle have no use for it afterwards, and a call less is a fifth of what a promise costs. */

#include "config.h"

#include "core/promise-private.h"

/* Drops the promise for a verb, whose answer is @settled. */
static inline gboolean
drop_after (MorrowPromise *promise, gboolean settled)
{
  morrow__promise_drop (morrow__promise_future (promise));
  return settled;
}

/**
 * morrow_promise_resolve:
 * @self: a promise
 *
 * Settles the future without a value.
 *
 * Returns: whether it was this call that settled the future
 */
gboolean
morrow_promise_resolve (MorrowPromise *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return morrow__future_resolve_bare (morrow__promise_future (self));
}

/**
 * morrow_resolve:
 * @promise: (transfer full): a promise
 *
 * Settles the future without a value, if it has not settled, and drops the promise.
 *
 * Returns: whether it was this call that settled the future
 */
gboolean
morrow_resolve (MorrowPromise *promise)
{
  g_return_val_if_fail (promise != NULL, FALSE);

  return drop_after (promise, morrow__future_resolve_bare (morrow__promise_future (promise)));
}

/* --- numbers and pointers ---------------------------------------------------------------------------------------- */

/* A value without contents to copy: its type and its word are written as g_value_init () and a setter would. */
#define DEFINE_RESOLVE(name, ctype, gtype, field, v)                                          \
  static inline __attribute__ ((always_inline)) gboolean                                      \
  resolve_##name (MorrowFuture *future, ctype v_##name)                                       \
  {                                                                                           \
    guintptr claimed = morrow__future_claim (future);                                         \
                                                                                              \
    if (morrow__unlikely (claimed & MORROW__SETTLED))                                         \
      return FALSE;                                                                           \
    future->outcome.value.g_type = gtype;                                                     \
    future->outcome.value.data[0].field = v;                                                  \
    morrow__future_publish (future, claimed, 0);                                              \
    return TRUE;                                                                              \
  }                                                                                           \
                                                                                              \
  gboolean                                                                                    \
  morrow_promise_resolve_##name (MorrowPromise *self, ctype v_##name)                         \
  {                                                                                           \
    g_return_val_if_fail (self != NULL, FALSE);                                               \
                                                                                              \
    return resolve_##name (morrow__promise_future (self), v_##name);                          \
  }                                                                                           \
                                                                                              \
  gboolean                                                                                    \
  morrow_resolve_##name (MorrowPromise *promise, ctype v_##name)                              \
  {                                                                                           \
    g_return_val_if_fail (promise != NULL, FALSE);                                            \
                                                                                              \
    return drop_after (promise, resolve_##name (morrow__promise_future (promise), v_##name)); \
  }

/**
 * morrow_promise_resolve_boolean:
 * @self: a promise
 * @v_boolean: the value
 *
 * Returns: whether it was this call that settled the future
 */

/**
 * morrow_resolve_boolean:
 * @promise: (transfer full): a promise
 * @v_boolean: the value
 *
 * Does what morrow_promise_resolve_boolean () does, and drops the promise.
 *
 * Returns: whether it was this call that settled the future
 */
DEFINE_RESOLVE (boolean, gboolean, G_TYPE_BOOLEAN, v_int, v_boolean != FALSE)

/**
 * morrow_promise_resolve_int:
 * @self: a promise
 * @v_int: the value
 *
 * Returns: whether it was this call that settled the future
 */

/**
 * morrow_resolve_int:
 * @promise: (transfer full): a promise
 * @v_int: the value
 *
 * Does what morrow_promise_resolve_int () does, and drops the promise.
 *
 * Returns: whether it was this call that settled the future
 */
DEFINE_RESOLVE (int, gint, G_TYPE_INT, v_int, v_int)

/**
 * morrow_promise_resolve_int64:
 * @self: a promise
 * @v_int64: the value
 *
 * Returns: whether it was this call that settled the future
 */

/**
 * morrow_resolve_int64:
 * @promise: (transfer full): a promise
 * @v_int64: the value
 *
 * Does what morrow_promise_resolve_int64 () does, and drops the promise.
 *
 * Returns: whether it was this call that settled the future
 */
DEFINE_RESOLVE (int64, gint64, G_TYPE_INT64, v_int64, v_int64)

/**
 * morrow_promise_resolve_uint64:
 * @self: a promise
 * @v_uint64: the value
 *
 * Returns: whether it was this call that settled the future
 */

/**
 * morrow_resolve_uint64:
 * @promise: (transfer full): a promise
 * @v_uint64: the value
 *
 * Does what morrow_promise_resolve_uint64 () does, and drops the promise.
 *
 * Returns: whether it was this call that settled the future
 */
DEFINE_RESOLVE (uint64, guint64, G_TYPE_UINT64, v_uint64, v_uint64)

/**
 * morrow_promise_resolve_double:
 * @self: a promise
 * @v_double: the value
 *
 * Returns: whether it was this call that settled the future
 */

/**
 * morrow_resolve_double:
 * @promise: (transfer full): a promise
 * @v_double: the value
 *
 * Does what morrow_promise_resolve_double () does, and drops the promise.
 *
 * Returns: whether it was this call that settled the future
 */
DEFINE_RESOLVE (double, gdouble, G_TYPE_DOUBLE, v_double, v_double)

/**
 * morrow_promise_resolve_pointer:
 * @self: a promise
 * @v_pointer: (nullable): the value
 *
 * Returns: whether it was this call that settled the future
 */

/**
 * morrow_resolve_pointer:
 * @promise: (transfer full): a promise
 * @v_pointer: (nullable): the value
 *
 * Does what morrow_promise_resolve_pointer () does, and drops the promise.
 *
 * Returns: whether it was this call that settled the future
 */
DEFINE_RESOLVE (pointer, gpointer, G_TYPE_POINTER, v_pointer, v_pointer)

/* --- what is copied ---------------------------------------------------------------------------------------------- */

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
  return morrow__future_resolve_move (morrow__promise_future (self), &value);
}

/**
 * morrow_resolve_string:
 * @promise: (transfer full): a promise
 * @v_string: (nullable): the value, which is copied
 *
 * Does what morrow_promise_resolve_string () does, and drops the promise.
 *
 * Returns: whether it was this call that settled the future
 */
gboolean
morrow_resolve_string (MorrowPromise *promise, const gchar *v_string)
{
  g_return_val_if_fail (promise != NULL, FALSE);

  return drop_after (promise, morrow_promise_resolve_string (promise, v_string));
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
  return morrow__future_resolve_move (morrow__promise_future (self), &value);
}

/**
 * morrow_resolve_boxed:
 * @promise: (transfer full): a promise
 * @type: the boxed type
 * @v_boxed: (nullable): the value, which is copied
 *
 * Does what morrow_promise_resolve_boxed () does, and drops the promise.
 *
 * Returns: whether it was this call that settled the future
 */
gboolean
morrow_resolve_boxed (MorrowPromise *promise, GType type, gconstpointer v_boxed)
{
  g_return_val_if_fail (promise != NULL, FALSE);

  return drop_after (promise, morrow_promise_resolve_boxed (promise, type, v_boxed));
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
  return morrow__future_resolve_move (morrow__promise_future (self), &value);
}

/**
 * morrow_resolve_object:
 * @promise: (transfer full): a promise
 * @v_object: (nullable) (type GObject): the value, of which a reference is taken
 *
 * Does what morrow_promise_resolve_object () does, and drops the promise.
 *
 * Returns: whether it was this call that settled the future
 */
gboolean
morrow_resolve_object (MorrowPromise *promise, gpointer v_object)
{
  g_return_val_if_fail (promise != NULL, FALSE);

  return drop_after (promise, morrow_promise_resolve_object (promise, v_object));
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

  return morrow__future_resolve (morrow__promise_future (self), value);
}

/**
 * morrow_resolve_value:
 * @promise: (transfer full): a promise
 * @value: (nullable): the value, which is copied, or %NULL for none
 *
 * Does what morrow_promise_resolve_value () does, and drops the promise.
 *
 * Returns: whether it was this call that settled the future
 */
gboolean
morrow_resolve_value (MorrowPromise *promise, const GValue *value)
{
  g_return_val_if_fail (promise != NULL, FALSE);

  return drop_after (promise, morrow_promise_resolve_value (promise, value));
}

/**
 * morrow_promise_reject:
 * @self: a promise
 * @error: (transfer full): the error
 *
 * Settles the future with an error.
 *
 * Returns: whether it was this call that settled the future
 */
gboolean
morrow_promise_reject (MorrowPromise *self, GError *error)
{
  g_return_val_if_fail (self != NULL && error != NULL, FALSE);

  return morrow__future_reject (morrow__promise_future (self), error);
}

/**
 * morrow_reject:
 * @promise: (transfer full): a promise
 * @error: (transfer full): the error
 *
 * Does what morrow_promise_reject () does, and drops the promise.
 *
 * Returns: whether it was this call that settled the future
 */
gboolean
morrow_reject (MorrowPromise *promise, GError *error)
{
  g_return_val_if_fail (promise != NULL, FALSE);

  return drop_after (promise, morrow_promise_reject (promise, error));
}
