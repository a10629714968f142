/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lane for blocking work: what is queued for a thread, and cancelled, is not done; a run that waits for its threads
 * still runs what they ask of it. */

#include "config.h"

#include <pthread.h>
#include <stdatomic.h>

#include <morrow/morrow.h>

#include "exec/models.h"
#include "morrow-check.h"

#define N_THREADS 64    /* the lane's */
#define N_QUEUED  10

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static guint n_running;                /* under the lock */
static gboolean may_end;               /* under the lock */
static atomic_uint n_done, n_freed;

static gboolean
hold_thread (gpointer data, GValue *result, GError **error)
{
  pthread_mutex_lock (&lock);
  n_running++;
  pthread_cond_broadcast (&changed);
  while (!may_end)
    pthread_cond_wait (&changed, &lock);
  pthread_mutex_unlock (&lock);

  atomic_fetch_add (&n_done, 1);
  return TRUE;
}

static void
count_free (gpointer data)
{
  atomic_fetch_add (&n_freed, 1);
}

static MorrowFuture *
start_work (void)
{
  return morrow_create_task (morrow_to_thread (hold_thread, &n_done, count_free));
}

static gboolean
fill_lane_and_cancel_the_rest (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *running[N_THREADS];

  for (guint i = 0; i < N_THREADS; i++)
    running[i] = start_work ();

  pthread_mutex_lock (&lock);
  while (n_running < N_THREADS)
    pthread_cond_wait (&changed, &lock);
  pthread_mutex_unlock (&lock);

  for (guint i = 0; i < N_QUEUED; i++)
    {
      g_autoptr (MorrowFuture) queued = start_work ();

      ck_assert (morrow_future_cancel (queued));
      ck_assert (morrow_future_is_cancelled (queued));
    }

  pthread_mutex_lock (&lock);
  may_end = TRUE;
  pthread_cond_broadcast (&changed);
  pthread_mutex_unlock (&lock);

  return morrow_await (morrow_allv (running, N_THREADS), error);
}

START_TEST (lane_does_not_do_what_was_cancelled_while_it_was_queued)
{
  g_autoptr (GError) error = NULL;

  n_freed = 0;
  ck_assert (morrow_run (morrow_coroutine (fill_lane_and_cancel_the_rest, NULL, NULL), NULL, &error));
  ck_assert_uint_eq (n_done, N_THREADS);
  ck_assert_uint_eq (n_freed, N_THREADS + N_QUEUED);
}
END_TEST

/* --- asking the run back ------------------------------------------------------------------------ */

static MorrowExecutor *asked;          /* the run's, which lasts as long as the thread */
static gboolean was_called;            /* under the lock */

START_TEST (work_that_is_dropped_unstarted_warns_as_a_coroutine_does)
{
  MorrowFuture *dropped = morrow_to_thread (hold_thread, &n_done, count_free);

  n_freed = 0;
  morrow_check_expect_warning ("'hold_thread', for a thread, was never awaited, made at *test-lane.c:*");
  morrow_future_unref (dropped);
  ck_assert_uint_eq (n_freed, 1);
}
END_TEST

START_TEST (work_that_is_dropped_after_its_cancel_does_not_warn)
{
  MorrowFuture *cancelled = morrow_to_thread (hold_thread, &n_done, count_free);

  n_freed = 0;
  morrow_future_cancel (cancelled);
  morrow_future_unref (cancelled);
  ck_assert_uint_eq (n_freed, 1);
}
END_TEST

START_TEST (work_that_is_dropped_unstarted_cancels_its_cancellable)
{
  MorrowFuture *dropped = morrow_to_thread (hold_thread, NULL, NULL);
  g_autoptr (GCancellable) cancellable = morrow_future_get_cancellable (dropped);

  morrow_check_expect_warning ("'hold_thread', for a thread, was never awaited*");
  morrow_future_unref (dropped);
  ck_assert (g_cancellable_is_cancelled (cancellable));
}
END_TEST

static void
note_call (gpointer data)
{
  pthread_mutex_lock (&lock);
  was_called = TRUE;
  pthread_cond_broadcast (&changed);
  pthread_mutex_unlock (&lock);
}

/* On a thread, when main has ended: has something run by the executor that waits for this thread. */
static gboolean
ask_back (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *main = data;

  if (!morrow_future_wait (main, error))
    return FALSE;

  morrow_executor_submit (asked, note_call, NULL, NULL);
  pthread_mutex_lock (&lock);
  while (!was_called)
    pthread_cond_wait (&changed, &lock);
  pthread_mutex_unlock (&lock);
  return TRUE;
}

static gboolean
leave_a_thread_over (gpointer data, GValue *result, GError **error)
{
  morrow_future_unref (morrow_create_task (morrow_to_thread (ask_back, morrow_future_ref (morrow_current_task ()),
                                                             (GDestroyNotify) morrow_future_unref)));
  return TRUE;
}

START_TEST (thr_05_run_that_joins_its_threads_runs_what_they_ask_of_it)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  asked = executor;
  was_called = FALSE;
  ck_assert (morrow_run_on (executor, morrow_coroutine (leave_a_thread_over, NULL, NULL), NULL, &error));
  ck_assert (was_called);
}
END_TEST

static Suite *
lane_suite (void)
{
  Suite *suite = suite_create ("lane");
  TCase *cancel = tcase_create ("cancel");
  TCase *dropped = morrow_check_add_case (suite, "dropped");
  TCase *join = tcase_create ("join");

  tcase_add_test (cancel, lane_does_not_do_what_was_cancelled_while_it_was_queued);
  suite_add_tcase (suite, cancel);
  tcase_add_test (dropped, work_that_is_dropped_unstarted_warns_as_a_coroutine_does);
  tcase_add_test (dropped, work_that_is_dropped_after_its_cancel_does_not_warn);
  tcase_add_test (dropped, work_that_is_dropped_unstarted_cancels_its_cancellable);
  tcase_add_loop_test (join, thr_05_run_that_joins_its_threads_runs_what_they_ask_of_it, 0, N_MODELS);
  suite_add_tcase (suite, join);
  return suite;
}

MORROW_CHECK_MAIN (lane_suite)
