/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The main function of a test program: MORROW_CHECK_MAIN (suite_function), once, at the end of the
 * file.  It prints TAP on stdout and returns 0 whatever failed: the TAP driver reads the lines, and
 * an exit status would be counted as one more error.
 *
 * Check runs each test in a child process, so make threads and executors inside the test.
 * CK_FORK=no runs them all in one process, for a debugger.
 *
 * Warnings and criticals are fatal.  A test that wants one says so: g_test_expect_message (), or a
 * log writer of its own.
 */
#pragma once

#include "config.h"

#include <check.h>
#include <glib.h>
#include <stdlib.h>

#ifdef HAVE_VALGRIND_VALGRIND_H
# include <valgrind/valgrind.h>
#else
# define RUNNING_ON_VALGRIND 0
#endif

#if defined (__has_feature)
# if __has_feature (address_sanitizer)
#  define MORROW_CHECK_ASAN 1
# elif __has_feature (thread_sanitizer)
#  define MORROW_CHECK_TSAN 1
# endif
#endif
#if defined (__SANITIZE_ADDRESS__)
# define MORROW_CHECK_ASAN 1
#elif defined (__SANITIZE_THREAD__)
# define MORROW_CHECK_TSAN 1
#endif

/* How many times slower than usual the program runs, roughly: what a test divides its number of
 * rounds by, and what every time limit is multiplied by. */
static inline guint
morrow_check_slowness (void)
{
#if defined (MORROW_CHECK_ASAN)
  return 3;
#elif defined (MORROW_CHECK_TSAN)
  return 10;
#else
  return RUNNING_ON_VALGRIND ? 20 : 1;
#endif
}

/* The suite is made here, since Check reads the time limits when it makes one. */
static inline int
morrow_check_run (Suite *(*make_suite) (void))
{
  char slowness[16];
  SRunner *runner;

  g_snprintf (slowness, sizeof slowness, "%u", morrow_check_slowness ());
  g_setenv ("CK_DEFAULT_TIMEOUT", "30", FALSE);
  g_setenv ("CK_TIMEOUT_MULTIPLIER", slowness, FALSE);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);

  runner = srunner_create (make_suite ());
  srunner_set_tap (runner, "-");
  srunner_run_all (runner, CK_SILENT);
  srunner_free (runner);

  return EXIT_SUCCESS;
}

#define MORROW_CHECK_MAIN(suite_function) \
  int \
  main (void) \
  { \
    return morrow_check_run (suite_function); \
  }
