/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A measured run, in its own process.  The gather is the same code for every model; the model is
 * named in run_order () and nowhere else.
 *
 * The clock and the CPU time begin before the executor is made and end when the gather has its
 * results, so that starting threads is paid by who needs them.  Each coroutine writes its own span
 * and nobody else's; main reads them after the gather, which has waited for all.
 */
#include "config.h"

#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixinputstream.h>
#include <json-glib/json-glib.h>
#include <morrow/http.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "demos/urls.h"
#include "run.h"

/* While a run lasts, at most one progress report in so many microseconds. */
#define REPORT_INTERVAL 25000

/* What the parent ordered; immutable. */
typedef struct
{
  const Model *model;
  guint threads;
  guint concurrency;
  double timeout;
  gboolean progress;
  guint n_urls;
  JsonArray *urls;
} Order;

typedef struct
{
  const Order *order;
  MorrowHttpOptions *options;  /* immutable; the coroutines share it */
  Run *run;                    /* main's, but for each coroutine's own span */
  gint64 began;                /* monotonic microseconds; set before any task exists */
  struct rusage before;        /* likewise */
  int status_fd;               /* of /proc/self/status, opened while there were descriptors left */

  /* Any thread.  They count for the progress bar only and order nothing, so that all access to them is relaxed. */
  atomic_uint n_done;
  atomic_uint n_failed;
  atomic_llong next_report;    /* monotonic microseconds; whoever moves it on reports */
} Gather;

/* One URL's coroutine: its own, and main's after the gather. */
typedef struct
{
  Gather *gather;
  const char *url;
  Span *span;
  guint connections;
  gsize n_bytes;
} Visit;

/* The order ----------------------------------------------------------------------------------- */

char *
child_order_to_json (const Plan *plan, const Model *model, gboolean progress)
{
  g_autoptr (JsonBuilder) builder = json_builder_new_immutable ();
  g_autoptr (JsonNode) root = NULL;

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "model");
  json_builder_add_string_value (builder, model->name);
  json_builder_set_member_name (builder, "threads");
  json_builder_add_int_value (builder, plan->threads);
  json_builder_set_member_name (builder, "concurrency");
  json_builder_add_int_value (builder, plan->concurrency);
  json_builder_set_member_name (builder, "timeout");
  json_builder_add_double_value (builder, plan->timeout);
  json_builder_set_member_name (builder, "progress");
  json_builder_add_boolean_value (builder, progress);
  json_builder_set_member_name (builder, "urls");
  json_builder_begin_array (builder);
  for (char **url = plan->urls; *url != NULL; url++)
    json_builder_add_string_value (builder, *url);
  json_builder_end_array (builder);
  json_builder_end_object (builder);

  root = json_builder_get_root (builder);

  return json_to_string (root, FALSE);
}

/* From the standard input; the parser keeps the URLs. */
static gboolean
read_order (Order *order, JsonParser *parser, GError **error)
{
  g_autoptr (GInputStream) stream = g_unix_input_stream_new (STDIN_FILENO, FALSE);
  JsonObject *object;

  if (!json_parser_load_from_stream (parser, stream, NULL, error))
    return FALSE;

  object = json_node_get_object (json_parser_get_root (parser));
  order->model = model_find (json_object_get_string_member (object, "model"), error);
  order->threads = json_object_get_int_member (object, "threads");
  order->concurrency = json_object_get_int_member (object, "concurrency");
  order->timeout = json_object_get_double_member (object, "timeout");
  order->progress = json_object_get_boolean_member (object, "progress");
  order->urls = json_object_get_array_member (object, "urls");
  order->n_urls = json_array_get_length (order->urls);

  return order->model != NULL;
}

/* Reports ------------------------------------------------------------------------------------- */

static void
report_line (const char *line)
{
  g_autofree char *whole = g_strconcat (line, "\n", NULL);
  gsize size = strlen (whole), written = 0;

  while (written < size)
    {
      gssize n = write (CHILD_REPORT_FD, whole + written, size - written);

      if (n < 0 && errno != EINTR)
        return;
      written += MAX (n, 0);
    }
}

/* So small a write to a pipe is atomic, whichever threads report. */
static void
report_progress (Gather *self, gboolean ok)
{
  guint n_done = atomic_fetch_add_explicit (&self->n_done, 1, memory_order_relaxed) + 1;
  guint n_failed = atomic_fetch_add_explicit (&self->n_failed, !ok, memory_order_relaxed) + !ok;
  gint64 now = g_get_monotonic_time ();
  long long due = atomic_load_explicit (&self->next_report, memory_order_relaxed);
  g_autofree char *line = NULL;

  if (now < due || !atomic_compare_exchange_strong_explicit (&self->next_report, &due, now + REPORT_INTERVAL,
                                                             memory_order_relaxed, memory_order_relaxed))
    return;

  line = g_strdup_printf ("{\"done\": %u, \"failed\": %u}", n_done, n_failed);
  report_line (line);
}

static void
report_error (const GError *error)
{
  g_autoptr (JsonNode) text = json_node_init_string (json_node_alloc (), error->message);
  g_autofree char *quoted = json_to_string (text, FALSE);
  g_autofree char *line = g_strdup_printf ("{\"error\": %s}", quoted);

  report_line (line);
}

/* Measuring ----------------------------------------------------------------------------------- */

/* A number of /proc/self/status, such as the one of "VmHWM:"; 0 where there is none. */
static guint64
read_status (const char *status, const char *name)
{
  const char *line = strstr (status, name);

  return line != NULL ? g_ascii_strtoull (line + strlen (name), NULL, 10) : 0;
}

static double
seconds (const struct timeval *time)
{
  return time->tv_sec + time->tv_usec / 1e6;
}

