/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A file descriptor that becomes readable when another thread, or a signal handler, wants
 * attention: for a loop that sleeps in poll or epoll. */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct
{
  gint fd;                      /* Immutable between init and clear, but by part; -1 outside. */
} MorrowWakeup;

/* Returns of init: FALSE, with @error set, when the process has no descriptor left. */
gboolean morrow__wakeup_init        (MorrowWakeup  *wakeup,
                                     GError       **error);
void     morrow__wakeup_clear       (MorrowWakeup  *wakeup);

/* In a new child of a fork (), before it has threads: from now on its signals are not its parent's.
 * Without a descriptor left, there are none. */
void     morrow__wakeup_part        (MorrowWakeup  *wakeup);

/* The descriptor to poll for reading. */
gint     morrow__wakeup_fd          (MorrowWakeup  *wakeup);

/* Any thread, signal handlers too: leaves errno alone, never blocks.  Signals not yet acknowledged
 * count as one. */
void     morrow__wakeup_signal      (MorrowWakeup  *wakeup);

/* The sleeper, before it looks for what it was woken for.  Never blocks.  Returns: whether there
 * had been a signal. */
gboolean morrow__wakeup_acknowledge (MorrowWakeup  *wakeup);

G_END_DECLS
