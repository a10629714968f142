/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which loops share a context: see rest-private.h. */

#include "config.h"

#include "base/fork-private.h"
#include "exec/rest-private.h"

MORROW__FORK_LOCK (rests_lock)
static MorrowRest *rests;   /* under rests_lock: one for each context that has a loop */

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
  MorrowRest *self;

  pthread_mutex_lock (&rests_lock);
  self = find_or_add (context);
  self->n_loops++;
  pthread_mutex_unlock (&rests_lock);

  return self;
}

gboolean
morrow__rest_owns_a_loop (void)
{
  gboolean is_owner = FALSE;

  pthread_mutex_lock (&rests_lock);
  for (MorrowRest *rest = rests; rest != NULL && !is_owner; rest = rest->next)
    is_owner = g_main_context_is_owner (rest->context);
  pthread_mutex_unlock (&rests_lock);

  return is_owner;
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
