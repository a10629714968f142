/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Coroutines and tasks: made, started, and what is rare about their end. Running is in task-run-private.h, waiting in await.c,
 * cancelling in cancel.c. */

#include "config.h"

#include <morrow/error.h>

#include "base/alone-private.h"
#include "base/cache-private.h"
#include "core/relay-private.h"
#include "exec/task-run-private.h"

/* Names are Task-1, Task-2 ... Each thread takes a stretch of the numbers at a time, so that a task does not cost an
 * exchange with other threads. */
#define IDS_AT_A_TIME 64

atomic_uintptr_t morrow__task_ids_taken;   /* any thread: relaxed, an index is all that it hands out */
static __thread guint next_id;        /* this thread: the lower bits */
static __thread guint16 id_era;       /* this thread: the upper bits */

__thread MorrowHome *morrow__home;

static G_GNUC_NO_INLINE void
take_ids (void)
{
  guintptr taken = atomic_fetch_add_explicit (&morrow__task_ids_taken, IDS_AT_A_TIME, memory_order_relaxed);

  next_id = taken & MORROW_TASK_ID_MASK;
  id_era = taken >> MORROW_TASK_ID_BITS;
}

static inline guint
take_id (guint16 *ret_era)
{
  if (morrow__unlikely (next_id % IDS_AT_A_TIME == 0))
    take_ids ();
  *ret_era = id_era;
  return next_id++;
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static void
warn_never_awaited (MorrowTask *self)
{
  const char *location = morrow__future_get_location (&self->future);

  g_log_structured (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                    "MORROW_SITE", location != NULL ? location : "",
                    "MESSAGE", "coroutine '%s' was never awaited, made at %s",
                    morrow__task_func_name (self), location != NULL ? location : "?");
}

static void
release_lazy (MorrowFuture *future, gpointer data)
{
  MorrowTask *self = (MorrowTask *) future;
  MorrowTaskBody body = morrow__task_get_body (self);

  warn_never_awaited (self);
  morrow__task_release_body (&body);
  morrow__future_settle_cancelled (future, NULL);   /* for its observers: nobody else can wait for it */
}

/* Nobody has started it. The data may be a coroutine, with one more in its data, and so on: so it is given a reference again,
 * which is dropped once they have been released. */
static void
free_lazy (MorrowTask *self)
{
  /* Relaxed, both: nobody else can reach it. */
  atomic_store_explicit (&self->state, MORROW_TASK_CLAIMED, memory_order_relaxed);
  atomic_store_explicit (&self->future.ref_count, 1, memory_order_relaxed);
  morrow__relay_release (release_lazy, &self->future);
  morrow_future_unref (&self->future);
}

/* What holds more than its memory. Whoever starts a task holds it until it has settled, so that one which has not was never started. */
static G_GNUC_NO_INLINE void
free_rest (MorrowTask *self)
{
  MorrowFuture *future = &self->future;

  if (!morrow__future_is_settled (future) && atomic_load_explicit (&self->state, memory_order_relaxed) == MORROW_TASK_LAZY)
    {
      free_lazy (self);
      return;
    }

  g_free (morrow__task_swap_message (self, NULL));
  morrow__future_free (future, sizeof (MorrowTask));
}

/* Reads only what all futures have: the rest is out of the caches when thousands are released. */
static void
task_free (MorrowFuture *future)
{
  if (morrow__usually (morrow__future_is_settled (future) && morrow__future_holds_nothing (future, MORROW_TASK_HAS_MESSAGE)))
    morrow__cache_free (sizeof (MorrowTask), future);
  else
    free_rest ((MorrowTask *) future);
}

/* A coroutine; or one that starts at once, as if claim_for_executor () had claimed it: nobody else has seen it. Always inline: gcc
 * finds it too long for those that call it. */
static inline __attribute__ ((always_inline)) void
task_init (MorrowTask *self, const MorrowTaskBody *body, const MorrowSite *site, gboolean starts)
{
  guint id = take_id (&self->id_era);

  morrow__future_init_with (&self->future, &morrow__task_ops, site, starts ? 2 : 1, starts ? id : id | MORROW__LAZY);
  self->func = body->func;
  self->data = body->data;
  morrow__task_get_pending (self)->data_free = body->data_free;
  morrow__task_get_pending (self)->stack_kib = 0;
  atomic_init (&self->state, starts ? MORROW_TASK_QUEUED : MORROW_TASK_LAZY);
  atomic_init (&self->cancel, 0);
  self->paused = FALSE;
  self->passing_on = FALSE;
  self->n_passed_on = 0;
  self->interruption = MORROW_NOT_INTERRUPTED;
}

/**
 * morrow_coroutine_at: (skip)
 * @func: (scope notified) (closure data) (destroy data_free): the body
 * @data: (nullable): passed to @func; it must outlive the coroutine
 * @data_free: (nullable): releases @data, where @func ran, after it or instead of it
 * @site: (nullable): where it is made, and what @func is called; of static storage
 *
 * What the macro morrow_coroutine () calls.
 *
 * Returns: (transfer full): a coroutine
 */
MorrowFuture *
morrow_coroutine_at (MorrowCoroutineFunc func, gpointer data, GDestroyNotify data_free, const MorrowSite *site)
{
  MorrowTask *self;

  g_return_val_if_fail (func != NULL, NULL);

  self = morrow__future_alloc (sizeof (MorrowTask), &morrow__task_ops);
  task_init (self, &(MorrowTaskBody) { .func = func, .data = data, .data_free = data_free }, site, FALSE);
  return &self->future;
}

/**
 * morrow_coroutine: (skip)
 * @func: (scope notified) (closure data) (destroy data_free): the body
 * @data: (nullable): passed to @func; it must outlive the coroutine
 * @data_free: (nullable): releases @data, where @func ran, after it or instead of it
 *
 * Makes a coroutine, which is lazy, as in asyncio: this runs nothing. Awaited, it runs inside the awaiting task, on
 * the same stack, at the price of a function call (but see morrow_future_set_stack_size ()). It gets another stack where less than 24 KiB
 * of that are left: so coroutines, each of which needs less than 16, may await each other as deep as there is memory; where there is
 * none, it fails with %MORROW_ERROR_NO_STACK. Given to morrow_create_task (), to
 * morrow_gather () or to any other that combines, it runs concurrently. Dropped without either, it warns, naming the line that made
 * it.
 *
 * Returns: (transfer full): a coroutine
 */
MorrowFuture *
(morrow_coroutine) (MorrowCoroutineFunc func, gpointer data, GDestroyNotify data_free)
{
  return morrow_coroutine_at (func, data, data_free, NULL);
}

/**
 * morrow_future_set_stack_size:
 * @self: a coroutine that has not started
 * @stack_size: the size of its stack in bytes, rounded up to a power of two, 32 KiB at least; 0 for the default of 256 KiB
 *
 * Says how large a stack the task needs. It is address space: memory is used as it is touched.
 *
 * On a loop, and on a #MorrowLoopPool, a task that overflows its stack ends the process, by SIGSEGV, which says what task it was. A frame
 * that is larger than a sixteenth of the stack, or than 64 KiB, may leap over the guard, into another task's stack, unless
 * what is called is compiled with `-fstack-clash-protection`.
 *
 * On a loop, and on a #MorrowLoopPool, a coroutine for which this was called has a stack of its own also where a task awaits it, of
 * which it is a part all the same; if none can be had, it fails with %MORROW_ERROR_NO_STACK. On #MorrowThreadPool and #MorrowInline
 * what runs has the stack of its thread, whatever was asked for, or where that is used up another.
 */
void
morrow_future_set_stack_size (MorrowFuture *self, gsize stack_size)
{
  MorrowTask *task = (MorrowTask *) self;

  g_return_if_fail (self != NULL && morrow__future_is_task (self));
  g_return_if_fail (atomic_load_explicit (&task->state, memory_order_relaxed) == MORROW_TASK_LAZY);

  morrow__task_get_pending (task)->stack_kib = MIN (stack_size / 1024 + (stack_size % 1024 != 0), G_MAXUINT);
}

/**
 * morrow_future_dup_name:
 * @self: a future
 *
 * Gives the name that was set; for a task without one "Task-" and a number, for other futures the kind of future.
 *
 * Returns: (transfer full): a name
 */
gchar *
morrow_future_dup_name (MorrowFuture *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  if (atomic_load_explicit (&self->aux, memory_order_relaxed) & MORROW__NAMED)
    return g_strdup (self->name);
  if (morrow__future_is_task (self))
    return g_strdup_printf ("Task-%" G_GUINT64_FORMAT, morrow__task_get_number ((MorrowTask *) self));
  return g_strdup (morrow__future_get_ops (self)->kind);
}

/* --- starting ---------------------------------------------------------------------------------------------------- */

/* Claims a coroutine for an executor, and takes the executor's reference. Most have one reference, the caller's, who gives it
 * away by calling, or has not shown it to anybody: then nobody else can see the object, and plain stores do. Who starts one that
 * others may reach through that same reference takes another for the while; who looks on may know one without a reference. */
static inline gboolean
claim_for_executor (MorrowTask *self)
{
  if (morrow__unlikely (atomic_load_explicit (&self->state, memory_order_relaxed) != MORROW_TASK_LAZY))
    return FALSE;

  /* Acquire: pairs with the release of who let go of another reference (R1). Relaxed: who hooks on to look has a reference
   * meanwhile. */
  if (morrow__likely (atomic_load_explicit (&self->future.ref_count, memory_order_acquire) == 1 &&
                      atomic_load_explicit (&self->future.word, memory_order_relaxed) == 0))
    {
      atomic_store_explicit (&self->state, MORROW_TASK_QUEUED, memory_order_relaxed);
      atomic_store_explicit (&self->future.ref_count, 2, memory_order_relaxed);
      atomic_store_explicit (&self->future.aux, atomic_load_explicit (&self->future.aux, memory_order_relaxed) & ~MORROW__LAZY,
                             memory_order_relaxed);
      return TRUE;
    }

  if (!morrow__task_claim (self, MORROW_TASK_LAZY, MORROW_TASK_QUEUED))
    return FALSE;
  morrow__future_ref (&self->future);
  atomic_fetch_and_explicit (&self->future.aux, ~MORROW__LAZY, memory_order_relaxed);
  return TRUE;
}

static G_GNUC_NO_INLINE void
refuse_start (MorrowTask *self, MorrowExecutor *executor)
{
  GError *error = NULL;

  if (executor != NULL)
    morrow__executor_set_forked (&error);
  else
    g_set_error_literal (&error, MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK,
                         "A task was created where no executor runs: use morrow_run (), or morrow_executor_spawn ()");
  morrow__task_abandon (self, error);
  morrow_future_unref (&self->future);
}

/* The caller has claimed @self for @executor, which may be NULL: that refuses it. */
static inline void
start_claimed (MorrowTask *self, MorrowExecutor *executor)
{
  if (morrow__likely (executor != NULL && morrow__executor_is_ours (executor)))
    MORROW_EXECUTOR_GET_CLASS (executor)->start (executor, &self->future);
  else
    refuse_start (self, executor);
}

void
morrow__task_start_on (MorrowTask *self, MorrowExecutor *executor)
{
  if (morrow__likely (claim_for_executor (self)))
    start_claimed (self, executor);
}

static void
task_start (MorrowFuture *future, MorrowExecutor *executor)
{
  morrow__task_start_on ((MorrowTask *) future, executor);
}

/**
 * morrow_executor_spawn:
 * @self: an executor
 * @coroutine: (transfer full): a coroutine
 *
 * Starts @coroutine as a task on @self, from any thread. asyncio's `run_coroutine_threadsafe()`. Another future than
 * a coroutine, or one that runs already, is returned as it is.
 *
 * Returns: (transfer full): the task
 */
MorrowFuture *
morrow_executor_spawn (MorrowExecutor *self, MorrowFuture *coroutine)
{
  g_return_val_if_fail (MORROW_IS_EXECUTOR (self), NULL);
  g_return_val_if_fail (coroutine != NULL, NULL);

  morrow__future_start (coroutine, self);
  return coroutine;
}

/**
 * morrow_create_task:
 * @coroutine: (transfer full): a coroutine
 *
 * Starts @coroutine as a task on the current executor. It does not run inside this call, but on #MorrowInline.
 * asyncio's `create_task()`.
 *
 * The runtime holds a task that runs: dropping the handle neither cancels nor loses it.
 *
 * Returns: (transfer full): the task; where no executor runs, one that has rejected with %MORROW_ERROR_NOT_IN_TASK
 */
MorrowFuture *
morrow_create_task (MorrowFuture *coroutine)
{
  g_return_val_if_fail (coroutine != NULL, NULL);

  if (morrow__usually (morrow__future_is_task (coroutine)))
    morrow__task_start_on ((MorrowTask *) coroutine, morrow__executor_current);
  else
    morrow__future_start (coroutine, morrow__executor_current);
  return coroutine;
}

/* Made and started in one step: @self is the task's memory. */
static inline __attribute__ ((always_inline)) MorrowFuture *
spawn_in (MorrowTask *self, const MorrowTaskBody *body, const MorrowSite *site)
{
  task_init (self, body, site, TRUE);
  start_claimed (self, morrow__executor_current);
  return &self->future;
}

/* Where morrow__future_take () gives nothing. It is a function of its own so that the usual way keeps nothing for its sake. */
static G_GNUC_NO_INLINE MorrowFuture *
spawn_with_calls (MorrowCoroutineFunc func, gpointer data, GDestroyNotify data_free, const MorrowSite *site)
{
  return spawn_in (morrow__future_alloc (sizeof (MorrowTask), &morrow__task_ops),
                   &(MorrowTaskBody) { .func = func, .data = data, .data_free = data_free }, site);
}

/**
 * morrow_spawn_at: (skip)
 * @func: (scope notified) (closure data) (destroy data_free): the body
 * @data: (nullable): passed to @func; it must outlive the task
 * @data_free: (nullable): releases @data, where @func ran, after it or instead of it
 * @site: (nullable): where it is made, and what @func is called; of static storage
 *
 * What the macro morrow_spawn () calls.
 *
 * Returns: (transfer full): the task
 */
MorrowFuture *
morrow_spawn_at (MorrowCoroutineFunc func, gpointer data, GDestroyNotify data_free, const MorrowSite *site)
{
  MorrowTask *self;

  g_return_val_if_fail (func != NULL, NULL);

  self = morrow__future_take (sizeof (MorrowTask), &morrow__task_ops);
  if (morrow__unlikely (self == NULL))
    return spawn_with_calls (func, data, data_free, site);

  return spawn_in (self, &(MorrowTaskBody) { .func = func, .data = data, .data_free = data_free }, site);
}

/**
 * morrow_spawn: (skip)
 * @func: (scope notified) (closure data) (destroy data_free): the body
 * @data: (nullable): passed to @func; it must outlive the task
 * @data_free: (nullable): releases @data, where @func ran, after it or instead of it
 *
 * Starts a task on the current executor: what morrow_create_task () does with a new morrow_coroutine (), in one step. A task that
 * needs a larger stack is made in two, with morrow_future_set_stack_size () between them; another executor's is started by
 * morrow_executor_spawn ().
 *
 * Returns: (transfer full): the task; where no executor runs, one that has rejected with %MORROW_ERROR_NOT_IN_TASK
 */
MorrowFuture *
(morrow_spawn) (MorrowCoroutineFunc func, gpointer data, GDestroyNotify data_free)
{
  return morrow_spawn_at (func, data, data_free, NULL);
}

/**
 * morrow_current_task:
 *
 * Gives the task that runs.
 *
 * Returns: (transfer none) (nullable): the task; %NULL outside any
 */
MorrowFuture *
morrow_current_task (void)
{
  return morrow__home != NULL && morrow__home->current != NULL ? &morrow__home->current->future : NULL;
}

/* --- running ----------------------------------------------------------------------------------------------------- */

static void
complain_of_body (MorrowTask *self, gboolean ok, GError **error)
{
  const char *location = morrow__future_get_location (&self->future);

  g_critical ("Coroutine '%s', made at %s, returned %s", morrow__task_func_name (self), location != NULL ? location : "?",
              ok ? "TRUE with an error" : "FALSE without an error");
  if (*error == NULL)
    *error = g_error_new (G_IO_ERROR, G_IO_ERROR_FAILED, "Coroutine '%s' failed without saying why",
                          morrow__task_func_name (self));
}

/* @self's body returned @ok, or an error: sees to it that what has come back is a result or an error and not both. */
void
morrow__task_check_result (MorrowTask *self, gboolean ok, GValue *result, GError **error)
{
  if (!ok != (*error != NULL))
    complain_of_body (self, ok, error);
  if (*error != NULL && G_IS_VALUE (result))
    g_value_unset (result);
}

void
morrow__task_fail (MorrowTask *self, GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    morrow__future_reject_cancelled (&self->future, error);
  else
    morrow__future_reject (&self->future, error);
}

/* Settles a task that will not run. The caller has claimed it. */
void
morrow__task_abandon (MorrowTask *self, GError *error)
{
  MorrowTaskBody body = morrow__task_get_body (self);

  morrow__task_release_body (&body);
  morrow__task_fail (self, error);
}

static inline MorrowTaskBody
place (MorrowTask *self, MorrowTask *host)
{
  MorrowTaskBody body = morrow__task_get_body (self);

  self->host = host;

  /* Release: pairs with the load in morrow__task_get_state () (T2). */
  atomic_store_explicit (&self->state, MORROW_TASK_IN_PLACE, memory_order_release);
  return body;
}

static inline void
run_placed (MorrowTask *self, const MorrowTaskBody *body)
{
  GValue result = G_VALUE_INIT;
  GError *error = NULL;

  morrow__task_call_body (self, body, &result, &error);
  morrow__task_release_body (body);
  if (morrow__likely (error == NULL))
    morrow__future_resolve_move (&self->future, &result);
  else
    morrow__task_fail (self, error);
}

/* Inside the task that awaits it. The caller has claimed it. */
void
morrow__task_run_in_place (MorrowTask *self, MorrowTask *host)
{
  MorrowTaskBody body = place (self, host);

  run_placed (self, &body);
}

/* The same in two steps, for who has something to do before the body runs: it is a part of its host from the first on. */
MorrowTaskBody
morrow__task_place (MorrowTask *self, MorrowTask *host)
{
  return place (self, host);
}

void
morrow__task_run_placed (MorrowTask *self, const MorrowTaskBody *body)
{
  run_placed (self, body);
}

/* In place of the second, if it cannot run. */
void
morrow__task_fail_placed (MorrowTask *self, const MorrowTaskBody *body, GError *error)
{
  morrow__task_release_body (body);
  morrow__task_fail (self, error);
}

/* --- the kind ---------------------------------------------------------------------------------------------------- */

/* The host, which is in no list of waiters. */
static gboolean
task_is_wanted (MorrowFuture *future)
{
  MorrowTaskState state = morrow__task_get_state ((MorrowTask *) future);

  return state == MORROW_TASK_PLACING || state == MORROW_TASK_IN_PLACE;
}

MorrowFutureOps morrow__task_ops = {
  .kind = "task",
  .cancel = morrow__task_cancel,
  .start = task_start,
  .protect = morrow__task_protect,
  .put_off = morrow__task_put_off,
  .free_kind = task_free,
  .is_wanted = task_is_wanted,
};
