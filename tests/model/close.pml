/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Posting to a loop that closes (L2 in lib/exec/loop-private.h), explored exhaustively: two posters that know only that the
 * loop is there when they begin, and the loop, which closes, runs what is in its inbox for the last time, and is freed.
 *
 * All is changed and read by sequentially consistent operations, so that it is as it stands here.  With WEAK who closes
 * does not wait for the posters. */

#define N_POSTERS 2

byte posting;
bool closed;
bool freed;
byte inbox;                   /* jobs */
byte n_run;                   /* by the loop */
byte n_refused;               /* by their posters, when the loop had closed */

active [N_POSTERS] proctype poster ()
{
  bool refused;

  posting++;
  refused = closed;
  if
  :: !refused ->
     assert (!freed);
     inbox++
  :: else
  fi;
  posting--;
  if
  :: refused -> n_refused++
  :: else
  fi
}

active proctype loop ()
{
  closed = true;
#ifndef WEAK
  posting == 0;
#endif
  atomic { n_run = n_run + inbox; inbox = 0 };
  freed = true
}

active proctype census ()
{
  timeout;
  assert (inbox == 0 && n_run + n_refused == N_POSTERS)
}
