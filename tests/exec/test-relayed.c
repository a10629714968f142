/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is released in the middle of a settling may wait itself: on a stack that has relayed calls,
 * and in a task that has settled.
 */
#include "config.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "core/relay-private.h"
#include "exec/models.h"

static gboolean
wait_for_ever (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_sleep (1e6), error);
}

/* --- in a task that has settled ---------------------------------------------------------------- */

enum
{
  GIVES_INT,
  GIVES_STRING,
  GIVES_OBJECT,
  N_GIVES
};

typedef struct
{
  int            gives;
  MorrowPromise *go;           /* the task settles after it */
  MorrowFuture  *gone;
  MorrowPromise *end;          /* the first of the gather ends after it, whatever cancels it */
  MorrowFuture  *ended;
  MorrowFuture  *task;
  GObject       *object;
  MorrowCoroutineFunc awaited; /* what is awaited in the settling is a task of this */
  _Atomic guint  n_waits;      /* of the task, when it had settled */
} Settling;

static gboolean
give_after (gpointer data, GValue *result, GError **error)
{
  Settling *self = data;

  if (!morrow_future_await (self->gone, error))
    return FALSE;
  switch (self->gives)
    {
    case GIVES_INT:    return morrow_return_int (result, 4711);
    case GIVES_STRING: return morrow_return_string (result, "a value of its own");
    default:           return morrow_return_object (result, self->object);
    }
}

static void
assert_given (Settling *self)
{
  switch (self->gives)
    {
    case GIVES_INT:    ck_assert_int_eq (morrow_future_get_int (self->task), 4711); break;
    case GIVES_STRING: ck_assert_str_eq (morrow_future_get_string (self->task), "a value of its own"); break;
    default:           ck_assert_ptr_eq (morrow_future_get_object (self->task), self->object); break;
    }
}

static gboolean
hold_on (gpointer data, GValue *result, GError **error)
{
  Settling *self = data;

  while (!morrow_future_is_settled (self->ended))
    (void) !morrow_await (morrow_shield (morrow_future_ref (self->ended)), NULL);
  return TRUE;
}

/* Releases the data of a coroutine that nobody will start. */
static void
wait_in_the_settling (gpointer data)
{
  Settling *self = data;

  ck_assert_ptr_eq (morrow_current_task (), self->task);
  ck_assert (morrow_future_is_settled (self->task));
  for (guint i = 0; i < 3; i++)
    {
      ck_assert (morrow_await (morrow_spawn (self->awaited, NULL, NULL), NULL));
      assert_given (self);
      atomic_fetch_add (&self->n_waits, 1);
    }
}

/* Has a task settle whose settling cancels a gather, and with it a coroutine that the gather has not started. */
static gboolean
settle_and_wait (gpointer data, GValue *result, GError **error)
{
  Settling *self = data;
  MorrowFuture *gathered[] = { morrow_coroutine (hold_on, self, NULL), morrow_coroutine (return_int, self, wait_in_the_settling) };
  MorrowFuture *any;

  self->gone = new_pending (&self->go);
  self->ended = new_pending (&self->end);
  self->task = morrow_create_task (morrow_coroutine (give_after, self, NULL));
  any = morrow_any (morrow_future_ref (self->task), morrow_gather_full (gathered, 2, MORROW_GATHER_DEFAULT, 1), NULL);
  let_run ();
  morrow_resolve (self->go);

  await_ok (self->task);
  while (atomic_load (&self->n_waits) < 3)
    {
      assert_given (self);
      let_run ();
    }
  morrow_resolve (self->end);
  await_ok (any);
  assert_given (self);

  morrow_future_unref (any);
  morrow_future_unref (self->task);
  morrow_future_unref (self->gone);
  morrow_future_unref (self->ended);
  return TRUE;
}

static gboolean
pass (gpointer data, GValue *result, GError **error)
{
  return morrow_yield (error);
}

