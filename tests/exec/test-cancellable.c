/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GCancellable, both ways: one that cancels a future, and one that a future's cancel cancels.
 */
#include "config.h"

#include "base/rendezvous.h"
#include "exec/scene.h"

static gboolean
is_connected (GCancellable *cancellable)
{
  return g_signal_has_handler_pending (cancellable, g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE), 0, TRUE);
}

static void
note_release (gpointer data)
{
  *(gboolean *) data = TRUE;
}

/* --- it cancels a future ----------------------------------------------------------------------- */

START_TEST (cancellable_cancels_a_promise)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  morrow_future_cancel_on (future, cancellable);
  ck_assert (!morrow_future_is_settled (future));
  g_cancellable_cancel (cancellable);
  ck_assert (morrow_future_is_cancelled (future));
  ck_assert (!is_connected (cancellable));
  morrow_promise_unref (promise);
}
END_TEST

START_TEST (cancellable_that_is_cancelled_already_cancels_at_once)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  g_cancellable_cancel (cancellable);
  morrow_future_cancel_on (future, cancellable);
  ck_assert (morrow_future_is_cancelled (future));
  morrow_promise_unref (promise);
}
END_TEST

START_TEST (no_cancellable_is_nothing)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);

  morrow_future_cancel_on (future, NULL);
  ck_assert (!morrow_future_is_settled (future));
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
}
END_TEST

START_TEST (connection_goes_when_the_future_settles)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  GCancellable *cancellable = g_cancellable_new ();

  g_object_add_weak_pointer (G_OBJECT (cancellable), (gpointer *) &cancellable);
  morrow_future_cancel_on (future, cancellable);
  ck_assert (is_connected (cancellable));
  morrow_promise_resolve_int (promise, 1);
  ck_assert (!is_connected (cancellable));
  g_cancellable_cancel (cancellable);
  ck_assert_int_eq (morrow_future_get_int (future), 1);
  g_object_unref (cancellable);
  ck_assert_ptr_null (cancellable);
  morrow_promise_unref (promise);
}
END_TEST

SCENE (cancellable_cancels_a_task_as_a_request)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_it, future, NULL));
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  morrow_future_cancel_on (task, cancellable);
  let_run ();
  g_cancellable_cancel (cancellable);
  ck_assert_uint_eq (morrow_future_get_cancelling (task), 1);
  await_cancelled (task);
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (cancellable_does_not_start_a_coroutine)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) coroutine = morrow_coroutine (await_it, future, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  morrow_future_cancel_on (coroutine, cancellable);
  morrow_promise_resolve (promise);
  let_run ();
  ck_assert (!morrow_future_is_settled (coroutine));
  g_cancellable_cancel (cancellable);
  ck_assert (morrow_future_is_cancelled (coroutine));
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (cancellable_is_nobody_who_waits)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_it, future, NULL));
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  morrow_future_cancel_on (future, cancellable);
  let_run ();
  morrow_future_cancel (task);
  ck_assert (morrow_future_is_cancelled (future));
  await_cancelled (task);
  morrow_promise_unref (promise);
  return TRUE;
}

static gpointer
cancel_there (gpointer data)
{
  g_cancellable_cancel (data);
  return NULL;
}

SCENE (cancellable_of_another_thread_wakes_the_task)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (MorrowFuture) sleep = morrow_sleep (3600);
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_it, sleep, NULL));
  GThread *thread;

  morrow_future_cancel_on (task, cancellable);
  let_run ();
  thread = g_thread_new ("other", cancel_there, cancellable);
  await_cancelled (task);
  g_thread_join (thread);
  return TRUE;
}

START_TEST (one_cancellable_cancels_many)
{
  MorrowPromise *promise[3];
  MorrowFuture *future[3];
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  for (guint i = 0; i < 3; i++)
    {
      future[i] = new_pending (&promise[i]);
      morrow_future_cancel_on (future[i], cancellable);
      morrow_future_cancel_on (future[i], cancellable);
    }
  morrow_promise_resolve (promise[1]);
  g_cancellable_cancel (cancellable);
  ck_assert (morrow_future_is_cancelled (future[0]));
  ck_assert (!morrow_future_is_cancelled (future[1]));
  ck_assert (morrow_future_is_cancelled (future[2]));
  ck_assert (!is_connected (cancellable));
  for (guint i = 0; i < 3; i++)
    {
      morrow_promise_unref (promise[i]);
      morrow_future_unref (future[i]);
    }
}
END_TEST

