/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where stacks come from and where they go.
 *
 * Stacks come in powers of two.  Those of one size are cut from slabs: mappings of up to 512 stacks, so that a stack costs no
 * mapping of its own, with a guard in front of each.  A stack is in one of these states:
 *
 *   fresh     never used; no guard, no memory: the end of its slab
 *   taken     a fiber lives on it
 *   warm      free, with the memory that its last fiber touched: in a magazine or in the depot
 *   cold      free, without memory but with its guard: an index in its slab
 *
 *            refill                        take                      give
 *   fresh ------------> warm (loaded) ------------> taken ------------> warm (loaded)
 *   cold  ------------>                                                  |  retire, when two magazines are full
 *     ^                                                                  v
 *     '------------------------------- when the depot is full too --- warm (depot)
 *
 * Magazines are there so that everything which asks the kernel is done for many stacks in one call, and so that a load
 * which goes up and down around any level does not: between two calls lie at least as many takes or gives as a magazine holds.
 *
 * The cache has bounds: of each size a thread keeps two magazines with all their memory, and 14 more in the depot, of which larger
 * stacks than 64 KiB keep the memory of their upper 32 KiB; the rest is given back.  A magazine holds 64 stacks, but of large ones
 * only as many as are 16 MiB together, one at least.  For tasks that touch two pages each that is 8 MiB at most.  A slab whose
 * stacks are all fresh or cold is unmapped.
 *
 * Neighbouring stacks would have their busy lines at the same place of a page, which a processor's caches, indexed
 * by just these bits, cannot hold many of.  So the top is shifted by a colour: a few lines, different for each neighbour.
 * The same goes for their pages, of which the translation tables hold few whose numbers end alike.  So stacks are not a power of
 * two apart: the guards are no part of them, and have an odd number of pages.
 *
 * A guard is as large as a sixteenth of the stack, within bounds: a frame that is larger than it may reach over it, into the stack
 * of the neighbour.  (Compilers that are told -fstack-clash-protection touch each page of a frame, so that no frame does.) */

#include "fiber/stack-pool-private.h"

#include "base/fork-private.h"
#include "fiber/stack-memory-private.h"

#define MAX_SLAB_STACKS 512
#define MAX_SLAB_SIZE   ((gsize) 128 * 1024 * 1024)
#define MAGAZINE_MEMORY ((gsize) 16 * 1024 * 1024)
#define DEPOT_KEEPS     ((gsize) 32 * 1024)
#define GUARD_SHARE     16
#define MAX_GUARD       ((gsize) 64 * 1024)
#define N_COLOURS       32
#define COLOUR_SIZE     64

/* The first refill gets this many, then as many again as there are. */
#define MIN_REFILL      4

/* All pools, under the lock: reports of overflows look for theirs. */
MORROW__FORK_LOCK (pools_lock)
static MorrowStackPool *pools;

/* --- slots: the arithmetic of a slab ------------------------------------------------------------------------- */

/* Its guard comes first, and the stack is what follows. */
static guint8 *
slot_base (MorrowStackSlab *slab,
           guint            index)
{
  return slab->base + index * slab->stacks->stride;
}

static guint8 *
slot_high (MorrowStackSlab *slab,
           guint            index)
{
  return slot_base (slab, index + 1);
}

static MorrowFiber *
slot_fiber (MorrowStackSlab *slab,
            guint            index)
{
  gsize colour = (index % N_COLOURS) * COLOUR_SIZE;

  return (MorrowFiber *) (slot_high (slab, index) - colour - ((sizeof (MorrowFiber) + 63) & ~(gsize) 63));
}

static guint
fiber_index (MorrowFiber *fiber)
{
  return (guint) ((gsize) (fiber->low - fiber->slab->base) / fiber->slab->stacks->stride);
}

/* What a stack may use, the MorrowFiber included. */
static struct iovec
fiber_memory (MorrowFiber *fiber)
{
  guint8 *high = slot_high (fiber->slab, fiber_index (fiber));

  return (struct iovec) { fiber->low, (gsize) (high - fiber->low) };
}

/* --- slabs ------------------------------------------------------------------------------------------------ */

