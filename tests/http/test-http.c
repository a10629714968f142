/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests, each under every model: what succeeds, and each way to fail.
 */

#include "http/http-check.h"
#include "http/options-private.h"

/* Options ------------------------------------------------------------------------------------ */

START_TEST (options_are_safe_unless_somebody_says_otherwise)
{
  g_autoptr (MorrowHttpOptions) mine = morrow_http_options_new ();
  const MorrowHttpOptions *all[] = { mine, morrow__http_options_default () };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    {
      ck_assert_double_eq (all[i]->timeout, 60.0);
      ck_assert_uint_eq (all[i]->max_redirects, 10);
      ck_assert_uint_eq (all[i]->max_header, 64 * 1024);
      ck_assert_uint_eq (all[i]->max_body, 64 * 1024 * 1024);
      ck_assert_ptr_null (all[i]->ca_file);
    }
}
END_TEST

START_TEST (http_get_keeps_to_the_limits_that_nobody_has_changed)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  const char *base = test_server_get_url (server);
  g_auto (Fetch) ten = { 0 };
  g_auto (Fetch) eleven = { 0 };
  g_auto (Fetch) long_headers = { 0 };

  fetch (_i, &ten, base, "/redirect/10");
  ck_assert_ptr_nonnull (ten.response);
  fetch (_i, &eleven, base, "/redirect/11");
  assert_curl_error (eleven.error, CURLE_TOO_MANY_REDIRECTS, eleven.uri);
  fetch (_i, &long_headers, base, "/headers/66000");
  assert_curl_error (long_headers.error, CURLE_WEIRD_SERVER_REPLY, long_headers.uri);
}
END_TEST

/* Success ------------------------------------------------------------------------------------ */

START_TEST (http_get_gives_status_headers_body_and_times)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_auto (Fetch) got = { 0 };
  const MorrowHttpTimings *timings;
  const char *name, *value;
  gsize len;

  fetch (_i, &got, test_server_get_url (server), "/delay/20/1000");
  ck_assert_uint_eq (morrow_http_response_get_status (got.response), 200);
  ck_assert_str_eq (morrow_http_response_get_uri (got.response), got.uri);
  ck_assert_str_eq (morrow_http_response_get_header (got.response, "content-LENGTH"), "1000");
  ck_assert_ptr_null (morrow_http_response_get_header (got.response, "Content"));
  ck_assert (morrow_http_response_get_nth_header (got.response, 0, &name, &value));
  ck_assert (!morrow_http_response_get_nth_header (
    got.response, morrow_http_response_get_n_headers (got.response), &name, &value));
  ck_assert_mem_eq (g_bytes_get_data (morrow_http_response_get_body (got.response), &len),
                    "abcdefghij", 10);
  ck_assert_uint_eq (len, 1000);
  ck_assert_uint_eq (morrow_http_response_get_n_connections (got.response), 1);
  ck_assert_uint_eq (morrow_http_response_get_n_redirects (got.response), 0);

  timings = morrow_http_response_get_timings (got.response);
  ck_assert (0 <= timings->queued && timings->queued <= timings->name_lookup);
  ck_assert (timings->name_lookup <= timings->connect && timings->connect <= timings->tls);
  ck_assert (timings->tls <= timings->first_byte && timings->first_byte <= timings->total);
  ck_assert (timings->first_byte >= 0.020);
}
END_TEST

START_TEST (http_get_takes_a_status_that_is_no_success_for_a_response)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_auto (Fetch) got = { 0 };

  fetch (_i, &got, test_server_get_url (server), "/status/404");
  ck_assert_uint_eq (morrow_http_response_get_status (got.response), 404);
}
END_TEST

START_TEST (http_get_takes_bodies_of_unknown_length_and_empty_ones)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_auto (Fetch) chunked = { 0 };
  g_auto (Fetch) empty = { 0 };
  const char *body;
  gsize len, n_right = 0;

  fetch (_i, &chunked, test_server_get_url (server), "/chunked/1/100000");
  body = g_bytes_get_data (morrow_http_response_get_body (chunked.response), &len);
  ck_assert_uint_eq (len, 100000);
  while (n_right < len && body[n_right] == (char) ('a' + n_right % 26))
    n_right++;
  ck_assert_uint_eq (n_right, len);

  fetch (_i, &empty, test_server_get_url (server), "/delay/0/0");
  ck_assert_uint_eq (g_bytes_get_size (morrow_http_response_get_body (empty.response)), 0);
}
END_TEST

