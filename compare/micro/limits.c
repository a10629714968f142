/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the machine itself takes: the limits that a runtime is held against. The raw echo server is echo-epoll.c; fresh
 * pages are also touched by morrow.c, next to its sleepers.
 */
#include <gnu/libc-version.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "bench.h"
#include "echo-epoll.h"

static void
fail (const char *what)
{
  perror (what);
  exit (EXIT_FAILURE);
}

/* --- instructions ------------------------------------------------------------------------------ */

#if defined (__x86_64__)

#define RING_SIDES   1000           /* as fiber_yield_1000 has tasks, */
#define RING_STACK   (276 * 1024)   /* on stacks as far apart as morrow puts its own, with their guards, */
#define RING_COLOURS 32             /* of so many colours, */
#define RING_COLOUR  64             /* a cache line apart */

/* The least that a switch does: leaves the stack and the registers that a call preserves, takes the other one, and goes
 * on there by an indirect jump. Nothing of what a runtime does to choose. */
typedef struct
{
  void     *sp;
  void     *pc;
  uint32_t  mxcsr;
  uint16_t  x87;
} Side;

static Side here, there;

static inline __attribute__ ((always_inline)) void
bare_switch (Side *from, Side *to)
{
  __asm__ volatile ("leaq 1f(%%rip), %%rax\n\t"
                    "pushq %%rbp\n\t"
                    "pushq %%rbx\n\t"
                    "movq %%rsp, (%0)\n\t"
                    "movq %%rax, 8(%0)\n\t"
                    "movq (%1), %%rsp\n\t"
                    "jmp *8(%1)\n"
                    "1:\n\t"
                    "endbr64\n\t"
                    "popq %%rbx\n\t"
                    "popq %%rbp"
                    : "+D" (from), "+S" (to)
                    :
                    : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

static void
switch_back_for_ever (Side *from, Side *self)
{
  for (;;)
    bare_switch (&there, &here);
}

/* The floating-point control words are to be kept as well: what the calling convention asks of a switch. */
static inline __attribute__ ((always_inline)) void
control_switch (Side *from, Side *to)
{
  __asm__ volatile ("stmxcsr %0\n\t"
                    "fnstcw %1"
                    : "=m" (from->mxcsr), "=m" (from->x87));
  if (((from->mxcsr ^ to->mxcsr) & 0xffc0) != 0 || from->x87 != to->x87)
    __asm__ volatile ("ldmxcsr %0\n\t"
                      "fldcw %1"
                      :
                      : "m" (to->mxcsr), "m" (to->x87));
  bare_switch (from, to);
}

static void
switch_control_back_for_ever (Side *from, Side *self)
{
  for (;;)
    control_switch (&there, &here);
}

/* What begins there finds both sides where a function has its first arguments. */
static void
start_side (Side *side, void *stack_end, void (*entry) (Side *from, Side *self))
{
  side->sp = (char *) stack_end - 8;
  side->pc = (void *) entry;
  __asm__ volatile ("stmxcsr %0\n\t"
                    "fnstcw %1"
                    : "=m" (side->mxcsr), "=m" (side->x87));
}

static void
start_other_side (void (*entry) (Side *from, Side *self))
{
  static char stack[65536] __attribute__ ((aligned (16)));

  start_side (&there, stack + sizeof stack, entry);
}

static void
switch_n (unsigned n)
{
  start_other_side (switch_back_for_ever);
  for (unsigned i = 0; i < n / 2; i++)
    bare_switch (&here, &there);
}

static void
control_switch_n (unsigned n)
{
  start_other_side (switch_control_back_for_ever);
  for (unsigned i = 0; i < n / 2; i++)
    control_switch (&here, &there);
}

/* The same round a ring, each side of which lies at the end of its stack, in the line where a switch pushes: more lines than the first
 * cache holds. The stacks differ in colour, or these would all have one place in any cache. */
typedef struct _RingSide RingSide;

struct _RingSide
{
  Side      side;
  RingSide *next;
} __attribute__ ((aligned (16)));

static void
switch_round_for_ever (Side *from, Side *self)
{
  for (;;)
    control_switch (self, &((RingSide *) self)->next->side);
}

static RingSide *
make_ring (void)
{
  char *stacks = mmap (NULL, (size_t) RING_SIDES * RING_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  RingSide *next = NULL, *last = NULL;

  if (stacks == MAP_FAILED)
    fail ("mmap");
  for (unsigned i = 0; i < RING_SIDES; i++)
    {
      char *end = stacks + (size_t) (i + 1) * RING_STACK - i % RING_COLOURS * RING_COLOUR;
      RingSide *self = (RingSide *) end - 1;

      start_side (&self->side, self, switch_round_for_ever);
      self->next = next;
      next = self;
      if (last == NULL)
        last = self;
    }
  last->next = next;
  return last;
}

/* This stack takes the place of the last. */
static void
control_switch_round_n (unsigned n)
{
  static RingSide *last;

  if (last == NULL)
    last = make_ring ();
  for (unsigned i = 0; i < n / RING_SIDES; i++)
    control_switch (&last->side, &last->next->side);
}

#define HAVE_BARE_SWITCH 1

#endif

/* A function of a shared library that does nothing but return: less than that no call of a library costs. */
static void
library_call_n (unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    {
      const char *version = gnu_get_libc_version ();

      __asm__ volatile ("" : : "r" (version));
    }
}

static void
malloc_free_n (unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    {
      void *memory = malloc (128);

      __asm__ volatile ("" : : "r" (memory) : "memory");
      free (memory);
    }
}

static void
atomic_add_n (unsigned n)
{
  static _Atomic uint64_t counter;

  for (unsigned i = 0; i < n; i++)
    __atomic_fetch_add ((uint64_t *) &counter, 1, __ATOMIC_SEQ_CST);
}

/* --- memory ------------------------------------------------------------------------------------ */

static char *
map_fresh (size_t size)
{
  char *memory = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (memory == MAP_FAILED)
    fail ("mmap");
  madvise (memory, size, MADV_NOHUGEPAGE);
  return memory;
}

static void
touch_pages_n (unsigned n)
{
  const size_t page = (size_t) sysconf (_SC_PAGESIZE);
  char *memory = map_fresh (n * page);

  for (size_t i = 0; i < n; i++)
    memory[i * page] = 1;
  munmap (memory, n * page);
}

/* Memory of a task of 96 bytes, of its place in a gather and of its handle, written once, and nothing else. */
static double
write_fresh_tasks (void)
{
  const size_t task = 96 + 2 * sizeof (void *);
  char *memory = map_fresh (BENCH_MANY * task);
  const double start = bench_now ();
  double end;

  for (size_t i = 0; i < BENCH_MANY; i++)
    memset (memory + i * task, 1, task);
  end = bench_now ();
  munmap (memory, BENCH_MANY * task);
  return (end - start) / BENCH_MANY;
}

/* How many stacks are made ready in one call, how large their guards are, and how far they are from each other. */
#define STACKS_AT_A_TIME 64
#define STACK_GUARD      ((size_t) 20 * 1024)
#define STACK_STRIDE     (STACK_GUARD + (size_t) 256 * 1024)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef PIDFD_SELF
#define PIDFD_SELF -10000
#endif

/* Advice about @length bytes at @offset of each of STACKS_AT_A_TIME stacks. FALSE where the kernel does not know it. */
static bool
advise_stacks (char *stacks, size_t offset, size_t length, int advice)
{
  struct iovec ranges[STACKS_AT_A_TIME];

  for (size_t i = 0; i < STACKS_AT_A_TIME; i++)
    ranges[i] = (struct iovec) { stacks + i * STACK_STRIDE + offset, length };
  return syscall (SYS_process_madvise, PIDFD_SELF, ranges, (size_t) STACKS_AT_A_TIME, advice, 0)
         == (ssize_t) (STACKS_AT_A_TIME * length);
}

/* A stack with a guard at its end, and a page of it touched: what a task cannot wait without. 0 where guards are mappings. */
static double
make_fresh_stacks (void)
{
  const size_t page = (size_t) sysconf (_SC_PAGESIZE);
  const size_t n = BENCH_MANY / STACKS_AT_A_TIME * STACKS_AT_A_TIME;
  char *memory = map_fresh (n * STACK_STRIDE);
  const double start = bench_now ();
  bool known = true;
  double end;

  for (size_t i = 0; i < n && known; i += STACKS_AT_A_TIME)
    known = advise_stacks (memory + i * STACK_STRIDE, 0, STACK_GUARD, MADV_GUARD_INSTALL)
            && advise_stacks (memory + i * STACK_STRIDE, STACK_STRIDE - page, page, MADV_POPULATE_WRITE);
  end = bench_now ();
  munmap (memory, n * STACK_STRIDE);
  return known ? (end - start) / (double) n : 0;
}

/* --- how fast the processors are --------------------------------------------------------------- */

/* A turn of a loop, for some ten milliseconds. Its additions do not wait for each other, so that it takes twice as long on a
 * processor that the host shares between two guests, as if each had half of it. */
static double
pace_here (void)
{
  const unsigned n_turns = 20000000;
  const double start = bench_now ();
  uint64_t a = 0, b = 0, c = 0, d = 0;

  for (unsigned i = 0; i < n_turns; i++)
    {
      a++, b++, c++, d++;
      __asm__ volatile ("" : "+r" (a), "+r" (b), "+r" (c), "+r" (d));
    }
  return (bench_now () - start) / n_turns;
}

/* Of the slower of the two processors that programs run on. */
static void
pace (const char *name)
{
  double slowest = 0;

  for (unsigned i = 0; i < BENCH_WORKERS; i++)
    {
      bench_pin (i);
      slowest = fmax (slowest, pace_here ());
    }
  bench_row (name, slowest, "ns");
}

/* --- two threads ------------------------------------------------------------------------------- */

/* An eventfd, and what its thread waits in: that alone, or an epoll set, as who waits for descriptors too must. */
typedef struct
{
  int fd;
  int epoll_fd;   /* -1 for none */
} Bell;

static Bell ask, answer;

static void
bell_init (Bell *bell, int through_epoll)
{
  struct epoll_event event = { .events = EPOLLIN | EPOLLET };

  bell->fd = eventfd (0, EFD_CLOEXEC);
  bell->epoll_fd = through_epoll ? epoll_create1 (EPOLL_CLOEXEC) : -1;
  if (bell->fd < 0 || (through_epoll && epoll_ctl (bell->epoll_fd, EPOLL_CTL_ADD, bell->fd, &event) != 0))
    fail ("eventfd");
}

static void
bell_clear (Bell *bell)
{
  close (bell->fd);
  if (bell->epoll_fd >= 0)
    close (bell->epoll_fd);
}

static void
bell_ring (const Bell *bell)
{
  const uint64_t one = 1;

  if (write (bell->fd, &one, sizeof one) != sizeof one)
    fail ("write");
}

static void
bell_wait (const Bell *bell)
{
  struct epoll_event event;
  uint64_t count;

  if (bell->epoll_fd >= 0 ? epoll_wait (bell->epoll_fd, &event, 1, -1) != 1 : read (bell->fd, &count, sizeof count) != sizeof count)
    fail ("wait");
}

static void *
answer_all (void *data)
{
  const unsigned n_trips = *(const unsigned *) data;

  bench_pin (1);
  for (unsigned i = 0; i < n_trips; i++)
    {
      bell_wait (&ask);
      bell_ring (&answer);
    }
  return NULL;
}

/* Prints what a round trip took, of @n_trips, without the pauses before each. */
static void
print_trips (const char *name, unsigned n_trips, unsigned pause_us, int through_epoll)
{
  double total = 0;
  pthread_t thread;

  bench_pin (0);
  bell_init (&ask, through_epoll);
  bell_init (&answer, through_epoll);
  if (pthread_create (&thread, NULL, answer_all, &n_trips) != 0)
    fail ("pthread_create");
  for (unsigned i = 0; i < n_trips; i++)
    {
      double start;

      if (pause_us > 0)
        usleep (pause_us);
      start = bench_now ();
      bell_ring (&ask);
      bell_wait (&answer);
      total += bench_now () - start;
    }
  pthread_join (thread, NULL);
  bell_clear (&ask);
  bell_clear (&answer);
  bench_row (name, total / n_trips, "ns");
}

static void
eventfd_round_trip (const char *name)
{
  print_trips (name, BENCH_TRIPS, 0, 0);
}

static void
eventfd_round_trip_idle (const char *name)
{
  print_trips (name, BENCH_IDLE_TRIPS, BENCH_PAUSE_US, 0);
}

static void
epoll_round_trip_idle (const char *name)
{
  print_trips (name, BENCH_IDLE_TRIPS, BENCH_PAUSE_US, 1);
}

/* --- the table --------------------------------------------------------------------------------- */

static void
print_median (const char *name, void (*repeat) (unsigned n), unsigned n)
{
  double ns[BENCH_ROUNDS];

  repeat (n / 10);
  for (unsigned i = 0; i < BENCH_ROUNDS; i++)
    {
      const double start = bench_now ();

      repeat (n);
      ns[i] = (bench_now () - start) / n;
    }
  bench_row (name, bench_median (ns, BENCH_ROUNDS), "ns");
}

#ifdef HAVE_BARE_SWITCH
static void
bare_switch_op (const char *name)
{
  print_median (name, switch_n, 10000000);
}

static void
control_switch_op (const char *name)
{
  print_median (name, control_switch_n, 10000000);
}

static void
control_switch_round_op (const char *name)
{
  print_median (name, control_switch_round_n, 10000000);
}
#endif

static void
library_call (const char *name)
{
  print_median (name, library_call_n, 10000000);
}

static void
malloc_free (const char *name)
{
  print_median (name, malloc_free_n, 5000000);
}

static void
atomic_add (const char *name)
{
  print_median (name, atomic_add_n, 5000000);
}

static void
fresh_page (const char *name)
{
  print_median (name, touch_pages_n, 50000);
}

static void
fresh_task (const char *name)
{
  double ns[BENCH_ROUNDS];

  for (unsigned i = 0; i < BENCH_ROUNDS; i++)
    ns[i] = write_fresh_tasks ();
  bench_row (name, bench_median (ns, BENCH_ROUNDS), "ns");
}

static void
fresh_stack (const char *name)
{
  double ns[BENCH_ROUNDS];

  for (unsigned i = 0; i < BENCH_ROUNDS; i++)
    {
      ns[i] = make_fresh_stacks ();
      if (ns[i] == 0)
        return;
    }
  bench_row (name, bench_median (ns, BENCH_ROUNDS), "ns");
}

static void
echo_level (const char *name)
{
  echo_epoll_serve (0);
}

static void
echo_edge (const char *name)
{
  echo_epoll_serve (EPOLLET);
}

static const BenchOp ops[] =
{
#ifdef HAVE_BARE_SWITCH
  { "bare_switch", bare_switch_op },
  { "control_switch", control_switch_op },
  { "control_switch_1000", control_switch_round_op },
#endif
  { "library_call", library_call },
  { "malloc_free", malloc_free },
  { "atomic_add", atomic_add },
  { "fresh_page", fresh_page },
  { "fresh_task", fresh_task },
  { "fresh_stack", fresh_stack },
  { "eventfd_round_trip", eventfd_round_trip },
  { "eventfd_round_trip_idle", eventfd_round_trip_idle },
  { "epoll_round_trip_idle", epoll_round_trip_idle },
  { "pace", pace },
  { "echo", echo_level },
  { "echo_edge", echo_edge },
  { NULL, NULL }
};

int
main (int argc, char **argv)
{
  return bench_main (argc, argv, ops);
}
