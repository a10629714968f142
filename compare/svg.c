/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The picture, from top to bottom: the table, then for each model a waterfall, all along one axis.
 * Everything stands at an x that is fixed and a y that grows as parts are appended.
 */
#include "config.h"

#include "svg.h"

#include <string.h>

#include "waterfall.h"

#define WIDTH      900
#define MARGIN     28
#define LABEL_X    (MARGIN + 8)
#define CHART_X    150
#define CHART_WIDTH (WIDTH - CHART_X - MARGIN - 8)
#define ROW_HEIGHT 12
#define BAR_HEIGHT 8
#define LINE_HEIGHT 26

/* Legible on white for those who do not tell red from green. */
#define COLOUR_TEXT       "#1f2430"
#define COLOUR_FAINT      "#6b7280"
#define COLOUR_LINE       "#e3e6ea"
#define COLOUR_WAITING    "#d5d9df"
#define COLOUR_CONNECTING "#e9a23b"
#define COLOUR_FIRST_BYTE "#4c8bd6"
#define COLOUR_BODY       "#1d4f91"
#define COLOUR_FAILED     "#c2412d"

typedef struct
{
  GString *out;
  double y;
} Picture;

static void
add_text (Picture *picture, double x, const char *anchor, const char *style, const char *text)
{
  g_autofree char *escaped = g_markup_escape_text (text, -1);

  g_string_append_printf (picture->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">%s</text>\n",
                          x, picture->y, anchor, style, escaped);
}

static void
add_rectangle (Picture *picture, double x, double width, double height, const char *colour)
{
  if (width > 0.0)
    g_string_append_printf (picture->out, "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" fill=\"%s\"/>\n",
                            x, picture->y, width, height, colour);
}

static void
add_table_row (Picture *picture, const char *style, const char *const cells[6])
{
  static const double right_edges[] = { 0, 440, 550, 650, 740, 0 };

  add_text (picture, LABEL_X, "start", style, cells[0]);
  for (int c = 1; c < 5; c++)
    add_text (picture, right_edges[c], "end", style, cells[c]);
  add_text (picture, WIDTH - MARGIN - 8, "end", style, cells[5]);
  picture->y += LINE_HEIGHT;
}

static void
add_table (Picture *picture, GPtrArray *summaries)
{
  const char *const headings[] = { "model", "wall time", "speed-up", "CPU time", "threads", "connections" };

  add_table_row (picture, "faint", headings);
  for (guint i = 0; i < summaries->len; i++)
    {
      const Summary *summary = summaries->pdata[i];
      g_autofree char *name = g_strdup_printf ("%s: %s", summary->model->name, summary->model->title);
      g_autofree char *wall = g_strdup_printf ("%.3f s", summary->wall_s);
      g_autofree char *speed_up = summary->speed_up > 0.0 ? g_strdup_printf ("%.2f×", summary->speed_up) : g_strdup ("–");
      g_autofree char *cpu = g_strdup_printf ("%.1f ms", summary->cpu_s * 1e3);
      g_autofree char *threads = g_strdup_printf ("%.0f", summary->threads);
      g_autofree char *connections = g_strdup_printf ("%.0f", summary->connections);

      add_table_row (picture, "cell", (const char *const[]) { name, wall, speed_up, cpu, threads, connections });
    }
}

static void
add_span (Picture *picture, const Span *span, double scale)
{
  double end = MAX (span->ended * scale, 2.0);
  double started = MIN (span->started * scale, end), connected = CLAMP (span->connected * scale, started, end);
  double first_byte = CLAMP (span->first_byte * scale, connected, end);

  add_rectangle (picture, CHART_X, started, BAR_HEIGHT, COLOUR_WAITING);
  add_rectangle (picture, CHART_X + started, connected - started, BAR_HEIGHT, COLOUR_CONNECTING);
  add_rectangle (picture, CHART_X + connected, first_byte - connected, BAR_HEIGHT, COLOUR_FIRST_BYTE);
  add_rectangle (picture, CHART_X + first_byte, end - first_byte, BAR_HEIGHT, COLOUR_BODY);
  /* The end is marked, however short the body was. */
  add_rectangle (picture, CHART_X + end - 2.0, 2.0, BAR_HEIGHT, span->ok ? COLOUR_BODY : COLOUR_FAILED);
}

static void
add_model (Picture *picture, const Summary *summary, const GStrv labels, double scale)
{
  const Run *run = summary_last_run (summary);
  g_autofree char *heading = g_strdup_printf ("%s: %s, %.3f s", summary->model->name, summary->model->title, run->wall_s);

  add_text (picture, LABEL_X, "start", "heading", heading);
  picture->y += 10;
  for (guint row = 0; row < waterfall_n_rows (run->n); row++)
    {
      guint i = waterfall_row_url (row, run->n);

      add_span (picture, &run->spans[i], scale);
      picture->y += BAR_HEIGHT;
      add_text (picture, CHART_X - 10, "end", "label", labels[i]);
      picture->y += ROW_HEIGHT - BAR_HEIGHT;
    }
  picture->y += LINE_HEIGHT;
}

