/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gather-urls as a person runs it, against a server of our own. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "compare/server/launch.h"
#include "server-check.h"
#include "loopback.h"
#include "morrow-check.h"
#include "program.h"

#define GATHER "demos/gather-urls"

static const char *const model_names[] = { "loop", "threads", "loops", "sequential" };

static MorrowTestServer *server;
static char *dir;
static char *list_path;
static char *silent_path;   /* a program in place of gather-urls' own server */

static void
set_up (void)
{
  g_autoptr (GError) error = NULL;

  server = test_server_start (NULL, &error);
  if (server == NULL)
    ck_abort_msg ("%s", error->message);
  dir = g_dir_make_tmp (NULL, NULL);
  list_path = g_build_filename (dir, "urls", NULL);
  silent_path = g_build_filename (dir, "silent", NULL);
}

static void
tear_down (void)
{
  g_unsetenv ("MORROW_TESTSERVER");
  remove (list_path);
  remove (silent_path);
  remove (dir);
  g_free (list_path);
  g_free (silent_path);
  g_free (dir);
  g_clear_pointer (&server, test_server_stop);
}

static char *
url (const char *path)
{
  return g_strconcat (test_server_get_url (server), path, NULL);
}

static void
write_list (const char *text)
{
  ck_assert (g_file_set_contents (list_path, text, -1, NULL));
}

/* The line, counted from 0, or "" where there is none. */
static const char *
line (GStrv lines, guint i)
{
  return i < g_strv_length (lines) ? lines[i] : "";
}

