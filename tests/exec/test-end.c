/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How an executor ends: whatever its last tasks still do, and wherever the last that keeps it lets
 * go.
 */
#include "config.h"

#include "core/future-private.h"
#include "exec/lane-private.h"
#include "exec/models.h"

#define FIRST_POOL MODEL_THREADS
#define AFTER_POOLS (MODEL_LOOPS + 1)

/* --- what the tests look at -------------------------------------------------------------------- */

/* An executor, and what is known of it. */
typedef struct
{
  MorrowExecutor *executor;   /* The test's reference. */
  MorrowFuture   *pending;    /* Settles when the test says so. */
  MorrowPromise  *promise;    /* Of that. */
  MorrowFuture   *made;       /* What a task has made, if the test is to have it. */
  GThread        *thread;     /* Where it went. */
  atomic_int      has_gone;   /* The executor, on any thread. */
  atomic_int      has_waited; /* A thread for blocking work. */
  atomic_int      n_calls;    /* Of a callback, or of a clean-up. */
} End;

static void
note_gone (gpointer data, GObject *was)
{
  End *end = data;

  end->thread = g_thread_self ();
  atomic_store (&end->has_gone, TRUE);
}

static void
end_init (End *end, MorrowExecutor *executor)
{
  *end = (End) { .executor = executor };
  end->pending = new_pending (&end->promise);
  g_object_weak_ref (G_OBJECT (executor), note_gone, end);
}

static void
wait_until (atomic_int *flag)
{
  while (!atomic_load (flag))
    g_thread_yield ();
}

static void
end_clear (End *end)
{
  if (end->promise != NULL)
    morrow_promise_resolve (end->promise);
  g_clear_pointer (&end->promise, morrow_promise_unref);
  morrow_future_unref (end->pending);
  g_clear_pointer (&end->made, morrow_future_unref);
}

/* Spawns a task, and waits until it has started. */
typedef struct
{
  MorrowCoroutineFunc func;
  End                *end;
  atomic_int          has_started;
} Start;

static gboolean
start_and_go_on (gpointer data, GValue *result, GError **error)
{
  Start *start = data;
  MorrowCoroutineFunc func = start->func;
  End *end = start->end;

  atomic_store (&start->has_started, TRUE);   /* which is the last of it */
  return func (end, result, error);
}

static MorrowFuture *
start_on (MorrowExecutor *executor, MorrowCoroutineFunc func, End *end)
{
  Start start = { .func = func, .end = end };
  MorrowFuture *task = morrow_executor_spawn (executor, morrow_coroutine (start_and_go_on, &start, NULL));

  wait_until (&start.has_started);
  return task;
}

/* In a task that its pool's end cancels. */
static void
await_the_end (void)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&promise);
  g_autoptr (GError) error = NULL;

  ck_assert (!morrow_future_await (never_settles, &error));
  ck_assert (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
}

/* --- what a task does while its pool ends ------------------------------------------------------ */

static gboolean
count_call (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  atomic_fetch_add (&((End *) data)->n_calls, 1);
  return TRUE;
}

/* A callback of what has settled. */
static MorrowFuture *
attach_callback (End *end)
{
  g_autoptr (MorrowFuture) settled = morrow_future_new_resolved (NULL);

  return morrow_future_then (settled, count_call, end, NULL);
}

static gboolean
attach_a_callback_at_the_end (gpointer data, GValue *result, GError **error)
{
  await_the_end ();
  morrow_future_unref (attach_callback (data));
  return TRUE;
}

START_TEST (callback_that_a_task_attaches_while_its_pool_ends_is_called)
{
  MorrowFuture *task;
  End end;

  end_init (&end, make_model (_i));
  task = start_on (end.executor, attach_a_callback_at_the_end, &end);
  g_object_unref (end.executor);
  ck_assert (morrow_future_wait (task, NULL));
  ck_assert_int_eq (atomic_load (&end.n_calls), 1);
  wait_until (&end.has_gone);

  morrow_future_unref (task);
  end_clear (&end);
}
END_TEST

