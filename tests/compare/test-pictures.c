/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a comparison shows for runs that are made up here: the figures, what is said where the models
 * did not do the same work, and the pictures, letter by letter where they can be.
 */
#include "config.h"

#include <stdio.h>

#include "compare/plan.h"
#include "compare/summary.h"
#include "compare/svg.h"
#include "compare/table.h"
#include "compare/waterfall.h"
#include "demos/urls.h"
#include "morrow-check.h"

#include <string.h>

static const Terminal plain = { .is_utf8 = TRUE };

static const int widths[] = { 20, 30, 40, 60, 80, 100, 160 };

/* Four URLs of 0.1 to 0.4 s, one after another or all at once. */
static Run *
make_run (const char *model, gboolean at_once)
{
  Run *run = run_new (model_find (model, NULL), 4);
  double now = 0.0;

  for (guint i = 0; i < 4; i++)
    {
      Span *span = &run->spans[i];

      span->started = at_once ? 0.0 : now;
      span->connected = span->started;
      span->first_byte = span->started + 0.1 * (i + 1);
      span->ended = span->first_byte;
      span->ok = TRUE;
      now = span->ended;
    }
  run->wall_s = now;
  run->bytes = 4000;
  run->connections = 1;
  run_finish (run);

  return run;
}

static Summary *
make_summary (const char *model, gboolean at_once)
{
  GPtrArray *runs = g_ptr_array_new_with_free_func ((GDestroyNotify) run_free);

  g_ptr_array_add (runs, make_run (model, at_once));

  return summary_new (model_find (model, NULL), runs);
}

static GPtrArray *
make_summaries (void)
{
  GPtrArray *summaries = g_ptr_array_new_with_free_func ((GDestroyNotify) summary_free);

  g_ptr_array_add (summaries, make_summary ("sequential", FALSE));
  g_ptr_array_add (summaries, make_summary ("loop", TRUE));

  return summaries;
}

static Plan *
make_plan (void)
{
  static const char *const urls[] = { "http://h/site/1", "http://h/site/2", "http://h/site/3", "http://h/site/4", NULL };
  Plan *plan = plan_new ();

  plan->repeat = 1;
  plan_set_urls (plan, g_strdupv ((char **) urls));

  return plan;
}

START_TEST (latency_is_of_those_that_succeeded_by_nearest_rank)
{
  g_autoptr (Run) run = make_run ("loop", TRUE);

  ck_assert_double_eq_tol (run->latency_p50, 0.2, 1e-9);
  ck_assert_double_eq_tol (run->latency_p90, 0.4, 1e-9);
  ck_assert_double_eq_tol (run->latency_max, 0.4, 1e-9);

  run->spans[3].ok = FALSE;
  run_finish (run);
  ck_assert_uint_eq (run->n_ok, 3);
  ck_assert_uint_eq (run->n_failed, 1);
  ck_assert_double_eq_tol (run->latency_max, 0.3, 1e-9);
}
END_TEST

START_TEST (a_run_survives_the_way_through_json)
{
  g_autoptr (Run) run = make_run ("threads", FALSE);
  g_autoptr (JsonNode) node = run_to_json (run, TRUE);
  g_autoptr (Run) again = run_from_json (node, NULL);

  ck_assert_ptr_nonnull (again);
  ck_assert_ptr_eq (again->model, run->model);
  ck_assert_uint_eq (again->n, 4);
  ck_assert_uint_eq (again->n_ok, 4);
  ck_assert_double_eq (again->wall_s, run->wall_s);
  ck_assert_mem_eq (again->spans, run->spans, 4 * sizeof (Span));
  ck_assert_double_eq (again->latency_p90, run->latency_p90);
}
END_TEST

START_TEST (medians_are_of_all_the_runs)
{
  GPtrArray *runs = g_ptr_array_new_with_free_func ((GDestroyNotify) run_free);
  static const double walls[] = { 0.5, 0.1, 0.3 };
  g_autoptr (Summary) summary = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (walls); i++)
    {
      Run *run = make_run ("loop", TRUE);

      run->wall_s = walls[i];
      g_ptr_array_add (runs, run);
    }
  summary = summary_new (model_find ("loop", NULL), runs);

  ck_assert_double_eq (summary->wall_s, 0.3);
  ck_assert_double_eq (summary->wall_min_s, 0.1);
  ck_assert_double_eq (summary->wall_max_s, 0.5);
}
END_TEST

START_TEST (speed_up_is_against_sequential)
{
  g_autoptr (GPtrArray) summaries = make_summaries ();
  g_auto (GStrv) notes = summaries_compare (summaries);

  ck_assert_double_eq_tol (((Summary *) summaries->pdata[0])->speed_up, 1.0, 1e-9);
  ck_assert_double_eq_tol (((Summary *) summaries->pdata[1])->speed_up, 2.5, 1e-9);
  ck_assert_ptr_null (notes[0]);
}
END_TEST

