/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The test server, asked by plain libcurl.  Times are only ever held from below: an answer may be
 * late on a busy machine, never early.
 */

#include "morrow-check.h"
#include "server/launch.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct
{
  CURLcode code;
  long     status;
  long     redirects;
  double   seconds;
  GString *body;
  GString *headers;
} Answer;

typedef struct
{
  double     timeout;       /* Seconds; 0: ten. */
  long       max_redirects; /* 0: redirects are not followed. */
  const char *ca_file;
} Asking;

static void
answer_clear (Answer *answer)
{
  g_string_free (answer->body, TRUE);
  g_string_free (answer->headers, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Answer, answer_clear)

static MorrowTestServer *
start (void)
{
  g_autoptr (GError) error = NULL;
  MorrowTestServer *server = test_server_start (NULL, &error);

  if (server == NULL)
    ck_abort_msg ("%s", error->message);
  return server;
}

static size_t
collect (char *data, size_t size, size_t n, void *string)
{
  g_string_append_len (string, data, size * n);
  return size * n;
}

static CURL *
new_transfer (MorrowTestServer *server, const char *path, GString *body)
{
  g_autofree char *url = g_strconcat (test_server_get_url (server), path, NULL);
  CURL *curl = curl_easy_init ();

  curl_easy_setopt (curl, CURLOPT_URL, url);
  curl_easy_setopt (curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (curl, CURLOPT_TIMEOUT_MS, 10000L);
  curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, collect);
  curl_easy_setopt (curl, CURLOPT_WRITEDATA, body);
  return curl;
}

static void
ask_as (MorrowTestServer *server, const char *path, const Asking *asking, Answer *answer)
{
  CURL *curl;
  gint64 began = g_get_monotonic_time ();

  answer->body = g_string_new (NULL);
  answer->headers = g_string_new (NULL);
  curl = new_transfer (server, path, answer->body);
  curl_easy_setopt (curl, CURLOPT_HEADERFUNCTION, collect);
  curl_easy_setopt (curl, CURLOPT_HEADERDATA, answer->headers);
  if (asking->timeout > 0)
    curl_easy_setopt (curl, CURLOPT_TIMEOUT_MS, (long) (asking->timeout * 1000));
  curl_easy_setopt (curl, CURLOPT_FOLLOWLOCATION, asking->max_redirects > 0 ? 1L : 0L);
  curl_easy_setopt (curl, CURLOPT_MAXREDIRS, asking->max_redirects);

  answer->code = curl_easy_perform (curl);
  answer->seconds = (double) (g_get_monotonic_time () - began) / G_USEC_PER_SEC;
  curl_easy_getinfo (curl, CURLINFO_RESPONSE_CODE, &answer->status);
  curl_easy_getinfo (curl, CURLINFO_REDIRECT_COUNT, &answer->redirects);
  curl_easy_cleanup (curl);
}

static void
ask (MorrowTestServer *server, const char *path, Answer *answer)
{
  ask_as (server, path, &(Asking) { 0 }, answer);
}

static void
assert_letters (const GString *body, gsize length)
{
  ck_assert_uint_eq (body->len, length);
  for (gsize i = 0; i < length; i++)
    ck_assert_int_eq (body->str[i], 'a' + i % 26);
}

/* A counter from /stats. */
static int
get_counter (MorrowTestServer *server, const char *name)
{
  g_auto (Answer) answer = { 0 };
  g_autofree char *key = g_strdup_printf ("\"%s\": ", name);
  const char *found;

  ask (server, "/stats", &answer);
  found = strstr (answer.body->str, key);
  ck_assert_ptr_nonnull (found);
  return atoi (found + strlen (key));
}

/* Answers --------------------------------------------------------------------------------------- */

START_TEST (delay_answers_its_bytes_and_never_early)
{
  g_autoptr (MorrowTestServer) server = start ();

  for (int ms = 0; ms < 20; ms++)
    {
      g_auto (Answer) answer = { 0 };
      g_autofree char *path = g_strdup_printf ("/delay/%d/%d", ms, 100 * ms);

      ask (server, path, &answer);
      ck_assert_int_eq (answer.code, CURLE_OK);
      ck_assert_int_eq (answer.status, 200);
      ck_assert (answer.seconds >= ms / 1000.0);
      assert_letters (answer.body, 100 * ms);
    }
}
END_TEST

START_TEST (long_bodies_arrive_whole)
{
  g_autoptr (MorrowTestServer) server = start ();
  g_auto (Answer) answer = { 0 };

  ask (server, "/delay/0/1000000", &answer);
  assert_letters (answer.body, 1000000);
}
END_TEST

START_TEST (status_answers_that_code)
{
  static const int codes[] = { 200, 204, 304, 400, 403, 404, 418, 429, 500, 503, 599 };
  g_autoptr (MorrowTestServer) server = start ();

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    {
      g_auto (Answer) answer = { 0 };
      g_autofree char *path = g_strdup_printf ("/status/%d", codes[i]);

      ask (server, path, &answer);
      ck_assert_int_eq (answer.code, CURLE_OK);
      ck_assert_int_eq (answer.status, codes[i]);
    }
}
END_TEST

START_TEST (unknown_paths_are_404_and_bad_numbers_400)
{
  static const struct { const char *path; long status; } cases[] = {
    { "/", 404 },          { "/nothing", 404 },   { "/delayed/1/1", 404 }, { "/site/11", 404 },
    { "/site/0", 404 },    { "/delay/1", 400 },   { "/delay/x/1", 400 },   { "/delay/-1/1", 400 },
    { "/delay/1/", 400 },  { "/status/99", 400 }, { "/delay/1/1e99", 400 }, { "/redirect-to", 400 },
  };
  g_autoptr (MorrowTestServer) server = start ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (Answer) answer = { 0 };

      ask (server, cases[i].path, &answer);
      ck_assert_msg (answer.status == cases[i].status, "%s: %ld", cases[i].path, answer.status);
    }
}
END_TEST