/* A thread waits until the task that it was given work by has ended. */
static gboolean
wait_for_the_pending (gpointer data, GValue *result, GError **error)
{
  End *end = data;

  ck_assert (morrow_future_wait (end->pending, NULL));
  atomic_store (&end->has_waited, TRUE);
  return TRUE;
}

static gboolean
give_work_at_the_end (gpointer data, GValue *result, GError **error)
{
  End *end = data;

  await_the_end ();
  morrow_future_unref (morrow_create_task (morrow_to_thread (wait_for_the_pending, end, NULL)));
  morrow_promise_resolve (end->promise);
  return TRUE;
}

START_TEST (thread_that_is_given_work_while_a_pool_ends_is_waited_for)
{
  MorrowFuture *task;
  End end;

  end_init (&end, make_model (_i));
  task = start_on (end.executor, give_work_at_the_end, &end);
  g_object_unref (end.executor);
  ck_assert (atomic_load (&end.has_waited));
  wait_until (&end.has_gone);

  morrow_future_unref (task);
  end_clear (&end);
}
END_TEST

static gboolean
wait_for_the_promise_at_the_end (gpointer data, GValue *result, GError **error)
{
  End *end = data;

  await_the_end ();
  end->made = morrow_future_then (end->pending, count_call, end, NULL);
  return TRUE;
}

static gboolean
count_run (gpointer data, GValue *result, GError **error)
{
  atomic_fetch_add (&((End *) data)->n_calls, 1);
  return TRUE;
}

static gboolean
gather_in_turn_at_the_end (gpointer data, GValue *result, GError **error)
{
  End *end = data;
  MorrowFuture *futures[] = { morrow_future_ref (end->pending), morrow_coroutine (count_run, end, NULL) };

  await_the_end ();
  end->made = morrow_gather_full (futures, G_N_ELEMENTS (futures), 0, 1);
  return TRUE;
}

/* The pool has ended, and something that waits for it still holds it. */
static void
settle_after_the_end (int model, MorrowCoroutineFunc leave)
{
  g_autoptr (GError) error = NULL;
  MorrowFuture *task;
  End end;

  end_init (&end, make_model (model));
  task = start_on (end.executor, leave, &end);
  g_object_unref (end.executor);
  ck_assert (morrow_future_wait (task, NULL));
  morrow_future_unref (task);
  ck_assert (!atomic_load (&end.has_gone));

  morrow_promise_resolve (end.promise);
  ck_assert (!morrow_future_wait (end.made, &error));
  ck_assert (g_error_matches (error, MORROW_ERROR, MORROW_ERROR_CLOSED));
  ck_assert_int_eq (atomic_load (&end.n_calls), 0);
  g_clear_pointer (&end.made, morrow_future_unref);
  wait_until (&end.has_gone);
  end_clear (&end);
}

START_TEST (callback_that_outlives_its_pool_is_refused)
{
  settle_after_the_end (_i, wait_for_the_promise_at_the_end);
}
END_TEST

START_TEST (coroutine_whose_turn_comes_after_the_end_of_its_pool_is_refused)
{
  settle_after_the_end (_i, gather_in_turn_at_the_end);
}
END_TEST

static gboolean
drop_own_pool (gpointer data, GValue *result, GError **error)
{
  End *end = data;

  if (!morrow_future_await (end->pending, error))
    return FALSE;
  g_clear_object (&end->executor);
  return morrow_await (attach_callback (end), error);
}

START_TEST (task_that_drops_its_own_pool_goes_on)
{
  MorrowFuture *task;
  End end;

  end_init (&end, make_model (_i));
  task = start_on (end.executor, drop_own_pool, &end);
  morrow_promise_resolve (end.promise);
  wait_until (&end.has_gone);

  ck_assert (morrow_future_is_settled (task));
  morrow_future_unref (task);
  end_clear (&end);
}
END_TEST

