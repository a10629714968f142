/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pools of threads: who runs what while a worker waits, which waits are hopeless, and how a pool
 * ends.
 */
#include "config.h"

#include "core/future-private.h"
#include "exec/circle.h"
#include "exec/models.h"
#include "exec/thread-pool-private.h"

#include <pthread.h>

/* --- the number of workers --------------------------------------------------------------------- */

enum
{
  N_WORKERS = 3
};

typedef struct
{
  pthread_barrier_t all;
  atomic_uint       n_running;
  atomic_uint       n_running_at_most;
} Crowd;

static gboolean
meet_the_others (gpointer data, GValue *result, GError **error)
{
  Crowd *self = data;
  guint n = atomic_fetch_add (&self->n_running, 1) + 1;
  guint most = atomic_load (&self->n_running_at_most);

  while (n > most && !atomic_compare_exchange_weak (&self->n_running_at_most, &most, n))
    ;
  pthread_barrier_wait (&self->all);
  atomic_fetch_sub (&self->n_running, 1);
  return TRUE;
}

static gboolean
gather_a_crowd (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *tasks[N_WORKERS * 20];

  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    tasks[i] = morrow_coroutine (meet_the_others, data, NULL);
  return morrow_await (morrow_gatherv (tasks, G_N_ELEMENTS (tasks)), error);
}

START_TEST (as_many_tasks_run_at_once_as_there_are_workers_and_no_more)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (N_WORKERS);
  Crowd crowd = { .n_running = 0 };
  guint n_threads = count_threads ();

  ck_assert_uint_eq (morrow_executor_get_n_threads (pool), N_WORKERS);
  pthread_barrier_init (&crowd.all, NULL, N_WORKERS);
  run_scene_on (pool, gather_a_crowd, &crowd);
  ck_assert_uint_eq (atomic_load (&crowd.n_running_at_most), N_WORKERS);
  ck_assert_uint_le (count_threads (), n_threads + N_WORKERS + 1);   /* and a sanitizer's own */
  pthread_barrier_destroy (&crowd.all);
}
END_TEST

/* --- helping ----------------------------------------------------------------------------------- */

static gboolean
return_thread (gpointer data, GValue *result, GError **error)
{
  return morrow_return_pointer (result, g_thread_self ());
}

static gboolean
await_task_on_full_pool (gpointer data, GValue *result, GError **error)
{
  gpointer thread = morrow_await_pointer (morrow_create_task (morrow_coroutine (return_thread, NULL, NULL)), error);

  ck_assert_ptr_eq (thread, g_thread_self ());
  return TRUE;
}

static gboolean
await_as_task (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine ((MorrowCoroutineFunc) data, NULL, NULL)), error);
}

START_TEST (worker_that_waits_on_a_full_pool_runs_what_it_waits_for)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);

  run_scene_on (pool, await_as_task, await_task_on_full_pool);
}
END_TEST

/* data: how deep.  Gathers three of itself, and counts the leaves. */
static gboolean
count_leaves (gpointer data, GValue *result, GError **error)
{
  gint depth = GPOINTER_TO_INT (data), n = 0;
  MorrowFuture *children[3];
  MorrowResults *results;

  if (depth == 0)
    return morrow_return_int (result, 1);

  for (guint i = 0; i < G_N_ELEMENTS (children); i++)
    children[i] = morrow_coroutine (count_leaves, GINT_TO_POINTER (depth - 1), NULL);
  results = morrow_await_boxed (morrow_gatherv (children, G_N_ELEMENTS (children)), error);
  if (results == NULL)
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (children); i++)
    n += morrow_results_get_int (results, i);
  morrow_results_unref (results);
  return morrow_return_int (result, n);
}

START_TEST (nested_gathers_end_on_a_full_pool)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (_i);
  g_auto (GValue) result = G_VALUE_INIT;
  GError *error = NULL;
  gboolean ok = morrow_run_on (pool, morrow_coroutine (count_leaves, GINT_TO_POINTER (5), NULL), &result, &error);

  assert_no_error (error);
  ck_assert (ok);
  ck_assert_int_eq (g_value_get_int (&result), 3 * 3 * 3 * 3 * 3);
}
END_TEST

static gboolean
say_callback (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  ck_assert_ptr_null (morrow_current_task ());
  say ("called");
  return TRUE;
}

static gboolean
await_callback (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) sleep = morrow_sleep (0.001);

  return morrow_await (morrow_future_then (sleep, say_callback, NULL, NULL), error);
}

START_TEST (callback_that_a_full_pool_waits_for_is_called)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);

  run_scene_on (pool, await_as_task, await_callback);
  assert_said ("called");
}
END_TEST

