/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* all, any, race and gather as their own files see them: combine.c waits for the children and tells which one decides,
 * combine-end.c settles the whole, gather.c is what programs call. */

#pragma once

#include <morrow/results.h>

#include "core/future-private.h"

typedef struct _MorrowCombine MorrowCombine;

typedef enum
{
  MORROW_COMBINE_GATHER,
  MORROW_COMBINE_GATHER_RETURN_ERRORS,
  MORROW_COMBINE_ALL,
  MORROW_COMBINE_ANY,
  MORROW_COMBINE_RACE
} MorrowCombineMode;

/* Results are a whole under another name: its children, where they lie, with a count of references of their own. The whole has one
 * of these, as its value; who drops the last releases the children, and frees the memory of the whole, which is gone then. */
struct _MorrowCombine
{
  MorrowFuture             future;
  union
  {
    MorrowWaiter           waiter;       /* immutable until it finishes: the common one of the children */
    MorrowJob              job;          /* whoever finishes: see finish_elsewhere () in combine-end.c */
  };
  guint8                   mode;         /* immutable: MorrowCombineMode */
  guint8                   has_results;  /* whoever finishes, and who frees it: it has resolved with them */
  atomic_uint              n_cancels;    /* any thread: cancels that were passed on to the children, and not taken back since */
  gsize                    n;            /* immutable */
  union
  {
    atomic_size_t          next;         /* any thread, before it finishes: the first child that nobody has subscribed to yet */
    atomic_uint            result_refs;  /* any thread, when it has results; as a future's references */
  };
  atomic_size_t            pending;      /* any thread; see PENDING and C1 in combine.c */
  _Atomic (MorrowFuture *) decisive;     /* any thread: the child that decides, set once, borrowed; before that NULL, or combine.c's
                                            &starting */
  _Atomic (char *)         message;      /* any thread: the newest cancel's that a child accepted, owned; by exchange */
  MorrowExecutor          *executor;     /* immutable, held until it finishes: where children start and are let go; NULL: made on a
                                            plain thread */
  MorrowFuture            *children[];   /* owned until they are let go of at the end, or until the results are; immutable, and there
                                            until the whole has settled (C2) */
};

static inline gsize
morrow__combine_size (gsize n)
{
  return sizeof (MorrowCombine) + n * sizeof (MorrowFuture *);
}

/* For who walks the children, and is at the one at @i. */
static inline __attribute__ ((always_inline)) void
morrow__combine_prefetch_after (MorrowCombine *self, gsize i)
{
  if (i + MORROW__WALK_AHEAD < self->n)
    morrow__future_prefetch (self->children[i + MORROW__WALK_AHEAD]);
}

/* combine.c. A future of @futures, which it takes; of these at most @limit run at once, 0 for all. */
MorrowFuture *morrow__combine_new (MorrowCombineMode mode, MorrowFuture *const *futures, gsize n, gsize limit);

/* combine-end.c. The end, once; what a gather does before it, when its first child has failed; and what is left to do after it where
 * the children were the results. */
void morrow__combine_finish            (MorrowCombine *self);
void morrow__combine_settle_as_decided (MorrowCombine *self, MorrowFuture *decisive);
void morrow__combine_drop_children     (MorrowCombine *self);
