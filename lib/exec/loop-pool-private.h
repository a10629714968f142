/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a pool: several loops, a thread each. loop-pool-work.c is what they are given and how they take it,
 * loop-pool-wake.c which of them sleep and who is woken, loop-pool-sweep.c the end of what they were given, loop-pool.c the object.
 *
 * The functions that take a loop are what that asks of the pool that it is a part of, on its own thread, but for what says
 * otherwise. Those that take the pool are for these files. */

#pragma once

#include <pthread.h>

#include "base/backlog-private.h"
#include "base/room-private.h"
#include "exec/loop-private.h"

struct _MorrowLoopPool
{
  MorrowExecutor         parent_instance;

  /* Immutable once made. */
  GPtrArray             *loops;       /* MorrowLoop, owned */
  GPtrArray             *threads;     /* GThread, owned, of each */
  GError                *broken;      /* owned: why there is not a single loop */
  gboolean               fence;       /* the kernel has no membarrier */

  /* Any thread. */
  atomic_uint            n_asleep;    /* P1 */
  atomic_uint            n_searching; /* P2 */
  atomic_int             napping;     /* P2: a loop naps */
  MorrowRing            *ring;        /* owned: what was submitted, that any of the loops may run */
  MorrowRoom             room;        /* where who submits faster than they run it waits */
  MorrowBacklog          backlog;     /* and where it lies if he may not wait, or has waited in vain */
  atomic_ulong           n_outside;   /* tasks that were started from outside */
  atomic_ulong           n_posted;    /* callbacks that were posted from outside */
  atomic_uint            n_sweeps;    /* loops that have yet to sweep, in this round */
  atomic_int             sweeping;    /* a run ends, or the pool: what is started now is swept at once */
  atomic_int             closed;      /* the pool ends: what is started from outside from now on is refused */
  atomic_int             stopping;    /* every task has ended, and nobody gives more: the loops end */

  MorrowPeers            peers;       /* the loops, and main's beside them while a run lasts */

  pthread_mutex_t        lock;
  pthread_cond_t         ended;       /* with the lock: a task has ended in a sweep */
  MorrowLoop            *runner;      /* under the lock: main's loop while its run ends, else NULL; borrowed */
};

/* loop-pool-work.c */

/* The class's; any thread. */
void     morrow__loop_pool_start       (MorrowExecutor *executor, MorrowFuture *future);
void     morrow__loop_pool_post        (MorrowExecutor *executor, MorrowJob *job);
void     morrow__loop_pool_submit      (MorrowExecutor *executor, MorrowWorkFunc func, gpointer data, GDestroyNotify data_free);

/* From any thread, while the loop is open: it is given a task, or a job, by itself. */
void     morrow__loop_pool_count_start (MorrowLoop *loop);
void     morrow__loop_pool_count_post  (MorrowLoop *loop);

/* Moves what was offered from outside into the deque. */
void     morrow__loop_pool_take_offers (MorrowLoop *loop);

gboolean morrow__loop_pool_steal       (MorrowLoop *loop);

/* Runs some of what was submitted to the pool. Whether there was any. */
gboolean morrow__loop_pool_work        (MorrowLoop *loop);

/* No thread runs anything any more: what is left is let go without running. */
void     morrow__loop_pool_drop_work   (MorrowLoopPool *self);
void     morrow__loop_pool_drop_tasks  (MorrowLoopPool *self);

/* loop-pool-wake.c */

/* The loop looks for something to do before it sleeps, for a little while; FALSE when enough others do. It ends when
 * the loop has something, or sleeps. */
gboolean morrow__loop_pool_search      (MorrowLoop *loop);
void     morrow__loop_pool_end_search  (MorrowLoop *loop);
gboolean morrow__loop_pool_sees_work   (MorrowLoop *loop);

/* The loop goes on to run something else than what is left: another is woken for that, if need be. */
void     morrow__loop_pool_pass_on     (MorrowLoop *loop);

/* The last look before it sleeps; not @ret_sure: it may have missed something. */
gboolean morrow__loop_pool_has_work    (MorrowLoop *loop, gboolean *ret_sure);
void     morrow__loop_pool_slept       (MorrowLoop *loop);

/* Naps: the loop has slept until now; whether it naps, instead of sleeping again; and whether it goes on with that, to be asked
 * after each NAP_TIME. A nap ends as a search does. */
void     morrow__loop_pool_woken       (MorrowLoop *loop);
gboolean morrow__loop_pool_nap         (MorrowLoop *loop);
gboolean morrow__loop_pool_naps_on     (MorrowLoop *loop);

/* For morrow__loop_pool_wake_thief (), where somebody sleeps; any thread. */
void     morrow__loop_pool_wake_if_unwatched (MorrowLoopPool *self);

/* loop-pool-sweep.c */
void     morrow__loop_pool_tell_swept  (MorrowLoop *loop);

/* Any thread. */
void     morrow__loop_pool_wake_sweeper (MorrowLoopPool *self);
gulong   morrow__loop_pool_count_given (MorrowLoopPool *self);
gboolean morrow__loop_pool_has_tasks   (MorrowLoopPool *self);

/* Waits for the end: in the middle of the thread, and on main's loop, which turns. */
void     morrow__loop_pool_wait_for_rounds (MorrowLoopPool *self);
void     morrow__loop_pool_finish      (MorrowLoopPool *self, MorrowLoop *runner);

/* Any thread: whether something has been submitted that nobody has taken. */
static inline gboolean
morrow__loop_pool_has_submitted (MorrowLoopPool *self)
{
  return !morrow__ring_is_empty (self->ring) || !morrow__backlog_is_empty (&self->backlog);
}

static inline MorrowLoop *
morrow__loop_pool_at (MorrowLoopPool *self, guint i)
{
  return g_ptr_array_index (self->loops, i);
}

/* After something was pushed or taken: whether there is a loop that could be woken for what is to be done (P1). */
static inline gboolean
morrow__loop_pool_has_sleepers (MorrowLoopPool *self)
{
  guint n_asleep;

  if (morrow__seldom (self->fence))
    {
      n_asleep = atomic_fetch_add_explicit (&self->n_asleep, 0, memory_order_seq_cst);
    }
  else
    {
      atomic_signal_fence (memory_order_seq_cst);
      n_asleep = atomic_load_explicit (&self->n_asleep, memory_order_relaxed);
    }

  return morrow__seldom (n_asleep > 0);
}

/* After something was pushed. Inline, with its look: it is on the way of each task that starts. */
static inline void
morrow__loop_pool_wake_thief (MorrowLoopPool *self)
{
  if (morrow__loop_pool_has_sleepers (self))
    morrow__loop_pool_wake_if_unwatched (self);
}

static inline void
morrow__loop_pool_add_own (atomic_ulong *counter)
{
  /* Only this thread writes it. Release: pairs with the acquire in morrow__loop_pool_has_tasks (),
   * morrow__loop_pool_count_given () and count_posted (). */
  atomic_store_explicit (counter, atomic_load_explicit (counter, memory_order_relaxed) + 1, memory_order_release);
}

static inline void
morrow__loop_pool_task_ended (MorrowLoop *loop)
{
  morrow__loop_pool_add_own (&loop->n_ended);
  if (morrow__unlikely (morrow__loop_is_sweeping (loop)))
    morrow__loop_pool_wake_sweeper (loop->pool);
}
