/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The test server, asked by plain libcurl.  Times are only ever held from below: an answer may be
 * late on a busy machine, never early.
 */

#include "server-check.h"
#include "morrow-check.h"
#include "server/launch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
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
  double      timeout;       /* Seconds; 0: ten. */
  long        max_redirects; /* 0: redirects are not followed. */
  const char *ca_file;       /* Certificates to trust instead of the system's. */
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
  if (asking->ca_file != NULL)
    curl_easy_setopt (curl, CURLOPT_CAINFO, asking->ca_file);
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
  gsize n_right = 0;

  ck_assert_uint_eq (body->len, length);
  while (n_right < length && body->str[n_right] == (char) ('a' + n_right % 26))
    n_right++;
  ck_assert_uint_eq (n_right, length);
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

/* The delay, in milliseconds, that the answer says it had. */
static double
get_delay (MorrowTestServer *server, const char *path)
{
  g_auto (Answer) answer = { 0 };
  const char *header;
  double delay;

  ask (server, path, &answer);
  ck_assert_int_eq (answer.status, 200);
  header = strstr (answer.headers->str, "X-Delay-Ms: ");
  ck_assert_ptr_nonnull (header);
  delay = g_ascii_strtod (header + strlen ("X-Delay-Ms: "), NULL);
  ck_assert (answer.seconds >= delay / 1000);
  return delay;
}

START_TEST (lognormal_delays_depend_on_seed_and_path_alone)
{
  g_autoptr (MorrowTestServer) server = start ();
  g_autoptr (MorrowTestServer) other = start ();
  double delay = get_delay (server, "/lognormal/2/0.5/7/10/first");

  ck_assert (get_delay (server, "/lognormal/2/0.5/7/10/first") == delay);
  ck_assert (get_delay (other, "/lognormal/2/0.5/7/10/first") == delay);
  ck_assert (get_delay (server, "/lognormal/2/0.5/7/10/second") != delay);
  ck_assert (get_delay (server, "/lognormal/2/0.5/8/10/first") != delay);
}
END_TEST

/* Of 400 draws, half lie below the median and 84 % below the median times e^sigma. */
START_TEST (lognormal_delays_have_their_median_and_spread)
{
  g_autoptr (MorrowTestServer) server = start ();
  int n_below_median = 0, n_below_sigma = 0;

  for (int i = 0; i < 400; i++)
    {
      g_autofree char *path = g_strdup_printf ("/lognormal/0.5/0.7/1/0/%d", i);
      double delay = get_delay (server, path);

      n_below_median += delay < 0.5;
      n_below_sigma += delay < 0.5 * 2.0138;
    }

  ck_assert_int_ge (n_below_median, 170);
  ck_assert_int_le (n_below_median, 230);
  ck_assert_int_ge (n_below_sigma, 314);
  ck_assert_int_le (n_below_sigma, 358);
}
END_TEST

START_TEST (many_at_once_are_answered_by_deadline_and_never_early)
{
  enum { N = 500 };
  g_autoptr (MorrowTestServer) server = start ();
  CURLM *multi = curl_multi_init ();
  CURL *transfers[N];
  int n_running = N, n_left, n_done = 0;
  CURLMsg *message;

  for (int i = 0; i < N; i++)
    {
      g_autofree char *path = g_strdup_printf ("/delay/%d/0", i * 7919 % 100);

      transfers[i] = new_transfer (server, path, NULL);
      curl_easy_setopt (transfers[i], CURLOPT_PRIVATE, GINT_TO_POINTER (i * 7919 % 100));
      curl_multi_add_handle (multi, transfers[i]);
    }
  while (n_running > 0)
    {
      curl_multi_perform (multi, &n_running);
      curl_multi_poll (multi, NULL, 0, 100, NULL);
    }
  while ((message = curl_multi_info_read (multi, &n_left)) != NULL)
    {
      void *ms;
      double seconds;

      ck_assert_int_eq (message->data.result, CURLE_OK);
      curl_easy_getinfo (message->easy_handle, CURLINFO_PRIVATE, &ms);
      curl_easy_getinfo (message->easy_handle, CURLINFO_TOTAL_TIME, &seconds);
      ck_assert (seconds >= GPOINTER_TO_INT (ms) / 1000.0);
      n_done++;
    }
  ck_assert_int_eq (n_done, N);
  ck_assert_int_eq (get_counter (server, "requests"), N + 1);

  for (int i = 0; i < N; i++)
    {
      curl_multi_remove_handle (multi, transfers[i]);
      curl_easy_cleanup (transfers[i]);
    }
  curl_multi_cleanup (multi);
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
  static const gsize lengths[] = { 0, 1, 20000, 90000 };
  g_autoptr (MorrowTestServer) server = start ();

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_auto (Answer) answer = { 0 };
      g_autofree char *path = g_strdup_printf ("/headers/%" G_GSIZE_FORMAT, lengths[i]);
      const char *header;

      ask (server, path, &answer);
      ck_assert_int_eq (answer.code, CURLE_OK);
      header = strstr (answer.headers->str, "X-Long: ");
      ck_assert_ptr_nonnull (header);
      ck_assert_uint_eq (strspn (header + strlen ("X-Long: "), "x"), lengths[i]);
      ck_assert_str_eq (answer.body->str, "long\n");
    }
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

