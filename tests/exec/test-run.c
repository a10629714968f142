/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs, under every model: what they give, what they refuse, and how they end.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>

#include "exec/models.h"

#include <stdio.h>
#include <unistd.h>

/* --- what a run gives -------------------------------------------------------------------------- */

START_TEST (run_01_run_returns_what_main_returns)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  g_auto (GValue) result = G_VALUE_INIT;
  GError *error = NULL;
  gboolean ok = morrow_run_on (executor, morrow_coroutine (return_int, GINT_TO_POINTER (42), NULL), &result, &error);

  assert_no_error (error);
  ck_assert (ok);
  ck_assert_int_eq (g_value_get_int (&result), 42);
}
END_TEST

START_TEST (run_01_run_fails_as_main_fails)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  g_autoptr (GError) error = run_failing_on (executor, fail_with, (gpointer) "main failed");

  assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
  ck_assert_str_eq (error->message, "main failed");
}
END_TEST

static gboolean
return_nothing (gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

START_TEST (run_of_main_without_a_value_leaves_the_result_unset)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  GValue result = G_VALUE_INIT;

  ck_assert (morrow_run_on (executor, morrow_coroutine (return_nothing, NULL, NULL), &result, NULL));
  ck_assert (!G_IS_VALUE (&result));
}
END_TEST

START_TEST (executor_can_run_again_and_again)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  for (int i = 0; i < 20; i++)
    {
      g_auto (GValue) result = G_VALUE_INIT;

      ck_assert (morrow_run_on (executor, morrow_coroutine (return_int, GINT_TO_POINTER (i), NULL), &result, NULL));
      ck_assert_int_eq (g_value_get_int (&result), i);
    }
}
END_TEST

/* --- what a run refuses ------------------------------------------------------------------------ */

static gboolean
never (gpointer data, GValue *result, GError **error)
{
  ck_abort_msg ("A coroutine ran that must not");
  return FALSE;
}

static void
say_freed (gpointer data)
{
  say ("freed");
}

static gboolean
run_inside (gpointer data, GValue *result, GError **error)
{
  guint n_descriptors = count_descriptors ();
  g_autoptr (GError) why = NULL;

  ck_assert (!morrow_run (morrow_coroutine (never, NULL, say_freed), NULL, &why));
  assert_error (why, MORROW_ERROR, MORROW_ERROR_ALREADY_RUNNING);
  g_clear_error (&why);
  ck_assert (!morrow_run_on (data, morrow_coroutine (never, NULL, say_freed), NULL, &why));
  assert_error (why, MORROW_ERROR, MORROW_ERROR_ALREADY_RUNNING);

  ck_assert_uint_eq (count_descriptors (), n_descriptors);
  assert_said ("freed; freed");
  return TRUE;
}

START_TEST (run_02_run_inside_a_run_is_refused_before_anything_is_made)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, run_inside, executor);
}
END_TEST

static gboolean
create_run_inside (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine (run_inside, data, NULL)), error);
}

START_TEST (run_02_run_inside_a_task_is_refused)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, create_run_inside, executor);
}
END_TEST

/* A task, a plain future, and work for a thread, which nobody starts, and which is dropped without a warning of that. */
static gboolean
run_what_is_no_coroutine (gpointer data, GValue *result, GError **error)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_it, pending, NULL));

  let_run ();
  ck_assert (!morrow_run (morrow_future_ref (task), NULL, NULL));
  ck_assert (!morrow_run_on (data, morrow_future_ref (pending), NULL, NULL));
  ck_assert (!morrow_run_on (data, morrow_to_thread (never, NULL, say_freed), NULL, NULL));
  assert_said ("freed");

  ck_assert_uint_eq (morrow_future_get_cancelling (task), 0);
  ck_assert (!morrow_future_is_settled (pending));
  morrow_promise_resolve_int (promise, 42);
  morrow_promise_unref (promise);
  return morrow_await_value (morrow_future_ref (task), result, error);
}

START_TEST (refused_run_leaves_alone_what_runs_already)
{
  g_autoptr (MorrowExecutor) executor = morrow_loop_new (NULL);
  g_auto (GValue) result = G_VALUE_INIT;

  ck_assert (morrow_run_on (executor, morrow_coroutine (run_what_is_no_coroutine, executor, NULL), &result, NULL));
  ck_assert_int_eq (g_value_get_int (&result), 42);
}
END_TEST

/* A run that goes on until the future settles. */
typedef struct
{
  MorrowExecutor *executor;
  MorrowFuture   *pending;
  atomic_uint     n_waiting;
  int             sum;        /* of what its tasks give */
} LongRun;

