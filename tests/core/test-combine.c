/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * all, any, race and shield: who decides, and what becomes of the others.
 */
#include "config.h"

#include "core/relay-private.h"
#include "exec/scene.h"

/* A child that waits, and that when it is cancelled cleans up while another future is pending. */
typedef struct
{
  const char    *name;
  MorrowPromise *promise;
  MorrowFuture  *wait;
  MorrowPromise *cleaned;
  MorrowFuture  *cleanup;
  const char    *cleanup_error;   /* what the clean-up fails with, NULL for the cancel itself */
  gboolean       swallow;
} Child;

static gboolean
child_main (gpointer data, GValue *result, GError **error)
{
  Child *self = data;
  g_autoptr (GError) waited = NULL;

  if (morrow_future_await (self->wait, &waited))
    return morrow_return_string (result, self->name);

  say ("%s: %s", self->name, waited->message);
  if (!g_error_matches (waited, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      g_propagate_error (error, g_steal_pointer (&waited));
      return FALSE;
    }

  ck_assert (morrow_future_await (self->cleanup, error));
  say ("%s: cleaned up", self->name);
  if (self->swallow)
    return morrow_return_string (result, self->name);
  if (self->cleanup_error != NULL)
    return fail_with ((gpointer) self->cleanup_error, result, error);
  g_propagate_error (error, g_steal_pointer (&waited));
  return FALSE;
}

static MorrowFuture *
child_start (Child *self, const char *name)
{
  *self = (Child) { .name = name };
  self->wait = new_pending (&self->promise);
  self->cleanup = new_pending (&self->cleaned);
  return morrow_create_task (morrow_coroutine (child_main, self, NULL));
}

static void
child_fail (Child *self, const char *message)
{
  morrow_promise_reject (self->promise, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, message));
}

static void
child_clear (Child *self)
{
  morrow_promise_resolve (self->promise);
  morrow_promise_resolve (self->cleaned);
  morrow_promise_unref (self->promise);
  morrow_promise_unref (self->cleaned);
  morrow_future_unref (self->wait);
  morrow_future_unref (self->cleanup);
}

static gboolean
say_data (gpointer data, GValue *result, GError **error)
{
  say ("%s", (const char *) data);
  return TRUE;
}

/* --- all --------------------------------------------------------------------------------------- */

SCENE (all_gives_results_in_the_order_of_the_arguments)
{
  Child a, b;
  g_autoptr (MorrowFuture) all = morrow_all (child_start (&a, "a"), child_start (&b, "b"), NULL);
  MorrowResults *results;

  morrow_promise_resolve (b.promise);
  let_run ();
  ck_assert (!morrow_future_is_settled (all));
  morrow_promise_resolve (a.promise);
  await_ok (all);
  results = morrow_future_get_boxed (all);
  ck_assert_uint_eq (morrow_results_get_n (results), 2);
  ck_assert_str_eq (morrow_results_get_string (results, 0), "a");
  ck_assert_str_eq (morrow_results_get_string (results, 1), "b");
  child_clear (&a);
  child_clear (&b);
  return TRUE;
}

SCENE (all_of_nothing_resolves)
{
  g_autoptr (MorrowFuture) all = morrow_allv (NULL, 0);

  ck_assert_uint_eq (morrow_results_get_n (morrow_future_get_boxed (all)), 0);
  return TRUE;
}

SCENE (all_cancels_the_others_on_a_failure_and_waits_for_their_cleanup)
{
  Child a, b;
  g_autoptr (MorrowFuture) all = morrow_all (child_start (&a, "a"), child_start (&b, "b"), NULL);

  let_run ();
  child_fail (&b, "no luck");
  let_run ();
  assert_said ("b: no luck; a: Operation was cancelled");
  ck_assert (!morrow_future_is_settled (all));
  morrow_promise_resolve (a.cleaned);
  await_failed (all, "no luck");
  assert_said ("a: cleaned up");
  ck_assert (!morrow_future_is_cancelled (all));
  child_clear (&a);
  child_clear (&b);
  return TRUE;
}

SCENE (all_does_not_start_coroutines_beside_one_that_has_failed)
{
  g_autoptr (MorrowFuture) all = morrow_all (morrow_coroutine (say_data, (gpointer) "before", NULL), new_failed ("broken"),
                                             morrow_coroutine (say_data, (gpointer) "after", NULL), NULL);

  await_failed (all, "broken");
  assert_said ("");
  return TRUE;
}

