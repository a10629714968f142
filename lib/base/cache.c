/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Small objects: for now all of them from malloc; the interface is what counts. */

#include "base/cache-private.h"

#include <stdatomic.h>

__thread MorrowCacheBin morrow__cache_bins[MORROW_CACHE_N_CLASSES] __attribute__ ((tls_model ("initial-exec")));

static const guint16 class_sizes[MORROW_CACHE_N_CLASSES] = { 32, 48, 64, 80, 96, 112, 128, 160, 192, 256 };

/* Any thread, relaxed: a statistic. */
static _Atomic (gssize) n_live;

gpointer
morrow__cache_refill (guint size_class)
{
  atomic_fetch_add_explicit (&n_live, 1, memory_order_relaxed);
  return g_malloc (class_sizes[size_class]);
}

void
morrow__cache_flush (guint    size_class G_GNUC_UNUSED,
                     gpointer mem)
{
  atomic_fetch_sub_explicit (&n_live, 1, memory_order_relaxed);
  g_free (mem);
}

gssize
morrow__cache_live (void)
{
  return atomic_load_explicit (&n_live, memory_order_relaxed);
}
