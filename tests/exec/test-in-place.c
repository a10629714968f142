/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A callback that is the next to run, and that a task awaits, runs on that task's stack; nothing else about it is different.
 */
#include "config.h"

#include <errno.h>
#include <fenv.h>

#include "exec/models.h"

#include "base/clock-private.h"
#include "exec/loop-private.h"

/* --- where a callback runs --------------------------------------------------------------------- */

/* Whether the caller is on the stack of @task, which lives on a loop. */
static G_GNUC_NO_INLINE gboolean
is_on_stack_of (MorrowFuture *task)
{
  MorrowFiber *fiber = morrow__task_get_fiber ((MorrowTask *) task);
  const char *here = __builtin_frame_address (0);

  return here < (char *) morrow__fiber_get_stack_top (fiber) && here >= (char *) morrow__fiber_get_stack_low (fiber);
}

/* The stack of who awaits a callback, and whether that runs there; FALSE with the C library's contexts. */
typedef struct
{
  MorrowFuture *task;      /* borrowed */
  gboolean      was_there;
  guint         n_calls;
} Place;

static gboolean
find_place (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  Place *self = data;

  self->was_there = is_on_stack_of (self->task);
  self->n_calls++;
  return morrow_return_int (result, 4711);
}

static gboolean
runs_in_place (void)
{
  Place place = { .task = morrow_current_task () };

  ck_assert_int_eq (morrow_await_int (morrow_then (new_int (1), find_place, &place, NULL), NULL), 4711);
  ck_assert_uint_eq (place.n_calls, 1);
  return place.was_there;
}

#ifdef MORROW_USE_UCONTEXT
#define IN_PLACE FALSE
#else
#define IN_PLACE TRUE
#endif

SCENE (a_callback_that_is_next_runs_on_the_stack_of_the_task_that_awaits_it)
{
  ck_assert_int_eq (runs_in_place (), IN_PLACE);
  return TRUE;
}

static gboolean
find_out (gpointer data, GValue *result, GError **error)
{
  return morrow_return_boolean (result, runs_in_place ());
}

SCENE (a_callback_does_not_run_on_a_stack_that_is_smaller_than_usual)
{
  MorrowFuture *task = morrow_coroutine (find_out, NULL, NULL);

  morrow_future_set_stack_size (task, 128 * 1024);
  ck_assert (!morrow_await_boolean (morrow_create_task (task), error));
  return TRUE;
}

/* With @kib of the stack taken up. */
static G_GNUC_NO_INLINE gboolean
runs_in_place_below (guint kib)
{
  volatile char *frame = g_alloca (kib * 1024);

  frame[0] = 1;
  return runs_in_place () && frame[0] == 1;
}

SCENE (a_callback_does_not_run_on_a_stack_of_which_more_than_half_is_taken_up)
{
  ck_assert_int_eq (runs_in_place_below (80), IN_PLACE);
  ck_assert (!runs_in_place_below (130));
  return TRUE;
}

/* data: a gboolean for the answer. */
static void
find_out_in_a_settling (gpointer data, GObject *object)
{
  *(gboolean *) data = runs_in_place ();
}

SCENE (a_callback_does_not_run_in_the_middle_of_a_settling)
{
  gboolean in_place = TRUE;

  call_in_a_settling (find_out_in_a_settling, &in_place);
  ck_assert (!in_place);
  return TRUE;
}

/* Not in its first step, which on a loop that others turn is all of a batch. */
static gboolean
find_out_later (gpointer data, GValue *result, GError **error)
{
  let_run ();
  return find_out (data, result, error);
}

START_TEST (a_callback_of_a_pool_of_loops_does_not_run_on_a_tasks_stack)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (1);
  g_autoptr (MorrowFuture) found = morrow_executor_spawn (pool, morrow_coroutine (find_out_later, NULL, NULL));

  ck_assert (morrow_future_wait (found, NULL));
  ck_assert (!morrow_future_get_boolean (found));
}
END_TEST

START_TEST (a_callback_of_an_application_runs_on_the_stack_of_its_main_loop)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (context);
  g_autoptr (MorrowFuture) found = morrow_executor_spawn (loop, morrow_coroutine (find_out_later, NULL, NULL));

  morrow__clock_set_virtual (TRUE);   /* steps are cheap */
  turn_until_settled (context, found);
  ck_assert (!morrow_future_get_boolean (found));
}
END_TEST

