// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Boost.Fiber's program of the micro-benchmark; see bench.h for what all programs share. It has no callbacks on futures,
 * no timers apart from sleeping fibers, and no descriptors: for the echo server fibers are suspended and scheduled by a
 * hand-made epoll. Stacks come from a pool where one follows another, and are small where they are many at once.
 */
#include <algorithm>
#include <climits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/fiber/all.hpp>
#include <malloc.h>
#include <sys/epoll.h>

#include "bench.h"
#include "echo-server.h"

namespace fibers = boost::fibers;
using boost::this_fiber::yield;

static uint64_t n_counted;

/* --- what is repeated -------------------------------------------------------------------------- */

template <typename Body>
static void
repeat (const char *name, unsigned n, Body body)
{
  double ns[BENCH_ROUNDS];

  body (n / 10);
  n_counted = 0;
  for (double &value : ns)
    {
      const double start = bench_now ();

      body (n);
      value = (bench_now () - start) / n;
    }
  if (n_counted == uint64_t (n) * BENCH_ROUNDS)
    bench_row (name, bench_median (ns, BENCH_ROUNDS), "ns");
}

static void
future_resolve (const char *name)
{
  repeat (name, 500000, [] (unsigned n) {
    for (unsigned i = 0; i < n; i++)
      {
        fibers::promise<int> promise;
        fibers::future<int> future = promise.get_future ();

        promise.set_value (1);
        n_counted += uint64_t (future.get ());
      }
  });
}

static void
await_settled (const char *name)
{
  fibers::promise<int> promise;
  fibers::shared_future<int> settled = promise.get_future ().share ();

  promise.set_value (1);
  repeat (name, 2000000, [&] (unsigned n) {
    for (unsigned i = 0; i < n; i++)
      n_counted += uint64_t (settled.get ());
  });
}

static void
yield_among (const char *name, unsigned n_fibers)
{
  repeat (name, 1000000, [=] (unsigned n) {
    std::vector<fibers::fiber> all;

    for (unsigned i = 0; i < n_fibers; i++)
      all.emplace_back ([=] {
        for (unsigned j = 0; j < n / n_fibers; j++)
          {
            yield ();
            n_counted++;
          }
      });
    for (auto &fiber : all)
      fiber.join ();
  });
}

static void
fiber_yield (const char *name)
{
  yield_among (name, 2);
}

static void
fiber_yield_1000 (const char *name)
{
  yield_among (name, 1000);
}

static void
spawn_await (const char *name)
{
  fibers::pooled_fixedsize_stack stacks;

  repeat (name, 200000, [&] (unsigned n) {
    for (unsigned i = 0; i < n; i++)
      fibers::fiber (fibers::launch::dispatch, std::allocator_arg, stacks, [] { n_counted++; }).join ();
  });
}

/* --- many fibers ------------------------------------------------------------------------------- */

/* As Boost.Fiber's own benchmarks have them: 100,000 stacks of the default size are more than malloc () keeps (see main),
 * so that each would be fresh pages every time. */
static fibers::fixedsize_stack small_stacks (2 * fibers::fixedsize_stack::traits_type::page_size ());

static unsigned char marks[BENCH_MANY];
static uint64_t n_marked = UINT64_MAX;   /* in the round that marked the fewest */

template <typename Body>
static double
gather_marking (unsigned n, Body body)
{
  memset (marks, 0, sizeof marks);
  const double start = bench_now ();
  std::vector<fibers::fiber> all;

  all.reserve (n);
  for (unsigned i = 0; i < n; i++)
    all.emplace_back (std::allocator_arg, small_stacks, body, &marks[i]);
  for (auto &fiber : all)
    fiber.join ();
  const double ns = bench_now () - start;

  n_marked = std::min (n_marked, bench_count_marks (marks, n));
  return ns;
}

static void
set_mark (unsigned char *mark)
{
  *mark = 1;
}

static void
compute_and_mark (unsigned char *mark)
{
  *mark = bench_compute (uint64_t (mark - marks)) != 0;
}

