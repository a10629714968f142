/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libdex's program of the micro-benchmark; see bench.h for what all programs share. It has no yield that is public, and
 * no timer without a future; its thread pool is as large as libdex makes it.
 */
#include <libdex.h>

#include "bench.h"
#include "echo-server.h"

static guint64 n_counted;

/* Runs @func as a fiber of the main context, to its end. */
static void
run_fiber (DexFiberFunc func, gpointer data)
{
  DexFuture *fiber = dex_scheduler_spawn (NULL, 0, func, data, NULL);

  while (dex_future_get_status (fiber) == DEX_FUTURE_STATUS_PENDING)
    g_main_context_iteration (NULL, TRUE);
  dex_unref (fiber);
}

static DexFuture *
nothing (void)
{
  return dex_future_new_for_boolean (TRUE);
}

/* --- what is repeated -------------------------------------------------------------------------- */

typedef struct
{
  const char *name;
  void      (*repeat) (guint n);
  guint       n;
  guint       n_pending;     /* timers that do not fire while it lasts */
  gboolean    cpu;           /* waits too: processor time is what counts */
} Repeated;

static DexFuture *
repeat_in_fiber (gpointer data)
{
  const Repeated *op = data;
  double (*clock_now) (void) = op->cpu ? bench_cpu : bench_now;
  DexFuture **pending = g_new (DexFuture *, op->n_pending);
  double ns[BENCH_ROUNDS];

  for (guint i = 0; i < op->n_pending; i++)
    pending[i] = dex_timeout_new_seconds (3600 + (int) i % 997);
  op->repeat (op->n / 10);
  n_counted = 0;
  for (guint i = 0; i < BENCH_ROUNDS; i++)
    {
      const double start = clock_now ();

      op->repeat (op->n);
      ns[i] = (clock_now () - start) / op->n;
    }
  if (n_counted == (guint64) op->n * BENCH_ROUNDS)
    bench_row (op->name, bench_median (ns, BENCH_ROUNDS), "ns");
  bench_leave ();
  return nothing ();
}

static void
future_resolve (guint n)
{
  for (guint i = 0; i < n; i++)
    {
      DexPromise *promise = dex_promise_new ();

      dex_promise_resolve_int (promise, 1);
      n_counted += (guint64) g_value_get_int (dex_future_get_value (DEX_FUTURE (promise), NULL));
      dex_unref (promise);
    }
}

static DexFuture *
count_settled (DexFuture *settled, gpointer data)
{
  n_counted += (guint64) g_value_get_int (dex_future_get_value (settled, NULL));
  return dex_ref (settled);
}

static void
future_then (guint n)
{
  for (guint i = 0; i < n; i++)
    {
      DexPromise *promise = dex_promise_new ();
      DexFuture *then = dex_future_then (dex_ref (DEX_FUTURE (promise)), count_settled, NULL, NULL);

      dex_promise_resolve_int (promise, 1);
      dex_await (then, NULL);
      dex_unref (promise);
    }
}

static void
await_settled (guint n)
{
  DexFuture *settled = dex_future_new_for_boolean (TRUE);

  for (guint i = 0; i < n; i++)
    n_counted += (guint64) dex_await_boolean (dex_ref (settled), NULL);
  dex_unref (settled);
}

static DexFuture *
count_itself (gpointer data)
{
  n_counted++;
  return nothing ();
}

static void
spawn_await (guint n)
{
  for (guint i = 0; i < n; i++)
    dex_await (dex_scheduler_spawn (NULL, 0, count_itself, NULL, NULL), NULL);
}

static void
timer_cancel (guint n)
{
  for (guint i = 0; i < n; i++)
    {
      dex_unref (dex_timeout_new_seconds (60));
      n_counted++;
    }
}

/* A time-out rejects its future. */
static void
timer_fire (guint n)
{
  DexFuture *timers[BENCH_BATCH];

  for (guint i = 0; i < n; i += BENCH_BATCH)
    {
      for (guint j = 0; j < BENCH_BATCH; j++)
        timers[j] = dex_timeout_new_usec (1);
      for (guint j = 0; j < BENCH_BATCH; j++)
        n_counted += !dex_await (timers[j], NULL);
    }
}

