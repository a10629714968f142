/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * morrow-compare: the same gather over URLs under each concurrency model, in numbers and pictures.
 *
 * Read on in the order of a comparison: plan.h (what to run), spawn.h and child.h (a run in its own
 * process), run.h (what it measured), summary.h (what that comes to), table.h, waterfall.h and
 * report.h (how it is shown).  headroom.h shows that the test server is not what is measured.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "compare/server/launch.h"
#include "compare/server/standard.h"
#include "demos/files.h"
#include "demos/urls.h"
#include "headroom.h"
#include "output.h"
#include "plan.h"
#include "progress.h"
#include "report.h"
#include "spawn.h"
#include "svg.h"
#include "table.h"
#include "waterfall.h"

static const char usage[] =
  "Usage:\n"
  "  morrow-compare gather [OPTION...] [URL...]   compare the models on a list of URLs\n"
  "  morrow-compare calibrate                     show that the test server is not the limit\n"
  "  morrow-compare --help | --version\n"
  "\n"
  "'morrow-compare gather --help' lists the options.\n";

/* of: the command whose help to read. */
static int
usage_error (const char *of, const char *message)
{
  g_printerr ("morrow-compare: %s\nTry '%s --help'.\n", message, of);

  return 2;
}

/* One run of every model; each time another one begins, so that none is always the first after a pause. */
static gboolean
run_round (const Plan *plan, GPtrArray *runs_by_model, int round, Progress *progress, GError **error)
{
  guint n = plan->models->len;

  for (guint i = 0; i < n; i++)
    {
      guint m = (i + round) % n;
      const Model *model = plan->models->pdata[m];
      Run *run;

      if (progress != NULL)
        progress_begin_run (progress, model, MAX (round - plan->warmup + 1, 0));
      run = spawn_run (plan, model, progress != NULL ? progress_set_done : NULL, progress, error);
      if (progress != NULL)
        progress_end_run (progress, run);

      if (run == NULL)
        return FALSE;
      if (round >= plan->warmup)
        g_ptr_array_add (runs_by_model->pdata[m], run);
      else
        run_free (run);
    }

  return TRUE;
}

/* Every round, with the bars while they last. */
static gboolean
run_rounds (const Plan *plan, GPtrArray *runs_by_model, const Terminal *terminal, GError **error)
{
  Progress *progress = terminal->is_terminal && !plan->no_progress ? progress_new (terminal, plan) : NULL;
  gboolean ok = TRUE;

  spawn_catch_signals ();
  for (int round = 0; ok && round < plan->warmup + plan->repeat; round++)
    ok = run_round (plan, runs_by_model, round, progress, error);
  g_clear_pointer (&progress, progress_free);
  spawn_release_signals ();

  return ok;
}

/* Every run, as summaries in the order of the plan's models; NULL with an error. */
static GPtrArray *
run_all (const Plan *plan, const Terminal *terminal, GError **error)
{
  g_autoptr (GPtrArray) summaries = g_ptr_array_new_with_free_func ((GDestroyNotify) summary_free);
  g_autoptr (GPtrArray) runs_by_model = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ptr_array_unref);

  for (guint m = 0; m < plan->models->len; m++)
    g_ptr_array_add (runs_by_model, g_ptr_array_new_with_free_func ((GDestroyNotify) run_free));
  if (!run_rounds (plan, runs_by_model, terminal, error))
    return NULL;

  for (guint m = 0; m < plan->models->len; m++)
    g_ptr_array_add (summaries, summary_new (plan->models->pdata[m], g_ptr_array_ref (runs_by_model->pdata[m])));

  return g_steal_pointer (&summaries);
}

static void
append_heading (GString *out, const Plan *plan, int width)
{
  g_autofree char *heading =
    g_strdup_printf ("%u URLs, %u at once, %s%d run%s of each model", plan->n_urls, plan->concurrency,
                     plan->repeat > 1 ? "median of " : "", plan->repeat, plan->repeat > 1 ? "s" : "");

  terminal_append_words (out, heading, 0, 0, width);
  g_string_append (out, "\n\n");
}

static void
append_notes (GString *out, GStrv notes, int width)
{
  for (char **note = notes; *note != NULL; note++)
    {
      g_autofree char *line = g_strconcat ("note: ", *note, NULL);

      terminal_append_words (out, line, 0, 2, width);
      g_string_append_c (out, '\n');
    }
}

/* What a full device does not take is complained of. */
static gboolean
print (const GString *out)
{
  if (terminal_write (out))
    return TRUE;

  g_printerr ("morrow-compare: the results could not be printed: %s\n", g_strerror (errno));
  return FALSE;
}

