/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* morrow-compare as a person and as another tool runs it: structure, never time. */
#include "config.h"

#include <json-glib/json-glib.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "compare/server/launch.h"
#include "morrow-check.h"
#include "program.h"

#define COMPARE "compare/morrow-compare"

#define ck_assert_has(text, part) \
  ck_assert_msg (strstr ((text), (part)) != NULL, "'%s' is not in:\n%s", (part), (text))
#define ck_assert_has_not(text, part) \
  ck_assert_msg (strstr ((text), (part)) == NULL, "'%s' is in:\n%s", (part), (text))

static MorrowTestServer *server;
static char *dir;
static char *json_path;
static char *good;
static char *slow;

static void
set_up (void)
{
  g_autoptr (GError) error = NULL;

  server = test_server_start (NULL, &error);
  if (server == NULL)
    ck_abort_msg ("%s", error->message);
  dir = g_dir_make_tmp (NULL, NULL);
  json_path = g_build_filename (dir, "runs.json", NULL);
  good = g_strconcat (test_server_get_url (server), "/delay/2/100", NULL);
  slow = g_strconcat (test_server_get_url (server), "/hang", NULL);
}

static void
tear_down (void)
{
  remove (json_path);
  remove (dir);
  g_free (json_path);
  g_free (dir);
  g_free (good);
  g_free (slow);
  test_server_stop (server);
}

static JsonParser *
load_json (void)
{
  JsonParser *parser = json_parser_new ();

  ck_assert (json_parser_load_from_file (parser, json_path, NULL));

  return parser;
}

static JsonObject *
root (JsonParser *parser)
{
  return json_node_get_object (json_parser_get_root (parser));
}

static JsonObject *
manifest (JsonParser *parser, const char *part)
{
  return json_object_get_object_member (json_object_get_object_member (root (parser), "manifest"), part);
}

static JsonObject *
run_at (JsonParser *parser, guint i)
{
  return json_array_get_object_element (json_object_get_array_member (root (parser), "runs"), i);
}

/* The path of a list of URLs, which is gone with it. */
typedef struct
{
  char *path;
} UrlFile;

static void
url_file_clear (UrlFile *file)
{
  remove (file->path);
  g_free (file->path);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (UrlFile, url_file_clear)

static UrlFile
write_urls (const char *url, guint n)
{
  UrlFile file = { g_build_filename (dir, "urls", NULL) };
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < n; i++)
    g_string_append_printf (text, "%s\n", url);
  ck_assert (g_file_set_contents (file.path, text->str, -1, NULL));

  return file;
}

static void
assert_number (JsonObject *object, const char *name, gboolean is_integer)
{
  JsonNode *node = json_object_get_member (object, name);

  ck_assert_msg (node != NULL && JSON_NODE_HOLDS_VALUE (node), "no %s", name);
  ck_assert_msg (json_node_get_value_type (node) == (is_integer ? G_TYPE_INT64 : G_TYPE_DOUBLE), "%s has another type", name);
}

/* Of a run's process: main's, and the thread sanitizer's own. */
#ifdef MORROW_CHECK_TSAN
# define N_OTHER_THREADS 2
#else
# define N_OTHER_THREADS 1
#endif

static void
assert_run (JsonObject *run, const char *model, gint64 n)
{
  static const char *const integers[] =
  {
    "n", "ok", "failed", "max_rss_kib", "threads", "ctx_voluntary", "ctx_involuntary", "connections", "bytes"
  };
  static const char *const doubles[] = { "wall_s", "user_s", "sys_s" };
  static const char *const percentiles[] = { "p50", "p90", "p99", "max" };
  JsonObject *latency = json_object_get_object_member (run, "latency_s");

  ck_assert_str_eq (json_object_get_string_member (run, "model"), model);
  for (guint i = 0; i < G_N_ELEMENTS (integers); i++)
    assert_number (run, integers[i], TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (doubles); i++)
    assert_number (run, doubles[i], FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (percentiles); i++)
    assert_number (latency, percentiles[i], FALSE);

  ck_assert_int_eq (json_object_get_int_member (run, "n"), n);
  ck_assert_int_eq (json_object_get_int_member (run, "ok") + json_object_get_int_member (run, "failed"), n);
  ck_assert_double_gt (json_object_get_double_member (run, "wall_s"), 0.0);
  ck_assert_int_gt (json_object_get_int_member (run, "max_rss_kib"), 0);
  ck_assert_int_ge (json_object_get_int_member (run, "threads"), 1);
}

