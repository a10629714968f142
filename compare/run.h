/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One measured run of one model: what the child process measures, the parent shows, and --json writes. */
#pragma once

#include <json-glib/json-glib.h>

#include "demos/model.h"

/* When each thing happened to one URL, in seconds since the gather began. */
typedef struct
{
  double started;     /* the transfer began; before that the URL waited for its turn */
  double connected;   /* the connection stood: at once where one was used again */
  double first_byte;
  double ended;
  gboolean ok;
} Span;

typedef struct
{
  const Model *model;

  guint n;
  guint n_ok;
  guint n_failed;
  guint64 bytes;
  guint connections;
  char *first_failure;  /* NULL when all succeeded */

  double wall_s;
  double user_s;
  double sys_s;
  guint64 max_rss_kib;
  guint threads;
  guint64 ctx_voluntary;
  guint64 ctx_involuntary;

  Span *spans;          /* n of them, in the order of the URLs */

  /* Of the URLs that succeeded: from the gather's beginning to the last byte. */
  double latency_p50;
  double latency_p90;
  double latency_p99;
  double latency_max;
} Run;

Run      *run_new            (const Model *model, guint n);
void      run_free           (Run *run);

/* Works out what follows from the spans. */
void      run_finish         (Run *run);

/* With the spans it is what the child hands to the parent, without them what --json writes. */
JsonNode *run_to_json        (const Run *run, gboolean with_spans);
Run      *run_from_json      (JsonNode *node, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Run, run_free)
