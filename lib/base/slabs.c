/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Slabs come from arenas, which are mapped and stay.  A slab is
 *
 *   unused     of the newest arena: it never had memory,
 *   taken      by the cache,
 *   touched    spare, with its memory, or
 *   untouched  spare, without: it gave it back with MADV_DONTNEED, and only its addresses are kept.
 *
 * (Unmapping single slabs would leave a mapping for each piece, and the kernel allows 65,530.)  Memory is given back
 * when more is spare than may be kept: that of a region, 64 slabs that lie behind one another, in one system call as long as
 * there is one of which all are touched, or else that of one slab.
 *
 * Slabs that never had memory get it in runs, the longer the more were used before: the kernel takes a tenth less for a page of
 * many than of few.  What is not wanted yet of a run is touched.
 *
 * A thread that has nothing else to do may give memory to slabs that are likely to be wanted soon, so that who wants them does
 * not wait for the kernel: one thread at a time, slab by slab, as long as slabs are taken and none comes back, and less are kept
 * than PREPARED_SLABS, or than a share of what was used before.  Who finds none all the same gives memory to as few, while
 * another does that too, since to do all by himself would keep it from it.
 *
 * All have small pages.  A huge page would tie the slabs of a region together, which come and go one by one; and on a
 * guest that reports its free memory to its host it is memory that the host has to find anew.
 *
 * One lock, which is held during no system call but the mapping of an arena. */

#include "config.h"

#include "base/slabs-private.h"

#include "base/madvise-private.h"

#include <errno.h>

#define N_SLABS   (MORROW_ARENA_SIZE / MORROW_SLAB_SIZE)
#define N_REGIONS (N_SLABS / REGION_SLABS)

enum
{
  REGION_SLABS = 64,
  RUN_SLABS = 16,               /* The longest run, and */
  RUN_SHARE = 8,                /* the part of what was used before that a run is as long as. */
  PREPARED_SLABS = 8,
  SHARED_RUN_SLABS = 2          /* The longest run where another gives memory, too. */
};

/* All under the lock. */
typedef struct
{
  MorrowList link;              /* In whole, while all of its slabs are touched. */
  guint      n_touched;
} Region;

typedef struct
{
  MorrowSlab slabs[N_SLABS];
  Region     regions[N_REGIONS];
} Arena;

static struct
{
  GMutex      lock;
  MorrowList  touched;          /* Slabs, */
  gsize       n_touched;
  MorrowList  untouched;        /* and slabs. */
  MorrowList  whole;            /* Regions. */
  MorrowSlab *unused;           /* The next one, */
  gsize       n_unused;         /* and how many there are. */
  gsize       n_used;           /* Of all arenas: those that were taken from there. */
  gboolean    are_used_up;      /* Slabs were taken, and none came back since. */
  gboolean    is_preparing;     /* Somebody gives memory to a slab that nobody has asked for, */
  gboolean    is_helped;        /* and somebody has since who wanted one gave it memory himself. */
} spares;

atomic_int morrow__slabs_are_wanted;

/* Of an address in it. */
static inline Arena *
arena_of (gconstpointer address)
{
  return (Arena *) ((guintptr) address & ~(guintptr) (MORROW_ARENA_SIZE - 1));
}

static inline Region *
region_of (MorrowSlab *slab)
{
  Arena *arena = arena_of (slab);

  return &arena->regions[(gsize) (slab - arena->slabs) / REGION_SLABS];
}

/* Maps twice the size, so that an aligned half can be cut out. */
static Arena *
arena_new (void)
{
  gchar *mapping, *aligned;

  G_STATIC_ASSERT (sizeof (Arena) <= MORROW_SLAB_SIZE);

  mapping = mmap (NULL, 2 * MORROW_ARENA_SIZE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED)
    g_error ("Could not map %" G_GSIZE_FORMAT " bytes: %s", 2 * MORROW_ARENA_SIZE, g_strerror (errno));

  aligned = (gchar *) arena_of (mapping + MORROW_ARENA_SIZE - 1);
  if (aligned > mapping)
    munmap (mapping, aligned - mapping);
  munmap (aligned + MORROW_ARENA_SIZE, mapping + MORROW_ARENA_SIZE - aligned);
  madvise (aligned, MORROW_ARENA_SIZE, MADV_NOHUGEPAGE);
  return (Arena *) aligned;
}