SCENE (all_fails_even_where_the_others_swallow_the_cancel)
{
  Child a;
  g_autoptr (MorrowFuture) all = morrow_all (child_start (&a, "a"), morrow_coroutine (fail_with, (gpointer) "no luck", NULL), NULL);

  a.swallow = TRUE;
  morrow_promise_resolve (a.cleaned);
  await_failed (all, "no luck");
  assert_said ("a: Operation was cancelled; a: cleaned up");
  child_clear (&a);
  return TRUE;
}

SCENE (all_lets_a_second_failure_report_itself)
{
  Child a;
  MorrowFuture *all = morrow_all (child_start (&a, "a"), morrow_coroutine (fail_with, (gpointer) "first", NULL), NULL);

  a.cleanup_error = "second";
  morrow_promise_resolve (a.cleaned);
  morrow_check_expect_warning ("The error of Task-* was never looked at: second");
  await_failed (all, "first");
  morrow_future_unref (all);
  forget_said ();
  child_clear (&a);
  return TRUE;
}

SCENE (all_cancelled_cancels_every_child_and_waits)
{
  Child a, b;
  g_autoptr (MorrowFuture) all = morrow_all (child_start (&a, "a"), child_start (&b, "b"), NULL);

  let_run ();
  ck_assert (morrow_future_cancel_with_message (all, "enough"));
  morrow_promise_resolve (b.cleaned);
  let_run ();
  assert_said ("a: enough; b: enough; b: cleaned up");
  ck_assert (!morrow_future_is_settled (all));
  morrow_promise_resolve (a.cleaned);
  await_cancelled (all);
  ck_assert (morrow_future_is_cancelled (all));
  ck_assert_str_eq (morrow_future_get_error (all)->message, "enough");
  forget_said ();
  child_clear (&a);
  child_clear (&b);
  return TRUE;
}

static gboolean
await_all_of_two (gpointer data, GValue *result, GError **error)
{
  Child *children = data;

  return morrow_await (morrow_all (child_start (&children[0], "a"), child_start (&children[1], "b"), NULL), error);
}

SCENE (all_is_cancelled_with_the_task_that_awaits_it)
{
  Child children[2];
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_all_of_two, children, NULL));

  let_run ();
  morrow_future_cancel (task);
  morrow_promise_resolve (children[0].cleaned);
  morrow_promise_resolve (children[1].cleaned);
  await_cancelled (task);
  forget_said ();
  child_clear (&children[0]);
  child_clear (&children[1]);
  return TRUE;
}

/* Awaits what it is given, in the middle of whatever drops it. */
static void
await_as_it_goes (gpointer data, GObject *object)
{
  await_ok (data);
}

static gboolean
drop_in_a_settling (gpointer data, GValue *result, GError **error)
{
  call_in_a_settling (await_as_it_goes, data);
  return TRUE;
}

static gboolean
drop_results (gpointer data, GValue *result, GError **error)
{
  MorrowPromise *promise;
  MorrowFuture *all = morrow_all (new_pending (&promise), NULL);
  GObject *object = g_object_new (G_TYPE_OBJECT, NULL);

  g_object_weak_ref (object, await_as_it_goes, data);
  morrow_promise_resolve_object (promise, object);
  g_object_unref (object);
  morrow_promise_unref (promise);
  morrow_future_unref (all);
  return TRUE;
}

static void
park_in_a_relay (MorrowCoroutineFunc func)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  MorrowFuture *tasks[2 * MORROW__RELAY_MAX];

  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    tasks[i] = morrow_create_task (morrow_coroutine (func, pending, NULL));
  let_run ();
  ck_assert (!morrow__relay_is_nested ());
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    {
      await_ok (tasks[i]);
      morrow_future_unref (tasks[i]);
    }
}

SCENE (values_that_await_as_they_are_dropped_stop_nobody)
{
  park_in_a_relay (drop_in_a_settling);
  park_in_a_relay (drop_results);
  return TRUE;
}

/* --- any --------------------------------------------------------------------------------------- */