START_TEST (http_get_joins_continued_headers_and_keeps_repeated_ones)
{
  g_auto (Peer) peer = { 0 };
  g_auto (Fetch) got = { 0 };
  const char *value;

  peer_init (&peer,
             "HTTP/1.1 200 OK\r\nA: one\r\nA:two  \r\nContent-Length: 0\r\n"
             "B: three\r\n four\r\n\r\n",
             FALSE);
  fetch (_i, &got, peer.url, "/");
  ck_assert_uint_eq (morrow_http_response_get_n_headers (got.response), 4);
  ck_assert (morrow_http_response_get_nth_header (got.response, 1, NULL, &value));
  ck_assert_str_eq (value, "two");
  ck_assert_str_eq (morrow_http_response_get_header (got.response, "a"), "one");
  ck_assert_str_eq (morrow_http_response_get_header (got.response, "b"), "three four");
}
END_TEST

START_TEST (http_get_forgets_what_came_before_the_final_status)
{
  g_auto (Peer) peer = { 0 };
  g_auto (Fetch) got = { 0 };

  peer_init (&peer,
             "HTTP/1.1 103 Early Hints\r\nEarly: yes\r\n\r\n"
             "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
             FALSE);
  fetch (_i, &got, peer.url, "/");
  ck_assert_uint_eq (morrow_http_response_get_status (got.response), 200);
  ck_assert_uint_eq (morrow_http_response_get_n_headers (got.response), 1);
}
END_TEST

START_TEST (http_get_sends_the_headers_that_were_added)
{
  g_auto (Peer) peer = { 0 };
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  g_auto (Fetch) got = { .options = options };

  morrow_http_options_add_header (options, "X-Morrow", "tomorrow");
  morrow_http_options_add_header (options, "User-Agent", "somebody");
  morrow_http_options_add_header (options, "X-Empty", "");
  peer_init (&peer, "HTTP/1.1 204 No Content\r\n\r\n", FALSE);
  fetch (_i, &got, peer.url, "/");
  peer_stop (&peer);

  ck_assert (peer_was_sent (&peer, "X-Morrow: tomorrow\r\n"));
  ck_assert (peer_was_sent (&peer, "User-Agent: somebody\r\n"));
  ck_assert (peer_was_sent (&peer, "X-Empty:\r\n"));
  ck_assert (!peer_was_sent (&peer, "User-Agent: morrow"));
}
END_TEST

/* Never made --------------------------------------------------------------------------------- */

START_TEST (http_get_that_nobody_awaits_is_reported_by_name)
{
  morrow_check_expect_warning ("coroutine 'morrow_http_get' was never awaited, made at *test-http.c:*");
  morrow_future_unref (morrow_http_get ("http://localhost/", NULL));
  morrow_check_expect_warning ("coroutine 'morrow_http_get' was never awaited, made at ?");
  morrow_future_unref ((morrow_http_get) ("http://localhost/", NULL));
  ck_assert_uint_eq (morrow_check_n_expected (), 0);
}
END_TEST

/* Connections -------------------------------------------------------------------------------- */

typedef struct
{
  const char        *base;
  MorrowHttpOptions *options;
  guint              delay;           /* Milliseconds before the answer. */
  guint              n_connections;
} Several;

static gboolean
ten_in_turn (gpointer data, GValue *result, GError **error)
{
  Several *several = data;
  g_autofree char *uri = g_strconcat (several->base, "/delay/0/100", NULL);

  for (int i = 0; i < 10; i++)
    {
      g_autoptr (MorrowHttpResponse) response =
        morrow_await_boxed (morrow_http_get (uri, several->options), error);

      if (response == NULL)
        return FALSE;
      several->n_connections += morrow_http_response_get_n_connections (response);
    }
  return TRUE;
}