static void
settle_and_wait_on (MorrowExecutor *executor, int gives, MorrowCoroutineFunc awaited)
{
  Settling settling = { .gives = gives, .awaited = awaited, .object = g_object_new (G_TYPE_OBJECT, NULL) };

  run_scene_on (executor, settle_and_wait, &settling);
  g_object_unref (executor);
  g_object_unref (settling.object);
}

/* _i: the model, and what the task gives. */
START_TEST (task_that_waits_when_it_has_settled_keeps_its_value)
{
  settle_and_wait_on (make_model (_i / N_GIVES), _i % N_GIVES, pass);
}
END_TEST

/* Which only it can run. */
START_TEST (task_that_has_settled_waits_on_the_only_worker_for_what_is_queued)
{
  settle_and_wait_on (morrow_thread_pool_new (1), GIVES_INT, pass);
}
END_TEST

/* --- on a stack that has relayed calls --------------------------------------------------------- */

/* A future that settles as one does after more others than may nest. */
static MorrowFuture *
new_chain (MorrowPromise **ret_promise)
{
  MorrowFuture *last = new_pending (ret_promise);

  for (guint i = 0; i < 2 * MORROW__RELAY_MAX; i++)
    last = morrow_shield (last);
  return last;
}

typedef struct
{
  MorrowPromise *promise;
  MorrowFuture  *last;
  MorrowFd      *fd;
} Chain;

static gboolean
resolve_chain (gpointer data, GValue *result, GError **error)
{
  morrow_resolve (((Chain *) data)->promise);
  return TRUE;
}

static void
yield_until_it_has_settled (gpointer data, GObject *object)
{
  Chain *self = data;
  g_autoptr (MorrowFuture) task = morrow_spawn (resolve_chain, self, NULL);

  ck_assert_uint_gt (morrow__relay.depth, 0);
  let_run ();
  ck_assert (morrow_future_is_settled (task));
  ck_assert (morrow_future_is_settled (self->last));
  ck_assert_uint_gt (morrow__relay.depth, 0);
}

SCENE (what_settles_while_a_task_yields_in_a_settling_is_not_put_off)
{
  Chain chain;

  chain.last = new_chain (&chain.promise);
  call_in_a_settling (yield_until_it_has_settled, &chain);
  morrow_future_unref (chain.last);
  return TRUE;
}

static gboolean
resolve_chain_later (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return resolve_chain (data, result, error);
}

static gboolean
write_to_fd (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  const guint64 one = 1;

  return write (morrow_fd_get_fd (((Chain *) data)->fd), &one, sizeof one) == sizeof one;
}

/* On MorrowInline, where callbacks run while this waits. */
static void
read_until_it_has_settled (gpointer data, GObject *object)
{
  Chain *self = data;
  g_autoptr (MorrowFuture) now = new_int (1);
  g_autoptr (MorrowFuture) resolved = morrow_future_then (now, resolve_chain_later, self, NULL);
  g_autoptr (MorrowFuture) written = morrow_future_then (self->last, write_to_fd, self, NULL);
  guint64 number;

  ck_assert_uint_gt (morrow__relay.depth, 0);
  ck_assert_int_eq (morrow_fd_read (self->fd, &number, sizeof number, g_get_monotonic_time () + 20 * G_USEC_PER_SEC, NULL),
                    sizeof number);
  ck_assert (morrow_future_is_settled (self->last));
}

static gboolean
read_in_a_settling (gpointer data, GValue *result, GError **error)
{
  Chain chain = { .fd = morrow_fd_new (eventfd (0, EFD_CLOEXEC)) };

  chain.last = new_chain (&chain.promise);
  call_in_a_settling (read_until_it_has_settled, &chain);
  morrow_future_unref (chain.last);
  morrow_fd_unref (chain.fd);
  return TRUE;
}

START_TEST (what_settles_while_a_thread_waits_for_a_descriptor_in_a_settling_is_not_put_off)
{
  MorrowExecutor *executor = morrow_inline_new ();

  run_scene_on (executor, read_in_a_settling, NULL);
  g_object_unref (executor);
}
END_TEST

