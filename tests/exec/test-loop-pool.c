/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pools of loops: where tasks start, where they stay, in which order, and how a pool ends.
 */
#include "config.h"

#include "base/clock-private.h"
#include "base/ring-private.h"
#include "base/slabs-private.h"
#include "exec/loop-pool-private.h"
#include "exec/models.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- system calls, which pass through these ------------------------------------------------------ */

/* On the thread of the call, in a test that sets them: after a wait for events, before the loop sees what it brought; and after a
 * loop has said that it sleeps. */
static void (*_Atomic after_wait) (int epoll_fd);
static int (*_Atomic in_membarrier) (void);

int  __real_epoll_wait (int epoll_fd, struct epoll_event *events, int n_events, int timeout);
int  __wrap_epoll_wait (int epoll_fd, struct epoll_event *events, int n_events, int timeout);
long __real_syscall (long number, ...);
long __wrap_syscall (long number, long a, long b, long c, long d, long e, long f);

int
__wrap_epoll_wait (int epoll_fd, struct epoll_event *events, int n_events, int timeout)
{
  int n = __real_epoll_wait (epoll_fd, events, n_events, timeout);
  void (*func) (int epoll_fd) = atomic_load (&after_wait);

  if (func != NULL)
    func (epoll_fd);
  return n;
}

#ifdef HAVE_EPOLL_PWAIT2
int __real_epoll_pwait2 (int epoll_fd, struct epoll_event *events, int n, const struct timespec *timeout, const sigset_t *mask);
int __wrap_epoll_pwait2 (int epoll_fd, struct epoll_event *events, int n, const struct timespec *timeout, const sigset_t *mask);

int
__wrap_epoll_pwait2 (int epoll_fd, struct epoll_event *events, int n_events, const struct timespec *timeout, const sigset_t *mask)
{
  int n = __real_epoll_pwait2 (epoll_fd, events, n_events, timeout, mask);
  void (*func) (int epoll_fd) = atomic_load (&after_wait);

  if (func != NULL)
    func (epoll_fd);
  return n;
}
#endif

long
__wrap_syscall (long number, long a, long b, long c, long d, long e, long f)
{
  int (*func) (void) = atomic_load (&in_membarrier);

  if (number == SYS_membarrier && a == MEMBARRIER_CMD_PRIVATE_EXPEDITED && func != NULL)
    return func ();
  return __real_syscall (number, a, b, c, d, e, f);
}

static atomic_uint n_waits_for_room;

gboolean __real_morrow__room_wait (MorrowRoom *room, MorrowRing *ring);
gboolean __wrap_morrow__room_wait (MorrowRoom *room, MorrowRing *ring);

gboolean
__wrap_morrow__room_wait (MorrowRoom *room, MorrowRing *ring)
{
  atomic_fetch_add (&n_waits_for_room, 1);
  return __real_morrow__room_wait (room, ring);
}

/* --- what tests begin with ----------------------------------------------------------------------- */

static void
spawn_forgotten (MorrowExecutor *executor, MorrowCoroutineFunc func, gpointer data)
{
  morrow_future_unref (morrow_executor_spawn (executor, morrow_coroutine (func, data, NULL)));
}

/* --- where tasks run --------------------------------------------------------------------------- */

static gboolean
stay_on_thread (gpointer data, GValue *result, GError **error)
{
  GThread *thread = g_thread_self ();
  MorrowLoop *loop = morrow_loop_get_current ();

  ck_assert_ptr_nonnull (loop);
  ck_assert_ptr_eq (morrow_executor_get_current (), data);
  for (guint i = 0; i < 100; i++)
    {
      if (!(i % 10 == 0 ? morrow_await (morrow_sleep (0), error) : morrow_yield (error)))
        return FALSE;
      ck_assert_ptr_eq (g_thread_self (), thread);
      ck_assert_ptr_eq (morrow_loop_get_current (), loop);
    }
  return TRUE;
}

static gboolean
gather_those_who_stay (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *tasks[50];

  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    tasks[i] = morrow_coroutine (stay_on_thread, data, NULL);
  return morrow_await (morrow_gatherv (tasks, G_N_ELEMENTS (tasks)), error);
}

START_TEST (task_that_has_started_stays_on_its_loop)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (3);

  ck_assert_uint_eq (morrow_executor_get_n_threads (pool), 3);
  run_scene_on (pool, gather_those_who_stay, pool);
}
END_TEST

static gboolean
stay_on_other (gpointer data, GValue *result, GError **error)
{
  for (guint i = 0; i < 20; i++)
    if (!morrow_await (morrow_executor_spawn (data, morrow_coroutine (stay_on_thread, data, NULL)), error))
      return FALSE;
  return TRUE;
}

START_TEST (task_that_is_created_for_another_pool_runs_there)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (1);
  g_autoptr (MorrowExecutor) other = morrow_loop_pool_new (1);

  run_scene_on (pool, stay_on_other, other);
}
END_TEST

/* --- stealing ---------------------------------------------------------------------------------- */

enum
{
  N_OTHERS = 20
};

/* One task that keeps its thread busy until all others have run. */
typedef struct
{
  pthread_mutex_t lock;      /* which the thread sanitizer knows */
  pthread_cond_t  changed;
  guint           n_ran;     /* under the lock: of the others */
  gboolean        is_busy;   /* likewise: the one has started */
} Hog;

#define HOG { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER }

static gboolean
count_ran (gpointer data, GValue *result, GError **error)
{
  Hog *self = data;

  pthread_mutex_lock (&self->lock);
  self->n_ran++;
  pthread_cond_broadcast (&self->changed);
  pthread_mutex_unlock (&self->lock);
  return TRUE;
}

/* Blocks the thread. */
static void
wait_for_others (Hog *self)
{
  pthread_mutex_lock (&self->lock);
  self->is_busy = TRUE;
  pthread_cond_broadcast (&self->changed);
  while (self->n_ran < N_OTHERS)
    pthread_cond_wait (&self->changed, &self->lock);
  pthread_mutex_unlock (&self->lock);
}

static void
wait_for_hog (Hog *self)
{
  pthread_mutex_lock (&self->lock);
  while (!self->is_busy)
    pthread_cond_wait (&self->changed, &self->lock);
  pthread_mutex_unlock (&self->lock);
}

static gboolean
create_and_hog (gpointer data, GValue *result, GError **error)
{
  for (guint i = 0; i < N_OTHERS; i++)
    spawn_forgotten (morrow_executor_get_current (), count_ran, data);
  wait_for_others (data);
  return TRUE;
}

static gboolean
await_one_that_creates_and_hogs (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine (create_and_hog, data, NULL)), error);
}

START_TEST (tasks_that_have_not_started_are_stolen_from_a_busy_loop)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (2);
  Hog hog = HOG;

  run_scene_on (pool, await_one_that_creates_and_hogs, &hog);
  ck_assert_uint_eq (hog.n_ran, N_OTHERS);
}
END_TEST

static gboolean
hog_thread (gpointer data, GValue *result, GError **error)
{
  wait_for_others (data);
  return TRUE;
}

START_TEST (tasks_offered_from_outside_do_not_wait_for_a_busy_loop)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (2);
  Hog hog = HOG;
  g_autoptr (MorrowFuture) busy = morrow_executor_spawn (pool, morrow_coroutine (hog_thread, &hog, NULL));
  gboolean ok;

  wait_for_hog (&hog);
  for (guint i = 0; i < N_OTHERS; i++)
    spawn_forgotten (pool, count_ran, &hog);
  ok = morrow_future_wait (busy, NULL);
  ck_assert (ok);
  ck_assert_uint_eq (hog.n_ran, N_OTHERS);
}
END_TEST

static gboolean
sleep_a_little (gpointer data, GValue *result, GError **error)
{
  atomic_int *slept = data;
  gboolean ok = morrow_await (morrow_sleep (0.001), error);

  atomic_store (slept, TRUE);
  return ok;
}