/* --- where the last that keeps it lets go ------------------------------------------------------ */

static gboolean
leave_a_gather_of_a_sleep (gpointer data, GValue *result, GError **error)
{
  End *end = data;
  MorrowFuture *sleep = morrow_sleep (3600);

  end->made = morrow_future_ref (sleep);
  morrow_future_unref (morrow_gatherv (&sleep, 1));
  return TRUE;
}

START_TEST (pool_whose_last_hold_goes_in_a_visit_ends)
{
  MorrowFuture *task;
  End end;

  end_init (&end, make_model (_i));
  task = start_on (end.executor, leave_a_gather_of_a_sleep, &end);
  ck_assert (morrow_future_wait (task, NULL));
  morrow_future_unref (task);
  g_object_unref (end.executor);

  ck_assert (morrow_future_cancel (end.made));
  g_clear_pointer (&end.made, morrow_future_unref);
  wait_until (&end.has_gone);
  ck_assert_ptr_ne (end.thread, g_thread_self ());
  end_clear (&end);
}
END_TEST

START_TEST (pool_whose_last_reference_goes_in_a_visit_ends)
{
  MorrowFuture *futures[2];
  End end;

  end_init (&end, make_model (_i));
  futures[0] = morrow_sleep (3600);   /* on the loop of the timers */
  futures[1] = end.pending;
  end.made = morrow_future_ref (futures[0]);
  end.pending = morrow_future_new_resolved (NULL);
  ck_assert (morrow_promise_resolve_object (end.promise, end.executor));
  g_clear_pointer (&end.promise, morrow_promise_unref);
  g_object_unref (end.executor);
  morrow_future_unref (morrow_gatherv (futures, 2));

  ck_assert (!atomic_load (&end.has_gone));
  ck_assert (morrow_future_cancel (end.made));
  wait_until (&end.has_gone);
  end_clear (&end);
}
END_TEST

static gboolean
sleep_to_clean_up (gpointer data, GValue *result, GError **error)
{
  ck_assert (morrow_await (morrow_sleep (0.001), error));
  return count_run (data, result, error);
}

static gboolean
clean_up_at_the_end (gpointer data, GValue *result, GError **error)
{
  await_the_end ();
  return morrow_await (morrow_shield (morrow_coroutine (sleep_to_clean_up, data, NULL)), error);
}

static gboolean
leave_a_gather_of_a_short_sleep (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *sleep = morrow_sleep (0.05);

  morrow_future_unref (morrow_gatherv (&sleep, 1));
  return TRUE;
}

/* If it takes longer than the sleep until the pool is dropped, it ends here, which is no different to the task. */
START_TEST (timers_go_on_while_a_pool_ends_that_a_timer_let_go_of)
{
  MorrowFuture *task, *last;
  End end;

  end_init (&end, make_model (_i));
  task = start_on (end.executor, clean_up_at_the_end, &end);
  last = start_on (end.executor, leave_a_gather_of_a_short_sleep, &end);
  ck_assert (morrow_future_wait (last, NULL));
  g_object_unref (end.executor);

  ck_assert (morrow_future_wait (task, NULL));
  ck_assert_int_eq (atomic_load (&end.n_calls), 1);
  wait_until (&end.has_gone);
  morrow_future_unref (last);
  morrow_future_unref (task);
  end_clear (&end);
}
END_TEST

/* --- pools that tasks let go of ---------------------------------------------------------------- */

static gboolean
let_go_and_look (gpointer data, GValue *result, GError **error)
{
  End *end = data;

  g_clear_object (&end->executor);
  ck_assert_int_eq (atomic_load (&end->n_calls), 1);
  return TRUE;
}

