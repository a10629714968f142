/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Timers of one thread: intrusive, to the microsecond, fired in the order of their deadlines and,
 * where these are equal, of their creation.  timers.c tells how. */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _MorrowTimer MorrowTimer;

/* Embedded in whatever waits; belongs to the thread of its MorrowTimers.  Filled with zeros it is
 * not armed. */
struct _MorrowTimer
{
  gint64        deadline;       /* Microseconds; stays when it has fired or was removed. */
  guint64       seq;            /* Which insertion it was, from 1, and below that its rank in the heap; 0 while it is
                                 * not armed. */
  MorrowTimer  *child;          /* Its first child in the heap, */
  MorrowTimer  *next;           /* its next sibling, */
  MorrowTimer **link;           /* and what points to it: its parent's child, the next of the one before, or its heap. */
};

enum
{
  MORROW_TIMERS_BITS = 6,
  MORROW_TIMERS_N_SLOTS = 1 << MORROW_TIMERS_BITS,
  MORROW_TIMERS_N_LEVELS = (63 + MORROW_TIMERS_BITS - 1) / MORROW_TIMERS_BITS
};

/* Belongs to one thread. Timers point into it: it stays where it is while one is armed. */
typedef struct
{
  gint64       base;            /* Where the wheel stands: see timers.c. */
  guint64      last_seq;
  guint64      levels;          /* A bit for each level that may have a timer, */
  guint64      slots[MORROW_TIMERS_N_LEVELS];   /* and in each for each slot that may have one. */
  MorrowTimer *early;           /* A heap of those before base, */
  MorrowTimer  moving;          /* and the parent of those that have left their slot, and stand in none yet. */
  MorrowTimer *heaps[MORROW_TIMERS_N_LEVELS][MORROW_TIMERS_N_SLOTS];
} MorrowTimers;

/* Clearing disarms what is still armed. */
void         morrow__timers_init    (MorrowTimers *timers);
void         morrow__timers_clear   (MorrowTimers *timers);

/* @timer must not be armed. */
void         morrow__timers_insert  (MorrowTimers *timers,
                                     MorrowTimer  *timer,
                                     gint64        deadline);
/* Does nothing when @timer is not armed. */
void         morrow__timers_remove  (MorrowTimers *timers,
                                     MorrowTimer  *timer);

/* The earliest deadline, exactly; G_MAXINT64 when there is no timer.  Where pop_due () has used up its
 * steps, one that it has found to be due.  Forgets the empty slots that it passes. */
gint64       morrow__timers_next    (MorrowTimers *timers);

/* Disarms and returns the first timer in order whose deadline is not after @now, or NULL.  Takes @n_steps
 * steps at most, which it counts down: one for the timer, and two at most for each that has to move
 * before; where it has come to 0 there may be more. */
MorrowTimer *morrow__timers_pop_due (MorrowTimers *timers,
                                     gint64        now,
                                     guint        *n_steps);

/* The rest is written when it is inserted. */
static inline void
morrow__timer_init (MorrowTimer *timer)
{
  timer->seq = 0;
}

static inline gboolean
morrow__timer_is_armed (const MorrowTimer *timer)
{
  return timer->seq != 0;
}

G_END_DECLS
