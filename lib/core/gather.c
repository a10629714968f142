/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* all, any, race and gather as programs call them: a list, an array whose futures are taken, and one whose futures are
 * borrowed. What they do is told in combine.c. */

#include "config.h"

#include <stdarg.h>

#include <morrow/combine.h>
#include <morrow/error.h>

#include "core/combine-private.h"

static gboolean
futures_are_valid (MorrowFuture *const *futures, gsize n_futures)
{
  g_return_val_if_fail (futures != NULL || n_futures == 0, FALSE);

  for (gsize i = 0; i < n_futures; i++)
    g_return_val_if_fail (futures[i] != NULL, FALSE);
  return TRUE;
}

static MorrowFuture *
refuse_array (void)
{
  return morrow_future_new_rejected (g_error_new_literal (MORROW_ERROR, MORROW_ERROR_INVALID_ARGUMENT, "A future is missing"));
}

static MorrowFuture *
combine_array (MorrowCombineMode mode, MorrowFuture *const *futures, gsize n_futures, gsize limit)
{
  if (!futures_are_valid (futures, n_futures))
    return refuse_array ();

  return morrow__combine_new (mode, futures, n_futures, limit);
}

static MorrowCombineMode
gather_mode (MorrowGatherFlags flags)
{
  return flags & MORROW_GATHER_RETURN_ERRORS ? MORROW_COMBINE_GATHER_RETURN_ERRORS : MORROW_COMBINE_GATHER;
}

static MorrowFuture *
combine_list (MorrowCombineMode mode, MorrowFuture *first, va_list rest)
{
  g_autoptr (GPtrArray) futures = g_ptr_array_new ();

  for (MorrowFuture *future = first; future != NULL; future = va_arg (rest, MorrowFuture *))
    g_ptr_array_add (futures, future);

  return morrow__combine_new (mode, (MorrowFuture *const *) futures->pdata, futures->len, 0);
}

#define DEFINE_LIST_FORM(name, mode)                 \
  MorrowFuture *                                     \
  morrow_##name (MorrowFuture *first, ...)           \
  {                                                  \
    MorrowFuture *combined;                          \
    va_list rest;                                    \
                                                     \
    va_start (rest, first);                          \
    combined = combine_list (mode, first, rest);     \
    va_end (rest);                                   \
    return combined;                                 \
  }

/**
 * morrow_all: (skip)
 * @first: (transfer full) (nullable): a future
 * @...: more futures, ended by %NULL
 *
 * Waits for all to succeed. See morrow_allv ().
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
DEFINE_LIST_FORM (all, MORROW_COMBINE_ALL)

/**
 * morrow_any: (skip)
 * @first: (transfer full) (nullable): a future
 * @...: more futures, ended by %NULL
 *
 * Waits for one to succeed. See morrow_anyv ().
 *
 * Returns: (transfer full): a future of the first success
 */
DEFINE_LIST_FORM (any, MORROW_COMBINE_ANY)

/**
 * morrow_race: (skip)
 * @first: (transfer full) (nullable): a future
 * @...: more futures, ended by %NULL
 *
 * Waits for one to settle. See morrow_racev ().
 *
 * Returns: (transfer full): a future of the first outcome
 */
DEFINE_LIST_FORM (race, MORROW_COMBINE_RACE)

/**
 * morrow_gather: (skip)
 * @first: (transfer full) (nullable): a future
 * @...: more futures, ended by %NULL
 *
 * Waits for all as asyncio's `gather()` does. See morrow_gatherv ().
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
DEFINE_LIST_FORM (gather, MORROW_COMBINE_GATHER)

/**
 * morrow_allv: (skip)
 * @futures: (array length=n_futures) (transfer none): the futures, each of which is taken
 * @n_futures: how many
 *
 * Waits for all to succeed. The first failure cancels the others, waits for them to end, and is the failure of the
 * whole. An error of another that is not a cancel reports itself, as every error does that nobody looks at.
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
MorrowFuture *
morrow_allv (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_array (MORROW_COMBINE_ALL, futures, n_futures, 0);
}

/**
 * morrow_anyv: (skip)
 * @futures: (array length=n_futures) (transfer none): the futures, each of which is taken
 * @n_futures: how many, at least one
 *
 * Waits for one to succeed. The first success cancels the others, waits for them to end, and is what the whole
 * resolves with. When all have failed, it rejects with %MORROW_ERROR_GROUP; a group among
 * them gives its errors to it.
 *
 * Returns: (transfer full): a future of the first success
 */
