/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The work-stealing deque of lib/base/deque.c, explored exhaustively: an owner that pushes and
 * pops, and thieves, on a machine that delays stores as x86 does.  The owner's stores of slots and
 * of bottom go through a buffer that empties whenever it likes; a sequentially consistent store
 * waits until it is empty.  Thieves store only by compare-and-swap.
 *
 * With WEAK the store of bottom in pop is delayed like the others, and an item is taken twice: the
 * script that runs this expects that, so as to know that the model would notice. */

#ifndef N_THIEVES
#define N_THIEVES 2
#endif

#define N_ITEMS  3
#define CAPACITY 2              /* Less than N_ITEMS, so that slots are used again. */

/* Addresses in the owner's store buffer. */
#define BOTTOM CAPACITY

int top;
int memory[CAPACITY + 1];       /* The slots, then bottom. */
byte n_taken[N_ITEMS];
byte n_pushed;
byte n_ended;

chan buffer = [4] of { byte, short };   /* Address, value. */

inline take (item)
{
  n_taken[item]++;
  assert (n_taken[item] == 1)
}

/* What the buffer still holds has not reached memory. */
active proctype drain ()
{
  byte address;
  short value;

end:
  do
  :: atomic { buffer ? address, value -> memory[address] = value }
  od
}

/* Growth is left out: the owner does not push into a full ring. */
inline push ()
{
  slots[bottom % CAPACITY] = n_pushed;
  buffer ! bottom % CAPACITY, n_pushed;
  bottom++;
  n_pushed++;
  buffer ! BOTTOM, bottom
}

/* The owner alone changes bottom, so it knows it without looking into the buffer.  The test of a
 * stale top before the store is left out: it only spares work. */
inline pop ()
{
  bottom--;
  buffer ! BOTTOM, bottom;
#ifndef WEAK
  empty (buffer);
#endif
  seen_top = top;
  if
  :: seen_top < bottom -> item = slots[bottom % CAPACITY]; take (item)
  :: seen_top == bottom ->
     item = slots[bottom % CAPACITY];
     atomic
     {
       won = (top == seen_top);
       if
       :: won -> top++
       :: else
       fi
     }
     if
     :: won -> take (item)
     :: else
     fi
     bottom++;
     buffer ! BOTTOM, bottom
  :: seen_top > bottom ->
     bottom++;
     buffer ! BOTTOM, bottom
  fi
}

active proctype owner ()
{
  int bottom, seen_top;
  byte n_pops, item;
  byte slots[CAPACITY];           /* What it has stored it reads back at once. */
  bool won;

  /* Every order of pushes and pops. */
  do
  :: n_pushed < N_ITEMS && bottom - top < CAPACITY -> push ()
  :: n_pops < N_ITEMS -> n_pops++; pop ()
  :: n_pops == N_ITEMS -> break
  od;
  n_ended++
}

active [N_THIEVES] proctype thief ()
{
  int seen_top;
  byte n_tries, item;
  bool won;

  do
  :: n_tries < 2 ->
     n_tries++;
     seen_top = top;
     if
     :: seen_top < memory[BOTTOM] ->
        item = memory[seen_top % CAPACITY];
        atomic
        {
          won = (top == seen_top);
          if
          :: won -> top++
          :: else
          fi
        }
        if
        :: won -> take (item)
        :: else
        fi
     :: else
     fi
  :: n_tries == 2 -> break
  od
  n_ended++
}

/* Nothing is lost: what was not taken is still between top and bottom. */
active proctype census ()
{
  byte i, n;

  n_ended == N_THIEVES + 1 && empty (buffer);
  do
  :: i < N_ITEMS -> n = n + n_taken[i]; i++
  :: i == N_ITEMS -> break
  od
  assert (n + (memory[BOTTOM] - top) == n_pushed)
}
