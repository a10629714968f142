/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The clock, real or virtual.  One relaxed load tells which: beside a call into the vDSO it costs
 * nothing.
 *
 * THE CEILING
 *   The clock waits for the instructions before it, and takes 23 ns where the bare counter of the
 *   processor takes 10. So the ceiling is read from the clock once, rounded up to the next microsecond,
 *   and given again as long as the counter has not moved by FEW_TICKS, which is less than a
 *   microsecond: then the clock, which counts whole ones, has moved by one at most. The counter is
 *   read before the clock, which waits for that. Where it leaps, since the machine slept or was
 *   moved, the difference is large, forwards or backwards, and the clock is read. So too on another
 *   processor, whose counter may be behind by just as much as has passed meanwhile; the kernel has
 *   the clock do without where they differ, and we need not know. */

#include "config.h"

#include "base/clock-private.h"

#include "base/likely-private.h"

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#ifdef HAVE_SYS_RSEQ_H
#include <sys/rseq.h>
#endif

/* Any thread, atomically: what the virtual clock shows, or 0 while the real one is in use.  All
 * accesses are relaxed: whoever moves the clock and expects another thread to act on it tells that
 * thread by other means. */
static _Atomic (gint64) virtual_now;

/* The slowest counters tick once a nanosecond; what is left of the microsecond is for a processor
 * that reads its counter before its turn. */
#define FEW_TICKS 600

gint64
morrow__clock_now (void)
{
  gint64 now = atomic_load_explicit (&virtual_now, memory_order_relaxed);

  return morrow__likely (now == 0) ? g_get_monotonic_time () : now;
}

#ifdef __x86_64__
/* Which processor this is. The kernel keeps it where the C library says, relative to the thread's own segment; where it does not (-1,
 * -2), or nothing is said, the call has to ask. */
static inline int
get_processor (void)
{
#ifdef HAVE_SYS_RSEQ_H
  int cpu;

  __asm__ volatile ("movl %%fs:%c1(%2), %0" : "=r" (cpu) : "i" (offsetof (struct rseq, cpu_id)), "r" (__rseq_offset));
  if (morrow__likely (cpu >= 0))
    return cpu;
#endif
  return sched_getcpu ();
}
#endif

/* Whether the clock has moved by a microsecond at most since this was last FALSE on this thread. */
static inline gboolean
is_same_moment (void)
{
#ifdef __x86_64__
  static __thread guint64 last;
  static __thread int last_cpu;
  guint64 ticks = __builtin_ia32_rdtsc ();
  int cpu = get_processor ();

  if (cpu == last_cpu && ticks - last < FEW_TICKS)
    return TRUE;
  last = ticks;
  last_cpu = cpu;
#endif
  return FALSE;
}

gint64
morrow__clock_ceiling (void)
{
  static __thread gint64 ceiling;
  gint64 now = atomic_load_explicit (&virtual_now, memory_order_relaxed);

  if (morrow__unlikely (now != 0))
    return now;

  if (!is_same_moment ())
    ceiling = g_get_monotonic_time () + 1;
  return ceiling;
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

  if (morrow__likely (now == 0) || deadline == G_MAXINT64)
    return FALSE;

  atomic_store_explicit (&virtual_now, MAX (now, deadline), memory_order_relaxed);
  return TRUE;
}
