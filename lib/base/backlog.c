/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "base/backlog-private.h"

#include "base/cache-private.h"

typedef struct
{
  MorrowQueueNode node;   /* Under the lock. */
  MorrowRingItem  item;   /* Immutable. */
} Piece;

void
morrow__backlog_init (MorrowBacklog *backlog)
{
  pthread_mutex_init (&backlog->lock, NULL);
  morrow__queue_init (&backlog->pieces);
  atomic_init (&backlog->n, 0);
  atomic_init (&backlog->n_taken, 0);
}

void
morrow__backlog_clear (MorrowBacklog *backlog)
{
  pthread_mutex_destroy (&backlog->lock);
}

/* Under the lock. */
static inline gsize
count (MorrowBacklog *backlog)
{
  return atomic_load_explicit (&backlog->n, memory_order_relaxed);
}

void
morrow__backlog_push (MorrowBacklog *backlog,
                      MorrowRingItem item)
{
  Piece *piece = morrow__cache_alloc (sizeof (Piece));

  piece->item = item;
  pthread_mutex_lock (&backlog->lock);
  morrow__queue_push (&backlog->pieces, &piece->node);
  atomic_store_explicit (&backlog->n, count (backlog) + 1, memory_order_relaxed);
  pthread_mutex_unlock (&backlog->lock);
}

guint
morrow__backlog_pop (MorrowBacklog  *backlog,
                     MorrowRingItem *items,
                     guint           max,
                     guint           n_shares)
{
  gsize n;

  pthread_mutex_lock (&backlog->lock);
  n = MIN (count (backlog), CLAMP (count (backlog) / n_shares, 1, max));
  for (gsize i = 0; i < n; i++)
    {
      Piece *piece = morrow__queue_entry (morrow__queue_pop (&backlog->pieces), Piece, node);

      items[i] = piece->item;
      morrow__cache_free (sizeof (Piece), piece);
    }
  atomic_store_explicit (&backlog->n_taken, morrow__backlog_n_taken (backlog) + n, memory_order_relaxed);
  /* Release: pairs with the acquire in morrow__backlog_is_empty (). */
  atomic_store_explicit (&backlog->n, count (backlog) - n, memory_order_release);
  pthread_mutex_unlock (&backlog->lock);
  return (guint) n;
}
