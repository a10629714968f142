/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waits on a loop that go round in a circle: each is opened at one place, and nothing else is taken for one.
 */
#include "config.h"

#include <glib-unix.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock-private.h"
#include "core/future-private.h"
#include "exec/circle.h"
#include "exec/loop-private.h"
#include "exec/models.h"

static MorrowExecutor *
make_one_loop (int pooled)
{
  return pooled ? morrow_loop_pool_new (1) : morrow_loop_new (NULL);
}

/* --- found ------------------------------------------------------------------------------------- */

/* _i: whether the loop is a pool's. */
START_TEST (circle_of_tasks_is_broken_once)
{
  for (guint n = 2; n <= MAX_CIRCLE; n++)
    {
      g_autoptr (MorrowExecutor) loop = make_one_loop (_i);
      Circle circle = { .n = n };

      run_scene_on (loop, make_circle, &circle);
      ck_assert_uint_eq (atomic_load (&circle.n_deadlocks), 1);
    }
}
END_TEST

/* _i: whether the clock is virtual. */
START_TEST (each_of_two_circles_in_a_row_is_broken)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);

  morrow__clock_set_virtual (_i);
  for (guint i = 0; i < 2; i++)
    {
      Circle circle = { .n = 2 };

      run_scene_on (loop, make_circle, &circle);
      ck_assert_uint_eq (atomic_load (&circle.n_deadlocks), 1);
    }
  morrow__clock_set_virtual (FALSE);
}
END_TEST

typedef struct
{
  MorrowFuture *first;         /* borrowed */
  MorrowFuture *second;        /* borrowed */
  atomic_uint   n_deadlocks;
} Pair;

static gboolean
await_first (gpointer data, GValue *result, GError **error)
{
  Pair *self = data;

  return await_in_circle (self->first, &self->n_deadlocks);
}

static gboolean
await_second_gathered (gpointer data, GValue *result, GError **error)
{
  Pair *self = data;
  g_autoptr (MorrowFuture) both = morrow_shield (morrow_gather (morrow_future_ref (self->second), new_int (1), NULL));

  return await_in_circle (both, &self->n_deadlocks);
}

static MorrowFuture *
create_pair (Pair *self)
{
  self->second = morrow_coroutine (await_first, self, NULL);
  self->first = morrow_create_task (morrow_coroutine (await_second_gathered, self, NULL));
  self->second = morrow_create_task (self->second);
  return morrow_gather (morrow_future_ref (self->first), morrow_future_ref (self->second), NULL);
}

static void
drop_pair (Pair *self)
{
  ck_assert_uint_eq (atomic_load (&self->n_deadlocks), 1);
  morrow_future_unref (self->first);
  morrow_future_unref (self->second);
}

/* Main, which waits for the circle but is not in it, is told nothing. */
SCENE (circle_through_a_gather_and_a_shield_is_broken_once)
{
  Pair pair = { NULL };
  gboolean ok = morrow_await (create_pair (&pair), error);

  drop_pair (&pair);
  return ok;
}

static gboolean
tick (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *until = data;

  while (!morrow_future_is_settled (until))
    if (!morrow_await (morrow_sleep (0.001), error))
      return FALSE;
  return TRUE;
}

SCENE (circle_is_broken_while_others_go_on)
{
  Pair pair = { NULL };
  g_autoptr (MorrowFuture) both = NULL;
  gboolean ok;

  if (!morrow_await (morrow_sleep (0), error))   /* the loop has looked for circles before */
    return FALSE;
  both = create_pair (&pair);
  ok = morrow_await (morrow_create_task (morrow_coroutine (tick, both, NULL)), error);
  drop_pair (&pair);
  return ok;
}

static gboolean
await_pair (gpointer data, GValue *result, GError **error)
{
  return morrow_await (create_pair (data), error);
}

START_TEST (circle_on_a_loop_in_somebodys_main_context_is_broken_once)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (context);
  Pair pair = { NULL };
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (loop, morrow_coroutine (await_pair, &pair, NULL));

  turn_until_settled (context, task);
  ck_assert_ptr_null (morrow_future_get_error (task));
  drop_pair (&pair);
}
END_TEST

