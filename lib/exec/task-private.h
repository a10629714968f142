/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A coroutine and a task are one object: a coroutine is a task that has not started.
 *
 * STATES (the state field)
 *
 *              create_task, a gather ...            a home takes it
 *      LAZY --------------------------> QUEUED -----> CLAIMED -----> STARTED (<-> WOKEN) ---> the future settles
 *       |                                  |
 *       |  awaited: runs in place          '-- cancelled before it started: it still goes to a home,
 *       '----> PLACING ----> IN_PLACE          which settles it without running it
 *
 *   LAZY -> QUEUED and LAZY -> PLACING race between threads: each is a compare-and-swap, and whoever wins runs it. A loop
 *   has its tasks to itself, and leaves CLAIMED out. POOLED, which is between QUEUED and CLAIMED, is a thread pool's, under
 *   whose lock a worker or whoever waits for the task takes it from the queue, and WOKEN is a thread home's.
 *
 *   What runs in place is a part of the task that awaits it, its host: it has no home, never parks, and to cancel it is
 *   to cancel the host. The host lives while this has not settled, so that whoever holds this one's lock may take a
 *   reference of it (T2).
 *
 * CANCELLING (the cancel field): the number of requests, and four bits, of which LINKED is cancellable.c's.
 *   PENDING   a request that the task has not been given yet: it is given once, at the next suspension point, whatever
 *             the number of requests
 *   STICKY    the task is being swept up: every suspension point fails from now on, but for a shield
 *   SPARED    the task is part of a clean-up: a shield has started it in one that is STICKY or SPARED, or a task that is
 *             SPARED has, or a gather of that task's; set before it starts, and no sweep touches it
 *
 *   A request may come from any thread: it sets PENDING, then looks whether the task is STARTED (T1). The home makes it
 *   STARTED, and then looks at PENDING (T1). Both are sequentially consistent, so that at least one sees the other:
 *   a request is not lost. PENDING is cleared by the home's thread alone, so that it is not delivered twice.
 *
 *   T3: a request is left while the future is locked, and a task that is about to resolve looks at PENDING for the last time when it has
 *   locked that. So a request is there before that look, or is refused: then the task that it was passed on by keeps it. Who locks
 *   has acquired what the other did before he unlocked.
 *
 *   A request that is passed on, from a task to what it awaits, is the same request there, and has the same number, however
 *   many threads it goes through. So a task tells one that goes round, in a circle of tasks that wait for each other, and goes
 *   on by itself then. More than one way may lead to a task, too, so that it takes a few rounds.
 *
 * 96 BYTES: a hundred thousand tasks are made in fresh memory, where each byte costs. So what is not used at the same time lies in the
 * same place, and what few have beside them. What is of use before it starts lies where its outcome will be (MorrowPending), and what is of use
 * from then on with its stack (MorrowWait).
 *   The body is what is run. Whoever has claimed the task takes it onto his own stack before he says STARTED or IN_PLACE, and
 *   what lies in its place is valid from then on. Who settles a task that he will not run finds the body in it.
 *   The waiter is in a future's list until it is taken out, by who settles that or by who ends the wait, and he then wakes
 *   the task. To wake it is what queues the job, on a loop, and nobody touches the waiter any more ("Waiters" in
 *   future-private.h). A task that yields, or is parked on a pause, has no waiter. Threads' tasks have no job, but to start
 *   where they cannot at once (inline.c): a pool's queue has a link in its place.
 *   The loop's list of those who live there goes through their stacks (MorrowResident), which are touched anyway; the newest is
 *   not in it yet. */

#pragma once

#include <morrow/task.h>

#include "base/alone-private.h"
#include "core/future-private.h"
#include "exec/home-private.h"
#include "fiber/fiber-private.h"

#define MORROW__CANCEL_PENDING 1u
#define MORROW__CANCEL_STICKY  2u
#define MORROW__CANCEL_LINKED  4u   /* somebody has a GCancellable that is to be cancelled with it */
#define MORROW__CANCEL_SPARED  8u
#define MORROW__CANCEL_ONE     16u  /* a request */

