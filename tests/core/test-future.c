/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A future settles once, tells what has become of it, and reports an error that nobody looked at.
 */
#include "config.h"

#include "base/rendezvous.h"
#include "core/future-private.h"
#include "exec/scene.h"

/* --- settling ---------------------------------------------------------------------------------- */

START_TEST (fut_01_future_settles_once)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);

  ck_assert_int_eq (morrow_future_get_status (future), MORROW_FUTURE_PENDING);
  ck_assert (!morrow_future_is_settled (future));
  ck_assert (morrow_promise_resolve_int (promise, 1));
  ck_assert_int_eq (morrow_future_get_status (future), MORROW_FUTURE_RESOLVED);
  ck_assert (morrow_future_is_settled (future));

  ck_assert (!morrow_promise_resolve_int (promise, 2));
  ck_assert (!morrow_promise_resolve_string (promise, "three"));
  ck_assert (!morrow_promise_reject (promise, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "four")));
  ck_assert (!morrow_future_cancel (future));
  ck_assert_int_eq (morrow_future_get_int (future), 1);
  ck_assert_ptr_null (morrow_future_get_error (future));
  morrow_promise_unref (promise);
}
END_TEST

START_TEST (fut_01_rejected_and_cancelled_futures_stay_so)
{
  MorrowPromise *one, *two;
  g_autoptr (MorrowFuture) rejected = new_pending (&one);
  g_autoptr (MorrowFuture) cancelled = new_pending (&two);

  ck_assert (morrow_promise_reject (one, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "first")));
  ck_assert (!morrow_promise_resolve (one));
  ck_assert (!morrow_future_cancel (rejected));
  ck_assert_int_eq (morrow_future_get_status (rejected), MORROW_FUTURE_REJECTED);
  ck_assert (!morrow_future_is_cancelled (rejected));
  ck_assert_str_eq (morrow_future_get_error (rejected)->message, "first");

  ck_assert (morrow_future_cancel (cancelled));
  ck_assert (!morrow_future_cancel (cancelled));
  ck_assert (!morrow_promise_resolve (two));
  ck_assert_int_eq (morrow_future_get_status (cancelled), MORROW_FUTURE_REJECTED);
  ck_assert (morrow_future_is_cancelled (cancelled));
  morrow_promise_unref (one);
  morrow_promise_unref (two);
}
END_TEST

START_TEST (fut_02_pending_future_has_neither_value_nor_error)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (GError) error = NULL;

  ck_assert_ptr_null (morrow_future_get_value (future, &error));
  assert_error (error, MORROW_ERROR, MORROW_ERROR_PENDING);
  ck_assert_ptr_null (morrow_future_get_error (future));
  ck_assert_int_eq (morrow_future_get_int (future), 0);
  ck_assert_ptr_null (morrow_future_get_string (future));
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
}
END_TEST

static void
ignore_settled (MorrowObserver *observer, MorrowFuture *settled)
{
}

/* The waiters stand at any address that their type allows, and the future has that in its word. */
START_TEST (pending_future_is_not_cancelled_wherever_its_waiters_are)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  MorrowObserver observers[4];

  for (guint i = 0; i < G_N_ELEMENTS (observers); i++)
    {
      observers[i] = (MorrowObserver) MORROW_OBSERVER (ignore_settled);
      ck_assert (morrow__future_subscribe_observer (future, &observers[i]));
      ck_assert (!morrow_future_is_cancelled (future));
      ck_assert_ptr_null (morrow_future_get_error (future));
    }
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
}
END_TEST

START_TEST (fut_02_cancelled_future_gives_the_cancel_as_its_error)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (GError) error = NULL;

  morrow_future_cancel (future);
  ck_assert_ptr_null (morrow_future_get_value (future, &error));
  assert_cancelled (error);
  assert_cancelled (morrow_future_get_error (future));
  morrow_promise_unref (promise);
}
END_TEST

