/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stacks when the kernel refuses: what it asks for is linked through the wrappers below, which fail on demand. */

#include "config.h"

#include "fiber/fiber-private.h"
#include "fiber/stack-memory-private.h"

#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#include "base/madvise-private.h"
#include "morrow-check.h"

#define KIB ((gsize) 1024)

/* What fails, and how much of it was asked for.  Each test is a process of its own. */
static gsize largest_mapping = G_MAXSIZE;
static int failing_advice = -1;
static int advice_error;
static guint advice_successes;
static gboolean batches_fail;
static gboolean batches_fall_short;
static gboolean guards_fail;
static gsize    page_size;   /* of another machine; 0 for this one's */
static guint n_batches;
static guint n_guards;
static guint n_heavy_guards;
static guint n_discards;     /* Pieces of memory that are given back, */
static gsize n_discarded;    /* and bytes. */

void *__real_mmap (void *address, size_t size, int protection, int flags, int fd, off_t offset);
int   __real_madvise (void *address, size_t size, int advice);
int   __real_mprotect (void *address, size_t size, int protection);
long  __real_syscall (long number, ...);
gsize __real_morrow__stack_memory_page_size (void);

void *__wrap_mmap (void *address, size_t size, int protection, int flags, int fd, off_t offset);
int   __wrap_madvise (void *address, size_t size, int advice);
int   __wrap_mprotect (void *address, size_t size, int protection);
long  __wrap_syscall (long number, ...);
gsize __wrap_morrow__stack_memory_page_size (void);

void *
__wrap_mmap (void  *address,
             size_t size,
             int    protection,
             int    flags,
             int    fd,
             off_t  offset)
{
  if (size > largest_mapping)
    {
      errno = ENOMEM;
      return MAP_FAILED;
    }
  return __real_mmap (address, size, protection, flags, fd, offset);
}

static void
note_discard (gsize size)
{
  n_discards++;
  n_discarded += size;
}

int
__wrap_madvise (void  *address,
                size_t size,
                int    advice)
{
  if (advice == failing_advice && advice_successes-- == 0)
    {
      advice_successes = 0;
      errno = advice_error;
      return -1;
    }
  n_guards += advice == MADV_GUARD_INSTALL;
  if (advice == MADV_DONTNEED)
    note_discard (size);
  if (page_size != 0)
    size = (size + page_size - 1) / page_size * page_size;
  return __real_madvise (address, size, advice);
}

int
__wrap_mprotect (void  *address,
                 size_t size,
                 int    protection)
{
  if (guards_fail)
    {
      errno = ENOMEM;
      return -1;
    }
  n_heavy_guards++;
  return __real_mprotect (address, size, protection);
}

