/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How the loops of lib/exec/loop-pool.c go to sleep and are woken (P1 and P2 there), explored exhaustively: one that
 * pushes from outside, three pieces of work, and two loops.
 *
 * Every access is seen by all at once, which the membarrier of who goes to sleep is for.  A loop whose eventfd has been
 * signalled wakes once.  It is an invalid end when work is left and both sleep.  With WEAK a loop does not look again
 * after it has counted itself asleep. */

#define N_LOOPS 2
#define N_WORKS 3

byte n_works;                 /* pushed, and not taken */
byte n_asleep;
byte n_searching;
bool asleep[N_LOOPS];
bool signalled[N_LOOPS];
byte n_done;

inline wake_one ()
{
  if
  :: atomic { asleep[0] -> asleep[0] = false; signalled[0] = true }
  :: atomic { !asleep[0] && asleep[1] -> asleep[1] = false; signalled[1] = true }
  :: else
  fi
}

inline end_search ()
{
  if
  :: searching ->
     searching = false;
     atomic { n_searching--; last = (n_searching == 0) };
     if
     :: last && n_asleep > 0 && n_works > 0 -> wake_one ()
     :: else
     fi
  :: else
  fi
}

proctype pusher ()
{
  byte i;

  for (i : 1 .. N_WORKS)
  {
    n_works++;
    if
    :: n_asleep > 0 ->
       if
       :: n_searching == 0 -> wake_one ()
       :: else
       fi
    :: else
    fi
  }
}

proctype loop (byte me)
{
  bool searching, last, took;

  do
  :: atomic { took = (n_works > 0); n_works = n_works - took }
     if
     :: took ->
        end_search ();
        n_done++
     :: else ->
        /* Looks for a while, unless another does. */
        if
        :: atomic { !searching && n_searching == 0 -> n_searching++; searching = true }
           goto again
        :: skip
        fi;
        end_search ();
        asleep[me] = true;
        n_asleep++;
#ifndef WEAK
        if
        :: n_works > 0 ->
           n_asleep--;
           asleep[me] = false;
           goto again
        :: else
        fi;
#endif
        if
        :: signalled[me] -> signalled[me] = false
        :: n_done == N_WORKS -> break
        fi;
        asleep[me] = false;
        n_asleep--
     fi;
again:
     skip
  od
}

init
{
  atomic
  {
    run pusher ();
    run loop (0);
    run loop (1)
  }
  _nr_pr == 1;
  assert (n_done == N_WORKS)
}
