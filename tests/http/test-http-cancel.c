/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests that are cancelled, from another thread, in each thing that they may be doing.
 */

#include "http/http-check.h"
#include "http/names.h"

#include <stdio.h>

/* One request, and a thread that cancels it as soon as it is seen to be where it should be. */
typedef struct
{
  char              *uri;
  MorrowHttpOptions *options;
  gboolean         (*is_there) (gpointer data);
  gpointer           data;
  MorrowFuture      *future;       /* Read by the thread. */
  GError            *error;
  const char        *afterwards;   /* The base URL of a server, which is asked next. */
} Scene;

static gpointer
cancel_when_there (gpointer data)
{
  Scene *scene = data;

  while (!scene->is_there (scene->data))
    g_usleep (500);
  morrow_future_cancel (scene->future);
  return NULL;
}

static gboolean
play (gpointer data, GValue *result, GError **error)
{
  Scene *scene = data;
  g_autofree char *uri = g_strconcat (scene->afterwards, "/delay/0/1", NULL);
  g_autoptr (MorrowHttpResponse) response = NULL;
  MorrowFuture *task;
  pthread_t thread;

  scene->future = morrow_http_get (scene->uri, scene->options);
  pthread_create (&thread, NULL, cancel_when_there, scene);
  task = morrow_create_task (morrow_future_ref (scene->future));
  if (morrow_await (task, &scene->error))
    ck_abort_msg ("the request was not cancelled");
  pthread_join (thread, NULL);
  morrow_future_unref (scene->future);

  response = morrow_await_boxed (morrow_http_get (uri, NULL), error);
  return response != NULL;
}

/* The request ends as cancelled, and what ran it goes on. */
static void
assert_is_cancelled (int model, Scene *scene, const char *base, const char *path)
{
  g_autoptr (MorrowTestServer) server = start_server ();

  scene->uri = g_strconcat (base, path, NULL);
  scene->afterwards = test_server_get_url (server);
  run (model, play, scene);
  assert_cancelled (scene->error);
  g_clear_error (&scene->error);
  g_clear_pointer (&scene->uri, g_free);
}

static gboolean
at_once (gpointer data)
{
  return TRUE;
}

static gboolean
has_asked_for_name (gpointer data)
{
  return g_atomic_int_get (&names_n_silent) > 0;
}

static gboolean
has_sent_request (gpointer data)
{
  return g_atomic_int_get (&((Peer *) data)->n_requests) > 0;
}

/* How many connections to a port the kernel is trying to make. */
static guint
look_for_connecting (const char *url)
{
  guint port = strtoul (strrchr (url, ':') + 1, NULL, 10);
  g_autofree char *wanted = g_strdup_printf (":%04X 02 ", port);
  g_autofree char *table = NULL;
  guint n = 0;

  ck_assert (g_file_get_contents ("/proc/self/net/tcp", &table, NULL, NULL));
  for (const char *at = table; (at = strstr (at, wanted)) != NULL; at++)
    n++;
  return n;
}

/* The kernel tells of them in pieces, and of some twice when others come and go meanwhile. */
static guint
count_connecting (const char *url)
{
  guint n = look_for_connecting (url), again;

  while ((again = look_for_connecting (url)) != n)
    n = again;
  return n;
}

typedef struct
{
  Deaf  deaf;
  guint n_before;
} Connecting;

static gboolean
is_connecting (gpointer data)
{
  Connecting *connecting = data;

  return count_connecting (connecting->deaf.url) > connecting->n_before;
}

START_TEST (cancel_before_anything_ends_the_request)
{
  g_auto (Peer) peer = { 0 };
  Scene scene = { .is_there = at_once };

  peer_init (&peer, "", TRUE);
  assert_is_cancelled (_i, &scene, peer.url, "/");
}
END_TEST

/* The resolver is silent all the while, and who asks for a name that is being looked up waits for that. */
START_TEST (cancel_during_the_name_lookup_does_not_wait_for_it)
{
  g_autofree char *base = g_strdup_printf ("http://silent-cancel-%d.example", _i);
  Scene scene = { .is_there = has_asked_for_name };

  names_use ();
  assert_is_cancelled (_i, &scene, base, "/");
  ck_assert_int_eq (names_n_silent, 1);
  names_speak ();
}
END_TEST

START_TEST (cancel_while_connecting_ends_the_request)
{
  Connecting connecting = { 0 };
  Scene scene = { .is_there = is_connecting, .data = &connecting };

  deaf_init (&connecting.deaf);
  connecting.n_before = count_connecting (connecting.deaf.url);
  assert_is_cancelled (_i, &scene, connecting.deaf.url, "/");
  ck_assert_uint_eq (count_connecting (connecting.deaf.url), connecting.n_before);
  deaf_clear (&connecting.deaf);
}
END_TEST

START_TEST (cancel_during_the_tls_handshake_ends_the_request)
{
  g_auto (Peer) peer = { 0 };
  g_autofree char *url = NULL;
  Scene scene = { .is_there = has_sent_request, .data = &peer };

  peer_start (&peer, "", TRUE, TRUE);
  url = g_strconcat ("https", peer.url + strlen ("http"), NULL);
  assert_is_cancelled (_i, &scene, url, "/");
}
END_TEST