START_TEST (json_has_a_manifest_and_every_measured_run)
{
  g_autoptr (Program) compare = program_run (COMPARE, "gather", "--repeat", "2", "--warmup", "1",
                                             "--json", json_path, good, good, good, NULL);
  g_autoptr (JsonParser) parser = NULL;
  static const char *const models[] = { "sequential", "loop", "threads", "loops" };
  JsonObject *manifest;
  JsonArray *runs;

  ck_assert_int_eq (compare->exit_status, 0);
  parser = load_json ();
  manifest = json_object_get_object_member (root (parser), "manifest");
  runs = json_object_get_array_member (root (parser), "runs");

  ck_assert_int_gt (json_object_get_int_member (json_object_get_object_member (manifest, "machine"), "processors"), 0);
  ck_assert_ptr_nonnull (json_object_get_string_member (json_object_get_object_member (manifest, "versions"), "curl"));
  ck_assert_uint_ge (json_array_get_length (json_object_get_array_member (manifest, "command_line")), 4);

  ck_assert_uint_eq (json_array_get_length (runs), 8);
  for (guint i = 0; i < 8; i++)
    {
      JsonObject *run = json_array_get_object_element (runs, i);

      assert_run (run, models[i % 4], 3);
      ck_assert_int_eq (json_object_get_int_member (run, "ok"), 3);
      ck_assert_int_eq (json_object_get_int_member (run, "bytes"), 300);
    }
}
END_TEST

START_TEST (connections_and_threads_are_those_of_the_model)
{
  g_autoptr (Program) compare = program_run (COMPARE, "gather", "--repeat", "1", "--model", "sequential,loop",
                                             "--json", json_path, good, good, good, NULL);
  g_autoptr (JsonParser) parser = NULL;
  JsonArray *runs;
  JsonObject *sequential, *loop;

  ck_assert_int_eq (compare->exit_status, 0);
  parser = load_json ();
  runs = json_object_get_array_member (root (parser), "runs");
  sequential = json_array_get_object_element (runs, 0);
  loop = json_array_get_object_element (runs, 1);

  ck_assert_int_eq (json_object_get_int_member (sequential, "connections"), 1);
  ck_assert_int_eq (json_object_get_int_member (loop, "connections"), 3);
}
END_TEST

/* Beside the workers and the loops there is main, which waits for them; a worker starts when there is something to do
 * for one more. */
START_TEST (threads_are_as_many_as_can_be_busy_and_loops_as_many_as_cores)
{
  static const struct
  {
    guint n_urls;
    const char *option, *value;
    guint n_threads;
  } cases[] =
  {
    { 3,   "--timeout",     "60",  3  },
    { 100, "--timeout",     "60",  64 },
    { 100, "--concurrency", "7",   7  },
    { 3,   "--concurrency", "100", 3  },
    { 3,   "--threads",     "5",   5  }
  };
  g_auto (UrlFile) urls = write_urls (good, cases[_i].n_urls);
  g_autoptr (Program) compare = program_run (COMPARE, "gather", "--repeat", "1", "--model", "threads,loops", "--json", json_path,
                                             "--urls", urls.path, cases[_i].option, cases[_i].value, NULL);
  g_autoptr (JsonParser) parser = NULL;

  ck_assert_int_eq (compare->exit_status, 0);
  parser = load_json ();
  ck_assert_int_eq (json_object_get_int_member (manifest (parser, "settings"), "threads"), cases[_i].n_threads);
  ck_assert_int_eq (json_object_get_int_member (manifest (parser, "settings"), "loops"), g_get_num_processors ());
  ck_assert_int_gt (json_object_get_int_member (run_at (parser, 0), "threads"), 2);
  ck_assert_int_le (json_object_get_int_member (run_at (parser, 0), "threads"), cases[_i].n_threads + N_OTHER_THREADS);
  ck_assert_int_eq (json_object_get_int_member (run_at (parser, 1), "threads"), g_get_num_processors () + N_OTHER_THREADS);
}
END_TEST

