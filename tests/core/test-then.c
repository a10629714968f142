/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Callbacks: where and when they run, what goes on from them, what a cancel of them means.
 */
#include "config.h"

#include <stdatomic.h>

#include "core/relay-private.h"
#include "exec/scene.h"

enum
{
  LONG_CHAIN = 100000
};

static gboolean
say_int (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  say ("%s got %d", (const char *) data, morrow_future_get_int (settled));
  return morrow_return_int (result, 10 * morrow_future_get_int (settled));
}

static gboolean
say_error (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  say ("%s got %s", (const char *) data, morrow_future_get_error (settled)->message);
  return morrow_return_int (result, 77);
}

static gboolean
say_settled (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  say ("%s", (const char *) data);
  return TRUE;
}

static gboolean
fail_called (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return fail_with (data, result, error);
}

static void
say_freed (gpointer data)
{
  say ("%s freed", (const char *) data);
}

/* --- when and where ---------------------------------------------------------------------------- */

SCENE (fut_04_callbacks_run_later_in_the_order_they_were_attached)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) a = morrow_future_then (future, say_int, (gpointer) "a", NULL);
  g_autoptr (MorrowFuture) b = morrow_future_finally (future, say_int, (gpointer) "b", NULL);
  g_autoptr (MorrowFuture) c = morrow_future_then (future, say_int, (gpointer) "c", NULL);

  let_run ();
  assert_said ("");
  morrow_promise_resolve_int (promise, 1);
  assert_said ("");
  let_run ();
  assert_said ("a got 1; b got 1; c got 1");
  ck_assert_int_eq (morrow_future_get_int (a), 10);
  ck_assert_int_eq (morrow_future_get_int (b), 1);
  ck_assert_int_eq (morrow_future_get_int (c), 10);
  morrow_promise_unref (promise);
  return TRUE;
}

/* At the end of some chain the relay is full: it calls no deeper, and puts the callbacks off. */
SCENE (callbacks_keep_their_order_however_many_futures_pass_the_outcome_on)
{
  for (guint n = 0; n < 2 * MORROW__RELAY_MAX; n++)
    {
      MorrowPromise *promise;
      MorrowFuture *last = new_pending (&promise);
      MorrowFuture *called[3];

      for (guint i = 0; i < n; i++)
        last = morrow_shield (last);
      for (guint i = 0; i < G_N_ELEMENTS (called); i++)
        called[i] = morrow_future_then (last, say_int, (gpointer) ((const char *[]) { "a", "b", "c" })[i], NULL);
      morrow_promise_resolve_int (promise, 1);
      morrow_promise_unref (promise);
      let_run ();
      assert_said ("a got 1; b got 1; c got 1");
      for (guint i = 0; i < G_N_ELEMENTS (called); i++)
        morrow_future_unref (called[i]);
      morrow_future_unref (last);
    }
  return TRUE;
}

SCENE (fut_04_callback_attached_after_it_settled_still_runs_later)
{
  g_autoptr (MorrowFuture) future = new_int (2);
  g_autoptr (MorrowFuture) called = morrow_future_then (future, say_int, (gpointer) "it", NULL);

  assert_said ("");
  await_ok (called);
  assert_said ("it got 2");
  return TRUE;
}

SCENE (callback_attached_to_one_that_has_settled_and_has_a_name_runs)
{
  g_autoptr (MorrowFuture) future = new_int (2);
  g_autoptr (MorrowFuture) called = NULL;

  morrow_future_set_name (future, "two");
  called = morrow_future_then (future, say_int, (gpointer) "it", NULL);
  await_ok (called);
  assert_said ("it got 2");
  return TRUE;
}

static gpointer
resolve_there (gpointer data)
{
  morrow_promise_resolve_int (data, 1);
  return NULL;
}

static gboolean
say_thread (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  say ("%s", g_thread_self () == data ? "here" : "elsewhere");
  return TRUE;
}

