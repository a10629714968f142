/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cancelling tasks: counted, delivered once at a suspension point, passed down, taken back.
 */
#include "config.h"

#include <stdatomic.h>

#include "core/future-private.h"
#include "exec/scene.h"
#include "exec/task-private.h"

/* A pending future, and a task that does something with it. */
typedef struct
{
  MorrowPromise *promise;
  MorrowFuture  *pending;
  MorrowFuture  *task;
} Stage;

static MorrowFuture *
start (MorrowCoroutineFunc func, gpointer data)
{
  return morrow_create_task (morrow_coroutine (func, data, NULL));
}

static void
stage_init (Stage *self, MorrowCoroutineFunc func)
{
  self->pending = new_pending (&self->promise);
  self->task = start (func, self);
}

static void
stage_clear (Stage *self)
{
  morrow_promise_resolve (self->promise);
  morrow_promise_unref (self->promise);
  morrow_future_unref (self->pending);
  morrow_future_unref (self->task);
}

/* Awaits the pending future, and says how that ended. */
static gboolean
await_and_say (Stage *self, GError **error)
{
  gboolean ok = morrow_future_await (self->pending, error);

  say ("%s", ok ? "got it" : g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ? "cancelled" : "failed");
  return ok;
}

static gboolean
await_stage (gpointer data, GValue *result, GError **error)
{
  return await_and_say (data, error) && morrow_return_int (result, 1);
}

/* --- requests ---------------------------------------------------------------------------------- */

SCENE (can_01_cancelling_what_is_done_is_refused)
{
  g_autoptr (MorrowFuture) task = start (return_int, GINT_TO_POINTER (3));

  await_ok (task);
  ck_assert (!morrow_future_cancel (task));
  ck_assert_uint_eq (morrow_future_get_cancelling (task), 0);
  ck_assert (!morrow_future_is_cancelled (task));
  ck_assert_int_eq (morrow_future_get_int (task), 3);
  return TRUE;
}

SCENE (can_01_each_request_is_counted)
{
  Stage stage;

  stage_init (&stage, await_stage);
  let_run ();
  ck_assert_uint_eq (morrow_future_get_cancelling (stage.task), 0);
  ck_assert (morrow_future_cancel (stage.task));
  ck_assert_uint_eq (morrow_future_get_cancelling (stage.task), 1);
  ck_assert (morrow_future_cancel (stage.task));
  ck_assert_uint_eq (morrow_future_get_cancelling (stage.task), 2);
  await_cancelled (stage.task);
  ck_assert (morrow_future_is_cancelled (stage.task));
  ck_assert_uint_eq (morrow_future_get_cancelling (stage.task), 2);
  stage_clear (&stage);
  return TRUE;
}

/* Swallows a cancel of its first wait, then yields, and counts the requests that it was given. */
static gboolean
count_deliveries (gpointer data, GValue *result, GError **error)
{
  Stage *self = data;
  int n = 0;

  n += morrow_future_await (self->pending, NULL) ? 0 : 1;
  for (int i = 0; i < 3; i++)
    n += morrow_yield (NULL) ? 0 : 1;
  say ("%u requests", morrow_future_get_cancelling (morrow_current_task ()));
  return morrow_return_int (result, n);
}

SCENE (can_02_two_requests_before_it_resumes_are_delivered_once)
{
  Stage stage;

  stage_init (&stage, count_deliveries);
  let_run ();
  ck_assert (morrow_future_cancel (stage.task));
  ck_assert (morrow_future_cancel (stage.task));
  await_ok (stage.task);
  ck_assert_int_eq (morrow_future_get_int (stage.task), 1);
  assert_said ("2 requests");
  stage_clear (&stage);
  return TRUE;
}

SCENE (can_02_request_after_a_delivery_is_delivered_again)
{
  Stage stage;

  stage_init (&stage, count_deliveries);
  let_run ();
  ck_assert (morrow_future_cancel (stage.task));
  ck_assert (morrow_yield (error));                  /* the first is delivered, the task yields */
  ck_assert (morrow_future_cancel (stage.task));
  await_ok (stage.task);
  ck_assert_int_eq (morrow_future_get_int (stage.task), 2);
  assert_said ("2 requests");
  stage_clear (&stage);
  return TRUE;
}

SCENE (can_03_cancelled_before_its_first_step_the_body_never_runs)
{
  Stage stage;

  stage_init (&stage, await_stage);
  ck_assert (morrow_future_cancel (stage.task));
  ck_assert (!morrow_future_is_settled (stage.task));
  await_cancelled (stage.task);
  assert_said ("");
  ck_assert (!morrow_future_is_settled (stage.pending));
  stage_clear (&stage);
  return TRUE;
}

static void
say_freed (gpointer data)
{
  say ("%s freed", (const char *) data);
}

SCENE (can_03_data_of_a_body_that_never_runs_is_released)
{
  MorrowFuture *task = morrow_create_task (morrow_coroutine (fail_with, (gpointer) "data", say_freed));

  morrow_future_cancel (task);
  await_cancelled (task);
  assert_said ("data freed");
  morrow_future_unref (task);
  return TRUE;
}

/* --- passed down ------------------------------------------------------------------------------- */

static gboolean
await_and_say_name (gpointer data, GValue *result, GError **error)
{
  g_autofree char *name = morrow_future_dup_name (morrow_current_task ());
  gboolean ok = morrow_future_await (data, error);

  say ("%s %s", name, ok ? "got it" : (*error)->message);
  return ok;
}

SCENE (can_04_cancel_reaches_the_innermost_future_and_unwinds_from_there)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_autoptr (MorrowFuture) inner = start (await_and_say_name, pending);
  g_autoptr (MorrowFuture) outer = start (await_and_say_name, inner);

  morrow_future_set_name (inner, "inner");
  morrow_future_set_name (outer, "outer");
  let_run ();
  ck_assert (morrow_future_cancel_with_message (outer, "enough"));
  ck_assert (morrow_future_is_cancelled (pending));
  ck_assert_uint_eq (morrow_future_get_cancelling (inner), 1);
  await_cancelled (outer);
  ck_assert (morrow_future_is_cancelled (inner));
  ck_assert (morrow_future_is_cancelled (outer));
  assert_said ("inner enough; outer enough");
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (can_04_sleep_is_cancelled_with_the_task_that_sleeps)
{
  g_autoptr (MorrowFuture) sleep = morrow_sleep (3600);
  g_autoptr (MorrowFuture) task = start (await_it, sleep);

  let_run ();
  morrow_future_cancel (task);
  await_cancelled (task);
  ck_assert (morrow_future_is_cancelled (sleep));
  return TRUE;
}

