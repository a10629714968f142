/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several loops, a thread each. A task that has not started lies in the deque of the loop where it was created, and
 * another loop that has nothing to do may steal it; where it starts, it stays. A loop takes its own newest task
 * first, which keeps few alive at once; others steal the oldest.
 *
 * Main, and what else is outside, offers tasks to the loops in turn. Offers too may be taken by any loop, since the one
 * whose turn it was may be busy: the loop that takes them puts them all into its deque.
 *
 * GOING TO SLEEP
 *   Work is in the ring, in the deques and in the offers. Who pushes something there, and who has taken something and may
 *   have left or brought more, sees to it that another loop is awake for that.
 *   P1: it pushes or takes, then looks at n_asleep; who goes to sleep adds itself to n_asleep, then looks at the ring,
 *   at all deques and at all offers once more. One of the two sees the other, if neither look is done before its store is
 *   visible. The pusher's side is the hot one, so that it has a compiler barrier only, and the sleeper's membarrier ()
 *   makes every running thread of the process pass a full barrier. Where the kernel has none, the pusher exchanges with
 *   n_asleep, which is one. Where it fails all the same, for lack of memory, or refused by a filter that came later, the
 *   sleeper may have missed something, and looks again soon.
 *   P2: nobody is woken while a loop searches, that is, looks around before it goes to sleep. A search ends before what was
 *   found is run, and before any code of the user's, or before the loop counts as asleep: who ends the last one looks
 *   again, and wakes another if there is something left. The pusher has a fence between its push and its look at
 *   n_searching, as has who ends a search between the exchange and the last look. So a pusher that saw a search has had
 *   its push seen: by the search, by that look, or by P1's.
 *
 *   P3: whom somebody has chosen to wake may be on its way to something of its own: a timer, a descriptor, what was posted. Who
 *   wakes up, or does not sleep after all, finds by its exchange with asleep whether it was chosen. If it was, it looks whether
 *   another is to be woken, should it do anything else first; if it was not, it will not be: who pushes from now on finds it
 *   awake.
 *
 *   A look finds nothing, though there is something, while another takes what lies in front of it (ring.c), moves it from
 *   one deque to another, or has a place in the ring and has not filled it. Each of these looks again when it is
 *   through: so who has slept over something is woken for it.
 *
 * NAPS
 *   A wake-up takes as long as a thousand trivial tasks, which the loop that is awake has run before the other one comes; and
 *   who wakes pays for it too, with each task. So a loop that was woken for what there is to do, and found next to nothing,
 *   does not sleep but naps, for as long as another is awake. It is not woken for work then, but looks by itself, each
 *   NAP_TIME, whether the others keep up: whether they have taken from the ring since the last look no less than now lies there,
 *   and left nothing in deques and offers. If so, it naps on, as long as the pool is given anything that it might take; else
 *   it helps them.
 *   So what takes long, or waits behind what does, waits a nap longer at most.
 *   For P2 a nap is a search that looks now and then only: nobody is woken meanwhile, and it ends as one does. Once all other
 *   loops sleep it does not count: one is woken, so that what comes does not wait. One loop naps at a time, for the whole
 *   pool, and sleeps deeply when nothing has been given to the pool for a nap: who is idle does not nap.
 *
 * THE END OF A RUN
 *   When main has ended, what is left over is swept. It has all ended when as many tasks have ended as have started.
 *   Both are counted by each loop for itself; the ended are summed up first, then the started: equal sums mean that in
 *   between there was none.
 *   Main's loop, which waits for that, is woken by each task that ends while it sweeps, and by each loop once it has
 *   swept: a task that had ended without seeing that somebody sweeps is then counted. What it has been given itself, by who
 *   asked morrow_loop_get_current () for it, it sweeps and waits for as any loop does.
 *
 *   Nobody counts the callbacks, and the pieces of submitted work, that have ended. The sweep is a job behind them: when
 *   a loop has swept, what it had before has ended; where one of them runs a main loop of its own, and the sweep in that, the
 *   loop says so when it is back in its own turns. Each of them, and each task, and each thread that was given work,
 *   may make more of all. So it goes in rounds, of a sweep on each loop and a wait for the tasks, the submitted work and
 *   the threads, until in a whole round nothing was made and no thread has ended:
 *     - A callback is counted, then pushed. One that was counted before the round, and is not in front of the sweep, is
 *       pushed by a thread that was given work: that ends in this round.
 *     - All others are counted in the round, when they are made; what was submitted, when it is taken. */

#include "config.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <morrow/error.h>

