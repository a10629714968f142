/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor's place on a loop: its registration in the epoll set, made once, and who waits for it there.
 *
 * The kernel tells of edges: that there is something to read, or room to write, is said once, when it begins. So each
 * side remembers whether it is dry: the last call said that there is nothing more, and no edge has come since. Only what
 * is dry is waited for; a side that is not is simply tried.
 *
 * All of a slot belongs to its loop's thread. It is let go on any thread, when nobody waits in it, and freed on its
 * own, where it is known which events that name it are on the way. */

#pragma once

#include "exec/pause-private.h"

/* The sides of a descriptor, as bits: a call uses one, or both. */
typedef enum
{
  MORROW_SIDE_IN  = 1 << 0,
  MORROW_SIDE_OUT = 1 << 1
} MorrowSide;

#define MORROW_SIDES (MORROW_SIDE_IN | MORROW_SIDE_OUT)

typedef struct
{
  MorrowPollable pollable;
  MorrowLoop    *loop;             /* immutable, held */
  MorrowPause    pauses[2];        /* where tasks wait for a side each; for both, in the first */
  guint          dry : 2;          /* sides */
  guint          told : 2;         /* sides of which an edge has come since a call on them was put into the loop's bundle: what the call
                                      has found may be over */
  guint          waits_for_both : 1;
  guint          is_unsteady : 1;  /* an end, an error or something urgent has been told of, and is told only once: that a
                                      read came up short does not mean dry any more */
} MorrowSlot;

MorrowSlot *morrow__slot_new    (MorrowLoop *loop, int fd, gconstpointer owner, GError **error);
void        morrow__slot_let_go (MorrowSlot *self, int fd);
void        morrow__slot_wake   (MorrowSlot *self, guint sides);

/* morrow__slot_wait () where it waits for an edge of either side. */
gboolean    morrow__slot_wait_for_both (MorrowSlot *self, gint64 deadline, GError **error);

/* In a task on the slot's loop: waits for an edge of one of @sides. @dry are those of them of which the system has just said
 * that they are. May return early. FALSE when a cancel came instead, or the deadline. */
static inline gboolean
morrow__slot_wait (MorrowSlot *self, guint sides, guint dry, gint64 deadline, GError **error)
{
  self->dry |= dry;
  if (morrow__unlikely (sides == MORROW_SIDES))
    return morrow__slot_wait_for_both (self, deadline, error);

  return morrow__pause (&self->pauses[sides == MORROW_SIDE_OUT], deadline, error);
}
