/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The stack of lib/base/mpsc-private.h, explored exhaustively: producers that push twice, a single
 * node and then a chain of two, and a consumer that is woken by the pushes that found nothing.
 *
 * With WEAK the compare-and-swap does not compare, and a node is lost. */

#define N_PRODUCERS 2
#define N_EACH      3
#define NONE        255

byte newest = NONE;
byte next[N_PRODUCERS * N_EACH];
byte n_wakeups;
byte n_takes;
byte n_taken;

/* Pushes what is linked from @upper down to @lower. */
inline push (upper, lower)
{
  below = newest;
  do
  :: next[lower] = below;
     atomic
     {
#ifndef WEAK
       if
       :: newest == below -> newest = upper; break
       :: else -> below = newest
       fi
#else
       newest = upper; break
#endif
     }
  od
  if
  :: below == NONE -> n_wakeups++
  :: else
  fi
}

active [N_PRODUCERS] proctype producer ()
{
  byte below;
  byte first = _pid * N_EACH;

  push (first, first);
  next[first + 2] = first + 1;
  push (first + 2, first + 1)
}

/* What one producer pushed comes in the order of its numbers, though the chain is read newest
 * first. */
active proctype consumer ()
{
  byte node, who;
  byte n_seen[N_PRODUCERS];
  byte oldest[N_PRODUCERS];
  byte n_now[N_PRODUCERS];

  do
  :: n_taken < N_PRODUCERS * N_EACH ->
     /* Sleeps until a push says so. */
     n_wakeups > n_takes;
     d_step
     {
       node = newest;
       newest = NONE
     }
     assert (node != NONE);
     d_step
     {
       n_takes++;
       do
       :: node != NONE ->
          who = node / N_EACH;
          assert (n_now[who] == 0 || node == oldest[who] - 1);
          oldest[who] = node;
          n_now[who]++;
          n_taken++;
          node = next[node]
       :: else -> break
       od;
       for (who : 0 .. N_PRODUCERS - 1)
       {
         assert (n_now[who] == 0 || oldest[who] == who * N_EACH + n_seen[who]);
         n_seen[who] = n_seen[who] + n_now[who];
         n_now[who] = 0
       }
     }
  :: else -> break
  od;
  assert (n_wakeups == n_takes)
}