static gboolean
await_with_limit (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *futures[] = { morrow_sleep (0.001), morrow_coroutine (return_thread, NULL, NULL) };

  /* The second starts when the first has settled, by which time all workers are blocked. */
  return morrow_await (morrow_gather_full (futures, 2, MORROW_GATHER_DEFAULT, 1), error);
}

START_TEST (task_that_starts_while_all_workers_wait_for_it_is_run)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);

  run_scene_on (pool, await_as_task, await_with_limit);
}
END_TEST

/* --- what a worker runs while it waits ---------------------------------------------------------- */

/* Each of some waits for a promise that another resolves, which waits for a timer before. Nothing of that is run on top of what it is
 * to let go on. */
enum
{
  N_PAIRS = 8
};

typedef struct
{
  MorrowPromise *promises[N_PAIRS];
  MorrowFuture  *futures[N_PAIRS];
} Pairs;

typedef struct
{
  Pairs *pairs;
  guint  i;
} Half;

static gboolean
sleep_and_resolve (gpointer data, GValue *result, GError **error)
{
  Half *self = data;

  return morrow_await (morrow_sleep (0.001), error) && morrow_promise_resolve (self->pairs->promises[self->i]);
}

static gboolean
await_the_other (gpointer data, GValue *result, GError **error)
{
  Half *self = data;

  return morrow_future_await (self->pairs->futures[self->i], error);
}

static gboolean
gather_pairs (gpointer data, GValue *result, GError **error)
{
  Pairs pairs;
  Half halves[N_PAIRS];
  MorrowFuture *tasks[2 * N_PAIRS];
  gboolean ok;

  for (guint i = 0; i < N_PAIRS; i++)
    {
      pairs.futures[i] = new_pending (&pairs.promises[i]);
      halves[i] = (Half) { &pairs, i };
      tasks[2 * i] = morrow_coroutine (sleep_and_resolve, &halves[i], NULL);
      tasks[2 * i + 1] = morrow_coroutine (await_the_other, &halves[i], NULL);
    }
  ok = morrow_await (morrow_gatherv (tasks, G_N_ELEMENTS (tasks)), error);
  for (guint i = 0; i < N_PAIRS; i++)
    {
      morrow_promise_unref (pairs.promises[i]);
      morrow_future_unref (pairs.futures[i]);
    }
  return ok;
}

static gboolean
gather_pairs_in_a_task (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine (gather_pairs, NULL, NULL)), error);
}

/* _i: workers. */
START_TEST (tasks_of_a_gather_may_wait_for_each_other)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (_i);

  run_scene_on (pool, gather_pairs, NULL);
  run_scene_on (pool, gather_pairs_in_a_task, NULL);
}
END_TEST

typedef struct
{
  MorrowExecutor *pool;
  atomic_bool     has_run;
} Endless;

static void
submit_again (gpointer data)
{
  Endless *self = data;

  if (!atomic_load (&self->has_run))
    morrow_executor_submit (self->pool, submit_again, self, NULL);
}

static gboolean
end_it (gpointer data, GValue *result, GError **error)
{
  atomic_store (&((Endless *) data)->has_run, TRUE);
  return TRUE;
}

/* _i: workers. */
START_TEST (work_that_submits_itself_again_does_not_starve_tasks)
{
  Endless endless = { .pool = morrow_thread_pool_new (_i) };
  g_autoptr (MorrowFuture) task = NULL;

  for (gint i = 0; i < 2 * _i; i++)
    submit_again (&endless);
  task = morrow_executor_spawn (endless.pool, morrow_coroutine (end_it, &endless, NULL));
  ck_assert (morrow_future_wait (task, NULL));
  g_object_unref (endless.pool);
}
END_TEST

/* --- standing in ------------------------------------------------------------------------------- */

enum
{
  MAX_WAITERS = 4
};

typedef struct
{
  guint          n;           /* of those who wait for it */
  MorrowFuture  *future;
  MorrowPromise *promise;
  atomic_uint    n_waiting;
} Event;

static gboolean
await_event (gpointer data, GValue *result, GError **error)
{
  Event *self = data;

  atomic_fetch_add (&self->n_waiting, 1);
  return morrow_future_await (self->future, error);
}

static gboolean
resolve_event (gpointer data, GValue *result, GError **error)
{
  morrow_promise_resolve (((Event *) data)->promise);
  return TRUE;
}

/* Creates those who wait, and @last after them. */
static MorrowFuture *
gather_waiters (Event *self, MorrowFuture *last)
{
  MorrowFuture *tasks[MAX_WAITERS + 1];

  for (guint i = 0; i < self->n; i++)
    tasks[i] = morrow_coroutine (await_event, self, NULL);
  tasks[self->n] = last;
  return morrow_gatherv (tasks, self->n + 1);
}

