/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values on their way: returned by a coroutine, awaited with their type, read out of results.
 */
#include "config.h"

#include "exec/scene.h"

/* --- every type, there and back ---------------------------------------------------------------- */

static gboolean
give_boolean (gpointer data, GValue *result, GError **error)
{
  return morrow_return_boolean (result, TRUE);
}

static gboolean
give_int64 (gpointer data, GValue *result, GError **error)
{
  return morrow_return_int64 (result, G_MININT64);
}

static gboolean
give_uint64 (gpointer data, GValue *result, GError **error)
{
  return morrow_return_uint64 (result, G_MAXUINT64);
}

static gboolean
give_double (gpointer data, GValue *result, GError **error)
{
  return morrow_return_double (result, 0.5);
}

static gboolean
give_string (gpointer data, GValue *result, GError **error)
{
  return morrow_return_string (result, data);
}

static gboolean
give_own_string (gpointer data, GValue *result, GError **error)
{
  return morrow_return_take_string (result, g_strdup (data));
}

static gboolean
give_pointer (gpointer data, GValue *result, GError **error)
{
  return morrow_return_pointer (result, data);
}

static gboolean
give_boxed (gpointer data, GValue *result, GError **error)
{
  return morrow_return_boxed (result, G_TYPE_STRV, data);
}

static gboolean
give_own_boxed (gpointer data, GValue *result, GError **error)
{
  return morrow_return_take_boxed (result, G_TYPE_STRV, g_strdupv (data));
}

static gboolean
give_object (gpointer data, GValue *result, GError **error)
{
  return morrow_return_object (result, data);
}

static gboolean
give_own_object (gpointer data, GValue *result, GError **error)
{
  return morrow_return_take_object (result, g_object_ref (data));
}

static gboolean
give_value (gpointer data, GValue *result, GError **error)
{
  return morrow_return_value (result, data);
}

