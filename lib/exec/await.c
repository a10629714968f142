/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting inside a task.
 *
 * To await what has settled costs a look at its state word. A coroutine that nobody has started runs in place, and so does a
 * callback that is the next to run on the task's loop. Anything else is waited for: the task hooks its waiter onto the future and
 * asks its home to park it; when the future settles, on whatever thread, the waiter asks the home to wake it. */

#include "config.h"

#include <errno.h>

#include <morrow/awaitable.h>
#include <morrow/error.h>
#include <morrow/inline.h>

#include "core/then-private.h"
#include "exec/scheduler-private.h"
#include "exec/thread-home-private.h"

static void
task_notify (MorrowWaiter *waiter, MorrowFuture *future)
{
  morrow__task_wake ((MorrowTask *) ((char *) waiter - G_STRUCT_OFFSET (MorrowTask, waiter)));   /* its home was set before (W2) */
}

static G_GNUC_NO_INLINE void
set_interruption_error (MorrowTask *self, GError **error)
{
  MorrowInterruption why = self->interruption;

  self->interruption = MORROW_NOT_INTERRUPTED;
  if (morrow__task_take_cancel (self, error))
    return;

  if (why == MORROW_INTERRUPTED_BY_CANCEL)
    g_propagate_error (error, morrow__cancelled_error (NULL));
  else
    g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_DEADLOCK,
                         "This wait would last for ever: what is awaited waits, in a circle, for this task");
}

/* A request is pending after a wait that was not interrupted. Where @awaited has settled as cancelled, by that request, or by one before,
 * say, that is the error which comes out, with its message, as in asyncio. */
static G_GNUC_NO_INLINE gboolean
take_late_request (MorrowTask *self, MorrowFuture *awaited, GError **error)
{
  if (!(morrow__future_peek (awaited) & MORROW__REJECTED) ||
      !g_error_matches (morrow__future_get_error (awaited), G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return morrow__task_take_request (self, error);

  morrow__task_take_request (self, NULL);
  return FALSE;
}

/* After a park: was it a cancel, or hopeless? */
static inline gboolean
take_interruption (MorrowTask *self, MorrowFuture *awaited, GError **error)
{
  if (morrow__unlikely (self->interruption != MORROW_NOT_INTERRUPTED))
    {
      set_interruption_error (self, error);
      return TRUE;
    }

  return morrow__unlikely (morrow__task_is_asked (self)) && take_late_request (self, awaited, error);
}

static gboolean wait_relayed (MorrowTask *self, MorrowHome *home, MorrowFuture *future, GError **error);

/* Returns TRUE when @future has settled; FALSE and the error when a cancel came instead, or when it never can settle. */
static inline __attribute__ ((always_inline)) gboolean
wait_for (MorrowTask *self, MorrowHome *home, MorrowFuture *future, GError **error)
{
  if (morrow__unlikely (morrow__relay_is_nested ()))
    return wait_relayed (self, home, future, error);

  self->waiter.notify = task_notify;
  if (!morrow__future_subscribe (future, &self->waiter))
    return TRUE;

  self->wait->awaited = future;
  if (morrow__unlikely (atomic_load_explicit (&self->cancel, memory_order_relaxed) & (MORROW__CANCEL_PENDING | MORROW__CANCEL_STICKY)))
    morrow__task_begin_asked_wait (self);

  if (morrow__unlikely (!morrow__task_park (self, home, future, error)))
    {
      self->wait->awaited = NULL;
      return FALSE;
    }

  self->wait->awaited = NULL;
  return !take_interruption (self, future, error);
}

/* On a stack that has relayed calls: what happens meanwhile on this thread is none of theirs. */
static G_GNUC_NO_INLINE gboolean
wait_relayed (MorrowTask *self, MorrowHome *home, MorrowFuture *future, GError **error)
{
  MorrowRelays left = morrow__relay_leave ();
  gboolean ok = wait_for (self, home, future, error);

  morrow__relay_return (&left);
  return ok;
}

/* Likewise, for one that yields. */
static G_GNUC_NO_INLINE void
yield_relayed (MorrowTask *self, MorrowHome *home)
{
  MorrowRelays left = morrow__relay_leave ();

  morrow__task_yield (self, home);
  morrow__relay_return (&left);
}

/* What state a task is in; that of one that runs for any other future. */
static inline MorrowTaskState
get_state (MorrowFuture *future)
{
  return morrow__future_is_task (future) ? morrow__task_get_state ((MorrowTask *) future) : MORROW_TASK_STARTED;
}

static G_GNUC_NO_INLINE gboolean
fail_unawaitable (MorrowTask *self, GError **error)
{
  if (self == NULL)
    g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK,
                         "Only a task can await: a plain thread uses morrow_future_wait (), a callback morrow_future_then ()");
  else
    g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_SELF_AWAIT, "A task cannot await itself");
  return FALSE;
}