typedef enum
{
  MORROW_TASK_LAZY,
  MORROW_TASK_QUEUED,
  MORROW_TASK_POOLED,     /* in the queue of a thread pool */
  MORROW_TASK_CLAIMED,    /* whoever claimed it runs it, or settles it without */
  MORROW_TASK_PLACING,    /* on the way to IN_PLACE */
  MORROW_TASK_IN_PLACE,   /* it runs as a part of its host */
  MORROW_TASK_STARTED,    /* it has a home */
  MORROW_TASK_WOKEN       /* it has a home, which is a thread, and is to go on */
} MorrowTaskState;

/* What has taken a parked task off what it awaits, so that it goes on. */
typedef enum
{
  MORROW_NOT_INTERRUPTED,
  MORROW_INTERRUPTED_BY_CANCEL,
  MORROW_INTERRUPTED_HOPELESS   /* the wait would never have ended */
} MorrowInterruption;

typedef struct _MorrowPause MorrowPause;   /* pause-private.h */

/* In a task's aux: a message of a request to cancel is kept for it (message.c); and below that the lower bits of its id, which are
 * immutable. */
#define MORROW_TASK_HAS_MESSAGE   (1u << 29)
#define MORROW_TASK_ID_BITS       29
#define MORROW_TASK_ID_MASK       ((1u << MORROW_TASK_ID_BITS) - 1)

/* What a task is to run; immutable. */
typedef struct
{
  MorrowCoroutineFunc func;
  gpointer            data;        /* released by whoever ran it */
  GDestroyNotify      data_free;
} MorrowTaskBody;

/* A place among those that run, or wait, on an executor; on the stack of who runs it. */
typedef struct
{
  MorrowList  link;   /* whoever may touch the executor's list; not set while this is a loop's newest */
  MorrowTask *task;   /* immutable; the executor's reference */
} MorrowResident;

/* What a task on a thread keeps on the stack. */
typedef struct
{
  MorrowWait  wait;
  MorrowTask *creator;       /* immutable: the task below it on the stack, which goes on when it has ended, or NULL; borrowed */
  guint       n_inherited;   /* the home's thread: on MorrowInline, how many requests its creator had when one was last passed on to it */
} MorrowThreadFrame;

struct _MorrowTask
{
  MorrowFuture             future;          /* its outcome's place holds a MorrowPending before it starts */
  union
  {
    gpointer               data;            /* before it starts: the body's, as is data_free; immutable */
    MorrowHome            *home;            /* once STARTED: immutable; see T1 */
    MorrowTask            *host;            /* once IN_PLACE: immutable; borrowed (T2) */
  };

  /* What a yield touches, and its switch, which lies in one line of the caches. */
  union
  {
    MorrowJob              job;             /* a loop's, while queued to start or to go on; MorrowInline's, while queued to start */
    MorrowWaiter           waiter;          /* the awaited future's, while parked */
    MorrowList             link;            /* while POOLED: in the pool's queue, under its lock */
  };
  union
  {
    MorrowCoroutineFunc    func;            /* before it starts: the body's; immutable */
    MorrowWait            *wait;            /* once STARTED: immutable: in the MorrowFiber whose stack it has, or in the MorrowThreadFrame
                                               on that. There as long as it has not settled, to who locks the future; to the home's
                                               thread, while it runs or is parked */
  };
  atomic_uint              cancel;          /* any thread: see "Cancelling" */
  _Atomic (guint8)         state;           /* any thread: MorrowTaskState */
  guint8                   paused : 1;      /* the home's thread: it is parked on a pause, not on a future */
  guint8                   passing_on : 1;  /* the home's thread: it cancels what it awaits, at this moment */
  guint8                   n_passed_on : 2; /* the home's thread: how often it has passed on the request passed_on, or older ones after it */
  guint8                   interruption : 4; /* the home's thread: MorrowInterruption; up to the byte's end, so that it is set at once */
  guint16                  id_era;          /* immutable: the upper bits of its id */
};

