/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In which order a loop runs what is ready: SCH of the conformance list.  Where time matters, it is
 * virtual: the clock stands still while anything runs, and jumps when the loop would sleep.
 */
#include "config.h"

#include <fenv.h>

#include "scene.h"

#include "base/clock-private.h"

/* --- the queue --------------------------------------------------------------------------------- */

SCENE (sch_01_ready_callbacks_run_first_in_first_out)
{
  submit_here (say_it, (gpointer) "1");
  submit_here (say_it, (gpointer) "2");
  submit_here (say_it, (gpointer) "3");
  let_run ();

  assert_said ("1; 2; 3");
  return TRUE;
}

static void
say_and_submit_another (gpointer data)
{
  say ("%s", (const char *) data);
  submit_here (say_it, (gpointer) "later");
}

SCENE (sch_03_what_is_scheduled_while_the_queue_runs_waits_for_the_next_round)
{
  submit_here (say_and_submit_another, (gpointer) "1");
  submit_here (say_and_submit_another, (gpointer) "2");
  submit_here (say_it, (gpointer) "3");
  say ("submitted");
  let_run ();

  assert_said ("submitted; 1; 2; 3; later; later");
  return TRUE;
}

static gboolean
say_name (gpointer data, GValue *result, GError **error)
{
  say ("%s", (const char *) data);
  return TRUE;
}

SCENE (sch_07_a_task_does_not_run_inside_its_creation_and_tasks_start_in_order)
{
  g_autoptr (MorrowFuture) a = morrow_create_task (morrow_coroutine (say_name, (gpointer) "a", NULL));
  g_autoptr (MorrowFuture) b = morrow_create_task (morrow_coroutine (say_name, (gpointer) "b", NULL));
  g_autoptr (MorrowFuture) c = morrow_create_task (morrow_coroutine (say_name, (gpointer) "c", NULL));

  say ("created");
  await_ok (c);

  assert_said ("created; a; b; c");
  ck_assert (morrow_future_is_settled (a) && morrow_future_is_settled (b));
  return TRUE;
}

/* --- what does not yield ----------------------------------------------------------------------- */

SCENE (sch_08_awaiting_what_has_settled_does_not_yield)
{
  g_autoptr (MorrowFuture) other = morrow_create_task (morrow_coroutine (say_name, (gpointer) "other", NULL));

  ck_assert_int_eq (morrow_await_int (new_int (42), error), 42);
  say ("a value was there");
  assert_said ("a value was there");

  await_ok (other);
  assert_said ("other");
  return TRUE;
}

SCENE (sch_08_awaiting_what_has_failed_does_not_yield)
{
  g_autoptr (MorrowFuture) other = morrow_create_task (morrow_coroutine (say_name, (gpointer) "other", NULL));
  g_autoptr (MorrowFuture) failed = new_failed ("no");
  g_autoptr (GError) why = await_error (failed);

  ck_assert_str_eq (why->message, "no");
  assert_said ("");

  await_ok (other);
  assert_said ("other");
  return TRUE;
}

SCENE (sch_08_awaiting_a_finished_task_does_not_yield)
{
  g_autoptr (MorrowFuture) finished = morrow_create_task (morrow_coroutine (say_name, (gpointer) "finished", NULL));
  g_autoptr (MorrowFuture) other = NULL;

  await_ok (finished);
  other = morrow_create_task (morrow_coroutine (say_name, (gpointer) "other", NULL));
  await_ok (finished);
  assert_said ("finished");

  await_ok (other);
  assert_said ("other");
  return TRUE;
}

SCENE (sch_08_awaiting_a_coroutine_that_does_not_wait_does_not_yield)
{
  g_autoptr (MorrowFuture) other = morrow_create_task (morrow_coroutine (say_name, (gpointer) "other", NULL));

  ck_assert (morrow_await (morrow_coroutine (say_name, (gpointer) "in place", NULL), error));
  assert_said ("in place");

  await_ok (other);
  assert_said ("other");
  return TRUE;
}

/* --- settling ---------------------------------------------------------------------------------- */

static gboolean
await_and_say (gpointer data, GValue *result, GError **error)
{
  gboolean ok = morrow_future_await (data, error);

  say ("resumed");
  return ok;
}

static gboolean
say_callback (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  say ("%s", (const char *) data);
  return TRUE;
}