SCENE (fut_04_callback_runs_on_the_loop_where_it_was_attached)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) called = morrow_future_then (future, say_thread, g_thread_self (), NULL);
  GThread *thread = g_thread_new ("other", resolve_there, promise);

  await_ok (called);
  g_thread_join (thread);
  assert_said ("here");
  morrow_promise_unref (promise);
  return TRUE;
}

/* The other loop has a thread of its own, or the same, in a task of which it runs. */
static gboolean
resolve_in_a_task (gpointer data, GValue *result, GError **error)
{
  return morrow_promise_resolve_int (data, 1);
}

static gpointer
resolve_on_a_loop_there (gpointer data)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);

  ck_assert (morrow_run_on (loop, morrow_coroutine (resolve_in_a_task, data, NULL), NULL, NULL));
  return NULL;
}

static void
resolve_on_an_inline_executor (MorrowPromise *promise)
{
  g_autoptr (MorrowExecutor) executor = morrow_inline_new ();
  g_autoptr (MorrowFuture) done = morrow_executor_spawn (executor, morrow_coroutine (resolve_in_a_task, promise, NULL));

  await_ok (done);
}

static gboolean
say_loop (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  say ("%s", morrow_loop_get_current () == data && morrow_executor_get_current () == data ? "here" : "elsewhere");
  return TRUE;
}

SCENE (fut_04_callback_runs_on_its_loop_when_another_executors_task_settles)
{
  MorrowPromise *promises[2];
  MorrowFuture *futures[2];

  for (guint i = 0; i < 2; i++)
    {
      promises[i] = morrow_promise_new_with_future (&futures[i]);
      futures[i] = morrow_then (futures[i], say_loop, morrow_loop_get_current (), NULL);
    }
  g_thread_join (g_thread_new ("other", resolve_on_a_loop_there, promises[0]));
  await_ok (futures[0]);
  assert_said ("here");
  resolve_on_an_inline_executor (promises[1]);
  await_ok (futures[1]);
  assert_said ("here");
  for (guint i = 0; i < 2; i++)
    {
      morrow_future_unref (futures[i]);
      morrow_promise_unref (promises[i]);
    }
  return TRUE;
}

START_TEST (callback_of_a_plain_thread_runs_on_its_main_context)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) a = NULL, b = NULL;

  g_main_context_push_thread_default (context);
  a = morrow_future_then (future, say_int, (gpointer) "a", NULL);
  b = morrow_future_then (future, say_int, (gpointer) "b", NULL);
  g_main_context_pop_thread_default (context);

  g_thread_join (g_thread_new ("other", resolve_there, promise));
  ck_assert (!g_main_context_iteration (NULL, FALSE));
  assert_said ("");
  turn_until_settled (context, b);
  assert_said ("a got 1; b got 1");
  morrow_promise_unref (promise);
}
END_TEST

/* A callback on a context that goes, before or after the callback is queued there. */
START_TEST (callback_whose_context_goes_is_let_go)
{
  gboolean is_queued = _i;
  GMainContext *context = g_main_context_new ();
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) then = NULL;

  g_main_context_push_thread_default (context);
  then = morrow_future_then (future, say_int, (gpointer) "then", say_freed);
  g_main_context_pop_thread_default (context);
  if (is_queued)
    morrow_promise_resolve_int (promise, 1);
  assert_said ("");
  g_main_context_unref (context);
  if (!is_queued)
    morrow_promise_resolve_int (promise, 1);

  assert_error (morrow_future_get_error (then), MORROW_ERROR, MORROW_ERROR_CLOSED);
  assert_said ("then freed");
  morrow_promise_unref (promise);
}
END_TEST

static gboolean
attach_more (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  say ("outer");
  morrow_future_unref (morrow_future_then (settled, say_settled, (gpointer) "inner", NULL));
  say ("outer ends");
  return TRUE;
}

SCENE (callback_attached_in_a_callback_runs_after_it)
{
  g_autoptr (MorrowFuture) future = new_int (1);

  morrow_future_unref (morrow_future_then (future, attach_more, NULL, NULL));
  let_run ();
  assert_said ("outer; outer ends; inner");
  return TRUE;
}