START_TEST (chunked_sends_all_in_chunks_with_a_pause)
{
  g_autoptr (MorrowTestServer) server = start ();
  g_auto (Answer) answer = { 0 };

  ask (server, "/chunked/30/101", &answer);
  ck_assert_int_eq (answer.code, CURLE_OK);
  ck_assert (answer.seconds >= 0.030);
  ck_assert_ptr_nonnull (strstr (answer.headers->str, "Transfer-Encoding: chunked"));
  assert_letters (answer.body, 101);
}
END_TEST

START_TEST (site_is_a_page_with_a_title)
{
  g_autoptr (MorrowTestServer) server = start ();
  g_auto (Answer) answer = { 0 };

  ask (server, "/site/1", &answer);
  ck_assert_int_eq (answer.status, 200);
  ck_assert (answer.seconds >= 0.1);
  ck_assert_ptr_nonnull (strstr (answer.headers->str, "text/html"));
  ck_assert_ptr_nonnull (strstr (answer.body->str, "<title>The Morning Post</title>"));
}
END_TEST

START_TEST (redirect_takes_n_hops)
{
  g_autoptr (MorrowTestServer) server = start ();

  for (long n = 0; n <= 5; n++)
    {
      g_auto (Answer) answer = { 0 };
      g_autofree char *path = g_strdup_printf ("/redirect/%ld", n);

      ask_as (server, path, &(Asking) { .max_redirects = 10 }, &answer);
      ck_assert_int_eq (answer.code, CURLE_OK);
      ck_assert_int_eq (answer.status, 200);
      ck_assert_int_eq (answer.redirects, n);
    }
}
END_TEST

START_TEST (redirect_loop_has_no_end)
{
  g_autoptr (MorrowTestServer) server = start ();
  g_auto (Answer) answer = { 0 };

  ask_as (server, "/redirect-loop", &(Asking) { .max_redirects = 7 }, &answer);
  ck_assert_int_eq (answer.code, CURLE_TOO_MANY_REDIRECTS);
  ck_assert_int_eq (answer.redirects, 7);
}
END_TEST

START_TEST (redirect_to_points_at_any_scheme)
{
  g_autoptr (MorrowTestServer) server = start ();
  g_auto (Answer) answer = { 0 };

  ask (server, "/redirect-to?url=file:///etc/passwd", &answer);
  ck_assert_int_eq (answer.status, 302);
  ck_assert_ptr_nonnull (strstr (answer.headers->str, "Location: file:///etc/passwd\r\n"));
}
END_TEST

START_TEST (headers_are_as_long_as_asked)
{
  g_autoptr (MorrowTestServer) server = start ();
  g_auto (Answer) answer = { 0 };
  const char *header;

  ask (server, "/headers/20000", &answer);
  ck_assert_int_eq (answer.status, 200);
  header = strstr (answer.headers->str, "X-Long: ");
  ck_assert_ptr_nonnull (header);
  ck_assert_uint_eq (strspn (header + strlen ("X-Long: "), "x"), 20000);
}
END_TEST

/* Broken answers -------------------------------------------------------------------------------- */

START_TEST (drop_truncates_the_body)
{
  g_autoptr (MorrowTestServer) server = start ();
  g_auto (Answer) answer = { 0 };

  ask (server, "/drop", &answer);
  ck_assert_int_eq (answer.code, CURLE_PARTIAL_FILE);
  ck_assert_ptr_nonnull (strstr (answer.headers->str, "Content-Length: 1024\r\n"));
  assert_letters (answer.body, 512);
}
END_TEST

START_TEST (close_sends_nothing)
{
  g_autoptr (MorrowTestServer) server = start ();
  g_auto (Answer) answer = { 0 };

  ask (server, "/close", &answer);
  ck_assert_int_eq (answer.code, CURLE_GOT_NOTHING);
}
END_TEST

START_TEST (hang_never_answers_and_notices_a_client_that_leaves)
{
  g_autoptr (MorrowTestServer) server = start ();
  g_auto (Answer) answer = { 0 };

  ask_as (server, "/hang", &(Asking) { .timeout = 0.05 }, &answer);
  ck_assert_int_eq (answer.code, CURLE_OPERATION_TIMEDOUT);
  ck_assert_uint_eq (answer.headers->len, 0);
  while (get_counter (server, "waiting") > 0)
    ;
}
END_TEST

