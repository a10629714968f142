/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * HTTP/2, where many requests share a connection: what becomes of one is not what becomes of the others.
 */

#include "http/nghttpd.h"

#include <stdio.h>

/* The files ---------------------------------------------------------------------------------- */

#define N_FILES 100
#define LONG (48 * 1024 * 1024)   /* Far more than sockets hold. */

/* Each file's is its own; a few fill many frames. */
static char *
make_body (guint i, gsize *ret_len)
{
  gsize len = i % 25 == 24 ? 100000 + i : 500 + i * 37;
  char *body = g_malloc (len);

  for (gsize k = 0; k < len; k++)
    body[k] = 'a' + (i + k) % 26;
  *ret_len = len;
  return body;
}

static void
set_up (void)
{
  g_autofree char *long_path = NULL;

  nghttpd_make_folder ();
  for (guint i = 0; i < N_FILES; i++)
    {
      g_autofree char *name = g_strdup_printf ("%u", i);
      gsize len;
      g_autofree char *body = make_body (i, &len);

      nghttpd_write (name, body, len);
    }
  nghttpd_write ("long", "", 0);
  long_path = nghttpd_path ("long");
  ck_assert_int_eq (truncate (long_path, LONG), 0);
}

static void
tear_down (void)
{
  nghttpd_remove_folder ();
}

static void
assert_whole (MorrowHttpResponse *response, guint i)
{
  gsize len, expected_len;
  g_autofree char *expected = make_body (i, &expected_len);
  const char *body = g_bytes_get_data (morrow_http_response_get_body (response), &len);

  ck_assert_uint_eq (morrow_http_response_get_status (response), 200);
  ck_assert_uint_eq (len, expected_len);
  ck_assert_mem_eq (body, expected, len);
}

static MorrowHttpOptions *
trusting_options (void)
{
  MorrowHttpOptions *options = morrow_http_options_new ();

  morrow_http_options_set_ca_file (options, nghttpd_certificate);
  return options;
}

/* Success ------------------------------------------------------------------------------------ */

START_TEST (a_request_is_answered_in_http2)
{
  g_auto (Nghttpd) server = { 0 };
  g_autoptr (MorrowHttpOptions) options = trusting_options ();
  g_auto (Fetch) got = { .options = options };

  nghttpd_start (&server);
  fetch (_i, &got, server.url, "/7");
  ck_assert_msg (got.response != NULL, "%s", got.error != NULL ? got.error->message : "");
  assert_whole (got.response, 7);
  ck_assert_ptr_nonnull (morrow_http_response_get_header (got.response, "Last-Modified"));
  nghttpd_await (&server, "The negotiated protocol: h2\n");
  nghttpd_await (&server, "recv (stream_id=1) :path: /7\n");
}
END_TEST

typedef struct
{
  const char        *base;
  MorrowHttpOptions *options;
  guint              n_connections;
} Crowd;

static gboolean
crowd_coro (gpointer data, GValue *result, GError **error)
{
  Crowd *crowd = data;
  g_autoptr (MorrowResults) results = NULL;
  MorrowFuture *futures[N_FILES];

  for (guint i = 0; i < N_FILES; i++)
    {
      g_autofree char *uri = g_strdup_printf ("%s/%u", crowd->base, i);

      futures[i] = morrow_http_get (uri, crowd->options);
    }
  results = morrow_await_boxed (morrow_allv (futures, N_FILES), error);
  for (guint i = 0; results != NULL && i < N_FILES; i++)
    {
      MorrowHttpResponse *response = morrow_results_get_boxed (results, i);

      assert_whole (response, i);
      crowd->n_connections += morrow_http_response_get_n_connections (response);
    }
  return results != NULL;
}

/* As many as a loop or a thread has at most. */
static guint
most_connections (int model)
{
  return model == THREADS ? 8 : model == LOOPS ? 2 : 1;
}

