/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A work-stealing deque of pointers (Chase and Lev, SPAA 2005; the orderings after Le, Pop, Cohen
 * and Zappa Nardelli, PPoPP 2013, with accesses instead of fences, so that ThreadSanitizer follows
 * every one).  deque.c tells how. */

#pragma once

#include <glib.h>
#include <stdatomic.h>

#include "base/likely-private.h"

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

/* Any other thread.  Returns of steal: the oldest item; NULL when there was none or someone else
 * was faster. steal_half moves up to half of what is there, at least one, to @thief, which the
 * caller owns; returns how many. */
gpointer morrow__deque_steal      (MorrowDeque *deque);
guint    morrow__deque_steal_half (MorrowDeque *deque,
                                   MorrowDeque *thief);

/* Any thread: a hint but for the owner, to whom it is an upper bound. */
gsize    morrow__deque_size       (MorrowDeque *deque);

/* The rare ends of push and pop: the ring may be full; or @item, which was at @bottom, is the last, since @top has come as far,
 * or has been stolen already, and is NULL. */
void     morrow__deque_push_making_room (MorrowDeque *deque,
                                         gpointer     item);
gpointer morrow__deque_take_last        (MorrowDeque *deque,
                                         gint64       bottom,
                                         gint64       top,
                                         gpointer     item);

static inline gpointer
morrow__deque_ring_get (MorrowDequeRing *ring,
                        gint64           index)
{
  /* Relaxed: see "Slots" in deque.c. */
  return atomic_load_explicit (&ring->slots[index & ring->mask], memory_order_relaxed);
}

static inline void
morrow__deque_ring_set (MorrowDequeRing *ring,
                        gint64           index,
                        gpointer         item)
{
  /* Relaxed: published by the store of bottom or of ring that follows. */
  atomic_store_explicit (&ring->slots[index & ring->mask], item, memory_order_relaxed);
}

static inline void
morrow__deque_put (MorrowDeque     *deque,
                   MorrowDequeRing *ring,
                   gint64           bottom,
                   gpointer         item)
{
  morrow__deque_ring_set (ring, bottom, item);
  /* Release: pairs with the load of bottom in steal (). */
  atomic_store_explicit (&deque->bottom, bottom + 1, memory_order_release);
}

/* The owner, as the next. */
static inline void
morrow__deque_push (MorrowDeque *deque,
                    gpointer     item)
{
  gint64 bottom = atomic_load_explicit (&deque->bottom, memory_order_relaxed);
  MorrowDequeRing *ring = atomic_load_explicit (&deque->ring, memory_order_relaxed);

  if (morrow__likely (bottom - deque->top_seen <= (gint64) ring->mask))
    morrow__deque_put (deque, ring, bottom, item);
  else
    morrow__deque_push_making_room (deque, item);
}

/* Returns: the newest item, or NULL. */
static inline gpointer
morrow__deque_pop (MorrowDeque *deque)
{
  gint64 bottom = atomic_load_explicit (&deque->bottom, memory_order_relaxed) - 1;
  /* Relaxed: top only grows, so a stale one can only make an empty deque look as if it held
   * something. */
  gint64 top = atomic_load_explicit (&deque->top, memory_order_relaxed);
  gpointer item;

  if (top > bottom)
    return NULL;

  /* Sequentially consistent, both: pair with the two loads in steal (), as the head of deque.c
   * argues. */
  atomic_store_explicit (&deque->bottom, bottom, memory_order_seq_cst);
  top = atomic_load_explicit (&deque->top, memory_order_seq_cst);

  item = top <= bottom
         ? morrow__deque_ring_get (atomic_load_explicit (&deque->ring, memory_order_relaxed), bottom)
         : NULL;
  if (morrow__usually (top < bottom))
    return item;
  return morrow__deque_take_last (deque, bottom, top, item);
}

G_END_DECLS