static void
run_event (MorrowExecutor *pool, guint n, MorrowCoroutineFunc func)
{
  Event event = { .n = n };

  event.future = new_pending (&event.promise);
  run_scene_on (pool, func, &event);
  morrow_future_unref (event.future);
  morrow_promise_unref (event.promise);
}

static gboolean
await_first_waiter (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) first = morrow_create_task (morrow_coroutine (await_event, data, NULL));
  g_autoptr (MorrowFuture) rest = gather_waiters (data, morrow_coroutine (resolve_event, data, NULL));

  return morrow_future_await (first, error) && morrow_future_await (rest, error);
}

/* _i: the number of workers. */
START_TEST (what_all_workers_wait_for_runs_though_it_is_queued)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (_i);

  run_event (pool, MAX_WAITERS, await_first_waiter);
}
END_TEST

START_TEST (as_many_tasks_run_at_once_after_one_has_stood_in)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (N_WORKERS);
  Crowd crowd = { .n_running = 0 };

  run_event (pool, MAX_WAITERS, await_first_waiter);
  pthread_barrier_init (&crowd.all, NULL, N_WORKERS);
  run_scene_on (pool, gather_a_crowd, &crowd);
  ck_assert_uint_eq (atomic_load (&crowd.n_running_at_most), N_WORKERS);
  pthread_barrier_destroy (&crowd.all);
}
END_TEST

enum
{
  N_SLEEPERS = 10
};

/* data: an Event, of which n counts those who have slept. */
static gboolean
sleep_alone (gpointer data, GValue *result, GError **error)
{
  Event *self = data;
  gboolean ok;

  ck_assert_uint_eq (atomic_fetch_add (&self->n_waiting, 1), 0);
  ok = morrow_await (morrow_sleep (0.001), error);
  atomic_fetch_sub (&self->n_waiting, 1);
  return ok && (++self->n < N_SLEEPERS || resolve_event (self, NULL, error));
}

/* Main awaits the event and not the sleepers, which it would help with. */
static gboolean
await_last_sleeper (gpointer data, GValue *result, GError **error)
{
  for (guint i = 0; i < N_SLEEPERS; i++)
    morrow_future_unref (morrow_create_task (morrow_coroutine (sleep_alone, data, NULL)));
  return morrow_future_await (((Event *) data)->future, error);
}

START_TEST (nobody_stands_in_for_one_who_sleeps)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);

  run_event (pool, 0, await_last_sleeper);
}
END_TEST

/* All wait for what is queued, or for a thread that fails. */
typedef struct
{
  Event         event;
  MorrowFuture *any;       /* of the two */
  MorrowFuture *waiting;   /* a task that waits for it, as main does for the task */
  atomic_int    is_made;   /* all of the above */
} LastHope;

static void
wait_until_awaited (MorrowFuture *future)
{
  while ((morrow__future_peek (future) & MORROW__WAITERS) == 0)
    g_thread_yield ();
}

static gboolean
fail_once_all_wait (gpointer data, GValue *result, GError **error)
{
  LastHope *self = data;

  while (!atomic_load (&self->is_made))
    g_thread_yield ();
  wait_until_awaited (self->any);
  wait_until_awaited (self->waiting);
  for (guint i = 0; i < 100; i++)
    g_thread_yield ();                          /* likely to where they sleep */
  return fail_with (NULL, result, error);
}

static gboolean
lose_the_last_hope (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) future = NULL, any = NULL, waiting = NULL, resolving = NULL;
  g_autoptr (MorrowPromise) promise = NULL;
  LastHope self = { .is_made = FALSE };

  future = new_pending (&promise);
  any = morrow_any (morrow_future_ref (future), morrow_to_thread (fail_once_all_wait, &self, NULL), NULL);
  waiting = morrow_create_task (morrow_coroutine (await_it, any, NULL));
  self.event.promise = promise;
  resolving = morrow_create_task (morrow_coroutine (resolve_event, &self.event, NULL));
  self.any = any;
  self.waiting = waiting;
  atomic_store (&self.is_made, TRUE);
  return morrow_future_await (waiting, error) && morrow_future_await (resolving, error);
}

START_TEST (what_all_wait_for_runs_once_nothing_else_is_sure_to_come)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);

  for (guint i = 0; i < 20; i++)
    run_scene_on (pool, lose_the_last_hope, NULL);
}
END_TEST

/* One who holds something waits for a thread outside, which acts once another waits for what is held. */
typedef struct
{
  Event go_on;
  Event release;
} Holder;