#include "base/room-private.h"
#include "exec/interrupt-private.h"
#include "exec/lane-private.h"
#include "exec/loop-pool-private.h"

#define WORK_AT_ONCE  8    /* submitted work that a loop takes from the ring in one step */
#define NEXT_TO_NOTHING 64 /* jobs and submitted work that were not worth a wake-up of 20 to 60 us: if trivial, 1 or 2 us */

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

/**
 * MorrowLoopPool:
 *
 * Several event loops, a thread each. A task that waits parks its fiber; it stays on the loop where it started, and
 * one that has not started is taken by whichever loop has time.
 *
 * Dropped with tasks still alive, a pool cancels them as the end of a run does, and waits until they have ended. A task
 * that drops a pool waits in the middle of its thread: if the pool's tasks wait for another task of its loop then, that is for
 * ever. A task whose own pool has been dropped, which waits for the task, does not wait. Callbacks on the pool of what has not
 * settled are still called: they keep the pool, but not its tasks.
 */
G_DEFINE_FINAL_TYPE (MorrowLoopPool, morrow_loop_pool, MORROW_TYPE_EXECUTOR)

static MorrowLoop *
loop_at (MorrowLoopPool *self, guint i)
{
  return g_ptr_array_index (self->loops, i);
}

/* --- waking ------------------------------------------------------------------------------------------------------ */

static void
wake_one (MorrowLoopPool *self)
{
  for (guint i = 0; i < self->loops->len; i++)
    {
      MorrowLoop *loop = loop_at (self, i);

      /* The exchange: L1, as in push_posted (): of all who would wake the loop, one does. P3: it pairs with the one in
       * wake_up (). */
      if (atomic_load_explicit (&loop->asleep, memory_order_relaxed) &&
          atomic_exchange_explicit (&loop->asleep, FALSE, memory_order_seq_cst))
        {
          atomic_store_explicit (&loop->summoned, TRUE, memory_order_relaxed);
          morrow__wakeup_signal (&loop->wakeup);
          return;
        }
    }
}

/* P2: whether nobody is going to look for what there is, or only one who naps while all others sleep. */
static gboolean
is_unwatched (MorrowLoopPool *self)
{
  /* Sequentially consistent: pair with the ends of a search and of a nap in morrow__loop_pool_end_search (). Who reads
   * n_asleep too early leaves to the nap what it might wake somebody for. */
  if (atomic_load_explicit (&self->n_searching, memory_order_seq_cst) > 0)
    return FALSE;
  return !atomic_load_explicit (&self->napping, memory_order_seq_cst) ||
         atomic_load_explicit (&self->n_asleep, memory_order_relaxed) + 1 >= self->loops->len;
}

/* After something was pushed or taken: whether there is a loop to wake for what is to be done (P1), and nobody who finds it
 * anyway (P2). */
static inline gboolean
wants_thief (MorrowLoopPool *self)
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

  if (morrow__usually (n_asleep == 0))
    return FALSE;

  /* P2: pairs with the fence in morrow__loop_pool_end_search (). As an acquire, for wake_one (), it pairs with the addition
   * to n_asleep in morrow__loop_pool_has_work (). */
  atomic_thread_fence (memory_order_seq_cst);
  return is_unwatched (self);
}

/* After something was pushed. */
static inline void
wake_thief (MorrowLoopPool *self)
{
  if (morrow__unlikely (wants_thief (self)))
    wake_one (self);
}

static gboolean
has_tasks_to_take (MorrowLoopPool *self)
{
  for (guint i = 0; i < self->loops->len; i++)
    if (morrow__deque_size (&loop_at (self, i)->deque) > 0 || !morrow__mpsc_is_empty (&loop_at (self, i)->offers))
      return TRUE;
  return FALSE;
}

/* Something that any loop may take. */
static gboolean
has_work (MorrowLoopPool *self)
{
  return !morrow__ring_is_empty (self->ring) || has_tasks_to_take (self);
}

gboolean
morrow__loop_pool_sees_work (MorrowLoop *loop)
{
  return has_work (loop->pool);
}

gboolean
morrow__loop_pool_search (MorrowLoop *loop)
{
  MorrowLoopPool *self = loop->pool;

  if (loop->searching)
    return TRUE;
  if (loop->napping || atomic_load_explicit (&self->n_searching, memory_order_relaxed) >= (self->loops->len + 1) / 2)
    return FALSE;

  atomic_fetch_add_explicit (&self->n_searching, 1, memory_order_seq_cst);
  loop->searching = TRUE;
  return TRUE;
}

