/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sequential baseline: everything on the caller's stack, one thing after the other.
 */
#include "config.h"

#include "exec/models.h"

static void
run_inline (MorrowCoroutineFunc func, gpointer data)
{
  g_autoptr (MorrowExecutor) executor = morrow_inline_new ();

  ck_assert_uint_eq (morrow_executor_get_n_threads (executor), 1);
  run_scene_on (executor, func, data);
}

static gboolean
say_before_and_after_a_sleep (gpointer data, GValue *result, GError **error)
{
  say ("%s begins", (const char *) data);
  if (!morrow_await (morrow_sleep (0.0001), error))
    return FALSE;
  say ("%s ends", (const char *) data);
  return TRUE;
}

static gboolean
gather_two (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (say_before_and_after_a_sleep, (gpointer) "a", NULL));

  ck_assert (morrow_future_is_settled (task));
  say ("created");
  return morrow_await (morrow_gather (morrow_coroutine (say_before_and_after_a_sleep, (gpointer) "b", NULL),
                                      morrow_coroutine (say_before_and_after_a_sleep, (gpointer) "c", NULL), NULL), error);
}

START_TEST (task_runs_to_its_end_when_it_is_created)
{
  run_inline (gather_two, NULL);
  assert_said ("a begins; a ends; created; b begins; b ends; c begins; c ends");
}
END_TEST

static gboolean
say_name (gpointer data, GValue *result, GError **error)
{
  g_autofree char *name = morrow_future_dup_name (morrow_current_task ());

  say ("%s", name);
  return TRUE;
}

static gboolean
name_and_create (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *task = morrow_coroutine (say_name, NULL, NULL);

  morrow_future_set_name (morrow_current_task (), "main");
  morrow_future_set_name (task, "task");
  if (!morrow_await (morrow_create_task (task), error))
    return FALSE;
  return say_name (NULL, result, error);
}

START_TEST (task_that_was_created_is_the_current_one_until_it_has_ended)
{
  run_inline (name_and_create, NULL);
  assert_said ("task; main");
}
END_TEST

static gboolean
say_callback (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  ck_assert_ptr_null (morrow_current_task ());
  say ("called");
  return TRUE;
}

static gboolean
attach_and_wait (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) settled = new_int (1);
  g_autoptr (MorrowFuture) called = morrow_future_then (settled, say_callback, NULL, NULL);

  say ("attached");
  return morrow_future_await (called, error);
}

START_TEST (callback_runs_when_the_thread_would_sleep)
{
  run_inline (attach_and_wait, NULL);
  assert_said ("attached; called");
}
END_TEST

static gboolean
attach_and_return (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) settled = new_int (1);

  morrow_future_unref (morrow_future_then (settled, say_callback, NULL, NULL));
  say ("returns");
  return TRUE;
}

START_TEST (callback_that_is_left_over_runs_at_the_end_of_the_run)
{
  run_inline (attach_and_return, NULL);
  assert_said ("returns; called");
}
END_TEST

static gboolean
ignore (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

static gboolean
await_main (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GError) why = NULL;

  ck_assert (!morrow_future_await (data, &why));
  assert_error (why, MORROW_ERROR, MORROW_ERROR_DEADLOCK);
  return TRUE;
}

/* In a task of its own, which a worker has, so that the one that it awaits runs on top of it. */
static gboolean
await_task_of (gpointer func, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine ((MorrowCoroutineFunc) func, NULL, NULL)), error);
}

static void
run_in_task (gboolean on_worker, MorrowCoroutineFunc func)
{
  MorrowExecutor *executor = on_worker ? morrow_thread_pool_new (1) : morrow_inline_new ();

  run_scene_on (executor, await_task_of, (gpointer) func);
  g_object_unref (executor);
}

/* Of which nothing is left afterwards. */
static gboolean
await_below_then_cancel_oneself (gpointer below, GValue *result, GError **error)
{
  ck_assert (await_main (below, result, error));
  ck_assert (morrow_future_cancel (morrow_current_task ()));
  ck_assert_uint_eq (morrow_future_uncancel (morrow_current_task ()), 0);
  ck_assert_uint_eq (morrow_future_get_cancelling (below), 0);
  return TRUE;
}

