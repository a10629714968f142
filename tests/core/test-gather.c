/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gather, as asyncio's: results in order, failures, cancels, nesting.
 */
#include "config.h"

#include "exec/scene.h"

/* Children that are promises, and a gather of them: the usual stage. */
typedef struct
{
  MorrowPromise *promise[3];
  MorrowFuture  *child[3];
  MorrowFuture  *gather;
} Stage;

static void
stage_init (Stage *self, MorrowGatherFlags flags)
{
  for (guint i = 0; i < 3; i++)
    morrow_future_ref (self->child[i] = new_pending (&self->promise[i]));
  self->gather = morrow_gather_full (self->child, 3, flags, 0);
}

static void
stage_clear (Stage *self)
{
  morrow_future_unref (self->gather);
  for (guint i = 0; i < 3; i++)
    {
      morrow_promise_resolve (self->promise[i]);
      morrow_promise_unref (self->promise[i]);
      morrow_future_unref (self->child[i]);
    }
}

static void
reject_with (MorrowPromise *promise, const char *message)
{
  morrow_promise_reject (promise, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, message));
}

static MorrowResults *
results_of (MorrowFuture *gather)
{
  await_ok (gather);
  return morrow_future_get_boxed (gather);
}

/* A child that cleans up, for as long as its future is pending, when it is cancelled. */
typedef struct
{
  const char   *name;
  MorrowFuture *wait;      /* borrowed */
  MorrowFuture *cleanup;   /* borrowed */
  gboolean      swallow;
} Cleaner;

static gboolean
clean_up (gpointer data, GValue *result, GError **error)
{
  Cleaner *self = data;
  GError *cancelled = NULL;

  if (morrow_future_await (self->wait, &cancelled))
    return morrow_return_int (result, 1);

  say ("%s cleans up", self->name);
  if (self->cleanup != NULL && !morrow_future_await (self->cleanup, NULL))
    say ("%s was hurried", self->name);
  say ("%s ends", self->name);
  if (self->swallow)
    {
      g_error_free (cancelled);
      return morrow_return_int (result, 2);
    }
  g_propagate_error (error, cancelled);
  return FALSE;
}

static MorrowFuture *
start (MorrowCoroutineFunc func, gpointer data)
{
  return morrow_create_task (morrow_coroutine (func, data, NULL));
}

/* --- results ----------------------------------------------------------------------------------- */

SCENE (gat_01_results_are_in_the_order_of_the_arguments)
{
  Stage stage;
  MorrowResults *results;

  stage_init (&stage, MORROW_GATHER_DEFAULT);
  morrow_promise_resolve_int (stage.promise[2], 30);
  morrow_promise_resolve_int (stage.promise[0], 10);
  ck_assert (!morrow_future_is_settled (stage.gather));
  morrow_promise_resolve_int (stage.promise[1], 20);

  results = results_of (stage.gather);
  ck_assert_uint_eq (morrow_results_get_n (results), 3);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq (morrow_results_get_int (results, i), 10 * (i + 1));
  stage_clear (&stage);
  return TRUE;
}

static gboolean
say_data (gpointer data, GValue *result, GError **error)
{
  say ("%s", (const char *) data);
  return TRUE;
}

SCENE (gat_02_coroutines_start_in_the_order_of_the_arguments)
{
  g_autoptr (MorrowFuture) gather = morrow_gather (morrow_coroutine (say_data, (gpointer) "a", NULL),
                                                   morrow_coroutine (say_data, (gpointer) "b", NULL),
                                                   morrow_coroutine (say_data, (gpointer) "c", NULL), NULL);

  assert_said ("");
  await_ok (gather);
  assert_said ("a; b; c");
  return TRUE;
}

SCENE (gat_03_same_argument_twice_is_awaited_once_and_stands_in_both_places)
{
  MorrowFuture *twice = morrow_coroutine (say_data, (gpointer) "once", NULL);
  g_autoptr (MorrowFuture) gather = morrow_gather (morrow_future_ref (twice), new_int (1), twice, NULL);
  MorrowResults *results = results_of (gather);

  assert_said ("once");
  ck_assert_uint_eq (morrow_results_get_n (results), 3);
  ck_assert_ptr_eq (morrow_results_get_future (results, 0), morrow_results_get_future (results, 2));
  ck_assert_int_eq (morrow_results_get_int (results, 1), 1);
  return TRUE;
}

static gboolean
say_name (MorrowFuture *settled, gpointer name, GValue *result, GError **error)
{
  say ("%s", (const char *) name);
  return TRUE;
}

static MorrowFuture *
say_when_settled (MorrowFuture *future, const char *name)
{
  return morrow_future_finally (future, say_name, (gpointer) name, NULL);
}

