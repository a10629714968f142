/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sleeping, so that no other thread's work is left lying.
 *
 * A loop with nothing to do looks for a reply for a few microseconds, if the last one came quickly; comes to rest, where its
 * peers may look at its tasks (circle-private.h); says that it is asleep, and looks once more at what others have given it (L1)
 * or its pool (P1); sleeps in the epoll set; and is awake again before any code of the user's runs. One of a pool that was woken
 * for next to nothing naps instead ("Naps" in loop-pool-wake.c).
 *
 * A loop that its context turns does the same around the context's poll, but for the look and the nap (source.c). */

#include "config.h"

#include "base/clock-private.h"
#include "exec/asleep-private.h"
#include "exec/reactor-private.h"

#define NAP_TIME        100    /* microseconds that a loop of a pool naps: what a wake-up takes, and some more (loop-pool-wake.c) */
#define UNSURE_TIME     10000  /* that one sleeps which may have missed something */

/* --- as others see it --------------------------------------------------------------------------------------------- */

/* Nothing is ready: TRUE when something is after all. */
gboolean
morrow__loop_come_to_rest (MorrowLoop *self)
{
  gint64 look_at;

  if (morrow__loop_rest (self, &look_at))
    return TRUE;

  morrow__reactor_arm_timer_fd (self, look_at);
  return FALSE;
}

/* On a pool: the last look at what any loop may do, which a loop that cannot be sure of it repeats before long. */
static gboolean
pool_has_work (MorrowLoop *self)
{
  gboolean is_sure, has = morrow__loop_pool_has_work (self, &is_sure);

  if (morrow__unlikely (!is_sure))
    morrow__reactor_arm_timer_fd (self, morrow__clock_now () + UNSURE_TIME);
  return has;
}

/* Says that the loop is going to sleep; FALSE when somebody has posted meanwhile (L1). In either case it is to
 * morrow__loop_come_awake (). */
gboolean
morrow__loop_fall_asleep (MorrowLoop *self)
{
  self->says_asleep = TRUE;
  /* Sequentially consistent: L1, pairs with the exchange in morrow__loop_post (). */
  atomic_store_explicit (&self->asleep, TRUE, memory_order_seq_cst);
  return atomic_load_explicit (&self->inbox.newest, memory_order_seq_cst) == NULL &&
         (!morrow__loop_serves_pool (self) || self->napping || !pool_has_work (self));   /* who naps will look, late or not */
}

/* Before any code of the user's is run: who wakes a loop for something is not to choose one that is busy, nor is anybody to
 * look at its tasks. */
void
morrow__loop_come_awake (MorrowLoop *self)
{
  if (self->at_rest)
    morrow__loop_end_rest (self);
  if (self->counted_asleep)
    morrow__loop_pool_slept (self);
  if (!self->says_asleep)
    return;

  self->says_asleep = FALSE;
  if (self->pool == NULL)
    /* Relaxed: whoever saw it set meanwhile has signalled, which costs a turn and no more. */
    atomic_store_explicit (&self->asleep, FALSE, memory_order_relaxed);
  else if (!atomic_exchange_explicit (&self->asleep, FALSE, memory_order_seq_cst))
    /* Sequentially consistent: P3, pairs with the exchange in wake_one () in loop-pool-wake.c. */
    self->is_chosen = TRUE;
}

/* --- sleep -------------------------------------------------------------------------------------------------------- */

static gboolean
has_posts (gpointer data)
{
  MorrowLoop *self = data;

  return !morrow__mpsc_is_empty (&self->inbox) || (morrow__loop_serves_pool (self) && morrow__loop_pool_sees_work (self));
}

/* How soon something comes is learnt of two kinds of waits, each for itself: a loop that asks another thread now and then, and sleeps
 * for a time in between, would learn from each wait what is wrong of the next. On a pool each waits for whatever comes. */
static MorrowSpin *
spin_of_wait (MorrowLoop *self)
{
  return self->home.has_asked && self->pool == NULL ? &self->reply_spin : &self->spin;
}

/* Looks a little longer, where that promises something, and where not enough of a pool's loops do so already. */
gboolean
morrow__loop_spin (MorrowLoop *self, gint64 deadline)
{
  return (self->pool == NULL || morrow__loop_pool_search (self)) && morrow__spin_until (spin_of_wait (self), has_posts, self, deadline);
}

/* Whether something else has come than a call of another thread's. */
static gboolean
has_events (MorrowLoop *self, const struct epoll_event *events, int n)
{
  return n > 1 || (n == 1 && events[0].data.ptr != &self->wakeup_pollable) ||
         morrow__timers_next (&self->timers) <= morrow__clock_now ();
}

/* In the epoll set. Whether the next wait is worth a spin is told by how soon something was posted after the last
 * poll, which is what the reply took and more. */
static void
sleep_until (MorrowLoop *self, gint64 deadline)
{
  struct epoll_event events[MORROW_LOOP_EVENTS];
  MorrowSpin *spin = spin_of_wait (self);
  gint64 before = self->last_poll;
  int n;

  if (morrow__loop_come_to_rest (self))
    return;

  if (!morrow__loop_fall_asleep (self))
    {
      morrow__loop_come_awake (self);
      return;
    }

  n = morrow__reactor_wait_until (self, events, deadline);
  morrow__loop_come_awake (self);
  if (has_events (self, events, n))
    morrow__loop_do_own_first (self);
  morrow__reactor_serve_events (self, events, n);
  morrow__spin_slept (spin, has_posts (self), self->last_poll - before);
  if (self->pool != NULL)
    morrow__loop_pool_woken (self);
}

/* Returns how many events came during one nap; less than 0 when it is over, since there is something else to do. */
static int
doze (MorrowLoop *self, struct epoll_event *events, gint64 deadline)
{
  gint64 now = morrow__clock_now ();
  int n = -1;

  if (now < deadline && morrow__loop_fall_asleep (self))
    n = morrow__reactor_wait_until (self, events, MIN (deadline, now + NAP_TIME));
  morrow__loop_come_awake (self);
  return n;
}

/* On a pool: the loop watches whether the others keep up. It is not at rest, since it looks by itself. */
static void
nap_until (MorrowLoop *self, gint64 deadline)
{
  struct epoll_event events[MORROW_LOOP_EVENTS];
  int n;

  do
    n = doze (self, events, deadline);
  while (n == 0 && morrow__loop_pool_naps_on (self));

  if (n != 0)
    {
      morrow__loop_end_search (self);
      morrow__reactor_serve_events (self, events, n);
    }
}

/* Nothing is ready, and the context wants nothing. */
void
morrow__loop_sleep_or_nap (MorrowLoop *self, gint64 deadline)
{
  if (self->pool != NULL && morrow__loop_pool_nap (self))
    nap_until (self, deadline);
  else
    sleep_until (self, deadline);
}