static const Repeated repeated[] =
{
  { "future_resolve", future_resolve, 500000 },
  { "future_then", future_then, 50000 },
  { "await_settled", await_settled, 2000000 },
  { "spawn_await", spawn_await, 50000 },
  { "timer_cancel", timer_cancel, 100000 },
  { "timer_cancel_1000", timer_cancel, 100000, 1000 },
  { "timer_cancel_1m", timer_cancel, 100000, 1000000 },
  { "timer_fire", timer_fire, 20000, 0, TRUE },
  { "timer_fire_1000", timer_fire, 20000, 1000, TRUE }
};

static void
run_repeated (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (repeated); i++)
    if (strcmp (repeated[i].name, name) == 0)
      run_fiber (repeat_in_fiber, (gpointer) &repeated[i]);
}

/* --- many fibers ------------------------------------------------------------------------------- */

typedef struct
{
  const char   *name;
  DexScheduler *scheduler;    /* NULL: the calling thread's */
} Many;

static unsigned char marks[BENCH_MANY];
static guint64       n_marked = G_MAXUINT64;   /* in the round that marked the fewest */

static DexFuture *
set_mark (gpointer data)
{
  *(unsigned char *) data = 1;
  return nothing ();
}

static double
gather_marking (DexScheduler *scheduler, DexFiberFunc func, guint n)
{
  const double start = bench_now ();
  DexFuture **fibers = g_new (DexFuture *, n);
  double ns;

  memset (marks, 0, sizeof marks);
  for (guint i = 0; i < n; i++)
    fibers[i] = dex_scheduler_spawn (scheduler, 0, func, &marks[i], NULL);
  dex_await (dex_future_allv (fibers, n), NULL);
  for (guint i = 0; i < n; i++)
    dex_unref (fibers[i]);
  g_free (fibers);
  ns = bench_now () - start;
  n_marked = MIN (n_marked, bench_count_marks (marks, n));
  return ns;
}

static DexFuture *
print_many (gpointer data)
{
  const Many *many = data;
  g_autofree char *warm_name = g_strconcat (many->name, "_warm", NULL);
  double ns[BENCH_ROUNDS];

  bench_row (many->name, gather_marking (many->scheduler, set_mark, BENCH_MANY) / BENCH_MANY, "ns");
  bench_row (many->name, (double) n_marked, "units");
  for (guint i = 0; i < BENCH_ROUNDS; i++)
    ns[i] = gather_marking (many->scheduler, set_mark, BENCH_MANY) / BENCH_MANY;
  bench_row (warm_name, bench_median (ns, BENCH_ROUNDS), "ns");
  bench_row (warm_name, (double) n_marked, "units");
  return nothing ();
}

static void
spawn_many (const char *name)
{
  run_fiber (print_many, &(Many) { name, NULL });
}