/* The server never answers early: more than two at once would be done sooner. */
START_TEST (concurrency_bounds_how_many_run_at_once_under_every_model)
{
  g_autofree char *url = g_strconcat (test_server_get_url (server), "/delay/50/10", NULL);
  g_auto (UrlFile) urls = write_urls (url, 8);
  g_autoptr (Program) compare = program_run (COMPARE, "gather", "--repeat", "1", "--concurrency", "2", "--threads", "8",
                                             "--json", json_path, "--urls", urls.path, NULL);
  g_autoptr (JsonParser) parser = NULL;

  ck_assert_int_eq (compare->exit_status, 0);
  parser = load_json ();
  for (guint i = 0; i < 4; i++)
    ck_assert_double_ge (json_object_get_double_member (run_at (parser, i), "wall_s"), 8 / 2 * 0.050);
}
END_TEST

/* The answer of /stats has the number of the request in it, and so another length from the tenth on. */
START_TEST (figures_are_of_the_measured_runs_and_never_of_a_warm_up)
{
  g_autofree char *url = g_strconcat (test_server_get_url (server), "/stats", NULL);
  g_autoptr (Program) compare = program_run (COMPARE, "gather", "--model", "sequential", "--warmup", "9", "--repeat", "2",
                                             "--json", json_path, url, NULL);
  g_autoptr (JsonParser) parser = load_json ();
  g_autoptr (Program) twelfth = program_run (COMPARE, "gather", "--model", "sequential", "--repeat", "1",
                                             "--json", json_path, url, NULL);
  g_autoptr (JsonParser) wanted = load_json ();

  ck_assert_int_eq (compare->exit_status, 0);
  ck_assert_int_eq (twelfth->exit_status, 0);
  ck_assert_uint_eq (json_array_get_length (json_object_get_array_member (root (parser), "runs")), 2);
  for (guint i = 0; i < 2; i++)
    ck_assert_int_eq (json_object_get_int_member (run_at (parser, i), "bytes"),
                      json_object_get_int_member (run_at (wanted, 0), "bytes"));
}
END_TEST

/* Whom this process starts has its limits. */
static void
limit_files (rlim_t soft, rlim_t hard)
{
  const struct rlimit limit = { soft, hard };

  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &limit), 0);
}

/* No connection becomes free for another request as long as the server has not answered any. */
START_TEST (the_limit_of_open_files_is_raised_as_far_as_it_takes)
{
  g_autofree char *late = g_strconcat (test_server_get_url (server), "/delay/2000/100", NULL);
  g_auto (UrlFile) urls = write_urls (late, 100);
  g_autoptr (Program) compare = NULL;
  g_autoptr (JsonParser) parser = NULL;

  limit_files (40, 256);
  compare = program_run (COMPARE, "gather", "--model", "loop", "--repeat", "1", "--json", json_path, "--urls", urls.path, NULL);

  ck_assert_int_eq (compare->exit_status, 0);
  ck_assert_has_not (compare->err, "files may be open");
  parser = load_json ();
  ck_assert_int_eq (json_object_get_int_member (manifest (parser, "machine"), "max_open_files"), 256);
  ck_assert_int_eq (json_object_get_int_member (run_at (parser, 0), "connections"), 100);
}
END_TEST

START_TEST (a_limit_of_open_files_that_is_too_low_is_told_and_the_rest_goes_on)
{
  g_auto (UrlFile) urls = write_urls (good, 100);
  g_autoptr (Program) compare = NULL;
  g_autoptr (JsonParser) parser = NULL;

  limit_files (40, 80);
  compare = program_run (COMPARE, "gather", "--model", "loop", "--repeat", "1", "--json", json_path, "--urls", urls.path, NULL);

  ck_assert_has (compare->err, "only 80 files may be open, and 100 URLs at once take 164: some will fail. "
                               "Raise the limit (ulimit -Hn), or give --concurrency.");
  parser = load_json ();
  assert_run (run_at (parser, 0), "loop", 100);
  ck_assert_int_gt (json_object_get_int_member (run_at (parser, 0), "ok"), 0);
}
END_TEST