static gboolean
wait_in_long_run (gpointer data, GValue *result, GError **error)
{
  LongRun *self = data;

  atomic_fetch_add (&self->n_waiting, 1);
  return morrow_await_value (morrow_future_ref (self->pending), result, error);
}

static gboolean
sum_two_that_wait (gpointer data, GValue *result, GError **error)
{
  LongRun *self = data;
  g_autoptr (MorrowFuture) one = morrow_create_task (morrow_coroutine (wait_in_long_run, self, NULL));
  g_autoptr (MorrowFuture) two = morrow_create_task (morrow_coroutine (wait_in_long_run, self, NULL));

  if (!morrow_future_await (one, error) || !morrow_future_await (two, error))
    return FALSE;
  self->sum = morrow_future_get_int (one) + morrow_future_get_int (two);
  return TRUE;
}

static gpointer
run_long (gpointer data)
{
  run_scene_on (((LongRun *) data)->executor, sum_two_that_wait, data);
  return NULL;
}

START_TEST (second_run_on_an_executor_is_refused_and_the_first_goes_on)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_autoptr (GError) error = NULL;
  LongRun run = { .executor = executor, .pending = pending };
  GThread *thread = g_thread_new ("long run", run_long, &run);

  while (atomic_load (&run.n_waiting) < (_i == MODEL_INLINE ? 1 : 2))
    g_thread_yield ();
  error = run_failing_on (executor, never, NULL);
  assert_error (error, MORROW_ERROR, MORROW_ERROR_ALREADY_RUNNING);

  morrow_promise_resolve_int (promise, 21);
  g_thread_join (thread);
  ck_assert_int_eq (run.sum, 42);
  run_scene_on (executor, return_nothing, NULL);   /* there is none now */
}
END_TEST

/* --- what a run takes -------------------------------------------------------------------------- */

static void
assert_runs_to (MorrowExecutor *executor, MorrowFuture *main, int expected)
{
  g_auto (GValue) result = G_VALUE_INIT;
  GError *error = NULL;
  gboolean ok = morrow_run_on (executor, main, &result, &error);

  assert_no_error (error);
  ck_assert (ok);
  ck_assert_int_eq (g_value_get_int (&result), expected);
}

static gpointer
resolve_with_7 (gpointer promise)
{
  morrow_promise_resolve_int (promise, 7);
  morrow_promise_unref (promise);
  return NULL;
}

START_TEST (run_03_run_takes_anything_that_can_be_awaited)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  g_autoptr (GError) error = NULL;
  MorrowPromise *promise;
  MorrowFuture *future;
  GThread *thread;

  assert_runs_to (executor, new_int (1), 1);
  assert_runs_to (executor, morrow_shield (new_int (2)), 2);
  assert_runs_to (executor, morrow_race (new_int (3), NULL), 3);
  assert_runs_to (executor, morrow_to_thread (return_int, GINT_TO_POINTER (4), NULL), 4);

  future = new_pending (&promise);
  thread = g_thread_new (NULL, resolve_with_7, promise);
  assert_runs_to (executor, future, 7);
  g_thread_join (thread);

  ck_assert (!morrow_run_on (executor, new_failed ("before it ran"), NULL, &error));
  ck_assert_str_eq (error->message, "before it ran");
}
END_TEST

/* --- what is left over ------------------------------------------------------------------------- */

/* Leftovers that have started, and wait; on the executors where that can be. */
typedef struct
{
  const char   *name;
  MorrowFuture *pending;
} Leftover;

static gboolean
wait_and_clean_up (gpointer data, GValue *result, GError **error)
{
  const Leftover *self = data;
  g_autoptr (GError) why = NULL;

  say ("%s waits", self->name);
  ck_assert (!morrow_future_await (self->pending, &why));
  assert_cancelled (why);
  say ("%s is cancelled", self->name);
  if (!morrow_await (morrow_shield (morrow_sleep (0.001)), error))
    return FALSE;
  say ("%s has cleaned up", self->name);
  g_propagate_error (error, g_steal_pointer (&why));
  return FALSE;
}

static void
leave_over (MorrowCoroutineFunc func, gpointer data)
{
  morrow_future_unref (morrow_create_task (morrow_coroutine (func, data, NULL)));
}

static gboolean
leave_two_over (gpointer data, GValue *result, GError **error)
{
  Leftover *leftovers = data;

  leave_over (wait_and_clean_up, &leftovers[0]);
  leave_over (wait_and_clean_up, &leftovers[1]);
  let_run ();
  say ("main returns");
  return morrow_return_int (result, 1);
}

