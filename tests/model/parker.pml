/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The parker of lib/base/parker.c, explored exhaustively: wakers that each do something and unpark,
 * and a thread that parks, with a deadline that may pass at any time or without one, until it has
 * seen it all. A futex wait that finds the word changed does not sleep; one that sleeps may wake
 * for no reason.  It may wait for a descriptor as well, which stays silent here, in poll: that sees an eventfd that was
 * written to, once.
 *
 * With WEAK the wait does not look at the word, and a wake-up is lost.  With BLIND it is lost by who goes to poll without
 * looking for a token. */

#define N_WAKERS 2

#define POLLING (-2)
#define PARKED (-1)
#define EMPTY  0
#define TOKEN  1

int state = EMPTY;
bool asleep;
bool written;                   /* The eventfd. */
byte n_done;                    /* What the wakers did before they unparked. */
byte n_ended;

active [N_WAKERS] proctype waker ()
{
  int was;

  n_done++;
  atomic { was = state; state = TOKEN }
  if
  /* The system call: wakes whoever sleeps by now. */
  :: was == PARKED -> asleep = false
  :: was == POLLING -> written = true
  :: else
  fi
  n_ended++
}

inline park (may_time_out)
{
  in_time = true;
  atomic { was = state; state-- }
  if
  :: was == TOKEN -> unparked = true
  :: else ->
     assert (was == EMPTY);
     do
     ::
        atomic
        {
#ifndef WEAK
          asleep = (state == PARKED)
#else
          asleep = true
#endif
        }
        if
        :: !asleep
        :: asleep && may_time_out -> asleep = false; in_time = false
        fi
        if
        :: in_time && state == PARKED
        :: else -> break
        fi
     od
     atomic { was = state; state = EMPTY }
     assert (was == TOKEN || (was == PARKED && !in_time));
     unparked = (was == TOKEN)
  fi
}

inline poll ()
{
  atomic
  {
    was = state;
    if
#ifndef BLIND
    :: was == EMPTY -> state = POLLING
#else
    :: true -> was = EMPTY; state = POLLING
#endif
    :: was == TOKEN
    fi
  };
  if
  :: was == EMPTY -> written; written = false
  :: else
  fi;
  atomic { was = state; state = EMPTY };
  assert (was != EMPTY && was != PARKED)
}

active proctype parked ()
{
  int was;
  bool in_time, unparked;
  byte n_seen;

  do
  :: n_seen < N_WAKERS ->
     if
     :: park (false); assert (unparked)
     :: park (true)
     :: poll ()
     fi
     assert (state == EMPTY || state == TOKEN);
     n_seen = n_done
  :: else -> break
  od
}
