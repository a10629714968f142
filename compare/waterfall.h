/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The waterfall: for each model a line for each URL, along one axis of time. */
#pragma once

#include "plan.h"
#include "summary.h"
#include "terminal.h"

void waterfall_append     (const Terminal *terminal, GString *out, GPtrArray *summaries, const Plan *plan, int width);

/* What both pictures of it, on the terminal and in SVG, share. */
#define WATERFALL_MAX_ROWS  16
#define WATERFALL_MAX_LABEL 28

/* Which URLs are shown: all, or as many as fit, evenly spread over the list. */
guint waterfall_n_rows    (guint n_urls);
guint waterfall_row_url   (guint row, guint n_urls);

/* The URLs' names in so many columns, without what is the same in all, and numbered where some are the same. */
GStrv waterfall_labels    (const Plan *plan, int width);

/* A round step that divides the time into at most n parts. */
double waterfall_step     (double seconds, int n);

/* How a time is written on an axis that ends at another. */
char *waterfall_tick      (double time, double end);
