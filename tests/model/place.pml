/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* To cancel what runs in place is to cancel its host (T2 in lib/exec/task-private.h), explored exhaustively: a host, which
 * runs something in place and then ends, and two who cancel that.
 *
 * The host says who it is, then that this runs in place.  Who cancels takes a reference of the host while he holds the lock
 * under which this settles; the host, which lets go of itself only later, is there until then.
 *
 * With WEAK the host says that this runs in place before it says who it is; with UNLOCKED who cancels takes no lock. */

#define N_CANCELLERS 2

bool host_known;
bool in_place;
bool locked;                   /* the state word of what runs in place */
bool settled;                  /* likewise */
byte host_refs = 1;            /* its own */

inline unref_host ()
{
  atomic { assert (host_refs > 0); host_refs-- }
}

active proctype host ()
{
#ifdef WEAK
  in_place = true;
  host_known = true;
#else
  host_known = true;
  in_place = true;
#endif
  atomic { !locked -> settled = true };
  unref_host ()
}

active [N_CANCELLERS] proctype canceller ()
{
  bool found;

  if
  :: in_place ->
     assert (host_known);
#ifdef UNLOCKED
     found = !settled;
#else
     atomic { !locked -> found = !settled; locked = found };
#endif
     if
     :: found ->
        atomic { assert (host_refs > 0); host_refs++ };
        locked = false;
        unref_host ()
     :: else
     fi
  :: else
  fi
}

active proctype census ()
{
  timeout;
  assert (settled && !locked && host_refs == 0)
}
