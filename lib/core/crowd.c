/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A crowd is the list as it was, newest first, and beside it a table that has for each waiter the one that came after it. So waiters
 * need no room for a second link, and those that stand in many lists at once, which nobody may write to, can be in a crowd. */

#include "config.h"

#include "core/crowd-private.h"

struct _MorrowCrowd
{
  MorrowWaiter *newest;
  GHashTable   *newer;   /* owned: of each waiter but the newest */
};

MorrowCrowd *
morrow__crowd_new (MorrowWaiter *newest)
{
  MorrowCrowd *self = g_new (MorrowCrowd, 1);

  *self = (MorrowCrowd) { .newest = newest, .newer = g_hash_table_new (NULL, NULL) };
  for (MorrowWaiter *waiter = newest; waiter->next != NULL; waiter = waiter->next)
    g_hash_table_insert (self->newer, waiter->next, waiter);
  return self;
}

void
morrow__crowd_push (MorrowCrowd *self, MorrowWaiter *waiter)
{
  waiter->next = self->newest;
  g_hash_table_insert (self->newer, self->newest, waiter);
  self->newest = waiter;
}

void
morrow__crowd_remove (MorrowCrowd *self, MorrowWaiter *waiter)
{
  MorrowWaiter *newer = g_hash_table_lookup (self->newer, waiter), *older = waiter->next;

  if (newer == NULL)
    {
      self->newest = older;
      g_hash_table_remove (self->newer, older);
      return;
    }

  newer->next = older;
  g_hash_table_remove (self->newer, waiter);
  if (older != NULL)
    g_hash_table_insert (self->newer, older, newer);
}

MorrowWaiter *
morrow__crowd_newest (MorrowCrowd *self)
{
  return self->newest;
}

gboolean
morrow__crowd_is_small (MorrowCrowd *self)
{
  return g_hash_table_size (self->newer) < MORROW_CROWD_MIN / 2;
}

MorrowWaiter *
morrow__crowd_dissolve (MorrowCrowd *self)
{
  MorrowWaiter *newest = self->newest;

  g_hash_table_unref (self->newer);
  g_free (self);
  return newest;
}