/* Creates its own successor, for as long as the sleeper sleeps: there is always something to steal. */
static gboolean
go_on_while_asleep (gpointer data, GValue *result, GError **error)
{
  atomic_int *slept = data;

  if (!atomic_load (slept))
    spawn_forgotten (morrow_executor_get_current (), go_on_while_asleep, data);
  return TRUE;
}

static gboolean
sleep_beside_a_stream_of_tasks (gpointer data, GValue *result, GError **error)
{
  static atomic_int slept[4];
  MorrowFuture *sleeps[4];

  for (guint i = 0; i < G_N_ELEMENTS (sleeps); i++)
    {
      sleeps[i] = morrow_create_task (morrow_coroutine (sleep_a_little, &slept[i], NULL));
      for (guint j = 0; j < 4; j++)
        spawn_forgotten (morrow_executor_get_current (), go_on_while_asleep, &slept[i]);
    }
  return morrow_await (morrow_allv (sleeps, G_N_ELEMENTS (sleeps)), error);
}

START_TEST (neither_old_tasks_nor_timers_are_starved_by_a_stream_of_new_tasks)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (2);
  g_autoptr (MorrowFuture) sleeper = morrow_executor_spawn (pool, morrow_coroutine (sleep_beside_a_stream_of_tasks, NULL, NULL));
  GError *error = NULL;
  gboolean ok = morrow_future_wait (sleeper, &error);

  assert_no_error (error);
  ck_assert (ok);
}
END_TEST

static gboolean
end_at_once (gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

/* Slabs are wanted from then on, as long as nobody prepares them. */
static void
use_slabs (void)
{
  for (guint i = 0; i < 64; i++)
    morrow__slab_acquire (TRUE);
  morrow__slabs_trim (0);
  morrow__slab_acquire (TRUE);
  ck_assert (morrow__slabs_may_prepare ());
}

/* It has a turn, or is in one, after each task. */
START_TEST (loop_with_nothing_of_its_own_to_do_prepares_memory)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (1);

  run_scene_on (pool, end_at_once, NULL);
  use_slabs ();
  for (guint i = 0; i < 1000 && morrow__slabs_may_prepare (); i++)
    run_scene_on (pool, end_at_once, NULL);
  ck_assert (!morrow__slabs_may_prepare ());
}
END_TEST

/* --- order ------------------------------------------------------------------------------------- */

static gboolean
say_name (gpointer data, GValue *result, GError **error)
{
  say ("%s", (const char *) data);
  return TRUE;
}

static gboolean
create_three (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_gather (morrow_coroutine (say_name, (gpointer) "a", NULL), morrow_coroutine (say_name, (gpointer) "b", NULL),
                                      morrow_coroutine (say_name, (gpointer) "c", NULL), NULL), error);
}

START_TEST (loop_of_a_pool_starts_its_newest_task_first)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (1);
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (pool, morrow_coroutine (create_three, NULL, NULL));

  ck_assert (morrow_future_wait (task, NULL));
  assert_said ("c; b; a");
}
END_TEST

/* The nodes of a tree that are alive, each with a stack. */
typedef struct
{
  gint64 cost;   /* of a node, in microseconds */
  guint  n_alive, most_alive, n_made;
} Tree;

typedef struct
{
  Tree *tree;
  guint n_below;   /* levels */
} TreeNode;

static gboolean
grow (gpointer data, GValue *result, GError **error)
{
  TreeNode *self = data, children[10];
  MorrowFuture *tasks[G_N_ELEMENTS (children)];
  Tree *tree = self->tree;
  gboolean ok = TRUE;

  morrow__clock_advance (tree->cost);
  tree->n_made++;
  tree->n_alive++;
  tree->most_alive = MAX (tree->most_alive, tree->n_alive);
  for (guint i = 0; self->n_below > 0 && i < G_N_ELEMENTS (children); i++)
    {
      children[i] = (TreeNode) { tree, self->n_below - 1 };
      tasks[i] = morrow_spawn (grow, &children[i], NULL);
    }
  for (guint i = 0; self->n_below > 0 && i < G_N_ELEMENTS (children); i++)
    ok &= morrow_await (tasks[i], NULL);
  tree->n_alive--;
  return ok;
}

/* Returns: the most that were alive at once, of 11,111 on five levels. */
static guint
grow_tree (gint64 cost)
{
  g_autoptr (MorrowExecutor) pool = NULL;
  g_autoptr (MorrowFuture) task = NULL;
  Tree tree = { .cost = cost };
  TreeNode root = { &tree, 4 };

  morrow__clock_set_virtual (TRUE);
  pool = morrow_loop_pool_new (1);
  task = morrow_executor_spawn (pool, morrow_coroutine (grow, &root, NULL));
  ck_assert (morrow_future_wait (task, NULL));
  morrow__clock_set_virtual (FALSE);

  ck_assert_uint_eq (tree.n_made, 11111);
  return tree.most_alive;
}

/* Every now and then a parent that is to go on gives way to one that has not started. */
START_TEST (few_of_a_tree_are_alive_at_once)
{
  ck_assert_uint_le (grow_tree (0), 10);
}
END_TEST

/* Each is followed by a look at descriptors and timers, and so some old ones start. */
START_TEST (few_of_a_tree_of_dear_tasks_are_alive_at_once)
{
  ck_assert_uint_le (grow_tree (200), 80);
}
END_TEST

/* Progress of those that yield while new ones are created without end, and the reverse. */
typedef struct
{
  guint    n_yields;
  guint    n_created;
  gboolean stop;
} Fairness;

static gboolean
create_my_successor (gpointer data, GValue *result, GError **error)
{
  Fairness *self = data;

  self->n_created++;
  if (!self->stop)
    spawn_forgotten (morrow_executor_get_current (), create_my_successor, self);
  return TRUE;
}

static gboolean
yield_until_both_have_got_on (gpointer data, GValue *result, GError **error)
{
  Fairness *self = data;

  spawn_forgotten (morrow_executor_get_current (), create_my_successor, self);
  while (self->n_yields < 1000 || self->n_created < 1000)
    {
      self->n_yields++;
      if (!morrow_yield (error))
        return FALSE;
    }
  self->stop = TRUE;
  return TRUE;
}

START_TEST (neither_new_tasks_nor_yielding_ones_starve)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (1);
  Fairness fairness = { 0 };
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (pool, morrow_coroutine (yield_until_both_have_got_on, &fairness, NULL));

  ck_assert (morrow_future_wait (task, NULL));
}
END_TEST

/* --- the end of a pool ------------------------------------------------------------------------- */

typedef struct
{
  atomic_uint n_waiting;
  atomic_uint n_cancelled;
} Waiters;

static gboolean
wait_for_ever (gpointer data, GValue *result, GError **error)
{
  Waiters *self = data;
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) never_settles = new_pending (&promise);
  g_autoptr (GError) why = NULL;

  atomic_fetch_add (&self->n_waiting, 1);
  ck_assert (!morrow_future_await (never_settles, &why));
  assert_cancelled (why);
  atomic_fetch_add (&self->n_cancelled, 1);
  g_propagate_error (error, g_steal_pointer (&why));
  return FALSE;
}

START_TEST (pool_that_is_dropped_cancels_what_is_alive_and_waits_for_it)
{
  MorrowExecutor *pool = morrow_loop_pool_new (2);
  Waiters waiters = { 0 };
  MorrowFuture *tasks[30];

  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    tasks[i] = morrow_executor_spawn (pool, morrow_coroutine (wait_for_ever, &waiters, NULL));
  g_object_unref (pool);

  ck_assert_uint_eq (atomic_load (&waiters.n_cancelled), atomic_load (&waiters.n_waiting));
  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    {
      ck_assert (morrow_future_is_cancelled (tasks[i]));   /* before its first step, some of them */
      morrow_future_unref (tasks[i]);
    }
}
END_TEST

static void
clear_pool_flag (gpointer data, GObject *was)
{
  atomic_store ((atomic_int *) data, FALSE);
}

