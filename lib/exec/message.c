/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The messages of requests to cancel that tasks have not been given yet. Few requests have one, so that they lie in a table, and not in
 * each task.
 *
 * A request's message is there before the request is, and the bit in aux stays set as long as there is one: so who takes a request (T1)
 * and finds the bit not set has missed nothing. Who finds it set looks with the lock. */

#include "config.h"

#include "base/fork-private.h"
#include "exec/task-private.h"

MORROW__FORK_LOCK (lock)

static GHashTable *messages;   /* under the lock: of a MorrowTask, as long as it has one, a string, owned; NULL where there is none */

/* All with the lock. */
static char *
find (MorrowTask *self)
{
  return messages != NULL ? g_hash_table_lookup (messages, self) : NULL;
}

static void
put (MorrowTask *self, char *message)
{
  if (messages == NULL)
    messages = g_hash_table_new (NULL, NULL);
  g_hash_table_insert (messages, self, message);
  atomic_fetch_or_explicit (&self->future.aux, MORROW_TASK_HAS_MESSAGE, memory_order_relaxed);
}

static void
forget (MorrowTask *self)
{
  if (messages == NULL || !g_hash_table_remove (messages, self))
    return;

  atomic_fetch_and_explicit (&self->future.aux, ~MORROW_TASK_HAS_MESSAGE, memory_order_relaxed);
  if (g_hash_table_size (messages) == 0)
    g_clear_pointer (&messages, g_hash_table_unref);
}

char *
morrow__task_swap_message (MorrowTask *self, char *message)
{
  char *before;

  /* Relaxed: see above. Who frees the task is the last that knows it (R1). */
  if (message == NULL && !(atomic_load_explicit (&self->future.aux, memory_order_relaxed) & MORROW_TASK_HAS_MESSAGE))
    return NULL;

  pthread_mutex_lock (&lock);
  before = find (self);
  if (message != NULL)
    put (self, message);
  else
    forget (self);
  pthread_mutex_unlock (&lock);
  return before;
}

/* Gives a message back that was taken, unless another has come. */
void
morrow__task_return_message (MorrowTask *self, char *message)
{
  gboolean newer;

  if (message == NULL)
    return;

  pthread_mutex_lock (&lock);
  newer = find (self) != NULL;
  if (!newer)
    put (self, message);
  pthread_mutex_unlock (&lock);
  if (newer)
    g_free (message);
}
