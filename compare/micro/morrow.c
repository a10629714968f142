/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * morrow's program of the micro-benchmark: each operation as somebody would write it who uses the public API well.
 *
 * An operation that is repeated runs inside a task, in rounds; the tasks and callbacks that it makes count themselves,
 * and no row is printed when the count is not what it must be.
 */
#include <morrow/morrow.h>

#include <sys/mman.h>

#include "bench.h"
#include "echo-morrow.h"

/* What this op's units have counted. The loop's thread. */
static guint64 n_counted;

static void
run_on (MorrowExecutor *executor, MorrowCoroutineFunc func, gpointer data)
{
  g_autoptr (GError) error = NULL;

  if (!morrow_run_on (executor, morrow_coroutine (func, data, NULL), NULL, &error))
    g_error ("%s", error->message);
}

static void
run_on_loop (MorrowCoroutineFunc func, gpointer data)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);

  run_on (loop, func, data);
}

/* What cannot fail here. */
static void
must (gboolean ok)
{
  if (!ok)
    g_error ("An await has failed");
}

typedef struct
{
  MorrowCoroutineFunc func;
  gpointer            data;
} Inner;

static gboolean
await_inner (gpointer data, GValue *result, GError **error)
{
  const Inner *inner = data;

  return morrow_await (morrow_spawn (inner->func, inner->data, NULL), error);
}

/* Main is on the calling thread, beside the pool: what spawns is a task of the pool itself. */
static void
run_on_pool (MorrowCoroutineFunc func, gpointer data)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (BENCH_WORKERS);
  Inner inner = { func, data };

  run_on (pool, await_inner, &inner);
}

/* --- what is repeated -------------------------------------------------------------------------- */

typedef struct
{
  const char *name;
  void      (*repeat) (guint n, guint argument);   /* does its thing n times, and counts it */
  guint       n;
  guint       argument;
  gboolean    cpu;                                 /* waits too: processor time is what counts */
} Repeated;

static gboolean
repeat_in_task (gpointer data, GValue *result, GError **error)
{
  const Repeated *op = data;
  double (*clock_now) (void) = op->cpu ? bench_cpu : bench_now;
  double ns[BENCH_ROUNDS];

  op->repeat (op->n / 10, op->argument);
  n_counted = 0;
  for (guint i = 0; i < BENCH_ROUNDS; i++)
    {
      const double start = clock_now ();

      op->repeat (op->n, op->argument);
      ns[i] = (clock_now () - start) / op->n;
    }
  if (n_counted == (guint64) op->n * BENCH_ROUNDS)
    bench_row (op->name, bench_median (ns, BENCH_ROUNDS), "ns");
  else
    g_printerr ("%s: %" G_GUINT64_FORMAT " counted instead of %u\n", op->name, n_counted, op->n * BENCH_ROUNDS);
  return TRUE;
}

/* --- futures ----------------------------------------------------------------------------------- */

static void
future_resolve (guint n, guint argument)
{
  for (guint i = 0; i < n; i++)
    {
      MorrowFuture *future;
      MorrowPromise *promise = morrow_promise_new_with_future (&future);

      morrow_resolve_int (promise, 1);
      n_counted += (guint64) morrow_future_get_int (future);
      morrow_future_unref (future);
    }
}

static gboolean
count_settled (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  n_counted += (guint64) morrow_future_get_int (settled);
  return TRUE;
}

static void
future_then (guint n, guint argument)
{
  for (guint i = 0; i < n; i++)
    {
      MorrowFuture *future;
      MorrowPromise *promise = morrow_promise_new_with_future (&future);
      MorrowFuture *then = morrow_then (future, count_settled, NULL, NULL);

      morrow_resolve_int (promise, 1);
      must (morrow_await (then, NULL));
    }
}

static MorrowFuture *
settled_future (void)
{
  g_autoptr (MorrowPromise) promise = morrow_promise_new ();

  morrow_promise_resolve (promise);
  return morrow_promise_get_future (promise);
}

