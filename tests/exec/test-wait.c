/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plain threads that wait for a future, and work on threads that coroutines wait for.
 */
#include "config.h"

#include "exec/models.h"

#include <pthread.h>

/* --- a plain thread waits ---------------------------------------------------------------------- */

START_TEST (wait_gives_the_outcome_of_what_has_settled)
{
  g_autoptr (MorrowFuture) resolved = new_int (1);
  g_autoptr (MorrowFuture) rejected = new_failed ("no");
  g_autoptr (GError) error = NULL;

  ck_assert (morrow_future_wait (resolved, &error));
  assert_no_error (error);
  ck_assert (!morrow_future_wait (rejected, &error));
  ck_assert_str_eq (error->message, "no");
}
END_TEST

static gpointer
resolve_promise (gpointer promise)
{
  morrow_promise_resolve_int (promise, 42);
  morrow_promise_unref (promise);
  return NULL;
}

START_TEST (wait_ends_when_another_thread_settles)
{
  for (guint i = 0; i < 1000 / morrow_check_slowness (); i++)
    {
      MorrowPromise *promise;
      g_autoptr (MorrowFuture) future = new_pending (&promise);
      GThread *thread = g_thread_new ("resolve", resolve_promise, promise);

      ck_assert (morrow_future_wait (future, NULL));
      ck_assert_int_eq (morrow_future_get_int (future), 42);
      g_thread_join (thread);
    }
}
END_TEST

START_TEST (rct_02_wait_until_a_deadline_that_has_passed_times_out_and_the_future_goes_on)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (GError) error = NULL;

  ck_assert (!morrow_future_wait_until (future, 0, &error));
  assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_clear_error (&error);
  ck_assert (!morrow_future_wait_until (future, g_get_monotonic_time () + 2000, &error));
  assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);

  ck_assert (!morrow_future_is_settled (future));
  ck_assert (morrow_promise_resolve (promise));
  ck_assert (morrow_future_wait_until (future, 0, NULL));
}
END_TEST

static gboolean
never (gpointer data, GValue *result, GError **error)
{
  ck_abort_msg ("A coroutine ran that must not");
  return FALSE;
}

START_TEST (wait_for_a_coroutine_that_nobody_has_started_is_refused)
{
  g_autoptr (MorrowFuture) coroutine = morrow_coroutine (never, NULL, NULL);
  g_autoptr (GError) error = NULL;

  ck_assert (!morrow_future_wait (coroutine, &error));
  assert_error (error, MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK);
}
END_TEST

static gboolean
wait_here (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (GError) why = NULL;

  ck_assert (!morrow_future_wait (future, &why));
  assert_error (why, MORROW_ERROR, MORROW_ERROR_WOULD_BLOCK_LOOP);
  ck_assert (morrow_promise_resolve (promise));
  return morrow_future_wait (future, error);
}

static gboolean
wait_in_task_too (gpointer data, GValue *result, GError **error)
{
  return wait_here (data, result, error) && morrow_await (morrow_create_task (morrow_coroutine (wait_here, NULL, NULL)), error);
}

START_TEST (rct_07_wait_on_an_executors_own_thread_is_refused)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, wait_in_task_too, NULL);
}
END_TEST

static gpointer
wait_for (gpointer future)
{
  return GINT_TO_POINTER (morrow_future_wait (future, NULL));
}

START_TEST (several_threads_can_wait_for_one_future)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (pool, morrow_coroutine (return_int, GINT_TO_POINTER (5), NULL));
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("wait", wait_for, task);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    ck_assert (GPOINTER_TO_INT (g_thread_join (threads[i])));
}
END_TEST

/* --- work on threads --------------------------------------------------------------------------- */

static gboolean
return_thread (gpointer data, GValue *result, GError **error)
{
  ck_assert_ptr_null (morrow_executor_get_current ());
  ck_assert_ptr_null (morrow_current_task ());
  return morrow_return_pointer (result, g_thread_self ());
}

static gboolean
await_thread (gpointer data, GValue *result, GError **error)
{
  gpointer thread = morrow_await_pointer (morrow_to_thread (return_thread, NULL, NULL), error);

  ck_assert_ptr_nonnull (thread);
  ck_assert_ptr_ne (thread, g_thread_self ());
  return TRUE;
}

START_TEST (thr_01_work_runs_on_another_thread_outside_any_executor)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, await_thread, NULL);
}
END_TEST

enum
{
  N_WORKS = 20
};

static gboolean
meet_all (gpointer data, GValue *result, GError **error)
{
  pthread_barrier_wait (data);
  return TRUE;
}

static gboolean
gather_works_that_meet (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *works[N_WORKS];

  for (guint i = 0; i < N_WORKS; i++)
    works[i] = morrow_to_thread (meet_all, data, NULL);
  return morrow_await (morrow_gatherv (works, N_WORKS), error);
}

START_TEST (thr_07_works_run_at_the_same_time_whatever_the_executor)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  pthread_barrier_t all;

  pthread_barrier_init (&all, NULL, N_WORKS);
  run_scene_on (executor, gather_works_that_meet, &all);
  pthread_barrier_destroy (&all);
}
END_TEST

