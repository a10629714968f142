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
 * Slabs.  A slab is SLAB_SIZE bytes of objects of one class.  What describes it lies outside of it,
 * in a table at the start of the arena that it is part of, found from an object's address by masks:
 * beside the objects it would always fall into the same few sets of the processor's cache.  The
 * objects that were freed are on the slab's list; those never used lie behind one another at its
 * end.  An object goes back to its own slab, from whatever thread: this is how objects that one
 * thread makes and another frees flow back.
 *
 * Return.  A slab whose objects are all free becomes a spare, for any class; when the spares exceed
 * SPARE_BYTES its pages are given to the system with MADV_DONTNEED and only its addresses are kept.
 * (Unmapping single slabs would leave a mapping for each piece, and the kernel allows 65,530.)
 * What stays resident after everything was freed is therefore at most SPARE_BYTES, plus for each
 * thread and class the slabs of max_items objects: MAX_ITEMS, or what the last slab had and a BATCH,
 * until what is given back has shrunk it.
 *
 * Locks.  A lock for each class, and inside of it the one of the spares and arenas.  Neither is
 * held during a system call that gives memory back.  fork () takes them all, so that a child finds
 * whole what it goes on with, and forgets the threads that it has not: what their bins held counts
 * as in use there.
 *
 * The cache is off, and every object comes from malloc, under AddressSanitizer, ThreadSanitizer and
 * Valgrind, so that they see each use after free, and with MORROW_CACHE=malloc in the
 * environment. */

#include "config.h"

#include "base/cache-private.h"

#include "base/list-private.h"

#include <errno.h>
#ifdef HAVE_MALLINFO2
#include <malloc.h>
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

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

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define SLAB_SIZE   ((gsize) 32 * 1024)
#define ARENA_SIZE  ((gsize) 16 * 1024 * 1024)
#define N_SLABS     (ARENA_SIZE / SLAB_SIZE)

/* Room for the second hundred thousand tasks to find the memory of the first. */
#ifndef MORROW_CACHE_SPARE_BYTES
#define MORROW_CACHE_SPARE_BYTES ((gsize) 32 * 1024 * 1024)
#endif

enum
{
  BATCH = 32,
  MAX_ITEMS = 64
};

typedef struct
{
  MorrowList       link;        /* In usable, touched or untouched; in none when nothing is free. */
  MorrowCacheItem *items;       /* Freed objects. */
  guint16          n_taken;     /* Objects that are in use or in bins. */
  guint16          n_fresh;     /* Objects never used: the last so many. */
  guint16          size_class;
} Slab;                         /* All under the lock of its depot, or of spares while there. */

typedef struct
{
  Slab slabs[N_SLABS];          /* The first one, where this table is, describes nothing. */
} Arena;

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
  { 32, 48, 64, 80, 96, 112, 120, 128, 160, 192, 256 };

static Depot depots[MORROW_CACHE_N_CLASSES];

static struct
{
  GMutex     lock;
  MorrowList touched;           /* Free slabs that have their memory, */
  gsize      n_touched;
  MorrowList untouched;         /* and those that gave it back. */
  Arena     *arena;             /* The newest, */
  guint      n_unused;          /* whose last so many slabs were never used. */
} spares;

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

/* Slabs and arenas. */

static inline Arena *
arena_of (gconstpointer address)
{
  return (Arena *) ((guintptr) address & ~(guintptr) (ARENA_SIZE - 1));
}

static inline Slab *
slab_of (gconstpointer item)
{
  return &arena_of (item)->slabs[((guintptr) item & (ARENA_SIZE - 1)) / SLAB_SIZE];
}

static inline gchar *
slab_memory (Slab *slab)
{
  Arena *arena = arena_of (slab);

  return (gchar *) arena + (gsize) (slab - arena->slabs) * SLAB_SIZE;
}

static inline Slab *
slab_at (MorrowList *link)
{
  return morrow__list_entry (link, Slab, link);
}

static inline guint
slab_capacity (guint size_class)
{
  return SLAB_SIZE / class_sizes[size_class];
}

static inline gboolean
slab_is_usable (Slab *slab)
{
  return slab->items != NULL || slab->n_fresh > 0;
}

/* Maps twice the size, so that an aligned half can be cut out. */
static Arena *
arena_new (void)
{
  gchar *mapping, *aligned;

  G_STATIC_ASSERT (sizeof (Arena) <= SLAB_SIZE);

  mapping = mmap (NULL, 2 * ARENA_SIZE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED)
    g_error ("Could not map %" G_GSIZE_FORMAT " bytes: %s", 2 * ARENA_SIZE, g_strerror (errno));

  aligned = (gchar *) arena_of (mapping + ARENA_SIZE - 1);
  if (aligned > mapping)
    munmap (mapping, aligned - mapping);
  munmap (aligned + ARENA_SIZE, mapping + ARENA_SIZE - aligned);
  /* A huge page would tie 64 slabs together that come and go one by one. */
  madvise (aligned, ARENA_SIZE, MADV_NOHUGEPAGE);
  return (Arena *) aligned;
}