SCENE (callback_whose_future_is_dropped_still_runs)
{
  MorrowPromise *promise;
  MorrowFuture *future = new_pending (&promise);

  morrow_future_unref (morrow_future_then (future, say_int, (gpointer) "it", NULL));
  morrow_future_unref (future);
  morrow_promise_resolve_int (promise, 3);
  morrow_promise_unref (promise);
  let_run ();
  assert_said ("it got 3");
  return TRUE;
}

/* --- when its executor is gone ----------------------------------------------------------------- */

typedef struct
{
  MorrowPromise *promise;
  MorrowFuture  *future;
  MorrowFuture  *called;
} Leftover;

static gboolean
leave_callbacks (gpointer data, GValue *result, GError **error)
{
  Leftover *self = data;

  self->called = morrow_future_then (self->future, say_settled, (gpointer) "never", say_freed);
  morrow_promise_on_cancel (self->promise, say_freed, (gpointer) "never", NULL);
  morrow_future_unref (morrow_future_finally (self->called, say_settled, (gpointer) "never", NULL));
  return TRUE;
}

/* Takes the executor. */
static void
leave_callbacks_on (MorrowExecutor *executor)
{
  Leftover left;

  left.future = new_pending (&left.promise);
  ck_assert (morrow_run_on (executor, morrow_coroutine (leave_callbacks, &left, NULL), NULL, NULL));
  g_object_add_weak_pointer (G_OBJECT (executor), (gpointer *) &executor);
  g_object_unref (executor);
  ck_assert_ptr_nonnull (executor);

  morrow_check_expect_warning ("The error of callback*was never looked at: The callback's executor has been closed");
  ck_assert (morrow_promise_resolve (left.promise));
  assert_error (morrow_future_get_error (left.called), MORROW_ERROR, MORROW_ERROR_CLOSED);
  assert_said ("never freed");
  ck_assert_ptr_null (executor);
  morrow_future_unref (left.called);
  morrow_future_unref (left.future);
  morrow_promise_unref (left.promise);
}

START_TEST (callback_of_an_executor_that_is_gone_is_rejected_and_lets_it_go)
{
  leave_callbacks_on (morrow_loop_new (NULL));
  leave_callbacks_on (morrow_inline_new ());
}
END_TEST

static gboolean
attach_chain (gpointer data, GValue *result, GError **error)
{
  MorrowFuture **chain = data;

  for (guint i = 1; i <= LONG_CHAIN; i++)
    chain[i] = morrow_future_then (chain[i - 1], say_settled, (gpointer) "never", NULL);
  return TRUE;
}

/* Each settles the next, at once. */
START_TEST (long_chain_of_callbacks_of_an_executor_that_is_gone_is_rejected_on_little_stack)
{
  g_autofree MorrowFuture **chain = g_new (MorrowFuture *, LONG_CHAIN + 1);
  MorrowExecutor *loop = morrow_loop_new (NULL);
  MorrowPromise *promise = morrow_promise_new_with_future (&chain[0]);

  ck_assert (morrow_run_on (loop, morrow_coroutine (attach_chain, chain, NULL), NULL, NULL));
  g_object_unref (loop);
  ck_assert (morrow_promise_resolve (promise));
  for (guint i = 1; i <= LONG_CHAIN; i++)
    assert_error (morrow_future_get_error (chain[i]), MORROW_ERROR, MORROW_ERROR_CLOSED);
  for (guint i = 0; i <= LONG_CHAIN; i++)
    morrow_future_unref (chain[i]);
  morrow_promise_unref (promise);
}
END_TEST

static gboolean
attach_here (gpointer data, GValue *result, GError **error)
{
  Leftover *self = data;

  self->called = morrow_future_then (self->future, say_settled, (gpointer) "called", NULL);
  return TRUE;
}

static void
count_gone (gpointer data, GObject *was)
{
  atomic_fetch_add ((atomic_uint *) data, 1);
}

