/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What requests do to the process that makes them: its descriptors, its connections.
 */

#include "http/http-check.h"

/* Descriptors -------------------------------------------------------------------------------- */

typedef struct
{
  int         model;
  const char *base;
  const char *path;
  Fetch       got;
} Failing;

static gpointer
failing_thread (gpointer data)
{
  Failing *self = data;

  fetch (self->model, &self->got, self->base, self->path);
  return NULL;
}

/* On a thread of its own, which closes what it has kept as it ends. */
static void
fetch_aside (Failing *self)
{
  g_thread_join (g_thread_new ("failing", failing_thread, self));
}

static void
assert_leaves_none (int model, const char *base, const char *path, MorrowHttpOptions *options, int code)
{
  Failing failing = { .model = model, .base = base, .path = path, .got.options = options };
  guint n_before = count_descriptors ();

  fetch_aside (&failing);
  ck_assert_msg (failing.got.error != NULL, "%s%s succeeds", base, path);
  ck_assert_msg (morrow_curl_error_get_code (failing.got.error) == code, "expected curl's %d: %s", code,
                 failing.got.error->message);
  ck_assert_msg (count_descriptors () == n_before, "%d descriptors are left after: %s",
                 (int) (count_descriptors () - n_before), failing.got.error->message);
  fetch_clear (&failing.got);
}

/* What is opened once in a process is open afterwards. */
static void
warm_up (int model, const char *base)
{
  Failing good = { .model = model, .base = base, .path = "/delay/0/1" };
  Failing unknown = { .model = model, .base = "http://no-such-host.invalid", .path = "/" };

  fetch_aside (&good);
  ck_assert_ptr_nonnull (good.got.response);
  fetch_clear (&good.got);
  fetch_aside (&unknown);
  fetch_clear (&unknown.got);
}

START_TEST (what_is_no_use_leaves_no_descriptor)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autofree char *refused = NULL;
  int reserved = refuse_on_loopback (&refused);

  warm_up (_i, test_server_get_url (server));
  assert_leaves_none (_i, "no url", "", NULL, CURLE_URL_MALFORMAT);
  assert_leaves_none (_i, "ftp://127.0.0.1", "/", NULL, CURLE_UNSUPPORTED_PROTOCOL);
  assert_leaves_none (_i, "http://no-such-host.invalid", "/", NULL, CURLE_COULDNT_RESOLVE_HOST);
  assert_leaves_none (_i, refused, "/", NULL, CURLE_COULDNT_CONNECT);
  close (reserved);
}
END_TEST

START_TEST (failures_of_tls_leave_no_descriptor)
{
  g_autofree char *certificate = NULL;
  g_autoptr (MorrowTestServer) tls = start_tls_server (&certificate);
  g_autoptr (MorrowTestServer) server = start_server ();
  const char *rest = test_server_get_url (server) + strlen ("http");
  g_autofree char *no_tls = g_strconcat ("https", rest, NULL);

  warm_up (_i, test_server_get_url (server));
  assert_leaves_none (_i, no_tls, "/delay/0/1", NULL, CURLE_SSL_CONNECT_ERROR);
  assert_leaves_none (_i, test_server_get_url (tls), "/delay/0/1", NULL, CURLE_PEER_FAILED_VERIFICATION);
  unlink (certificate);
}
END_TEST

START_TEST (bad_answers_leave_no_descriptor)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  const char *base = test_server_get_url (server);

  morrow_http_options_set_max_header_size (options, 4000);
  morrow_http_options_set_max_body_size (options, 1000);
  warm_up (_i, base);
  assert_leaves_none (_i, base, "/drop", NULL, CURLE_PARTIAL_FILE);
  assert_leaves_none (_i, base, "/close", NULL, CURLE_GOT_NOTHING);
  assert_leaves_none (_i, base, "/redirect-loop", NULL, CURLE_TOO_MANY_REDIRECTS);
  assert_leaves_none (_i, base, "/redirect-to?url=ftp://127.0.0.1/", NULL, CURLE_UNSUPPORTED_PROTOCOL);
  assert_leaves_none (_i, base, "/headers/5000", options, CURLE_WEIRD_SERVER_REPLY);
  assert_leaves_none (_i, base, "/delay/0/1001", options, CURLE_FILESIZE_EXCEEDED);
  assert_leaves_none (_i, base, "/chunked/0/1001", options, CURLE_FILESIZE_EXCEEDED);
}
END_TEST

START_TEST (timeouts_leave_no_descriptor)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_auto (Deaf) deaf = { 0 };
  g_autoptr (MorrowHttpOptions) in_all = morrow_http_options_new ();
  g_autoptr (MorrowHttpOptions) connecting = morrow_http_options_new ();

  deaf_init (&deaf);
  morrow_http_options_set_timeout (in_all, 0.05);
  morrow_http_options_set_connect_timeout (connecting, 0.05);
  warm_up (_i, test_server_get_url (server));
  assert_leaves_none (_i, test_server_get_url (server), "/hang", in_all, CURLE_OPERATION_TIMEDOUT);
  assert_leaves_none (_i, test_server_get_url (server), "/chunked/60000/1000", in_all, CURLE_OPERATION_TIMEDOUT);
  assert_leaves_none (_i, deaf.url, "/", in_all, CURLE_OPERATION_TIMEDOUT);
  assert_leaves_none (_i, deaf.url, "/", connecting, CURLE_OPERATION_TIMEDOUT);
}
END_TEST

/* Connections -------------------------------------------------------------------------------- */

typedef struct
{
  const char *uri;
  guint       n_connections;
} Twenty;

static gboolean
twenty_at_once (gpointer data, GValue *result, GError **error)
{
  Twenty *twenty = data;
  g_autoptr (MorrowResults) results = NULL;
  MorrowFuture *futures[20];

  for (int i = 0; i < 20; i++)
    futures[i] = morrow_http_get (twenty->uri, NULL);
  results = morrow_await_boxed (morrow_allv (futures, 20), error);
  for (int i = 0; results != NULL && i < 20; i++)
    twenty->n_connections += morrow_http_response_get_n_connections (morrow_results_get_boxed (results, i));
  return results != NULL;
}

START_TEST (a_worker_uses_its_connection_for_all_of_its_requests)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autofree char *uri = g_strconcat (test_server_get_url (server), "/delay/5/100", NULL);
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (2);
  g_autoptr (GError) error = NULL;
  Twenty twenty = { .uri = uri };

  if (!morrow_run_on (pool, morrow_coroutine (twenty_at_once, &twenty, NULL), NULL, &error))
    ck_abort_msg ("%s", error->message);
  ck_assert_uint_ge (twenty.n_connections, 1);
  ck_assert_uint_le (twenty.n_connections, 2);
}
END_TEST

static void
add_test (TCase *tcase, const TTest *test)
{
  tcase_add_loop_test (tcase, test, 0, N_MODELS);
}

static Suite *
process_suite (void)
{
  Suite *suite = suite_create ("http-process");
  TCase *tcase = tcase_create ("process");

  add_test (tcase, what_is_no_use_leaves_no_descriptor);
  add_test (tcase, failures_of_tls_leave_no_descriptor);
  add_test (tcase, bad_answers_leave_no_descriptor);
  add_test (tcase, timeouts_leave_no_descriptor);
  tcase_add_test (tcase, a_worker_uses_its_connection_for_all_of_its_requests);
  suite_add_tcase (suite, tcase);
  return suite;
}

MORROW_CHECK_MAIN (process_suite)
