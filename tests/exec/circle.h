/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tasks that wait for each other in a circle, and what they are told.
 */
#pragma once

#include <stdatomic.h>

#include "exec/scene.h"

enum
{
  MAX_CIRCLE = 4
};

/* Task i awaits task i + 1, the last the first. */
typedef struct
{
  guint         n;
  MorrowFuture *tasks[MAX_CIRCLE];   /* complete before the gate opens */
  MorrowFuture *gate;
  atomic_uint   n_deadlocks;
} Circle;

typedef struct
{
  Circle *circle;
  guint   i;
} Member;

static inline gboolean
await_next (gpointer data, GValue *result, GError **error)
{
  const Member *self = data;
  Circle *circle = self->circle;
  g_autoptr (GError) why = NULL;

  if (!morrow_future_await (circle->gate, error))
    return FALSE;
  if (morrow_future_await (circle->tasks[(self->i + 1) % circle->n], &why))
    return TRUE;

  assert_error (why, MORROW_ERROR, MORROW_ERROR_DEADLOCK);
  atomic_fetch_add (&circle->n_deadlocks, 1);
  return TRUE;
}

static inline gboolean
make_circle (gpointer data, GValue *result, GError **error)
{
  Circle *circle = data;
  Member members[MAX_CIRCLE];
  MorrowPromise *open;
  gboolean ok = TRUE;

  circle->gate = new_pending (&open);
  for (guint i = 0; i < circle->n; i++)
    {
      members[i] = (Member) { circle, i };
      circle->tasks[i] = morrow_create_task (morrow_coroutine (await_next, &members[i], NULL));
    }
  morrow_promise_resolve (open);
  morrow_promise_unref (open);

  for (guint i = 0; i < circle->n; i++)
    ok = morrow_future_await (circle->tasks[i], ok ? error : NULL) && ok;
  for (guint i = 0; i < circle->n; i++)
    morrow_future_unref (circle->tasks[i]);
  morrow_future_unref (circle->gate);
  return ok;
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
