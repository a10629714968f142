/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who waits for a future in a crowd, and leaves it: here a few are one.
 */
#include "config.h"

#define MORROW_CROWD_MIN   4
#define MORROW_CROWD_WALKS 2
#include "core/crowd.c"
#include "core/future.c"

#include <morrow/combine.h>
#include <morrow/promise.h>

#include "base/rendezvous.h"

enum
{
  N_PLACES  = 24,
  N_RACERS  = 8,
  N_LEAVING = 200000
};

/* --- one thread ------------------------------------------------------------------------------------ */

typedef struct
{
  MorrowWaiter waiter;
  gboolean     waits;
  guint        place;    /* in the order in which those that wait have come */
} Place;

static guint n_notified;
static Place *notified[N_PLACES];

static void
note (MorrowWaiter *waiter, MorrowFuture *future)
{
  notified[n_notified++] = (Place *) waiter;
}

static gboolean
has_crowd (MorrowFuture *future)
{
  guintptr word = atomic_load (&future->word);

  return !(word & MORROW__SETTLED) && (word & MORROW__CROWD);
}

static void
come (MorrowFuture *future, Place *place, guint number)
{
  place->waiter.notify = note;
  place->place = number;
  place->waits = morrow__future_subscribe (future, &place->waiter);
}

/* Which of the two ways a waiter has out must not matter. */
static void
leave (MorrowFuture *future, Place *place, guint n_waiting, gboolean shared)
{
  gboolean was_last;

  if (shared)
    {
      MorrowDetach detach = morrow__future_detach_shared (future, &place->waiter);

      ck_assert_int_eq (detach, n_waiting > 1 ? MORROW_DETACHED : MORROW_SOLE);
      place->waits = detach == MORROW_SOLE;
      return;
    }

  ck_assert (morrow__future_unsubscribe (future, &place->waiter, &was_last));
  ck_assert_int_eq (was_last, n_waiting == 1);
  place->waits = FALSE;
}

static guint
count_waiting (const Place *places)
{
  guint n = 0;

  for (guint i = 0; i < N_PLACES; i++)
    n += places[i].waits;
  return n;
}

/* Those that wait are told, once, in the order in which they came. */
static void
assert_told (const Place *places)
{
  ck_assert_uint_eq (n_notified, count_waiting (places));
  for (guint i = 0; i < n_notified; i++)
    {
      ck_assert (notified[i]->waits);
      ck_assert (i == 0 || notified[i - 1]->place < notified[i]->place);
    }
}

/* Gives how often there was a crowd. */
static guint
come_and_leave (GRand *rand, guint n_steps)
{
  MorrowPromise *promise = morrow_promise_new ();
  MorrowFuture *future = morrow_promise_get_future (promise);
  Place places[N_PLACES] = { 0 };
  guint n_crowds = 0;

  n_notified = 0;
  for (guint i = 0; i < n_steps; i++)
    {
      Place *place = &places[g_rand_int_range (rand, 0, N_PLACES)];

      if (place->waits)
        leave (future, place, count_waiting (places), g_rand_boolean (rand));
      else
        come (future, place, i);
      n_crowds += has_crowd (future);
    }
  morrow_promise_resolve (promise);
  assert_told (places);
  morrow_promise_unref (promise);
  morrow_future_unref (future);
  return n_crowds;
}

START_TEST (who_has_stayed_in_a_crowd_is_told_once_in_the_order_of_coming)
{
  GRand *rand = g_rand_new_with_seed (4);
  guint n_crowds = 0;

  for (guint i = 0; i < 2000; i++)
    n_crowds += come_and_leave (rand, i % 200);
  ck_assert_uint_gt (n_crowds, 10000);
  g_rand_free (rand);
}
END_TEST

START_TEST (a_crowd_from_which_all_but_one_have_gone_is_none)
{
  MorrowPromise *promise = morrow_promise_new ();
  MorrowFuture *future = morrow_promise_get_future (promise);
  Place places[N_PLACES] = { 0 };
  gboolean was_crowd = FALSE;

  n_notified = 0;
  for (guint i = 0; i < N_PLACES; i++)
    come (future, &places[i], i);
  ck_assert (!has_crowd (future));
  for (guint i = 0; i < N_PLACES - 1; i++)
    {
      leave (future, &places[i], N_PLACES - i, FALSE);
      was_crowd |= has_crowd (future);
    }
  ck_assert (was_crowd);
  ck_assert (!has_crowd (future));
  morrow_promise_resolve (promise);
  assert_told (places);
  morrow_promise_unref (promise);
  morrow_future_unref (future);
}
END_TEST

