/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What fibers cost, below everything that tasks add to them; prints name<TAB>value<TAB>unit.
 *
 *   bench-fiber [FIBERS [STACK_KIB]]
 *
 * The parked fibers are set against the machine's own price of touching one fresh page each, taken in the same
 * process, just before. */

#include "config.h"

#include "fiber/fiber-private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define N_SWITCHES 20000000

static MorrowFiber thread_fiber;
static MorrowStackPool *pool;

static double
now (void)
{
  return (double) g_get_monotonic_time () * 1e3;
}

static void
print (const char *name,
       double      value,
       const char *unit)
{
  printf ("%s\t%.2f\t%s\n", name, value, unit);
  fflush (stdout);
}

static MorrowFiber *
make (gsize            stack_size,
      MorrowFiberEntry entry)
{
  g_autoptr (GError) error = NULL;
  MorrowFiber *fiber = morrow__fiber_new (pool, stack_size, entry, NULL, &error);

  if (fiber == NULL)
    g_error ("%s", error->message);
  return fiber;
}

/* --- switching ---------------------------------------------------------------------------------------------- */

static void
switch_for_ever (MorrowFiber *self)
{
  for (;;)
    morrow__fiber_switch (self, &thread_fiber, NULL);
}

static void
bench_pair (void)
{
  MorrowFiber *fiber = make (0, switch_for_ever);
  double start;

  morrow__fiber_switch (&thread_fiber, fiber, NULL);
  start = now ();
  for (guint i = 0; i < N_SWITCHES; i++)
    morrow__fiber_switch (&thread_fiber, fiber, NULL);
  print ("switch", (now () - start) / N_SWITCHES / 2, "ns");
  morrow__fiber_free (fiber);
}

/* In a ring.  What comes next is found without looking at the fiber that will be left, as schedulers do. */
static MorrowFiber **ring;
static guint ring_size;
static guint64 n_left;

static void
switch_in_ring (MorrowFiber *self)
{
  guint next = (GPOINTER_TO_UINT (self->user) + 1) % ring_size;

  for (;;)
    morrow__fiber_switch (self, n_left-- == 0 ? &thread_fiber : ring[next], NULL);
}

static void
bench_ring (guint n_fibers)
{
  g_autofree char *name = g_strdup_printf ("switch_ring_%u", n_fibers);
  double start;

  ring = g_new (MorrowFiber *, n_fibers);
  ring_size = n_fibers;
  for (guint i = 0; i < n_fibers; i++)
    {
      ring[i] = make (0, switch_in_ring);
      ring[i]->user = GUINT_TO_POINTER (i);
    }
  n_left = n_fibers;
  morrow__fiber_switch (&thread_fiber, ring[0], NULL);
  n_left = N_SWITCHES;
  start = now ();
  morrow__fiber_switch (&thread_fiber, ring[0], NULL);
  print (name, (now () - start) / N_SWITCHES, "ns");
  for (guint i = 0; i < n_fibers; i++)
    morrow__fiber_free (ring[i]);
  g_free (ring);
}

/* --- making ------------------------------------------------------------------------------------------------- */

static void
end_at_once (MorrowFiber *self)
{
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

static void
bench_spawn (void)
{
  double start = now ();

  for (guint i = 0; i < N_SWITCHES; i++)
    morrow__fiber_switch (&thread_fiber, make (0, end_at_once), NULL);
  print ("make_run_end", (now () - start) / N_SWITCHES, "ns");
}

/* --- parking ------------------------------------------------------------------------------------------------ */

static double
status_kib (const char *field)
{
  g_autofree char *text = NULL;
  const char *line;

  if (!g_file_get_contents ("/proc/self/status", &text, NULL, NULL))
    return 0;
  line = strstr (text, field);
  return line == NULL ? 0 : g_ascii_strtod (line + strlen (field), NULL);
}

static double
memory_kib (void)
{
  return status_kib ("VmRSS:") + status_kib ("VmPTE:");
}

static double
touch_fresh_pages (guint n_pages)
{
  gsize size = (gsize) n_pages * 4096;
  volatile guint8 *pages = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  double start = now ();

  madvise ((gpointer) pages, size, MADV_NOHUGEPAGE);
  for (gsize i = 0; i < size; i += 4096)
    pages[i] = 1;
  start = now () - start;
  munmap ((gpointer) pages, size);
  return start;
}

static void
park_then_end (MorrowFiber *self)
{
  morrow__fiber_switch (self, &thread_fiber, NULL);
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

static void
bench_parked (guint n_fibers,
              gsize stack_size)
{
  g_autofree MorrowFiber **fibers = g_new0 (MorrowFiber *, n_fibers);
  double touched = touch_fresh_pages (n_fibers);
  double before, start, parked;

  memset (fibers, 1, n_fibers * sizeof *fibers);
  before = memory_kib ();
  start = now ();
  for (guint i = 0; i < n_fibers; i++)
    {
      fibers[i] = make (stack_size, park_then_end);
      morrow__fiber_switch (&thread_fiber, fibers[i], NULL);
    }
  parked = now () - start;
  print ("fresh_page", touched / n_fibers, "ns");
  print ("parked", parked / n_fibers, "ns");
  print ("parked_to_fresh_page", parked / touched, "x");
  print ("parked_bytes", (memory_kib () - before) * 1024 / n_fibers, "bytes");
  print ("parked_pte_bytes", status_kib ("VmPTE:") * 1024 / n_fibers, "bytes");

  start = now ();
  for (guint i = 0; i < n_fibers; i++)
    morrow__fiber_switch (&thread_fiber, fibers[i], NULL);
  print ("ended", (now () - start) / n_fibers, "ns");
  print ("left_after_end", memory_kib () - before, "KiB");
}

int
main (int    argc,
      char **argv)
{
  guint n_fibers = argc > 1 ? (guint) g_ascii_strtoull (argv[1], NULL, 10) : 100000;
  gsize stack_size = argc > 2 ? (gsize) g_ascii_strtoull (argv[2], NULL, 10) * 1024 : 0;

  pool = morrow__stack_pool_new ();
  morrow__fiber_init_thread (&thread_fiber);
  bench_pair ();
  bench_ring (2);
  bench_ring (1000);
  bench_spawn ();
  bench_parked (n_fibers, stack_size);
  morrow__fiber_clear_thread (&thread_fiber);
  morrow__stack_pool_free (pool);
  return 0;
}
