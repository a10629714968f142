/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A home is where a started task lives for good: a loop, which parks its fiber, or a thread, which blocks.
 *
 * VISITING
 *   Tasks, and a loop's sleeps, live in a home, but do not hold it. Who cancels one from outside reaches for its home.
 *   H1: the visitor counts itself, then looks whether the future has settled; a home that goes has settled all that
 *   lives there, then waits until there is no visitor. Both go through one counter by exchanges, so that one of the two
 *   sees the other: when a visitor sees a future that has not settled, its home is there until the visitor leaves. */

#pragma once

#include "core/executor-private.h"
#include "fiber/fiber-private.h"

typedef struct _MorrowHome MorrowHome;
typedef struct _MorrowTask MorrowTask;
typedef struct _MorrowHomeClass MorrowHomeClass;

/* A task waits in one of two ways. On a loop it has a stack of its own, and switches to the next itself, in the very
 * function that waits (scheduler-private.h): processors predict where a function returns to from where it was
 * called, and after a switch each return that was called before it is mispredicted, at 5 ns. Elsewhere park () blocks. */
struct _MorrowHomeClass
{
  /* Not on a loop. The home's thread, in @task: returns once wake () was called for it. @awaited is what it waits
   * for. FALSE and an error when that can never be. */
  gboolean (*park) (MorrowHome *self, MorrowTask *task, MorrowFuture *awaited, GError **error);

  /* Any thread: lets a parked task go on; once for each park. On a loop's own thread morrow__task_wake () does it without. */
  void     (*wake) (MorrowHome *self, MorrowTask *task);

  /* Another thread: has the home call morrow__task_deliver_cancel (), soon. */
  void     (*poke) (MorrowHome *self, MorrowTask *task);

  /* The home's thread, in @task: has it asked for what the tasks are asked that it is a part of. NULL where it is a part of
   * none. */
  void     (*inherit) (MorrowHome *self, MorrowTask *task);

  /* Not on a loop. The home's thread, in @task: lets the other ready tasks run, after which @task goes on. */
  void     (*yield) (MorrowHome *self, MorrowTask *task);
};

struct _MorrowHome
{
  const MorrowHomeClass *klass;     /* immutable */
  MorrowExecutor        *executor;  /* immutable: of a loop, who sweeps it; NULL for a thread's; borrowed */
  MorrowTask            *current;   /* the home's thread: the task that runs, or that the stack switched to is to run; NULL outside any */
  int                   *errno_at;  /* the home's thread: where its errno is, on a loop, once a thread has taken that; NULL on a thread's */
  gboolean               has_asked; /* the home's thread: has given other threads tasks or jobs, and on a loop got none since */
};

void morrow__home_visit             (void);
void morrow__home_leave_visit       (void);
void morrow__home_wait_for_visitors (void);

/* The home's thread: whether that is a loop's. By what a wait there reads anyway. */
static inline gboolean
morrow__home_is_loop (const MorrowHome *self)
{
  return self->errno_at != NULL;
}

/* The home of this thread, NULL when it has none: set by what runs tasks here, and by nobody else. */
extern __thread MorrowHome *morrow__home;

/* Another thread is given something, and may reply. */
static inline void
morrow__home_note_ask (void)
{
  if (morrow__home != NULL)
    morrow__home->has_asked = TRUE;
}
