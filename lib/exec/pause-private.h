/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A task's wait for something that is no future, on a loop: a descriptor's readiness, say. It lives on the stack of
 * the task that waits, and costs no more than the two switches.
 *
 * Whoever has what is waited for keeps a pointer to the pause and ends it; a time and a cancel of the task end it too,
 * whichever comes first. All of that happens on the loop's own thread. A task that goes on looks for itself whether
 * what it waited for has come. */

#pragma once

#include "exec/loop-private.h"

struct _MorrowPause
{
  MorrowTask *task;       /* borrowed; NULL once it has been told to go on */
  MorrowAlarm alarm;      /* armed, when there is a deadline */
  gboolean    timed_out;
};

/* In a task on a loop: waits until morrow__pause_end () is called, or @deadline (G_MAXINT64 for none). Returns: FALSE
 * with %G_IO_ERROR_TIMED_OUT, or with the cancel. */
gboolean morrow__pause (MorrowPause *self, gint64 deadline, GError **error);