/* --- what it sees ------------------------------------------------------------------------------ */

static gboolean
look_around (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  g_autoptr (GError) refused = NULL;
  MorrowPromise *promise;

  ck_assert_ptr_null (morrow_current_task ());
  ck_assert (!morrow_await (new_pending (&promise), &refused));
  assert_error (refused, MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK);
  morrow_resolve (promise);
  ck_assert_ptr_eq (morrow_executor_get_current (), data);
  errno = EILSEQ;
  return TRUE;
}

SCENE (a_callback_in_place_is_no_tasks)
{
  MorrowFuture *task = morrow_current_task ();

  errno = EDOM;
  ck_assert (morrow_await (morrow_then (new_int (1), look_around, morrow_executor_get_current (), NULL), error));
  ck_assert_int_eq (errno, EDOM);
  ck_assert_ptr_eq (morrow_current_task (), task);
  ck_assert_ptr_null (morrow__task_get_awaited ((MorrowTask *) task));
  return TRUE;
}

static gboolean
look_at_rounding (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return morrow_return_int (result, fegetround ());
}

/* Also where the task has changed it, and where it has put it back. */
SCENE (a_callback_has_the_rounding_mode_of_the_loop)
{
  fesetround (FE_UPWARD);
  ck_assert_int_eq (morrow_await_int (morrow_then (new_int (1), look_at_rounding, NULL, NULL), error), FE_TONEAREST);
  ck_assert_int_eq (fegetround (), FE_UPWARD);
  ck_assert (!runs_in_place ());

  fesetround (FE_TONEAREST);
  ck_assert_int_eq (runs_in_place (), IN_PLACE);
  return TRUE;
}

/* --- the order --------------------------------------------------------------------------------- */

static gboolean
say_and_submit (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  say ("callback");
  submit_here (say_it, (gpointer) "its work");
  return TRUE;
}

SCENE (what_is_ready_before_a_callback_and_what_it_makes_ready_goes_before_the_task)
{
  MorrowFuture *then;

  submit_here (say_it, (gpointer) "before");
  then = morrow_then (new_int (1), say_and_submit, NULL, NULL);
  ck_assert (morrow_await (then, error));
  say ("the task");
  assert_said ("before; callback; its work; the task");

  then = morrow_then (new_int (1), say_and_submit, NULL, NULL);
  submit_here (say_it, (gpointer) "behind");
  ck_assert (morrow_await (then, error));
  say ("the task");
  assert_said ("callback; behind; its work; the task");
  return TRUE;
}

static gboolean
await_and_say (gpointer data, GValue *result, GError **error)
{
  gboolean ok = morrow_future_await (data, error);

  say ("another");
  return ok;
}

SCENE (who_awaited_a_callback_before_goes_on_before_the_task_for_which_it_runs_in_place)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) then = morrow_then (new_pending (&promise), say_and_submit, NULL, NULL);
  g_autoptr (MorrowFuture) another = morrow_spawn (await_and_say, then, NULL);

  let_run ();
  morrow_resolve (promise);
  ck_assert (morrow_future_await (then, error));
  say ("the task");
  assert_said ("callback; its work; another; the task");
  return morrow_future_await (another, error);
}

static void
submit_its_work (gpointer data)
{
  submit_here (say_it, (gpointer) "released");
}

static gboolean
attach_another (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  MorrowFuture **then = data;

  then[1] = morrow_future_then (then[0], say_and_submit, NULL, NULL);
  return TRUE;
}

SCENE (the_task_goes_before_what_comes_when_its_callback_has_settled_or_is_attached_in_that)
{
  MorrowFuture *then[2];

  ck_assert (morrow_await (morrow_then (new_int (1), say_and_submit, NULL, submit_its_work), error));
  say ("the task");
  let_run ();
  assert_said ("callback; its work; the task; released");

  then[0] = morrow_then (new_int (1), attach_another, then, NULL);
  ck_assert (morrow_future_await (then[0], error));
  say ("the task");
  ck_assert (morrow_await (then[1], error));
  assert_said ("the task; callback; its work");
  morrow_future_unref (then[0]);
  return TRUE;
}

