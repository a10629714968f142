/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The ring of lib/base/ring.c, explored exhaustively: two that put in, two items each, and two that take out, one
 * alone and one up to two at once, over two slots, so that each is used twice.
 *
 * An item is written in two steps, as its words are, and so it is read.  With WEAK a slot is given back before it was
 * read. */

#define CAPACITY 2
#define N_ITEMS  4

byte head;
byte tail;
byte turn[CAPACITY];
byte item_upper[CAPACITY];
byte item_lower[CAPACITY];
byte n_taken;
bool taken[N_ITEMS];

#define SLOT(number) ((number) % CAPACITY)

/* One that finds the ring full tries again when there is room. */
proctype producer (byte item)
{
  byte number, i;

  for (i : 0 .. 1)
  {
    number = tail;
    do
    :: turn[SLOT (number)] == number ->
       atomic
       {
         if
         :: tail == number -> tail++; break
         :: else -> number = tail
         fi
       }
    :: else ->
       (turn[SLOT (tail)] == tail);
       number = tail
    od;
    item_upper[SLOT (number)] = item + i;
    item_lower[SLOT (number)] = item + i;
    turn[SLOT (number)] = number + 1
  }
}

inline take (which)
{
  byte upper, lower;

#ifdef WEAK
  turn[SLOT (which)] = which + CAPACITY;
#endif
  upper = item_upper[SLOT (which)];
  lower = item_lower[SLOT (which)];
#ifndef WEAK
  turn[SLOT (which)] = which + CAPACITY;
#endif
  d_step
  {
    assert (upper == lower);
    assert (!taken[upper]);
    taken[upper] = true;
    n_taken++;
    upper = 0;
    lower = 0
  }
}

/* Takes up to @max at once. */
proctype consumer (byte max)
{
  byte number, n, i;

  do
  :: n_taken == N_ITEMS -> break
  :: else ->
     number = head;
     n = 0;
     do
     :: n < max && turn[SLOT (number + n)] == number + n + 1 -> n++
     :: else -> break
     od;
     if
     :: n > 0 ->
        atomic
        {
          if
          :: head == number -> head = number + n
          :: else -> n = 0
          fi
        }
     :: else ->
        (n_taken == N_ITEMS || turn[SLOT (head)] == head + 1)
     fi;
     for (i : 1 .. n)
     {
       take (number + i - 1)
     }
  od
}

init
{
  byte i;

  atomic
  {
    for (i : 0 .. CAPACITY - 1)
    {
      turn[i] = i
    }
    run producer (0);
    run producer (2);
    run consumer (1);
    run consumer (2)
  }
}