static void
drop_future (gpointer data, GObject *object)
{
  g_clear_pointer ((MorrowFuture **) data, morrow_future_unref);
  say ("dropped");
}

/* What fails lets go of its other futures and of their values, and with one of these of the last reference. */
SCENE (sleep_that_everybody_drops_while_it_is_cancelled_is_there_until_that_is_over)
{
  MorrowPromise *promise;
  MorrowFuture *sleep = morrow_sleep (3600);
  g_autoptr (MorrowFuture) all = morrow_all (new_pending (&promise), morrow_future_ref (sleep), NULL);
  GObject *object = g_object_new (G_TYPE_OBJECT, NULL);

  g_object_weak_ref (object, drop_future, &sleep);
  morrow_promise_resolve_object (promise, object);
  g_object_unref (object);
  morrow_promise_unref (promise);
  ck_assert (morrow_future_cancel (sleep));
  assert_said ("dropped");
  await_cancelled (all);
  return TRUE;
}

static gboolean
await_in_place (gpointer data, GValue *result, GError **error)
{
  gboolean ok = morrow_await (morrow_coroutine (await_stage, data, NULL), error);

  say ("%s", ok ? "outer got it" : "outer cancelled");
  return ok;
}

SCENE (can_04_cancel_comes_out_of_a_coroutine_that_runs_in_place)
{
  Stage stage;

  stage_init (&stage, await_in_place);
  let_run ();
  morrow_future_cancel (stage.task);
  await_cancelled (stage.task);
  assert_said ("cancelled; outer cancelled");
  stage_clear (&stage);
  return TRUE;
}

/* @func on a stack of its own, which is no smaller than another. */
static MorrowFuture *
sized (MorrowCoroutineFunc func, gpointer data)
{
  MorrowFuture *coroutine = morrow_coroutine (func, data, NULL);

  morrow_future_set_stack_size (coroutine, 512 * 1024);
  return coroutine;
}

static gboolean
await_sized (gpointer data, GValue *result, GError **error)
{
  gboolean ok = morrow_await (sized (await_stage, data), error);

  say ("%s", ok ? "outer got it" : "outer cancelled");
  return ok;
}

SCENE (cancel_comes_out_of_a_coroutine_with_a_stack_of_its_own)
{
  Stage stage;

  stage_init (&stage, await_sized);
  let_run ();
  morrow_future_cancel (stage.task);
  await_cancelled (stage.task);
  assert_said ("cancelled; outer cancelled");
  stage_clear (&stage);
  return TRUE;
}

static gboolean
cancel_oneself_then_await_sized (gpointer data, GValue *result, GError **error)
{
  morrow_future_cancel (morrow_current_task ());
  return await_sized (data, result, error);
}

SCENE (self_cancel_is_given_to_a_coroutine_with_a_stack_of_its_own_at_its_first_wait)
{
  Stage stage;

  stage_init (&stage, cancel_oneself_then_await_sized);
  await_cancelled (stage.task);
  assert_said ("cancelled; outer cancelled");
  stage_clear (&stage);
  return TRUE;
}

static gboolean
look_like_a_part (gpointer data, GValue *result, GError **error)
{
  ck_assert_ptr_eq (morrow_current_task (), data);
  ck_assert_uint_eq (morrow_future_get_cancelling (data), 1);
  return morrow_return_int (result, 42);
}

/* Its request waits for the next suspension point, and so do the others. */
static gboolean
await_a_part (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *self = morrow_current_task ();
  g_autoptr (MorrowFuture) other = start (return_int, NULL);

  morrow_future_cancel (self);
  ck_assert_int_eq (morrow_await_int (sized (look_like_a_part, self), NULL), 42);
  ck_assert (!morrow_future_is_settled (other));
  return morrow_yield (error);
}

SCENE (coroutine_with_a_stack_of_its_own_is_a_part_of_the_task_that_awaits_it)
{
  g_autoptr (MorrowFuture) task = start (await_a_part, NULL);

  await_cancelled (task);
  return TRUE;
}

static gboolean
clean_up_sized (gpointer data, GValue *result, GError **error)
{
  ck_assert (!await_and_say (data, error));
  ck_assert (!morrow_await (sized (await_stage, data), NULL));
  return FALSE;
}

/* data: a Stage. */
static gboolean
leave_a_clean_up (gpointer data, GValue *result, GError **error)
{
  stage_init (data, clean_up_sized);
  return morrow_yield (error);
}

START_TEST (clean_up_in_a_coroutine_with_a_stack_of_its_own_begins_at_the_end_of_a_run)
{
  Stage stage;

  run_scene (leave_a_clean_up, &stage);
  assert_said ("cancelled; cancelled");
  stage_clear (&stage);
}
END_TEST

/* Swallows one cancel and waits again. */
static gboolean
ignore_one_cancel (gpointer data, GValue *result, GError **error)
{
  Stage *self = data;
  g_autoptr (GError) swallowed = NULL;

  if (!morrow_await (morrow_sleep (3600), &swallowed))
    say ("ignored");
  return morrow_future_await (self->pending, error) && morrow_return_int (result, 4);
}

SCENE (can_05_waiter_of_a_task_that_ignores_the_cancel_stays_and_gets_its_value)
{
  Stage stage;
  g_autoptr (MorrowFuture) outer = NULL;

  stage_init (&stage, ignore_one_cancel);
  outer = start (await_it, stage.task);
  let_run ();
  ck_assert (morrow_future_cancel (outer));
  let_run ();
  assert_said ("ignored");
  ck_assert (!morrow_future_is_settled (outer));
  morrow_promise_resolve (stage.promise);
  await_ok (outer);
  ck_assert_int_eq (morrow_future_get_int (outer), 4);
  stage_clear (&stage);
  return TRUE;
}