SCENE (any_resolves_with_the_first_success_and_waits_for_the_cancelled_others)
{
  Child a, b;
  g_autoptr (MorrowFuture) any = morrow_any (child_start (&a, "a"), child_start (&b, "b"), NULL);

  let_run ();
  morrow_promise_resolve (b.promise);
  let_run ();
  assert_said ("a: Operation was cancelled");
  ck_assert (!morrow_future_is_settled (any));
  morrow_promise_resolve (a.cleaned);
  await_ok (any);
  ck_assert_str_eq (morrow_future_get_string (any), "b");
  forget_said ();
  child_clear (&a);
  child_clear (&b);
  return TRUE;
}

SCENE (any_passes_over_failures_without_a_report)
{
  g_autoptr (MorrowFuture) any = morrow_any (new_failed ("mirror one"), new_failed ("mirror two"), new_int (3), NULL);

  ck_assert_int_eq (morrow_future_get_int (any), 3);
  return TRUE;
}

SCENE (any_that_finds_no_success_fails_with_every_error_in_order)
{
  g_autoptr (MorrowFuture) any = morrow_any (morrow_coroutine (fail_with, (gpointer) "one", NULL), new_failed ("two"), NULL);
  g_autoptr (GError) failure = await_error (any);
  GPtrArray *children;

  assert_error (failure, MORROW_ERROR, MORROW_ERROR_GROUP);
  children = morrow_error_get_children (failure);
  ck_assert_uint_eq (children->len, 2);
  ck_assert_str_eq (((GError *) children->pdata[0])->message, "one");
  ck_assert_str_eq (((GError *) children->pdata[1])->message, "two");
  return TRUE;
}

/* Each group in a group would take a call more to free. */
SCENE (any_of_any_fails_with_the_errors_of_both_in_one_group)
{
  MorrowFuture *any = new_failed ("one");
  g_autoptr (GError) failure = NULL;
  GPtrArray *children;

  for (guint i = 0; i < 3000; i++)
    any = morrow_any (any, NULL);
  any = morrow_any (any, new_failed ("two"), NULL);
  failure = await_error (any);
  children = morrow_error_get_children (failure);
  ck_assert_uint_eq (children->len, 2);
  ck_assert_str_eq (((GError *) children->pdata[0])->message, "one");
  ck_assert_str_eq (((GError *) children->pdata[1])->message, "two");
  ck_assert_str_eq (failure->message, "None succeeded (2 errors, the first: one)");
  morrow_future_unref (any);
  return TRUE;
}

START_TEST (any_of_nothing_is_refused)
{
  g_autoptr (MorrowFuture) any = morrow_anyv (NULL, 0);

  assert_error (morrow_future_get_error (any), MORROW_ERROR, MORROW_ERROR_INVALID_ARGUMENT);
}
END_TEST

SCENE (any_cancelled_cancels_every_child)
{
  Child a, b;
  g_autoptr (MorrowFuture) any = morrow_any (child_start (&a, "a"), child_start (&b, "b"), NULL);

  let_run ();
  morrow_promise_resolve (a.cleaned);
  morrow_promise_resolve (b.cleaned);
  ck_assert (morrow_future_cancel (any));
  await_cancelled (any);
  ck_assert (morrow_future_is_cancelled (any));
  forget_said ();
  child_clear (&a);
  child_clear (&b);
  return TRUE;
}

/* --- race -------------------------------------------------------------------------------------- */

SCENE (race_gives_the_first_value_and_waits_for_the_cancelled_others)
{
  Child a, b;
  g_autoptr (MorrowFuture) race = morrow_race (child_start (&a, "a"), child_start (&b, "b"), NULL);

  let_run ();
  morrow_promise_resolve (a.promise);
  let_run ();
  ck_assert (!morrow_future_is_settled (race));
  morrow_promise_resolve (b.cleaned);
  await_ok (race);
  ck_assert_str_eq (morrow_future_get_string (race), "a");
  assert_said ("b: Operation was cancelled; b: cleaned up");
  child_clear (&a);
  child_clear (&b);
  return TRUE;
}

SCENE (race_gives_the_first_error)
{
  Child a;
  g_autoptr (MorrowFuture) race = morrow_race (child_start (&a, "a"), morrow_coroutine (fail_with, (gpointer) "lost", NULL), NULL);

  morrow_promise_resolve (a.cleaned);
  await_failed (race, "lost");
  forget_said ();
  child_clear (&a);
  return TRUE;
}

