/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Memory for small objects that come and go all the time: promises, tasks, timers.  cache.c tells
 * how it works.
 *
 * An object may be freed on another thread than the one that made it.  The memory is not zeroed; it
 * is aligned to 16 bytes, a slab's to 32 or 64 where the size of the class is a multiple of that.  The size
 * given to free is the one that was given to alloc: when it is a constant, the compiler chooses the class. */

#pragma once

#include <glib.h>
#include <stdatomic.h>

#include "base/likely-private.h"

G_BEGIN_DECLS

#define MORROW_CACHE_MAX_SIZE 256

enum
{
  MORROW_CACHE_N_CLASSES = 10   /* 32, 48, 64, 80, 96, 112, 128, 160, 192, 256 bytes. */
};

typedef struct _MorrowCacheItem MorrowCacheItem;

/* What a free object holds. */
struct _MorrowCacheItem
{
  MorrowCacheItem *next;
};

/* What one thread keeps of one class. */
typedef struct
{
  MorrowCacheItem *items;       /* The newest first. */
  atomic_uint      n_items;     /* Relaxed: the thread alone writes it, morrow__cache_live () reads it. */
  guint            max_items;   /* 0 where nothing may be kept: see "Bins" in cache.c. */
} MorrowCacheBin;

/* The calling thread's own. */
extern __thread MorrowCacheBin morrow__cache_bins[MORROW_CACHE_N_CLASSES]
  __attribute__ ((tls_model ("initial-exec")));

static inline guint
morrow__cache_bin_size (MorrowCacheBin *bin)
{
  return atomic_load_explicit (&bin->n_items, memory_order_relaxed);
}

/* Its own thread only: no exchange. */
static inline void
morrow__cache_bin_set_size (MorrowCacheBin *bin,
                            guint           n_items)
{
  atomic_store_explicit (&bin->n_items, n_items, memory_order_relaxed);
}

/* The slow paths of alloc and free: the bin is empty, or full. */
gpointer morrow__cache_refill (guint    size_class) G_GNUC_MALLOC;
void     morrow__cache_flush  (guint    size_class,
                               gpointer mem);

/* Gives what the calling thread keeps back to all, and of the free slabs of all threads those beyond
 * @keep bytes to the system, and where the C library has more than that free, what it has: for one that has ended its
 * work. */
void     morrow__cache_trim   (gsize    keep);

/* For tests of leaks: how many objects are alive, in all threads.  Exact while the other threads
 * keep still. */
gssize   morrow__cache_live   (void);

static inline guint
morrow__cache_class (gsize size)
{
  if (size <= 32)
    return 0;
  if (size <= 128)
    return (guint) (size + 15) / 16 - 2;
  if (size <= 160)
    return 7;
  return size <= 192 ? 8 : 9;
}

/* What alloc gives where the bin has one; else NULL.  The size is not more than MORROW_CACHE_MAX_SIZE. */
static inline gpointer
morrow__cache_take (gsize size)
{
  MorrowCacheBin *bin = &morrow__cache_bins[morrow__cache_class (size)];
  MorrowCacheItem *item = bin->items;

  if (morrow__likely (item != NULL))
    {
      bin->items = item->next;
      morrow__cache_bin_set_size (bin, morrow__cache_bin_size (bin) - 1);
    }
  return item;
}

static inline gpointer
morrow__cache_alloc (gsize size)
{
  gpointer mem;

  if (morrow__unlikely (size > MORROW_CACHE_MAX_SIZE))
    return g_malloc (size);

  mem = morrow__cache_take (size);
  return morrow__likely (mem != NULL) ? mem : morrow__cache_refill (morrow__cache_class (size));
}

static inline void
morrow__cache_free (gsize    size,
                    gpointer mem)
{
  MorrowCacheBin *bin;
  MorrowCacheItem *item = (MorrowCacheItem *) mem;
  guint n_items;

  if (morrow__unlikely (size > MORROW_CACHE_MAX_SIZE))
    {
      g_free (mem);
      return;
    }

  bin = &morrow__cache_bins[morrow__cache_class (size)];
  n_items = morrow__cache_bin_size (bin);
  if (morrow__unlikely (n_items >= bin->max_items))
    {
      morrow__cache_flush (morrow__cache_class (size), mem);
      return;
    }
  item->next = bin->items;
  bin->items = item;
  morrow__cache_bin_set_size (bin, n_items + 1);
}

G_END_DECLS
