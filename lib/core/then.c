/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Callbacks. What then, catch and finally return is one object: the future of what the callback makes of it, the
 * waiter on the source, and the job that runs the callback where it was attached.
 *
 *    waiting ----- source settles ----> queued ----- the executor runs it ----> settled
 *       |                                 |
 *       '---- cancel: unsubscribed -------+---- cancel: settled, the job finds it so ----> settled
 *
 * References: the caller's; one for being in the source's list or in a queue, which the job drops; and this future's
 * own of the source. */

#include "config.h"

#include <morrow/error.h>

#include "base/cache-private.h"
#include "core/relay-private.h"
#include "core/then-private.h"

static void
then_free (MorrowFuture *future)
{
  morrow__future_free (future, sizeof (MorrowThen));
}

/* Where the callback ran, or would have run: the last that is done with the data. */
static inline void
then_release (MorrowThen *self)
{
  if (morrow__seldom (self->data_free != NULL))
    self->data_free (self->data);
  morrow__future_unref_last (self->source);
  morrow__executor_release (self->executor);
  morrow__future_unref (&self->future);
}

static void
complain_of_callback (MorrowThen *self, gboolean ok, GError **error)
{
  const char *location = morrow__future_get_location (&self->future);

  g_critical ("A callback made at %s returned %s", location != NULL ? location : "?", ok ? "TRUE with an error" : "FALSE without an error");
  if (*error == NULL)
    *error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "A callback failed without saying why");
}

/* What the callback has made is an error, or is to be ignored. */
static G_GNUC_NO_INLINE void
settle_without (MorrowThen *self, gboolean ok, GValue *result, GError *error)
{
  if (!ok != (error != NULL))
    complain_of_callback (self, ok, &error);
  if (G_IS_VALUE (result))
    g_value_unset (result);

  if (error != NULL)
    morrow__future_reject (&self->future, error);
  else
    morrow__future_settle_like (&self->future, self->source);
}

static inline void
then_call (MorrowThen *self)
{
  GValue result = G_VALUE_INIT;
  GError *error = NULL;
  gboolean ok;

  ok = self->func (self->source, self->data, &result, &error);

  if (morrow__usually (ok && error == NULL && !(self->flags & MORROW_PASS_ON)))
    morrow__future_resolve_move (&self->future, &result);
  else
    settle_without (self, ok, &result, error);
}

/* Cancelled while it was queued, or what it was queued on has been closed. */
static G_GNUC_NO_INLINE void
settle_uncalled (MorrowThen *self)
{
  if (!morrow__future_is_settled (&self->future))
    morrow__future_reject (&self->future, g_error_new_literal (MORROW_ERROR, MORROW_ERROR_CLOSED, "The callback's executor has been closed"));
}

static inline void
call_or_pass_on (MorrowThen *self, MorrowThenFlags when)
{
  if (morrow__usually (self->flags & when))
    then_call (self);
  else
    morrow__future_settle_like (&self->future, self->source);
}

static G_GNUC_NO_INLINE void
run_rejected (MorrowThen *self)
{
  if (self->flags == MORROW_ON_REJECTED)
    morrow__future_mark_read (self->source);   /* to catch it is to deal with it, whether one looks at it or not */
  call_or_pass_on (self, MORROW_ON_REJECTED);
}

static void
then_run (MorrowJob *job, gboolean closed)
{
  MorrowThen *self = G_STRUCT_MEMBER_P (job, -(glong) G_STRUCT_OFFSET (MorrowThen, job));

  if (morrow__unlikely (closed || morrow__future_is_settled (&self->future)))
    settle_uncalled (self);
  else if (morrow__seldom (morrow__future_peek (self->source) & MORROW__REJECTED))
    run_rejected (self);
  else
    call_or_pass_on (self, MORROW_ON_RESOLVED);

  then_release (self);
}

static void
post_run (MorrowFuture *source, gpointer data)
{
  MorrowThen *self = data;

  morrow__executor_post (self->executor, &self->job);
}

/* By the relay: where the executor has been closed, this settles at once. */
static G_GNUC_NO_INLINE void
post_elsewhere (MorrowThen *self)
{
  morrow__relay_call (&morrow__relay, post_run, self->source, self);
}

static void
then_notify (MorrowWaiter *waiter, MorrowFuture *source)
{
  MorrowThen *self = morrow__container_of (waiter, MorrowThen, waiter);

  self->job.run = then_run;
  if (morrow__unlikely (!morrow__executor_post_here (self->executor, &self->job)))
    post_elsewhere (self);
}

static void
cancel_source (MorrowFuture *source, gpointer message)
{
  morrow_future_cancel_with_message (source, message);
  g_free (message);
}