/* data: a gboolean to set. */
static void
set_it (gpointer data)
{
  *(gboolean *) data = TRUE;
}

static gpointer
submit_from_a_thread (gpointer data)
{
  gpointer *args = data;

  morrow_executor_submit (args[0], set_it, args[1], NULL);
  return NULL;
}

SCENE (a_task_whose_callbacks_are_always_next_does_not_keep_the_loop_from_looking_around)
{
  gboolean done = FALSE;
  gpointer args[] = { morrow_executor_get_current (), &done };
  GThread *thread = g_thread_new ("submits", submit_from_a_thread, args);

  g_thread_join (thread);
  while (!done)
    runs_in_place ();
  return TRUE;
}

/* --- outcomes ---------------------------------------------------------------------------------- */

static gboolean
fail_callback (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return fail_with ((gpointer) "the callback's", result, error);
}

SCENE (the_outcome_of_a_callback_in_place_is_what_the_task_gets)
{
  g_autoptr (MorrowFuture) failing = morrow_then (new_int (1), fail_callback, NULL, NULL);
  Place place = { .task = morrow_current_task () };
  GError *why = NULL;

  await_failed (failing, "the callback's");

  ck_assert (!morrow_await (morrow_then (new_failed ("the source's"), find_place, &place, NULL), &why));
  ck_assert_str_eq (why->message, "the source's");
  g_error_free (why);
  ck_assert_uint_eq (place.n_calls, 0);

  ck_assert_int_eq (morrow_await_int (morrow_catch (new_failed ("caught"), find_place, &place, NULL), error), 4711);
  ck_assert_int_eq (place.was_there, IN_PLACE);
  ck_assert_int_eq (morrow_await_int (morrow_finally (new_int (1), find_place, &place, NULL), error), 1);
  ck_assert_uint_eq (place.n_calls, 2);
  return TRUE;
}

static gboolean
cancel_task (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  morrow_future_cancel (data);
  return morrow_return_int (result, 4711);
}

SCENE (a_task_that_is_cancelled_by_the_callback_that_it_awaits_is_given_that)
{
  MorrowFuture *task = morrow_current_task ();
  g_autoptr (MorrowFuture) then = morrow_then (new_int (1), cancel_task, task, NULL);

  await_cancelled (then);
  ck_assert_uint_eq (morrow_future_uncancel (task), 0);
  ck_assert (morrow_future_is_cancelled (then));
  return TRUE;
}

SCENE (a_task_that_is_cancelled_by_a_callback_that_another_awaits_too_leaves_it_to_that)
{
  MorrowFuture *task = morrow_current_task ();
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) then = morrow_then (new_pending (&promise), cancel_task, task, NULL);
  g_autoptr (MorrowFuture) another = morrow_spawn (await_it, then, NULL);

  let_run ();
  morrow_resolve (promise);
  await_cancelled (then);
  ck_assert_uint_eq (morrow_future_uncancel (task), 0);
  await_ok (another);
  ck_assert_int_eq (morrow_future_get_int (another), 4711);
  return TRUE;
}

typedef struct
{
  MorrowFuture *then;
  MorrowFuture *another;   /* that awaits it, too, or is attached to it */
} Shared;

static gboolean
cancel_another (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  Shared *self = data;

  morrow_future_cancel (self->another);
  return morrow_return_int (result, 4711);
}

SCENE (a_task_whose_callback_cancels_another_that_awaits_it_is_not_cancelled_by_that)
{
  for (guint attached = 0; attached < 2; attached++)
    {
      MorrowPromise *promise;
      Shared shared;

      shared.then = morrow_then (new_pending (&promise), cancel_another, &shared, NULL);
      shared.another = attached ? morrow_future_then (shared.then, say_and_submit, NULL, NULL) : morrow_spawn (await_it, shared.then, NULL);
      let_run ();
      morrow_resolve (promise);
      await_ok (shared.then);
      ck_assert_int_eq (morrow_future_get_int (shared.then), 4711);
      await_cancelled (shared.another);
      morrow_future_unref (shared.then);
      morrow_future_unref (shared.another);
    }
  return TRUE;
}