static gboolean
await_failing_work (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) work = morrow_to_thread (fail_with, (gpointer) "on a thread", NULL);
  g_autoptr (GError) why = await_error (work);

  ck_assert_str_eq (why->message, "on a thread");
  return TRUE;
}

START_TEST (thr_01_work_that_fails_rejects)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, await_failing_work, NULL);
}
END_TEST

static void
say_freed (gpointer data)
{
  say ("freed");
}

SCENE (thr_02_work_is_lazy_and_its_data_is_released_all_the_same)
{
  morrow_check_expect_warning ("'never', for a thread, was never awaited*");
  morrow_future_unref (morrow_to_thread (never, NULL, say_freed));
  assert_said ("freed");
  return TRUE;
}

typedef struct
{
  pthread_barrier_t begun, ended;
} Gates;

static gboolean
pass_gates (gpointer data, GValue *result, GError **error)
{
  Gates *gates = data;

  pthread_barrier_wait (&gates->begun);
  pthread_barrier_wait (&gates->ended);
  say ("ran to its end");
  return morrow_return_int (result, 1);
}

static gboolean
cancel_work_that_runs (gpointer data, GValue *result, GError **error)
{
  Gates *gates = data;
  g_autoptr (MorrowFuture) work = morrow_create_task (morrow_to_thread (pass_gates, gates, NULL));

  pthread_barrier_wait (&gates->begun);
  ck_assert (morrow_future_cancel (work));
  await_cancelled (work);
  pthread_barrier_wait (&gates->ended);
  return TRUE;
}

START_TEST (thr_04_work_that_is_cancelled_settles_at_once_and_its_thread_runs_on)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  Gates gates;

  pthread_barrier_init (&gates.begun, NULL, 2);
  pthread_barrier_init (&gates.ended, NULL, 2);
  run_scene_on (executor, cancel_work_that_runs, &gates);
  assert_said ("ran to its end");   /* the run has waited for it */
  pthread_barrier_destroy (&gates.begun);
  pthread_barrier_destroy (&gates.ended);
}
END_TEST

static gboolean
call_back (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (data, morrow_coroutine (return_int, GINT_TO_POINTER (3), NULL));

  return morrow_future_wait (task, error) && morrow_return_int (result, morrow_future_get_int (task));
}

static gboolean
await_who_calls_back (gpointer data, GValue *result, GError **error)
{
  ck_assert_int_eq (morrow_await_int (morrow_to_thread (call_back, morrow_executor_get_current (), NULL), error), 3);
  return TRUE;
}

START_TEST (rct_01_thread_can_call_back_into_the_executor_and_wait_for_it)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, await_who_calls_back, NULL);
}
END_TEST

START_TEST (rct_03_wait_for_a_task_that_is_cancelled_fails_as_cancelled)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (pool, morrow_coroutine (await_it, pending, NULL));
  g_autoptr (GError) error = NULL;

  ck_assert (morrow_future_cancel (task));
  ck_assert (!morrow_future_wait (task, &error));
  assert_cancelled (error);
  ck_assert (morrow_future_is_cancelled (task));
  morrow_promise_resolve (promise);
}
END_TEST

START_TEST (rct_04_wait_for_a_task_that_fails_gives_its_error)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (pool, morrow_coroutine (fail_with, (gpointer) "no luck", NULL));
  g_autoptr (GError) error = NULL;

  ck_assert (!morrow_future_wait (task, &error));
  ck_assert_str_eq (error->message, "no luck");
}
END_TEST

static Suite *
wait_suite (void)
{
  Suite *suite = suite_create ("wait");
  TCase *plain = morrow_check_add_case (suite, "plain");
  TCase *work = morrow_check_add_case (suite, "work");

  tcase_add_test (plain, wait_gives_the_outcome_of_what_has_settled);
  tcase_add_test (plain, wait_ends_when_another_thread_settles);
  tcase_add_test (plain, rct_02_wait_until_a_deadline_that_has_passed_times_out_and_the_future_goes_on);
  tcase_add_test (plain, wait_for_a_coroutine_that_nobody_has_started_is_refused);
  tcase_add_loop_test (plain, rct_07_wait_on_an_executors_own_thread_is_refused, 0, N_MODELS);
  tcase_add_test (plain, several_threads_can_wait_for_one_future);
  tcase_add_test (plain, rct_03_wait_for_a_task_that_is_cancelled_fails_as_cancelled);
  tcase_add_test (plain, rct_04_wait_for_a_task_that_fails_gives_its_error);

  tcase_add_loop_test (work, thr_01_work_runs_on_another_thread_outside_any_executor, 0, N_MODELS);
  tcase_add_loop_test (work, thr_07_works_run_at_the_same_time_whatever_the_executor, 0, N_MODELS);
  tcase_add_loop_test (work, thr_01_work_that_fails_rejects, 0, N_MODELS);
  tcase_add_test (work, thr_02_work_is_lazy_and_its_data_is_released_all_the_same);
  tcase_add_loop_test (work, thr_04_work_that_is_cancelled_settles_at_once_and_its_thread_runs_on, 0, N_MODELS);
  tcase_add_loop_test (work, rct_01_thread_can_call_back_into_the_executor_and_wait_for_it, 0, N_MODELS);

  return suite;
}

MORROW_CHECK_MAIN (wait_suite)
