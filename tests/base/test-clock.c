/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clock, real and virtual.
 */
#include "config.h"

#include "base/clock-private.h"

#include "morrow-check.h"

#include <sched.h>
#include <stddef.h>
#ifdef HAVE_SYS_RSEQ_H
#include <sys/rseq.h>
#endif

#define N_READINGS (100000 / morrow_check_slowness ())

static int cpu;

/* In place of the C library's. */
int
sched_getcpu (void)
{
  return cpu;
}

#if defined (HAVE_SYS_RSEQ_H) && defined (__x86_64__)
#define CPU_ID "%%fs:%c1(%2)"
#define CPU_ID_OPERANDS "i" (offsetof (struct rseq, cpu_id)), "r" (__rseq_offset)
#endif

/* The thread is where the test says, until the kernel, which only writes there, says otherwise. */
static void
be_on (int n)
{
#ifdef CPU_ID
  __asm__ volatile ("movl %0, " CPU_ID : : "r" (n), CPU_ID_OPERANDS : "memory");
#endif
  cpu = n;
}

/* Whether the kernel has said nothing else. */
static gboolean
is_still_on (int n)
{
#ifdef CPU_ID
  int found;

  __asm__ volatile ("movl " CPU_ID ", %0" : "=r" (found) : CPU_ID_OPERANDS);
  return found == n;
#else
  return cpu == n;
#endif
}

START_TEST (clock_is_that_of_glib)
{
  gint64 before = g_get_monotonic_time ();
  gint64 now = morrow__clock_now ();
  gint64 after = g_get_monotonic_time ();

  ck_assert_int_le (before, now);
  ck_assert_int_le (now, after);
}
END_TEST

START_TEST (ceiling_is_a_microsecond_ahead_at_most_and_never_goes_back)
{
  gint64 last = 0;
  guint n_late = 0, n_ahead = 0, n_back = 0;

  for (guint i = 0; i < N_READINGS; i++)
    {
      gint64 before = g_get_monotonic_time ();
      gint64 ceiling = morrow__clock_ceiling ();

      n_late += ceiling < before;
      n_ahead += ceiling > g_get_monotonic_time () + 1;
      n_back += ceiling < last;
      last = ceiling;
    }
  ck_assert_uint_eq (n_late, 0);
  ck_assert_uint_eq (n_ahead, 0);
  ck_assert_uint_eq (n_back, 0);
}
END_TEST

/* What comes between two readings takes from nothing to some microseconds: at each distance the ceiling is right. */
START_TEST (ceiling_is_not_before_the_clock_however_long_ago_it_was_read)
{
  guint n_late = 0;

  for (guint i = 0; i < N_READINGS; i++)
    {
      gint64 before;

      morrow__clock_ceiling ();
      for (volatile guint wait = i % 4096; wait > 0; wait--)
        ;
      before = g_get_monotonic_time ();
      n_late += morrow__clock_ceiling () < before;
    }
  ck_assert_uint_eq (n_late, 0);
}
END_TEST

/* Its counter does not tell how much has passed since that of the last one was read.  What is given again may be what the clock
 * says meanwhile; what has just been read is more. */
START_TEST (ceiling_is_read_anew_on_another_processor)
{
  guint n_anew = 0;

  for (guint i = 0; i < N_READINGS; i++)
    {
      gint64 before, ceiling;
      gboolean stayed;

      do
        {
          be_on (0);
          morrow__clock_ceiling ();
          stayed = is_still_on (0);
          before = g_get_monotonic_time ();
          be_on (1);
          ceiling = morrow__clock_ceiling ();
          stayed &= is_still_on (1);
        }
      while (!stayed);
      n_anew += ceiling > before;
    }
  ck_assert_uint_eq (n_anew, N_READINGS);
}
END_TEST

START_TEST (ceiling_of_the_virtual_clock_is_exact)
{
  morrow__clock_ceiling ();
  morrow__clock_set_virtual (TRUE);
  ck_assert_int_eq (morrow__clock_ceiling (), morrow__clock_now ());
  morrow__clock_advance (G_TIME_SPAN_DAY);
  ck_assert_int_eq (morrow__clock_ceiling (), morrow__clock_now ());
  morrow__clock_set_virtual (FALSE);
  ck_assert_int_le (morrow__clock_ceiling (), g_get_monotonic_time () + 1);
}
END_TEST

START_TEST (virtual_clock_moves_only_when_told)
{
  gint64 start;

  morrow__clock_set_virtual (TRUE);
  start = morrow__clock_now ();
  while (g_get_monotonic_time () <= start)
    ;
  ck_assert_int_eq (morrow__clock_now (), start);
  morrow__clock_advance (1);
  ck_assert_int_eq (morrow__clock_now (), start + 1);
  morrow__clock_advance (0);
  morrow__clock_advance (G_USEC_PER_SEC);
  ck_assert_int_eq (morrow__clock_now (), start + 1 + G_USEC_PER_SEC);
  morrow__clock_set_virtual (FALSE);
}
END_TEST

START_TEST (clock_is_real_again_after_virtual)
{
  morrow__clock_set_virtual (TRUE);
  morrow__clock_advance (G_TIME_SPAN_DAY);
  morrow__clock_set_virtual (FALSE);
  ck_assert_int_lt (morrow__clock_now (), g_get_monotonic_time () + G_TIME_SPAN_HOUR);
}
END_TEST

START_TEST (virtual_clock_jumps_forward_to_what_a_sleeper_waits_for)
{
  gint64 begin;

  ck_assert (!morrow__clock_jump (0));
  morrow__clock_set_virtual (TRUE);
  begin = morrow__clock_now ();

  ck_assert (!morrow__clock_jump (G_MAXINT64));
  ck_assert_int_eq (morrow__clock_now (), begin);
  ck_assert (morrow__clock_jump (begin + 1000));
  ck_assert_int_eq (morrow__clock_now (), begin + 1000);
  ck_assert (morrow__clock_jump (begin));
  ck_assert_int_eq (morrow__clock_now (), begin + 1000);
}
END_TEST

static Suite *
clock_suite (void)
{
  Suite *suite = suite_create ("clock");
  TCase *real = tcase_create ("real");
  TCase *virtual = tcase_create ("virtual");

  tcase_add_test (real, clock_is_that_of_glib);
  tcase_add_test (real, ceiling_is_a_microsecond_ahead_at_most_and_never_goes_back);
  tcase_add_test (real, ceiling_is_not_before_the_clock_however_long_ago_it_was_read);
  tcase_add_test (real, ceiling_is_read_anew_on_another_processor);
  suite_add_tcase (suite, real);

  tcase_add_test (virtual, ceiling_of_the_virtual_clock_is_exact);
  tcase_add_test (virtual, virtual_clock_moves_only_when_told);
  tcase_add_test (virtual, clock_is_real_again_after_virtual);
  tcase_add_test (virtual, virtual_clock_jumps_forward_to_what_a_sleeper_waits_for);
  suite_add_tcase (suite, virtual);

  return suite;
}

MORROW_CHECK_MAIN (clock_suite)
