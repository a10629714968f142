/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The clock, real or virtual.  One relaxed load tells which: beside a call into the vDSO it costs
 * nothing. */

#include "base/clock-private.h"

#include <stdatomic.h>

/* Any thread, atomically: what the virtual clock shows, or 0 while the real one is in use.  All
 * accesses are relaxed: whoever moves the clock and expects another thread to act on it tells that
 * thread by other means. */
static _Atomic (gint64) virtual_now;

gint64
morrow__clock_now (void)
{
  gint64 now = atomic_load_explicit (&virtual_now, memory_order_relaxed);

  return G_LIKELY (now == 0) ? g_get_monotonic_time () : now;
}

void
morrow__clock_set_virtual (gboolean is_virtual)
{
  atomic_store_explicit (&virtual_now, is_virtual ? g_get_monotonic_time () : 0,
                         memory_order_relaxed);
}

void
morrow__clock_advance (gint64 microseconds)
{
  g_assert (microseconds >= 0);
  g_assert (atomic_load_explicit (&virtual_now, memory_order_relaxed) != 0);

  atomic_fetch_add_explicit (&virtual_now, microseconds, memory_order_relaxed);
}

gboolean
morrow__clock_jump (gint64 deadline)
{
  gint64 now = atomic_load_explicit (&virtual_now, memory_order_relaxed);

  if (G_LIKELY (now == 0) || deadline == G_MAXINT64)
    return FALSE;

  atomic_store_explicit (&virtual_now, MAX (now, deadline), memory_order_relaxed);
  return TRUE;
}
