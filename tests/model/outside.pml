/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tasks that are started on a pool from outside while it shuts down (E2 in lib/exec/loop-pool.c), explored exhaustively: two
 * that start one each, a loop of the pool, and who shuts it down.
 *
 * Who starts a task counts it, then looks whether the pool is closed.  Who shuts down closes it, then waits for the tasks
 * that are counted, and stops the loops.  So a task either runs before the loops stop or is refused by who starts it.
 *
 * With WEAK who shuts down looks for tasks before he closes; with HASTY who starts a task looks before he counts it. */

#define N_STARTERS 2

byte n_outside;
bool closed;
byte offers;                   /* in the loop's queue */
bool stopping;
bool stopped;
byte n_run;
byte n_refused;

active [N_STARTERS] proctype starter ()
{
  bool refused;

#ifdef HASTY
  refused = closed;
  atomic { n_outside++ };
#else
  atomic { n_outside++ };
  refused = closed;
#endif
  if
  :: refused -> atomic { n_outside--; n_refused++ }
  :: else -> assert (!stopped); atomic { offers++ }
  fi
}

active proctype loop ()
{
  do
  :: atomic { offers > 0 -> offers-- };
     atomic { n_run++; n_outside-- }
  :: stopping -> break
  od;
  stopped = true
}

active proctype ender ()
{
#ifdef WEAK
  n_outside == 0;
  closed = true;
#else
  closed = true;
  n_outside == 0;
#endif
  stopping = true
}

active proctype census ()
{
  timeout;
  assert (stopped && offers == 0 && n_outside == 0 && n_run + n_refused == N_STARTERS)
}
