/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SIGINT during a run, under every model.  Check runs each test in a process of its own; where one is
 * to die of the signal, it forks another.
 */
#include "config.h"

#include "exec/models.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Check has a handler of its own, which its children inherit. */
static void
set_default_action (void)
{
  signal (SIGINT, SIG_DFL);
}

static void
assert_default_action (void)
{
  struct sigaction now;

  sigaction (SIGINT, NULL, &now);
  ck_assert (now.sa_handler == SIG_DFL);
}

static void
assert_interrupted (MorrowExecutor *executor, MorrowCoroutineFunc func)
{
  g_autoptr (GError) error = run_failing_on (executor, func, NULL);

  assert_error (error, MORROW_ERROR, MORROW_ERROR_INTERRUPTED);
}

/* --- who handles it ---------------------------------------------------------------------------- */

static gboolean
expect_handler (gpointer data, GValue *result, GError **error)
{
  struct sigaction now;

  sigaction (SIGINT, NULL, &now);
  return morrow_return_boolean (result, now.sa_handler != SIG_DFL);
}

static gboolean
run_has_handler (MorrowExecutor *executor)
{
  g_auto (GValue) result = G_VALUE_INIT;

  ck_assert (morrow_run_on (executor, morrow_coroutine (expect_handler, NULL, NULL), &result, NULL));
  return g_value_get_boolean (&result);
}

START_TEST (run_15_sigint_is_handled_during_a_run_and_put_back_after_it)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  ck_assert (run_has_handler (executor));
  assert_default_action ();
}
END_TEST

static gpointer
run_on_thread (gpointer executor)
{
  return GINT_TO_POINTER (run_has_handler (executor));
}

START_TEST (run_15_sigint_is_not_handled_on_another_thread_than_the_main_one)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  ck_assert (!GPOINTER_TO_INT (g_thread_join (g_thread_new ("run", run_on_thread, executor))));
}
END_TEST

static volatile sig_atomic_t n_caught;

static void
catch_it (int signal_number)
{
  n_caught++;
}

static gboolean
raise_and_yield (gpointer data, GValue *result, GError **error)
{
  raise (SIGINT);
  return morrow_yield (error);
}

START_TEST (run_15_handler_of_the_application_stays)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  signal (SIGINT, catch_it);
  run_scene_on (executor, raise_and_yield, NULL);
  ck_assert_int_eq (n_caught, 1);
}
END_TEST

static gboolean
install_handler (gpointer data, GValue *result, GError **error)
{
  signal (SIGINT, catch_it);
  return TRUE;
}

START_TEST (run_15_handler_that_was_put_in_place_during_the_run_stays)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, install_handler, NULL);
  raise (SIGINT);
  ck_assert_int_eq (n_caught, 1);
}
END_TEST

static struct sigaction saved;

static gboolean
save_handler (gpointer data, GValue *result, GError **error)
{
  return sigaction (SIGINT, NULL, &saved) == 0;
}

/* As whoever has a handler of his own for a while does. */
static void
put_back_after_a_run (MorrowExecutor *executor)
{
  run_scene_on (executor, save_handler, NULL);
  sigaction (SIGINT, &saved, NULL);
}

START_TEST (handler_that_was_put_back_after_its_run_is_the_default_one_to_the_next)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  put_back_after_a_run (executor);
  assert_interrupted (executor, raise_and_yield);
  assert_default_action ();
}
END_TEST

/* --- the first one ----------------------------------------------------------------------------- */

#ifdef MORROW_CHECK_TSAN
# define HEARS_SIGNALS_ASLEEP FALSE   /* the sanitizer keeps them until the next call that it knows */
#else
# define HEARS_SIGNALS_ASLEEP TRUE
#endif

static gpointer
interrupt_process (gpointer data)
{
  kill (getpid (), SIGINT);
  return NULL;
}

