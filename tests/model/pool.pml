/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How the loops of a pool go to sleep and are woken (P1 to P3 in lib/exec/loop-pool-wake.c), over the ring of lib/base/ring.c,
 * explored exhaustively: two that push a piece of work each, from outside, and two loops.
 *
 * A push takes a number and then fills the slot; another's may be complete before it.  The filling is a plain store, which
 * goes through a buffer that empties whenever it likes, as on x86; the membarrier of who goes to sleep waits until each
 * buffer has been empty, and so does a pusher's own fence.  All else that is stored is stored by exchanges.  A slot is used
 * once: ring.pml has the rest.
 *
 * A loop may nap at any time at which another is awake: it looks when it likes, and may nap on over what it sees if the head has
 * moved since its last look.
 *
 * With OWN, which is explored apart, the loop that is chosen first has something of its own to do, once: it wakes up for it, or
 * begins it after it was woken, or did not sleep after all.  That blocks it until some work has been taken: so it is an invalid
 * end when the other sleeps over it.  Nobody looks around or naps meanwhile: both end with a look anyway.
 *
 * The work that comes out first blocks its loop until the other has run: so it is an invalid end when the other is left and
 * the loop that could run it sleeps.  What must not pass:
 *   WEAK      a loop does not look again after it has counted itself asleep
 *   UNFENCED  a pusher looks for a search while its store may still be on the way
 *   SILENT    who takes something does not look whether there is more
 *   DEEP      a nap does not end by itself
 *   ROUGH     who was chosen to be woken does not look again before it does something of its own (with OWN) */

#ifdef ROUGH
#define OWN
#endif

#define N_LOOPS 2
#define N_WORKS 2

byte head;
byte tail;
bool filled[N_WORKS + 1];     /* the turns; the last stays as it is */
chan buffer[N_WORKS] = [1] of { byte };   /* a pusher's each */

byte n_asleep;
byte n_searching;
bool napping;
bool asleep[N_LOOPS];
bool signalled[N_LOOPS];
bool own = true;              /* it has not begun */
bool ran[N_WORKS];
byte n_done;

/* What the buffers still hold has not reached memory. */
active proctype drain ()
{
  byte number;

end:
  do
  :: atomic { buffer[0] ? number -> filled[number] = true }
  :: atomic { buffer[1] ? number -> filled[number] = true }
  od
}

inline wake_one ()
{
  if
  :: atomic { asleep[0] -> asleep[0] = false; signalled[0] = true }
  :: atomic { !asleep[0] && asleep[1] -> asleep[1] = false; signalled[1] = true }
  :: else
  fi
}

/* Two looks: another may take what is at the head in between. */
inline has_work (answer)
{
  number = head;
  answer = filled[number]
}

#define UNWATCHED (n_searching == 0 && (!napping || n_asleep + 1 >= N_LOOPS))

proctype pusher (byte me)
{
  byte number;

  atomic { number = tail; tail++ };
  buffer[me] ! number;
  if
  :: n_asleep > 0 ->
#ifndef UNFENCED
     empty (buffer[me]);
#endif
     if
     :: UNWATCHED -> wake_one ()
     :: else
     fi
  :: else
  fi
}

inline look ()
{
  if
  :: n_asleep > 0 ->
     if
     :: UNWATCHED ->
        has_work (more);
        if
        :: more -> wake_one ()
        :: else
        fi
     :: else
     fi
  :: else
  fi
}

inline end_search ()
{
  atomic
  {
    if
    :: searching -> n_searching--
    :: else -> napping = false
    fi;
    searching = false;
    dozing = false
  };
  look ()
}

inline pass_on ()
{
  if
  :: searching || dozing -> end_search ()
#ifndef SILENT
  :: else -> look ()
#else
  :: else
#endif
  fi
}

inline wake_up ()
{
  d_step { chosen = !asleep[me]; asleep[me] = false }
}

/* Before it looks at what any loop may do. */
inline do_own ()
{
  if
  :: atomic { me == 0 && own -> own = false; due = true }
  :: true
  fi;
  if
  :: due ->
#ifndef ROUGH
     if
     :: chosen -> look ()
     :: else
     fi;
#endif
     head > 0;
     due = false
  :: else
  fi
}

inline do_work (work)
{
  if
  :: work == 0 -> ran[1]
  :: else
  fi;
  d_step { ran[work] = true; n_done++ }
}

proctype loop (byte me)
{
  byte number, work, seen;
  bool searching, dozing, more, took, chosen, due;

  do
  ::
#ifdef OWN
     do_own ();
#endif
     d_step { work = head; number = 0; more = false; took = false; chosen = false };
     if
     :: filled[work] ->
        atomic { took = (head == work); head = head + took };
        if
        :: took -> pass_on (); do_work (work)
        :: else
        fi
     :: else ->
        /* Looks for a while, unless another does. */
        if
#ifndef OWN
        :: atomic { !searching && !dozing && n_searching == 0 -> n_searching++; searching = true }
           goto again
        :: atomic { !searching && !dozing && n_asleep + 1 < N_LOOPS && !napping -> napping = true; dozing = true }
           do
           :: seen = head;
              asleep[me] = true;
              /* Until it looks again, or is woken. */
              if
              :: signalled[me] -> signalled[me] = false
              :: n_done == N_WORKS
#ifndef DEEP
              :: true
#endif
              fi;
              atomic
              {
                asleep[me] = false;
                if
                :: head != seen
                :: true -> seen = 0; goto again
                fi
              }
           od
#endif
        :: true
        fi;
        if
        :: searching || dozing -> end_search ()
        :: else
        fi;
        asleep[me] = true;
        n_asleep++;
#ifndef WEAK
        empty (buffer[0]);
        empty (buffer[1]);
        has_work (more);
        if
        :: more ->
           n_asleep--;
           wake_up ();
           goto again
        :: else
        fi;
#endif
        if
        :: signalled[me] -> signalled[me] = false
#ifdef OWN
        :: atomic { me == 0 && own -> own = false; due = true }
#endif
        :: n_done == N_WORKS -> break
        fi;
        n_asleep--;
        wake_up ()
     fi;
again:
     skip
  od
}

init
{
  atomic
  {
    run pusher (0);
    run pusher (1);
    run loop (0);
    run loop (1)
  }
  n_done == N_WORKS
}
