/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A waterfall shows why the times differ: which URLs waited for their turn, and which waited for
 * their server at the same time.
 *
 *     site/1   ▒█
 *     site/2   ··▒▒█        waiting for its turn, then for the first byte, then the body
 *
 * All models share one axis, so that the eye compares lengths; only where the longest is so long that
 * the shortest would be a few columns does each model get an axis of its own.
 */
#include "config.h"

#include "waterfall.h"

#include <math.h>
#include <string.h>

#include "demos/urls.h"

#define MIN_WIDTH      20     /* on a terminal that is narrower its lines are broken */
#define MIN_COLUMNS    8      /* below that a model's picture says nothing */
#define COLUMNS_A_TICK 10
#define LABEL_GAP      2
#define LEGEND_GAP     3

typedef struct
{
  Ink ink;
  const char *utf8;
  const char *ascii;
  const char *legend;
} Phase;

/* Where the pictures stand, and what they turned out to show. */
typedef struct
{
  const Terminal *terminal;
  GString *out;
  GStrv labels;
  int indent;         /* of the labels, which is where the charts begin */
  int n_columns;      /* of a chart */
  guint phases;       /* a bit for each one that was drawn */
} Chart;

enum { WAITING, CONNECTING, FIRST_BYTE, BODY, FAILED, N_PHASES };

static const Phase phases[N_PHASES] =
{
  [WAITING]    = { INK_WAITING,    "·", ".", "waits for its turn" },
  [CONNECTING] = { INK_CONNECTING, "░", "-", "connects" },
  [FIRST_BYTE] = { INK_FIRST_BYTE, "▒", "=", "waits for the first byte" },
  [BODY]       = { INK_BODY,       "█", "#", "receives" },
  [FAILED]     = { INK_FAILED,     "×", "x", "failed" }
};

guint
waterfall_n_rows (guint n_urls)
{
  return MIN (n_urls, WATERFALL_MAX_ROWS);
}

guint
waterfall_row_url (guint row, guint n_urls)
{
  guint n_rows = waterfall_n_rows (n_urls);

  return n_rows <= 1 ? 0 : (guint) ((guint64) row * (n_urls - 1) / (n_rows - 1));
}

/* Bytes of the scheme and the host where all URLs have the same ones. */
static gsize
common_prefix (const GStrv urls)
{
  const char *host = strstr (urls[0], "://");
  const char *path = host != NULL ? strchr (host + strlen ("://"), '/') : NULL;
  gsize length = path != NULL ? path + 1 - urls[0] : 0;

  for (char **url = urls; *url != NULL; url++)
    if (strncmp (*url, urls[0], length) != 0 || (*url)[length] == '\0')
      return 0;

  return length;
}

static gboolean
has_duplicates (const GStrv urls)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (char **url = urls; *url != NULL; url++)
    if (!g_hash_table_add (seen, *url))
      return TRUE;

  return FALSE;
}

/* Its end, where it is too wide. */
static char *
shorten (const char *url, int width)
{
  if (terminal_text_width (url) <= width)
    return g_strdup (url);

  return g_strconcat ("..", terminal_text_end (url, width - 2), NULL);
}

GStrv
waterfall_labels (const Plan *plan, int width)
{
  GStrv labels = g_new0 (char *, plan->n_urls + 1);
  g_auto (GStrv) urls = urls_show (plan->urls);
  gsize prefix = common_prefix (urls);
  gboolean is_numbered = has_duplicates (urls);

  for (guint i = 0; i < plan->n_urls; i++)
    {
      g_autofree char *number = is_numbered ? g_strdup_printf ("%u: ", i + 1) : g_strdup ("");
      g_autofree char *url = g_utf8_make_valid (urls[i] + prefix, -1);
      g_autofree char *rest = shorten (url, width - (int) strlen (number));

      labels[i] = g_strconcat (number, rest, NULL);
    }

  return labels;
}

double
waterfall_step (double seconds, int n)
{
  double least = seconds / MAX (n, 1);
  double power = pow (10.0, floor (log10 (MAX (least, 1e-9))));

  return least <= power ? power : least <= 2 * power ? 2 * power : least <= 5 * power ? 5 * power : 10 * power;
}

/* The picture of one URL: a phase for each column. */
static int
phase_at (const Span *span, double time)
{
  if (time < span->started)
    return WAITING;
  if (time < span->connected)
    return CONNECTING;
  if (time < span->first_byte)
    return FIRST_BYTE;

  return BODY;
}

static void
append_phase (Chart *chart, int phase, const char *text)
{
  terminal_append (chart->terminal, chart->out, phases[phase].ink, text);
  chart->phases |= 1u << phase;
}

static const char *
phase_letter (const Chart *chart, int phase)
{
  return chart->terminal->is_utf8 ? phases[phase].utf8 : phases[phase].ascii;
}

/* The last column shows how it ended, however short the body was. */
static void
append_span (Chart *chart, const Span *span, double seconds_a_column)
{
  int n = CLAMP ((int) ceil (span->ended / seconds_a_column - 1e-6), 1, chart->n_columns);
  g_autoptr (GString) same = g_string_new (NULL);
  int phase = -1;

  for (int c = 0; c <= n; c++)
    {
      int next = c == n ? -1
                 : c == n - 1 ? (span->ok ? BODY : FAILED)
                 : phase_at (span, (c + 0.5) * seconds_a_column);

      if (next != phase && same->len > 0)
        {
          append_phase (chart, phase, same->str);
          g_string_truncate (same, 0);
        }
      phase = next;
      if (phase >= 0)
        g_string_append (same, phase_letter (chart, phase));
    }
}