SCENE (can_05_waiter_of_a_task_that_ignores_the_cancel_can_be_cancelled_again)
{
  Stage stage;
  g_autoptr (MorrowFuture) outer = NULL;

  stage_init (&stage, ignore_one_cancel);
  outer = start (await_it, stage.task);
  let_run ();
  ck_assert (morrow_future_cancel (outer));
  let_run ();
  ck_assert (morrow_future_cancel (outer));
  ck_assert_uint_eq (morrow_future_get_cancelling (outer), 2);
  await_cancelled (outer);
  ck_assert (morrow_future_is_cancelled (stage.task));
  assert_said ("ignored");
  stage_clear (&stage);
  return TRUE;
}

SCENE (can_06_cancel_beats_a_value_that_has_come_but_was_not_delivered)
{
  Stage stage;

  stage_init (&stage, await_stage);
  let_run ();
  ck_assert (morrow_promise_resolve_int (stage.promise, 8));
  ck_assert (morrow_future_cancel (stage.task));
  await_cancelled (stage.task);
  assert_said ("cancelled");
  ck_assert_int_eq (morrow_future_get_int (stage.pending), 8);
  stage_clear (&stage);
  return TRUE;
}

static gboolean
await_that (gpointer data, GValue *result, GError **error)
{
  return morrow_future_await (*(MorrowFuture **) data, error);
}

static void
cancel_circle_of (guint n)
{
  g_autofree MorrowFuture **tasks = g_new (MorrowFuture *, n);

  for (guint i = 0; i < n; i++)
    tasks[i] = morrow_create_task (morrow_coroutine (await_that, &tasks[(i + 1) % n], NULL));
  let_run ();
  ck_assert (morrow_future_cancel (tasks[0]));
  for (guint i = 0; i < n; i++)
    {
      await_cancelled (tasks[i]);
      morrow_future_unref (tasks[i]);
    }
}

/* The longer one does not fit into the calls that nest. */
SCENE (cancel_that_comes_round_a_circle_of_waits_ends_all_of_them)
{
  cancel_circle_of (3);
  cancel_circle_of (100);
  return TRUE;
}

/* --- cancelling oneself ------------------------------------------------------------------------ */

static gboolean
cancel_oneself_then_await (gpointer data, GValue *result, GError **error)
{
  ck_assert (morrow_future_cancel (morrow_current_task ()));
  say ("still here");
  return morrow_future_await (data, error);
}

SCENE (can_07_self_cancel_takes_effect_at_the_next_wait_and_reaches_what_is_awaited)
{
  MorrowPromise *promise;
  MorrowFuture *pending = new_pending (&promise);
  g_autoptr (MorrowFuture) inner = morrow_create_task (morrow_coroutine (await_it, pending, (GDestroyNotify) morrow_future_unref));
  g_autoptr (MorrowFuture) task = start (cancel_oneself_then_await, inner);

  await_cancelled (task);
  assert_said ("still here");
  ck_assert (morrow_future_is_cancelled (task));
  ck_assert (morrow_future_is_cancelled (inner));
  morrow_promise_unref (promise);
  return TRUE;
}

static gboolean
cancel_oneself_then_yield (gpointer data, GValue *result, GError **error)
{
  morrow_future_cancel_with_message (morrow_current_task (), "by myself");
  return morrow_yield (error);
}

SCENE (can_07_self_cancel_takes_effect_at_a_yield)
{
  g_autoptr (MorrowFuture) task = start (cancel_oneself_then_yield, NULL);

  await_cancelled (task);
  ck_assert_str_eq (morrow_future_get_error (task)->message, "by myself");
  return TRUE;
}

/* What has been awaited is gone, and what is made now may lie in its place. */
static void
assert_own_cancel_reaches_none (void)
{
  MorrowPromise *promises[64];
  MorrowFuture *futures[G_N_ELEMENTS (promises)], *coroutines[G_N_ELEMENTS (promises)];

  for (guint i = 0; i < G_N_ELEMENTS (promises); i++)
    {
      promises[i] = morrow_promise_new_with_future (&futures[i]);
      coroutines[i] = morrow_coroutine (return_int, NULL, NULL);
    }
  ck_assert (morrow_future_cancel (morrow_current_task ()));
  ck_assert_uint_eq (morrow_future_uncancel (morrow_current_task ()), 0);
  for (guint i = 0; i < G_N_ELEMENTS (promises); i++)
    {
      ck_assert (!morrow_future_is_settled (futures[i]) && !morrow_future_is_settled (coroutines[i]));
      morrow_resolve (promises[i]);
      morrow_future_unref (futures[i]);
      await_ok (coroutines[i]);
      morrow_future_unref (coroutines[i]);
    }
}

SCENE (can_07_self_cancel_reaches_nothing_that_was_awaited_before)
{
  ck_assert (morrow_await (morrow_sleep (0), NULL));
  assert_own_cancel_reaches_none ();
  ck_assert (morrow_await (start (return_int, NULL), NULL));
  assert_own_cancel_reaches_none ();
  return TRUE;
}

static gboolean
cancel_oneself_first (gpointer data, GValue *result, GError **error)
{
  assert_own_cancel_reaches_none ();
  return morrow_yield (error);
}

/* More at once than a loop keeps stacks for, twice. */
SCENE (can_07_self_cancel_on_a_used_stack_reaches_nothing)
{
  MorrowFuture *tasks[64];

  for (guint i = 0; i < 2 * G_N_ELEMENTS (tasks); i++)
    {
      MorrowFuture **task = &tasks[i % G_N_ELEMENTS (tasks)];

      if (i >= G_N_ELEMENTS (tasks))
        {
          await_ok (*task);
          morrow_future_unref (*task);
        }
      *task = start (cancel_oneself_first, NULL);
    }
  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    {
      await_ok (tasks[i]);
      morrow_future_unref (tasks[i]);
    }
  return TRUE;
}

