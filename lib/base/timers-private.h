/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Timers of one thread: intrusive, to the microsecond, fired in the order of their deadlines and, where these are equal, of
 * their creation. */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Embedded in whatever waits.  Filled with zeros it is not armed. */
typedef struct
{
  gint64  deadline;             /* Microseconds; kept after it has fired or was removed. */
  guint64 seq;                  /* Which insertion it was: the order among equal deadlines. */
  gsize   index;                /* Its place in the heap, counted from one; 0 when not armed. */
} MorrowTimer;

/* Belongs to one thread, as do all timers in it. */
typedef struct
{
  MorrowTimer **heap;
  gsize         n_timers;
  gsize         n_allocated;
  guint64       last_seq;
} MorrowTimers;

/* Timers that are still armed when it is cleared are disarmed. */
void         morrow__timers_init    (MorrowTimers *timers);
void         morrow__timers_clear   (MorrowTimers *timers);

/* @timer must not be armed. */
void         morrow__timers_insert  (MorrowTimers *timers,
                                     MorrowTimer  *timer,
                                     gint64        deadline);
/* Does nothing when @timer is not armed. */
void         morrow__timers_remove  (MorrowTimers *timers,
                                     MorrowTimer  *timer);

/* The earliest deadline, exactly; G_MAXINT64 when there is no timer. */
gint64       morrow__timers_next    (MorrowTimers *timers);

/* Disarms and returns the next timer whose deadline is not after @now, or NULL. */
MorrowTimer *morrow__timers_pop_due (MorrowTimers *timers,
                                     gint64        now);

static inline gboolean
morrow__timer_is_armed (const MorrowTimer *timer)
{
  return timer->index != 0;
}

G_END_DECLS
