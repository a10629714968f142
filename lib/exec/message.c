/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The messages of requests to cancel that tasks have not been given yet. Few requests have one, so that they lie in a table, and not in
 * each task.
 *
 * A request's message is there before the request is, and who takes that has seen it (T1): so a task whose bit in aux is not set has
 * none that anybody would miss. */

#include "config.h"

#include "base/fork-private.h"
#include "exec/task-private.h"

MORROW__FORK_LOCK (lock)

static GHashTable *messages;   /* under the lock: of a MorrowTask, as long as it has one, a string, owned; NULL where there is none */

/* The rest with the lock. */
static char *
take (MorrowTask *self)
{
  gpointer message = NULL;

  if (messages == NULL || !g_hash_table_steal_extended (messages, self, NULL, &message))
    return NULL;

  atomic_fetch_and_explicit (&self->future.aux, ~MORROW_TASK_HAS_MESSAGE, memory_order_relaxed);
  if (g_hash_table_size (messages) == 0)
    g_clear_pointer (&messages, g_hash_table_unref);
  return message;
}

static void
put (MorrowTask *self, char *message)
{
  if (messages == NULL)
    messages = g_hash_table_new (NULL, NULL);
  g_hash_table_insert (messages, self, message);
  atomic_fetch_or_explicit (&self->future.aux, MORROW_TASK_HAS_MESSAGE, memory_order_relaxed);
}

char *
morrow__task_swap_message (MorrowTask *self, char *message)
{
  char *before;

  /* Relaxed: see above. Who frees the task is the last that knows it (R1). */
  if (message == NULL && !(atomic_load_explicit (&self->future.aux, memory_order_relaxed) & MORROW_TASK_HAS_MESSAGE))
    return NULL;

  pthread_mutex_lock (&lock);
  before = take (self);
  if (message != NULL)
    put (self, message);
  pthread_mutex_unlock (&lock);
  return before;
}

/* Gives a message back that was taken, unless another has come. */
void
morrow__task_return_message (MorrowTask *self, char *message)
{
  char *after;

  if (message == NULL)
    return;

  pthread_mutex_lock (&lock);
  after = take (self);
  put (self, after != NULL ? after : message);
  pthread_mutex_unlock (&lock);
  if (after != NULL)
    g_free (message);
}
