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
 * Exactly one push between two takes is told that it found the queue empty.  That producer wakes
 * the consumer, and none of the others need: at most one wake-up a burst.
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

/* Puts the chain from @newest, linked towards @oldest, on top.  Returns: TRUE when nothing was
 * there before. */
static inline gboolean
morrow__mpsc_push_reversed (MorrowMpsc      *mpsc,
                            MorrowQueueNode *newest,
                            MorrowQueueNode *oldest)
{
  MorrowQueueNode *below = atomic_load_explicit (&mpsc->newest, memory_order_relaxed);

  do
    oldest->next = below;
  /* Release: pairs with the exchange in take_all (). Sequentially consistent, for who pushes and then looks whether the
   * consumer sleeps. */
  while (!atomic_compare_exchange_weak_explicit (&mpsc->newest, &below, newest,
                                                 memory_order_seq_cst, memory_order_relaxed));
  return below == NULL;
}

/* Any thread.  Returns: TRUE when nothing was there before, which means that the consumer may have
 * to be woken. */
static inline gboolean
morrow__mpsc_push (MorrowMpsc      *mpsc,
                   MorrowQueueNode *node)
{
  return morrow__mpsc_push_reversed (mpsc, node, node);
}

/* Turns the chain from @node to the NULL at its end round, and puts it in front of @rest.  Returns:
 * its former end. */
static inline MorrowQueueNode *
morrow__mpsc_reverse (MorrowQueueNode *node,
                      MorrowQueueNode *rest)
{
  while (node != NULL)
    {
      MorrowQueueNode *next = node->next;

      node->next = rest;
      rest = node;
      node = next;
    }
  return rest;
}

/* Any thread.  @first to @last are linked in the order in which they shall come out; nobody gets
 * between them. Returns: as morrow__mpsc_push (). */
static inline gboolean
morrow__mpsc_push_chain (MorrowMpsc      *mpsc,
                         MorrowQueueNode *first,
                         MorrowQueueNode *last)
{
  last->next = NULL;
  morrow__mpsc_reverse (first, NULL);
  return morrow__mpsc_push_reversed (mpsc, last, first);
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

  taken.head = morrow__mpsc_reverse (taken.tail, NULL);
  morrow__queue_splice (out, &taken);
}
