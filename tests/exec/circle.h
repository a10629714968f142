/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tasks that wait for each other in a circle, and what they are told.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "exec/scene.h"

enum
{
  MAX_CIRCLE = 4
};

typedef struct _Circle Circle;

typedef struct
{
  Circle *circle;
  guint   i;
} Member;

/* Task i awaits task i + 1, the last the first. */
struct _Circle
{
  guint              n;
  Member             members[MAX_CIRCLE];
  MorrowFuture      *tasks[MAX_CIRCLE];   /* complete before the gate opens */
  MorrowFuture      *gate;
  pthread_barrier_t *spread;   /* NULL, or where each, and who made them, holds his thread until all have started */
  atomic_uint        n_deadlocks;
};

/* In a member, once all are complete: the task to wait for. NULL and the error when a cancel came. */
static inline MorrowFuture *
enter_circle (const Member *self, GError **error)
{
  Circle *circle = self->circle;

  if (circle->spread != NULL)
    pthread_barrier_wait (circle->spread);
  return morrow_future_await (circle->gate, error) ? circle->tasks[(self->i + 1) % circle->n] : NULL;
}

static inline void
create_circle (Circle *circle, MorrowCoroutineFunc func)
{
  MorrowPromise *open;

  circle->gate = new_pending (&open);
  for (guint i = 0; i < circle->n; i++)
    {
      circle->members[i] = (Member) { circle, i };
      circle->tasks[i] = morrow_create_task (morrow_coroutine (func, &circle->members[i], NULL));
    }
  if (circle->spread != NULL)
    pthread_barrier_wait (circle->spread);
  morrow_promise_resolve (open);
  morrow_promise_unref (open);
}

static inline void
drop_circle (Circle *circle)
{
  for (guint i = 0; i < circle->n; i++)
    morrow_future_unref (circle->tasks[i]);
  morrow_future_unref (circle->gate);
}

static inline gboolean
await_circle (Circle *circle, GError **error)
{
  gboolean ok = TRUE;

  for (guint i = 0; i < circle->n; i++)
    ok = morrow_future_await (circle->tasks[i], ok ? error : NULL) && ok;
  drop_circle (circle);
  return ok;
}

static inline gboolean
await_next (gpointer data, GValue *result, GError **error)
{
  const Member *self = data;
  MorrowFuture *next = enter_circle (self, error);
  g_autoptr (GError) why = NULL;

  if (next == NULL)
    return FALSE;
  if (morrow_future_await (next, &why))
    return TRUE;

  assert_error (why, MORROW_ERROR, MORROW_ERROR_DEADLOCK);
  atomic_fetch_add (&self->circle->n_deadlocks, 1);
  return TRUE;
}

static inline gboolean
make_circle (gpointer data, GValue *result, GError **error)
{
  create_circle (data, await_next);
  return await_circle (data, error);
}

/* Awaits, borrowing; where that is hopeless, counts and goes on. When it was hopeless for main, this may be swept. */
static inline gboolean
await_in_circle (MorrowFuture *future, atomic_uint *n_deadlocks)
{
  g_autoptr (GError) why = NULL;

  if (morrow_future_await (future, &why))
    return TRUE;

  if (g_error_matches (why, MORROW_ERROR, MORROW_ERROR_DEADLOCK))
    atomic_fetch_add (n_deadlocks, 1);
  else
    assert_cancelled (why);
  return TRUE;
}