/* An executor, and a pool that what runs there lets go of. */
START_TEST (task_that_drops_a_pool_waits_until_its_tasks_have_ended)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i / 2);
  MorrowFuture *task;
  End end;

  end_init (&end, make_model (FIRST_POOL + _i % 2));
  task = start_on (end.executor, clean_up_at_the_end, &end);
  run_scene_on (executor, let_go_and_look, &end);

  wait_until (&end.has_gone);
  morrow_future_unref (task);
  end_clear (&end);
}
END_TEST

/* A cancel of the sleep, which is another loop's, settles the gather inside of the visit there. */
static gboolean
let_go_in_a_visit (gpointer data, GValue *result, GError **error)
{
  End *end = data;
  MorrowFuture *futures[] = { morrow_future_ref (end->made), end->pending };

  end->pending = morrow_future_new_resolved (NULL);
  morrow_future_unref (morrow_gatherv (futures, G_N_ELEMENTS (futures)));
  ck_assert (morrow_future_cancel (end->made));
  return TRUE;
}

START_TEST (run_waits_for_a_pool_whose_last_reference_goes_in_a_visit)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i / 2);
  MorrowFuture *task;
  End end;

  end_init (&end, make_model (FIRST_POOL + _i % 2));
  end.made = morrow_sleep (3600);
  task = start_on (end.executor, clean_up_at_the_end, &end);
  ck_assert (morrow_promise_resolve_object (end.promise, end.executor));
  g_clear_pointer (&end.promise, morrow_promise_unref);
  g_object_unref (end.executor);
  run_scene_on (executor, let_go_in_a_visit, &end);
  ck_assert (morrow_future_is_settled (task));
  ck_assert_int_eq (atomic_load (&end.n_calls), 1);

  wait_until (&end.has_gone);
  morrow_future_unref (task);
  end_clear (&end);
}
END_TEST

/* Two pools, of which each has the last reference of the other. */
typedef struct
{
  End        ends[2];
  atomic_int has_come[2];   /* To where it lets go of this one. */
  atomic_int has_spawned;   /* The test, which needs the references no more. */
} Circle;

static void
circle_init (Circle *circle, int models)
{
  *circle = (Circle) { 0 };
  for (guint i = 0; i < 2; i++)
    end_init (&circle->ends[i], make_model (FIRST_POOL + ((models >> i) & 1)));
}

/* When both have come, neither has ended. */
static gboolean
let_go_of (Circle *circle, guint which)
{
  wait_until (&circle->has_spawned);
  atomic_store (&circle->has_come[which], TRUE);
  wait_until (&circle->has_come[1 - which]);
  g_clear_object (&circle->ends[which].executor);
  return TRUE;
}

static gboolean
let_go_of_the_first (gpointer data, GValue *result, GError **error)
{
  return let_go_of (data, 0);
}

static gboolean
let_go_of_the_second (gpointer data, GValue *result, GError **error)
{
  return let_go_of (data, 1);
}

static gboolean
let_go_of_the_first_in_a_run (gpointer data, GValue *result, GError **error)
{
  return morrow_run (morrow_coroutine (let_go_of_the_first, data, NULL), NULL, error);
}

/* What lets go of the first runs on the second, and the other way round. */
static void
let_go_of_each_other (Circle *circle, MorrowFuture *of_the_first, MorrowFuture *of_the_second)
{
  MorrowFuture *tasks[] = { morrow_executor_spawn (circle->ends[1].executor, of_the_first),
                            morrow_executor_spawn (circle->ends[0].executor, of_the_second) };

  atomic_store (&circle->has_spawned, TRUE);
  for (guint i = 0; i < 2; i++)
    wait_until (&circle->ends[i].has_gone);
  for (guint i = 0; i < 2; i++)
    {
      morrow_future_unref (tasks[i]);
      end_clear (&circle->ends[i]);
    }
}

