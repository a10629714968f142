/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Running out of descriptors, at each point where one is needed: a clear error, or a run that does
 * with less; and all is well again when there are some.
 */
#include "config.h"

#include "exec/models.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum
{
  MOST_NEEDED = 24   /* with so many to spare, every model gets what it wants */
};

/* Leaves so many descriptors to be opened. */
static void
leave_descriptors (guint n)
{
  int next = dup (STDIN_FILENO);
  struct rlimit limit;

  close (next);
  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = next + n;
  setrlimit (RLIMIT_NOFILE, &limit);
}

static void
give_descriptors_back (void)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
}

static gboolean
sleep_a_little (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_sleep (0.0001), error);
}

static gboolean
sleep_in_two_tasks (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_gather (morrow_coroutine (sleep_a_little, NULL, NULL), morrow_coroutine (sleep_a_little, NULL, NULL), NULL), error);
}

static gboolean
try_to_run (int model, GError **error)
{
  g_autoptr (MorrowExecutor) executor = make_model (model);

  return morrow_run_on (executor, morrow_coroutine (sleep_in_two_tasks, NULL, NULL), NULL, error);
}

START_TEST (run_without_descriptors_fails_clearly_and_runs_when_there_are_some)
{
  guint n_failed = 0;

  for (guint n = 0; n <= MOST_NEEDED; n++)
    {
      g_autoptr (GError) error = NULL;
      gboolean ok;

      leave_descriptors (n);
      ok = try_to_run (_i, &error);
      give_descriptors_back ();

      ck_assert (ok == (error == NULL));
      if (ok)
        continue;
      assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
      n_failed++;
    }

  ck_assert_uint_gt (n_failed, 0);
  ck_assert_uint_lt (n_failed, MOST_NEEDED);
  ck_assert (try_to_run (_i, NULL));
}
END_TEST

START_TEST (loop_that_could_not_be_made_refuses_what_it_is_given)
{
  MorrowExecutor *loop;
  g_autoptr (MorrowFuture) task = NULL;

  leave_descriptors (0);
  loop = morrow_loop_new (NULL);
  task = morrow_executor_spawn (loop, morrow_coroutine (sleep_a_little, NULL, NULL));
  give_descriptors_back ();

  assert_error (morrow_future_get_error (task), G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  ck_assert_ptr_null (morrow_loop_get_context ((MorrowLoop *) loop));
  g_object_unref (loop);
}
END_TEST

START_TEST (pool_has_the_loops_that_could_be_made)
{
  MorrowExecutor *pool;
  guint n_loops;

  leave_descriptors (10);
  pool = morrow_loop_pool_new (8);
  give_descriptors_back ();

  n_loops = morrow_executor_get_n_threads (pool);
  ck_assert_uint_ge (n_loops, 1);
  ck_assert_uint_lt (n_loops, 8);
  run_scene_on (pool, sleep_in_two_tasks, NULL);
  g_object_unref (pool);
}
END_TEST

static void
say_freed (gpointer data)
{
  say ("freed");
}

START_TEST (run_that_fails_lets_go_of_main)
{
  g_autoptr (GError) error = NULL;

  leave_descriptors (0);
  ck_assert (!morrow_run (morrow_coroutine (sleep_a_little, NULL, say_freed), NULL, &error));
  give_descriptors_back ();
  assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  assert_said ("freed");
}
END_TEST

START_TEST (failed_runs_leave_no_descriptor_behind)
{
  guint n_descriptors;

  ck_assert (try_to_run (_i, NULL));   /* the first may start what lives as long as the process */
  n_descriptors = count_descriptors ();
  for (guint n = 0; n <= MOST_NEEDED; n++)
    {
      leave_descriptors (n);
      (void) !try_to_run (_i, NULL);
      give_descriptors_back ();
    }
  ck_assert_uint_eq (count_descriptors (), n_descriptors);
}
END_TEST

static void
peek_in_vain (MorrowFd *fd, gint64 microseconds)
{
  g_autoptr (GError) error = NULL;
  char byte;

  ck_assert_int_eq (morrow_fd_recv (fd, &byte, 1, MSG_PEEK, g_get_monotonic_time () + microseconds, &error), -1);
  assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

/* Behind the data that there are. */
static gboolean
peek_again_and_again (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = NULL;
  const int offset = 1;
  int fds[2];

  ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  ck_assert_int_eq (setsockopt (fds[0], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset), 0);
  ck_assert_int_eq (write (fds[1], "x", 1), 1);
  fd = morrow_fd_new (fds[0]);
  peek_in_vain (fd, 200000);   /* now there is what the thread is woken by: it waits, however slow it is; but nothing that tells of sleeps */
  leave_descriptors (0);
  peek_in_vain (fd, 20000);
  give_descriptors_back ();
  peek_in_vain (fd, 1000);
  close (fds[1]);
  return TRUE;
}

static const int models_that_block[] = { MODEL_THREADS, MODEL_INLINE };

START_TEST (call_that_would_block_on_a_descriptor_that_is_ready_waits_without_one_more_too)
{
  g_autoptr (MorrowExecutor) executor = make_model (models_that_block[_i]);

  run_scene_on (executor, peek_again_and_again, NULL);
}
END_TEST

static Suite *
descriptors_suite (void)
{
  Suite *suite = suite_create ("descriptors");
  TCase *none = morrow_check_add_case (suite, "none");

  tcase_add_loop_test (none, run_without_descriptors_fails_clearly_and_runs_when_there_are_some, 0, N_MODELS);
  tcase_add_test (none, loop_that_could_not_be_made_refuses_what_it_is_given);
  tcase_add_test (none, pool_has_the_loops_that_could_be_made);
  tcase_add_test (none, run_that_fails_lets_go_of_main);
  tcase_add_loop_test (none, failed_runs_leave_no_descriptor_behind, 0, N_MODELS);
  tcase_add_loop_test (none, call_that_would_block_on_a_descriptor_that_is_ready_waits_without_one_more_too, 0,
                       G_N_ELEMENTS (models_that_block));

  return suite;
}

MORROW_CHECK_MAIN_FORKING (descriptors_suite)