/* As one from another thread, which has found it pending just before it ended. Its stack is the next task's by now. */
SCENE (request_that_comes_to_a_task_that_has_ended_leaves_no_number_on_its_stack)
{
  g_autoptr (MorrowFuture) task = start (return_int, NULL);
  MorrowWait *wait;

  await_ok (task);
  wait = ((MorrowTask *) task)->wait;
  atomic_store (&wait->request, 77);
  morrow__task_cancel (task, NULL);
  ck_assert_uint_eq (atomic_exchange (&wait->request, 0), 77);
  return TRUE;
}

static gboolean
cancel_oneself_then_return (gpointer data, GValue *result, GError **error)
{
  morrow_future_cancel_with_message (morrow_current_task (), "by myself");
  return morrow_return_string (result, "dropped");
}

SCENE (can_08_self_cancel_then_return_ends_cancelled)
{
  g_autoptr (MorrowFuture) task = start (cancel_oneself_then_return, NULL);

  await_cancelled (task);
  ck_assert (morrow_future_is_cancelled (task));
  ck_assert_str_eq (morrow_future_get_error (task)->message, "by myself");
  return TRUE;
}

static gboolean
cancel_oneself_then_fail (gpointer data, GValue *result, GError **error)
{
  morrow_future_cancel (morrow_current_task ());
  return fail_with ((gpointer) "real", result, error);
}

SCENE (can_08_self_cancel_then_failure_ends_with_the_failure)
{
  g_autoptr (MorrowFuture) task = start (cancel_oneself_then_fail, NULL);
  g_autoptr (GError) failure = await_error (task);

  ck_assert_str_eq (failure->message, "real");
  ck_assert (!morrow_future_is_cancelled (task));
  return TRUE;
}

SCENE (can_08_awaiting_what_is_done_does_not_take_the_cancel)
{
  g_autoptr (MorrowFuture) done = new_int (1);
  g_autoptr (MorrowFuture) task = start (cancel_oneself_then_await, done);

  await_cancelled (task);
  assert_said ("still here");
  ck_assert (morrow_future_is_cancelled (task));
  return TRUE;
}

/* --- caught ------------------------------------------------------------------------------------ */

static gboolean
catch_and_return (gpointer data, GValue *result, GError **error)
{
  ck_assert (!morrow_future_await (((Stage *) data)->pending, NULL));
  return morrow_return_int (result, 6);
}

SCENE (can_09_cancel_caught_and_returned_from_is_a_normal_result)
{
  Stage stage;

  stage_init (&stage, catch_and_return);
  let_run ();
  ck_assert (morrow_future_cancel (stage.task));
  await_ok (stage.task);
  ck_assert (!morrow_future_is_cancelled (stage.task));
  ck_assert_int_eq (morrow_future_get_int (stage.task), 6);
  stage_clear (&stage);
  return TRUE;
}

static gboolean
catch_and_go_on (gpointer data, GValue *result, GError **error)
{
  MorrowPromise *second;
  g_autoptr (MorrowFuture) pending = new_pending (&second);

  ck_assert (!morrow_future_await (((Stage *) data)->pending, NULL));
  ck_assert (morrow_yield (error));
  morrow_future_unref (morrow_create_task (morrow_coroutine (return_int, NULL, NULL)));
  morrow_promise_resolve (second);
  morrow_promise_unref (second);
  ck_assert (morrow_await (morrow_create_task (morrow_coroutine (return_int, NULL, NULL)), error));
  return morrow_future_await (pending, error) && morrow_return_int (result, 6);
}

SCENE (can_09_cancel_caught_leaves_the_next_waits_alone)
{
  Stage stage;

  stage_init (&stage, catch_and_go_on);
  let_run ();
  ck_assert (morrow_future_cancel (stage.task));
  await_ok (stage.task);
  ck_assert_int_eq (morrow_future_get_int (stage.task), 6);
  ck_assert_uint_eq (morrow_future_get_cancelling (stage.task), 1);
  stage_clear (&stage);
  return TRUE;
}

static gboolean
catch_and_fail (gpointer data, GValue *result, GError **error)
{
  ck_assert (!morrow_future_await (((Stage *) data)->pending, NULL));
  return fail_with ((gpointer) "worse", result, error);
}

SCENE (can_10_cancel_turned_into_another_error_is_that_error)
{
  Stage stage;
  g_autoptr (GError) failure = NULL;

  stage_init (&stage, catch_and_fail);
  let_run ();
  ck_assert (morrow_future_cancel (stage.task));
  failure = await_error (stage.task);
  ck_assert_str_eq (failure->message, "worse");
  ck_assert (!morrow_future_is_cancelled (stage.task));
  stage_clear (&stage);
  return TRUE;
}

/* --- messages ---------------------------------------------------------------------------------- */

SCENE (can_11_message_travels_through_tasks_and_gathers)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_autoptr (MorrowFuture) leaf = start (await_it, pending);
  g_autoptr (MorrowFuture) gather = morrow_gather (morrow_future_ref (leaf), NULL);
  g_autoptr (MorrowFuture) outer = start (await_it, gather);

  let_run ();
  morrow_future_cancel_with_message (outer, "closing time");
  await_cancelled (outer);
  ck_assert_str_eq (morrow_future_get_error (pending)->message, "closing time");
  ck_assert_str_eq (morrow_future_get_error (leaf)->message, "closing time");
  ck_assert_str_eq (morrow_future_get_error (gather)->message, "closing time");
  ck_assert_str_eq (morrow_future_get_error (outer)->message, "closing time");
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (can_11_message_of_a_cancel_before_the_first_step)
{
  Stage stage;

  stage_init (&stage, await_stage);
  morrow_future_cancel_with_message (stage.task, "too late");
  await_cancelled (stage.task);
  ck_assert_str_eq (morrow_future_get_error (stage.task)->message, "too late");
  stage_clear (&stage);
  return TRUE;
}