/* The memory's peak is VmHWM, since ru_maxrss goes back to before the exec. */
static void
take_figures (Gather *self)
{
  Run *run = self->run;
  gint64 now = g_get_monotonic_time ();
  char status[8192] = "";
  struct rusage after;

  getrusage (RUSAGE_SELF, &after);
  run->wall_s = (now - self->began) / 1e6;
  run->user_s = seconds (&after.ru_utime) - seconds (&self->before.ru_utime);
  run->sys_s = seconds (&after.ru_stime) - seconds (&self->before.ru_stime);
  run->ctx_voluntary = after.ru_nvcsw - self->before.ru_nvcsw;
  run->ctx_involuntary = after.ru_nivcsw - self->before.ru_nivcsw;

  if (pread (self->status_fd, status, sizeof status - 1, 0) > 0)
    {
      run->threads = read_status (status, "\nThreads:");
      run->max_rss_kib = read_status (status, "\nVmHWM:");
    }
}

static void
take_timings (Visit *visit, const MorrowHttpTimings *timings)
{
  Span *span = visit->span;
  double start = (timings->start - visit->gather->began) / 1e6;

  span->started = start + timings->queued;
  span->connected = start + timings->tls;
  span->first_byte = start + timings->first_byte;
  span->ended = start + timings->total;
}

/* The gather ---------------------------------------------------------------------------------- */

static void
set_status_error (const char *url, guint status, GError **error)
{
  g_autofree char *shown = urls_show_one (url);

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: HTTP status %u", shown, status);
}

static gboolean
visit_url (gpointer data, GValue *result, GError **error)
{
  Visit *self = data;
  Span *span = self->span;
  g_autoptr (MorrowHttpResponse) response = NULL;

  span->started = (g_get_monotonic_time () - self->gather->began) / 1e6;
  response = morrow_await_boxed (morrow_http_get (self->url, self->gather->options), error);
  span->connected = span->first_byte = span->ended = (g_get_monotonic_time () - self->gather->began) / 1e6;

  if (response != NULL)
    {
      take_timings (self, morrow_http_response_get_timings (response));
      self->connections = morrow_http_response_get_n_connections (response);
      self->n_bytes = g_bytes_get_size (morrow_http_response_get_body (response));
      span->ok = morrow_http_response_get_status (response) < 400;
      if (!span->ok)
        set_status_error (self->url, morrow_http_response_get_status (response), error);
    }
  if (self->gather->order->progress)
    report_progress (self->gather, span->ok);

  return span->ok;
}

static void
take_results (Gather *self, const Visit *visits, MorrowResults *results)
{
  Run *run = self->run;

  for (guint i = 0; i < run->n; i++)
    {
      const GError *failure = morrow_results_get_error (results, i);

      run->bytes += visits[i].n_bytes;
      run->connections += visits[i].connections;
      if (failure != NULL && run->first_failure == NULL)
        run->first_failure = g_strdup (failure->message);
    }
  run_finish (run);
}

/* The visits belong to this frame, which leaves only when the gather has waited for all of them. */
static gboolean
gather (gpointer data, GValue *result, GError **error)
{
  Gather *self = data;
  guint n = self->order->n_urls;
  g_autofree Visit *visits = g_new0 (Visit, n);
  g_autofree MorrowFuture **futures = g_new (MorrowFuture *, n);
  g_autoptr (MorrowResults) results = NULL;

  for (guint i = 0; i < n; i++)
    {
      visits[i].gather = self;
      visits[i].url = json_array_get_string_element (self->order->urls, i);
      visits[i].span = &self->run->spans[i];
      futures[i] = morrow_coroutine (visit_url, &visits[i], NULL);
    }

  results = morrow_await_boxed (morrow_gather_full (futures, n, MORROW_GATHER_RETURN_ERRORS, self->order->concurrency), error);
  if (results == NULL)
    return FALSE;

  take_figures (self);
  take_results (self, visits, results);

  return TRUE;
}

/* Whether the record was reported. */
static gboolean
run_order (const Order *order, GError **error)
{
  g_autoptr (Run) run = run_new (order->model, order->n_urls);
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  g_autoptr (MorrowExecutor) executor = NULL;
  g_autoptr (JsonNode) record = NULL;
  g_autofree char *line = NULL;
  Gather self = { .order = order, .options = options, .run = run };
  gboolean ok;

  morrow_http_options_set_timeout (options, order->timeout);
  morrow_http_options_set_max_connections (options, order->concurrency);

  self.status_fd = open ("/proc/self/status", O_RDONLY | O_CLOEXEC);
  getrusage (RUSAGE_SELF, &self.before);
  self.began = g_get_monotonic_time ();
  executor = model_new_executor (order->model, g_str_equal (order->model->name, "threads") ? order->threads : 0);
  ok = morrow_run_on (executor, morrow_coroutine (gather, &self, NULL), NULL, error);
  close (self.status_fd);
  if (!ok)
    return FALSE;

  record = run_to_json (run, TRUE);
  line = json_to_string (record, FALSE);
  report_line (line);

  return TRUE;
}

int
child_main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonParser) parser = json_parser_new ();
  Order order;

  /* Ends with its parent, and when the parent no longer reads, by the error of the write. */
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  signal (SIGPIPE, SIG_IGN);

  if (read_order (&order, parser, &error) && run_order (&order, &error))
    return EXIT_SUCCESS;

  /* Ctrl-C is the parent's to tell. */
  if (!g_error_matches (error, MORROW_ERROR, MORROW_ERROR_INTERRUPTED))
    {
      report_error (error);
      return EXIT_FAILURE;
    }

  return model_fail (error);
}
