/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How chains of futures stay off the stack: see relay-private.h. */

#include "config.h"

#include "core/relay-private.h"

struct _MorrowRelayed
{
  MorrowRelayed  *next;
  MorrowRelayFunc func;
  MorrowFuture   *future;   /* owned */
  gpointer        data;
};

__thread MorrowRelay morrow__relay;

__thread MorrowRelay morrow__unrefs;

void
morrow__relay_put_off (MorrowRelay *self, MorrowRelayFunc func, MorrowFuture *future, gpointer data)
{
  MorrowRelayed *relayed = g_new (MorrowRelayed, 1);

  *relayed = (MorrowRelayed) { .func = func, .future = morrow__future_ref (future), .data = data };
  *(self->rest != NULL ? &self->last->next : &self->rest) = relayed;
  self->last = relayed;
}

void
morrow__relay_make_rest (MorrowRelay *self)
{
  while (self->rest != NULL)
    {
      MorrowRelayed *relayed = self->rest;

      self->rest = relayed->next;
      self->depth++;
      relayed->func (relayed->future, relayed->data);
      morrow_future_unref (relayed->future);   /* nested as well: it may be the last */
      self->depth--;
      g_free (relayed);
    }
}

/* What runs from now on has no relayed calls on its stack, until morrow__relay_return (). */
MorrowRelays
morrow__relay_leave (void)
{
  MorrowRelays left = { .outcomes = morrow__relay, .unrefs = morrow__unrefs };

  morrow__relay = morrow__unrefs = (MorrowRelay) { .depth = 0 };
  return left;
}

void
morrow__relay_return (const MorrowRelays *left)
{
  morrow__relay = left->outcomes;
  morrow__unrefs = left->unrefs;
}

static void
unref (MorrowFuture *future, gpointer data)
{
  morrow_future_unref (future);
}

void
morrow__relay_drop (MorrowRelayFunc func, MorrowFuture *held, gpointer data)
{
  morrow__relay_call (&morrow__unrefs, func, held, data);
}

void
morrow__relay_unref (MorrowFuture *held)
{
  morrow__relay_drop (unref, held, NULL);
}

void
morrow__relay_release (MorrowRelayFunc func, MorrowFuture *future)
{
  morrow__relay_call (&morrow__unrefs, func, future, NULL);
}
