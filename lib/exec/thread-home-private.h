/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A thread as a home: tasks run on its own stack, and one that waits blocks it. */

#pragma once

#include "base/parker-private.h"
#include "exec/task-private.h"

typedef struct _MorrowThreadHome MorrowThreadHome;

/* What the executor does around a wait. */
typedef struct
{
  /* Before the thread blocks: may run other work meanwhile; FALSE and an error when nothing could ever wake it.
   * @awaited is NULL when it is a descriptor that it waits for. */
  gboolean (*before) (MorrowThreadHome *self, MorrowTask *task, MorrowFuture *awaited, GError **error);

  /* Each time before the thread sleeps: may run other work; TRUE when it did, so that the wait is looked at again. */
  gboolean (*idle)   (MorrowThreadHome *self);

  void     (*after)  (MorrowThreadHome *self, MorrowTask *task);

  /* A home's inherit (). */
  void     (*inherit) (MorrowTask *task);

  /* In a task that yields: may run other work, or see to it that another thread does; TRUE when it did the former. */
  gboolean (*yield)  (MorrowThreadHome *self);
} MorrowBlocking;

struct _MorrowThreadHome
{
  MorrowHome            home;
  MorrowParker          parker;     /* any thread unparks it */
  const MorrowBlocking *blocking;   /* the thread */
  _Atomic (gpointer)    executor;   /* the thread; any, relaxed, who knows of a task here that has not settled: whose
                                       tasks it runs now; borrowed */
  gboolean              is_worker;  /* the thread, before it first waits; others under the executor's lock: it is one of
                                       a pool's own */
  GPtrArray            *parked;     /* the thread: the tasks that wait on its stack, the topmost last; borrowed */
  MorrowList            link;       /* under the pool's lock, as is the next: among those where a task waits */
  MorrowTask           *top;        /* the topmost of them; borrowed */
  MorrowFiber           stack;      /* the thread: that which it entered on, and what it goes on on where that is used up */
  MorrowStackPool      *stacks;     /* the thread: others; NULL until one is needed */
  MorrowHome           *outer_home; /* the thread: what to put back */
  MorrowExecutor       *outer_executor;
  MorrowThreadHome     *next_free;  /* under the lock of the free list */
};

static inline MorrowThreadHome *
morrow__thread_home_of (MorrowHome *home)
{
  return morrow__container_of (home, MorrowThreadHome, home);
}

/* Makes this thread a home for the tasks of @executor. */
MorrowThreadHome *morrow__thread_home_enter (MorrowExecutor *executor, const MorrowBlocking *blocking);
void              morrow__thread_home_leave (MorrowThreadHome *self);

/* Whether less than @room is left of the stack. */
static inline gboolean
morrow__thread_home_is_short_of (MorrowThreadHome *self, gsize room)
{
  return !morrow__fiber_has_room (&self->stack, room);
}

/* Calls @func on another stack, inside whatever runs there. FALSE and a G_IO_ERROR when none could be had. */
gboolean          morrow__thread_home_call  (MorrowThreadHome *self, gsize stack_size, void (*func) (gpointer data), gpointer data,
                                             GError **error);

/* On the home's stack, inside whatever runs there: runs a task that the caller has claimed, and holds. */
void              morrow__thread_home_run   (MorrowThreadHome *self, MorrowTask *task);

/* A wait for a descriptor. */
typedef struct
{
  int                fd;         /* -1 for none: only until the deadline */
  int                events;     /* poll ()'s */
  gint64             deadline;   /* G_MAXINT64 for none */
  const atomic_uint *flags;      /* when one of @stop is set in these, the wait is over; whoever sets it unparks the home */
  guint              stop;
} MorrowPoll;

gboolean          morrow__thread_home_poll  (MorrowThreadHome *self, const MorrowPoll *wait, GError **error);
MorrowThreadHome *morrow__thread_home_here  (void);