START_TEST (http_get_uses_a_connection_again)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  Several several = { .base = test_server_get_url (server) };

  run (_i, ten_in_turn, &several);
  ck_assert_uint_eq (several.n_connections, 1);
}
END_TEST

START_TEST (http_get_makes_fresh_connections_when_told_to)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  Several several = { .base = test_server_get_url (server), .options = options };

  morrow_http_options_set_fresh_connection (options, TRUE);
  run (_i, ten_in_turn, &several);
  ck_assert_uint_eq (several.n_connections, 10);
}
END_TEST

static gboolean
six_at_once (gpointer data, GValue *result, GError **error)
{
  Several *several = data;
  g_autofree char *uri = g_strdup_printf ("%s/delay/%u/100", several->base, several->delay);
  g_autoptr (MorrowResults) results = NULL;
  MorrowFuture *futures[6];

  for (int i = 0; i < 6; i++)
    futures[i] = morrow_http_get (uri, several->options);
  results = morrow_await_boxed (morrow_allv (futures, 6), error);
  for (int i = 0; results != NULL && i < 6; i++)
    several->n_connections +=
      morrow_http_response_get_n_connections (morrow_results_get_boxed (results, i));
  return results != NULL;
}

/* Six in turn take longer than the time that each of them has. */
START_TEST (http_get_does_not_charge_the_queue_to_the_timeout)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  Several several = {
    .base = test_server_get_url (server),
    .options = options,
    .delay = 100 * morrow_check_slowness (),
  };
  gint64 before = g_get_monotonic_time ();

  morrow_http_options_set_max_connections (options, 1);
  morrow_http_options_set_timeout (options, several.delay * 4.5 / 1000);
  run (_i, six_at_once, &several);
  ck_assert_int_ge (g_get_monotonic_time () - before, several.delay * 6000);
  if (_i == LOOP)
    ck_assert_uint_eq (several.n_connections, 1);
}
END_TEST

/* Redirects ---------------------------------------------------------------------------------- */

START_TEST (http_get_follows_redirects)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autofree char *last = g_strconcat (test_server_get_url (server), "/redirect/0", NULL);
  g_auto (Fetch) got = { 0 };

  fetch (_i, &got, test_server_get_url (server), "/redirect/3");
  ck_assert_uint_eq (morrow_http_response_get_status (got.response), 200);
  ck_assert_uint_eq (morrow_http_response_get_n_redirects (got.response), 3);
  ck_assert_uint_eq (morrow_http_response_get_n_connections (got.response), 1);
  ck_assert_str_eq (morrow_http_response_get_uri (got.response), last);
}
END_TEST

START_TEST (http_get_gives_the_redirect_itself_when_none_is_to_be_followed)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  g_auto (Fetch) got = { .options = options };

  morrow_http_options_set_max_redirects (options, 0);
  fetch (_i, &got, test_server_get_url (server), "/redirect/3");
  ck_assert_uint_eq (morrow_http_response_get_status (got.response), 302);
}
END_TEST

START_TEST (http_get_ends_a_redirect_loop)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_auto (Fetch) got = { 0 };

  fetch (_i, &got, test_server_get_url (server), "/redirect-loop");
  assert_curl_error (got.error, CURLE_TOO_MANY_REDIRECTS, got.uri);
}
END_TEST

START_TEST (http_get_follows_no_redirect_to_another_scheme)
{
  static const char *const targets[] = {
    "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "unheard-of://127.0.0.1/",
  };
  g_autoptr (MorrowTestServer) server = start_server ();

  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      g_autofree char *path = g_strconcat ("/redirect-to?url=", targets[i], NULL);
      g_auto (Fetch) got = { 0 };

      fetch (_i, &got, test_server_get_url (server), path);
      ck_assert_msg (got.error != NULL, "%s was followed", targets[i]);
      assert_curl_error (got.error, CURLE_UNSUPPORTED_PROTOCOL, got.uri);
    }
}
END_TEST

