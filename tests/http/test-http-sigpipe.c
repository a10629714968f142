/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Broken pipes: libcurl's own writes make no signal; those of a TLS library may, which the tests do in its place.
 */

#include "http/http-check.h"

#include <signal.h>

/* Answers with a part of what it announces, and a reset. */
static void
start_resetting (Peer *peer)
{
  struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

  peer_start (peer, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc", FALSE, TRUE);
  ck_assert_int_eq (setsockopt (peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
}

static void
fetch_what_is_reset (int model)
{
  g_auto (Peer) plain = { 0 };
  g_auto (Peer) tls = { 0 };
  g_autofree char *tls_url = NULL;
  g_auto (Fetch) first = { 0 };
  g_auto (Fetch) second = { 0 };

  start_resetting (&plain);
  start_resetting (&tls);
  tls_url = g_strconcat ("https", tls.url + strlen ("http"), NULL);
  fetch (model, &first, plain.url, "/");
  fetch (model, &second, tls_url, "/");
  ck_assert_ptr_nonnull (first.error);
  ck_assert_ptr_nonnull (second.error);
}

START_TEST (a_broken_pipe_does_not_end_a_process_that_makes_requests)
{
  signal (SIGPIPE, SIG_DFL);
  fetch_what_is_reset (_i);
  raise (SIGPIPE);
}
END_TEST

static volatile sig_atomic_t n_broken_pipes;

static void
count_broken_pipe (int number)
{
  n_broken_pipes++;
}

START_TEST (a_program_keeps_its_own_handler_of_broken_pipes)
{
  struct sigaction action;

  signal (SIGPIPE, count_broken_pipe);
  fetch_what_is_reset (_i);
  ck_assert_int_eq (sigaction (SIGPIPE, NULL, &action), 0);
  ck_assert_ptr_eq (action.sa_handler, count_broken_pipe);
  n_broken_pipes = 0;
  raise (SIGPIPE);
  ck_assert_int_eq (n_broken_pipes, 1);
}
END_TEST

static Suite *
sigpipe_suite (void)
{
  Suite *suite = suite_create ("http-sigpipe");
  TCase *tcase = tcase_create ("SIGPIPE");

  tcase_add_loop_test (tcase, a_broken_pipe_does_not_end_a_process_that_makes_requests, 0, N_MODELS);
  tcase_add_loop_test (tcase, a_program_keeps_its_own_handler_of_broken_pipes, 0, N_MODELS);
  suite_add_tcase (suite, tcase);
  return suite;
}

MORROW_CHECK_MAIN_FORKING (sigpipe_suite)