START_TEST (fut_03_resolved_future_has_a_value_and_no_error)
{
  g_autoptr (MorrowFuture) future = new_int (12);
  g_autoptr (MorrowFuture) empty = morrow_future_new_resolved (NULL);
  const GValue *value;

  value = morrow_future_get_value (future, NULL);
  ck_assert (G_VALUE_HOLDS_INT (value));
  ck_assert_int_eq (g_value_get_int (value), 12);
  ck_assert_ptr_null (morrow_future_get_error (future));

  ck_assert_ptr_nonnull (morrow_future_get_value (empty, NULL));
  ck_assert (!G_IS_VALUE (morrow_future_get_value (empty, NULL)));
  ck_assert_int_eq (morrow_future_get_int (empty), 0);
}
END_TEST

START_TEST (fut_03_rejected_future_gives_its_error_as_often_as_asked)
{
  g_autoptr (MorrowFuture) future = new_failed ("no luck");

  for (int i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;

      ck_assert_ptr_null (morrow_future_get_value (future, &error));
      ck_assert_str_eq (error->message, "no luck");
      ck_assert_str_eq (morrow_future_get_error (future)->message, "no luck");
    }
}
END_TEST

/* --- unread errors ----------------------------------------------------------------------------- */

START_TEST (fut_08_error_that_nobody_looks_at_is_reported_when_it_is_dropped)
{
  static const MorrowSite there = { .location = "there.c:5" };
  MorrowPromise *promise = morrow_promise_new_at (&there);
  MorrowFuture *future = morrow_promise_get_future (promise);

  morrow_promise_reject (promise, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "no luck"));
  morrow_promise_unref (promise);
  morrow_check_expect_warning ("The error of promise, made at there.c:5, was never looked at: no luck");
  ck_assert_uint_eq (morrow_check_n_expected (), 1);
  morrow_future_unref (future);
  ck_assert_uint_eq (morrow_check_n_expected (), 0);
}
END_TEST

START_TEST (fut_08_report_gives_the_name)
{
  MorrowFuture *future = new_failed ("no luck");

  morrow_future_set_name (future, "the page");
  morrow_check_expect_warning ("The error of the page was never looked at: no luck");
  morrow_future_unref (future);
}
END_TEST

START_TEST (fut_08_looking_at_the_error_or_the_value_silences_the_report)
{
  MorrowFuture *by_error = new_failed ("no luck"), *by_value = new_failed ("no luck"), *by_wait = new_failed ("no luck");
  g_autoptr (GError) value_error = NULL, wait_error = NULL;

  ck_assert_ptr_nonnull (morrow_future_get_error (by_error));
  ck_assert_ptr_null (morrow_future_get_value (by_value, &value_error));
  ck_assert (!morrow_future_wait (by_wait, &wait_error));
  morrow_future_unref (by_error);
  morrow_future_unref (by_value);
  morrow_future_unref (by_wait);
}
END_TEST

SCENE (fut_08_awaiting_silences_the_report)
{
  g_autoptr (GError) failure = NULL;

  ck_assert (!morrow_await (new_failed ("no luck"), &failure));
  ck_assert_str_eq (failure->message, "no luck");
  return TRUE;
}

START_TEST (fut_08_asking_for_the_status_does_not_silence_the_report)
{
  MorrowFuture *future = new_failed ("no luck");

  ck_assert_int_eq (morrow_future_get_status (future), MORROW_FUTURE_REJECTED);
  ck_assert (!morrow_future_is_cancelled (future));
  ck_assert_int_eq (morrow_future_get_int (future), 0);
  morrow_check_expect_warning ("*was never looked at: no luck");
  morrow_future_unref (future);
}
END_TEST

