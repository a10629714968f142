/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Forced races: two threads meet, then each does its half at once, again and again.  Whoever is
 * first, the outcomes add up.
 */
#include "config.h"

#include "base/rendezvous.h"
#include "exec/loop-private.h"
#include "exec/models.h"

#ifdef MORROW_CHECK_TSAN
# define N_ROUNDS      N_RACES   /* its whole purpose */
# define N_SLOW_ROUNDS N_RACES
#else
# define N_ROUNDS      (N_RACES / morrow_check_slowness ())
# define N_SLOW_ROUNDS (N_ROUNDS / 4)   /* of a system call or more each */
#endif

enum
{
  N_BESIDE = 64   /* coroutines that start one after the other */
};

/* Between two meetings each field belongs to the half that is said; else to the test's thread. */
typedef struct _Race Race;
struct _Race
{
  Rendezvous     meeting;
  guint          round;
  void         (*here) (Race *race);    /* immutable: the half of the test's thread */
  void         (*there) (Race *race);   /* immutable: the half of the other */
  MorrowPromise *promise;
  MorrowFuture  *future;
  GCancellable  *cancellable;
  MorrowPromise *other_promise;
  MorrowFuture  *gathers[2];
  MorrowFuture  *futures[1 + N_BESIDE];
  MorrowExecutor *executor;
  MorrowJob      job;
  gboolean       here_won, there_won;
  _Atomic guint  n_freed;       /* any thread */
  _Atomic guint  n_begun;       /* any thread */
};

static void
race_init (Race *race, guint n_rounds)
{
  *race = (Race) { .round = 0 };
  rendezvous_init (&race->meeting, 2, n_rounds);
}

static void *
run_there (void *data)
{
  Race *race = data;

  while (rendezvous_follow (&race->meeting))
    {
      race->there (race);
      rendezvous_meet (&race->meeting);
    }
  return NULL;
}

static void
start_there (pthread_t *thread, void *(*func) (void *), Race *race)
{
  ck_assert_int_eq (pthread_create (thread, NULL, func, race), 0);
}

static void
run_round (Race *race)
{
  rendezvous_meet (&race->meeting);
  race->here (race);
  rendezvous_meet (&race->meeting);
}

/* --- who settles ------------------------------------------------------------------------------- */

static void
resolve_here (Race *race)
{
  race->here_won = morrow_promise_resolve_int (race->promise, (gint) race->round);
}

static void
cancel_there (Race *race)
{
  race->there_won = morrow_future_cancel (race->future);
}

START_TEST (either_resolve_or_cancel_wins_and_the_future_is_as_the_winner_says)
{
  guint n_resolved = 0, n_cancelled = 0;
  pthread_t thread;
  Race race;

  race_init (&race, N_ROUNDS);
  race.here = resolve_here;
  race.there = cancel_there;
  start_there (&thread, run_there, &race);
  for (race.round = 0; rendezvous_take_round (&race.meeting); race.round++)
    {
      race.future = new_pending (&race.promise);
      run_round (&race);
      ck_assert_int_ne (race.here_won, race.there_won);
      ck_assert_int_eq (morrow_future_is_cancelled (race.future), race.there_won);
      if (race.here_won)
        ck_assert_int_eq (morrow_future_get_int (race.future), (gint) race.round);
      n_resolved += race.here_won;
      n_cancelled += race.there_won;
      morrow_promise_unref (race.promise);
      morrow_future_unref (race.future);
    }
  rendezvous_end (&race.meeting);
  pthread_join (thread, NULL);
  ck_assert_uint_eq (n_resolved + n_cancelled, race.meeting.n_rounds);
}
END_TEST

static void
drop_cancellable_there (Race *race)
{
  g_object_unref (race->cancellable);
}

START_TEST (future_that_settles_as_its_cancellable_goes_is_let_go)
{
  guint n_resolved = 0;
  pthread_t thread;
  Race race;

  race_init (&race, N_ROUNDS);
  race.here = resolve_here;
  race.there = drop_cancellable_there;
  start_there (&thread, run_there, &race);
  for (race.round = 0; rendezvous_take_round (&race.meeting); race.round++)
    {
      race.future = new_pending (&race.promise);
      race.cancellable = g_cancellable_new ();
      morrow_future_cancel_on (race.future, race.cancellable);
      run_round (&race);
      n_resolved += morrow_future_get_int (race.future) == (gint) race.round;
      morrow_promise_unref (race.promise);
      morrow_future_unref (race.future);
    }
  rendezvous_end (&race.meeting);
  pthread_join (thread, NULL);
  ck_assert_uint_eq (n_resolved, race.meeting.n_rounds);
}
END_TEST