/* It has settled as cancelled. Nobody but this waited for the source: then nobody wants it any more, and the cancel is passed on. */
static void
leave_source (MorrowThen *self, MorrowFuture *source, const char *message)
{
  gboolean was_last;

  if (!morrow__future_unsubscribe (source, &self->waiter, &was_last))
    return;

  if (was_last)
    morrow__relay_call (&morrow__relay, cancel_source, source, g_strdup (message));
  self->job.run = then_run;
  morrow__executor_post (self->executor, &self->job);   /* releases the data where the callback would have run */
}

static gboolean
then_cancel (MorrowFuture *future, const char *message)
{
  MorrowThen *self = (MorrowThen *) future;
  MorrowFuture *source = morrow__future_ref_held (future, self->source);   /* once this has settled the job may drop its own */
  gboolean settled;

  if (source == NULL)
    return FALSE;

  settled = morrow__future_settle_cancelled (future, message);
  if (settled)
    leave_source (self, source, message);
  morrow_future_unref (source);
  return settled;
}

static gboolean
then_visit_awaited (MorrowFuture *future, gboolean (*visit) (MorrowFuture *awaited, gpointer data), gpointer data)
{
  MorrowFuture *source = morrow__future_ref_held (future, ((MorrowThen *) future)->source);
  gboolean answer;

  if (source == NULL)
    return FALSE;
  answer = visit (source, data);
  morrow_future_unref (source);
  return answer;
}

MorrowFutureOps morrow__then_ops = {
  .kind = "callback",
  .cancel = then_cancel,
  .free_kind = then_free,
  .visit_awaited = then_visit_awaited,
};

/* Takes a reference of the source, and the executor's hold. */
static inline __attribute__ ((always_inline)) void
then_init (MorrowThen *self, const MorrowSite *site, MorrowExecutor *executor, MorrowFuture *source, MorrowContinueFunc func,
           gpointer data, GDestroyNotify data_free, MorrowThenFlags flags)
{
  /* The references are the caller's, and the list's. */
  morrow__future_init_with (&self->future, &morrow__then_ops, site, 2, 0);
  self->waiter.notify = then_notify;
  self->source = source;
  self->executor = executor;
  self->func = func;
  self->data = data;
  self->data_free = data_free;
  self->flags = flags;
}

/* Where it takes a call to find something out, or to make something. It takes the source. */
static G_GNUC_NO_INLINE MorrowFuture *
then_new_with_calls (MorrowFuture *source, MorrowContinueFunc func, gpointer data, GDestroyNotify data_free, MorrowThenFlags flags)
{
  MorrowThen *self = morrow__future_alloc (sizeof (MorrowThen), &morrow__then_ops);

  then_init (self, morrow__future_get_site (source), morrow__executor_hold_for_callback (), source, func,
             data, data_free, flags);
  if (!morrow__future_subscribe (source, &self->waiter))
    then_notify (&self->waiter, source);
  return &self->future;
}

/* The source has settled, or somebody holds its lock. */
static G_GNUC_NO_INLINE MorrowFuture *
then_push_busy (MorrowThen *self)
{
  if (!morrow__future_push_busy (self->source, &self->waiter))
    then_notify (&self->waiter, self->source);
  return &self->future;
}

/* What it calls it calls last. It takes the source. */
static inline __attribute__ ((always_inline)) MorrowFuture *
then_new (MorrowFuture *source, MorrowContinueFunc func, gpointer data, GDestroyNotify data_free, MorrowThenFlags flags)
{
  MorrowExecutor *executor = morrow__executor_current;
  MorrowThen *self;

  if (morrow__seldom (executor == NULL || !morrow__future_is_plain (source)) ||
      morrow__unlikely ((self = morrow__future_take (sizeof (MorrowThen), &morrow__then_ops)) == NULL))
    return then_new_with_calls (source, func, data, data_free, flags);

  morrow__executor_hold (executor);
  then_init (self, source->site, executor, source, func, data, data_free, flags);
  return morrow__likely (morrow__future_push_free (source, &self->waiter)) ? &self->future : then_push_busy (self);
}

/**
 * morrow_future_then:
 * @self: a future, in any state
 * @func: (scope notified) (closure data) (destroy data_free): what to do with the value
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, where @func runs, after it or instead of it
 *
 * Calls @func once @self has resolved. When it rejects, @func is not called and the error goes on to the future
 * returned.
 *
 * Callbacks run where they were attached: on that loop, on any worker of that pool, or from a plain thread on its
 * thread-default #GMainContext; never inside the call that attaches or settles. Those of one future start in the order in which
 * they were attached there; but on a pool, which may run several at the same time, in any.
 *
 * When that has been closed by then, or the #GMainContext has gone, @func is not called, and the future returned rejects
 * with %MORROW_ERROR_CLOSED. @data is released at once then, by whoever closes it or settles @self: its @data_free must not
 * await.
 *
 * Cancelling the future returned detaches it, and is passed on to @self when nobody else waits for that.
 *
 * On a #MorrowLoop with a context of its own, a task that awaits the future returned may call @func itself, on the task's stack: if it is
 * the next to run, and 128 KiB of that stack are left, and it is no coroutine on another one that awaits. Where @func needs more, or
 * runs a main loop, which may call anything, give the task a larger stack (morrow_future_set_stack_size ()). The task goes on when
 * @func has returned, and not before, whatever cancels it: @func must not wait for that task in a main loop. It leaves as it was how
 * numbers are rounded.
 *
 * Returns: (transfer full): a future of what @func returns
 */
