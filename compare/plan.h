/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is to be compared: the options of `morrow-compare gather`, checked. */
#pragma once

#include "demos/model.h"

typedef struct
{
  GPtrArray *models;    /* of const Model *, in the order in which they are shown */
  GStrv urls;           /* never empty once the plan is complete */
  gboolean own_server;  /* no URL was given: the test server's ten sites */
  guint n_urls;
  guint concurrency;    /* at most n_urls; 0 until the URLs are known: all of them */
  guint threads;        /* of the thread pool; 0 until then: as many as can be busy, up to 64 */
  int repeat;
  int warmup;
  double timeout;       /* seconds for each URL */
  char *json_path;      /* NULL without --json */
  char *svg_path;       /* NULL without --svg */
  gboolean no_progress;
} Plan;

/* Without models and URLs yet, everything else as by default. */
Plan *plan_new                (void);

/* Reads the command line after `gather`.  It ends the program after --help and bad options. */
Plan *plan_new_from_arguments (int argc, char **argv, GError **error);
void  plan_free               (Plan *plan);

/* Settles the URLs, and with them the numbers that depend on how many there are.  Takes the URLs. */
void  plan_set_urls           (Plan *plan, GStrv urls);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Plan, plan_free)
