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

#include <check.h>
#include <glib.h>
#include <stdlib.h>

static inline int
morrow_check_run (Suite *suite)
{
  SRunner *runner = srunner_create (suite);

  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
  srunner_set_tap (runner, "-");
  srunner_run_all (runner, CK_SILENT);
  srunner_free (runner);

  return EXIT_SUCCESS;
}

#define MORROW_CHECK_MAIN(suite_function) \
  int \
  main (void) \
  { \
    return morrow_check_run (suite_function ()); \
  }
