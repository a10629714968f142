/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Medians, and parity.  A model that did less work than the others must not look faster for it: where
 * the URLs that succeeded or their bytes differ, no speed-up is given, and where the connections do,
 * the reader is told, since a connection that is used again is work saved.
 */
#include "config.h"

#include "summary.h"

#include <stddef.h>

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

typedef double (*Figure) (const Run *run);

static double
median (GPtrArray *runs, Figure figure)
{
  g_autofree double *values = g_new (double, runs->len);
  guint n = runs->len;

  for (guint i = 0; i < n; i++)
    values[i] = figure (runs->pdata[i]);
  qsort (values, n, sizeof *values, compare_doubles);

  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2.0;
}

static double wall (const Run *run)        { return run->wall_s; }
static double cpu (const Run *run)         { return run->user_s + run->sys_s; }
static double rss (const Run *run)         { return run->max_rss_kib; }
static double threads (const Run *run)     { return run->threads; }
static double switches (const Run *run)    { return run->ctx_voluntary + run->ctx_involuntary; }
static double connections (const Run *run) { return run->connections; }
static double ok (const Run *run)          { return run->n_ok; }
static double bytes (const Run *run)       { return run->bytes; }
static double p50 (const Run *run)         { return run->latency_p50; }
static double p99 (const Run *run)         { return run->latency_p99; }

Summary *
summary_new (const Model *model, GPtrArray *runs)
{
  Summary *summary = g_new0 (Summary, 1);

  summary->model = model;
  summary->runs = runs;
  summary->wall_s = median (runs, wall);
  summary->cpu_s = median (runs, cpu);
  summary->max_rss_kib = median (runs, rss);
  summary->threads = median (runs, threads);
  summary->ctx_switches = median (runs, switches);
  summary->connections = median (runs, connections);
  summary->ok = median (runs, ok);
  summary->bytes = median (runs, bytes);
  summary->latency_p50 = median (runs, p50);
  summary->latency_p99 = median (runs, p99);

  summary->wall_min_s = G_MAXDOUBLE;
  for (guint i = 0; i < runs->len; i++)
    {
      const Run *run = runs->pdata[i];

      summary->wall_min_s = MIN (summary->wall_min_s, run->wall_s);
      summary->wall_max_s = MAX (summary->wall_max_s, run->wall_s);
      summary->n_failed += run->n_failed;
    }

  return summary;
}

void
summary_free (Summary *summary)
{
  g_ptr_array_unref (summary->runs);
  g_free (summary);
}

const Run *
summary_last_run (const Summary *summary)
{
  return summary->runs->pdata[summary->runs->len - 1];
}

static const Summary *
find_sequential (GPtrArray *summaries)
{
  for (guint i = 0; i < summaries->len; i++)
    {
      const Summary *summary = summaries->pdata[i];

      if (g_str_equal (summary->model->name, "sequential"))
        return summary;
    }

  return NULL;
}

static void
note_failures (GStrvBuilder *notes, const Summary *summary)
{
  for (guint i = 0; i < summary->runs->len; i++)
    {
      const Run *run = summary->runs->pdata[i];
      g_autofree char *note = NULL;

      if (run->n_failed == 0)
        continue;
      note = g_strdup_printf ("%s: %u of %u failed, the first: %s", run->model->name,
                              run->n_failed, run->n, run->first_failure);
      g_strv_builder_add (notes, note);
      return;
    }
}

/* "1 (sequential), 10 (loop)": one figure, for each model. */
static char *
list_figure (GPtrArray *summaries, gsize offset)
{
  GString *list = g_string_new (NULL);

  for (guint i = 0; i < summaries->len; i++)
    {
      const Summary *summary = summaries->pdata[i];

      g_string_append_printf (list, "%s%.0f (%s)", i == 0 ? "" : ", ",
                              G_STRUCT_MEMBER (double, summary, offset), summary->model->name);
    }

  return g_string_free (list, FALSE);
}

static gboolean
is_equal_for_all (GPtrArray *summaries, gsize offset)
{
  for (guint i = 1; i < summaries->len; i++)
    if (G_STRUCT_MEMBER (double, summaries->pdata[i], offset) != G_STRUCT_MEMBER (double, summaries->pdata[0], offset))
      return FALSE;

  return TRUE;
}

static void
note_difference (GStrvBuilder *notes, GPtrArray *summaries, gsize offset, const char *what)
{
  g_autofree char *list = list_figure (summaries, offset);
  g_autofree char *note = g_strdup_printf ("%s: %s", what, list);

  g_strv_builder_add (notes, note);
}

GStrv
summaries_compare (GPtrArray *summaries)
{
  g_autoptr (GStrvBuilder) notes = g_strv_builder_new ();
  const Summary *sequential = find_sequential (summaries);
  gboolean same_ok = is_equal_for_all (summaries, offsetof (Summary, ok));
  gboolean same_bytes = is_equal_for_all (summaries, offsetof (Summary, bytes));

  for (guint i = 0; i < summaries->len; i++)
    note_failures (notes, summaries->pdata[i]);
  if (!same_ok)
    note_difference (notes, summaries, offsetof (Summary, ok), "URLs that succeeded differ");
  if (!same_bytes)
    note_difference (notes, summaries, offsetof (Summary, bytes), "bytes received differ");
  if (!is_equal_for_all (summaries, offsetof (Summary, connections)))
    note_difference (notes, summaries, offsetof (Summary, connections),
                     "connections opened differ, since free ones are used again");

  if (sequential != NULL && !(same_ok && same_bytes))
    g_strv_builder_add (notes, "no speed-up is given: the models did not do the same work");
  else if (sequential != NULL)
    for (guint i = 0; i < summaries->len; i++)
      {
        Summary *summary = summaries->pdata[i];

        summary->speed_up = sequential->wall_s / MAX (summary->wall_s, 1e-9);
      }

  return g_strv_builder_end (notes);
}