/* --- through several loops --------------------------------------------------------------------- */

/* Each of its tasks on a loop of its own. */
static void
run_spread (MorrowCoroutineFunc func, Circle *circle)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (circle->n);
  pthread_barrier_t spread;

  pthread_barrier_init (&spread, NULL, circle->n + 1);
  circle->spread = &spread;
  run_scene_on (pool, func, circle);
  pthread_barrier_destroy (&spread);
}

/* _i: how many loops. */
START_TEST (circle_through_loops_of_a_pool_is_broken_once)
{
  Circle circle = { .n = _i };

  run_spread (make_circle, &circle);
  ck_assert_uint_eq (atomic_load (&circle.n_deadlocks), 1);
}
END_TEST

static gboolean
ignore_source (gint fd, GIOCondition condition, gpointer data)
{
  return G_SOURCE_CONTINUE;
}

/* While it waits, the context of its loop polls a descriptor that never is ready. */
static gboolean
await_next_beside_a_source (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GSource) source = NULL;
  int fds[2];
  gboolean ok;

  ck_assert_int_eq (pipe (fds), 0);
  source = g_unix_fd_source_new (fds[0], G_IO_IN);
  g_source_set_callback (source, (GSourceFunc) (void (*) (void)) ignore_source, NULL, NULL);
  g_source_attach (source, morrow_loop_get_context (morrow_loop_get_current ()));
  ok = await_next (data, result, error);
  g_source_destroy (source);
  close (fds[0]);
  close (fds[1]);
  return ok;
}

static gboolean
make_circle_beside_sources (gpointer data, GValue *result, GError **error)
{
  create_circle (data, await_next_beside_a_source);
  return await_circle (data, error);
}

START_TEST (circle_through_loops_whose_contexts_poll_is_broken_once)
{
  Circle circle = { .n = 2 };

  run_spread (make_circle_beside_sources, &circle);
  ck_assert_uint_eq (atomic_load (&circle.n_deadlocks), 1);
}
END_TEST

typedef struct
{
  Circle        circle;
  MorrowFuture *broken;   /* borrowed */
} Bustle;

static gboolean
make_circle_of_bustle (gpointer data, GValue *result, GError **error)
{
  return make_circle (&((Bustle *) data)->circle, result, error);
}

/* The circle's loops wake up all the time, and wake each other. */
static gboolean
make_circle_among_others (gpointer data, GValue *result, GError **error)
{
  Bustle *self = data;
  MorrowFuture *all[9];

  all[0] = self->broken = morrow_create_task (morrow_coroutine (make_circle_of_bustle, self, NULL));
  for (guint i = 1; i < G_N_ELEMENTS (all); i++)
    all[i] = morrow_coroutine (tick, self->broken, NULL);
  return morrow_await (morrow_gatherv (all, G_N_ELEMENTS (all)), error);
}

START_TEST (circle_through_loops_is_broken_while_others_go_on_there)
{
  for (guint i = 0; i < 10; i++)
    {
      g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (2);
      Bustle bustle = { .circle.n = MAX_CIRCLE };

      run_scene_on (pool, make_circle_among_others, &bustle);
      ck_assert_uint_eq (atomic_load (&bustle.circle.n_deadlocks), 1);
    }
}
END_TEST

/* Main is on a loop of its own. */
static gboolean
wait_for_each_other (gpointer data, GValue *result, GError **error)
{
  Pair *pair = data;

  pair->first = morrow_current_task ();
  pair->second = morrow_create_task (morrow_coroutine (await_first, pair, NULL));
  return await_in_circle (pair->second, &pair->n_deadlocks);
}

START_TEST (circle_of_main_and_a_task_on_a_pool_is_broken_once)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (2);
  Pair pair = { NULL };

  run_scene_on (pool, wait_for_each_other, &pair);
  ck_assert_uint_eq (atomic_load (&pair.n_deadlocks), 1);
  morrow_future_unref (pair.second);
}
END_TEST

