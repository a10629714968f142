/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GLib's own program of the micro-benchmark: what a program does that has GTask, GThreadPool and sources, and no morrow.
 * It has no tasks that wait, so that those operations are missing.
 */
#include <gio/gio.h>

#include "bench.h"
#include "echo-server.h"

static guint64 n_counted;

/* --- what is repeated -------------------------------------------------------------------------- */

static void
repeat (const char *name, void (*op) (guint n), guint n, double (*clock_now) (void))
{
  double ns[BENCH_ROUNDS];

  op (n / 10);
  n_counted = 0;
  for (guint i = 0; i < BENCH_ROUNDS; i++)
    {
      const double start = clock_now ();

      op (n);
      ns[i] = (clock_now () - start) / n;
    }
  if (n_counted == (guint64) n * BENCH_ROUNDS)
    bench_row (name, bench_median (ns, BENCH_ROUNDS), "ns");
}

static void
count_result (GObject *source, GAsyncResult *result, gpointer data)
{
  n_counted += (guint64) g_task_propagate_int (G_TASK (result), NULL);
}

static void
task_return (guint n)
{
  for (guint i = 0; i < n; i++)
    {
      const guint64 before = n_counted;
      GTask *task = g_task_new (NULL, NULL, count_result, NULL);

      g_task_return_int (task, 1);
      while (n_counted == before)
        g_main_context_iteration (NULL, TRUE);
      g_object_unref (task);
    }
}

static void
future_then (const char *name)
{
  repeat (name, task_return, 100000, bench_now);
}

/* --- timers ------------------------------------------------------------------------------------ */

static gboolean
count_timeout (gpointer data)
{
  n_counted++;
  return G_SOURCE_REMOVE;
}

/* Returns: how many are attached now. */
static guint
make_pending (guint n)
{
  guint n_attached = 0;

  for (guint i = 0; i < n; i++)
    {
      GSource *source = g_timeout_source_new_seconds (3600 + i % 997);

      g_source_set_callback (source, count_timeout, NULL, NULL);
      n_attached += g_source_attach (source, NULL) > 0;
      g_source_unref (source);
    }
  return n_attached;
}

static void
cancel_timers (guint n)
{
  for (guint i = 0; i < n; i++)
    {
      GSource *source = g_timeout_source_new (60000);

      g_source_set_callback (source, count_timeout, NULL, NULL);
      g_source_attach (source, NULL);
      g_source_destroy (source);
      n_counted += g_source_is_destroyed (source);
      g_source_unref (source);
    }
}

static void
fire_timers (guint n)
{
  for (guint left = n; left > 0; )
    {
      const guint batch = MIN (left, BENCH_BATCH);
      const guint64 before = n_counted;

      left -= batch;
      for (guint j = 0; j < batch; j++)
        {
          GSource *source = g_timeout_source_new (0);

          g_source_set_callback (source, count_timeout, NULL, NULL);
          g_source_attach (source, NULL);
          g_source_unref (source);
        }
      while (n_counted < before + batch)
        g_main_context_iteration (NULL, TRUE);
    }
}

/* A context walks all of its sources at each turn, so that beside a million it is given less to do. */
static guint
fewer_beside (guint n_pending)
{
  return n_pending > 1000 ? 2 * BENCH_BATCH : 50 * BENCH_BATCH;
}

static guint
pending_of (const char *name)
{
  return g_str_has_suffix (name, "_1m") ? 1000000 : g_str_has_suffix (name, "_1000") ? 1000 : 0;
}

static void
timer_cancel (const char *name)
{
  make_pending (pending_of (name));
  repeat (name, cancel_timers, 200000, bench_now);
  bench_leave ();
}

static void
timer_fire (const char *name)
{
  make_pending (pending_of (name));
  repeat (name, fire_timers, fewer_beside (pending_of (name)), bench_cpu);
  bench_leave ();
}

/* --- items from outside ------------------------------------------------------------------------ */