/* A server that sends on whoever asks. */
static void
start_redirecting (Peer *peer, const char *location)
{
  g_autofree char *reply =
    g_strdup_printf ("HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", location);

  peer_init (peer, reply, FALSE);
}

START_TEST (http_get_names_what_was_asked_for_and_where_a_redirect_led)
{
  g_autofree char *refused = NULL;
  g_autofree char *asked = NULL;
  g_auto (Peer) peer = { 0 };
  g_auto (Fetch) got = { 0 };
  int reserved = refuse_on_loopback (&refused);

  start_redirecting (&peer, refused);
  fetch (_i, &got, peer.url, "/asked");
  asked = g_strconcat (got.uri, ": redirected to ", refused, "/: ", NULL);
  assert_curl_error (got.error, CURLE_COULDNT_CONNECT, asked);
  ck_assert (g_str_has_prefix (got.error->message, asked));
  close (reserved);
}
END_TEST

START_TEST (http_get_reports_text_whatever_a_redirect_says)
{
  static const struct
  {
    const char *location;
    const char *shown;
  } cases[] = {
    { "ftp://\xff\xfe/", "ftp://%FF%FE/" },
    { "http://127.0.0.1:1/\x1b[31mred", "http://127.0.0.1:1/%1B[31mred" },
    { "http://127.0.0.1:x/\xc2\x9b" "2J", "http://127.0.0.1:x/%C2%9B2J" },
    { "http://user:secret@127.0.0.1:99999/", "@127.0.0.1:99999/" },
    { "ftp://user:secret@127.0.0.1/", "ftp://127.0.0.1/" },
    { "http://user:secret@127.0.0.1:1/", "http://127.0.0.1:1/" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (Peer) peer = { 0 };
      g_auto (Fetch) got = { 0 };

      start_redirecting (&peer, cases[i].location);
      fetch (_i, &got, peer.url, "/");
      ck_assert_ptr_nonnull (got.error);
      ck_assert_msg (g_utf8_validate (got.error->message, -1, NULL), "%u: not UTF-8", i);
      ck_assert_msg (strstr (got.error->message, cases[i].shown) != NULL, "%s", got.error->message);
      ck_assert_ptr_null (strchr (got.error->message, '\x1b'));
      ck_assert_ptr_null (strstr (got.error->message, "secret"));
    }
}
END_TEST

START_TEST (http_get_has_a_uri_of_text_after_a_redirect_that_is_none)
{
  g_auto (Peer) target = { 0 };
  g_auto (Peer) first = { 0 };
  g_auto (Fetch) got = { 0 };
  g_autofree char *location = NULL;

  peer_init (&target, "HTTP/1.1 204 No Content\r\n\r\n", FALSE);
  location = g_strconcat (target.url, "/\xff?\xfe#\xfd", NULL);
  start_redirecting (&first, location);
  fetch (_i, &got, first.url, "/");
  ck_assert_ptr_nonnull (got.response);
  ck_assert (g_utf8_validate (morrow_http_response_get_uri (got.response), -1, NULL));
}
END_TEST

START_TEST (http_get_keeps_secrets_from_the_host_that_it_is_sent_on_to)
{
  g_auto (Peer) target = { 0 };
  g_auto (Peer) first = { 0 };
  g_autofree char *location = NULL;
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  g_auto (Fetch) got = { .options = options };

  morrow_http_options_add_header (options, "authorization", "Bearer secret");
  morrow_http_options_add_header (options, "Cookie", "secret");
  morrow_http_options_add_header (options, "X-Open", "yes");
  peer_init (&target, "HTTP/1.1 204 No Content\r\n\r\n", FALSE);
  location = g_strconcat (target.url, "/x", NULL);
  start_redirecting (&first, location);
  fetch (_i, &got, first.url, "/");
  peer_stop (&first);
  peer_stop (&target);

  ck_assert_uint_eq (morrow_http_response_get_status (got.response), 204);
  ck_assert (peer_was_sent (&first, "Bearer secret"));
  ck_assert (peer_was_sent (&first, "Cookie: secret"));
  ck_assert (!peer_was_sent (&target, "secret"));
  ck_assert (peer_was_sent (&target, "X-Open: yes"));
}
END_TEST

/* Failures ----------------------------------------------------------------------------------- */

START_TEST (http_get_refuses_what_is_no_url)
{
  static const char *const bad[] = {
    "", "://", "not a url", "http://", "http://[::1", "http://a b/", "http://127.0.0.1:99999/",
    "/path",
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_auto (Fetch) got = { 0 };

      fetch (_i, &got, bad[i], "");
      ck_assert_msg (got.error != NULL, "\"%s\" is a URL", bad[i]);
      assert_curl_error (got.error, CURLE_URL_MALFORMAT, bad[i]);
    }
}
END_TEST

START_TEST (http_get_refuses_other_schemes)
{
  g_auto (Fetch) got = { 0 };

  fetch (_i, &got, "file:///etc/passwd", "");
  assert_curl_error (got.error, CURLE_UNSUPPORTED_PROTOCOL, got.uri);
}
END_TEST

START_TEST (http_get_reports_a_refused_connection)
{
  g_autofree char *url = NULL;
  g_auto (Fetch) got = { 0 };
  int reserved = refuse_on_loopback (&url);

  fetch (_i, &got, url, "/");
  assert_curl_error (got.error, CURLE_COULDNT_CONNECT, got.uri);
  close (reserved);
}
END_TEST

START_TEST (http_get_reports_an_unknown_host)
{
  g_auto (Fetch) got = { 0 };

  fetch (_i, &got, "http://no-such-host.invalid/", "");
  assert_curl_error (got.error, CURLE_COULDNT_RESOLVE_HOST, got.uri);
  ck_assert_ptr_nonnull (strstr (got.error->message, "no-such-host.invalid"));
}
END_TEST

START_TEST (http_get_hides_a_password_in_what_it_reports)
{
  g_autofree char *url = NULL;
  g_autofree char *with_password = NULL;
  g_auto (Fetch) got = { 0 };
  int reserved = refuse_on_loopback (&url);

  with_password = g_strconcat ("http://me:secret@", url + strlen ("http://"), NULL);
  fetch (_i, &got, with_password, "/");
  assert_curl_error (got.error, CURLE_COULDNT_CONNECT, url);
  ck_assert_ptr_null (strstr (got.error->message, "secret"));
  close (reserved);
}
END_TEST

START_TEST (http_get_hides_the_password_of_what_it_cannot_use)
{
  static const char *const bad[] = {
    "http://user:secret@127.0.0.1:99999/", "ftp://user:secret@127.0.0.1/", "user:secret@127.0.0.1",
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_auto (Fetch) got = { 0 };

      fetch (_i, &got, bad[i], "");
      ck_assert_msg (got.error != NULL, "\"%s\" is a URL", bad[i]);
      ck_assert_ptr_nonnull (strstr (got.error->message, "127.0.0.1"));
      ck_assert_ptr_null (strstr (got.error->message, "secret"));
    }
}
END_TEST

START_TEST (http_get_refuses_a_url_that_is_not_utf8)
{
  g_auto (Fetch) got = { 0 };

  fetch (_i, &got, "http://127.0.0.1:1/\xff", "");
  assert_curl_error (got.error, CURLE_URL_MALFORMAT, "http://127.0.0.1:1/%FF");
}
END_TEST

START_TEST (http_get_reports_a_server_that_does_not_speak_tls)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  const char *rest = test_server_get_url (server) + strlen ("http");
  g_autofree char *url = g_strconcat ("https", rest, NULL);
  g_auto (Fetch) got = { 0 };

  fetch (_i, &got, url, "/delay/0/0");
  assert_curl_error (got.error, CURLE_SSL_CONNECT_ERROR, got.uri);
}
END_TEST