MorrowFuture *
morrow_future_then (MorrowFuture *self, MorrowContinueFunc func, gpointer data, GDestroyNotify data_free)
{
  g_return_val_if_fail (self != NULL && func != NULL, NULL);

  return then_new (morrow__future_ref (self), func, data, data_free, MORROW_ON_RESOLVED);
}

/**
 * morrow_then:
 * @future: (transfer full): a future, in any state
 * @func: (scope notified) (closure data) (destroy data_free): what to do with the value
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, where @func runs, after it or instead of it
 *
 * What morrow_future_then () does, with a future that nobody else needs: callbacks are chained without a variable for
 * each, `morrow_then (morrow_then (future, ...), ...)`.
 *
 * Returns: (transfer full): a future of what @func returns
 */
MorrowFuture *
morrow_then (MorrowFuture *future, MorrowContinueFunc func, gpointer data, GDestroyNotify data_free)
{
  g_return_val_if_fail (future != NULL && func != NULL, NULL);

  return then_new (future, func, data, data_free, MORROW_ON_RESOLVED);
}

/**
 * morrow_future_catch:
 * @self: a future, in any state
 * @func: (scope notified) (closure data) (destroy data_free): what to do about the error
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, where @func runs, after it or instead of it
 *
 * Calls @func once @self has rejected. When it resolves, @func is not called and the value goes on to the future
 * returned. See morrow_future_then ().
 *
 * Returns: (transfer full): a future of what @func returns
 */
MorrowFuture *
morrow_future_catch (MorrowFuture *self, MorrowContinueFunc func, gpointer data, GDestroyNotify data_free)
{
  g_return_val_if_fail (self != NULL && func != NULL, NULL);

  return then_new (morrow__future_ref (self), func, data, data_free, MORROW_ON_REJECTED);
}

/**
 * morrow_catch:
 * @future: (transfer full): a future, in any state
 * @func: (scope notified) (closure data) (destroy data_free): what to do about the error
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, where @func runs, after it or instead of it
 *
 * What morrow_future_catch () does, with a future that nobody else needs. See morrow_then ().
 *
 * Returns: (transfer full): a future of what @func returns
 */
MorrowFuture *
morrow_catch (MorrowFuture *future, MorrowContinueFunc func, gpointer data, GDestroyNotify data_free)
{
  g_return_val_if_fail (future != NULL && func != NULL, NULL);

  return then_new (future, func, data, data_free, MORROW_ON_REJECTED);
}

/**
 * morrow_future_finally:
 * @self: a future, in any state
 * @func: (scope notified) (closure data) (destroy data_free): what to do in either case
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, where @func runs, after it or instead of it
 *
 * Calls @func once @self has settled. The outcome goes on to the future returned, unless @func fails. asyncio's
 * `add_done_callback()`; cancelling the future returned is its `remove_done_callback()`. See morrow_future_then ().
 *
 * Returns: (transfer full): a future of @self's outcome
 */
MorrowFuture *
morrow_future_finally (MorrowFuture *self, MorrowContinueFunc func, gpointer data, GDestroyNotify data_free)
{
  g_return_val_if_fail (self != NULL && func != NULL, NULL);

  return then_new (morrow__future_ref (self), func, data, data_free, MORROW_ON_RESOLVED | MORROW_ON_REJECTED | MORROW_PASS_ON);
}

/**
 * morrow_finally:
 * @future: (transfer full): a future, in any state
 * @func: (scope notified) (closure data) (destroy data_free): what to do in either case
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, where @func runs, after it or instead of it
 *
 * What morrow_future_finally () does, with a future that nobody else needs. See morrow_then ().
 *
 * Returns: (transfer full): a future of @future's outcome
 */
MorrowFuture *
morrow_finally (MorrowFuture *future, MorrowContinueFunc func, gpointer data, GDestroyNotify data_free)
{
  g_return_val_if_fail (future != NULL && func != NULL, NULL);

  return then_new (future, func, data, data_free, MORROW_ON_RESOLVED | MORROW_ON_REJECTED | MORROW_PASS_ON);
}
