/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The end of an executor ("Life" in lib/core/executor.c), explored exhaustively: its user, who lets go, and if something holds it
 * sweeps first, which may or may not wait for the code, since that may be a callback that runs later; something outside that
 * holds it, a gather say; code that runs on it, and takes holds without having one; and whoever has it end, which waits for
 * that code, as joining its threads does.
 *
 * Holds are changed by exchanges, and the lock is one, so that all is as it stands here.  With WEAK who has let go of a hold
 * looks at the executor itself, and not whether it is in the table.  With LATE the user lets go of his hold before he puts it
 * there, with BARE before he sweeps. */

#define N_TIMES 2             /* that the code on it takes a hold */

byte holds = 3;               /* its own, the user's, and the gather's */
bool abandoned;               /* it is in the table */
bool ending;
bool code_ended;
bool told_to_end;
bool freed;
byte n_ends;

inline touch ()
{
  assert (!freed)
}

/* find_unused (), and what it leads to. */
inline look ()
{
  atomic {
#ifdef WEAK
    touch ();
    if
    :: holds == 1 && !ending -> ending = true; told_to_end = true; n_ends++
    :: else
    fi
#else
    if
    :: abandoned && holds == 1 -> touch (); abandoned = false; ending = true; told_to_end = true; n_ends++
    :: else
    fi
#endif
  }
}

inline release (left)
{
  atomic { touch (); holds--; left = holds };
  if
  :: left == 0 -> atomic { touch (); freed = true }
  :: left == 1 -> look ()
  :: else
  fi
}

/* By the user, before he releases his hold. */
inline abandon ()
{
  atomic {
    touch ();
    if
    :: holds == 2 -> abandoned = false; ending = true; told_to_end = true; n_ends++
    :: else -> abandoned = true
    fi
  }
}

active proctype user ()
{
  byte left;

#ifdef LATE
  release (left);
  abandoned = true
#else
  abandon ();
#ifdef BARE
  release (left);
  touch ()
#else
  if
  :: !ending ->
     if
     :: code_ended
     :: skip
     fi;
     abandon ()
  :: else
  fi;
  release (left)
#endif
#endif
}

active proctype gather ()
{
  byte left;

  release (left)
}

active proctype code ()
{
  byte left, n;

  do
  :: n < N_TIMES ->
     atomic { touch (); holds++ };
     release (left);
     n++
  :: break
  od;
  code_ended = true
}

active proctype end ()
{
  byte left;

  told_to_end && code_ended;
  touch ();
  release (left)
}

active proctype census ()
{
  timeout;
  assert (freed && n_ends == 1)
}