/* TLS -------------------------------------------------------------------------------------------- */

START_TEST (tls_serves_whoever_trusts_its_certificate)
{
  g_autofree char *directory = g_dir_make_tmp ("morrow-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (directory, "certificate.pem", NULL);
  g_autofree char *option = g_strconcat ("--tls=", file, NULL);
  const char *args[] = { option, NULL };
  g_autoptr (MorrowTestServer) server = test_server_start_with_args (NULL, args, NULL);
  g_auto (Answer) refused = { 0 };
  g_auto (Answer) answer = { 0 };

  ck_assert_ptr_nonnull (server);
  ck_assert (g_str_has_prefix (test_server_get_url (server), "https://127.0.0.1:"));
  ask (server, "/delay/5/10", &refused);
  ck_assert_int_eq (refused.code, CURLE_PEER_FAILED_VERIFICATION);
  ask_as (server, "/delay/5/10", &(Asking) { .ca_file = file }, &answer);
  ck_assert_int_eq (answer.code, CURLE_OK);
  ck_assert (answer.seconds >= 0.005);
  assert_letters (answer.body, 10);

  g_remove (file);
  g_rmdir (directory);
}
END_TEST

/* Its life -------------------------------------------------------------------------------------- */

START_TEST (killed_server_listens_no_more)
{
  int reserved;
  g_autoptr (MorrowTestServer) server = start_doomed_server (&reserved);
  g_auto (Answer) answer = { 0 };

  test_server_kill (server);
  ck_assert_int_eq (test_server_get_pid (server), 0);
  ask (server, "/delay/0/1", &answer);
  ck_assert_int_eq (answer.code, CURLE_COULDNT_CONNECT);
  close (reserved);
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

/* The child and its server hold the pipe as their standard error: its end is the end of both. */
START_TEST (parents_death_ends_it)
{
  struct pollfd poll_fd = { .events = POLLIN };
  int pipe_fds[2], status;
  pid_t parent;
  char c;

  ck_assert_int_eq (pipe (pipe_fds), 0);
  parent = fork ();
  if (parent == 0)
    {
      dup2 (pipe_fds[1], STDERR_FILENO);
      close (pipe_fds[0]);
      close (pipe_fds[1]);
      if (start () != NULL)
        raise (SIGKILL);
      _exit (EXIT_FAILURE);
    }

  close (pipe_fds[1]);
  poll_fd.fd = pipe_fds[0];
  ck_assert_int_eq (waitpid (parent, &status, 0), parent);
  ck_assert (WIFSIGNALED (status));
  ck_assert_int_eq (poll (&poll_fd, 1, 10000), 1);
  ck_assert_int_eq (read (pipe_fds[0], &c, 1), 0);
  close (pipe_fds[0]);
}
END_TEST

START_TEST (end_of_standard_input_ends_it)
{
  g_autoptr (MorrowTestServer) helper = start ();
  g_autofree char *program
    = g_strdup_printf ("/proc/%d/exe", (int) test_server_get_pid (helper));
  char *argv[] = { program, (char *) "--stdin", NULL };
  GPid pid;
  int stdin_fd, status;

  ck_assert (g_spawn_async_with_pipes (NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD
                                                           | G_SPAWN_STDOUT_TO_DEV_NULL,
                                       NULL, NULL, &pid, &stdin_fd, NULL, NULL, NULL));
  close (stdin_fd);
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
}
END_TEST

/* The pipes get the lowest numbers that are free. */
START_TEST (program_without_standard_descriptors_can_start_it)
{
  MorrowTestServer *server;
  g_auto (Answer) answer = { 0 };
  int saved[3];

  for (int fd = 0; fd < 3; fd++)
    {
      saved[fd] = fcntl (fd, F_DUPFD_CLOEXEC, 10);
      close (fd);
    }
  server = test_server_start (NULL, NULL);
  for (int fd = 0; fd < 3; fd++)
    dup2 (saved[fd], fd);

  ck_assert_ptr_nonnull (server);
  ask (server, "/delay/0/1", &answer);
  ck_assert_int_eq (answer.code, CURLE_OK);
  test_server_stop (server);
}
END_TEST

START_TEST (standard_input_that_is_closed_is_an_error)
{
  g_autoptr (MorrowTestServer) helper = start ();
  g_autofree char *command
    = g_strdup_printf ("/proc/%d/exe --stdin <&-", (int) test_server_get_pid (helper));
  char *argv[] = { (char *) "/bin/sh", (char *) "-c", command, NULL };
  g_autofree char *said = NULL;
  int status;

  ck_assert (g_spawn_sync (NULL, argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL, &said,
                           &status, NULL));
  ck_assert (WIFEXITED (status));
  ck_assert_int_eq (WEXITSTATUS (status), EXIT_FAILURE);
  ck_assert_ptr_nonnull (strstr (said, "standard input is closed"));
}
END_TEST

START_TEST (taken_port_is_an_error)
{
  g_autoptr (MorrowTestServer) server = start ();
  g_autoptr (GError) error = NULL;
  g_autofree char *option
    = g_strconcat ("--port=", strrchr (test_server_get_url (server), ':') + 1, NULL);
  const char *args[] = { option, NULL };

  ck_assert_ptr_null (test_server_start_with_args (NULL, args, &error));
  ck_assert_ptr_nonnull (error);
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
  TCase *tls = tcase_create ("TLS");
  TCase *life = tcase_create ("life");

  tcase_add_test (answers, delay_answers_its_bytes_and_never_early);
  tcase_add_test (answers, long_bodies_arrive_whole);
  tcase_add_test (answers, status_answers_that_code);
  tcase_add_test (answers, unknown_paths_are_404_and_bad_numbers_400);
  tcase_add_test (answers, chunked_sends_all_in_chunks_with_a_pause);
  tcase_add_test (answers, many_at_once_are_answered_by_deadline_and_never_early);
  tcase_add_test (answers, lognormal_delays_depend_on_seed_and_path_alone);
  tcase_add_test (answers, lognormal_delays_have_their_median_and_spread);
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

  tcase_add_test (tls, tls_serves_whoever_trusts_its_certificate);
  suite_add_tcase (suite, tls);

  tcase_add_test (life, killed_server_listens_no_more);
  tcase_add_test (life, stop_ends_it_in_the_middle_of_requests);
  tcase_add_test (life, parents_death_ends_it);
  tcase_add_test (life, end_of_standard_input_ends_it);
  tcase_add_test (life, program_without_standard_descriptors_can_start_it);
  tcase_add_test (life, standard_input_that_is_closed_is_an_error);
  tcase_add_test (life, taken_port_is_an_error);
  tcase_add_test (life, death_of_the_thread_that_started_it_does_not);
  tcase_add_test (life, missing_program_is_an_error_that_names_it);
  tcase_add_test (life, program_that_ends_at_once_is_an_error);
  suite_add_tcase (suite, life);

  return suite;
}

MORROW_CHECK_MAIN (testserver_suite)