START_TEST (coroutine_that_is_dropped_goes_with_the_cancellable)
{
  GCancellable *cancellable = g_cancellable_new ();
  gboolean released = FALSE;
  MorrowFuture *coroutine = morrow_coroutine (return_int, &released, note_release);

  g_object_add_weak_pointer (G_OBJECT (cancellable), (gpointer *) &cancellable);
  morrow_future_cancel_on (coroutine, cancellable);
  morrow_future_unref (coroutine);
  ck_assert (!released);

  morrow_check_expect_warning ("coroutine 'return_int' was never awaited*");
  g_object_unref (cancellable);
  ck_assert_ptr_null (cancellable);
  ck_assert (released);
}
END_TEST

START_TEST (future_outlives_what_would_have_cancelled_it)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  GCancellable *cancellable = g_cancellable_new ();

  morrow_future_cancel_on (future, cancellable);
  g_object_unref (cancellable);
  ck_assert (!morrow_future_is_settled (future));
  morrow_promise_resolve_int (promise, 1);
  ck_assert_int_eq (morrow_future_get_int (future), 1);
  morrow_promise_unref (promise);
}
END_TEST

/* --- a future's cancel cancels it -------------------------------------------------------------- */

START_TEST (cancel_of_a_promise_cancels_its_cancellable)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (GCancellable) cancellable = morrow_future_get_cancellable (future);
  g_autoptr (GCancellable) again = morrow_future_get_cancellable (future);

  ck_assert_ptr_eq (cancellable, again);
  ck_assert (!g_cancellable_is_cancelled (cancellable));
  morrow_future_cancel (future);
  ck_assert (g_cancellable_is_cancelled (cancellable));
  morrow_promise_unref (promise);
}
END_TEST

START_TEST (settling_leaves_the_cancellable_alone)
{
  MorrowPromise *one, *two;
  g_autoptr (MorrowFuture) resolved = new_pending (&one);
  g_autoptr (MorrowFuture) rejected = new_pending (&two);
  g_autoptr (GCancellable) of_resolved = morrow_future_get_cancellable (resolved);
  g_autoptr (GCancellable) of_rejected = morrow_future_get_cancellable (rejected);

  morrow_promise_resolve (one);
  morrow_promise_reject (two, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "no luck"));
  ck_assert (!g_cancellable_is_cancelled (of_resolved));
  ck_assert (!g_cancellable_is_cancelled (of_rejected));
  ck_assert_ptr_nonnull (morrow_future_get_error (rejected));
  morrow_promise_unref (one);
  morrow_promise_unref (two);
}
END_TEST

START_TEST (cancellable_of_what_was_cancelled_is_cancelled)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (GCancellable) cancellable = NULL;

  morrow_future_cancel (future);
  cancellable = morrow_future_get_cancellable (future);
  ck_assert (g_cancellable_is_cancelled (cancellable));
  morrow_promise_unref (promise);
}
END_TEST

static gboolean
say_on_cancel_and_linger (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GCancellable) mine = morrow_future_get_cancellable (morrow_current_task ());
  gboolean ok = morrow_future_await (data, error);

  say ("%s", g_cancellable_is_cancelled (mine) ? "asked to end" : "not asked");
  return ok;
}

SCENE (cancellable_of_a_task_is_cancelled_when_it_is_asked_to_end)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) shield = morrow_shield (morrow_future_ref (future));
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (say_on_cancel_and_linger, shield, NULL));
  g_autoptr (GCancellable) cancellable = morrow_future_get_cancellable (task);

  let_run ();
  ck_assert (!g_cancellable_is_cancelled (cancellable));
  morrow_future_cancel (task);
  ck_assert (g_cancellable_is_cancelled (cancellable));
  ck_assert (!morrow_future_is_settled (task));
  await_cancelled (task);
  assert_said ("asked to end");
  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (cancellable_got_after_the_request_is_cancelled)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_it, future, NULL));
  g_autoptr (GCancellable) cancellable = NULL;

  let_run ();
  morrow_future_cancel (task);
  cancellable = morrow_future_get_cancellable (task);
  ck_assert (g_cancellable_is_cancelled (cancellable));
  await_cancelled (task);
  morrow_promise_unref (promise);
  return TRUE;
}