START_TEST (in_a_pipe_there_is_the_table_alone)
{
  g_autoptr (Program) compare = program_run (COMPARE, "gather", "--repeat", "1", good, good, NULL);
  g_auto (GStrv) lines = g_strsplit (compare->out, "\n", -1);

  ck_assert_int_eq (compare->exit_status, 0);
  ck_assert_uint_eq (g_strv_length (lines), 6);
  ck_assert (g_str_has_prefix (lines[0], "model "));
  ck_assert (g_str_has_prefix (lines[1], "sequential "));
  ck_assert (g_str_has_prefix (lines[2], "loop "));
  ck_assert (g_str_has_prefix (lines[3], "threads "));
  ck_assert (g_str_has_prefix (lines[4], "loops "));
  ck_assert_has_not (compare->out, "\033");
}
END_TEST

START_TEST (on_a_terminal_there_are_bars_a_table_and_a_waterfall)
{
  g_autoptr (Program) compare = program_run_on_terminal (80, NULL, COMPARE, "gather", "--repeat", "1", good, good, NULL);
  const char *shown, *hidden;

  ck_assert_int_eq (compare->exit_status, 0);
  ck_assert_has (compare->out, "speed-up");
  ck_assert_has (compare->out, "waits for the first byte");
  ck_assert_has (compare->out, "\033[?25l");

  /* The cursor is back at the end. */
  shown = g_strrstr (compare->out, "\033[?25h");
  hidden = g_strrstr (compare->out, "\033[?25l");
  ck_assert_ptr_nonnull (shown);
  ck_assert (shown > hidden);
}
END_TEST

START_TEST (without_progress_the_terminal_shows_the_rest)
{
  g_autoptr (Program) compare = program_run_on_terminal (80, NULL, COMPARE, "gather", "--no-progress", "--repeat", "1", good, NULL);

  ck_assert_int_eq (compare->exit_status, 0);
  ck_assert_has_not (compare->out, "\033[?25l");
  ck_assert_has (compare->out, "waits for the first byte");
}
END_TEST

START_TEST (all_that_is_shown_fits_a_narrow_terminal)
{
  static const int widths[] = { 20, 30, 40, 60 };
  g_autoptr (Program) compare = program_run_on_terminal (widths[_i], NULL, COMPARE, "gather", "--no-progress",
                                                         "--repeat", "2", good, good, good, NULL);
  g_autoptr (GRegex) colour = g_regex_new ("\033\\[[0-9]*m", 0, 0, NULL);
  g_autofree char *plain = g_regex_replace_literal (colour, compare->out, -1, 0, "", 0, NULL);
  g_auto (GStrv) lines = g_strsplit (plain, "\r\n", -1);

  ck_assert_int_eq (compare->exit_status, 0);
  ck_assert_has (compare->out, "note: ");
  for (char **line = lines; *line != NULL; line++)
    ck_assert_msg (g_utf8_strlen (*line, -1) <= widths[_i], "beyond %d columns: %s", widths[_i], *line);
}
END_TEST

START_TEST (failures_are_counted_named_and_end_in_status_1)
{
  g_autofree char *dropped = g_strconcat (test_server_get_url (server), "/drop", NULL);
  g_autofree char *missing = g_strconcat (test_server_get_url (server), "/status/404", NULL);
  g_autoptr (Program) compare = program_run (COMPARE, "gather", "--repeat", "1", "--json", json_path,
                                             good, dropped, missing, "no url at all", good, NULL);
  g_autoptr (JsonParser) parser = NULL;
  JsonArray *runs;

  ck_assert_int_eq (compare->exit_status, 1);
  ck_assert_has (compare->err, "3 of 5 failed");
  parser = load_json ();
  runs = json_object_get_array_member (root (parser), "runs");
  for (guint i = 0; i < json_array_get_length (runs); i++)
    ck_assert_int_eq (json_object_get_int_member (json_array_get_object_element (runs, i), "failed"), 3);
}
END_TEST

/* Each of these would show it: a label, a failure's text, the command line. */
START_TEST (who_asks_is_shown_nowhere)
{
  const char *rest = test_server_get_url (server) + strlen ("http://");
  g_autofree char *well = g_strdup_printf ("http://user:secret@%s/delay/1/10", rest);
  g_autofree char *missing = g_strdup_printf ("http://user:secret@%s/status/404", rest);
  g_autofree char *svg_path = g_build_filename (dir, "picture.svg", NULL);
  g_autoptr (Program) compare =
    program_run_on_terminal (160, NULL, COMPARE, "gather", "--repeat", "1", "--json", json_path, "--svg", svg_path,
                             well, missing, "http://user:sec/secret@127.0.0.1/", NULL);
  g_autofree char *json = NULL;
  g_autofree char *svg = NULL;

  ck_assert_int_eq (compare->exit_status, 1);
  ck_assert (g_file_get_contents (json_path, &json, NULL, NULL));
  ck_assert (g_file_get_contents (svg_path, &svg, NULL, NULL));
  remove (svg_path);
  ck_assert_has (compare->out, "/status/404: HTTP status 404");
  ck_assert_has (compare->out, "...@127.0.0.1/");
  ck_assert_has (svg, "...@127.0.0.1/");
  ck_assert_has (json, "/status/404\"");
  ck_assert_has_not (compare->out, "secret");
  ck_assert_has_not (svg, "secret");
  ck_assert_has_not (json, "secret");
}
END_TEST

