/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Coroutines and tasks: when they start, what they are called, who they are, what they give.
 */
#include "config.h"

#include "exec/models.h"
#include "exec/task-private.h"

static gboolean
say_name (gpointer data, GValue *result, GError **error)
{
  g_autofree char *name = morrow_future_dup_name (morrow_current_task ());

  say ("%s", name);
  return TRUE;
}

static gboolean
say_data (gpointer data, GValue *result, GError **error)
{
  say ("%s", (const char *) data);
  return TRUE;
}

static gboolean
do_nothing (gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

/* --- starting ---------------------------------------------------------------------------------- */

START_TEST (tsk_01_task_outside_a_run_is_rejected)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (say_data, (gpointer) "never", NULL));

  assert_error (morrow_future_get_error (task), MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK);
  assert_said ("");
}
END_TEST

SCENE (tsk_01_creating_a_task_of_another_future_gives_it_back)
{
  g_autoptr (MorrowFuture) future = new_int (1);

  ck_assert_ptr_eq (morrow_create_task (morrow_future_ref (future)), future);
  morrow_future_unref (future);
  return TRUE;
}

SCENE (task_created_twice_runs_once)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (say_data, (gpointer) "ran", NULL));
  g_autoptr (MorrowFuture) again = morrow_create_task (morrow_future_ref (task));

  ck_assert_ptr_eq (task, again);
  await_ok (task);
  assert_said ("ran");
  return TRUE;
}

SCENE (coroutine_runs_only_when_awaited)
{
  g_autoptr (MorrowFuture) coroutine = morrow_coroutine (say_data, (gpointer) "ran", NULL);

  let_run ();
  assert_said ("");
  await_ok (coroutine);
  assert_said ("ran");
  return TRUE;
}

SCENE (coroutine_awaited_runs_in_the_awaiting_task)
{
  g_autofree char *name = morrow_future_dup_name (morrow_current_task ());

  if (!morrow_await (morrow_coroutine (say_name, NULL, NULL), error))
    return FALSE;
  assert_said (name);
  return TRUE;
}

SCENE (coroutine_awaited_twice_runs_once)
{
  g_autoptr (MorrowFuture) coroutine = morrow_coroutine (say_data, (gpointer) "ran", NULL);

  await_ok (coroutine);
  await_ok (coroutine);
  assert_said ("ran");
  return TRUE;
}

START_TEST (coroutine_dropped_warns_with_its_name_and_line)
{
  static const MorrowSite there = { "there.c:7", "say_data" };
  MorrowFuture *coroutine = morrow_coroutine_at (say_data, NULL, NULL, &there);

  morrow_check_expect_warning ("coroutine 'say_data' was never awaited, made at there.c:7");
  morrow_future_unref (coroutine);
}
END_TEST

/* As a function of others' libraries does, whose macro passes on where it stands. */
static MorrowFuture *
make_at (const MorrowSite *site)
{
  return morrow_coroutine_at (say_data, NULL, NULL, site);
}

START_TEST (coroutine_made_by_anothers_macro_knows_its_name_and_line)
{
  MorrowFuture *coroutine = make_at (MORROW_SITE ("make"));

  morrow_check_expect_warning ("coroutine 'make' was never awaited, made at *test-task.c:*");
  morrow_future_unref (coroutine);
}
END_TEST

START_TEST (coroutine_made_by_the_function_knows_neither_name_nor_line)
{
  static const MorrowSite nowhere = { NULL, NULL };
  MorrowFuture *coroutines[] = { (morrow_coroutine) (say_data, NULL, NULL), make_at (&nowhere) };

  for (guint i = 0; i < G_N_ELEMENTS (coroutines); i++)
    {
      morrow_check_expect_warning ("coroutine '?' was never awaited, made at ?");
      morrow_future_unref (coroutines[i]);
    }
}
END_TEST

START_TEST (coroutine_made_by_the_macro_knows_its_line)
{
  MorrowFuture *coroutine = morrow_coroutine (say_data, NULL, NULL);

  morrow_check_expect_warning ("coroutine 'say_data' was never awaited, made at *test-task.c:*");
  morrow_future_unref (coroutine);
}
END_TEST