/* Another thread sends the signal, before or after the caller begins to wait. */
static void
interrupt_soon (void)
{
  if (HEARS_SIGNALS_ASLEEP)
    g_thread_unref (g_thread_new ("interrupt", interrupt_process, NULL));
  else
    raise (SIGINT);
}

/* Waits for ever. */
static gboolean
wait_and_clean_up (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&promise);
  g_autoptr (GError) why = NULL;

  interrupt_soon ();
  why = await_error (never_settles);
  assert_cancelled (why);
  ck_assert_uint_eq (morrow_future_get_cancelling (morrow_current_task ()), 1);
  if (!morrow_yield (error))
    return FALSE;
  say ("cleaned up");
  g_propagate_error (error, g_steal_pointer (&why));
  return FALSE;
}

START_TEST (run_17_main_that_ends_by_the_cancel_is_interrupted_after_its_cleanup)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  assert_interrupted (executor, wait_and_clean_up);
  assert_said ("cleaned up");
}
END_TEST

static gboolean
raise_and_compute (gpointer data, GValue *result, GError **error)
{
  raise (SIGINT);
  say ("goes on");
  return morrow_await (morrow_sleep (3600), error);
}

START_TEST (run_16_first_sigint_cancels_main_and_interrupts_no_code_between_two_waits)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  assert_interrupted (executor, raise_and_compute);
  assert_said ("goes on");
}
END_TEST

static gboolean
swallow (gpointer data, GValue *result, GError **error)
{
  raise (SIGINT);
  ck_assert (!morrow_yield (NULL));
  ck_assert (morrow_yield (NULL));
  return morrow_return_int (result, 42);
}

START_TEST (run_18_main_that_swallows_the_cancel_has_its_value_returned)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  g_auto (GValue) result = G_VALUE_INIT;
  GError *error = NULL;
  gboolean ok = morrow_run_on (executor, morrow_coroutine (swallow, NULL, NULL), &result, &error);

  assert_no_error (error);
  ck_assert (ok);
  ck_assert_int_eq (g_value_get_int (&result), 42);
  assert_default_action ();
}
END_TEST

static gboolean
convert (gpointer data, GValue *result, GError **error)
{
  raise (SIGINT);
  ck_assert (!morrow_yield (NULL));
  return fail_with ((gpointer) "converted", result, error);
}

START_TEST (run_19_main_that_converts_the_cancel_has_that_error_returned)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  g_autoptr (GError) error = run_failing_on (executor, convert, NULL);

  ck_assert_str_eq (error->message, "converted");
}
END_TEST

static gboolean
cancel_myself_too (gpointer data, GValue *result, GError **error)
{
  morrow_future_cancel (morrow_current_task ());
  raise (SIGINT);
  return morrow_yield (error);
}

START_TEST (run_20_main_that_somebody_else_cancelled_too_is_cancelled)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  g_autoptr (GError) error = run_failing_on (executor, cancel_myself_too, NULL);

  assert_cancelled (error);
}
END_TEST

static gboolean
spin (gpointer data, GValue *result, GError **error)
{
  interrupt_soon ();
  while (morrow_yield (error))
    ;
  return FALSE;
}

START_TEST (run_22_sigint_reaches_a_main_that_spins)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  assert_interrupted (executor, spin);
}
END_TEST

static gboolean
spin_in_place (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_coroutine (wait_and_clean_up, NULL, NULL), error);
}

START_TEST (sigint_reaches_what_main_awaits_in_place)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  assert_interrupted (executor, spin_in_place);
  assert_said ("cleaned up");
}
END_TEST

static gboolean
sleep_long_after_interrupt (gpointer data, GValue *result, GError **error)
{
  interrupt_soon ();
  return morrow_await (morrow_sleep (3600), error);
}

static gboolean
sleep_long (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_sleep (3600), error);
}