static gboolean
create_who_cancels_itself (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine (await_below_then_cancel_oneself, morrow_current_task (), NULL)), error);
}

/* _i: on a worker. */
START_TEST (task_that_was_told_of_a_hopeless_wait_can_be_cancelled)
{
  run_in_task (_i, create_who_cancels_itself);
}
END_TEST

/* The request takes it off the wait, since others wait too, before that is found to be hopeless. */
static gboolean
await_below_when_cancelled (gpointer below, GValue *result, GError **error)
{
  ck_assert (morrow_future_cancel (morrow_current_task ()));
  return morrow_future_await (below, error);
}

static gboolean
await_who_is_cancelled (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) other = morrow_future_then (morrow_current_task (), ignore, NULL, NULL);
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_below_when_cancelled, morrow_current_task (), NULL));

  await_cancelled (task);
  ck_assert (morrow_future_is_cancelled (task));
  return TRUE;
}

/* _i: on a worker. */
START_TEST (task_that_is_cancelled_as_it_begins_a_hopeless_wait_is_cancelled)
{
  run_in_task (_i, await_who_is_cancelled);
}
END_TEST

static gboolean
create_who_awaits_me (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine (await_main, morrow_current_task (), NULL)), error);
}

START_TEST (task_that_awaits_one_below_it_on_the_stack_is_told_that_it_is_hopeless)
{
  run_inline (create_who_awaits_me, NULL);
}
END_TEST

static gboolean
say_data (gpointer data, GValue *result, GError **error)
{
  say ("%s", (const char *) data);
  return TRUE;
}

/* --- cancelled --------------------------------------------------------------------------------- */

/* Waits for ever, and says what comes out of that. */
static gboolean
wait_and_say (GError **error)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&promise);
  gboolean ok = morrow_future_await (never_settles, error);

  say ("%s, %u", ok ? "settled" : (*error)->message, morrow_future_get_cancelling (morrow_current_task ()));
  return ok;
}

/* data: a task below on the stack, borrowed. */
static gboolean
cancel_below_and_wait (gpointer data, GValue *result, GError **error)
{
  ck_assert (morrow_future_cancel_with_message (data, "enough"));
  return wait_and_say (error);
}

static gboolean
create_and_wait (gpointer data, GValue *result, GError **error)
{
  morrow_future_unref (morrow_create_task (morrow_coroutine (cancel_below_and_wait, data, NULL)));
  return wait_and_say (error);
}

static gboolean
create_and_be_cancelled (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GError) why = NULL;

  morrow_future_unref (morrow_create_task (morrow_coroutine (create_and_wait, morrow_current_task (), NULL)));
  ck_assert (!wait_and_say (&why));
  return TRUE;
}

START_TEST (can_04_cancel_goes_up_to_what_the_task_has_created_and_comes_back)
{
  run_inline (create_and_be_cancelled, NULL);
  assert_said ("enough, 1; enough, 1; enough, 1");
}
END_TEST

static gboolean
create_before_and_after_the_cancel (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) before = NULL, after = NULL;

  morrow_future_cancel (morrow_current_task ());
  before = morrow_create_task (morrow_coroutine (say_data, (gpointer) "before", NULL));
  ck_assert (morrow_future_is_cancelled (before));
  ck_assert (!morrow_yield (NULL));

  after = morrow_create_task (morrow_coroutine (say_before_and_after_a_sleep, (gpointer) "after", NULL));
  return morrow_future_await (after, error);
}

START_TEST (what_a_task_creates_before_it_is_given_its_cancel_is_cancelled_too)
{
  run_inline (create_before_and_after_the_cancel, NULL);
  assert_said ("after begins; after ends");
}
END_TEST

static gboolean
cancel_below_twice (gpointer data, GValue *result, GError **error)
{
  for (guint i = 1; i <= 2; i++)
    {
      g_autoptr (GError) why = NULL;

      ck_assert (morrow_future_cancel_with_message (data, i == 1 ? "first" : "second"));
      ck_assert_uint_eq (morrow_future_get_cancelling (morrow_current_task ()), i);
      ck_assert (!wait_and_say (&why));
      ck_assert (morrow_yield (error));
    }
  return TRUE;
}