START_TEST (a_crowd_shares_a_connection_and_every_body_is_whole)
{
  g_auto (Nghttpd) server = { 0 };
  g_autoptr (MorrowHttpOptions) options = trusting_options ();
  Crowd crowd = { .options = options };

  nghttpd_start (&server);
  morrow_http_options_set_pipe_wait (options, TRUE);
  crowd.base = server.url;
  run (_i, crowd_coro, &crowd);
  nghttpd_kill (&server);
  ck_assert_uint_ge (crowd.n_connections, 1);
  ck_assert_uint_le (crowd.n_connections, most_connections (_i));
  ck_assert_uint_eq (nghttpd_count (&server, "The negotiated protocol: h2"), crowd.n_connections);
  ck_assert_uint_eq (nghttpd_count (&server, " :path: /"), N_FILES);
}
END_TEST

static gboolean
crowds_after_one (gpointer data, GValue *result, GError **error)
{
  Crowd *crowd = data;
  g_autofree char *uri = g_strconcat (crowd->base, "/0", NULL);
  gboolean ok = morrow_await (morrow_http_get (uri, crowd->options), error);

  for (guint i = 0; ok && i < MAX (20 / morrow_check_slowness (), 2); i++)
    ok = crowd_coro (crowd, result, error);
  return ok;
}

/* Many in turn, since what one that ends leaves to the others depends on how the bytes come. */
START_TEST (crowds_use_the_connection_that_is_there_and_none_is_forgotten)
{
  g_auto (Nghttpd) server = { 0 };
  g_autoptr (MorrowHttpOptions) options = trusting_options ();
  Crowd crowd = { .options = options };

  nghttpd_start (&server);
  crowd.base = server.url;
  run (LOOP, crowds_after_one, &crowd);
  ck_assert_uint_eq (crowd.n_connections, 0);
}
END_TEST

/* One that ends before its answer ------------------------------------------------------------ */

#define N_OTHERS 6

/* Some requests, one of which is not answered. */
typedef struct
{
  Nghttpd             server;
  MorrowHttpOptions  *options;           /* Of all but that one. */
  MorrowHttpOptions  *held_options;
  MorrowFuture       *held;              /* That one: read by the thread that ends it. */
  void              (*end) (gpointer scene);   /* On that thread; or NULL: it ends by itself. */
  guint               n_before;          /* How many of the others come first. */
  GError             *held_error;
  MorrowHttpResponse *responses[N_OTHERS];
  GError             *errors[N_OTHERS];
} Scene;

static void
scene_init (Scene *self)
{
  *self = (Scene) { .options = trusting_options (), .held_options = trusting_options () };
  nghttpd_make_held ();
  nghttpd_start (&self->server);
}

static void
scene_clear (Scene *self)
{
  for (guint i = 0; i < N_OTHERS; i++)
    {
      g_clear_pointer (&self->responses[i], morrow_http_response_unref);
      g_clear_error (&self->errors[i]);
    }
  g_clear_error (&self->held_error);
  morrow_http_options_unref (self->options);
  morrow_http_options_unref (self->held_options);
  nghttpd_clear (&self->server);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Scene, scene_clear)

/* The others are answered when this one has ended. */
static gboolean
get_held (gpointer data, GValue *result, GError **error)
{
  Scene *self = data;

  if (morrow_future_await (self->held, &self->held_error))
    ck_abort_msg ("what is held was answered");
  nghttpd_release ();
  return TRUE;
}

static gpointer
end_held (gpointer data)
{
  Scene *self = data;

  nghttpd_await_held (&self->server);
  self->end (self);
  return NULL;
}

static MorrowFuture *
get_file (Scene *self, guint i)
{
  g_autofree char *uri = g_strdup_printf ("%s/%u", self->server.url, i);

  return morrow_http_get (uri, self->options);
}

static void
take_others (Scene *self, MorrowResults *results)
{
  for (guint i = 0, k = 0; i < N_OTHERS; i++, k++)
    {
      const GError *failure;

      k += i == self->n_before;
      failure = morrow_results_get_error (results, k);
      if (failure != NULL)
        self->errors[i] = g_error_copy (failure);
      else
        self->responses[i] = morrow_http_response_ref (morrow_results_get_boxed (results, k));
    }
}

