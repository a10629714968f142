/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The time that everything here goes by: monotonic microseconds, of the epoch of
 * g_get_monotonic_time (). */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

gint64 morrow__clock_now         (void);

/* What a time that counts from this call is added to: never before now, and at most a microsecond
 * after it; on one thread it never goes back.  Cheaper than the clock when it is asked often.  The
 * virtual clock's time is exact. */
gint64 morrow__clock_ceiling     (void);

/* For tests: the virtual clock stands still, and moves only when it is told to.  It starts at the
 * real time of the switch; switching back goes on with real time.  Any thread, but one at a
 * time. */
void   morrow__clock_set_virtual (gboolean is_virtual);
void   morrow__clock_advance     (gint64 microseconds);

/* Whoever is about to sleep until @deadline asks first: the virtual clock jumps there, so that a test need not wait.
 * Returns: FALSE with the real clock, or when there is nothing to sleep for (G_MAXINT64). */
gboolean morrow__clock_jump      (gint64 deadline);

G_END_DECLS
