/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The main function of a test program: MORROW_CHECK_MAIN (suite_function), once, at the end of the
 * file.  It prints TAP on stdout and returns 0 whatever failed: the TAP driver reads the lines, and
 * an exit status would be counted as one more error.
 *
 * Check runs each test in a child process, so make threads and executors inside the test.
 * CK_FORK=no runs them all in one process, for a debugger; so does valgrind, which would translate
 * the same code anew for every child.  Where tests count on a process of their own, the program
 * ends with MORROW_CHECK_MAIN_FORKING instead.
 *
 * Warnings and criticals are fatal, from whatever thread.  A test that wants one says so first:
 * morrow_check_expect_warning (), or morrow_check_expect_critical ().
 *
 * The tests of a case from morrow_check_add_case () end with a look around: everything that was
 * expected has come, and no object of the library is alive that was not when the test began.
 */
#pragma once

#include "config.h"

#include <check.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cache-private.h"

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

/* --- what is logged ---------------------------------------------------------------------------- */

typedef struct
{
  GLogLevelFlags level;
  const char    *pattern;
} MorrowCheckExpected;

static pthread_mutex_t morrow_check_lock = PTHREAD_MUTEX_INITIALIZER;   /* which the thread sanitizer knows */
static GArray *morrow_check_expected;   /* under the lock: MorrowCheckExpected */

static inline void
morrow_check_expect (GLogLevelFlags level, const char *pattern)
{
  MorrowCheckExpected expected = { level, pattern };

  pthread_mutex_lock (&morrow_check_lock);
  if (morrow_check_expected == NULL)
    morrow_check_expected = g_array_new (FALSE, FALSE, sizeof expected);
  g_array_append_val (morrow_check_expected, expected);
  pthread_mutex_unlock (&morrow_check_lock);
}

/* The message that is to come, once: a pattern with * and ?. */
static inline void
morrow_check_expect_warning (const char *pattern)
{
  morrow_check_expect (G_LOG_LEVEL_WARNING, pattern);
}

static inline void
morrow_check_expect_critical (const char *pattern)
{
  morrow_check_expect (G_LOG_LEVEL_CRITICAL, pattern);
}

static inline guint
morrow_check_n_expected (void)
{
  guint n;

  pthread_mutex_lock (&morrow_check_lock);
  n = morrow_check_expected != NULL ? morrow_check_expected->len : 0;
  pthread_mutex_unlock (&morrow_check_lock);
  return n;
}

static inline gboolean
morrow_check_is_expected (GLogLevelFlags level, const char *message)
{
  guint n = 0, i;

  pthread_mutex_lock (&morrow_check_lock);
  n = morrow_check_expected != NULL ? morrow_check_expected->len : 0;
  for (i = 0; i < n; i++)
    {
      MorrowCheckExpected *expected = &g_array_index (morrow_check_expected, MorrowCheckExpected, i);

      if ((level & expected->level) && g_pattern_match_simple (expected->pattern, message))
        break;
    }
  if (i < n)
    g_array_remove_index (morrow_check_expected, i);
  pthread_mutex_unlock (&morrow_check_lock);

  return i < n;
}

static inline GLogWriterOutput
morrow_check_write_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  const char *message = "";
  gboolean complete = TRUE;

  for (gsize i = 0; i < n_fields; i++)
    {
      complete &= fields[i].value != NULL;   /* some writers read each */
      if (g_str_equal (fields[i].key, "MESSAGE"))
        message = fields[i].value;
    }

  if (complete && morrow_check_is_expected (level, message))
    return G_LOG_WRITER_HANDLED;

  g_log_writer_standard_streams (level, fields, n_fields, NULL);
  if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING))
    abort ();
  return G_LOG_WRITER_HANDLED;
}

/* --- what is left ------------------------------------------------------------------------------ */

static gssize morrow_check_live;        /* the test's thread: the objects alive when it began */

static inline void
morrow_check_begin (void)
{
  morrow_check_live = morrow__cache_live ();
}

/* Another thread, that of the timers say, may be a moment behind in letting go. */
static inline void
morrow_check_await_the_rest (void)
{
  gint64 until = g_get_monotonic_time () + G_USEC_PER_SEC;

  while (morrow__cache_live () != morrow_check_live && g_get_monotonic_time () < until)
    g_thread_yield ();
}

static inline void
morrow_check_end (void)
{
  morrow_check_await_the_rest ();
  ck_assert_msg (morrow_check_n_expected () == 0, "a message that was expected has not come");
  ck_assert_msg (morrow__cache_live () == morrow_check_live, "%d objects are left",
                 (int) (morrow__cache_live () - morrow_check_live));
}

static inline TCase *
morrow_check_add_case (Suite *suite, const char *name)
{
  TCase *tcase = tcase_create (name);

  tcase_add_checked_fixture (tcase, morrow_check_begin, morrow_check_end);
  suite_add_tcase (suite, tcase);
  return tcase;
}

/* --- children ---------------------------------------------------------------------------------- */

/* In the child of a fork (): one that hangs is ended.  Check's handler of the signal would end its parent as well. */
static inline void
morrow_check_limit_child (void)
{
  signal (SIGALRM, SIG_DFL);
  alarm (10 * morrow_check_slowness ());
}

/* Ends the child of a fork ().  Valgrind would take what the parent's threads hold for lost there, and
 * loses sight of a process that becomes another program. */
static inline G_GNUC_NORETURN void
morrow_check_end_child (int status)
{
  char command[16];

  if (RUNNING_ON_VALGRIND)
    {
      g_snprintf (command, sizeof command, "exit %d", status);
      execl ("/bin/sh", "sh", "-c", command, NULL);
    }
  _exit (status);
}

/* --- running ----------------------------------------------------------------------------------- */

/* The suite is made here, since Check reads the time limits when it makes one.  make check-valgrind makes every
 * message fatal, by G_DEBUG: here the writer above decides, and the programs that a test starts are as usual. */
static inline int
morrow_check_run (Suite *(*make_suite) (void))
{
  char slowness[16];
  SRunner *runner;

  g_snprintf (slowness, sizeof slowness, "%u", morrow_check_slowness ());
  g_setenv ("CK_DEFAULT_TIMEOUT", "30", FALSE);
  g_setenv ("CK_TIMEOUT_MULTIPLIER", slowness, FALSE);
  if (RUNNING_ON_VALGRIND)
    g_setenv ("CK_FORK", "no", FALSE);
  g_unsetenv ("G_DEBUG");
  g_log_set_always_fatal (G_LOG_FATAL_MASK);
  g_log_set_writer_func (morrow_check_write_log, NULL, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK);   /* the writer knows what is expected; G_DEBUG does not, */
  g_unsetenv ("G_DEBUG");                      /* nor do the programs that tests run */

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

#define MORROW_CHECK_MAIN_FORKING(suite_function) \
  int \
  main (void) \
  { \
    g_setenv ("CK_FORK", "yes", FALSE); \
    return morrow_check_run (suite_function); \
  }