static gboolean
create_what_swallows (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GError) why = NULL;

  if (!morrow_await (morrow_create_task (morrow_coroutine (cancel_below_twice, morrow_current_task (), NULL)), error))
    return FALSE;
  ck_assert (!wait_and_say (&why));
  return TRUE;
}

START_TEST (can_05_task_that_ignores_the_cancel_of_its_creator_can_be_cancelled_again)
{
  run_inline (create_what_swallows, NULL);
  assert_said ("first, 1; second, 2; second, 2");
}
END_TEST

/* --- started by a settling --------------------------------------------------------------------- */

static gboolean
say_whether_this_is_the_thread (gpointer data, GValue *result, GError **error)
{
  say (g_thread_self () == data ? "here" : "elsewhere");
  return morrow_yield (error);
}

static gpointer
resolve_promise (gpointer promise)
{
  morrow_promise_resolve (promise);
  say ("resolved");
  return NULL;
}

/* Gathers @promise's future and, one at a time, a coroutine. */
static MorrowFuture *
gather_one_by_one (MorrowPromise **promise, MorrowCoroutineFunc func, gpointer data)
{
  MorrowFuture *futures[] = { new_pending (promise), morrow_coroutine (func, data, NULL) };

  return morrow_gather_full (futures, G_N_ELEMENTS (futures), MORROW_GATHER_DEFAULT, 1);
}

static gboolean
settle_the_first_elsewhere (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowPromise) promise = NULL;
  MorrowFuture *gathered = gather_one_by_one (&promise, say_whether_this_is_the_thread, g_thread_self ());

  g_thread_join (g_thread_new ("settles", resolve_promise, promise));
  return morrow_await (gathered, error);
}

START_TEST (next_of_a_gather_runs_on_the_thread_of_the_run_whoever_settles_the_one_before)
{
  run_inline (settle_the_first_elsewhere, NULL);
  assert_said ("resolved; here");
}
END_TEST

static gboolean
settle_the_first (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowPromise) promise = NULL;
  MorrowFuture *gathered = gather_one_by_one (&promise, say_data, (gpointer) "next");

  resolve_promise (promise);
  return morrow_await (gathered, error);
}

START_TEST (next_of_a_gather_does_not_run_inside_the_call_that_settles_the_one_before)
{
  run_inline (settle_the_first, NULL);
  assert_said ("resolved; next");
}
END_TEST

static gboolean
sleep_in_both (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *futures[] = { morrow_sleep (0.0001), morrow_coroutine (say_before_and_after_a_sleep, (gpointer) "next", NULL) };

  return morrow_await (morrow_gather_full (futures, G_N_ELEMENTS (futures), MORROW_GATHER_DEFAULT, 1), error);
}

START_TEST (next_of_a_gather_may_sleep_after_a_sleep)
{
  run_inline (sleep_in_both, NULL);
  assert_said ("next begins; next ends");
}
END_TEST

static gboolean
leave_the_next (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowPromise) promise = NULL;

  morrow_future_unref (gather_one_by_one (&promise, say_data, (gpointer) "next"));
  resolve_promise (promise);
  return TRUE;
}

START_TEST (next_of_a_gather_that_main_has_not_waited_for_is_swept)
{
  run_inline (leave_the_next, NULL);
  assert_said ("resolved");
}
END_TEST

/* What a gather is left with that outlives its executor. */
typedef struct
{
  MorrowPromise *promise;
  MorrowFuture  *gathered;
} Left;

static gboolean
leave_the_gather (gpointer data, GValue *result, GError **error)
{
  Left *left = data;

  left->gathered = gather_one_by_one (&left->promise, say_data, (gpointer) "next");
  return TRUE;
}

START_TEST (next_of_a_gather_is_refused_once_nobody_can_run_it)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) gathered = NULL;
  Left left;

  run_inline (leave_the_gather, &left);
  promise = left.promise;
  gathered = left.gathered;
  resolve_promise (promise);
  assert_error (morrow_future_get_error (gathered), MORROW_ERROR, MORROW_ERROR_CLOSED);
  assert_said ("resolved");
}
END_TEST