/* A gather that is the second of three to wait for its first child, and the first of two to wait for its second. */
static gboolean
settle_among_others (guint first, const char *said_first, const char *said_second)
{
  MorrowPromise *promise[2];
  MorrowFuture *child[2] = { new_pending (&promise[0]), new_pending (&promise[1]) };
  g_autoptr (MorrowFuture) before = say_when_settled (child[0], "before");
  g_autoptr (MorrowFuture) gather = morrow_gather (child[0], child[1], NULL);
  g_autoptr (MorrowFuture) gathered = say_when_settled (gather, "gathered");
  g_autoptr (MorrowFuture) after = say_when_settled (child[0], "after");
  g_autoptr (MorrowFuture) beside = say_when_settled (child[1], "beside");

  morrow_promise_resolve (promise[first]);
  let_run ();
  assert_said (said_first);
  morrow_promise_resolve (promise[1 - first]);
  let_run ();
  assert_said (said_second);
  morrow_promise_unref (promise[0]);
  morrow_promise_unref (promise[1]);
  return TRUE;
}

SCENE (gather_is_told_in_its_turn_among_others_that_wait_for_its_children)
{
  return settle_among_others (0, "before; after", "gathered; beside") && settle_among_others (1, "beside", "before; gathered; after");
}

SCENE (gather_goes_on_waiting_when_others_that_wait_for_its_children_leave)
{
  MorrowPromise *promise[2];
  MorrowFuture *child[2] = { new_pending (&promise[0]), new_pending (&promise[1]) };
  g_autoptr (MorrowFuture) before = say_when_settled (child[0], "before");
  g_autoptr (MorrowFuture) gather = morrow_gather (child[0], child[1], NULL);
  g_autoptr (MorrowFuture) after = say_when_settled (child[0], "after");
  g_autoptr (MorrowFuture) beside = say_when_settled (child[1], "beside");

  ck_assert (morrow_future_cancel (after));
  ck_assert (morrow_future_cancel (before));
  ck_assert (morrow_future_cancel (beside));
  for (guint i = 0; i < 2; i++)
    {
      ck_assert (!morrow_future_is_settled (gather));
      morrow_promise_resolve_int (promise[i], (gint) i + 1);
      morrow_promise_unref (promise[i]);
    }
  ck_assert_int_eq (morrow_results_get_int (results_of (gather), 1), 2);
  assert_said ("");
  return TRUE;
}

/* Of as few as the cache has a size for. */
SCENE (gather_has_one_waiter_for_all_children_but_those_that_others_wait_for)
{
  MorrowPromise *promise[10];
  MorrowFuture *child[10], *callback[3], *gather;
  gssize n_objects;

  for (guint i = 0; i < 10; i++)
    child[i] = new_pending (&promise[i]);
  for (guint i = 0; i < 3; i++)
    callback[i] = say_when_settled (child[i], "settled");
  n_objects = morrow__cache_live ();
  gather = morrow_gatherv (child, 10);
  ck_assert_int_eq (morrow__cache_live () - n_objects, 1 + 3);
  for (guint i = 0; i < 10; i++)
    {
      morrow_promise_resolve (promise[i]);
      morrow_promise_unref (promise[i]);
    }
  ck_assert_int_eq (morrow__cache_live () - n_objects, 1);
  await_ok (gather);
  morrow_future_unref (gather);
  for (guint i = 0; i < 3; i++)
    {
      await_ok (callback[i]);
      morrow_future_unref (callback[i]);
    }
  assert_said ("settled; settled; settled");
  return TRUE;
}

SCENE (gathers_of_the_same_children_each_wait_for_all_of_them)
{
  MorrowPromise *promise[2];
  MorrowFuture *a = new_pending (&promise[0]), *b = new_pending (&promise[1]);
  MorrowFuture *gathers[3] = {
    morrow_gather (morrow_future_ref (a), morrow_future_ref (b), NULL),
    morrow_gather (morrow_future_ref (b), morrow_future_ref (a), NULL),
    morrow_gather (morrow_future_ref (a), b, a, NULL),
  };

  morrow_promise_resolve_int (promise[0], 1);
  for (guint i = 0; i < 3; i++)
    ck_assert (!morrow_future_is_settled (gathers[i]));
  morrow_promise_resolve_int (promise[1], 2);
  for (guint i = 0; i < 3; i++)
    {
      ck_assert_uint_eq (morrow_results_get_n (results_of (gathers[i])), MAX (i + 1, 2));
      ck_assert_int_eq (morrow_results_get_int (results_of (gathers[i]), 1), i == 1 ? 1 : 2);
      morrow_future_unref (gathers[i]);
    }
  morrow_promise_unref (promise[0]);
  morrow_promise_unref (promise[1]);
  return TRUE;
}