static void
print_many (const char *name)
{
  const std::string warm_name = std::string (name) + "_warm";
  double ns[BENCH_ROUNDS];

  bench_row (name, gather_marking (BENCH_MANY, set_mark) / BENCH_MANY, "ns");
  bench_row (name, double (n_marked), "units");
  for (double &value : ns)
    value = gather_marking (BENCH_MANY, set_mark) / BENCH_MANY;
  bench_row (warm_name.c_str (), bench_median (ns, BENCH_ROUNDS), "ns");
  bench_row (warm_name.c_str (), double (n_marked), "units");
}

/* A second worker that takes fibers that are ready, beside the calling thread, as long as this lives. */
class TwoWorkers
{
public:
  TwoWorkers () : worker_ ([this] { work (); })
  {
    fibers::use_scheduling_algorithm<fibers::algo::work_stealing> (BENCH_WORKERS);
  }

  ~TwoWorkers ()
  {
    {
      std::unique_lock<fibers::mutex> lock (mutex_);
      done_ = true;
    }
    condition_.notify_all ();
    worker_.join ();
  }

private:
  void
  work ()
  {
    fibers::use_scheduling_algorithm<fibers::algo::work_stealing> (BENCH_WORKERS);
    std::unique_lock<fibers::mutex> lock (mutex_);
    condition_.wait (lock, [this] { return done_; });
  }

  fibers::mutex mutex_;
  fibers::condition_variable condition_;
  bool done_ = false;
  std::thread worker_;
};

static void
pool_spawn_many (const char *name)
{
  TwoWorkers workers;

  print_many (name);
}

static double
time_computing (void (*compute) (unsigned char *mark))
{
  double ns[BENCH_ROUNDS];

  for (double &value : ns)
    value = gather_marking (BENCH_COMPUTING, compute);
  return bench_median (ns, BENCH_ROUNDS);
}

static void
pool_compute (const char *name)
{
  const double on_one = time_computing (compute_and_mark);
  TwoWorkers workers;

  bench_row (name, time_computing (compute_and_mark) / on_one, "x");
  bench_row (name, double (n_marked), "units");
}

/* --- fibers of very different sizes ------------------------------------------------------------ */

static unsigned skewed_steps[BENCH_COMPUTING];

static void
compute_skewed_and_mark (unsigned char *mark)
{
  const size_t i = size_t (mark - marks);

  *mark = bench_compute_steps (i, skewed_steps[i]) != 0;
}

static void
pool_skew (const char *name)
{
  for (unsigned i = 0; i < BENCH_COMPUTING; i++)
    skewed_steps[i] = bench_skewed_steps (i);

  const double on_one = time_computing (compute_skewed_and_mark);
  TwoWorkers workers;

  bench_row (name, time_computing (compute_skewed_and_mark) / (on_one / BENCH_WORKERS), "x");
  bench_row (name, double (n_marked), "units");
}

/* --- items from outside ------------------------------------------------------------------------ */

static uint64_t
submit_items (unsigned n)
{
  fibers::buffered_channel<void (*) (uint64_t *)> queue (1024);
  uint64_t counts[BENCH_WORKERS] = { 0 };
  std::vector<std::thread> workers;

  for (uint64_t &total : counts)
    workers.emplace_back ([&] {
      uint64_t count = 0;

      for (auto item : queue)
        item (&count);
      total = count;
    });
  for (unsigned i = 0; i < n; i++)
    queue.push ([] (uint64_t *count) { ++*count; });
  queue.close ();
  for (auto &worker : workers)
    worker.join ();
  return counts[0] + counts[1];
}

static void
pool_submit (const char *name)
{
  submit_items (BENCH_ITEMS / 10);
  const double start = bench_now ();
  const uint64_t count = submit_items (BENCH_ITEMS);

  bench_row (name, (bench_now () - start) / BENCH_ITEMS, "ns");
  bench_row (name, double (count), "units");
}

/* --- two threads ------------------------------------------------------------------------------- */