/* In a pipe the table alone, and what must be said of it beside the pipe. */
static gboolean
show_in_pipe (const Terminal *terminal, GPtrArray *summaries, GStrv notes)
{
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (GString) aside = g_string_new (NULL);
  gboolean printed;

  table_append (terminal, out, summaries, 0);
  printed = print (out);
  append_notes (aside, notes, G_MAXINT);
  g_printerr ("%s", aside->str);
  return printed;
}

static gboolean
show_on_terminal (const Terminal *terminal, const Plan *plan, GPtrArray *summaries, GStrv notes)
{
  g_autoptr (GString) out = g_string_new (NULL);
  int width = terminal_get_width ();

  append_heading (out, plan, width);
  table_append (terminal, out, summaries, width);
  append_notes (out, notes, width);
  g_string_append_c (out, '\n');
  waterfall_append (terminal, out, summaries, plan, width);
  return print (out);
}

/* Whether every URL succeeded in every run, and that could be printed. */
static gboolean
show (const Terminal *terminal, const Plan *plan, GPtrArray *summaries, GStrv notes)
{
  gboolean is_well = terminal->is_terminal ? show_on_terminal (terminal, plan, summaries, notes) : show_in_pipe (terminal, summaries, notes);

  for (guint i = 0; i < summaries->len; i++)
    is_well &= ((const Summary *) summaries->pdata[i])->n_failed == 0;

  return is_well;
}

static int
fail (const GError *error)
{
  if (error->domain == SPAWN_ERROR && error->code != 0)
    {
      signal (error->code, SIG_DFL);
      raise (error->code);
    }
  if (error->domain == G_OPTION_ERROR)
    return usage_error ("morrow-compare gather", error->message);
  g_printerr ("morrow-compare: %s\n", error->message);

  return EXIT_FAILURE;
}

/* The server runs as long as the runs do; NULL without an error where the URLs are given. */
static MorrowTestServer *
start_server (Plan *plan, GError **error)
{
  MorrowTestServer *server;

  if (!plan->own_server)
    return NULL;

  server = test_server_start (NULL, error);
  if (server != NULL)
    plan_set_urls (plan, urls_new_sites (test_server_get_url (server)));

  return server;
}

static gboolean
check_files (const Plan *plan, GError **error)
{
  return (plan->json_path == NULL || output_check (plan->json_path, error))
         && (plan->svg_path == NULL || output_check (plan->svg_path, error));
}

static gboolean
write_files (const Plan *plan, GPtrArray *summaries, GStrv command_line, GError **error)
{
  return (plan->json_path == NULL || report_write (plan->json_path, plan, summaries, command_line, error))
         && (plan->svg_path == NULL || svg_write (plan->svg_path, plan, summaries, error));
}

static int
gather_main (int argc, char **argv)
{
  /* A copy, since the options are taken out of argv. */
  g_auto (GStrv) command_line = g_strdupv (argv - 1);
  g_autoptr (GError) error = NULL;
  g_autoptr (Plan) plan = plan_new_from_arguments (argc, argv, &error);
  g_autoptr (MorrowTestServer) server = NULL;
  g_autoptr (GPtrArray) summaries = NULL;
  g_autofree char *warning = NULL;
  g_auto (GStrv) notes = NULL;
  Terminal terminal = terminal_detect ();
  gboolean is_well;

  if (plan == NULL || !check_files (plan, &error))
    return fail (error);
  server = start_server (plan, &error);
  if (error != NULL)
    return fail (error);
  warning = files_make_room (plan->concurrency);
  if (warning != NULL)
    g_printerr ("morrow-compare: %s\n", warning);

  summaries = run_all (plan, &terminal, &error);
  g_clear_pointer (&server, test_server_stop);
  if (summaries == NULL)
    return fail (error);

  notes = summaries_compare (summaries);
  is_well = show (&terminal, plan, summaries, notes);
  if (!write_files (plan, summaries, command_line, &error))
    return fail (error);

  return is_well ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main (int argc, char **argv)
{
  const char *command = argc > 1 ? argv[1] : NULL;

  g_set_prgname ("morrow-compare");
  model_set_locale ();
  standard_open ();

  if (command == NULL)
    return usage_error ("morrow-compare", "no command");
  if (g_str_equal (command, CHILD_COMMAND))
    return child_main ();
  if (g_str_equal (command, "gather"))
    return gather_main (argc - 1, argv + 1);
  if (g_str_equal (command, "calibrate"))
    return headroom_main (argc - 1, argv + 1);
  if (g_str_equal (command, "--version"))
    {
      g_print ("morrow-compare (morrow) %s\n", MORROW_VERSION_STRING);
      return EXIT_SUCCESS;
    }
  if (g_str_equal (command, "--help") || g_str_equal (command, "-h"))
    {
      g_print ("%s", usage);
      return EXIT_SUCCESS;
    }

  return usage_error ("morrow-compare", "unknown command");
}