/* As large as can be had: where address space is scarce, half is better than nothing. */
static MorrowStackSlab *
slab_new (MorrowStackClass  *stacks,
          GError           **error)
{
  guint n_stacks = (guint) CLAMP (MAX_SLAB_SIZE / stacks->stride, 1, MAX_SLAB_STACKS);
  MorrowStackSlab *slab;
  guint8 *base = NULL;

  while (n_stacks > 0 && (base = morrow__stack_memory_reserve (n_stacks * stacks->stride)) == NULL)
    n_stacks /= 2;
  if (base == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "No address space for another stack of %" G_GSIZE_FORMAT
                   " KiB: %s", stacks->size / 1024, g_strerror (errno));
      return NULL;
    }

  slab = g_malloc (sizeof *slab + n_stacks * sizeof slab->cold[0]);
  slab->stacks = stacks;
  slab->base = base;
  slab->n_stacks = slab->n_fresh = n_stacks;
  slab->n_cold = 0;
  morrow__list_append (&stacks->slabs, &slab->link);
  morrow__list_append (&stacks->slabs_with_room, &slab->room_link);
  return slab;
}

static void
slab_free (MorrowStackSlab *slab)
{
  morrow__list_remove (&slab->link);
  morrow__list_remove (&slab->room_link);
  morrow__stack_memory_release (slab->base, slab->n_stacks * slab->stacks->stride);
  g_free (slab);
}

/* The indices of up to @n stacks that have guards but perhaps no memory; 0 with an error when there are none. */
static guint
slab_take (MorrowStackSlab  *slab,
           guint             n,
           guint            *indices,
           GError          **error)
{
  struct iovec guards[MORROW_STACK_MAGAZINE_SIZE];

  if (slab->n_cold > 0)
    {
      n = MIN (n, slab->n_cold);
      for (guint i = 0; i < n; i++)
        indices[i] = slab->cold[--slab->n_cold];
      return n;
    }

  n = MIN (n, slab->n_fresh);
  for (guint i = 0; i < n; i++)
    {
      indices[i] = slab->n_stacks - slab->n_fresh + i;
      guards[i] = (struct iovec) { slot_base (slab, indices[i]), slab->stacks->guard };
    }
  n = morrow__stack_memory_guard (guards, n, error);
  slab->n_fresh -= n;
  return n;
}

/* Now that the stack has a guard, and memory behind the MorrowFiber. */
static MorrowFiber *
slot_init (MorrowStackSlab *slab,
           guint            index)
{
  MorrowFiber *fiber = slot_fiber (slab, index);

  fiber->slab = slab;
  fiber->low = slot_base (slab, index) + slab->stacks->guard;
  fiber->floor = fiber->low;
  morrow__fiber_hooks_map (&fiber->hooks, fiber->low, fiber);
  return fiber;
}

static void
slab_give (MorrowStackSlab *slab,
           guint            index)
{
  if (slab->n_cold == 0 && slab->n_fresh == 0)
    morrow__list_append (&slab->stacks->slabs_with_room, &slab->room_link);
  slab->cold[slab->n_cold++] = (guint16) index;
  if (slab->n_cold + slab->n_fresh == slab->n_stacks)
    slab_free (slab);
}

/* --- from slabs to magazines and back ------------------------------------------------------------------------ */

/* The page where the MorrowFiber is and the first frames will be. */
static void
populate (MorrowStackSlab *slab,
          const guint     *indices,
          guint            n)
{
  gsize page_size = morrow__stack_memory_page_size ();
  struct iovec tops[MORROW_STACK_MAGAZINE_SIZE];

  for (guint i = 0; i < n; i++)
    tops[i] = (struct iovec) { slot_high (slab, indices[i]) - page_size, page_size };
  morrow__stack_memory_populate (tops, n);
}

static gboolean
load_from_slab (MorrowStackClass  *self,
                GError           **error)
{
  guint indices[MORROW_STACK_MAGAZINE_SIZE];
  guint n = MIN (MAX (self->n_out, MIN_REFILL), self->magazine_size);
  MorrowStackSlab *slab;

  if (!morrow__list_is_empty (&self->slabs_with_room))
    slab = morrow__list_entry (self->slabs_with_room.next, MorrowStackSlab, room_link);
  else
    slab = slab_new (self, error);
  if (slab == NULL)
    return FALSE;

  n = slab_take (slab, n, indices, error);
  if (n == 0)
    return FALSE;
  if (slab->n_cold == 0 && slab->n_fresh == 0)
    morrow__list_remove (&slab->room_link);
  populate (slab, indices, n);
  for (guint i = n; i > 0; i--)
    morrow__stack_class_give (self, slot_init (slab, indices[i - 1]));
  self->n_out += n;
  return TRUE;
}

