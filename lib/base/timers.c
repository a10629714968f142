/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Timers in a heap of four children a node: half as deep as a binary one, and the four lie beside each other.  Each timer
 * knows its place, so that it can be removed from the middle.  Places are counted from one. */

#include "base/timers-private.h"

enum
{
  N_CHILDREN = 4
};

static inline gboolean
is_before (const MorrowTimer *a,
           const MorrowTimer *b)
{
  return a->deadline < b->deadline || (a->deadline == b->deadline && a->seq < b->seq);
}

static inline void
place (MorrowTimers *timers,
       gsize         index,
       MorrowTimer  *timer)
{
  timers->heap[index - 1] = timer;
  timer->index = index;
}

static inline MorrowTimer *
at (MorrowTimers *timers,
    gsize         index)
{
  return timers->heap[index - 1];
}

static void
sift_up (MorrowTimers *timers,
         gsize         index,
         MorrowTimer  *timer)
{
  while (index > 1)
    {
      gsize parent = (index + N_CHILDREN - 2) / N_CHILDREN;

      if (!is_before (timer, at (timers, parent)))
        break;
      place (timers, index, at (timers, parent));
      index = parent;
    }
  place (timers, index, timer);
}

static void
sift_down (MorrowTimers *timers,
           gsize         index,
           MorrowTimer  *timer)
{
  for (;;)
    {
      gsize first = N_CHILDREN * (index - 1) + 2;
      gsize last = MIN (first + N_CHILDREN - 1, timers->n_timers);
      gsize best = first;

      if (first > timers->n_timers)
        break;
      for (gsize child = first + 1; child <= last; child++)
        if (is_before (at (timers, child), at (timers, best)))
          best = child;
      if (!is_before (at (timers, best), timer))
        break;
      place (timers, index, at (timers, best));
      index = best;
    }
  place (timers, index, timer);
}

void
morrow__timers_init (MorrowTimers *timers)
{
  *timers = (MorrowTimers) { NULL, 0, 0, 0 };
}

void
morrow__timers_clear (MorrowTimers *timers)
{
  for (gsize i = 1; i <= timers->n_timers; i++)
    at (timers, i)->index = 0;
  g_free (timers->heap);
  morrow__timers_init (timers);
}

void
morrow__timers_insert (MorrowTimers *timers,
                       MorrowTimer  *timer,
                       gint64        deadline)
{
  g_assert (!morrow__timer_is_armed (timer));

  if (timers->n_timers == timers->n_allocated)
    {
      timers->n_allocated = MAX (64, 2 * timers->n_allocated);
      timers->heap = g_renew (MorrowTimer *, timers->heap, timers->n_allocated);
    }
  timer->deadline = deadline;
  timer->seq = ++timers->last_seq;
  sift_up (timers, ++timers->n_timers, timer);
}

void
morrow__timers_remove (MorrowTimers *timers,
                       MorrowTimer  *timer)
{
  gsize hole = timer->index;
  MorrowTimer *moved;

  if (hole == 0)
    return;

  timer->index = 0;
  moved = at (timers, timers->n_timers--);
  if (moved == timer)
    return;
  if (is_before (moved, timer))
    sift_up (timers, hole, moved);
  else
    sift_down (timers, hole, moved);
}

gint64
morrow__timers_next (MorrowTimers *timers)
{
  return timers->n_timers > 0 ? at (timers, 1)->deadline : G_MAXINT64;
}

MorrowTimer *
morrow__timers_pop_due (MorrowTimers *timers,
                        gint64        now)
{
  MorrowTimer *first;

  if (timers->n_timers == 0 || at (timers, 1)->deadline > now)
    return NULL;

  first = at (timers, 1);
  morrow__timers_remove (timers, first);
  return first;
}
