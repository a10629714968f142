/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parking a thread, and waking it.
 */
#include "config.h"

#include <poll.h>
#include <sched.h>

#include "base/parker-private.h"

#include "morrow-check.h"
#include "rendezvous.h"

START_TEST (unpark_before_park_makes_that_return)
{
  MorrowParker parker;

  morrow__parker_init (&parker);
  morrow__parker_unpark (&parker);
  morrow__parker_park (&parker);
  morrow__parker_unpark (&parker);
  ck_assert (morrow__parker_park_until (&parker, G_MAXINT64));
  morrow__parker_clear (&parker);
}
END_TEST

START_TEST (several_unparks_count_as_one)
{
  MorrowParker parker;

  morrow__parker_init (&parker);
  morrow__parker_unpark (&parker);
  morrow__parker_unpark (&parker);
  ck_assert (morrow__parker_park_until (&parker, 0));
  ck_assert (!morrow__parker_park_until (&parker, 0));
  morrow__parker_clear (&parker);
}
END_TEST

START_TEST (park_until_gives_up_at_the_deadline)
{
  MorrowParker parker;
  gint64 deadline;

  morrow__parker_init (&parker);
  ck_assert (!morrow__parker_park_until (&parker, G_MININT64));
  deadline = g_get_monotonic_time () + 2000;
  ck_assert (!morrow__parker_park_until (&parker, deadline));
  ck_assert_int_ge (g_get_monotonic_time (), deadline);
  morrow__parker_unpark (&parker);
  ck_assert (morrow__parker_park_until (&parker, deadline));
  morrow__parker_clear (&parker);
}
END_TEST

typedef struct
{
  MorrowParker parker;
  Rendezvous   rendezvous;
  guint        message;         /* The waker, before its unpark; the parked one after. */
} Duel;

static gpointer
duel_wake (gpointer data)
{
  Duel *duel = data;

  for (guint i = 1; rendezvous_follow (&duel->rendezvous); i++)
    {
      duel->message = i;
      morrow__parker_unpark (&duel->parker);
    }
  return NULL;
}

START_TEST (unpark_racing_park_is_never_lost)
{
  Duel duel = { .message = 0 };
  guint n_woken = 0;
  GThread *waker;

  morrow__parker_init (&duel.parker);
  rendezvous_init (&duel.rendezvous, 2, N_RACES);
  waker = g_thread_new ("waker", duel_wake, &duel);
  while (rendezvous_take_round (&duel.rendezvous))
    {
      rendezvous_meet (&duel.rendezvous);
      morrow__parker_park (&duel.parker);
      n_woken += duel.message == duel.rendezvous.n_rounds;
    }
  rendezvous_end (&duel.rendezvous);
  g_thread_join (waker);
  ck_assert_uint_eq (n_woken, duel.rendezvous.n_rounds);
  ck_assert (!morrow__parker_park_until (&duel.parker, 0));
  morrow__parker_clear (&duel.parker);
}
END_TEST

/* The deadline is always now: whether the token came in time is open, but it is seen exactly
 * once. */
START_TEST (unpark_racing_a_deadline_is_seen_now_or_next_time)
{
  Duel duel = { .message = 0 };
  guint n_tokens = 0;
  GThread *waker;

  morrow__parker_init (&duel.parker);
  rendezvous_init (&duel.rendezvous, 2, N_RACES);
  waker = g_thread_new ("waker", duel_wake, &duel);
  while (rendezvous_take_round (&duel.rendezvous))
    {
      rendezvous_meet (&duel.rendezvous);
      if (!morrow__parker_park_until (&duel.parker, 0))
        morrow__parker_park (&duel.parker);
      n_tokens += duel.message == duel.rendezvous.n_rounds;
    }
  rendezvous_end (&duel.rendezvous);
  g_thread_join (waker);
  ck_assert_uint_eq (n_tokens, duel.rendezvous.n_rounds);
  ck_assert (!morrow__parker_park_until (&duel.parker, 0));
  morrow__parker_clear (&duel.parker);
}
END_TEST

static gpointer
unpark_who_polls (gpointer data)
{
  MorrowParker *parker = data;

  while (atomic_load (&parker->state) >= -1)
    sched_yield ();
  morrow__parker_unpark (parker);
  return NULL;
}

/* Else each poll that follows would return at once. */
START_TEST (wake_up_from_a_poll_leaves_nothing_to_be_woken_by)
{
  MorrowParker parker;
  GThread *waker;
  gboolean ready = TRUE;
  struct pollfd wakeup = { .events = POLLIN };

  morrow__parker_init (&parker);
  waker = g_thread_new ("waker", unpark_who_polls, &parker);
  ck_assert (morrow__parker_poll (&parker, -1, POLLIN, G_MAXINT64, &ready, NULL));
  g_thread_join (waker);
  ck_assert (!ready);
  wakeup.fd = morrow__wakeup_fd (&parker.wakeup);
  ck_assert_int_ge (wakeup.fd, 0);
  ck_assert_int_eq (poll (&wakeup, 1, 0), 0);
  morrow__parker_clear (&parker);
}
END_TEST

static Suite *
parker_suite (void)
{
  Suite *suite = suite_create ("parker");
  TCase *token = tcase_create ("token");
  TCase *threads = tcase_create ("threads");

  tcase_add_test (token, unpark_before_park_makes_that_return);
  tcase_add_test (token, several_unparks_count_as_one);
  tcase_add_test (token, park_until_gives_up_at_the_deadline);
  suite_add_tcase (suite, token);

  tcase_add_test (threads, unpark_racing_park_is_never_lost);
  tcase_add_test (threads, unpark_racing_a_deadline_is_seen_now_or_next_time);
  tcase_add_test (threads, wake_up_from_a_poll_leaves_nothing_to_be_woken_by);
  suite_add_tcase (suite, threads);

  return suite;
}

MORROW_CHECK_MAIN (parker_suite)