START_TEST (gat_04_nothing_to_gather_is_done_at_once)
{
  g_autoptr (MorrowFuture) list = morrow_gather (NULL, NULL);
  g_autoptr (MorrowFuture) array = morrow_gatherv (NULL, 0);

  ck_assert_int_eq (morrow_future_get_status (list), MORROW_FUTURE_RESOLVED);
  ck_assert_int_eq (morrow_future_get_status (array), MORROW_FUTURE_RESOLVED);
  ck_assert_uint_eq (morrow_results_get_n (morrow_future_get_boxed (list)), 0);
  ck_assert_uint_eq (morrow_results_get_n (morrow_future_get_boxed (array)), 0);
}
END_TEST

START_TEST (gat_05_arguments_that_are_all_done_make_a_gather_that_is_done)
{
  g_autoptr (MorrowFuture) gather = morrow_gather (new_int (4), new_int (5), NULL);
  MorrowResults *results = morrow_future_get_boxed (gather);

  ck_assert_int_eq (morrow_results_get_int (results, 0), 4);
  ck_assert_int_eq (morrow_results_get_int (results, 1), 5);
}
END_TEST

/* They lie in its memory. */
START_TEST (results_outlive_their_gather)
{
  MorrowFuture *kept = new_int (4);
  MorrowFuture *gather = morrow_gather (morrow_future_ref (kept), new_int (5), NULL);
  MorrowFuture *nested = morrow_race (morrow_future_ref (gather), NULL);
  MorrowResults *results = morrow_results_ref (morrow_future_get_boxed (gather));

  morrow_future_set_name (gather, "named");
  morrow_future_unref (gather);
  ck_assert_ptr_eq (morrow_future_get_boxed (nested), results);
  morrow_future_unref (nested);
  ck_assert_uint_eq (morrow_results_get_n (results), 2);
  ck_assert_int_eq (morrow_results_get_int (results, 1), 5);
  ck_assert_ptr_eq (morrow_results_get_future (results, 0), kept);
  morrow_results_unref (results);
  ck_assert_int_eq (morrow_future_get_int (kept), 4);
  morrow_future_unref (kept);
}
END_TEST

START_TEST (gat_06_missing_argument_is_refused_and_nothing_is_hooked_on)
{
  MorrowFuture *futures[2] = { new_int (1), NULL };
  g_autoptr (MorrowFuture) gather = NULL;

  morrow_check_expect_critical ("*assertion 'futures*i* != NULL' failed");
  gather = morrow_gatherv (futures, 2);
  assert_error (morrow_future_get_error (gather), MORROW_ERROR, MORROW_ERROR_INVALID_ARGUMENT);
  morrow_future_unref (futures[0]);
}
END_TEST

/* --- failures ---------------------------------------------------------------------------------- */

SCENE (gat_07_first_failure_is_the_gathers_at_once_and_the_others_go_on)
{
  Stage stage;

  stage_init (&stage, MORROW_GATHER_DEFAULT);
  reject_with (stage.promise[1], "the second");
  ck_assert (morrow_future_is_settled (stage.gather));
  await_failed (stage.gather, "the second");
  ck_assert (!morrow_future_is_cancelled (stage.gather));
  ck_assert (!morrow_future_is_settled (stage.child[0]));
  ck_assert (!morrow_future_is_settled (stage.child[2]));
  stage_clear (&stage);
  return TRUE;
}

SCENE (gat_07_survivors_run_to_their_end)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_autoptr (MorrowFuture) survivor = start (await_it, pending);
  g_autoptr (MorrowFuture) gather = morrow_gather (morrow_coroutine (fail_with, NULL, NULL), morrow_future_ref (survivor), NULL);

  await_failed (gather, "failed");
  g_clear_pointer (&gather, morrow_future_unref);
  let_run ();
  ck_assert (!morrow_future_is_settled (survivor));
  ck_assert_uint_eq (morrow_future_get_cancelling (survivor), 0);
  morrow_promise_resolve_int (promise, 1);
  morrow_promise_unref (promise);
  await_ok (survivor);
  return TRUE;
}

SCENE (gat_08_failures_after_the_first_are_not_reported)
{
  Stage stage;

  stage_init (&stage, MORROW_GATHER_DEFAULT);
  reject_with (stage.promise[0], "the first");
  reject_with (stage.promise[1], "the second");
  reject_with (stage.promise[2], "the third");
  ck_assert_str_eq (morrow_future_get_error (stage.gather)->message, "the first");
  stage_clear (&stage);
  return TRUE;
}

START_TEST (gat_08_first_failure_that_nobody_looks_at_is_reported_once)
{
  Stage stage;

  stage_init (&stage, MORROW_GATHER_DEFAULT);
  reject_with (stage.promise[0], "the first");
  morrow_check_expect_warning ("The error of gather* was never looked at: the first");
  stage_clear (&stage);
}
END_TEST