static gboolean
give_nothing (gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

static MorrowFuture *
task (MorrowCoroutineFunc func, gpointer data)
{
  return morrow_create_task (morrow_coroutine (func, data, NULL));
}

SCENE (plain_values_come_through_an_await)
{
  GError *failure = NULL;

  ck_assert (morrow_await_boolean (task (give_boolean, NULL), &failure));
  ck_assert_int_eq (morrow_await_int (task (return_int, GINT_TO_POINTER (-4)), &failure), -4);
  ck_assert_int_eq (morrow_await_int64 (task (give_int64, NULL), &failure), G_MININT64);
  ck_assert_uint_eq (morrow_await_uint64 (task (give_uint64, NULL), &failure), G_MAXUINT64);
  ck_assert_double_eq (morrow_await_double (task (give_double, NULL), &failure), 0.5);
  ck_assert_ptr_eq (morrow_await_pointer (task (give_pointer, &failure), &failure), &failure);
  assert_no_error (failure);
  return TRUE;
}

SCENE (strings_boxed_values_and_objects_that_are_awaited_are_the_callers)
{
  g_auto (GStrv) words = g_strsplit ("one two", " ", -1);
  g_autoptr (GCancellable) object = g_cancellable_new ();
  g_autofree char *string = morrow_await_string (task (give_string, (gpointer) "text"), NULL);
  g_autofree char *own_string = morrow_await_string (task (give_own_string, (gpointer) "text"), NULL);
  g_auto (GStrv) boxed = morrow_await_boxed (task (give_boxed, words), NULL);
  g_auto (GStrv) own_boxed = morrow_await_boxed (task (give_own_boxed, words), NULL);
  g_autoptr (GCancellable) same = morrow_await_object (task (give_object, object), NULL);
  g_autoptr (GCancellable) own_same = morrow_await_object (task (give_own_object, object), NULL);

  ck_assert_str_eq (string, "text");
  ck_assert_str_eq (own_string, "text");
  ck_assert (g_strv_equal ((const char *const *) boxed, (const char *const *) words));
  ck_assert (g_strv_equal ((const char *const *) own_boxed, (const char *const *) words));
  ck_assert_ptr_eq (same, object);
  ck_assert_ptr_eq (own_same, object);
  return TRUE;
}

SCENE (value_of_any_type_comes_through_an_await)
{
  g_auto (GValue) given = G_VALUE_INIT, got = G_VALUE_INIT, none = G_VALUE_INIT;

  g_value_init (&given, G_TYPE_VARIANT);
  g_value_set_variant (&given, g_variant_new_int32 (7));
  ck_assert (morrow_await_value (task (give_value, &given), &got, NULL));
  ck_assert_int_eq (g_variant_get_int32 (g_value_get_variant (&got)), 7);
  ck_assert (morrow_await_value (task (give_nothing, NULL), &none, NULL));
  ck_assert (!G_IS_VALUE (&none));
  return TRUE;
}

SCENE (nothing_is_null_where_there_is_such_a_thing)
{
  g_autoptr (GError) none = NULL;

  ck_assert_ptr_null (morrow_await_string (task (give_nothing, NULL), &none));
  ck_assert_ptr_null (morrow_await_boxed (task (give_nothing, NULL), &none));
  ck_assert_ptr_null (morrow_await_object (task (give_nothing, NULL), &none));
  ck_assert_ptr_null (morrow_await_object (task (give_object, NULL), &none));
  ck_assert_ptr_null (morrow_await_pointer (task (give_nothing, NULL), &none));
  assert_no_error (none);
  return TRUE;
}

static void
assert_wrong_type (GError *error, const char *pattern)
{
  assert_error (error, MORROW_ERROR, MORROW_ERROR_WRONG_TYPE);
  ck_assert_msg (g_pattern_match_simple (pattern, error->message), "%s", error->message);
  g_error_free (error);
}

static MorrowFuture *
settled_without_a_value (void)
{
  MorrowFuture *future = task (give_nothing, NULL);

  ck_assert (morrow_future_await (future, NULL));
  return future;
}

SCENE (number_of_what_resolves_without_a_value_is_an_error)
{
  GError *errors[6] = { NULL };

  ck_assert (!morrow_await_boolean (task (give_nothing, NULL), &errors[0]));
  ck_assert_int_eq (morrow_await_int (task (give_nothing, NULL), &errors[1]), 0);
  ck_assert_int_eq (morrow_await_int (settled_without_a_value (), &errors[2]), 0);
  ck_assert_int_eq (morrow_await_int64 (settled_without_a_value (), &errors[3]), 0);
  ck_assert_uint_eq (morrow_await_uint64 (settled_without_a_value (), &errors[4]), 0);
  ck_assert (morrow_await_double (settled_without_a_value (), &errors[5]) == 0);
  assert_wrong_type (errors[0], "Task-*, made at *test-await.c:*, has no value, and no gboolean");
  for (guint i = 1; i < G_N_ELEMENTS (errors); i++)
    assert_wrong_type (errors[i], "Task-*, made at *test-await.c:*, has no value, and no g*");
  return TRUE;
}

SCENE (value_of_another_type_is_an_error)
{
  GError *errors[4] = { NULL };

  ck_assert_int_eq (morrow_await_int64 (new_int (7), &errors[0]), 0);
  ck_assert_ptr_null (morrow_await_string (new_int (7), &errors[1]));
  ck_assert_ptr_null (morrow_await_object (task (give_string, (gpointer) "text"), &errors[2]));
  ck_assert_ptr_null (morrow_await_pointer (new_int (7), &errors[3]));
  assert_wrong_type (errors[0], "*, made at *, has a gint, and no gint64");
  assert_wrong_type (errors[1], "*, made at *, has a gint, and no gchararray");
  assert_wrong_type (errors[2], "Task-*, made at *test-await.c:*, has a gchararray, and no GObject");
  assert_wrong_type (errors[3], "*, made at *, has a gint, and no gpointer");
  return TRUE;
}

SCENE (failed_typed_await_gives_zero_and_the_error)
{
  g_autoptr (GError) int_error = NULL, string_error = NULL, value_error = NULL;
  GValue value = G_VALUE_INIT;

  ck_assert_int_eq (morrow_await_int (task (fail_with, (gpointer) "one"), &int_error), 0);
  ck_assert_str_eq (int_error->message, "one");
  ck_assert_ptr_null (morrow_await_string (task (fail_with, (gpointer) "two"), &string_error));
  ck_assert_str_eq (string_error->message, "two");
  ck_assert (!morrow_await_value (task (fail_with, (gpointer) "three"), &value, &value_error));
  ck_assert_str_eq (value_error->message, "three");
  ck_assert (!G_IS_VALUE (&value));
  return TRUE;
}

SCENE (error_of_an_await_may_be_ignored)
{
  ck_assert (!morrow_await (new_failed ("ignored"), NULL));
  return TRUE;
}

static gboolean
return_twice (gpointer data, GValue *result, GError **error)
{
  return morrow_return_int (result, 1) && morrow_return_int (result, 2);
}

static gboolean
resolve_and_drop (gpointer data, GValue *result, GError **error)
{
  morrow_promise_resolve_int (data, 5);
  morrow_promise_unref (data);
  return TRUE;
}

/* What is made after it would be in its place, had it gone. */
SCENE (future_that_was_pending_and_is_taken_stays_for_who_else_holds_it)
{
  MorrowFuture *future, *next;
  MorrowPromise *promise = morrow_promise_new_with_future (&future), *next_promise;
  g_autoptr (MorrowFuture) task = morrow_spawn (resolve_and_drop, promise, NULL);

  ck_assert (morrow_await (morrow_future_ref (future), NULL));
  next_promise = morrow_promise_new_with_future (&next);
  ck_assert_ptr_ne (next, future);
  ck_assert_int_eq (morrow_future_get_int (future), 5);
  morrow_promise_resolve (next_promise);
  morrow_promise_unref (next_promise);
  morrow_future_unref (next);
  morrow_future_unref (future);
  return TRUE;
}

SCENE (returning_twice_is_a_critical_and_keeps_the_first)
{
  morrow_check_expect_critical ("*assertion 'result != NULL && G_VALUE_TYPE (result) == 0' failed");
  ck_assert_int_eq (morrow_await_int (task (return_twice, NULL), NULL), 1);
  return TRUE;
}

/* --- results ----------------------------------------------------------------------------------- */

SCENE (results_give_every_type)
{
  const char *words[] = { "word", NULL };
  g_autoptr (GCancellable) object = g_cancellable_new ();
  g_autoptr (MorrowFuture) gather = morrow_gather (task (give_boolean, NULL), task (return_int, GINT_TO_POINTER (3)),
                                                   task (give_int64, NULL), task (give_uint64, NULL), task (give_double, NULL),
                                                   task (give_string, (gpointer) "text"), task (give_pointer, object),
                                                   task (give_boxed, words), task (give_object, object),
                                                   task (give_nothing, NULL), NULL);
  g_autoptr (MorrowResults) results = NULL;

  await_ok (gather);
  results = morrow_results_ref (morrow_future_get_boxed (gather));
  g_clear_pointer (&gather, morrow_future_unref);

  ck_assert_uint_eq (morrow_results_get_n (results), 10);
  ck_assert (morrow_results_get_boolean (results, 0));
  ck_assert_int_eq (morrow_results_get_int (results, 1), 3);
  ck_assert_int_eq (morrow_results_get_int64 (results, 2), G_MININT64);
  ck_assert_uint_eq (morrow_results_get_uint64 (results, 3), G_MAXUINT64);
  ck_assert_double_eq (morrow_results_get_double (results, 4), 0.5);
  ck_assert_str_eq (morrow_results_get_string (results, 5), "text");
  ck_assert_ptr_eq (morrow_results_get_pointer (results, 6), object);
  ck_assert_str_eq (((char **) morrow_results_get_boxed (results, 7))[0], "word");
  ck_assert_ptr_eq (morrow_results_get_object (results, 8), object);
  ck_assert (G_VALUE_HOLDS_INT (morrow_results_get_value (results, 1)));
  ck_assert (!G_IS_VALUE (morrow_results_get_value (results, 9)));
  ck_assert_int_eq (morrow_results_get_int (results, 9), 0);
  return TRUE;
}

SCENE (results_can_be_awaited_as_a_boxed_value)
{
  g_autoptr (MorrowResults) results = morrow_await_boxed (morrow_all (new_int (1), new_int (2), NULL), error);

  ck_assert_uint_eq (morrow_results_get_n (results), 2);
  ck_assert_int_eq (morrow_results_get_int (results, 1), 2);
  return TRUE;
}

SCENE (results_beyond_the_last_are_a_critical)
{
  g_autoptr (MorrowResults) results = morrow_await_boxed (morrow_all (new_int (1), NULL), error);

  morrow_check_expect_critical ("*assertion*failed");
  ck_assert_int_eq (morrow_results_get_int (results, 1), 0);
  morrow_check_expect_critical ("*assertion*failed");
  ck_assert_ptr_null (morrow_results_get_future (results, 1));
  return TRUE;
}

/* --- what one makes awaitable oneself ---------------------------------------------------------- */

#define EGG_TYPE_TIMER (egg_timer_get_type ())
G_DECLARE_FINAL_TYPE (EggTimer, egg_timer, EGG, TIMER, GObject)

struct _EggTimer
{
  GObject        parent_instance;

  MorrowPromise *promise;   /* owned */
};

static MorrowFuture *
egg_timer_get_future (MorrowAwaitable *awaitable)
{
  return morrow_promise_get_future (EGG_TIMER (awaitable)->promise);
}

static void
egg_timer_awaitable_init (MorrowAwaitableInterface *iface)
{
  iface->get_future = egg_timer_get_future;
}

G_DEFINE_TYPE_WITH_CODE (EggTimer, egg_timer, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (MORROW_TYPE_AWAITABLE, egg_timer_awaitable_init))

static void
egg_timer_finalize (GObject *object)
{
  morrow_promise_unref (EGG_TIMER (object)->promise);
  G_OBJECT_CLASS (egg_timer_parent_class)->finalize (object);
}

static void
egg_timer_class_init (EggTimerClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = egg_timer_finalize;
}

static void
egg_timer_init (EggTimer *self)
{
  self->promise = morrow_promise_new ();
}

static gboolean
await_object (gpointer data, GValue *result, GError **error)
{
  return morrow_await_awaitable (data, error) && morrow_return_boolean (result, TRUE);
}

SCENE (object_of_ones_own_can_be_awaited_and_awaited_again)
{
  g_autoptr (EggTimer) egg = g_object_new (EGG_TYPE_TIMER, NULL);
  g_autoptr (MorrowFuture) waiter = task (await_object, egg);

  let_run ();
  ck_assert (!morrow_future_is_settled (waiter));
  morrow_promise_resolve (egg->promise);
  await_ok (waiter);
  return morrow_await_awaitable (MORROW_AWAITABLE (egg), error);
}

SCENE (object_of_ones_own_can_be_gathered_and_cancelled)
{
  g_autoptr (EggTimer) egg = g_object_new (EGG_TYPE_TIMER, NULL);
  g_autoptr (MorrowFuture) gather = morrow_gather (morrow_awaitable_get_future (MORROW_AWAITABLE (egg)), NULL);

  ck_assert (morrow_future_cancel (gather));
  await_cancelled (gather);
  ck_assert (!morrow_promise_resolve (egg->promise));
  return TRUE;
}

/* --- without a call ---------------------------------------------------------------------------- */

/* The macros, as the functions are what their names give. */

static gboolean
await_inline (MorrowFuture *future, GError **error)
{
  return morrow_future_await (future, error);
}

static gint
get_int_inline (MorrowFuture *future)
{
  return morrow_future_get_int (future);
}

static gdouble
get_double_inline (MorrowFuture *future)
{
  return morrow_future_get_double (future);
}

static void
assert_awaits_each_state (gboolean (*await) (MorrowFuture *future, GError **error))
{
  g_autoptr (MorrowFuture) resolved = morrow_future_new_resolved (NULL);
  g_autoptr (MorrowFuture) rejected = morrow_future_new_rejected (g_error_new_literal (G_IO_ERROR, G_IO_ERROR_BUSY, "busy"));
  g_autoptr (MorrowFuture) cancelled = morrow_sleep (3600);
  g_autoptr (MorrowFuture) pending = morrow_coroutine (give_boolean, NULL, NULL);
  g_autoptr (GError) busy = NULL, cancel = NULL;

  ck_assert (await (resolved, NULL));
  ck_assert (!await (rejected, &busy));
  assert_error (busy, G_IO_ERROR, G_IO_ERROR_BUSY);
  ck_assert (morrow_future_cancel (cancelled));
  ck_assert (!await (cancelled, &cancel));
  assert_cancelled (cancel);
  ck_assert (await (pending, NULL));
  ck_assert (morrow_future_get_boolean (pending));
}

SCENE (await_without_a_call_does_what_the_function_does)
{
  assert_awaits_each_state (await_inline);
  assert_awaits_each_state (morrow_future_await);

  morrow_check_expect_critical ("*self != NULL*");
  ck_assert (!await_inline (NULL, NULL));
  return TRUE;
}

static MorrowFuture *
resolved_with_int (gint number)
{
  GValue value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_INT);
  g_value_set_int (&value, number);
  return morrow_future_new_resolved (&value);
}