START_TEST (run_04_leftover_tasks_are_all_cancelled_then_all_awaited)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  Leftover leftovers[] = { { "a", pending }, { "b", pending } };

  assert_runs_to (loop, morrow_coroutine (leave_two_over, leftovers, NULL), 1);
  assert_said ("a waits; b waits; main returns; a is cancelled; b is cancelled; a has cleaned up; b has cleaned up");
}
END_TEST

typedef struct
{
  atomic_uint   n_waiting;
  atomic_uint   n_cancelled;
  MorrowFuture *pending;
} Crowd;

static gboolean
wait_in_crowd (gpointer data, GValue *result, GError **error)
{
  Crowd *self = data;
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&promise);
  gboolean ok;

  atomic_fetch_add (&self->n_waiting, 1);
  ok = morrow_future_await (self->pending, error);
  ck_assert (!ok);
  ck_assert (!morrow_future_await (never_settles, NULL));   /* every further wait fails */
  ck_assert (!morrow_yield (NULL));
  atomic_fetch_add (&self->n_cancelled, 1);
  return FALSE;
}

/* Leaves two tasks over that wait, whatever the executor: it has two threads. */
static gboolean
leave_a_crowd_over (gpointer data, GValue *result, GError **error)
{
  Crowd *crowd = data;

  leave_over (wait_in_crowd, crowd);
  leave_over (wait_in_crowd, crowd);
  while (atomic_load (&crowd->n_waiting) < 2)
    ck_assert (morrow_yield (error));
  return morrow_return_int (result, 1);
}

START_TEST (run_04_in_a_leftover_every_further_wait_fails)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  Crowd crowd = { .pending = pending };

  assert_runs_to (executor, morrow_coroutine (leave_a_crowd_over, &crowd, NULL), 1);
  ck_assert_uint_eq (atomic_load (&crowd.n_cancelled), 2);
}
END_TEST

/* A leftover that awaits a coroutine under a shield, and what came of that. */
typedef struct
{
  MorrowCoroutineFunc func;        /* immutable: the coroutine */
  atomic_int          is_waiting;
  atomic_uint         n_done;      /* waits of the coroutine's, and of what it starts, that succeeded */
} CleanUp;

static gboolean
clean_up_once (gpointer data, GValue *result, GError **error)
{
  CleanUp *self = data;

  if (!morrow_await (morrow_sleep (0.001), error) || !morrow_yield (error))
    return FALSE;
  atomic_fetch_add (&self->n_done, 1);
  return TRUE;
}

/* Itself, in a task, in two of a gather, and under one shield more. */
static gboolean
clean_up_five_times (gpointer data, GValue *result, GError **error)
{
  return clean_up_once (data, result, error) &&
         morrow_await (morrow_create_task (morrow_coroutine (clean_up_once, data, NULL)), error) &&
         morrow_await (morrow_gather (morrow_coroutine (clean_up_once, data, NULL), morrow_coroutine (clean_up_once, data, NULL), NULL), error) &&
         morrow_await (morrow_shield (morrow_coroutine (clean_up_once, data, NULL)), error);
}

static gboolean
wait_then_clean_up (gpointer data, GValue *result, GError **error)
{
  CleanUp *self = data;
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&promise);
  gboolean ok;

  atomic_store (&self->is_waiting, TRUE);
  ok = morrow_future_await (never_settles, error);
  ck_assert (!ok);
  ok = morrow_await (morrow_shield (morrow_coroutine (self->func, self, NULL)), NULL);
  ck_assert (ok);
  return FALSE;
}

static gboolean
leave_one_over_that_cleans_up (gpointer data, GValue *result, GError **error)
{
  CleanUp *clean_up = data;

  leave_over (wait_then_clean_up, clean_up);
  while (!atomic_load (&clean_up->is_waiting))
    ck_assert (morrow_yield (error));
  return TRUE;
}

START_TEST (run_04_coroutine_under_a_shield_and_what_it_starts_can_wait_in_a_leftovers_clean_up)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  CleanUp clean_up = { .func = clean_up_five_times };

  run_scene_on (executor, leave_one_over_that_cleans_up, &clean_up);
  ck_assert_uint_eq (atomic_load (&clean_up.n_done), 5);
}
END_TEST

static gboolean
clean_up_by_itself (gpointer data, GValue *result, GError **error)
{
  CleanUp *self = data;

  if (!morrow_await (morrow_shield (morrow_sleep (0.001)), error))
    return FALSE;
  atomic_fetch_add (&self->n_done, 1);
  return TRUE;
}

static gboolean
spawn_one_that_cleans_up (gpointer data, GValue *result, GError **error)
{
  morrow_future_unref (morrow_spawn (clean_up_by_itself, data, NULL));
  return TRUE;
}