START_TEST (fut_08_error_that_says_cancelled_is_not_reported)
{
  morrow_future_unref (morrow_future_new_rejected (g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped")));
}
END_TEST

/* --- awaiting ---------------------------------------------------------------------------------- */

SCENE (fut_09_future_can_be_awaited_twice)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) failed = new_failed ("no luck");

  morrow_promise_resolve_int (promise, 5);
  morrow_promise_unref (promise);
  await_ok (future);
  await_ok (future);
  ck_assert_int_eq (morrow_await_int (morrow_future_ref (future), NULL), 5);
  ck_assert_int_eq (morrow_await_int (morrow_future_ref (future), NULL), 5);
  await_failed (failed, "no luck");
  await_failed (failed, "no luck");
  return TRUE;
}

static gpointer
resolve_there (gpointer data)
{
  morrow_promise_resolve_int (data, 6);
  return NULL;
}

START_TEST (wait_on_a_plain_thread_blocks_until_it_settles)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  GThread *thread = g_thread_new ("other", resolve_there, promise);
  GError *error = NULL;

  ck_assert (morrow_future_wait (future, &error));
  ck_assert_int_eq (morrow_future_get_int (future), 6);
  g_thread_join (thread);
  morrow_promise_unref (promise);
}
END_TEST

START_TEST (wait_gives_the_error)
{
  g_autoptr (MorrowFuture) future = new_failed ("no luck");
  g_autoptr (GError) error = NULL;

  ck_assert (!morrow_future_wait (future, &error));
  ck_assert_str_eq (error->message, "no luck");
}
END_TEST

START_TEST (wait_until_a_time_that_has_passed_times_out_and_leaves_the_future)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (GError) error = NULL;

  ck_assert (!morrow_future_wait_until (future, g_get_monotonic_time () - 1, &error));
  assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  ck_assert (!morrow_future_is_settled (future));
  g_clear_error (&error);

  ck_assert (!morrow_future_wait_until (future, g_get_monotonic_time () + 5000, &error));
  assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);

  morrow_promise_resolve (promise);
  ck_assert (morrow_future_wait_until (future, 0, NULL));
  morrow_promise_unref (promise);
}
END_TEST

SCENE (wait_inside_a_loop_is_refused)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (GError) failure = NULL;

  ck_assert (!morrow_future_wait (future, &failure));
  assert_error (failure, MORROW_ERROR, MORROW_ERROR_WOULD_BLOCK_LOOP);
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  ck_assert (morrow_future_wait (future, NULL));
  return TRUE;
}

/* --- in the type system ------------------------------------------------------------------------ */

START_TEST (value_of_a_future_takes_a_reference_and_copies)
{
  MorrowFuture *future = new_int (1);
  g_auto (GValue) one = G_VALUE_INIT, two = G_VALUE_INIT;

  ck_assert (MORROW_IS_FUTURE (future));
  g_value_init (&one, MORROW_TYPE_FUTURE);
  g_value_init (&two, MORROW_TYPE_FUTURE);
  ck_assert_ptr_null (g_value_peek_pointer (&one));
  g_value_copy (&one, &two);
  ck_assert_ptr_null (g_value_peek_pointer (&two));

  g_value_set_instance (&one, future);
  g_value_copy (&one, &two);
  morrow_future_unref (future);
  g_value_reset (&one);
  ck_assert_ptr_eq (g_value_peek_pointer (&two), future);
  ck_assert_int_eq (morrow_future_get_int (g_value_peek_pointer (&two)), 1);
}
END_TEST

static gboolean
go_on (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

/* Each test has a process, in which nothing has been made. */
START_TEST (first_future_of_a_kind_is_of_the_type_though_there_is_memory_at_hand)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) future = NULL, then = NULL;

  for (gsize size = 16; size <= MORROW_CACHE_MAX_SIZE; size += 16)
    morrow__cache_free (size, morrow__cache_alloc (size));

  promise = morrow_promise_new ();
  future = morrow_promise_get_future (promise);
  then = morrow_future_then (future, go_on, NULL, NULL);
  ck_assert_uint_eq (G_TYPE_FROM_INSTANCE (future), MORROW_TYPE_FUTURE);
  ck_assert_uint_eq (G_TYPE_FROM_INSTANCE (then), MORROW_TYPE_FUTURE);
  morrow_future_cancel (then);
  while (g_main_context_iteration (NULL, FALSE))   /* the callback's place */
    ;
}
END_TEST

