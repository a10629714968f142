/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A task's wait for something that is no future, on a loop: a descriptor's readiness, say. It costs no more than the
 * two switches.
 *
 * A pause is where one task at a time waits; it belongs to whoever has what is waited for, who ends it. A time and a
 * cancel of the task end it too, whichever comes first. All of that happens on the loop's own thread. A task that goes
 * on looks for itself whether what it waited for has come. */

#pragma once

#include "exec/loop-private.h"

/* Filled with zeros it is ready for use. */
struct _MorrowPause
{
  MorrowTask *task;       /* the one that waits, borrowed; NULL when none does, or when it has been told to go on */
  gboolean    timed_out;
};

/* In a task on a loop: waits until morrow__pause_end () is called, or @deadline (G_MAXINT64 for none). Returns: FALSE
 * with %G_IO_ERROR_TIMED_OUT, or with the cancel. */
gboolean morrow__pause (MorrowPause *self, gint64 deadline, GError **error);
