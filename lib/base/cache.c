/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Small objects: a free list on each thread, slabs shared by all.
 *
 *    thread's bin  --- when full, a batch ------------->  slab  --- when all is free --->  spare
 *                  <--- when empty, all that one has ---        <--- when none has any ---  spare
 *
 * Bins.  Each thread has, for each class of sizes, a list of free objects that it alone touches:
 * alloc and free take and put at its head, without an atomic.  An empty bin takes all that one slab
 * has free, a full one gives its newest BATCH objects back.  max_items follows what was taken, so
 * that a thread that sways about a level does not go to the slabs each time, and shrinks with each
 * batch given back, so that after a flood little is kept.  Before a thread's first use, after its
 * end, and where the cache is off, max_items is 0 and no bin ever holds anything: then every call
 * comes to the slow paths here, and the inlined ones need not ask.
 *
 * Slabs.  A slab is MORROW_SLAB_SIZE bytes of objects of one class, found from an object's address by
 * masks (slabs.c).  The objects that were freed are on the slab's list; those never used lie behind
 * one another at its end.  An object goes back to its own slab, from whatever thread: this is how
 * objects that one thread makes and another frees flow back.
 *
 * Return.  A slab whose objects are all free becomes a spare, for any class; of the spares those
 * beyond SPARE_BYTES give their memory to the system.  What stays resident after everything was
 * freed is therefore at most SPARE_BYTES, plus for each thread and class the slabs of max_items
 * objects: MAX_ITEMS, or what the last slab had and a BATCH, until what is given back has shrunk it.
 *
 * Locks.  A lock for each class, and inside of it the one of slabs.c.  Neither is held during a
 * system call that gives memory back.  fork () takes them all, so that a child finds whole what it
 * goes on with, and forgets the threads that it has not: what their bins held counts as in use there.
 *
 * The cache is off, and every object comes from malloc, under AddressSanitizer, ThreadSanitizer and
 * Valgrind, so that they see each use after free, and with MORROW_CACHE=malloc in the
 * environment. */

#include "config.h"

#include "base/cache-private.h"

#include "base/list-private.h"
#include "base/slabs-private.h"

#ifdef HAVE_MALLINFO2
#include <malloc.h>
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined (__has_include)
#if __has_include (<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

#if defined (__SANITIZE_ADDRESS__) || defined (__SANITIZE_THREAD__) \
    || __has_feature (address_sanitizer) || __has_feature (thread_sanitizer)
#define BUILT_WITH_SANITIZER 1
#else
#define BUILT_WITH_SANITIZER 0
#endif

/* Room for the second hundred thousand tasks to find the memory of the first. */
#ifndef MORROW_CACHE_SPARE_BYTES
#define MORROW_CACHE_SPARE_BYTES ((gsize) 32 * 1024 * 1024)
#endif

enum
{
  CACHE_LINE = 64,
  BATCH = 32,
  MAX_ITEMS = 64
};

typedef struct
{
  GMutex     lock;
  MorrowList usable;            /* Slabs with something free, the last one freed into first. */
  gssize     n_taken;           /* Objects in use or in bins. */
} Depot;

typedef struct
{
  MorrowList      link;         /* In threads. */
  MorrowCacheBin *bins;         /* Read by others only for statistics. */
} Thread;

typedef enum
{
  THREAD_NEW,
  THREAD_CACHING,
  THREAD_ENDED,
  THREAD_PLAIN
} ThreadState;

__thread MorrowCacheBin morrow__cache_bins[MORROW_CACHE_N_CLASSES]
  __attribute__ ((tls_model ("initial-exec")));

static __thread Thread this_thread __attribute__ ((tls_model ("initial-exec")));
static __thread ThreadState thread_state __attribute__ ((tls_model ("initial-exec")));

static const guint16 class_sizes[MORROW_CACHE_N_CLASSES] =
  { 32, 48, 64, 80, 96, 112, 128, 160, 192, 256 };

static Depot depots[MORROW_CACHE_N_CLASSES];

/* A lock of its own, held inside of none.  Those of this process. */
static struct
{
  GMutex     lock;
  MorrowList list;
} threads;

/* Any thread, relaxed: objects from malloc, for statistics. */
static _Atomic (gssize) n_plain;

/* Written once under init_once. */
static gboolean is_plain;
static pthread_key_t thread_key;

/* Slabs. */

static inline guint
slab_capacity (guint size_class)
{
  return MORROW_SLAB_SIZE / class_sizes[size_class];
}

static inline gboolean
slab_is_usable (MorrowSlab *slab)
{
  return slab->items != NULL || slab->n_fresh > 0;
}

/* Returns: a slab of which nothing is taken. */
static MorrowSlab *
slab_new (guint    size_class,
          gboolean populate)
{
  MorrowSlab *slab = morrow__slab_acquire (populate);

  slab->items = NULL;
  slab->n_taken = 0;
  slab->n_fresh = slab_capacity (size_class);
  slab->size_class = size_class;
  return slab;
}

/* Takes all the freed objects of @slab, or some fresh ones.  Returns: how many, linked from
 * @items. */
