/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rest that all loops on a GMainContext take together: when one of them has used up its time in a dispatch, they stand
 * back for two turns, so that sources of lower priority, redrawing among them, are served. Loops that rested each for itself
 * could take turns for ever.
 *
 * A turn of a context has all sources prepare, then all check, then dispatches. In one of the rest each loop says no to both;
 * the first prepare after a check is of the next turn. A turn that does not get as far as the loops, since something of higher
 * priority is ready, does not count.
 *
 * Two turns, since g_main_context_pending () takes one, and dispatches nothing: who turns the context while something is
 * pending would have the rest pass by in asking. */

#pragma once

#include <glib.h>

#define MORROW_REST_TURNS 2

typedef struct _MorrowRest MorrowRest;

struct _MorrowRest
{
  GMainContext *context;     /* immutable, borrowed: the loops hold it */
  guint         n_loops;     /* under the lock of rest.c */
  MorrowRest   *next;        /* likewise */
  guint         turns_left;  /* whoever turns the context: this one included; 0 when there is no rest */
  gboolean      checked;     /* likewise: this turn is over, but for its dispatches */
};

/* Around the life of a loop on @context. */
MorrowRest *morrow__rest_join        (GMainContext *context);
void        morrow__rest_leave       (MorrowRest *self);

/* Whether the calling thread owns a context that a loop is on: while it is blocked nobody turns that loop. */
gboolean    morrow__rest_owns_a_loop (void);

/* In a dispatch that has used up its time. */
static inline void
morrow__rest_begin (MorrowRest *self)
{
  self->turns_left = MORROW_REST_TURNS;
  self->checked = FALSE;
}

/* In a prepare: whether the loop stands back. */
static inline gboolean
morrow__rest_prepare (MorrowRest *self)
{
  if (self->checked)
    {
      self->checked = FALSE;
      self->turns_left--;
    }
  return self->turns_left > 0;
}

/* In a check: likewise. */
static inline gboolean
morrow__rest_check (MorrowRest *self)
{
  self->checked = self->turns_left > 0;
  return self->checked;
}