MorrowFuture *
morrow_anyv (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_array (MORROW_COMBINE_ANY, futures, n_futures, 0);
}

/**
 * morrow_racev: (skip)
 * @futures: (array length=n_futures) (transfer none): the futures, each of which is taken
 * @n_futures: how many, at least one
 *
 * Waits for one to settle, with a value or an error. The others are cancelled, and waited for.
 *
 * Returns: (transfer full): a future of the first outcome
 */
MorrowFuture *
morrow_racev (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_array (MORROW_COMBINE_RACE, futures, n_futures, 0);
}

/**
 * morrow_gatherv: (skip)
 * @futures: (array length=n_futures) (transfer none): the futures, each of which is taken
 * @n_futures: how many
 *
 * Waits for all, as asyncio's `gather()` does: the first failure settles the whole at once, and the others go on
 * unobserved. Cancelled, it cancels them and waits until all have ended. morrow_allv () is what one usually wants.
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
MorrowFuture *
morrow_gatherv (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_array (MORROW_COMBINE_GATHER, futures, n_futures, 0);
}

/**
 * morrow_gather_full: (skip)
 * @futures: (array length=n_futures) (transfer none): the futures, each of which is taken
 * @n_futures: how many
 * @flags: how to treat failures
 * @limit: how many to have running at once, 0 for all; a coroutine starts when its turn comes, what runs already
 * counts when its turn comes
 *
 * The full form of morrow_gatherv ().
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
MorrowFuture *
morrow_gather_full (MorrowFuture *const *futures, gsize n_futures, MorrowGatherFlags flags, gsize limit)
{
  return combine_array (gather_mode (flags), futures, n_futures, limit);
}

/* --- for bindings ------------------------------------------------------------------------------------------------ */

/* No annotation says that a function takes the elements of an array and not the array: these take neither. */
static MorrowFuture *
combine_borrowed (MorrowCombineMode mode, MorrowFuture *const *futures, gsize n_futures, gsize limit)
{
  if (!futures_are_valid (futures, n_futures))
    return refuse_array ();

  for (gsize i = 0; i < n_futures; i++)
    morrow__future_ref (futures[i]);
  return morrow__combine_new (mode, futures, n_futures, limit);
}

/**
 * morrow_all_array: (rename-to morrow_all)
 * @futures: (array length=n_futures) (transfer none): the futures, which are borrowed
 * @n_futures: how many
 *
 * For language bindings: morrow_allv (), without taking the futures.
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
MorrowFuture *
morrow_all_array (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_borrowed (MORROW_COMBINE_ALL, futures, n_futures, 0);
}

/**
 * morrow_any_array: (rename-to morrow_any)
 * @futures: (array length=n_futures) (transfer none): the futures, which are borrowed
 * @n_futures: how many, at least one
 *
 * For language bindings: morrow_anyv (), without taking the futures.
 *
 * Returns: (transfer full): a future of the first success
 */
MorrowFuture *
morrow_any_array (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_borrowed (MORROW_COMBINE_ANY, futures, n_futures, 0);
}

/**
 * morrow_race_array: (rename-to morrow_race)
 * @futures: (array length=n_futures) (transfer none): the futures, which are borrowed
 * @n_futures: how many, at least one
 *
 * For language bindings: morrow_racev (), without taking the futures.
 *
 * Returns: (transfer full): a future of the first outcome
 */
MorrowFuture *
morrow_race_array (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_borrowed (MORROW_COMBINE_RACE, futures, n_futures, 0);
}

/**
 * morrow_gather_array: (rename-to morrow_gather)
 * @futures: (array length=n_futures) (transfer none): the futures, which are borrowed
 * @n_futures: how many
 * @flags: how to treat failures
 * @limit: how many to have running at once, 0 for all
 *
 * For language bindings: morrow_gather_full (), without taking the futures.
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
MorrowFuture *
morrow_gather_array (MorrowFuture *const *futures, gsize n_futures, MorrowGatherFlags flags, gsize limit)
{
  return combine_borrowed (gather_mode (flags), futures, n_futures, limit);
}
