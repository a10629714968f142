/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the C and C++ programs of the micro-benchmark share: the clock, medians, memory, and what is printed.
 *
 * A program is called with the name of an operation and prints `name<TAB>value<TAB>unit` for each figure. A figure
 * whose unit is `units` says how many units (tasks, items, timers) that operation has made: `run` prints no row of an
 * operation in which somebody made another number. Without arguments it prints the operations that it has.
 */
#pragma once

#include <math.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What all runtimes do as often as each other; run and the programs in other languages have the same numbers. */
enum
{
  BENCH_ROUNDS        = 5,         /* of which the median is taken */
  BENCH_MANY          = 100000,    /* tasks of spawn_many and pool_spawn_many */
  BENCH_COMPUTING     = 20000,     /* tasks of pool_compute */
  BENCH_STEPS         = 2000,      /* of bench_compute () in each of them */
  BENCH_ITEMS         = 1000000,   /* of pool_submit */
  BENCH_TRIPS         = 5000,      /* of cross_thread */
  BENCH_IDLE_TRIPS    = 200,       /* of cross_thread_idle, with BENCH_PAUSE_US before each */
  BENCH_PAUSE_US      = 1000,
  BENCH_SLEEPERS_100K = 100000,
  BENCH_SLEEPERS_1M   = 1000000,
  BENCH_BATCH         = 1000,      /* timers that are pending at once in timer_fire */
  BENCH_WORKERS       = 2
};

/* skynet: each task gives the sum of the ordinals of the leaves under it, and adds one unit for itself. */
#define SKYNET_LEAVES 1000000
#define SKYNET_UNIT   (INT64_C (1) << 40)
#define SKYNET_SUM    INT64_C (499999500000)
#define SKYNET_TASKS  1111111

static inline double
bench_clock (clockid_t clock)
{
  struct timespec time;

  clock_gettime (clock, &time);
  return (double) time.tv_sec * 1e9 + (double) time.tv_nsec;
}

static inline double
bench_now (void)
{
  return bench_clock (CLOCK_MONOTONIC);
}

/* Of the whole process: what something costs that has to wait as well. */
static inline double
bench_cpu (void)
{
  return bench_clock (CLOCK_PROCESS_CPUTIME_ID);
}

static inline int
bench_compare_doubles (const void *a, const void *b)
{
  const double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

static inline double
bench_median (double *values, unsigned n)
{
  qsort (values, n, sizeof values[0], bench_compare_doubles);
  return values[n / 2];
}

static inline void
bench_row (const char *name, double value, const char *unit)
{
  printf ("%s\t%.9g\t%s\n", name, value, unit);
  fflush (stdout);
}

/* How many of its tasks each have set their own mark. */
static inline uint64_t
bench_count_marks (const unsigned char *marks, size_t n)
{
  uint64_t count = 0;

  for (size_t i = 0; i < n; i++)
    count += marks[i];
  return count;
}

/* KiB, of a line of /proc/self/status. */
static inline double
bench_status_kib (const char *key)
{
  FILE *file = fopen ("/proc/self/status", "r");
  char line[256];
  double kib = 0;

  while (file != NULL && fgets (line, sizeof line, file) != NULL)
    if (strncmp (line, key, strlen (key)) == 0)
      kib = strtod (line + strlen (key), NULL);
  if (file != NULL)
    fclose (file);
  return kib;
}

/* Bytes that are resident, and that their page tables take. */
static inline double
bench_memory (void)
{
  return 1024 * (bench_status_kib ("VmRSS:") + bench_status_kib ("VmPTE:"));
}

/* What a computing task does: nothing that a compiler can leave out. */
static inline uint64_t
bench_compute_steps (uint64_t seed, unsigned n_steps)
{
  uint64_t x = seed | 1;

  for (unsigned i = 0; i < n_steps; i++)
    {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
    }
  return x;
}

static inline uint64_t
bench_compute (uint64_t seed)
{
  return bench_compute_steps (seed, BENCH_STEPS);
}

/* Between 0 and 1, never 0: splitmix64's number of @seed. */
static inline double
bench_uniform (uint64_t seed)
{
  uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15;

  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return ((double) ((x ^ (x >> 31)) >> 11) + 1) / 9007199254740993.0;
}

/* How many steps task @i of pool_skew takes: lognormal, most of them few and some very many. */
static inline unsigned
bench_skewed_steps (uint64_t i)
{
  const double pi = 3.14159265358979323846;
  const double normal = sqrt (-2 * log (bench_uniform (2 * i))) * cos (2 * pi * bench_uniform (2 * i + 1));

  return (unsigned) (BENCH_STEPS / 4 * exp (1.5 * normal));
}

/* Those that the program may run on: a thread that one on a single processor has made inherits only that.
 * Written by bench_main (), before there are other threads. */
static cpu_set_t bench_processors;

/* Keeps the calling thread on one processor, counted from 0 over those that the program may run on: where a scheduler puts
 * two threads that talk to each other, on one processor or on two, decides more than what they talk through. */
static inline void
bench_pin (unsigned processor)
{
  unsigned n_before = processor % (unsigned) CPU_COUNT (&bench_processors), i = 0;
  cpu_set_t set;

  while (!CPU_ISSET (i, &bench_processors) || n_before-- > 0)
    i++;
  CPU_ZERO (&set);
  CPU_SET (i, &set);
  if (sched_setaffinity (0, sizeof set, &set) < 0)
    {
      perror ("sched_setaffinity");
      exit (EXIT_FAILURE);
    }
}

/* Ends the program in the middle: what it was to measure has been printed. */
static inline void
bench_leave (void)
{
  fflush (stdout);
  _Exit (EXIT_SUCCESS);
}

/* --- a program's operations -------------------------------------------------------------------- */

typedef struct
{
  const char *name;
  void      (*run) (const char *name);
} BenchOp;

static inline int
bench_main (int argc, char **argv, const BenchOp *ops)
{
  if (sched_getaffinity (0, sizeof bench_processors, &bench_processors) < 0)
    {
      perror ("sched_getaffinity");
      return EXIT_FAILURE;
    }
  for (const BenchOp *op = ops; op->name != NULL; op++)
    if (argc < 2)
      printf ("%s\n", op->name);
    else if (strcmp (op->name, argv[1]) == 0)
      {
        op->run (op->name);
        return EXIT_SUCCESS;
      }

  if (argc < 2)
    return EXIT_SUCCESS;
  fprintf (stderr, "%s: there is no operation %s\n", argv[0], argv[1]);
  return EXIT_FAILURE;
}
