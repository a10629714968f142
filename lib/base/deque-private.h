/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A work-stealing deque of pointers (Chase and Lev, SPAA 2005; the orderings after Le, Pop, Cohen
 * and Zappa Nardelli, PPoPP 2013, with accesses instead of fences, so that ThreadSanitizer follows
 * every one).  deque.c tells how. */

#pragma once

#include <glib.h>
#include <stdatomic.h>

G_BEGIN_DECLS

/* A power of two.  Tests make it tiny, to reach the growth and the wrap-around in a few steps. */
#ifndef MORROW_DEQUE_CAPACITY
#define MORROW_DEQUE_CAPACITY 256
#endif

typedef struct _MorrowDequeRing MorrowDequeRing;

struct _MorrowDequeRing
{
  MorrowDequeRing   *outgrown;  /* The owner: what this replaced; thieves may still read it. */
  gsize              mask;      /* Immutable: capacity - 1. */
  _Atomic (gpointer) slots[];   /* The owner writes, thieves read: see "Slots" in deque.c. */
};

typedef struct
{
  /* Thieves and, for the last item, the owner, by compare-and-swap: the index of the oldest item.
   * Only grows. */
  _Alignas (64) _Atomic (gint64) top;

  /* The owner writes, thieves read: one past the index of the newest item.  On a line of its own,
   * since the owner writes it all the time. */
  _Alignas (64) _Atomic (gint64) bottom;

  /* The owner writes, thieves read. */
  _Atomic (MorrowDequeRing *) ring;

  /* The owner only: a top seen earlier.  The real one can only be further, so while this one leaves
   * room there is. */
  gint64 top_seen;
} MorrowDeque;

/* The owner, before any thief knows of the deque, and after all of them have gone. */
void     morrow__deque_init       (MorrowDeque *deque);
void     morrow__deque_clear      (MorrowDeque *deque);

/* The owner.  Returns of pop: the newest item, or NULL. */
void     morrow__deque_push       (MorrowDeque *deque,
                                   gpointer     item);
gpointer morrow__deque_pop        (MorrowDeque *deque);

/* Any other thread.  Returns of steal: the oldest item; NULL when there was none or someone else
 * was faster. steal_half moves up to half of what is there, at least one, to @thief, which the
 * caller owns; returns how many. */
gpointer morrow__deque_steal      (MorrowDeque *deque);
guint    morrow__deque_steal_half (MorrowDeque *deque,
                                   MorrowDeque *thief);

/* Any thread: a hint but for the owner, to whom it is an upper bound. */
gsize    morrow__deque_size       (MorrowDeque *deque);

G_END_DECLS