/* On a loop all are sent before anything comes back, since the connection is there. */
static gboolean
play (gpointer data, GValue *result, GError **error)
{
  Scene *self = data;
  g_autofree char *uri = g_strconcat (self->server.url, "/held", NULL);
  g_autoptr (MorrowResults) results = NULL;
  MorrowFuture *futures[N_OTHERS + 1];
  pthread_t ending;

  if (!morrow_await (get_file (self, 0), error))
    return FALSE;

  self->held = morrow_http_get (uri, self->held_options);
  if (self->end != NULL)
    pthread_create (&ending, NULL, end_held, self);
  for (guint i = 0, k = 0; i < N_OTHERS + 1; i++)
    futures[i] = i == self->n_before ? morrow_coroutine (get_held, self, NULL) : get_file (self, k++);
  results = morrow_await_boxed (morrow_gather_full (futures, N_OTHERS + 1, MORROW_GATHER_RETURN_ERRORS, 0), error);
  if (self->end != NULL)
    pthread_join (ending, NULL);
  morrow_future_unref (self->held);
  if (results != NULL)
    take_others (self, results);
  return results != NULL;
}

static void
assert_others_are_whole (Scene *self)
{
  for (guint i = 0; i < N_OTHERS; i++)
    {
      ck_assert_msg (self->errors[i] == NULL, "%s", self->errors[i] != NULL ? self->errors[i]->message : "");
      assert_whole (self->responses[i], i);
    }
}

/* On a loop it was one of several streams, and no connection was given up for it. */
static void
assert_only_its_stream_was_ended (Scene *self)
{
  nghttpd_await (&self->server, "recv RST_STREAM frame");
  ck_assert_uint_eq (nghttpd_count (&self->server, "recv RST_STREAM frame"), 1);
  ck_assert_uint_eq (nghttpd_count (&self->server, "The negotiated protocol: h2"), 1);
}

static void
cancel_held (gpointer data)
{
  morrow_future_cancel (((Scene *) data)->held);
}

START_TEST (a_cancel_of_one_leaves_the_others_alone)
{
  g_auto (Scene) scene = { 0 };

  scene_init (&scene);
  scene.end = cancel_held;
  scene.n_before = 2;
  run (_i, play, &scene);
  assert_cancelled (scene.held_error);
  assert_others_are_whole (&scene);
  if (_i == LOOP)
    assert_only_its_stream_was_ended (&scene);
}
END_TEST

START_TEST (a_timeout_of_one_leaves_the_others_alone)
{
  g_auto (Scene) scene = { 0 };
  gint64 before = g_get_monotonic_time ();

  scene_init (&scene);
  morrow_http_options_set_timeout (scene.held_options, 0.05);
  scene.n_before = 2;
  run (_i, play, &scene);
  ck_assert_int_ge (g_get_monotonic_time () - before, 50000);
  assert_timed_out (scene.held_error, "/held");
  assert_others_are_whole (&scene);
  if (_i == LOOP)
    assert_only_its_stream_was_ended (&scene);
}
END_TEST

/* A server that dies ------------------------------------------------------------------------- */

/* It names the URL and tells what happened. */
static void
assert_clear (const GError *error, const char *base)
{
  ck_assert_ptr_nonnull (error);
  ck_assert_msg (error->domain == MORROW_CURL_ERROR, "%s", error->message);
  ck_assert_msg (g_str_has_prefix (error->message, base), "%s", error->message);
  ck_assert_msg (strstr (error->message, "gives no reason") == NULL, "%s", error->message);
}

static void
kill_server (gpointer data)
{
  nghttpd_kill (&((Scene *) data)->server);
}

typedef struct
{
  int    model;
  Scene *scene;
} Aside;

static gpointer
play_thread (gpointer data)
{
  Aside *aside = data;

  run (aside->model, play, aside->scene);
  return NULL;
}

/* On a thread of its own, which closes what it has kept as it ends. */
static void
play_aside (int model, Scene *scene)
{
  Aside aside = { model, scene };

  g_thread_join (g_thread_new ("scene", play_thread, &aside));
}

