/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names: who asks for them, how often, and what becomes of the answer.
 */

#include "http/http-check.h"
#include "http/names.h"

#include <dlfcn.h>

static gint refuse_threads;   /* Any thread, atomically. */

/* In GLib's place, for the library. */
GThread *
g_thread_try_new (const char *name, GThreadFunc func, gpointer data, GError **error)
{
  GThread *(*next) (const char *, GThreadFunc, gpointer, GError **);

  if (g_atomic_int_get (&refuse_threads))
    {
      g_set_error_literal (error, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, "there are none");
      return NULL;
    }
  next = dlsym (RTLD_NEXT, "g_thread_try_new");
  return next (name, func, data, error);
}

#define N_AT_ONCE 20

typedef struct
{
  char *uri;
  guint n;
} Askers;

static gboolean
speak (gpointer data, GValue *result, GError **error)
{
  names_speak ();
  return TRUE;
}

/* The tasks' first steps come in order: all have asked when the last one lets it speak. */
static gboolean
ask_at_once (gpointer data, GValue *result, GError **error)
{
  Askers *askers = data;
  MorrowFuture *futures[N_AT_ONCE + 1];

  for (guint i = 0; i < N_AT_ONCE; i++)
    futures[i] = morrow_http_get (askers->uri, NULL);
  futures[N_AT_ONCE] = morrow_coroutine (speak, NULL, NULL);
  return morrow_await (morrow_allv (futures, N_AT_ONCE + 1), error);
}

START_TEST (lookups_of_one_name_at_once_are_one_lookup)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autofree char *base = names_rename (test_server_get_url (server), "silent.example");
  Askers askers = { .uri = g_strconcat (base, "/delay/0/10", NULL) };

  names_use ();
  run (LOOP, ask_at_once, &askers);
  ck_assert_int_eq (names_n_asked, 1);
  g_free (askers.uri);
}
END_TEST

static gboolean
ask_in_turn (gpointer data, GValue *result, GError **error)
{
  Askers *askers = data;

  for (guint i = 0; i < askers->n; i++)
    if (!morrow_await (morrow_http_get (askers->uri, NULL), error))
      return FALSE;
  return TRUE;
}

START_TEST (what_is_known_is_not_looked_up_again)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autofree char *base = names_rename (test_server_get_url (server), "known.example");
  Askers askers = { .uri = g_strconcat (base, "/delay/0/10", NULL), .n = 5 };

  names_use ();
  run (_i, ask_in_turn, &askers);
  ck_assert_int_eq (names_n_asked, 1);
  g_free (askers.uri);
}
END_TEST

START_TEST (a_failed_lookup_is_tried_again)
{
  g_auto (Fetch) first = { 0 };
  g_auto (Fetch) second = { 0 };

  names_use ();
  fetch (_i, &first, "http://busy.example/", "");
  assert_curl_error (first.error, CURLE_COULDNT_RESOLVE_HOST, first.uri);
  fetch (_i, &second, "http://busy.example/", "");
  assert_curl_error (second.error, CURLE_COULDNT_RESOLVE_HOST, second.uri);
  ck_assert_int_eq (names_n_asked, 2);
}
END_TEST

/* The server listens at the second only. */
START_TEST (each_address_of_a_name_is_tried)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autofree char *base = names_rename (test_server_get_url (server), "both.example");
  g_auto (Fetch) got = { 0 };

  names_use ();
  fetch (_i, &got, base, "/delay/0/10");
  ck_assert_msg (got.response != NULL, "%s", got.error != NULL ? got.error->message : "");
}
END_TEST

START_TEST (an_address_is_not_looked_up)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_auto (Fetch) got = { 0 };

  names_use ();
  fetch (_i, &got, test_server_get_url (server), "/delay/0/10");
  ck_assert_ptr_nonnull (got.response);
  fetch_clear (&got);
  fetch (_i, &got, "http://[::1]:1/", "");
  assert_curl_error (got.error, CURLE_COULDNT_CONNECT, got.uri);
  ck_assert_int_eq (names_n_asked, 0);
}
END_TEST

/* Every thread of the lane is busy with a silent name; one more waits, and is given up. */
#define N_THREADS 16

/* Takes the task; nobody listens where it wants to go. */
static void
assert_not_connected (MorrowFuture *task)
{
  g_autoptr (GError) error = NULL;

  if (morrow_await (task, &error))
    ck_abort_msg ("somebody listens at port 1");
  assert_curl_error (error, CURLE_COULDNT_CONNECT, "http://silent");
}

