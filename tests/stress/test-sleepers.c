/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hundred thousand coroutines asleep at once on one loop: each has a stack, and yet all of them
 * take few mappings, of which the kernel allows 65,530, and little memory.
 */
#include "config.h"

#include <stdio.h>

#include "exec/scene.h"

/* What the thread sanitizer remembers of each access is memory too. */
#ifdef MORROW_CHECK_TSAN
# define N_SLEEPERS 4000
# define MEASURES_MEMORY FALSE
#else
# define N_SLEEPERS 100000
# define MEASURES_MEMORY TRUE
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
  if (MEASURES_MEMORY)
    {
      ck_assert_uint_lt (n_mappings, MAX_MAPPINGS);
      ck_assert_uint_lt ((guint64) (n_kib - n_kib_before) * 1024 / N_SLEEPERS, MAX_BYTES_EACH);
    }
  return TRUE;
}

/* --- memory returns ----------------------------------------------------------------------------- */

enum
{
  N_CROWDS = 3,
  KEPT_IN_RUN_KIB = 40 * 1024,    /* 32 MiB of small objects, 8 MiB of stacks */
  KEPT_AFTER_RUN_KIB = 1 * 1024
};

typedef struct
{
  guint n_sleepers;
  guint n_kib_after;
} Crowd;

static gboolean
gather_crowd_and_look (gpointer data, GValue *result, GError **error)
{
  Crowd *crowd = data;
  MorrowFuture **sleepers = g_new (MorrowFuture *, crowd->n_sleepers);
  MorrowFuture *gather;
  gboolean ok;

  for (guint i = 0; i < crowd->n_sleepers; i++)
    sleepers[i] = morrow_coroutine (sleep_a_while, NULL, NULL);
  gather = morrow_gatherv (sleepers, crowd->n_sleepers);
  g_free (sleepers);
  ok = morrow_await (gather, error);
  crowd->n_kib_after = memory_in_use ();
  return ok;
}

START_TEST (memory_of_a_hundred_thousand_tasks_goes_back_when_they_end)
{
  Crowd few = { .n_sleepers = 100 }, many = { .n_sleepers = N_SLEEPERS };
  guint n_kib_before;

  run_scene (gather_crowd_and_look, &few);    /* what is made once, the code that it runs among it */
  n_kib_before = memory_in_use ();
  for (guint i = 0; i < N_CROWDS; i++)
    {
      n_asleep = n_awake = 0;
      run_scene (gather_crowd_and_look, &many);
      ck_assert_uint_eq (n_awake, N_SLEEPERS);
      ck_assert_uint_gt (n_kib, n_kib_before + N_SLEEPERS * 4);
      ck_assert_uint_le (many.n_kib_after, n_kib_before * 11 / 10 + KEPT_IN_RUN_KIB);
      ck_assert_uint_le (memory_in_use (), n_kib_before * 11 / 10 + KEPT_AFTER_RUN_KIB);
    }
}
END_TEST

static Suite *
sleepers_suite (void)
{
  Suite *suite = suite_create ("sleepers");
  TCase *crowd = morrow_check_add_case (suite, "crowd");

  if (!IS_TOO_SLOW)
    tcase_add_test (crowd, a_hundred_thousand_coroutines_asleep_take_little);
  if (!IS_TOO_SLOW && MEASURES_MEMORY)
    tcase_add_test (crowd, memory_of_a_hundred_thousand_tasks_goes_back_when_they_end);

  return suite;
}

MORROW_CHECK_MAIN (sleepers_suite)
