/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tasks that never wait leave to each other, to the sources of a run's context, and to the frames of an
 * application: counted in their steps, each of which takes a microsecond of virtual time, or more.
 */
#include "config.h"

#include <fcntl.h>

#include "base/clock-private.h"
#include "exec/scene.h"

#define BATCH         64    /* jobs between two looks at the clock, on a loop that has its thread */
#define POLL_INTERVAL 100   /* microseconds between two looks at sources */
#define N_FAIR        1000
#define N_READS       4     /* that a task may do without waiting before it is the others' turn */

/* --- among tasks --------------------------------------------------------------------------------- */

typedef struct
{
  guint     n_steps[N_FAIR];
  guint     n_all;
  guint     n_wanted;      /* steps of all together, after which they end */
  guint     n_running;     /* before the last has started nothing counts: a pool's loops start tasks one by one */
  MorrowFd *zeros;         /* owned: there is always something to read */
} Race;

typedef struct
{
  Race *race;
  guint number;
} Runner;

static void
count_step (Runner *self)
{
  if (self->race->n_running < N_FAIR)
    return;

  self->race->n_steps[self->number]++;
  self->race->n_all++;
}

static gboolean
run_on_and_on (gpointer data, GValue *result, GError **error)
{
  Runner *runner = data;

  runner->race->n_running++;
  while (runner->race->n_all < runner->race->n_wanted)
    {
      count_step (runner);
      if (!morrow_yield (error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
read_on_and_on (gpointer data, GValue *result, GError **error)
{
  Runner *runner = data;
  char byte;

  runner->race->n_running++;
  while (runner->race->n_all < runner->race->n_wanted)
    {
      count_step (runner);
      if (morrow_fd_read (runner->race->zeros, &byte, 1, G_MAXINT64, error) != 1)
        return FALSE;
    }
  return TRUE;
}

/* Among the runners from @first on, in steps of @stride. Gives the least steps of one. */
static guint
assert_fair_among (const Race *race, guint first, guint stride)
{
  guint least = G_MAXUINT, most = 0;

  for (guint i = first; i < N_FAIR; i += stride)
    {
      least = MIN (least, race->n_steps[i]);
      most = MAX (most, race->n_steps[i]);
    }
  ck_assert_uint_gt (least, 0);
  ck_assert_uint_le (most * 100, least * 105);
  return least;
}

static void
assert_fair (const Race *race)
{
  assert_fair_among (race, 0, 1);
}

/* Even runners are of one kind, odd ones of the other. */
static gboolean
run_race (Race *race, MorrowCoroutineFunc even, MorrowCoroutineFunc odd, GError **error)
{
  Runner runners[N_FAIR];
  MorrowFuture *tasks[N_FAIR];
  gboolean ok;

  race->zeros = morrow_fd_new (open ("/dev/zero", O_RDONLY | O_CLOEXEC));
  for (guint i = 0; i < N_FAIR; i++)
    {
      runners[i] = (Runner) { race, i };
      tasks[i] = morrow_coroutine (i % 2 == 0 ? even : odd, &runners[i], NULL);
    }
  ok = morrow_await (morrow_gatherv (tasks, N_FAIR), error);
  ck_assert_uint_ge (race->n_all, race->n_wanted);
  morrow_fd_unref (race->zeros);
  return ok;
}

/* Each of these ends in the middle of a round. */
static gboolean
race_yielders (gpointer data, GValue *result, GError **error)
{
  Race race = { .n_wanted = N_FAIR * 200 + N_FAIR / 2 };
  gboolean ok = run_race (&race, run_on_and_on, run_on_and_on, error);

  assert_fair (&race);
  return ok;
}

static gboolean
race_readers (gpointer data, GValue *result, GError **error)
{
  Race race = { .n_wanted = N_FAIR * 200 * N_READS + N_FAIR / 2 };
  gboolean ok = run_race (&race, read_on_and_on, read_on_and_on, error);

  assert_fair (&race);
  return ok;
}

static gboolean
race_readers_and_yielders (gpointer data, GValue *result, GError **error)
{
  Race race = { .n_wanted = N_FAIR * 200 + N_FAIR / 2 };
  gboolean ok = run_race (&race, run_on_and_on, read_on_and_on, error);
  guint yields = assert_fair_among (&race, 0, 2), reads = assert_fair_among (&race, 1, 2);

  ck_assert_uint_le (reads * 100, yields * N_READS * 105);
  return ok;
}

/* On a loop, and on one of a pool's. */
static void
run_on_one_loop (MorrowCoroutineFunc func, gboolean pool)
{
  g_autoptr (MorrowExecutor) executor = pool ? morrow_loop_pool_new (1) : morrow_loop_new (NULL);
  GError *error = NULL;
  gboolean ok = morrow_run_on (executor, morrow_coroutine (func, NULL, NULL), NULL, &error);

  assert_no_error (error);
  ck_assert (ok);
}

START_TEST (none_of_a_thousand_tasks_that_never_wait_runs_more_often_than_another)
{
  run_on_one_loop (race_yielders, _i);
}
END_TEST

START_TEST (none_of_a_thousand_tasks_whose_data_are_always_there_reads_more_often_than_another)
{
  run_on_one_loop (race_readers, _i);
}
END_TEST

START_TEST (task_whose_data_are_always_there_reads_four_times_for_each_turn_of_the_others)
{
  run_on_one_loop (race_readers_and_yielders, _i);
}
END_TEST

/* Those that await what has settled, and those that yield, share the loop as well: what does not wait is a step too. */
static gboolean
step_once (gpointer data, GValue *result, GError **error)
{
  return morrow_yield (error);
}

static gboolean
run_in_children (gpointer data, GValue *result, GError **error)
{
  Runner *runner = data;

  runner->race->n_running++;
  while (runner->race->n_all < runner->race->n_wanted)
    {
      count_step (runner);
      if (!morrow_await (morrow_coroutine (step_once, NULL, NULL), error))
        return FALSE;
    }
  return TRUE;
}

SCENE (task_that_yields_in_a_coroutine_runs_as_often_as_one_that_yields_itself)
{
  Race race = { .n_wanted = N_FAIR * 100 };
  gboolean ok = run_race (&race, run_on_and_on, run_in_children, error);

  assert_fair (&race);
  return ok;
}

/* --- beside the sources of a run's context -------------------------------------------------------- */

typedef struct
{
  guint    step;             /* how long one takes, in microseconds; 0 for one */
  guint    turn;             /* and one of the source's */
  guint    n_steps;          /* of all tasks */
  guint    n_steps_before;   /* when the source became ready */
  guint    n_most;           /* the most steps that it ever waited */
  guint    n_served;
  gboolean ends;
} Beside;

static gboolean
step_and_tick (gpointer data, GValue *result, GError **error)
{
  Beside *beside = data;

  while (!beside->ends)
    {
      beside->n_steps++;
      morrow__clock_advance (MAX (beside->step, 1));
      if (!morrow_yield (error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
serve (gpointer data)
{
  Beside *beside = data;

  morrow__clock_advance (beside->turn);
  beside->n_most = MAX (beside->n_most, beside->n_steps - beside->n_steps_before);
  beside->n_steps_before = beside->n_steps;
  beside->ends = ++beside->n_served == 100;
  return beside->ends ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/* It is ready always, so it waits from one dispatch to the next. */
static gboolean
run_beside (Beside *beside, GError **error)
{
  GSource *source = g_idle_source_new ();
  MorrowFuture *tasks[N_FAIR];
  gboolean ok;

  morrow__clock_set_virtual (TRUE);
  g_source_set_callback (source, serve, beside, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  g_source_unref (source);
  for (guint i = 0; i < N_FAIR; i++)
    tasks[i] = morrow_coroutine (step_and_tick, beside, NULL);
  ok = morrow_await (morrow_gatherv (tasks, N_FAIR), error);
  morrow__clock_set_virtual (FALSE);

  ck_assert_uint_eq (beside->n_served, 100);
  return ok;
}

static gboolean
serve_beside_tasks (gpointer data, GValue *result, GError **error)
{
  Beside beside = { 0 };
  gboolean ok = run_beside (&beside, error);

  ck_assert_uint_le (beside.n_most, POLL_INTERVAL + BATCH);
  return ok;
}

SCENE (source_of_the_runs_context_waits_for_one_interval_and_one_batch_at_most)
{
  return serve_beside_tasks (NULL, result, error);
}

SCENE (source_beside_dear_steps_waits_for_one_batch_and_then_for_two_intervals_at_most)
{
  Beside beside = { .step = 10 };
  gboolean ok = run_beside (&beside, error);

  ck_assert_uint_le (beside.n_most, BATCH + 1);
  ck_assert_uint_le (beside.n_steps, 2 * (BATCH + 1) + beside.n_served * 2 * POLL_INTERVAL / beside.step);
  return ok;
}

SCENE (tasks_beside_a_dear_source_have_a_batch_for_each_of_its_turns)
{
  Beside beside = { .turn = 3 * POLL_INTERVAL };
  gboolean ok = run_beside (&beside, error);

  ck_assert_uint_ge (beside.n_steps, (beside.n_served - 1) * BATCH);
  return ok;
}

/* A pool's tasks run on its workers, but for main. */
static gboolean
serve_on_a_worker (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine (serve_beside_tasks, NULL, NULL)), error);
}

START_TEST (source_of_a_workers_context_waits_for_one_interval_and_one_batch_at_most)
{
  run_on_one_loop (serve_on_a_worker, TRUE);
}
END_TEST

/* A task that yields and yields, each time after so long; now and then it makes another, which only begins. */
typedef struct
{
  gint64 step;     /* microseconds of virtual time */
  guint  n_most;   /* steps before one begins */
} Beginners;

static gboolean
begin (gpointer data, GValue *result, GError **error)
{
  *(gboolean *) data = TRUE;
  return TRUE;
}

static gboolean
yield_beside_beginners (gpointer data, GValue *result, GError **error)
{
  Beginners *self = data;

  morrow__clock_set_virtual (TRUE);
  for (guint i = 0; i < 200; i++)
    {
      gboolean has_begun = FALSE;
      guint n_steps = 0;

      if (i > 100)
        morrow_future_unref (morrow_create_task (morrow_coroutine (begin, &has_begun, NULL)));
      do
        {
          morrow__clock_advance (self->step);
          if (!morrow_yield (error))
            return FALSE;
        }
      while (i > 100 && !has_begun && ++n_steps < 1000);
      self->n_most = MAX (self->n_most, n_steps);
    }
  morrow__clock_set_virtual (FALSE);
  return TRUE;
}

static gboolean
yield_on_a_worker (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine (yield_beside_beginners, data, NULL)), error);
}

/* Gives how many steps of so many microseconds one has waited at most. */
static guint
wait_to_begin (gint64 step)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (1);
  Beginners self = { .step = step };
  GError *error = NULL;
  gboolean ok = morrow_run_on (pool, morrow_coroutine (yield_on_a_worker, &self, NULL), NULL, &error);

  assert_no_error (error);
  ck_assert (ok);
  return self.n_most;
}

START_TEST (task_of_a_pool_begins_beside_dear_steps_within_eight)
{
  ck_assert_uint_le (wait_to_begin (1000), 8);
}
END_TEST

/* More often would have thousands of a tree alive. */
START_TEST (task_of_a_pool_begins_beside_cheap_steps_each_sixty_fourth)
{
  guint n_most = wait_to_begin (0);

  ck_assert_uint_gt (n_most, 60);
  ck_assert_uint_le (n_most, 64);
}
END_TEST

/* Steps that were submitted: each submits the next one. */
typedef struct
{
  Beside         beside;
  MorrowPromise *served;   /* a hundred times */
} Submitted;

static void
step_and_submit (gpointer data)
{
  Submitted *self = data;

  if (self->beside.ends)
    return;
  self->beside.n_steps++;
  morrow__clock_advance (self->beside.step);
  morrow_executor_submit (morrow_executor_get_current (), step_and_submit, self, NULL);
}

static gboolean
serve_and_tell (gpointer data)
{
  Submitted *self = data;
  gboolean goes_on = serve (&self->beside);

  if (!goes_on)
    morrow_promise_resolve (self->served);
  return goes_on;
}

static gboolean
serve_beside_submitted_work (gpointer data, GValue *result, GError **error)
{
  Submitted *self = data;
  GSource *source = g_idle_source_new ();
  MorrowFuture *served = morrow_promise_get_future (self->served);

  morrow__clock_set_virtual (TRUE);
  g_source_set_callback (source, serve_and_tell, self, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  g_source_unref (source);
  for (guint i = 0; i < 200; i++)
    morrow_executor_submit (morrow_executor_get_current (), step_and_submit, self, NULL);
  await_ok (served);
  morrow__clock_set_virtual (FALSE);
  morrow_future_unref (served);
  return TRUE;
}

static gboolean
serve_on_a_worker_beside_submitted_work (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine (serve_beside_submitted_work, data, NULL)), error);
}

START_TEST (source_beside_dear_submitted_work_waits_for_one_batch_and_then_for_two_intervals_at_most)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (1);
  Submitted submitted = { .beside.step = 10, .served = morrow_promise_new () };
  const Beside *beside = &submitted.beside;
  GError *error = NULL;
  gboolean ok = morrow_run_on (pool, morrow_coroutine (serve_on_a_worker_beside_submitted_work, &submitted, NULL), NULL, &error);

  assert_no_error (error);
  ck_assert (ok);
  ck_assert_uint_le (beside->n_most, BATCH + 8);
  ck_assert_uint_le (beside->n_steps, 2 * (BATCH + 8) + beside->n_served * 2 * POLL_INTERVAL / beside->step);
  morrow_promise_unref (submitted.served);
}
END_TEST

/* --- beside an application's frames --------------------------------------------------------------- */

#ifdef MORROW_CHECK_TSAN
# define N_READY 4000
#else
# define N_READY (RUNNING_ON_VALGRIND ? 1000 : 100000)
#endif

enum
{
  FRAME = 16667,                           /* microseconds */
  N_FRAMES = 60,
  REDRAW_PRIORITY = G_PRIORITY_HIGH_IDLE + 20,   /* GTK's */
  DISPATCH_LIMIT = 1000,                   /* microseconds that the loop takes of a turn of the main loop */
};

/* An application that draws a frame every 60th of a second, and reads its input before. */
typedef struct
{
  GSource    source;
  GMainLoop *main;
  Beside    *beside;
  gint64     due;        /* the next one's time */
  gint64     latest;     /* by which one was late at most */
  guint      n_frames;
} Frames;

static gboolean
frames_prepare (GSource *source, int *timeout)
{
  *timeout = -1;
  return morrow__clock_now () >= ((Frames *) source)->due;
}

static gboolean
frames_check (GSource *source)
{
  return morrow__clock_now () >= ((Frames *) source)->due;
}

static gboolean
frames_dispatch (GSource *source, GSourceFunc func, gpointer data)
{
  Frames *self = (Frames *) source;

  self->latest = MAX (self->latest, morrow__clock_now () - self->due);
  self->due += FRAME;
  self->beside->ends = ++self->n_frames == N_FRAMES;
  return self->beside->ends ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static GSourceFuncs frames_funcs = {
  .prepare = frames_prepare,
  .check = frames_check,
  .dispatch = frames_dispatch,
};

/* So many tasks that never wait, until the last frame. */
static gboolean
keep_busy (Beside *beside, guint n_tasks, GError **error)
{
  MorrowFuture **tasks = g_new (MorrowFuture *, n_tasks);
  MorrowFuture *gather;

  for (guint i = 0; i < n_tasks; i++)
    tasks[i] = morrow_coroutine (step_and_tick, beside, NULL);
  gather = morrow_gatherv (tasks, n_tasks);
  g_free (tasks);
  return morrow_await (gather, error);
}

static gboolean
quit_after (gpointer data, GValue *result, GError **error)
{
  Frames *frames = data;
  gboolean ok = keep_busy (frames->beside, N_READY, error);

  g_main_loop_quit (frames->main);
  return ok;
}

static Frames *
new_frames (int priority, Beside *beside)
{
  Frames *self = (Frames *) g_source_new (&frames_funcs, sizeof (Frames));

  self->main = g_main_loop_new (NULL, FALSE);
  self->beside = beside;
  self->due = morrow__clock_now () + FRAME;
  g_source_set_priority (&self->source, priority);
  g_source_attach (&self->source, NULL);
  return self;
}

static void
free_frames (Frames *self)
{
  g_main_loop_unref (self->main);
  g_source_unref (&self->source);
}

static void
draw_frames (int priority, guint step)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (g_main_context_default ());
  g_autoptr (MorrowFuture) main = NULL;
  Beside beside = { .step = step };
  Frames *frames;

  morrow__clock_set_virtual (TRUE);
  frames = new_frames (priority, &beside);
  main = morrow_executor_spawn (loop, morrow_coroutine (quit_after, frames, NULL));
  g_main_loop_run (frames->main);
  morrow__clock_set_virtual (FALSE);

  ck_assert_int_eq (morrow_future_get_status (main), MORROW_FUTURE_RESOLVED);
  ck_assert_uint_eq (frames->n_frames, N_FRAMES);
  ck_assert_int_le (frames->latest, DISPATCH_LIMIT + MAX (BATCH, step));
  ck_assert_uint_ge (beside.n_steps * step, N_FRAMES * FRAME);
  free_frames (frames);
}

/* A step that takes as long as many is one too many at most. */
static const guint steps[] = { 1, 300, 900 };

START_TEST (no_frame_is_missed_beside_a_hundred_thousand_tasks_that_never_wait)
{
  draw_frames (REDRAW_PRIORITY, steps[_i]);
}
END_TEST

START_TEST (input_is_not_late_beside_a_hundred_thousand_tasks_that_never_wait)
{
  draw_frames (G_PRIORITY_DEFAULT, steps[_i]);
}
END_TEST

/* Tasks come to a second loop in a turn of the first one's, or in one in which that rests. */
typedef struct
{
  GSource         source;
  MorrowExecutor *loop;
  Frames         *frames;
  MorrowFuture   *task;      /* owned, once the turn has come */
  guint           n_turns;   /* until then */
} Latecomer;

static gboolean
latecomer_prepare (GSource *source, int *timeout)
{
  *timeout = -1;
  return FALSE;
}

static gboolean
keep_second_busy (gpointer data, GValue *result, GError **error)
{
  return keep_busy (((Frames *) data)->beside, N_FAIR, error);
}

static gboolean
latecomer_check (GSource *source)
{
  Latecomer *self = (Latecomer *) source;

  if (self->n_turns > 0 && --self->n_turns == 0)
    self->task = morrow_executor_spawn (self->loop, morrow_coroutine (keep_second_busy, self->frames, NULL));
  return FALSE;
}

static GSourceFuncs latecomer_funcs = {
  .prepare = latecomer_prepare,
  .check = latecomer_check,
};

static gboolean
keep_first_busy (gpointer data, GValue *result, GError **error)
{
  Latecomer *latecomer = data;
  gboolean ok = keep_busy (latecomer->frames->beside, N_FAIR, error) && morrow_future_await (latecomer->task, error);

  g_main_loop_quit (latecomer->frames->main);
  return ok;
}

/* Each of them has its limit in one turn. */
START_TEST (no_frame_is_missed_beside_two_loops_of_one_context)
{
  g_autoptr (MorrowExecutor) one = morrow_loop_new (g_main_context_default ());
  g_autoptr (MorrowExecutor) two = morrow_loop_new (g_main_context_default ());
  g_autoptr (MorrowFuture) main = NULL;
  Latecomer *latecomer = (Latecomer *) g_source_new (&latecomer_funcs, sizeof (Latecomer));
  Beside beside = { 0 };

  morrow__clock_set_virtual (TRUE);
  latecomer->loop = two;
  latecomer->frames = new_frames (REDRAW_PRIORITY, &beside);
  latecomer->n_turns = 6 + _i;
  g_source_set_priority (&latecomer->source, G_PRIORITY_HIGH);
  g_source_attach (&latecomer->source, NULL);
  main = morrow_executor_spawn (one, morrow_coroutine (keep_first_busy, latecomer, NULL));
  g_main_loop_run (latecomer->frames->main);
  morrow__clock_set_virtual (FALSE);

  ck_assert_int_eq (morrow_future_get_status (main), MORROW_FUTURE_RESOLVED);
  ck_assert_int_le (latecomer->frames->latest, 2 * (DISPATCH_LIMIT + BATCH));
  morrow_future_unref (latecomer->task);
  free_frames (latecomer->frames);
  g_source_destroy (&latecomer->source);
  g_source_unref (&latecomer->source);
}
END_TEST

static Suite *
fairness_suite (void)
{
  Suite *suite = suite_create ("fairness");
  TCase *tasks = morrow_check_add_case (suite, "tasks");
  TCase *sources = morrow_check_add_case (suite, "sources");
  TCase *frames = morrow_check_add_case (suite, "frames");

  tcase_add_loop_test (tasks, none_of_a_thousand_tasks_that_never_wait_runs_more_often_than_another, 0, 2);
  tcase_add_loop_test (tasks, none_of_a_thousand_tasks_whose_data_are_always_there_reads_more_often_than_another, 0, 2);
  tcase_add_loop_test (tasks, task_whose_data_are_always_there_reads_four_times_for_each_turn_of_the_others, 0, 2);
  tcase_add_test (tasks, task_that_yields_in_a_coroutine_runs_as_often_as_one_that_yields_itself);
  tcase_add_test (tasks, task_of_a_pool_begins_beside_dear_steps_within_eight);
  tcase_add_test (tasks, task_of_a_pool_begins_beside_cheap_steps_each_sixty_fourth);

  tcase_add_test (sources, source_of_the_runs_context_waits_for_one_interval_and_one_batch_at_most);
  tcase_add_test (sources, source_beside_dear_steps_waits_for_one_batch_and_then_for_two_intervals_at_most);
  tcase_add_test (sources, tasks_beside_a_dear_source_have_a_batch_for_each_of_its_turns);
  tcase_add_test (sources, source_beside_dear_submitted_work_waits_for_one_batch_and_then_for_two_intervals_at_most);
  tcase_add_test (sources, source_of_a_workers_context_waits_for_one_interval_and_one_batch_at_most);

  tcase_add_loop_test (frames, no_frame_is_missed_beside_a_hundred_thousand_tasks_that_never_wait, 0, G_N_ELEMENTS (steps));
  tcase_add_loop_test (frames, input_is_not_late_beside_a_hundred_thousand_tasks_that_never_wait, 0, G_N_ELEMENTS (steps));
  tcase_add_loop_test (frames, no_frame_is_missed_beside_two_loops_of_one_context, 0, 2);

  return suite;
}

MORROW_CHECK_MAIN (fairness_suite)