static gboolean
do_nothing (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

static gboolean
attach_callback (gpointer data, GValue *result, GError **error)
{
  morrow_future_unref (morrow_future_then (data, do_nothing, NULL, NULL));
  return TRUE;
}

START_TEST (pool_whose_last_reference_goes_on_its_own_thread_ends)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  MorrowExecutor *pool = morrow_loop_pool_new (2);
  atomic_int is_alive = TRUE;
  guint n_threads = count_threads () - 2;

  g_object_weak_ref (G_OBJECT (pool), clear_pool_flag, &is_alive);
  run_scene_on (pool, attach_callback, future);
  g_object_unref (pool);
  ck_assert (atomic_load (&is_alive));   /* the callback's */

  morrow_promise_resolve (promise);
  while (atomic_load (&is_alive) || count_threads () > n_threads)
    g_thread_yield ();
}
END_TEST

typedef struct
{
  MorrowExecutor *pool;
  Waiters         waiters;
} Round;

static gboolean
leave_waiters_over (gpointer data, GValue *result, GError **error)
{
  for (guint i = 0; i < 3; i++)
    spawn_forgotten (morrow_executor_get_current (), wait_for_ever, data);
  return TRUE;
}

/* As soon as the other thread's run has ended. */
static void
run_in_turn (Round *round)
{
  g_autoptr (GError) error = NULL;

  while (!morrow_run_on (round->pool, morrow_coroutine (leave_waiters_over, &round->waiters, NULL), NULL, &error))
    {
      assert_error (error, MORROW_ERROR, MORROW_ERROR_ALREADY_RUNNING);
      g_clear_error (&error);
      g_thread_yield ();
    }
}

static gpointer
run_rounds (gpointer data)
{
  for (guint i = 0; i < 1000 / morrow_check_slowness (); i++)
    run_in_turn (data);
  return NULL;
}

START_TEST (runs_of_two_threads_on_one_pool_take_turns)
{
  Round round = { .pool = morrow_loop_pool_new (2) };
  GThread *threads[2];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("run", run_rounds, &round);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);

  g_object_unref (round.pool);
  ck_assert_uint_eq (atomic_load (&round.waiters.n_waiting), atomic_load (&round.waiters.n_cancelled));
}
END_TEST

/* --- what one loop is given by itself ------------------------------------------------------------- */

static MorrowExecutor *
current_loop (void)
{
  return MORROW_EXECUTOR (morrow_loop_get_current ());
}

static gboolean
spawn_here_and_await (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_executor_spawn (current_loop (), morrow_coroutine (return_int, GINT_TO_POINTER (7), NULL)), error);
}

static gboolean
spawn_on_both (gpointer data, GValue *result, GError **error)
{
  return spawn_here_and_await (NULL, NULL, error) &&
         morrow_await (morrow_create_task (morrow_coroutine (spawn_here_and_await, NULL, NULL)), error);
}

START_TEST (run_ends_although_a_task_was_spawned_on_one_loop_of_its_pool)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (2);

  run_scene_on (pool, spawn_on_both, NULL);
  run_scene_on (pool, spawn_on_both, NULL);
}
END_TEST

static gboolean
spawn_waiter_here (gpointer data, GValue *result, GError **error)
{
  spawn_forgotten (current_loop (), wait_for_ever, data);
  return TRUE;
}

static gboolean
leave_waiters_on_both (gpointer data, GValue *result, GError **error)
{
  return spawn_waiter_here (data, NULL, error) &&
         morrow_await (morrow_create_task (morrow_coroutine (spawn_waiter_here, data, NULL)), error);
}

START_TEST (task_that_was_spawned_on_one_loop_of_a_pool_is_swept)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (2);
  Waiters waiters = { 0 };

  run_scene_on (pool, leave_waiters_on_both, &waiters);
  ck_assert_uint_eq (atomic_load (&waiters.n_cancelled), atomic_load (&waiters.n_waiting));
}
END_TEST

static gboolean
keep_loop (gpointer data, GValue *result, GError **error)
{
  *(MorrowExecutor **) data = g_object_ref (current_loop ());
  return TRUE;
}

static gboolean
keep_both_loops (gpointer data, GValue *result, GError **error)
{
  MorrowExecutor **kept = data;

  return keep_loop (&kept[0], NULL, error) &&
         morrow_await (morrow_create_task (morrow_coroutine (keep_loop, &kept[1], NULL)), error);
}

/* While its pool lives. */
START_TEST (task_that_a_thread_spawns_on_one_loop_of_a_pool_is_cancelled_with_the_pool)
{
  MorrowExecutor *pool = morrow_loop_pool_new (2), *kept[2];
  g_autoptr (MorrowFuture) waiter = NULL, returner = NULL;
  Waiters waiters = { 0 };
  gboolean ok;

  run_scene_on (pool, keep_both_loops, kept);
  returner = morrow_executor_spawn (kept[1], morrow_coroutine (return_int, GINT_TO_POINTER (7), NULL));
  ok = morrow_future_wait (returner, NULL);
  ck_assert (ok);
  waiter = morrow_executor_spawn (kept[1], morrow_coroutine (wait_for_ever, &waiters, NULL));
  g_object_unref (pool);
  ck_assert (morrow_future_is_cancelled (waiter));
  ck_assert_uint_eq (atomic_load (&waiters.n_cancelled), atomic_load (&waiters.n_waiting));
  g_object_unref (kept[0]);
  g_object_unref (kept[1]);
}
END_TEST

static void
never_run (gpointer data)
{
  ck_abort ();
}

static void
set_flag (gpointer data)
{
  *(gboolean *) data = TRUE;
}

static void
assert_closed (MorrowExecutor *loop)
{
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (loop, morrow_coroutine (return_int, GINT_TO_POINTER (7), NULL));
  g_autoptr (GError) spawned = NULL, run = NULL;
  gboolean freed = FALSE, ok;

  ok = morrow_future_wait (task, &spawned);
  ck_assert (!ok);
  assert_error (spawned, MORROW_ERROR, MORROW_ERROR_CLOSED);
  ok = morrow_run_on (loop, morrow_coroutine (return_int, GINT_TO_POINTER (7), NULL), NULL, &run);
  ck_assert (!ok);
  assert_error (run, MORROW_ERROR, MORROW_ERROR_CLOSED);
  morrow_executor_submit (loop, never_run, &freed, set_flag);
  ck_assert (freed);
  ck_assert (!g_main_context_iteration (morrow_loop_get_context (MORROW_LOOP (loop)), FALSE));
}

START_TEST (loop_that_is_kept_beyond_its_pool_or_its_run_is_closed)
{
  MorrowExecutor *pool = morrow_loop_pool_new (1), *kept[2];

  run_scene_on (pool, keep_both_loops, kept);
  assert_closed (kept[0]);
  g_object_unref (pool);
  assert_closed (kept[1]);
  g_object_unref (kept[0]);
  g_object_unref (kept[1]);
}
END_TEST

/* --- submitted work ---------------------------------------------------------------------------- */

typedef struct
{
  pthread_mutex_t lock;
  pthread_cond_t  changed;
  guint           n_waiting;   /* under the lock, as are the rest */
  gboolean        is_open;
  guint           n_done;
  guint           n_freed;
} Works;

static void
works_init (Works *works)
{
  *works = (Works) { .n_done = 0 };
  pthread_mutex_init (&works->lock, NULL);
  pthread_cond_init (&works->changed, NULL);
}

static void
work (gpointer data)
{
  Works *works = data;

  pthread_mutex_lock (&works->lock);
  works->n_done++;
  pthread_cond_broadcast (&works->changed);
  pthread_mutex_unlock (&works->lock);
}

static void
free_work (gpointer data)
{
  Works *works = data;

  pthread_mutex_lock (&works->lock);
  works->n_freed++;
  pthread_mutex_unlock (&works->lock);
}

static void
wait_at_the_gate (gpointer data)
{
  Works *works = data;

  pthread_mutex_lock (&works->lock);
  works->n_waiting++;
  pthread_cond_broadcast (&works->changed);
  while (!works->is_open)
    pthread_cond_wait (&works->changed, &works->lock);
  pthread_mutex_unlock (&works->lock);
}