SCENE (a_request_that_came_before_is_passed_on_to_the_callback)
{
  MorrowFuture *task = morrow_current_task ();
  Place place = { .task = task };
  g_autoptr (MorrowFuture) then = morrow_then (new_int (1), find_place, &place, NULL);

  morrow_future_cancel (task);
  await_cancelled (then);
  ck_assert_uint_eq (morrow_future_uncancel (task), 0);
  ck_assert (morrow_future_is_cancelled (then));
  let_run ();
  ck_assert_uint_eq (place.n_calls, 0);
  return TRUE;
}

/* data: a Place, of whose callback nothing is called. */
static gboolean
await_when_swept (gpointer data, GValue *result, GError **error)
{
  Place *place = data;
  GError *why = NULL;

  ck_assert (!morrow_await (morrow_sleep (1000), NULL));
  ck_assert (!morrow_await (morrow_then (new_int (1), find_place, place, NULL), &why));
  assert_cancelled (why);
  g_error_free (why);
  return TRUE;
}

static gboolean
leave_one_over (gpointer data, GValue *result, GError **error)
{
  morrow_future_unref (morrow_spawn (await_when_swept, data, NULL));
  return morrow_yield (error);
}

START_TEST (a_callback_that_a_task_awaits_which_is_left_over_is_not_called)
{
  Place place = { .n_calls = 0 };

  run_scene (leave_one_over, &place);
  ck_assert_uint_eq (place.n_calls, 0);
}
END_TEST

/* --- a main context in it ---------------------------------------------------------------------- */

/* In which steps are cheap, also to sanitizers. */
static void
use_virtual_clock (void)
{
  morrow__clock_set_virtual (TRUE);
}

typedef struct
{
  MorrowFuture  *gate;         /* that another task waits for when it all begins */
  MorrowPromise *open;         /* where contexts are turned deepest */
  guint          n_deep;       /* how many turn in each other now */
  guint          n_in_place;   /* of those, how many in callbacks in place */
} Turning;

/* data: a MorrowFuture to wait for first, or NULL. Waits in all ways that there are. */
static gboolean
wait_about (gpointer data, GValue *result, GError **error)
{
  if (data != NULL)
    ck_assert (morrow_future_await (data, error));
  for (guint i = 0; i < 20; i++)
    {
      ck_assert (morrow_yield (error));
      ck_assert (morrow_await (morrow_spawn (return_int, GINT_TO_POINTER (1), NULL), error));
      ck_assert (morrow_await (morrow_sleep (0), error));
      runs_in_place ();
    }
  return morrow_return_int (result, 1);
}

static gboolean
turn_until_done (MorrowFuture *settled, gpointer data, GValue *result, GError **error);

/* Not in its first steps: a loop that others turn looks at the clock after each of those. */
static gboolean
await_turner (gpointer data, GValue *result, GError **error)
{
  let_run ();
  ck_assert (morrow_await (morrow_then (new_int (1), turn_until_done, data, NULL), error));
  return wait_about (NULL, result, error);
}

static gboolean
turn_until_done (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  Turning *self = data;
  g_autoptr (MorrowFuture) task = NULL;

  self->n_in_place += morrow_loop_get_current ()->below != NULL;
  task = ++self->n_deep < 4 ? morrow_spawn (await_turner, self, NULL) : morrow_spawn (wait_about, NULL, NULL);
  if (self->n_deep == 4)
    morrow_resolve (self->open);
  turn_until_settled (g_main_context_get_thread_default (), task);
  return TRUE;
}

SCENE (a_callback_in_place_may_turn_the_loops_context_in_which_other_tasks_go_on)
{
  Turning turning = { .n_deep = 0 };
  g_autoptr (MorrowFuture) beside = NULL;

  turning.gate = new_pending (&turning.open);
  beside = morrow_spawn (wait_about, turning.gate, NULL);
  ck_assert (await_turner (&turning, result, error));
  ck_assert_uint_eq (turning.n_deep, 4);
  ck_assert_uint_eq (turning.n_in_place, (IN_PLACE ? 4 : 0));
  ck_assert (morrow_loop_get_current ()->in_order);
  morrow_future_unref (turning.gate);
  return morrow_future_await (beside, error);
}

