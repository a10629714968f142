/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Executors that let go of each other (E3 in lib/core/executor.c), explored exhaustively: code on each has the last reference
 * of the next, in a circle, and lets go of it; and each ends, which waits for that code, and for the ends that it is to wait for.
 * While its own executor is in use, the code waits for the end of the next, or has its executor wait.  One of them may be let go of
 * by somebody outside as well, whoever comes first.
 *
 * With BLIND the code waits whether its own executor is in use or not.  With EARLY it looks before it lets go, and not
 * after. */

#define N 3

bool let_go[N];               /* its users have */
bool code_ended[N];
bool ended[N];
byte n_awaited[N];            /* ends that it waits for */
bool counted[N];              /* in n_awaited of the one before */
bool waits[N];                /* the code, for the end of the next */

/* FALSE when somebody has let go of it before. */
inline let_go_of (which, first)
{
  atomic { first = !let_go[which]; let_go[which] = true }
}

inline look ()
{
  atomic {
    if
    :: !let_go[id] -> n_awaited[id]++; counted[next] = true
    :: !let_go[id] -> waits[id] = true
    :: else
    fi
  }
}

proctype code (byte id)
{
  byte next = (id + 1) % N;
  bool first;

#ifdef EARLY
  look ();
  let_go_of (next, first);
  if
  :: !first && counted[next] -> atomic { n_awaited[id]--; counted[next] = false }
  :: !first && waits[id] -> waits[id] = false
  :: else
  fi;
#else
  let_go_of (next, first);
  if
  :: first ->
#ifdef BLIND
    waits[id] = true
#else
    look ()
#endif
  :: else
  fi;
#endif
  !waits[id] || ended[next];
  code_ended[id] = true
}

proctype end (byte id)
{
  byte before = (id + N - 1) % N;

  let_go[id];
  code_ended[id] && n_awaited[id] == 0;
  ended[id] = true;

  /* The thread says so that had it end: which is not started before who lets go has looked. */
  code_ended[before];
  if
  :: counted[id] -> n_awaited[before]--
  :: else
  fi
}

proctype outsider ()
{
  bool first;

  let_go_of (0, first)
}

init
{
  byte i;

  atomic {
    for (i : 0 .. N - 1) { run code (i); run end (i) };
    if
    :: run outsider ()
    :: skip
    fi
  }
}