SCENE (gat_09_errors_returned_stand_at_their_places_and_all_are_waited_for)
{
  Stage stage;
  MorrowResults *results;

  stage_init (&stage, MORROW_GATHER_RETURN_ERRORS);
  reject_with (stage.promise[0], "the first");
  ck_assert (!morrow_future_is_settled (stage.gather));
  morrow_promise_resolve_int (stage.promise[1], 20);
  reject_with (stage.promise[2], "the third");

  results = results_of (stage.gather);
  ck_assert_str_eq (morrow_results_get_error (results, 0)->message, "the first");
  ck_assert_ptr_null (morrow_results_get_error (results, 1));
  ck_assert_int_eq (morrow_results_get_int (results, 1), 20);
  ck_assert_str_eq (morrow_results_get_error (results, 2)->message, "the third");
  ck_assert_int_eq (morrow_results_get_int (results, 2), 0);
  stage_clear (&stage);
  return TRUE;
}

SCENE (gat_09_error_returned_that_nobody_looks_at_reports_itself)
{
  g_autoptr (MorrowFuture) failed = new_failed ("overlooked");
  MorrowFuture *gather = morrow_gather_full (&failed, 1, MORROW_GATHER_RETURN_ERRORS, 0);

  failed = NULL;
  await_ok (gather);
  morrow_check_expect_warning ("*was never looked at: overlooked");
  morrow_future_unref (gather);
  return TRUE;
}

static gboolean
await_stage_and_say (gpointer data, GValue *result, GError **error)
{
  Stage *self = data;
  g_autoptr (GError) failure = NULL;
  gboolean ok = morrow_future_await (self->gather, &failure);

  say ("%s, %u requests", ok ? "got it" : failure->message, morrow_future_get_cancelling (morrow_current_task ()));
  return TRUE;
}

SCENE (gat_10_child_cancelled_is_the_gathers_failure_and_not_its_cancel)
{
  Stage stage;
  g_autoptr (MorrowFuture) caller = NULL;

  stage_init (&stage, MORROW_GATHER_DEFAULT);
  caller = start (await_stage_and_say, &stage);
  let_run ();
  morrow_future_cancel_with_message (stage.child[0], "just this one");
  await_ok (caller);
  assert_said ("just this one, 0 requests");
  assert_cancelled (morrow_future_get_error (stage.gather));
  ck_assert (!morrow_future_is_cancelled (stage.gather));
  ck_assert (!morrow_future_is_settled (stage.child[1]));
  ck_assert (!morrow_future_is_settled (stage.child[2]));
  stage_clear (&stage);
  return TRUE;
}

SCENE (gat_11_with_errors_returned_a_cancelled_child_is_one_of_them)
{
  Stage stage;
  MorrowResults *results;

  stage_init (&stage, MORROW_GATHER_RETURN_ERRORS);
  morrow_future_cancel (stage.child[0]);
  morrow_promise_resolve_int (stage.promise[1], 2);
  morrow_promise_resolve_int (stage.promise[2], 3);
  results = results_of (stage.gather);
  assert_cancelled (morrow_results_get_error (results, 0));
  ck_assert_int_eq (morrow_results_get_int (results, 2), 3);
  stage_clear (&stage);
  return TRUE;
}

/* --- cancels ----------------------------------------------------------------------------------- */

SCENE (gat_12_cancel_reaches_every_child_that_is_not_done)
{
  Stage stage;

  stage_init (&stage, MORROW_GATHER_DEFAULT);
  morrow_promise_resolve (stage.promise[1]);
  ck_assert (morrow_future_cancel (stage.gather));
  ck_assert (morrow_future_is_cancelled (stage.child[0]));
  ck_assert_int_eq (morrow_future_get_status (stage.child[1]), MORROW_FUTURE_RESOLVED);
  ck_assert (morrow_future_is_cancelled (stage.child[2]));
  await_cancelled (stage.gather);
  ck_assert (morrow_future_is_cancelled (stage.gather));
  stage_clear (&stage);
  return TRUE;
}

SCENE (gat_12_gather_of_tasks_is_not_done_when_it_has_just_been_cancelled)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_autoptr (MorrowFuture) gather = morrow_gather (start (await_it, pending), NULL);

  let_run ();
  ck_assert (morrow_future_cancel (gather));
  ck_assert (!morrow_future_is_settled (gather));
  await_cancelled (gather);
  morrow_promise_unref (promise);
  return TRUE;
}

static void
cancel_with_a_slow_child (MorrowGatherFlags flags)
{
  MorrowPromise *promise, *cleaned;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_autoptr (MorrowFuture) cleanup = new_pending (&cleaned);
  Cleaner quick = { .name = "quick", .wait = pending }, slow = { .name = "slow", .wait = pending, .cleanup = cleanup };
  MorrowFuture *children[2] = { start (clean_up, &quick), start (clean_up, &slow) };
  g_autoptr (MorrowFuture) gather = morrow_gather_full (children, 2, flags, 0);

  let_run ();
  ck_assert (morrow_future_cancel (gather));
  let_run ();
  assert_said ("quick cleans up; quick ends; slow cleans up");
  ck_assert (!morrow_future_is_settled (gather));
  morrow_promise_resolve (cleaned);
  await_cancelled (gather);
  assert_said ("slow ends");
  morrow_promise_unref (cleaned);
  morrow_promise_unref (promise);
}

