/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who runs a task of a thread pool (POOLED to CLAIMED in lib/exec/task-private.h, morrow__thread_pool_claim () in
 * lib/exec/thread-worker.c), explored exhaustively: who queues it, the worker that takes it from the queue, and two blocked
 * workers that wait for it.
 *
 * All claim under the pool's lock.  The workers that wait look at its state and at its pool before they take that.  The pool's
 * place holds something else once the task has started.
 *
 * With WEAK who claims does not look at the state again. */

#define N_WAITING 2

mtype = { QUEUED, POOLED, CLAIMED };
mtype state = QUEUED;
bool pool;                    /* its place holds the pool */
bool in_queue;
bool locked;
byte n_ran;

inline lock ()
{
  atomic { !locked; locked = true }
}

/* Under the lock, which it gives back. */
inline claim ()
{
#ifndef WEAK
  won = (state == POOLED);
#else
  won = true;
#endif
  if
  :: won -> state = CLAIMED; in_queue = false
  :: else
  fi;
  locked = false;
  if
  :: won -> pool = false; n_ran++
  :: else
  fi
}

active proctype starter ()
{
  lock ();
  in_queue = true;
  pool = true;
  state = POOLED;
  locked = false
}

active proctype worker ()
{
  bool won;

end_idle:
  atomic { in_queue && !locked; locked = true };
  claim ()
}

active [N_WAITING] proctype waiting ()
{
  bool won, seen;

  seen = (state == POOLED);
  if
  :: seen && pool -> lock (); claim ()
  :: else
  fi
}

active proctype census ()
{
  timeout;
  assert (n_ran == 1)
}
