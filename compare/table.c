/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of the comparison.  A column is a heading, a rank and a way to write its cell; columns
 * of the lowest rank give way first when the terminal is narrow.
 */
#include "config.h"

#include "table.h"

#include <string.h>

typedef struct
{
  const char *heading;
  int rank;                 /* 0 stays always; the last to go are in bold too */
  gboolean is_text;         /* aligned to the left */
  char *(*write) (const Summary *summary);
} Column;

/* So many digits that two models differ in the first three. */
static char *
write_seconds (double seconds)
{
  return g_strdup_printf (seconds < 0.0995 ? "%.4f" : seconds < 99.95 ? "%.3f" : "%.1f", seconds);
}

static char *write_name (const Summary *s)        { return g_strdup (s->model->name); }
static char *write_title (const Summary *s)       { return g_strdup (s->model->title); }
static char *write_wall (const Summary *s)        { return write_seconds (s->wall_s); }
static char *write_p50 (const Summary *s)         { return write_seconds (s->latency_p50); }
static char *write_p99 (const Summary *s)         { return write_seconds (s->latency_p99); }
static char *write_cpu (const Summary *s)         { return g_strdup_printf ("%.1f", s->cpu_s * 1e3); }
static char *write_memory (const Summary *s)      { return g_strdup_printf ("%.1f", s->max_rss_kib / 1024.0); }
static char *write_threads (const Summary *s)     { return g_strdup_printf ("%.0f", s->threads); }
static char *write_switches (const Summary *s)    { return g_strdup_printf ("%.0f", s->ctx_switches); }
static char *write_connections (const Summary *s) { return g_strdup_printf ("%.0f", s->connections); }
static char *write_failed (const Summary *s)      { return g_strdup_printf ("%u", s->n_failed); }

static char *
write_speed_up (const Summary *summary)
{
  return summary->speed_up > 0.0 ? g_strdup_printf ("%.2fx", summary->speed_up) : g_strdup ("-");
}

static char *
write_spread (const Summary *summary)
{
  g_autofree char *least = write_seconds (summary->wall_min_s);
  g_autofree char *most = write_seconds (summary->wall_max_s);

  return g_strdup_printf ("%s-%s", least, most);
}

#define BOLD_RANK   2
#define SPREAD_RANK 7
#define TITLE_RANK  8

static const Column columns[] =
{
  { "model",    0, TRUE,  write_name        },
  { "",         TITLE_RANK, TRUE, write_title },
  { "wall s",   0, FALSE, write_wall        },
  { "min-max",  SPREAD_RANK, FALSE, write_spread },
  { "speed-up", 1, FALSE, write_speed_up    },
  { "p50 s",    5, FALSE, write_p50         },
  { "p99 s",    6, FALSE, write_p99         },
  { "CPU ms",   3, FALSE, write_cpu         },
  { "peak MiB", 3, FALSE, write_memory      },
  { "threads",  3, FALSE, write_threads     },
  { "switches", 4, FALSE, write_switches    },
  { "conns",    4, FALSE, write_connections },
  { "failed",   2, FALSE, write_failed      }
};

#define N_COLUMNS G_N_ELEMENTS (columns)
#define GAP       2

/* The cells of the table, and what each column needs. */
typedef struct
{
  guint n_rows;
  char **cells;             /* n_rows rows of N_COLUMNS */
  int widths[N_COLUMNS];
  gboolean shown[N_COLUMNS];
} Layout;

static void
write_cells (Layout *layout, GPtrArray *summaries)
{
  layout->n_rows = summaries->len;
  layout->cells = g_new0 (char *, summaries->len * N_COLUMNS + 1);

  for (guint c = 0; c < N_COLUMNS; c++)
    {
      layout->widths[c] = strlen (columns[c].heading);
      layout->shown[c] = TRUE;
      for (guint r = 0; r < summaries->len; r++)
        {
          char *cell = columns[c].write (summaries->pdata[r]);

          layout->cells[r * N_COLUMNS + c] = cell;
          layout->widths[c] = MAX (layout->widths[c], (int) strlen (cell));
        }
    }
}

static int
total_width (const Layout *layout)
{
  int width = -GAP;

  for (guint c = 0; c < N_COLUMNS; c++)
    if (layout->shown[c])
      width += layout->widths[c] + GAP;

  return width;
}

static void
hide_rank (Layout *layout, int rank)
{
  for (guint c = 0; c < N_COLUMNS; c++)
    if (columns[c].rank == rank)
      layout->shown[c] = FALSE;
}

static void
choose_columns (Layout *layout, int width, guint n_runs)
{
  if (n_runs == 1)
    hide_rank (layout, SPREAD_RANK);
  if (width == 0)
    hide_rank (layout, TITLE_RANK);
  for (int rank = TITLE_RANK; rank > 0 && width > 0 && total_width (layout) > width; rank--)
    hide_rank (layout, rank);
}

static void
append_cell (const Terminal *terminal, GString *out, const Layout *layout, guint c, Ink ink, const char *text)
{
  int padding = layout->widths[c] - (int) strlen (text);

  if (!columns[c].is_text)
    g_string_append_printf (out, "%*s", padding, "");
  terminal_append (terminal, out, ink, text);
  if (columns[c].is_text)
    g_string_append_printf (out, "%*s", padding, "");
}

static void
append_row (const Terminal *terminal, GString *out, const Layout *layout, const char *const *cells, gboolean is_heading)
{
  gboolean first = TRUE;

  for (guint c = 0; c < N_COLUMNS; c++)
    {
      Ink ink = is_heading ? INK_FAINT : columns[c].rank <= BOLD_RANK ? INK_BOLD : INK_PLAIN;

      if (!layout->shown[c])
        continue;
      if (!first)
        g_string_append_printf (out, "%*s", GAP, "");
      append_cell (terminal, out, layout, c, ink, is_heading ? columns[c].heading : cells[c]);
      first = FALSE;
    }
  g_string_append_c (out, '\n');
}

void
table_append (const Terminal *terminal, GString *out, GPtrArray *summaries, int width)
{
  Layout layout;

  write_cells (&layout, summaries);
  choose_columns (&layout, width, ((const Summary *) summaries->pdata[0])->runs->len);

  append_row (terminal, out, &layout, NULL, TRUE);
  for (guint r = 0; r < layout.n_rows; r++)
    append_row (terminal, out, &layout, (const char *const *) layout.cells + r * N_COLUMNS, FALSE);

  g_strfreev (layout.cells);
}