static guint
slab_take (MorrowSlab       *slab,
           MorrowCacheItem **items)
{
  gsize size = class_sizes[slab->size_class];
  guint n_freed = slab_capacity (slab->size_class) - slab->n_taken - slab->n_fresh;
  guint n_fresh = MIN (slab->n_fresh, BATCH);
  MorrowCacheItem *next = NULL;
  gchar *end;

  if (n_freed > 0)
    {
      *items = slab->items;
      slab->items = NULL;
      return n_freed;
    }

  /* To link them asks for the first line of each, to which who is given it will write soon; a task goes on in the next. */
  end = morrow__slab_memory (slab) + (slab_capacity (slab->size_class) - slab->n_fresh + n_fresh) * size;
  for (guint i = 0; i < n_fresh; i++)
    {
      end -= size;
      __builtin_prefetch (end + CACHE_LINE);
      ((MorrowCacheItem *) end)->next = next;
      next = (MorrowCacheItem *) end;
    }
  slab->n_fresh -= n_fresh;
  *items = next;
  return n_fresh;
}

/* Depots. */

/* Returns: how many objects of the class, at least one, linked from @items. */
static guint
depot_take (guint             size_class,
            MorrowCacheItem **items)
{
  Depot *depot = &depots[size_class];
  MorrowSlab *slab;
  guint n;

  g_mutex_lock (&depot->lock);
  if (morrow__list_is_empty (&depot->usable))
    /* A class's first slab may well stay its only one, and nearly unused. */
    morrow__list_prepend (&depot->usable, &slab_new (size_class, depot->n_taken > 0)->link);
  slab = morrow__slab_at (depot->usable.next);
  n = slab_take (slab, items);
  slab->n_taken += n;
  depot->n_taken += n;
  if (!slab_is_usable (slab))
    morrow__list_remove (&slab->link);
  g_mutex_unlock (&depot->lock);
  return n;
}

/* Takes the objects at the start of @items that share a slab, at most @n.  Returns: what follows
 * them. */
static MorrowCacheItem *
depot_put_run (Depot            *depot,
               MorrowCacheItem  *items,
               guint            *n,
               MorrowList       *emptied)
{
  MorrowSlab *slab = morrow__slab_of (items);
  MorrowCacheItem *last = items;
  MorrowCacheItem *rest;
  guint n_run = 1;

  while (n_run < *n && morrow__slab_of (last->next) == slab)
    {
      last = last->next;
      n_run++;
    }
  rest = last->next;
  *n -= n_run;

  if (!slab_is_usable (slab))
    morrow__list_prepend (&depot->usable, &slab->link);
  last->next = slab->items;
  slab->items = items;
  slab->n_taken -= n_run;
  if (slab->n_taken == 0)
    {
      morrow__list_remove (&slab->link);
      morrow__list_append (emptied, &slab->link);
    }
  return rest;
}

/* Gives the first @n of @items back to their slabs.  Returns: the rest. */
static MorrowCacheItem *
depot_put (guint            size_class,
           MorrowCacheItem *items,
           guint            n)
{
  Depot *depot = &depots[size_class];
  MorrowList emptied;

  morrow__list_init (&emptied);
  g_mutex_lock (&depot->lock);
  depot->n_taken -= n;
  while (n > 0)
    items = depot_put_run (depot, items, &n, &emptied);
  g_mutex_unlock (&depot->lock);

  morrow__list_foreach_safe (&emptied, link, after)
    {
      morrow__list_remove (link);
      morrow__slab_release (morrow__slab_at (link), MORROW_CACHE_SPARE_BYTES / MORROW_SLAB_SIZE);
    }
  return items;
}

/* Threads. */

static void
thread_empty_bins (void)
{
  for (guint i = 0; i < MORROW_CACHE_N_CLASSES; i++)
    {
      MorrowCacheBin *bin = &morrow__cache_bins[i];

      depot_put (i, bin->items, morrow__cache_bin_size (bin));
      bin->items = NULL;
      morrow__cache_bin_set_size (bin, 0);
    }
}

/* Other destructors of the thread may come later and still alloc and free: they find bins that hold
 * nothing. */
static void
thread_end (gpointer data G_GNUC_UNUSED)
{
  thread_empty_bins ();
  for (guint i = 0; i < MORROW_CACHE_N_CLASSES; i++)
    morrow__cache_bins[i].max_items = 0;
  thread_state = THREAD_ENDED;

  g_mutex_lock (&threads.lock);
  morrow__list_remove (&this_thread.link);
  g_mutex_unlock (&threads.lock);
}

static void
hold_all (void)
{
  for (guint i = 0; i < MORROW_CACHE_N_CLASSES; i++)
    g_mutex_lock (&depots[i].lock);
  morrow__slabs_hold ();
  g_mutex_lock (&threads.lock);
}

static void
let_all_go (void)
{
  g_mutex_unlock (&threads.lock);
  morrow__slabs_let_go ();
  for (guint i = 0; i < MORROW_CACHE_N_CLASSES; i++)
    g_mutex_unlock (&depots[i].lock);
}

