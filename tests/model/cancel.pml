/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requests to cancel that meet the start of their task (T1 in lib/exec/task-private.h), explored exhaustively: two that
 * ask, and the home that starts the task.
 *
 * Who asks counts the request and sets PENDING, in one exchange, then looks whether the task has a home; if so it has the
 * home look again, by a job in its inbox.  The home says that the task has started, then looks.  After that the task
 * waits, and looks when it is told to.  When nothing moves any more no request may be left: each was given, alone or
 * together with others.
 *
 * With WEAK the home looks while its store may still be on the way. */

#define N_ASKERS 2

bool started;
bool pending;
byte n_requests;
byte n_given;
byte n_pokes;                 /* jobs in the home's inbox */

active [N_ASKERS] proctype asker ()
{
  atomic { n_requests++; pending = true };
  if
  :: started -> n_pokes++
  :: else
  fi
}

/* Only the home's thread takes a request. */
inline look ()
{
  if
  :: pending -> atomic { pending = false; n_given++ }
  :: else
  fi
}

active proctype home ()
{
#ifdef WEAK
  look ();
  started = true;
#else
  started = true;
  look ();
#endif

end:
  do
  :: n_pokes > 0 -> n_pokes--; look ()
  od
}

active proctype census ()
{
  timeout;
  assert (!pending && n_requests == N_ASKERS && n_given >= 1 && n_given <= N_ASKERS)
}
