/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The work-stealing deque.
 *
 *      top                       bottom
 *       |                          |
 *       v                          v
 *   ... [oldest] [ ] [ ] [newest]  .  .  .    indices grow for ever; slot = index & mask
 *
 *   thieves take here      the owner pushes and pops here
 *
 * Why nothing is taken twice.  The owner pops in three steps: it lowers bottom to b, which claims
 * the item b, then reads top.  If top < b there is another item between, and b is the owner's.  A
 * thief reads top, then bottom, and takes the item t by moving top from t to t + 1.  A thief could
 * take b only after having read top = b and a bottom above b.  The store of bottom, the loads of
 * top and of bottom and the compare-and-swaps are sequentially consistent, so they have one order:
 * the thief's load of bottom came before the owner's store, hence its load of top, which gave b,
 * before the owner's, which must give b or more, and the owner does not take the short way.  When
 * top = b, both compete for the last item with a compare-and-swap on top, and one wins.
 *
 * Push does not need that: a release store of bottom, which pairs with the thief's load of bottom,
 * publishes the slot, the ring and the item's contents.  (Whoever goes to sleep having found
 * nothing to steal needs more, and gets it elsewhere: push orders nothing against a later load.)
 *
 * Slots.  A thief reads its slot before its compare-and-swap, perhaps long after the item is gone
 * and while the owner writes something else there: the slots are atomic, and relaxed, since a stale
 * value is thrown away: the owner reuses slot t only after it has seen top > t, and then the
 * compare-and-swap from t fails.
 *
 * Growth.  The owner copies the items to a ring of twice the size and publishes that.  Thieves may
 * go on reading the old one, whose slots never change again, and an item pushed later is not looked
 * for there: the thief read bottom first, with acquire, and so sees the ring that was current at
 * that push.  Outgrown rings are kept until the deque is cleared: all of them together are smaller
 * than the current one.
 *
 * Half of it at once would need top to move past several items with one compare-and-swap, and the
 * owner takes those without one: steal_half () steals one by one.
 *
 * The header has push () and pop (), inline: they are on the way of each task of a pool. */

#include "base/deque-private.h"

static MorrowDequeRing *
ring_new (gsize            capacity,
          MorrowDequeRing *outgrown)
{
  MorrowDequeRing *ring = g_malloc (sizeof *ring + capacity * sizeof (gpointer));

  ring->outgrown = outgrown;
  ring->mask = capacity - 1;
  return ring;
}

void
morrow__deque_init (MorrowDeque *deque)
{
  G_STATIC_ASSERT ((MORROW_DEQUE_CAPACITY & (MORROW_DEQUE_CAPACITY - 1)) == 0);

  atomic_init (&deque->top, 0);
  atomic_init (&deque->bottom, 0);
  atomic_init (&deque->ring, ring_new (MORROW_DEQUE_CAPACITY, NULL));
  deque->top_seen = 0;
}

void
morrow__deque_clear (MorrowDeque *deque)
{
  MorrowDequeRing *ring = atomic_load_explicit (&deque->ring, memory_order_relaxed);

  while (ring != NULL)
    {
      MorrowDequeRing *outgrown = ring->outgrown;

      g_free (ring);
      ring = outgrown;
    }
  atomic_store_explicit (&deque->ring, NULL, memory_order_relaxed);
}

/* Returns: a ring with room for one more at @bottom. */
static MorrowDequeRing *
make_room (MorrowDeque     *deque,
           MorrowDequeRing *ring,
           gint64           bottom)
{
  MorrowDequeRing *bigger;

  /* Acquire: pairs with the thieves' compare-and-swap: their read of a slot comes before our reuse
   * of it. */
  deque->top_seen = atomic_load_explicit (&deque->top, memory_order_acquire);
  if (bottom - deque->top_seen <= (gint64) ring->mask)
    return ring;

  bigger = ring_new (2 * (ring->mask + 1), ring);
  for (gint64 i = deque->top_seen; i < bottom; i++)
    morrow__deque_ring_set (bigger, i, morrow__deque_ring_get (ring, i));
  /* Release: pairs with the load in steal (): the copies are visible with the ring. */
  atomic_store_explicit (&deque->ring, bigger, memory_order_release);
  return bigger;
}

void
morrow__deque_push_making_room (MorrowDeque *deque,
                                gpointer     item)
{
  gint64 bottom = atomic_load_explicit (&deque->bottom, memory_order_relaxed);
  MorrowDequeRing *ring = atomic_load_explicit (&deque->ring, memory_order_relaxed);

  morrow__deque_put (deque, make_room (deque, ring, bottom), bottom, item);
}

/* Against a thief's compare-and-swap in steal (). */
gpointer
morrow__deque_take_last (MorrowDeque *deque,
                         gint64       bottom,
                         gint64       top,
                         gpointer     item)
{
  if (item != NULL
      && !atomic_compare_exchange_strong_explicit (&deque->top, &top, top + 1,
                                                   memory_order_seq_cst, memory_order_relaxed))
    item = NULL;
  /* Release: a thief that reads this bottom, and not the one of the push, sees no less. */
  atomic_store_explicit (&deque->bottom, bottom + 1, memory_order_release);
  return item;
}

gpointer
morrow__deque_steal (MorrowDeque *deque)
{
  /* Sequentially consistent, in this order: pair with the store and the load in pop (); that of
   * bottom, as an acquire, also with the release in push (). */
  gint64 top = atomic_load_explicit (&deque->top, memory_order_seq_cst);
  gint64 bottom = atomic_load_explicit (&deque->bottom, memory_order_seq_cst);
  MorrowDequeRing *ring;
  gpointer item;

  if (top >= bottom)
    return NULL;

  /* Acquire: pairs with the release in make_room (). */
  ring = atomic_load_explicit (&deque->ring, memory_order_acquire);
  item = morrow__deque_ring_get (ring, top);
  /* Sequentially consistent: against the owner's and other thieves'; as a release it pairs with
   * make_room (). */
  if (!atomic_compare_exchange_strong_explicit (&deque->top, &top, top + 1,
                                                memory_order_seq_cst, memory_order_relaxed))
    return NULL;
  return item;
}

guint
morrow__deque_steal_half (MorrowDeque *deque,
                          MorrowDeque *thief)
{
  gsize wanted = (morrow__deque_size (deque) + 1) / 2;
  guint n;

  for (n = 0; n < wanted; n++)
    {
      gpointer item = morrow__deque_steal (deque);

      if (item == NULL)
        break;
      morrow__deque_push (thief, item);
    }
  return n;
}

gsize
morrow__deque_size (MorrowDeque *deque)
{
  /* Relaxed: a hint. */
  gint64 top = atomic_load_explicit (&deque->top, memory_order_relaxed);
  gint64 bottom = atomic_load_explicit (&deque->bottom, memory_order_relaxed);

  return bottom > top ? (gsize) (bottom - top) : 0;
}