/* With the lock of spares.  Returns: a slab that never had memory. */
static Slab *
next_unused (void)
{
  if (spares.n_unused == 0)
    {
      spares.arena = arena_new ();
      spares.n_unused = N_SLABS - 1;
    }
  return &spares.arena->slabs[N_SLABS - spares.n_unused--];
}

/* Returns: a slab of which nothing is taken.  With @populate its memory comes in one system call,
 * not page by page. */
static Slab *
slab_acquire (guint    size_class,
              gboolean populate)
{
  Slab *slab;

  g_mutex_lock (&spares.lock);
  if (!morrow__list_is_empty (&spares.touched))
    {
      populate = FALSE;
      slab = slab_at (spares.touched.next);
      spares.n_touched--;
      morrow__list_remove (&slab->link);
    }
  else if (!morrow__list_is_empty (&spares.untouched))
    {
      slab = slab_at (spares.untouched.next);
      morrow__list_remove (&slab->link);
    }
  else
    slab = next_unused ();
  g_mutex_unlock (&spares.lock);

  /* A kernel that does not know this (before 5.14) refuses, and the pages come as they are
   * touched. */
  if (populate)
    madvise (slab_memory (slab), SLAB_SIZE, MADV_POPULATE_WRITE);
  slab->items = NULL;
  slab->n_taken = 0;
  slab->n_fresh = slab_capacity (size_class);
  slab->size_class = size_class;
  return slab;
}

/* Makes a spare of @slab if fewer than @max_spares are there, else gives its pages to the
 * system. */
static void
slab_release (Slab  *slab,
              gsize  max_spares)
{
  g_mutex_lock (&spares.lock);
  if (spares.n_touched < max_spares)
    {
      morrow__list_prepend (&spares.touched, &slab->link);
      spares.n_touched++;
    }
  else
    {
      g_mutex_unlock (&spares.lock);
      madvise (slab_memory (slab), SLAB_SIZE, MADV_DONTNEED);
      g_mutex_lock (&spares.lock);
      morrow__list_prepend (&spares.untouched, &slab->link);
    }
  g_mutex_unlock (&spares.lock);
}

/* Depots. */

/* Takes all the freed objects of @slab, or some fresh ones.  Returns: how many, linked from
 * @items. */
static guint
slab_take (Slab             *slab,
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

  end = slab_memory (slab) + (slab_capacity (slab->size_class) - slab->n_fresh + n_fresh) * size;
  for (guint i = 0; i < n_fresh; i++)
    {
      end -= size;
      ((MorrowCacheItem *) end)->next = next;
      next = (MorrowCacheItem *) end;
    }
  slab->n_fresh -= n_fresh;
  *items = next;
  return n_fresh;
}

/* Returns: how many objects of the class, at least one, linked from @items. */
static guint
depot_take (guint             size_class,
            MorrowCacheItem **items)
{
  Depot *depot = &depots[size_class];
  Slab *slab;
  guint n;

  g_mutex_lock (&depot->lock);
  if (morrow__list_is_empty (&depot->usable))
    /* A class's first slab may well stay its only one, and nearly unused. */
    morrow__list_prepend (&depot->usable, &slab_acquire (size_class, depot->n_taken > 0)->link);
  slab = slab_at (depot->usable.next);
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
  Slab *slab = slab_of (items);
  MorrowCacheItem *last = items;
  MorrowCacheItem *rest;
  guint n_run = 1;

  while (n_run < *n && slab_of (last->next) == slab)
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
      slab_release (slab_at (link), MORROW_CACHE_SPARE_BYTES / SLAB_SIZE);
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
  g_mutex_lock (&spares.lock);
  g_mutex_lock (&threads.lock);
}

static void
let_all_go (void)
{
  g_mutex_unlock (&threads.lock);
  g_mutex_unlock (&spares.lock);
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
  let_all_go ();
}

static void
process_init (void)
{
  is_plain = BUILT_WITH_SANITIZER || RUNNING_ON_VALGRIND
             || g_strcmp0 (getenv ("MORROW_CACHE"), "malloc") == 0;

  for (guint i = 0; i < MORROW_CACHE_N_CLASSES; i++)
    morrow__list_init (&depots[i].usable);
  morrow__list_init (&spares.touched);
  morrow__list_init (&spares.untouched);
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
  MorrowList released;

  if (thread_get_state () == THREAD_PLAIN)
    return;

  thread_empty_bins ();
  morrow__list_init (&released);
  g_mutex_lock (&spares.lock);
  for (; spares.n_touched > keep / SLAB_SIZE; spares.n_touched--)
    {
      MorrowList *link = spares.touched.next;

      morrow__list_remove (link);
      morrow__list_append (&released, link);
    }
  g_mutex_unlock (&spares.lock);

  morrow__list_foreach_safe (&released, link, after)
    {
      morrow__list_remove (link);
      slab_release (slab_at (link), 0);
    }
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