START_TEST (pools_whose_tasks_drop_each_other_end)
{
  Circle circle;

  circle_init (&circle, _i);
  let_go_of_each_other (&circle, morrow_coroutine (let_go_of_the_first, &circle, NULL),
                        morrow_coroutine (let_go_of_the_second, &circle, NULL));
}
END_TEST

START_TEST (pools_of_which_a_thread_that_one_gave_work_and_a_task_drop_each_other_end)
{
  Circle circle;

  circle_init (&circle, _i);
  let_go_of_each_other (&circle, morrow_to_thread (let_go_of_the_first, &circle, NULL),
                        morrow_coroutine (let_go_of_the_second, &circle, NULL));
}
END_TEST

START_TEST (pools_of_which_a_run_on_such_a_thread_and_a_task_drop_each_other_end)
{
  Circle circle;

  circle_init (&circle, _i);
  let_go_of_each_other (&circle, morrow_to_thread (let_go_of_the_first_in_a_run, &circle, NULL),
                        morrow_coroutine (let_go_of_the_second, &circle, NULL));
}
END_TEST

static gboolean
let_go_of_the_first_only (gpointer data, GValue *result, GError **error)
{
  Circle *circle = data;

  wait_until (&circle->has_spawned);
  g_clear_object (&circle->ends[0].executor);
  return TRUE;
}

/* The second waits for the end of the first. */
START_TEST (pool_whose_last_reference_goes_with_one_that_it_waits_for_ends)
{
  MorrowFuture *task;
  Circle circle;

  circle_init (&circle, _i);
  g_object_set_data_full (G_OBJECT (circle.ends[0].executor), "other", circle.ends[1].executor, g_object_unref);
  task = morrow_executor_spawn (circle.ends[1].executor, morrow_coroutine (let_go_of_the_first_only, &circle, NULL));
  atomic_store (&circle.has_spawned, TRUE);
  for (guint i = 0; i < 2; i++)
    wait_until (&circle.ends[i].has_gone);

  morrow_future_unref (task);
  for (guint i = 0; i < 2; i++)
    end_clear (&circle.ends[i]);
}
END_TEST

/* --- pools that are dropped while something else holds them ------------------------------------ */

static gboolean
await_a_gather_until_the_end (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowPromise) promise = NULL;
  MorrowFuture *never_settles = new_pending (&promise);
  g_autoptr (MorrowFuture) gather = morrow_gatherv (&never_settles, 1);

  await_cancelled (gather);
  return count_run (data, result, error);
}

START_TEST (pool_that_is_dropped_cancels_a_task_that_awaits_a_gather_and_waits_for_it)
{
  MorrowFuture *task;
  End end;

  end_init (&end, make_model (_i));
  task = start_on (end.executor, await_a_gather_until_the_end, &end);
  g_object_unref (end.executor);
  ck_assert (morrow_future_is_settled (task));
  ck_assert_int_eq (atomic_load (&end.n_calls), 1);
  wait_until (&end.has_gone);

  morrow_future_unref (task);
  end_clear (&end);
}
END_TEST

static gboolean
await_until_the_end (gpointer data, GValue *result, GError **error)
{
  await_the_end ();
  return TRUE;
}

static gboolean
have_the_promise_call (gpointer data, GValue *result, GError **error)
{
  End *end = data;

  end->made = morrow_future_then (end->pending, count_call, end, NULL);
  return TRUE;
}

static void
run_to_its_end (MorrowExecutor *executor, MorrowCoroutineFunc func, End *end)
{
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (executor, morrow_coroutine (func, end, NULL));

  ck_assert (morrow_future_wait (task, NULL));
}

