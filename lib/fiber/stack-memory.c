/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the stack pool asks of the kernel.
 *
 * Guards: MADV_GUARD_INSTALL (Linux 6.13) marks a page in the page table, and leaves the mapping in one piece however many
 * pages are marked.  Before that a guard is a page without access rights: two more mappings a stack, of the 65,530 that
 * vm.max_map_count gives a process.
 *
 * Batches: process_madvise () advises many ranges in one call, and may give all kinds of advice to its own process
 * where it also takes PIDFD_SELF; elsewhere each range is a madvise () of its own.  PIDFD_SELF and not a descriptor,
 * since there is none to run out of, and none that would mean the parent after a fork.  With MADV_POPULATE_WRITE a batch
 * also spares the faults of the first touch, which is a fifth of what a parked fiber costs.
 *
 * Light guards are tried out once, by reading one, since emulators accept advice that they do not know.  Batches that the
 * kernel (or a sandbox) refuses as unknown are not asked for again.  Valgrind prints a warning about calls that it does not
 * know and dies of guards that it reads itself, so it is not asked and not tried. */

#include "config.h"

#include "fiber/stack-memory-private.h"

#include "base/madvise-private.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

/* Any thread, relaxed: hints; a thread that sees an old value asks the kernel once more. */
static _Atomic (gboolean) no_batches;
static _Atomic (enum { UNKNOWN, MISSING, PRESENT }) light_guards;

gsize
morrow__stack_memory_page_size (void)
{
  return (gsize) sysconf (_SC_PAGESIZE);
}

gpointer
morrow__stack_memory_reserve (gsize size)
{
  gpointer base = mmap (NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

  if (base == MAP_FAILED)
    return NULL;
  /* A huge page would put 2 MiB behind the first byte that is touched. */
  madvise (base, size, MADV_NOHUGEPAGE);
  return base;
}

void
morrow__stack_memory_release (gpointer base,
                              gsize    size)
{
  munmap (base, size);
}

static gboolean
advise_at_once (const struct iovec *ranges,
                guint               n_ranges,
                int                 advice)
{
  gssize wanted = 0;
  gssize done;

  if (n_ranges == 1 || RUNNING_ON_VALGRIND || atomic_load_explicit (&no_batches, memory_order_relaxed))
    return FALSE;
  for (guint i = 0; i < n_ranges; i++)
    wanted += (gssize) ranges[i].iov_len;
  done = syscall (SYS_process_madvise, PIDFD_SELF, ranges, (gsize) n_ranges, advice, 0);
  if (done < 0 && (errno == EINVAL || errno == ENOSYS || errno == EPERM || errno == EBADF))
    atomic_store_explicit (&no_batches, TRUE, memory_order_relaxed);
  return done == wanted;
}

/* Returns how many, counted from the first, have taken the advice; errno says what was wrong with the next.  All of
 * this advice may be given twice, so a batch that was cut short is simply given again, one by one. */
static guint
advise (const struct iovec *ranges,
        guint               n_ranges,
        int                 advice)
{
  guint n;

  if (advise_at_once (ranges, n_ranges, advice))
    return n_ranges;
  for (n = 0; n < n_ranges; n++)
    if (madvise (ranges[n].iov_base, ranges[n].iov_len, advice) != 0)
      break;
  return n;
}

static void
set_guard_error (GError **error)
{
  int saved = errno;
  g_autofree char *limit = NULL;

  if (saved == ENOMEM && g_file_get_contents ("/proc/sys/vm/max_map_count", &limit, NULL, NULL))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                 "No guard for another stack: %s. Each takes two memory mappings, and a process may have "
                 "vm.max_map_count = %s of them", g_strerror (saved), g_strchomp (limit));
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "No guard for another stack: %s", g_strerror (saved));
}

/* A page that can be read is an empty path, and there is no file of that name. */
static gboolean
can_be_read (gconstpointer page)
{
  return access (page, F_OK) == 0 || errno != EFAULT;
}

static gboolean
try_light_guard (void)
{
  gsize page_size = morrow__stack_memory_page_size ();
  gpointer page = mmap (NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  gboolean works;

  if (page == MAP_FAILED)
    return FALSE;
  works = madvise (page, page_size, MADV_GUARD_INSTALL) == 0 && (RUNNING_ON_VALGRIND || !can_be_read (page));
  munmap (page, page_size);
  return works;
}

gboolean
morrow__stack_memory_has_light_guards (void)
{
  int known = atomic_load_explicit (&light_guards, memory_order_relaxed);

  if (known == UNKNOWN)
    {
      known = try_light_guard () ? PRESENT : MISSING;
      atomic_store_explicit (&light_guards, known, memory_order_relaxed);
    }
  return known == PRESENT;
}

guint
morrow__stack_memory_guard (const struct iovec  *pages,
                            guint                n_pages,
                            GError             **error)
{
  guint n = morrow__stack_memory_has_light_guards () ? advise (pages, n_pages, MADV_GUARD_INSTALL) : 0;

  for (; n < n_pages; n++)
    if (mprotect (pages[n].iov_base, pages[n].iov_len, PROT_NONE) != 0)
      break;
  if (n == 0)
    set_guard_error (error);
  return n;
}

/* One by one it would be no better than the faults that it spares. */
void
morrow__stack_memory_populate (const struct iovec *ranges,
                               guint               n_ranges)
{
  advise_at_once (ranges, n_ranges, MADV_POPULATE_WRITE);
}

void
morrow__stack_memory_discard (const struct iovec *ranges,
                              guint               n_ranges)
{
  advise (ranges, n_ranges, MADV_DONTNEED);
}
