/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A task whose stack is too small ends the process, which says whose it was.  And one that can have
 * none at all.
 */
#include "config.h"

#include "exec/models.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/fiber-private.h"

/* --- too small --------------------------------------------------------------------------------- */

static int
go_down (volatile char *above, int depth)
{
  volatile char frame[512];

  memset ((char *) frame, depth, sizeof frame);
  if (depth == G_MAXINT)
    return above[0];
  return go_down (frame, depth + 1) + frame[1];
}

/* data: whether to wait first, so that the stack is left and come back to. */
static gboolean
overflow (gpointer data, GValue *result, GError **error)
{
  volatile char top = 0;

  if (data != NULL && !morrow_await (morrow_sleep (0.0001), error))
    return FALSE;
  return go_down (&top, 0) == 0;
}

static gboolean
await_overflow (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *task = morrow_coroutine (overflow, data, NULL);

  morrow_future_set_stack_size (task, 64 * 1024);
  if (data != NULL)
    morrow_future_set_name (task, "the deep one");
  return morrow_await (morrow_create_task (task), error);
}

/* What a process that runs main on a loop prints before it ends; it has to end by a signal. */
static char *
last_words (MorrowCoroutineFunc func, gpointer data)
{
  char *said = g_malloc0 (4096);
  gsize n = 0;
  gssize n_read;
  int ends[2], status;
  pid_t child;

  ck_assert_int_eq (pipe (ends), 0);
  child = fork ();
  if (child == 0)
    {
      dup2 (ends[1], STDERR_FILENO);
      _exit (morrow_run (morrow_coroutine (func, data, NULL), NULL, NULL) ? 0 : 1);
    }
  close (ends[1]);
  while (n < 4095 && (n_read = read (ends[0], said + n, 4095 - n)) > 0)
    n += n_read;
  close (ends[0]);
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_msg (WIFSIGNALED (status), "%s", said);
  return said;
}

static void
assert_last_words (MorrowCoroutineFunc func, gpointer data, const char *words)
{
  g_autofree char *said = last_words (func, data);

  ck_assert_msg (strstr (said, words) != NULL, "%s", said);
}

START_TEST (overflow_is_reported_with_the_name_of_the_task)
{
  assert_last_words (await_overflow, GINT_TO_POINTER (TRUE), "morrow: stack overflow in task the deep one (stack of 64 KiB)");
}
END_TEST

START_TEST (overflow_of_a_task_without_a_name_is_reported_with_its_number_and_function)
{
  g_autofree char *said = last_words (await_overflow, NULL);

  ck_assert_msg (g_pattern_match_simple ("*morrow: stack overflow in task Task-*, overflow (stack of 64 KiB)*", said), "%s", said);
}
END_TEST

#ifndef MORROW_USE_UCONTEXT

static gboolean
overflow_in_callback (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return overflow (NULL, result, error);
}

static gboolean
turn_and_overflow (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  MorrowLoop *loop = morrow_loop_get_current ();

  morrow_future_unref (morrow_then (new_int (1), overflow_in_callback, NULL, NULL));
  while (morrow_loop_get_current () == loop)
    g_main_context_iteration (morrow_loop_get_context (loop), TRUE);
  return TRUE;
}

/* In place, on a stack of its own. */
static gboolean
await_overflow_in_place (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *coroutine = morrow_coroutine (overflow, data, NULL);

  morrow_future_set_stack_size (coroutine, 64 * 1024);
  morrow_future_set_name (morrow_current_task (), "the outer one");
  return morrow_await (coroutine, error);
}

/* _i: whether it waits first. */
START_TEST (overflow_of_a_coroutine_in_place_on_a_stack_of_its_own_is_reported_with_the_task)
{
  assert_last_words (await_overflow_in_place, GINT_TO_POINTER (_i), "morrow: stack overflow in task the outer one (stack of 64 KiB)");
}
END_TEST

static const MorrowContinueFunc overflowing_callbacks[] = { overflow_in_callback, turn_and_overflow };

/* data: the callback. */
static gboolean
await_callback (gpointer data, GValue *result, GError **error)
{
  const MorrowContinueFunc *callback = data;

  morrow_future_set_name (morrow_current_task (), "the patient one");
  return morrow_await (morrow_then (new_int (1), *callback, NULL, NULL), error);
}