START_TEST (number_is_got_without_a_call_as_the_function_gets_it)
{
  g_autoptr (MorrowFuture) number = resolved_with_int (-5);
  g_autoptr (MorrowFuture) nothing = morrow_future_new_resolved (NULL);
  g_autoptr (MorrowFuture) rejected = morrow_future_new_rejected (g_error_new_literal (G_IO_ERROR, G_IO_ERROR_BUSY, "busy"));

  ck_assert_int_eq (get_int_inline (number), -5);
  ck_assert_int_eq ((morrow_future_get_int) (number), -5);
  ck_assert_int_eq (get_int_inline (nothing), 0);
  ck_assert_int_eq (get_int_inline (rejected), 0);
  ck_assert_int_eq (morrow_future_get_error (rejected)->code, G_IO_ERROR_BUSY);

  morrow_check_expect_critical ("*G_VALUE_HOLDS*");
  ck_assert_double_eq (get_double_inline (number), 0);
}
END_TEST

/* The undefined behaviour sanitizer sees to it that nothing is looked for there. */
START_TEST (nothing_is_got_without_a_call_from_no_future)
{
  morrow_check_expect_critical ("*self != NULL*");
  ck_assert_int_eq (get_int_inline (NULL), 0);
}
END_TEST

static Suite *
await_suite (void)
{
  Suite *suite = suite_create ("await");
  TCase *value = morrow_check_add_case (suite, "value");
  TCase *results = morrow_check_add_case (suite, "results");
  TCase *awaitable = morrow_check_add_case (suite, "awaitable");
  TCase *inlined = morrow_check_add_case (suite, "inline");

  tcase_add_test (value, plain_values_come_through_an_await);
  tcase_add_test (value, strings_boxed_values_and_objects_that_are_awaited_are_the_callers);
  tcase_add_test (value, value_of_any_type_comes_through_an_await);
  tcase_add_test (value, nothing_is_null_where_there_is_such_a_thing);
  tcase_add_test (value, number_of_what_resolves_without_a_value_is_an_error);
  tcase_add_test (value, value_of_another_type_is_an_error);
  tcase_add_test (value, failed_typed_await_gives_zero_and_the_error);
  tcase_add_test (value, error_of_an_await_may_be_ignored);
  tcase_add_test (value, future_that_was_pending_and_is_taken_stays_for_who_else_holds_it);
  tcase_add_test (value, returning_twice_is_a_critical_and_keeps_the_first);

  tcase_add_test (results, results_give_every_type);
  tcase_add_test (results, results_can_be_awaited_as_a_boxed_value);
  tcase_add_test (results, results_beyond_the_last_are_a_critical);

  tcase_add_test (awaitable, object_of_ones_own_can_be_awaited_and_awaited_again);
  tcase_add_test (awaitable, object_of_ones_own_can_be_gathered_and_cancelled);

  tcase_add_test (inlined, await_without_a_call_does_what_the_function_does);
  tcase_add_test (inlined, number_is_got_without_a_call_as_the_function_gets_it);
  tcase_add_test (inlined, nothing_is_got_without_a_call_from_no_future);

  return suite;
}

MORROW_CHECK_MAIN (await_suite)