static gpointer
make_first (gpointer data)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) future = NULL;

  rendezvous_meet (data);
  promise = morrow_promise_new ();
  future = morrow_promise_get_future (promise);
  morrow_promise_resolve (promise);
  return GUINT_TO_POINTER (MORROW_IS_FUTURE (future));
}

/* Once in each process: the thread sanitizer tells. */
START_TEST (several_threads_may_make_the_first_future_of_a_kind)
{
  GThread *threads[3];
  Rendezvous rendezvous;

  rendezvous_init (&rendezvous, G_N_ELEMENTS (threads), 1);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("first", make_first, &rendezvous);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    ck_assert (GPOINTER_TO_UINT (g_thread_join (threads[i])));
}
END_TEST

START_TEST (getter_of_another_type_is_a_critical)
{
  g_autoptr (MorrowFuture) future = new_int (1);

  morrow_check_expect_critical ("*G_VALUE_HOLDS*failed");
  ck_assert_ptr_null (morrow_future_get_string (future));
}
END_TEST

START_TEST (future_made_rejected_takes_the_error)
{
  GError *error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "nowhere");
  g_autoptr (MorrowFuture) future = morrow_future_new_rejected (error);

  ck_assert_ptr_eq (morrow_future_get_error (future), error);
}
END_TEST

static Suite *
future_suite (void)
{
  Suite *suite = suite_create ("future");
  TCase *settle = morrow_check_add_case (suite, "settle");
  TCase *unread = morrow_check_add_case (suite, "unread");
  TCase *await = morrow_check_add_case (suite, "await");
  TCase *type = morrow_check_add_case (suite, "type");

  tcase_add_test (settle, fut_01_future_settles_once);
  tcase_add_test (settle, fut_01_rejected_and_cancelled_futures_stay_so);
  tcase_add_test (settle, fut_02_pending_future_has_neither_value_nor_error);
  tcase_add_test (settle, pending_future_is_not_cancelled_wherever_its_waiters_are);
  tcase_add_test (settle, fut_02_cancelled_future_gives_the_cancel_as_its_error);
  tcase_add_test (settle, fut_03_resolved_future_has_a_value_and_no_error);
  tcase_add_test (settle, fut_03_rejected_future_gives_its_error_as_often_as_asked);

  tcase_add_test (unread, fut_08_error_that_nobody_looks_at_is_reported_when_it_is_dropped);
  tcase_add_test (unread, fut_08_report_gives_the_name);
  tcase_add_test (unread, fut_08_looking_at_the_error_or_the_value_silences_the_report);
  tcase_add_test (unread, fut_08_awaiting_silences_the_report);
  tcase_add_test (unread, fut_08_asking_for_the_status_does_not_silence_the_report);
  tcase_add_test (unread, fut_08_error_that_says_cancelled_is_not_reported);

  tcase_add_test (await, fut_09_future_can_be_awaited_twice);
  tcase_add_test (await, wait_on_a_plain_thread_blocks_until_it_settles);
  tcase_add_test (await, wait_gives_the_error);
  tcase_add_test (await, wait_until_a_time_that_has_passed_times_out_and_leaves_the_future);
  tcase_add_test (await, wait_inside_a_loop_is_refused);

  tcase_add_test (type, value_of_a_future_takes_a_reference_and_copies);
  tcase_add_test (type, first_future_of_a_kind_is_of_the_type_though_there_is_memory_at_hand);
  tcase_add_loop_test (type, several_threads_may_make_the_first_future_of_a_kind, 0, 20);
  tcase_add_test (type, getter_of_another_type_is_a_critical);
  tcase_add_test (type, future_made_rejected_takes_the_error);

  return suite;
}

MORROW_CHECK_MAIN (future_suite)