/* The whole line: status, bytes, time, URL, and what is said of it; the time is at least so many seconds. */
static void
assert_line (const char *text, guint status, guint n_bytes, double at_least, const char *site, const char *about)
{
  g_autofree char *quoted_site = g_regex_escape_string (site, -1);
  g_autofree char *quoted_about = g_regex_escape_string (about, -1);
  g_autofree char *pattern = g_strdup_printf ("^%u +%u bytes +([0-9]+\\.[0-9]{3}) s  %s +%s$", status, n_bytes,
                                              quoted_site, quoted_about);
  g_autoptr (GRegex) regex = g_regex_new (pattern, 0, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  g_autofree char *seconds = NULL;

  ck_assert_msg (g_regex_match (regex, text, 0, &match), "'%s' is not as '%s'", text, pattern);
  seconds = g_match_info_fetch (match, 1);
  ck_assert_double_ge (g_ascii_strtod (seconds, NULL), at_least);
}

/* The ten sites of the test server. */
static const struct
{
  const char *title;
  guint n_bytes;
} ten_sites[] =
{
  { "The Morning Post", 181 }, { "Harbour Weather", 179 }, { "A Field Guide to Moss", 191 }, { "Tram Times", 169 },
  { "The Slow Kitchen", 181 }, { "Chess by Letter", 179 }, { "Night Sky Almanac", 183 }, { "Bread & Salt", 181 },
  { "Old Maps", 165 }, { "Tomorrow's News", 191 },
};

static void
assert_site_line (const char *text, guint number, const char *base)
{
  g_autofree char *site = g_strdup_printf ("%s/site/%u", base, number);

  assert_line (text, 200, ten_sites[number - 1].n_bytes, number / 10.0, site, ten_sites[number - 1].title);
}

#define ck_assert_has(text, part) \
  ck_assert_msg (strstr ((text), (part)) != NULL, "'%s' is not in:\n%s", (part), (text))

START_TEST (each_site_is_a_line_in_input_order_with_its_title)
{
  g_autofree char *ninth = url ("/site/9");
  g_autofree char *first = url ("/site/1");
  g_autofree char *third = url ("/site/3");
  g_autoptr (Program) gather = program_run (GATHER, "--model", model_names[_i], ninth, first, third, NULL);
  g_auto (GStrv) lines = g_strsplit (gather->out, "\n", -1);

  ck_assert_int_eq (gather->exit_status, 0);
  ck_assert_uint_eq (g_strv_length (lines), 4);
  assert_site_line (lines[0], 9, test_server_get_url (server));
  assert_site_line (lines[1], 1, test_server_get_url (server));
  assert_site_line (lines[2], 3, test_server_get_url (server));
  ck_assert_str_eq (lines[3], "");
}
END_TEST

START_TEST (what_is_no_page_shows_its_content_type)
{
  g_autofree char *bytes = url ("/delay/1/1000");
  g_autoptr (Program) gather = program_run (GATHER, bytes, NULL);

  g_auto (GStrv) lines = g_strsplit (gather->out, "\n", -1);

  ck_assert_int_eq (gather->exit_status, 0);
  assert_line (line (lines, 0), 200, 1000, 0.001, bytes, "text/plain");
}
END_TEST

START_TEST (a_failed_site_is_a_line_and_does_not_disturb_the_others)
{
  g_autofree char *good = url ("/delay/5/10");
  g_autofree char *dropped = url ("/drop");
  g_autofree char *refused = g_strdup ("http://127.0.0.1:1/");
  g_autoptr (Program) gather = program_run (GATHER, "--model", model_names[_i],
                                            good, dropped, "no url at all", refused, good, NULL);
  g_auto (GStrv) lines = g_strsplit (gather->out, "\n", -1);

  ck_assert_int_eq (gather->exit_status, 1);
  ck_assert_uint_eq (g_strv_length (lines), 6);
  ck_assert (g_str_has_prefix (lines[0], "200 "));
  ck_assert (g_str_has_prefix (lines[1], "--- "));
  ck_assert (g_str_has_prefix (lines[2], "--- "));
  ck_assert_has (lines[2], "no url at all");
  ck_assert (g_str_has_prefix (lines[3], "--- "));
  ck_assert (g_str_has_prefix (lines[4], "200 "));
}
END_TEST

START_TEST (a_url_that_is_not_text_is_a_line_too)
{
  g_autofree char *good = url ("/delay/1/10");
  g_autoptr (Program) gather = program_run (GATHER, good, "http://127.0.0.1/odd\xff", NULL);
  g_auto (GStrv) lines = g_strsplit (gather->out, "\n", -1);

  ck_assert_int_eq (gather->exit_status, 1);
  ck_assert (g_str_has_prefix (line (lines, 0), "200 "));
  ck_assert (g_str_has_prefix (line (lines, 1), "--- "));
  ck_assert_has (line (lines, 1), "http://127.0.0.1/odd%FF: ");
}
END_TEST

START_TEST (who_asks_is_not_shown)
{
  static const char start[] = "http://";
  g_autofree char *open = url ("/delay/1/10");
  g_autofree char *secret = g_strconcat (start, "user:secret@", open + strlen (start), NULL);
  g_autofree char *at = url ("/delay/1/10?@home");
  g_autoptr (Program) gather = program_run (GATHER, secret, at, NULL);
  g_auto (GStrv) lines = g_strsplit (gather->out, "\n", -1);
  g_autofree char *padded = g_strdup_printf ("%-*s", (int) strlen (at), open);

  ck_assert_int_eq (gather->exit_status, 0);
  assert_line (line (lines, 0), 200, 10, 0.001, padded, "text/plain");
  assert_line (line (lines, 1), 200, 10, 0.001, at, "text/plain");
}
END_TEST

START_TEST (an_http_error_is_not_a_success)
{
  g_autofree char *missing = url ("/status/404");
  g_autoptr (Program) gather = program_run (GATHER, missing, NULL);

  ck_assert_int_eq (gather->exit_status, 1);
  ck_assert (g_str_has_prefix (gather->out, "404 "));
}
END_TEST

START_TEST (a_site_that_takes_too_long_times_out_alone)
{
  g_autofree char *hang = url ("/hang");
  g_autofree char *good = url ("/delay/1/10");
  g_autoptr (Program) gather = program_run (GATHER, "--model", model_names[_i], "--timeout", "0.2", hang, good, NULL);
  g_auto (GStrv) lines = g_strsplit (gather->out, "\n", -1);

  ck_assert_int_eq (gather->exit_status, 1);
  ck_assert (g_str_has_prefix (line (lines, 0), "--- "));
  ck_assert (g_str_has_prefix (line (lines, 1), "200 "));
}
END_TEST

START_TEST (a_file_of_urls_may_have_comments_and_empty_lines)
{
  g_autofree char *text = g_strdup_printf ("# The sites.\n\n  %s/delay/1/1#top  \n%s/delay/1/2   # the second\n",
                                           test_server_get_url (server), test_server_get_url (server));
  g_autoptr (Program) gather = NULL;
  g_auto (GStrv) lines = NULL;

  write_list (text);
  gather = program_run (GATHER, "--urls", list_path, NULL);
  lines = g_strsplit (gather->out, "\n", -1);

  ck_assert_int_eq (gather->exit_status, 0);
  ck_assert_uint_eq (g_strv_length (lines), 3);
  ck_assert_has (lines[0], " 1 bytes");
  ck_assert_has (lines[1], " 2 bytes");
}
END_TEST

START_TEST (a_file_that_cannot_be_read_stops_at_once)
{
  g_autoptr (Program) missing = program_run (GATHER, "--urls", "/nowhere/at/all", NULL);
  g_autoptr (Program) folder = program_run (GATHER, "--urls", dir, NULL);
  g_autoptr (Program) empty = NULL;

  write_list ("# nothing but a comment\n");
  empty = program_run (GATHER, "--urls", list_path, NULL);

  ck_assert_int_eq (missing->exit_status, 1);
  ck_assert_str_eq (missing->out, "");
  ck_assert_has (missing->err, "/nowhere/at/all");
  ck_assert_int_eq (folder->exit_status, 1);
  ck_assert_int_eq (empty->exit_status, 1);
  ck_assert_has (empty->err, "no URL");
}
END_TEST

START_TEST (fewer_at_once_give_the_same_lines)
{
  g_autofree char *a = url ("/delay/3/11"), *b = url ("/delay/2/12"), *c = url ("/delay/1/13");
  g_autoptr (Program) gather = program_run (GATHER, "--model", model_names[_i], "--concurrency", "1", a, b, c, NULL);
  g_auto (GStrv) lines = g_strsplit (gather->out, "\n", -1);

  ck_assert_int_eq (gather->exit_status, 0);
  ck_assert_has (line (lines, 0), " 11 bytes");
  ck_assert_has (line (lines, 1), " 12 bytes");
  ck_assert_has (line (lines, 2), " 13 bytes");
}
END_TEST

START_TEST (without_urls_it_visits_ten_sites)
{
  g_autoptr (Program) gather = program_run (GATHER, NULL);
  g_auto (GStrv) lines = g_strsplit (gather->out, "\n", -1);
  const char *url = strstr (lines[0], "http://");
  g_autofree char *base = NULL;

  ck_assert_int_eq (gather->exit_status, 0);
  ck_assert_uint_eq (g_strv_length (lines), 11);
  base = g_strndup (url, strstr (url, "/site/") - url);
  for (guint i = 0; i < 10; i++)
    assert_site_line (lines[i], i + 1, base);
}
END_TEST

START_TEST (with_standard_input_closed_it_visits_them_too)
{
  g_autoptr (Program) gather = program_run_after ("exec <&-", GATHER, NULL);

  ck_assert_str_eq (gather->err, "");
  ck_assert_int_eq (gather->exit_status, 0);
}
END_TEST

START_TEST (urls_and_a_file_together_are_wrong_usage)
{
  g_autoptr (Program) both = program_run (GATHER, "--urls", list_path, "http://127.0.0.1/", NULL);
  g_autoptr (Program) number = program_run (GATHER, "--concurrency", "-3", NULL);
  g_autoptr (Program) none = program_run (GATHER, "--concurrency", "0", NULL);
  g_autoptr (Program) seconds = program_run (GATHER, "--timeout", "0", NULL);

  ck_assert_int_eq (both->exit_status, 2);
  ck_assert_int_eq (number->exit_status, 2);
  ck_assert_int_eq (none->exit_status, 2);
  ck_assert_int_eq (seconds->exit_status, 2);
}
END_TEST

/* How many requests the server has not answered yet. */
static guint
count_waiting (MorrowTestServer *of)
{
  static const char request[] = "GET /stats HTTP/1.0\r\n\r\n";
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GSocketConnection) connection = NULL;
  char answer[4096] = "";
  const char *waiting;

  g_socket_client_set_enable_proxy (client, FALSE);
  connection = g_socket_client_connect_to_host (client, test_server_get_url (of) + strlen ("http://"), 0, NULL, NULL);
  ck_assert_ptr_nonnull (connection);
  ck_assert (g_output_stream_write_all (g_io_stream_get_output_stream (G_IO_STREAM (connection)),
                                        request, strlen (request), NULL, NULL, NULL));
  ck_assert (g_input_stream_read_all (g_io_stream_get_input_stream (G_IO_STREAM (connection)),
                                      answer, sizeof answer - 1, NULL, NULL, NULL));
  waiting = strstr (answer, "\"waiting\": ");
  ck_assert_ptr_nonnull (waiting);

  return strtoul (waiting + strlen ("\"waiting\": "), NULL, 10);
}

