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

#define MAX_LABEL      28
#define MIN_CHART      20
#define MIN_COLUMNS    8      /* below that a model's picture says nothing */
#define COLUMNS_A_TICK 10

typedef struct
{
  Ink ink;
  const char *utf8;
  const char *ascii;
  const char *legend;
} Phase;

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

GStrv
waterfall_labels (const Plan *plan)
{
  GStrv labels = g_new0 (char *, plan->n_urls + 1);
  gsize prefix = common_prefix (plan->urls);
  gboolean is_numbered = has_duplicates (plan->urls);

  for (guint i = 0; i < plan->n_urls; i++)
    {
      g_autofree char *number = is_numbered ? g_strdup_printf ("%u: ", i + 1) : g_strdup ("");
      g_autofree char *url = g_utf8_make_valid (plan->urls[i] + prefix, -1);
      g_autofree char *label = g_strconcat (number, url, NULL);
      glong length = g_utf8_strlen (label, -1);

      if (length > MAX_LABEL)
        {
          g_autofree char *end = g_utf8_substring (label, length - (MAX_LABEL - 2), length);

          labels[i] = g_strconcat ("..", end, NULL);
        }
      else
        labels[i] = g_steal_pointer (&label);
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

/* The last column shows how it ended, however short the body was. */
static void
append_span (const Terminal *terminal, GString *out, const Span *span, double seconds_a_column, int n_columns)
{
  int n = CLAMP ((int) ceil (span->ended / seconds_a_column - 1e-6), 1, n_columns);
  g_autoptr (GString) same = g_string_new (NULL);
  int phase = -1;

  for (int c = 0; c <= n; c++)
    {
      int next = c == n ? -1
                 : c == n - 1 ? (span->ok ? BODY : FAILED)
                 : phase_at (span, (c + 0.5) * seconds_a_column);

      if (next != phase && same->len > 0)
        {
          terminal_append (terminal, out, phases[phase].ink, same->str);
          g_string_truncate (same, 0);
        }
      phase = next;
      if (phase >= 0)
        g_string_append (same, terminal->is_utf8 ? phases[phase].utf8 : phases[phase].ascii);
    }
}

char *
waterfall_tick (double time, double end)
{
  return end < 1.0 ? g_strdup_printf ("%g ms", round (time * 1e6) / 1e3) : g_strdup_printf ("%g s", round (time * 1e6) / 1e6);
}

/* "0 s       1 s       2 s": each number begins where its time is. */
static void
append_axis (const Terminal *terminal, GString *out, int indent, double seconds, int n_columns)
{
  double step = waterfall_step (seconds, n_columns / COLUMNS_A_TICK);
  g_autoptr (GString) axis = g_string_new (NULL);

  for (int i = 0; i * step <= seconds * 1.0001; i++)
    {
      g_autofree char *tick = waterfall_tick (i * step, seconds);
      int column = (int) round (i * step / seconds * n_columns);

      if (column + (int) strlen (tick) > n_columns)
        break;
      while ((int) axis->len < column)
        g_string_append_c (axis, ' ');
      g_string_append (axis, tick);
    }

  g_string_append_printf (out, "%*s", indent, "");
  terminal_append (terminal, out, INK_FAINT, axis->str);
  g_string_append_c (out, '\n');
}

static void
append_legend (const Terminal *terminal, GString *out, gboolean any_failed)
{
  for (int i = 0; i < N_PHASES; i++)
    {
      if (i == FAILED && !any_failed)
        continue;
      terminal_append (terminal, out, phases[i].ink, terminal->is_utf8 ? phases[i].utf8 : phases[i].ascii);
      g_string_append_printf (out, " %s   ", phases[i].legend);
    }
  g_string_append_c (out, '\n');
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

static void
append_model (const Terminal *terminal, GString *out, const Summary *summary, const GStrv labels,
              int indent, double axis, int n_columns)
{
  const Run *run = summary_last_run (summary);
  g_autofree char *heading = g_strdup_printf ("%s: %s, %.3f s", summary->model->name, summary->model->title, run->wall_s);

  terminal_append (terminal, out, INK_BOLD, heading);
  g_string_append_c (out, '\n');

  for (guint row = 0; row < waterfall_n_rows (run->n); row++)
    {
      guint i = waterfall_row_url (row, run->n);

      g_string_append_printf (out, "%s%*s", labels[i], indent - terminal_text_width (labels[i]), "");
      append_span (terminal, out, &run->spans[i], axis / n_columns, n_columns);
      g_string_append_c (out, '\n');
    }
}

void
waterfall_append (const Terminal *terminal, GString *out, GPtrArray *summaries, const Plan *plan, int width)
{
  g_auto (GStrv) labels = waterfall_labels (plan);
  int indent = label_width (labels) + 2;
  int n_columns = MAX (width - indent, MIN_CHART);
  double shared = common_axis (summaries, n_columns);
  gboolean any_failed = FALSE;

  for (guint i = 0; i < summaries->len; i++)
    {
      const Summary *summary = summaries->pdata[i];
      double axis = shared > 0.0 ? shared : run_end (summary_last_run (summary));

      append_model (terminal, out, summary, labels, indent, axis, n_columns);
      if (shared == 0.0 || i == summaries->len - 1)
        append_axis (terminal, out, indent, axis, n_columns);
      g_string_append_c (out, '\n');
      any_failed |= summary->n_failed > 0;
    }

  append_legend (terminal, out, any_failed);
  if (waterfall_n_rows (plan->n_urls) < plan->n_urls)
    g_string_append_printf (out, "%u of the %u URLs are shown.\n", waterfall_n_rows (plan->n_urls), plan->n_urls);
}
