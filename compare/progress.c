/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Progress bars.  A frame is drawn over the last one: up as many lines as that had, each line
 * rewritten and its rest cleared, all in one write, so that nothing flickers.  Twenty frames a second
 * at most, since the machine is measuring.  The cursor is hidden while a run lasts.
 *
 *     sequential  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━   10/10   5.512 s   run 1 of 3
 *     loop        ━━━━━━━━━━━━━━━━━                         4/10   0.4 s     run 1 of 3
 */
#include "config.h"

#include "progress.h"

#include <string.h>

#define FRAME_MS   50
#define MAX_BAR    48
#define MIN_BAR    8
#define NAME_WIDTH 12
#define TEXT_WIDTH 40

typedef struct
{
  const Model *model;
  guint n_done;
  guint n_failed;
  int number;          /* of its last run; -1 before the first */
  double wall_s;       /* of its last run that has ended */
} Bar;

struct _Progress
{
  const Terminal *terminal;
  const Plan *plan;
  Bar *bars;           /* one for each model of the plan */
  Bar *running;        /* NULL between runs */
  gint64 started;
  guint frame_source;  /* 0 between runs */
  int n_lines;         /* of the frame on the screen */
};

static void
append_bar (const Progress *self, GString *out, const Bar *bar, int width)
{
  /* Filled by halves of a column. */
  guint halves = (guint) ((guint64) 2 * width * bar->n_done / self->plan->n_urls);
  g_autoptr (GString) full = g_string_new (NULL);
  g_autoptr (GString) rest = g_string_new (NULL);

  for (guint i = 0; i < halves / 2; i++)
    g_string_append (full, self->terminal->is_utf8 ? "━" : "=");
  if (halves % 2 == 1)
    g_string_append (full, self->terminal->is_utf8 ? "╸" : "-");
  for (int i = (halves + 1) / 2; i < width; i++)
    g_string_append (rest, self->terminal->is_utf8 ? "─" : ".");

  terminal_append (self->terminal, out, bar->n_failed > 0 ? INK_FAILED : INK_BODY, full->str);
  terminal_append (self->terminal, out, INK_FAINT, rest->str);
}

static void
append_line (const Progress *self, GString *out, const Bar *bar, int width)
{
  gboolean is_running = bar == self->running;
  double seconds = is_running ? (g_get_monotonic_time () - self->started) / 1e6 : bar->wall_s;
  g_autofree char *name = g_strdup_printf ("%-*s", NAME_WIDTH, bar->model->name);

  terminal_append (self->terminal, out, is_running ? INK_BOLD : INK_PLAIN, name);
  append_bar (self, out, bar, CLAMP (width - NAME_WIDTH - TEXT_WIDTH, MIN_BAR, MAX_BAR));
  if (bar->number >= 0)
    g_string_append_printf (out, " %6u/%u %8.*f s  ", bar->n_done, self->plan->n_urls, is_running ? 1 : 3, seconds);
  if (bar->number > 0 && self->plan->repeat > 1)
    g_string_append_printf (out, "run %d of %d", bar->number, self->plan->repeat);
  else if (bar->number == 0)
    g_string_append (out, "warm-up");
}

static void
draw (Progress *self)
{
  g_autoptr (GString) out = g_string_new (NULL);
  int width = terminal_get_width ();

  /* Too long a line is cut, not wrapped: a wrapped one would be two to go up. */
  g_string_append (out, "\033[?7l");
  if (self->n_lines > 0)
    g_string_append_printf (out, "\r\033[%dA", self->n_lines);
  for (guint i = 0; i < self->plan->models->len; i++)
    {
      append_line (self, out, &self->bars[i], width);
      g_string_append (out, "\033[K\n");
    }
  g_string_append (out, "\033[?7h");
  self->n_lines = self->plan->models->len;
  terminal_write (out);
}

static gboolean
on_frame (gpointer data)
{
  draw (data);
  return G_SOURCE_CONTINUE;
}

static void
write_literal (const char *text)
{
  g_autoptr (GString) out = g_string_new (text);

  terminal_write (out);
}

Progress *
progress_new (const Terminal *terminal, const Plan *plan)
{
  Progress *self = g_new0 (Progress, 1);

  self->terminal = terminal;
  self->plan = plan;
  self->bars = g_new0 (Bar, plan->models->len);
  for (guint i = 0; i < plan->models->len; i++)
    {
      self->bars[i].model = plan->models->pdata[i];
      self->bars[i].number = -1;
    }

  return self;
}

void
progress_free (Progress *self)
{
  g_autoptr (GString) out = g_string_new (NULL);

  progress_end_run (self, NULL);
  if (self->n_lines > 0)
    g_string_append_printf (out, "\r\033[%dA\033[J", self->n_lines);
  terminal_write (out);

  g_free (self->bars);
  g_free (self);
}

void
progress_begin_run (Progress *self, const Model *model, int number)
{
  for (guint i = 0; i < self->plan->models->len; i++)
    if (self->bars[i].model == model)
      self->running = &self->bars[i];

  self->running->number = number;
  self->running->n_done = 0;
  self->running->n_failed = 0;
  self->started = g_get_monotonic_time ();
  self->frame_source = g_timeout_add (FRAME_MS, on_frame, self);
  write_literal ("\033[?25l");
  draw (self);
}

void
progress_set_done (guint n_done, guint n_failed, gpointer data)
{
  Progress *self = data;

  self->running->n_done = n_done;
  self->running->n_failed = n_failed;
}

void
progress_end_run (Progress *self, const Run *run)
{
  if (self->running == NULL)
    return;

  if (run != NULL)
    {
      progress_set_done (run->n, run->n_failed, self);
      self->running->wall_s = run->wall_s;
    }
  self->running = NULL;
  g_source_remove (self->frame_source);
  draw (self);
  write_literal ("\033[?25h");
}