/* _i: which callback.  The second turns the context, and has another overflow there. */
START_TEST (overflow_of_a_callback_in_place_is_reported_with_the_task_whose_stack_it_is)
{
  assert_last_words (await_callback, (gpointer) &overflowing_callbacks[_i],
                     "morrow: stack overflow in task the patient one, a callback that it awaits (stack of 256 KiB)");
}
END_TEST

static gboolean
overflow_after_callback (gpointer data, GValue *result, GError **error)
{
  morrow_future_set_name (morrow_current_task (), "the next one");
  ck_assert (!morrow_await (morrow_then (new_failed ("no luck"), overflow_in_callback, NULL, NULL), NULL));
  return overflow (NULL, result, error);
}

START_TEST (overflow_after_a_callback_in_place_is_the_tasks)
{
  assert_last_words (overflow_after_callback, NULL, "morrow: stack overflow in task the next one (stack of 256 KiB)");
}
END_TEST

#endif

/* What the library reports, and the way that GLib's writer puts such a message on a terminal. */
static gboolean
report (gpointer data, GValue *result, GError **error)
{
  morrow_check_expect_warning ("coroutine 'return_int' was never awaited*");
  morrow_future_unref (morrow_coroutine (return_int, NULL, NULL));
  morrow_check_expect_warning ("The error of future was never looked at: no luck");
  morrow_future_unref (new_failed ("no luck"));
  g_log_structured ("Morrow", G_LOG_LEVEL_MESSAGE, "MESSAGE", "coroutine '%s' was never awaited, made at %s", "like", "this");
  return TRUE;
}

SCENE (reports_fit_on_the_smallest_stack)
{
  MorrowFuture *task = morrow_coroutine (report, NULL, NULL);

  morrow_future_set_stack_size (task, 1);
  return morrow_await (morrow_create_task (task), error);
}

/* --- none at all ------------------------------------------------------------------------------- */

static gboolean
never (gpointer data, GValue *result, GError **error)
{
  ck_abort_msg ("It ran without a stack");
  return FALSE;
}

static MorrowFuture *
create_impossible_task (void)
{
  MorrowFuture *task = morrow_coroutine (never, NULL, NULL);

  morrow_future_set_stack_size (task, (gsize) 512 * 1024 * 1024 * 1024);
  return morrow_create_task (task);
}

SCENE (task_that_can_have_no_stack_is_rejected)
{
  g_autoptr (MorrowFuture) task = create_impossible_task ();
  g_autoptr (GError) why = await_error (task);

  assert_error (why, MORROW_ERROR, MORROW_ERROR_NO_STACK);
  return TRUE;
}

SCENE (task_that_can_have_no_stack_and_that_nobody_holds_is_reported)
{
  morrow_check_expect_warning ("The error of Task-* was never looked at: *");
  morrow_future_unref (create_impossible_task ());
  let_run ();
  return TRUE;
}

static Suite *
overflow_suite (void)
{
  Suite *suite = suite_create ("overflow");
  TCase *small = morrow_check_add_case (suite, "small");
  TCase *none = morrow_check_add_case (suite, "none");

  tcase_add_test (small, overflow_is_reported_with_the_name_of_the_task);
  tcase_add_test (small, overflow_of_a_task_without_a_name_is_reported_with_its_number_and_function);
#ifndef MORROW_USE_UCONTEXT
  tcase_add_loop_test (small, overflow_of_a_callback_in_place_is_reported_with_the_task_whose_stack_it_is, 0,
                       G_N_ELEMENTS (overflowing_callbacks));
  tcase_add_test (small, overflow_after_a_callback_in_place_is_the_tasks);
  tcase_add_loop_test (small, overflow_of_a_coroutine_in_place_on_a_stack_of_its_own_is_reported_with_the_task, 0, 2);
#endif
  tcase_add_test (small, reports_fit_on_the_smallest_stack);

  tcase_add_test (none, task_that_can_have_no_stack_is_rejected);
  tcase_add_test (none, task_that_can_have_no_stack_and_that_nobody_holds_is_reported);

  return suite;
}

MORROW_CHECK_MAIN (overflow_suite)