START_TEST (pool_that_a_callback_keeps_cancels_its_tasks_when_it_is_dropped_and_waits_for_them)
{
  MorrowFuture *task;
  End end;

  end_init (&end, make_model (_i));
  run_to_its_end (end.executor, have_the_promise_call, &end);
  task = start_on (end.executor, await_until_the_end, &end);
  g_object_unref (end.executor);
  ck_assert (morrow_future_is_settled (task));
  ck_assert (!atomic_load (&end.has_gone));
  morrow_future_unref (task);

  morrow_promise_resolve (end.promise);
  ck_assert (morrow_future_wait (end.made, NULL));
  ck_assert_int_eq (atomic_load (&end.n_calls), 1);
  wait_until (&end.has_gone);
  end_clear (&end);
}
END_TEST

static gboolean
begin_and_wait_for_the_pending (gpointer data, GValue *result, GError **error)
{
  atomic_store (&((End *) data)->n_calls, 1);
  return wait_for_the_pending (data, result, error);
}

static gboolean
have_a_thread_wait_until_the_end (gpointer data, GValue *result, GError **error)
{
  End *end = data;

  morrow_future_unref (morrow_create_task (morrow_to_thread (begin_and_wait_for_the_pending, end, NULL)));
  await_the_end ();
  morrow_promise_resolve (end->promise);
  return TRUE;
}

START_TEST (pool_that_a_thread_keeps_cancels_its_tasks_when_it_is_dropped_and_waits_for_all)
{
  MorrowFuture *task;
  End end;

  end_init (&end, make_model (_i));
  task = start_on (end.executor, have_a_thread_wait_until_the_end, &end);
  wait_until (&end.n_calls);
  g_object_unref (end.executor);
  ck_assert (morrow_future_is_settled (task));
  ck_assert (atomic_load (&end.has_waited));

  wait_until (&end.has_gone);
  morrow_future_unref (task);
  end_clear (&end);
}
END_TEST

static gboolean
make_a_gather_that_settles (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *settled = morrow_future_new_resolved (NULL);

  ((End *) data)->made = morrow_gatherv (&settled, 1);
  return TRUE;
}

START_TEST (gather_that_has_settled_keeps_no_pool)
{
  End end;

  end_init (&end, make_model (_i));
  run_to_its_end (end.executor, make_a_gather_that_settles, &end);
  ck_assert (morrow_future_is_settled (end.made));
  g_object_unref (end.executor);
  ck_assert (atomic_load (&end.has_gone));
  end_clear (&end);
}
END_TEST

/* --- who waits, and then lets go --------------------------------------------------------------- */

static gboolean
make_a_gather_of_the_promise (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *pending = morrow_future_ref (((End *) data)->pending);

  ((End *) data)->made = morrow_gatherv (&pending, 1);
  return TRUE;
}

/* Looks, where a waiter would be woken. */
typedef struct
{
  MorrowObserver observer;
  End           *end;
} Looker;

static void
look_for_executor (MorrowObserver *observer, MorrowFuture *settled)
{
  End *end = ((Looker *) observer)->end;

  ck_assert (atomic_load (&end->has_gone));
  atomic_fetch_add (&end->n_calls, 1);
}

START_TEST (gather_keeps_no_loop_when_who_waits_for_it_is_told)
{
  End end;
  Looker looker = { .observer = MORROW_OBSERVER (look_for_executor), .end = &end };

  end_init (&end, morrow_loop_new (NULL));
  run_scene_on (end.executor, make_a_gather_of_the_promise, &end);
  ck_assert (morrow__future_subscribe_observer (end.made, &looker.observer));
  g_object_unref (end.executor);
  ck_assert (!atomic_load (&end.has_gone));

  morrow_promise_resolve (end.promise);
  ck_assert_int_eq (atomic_load (&end.n_calls), 1);
  end_clear (&end);
}
END_TEST

/* The last reference goes in the work, and the executor with the lane's hold, after it. */
typedef struct
{
  MorrowErrand errand;
  atomic_int   has_ended;
  gboolean     was_joinable;   /* Before the flag. */
} Farewell;

static void
drop_executor (MorrowJob *job, gboolean closed)
{
  g_object_unref (((Farewell *) job)->errand.executor);
}

static void
nobody_waits (gpointer joiner)
{
}