SCENE (gat_13_cancelled_gather_waits_for_the_cleanup_of_every_child)
{
  cancel_with_a_slow_child (MORROW_GATHER_DEFAULT);
  cancel_with_a_slow_child (MORROW_GATHER_RETURN_ERRORS);
  return TRUE;
}

SCENE (gat_14_cancelled_gather_is_cancelled_even_with_errors_returned)
{
  Stage stage;

  stage_init (&stage, MORROW_GATHER_RETURN_ERRORS);
  ck_assert (morrow_future_cancel_with_message (stage.gather, "all of you"));
  await_cancelled (stage.gather);
  ck_assert (morrow_future_is_cancelled (stage.gather));
  ck_assert_str_eq (morrow_future_get_error (stage.gather)->message, "all of you");
  stage_clear (&stage);
  return TRUE;
}

static void
cancel_what_swallows (MorrowGatherFlags flags)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  Cleaner swallows = { .name = "it", .wait = pending, .swallow = TRUE };
  MorrowFuture *children[1] = { morrow_future_ref (start (clean_up, &swallows)) };
  g_autoptr (MorrowFuture) child = children[0];
  g_autoptr (MorrowFuture) gather = morrow_gather_full (children, 1, flags, 0);

  let_run ();
  ck_assert (morrow_future_cancel (gather));
  await_cancelled (gather);
  ck_assert_int_eq (morrow_future_get_int (child), 2);
  assert_said ("it cleans up; it ends");
  morrow_promise_unref (promise);
}

SCENE (message_of_a_cancelled_gather_is_that_of_the_last_request)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  MorrowPromise *cleaned;
  g_autoptr (MorrowFuture) cleanup = new_pending (&cleaned);
  Cleaner cleaner = { .name = "it", .wait = pending, .cleanup = cleanup };
  g_autoptr (MorrowFuture) gather = morrow_gather (start (clean_up, &cleaner), NULL);

  let_run ();
  ck_assert (morrow_future_cancel_with_message (gather, "first"));
  let_run ();
  ck_assert (morrow_future_cancel_with_message (gather, "second"));
  await_cancelled (gather);
  ck_assert_str_eq (morrow_future_get_error (gather)->message, "second");
  forget_said ();
  morrow_promise_unref (cleaned);
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (gat_15_and_even_where_every_child_swallowed_the_cancel)
{
  cancel_what_swallows (MORROW_GATHER_DEFAULT);
  cancel_what_swallows (MORROW_GATHER_RETURN_ERRORS);
  return TRUE;
}

SCENE (gat_16_cancel_once_all_children_are_done_is_refused)
{
  Stage stage;
  g_autoptr (MorrowFuture) caller = NULL;

  stage_init (&stage, MORROW_GATHER_DEFAULT);
  caller = start (await_stage_and_say, &stage);
  let_run ();
  for (guint i = 0; i < 3; i++)
    morrow_promise_resolve_int (stage.promise[i], i);
  ck_assert (!morrow_future_cancel (stage.gather));
  await_ok (caller);
  assert_said ("got it, 0 requests");
  stage_clear (&stage);
  return TRUE;
}

SCENE (gat_17_cancel_of_a_gather_that_has_failed_is_refused_and_survivors_go_on)
{
  Stage stage;

  stage_init (&stage, MORROW_GATHER_DEFAULT);
  reject_with (stage.promise[1], "the second");
  ck_assert (!morrow_future_cancel (stage.gather));
  ck_assert_str_eq (morrow_future_get_error (stage.gather)->message, "the second");
  ck_assert (!morrow_future_is_settled (stage.child[0]));
  ck_assert (!morrow_future_is_settled (stage.child[2]));
  stage_clear (&stage);
  return TRUE;
}

SCENE (gat_18_cancel_reaches_every_leaf_of_nested_gathers)
{
  MorrowPromise *promise[3];
  MorrowFuture *leaf[3];
  g_autoptr (MorrowFuture) gather = NULL;

  for (guint i = 0; i < 3; i++)
    leaf[i] = new_pending (&promise[i]);
  gather = morrow_gather (morrow_gather (morrow_future_ref (leaf[0]), morrow_future_ref (leaf[1]), NULL),
                          morrow_gather (morrow_gather (morrow_future_ref (leaf[2]), NULL), NULL), NULL);
  ck_assert (morrow_future_cancel (gather));
  for (guint i = 0; i < 3; i++)
    {
      ck_assert (morrow_future_is_cancelled (leaf[i]));
      morrow_promise_unref (promise[i]);
      morrow_future_unref (leaf[i]);
    }
  await_cancelled (gather);
  return TRUE;
}

