/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The gate before a host: how many requests may be under way to it, in the whole process.
 *
 * Whoever finds the gate full waits for a promise, in a queue. Whoever leaves hands the place
 * over, by resolving the promise of the first in the queue; the count does not change then. A
 * promise that cannot be resolved was cancelled, and the next one has its turn. One that was
 * resolved, but whose task was cancelled before it came to know, has a place that it must hand
 * on: so no place is ever lost.
 *
 * The places in a child's copy are held by threads that it does not have, as the lock may be: it
 * begins with no gate and a new lock (process.c). Who was inside as it forked leaves nothing. */

#include "config.h"

#include <pthread.h>

#include <morrow/morrow.h>

#include "http/gate-private.h"

typedef struct
{
  char   *origin;    /* owned */
  guint   n_inside;
  GQueue  waiting;   /* of Waiter, owned */
} Gate;

typedef struct
{
  MorrowPromise *promise;   /* owned */
  guint          limit;
} Waiter;

static pthread_mutex_t gates_lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *gates;   /* under the lock: origin to Gate, where somebody is inside or waits */

/* In a new child, whose only thread this is. What there was is its parent's, and not freed. */
void
morrow__gate_forget_all (void)
{
  pthread_mutex_init (&gates_lock, NULL);
  gates = NULL;
}

static void
waiter_free (Waiter *self)
{
  morrow_promise_unref (self->promise);
  g_free (self);
}

/* With the lock, as are the next four. */
static Gate *
get_gate (const char *origin)
{
  Gate *self;

  if (gates == NULL)
    gates = g_hash_table_new (g_str_hash, g_str_equal);
  self = g_hash_table_lookup (gates, origin);
  if (self == NULL)
    {
      self = g_new0 (Gate, 1);
      self->origin = g_strdup (origin);
      g_hash_table_insert (gates, self->origin, self);
    }
  return self;
}

static void
drop_unused (Gate *self)
{
  if (self->n_inside > 0 || !g_queue_is_empty (&self->waiting))
    return;

  g_hash_table_remove (gates, self->origin);
  g_free (self->origin);
  g_free (self);
}

/* Lets in whoever may come in, the first first. */
static void
admit (Gate *self)
{
  Waiter *first;

  while ((first = g_queue_peek_head (&self->waiting)) != NULL && self->n_inside < first->limit)
    {
      g_queue_pop_head (&self->waiting);
      if (morrow_promise_resolve (first->promise))
        self->n_inside++;
      waiter_free (first);
    }
}

static MorrowFuture *
queue_up (Gate *self, guint limit)
{
  Waiter *waiter = g_new (Waiter, 1);

  waiter->promise = morrow_promise_new ();
  waiter->limit = limit;
  g_queue_push_tail (&self->waiting, waiter);
  return morrow_promise_get_future (waiter->promise);
}

void
morrow__gate_leave (const char *origin)
{
  Gate *self;

  pthread_mutex_lock (&gates_lock);
  self = get_gate (origin);
  if (self->n_inside > 0)
    self->n_inside--;
  admit (self);
  drop_unused (self);
  pthread_mutex_unlock (&gates_lock);
}

/* Inside a task: waits for a place among @limit. */
gboolean
morrow__gate_enter (const char *origin, guint limit, GError **error)
{
  g_autoptr (MorrowFuture) turn = NULL;
  Gate *self;

  pthread_mutex_lock (&gates_lock);
  self = get_gate (origin);
  if (self->n_inside < limit && g_queue_is_empty (&self->waiting))
    self->n_inside++;
  else
    turn = queue_up (self, limit);
  pthread_mutex_unlock (&gates_lock);

  if (turn == NULL || morrow_future_await (turn, error))
    return TRUE;

  if (morrow_future_get_status (turn) == MORROW_FUTURE_RESOLVED)
    morrow__gate_leave (origin);
  return FALSE;
}