static gboolean
hold (gpointer data, GValue *result, GError **error)
{
  Holder *self = data;

  return await_event (&self->go_on, NULL, error) && resolve_event (&self->release, NULL, error);
}

static gpointer
let_go_on_once_wanted (gpointer data)
{
  Holder *self = data;

  while (atomic_load (&self->release.n_waiting) == 0)
    g_thread_yield ();
  morrow_promise_resolve (self->go_on.promise);
  return NULL;
}

static gboolean
await_holder (gpointer data, GValue *result, GError **error)
{
  Holder *self = data;
  g_autoptr (MorrowFuture) holder = morrow_create_task (morrow_coroutine (hold, self, NULL));
  g_autoptr (MorrowFuture) other = NULL;

  while (atomic_load (&self->go_on.n_waiting) == 0)
    ck_assert (morrow_yield (error));
  other = morrow_create_task (morrow_coroutine (await_event, &self->release, NULL));
  return morrow_future_await (holder, error) && morrow_future_await (other, error);
}

START_TEST (one_who_waits_goes_on_though_another_stands_in_for_it)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);
  Holder holder = { { 0 } };
  GThread *thread;

  holder.go_on.future = new_pending (&holder.go_on.promise);
  holder.release.future = new_pending (&holder.release.promise);
  thread = g_thread_new (NULL, let_go_on_once_wanted, &holder);
  run_scene_on (pool, await_holder, &holder);
  g_thread_join (thread);
  morrow_future_unref (holder.go_on.future);
  morrow_promise_unref (holder.go_on.promise);
  morrow_future_unref (holder.release.future);
  morrow_promise_unref (holder.release.promise);
}
END_TEST

static gboolean
yield_until_resolved (gpointer data, GValue *result, GError **error)
{
  Event *self = data;

  while (!morrow_future_is_settled (self->future))
    if (!morrow_yield (error))
      return FALSE;
  return TRUE;
}

static gboolean
gather_yielders (gpointer data, GValue *result, GError **error)
{
  Event *self = data;
  MorrowFuture *tasks[MAX_WAITERS + 1];

  for (guint i = 0; i < self->n; i++)
    tasks[i] = morrow_create_task (morrow_coroutine (yield_until_resolved, self, NULL));
  tasks[self->n] = morrow_create_task (morrow_coroutine (resolve_event, self, NULL));
  return morrow_await (morrow_gatherv (tasks, self->n + 1), error);
}

/* _i: the number of workers. */
START_TEST (what_is_queued_runs_though_all_workers_only_yield)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (_i);

  run_event (pool, _i, gather_yielders);
}
END_TEST

static gboolean
yield_until_all_wait (gpointer data, GValue *result, GError **error)
{
  Event *self = data;
  g_autoptr (MorrowFuture) waiters = gather_waiters (self, new_int (0));

  while (atomic_load (&self->n_waiting) < self->n)
    if (!morrow_yield (error))
      return FALSE;
  morrow_promise_resolve (self->promise);
  return morrow_future_await (waiters, error);
}

static gboolean
await_yielder (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine (yield_until_all_wait, data, NULL)), error);
}

START_TEST (task_that_yields_sees_all_wait_that_wait_for_it)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (_i);

  run_event (pool, MAX_WAITERS, await_yielder);
}
END_TEST

START_TEST (main_that_yields_sees_all_wait_that_wait_for_it)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (_i);

  run_event (pool, MAX_WAITERS, yield_until_all_wait);
}
END_TEST

/* --- hopeless waits ---------------------------------------------------------------------------- */

/* _i: the number of workers. */
START_TEST (circle_of_tasks_is_broken_once)
{
  for (guint n = 2; n <= MAX_CIRCLE; n++)
    {
      g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (_i);
      Circle circle = { .n = n };

      run_scene_on (pool, make_circle, &circle);
      ck_assert_uint_eq (atomic_load (&circle.n_deadlocks), 1);
    }
}
END_TEST

typedef struct
{
  MorrowFuture *main;         /* there until the run has ended, since a worker may have woken just then that waited for it */
  atomic_uint   n_deadlocks;
} Pair;

static gboolean
await_main (gpointer data, GValue *result, GError **error)
{
  Pair *self = data;

  return await_in_circle (self->main, &self->n_deadlocks);
}

static gboolean
await_who_awaits_main (gpointer data, GValue *result, GError **error)
{
  Pair *self = data;
  g_autoptr (MorrowFuture) both = NULL;

  self->main = morrow_current_task ();
  both = morrow_shield (morrow_gather (morrow_coroutine (await_main, self, NULL), morrow_coroutine (return_thread, NULL, NULL), NULL));
  return await_in_circle (both, &self->n_deadlocks);
}

