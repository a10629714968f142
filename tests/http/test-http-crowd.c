/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many requests at once, and what happens to the others when some fail: the counts are exact.
 */

#include "http/http-check.h"
#include "http/gate-private.h"
#include "http/process-private.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define MAX_CROWD 1000

typedef struct
{
  const char   *uri;                /* For the first half ... */
  const char   *other;              /* ... and for the second. */
  guint         n;
  MorrowFuture *futures[MAX_CROWD];
  guint         n_ok[2];
  guint         n_failed[2];
  guint         n_connections;
  GError       *error;              /* One of them. */
} Crowd;

static void
crowd_start (Crowd *crowd)
{
  for (guint i = 0; i < crowd->n; i++)
    crowd->futures[i] = morrow_http_get (i < crowd->n / 2 ? crowd->uri : crowd->other, NULL);
}

static void
crowd_count_success (Crowd *crowd, guint i, MorrowHttpResponse *response)
{
  crowd->n_ok[i < crowd->n / 2 ? 0 : 1]++;
  crowd->n_connections += morrow_http_response_get_n_connections (response);
}

static void
crowd_count_failure (Crowd *crowd, guint i, const GError *error)
{
  crowd->n_failed[i < crowd->n / 2 ? 0 : 1]++;
  if (crowd->error == NULL)
    crowd->error = g_error_copy (error);
}

static gboolean
crowd_gather (Crowd *crowd, GError **error)
{
  g_autoptr (MorrowResults) results =
    morrow_await_boxed (morrow_gather_full (crowd->futures, crowd->n,
                                            MORROW_GATHER_RETURN_ERRORS, 0), error);

  for (guint i = 0; results != NULL && i < crowd->n; i++)
    {
      const GError *failure = morrow_results_get_error (results, i);

      if (failure != NULL)
        crowd_count_failure (crowd, i, failure);
      else
        crowd_count_success (crowd, i, morrow_results_get_boxed (results, i));
    }
  return results != NULL;
}

static gboolean
crowd_coro (gpointer data, GValue *result, GError **error)
{
  crowd_start (data);
  return crowd_gather (data, error);
}

/* On loops more than one multi handle takes; threads take longer. */
START_TEST (a_crowd_at_once_all_succeeds)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autofree char *uri = g_strconcat (test_server_get_url (server), "/delay/50/1000", NULL);
  guint n = (_i == THREADS ? 100 : MAX_CROWD) / morrow_check_slowness () / 2 * 2;
  Crowd crowd = { .uri = uri, .other = uri, .n = n };

  run (_i, crowd_coro, &crowd);
  ck_assert_ptr_null (crowd.error);
  ck_assert_uint_eq (crowd.n_ok[0] + crowd.n_ok[1], crowd.n);
}
END_TEST

static gboolean
twice (gpointer data, GValue *result, GError **error)
{
  Crowd *crowd = data;

  crowd_start (crowd);
  if (!crowd_gather (crowd, error))
    return FALSE;
  crowd_start (crowd);
  return crowd_gather (crowd, error);
}

START_TEST (a_second_crowd_uses_the_connections_of_the_first)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autofree char *uri = g_strconcat (test_server_get_url (server), "/delay/200/1000", NULL);
  Crowd crowd = { .uri = uri, .other = uri, .n = 300 / morrow_check_slowness () / 2 * 2 };

  run (LOOP, twice, &crowd);
  ck_assert_ptr_null (crowd.error);
  ck_assert_uint_le (crowd.n_connections, crowd.n);
}
END_TEST

/* An application's main loop ---------------------------------------------------------------- */

typedef struct
{
  GMainLoop *loop;
  Crowd     *crowd;
  guint      n_ticks;
} Application;

static gboolean
tick (gpointer data)
{
  ((Application *) data)->n_ticks++;
  return G_SOURCE_CONTINUE;
}

static gboolean
application_coro (gpointer data, GValue *result, GError **error)
{
  Application *application = data;
  gboolean ok = crowd_coro (application->crowd, result, error);

  g_main_loop_quit (application->loop);
  return ok;
}