START_TEST (callback_that_holds_the_last_of_a_pool_runs_and_lets_it_go)
{
  atomic_uint n_gone = 0;
  MorrowExecutor *pools[] = { morrow_thread_pool_new (2), morrow_loop_pool_new (2) };

  for (guint i = 0; i < G_N_ELEMENTS (pools); i++)
    {
      Leftover left;

      left.future = new_pending (&left.promise);
      g_object_weak_ref (G_OBJECT (pools[i]), count_gone, &n_gone);
      ck_assert (morrow_run_on (pools[i], morrow_coroutine (attach_here, &left, NULL), NULL, NULL));
      g_object_unref (pools[i]);
      ck_assert (morrow_promise_resolve (left.promise));
      ck_assert (morrow_future_wait (left.called, NULL));
      assert_said ("called");
      morrow_future_unref (left.called);
      morrow_future_unref (left.future);
      morrow_promise_unref (left.promise);
    }

  while (atomic_load (&n_gone) < G_N_ELEMENTS (pools))
    g_thread_yield ();                      /* another thread waits for the workers */
}
END_TEST

static gboolean
leave_callback_on_a_sleep (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *sleep = morrow_sleep (3600);

  *(MorrowFuture **) data = morrow_future_then (sleep, say_settled, (gpointer) "never", say_freed);
  morrow_future_unref (sleep);
  return TRUE;
}

START_TEST (callback_on_a_sleep_goes_with_the_loop)
{
  MorrowFuture *called = NULL;

  run_scene (leave_callback_on_a_sleep, &called);
  assert_error (morrow_future_get_error (called), MORROW_ERROR, MORROW_ERROR_CLOSED);
  assert_said ("never freed");
  morrow_future_unref (called);
}
END_TEST

START_TEST (callback_that_comes_between_two_runs_runs_in_the_second)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);
  Leftover left;

  left.future = new_pending (&left.promise);
  ck_assert (morrow_run_on (loop, morrow_coroutine (attach_here, &left, NULL), NULL, NULL));
  ck_assert (morrow_promise_resolve (left.promise));
  ck_assert (!morrow_future_is_settled (left.called));
  ck_assert (morrow_run_on (loop, left.called, NULL, NULL));
  assert_said ("called");
  morrow_future_unref (left.future);
  morrow_promise_unref (left.promise);
}
END_TEST

/* --- what goes on ------------------------------------------------------------------------------ */

SCENE (then_passes_on_what_the_callback_returns)
{
  g_autoptr (MorrowFuture) future = new_int (2);
  g_autoptr (MorrowFuture) one = morrow_future_then (future, say_int, (gpointer) "one", NULL);
  g_autoptr (MorrowFuture) two = morrow_future_then (one, say_int, (gpointer) "two", NULL);

  await_ok (two);
  ck_assert_int_eq (morrow_future_get_int (two), 200);
  assert_said ("one got 2; two got 20");
  return TRUE;
}

SCENE (then_is_passed_over_by_an_error)
{
  MorrowPromise *promise;
  MorrowFuture *future = new_pending (&promise);
  g_autoptr (MorrowFuture) one = morrow_future_then (future, say_int, (gpointer) "one", say_freed);
  g_autoptr (MorrowFuture) two = morrow_future_then (one, say_int, (gpointer) "two", say_freed);

  morrow_future_unref (future);
  morrow_promise_reject (promise, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "no luck"));
  morrow_promise_unref (promise);
  g_clear_pointer (&one, morrow_future_unref);
  await_failed (two, "no luck");
  assert_said ("one freed; two freed");
  return TRUE;
}

