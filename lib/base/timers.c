/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Timers in a wheel whose slots are pairing heaps.
 *
 * The wheel.  Deadlines are numbers in digits of six bits, and so is base, a time before which
 * everything has fired.  A timer stands on the level of the highest digit in which its deadline
 * differs from base, in the slot of the value of that digit:
 *
 *    base      1 23 45 00        deadline  1 23 45 07   level 0, slot 7
 *                                          1 23 50 62   level 1, slot 50
 *                                          1 60 02 11   level 2, slot 60
 *
 * so that the first slot in use of the lowest level in use has the earliest deadlines.  When that
 * slot comes up, base moves to its start, and its timers to lower levels ("cascade"): each timer
 * moves at most once a level, and one that is cancelled before, as most are, never.  Slots of level
 * 0 are one microsecond wide.
 *
 * The heaps.  With a list in each slot, the earliest deadline of a slot above level 0 would be
 * known only after a search, and the one who is going to sleep needs it to the microsecond.  A
 * pairing heap takes a timer as cheaply as a list does (a comparison with the root) and loses one
 * as cheaply while that has no children, but knows its first.  The same heaps bring the order among
 * equal deadlines, by seq, and take what is inserted before base: base is never later than what was
 * asked for in pop_due (), so that only a deadline that had passed already can be.
 *
 * A single pairing heap is a third cheaper as long as most timers are cancelled, but needs four
 * times as long to fire a million that are spread at random, since each removal of its root
 * compares far into memory; a heap of four children in an array takes six times as long to cancel
 * beside many. */

#include "base/timers-private.h"

#include <string.h>

/* Pairing heaps.  A heap is its root, or NULL; a root's own next and prev are NULL. */

static inline gboolean
is_before (const MorrowTimer *a,
           const MorrowTimer *b)
{
  return a->deadline < b->deadline || (a->deadline == b->deadline && a->seq < b->seq);
}

/* Makes one of the roots the first child of the other.  Returns: that other; its next and prev are
 * what they were. */
static inline MorrowTimer *
heap_link (MorrowTimer *a,
           MorrowTimer *b)
{
  MorrowTimer *parent = is_before (b, a) ? b : a;
  MorrowTimer *child = parent == a ? b : a;

  child->prev = parent;
  child->next = parent->child;
  if (parent->child != NULL)
    parent->child->prev = child;
  parent->child = child;
  return parent;
}

/* Makes a heap of @first and its siblings: links each to its neighbour, then the pairs, from the
 * last, to one.  This order is what keeps the heap shallow. */
static MorrowTimer *
heap_from_siblings (MorrowTimer *first)
{
  MorrowTimer *pairs = NULL;
  MorrowTimer *root;

  while (first != NULL)
    {
      MorrowTimer *pair = first;
      MorrowTimer *other = first->next;

      first = other != NULL ? other->next : NULL;
      if (other != NULL)
        pair = heap_link (pair, other);
      pair->next = pairs;
      pairs = pair;
    }

  root = pairs;
  if (root == NULL)
    return NULL;
  while ((pairs = root->next) != NULL)
    {
      MorrowTimer *rest = pairs->next;

      root = heap_link (root, pairs);
      root->next = rest;
    }
  root->prev = NULL;
  return root;
}

static inline void
heap_insert (MorrowTimer **heap,
             MorrowTimer  *timer)
{
  timer->child = NULL;
  timer->next = NULL;
  timer->prev = NULL;
  if (*heap == NULL)
    {
      *heap = timer;
      return;
    }
  *heap = heap_link (*heap, timer);
  (*heap)->next = NULL;
  (*heap)->prev = NULL;
}

/* @timer is not the root.  Its children, as one heap, take its place: none comes before its
 * parent. */
static inline void
heap_remove_inner (MorrowTimer *timer)
{
  MorrowTimer *successor = timer->next;

  if (timer->child != NULL)
    {
      successor = heap_from_siblings (timer->child);
      successor->next = timer->next;
      if (timer->next != NULL)
        timer->next->prev = successor;
    }
  if (timer->prev->child == timer)
    timer->prev->child = successor;
  else
    timer->prev->next = successor;
  if (successor != NULL)
    successor->prev = timer->prev;
}

/* Takes any timer out of @heap, which is being dissolved: the prev of each first sibling leads to
 * the siblings that are to be visited after it. */
static inline MorrowTimer *
heap_dissolve (MorrowTimer **heap)
{
  MorrowTimer *timer = *heap;
  MorrowTimer *rest = timer->prev;

  if (timer->next != NULL)
    {
      timer->next->prev = rest;
      rest = timer->next;
    }
  if (timer->child != NULL)
    {
      timer->child->prev = rest;
      rest = timer->child;
    }
  *heap = rest;
  return timer;
}

/* The wheel. */

typedef struct
{
  MorrowTimer **heap;
  guint         level;          /* Neither means anything for early. */
  guint         slot;
} Place;