/* It is the only task by then. */
START_TEST (run_04_what_started_last_in_a_clean_up_is_waited_for)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  CleanUp clean_up = { .func = spawn_one_that_cleans_up };

  run_scene_on (executor, leave_one_over_that_cleans_up, &clean_up);
  ck_assert_uint_eq (atomic_load (&clean_up.n_done), 1);
}
END_TEST

static gboolean
leave_a_shielded_one_over (gpointer data, GValue *result, GError **error)
{
  Crowd *crowd = data;

  morrow_future_unref (morrow_shield (morrow_coroutine (wait_in_crowd, crowd, NULL)));
  while (atomic_load (&crowd->n_waiting) < 1)
    ck_assert (morrow_yield (error));
  return TRUE;
}

START_TEST (shd_08_coroutine_that_a_shield_started_before_the_end_of_the_run_is_cancelled_by_it)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  Crowd crowd = { .pending = pending };

  run_scene_on (executor, leave_a_shielded_one_over, &crowd);
  ck_assert_uint_eq (atomic_load (&crowd.n_cancelled), 1);
}
END_TEST

static gboolean
clean_up_one_by_one (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *children[3] = { morrow_sleep (0.001) };   /* which ends in no task */

  for (guint i = 1; i < 3; i++)
    children[i] = morrow_coroutine (clean_up_once, data, NULL);
  return morrow_await (morrow_gather_full (children, 3, MORROW_GATHER_DEFAULT, 1), error);
}

START_TEST (run_04_what_a_gather_with_a_limit_starts_later_is_part_of_the_clean_up)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  CleanUp clean_up = { .func = clean_up_one_by_one };

  run_scene_on (executor, leave_one_over_that_cleans_up, &clean_up);
  ck_assert_uint_eq (atomic_load (&clean_up.n_done), 2);
}
END_TEST

/* A leftover that another awaits, which is woken meanwhile, again and again on a thread pool, where something is queued. */
static gboolean
wait_then_queue_much (gpointer data, GValue *result, GError **error)
{
  CleanUp *self = data;
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&promise);

  atomic_store (&self->is_waiting, TRUE);
  ck_assert (!morrow_future_await (never_settles, error));
  for (guint i = 0; i < 20; i++)
    {
      gboolean ok G_GNUC_UNUSED = morrow_await (morrow_shield (morrow_coroutine (clean_up_once, self, NULL)), NULL);
    }
  ck_assert_uint_le (morrow_future_get_cancelling (morrow_current_task ()), 2);
  return FALSE;
}

static gboolean
await_leftover (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine (wait_then_queue_much, data, NULL)), error);
}

static gboolean
leave_one_over_that_another_awaits (gpointer data, GValue *result, GError **error)
{
  CleanUp *clean_up = data;

  leave_over (await_leftover, clean_up);
  while (!atomic_load (&clean_up->is_waiting))
    ck_assert (morrow_yield (error));
  return TRUE;
}

START_TEST (leftover_that_another_awaits_is_asked_by_the_sweep_and_once_by_that)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  CleanUp clean_up = { .is_waiting = FALSE };

  run_scene_on (executor, leave_one_over_that_another_awaits, &clean_up);
}
END_TEST

static gboolean
await_next_of_circle (gpointer data, GValue *result, GError **error)
{
  ck_assert (!morrow_await (morrow_future_ref (*(MorrowFuture **) data), error));
  assert_cancelled (*error);
  say ("cancelled");
  return FALSE;
}

static gboolean
leave_a_circle_over (gpointer data, GValue *result, GError **error)
{
  MorrowFuture **tasks = data;

  for (guint i = 0; i < 3; i++)
    tasks[i] = morrow_create_task (morrow_coroutine (await_next_of_circle, &tasks[(i + 1) % 3], NULL));
  let_run ();
  return TRUE;
}

START_TEST (circle_of_leftovers_is_opened_by_the_cancel_that_comes_round)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);
  MorrowFuture *tasks[3];

  run_scene_on (loop, leave_a_circle_over, tasks);
  assert_said ("cancelled; cancelled; cancelled");
  for (guint i = 0; i < 3; i++)
    morrow_future_unref (tasks[i]);
}
END_TEST

/* Waits; cancelled, it fails otherwise. */
static gboolean
wait_and_fail (gpointer data, GValue *result, GError **error)
{
  ck_assert (!morrow_future_await (data, NULL));
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE, "the leftover failed");
  return FALSE;
}

static gboolean
leave_failing_over (gpointer data, GValue *result, GError **error)
{
  leave_over (wait_and_fail, data);
  let_run ();
  return morrow_return_int (result, 1);
}

START_TEST (run_05_leftover_that_fails_is_reported_and_mains_result_stands)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);

  morrow_check_expect_warning ("The error of Task-* was never looked at: the leftover failed");
  assert_runs_to (loop, morrow_coroutine (leave_failing_over, pending, NULL), 1);
}
END_TEST