static gboolean
cancel_who_yields_below (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) gathered = gather_one_by_one (&promise, cancel_below_and_wait, morrow_current_task ());
  g_autoptr (GError) why = NULL;

  morrow_promise_resolve (promise);
  ck_assert (!morrow_yield (&why));
  assert_cancelled (why);
  return TRUE;
}

START_TEST (cancel_of_a_task_that_yields_goes_to_what_a_settling_has_started_on_top_of_it)
{
  run_inline (cancel_who_yields_below, NULL);
  assert_said ("enough, 1");
}
END_TEST

/* --- callbacks --------------------------------------------------------------------------------- */

/* data: where a future is, borrowed. */
static gboolean
create_who_awaits_it (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  morrow_future_unref (morrow_create_task (morrow_coroutine (await_it, *(MorrowFuture **) data, NULL)));
  return TRUE;
}

static gboolean
attach_two (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) settled = new_int (1);
  g_autoptr (MorrowFuture) first = NULL, second = NULL;

  first = morrow_future_then (settled, create_who_awaits_it, &second, NULL);
  second = morrow_future_then (settled, say_callback, NULL, NULL);
  return morrow_future_await (second, error);
}

START_TEST (callback_may_create_a_task_that_waits_for_the_next_callback)
{
  run_inline (attach_two, NULL);
  assert_said ("called");
}
END_TEST

/* --- outside a run ----------------------------------------------------------------------------- */

START_TEST (spawn_outside_a_run_runs_here_and_now)
{
  g_autoptr (MorrowExecutor) executor = morrow_inline_new ();
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (executor, morrow_coroutine (say_data, (gpointer) "ran", NULL));

  ck_assert (morrow_future_is_settled (task));
  assert_said ("ran");
  ck_assert_ptr_null (morrow_executor_get_current ());
}
END_TEST

START_TEST (callback_that_is_left_over_runs_before_the_spawn_returns)
{
  g_autoptr (MorrowExecutor) executor = morrow_inline_new ();

  morrow_future_unref (morrow_executor_spawn (executor, morrow_coroutine (attach_and_return, NULL, NULL)));
  assert_said ("returns; called");
}
END_TEST

static gboolean
await_callback (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) sleeps = morrow_sleep (0.0001);

  return morrow_await (morrow_future_then (sleeps, say_callback, NULL, NULL), error);
}

START_TEST (task_that_is_spawned_outside_a_run_is_woken_for_its_callback)
{
  g_autoptr (MorrowExecutor) executor = morrow_inline_new ();
  g_autoptr (MorrowFuture) task = NULL;

  task = morrow_executor_spawn (executor, morrow_coroutine (await_callback, NULL, NULL));
  ck_assert (morrow_future_is_settled (task));
  assert_said ("called");
}
END_TEST

static gboolean
yield_once (gpointer data, GValue *result, GError **error)
{
  return morrow_yield (error);
}

static gpointer
spawn_who_yields (gpointer executor)
{
  morrow_future_unref (morrow_executor_spawn (executor, morrow_coroutine (yield_once, NULL, NULL)));
  say ("spawned");
  return NULL;
}

static gboolean
attach_beside_a_spawn (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) settled = new_int (1);
  g_autoptr (MorrowFuture) called = morrow_future_then (settled, say_callback, NULL, NULL);

  g_thread_join (g_thread_new ("spawns", spawn_who_yields, morrow_executor_get_current ()));
  return morrow_future_await (called, error);
}

START_TEST (callback_of_a_run_is_left_to_it_by_who_spawns_beside_it)
{
  run_inline (attach_beside_a_spawn, NULL);
  assert_said ("spawned; called");
}
END_TEST

/* A spawn that lasts longer than the run beside it. */
typedef struct
{
  MorrowExecutor *executor;
  MorrowPromise  *promise;
  MorrowPromise  *attached;   /* resolved once it waits, or is about to */
} Longer;

