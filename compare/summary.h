/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All the runs of one model in one line of figures, and whether the models did the same work. */
#pragma once

#include "run.h"

typedef struct
{
  const Model *model;
  GPtrArray *runs;         /* of Run, owned: every measured run, in order */

  /* Medians over the runs. */
  double wall_s;
  double cpu_s;
  double max_rss_kib;
  double threads;
  double ctx_switches;
  double connections;
  double ok;
  double bytes;
  double latency_p50;
  double latency_p99;

  double wall_min_s;
  double wall_max_s;
  guint n_failed;          /* in all the runs together */
  double speed_up;         /* against sequential; 0 where there is nothing to compare with */
} Summary;

/* Of the runs of one model; takes the array. */
Summary *summary_new          (const Model *model, GPtrArray *runs);
void     summary_free         (Summary *summary);

/* Sets the speed-ups, and gives what a reader must know before believing them: lines, empty when all is equal. */
GStrv    summaries_compare    (GPtrArray *summaries);

/* The run that the waterfall shows. */
const Run *summary_last_run   (const Summary *summary);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Summary, summary_free)