START_TEST (a_crowd_on_an_applications_main_loop_leaves_its_sources_their_turns)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autofree char *uri = g_strconcat (test_server_get_url (server), "/delay/100/1000", NULL);
  g_autoptr (GMainLoop) main_loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (g_main_context_default ());
  Crowd crowd = { .uri = uri, .other = uri, .n = 100 };
  Application application = { .loop = main_loop, .crowd = &crowd };
  guint source = g_timeout_add_full (G_PRIORITY_LOW, 5, tick, &application, NULL);
  MorrowFuture *task =
    morrow_executor_spawn (loop, morrow_coroutine (application_coro, &application, NULL));

  g_main_loop_run (main_loop);
  ck_assert_uint_eq (crowd.n_ok[0] + crowd.n_ok[1], 100);
  ck_assert_uint_ge (application.n_ticks, 5);
  morrow_future_unref (task);
  g_source_remove (source);
}
END_TEST

/* Failures of others ------------------------------------------------------------------------- */

typedef struct
{
  Crowd             crowd;
  MorrowTestServer *doomed;
  char             *stats;      /* Where the doomed server says how many wait. */
} Killing;

static gboolean
n_waiting (const char *stats, guint *ret_n, GError **error)
{
  g_autoptr (MorrowHttpResponse) response = NULL;
  g_autofree char *text = NULL;
  gsize len;

  response = morrow_await_boxed (morrow_http_get (stats, NULL), error);
  if (response == NULL)
    return FALSE;

  text = g_strndup (g_bytes_get_data (morrow_http_response_get_body (response), &len),
                    g_bytes_get_size (morrow_http_response_get_body (response)));
  *ret_n = strtoul (strstr (text, "\"waiting\": ") + strlen ("\"waiting\": "), NULL, 10);
  return TRUE;
}

/* When all that go to the doomed server wait for it, it dies. */
static gboolean
kill_coro (gpointer data, GValue *result, GError **error)
{
  Killing *killing = data;
  guint n = 0;

  crowd_start (&killing->crowd);
  for (guint i = 0; i < killing->crowd.n; i++)
    killing->crowd.futures[i] = morrow_create_task (killing->crowd.futures[i]);
  do
    {
      if (!morrow_await (morrow_sleep (0.005), error) || !n_waiting (killing->stats, &n, error))
        return FALSE;
    }
  while (n < killing->crowd.n / 2);

  test_server_kill (killing->doomed);
  return crowd_gather (&killing->crowd, error);
}

START_TEST (a_server_that_dies_fails_its_own_requests_and_no_others)
{
  g_autoptr (MorrowTestServer) doomed = start_server ();
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autofree char *hang = g_strconcat (test_server_get_url (doomed), "/hang", NULL);
  g_autofree char *answer = g_strconcat (test_server_get_url (server), "/delay/100/1000", NULL);
  Killing killing = {
    .crowd = { .uri = hang, .other = answer, .n = 200 },
    .doomed = doomed,
    .stats = g_strconcat (test_server_get_url (doomed), "/stats", NULL),
  };

  run (_i, kill_coro, &killing);
  ck_assert_uint_eq (killing.crowd.n_failed[0], 100);
  ck_assert_uint_eq (killing.crowd.n_ok[0], 0);
  ck_assert_uint_eq (killing.crowd.n_failed[1], 0);
  ck_assert_uint_eq (killing.crowd.n_ok[1], 100);
  ck_assert (killing.crowd.error->domain == MORROW_CURL_ERROR);
  ck_assert (killing.crowd.error->code == CURLE_GOT_NOTHING
             || killing.crowd.error->code == CURLE_RECV_ERROR);
  ck_assert_ptr_nonnull (strstr (killing.crowd.error->message, hang));
  g_clear_error (&killing.crowd.error);
  g_free (killing.stats);
}
END_TEST

static gboolean
starve (gpointer data, GValue *result, GError **error)
{
  Crowd *crowd = data;

  crowd_start (crowd);
  if (!crowd_gather (crowd, error))
    return FALSE;
  return morrow_await (morrow_http_get (crowd->uri, NULL), error);
}

