/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A race and its like that starts its children, one of which may decide before the last has started (C3 in
 * lib/core/combine.c), explored exhaustively: who makes it, and three children.
 *
 * To start a child takes no exchange: nobody else may cancel it meanwhile.  So decisive says at first that the children are
 * being started: who decides then leaves the others to who makes it.  In the end all others have been cancelled, once.
 *
 * With WEAK who decides cancels the others in any case; with DEAF who makes it does not look whether one has decided
 * when it says that all have started. */

#define N_CHILDREN 3
#define NONE       N_CHILDREN
#define STARTING   (N_CHILDREN + 1)

byte decisive = STARTING;
bool busy[N_CHILDREN];         /* is being started */
bool started[N_CHILDREN];
bool cancelled[N_CHILDREN];
byte n_walks;                  /* that have cancelled others */

inline cancel_others (one, i)
{
  for (i : 0 .. N_CHILDREN - 1)
  {
    if
    :: i != one -> assert (!busy[i]); cancelled[i] = true
    :: else
    fi
  };
  atomic { n_walks++ }
}

active [N_CHILDREN] proctype child ()
{
  byte found, i;

  started[_pid] || cancelled[_pid];
  atomic
  {
    found = decisive;
    if
    :: found >= NONE -> decisive = _pid
    :: else
    fi
  };
  if
#ifdef WEAK
  :: found >= NONE -> cancel_others (_pid, i)
#else
  :: found == NONE -> cancel_others (_pid, i)
#endif
  :: else
  fi
}

active proctype maker ()
{
  byte found, i, next;

  do
  :: next < N_CHILDREN && decisive >= NONE ->
     busy[next] = true;
     started[next] = true;
     busy[next] = false;
     next++
  :: else -> break
  od;
  atomic
  {
    found = decisive;
    if
#ifndef DEAF
    :: found != STARTING
#endif
    :: else -> decisive = NONE; found = NONE
    fi
  };
  if
  :: found < NONE -> cancel_others (found, i)
  :: else
  fi
}

active proctype census ()
{
  byte i;

  timeout;
  assert (n_walks == 1 && decisive < NONE);
  for (i : 0 .. N_CHILDREN - 1)
  {
    assert (i == decisive || cancelled[i])
  }
}