/* Under MorrowInline main has not come to its wait when the first sleeps, and the second has not been created. */
static gboolean
gather_sleepers (gpointer data, GValue *result, GError **error)
{
  MorrowFuture **sleepers = data;
  MorrowFuture *gather;

  sleepers[0] = morrow_create_task (morrow_coroutine (sleep_long_after_interrupt, NULL, NULL));
  sleepers[1] = morrow_create_task (morrow_coroutine (sleep_long, NULL, NULL));
  gather = morrow_gather (morrow_future_ref (sleepers[0]), morrow_future_ref (sleepers[1]), NULL);
  return morrow_await (gather, error);
}

START_TEST (run_16_sigint_reaches_what_main_gathers)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  MorrowFuture *sleepers[2];
  g_autoptr (GError) error = run_failing_on (executor, gather_sleepers, sleepers);

  assert_error (error, MORROW_ERROR, MORROW_ERROR_INTERRUPTED);
  for (guint i = 0; i < G_N_ELEMENTS (sleepers); i++)
    {
      ck_assert (morrow_future_is_cancelled (sleepers[i]));
      morrow_future_unref (sleepers[i]);
    }
}
END_TEST

START_TEST (executor_can_run_again_after_an_interrupt)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  for (guint i = 0; i < 5; i++)
    {
      assert_interrupted (executor, wait_and_clean_up);
      assert_said ("cleaned up");
    }
}
END_TEST

/* By a wait, by a yield, and by what main creates, which waits: under MorrowInline before main goes on. */
static gboolean
wait_and_look (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GCancellable) cancellable = morrow_future_get_cancellable (morrow_current_task ());

  interrupt_soon ();
  ck_assert (!morrow_await (morrow_sleep (3600), error));
  say ("%d", g_cancellable_is_cancelled (cancellable));
  return FALSE;
}

static gboolean
yield_and_look (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GCancellable) cancellable = morrow_future_get_cancellable (morrow_current_task ());

  raise (SIGINT);
  ck_assert (!morrow_yield (error));
  say ("%d", g_cancellable_is_cancelled (cancellable));
  return FALSE;
}

static gboolean
create_and_look (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GCancellable) cancellable = morrow_future_get_cancellable (morrow_current_task ());
  g_autoptr (MorrowFuture) sleeper = morrow_create_task (morrow_coroutine (sleep_long_after_interrupt, NULL, NULL));
  gboolean ok = morrow_future_await (sleeper, error);

  say ("%d", g_cancellable_is_cancelled (cancellable));
  return ok;
}

START_TEST (sigint_cancels_the_cancellable_of_main)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  assert_interrupted (executor, wait_and_look);
  assert_interrupted (executor, yield_and_look);
  assert_interrupted (executor, create_and_look);
  assert_said ("1; 1; 1");
}
END_TEST

/* --- the second one ---------------------------------------------------------------------------- */

/* How a process ends that runs main on the model given: the number of the signal, or minus the status. */
static int
end_of_process (int model, MorrowCoroutineFunc func)
{
  pid_t child = fork ();
  int status;

  if (child == 0)
    {
      MorrowExecutor *executor = make_model (model);

      morrow_check_end_child (morrow_run_on (executor, morrow_coroutine (func, NULL, NULL), NULL, NULL) ? 0 : 1);
    }
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  return WIFSIGNALED (status) ? WTERMSIG (status) : -WEXITSTATUS (status);
}

static gboolean
raise_twice (gpointer data, GValue *result, GError **error)
{
  raise (SIGINT);
  raise (SIGINT);
  return TRUE;
}

START_TEST (run_21_second_sigint_ends_the_process)
{
  ck_assert_int_eq (end_of_process (_i, raise_twice), SIGINT);
}
END_TEST

static gboolean
wait_and_raise (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&promise);

  if (morrow_future_await (never_settles, NULL))
    return TRUE;
  raise (SIGINT);
  return TRUE;
}

static gboolean
leave_over_what_raises (gpointer data, GValue *result, GError **error)
{
  morrow_future_unref (morrow_create_task (morrow_coroutine (wait_and_raise, NULL, NULL)));
  return morrow_yield (error);
}