SCENE (catch_turns_an_error_into_a_value_and_passes_values_on)
{
  g_autoptr (MorrowFuture) failed = new_failed ("no luck");
  g_autoptr (MorrowFuture) resolved = new_int (5);
  g_autoptr (MorrowFuture) caught = morrow_future_catch (failed, say_error, (gpointer) "it", NULL);
  g_autoptr (MorrowFuture) passed = morrow_future_catch (resolved, say_error, (gpointer) "it", NULL);

  await_ok (caught);
  await_ok (passed);
  ck_assert_int_eq (morrow_future_get_int (caught), 77);
  ck_assert_int_eq (morrow_future_get_int (passed), 5);
  assert_said ("it got no luck");
  return TRUE;
}

SCENE (catch_counts_as_having_looked)
{
  MorrowFuture *failed = new_failed ("expected");
  g_autoptr (MorrowFuture) caught = morrow_future_catch (failed, say_settled, (gpointer) "caught", NULL);

  morrow_future_unref (failed);
  await_ok (caught);
  assert_said ("caught");
  return TRUE;
}

SCENE (catch_of_a_cancel_gets_it)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) caught = morrow_future_catch (future, say_error, (gpointer) "it", NULL);

  morrow_future_cancel_with_message (future, "stop");
  await_ok (caught);
  assert_said ("it got stop");
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (finally_passes_the_outcome_on)
{
  g_autoptr (MorrowFuture) failed = new_failed ("no luck");
  g_autoptr (MorrowFuture) resolved = new_int (5);
  g_autoptr (MorrowFuture) after_failed = morrow_future_finally (failed, say_settled, (gpointer) "one", NULL);
  g_autoptr (MorrowFuture) after_resolved = morrow_future_finally (resolved, say_int, (gpointer) "two", NULL);

  await_failed (after_failed, "no luck");
  await_ok (after_resolved);
  ck_assert_int_eq (morrow_future_get_int (after_resolved), 5);
  assert_said ("one; two got 5");
  return TRUE;
}

SCENE (finally_that_fails_fails)
{
  g_autoptr (MorrowFuture) resolved = new_int (5);
  g_autoptr (MorrowFuture) after = morrow_future_finally (resolved, fail_called, (gpointer) "worse", NULL);

  await_failed (after, "worse");
  return TRUE;
}

SCENE (finally_that_fails_after_a_failure_leaves_that_to_be_reported)
{
  MorrowFuture *after = morrow_finally (new_failed ("the source's"), fail_called, (gpointer) "worse", NULL);

  morrow_check_expect_warning ("The error of future was never looked at: the source's");
  await_failed (after, "worse");
  ck_assert_uint_eq (morrow_check_n_expected (), 0);
  morrow_future_unref (after);
  return TRUE;
}

SCENE (callback_that_fails_rejects_and_reports_when_nobody_looks)
{
  g_autoptr (MorrowFuture) future = new_int (1);
  MorrowFuture *called = morrow_future_then (future, fail_called, (gpointer) "no luck", NULL);

  morrow_check_expect_warning ("The error of callback was never looked at: no luck");
  morrow_future_unref (called);
  let_run ();
  ck_assert_uint_eq (morrow_check_n_expected (), 0);
  return TRUE;
}

static gboolean
return_true_with_an_error (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, "both");
  return TRUE;
}

static gboolean
return_false_without_an_error (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return FALSE;
}

SCENE (callback_that_contradicts_itself_is_a_critical_and_fails)
{
  g_autoptr (MorrowFuture) future = new_int (1);
  g_autoptr (MorrowFuture) both = morrow_future_then (future, return_true_with_an_error, NULL, NULL);
  g_autoptr (MorrowFuture) neither = morrow_future_then (future, return_false_without_an_error, NULL, NULL);

  morrow_check_expect_critical ("A callback made at * returned TRUE with an error");
  morrow_check_expect_critical ("A callback made at * returned FALSE without an error");
  await_failed (both, "both");
  await_failed (neither, "A callback failed without saying why");
  return TRUE;
}

static gboolean
return_two (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  (void) morrow_return_int (result, 5);
  return 2;
}

SCENE (callback_that_returns_any_true_value_has_succeeded)
{
  g_autoptr (MorrowFuture) future = new_int (1);
  g_autoptr (MorrowFuture) called = morrow_future_then (future, return_two, NULL, NULL);

  await_ok (called);
  ck_assert_int_eq (morrow_future_get_int (called), 5);
  return TRUE;
}

