/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The wait for room (R2 in lib/base/room.c), explored exhaustively: one that puts four items into a ring of two, and waits
 * for room whenever it is full, for ever; and one that takes out what there is, and tells.
 *
 * With WEAK who takes out looks at who waits before, as if there were no fence. */

#define CAPACITY 2
#define N_ITEMS  4

byte size;
byte n_waiting;
bool asleep;
bool locked;

#define LOCK   atomic { !locked -> locked = true }
#define UNLOCK locked = false

active proctype producer ()
{
  byte i;

  for (i : 1 .. N_ITEMS)
  {
    if
    :: size < CAPACITY
    :: else ->
       LOCK;
       n_waiting++;
       do
       :: size <= CAPACITY / 2 -> break
       :: else ->
          atomic { asleep = true; UNLOCK };
          !asleep;
          LOCK
       od;
       n_waiting--;
       UNLOCK
    fi;
    size++
  }
}

active proctype consumer ()
{
  byte n_taken, n;
  bool waits;

  do
  :: n_taken == N_ITEMS -> break
  :: else ->
     size > 0;
#ifdef WEAK
     waits = n_waiting > 0;
#endif
     atomic { n = size; size = 0 };
     n_taken = n_taken + n;
#ifndef WEAK
     waits = n_waiting > 0;
#endif
     if
     :: waits && size <= CAPACITY / 2 ->
        LOCK;
        asleep = false;
        UNLOCK
     :: else
     fi
  od
}