static void
await_settled (guint n, guint argument)
{
  g_autoptr (MorrowFuture) settled = settled_future ();
  guint64 counted = 0;

  for (guint i = 0; i < n; i++)
    counted += (guint64) morrow_future_await (settled, NULL);
  n_counted += counted;
}

static void
await_settled_taking (guint n, guint argument)
{
  g_autoptr (MorrowFuture) settled = settled_future ();

  for (guint i = 0; i < n; i++)
    n_counted += (guint64) morrow_await (morrow_future_ref (settled), NULL);
}

/* --- tasks on one loop ------------------------------------------------------------------------- */

static gboolean
yield_often (gpointer data, GValue *result, GError **error)
{
  for (guint i = GPOINTER_TO_UINT (data); i > 0; i--)
    n_counted += (guint64) morrow_yield (NULL);
  return TRUE;
}

/* @n switches among @n_tasks. */
static void
fiber_yield (guint n, guint n_tasks)
{
  g_autofree MorrowFuture **tasks = g_new (MorrowFuture *, n_tasks);

  for (guint i = 0; i < n_tasks; i++)
    tasks[i] = morrow_spawn (yield_often, GUINT_TO_POINTER (n / n_tasks), NULL);
  must (morrow_await (morrow_gatherv (tasks, n_tasks), NULL));
}

static gboolean
count_itself (gpointer data, GValue *result, GError **error)
{
  n_counted++;
  return TRUE;
}

static void
spawn_await (guint n, guint argument)
{
  for (guint i = 0; i < n; i++)
    must (morrow_await (morrow_spawn (count_itself, NULL, NULL), NULL));
}

/* --- timers ------------------------------------------------------------------------------------ */

static MorrowFuture **pending;

/* @n timers that do not fire while this lasts, at various times from now. */
static void
make_pending (guint n)
{
  pending = g_new (MorrowFuture *, n);
  for (guint i = 0; i < n; i++)
    pending[i] = morrow_sleep (3600 + i % 997);
}

static void
timer_cancel (guint n, guint argument)
{
  for (guint i = 0; i < n; i++)
    {
      MorrowFuture *timer = morrow_sleep (60);

      n_counted += (guint64) morrow_future_cancel (timer);
      morrow_future_unref (timer);
    }
}

static void
timer_fire (guint n, guint argument)
{
  MorrowFuture *timers[BENCH_BATCH];

  for (guint i = 0; i < n; i += BENCH_BATCH)
    {
      for (guint j = 0; j < BENCH_BATCH; j++)
        timers[j] = morrow_sleep (1e-6);
      for (guint j = 0; j < BENCH_BATCH; j++)
        n_counted += (guint64) morrow_await (timers[j], NULL);
    }
}

static gboolean
repeat_beside_pending (gpointer data, GValue *result, GError **error)
{
  const Repeated *op = data;

  make_pending (op->argument);
  repeat_in_task (data, result, error);
  bench_leave ();
  return TRUE;
}

static const Repeated repeated[] =
{
  { "future_resolve", future_resolve, 1000000 },
  { "future_then", future_then, 300000 },
  { "await_settled", await_settled, 5000000 },
  { "await_settled_taking", await_settled_taking, 2000000 },
  { "fiber_yield", fiber_yield, 2000000, 2 },
  { "fiber_yield_1000", fiber_yield, 2000000, 1000 },
  { "spawn_await", spawn_await, 500000 },
  { "timer_cancel", timer_cancel, 1000000, 0 },
  { "timer_cancel_1000", timer_cancel, 1000000, 1000 },
  { "timer_cancel_1m", timer_cancel, 1000000, 1000000 },
  { "timer_fire", timer_fire, 200000, 0, TRUE },
  { "timer_fire_1000", timer_fire, 200000, 1000, TRUE },
  { "timer_fire_1m", timer_fire, 200000, 1000000, TRUE }
};

static void
run_repeated (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (repeated); i++)
    if (strcmp (repeated[i].name, name) == 0)
      run_on_loop (g_str_has_prefix (name, "timer") ? repeat_beside_pending : repeat_in_task, (gpointer) &repeated[i]);
}

