/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What other threads send to one: many producers push, one consumer takes everything at once.
 *
 * A stack of intrusive nodes behind one atomic word.  A push is one compare-and-swap, taking all is
 * one exchange, and the consumer turns the chain round, so that it comes out in the order of the
 * pushes.  Nobody takes a single node off the top, hence no ABA: a push that finds the head it had
 * read stands right even if that node has left and come back in between, for the link it has
 * written points at the very head that it replaces.
 *
 * Orderings.  A push is a release: what the producer wrote into its object, and the link, are
 * visible to whoever takes it.  Taking is an acquire; it reads the newest push.  All pushes since
 * the last take are read-modify-writes of the same word, so each continues the release sequence of
 * those before it, and the one acquire synchronises with all of them.  The exchange need not
 * release: a producer that then finds NULL reads nothing of the consumer's.
 *
 * A push is sequentially consistent as well, for a consumer that sleeps: the producer pushes and
 * then looks whether it does (L1 in exec/loop-private.h).
 *
 * This is not the queue with a stub and an exchanged tail: there a producer that is preempted
 * between its two steps hides everything pushed after it. */

#pragma once

#include "base/list-private.h"

#include <stdatomic.h>

typedef struct
{
  /* Any thread, atomically: the newest node, linked towards the oldest. */
  _Atomic (MorrowQueueNode *) newest;
} MorrowMpsc;

static inline void
morrow__mpsc_init (MorrowMpsc *mpsc)
{
  atomic_init (&mpsc->newest, NULL);
}

/* A hint by the time it is read, but for the consumer: once it has seen something, that something
 * stays. */
static inline gboolean
morrow__mpsc_is_empty (MorrowMpsc *mpsc)
{
  /* Relaxed: only the exchange in take_all () hands over what was pushed. */
  return atomic_load_explicit (&mpsc->newest, memory_order_relaxed) == NULL;
}

/* Any thread. */
static inline void
morrow__mpsc_push (MorrowMpsc      *mpsc,
                   MorrowQueueNode *node)
{
  MorrowQueueNode *below = atomic_load_explicit (&mpsc->newest, memory_order_relaxed);

  do
    node->next = below;
  /* Release: pairs with the exchange in take_all ().  Sequentially consistent: L1, pairs with the
   * look of a consumer that goes to sleep. */
  while (!atomic_compare_exchange_weak_explicit (&mpsc->newest, &below, node,
                                                 memory_order_seq_cst, memory_order_relaxed));
}

/* Turns the chain from @node to the NULL at its end round.  Returns: its former end. */
static inline MorrowQueueNode *
morrow__mpsc_reverse (MorrowQueueNode *node)
{
  MorrowQueueNode *rest = NULL;

  while (node != NULL)
    {
      MorrowQueueNode *next = node->next;

      node->next = rest;
      rest = node;
      node = next;
    }
  return rest;
}

/* The consumer only, or several: each takes what the others have not.  Appends everything pushed so far to @out, oldest first. */
static inline void
morrow__mpsc_take_all (MorrowMpsc  *mpsc,
                       MorrowQueue *out)
{
  MorrowQueue taken;

  /* Acquire: pairs with the release in each push (). */
  taken.tail = atomic_exchange_explicit (&mpsc->newest, NULL, memory_order_acquire);
  if (taken.tail == NULL)
    return;

  taken.head = morrow__mpsc_reverse (taken.tail);
  morrow__queue_splice (out, &taken);
}