static void
pool_spawn_many (const char *name)
{
  run_fiber (print_many, &(Many) { name, dex_thread_pool_scheduler_new () });
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
count_item (gpointer data)
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
submit_items (DexScheduler *pool, guint n)
{
  const guint64 n_before = items_run ();
  const double start = bench_now ();

  for (guint i = 0; i < n; i++)
    dex_scheduler_push (pool, count_item, NULL);
  while (items_run () - n_before < n)
    g_usleep (20);
  return bench_now () - start;
}

static void
pool_submit (const char *name)
{
  DexScheduler *pool = dex_thread_pool_scheduler_new ();

  submit_items (pool, BENCH_ITEMS / 10);
  bench_row (name, submit_items (pool, BENCH_ITEMS) / BENCH_ITEMS, "ns");
  bench_row (name, (double) (items_run () - BENCH_ITEMS / 10), "units");
}

/* --- two threads ------------------------------------------------------------------------------- */

/* The fiber on the pool answers what this one asks. */
typedef struct
{
  guint        n_trips;
  guint        pause_us;
  DexPromise **asks, **answers;
  double       ns;
} Trips;

static DexFuture *
answer_all (gpointer data)
{
  const Trips *trips = data;

  bench_pin (1);
  for (guint i = 0; i < trips->n_trips; i++)
    {
      dex_await (dex_ref (DEX_FUTURE (trips->asks[i])), NULL);
      dex_promise_resolve_int (trips->answers[i], 1);
    }
  return nothing ();
}

static DexFuture *
ask_all (gpointer data)
{
  Trips *trips = data;
  DexFuture *answering = dex_scheduler_spawn (dex_thread_pool_scheduler_new (), 0, answer_all, trips, NULL);

  bench_pin (0);
  for (guint i = 0; i < trips->n_trips; i++)
    {
      double start;

      if (trips->pause_us > 0)
        dex_await (dex_timeout_new_usec (trips->pause_us), NULL);
      start = bench_now ();
      dex_promise_resolve_int (trips->asks[i], 1);
      n_counted += (guint64) dex_await_int (dex_ref (DEX_FUTURE (trips->answers[i])), NULL);
      trips->ns += bench_now () - start;
    }
  dex_await (answering, NULL);
  return nothing ();
}

static void
print_trips (const char *name, guint n_trips, guint pause_us)
{
  Trips trips = { .n_trips = n_trips, .pause_us = pause_us };

  trips.asks = g_new (DexPromise *, n_trips);
  trips.answers = g_new (DexPromise *, n_trips);
  for (guint i = 0; i < n_trips; i++)
    {
      trips.asks[i] = dex_promise_new ();
      trips.answers[i] = dex_promise_new ();
    }
  run_fiber (ask_all, &trips);
  bench_row (name, trips.ns / n_trips, "ns");
  bench_row (name, (double) n_counted, "units");
}

static void
cross_thread (const char *name)
{
  print_trips (name, BENCH_TRIPS, 0);
}

static void
cross_thread_idle (const char *name)
{
  print_trips (name, BENCH_IDLE_TRIPS, BENCH_PAUSE_US);
}

/* --- sleepers ---------------------------------------------------------------------------------- */

static DexFuture *
sleep_and_count (gpointer data)
{
  dex_await (dex_timeout_new_seconds (1), NULL);
  n_counted++;
  return nothing ();
}

static DexFuture *
gather_sleepers (gpointer data)
{
  const double ns = gather_marking (NULL, sleep_and_count, BENCH_SLEEPERS_100K);

  bench_row (data, ns / 1e9, "s");
  bench_row (data, (double) n_counted, "units");
  return nothing ();
}

static void
sleepers_100k (const char *name)
{
  run_fiber (gather_sleepers, (gpointer) name);
}

/* --- echo -------------------------------------------------------------------------------------- */

static DexFuture *
serve (gpointer data)
{
  GInputStream *input = g_io_stream_get_input_stream (data);
  GOutputStream *output = g_io_stream_get_output_stream (data);
  char buffer[ECHO_BUFFER_SIZE];
  gssize n;

  while ((n = dex_await_int64 (dex_input_stream_read (input, buffer, sizeof buffer, 0), NULL)) > 0)
    if (dex_await_int64 (dex_output_stream_write (output, buffer, (gsize) n, 0), NULL) != n)
      break;
  return nothing ();
}

static DexFuture *
accept_for_ever (gpointer listener)
{
  GSocketConnection *connection;

  while ((connection = dex_await_object (dex_socket_listener_accept (listener), NULL)) != NULL)
    {
      g_socket_set_option (g_socket_connection_get_socket (connection), IPPROTO_TCP, TCP_NODELAY, 1, NULL);
      dex_unref (dex_scheduler_spawn (NULL, 0, serve, connection, g_object_unref));
    }
  return nothing ();
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
  GSocketListener *listener = g_socket_listener_new ();

  g_socket_listener_add_socket (listener, g_socket_new_from_fd (echo_listen (), NULL), NULL, NULL);
  g_io_add_watch (g_io_channel_unix_new (STDIN_FILENO), G_IO_IN | G_IO_HUP, on_input, NULL);
  run_fiber (accept_for_ever, listener);
}

static DexFuture *
wait_for_ever (gpointer data)
{
  dex_await (DEX_FUTURE (dex_promise_new ()), NULL);
  return nothing ();
}

static void
idle (const char *name)
{
  run_fiber (wait_for_ever, NULL);
}

/* --- the table --------------------------------------------------------------------------------- */

static const BenchOp ops[] =
{
  { "future_resolve", run_repeated },
  { "future_then", run_repeated },
  { "await_settled", run_repeated },
  { "spawn_await", run_repeated },
  { "spawn_many", spawn_many },
  { "pool_spawn_many", pool_spawn_many },
  { "pool_submit", pool_submit },
  { "cross_thread", cross_thread },
  { "cross_thread_idle", cross_thread_idle },
  { "sleepers_100k", sleepers_100k },
  { "timer_cancel", run_repeated },
  { "timer_cancel_1000", run_repeated },
  { "timer_cancel_1m", run_repeated },
  { "timer_fire", run_repeated },
  { "timer_fire_1000", run_repeated },
  { "echo", echo },
  { "idle", idle },
  { NULL, NULL }
};

int
main (int argc, char **argv)
{
  dex_init ();
  return bench_main (argc, argv, ops);
}