static void
wait_for_waiting (Works *works, guint n)
{
  pthread_mutex_lock (&works->lock);
  while (works->n_waiting < n)
    pthread_cond_wait (&works->changed, &works->lock);
  pthread_mutex_unlock (&works->lock);
}

static void
wait_for_done (Works *works, guint n)
{
  pthread_mutex_lock (&works->lock);
  while (works->n_done < n)
    pthread_cond_wait (&works->changed, &works->lock);
  pthread_mutex_unlock (&works->lock);
}

/* Returns with both loops of @pool inside of work that waits. */
static void
occupy_both (MorrowExecutor *pool, Works *works)
{
  for (guint i = 0; i < 2; i++)
    morrow_executor_submit (pool, wait_at_the_gate, works, NULL);
  wait_for_waiting (works, 2);
}

static void
open_gate (Works *works)
{
  pthread_mutex_lock (&works->lock);
  works->is_open = TRUE;
  pthread_cond_broadcast (&works->changed);
  pthread_mutex_unlock (&works->lock);
}

START_TEST (more_work_than_the_ring_holds_is_done_and_released_once)
{
  MorrowExecutor *pool = morrow_loop_pool_new (2);
  Works works;

  works_init (&works);
  occupy_both (pool, &works);
  for (guint i = 0; i < 3 * MORROW_RING_CAPACITY; i++)
    morrow_executor_submit (pool, work, &works, free_work);
  ck_assert_uint_eq (works.n_done, 0);
  open_gate (&works);
  g_object_unref (pool);
  ck_assert_uint_eq (works.n_done, 3 * MORROW_RING_CAPACITY);
  ck_assert_uint_eq (works.n_freed, 3 * MORROW_RING_CAPACITY);
}
END_TEST

/* Each waits for all others: who finds a piece sees to it that another loop comes for the next. */
START_TEST (as_many_pieces_are_done_at_once_as_there_are_loops)
{
  enum { N_LOOPS = 4, N_ROUNDS = 50 };
  MorrowExecutor *pool = morrow_loop_pool_new (N_LOOPS);
  Works rounds[N_ROUNDS];

  for (guint round = 0; round < N_ROUNDS; round++)
    {
      works_init (&rounds[round]);
      for (guint i = 0; i < N_LOOPS; i++)
        morrow_executor_submit (pool, wait_at_the_gate, &rounds[round], NULL);
      wait_for_waiting (&rounds[round], N_LOOPS);
      open_gate (&rounds[round]);
    }
  g_object_unref (pool);
}
END_TEST

typedef struct
{
  MorrowExecutor *pool;
  Works          *works;
} Submission;

static gboolean
submit_one (gpointer data)
{
  Submission *self = data;

  morrow_executor_submit (self->pool, work, self->works, NULL);
  return G_SOURCE_REMOVE;
}

static void
submit_in_main_loop (MorrowExecutor *pool, Works *works)
{
  guint source = g_idle_add_full (G_PRIORITY_DEFAULT, submit_one, &(Submission) { pool, works }, NULL);

  while (g_main_context_find_source_by_id (NULL, source) != NULL)
    g_main_context_iteration (NULL, TRUE);
}

static gboolean
submit_in_task (gpointer data, GValue *result, GError **error)
{
  submit_one (data);
  return TRUE;
}

/* Who may sleep waits for room in the ring: a plain thread, that is, and neither a task nor a main loop's callback. */
START_TEST (plain_thread_waits_for_room_in_the_ring_and_none_else)
{
  MorrowExecutor *pool = morrow_loop_pool_new (2);
  Works works;
  Submission submission = { pool, &works };

  works_init (&works);
  atomic_store (&n_waits_for_room, 0);
  occupy_both (pool, &works);
  for (guint i = 0; i < MORROW_RING_CAPACITY; i++)
    submit_one (&submission);
  ck_assert_uint_eq (n_waits_for_room, 0);
  submit_one (&submission);
  ck_assert_uint_eq (n_waits_for_room, 1);

  submit_in_main_loop (pool, &works);
  ck_assert (morrow_run (morrow_coroutine (submit_in_task, &submission, NULL), NULL, NULL));
  ck_assert_uint_eq (n_waits_for_room, 1);

  open_gate (&works);
  g_object_unref (pool);
  ck_assert_uint_eq (works.n_done, MORROW_RING_CAPACITY + 3);
}
END_TEST

/* Of a loop of a pool whose other one is inside of work that waits. */
typedef struct
{
  MorrowExecutor *pool;
  Works           other, pair;
} BehindRing;

static void
submit_pair_behind_ring (gpointer data)
{
  BehindRing *self = data;

  wait_at_the_gate (&self->other);
  for (guint i = 0; i < MORROW_RING_CAPACITY; i++)
    morrow_executor_submit (self->pool, work, &self->other, NULL);
  for (guint i = 0; i < 2; i++)
    morrow_executor_submit (self->pool, wait_at_the_gate, &self->pair, NULL);
}

/* The two wait for each other: on one loop, one behind the other, they would for ever. */
START_TEST (what_work_submits_beyond_the_ring_is_for_any_loop)
{
  BehindRing behind = { .pool = morrow_loop_pool_new (2) };

  works_init (&behind.other);
  works_init (&behind.pair);
  morrow_executor_submit (behind.pool, wait_at_the_gate, &behind.other, NULL);
  morrow_executor_submit (behind.pool, submit_pair_behind_ring, &behind, NULL);
  wait_for_waiting (&behind.other, 2);
  open_gate (&behind.other);
  wait_for_waiting (&behind.pair, 2);
  open_gate (&behind.pair);
  g_object_unref (behind.pool);
}
END_TEST

/* Pieces that submit themselves again, and one that stops them: there is always something in the ring, and behind it. */
typedef struct
{
  MorrowExecutor *pool;
  guint           place;        /* of the one that stops them */
  atomic_int      is_stopped;
} Circle;

static void
submit_again (gpointer data)
{
  Circle *self = data;

  if (!atomic_load (&self->is_stopped))
    morrow_executor_submit (self->pool, submit_again, self, NULL);
}

static void
stop_circle (gpointer data)
{
  atomic_store (&((Circle *) data)->is_stopped, TRUE);
}

static void
begin_circle (gpointer data)
{
  Circle *self = data;

  for (guint i = 0; i < 2 * MORROW_RING_CAPACITY; i++)
    morrow_executor_submit (self->pool, i == self->place ? stop_circle : submit_again, self, NULL);
}

/* _i: whether the one that stops them is behind the ring. */
START_TEST (neither_what_is_in_the_ring_nor_what_is_behind_it_waits_for_the_other_for_ever)
{
  Circle circle = { .pool = morrow_loop_pool_new (1), .place = _i == 0 ? 100 : 2 * MORROW_RING_CAPACITY - 1 };

  morrow_executor_submit (circle.pool, begin_circle, &circle, NULL);
  g_object_unref (circle.pool);
  ck_assert (atomic_load (&circle.is_stopped));
}
END_TEST

/* The loops go to sleep in between, or are about to: a push that nobody notices hangs. */
START_TEST (work_that_meets_loops_on_their_way_to_sleep_is_done)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (2);
  Works works;

  works_init (&works);
  for (guint i = 0; i < 20000 / morrow_check_slowness (); i++)
    {
      morrow_executor_submit (pool, work, &works, NULL);
      wait_for_done (&works, i + 1);
    }
}
END_TEST

/* Both are taken at once: a loop that took the two would have one wait behind the other for ever. */
START_TEST (two_pieces_of_work_that_wait_for_each_other_run_at_once)
{
  for (guint i = 0; i < 100; i++)
    {
      MorrowExecutor *pool = morrow_loop_pool_new (2);
      Works works;

      works_init (&works);
      occupy_both (pool, &works);
      open_gate (&works);
      g_object_unref (pool);
      ck_assert_uint_eq (works.n_waiting, 2);
    }
}
END_TEST