START_TEST (a_server_that_is_killed_fails_its_own_sites_and_no_others)
{
  guint n_at_once = g_str_equal (model_names[_i], "sequential") ? 1 : 4;
  int reserved;
  g_autoptr (MorrowTestServer) doomed = start_doomed_server (&reserved);
  g_autofree char *hang = g_strconcat (test_server_get_url (doomed), "/hang", NULL);
  g_autofree char *good = url ("/delay/1/10");
  g_autoptr (Program) gather = program_start (GATHER, "--model", model_names[_i], good, hang, hang, good, hang, hang, good, NULL);
  g_auto (GStrv) lines = NULL;

  while (count_waiting (doomed) < n_at_once)
    g_usleep (1000);
  test_server_kill (doomed);
  program_finish (gather);
  lines = g_strsplit (gather->out, "\n", -1);

  ck_assert_int_eq (gather->exit_status, 1);
  ck_assert_has (gather->err, "4 of 7 sites failed");
  ck_assert_uint_eq (g_strv_length (lines), 8);
  for (guint i = 0; i < 7; i++)
    if (i % 3 == 0)
      {
        assert_line (lines[i], 200, 10, 0.001, good, "text/plain");
      }
    else
      {
        ck_assert (g_str_has_prefix (lines[i], "--- "));
        ck_assert_has (lines[i], hang);
      }
  close (reserved);
}
END_TEST