SCENE (gat_19_cancel_of_a_gather_of_shields_stops_at_the_shields)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) inner = new_pending (&promise);
  g_autoptr (MorrowFuture) gather = morrow_gather (morrow_shield (morrow_future_ref (inner)), NULL);

  ck_assert (morrow_future_cancel (gather));
  await_cancelled (gather);
  ck_assert (!morrow_future_is_settled (inner));
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (gat_19_cancel_of_a_shield_leaves_the_gather_alone)
{
  Stage stage;
  g_autoptr (MorrowFuture) shield = NULL;

  stage_init (&stage, MORROW_GATHER_DEFAULT);
  shield = morrow_shield (morrow_future_ref (stage.gather));
  ck_assert (morrow_future_cancel (shield));
  ck_assert (morrow_future_is_cancelled (shield));
  ck_assert (!morrow_future_is_settled (stage.gather));
  for (guint i = 0; i < 3; i++)
    morrow_promise_resolve (stage.promise[i]);
  await_ok (stage.gather);
  stage_clear (&stage);
  return TRUE;
}

/* --- a limit ----------------------------------------------------------------------------------- */

typedef struct
{
  guint running, most, ended;
} Crowd;

static gboolean
join_crowd (gpointer data, GValue *result, GError **error)
{
  Crowd *self = data;

  self->running++;
  self->most = MAX (self->most, self->running);
  for (guint i = 0; i < 3; i++)
    {
      if (!morrow_yield (error))
        return FALSE;
    }
  self->running--;
  return morrow_return_int (result, self->ended++);
}

SCENE (gather_with_a_limit_runs_that_many_at_once_in_order)
{
  Crowd crowd = { 0 };
  MorrowFuture *children[10];
  g_autoptr (MorrowFuture) gather = NULL;

  for (guint i = 0; i < 10; i++)
    children[i] = morrow_coroutine (join_crowd, &crowd, NULL);
  gather = morrow_gather_full (children, 10, MORROW_GATHER_DEFAULT, 3);
  await_ok (gather);
  ck_assert_uint_eq (crowd.most, 3);
  ck_assert_uint_eq (crowd.ended, 10);
  for (int i = 0; i < 10; i++)
    ck_assert_int_eq (morrow_results_get_int (morrow_future_get_boxed (gather), i), i);
  return TRUE;
}

SCENE (gather_with_a_limit_goes_on_after_a_failure)
{
  MorrowFuture *children[3] = {
    morrow_coroutine (fail_with, (gpointer) "first", NULL),
    morrow_coroutine (say_data, (gpointer) "second", NULL),
    morrow_coroutine (say_data, (gpointer) "third", NULL),
  };
  g_autoptr (MorrowFuture) gather = morrow_gather_full (children, 3, MORROW_GATHER_DEFAULT, 1);

  await_failed (gather, "first");
  let_run ();
  assert_said ("second; third");
  return TRUE;
}

SCENE (gather_with_a_limit_when_cancelled_starts_no_more)
{
  MorrowPromise *promise;
  MorrowFuture *pending = new_pending (&promise);
  MorrowFuture *children[3] = {
    morrow_coroutine (await_it, pending, (GDestroyNotify) morrow_future_unref),
    morrow_coroutine (say_data, (gpointer) "second", NULL),
    morrow_coroutine (say_data, (gpointer) "third", NULL),
  };
  g_autoptr (MorrowFuture) gather = morrow_gather_full (children, 3, MORROW_GATHER_DEFAULT, 1);

  let_run ();
  ck_assert (morrow_future_cancel (gather));
  await_cancelled (gather);
  let_run ();
  assert_said ("");
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (gather_with_a_limit_of_settled_ones_is_done_at_once)
{
  MorrowFuture *children[100];
  g_autoptr (MorrowFuture) gather = NULL;

  for (int i = 0; i < 100; i++)
    children[i] = new_int (i);
  gather = morrow_gather_full (children, 100, MORROW_GATHER_DEFAULT, 2);
  ck_assert (morrow_future_is_settled (gather));
  for (int i = 0; i < 100; i++)
    ck_assert_int_eq (morrow_results_get_int (morrow_future_get_boxed (gather), i), i);
  return TRUE;
}

typedef struct
{
  MorrowPromise *promise;
  MorrowFuture  *gather;
} Late;

static gboolean
leave_gather (gpointer data, GValue *result, GError **error)
{
  Late *self = data;
  MorrowFuture *children[2] = { new_pending (&self->promise), morrow_coroutine (say_data, (gpointer) "second", NULL) };

  self->gather = morrow_gather_full (children, 2, MORROW_GATHER_DEFAULT, 1);
  return TRUE;
}

START_TEST (gather_with_a_limit_that_outlives_its_loop_is_told_that_it_is_closed)
{
  g_autoptr (GError) error = NULL;
  Late late;
  gboolean ok;

  forget_said ();
  run_scene (leave_gather, &late);
  morrow_promise_resolve (late.promise);
  ok = morrow_future_wait (late.gather, &error);
  ck_assert (!ok);
  assert_error (error, MORROW_ERROR, MORROW_ERROR_CLOSED);
  assert_said ("");
  morrow_future_unref (late.gather);
  morrow_promise_unref (late.promise);
}
END_TEST

static gpointer
reject_there (gpointer promise)
{
  morrow_promise_reject (promise, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "Not here"));
  return NULL;
}