/* A coroutine in place, on another stack than its host has. */
typedef struct
{
  MorrowTask          *task;
  const MorrowTaskBody body;
  int                  saved_errno;   /* the host's, then what the body leaves: neither is of who makes the stack, or takes it back */
} Elsewhere;

static void
run_elsewhere (gpointer data)
{
  Elsewhere *self = data;

  errno = self->saved_errno;
  morrow__task_run_placed (self->task, &self->body);
  self->saved_errno = errno;
}

static gboolean
call_elsewhere (MorrowTask *self, MorrowHome *home, gsize stack_size, Elsewhere *elsewhere, GError **error)
{
  if (!morrow__home_is_loop (home))
    return morrow__thread_home_call (morrow__thread_home_of (home), stack_size, run_elsewhere, elsewhere, error);
  return morrow__fiber_call (morrow__task_get_fiber (self), morrow__loop_of_home (home)->stacks, stack_size, run_elsewhere, elsewhere, error);
}

static inline gboolean
is_short_of (MorrowTask *self, MorrowHome *home, gsize room)
{
  if (morrow__seldom (!morrow__home_is_loop (home)))
    return morrow__thread_home_is_short_of (morrow__thread_home_of (home), room);
  return !morrow__fiber_has_room (morrow__task_get_fiber (self), room);
}

/* Where no stack can be had it fails; but one that needs none of its own runs on its host's, if there is something left of that.
 * Away from what is hot: between that, it cost a callback that is awaited a tenth of its time. */
static __attribute__ ((cold)) G_GNUC_NO_INLINE void
run_on_other_stack (MorrowTask *self, MorrowHome *home, MorrowTask *task)
{
  gsize stack_size = (gsize) morrow__task_get_pending (task)->stack_kib * 1024;
  gboolean needs_own = stack_size > 0 && morrow__home_is_loop (home);
  Elsewhere elsewhere = { task, morrow__task_place (task, self), errno };
  GError *error = NULL;

  if (call_elsewhere (self, home, stack_size, &elsewhere, &error))
    ;                             /* it has run there */
  else if (!needs_own && !is_short_of (self, home, MORROW_FIBER_RESERVE / 2))
    run_elsewhere (&elsewhere);
  else
    morrow__task_fail_placed (task, &elsewhere.body, g_error_new_literal (MORROW_ERROR, MORROW_ERROR_NO_STACK, error->message));

  g_clear_error (&error);
  errno = elsewhere.saved_errno;
}

/* Runs a coroutine which nobody has started, and which this has claimed: on another stack if it has asked for a size of that, on a loop, or
 * if the one that @self is on is used up, so that coroutines which await each other go as deep as there is memory. Not inline: who
 * awaits what has started would be slower by a twenty-fifth. */
static G_GNUC_NO_INLINE void
run_claimed (MorrowTask *self, MorrowHome *home, MorrowTask *task)
{
  if (morrow__seldom (is_short_of (self, home, MORROW_FIBER_RESERVE) ||
                      (!morrow__task_is_of_usual_size (task) && morrow__home_is_loop (home))))
    run_on_other_stack (self, home, task);
  else
    morrow__task_run_in_place (task, self);
}

