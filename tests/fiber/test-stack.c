/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stacks: how large, how many, what comes back, and what is said when one is too small. */

#include "config.h"

#include "fiber/fiber-private.h"
#include "fiber/stack-memory-private.h"
#include "fiber/stack-pool-private.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#include "morrow-check.h"

#define KIB ((gsize) 1024)

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

/* TSan cannot have more live fibers, Valgrind searches them one by one, and old kernels have too few mappings. */
static guint
many (guint n)
{
  if (!morrow__stack_memory_has_light_guards ())
    n = MIN (n, 10000);
#ifdef MORROW_TSAN
  return MIN (n, 3000);
#endif
  return RUNNING_ON_VALGRIND ? MIN (n, 1500) : n;
}

/* Where memory is watched or emulated, its numbers are not ours; emulators have no light guards. */
static gboolean
memory_is_plain (void)
{
#if defined (MORROW_ASAN) || defined (MORROW_TSAN)
  return FALSE;
#else
  return !RUNNING_ON_VALGRIND && morrow__stack_memory_has_light_guards ();
#endif
}

static MorrowFiber *
make (gsize            stack_size,
      MorrowFiberEntry entry,
      gpointer         user)
{
  GError *error = NULL;
  MorrowFiber *fiber = morrow__fiber_new (pool, stack_size, entry, user, &error);

  ck_assert_msg (error == NULL, "%s", error != NULL ? error->message : "");
  return fiber;
}

static void
run (MorrowFiber *fiber)
{
  morrow__fiber_switch (&thread_fiber, fiber, NULL);
}

static void
park_then_end (MorrowFiber *self)
{
  morrow__fiber_switch (self, &thread_fiber, NULL);
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

static void
end_at_once (MorrowFiber *self)
{
  morrow__fiber_exit (self, self->user, NULL);
}

/* --- sizes ---------------------------------------------------------------------------------------------------- */

static gsize
room_of (MorrowFiber *fiber)
{
  return (gsize) morrow__fiber_get_stack_top (fiber) - (gsize) morrow__fiber_get_stack_low (fiber);
}

START_TEST (sizes_are_powers_of_two_and_256_kib_unless_given)
{
  static const gsize wanted[] = { 0, 1, 32 * KIB, 32 * KIB + 1, 100000, 1024 * KIB };
  static const gsize given[] = { 256 * KIB, 32 * KIB, 32 * KIB, 64 * KIB, 128 * KIB, 1024 * KIB };

  for (guint i = 0; i < G_N_ELEMENTS (wanted); i++)
    {
      MorrowFiber *fiber = make (wanted[i], park_then_end, NULL);

      ck_assert_uint_eq (morrow__fiber_get_stack_size (fiber), MAX (given[i], 4 * (gsize) sysconf (_SC_PAGESIZE)));
      ck_assert_uint_le (room_of (fiber), morrow__fiber_get_stack_size (fiber));
      morrow__fiber_free (fiber);
    }
}
END_TEST

START_TEST (the_guard_takes_nothing_of_the_size)
{
  MorrowFiber *fiber = make (32 * KIB, park_then_end, NULL);

  ck_assert_uint_gt (room_of (fiber), morrow__fiber_get_stack_size (fiber) - (gsize) sysconf (_SC_PAGESIZE));
  morrow__fiber_free (fiber);
}
END_TEST

/* Where the numbers of all pages end alike, a processor's translation tables hold few of them. */
static gsize
get_distance (gsize stack_size)
{
  MorrowFiber *one = make (stack_size, park_then_end, NULL), *other = make (stack_size, park_then_end, NULL);
  gsize distance = (gsize) ABS ((guint8 *) morrow__fiber_get_stack_low (one) - (guint8 *) morrow__fiber_get_stack_low (other));

  morrow__fiber_free (one);
  morrow__fiber_free (other);
  return distance;
}

/* _i: the size, as a power of two. */
START_TEST (neighbours_are_an_odd_number_of_pages_apart)
{
  ck_assert_uint_eq (get_distance ((gsize) 1 << _i) / (gsize) sysconf (_SC_PAGESIZE) % 2, 1);
}
END_TEST

/* Likewise. */
START_TEST (a_guard_is_a_sixteenth_of_the_size_within_bounds)
{
  gsize size = (gsize) 1 << _i, guard = get_distance (size) - size, page_size = (gsize) sysconf (_SC_PAGESIZE);

  ck_assert_uint_ge (guard, MIN (size / 16, 64 * KIB));
  ck_assert_uint_le (guard, MIN (size / 16, 64 * KIB) + page_size);
}
END_TEST

START_TEST (a_size_beyond_all_bounds_is_an_error)
{
  GError *error = NULL;

  ck_assert_ptr_null (morrow__fiber_new (pool, MORROW_FIBER_MAX_STACK_SIZE + 1, park_then_end, NULL, &error));
  ck_assert (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE));
  g_clear_error (&error);
  ck_assert_ptr_null (morrow__fiber_new (pool, G_MAXSIZE, park_then_end, NULL, &error));
  ck_assert (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE));
  g_clear_error (&error);
}
END_TEST