long
__wrap_syscall (long number,
                ...)
{
  long arguments[6];
  va_list list;

  va_start (list, number);
  for (guint i = 0; i < G_N_ELEMENTS (arguments); i++)
    arguments[i] = va_arg (list, long);
  va_end (list);

  if (number == SYS_process_madvise)
    {
      n_batches++;
      if (batches_fail || (int) arguments[3] == failing_advice)
        {
          errno = batches_fail ? ENOSYS : advice_error;
          return -1;
        }
      for (long i = 0; (int) arguments[3] == MADV_DONTNEED && i < arguments[2]; i++)
        note_discard (((struct iovec *) arguments[1])[i].iov_len);
      if (batches_fall_short)
        arguments[2] = 1;
    }
  return __real_syscall (number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

gsize
__wrap_morrow__stack_memory_page_size (void)
{
  return page_size != 0 ? page_size : __real_morrow__stack_memory_page_size ();
}

/* --- the tests ---------------------------------------------------------------------------------------------------- */

static MorrowStackPool *pool;
static MorrowFiber thread_fiber;

static void
set_up (void)
{
  pool = morrow__stack_pool_new ();
  morrow__fiber_init_thread (&thread_fiber);
}

static void
tear_down (void)
{
  morrow__fiber_clear_thread (&thread_fiber);
  morrow__stack_pool_free (pool);
}

static void
park_then_end (MorrowFiber *self)
{
  morrow__fiber_switch (self, &thread_fiber, NULL);
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

static gboolean
is_guarded (MorrowFiber *fiber)
{
  const char *guard = (const char *) morrow__fiber_get_stack_low (fiber) - morrow__stack_memory_page_size ();

  /* Valgrind would die of it. */
  if (RUNNING_ON_VALGRIND)
    return TRUE;
  return access (guard, F_OK) != 0 && errno == EFAULT;
}

/* Fibers that run, park, are guarded, and end. */
static void
check_fibers (guint n,
              gsize stack_size)
{
  g_autofree MorrowFiber **fibers = g_new (MorrowFiber *, n);

  for (guint i = 0; i < n; i++)
    {
      fibers[i] = morrow__fiber_new (pool, stack_size, park_then_end, NULL, NULL);
      ck_assert_ptr_nonnull (fibers[i]);
      ck_assert (is_guarded (fibers[i]));
      morrow__fiber_switch (&thread_fiber, fibers[i], NULL);
    }
  for (guint i = 0; i < n; i++)
    morrow__fiber_switch (&thread_fiber, fibers[i], NULL);
}

static void
check_failure (gsize       stack_size,
               const char *reason)
{
  g_autoptr (GError) error = NULL;

  ck_assert_ptr_null (morrow__fiber_new (pool, stack_size, park_then_end, NULL, &error));
  ck_assert (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE));
  ck_assert_msg (strstr (error->message, reason) != NULL, "%s", error->message);
}

START_TEST (no_address_space_is_an_error_and_not_the_end)
{
  largest_mapping = 0;
  check_failure (0, "No address space for another stack of 256 KiB");
  check_failure (1024 * KIB, "No address space for another stack of 1024 KiB");
  largest_mapping = G_MAXSIZE;
  check_fibers (100, 0);
}
END_TEST

START_TEST (fibers_that_live_do_not_notice_that_address_space_is_gone)
{
  MorrowFiber *fiber = morrow__fiber_new (pool, 64 * KIB, park_then_end, NULL, NULL);
  GError *error = NULL;
  guint n = 0;

  largest_mapping = 0;
  morrow__fiber_switch (&thread_fiber, fiber, NULL);
  while (error == NULL)
    {
      morrow__fiber_new (pool, 64 * KIB, park_then_end, NULL, &error);
      n++;
    }
  ck_assert_uint_eq (n, 512);
  g_clear_error (&error);
  morrow__fiber_switch (&thread_fiber, fiber, NULL);
  check_fibers (1, 64 * KIB);
}
END_TEST

START_TEST (scarce_address_space_is_taken_in_small_pieces)
{
  largest_mapping = (1024 + 64) * KIB + (gsize) sysconf (_SC_PAGESIZE);   /* with its guard */
  check_fibers (100, 0);
  check_fibers (1, 1024 * KIB);
  check_failure (2048 * KIB, "No address space");
}
END_TEST

START_TEST (stacks_are_prepared_in_batches)
{
  if (!morrow__stack_memory_has_light_guards () || RUNNING_ON_VALGRIND)
    return;
  n_guards = n_heavy_guards = 0;
  check_fibers (500, 0);
  if (n_batches < 2)
    return; /* The kernel has none. */
  ck_assert_uint_le (n_batches, 40);
  ck_assert_uint_eq (n_guards, 0);
  ck_assert_uint_eq (n_heavy_guards, 0);
}
END_TEST

START_TEST (without_batches_each_stack_is_prepared_by_itself)
{
  if (!morrow__stack_memory_has_light_guards ())
    return;
  n_guards = 0;
  batches_fail = TRUE;
  check_fibers (500, 0);
  ck_assert_uint_ge (n_guards, 500);
  ck_assert_uint_le (n_batches, 1);
}
END_TEST

START_TEST (a_batch_that_falls_short_is_completed)
{
  batches_fall_short = TRUE;
  check_fibers (500, 0);
}
END_TEST

/* The kernel takes whole pages, of which one holds more than the pool keeps of a deep stack. */
START_TEST (with_pages_of_64_kib_stacks_are_used_again)
{
  morrow__stack_memory_has_light_guards ();   /* is found out with a page of this machine's */
  morrow__stack_pool_free (pool);
  page_size = 64 * KIB;
  batches_fail = TRUE;
  pool = morrow__stack_pool_new ();
  for (guint i = 0; i < 3; i++)
    check_fibers (1200, 0);   /* more than are kept */
}
END_TEST

/* 2,048 stacks are made for 2,000 fibers, half of which are kept: of the others 16 magazines are given back, in which all lie next to
 * each other but where a slab ends. */
START_TEST (neighbours_give_their_memory_back_as_one)
{
  gsize guard = morrow__stack_memory_page_size ();

  check_fibers (2000, 32 * KIB);
  ck_assert_uint_ge (n_discards, 16);
  ck_assert_uint_le (n_discards, 32);
  ck_assert_uint_eq (n_discarded, 1024 * 32 * KIB + (1024 - n_discards) * guard);
  check_fibers (2000, 32 * KIB);   /* all guards are still there */
  ck_assert_uint_le (n_discards, 128);
}
END_TEST

enum { N_SLABS = 6, SLAB = 512 };

static int
compare_addresses (gconstpointer a,
                   gconstpointer b)
{
  guintptr address_a = (guintptr) *(MorrowFiber *const *) a, address_b = (guintptr) *(MorrowFiber *const *) b;

  return (address_a > address_b) - (address_a < address_b);
}

/* Eleven of each slab at a time, which in the next slab are the next eleven: only that they are in different slabs tells that the
 * last and the first are no neighbours. */
START_TEST (stacks_that_end_in_several_slabs_leave_the_others_alone)
{
  g_autofree MorrowFiber **fibers = g_new (MorrowFiber *, N_SLABS * SLAB);
  gsize before;

  for (guint i = 0; i < N_SLABS * SLAB; i++)
    {
      fibers[i] = morrow__fiber_new (pool, 32 * KIB, park_then_end, NULL, NULL);
      morrow__fiber_switch (&thread_fiber, fibers[i], NULL);
    }
  qsort (fibers, N_SLABS * SLAB, sizeof fibers[0], compare_addresses);
  before = n_discarded;
  for (guint i = 0; i < SLAB; i++)
    for (guint slab = 0; slab < N_SLABS; slab++)
      morrow__fiber_switch (&thread_fiber, fibers[slab * SLAB + (i + 11 * slab) % SLAB], NULL);
  ck_assert_uint_gt (n_discarded, before);
}
END_TEST

START_TEST (without_light_guards_pages_are_protected)
{
  failing_advice = MADV_GUARD_INSTALL;
  advice_error = EINVAL;
  check_fibers (1500, 0);   /* more than are kept: memory is given back with guards between */
  ck_assert_uint_ge (n_heavy_guards, 1500);
  check_fibers (1500, 0);
}
END_TEST

START_TEST (a_light_guard_that_fails_once_is_replaced)
{
  if (!morrow__stack_memory_has_light_guards ())
    return;
  failing_advice = MADV_GUARD_INSTALL;
  advice_error = ENOMEM;
  advice_successes = 2;
  check_fibers (100, 0);
  ck_assert_uint_gt (n_heavy_guards, 0);
}
END_TEST

START_TEST (too_many_mappings_is_an_error_that_names_the_limit)
{
  failing_advice = MADV_GUARD_INSTALL;
  advice_error = EINVAL;
  guards_fail = TRUE;
  check_failure (0, "vm.max_map_count = ");
  check_failure (0, "vm.max_map_count = ");
  guards_fail = FALSE;
  check_fibers (600, 0);
}
END_TEST

START_TEST (stacks_that_cannot_be_populated_are_touched_instead)
{
  failing_advice = MADV_POPULATE_WRITE;
  advice_error = EINVAL;
  check_fibers (500, 0);
}
END_TEST

START_TEST (memory_that_cannot_be_given_back_is_used_again)
{
  failing_advice = MADV_DONTNEED;
  advice_error = EINVAL;
  for (int i = 0; i < 3; i++)
    check_fibers (2000, 32 * KIB);
}
END_TEST

static Suite *
faults_suite (void)
{
  Suite *suite = suite_create ("stack-faults");
  TCase *tcase = tcase_create ("faults");

  suite_add_tcase (suite, tcase);
  tcase_add_checked_fixture (tcase, set_up, tear_down);
  tcase_add_test (tcase, no_address_space_is_an_error_and_not_the_end);
  tcase_add_test (tcase, fibers_that_live_do_not_notice_that_address_space_is_gone);
  tcase_add_test (tcase, scarce_address_space_is_taken_in_small_pieces);
  tcase_add_test (tcase, stacks_are_prepared_in_batches);
  tcase_add_test (tcase, without_batches_each_stack_is_prepared_by_itself);
  tcase_add_test (tcase, a_batch_that_falls_short_is_completed);
  tcase_add_test (tcase, with_pages_of_64_kib_stacks_are_used_again);
  tcase_add_test (tcase, neighbours_give_their_memory_back_as_one);
  tcase_add_test (tcase, stacks_that_end_in_several_slabs_leave_the_others_alone);
  tcase_add_test (tcase, without_light_guards_pages_are_protected);
  tcase_add_test (tcase, a_light_guard_that_fails_once_is_replaced);
  tcase_add_test (tcase, too_many_mappings_is_an_error_that_names_the_limit);
  tcase_add_test (tcase, stacks_that_cannot_be_populated_are_touched_instead);
  tcase_add_test (tcase, memory_that_cannot_be_given_back_is_used_again);
  return suite;
}

MORROW_CHECK_MAIN_FORKING (faults_suite)