/* Waits for what is not @self, unless that is a coroutine which nobody has started: it runs here and now. */
static inline __attribute__ ((always_inline)) gboolean
await_other (MorrowTask *self, MorrowHome *home, MorrowFuture *future, GError **error)
{
  MorrowTask *task = (MorrowTask *) future;   /* if it is one */
  MorrowTaskState state = get_state (future);

  if (morrow__seldom (state == MORROW_TASK_LAZY) && morrow__task_claim (task, MORROW_TASK_LAZY, MORROW_TASK_PLACING))
    {
      run_claimed (self, home, task);
      return TRUE;
    }
  if (morrow__unlikely (state == MORROW_TASK_IN_PLACE && task->host == self))
    return fail_unawaitable (self, error);

  return wait_for (self, home, future, error);
}

/* The outcome of what was awaited, unless the wait was not @ok. It drops the reference for who gives it one. */
static inline __attribute__ ((always_inline)) gboolean
finish (MorrowFuture *future, gboolean ok, gboolean take, GError **error)
{
  if (morrow__likely (ok))
    ok = morrow__future_propagate (future, error);
  if (morrow__usually (take))
    morrow__future_unref_last (future);
  return ok;
}

/* The function that a task is in while it waits: who calls it does so last, for the sake of the processor (see
 * MorrowHomeClass). */
static G_GNUC_NO_INLINE gboolean
await_pending (MorrowFuture *future, gboolean take, GError **error)
{
  MorrowHome *home = morrow__home;
  MorrowTask *self = home != NULL ? home->current : NULL;
  gboolean ok;

  if (morrow__unlikely (self == NULL || future == &self->future))
    ok = fail_unawaitable (self, error);
  else
    ok = await_other (self, home, future, error);
  return finish (future, ok, take, error);
}

/* --- callbacks in place ------------------------------------------------------------------------------------------ */

/* The callback that @self awaits is the next to run, and is called by @self. It is no task's, as anywhere. */
static inline __attribute__ ((always_inline)) void
call_in_place (MorrowTask *self, MorrowLoop *loop, MorrowJob *job)
{
  morrow__queue_pop (&loop->ready);
  loop->tick++;
  loop->below = self;
  loop->home.current = NULL;
  job->run (job, FALSE);
  loop->home.current = self;
  loop->below = NULL;
}

/* What has become ready before @self was woken goes first. If it was woken in a turn of its callback, that has gone already, in that turn. */
static G_GNUC_NO_INLINE void
let_others_go_first (MorrowTask *self, MorrowLoop *loop)
{
  if (loop->below_is_woken)
    loop->below_is_woken = FALSE;
  else
    morrow__task_give_way (self, &loop->home, FALSE);
}

/* Its callback has returned. */
static inline __attribute__ ((always_inline)) void
go_on_in_turn (MorrowTask *self, MorrowLoop *loop)
{
  if (morrow__seldom (loop->ready.head != &self->job.node))
    {
      let_others_go_first (self, loop);
      return;
    }

#ifdef MORROW_ENABLE_DEBUG
  morrow__loop_check_context (loop, self);
#endif
  morrow__queue_pop (&loop->ready);
}

/* wait_for () where the loop may call in place. */
static inline __attribute__ ((always_inline)) gboolean
wait_in_place (MorrowTask *self, MorrowLoop *loop, MorrowThen *then, GError **error)
{
  int saved_errno = *loop->home.errno_at;

  self->waiter.notify = task_notify;
  if (!morrow__future_push_waiter (&then->future, &self->waiter))
    return TRUE;

  self->wait->awaited = &then->future;
  call_in_place (self, loop, &then->job);
  go_on_in_turn (self, loop);
  self->wait->awaited = NULL;
  *loop->home.errno_at = saved_errno;
  return !take_interruption (self, &then->future, error);
}

/* await_pending () for a callback. One that is next is called by the task, on its own stack, which takes no switch. The task waits for it
 * all the same, and goes on when its turn has come: nobody but that stack can tell. */