START_TEST (running_out_of_descriptors_fails_some_clearly_and_leaves_none_open)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_autofree char *uri = g_strconcat (test_server_get_url (server), "/delay/50/100", NULL);
  Crowd crowd = { .uri = uri, .other = uri, .n = 100 };
  g_auto (Fetch) first = { 0 };
  struct rlimit few;
  guint n_before;

  fetch (_i, &first, uri, "");   /* What is opened once in a process is open now. */
  n_before = count_descriptors ();
  getrlimit (RLIMIT_NOFILE, &few);
  few.rlim_cur = 32;
  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &few), 0);
  run (_i, starve, &crowd);

  ck_assert_uint_eq (crowd.n_ok[0] + crowd.n_ok[1] + crowd.n_failed[0] + crowd.n_failed[1], 100);
  ck_assert_uint_gt (crowd.n_ok[0], 0);
  if (_i == LOOP)
    ck_assert_uint_gt (crowd.n_failed[0] + crowd.n_failed[1], 0);
  if (crowd.error != NULL)
    {
      assert_curl_error (crowd.error, CURLE_COULDNT_CONNECT, uri);
      ck_assert_ptr_nonnull (strstr (crowd.error->message, g_strerror (EMFILE)));
    }
  if (_i == LOOP)
    ck_assert_uint_eq (count_descriptors (), n_before);
  g_clear_error (&crowd.error);
}
END_TEST

/* A child ------------------------------------------------------------------------------------ */

static MorrowTestServer *volatile parents_server;   /* Not the child's to stop, nor lost there. */

/* Returns to the parent how many connections the child made. */
static int
fetch_as_child (MorrowTestServer *server)
{
  g_auto (Fetch) got = { 0 };

  parents_server = server;
  fetch (SEQUENTIAL, &got, test_server_get_url (server), "/delay/0/10");
  return got.response != NULL ? (int) morrow_http_response_get_n_connections (got.response) : 100;
}

START_TEST (a_child_process_does_not_use_its_parents_connections)
{
  g_autoptr (MorrowTestServer) server = start_server ();
  g_auto (Fetch) before = { 0 };
  g_auto (Fetch) after = { 0 };
  pid_t child;
  int status;

  fetch (SEQUENTIAL, &before, test_server_get_url (server), "/delay/0/10");
  child = fork ();
  if (child == 0)
    morrow_check_end_child (fetch_as_child (server));
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert (WIFEXITED (status));
  ck_assert_int_eq (WEXITSTATUS (status), 1);

  fetch (SEQUENTIAL, &after, test_server_get_url (server), "/delay/0/10");
  ck_assert_uint_eq (morrow_http_response_get_n_connections (after.response), 0);
}
END_TEST

/* Outside a task nobody can wait: who may not enter at once fails. */
static gboolean
enter_gate (void)
{
  g_autoptr (GError) error = NULL;

  return morrow__gate_enter ("http://127.0.0.1:1", 1, &error);
}

START_TEST (a_child_process_does_not_wait_for_places_that_its_parent_has)
{
  pid_t child;
  int status;

  morrow__http_init ();
  ck_assert (enter_gate ());
  child = fork ();
  if (child == 0)
    morrow_check_end_child (enter_gate () ? 0 : 1);
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert (WIFEXITED (status));
  ck_assert_int_eq (WEXITSTATUS (status), 0);

  morrow__gate_leave ("http://127.0.0.1:1");
  ck_assert (enter_gate ());
  morrow__gate_leave ("http://127.0.0.1:1");
}
END_TEST

static Suite *
crowd_suite (void)
{
  Suite *suite = suite_create ("http-crowd");
  TCase *tcase = tcase_create ("crowd");

  tcase_add_loop_test (tcase, a_crowd_at_once_all_succeeds, LOOP, SEQUENTIAL);
  tcase_add_test (tcase, a_second_crowd_uses_the_connections_of_the_first);
  tcase_add_test (tcase, a_crowd_on_an_applications_main_loop_leaves_its_sources_their_turns);
  tcase_add_test (tcase, a_child_process_does_not_use_its_parents_connections);
  tcase_add_test (tcase, a_child_process_does_not_wait_for_places_that_its_parent_has);
  suite_add_tcase (suite, tcase);

  tcase = tcase_create ("failures");
  tcase_add_test (tcase, a_server_that_dies_fails_its_own_requests_and_no_others);
  tcase_add_loop_test (tcase, running_out_of_descriptors_fails_some_clearly_and_leaves_none_open,
                       LOOP, LOOPS);
  suite_add_tcase (suite, tcase);
  return suite;
}

MORROW_CHECK_MAIN (crowd_suite)