typedef struct
{
  Fetch before;    /* Does not name the certificate. */
  Fetch trusting;  /* Does. */
  Fetch after;     /* Does not. */
} Trust;

static gboolean
try_trust (gpointer data, GValue *result, GError **error)
{
  Trust *trust = data;

  return fetch_coro (&trust->before, result, error) && fetch_coro (&trust->trusting, result, error)
         && fetch_coro (&trust->after, result, error);
}

/* On one thread, so that one handle and its connections are used for all three. */
START_TEST (http_get_verifies_certificates)
{
  g_autofree char *certificate = NULL;
  g_autoptr (MorrowTestServer) server = start_tls_server (&certificate);
  g_autofree char *uri = g_strconcat (test_server_get_url (server), "/delay/0/10", NULL);
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  Trust trust = {
    .before.uri = g_strdup (uri),
    .trusting = { .uri = g_strdup (uri), .options = options },
    .after.uri = g_strdup (uri),
  };

  morrow_http_options_set_ca_file (options, certificate);
  run (_i, try_trust, &trust);

  assert_curl_error (trust.before.error, CURLE_PEER_FAILED_VERIFICATION, uri);
  ck_assert_msg (trust.trusting.response != NULL, "%s",
                 trust.trusting.error != NULL ? trust.trusting.error->message : "");
  assert_curl_error (trust.after.error, CURLE_PEER_FAILED_VERIFICATION, uri);

  fetch_clear (&trust.before);
  fetch_clear (&trust.trusting);
  fetch_clear (&trust.after);
  unlink (certificate);
}
END_TEST

