/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The write end: every type of value, dropped unsettled, told of a cancel.
 */
#include "config.h"

#include "core/promise-private.h"
#include "exec/scene.h"

static const MorrowSite there = { .location = "there.c:9" };

/* --- life -------------------------------------------------------------------------------------- */

START_TEST (promise_and_future_live_as_long_as_either_is_held)
{
  MorrowPromise *promise = morrow_promise_new ();
  MorrowFuture *future = morrow_promise_get_future (promise);

  ck_assert_ptr_eq (morrow_promise_ref (promise), promise);
  morrow_promise_unref (promise);
  ck_assert (!morrow_future_is_settled (future));
  ck_assert (morrow_promise_resolve_int (promise, 3));
  morrow_promise_unref (promise);
  ck_assert_int_eq (morrow_future_get_int (future), 3);
  morrow_future_unref (future);
}
END_TEST

/* Some of a thousand are made of memory that is at hand. */
START_TEST (promise_gives_both_of_its_ends_at_once)
{
  for (guint i = 0; i < 1000; i++)
    {
      MorrowFuture *future, *same;
      MorrowPromise *promise = i % 2 == 0 ? morrow_promise_new_with_future (&future) : (morrow_promise_new_with_future) (&future);

      same = morrow_promise_get_future (promise);
      ck_assert_ptr_eq (same, future);
      morrow_future_unref (same);
      morrow_promise_unref (promise);
      assert_error (morrow_future_get_error (future), MORROW_ERROR, MORROW_ERROR_BROKEN_PROMISE);
      morrow_future_unref (future);
    }
}
END_TEST

START_TEST (promise_with_its_future_knows_where_it_was_made)
{
  MorrowFuture *future;
  MorrowPromise *promise = morrow_promise_new_with_future_at (&future, &there);

  morrow_future_unref (future);
  morrow_check_expect_warning ("The error of promise, made at there.c:9, was never looked at: The promise was dropped*");
  morrow_promise_unref (promise);
}
END_TEST

START_TEST (promise_made_by_the_macro_knows_its_line)
{
  MorrowFuture *future;
  MorrowPromise *promises[] = { morrow_promise_new (), morrow_promise_new_with_future (&future) };

  morrow_future_unref (future);
  for (guint i = 0; i < G_N_ELEMENTS (promises); i++)
    {
      morrow_check_expect_warning ("The error of promise, made at *test-promise.c:*, was never looked at: The promise was dropped*");
      morrow_promise_unref (promises[i]);
    }
}
END_TEST

START_TEST (promise_dropped_unsettled_rejects_its_future)
{
  MorrowPromise *promise = morrow_promise_ref (morrow_promise_new ());
  g_autoptr (MorrowFuture) future = morrow_promise_get_future (promise);

  morrow_promise_unref (promise);
  ck_assert (!morrow_future_is_settled (future));
  morrow_promise_unref (promise);
  assert_error (morrow_future_get_error (future), MORROW_ERROR, MORROW_ERROR_BROKEN_PROMISE);
}
END_TEST

START_TEST (promise_dropped_unsettled_reports_itself_when_nobody_looks)
{
  MorrowPromise *promise = morrow_promise_new_at (&there);

  morrow_check_expect_warning ("The error of promise, made at there.c:9, was never looked at: The promise was dropped*");
  morrow_promise_unref (promise);
}
END_TEST

SCENE (promise_dropped_unsettled_fails_its_waiter)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_it, future, NULL));
  g_autoptr (GError) failure = NULL;

  let_run ();
  morrow_promise_unref (promise);
  failure = await_error (task);
  assert_error (failure, MORROW_ERROR, MORROW_ERROR_BROKEN_PROMISE);
  return TRUE;
}

