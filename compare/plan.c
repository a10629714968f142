/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options into a plan.  Numbers that were not given follow from the URLs: all of them at once, and
 * as many threads as can be busy, up to 64.
 */
#include "config.h"

#include "plan.h"

#include <math.h>

#include "demos/urls.h"

#define MAX_DEFAULT_THREADS 64
#define MAX_THREADS         4096
#define DEFAULT_REPEAT      3
#define DEFAULT_TIMEOUT     60.0

/* A number that nobody gives. */
#define NOT_GIVEN G_MININT

/* What GOption writes to. */
typedef struct
{
  char *models;
  char *urls_path;
  GStrv urls;
  int concurrency;   /* or NOT_GIVEN */
  int threads;       /* likewise */
} RawOptions;

static gboolean
bad_value (GError **error, const char *message)
{
  g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, message);

  return FALSE;
}

static gboolean
parse_models (Plan *plan, const char *list, GError **error)
{
  g_auto (GStrv) names = NULL;

  if (list == NULL)
    {
      for (const Model *model = models; model->name != NULL; model++)
        g_ptr_array_add (plan->models, (gpointer) model);
      return TRUE;
    }

  names = g_strsplit (list, ",", -1);
  for (char **name = names; *name != NULL; name++)
    {
      const Model *model = model_find (g_strstrip (*name), error);

      if (model == NULL)
        return FALSE;
      if (!g_ptr_array_find (plan->models, model, NULL))
        g_ptr_array_add (plan->models, (gpointer) model);
    }

  return TRUE;
}

static gboolean
check_numbers (const Plan *plan, const RawOptions *raw, GError **error)
{
  if (raw->concurrency != NOT_GIVEN && raw->concurrency < 1)
    return bad_value (error, "--concurrency is a number from 1");
  if (raw->threads != NOT_GIVEN && (raw->threads < 1 || raw->threads > MAX_THREADS))
    return bad_value (error, "--threads is a number from 1 to " G_STRINGIFY (MAX_THREADS));
  if (plan->repeat < 1)
    return bad_value (error, "--repeat is a number from 1");
  if (plan->warmup < 0)
    return bad_value (error, "--warmup is a number from 0");
  if (!isfinite (plan->timeout) || plan->timeout <= 0.0)
    return bad_value (error, "--timeout is a number of seconds above 0");
  if (raw->urls != NULL && raw->urls_path != NULL)
    return bad_value (error, "give URLs or --urls, not both");

  return TRUE;
}

/* The shell passes bytes; a run gets its URLs as JSON. */
static gboolean
check_urls (const RawOptions *raw, GError **error)
{
  for (char **url = raw->urls; url != NULL && *url != NULL; url++)
    if (!g_utf8_validate (*url, -1, NULL))
      {
        g_autofree char *shown = urls_show_one (*url);
        g_autofree char *name = g_filename_display_name (shown);

        g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "'%s' is not in UTF-8", name);
        return FALSE;
      }

  return TRUE;
}

static gboolean
parse_options (Plan *plan, RawOptions *raw, int argc, char **argv, GError **error)
{
  const GOptionEntry entries[] =
  {
    { "model", 'm', 0, G_OPTION_ARG_STRING, &raw->models,
      "Models to run: sequential, loop, threads, loops (all of them)", "M[,M...]" },
    { "urls", 0, 0, G_OPTION_ARG_FILENAME, &raw->urls_path,
      "File of URLs, one a line, with # comments", "FILE" },
    { "concurrency", 'c', 0, G_OPTION_ARG_INT, &raw->concurrency,
      "URLs under way at once (all)", "N" },
    { "threads", 't', 0, G_OPTION_ARG_INT, &raw->threads,
      "Worker threads of the model threads (as many as can be busy, up to 64)", "N" },
    { "repeat", 'r', 0, G_OPTION_ARG_INT, &plan->repeat,
      "Measured runs of each model (3)", "N" },
    { "warmup", 'w', 0, G_OPTION_ARG_INT, &plan->warmup,
      "Runs of each model before those, not counted (0)", "N" },
    { "timeout", 0, 0, G_OPTION_ARG_DOUBLE, &plan->timeout,
      "Time for each URL (60)", "SECONDS" },
    { "json", 0, 0, G_OPTION_ARG_FILENAME, &plan->json_path,
      "Write every measured run to a file", "FILE" },
    { "svg", 0, 0, G_OPTION_ARG_FILENAME, &plan->svg_path,
      "Write the table and the waterfall as a picture", "FILE" },
    { "no-progress", 0, 0, G_OPTION_ARG_NONE, &plan->no_progress,
      "No progress bars", NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->urls, NULL, "[URL...]" },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  gboolean ok;

  /* The help's first line. */
  g_set_prgname ("morrow-compare gather");
  g_option_context_set_summary (context,
    "Fetches the same URLs under each model, each run in a process of its own, and compares.\n"
    "Without URLs it starts a server with ten sites, which answer after 0.1 to 1 second.");
  g_option_context_set_description (context,
    "Latency counts from the moment the gather begins, for every URL.\n"
    "Exit status: 0 when every URL succeeded in every run, 1 when not, 2 for wrong usage.");
  g_option_context_add_main_entries (context, entries, NULL);

  ok = g_option_context_parse (context, &argc, &argv, error);
  g_set_prgname ("morrow-compare");

  return ok
         && check_numbers (plan, raw, error)
         && check_urls (raw, error)
         && parse_models (plan, raw->models, error);
}

static void
clear_raw_options (RawOptions *raw)
{
  g_free (raw->models);
  g_free (raw->urls_path);
  g_strfreev (raw->urls);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RawOptions, clear_raw_options)

static gboolean
take_urls (Plan *plan, RawOptions *raw, GError **error)
{
  GStrv urls = g_steal_pointer (&raw->urls);

  if (raw->urls_path != NULL)
    {
      urls = urls_read_file (raw->urls_path, error);
      if (urls == NULL)
        return FALSE;
    }
  if (urls != NULL)
    plan_set_urls (plan, urls);
  plan->own_server = urls == NULL;

  return TRUE;
}

Plan *
plan_new (void)
{
  Plan *plan = g_new0 (Plan, 1);

  plan->models = g_ptr_array_new ();
  plan->repeat = DEFAULT_REPEAT;
  plan->timeout = DEFAULT_TIMEOUT;

  return plan;
}

Plan *
plan_new_from_arguments (int argc, char **argv, GError **error)
{
  g_autoptr (Plan) plan = plan_new ();
  g_auto (RawOptions) raw = { .concurrency = NOT_GIVEN, .threads = NOT_GIVEN };

  if (!parse_options (plan, &raw, argc, argv, error))
    return NULL;
  plan->concurrency = raw.concurrency != NOT_GIVEN ? raw.concurrency : 0;
  plan->threads = raw.threads != NOT_GIVEN ? raw.threads : 0;
  if (!take_urls (plan, &raw, error))
    return NULL;

  return g_steal_pointer (&plan);
}

void
plan_free (Plan *plan)
{
  g_ptr_array_unref (plan->models);
  g_strfreev (plan->urls);
  g_free (plan->json_path);
  g_free (plan->svg_path);
  g_free (plan);
}

void
plan_set_urls (Plan *plan, GStrv urls)
{
  plan->urls = urls;
  plan->n_urls = g_strv_length (urls);
  if (plan->concurrency == 0 || plan->concurrency > plan->n_urls)
    plan->concurrency = plan->n_urls;
  if (plan->threads == 0)
    plan->threads = MIN (plan->concurrency, MAX_DEFAULT_THREADS);
}