START_TEST (a_url_that_takes_too_long_fails_by_its_timeout)
{
  g_autoptr (Program) compare = program_run (COMPARE, "gather", "--model", "loop", "--repeat", "1", "--timeout", "0.2",
                                             slow, good, NULL);

  ck_assert_int_eq (compare->exit_status, 1);
  ck_assert_has (compare->err, "1 of 2 failed");
}
END_TEST

START_TEST (a_file_that_cannot_be_read_stops_at_once)
{
  g_autoptr (Program) compare = program_run (COMPARE, "gather", "--urls", "/nowhere/at/all", NULL);

  ck_assert_int_eq (compare->exit_status, 1);
  ck_assert_has (compare->err, "/nowhere/at/all");
  ck_assert_str_eq (compare->out, "");
}
END_TEST

/* Nothing ran where there is no table. */
START_TEST (a_file_that_cannot_be_written_is_an_error_before_the_first_run)
{
  static const char *const options[] = { "--json", "--svg" };
  g_autofree char *fifo = g_build_filename (dir, "fifo", NULL);
  const char *const paths[] = { "/nowhere/at/all", dir, fifo };
  const char *path = paths[_i / 2];
  g_autoptr (Program) compare = NULL;

  ck_assert_int_eq (mkfifo (fifo, 0600), 0);
  compare = program_run (COMPARE, "gather", "--model", "loop", "--repeat", "1", options[_i % 2], path, good, NULL);
  remove (fifo);

  ck_assert_int_eq (compare->exit_status, 1);
  ck_assert_has (compare->err, path);
  ck_assert_str_eq (compare->out, "");
}
END_TEST

START_TEST (an_existing_file_outlives_a_comparison_that_fails)
{
  g_autofree char *text = NULL;
  g_autoptr (Program) compare = NULL;
  g_autoptr (GDir) files = NULL;

  ck_assert (g_file_set_contents (json_path, "old", -1, NULL));
  compare = program_run_on_terminal (80, "sequential", COMPARE, "gather", "--model", "sequential",
                                     "--json", json_path, slow, NULL);
  files = g_dir_open (dir, 0, NULL);

  ck_assert_int_eq (compare->signal, SIGINT);
  ck_assert (g_file_get_contents (json_path, &text, NULL, NULL));
  ck_assert_str_eq (text, "old");
  ck_assert_str_eq (g_dir_read_name (files), "runs.json");
  ck_assert_ptr_null (g_dir_read_name (files));
}
END_TEST

START_TEST (wrong_usage_is_explained_with_status_2)
{
  g_autoptr (Program) nothing = program_run (COMPARE, NULL);
  g_autoptr (Program) command = program_run (COMPARE, "juggle", NULL);
  g_autoptr (Program) model = program_run (COMPARE, "gather", "--model", "loop,quantum", NULL);
  g_autoptr (Program) repeat = program_run (COMPARE, "gather", "--repeat", "0", NULL);
  g_autoptr (Program) both = program_run (COMPARE, "gather", "--urls", "x", good, NULL);
  g_autoptr (Program) option = program_run (COMPARE, "gather", "--quietly", NULL);

  ck_assert_int_eq (nothing->exit_status, 2);
  ck_assert_int_eq (command->exit_status, 2);
  ck_assert_int_eq (model->exit_status, 2);
  ck_assert_has (model->err, "unknown model 'quantum'");
  ck_assert_int_eq (repeat->exit_status, 2);
  ck_assert_int_eq (both->exit_status, 2);
  ck_assert_int_eq (option->exit_status, 2);
}
END_TEST