gboolean
morrow__stack_class_refill (MorrowStackClass  *self,
                            GError           **error)
{
  if (self->spare.n_fibers > 0)
    {
      self->loaded = self->spare;
      self->spare = (MorrowStackMagazine) { NULL, 0 };
      return TRUE;
    }
  if (self->n_depot > 0)
    {
      self->loaded = (MorrowStackMagazine) { self->depot[--self->n_depot], self->magazine_size };
      return TRUE;
    }
  return load_from_slab (self, error);
}

static int
compare_places (gconstpointer a,
                gconstpointer b)
{
  const guint8 *low_a = (*(MorrowFiber *const *) a)->low;
  const guint8 *low_b = (*(MorrowFiber *const *) b)->low;

  return (low_a > low_b) - (low_a < low_b);
}

/* Sorts those of a full magazine, and says what they may use in as few pieces as can be: to the kernel a piece is as much work
 * as the page or two that were touched there.  The guards between neighbours are no memory, and stay. */
static guint
join_memory (MorrowFiber  **fibers,
             guint          n_fibers,
             struct iovec  *memory)
{
  guint n = 0;

  qsort (fibers, n_fibers, sizeof fibers[0], compare_places);
  for (guint i = 0; i < n_fibers; i++)
    {
      struct iovec own = fiber_memory (fibers[i]);

      if (i > 0 && fibers[i]->slab == fibers[i - 1]->slab && fiber_index (fibers[i]) == fiber_index (fibers[i - 1]) + 1)
        memory[n - 1].iov_len += fibers[i]->slab->stacks->guard + own.iov_len;
      else
        memory[n++] = own;
    }
  return n;
}

/* Takes the memory behind all stacks of a full magazine, whose first is @fiber, and returns them to their slabs. */
static void
chill (MorrowStackClass *self,
       MorrowFiber      *fiber)
{
  MorrowFiber *fibers[MORROW_STACK_MAGAZINE_SIZE];
  struct iovec memory[MORROW_STACK_MAGAZINE_SIZE];
  MorrowStackSlab *slabs[MORROW_STACK_MAGAZINE_SIZE];
  guint indices[MORROW_STACK_MAGAZINE_SIZE];
  guint n_pieces;

  for (guint i = 0; i < self->magazine_size; i++, fiber = fiber->next_free)
    fibers[i] = fiber;
  n_pieces = join_memory (fibers, self->magazine_size, memory);
  for (guint i = 0; i < self->magazine_size; i++)
    {
      slabs[i] = fibers[i]->slab;
      indices[i] = fiber_index (fibers[i]);
      morrow__fiber_hooks_unmap (&fibers[i]->hooks, fibers[i]->low, fibers[i]);
    }
  morrow__stack_memory_discard (memory, n_pieces);
  for (guint i = self->magazine_size; i > 0; i--)
    slab_give (slabs[i - 1], indices[i - 1]);
  self->n_out -= self->magazine_size;
}

/* Takes the memory that only deep stacks have from all of a full magazine. */
static void
trim (MorrowStackClass *self,
      MorrowFiber      *fiber)
{
  struct iovec memory[MORROW_STACK_MAGAZINE_SIZE];
  gsize kept = MAX (DEPOT_KEEPS, morrow__stack_memory_page_size ());   /* the kernel rounds up to pages */

  if (self->size <= 2 * kept)
    return;
  for (guint i = 0; i < self->magazine_size; i++, fiber = fiber->next_free)
    {
      memory[i] = fiber_memory (fiber);
      memory[i].iov_len -= kept;
    }
  morrow__stack_memory_discard (memory, self->magazine_size);
}

/* The stack that is being given back may still be running: it is in neither of these magazines. */
void
morrow__stack_class_retire (MorrowStackClass *self)
{
  if (self->spare.n_fibers > 0 && self->n_depot < MORROW_STACK_DEPOT_SIZE)
    {
      trim (self, self->spare.fibers);
      self->depot[self->n_depot++] = self->spare.fibers;
    }
  else if (self->spare.n_fibers > 0)
    {
      chill (self, self->spare.fibers);
    }
  self->spare = self->loaded;
  self->loaded = (MorrowStackMagazine) { NULL, 0 };
}

/* --- pools ------------------------------------------------------------------------------------------------- */