/* Another row of the same, by another function. */
static void
run_variant (const char *name, const char *suffix, MorrowCoroutineFunc func)
{
  const gsize length = strlen (name) - strlen (suffix);

  for (guint i = 0; i < G_N_ELEMENTS (repeated); i++)
    if (strlen (repeated[i].name) == length && strncmp (repeated[i].name, name, length) == 0)
      {
        Repeated op = repeated[i];

        op.name = name;
        run_on_loop (func, &op);
      }
}

/* The same in a process that has another thread: the library counts without a lock prefix where there is none. */
static gpointer
sleep_for_ever (gpointer data)
{
  for (;;)
    pause ();
  return NULL;
}

static void
run_beside_thread (const char *name)
{
  g_thread_unref (g_thread_new ("beside", sleep_for_ever, NULL));
  run_variant (name, "_beside_thread", repeat_in_task);
}

/* The same in a task on whose stack no callback runs in place, since there is no room for it. */
static gboolean
repeat_on_small_stack (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *task = morrow_coroutine (repeat_in_task, data, NULL);

  morrow_future_set_stack_size (task, 64 * 1024);
  return morrow_await (morrow_create_task (task), error);
}

static void
run_on_small_stack (const char *name)
{
  run_variant (name, "_small_stack", repeat_on_small_stack);
}

/* --- many tasks -------------------------------------------------------------------------------- */

static unsigned char marks[BENCH_MANY];
static guint64       n_marked = G_MAXUINT64;   /* in the round that marked the fewest. The task's that gathers. */

static gboolean
set_mark (gpointer data, GValue *result, GError **error)
{
  *(unsigned char *) data = 1;
  return TRUE;
}

static gboolean
compute_and_mark (gpointer data, GValue *result, GError **error)
{
  *(unsigned char *) data = bench_compute (GPOINTER_TO_SIZE (data)) != 0;
  return TRUE;
}

/* Returns: nanoseconds that it took to create @n tasks and gather them. */
static double
gather_marking (MorrowCoroutineFunc func, guint n)
{
  MorrowFuture **tasks;
  double start, end;

  memset (marks, 0, sizeof marks);
  start = bench_now ();
  tasks = g_new (MorrowFuture *, n);
  for (guint i = 0; i < n; i++)
    tasks[i] = morrow_spawn (func, &marks[i], NULL);
  must (morrow_await (morrow_gatherv (tasks, n), NULL));
  g_free (tasks);
  end = bench_now ();
  n_marked = MIN (n_marked, bench_count_marks (marks, n));
  return end - start;
}

/* The first time memory is fresh, then it is not. */
static gboolean
print_many (gpointer data, GValue *result, GError **error)
{
  const char *name = data;
  g_autofree char *warm_name = g_strconcat (name, "_warm", NULL);
  double ns[BENCH_ROUNDS];

  bench_row (name, gather_marking (set_mark, BENCH_MANY) / BENCH_MANY, "ns");
  bench_row (name, (double) n_marked, "units");
  for (guint i = 0; i < BENCH_ROUNDS; i++)
    ns[i] = gather_marking (set_mark, BENCH_MANY) / BENCH_MANY;
  bench_row (warm_name, bench_median (ns, BENCH_ROUNDS), "ns");
  bench_row (warm_name, (double) n_marked, "units");
  return TRUE;
}

static void
spawn_many (const char *name)
{
  run_on_loop (print_many, (gpointer) name);
}

static void
pool_spawn_many (const char *name)
{
  run_on_pool (print_many, (gpointer) name);
}

static gboolean
time_computing (gpointer data, GValue *result, GError **error)
{
  double ns[BENCH_ROUNDS];

  for (guint i = 0; i < BENCH_ROUNDS; i++)
    ns[i] = gather_marking (compute_and_mark, BENCH_COMPUTING);
  *(double *) data = bench_median (ns, BENCH_ROUNDS);
  return TRUE;
}

