/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who finishes a gather and its like (PENDING, C1 and C2 in lib/core/combine.c), explored exhaustively: three children that
 * settle, who makes it and subscribes to them one after the other, one that cancels it, and one that only looks at it.
 *
 * Pending counts the children and whoever walks them.  Who takes it to zero lets go of the children, when all have
 * settled, once.  A child is settled by its own work or by the cancel, whichever comes first.  Who looks does not count:
 * it takes a reference of a child while it holds the lock under which the whole settles, before the children are let go.
 *
 * With WEAK who cancels counts itself without looking once more whether it is too late; with UNLOCKED who looks takes no
 * lock. */

#define N_CHILDREN 3

byte pending = N_CHILDREN + 1;   /* one for who makes it */
bool subscribed[N_CHILDREN];
bool settled[N_CHILDREN];
bool locked;                     /* the state word of the whole */
bool resolved;                   /* likewise */
bool finished;

inline drop_pending ()
{
  atomic { pending--; last = (pending == 0) };
  if
  :: last ->
     assert (!finished);
     assert (settled[0] && settled[1] && settled[2]);
     atomic { !locked -> resolved = true };
     finished = true
  :: else
  fi
}

active [N_CHILDREN] proctype child ()
{
  bool last;

  /* Its hook is called when it has settled, or not at all if it had before. */
  atomic { settled[_pid] = true; last = subscribed[_pid] };
  if
  :: last -> drop_pending ()
  :: else
  fi
}

active proctype maker ()
{
  byte i;
  bool last;

  for (i : 0 .. N_CHILDREN - 1)
  {
    assert (!finished);
    atomic { last = settled[i]; subscribed[i] = !last };
    if
    :: last -> drop_pending ()
    :: else
    fi
  }
  drop_pending ()
}

active proctype canceller ()
{
  byte i;
  bool last, kept;

#ifdef WEAK
  if
  :: pending != 0 -> pending++; kept = true
  :: else
  fi;
#else
  atomic
  {
    if
    :: pending != 0 -> pending++; kept = true
    :: else
    fi
  };
#endif
  if
  :: kept ->
     for (i : 0 .. N_CHILDREN - 1)
     {
       assert (!finished)
     }
     drop_pending ()
  :: else
  fi
}

active proctype looker ()
{
  bool found;

#ifdef UNLOCKED
  found = !resolved;
#else
  atomic { !locked -> found = !resolved; locked = found };
#endif
  if
  :: found ->
     assert (!finished);
     locked = false
  :: else
  fi
}

active proctype census ()
{
  timeout;
  assert (finished && pending == 0)
}