/* --- searching --------------------------------------------------------------------------------- */

/* One of two loops looks around, which is told to nobody but the pool, and the other sleeps. */
typedef struct
{
  Works       works;
  MorrowLoop *other;       /* once both wait at the gate, as is the next */
  pid_t       other_id;    /* its thread */
} Lookout;

static gboolean
other_sleeps (Lookout *self)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/task/%d/stat", (int) self->other_id);
  g_autofree char *stat = NULL;

  return atomic_load (&self->other->asleep) && g_file_get_contents (path, &stat, NULL, NULL) && strstr (stat, ") S ") != NULL;
}

/* Keeps its own loop until the other one has done what is given here. */
static gboolean
give_work_to_other (gpointer data)
{
  Lookout *self = data;

  while (!other_sleeps (self))
    sched_yield ();
  morrow_executor_submit (morrow_executor_get_current (), work, &self->works, NULL);
  wait_for_done (&self->works, 1);
  return G_SOURCE_REMOVE;
}

static void
wait_to_sleep (gpointer data)
{
  Lookout *self = data;

  self->other = morrow_loop_get_current ();
  self->other_id = gettid ();
  wait_at_the_gate (&self->works);
}

static void
look_around (gpointer data)
{
  Lookout *self = data;
  MorrowLoop *loop = morrow_loop_get_current ();
  GSource *source = g_idle_source_new ();

  wait_at_the_gate (&self->works);
  g_source_set_callback (source, give_work_to_other, self, NULL);
  g_source_attach (source, morrow_loop_get_context (loop));
  g_source_unref (source);
  loop->last_poll = 0;
  while (!morrow__loop_pool_search (loop))
    sched_yield ();   /* the other one searches, until it sleeps */
}

START_TEST (work_that_a_source_gives_to_a_pool_wakes_a_loop_while_its_own_looked_around)
{
  MorrowExecutor *pool = morrow_loop_pool_new (2);
  Lookout lookout;

  works_init (&lookout.works);
  morrow_executor_submit (pool, look_around, &lookout, NULL);
  morrow_executor_submit (pool, wait_to_sleep, &lookout, NULL);
  wait_for_waiting (&lookout.works, 2);
  open_gate (&lookout.works);
  wait_for_done (&lookout.works, 1);
  g_object_unref (pool);
}
END_TEST

/* --- whom a push chooses to wake ----------------------------------------------------------------- */

/* Of two loops the first, which a push wakes, has just woken up by itself, or does not sleep after all: it does something else
 * first, which takes until the other has done what was pushed. */
typedef struct
{
  MorrowExecutor *pool;
  Works           works;
  MorrowLoop     *first;      /* of the pool's loops; set before the rest, as is the next */
  Lookout         lookout;    /* for the other one */
  GSource        *source;     /* of the first's context, which holds it; the first's thread */
  atomic_int      is_armed;   /* the first is to be chosen when it wakes up next */
} Choice;

static Choice choice;

/* Both wait at the gate. */
static void
tell_loop (gpointer data)
{
  MorrowLoop *loop = morrow_loop_get_current ();

  if (morrow__list_entry (loop->peers->loops.next, MorrowLoop, peer_link) == loop)
    {
      choice.first = loop;
    }
  else
    {
      choice.lookout.other = loop;
      choice.lookout.other_id = gettid ();
    }
  wait_at_the_gate (&choice.works);
}

/* In a nap it would look by itself. */
static gboolean
other_rests (void)
{
  MorrowLoop *other = choice.lookout.other;
  gboolean is_at_rest;

  pthread_mutex_lock (&other->peers->lock);
  is_at_rest = other->at_rest;
  pthread_mutex_unlock (&other->peers->lock);
  return is_at_rest && other_sleeps (&choice.lookout);
}

static void
push_between (void)
{
  atomic_store (&choice.is_armed, FALSE);
  while (!other_rests ())
    sched_yield ();
  ck_assert (atomic_load (&choice.first->asleep));
  morrow_executor_submit (choice.pool, work, &choice.works, NULL);
  ck_assert (!atomic_load (&choice.first->asleep));
}

/* The other one, which would wake up for a look for circles soon, has been woken for what was pushed. Under valgrind one that
 * waits for its turn sleeps too, to the kernel. */
static void
take_long (gpointer data)
{
  gboolean other_is_asleep = !RUNNING_ON_VALGRIND && atomic_load (&choice.lookout.other->asleep) && other_rests ();

  pthread_mutex_lock (&choice.works.lock);
  ck_assert (!other_is_asleep || choice.works.n_done == 1);
  pthread_mutex_unlock (&choice.works.lock);
  wait_for_done (&choice.works, 1);
}

static gboolean
take_long_in_source (gpointer data)
{
  take_long (NULL);
  return G_SOURCE_REMOVE;
}

static void
push_after_wait (int epoll_fd)
{
  if (epoll_fd == choice.first->epoll_fd && morrow__timers_next (&choice.first->timers) <= g_get_monotonic_time () &&
      atomic_load (&choice.first->asleep) && atomic_load (&choice.is_armed))
    push_between ();
}

static gboolean
sleep_and_take_long (gpointer data, GValue *result, GError **error)
{
  do
    {
      MorrowFuture *sleep = morrow_sleep (0.1);

      atomic_store (&choice.is_armed, TRUE);
      if (!morrow_await (sleep, error))
        return FALSE;
    }
  while (atomic_load (&choice.is_armed));   /* when the time came the loop had not fallen asleep yet */
  take_long (NULL);
  return TRUE;
}

static void
begin_with_timer (void)
{
  atomic_store (&after_wait, push_after_wait);
  spawn_forgotten (MORROW_EXECUTOR (choice.first), sleep_and_take_long, NULL);
}

/* Where the first would sleep its source becomes ready. */
static int
poll_and_push (GPollFD *fds, guint n_fds, int timeout)
{
  if (timeout == 0 || !atomic_load (&choice.is_armed))
    return g_poll (fds, n_fds, timeout);

  push_between ();
  g_source_set_ready_time (choice.source, 0);
  return 0;
}

static void
add_source (gpointer data)
{
  GMainContext *context = morrow_loop_get_context (choice.first);

  choice.source = g_timeout_source_new (0);
  g_source_set_ready_time (choice.source, -1);
  g_source_set_callback (choice.source, take_long_in_source, NULL, NULL);
  g_source_attach (choice.source, context);
  g_source_unref (choice.source);
  atomic_store (&choice.is_armed, TRUE);
  g_main_context_set_poll_func (context, poll_and_push);
}

static void
begin_with_source (void)
{
  morrow_executor_submit (MORROW_EXECUTOR (choice.first), add_source, NULL, NULL);
}