static inline Place
place_of (MorrowTimers *timers,
          gint64        deadline)
{
  guint64 differing = (guint64) (deadline ^ timers->base);
  guint level, slot;

  if (G_UNLIKELY (deadline < timers->base))
    return (Place) { &timers->early, 0, 0 };

  level = (63 - __builtin_clzll (differing | 1)) / MORROW_TIMERS_BITS;
  slot = (deadline >> (level * MORROW_TIMERS_BITS)) % MORROW_TIMERS_N_SLOTS;
  return (Place) { &timers->heaps[level][slot], level, slot };
}

/* Where the first timer is; the heap is NULL when there is none. */
static inline Place
place_of_first (MorrowTimers *timers)
{
  guint level, slot;

  if (timers->early != NULL)
    return (Place) { &timers->early, 0, 0 };
  if (timers->levels == 0)
    return (Place) { NULL, 0, 0 };

  level = __builtin_ctzll (timers->levels);
  slot = __builtin_ctzll (timers->slots[level]);
  return (Place) { &timers->heaps[level][slot], level, slot };
}

static inline gint64
place_get_start (Place  place,
                 gint64 deadline)
{
  return deadline & ~(((gint64) 1 << (place.level * MORROW_TIMERS_BITS)) - 1);
}

static inline void
place_insert (MorrowTimers *timers,
              MorrowTimer  *timer)
{
  Place place = place_of (timers, timer->deadline);

  if (*place.heap == NULL && place.heap != &timers->early)
    {
      timers->levels |= G_GUINT64_CONSTANT (1) << place.level;
      timers->slots[place.level] |= G_GUINT64_CONSTANT (1) << place.slot;
    }
  heap_insert (place.heap, timer);
}

static inline void
place_set_root (MorrowTimers *timers,
                Place         place,
                MorrowTimer  *root)
{
  *place.heap = root;
  if (root != NULL || place.heap == &timers->early)
    return;

  timers->slots[place.level] &= ~(G_GUINT64_CONSTANT (1) << place.slot);
  if (timers->slots[place.level] == 0)
    timers->levels &= ~(G_GUINT64_CONSTANT (1) << place.level);
}

/* Moves base to the start of @place, which is the first, and its timers to the levels below. */
static void
cascade (MorrowTimers *timers,
         Place         place)
{
  MorrowTimer *heap = *place.heap;

  timers->base = place_get_start (place, heap->deadline);
  place_set_root (timers, place, NULL);
  while (heap != NULL)
    place_insert (timers, heap_dissolve (&heap));
}

/* Nothing is due at @now.  Moves base there, so that what is inserted next stands on a low level,
 * unless that is inside of the first slot, whose timers would have to move. */
static inline void
move_base (MorrowTimers *timers,
           Place         first,
           gint64        now)
{
  if (now > timers->base && timers->early == NULL
      && (first.heap == NULL || now < place_get_start (first, (*first.heap)->deadline)))
    timers->base = now;
}

void
morrow__timers_init (MorrowTimers *timers)
{
  memset (timers, 0, sizeof *timers);
}

void
morrow__timers_clear (MorrowTimers *timers)
{
  Place place;

  while ((place = place_of_first (timers)).heap != NULL)
    {
      MorrowTimer *heap = *place.heap;

      place_set_root (timers, place, NULL);
      while (heap != NULL)
        heap_dissolve (&heap)->seq = 0;
    }
}

void
morrow__timers_insert (MorrowTimers *timers,
                       MorrowTimer  *timer,
                       gint64        deadline)
{
  g_assert (!morrow__timer_is_armed (timer));

  timer->deadline = deadline;
  timer->seq = ++timers->last_seq;
  place_insert (timers, timer);
}

void
morrow__timers_remove (MorrowTimers *timers,
                       MorrowTimer  *timer)
{
  if (!morrow__timer_is_armed (timer))
    return;

  timer->seq = 0;
  if (timer->prev != NULL)
    heap_remove_inner (timer);
  else
    place_set_root (timers, place_of (timers, timer->deadline), heap_from_siblings (timer->child));
}

gint64
morrow__timers_next (MorrowTimers *timers)
{
  Place first = place_of_first (timers);

  return first.heap != NULL ? (*first.heap)->deadline : G_MAXINT64;
}

MorrowTimer *
morrow__timers_pop_due (MorrowTimers *timers,
                        gint64        now)
{
  for (;;)
    {
      Place first = place_of_first (timers);
      MorrowTimer *timer;

      if (first.heap == NULL || (*first.heap)->deadline > now)
        {
          move_base (timers, first, now);
          return NULL;
        }

      if (first.level > 0)
        {
          cascade (timers, first);
          continue;
        }

      timer = *first.heap;
      timer->seq = 0;
      place_set_root (timers, first, heap_from_siblings (timer->child));
      return timer;
    }
}
