/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The stacks of one thread: stack-pool.c tells how they live.  Everything here belongs to that thread, but where it says
 * otherwise. */

#pragma once

#include "base/likely-private.h"
#include "base/list-private.h"
#include "fiber/fiber-private.h"

#include <pthread.h>

G_BEGIN_DECLS

/* Stacks a magazine holds, of the usual size or smaller ones; magazines in the depot.  Tests make them tiny. */
#ifndef MORROW_STACK_MAGAZINE_SIZE
#define MORROW_STACK_MAGAZINE_SIZE 64
#endif
#ifndef MORROW_STACK_DEPOT_SIZE
#define MORROW_STACK_DEPOT_SIZE 14
#endif

enum
{
  MORROW_STACK_MIN_SHIFT     = 15,
  MORROW_STACK_DEFAULT_SHIFT = 18,
  MORROW_STACK_MAX_SHIFT     = 30
};

G_STATIC_ASSERT (MORROW_FIBER_MIN_STACK_SIZE == (gsize) 1 << MORROW_STACK_MIN_SHIFT);
G_STATIC_ASSERT (MORROW_FIBER_DEFAULT_STACK_SIZE == (gsize) 1 << MORROW_STACK_DEFAULT_SHIFT);
G_STATIC_ASSERT (MORROW_FIBER_MAX_STACK_SIZE == (gsize) 1 << MORROW_STACK_MAX_SHIFT);

typedef struct _MorrowStackClass MorrowStackClass;

/* Free stacks, newest first. */
typedef struct
{
  MorrowFiber *fibers;  /* Linked by next_free. */
  guint        n_fibers;
} MorrowStackMagazine;

/* A mapping that is cut into stacks of one size. */
struct _MorrowStackSlab
{
  MorrowList        link;       /* In the class's slabs. */
  MorrowList        room_link;  /* In the class's slabs with room, while it has cold stacks or fresh ones. */
  MorrowStackClass *stacks;     /* Immutable, as are the next two. */
  guint8           *base;
  guint             n_stacks;

  guint             n_fresh;    /* At its end: never used, without a guard. */
  guint             n_cold;     /* Used before, without memory, with a guard. */
  guint16           cold[];     /* Their indices. */
};

/* All stacks of one size. */
struct _MorrowStackClass
{
  MorrowStackMagazine  loaded;  /* Stacks are taken from here and come back here. */
  MorrowStackMagazine  spare;   /* Full or empty. */
  MorrowFiber         *depot[MORROW_STACK_DEPOT_SIZE]; /* Full magazines. */
  guint                n_depot;

  guint                n_out;   /* Stacks that are neither cold nor fresh. */
  guint                magazine_size; /* Immutable: how many stacks a magazine holds. */
  gsize                size;    /* Immutable: of one stack. */
  gsize                guard;   /* Immutable: of its guard. */
  gsize                stride;  /* Immutable: of both. */
  MorrowList           slabs;
  MorrowList           slabs_with_room;
};

struct _MorrowStackPool
{
  MorrowStackClass  classes[MORROW_STACK_MAX_SHIFT - MORROW_STACK_MIN_SHIFT + 1];
  pthread_t         thread;     /* Immutable: the owner. */
  MorrowStackPool  *next;       /* In the list of all, under its lock. */
};

/* For stacks of at least @size, which is not 0; NULL with an error when it is too much. */
MorrowStackClass *morrow__stack_pool_find_class (MorrowStackPool  *self,
                                                 gsize             size,
                                                 GError          **error);

/* The slow paths: after the one, loaded is not empty (or FALSE, with an error); after the other, it is not full. */
gboolean          morrow__stack_class_refill   (MorrowStackClass  *self,
                                                GError           **error);
void              morrow__stack_class_retire   (MorrowStackClass  *self);

/* The fiber whose guard, if any, is at @address; only among the calling thread's.  For signal handlers. */
MorrowFiber      *morrow__stack_pool_find_guard (gconstpointer address);

static inline MorrowStackClass *
morrow__stack_pool_get_class (MorrowStackPool  *self,
                              gsize             size,
                              GError          **error)
{
  if (morrow__usually (size == 0))
    return &self->classes[MORROW_STACK_DEFAULT_SHIFT - MORROW_STACK_MIN_SHIFT];
  return morrow__stack_pool_find_class (self, size, error);
}

/* The memory of @fiber is as its last user left it, but for slab, low, floor and hooks. */
static inline MorrowFiber *
morrow__stack_class_take (MorrowStackClass  *self,
                          GError           **error)
{
  MorrowFiber *fiber;

  if (morrow__unlikely (self->loaded.n_fibers == 0) && !morrow__stack_class_refill (self, error))
    return NULL;
  fiber = self->loaded.fibers;
  self->loaded.fibers = fiber->next_free;
  self->loaded.n_fibers--;
  return fiber;
}

static inline void
morrow__stack_class_give (MorrowStackClass *self,
                          MorrowFiber      *fiber)
{
  if (morrow__unlikely (self->loaded.n_fibers == self->magazine_size))
    morrow__stack_class_retire (self);
  fiber->next_free = self->loaded.fibers;
  self->loaded.fibers = fiber;
  self->loaded.n_fibers++;
}

G_END_DECLS