/* The common waiter of a gather stands in many lists, and is written to in none. */
START_TEST (a_waiter_in_the_lists_of_two_stays_as_it_was_in_a_crowd)
{
  MorrowPromise *promises[2] = { morrow_promise_new (), morrow_promise_new () };
  MorrowFuture *futures[2];
  Place common = { .waiter = { .notify = note }, .waits = TRUE }, places[N_PLACES] = { 0 };

  n_notified = 0;
  for (guint i = 0; i < 2; i++)
    {
      futures[i] = morrow_promise_get_future (promises[i]);
      ck_assert (morrow__future_push_common (futures[i], &common.waiter));
    }
  for (guint i = 0; i < N_PLACES; i++)
    come (futures[0], &places[i], i + 1);
  for (guint i = 0; i < N_PLACES; i++)
    {
      leave (futures[0], &places[i], N_PLACES + 1 - i, i % 2 == 0);
      ck_assert_ptr_null (common.waiter.next);
    }
  for (guint i = 0; i < 2; i++)
    {
      morrow_promise_resolve (promises[i]);
      ck_assert_uint_eq (n_notified, i + 1);
      ck_assert_ptr_eq (notified[i], &common);
      morrow_promise_unref (promises[i]);
      morrow_future_unref (futures[i]);
    }
}
END_TEST

/* If each were looked for along the list it would be hours. */
START_TEST (two_hundred_thousand_leave_from_the_oldest_on)
{
  MorrowPromise *promise = morrow_promise_new ();
  MorrowFuture *future = morrow_promise_get_future (promise);
  MorrowFuture **shields = g_new (MorrowFuture *, N_LEAVING);

  for (guint i = 0; i < N_LEAVING; i++)
    shields[i] = morrow_shield (morrow_future_ref (future));
  for (guint i = 0; i < N_LEAVING; i++)
    {
      morrow_future_cancel (shields[i]);
      morrow_future_unref (shields[i]);
    }
  ck_assert_uint_eq (atomic_load (&future->word), 0);
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  morrow_future_unref (future);
  g_free (shields);
}
END_TEST

/* --- two threads ----------------------------------------------------------------------------------- */

/* Nobody is told who has left. */
typedef struct
{
  MorrowWaiter waiter;
  guint        n_told;   /* who settles; after a meeting, who leads */
  gboolean     waits;    /* who leaves; after a meeting, who leads */
} Racer;

typedef struct
{
  Rendezvous     rendezvous;
  MorrowPromise *promise;              /* who leads, before the first meeting of a round */
  MorrowFuture  *future;
  Racer          racers[N_RACERS];
} Contest;

static void
tell_racer (MorrowWaiter *waiter, MorrowFuture *future)
{
  ((Racer *) waiter)->n_told++;
}

/* In both ways: that it was rejected lies where a pending one has its crowd. */
static gpointer
settle_in_race (gpointer data)
{
  Contest *contest = data;

  while (rendezvous_follow (&contest->rendezvous))
    {
      if (contest->rendezvous.n_rounds % 2 == 0)
        morrow_promise_resolve (contest->promise);
      else
        morrow_future_cancel (contest->future);
      rendezvous_meet (&contest->rendezvous);
    }
  return NULL;
}

static void
begin_round (Contest *contest)
{
  contest->promise = morrow_promise_new ();
  contest->future = morrow_promise_get_future (contest->promise);
  for (guint i = 0; i < N_RACERS; i++)
    {
      contest->racers[i] = (Racer) { .waiter.notify = tell_racer, .waits = i > 0 };
      if (i > 0)
        morrow__future_subscribe (contest->future, &contest->racers[i].waiter);
    }
}

/* From the oldest on, so that it becomes a crowd; and one comes. */
static void
leave_in_race (Contest *contest)
{
  for (guint i = 1; i < N_RACERS - 1; i++)
    contest->racers[i].waits = !morrow__future_unsubscribe (contest->future, &contest->racers[i].waiter, NULL);
  contest->racers[0].waits = morrow__future_subscribe (contest->future, &contest->racers[0].waiter);
}

static void
end_round (Contest *contest)
{
  for (guint i = 0; i < N_RACERS; i++)
    ck_assert_uint_eq (contest->racers[i].n_told, contest->racers[i].waits);
  morrow_promise_unref (contest->promise);
  morrow_future_unref (contest->future);
}

START_TEST (who_leaves_a_crowd_as_it_settles_is_told_or_has_left)
{
  Contest contest;
  GThread *settler;

  rendezvous_init (&contest.rendezvous, 2, N_RACES);
  settler = g_thread_new ("settler", settle_in_race, &contest);
  while (rendezvous_take_round (&contest.rendezvous))
    {
      begin_round (&contest);
      rendezvous_meet (&contest.rendezvous);
      leave_in_race (&contest);
      rendezvous_meet (&contest.rendezvous);
      end_round (&contest);
    }
  rendezvous_end (&contest.rendezvous);
  g_thread_join (settler);
}
END_TEST

static Suite *
crowd_suite (void)
{
  Suite *suite = suite_create ("crowd");
  TCase *alone = morrow_check_add_case (suite, "alone");
  TCase *races = morrow_check_add_case (suite, "races");

  tcase_add_test (alone, who_has_stayed_in_a_crowd_is_told_once_in_the_order_of_coming);
  tcase_add_test (alone, a_crowd_from_which_all_but_one_have_gone_is_none);
  tcase_add_test (alone, a_waiter_in_the_lists_of_two_stays_as_it_was_in_a_crowd);
  tcase_add_test (alone, two_hundred_thousand_leave_from_the_oldest_on);
  tcase_add_test (races, who_leaves_a_crowd_as_it_settles_is_told_or_has_left);
  return suite;
}

MORROW_CHECK_MAIN (crowd_suite)