START_TEST (each_size_is_used_to_its_low_end)
{
  for (gsize size = 16 * KIB; size <= 8192 * KIB; size *= 2)
    {
      MorrowFiber *fiber = make (size, park_then_end, NULL);

      memset (morrow__fiber_get_stack_low (fiber), 1, 64);
      run (fiber);
      run (fiber);
    }
}
END_TEST

static G_NO_INLINE guint
touch (gsize n_kib)
{
  volatile guint8 frame[n_kib * KIB];

  for (gsize i = 0; i < n_kib * KIB; i += 64)
    frame[i] = 1;
  return frame[0];
}

static void
touch_in_steps (MorrowFiber *self)
{
  for (guint n = 8; n <= 128; n *= 2)
    {
      touch (n);
      morrow__fiber_switch (self, &thread_fiber, NULL);
    }
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

START_TEST (the_high_water_mark_rises_with_use)
{
  MorrowFiber *fiber = make (1024 * KIB, touch_in_steps, NULL);
  gsize before = morrow__fiber_high_water (fiber);

  ck_assert_uint_lt (before, 1024);
  for (guint n = 8; n <= 128; n *= 2)
    {
      gsize mark;

      run (fiber);
      mark = morrow__fiber_high_water (fiber);
      ck_assert_uint_ge (mark, n * 1024);
      ck_assert_uint_gt (mark, before);
      before = mark;
    }
  ck_assert_uint_lt (before, 160 * KIB);
  morrow__fiber_free (fiber);
}
END_TEST

START_TEST (a_threads_own_stack_is_not_measured)
{
  ck_assert_uint_eq (morrow__fiber_get_stack_size (&thread_fiber), 0);
  ck_assert_uint_eq (morrow__fiber_high_water (&thread_fiber), 0);
}
END_TEST

/* --- numbers ---------------------------------------------------------------------------------------------------- */

static guint
count_mappings (void)
{
  g_autofree char *text = NULL;
  guint n = 0;

  ck_assert (g_file_get_contents ("/proc/self/maps", &text, NULL, NULL));
  for (const char *c = text; *c != '\0'; c++)
    n += *c == '\n';
  return n;
}

static gsize
resident_kib (void)
{
  g_autofree char *text = NULL;

  ck_assert (g_file_get_contents ("/proc/self/status", &text, NULL, NULL));
  return (gsize) g_ascii_strtoull (strstr (text, "VmRSS:") + 6, NULL, 10)
    + (gsize) g_ascii_strtoull (strstr (text, "VmPTE:") + 6, NULL, 10);
}

static MorrowFiber **
park_many (guint n,
           gsize stack_size)
{
  MorrowFiber **fibers = g_new (MorrowFiber *, n);

  for (guint i = 0; i < n; i++)
    run (fibers[i] = make (stack_size, park_then_end, NULL));
  return fibers;
}

static void
end_many (MorrowFiber **fibers,
          guint         n)
{
  for (guint i = 0; i < n; i++)
    run (fibers[i]);
  g_free (fibers);
}

START_TEST (forty_thousand_stacks_are_below_the_limit_of_mappings)
{
  guint n = many (40000);
  guint mappings = count_mappings ();
  MorrowFiber **fibers = park_many (n, 64 * KIB);

  /* Without light guards each stack takes two, and the limit comes first. */
  if (memory_is_plain () && count_mappings () > mappings + 1000)
    ck_assert_msg (FALSE, "%u mappings for %u stacks", count_mappings () - mappings, n);
  end_many (fibers, n);
}
END_TEST

START_TEST (memory_falls_back_when_fibers_have_ended)
{
  guint n = many (40000);
  gsize before, during;

  end_many (park_many (10, 0), 10);
  before = resident_kib ();
  for (guint round = 0; round < 2; round++)
    {
      MorrowFiber **fibers = park_many (n, 0);

      during = resident_kib ();
      end_many (fibers, n);
      if (!memory_is_plain ())
        continue;
      ck_assert_uint_gt (during - before, n * 4);
      /* The cache: 16 magazines of 64 stacks of a page or two each, and what page tables they keep. */
      ck_assert_uint_lt (resident_kib (), before + 16 * 64 * 2 * 4 + 1024);
    }
}
END_TEST

START_TEST (parked_fibers_take_little_more_than_a_page)
{
  enum { N_FIBERS = 10000 };
  gsize before = resident_kib ();
  MorrowFiber **fibers;

  if (!memory_is_plain () || sysconf (_SC_PAGESIZE) != 4096)
    return;
  fibers = park_many (N_FIBERS, 0);
  ck_assert_uint_lt ((resident_kib () - before) * 1024 / N_FIBERS, 4813);
  end_many (fibers, N_FIBERS);
}
END_TEST

static void
touch_deep (MorrowFiber *self)
{
  touch (150);
  morrow__fiber_switch (self, &thread_fiber, NULL);
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

START_TEST (deep_stacks_do_not_keep_their_depth_for_ever)
{
  enum { N_FIBERS = 1024 };
  MorrowFiber *fibers[N_FIBERS];
  gsize before;

  if (!memory_is_plain ())
    return;
  end_many (park_many (10, 0), 10);
  before = resident_kib ();
  for (guint i = 0; i < N_FIBERS; i++)
    run (fibers[i] = make (0, touch_deep, NULL));
  ck_assert_uint_gt (resident_kib (), before + N_FIBERS * 150);
  for (guint i = 0; i < N_FIBERS; i++)
    run (fibers[i]);
  ck_assert_uint_lt (resident_kib (), before + 2 * 64 * 256 + 14 * 64 * 32 + 1024);
}
END_TEST

static void
touch_a_mebibyte (MorrowFiber *self)
{
  touch (1024);
  morrow__fiber_switch (self, &thread_fiber, NULL);
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

/* _i: in MiB. Two magazines of 16 MiB keep all their memory. */
START_TEST (of_large_stacks_few_keep_their_memory)
{
  enum { N_FIBERS = 64 };
  MorrowFiber *fibers[N_FIBERS];
  gsize before, n_kept = 2 * MAX (16 / _i, 1);

  if (!memory_is_plain ())
    return;
  end_many (park_many (10, _i * 1024 * KIB), 10);
  before = resident_kib ();
  for (guint i = 0; i < N_FIBERS; i++)
    run (fibers[i] = make (_i * 1024 * KIB, touch_a_mebibyte, NULL));
  ck_assert_uint_gt (resident_kib (), before + N_FIBERS * 1024);
  for (guint i = 0; i < N_FIBERS; i++)
    run (fibers[i]);
  ck_assert_uint_lt (resident_kib (), before + n_kept * 1024 + 7 * n_kept * 32 + 1024);
}
END_TEST

START_TEST (a_pool_that_is_freed_leaves_no_mapping)
{
  guint mappings = count_mappings ();
  gsize n_runs = 3;

  while (n_runs-- > 0)
    {
      MorrowStackPool *mine = pool;

      pool = morrow__stack_pool_new ();
      g_free (park_many (2000, 32 * KIB));
      g_free (park_many (2000, 0));
      morrow__stack_pool_free (pool);
      pool = mine;
    }
  if (memory_is_plain ())
    ck_assert_uint_le (count_mappings (), mappings + 2);
}
END_TEST

/* --- overflows -------------------------------------------------------------------------------------------------- */

static void
describe (MorrowFiber *fiber,
          char        *buffer,
          gsize        size)
{
  g_strlcpy (buffer, fiber->user, size);
}

static G_NO_INLINE guint
overflow (guint depth)
{
  volatile char frame[256];

  frame[0] = 1;
  if (depth == G_MAXUINT)
    return 0;
  return overflow (depth + 1) + (guint) frame[0];
}

static void
overflow_at_once (MorrowFiber *self)
{
  overflow (0);
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

/* A frame of 16 KiB, of which the far end is touched first, as a call that reads into a buffer does. */
static G_NO_INLINE guint
touch_far_end (void)
{
  volatile char buffer[16 * KIB];

  __asm__ volatile ("" : : "r" (buffer));   /* all of it: compilers leave out what is not used */
  buffer[0] = 1;
  return (guint) buffer[0];
}

/* Goes down to where 4 KiB are left, or a little less. */
static G_NO_INLINE guint
reach_over (const guint8 *low)
{
  volatile char frame[512];

  frame[0] = 1;
  if ((const guint8 *) __builtin_frame_address (0) - low < 4 * (gssize) KIB)
    return touch_far_end ();
  return reach_over (low) + (guint) frame[0];
}

static void
overflow_by_a_large_frame (MorrowFiber *self)
{
  reach_over (self->low);
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

static void
overflow_after_resume (MorrowFiber *self)
{
  morrow__fiber_switch (self, &thread_fiber, NULL);
  overflow (0);
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

static void
touch_nowhere (MorrowFiber *self)
{
  volatile char *nowhere = (volatile char *) self->user;

  *nowhere = 1;
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

typedef struct
{
  char *output;
  int   status;
} Outcome;

/* What @play writes to stderr in a child of its own, and how the child ends. */
static Outcome
play_in_child (void (*play) (void))
{
  GString *output = g_string_new (NULL);
  char buffer[512];
  int pipes[2];
  pid_t pid;
  gssize n;
  Outcome outcome;

  ck_assert_int_eq (pipe (pipes), 0);
  pid = fork ();
  ck_assert_int_ge (pid, 0);
  if (pid == 0)
    {
      struct rlimit no_core = { 0, 0 };

      setrlimit (RLIMIT_CORE, &no_core);
      dup2 (pipes[1], STDERR_FILENO);
      close (pipes[0]);
      play ();
      _exit (0);
    }
  close (pipes[1]);
  while ((n = read (pipes[0], buffer, sizeof buffer)) > 0)
    g_string_append_len (output, buffer, n);
  close (pipes[0]);
  waitpid (pid, &outcome.status, 0);
  outcome.output = g_string_free (output, FALSE);
  return outcome;
}

static void
check_report (void      (*play) (void),
              const char *report)
{
  Outcome outcome = play_in_child (play);

  ck_assert_msg (strstr (outcome.output, report) != NULL, "output: %s", outcome.output);
  ck_assert (WIFSIGNALED (outcome.status));
  ck_assert_int_eq (WTERMSIG (outcome.status), SIGSEGV);
  g_free (outcome.output);
}

static void
play_overflow (void)
{
  morrow__fiber_set_describe (describe);
  run (make (0, overflow_at_once, (gpointer) "digger"));
}

START_TEST (an_overflow_is_reported_with_the_tasks_name)
{
  check_report (play_overflow, "morrow: stack overflow in task digger (stack of 256 KiB)\n");
}
END_TEST

/* The last of those that are cut from one mapping. */
static void
play_last_overflow (void)
{
  MorrowFiber *last = make (0, overflow_at_once, (gpointer) "last");

  morrow__fiber_set_describe (describe);
  for (guint n = last->slab->n_stacks; n > 1; n--)
    last = make (0, overflow_at_once, (gpointer) "last");
  run (last);
}

START_TEST (an_overflow_of_the_last_of_many_is_reported_with_its_name)
{
  check_report (play_last_overflow, "morrow: stack overflow in task last (stack of 256 KiB)\n");
}
END_TEST

static void
play_overflow_by_a_large_frame (void)
{
  morrow__fiber_set_describe (describe);
  run (make (0, park_then_end, NULL));   /* so that what lies below may be another's */
  run (make (0, overflow_by_a_large_frame, (gpointer) "buffer"));
}

START_TEST (an_overflow_by_a_frame_of_a_few_pages_is_reported)
{
  check_report (play_overflow_by_a_large_frame, "morrow: stack overflow in task buffer (stack of 256 KiB)\n");
}
END_TEST

static void
play_resumed_overflow (void)
{
  MorrowFiber *fiber = make (64 * KIB, overflow_after_resume, (gpointer) "sleeper");

  morrow__fiber_set_describe (describe);
  end_many (park_many (100, 64 * KIB), 100);
  run (fiber);
  run (fiber);
}

START_TEST (an_overflow_after_a_resume_is_reported_too)
{
  check_report (play_resumed_overflow, "morrow: stack overflow in task sleeper (stack of 64 KiB)\n");
}
END_TEST

static gpointer
overflow_in_thread (gpointer data)
{
  MorrowFiber own;

  pool = morrow__stack_pool_new ();
  morrow__fiber_init_thread (&own);
  morrow__fiber_switch (&own, make (0, overflow_at_once, data), NULL);
  return NULL;
}

static void
play_overflow_in_thread (void)
{
  pthread_t thread;

  pthread_create (&thread, NULL, overflow_in_thread, NULL);
  pthread_join (thread, NULL);
}

START_TEST (an_overflow_in_a_thread_is_reported_without_a_name)
{
  check_report (play_overflow_in_thread, "morrow: stack overflow in task (unnamed) (stack of 256 KiB)\n");
}
END_TEST

static void
on_other_fault (int signal_number G_GNUC_UNUSED)
{
  static const char said[] = "handled elsewhere\n";

  if (write (STDERR_FILENO, said, sizeof said - 1) > 0)
    _exit (7);
}

static void
play_other_fault (void)
{
  MorrowFiber own;

  morrow__fiber_clear_thread (&thread_fiber);
  signal (SIGSEGV, on_other_fault);
  morrow__fiber_init_thread (&own);
  run (make (0, touch_nowhere, GSIZE_TO_POINTER (16)));
}

START_TEST (other_faults_go_to_the_handler_that_was_there)
{
  Outcome outcome = play_in_child (play_other_fault);

  ck_assert_str_eq (outcome.output, "handled elsewhere\n");
  ck_assert (WIFEXITED (outcome.status));
  ck_assert_int_eq (WEXITSTATUS (outcome.status), 7);
  g_free (outcome.output);
}
END_TEST

/* From the fiber above in memory: the guard is somebody else's, and the stack pointer is not near. */
static void
play_stray_write (void)
{
  MorrowFiber *victim = make (0, park_then_end, NULL);

  run (victim);
  run (make (0, touch_nowhere, (char *) morrow__fiber_get_stack_low (victim) - 8));
}

START_TEST (a_stray_write_into_a_guard_is_no_overflow)
{
  Outcome outcome = play_in_child (play_stray_write);

  ck_assert_ptr_null (strstr (outcome.output, "overflow in task"));
  ck_assert (!WIFEXITED (outcome.status) || WEXITSTATUS (outcome.status) != 0);
  g_free (outcome.output);
}
END_TEST

static void
get_fault_state (struct sigaction *action,
                 stack_t          *stack)
{
  memset (action, 0, sizeof *action);
  memset (stack, 0, sizeof *stack);
  sigaction (SIGSEGV, NULL, action);
  sigaltstack (NULL, stack);
}

START_TEST (handler_and_signal_stack_are_put_back)
{
  struct sigaction before, during, after;
  stack_t stack_before, stack_during, stack_after;
  MorrowFiber own, nested;

  morrow__fiber_clear_thread (&thread_fiber);
  get_fault_state (&before, &stack_before);
  morrow__fiber_init_thread (&own);
  morrow__fiber_init_thread (&nested);
  morrow__fiber_clear_thread (&nested);
  get_fault_state (&during, &stack_during);
  morrow__fiber_clear_thread (&own);
  get_fault_state (&after, &stack_after);
  morrow__fiber_init_thread (&thread_fiber);

  ck_assert_ptr_eq (before.sa_sigaction, after.sa_sigaction);
  ck_assert_ptr_ne (before.sa_sigaction, during.sa_sigaction);
  ck_assert_int_eq (stack_before.ss_flags, stack_after.ss_flags);
  ck_assert_int_eq (stack_during.ss_flags & SS_DISABLE, 0);
}
END_TEST

typedef struct
{
  MorrowStackPool *pool;
  MorrowFiber      own;
  gboolean         watched;
} Left;

static gpointer
leave_behind (gpointer data)
{
  Left *left = data;
  stack_t stack;

  left->pool = morrow__stack_pool_new ();
  morrow__fiber_init_thread (&left->own);
  morrow__fiber_switch (&left->own, morrow__fiber_new (left->pool, 0, end_at_once, &left->own, NULL), NULL);
  sigaltstack (NULL, &stack);
  left->watched = (stack.ss_flags & SS_DISABLE) == 0;
  return NULL;
}

START_TEST (what_a_thread_leaves_another_clears_away)
{
  struct sigaction before, after;
  stack_t stack_before, stack_after;
  guint mappings = count_mappings ();
  Left left = { 0 };

  get_fault_state (&before, &stack_before);
  for (int i = 0; i < 10; i++)
    {
      pthread_t thread;

      pthread_create (&thread, NULL, leave_behind, &left);
      pthread_join (thread, NULL);
      ck_assert (left.watched);
      morrow__fiber_clear_thread (&left.own);
      morrow__stack_pool_free (left.pool);
    }
  get_fault_state (&after, &stack_after);

  ck_assert_ptr_eq (before.sa_sigaction, after.sa_sigaction);
  ck_assert_ptr_eq (stack_before.ss_sp, stack_after.ss_sp);
  ck_assert_int_eq (stack_before.ss_flags, stack_after.ss_flags);
  if (memory_is_plain ())
    ck_assert_uint_le (count_mappings (), mappings + 4);
}
END_TEST

static TCase *
add_case (Suite      *suite,
          const char *name)
{
  TCase *tcase = tcase_create (name);

  tcase_add_checked_fixture (tcase, set_up, tear_down);
  suite_add_tcase (suite, tcase);
  return tcase;
}

static Suite *
stack_suite (void)
{
  Suite *suite = suite_create ("stack");
  TCase *tcase = add_case (suite, "sizes");

  tcase_add_test (tcase, sizes_are_powers_of_two_and_256_kib_unless_given);
  tcase_add_test (tcase, the_guard_takes_nothing_of_the_size);
  tcase_add_loop_test (tcase, neighbours_are_an_odd_number_of_pages_apart, 16, 22);
  tcase_add_loop_test (tcase, a_guard_is_a_sixteenth_of_the_size_within_bounds, 16, 22);
  tcase_add_test (tcase, a_size_beyond_all_bounds_is_an_error);
  tcase_add_test (tcase, each_size_is_used_to_its_low_end);
  tcase_add_test (tcase, the_high_water_mark_rises_with_use);
  tcase_add_test (tcase, a_threads_own_stack_is_not_measured);

  tcase = add_case (suite, "numbers");
  tcase_add_test (tcase, forty_thousand_stacks_are_below_the_limit_of_mappings);
  tcase_add_test (tcase, memory_falls_back_when_fibers_have_ended);
  tcase_add_test (tcase, parked_fibers_take_little_more_than_a_page);
  tcase_add_test (tcase, deep_stacks_do_not_keep_their_depth_for_ever);
  tcase_add_loop_test (tcase, of_large_stacks_few_keep_their_memory, 8, 9);
  tcase_add_loop_test (tcase, of_large_stacks_few_keep_their_memory, 32, 33);
  tcase_add_test (tcase, a_pool_that_is_freed_leaves_no_mapping);

  tcase = add_case (suite, "overflows");
#if !defined (MORROW_ASAN) || !defined (MORROW_USE_UCONTEXT)
  tcase_add_test (tcase, an_overflow_is_reported_with_the_tasks_name);
  tcase_add_test (tcase, an_overflow_of_the_last_of_many_is_reported_with_its_name);
  tcase_add_test (tcase, an_overflow_by_a_frame_of_a_few_pages_is_reported);
  tcase_add_test (tcase, an_overflow_after_a_resume_is_reported_too);
  tcase_add_test (tcase, an_overflow_in_a_thread_is_reported_without_a_name);
#endif
  /* Valgrind reports the faults that these make on purpose. */
  if (!RUNNING_ON_VALGRIND)
    {
      tcase_add_test (tcase, other_faults_go_to_the_handler_that_was_there);
      tcase_add_test (tcase, a_stray_write_into_a_guard_is_no_overflow);
    }
  tcase_add_test (tcase, handler_and_signal_stack_are_put_back);
  tcase_add_test (tcase, what_a_thread_leaves_another_clears_away);
  return suite;
}

MORROW_CHECK_MAIN (stack_suite)