START_TEST (run_21_sigint_after_main_has_ended_ends_the_process)
{
  ck_assert_int_eq (end_of_process (MODEL_LOOP, leave_over_what_raises), SIGINT);
}
END_TEST

START_TEST (run_main_that_is_interrupted_dies_of_the_signal_after_its_cleanup)
{
  pid_t child = fork ();
  int status;

  if (child == 0)
    morrow_check_end_child (morrow_run_main (raise_and_compute, NULL));
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert (WIFSIGNALED (status));
  ck_assert_int_eq (WTERMSIG (status), SIGINT);
}
END_TEST

START_TEST (sigint_ends_the_process_where_the_handler_was_put_back_after_its_run)
{
  pid_t child = fork ();
  int status;

  if (child == 0)
    {
      put_back_after_a_run (make_model (_i));
      raise (SIGINT);
      morrow_check_end_child (0);
    }
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert (WIFSIGNALED (status));
  ck_assert_int_eq (WTERMSIG (status), SIGINT);
}
END_TEST

static Suite *
interrupt_suite (void)
{
  Suite *suite = suite_create ("interrupt");
  TCase *handler = morrow_check_add_case (suite, "handler");
  TCase *first = morrow_check_add_case (suite, "first");
  TCase *second = morrow_check_add_case (suite, "second");

  tcase_add_checked_fixture (handler, set_default_action, NULL);
  tcase_add_loop_test (handler, run_15_sigint_is_handled_during_a_run_and_put_back_after_it, 0, N_MODELS);
  tcase_add_loop_test (handler, run_15_sigint_is_not_handled_on_another_thread_than_the_main_one, 0, N_MODELS);
  tcase_add_loop_test (handler, run_15_handler_of_the_application_stays, 0, N_MODELS);
  tcase_add_loop_test (handler, run_15_handler_that_was_put_in_place_during_the_run_stays, 0, N_MODELS);
  tcase_add_loop_test (handler, handler_that_was_put_back_after_its_run_is_the_default_one_to_the_next, 0, N_MODELS);

  tcase_add_checked_fixture (first, set_default_action, NULL);
  tcase_add_loop_test (first, run_17_main_that_ends_by_the_cancel_is_interrupted_after_its_cleanup, 0, N_MODELS);
  tcase_add_loop_test (first, run_16_first_sigint_cancels_main_and_interrupts_no_code_between_two_waits, 0, N_MODELS);
  tcase_add_loop_test (first, run_18_main_that_swallows_the_cancel_has_its_value_returned, 0, N_MODELS);
  tcase_add_loop_test (first, run_19_main_that_converts_the_cancel_has_that_error_returned, 0, N_MODELS);
  tcase_add_loop_test (first, run_20_main_that_somebody_else_cancelled_too_is_cancelled, 0, N_MODELS);
  tcase_add_loop_test (first, run_22_sigint_reaches_a_main_that_spins, 0, N_MODELS);
  tcase_add_loop_test (first, sigint_reaches_what_main_awaits_in_place, 0, N_MODELS);
  tcase_add_loop_test (first, run_16_sigint_reaches_what_main_gathers, 0, N_MODELS);
  tcase_add_loop_test (first, sigint_cancels_the_cancellable_of_main, 0, N_MODELS);
  tcase_add_loop_test (first, executor_can_run_again_after_an_interrupt, 0, N_MODELS);

  tcase_add_checked_fixture (second, set_default_action, NULL);
  tcase_add_loop_test (second, run_21_second_sigint_ends_the_process, 0, N_MODELS);
  tcase_add_test (second, run_21_sigint_after_main_has_ended_ends_the_process);
  tcase_add_loop_test (second, sigint_ends_the_process_where_the_handler_was_put_back_after_its_run, 0, N_MODELS);
  tcase_add_test (second, run_main_that_is_interrupted_dies_of_the_signal_after_its_cleanup);

  return suite;
}

MORROW_CHECK_MAIN_FORKING (interrupt_suite)