static void
note_thread (gpointer data, GObject *object)
{
  *(GThread **) data = g_thread_self ();
}

typedef MorrowFuture *(*CombineFunc) (MorrowFuture *const *futures, gsize n_futures);

static gpointer
resolve_there (gpointer promise)
{
  morrow_promise_resolve (promise);
  return NULL;
}

/* The object's only reference is that of the future which resolved with it. */
static gboolean
settle_on_another_thread (MorrowFuture *whole, MorrowPromise *promises[2], GThreadFunc settle, GError **error)
{
  GObject *object = g_object_new (G_TYPE_OBJECT, NULL);
  GThread *finalized_on = NULL;

  g_object_weak_ref (object, note_thread, &finalized_on);
  morrow_promise_resolve_object (promises[0], object);
  g_object_unref (object);
  morrow_promise_unref (promises[0]);
  if (settle == resolve_there)
    morrow_future_unref (whole);
  g_thread_join (g_thread_new (NULL, settle, promises[1]));
  morrow_promise_unref (promises[1]);
  if (settle == reject_there)
    {
      ck_assert (!morrow_future_await (whole, NULL));
      morrow_future_unref (whole);
    }
  while (finalized_on == NULL)
    if (!morrow_yield (error))
      return FALSE;
  ck_assert_ptr_eq (finalized_on, g_thread_self ());
  return TRUE;
}

static gboolean
combine_and_settle_there (CombineFunc combine, GThreadFunc settle, GError **error)
{
  MorrowPromise *promises[2];
  MorrowFuture *children[2] = { new_pending (&promises[0]), new_pending (&promises[1]) };

  return settle_on_another_thread (combine (children, 2), promises, settle, error);
}

SCENE (object_in_a_gather_that_fails_on_another_thread_is_released_where_the_gather_was_made)
{
  return combine_and_settle_there (morrow_gatherv, reject_there, error);
}

SCENE (object_in_an_all_that_fails_on_another_thread_is_released_where_the_all_was_made)
{
  return combine_and_settle_there (morrow_allv, reject_there, error);
}

SCENE (object_in_a_gather_that_nobody_has_any_more_is_released_where_the_gather_was_made)
{
  return combine_and_settle_there (morrow_gatherv, resolve_there, error);
}

SCENE (gather_of_gathers_a_thousand_deep_settles)
{
  MorrowPromise *promise;
  MorrowFuture *gather = new_pending (&promise);

  for (guint i = 0; i < 1000; i++)
    gather = morrow_gather (gather, NULL);
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  await_ok (gather);
  morrow_future_unref (gather);
  return TRUE;
}

static gboolean
count_callback (MorrowFuture *settled, gpointer n_called, GValue *result, GError **error)
{
  ++*(guint *) n_called;
  return TRUE;
}

/* Deeper than settling nests: the lists of two are told later. */
SCENE (gather_of_gathers_a_thousand_deep_settles_with_a_callback_beside_each)
{
  MorrowPromise *promise;
  MorrowFuture *gather = new_pending (&promise);
  guint n_called = 0;

  for (guint i = 0; i < 1000; i++)
    {
      MorrowFuture *outer = morrow_gather (morrow_future_ref (gather), NULL);

      morrow_future_unref (morrow_future_finally (gather, count_callback, &n_called, NULL));
      morrow_future_unref (gather);
      gather = outer;
    }
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  await_ok (gather);
  let_run ();
  ck_assert_uint_eq (n_called, 1000);
  morrow_future_unref (gather);
  return TRUE;
}

START_TEST (gather_on_a_plain_thread_waits_for_promises)
{
  Stage stage;

  stage_init (&stage, MORROW_GATHER_DEFAULT);
  for (guint i = 0; i < 3; i++)
    morrow_promise_resolve_int (stage.promise[i], i);
  ck_assert (morrow_future_wait (stage.gather, NULL));
  stage_clear (&stage);
}
END_TEST

START_TEST (gather_on_a_plain_thread_cannot_start_coroutines)
{
  g_autoptr (MorrowFuture) gather = morrow_gather (morrow_coroutine (say_data, (gpointer) "never", NULL), NULL);

  assert_error (morrow_future_get_error (gather), MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK);
  assert_said ("");
}
END_TEST