SCENE (sch_09_settling_schedules_callbacks_and_waiters_in_the_order_in_which_they_came)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) first = morrow_future_then (future, say_callback, (gpointer) "first", NULL);
  g_autoptr (MorrowFuture) waiter = morrow_create_task (morrow_coroutine (await_and_say, future, NULL));
  g_autoptr (MorrowFuture) last = NULL;

  let_run ();
  last = morrow_future_finally (future, say_callback, (gpointer) "last", NULL);

  morrow_promise_resolve (promise);
  say ("resolved");
  assert_said ("resolved");

  let_run ();
  assert_said ("first; resumed; last");
  ck_assert (morrow_future_is_settled (first) && morrow_future_is_settled (waiter) && morrow_future_is_settled (last));
  return TRUE;
}

typedef struct
{
  MorrowFuture *future;   /* borrowed */
  const char   *name;
} Named;

static gboolean
await_named (gpointer data, GValue *result, GError **error)
{
  Named *self = data;
  gboolean ok = morrow_future_await (self->future, error);

  say ("%s", self->name);
  return ok;
}

/* Neither takes a round of its own, as it does in asyncio. */
SCENE (sch_09_a_gather_and_a_shield_settle_as_what_they_wait_for_does)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) gather = morrow_gather (morrow_future_ref (future), NULL);
  g_autoptr (MorrowFuture) shield = morrow_shield (morrow_future_ref (future));
  Named all[] = { { gather, "gather" }, { shield, "shield" }, { future, "itself" } };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    morrow_future_unref (morrow_create_task (morrow_coroutine (await_named, &all[i], NULL)));
  let_run ();

  morrow_promise_resolve (promise);
  ck_assert (morrow_future_is_settled (gather) && morrow_future_is_settled (shield));
  ck_assert (morrow_yield (error));
  assert_said ("gather; shield; itself");
  return TRUE;
}

static gboolean
yield_three_times (gpointer data, GValue *result, GError **error)
{
  for (guint i = 0; i < 3; i++)
    {
      say ("%s%u", (const char *) data, i);
      if (!morrow_yield (error))
        return FALSE;
    }
  return TRUE;
}

SCENE (sch_10_tasks_that_yield_take_turns)
{
  ck_assert (morrow_await (morrow_all (morrow_coroutine (yield_three_times, (gpointer) "a", NULL),
                                       morrow_coroutine (yield_three_times, (gpointer) "b", NULL),
                                       morrow_coroutine (yield_three_times, (gpointer) "c", NULL), NULL), error));

  assert_said ("a0; b0; c0; a1; b1; c1; a2; b2; c2");
  return TRUE;
}

static guint n_rounds;

static void
count_rounds (gpointer data)
{
  gboolean *stop = data;

  if (!*stop)
    {
      n_rounds++;
      submit_here (count_rounds, stop);
    }
}

SCENE (sch_10_a_yield_costs_one_round)
{
  gboolean stop = FALSE;

  submit_here (count_rounds, &stop);
  for (guint i = 1; i <= 100; i++)
    {
      ck_assert (morrow_yield (error));
      ck_assert_uint_eq (n_rounds, i);
    }
  stop = TRUE;
  let_run ();
  return TRUE;
}

/* data: the rounding mode. */
static gboolean
keep_rounding (gpointer data, GValue *result, GError **error)
{
  const int mode = GPOINTER_TO_INT (data);

  fesetround (mode);
  for (guint i = 0; i < 3; i++)
    {
      ck_assert (morrow_yield (error));
      ck_assert_int_eq (fegetround (), mode);
      ck_assert (morrow_await (morrow_sleep (0), error));
      ck_assert_int_eq (fegetround (), mode);
    }
  return TRUE;
}

/* Also from one that ends as it is. */
SCENE (a_task_has_the_rounding_mode_that_it_had_before_it_yielded_or_waited)
{
  ck_assert (morrow_await (morrow_all (morrow_coroutine (keep_rounding, GINT_TO_POINTER (FE_UPWARD), NULL),
                                       morrow_coroutine (keep_rounding, GINT_TO_POINTER (FE_DOWNWARD), NULL),
                                       morrow_coroutine (keep_rounding, GINT_TO_POINTER (FE_TOWARDZERO), NULL), NULL), error));
  ck_assert_int_eq (fegetround (), FE_TONEAREST);
  return TRUE;
}

