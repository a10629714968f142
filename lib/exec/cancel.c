/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cancelling a task: counted, given once, never lost: "Cancelling" in task-private.h. */

#include "config.h"

#include <sched.h>

#include "core/relay-private.h"
#include "exec/task-private.h"

#define MAX_PASSED_ON 3   /* what n_passed_on can tell */

static atomic_uint n_requests;   /* any thread, relaxed: the number of the last that has one */

/* --- rounds ------------------------------------------------------------------------------------------------------ */

/* A round: this thread asks many tasks, and none of its tasks goes on meanwhile. So what one has passed on in it need not be
 * passed on again, when it is asked by one that waits for it, or itself: a chain of n tasks costs 2 n requests, and not one for
 * each two of them. */
static __thread enum { IN_NO_ROUND, DELIVERING, SWEEPING } in_round;   /* this thread */
static __thread guint round_began;                                     /* this thread, in a round: n_requests then */

void
morrow__task_begin_round (gboolean is_sweep)
{
  in_round = is_sweep ? SWEEPING : DELIVERING;
  round_began = atomic_load_explicit (&n_requests, memory_order_relaxed);
}

void
morrow__task_end_round (void)
{
  in_round = IN_NO_ROUND;
}

/* Another request: this one may be going round, and tells by that. */
static gboolean
has_passed_on_another (MorrowTask *self)
{
  guint passed_on = self->wait->passed_on;

  return in_round != IN_NO_ROUND && passed_on != 0 && passed_on != morrow__relay.request && (gint) (passed_on - round_began) > 0;
}