/* As deep as calls may nest. */
static void
wait_with_a_request (gpointer data, GObject *object)
{
  MorrowRelay before = morrow__relay;
  GError *error = NULL;

  morrow_future_cancel (morrow_current_task ());
  morrow__relay.depth = MORROW__RELAY_MAX;
  ck_assert (!morrow_await (morrow_spawn (wait_for_ever, NULL, NULL), &error));
  ck_assert_uint_eq (morrow__relay.depth, MORROW__RELAY_MAX);
  morrow__relay = before;
  assert_cancelled (error);
  g_error_free (error);
  ck_assert_uint_eq (morrow_future_uncancel (morrow_current_task ()), 0);
}

SCENE (request_to_a_task_that_begins_to_wait_in_a_settling_is_passed_on)
{
  call_in_a_settling (wait_with_a_request, NULL);
  return TRUE;
}

/* A task that is asked, asks itself, too, and fails before it is given that. */
static gboolean
fail_when_asked (gpointer data, GValue *result, GError **error)
{
  ck_assert (!morrow_future_await (data, NULL));
  morrow_future_cancel (morrow_current_task ());
  return fail_with ((gpointer) "no luck", result, error);
}

/* The request is put off until the task has ended, and another waits on its stack. */
static void
ask_and_yield (gpointer data, GObject *object)
{
  MorrowRelay before = morrow__relay;
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) pending = new_pending (&promise);
  g_autoptr (MorrowFuture) asked = morrow_spawn (fail_when_asked, pending, NULL);
  MorrowFuture **waits = data;

  let_run ();
  morrow__relay.depth = MORROW__RELAY_MAX;
  morrow_future_cancel (asked);
  ck_assert_ptr_nonnull (morrow__relay.rest);
  morrow_resolve (promise);
  let_run ();
  await_failed (asked, "no luck");
  *waits = morrow_spawn (wait_for_ever, NULL, NULL);
  let_run ();
  before.rest = morrow__relay.rest;
  morrow__relay = before;
}

SCENE (request_that_is_put_off_until_its_task_has_ended_is_forgotten)
{
  MorrowFuture *waits;

  call_in_a_settling (ask_and_yield, &waits);
  ck_assert (!morrow_future_is_settled (waits));
  morrow_future_cancel (waits);
  await_cancelled (waits);
  morrow_future_unref (waits);
  return TRUE;
}

/* More than a loop does before others have their turn. */
#define N_READS 20000

static gboolean
look_at_depth (gpointer data, GValue *result, GError **error)
{
  ck_assert (!morrow__relay_is_nested ());
  atomic_fetch_add ((_Atomic guint *) data, 1);
  return TRUE;
}

static void
read_what_is_there (gpointer data, GObject *object)
{
  MorrowFd *fd = morrow_fd_new (eventfd (N_READS, EFD_SEMAPHORE | EFD_CLOEXEC));
  _Atomic guint n_looks = 0;
  g_autoptr (MorrowFuture) task = morrow_spawn (look_at_depth, &n_looks, NULL);
  const guint depth = morrow__relay.depth;
  guint64 number;

  for (guint i = 0; i < N_READS; i++)
    ck_assert_int_eq (morrow_fd_read (fd, &number, sizeof number, G_MAXINT64, NULL), sizeof number);
  ck_assert_uint_eq (n_looks, 1);
  ck_assert_uint_eq (morrow__relay.depth, depth);
  morrow_fd_unref (fd);
}

SCENE (task_that_never_waits_for_its_reads_in_a_settling_gives_others_their_turn)
{
  call_in_a_settling (read_what_is_there, NULL);
  ck_assert (!morrow__relay_is_nested ());
  return TRUE;
}

/* A timer, and what it settles. */
static gboolean
await_sleeps (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_gather (morrow_sleep (0.001), morrow_sleep (0.001), NULL), error);
}

