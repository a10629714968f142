/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a promise. It and its future are one object: all write ends together hold one reference of it, and are counted in
 * aux. */

#pragma once

#include <morrow/promise.h>

#include "core/future-private.h"

/* The last write end goes, and nobody has settled the future. */
void morrow__promise_break (MorrowFuture *future);

static inline MorrowFuture *
morrow__promise_future (MorrowPromise *self)
{
  return (MorrowFuture *) self;
}

/* Of @future's promise: what morrow_promise_unref () does. */
static inline __attribute__ ((always_inline)) void
morrow__promise_drop (MorrowFuture *future)
{
  /* Acquire and release: the last write end sees what the others did; alone it needs no exchange, as for a future's
   * reference. */
  guint others = atomic_load_explicit (&future->aux, memory_order_acquire) & ~MORROW__NAMED;

  if (morrow__seldom (others != 1))
    {
      others = morrow__fetch_sub (&future->aux, 1, memory_order_acq_rel) & ~MORROW__NAMED;
      if (others != 1)
        return;
    }

  if (morrow__unlikely (!morrow__future_is_settled (future)))
    morrow__promise_break (future);
  if (morrow__future_drop (future))
    morrow__future_free (future, sizeof (MorrowFuture));
}
