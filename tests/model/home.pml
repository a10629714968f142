/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Visitors of a home that goes (H1 in lib/exec/home-private.h), explored exhaustively: two that reach for the home of a
 * task from outside, and the home, which settles it, waits until there is no visitor, and is freed.
 *
 * The counter is changed and read by exchanges.  With WEAK a visitor looks at the task first, and counts itself then. */

#define N_VISITORS 2

byte n_visitors;
bool settled;
bool freed;

active [N_VISITORS] proctype visitor ()
{
  bool lives;

#ifdef WEAK
  lives = !settled;
  n_visitors++;
#else
  n_visitors++;
  lives = !settled;
#endif
  if
  :: lives ->
     assert (!freed);
     /* It does more there than look at it. */
     assert (!freed)
  :: else
  fi;
  n_visitors--
}

active proctype home ()
{
  settled = true;
  n_visitors == 0;
  freed = true
}