SCENE (can_11_last_message_counts_before_the_first_step)
{
  Stage stage;

  stage_init (&stage, await_stage);
  morrow_future_cancel_with_message (stage.task, "first");
  morrow_future_cancel_with_message (stage.task, "second");
  await_cancelled (stage.task);
  ck_assert_str_eq (morrow_future_get_error (stage.task)->message, "second");
  stage_clear (&stage);
  return TRUE;
}

/* Of several requests that come while it waits the first ends the wait. */
static void
assert_first_message_counts (Stage *stage, const char *other)
{
  let_run ();
  morrow_future_cancel_with_message (stage->task, "first");
  morrow_future_cancel_with_message (stage->task, other);
  await_cancelled (stage->task);
  ck_assert_str_eq (morrow_future_get_error (stage->task)->message, "first");
  ck_assert_uint_eq (morrow_future_get_cancelling (stage->task), 2);
}

SCENE (can_11_first_message_counts_where_it_ends_a_wait)
{
  const char *const others[] = { "second", NULL };

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      Stage stage;

      stage_init (&stage, await_stage);
      assert_first_message_counts (&stage, others[i]);
      stage_clear (&stage);
    }
  return TRUE;
}

/* The task detaches, and the other goes on to wait. */
SCENE (can_11_first_message_counts_where_another_waits_for_the_same)
{
  Stage stage;
  g_autoptr (MorrowFuture) other = NULL;

  stage_init (&stage, await_stage);
  other = start (await_it, stage.pending);
  assert_first_message_counts (&stage, "second");
  stage_clear (&stage);
  await_ok (other);
  return TRUE;
}

SCENE (can_11_message_of_what_is_awaited_stays_when_a_request_follows)
{
  Stage stage;

  stage_init (&stage, await_stage);
  let_run ();
  morrow_future_cancel_with_message (stage.pending, "first");
  morrow_future_cancel_with_message (stage.task, "second");
  await_cancelled (stage.task);
  ck_assert_str_eq (morrow_future_get_error (stage.task)->message, "first");
  stage_clear (&stage);
  return TRUE;
}

/* It is the request that counts then, and its error. */
SCENE (can_11_message_of_a_request_that_follows_a_failure_counts)
{
  Stage stage;

  stage_init (&stage, await_stage);
  let_run ();
  morrow_promise_reject (stage.promise, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "no luck"));
  morrow_future_cancel_with_message (stage.task, "second");
  await_cancelled (stage.task);
  ck_assert_str_eq (morrow_future_get_error (stage.task)->message, "second");
  ck_assert_str_eq (morrow_future_get_error (stage.pending)->message, "no luck");
  stage_clear (&stage);
  return TRUE;
}

SCENE (can_11_message_is_forgotten_when_a_request_without_one_follows)
{
  Stage stage;

  stage_init (&stage, await_stage);
  morrow_future_cancel_with_message (stage.task, "first");
  morrow_future_cancel (stage.task);
  await_cancelled (stage.task);
  ck_assert_str_ne (morrow_future_get_error (stage.task)->message, "first");
  stage_clear (&stage);
  return TRUE;
}

SCENE (can_11_message_of_a_request_taken_back_is_forgotten)
{
  Stage stage;

  stage_init (&stage, await_stage);
  morrow_future_cancel_with_message (stage.task, "withdrawn");
  morrow_future_uncancel (stage.task);
  morrow_future_cancel (stage.task);
  await_cancelled (stage.task);
  ck_assert_str_ne (morrow_future_get_error (stage.task)->message, "withdrawn");
  stage_clear (&stage);
  return TRUE;
}

/* Whether they are given it or not. */
SCENE (can_11_each_task_has_its_own_message)
{
  static const char *const messages[] = { "one", "two", "three" };
  Stage stages[G_N_ELEMENTS (messages)], unasked;

  stage_init (&unasked, await_stage);
  for (guint i = 0; i < G_N_ELEMENTS (stages); i++)
    {
      stage_init (&stages[i], await_stage);
      morrow_future_cancel_with_message (stages[i].task, messages[i]);
    }
  morrow_future_cancel_with_message (unasked.task, "withdrawn");
  morrow_future_uncancel (unasked.task);

  for (guint i = 0; i < G_N_ELEMENTS (stages); i++)
    {
      await_cancelled (stages[i].task);
      ck_assert_str_eq (morrow_future_get_error (stages[i].task)->message, messages[i]);
      stage_clear (&stages[i]);
    }
  morrow_promise_resolve (unasked.promise);
  await_ok (unasked.task);
  stage_clear (&unasked);
  return TRUE;
}

static gboolean
refuse (MorrowFuture *self, const char *message)
{
  say ("asked: %s", message);
  return FALSE;
}

static void
refusing_free (MorrowFuture *self)
{
  morrow__future_free (self, sizeof (MorrowFuture));
}

static MorrowFutureOps refusing_ops = { .kind = "refusing", .cancel = refuse, .free_kind = refusing_free };

/* Who refuses has settled, mostly, in that very moment. */
SCENE (message_of_a_request_that_what_is_awaited_refuses_comes_out_of_the_wait)
{
  MorrowFuture *refusing = morrow__future_alloc (sizeof (MorrowFuture), &refusing_ops);
  g_autoptr (MorrowFuture) task = NULL;

  morrow__future_init (refusing, &refusing_ops, NULL);
  task = start (await_it, refusing);
  let_run ();
  ck_assert (morrow_future_cancel_with_message (task, "not now"));
  assert_said ("asked: not now");
  morrow__future_resolve (refusing, NULL);
  await_cancelled (task);
  ck_assert_str_eq (morrow_future_get_error (task)->message, "not now");
  morrow_future_unref (refusing);
  return TRUE;
}

/* --- ending as cancelled ----------------------------------------------------------------------- */

static gboolean
fail_as_cancelled (gpointer data, GValue *result, GError **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "of my own accord");
  return FALSE;
}

SCENE (can_13_body_that_fails_as_cancelled_is_cancelled)
{
  g_autoptr (MorrowFuture) task = start (fail_as_cancelled, NULL);

  await_cancelled (task);
  ck_assert (morrow_future_is_cancelled (task));
  ck_assert_uint_eq (morrow_future_get_cancelling (task), 0);
  return TRUE;
}

