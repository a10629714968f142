/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A bounded queue of work, for many who put in and many who take out; first in, first out (after
 * D. Vyukov's bounded queue).  ring.c tells how. */

#pragma once

#include <glib.h>
#include <stdatomic.h>

#include "base/likely-private.h"

G_BEGIN_DECLS

/* A power of two: slots of 16 KiB, beside which a first cache has room for what else both sides touch.  Tests make it tiny, to reach
 * the end and the wrap-around in a few steps. */
#ifndef MORROW_RING_CAPACITY
#define MORROW_RING_CAPACITY 512
#endif

/* What a slot carries, by value: no object is made for it. */
typedef struct
{
  void         (*func) (gpointer data);
  gpointer       data;
  GDestroyNotify data_free;
} MorrowRingItem;

typedef struct
{
  /* Who put in, and who takes out, in turn: see "Turns" in ring.c. */
  _Alignas (32) atomic_size_t turn;
  MorrowRingItem item;
} MorrowRingSlot;

typedef struct
{
  /* Who takes out, by compare-and-swap: how many have been taken out. */
  _Alignas (64) atomic_size_t head;

  /* Who puts in, by compare-and-swap: how many have been put in. */
  _Alignas (64) atomic_size_t tail;

  _Alignas (64) MorrowRingSlot slots[MORROW_RING_CAPACITY];
} MorrowRing;

void     morrow__ring_init (MorrowRing *ring);

/* Any thread: takes the oldest items out, at least one and at most @max, a power of two; of more than one, one in @n_shares
 * of what is there.  Returns: how many; 0 when there was none. */
guint    morrow__ring_pop  (MorrowRing     *ring,
                            MorrowRingItem *items,
                            guint           max,
                            guint           n_shares);

/* Any thread: whether morrow__ring_pop () would find nothing.  It may say so although there is something, while another
 * takes what lies in front, or has a place in front and has not filled it.  So who goes to sleep by it relies on those two
 * to look again when they are through, as P1 in exec/loop-pool-wake.c has it. */
gboolean morrow__ring_is_empty (MorrowRing *ring);

/* Any thread: how many items there are, or are being put in; a hint. */
gsize    morrow__ring_size     (MorrowRing *ring);

/* Any thread: how many items have been taken out, ever, by all whose takings are visible. */
gsize    morrow__ring_n_taken  (MorrowRing *ring);

/* Of the item with this number. */
static inline MorrowRingSlot *
morrow__ring_slot (MorrowRing *ring,
                   gsize       number)
{
  return &ring->slots[number & (MORROW_RING_CAPACITY - 1)];
}

/* Any thread: puts in an item of these parts, which travel in registers.  FALSE when it is full. */
static inline gboolean
morrow__ring_push (MorrowRing     *ring,
                   void          (*func) (gpointer data),
                   gpointer        data,
                   GDestroyNotify  data_free)
{
  gsize number = atomic_load_explicit (&ring->tail, memory_order_relaxed);
  MorrowRingSlot *slot;

  for (;;)
    {
      gssize ahead;

      slot = morrow__ring_slot (ring, number);
      /* Acquire: pairs with the release at the end of morrow__ring_pop (). */
      ahead = (gssize) (atomic_load_explicit (&slot->turn, memory_order_acquire) - number);
      if (morrow__unlikely (ahead < 0))
        return FALSE;
      if (morrow__unlikely (ahead > 0))
        number = atomic_load_explicit (&ring->tail, memory_order_relaxed);   /* Somebody else was faster. */
      else if (morrow__likely (atomic_compare_exchange_weak_explicit (&ring->tail, &number, number + 1,
                                                                      memory_order_relaxed, memory_order_relaxed)))
        break;
    }

  slot->item = (MorrowRingItem) { .func = func, .data = data, .data_free = data_free };
  /* Release: pairs with the acquire in is_full () in ring.c. */
  atomic_store_explicit (&slot->turn, number + 1, memory_order_release);
  return TRUE;
}

G_END_DECLS