/* Each loop of an executor sweeps its own: what one has asked, another need not. */
static gboolean
is_swept_elsewhere (MorrowTask *self, MorrowHome *home)
{
  gboolean same;

  if (in_round != SWEEPING || home == NULL || home == morrow__home ||
      !(atomic_load_explicit (&self->cancel, memory_order_relaxed) & MORROW__CANCEL_STICKY))
    return FALSE;

  morrow__home_visit ();                               /* H1 */
  same = morrow__future_is_settled (&self->future) || home->executor == morrow__home->executor;
  morrow__home_leave_visit ();
  return same;
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

/* Nobody has started the coroutine: then nobody will. */
static gboolean
cancel_lazy (MorrowTask *self, const char *message)
{
  if (!morrow__task_claim (self, MORROW_TASK_LAZY, MORROW_TASK_CLAIMED))
    return FALSE;

  morrow__task_abandon (self, morrow__cancelled_error (message));
  return TRUE;
}

/* The host of what runs in place; NULL when that has ended. */
MorrowTask *
morrow__task_ref_host (MorrowTask *self)
{
  return (MorrowTask *) morrow__future_ref_held (&self->future, &self->host->future);   /* T2 */
}

/* @cancel: what @self had in the field when the request was there. For a request that SIGINT's handler has made, which can do
 * no more, that is when somebody looks at it. */
static void
cancel_linked (MorrowTask *self, guint cancel)
{
  if (morrow__unlikely (cancel & MORROW__CANCEL_LINKED))
    morrow__cancellable_cancel (&self->future);
}

/* What runs in place is a part of its host. FALSE when it has ended. It counts the request too, for who asks for its
 * GCancellable at this moment. */
static gboolean
cancel_host (MorrowTask *self, const char *message)
{
  MorrowTask *host = morrow__task_ref_host (self);
  gboolean asked;

  if (host == NULL)
    return FALSE;

  /* Acquire and release: pairs with morrow_future_get_cancellable (). */
  cancel_linked (self, atomic_fetch_add_explicit (&self->cancel, MORROW__CANCEL_ONE, memory_order_acq_rel));
  asked = morrow_future_cancel_with_message (&host->future, message);
  morrow_future_unref (&host->future);
  return asked;
}

static void
poke (MorrowTask *self, MorrowHome *home)
{
  morrow__home_visit ();                               /* H1 */
  if (!morrow__future_is_settled (&self->future))
    home->klass->poke (home, self);
  morrow__home_leave_visit ();
}

/* Leaves a request with a task that may be another thread's, and about to settle, and its number: what a request that comes at the same
 * time leaves is as good. FALSE when it has settled (T3). Gives what was in the field before. */
static gboolean
leave_request (MorrowTask *self, guint *ret_cancel)
{
  guint cancel = atomic_load_explicit (&self->cancel, memory_order_relaxed);   /* what the exchange below expects */

  if (!morrow__future_begin_look (&self->future))
    return FALSE;

  if (morrow__task_get_home (self) != NULL)
    atomic_store_explicit (&self->wait->request, morrow__relay.depth > 0 ? morrow__relay.request : 0, memory_order_relaxed);
  /* Sequentially consistent: T1, pairs with the look at PENDING that follows morrow__task_set_home (). */
  while (!atomic_compare_exchange_weak_explicit (&self->cancel, &cancel, (cancel + MORROW__CANCEL_ONE) | MORROW__CANCEL_PENDING,
                                                 memory_order_seq_cst, memory_order_relaxed))
    ;
  morrow__future_end_look (&self->future);
  *ret_cancel = cancel;
  return TRUE;
}

/* Its wait has been ended by a request, whose message stays. Only its own thread can tell. */
static gboolean
is_interrupted (MorrowTask *self, MorrowHome *home)
{
  return home != NULL && home == morrow__home && self->interruption == MORROW_INTERRUPTED_BY_CANCEL;
}

gboolean
morrow__task_cancel (MorrowFuture *future, const char *message)
{
  MorrowTask *self = (MorrowTask *) future;
  MorrowHome *home;
  guint cancel;

  if (cancel_lazy (self, message))
    return TRUE;

  while (morrow__task_get_state (self) == MORROW_TASK_PLACING)
    sched_yield ();                                      /* for a few instructions of another thread */
  if (morrow__task_get_host (self) != NULL)
    return cancel_host (self, message);
  if (morrow__unlikely (is_swept_elsewhere (self, morrow__task_get_home (self))))
    return TRUE;

  home = morrow__task_get_home (self);
  if (!is_interrupted (self, home))
    g_free (morrow__task_swap_message (self, g_strdup (message)));
  if (!leave_request (self, &cancel))
    return FALSE;

  cancel_linked (self, cancel);

  home = morrow__task_get_home (self);   /* it may have begun meanwhile */
  if (home == morrow__home && home != NULL)
    morrow__task_deliver_cancel (self);
  else if (home != NULL)
    poke (self, home);
  return TRUE;
}

/* The task whose count is that of @future: its host, where it runs in place. NULL for a future that is no task. */
static MorrowTask *
ref_counted (MorrowFuture *future)
{
  MorrowTask *host;

  if (!morrow__future_is_task (future))
    return NULL;

  host = morrow__task_get_host ((MorrowTask *) future) != NULL ? morrow__task_ref_host ((MorrowTask *) future) : NULL;
  return host != NULL ? host : (MorrowTask *) morrow__future_ref (future);
}

/**
 * morrow_future_get_cancelling:
 * @self: a future
 *
 * Tells how many requests to cancel a task have not been undone; of a coroutine that runs in place, as part of a task,
 * how many to cancel that. asyncio's `cancelling()`.
 *
 * Returns: the number; 0 for a future that is no task
 */
guint
morrow_future_get_cancelling (MorrowFuture *self)
{
  MorrowHome *home = morrow__home;
  MorrowTask *task;
  guint n;

  g_return_val_if_fail (self != NULL, 0);

  task = ref_counted (self);
  if (task == NULL)
    return 0;

  if (home != NULL && home->klass->inherit != NULL && home->current == task)
    home->klass->inherit (home, home->current);
  n = atomic_load_explicit (&task->cancel, memory_order_relaxed) / MORROW__CANCEL_ONE;
  morrow_future_unref (&task->future);
  return n;
}

/* Undoes one request, if there is one. Returns: how many remain. */
static guint
undo_request (MorrowTask *task)
{
  guint cancel = atomic_load_explicit (&task->cancel, memory_order_relaxed), undone;

  do
    {
      if (cancel < MORROW__CANCEL_ONE)
        return 0;
      undone = cancel - MORROW__CANCEL_ONE;
      if (undone < MORROW__CANCEL_ONE)
        undone &= ~MORROW__CANCEL_PENDING;
    }
  /* Relaxed: the number and the bit are all that it tells. */
  while (!atomic_compare_exchange_weak_explicit (&task->cancel, &cancel, undone, memory_order_relaxed, memory_order_relaxed));

  return undone / MORROW__CANCEL_ONE;
}

/**
 * morrow_future_uncancel:
 * @self: a future
 *
 * Undoes one request to cancel a task, as whoever caught the error and goes on must do; or to cancel the task that @self
 * runs in place in. When it was the last, and the task has not been given it yet, it is withdrawn. asyncio's `uncancel()`.
 *
 * Returns: how many requests remain
 */
guint
morrow_future_uncancel (MorrowFuture *self)
{
  MorrowTask *task;
  guint n;

  g_return_val_if_fail (self != NULL, 0);

  task = ref_counted (self);
  if (task == NULL)
    return 0;

  if (&task->future != self)
    undo_request ((MorrowTask *) self);   /* which counts what was asked of it */
  n = undo_request (task);
  morrow_future_unref (&task->future);
  return n;
}

gboolean
morrow__task_take_request (MorrowTask *self, GError **error)
{
  g_autofree char *message = NULL;
  /* Acquire: pairs with the exchange in leave_request (), for the message and what else the asker did. */
  guint cancel = atomic_fetch_and_explicit (&self->cancel, ~MORROW__CANCEL_PENDING, memory_order_acquire);

  if (!(cancel & MORROW__CANCEL_PENDING))
    return FALSE;                       /* withdrawn meanwhile */

  cancel_linked (self, cancel);
  message = morrow__task_swap_message (self, NULL);
  g_propagate_error (error, morrow__cancelled_error (message));
  return TRUE;
}

/* What morrow__task_fail_cancelled () does when there may be something to do. */
gboolean
morrow__task_fail_asked (MorrowTask *self, GError **error)
{
  guint cancel = atomic_load_explicit (&self->cancel, memory_order_relaxed);

  if (morrow__task_take_cancel (self, error))
    return TRUE;

  if (cancel & MORROW__CANCEL_STICKY)
    g_propagate_error (error, morrow__cancelled_error (NULL));
  return (cancel & MORROW__CANCEL_STICKY) != 0;
}

/* --- delivering -------------------------------------------------------------------------------------------------- */

/* The home's thread: a parked task goes on without what it awaits, of which others may still want the result. FALSE when
 * that has settled. */
gboolean
morrow__task_interrupt (MorrowTask *self, MorrowInterruption why)
{
  if (!morrow__future_unsubscribe (self->wait->awaited, &self->waiter, NULL))
    return FALSE;

  self->interruption = why;
  self->home->klass->wake (self->home, self);
  return TRUE;
}

/* The request that is under way is the one that has brought this thread here; or else the one that another has left here; or
 * a new one. */
static void
number_request (MorrowTask *self)
{
  guint number = atomic_exchange_explicit (&self->wait->request, 0, memory_order_relaxed);

  if (morrow__relay.request != 0)
    return;

  while (number == 0)
    number = atomic_fetch_add_explicit (&n_requests, 1, memory_order_relaxed) + 1;
  morrow__relay.request = number;
}

/* No newer than what @self has passed on. Several may go round in the same circle, in turn. */
static gboolean
is_old_request (MorrowTask *self)
{
  guint passed_on = self->wait->passed_on;

  return passed_on != 0 && (gint) (morrow__relay.request - passed_on) <= 0;
}

static gboolean
goes_round (MorrowTask *self)
{
  return self->passing_on || (is_old_request (self) && self->n_passed_on == MAX_PASSED_ON);
}

static void
pass_on (MorrowTask *self, MorrowFuture *awaited, guint cancel)
{
  g_autofree char *message = morrow__task_swap_message (self, NULL);

  /* Relaxed, as where it is set again: PENDING is given out by this thread alone, and the caller's load has acquired what
   * came with it. */
  atomic_fetch_and_explicit (&self->cancel, ~MORROW__CANCEL_PENDING, memory_order_relaxed);
  if (has_passed_on_another (self))
    return;

  self->passing_on = TRUE;
  if (!is_old_request (self))
    {
      self->wait->passed_on = morrow__relay.request;
      self->n_passed_on = 0;
    }
  self->n_passed_on++;
  if (!morrow_future_cancel_with_message (awaited, message))
    {
      morrow__task_return_message (self, g_steal_pointer (&message));
      atomic_fetch_or_explicit (&self->cancel, cancel & MORROW__CANCEL_PENDING, memory_order_relaxed);
      self->wait->passed_on = 0;
    }
  self->passing_on = FALSE;
}

/* @bits: of PENDING and STICKY, for which of them. */
static void
deliver (MorrowFuture *future, gpointer bits)
{
  MorrowTask *self = (MorrowTask *) future;
  /* Acquire: pairs with the exchange in leave_request (). Who asked then pokes this home, so that a request which
   * this does not see is looked for again. */
  guint cancel = atomic_load_explicit (&self->cancel, memory_order_acquire);
  MorrowFuture *awaited = morrow__task_get_awaited (self);

  if (!(cancel & GPOINTER_TO_UINT (bits)))
    return;
  if (cancel & MORROW__CANCEL_PENDING)
    cancel_linked (self, cancel);
  if (self->paused)
    morrow__pause_end (self->wait->awaited);   /* it goes on, and finds the request pending */
  if (awaited == NULL || self->interruption != MORROW_NOT_INTERRUPTED)
    return;
  if (!(cancel & MORROW__CANCEL_PENDING) && morrow__future_is_shield (awaited))
    return;

  number_request (self);
  if (morrow__unlikely (goes_round (self)))
    {
      morrow__task_interrupt (self, MORROW_INTERRUPTED_BY_CANCEL);
      return;
    }

  switch (morrow__future_detach_shared (awaited, &self->waiter))
    {
    case MORROW_DETACHED:
      self->interruption = MORROW_INTERRUPTED_BY_CANCEL;
      self->home->klass->wake (self->home, self);
      break;

    case MORROW_SOLE:
      pass_on (self, awaited, cancel);
      break;

    case MORROW_TOO_LATE:
    default:
      break;
    }
}

/* It may have been put off until the task has settled, whose stack may have gone. */
static void
deliver_unless_settled (MorrowFuture *future, gpointer bits)
{
  if (!morrow__future_is_settled (future))
    deliver (future, bits);
}

/* A parked task is asked to stop waiting. When others wait for the same it detaches and goes on at once, else the
 * request is passed on to what it waits for, and it goes on when that has settled. When the request comes back to it,
 * round a circle of tasks that wait for each other, it detaches all the same. One that is not parked, or that has been
 * woken, finds the request pending. */
void
morrow__task_deliver_cancel (MorrowTask *self)
{
  morrow__relay_call (&morrow__relay, deliver_unless_settled, &self->future, GUINT_TO_POINTER (MORROW__CANCEL_PENDING));
}

/* In @self, which begins to wait: the same, also where it is STICKY. That is passed on once for each wait, and not whenever
 * somebody looks. */
void
morrow__task_begin_asked_wait (MorrowTask *self)
{
  morrow__relay_call (&morrow__relay, deliver, &self->future, GUINT_TO_POINTER (MORROW__CANCEL_PENDING | MORROW__CANCEL_STICKY));
}

/* Passes a request on to @self that @creator has not been given, and that it keeps; each once. TRUE when there was one.
 * The home's thread. */
gboolean
morrow__task_inherit_request (MorrowTask *self, MorrowTask *creator)
{
  guint *n_inherited = &morrow__task_get_frame (self)->n_inherited;
  /* Sequentially consistent: T1, as in morrow__task_take_cancel (). */
  guint cancel = atomic_load_explicit (&creator->cancel, memory_order_seq_cst);
  char *message;

  if (!(cancel & MORROW__CANCEL_PENDING) || cancel / MORROW__CANCEL_ONE <= *n_inherited)
    return FALSE;
  *n_inherited = cancel / MORROW__CANCEL_ONE;

  cancel_linked (creator, cancel);
  message = morrow__task_swap_message (creator, NULL);
  morrow_future_cancel_with_message (&self->future, message);
  morrow__task_return_message (creator, message);
  return TRUE;
}

/* --- the end of a run -------------------------------------------------------------------------------------------- */

/* At the end of a run: what is left over is cancelled, and stays so, unless it is part of a clean-up. FALSE when it is, or
 * has been marked before; else the caller cancels it. */
gboolean
morrow__task_mark_swept (MorrowTask *self)
{
  if (atomic_load_explicit (&self->cancel, memory_order_relaxed) & MORROW__CANCEL_SPARED)
    return FALSE;
  /* Relaxed: the request that follows orders it. */
  return !(atomic_fetch_or_explicit (&self->cancel, MORROW__CANCEL_STICKY, memory_order_relaxed) & MORROW__CANCEL_STICKY);
}

void
morrow__task_sweep (MorrowTask *self)
{
  if (morrow__task_mark_swept (self))
    morrow_future_cancel (&self->future);
}

static gboolean
current_task_is (guint bits)
{
  MorrowTask *current = morrow__home != NULL ? morrow__home->current : NULL;

  return current != NULL && (atomic_load_explicit (&current->cancel, memory_order_relaxed) & bits) != 0;
}

static void
spare (MorrowTask *self)
{
  /* Relaxed: it has not started, and whoever starts it passes this on with it. */
  atomic_fetch_or_explicit (&self->cancel, MORROW__CANCEL_SPARED, memory_order_relaxed);
}

static gboolean
is_lazy (MorrowTask *self)
{
  return atomic_load_explicit (&self->state, memory_order_relaxed) == MORROW_TASK_LAZY;
}

/* A shield is put before @future, and starts it if nobody has. */
void
morrow__task_protect (MorrowFuture *future)
{
  MorrowTask *self = (MorrowTask *) future;

  if (current_task_is (MORROW__CANCEL_STICKY | MORROW__CANCEL_SPARED) && is_lazy (self))
    spare (self);
}

/* A gather with a limit, which was made here, is to start @future. */
void
morrow__task_put_off (MorrowFuture *future)
{
  MorrowTask *self = (MorrowTask *) future;

  if (current_task_is (MORROW__CANCEL_SPARED) && is_lazy (self))
    spare (self);
}

/* Before @self is queued on @executor, which may be sweeping: what a task starts there is part of the same clean-up. */
void
morrow__task_inherit_spared (MorrowTask *self, MorrowExecutor *executor)
{
  if (morrow__executor_current == executor && current_task_is (MORROW__CANCEL_SPARED))
    spare (self);
}