/* Lines at round times behind the bars, from one y to another, and the times below. */
static void
add_axis (Picture *picture, double from_y, double seconds)
{
  double step = waterfall_step (seconds, 10);

  for (int i = 0; i * step <= seconds * 1.0001; i++)
    {
      double x = CHART_X + i * step / seconds * CHART_WIDTH;
      g_autofree char *tick = waterfall_tick (i * step, seconds);

      g_string_append_printf (picture->out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"" COLOUR_LINE "\"/>\n",
                              x, from_y, x, picture->y);
      picture->y += 16;
      add_text (picture, x, "middle", "label", tick);
      picture->y -= 16;
    }
  picture->y += 44;
}

static void
add_legend (Picture *picture, gboolean any_failed)
{
  static const struct { const char *colour, *text; double width; } entries[] =
  {
    { COLOUR_WAITING,    "waits for its turn",       150 },
    { COLOUR_CONNECTING, "connects",                 100 },
    { COLOUR_FIRST_BYTE, "waits for the first byte", 180 },
    { COLOUR_BODY,       "receives",                 100 },
    { COLOUR_FAILED,     "failed",                   100 }  /* the last, since it may be left out */
  };
  double x = LABEL_X;

  for (guint i = 0; i < G_N_ELEMENTS (entries) - !any_failed; i++)
    {
      picture->y -= 9;
      add_rectangle (picture, x, 10, 10, entries[i].colour);
      picture->y += 9;
      add_text (picture, x + 16, "start", "label", entries[i].text);
      x += entries[i].width;
    }
  picture->y += MARGIN;
}

static double
longest_run (GPtrArray *summaries)
{
  double longest = 1e-6;

  for (guint i = 0; i < summaries->len; i++)
    longest = MAX (longest, summary_last_run (summaries->pdata[i])->wall_s);

  return longest;
}

/* The bars are drawn over the axis, and how far down it goes is known only after them. */
static void
add_waterfalls (Picture *picture, const Plan *plan, GPtrArray *summaries)
{
  g_auto (GStrv) labels = waterfall_labels (plan, WATERFALL_MAX_LABEL);
  double longest = longest_run (summaries), from_y = picture->y;
  Picture bars = { g_string_new (NULL), picture->y + 14 };

  for (guint i = 0; i < summaries->len; i++)
    add_model (&bars, summaries->pdata[i], labels, CHART_WIDTH / longest);
  picture->y = bars.y - 14;
  add_axis (picture, from_y, longest);
  g_string_append (picture->out, bars.out->str);
  g_string_free (bars.out, TRUE);
}

gboolean
svg_write (const char *path, const Plan *plan, GPtrArray *summaries, GError **error)
{
  g_autoptr (GString) body = g_string_new (NULL);
  g_autofree char *svg = NULL;
  g_autofree char *title = g_strdup_printf ("%u URLs, %u at once, under each model", plan->n_urls, plan->concurrency);
  Picture picture = { body, MARGIN + 14 };
  gboolean any_failed = FALSE;

  add_text (&picture, LABEL_X, "start", "title", title);
  picture.y += LINE_HEIGHT + 10;
  add_table (&picture, summaries);
  picture.y += 4;
  add_waterfalls (&picture, plan, summaries);
  for (guint i = 0; i < summaries->len; i++)
    any_failed |= ((const Summary *) summaries->pdata[i])->n_failed > 0;
  add_legend (&picture, any_failed);

  svg = g_strdup_printf (
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" height=\"%.0f\" role=\"img\">\n"
    "<title>%s</title>\n"
    "<style>\n"
    "text { font-family: system-ui, 'Cantarell', 'DejaVu Sans', sans-serif; fill: " COLOUR_TEXT "; font-size: 14px }\n"
    ".title { font-size: 18px; font-weight: 600 }\n"
    ".heading { font-weight: 600 }\n"
    ".faint { fill: " COLOUR_FAINT "; font-size: 12px }\n"
    ".label { fill: " COLOUR_FAINT "; font-size: 10.5px }\n"
    "</style>\n"
    "<rect width=\"100%%\" height=\"100%%\" rx=\"10\" fill=\"white\" stroke=\"" COLOUR_LINE "\"/>\n"
    "%s</svg>\n",
    WIDTH, picture.y, WIDTH, picture.y, title, body->str);

  return g_file_set_contents (path, svg, -1, error);
}
