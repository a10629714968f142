/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the threads of a race meet before each round, so that they do start it together.  They spin,
 * since a futex would let one start long before the other; who waits long yields, for machines with
 * fewer processors than threads.
 */
#pragma once

#include <glib.h>
#include <sched.h>
#include <stdatomic.h>

enum
{
  N_RACES = 100000,
  RACES_TIME = 5 * G_USEC_PER_SEC
};

typedef struct
{
  guint         n_threads;      /* Immutable. */
  _Atomic guint n_arrived;      /* Any thread: since the beginning of the test. */
  gint64        deadline;       /* Immutable. */
  gboolean      is_over;        /* The thread that counts, between two meetings; the others after the second. */
} Rendezvous;

static inline void
rendezvous_init (Rendezvous *rendezvous,
                 guint       n_threads)
{
  rendezvous->n_threads = n_threads;
  rendezvous->deadline = g_get_monotonic_time () + RACES_TIME;
  rendezvous->is_over = FALSE;
  atomic_init (&rendezvous->n_arrived, 0);
}

/* What a thread did before is visible to all after. */
static inline void
rendezvous_meet (Rendezvous *rendezvous)
{
  guint ticket = atomic_fetch_add_explicit (&rendezvous->n_arrived, 1, memory_order_acq_rel);
  guint last = ticket - ticket % rendezvous->n_threads + rendezvous->n_threads;
  guint n_spins = 0;

  while (atomic_load_explicit (&rendezvous->n_arrived, memory_order_acquire) < last)
    if (++n_spins % 256 == 0)
      sched_yield ();
}

/* Between two meetings, in one of the threads: after this many races there is another, unless there have been enough.  Where
 * threads wait for a processor each meeting takes a turn of the scheduler, and what meets is no race: then time ends it. */
static inline void
rendezvous_count (Rendezvous *rendezvous,
                  guint       n_races)
{
  rendezvous->is_over = n_races == N_RACES || g_get_monotonic_time () >= rendezvous->deadline;
}