SCENE (can_14_cancelled_futures_are_not_reported_as_unread)
{
  Stage stage;

  stage_init (&stage, await_stage);
  let_run ();
  morrow_future_cancel (stage.task);
  let_run ();
  assert_said ("cancelled");
  ck_assert (morrow_future_is_cancelled (stage.task));
  stage_clear (&stage);               /* nobody has looked */
  return TRUE;
}

/* --- taken back -------------------------------------------------------------------------------- */

SCENE (can_15_taking_back_counts_down_to_zero)
{
  Stage stage;

  stage_init (&stage, await_stage);
  morrow_future_cancel (stage.task);
  morrow_future_cancel (stage.task);
  morrow_future_cancel (stage.task);
  ck_assert_uint_eq (morrow_future_uncancel (stage.task), 2);
  ck_assert_uint_eq (morrow_future_get_cancelling (stage.task), 2);
  ck_assert_uint_eq (morrow_future_uncancel (stage.task), 1);
  ck_assert_uint_eq (morrow_future_uncancel (stage.task), 0);
  ck_assert_uint_eq (morrow_future_uncancel (stage.task), 0);
  morrow_promise_resolve (stage.promise);
  await_ok (stage.task);
  assert_said ("got it");
  stage_clear (&stage);
  return TRUE;
}

static gboolean
cancel_and_take_back (gpointer data, GValue *result, GError **error)
{
  morrow_future_cancel (morrow_current_task ());
  morrow_future_uncancel (morrow_current_task ());
  return morrow_yield (error) && morrow_return_int (result, 9);
}

SCENE (can_16_taken_back_before_delivery_it_has_no_effect)
{
  g_autoptr (MorrowFuture) task = start (cancel_and_take_back, NULL);

  await_ok (task);
  ck_assert_int_eq (morrow_future_get_int (task), 9);
  return TRUE;
}

SCENE (can_16_one_of_two_taken_back_leaves_the_other)
{
  Stage stage;

  stage_init (&stage, await_stage);
  morrow_future_cancel (stage.task);
  morrow_future_cancel (stage.task);
  ck_assert_uint_eq (morrow_future_uncancel (stage.task), 1);
  await_cancelled (stage.task);
  stage_clear (&stage);
  return TRUE;
}

SCENE (can_17_taking_back_on_a_finished_task_changes_nothing_visible)
{
  Stage stage;

  stage_init (&stage, await_stage);
  let_run ();
  morrow_future_cancel (stage.task);
  await_cancelled (stage.task);
  ck_assert_uint_eq (morrow_future_uncancel (stage.task), 0);
  ck_assert (morrow_future_is_cancelled (stage.task));
  ck_assert (!morrow_future_cancel (stage.task));
  stage_clear (&stage);
  return TRUE;
}

/* What a time-out does: remembers how many requests there were, cancels the task, and turns the cancel into its own
 * error only when nobody else asked as well. */
static gboolean
limit_oneself (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *self = morrow_current_task ();
  guint requests = morrow_future_get_cancelling (self);
  GError *caught = NULL;

  morrow_future_cancel (self);                       /* the trigger */
  if (GPOINTER_TO_INT (data))
    morrow_future_cancel (self);                     /* somebody else */

  ck_assert (!morrow_yield (&caught));
  if (morrow_future_uncancel (self) > requests)
    {
      g_propagate_error (error, caught);
      return FALSE;
    }
  g_error_free (caught);
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "took too long");
  return FALSE;
}

SCENE (can_18_own_cancel_is_turned_into_ones_own_error)
{
  g_autoptr (MorrowFuture) task = start (limit_oneself, GINT_TO_POINTER (FALSE));
  g_autoptr (GError) failure = await_error (task);

  assert_error (failure, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  ck_assert_uint_eq (morrow_future_get_cancelling (task), 0);
  return TRUE;
}

SCENE (can_18_cancel_from_elsewhere_as_well_stays_a_cancel)
{
  g_autoptr (MorrowFuture) task = start (limit_oneself, GINT_TO_POINTER (TRUE));

  await_cancelled (task);
  ck_assert_uint_eq (morrow_future_get_cancelling (task), 1);
  return TRUE;
}

/* --- two waiters ------------------------------------------------------------------------------- */

SCENE (can_19_cancelling_one_of_two_waiters_leaves_the_future_to_the_other)
{
  Stage stage;
  g_autoptr (MorrowFuture) other = NULL;

  stage_init (&stage, await_stage);
  other = start (await_it, stage.pending);
  let_run ();
  ck_assert (morrow_future_cancel (stage.task));
  await_cancelled (stage.task);
  ck_assert (!morrow_future_is_settled (stage.pending));
  morrow_promise_resolve_int (stage.promise, 2);
  await_ok (other);
  ck_assert_int_eq (morrow_future_get_int (other), 2);
  assert_said ("cancelled");
  stage_clear (&stage);
  return TRUE;
}

SCENE (can_19_cancelling_the_last_waiter_cancels_the_future)
{
  Stage stage;
  g_autoptr (MorrowFuture) other = NULL;

  stage_init (&stage, await_stage);
  other = start (await_it, stage.pending);
  let_run ();
  morrow_future_cancel (stage.task);
  morrow_future_cancel (other);
  ck_assert (morrow_future_is_cancelled (stage.pending));
  await_cancelled (stage.task);
  await_cancelled (other);
  forget_said ();
  stage_clear (&stage);
  return TRUE;
}

static gboolean
ignore_settled (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

SCENE (can_19_callback_counts_as_somebody_who_waits)
{
  Stage stage;
  g_autoptr (MorrowFuture) called = NULL;

  stage_init (&stage, await_stage);
  called = morrow_future_then (stage.pending, ignore_settled, NULL, NULL);
  let_run ();
  morrow_future_cancel (stage.task);
  await_cancelled (stage.task);
  ck_assert (!morrow_future_is_settled (stage.pending));
  morrow_promise_resolve (stage.promise);
  await_ok (called);
  assert_said ("cancelled");
  stage_clear (&stage);
  return TRUE;
}

START_TEST (can_20_late_cancel_of_a_task_that_finished_at_once_is_refused)
{
  g_autoptr (MorrowExecutor) at_once = morrow_inline_new ();
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (at_once, morrow_coroutine (return_int, GINT_TO_POINTER (5), NULL));

  ck_assert (morrow_future_is_settled (task));
  ck_assert (!morrow_future_cancel (task));
  ck_assert_int_eq (morrow_future_get_int (task), 5);
}
END_TEST

/* --- what is no task --------------------------------------------------------------------------- */

START_TEST (cancel_of_a_promise_settles_it_at_once_and_counts_nothing)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);

  ck_assert_uint_eq (morrow_future_get_cancelling (pending), 0);
  ck_assert (morrow_future_cancel_with_message (pending, "unwanted"));
  ck_assert (morrow_future_is_cancelled (pending));
  ck_assert_str_eq (morrow_future_get_error (pending)->message, "unwanted");
  ck_assert_uint_eq (morrow_future_get_cancelling (pending), 0);
  ck_assert_uint_eq (morrow_future_uncancel (pending), 0);
  ck_assert (!morrow_promise_resolve (promise));
  morrow_promise_unref (promise);
}
END_TEST

