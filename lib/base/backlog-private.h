/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Work for which a ring had no room: as much as there is memory for, for many who put in and many who take out; first in, first out.
 *
 * It has a lock, since who comes here has found hundreds of pieces in the ring, and takes memory for his: the lock is the least of it.
 *
 * Who goes to sleep by morrow__backlog_is_empty () sees what was pushed by the rule that holds for the ring: P1 in exec/loop-pool-wake.c. */

#pragma once

#include "base/ring-private.h"

#include "base/list-private.h"

#include <pthread.h>

G_BEGIN_DECLS

typedef struct
{
  pthread_mutex_t lock;
  MorrowQueue     pieces;    /* Under the lock. */
  atomic_size_t   n;         /* How many there are: written under the lock, read by any thread. */
  atomic_size_t   n_taken;   /* How many have been taken out, ever: likewise. */
} MorrowBacklog;

void  morrow__backlog_init    (MorrowBacklog *backlog);

/* Of one that is empty. */
void  morrow__backlog_clear   (MorrowBacklog *backlog);

/* Any thread. */
void  morrow__backlog_push    (MorrowBacklog *backlog,
                               MorrowRingItem item);

/* Any thread: takes the oldest out, as morrow__ring_pop () does.  Returns: how many; 0 when there was none. */
guint morrow__backlog_pop     (MorrowBacklog  *backlog,
                               MorrowRingItem *items,
                               guint           max,
                               guint           n_shares);

/* Any thread: how many have been taken out, ever; all that were there for who has found it empty since. */
static inline gsize
morrow__backlog_n_taken (MorrowBacklog *backlog)
{
  return atomic_load_explicit (&backlog->n_taken, memory_order_relaxed);
}

/* Any thread. */
static inline gboolean
morrow__backlog_is_empty (MorrowBacklog *backlog)
{
  /* Acquire: pairs with the release in morrow__backlog_pop (), for n_taken. The lock hands over what was pushed. */
  return atomic_load_explicit (&backlog->n, memory_order_acquire) == 0;
}

G_END_DECLS