static gboolean
go_on_after_a_cancel (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *self = morrow_current_task ();
  g_autoptr (MorrowPromise) one = NULL, two = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&one), nor_does_this = new_pending (&two);
  g_autoptr (GCancellable) first = morrow_future_get_cancellable (self), asked = NULL, second = NULL, again = NULL;

  await_cancelled (never_settles);
  asked = morrow_future_get_cancellable (self);
  ck_assert_ptr_eq (asked, first);
  ck_assert (g_cancellable_is_cancelled (first));

  ck_assert_uint_eq (morrow_future_uncancel (self), 0);
  second = morrow_future_get_cancellable (self);
  again = morrow_future_get_cancellable (self);
  ck_assert (!g_cancellable_is_cancelled (second));
  ck_assert_ptr_eq (again, second);

  await_cancelled (nor_does_this);
  ck_assert (g_cancellable_is_cancelled (second));
  return TRUE;
}

SCENE (undoing_the_last_request_brings_another_cancellable)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (go_on_after_a_cancel, NULL, NULL));

  let_run ();
  ck_assert (morrow_future_cancel (task));
  let_run ();
  ck_assert (morrow_future_cancel (task));
  await_ok (task);
  return TRUE;
}

SCENE (undoing_one_of_two_requests_leaves_the_cancellable_cancelled)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_it, future, NULL));
  g_autoptr (GCancellable) before = morrow_future_get_cancellable (task), after = NULL;

  let_run ();
  ck_assert (morrow_future_cancel (task));
  ck_assert (morrow_future_cancel (task));
  ck_assert_uint_eq (morrow_future_uncancel (task), 1);
  after = morrow_future_get_cancellable (task);
  ck_assert_ptr_eq (after, before);
  ck_assert (g_cancellable_is_cancelled (after));
  await_cancelled (task);
  morrow_promise_unref (promise);
  return TRUE;
}

SCENE (undoing_a_request_that_was_not_given_brings_another_cancellable)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (await_it, future, NULL));
  g_autoptr (GCancellable) before = morrow_future_get_cancellable (task), after = NULL;

  ck_assert (morrow_future_cancel (task));
  ck_assert_uint_eq (morrow_future_uncancel (task), 0);
  after = morrow_future_get_cancellable (task);
  ck_assert (g_cancellable_is_cancelled (before));
  ck_assert (!g_cancellable_is_cancelled (after));
  morrow_promise_resolve (promise);
  await_ok (task);
  ck_assert (!g_cancellable_is_cancelled (after));
  morrow_promise_unref (promise);
  return TRUE;
}

START_TEST (both_ways_on_one_future_do_not_circle)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (GCancellable) cancellable = morrow_future_get_cancellable (future);

  morrow_future_cancel_on (future, cancellable);
  g_cancellable_cancel (cancellable);
  ck_assert (morrow_future_is_cancelled (future));
  morrow_promise_unref (promise);
}
END_TEST

typedef struct
{
  MorrowFuture *inner, *host;   /* borrowed */
  GCancellable *early, *late;   /* of inner: got before it runs, and once it was asked to end */
} InPlace;

static gboolean
be_asked_in_place (gpointer data, GValue *result, GError **error)
{
  InPlace *self = data;
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&promise);

  self->host = morrow_current_task ();
  await_cancelled (never_settles);
  ck_assert (g_cancellable_is_cancelled (self->early));
  ck_assert_uint_eq (morrow_future_get_cancelling (self->inner), 1);
  ck_assert_uint_eq (morrow_future_get_cancelling (self->host), 1);
  ck_assert_uint_eq (morrow_future_uncancel (self->inner), 0);
  ck_assert_uint_eq (morrow_future_get_cancelling (self->host), 0);
  return TRUE;
}

