/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SIGINT during a run: the first cancels main, the second ends the process. */

#pragma once

#include <signal.h>

#include "base/parker-private.h"
#include "exec/loop-private.h"

typedef struct
{
  MorrowJob        job;        /* the handler posts it, to a loop */
  MorrowTask      *main;       /* immutable, borrowed from the run */
  MorrowLoop      *loop;       /* immutable: where main lives, or NULL */
  MorrowParker    *parker;     /* immutable: or what main's thread blocks on */
  atomic_int       count;      /* the handler: how many SIGINTs came */
  gboolean         installed;  /* the run's thread */
  struct sigaction before;     /* the run's thread: what to put back */
} MorrowInterrupt;

void     morrow__interrupt_begin (MorrowInterrupt *self, MorrowFuture *main, MorrowLoop *loop, MorrowParker *parker);
gboolean morrow__interrupt_end   (MorrowInterrupt *self);