/* In a new child, whose only thread this is: the others' memory is used again for those that it
 * makes. */
static void
begin_child (void)
{
  morrow__list_init (&threads.list);
  if (thread_state == THREAD_CACHING)
    morrow__list_append (&threads.list, &this_thread.link);
  morrow__slabs_begin_child ();
  let_all_go ();
}

static void
process_init (void)
{
  is_plain = BUILT_WITH_SANITIZER || RUNNING_ON_VALGRIND
             || g_strcmp0 (getenv ("MORROW_CACHE"), "malloc") == 0;

  for (guint i = 0; i < MORROW_CACHE_N_CLASSES; i++)
    morrow__list_init (&depots[i].usable);
  morrow__slabs_init ();
  morrow__list_init (&threads.list);
  pthread_key_create (&thread_key, thread_end);
  pthread_atfork (hold_all, let_all_go, begin_child);
}

static void
thread_begin (void)
{
  static pthread_once_t init_once = PTHREAD_ONCE_INIT;

  pthread_once (&init_once, process_init);
  thread_state = is_plain ? THREAD_PLAIN : THREAD_CACHING;
  if (is_plain)
    return;

  for (guint i = 0; i < MORROW_CACHE_N_CLASSES; i++)
    morrow__cache_bins[i].max_items = MAX_ITEMS;
  this_thread.bins = morrow__cache_bins;
  pthread_setspecific (thread_key, &this_thread);
  g_mutex_lock (&threads.lock);
  morrow__list_append (&threads.list, &this_thread.link);
  g_mutex_unlock (&threads.lock);
}

static inline ThreadState
thread_get_state (void)
{
  if (morrow__unlikely (thread_state == THREAD_NEW))
    thread_begin ();
  return thread_state;
}

/* The slow paths. */

gpointer
morrow__cache_refill (guint size_class)
{
  ThreadState state = thread_get_state ();
  MorrowCacheBin *bin = &morrow__cache_bins[size_class];
  MorrowCacheItem *items;
  guint n;

  if (state == THREAD_PLAIN)
    {
      atomic_fetch_add_explicit (&n_plain, 1, memory_order_relaxed);
      return g_malloc (class_sizes[size_class]);
    }

  n = depot_take (size_class, &items);
  if (state == THREAD_ENDED)
    {
      depot_put (size_class, items->next, n - 1);
      return items;
    }
  bin->items = items->next;
  morrow__cache_bin_set_size (bin, n - 1);
  bin->max_items = MAX (MAX_ITEMS, n + BATCH);
  return items;
}

void
morrow__cache_flush (guint    size_class,
                     gpointer mem)
{
  ThreadState state = thread_get_state ();
  MorrowCacheBin *bin = &morrow__cache_bins[size_class];
  MorrowCacheItem *item = mem;
  guint n_items, n;

  if (state == THREAD_PLAIN)
    {
      atomic_fetch_sub_explicit (&n_plain, 1, memory_order_relaxed);
      g_free (mem);
      return;
    }

  item->next = bin->items;
  bin->items = item;
  n_items = morrow__cache_bin_size (bin) + 1;
  morrow__cache_bin_set_size (bin, n_items);
  if (n_items <= bin->max_items)
    return;

  n = MIN (n_items, BATCH);

  bin->items = depot_put (size_class, bin->items, n);
  morrow__cache_bin_set_size (bin, n_items - n);
  if (bin->max_items > MAX_ITEMS)
    bin->max_items = MAX (MAX_ITEMS, bin->max_items - BATCH / 2);
}

/* Large blocks come from the C library, the arrays of a gather of thousands among them.  Once one has been freed it takes
 * the next ones from its heap, and gives none of that back by itself where something lies above.  A little that is free it
 * may keep: to look through its heap takes longer than most runs. */
static void
trim_malloc (gsize keep)
{
#ifdef HAVE_MALLINFO2
  if (mallinfo2 ().fordblks > keep)
    malloc_trim (0);
#endif
}

void
morrow__cache_trim (gsize keep)
{
  if (thread_get_state () == THREAD_PLAIN)
    return;

  thread_empty_bins ();
  morrow__slabs_trim (keep / MORROW_SLAB_SIZE);
  trim_malloc (keep);
}

gssize
morrow__cache_live (void)
{
  gssize n_live = atomic_load_explicit (&n_plain, memory_order_relaxed);

  if (thread_get_state () == THREAD_PLAIN)
    return n_live;

  g_mutex_lock (&threads.lock);
  morrow__list_foreach (&threads.list, link)
    {
      Thread *thread = morrow__list_entry (link, Thread, link);

      for (guint i = 0; i < MORROW_CACHE_N_CLASSES; i++)
        n_live -= morrow__cache_bin_size (&thread->bins[i]);
    }
  g_mutex_unlock (&threads.lock);

  for (guint i = 0; i < MORROW_CACHE_N_CLASSES; i++)
    {
      g_mutex_lock (&depots[i].lock);
      n_live += depots[i].n_taken;
      g_mutex_unlock (&depots[i].lock);
    }
  return n_live;
}