G_STATIC_ASSERT (sizeof (MorrowTask) == 96 || GLIB_SIZEOF_VOID_P != 8);

extern G_GNUC_INTERNAL MorrowFutureOps morrow__task_ops;

/* How many ids threads have taken. */
extern G_GNUC_INTERNAL atomic_uintptr_t morrow__task_ids_taken;

static inline gboolean
morrow__future_is_task (MorrowFuture *self)
{
  return morrow__future_get_ops (self) == &morrow__task_ops;
}

/* Starting. Who calls run_in_place or place has claimed it. */
void     morrow__task_start_on        (MorrowTask *self, MorrowExecutor *executor);
void     morrow__task_run_in_place    (MorrowTask *self, MorrowTask *host);
MorrowTaskBody morrow__task_place     (MorrowTask *self, MorrowTask *host);
void     morrow__task_run_placed      (MorrowTask *self, const MorrowTaskBody *body);
void     morrow__task_fail_placed     (MorrowTask *self, const MorrowTaskBody *body, GError *error);
void     morrow__task_abandon         (MorrowTask *self, GError *error);

/* In the task that runs. */
gboolean morrow__task_take_request    (MorrowTask *self, GError **error);
gboolean morrow__task_fail_asked      (MorrowTask *self, GError **error);
void     morrow__pause_end            (MorrowPause *self);

/* Cancelling: from any thread, and on the home's. */
gboolean morrow__task_cancel          (MorrowFuture *future, const char *message);
MorrowTask *morrow__task_ref_host     (MorrowTask *self);
void     morrow__task_deliver_cancel  (MorrowTask *self);
void     morrow__task_begin_asked_wait (MorrowTask *self);
gboolean morrow__task_inherit_request (MorrowTask *self, MorrowTask *creator);
void     morrow__task_begin_round     (gboolean is_sweep);
void     morrow__task_end_round       (void);
gboolean morrow__task_mark_swept      (MorrowTask *self);
void     morrow__task_sweep           (MorrowTask *self);
void     morrow__task_protect         (MorrowFuture *future);
void     morrow__task_put_off         (MorrowFuture *future);
void     morrow__task_inherit_spared  (MorrowTask *self, MorrowExecutor *executor);
gboolean morrow__task_interrupt       (MorrowTask *self, MorrowInterruption why);
void     morrow__cancellable_cancel   (MorrowFuture *future);

/* message.c, from any thread: the message of a request that @self has not been given. swap gives the one before; each takes @message,
 * which may be NULL. */
char    *morrow__task_swap_message    (MorrowTask *self, char *message);
void     morrow__task_return_message  (MorrowTask *self, char *message);

/* The compare-and-swap of the diagram. */
static inline gboolean
morrow__task_claim (MorrowTask *self, MorrowTaskState from, MorrowTaskState to)
{
  guint8 expected = from;

  /* Acquire and release: whoever wins sees the task as it was made, and the loser that it was taken. */
  return atomic_load_explicit (&self->state, memory_order_relaxed) == expected &&
         atomic_compare_exchange_strong_explicit (&self->state, &expected, to, memory_order_acq_rel, memory_order_relaxed);
}

static inline MorrowPending *
morrow__task_get_pending (MorrowTask *self)
{
  return &self->future.outcome.pending;
}

/* Whoever has claimed it, or made it. */
static inline MorrowTaskBody
morrow__task_get_body (MorrowTask *self)
{
  return (MorrowTaskBody) { self->func, self->data, morrow__task_get_pending (self)->data_free };
}

/* Before it starts: whether it is for a stack of the default size. */
static inline gboolean
morrow__task_is_of_usual_size (MorrowTask *self)
{
  return morrow__task_get_pending (self)->stack_kib == 0;
}