static gpointer
fetch_thread (gpointer data)
{
  Aside *aside = data;
  g_auto (Fetch) got = { .options = aside->scene->options };

  fetch (aside->model, &got, aside->scene->server.url, "/0");
  ck_assert_ptr_nonnull (got.response);
  return NULL;
}

/* What is opened once in a process is open afterwards. */
static void
warm_up (int model, Scene *scene)
{
  Aside aside = { model, scene };

  g_thread_join (g_thread_new ("warm-up", fetch_thread, &aside));
}

/* On several threads some of the others have been answered by then. */
START_TEST (a_server_that_dies_fails_every_request_and_leaves_no_descriptor)
{
  g_auto (Scene) scene = { 0 };
  guint n_before;

  scene_init (&scene);
  warm_up (_i, &scene);
  n_before = count_descriptors ();
  scene.end = kill_server;
  play_aside (_i, &scene);

  assert_clear (scene.held_error, scene.server.url);
  for (guint i = 0; i < N_OTHERS; i++)
    if (scene.responses[i] == NULL || _i == LOOP || _i == SEQUENTIAL)
      assert_clear (scene.errors[i], scene.server.url);
    else
      assert_whole (scene.responses[i], i);
  ck_assert_uint_eq (count_descriptors (), n_before);
}
END_TEST

/* While this blocks the loop nobody reads, so that bodies come to an end in the middle. */
static gboolean
kill_within_bodies (gpointer data, GValue *result, GError **error)
{
  Scene *self = data;
  g_autofree char *uri = g_strconcat (self->server.url, "/long", NULL);
  MorrowFuture *tasks[3];

  if (!morrow_await (get_file (self, 0), error))
    return FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    tasks[i] = morrow_create_task (morrow_http_get (uri, self->options));
  if (!morrow_await (morrow_sleep (0.002), error))   /* its timer comes after curl's, which is due at once */
    return FALSE;
  nghttpd_await (&self->server, "send DATA frame <length=16384");
  nghttpd_kill (&self->server);
  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    if (morrow_await (tasks[i], &self->errors[i]))
      ck_abort_msg ("a part was taken for the whole");
  return TRUE;
}

START_TEST (a_server_that_dies_within_bodies_gives_none_for_whole)
{
  g_auto (Scene) scene = { 0 };

  scene_init (&scene);
  run (LOOP, kill_within_bodies, &scene);
  for (guint i = 0; i < 3; i++)
    assert_clear (scene.errors[i], scene.server.url);
}
END_TEST

/* -------------------------------------------------------------------------------------------- */

static Suite *
http2_suite (void)
{
  Suite *suite = suite_create ("http2");
  TCase *tcase = morrow_check_add_case (suite, "http2");

  tcase_add_unchecked_fixture (tcase, set_up, tear_down);
  tcase_add_loop_test (tcase, a_request_is_answered_in_http2, 0, N_MODELS);
  tcase_add_loop_test (tcase, a_crowd_shares_a_connection_and_every_body_is_whole, 0, N_MODELS);
  tcase_add_test (tcase, crowds_use_the_connection_that_is_there_and_none_is_forgotten);
  tcase_add_loop_test (tcase, a_cancel_of_one_leaves_the_others_alone, 0, N_MODELS);
  tcase_add_loop_test (tcase, a_timeout_of_one_leaves_the_others_alone, 0, N_MODELS);
  tcase_add_loop_test (tcase, a_server_that_dies_fails_every_request_and_leaves_no_descriptor, 0, N_MODELS);
  tcase_add_test (tcase, a_server_that_dies_within_bodies_gives_none_for_whole);
  return suite;
}

int
main (void)
{
  g_autofree char *program = nghttpd_find ();

  if (program == NULL)
    {
      puts ("1..0 # SKIP nghttpd is not installed");
      return EXIT_SUCCESS;
    }
  if (!(curl_version_info (CURLVERSION_NOW)->features & CURL_VERSION_HTTP2))
    {
      puts ("1..0 # SKIP libcurl does not speak HTTP/2");
      return EXIT_SUCCESS;
    }
  return morrow_check_run (http2_suite);
}
