/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hundred thousand coroutines asleep at once on one loop: each has a stack, and yet all of them
 * take few mappings, of which the kernel allows 65,530, and little memory.
 */
#include "config.h"

#include <stdio.h>

#include "exec/scene.h"

#ifdef MORROW_CHECK_TSAN
# define N_SLEEPERS 4000
#else
# define N_SLEEPERS 100000
#endif

#ifdef MORROW_CHECK_ASAN
# define IS_TOO_SLOW TRUE
#else
# define IS_TOO_SLOW (RUNNING_ON_VALGRIND > 0)
#endif

enum
{
  MAX_MAPPINGS = 2000,
  MAX_BYTES_EACH = 8 * 1024
};

/* The loop's thread. */
static guint n_asleep, n_awake, n_mappings, n_kib;

static guint
count_mappings (void)
{
  FILE *maps = fopen ("/proc/self/maps", "r");
  guint n = 0;
  int c;

  while ((c = getc (maps)) != EOF)
    n += c == '\n';
  fclose (maps);
  return n;
}

/* In KiB, page tables included. */
static guint
memory_in_use (void)
{
  FILE *status = fopen ("/proc/self/status", "r");
  char line[256];
  guint n, sum = 0;

  while (fgets (line, sizeof line, status) != NULL)
    if (sscanf (line, "VmRSS: %u", &n) == 1 || sscanf (line, "VmPTE: %u", &n) == 1)
      sum += n;
  fclose (status);
  return sum;
}

/* The last to fall asleep looks around. */
static gboolean
sleep_a_while (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *sleep = morrow_sleep (0.2);

  if (++n_asleep == N_SLEEPERS)
    {
      n_mappings = count_mappings ();
      n_kib = memory_in_use ();
    }
  if (!morrow_await (sleep, error))
    return FALSE;
  n_awake++;
  return TRUE;
}

SCENE (a_hundred_thousand_coroutines_asleep_take_little)
{
  g_autofree MorrowFuture **sleepers = g_new (MorrowFuture *, N_SLEEPERS);
  guint n_kib_before = memory_in_use ();

  for (guint i = 0; i < N_SLEEPERS; i++)
    sleepers[i] = morrow_coroutine (sleep_a_while, NULL, NULL);
  if (!morrow_await (morrow_gatherv (sleepers, N_SLEEPERS), error))
    return FALSE;

  ck_assert_uint_eq (n_asleep, N_SLEEPERS);
  ck_assert_uint_eq (n_awake, N_SLEEPERS);
#ifndef MORROW_CHECK_TSAN
  ck_assert_uint_lt (n_mappings, MAX_MAPPINGS);
  ck_assert_uint_lt ((guint64) (n_kib - n_kib_before) * 1024 / N_SLEEPERS, MAX_BYTES_EACH);
#endif
  return TRUE;
}

static Suite *
sleepers_suite (void)
{
  Suite *suite = suite_create ("sleepers");
  TCase *crowd = morrow_check_add_case (suite, "crowd");

  if (!IS_TOO_SLOW)
    tcase_add_test (crowd, a_hundred_thousand_coroutines_asleep_take_little);

  return suite;
}

MORROW_CHECK_MAIN (sleepers_suite)