static gboolean
leave_failing_over_and_fail (gpointer data, GValue *result, GError **error)
{
  leave_over (wait_and_fail, data);
  let_run ();
  return fail_with ((gpointer) "main failed", result, error);
}

START_TEST (run_06_where_main_fails_its_error_stands_and_leftovers_are_cleaned_up)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_autoptr (GError) error = NULL;

  morrow_check_expect_warning ("The error of Task-* was never looked at: the leftover failed");
  error = run_failing_on (loop, leave_failing_over_and_fail, pending);
  ck_assert_str_eq (error->message, "main failed");
}
END_TEST

static gboolean
say_and_finish (gpointer data, GValue *result, GError **error)
{
  say ("finished");
  return TRUE;
}

static gboolean
say_and_wait (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&promise);
  gboolean ok;

  say ("waits");
  ok = morrow_future_await (never_settles, error);
  ck_assert (!ok);
  say ("cancelled");
  return FALSE;
}

static gboolean
return_just_after_creating (gpointer data, GValue *result, GError **error)
{
  MorrowFuture **finishing = data;

  *finishing = morrow_create_task (morrow_coroutine (say_and_finish, NULL, NULL));
  leave_over (say_and_wait, NULL);
  say ("main returns");
  return TRUE;
}

START_TEST (run_07_task_made_just_before_main_returns_still_gets_its_first_step)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);
  g_autoptr (MorrowFuture) finishing = NULL;

  run_scene_on (loop, return_just_after_creating, &finishing);
  assert_said ("main returns; finished; waits; cancelled");
  ck_assert_int_eq (morrow_future_get_status (finishing), MORROW_FUTURE_RESOLVED);
}
END_TEST

/* More than a batch; and each writes, which uses up the turn of another. */
#define N_WRITERS 200

typedef struct
{
  MorrowFd *null;      /* owned */
  guint     n_begun;
} Writers;

static gboolean
write_a_byte (gpointer data, GValue *result, GError **error)
{
  Writers *self = data;

  self->n_begun++;
  return morrow_fd_write (self->null, "x", 1, G_MAXINT64, error) == 1;
}

static gboolean
return_just_after_creating_many (gpointer data, GValue *result, GError **error)
{
  for (guint i = 0; i < N_WRITERS; i++)
    leave_over (write_a_byte, data);
  return TRUE;
}

START_TEST (all_tasks_made_just_before_main_returns_still_get_their_first_step)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);
  Writers writers = { .null = morrow_fd_new (open ("/dev/null", O_WRONLY | O_CLOEXEC)) };

  run_scene_on (loop, return_just_after_creating_many, &writers);
  ck_assert_uint_eq (writers.n_begun, N_WRITERS);
  morrow_fd_unref (writers.null);
}
END_TEST

/* One that yields on and on, and counts its steps; main yields so many times, and then returns. */
typedef struct
{
  guint n_yields;
  guint n_steps;
} Endless;

static gboolean
count_steps (gpointer data, GValue *result, GError **error)
{
  Endless *self = data;

  do
    self->n_steps++;
  while (morrow_yield (error));
  return FALSE;
}

static gboolean
return_beside_endless (gpointer data, GValue *result, GError **error)
{
  Endless *self = data;

  leave_over (count_steps, self);
  for (guint i = 0; i < self->n_yields; i++)
    if (!morrow_yield (error))
      return FALSE;
  return TRUE;
}

START_TEST (run_07_task_that_yields_on_and_on_takes_one_more_step_when_main_has_returned)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);
  Endless at_once = { .n_yields = 0 }, later = { .n_yields = 5 };

  run_scene_on (loop, return_beside_endless, &at_once);
  ck_assert_uint_eq (at_once.n_steps, 1);
  run_scene_on (loop, return_beside_endless, &later);
  ck_assert_uint_eq (later.n_steps, 6);
}
END_TEST

/* --- without a run ----------------------------------------------------------------------------- */

static gboolean
yield_on_and_on (gpointer data, GValue *result, GError **error)
{
  while (morrow_yield (error))
    ;
  say ("cancelled");
  return FALSE;
}

/* A task on a loop whose own context is turned by hand until it yields, or waits. */
static MorrowFuture *
begin_by_hand (MorrowExecutor *loop, gboolean waits)
{
  MorrowFuture *task = morrow_executor_spawn (loop, morrow_coroutine (waits ? say_and_wait : yield_on_and_on, NULL, NULL));

  for (guint i = 0; i < 3; i++)
    g_main_context_iteration (morrow_loop_get_context (MORROW_LOOP (loop)), FALSE);
  return task;
}

