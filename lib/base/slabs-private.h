/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pieces of 32 KiB that the cache cuts its objects from: where they come from and where they go.  slabs.c tells how it
 * works. */

#pragma once

#include <stdatomic.h>

#include <glib.h>

#include "base/likely-private.h"
#include "base/list-private.h"

G_BEGIN_DECLS

typedef struct _MorrowCacheItem MorrowCacheItem;

#define MORROW_SLAB_SIZE  ((gsize) 32 * 1024)
#define MORROW_ARENA_SIZE ((gsize) 16 * 1024 * 1024)

/* What describes a slab.  It lies outside of it: beside the objects it would always fall into the same few sets of the
 * processor's cache.  While the slab is taken it is its taker's, and written under his lock; else it is slabs.c's. */
typedef struct
{
  MorrowList       link;        /* In a list of whose the slab is; in none when it is taken and nothing in it is free. */
  MorrowCacheItem *items;       /* Freed objects. */
  guint16          n_taken;     /* Objects that are in use or in bins. */
  guint16          n_fresh;     /* Objects never used: the last so many. */
  guint16          size_class;
} MorrowSlab;

/* An arena begins with a table of its slabs, the first of which, where the table itself is, describes nothing. */
static inline MorrowSlab *
morrow__slab_of (gconstpointer address)
{
  MorrowSlab *slabs = (MorrowSlab *) ((guintptr) address & ~(guintptr) (MORROW_ARENA_SIZE - 1));

  return &slabs[((guintptr) address & (MORROW_ARENA_SIZE - 1)) / MORROW_SLAB_SIZE];
}

static inline gchar *
morrow__slab_memory (MorrowSlab *slab)
{
  gchar *arena = (gchar *) ((guintptr) slab & ~(guintptr) (MORROW_ARENA_SIZE - 1));

  return arena + (gsize) (slab - (MorrowSlab *) arena) * MORROW_SLAB_SIZE;
}

static inline MorrowSlab *
morrow__slab_at (MorrowList *link)
{
  return morrow__list_entry (link, MorrowSlab, link);
}

/* Once, before everything else here. */
void        morrow__slabs_init    (void);

/* Returns: a slab whose fields, but for the link, have to be set.  With @populate a slab that has no memory gets all of it at
 * once, not page by page, and with it those behind it: see slabs.c. */
MorrowSlab *morrow__slab_acquire  (gboolean    populate);

/* Gives memory to a slab that is likely to be wanted soon, if there is one: takes as long as the kernel does for its pages. */
void        morrow__slabs_prepare_one (void);

/* Keeps the memory of @slab if that of fewer than @max_spares is kept, else gives it to the system. */
void        morrow__slab_release  (MorrowSlab *slab,
                                   gsize       max_spares);

/* Gives what is kept beyond @max_spares slabs to the system. */
void        morrow__slabs_trim    (gsize       max_spares);

/* For fork (): no slab is acquired or released in between. */
void        morrow__slabs_hold    (void);
void        morrow__slabs_let_go  (void);

/* In a new child, before it lets go: what another thread of its parent's was about is not done there. */
void        morrow__slabs_begin_child (void);

/* Written with the lock of slabs.c; read by any thread, relaxed, as a hint. */
extern G_GNUC_INTERNAL atomic_int morrow__slabs_are_wanted;

/* For a thread that has nothing else to do: whether morrow__slabs_prepare_one () is likely to find one. */
static inline gboolean
morrow__slabs_may_prepare (void)
{
  return morrow__seldom (atomic_load_explicit (&morrow__slabs_are_wanted, memory_order_relaxed));
}

G_END_DECLS