/* A worker counts what it has run, in a cache line of its own. */
typedef struct
{
  guint64 n_run;                  /* relaxed: written by its worker, read by who submits */
} __attribute__ ((aligned (128))) WorkerCount;

static WorkerCount           worker_counts[64];
static guint                 n_worker_counts;
static __thread WorkerCount *own_count;

static void
count_item (gpointer item, gpointer data)
{
  if (G_UNLIKELY (own_count == NULL))
    own_count = &worker_counts[__atomic_fetch_add (&n_worker_counts, 1, __ATOMIC_RELAXED)];
  __atomic_store_n (&own_count->n_run, own_count->n_run + 1, __ATOMIC_RELAXED);
}

static guint64
items_run (void)
{
  guint64 n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (worker_counts); i++)
    n += __atomic_load_n (&worker_counts[i].n_run, __ATOMIC_RELAXED);
  return n;
}

static double
submit_items (GThreadPool *pool, guint n)
{
  const guint64 n_before = items_run ();
  const double start = bench_now ();

  for (guint i = 0; i < n; i++)
    g_thread_pool_push (pool, pool, NULL);
  while (items_run () - n_before < n)
    g_usleep (20);
  return bench_now () - start;
}

static void
pool_submit (const char *name)
{
  GThreadPool *pool = g_thread_pool_new (count_item, NULL, BENCH_WORKERS, TRUE, NULL);

  submit_items (pool, BENCH_ITEMS / 10);
  bench_row (name, submit_items (pool, BENCH_ITEMS) / BENCH_ITEMS, "ns");
  bench_row (name, (double) (items_run () - BENCH_ITEMS / 10), "units");
  g_thread_pool_free (pool, FALSE, TRUE);
}

/* --- two threads ------------------------------------------------------------------------------- */

static GMainContext *answering;

static gboolean
answered (gpointer data)
{
  n_counted++;
  return G_SOURCE_REMOVE;
}

static gboolean
answer (gpointer data)
{
  g_main_context_invoke (NULL, answered, NULL);
  return G_SOURCE_REMOVE;
}

static gpointer
answer_thread (gpointer data)
{
  bench_pin (1);
  g_main_loop_run (data);
  return NULL;
}

static void
trips (const char *name, guint n_trips, guint pause_us)
{
  GMainLoop *loop;
  GThread *thread;
  double ns = 0;

  answering = g_main_context_new ();
  loop = g_main_loop_new (answering, FALSE);
  thread = g_thread_new ("answers", answer_thread, loop);
  bench_pin (0);
  g_main_context_acquire (NULL);
  for (guint i = 0; i < n_trips; i++)
    {
      double start;

      if (pause_us > 0)
        g_usleep (pause_us);
      start = bench_now ();
      g_main_context_invoke (answering, answer, NULL);
      while (n_counted <= i)
        g_main_context_iteration (NULL, TRUE);
      ns += bench_now () - start;
    }
  bench_row (name, ns / n_trips, "ns");
  bench_row (name, (double) n_counted, "units");
  g_main_loop_quit (loop);
  g_thread_join (thread);
}

static void
cross_thread (const char *name)
{
  trips (name, BENCH_TRIPS, 0);
}

static void
cross_thread_idle (const char *name)
{
  trips (name, BENCH_IDLE_TRIPS, BENCH_PAUSE_US);
}

/* --- sleeping ---------------------------------------------------------------------------------- */

static void
sleeping_futures_1m (const char *name)
{
  const double start = bench_now ();

  for (guint i = 0; i < BENCH_SLEEPERS_1M; i++)
    {
      GSource *source = g_timeout_source_new (1000);

      g_source_set_callback (source, count_timeout, NULL, NULL);
      g_source_attach (source, NULL);
      g_source_unref (source);
    }
  while (n_counted < BENCH_SLEEPERS_1M)
    g_main_context_iteration (NULL, TRUE);
  bench_row (name, (bench_now () - start) / 1e9, "s");
  bench_row (name, (double) n_counted, "units");
}