START_TEST (coroutine_dropped_releases_its_data)
{
  MorrowFuture *coroutine = morrow_coroutine (say_data, g_strdup ("never"), g_free);

  morrow_check_expect_warning ("coroutine 'say_data' was never awaited*");
  morrow_future_unref (coroutine);
}
END_TEST

START_TEST (coroutine_cancelled_before_it_starts_never_runs_and_does_not_warn)
{
  g_autoptr (MorrowFuture) coroutine = morrow_coroutine (say_data, g_strdup ("never"), g_free);

  ck_assert (morrow_future_cancel_with_message (coroutine, "no need"));
  ck_assert (morrow_future_is_cancelled (coroutine));
  ck_assert_str_eq (morrow_future_get_error (coroutine)->message, "no need");
  ck_assert (!morrow_future_cancel (coroutine));
  assert_said ("");
}
END_TEST

START_TEST (task_spawned_outside_a_run_is_rejected_and_releases_its_data)
{
  g_autoptr (MorrowFuture) task = morrow_spawn (say_data, g_strdup ("never"), g_free);

  ck_assert (MORROW_IS_FUTURE (task));   /* though it may be the first */
  assert_error (morrow_future_get_error (task), MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK);
  assert_said ("");
}
END_TEST

SCENE (task_spawned_runs_when_it_is_its_turn_and_once)
{
  g_autoptr (MorrowFuture) task = morrow_spawn (say_data, (gpointer) "ran", NULL);

  assert_said ("");
  ck_assert_ptr_eq (morrow_create_task (morrow_future_ref (task)), task);
  morrow_future_unref (task);
  let_run ();
  assert_said ("ran");
  await_ok (task);
  assert_said ("");
  return TRUE;
}

enum
{
  N_SPAWNED = 20
};

static atomic_uint n_run, n_freed;

static gboolean
count_run (gpointer data, GValue *result, GError **error)
{
  atomic_fetch_add (&n_run, 1);
  return TRUE;
}

static void
count_freed (gpointer data)
{
  g_free (data);
  atomic_fetch_add (&n_freed, 1);
}

/* Some are cancelled, mostly before they start, some dropped at once, and some awaited. */
static gboolean
spawn_some (gpointer data, GValue *result, GError **error)
{
  for (guint i = 0; i < N_SPAWNED; i++)
    {
      g_autoptr (MorrowFuture) cancelled = morrow_spawn (do_nothing, g_malloc (1), count_freed);

      morrow_future_cancel (cancelled);
      morrow_future_unref (morrow_spawn (count_run, g_malloc (1), count_freed));
      if (!morrow_await (morrow_spawn (count_run, g_malloc (1), count_freed), error))
        return FALSE;
    }
  while (atomic_load (&n_run) < 2 * N_SPAWNED)
    if (!morrow_yield (error))   /* the end of the run would cancel those that have not begun */
      return FALSE;
  return TRUE;
}

START_TEST (task_spawned_runs_once_whatever_the_executor_and_its_data_is_released)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  atomic_store (&n_run, 0);
  atomic_store (&n_freed, 0);
  run_scene_on (executor, spawn_some, NULL);
  ck_assert_uint_eq (atomic_load (&n_run), 2 * N_SPAWNED);
  ck_assert_uint_eq (atomic_load (&n_freed), 3 * N_SPAWNED);
}
END_TEST

SCENE (task_spawned_may_be_dropped_at_once)
{
  morrow_future_unref (morrow_spawn (say_data, (gpointer) "ran", NULL));
  let_run ();
  assert_said ("ran");
  return TRUE;
}

static void
say_freed (gpointer data)
{
  say ("%s freed", (const char *) data);
}

SCENE (data_is_released_when_the_body_has_ended)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (say_data, (gpointer) "a", say_freed));

  await_ok (task);
  assert_said ("a; a freed");
  return TRUE;
}

static gboolean
recurse (guint depth)
{
  volatile char frame[1024];

  frame[0] = frame[1023] = (char) depth;
  return (depth == 0 || recurse (depth - 1)) && frame[0] == frame[1023];   /* in this order, or it would be a loop */
}

