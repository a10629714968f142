/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lives on a loop can be cancelled from outside at any time, also while its loop ends and is
 * freed; and what holds a pool may let go while others come and go.  Two threads meet before each
 * round, so that the one does end its run while the other cancels.
 */
#include "config.h"

#include "base/rendezvous.h"
#include "exec/models.h"

#define N_ROUNDS (5000 / morrow_check_slowness ())

/* What the round is about: made by the running thread, before they meet; both hold a reference. */
typedef struct
{
  Rendezvous    rendezvous;
  MorrowFuture *future;
  guint         n_accepted;   /* the cancelling thread: how often the cancel came in time */
} Race;

static gboolean
wait_for_ever (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&promise);

  return morrow_future_await (never_settles, error);
}

static gboolean
leave_a_task (gpointer data, GValue *result, GError **error)
{
  Race *race = data;

  race->future = morrow_create_task (morrow_coroutine (wait_for_ever, NULL, NULL));
  morrow_future_ref (race->future);
  if (!morrow_yield (error))
    return FALSE;
  rendezvous_meet (&race->rendezvous);
  return TRUE;
}

static gboolean
leave_a_sleep (gpointer data, GValue *result, GError **error)
{
  Race *race = data;

  race->future = morrow_sleep (3600);
  morrow_future_ref (race->future);
  rendezvous_meet (&race->rendezvous);
  return TRUE;
}

static gpointer
cancel_in_each_round (gpointer data)
{
  Race *race = data;

  while (rendezvous_follow (&race->rendezvous))
    {
      race->n_accepted += morrow_future_cancel (race->future);
      morrow_future_unref (race->future);
      rendezvous_meet (&race->rendezvous);
    }
  return NULL;
}

/* On a new executor in each round. */
static void
race_against_the_end (int model, MorrowCoroutineFunc leave)
{
  Race race = { .future = NULL };
  guint n_cancelled = 0;
  GThread *thread;

  rendezvous_init (&race.rendezvous, 2, N_ROUNDS);
  thread = g_thread_new ("cancel", cancel_in_each_round, &race);
  while (rendezvous_take_round (&race.rendezvous))
    {
      MorrowExecutor *executor = make_model (model);
      MorrowFuture *future;

      run_scene_on (executor, leave, &race);
      future = race.future;
      g_object_unref (executor);
      ck_assert (morrow_future_is_settled (future));
      n_cancelled += morrow_future_is_cancelled (future);
      rendezvous_meet (&race.rendezvous);
      morrow_future_unref (future);
    }
  rendezvous_end (&race.rendezvous);
  g_thread_join (thread);

  ck_assert_uint_eq (n_cancelled, race.rendezvous.n_rounds);
  ck_assert_uint_le (race.n_accepted, race.rendezvous.n_rounds);
}

START_TEST (cancel_of_a_task_meets_the_end_of_its_loop)
{
  race_against_the_end (MODEL_LOOP, leave_a_task);
}
END_TEST

START_TEST (cancel_of_a_sleep_meets_the_end_of_its_loop)
{
  race_against_the_end (MODEL_LOOP, leave_a_sleep);
}
END_TEST

START_TEST (cancel_of_a_task_meets_the_end_of_its_pool)
{
  race_against_the_end (_i, leave_a_task);
}
END_TEST

/* --- the last hold ----------------------------------------------------------------------------- */

/* What the round is about: a gather holds the pool, of a promise that the other thread settles. */
typedef struct
{
  Rendezvous     rendezvous;
  MorrowPromise *promise;
  MorrowFuture  *pending;
  atomic_int     has_started;
  atomic_int     is_gone;      /* the pool, and so its threads */
} Hold;

static void
note_gone (gpointer data, GObject *pool)
{
  atomic_store (&((Hold *) data)->is_gone, TRUE);
}

static gboolean
do_nothing (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

/* Takes holds, and lets go of them, until the pool ends. */
static gboolean
attach_callbacks (gpointer data, GValue *result, GError **error)
{
  Hold *hold = data;
  MorrowFuture *pending = morrow_future_ref (hold->pending);
  g_autoptr (MorrowFuture) settled = morrow_future_new_resolved (NULL);

  morrow_future_unref (morrow_gatherv (&pending, 1));
  atomic_store (&hold->has_started, TRUE);
  while (morrow_await (morrow_future_then (settled, do_nothing, NULL, NULL), error))
    ;
  return FALSE;
}

static gpointer
settle_in_each_round (gpointer data)
{
  Hold *hold = data;

  while (rendezvous_follow (&hold->rendezvous))
    {
      morrow_promise_resolve (hold->promise);
      rendezvous_meet (&hold->rendezvous);
    }
  return NULL;
}

START_TEST (last_hold_goes_while_a_task_takes_others)
{
  Hold hold = { .promise = NULL };
  GThread *thread;

  rendezvous_init (&hold.rendezvous, 2, N_ROUNDS);
  thread = g_thread_new ("settle", settle_in_each_round, &hold);
  while (rendezvous_take_round (&hold.rendezvous))
    {
      MorrowExecutor *pool = make_model (_i);
      MorrowFuture *task;

      hold.pending = new_pending (&hold.promise);
      atomic_store (&hold.has_started, FALSE);
      atomic_store (&hold.is_gone, FALSE);
      g_object_weak_ref (G_OBJECT (pool), note_gone, &hold);
      task = morrow_executor_spawn (pool, morrow_coroutine (attach_callbacks, &hold, NULL));
      while (!atomic_load (&hold.has_started))
        g_thread_yield ();
      g_object_unref (pool);
      rendezvous_meet (&hold.rendezvous);

      ck_assert (!morrow_future_wait (task, NULL));
      rendezvous_meet (&hold.rendezvous);
      morrow_future_unref (task);
      morrow_future_unref (hold.pending);
      morrow_promise_unref (hold.promise);
      while (!atomic_load (&hold.is_gone))
        g_thread_yield ();
    }
  rendezvous_end (&hold.rendezvous);
  g_thread_join (thread);
}
END_TEST

static Suite *
loop_end_suite (void)
{
  Suite *suite = suite_create ("loop-end");
  TCase *cancel = morrow_check_add_case (suite, "cancel");
  TCase *last = morrow_check_add_case (suite, "the last hold");

  tcase_add_test (cancel, cancel_of_a_task_meets_the_end_of_its_loop);
  tcase_add_test (cancel, cancel_of_a_sleep_meets_the_end_of_its_loop);
  tcase_add_loop_test (cancel, cancel_of_a_task_meets_the_end_of_its_pool, MODEL_THREADS, MODEL_LOOPS + 1);
  tcase_add_loop_test (last, last_hold_goes_while_a_task_takes_others, MODEL_THREADS, MODEL_LOOPS + 1);

  return suite;
}

MORROW_CHECK_MAIN (loop_end_suite)