/* --- spare slabs; all with the lock ---------------------------------------------------------------------------- */

/* A table's own slab is none of its region. */
static inline guint
region_size (Region *region)
{
  return region == arena_of (region)->regions ? REGION_SLABS - 1 : REGION_SLABS;
}

static void
keep_touched (MorrowSlab *slab)
{
  Region *region = region_of (slab);

  morrow__list_prepend (&spares.touched, &slab->link);
  spares.n_touched++;
  if (++region->n_touched == region_size (region))
    morrow__list_append (&spares.whole, &region->link);
}

static void
take_touched (MorrowSlab *slab)
{
  Region *region = region_of (slab);

  morrow__list_remove (&slab->link);
  spares.n_touched--;
  if (region->n_touched-- == region_size (region))
    morrow__list_remove (&region->link);
}

static MorrowSlab *
take_first_touched (void)
{
  MorrowSlab *slab = morrow__slab_at (spares.touched.next);

  take_touched (slab);
  return slab;
}

static MorrowSlab *
take_untouched (void)
{
  MorrowSlab *slab = morrow__slab_at (spares.untouched.next);

  morrow__list_remove (&slab->link);
  return slab;
}

/* Returns: the first of a run of @ret_n at most, and sets that to how many it has. */
static MorrowSlab *
take_unused (gsize *ret_n)
{
  MorrowSlab *first;

  if (spares.n_unused == 0)
    {
      spares.unused = arena_new ()->slabs + 1;
      spares.n_unused = N_SLABS - 1;
    }
  *ret_n = MIN (*ret_n, spares.n_unused);
  first = spares.unused;
  spares.unused += *ret_n;
  spares.n_unused -= *ret_n;
  spares.n_used += *ret_n;
  return first;
}

/* Of those that have no memory: as take_unused (). */
static MorrowSlab *
take_bare (gsize *ret_n)
{
  if (morrow__list_is_empty (&spares.untouched))
    return take_unused (ret_n);

  *ret_n = 1;
  return take_untouched ();
}

/* To how many it is worth to give memory before they are wanted. */
static inline gsize
n_ahead (gsize most)
{
  return MIN (spares.n_used / RUN_SHARE, most);
}

/* No arena is mapped for what nobody has asked for. */
static inline gboolean
are_wanted (void)
{
  return spares.are_used_up && !spares.is_preparing && spares.n_touched < n_ahead (PREPARED_SLABS) &&
         (spares.n_unused > 0 || !morrow__list_is_empty (&spares.untouched));
}

/* Whatever that depends on has changed. */
static inline void
tell_whether_wanted (void)
{
  atomic_store_explicit (&morrow__slabs_are_wanted, are_wanted (), memory_order_relaxed);
}

/* The next is found first. */
static void
keep_run (MorrowSlab *first,
          gsize       n)
{
  while (n > 0)
    keep_touched (&first[--n]);
}

/* That of @n slabs from @first on, which are in no list.  The lock is not held meanwhile. */
static void
give_back (MorrowSlab *first,
           guint       n)
{
  g_mutex_unlock (&spares.lock);
  madvise (morrow__slab_memory (first), n * MORROW_SLAB_SIZE, MADV_DONTNEED);
  g_mutex_lock (&spares.lock);
  for (guint i = 0; i < n; i++)
    morrow__list_append (&spares.untouched, &first[i].link);
}

/* Returns: a region all of whose slabs are touched, %NULL when there is none. */
static inline Region *
find_whole (void)
{
  return morrow__list_is_empty (&spares.whole) ? NULL : morrow__list_entry (spares.whole.next, Region, link);
}

static void
give_whole_back (Region *region)
{
  Arena *arena = arena_of (region);
  guint n = region_size (region);
  MorrowSlab *first = &arena->slabs[(region - arena->regions + 1) * REGION_SLABS - n];

  for (guint i = 0; i < n; i++)
    take_touched (&first[i]);
  give_back (first, n);
}