static Suite *
gather_suite (void)
{
  Suite *suite = suite_create ("gather");
  TCase *result = morrow_check_add_case (suite, "result");
  TCase *failure = morrow_check_add_case (suite, "failure");
  TCase *cancel = morrow_check_add_case (suite, "cancel");
  TCase *limit = morrow_check_add_case (suite, "limit");
  TCase *where = morrow_check_add_case (suite, "where");

  tcase_add_test (result, gat_01_results_are_in_the_order_of_the_arguments);
  tcase_add_test (result, gat_02_coroutines_start_in_the_order_of_the_arguments);
  tcase_add_test (result, gat_03_same_argument_twice_is_awaited_once_and_stands_in_both_places);
  tcase_add_test (result, gather_is_told_in_its_turn_among_others_that_wait_for_its_children);
  tcase_add_test (result, gather_goes_on_waiting_when_others_that_wait_for_its_children_leave);
  tcase_add_test (result, gather_has_one_waiter_for_all_children_but_those_that_others_wait_for);
  tcase_add_test (result, gathers_of_the_same_children_each_wait_for_all_of_them);
  tcase_add_test (result, gat_04_nothing_to_gather_is_done_at_once);
  tcase_add_test (result, gat_05_arguments_that_are_all_done_make_a_gather_that_is_done);
  tcase_add_test (result, results_outlive_their_gather);
  tcase_add_test (result, gat_06_missing_argument_is_refused_and_nothing_is_hooked_on);

  tcase_add_test (failure, gat_07_first_failure_is_the_gathers_at_once_and_the_others_go_on);
  tcase_add_test (failure, gat_07_survivors_run_to_their_end);
  tcase_add_test (failure, gat_08_failures_after_the_first_are_not_reported);
  tcase_add_test (failure, gat_08_first_failure_that_nobody_looks_at_is_reported_once);
  tcase_add_test (failure, gat_09_errors_returned_stand_at_their_places_and_all_are_waited_for);
  tcase_add_test (failure, gat_09_error_returned_that_nobody_looks_at_reports_itself);
  tcase_add_test (failure, gat_10_child_cancelled_is_the_gathers_failure_and_not_its_cancel);
  tcase_add_test (failure, gat_11_with_errors_returned_a_cancelled_child_is_one_of_them);

  tcase_add_test (cancel, gat_12_cancel_reaches_every_child_that_is_not_done);
  tcase_add_test (cancel, gat_12_gather_of_tasks_is_not_done_when_it_has_just_been_cancelled);
  tcase_add_test (cancel, gat_13_cancelled_gather_waits_for_the_cleanup_of_every_child);
  tcase_add_test (cancel, gat_14_cancelled_gather_is_cancelled_even_with_errors_returned);
  tcase_add_test (cancel, message_of_a_cancelled_gather_is_that_of_the_last_request);
  tcase_add_test (cancel, gat_15_and_even_where_every_child_swallowed_the_cancel);
  tcase_add_test (cancel, gat_16_cancel_once_all_children_are_done_is_refused);
  tcase_add_test (cancel, gat_17_cancel_of_a_gather_that_has_failed_is_refused_and_survivors_go_on);
  tcase_add_test (cancel, gat_18_cancel_reaches_every_leaf_of_nested_gathers);
  tcase_add_test (cancel, gat_19_cancel_of_a_gather_of_shields_stops_at_the_shields);
  tcase_add_test (cancel, gat_19_cancel_of_a_shield_leaves_the_gather_alone);

  tcase_add_test (limit, gather_with_a_limit_runs_that_many_at_once_in_order);
  tcase_add_test (limit, gather_with_a_limit_goes_on_after_a_failure);
  tcase_add_test (limit, gather_with_a_limit_when_cancelled_starts_no_more);
  tcase_add_test (limit, gather_with_a_limit_of_settled_ones_is_done_at_once);
  tcase_add_test (limit, gather_with_a_limit_that_outlives_its_loop_is_told_that_it_is_closed);

  tcase_add_test (where, object_in_a_gather_that_fails_on_another_thread_is_released_where_the_gather_was_made);
  tcase_add_test (where, object_in_an_all_that_fails_on_another_thread_is_released_where_the_all_was_made);
  tcase_add_test (where, object_in_a_gather_that_nobody_has_any_more_is_released_where_the_gather_was_made);
  tcase_add_test (where, gather_of_gathers_a_thousand_deep_settles);
  tcase_add_test (where, gather_of_gathers_a_thousand_deep_settles_with_a_callback_beside_each);
  tcase_add_test (where, gather_on_a_plain_thread_waits_for_promises);
  tcase_add_test (where, gather_on_a_plain_thread_cannot_start_coroutines);

  return suite;
}

MORROW_CHECK_MAIN (gather_suite)