START_TEST (loop_whose_context_was_turned_by_hand_ends_its_tasks_when_it_is_let_go)
{
  MorrowExecutor *loop = morrow_loop_new (NULL);
  g_autoptr (MorrowFuture) task = begin_by_hand (loop, _i);

  g_object_unref (loop);
  ck_assert (morrow_future_is_cancelled (task));
  assert_said (_i ? "waits; cancelled" : "cancelled");
}
END_TEST

static gpointer
let_go (gpointer data)
{
  g_object_unref (data);
  return NULL;
}

START_TEST (loop_that_another_thread_lets_go_of_ends_its_tasks_where_its_context_is_turned)
{
  MorrowExecutor *loop = morrow_loop_new (NULL);
  g_autoptr (GMainContext) context = g_main_context_ref (morrow_loop_get_context (MORROW_LOOP (loop)));
  g_autoptr (MorrowFuture) task = begin_by_hand (loop, _i);

  g_thread_join (g_thread_new ("lets go", let_go, loop));
  ck_assert_int_eq (morrow_future_get_status (task), MORROW_FUTURE_PENDING);
  turn_until_settled (context, task);
  ck_assert (morrow_future_is_cancelled (task));
  assert_said (_i ? "waits; cancelled" : "cancelled");
}
END_TEST

/* --- the end ----------------------------------------------------------------------------------- */

typedef struct
{
  MorrowExecutor *executor;
  MorrowFuture   *main;       /* owned */
  atomic_int      ended;
} Portal;

/* On a thread: when main has ended, asks its executor for one thing more, and waits for what comes of it. */
static gboolean
call_back_when_main_has_ended (gpointer data, GValue *result, GError **error)
{
  Portal *self = data;
  g_autoptr (MorrowFuture) task = NULL;
  gboolean ok;

  ok = morrow_future_wait (self->main, error);
  ck_assert (ok);
  task = morrow_executor_spawn (self->executor, morrow_coroutine (say_and_wait, NULL, NULL));
  ok = morrow_future_wait (task, NULL);
  ck_assert (!ok);
  atomic_store (&self->ended, TRUE);
  return TRUE;
}

static gboolean
leave_a_thread_over (gpointer data, GValue *result, GError **error)
{
  Portal *portal = data;

  portal->main = morrow_future_ref (morrow_current_task ());
  morrow_future_unref (morrow_create_task (morrow_to_thread (call_back_when_main_has_ended, portal, NULL)));
  return TRUE;
}

START_TEST (run_08_threads_are_joined_before_the_run_returns_and_can_call_back_till_then)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  Portal portal = { .executor = executor };

  run_scene_on (executor, leave_a_thread_over, &portal);
  ck_assert (atomic_load (&portal.ended));
  morrow_future_unref (portal.main);
  g_free (take_said ());
}
END_TEST

static gboolean
say_callback (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  say ("called back");
  leave_over (say_and_wait, NULL);
  return TRUE;
}

static gboolean
wait_for_main (gpointer data, GValue *result, GError **error)
{
  gboolean ok = morrow_future_wait (data, error);

  morrow_future_unref (data);
  return ok;
}

static gboolean
leave_a_callback_over (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) thread = morrow_to_thread (wait_for_main, morrow_future_ref (morrow_current_task ()), NULL);

  morrow_future_unref (morrow_future_then (thread, say_callback, NULL, NULL));
  return TRUE;
}

START_TEST (callback_on_a_thread_that_is_joined_runs_and_what_it_starts_is_swept)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);

  run_scene_on (loop, leave_a_callback_over, NULL);
  assert_said ("called back");
}
END_TEST

/* What the caller of a run has on its stack, and what is queued may look at until the run returns. */
typedef struct
{
  MorrowFuture *main;       /* owned by the test */
  atomic_uint   n_called;
} Frame;

#define N_CALLBACKS 20

/* It would be late, if nobody waited for it. */
static void
outlast_main (Frame *frame)
{
  while (morrow_future_get_status (frame->main) == MORROW_FUTURE_PENDING)
    g_thread_yield ();
  g_usleep (1000);
}

static gboolean
outlast_main_and_attach (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  Frame *frame = data;

  outlast_main (frame);
  if (atomic_fetch_add (&frame->n_called, 1) < N_CALLBACKS)
    morrow_future_unref (morrow_future_finally (settled, outlast_main_and_attach, frame, NULL));
  return TRUE;
}

static gboolean
leave_callbacks_over (gpointer data, GValue *result, GError **error)
{
  Frame *frame = data;
  g_autoptr (MorrowFuture) settled = new_int (1);

  frame->main = morrow_future_ref (morrow_current_task ());
  for (guint i = 0; i < N_CALLBACKS; i++)
    morrow_future_unref (morrow_future_then (settled, outlast_main_and_attach, frame, NULL));
  return TRUE;
}