static void
sleeping_futures_1m_bytes (const char *name)
{
  const double before = bench_memory ();
  const guint n_pending = make_pending (BENCH_SLEEPERS_1M);

  bench_row (name, (bench_memory () - before) / BENCH_SLEEPERS_1M, "bytes");
  bench_row (name, n_pending, "units");
  bench_leave ();
}

/* --- echo -------------------------------------------------------------------------------------- */

typedef struct
{
  GSocketConnection *connection;   /* owned */
  char               buffer[ECHO_BUFFER_SIZE];
} Connection;

static void read_next (Connection *self);

static void
connection_free (Connection *self)
{
  g_object_unref (self->connection);
  g_free (self);
}

static void
on_written (GObject *stream, GAsyncResult *result, gpointer data)
{
  if (g_output_stream_write_all_finish (G_OUTPUT_STREAM (stream), result, NULL, NULL))
    read_next (data);
  else
    connection_free (data);
}

static void
on_read (GObject *stream, GAsyncResult *result, gpointer data)
{
  Connection *self = data;
  const gssize n = g_input_stream_read_finish (G_INPUT_STREAM (stream), result, NULL);

  if (n > 0)
    g_output_stream_write_all_async (g_io_stream_get_output_stream (G_IO_STREAM (self->connection)), self->buffer,
                                     (gsize) n, G_PRIORITY_DEFAULT, NULL, on_written, self);
  else
    connection_free (self);
}

static void
read_next (Connection *self)
{
  g_input_stream_read_async (g_io_stream_get_input_stream (G_IO_STREAM (self->connection)), self->buffer,
                             sizeof self->buffer, G_PRIORITY_DEFAULT, NULL, on_read, self);
}

static gboolean
on_incoming (GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  Connection *self = g_new (Connection, 1);

  g_socket_set_option (g_socket_connection_get_socket (connection), IPPROTO_TCP, TCP_NODELAY, 1, NULL);
  self->connection = g_object_ref (connection);
  read_next (self);
  return TRUE;
}

static gboolean
on_input (GIOChannel *channel, GIOCondition condition, gpointer data)
{
  bench_leave ();
  return G_SOURCE_REMOVE;
}

static void
echo (const char *name)
{
  GSocketService *service = g_socket_service_new ();
  GMainLoop *loop = g_main_loop_new (NULL, FALSE);
  GSocket *listener;

  listener = g_socket_new_from_fd (echo_listen (), NULL);
  g_socket_listener_add_socket (G_SOCKET_LISTENER (service), listener, NULL, NULL);
  g_signal_connect (service, "incoming", G_CALLBACK (on_incoming), NULL);
  g_io_add_watch (g_io_channel_unix_new (STDIN_FILENO), G_IO_IN | G_IO_HUP, on_input, NULL);
  g_main_loop_run (loop);
}

static void
idle (const char *name)
{
  g_main_loop_run (g_main_loop_new (NULL, FALSE));
}

/* --- the table --------------------------------------------------------------------------------- */

static const BenchOp ops[] =
{
  { "future_then", future_then },
  { "pool_submit", pool_submit },
  { "cross_thread", cross_thread },
  { "cross_thread_idle", cross_thread_idle },
  { "sleeping_futures_1m", sleeping_futures_1m },
  { "sleeping_futures_1m_bytes", sleeping_futures_1m_bytes },
  { "timer_cancel", timer_cancel },
  { "timer_cancel_1000", timer_cancel },
  { "timer_cancel_1m", timer_cancel },
  { "timer_fire", timer_fire },
  { "timer_fire_1000", timer_fire },
  { "timer_fire_1m", timer_fire },
  { "echo", echo },
  { "idle", idle },
  { NULL, NULL }
};

int
main (int argc, char **argv)
{
  return bench_main (argc, argv, ops);
}