static G_GNUC_NO_INLINE gboolean
await_callback (MorrowFuture *future, gboolean take, GError **error)
{
  MorrowThen *then = (MorrowThen *) future;
  MorrowLoop *loop = morrow__loop_here ();
  MorrowTask *self = loop != NULL ? loop->home.current : NULL;

  if (morrow__seldom (self == NULL || !morrow__loop_may_call_in_place (loop, self, &then->job)))
    return await_pending (future, take, error);

  return finish (future, wait_in_place (self, loop, then, error), take, error);
}

/* --- any future -------------------------------------------------------------------------------------------------- */

static G_GNUC_NO_INLINE gboolean
await_rejected (MorrowFuture *future, gboolean take, GError **error)
{
  morrow__future_propagate_error (future, error);
  if (take)
    morrow__future_unref (future);
  return FALSE;
}

static inline gboolean
await_any (MorrowFuture *future, gboolean take, GError **error)
{
  guintptr word = morrow__future_peek (future);

  if (morrow__usually (!(word & MORROW__SETTLED)))
    return morrow__future_is_then (future) ? await_callback (future, take, error) : await_pending (future, take, error);
  if (morrow__unlikely (word & MORROW__REJECTED))
    return await_rejected (future, take, error);

  if (take)
    morrow__future_unref (future);
  return TRUE;
}

/**
 * morrow_future_await:
 * @self: a future, in any state
 * @error: return location for an error
 *
 * Waits for @self, inside a task, and borrows it. What has settled is not waited for: then the task does not yield,
 * as in asyncio.
 *
 * A suspension point when @self has not settled: a cancel of the task comes out here, as %G_IO_ERROR_CANCELLED. It is
 * passed on to @self when nobody else waits for that, and the task goes on when @self has settled; otherwise the task
 * goes on at once.
 *
 * A wait that would last for ever, since what is awaited waits for this task in turn, fails with %MORROW_ERROR_DEADLOCK:
 * on a thread pool at once, on a loop once that has nothing to do, on a #MorrowLoopPool once those that the circle goes
 * through have nothing to do. A circle of tasks is told at one of them. Not found are circles through tasks of several
 * executors, those of more than a thousand futures, and those that close without any task's going on, as when all else
 * that a morrow_any () waits for has failed; nor on loops those whose tasks are older than thousands of others. A gather
 * counts as part of a circle when one of its futures is, though another may still fail before.
 *
 * Returns: %TRUE when @self has resolved; %FALSE with its error, or with the task's own cancel
 */
gboolean
(morrow_future_await) (MorrowFuture *self, GError **error)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return await_any (self, FALSE, error);
}

/**
 * morrow_await:
 * @future: (transfer full): a future, in any state
 * @error: return location for an error
 *
 * Waits for @future, inside a task, and takes it. See morrow_future_await ().
 *
 * Returns: %TRUE when @future has resolved; %FALSE with its error, or with the task's own cancel
 */
gboolean
morrow_await (MorrowFuture *future, GError **error)
{
  g_return_val_if_fail (future != NULL, FALSE);

  return await_any (future, TRUE, error);
}

static void
set_type_error (MorrowFuture *future, GType type, GError **error)
{
  g_autofree char *name = morrow_future_dup_name (future);
  const char *location = morrow__future_get_location (future);
  const GValue *value = &future->outcome.value;

  g_set_error (error, MORROW_ERROR, MORROW_ERROR_WRONG_TYPE, "%s, made at %s, has %s%s, and no %s", name, location != NULL ? location : "?",
               G_IS_VALUE (value) ? "a " : "no value", G_IS_VALUE (value) ? G_VALUE_TYPE_NAME (value) : "", g_type_name (type));
}

/* Whether @future, which has resolved, has what @type asks for. One without a value has no number, but what is no number may be NULL. */
static gboolean
fits (MorrowFuture *future, GType type, gboolean may_be_null, GError **error)
{
  const GValue *value = &future->outcome.value;

  if (morrow__likely (G_IS_VALUE (value) ? G_VALUE_HOLDS (value, type) : may_be_null))
    return TRUE;

  set_type_error (future, type, error);
  return FALSE;
}