START_TEST (circle_through_main_and_a_gather_is_broken_once)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (_i);
  Pair pair = { NULL };

  run_scene_on (pool, await_who_awaits_main, &pair);
  ck_assert_uint_eq (atomic_load (&pair.n_deadlocks), 1);
}
END_TEST

static gboolean
await_in_place (gpointer data, GValue *result, GError **error)
{
  Pair *self = data;
  g_autoptr (MorrowFuture) other = morrow_create_task (morrow_coroutine (await_main, self, NULL));

  return await_in_circle (other, &self->n_deadlocks);
}

static gboolean
await_coroutine_in_place (gpointer data, GValue *result, GError **error)
{
  Pair *self = data;

  self->main = morrow_coroutine (await_in_place, self, NULL);
  return morrow_future_await (self->main, error);
}

START_TEST (circle_through_a_coroutine_that_runs_in_place_is_broken_once)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (_i);
  Pair pair = { NULL };

  run_scene_on (pool, await_coroutine_in_place, &pair);
  morrow_future_unref (pair.main);
  ck_assert_uint_eq (atomic_load (&pair.n_deadlocks), 1);
}
END_TEST

/* A task that has been woken, but on whose stack another runs, which waits for it. */
typedef struct
{
  MorrowFuture *below;         /* borrowed */
  MorrowFuture *failing;       /* borrowed */
  MorrowPromise *fail;
  atomic_uint   n_deadlocks;
} Tower;

static gboolean
fail_and_await_below (gpointer data, GValue *result, GError **error)
{
  Tower *self = data;

  morrow_promise_reject (self->fail, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "the gather fails"));
  return await_in_circle (self->below, &self->n_deadlocks);
}

static gboolean
await_gather_that_fails (gpointer data, GValue *result, GError **error)
{
  Tower *self = data;
  g_autoptr (MorrowFuture) gather = NULL;
  g_autoptr (GError) why = NULL;

  self->below = morrow_current_task ();
  gather = morrow_gather (morrow_coroutine (fail_and_await_below, self, NULL), morrow_future_ref (self->failing), NULL);
  why = await_error (gather);
  ck_assert_str_eq (why->message, "the gather fails");
  return TRUE;
}

static gboolean
build_tower (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine (await_gather_that_fails, data, NULL)), error);
}

START_TEST (wait_for_a_task_below_on_the_same_stack_is_hopeless)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);
  Tower tower = { NULL };

  tower.failing = new_pending (&tower.fail);
  run_scene_on (pool, build_tower, &tower);
  ck_assert_uint_eq (atomic_load (&tower.n_deadlocks), 1);
  morrow_future_unref (tower.failing);
  morrow_promise_unref (tower.fail);
}
END_TEST

static gboolean
await_it_of_promise (gpointer data, GValue *result, GError **error)
{
  return morrow_future_await (data, error);
}

static gpointer
resolve_slowly (gpointer promise)
{
  g_usleep (1000);                        /* for the wait to begin, which it need not have */
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  return NULL;
}

static gboolean
await_what_a_thread_resolves (gpointer data, GValue *result, GError **error)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  GThread *thread = g_thread_new (NULL, resolve_slowly, promise);
  gboolean ok = morrow_await (morrow_all (morrow_coroutine (await_it_of_promise, future, NULL),
                                          morrow_coroutine (await_it_of_promise, future, NULL), NULL), error);

  g_thread_join (thread);
  return ok;
}

START_TEST (wait_for_what_a_thread_outside_settles_is_not_hopeless)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);

  run_scene_on (pool, await_as_task, await_what_a_thread_resolves);
}
END_TEST

static gboolean
await_on_the_other (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_executor_spawn (data, morrow_coroutine (return_thread, NULL, NULL)), error);
}

static gboolean
await_across (gpointer data, GValue *result, GError **error)
{
  MorrowExecutor **pools = data;

  return morrow_await (morrow_executor_spawn (pools[0], morrow_coroutine (await_on_the_other, pools[1], NULL)), error);
}

START_TEST (wait_for_the_task_of_another_pool_is_not_hopeless)
{
  MorrowExecutor *pools[] = { morrow_thread_pool_new (1), morrow_thread_pool_new (1) };

  run_scene_on (pools[0], await_across, pools);
  g_object_unref (pools[0]);
  g_object_unref (pools[1]);
}
END_TEST

/* Two pools of one worker each: that of the second holds on to its thread until it is let go. */
typedef struct
{
  MorrowExecutor *second;
  MorrowFuture   *queued;      /* on the second */
  _Atomic (GThread *) holder, runner;
  atomic_bool     let_go;
} TwoPools;