START_TEST (promise_named_keeps_its_count_and_its_line)
{
  MorrowPromise *promise = morrow_promise_new_at (&there);
  MorrowFuture *future = morrow_promise_get_future (promise);

  morrow_future_set_name (future, "reply");
  morrow_promise_ref (promise);
  morrow_future_set_name (future, "the reply");
  morrow_promise_unref (promise);
  ck_assert (!morrow_future_is_settled (future));
  morrow_promise_unref (promise);
  ck_assert (morrow_future_is_settled (future));
  morrow_check_expect_warning ("The error of the reply, made at there.c:9, was never looked at: *");
  morrow_future_unref (future);
}
END_TEST

START_TEST (promise_is_boxed)
{
  MorrowPromise *promise = morrow_promise_new ();
  MorrowPromise *copy = g_boxed_copy (MORROW_TYPE_PROMISE, promise);

  ck_assert_ptr_eq (copy, promise);
  ck_assert (morrow_promise_resolve (promise));
  morrow_promise_unref (promise);
  g_boxed_free (MORROW_TYPE_PROMISE, copy);
}
END_TEST

/* --- values ------------------------------------------------------------------------------------ */

START_TEST (promise_resolves_with_plain_values)
{
  MorrowPromise *promise[6];
  MorrowFuture *future[6];

  for (guint i = 0; i < 6; i++)
    future[i] = new_pending (&promise[i]);
  ck_assert (morrow_promise_resolve_boolean (promise[0], TRUE));
  ck_assert (morrow_promise_resolve_int (promise[1], -5));
  ck_assert (morrow_promise_resolve_int64 (promise[2], G_MININT64));
  ck_assert (morrow_promise_resolve_uint64 (promise[3], G_MAXUINT64));
  ck_assert (morrow_promise_resolve_double (promise[4], 0.25));
  ck_assert (morrow_promise_resolve_pointer (promise[5], promise));

  ck_assert (morrow_future_get_boolean (future[0]));
  ck_assert_int_eq (morrow_future_get_int (future[1]), -5);
  ck_assert_int_eq (morrow_future_get_int64 (future[2]), G_MININT64);
  ck_assert_uint_eq (morrow_future_get_uint64 (future[3]), G_MAXUINT64);
  ck_assert_double_eq (morrow_future_get_double (future[4]), 0.25);
  ck_assert_ptr_eq (morrow_future_get_pointer (future[5]), promise);
  for (guint i = 0; i < 6; i++)
    {
      morrow_promise_unref (promise[i]);
      morrow_future_unref (future[i]);
    }
}
END_TEST

START_TEST (promise_copies_strings_boxed_values_and_values)
{
  MorrowPromise *promise[3];
  MorrowFuture *future[3];
  char word[] = "word";
  const char *words[] = { word, NULL };
  g_auto (GValue) value = G_VALUE_INIT;

  for (guint i = 0; i < 3; i++)
    future[i] = new_pending (&promise[i]);
  g_value_init (&value, G_TYPE_STRING);
  g_value_set_string (&value, word);
  ck_assert (morrow_promise_resolve_string (promise[0], word));
  ck_assert (morrow_promise_resolve_boxed (promise[1], G_TYPE_STRV, words));
  ck_assert (morrow_promise_resolve_value (promise[2], &value));
  word[0] = 'l';
  g_value_set_static_string (&value, "other");

  ck_assert_str_eq (morrow_future_get_string (future[0]), "word");
  ck_assert_str_eq (((char **) morrow_future_get_boxed (future[1]))[0], "word");
  ck_assert_str_eq (morrow_future_get_string (future[2]), "word");
  for (guint i = 0; i < 3; i++)
    {
      morrow_promise_unref (promise[i]);
      morrow_future_unref (future[i]);
    }
}
END_TEST

START_TEST (promise_of_an_object_holds_it_as_long_as_the_future_lives)
{
  MorrowPromise *promise;
  MorrowFuture *future = new_pending (&promise);
  GCancellable *object = g_cancellable_new ();

  g_object_add_weak_pointer (G_OBJECT (object), (gpointer *) &object);
  ck_assert (morrow_promise_resolve_object (promise, object));
  ck_assert (!morrow_promise_resolve_object (promise, object));
  g_object_unref (object);
  ck_assert_ptr_nonnull (object);
  ck_assert_ptr_eq (morrow_future_get_object (future), object);
  morrow_promise_unref (promise);
  morrow_future_unref (future);
  ck_assert_ptr_null (object);
}
END_TEST

