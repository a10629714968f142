/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a task that reads knows of its descriptor (lib/io/slot-private.h), explored exhaustively: its loop's calls, put into the
 * bundle and made later, against data that come meanwhile.  The kernel tells once that something has come.  Each read takes all
 * that there is, and comes up short by that.
 *
 * With HASTY what a call in the bundle has found in vain is taken for true, though an edge has been told of since; with SHORT
 * what a short read tells is. */

#define N_DATA 3

byte data;                    /* in the socket */
bool edge;                    /* the kernel has something to tell */

mtype = { ready, bundled, made, waits };

active proctype peer ()
{
  byte i;

  for (i : 1 .. N_DATA)
  {
    data++;
    edge = true
  }
}

active proctype loop ()
{
  mtype task = ready;
  bool dry = false, told = false;
  byte n, n_read = 0;

  do
  :: edge ->                  /* it looks at descriptors, whenever */
     atomic
     {
       edge = false;
       dry = false;
       told = true;
       if
       :: task == waits -> task = ready
       :: else
       fi
     }

  :: task == ready && n_read == N_DATA -> break

  :: task == ready && n_read < N_DATA ->
     if
     :: dry -> task = waits
     :: !dry -> told = false; task = bundled
     fi

  :: task == bundled ->
     atomic { n = data; data = 0 };
     task = made

  :: task == made ->
     n_read = n_read + n;
     task = ready;
     if
#ifdef HASTY
     :: n == 0 -> dry = true
#else
     :: n == 0 -> dry = !told
#endif
#ifdef SHORT
     :: n > 0 -> dry = true
#else
     :: n > 0 -> dry = !told
#endif
     fi
  od
}