START_TEST (cancel_before_the_response_ends_the_request)
{
  g_auto (Peer) peer = { 0 };
  Scene scene = { .is_there = has_sent_request, .data = &peer };

  peer_init (&peer, "", TRUE);
  assert_is_cancelled (_i, &scene, peer.url, "/");
}
END_TEST

START_TEST (cancel_within_the_headers_ends_the_request)
{
  g_auto (Peer) peer = { 0 };
  Scene scene = { .is_there = has_sent_request, .data = &peer };

  peer_init (&peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n", TRUE);
  assert_is_cancelled (_i, &scene, peer.url, "/");
}
END_TEST

START_TEST (cancel_within_the_body_ends_the_request)
{
  g_auto (Peer) peer = { 0 };
  Scene scene = { .is_there = has_sent_request, .data = &peer };

  peer_init (&peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", TRUE);
  assert_is_cancelled (_i, &scene, peer.url, "/");
}
END_TEST

START_TEST (cancel_after_a_redirect_ends_the_request)
{
  g_auto (Peer) target = { 0 };
  g_auto (Peer) first = { 0 };
  g_autofree char *reply = NULL;
  Scene scene = { .is_there = has_sent_request, .data = &target };

  peer_init (&target, "", TRUE);
  reply = g_strdup_printf ("HTTP/1.1 301 Moved Permanently\r\nLocation: %s\r\n"
                           "Content-Length: 0\r\n\r\n", target.url);
  peer_init (&first, reply, FALSE);
  assert_is_cancelled (_i, &scene, first.url, "/");
}
END_TEST

/* A silent resolver has its time, and no more. */
START_TEST (a_timeout_during_the_name_lookup_does_not_wait_for_it)
{
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  g_autofree char *base = g_strdup_printf ("http://silent-timeout-%d.example", _i);
  g_auto (Fetch) got = { .options = options };

  names_use ();
  morrow_http_options_set_timeout (options, 0.05);
  fetch (_i, &got, base, "/");
  assert_timed_out (got.error, got.uri);
  names_speak ();
}
END_TEST

/* The gate ----------------------------------------------------------------------------------- */

typedef struct
{
  Peer              *peer;      /* Holds whoever is inside. */
  MorrowHttpOptions *options;
} Queue;

/* Awaits a task that is being cancelled. */
static void
expect_cancelled (MorrowFuture *task)
{
  g_autoptr (GError) error = NULL;

  if (morrow_await (task, &error))
    ck_abort_msg ("not cancelled");
  assert_cancelled (error);
}

/* One inside, two behind it; the first two are cancelled, the second of them when its turn has
 * come already: the place reaches the third all the same. */
static gboolean
pass_on (gpointer data, GValue *result, GError **error)
{
  Queue *queue = data;
  MorrowFuture *first = morrow_create_task (morrow_http_get (queue->peer->url, queue->options));
  MorrowFuture *second = morrow_create_task (morrow_http_get (queue->peer->url, queue->options));
  MorrowFuture *third = morrow_create_task (morrow_http_get (queue->peer->url, queue->options));

  while (g_atomic_int_get (&queue->peer->n_requests) < 1)
    if (!morrow_await (morrow_sleep (0.001), error))
      return FALSE;

  morrow_future_cancel (first);
  expect_cancelled (first);
  morrow_future_cancel (second);
  expect_cancelled (second);
  while (g_atomic_int_get (&queue->peer->n_requests) < 2)
    if (!morrow_await (morrow_sleep (0.001), error))
      return FALSE;

  morrow_future_cancel (third);
  expect_cancelled (third);
  return TRUE;
}

START_TEST (a_cancelled_request_passes_its_place_on)
{
  g_auto (Peer) peer = { 0 };
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  Queue queue = { .peer = &peer, .options = options };

  morrow_http_options_set_max_connections (options, 1);
  peer_init (&peer, "", TRUE);
  run (LOOP, pass_on, &queue);
}
END_TEST

/* Storms ------------------------------------------------------------------------------------- */

#define N_STORM 64

typedef struct
{
  const char   *base;
  MorrowFuture *futures[N_STORM];
  guint         n_rounds;
  guint         n_ok;
  guint         n_cancelled;
} Storm;

static gpointer
cancel_all (gpointer data)
{
  Storm *storm = data;

  for (guint i = 0; i < N_STORM; i++)
    {
      if (i % 8 == 0)
        g_usleep (500);
      morrow_future_cancel (storm->futures[i]);
    }
  return NULL;
}

/* Takes the task. */
static void
count_storm (Storm *storm, MorrowFuture *task, GError **error)
{
  GError *local = NULL;

  if (morrow_await (task, &local))
    storm->n_ok++;
  else if (g_error_matches (local, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    storm->n_cancelled++;
  else
    g_propagate_error (error, g_steal_pointer (&local));
  g_clear_error (&local);
}

static gboolean
storm_round (Storm *storm, GError **error)
{
  g_autofree char *uri = g_strconcat (storm->base, "/delay/3/100", NULL);
  MorrowFuture *tasks[N_STORM];
  pthread_t thread;
  GError *failure = NULL;

  for (guint i = 0; i < N_STORM; i++)
    storm->futures[i] = morrow_http_get (uri, NULL);
  pthread_create (&thread, NULL, cancel_all, storm);
  for (guint i = 0; i < N_STORM; i++)
    tasks[i] = morrow_create_task (morrow_future_ref (storm->futures[i]));
  for (guint i = 0; i < N_STORM; i++)
    count_storm (storm, tasks[i], failure == NULL ? &failure : NULL);
  pthread_join (thread, NULL);
  for (guint i = 0; i < N_STORM; i++)
    morrow_future_unref (storm->futures[i]);
  if (failure != NULL)
    g_propagate_error (error, failure);
  return failure == NULL;
}

static gboolean
storm_coro (gpointer data, GValue *result, GError **error)
{
  Storm *storm = data;

  for (guint i = 0; i < storm->n_rounds; i++)
    if (!storm_round (storm, error))
      return FALSE;
  return TRUE;
}

START_TEST (cancels_that_race_with_responses_end_every_request_once)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  Storm storm = {
    .base = test_server_get_url (server),
    .n_rounds = MAX (20 / morrow_check_slowness (), 2),
  };

  run (_i, storm_coro, &storm);
  ck_assert_uint_eq (storm.n_ok + storm.n_cancelled, storm.n_rounds * N_STORM);
}
END_TEST

/* A task that is left over when the run ends, and that says good-bye to a server. */
typedef struct
{
  char *uri;
  gint  is_waiting;   /* Any thread, atomically. */
  guint status;       /* Of the response. */
} Goodbye;

static gboolean
say_goodbye (gpointer data, GValue *result, GError **error)
{
  Goodbye *self = data;
  g_autoptr (MorrowPromise) promise = morrow_promise_new ();
  g_autoptr (MorrowFuture) never_settles = morrow_promise_get_future (promise);
  g_autoptr (MorrowHttpResponse) response = NULL;
  g_autoptr (GError) failure = NULL;

  g_atomic_int_set (&self->is_waiting, TRUE);
  if (morrow_future_await (never_settles, error))
    ck_abort_msg ("the task was not cancelled");
  response = morrow_await_boxed (morrow_shield (morrow_http_get (self->uri, NULL)), &failure);
  if (response == NULL)
    ck_abort_msg ("the request failed: %s", failure->message);
  self->status = morrow_http_response_get_status (response);
  return FALSE;
}

static gboolean
leave_goodbye_over (gpointer data, GValue *result, GError **error)
{
  Goodbye *goodbye = data;

  morrow_future_unref (morrow_create_task (morrow_coroutine (say_goodbye, goodbye, NULL)));
  while (!g_atomic_int_get (&goodbye->is_waiting))
    if (!morrow_yield (error))
      return FALSE;
  return TRUE;
}

START_TEST (a_request_under_a_shield_succeeds_while_the_run_ends)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  Goodbye goodbye = { .uri = g_strconcat (test_server_get_url (server), "/delay/10/5", NULL) };

  run (_i, leave_goodbye_over, &goodbye);
  ck_assert_uint_eq (goodbye.status, 200);
  g_free (goodbye.uri);
}
END_TEST

static Suite *
cancel_suite (void)
{
  Suite *suite = suite_create ("http-cancel");
  TCase *tcase = tcase_create ("phases");

  tcase_add_loop_test (tcase, cancel_before_anything_ends_the_request, 0, N_MODELS);
  tcase_add_loop_test (tcase, cancel_during_the_name_lookup_does_not_wait_for_it, 0, N_MODELS);
  tcase_add_loop_test (tcase, cancel_while_connecting_ends_the_request, 0, N_MODELS);
  tcase_add_loop_test (tcase, cancel_during_the_tls_handshake_ends_the_request, 0, N_MODELS);
  tcase_add_loop_test (tcase, cancel_before_the_response_ends_the_request, 0, N_MODELS);
  tcase_add_loop_test (tcase, cancel_within_the_headers_ends_the_request, 0, N_MODELS);
  tcase_add_loop_test (tcase, cancel_within_the_body_ends_the_request, 0, N_MODELS);
  tcase_add_loop_test (tcase, cancel_after_a_redirect_ends_the_request, 0, N_MODELS);
  tcase_add_loop_test (tcase, a_timeout_during_the_name_lookup_does_not_wait_for_it, 0, N_MODELS);
  suite_add_tcase (suite, tcase);

  tcase = tcase_create ("others");
  tcase_add_test (tcase, a_cancelled_request_passes_its_place_on);
  tcase_add_loop_test (tcase, a_request_under_a_shield_succeeds_while_the_run_ends, 0, SEQUENTIAL);
  tcase_add_loop_test (tcase, cancels_that_race_with_responses_end_every_request_once, 0, N_MODELS);
  suite_add_tcase (suite, tcase);
  return suite;
}

MORROW_CHECK_MAIN (cancel_suite)