START_TEST (promise_resolves_with_nothing)
{
  MorrowPromise *promise[3];
  MorrowFuture *future[3];

  for (guint i = 0; i < 3; i++)
    future[i] = new_pending (&promise[i]);
  ck_assert (morrow_promise_resolve (promise[0]));
  ck_assert (morrow_promise_resolve_value (promise[1], NULL));
  ck_assert (morrow_promise_resolve_object (promise[2], NULL));
  for (guint i = 0; i < 3; i++)
    {
      ck_assert_int_eq (morrow_future_get_status (future[i]), MORROW_FUTURE_RESOLVED);
      morrow_promise_unref (promise[i]);
      morrow_future_unref (future[i]);
    }
}
END_TEST

/* --- settled and dropped ----------------------------------------------------------------------- */

enum
{
  NOTHING, BOOLEAN, INT, INT64, UINT64, DOUBLE, POINTER, STRING, BOXED, OBJECT, VALUE, ERROR, N_VERBS
};

static gboolean
settle_and_drop (int verb, MorrowPromise *promise)
{
  const char *words[] = { "word", NULL };
  g_auto (GValue) value = G_VALUE_INIT;
  GCancellable *object;
  gboolean settled;

  switch (verb)
    {
    case NOTHING: return morrow_resolve (promise);
    case BOOLEAN: return morrow_resolve_boolean (promise, TRUE);
    case INT:     return morrow_resolve_int (promise, -5);
    case INT64:   return morrow_resolve_int64 (promise, G_MININT64);
    case UINT64:  return morrow_resolve_uint64 (promise, G_MAXUINT64);
    case DOUBLE:  return morrow_resolve_double (promise, 0.25);
    case POINTER: return morrow_resolve_pointer (promise, (gpointer) &there);
    case STRING:  return morrow_resolve_string (promise, "word");
    case BOXED:   return morrow_resolve_boxed (promise, G_TYPE_STRV, words);
    case OBJECT:
      object = g_cancellable_new ();
      settled = morrow_resolve_object (promise, object);
      g_object_unref (object);
      return settled;
    case VALUE:
      g_value_init (&value, G_TYPE_CHAR);
      g_value_set_schar (&value, 'v');
      return morrow_resolve_value (promise, &value);
    default:
      return morrow_reject (promise, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "no luck"));
    }
}

static void
assert_settled (int verb, MorrowFuture *future)
{
  switch (verb)
    {
    case NOTHING: ck_assert (!G_IS_VALUE (morrow_future_get_value (future, NULL))); break;
    case BOOLEAN: ck_assert (morrow_future_get_boolean (future)); break;
    case INT:     ck_assert_int_eq (morrow_future_get_int (future), -5); break;
    case INT64:   ck_assert_int_eq (morrow_future_get_int64 (future), G_MININT64); break;
    case UINT64:  ck_assert_uint_eq (morrow_future_get_uint64 (future), G_MAXUINT64); break;
    case DOUBLE:  ck_assert_double_eq (morrow_future_get_double (future), 0.25); break;
    case POINTER: ck_assert_ptr_eq (morrow_future_get_pointer (future), &there); break;
    case STRING:  ck_assert_str_eq (morrow_future_get_string (future), "word"); break;
    case BOXED:   ck_assert_str_eq (((char **) morrow_future_get_boxed (future))[0], "word"); break;
    case OBJECT:  ck_assert (G_IS_CANCELLABLE (morrow_future_get_object (future))); break;
    case VALUE:   ck_assert_int_eq (g_value_get_schar (morrow_future_get_value (future, NULL)), 'v'); break;
    default:      ck_assert_str_eq (morrow_future_get_error (future)->message, "no luck"); break;
    }
}

