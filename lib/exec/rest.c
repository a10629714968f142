/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which loops share a context: see rest-private.h. */

#include "config.h"

#include <pthread.h>

#include "exec/rest-private.h"

static pthread_mutex_t rests_lock = PTHREAD_MUTEX_INITIALIZER;
static MorrowRest *rests;   /* under rests_lock: one for each context that has a loop */

/* Around a fork (): the child finds the list whole, and the lock free. */
static void
hold_rests (void)
{
  pthread_mutex_lock (&rests_lock);
}

static void
let_rests_go (void)
{
  pthread_mutex_unlock (&rests_lock);
}

static void
watch_forks (void)
{
  pthread_atfork (hold_rests, let_rests_go, let_rests_go);
}

/* Under the lock. */
static MorrowRest *
find_or_add (GMainContext *context)
{
  MorrowRest *self = rests;

  while (self != NULL && self->context != context)
    self = self->next;
  if (self != NULL)
    return self;

  self = g_new (MorrowRest, 1);
  *self = (MorrowRest) { .context = context, .next = rests };
  rests = self;
  return self;
}

MorrowRest *
morrow__rest_join (GMainContext *context)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  MorrowRest *self;

  pthread_once (&once, watch_forks);
  pthread_mutex_lock (&rests_lock);
  self = find_or_add (context);
  self->n_loops++;
  pthread_mutex_unlock (&rests_lock);

  return self;
}

/* Before the loop lets go of the context. */
void
morrow__rest_leave (MorrowRest *self)
{
  MorrowRest **link = &rests;

  pthread_mutex_lock (&rests_lock);
  if (--self->n_loops == 0)
    {
      while (*link != self)
        link = &(*link)->next;
      *link = self->next;
      g_free (self);
    }
  pthread_mutex_unlock (&rests_lock);
}
