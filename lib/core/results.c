/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The results of a gather are its futures: settled, in the order of the arguments, and read through the same getters. They lie in
 * its memory: see combine-private.h. */

#include "config.h"

#include "base/cache-private.h"
#include "core/combine-private.h"
#include "core/relay-private.h"

struct _MorrowResults
{
  MorrowCombine whole;
};

/**
 * MorrowResults:
 *
 * What a gather gives: for each argument, in the order of the arguments, a value or an error.
 */
G_DEFINE_BOXED_TYPE (MorrowResults, morrow_results, morrow_results_ref, morrow_results_unref)

/**
 * morrow_results_ref:
 * @self: results
 *
 * Returns: (transfer full): @self
 */
MorrowResults *
morrow_results_ref (MorrowResults *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  /* Relaxed: the caller has a reference. */
  atomic_fetch_add_explicit (&self->whole.result_refs, 1, memory_order_relaxed);
  return self;
}

/* The whole was freed before, since it had a reference: its memory is what is left. */
static void
results_free (MorrowFuture *first, gpointer data)
{
  MorrowCombine *whole = data;

  morrow__combine_drop_children (whole);
  morrow__cache_free (morrow__combine_size (whole->n), whole);
}

/**
 * morrow_results_unref:
 * @self: (transfer full): results
 *
 * Drops a reference.
 */
void
morrow_results_unref (MorrowResults *self)
{
  g_return_if_fail (self != NULL);

  /* Acquire and release: pairs with itself, so that the last sees what all others did. */
  if (atomic_fetch_sub_explicit (&self->whole.result_refs, 1, memory_order_acq_rel) > 1)
    return;

  if (self->whole.n > 0)
    morrow__relay_drop (results_free, self->whole.children[0], self);
  else
    results_free (NULL, self);
}

/**
 * morrow_results_get_n:
 * @self: results
 *
 * Returns: how many there are
 */
gsize
morrow_results_get_n (MorrowResults *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->whole.n;
}

/**
 * morrow_results_get_future:
 * @self: results
 * @i: which, from 0
 *
 * Returns: (transfer none): the settled future at @i
 */
MorrowFuture *
morrow_results_get_future (MorrowResults *self, gsize i)
{
  g_return_val_if_fail (self != NULL && i < self->whole.n, NULL);

  return self->whole.children[i];
}

/**
 * morrow_results_get_error:
 * @self: results
 * @i: which, from 0
 *
 * Returns: (transfer none) (nullable): the error at @i; %NULL when there is a value
 */
const GError *
morrow_results_get_error (MorrowResults *self, gsize i)
{
  g_return_val_if_fail (self != NULL && i < self->whole.n, NULL);

  return morrow_future_get_error (self->whole.children[i]);
}

/**
 * morrow_results_get_value:
 * @self: results
 * @i: which, from 0
 *
 * Returns: (transfer none) (nullable): the value at @i, unset when it has none; %NULL when there is an error
 */
const GValue *
morrow_results_get_value (MorrowResults *self, gsize i)
{
  g_return_val_if_fail (self != NULL && i < self->whole.n, NULL);

  return morrow_future_get_value (self->whole.children[i], NULL);
}

#define DEFINE_GETTER(name, ctype, none)                                      \
  ctype                                                                       \
  morrow_results_get_##name (MorrowResults *self, gsize i)                    \
  {                                                                           \
    g_return_val_if_fail (self != NULL && i < self->whole.n, none);           \
    return morrow_future_get_##name (self->whole.children[i]);                \
  }

/**
 * morrow_results_get_boolean:
 * @self: results
 * @i: which, from 0
 *
 * Returns: the value at @i; %FALSE when there is none
 */
DEFINE_GETTER (boolean, gboolean, FALSE)

/**
 * morrow_results_get_int:
 * @self: results
 * @i: which, from 0
 *
 * Returns: the value at @i; 0 when there is none
 */
DEFINE_GETTER (int, gint, 0)

/**
 * morrow_results_get_int64:
 * @self: results
 * @i: which, from 0
 *
 * Returns: the value at @i; 0 when there is none
 */
DEFINE_GETTER (int64, gint64, 0)

/**
 * morrow_results_get_uint64:
 * @self: results
 * @i: which, from 0
 *
 * Returns: the value at @i; 0 when there is none
 */
DEFINE_GETTER (uint64, guint64, 0)

/**
 * morrow_results_get_double:
 * @self: results
 * @i: which, from 0
 *
 * Returns: the value at @i; 0 when there is none
 */
DEFINE_GETTER (double, gdouble, 0)

/**
 * morrow_results_get_string:
 * @self: results
 * @i: which, from 0
 *
 * Returns: (transfer none) (nullable): the string at @i; %NULL when there is none
 */
DEFINE_GETTER (string, const gchar *, NULL)

/**
 * morrow_results_get_pointer:
 * @self: results
 * @i: which, from 0
 *
 * Returns: (transfer none) (nullable): the pointer at @i; %NULL when there is none
 */
DEFINE_GETTER (pointer, gpointer, NULL)

/**
 * morrow_results_get_boxed: (skip)
 * @self: results
 * @i: which, from 0
 *
 * Returns: (transfer none) (nullable): the boxed value at @i; %NULL when there is none
 */
DEFINE_GETTER (boxed, gpointer, NULL)

/**
 * morrow_results_get_object:
 * @self: results
 * @i: which, from 0
 *
 * Returns: (transfer none) (nullable) (type GObject): the object at @i; %NULL when there is none
 */
DEFINE_GETTER (object, gpointer, NULL)