/* What its function is called. */
static inline const char *
morrow__task_func_name (MorrowTask *self)
{
  const char *name = morrow__future_get_func_name (&self->future);

  return name != NULL ? name : "?";
}

/* What it is called if nobody named it; from 1 on. */
static inline guint64
morrow__task_get_number (MorrowTask *self)
{
  guint64 id = atomic_load_explicit (&self->future.aux, memory_order_relaxed) & MORROW_TASK_ID_MASK;

  return ((guint64) self->id_era << MORROW_TASK_ID_BITS | id) + 1;
}

static inline MorrowTaskState
morrow__task_get_state (MorrowTask *self)
{
  /* Sequentially consistent: T1. It also acquires what lies in the body's place. */
  return atomic_load_explicit (&self->state, memory_order_seq_cst);
}

/* It starts: from now on it lives in @home, and has the stack of @wait. Gives what it is to run there, which is not in the task any more. */
static inline MorrowTaskBody
morrow__task_set_home (MorrowTask *self, MorrowHome *home, MorrowWait *wait)
{
  MorrowTaskBody body = morrow__task_get_body (self);

  wait->awaited = NULL;
  wait->passed_on = 0;
  atomic_init (&wait->request, 0);
  self->home = home;
  self->wait = wait;

  /* Sequentially consistent: T1, pairs with the load in morrow__task_get_state (). */
  morrow__store_seq_cst (&self->state, MORROW_TASK_STARTED);
  return body;
}

/* Its home, NULL before it has one. */
static inline MorrowHome *
morrow__task_get_home (MorrowTask *self)
{
  return morrow__task_get_state (self) >= MORROW_TASK_STARTED ? self->home : NULL;
}

/* The task that it is a part of, NULL when it is none. */
static inline MorrowTask *
morrow__task_get_host (MorrowTask *self)
{
  return morrow__task_get_state (self) == MORROW_TASK_IN_PLACE ? self->host : NULL;
}

/* What it waits for while parked; NULL when that is no future. The home's thread, or who looks at it while that is at rest; for one that
 * has started, and whose stack is there. */
static inline MorrowFuture *
morrow__task_get_awaited (MorrowTask *self)
{
  return self->paused ? NULL : self->wait->awaited;
}

/* Where it runs, on a loop. */
static inline MorrowFiber *
morrow__task_get_fiber (MorrowTask *self)
{
  return morrow__container_of (self->wait, MorrowFiber, wait);
}

/* What it has on its stack, on a thread. */
static inline MorrowThreadFrame *
morrow__task_get_frame (MorrowTask *self)
{
  return morrow__container_of (self->wait, MorrowThreadFrame, wait);
}

static inline MorrowTask *
morrow__task_of_job (MorrowJob *job)
{
  return (MorrowTask *) ((char *) job - G_STRUCT_OFFSET (MorrowTask, job));
}

/* TRUE, and the error to fail with, when a request is pending, or when the task is being swept up: then each suspension
 * point fails. The home's thread. */
static inline gboolean
morrow__task_fail_cancelled (MorrowTask *self, GError **error)
{
  guint cancel = atomic_load_explicit (&self->cancel, memory_order_relaxed);

  return morrow__unlikely (cancel & (MORROW__CANCEL_PENDING | MORROW__CANCEL_STICKY)) && morrow__task_fail_asked (self, error);
}

/* Whether a request is pending. */
static inline gboolean
morrow__task_is_asked (MorrowTask *self)
{
  /* Sequentially consistent: T1, pairs with the exchange in cancel.c:leave_request (). */
  return (atomic_load_explicit (&self->cancel, memory_order_seq_cst) & MORROW__CANCEL_PENDING) != 0;
}

/* TRUE, and the error to fail with, when a request is pending; it is not pending any more. The home's thread. */
static inline gboolean
morrow__task_take_cancel (MorrowTask *self, GError **error)
{
  return morrow__unlikely (morrow__task_is_asked (self)) && morrow__task_take_request (self, error);
}