static gboolean
go_deep (gpointer data, GValue *result, GError **error)
{
  return morrow_return_boolean (result, recurse (GPOINTER_TO_UINT (data)));
}

SCENE (task_runs_on_a_stack_of_the_size_asked_for)
{
  MorrowFuture *deep = morrow_coroutine (go_deep, GUINT_TO_POINTER (1500), NULL);

  morrow_future_set_stack_size (deep, 8 * 1024 * 1024);
  ck_assert (morrow_await_boolean (morrow_create_task (deep), error));
  return TRUE;
}

/* Where the caller's frame is. */
static gboolean
return_frame (gpointer data, GValue *result, GError **error)
{
  return morrow_return_pointer (result, __builtin_frame_address (0));
}

static gboolean
await_frame (gpointer data, GValue *result, GError **error)
{
  const char *inner = morrow_await_pointer (morrow_coroutine (return_frame, NULL, NULL), error), *outer = __builtin_frame_address (0);

  ck_assert_int_lt (ABS (outer - inner), 32 * 1024);
  return TRUE;
}

SCENE (coroutine_awaited_on_the_smallest_stack_begins_there)
{
  MorrowFuture *small = morrow_coroutine (await_frame, NULL, NULL);

  morrow_future_set_stack_size (small, 32 * 1024);
  return morrow_await (morrow_create_task (small), error);
}

static gboolean
await_deep (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *deep = morrow_coroutine (go_deep, GUINT_TO_POINTER (2000), NULL);

  morrow_future_set_stack_size (deep, 8 * 1024 * 1024);
  return morrow_return_boolean (result, morrow_await_boolean (deep, error));
}

/* The threads of the others have stacks as large. */
START_TEST (coroutine_awaited_runs_on_a_stack_of_the_size_asked_for)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  g_autoptr (MorrowFuture) main = morrow_coroutine (await_deep, NULL, NULL);

  ck_assert (morrow_run_on (executor, morrow_future_ref (main), NULL, NULL));
  ck_assert (morrow_future_get_boolean (main));
}
END_TEST

static gboolean
return_loop (gpointer data, GValue *result, GError **error)
{
  return morrow_return_pointer (result, morrow_loop_get_current ());
}

static gboolean
await_loops (gpointer data, GValue *result, GError **error)
{
  for (guint i = 0; i < 1000; i++)
    {
      MorrowFuture *coroutine = morrow_coroutine (return_loop, NULL, NULL);

      morrow_future_set_stack_size (coroutine, 64 * 1024);
      ck_assert_ptr_eq (morrow_await_pointer (coroutine, error), morrow_loop_get_current ());
    }
  return TRUE;
}

START_TEST (coroutine_awaited_on_a_stack_of_its_own_runs_on_the_awaiting_tasks_loop)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (2);

  run_scene_on (pool, await_loops, NULL);
}
END_TEST

/* On a stack of @stack_size, a depth of about as many KiB. */
static MorrowFuture *
create_deep (gsize stack_size, guint depth)
{
  MorrowFuture *deep = morrow_coroutine (go_deep, GUINT_TO_POINTER (depth), NULL);

  morrow_future_set_stack_size (deep, stack_size);
  return morrow_create_task (deep);
}

SCENE (tasks_in_a_row_have_stacks_of_their_own_sizes)
{
  MorrowFuture *tasks[] = {
    create_deep (0, 60), create_deep (8 * 1024 * 1024, 1500), create_deep (32 * 1024, 2), create_deep (0, 60),
    create_deep (32 * 1024, 2), create_deep (8 * 1024 * 1024, 1500), create_deep (0, 60)
  };

  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    ck_assert (morrow_await_boolean (tasks[i], error));
  return TRUE;
}

/* --- names ------------------------------------------------------------------------------------- */