static void
look_for_errand (gpointer data, GObject *was)
{
  Farewell *farewell = data;

  farewell->was_joinable = !morrow__lane_is_busy ((MorrowExecutor *) was, nobody_waits, NULL);
  atomic_store (&farewell->has_ended, TRUE);
}

START_TEST (lane_keeps_no_executor_when_who_waits_for_it_is_told)
{
  Farewell farewell = { .errand.job.run = drop_executor };
  MorrowExecutor *executor = morrow_loop_new (NULL);
  g_autoptr (GError) error = NULL;

  farewell.errand.executor = executor;
  g_object_weak_ref (G_OBJECT (executor), look_for_errand, &farewell);
  ck_assert (morrow__lane_push (&farewell.errand, &error));
  morrow__lane_join (executor);
  ck_assert (atomic_load (&farewell.has_ended));
  ck_assert (!farewell.was_joinable);
}
END_TEST

/* --- loops in a main context ------------------------------------------------------------------- */

/* A source that has another thread let go of a loop while the context asks its sources. */
typedef struct
{
  GSource  source;
  End     *end;
  gpointer (*let_go) (gpointer end);
} Asker;

static gboolean
asker_prepare (GSource *source, gint *timeout)
{
  Asker *asker = (Asker *) source;

  *timeout = 0;
  if (asker->let_go != NULL)
    {
      g_thread_join (g_thread_new ("let go", asker->let_go, asker->end));
      asker->let_go = NULL;
      ck_assert (!atomic_load (&asker->end->has_gone));
    }
  return FALSE;
}

static GSourceFuncs asker_funcs = { .prepare = asker_prepare };

static gpointer
drop_reference (gpointer data)
{
  g_object_unref (((End *) data)->executor);
  return NULL;
}

static gpointer
settle_promise (gpointer data)
{
  morrow_promise_resolve (((End *) data)->promise);
  return NULL;
}

static gboolean
leave_a_gather_of_the_promise (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *pending = morrow_future_ref (((End *) data)->pending);

  morrow_future_unref (morrow_gatherv (&pending, 1));
  return TRUE;
}

/* Turns the context, whose loop another thread lets go of meanwhile, until that has gone. */
static void
turn_until_gone (GMainContext *context, End *end, gpointer (*let_go) (gpointer))
{
  GSource *source = g_source_new (&asker_funcs, sizeof (Asker));

  ((Asker *) source)->end = end;
  ((Asker *) source)->let_go = let_go;
  g_source_attach (source, context);
  while (!atomic_load (&end->has_gone))
    g_main_context_iteration (context, FALSE);
  ck_assert_ptr_eq (end->thread, g_thread_self ());

  g_source_destroy (source);
  g_source_unref (source);
}

START_TEST (loop_whose_last_reference_goes_on_another_thread_ends_where_its_context_turns)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  End end;

  end_init (&end, morrow_loop_new (context));
  turn_until_gone (context, &end, drop_reference);
  end_clear (&end);
}
END_TEST

START_TEST (loop_whose_last_hold_goes_on_another_thread_ends_where_its_context_turns)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  MorrowFuture *task;
  End end;

  end_init (&end, morrow_loop_new (context));
  task = morrow_executor_spawn (end.executor, morrow_coroutine (leave_a_gather_of_the_promise, &end, NULL));
  while (!morrow_future_is_settled (task))
    g_main_context_iteration (context, FALSE);
  morrow_future_unref (task);
  g_object_unref (end.executor);

  turn_until_gone (context, &end, settle_promise);
  end_clear (&end);
}
END_TEST

START_TEST (loop_in_a_context_that_nobody_turns_ends_at_once)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  End end;

  end_init (&end, morrow_loop_new (context));
  g_thread_join (g_thread_new ("let go", drop_reference, &end));
  ck_assert (atomic_load (&end.has_gone));
  end_clear (&end);
}
END_TEST