/* --- time -------------------------------------------------------------------------------------- */

static void
use_virtual_clock (void)
{
  morrow__clock_set_virtual (TRUE);
}

typedef struct
{
  gint64 deadline;
  guint  number;
} Nap;

static gboolean
nap_and_say (gpointer data, GValue *result, GError **error)
{
  const Nap *nap = data;
  gboolean ok = morrow_await (morrow_sleep_until (nap->deadline), error);

  say ("%u", nap->number);
  return ok;
}

static gboolean
gather_naps (Nap *naps, guint n, GError **error)
{
  g_autofree MorrowFuture **tasks = g_new (MorrowFuture *, n);

  for (guint i = 0; i < n; i++)
    tasks[i] = morrow_coroutine (nap_and_say, &naps[i], NULL);
  return morrow_await (morrow_gatherv (tasks, n), error);
}

SCENE (sch_05_overdue_timers_fire_in_the_order_of_their_deadlines)
{
  gint64 now = morrow__clock_now ();
  Nap naps[] = { { now + 30000, 30 }, { now + 10000, 10 }, { now + 20000, 20 }, { now + 5000, 5 } };
  MorrowFuture *tasks[G_N_ELEMENTS (naps)];

  for (guint i = 0; i < G_N_ELEMENTS (naps); i++)
    tasks[i] = morrow_create_task (morrow_coroutine (nap_and_say, &naps[i], NULL));
  let_run ();
  morrow__clock_advance (1000000);   /* a step that takes very long */
  ck_assert (morrow_await (morrow_allv (tasks, G_N_ELEMENTS (tasks)), error));

  assert_said ("5; 10; 20; 30");
  return TRUE;
}

SCENE (sch_06_equal_deadlines_fire_in_creation_order)
{
  Nap naps[12];

  for (guint i = 0; i < G_N_ELEMENTS (naps); i++)
    naps[i] = (Nap) { morrow__clock_now () + 1000, i };
  ck_assert (gather_naps (naps, G_N_ELEMENTS (naps), error));

  assert_said ("0; 1; 2; 3; 4; 5; 6; 7; 8; 9; 10; 11");
  return TRUE;
}

SCENE (sch_06_equal_durations_of_tasks_that_start_together_end_in_their_order)
{
  gint64 begin = morrow__clock_now ();
  Nap naps[] = { { begin + 1000, 0 }, { begin + 1000, 1 }, { begin + 500, 2 }, { begin + 1000, 3 } };

  ck_assert (gather_naps (naps, G_N_ELEMENTS (naps), error));

  assert_said ("2; 0; 1; 3");
  ck_assert_int_eq (morrow__clock_now () - begin, 1000);
  return TRUE;
}

SCENE (sch_11_absurdly_long_sleeps_are_legal)
{
  MorrowFuture *sleeps[] = { morrow_sleep (1e18), morrow_sleep (1e308), morrow_sleep (G_MAXDOUBLE * 2), morrow_sleep_until (G_MAXINT64) };

  ck_assert (morrow_await (morrow_sleep (3600 * 24 * 365), error));
  for (guint i = 0; i < G_N_ELEMENTS (sleeps); i++)
    {
      ck_assert (!morrow_future_is_settled (sleeps[i]));
      ck_assert (morrow_future_cancel (sleeps[i]));
      await_cancelled (sleeps[i]);
      morrow_future_unref (sleeps[i]);
    }
  return TRUE;
}

SCENE (slp_05_a_sleep_is_never_early_and_ends_at_its_microsecond)
{
  for (guint i = 1; i <= 2000; i += 111)
    {
      gint64 before = morrow__clock_now ();

      ck_assert (morrow_await (morrow_sleep (i / 1e6), error));
      ck_assert_int_eq (morrow__clock_now () - before, i);
    }
  return TRUE;
}

SCENE (slp_01_a_sleep_of_nothing_or_less_ends_on_the_next_turn)
{
  gint64 before = morrow__clock_now ();

  ck_assert (morrow_await (morrow_sleep (0), error));
  ck_assert (morrow_await (morrow_sleep (-1e300), error));
  ck_assert (morrow_await (morrow_sleep_until (0), error));
  ck_assert (morrow_await (morrow_sleep_until (G_MININT64), error));
  ck_assert_int_eq (morrow__clock_now (), before);
  return TRUE;
}