/* Nobody runs the pool: the thread that has spawned them waits. */
START_TEST (circle_of_tasks_that_a_thread_has_spawned_on_a_pool_is_broken_once)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (2);
  Circle circle = { .n = MAX_CIRCLE };
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (pool, morrow_coroutine (make_circle, &circle, NULL));

  ck_assert (morrow_future_wait (task, NULL));
  ck_assert_uint_eq (atomic_load (&circle.n_deadlocks), 1);
}
END_TEST

/* Awaits, until that ends or it is asked. It is asked by main, and then by those whose requests these are, a few times at most. */
static gboolean
await_next_until_asked (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *next = enter_circle (data, NULL);
  g_autoptr (GError) why = NULL;

  if (next != NULL && !morrow_future_await (next, &why))
    assert_cancelled (why);
  ck_assert_uint_le (morrow_future_get_cancelling (morrow_current_task ()), 8);
  return TRUE;
}

static gboolean
all_have_settled (const Circle *circle)
{
  for (guint i = 0; i < circle->n; i++)
    if (!morrow_future_is_settled (circle->tasks[i]))
      return FALSE;
  return TRUE;
}

/* While a lock is held that another thread may hold when a process forks. */
static gboolean
sleep_in_child (gpointer data, GValue *result, GError **error)
{
  MorrowPeers *peers = morrow_loop_get_current ()->peers;
  pid_t child;
  int status;

  if (!morrow_await (morrow_sleep (0.001), error))   /* the loop has slept before */
    return FALSE;

  pthread_mutex_lock (&peers->lock);
  child = fork ();
  if (child == 0)
    {
      morrow_check_limit_child ();
      morrow_check_end_child (morrow_await (morrow_sleep (0.001), NULL) ? 0 : 1);
    }
  pthread_mutex_unlock (&peers->lock);
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert (WIFEXITED (status));   /* and was not ended by the alarm */
  return TRUE;
}

START_TEST (child_that_is_forked_while_others_come_to_rest_goes_on)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (1);

  run_scene_on (pool, sleep_in_child, NULL);
}
END_TEST

/* Two threads, a loop and a run each, whose mains end while a task of each awaits one of the other's. */
enum
{
  N_BETWEEN = 8
};

typedef struct
{
  MorrowFuture     *tasks[2][N_BETWEEN];   /* owned */
  pthread_barrier_t together;   /* both have made their tasks, and both end */
} Between;

typedef struct
{
  Between *between;
  guint    side;
} Half;

/* @data: where it stands, once all are made. */
static gboolean
await_other (gpointer data, GValue *result, GError **error)
{
  return morrow_future_await (*(MorrowFuture **) data, error);
}

static gboolean
make_half (gpointer data, GValue *result, GError **error)
{
  const Half *self = data;
  Between *between = self->between;

  for (guint i = 0; i < N_BETWEEN; i++)
    {
      MorrowFuture **other = &between->tasks[!self->side][(i + self->side) % N_BETWEEN];

      between->tasks[self->side][i] = morrow_create_task (morrow_coroutine (await_other, (gpointer) other, NULL));
    }
  pthread_barrier_wait (&between->together);
  if (!morrow_yield (error))                        /* all of them wait */
    return FALSE;
  pthread_barrier_wait (&between->together);
  return TRUE;
}

static gpointer
run_half (gpointer data)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);

  run_scene_on (loop, make_half, data);
  return NULL;
}

START_TEST (circle_of_leftovers_of_two_executors_is_opened_by_the_ends_of_their_runs)
{
  for (guint round = 0; round < 50 / morrow_check_slowness () + 1; round++)
    {
      Between between = { .tasks = { { NULL } } };
      GThread *threads[2];
      Half halves[2];

      pthread_barrier_init (&between.together, NULL, 2);
      for (guint i = 0; i < 2; i++)
        {
          halves[i] = (Half) { &between, i };
          threads[i] = g_thread_new ("half", run_half, &halves[i]);
        }
      for (guint i = 0; i < 2; i++)
        g_thread_join (threads[i]);
      for (guint i = 0; i < 2 * N_BETWEEN; i++)
        morrow_future_unref (between.tasks[i % 2][i / 2]);
      pthread_barrier_destroy (&between.together);
    }
}
END_TEST

