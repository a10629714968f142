/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Futures of futures. Each takes the futures that it is given, the array forms too (the array itself stays the caller's),
 * but for bindings; coroutines among them become tasks, in the order of the arguments. Variadic lists end with NULL. */

#pragma once

#include <morrow/types.h>

G_BEGIN_DECLS

/* Every one must succeed: MorrowResults; the first failure cancels the others and waits for them. */
MORROW_API
MorrowFuture *morrow_all         (MorrowFuture *first, ...) G_GNUC_NULL_TERMINATED G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_allv        (MorrowFuture *const *futures, gsize n_futures) G_GNUC_WARN_UNUSED_RESULT;

/* The first success, its value; the others are cancelled and waited for. */
MORROW_API
MorrowFuture *morrow_any         (MorrowFuture *first, ...) G_GNUC_NULL_TERMINATED G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_anyv        (MorrowFuture *const *futures, gsize n_futures) G_GNUC_WARN_UNUSED_RESULT;

/* The first to settle, its outcome; the others are cancelled and waited for. */
MORROW_API
MorrowFuture *morrow_race        (MorrowFuture *first, ...) G_GNUC_NULL_TERMINATED G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_racev       (MorrowFuture *const *futures, gsize n_futures) G_GNUC_WARN_UNUSED_RESULT;

/* asyncio's gather: MorrowResults; the first failure is the failure of the whole, and the others go on. */
MORROW_API
MorrowFuture *morrow_gather      (MorrowFuture *first, ...) G_GNUC_NULL_TERMINATED G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_gatherv     (MorrowFuture *const *futures, gsize n_futures) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_gather_full (MorrowFuture *const *futures,
                                  gsize                n_futures,
                                  MorrowGatherFlags    flags,
                                  gsize                limit) G_GNUC_WARN_UNUSED_RESULT;

/* For language bindings, which cannot give away what is in an array: the same, but these borrow the futures. */
MORROW_API
MorrowFuture *morrow_all_array    (MorrowFuture *const *futures, gsize n_futures) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_any_array    (MorrowFuture *const *futures, gsize n_futures) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_race_array   (MorrowFuture *const *futures, gsize n_futures) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_gather_array (MorrowFuture *const *futures,
                                   gsize                n_futures,
                                   MorrowGatherFlags    flags,
                                   gsize                limit) G_GNUC_WARN_UNUSED_RESULT;

/* What morrow_future_then (), morrow_future_catch () and morrow_future_finally () give, for a future that nobody else needs: these can be
 * chained. */
MORROW_API
MorrowFuture *morrow_then        (MorrowFuture       *future,
                                  MorrowContinueFunc  func,
                                  gpointer            data,
                                  GDestroyNotify      data_free) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_catch       (MorrowFuture       *future,
                                  MorrowContinueFunc  func,
                                  gpointer            data,
                                  GDestroyNotify      data_free) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_finally     (MorrowFuture       *future,
                                  MorrowContinueFunc  func,
                                  gpointer            data,
                                  GDestroyNotify      data_free) G_GNUC_WARN_UNUSED_RESULT;

/* Cancelling what this gives leaves the future alone. What it starts in a task that is cancelled by the end of a run can still
 * wait. */
MORROW_API
MorrowFuture *morrow_shield      (MorrowFuture *future) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