static gboolean
give_up (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *silent[N_THREADS];
  MorrowFuture *unwanted;
  GError *cancelled = NULL;

  for (guint i = 0; i < N_THREADS; i++)
    {
      g_autofree char *uri = g_strdup_printf ("http://silent%u.example:1/", i);

      silent[i] = morrow_create_task (morrow_http_get (uri, NULL));
    }
  while (g_atomic_int_get (&names_n_silent) < N_THREADS)
    if (!morrow_await (morrow_sleep (0.001), error))
      return FALSE;

  unwanted = morrow_create_task (morrow_http_get ("http://unwanted.example:1/", NULL));
  if (!morrow_yield (error))
    return FALSE;
  morrow_future_cancel (unwanted);
  if (morrow_await (unwanted, &cancelled))
    ck_abort_msg ("not cancelled");
  assert_cancelled (cancelled);
  g_clear_error (&cancelled);

  names_speak ();
  for (guint i = 0; i < N_THREADS; i++)
    assert_not_connected (silent[i]);
  return TRUE;
}

static gboolean
give_up_then_ask (gpointer data, GValue *result, GError **error)
{
  GError *unknown = NULL;

  if (!give_up (data, result, error))
    return FALSE;

  /* The lane takes names in turn: when it has come to this one, it has passed the other. */
  if (morrow_await (morrow_http_get ("http://unknown.example/", NULL), &unknown))
    ck_abort_msg ("it is known");
  g_clear_error (&unknown);
  return TRUE;
}

START_TEST (what_nobody_waits_for_any_more_is_not_looked_up)
{
  names_use ();
  run (LOOP, give_up_then_ask, NULL);
  ck_assert_int_eq (names_n_asked, N_THREADS + 1);
}
END_TEST

START_TEST (a_lookup_without_a_thread_fails_and_the_next_one_is_tried)
{
  g_auto (Fetch) got = { 0 };

  names_use ();
  refuse_threads = TRUE;
  fetch (LOOP, &got, "http://unknown.example/", "");
  ck_assert (g_error_matches (got.error, MORROW_ERROR, MORROW_ERROR_NO_THREAD));
  ck_assert_int_eq (names_n_asked, 0);

  refuse_threads = FALSE;
  fetch_clear (&got);
  fetch (LOOP, &got, "http://unknown.example/", "");
  assert_curl_error (got.error, CURLE_COULDNT_RESOLVE_HOST, got.uri);
}
END_TEST

/* Two names at once, and one thread, which is silent at first. */
static gboolean
share_a_thread (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *first = morrow_create_task (morrow_http_get ("http://silent.example:1/", NULL));
  MorrowFuture *second;

  while (g_atomic_int_get (&names_n_silent) < 1)
    if (!morrow_await (morrow_sleep (0.001), error))
      return FALSE;

  g_atomic_int_set (&refuse_threads, TRUE);
  second = morrow_create_task (morrow_http_get ("http://silent2.example:1/", NULL));
  if (!morrow_yield (error))
    return FALSE;
  names_speak ();
  assert_not_connected (first);
  assert_not_connected (second);
  return TRUE;
}

START_TEST (lookups_share_the_threads_that_there_are)
{
  names_use ();
  run (LOOP, share_a_thread, NULL);
  ck_assert_int_eq (names_n_asked, 2);
}
END_TEST

static Suite *
names_suite (void)
{
  Suite *suite = suite_create ("http-names");
  TCase *tcase = tcase_create ("names");

  tcase_add_test (tcase, lookups_of_one_name_at_once_are_one_lookup);
  tcase_add_loop_test (tcase, what_is_known_is_not_looked_up_again, 0, N_MODELS);
  tcase_add_loop_test (tcase, a_failed_lookup_is_tried_again, 0, N_MODELS);
  tcase_add_loop_test (tcase, each_address_of_a_name_is_tried, 0, N_MODELS);
  tcase_add_loop_test (tcase, an_address_is_not_looked_up, 0, N_MODELS);
  tcase_add_test (tcase, what_nobody_waits_for_any_more_is_not_looked_up);
  tcase_add_test (tcase, lookups_share_the_threads_that_there_are);
  tcase_add_test (tcase, a_lookup_without_a_thread_fails_and_the_next_one_is_tried);
  suite_add_tcase (suite, tcase);
  return suite;
}

MORROW_CHECK_MAIN_FORKING (names_suite)