void
morrow__loop_pool_end_search (MorrowLoop *loop)
{
  MorrowLoopPool *self = loop->pool;

  /* Sequentially consistent, all: P2, pair with the addition in morrow__loop_pool_has_work () and with the looks of
   * is_unwatched (). */
  if (loop->searching)
    atomic_fetch_sub_explicit (&self->n_searching, 1, memory_order_seq_cst);
  else
    atomic_store_explicit (&self->napping, FALSE, memory_order_seq_cst);
  loop->searching = loop->napping = FALSE;
  if (atomic_load_explicit (&self->n_asleep, memory_order_seq_cst) == 0)
    return;

  /* P2: pairs with the fence in wants_thief (). */
  atomic_thread_fence (memory_order_seq_cst);
  if (is_unwatched (self) && has_work (self))
    wake_one (self);
}

/* The loop has something, and goes on to run it: what is left may be for another. */
void
morrow__loop_pool_pass_on (MorrowLoop *loop)
{
  if (loop->searching || loop->napping)
    morrow__loop_pool_end_search (loop);
  else if (morrow__unlikely (wants_thief (loop->pool)) && has_work (loop->pool))
    wake_one (loop->pool);
}

/* The loop says that it sleeps: the second look at what there is to do (P1). It counts until morrow__loop_pool_slept
 * (). */