static guint
count_references (MorrowFuture *future)
{
  return atomic_load (&future->ref_count);
}

/* _i: how. */
START_TEST (promise_is_settled_and_dropped_at_once)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);

  ck_assert (settle_and_drop (_i, promise));
  assert_settled (_i, future);
  ck_assert_uint_eq (count_references (future), 1);
}
END_TEST

START_TEST (promise_that_is_settled_and_dropped_leaves_the_others_of_its_end)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);

  ck_assert (settle_and_drop (_i, morrow_promise_ref (promise)));
  ck_assert_uint_eq (count_references (future), 2);
  ck_assert (!settle_and_drop (_i, promise));
  assert_settled (_i, future);
  ck_assert_uint_eq (count_references (future), 1);
}
END_TEST

START_TEST (promise_of_a_cancelled_future_is_dropped_all_the_same)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);

  morrow_future_cancel (future);
  ck_assert (!settle_and_drop (_i, promise));
  ck_assert (morrow_future_is_cancelled (future));
  ck_assert_uint_eq (count_references (future), 1);
}
END_TEST

START_TEST (promise_that_nobody_looks_at_is_settled_and_freed)
{
  MorrowPromise *promise;

  morrow_future_unref (new_pending (&promise));
  if (_i == ERROR)
    morrow_check_expect_warning ("The error of promise, made at *, was never looked at: no luck");
  ck_assert (settle_and_drop (_i, promise));
}
END_TEST

/* --- told of a cancel -------------------------------------------------------------------------- */

static void
say_stop (gpointer data)
{
  say ("%s stops", (const char *) data);
}

static void
say_freed (gpointer data)
{
  say ("%s freed", (const char *) data);
}

SCENE (on_cancel_runs_later_once_and_then_frees)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);

  morrow_promise_on_cancel (promise, say_stop, (gpointer) "it", say_freed);
  let_run ();
  ck_assert (morrow_future_cancel (future));
  assert_said ("");
  let_run ();
  assert_said ("it stops; it freed");
  ck_assert (!morrow_promise_resolve (promise));
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (on_cancel_does_not_run_when_it_settles_otherwise)
{
  MorrowPromise *one, *two, *three;
  g_autoptr (MorrowFuture) resolved = new_pending (&one);
  g_autoptr (MorrowFuture) rejected = new_pending (&two);
  g_autoptr (MorrowFuture) broken = new_pending (&three);

  morrow_promise_on_cancel (one, say_stop, (gpointer) "one", say_freed);
  morrow_promise_on_cancel (two, say_stop, (gpointer) "two", say_freed);
  morrow_promise_on_cancel (three, say_stop, (gpointer) "three", say_freed);
  morrow_promise_resolve (one);
  morrow_promise_reject (two, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "by the producer"));
  morrow_promise_unref (one);
  morrow_promise_unref (two);
  morrow_promise_unref (three);
  let_run ();
  assert_said ("one freed; two freed; three freed");
  ck_assert (!morrow_future_is_cancelled (resolved));
  ck_assert_ptr_nonnull (morrow_future_get_error (rejected));
  ck_assert_ptr_nonnull (morrow_future_get_error (broken));
  return TRUE;
}

SCENE (on_cancel_after_the_cancel_still_runs)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);

  morrow_future_cancel (future);
  morrow_promise_on_cancel (promise, say_stop, (gpointer) "it", NULL);
  assert_said ("");
  let_run ();
  assert_said ("it stops");
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (on_cancel_is_nobody_who_waits)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_it, future, NULL));

  morrow_promise_on_cancel (promise, say_stop, (gpointer) "it", say_freed);
  let_run ();
  ck_assert (morrow_future_cancel (task));
  ck_assert (morrow_future_is_cancelled (future));
  await_cancelled (task);
  let_run ();
  assert_said ("it stops; it freed");
  morrow_promise_unref (promise);
  return TRUE;
}