SCENE (tsk_02_default_names_are_numbered_and_differ)
{
  g_autoptr (MorrowFuture) a = morrow_create_task (morrow_coroutine (say_name, NULL, NULL));
  g_autoptr (MorrowFuture) b = morrow_create_task (morrow_coroutine (say_name, NULL, NULL));
  g_autofree char *a_name = morrow_future_dup_name (a);
  g_autofree char *b_name = morrow_future_dup_name (b);
  g_autofree char *both = g_strdup_printf ("%s; %s", a_name, b_name);

  ck_assert (g_pattern_match_simple ("Task-*", a_name));
  ck_assert (g_pattern_match_simple ("Task-*", b_name));
  ck_assert_int_eq (atoi (b_name + 5), atoi (a_name + 5) + 1);
  await_ok (a);
  await_ok (b);
  assert_said (both);
  return TRUE;
}

/* Where the lower bits of a number begin anew. */
SCENE (number_of_a_task_may_be_larger_than_lies_in_one_place_of_it)
{
  const guint64 last = (guint64) 1 << MORROW_TASK_ID_BITS, jump = last - 64 + 1;
  guint64 before = 0;

  atomic_store (&morrow__task_ids_taken, last - 64);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (MorrowFuture) task = morrow_coroutine (return_int, NULL, NULL);
      g_autofree char *name = morrow_future_dup_name (task), *expected = NULL;
      guint64 number = morrow__task_get_number ((MorrowTask *) task);

      expected = g_strdup_printf ("Task-%" G_GUINT64_FORMAT, number);
      ck_assert_str_eq (name, expected);
      ck_assert (before == 0 || number == before + 1 || (before < jump && number == jump));
      ck_assert (!(atomic_load (&task->aux) & MORROW_TASK_HAS_MESSAGE));
      before = number;
      await_ok (task);
    }
  ck_assert_uint_gt (before, last);
  return TRUE;
}

/* Which leaves something in all of a value's words. */
static gboolean
return_full_value (gpointer data, GValue *result, GError **error)
{
  (void) morrow_return_int (result, 1);
  result->data[1].v_uint64 = G_MAXUINT64;
  return TRUE;
}

SCENE (coroutine_in_the_place_of_another_has_a_stack_of_the_usual_size)
{
  for (guint i = 0; i < 200; i++)
    {
      MorrowFuture *coroutine;

      ck_assert (morrow_await (morrow_spawn (return_full_value, NULL, NULL), NULL));
      coroutine = morrow_coroutine (return_int, NULL, NULL);
      ck_assert (morrow__task_is_of_usual_size ((MorrowTask *) coroutine));
      await_ok (coroutine);
      morrow_future_unref (coroutine);
    }
  return TRUE;
}

#define N_NUMBERED 200   /* more than a thread takes numbers for at a time */

static gpointer
make_numbered (gpointer data)
{
  MorrowFuture **made = data;

  for (guint i = 0; i < N_NUMBERED; i++)
    made[i] = morrow_coroutine (return_int, GINT_TO_POINTER (1), NULL);
  return NULL;
}

SCENE (numbers_of_tasks_that_two_threads_make_differ)
{
  MorrowFuture *made[2 * N_NUMBERED];
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GThread *other = g_thread_new ("other", make_numbered, made + N_NUMBERED);

  make_numbered (made);
  g_thread_join (other);
  for (guint i = 0; i < G_N_ELEMENTS (made); i++)
    {
      g_hash_table_add (names, morrow_future_dup_name (made[i]));
      await_ok (made[i]);
      morrow_future_unref (made[i]);
    }
  ck_assert_uint_eq (g_hash_table_size (names), G_N_ELEMENTS (made));
  return TRUE;
}

SCENE (tsk_02_names_are_given_and_changed)
{
  MorrowFuture *task = morrow_create_task (morrow_coroutine (say_name, NULL, NULL));

  morrow_future_set_name (task, "first");
  morrow_future_set_name (task, "second");
  await_ok (task);
  assert_said ("second");
  morrow_future_unref (task);
  return TRUE;
}