/* Turns the loop's context until a task of its own has ended. */
static void
turn_for (MorrowCoroutineFunc func, gpointer data)
{
  GMainContext *context = morrow_loop_get_context (morrow_loop_get_current ());
  g_autoptr (MorrowFuture) task = morrow_spawn (func, data, NULL);

  turn_until_settled (context, task);
}

#ifndef MORROW_USE_UCONTEXT

/* When a task is cancelled whose callback turns the context. */
typedef enum
{
  BEFORE_A_TURN,
  IN_A_TURN_OF_ANOTHER_CALLBACK,   /* within that, on the same stack */
  IN_A_TURN_IN_PLACE,              /* within that, on another task's */
  AFTER_A_TURN_IN_PLACE,
  N_MOMENTS
} Moment;

typedef struct
{
  MorrowFuture *task;
  Moment        moment;
  gboolean      has_gone_on;
} Host;

static void
cancel_host (Host *self, Moment moment)
{
  if (self->moment == moment)
    morrow_future_cancel (self->task);
}

static gboolean
turn_within (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  Host *self = data;
  gboolean in_place = morrow_loop_get_current ()->below != NULL;

  cancel_host (self, in_place ? IN_A_TURN_IN_PLACE : IN_A_TURN_OF_ANOTHER_CALLBACK);
  turn_for (wait_about, NULL);
  return TRUE;
}

/* Also keeps the order of its own. */
static gboolean
await_turns_within (gpointer data, GValue *result, GError **error)
{
  Host *self = data;

  let_run ();
  ck_assert (morrow_await (morrow_then (new_int (1), turn_within, self, NULL), error));
  cancel_host (self, AFTER_A_TURN_IN_PLACE);
  let_run ();

  forget_said ();
  ck_assert (morrow_await (morrow_then (new_int (1), say_and_submit, NULL, NULL), error));
  say ("another");
  assert_said ("callback; its work; another");
  return TRUE;
}

static gboolean
turn_as_host (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  Host *self = data;

  cancel_host (self, BEFORE_A_TURN);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (MorrowFuture) then = morrow_then (new_int (1), turn_within, self, NULL);

      turn_for (await_it, then);
      turn_for (await_turns_within, self);
      turn_until_idle (g_main_context_get_thread_default ());
      ck_assert (!self->has_gone_on);
    }
  submit_here (say_it, (gpointer) "behind");
  return TRUE;
}

static gboolean
await_as_host (gpointer data, GValue *result, GError **error)
{
  Host *self = data;
  g_autoptr (MorrowFuture) then = morrow_then (new_int (1), turn_as_host, self, NULL);

  self->task = morrow_current_task ();
  await_cancelled (then);
  self->has_gone_on = TRUE;
  while (morrow_future_uncancel (self->task) > 0)
    ;
  say ("the task");
  let_run ();
  assert_said ("the task; behind");

  ck_assert (morrow_await (morrow_then (new_int (1), say_and_submit, NULL, NULL), error));
  say ("the task");
  assert_said ("callback; its work; the task");
  return TRUE;
}

static gboolean
cancel_at (gpointer data, GValue *result, GError **error)
{
  Host host = { .moment = GPOINTER_TO_INT (data) };

  return morrow_await (morrow_spawn (await_as_host, &host, NULL), error);
}

/* Where its callback does not run in place, it goes on in the turn. */
START_TEST (a_task_that_is_cancelled_in_a_turn_of_its_callback_goes_on_when_that_has_returned_and_first)
{
  forget_said ();
  run_scene (cancel_at, GINT_TO_POINTER (_i));
}
END_TEST

#endif

typedef struct
{
  MorrowFuture  *task;
  MorrowPromise *begun;
  MorrowFuture  *gate;   /* that it waits for when its callback has returned */
  MorrowPromise *open;
} Waiting;

static gboolean
wait_behind_callback (gpointer data, GValue *result, GError **error)
{
  Waiting *self = data;

  ck_assert_int_eq (runs_in_place (), IN_PLACE);
  morrow_resolve (self->begun);
  return morrow_future_await (self->gate, error);
}

static gboolean
turn_until_task_has_ended (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  Waiting *self = data;

  ck_assert_ptr_null (morrow_loop_get_current ()->below);
  morrow_resolve (self->open);
  turn_until_settled (g_main_context_get_thread_default (), self->task);
  return TRUE;
}