/* What tasks that compute take on the pool, as a part of what they take on one loop. */
static void
pool_compute (const char *name)
{
  double on_loop, on_pool;

  run_on_loop (time_computing, &on_loop);
  run_on_pool (time_computing, &on_pool);
  bench_row (name, on_pool / on_loop, "x");
  bench_row (name, (double) n_marked, "units");
}

/* --- tasks of very different sizes ------------------------------------------------------------- */

static unsigned skewed_steps[BENCH_COMPUTING];

static gboolean
compute_skewed_and_mark (gpointer data, GValue *result, GError **error)
{
  const gsize i = (gsize) ((unsigned char *) data - marks);

  marks[i] = bench_compute_steps (i, skewed_steps[i]) != 0;
  return TRUE;
}

static gboolean
time_skewed (gpointer data, GValue *result, GError **error)
{
  double ns[BENCH_ROUNDS];

  for (guint i = 0; i < BENCH_ROUNDS; i++)
    ns[i] = gather_marking (compute_skewed_and_mark, BENCH_COMPUTING);
  *(double *) data = bench_median (ns, BENCH_ROUNDS);
  return TRUE;
}

/* What the pool takes for tasks that one of its tasks makes, as a multiple of their time on one loop shared out evenly. */
static void
pool_skew (const char *name)
{
  double on_loop, on_pool;

  for (guint i = 0; i < BENCH_COMPUTING; i++)
    skewed_steps[i] = bench_skewed_steps (i);
  run_on_loop (time_skewed, &on_loop);
  run_on_pool (time_skewed, &on_pool);
  bench_row (name, on_pool / (on_loop / BENCH_WORKERS), "x");
  bench_row (name, (double) n_marked, "units");
}

/* --- items from outside ------------------------------------------------------------------------ */

/* A worker counts what it has run, in a cache line of its own. */
typedef struct
{
  _Atomic guint64 n_run;          /* written by its worker, read by who submits: relaxed, a count and nothing else */
} __attribute__ ((aligned (128))) WorkerCount;

static WorkerCount          worker_counts[256];
static _Atomic unsigned     n_worker_counts;
static __thread WorkerCount *own_count;

static void
count_item (gpointer data)
{
  if (G_UNLIKELY (own_count == NULL))
    own_count = &worker_counts[__atomic_fetch_add ((unsigned *) &n_worker_counts, 1, __ATOMIC_RELAXED)];
  __atomic_store_n ((guint64 *) &own_count->n_run,
                    __atomic_load_n ((guint64 *) &own_count->n_run, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

static guint64
items_run (void)
{
  guint64 n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (worker_counts); i++)
    n += __atomic_load_n ((guint64 *) &worker_counts[i].n_run, __ATOMIC_RELAXED);
  return n;
}

/* Returns: nanoseconds until all of @n items have run. */
static double
submit_items (MorrowExecutor *pool, guint n)
{
  const guint64 n_before = items_run ();
  const double start = bench_now ();

  for (guint i = 0; i < n; i++)
    morrow_executor_submit (pool, count_item, NULL, NULL);
  while (items_run () - n_before < n)
    g_usleep (20);
  return bench_now () - start;
}

static void
submit_to (MorrowExecutor *pool, const char *name)
{
  double ns;

  submit_items (pool, BENCH_ITEMS / 10);
  ns = submit_items (pool, BENCH_ITEMS);
  bench_row (name, ns / BENCH_ITEMS, "ns");
  bench_row (name, (double) (items_run () - BENCH_ITEMS / 10), "units");
}

static void
pool_submit (const char *name)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (BENCH_WORKERS);

  submit_to (pool, name);
}

static void
pool_submit_threads (const char *name)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (BENCH_WORKERS);

  submit_to (pool, name);
}

/* --- two threads ------------------------------------------------------------------------------- */

/* Made before the clock starts: which of them is for which trip needs no word between the threads. */
typedef struct
{
  guint           n_trips;
  guint           pause_us;
  MorrowPromise **ask_promises, **answer_promises;
  MorrowFuture  **asks, **answers;
  double          ns;            /* the asking task */
} Trips;