START_TEST (future_of_another_kind_is_called_by_its_kind)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) shield = morrow_shield (morrow_future_ref (future));
  g_autoptr (MorrowFuture) gather = morrow_gather (morrow_future_ref (shield), NULL);
  g_autofree char *future_name = morrow_future_dup_name (future);
  g_autofree char *shield_name = morrow_future_dup_name (shield);
  g_autofree char *gather_name = morrow_future_dup_name (gather);
  g_autofree char *given = NULL;

  ck_assert_str_eq (future_name, "promise");
  ck_assert_str_eq (shield_name, "shield");
  ck_assert_str_eq (gather_name, "gather");

  morrow_future_set_name (future, "the page");
  given = morrow_future_dup_name (future);
  ck_assert_str_eq (given, "the page");

  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
}
END_TEST

/* --- waiting ----------------------------------------------------------------------------------- */

static gboolean
await_oneself (gpointer data, GValue *result, GError **error)
{
  return morrow_future_await (morrow_current_task (), error);
}

SCENE (tsk_04_task_that_awaits_itself_fails)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_oneself, NULL, NULL));
  g_autoptr (GError) failure = await_error (task);

  assert_error (failure, MORROW_ERROR, MORROW_ERROR_SELF_AWAIT);
  return TRUE;
}

static gpointer
run_a_loop_of_its_own (gpointer data)
{
  run_scene (await_it, data);
  return NULL;
}

START_TEST (tsk_05_future_may_be_awaited_on_any_loop)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  GThread *one = g_thread_new ("one", run_a_loop_of_its_own, future);
  GThread *two = g_thread_new ("two", run_a_loop_of_its_own, future);

  morrow_promise_resolve_int (promise, 5);
  g_thread_join (one);
  g_thread_join (two);
  morrow_promise_unref (promise);
}
END_TEST

static gboolean
return_future (gpointer data, GValue *result, GError **error)
{
  g_value_init (result, MORROW_TYPE_FUTURE);
  g_value_set_instance (result, data);
  return TRUE;
}

SCENE (tsk_07_future_returned_is_the_value_and_not_awaited)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_auto (GValue) value = G_VALUE_INIT;

  if (!morrow_await_value (morrow_create_task (morrow_coroutine (return_future, pending, NULL)), &value, error))
    return FALSE;
  ck_assert (G_VALUE_HOLDS (&value, MORROW_TYPE_FUTURE));
  ck_assert_ptr_eq (g_value_peek_pointer (&value), pending);
  ck_assert (!morrow_future_is_settled (pending));

  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  return TRUE;
}