START_TEST (numbers_begin_at_one_and_wrong_ones_point_at_the_help)
{
  static const char *const options[][3] =
  {
    { "--threads", "0", "--threads is a number from 1 to 4096" },
    { "--threads", "-1", "--threads is a number from 1 to 4096" },
    { "--threads", "4097", "--threads is a number from 1 to 4096" },
    { "--concurrency", "0", "--concurrency is a number from 1" },
    { "--concurrency", "-1", "--concurrency is a number from 1" },
    { "--repeat", "0", "--repeat is a number from 1" },
    { "--timeout", "0", "--timeout is a number of seconds above 0" }
  };

  for (guint i = 0; i < G_N_ELEMENTS (options); i++)
    {
      g_autoptr (Program) compare = program_run (COMPARE, "gather", options[i][0], options[i][1], good, NULL);

      ck_assert_int_eq (compare->exit_status, 2);
      ck_assert_has (compare->err, options[i][2]);
      ck_assert_has (compare->err, "Try 'morrow-compare gather --help'.");
    }
}
END_TEST

START_TEST (help_and_version_are_answered)
{
  g_autoptr (Program) help = program_run (COMPARE, "--help", NULL);
  g_autoptr (Program) gather_help = program_run (COMPARE, "gather", "--help", NULL);
  g_autoptr (Program) version = program_run (COMPARE, "--version", NULL);

  ck_assert_int_eq (help->exit_status, 0);
  ck_assert_has (help->out, "gather");
  ck_assert_int_eq (gather_help->exit_status, 0);
  ck_assert_has (gather_help->out, "--concurrency");
  ck_assert_int_eq (version->exit_status, 0);
  ck_assert_has (version->out, "(morrow) ");
}
END_TEST

START_TEST (interrupted_it_ends_by_the_signal_and_shows_the_cursor)
{
  g_autoptr (Program) compare = program_run_on_terminal (80, "sequential", COMPARE, "gather",
                                                         "--model", "sequential", slow, NULL);
  const char *shown = g_strrstr (compare->out, "\033[?25h"), *hidden = g_strrstr (compare->out, "\033[?25l");

  ck_assert_int_eq (compare->signal, SIGINT);
  ck_assert_ptr_nonnull (hidden);
  ck_assert_ptr_nonnull (shown);
  ck_assert (shown > hidden);
}
END_TEST

START_TEST (a_redirect_to_what_is_not_text_fails_alone)
{
  g_autofree char *bytes = g_strconcat (test_server_get_url (server), "/redirect-to?url=ftp://%ff%1b/", NULL);
  g_autoptr (Program) compare = program_run (COMPARE, "gather", "--repeat", "1", "--model", "loop,threads",
                                             "--json", json_path, good, bytes, NULL);
  g_autoptr (JsonParser) parser = load_json ();
  JsonArray *runs = json_object_get_array_member (root (parser), "runs");

  ck_assert_int_eq (compare->exit_status, 1);
  ck_assert_uint_eq (json_array_get_length (runs), 2);
  for (guint i = 0; i < 2; i++)
    ck_assert_int_eq (json_object_get_int_member (json_array_get_object_element (runs, i), "failed"), 1);
  ck_assert_has (compare->err, "ftp://%FF%1B/");
  ck_assert_ptr_null (strchr (compare->err, '\033'));
}
END_TEST

START_TEST (a_url_that_is_not_text_is_named)
{
  g_autoptr (Program) compare = program_run (COMPARE, "gather", good, "http://127.0.0.1/odd\xff", NULL);

  ck_assert_int_eq (compare->exit_status, 2);
  ck_assert_has (compare->err, "http://127.0.0.1/odd");
  ck_assert_has (compare->err, "UTF-8");
}
END_TEST

START_TEST (with_standard_input_closed_it_runs_too)
{
  g_autoptr (Program) given = program_run_after ("exec <&-", COMPARE, "gather", "--repeat", "1", "--model", "loop", good, NULL);
  g_autoptr (Program) sites = program_run_after ("exec <&-", COMPARE, "gather", "--repeat", "1", "--model", "loop", NULL);

  ck_assert_msg (given->exit_status == 0, "%s", given->err);
  ck_assert_msg (sites->exit_status == 0, "%s", sites->err);
}
END_TEST

