/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Without it, who finds the ring full has to queue what it has elsewhere, in memory that it touches for the first time,
 * as long as those who take out want its processor: it runs ahead of them by a time slice, a hundred thousand items.
 * Measured with one thread that submits to two, on two processors: 30 to 26 ns an item, 98 to 57 with a stranger on one
 * of the processors, 300 to 131 with one on each.
 *
 * It waits until half of the ring is free, so that it does not sleep and wake for each few items; and for WAIT_TIME at
 * most, since what lies there may take long, or wait for the very thread that waits here.  Who has waited in vain does
 * not do so again before REST_SHARE times as long has passed: a tenth of its time is the most that it loses.
 *
 * R2: who waits counts itself, then looks at the ring; who has taken out looks at the count then.  A fence lies between the
 * two steps, on both sides: so one of the two sees the other, and whoever sleeps is told. */

#include "config.h"

#include "base/room-private.h"

#include "base/likely-private.h"

#include <time.h>

#define WAIT_TIME  (10 * G_TIME_SPAN_MILLISECOND)
#define REST_SHARE 10

void
morrow__room_init (MorrowRoom *room)
{
  pthread_mutex_init (&room->lock, NULL);
  pthread_cond_init (&room->came, NULL);
  atomic_init (&room->n_waiting, 0);
}

void
morrow__room_clear (MorrowRoom *room)
{
  pthread_cond_destroy (&room->came);
  pthread_mutex_destroy (&room->lock);
}

static gboolean
is_half_free (MorrowRing *ring)
{
  return morrow__ring_size (ring) <= MORROW_RING_CAPACITY / 2;
}

static gboolean
wait_until (MorrowRoom *room,
            MorrowRing *ring,
            gint64      deadline)
{
  const struct timespec when = { deadline / G_USEC_PER_SEC, deadline % G_USEC_PER_SEC * 1000 };
  gboolean free, in_time = TRUE;

  pthread_mutex_lock (&room->lock);
  atomic_fetch_add_explicit (&room->n_waiting, 1, memory_order_relaxed);
  atomic_thread_fence (memory_order_seq_cst);   /* R2: pairs with the one in morrow__room_tell () */
  while (!(free = is_half_free (ring)) && in_time)
    in_time = pthread_cond_clockwait (&room->came, &room->lock, CLOCK_MONOTONIC, &when) == 0;
  atomic_fetch_sub_explicit (&room->n_waiting, 1, memory_order_relaxed);
  pthread_mutex_unlock (&room->lock);
  return free;
}

gboolean
morrow__room_wait (MorrowRoom *room,
                   MorrowRing *ring)
{
  static __thread gint64 wait_at;   /* Not before. */
  gint64 now = g_get_monotonic_time ();

  if (now < wait_at)
    return FALSE;
  if (wait_until (room, ring, now + WAIT_TIME))
    return TRUE;
  wait_at = now + (1 + REST_SHARE) * WAIT_TIME;
  return FALSE;
}

void
morrow__room_tell (MorrowRoom *room,
                   MorrowRing *ring)
{
  atomic_thread_fence (memory_order_seq_cst);   /* R2: pairs with the one in wait_until () */
  if (morrow__likely (atomic_load_explicit (&room->n_waiting, memory_order_relaxed) == 0) || !is_half_free (ring))
    return;

  pthread_mutex_lock (&room->lock);
  pthread_cond_broadcast (&room->came);
  pthread_mutex_unlock (&room->lock);
}
