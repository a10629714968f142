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
 * A slot may have a million timers.  So that nobody has to wait until they have all moved, their heap
 * is hung below a timer of our own, "moving", and pop_due () takes as many from there as it may.
 * Until none is left nothing fires, and something is due.
 *
 * The heaps.  With a list in each slot, the earliest deadline of a slot above level 0 would be
 * known only after a search, and the one who is going to sleep needs it to the microsecond.  A
 * pairing heap takes a timer as cheaply as a list does (a comparison with the root) and loses one
 * as cheaply while that has no children, but knows its first.  The same heaps bring the order among
 * equal deadlines, by seq, and take what is inserted before base: base is never later than what was
 * asked for in pop_due (), so that only a deadline that had passed already can be.
 *
 * What is inserted after the root becomes a child of it.  Where timers are removed as the first, on
 * level 0, the first removal would have to link all that were inserted before.  There each insertion
 * does its share instead: children have ranks, and a new one, of rank 0, is linked to the first as
 * long as that has the same rank, which makes a child of the next, as one adds 1 to a binary number.
 * A root has as many children as that number has digits, and some for each root that was removed.
 *
 * A single pairing heap is a third cheaper as long as most timers are cancelled, but needs four
 * times as long to fire a million that are spread at random, since each removal of its root
 * compares far into memory; a heap of four children in an array takes six times as long to cancel
 * beside many. */

#include "base/timers-private.h"

#include "base/likely-private.h"

#include <string.h>

/* Pairing heaps.  A heap is its root, or NULL; a root has no next.  Each timer knows what points to it, so that it is taken out
 * the same way wherever it is. */

enum
{
  SEQ_STEP = 64                 /* Between two timers' seq: what is below is the rank. */
};

static inline gboolean
is_before (const MorrowTimer *a,
           const MorrowTimer *b)
{
  return a->deadline < b->deadline || (a->deadline == b->deadline && a->seq < b->seq);
}

static inline guint
get_rank (const MorrowTimer *timer)
{
  return timer->seq % SEQ_STEP;
}

/* Has @link point to @timer, which may be NULL. */
static inline void
link_set (MorrowTimer **link,
          MorrowTimer  *timer)
{
  *link = timer;
  if (timer != NULL)
    timer->link = link;
}

/* Makes the root @child the first child of @parent. */
static inline void
heap_adopt (MorrowTimer *parent,
            MorrowTimer *child)
{
  link_set (&child->next, parent->child);
  link_set (&parent->child, child);
}

/* Makes one of the roots the first child of the other.  Returns: that other; its next and link are
 * what they were. */
static inline MorrowTimer *
heap_link (MorrowTimer *a,
           MorrowTimer *b)
{
  MorrowTimer *parent = is_before (b, a) ? b : a;

  heap_adopt (parent, parent == a ? b : a);
  return parent;
}

/* Links @first, a first child, to the next. Returns: the one of both that is the first child now. */
static inline MorrowTimer *
heap_link_to_next (MorrowTimer *first)
{
  MorrowTimer **link = first->link;
  MorrowTimer *rest = first->next->next;
  MorrowTimer *linked = heap_link (first, first->next);

  if (get_rank (linked) < SEQ_STEP - 1)
    linked->seq++;
  link_set (link, linked);
  link_set (&linked->next, rest);
  return linked;
}

/* Makes a heap of @first and its siblings: links each to its neighbour, then the pairs, from the
 * last, to one.  This order is what keeps the heap shallow.  Nothing points to its root yet. */
static G_GNUC_NO_INLINE MorrowTimer *
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
  while ((pairs = root->next) != NULL)
    {
      MorrowTimer *rest = pairs->next;

      root = heap_link (root, pairs);
      root->next = rest;
    }
  return root;
}

/* Whether @timer has become a child of the root, its first. */
static inline gboolean
heap_insert (MorrowTimer **heap,
             MorrowTimer  *timer)
{
  MorrowTimer *root = *heap;

  timer->child = NULL;
  if (root != NULL && !is_before (timer, root))
    {
      heap_adopt (root, timer);
      return TRUE;
    }

  timer->next = NULL;
  link_set (heap, timer);
  if (root != NULL)
    heap_adopt (timer, root);
  return FALSE;
}

/* Keeps the root's children few. */
static inline void
heap_insert_ranked (MorrowTimer **heap,
                    MorrowTimer  *timer)
{
  timer->seq -= get_rank (timer);
  if (heap_insert (heap, timer))
    while (timer->next != NULL && get_rank (timer->next) == get_rank (timer))
      timer = heap_link_to_next (timer);
}

/* Its children, as one heap, take the place of @timer: none comes before its parent. */
static inline void
heap_remove (MorrowTimer *timer)
{
  MorrowTimer *successor = timer->next;

  if (morrow__seldom (timer->child != NULL))
    {
      successor = heap_from_siblings (timer->child);
      link_set (&successor->next, timer->next);
    }
  link_set (timer->link, successor);
}

/* Takes out the first child of @parent, with all that is below. */
static inline MorrowTimer *
heap_drop_first (MorrowTimer *parent)
{
  MorrowTimer *first = parent->child;

  link_set (&parent->child, first->next);
  return first;
}