static const MorrowSite *
name_it (MorrowFuture *future, const char *name)
{
  const MorrowSite *site = morrow__future_get_site (future);

  morrow_future_set_name (future, name);
  return site;
}

SCENE (callback_reports_where_what_it_waits_for_was_made_whatever_that_is_called_later)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  const MorrowSite *site = name_it (future, "first");
  g_autoptr (MorrowFuture) called = morrow_future_then (future, say_int, (gpointer) "it", NULL);
  g_autoptr (MorrowFuture) shield = morrow_shield (morrow_future_ref (future));

  ck_assert_ptr_eq (name_it (future, "second"), site);
  ck_assert_ptr_eq (morrow__future_get_site (called), site);
  ck_assert_ptr_eq (morrow__future_get_site (shield), site);
  morrow_promise_resolve_int (promise, 1);
  await_ok (called);
  forget_said ();
  morrow_promise_unref (promise);
  return TRUE;
}

/* --- data, and cancel -------------------------------------------------------------------------- */

SCENE (data_is_released_after_the_callback_or_instead_of_it)
{
  g_autoptr (MorrowFuture) future = new_int (1);
  g_autoptr (MorrowFuture) called = morrow_future_then (future, say_int, (gpointer) "a", say_freed);
  g_autoptr (MorrowFuture) passed_over = morrow_future_catch (future, say_error, (gpointer) "b", say_freed);

  await_ok (called);
  await_ok (passed_over);
  let_run ();
  assert_said ("a got 1; a freed; b freed");
  return TRUE;
}

SCENE (fut_05_cancelled_callback_does_not_run_and_leaves_the_others)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) a = morrow_future_finally (future, say_settled, (gpointer) "a", say_freed);
  g_autoptr (MorrowFuture) b = morrow_future_finally (future, say_settled, (gpointer) "b", say_freed);

  ck_assert (morrow_future_cancel (a));
  ck_assert (morrow_future_is_cancelled (a));
  assert_said ("");
  let_run ();
  assert_said ("a freed");
  ck_assert (!morrow_future_is_settled (future));
  morrow_promise_resolve (promise);
  await_ok (b);
  let_run ();
  assert_said ("b; b freed");
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (fut_05_callback_cancelled_while_it_is_queued_does_not_run)
{
  g_autoptr (MorrowFuture) future = new_int (1);
  g_autoptr (MorrowFuture) a = morrow_future_finally (future, say_settled, (gpointer) "a", say_freed);

  ck_assert (morrow_future_cancel (a));
  let_run ();
  assert_said ("a freed");
  return TRUE;
}

static gboolean
cancel_other (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  say ("first");
  morrow_future_cancel (*(MorrowFuture **) data);
  return TRUE;
}

SCENE (fut_05_callback_may_cancel_the_next)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  MorrowFuture *next = NULL;
  g_autoptr (MorrowFuture) first = morrow_future_finally (future, cancel_other, &next, NULL);

  next = morrow_future_finally (future, say_settled, (gpointer) "next", say_freed);
  morrow_promise_resolve (promise);
  await_ok (first);
  let_run ();
  assert_said ("first; next freed");
  morrow_future_unref (next);
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (cancel_of_the_only_callback_cancels_what_it_waits_for)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) one = morrow_future_then (future, say_int, (gpointer) "one", NULL);
  g_autoptr (MorrowFuture) two = morrow_future_then (one, say_int, (gpointer) "two", NULL);

  ck_assert (morrow_future_cancel_with_message (two, "nobody cares"));
  ck_assert (morrow_future_is_cancelled (one));
  ck_assert (morrow_future_is_cancelled (future));
  ck_assert_str_eq (morrow_future_get_error (future)->message, "nobody cares");
  let_run ();
  assert_said ("");
  morrow_promise_unref (promise);
  return TRUE;
}

