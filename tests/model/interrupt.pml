/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The end of a run that SIGINT would cancel (I1 in lib/exec/interrupt.c), explored exhaustively: two handlers, on any threads, and
 * the run.
 *
 * A handler counts itself, then looks for the run.  The run takes itself away, then waits until there is no handler, and
 * is gone.  All four are sequentially consistent, so that all is as it stands here.
 *
 * With WEAK a handler looks before it counts itself; with EARLY the run waits before it takes itself away. */

#define N_HANDLERS 2

byte n_handlers;
bool active_run = true;
bool gone;

active [N_HANDLERS] proctype handler ()
{
  bool found;

#ifdef WEAK
  found = active_run;
  atomic { n_handlers++ };
#else
  atomic { n_handlers++ };
  found = active_run;
#endif
  if
  :: found -> assert (!gone)
  :: else
  fi;
  atomic { n_handlers-- }
}

active proctype ender ()
{
#ifdef EARLY
  n_handlers == 0;
  active_run = false;
#else
  active_run = false;
  n_handlers == 0;
#endif
  gone = true
}

active proctype census ()
{
  timeout;
  assert (gone && n_handlers == 0)
}
