/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a run on a pool, and of the pool itself: what is left over is swept, and waited for.
 *
 * When main has ended, what is left over is swept. It has all ended when as many tasks have ended as have started.
 * Both are counted by each loop for itself; the ended are summed up first, then the started: equal sums mean that in
 * between there was none.
 * Main's loop, which waits for that, is woken by each task that ends while it sweeps, and by each loop once it has
 * swept: a task that had ended without seeing that somebody sweeps is then counted. What it has been given itself, by who
 * asked morrow_loop_get_current () for it, it sweeps and waits for as any loop does.
 *
 * Nobody counts the callbacks, and the pieces of submitted work, that have ended. The sweep is a job behind them: when
 * a loop has swept, what it had before has ended; where one of them runs a main loop of its own, and the sweep in that, the
 * loop says so when it is back in its own turns. Each of them, and each task, and each thread that was given work,
 * may make more of all. So it goes in rounds, of a sweep on each loop and a wait for the tasks, the submitted work and
 * the threads, until in a whole round nothing was made and no thread has ended:
 *   - A callback is counted, then pushed. One that was counted before the round, and is not in front of the sweep, is
 *     pushed by a thread that was given work: that ends in this round.
 *   - All others are counted in the round, when they are made; what was submitted, when it is taken. */

#include "config.h"

#include "exec/lane-private.h"
#include "exec/loop-pool-private.h"

/* --- what is left ------------------------------------------------------------------------------------------------ */

/* Tasks are alive; see the head. */
gboolean
morrow__loop_pool_has_tasks (MorrowLoopPool *self)
{
  gulong ended = 0, started;

  /* Acquire, all: pair with the releases in morrow__loop_pool_add_own () and offer (): who sees a task's end sees its start,
   * and what it started, counted. */
  for (guint i = 0; i < self->loops->len; i++)
    ended += atomic_load_explicit (&morrow__loop_pool_at (self, i)->n_ended, memory_order_acquire);
  started = atomic_load_explicit (&self->n_outside, memory_order_acquire);
  for (guint i = 0; i < self->loops->len; i++)
    started += atomic_load_explicit (&morrow__loop_pool_at (self, i)->n_started, memory_order_acquire);

  return ended != started;
}

/* The round is not over, but for threads that were given work. */
static gboolean
is_in_round (MorrowLoopPool *self)
{
  /* Acquire: pairs with the release in morrow__loop_pool_tell_swept (). */
  return atomic_load_explicit (&self->n_sweeps, memory_order_acquire) > 0 || morrow__loop_pool_has_tasks (self) ||
         morrow__loop_pool_has_submitted (self);
}

/* What the pool was given and has taken that any loop may run: it moves as long as there is anything of that kind. */
gulong
morrow__loop_pool_count_given (MorrowLoopPool *self)
{
  gulong n = atomic_load_explicit (&self->n_outside, memory_order_acquire) + morrow__ring_n_taken (self->ring) +
             morrow__backlog_n_taken (&self->backlog);

  for (guint i = 0; i < self->loops->len; i++)
    n += atomic_load_explicit (&morrow__loop_pool_at (self, i)->n_started, memory_order_acquire);
  return n;
}

static gulong
count_posted (MorrowLoopPool *self)
{
  gulong n = atomic_load_explicit (&self->n_posted, memory_order_acquire);

  for (guint i = 0; i < self->loops->len; i++)
    n += atomic_load_explicit (&morrow__loop_pool_at (self, i)->n_posted, memory_order_acquire);
  return n;
}

/* What a round is to leave as it was: how many tasks and callbacks were made, how much work was taken, how many threads have
 * ended. */
static gulong
count_made (MorrowLoopPool *self)
{
  return morrow__loop_pool_count_given (self) + count_posted (self) + morrow__lane_count_ended (&self->parent_instance);
}

/* --- sweeps ------------------------------------------------------------------------------------------------------ */

/* Who waits for the end of a sweep. */
void
morrow__loop_pool_wake_sweeper (MorrowLoopPool *self)
{
  if (morrow__unlikely (!morrow__executor_is_ours (&self->parent_instance)))
    return;

  pthread_mutex_lock (&self->lock);
  pthread_cond_broadcast (&self->ended);
  if (self->runner != NULL)
    morrow__wakeup_signal (&self->runner->wakeup);
  pthread_mutex_unlock (&self->lock);
}

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
  morrow__loop_pool_wake_sweeper (loop->pool);
}

static void
post_sweeps (MorrowLoopPool *self)
{
  atomic_fetch_add_explicit (&self->n_sweeps, self->loops->len, memory_order_relaxed);
  for (guint i = 0; i < self->loops->len; i++)
    {
      MorrowJob *job = g_new (MorrowJob, 1);

      job->run = sweep_run;
      morrow__loop_post (morrow__loop_pool_at (self, i), job);
    }
}

/* --- rounds ------------------------------------------------------------------------------------------------------ */

/* Until in a whole round nothing was made: see the head. */
void
morrow__loop_pool_wait_for_rounds (MorrowLoopPool *self)
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

static void
set_runner (MorrowLoopPool *self, MorrowLoop *runner)
{
  pthread_mutex_lock (&self->lock);
  self->runner = runner;
  pthread_mutex_unlock (&self->lock);
}

static gboolean
has_leftovers (gpointer data)
{
  MorrowLoop *runner = data;

  return is_in_round ((MorrowLoopPool *) runner->executor) ||
         morrow__lane_is_busy (runner->executor, morrow__loop_wake_up, runner) ||
         morrow__loop_has_tasks (runner);   /* last: what all these have given it is there */
}

/* Cancels what is left over and waits until it has ended: see the head. */
void
morrow__loop_pool_finish (MorrowLoopPool *self, MorrowLoop *runner)
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
