/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two counters, of what was put in and of what was taken out, give out the slots; each slot says by its turn whom it
 * waits for.
 *
 * TURNS
 *   Of the item with number n, which has the slot n modulo the capacity:
 *
 *     turn == n                 free: who takes tail from n to n + 1 writes it
 *     turn == n + 1             full: who takes head over n reads it
 *     turn == n + capacity      free again, for the next round
 *
 *   So between the compare-and-swap and the store of turn a slot belongs to one thread alone.  The counters only grow,
 *   and a compare-and-swap from n succeeds once: there is no ABA.  Who takes several at once has looked at all their
 *   turns before; they stay full until somebody moves head, which would fail the compare-and-swap.
 *
 * ORDERINGS
 *   The store of a turn is a release, and pairs with the acquire of whoever sees it: who reads an item sees it whole, and
 *   who writes over it comes after who read.  The counters order nothing.
 *
 * Who takes out never reads tail, which who puts in writes all the time: it asks the slots, whose lines it will need anyway. How
 * much there is it learns by a look at a slot further on.
 *
 * The header has push (), inline: it is on the way of each piece of work that is submitted.
 *
 * A thread that is preempted between its two steps holds up those that come to its slot: who takes out then finds
 * nothing, as if it had come before.  Nobody waits for anybody. */

#include "config.h"

#include "base/ring-private.h"

void
morrow__ring_init (MorrowRing *ring)
{
  atomic_init (&ring->head, 0);
  atomic_init (&ring->tail, 0);
  for (gsize i = 0; i < MORROW_RING_CAPACITY; i++)
    atomic_init (&ring->slots[i].turn, i);
}

static inline gboolean
is_full (MorrowRing *ring, gsize number)
{
  /* Acquire: pairs with the release at the end of morrow__ring_push (). */
  return atomic_load_explicit (&morrow__ring_slot (ring, number)->turn, memory_order_acquire) == number + 1;
}

/* How many slots are full from @number on, up to a share. */
static inline guint
count_share (MorrowRing *ring, gsize number, guint max, guint n_shares)
{
  guint n = 0;

  while (max > 1 && !is_full (ring, number + max * n_shares - 1))
    max /= 2;
  while (n < max && is_full (ring, number + n))
    n++;
  return n;
}

guint
morrow__ring_pop (MorrowRing *ring, MorrowRingItem *items, guint max, guint n_shares)
{
  gsize number = atomic_load_explicit (&ring->head, memory_order_relaxed);
  guint n;

  for (;;)
    {
      gsize before = number;

      n = count_share (ring, number, max, n_shares);
      if (n > 0 && atomic_compare_exchange_weak_explicit (&ring->head, &number, number + n, memory_order_relaxed, memory_order_relaxed))
        break;
      if (n == 0)
        number = atomic_load_explicit (&ring->head, memory_order_relaxed);
      if (n == 0 && number == before)
        return 0;
    }

  for (guint i = 0; i < n; i++)
    {
      MorrowRingSlot *slot = morrow__ring_slot (ring, number + i);

      items[i] = slot->item;
      /* Release: pairs with the acquire in morrow__ring_push (). */
      atomic_store_explicit (&slot->turn, number + i + MORROW_RING_CAPACITY, memory_order_release);
    }
  return n;
}

gboolean
morrow__ring_is_empty (MorrowRing *ring)
{
  return !is_full (ring, atomic_load_explicit (&ring->head, memory_order_relaxed));
}

gsize
morrow__ring_size (MorrowRing *ring)
{
  /* Relaxed, both: a hint, since either may be seen late. */
  gsize head = atomic_load_explicit (&ring->head, memory_order_relaxed);
  gssize size = (gssize) (atomic_load_explicit (&ring->tail, memory_order_relaxed) - head);

  return MAX (size, 0);
}

gsize
morrow__ring_n_taken (MorrowRing *ring)
{
  return atomic_load_explicit (&ring->head, memory_order_relaxed);
}
