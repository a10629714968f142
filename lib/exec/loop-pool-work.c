/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the loops of a pool are given, and how they take it. A task that has not started lies in the deque of the loop
 * where it was created, and another loop that has nothing to do may steal it; where it starts, it stays. A loop takes
 * its own newest task first, which keeps few alive at once; others steal the oldest.
 *
 * Main, and what else is outside, offers tasks to the loops in turn. Offers too may be taken by any loop, since the one
 * whose turn it was may be busy: the loop that takes them puts them all into its deque.
 *
 * What is submitted lies in one ring, from which all loops take, or in its backlog, if there was no room: these two they take from in
 * turn, so that neither waits for the other. A callback stays on the loop that posts it; from outside
 * they go to the loops in turn as well. The ends of tasks are counted, and what comes of each kind: for the sweep, which is in
 * loop-pool-sweep.c. */

#include "config.h"

#include "base/slabs-private.h"
#include "exec/loop-pool-private.h"

#define WORK_AT_ONCE  8    /* submitted work that a loop takes from the ring in one step */

/* --- counting ---------------------------------------------------------------------------------------------------- */

/* On another thread than its loop's what comes counts as from outside. */
void
morrow__loop_pool_count_start (MorrowLoop *loop)
{
  if (morrow__home == &loop->home)
    morrow__loop_pool_add_own (&loop->n_started);
  else
    /* Release: pairs with the acquire in morrow__loop_pool_has_tasks (). */
    atomic_fetch_add_explicit (&loop->pool->n_outside, 1, memory_order_release);
}

void
morrow__loop_pool_count_post (MorrowLoop *loop)
{
  if (morrow__home == &loop->home)
    morrow__loop_pool_add_own (&loop->n_posted);
  else
    atomic_fetch_add_explicit (&loop->pool->n_posted, 1, memory_order_release);   /* pairs with the acquire in count_posted () */
}

/* --- giving ------------------------------------------------------------------------------------------------------ */

/* Each thread outside deals out in turn, for itself: also callbacks of one future, which may then run at the same time. */
static MorrowLoop *
next_loop (MorrowLoopPool *self)
{
  static __thread guint turn;

  return morrow__loop_pool_at (self, turn++ % self->loops->len);
}

/* The pool ends. The task has been counted, and who ends the pool may wait for it. */
static void
refuse (MorrowLoopPool *self, MorrowTask *task)
{
  /* Release: pairs with the acquire in morrow__loop_pool_has_tasks (). */
  atomic_fetch_sub_explicit (&self->n_outside, 1, memory_order_release);
  morrow__loop_pool_wake_sweeper (self);
  task->job.run (&task->job, TRUE);
}

/* From outside. */
static void
offer (MorrowLoopPool *self, MorrowTask *task)
{
  morrow__loop_mark_start (task);
  /* Sequentially consistent, both: E2, pair with the store and the look at the tasks in shut_down (), which waits for the task,
   * or is seen here. The addition pairs with the acquire in morrow__loop_pool_has_tasks () as well. */
  atomic_fetch_add_explicit (&self->n_outside, 1, memory_order_seq_cst);
  if (morrow__unlikely (atomic_load_explicit (&self->closed, memory_order_seq_cst)))
    {
      refuse (self, task);
      return;
    }
  morrow__home_note_ask ();
  morrow__mpsc_push (&next_loop (self)->offers, &task->job.node);
  morrow__loop_pool_wake_thief (self);
}

/* A task that is created on @loop, of a pool: the start of most. */
static inline void
start_here (MorrowLoop *loop, MorrowTask *task)
{
  morrow__loop_mark_start (task);
  morrow__loop_pool_add_own (&loop->n_started);
  morrow__deque_push (&loop->deque, task);
  morrow__loop_pool_wake_thief (loop->pool);
}

/* On a pool that cannot run, or during a sweep, or from outside. @loop: the thread's, if it is one of the pool's. */
static G_GNUC_NO_INLINE void
start_otherwise (MorrowLoopPool *self, MorrowLoop *loop, MorrowTask *task)
{
  if (self->broken != NULL)
    {
      morrow__task_abandon (task, g_error_copy (self->broken));
      morrow_future_unref (&task->future);
    }
  else if (loop != NULL)
    {
      morrow__task_inherit_spared (task, &self->parent_instance);
      start_here (loop, task);
    }
  else
    {
      offer (self, task);
    }
}

/* Nothing runs on the loops of a broken one, so that what is created there need not ask. */
void
morrow__loop_pool_start (MorrowExecutor *executor, MorrowFuture *future)
{
  MorrowLoopPool *self = (MorrowLoopPool *) executor;
  MorrowLoop *here = morrow__loop_here ();

  if (here != NULL && here->pool != self)
    here = NULL;
  if (morrow__usually (here != NULL && !morrow__loop_is_sweeping (here)))
    start_here (here, (MorrowTask *) future);
  else
    start_otherwise (self, here, (MorrowTask *) future);
}