/* _i: the model.  As deep as calls may nest. */
START_TEST (run_in_a_settling_ends)
{
  MorrowExecutor *executor = make_model (_i);

  morrow__relay.depth = MORROW__RELAY_MAX;
  run_scene_on (executor, await_sleeps, NULL);
  ck_assert_uint_eq (morrow__relay.depth, MORROW__RELAY_MAX);
  morrow__relay.depth = 0;
  g_object_unref (executor);
}
END_TEST

START_TEST (main_context_that_is_turned_in_a_settling_goes_on)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (MorrowExecutor) guest = morrow_loop_new (context);
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (guest, morrow_coroutine (await_sleeps, NULL, NULL));

  morrow__relay.depth = MORROW__RELAY_MAX;
  turn_until_settled (context, task);
  morrow__relay.depth = 0;
  ck_assert (morrow_future_wait (task, NULL));
}
END_TEST

/* --- on the stack of a task that has ended ------------------------------------------------------ */

static gboolean
yield_often (gpointer data, GValue *result, GError **error)
{
  let_run ();
  return TRUE;
}

/* data: a MorrowPromise to resolve when that has gone well. */
static void
turn_context (gpointer data, GObject *object)
{
  GMainContext *context = morrow_loop_get_context (morrow_loop_get_current ());
  g_autoptr (MorrowFuture) task = morrow_spawn (yield_often, NULL, NULL);

  ck_assert_ptr_null (morrow_current_task ());
  turn_until_settled (context, task);
  morrow_resolve (data);
}

static gboolean
give_what_turns_the_context (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GObject) object = g_object_new (G_TYPE_OBJECT, NULL);

  g_object_weak_ref (object, turn_context, data);
  return morrow_yield (error) && morrow_return_object (result, object);
}

static gboolean
drop_what_turns_the_context (gpointer data, GValue *result, GError **error)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) turned = new_pending (&promise);

  morrow_future_unref (morrow_spawn (give_what_turns_the_context, promise, NULL));
  await_ok (turned);
  return morrow_await (morrow_sleep (0), error);
}

/* _i: whether the loop is an application's. */
START_TEST (context_that_is_turned_by_what_is_released_with_a_task_goes_on)
{
  g_autoptr (GMainContext) context = _i ? g_main_context_new () : NULL;
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (context);
  g_autoptr (MorrowFuture) task = NULL;

  if (context == NULL)
    {
      run_scene_on (loop, drop_what_turns_the_context, NULL);
      return;
    }
  task = morrow_executor_spawn (loop, morrow_coroutine (drop_what_turns_the_context, NULL, NULL));
  turn_until_settled (context, task);
  ck_assert_ptr_null (morrow_future_get_error (task));
}
END_TEST

static Suite *
relayed_suite (void)
{
  Suite *suite = suite_create ("relayed");
  TCase *settled = morrow_check_add_case (suite, "settled");
  TCase *nested = morrow_check_add_case (suite, "nested");

  tcase_add_loop_test (settled, task_that_waits_when_it_has_settled_keeps_its_value, 0, MODEL_INLINE * N_GIVES);
  tcase_add_test (settled, task_that_has_settled_waits_on_the_only_worker_for_what_is_queued);
  tcase_add_loop_test (settled, context_that_is_turned_by_what_is_released_with_a_task_goes_on, 0, 2);

  tcase_add_test (nested, what_settles_while_a_task_yields_in_a_settling_is_not_put_off);
  tcase_add_test (nested, what_settles_while_a_thread_waits_for_a_descriptor_in_a_settling_is_not_put_off);
  tcase_add_test (nested, request_that_is_put_off_until_its_task_has_ended_is_forgotten);
  tcase_add_test (nested, task_that_never_waits_for_its_reads_in_a_settling_gives_others_their_turn);
  tcase_add_loop_test (nested, run_in_a_settling_ends, 0, N_MODELS);
  tcase_add_test (nested, main_context_that_is_turned_in_a_settling_goes_on);
  tcase_add_test (nested, request_to_a_task_that_begins_to_wait_in_a_settling_is_passed_on);

  return suite;
}

MORROW_CHECK_MAIN (relayed_suite)