static gboolean
hold_the_second (gpointer data, GValue *result, GError **error)
{
  TwoPools *self = data;

  atomic_store (&self->holder, g_thread_self ());
  while (!atomic_load (&self->let_go))
    g_thread_yield ();
  return TRUE;
}

static gboolean
note_runner (gpointer data, GValue *result, GError **error)
{
  atomic_store (&((TwoPools *) data)->runner, g_thread_self ());
  return TRUE;
}

static gboolean
await_what_is_queued (gpointer data, GValue *result, GError **error)
{
  return morrow_future_await (((TwoPools *) data)->queued, error);
}

/* Whether a task of @executor waits, which may have looked around by now. */
static gboolean
has_waited (MorrowExecutor *executor)
{
  MorrowThreadPool *pool = MORROW_THREAD_POOL (executor);
  gboolean waits;

  pthread_mutex_lock (&pool->lock);
  waits = g_hash_table_size (pool->waiting) > 0;
  pthread_mutex_unlock (&pool->lock);
  let_run ();
  return waits;
}

static gboolean
wait_for_the_second (gpointer data, GValue *result, GError **error)
{
  TwoPools *self = data;
  g_autoptr (MorrowFuture) holder = morrow_executor_spawn (self->second, morrow_coroutine (hold_the_second, self, NULL));
  g_autoptr (MorrowFuture) waits = NULL;

  self->queued = morrow_executor_spawn (self->second, morrow_coroutine (note_runner, self, NULL));
  waits = morrow_create_task (morrow_coroutine (await_what_is_queued, self, NULL));
  while (!has_waited (morrow_executor_get_current ()) || atomic_load (&self->holder) == NULL)
    ;
  let_run ();
  ck_assert (atomic_load (&self->runner) == NULL);
  atomic_store (&self->let_go, TRUE);
  await_ok (waits);
  await_ok (holder);
  ck_assert_ptr_eq (atomic_load (&self->runner), atomic_load (&self->holder));
  morrow_future_unref (self->queued);
  return TRUE;
}

START_TEST (worker_that_waits_for_what_another_pool_has_queued_leaves_it_there)
{
  g_autoptr (MorrowExecutor) first = morrow_thread_pool_new (1);
  TwoPools pools = { .second = morrow_thread_pool_new (1) };

  run_scene_on (first, wait_for_the_second, &pools);
  g_object_unref (pools.second);
}
END_TEST

static gboolean
let_go (gpointer data, GValue *result, GError **error)
{
  atomic_store (&((TwoPools *) data)->let_go, TRUE);
  return TRUE;
}

/* What lets go of the second's worker is queued behind who waits for that. */
static gboolean
wait_for_the_second_to_be_let_go (gpointer data, GValue *result, GError **error)
{
  TwoPools *self = data;
  g_autoptr (MorrowFuture) holder = morrow_executor_spawn (self->second, morrow_coroutine (hold_the_second, self, NULL));
  g_autoptr (MorrowFuture) waits = NULL, goes = NULL;

  self->queued = morrow_executor_spawn (self->second, morrow_coroutine (note_runner, self, NULL));
  waits = morrow_create_task (morrow_coroutine (await_what_is_queued, self, NULL));
  goes = morrow_create_task (morrow_coroutine (let_go, self, NULL));
  await_ok (waits);
  await_ok (goes);
  await_ok (holder);
  morrow_future_unref (self->queued);
  return TRUE;
}

START_TEST (worker_that_waits_for_what_another_pool_has_queued_is_stood_in_for)
{
  g_autoptr (MorrowExecutor) first = morrow_thread_pool_new (1);
  TwoPools pools = { .second = morrow_thread_pool_new (1) };

  run_scene_on (first, wait_for_the_second_to_be_let_go, &pools);
  g_object_unref (pools.second);
}
END_TEST

static gboolean
await_self (gpointer data, GValue *result, GError **error)
{
  return morrow_future_await (morrow_current_task (), error);
}

START_TEST (task_that_awaits_itself_is_told_so)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);
  g_autoptr (GError) error = run_failing_on (pool, await_as_task, await_self);

  assert_error (error, MORROW_ERROR, MORROW_ERROR_SELF_AWAIT);
}
END_TEST

/* --- cancelling -------------------------------------------------------------------------------- */

static gboolean
wait_and_be_cancelled (gpointer data, GValue *result, GError **error)
{
  atomic_uint *n_waiting = data;
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&promise);
  gboolean ok;

  atomic_fetch_add (n_waiting, 1);
  ok = morrow_future_await (never_settles, error);
  ck_assert (!ok);
  return FALSE;
}