static Suite *
end_suite (void)
{
  Suite *suite = suite_create ("end");
  TCase *last = morrow_check_add_case (suite, "what a task does last");
  TCase *where = morrow_check_add_case (suite, "where it ends");
  TCase *dropped = morrow_check_add_case (suite, "dropped by tasks");
  TCase *held = morrow_check_add_case (suite, "dropped while held");
  TCase *told = morrow_check_add_case (suite, "let go of by who waits");
  TCase *hosted = morrow_check_add_case (suite, "hosted");

  tcase_add_loop_test (last, callback_that_a_task_attaches_while_its_pool_ends_is_called, FIRST_POOL, AFTER_POOLS);
  tcase_add_loop_test (last, thread_that_is_given_work_while_a_pool_ends_is_waited_for, FIRST_POOL, AFTER_POOLS);
  tcase_add_loop_test (last, callback_that_outlives_its_pool_is_refused, FIRST_POOL, AFTER_POOLS);
  tcase_add_loop_test (last, coroutine_whose_turn_comes_after_the_end_of_its_pool_is_refused, FIRST_POOL, AFTER_POOLS);
  tcase_add_loop_test (last, task_that_drops_its_own_pool_goes_on, FIRST_POOL, AFTER_POOLS);

  tcase_add_loop_test (where, pool_whose_last_hold_goes_in_a_visit_ends, FIRST_POOL, AFTER_POOLS);
  tcase_add_loop_test (where, pool_whose_last_reference_goes_in_a_visit_ends, FIRST_POOL, AFTER_POOLS);
  tcase_add_loop_test (where, timers_go_on_while_a_pool_ends_that_a_timer_let_go_of, FIRST_POOL, AFTER_POOLS);

  tcase_add_loop_test (dropped, task_that_drops_a_pool_waits_until_its_tasks_have_ended, 0, 2 * N_MODELS);
  tcase_add_loop_test (dropped, run_waits_for_a_pool_whose_last_reference_goes_in_a_visit, 0, 2 * N_MODELS);
  tcase_add_loop_test (dropped, pools_whose_tasks_drop_each_other_end, 0, 4);
  tcase_add_loop_test (dropped, pools_of_which_a_thread_that_one_gave_work_and_a_task_drop_each_other_end, 0, 4);
  tcase_add_loop_test (dropped, pools_of_which_a_run_on_such_a_thread_and_a_task_drop_each_other_end, 0, 4);
  tcase_add_loop_test (dropped, pool_whose_last_reference_goes_with_one_that_it_waits_for_ends, 0, 4);

  tcase_add_loop_test (held, pool_that_is_dropped_cancels_a_task_that_awaits_a_gather_and_waits_for_it, FIRST_POOL, AFTER_POOLS);
  tcase_add_loop_test (held, pool_that_a_callback_keeps_cancels_its_tasks_when_it_is_dropped_and_waits_for_them, FIRST_POOL, AFTER_POOLS);
  tcase_add_loop_test (held, pool_that_a_thread_keeps_cancels_its_tasks_when_it_is_dropped_and_waits_for_all, FIRST_POOL, AFTER_POOLS);
  tcase_add_loop_test (held, gather_that_has_settled_keeps_no_pool, FIRST_POOL, AFTER_POOLS);

  tcase_add_test (told, gather_keeps_no_loop_when_who_waits_for_it_is_told);
  tcase_add_test (told, lane_keeps_no_executor_when_who_waits_for_it_is_told);

  tcase_add_test (hosted, loop_whose_last_reference_goes_on_another_thread_ends_where_its_context_turns);
  tcase_add_test (hosted, loop_whose_last_hold_goes_on_another_thread_ends_where_its_context_turns);
  tcase_add_test (hosted, loop_in_a_context_that_nobody_turns_ends_at_once);

  return suite;
}

MORROW_CHECK_MAIN (end_suite)