static gboolean
attach_and_wait_longer (gpointer data, GValue *result, GError **error)
{
  Longer *longer = data;
  g_autoptr (MorrowFuture) future = morrow_promise_get_future (longer->promise);
  g_autoptr (MorrowFuture) called = morrow_future_then (future, say_callback, NULL, NULL);

  morrow_promise_resolve (longer->attached);
  return morrow_future_await (called, error);
}

static gpointer
spawn_longer (gpointer data)
{
  Longer *longer = data;

  morrow_future_unref (morrow_executor_spawn (longer->executor, morrow_coroutine (attach_and_wait_longer, longer, NULL)));
  return NULL;
}

START_TEST (callback_is_for_who_spawned_beside_a_run_once_that_has_ended)
{
  g_autoptr (MorrowExecutor) executor = morrow_inline_new ();
  g_autoptr (MorrowPromise) promise = morrow_promise_new (), attached = NULL;
  g_autoptr (MorrowFuture) is_attached = new_pending (&attached);
  Longer longer = { executor, promise, attached };
  GThread *thread = g_thread_new ("spawns", spawn_longer, &longer);

  run_scene_on (executor, await_it, is_attached);
  morrow_promise_resolve (promise);
  g_thread_join (thread);
  assert_said ("called");
}
END_TEST

static Suite *
inline_suite (void)
{
  Suite *suite = suite_create ("inline");
  TCase *order = morrow_check_add_case (suite, "order");
  TCase *cancelled = morrow_check_add_case (suite, "cancelled");
  TCase *started = morrow_check_add_case (suite, "started by a settling");
  TCase *outside = morrow_check_add_case (suite, "outside a run");

  tcase_add_test (order, task_runs_to_its_end_when_it_is_created);
  tcase_add_test (order, task_that_was_created_is_the_current_one_until_it_has_ended);
  tcase_add_test (order, callback_runs_when_the_thread_would_sleep);
  tcase_add_test (order, callback_that_is_left_over_runs_at_the_end_of_the_run);
  tcase_add_test (order, task_that_awaits_one_below_it_on_the_stack_is_told_that_it_is_hopeless);
  tcase_add_loop_test (order, task_that_was_told_of_a_hopeless_wait_can_be_cancelled, FALSE, TRUE + 1);
  tcase_add_loop_test (order, task_that_is_cancelled_as_it_begins_a_hopeless_wait_is_cancelled, FALSE, TRUE + 1);
  tcase_add_test (order, callback_may_create_a_task_that_waits_for_the_next_callback);

  tcase_add_test (cancelled, can_04_cancel_goes_up_to_what_the_task_has_created_and_comes_back);
  tcase_add_test (cancelled, what_a_task_creates_before_it_is_given_its_cancel_is_cancelled_too);
  tcase_add_test (cancelled, can_05_task_that_ignores_the_cancel_of_its_creator_can_be_cancelled_again);

  tcase_add_test (started, next_of_a_gather_runs_on_the_thread_of_the_run_whoever_settles_the_one_before);
  tcase_add_test (started, next_of_a_gather_does_not_run_inside_the_call_that_settles_the_one_before);
  tcase_add_test (started, next_of_a_gather_may_sleep_after_a_sleep);
  tcase_add_test (started, next_of_a_gather_that_main_has_not_waited_for_is_swept);
  tcase_add_test (started, next_of_a_gather_is_refused_once_nobody_can_run_it);
  tcase_add_test (started, cancel_of_a_task_that_yields_goes_to_what_a_settling_has_started_on_top_of_it);

  tcase_add_test (outside, spawn_outside_a_run_runs_here_and_now);
  tcase_add_test (outside, callback_that_is_left_over_runs_before_the_spawn_returns);
  tcase_add_test (outside, task_that_is_spawned_outside_a_run_is_woken_for_its_callback);
  tcase_add_test (outside, callback_of_a_run_is_left_to_it_by_who_spawns_beside_it);
  tcase_add_test (outside, callback_is_for_who_spawned_beside_a_run_once_that_has_ended);

  return suite;
}

MORROW_CHECK_MAIN (inline_suite)