/* As many as need more open files than the programs that are run below may have at first; each answers after so many milliseconds. */
static void
write_crowd (guint delay)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < 150; i++)
    g_string_append_printf (text, "%s/delay/%u/%u\n", test_server_get_url (server), delay, i + 1);
  write_list (text->str);
}

START_TEST (a_crowd_of_sites_has_as_many_open_files_as_there_may_be)
{
  g_autoptr (Program) gather = NULL;

  write_crowd (200);
  gather = program_run_after ("ulimit -Sn 64", GATHER, "--urls", list_path, NULL);

  ck_assert_str_eq (gather->err, "");
  ck_assert_int_eq (gather->exit_status, 0);
}
END_TEST

START_TEST (a_crowd_for_which_too_few_files_may_be_open_is_told_so)
{
  g_autoptr (Program) gather = NULL;
  g_autoptr (Program) fewer = NULL;
  g_autoptr (Program) sequential = NULL;
  g_auto (GStrv) lines = NULL;

  write_crowd (0);
  gather = program_run_after ("ulimit -n 100", GATHER, "--urls", list_path, NULL);
  lines = g_strsplit (gather->out, "\n", -1);
  ck_assert_has (gather->err, "only 100 files may be open, and 150 URLs at once take 214");
  ck_assert_uint_eq (g_strv_length (lines), 151);

  fewer = program_run_after ("ulimit -n 100", GATHER, "--urls", list_path, "--concurrency", "30", NULL);
  ck_assert_str_eq (fewer->err, "");
  ck_assert_int_eq (fewer->exit_status, 0);

  sequential = program_run_after ("ulimit -n 100", GATHER, "--urls", list_path, "--model", "sequential", NULL);
  ck_assert_str_eq (sequential->err, "");
  ck_assert_int_eq (sequential->exit_status, 0);
}
END_TEST