/* Main does not await the tasks: who is not the only one to wait for something does not pass a request on to it. */
static gboolean
make_circle_and_cancel (gpointer data, GValue *result, GError **error)
{
  Circle *circle = data;

  create_circle (circle, await_next_until_asked);
  for (guint i = 0; i < 2; i++)
    morrow_future_cancel (circle->tasks[i]);
  while (!all_have_settled (circle))
    if (!morrow_await (morrow_sleep (0.0001), error))
      return FALSE;
  drop_circle (circle);
  return TRUE;
}

/* _i: how many loops. */
START_TEST (request_to_cancel_goes_round_a_circle_through_loops_a_few_times_at_most)
{
  for (guint i = 0; i < 200 / morrow_check_slowness (); i++)
    {
      Circle circle = { .n = _i };

      run_spread (make_circle_and_cancel, &circle);
    }
}
END_TEST

/* --- not taken for one ------------------------------------------------------------------------- */

static gboolean
wait_for_each_other_and_time (gpointer data, GValue *result, GError **error)
{
  Pair pair = { NULL };
  g_autoptr (MorrowFuture) waits_for_us = NULL;
  g_autoptr (MorrowFuture) sooner = NULL;

  pair.first = morrow_current_task ();
  waits_for_us = morrow_create_task (morrow_coroutine (await_first, &pair, NULL));
  sooner = morrow_race (morrow_shield (morrow_future_ref (waits_for_us)), morrow_sleep (0.3), NULL);
  await_ok (sooner);
  ck_assert_uint_eq (atomic_load (&pair.n_deadlocks), 0);
  return TRUE;
}

/* _i: how many loops, main's not counted. */
START_TEST (circle_that_time_opens_is_not_hopeless)
{
  g_autoptr (MorrowExecutor) executor = _i == 0 ? morrow_loop_new (NULL) : morrow_loop_pool_new (_i);

  run_scene_on (executor, wait_for_each_other_and_time, NULL);
}
END_TEST

typedef struct
{
  MorrowPromise *promise;   /* owned */
  GMainLoop     *main;      /* owned */
} Inner;

static gboolean
resolve_and_quit (gpointer data)
{
  Inner *self = data;

  morrow_promise_resolve (self->promise);
  g_main_loop_quit (self->main);
  return G_SOURCE_REMOVE;
}

/* Until a source of a higher priority than the loop's is ready, which is longer than from one look to the next. */
static gboolean
run_main_loop (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  GMainContext *context = morrow_loop_get_context (morrow_loop_get_current ());
  GSource *source = g_timeout_source_new (250);
  Inner *self = data;

  self->main = g_main_loop_new (context, FALSE);
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_callback (source, resolve_and_quit, self, NULL);
  g_source_attach (source, context);
  g_source_unref (source);
  g_main_loop_run (self->main);
  g_main_loop_unref (self->main);
  return TRUE;
}

/* For a callback in whose main loop its own loop sleeps, and for what a source settles there. */
static gboolean
wait_for_a_main_loop (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) now = new_int (1);
  g_autoptr (MorrowFuture) waits = NULL;
  Pair pair = { NULL };
  Inner inner;

  pair.second = new_pending (&inner.promise);
  pair.first = morrow_gather (morrow_future_then (now, run_main_loop, &inner, NULL), pair.second, NULL);
  waits = morrow_create_task (morrow_coroutine (await_first, &pair, NULL));
  await_ok (waits);
  ck_assert_uint_eq (atomic_load (&pair.n_deadlocks), 0);
  morrow_promise_unref (inner.promise);
  morrow_future_unref (pair.first);
  return TRUE;
}

/* _i: how many loops, main's not counted. */
START_TEST (wait_that_a_source_in_a_main_loop_of_the_loops_ends_is_not_hopeless)
{
  g_autoptr (MorrowExecutor) executor = _i == 0 ? morrow_loop_new (NULL) : morrow_loop_pool_new (_i);

  run_scene_on (executor, wait_for_a_main_loop, NULL);
}
END_TEST