/* --- who waits --------------------------------------------------------------------------------- */

static gboolean
await_each (gpointer data, GValue *result, GError **error)
{
  Race *race = data;
  gint n = 0;

  for (guint i = 0; rendezvous_follow (&race->meeting); i++)
    {
      n += morrow_await_int (race->future, error) == (gint) i;
      rendezvous_meet (&race->meeting);
    }
  return morrow_return_int (result, n);
}

static void *
await_each_on_a_loop (void *data)
{
  g_auto (GValue) result = G_VALUE_INIT;
  Race *race = data;
  GError *error = NULL;
  gboolean ok = morrow_run (morrow_coroutine (await_each, race, NULL), &result, &error);

  assert_no_error (error);
  ck_assert (ok);
  ck_assert_int_eq (g_value_get_int (&result), (gint) race->meeting.n_rounds);
  return NULL;
}

START_TEST (await_on_another_threads_loop_gets_the_value_whenever_it_comes)
{
  pthread_t thread;
  Race race;

  race_init (&race, N_ROUNDS);
  race.here = resolve_here;
  start_there (&thread, await_each_on_a_loop, &race);
  for (race.round = 0; rendezvous_take_round (&race.meeting); race.round++)
    {
      race.future = new_pending (&race.promise);
      run_round (&race);
      ck_assert (race.here_won);
      morrow_promise_unref (race.promise);
    }
  rendezvous_end (&race.meeting);
  pthread_join (thread, NULL);
}
END_TEST

