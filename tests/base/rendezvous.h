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
  N_RACES = 100000
};

typedef struct
{
  guint         n_threads;      /* Immutable. */
  _Atomic guint n_arrived;      /* Any thread: since the beginning of the test. */
} Rendezvous;

static inline void
rendezvous_init (Rendezvous *rendezvous,
                 guint       n_threads)
{
  rendezvous->n_threads = n_threads;
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