/* Each waits for the one before: from the last, the way is as long as the chain. */
SCENE (long_chain_of_waits_is_looked_at_on_little_stack)
{
  guint n = 50000 / morrow_check_slowness ();
  g_autoptr (GPtrArray) tasks = g_ptr_array_new_full (n, (GDestroyNotify) morrow_future_unref);

  g_ptr_array_add (tasks, morrow_sleep (0.01));
  while (tasks->len < n)
    g_ptr_array_add (tasks, morrow_create_task (morrow_coroutine (await_it, g_ptr_array_index (tasks, tasks->len - 1), NULL)));
  return morrow_future_await (g_ptr_array_index (tasks, n - 1), error);
}

/* --- while one looks ---------------------------------------------------------------------------- */

static gpointer
resolve_it (gpointer data)
{
  morrow__future_resolve (data, NULL);
  return NULL;
}

/* Another thread settles it at the very moment that somebody looks at what it waits for. */
static gboolean
settle_meanwhile (MorrowFuture *self, gboolean (*visit) (MorrowFuture *awaited, gpointer data), gpointer data)
{
  g_thread_join (g_thread_new ("settles", resolve_it, self));
  return FALSE;
}

static void
free_looked_at (MorrowFuture *self)
{
  morrow__future_free (self, sizeof (MorrowFuture));
}

static MorrowFuture *
new_looked_at (void)
{
  static MorrowFutureOps ops = { .kind = "looked at", .free_kind = free_looked_at, .visit_awaited = settle_meanwhile };
  MorrowFuture *self = morrow__cache_alloc (sizeof (MorrowFuture));

  morrow__future_init (self, &ops, NULL);
  return self;
}

static gboolean
gather_looked_at (gpointer data, GValue *result, GError **error)
{
  if (!morrow_await (morrow_sleep (0.01), error))   /* what wakes a loop that has just begun is over */
    return FALSE;
  return morrow_await (morrow_gather (new_looked_at (), NULL), error);
}

/* _i: whether the loop is a pool's. */
START_TEST (gather_that_settles_while_the_loop_looks_is_not_slept_over)
{
  g_autoptr (MorrowExecutor) loop = make_one_loop (_i);

  run_scene_on (loop, gather_looked_at, NULL);
}
END_TEST

static Suite *
circle_suite (void)
{
  Suite *suite = suite_create ("circle");
  TCase *found = morrow_check_add_case (suite, "found");
  TCase *none = morrow_check_add_case (suite, "none");

  tcase_add_loop_test (found, circle_of_tasks_is_broken_once, FALSE, TRUE + 1);
  tcase_add_loop_test (found, each_of_two_circles_in_a_row_is_broken, FALSE, TRUE + 1);
  tcase_add_test (found, circle_through_a_gather_and_a_shield_is_broken_once);
  tcase_add_test (found, circle_is_broken_while_others_go_on);
  tcase_add_test (found, circle_on_a_loop_in_somebodys_main_context_is_broken_once);

  tcase_add_loop_test (found, circle_through_loops_of_a_pool_is_broken_once, 2, MAX_CIRCLE + 1);
  tcase_add_test (found, circle_through_loops_whose_contexts_poll_is_broken_once);
  tcase_add_test (found, circle_through_loops_is_broken_while_others_go_on_there);
  tcase_add_test (found, circle_of_main_and_a_task_on_a_pool_is_broken_once);
  tcase_add_test (found, circle_of_tasks_that_a_thread_has_spawned_on_a_pool_is_broken_once);
  tcase_add_loop_test (found, request_to_cancel_goes_round_a_circle_through_loops_a_few_times_at_most, 2, MAX_CIRCLE + 1);

  tcase_add_test (found, child_that_is_forked_while_others_come_to_rest_goes_on);
  tcase_add_test (found, circle_of_leftovers_of_two_executors_is_opened_by_the_ends_of_their_runs);

  tcase_add_loop_test (none, circle_that_time_opens_is_not_hopeless, 0, 3);
  tcase_add_loop_test (none, wait_that_a_source_in_a_main_loop_of_the_loops_ends_is_not_hopeless, 0, 3);
  tcase_add_test (none, long_chain_of_waits_is_looked_at_on_little_stack);

  tcase_add_loop_test (none, gather_that_settles_while_the_loop_looks_is_not_slept_over, FALSE, TRUE + 1);

  return suite;
}

MORROW_CHECK_MAIN (circle_suite)
