/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A common waiter (lib/core/future-private.h, C4 in lib/core/combine.c), explored exhaustively: two futures that settle, a
 * gather that has one waiter for both, and others who wait for them before it or after it, of whom one leaves again.
 *
 * The lists are linked as they are there, a step for each field that is read or written.  The gather pushes its common waiter
 * where there is none, else one that is that future's own, and is gone when both futures have told it: from then on
 * nobody may look at the common one.
 *
 * With WEAK who settles turns the whole list round, and writes to the oldest as well; with ANYWHERE the common waiter is pushed on
 * top of others; with OVER, also where somebody holds the lock. */

#define N_FUTURES 2
#define N_OTHERS  3

#define NONE      255
#define COMMON    0
#define OTHER(i)  (1 + (i))
#define OWN(f)    (1 + N_OTHERS + (f))
#define N_WAITERS (1 + N_OTHERS + N_FUTURES)

byte next[N_WAITERS];
byte newest[N_FUTURES];
bool locked[N_FUTURES];
bool settled[N_FUTURES];

byte pending = N_FUTURES + 1;   /* one for the gather while it subscribes */
bool gone;
byte n_told[N_FUTURES];         /* the gather, of each future */
byte n_others_told[N_OTHERS];   /* notified, or too late to subscribe */
bool has_left[N_OTHERS];

inline look_at (waiter)
{
  assert (waiter != COMMON || !gone)
}

inline tell_gather (f)
{
  n_told[f]++;
  atomic
  {
    pending--;
    gone = (pending == 0)
  }
}

inline notify (waiter, f)
{
  look_at (waiter);
  if
  :: waiter == COMMON || waiter == OWN (f) -> tell_gather (f)
  :: else -> n_others_told[waiter - OTHER (0)]++
  fi
}

/* Sets @found to what is next, and @pushed, or clears it where the future has settled. */
inline push (waiter, f, found, pushed)
{
  do
  :: found = newest[f];
     next[waiter] = found;
     if
     :: atomic { settled[f] -> pushed = false; break }
     :: atomic { !settled[f] && !locked[f] && newest[f] == found -> newest[f] = waiter; pushed = true; break }
     :: atomic { !settled[f] && !locked[f] && newest[f] != found -> skip }
     fi
  od
}

proctype settler (byte f)
{
  byte oldest, waiter = NONE, other;

  atomic { !locked[f] -> locked[f] = true };
  oldest = newest[f];
  atomic
  {
    newest[f] = NONE;
    locked[f] = false;
    settled[f] = true
  }
  if
  :: oldest == NONE -> goto done
  :: else
  fi;
#ifdef WEAK
  do
  :: oldest != NONE ->
     look_at (oldest);
     other = next[oldest];
     next[oldest] = waiter;
     waiter = oldest;
     oldest = other
  :: else -> break
  od;
#else
  do
  :: look_at (oldest);
     other = next[oldest];
     if
     :: other == NONE -> break
     :: else
     fi;
     next[oldest] = waiter;
     waiter = oldest;
     oldest = other
  od;
  notify (oldest, f);
#endif
  do
  :: waiter != NONE ->
     look_at (waiter);
     other = next[waiter];
     notify (waiter, f);
     waiter = other
  :: else -> break
  od;
done:
  skip
}

proctype gather ()
{
  byte f, found;
  bool pushed;

  for (f : 0 .. N_FUTURES - 1)
  {
#ifdef ANYWHERE
    push (COMMON, f, found, pushed);
#else
    atomic
    {
#ifdef OVER
      pushed = (!settled[f] && newest[f] == NONE);
#else
      pushed = (!settled[f] && !locked[f] && newest[f] == NONE);
#endif
      if
      :: pushed -> newest[f] = COMMON
      :: else
      fi
    }
    if
    :: pushed
    :: else -> push (OWN (f), f, found, pushed)
    fi;
#endif
    if
    :: pushed
    :: else -> tell_gather (f)
    fi
  }
  atomic
  {
    pending--;
    gone = (pending == 0)
  }
}

proctype other (byte i; byte f; bool leaves)
{
  byte found, at;
  bool pushed;

  push (OTHER (i), f, found, pushed);
  if
  :: !pushed -> n_others_told[i]++; goto done
  :: pushed && !leaves -> goto done
  :: else
  fi;

  do
  :: atomic { settled[f] -> goto done }
  :: atomic { !settled[f] && !locked[f] -> locked[f] = true; break }
  od;
  found = newest[f];
  at = NONE;
  do
  :: found != OTHER (i) -> look_at (found); at = found; found = next[found]
  :: else -> break
  od;
  found = next[OTHER (i)];
  if
  :: at == NONE -> atomic { newest[f] = found; locked[f] = false }
  :: else -> next[at] = found; locked[f] = false
  fi;
  has_left[i] = true;
done:
  skip
}

init
{
  byte i;

  atomic
  {
    for (i : 0 .. N_WAITERS - 1)
    {
      next[i] = NONE
    }
    for (i : 0 .. N_FUTURES - 1)
    {
      newest[i] = NONE
    }
    run gather ();
    run settler (0);
    run settler (1);
    run other (0, 0, false);
    run other (1, 0, true);
    run other (2, 1, false)
  }
  _nr_pr == 1;
  assert (gone);
  for (i : 0 .. N_FUTURES - 1)
  {
    assert (settled[i] && newest[i] == NONE && n_told[i] == 1)
  }
  for (i : 0 .. N_OTHERS - 1)
  {
    assert (n_others_told[i] + has_left[i] == 1)
  }
}