static gboolean
await_a_shared_coroutine (gpointer data, GValue *result, GError **error)
{
  gboolean ok = morrow_future_await (data, error);

  say ("%s", ok ? "done" : (*error)->message);
  return ok;
}

SCENE (cancel_of_a_coroutine_that_runs_in_place_interrupts_it)
{
  MorrowPromise *promise;
  MorrowFuture *pending = new_pending (&promise);
  g_autoptr (MorrowFuture) coroutine = morrow_coroutine (await_it, pending, (GDestroyNotify) morrow_future_unref);
  g_autoptr (MorrowFuture) task = start (await_a_shared_coroutine, coroutine);

  let_run ();
  ck_assert (morrow_future_cancel_with_message (coroutine, "not you"));
  await_cancelled (task);
  ck_assert (morrow_future_is_cancelled (coroutine));
  ck_assert (morrow_future_is_cancelled (pending));
  assert_said ("not you");
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (cancel_of_another_waiter_leaves_a_coroutine_to_the_task_that_runs_it)
{
  Stage stage;
  g_autoptr (MorrowFuture) coroutine = NULL;
  g_autoptr (MorrowFuture) host = NULL;
  g_autoptr (MorrowFuture) other = NULL;

  stage_init (&stage, await_stage);
  coroutine = morrow_coroutine (await_it, stage.pending, NULL);
  host = start (await_it, coroutine);
  other = start (await_it, coroutine);
  let_run ();
  ck_assert (morrow_future_cancel (other));
  await_cancelled (other);
  ck_assert (!morrow_future_is_settled (coroutine));
  ck_assert_uint_eq (morrow_future_get_cancelling (host), 0);

  morrow_promise_resolve_int (stage.promise, 3);
  await_ok (host);
  ck_assert_int_eq (morrow_future_get_int (host), 3);
  await_ok (stage.task);
  assert_said ("got it");
  stage_clear (&stage);
  return TRUE;
}

/* A round of a race: main runs a coroutine in place, another thread cancels it. */
typedef struct
{
  atomic_uintptr_t coroutine;   /* main gives it, with a reference; the other thread takes it */
  atomic_int       accepted;    /* the other thread: what its cancel returned; -1 before */
  guint            n_rounds;
} Race;

static gpointer
cancel_each (gpointer data)
{
  Race *race = data;

  for (guint i = 0; i < race->n_rounds; i++)
    {
      MorrowFuture *coroutine;

      while ((coroutine = (MorrowFuture *) atomic_exchange (&race->coroutine, 0)) == NULL)
        g_thread_yield ();
      atomic_store (&race->accepted, morrow_future_cancel (coroutine));
      morrow_future_unref (coroutine);
    }
  return NULL;
}

static gboolean
yield_a_little (gpointer data, GValue *result, GError **error)
{
  for (gsize i = 0; i < GPOINTER_TO_SIZE (data); i++)
    {
      if (!morrow_yield (error))
        return FALSE;
    }
  return TRUE;
}

SCENE (cancel_from_another_thread_races_with_what_runs_in_place)
{
  Race race = { .n_rounds = 3000 / morrow_check_slowness () };
  GThread *thread = g_thread_new ("other", cancel_each, &race);

  for (gsize i = 0; i < race.n_rounds; i++)
    {
      g_autoptr (MorrowFuture) coroutine = morrow_coroutine (yield_a_little, GSIZE_TO_POINTER (i % 8), NULL);
      gboolean ok;

      atomic_store (&race.accepted, -1);
      atomic_store (&race.coroutine, (guintptr) morrow_future_ref (coroutine));
      ok = morrow_future_await (coroutine, NULL);
      while (atomic_load (&race.accepted) < 0)
        g_thread_yield ();

      /* What was accepted was a request to this task, or kept the coroutine from running; what was refused was neither. */
      if (morrow_future_get_cancelling (morrow_current_task ()) == 0)
        ck_assert (ok != atomic_load (&race.accepted));
      else
        ck_assert (atomic_load (&race.accepted));
      morrow_future_uncancel (morrow_current_task ());
    }

  g_thread_join (thread);
  ck_assert_uint_eq (morrow_future_get_cancelling (morrow_current_task ()), 0);
  return TRUE;
}

static gboolean
await_oneself_in_place (gpointer data, GValue *result, GError **error)
{
  return morrow_future_await (*(MorrowFuture **) data, error);
}

SCENE (coroutine_that_awaits_itself_fails)
{
  MorrowFuture *coroutine = NULL;
  g_autoptr (GError) failure = NULL;

  coroutine = morrow_coroutine (await_oneself_in_place, &coroutine, NULL);
  failure = await_error (coroutine);
  assert_error (failure, MORROW_ERROR, MORROW_ERROR_SELF_AWAIT);
  morrow_future_unref (coroutine);
  return TRUE;
}

static Suite *
cancel_suite (void)
{
  Suite *suite = suite_create ("cancel");
  TCase *request = morrow_check_add_case (suite, "request");
  TCase *down = morrow_check_add_case (suite, "passed down");
  TCase *self = morrow_check_add_case (suite, "oneself");
  TCase *caught = morrow_check_add_case (suite, "caught");
  TCase *message = morrow_check_add_case (suite, "message");
  TCase *back = morrow_check_add_case (suite, "taken back");
  TCase *shared = morrow_check_add_case (suite, "shared");

  tcase_add_test (request, can_01_cancelling_what_is_done_is_refused);
  tcase_add_test (request, can_01_each_request_is_counted);
  tcase_add_test (request, can_02_two_requests_before_it_resumes_are_delivered_once);
  tcase_add_test (request, can_02_request_after_a_delivery_is_delivered_again);
  tcase_add_test (request, can_03_cancelled_before_its_first_step_the_body_never_runs);
  tcase_add_test (request, can_03_data_of_a_body_that_never_runs_is_released);
  tcase_add_test (request, can_20_late_cancel_of_a_task_that_finished_at_once_is_refused);
  tcase_add_test (request, cancel_of_a_promise_settles_it_at_once_and_counts_nothing);

  tcase_add_test (down, can_04_cancel_reaches_the_innermost_future_and_unwinds_from_there);
  tcase_add_test (down, can_04_sleep_is_cancelled_with_the_task_that_sleeps);
  tcase_add_test (down, sleep_that_everybody_drops_while_it_is_cancelled_is_there_until_that_is_over);
  tcase_add_test (down, can_04_cancel_comes_out_of_a_coroutine_that_runs_in_place);
  tcase_add_test (down, cancel_comes_out_of_a_coroutine_with_a_stack_of_its_own);
  tcase_add_test (down, coroutine_with_a_stack_of_its_own_is_a_part_of_the_task_that_awaits_it);
  tcase_add_test (down, self_cancel_is_given_to_a_coroutine_with_a_stack_of_its_own_at_its_first_wait);
  tcase_add_test (down, clean_up_in_a_coroutine_with_a_stack_of_its_own_begins_at_the_end_of_a_run);
  tcase_add_test (down, can_05_waiter_of_a_task_that_ignores_the_cancel_stays_and_gets_its_value);
  tcase_add_test (down, can_05_waiter_of_a_task_that_ignores_the_cancel_can_be_cancelled_again);
  tcase_add_test (down, can_06_cancel_beats_a_value_that_has_come_but_was_not_delivered);
  tcase_add_test (down, cancel_of_a_coroutine_that_runs_in_place_interrupts_it);
  tcase_add_test (down, cancel_that_comes_round_a_circle_of_waits_ends_all_of_them);

  tcase_add_test (self, can_07_self_cancel_takes_effect_at_the_next_wait_and_reaches_what_is_awaited);
  tcase_add_test (self, can_07_self_cancel_takes_effect_at_a_yield);
  tcase_add_test (self, can_07_self_cancel_reaches_nothing_that_was_awaited_before);
  tcase_add_test (self, can_07_self_cancel_on_a_used_stack_reaches_nothing);
  tcase_add_test (self, request_that_comes_to_a_task_that_has_ended_leaves_no_number_on_its_stack);
  tcase_add_test (self, can_08_self_cancel_then_return_ends_cancelled);
  tcase_add_test (self, can_08_self_cancel_then_failure_ends_with_the_failure);
  tcase_add_test (self, can_08_awaiting_what_is_done_does_not_take_the_cancel);

  tcase_add_test (caught, can_09_cancel_caught_and_returned_from_is_a_normal_result);
  tcase_add_test (caught, can_09_cancel_caught_leaves_the_next_waits_alone);
  tcase_add_test (caught, can_10_cancel_turned_into_another_error_is_that_error);
  tcase_add_test (caught, can_13_body_that_fails_as_cancelled_is_cancelled);
  tcase_add_test (caught, can_14_cancelled_futures_are_not_reported_as_unread);

  tcase_add_test (message, can_11_message_travels_through_tasks_and_gathers);
  tcase_add_test (message, can_11_message_of_a_cancel_before_the_first_step);
  tcase_add_test (message, can_11_last_message_counts_before_the_first_step);
  tcase_add_test (message, can_11_first_message_counts_where_it_ends_a_wait);
  tcase_add_test (message, can_11_first_message_counts_where_another_waits_for_the_same);
  tcase_add_test (message, can_11_message_of_what_is_awaited_stays_when_a_request_follows);
  tcase_add_test (message, can_11_message_of_a_request_that_follows_a_failure_counts);
  tcase_add_test (message, can_11_message_is_forgotten_when_a_request_without_one_follows);
  tcase_add_test (message, can_11_message_of_a_request_taken_back_is_forgotten);
  tcase_add_test (message, can_11_each_task_has_its_own_message);
  tcase_add_test (message, message_of_a_request_that_what_is_awaited_refuses_comes_out_of_the_wait);

  tcase_add_test (back, can_15_taking_back_counts_down_to_zero);
  tcase_add_test (back, can_16_taken_back_before_delivery_it_has_no_effect);
  tcase_add_test (back, can_16_one_of_two_taken_back_leaves_the_other);
  tcase_add_test (back, can_17_taking_back_on_a_finished_task_changes_nothing_visible);
  tcase_add_test (back, can_18_own_cancel_is_turned_into_ones_own_error);
  tcase_add_test (back, can_18_cancel_from_elsewhere_as_well_stays_a_cancel);

  tcase_add_test (shared, can_19_cancelling_one_of_two_waiters_leaves_the_future_to_the_other);
  tcase_add_test (shared, can_19_cancelling_the_last_waiter_cancels_the_future);
  tcase_add_test (shared, cancel_of_another_waiter_leaves_a_coroutine_to_the_task_that_runs_it);
  tcase_add_test (shared, coroutine_that_awaits_itself_fails);
  tcase_add_test (shared, cancel_from_another_thread_races_with_what_runs_in_place);
  tcase_add_test (shared, can_19_callback_counts_as_somebody_who_waits);

  return suite;
}

MORROW_CHECK_MAIN (cancel_suite)