START_TEST (race_of_settled_ones_gives_the_first_argument)
{
  g_autoptr (MorrowFuture) race = morrow_race (new_int (1), new_int (2), NULL);

  ck_assert_int_eq (morrow_future_get_int (race), 1);
}
END_TEST

START_TEST (race_of_nothing_is_refused)
{
  g_autoptr (MorrowFuture) race = morrow_racev (NULL, 0);

  assert_error (morrow_future_get_error (race), MORROW_ERROR, MORROW_ERROR_INVALID_ARGUMENT);
}
END_TEST

SCENE (race_against_a_sleep_ends_with_the_winner)
{
  g_autoptr (MorrowFuture) race = morrow_race (morrow_sleep (3600), morrow_coroutine (return_int, GINT_TO_POINTER (1), NULL), NULL);

  await_ok (race);
  ck_assert_int_eq (morrow_future_get_int (race), 1);
  return TRUE;
}

/* --- shield ------------------------------------------------------------------------------------ */

START_TEST (shd_01_shield_of_what_has_settled_is_that)
{
  g_autoptr (MorrowFuture) done = new_int (1);
  g_autoptr (MorrowFuture) shield = morrow_shield (morrow_future_ref (done));

  ck_assert_ptr_eq (shield, done);
}
END_TEST

SCENE (shd_04_shield_settles_as_what_it_protects)
{
  MorrowPromise *one, *two, *three;
  MorrowFuture *inner = new_pending (&three);
  g_autoptr (MorrowFuture) resolved = morrow_shield (new_pending (&one));
  g_autoptr (MorrowFuture) rejected = morrow_shield (new_pending (&two));
  g_autoptr (MorrowFuture) cancelled = morrow_shield (morrow_future_ref (inner));

  morrow_promise_resolve_int (one, 4);
  morrow_promise_reject (two, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "no luck"));
  morrow_future_cancel (inner);
  await_ok (resolved);
  ck_assert_int_eq (morrow_future_get_int (resolved), 4);
  await_failed (rejected, "no luck");
  await_cancelled (cancelled);
  ck_assert (morrow_future_is_cancelled (cancelled));
  morrow_future_unref (inner);
  morrow_promise_unref (one);
  morrow_promise_unref (two);
  morrow_promise_unref (three);
  return TRUE;
}

SCENE (shd_10_shield_makes_a_coroutine_a_task)
{
  g_autoptr (MorrowFuture) shield = morrow_shield (morrow_coroutine (say_data, (gpointer) "ran", NULL));

  ck_assert (morrow_future_cancel (shield));
  assert_said ("");
  let_run ();
  assert_said ("ran");
  return TRUE;
}

static gboolean
await_shielded (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_shield (morrow_future_ref (data)), error);
}

SCENE (shd_02_shield_keeps_the_cancel_of_its_waiter_from_what_it_protects)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) inner = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_shielded, inner, NULL));

  let_run ();
  ck_assert (morrow_future_cancel_with_message (task, "go home"));
  await_cancelled (task);
  ck_assert_str_eq (morrow_future_get_error (task)->message, "go home");
  ck_assert (!morrow_future_is_settled (inner));
  ck_assert (morrow_promise_resolve (promise));
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (shd_06_shield_that_was_cancelled_lets_a_later_failure_report_itself)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) shield = morrow_shield (new_pending (&promise));

  ck_assert (morrow_future_cancel (shield));
  morrow_check_expect_warning ("The error of promise* was never looked at: too late");
  morrow_promise_reject (promise, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "too late"));
  morrow_promise_unref (promise);
  g_clear_pointer (&shield, morrow_future_unref);
  return TRUE;
}

/* Looks on as a shield settles. */
typedef struct
{
  MorrowObserver observer;
  MorrowPromise *promise;
} Onlooker;

static void
reject_now (MorrowObserver *observer, MorrowFuture *settled)
{
  morrow_promise_reject (((Onlooker *) observer)->promise, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "too late"));
}

