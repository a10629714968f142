/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rest that all loops on a GMainContext take together: when one of them has used up its time in a dispatch, they stand
 * back for a turn, so that sources of lower priority, redrawing among them, are served. Loops that rested each for itself
 * could take turns for ever.
 *
 *   NONE --- a dispatch ends at its limit ---> DUE --- a turn has asked the loops in vain ---> OVER --- the next asks ---> NONE
 *
 * A turn of a context has all sources prepare, then all check, then dispatches. In one that finds the rest DUE each loop
 * says no to both; the first check makes it OVER, and the first prepare of the turn after that ends it. A turn that does
 * not get as far as the loops, since something of higher priority is ready, leaves it as it is. */

#pragma once

#include <glib.h>

typedef enum
{
  MORROW_REST_NONE,
  MORROW_REST_DUE,
  MORROW_REST_OVER
} MorrowRestState;

typedef struct _MorrowRest MorrowRest;

struct _MorrowRest
{
  GMainContext   *context;   /* immutable, borrowed: the loops hold it */
  guint           n_loops;   /* under the lock of rest.c */
  MorrowRest     *next;      /* likewise */
  MorrowRestState state;     /* whoever turns the context */
};

/* Around the life of a loop on @context. */
MorrowRest *morrow__rest_join  (GMainContext *context);
void        morrow__rest_leave (MorrowRest *self);

/* In a prepare: whether the loop stands back. */
static inline gboolean
morrow__rest_prepare (MorrowRest *self)
{
  if (self->state == MORROW_REST_OVER)
    self->state = MORROW_REST_NONE;
  return self->state == MORROW_REST_DUE;
}

/* In a check: likewise. */
static inline gboolean
morrow__rest_check (MorrowRest *self)
{
  if (self->state == MORROW_REST_DUE)
    self->state = MORROW_REST_OVER;
  return self->state == MORROW_REST_OVER;
}