static gboolean
end_well (gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

static gboolean
go_on (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

SCENE (future_of_any_kind_is_of_one_type)
{
  g_autoptr (MorrowPromise) promise = morrow_promise_new ();
  MorrowFuture *promised = morrow_promise_get_future (promise);
  MorrowFuture *futures[] = { promised, morrow_future_new_resolved (NULL), morrow_sleep (0), morrow_coroutine (end_well, NULL, NULL),
                              morrow_future_then (promised, go_on, NULL, NULL), morrow_shield (morrow_future_ref (promised)),
                              morrow_gather (morrow_future_ref (promised), NULL), morrow_to_thread (end_well, NULL, NULL) };

  morrow_promise_resolve (promise);
  for (guint i = 0; i < G_N_ELEMENTS (futures); i++)
    {
      ck_assert (MORROW_IS_FUTURE (futures[i]));
      ck_assert_uint_eq (G_TYPE_FROM_INSTANCE (futures[i]), MORROW_TYPE_FUTURE);
      if (!morrow_await (futures[i], error))
        return FALSE;
    }
  return TRUE;
}

SCENE (tsk_09_pending_task_that_nobody_holds_goes_on)
{
  MorrowPromise *promise;
  MorrowFuture *pending = new_pending (&promise);
  MorrowFuture *task = morrow_create_task (morrow_coroutine (await_it, pending, (GDestroyNotify) morrow_future_unref));
  MorrowFuture *sayer = morrow_create_task (morrow_coroutine (say_data, (gpointer) "ran", NULL));

  morrow_future_unref (task);
  morrow_future_unref (sayer);
  let_run ();
  assert_said ("ran");
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  return TRUE;
}

static gboolean
say_whether_in_a_task (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  say (morrow_current_task () == NULL ? "no task" : "a task");
  ck_assert_ptr_nonnull (morrow_executor_get_current ());
  return TRUE;
}

static void
work_whether_in_a_task (gpointer data)
{
  say (morrow_current_task () == NULL ? "no task" : "a task");
}

SCENE (tsk_11_callbacks_have_no_current_task)
{
  g_autoptr (MorrowFuture) done = new_int (1);
  g_autoptr (MorrowFuture) called = morrow_future_then (done, say_whether_in_a_task, NULL, NULL);

  await_ok (called);
  morrow_executor_submit (morrow_executor_get_current (), work_whether_in_a_task, NULL, NULL);
  let_run ();
  assert_said ("no task; no task");
  return TRUE;
}

/* Twice: once before there was an executor that is known to be one. */
SCENE (work_for_what_is_no_executor_is_a_critical_and_is_not_done)
{
  g_autoptr (GObject) stranger = g_object_new (G_TYPE_OBJECT, NULL);

  for (int i = 0; i < 2; i++)
    {
      morrow_check_expect_critical ("*is_executor*failed");
      morrow_executor_submit ((MorrowExecutor *) stranger, work_whether_in_a_task, NULL, NULL);
      morrow_check_expect_critical ("*is_executor*failed");
      morrow_executor_submit (NULL, work_whether_in_a_task, NULL, NULL);
      morrow_executor_submit (morrow_executor_get_current (), work_whether_in_a_task, NULL, NULL);
    }
  let_run ();
  assert_said ("no task; no task");
  return TRUE;
}

START_TEST (tsk_11_plain_thread_has_no_current_task)
{
  ck_assert_ptr_null (morrow_current_task ());
  ck_assert_ptr_null (morrow_executor_get_current ());
}
END_TEST

static gboolean
await_in_a_callback (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return morrow_future_await (data, error);
}

SCENE (callback_that_awaits_gets_an_error)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_autoptr (MorrowFuture) done = new_int (1);
  g_autoptr (MorrowFuture) called = morrow_future_then (done, await_in_a_callback, pending, NULL);
  g_autoptr (GError) failure = await_error (called);

  assert_error (failure, MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK);
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  return TRUE;
}

START_TEST (plain_thread_that_awaits_or_yields_gets_an_error)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_autoptr (GError) await_failure = NULL;
  g_autoptr (GError) yield_failure = NULL;

  ck_assert (!morrow_future_await (pending, &await_failure));
  assert_error (await_failure, MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK);
  ck_assert (!morrow_yield (&yield_failure));
  assert_error (yield_failure, MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK);
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
}
END_TEST

SCENE (tsk_17_every_task_that_awaits_a_task_wakes)
{
  MorrowPromise *promise;
  MorrowFuture *pending = new_pending (&promise);
  g_autoptr (MorrowFuture) inner = morrow_create_task (morrow_coroutine (await_it, pending, (GDestroyNotify) morrow_future_unref));
  g_autoptr (MorrowFuture) a = morrow_create_task (morrow_coroutine (await_it, inner, NULL));
  g_autoptr (MorrowFuture) b = morrow_create_task (morrow_coroutine (await_it, inner, NULL));

  let_run ();
  morrow_promise_resolve_int (promise, 7);
  morrow_promise_unref (promise);
  await_ok (a);
  await_ok (b);
  ck_assert_int_eq (morrow_future_get_int (a), 7);
  ck_assert_int_eq (morrow_future_get_int (b), 7);
  return TRUE;
}

/* --- on an application's context --------------------------------------------------------------- */

static gboolean
await_and_say (gpointer data, GValue *result, GError **error)
{
  gboolean ok;

  say ("starts");
  ok = morrow_future_await (data, error) && morrow_yield (error);
  say ("ends");
  return ok;
}

START_TEST (task_of_a_hosted_loop_goes_on_when_its_user_has_dropped_the_loop)
{
  GMainContext *context = g_main_context_new ();
  MorrowExecutor *loop = morrow_loop_new (context);
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (loop, morrow_coroutine (await_and_say, future, NULL));

  g_object_add_weak_pointer (G_OBJECT (loop), (gpointer *) &loop);
  g_object_unref (loop);
  turn_until_idle (context);
  assert_said ("starts");
  ck_assert_ptr_nonnull (loop);

  morrow_promise_resolve (promise);
  turn_until_idle (context);
  assert_said ("ends");
  ck_assert_int_eq (morrow_future_get_status (task), MORROW_FUTURE_RESOLVED);
  ck_assert_ptr_null (loop);
  morrow_promise_unref (promise);
  g_main_context_unref (context);
}
END_TEST