/* As by another thread, before the shield has left what it protects. */
START_TEST (shield_that_is_cancelled_as_what_it_protects_fails_lets_that_report_itself)
{
  Onlooker onlooker = { .observer = MORROW_OBSERVER (reject_now) };
  g_autoptr (MorrowFuture) shield = morrow_shield (new_pending (&onlooker.promise));

  morrow__future_subscribe_observer (shield, &onlooker.observer);
  ck_assert (morrow_future_cancel (shield));
  morrow_check_expect_warning ("The error of promise* was never looked at: too late");
  morrow_promise_unref (onlooker.promise);
  g_clear_pointer (&shield, morrow_future_unref);
  ck_assert_uint_eq (morrow_check_n_expected (), 0);
}
END_TEST

SCENE (shd_03_cancel_of_what_a_shield_protects_cancels_the_shield)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) inner = new_pending (&promise);
  g_autoptr (MorrowFuture) shield = morrow_shield (morrow_future_ref (inner));

  ck_assert (morrow_future_cancel (inner));
  await_cancelled (shield);
  ck_assert (morrow_future_is_cancelled (shield));
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (shd_05_result_that_comes_after_the_cancel_of_a_shield_is_not_the_shields)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) inner = new_pending (&promise);
  g_autoptr (MorrowFuture) shield = morrow_shield (morrow_future_ref (inner));

  ck_assert (morrow_future_cancel (shield));
  morrow_promise_resolve_int (promise, 4);
  await_cancelled (shield);
  await_ok (inner);
  ck_assert_int_eq (morrow_future_get_int (inner), 4);
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (shd_07_shields_that_were_cancelled_leave_nothing_behind_in_what_they_protected)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) inner = new_pending (&promise);

  for (guint i = 0; i < 10; i++)
    {
      g_autoptr (MorrowFuture) shield = morrow_shield (morrow_future_ref (inner));

      ck_assert (morrow_future_cancel (shield));
    }
  ck_assert_uint_eq (morrow__future_peek (inner) & MORROW__WAITERS, 0);
  ck_assert (morrow_promise_resolve (promise));
  morrow_promise_unref (promise);
  return TRUE;
}

/* --- for bindings ------------------------------------------------------------------------------ */

enum
{
  BORROW_ALL,
  BORROW_ANY,
  BORROW_RACE,
  BORROW_GATHER,
  N_BORROWING
};

static MorrowFuture *
combine_borrowed (int how, MorrowFuture *const *futures, gsize n_futures)
{
  switch (how)
    {
    case BORROW_ALL:
      return morrow_all_array (futures, n_futures);
    case BORROW_ANY:
      return morrow_any_array (futures, n_futures);
    case BORROW_RACE:
      return morrow_race_array (futures, n_futures);
    default:
      return morrow_gather_array (futures, n_futures, MORROW_GATHER_DEFAULT, 1);
    }
}

static gboolean
combine_and_keep (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) coroutine = morrow_coroutine (return_int, GINT_TO_POINTER (1), NULL);
  g_autoptr (MorrowFuture) settled = new_int (2);
  MorrowFuture *futures[] = { coroutine, settled };

  if (!morrow_await (combine_borrowed (GPOINTER_TO_INT (data), futures, G_N_ELEMENTS (futures)), error))
    return FALSE;
  ck_assert (morrow_future_is_settled (coroutine));
  ck_assert_int_eq (morrow_future_get_int (settled), 2);
  return TRUE;
}

/* _i: which. */
START_TEST (array_for_bindings_keeps_its_futures)
{
  run_scene (combine_and_keep, GINT_TO_POINTER (_i));
}
END_TEST

/* --- cancels that are refused ------------------------------------------------------------------ */

/* The child's cancellable cancels the whole again, whose only child has settled by then. */
SCENE (cancel_that_no_child_accepts_does_not_take_back_one_that_was)
{
  MorrowPromise *promise;
  MorrowFuture *child = new_pending (&promise);
  MorrowFuture *both[] = { child };
  g_autoptr (GCancellable) cancellable = morrow_future_get_cancellable (child);
  g_autoptr (MorrowFuture) whole = morrow_gather_full (both, 1, MORROW_GATHER_RETURN_ERRORS, 0);

  morrow_future_cancel_on (whole, cancellable);
  ck_assert (morrow_future_cancel_with_message (whole, "the first"));
  ck_assert (morrow_future_is_cancelled (whole));
  ck_assert_str_eq (morrow_future_get_error (whole)->message, "the first");
  morrow_promise_unref (promise);
  return TRUE;
}

/* --- many calls inside each other -------------------------------------------------------------- */

