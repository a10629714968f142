/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who runs a task of a thread pool (POOLED to CLAIMED in lib/exec/task-private.h, claim_here () in lib/exec/thread-pool.c),
 * explored exhaustively: who queues it, the worker that takes it from the queue, and two blocked workers that wait for it.
 *
 * The workers that wait look at its state and at its pool without the queue's lock.  The pool's place holds something else
 * once the task has been claimed.
 *
 * With WEAK who claims does not compare. */

#define N_WAITING 2

mtype = { QUEUED, POOLED, CLAIMED };
mtype state = QUEUED;
bool pool;                    /* its place holds the pool */
bool in_queue;
byte n_ran;

inline claim ()
{
  atomic
  {
#ifndef WEAK
    won = (state == POOLED);
#else
    won = true;
#endif
    if
    :: won -> state = CLAIMED
    :: else
    fi
  }
  if
  :: won -> pool = false; n_ran++
  :: else
  fi
}

active proctype starter ()
{
  pool = true;
  state = POOLED;
  in_queue = true
}

active proctype worker ()
{
  bool won;

  in_queue;
  claim ()
}

active [N_WAITING] proctype waiting ()
{
  bool won, seen;

  seen = (state == POOLED);
  if
  :: seen && pool -> claim ()
  :: else
  fi
}

active proctype census ()
{
  timeout;
  assert (n_ran == 1)
}