START_TEST (http_get_reports_a_truncated_body)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_auto (Fetch) got = { 0 };

  fetch (_i, &got, test_server_get_url (server), "/drop");
  assert_curl_error (got.error, CURLE_PARTIAL_FILE, got.uri);
}
END_TEST

START_TEST (http_get_reports_a_server_that_says_nothing)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_auto (Fetch) got = { 0 };

  fetch (_i, &got, test_server_get_url (server), "/close");
  assert_curl_error (got.error, CURLE_GOT_NOTHING, got.uri);
}
END_TEST

START_TEST (http_get_times_out)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  g_auto (Fetch) silent = { .options = options };
  g_auto (Fetch) stuck = { .options = options };
  gint64 before = g_get_monotonic_time ();

  morrow_http_options_set_timeout (options, 0.05);
  fetch (_i, &silent, test_server_get_url (server), "/hang");
  assert_timed_out (silent.error, silent.uri);
  ck_assert_int_ge (g_get_monotonic_time () - before, 50000);

  fetch (_i, &stuck, test_server_get_url (server), "/chunked/60000/1000");
  assert_timed_out (stuck.error, stuck.uri);
}
END_TEST

START_TEST (http_get_times_out_while_it_connects)
{
  g_auto (Deaf) deaf = { 0 };
  g_autoptr (MorrowHttpOptions) connecting = morrow_http_options_new ();
  g_autoptr (MorrowHttpOptions) in_all = morrow_http_options_new ();
  g_auto (Fetch) first = { .options = connecting };
  g_auto (Fetch) second = { .options = in_all };

  deaf_init (&deaf);
  morrow_http_options_set_connect_timeout (connecting, 0.05);
  morrow_http_options_set_timeout (in_all, 0.05);
  fetch (_i, &first, deaf.url, "/");
  assert_timed_out (first.error, first.uri);
  fetch (_i, &second, deaf.url, "/");
  assert_timed_out (second.error, second.uri);
}
END_TEST

START_TEST (http_get_refuses_headers_that_are_too_long)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  g_auto (Fetch) got = { .options = options };

  morrow_http_options_set_max_header_size (options, 4000);
  fetch (_i, &got, test_server_get_url (server), "/headers/5000");
  assert_curl_error (got.error, CURLE_WEIRD_SERVER_REPLY, got.uri);
}
END_TEST

START_TEST (http_get_refuses_a_header_that_is_longer_than_libcurl_takes)
{
  g_auto (Peer) peer = { 0 };
  g_auto (Fetch) got = { 0 };
  g_autofree char *value = g_strnfill (300000, 'x');
  g_autofree char *reply = g_strconcat ("HTTP/1.1 200 OK\r\nLong: ", value, "\r\n\r\n", NULL);

  peer_init (&peer, reply, FALSE);
  fetch (_i, &got, peer.url, "/");
  assert_curl_error (got.error, CURLE_WEIRD_SERVER_REPLY, got.uri);
}
END_TEST