/* A step towards a @parent without children; there are two a timer at most.  Returns: (nullable): a
 * timer that has been taken out; without one, a timer has come nearer to @parent.  Both a wide heap
 * and a deep one are visited once, from one end to the other. */
static inline MorrowTimer *
heap_dissolve (MorrowTimer *parent)
{
  MorrowTimer *first = parent->child;
  MorrowTimer *child = first->child;

  if (child != NULL && child->next != NULL)
    {
      heap_adopt (parent, heap_drop_first (first));
      return NULL;
    }

  heap_drop_first (parent);
  if (child != NULL)
    heap_adopt (parent, child);
  return first;
}

/* The wheel. */

typedef struct
{
  MorrowTimer **heap;
  guint         level;
  guint         slot;           /* MORROW_TIMERS_N_SLOTS: beside the wheel. */
} Place;

static inline Place
place_of (MorrowTimers *timers,
          gint64        deadline)
{
  guint64 differing = (guint64) (deadline ^ timers->base);
  guint level, slot;

  if (morrow__unlikely (deadline < timers->base))
    return (Place) { &timers->early, 0, MORROW_TIMERS_N_SLOTS };

  level = (63 - __builtin_clzll (differing | 1)) / MORROW_TIMERS_BITS;
  slot = ((guint64) deadline >> (level * MORROW_TIMERS_BITS)) % MORROW_TIMERS_N_SLOTS;
  return (Place) { &timers->heaps[level][slot], level, slot };
}

/* The last timer has left the first slot whose bit is set. */
static inline void
clear_first_bit (MorrowTimers *timers,
                 guint         level)
{
  timers->slots[level] &= timers->slots[level] - 1;
  if (timers->slots[level] == 0)
    timers->levels &= timers->levels - 1;
}

/* Where the first timer is of those that are not moving; the heap is NULL when there is none.  Who takes a timer out does not know
 * its slot: here is found out which are empty. */
static inline Place
place_of_first (MorrowTimers *timers)
{
  if (timers->early != NULL)
    return (Place) { &timers->early, 0, MORROW_TIMERS_N_SLOTS };

  while (timers->levels != 0)
    {
      guint level = __builtin_ctzll (timers->levels);
      guint slot = __builtin_ctzll (timers->slots[level]);

      if (timers->heaps[level][slot] != NULL)
        return (Place) { &timers->heaps[level][slot], level, slot };
      clear_first_bit (timers, level);
    }
  return (Place) { NULL, 0, 0 };
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

  if (*place.heap == NULL && place.slot < MORROW_TIMERS_N_SLOTS)
    {
      timers->levels |= G_GUINT64_CONSTANT (1) << place.level;
      timers->slots[place.level] |= G_GUINT64_CONSTANT (1) << place.slot;
    }
  if (place.level == 0)
    heap_insert_ranked (place.heap, timer);
  else
    heap_insert (place.heap, timer);
}

/* The timers of @place are to move. */
static inline void
start_moving (MorrowTimers *timers,
              Place         place)
{
  MorrowTimer *heap = *place.heap;

  *place.heap = NULL;
  timers->moving.deadline = heap->deadline;
  heap_adopt (&timers->moving, heap);
}

/* In @n_steps steps at most, which it counts down.  Returns: whether all have moved. */
static inline gboolean
move_on (MorrowTimers *timers,
         guint        *n_steps)
{
  for (; timers->moving.child != NULL; --*n_steps)
    {
      MorrowTimer *timer;

      if (*n_steps == 0)
        return FALSE;
      timer = heap_dissolve (&timers->moving);
      if (timer != NULL)
        place_insert (timers, timer);
    }
  return TRUE;
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

  do
    {
      while (timers->moving.child != NULL)
        {
          MorrowTimer *timer = heap_dissolve (&timers->moving);

          if (timer != NULL)
            timer->seq = 0;
        }
      place = place_of_first (timers);
      if (place.heap != NULL)
        start_moving (timers, place);
    }
  while (place.heap != NULL);
}

void
morrow__timers_insert (MorrowTimers *timers,
                       MorrowTimer  *timer,
                       gint64        deadline)
{
  g_assert (!morrow__timer_is_armed (timer));

  timer->deadline = deadline;
  timer->seq = timers->last_seq += SEQ_STEP;
  place_insert (timers, timer);
}

void
morrow__timers_remove (MorrowTimers *timers,
                       MorrowTimer  *timer)
{
  if (!morrow__timer_is_armed (timer))
    return;

  timer->seq = 0;
  heap_remove (timer);
}

gint64
morrow__timers_next (MorrowTimers *timers)
{
  Place first = place_of_first (timers);

  if (morrow__unlikely (timers->moving.child != NULL))
    return timers->moving.deadline;
  return first.heap != NULL ? (*first.heap)->deadline : G_MAXINT64;
}

MorrowTimer *
morrow__timers_pop_due (MorrowTimers *timers,
                        gint64        now,
                        guint        *n_steps)
{
  while (move_on (timers, n_steps) && *n_steps > 0)
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
          timers->base = place_get_start (first, (*first.heap)->deadline);
          start_moving (timers, first);
          continue;
        }

      timer = *first.heap;
      timer->seq = 0;
      heap_remove (timer);
      --*n_steps;
      return timer;
    }
  return NULL;
}
