/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the threads of a race meet before each round, so that they do start it together.  They spin,
 * since a futex would let one start long before the other; who waits long yields, for machines with
 * fewer processors than threads.
 *
 * One thread leads: it takes rounds as long as there are any, prepares each, and meets the others, then ends; the others
 * meet it as long as it has not ended.  Where threads wait for a processor each meeting takes a turn of the scheduler, and
 * what meets is no race: then time ends it, long before the test's time limit does.
 */
#pragma once

#include <glib.h>
#include <sched.h>
#include <stdatomic.h>

#include "morrow-check.h"

enum
{
  N_RACES = 100000
};

/* With a processor for each thread all races take less. */
#ifdef MORROW_CHECK_TSAN
# define RACES_TIME (20 * G_USEC_PER_SEC)
#else
# define RACES_TIME (5 * G_USEC_PER_SEC)
#endif

typedef struct
{
  guint         n_threads;      /* Immutable. */
  guint         n_wanted;       /* Immutable: rounds. */
  gint64        deadline;       /* Immutable. */
  guint         n_rounds;       /* The thread that leads; the others once it is over. */
  gboolean      is_over;        /* The thread that leads, before the last meeting; the others after each. */
  _Atomic guint n_arrived;      /* Any thread: since the beginning of the test. */
} Rendezvous;

static inline void
rendezvous_init (Rendezvous *rendezvous,
                 guint       n_threads,
                 guint       n_rounds)
{
  rendezvous->n_threads = n_threads;
  rendezvous->n_wanted = n_rounds;
  rendezvous->deadline = g_get_monotonic_time () + RACES_TIME;
  rendezvous->n_rounds = 0;
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

/* The thread that leads: whether there is one more round, which it begins. */
static inline gboolean
rendezvous_take_round (Rendezvous *rendezvous)
{
  gboolean is_due = rendezvous->n_rounds < rendezvous->n_wanted && g_get_monotonic_time () < rendezvous->deadline;

  rendezvous->n_rounds += is_due;
  return is_due;
}

/* The thread that leads: a last meeting.  All others have begun the round before it, as a second meeting in it or the
 * outcome of their half has told. */
static inline void
rendezvous_end (Rendezvous *rendezvous)
{
  rendezvous->is_over = TRUE;
  rendezvous_meet (rendezvous);
}

/* The others: meets the one that leads; whether that was for a round. */
static inline gboolean
rendezvous_follow (Rendezvous *rendezvous)
{
  rendezvous_meet (rendezvous);
  return !rendezvous->is_over;
}