/* Its life -------------------------------------------------------------------------------------- */

/* Whether process @pid ends within ten seconds. */
static gboolean
ends (pid_t pid)
{
  int fd = (int) syscall (SYS_pidfd_open, pid, 0);
  struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
  gboolean ended;

  if (fd < 0)
    return errno == ESRCH;

  ended = poll (&poll_fd, 1, 10000) == 1;
  close (fd);
  return ended;
}

START_TEST (killed_server_listens_no_more)
{
  g_autoptr (MorrowTestServer) server = start ();
  g_auto (Answer) answer = { 0 };

  test_server_kill (server);
  ck_assert_int_eq (test_server_get_pid (server), 0);
  ask (server, "/delay/0/1", &answer);
  ck_assert_int_eq (answer.code, CURLE_COULDNT_CONNECT);
}
END_TEST

START_TEST (stop_ends_it_in_the_middle_of_requests)
{
  MorrowTestServer *server = start ();
  pid_t pid = test_server_get_pid (server);
  g_auto (Answer) answer = { 0 };

  ask_as (server, "/delay/400/1", &(Asking) { .timeout = 0.05 }, &answer);
  test_server_stop (server);
  ck_assert_int_eq (kill (pid, 0), -1);
  ck_assert_int_eq (errno, ESRCH);
}
END_TEST

START_TEST (parents_death_ends_it)
{
  int pipe_fds[2];
  pid_t parent, pid = 0;

  ck_assert_int_eq (pipe (pipe_fds), 0);
  parent = fork ();
  if (parent == 0)
    {
      pid = test_server_get_pid (start ());
      if (write (pipe_fds[1], &pid, sizeof pid) != sizeof pid)
        _exit (1);
      raise (SIGKILL);
    }

  ck_assert_int_eq (read (pipe_fds[0], &pid, sizeof pid), sizeof pid);
  ck_assert_int_eq (waitpid (parent, NULL, 0), parent);
  ck_assert (ends (pid));
}
END_TEST

static gpointer
start_in_thread (gpointer data)
{
  return start ();
}

START_TEST (death_of_the_thread_that_started_it_does_not)
{
  GThread *thread = g_thread_new ("starter", start_in_thread, NULL);
  g_autoptr (MorrowTestServer) server = g_thread_join (thread);
  g_auto (Answer) answer = { 0 };

  ask (server, "/delay/50/1", &answer);
  ck_assert_int_eq (answer.code, CURLE_OK);
}
END_TEST

START_TEST (missing_program_is_an_error_that_names_it)
{
  g_autoptr (GError) error = NULL;

  ck_assert_ptr_null (test_server_start ("/nowhere/morrow-testserver", &error));
  ck_assert_ptr_nonnull (error);
  ck_assert_ptr_nonnull (strstr (error->message, "/nowhere/morrow-testserver"));
}
END_TEST

START_TEST (program_that_ends_at_once_is_an_error)
{
  g_autoptr (GError) error = NULL;

  ck_assert_ptr_null (test_server_start ("/bin/true", &error));
  ck_assert_ptr_nonnull (error);
}
END_TEST

static Suite *
testserver_suite (void)
{
  Suite *suite = suite_create ("testserver");
  TCase *answers = tcase_create ("answers");
  TCase *broken = tcase_create ("broken answers");
  TCase *life = tcase_create ("life");

  tcase_add_test (answers, delay_answers_its_bytes_and_never_early);
  tcase_add_test (answers, long_bodies_arrive_whole);
  tcase_add_test (answers, status_answers_that_code);
  tcase_add_test (answers, unknown_paths_are_404_and_bad_numbers_400);
  tcase_add_test (answers, chunked_sends_all_in_chunks_with_a_pause);
  tcase_add_test (answers, site_is_a_page_with_a_title);
  tcase_add_test (answers, redirect_takes_n_hops);
  tcase_add_test (answers, redirect_loop_has_no_end);
  tcase_add_test (answers, redirect_to_points_at_any_scheme);
  tcase_add_test (answers, headers_are_as_long_as_asked);
  suite_add_tcase (suite, answers);

  tcase_add_test (broken, drop_truncates_the_body);
  tcase_add_test (broken, close_sends_nothing);
  tcase_add_test (broken, hang_never_answers_and_notices_a_client_that_leaves);
  suite_add_tcase (suite, broken);

  tcase_add_test (life, killed_server_listens_no_more);
  tcase_add_test (life, stop_ends_it_in_the_middle_of_requests);
  if (!RUNNING_ON_VALGRIND)     /* which knows no pidfd_open () */
    tcase_add_test (life, parents_death_ends_it);
  tcase_add_test (life, death_of_the_thread_that_started_it_does_not);
  tcase_add_test (life, missing_program_is_an_error_that_names_it);
  tcase_add_test (life, program_that_ends_at_once_is_an_error);
  suite_add_tcase (suite, life);

  return suite;
}

MORROW_CHECK_MAIN (testserver_suite)
