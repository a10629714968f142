/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When a waiting thread spins and when it does not.
 */
#include "config.h"

#include "base/spin-private.h"

#include "morrow-check.h"

#include <sched.h>

static guint n_looks;
static guint n_yields;
static gint64 yield_time;

/* In place of the C library's: it takes as long as the test says, and nobody else is to run meanwhile. */
int
sched_yield (void)
{
  gint64 end = g_get_monotonic_time () + yield_time;

  n_yields++;
  while (g_get_monotonic_time () < end)
    ;
  return 0;
}

static gboolean
never (gpointer data)
{
  n_looks++;
  return FALSE;
}

static gboolean
at_third_look (gpointer data)
{
  return ++n_looks == 3;
}

/* The reply of one who can run only now. */
static gboolean
once_yielded_to (gpointer data)
{
  return n_yields > 0;
}

/* How many waits go by without a look until one spins, in vain. */
static guint
waits_until_spin (MorrowSpin *spin)
{
  guint n;

  n_looks = 0;
  for (n = 0; n < 5000; n++)
    {
      ck_assert (!morrow__spin_until (spin, never, NULL, G_MAXINT64));
      if (n_looks > 0)
        break;
    }
  return n;
}

START_TEST (new_one_does_not_spin)
{
  MorrowSpin spin = { .is_brisk = FALSE };

  ck_assert (!morrow__spin_until (&spin, never, NULL, G_MAXINT64));
  ck_assert_uint_eq (n_looks, 0);
}
END_TEST

START_TEST (spins_after_a_reply_that_came_soon_and_only_then)
{
  MorrowSpin spin = { .is_brisk = FALSE };

  morrow__spin_slept (&spin, TRUE, 5);
  ck_assert (morrow__spin_until (&spin, at_third_look, NULL, G_MAXINT64));
  ck_assert_uint_eq (n_looks, 3);

  morrow__spin_slept (&spin, TRUE, 100000);
  ck_assert (!morrow__spin_until (&spin, never, NULL, G_MAXINT64));
  morrow__spin_slept (&spin, FALSE, 5);
  ck_assert (!morrow__spin_until (&spin, never, NULL, G_MAXINT64));
  ck_assert_uint_eq (n_looks, 3);
}
END_TEST

START_TEST (each_spin_in_vain_doubles_the_waits_without)
{
  static const guint expected[] = { 0, 1, 3, 7, 15, 31, 63, 63 };
  MorrowSpin spin = { .is_brisk = FALSE };

  morrow__spin_slept (&spin, TRUE, 5);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    ck_assert_uint_eq (waits_until_spin (&spin), expected[i]);
}
END_TEST

START_TEST (reply_to_a_spin_forgets_those_in_vain)
{
  MorrowSpin spin = { .is_brisk = FALSE };

  morrow__spin_slept (&spin, TRUE, 5);
  for (guint i = 0; i < 4; i++)
    waits_until_spin (&spin);
  while (n_looks = 0, !morrow__spin_until (&spin, at_third_look, NULL, G_MAXINT64))
    ck_assert_uint_eq (n_looks, 0);
  ck_assert_uint_eq (waits_until_spin (&spin), 0);
  ck_assert_uint_eq (waits_until_spin (&spin), 1);
}
END_TEST

START_TEST (spin_ends_at_the_deadline)
{
  MorrowSpin spin = { .is_brisk = FALSE };

  morrow__spin_slept (&spin, TRUE, 5);
  ck_assert (!morrow__spin_until (&spin, never, NULL, 0));
  ck_assert_uint_gt (n_looks, 0);
  ck_assert_uint_lt (n_looks, 100);
}
END_TEST

START_TEST (spin_keeps_its_processor_for_a_reply_at_once)
{
  MorrowSpin spin = { .is_brisk = TRUE };

  ck_assert (morrow__spin_until (&spin, at_third_look, NULL, G_MAXINT64));
  ck_assert_uint_eq (n_yields, 0);
}
END_TEST

/* A spin whose thread was held up may be over before it has looked twice: then the next one is tried. */
START_TEST (spin_that_lasts_gives_its_processor_to_who_is_to_reply)
{
  MorrowSpin spin;

  do
    spin = (MorrowSpin) { .is_brisk = TRUE };
  while (!morrow__spin_until (&spin, once_yielded_to, NULL, G_MAXINT64));
  ck_assert_uint_eq (n_yields, 1);
}
END_TEST

/* As if strangers had it meanwhile. */
static void
come_back_late (MorrowSpin *spin)
{
  yield_time = 1000;
  do
    *spin = (MorrowSpin) { .is_brisk = TRUE };
  while (!morrow__spin_until (spin, once_yielded_to, NULL, G_MAXINT64));
  yield_time = 0;
  n_yields = 0;
}

START_TEST (spin_that_came_back_late_keeps_its_processor_for_a_while)
{
  MorrowSpin spin;
  gint64 yield_at;

  come_back_late (&spin);
  yield_at = spin.yield_at;
  ck_assert (!morrow__spin_until (&spin, never, NULL, yield_at));
  ck_assert_uint_eq (n_yields, 0);

  yield_time = 1000;           /* it comes back late again, which is for the next */
  do
    spin.n_to_skip = 0;
  while (!morrow__spin_until (&spin, once_yielded_to, NULL, G_MAXINT64));
  ck_assert_int_ge (g_get_monotonic_time (), yield_at);
}
END_TEST

static void
setup (void)
{
  n_looks = n_yields = 0;
  yield_time = 0;
}

static Suite *
spin_suite (void)
{
  Suite *suite = suite_create ("spin");
  TCase *policy = tcase_create ("policy");

  tcase_add_checked_fixture (policy, setup, NULL);
  tcase_add_test (policy, new_one_does_not_spin);
  tcase_add_test (policy, spins_after_a_reply_that_came_soon_and_only_then);
  tcase_add_test (policy, each_spin_in_vain_doubles_the_waits_without);
  tcase_add_test (policy, reply_to_a_spin_forgets_those_in_vain);
  tcase_add_test (policy, spin_ends_at_the_deadline);
  tcase_add_test (policy, spin_keeps_its_processor_for_a_reply_at_once);
  tcase_add_test (policy, spin_that_lasts_gives_its_processor_to_who_is_to_reply);
  tcase_add_test (policy, spin_that_came_back_late_keeps_its_processor_for_a_while);
  suite_add_tcase (suite, policy);

  return suite;
}

MORROW_CHECK_MAIN (spin_suite)