static void
init_class (MorrowStackClass *self,
            gsize             size)
{
  gsize page_size = morrow__stack_memory_page_size ();

  self->size = size;
  self->magazine_size = (guint) CLAMP (MAGAZINE_MEMORY / size, 1, MORROW_STACK_MAGAZINE_SIZE);
  self->guard = (MIN (size / GUARD_SHARE, MAX_GUARD) / page_size | 1) * page_size;
  self->stride = size + self->guard;
  morrow__list_init (&self->slabs);
  morrow__list_init (&self->slabs_with_room);
}

MorrowStackPool *
morrow__stack_pool_new (void)
{
  MorrowStackPool *self = g_new0 (MorrowStackPool, 1);

  for (guint i = 0; i < G_N_ELEMENTS (self->classes); i++)
    init_class (&self->classes[i], (gsize) 1 << (MORROW_STACK_MIN_SHIFT + i));
  self->thread = pthread_self ();

  pthread_mutex_lock (&pools_lock);
  self->next = pools;
  pools = self;
  pthread_mutex_unlock (&pools_lock);
  return self;
}

static void
forget_magazine (MorrowFiber *fibers)
{
  for (MorrowFiber *fiber = fibers; fiber != NULL; fiber = fiber->next_free)
    morrow__fiber_hooks_unmap (&fiber->hooks, fiber->low, fiber);
}

static void
clear_class (MorrowStackClass *self)
{
  forget_magazine (self->loaded.fibers);
  forget_magazine (self->spare.fibers);
  for (guint i = 0; i < self->n_depot; i++)
    forget_magazine (self->depot[i]);
  morrow__list_foreach_safe (&self->slabs, link, after)
    slab_free (morrow__list_entry (link, MorrowStackSlab, link));
}

void
morrow__stack_pool_free (MorrowStackPool *self)
{
  MorrowStackPool **place = &pools;

  pthread_mutex_lock (&pools_lock);
  while (*place != self)
    place = &(*place)->next;
  *place = self->next;
  pthread_mutex_unlock (&pools_lock);

  for (guint i = 0; i < G_N_ELEMENTS (self->classes); i++)
    clear_class (&self->classes[i]);
  g_free (self);
}

MorrowStackClass *
morrow__stack_pool_find_class (MorrowStackPool  *self,
                              gsize             size,
                              GError          **error)
{
  gsize min_size = MAX (MORROW_FIBER_MIN_STACK_SIZE, 4 * morrow__stack_memory_page_size ());

  if (morrow__unlikely (size > MORROW_FIBER_MAX_STACK_SIZE))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "No stack can have %" G_GSIZE_FORMAT " KiB", size / 1024);
      return NULL;
    }
  return &self->classes[g_bit_storage (MAX (size, min_size) - 1) - MORROW_STACK_MIN_SHIFT];
}

static MorrowFiber *
find_in_class (MorrowStackClass *self,
               const guint8     *address)
{
  morrow__list_foreach (&self->slabs, link)
    {
      MorrowStackSlab *slab = morrow__list_entry (link, MorrowStackSlab, link);
      guint index = (guint) ((gsize) (address - slab->base) / self->stride);

      if (address < slab->base || address >= slab->base + slab->n_stacks * self->stride)
        continue;
      if (index >= slab->n_stacks - slab->n_fresh || address >= slot_fiber (slab, index)->low)
        return NULL;
      return slot_fiber (slab, index);
    }
  return NULL;
}

static MorrowFiber *
find_in_pool (MorrowStackPool *self,
              gconstpointer    address)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->classes); i++)
    {
      MorrowFiber *fiber = find_in_class (&self->classes[i], address);

      if (fiber != NULL)
        return fiber;
    }
  return NULL;
}

/* In a signal handler one may try a lock, but not wait for it: perhaps this very thread has been interrupted while it held
 * it.  The slabs of this thread's pools stand still meanwhile; those of others are not looked at. */
MorrowFiber *
morrow__stack_pool_find_guard (gconstpointer address)
{
  MorrowFiber *fiber = NULL;

  if (pthread_mutex_trylock (&pools_lock) != 0)
    return NULL;
  for (MorrowStackPool *pool = pools; pool != NULL && fiber == NULL; pool = pool->next)
    if (pthread_equal (pool->thread, pthread_self ()))
      fiber = find_in_pool (pool, address);
  pthread_mutex_unlock (&pools_lock);
  return fiber;
}