/* Looks on as a callback's future settles. */
typedef struct
{
  MorrowObserver observer;
  GMainContext  *context;   /* the callback's */
  MorrowPromise *promise;   /* made then */
  MorrowFuture  *future;    /* its future */
} Onlooker;

static void
run_the_job (MorrowObserver *observer, MorrowFuture *settled)
{
  Onlooker *self = (Onlooker *) observer;

  turn_until_idle (self->context);
  self->future = new_pending (&self->promise);   /* in the memory of what the callback waited for, were that free */
}

/* As on another thread, where the job finds the future settled as soon as it is. */
START_TEST (callback_that_is_let_go_while_it_is_cancelled_keeps_what_it_waited_for_until_then)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Onlooker onlooker = { .observer = MORROW_OBSERVER (run_the_job), .context = context };
  MorrowPromise *promise;
  MorrowFuture *future = new_pending (&promise);
  g_autoptr (MorrowFuture) called = NULL;

  g_main_context_push_thread_default (context);
  called = morrow_future_then (future, say_int, (gpointer) "it", say_freed);
  g_main_context_pop_thread_default (context);
  morrow__future_subscribe_observer (called, &onlooker.observer);
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  morrow_future_unref (future);

  ck_assert (morrow_future_cancel (called));
  assert_said ("it freed");
  morrow_promise_resolve (onlooker.promise);
  morrow_promise_unref (onlooker.promise);
  morrow_future_unref (onlooker.future);
}
END_TEST

static gboolean
say_data (gpointer data, GValue *result, GError **error)
{
  say ("%s", (const char *) data);
  return TRUE;
}

SCENE (callback_on_a_coroutine_starts_it_as_a_task)
{
  g_autoptr (MorrowFuture) coroutine = morrow_coroutine (say_data, (gpointer) "ran", NULL);
  g_autoptr (MorrowFuture) called = morrow_future_then (coroutine, say_settled, (gpointer) "called", NULL);

  assert_said ("");
  await_ok (called);
  assert_said ("ran; called");
  return TRUE;
}

/* --- taking what they wait for ------------------------------------------------------------------- */

typedef MorrowFuture *(*Taking) (MorrowFuture *future, MorrowContinueFunc func, gpointer data, GDestroyNotify data_free);

static const Taking taking[] = { morrow_then, morrow_catch, morrow_finally };

SCENE (callbacks_are_chained)
{
  MorrowFuture *future;
  MorrowPromise *promise = morrow_promise_new_with_future (&future);
  g_autoptr (MorrowFuture) last = NULL;

  last = morrow_finally (morrow_catch (morrow_then (future, say_int, (gpointer) "one", say_freed),
                                       say_error, (gpointer) "two", say_freed), say_int, (gpointer) "three", say_freed);
  morrow_promise_resolve_int (promise, 4);
  morrow_promise_unref (promise);
  await_ok (last);
  ck_assert_int_eq (morrow_future_get_int (last), 40);
  assert_said ("one got 4; one freed; two freed; three got 40; three freed");
  return TRUE;
}

/* What is settled, and lives in nothing but its callback, with @n: in what state and what it was called before that was attached. */
static void
assert_held_until_called (Taking take, guint n)
{
  MorrowFuture *future, *called;
  MorrowPromise *promise = morrow_promise_new_with_future (&future);
  GObject *object = g_object_new (G_TYPE_OBJECT, NULL);

  g_object_add_weak_pointer (object, (gpointer *) &object);
  if (n & 1)
    morrow_future_set_name (future, "named");
  if (n & 2)
    morrow_promise_resolve_object (promise, object);
  called = take (future, say_settled, (gpointer) "called", NULL);
  if (!(n & 2))
    morrow_promise_resolve_object (promise, object);
  morrow_promise_unref (promise);
  g_object_unref (object);
  ck_assert_ptr_nonnull (object);
  await_ok (called);
  morrow_future_unref (called);
  ck_assert_ptr_null (object);
}