static void
trips (const char *name, unsigned n, unsigned pause_us)
{
  fibers::buffered_channel<int> ask (2), answer (2);
  std::thread thread ([&] {
    bench_pin (1);
    for (int one : ask)
      answer.push (one);
  });
  double ns = 0;

  bench_pin (0);
  for (unsigned i = 0; i < n; i++)
    {
      if (pause_us > 0)
        boost::this_fiber::sleep_for (std::chrono::microseconds (pause_us));
      const double start = bench_now ();
      ask.push (1);
      n_counted += uint64_t (answer.value_pop ());
      ns += bench_now () - start;
    }
  ask.close ();
  thread.join ();
  bench_row (name, ns / n, "ns");
  bench_row (name, double (n_counted), "units");
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

/* --- sleepers ---------------------------------------------------------------------------------- */

static void
sleepers (const char *name, unsigned n)
{
  const double start = bench_now ();
  std::vector<fibers::fiber> all;

  all.reserve (n);
  for (unsigned i = 0; i < n; i++)
    all.emplace_back (std::allocator_arg, small_stacks, [] {
      boost::this_fiber::sleep_for (std::chrono::seconds (1));
      n_counted++;
    });
  for (auto &fiber : all)
    fiber.join ();
  bench_row (name, (bench_now () - start) / 1e9, "s");
  bench_row (name, double (n_counted), "units");
}

/* The last one to start finds all the others asleep. */
static void
sleepers_bytes (const char *name, unsigned n)
{
  const double before = bench_memory ();
  std::vector<fibers::fiber> all;

  all.reserve (n);
  for (unsigned i = 0; i < n; i++)
    all.emplace_back (std::allocator_arg, small_stacks, [=] {
      if (++n_counted == n)
        {
          bench_row (name, (bench_memory () - before) / n, "bytes");
          bench_row (name, double (n_counted), "units");
          bench_leave ();
        }
      boost::this_fiber::sleep_for (std::chrono::hours (1));
    });
  for (auto &fiber : all)
    fiber.join ();
}

static void
sleepers_100k (const char *name)
{
  sleepers (name, BENCH_SLEEPERS_100K);
}

static void
sleepers_1m (const char *name)
{
  sleepers (name, BENCH_SLEEPERS_1M);
}

static void
sleepers_100k_bytes (const char *name)
{
  sleepers_bytes (name, BENCH_SLEEPERS_100K);
}

static void
sleepers_1m_bytes (const char *name)
{
  sleepers_bytes (name, BENCH_SLEEPERS_1M);
}

/* --- skynet ------------------------------------------------------------------------------------ */

using Sums = fibers::buffered_channel<int64_t>;

/* As Boost.Fiber's own skynet_stealing_detach has it: who is made runs at once, and sends its sum through a channel. */
static void skynet_node (Sums &to, int64_t first, int64_t n_leaves);

static void
start_skynet_node (Sums &to, int64_t first, int64_t n_leaves)
{
  fibers::fiber (fibers::launch::dispatch, std::allocator_arg, small_stacks, skynet_node, std::ref (to), first, n_leaves)
    .detach ();
}

static void
skynet_node (Sums &to, int64_t first, int64_t n_leaves)
{
  const int64_t below = n_leaves / 10;
  int64_t sum = SKYNET_UNIT;

  if (n_leaves == 1)
    {
      to.push (SKYNET_UNIT + first);
      return;
    }

  Sums sums (16);

  for (int i = 0; i < 10; i++)
    start_skynet_node (sums, first + i * below, below);
  for (int i = 0; i < 10; i++)
    sum += sums.value_pop ();
  to.push (sum);
}

static void
skynet (const char *name)
{
  TwoWorkers workers;
  Sums sums (2);
  const double start = bench_now ();

  start_skynet_node (sums, 0, SKYNET_LEAVES);

  const int64_t sum = sums.value_pop ();
  const double ns = bench_now () - start;

  if (sum % SKYNET_UNIT != SKYNET_SUM)
    return;
  bench_row (name, ns / 1e6, "ms");
  bench_row (name, double (sum / SKYNET_UNIT), "units");
}

/* --- echo -------------------------------------------------------------------------------------- */

static int epoll_fd;
static unsigned n_ready;   /* fibers that have something to do */

/* A descriptor that one fiber waits for, registered once and edge-triggered. */
struct Connection
{
  int fd;
  fibers::context *waiter;
};

static void
wait_until_ready (Connection *connection)
{
  n_ready--;
  connection->waiter = fibers::context::active ();
  connection->waiter->suspend ();
}

static void
add_to_epoll (Connection *connection)
{
  struct epoll_event event = {};

  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = connection;
  if (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
    abort ();
}

static void
serve (int fd)
{
  Connection connection = { fd, nullptr };
  char buffer[ECHO_BUFFER_SIZE];
  ssize_t n;

  add_to_epoll (&connection);
  while ((n = recv (fd, buffer, sizeof buffer, 0)) != 0)
    {
      if (n < 0 && errno != EAGAIN)
        break;
      if (n > 0 && send (fd, buffer, size_t (n), MSG_NOSIGNAL) < 0)
        break;
      if (n < ssize_t (sizeof buffer))
        wait_until_ready (&connection);
    }
  close (fd);
  n_ready--;
}

static void
accept_for_ever (Connection *listener)
{
  for (;;)
    {
      const int fd = echo_accept (listener->fd);

      if (fd < 0)
        {
          wait_until_ready (listener);
          continue;
        }
      n_ready++;
      fibers::fiber (serve, fd).detach ();
    }
}

/* The main fiber polls when no other is ready any more. */
static void
echo (const char *)
{
  struct epoll_event events[512];
  Connection listener = {}, input = {};

  epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  listener.fd = echo_listen ();
  input.fd = STDIN_FILENO;
  add_to_epoll (&listener);
  add_to_epoll (&input);
  n_ready++;
  fibers::fiber (accept_for_ever, &listener).detach ();
  for (;;)
    {
      while (n_ready > 0)
        yield ();
      const int n = epoll_wait (epoll_fd, events, 512, -1);

      for (int i = 0; i < n; i++)
        {
          Connection *ready = static_cast<Connection *> (events[i].data.ptr);

          if (ready == &input)
            bench_leave ();
          if (ready->waiter != nullptr)
            {
              n_ready++;
              fibers::context::active ()->schedule (std::exchange (ready->waiter, nullptr));
            }
        }
    }
}

static void
idle (const char *)
{
  fibers::promise<int> promise;

  promise.get_future ().wait ();
}

/* --- the table --------------------------------------------------------------------------------- */

static const BenchOp ops[] = {
  { "future_resolve", future_resolve },
  { "await_settled", await_settled },
  { "fiber_yield", fiber_yield },
  { "fiber_yield_1000", fiber_yield_1000 },
  { "spawn_await", spawn_await },
  { "spawn_many", print_many },
  { "pool_spawn_many", pool_spawn_many },
  { "pool_compute", pool_compute },
  { "pool_skew", pool_skew },
  { "pool_submit", pool_submit },
  { "cross_thread", cross_thread },
  { "cross_thread_idle", cross_thread_idle },
  { "sleepers_100k", sleepers_100k },
  { "sleepers_1m", sleepers_1m },
  { "sleepers_100k_bytes", sleepers_100k_bytes },
  { "sleepers_1m_bytes", sleepers_1m_bytes },
  { "skynet", skynet },
  { "echo", echo },
  { "idle", idle },
  { nullptr, nullptr }
};

/* Freed stacks are kept, up to 2 GiB of them: one of the default size is as large as the threshold from which malloc ()
 * maps each block by itself, and unmaps it. */
int
main (int argc, char **argv)
{
  mallopt (M_MMAP_THRESHOLD, 1 << 30);
  mallopt (M_TRIM_THRESHOLD, INT_MAX);
  return bench_main (argc, argv, ops);
}
