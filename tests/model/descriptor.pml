/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A descriptor that is closed while it is used (lib/io/fd-private.h), explored exhaustively: a reader and a writer, each on a
 * loop of its own or on a thread, and who closes it.  Nothing ever comes: only the close ends a wait.
 *
 * On a loop a call waits in the slot, which moves there first if need be; a loop's thread runs jobs only while its task
 * waits, or while its call is in the loop's bundle: these find nobody to wake.  On a thread it waits in poll (), until its home is woken.
 *
 * With WEAK a task that has its slot does not look whether the descriptor has been closed meanwhile; with EARLY a thread says where
 * it waits only after it has looked. */

#define READ   1
#define WRITE  2
#define SIDES  3
#define CLOSED 4

#define N_ROUNDS 2            /* calls that each makes */

byte use;
byte slot;                    /* whose loop it is on, by its side; 0 for none */
bool is_open = true;          /* the number is ours */
byte n_closed;
bool locked;

byte n_jobs[3];               /* wake jobs posted to a loop, by the side of its task */
bool polls[3];                /* under the lock: a side is waited for on a thread */
bool token[3];                /* and its home has been woken */

inline lock ()
{
  atomic { !locked -> locked = true }
}

inline unlock ()
{
  locked = false
}

/* Sets @ok. */
inline take_sides (sides, mine)
{
  atomic
  {
    ok = !(use & CLOSED) && !(use & sides & ~mine);
    if
    :: ok -> use = use | sides
    :: else
    fi
  }
}

inline close_for_good ()
{
  lock ();
  slot = 0;
  unlock ();
  assert (is_open);
  is_open = false;
  n_closed++
}

inline end_call ()
{
  atomic { use = use - side; is_last = (use == CLOSED) };
  if
  :: is_last -> close_for_good ()
  :: else
  fi
}

/* Has the slot on the loop of @side.  Clears @ok when it cannot be. */
inline take_slot ()
{
  if
  :: slot == side
  :: else ->
     take_sides (SIDES, side);
     if
     :: ok ->
        lock ();
        slot = side;
        unlock ();
        atomic { use = use & ~(SIDES & ~side) }
     :: else
     fi
  fi
}

/* The call has been in the bundle, and something of what is posted has been run meanwhile.  Then the task waits, and the rest is. */
inline wait_on_loop ()
{
  do
  :: n_jobs[side] > 0 -> n_jobs[side]--
  :: break
  od;
  take_slot ();
#ifndef WEAK
  ok = ok && !(use & CLOSED);
#endif
  if
  :: ok ->
     woken = false;
     do
     :: woken -> break
     :: !woken && n_jobs[side] > 0 ->
        n_jobs[side]--;
        lock ();
        woken = (slot == side);
        unlock ()
     od
  :: else
  fi
}

inline wait_on_thread ()
{
#ifdef EARLY
  ok = !(use & CLOSED);
  lock ();
#else
  lock ();
  ok = !(use & CLOSED);
#endif
  polls[side] = true;
  unlock ();
  if
  :: ok ->
     atomic { token[side] -> token[side] = false }
  :: else
  fi;
  lock ();
  polls[side] = false;
  unlock ()
}

proctype caller (byte side; bool on_loop)
{
  bool ok, is_last, woken;
  byte i;

  for (i : 1 .. N_ROUNDS)
  {
    take_sides (side, 0);
    if
    :: ok ->
       assert (is_open);
       if
       :: on_loop -> wait_on_loop ()
       :: !on_loop -> wait_on_thread ()
       :: true                            /* it need not wait */
       fi;
       assert (is_open);
       end_call ()
    :: else
    fi
  }

  /* What is left is run when the loop turns on. */
}

proctype closer ()
{
  byte before, there = 0;

  lock ();
  atomic { before = use; use = use | CLOSED };
  if
  :: before != 0 ->
     if
     :: polls[READ] -> token[READ] = true
     :: else
     fi;
     if
     :: polls[WRITE] -> token[WRITE] = true
     :: else
     fi;
     there = slot
  :: else
  fi;
  unlock ();
  if
  :: there != 0 -> n_jobs[there]++
  :: else
  fi;
  if
  :: before == 0 -> close_for_good ()
  :: else
  fi
}

init
{
  atomic
  {
    if
    :: run caller (READ, true)
    :: run caller (READ, false)
    fi;
    if
    :: run caller (WRITE, true)
    :: run caller (WRITE, false)
    fi;
    if
    :: slot = READ
    :: slot = WRITE
    :: true
    fi;
    run closer ()
  };
  _nr_pr == 1;
  assert (n_closed == 1 && !is_open)
}
