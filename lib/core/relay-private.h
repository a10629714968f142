/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes from future to future goes by calls: an outcome to those who wait, a cancel to what is waited for, the end of
 * one to what it held. A chain of futures may be as long as it likes, but a stack may not: so a relay lets a number of
 * calls nest, and puts the rest off to the outermost, which makes them before it returns.
 *
 * What is relayed may release somebody's value, and that may await: the task takes what lies on its stack with it
 * (await.c:wait_relayed ()), since the calls of others do not. What is put off until then waits for it. */

#pragma once

#include "core/future-private.h"

#define MORROW__RELAY_MAX 32

typedef void (*MorrowRelayFunc) (MorrowFuture *future, gpointer data);

typedef struct _MorrowRelayed MorrowRelayed;

/* One for each thread and purpose; it touches it alone. */
typedef struct
{
  guint          depth;         /* how many calls are on its stack */
  guint          request;       /* the number of the request to cancel that the outermost of them has led to; 0 for none yet */
  MorrowRelayed *rest;          /* what the outermost of them still has to do, the oldest first, */
  MorrowRelayed *last;          /* and the newest of it, if there is any */
} MorrowRelay;

/* Outcomes and cancels: they cause each other, so that they share a depth. */
extern __thread MorrowRelay morrow__relay;

/* A depth of its own: what is freed may be anybody's, and may take its time. */
extern __thread MorrowRelay morrow__unrefs;

/* What a stack takes with it. */
typedef struct
{
  MorrowRelay outcomes;
  MorrowRelay unrefs;
} MorrowRelays;

MorrowRelays morrow__relay_leave  (void);
void         morrow__relay_return (const MorrowRelays *left);

void morrow__relay_put_off   (MorrowRelay *self, MorrowRelayFunc func, MorrowFuture *future, gpointer data);
void morrow__relay_make_rest (MorrowRelay *self);

/* For who holds futures until he is freed: drops the reference; or has @func drop it, and others. */
void morrow__relay_unref     (MorrowFuture *held);
void morrow__relay_drop      (MorrowRelayFunc func, MorrowFuture *held, gpointer data);

/* For who holds what may hold such futures: calls @func, which releases it, now or soon; @future lives until then. */
void morrow__relay_release   (MorrowRelayFunc func, MorrowFuture *future);

/* Whether calls that are relayed are on the stack. */
static inline gboolean
morrow__relay_is_nested (void)
{
  return (morrow__relay.depth | morrow__unrefs.depth) != 0;
}

/* Whether it lets no more calls nest. */
static inline gboolean
morrow__relay_is_full (MorrowRelay *self)
{
  return self->depth == MORROW__RELAY_MAX;
}

/* Calls @func, now or soon; @future lives until then. */
static inline void
morrow__relay_call (MorrowRelay *self, MorrowRelayFunc func, MorrowFuture *future, gpointer data)
{
  if (morrow__unlikely (morrow__relay_is_full (self)))
    {
      morrow__relay_put_off (self, func, future, data);
      return;
    }

  if (morrow__usually (self->depth++ == 0))
    self->request = 0;
  func (future, data);
  self->depth--;

  if (morrow__unlikely (self->rest != NULL) && self->depth == 0)
    morrow__relay_make_rest (self);
}
