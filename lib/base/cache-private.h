/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Memory for small objects that come and go all the time: promises, tasks, timers.  cache.c tells how it works.
 *
 * An object may be freed on another thread than the one that made it.  The memory is not zeroed.  The size given to
 * free is the one that was given to alloc; when it is a constant the class is chosen by the compiler. */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define MORROW_CACHE_MAX_SIZE 256

enum
{
  MORROW_CACHE_N_CLASSES = 10
};

typedef struct _MorrowCacheItem MorrowCacheItem;

struct _MorrowCacheItem
{
  MorrowCacheItem *next;
};

/* What one thread holds of one class of sizes. */
typedef struct
{
  MorrowCacheItem *items;
  guint            n_items;
  guint            max_items;   /* 0 before the thread's first use, and where the cache is off: then the slow path decides. */
} MorrowCacheBin;

/* The calling thread's. */
extern __thread MorrowCacheBin morrow__cache_bins[MORROW_CACHE_N_CLASSES] __attribute__ ((tls_model ("initial-exec")));

gpointer morrow__cache_refill (guint    size_class);
void     morrow__cache_flush  (guint    size_class,
                               gpointer mem);

/* For tests of leaks: how many objects are alive, in all threads.  Exact while the other threads keep still. */
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

static inline gpointer
morrow__cache_alloc (gsize size)
{
  MorrowCacheBin *bin;
  MorrowCacheItem *item;

  if (G_UNLIKELY (size > MORROW_CACHE_MAX_SIZE))
    return g_malloc (size);

  bin = &morrow__cache_bins[morrow__cache_class (size)];
  item = bin->items;
  if (G_UNLIKELY (item == NULL))
    return morrow__cache_refill (morrow__cache_class (size));
  bin->items = item->next;
  bin->n_items--;
  return item;
}

static inline void
morrow__cache_free (gsize    size,
                    gpointer mem)
{
  MorrowCacheBin *bin;
  MorrowCacheItem *item = mem;

  if (G_UNLIKELY (size > MORROW_CACHE_MAX_SIZE))
    {
      g_free (mem);
      return;
    }

  bin = &morrow__cache_bins[morrow__cache_class (size)];
  if (G_UNLIKELY (bin->n_items >= bin->max_items))
    {
      morrow__cache_flush (morrow__cache_class (size), mem);
      return;
    }
  item->next = bin->items;
  bin->items = item;
  bin->n_items++;
}

G_END_DECLS
