/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A coroutine and a task are one object: a coroutine is a task that has not started.
 *
 * STATES (the state field)
 *
 *              morrow_create_task (), a gather ...               its home takes it
 *      LAZY ---------------------------------------> QUEUED ---------------------> STARTED ---> the future settles
 *       |                                               |
 *       |  awaited: runs in place, on the awaiter's     |  cancelled before it started: it still
 *       '----- stack, inside the awaiter's task ----> IN_PLACE    goes to a home, which settles it without running it
 *
 *   LAZY -> QUEUED and LAZY -> IN_PLACE race between threads, and so does QUEUED -> STARTED on a thread pool, where
 *   the awaiting worker may take the task from the queue: each is a compare-and-swap, and whoever wins runs it.
 *
 *   What runs in place is a part of the task that awaits it, its host: it has no home, never parks, and to cancel it is
 *   to cancel the host. The host lives while this has not settled, so that whoever holds this one's lock may take a
 *   reference of it (T2).
 *
 * CANCELLING (the cancel field): the number of requests, and three bits, of which LINKED is cancellable.c's.
 *   PENDING   a request that the task has not been given yet: it is given once, at the next suspension point, whatever the number of requests
 *   STICKY    the task is being swept up: every suspension point fails from now on, but for a shield
 *
 *   A request may come from any thread: it sets PENDING, then looks whether the task has a home (T1). The home takes
 *   the task, and then looks at PENDING (T1). Both are sequentially consistent, so that at least one sees the other:
 *   a request is not lost. PENDING is cleared by the home's thread alone, so that it is not delivered twice. */

#pragma once

#include <morrow/task.h>

#include "core/future-private.h"
#include "exec/home-private.h"
#include "fiber/fiber-private.h"

#define MORROW__CANCEL_PENDING 1u
#define MORROW__CANCEL_STICKY  2u
#define MORROW__CANCEL_LINKED  4u   /* somebody has a GCancellable that is to be cancelled with it */
#define MORROW__CANCEL_ONE     8u   /* a request */

typedef enum
{
  MORROW_TASK_LAZY,
  MORROW_TASK_QUEUED,
  MORROW_TASK_STARTED,
  MORROW_TASK_IN_PLACE,   /* started, as a part of its host */
  MORROW_TASK_WOKEN       /* started, and to go on: a thread home's */
} MorrowTaskState;

struct _MorrowTask
{
  MorrowFuture             future;
  MorrowJob                job;             /* the executor's, while queued to start or to go on */
  MorrowWaiter             waiter;          /* the awaited future's, while parked */

  MorrowCoroutineFunc      func;            /* immutable */
  gpointer                 data;            /* released by whoever ran it */
  GDestroyNotify           data_free;       /* immutable */
  const char              *func_name;       /* immutable; NULL when not known */

  atomic_uint              state;           /* any thread: MorrowTaskState */
  atomic_uint              cancel;          /* any thread: see "Cancelling" */
  _Atomic (char *)         cancel_message;  /* any thread, by exchange; owned */
  _Atomic (MorrowHome *)   home;            /* set when started, then immutable (T1) */

  MorrowFuture            *awaiting;        /* the home's thread: what it waits for while parked, borrowed from the awaiting call; on a thread
                                               pool others read it under the pool's lock */
  union
  {
    MorrowFiber           *fiber;           /* the home's thread: its stack, on a loop */
    _Atomic (MorrowTask *) host;            /* in place: set once by whoever runs it (T2); borrowed */
  };
  MorrowList               link;            /* the home's thread: among the tasks alive there; on a thread pool under its lock */
  guint                    id;              /* immutable: what it is called if nobody named it */
  guint                    stack_kib : 30;  /* before it starts: the size of its stack, 0 for the default */
  guint                    interrupted : 1; /* the home's thread: it is to go on because a cancel detached it from what it awaited */
};

extern const MorrowFutureOps morrow__task_ops;

static inline gboolean
morrow__future_is_task (MorrowFuture *self)
{
  return self->ops == &morrow__task_ops;
}

/* Starting. claim is the compare-and-swap of the diagram; run_* are called by the home that has claimed. */
gboolean morrow__task_claim           (MorrowTask *self, MorrowTaskState from, MorrowTaskState to);
void     morrow__task_start_on        (MorrowTask *self, MorrowExecutor *executor);
void     morrow__task_set_home        (MorrowTask *self, MorrowHome *home);
void     morrow__task_run             (MorrowTask *self);
void     morrow__task_run_in_place    (MorrowTask *self, MorrowTask *host);
void     morrow__task_abandon         (MorrowTask *self, GError *error);

/* Waiting, in the task that runs: FALSE when a cancel came instead, or an error. */
gboolean morrow__task_wait            (MorrowTask *self, MorrowFuture *future, GError **error);
gboolean morrow__task_take_cancel     (MorrowTask *self, GError **error);

/* Cancelling: from any thread, and on the home's. */
gboolean morrow__task_cancel          (MorrowFuture *future, const char *message);
void     morrow__task_deliver_cancel  (MorrowTask *self);
void     morrow__task_sweep           (MorrowTask *self);
void     morrow__cancellable_cancel   (MorrowFuture *future);

static inline gboolean
morrow__task_is_in_place (MorrowTask *self)
{
  return atomic_load_explicit (&self->state, memory_order_relaxed) == MORROW_TASK_IN_PLACE;
}

static inline MorrowTask *
morrow__task_of_job (MorrowJob *job)
{
  return (MorrowTask *) ((char *) job - G_STRUCT_OFFSET (MorrowTask, job));
}