static gboolean
answer_all (gpointer data, GValue *result, GError **error)
{
  Trips *trips = data;

  for (guint i = 0; i < trips->n_trips; i++)
    {
      must (morrow_future_await (trips->asks[i], NULL));
      morrow_promise_resolve_int (trips->answer_promises[i], 1);
    }
  return TRUE;
}

static gboolean
ask_all (gpointer data, GValue *result, GError **error)
{
  Trips *trips = data;

  for (guint i = 0; i < trips->n_trips; i++)
    {
      double start;

      if (trips->pause_us > 0)
        must (morrow_await (morrow_sleep (trips->pause_us * 1e-6), NULL));
      start = bench_now ();
      morrow_promise_resolve_int (trips->ask_promises[i], 1);
      must (morrow_future_await (trips->answers[i], NULL));
      n_counted += (guint64) morrow_future_get_int (trips->answers[i]);
      trips->ns += bench_now () - start;
    }
  return TRUE;
}

static gpointer
answer_thread (gpointer data)
{
  bench_pin (1);
  run_on_loop (answer_all, data);
  return NULL;
}

static void
make_promises (guint n, MorrowPromise ***promises, MorrowFuture ***futures)
{
  *promises = g_new (MorrowPromise *, n);
  *futures = g_new (MorrowFuture *, n);
  for (guint i = 0; i < n; i++)
    {
      (*promises)[i] = morrow_promise_new ();
      (*futures)[i] = morrow_promise_get_future ((*promises)[i]);
    }
}

static void
free_promises (guint n, MorrowPromise **promises, MorrowFuture **futures)
{
  for (guint i = 0; i < n; i++)
    {
      morrow_future_unref (futures[i]);
      morrow_promise_unref (promises[i]);
    }
  g_free (promises);
  g_free (futures);
}

