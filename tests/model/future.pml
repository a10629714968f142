/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The state word of lib/core/future-private.h, explored exhaustively: two that settle, three that subscribe, two of which
 * take their waiters out again.
 *
 * The word is four variables here, which change in one step as it does; the list is a set, since its order is told by
 * nothing but the pushes.  Who takes a waiter out may leave a crowd behind, or none where there was one.  An outcome is
 * written in two steps.  With WEAK who settles takes the list before the lock, and a waiter that comes in between is
 * forgotten; with BESIDE who subscribes does not look for a crowd. */

#define N_WAITERS 3

bool settled;
bool locked;
bool crowded;                 /* the waiters are those of the crowd */
byte waiters;                 /* a bit for each */
byte crowd;                   /* likewise; whoever holds the lock */
byte outcome_upper;
byte outcome_lower;

byte n_settled;               /* settlers that won */
byte n_told[N_WAITERS];       /* notified, or told that it is too late to subscribe */
bool removed[N_WAITERS];

inline read_outcome ()
{
  assert (outcome_upper != 0 && outcome_upper == outcome_lower)
}

/* Sets @won when the future is locked by this process, clears it when it has settled. */
inline lock (won)
{
  do
  :: atomic { settled -> won = false; break }
  :: atomic { !settled && !locked -> locked = true; won = true; break }
  od
}

proctype settler (byte value)
{
  bool won;
  byte list, i;

#ifdef WEAK
  list = waiters;
#endif
  lock (won);
  if
  :: won ->
     if
     :: crowded -> atomic { waiters = crowd; crowd = 0; crowded = false }
     :: else
     fi;
     outcome_upper = value;
     outcome_lower = value;
     atomic
     {
#ifndef WEAK
       list = waiters;
#endif
       waiters = 0;
       locked = false;
       settled = true
     }
     n_settled++;
     for (i : 0 .. N_WAITERS - 1)
     {
       if
       :: list & (1 << i) -> read_outcome (); n_told[i]++
       :: else
       fi
     }
  :: else -> read_outcome ()
  fi
}

proctype subscriber (byte me; bool leaves)
{
  bool won;

  do
  :: atomic { settled -> n_told[me]++; read_outcome (); goto done }
#ifdef BESIDE
  :: atomic { !settled && !locked -> waiters = waiters | (1 << me); break }
#else
  :: atomic { !settled && !locked && !crowded -> waiters = waiters | (1 << me); break }
#endif
  :: crowded ->
     lock (won);
     if
     :: won && crowded -> crowd = crowd | (1 << me); locked = false; break
     :: won && !crowded -> locked = false
     :: else
     fi
  od;
  if
  :: leaves ->
     lock (won);
     if
     :: won ->
        if
        :: crowded -> crowd = crowd & (7 - (1 << me))
        :: else -> crowd = waiters & (7 - (1 << me))
        fi;
        if
        :: atomic { waiters = 0; crowded = true; locked = false }
        :: atomic { waiters = crowd; crowd = 0; crowded = false; locked = false }
        fi;
        removed[me] = true
     :: else
     fi
  :: else
  fi;
done:
  skip
}

init
{
  byte i;

  atomic
  {
    run settler (1);
    run settler (2);
    run subscriber (0, false);
    run subscriber (1, true);
    run subscriber (2, true)
  }
  _nr_pr == 1;
  assert (settled && !locked && !crowded && waiters == 0 && crowd == 0 && n_settled == 1);
  for (i : 0 .. N_WAITERS - 1)
  {
    assert (n_told[i] + removed[i] == 1)
  }
}