/* --- what a body gives ------------------------------------------------------------------------- */

static gboolean
true_with_an_error (gpointer data, GValue *result, GError **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, "both");
  return morrow_return_int (result, 1);
}

static gboolean
false_without_an_error (gpointer data, GValue *result, GError **error)
{
  return FALSE;
}

SCENE (body_that_returns_true_with_an_error_is_a_critical_and_fails)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (true_with_an_error, NULL, NULL));
  g_autoptr (GError) failure = NULL;

  morrow_check_expect_critical ("Coroutine 'true_with_an_error', made at *test-task.c:*, returned TRUE with an error");
  failure = await_error (task);
  ck_assert_str_eq (failure->message, "both");
  return TRUE;
}

SCENE (body_that_returns_false_without_an_error_is_a_critical_and_fails)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (false_without_an_error, NULL, NULL));
  g_autoptr (GError) failure = NULL;

  morrow_check_expect_critical ("Coroutine 'false_without_an_error', made at *, returned FALSE without an error");
  failure = await_error (task);
  assert_error (failure, G_IO_ERROR, G_IO_ERROR_FAILED);
  return TRUE;
}

SCENE (task_spawned_by_the_macro_knows_its_function_and_line)
{
  g_autoptr (MorrowFuture) task = morrow_spawn (false_without_an_error, NULL, NULL);
  g_autoptr (GError) failure = NULL;

  morrow_check_expect_critical ("Coroutine 'false_without_an_error', made at *test-task.c:*, returned FALSE without an error");
  failure = await_error (task);
  assert_error (failure, G_IO_ERROR, G_IO_ERROR_FAILED);
  return TRUE;
}

/* As `return flags & FLAG` does. */
static gboolean
return_two (gpointer data, GValue *result, GError **error)
{
  (void) morrow_return_int (result, 5);
  return 2;
}

SCENE (body_that_returns_any_true_value_has_succeeded)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (return_two, NULL, NULL));
  g_autoptr (MorrowFuture) in_place = morrow_coroutine (return_two, NULL, NULL);
  g_autoptr (MorrowFuture) on_thread = morrow_to_thread (return_two, NULL, NULL);
  MorrowFuture *futures[] = { task, in_place, on_thread };

  for (guint i = 0; i < G_N_ELEMENTS (futures); i++)
    {
      await_ok (futures[i]);
      ck_assert_int_eq (morrow_future_get_int (futures[i]), 5);
    }
  return TRUE;
}

SCENE (body_that_fails_in_place_fails_the_await_with_its_error)
{
  GError *failure = NULL;

  ck_assert (!morrow_await (morrow_coroutine (fail_with, (gpointer) "no luck", NULL), &failure));
  ck_assert_str_eq (failure->message, "no luck");
  g_error_free (failure);
  return TRUE;
}

SCENE (failed_task_that_nobody_awaits_reports_itself_by_name)
{
  MorrowFuture *task = morrow_create_task (morrow_coroutine (fail_with, (gpointer) "no luck", NULL));

  morrow_future_set_name (task, "fetcher");
  morrow_check_expect_warning ("The error of fetcher, made at *test-task.c:*, was never looked at: no luck");
  morrow_future_unref (task);
  let_run ();
  ck_assert_uint_eq (morrow_check_n_expected (), 0);
  return TRUE;
}