static void
print_trips (const char *name, guint n_trips, guint pause_us)
{
  Trips trips = { .n_trips = n_trips, .pause_us = pause_us };
  GThread *thread;

  make_promises (n_trips, &trips.ask_promises, &trips.asks);
  make_promises (n_trips, &trips.answer_promises, &trips.answers);
  thread = g_thread_new ("answers", answer_thread, &trips);
  bench_pin (0);
  run_on_loop (ask_all, &trips);
  g_thread_join (thread);
  bench_row (name, trips.ns / n_trips, "ns");
  bench_row (name, (double) n_counted, "units");
  free_promises (n_trips, trips.ask_promises, trips.asks);
  free_promises (n_trips, trips.answer_promises, trips.answers);
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

typedef struct
{
  const char *name;
  guint       n;
  double      seconds;
  gsize       stack_size;     /* 0: the default */
  guint       n_started;      /* all: the loop's thread */
  guint       n_ended;
  double      memory;         /* before, in bytes */
} Sleepers;

/* The limit of n sleepers: a page for each is touched for the first time. Printed as the row of another runtime. */
static void
print_page_limit (const char *name, guint n)
{
  g_autofree char *limit_name = g_strconcat ("limit/", name, NULL);
  const gsize page = 4096;
  const double start = bench_now ();
  char *memory = mmap (NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (memory == MAP_FAILED)
    g_error ("mmap: %s", g_strerror (errno));
  madvise (memory, n * page, MADV_NOHUGEPAGE);
  for (gsize i = 0; i < n; i++)
    memory[i * page] = 1;
  bench_row (limit_name, (bench_now () - start) / 1e9, "s");
  munmap (memory, n * page);
}

/* The last one to start finds all the others asleep. */
static void
print_memory (const Sleepers *sleepers)
{
  bench_row (sleepers->name, (bench_memory () - sleepers->memory) / sleepers->n, "bytes");
  bench_row (sleepers->name, sleepers->n_started, "units");
  bench_leave ();
}

static gboolean
sleep_in_task (gpointer data, GValue *result, GError **error)
{
  Sleepers *sleepers = data;

  if (++sleepers->n_started == sleepers->n && sleepers->seconds > 60)
    print_memory (sleepers);
  must (morrow_await (morrow_sleep (sleepers->seconds), NULL));
  sleepers->n_ended++;
  return TRUE;
}

static gboolean
gather_sleepers (gpointer data, GValue *result, GError **error)
{
  Sleepers *sleepers = data;
  const double start = bench_now ();
  MorrowFuture **tasks = g_new (MorrowFuture *, sleepers->n);

  for (guint i = 0; i < sleepers->n; i++)
    {
      MorrowFuture *coroutine = morrow_coroutine (sleep_in_task, sleepers, NULL);

      if (sleepers->stack_size > 0)
        morrow_future_set_stack_size (coroutine, sleepers->stack_size);
      tasks[i] = morrow_create_task (coroutine);
    }
  must (morrow_await (morrow_gatherv (tasks, sleepers->n), NULL));
  g_free (tasks);
  bench_row (sleepers->name, (bench_now () - start) / 1e9, "s");
  bench_row (sleepers->name, sleepers->n_ended, "units");
  return TRUE;
}

/* @name ends with what is measured: `_bytes` after some seconds that never pass, the time after one second. */
static void
run_sleepers (const char *name, guint n, gsize stack_size, MorrowCoroutineFunc gather)
{
  const gboolean bytes = strstr (name, "_bytes") != NULL;
  Sleepers sleepers = { .name = name, .n = n, .seconds = bytes ? 3600 : 1, .stack_size = stack_size };

  if (!bytes && gather == gather_sleepers)
    print_page_limit (name, n);
  sleepers.memory = bench_memory ();
  run_on_loop (gather, &sleepers);
}

static void
sleepers_100k (const char *name)
{
  run_sleepers (name, BENCH_SLEEPERS_100K, 0, gather_sleepers);
}

static void
sleepers_1m (const char *name)
{
  run_sleepers (name, BENCH_SLEEPERS_1M, 0, gather_sleepers);
}

static void
sleepers_1m_small (const char *name)
{
  run_sleepers (name, BENCH_SLEEPERS_1M, 64 * 1024, gather_sleepers);
}

static void
sleepers_100k_small (const char *name)
{
  run_sleepers (name, BENCH_SLEEPERS_100K, 64 * 1024, gather_sleepers);
}

static gboolean
gather_sleeping_futures (gpointer data, GValue *result, GError **error)
{
  Sleepers *sleepers = data;
  const double start = bench_now ();
  MorrowFuture **futures = g_new (MorrowFuture *, sleepers->n), *all;

  for (guint i = 0; i < sleepers->n; i++)
    {
      futures[i] = morrow_sleep (sleepers->seconds);
      sleepers->n_started += !morrow_future_is_settled (futures[i]);
    }
  all = morrow_gatherv (futures, sleepers->n);
  g_free (futures);
  if (sleepers->seconds > 60)
    print_memory (sleepers);
  must (morrow_future_await (all, NULL));
  sleepers->n_ended = (guint) morrow_results_get_n (morrow_future_get_boxed (all));
  morrow_future_unref (all);
  bench_row (sleepers->name, (bench_now () - start) / 1e9, "s");
  bench_row (sleepers->name, sleepers->n_ended, "units");
  return TRUE;
}

static void
sleeping_futures_1m (const char *name)
{
  run_sleepers (name, BENCH_SLEEPERS_1M, 0, gather_sleeping_futures);
}

/* --- skynet ------------------------------------------------------------------------------------ */

typedef struct
{
  gint64 first;      /* ordinal of the first leaf below */
  gint64 n_leaves;
} Node;

static gboolean
skynet_node (gpointer data, GValue *result, GError **error)
{
  const Node *node = data;
  MorrowFuture *tasks[10];
  Node children[10];
  const gint64 below = node->n_leaves / 10;
  gint64 sum = SKYNET_UNIT;

  if (node->n_leaves == 1)
    return morrow_return_int64 (result, SKYNET_UNIT + node->first);

  for (guint i = 0; i < 10; i++)
    {
      children[i] = (Node) { node->first + i * below, below };
      tasks[i] = morrow_spawn (skynet_node, &children[i], NULL);
    }
  for (guint i = 0; i < 10; i++)
    sum += morrow_await_int64 (tasks[i], NULL);
  return morrow_return_int64 (result, sum);
}

static void
skynet (const char *name)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (BENCH_WORKERS);
  g_autoptr (GError) error = NULL;
  g_auto (GValue) result = G_VALUE_INIT;
  Node root = { 0, SKYNET_LEAVES };
  const double start = bench_now ();
  double ns;

  if (!morrow_run_on (pool, morrow_coroutine (skynet_node, &root, NULL), &result, &error))
    g_error ("%s", error->message);
  ns = bench_now () - start;
  if (g_value_get_int64 (&result) % SKYNET_UNIT != SKYNET_SUM)
    return;
  bench_row (name, ns / 1e6, "ms");
  bench_row (name, (double) (g_value_get_int64 (&result) / SKYNET_UNIT), "units");
}

/* --- idle -------------------------------------------------------------------------------------- */

static gboolean
wait_for_ever (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowPromise) promise = morrow_promise_new ();

  return morrow_await (morrow_promise_get_future (promise), error);
}

