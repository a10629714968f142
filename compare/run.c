/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The record of a run, and its JSON form.  The names in it are relied upon by other tools: a new
 * figure gets a new name, and none changes its meaning.
 */
#include "config.h"

#include "run.h"

#include <math.h>

Run *
run_new (const Model *model, guint n)
{
  Run *run = g_new0 (Run, 1);

  run->model = model;
  run->n = n;
  run->spans = g_new0 (Span, n);

  return run;
}

void
run_free (Run *run)
{
  g_free (run->first_failure);
  g_free (run->spans);
  g_free (run);
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

/* The nearest-rank percentile of an ascending array. */
static double
percentile (const double *sorted, guint n, double p)
{
  guint rank = (guint) ceil (p / 100.0 * n);

  return n == 0 ? 0.0 : sorted[CLAMP (rank, 1, n) - 1];
}

void
run_finish (Run *run)
{
  g_autofree double *latencies = g_new (double, run->n);
  guint n_ok = 0;

  for (guint i = 0; i < run->n; i++)
    if (run->spans[i].ok)
      latencies[n_ok++] = run->spans[i].ended;
  qsort (latencies, n_ok, sizeof *latencies, compare_doubles);

  run->n_ok = n_ok;
  run->n_failed = run->n - n_ok;
  run->latency_p50 = percentile (latencies, n_ok, 50);
  run->latency_p90 = percentile (latencies, n_ok, 90);
  run->latency_p99 = percentile (latencies, n_ok, 99);
  run->latency_max = percentile (latencies, n_ok, 100);
}

static void
add_double (JsonBuilder *builder, const char *name, double value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_double_value (builder, value);
}

static void
add_int (JsonBuilder *builder, const char *name, gint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, value);
}

static void
add_latency (JsonBuilder *builder, const Run *run)
{
  json_builder_set_member_name (builder, "latency_s");
  json_builder_begin_object (builder);
  add_double (builder, "p50", run->latency_p50);
  add_double (builder, "p90", run->latency_p90);
  add_double (builder, "p99", run->latency_p99);
  add_double (builder, "max", run->latency_max);
  json_builder_end_object (builder);
}

/* Each span as [started, connected, first byte, ended, ok]. */
static void
add_spans (JsonBuilder *builder, const Run *run)
{
  if (run->first_failure != NULL)
    {
      json_builder_set_member_name (builder, "first_failure");
      json_builder_add_string_value (builder, run->first_failure);
    }
  json_builder_set_member_name (builder, "spans");
  json_builder_begin_array (builder);
  for (guint i = 0; i < run->n; i++)
    {
      const Span *span = &run->spans[i];

      json_builder_begin_array (builder);
      json_builder_add_double_value (builder, span->started);
      json_builder_add_double_value (builder, span->connected);
      json_builder_add_double_value (builder, span->first_byte);
      json_builder_add_double_value (builder, span->ended);
      json_builder_add_boolean_value (builder, span->ok);
      json_builder_end_array (builder);
    }
  json_builder_end_array (builder);
}

JsonNode *
run_to_json (const Run *run, gboolean with_spans)
{
  g_autoptr (JsonBuilder) builder = json_builder_new_immutable ();

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "model");
  json_builder_add_string_value (builder, run->model->name);
  add_int (builder, "n", run->n);
  add_int (builder, "ok", run->n_ok);
  add_int (builder, "failed", run->n_failed);
  add_double (builder, "wall_s", run->wall_s);
  add_double (builder, "user_s", run->user_s);
  add_double (builder, "sys_s", run->sys_s);
  add_int (builder, "max_rss_kib", run->max_rss_kib);
  add_int (builder, "threads", run->threads);
  add_int (builder, "ctx_voluntary", run->ctx_voluntary);
  add_int (builder, "ctx_involuntary", run->ctx_involuntary);
  add_int (builder, "connections", run->connections);
  add_int (builder, "bytes", run->bytes);
  add_latency (builder, run);
  if (with_spans)
    add_spans (builder, run);
  json_builder_end_object (builder);

  return json_builder_get_root (builder);
}

static void
read_spans (Run *run, JsonArray *spans)
{
  for (guint i = 0; i < run->n; i++)
    {
      JsonArray *numbers = json_array_get_array_element (spans, i);
      Span *span = &run->spans[i];

      span->started = json_array_get_double_element (numbers, 0);
      span->connected = json_array_get_double_element (numbers, 1);
      span->first_byte = json_array_get_double_element (numbers, 2);
      span->ended = json_array_get_double_element (numbers, 3);
      span->ok = json_array_get_boolean_element (numbers, 4);
    }
}

Run *
run_from_json (JsonNode *node, GError **error)
{
  JsonObject *object = json_node_get_object (node);
  const Model *model = model_find (json_object_get_string_member (object, "model"), error);
  Run *run;

  if (model == NULL)
    return NULL;

  run = run_new (model, json_object_get_int_member (object, "n"));
  run->wall_s = json_object_get_double_member (object, "wall_s");
  run->user_s = json_object_get_double_member (object, "user_s");
  run->sys_s = json_object_get_double_member (object, "sys_s");
  run->max_rss_kib = json_object_get_int_member (object, "max_rss_kib");
  run->threads = json_object_get_int_member (object, "threads");
  run->ctx_voluntary = json_object_get_int_member (object, "ctx_voluntary");
  run->ctx_involuntary = json_object_get_int_member (object, "ctx_involuntary");
  run->connections = json_object_get_int_member (object, "connections");
  run->bytes = json_object_get_int_member (object, "bytes");
  run->first_failure = g_strdup (json_object_get_string_member_with_default (object, "first_failure", NULL));
  read_spans (run, json_object_get_array_member (object, "spans"));
  run_finish (run);

  return run;
}