START_TEST (no_speed_up_for_models_that_did_not_do_the_same_work)
{
  g_autoptr (GPtrArray) summaries = make_summaries ();
  Summary *loop = summaries->pdata[1];
  g_auto (GStrv) notes = NULL;
  g_autofree char *text = NULL;

  loop->bytes = 3000;
  notes = summaries_compare (summaries);
  text = g_strjoinv ("\n", notes);

  ck_assert_double_eq (loop->speed_up, 0.0);
  ck_assert_str_eq (text, "bytes received differ: 4000 (sequential), 3000 (loop)\n"
                          "no speed-up is given: the models did not do the same work");
}
END_TEST

START_TEST (other_numbers_of_connections_are_told)
{
  g_autoptr (GPtrArray) summaries = make_summaries ();
  g_auto (GStrv) notes = NULL;

  ((Summary *) summaries->pdata[1])->connections = 4;
  notes = summaries_compare (summaries);

  ck_assert_str_eq (notes[0], "connections opened differ, since free ones are used again: 1 (sequential), 4 (loop)");
  ck_assert_ptr_null (notes[1]);
  ck_assert_double_gt (((Summary *) summaries->pdata[1])->speed_up, 0.0);
}
END_TEST

/* The width of the widest line. */
static int
text_width (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  int width = 0;

  for (char **line = lines; *line != NULL; line++)
    width = MAX (width, terminal_text_width (*line));

  return width;
}

START_TEST (the_table_fits_the_terminal)
{
  g_autoptr (GPtrArray) summaries = make_summaries ();
  g_autoptr (GString) out = g_string_new (NULL);

  table_append (&plain, out, summaries, widths[_i]);

  ck_assert_int_le (text_width (out->str), widths[_i]);
  ck_assert (g_str_has_prefix (out->str, "model"));
  ck_assert_ptr_nonnull (strstr (out->str, "sequential"));
  ck_assert_ptr_nonnull (strstr (out->str, "wall s"));
  if (widths[_i] >= 40)
    ck_assert_ptr_nonnull (strstr (out->str, "failed"));
}
END_TEST

START_TEST (the_waterfall_is_drawn_to_one_scale)
{
  g_autoptr (GPtrArray) summaries = make_summaries ();
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (Plan) plan = make_plan ();

  waterfall_append (&plain, out, summaries, plan, 28);

  ck_assert_str_eq (out->str,
                    "sequential, 1.000 s\n"
                    "site/1  ▒█\n"
                    "site/2  ··▒▒▒█\n"
                    "site/3  ······▒▒▒▒▒█\n"
                    "site/4  ············▒▒▒▒▒▒▒█\n"
                    "\n"
                    "loop, 0.400 s\n"
                    "site/1  ▒█\n"
                    "site/2  ▒▒▒█\n"
                    "site/3  ▒▒▒▒▒█\n"
                    "site/4  ▒▒▒▒▒▒▒█\n"
                    "        0 s       0.5 s\n"
                    "\n"
                    "· waits for its turn\n"
                    "▒ waits for the first byte\n"
                    "█ receives\n");
}
END_TEST

/* Three runs that differ: the last is neither the median nor the slowest. */
static GPtrArray *
make_differing_runs (void)
{
  static const double walls[] = { 0.3, 0.5, 0.1 };
  GPtrArray *runs = g_ptr_array_new_with_free_func ((GDestroyNotify) run_free);
  GPtrArray *summaries = g_ptr_array_new_with_free_func ((GDestroyNotify) summary_free);

  for (guint i = 0; i < G_N_ELEMENTS (walls); i++)
    {
      Run *run = make_run ("loop", i == G_N_ELEMENTS (walls) - 1);

      run->wall_s = walls[i];
      g_ptr_array_add (runs, run);
    }
  g_ptr_array_add (summaries, summary_new (model_find ("loop", NULL), runs));

  return summaries;
}

START_TEST (the_table_shows_the_median_of_the_runs)
{
  g_autoptr (GPtrArray) summaries = make_differing_runs ();
  g_autoptr (GString) out = g_string_new (NULL);

  table_append (&plain, out, summaries, 40);

  ck_assert_str_eq (out->str, "model  wall s  speed-up  failed\n"
                              "loop    0.300         -       0\n");
}
END_TEST

START_TEST (the_waterfall_shows_the_last_of_the_runs)
{
  g_autoptr (GPtrArray) summaries = make_differing_runs ();
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (Plan) plan = make_plan ();

  waterfall_append (&plain, out, summaries, plan, 28);

  ck_assert (g_str_has_prefix (out->str, "loop, 0.100 s\n"
                                         "site/1  ▒▒▒▒█\n"));
}
END_TEST

