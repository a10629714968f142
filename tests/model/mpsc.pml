/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The stack of lib/base/mpsc-private.h and how a loop sleeps over it (L1 in lib/exec/loop-private.h), explored
 * exhaustively: producers that push twice each, and a consumer that takes all, and sleeps when there is nothing.  A
 * producer looks whether it sleeps and, of all who see that, one signals its eventfd, which wakes it once.  It is an
 * invalid end when a node is left and the consumer sleeps.
 *
 * With WEAK the compare-and-swap does not compare, and a node is lost.  With HASTY the consumer does not look at the stack
 * once more when it has said that it sleeps. */

#define N_PRODUCERS 2
#define N_EACH      2
#define NONE        255

byte newest = NONE;
byte next[N_PRODUCERS * N_EACH];
bool asleep;
bool signalled;
byte n_taken;

inline push (node)
{
  below = newest;
  do
  :: next[node] = below;
     atomic
     {
#ifndef WEAK
       if
       :: newest == below -> newest = node; break
       :: else -> below = newest
       fi
#else
       newest = node; break
#endif
     }
  od
  if
  :: asleep ->
     atomic { was = asleep; asleep = false };
     if
     :: was -> signalled = true
     :: else
     fi
  :: else
  fi
}

active [N_PRODUCERS] proctype producer ()
{
  byte below;
  bool was;

  push (_pid * N_EACH);
  push (_pid * N_EACH + 1)
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
     d_step
     {
       node = newest;
       newest = NONE
     }
     if
     :: node == NONE ->
        asleep = true;
#ifndef HASTY
        if
        :: newest != NONE -> asleep = false; goto again
        :: else
        fi;
#endif
        signalled -> signalled = false;
        asleep = false
     :: else
     fi;
again:
     skip;
     d_step
     {
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
  od
}