/* --- for the cache ----------------------------------------------------------------------------------------------- */

void
morrow__slabs_init (void)
{
  morrow__list_init (&spares.touched);
  morrow__list_init (&spares.untouched);
  morrow__list_init (&spares.whole);
}

/* To @n slabs from @first on, which are in no list.  The lock is not held.  A kernel that does not know this (before 5.14)
 * refuses, and the pages come as they are touched. */
static void
give_memory (MorrowSlab *first,
             gsize       n)
{
  madvise (morrow__slab_memory (first), n * MORROW_SLAB_SIZE, MADV_POPULATE_WRITE);
}

/* To @first, and to those behind it. */
static void
give_memory_to_run (MorrowSlab *first,
                    gsize       n)
{
  give_memory (first, n);
  if (n == 1)
    return;

  g_mutex_lock (&spares.lock);
  keep_run (first + 1, n - 1);
  tell_whether_wanted ();
  g_mutex_unlock (&spares.lock);
}

/* With the lock.  Returns: the first of a run that is to be given memory. */
static MorrowSlab *
take_run (gsize *ret_n)
{
  *ret_n = MAX (1, n_ahead (spares.is_helped ? SHARED_RUN_SLABS : RUN_SLABS));
  spares.is_helped = FALSE;
  return take_bare (ret_n);
}

MorrowSlab *
morrow__slab_acquire (gboolean populate)
{
  MorrowSlab *slab;
  gboolean is_bare;
  gsize n = 1;

  g_mutex_lock (&spares.lock);
  is_bare = morrow__list_is_empty (&spares.touched);
  if (!is_bare)
    slab = take_first_touched ();
  else
    slab = populate ? take_run (&n) : take_bare (&n);
  spares.are_used_up = populate;
  tell_whether_wanted ();
  g_mutex_unlock (&spares.lock);

  if (is_bare && populate)
    give_memory_to_run (slab, n);
  return slab;
}

/* With the lock.  Returns: a slab that is to be given memory before anybody asks for it, or %NULL. */
static MorrowSlab *
take_wanted (void)
{
  gsize n = 1;

  if (!are_wanted ())
    return NULL;

  spares.is_preparing = TRUE;
  tell_whether_wanted ();
  return take_bare (&n);
}

void
morrow__slabs_prepare_one (void)
{
  MorrowSlab *slab;

  g_mutex_lock (&spares.lock);
  slab = take_wanted ();
  g_mutex_unlock (&spares.lock);
  if (slab == NULL)
    return;

  give_memory (slab, 1);
  g_mutex_lock (&spares.lock);
  keep_touched (slab);
  spares.is_preparing = FALSE;
  spares.is_helped = TRUE;
  tell_whether_wanted ();
  g_mutex_unlock (&spares.lock);
}

void
morrow__slab_release (MorrowSlab *slab,
                      gsize       max_spares)
{
  Region *whole;

  g_mutex_lock (&spares.lock);
  spares.are_used_up = FALSE;
  whole = find_whole ();
  if (spares.n_touched >= max_spares && whole != NULL)
    give_whole_back (whole);
  if (spares.n_touched < max_spares)
    keep_touched (slab);
  else
    give_back (slab, 1);
  tell_whether_wanted ();
  g_mutex_unlock (&spares.lock);
}

void
morrow__slabs_trim (gsize max_spares)
{
  g_mutex_lock (&spares.lock);
  spares.are_used_up = FALSE;
  tell_whether_wanted ();
  while (spares.n_touched > max_spares)
    {
      Region *whole = find_whole ();

      if (whole != NULL && spares.n_touched - max_spares >= region_size (whole))
        {
          give_whole_back (whole);
          continue;
        }
      give_back (take_first_touched (), 1);
    }
  g_mutex_unlock (&spares.lock);
}

void
morrow__slabs_hold (void)
{
  g_mutex_lock (&spares.lock);
}

void
morrow__slabs_let_go (void)
{
  g_mutex_unlock (&spares.lock);
}

void
morrow__slabs_begin_child (void)
{
  spares.is_preparing = FALSE;
  tell_whether_wanted ();
}