START_TEST (the_waterfall_fits_the_terminal)
{
  g_autoptr (GPtrArray) summaries = make_summaries ();
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (Plan) plan = make_plan ();

  /* One whose name is cut, in letters that take two columns. */
  g_free (plan->urls[3]);
  plan->urls[3] = g_strdup ("http://h/新闻/新闻/新闻/新闻/新闻/新闻/新闻/新闻/4");
  waterfall_append (&plain, out, summaries, plan, widths[_i]);

  ck_assert_int_le (text_width (out->str), widths[_i]);
  ck_assert_ptr_null (strstr (out->str, " \n"));
  ck_assert_ptr_nonnull (strstr (out->str, "/4 "));
}
END_TEST

START_TEST (on_the_narrowest_terminal_the_waterfall_is_cut_short_not_left_out)
{
  g_autoptr (GPtrArray) summaries = make_summaries ();
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (GString) least = g_string_new (NULL);
  g_autoptr (Plan) plan = make_plan ();

  waterfall_append (&plain, out, summaries, plan, 1);
  waterfall_append (&plain, least, summaries, plan, 20);

  ck_assert_str_eq (out->str, least->str);
}
END_TEST

START_TEST (the_legend_names_what_is_drawn_and_nothing_else)
{
  g_autoptr (GPtrArray) summaries = make_summaries ();
  const Run *run = summary_last_run (summaries->pdata[1]);
  g_autoptr (GString) before = g_string_new (NULL);
  g_autoptr (GString) after = g_string_new (NULL);
  g_autoptr (Plan) plan = make_plan ();

  waterfall_append (&plain, before, summaries, plan, 160);
  run->spans[3].connected = 0.2;
  run->spans[2].ok = FALSE;
  waterfall_append (&plain, after, summaries, plan, 160);

  ck_assert (g_str_has_suffix (before->str, "\n· waits for its turn   ▒ waits for the first byte   █ receives\n"));
  ck_assert (g_str_has_suffix (after->str, "\n· waits for its turn   ░ connects   ▒ waits for the first byte   "
                                           "█ receives   × failed\n"));
}
END_TEST

START_TEST (a_locale_without_utf8_gets_plain_letters)
{
  const Terminal ascii = { .is_utf8 = FALSE };
  g_autoptr (GPtrArray) summaries = make_summaries ();
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (Plan) plan = make_plan ();

  waterfall_append (&ascii, out, summaries, plan, 80);

  ck_assert (g_str_is_ascii (out->str));
}
END_TEST

START_TEST (urls_that_are_the_same_are_numbered)
{
  g_autoptr (Plan) plan = make_plan ();
  g_auto (GStrv) different = waterfall_labels (plan, WATERFALL_MAX_LABEL);
  g_auto (GStrv) same = NULL;

  g_free (plan->urls[3]);
  plan->urls[3] = g_strdup (plan->urls[0]);
  same = waterfall_labels (plan, WATERFALL_MAX_LABEL);

  ck_assert_str_eq (different[3], "site/4");
  ck_assert_str_eq (same[0], "1: site/1");
  ck_assert_str_eq (same[3], "4: site/1");
}
END_TEST