START_TEST (on_cancel_of_a_plain_thread_runs_on_its_main_context)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);

  morrow_promise_on_cancel (promise, say_stop, (gpointer) "it", say_freed);
  ck_assert (morrow_future_cancel (future));
  assert_said ("");
  while (g_main_context_iteration (NULL, FALSE))
    ;
  assert_said ("it stops; it freed");
  morrow_promise_unref (promise);
}
END_TEST

static void
settle_other (gpointer data)
{
  say ("told");
  morrow_promise_resolve (data);
}

SCENE (on_cancel_may_settle_other_promises)
{
  MorrowPromise *promise, *other;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) stopped = new_pending (&other);

  morrow_promise_on_cancel (promise, settle_other, other, (GDestroyNotify) morrow_promise_unref);
  morrow_future_cancel (future);
  await_ok (stopped);
  assert_said ("told");
  let_run ();
  morrow_promise_unref (promise);
  return TRUE;
}

static gboolean
return_four (gpointer data, GValue *result, GError **error)
{
  return morrow_return_boolean (result, 4);
}

/* As g_value_set_boolean () has it. */
SCENE (boolean_that_is_not_false_is_true)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_spawn (return_four, NULL, NULL);

  morrow_promise_resolve_boolean (promise, 4);
  morrow_promise_unref (promise);
  ck_assert (morrow_future_await (task, error));
  ck_assert_int_eq (morrow_future_get_boolean (future), TRUE);
  ck_assert_int_eq (morrow_future_get_boolean (task), TRUE);
  return TRUE;
}

static Suite *
promise_suite (void)
{
  Suite *suite = suite_create ("promise");
  TCase *life = morrow_check_add_case (suite, "life");
  TCase *value = morrow_check_add_case (suite, "value");
  TCase *drop = morrow_check_add_case (suite, "drop");
  TCase *cancel = morrow_check_add_case (suite, "cancel");

  tcase_add_test (life, promise_and_future_live_as_long_as_either_is_held);
  tcase_add_test (life, promise_gives_both_of_its_ends_at_once);
  tcase_add_test (life, promise_with_its_future_knows_where_it_was_made);
  tcase_add_test (life, promise_made_by_the_macro_knows_its_line);
  tcase_add_test (life, promise_dropped_unsettled_rejects_its_future);
  tcase_add_test (life, promise_dropped_unsettled_reports_itself_when_nobody_looks);
  tcase_add_test (life, promise_dropped_unsettled_fails_its_waiter);
  tcase_add_test (life, promise_named_keeps_its_count_and_its_line);
  tcase_add_test (life, promise_is_boxed);

  tcase_add_test (value, promise_resolves_with_plain_values);
  tcase_add_test (value, boolean_that_is_not_false_is_true);
  tcase_add_test (value, promise_copies_strings_boxed_values_and_values);
  tcase_add_test (value, promise_of_an_object_holds_it_as_long_as_the_future_lives);
  tcase_add_test (value, promise_resolves_with_nothing);

  tcase_add_loop_test (drop, promise_is_settled_and_dropped_at_once, NOTHING, N_VERBS);
  tcase_add_loop_test (drop, promise_that_is_settled_and_dropped_leaves_the_others_of_its_end, NOTHING, N_VERBS);
  tcase_add_loop_test (drop, promise_of_a_cancelled_future_is_dropped_all_the_same, NOTHING, N_VERBS);
  tcase_add_loop_test (drop, promise_that_nobody_looks_at_is_settled_and_freed, NOTHING, N_VERBS);

  tcase_add_test (cancel, on_cancel_runs_later_once_and_then_frees);
  tcase_add_test (cancel, on_cancel_does_not_run_when_it_settles_otherwise);
  tcase_add_test (cancel, on_cancel_after_the_cancel_still_runs);
  tcase_add_test (cancel, on_cancel_is_nobody_who_waits);
  tcase_add_test (cancel, on_cancel_of_a_plain_thread_runs_on_its_main_context);
  tcase_add_test (cancel, on_cancel_may_settle_other_promises);

  return suite;
}

MORROW_CHECK_MAIN (promise_suite)