static gboolean
cancel_both_kinds (gpointer data, GValue *result, GError **error)
{
  atomic_uint n_waiting = 0;
  g_autoptr (MorrowFuture) blocked = morrow_create_task (morrow_coroutine (wait_and_be_cancelled, &n_waiting, NULL));
  g_autoptr (MorrowFuture) queued = NULL;

  while (atomic_load (&n_waiting) == 0)
    ck_assert (morrow_yield (error));
  queued = morrow_create_task (morrow_coroutine (wait_and_be_cancelled, &n_waiting, NULL));
  ck_assert (morrow_future_cancel (queued));
  ck_assert (morrow_future_cancel (blocked));
  await_cancelled (blocked);
  await_cancelled (queued);
  ck_assert_uint_eq (atomic_load (&n_waiting), 1);
  return TRUE;
}

START_TEST (task_that_blocks_its_worker_can_be_cancelled_and_one_that_is_queued_too)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);

  run_scene_on (pool, cancel_both_kinds, NULL);
}
END_TEST

/* --- the end of a pool ------------------------------------------------------------------------- */

START_TEST (pool_that_is_dropped_cancels_what_is_alive_and_waits_for_it)
{
  MorrowExecutor *pool = morrow_thread_pool_new (2);
  MorrowFuture *tasks[10];
  atomic_uint n_waiting = 0;

  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    tasks[i] = morrow_executor_spawn (pool, morrow_coroutine (wait_and_be_cancelled, &n_waiting, NULL));
  g_object_unref (pool);

  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    {
      ck_assert (morrow_future_is_cancelled (tasks[i]));
      morrow_future_unref (tasks[i]);
    }
}
END_TEST

static void
count_work (gpointer data)
{
  atomic_fetch_add ((atomic_uint *) data, 1);
}

START_TEST (pool_that_is_dropped_does_the_work_that_was_submitted)
{
  MorrowExecutor *pool = morrow_thread_pool_new (2);
  atomic_uint n_done = 0;

  for (guint i = 0; i < 1000; i++)
    morrow_executor_submit (pool, count_work, &n_done, NULL);
  g_object_unref (pool);
  ck_assert_uint_eq (atomic_load (&n_done), 1000);
}
END_TEST

static void
clear_flag (gpointer data, GObject *was)
{
  atomic_store ((atomic_int *) data, FALSE);
}

static gboolean
do_nothing (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

static gboolean
attach_callback (gpointer data, GValue *result, GError **error)
{
  morrow_future_unref (morrow_future_then (data, do_nothing, NULL, NULL));
  return TRUE;
}

START_TEST (pool_whose_last_reference_goes_on_its_own_thread_ends)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  guint n_threads = count_threads ();
  MorrowExecutor *pool = morrow_thread_pool_new (2);
  atomic_int is_alive = TRUE;

  g_object_weak_ref (G_OBJECT (pool), clear_flag, &is_alive);
  run_scene_on (pool, attach_callback, future);
  g_object_unref (pool);
  ck_assert (atomic_load (&is_alive));   /* the callback's */

  morrow_promise_resolve (promise);
  while (atomic_load (&is_alive) || count_threads () > n_threads + 1)
    g_thread_yield ();
}
END_TEST

/* A pool of one worker, and what drops the last reference of it. */
typedef struct
{
  MorrowExecutor *pool;
  MorrowFuture   *never;     /* settles */
  atomic_int      is_last;   /* the reference of the pool */
} Dropped;

static void
drop_last (Dropped *self)
{
  while (!atomic_load (&self->is_last))
    g_thread_yield ();
  g_clear_object (&self->pool);
}

static gboolean
drop_in_callback (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  drop_last (data);
  return TRUE;
}

/* The callback runs on the stack of this, which waits. */
static gboolean
have_a_callback_drop_the_pool (gpointer data, GValue *result, GError **error)
{
  Dropped *self = data;
  g_autoptr (MorrowFuture) settled = new_int (1);

  morrow_future_unref (morrow_future_then (settled, drop_in_callback, self, NULL));
  return morrow_future_await (self->never, error);
}

static gboolean
drop_the_pool (gpointer data, GValue *result, GError **error)
{
  drop_last (data);
  return morrow_future_await (((Dropped *) data)->never, error);
}

