/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running a task's body, to the task's outcome: inline in the homes, for which a call of it would be a tenth of what an empty task
 * takes. */

#pragma once

#include "exec/task-private.h"

/* task.c: where not all has gone well. */
void morrow__task_check_result (MorrowTask *self, gboolean ok, GValue *result, GError **error);
void morrow__task_fail         (MorrowTask *self, GError *error);

static inline void
morrow__task_release_body (const MorrowTaskBody *body)
{
  if (body->data_free != NULL)
    body->data_free (body->data);
}

static inline void
morrow__task_call_body (MorrowTask *self, const MorrowTaskBody *body, GValue *result, GError **error)
{
  gboolean ok = body->func (body->data, result, error);

  if (morrow__unlikely (!ok || *error != NULL))
    morrow__task_check_result (self, ok, result, error);
}

/* As the task itself. FALSE when there is a request that it has not been given; else it has resolved, and whoever asks from now on is
 * told so (T3). */
static inline gboolean
morrow__task_resolve (MorrowTask *self, GValue *result)
{
  guintptr claimed = morrow__future_claim (&self->future);

  /* Relaxed: T3, the claim has acquired what was asked before. */
  if (morrow__unlikely (atomic_load_explicit (&self->cancel, memory_order_relaxed) & MORROW__CANCEL_PENDING))
    {
      morrow__future_end_look (&self->future);
      return FALSE;
    }

  morrow__future_publish_move (&self->future, claimed, result);
  return TRUE;
}

/* As the task itself, on its home, which has its body. A request that comes before its first step ends it as cancelled, and so does one
 * that it was never given, unless it has failed of its own. */
static inline void
morrow__task_run (MorrowTask *self, const MorrowTaskBody *body)
{
  GValue result = G_VALUE_INIT;
  GError *error = NULL;

  if (morrow__likely (!morrow__task_take_cancel (self, &error)))
    morrow__task_call_body (self, body, &result, &error);
  morrow__task_release_body (body);

  while (morrow__likely (error == NULL) && morrow__unlikely (!morrow__task_resolve (self, &result)))
    if (morrow__task_take_request (self, &error) && G_IS_VALUE (&result))
      g_value_unset (&result);
  if (morrow__unlikely (error != NULL))
    morrow__task_fail (self, error);
}
