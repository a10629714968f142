/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of all, any, race and gather: what the whole settles with, and where what the children gave is released.
 *
 * It is reached once, when all children have settled and nobody walks them (PENDING and C1 in combine.c): so whoever reaches it
 * is alone with them, but for who only looks on (C2). */

#include "config.h"

#include "base/likely-private.h"
#include "core/combine-private.h"
#include "core/error-private.h"
#include "core/executor-private.h"

/* --- what it settles with ---------------------------------------------------------------------------------------- */

/* The value is the whole, under its other name. */
static void
resolve_with_results (MorrowCombine *self)
{
  GValue value = G_VALUE_INIT;

  self->has_results = TRUE;
  atomic_init (&self->result_refs, 1);
  g_value_init (&value, MORROW_TYPE_RESULTS);
  g_value_take_boxed (&value, (MorrowResults *) self);
  morrow__future_resolve_move (&self->future, &value);
}

/* A group gives its errors, none of which is one: so groups do not nest, however deep the futures do. */
static void
add_error (GPtrArray *errors, const GError *error)
{
  GPtrArray *children = morrow_error_get_children (error);

  if (children == NULL)
    g_ptr_array_add (errors, g_error_copy (error));
  for (guint i = 0; children != NULL && i < children->len; i++)
    g_ptr_array_add (errors, g_error_copy (g_ptr_array_index (children, i)));
}

/* any, and all have failed. */
static void
reject_with_group (MorrowCombine *self)
{
  GPtrArray *errors = g_ptr_array_new_full (self->n, (GDestroyNotify) g_error_free);

  for (gsize i = 0; i < self->n; i++)
    add_error (errors, morrow_future_get_error (self->children[i]));
  morrow__future_reject (&self->future, morrow__error_new_group (errors, "None succeeded"));
}

/* A child's cancel is a failure of a gather, and not its own cancel. */
void
morrow__combine_settle_as_decided (MorrowCombine *self, MorrowFuture *decisive)
{
  if (self->mode == MORROW_COMBINE_GATHER && morrow_future_is_cancelled (decisive))
    morrow__future_reject (&self->future, g_error_copy (morrow__future_get_error (decisive)));
  else
    morrow__future_settle_like (&self->future, decisive);
}

/* FALSE when it is the children's results that it is to settle with. */
static gboolean
settle_without_results (MorrowCombine *self)
{
  MorrowFuture *decisive = atomic_load_explicit (&self->decisive, memory_order_relaxed);   /* relaxed: C1 */

  if (atomic_load_explicit (&self->n_cancels, memory_order_relaxed) > 0)
    morrow__future_settle_cancelled (&self->future, atomic_load_explicit (&self->message, memory_order_relaxed));
  else if (morrow__future_is_settled (&self->future))
    ;                             /* gather has failed before */
  else if (decisive != NULL)
    morrow__combine_settle_as_decided (self, decisive);
  else if (self->mode == MORROW_COMBINE_ANY)
    reject_with_group (self);
  else
    return FALSE;

  return TRUE;
}

/* --- letting go -------------------------------------------------------------------------------------------------- */

static gboolean
may_belong_to_a_thread (MorrowFuture *child)
{
  GType type = morrow__future_peek (child) & MORROW__REJECTED ? G_TYPE_INVALID : G_VALUE_TYPE (&child->outcome.value);

  return type != G_TYPE_INVALID &&
         (G_TYPE_FUNDAMENTAL (type) == G_TYPE_INTERFACE || G_TYPE_FUNDAMENTAL (type) >= G_TYPE_BOXED);
}

/* Whether this is not the executor on which the whole was made, and a value may be of the thread of that. */
static gboolean
is_elsewhere (MorrowCombine *self)
{
  if (self->executor == NULL || self->executor == morrow__executor_current || !morrow__executor_is_ours (self->executor) ||
      morrow_executor_get_n_threads (self->executor) > 1)
    return FALSE;

  for (gsize i = 0; i < self->n; i++)
    if (may_belong_to_a_thread (self->children[i]))
      return TRUE;
  return FALSE;
}

void
morrow__combine_drop_children (MorrowCombine *self)
{
  for (gsize i = 0; i < self->n; i++)
    {
      morrow__combine_prefetch_after (self, i);
      morrow_future_unref (self->children[i]);
    }
}

/* Before it settles, where nothing is left to be done there: who waits for it may let go of the executor right after, and that is
 * to be its end. */
static inline void
release_executor (MorrowCombine *self)
{
  if (self->executor != NULL)
    morrow__executor_release (self->executor);
}

/* Settles. FALSE when the children are the results, which nobody else is to drop. */
static inline gboolean
settle (MorrowCombine *self)
{
  if (settle_without_results (self))
    return TRUE;

  resolve_with_results (self);
  return FALSE;
}

static inline MorrowCombine *
combine_of_job (MorrowJob *job)
{
  return G_STRUCT_MEMBER_P (job, -(glong) G_STRUCT_OFFSET (MorrowCombine, job));
}

/* Whoever still has a reference keeps the outcome, and not the executor. */
static void
release_there (MorrowJob *job, gboolean closed)
{
  MorrowCombine *self = combine_of_job (job);
  MorrowExecutor *executor = self->executor;

  morrow_future_unref (&self->future);
  morrow__executor_release (executor);
}

static void
drop_children_there (MorrowJob *job, gboolean closed)
{
  morrow__combine_drop_children (combine_of_job (job));
  release_there (job, closed);
}

/* Objects that the children gave, and nobody took, are released where the whole was made, as a callback's data is. */
static void
finish_elsewhere (MorrowCombine *self)
{
  self->job.run = settle (self) ? drop_children_there : release_there;
  morrow__executor_post (self->executor, &self->job);
}

/* All children have settled, and nobody walks them. */
void
morrow__combine_finish (MorrowCombine *self)
{
  if (morrow__seldom (is_elsewhere (self)))
    {
      finish_elsewhere (self);
      return;
    }

  release_executor (self);
  if (settle (self))
    morrow__combine_drop_children (self);
  morrow_future_unref (&self->future);
}