START_TEST (http_get_refuses_a_body_that_is_too_long)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  g_auto (Fetch) announced = { .options = options };
  g_auto (Fetch) chunked = { .options = options };
  g_auto (Fetch) exact = { .options = options };

  morrow_http_options_set_max_body_size (options, 100000);
  fetch (_i, &announced, test_server_get_url (server), "/delay/0/100001");
  assert_curl_error (announced.error, CURLE_FILESIZE_EXCEEDED, announced.uri);
  fetch (_i, &chunked, test_server_get_url (server), "/chunked/0/100001");
  assert_curl_error (chunked.error, CURLE_FILESIZE_EXCEEDED, chunked.uri);
  fetch (_i, &exact, test_server_get_url (server), "/delay/0/100000");
  ck_assert_ptr_nonnull (exact.response);
}
END_TEST

static void
add_test (TCase *tcase, const TTest *test)
{
  tcase_add_loop_test (tcase, test, 0, N_MODELS);
}

static Suite *
http_suite (void)
{
  Suite *suite = suite_create ("http");
  TCase *tcase = tcase_create ("get");

  tcase_add_test (tcase, options_are_safe_unless_somebody_says_otherwise);
  add_test (tcase, http_get_keeps_to_the_limits_that_nobody_has_changed);
  add_test (tcase, http_get_gives_status_headers_body_and_times);
  add_test (tcase, http_get_takes_a_status_that_is_no_success_for_a_response);
  add_test (tcase, http_get_takes_bodies_of_unknown_length_and_empty_ones);
  add_test (tcase, http_get_joins_continued_headers_and_keeps_repeated_ones);
  add_test (tcase, http_get_forgets_what_came_before_the_final_status);
  add_test (tcase, http_get_sends_the_headers_that_were_added);
  add_test (tcase, http_get_uses_a_connection_again);
  add_test (tcase, http_get_makes_fresh_connections_when_told_to);
  add_test (tcase, http_get_does_not_charge_the_queue_to_the_timeout);
  tcase_add_test (tcase, http_get_that_nobody_awaits_is_reported_by_name);
  add_test (tcase, http_get_follows_redirects);
  add_test (tcase, http_get_gives_the_redirect_itself_when_none_is_to_be_followed);
  add_test (tcase, http_get_ends_a_redirect_loop);
  add_test (tcase, http_get_follows_no_redirect_to_another_scheme);
  add_test (tcase, http_get_names_what_was_asked_for_and_where_a_redirect_led);
  add_test (tcase, http_get_reports_text_whatever_a_redirect_says);
  add_test (tcase, http_get_has_a_uri_of_text_after_a_redirect_that_is_none);
  add_test (tcase, http_get_keeps_secrets_from_the_host_that_it_is_sent_on_to);
  add_test (tcase, http_get_refuses_what_is_no_url);
  add_test (tcase, http_get_refuses_other_schemes);
  add_test (tcase, http_get_reports_a_refused_connection);
  add_test (tcase, http_get_reports_an_unknown_host);
  add_test (tcase, http_get_hides_a_password_in_what_it_reports);
  add_test (tcase, http_get_hides_the_password_of_what_it_cannot_use);
  add_test (tcase, http_get_refuses_a_url_that_is_not_utf8);
  add_test (tcase, http_get_reports_a_server_that_does_not_speak_tls);
  add_test (tcase, http_get_verifies_certificates);
  add_test (tcase, http_get_reports_a_truncated_body);
  add_test (tcase, http_get_reports_a_server_that_says_nothing);
  add_test (tcase, http_get_times_out);
  add_test (tcase, http_get_times_out_while_it_connects);
  add_test (tcase, http_get_refuses_headers_that_are_too_long);
  add_test (tcase, http_get_refuses_a_header_that_is_longer_than_libcurl_takes);
  add_test (tcase, http_get_refuses_a_body_that_is_too_long);
  suite_add_tcase (suite, tcase);
  return suite;
}

MORROW_CHECK_MAIN (http_suite)