/* --- Ctrl-C ------------------------------------------------------------------------------------ */

/* It tells of the silent place as if it were that, and ends as the test server does, with its standard input. */
static void
write_silent_server (guint port)
{
  g_autofree char *text = g_strdup_printf ("#!/bin/sh\necho http://127.0.0.1:%u\nexec cat\n", port);

  ck_assert (g_file_set_contents (silent_path, text, -1, NULL));
  ck_assert_int_eq (chmod (silent_path, 0700), 0);
  g_setenv ("MORROW_TESTSERVER", silent_path, TRUE);
}

static pid_t
start_gather (const char *model)
{
  g_autofree char *path = program_path (GATHER);
  char *arguments[] = { path, (char *) "--model", (char *) model, NULL };
  g_autoptr (GError) error = NULL;
  GPid pid;

  if (!g_spawn_async (NULL, arguments, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, &pid, &error))
    ck_abort_msg ("%s", error->message);
  return pid;
}

/* What it leaves behind becomes a child of this process, whose own is the test server. */
static void
await_every_child (void)
{
  test_server_stop (g_steal_pointer (&server));
  while (waitpid (-1, NULL, 0) > 0)
    ;
  ck_assert_int_eq (errno, ECHILD);
}

START_TEST (ctrl_c_while_it_waits_ends_it_at_once_and_its_server_too)
{
  guint port;
  int listener = listen_on_port (64, &port), connection, status;   /* where nothing is ever answered */
  pid_t gather;

  ck_assert_int_eq (prctl (PR_SET_CHILD_SUBREAPER, 1), 0);
  write_silent_server (port);
  gather = start_gather (model_names[_i]);
  connection = accept (listener, NULL, NULL);
  ck_assert_int_ge (connection, 0);

  kill (gather, SIGINT);
  ck_assert_int_eq (waitpid (gather, &status, 0), gather);
  ck_assert (WIFSIGNALED (status));
  ck_assert_int_eq (WTERMSIG (status), SIGINT);
  await_every_child ();
  close (connection);
  close (listener);
}
END_TEST

static Suite *
gather_urls_suite (void)
{
  Suite *suite = suite_create ("gather-urls");
  TCase *sites = tcase_create ("sites");
  int n = G_N_ELEMENTS (model_names);

  tcase_add_checked_fixture (sites, set_up, tear_down);
  tcase_add_loop_test (sites, each_site_is_a_line_in_input_order_with_its_title, 0, n);
  tcase_add_test (sites, what_is_no_page_shows_its_content_type);
  tcase_add_loop_test (sites, a_failed_site_is_a_line_and_does_not_disturb_the_others, 0, n);
  tcase_add_test (sites, a_url_that_is_not_text_is_a_line_too);
  tcase_add_test (sites, who_asks_is_not_shown);
  tcase_add_test (sites, an_http_error_is_not_a_success);
  tcase_add_loop_test (sites, a_site_that_takes_too_long_times_out_alone, 0, n);
  tcase_add_test (sites, a_file_of_urls_may_have_comments_and_empty_lines);
  tcase_add_test (sites, a_file_that_cannot_be_read_stops_at_once);
  tcase_add_loop_test (sites, a_server_that_is_killed_fails_its_own_sites_and_no_others, 0, n);
  tcase_add_loop_test (sites, fewer_at_once_give_the_same_lines, 0, n);
  tcase_add_test (sites, without_urls_it_visits_ten_sites);
  tcase_add_test (sites, with_standard_input_closed_it_visits_them_too);
  tcase_add_test (sites, urls_and_a_file_together_are_wrong_usage);
  tcase_add_test (sites, a_crowd_of_sites_has_as_many_open_files_as_there_may_be);
  tcase_add_test (sites, a_crowd_for_which_too_few_files_may_be_open_is_told_so);
  tcase_add_loop_test (sites, ctrl_c_while_it_waits_ends_it_at_once_and_its_server_too, 0, n);
  suite_add_tcase (suite, sites);

  return suite;
}

MORROW_CHECK_MAIN (gather_urls_suite)
