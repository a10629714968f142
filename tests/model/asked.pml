/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requests to cancel that meet the end of their task (T3 in lib/exec/task-private.h), explored exhaustively: two who ask, and
 * a task that is about to resolve.
 *
 * Who asks sets PENDING while he holds the lock, unless the task has settled: then he is told so.  The task locks, and looks
 * at PENDING.  If it is set the task unlocks, takes the request and ends as cancelled, else it resolves.  A task that has
 * resolved has left no request that was accepted.
 *
 * With WEAK the task looks before it locks; with UNLOCKED who asks takes no lock. */

#define N_ASKERS 2

bool locked;
bool pending;
bool resolved;
bool cancelled;

active [N_ASKERS] proctype asker ()
{
  bool found;

#ifdef UNLOCKED
  found = !(resolved || cancelled);
#else
  atomic { !locked -> found = !(resolved || cancelled); locked = found };
#endif
  if
  :: found -> pending = true; locked = false
  :: else
  fi
}

active proctype task ()
{
  bool asked;

#ifdef WEAK
  asked = pending;
  atomic { !locked -> locked = true };
#else
  atomic { !locked -> locked = true };
  asked = pending;
#endif
  if
  :: asked ->
     locked = false;
     pending = false;
     atomic { !locked -> cancelled = true }
  :: else -> resolved = true; locked = false
  fi
}

active proctype census ()
{
  timeout;
  assert (!locked && (cancelled || (resolved && !pending)))
}