START_TEST (results_that_a_full_device_does_not_take_end_in_status_1)
{
  g_autoptr (Program) compare = program_run_after ("exec >/dev/full", COMPARE, "gather", "--repeat", "1", "--model", "loop", good, NULL);

  ck_assert_int_eq (compare->exit_status, 1);
  ck_assert_ptr_nonnull (strstr (compare->err, "morrow-compare: the results could not be printed"));
}
END_TEST

START_TEST (without_urls_the_ten_sites_run_in_each_model)
{
  g_autoptr (Program) compare = program_run (COMPARE, "gather", "--repeat", "1", "--json", json_path, NULL);
  g_autoptr (JsonParser) parser = NULL;
  static const char *const models[] = { "sequential", "loop", "threads", "loops" };
  JsonArray *runs;

  ck_assert_int_eq (compare->exit_status, 0);
  parser = load_json ();
  runs = json_object_get_array_member (root (parser), "runs");
  ck_assert_uint_eq (json_array_get_length (runs), 4);
  for (guint i = 0; i < 4; i++)
    {
      assert_run (json_array_get_object_element (runs, i), models[i], 10);
      ck_assert_int_eq (json_object_get_int_member (json_array_get_object_element (runs, i), "ok"), 10);
    }
}
END_TEST

static Suite *
compare_suite (void)
{
  Suite *suite = suite_create ("morrow-compare");
  TCase *runs = tcase_create ("runs");
  TCase *shows = tcase_create ("shows");
  TCase *errors = tcase_create ("errors");

  tcase_add_checked_fixture (runs, set_up, tear_down);
  tcase_add_test (runs, json_has_a_manifest_and_every_measured_run);
  tcase_add_test (runs, connections_and_threads_are_those_of_the_model);
  tcase_add_test (runs, a_redirect_to_what_is_not_text_fails_alone);
  tcase_add_test (runs, a_url_that_is_not_text_is_named);
  tcase_add_test (runs, with_standard_input_closed_it_runs_too);
  tcase_add_test (runs, results_that_a_full_device_does_not_take_end_in_status_1);
  tcase_add_test (runs, without_urls_the_ten_sites_run_in_each_model);
  tcase_add_loop_test (runs, threads_are_as_many_as_can_be_busy_and_loops_as_many_as_cores, 0, 5);
  tcase_add_test (runs, concurrency_bounds_how_many_run_at_once_under_every_model);
  tcase_add_test (runs, figures_are_of_the_measured_runs_and_never_of_a_warm_up);
  if (RUNNING_ON_VALGRIND == 0)   /* which needs descriptors beyond such a limit itself */
    {
      tcase_add_test (runs, the_limit_of_open_files_is_raised_as_far_as_it_takes);
      tcase_add_test (runs, a_limit_of_open_files_that_is_too_low_is_told_and_the_rest_goes_on);
    }
  suite_add_tcase (suite, runs);

  tcase_add_checked_fixture (shows, set_up, tear_down);
  tcase_add_test (shows, in_a_pipe_there_is_the_table_alone);
  tcase_add_test (shows, on_a_terminal_there_are_bars_a_table_and_a_waterfall);
  tcase_add_test (shows, without_progress_the_terminal_shows_the_rest);
  tcase_add_loop_test (shows, all_that_is_shown_fits_a_narrow_terminal, 0, 4);
  tcase_add_test (shows, interrupted_it_ends_by_the_signal_and_shows_the_cursor);
  suite_add_tcase (suite, shows);

  tcase_add_checked_fixture (errors, set_up, tear_down);
  tcase_add_test (errors, failures_are_counted_named_and_end_in_status_1);
  tcase_add_test (errors, who_asks_is_shown_nowhere);
  tcase_add_test (errors, a_url_that_takes_too_long_fails_by_its_timeout);
  tcase_add_test (errors, a_file_that_cannot_be_read_stops_at_once);
  tcase_add_loop_test (errors, a_file_that_cannot_be_written_is_an_error_before_the_first_run, 0, 6);
  tcase_add_test (errors, an_existing_file_outlives_a_comparison_that_fails);
  tcase_add_test (errors, wrong_usage_is_explained_with_status_2);
  tcase_add_test (errors, numbers_begin_at_one_and_wrong_ones_point_at_the_help);
  tcase_add_test (errors, help_and_version_are_answered);
  suite_add_tcase (suite, errors);

  return suite;
}

MORROW_CHECK_MAIN (compare_suite)