START_TEST (callbacks_that_are_queued_and_those_that_they_attach_are_called_before_the_run_returns)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  Frame frame = { .main = NULL };

  run_scene_on (executor, leave_callbacks_over, &frame);
  ck_assert_uint_eq (atomic_load (&frame.n_called), 2 * N_CALLBACKS);
  morrow_future_unref (frame.main);
}
END_TEST

static void
work_beyond_main (gpointer data)
{
  Frame *frame = data;

  outlast_main (frame);
  atomic_fetch_add (&frame->n_called, 1);
}

static gboolean
leave_work_over (gpointer data, GValue *result, GError **error)
{
  Frame *frame = data;

  frame->main = morrow_future_ref (morrow_current_task ());
  for (guint i = 0; i < N_CALLBACKS; i++)
    morrow_executor_submit (morrow_executor_get_current (), work_beyond_main, frame, NULL);
  return TRUE;
}

START_TEST (work_that_was_submitted_is_done_before_the_run_returns)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  Frame frame = { .main = NULL };

  run_scene_on (executor, leave_work_over, &frame);
  ck_assert_uint_eq (atomic_load (&frame.n_called), N_CALLBACKS);
  morrow_future_unref (frame.main);
}
END_TEST

static gboolean
count_call (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  atomic_fetch_add ((atomic_uint *) data, 1);
  return TRUE;
}

static gboolean
leave_a_short_thread_over (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) thread = morrow_to_thread (return_int, GINT_TO_POINTER (1), NULL);

  morrow_future_unref (morrow_future_then (thread, count_call, data, NULL));
  return TRUE;
}

/* The thread is done while the run looks whether it is. */
START_TEST (callback_on_a_thread_that_ends_with_the_run_is_called_before_the_run_returns)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  atomic_uint n_called = 0;

  for (guint i = 0; i < 1000 / morrow_check_slowness (); i++)
    {
      run_scene_on (executor, leave_a_short_thread_over, &n_called);
      ck_assert_uint_eq (atomic_load (&n_called), i + 1);
    }
}
END_TEST

static gboolean
leave_a_sleep_over (gpointer data, GValue *result, GError **error)
{
  morrow_future_unref (morrow_sleep (3600));
  return morrow_await (morrow_sleep (0), error);
}

START_TEST (run_on_a_loop_leaves_nothing_behind)
{
  guint n_descriptors = 0;

  for (guint i = 0; i < 3; i++)
    {
      MorrowExecutor *executors[] = { morrow_loop_new (NULL), morrow_loop_pool_new (2) };

      run_scene_on (executors[0], leave_a_sleep_over, NULL);
      run_scene_on (executors[1], leave_a_sleep_over, NULL);
      g_object_unref (executors[0]);
      g_object_unref (executors[1]);
      if (i == 0)
        n_descriptors = count_descriptors ();   /* GLib keeps one of its own */
    }
  ck_assert_uint_eq (count_descriptors (), n_descriptors);
}
END_TEST

/* --- the main function ------------------------------------------------------------------------- */

START_TEST (run_main_returns_0_when_main_succeeds)
{
  ck_assert_int_eq (morrow_run_main (return_nothing, NULL), 0);
}
END_TEST

START_TEST (run_main_prints_the_error_and_returns_1)
{
  FILE *printed = tmpfile ();
  char line[80] = "";
  int stderr_before = dup (STDERR_FILENO);
  int status;

  g_set_prgname ("program");
  dup2 (fileno (printed), STDERR_FILENO);
  status = morrow_run_main (fail_with, (gpointer) "it went wrong");
  dup2 (stderr_before, STDERR_FILENO);

  rewind (printed);
  ck_assert_ptr_nonnull (fgets (line, sizeof line, printed));
  ck_assert_str_eq (line, "program: it went wrong\n");
  ck_assert_int_eq (status, 1);
  fclose (printed);
  close (stderr_before);
}
END_TEST

static gboolean
spoil_errno (gpointer data, GValue *result, GError **error)
{
  errno = EDOM;
  return TRUE;
}

static gboolean
keep_errno (gpointer data, GValue *result, GError **error)
{
  morrow_future_unref (morrow_spawn (spoil_errno, NULL, NULL));
  errno = EXDEV;
  ck_assert (morrow_yield (error));
  ck_assert_int_eq (errno, EXDEV);
  return morrow_await (morrow_sleep (0.001), error);
}

static gpointer
run_once (gpointer executor)
{
  run_scene_on (executor, keep_errno, NULL);
  return NULL;
}