/* take_name (): waits for a future, gets its value by @get, and drops it. */
#define DEFINE_TAKE(linkage, name, ctype, gtype, none, may_be_null, get)                             \
  linkage ctype                                                                                      \
  take_##name (MorrowFuture *future, GError **error)                                                 \
  {                                                                                                  \
    ctype value = none;                                                                              \
                                                                                                     \
    if (morrow_future_await (future, error) && fits (future, gtype, may_be_null, error))             \
      value = get (future);                                                                          \
    morrow__future_unref (future);                                                                   \
    return value;                                                                                    \
  }

#define DEFINE_AWAIT(name, ctype, gtype, none, may_be_null, get)                                     \
  DEFINE_TAKE (static inline, name, ctype, gtype, none, may_be_null, get)                            \
                                                                                                     \
  ctype                                                                                              \
  morrow_await_##name (MorrowFuture *future, GError **error)                                         \
  {                                                                                                  \
    g_return_val_if_fail (future != NULL, none);                                                     \
                                                                                                     \
    return take_##name (future, error);                                                              \
  }

/* Likewise a number: for one that is there already a look is all that it takes. */
#define DEFINE_AWAIT_NUMBER(name, ctype, gtype)                                                      \
  DEFINE_TAKE (static G_GNUC_NO_INLINE, name, ctype, gtype, 0, FALSE, morrow_future_get_##name)      \
                                                                                                     \
  ctype                                                                                              \
  morrow_await_##name (MorrowFuture *future, GError **error)                                         \
  {                                                                                                  \
    if (morrow__usually (morrow__future_has_resolved (future) &&                                     \
                         future->outcome.value.g_type == gtype))                                     \
      {                                                                                              \
        ctype number = future->outcome.value.data[0].v_##name;                                       \
                                                                                                     \
        morrow__future_unref (future);                                                               \
        return number;                                                                               \
      }                                                                                              \
                                                                                                     \
    g_return_val_if_fail (future != NULL, 0);                                                        \
    return take_##name (future, error);                                                              \
  }

/**
 * morrow_await_boolean:
 * @future: (transfer full): a future of a boolean
 * @error: return location for an error
 *
 * Returns: the value; %FALSE with @error set when there is none, %MORROW_ERROR_WRONG_TYPE if @future resolved without it
 */
DEFINE_AWAIT (boolean, gboolean, G_TYPE_BOOLEAN, FALSE, FALSE, morrow_future_get_boolean)

/**
 * morrow_await_int:
 * @future: (transfer full): a future of an int
 * @error: return location for an error
 *
 * Returns: the value; 0 with @error set when there is none, %MORROW_ERROR_WRONG_TYPE if @future resolved without it
 */
DEFINE_AWAIT_NUMBER (int, gint, G_TYPE_INT)

/**
 * morrow_await_int64:
 * @future: (transfer full): a future of a 64-bit integer
 * @error: return location for an error
 *
 * Returns: the value; 0 with @error set when there is none, %MORROW_ERROR_WRONG_TYPE if @future resolved without it
 */
DEFINE_AWAIT_NUMBER (int64, gint64, G_TYPE_INT64)

/**
 * morrow_await_uint64:
 * @future: (transfer full): a future of an unsigned 64-bit integer
 * @error: return location for an error
 *
 * Returns: the value; 0 with @error set when there is none, %MORROW_ERROR_WRONG_TYPE if @future resolved without it
 */
DEFINE_AWAIT_NUMBER (uint64, guint64, G_TYPE_UINT64)

/**
 * morrow_await_double:
 * @future: (transfer full): a future of a double
 * @error: return location for an error
 *
 * Returns: the value; 0 with @error set when there is none, %MORROW_ERROR_WRONG_TYPE if @future resolved without it
 */
DEFINE_AWAIT_NUMBER (double, gdouble, G_TYPE_DOUBLE)

/**
 * morrow_await_pointer:
 * @future: (transfer full): a future of a pointer
 * @error: return location for an error
 *
 * Returns: (transfer none) (nullable): the pointer; %NULL when there is none, with @error set when @future failed, or has another type of it
 */
DEFINE_AWAIT (pointer, gpointer, G_TYPE_POINTER, NULL, TRUE, morrow_future_get_pointer)

static gpointer
dup_object (MorrowFuture *future)
{
  gpointer object = morrow_future_get_object (future);

  return object != NULL ? g_object_ref (object) : NULL;
}

static gpointer
dup_boxed (MorrowFuture *future)
{
  gpointer boxed = morrow_future_get_boxed (future);

  return boxed != NULL ? g_boxed_copy (G_VALUE_TYPE (&future->outcome.value), boxed) : NULL;
}

static gchar *
dup_string (MorrowFuture *future)
{
  return g_strdup (morrow_future_get_string (future));
}

/**
 * morrow_await_string:
 * @future: (transfer full): a future of a string
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): the string; %NULL when there is none, with @error set when @future failed, or has another type of it
 */
DEFINE_AWAIT (string, gchar *, G_TYPE_STRING, NULL, TRUE, dup_string)

/**
 * morrow_await_boxed: (skip)
 * @future: (transfer full): a future of a boxed value
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): the boxed value; %NULL when there is none, with @error set when @future failed, or has another type of it
 */
DEFINE_AWAIT (boxed, gpointer, G_TYPE_BOXED, NULL, TRUE, dup_boxed)

/**
 * morrow_await_object:
 * @future: (transfer full): a future of an object
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable) (type GObject): the object; %NULL when there is none, with @error set when @future failed, or has no such value
 */
DEFINE_AWAIT (object, gpointer, G_TYPE_OBJECT, NULL, TRUE, dup_object)

/**
 * morrow_await_value:
 * @future: (transfer full): a future
 * @value: (out caller-allocates): an unset value, which stays so when @future resolves without one, and on failure
 * @error: return location for an error
 *
 * Waits for @future and copies its value, whatever its type.
 *
 * Returns: %TRUE when @future has resolved
 */
gboolean
morrow_await_value (MorrowFuture *future, GValue *value, GError **error)
{
  gboolean ok;

  g_return_val_if_fail (future != NULL && value != NULL && !G_IS_VALUE (value), FALSE);

  ok = morrow_future_await (future, error);
  if (ok && G_IS_VALUE (&future->outcome.value))
    {
      g_value_init (value, G_VALUE_TYPE (&future->outcome.value));
      g_value_copy (&future->outcome.value, value);
    }
  morrow_future_unref (future);
  return ok;
}

/**
 * morrow_await_awaitable:
 * @awaitable: an object
 * @error: return location for an error
 *
 * Waits for what @awaitable does. The object is borrowed.
 *
 * Returns: %TRUE when it succeeded
 */
gboolean
morrow_await_awaitable (MorrowAwaitable *awaitable, GError **error)
{
  g_return_val_if_fail (MORROW_IS_AWAITABLE (awaitable), FALSE);

  return morrow_await (morrow_awaitable_get_future (awaitable), error);
}

/**
 * morrow_yield:
 * @error: return location for an error
 *
 * Lets every other ready task run once. asyncio's `sleep(0)`. Always a suspension point.
 *
 * Returns: %TRUE; %FALSE when the task is being cancelled
 */
gboolean
morrow_yield (GError **error)
{
  MorrowHome *home = morrow__home;
  MorrowTask *self = home != NULL ? home->current : NULL;

  if (morrow__unlikely (self == NULL))
    {
      g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK, "Only a task can yield");
      return FALSE;
    }

  if (morrow__usually (!morrow__relay_is_nested ()))
    morrow__task_yield (self, home);
  else
    yield_relayed (self, home);
  return !morrow__task_fail_cancelled (self, error);
}