/* A loop with nothing to do, until it is killed: run looks at it from outside. */
static void
idle (const char *name)
{
  run_on_loop (wait_for_ever, NULL);
}

/* The same where the loop is a source of a main loop that has nothing else. */
static void
idle_hosted (const char *name)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (g_main_context_default ());
  g_autoptr (GMainLoop) main_loop = g_main_loop_new (NULL, FALSE);

  morrow_future_unref (morrow_executor_spawn (loop, morrow_coroutine (wait_for_ever, NULL, NULL)));
  g_main_loop_run (main_loop);
}

/* --- echo -------------------------------------------------------------------------------------- */

static void
echo (const char *name)
{
  echo_morrow_serve (FALSE);
}

static void
echo_hosted (const char *name)
{
  echo_morrow_serve (TRUE);
}

/* --- the table --------------------------------------------------------------------------------- */

static const BenchOp ops[] =
{
  { "future_resolve", run_repeated },
  { "future_then", run_repeated },
  { "future_then_small_stack", run_on_small_stack },
  { "await_settled", run_repeated },
  { "await_settled_taking", run_repeated },
  { "fiber_yield", run_repeated },
  { "fiber_yield_1000", run_repeated },
  { "spawn_await", run_repeated },
  { "future_resolve_beside_thread", run_beside_thread },
  { "future_then_beside_thread", run_beside_thread },
  { "await_settled_taking_beside_thread", run_beside_thread },
  { "spawn_await_beside_thread", run_beside_thread },
  { "timer_cancel_beside_thread", run_beside_thread },
  { "spawn_many", spawn_many },
  { "pool_spawn_many", pool_spawn_many },
  { "pool_compute", pool_compute },
  { "pool_skew", pool_skew },
  { "pool_submit", pool_submit },
  { "pool_submit_threads", pool_submit_threads },
  { "cross_thread", cross_thread },
  { "cross_thread_idle", cross_thread_idle },
  { "sleepers_100k", sleepers_100k },
  { "sleepers_100k_bytes", sleepers_100k },
  { "sleepers_100k_bytes_64k", sleepers_100k_small },
  { "sleepers_1m", sleepers_1m },
  { "sleepers_1m_bytes", sleepers_1m },
  { "sleepers_1m_bytes_64k", sleepers_1m_small },
  { "sleeping_futures_1m", sleeping_futures_1m },
  { "sleeping_futures_1m_bytes", sleeping_futures_1m },
  { "skynet", skynet },
  { "timer_cancel", run_repeated },
  { "timer_cancel_1000", run_repeated },
  { "timer_cancel_1m", run_repeated },
  { "timer_fire", run_repeated },
  { "timer_fire_1000", run_repeated },
  { "timer_fire_1m", run_repeated },
  { "echo", echo },
  { "echo_hosted", echo_hosted },
  { "idle", idle },
  { "idle_hosted", idle_hosted },
  { NULL, NULL }
};

int
main (int argc, char **argv)
{
  return bench_main (argc, argv, ops);
}