static gboolean
ask_in_place (gpointer data, GValue *result, GError **error)
{
  InPlace *self = data;

  ck_assert (!g_cancellable_is_cancelled (self->early));
  ck_assert (morrow_future_cancel (self->inner));
  ck_assert (g_cancellable_is_cancelled (self->early));
  self->late = morrow_future_get_cancellable (self->inner);
  ck_assert (g_cancellable_is_cancelled (self->late));
  return TRUE;
}

SCENE (what_runs_in_place_is_asked_to_end_as_its_host_is)
{
  InPlace self = { 0 };
  g_autoptr (MorrowFuture) inner = morrow_coroutine (be_asked_in_place, &self, NULL);
  g_autoptr (MorrowFuture) asker = morrow_create_task (morrow_coroutine (ask_in_place, &self, NULL));

  self.inner = inner;
  self.early = morrow_future_get_cancellable (inner);
  await_ok (inner);
  await_ok (asker);
  ck_assert_uint_eq (morrow_future_get_cancelling (inner), 0);
  g_object_unref (self.early);
  g_object_unref (self.late);
  return TRUE;
}

/* Nobody has asked for the GCancellable when the request comes. */
static gboolean
ask_before_it_is_linked (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GCancellable) cancellable = NULL;

  ck_assert (morrow_future_cancel (data));
  cancellable = morrow_future_get_cancellable (data);
  ck_assert (g_cancellable_is_cancelled (cancellable));
  return TRUE;
}

SCENE (cancellable_got_after_the_request_to_what_runs_in_place_is_cancelled)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) inner = morrow_coroutine (await_it, future, NULL);
  g_autoptr (MorrowFuture) asker = morrow_create_task (morrow_coroutine (ask_before_it_is_linked, inner, NULL));

  await_cancelled (inner);
  morrow_future_uncancel (morrow_current_task ());
  await_ok (asker);
  morrow_promise_unref (promise);
  return TRUE;
}

START_TEST (dropped_coroutine_cancels_its_cancellable_and_leaves_it_to_no_other)
{
  MorrowFuture *dropped = morrow_coroutine (return_int, NULL, NULL);
  g_autoptr (GCancellable) of_dropped = morrow_future_get_cancellable (dropped);
  g_autoptr (GCancellable) of_next = NULL;
  MorrowFuture *next;

  morrow_check_expect_warning ("coroutine 'return_int' was never awaited*");
  morrow_future_unref (dropped);
  ck_assert (g_cancellable_is_cancelled (of_dropped));

  next = morrow_coroutine (return_int, NULL, NULL);   /* in the memory of the one before */
  of_next = morrow_future_get_cancellable (next);
  ck_assert (of_next != of_dropped);
  ck_assert (!g_cancellable_is_cancelled (of_next));
  morrow_future_cancel (next);
  morrow_future_unref (next);
}
END_TEST

/* --- races ------------------------------------------------------------------------------------- */

/* A task that has not begun, and another thread that does one thing while the test's does another. */
typedef struct
{
  Rendezvous    rendezvous;
  MorrowFuture *task;
  GCancellable *cancellable;
  GCancellable *gotten;       /* the other thread's */
  void        (*other) (gpointer race);
} Race;

static gpointer
follow (gpointer data)
{
  Race *self = data;

  while (rendezvous_follow (&self->rendezvous))
    {
      self->other (self);
      rendezvous_meet (&self->rendezvous);
    }
  return NULL;
}

static void
cancel_it (gpointer data)
{
  g_cancellable_cancel (((Race *) data)->cancellable);
}

static void
get_its_cancellable (gpointer data)
{
  Race *self = data;

  self->gotten = morrow_future_get_cancellable (self->task);
}