char *
waterfall_tick (double time, double end)
{
  return end < 1.0 ? g_strdup_printf ("%g ms", round (time * 1e6) / 1e3) : g_strdup_printf ("%g s", round (time * 1e6) / 1e6);
}

/* "0 s       1 s       2 s": each number begins where its time is. */
static void
append_axis (const Chart *chart, double seconds)
{
  double step = waterfall_step (seconds, chart->n_columns / COLUMNS_A_TICK);
  g_autoptr (GString) axis = g_string_new (NULL);

  for (int i = 0; i * step <= seconds * 1.0001; i++)
    {
      g_autofree char *tick = waterfall_tick (i * step, seconds);
      int column = (int) round (i * step / seconds * chart->n_columns);

      if (column + (int) strlen (tick) > chart->n_columns)
        break;
      while ((int) axis->len < column)
        g_string_append_c (axis, ' ');
      g_string_append (axis, tick);
    }

  g_string_append_printf (chart->out, "%*s", chart->indent, "");
  terminal_append (chart->terminal, chart->out, INK_FAINT, axis->str);
  g_string_append_c (chart->out, '\n');
}

/* One entry, in a new line where it would go beyond the width; the column behind it. */
static int
append_entry (const Chart *chart, int phase, int column, int width)
{
  int needed = 2 + (int) strlen (phases[phase].legend);

  if (column > 0 && column + LEGEND_GAP + needed > width)
    {
      g_string_append_c (chart->out, '\n');
      column = 0;
    }
  else if (column > 0)
    {
      g_string_append_printf (chart->out, "%*s", LEGEND_GAP, "");
      column += LEGEND_GAP;
    }
  terminal_append (chart->terminal, chart->out, phases[phase].ink, phase_letter (chart, phase));
  g_string_append_c (chart->out, ' ');
  terminal_append_words (chart->out, phases[phase].legend, column + 2, 2, width);

  return column + needed;
}

/* Of what was drawn, and nothing else. */
static void
append_legend (const Chart *chart, int width)
{
  int column = 0;

  for (int phase = 0; phase < N_PHASES; phase++)
    if (chart->phases & 1u << phase)
      column = append_entry (chart, phase, column, width);
  g_string_append_c (chart->out, '\n');
}

static double
run_end (const Run *run)
{
  double end = 1e-6;

  for (guint i = 0; i < run->n; i++)
    end = MAX (end, run->spans[i].ended);

  return end;
}

/* The axis that all share, in seconds; 0 where each needs its own. */
static double
common_axis (GPtrArray *summaries, int n_columns)
{
  double longest = 0.0, shortest = G_MAXDOUBLE;

  for (guint i = 0; i < summaries->len; i++)
    {
      double end = run_end (summary_last_run (summaries->pdata[i]));

      longest = MAX (longest, end);
      shortest = MIN (shortest, end);
    }

  return shortest / longest * n_columns >= MIN_COLUMNS ? longest : 0.0;
}

static int
label_width (const GStrv labels)
{
  int width = 0;

  for (char **label = labels; *label != NULL; label++)
    width = MAX (width, terminal_text_width (*label));

  return width;
}

/* Without the title where the two would not fit. */
static char *
write_heading (const Summary *summary, int width)
{
  double seconds = summary_last_run (summary)->wall_s;
  g_autofree char *whole = g_strdup_printf ("%s: %s, %.3f s", summary->model->name, summary->model->title, seconds);

  if (terminal_text_width (whole) <= width)
    return g_steal_pointer (&whole);

  return g_strdup_printf ("%s, %.3f s", summary->model->name, seconds);
}

static void
append_model (Chart *chart, const Summary *summary, double axis)
{
  const Run *run = summary_last_run (summary);
  g_autofree char *heading = write_heading (summary, chart->indent + chart->n_columns);

  terminal_append (chart->terminal, chart->out, INK_BOLD, heading);
  g_string_append_c (chart->out, '\n');

  for (guint row = 0; row < waterfall_n_rows (run->n); row++)
    {
      guint i = waterfall_row_url (row, run->n);
      const char *label = chart->labels[i];

      g_string_append_printf (chart->out, "%s%*s", label, chart->indent - terminal_text_width (label), "");
      append_span (chart, &run->spans[i], axis / chart->n_columns);
      g_string_append_c (chart->out, '\n');
    }
}

static void
append_count (GString *out, const Plan *plan, int width)
{
  g_autofree char *count = g_strdup_printf ("%u of the %u URLs are shown.", waterfall_n_rows (plan->n_urls), plan->n_urls);

  terminal_append_words (out, count, 0, 0, width);
  g_string_append_c (out, '\n');
}

/* The labels take at most half of the width. */
void
waterfall_append (const Terminal *terminal, GString *out, GPtrArray *summaries, const Plan *plan, int terminal_width)
{
  int width = MAX (terminal_width, MIN_WIDTH);
  g_auto (GStrv) labels = waterfall_labels (plan, MIN (WATERFALL_MAX_LABEL, width / 2 - LABEL_GAP));
  int indent = label_width (labels) + LABEL_GAP;
  Chart chart = { .terminal = terminal, .out = out, .labels = labels, .indent = indent, .n_columns = width - indent };
  double shared = common_axis (summaries, chart.n_columns);

  for (guint i = 0; i < summaries->len; i++)
    {
      const Summary *summary = summaries->pdata[i];
      double axis = shared > 0.0 ? shared : run_end (summary_last_run (summary));

      append_model (&chart, summary, axis);
      if (shared == 0.0 || i == summaries->len - 1)
        append_axis (&chart, axis);
      g_string_append_c (out, '\n');
    }

  append_legend (&chart, width);
  if (waterfall_n_rows (plan->n_urls) < plan->n_urls)
    append_count (out, plan, width);
}