static Suite *
task_suite (void)
{
  Suite *suite = suite_create ("task");
  TCase *start = morrow_check_add_case (suite, "start");
  TCase *name = morrow_check_add_case (suite, "name");
  TCase *wait = morrow_check_add_case (suite, "wait");
  TCase *end = morrow_check_add_case (suite, "end");

  tcase_add_test (start, tsk_01_task_outside_a_run_is_rejected);
  tcase_add_test (start, tsk_01_creating_a_task_of_another_future_gives_it_back);
  tcase_add_test (start, task_created_twice_runs_once);
  tcase_add_test (start, task_spawned_outside_a_run_is_rejected_and_releases_its_data);
  tcase_add_test (start, task_spawned_runs_when_it_is_its_turn_and_once);
  tcase_add_test (start, task_spawned_may_be_dropped_at_once);
  tcase_add_loop_test (start, task_spawned_runs_once_whatever_the_executor_and_its_data_is_released, 0, N_MODELS);
  tcase_add_test (start, coroutine_runs_only_when_awaited);
  tcase_add_test (start, coroutine_awaited_runs_in_the_awaiting_task);
  tcase_add_test (start, coroutine_awaited_twice_runs_once);
  tcase_add_test (start, coroutine_dropped_warns_with_its_name_and_line);
  tcase_add_test (start, coroutine_made_by_the_macro_knows_its_line);
  tcase_add_test (start, coroutine_in_the_place_of_another_has_a_stack_of_the_usual_size);
  tcase_add_test (start, coroutine_made_by_anothers_macro_knows_its_name_and_line);
  tcase_add_test (start, coroutine_made_by_the_function_knows_neither_name_nor_line);
  tcase_add_test (start, coroutine_dropped_releases_its_data);
  tcase_add_test (start, coroutine_cancelled_before_it_starts_never_runs_and_does_not_warn);
  tcase_add_test (start, data_is_released_when_the_body_has_ended);
  tcase_add_test (start, task_runs_on_a_stack_of_the_size_asked_for);
  tcase_add_test (start, coroutine_awaited_on_the_smallest_stack_begins_there);
  tcase_add_loop_test (start, coroutine_awaited_runs_on_a_stack_of_the_size_asked_for, 0, N_MODELS);
  tcase_add_test (start, coroutine_awaited_on_a_stack_of_its_own_runs_on_the_awaiting_tasks_loop);
  tcase_add_test (start, tasks_in_a_row_have_stacks_of_their_own_sizes);

  tcase_add_test (name, tsk_02_default_names_are_numbered_and_differ);
  tcase_add_test (name, number_of_a_task_may_be_larger_than_lies_in_one_place_of_it);
  tcase_add_test (name, numbers_of_tasks_that_two_threads_make_differ);
  tcase_add_test (name, tsk_02_names_are_given_and_changed);
  tcase_add_test (name, future_of_another_kind_is_called_by_its_kind);

  tcase_add_test (wait, tsk_04_task_that_awaits_itself_fails);
  tcase_add_test (wait, tsk_05_future_may_be_awaited_on_any_loop);
  tcase_add_test (wait, tsk_07_future_returned_is_the_value_and_not_awaited);
  tcase_add_test (wait, future_of_any_kind_is_of_one_type);
  tcase_add_test (wait, tsk_09_pending_task_that_nobody_holds_goes_on);
  tcase_add_test (wait, tsk_11_callbacks_have_no_current_task);
  tcase_add_test (wait, work_for_what_is_no_executor_is_a_critical_and_is_not_done);
  tcase_add_test (wait, tsk_11_plain_thread_has_no_current_task);
  tcase_add_test (wait, callback_that_awaits_gets_an_error);
  tcase_add_test (wait, plain_thread_that_awaits_or_yields_gets_an_error);
  tcase_add_test (wait, tsk_17_every_task_that_awaits_a_task_wakes);
  tcase_add_test (wait, task_of_a_hosted_loop_goes_on_when_its_user_has_dropped_the_loop);

  tcase_add_test (end, body_that_returns_true_with_an_error_is_a_critical_and_fails);
  tcase_add_test (end, body_that_returns_false_without_an_error_is_a_critical_and_fails);
  tcase_add_test (end, task_spawned_by_the_macro_knows_its_function_and_line);
  tcase_add_test (end, body_that_returns_any_true_value_has_succeeded);
  tcase_add_test (end, body_that_fails_in_place_fails_the_await_with_its_error);
  tcase_add_test (end, failed_task_that_nobody_awaits_reports_itself_by_name);

  return suite;
}

MORROW_CHECK_MAIN (task_suite)