static void
wait_a_moment_here (Race *race)
{
  g_autoptr (GError) error = NULL;
  gint64 deadline = g_get_monotonic_time () + race->round % 16;

  race->here_won = morrow_future_wait_until (race->future, deadline, &error);
  if (!race->here_won)
    assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

static void
resolve_there (Race *race)
{
  race->there_won = morrow_promise_resolve_int (race->promise, (gint) race->round);
}

START_TEST (wait_until_a_near_deadline_gets_the_value_or_times_out)
{
  guint n_got = 0, n_timed_out = 0;
  pthread_t thread;
  Race race;

  race_init (&race, N_ROUNDS);
  race.here = wait_a_moment_here;
  race.there = resolve_there;
  start_there (&thread, run_there, &race);
  for (race.round = 0; rendezvous_take_round (&race.meeting); race.round++)
    {
      race.future = new_pending (&race.promise);
      run_round (&race);
      ck_assert (race.there_won);
      ck_assert_int_eq (morrow_future_get_int (race.future), (gint) race.round);
      n_got += race.here_won;
      n_timed_out += !race.here_won;
      morrow_promise_unref (race.promise);
      morrow_future_unref (race.future);
    }
  rendezvous_end (&race.meeting);
  pthread_join (thread, NULL);
  ck_assert_uint_eq (n_got + n_timed_out, race.meeting.n_rounds);
}
END_TEST

/* --- who frees --------------------------------------------------------------------------------- */

static void
count_freed (gpointer data)
{
  Race *race = data;

  atomic_fetch_add_explicit (&race->n_freed, 1, memory_order_relaxed);
}

static void
drop_future_here (Race *race)
{
  morrow_future_unref (race->future);
}

static void
resolve_and_drop_promise_there (Race *race)
{
  GBytes *bytes = g_bytes_new_with_free_func ("", 1, count_freed, race);

  morrow_promise_resolve_boxed (race->promise, G_TYPE_BYTES, bytes);
  g_bytes_unref (bytes);
  morrow_promise_unref (race->promise);
}

START_TEST (value_is_freed_once_whoever_is_last_to_let_go)
{
  pthread_t thread;
  Race race;

  race_init (&race, N_ROUNDS);
  race.here = drop_future_here;
  race.there = resolve_and_drop_promise_there;
  start_there (&thread, run_there, &race);
  for (race.round = 0; rendezvous_take_round (&race.meeting); race.round++)
    {
      race.future = new_pending (&race.promise);
      run_round (&race);
      ck_assert_uint_eq (atomic_load (&race.n_freed), race.round + 1);
    }
  rendezvous_end (&race.meeting);
  pthread_join (thread, NULL);
}
END_TEST

/* --- who starts -------------------------------------------------------------------------------- */

static gboolean
meet_here (gpointer data, GValue *result, GError **error)
{
  rendezvous_meet (&((Race *) data)->meeting);
  return TRUE;
}

static gboolean
run_here (gpointer data, GValue *result, GError **error)
{
  ((Race *) data)->here_won = TRUE;
  return TRUE;
}

/* The only worker meets this thread at the end of one task, to start the next. */
static void
run_round_on (MorrowExecutor *pool, Race *race)
{
  g_autoptr (MorrowFuture) before = morrow_executor_spawn (pool, morrow_coroutine (meet_here, race, NULL));
  g_autoptr (MorrowFuture) task = NULL;
  g_autoptr (GError) error = NULL;
  gboolean asked;

  race->here_won = FALSE;
  task = morrow_executor_spawn (pool, morrow_coroutine (run_here, race, count_freed));
  rendezvous_meet (&race->meeting);
  asked = morrow_future_cancel (task);
  race->there_won = !morrow_future_wait (task, &error);
  ck_assert (race->there_won ? asked : race->here_won);
  if (race->there_won)
    assert_cancelled (error);
  ck_assert_int_eq (morrow_future_is_cancelled (task), race->there_won);
  ck_assert (morrow_future_wait (before, NULL));
}

/* _i: the model.  A body that has begun goes on to its end, as it never waits; whether its task
 * resolves then depends on how late the request came. */
START_TEST (task_that_is_cancelled_as_it_starts_has_run_or_is_cancelled)
{
  guint n_resolved = 0, n_never_ran = 0, n_asked_late = 0;
  MorrowExecutor *pool = _i == MODEL_THREADS ? morrow_thread_pool_new (1) : morrow_loop_pool_new (1);
  Race race;

  race_init (&race, N_ROUNDS);
  for (race.round = 0; rendezvous_take_round (&race.meeting); race.round++)
    {
      run_round_on (pool, &race);
      n_resolved += race.here_won && !race.there_won;
      n_never_ran += !race.here_won && race.there_won;
      n_asked_late += race.here_won && race.there_won;
    }
  g_object_unref (pool);
  ck_assert_uint_eq (n_resolved + n_never_ran + n_asked_late, race.meeting.n_rounds);
  ck_assert_uint_eq (atomic_load (&race.n_freed), race.meeting.n_rounds);
}
END_TEST

static gboolean
count_begun (gpointer data, GValue *result, GError **error)
{
  atomic_fetch_add_explicit (&((Race *) data)->n_begun, 1, memory_order_relaxed);
  return TRUE;
}

static void
make_coroutines (Race *race, MorrowFuture **coroutines)
{
  for (guint i = 0; i < N_BESIDE; i++)
    coroutines[i] = morrow_coroutine (count_begun, race, count_freed);
}

/* Somewhere on the way of the other half. */
static void
spin_a_moment (guint round)
{
  for (guint volatile n_spins = round % 1024; n_spins > 0; n_spins--)
    ;
}

static void
combine_here (Race *race)
{
  race->future = morrow_anyv (race->futures, G_N_ELEMENTS (race->futures));
}

static void
spin_and_resolve_there (Race *race)
{
  spin_a_moment (race->round);
  race->there_won = morrow_promise_resolve (race->promise);
}

/* Of the same two futures, on which the second gather's waiters are pushed behind the first's one. */
static void
gather_both (Race *race)
{
  for (guint i = 0; i < G_N_ELEMENTS (race->gathers); i++)
    race->gathers[i] = morrow_gather (morrow_future_ref (race->futures[0]), morrow_future_ref (race->futures[1]), NULL);
}

static void
resolve_one_here (Race *race)
{
  spin_a_moment (race->round / 8);
  morrow_promise_resolve (race->promise);
}

static void
resolve_other_there (Race *race)
{
  spin_a_moment (race->round);
  morrow_promise_resolve (race->other_promise);
}

static void
resolve_both_there (Race *race)
{
  spin_a_moment (race->round);
  morrow_promise_resolve (race->promise);
  morrow_promise_resolve (race->other_promise);
}

static void
begin_gathering (Race *race)
{
  race->futures[0] = new_pending (&race->promise);
  race->futures[1] = new_pending (&race->other_promise);
}

static void
begin_settling (Race *race)
{
  begin_gathering (race);
  gather_both (race);
}

static void
check_gathered (Race *race)
{
  for (guint i = 0; i < G_N_ELEMENTS (race->gathers); i++)
    {
      ck_assert_int_eq (morrow_future_get_status (race->gathers[i]), MORROW_FUTURE_RESOLVED);
      morrow_future_unref (race->gathers[i]);
      morrow_future_unref (race->futures[i]);
    }
  morrow_promise_unref (race->promise);
  morrow_promise_unref (race->other_promise);
}

static void
race_gathers (void (*begin) (Race *race), void (*here) (Race *race), void (*there) (Race *race))
{
  pthread_t thread;
  Race race;

  race_init (&race, N_ROUNDS);
  race.here = here;
  race.there = there;
  start_there (&thread, run_there, &race);
  for (race.round = 0; rendezvous_take_round (&race.meeting); race.round++)
    {
      begin (&race);
      run_round (&race);
      check_gathered (&race);
    }
  rendezvous_end (&race.meeting);
  pthread_join (thread, NULL);
}

START_TEST (gathers_whose_children_settle_on_two_threads_at_once_are_told_of_both)
{
  race_gathers (begin_settling, resolve_one_here, resolve_other_there);
}
END_TEST

START_TEST (gathers_that_begin_as_their_children_settle_are_told_of_both)
{
  race_gathers (begin_gathering, gather_both, resolve_both_there);
}
END_TEST

/* Where no executor runs, each of them is refused as it starts: its data is released, by whoever ends it. */
START_TEST (coroutines_that_start_as_one_beside_them_decides_end_once)
{
  pthread_t thread;
  Race race;

  race_init (&race, N_ROUNDS);
  race.here = combine_here;
  race.there = spin_and_resolve_there;
  start_there (&thread, run_there, &race);
  for (race.round = 0; rendezvous_take_round (&race.meeting); race.round++)
    {
      race.futures[0] = new_pending (&race.promise);
      make_coroutines (&race, race.futures + 1);
      run_round (&race);
      ck_assert (race.there_won);
      ck_assert_int_eq (morrow_future_get_status (race.future), MORROW_FUTURE_RESOLVED);
      ck_assert_uint_eq (atomic_load (&race.n_freed), N_BESIDE * (race.round + 1));
      morrow_promise_unref (race.promise);
      morrow_future_unref (race.future);
    }
  rendezvous_end (&race.meeting);
  pthread_join (thread, NULL);
  ck_assert_uint_eq (atomic_load (&race.n_begun), 0);
}
END_TEST

static void
wait_here (Race *race)
{
  g_autoptr (GError) error = NULL;

  ck_assert (!morrow_future_wait (race->future, &error));
  ck_assert (g_error_matches (error, MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK)
             || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
}

/* Both have it from one reference: the wait would start it, which is refused. */
START_TEST (coroutine_that_is_cancelled_as_a_thread_begins_to_wait_for_it_ends_once)
{
  pthread_t thread;
  Race race;

  race_init (&race, N_ROUNDS);
  race.here = wait_here;
  race.there = cancel_there;
  start_there (&thread, run_there, &race);
  for (race.round = 0; rendezvous_take_round (&race.meeting); race.round++)
    {
      race.future = morrow_coroutine (count_begun, &race, count_freed);
      run_round (&race);
      ck_assert_uint_eq (atomic_load (&race.n_freed), race.round + 1);
      morrow_future_unref (race.future);
    }
  rendezvous_end (&race.meeting);
  pthread_join (thread, NULL);
  ck_assert_uint_eq (atomic_load (&race.n_begun), 0);
}
END_TEST

static void
await_here (Race *race)
{
  race->here_won = morrow_future_await (race->future, NULL);
}

static void
spin_and_cancel_there (Race *race)
{
  spin_a_moment (race->round);
  morrow_future_cancel (race->future);
}

/* One coroutine at a time. */
static gboolean
gather_each (gpointer data, GValue *result, GError **error)
{
  Race *race = data;

  for (race->round = 0; rendezvous_take_round (&race->meeting); race->round++)
    {
      make_coroutines (race, race->futures);
      race->future = morrow_gather_full (race->futures, N_BESIDE, MORROW_GATHER_DEFAULT, 1);
      run_round (race);
      ck_assert_uint_eq (atomic_load (&race->n_freed), N_BESIDE * (race->round + 1));
      morrow_future_unref (race->future);
    }
  return TRUE;
}

START_TEST (coroutines_that_a_gather_starts_in_turn_as_it_is_cancelled_end_once)
{
  pthread_t thread;
  Race race;

  race_init (&race, N_ROUNDS);
  race.here = await_here;
  race.there = spin_and_cancel_there;
  start_there (&thread, run_there, &race);
  run_scene (gather_each, &race);
  rendezvous_end (&race.meeting);
  pthread_join (thread, NULL);
  ck_assert_uint_le (atomic_load (&race.n_begun), atomic_load (&race.n_freed));
}
END_TEST

/* --- who ends ---------------------------------------------------------------------------------- */

/* A task of the other loop's. */
static gboolean
spin_and_return (gpointer data, GValue *result, GError **error)
{
  Race *race = data;

  rendezvous_meet (&race->meeting);
  spin_a_moment (race->round);
  g_value_init (result, G_TYPE_STRING);
  g_value_set_static_string (result, "whole");
  return TRUE;
}

/* Asks a task that waits for the other loop's, so that the request is passed on to that. It is given to one of the two, if only as
 * the first ends. */
static void
cancel_as_it_ends (Race *race, MorrowExecutor *other)
{
  MorrowFuture *ends = morrow_executor_spawn (other, morrow_coroutine (spin_and_return, race, NULL));
  g_autoptr (MorrowFuture) waits = morrow_create_task (morrow_coroutine (await_it, ends, NULL));
  const GValue *value;

  let_run ();
  rendezvous_meet (&race->meeting);
  ck_assert (morrow_future_cancel (waits));
  ck_assert (!morrow_future_await (waits, NULL));
  ck_assert (morrow_future_is_cancelled (waits));   /* where it was too late for the other, too */

  value = morrow_future_await (ends, NULL) ? morrow_future_get_value (ends, NULL) : NULL;
  if (value != NULL)
    {
      ck_assert_str_eq (g_value_get_string (value), "whole");
      ck_assert_uint_eq (value->data[1].v_uint64, G_VALUE_NOCOPY_CONTENTS);
    }
  else
    ck_assert (morrow_future_is_cancelled (ends));
  race->here_won |= value != NULL;
  race->there_won |= value == NULL;
  morrow_future_unref (ends);
}

static gboolean
cancel_each_as_it_ends (gpointer data, GValue *result, GError **error)
{
  Race *race = data;
  MorrowExecutor *other = morrow_loop_pool_new (1);

  for (race->round = 0; rendezvous_take_round (&race->meeting); race->round++)
    cancel_as_it_ends (race, other);
  g_object_unref (other);
  return TRUE;
}

START_TEST (request_that_is_passed_on_to_another_loops_task_as_it_ends_is_given_to_one_of_the_two)
{
  Race race;

  race_init (&race, N_ROUNDS);
  run_scene (cancel_each_as_it_ends, &race);
  ck_assert (race.here_won && race.there_won);
}
END_TEST

/* --- who sleeps -------------------------------------------------------------------------------- */

/* What runs on a pool, two a round, each on a loop of its own: the first keeps its loop until the second has begun, for
 * ever if nobody wakes the other loop. */
static void
begin_both (gpointer data)
{
  Race *race = data;
  guint n_begun = atomic_fetch_add (&race->n_begun, 1) + 1;

  while (atomic_load (&race->n_begun) < n_begun + n_begun % 2)
    sched_yield ();
}

static gboolean
begin_both_in_tasks (gpointer data, GValue *result, GError **error)
{
  begin_both (data);
  return TRUE;
}

static void
submit_one (Race *race)
{
  morrow_executor_submit (race->executor, begin_both, race, NULL);
}

static void
spawn_one (Race *race)
{
  morrow_future_unref (morrow_executor_spawn (race->executor, morrow_coroutine (begin_both_in_tasks, race, NULL)));
}

/* A loop looks around for 50 us before it sleeps: the next round comes somewhere on the way.  To yield would be to wait for
 * however long somebody else likes to run. */
static void
let_loops_fall_asleep (guint round)
{
  gint64 until = g_get_monotonic_time () + round % 64;

  while (g_get_monotonic_time () < until)
    ;
}

/* _i: whether they are tasks. */
START_TEST (two_that_are_given_to_a_pool_as_its_loops_fall_asleep_both_begin)
{
  pthread_t thread;
  Race race;

  race_init (&race, N_SLOW_ROUNDS);
  race.executor = morrow_loop_pool_new (2);
  race.here = race.there = _i ? spawn_one : submit_one;
  start_there (&thread, run_there, &race);
  for (race.round = 0; rendezvous_take_round (&race.meeting); race.round++)
    {
      run_round (&race);
      while (atomic_load (&race.n_begun) < 2 * (race.round + 1))
        sched_yield ();
      let_loops_fall_asleep (race.round);
    }
  rendezvous_end (&race.meeting);
  pthread_join (thread, NULL);
  g_object_unref (race.executor);
  ck_assert_uint_eq (atomic_load (&race.n_begun), 2 * race.meeting.n_rounds);
}
END_TEST

/* --- who posts --------------------------------------------------------------------------------- */

static void
count_let_go (MorrowJob *job, gboolean closed)
{
  ck_assert (closed);
  count_freed (morrow__container_of (job, Race, job));
}

static void
close_here (Race *race)
{
  morrow__loop_close ((MorrowLoop *) race->executor);
}

static void
post_there (Race *race)
{
  morrow__loop_post ((MorrowLoop *) race->executor, &race->job);
}

START_TEST (job_that_is_posted_as_its_loop_closes_is_let_go)
{
  pthread_t thread;
  Race race;

  race_init (&race, N_SLOW_ROUNDS);
  race.job.run = count_let_go;
  race.here = close_here;
  race.there = post_there;
  start_there (&thread, run_there, &race);
  for (race.round = 0; rendezvous_take_round (&race.meeting); race.round++)
    {
      race.executor = morrow_loop_new (NULL);
      run_round (&race);
      ck_assert_uint_eq (atomic_load (&race.n_freed), race.round + 1);
      g_object_unref (race.executor);
    }
  rendezvous_end (&race.meeting);
  pthread_join (thread, NULL);
}
END_TEST

/* --- sleeps of a plain thread ------------------------------------------------------------------- */

/* Two go to the loop that such threads share, and there the first, which is due at once, cancels the second. That has been made
 * just now, and may not have come there. */
START_TEST (sleep_that_is_cancelled_as_it_comes_to_its_loop_is_let_go)
{
  for (guint round = 0; round < N_SLOW_ROUNDS; round++)
    {
      MorrowFuture *first = morrow_sleep (0);
      g_autoptr (MorrowFuture) both = NULL;

      for (volatile guint turns = 0; turns < round % 700; turns++)
        ;                        /* so that it fires here and there */
      both = morrow_race (first, morrow_sleep (1000), NULL);
      ck_assert (morrow_future_wait (both, NULL));
    }
}
END_TEST

static Suite *
races_suite (void)
{
  Suite *suite = suite_create ("races");
  TCase *settle = morrow_check_add_case (suite, "settle");
  TCase *start = morrow_check_add_case (suite, "start");
  TCase *end = morrow_check_add_case (suite, "end");
  TCase *sleep = morrow_check_add_case (suite, "sleep");
  TCase *post = morrow_check_add_case (suite, "post");

  tcase_add_test (settle, either_resolve_or_cancel_wins_and_the_future_is_as_the_winner_says);
  tcase_add_test (settle, await_on_another_threads_loop_gets_the_value_whenever_it_comes);
  tcase_add_test (settle, wait_until_a_near_deadline_gets_the_value_or_times_out);
  tcase_add_test (settle, future_that_settles_as_its_cancellable_goes_is_let_go);
  tcase_add_test (settle, value_is_freed_once_whoever_is_last_to_let_go);
  tcase_add_loop_test (start, task_that_is_cancelled_as_it_starts_has_run_or_is_cancelled,
                       MODEL_THREADS, MODEL_LOOPS + 1);
  tcase_add_test (start, coroutines_that_start_as_one_beside_them_decides_end_once);
  tcase_add_test (start, gathers_whose_children_settle_on_two_threads_at_once_are_told_of_both);
  tcase_add_test (start, gathers_that_begin_as_their_children_settle_are_told_of_both);
  tcase_add_test (start, coroutine_that_is_cancelled_as_a_thread_begins_to_wait_for_it_ends_once);
  tcase_add_test (start, coroutines_that_a_gather_starts_in_turn_as_it_is_cancelled_end_once);
  tcase_add_test (end, request_that_is_passed_on_to_another_loops_task_as_it_ends_is_given_to_one_of_the_two);
  tcase_add_loop_test (sleep, two_that_are_given_to_a_pool_as_its_loops_fall_asleep_both_begin, FALSE, TRUE + 1);
  tcase_add_test (post, job_that_is_posted_as_its_loop_closes_is_let_go);
  tcase_add_test (post, sleep_that_is_cancelled_as_it_comes_to_its_loop_is_let_go);

  return suite;
}

MORROW_CHECK_MAIN (races_suite)