void
morrow__loop_pool_post (MorrowExecutor *executor, MorrowJob *job)
{
  MorrowLoopPool *self = (MorrowLoopPool *) executor;
  MorrowLoop *here = morrow__loop_here ();

  if (morrow__unlikely (self->broken != NULL))
    job->run (job, TRUE);
  else if (here != NULL && here->pool == self)
    {
      morrow__loop_pool_add_own (&here->n_posted);
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

/* The pool is broken, or the ring full. */
static G_GNUC_NO_INLINE void
submit_otherwise (MorrowLoopPool *self, MorrowWorkFunc func, gpointer data, GDestroyNotify data_free)
{
  MorrowRingItem item = { .func = func, .data = data, .data_free = data_free };

  if (self->broken != NULL)
    {
      morrow__executor_do_work (&item, TRUE);
      return;
    }
  if (!wait_for_room (self) || !morrow__ring_push (self->ring, func, data, data_free))
    morrow__backlog_push (&self->backlog, item);
  morrow__loop_pool_wake_thief (self);
}

/* What it calls it calls last, so that it has no frame. */
void
morrow__loop_pool_submit (MorrowExecutor *executor, MorrowWorkFunc func, gpointer data, GDestroyNotify data_free)
{
  MorrowLoopPool *self = (MorrowLoopPool *) executor;

  if (morrow__likely (self->broken == NULL && morrow__ring_push (self->ring, func, data, data_free)))
    morrow__loop_pool_wake_thief (self);
  else
    submit_otherwise (self, func, data, data_free);
}

/* --- taking ------------------------------------------------------------------------------------------------------ */

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
  morrow__loop_pool_wake_thief (loop->pool);
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
    morrow__loop_pool_wake_thief (loop->pool);
  else if (n == 1)
    loop->is_chosen = TRUE;
  return n > 0;
}

/* Memory, which who makes tasks waits for else: what is to be stolen is more afterwards. Who does that searches no more: another may be
 * woken for what comes meanwhile (P2). */
static void
prepare_memory (MorrowLoop *loop)
{
  if (loop->searching || loop->napping)
    morrow__loop_pool_end_search (loop);
  morrow__slabs_prepare_one ();
}

gboolean
morrow__loop_pool_steal (MorrowLoop *loop)
{
  MorrowLoopPool *self = loop->pool;
  guint first = loop->tick;

  if (morrow__slabs_may_prepare ())
    prepare_memory (loop);
  for (guint i = 0; i < self->loops->len; i++)
    {
      MorrowLoop *victim = morrow__loop_pool_at (self, (first + i) % self->loops->len);

      if (victim != loop && (steal_half (loop, victim) || take_offers (loop, victim)))
        return TRUE;
    }

  return FALSE;
}

/* Takes a share of what is there, the smaller the less there is (guided self-scheduling, Polychronopoulos and Kuck, 1987):
 * who takes what runs long has taken few others with it. */
static inline guint
take_work (MorrowLoop *loop, MorrowRingItem *items, guint max)
{
  MorrowLoopPool *self = loop->pool;
  guint n_shares = 4 * self->loops->len, n = 0;

  if (morrow__usually (morrow__backlog_is_empty (&self->backlog)))
    return morrow__ring_pop (self->ring, items, max, n_shares);

  loop->asks_backlog = !loop->asks_backlog;
  if (loop->asks_backlog)
    n = morrow__backlog_pop (&self->backlog, items, max, n_shares);
  if (n == 0)
    n = morrow__ring_pop (self->ring, items, max, n_shares);
  return n > 0 ? n : morrow__backlog_pop (&self->backlog, items, max, n_shares);
}

/* As much as a batch has jobs, or a little more: the dearer it is the sooner the loop looks at all else. */
gboolean
morrow__loop_pool_work (MorrowLoop *loop)
{
  MorrowLoopPool *self = loop->pool;
  MorrowRingItem items[WORK_AT_ONCE];
  guint at_once = loop->batch < WORK_AT_ONCE ? 1 : WORK_AT_ONCE;
  guint n_run = 0, n;

  while (n_run < loop->batch && (n = take_work (loop, items, at_once)) > 0)
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
      if (morrow__unlikely (morrow__loop_is_sweeping (loop)))
        morrow__loop_pool_wake_sweeper (self);
    }
  return n_run > 0;
}

/* --- dropping ---------------------------------------------------------------------------------------------------- */

/* No thread runs it any more. */
void
morrow__loop_pool_drop_work (MorrowLoopPool *self)
{
  MorrowRingItem item;

  while (morrow__ring_pop (self->ring, &item, 1, 1) > 0 || morrow__backlog_pop (&self->backlog, &item, 1, 1) > 0)
    morrow__executor_do_work (&item, TRUE);
}

/* The loops have ended: what the last code on them has left, a source of the user's say, will not run. */
void
morrow__loop_pool_drop_tasks (MorrowLoopPool *self)
{
  for (guint i = 0; i < self->loops->len; i++)
    {
      MorrowLoop *loop = morrow__loop_pool_at (self, i);
      MorrowTask *task;

      take_offers (loop, loop);
      while ((task = morrow__deque_pop (&loop->deque)) != NULL)
        task->job.run (&task->job, TRUE);
    }
}
