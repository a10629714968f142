/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See hopeless-private.h. */

#include "config.h"

#include "exec/hopeless-private.h"

void
morrow__search_clear (MorrowSearch *self)
{
  g_hash_table_unref (self->seen);
}

static gboolean
visit_task (MorrowSearch *self, MorrowTask *task)
{
  MorrowTask *host = morrow__task_get_host (task) != NULL ? morrow__task_ref_host (task) : NULL;
  gboolean hopeless;

  if (host == NULL)
    return self->is_hopeless (self, task);

  hopeless = morrow__search_awaited (&host->future, self);
  morrow_future_unref (&host->future);
  return hopeless;
}

static gboolean
visit (MorrowSearch *self, MorrowFuture *future)
{
  gboolean hopeless = FALSE;

  if (++self->depth < MORROW_SEARCH_MAX_DEPTH)
    {
      if (morrow__future_is_task (future))
        hopeless = visit_task (self, (MorrowTask *) future);
      else if (morrow__future_get_ops (future)->visit_awaited != NULL)
        hopeless = morrow__future_get_ops (future)->visit_awaited (future, morrow__search_awaited, self);
      else
        hopeless = self->unknown && !morrow__future_get_ops (future)->settles_itself;
    }
  self->depth--;
  return hopeless;
}

gboolean
morrow__search_awaited (MorrowFuture *awaited, gpointer search)
{
  MorrowSearch *self = search;
  gpointer known;

  if (morrow__future_is_settled (awaited))
    return FALSE;
  if (g_hash_table_lookup_extended (self->seen, awaited, NULL, &known))
    {
      self->came_back |= awaited == self->start;
      return GPOINTER_TO_INT (known);
    }

  g_hash_table_insert (self->seen, awaited, GINT_TO_POINTER (TRUE));
  self->n_hopeless++;
  if (visit (self, awaited))
    return TRUE;

  self->was_mistaken = TRUE;
  self->n_hopeless--;
  g_hash_table_insert (self->seen, awaited, GINT_TO_POINTER (FALSE));
  return FALSE;
}

static gboolean
is_true (gpointer key, gpointer value, gpointer data)
{
  return GPOINTER_TO_INT (value);
}

/* Holds only under what was assumed. */
static void
forget_hopeless (MorrowSearch *self)
{
  if (self->n_hopeless > 0)
    g_hash_table_foreach_remove (self->seen, is_true, NULL);
  self->n_hopeless = 0;
}

gboolean
morrow__search_task (MorrowSearch *self, MorrowTask *task)
{
  gboolean hopeless;

  self->start = &task->future;
  do
    {
      self->was_mistaken = self->came_back = FALSE;
      hopeless = morrow__search_awaited (&task->future, self);
      forget_hopeless (self);
    }
  while (hopeless && self->was_mistaken);
  return hopeless;
}