START_TEST (urls_are_shown_without_who_asks)
{
  static const char *const cases[][2] =
  {
    { "http://h/@x?y=@z#@", "http://h/@x?y=@z#@" },
    { "http://user:secret@h:8080/@x?y=%40#z", "http://h:8080/@x?y=%40#z" },
    { "http://user@[::1]/", "http://[::1]/" },
    { "http://user:se@cret@h/", "http://h/" },
    { "http://user:sec/ret@h/", "...@h/" },
    { "http://user:secret@h:x/", "...@h:x/" },
    { "user:secret@h/", "...@h/" },
    { "//user:secret@h/", "...@h/" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *shown = urls_show_one (cases[i][0]);

      ck_assert_str_eq (shown, cases[i][1]);
    }
}
END_TEST

START_TEST (urls_that_differ_in_who_asks_are_numbered)
{
  g_autoptr (Plan) plan = make_plan ();
  g_auto (GStrv) labels = NULL;

  g_free (plan->urls[3]);
  plan->urls[3] = g_strdup ("http://user:secret@h/site/1");
  labels = waterfall_labels (plan, WATERFALL_MAX_LABEL);

  ck_assert_str_eq (labels[0], "1: site/1");
  ck_assert_str_eq (labels[3], "4: site/1");
}
END_TEST

START_TEST (a_url_that_is_too_wide_keeps_its_number_and_its_end)
{
  g_autoptr (Plan) plan = make_plan ();
  g_auto (GStrv) labels = NULL;

  g_free (plan->urls[3]);
  plan->urls[3] = g_strdup (plan->urls[0]);
  labels = waterfall_labels (plan, 8);

  ck_assert_str_eq (labels[3], "4: ..e/1");
}
END_TEST

START_TEST (of_many_urls_the_first_the_last_and_some_between_are_shown)
{
  ck_assert_uint_eq (waterfall_n_rows (10), 10);
  ck_assert_uint_eq (waterfall_n_rows (10000), WATERFALL_MAX_ROWS);
  ck_assert_uint_eq (waterfall_row_url (0, 10000), 0);
  ck_assert_uint_eq (waterfall_row_url (WATERFALL_MAX_ROWS - 1, 10000), 9999);
  for (guint row = 0; row < 10; row++)
    ck_assert_uint_eq (waterfall_row_url (row, 10), row);
  ck_assert_uint_eq (waterfall_row_url (0, 1), 0);
}
END_TEST

START_TEST (steps_of_the_axis_are_round)
{
  ck_assert_double_eq_tol (waterfall_step (5.5, 6), 1.0, 1e-12);
  ck_assert_double_eq_tol (waterfall_step (5.5, 10), 1.0, 1e-12);
  ck_assert_double_eq_tol (waterfall_step (0.9, 6), 0.2, 1e-12);
  ck_assert_double_eq_tol (waterfall_step (40.0, 10), 5.0, 1e-12);
}
END_TEST

START_TEST (the_svg_picture_is_well_formed)
{
  g_autoptr (GPtrArray) summaries = make_summaries ();
  g_autoptr (Plan) plan = make_plan ();
  g_autofree char *dir = g_dir_make_tmp (NULL, NULL);
  g_autofree char *path = g_build_filename (dir, "picture.svg", NULL);
  const GMarkupParser parser = { 0 };
  g_autoptr (GMarkupParseContext) context = g_markup_parse_context_new (&parser, 0, NULL, NULL);
  g_autofree char *svg = NULL;

  /* A URL may hold what is markup to a picture. */
  g_free (plan->urls[3]);
  plan->urls[3] = g_strdup ("http://h/?a=<b>&c");

  ck_assert (svg_write (path, plan, summaries, NULL));
  ck_assert (g_file_get_contents (path, &svg, NULL, NULL));
  ck_assert (g_markup_parse_context_parse (context, svg, -1, NULL));
  ck_assert (g_markup_parse_context_end_parse (context, NULL));
  ck_assert_ptr_nonnull (strstr (svg, "?a=&lt;b&gt;&amp;c"));
  remove (path);
  remove (dir);
}
END_TEST

static Suite *
pictures_suite (void)
{
  Suite *suite = suite_create ("pictures");
  TCase *figures = tcase_create ("figures");
  TCase *pictures = tcase_create ("pictures");

  tcase_add_test (figures, latency_is_of_those_that_succeeded_by_nearest_rank);
  tcase_add_test (figures, a_run_survives_the_way_through_json);
  tcase_add_test (figures, medians_are_of_all_the_runs);
  tcase_add_test (figures, speed_up_is_against_sequential);
  tcase_add_test (figures, no_speed_up_for_models_that_did_not_do_the_same_work);
  tcase_add_test (figures, other_numbers_of_connections_are_told);
  suite_add_tcase (suite, figures);

  tcase_add_loop_test (pictures, the_table_fits_the_terminal, 0, G_N_ELEMENTS (widths));
  tcase_add_test (pictures, the_table_shows_the_median_of_the_runs);
  tcase_add_test (pictures, the_waterfall_is_drawn_to_one_scale);
  tcase_add_test (pictures, the_waterfall_shows_the_last_of_the_runs);
  tcase_add_loop_test (pictures, the_waterfall_fits_the_terminal, 0, G_N_ELEMENTS (widths));
  tcase_add_test (pictures, on_the_narrowest_terminal_the_waterfall_is_cut_short_not_left_out);
  tcase_add_test (pictures, the_legend_names_what_is_drawn_and_nothing_else);
  tcase_add_test (pictures, a_locale_without_utf8_gets_plain_letters);
  tcase_add_test (pictures, urls_that_are_the_same_are_numbered);
  tcase_add_test (pictures, urls_are_shown_without_who_asks);
  tcase_add_test (pictures, urls_that_differ_in_who_asks_are_numbered);
  tcase_add_test (pictures, a_url_that_is_too_wide_keeps_its_number_and_its_end);
  tcase_add_test (pictures, of_many_urls_the_first_the_last_and_some_between_are_shown);
  tcase_add_test (pictures, steps_of_the_axis_are_round);
  tcase_add_test (pictures, the_svg_picture_is_well_formed);
  suite_add_tcase (suite, pictures);

  return suite;
}

MORROW_CHECK_MAIN (pictures_suite)