static gboolean
succeed (gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

/* Returns: how many rounds went wrong. */
static guint
run_race (void (*other) (gpointer race), gboolean (*here) (Race *race))
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);   /* which turns when all is over */
  Race race = { .other = other };
  guint n_wrong = 0;
  GThread *thread;

  rendezvous_init (&race.rendezvous, 2, N_RACES);
  thread = g_thread_new ("other", follow, &race);
  while (rendezvous_take_round (&race.rendezvous))
    {
      race.task = morrow_executor_spawn (loop, morrow_coroutine (succeed, NULL, NULL));
      race.cancellable = g_cancellable_new ();
      rendezvous_meet (&race.rendezvous);
      n_wrong += !here (&race);
      g_object_unref (race.cancellable);
      morrow_future_unref (race.task);
    }
  rendezvous_end (&race.rendezvous);
  g_thread_join (thread);
  ck_assert (morrow_run_on (loop, morrow_coroutine (succeed, NULL, NULL), NULL, NULL));
  return n_wrong;
}

static gboolean
is_asked_once (Race *race)
{
  morrow_future_cancel_on (race->task, race->cancellable);
  rendezvous_meet (&race->rendezvous);
  return morrow_future_get_cancelling (race->task) == 1;
}

START_TEST (cancellable_that_is_cancelled_as_it_is_connected_asks_once)
{
  ck_assert_uint_eq (run_race (cancel_it, is_asked_once), 0);
}
END_TEST

static gboolean
is_the_same (Race *race)
{
  g_autoptr (GCancellable) cancellable = morrow_future_get_cancellable (race->task);
  g_autoptr (GCancellable) gotten = NULL;

  rendezvous_meet (&race->rendezvous);
  gotten = race->gotten;
  return cancellable == gotten;
}

START_TEST (threads_that_ask_for_a_tasks_cancellable_get_the_same)
{
  ck_assert_uint_eq (run_race (get_its_cancellable, is_the_same), 0);
}
END_TEST

static Suite *
cancellable_suite (void)
{
  Suite *suite = suite_create ("cancellable");
  TCase *on = morrow_check_add_case (suite, "cancels a future");
  TCase *with = morrow_check_add_case (suite, "is cancelled with a future");
  TCase *races = morrow_check_add_case (suite, "races");

  tcase_add_test (on, cancellable_cancels_a_promise);
  tcase_add_test (on, cancellable_that_is_cancelled_already_cancels_at_once);
  tcase_add_test (on, no_cancellable_is_nothing);
  tcase_add_test (on, connection_goes_when_the_future_settles);
  tcase_add_test (on, cancellable_cancels_a_task_as_a_request);
  tcase_add_test (on, cancellable_does_not_start_a_coroutine);
  tcase_add_test (on, cancellable_is_nobody_who_waits);
  tcase_add_test (on, cancellable_of_another_thread_wakes_the_task);
  tcase_add_test (on, one_cancellable_cancels_many);
  tcase_add_test (on, coroutine_that_is_dropped_goes_with_the_cancellable);
  tcase_add_test (on, future_outlives_what_would_have_cancelled_it);

  tcase_add_test (with, cancel_of_a_promise_cancels_its_cancellable);
  tcase_add_test (with, settling_leaves_the_cancellable_alone);
  tcase_add_test (with, cancellable_of_what_was_cancelled_is_cancelled);
  tcase_add_test (with, cancellable_of_a_task_is_cancelled_when_it_is_asked_to_end);
  tcase_add_test (with, cancellable_got_after_the_request_is_cancelled);
  tcase_add_test (with, what_runs_in_place_is_asked_to_end_as_its_host_is);
  tcase_add_test (with, cancellable_got_after_the_request_to_what_runs_in_place_is_cancelled);
  tcase_add_test (with, undoing_the_last_request_brings_another_cancellable);
  tcase_add_test (with, undoing_one_of_two_requests_leaves_the_cancellable_cancelled);
  tcase_add_test (with, undoing_a_request_that_was_not_given_brings_another_cancellable);
  tcase_add_test (with, both_ways_on_one_future_do_not_circle);
  tcase_add_test (with, dropped_coroutine_cancels_its_cancellable_and_leaves_it_to_no_other);

  tcase_add_test (races, cancellable_that_is_cancelled_as_it_is_connected_asks_once);
  tcase_add_test (races, threads_that_ask_for_a_tasks_cancellable_get_the_same);

  return suite;
}

MORROW_CHECK_MAIN (cancellable_suite)