SCENE (slp_02_a_sleep_of_no_number_fails)
{
  g_autoptr (MorrowFuture) sleep = morrow_sleep (0.0 / 0.0);
  g_autoptr (GError) why = await_error (sleep);

  assert_error (why, MORROW_ERROR, MORROW_ERROR_INVALID_ARGUMENT);
  return TRUE;
}

SCENE (slp_06_a_sleep_may_last_longer_than_any_clock)
{
  g_autoptr (MorrowFuture) sleep = morrow_sleep (G_MAXDOUBLE);

  ck_assert (morrow_yield (error));
  ck_assert (!morrow_future_is_settled (sleep));
  ck_assert (morrow_future_cancel (sleep));
  await_cancelled (sleep);
  return TRUE;
}

SCENE (a_sleep_counts_from_when_it_is_made)
{
  g_autoptr (MorrowFuture) sleep = morrow_sleep (1);
  gint64 before = morrow__clock_now ();

  ck_assert (morrow_await (morrow_sleep (0.75), error));
  await_ok (sleep);
  ck_assert_int_eq (morrow__clock_now () - before, 1000000);
  return TRUE;
}

/* --- what a task may not leave behind ----------------------------------------------------------- */

#ifdef MORROW_ENABLE_DEBUG

SCENE (a_task_that_waits_with_a_context_of_its_own_pushed_is_told)
{
  GMainContext *context = g_main_context_new ();
  gboolean ok;

  morrow_check_expect_critical ("Task '*' waits between g_main_context_push_thread_default*");
  g_main_context_push_thread_default (context);
  ok = morrow_yield (error);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  return ok && morrow_yield (error);
}

#endif

static Suite *
scheduling_suite (void)
{
  Suite *suite = suite_create ("scheduling");
  TCase *queue = morrow_check_add_case (suite, "queue");
  TCase *time = morrow_check_add_case (suite, "time");

  tcase_add_test (queue, sch_01_ready_callbacks_run_first_in_first_out);
  tcase_add_test (queue, sch_03_what_is_scheduled_while_the_queue_runs_waits_for_the_next_round);
  tcase_add_test (queue, sch_07_a_task_does_not_run_inside_its_creation_and_tasks_start_in_order);
  tcase_add_test (queue, sch_08_awaiting_what_has_settled_does_not_yield);
  tcase_add_test (queue, sch_08_awaiting_what_has_failed_does_not_yield);
  tcase_add_test (queue, sch_08_awaiting_a_finished_task_does_not_yield);
  tcase_add_test (queue, sch_08_awaiting_a_coroutine_that_does_not_wait_does_not_yield);
  tcase_add_test (queue, sch_09_settling_schedules_callbacks_and_waiters_in_the_order_in_which_they_came);
  tcase_add_test (queue, sch_09_a_gather_and_a_shield_settle_as_what_they_wait_for_does);
  tcase_add_test (queue, sch_10_a_yield_costs_one_round);
  tcase_add_test (queue, sch_10_tasks_that_yield_take_turns);
  tcase_add_test (queue, a_task_has_the_rounding_mode_that_it_had_before_it_yielded_or_waited);
#ifdef MORROW_ENABLE_DEBUG
  tcase_add_test (queue, a_task_that_waits_with_a_context_of_its_own_pushed_is_told);
#endif

  tcase_add_checked_fixture (time, use_virtual_clock, NULL);
  tcase_add_test (time, sch_05_overdue_timers_fire_in_the_order_of_their_deadlines);
  tcase_add_test (time, sch_06_equal_deadlines_fire_in_creation_order);
  tcase_add_test (time, sch_06_equal_durations_of_tasks_that_start_together_end_in_their_order);
  tcase_add_test (time, sch_11_absurdly_long_sleeps_are_legal);
  tcase_add_test (time, slp_05_a_sleep_is_never_early_and_ends_at_its_microsecond);
  tcase_add_test (time, slp_01_a_sleep_of_nothing_or_less_ends_on_the_next_turn);
  tcase_add_test (time, slp_02_a_sleep_of_no_number_fails);
  tcase_add_test (time, slp_06_a_sleep_may_last_longer_than_any_clock);
  tcase_add_test (time, a_sleep_counts_from_when_it_is_made);

  return suite;
}

MORROW_CHECK_MAIN (scheduling_suite)