static int
push_and_post (void)
{
  if (morrow_loop_get_current () == choice.first && atomic_load (&choice.is_armed))
    {
      push_between ();
      morrow_executor_submit (MORROW_EXECUTOR (choice.first), take_long, NULL, NULL);
    }
  return __real_syscall (SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

static void
arm (gpointer data)
{
  atomic_store (&choice.is_armed, TRUE);
}

static void
begin_with_post (void)
{
  atomic_store (&in_membarrier, push_and_post);
  morrow_executor_submit (MORROW_EXECUTOR (choice.first), arm, NULL, NULL);
}

static gboolean
push_and_take_long (gpointer main)
{
  while (!other_rests ())
    sched_yield ();
  morrow_executor_submit (choice.pool, work, &choice.works, NULL);
  take_long (NULL);
  g_main_loop_quit (main);
  return G_SOURCE_REMOVE;
}

/* In a turn in which it is ready the loop's own source is not asked, which fell asleep before. */
static void
run_main_loop_until_pushed (gpointer data)
{
  GMainContext *context = morrow_loop_get_context (choice.first);
  GMainLoop *main = g_main_loop_new (context, FALSE);
  GSource *source = g_timeout_source_new (10);

  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_callback (source, push_and_take_long, main, NULL);
  g_source_attach (source, context);
  g_source_unref (source);
  g_main_loop_run (main);
  g_main_loop_unref (main);
}

static void
begin_with_main_loop (void)
{
  morrow_executor_submit (MORROW_EXECUTOR (choice.first), run_main_loop_until_pushed, NULL, NULL);
}

static void (*const beginnings[]) (void) = { begin_with_timer, begin_with_source, begin_with_post, begin_with_main_loop };

START_TEST (work_that_chooses_a_loop_with_something_else_to_do_is_done_by_another)
{
  choice = (Choice) { .pool = morrow_loop_pool_new (2) };
  works_init (&choice.works);
  for (guint i = 0; i < 2; i++)
    morrow_executor_submit (choice.pool, tell_loop, NULL, NULL);
  wait_for_waiting (&choice.works, 2);
  open_gate (&choice.works);

  beginnings[_i] ();
  wait_for_done (&choice.works, 1);
  atomic_store (&after_wait, NULL);
  atomic_store (&in_membarrier, NULL);
  g_object_unref (choice.pool);
}
END_TEST

/* Then a push may be on its way while the loop looks. */
static atomic_uint n_looks;

static int
fail_to_be_sure (void)
{
  atomic_fetch_add (&n_looks, 1);
  errno = ENOMEM;
  return -1;
}

START_TEST (loop_that_cannot_be_sure_that_there_is_nothing_to_do_looks_again_and_again)
{
  MorrowExecutor *pool;

  atomic_store (&in_membarrier, fail_to_be_sure);
  pool = morrow_loop_pool_new (1);
  while (atomic_load (&n_looks) < 10)
    sched_yield ();
  atomic_store (&in_membarrier, NULL);
  g_object_unref (pool);
}
END_TEST

/* --- naps -------------------------------------------------------------------------------------- */

/* A loop in whose work it is looked when it would nap, and whether it would go on, while the other one does as it is told. */
typedef struct
{
  MorrowExecutor *pool;
  Works           others;   /* of the loop that is kept busy */
  Works           again;    /* likewise, later */
  Works           steps;    /* done: it may be looked; it has been */
  Works           works;    /* given in the look */
  void          (*look) (gpointer self, MorrowLoop *loop);
} Nap;

/* As if it had been woken for work, and had found none. */
static void
wake_in_vain (MorrowLoop *loop)
{
  atomic_store (&loop->summoned, TRUE);
  morrow__loop_pool_woken (loop);
}

static void
look_at_nap (gpointer data)
{
  Nap *self = data;

  wait_for_done (&self->steps, 1);
  self->look (self, morrow_loop_get_current ());
  work (&self->steps);
}

/* Has @look called on one of @n_loops, with another kept busy until it opens the gate, or has returned. */
static void
run_nap (guint n_loops, void (*look) (gpointer self, MorrowLoop *loop))
{
  Nap nap = { .pool = morrow_loop_pool_new (n_loops), .look = look };

  works_init (&nap.others);
  works_init (&nap.again);
  works_init (&nap.steps);
  works_init (&nap.works);
  morrow_executor_submit (nap.pool, wait_at_the_gate, &nap.others, NULL);
  wait_for_waiting (&nap.others, 1);
  morrow_executor_submit (nap.pool, look_at_nap, &nap, NULL);
  work (&nap.steps);   /* from here on the test wakes nobody */
  wait_for_done (&nap.steps, 2);
  open_gate (&nap.others);
  open_gate (&nap.again);
  g_object_unref (nap.pool);
}

static void
look_who_naps (gpointer data, MorrowLoop *loop)
{
  atomic_store (&loop->summoned, FALSE);
  ck_assert (!morrow__loop_pool_nap (loop));   /* not woken for work */

  wake_in_vain (loop);
  loop->n_worked += 1000;
  ck_assert (!morrow__loop_pool_nap (loop));   /* woken for enough */

  wake_in_vain (loop);
  ck_assert (morrow__loop_pool_nap (loop));
  wake_in_vain (loop);
  ck_assert (!morrow__loop_pool_nap (loop));   /* one of the pool */
  morrow__loop_pool_end_search (loop);
  ck_assert (!loop->napping);
}

START_TEST (loop_that_was_woken_for_next_to_nothing_naps)
{
  run_nap (2, look_who_naps);
}
END_TEST

static MorrowLoop *
find_sleeper (MorrowPeers *peers)
{
  morrow__list_foreach (&peers->loops, node)
    {
      MorrowLoop *loop = morrow__list_entry (node, MorrowLoop, peer_link);

      if (loop->at_rest && atomic_load (&loop->asleep) && !atomic_load (&loop->summoned))
        return loop;
    }
  return NULL;
}

/* Another loop that sleeps, or is just about to, and has not been woken for work. */
static MorrowLoop *
wait_for_sleeper (MorrowLoop *here)
{
  MorrowLoop *sleeper;

  do
    {
      sched_yield ();
      pthread_mutex_lock (&here->peers->lock);
      sleeper = find_sleeper (here->peers);
      pthread_mutex_unlock (&here->peers->lock);
    }
  while (sleeper == NULL);
  return sleeper;
}

static void
look_who_is_woken (gpointer data, MorrowLoop *loop)
{
  Nap *self = data;
  MorrowLoop *sleeper = wait_for_sleeper (loop);

  wake_in_vain (loop);
  ck_assert (morrow__loop_pool_nap (loop));
  morrow_executor_submit (self->pool, work, &self->works, NULL);
  ck_assert (!atomic_load (&sleeper->summoned));

  morrow__loop_pool_end_search (loop);   /* which looks once more */
  wait_for_done (&self->works, 1);
}

START_TEST (nobody_is_woken_while_a_loop_naps_but_when_it_ends)
{
  run_nap (3, look_who_is_woken);
}
END_TEST

static void
look_when_all_sleep (gpointer data, MorrowLoop *loop)
{
  Nap *self = data;

  wake_in_vain (loop);
  ck_assert (morrow__loop_pool_nap (loop));
  open_gate (&self->others);
  wait_for_sleeper (loop);
  morrow_executor_submit (self->pool, work, &self->works, NULL);
  wait_for_done (&self->works, 1);
  morrow__loop_pool_end_search (loop);

  while (wake_in_vain (loop), morrow__loop_pool_nap (loop))
    morrow__loop_pool_end_search (loop);   /* until the other sleeps */
}

START_TEST (loop_is_woken_although_another_naps_when_all_others_sleep)
{
  run_nap (2, look_when_all_sleep);
}
END_TEST

static void
look_whether_it_goes_on (gpointer data, MorrowLoop *loop)
{
  Nap *self = data;

  wake_in_vain (loop);
  ck_assert (morrow__loop_pool_nap (loop));
  ck_assert (!morrow__loop_pool_naps_on (loop));   /* nothing was given */

  open_gate (&self->others);
  for (guint i = 0; i < 10; i++)
    morrow_executor_submit (self->pool, work, &self->works, NULL);
  wait_for_done (&self->works, 10);
  ck_assert (morrow__loop_pool_naps_on (loop));    /* the other has done it all */
  ck_assert (!morrow__loop_pool_naps_on (loop));
  morrow__loop_pool_end_search (loop);
}

START_TEST (nap_goes_on_while_others_keep_up_and_no_longer)
{
  run_nap (2, look_whether_it_goes_on);
}
END_TEST

/* As if one had been attached here: it runs where it was attached. */
static void
look_whether_callbacks_matter (gpointer data, MorrowLoop *loop)
{
  wake_in_vain (loop);
  ck_assert (morrow__loop_pool_nap (loop));
  atomic_fetch_add (&loop->n_posted, 1);
  ck_assert (!morrow__loop_pool_naps_on (loop));
  morrow__loop_pool_end_search (loop);
}

START_TEST (nap_does_not_go_on_for_callbacks)
{
  run_nap (2, look_whether_callbacks_matter);
}
END_TEST

static void
look_what_is_left (gpointer data, MorrowLoop *loop)
{
  Nap *self = data;

  wake_in_vain (loop);
  ck_assert (morrow__loop_pool_nap (loop));
  morrow_executor_submit (self->pool, work, &self->works, NULL);
  ck_assert (!morrow__loop_pool_naps_on (loop));   /* the other has not taken it */
  morrow__loop_pool_end_search (loop);
}

START_TEST (nap_ends_for_work_that_others_leave)
{
  run_nap (2, look_what_is_left);
}
END_TEST

/* The other takes more than there lies in the ring, but leaves what lies behind it. */
static void
look_what_is_left_behind_the_ring (gpointer data, MorrowLoop *loop)
{
  Nap *self = data;

  wake_in_vain (loop);
  ck_assert (morrow__loop_pool_nap (loop));
  open_gate (&self->others);
  morrow_executor_submit (self->pool, work, &self->works, NULL);
  morrow_executor_submit (self->pool, wait_at_the_gate, &self->again, NULL);
  wait_for_waiting (&self->again, 1);
  morrow__backlog_push (&loop->pool->backlog, (MorrowRingItem) { .func = work, .data = &self->works });
  ck_assert (!morrow__loop_pool_naps_on (loop));
  morrow__loop_pool_end_search (loop);
}

START_TEST (nap_ends_for_work_that_others_leave_behind_the_ring)
{
  run_nap (2, look_what_is_left_behind_the_ring);
}
END_TEST

static void
look_which_tasks_are_left (gpointer data, MorrowLoop *loop)
{
  Nap *self = data;
  Hog hog = HOG;

  wake_in_vain (loop);
  ck_assert (morrow__loop_pool_nap (loop));
  spawn_forgotten (self->pool, count_ran, &hog);
  ck_assert (!morrow__loop_pool_naps_on (loop));
  morrow__loop_pool_end_search (loop);

  open_gate (&self->others);
  pthread_mutex_lock (&hog.lock);
  while (hog.n_ran == 0)
    pthread_cond_wait (&hog.changed, &hog.lock);
  pthread_mutex_unlock (&hog.lock);
}

START_TEST (nap_ends_for_tasks_that_others_leave)
{
  run_nap (2, look_which_tasks_are_left);
}
END_TEST

static void
return_to_nap (gpointer data)
{
  wake_in_vain (morrow_loop_get_current ());
}

/* One loop is busy, and the other naps, or is about to, or wakes up: a push that it misses hangs. */
START_TEST (work_that_meets_a_loop_on_its_way_to_a_nap_is_done)
{
  Works others, works;
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (2);

  works_init (&others);
  works_init (&works);
  morrow_executor_submit (pool, wait_at_the_gate, &others, NULL);
  wait_for_waiting (&others, 1);
  for (guint i = 0; i < 20000 / morrow_check_slowness (); i++)
    {
      morrow_executor_submit (pool, return_to_nap, NULL, NULL);
      morrow_executor_submit (pool, work, &works, NULL);
      wait_for_done (&works, i + 1);
    }
  open_gate (&others);
}
END_TEST

/* --- main loops in submitted work ----------------------------------------------------------------- */

typedef struct
{
  MorrowExecutor *pool;
  Works           works;       /* waiting: the main loop runs; done: it has ended, or what the test waits for */
  Waiters         waiters;
  GMainLoop      *main;
  guint           n_turns;
  gboolean      (*ends) (gpointer self);
} Nested;

static gboolean
quit_in_time (gpointer data)
{
  Nested *self = data;

  if (!self->ends (self))
    return G_SOURCE_CONTINUE;
  g_main_loop_quit (self->main);
  return G_SOURCE_REMOVE;
}

/* A source of high priority: in each turn in which it is ready the loop's own is not asked. */
static void
run_main_loop (Nested *self)
{
  GMainContext *context = morrow_loop_get_context (morrow_loop_get_current ());
  GSource *source = g_timeout_source_new (1);

  self->main = g_main_loop_new (context, FALSE);
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_callback (source, quit_in_time, self, NULL);
  g_source_attach (source, context);
  g_source_unref (source);
  g_main_loop_run (self->main);
  g_main_loop_unref (self->main);
}

static void
run_main_loop_in_work (gpointer data)
{
  Nested *self = data;

  pthread_mutex_lock (&self->works.lock);
  self->works.n_waiting++;
  pthread_cond_broadcast (&self->works.changed);
  pthread_mutex_unlock (&self->works.lock);
  run_main_loop (self);
  work (&self->works);
}

static gboolean
has_been_swept_for_long (gpointer data)
{
  Nested *self = data;

  return atomic_load (&self->waiters.n_cancelled) > 0 && ++self->n_turns == 50;
}

static gboolean
leave_main_loop (gpointer data, GValue *result, GError **error)
{
  Nested *self = data;

  while (atomic_load (&self->waiters.n_waiting) == 0)
    sched_yield ();
  morrow_executor_submit (self->pool, run_main_loop_in_work, self, NULL);
  wait_for_waiting (&self->works, 1);
  return TRUE;
}

START_TEST (run_waits_for_work_in_whose_main_loop_it_swept)
{
  Nested nested = { .pool = morrow_loop_pool_new (1), .ends = has_been_swept_for_long };

  works_init (&nested.works);
  spawn_forgotten (nested.pool, wait_for_ever, &nested.waiters);
  run_scene_on (nested.pool, leave_main_loop, &nested);
  ck_assert_uint_eq (nested.works.n_done, 1);
  g_object_unref (nested.pool);
}
END_TEST

static gboolean
has_done_one (gpointer data)
{
  Nested *self = data;
  gboolean has;

  pthread_mutex_lock (&self->works.lock);
  has = self->works.n_done == 1;
  pthread_mutex_unlock (&self->works.lock);
  return has;
}

START_TEST (work_is_done_in_the_main_loop_of_other_work)
{
  Nested nested = { .pool = morrow_loop_pool_new (1), .ends = has_done_one };

  works_init (&nested.works);
  morrow_executor_submit (nested.pool, run_main_loop_in_work, &nested, NULL);
  wait_for_waiting (&nested.works, 1);
  morrow_executor_submit (nested.pool, work, &nested.works, NULL);
  wait_for_done (&nested.works, 2);
  g_object_unref (nested.pool);
}
END_TEST

static gboolean
has_turned (gpointer data)
{
  return ++((Nested *) data)->n_turns == 20;
}

/* It does not, where another counts as asleep, which is busy here. */
static void
nap_after (gpointer data)
{
  MorrowLoop *loop = morrow_loop_get_current ();

  wake_in_vain (loop);
  ck_assert (morrow__loop_pool_nap (loop));
  morrow__loop_pool_end_search (loop);
  work (data);
}

static void
run_main_loop_then_nap (gpointer data)
{
  Nested *self = data;

  run_main_loop (self);
  morrow_executor_submit (MORROW_EXECUTOR (morrow_loop_get_current ()), nap_after, &self->works, NULL);
}

START_TEST (loop_does_not_count_as_asleep_after_a_main_loop_in_its_work)
{
  Nested nested = { .pool = morrow_loop_pool_new (2), .ends = has_turned };
  Works others;

  works_init (&nested.works);
  works_init (&others);
  morrow_executor_submit (nested.pool, wait_at_the_gate, &others, NULL);
  wait_for_waiting (&others, 1);
  morrow_executor_submit (nested.pool, run_main_loop_then_nap, &nested, NULL);
  wait_for_done (&nested.works, 1);
  open_gate (&others);
  g_object_unref (nested.pool);
}
END_TEST

/* One that has not started, and one that makes its own successor until that has. */
typedef struct
{
  MorrowExecutor *pool;
  GMainLoop      *main;
  gboolean        old_has_run;
  Works           works;
} Stream;

static gboolean
run_as_old (gpointer data, GValue *result, GError **error)
{
  Stream *self = data;

  self->old_has_run = TRUE;
  g_main_loop_quit (self->main);
  return TRUE;
}

static gboolean
go_on_until_old_has_run (gpointer data, GValue *result, GError **error)
{
  Stream *self = data;

  if (!self->old_has_run)
    spawn_forgotten (self->pool, go_on_until_old_has_run, self);
  return TRUE;
}

static void
run_main_loop_beside_stream (gpointer data)
{
  Stream *self = data;

  self->main = g_main_loop_new (morrow_loop_get_context (morrow_loop_get_current ()), FALSE);
  spawn_forgotten (self->pool, run_as_old, self);
  spawn_forgotten (self->pool, go_on_until_old_has_run, self);
  g_main_loop_run (self->main);
  g_main_loop_unref (self->main);
  work (&self->works);
}

START_TEST (old_task_is_not_put_off_by_new_ones_in_a_main_loop_on_its_pool)
{
  Stream stream = { .pool = morrow_loop_pool_new (1) };

  works_init (&stream.works);
  morrow_executor_submit (stream.pool, run_main_loop_beside_stream, &stream, NULL);
  wait_for_done (&stream.works, 1);
  g_object_unref (stream.pool);
  ck_assert (stream.old_has_run);
}
END_TEST

/* --- fork -------------------------------------------------------------------------------------- */

static atomic_int n_worked;

static void
count_work (gpointer data)
{
  atomic_fetch_add (&n_worked, 1);
}

/* The child's task goes on, and its loop with it. */
static gboolean
fork_beside_submitted_work (gpointer data, GValue *result, GError **error)
{
  pid_t child;
  int status;

  morrow_executor_submit (morrow_executor_get_current (), count_work, NULL, NULL);
  child = fork ();
  ck_assert_int_ge (child, 0);
  if (child == 0)
    {
      gboolean ok = morrow_await (morrow_sleep (0.01), NULL);

      morrow_check_end_child (ok && atomic_load (&n_worked) == 0 ? 0 : 1);
    }
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_int_eq (status, 0);
  return TRUE;
}

/* Main is on a loop that is no part of the pool. */
static gboolean
fork_on_the_pool (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_spawn (fork_beside_submitted_work, NULL, NULL), error);
}

START_TEST (work_that_was_submitted_before_a_fork_is_done_by_the_parent_alone)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (1);

  run_scene_on (pool, fork_on_the_pool, NULL);
  ck_assert_int_eq (atomic_load (&n_worked), 1);
}
END_TEST

