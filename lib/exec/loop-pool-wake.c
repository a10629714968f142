/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which loops of a pool sleep, and which of them is woken.
 *
 * GOING TO SLEEP
 *   Work is in the ring, in its backlog, in the deques and in the offers. Who pushes something there, and who has taken something and may
 *   have left or brought more, sees to it that another loop is awake for that.
 *   P1: it pushes or takes, then looks at n_asleep; who goes to sleep adds itself to n_asleep, then looks at the ring, at its
 *   backlog, at all deques and at all offers once more. One of the two sees the other, if neither look is done before its store is
 *   visible. The pusher's side is the hot one, so that it has a compiler barrier only, and the sleeper's membarrier ()
 *   makes every running thread of the process pass a full barrier. Where the kernel has none, the pusher exchanges with
 *   n_asleep, which is one. Where it fails all the same, for lack of memory, or refused by a filter that came later, the
 *   sleeper may have missed something, and looks again soon.
 *   P2: nobody is woken while a loop searches, that is, looks around before it goes to sleep. A search ends before what was
 *   found is run, and before any code of the user's, before the loop prepares memory for another, or before it counts as
 *   asleep: who ends the last one looks again, and wakes another if there is something left. The pusher has a fence between its push and its look at
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
 *   and left nothing in the backlog, in deques and offers. If so, it naps on, as long as the pool is given anything that it might take; else
 *   it helps them.
 *   So what takes long, or waits behind what does, waits a nap longer at most.
 *   For P2 a nap is a search that looks now and then only: nobody is woken meanwhile, and it ends as one does. Once all other
 *   loops sleep it does not count: one is woken, so that what comes does not wait. One loop naps at a time, for the whole
 *   pool, and sleeps deeply when nothing has been given to the pool for a nap: who is idle does not nap. */

#include "config.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exec/loop-pool-private.h"

#define NEXT_TO_NOTHING 64 /* jobs and submitted work that were not worth a wake-up of 20 to 60 us: if trivial, 1 or 2 us */

/* --- waking ------------------------------------------------------------------------------------------------------ */

static void
wake_one (MorrowLoopPool *self)
{
  for (guint i = 0; i < self->loops->len; i++)
    {
      MorrowLoop *loop = morrow__loop_pool_at (self, i);

      /* The exchange: L1, as in push_posted (): of all who would wake the loop, one does. P3: it pairs with the one in
       * morrow__loop_come_awake (). */
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

/* After something was pushed or taken, where somebody sleeps. */
static gboolean
wants_thief (MorrowLoopPool *self)
{
  /* P2: pairs with the fence in morrow__loop_pool_end_search (). As an acquire, for wake_one (), it pairs with the addition to
   * n_asleep in morrow__loop_pool_has_work (). */
  atomic_thread_fence (memory_order_seq_cst);
  return is_unwatched (self);
}

void
morrow__loop_pool_wake_if_unwatched (MorrowLoopPool *self)
{
  if (wants_thief (self))
    wake_one (self);
}

static gboolean
has_tasks_to_take (MorrowLoopPool *self)
{
  for (guint i = 0; i < self->loops->len; i++)
    {
      MorrowLoop *loop = morrow__loop_pool_at (self, i);

      if (morrow__deque_size (&loop->deque) > 0 || !morrow__mpsc_is_empty (&loop->offers))
        return TRUE;
    }
  return FALSE;
}

/* Something that any loop may take. */
static gboolean
has_work (MorrowLoopPool *self)
{
  return morrow__loop_pool_has_submitted (self) || has_tasks_to_take (self);
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
  else if (morrow__loop_pool_has_sleepers (loop->pool) && wants_thief (loop->pool) && has_work (loop->pool))
    wake_one (loop->pool);
}

/* The loop says that it sleeps: the second look at what there is to do (P1). It counts until morrow__loop_pool_slept
 * (). */
gboolean
morrow__loop_pool_has_work (MorrowLoop *loop, gboolean *ret_sure)
{
  MorrowLoopPool *self = loop->pool;

  /* Sequentially consistent: P1, pairs with the look at n_asleep in morrow__loop_pool_has_sleepers (), by the membarrier where
   * there is one. */
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

/* --- naps -------------------------------------------------------------------------------------------------------- */

void
morrow__loop_pool_woken (MorrowLoop *loop)
{
  loop->n_when_woken = loop->tick + loop->n_worked;
}

static void
note_progress (MorrowLoop *loop)
{
  loop->n_given_seen = morrow__loop_pool_count_given (loop->pool);
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

  return !has_tasks_to_take (loop->pool) && morrow__backlog_is_empty (&loop->pool->backlog) &&
         morrow__ring_size (ring) <= morrow__ring_n_taken (ring) - loop->n_taken_seen;
}

gboolean
morrow__loop_pool_naps_on (MorrowLoop *loop)
{
  if (morrow__loop_pool_count_given (loop->pool) == loop->n_given_seen || !others_keep_up (loop))
    return FALSE;

  note_progress (loop);
  return TRUE;
}