START_TEST (threads_run_a_loop_by_turns_and_each_keeps_its_own_errno)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);

  for (guint i = 0; i < 3; i++)
    {
      g_thread_join (g_thread_new ("other", run_once, loop));
      run_once (loop);
    }
}
END_TEST

static Suite *
run_suite (void)
{
  Suite *suite = suite_create ("run");
  TCase *gives = morrow_check_add_case (suite, "gives");
  TCase *leftovers = morrow_check_add_case (suite, "leftovers");
  TCase *end = morrow_check_add_case (suite, "end");

  tcase_add_loop_test (gives, run_01_run_returns_what_main_returns, 0, N_MODELS);
  tcase_add_loop_test (gives, run_01_run_fails_as_main_fails, 0, N_MODELS);
  tcase_add_loop_test (gives, run_of_main_without_a_value_leaves_the_result_unset, 0, N_MODELS);
  tcase_add_loop_test (gives, executor_can_run_again_and_again, 0, N_MODELS);
  tcase_add_loop_test (gives, run_02_run_inside_a_run_is_refused_before_anything_is_made, 0, N_MODELS);
  tcase_add_loop_test (gives, run_02_run_inside_a_task_is_refused, 0, N_MODELS);
  tcase_add_loop_test (gives, second_run_on_an_executor_is_refused_and_the_first_goes_on, 0, N_MODELS);
  tcase_add_test (gives, refused_run_leaves_alone_what_runs_already);
  tcase_add_test (gives, threads_run_a_loop_by_turns_and_each_keeps_its_own_errno);
  tcase_add_loop_test (gives, run_03_run_takes_anything_that_can_be_awaited, 0, N_MODELS);
  tcase_add_test (gives, run_main_returns_0_when_main_succeeds);
  tcase_add_test (gives, run_main_prints_the_error_and_returns_1);

  tcase_add_test (leftovers, run_04_leftover_tasks_are_all_cancelled_then_all_awaited);
  tcase_add_loop_test (leftovers, run_04_in_a_leftover_every_further_wait_fails, 0, MODEL_INLINE);
  tcase_add_loop_test (leftovers, run_04_coroutine_under_a_shield_and_what_it_starts_can_wait_in_a_leftovers_clean_up, 0, MODEL_INLINE);
  tcase_add_loop_test (leftovers, run_04_what_started_last_in_a_clean_up_is_waited_for, 0, MODEL_INLINE);
  tcase_add_loop_test (leftovers, run_04_what_a_gather_with_a_limit_starts_later_is_part_of_the_clean_up, 0, MODEL_INLINE);
  tcase_add_loop_test (leftovers, leftover_that_another_awaits_is_asked_by_the_sweep_and_once_by_that, 0, MODEL_INLINE);
  tcase_add_test (leftovers, circle_of_leftovers_is_opened_by_the_cancel_that_comes_round);
  tcase_add_loop_test (leftovers, shd_08_coroutine_that_a_shield_started_before_the_end_of_the_run_is_cancelled_by_it, 0, MODEL_INLINE);
  tcase_add_test (leftovers, run_05_leftover_that_fails_is_reported_and_mains_result_stands);
  tcase_add_test (leftovers, run_06_where_main_fails_its_error_stands_and_leftovers_are_cleaned_up);
  tcase_add_test (leftovers, run_07_task_made_just_before_main_returns_still_gets_its_first_step);
  tcase_add_test (leftovers, all_tasks_made_just_before_main_returns_still_get_their_first_step);
  tcase_add_test (leftovers, run_07_task_that_yields_on_and_on_takes_one_more_step_when_main_has_returned);
  tcase_add_loop_test (leftovers, loop_whose_context_was_turned_by_hand_ends_its_tasks_when_it_is_let_go, 0, 2);
  tcase_add_loop_test (leftovers, loop_that_another_thread_lets_go_of_ends_its_tasks_where_its_context_is_turned, 0, 2);

  tcase_add_loop_test (end, run_08_threads_are_joined_before_the_run_returns_and_can_call_back_till_then, 0, MODEL_INLINE);
  tcase_add_test (end, callback_on_a_thread_that_is_joined_runs_and_what_it_starts_is_swept);
  tcase_add_loop_test (end, callbacks_that_are_queued_and_those_that_they_attach_are_called_before_the_run_returns, 0, N_MODELS);
  tcase_add_loop_test (end, work_that_was_submitted_is_done_before_the_run_returns, 0, N_MODELS);
  tcase_add_loop_test (end, callback_on_a_thread_that_ends_with_the_run_is_called_before_the_run_returns, 0, N_MODELS);
  tcase_add_test (end, run_on_a_loop_leaves_nothing_behind);

  return suite;
}

MORROW_CHECK_MAIN (run_suite)