/* --- idle -------------------------------------------------------------------------------------- */

static atomic_int n_waits;

static void
count_wait (int epoll_fd)
{
  atomic_fetch_add (&n_waits, 1);
}

/* Each of them may look for circles once, which the others see. */
START_TEST (idle_pool_of_many_loops_sleeps)
{
  const guint n_loops = 32;
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (n_loops);

  run_scene_on (pool, return_int, NULL);
  atomic_store (&after_wait, count_wait);
  g_usleep (500 * 1000);
  atomic_store (&after_wait, NULL);
  ck_assert_int_le (atomic_load (&n_waits), 3 * n_loops);
}
END_TEST

static Suite *
loop_pool_suite (void)
{
  Suite *suite = suite_create ("loop-pool");
  TCase *stealing = morrow_check_add_case (suite, "stealing");
  TCase *order = morrow_check_add_case (suite, "order");
  TCase *alone = morrow_check_add_case (suite, "alone");
  TCase *submitted = morrow_check_add_case (suite, "submitted");
  TCase *searching = morrow_check_add_case (suite, "searching");
  TCase *chosen = morrow_check_add_case (suite, "chosen");
  TCase *naps = morrow_check_add_case (suite, "naps");
  TCase *nested = morrow_check_add_case (suite, "nested");
  TCase *end = morrow_check_add_case (suite, "end");

  tcase_add_test (stealing, task_that_has_started_stays_on_its_loop);
  tcase_add_test (stealing, task_that_is_created_for_another_pool_runs_there);
  tcase_add_test (stealing, tasks_that_have_not_started_are_stolen_from_a_busy_loop);
  tcase_add_test (stealing, tasks_offered_from_outside_do_not_wait_for_a_busy_loop);
  tcase_add_test (stealing, neither_old_tasks_nor_timers_are_starved_by_a_stream_of_new_tasks);
  tcase_add_test (stealing, loop_with_nothing_of_its_own_to_do_prepares_memory);

  tcase_add_test (order, loop_of_a_pool_starts_its_newest_task_first);
  tcase_add_test (order, few_of_a_tree_are_alive_at_once);
  tcase_add_test (order, few_of_a_tree_of_dear_tasks_are_alive_at_once);
  tcase_add_test (order, neither_new_tasks_nor_yielding_ones_starve);

  tcase_add_test (alone, run_ends_although_a_task_was_spawned_on_one_loop_of_its_pool);
  tcase_add_test (alone, task_that_was_spawned_on_one_loop_of_a_pool_is_swept);
  tcase_add_test (alone, task_that_a_thread_spawns_on_one_loop_of_a_pool_is_cancelled_with_the_pool);
  tcase_add_test (alone, loop_that_is_kept_beyond_its_pool_or_its_run_is_closed);

  tcase_add_test (submitted, more_work_than_the_ring_holds_is_done_and_released_once);
  tcase_add_test (submitted, plain_thread_waits_for_room_in_the_ring_and_none_else);
  tcase_add_test (submitted, as_many_pieces_are_done_at_once_as_there_are_loops);
  tcase_add_test (submitted, what_work_submits_beyond_the_ring_is_for_any_loop);
  tcase_add_loop_test (submitted, neither_what_is_in_the_ring_nor_what_is_behind_it_waits_for_the_other_for_ever, 0, 2);
  tcase_add_test (submitted, work_that_meets_loops_on_their_way_to_sleep_is_done);
  tcase_add_test (submitted, two_pieces_of_work_that_wait_for_each_other_run_at_once);

  tcase_add_test (searching, work_that_a_source_gives_to_a_pool_wakes_a_loop_while_its_own_looked_around);

  tcase_add_loop_test (chosen, work_that_chooses_a_loop_with_something_else_to_do_is_done_by_another, 0, G_N_ELEMENTS (beginnings));
  tcase_add_test (chosen, loop_that_cannot_be_sure_that_there_is_nothing_to_do_looks_again_and_again);

  tcase_add_test (naps, loop_that_was_woken_for_next_to_nothing_naps);
  tcase_add_test (naps, nobody_is_woken_while_a_loop_naps_but_when_it_ends);
  tcase_add_test (naps, loop_is_woken_although_another_naps_when_all_others_sleep);
  tcase_add_test (naps, nap_goes_on_while_others_keep_up_and_no_longer);
  tcase_add_test (naps, nap_does_not_go_on_for_callbacks);
  tcase_add_test (naps, nap_ends_for_work_that_others_leave);
  tcase_add_test (naps, nap_ends_for_work_that_others_leave_behind_the_ring);
  tcase_add_test (naps, nap_ends_for_tasks_that_others_leave);
  tcase_add_test (naps, work_that_meets_a_loop_on_its_way_to_a_nap_is_done);

  tcase_add_test (nested, run_waits_for_work_in_whose_main_loop_it_swept);
  tcase_add_test (nested, work_is_done_in_the_main_loop_of_other_work);
  tcase_add_test (nested, loop_does_not_count_as_asleep_after_a_main_loop_in_its_work);
  tcase_add_test (nested, old_task_is_not_put_off_by_new_ones_in_a_main_loop_on_its_pool);

  tcase_add_test (naps, idle_pool_of_many_loops_sleeps);

  tcase_add_test (alone, work_that_was_submitted_before_a_fork_is_done_by_the_parent_alone);

  tcase_add_test (end, pool_that_is_dropped_cancels_what_is_alive_and_waits_for_it);
  tcase_add_test (end, pool_whose_last_reference_goes_on_its_own_thread_ends);
  tcase_add_test (end, runs_of_two_threads_on_one_pool_take_turns);

  return suite;
}

MORROW_CHECK_MAIN (loop_pool_suite)