SCENE (callback_holds_what_it_has_taken_and_drops_it)
{
  for (guint i = 0; i < G_N_ELEMENTS (taking); i++)
    for (guint n = 0; n < 4; n++)
      {
        assert_held_until_called (taking[i], n);
        assert_said (taking[i] == morrow_catch ? "" : "called");
      }
  return TRUE;
}

static Suite *
then_suite (void)
{
  Suite *suite = suite_create ("then");
  TCase *when = morrow_check_add_case (suite, "when");
  TCase *what = morrow_check_add_case (suite, "what");
  TCase *cancel = morrow_check_add_case (suite, "cancel");

  tcase_add_test (when, fut_04_callbacks_run_later_in_the_order_they_were_attached);
  tcase_add_test (when, callbacks_keep_their_order_however_many_futures_pass_the_outcome_on);
  tcase_add_test (when, fut_04_callback_attached_after_it_settled_still_runs_later);
  tcase_add_test (when, callback_attached_to_one_that_has_settled_and_has_a_name_runs);
  tcase_add_test (when, fut_04_callback_runs_on_the_loop_where_it_was_attached);
  tcase_add_test (when, fut_04_callback_runs_on_its_loop_when_another_executors_task_settles);
  tcase_add_test (when, callback_of_a_plain_thread_runs_on_its_main_context);
  tcase_add_loop_test (when, callback_whose_context_goes_is_let_go, FALSE, TRUE + 1);
  tcase_add_test (when, callback_attached_in_a_callback_runs_after_it);
  tcase_add_test (when, callback_whose_future_is_dropped_still_runs);
  tcase_add_test (when, callback_on_a_coroutine_starts_it_as_a_task);
  tcase_add_test (when, callback_of_an_executor_that_is_gone_is_rejected_and_lets_it_go);
  tcase_add_test (when, long_chain_of_callbacks_of_an_executor_that_is_gone_is_rejected_on_little_stack);
  tcase_add_test (when, callback_that_holds_the_last_of_a_pool_runs_and_lets_it_go);
  tcase_add_test (when, callback_on_a_sleep_goes_with_the_loop);
  tcase_add_test (when, callback_that_comes_between_two_runs_runs_in_the_second);

  tcase_add_test (what, then_passes_on_what_the_callback_returns);
  tcase_add_test (what, then_is_passed_over_by_an_error);
  tcase_add_test (what, catch_turns_an_error_into_a_value_and_passes_values_on);
  tcase_add_test (what, catch_counts_as_having_looked);
  tcase_add_test (what, catch_of_a_cancel_gets_it);
  tcase_add_test (what, finally_passes_the_outcome_on);
  tcase_add_test (what, finally_that_fails_fails);
  tcase_add_test (what, finally_that_fails_after_a_failure_leaves_that_to_be_reported);
  tcase_add_test (what, callback_that_fails_rejects_and_reports_when_nobody_looks);
  tcase_add_test (what, callback_reports_where_what_it_waits_for_was_made_whatever_that_is_called_later);
  tcase_add_test (what, callback_that_contradicts_itself_is_a_critical_and_fails);
  tcase_add_test (what, callback_that_returns_any_true_value_has_succeeded);

  tcase_add_test (what, callbacks_are_chained);
  tcase_add_test (what, callback_holds_what_it_has_taken_and_drops_it);

  tcase_add_test (cancel, data_is_released_after_the_callback_or_instead_of_it);
  tcase_add_test (cancel, fut_05_cancelled_callback_does_not_run_and_leaves_the_others);
  tcase_add_test (cancel, fut_05_callback_cancelled_while_it_is_queued_does_not_run);
  tcase_add_test (cancel, fut_05_callback_may_cancel_the_next);
  tcase_add_test (cancel, callback_that_is_let_go_while_it_is_cancelled_keeps_what_it_waited_for_until_then);
  tcase_add_test (cancel, cancel_of_the_only_callback_cancels_what_it_waits_for);

  return suite;
}

MORROW_CHECK_MAIN (then_suite)
