/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the pieces of lib/base/ cost by themselves, each beside what one would use instead.  Prints
 * name, figure and unit, with tabs between; the figure is the median of N_ROUNDS rounds.
 *
 *   bench-base [PREFIX]      only the rows whose name begins so */

#include "base/cache-private.h"
#include "base/clock-private.h"
#include "base/deque-private.h"
#include "base/mpsc-private.h"
#include "base/parker-private.h"
#include "base/timers-private.h"
#include "base/wakeup-private.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum
{
  N_ROUNDS = 5,
  N_PENDING = 1000000,
  OBJECT_SIZE = 128
};

/* Does its thing @n times.  Returns: nanoseconds it took; a function that has to prepare stops the
 * time itself. */
typedef gdouble (*Bench) (guint n, guint argument);

static guint64 random_state = 88172645463325252;

/* Not GRand, which costs more than what is measured. */
static inline guint64
next_random (void)
{
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

static gdouble
now_ns (void)
{
  struct timespec time;

  clock_gettime (CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

/* As far as the compiler knows, somebody looks at @pointer. */
static inline void
keep (gpointer pointer)
{
  __asm__ volatile ("" : : "r" (pointer) : "memory");
}

/* Memory. */

static gdouble
malloc_pair (guint n,
             guint argument)
{
  gdouble start = now_ns ();

  for (guint i = 0; i < n; i++)
    {
      gpointer mem = malloc (OBJECT_SIZE);

      keep (mem);
      free (mem);
    }
  return now_ns () - start;
}

static gdouble
cache_pair (guint n,
            guint argument)
{
  gdouble start = now_ns ();

  for (guint i = 0; i < n; i++)
    {
      gpointer mem = morrow__cache_alloc (OBJECT_SIZE);

      keep (mem);
      morrow__cache_free (OBJECT_SIZE, mem);
    }
  return now_ns () - start;
}

/* All of them, then none; cold: without memory from before. */
static gdouble
cache_flood (guint n,
             guint is_cold)
{
  gpointer *objects = g_new (gpointer, n);
  gdouble start, end;

  memset (objects, 1, n * sizeof *objects);
  if (is_cold)
    morrow__cache_trim (0);
  start = now_ns ();
  for (guint i = 0; i < n; i++)
    objects[i] = morrow__cache_alloc (OBJECT_SIZE);
  for (guint i = 0; i < n; i++)
    morrow__cache_free (OBJECT_SIZE, objects[i]);
  end = now_ns ();
  g_free (objects);
  return end - start;
}

/* Time. */

static gdouble
clock_read (guint n,
            guint argument)
{
  gdouble start = now_ns ();

  for (guint i = 0; i < n; i++)
    morrow__clock_now ();
  return now_ns () - start;
}

static MorrowTimer pending[N_PENDING];

#define START_TIME G_GINT64_CONSTANT (1000000000000)

static MorrowTimer *
pop_due (MorrowTimers *timers,
         gint64        now)
{
  guint n_steps = G_MAXUINT;

  return morrow__timers_pop_due (timers, now, &n_steps);
}

/* Beside @n_pending that are 5 to 65 seconds away. */
static MorrowTimers *
timers_with_pending (guint n_pending)
{
  MorrowTimers *timers = g_new (MorrowTimers, 1);

  morrow__timers_init (timers);
  pop_due (timers, START_TIME);
  for (guint i = 0; i < n_pending; i++)
    morrow__timers_insert (timers, &pending[i],
                           START_TIME + 5000000 + (gint64) (next_random () % 60000000));
  return timers;
}

static void
timers_free (MorrowTimers *timers)
{
  morrow__timers_clear (timers);
  g_free (timers);
}

static gdouble
timer_cancel (guint n,
              guint n_pending)
{
  MorrowTimers *timers = timers_with_pending (n_pending);
  MorrowTimer timer = { 0 };
  gdouble start = now_ns (), end;

  for (guint i = 0; i < n; i++)
    {
      morrow__timers_insert (timers, &timer, START_TIME + 1000000 + (i >> 6));
      morrow__timers_remove (timers, &timer);
    }
  end = now_ns ();
  timers_free (timers);
  return end - start;
}

/* A hundred at random within 100 us, then as much time goes by. */
static gdouble
timer_fire (guint n,
            guint n_pending)
{
  enum { N_AT_ONCE = 100 };
  MorrowTimers *timers = timers_with_pending (n_pending);
  MorrowTimer some[N_AT_ONCE];
  gint64 now = START_TIME;
  gdouble start, end;

  memset (some, 0, sizeof some);
  start = now_ns ();
  for (guint i = 0; i < n / N_AT_ONCE; i++)
    {
      for (guint j = 0; j < N_AT_ONCE; j++)
        morrow__timers_insert (timers, &some[j], now + (gint64) (next_random () % N_AT_ONCE));
      now += N_AT_ONCE;
      while (pop_due (timers, now) != NULL)
        ;
    }
  end = now_ns ();
  timers_free (timers);
  return end - start;
}

/* @n at once, within @span microseconds, all of them fired. */
static gdouble
timer_drain (guint n,
             guint span)
{
  MorrowTimers *timers = timers_with_pending (0);
  gdouble start, end;

  start = now_ns ();
  for (guint i = 0; i < n; i++)
    morrow__timers_insert (timers, &pending[i], START_TIME + (gint64) (next_random () % span));
  for (gint64 now = START_TIME; morrow__timers_next (timers) != G_MAXINT64; now += 1000)
    while (pop_due (timers, now) != NULL)
      ;
  end = now_ns ();
  timers_free (timers);
  return end - start;
}

/* Queues. */

static gdouble
deque_pair (guint n,
            guint argument)
{
  MorrowDeque deque;
  gdouble start, end;

  morrow__deque_init (&deque);
  morrow__deque_push (&deque, &deque);
  start = now_ns ();
  for (guint i = 0; i < n; i++)
    {
      morrow__deque_push (&deque, &deque);
      keep (morrow__deque_pop (&deque));
    }
  end = now_ns ();
  morrow__deque_clear (&deque);
  return end - start;
}

static gdouble
deque_push_and_steal (guint n,
                      guint argument)
{
  MorrowDeque deque;
  gdouble start, end;

  morrow__deque_init (&deque);
  start = now_ns ();
  for (guint i = 0; i < n; i++)
    {
      morrow__deque_push (&deque, &deque);
      keep (morrow__deque_steal (&deque));
    }
  end = now_ns ();
  morrow__deque_clear (&deque);
  return end - start;
}

/* All taken at once after @length of them. */
static gdouble
mpsc_push_and_take (guint n,
                    guint length)
{
  MorrowQueueNode *nodes = g_new (MorrowQueueNode, length);
  MorrowQueue out = MORROW__QUEUE_INIT;
  MorrowMpsc mpsc;
  gdouble start, end;

  morrow__mpsc_init (&mpsc);
  start = now_ns ();
  for (guint i = 0; i < n / length; i++)
    {
      for (guint j = 0; j < length; j++)
        morrow__mpsc_push (&mpsc, &nodes[j]);
      morrow__mpsc_take_all (&mpsc, &out);
      while (morrow__queue_pop (&out) != NULL)
        ;
    }
  end = now_ns ();
  g_free (nodes);
  return end - start;
}

/* Threads. */

typedef struct
{
  MorrowParker parkers[2];
  MorrowWakeup wakeups[2];
  guint        n_rounds;
} Pair;

static void
wakeup_wait (MorrowWakeup *wakeup)
{
  struct pollfd poll_fd = { .fd = morrow__wakeup_fd (wakeup), .events = POLLIN };

  poll (&poll_fd, 1, -1);
  morrow__wakeup_acknowledge (wakeup);
}

static gpointer
answer_by_parker (gpointer data)
{
  Pair *pair = data;

  for (guint i = 0; i < pair->n_rounds; i++)
    {
      morrow__parker_park (&pair->parkers[1]);
      morrow__parker_unpark (&pair->parkers[0]);
    }
  return NULL;
}

static gpointer
answer_by_wakeup (gpointer data)
{
  Pair *pair = data;

  for (guint i = 0; i < pair->n_rounds; i++)
    {
      wakeup_wait (&pair->wakeups[1]);
      morrow__wakeup_signal (&pair->wakeups[0]);
    }
  return NULL;
}

static gdouble
parker_round_trip (guint n,
                   guint argument)
{
  Pair pair = { .n_rounds = n };
  GThread *thread;
  gdouble start, end;

  morrow__parker_init (&pair.parkers[0]);
  morrow__parker_init (&pair.parkers[1]);
  thread = g_thread_new ("answer", answer_by_parker, &pair);
  start = now_ns ();
  for (guint i = 0; i < n; i++)
    {
      morrow__parker_unpark (&pair.parkers[1]);
      morrow__parker_park (&pair.parkers[0]);
    }
  end = now_ns ();
  g_thread_join (thread);
  return end - start;
}

static gdouble
wakeup_round_trip (guint n,
                   guint argument)
{
  Pair pair = { .n_rounds = n };
  GThread *thread;
  gdouble start, end;

  if (!morrow__wakeup_init (&pair.wakeups[0], NULL)
      || !morrow__wakeup_init (&pair.wakeups[1], NULL))
    g_error ("No eventfd left");
  thread = g_thread_new ("answer", answer_by_wakeup, &pair);
  start = now_ns ();
  for (guint i = 0; i < n; i++)
    {
      morrow__wakeup_signal (&pair.wakeups[1]);
      wakeup_wait (&pair.wakeups[0]);
    }
  end = now_ns ();
  g_thread_join (thread);
  morrow__wakeup_clear (&pair.wakeups[0]);
  morrow__wakeup_clear (&pair.wakeups[1]);
  return end - start;
}

static gdouble
parker_token (guint n,
              guint argument)
{
  MorrowParker parker;
  gdouble start;

  morrow__parker_init (&parker);
  start = now_ns ();
  for (guint i = 0; i < n; i++)
    {
      morrow__parker_unpark (&parker);
      morrow__parker_park (&parker);
    }
  return now_ns () - start;
}

static const struct
{
  const gchar *name;
  Bench        bench;
  guint        n;
  guint        argument;
} rows[] =
{
  { "malloc_pair", malloc_pair, 10000000, 0 },
  { "cache_pair", cache_pair, 10000000, 0 },
  { "cache_flood_100k_warm", cache_flood, 100000, FALSE },
  { "cache_flood_100k_cold", cache_flood, 100000, TRUE },
  { "cache_flood_1m_cold", cache_flood, 1000000, TRUE },
  { "clock_read", clock_read, 10000000, 0 },
  { "timer_cancel", timer_cancel, 5000000, 0 },
  { "timer_cancel_beside_1k", timer_cancel, 5000000, 1000 },
  { "timer_cancel_beside_1m", timer_cancel, 5000000, N_PENDING },
  { "timer_fire", timer_fire, 5000000, 0 },
  { "timer_fire_beside_1k", timer_fire, 5000000, 1000 },
  { "timer_fire_beside_1m", timer_fire, 5000000, N_PENDING },
  { "timer_drain_1m_random", timer_drain, N_PENDING, 1000000 },
  { "timer_drain_1m_equal", timer_drain, N_PENDING, 1 },
  { "deque_pair", deque_pair, 10000000, 0 },
  { "deque_push_and_steal", deque_push_and_steal, 10000000, 0 },
  { "mpsc_push_and_take", mpsc_push_and_take, 10000000, 1 },
  { "mpsc_push_and_take_by_16", mpsc_push_and_take, 10000000, 16 },
  { "parker_token", parker_token, 10000000, 0 },
  { "parker_round_trip", parker_round_trip, 10000, 0 },
  { "wakeup_round_trip", wakeup_round_trip, 10000, 0 },
};

static int
compare_doubles (gconstpointer a,
                 gconstpointer b)
{
  gdouble x = *(const gdouble *) a, y = *(const gdouble *) b;

  return (x > y) - (x < y);
}

int
main (int    argc,
      char **argv)
{
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      gdouble ns[N_ROUNDS];

      if (argc > 1 && !g_str_has_prefix (rows[i].name, argv[1]))
        continue;
      for (guint j = 0; j < N_ROUNDS; j++)
        ns[j] = rows[i].bench (rows[i].n, rows[i].argument) / rows[i].n;
      qsort (ns, N_ROUNDS, sizeof ns[0], compare_doubles);
      g_print ("%s\t%.1f\tns\n", rows[i].name, ns[N_ROUNDS / 2]);
    }
  return EXIT_SUCCESS;
}