gboolean
morrow__loop_pool_has_work (MorrowLoop *loop, gboolean *ret_sure)
{
  MorrowLoopPool *self = loop->pool;

  /* Sequentially consistent: P1, pairs with the look at n_asleep in wants_thief (), by the membarrier where there is one. */
  atomic_fetch_add_explicit (&self->n_asleep, 1, memory_order_seq_cst);
  *ret_sure = self->fence || syscall (SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;

  if (has_work (self))
    {
      morrow__loop_pool_slept (loop);
      return TRUE;
    }

  loop->counted_asleep = TRUE;
  return FALSE;
}

void
morrow__loop_pool_slept (MorrowLoop *loop)
{
  loop->counted_asleep = FALSE;
  atomic_fetch_sub_explicit (&loop->pool->n_asleep, 1, memory_order_relaxed);
}

/* What the pool was given and has taken that any loop may run: it moves as long as there is anything of that kind. */
static gulong
count_given (MorrowLoopPool *self)
{
  gulong n = atomic_load_explicit (&self->n_outside, memory_order_acquire) + morrow__ring_n_taken (self->ring);

  for (guint i = 0; i < self->loops->len; i++)
    n += atomic_load_explicit (&loop_at (self, i)->n_started, memory_order_acquire);
  return n;
}

/* --- naps -------------------------------------------------------------------------------------------------------- */

void
morrow__loop_pool_woken (MorrowLoop *loop)
{
  loop->n_when_woken = loop->tick + loop->n_worked;
}

static void
note_progress (MorrowLoop *loop)
{
  loop->n_given_seen = count_given (loop->pool);
  loop->n_taken_seen = morrow__ring_n_taken (loop->pool->ring);
}

/* Not while all others sleep: somebody is to be awake for what comes. */
gboolean
morrow__loop_pool_nap (MorrowLoop *loop)
{
  MorrowLoopPool *self = loop->pool;

  if (!atomic_load_explicit (&loop->summoned, memory_order_relaxed))
    return FALSE;

  atomic_store_explicit (&loop->summoned, FALSE, memory_order_relaxed);
  /* Sequentially consistent: P2, pairs with the look of is_unwatched () at it. */
  if (loop->tick + loop->n_worked - loop->n_when_woken > NEXT_TO_NOTHING ||
      atomic_load_explicit (&self->n_asleep, memory_order_relaxed) + 1 >= self->loops->len ||
      atomic_exchange_explicit (&self->napping, TRUE, memory_order_seq_cst))
    return FALSE;

  loop->napping = TRUE;
  note_progress (loop);
  return TRUE;
}

/* Whether those who are awake have taken as much since the last look as there is now. */
static gboolean
others_keep_up (MorrowLoop *loop)
{
  MorrowRing *ring = loop->pool->ring;

  return !has_tasks_to_take (loop->pool) && morrow__ring_size (ring) <= morrow__ring_n_taken (ring) - loop->n_taken_seen;
}

gboolean
morrow__loop_pool_naps_on (MorrowLoop *loop)
{
  if (count_given (loop->pool) == loop->n_given_seen || !others_keep_up (loop))
    return FALSE;

  note_progress (loop);
  return TRUE;
}

gboolean
morrow__loop_pool_is_sweeping (MorrowLoop *loop)
{
  return atomic_load_explicit (&loop->pool->sweeping, memory_order_relaxed);
}

/* Who waits for the end of a sweep. */
static void
wake_sweeper (MorrowLoopPool *self)
{
  pthread_mutex_lock (&self->lock);
  pthread_cond_broadcast (&self->ended);
  if (self->runner != NULL)
    morrow__wakeup_signal (&self->runner->wakeup);
  pthread_mutex_unlock (&self->lock);
}

/* --- tasks ------------------------------------------------------------------------------------------------------- */

static inline void
add_own (atomic_ulong *counter)
{
  /* Only this thread writes it. Release: pairs with the acquire in has_tasks (), count_given () and count_posted (). */
  atomic_store_explicit (counter, atomic_load_explicit (counter, memory_order_relaxed) + 1, memory_order_release);
}

/* Moves what was offered to @from into the deque of @loop, which may be the same. */
static gboolean
take_offers (MorrowLoop *loop, MorrowLoop *from)
{
  MorrowQueue offers = MORROW__QUEUE_INIT;
  MorrowQueueNode *node;

  if (morrow__mpsc_is_empty (&from->offers))
    return FALSE;

  morrow__mpsc_take_all (&from->offers, &offers);
  if (morrow__queue_is_empty (&offers))
    return FALSE;                               /* somebody else was faster */

  while ((node = morrow__queue_pop (&offers)) != NULL)
    morrow__deque_push (&loop->deque, morrow__task_of_job (morrow__queue_entry (node, MorrowJob, node)));
  wake_thief (loop->pool);
  return TRUE;
}

void
morrow__loop_pool_take_offers (MorrowLoop *loop)
{
  take_offers (loop, loop);
}

/* All but one of what was stolen can be stolen again, and that one too if it does not begin at once (P3). */
static gboolean
steal_half (MorrowLoop *loop, MorrowLoop *victim)
{
  guint n = morrow__deque_steal_half (&victim->deque, &loop->deque);

  if (n > 1)
    wake_thief (loop->pool);
  else if (n == 1)
    loop->is_chosen = TRUE;
  return n > 0;
}

gboolean
morrow__loop_pool_steal (MorrowLoop *loop)
{
  MorrowLoopPool *self = loop->pool;
  guint first = loop->tick;

  for (guint i = 0; i < self->loops->len; i++)
    {
      MorrowLoop *victim = loop_at (self, (first + i) % self->loops->len);

      if (victim != loop && (steal_half (loop, victim) || take_offers (loop, victim)))
        return TRUE;
    }

  return FALSE;
}

/* As much as a batch has jobs, or a little more: the dearer it is the sooner the loop looks at all else.
 * Takes a share of what is there, the smaller the less there is (guided self-scheduling, Polychronopoulos and Kuck, 1987):
 * who takes what runs long has taken few others with it. */
gboolean
morrow__loop_pool_work (MorrowLoop *loop)
{
  MorrowLoopPool *self = loop->pool;
  MorrowRingItem items[WORK_AT_ONCE];
  guint at_once = loop->batch < WORK_AT_ONCE ? 1 : WORK_AT_ONCE;
  guint n_run = 0, n;

  while (n_run < loop->batch && (n = morrow__ring_pop (self->ring, items, at_once, 4 * self->loops->len)) > 0)
    {
      morrow__loop_pool_pass_on (loop);
      for (guint i = 0; i < n; i++)
        morrow__executor_do_work (&items[i], FALSE);
      n_run += n;
    }
  loop->n_worked += n_run;

  if (n_run > 0)
    {
      morrow__room_tell (&self->room, self->ring);
      morrow__spin_expect (&loop->spin);
      if (morrow__unlikely (morrow__loop_pool_is_sweeping (loop)))
        wake_sweeper (self);
    }
  return n_run > 0;
}

/* No thread runs it any more. */
static void
drop_work (MorrowLoopPool *self)
{
  MorrowRingItem item;

  while (morrow__ring_pop (self->ring, &item, 1, 1) > 0)
    morrow__executor_do_work (&item, TRUE);
}

void
morrow__loop_pool_task_ended (MorrowLoop *loop)
{
  add_own (&loop->n_ended);
  if (morrow__unlikely (morrow__loop_pool_is_sweeping (loop)))
    wake_sweeper (loop->pool);
}

/* On another thread than its loop's what comes counts as from outside. */
void
morrow__loop_pool_count_start (MorrowLoop *loop)
{
  if (morrow__home == &loop->home)
    add_own (&loop->n_started);
  else
    atomic_fetch_add_explicit (&loop->pool->n_outside, 1, memory_order_release);   /* pairs with the acquire in has_tasks () */
}

void
morrow__loop_pool_count_post (MorrowLoop *loop)
{
  if (morrow__home == &loop->home)
    add_own (&loop->n_posted);
  else
    atomic_fetch_add_explicit (&loop->pool->n_posted, 1, memory_order_release);   /* pairs with the acquire in count_posted () */
}

/* Each thread outside deals out in turn, for itself: also callbacks of one future, which may then run at the same time. */
static MorrowLoop *
next_loop (MorrowLoopPool *self)
{
  static __thread guint turn;

  return loop_at (self, turn++ % self->loops->len);
}

/* The pool ends. The task has been counted, and who ends the pool may wait for it. */
static void
refuse (MorrowLoopPool *self, MorrowTask *task)
{
  atomic_fetch_sub_explicit (&self->n_outside, 1, memory_order_release);   /* pairs with the acquire in has_tasks () */
  wake_sweeper (self);
  task->job.run (&task->job, TRUE);
}

/* From outside. */
static void
offer (MorrowLoopPool *self, MorrowTask *task)
{
  morrow__loop_mark_start (task);
  /* Sequentially consistent, both: E2, pair with the store and the look at the tasks in shut_down (), which waits for the task,
   * or is seen here. The addition pairs with the acquire in has_tasks () as well. */
  atomic_fetch_add_explicit (&self->n_outside, 1, memory_order_seq_cst);
  if (morrow__unlikely (atomic_load_explicit (&self->closed, memory_order_seq_cst)))
    {
      refuse (self, task);
      return;
    }
  morrow__mpsc_push (&next_loop (self)->offers, &task->job.node);
  wake_thief (self);
}

static void
loop_pool_start (MorrowExecutor *executor, MorrowFuture *future)
{
  MorrowLoopPool *self = (MorrowLoopPool *) executor;
  MorrowLoop *here = morrow__loop_here ();

  if (morrow__unlikely (self->broken != NULL))
    {
      morrow__task_abandon ((MorrowTask *) future, g_error_copy (self->broken));
      morrow_future_unref (future);
      return;
    }

  if (morrow__usually (here != NULL && here->pool == self))
    {
      if (morrow__unlikely (morrow__loop_pool_is_sweeping (here)))
        morrow__task_inherit_spared ((MorrowTask *) future, executor);
      morrow__loop_mark_start ((MorrowTask *) future);
      add_own (&here->n_started);
      morrow__deque_push (&here->deque, future);
      wake_thief (self);
      return;
    }

  offer (self, (MorrowTask *) future);
}

static void
loop_pool_post (MorrowExecutor *executor, MorrowJob *job)
{
  MorrowLoopPool *self = (MorrowLoopPool *) executor;
  MorrowLoop *here = morrow__loop_here ();

  if (morrow__unlikely (self->broken != NULL))
    job->run (job, TRUE);
  else if (here != NULL && here->pool == self)
    {
      add_own (&here->n_posted);
      morrow__loop_post_held (here, job);
    }
  else
    {
      atomic_fetch_add_explicit (&self->n_posted, 1, memory_order_release);   /* pairs with the acquire in count_posted () */
      morrow__loop_post (next_loop (self), job);                              /* what holds the pool may be the job */
    }
}

/* From a thread that neither runs tasks nor a main loop at the moment: it may sleep. */
static gboolean
wait_for_room (MorrowLoopPool *self)
{
  return morrow__executor_current == NULL && g_main_depth () == 0 && morrow__room_wait (&self->room, self->ring);
}

static gboolean
loop_pool_submit (MorrowExecutor *executor, MorrowWorkFunc func, gpointer data, GDestroyNotify data_free)
{
  MorrowLoopPool *self = (MorrowLoopPool *) executor;

  if (morrow__unlikely (self->broken != NULL))
    return FALSE;
  if (morrow__unlikely (!morrow__ring_push (self->ring, func, data, data_free)) &&
      (!wait_for_room (self) || !morrow__ring_push (self->ring, func, data, data_free)))
    return FALSE;

  wake_thief (self);
  return TRUE;
}

/* --- runs -------------------------------------------------------------------------------------------------------- */

static void
sweep_run (MorrowJob *job, gboolean closed)
{
  MorrowLoop *here = morrow__loop_here ();

  if (!closed)
    {
      morrow__loop_sweep (here);
      here->n_swept++;
    }
  g_free (job);
}

/* What the loop had before has ended, also what had a main loop that ran the sweep. */
void
morrow__loop_pool_tell_swept (MorrowLoop *loop)
{
  /* Release: pairs with the acquire in is_in_round (). */
  atomic_fetch_sub_explicit (&loop->pool->n_sweeps, loop->n_swept, memory_order_release);
  loop->n_swept = 0;
  wake_sweeper (loop->pool);
}

/* Tasks are alive; see "The end of a run". */
static gboolean
has_tasks (MorrowLoopPool *self)
{
  gulong ended = 0, started;

  /* Acquire, all: pair with the releases in add_own () and offer (): who sees a task's end sees its start, and what it
   * started, counted. */
  for (guint i = 0; i < self->loops->len; i++)
    ended += atomic_load_explicit (&loop_at (self, i)->n_ended, memory_order_acquire);
  started = atomic_load_explicit (&self->n_outside, memory_order_acquire);
  for (guint i = 0; i < self->loops->len; i++)
    started += atomic_load_explicit (&loop_at (self, i)->n_started, memory_order_acquire);

  return ended != started;
}

/* The round is not over, but for threads that were given work. */
static gboolean
is_in_round (MorrowLoopPool *self)
{
  /* Acquire: pairs with the release in sweep_run (). */
  return atomic_load_explicit (&self->n_sweeps, memory_order_acquire) > 0 || has_tasks (self) ||
         !morrow__ring_is_empty (self->ring);
}

static gboolean
has_leftovers (gpointer data)
{
  MorrowLoop *runner = data;

  return is_in_round ((MorrowLoopPool *) runner->executor) ||
         morrow__lane_is_busy (runner->executor, morrow__loop_wake_up, runner) ||
         morrow__loop_has_tasks (runner);   /* last: what all these have given it is there */
}

static gulong
count_posted (MorrowLoopPool *self)
{
  gulong n = atomic_load_explicit (&self->n_posted, memory_order_acquire);

  for (guint i = 0; i < self->loops->len; i++)
    n += atomic_load_explicit (&loop_at (self, i)->n_posted, memory_order_acquire);
  return n;
}

/* What a round is to leave as it was: how many tasks and callbacks were made, how much work was taken, how many threads have
 * ended. */
static gulong
count_made (MorrowLoopPool *self)
{
  return count_given (self) + count_posted (self) + morrow__lane_count_ended (&self->parent_instance);
}

static void
post_sweeps (MorrowLoopPool *self)
{
  atomic_fetch_add_explicit (&self->n_sweeps, self->loops->len, memory_order_relaxed);
  for (guint i = 0; i < self->loops->len; i++)
    {
      MorrowJob *job = g_new (MorrowJob, 1);

      job->run = sweep_run;
      morrow__loop_post (loop_at (self, i), job);
    }
}

static void
set_runner (MorrowLoopPool *self, MorrowLoop *runner)
{
  pthread_mutex_lock (&self->lock);
  self->runner = runner;
  pthread_mutex_unlock (&self->lock);
}

/* Cancels what is left over and waits until it has ended: see "The end of a run". */
static void
finish (MorrowLoopPool *self, MorrowLoop *runner)
{
  gulong n_made;

  set_runner (self, runner);
  atomic_store_explicit (&self->sweeping, TRUE, memory_order_relaxed);
  do
    {
      n_made = count_made (self);
      post_sweeps (self);
      morrow__loop_sweep (runner);
      morrow__loop_turn_while (runner, has_leftovers, runner);
    }
  while (count_made (self) != n_made);
  atomic_store_explicit (&self->sweeping, FALSE, memory_order_relaxed);
  set_runner (self, NULL);
}

static gboolean
loop_pool_run (MorrowExecutor *executor, MorrowFuture *main, gboolean *ret_interrupted, GError **error)
{
  MorrowLoopPool *self = (MorrowLoopPool *) executor;
  MorrowLoop *runner;
  MorrowInterrupt interrupt;

  if (self->broken != NULL)
    {
      g_propagate_error (error, g_error_copy (self->broken));
      return FALSE;
    }
  if (atomic_load_explicit (&self->closed, memory_order_relaxed))   /* for who has found it again through a weak reference */
    {
      g_propagate_error (error, morrow__executor_closed_error ());
      return FALSE;
    }

  runner = morrow__loop_new (executor, NULL);
  if (!morrow__loop_take_thread (runner, error))
    {
      g_object_unref (runner);
      return FALSE;
    }

  morrow__peers_join (&self->peers, runner);
  morrow__task_claim ((MorrowTask *) main, MORROW_TASK_LAZY, MORROW_TASK_QUEUED);
  morrow__future_ref (main);
  morrow__loop_mark_start ((MorrowTask *) main);
  morrow__loop_post (runner, &((MorrowTask *) main)->job);
  morrow__interrupt_begin (&interrupt, main, runner, NULL);
  morrow__loop_run_until (runner, main);
  finish (self, runner);
  *ret_interrupted = morrow__interrupt_end (&interrupt);
  morrow__peers_leave (runner);
  morrow__loop_drain (runner);
  morrow__loop_close (runner);
  morrow__loop_yield_thread (runner);
  g_object_unref (runner);
  return TRUE;
}

static guint
loop_pool_get_n_threads (MorrowExecutor *executor)
{
  return MAX (1, ((MorrowLoopPool *) executor)->loops->len);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static gboolean
goes_on (gpointer data)
{
  MorrowLoop *loop = data;

  /* Acquire: pairs with the release in shut_down (): what the last tasks posted and submitted is seen. */
  return !atomic_load_explicit (&loop->pool->stopping, memory_order_acquire) || morrow__loop_has_tasks (loop) ||
         !morrow__ring_is_empty (loop->pool->ring);
}

static gpointer
worker_main (gpointer data)
{
  MorrowLoop *loop = data;

  morrow__executor_of_thread = &loop->pool->parent_instance;
  /* The pool is complete. */
  pthread_mutex_lock (&loop->pool->lock);
  pthread_mutex_unlock (&loop->pool->lock);

  /* The context is the loop's own, and nobody else has it: it can be had. */
  morrow__loop_take_thread (loop, NULL);
  morrow__loop_turn_while (loop, goes_on, loop);
  morrow__loop_close (loop);
  morrow__loop_yield_thread (loop);
  return NULL;
}

static void
add_loop (MorrowLoopPool *self, GError **error)
{
  MorrowLoop *loop = morrow__loop_new (&self->parent_instance, self);

  if (loop->broken != NULL)
    {
      g_set_error_literal (error, loop->broken->domain, loop->broken->code, loop->broken->message);
      g_object_unref (loop);
    }
  else
    {
      g_ptr_array_add (self->loops, loop);
    }
}

/* A loop whose thread cannot be had goes again, as do those after it. Threads look at all loops: they wait at the lock
 * until it is known which there are. */
static void
start_threads (MorrowLoopPool *self)
{
  GError *error = NULL;

  pthread_mutex_lock (&self->lock);
  for (guint i = 0; i < self->loops->len && error == NULL; i++)
    {
      GThread *thread = g_thread_try_new ("morrow-loop", worker_main, loop_at (self, i), &error);

      if (thread != NULL)
        g_ptr_array_add (self->threads, thread);
    }
  g_ptr_array_set_size (self->loops, self->threads->len);
  for (guint i = 0; i < self->loops->len; i++)
    morrow__peers_join (&self->peers, loop_at (self, i));
  pthread_mutex_unlock (&self->lock);

  if (error != NULL && self->threads->len == 0)
    g_set_error (&self->broken, MORROW_ERROR, MORROW_ERROR_NO_THREAD, "No thread could be had for an event loop: %s", error->message);
  g_clear_error (&error);
}

/* Until in a whole round nothing was made: see "The end of a run". */
static void
wait_for_rounds (MorrowLoopPool *self)
{
  gulong n_made;

  do
    {
      n_made = count_made (self);
      post_sweeps (self);
      pthread_mutex_lock (&self->lock);
      while (is_in_round (self))
        pthread_cond_wait (&self->ended, &self->lock);
      pthread_mutex_unlock (&self->lock);
      morrow__lane_join (&self->parent_instance);
    }
  while (count_made (self) != n_made);
}

/* Cancels what is still alive, waits until it has ended, and ends the threads. What is started from outside meanwhile is a
 * part of that, until all has ended. */
static void
shut_down (MorrowLoopPool *self)
{
  atomic_store_explicit (&self->sweeping, TRUE, memory_order_relaxed);
  wait_for_rounds (self);
  /* E2: the store and the fence before the look at the tasks pair with the addition and the look in offer (). */
  atomic_store_explicit (&self->closed, TRUE, memory_order_seq_cst);
  atomic_thread_fence (memory_order_seq_cst);
  if (has_tasks (self))
    wait_for_rounds (self);

  /* Release: pairs with the acquire in goes_on (). */
  atomic_store_explicit (&self->stopping, TRUE, memory_order_release);
  for (guint i = 0; i < self->threads->len; i++)
    morrow__wakeup_signal (&loop_at (self, i)->wakeup);
  for (guint i = 0; i < self->threads->len; i++)
    g_thread_join (g_ptr_array_index (self->threads, i));
  g_ptr_array_set_size (self->threads, 0);
}

/* The loops have ended: what the last code on them has left, a source of the user's say, will not run. */
static void
drop_tasks (MorrowLoopPool *self)
{
  for (guint i = 0; i < self->loops->len; i++)
    {
      MorrowLoop *loop = loop_at (self, i);
      MorrowTask *task;

      take_offers (loop, loop);
      while ((task = morrow__deque_pop (&loop->deque)) != NULL)
        task->job.run (&task->job, TRUE);
    }
}

static void
loop_pool_sweep (MorrowExecutor *executor)
{
  MorrowLoopPool *self = (MorrowLoopPool *) executor;

  if (self->threads->len == 0)
    return;

  atomic_store_explicit (&self->sweeping, TRUE, memory_order_relaxed);
  wait_for_rounds (self);
  atomic_store_explicit (&self->sweeping, FALSE, memory_order_relaxed);
}

static gboolean
loop_pool_outlives_users (MorrowExecutor *executor)
{
  return TRUE;
}

static void
loop_pool_end (MorrowExecutor *executor)
{
  MorrowLoopPool *self = (MorrowLoopPool *) executor;

  if (self->threads->len == 0 || !morrow__executor_is_ours (executor))
    return;

  shut_down (self);
  drop_work (self);
  drop_tasks (self);
  for (guint i = 0; i < self->loops->len; i++)
    morrow__executor_end (&loop_at (self, i)->parent_instance);
}

static void
morrow_loop_pool_finalize (GObject *object)
{
  MorrowLoopPool *self = MORROW_LOOP_POOL (object);

  drop_work (self);
  g_aligned_free (self->ring);
  morrow__room_clear (&self->room);
  g_ptr_array_unref (self->threads);
  g_ptr_array_unref (self->loops);
  morrow__peers_clear (&self->peers);
  pthread_cond_destroy (&self->ended);
  pthread_mutex_destroy (&self->lock);
  g_clear_error (&self->broken);
  G_OBJECT_CLASS (morrow_loop_pool_parent_class)->finalize (object);
}

static void
morrow_loop_pool_class_init (MorrowLoopPoolClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = morrow_loop_pool_finalize;
  klass->outlives_users = loop_pool_outlives_users;
  klass->arrange_end = morrow__lane_arrange_end_of_pool;
  klass->sweep = loop_pool_sweep;
  klass->end = loop_pool_end;
  klass->post = loop_pool_post;
  klass->start = loop_pool_start;
  klass->run = loop_pool_run;
  klass->submit = loop_pool_submit;
  klass->get_n_threads = loop_pool_get_n_threads;
}

static void
morrow_loop_pool_init (MorrowLoopPool *self)
{
  self->ring = g_aligned_alloc (1, sizeof (MorrowRing), G_ALIGNOF (MorrowRing));
  morrow__ring_init (self->ring);
  morrow__room_init (&self->room);
  self->loops = g_ptr_array_new_with_free_func (g_object_unref);
  self->threads = g_ptr_array_new ();
  morrow__peers_init (&self->peers, TRUE);
  pthread_mutex_init (&self->lock, NULL);
  pthread_cond_init (&self->ended, NULL);
  self->fence = syscall (SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0;
}

/**
 * morrow_loop_pool_new:
 * @n_loops: how many loops; 0 for the number of processors
 *
 * Makes a pool and starts its threads. When not one loop or thread can be had, what is given to the pool is rejected
 * with that error.
 *
 * Returns: (transfer full) (type MorrowLoopPool): a pool
 */
MorrowExecutor *
morrow_loop_pool_new (guint n_loops)
{
  MorrowLoopPool *self = g_object_new (MORROW_TYPE_LOOP_POOL, NULL);
  GError *error = NULL;

  for (guint i = 0; i < (n_loops != 0 ? n_loops : g_get_num_processors ()); i++)
    {
      g_clear_error (&error);
      add_loop (self, &error);
    }
  if (self->loops->len == 0)
    self->broken = error;
  else
    g_clear_error (&error);

  start_threads (self);
  return &self->parent_instance;
}
