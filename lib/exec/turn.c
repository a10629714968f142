/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The turns of a loop that has its thread:
 *   1. take what other threads have posted
 *   2. run a batch of what is ready
 *   3. still something ready: when 100 us have passed, look at descriptors and timers (reactor.c), and at the context's other
 *      sources (main-context.c)
 *   4. nothing ready: look a little longer, ask the context for how long it can do without us, and sleep (asleep.c) */

#include "config.h"

#include "base/clock-private.h"
#include "exec/main-context-private.h"
#include "exec/reactor-private.h"
#include "exec/turn-private.h"

/* Looks at descriptors, timers and the context's other sources, though something is ready. */
static void
poll_in_passing (MorrowLoop *self)
{
  gint64 deadline = G_MAXINT64;

  morrow__loop_end_search (self);
  morrow__loop_do_own_first (self);
  self->has_looked = TRUE;
  morrow__reactor_poll (self);
  if (morrow__loop_ask_context (self, &deadline) == MORROW_CONTEXT_QUIET)
    return;

  morrow__loop_serve_context (self);
  self->look_over = morrow__clock_now ();
}

/* How many jobs the next batch may run, when it is so long since the last look: more of those that are cheap, beside which one
 * at the clock is dear, and so few of those that are dear that the next look is not late by much. What that takes itself does not
 * count: beside timers that are dear, one job for each would be all that runs. On a pool the work that was
 * submitted waits for the batch as well, and as much of it follows. */
static guint
next_batch (MorrowLoop *self, gint64 since)
{
  if (since < MORROW_LOOP_POLL_INTERVAL / 4)
    return MIN (2 * self->batch, morrow__loop_max_batch (self));
  if (since >= 2 * MORROW_LOOP_POLL_INTERVAL)
    return MAX (1, self->batch * MORROW_LOOP_POLL_INTERVAL / since);
  return self->batch;
}

static void
poll_now_and_then (MorrowLoop *self)
{
  gint64 since = morrow__clock_now () - self->look_over;

  self->batch = next_batch (self, since);
  if (since >= MORROW_LOOP_POLL_INTERVAL)
    poll_in_passing (self);
}

/* Nothing is ready: returns when something may be. */
static void
wait_for_work (MorrowLoop *self)
{
  gint64 deadline = morrow__timers_next (&self->timers);

  if (morrow__loop_spin (self, deadline))
    {
      poll_now_and_then (self);
      return;
    }

  morrow__loop_end_search (self);
  switch (morrow__loop_ask_context (self, &deadline))
    {
    case MORROW_CONTEXT_QUIET:
      morrow__loop_sleep_or_nap (self, morrow__clock_jump (deadline) ? 0 : deadline);
      break;

    case MORROW_CONTEXT_READY:
      morrow__loop_serve_context (self);
      morrow__reactor_poll (self);
      break;

    case MORROW_CONTEXT_HAS_DESCRIPTORS:
    default:
      morrow__loop_poll_context (self);
      break;
    }
}

/* Nothing that began is on the stack any more. */
static inline void
tidy_up (MorrowLoop *self)
{
  /* A main loop in a callback has ended by another source, which was dispatched before ours was asked. */
  if (morrow__unlikely (self->says_asleep))
    morrow__loop_come_awake (self);
  if (morrow__unlikely (self->n_swept > 0))
    morrow__loop_pool_tell_swept (self);
}

static inline void
begin_batch (MorrowLoop *self)
{
  morrow__loop_end_search (self);
  if (!morrow__queue_is_empty (&self->ready))
    morrow__loop_do_own_first (self);
}

/* Turns of a loop that has its thread, for as long as @busy says so: it is asked again before the loop sleeps. */
void
morrow__loop_turn_while (MorrowLoop *self, gboolean (*busy) (gpointer data), gpointer data)
{
  gboolean has_ready;

  while (busy (data))
    {
      tidy_up (self);
      morrow__loop_take_posted (self);
      has_ready = morrow__loop_has_ready (self);
      if (has_ready)
        begin_batch (self);
      self->is_chosen = FALSE;
      if (has_ready)   /* a batch is a tick even of nothing, and each tick gets a look for circles */
        morrow__loop_run_batch (self, self->batch);

      if (morrow__loop_finds_more (self))
        {
          poll_now_and_then (self);
        }
      else
        {
          tidy_up (self);
          if (busy (data))
            wait_for_work (self);
        }
    }
}