/* At some of these depths no more calls nest, and the rest is put off. */
SCENE (what_settles_at_the_end_of_a_chain_does_so_in_order)
{
  for (guint depth = 0; depth < 3 * MORROW__RELAY_MAX; depth++)
    {
      MorrowPromise *promise;
      MorrowFuture *last = new_pending (&promise), *first, *second, *race;
      g_auto (GValue) value = G_VALUE_INIT;

      for (guint i = 0; i < depth; i++)
        last = morrow_shield (last);
      first = morrow_gather (morrow_future_ref (last), NULL);
      second = morrow_shield (last);
      race = morrow_race (first, second, NULL);
      morrow_promise_resolve_int (promise, 3);
      morrow_promise_unref (promise);
      ck_assert (morrow_await_value (race, &value, error));
      ck_assert (!G_VALUE_HOLDS_INT (&value));
    }
  return TRUE;
}

static Suite *
combine_suite (void)
{
  Suite *suite = suite_create ("combine");
  TCase *all = morrow_check_add_case (suite, "all");
  TCase *any = morrow_check_add_case (suite, "any");
  TCase *race = morrow_check_add_case (suite, "race");
  TCase *shield = morrow_check_add_case (suite, "shield");
  TCase *bindings = morrow_check_add_case (suite, "for bindings");

  tcase_add_test (all, all_gives_results_in_the_order_of_the_arguments);
  tcase_add_test (all, all_of_nothing_resolves);
  tcase_add_test (all, all_cancels_the_others_on_a_failure_and_waits_for_their_cleanup);
  tcase_add_test (all, all_does_not_start_coroutines_beside_one_that_has_failed);
  tcase_add_test (all, all_fails_even_where_the_others_swallow_the_cancel);
  tcase_add_test (all, all_lets_a_second_failure_report_itself);
  tcase_add_test (all, all_cancelled_cancels_every_child_and_waits);
  tcase_add_test (all, all_is_cancelled_with_the_task_that_awaits_it);
  tcase_add_test (all, cancel_that_no_child_accepts_does_not_take_back_one_that_was);

  tcase_add_test (all, values_that_await_as_they_are_dropped_stop_nobody);

  tcase_add_test (any, any_resolves_with_the_first_success_and_waits_for_the_cancelled_others);
  tcase_add_test (any, any_passes_over_failures_without_a_report);
  tcase_add_test (any, any_that_finds_no_success_fails_with_every_error_in_order);
  tcase_add_test (any, any_of_any_fails_with_the_errors_of_both_in_one_group);
  tcase_add_test (any, any_of_nothing_is_refused);
  tcase_add_test (any, any_cancelled_cancels_every_child);

  tcase_add_test (race, race_gives_the_first_value_and_waits_for_the_cancelled_others);
  tcase_add_test (race, race_gives_the_first_error);
  tcase_add_test (race, race_of_settled_ones_gives_the_first_argument);
  tcase_add_test (race, race_of_nothing_is_refused);
  tcase_add_test (race, race_against_a_sleep_ends_with_the_winner);

  tcase_add_test (shield, shd_01_shield_of_what_has_settled_is_that);
  tcase_add_test (shield, shd_04_shield_settles_as_what_it_protects);
  tcase_add_test (shield, shd_10_shield_makes_a_coroutine_a_task);
  tcase_add_test (shield, shd_02_shield_keeps_the_cancel_of_its_waiter_from_what_it_protects);
  tcase_add_test (shield, shd_06_shield_that_was_cancelled_lets_a_later_failure_report_itself);
  tcase_add_test (shield, shd_03_cancel_of_what_a_shield_protects_cancels_the_shield);
  tcase_add_test (shield, shd_05_result_that_comes_after_the_cancel_of_a_shield_is_not_the_shields);
  tcase_add_test (shield, shd_07_shields_that_were_cancelled_leave_nothing_behind_in_what_they_protected);
  tcase_add_test (race, what_settles_at_the_end_of_a_chain_does_so_in_order);

  tcase_add_test (shield, shield_that_is_cancelled_as_what_it_protects_fails_lets_that_report_itself);

  tcase_add_loop_test (bindings, array_for_bindings_keeps_its_futures, 0, N_BORROWING);

  return suite;
}

MORROW_CHECK_MAIN (combine_suite)