SCENE (a_task_whose_callback_has_returned_goes_on_in_a_turn_of_another)
{
  Waiting waiting;
  g_autoptr (MorrowFuture) begun = new_pending (&waiting.begun);
  g_autoptr (MorrowFuture) then = NULL;

  waiting.gate = new_pending (&waiting.open);
  waiting.task = morrow_spawn (wait_behind_callback, &waiting, NULL);
  await_ok (begun);
  then = morrow_then (new_int (1), turn_until_task_has_ended, &waiting, NULL);
  await_ok (waiting.task);
  await_ok (then);
  morrow_future_unref (waiting.task);
  morrow_future_unref (waiting.gate);
  return TRUE;
}

static gboolean
turn_with_context_pushed (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  GMainContext *context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  turn_for (return_int, GINT_TO_POINTER (1));
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  return TRUE;
}

/* Builds with checks would say that the task did. */
SCENE (a_callback_in_place_may_turn_the_context_with_another_one_pushed)
{
  ck_assert (morrow_await (morrow_then (new_int (1), turn_with_context_pushed, NULL, NULL), error));
  return morrow_yield (error);
}

static Suite *
in_place_suite (void)
{
  Suite *suite = suite_create ("in-place");
  TCase *where = morrow_check_add_case (suite, "where");
  TCase *how = morrow_check_add_case (suite, "how");
  TCase *turning = morrow_check_add_case (suite, "turning");

  tcase_add_test (where, a_callback_that_is_next_runs_on_the_stack_of_the_task_that_awaits_it);
  tcase_add_test (where, a_callback_does_not_run_on_a_stack_that_is_smaller_than_usual);
  tcase_add_test (where, a_callback_does_not_run_on_a_stack_of_which_more_than_half_is_taken_up);
  tcase_add_test (where, a_callback_does_not_run_in_the_middle_of_a_settling);
  tcase_add_test (where, a_callback_of_a_pool_of_loops_does_not_run_on_a_tasks_stack);
  tcase_add_test (where, a_callback_of_an_application_runs_on_the_stack_of_its_main_loop);

  tcase_add_test (how, a_callback_in_place_is_no_tasks);
  tcase_add_test (how, a_callback_has_the_rounding_mode_of_the_loop);
  tcase_add_test (how, what_is_ready_before_a_callback_and_what_it_makes_ready_goes_before_the_task);
  tcase_add_test (how, who_awaited_a_callback_before_goes_on_before_the_task_for_which_it_runs_in_place);
  tcase_add_test (how, the_task_goes_before_what_comes_when_its_callback_has_settled_or_is_attached_in_that);
  tcase_add_test (how, a_task_whose_callbacks_are_always_next_does_not_keep_the_loop_from_looking_around);
  tcase_add_test (how, the_outcome_of_a_callback_in_place_is_what_the_task_gets);
  tcase_add_test (how, a_task_that_is_cancelled_by_the_callback_that_it_awaits_is_given_that);
  tcase_add_test (how, a_task_that_is_cancelled_by_a_callback_that_another_awaits_too_leaves_it_to_that);
  tcase_add_test (how, a_task_whose_callback_cancels_another_that_awaits_it_is_not_cancelled_by_that);
  tcase_add_test (how, a_request_that_came_before_is_passed_on_to_the_callback);
  tcase_add_test (how, a_callback_that_a_task_awaits_which_is_left_over_is_not_called);

  tcase_add_checked_fixture (turning, use_virtual_clock, NULL);
  tcase_add_test (turning, a_callback_in_place_may_turn_the_loops_context_in_which_other_tasks_go_on);
#ifndef MORROW_USE_UCONTEXT
  tcase_add_loop_test (turning, a_task_that_is_cancelled_in_a_turn_of_its_callback_goes_on_when_that_has_returned_and_first, 0, N_MOMENTS);
#endif
  tcase_add_test (turning, a_task_whose_callback_has_returned_goes_on_in_a_turn_of_another);
  tcase_add_test (turning, a_callback_in_place_may_turn_the_context_with_another_one_pushed);

  return suite;
}

MORROW_CHECK_MAIN (in_place_suite)