static void
assert_task_ends_that_drops_its_pool (MorrowCoroutineFunc func)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never = new_pending (&promise);
  g_autoptr (MorrowFuture) task = NULL;
  g_autoptr (GError) error = NULL;
  MorrowExecutor *pool = morrow_thread_pool_new (1);
  Dropped dropped = { pool, never, FALSE };
  guint n_threads = count_threads ();
  atomic_int is_alive = TRUE;

  g_object_weak_ref (G_OBJECT (pool), clear_flag, &is_alive);
  task = morrow_executor_spawn (g_object_ref (pool), morrow_coroutine (func, &dropped, NULL));
  g_object_unref (pool);
  atomic_store (&dropped.is_last, TRUE);
  ck_assert (!morrow_future_wait (task, &error));
  assert_cancelled (error);
  while (atomic_load (&is_alive) || count_threads () > n_threads + 1)
    g_thread_yield ();
}

START_TEST (task_is_swept_on_top_of_which_a_callback_drops_its_pool)
{
  assert_task_ends_that_drops_its_pool (have_a_callback_drop_the_pool);
}
END_TEST

START_TEST (task_is_swept_that_drops_its_pool_and_waits)
{
  assert_task_ends_that_drops_its_pool (drop_the_pool);
}
END_TEST

static Suite *
thread_pool_suite (void)
{
  Suite *suite = suite_create ("thread-pool");
  TCase *helping = morrow_check_add_case (suite, "helping");
  TCase *on_top = morrow_check_add_case (suite, "on top");
  TCase *standing_in = morrow_check_add_case (suite, "standing in");
  TCase *hopeless = morrow_check_add_case (suite, "hopeless");
  TCase *end = morrow_check_add_case (suite, "end");

  tcase_add_test (helping, as_many_tasks_run_at_once_as_there_are_workers_and_no_more);
  tcase_add_test (helping, worker_that_waits_on_a_full_pool_runs_what_it_waits_for);
  tcase_add_loop_test (helping, nested_gathers_end_on_a_full_pool, 1, 4);
  tcase_add_test (helping, callback_that_a_full_pool_waits_for_is_called);
  tcase_add_test (helping, task_that_starts_while_all_workers_wait_for_it_is_run);

  tcase_add_loop_test (on_top, tasks_of_a_gather_may_wait_for_each_other, 1, 5);
  tcase_add_loop_test (on_top, work_that_submits_itself_again_does_not_starve_tasks, 1, 4);

  tcase_add_loop_test (standing_in, what_all_workers_wait_for_runs_though_it_is_queued, 1, MAX_WAITERS + 1);
  tcase_add_test (standing_in, as_many_tasks_run_at_once_after_one_has_stood_in);
  tcase_add_test (standing_in, nobody_stands_in_for_one_who_sleeps);
  tcase_add_test (standing_in, what_all_wait_for_runs_once_nothing_else_is_sure_to_come);
  tcase_add_test (standing_in, one_who_waits_goes_on_though_another_stands_in_for_it);
  tcase_add_loop_test (standing_in, what_is_queued_runs_though_all_workers_only_yield, 1, MAX_WAITERS + 1);
  tcase_add_loop_test (standing_in, task_that_yields_sees_all_wait_that_wait_for_it, 1, 3);
  tcase_add_loop_test (standing_in, main_that_yields_sees_all_wait_that_wait_for_it, 1, 3);

  tcase_add_loop_test (hopeless, circle_of_tasks_is_broken_once, 1, MAX_CIRCLE + 1);
  tcase_add_loop_test (hopeless, circle_through_main_and_a_gather_is_broken_once, 1, 3);
  tcase_add_loop_test (hopeless, circle_through_a_coroutine_that_runs_in_place_is_broken_once, 1, 3);
  tcase_add_test (hopeless, wait_for_a_task_below_on_the_same_stack_is_hopeless);
  tcase_add_test (hopeless, wait_for_what_a_thread_outside_settles_is_not_hopeless);
  tcase_add_test (hopeless, wait_for_the_task_of_another_pool_is_not_hopeless);
  tcase_add_test (hopeless, worker_that_waits_for_what_another_pool_has_queued_leaves_it_there);
  tcase_add_test (hopeless, worker_that_waits_for_what_another_pool_has_queued_is_stood_in_for);
  tcase_add_test (hopeless, task_that_awaits_itself_is_told_so);

  tcase_add_test (end, task_that_blocks_its_worker_can_be_cancelled_and_one_that_is_queued_too);
  tcase_add_test (end, pool_that_is_dropped_cancels_what_is_alive_and_waits_for_it);
  tcase_add_test (end, pool_that_is_dropped_does_the_work_that_was_submitted);
  tcase_add_test (end, pool_whose_last_reference_goes_on_its_own_thread_ends);
  tcase_add_test (end, task_is_swept_on_top_of_which_a_callback_drops_its_pool);
  tcase_add_test (end, task_is_swept_that_drops_its_pool_and_waits);

  return suite;
}

MORROW_CHECK_MAIN (thread_pool_suite)
