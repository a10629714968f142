/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The descriptor that wakes a loop.
 */
#include "config.h"

#include "base/wakeup-private.h"

#include "morrow-check.h"
#include "rendezvous.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static gboolean
is_readable (MorrowWakeup *wakeup)
{
  struct pollfd poll_fd = { .fd = morrow__wakeup_fd (wakeup), .events = POLLIN };

  return poll (&poll_fd, 1, 0) == 1;
}

static void
wait_until_readable (MorrowWakeup *wakeup)
{
  struct pollfd poll_fd = { .fd = morrow__wakeup_fd (wakeup), .events = POLLIN };

  ck_assert_int_eq (poll (&poll_fd, 1, -1), 1);
}

START_TEST (signal_makes_readable_until_acknowledged)
{
  MorrowWakeup wakeup;

  ck_assert (morrow__wakeup_init (&wakeup, NULL));
  ck_assert (!is_readable (&wakeup));
  ck_assert (!morrow__wakeup_acknowledge (&wakeup));
  morrow__wakeup_signal (&wakeup);
  ck_assert (is_readable (&wakeup));
  ck_assert (morrow__wakeup_acknowledge (&wakeup));
  ck_assert (!is_readable (&wakeup));
  morrow__wakeup_clear (&wakeup);
}
END_TEST

START_TEST (several_signals_count_as_one)
{
  MorrowWakeup wakeup;

  ck_assert (morrow__wakeup_init (&wakeup, NULL));
  morrow__wakeup_signal (&wakeup);
  morrow__wakeup_signal (&wakeup);
  ck_assert (morrow__wakeup_acknowledge (&wakeup));
  ck_assert (!morrow__wakeup_acknowledge (&wakeup));
  morrow__wakeup_clear (&wakeup);
}
END_TEST

START_TEST (signal_at_the_counters_end_does_not_block)
{
  MorrowWakeup wakeup;
  guint64 most = G_MAXUINT64 - 1;

  ck_assert (morrow__wakeup_init (&wakeup, NULL));
  ck_assert_int_eq (write (wakeup.fd, &most, sizeof most), sizeof most);
  errno = ENOENT;
  morrow__wakeup_signal (&wakeup);
  ck_assert_int_eq (errno, ENOENT);
  ck_assert (morrow__wakeup_acknowledge (&wakeup));
  morrow__wakeup_clear (&wakeup);
}
END_TEST

START_TEST (clear_closes_and_twice_does_nothing)
{
  MorrowWakeup wakeup;
  gint fd;

  ck_assert (morrow__wakeup_init (&wakeup, NULL));
  fd = morrow__wakeup_fd (&wakeup);
  morrow__wakeup_clear (&wakeup);
  ck_assert_int_eq (fcntl (fd, F_GETFD), -1);
  morrow__wakeup_clear (&wakeup);
  ck_assert_int_eq (morrow__wakeup_fd (&wakeup), -1);
}
END_TEST

START_TEST (init_fails_when_no_descriptor_is_left)
{
  struct rlimit limit;
  MorrowWakeup wakeup;
  GError *error = NULL;

  ck_assert_int_eq (getrlimit (RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = 0;
  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &limit), 0);
  ck_assert (!morrow__wakeup_init (&wakeup, &error));
  limit.rlim_cur = limit.rlim_max;
  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &limit), 0);
  ck_assert (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES));
  ck_assert_int_eq (morrow__wakeup_fd (&wakeup), -1);
  g_error_free (error);
}
END_TEST

static MorrowWakeup handlers_wakeup;

static void
on_signal (int number)
{
  morrow__wakeup_signal (&handlers_wakeup);
}

START_TEST (signal_handler_wakes_and_leaves_errno)
{
  ck_assert (morrow__wakeup_init (&handlers_wakeup, NULL));
  signal (SIGUSR1, on_signal);
  errno = ENOENT;
  raise (SIGUSR1);
  ck_assert_int_eq (errno, ENOENT);
  ck_assert (morrow__wakeup_acknowledge (&handlers_wakeup));
  signal (SIGUSR1, SIG_DFL);
  morrow__wakeup_clear (&handlers_wakeup);
}
END_TEST

enum
{
  N_ROUNDS = 10000
};

typedef struct
{
  MorrowWakeup  wakeup;
  Rendezvous    rendezvous;
  _Atomic guint n_sent;
} Duel;

static gpointer
duel_signal (gpointer data)
{
  Duel *duel = data;

  while (rendezvous_follow (&duel->rendezvous))
    {
      atomic_fetch_add (&duel->n_sent, 1);
      morrow__wakeup_signal (&duel->wakeup);
    }
  return NULL;
}

START_TEST (what_was_sent_before_a_signal_is_seen_after_its_acknowledgement)
{
  Duel duel = { .n_sent = 0 };
  GThread *sender;

  ck_assert (morrow__wakeup_init (&duel.wakeup, NULL));
  rendezvous_init (&duel.rendezvous, 2, N_ROUNDS);
  sender = g_thread_new ("sender", duel_signal, &duel);
  while (rendezvous_take_round (&duel.rendezvous))
    {
      rendezvous_meet (&duel.rendezvous);
      wait_until_readable (&duel.wakeup);
      ck_assert (morrow__wakeup_acknowledge (&duel.wakeup));
      ck_assert_uint_eq (atomic_load (&duel.n_sent), duel.rendezvous.n_rounds);
    }
  rendezvous_end (&duel.rendezvous);
  g_thread_join (sender);
  ck_assert (!morrow__wakeup_acknowledge (&duel.wakeup));
  morrow__wakeup_clear (&duel.wakeup);
}
END_TEST

START_TEST (signals_of_one_that_has_parted_do_not_reach_its_parents)
{
  MorrowWakeup wakeup, of_the_parent;

  ck_assert (morrow__wakeup_init (&wakeup, NULL));
  of_the_parent.fd = dup (morrow__wakeup_fd (&wakeup));
  morrow__wakeup_signal (&wakeup);
  morrow__wakeup_part (&wakeup);
  ck_assert (is_readable (&of_the_parent));
  ck_assert (!is_readable (&wakeup));
  ck_assert (morrow__wakeup_acknowledge (&of_the_parent));

  morrow__wakeup_signal (&wakeup);
  ck_assert (is_readable (&wakeup));
  ck_assert (!is_readable (&of_the_parent));
  morrow__wakeup_clear (&wakeup);
  morrow__wakeup_clear (&of_the_parent);
}
END_TEST

static Suite *
wakeup_suite (void)
{
  Suite *suite = suite_create ("wakeup");
  TCase *life = tcase_create ("life");
  TCase *signals = tcase_create ("signals");
  TCase *threads = tcase_create ("threads");

  tcase_add_test (life, signal_makes_readable_until_acknowledged);
  tcase_add_test (life, several_signals_count_as_one);
  tcase_add_test (life, signal_at_the_counters_end_does_not_block);
  tcase_add_test (life, clear_closes_and_twice_does_nothing);
  tcase_add_test (life, signals_of_one_that_has_parted_do_not_reach_its_parents);
  tcase_add_test (life, init_fails_when_no_descriptor_is_left);
  suite_add_tcase (suite, life);

  tcase_add_test (signals, signal_handler_wakes_and_leaves_errno);
  suite_add_tcase (suite, signals);

  tcase_add_test (threads, what_was_sent_before_a_signal_is_seen_after_its_acknowledgement);
  suite_add_tcase (suite, threads);

  return suite;
}

MORROW_CHECK_MAIN (wakeup_suite)
