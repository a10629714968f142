/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A loop as a source of its context, which turns it: an application's main loop, or whoever iterates the context of a loop
 * that has its thread.
 *
 * The epoll set's own descriptor is polled by the context, through the one GSource that a loop is. A dispatch is bounded in
 * time; and when something is still ready after it, the next turns are for others (rest-private.h), so that sources of lower
 * priority, redrawing among them, are not starved.
 *
 * In a CHILD of fork () the loop stands aside, so that the context would never turn it again: a dispatch in which a task goes on
 * there (reactor.c) lasts until that task has ended. */

#include "config.h"

#include "base/clock-private.h"
#include "core/relay-private.h"
#include "exec/bundle-private.h"
#include "exec/reactor-private.h"
#include "exec/turn-private.h"

#define DISPATCH_LIMIT  1000   /* microseconds that a dispatch may take inside somebody's main loop */

typedef struct
{
  GSource     source;
  MorrowLoop *loop;   /* borrowed: the loop destroys its source */
  GPollFD     poll;   /* of the epoll set; not as g_source_add_unix_fd () has it, which dispatches us although we stand aside */
} MorrowLoopSource;

/* --- standing aside, and awake ------------------------------------------------------------------------------------ */

/* The loop itself has the context iterated, for the others; or a task does, which is no place to run others; or a forked
 * child does, which has none of the loop's business; or somebody does when the loop has been closed. */
static gboolean
stands_aside (MorrowLoop *self)
{
  /* Relaxed: where the loop is closed while its context turns, it is by the thread that turns it. */
  return (self->stand_aside != 0 && self->stand_aside == g_main_depth () + 1) || self->home.current != NULL ||
         !morrow__executor_is_ours (&self->parent_instance) || atomic_load_explicit (&self->closed, memory_order_relaxed);
}

/* After each poll, before any other. */
static gboolean
waker_check (GSource *source)
{
  MorrowLoop *self = ((MorrowLoopSource *) source)->loop;

  morrow__loop_come_awake (self);
  morrow__loop_do_own_first (self);
  return FALSE;
}

static gboolean
waker_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs waker_funcs = { .check = waker_check, .dispatch = waker_dispatch };

/* A loop's own source is not asked after a poll that has made one of a higher priority ready: that would run while the loop counts
 * as asleep, and be given what another loop might do. So a pool's loops have one that is asked first, from when the context first
 * polls: in a main loop inside of the loop's turns, mostly. For other loops nobody else looks whether they sleep. */
static void
make_waker (MorrowLoop *self)
{
  self->waker = g_source_new (&waker_funcs, sizeof (MorrowLoopSource));
  ((MorrowLoopSource *) self->waker)->loop = self;
  g_source_set_static_name (self->waker, "morrow loop's waker");
  g_source_set_priority (self->waker, G_MININT);
  g_source_attach (self->waker, self->context);
}

/* --- a turn of the context ---------------------------------------------------------------------------------------- */

/* A task turns the context, and keeps the others from going on meanwhile; but not what they had begun. */
static inline void
make_calls_of_others (MorrowLoop *self)
{
  if (self->n_bundled > 0 && self->home.current != NULL)
    morrow__bundle_make (self);
}

static gboolean
loop_prepare (GSource *source, gint *timeout)
{
  MorrowLoop *self = ((MorrowLoopSource *) source)->loop;
  gboolean aside = stands_aside (self);
  gint64 next;

  *timeout = -1;
  /* What has come for the loop stays in its set meanwhile, and would keep the context from sleeping. */
  ((MorrowLoopSource *) source)->poll.events = aside ? 0 : G_IO_IN;
  if (aside)
    {
      make_calls_of_others (self);
      return FALSE;
    }
  morrow__loop_come_awake (self);   /* since it fell asleep it was not asked, if sources of a higher priority were ready */
  morrow__loop_do_own_first (self);
  if (morrow__rest_prepare (self->rest))
    {
      *timeout = 0;
      return FALSE;
    }

  next = morrow__timers_next (&self->timers);
  /* A loop with peers rests when it polls: other sources are still to be asked. */
  if (morrow__loop_has_work (self) || next <= morrow__clock_now () || morrow__clock_jump (next) ||
      (!self->peers->are_several && morrow__loop_come_to_rest (self)))
    return TRUE;
  if (self->pool != NULL && self->waker == NULL)
    make_waker (self);
  if (!morrow__loop_fall_asleep (self))
    {
      morrow__loop_come_awake (self);
      morrow__loop_do_own_first (self);
      return TRUE;
    }

  morrow__reactor_arm_timer_fd (self, next);
  return FALSE;
}

static gboolean
loop_check (GSource *source)
{
  MorrowLoopSource *loop_source = (MorrowLoopSource *) source;
  MorrowLoop *self = loop_source->loop;

  morrow__loop_come_awake (self);
  morrow__loop_do_own_first (self);
  if (stands_aside (self) || morrow__rest_check (self->rest))
    return FALSE;

  return morrow__loop_has_work (self) || loop_source->poll.revents != 0;
}

/* A batch, in portions: a look at the clock costs as much as a few cheap jobs, but of those that are dear only one is to
 * be too many; or a portion, where they come behind cheap ones. It is over at the latest when it is time for a look at descriptors.
 * Returns: what time it is. */
static gint64
run_batch_until (MorrowLoop *self, gint64 until, guint *portion)
{
  gint64 before, now = morrow__clock_now ();
  gint64 end = MIN (until, self->look_over + MORROW_LOOP_POLL_INTERVAL);
  guint left = morrow__loop_max_batch (self), n;

  do
    {
      before = now;
      n = MIN (*portion, left);
      left -= n;
      morrow__loop_run_portion (self, n);
      now = morrow__clock_now ();
      *portion = morrow__reactor_next_portion (n, now - before);
    }
  while (left > 0 && now < end && morrow__loop_has_ready (self));

  morrow__loop_end_batch (self);
  return morrow__clock_now ();
}

/* Turns for as long as there is something to do, since one of the context's costs more than one of ours; within the
 * limit. Returns: whether it is that which has ended it. */
static gboolean
turn_hosted (MorrowLoop *self)
{
  gint64 now = morrow__clock_now (), until = now + DISPATCH_LIMIT;
  guint portion = 1;   /* nothing is known of what is ready now */
  gboolean came = TRUE;

  do
    {
      morrow__loop_take_posted (self);
      if (came || now - self->look_over >= MORROW_LOOP_POLL_INTERVAL)
        {
          self->has_looked = TRUE;
          came = morrow__reactor_poll_until (self, until);
        }
      now = run_batch_until (self, until, &portion);
      if (!morrow__loop_finds_more (self) && !came)
        return now >= until && morrow__timers_next (&self->timers) <= now;
      if (self->pool != NULL)
        now = morrow__clock_now ();
    }
  while (now < until);

  return TRUE;
}

/* The task that has forked, NULL when it has ended, or when it was a callback. */
static MorrowTask *
find_forker (MorrowLoop *self)
{
  MorrowList *tasks = morrow__loop_get_tasks (self);

  morrow__list_foreach (tasks, node)
    {
      MorrowTask *task = morrow__list_entry (node, MorrowResident, link)->task;

      if (morrow__task_get_number (task) == self->forker)
        return task;
    }
  return NULL;
}

/* In a forked child, where a dispatch comes to its end that has begun in the parent. Another task may fork meanwhile: then this goes
 * on in a child of the child's. */
static void
turn_in_child (MorrowLoop *self)
{
  MorrowTask *task;

  while ((task = find_forker (self)) != NULL)
    {
      morrow__future_ref (&task->future);
      morrow__loop_run_until (self, &task->future);
      morrow_future_unref (&task->future);
    }
}

/* On a task's stack, where a callback in place turns the context, or something that is released as the task ends, the loop's own has been
 * left in a switch: the task's takes its place meanwhile, and then the loop's is gone back to. */
static gboolean
turn (MorrowLoop *self)
{
  const MorrowFiber own = self->main_fiber;
#ifdef MORROW_ENABLE_DEBUG
  GMainContext *found_context = self->found_context;
#endif
  gboolean used_up = turn_hosted (self);

  if (morrow__unlikely (!morrow__executor_is_ours (&self->parent_instance)))
    turn_in_child (self);
  self->main_fiber = own;
  self->out_of_fuel = self->tick;   /* of the portion that this was in, if any */
#ifdef MORROW_ENABLE_DEBUG
  self->found_context = found_context;
#endif
  return used_up;
}

/* Likewise, in a callback in place: the task below it cannot go on. */
static gboolean
turn_in_place (MorrowLoop *self)
{
  MorrowTurn turned = { .below = self->below, .is_woken = self->below_is_woken, .outer = self->turn };
  gboolean used_up;

  self->below = NULL;
  self->below_is_woken = FALSE;
  self->turn = &turned;
  self->in_order = FALSE;
  used_up = turn (self);
  self->in_order = turned.outer == NULL;
  self->turn = turned.outer;
  self->below_is_woken = turned.is_woken;
  self->below = turned.below;
  return used_up;
}

static gboolean
loop_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  MorrowLoop *self = ((MorrowLoopSource *) source)->loop;
  MorrowRelays left;
  MorrowOuter outer;

  if (morrow__unlikely (!morrow__executor_is_ours (&self->parent_instance)))
    return G_SOURCE_CONTINUE;   /* a source that was dispatched just before has forked */

  left = morrow__relay_leave ();   /* a release may turn a main context */
  g_object_ref (self);
  morrow__loop_enter (self, &outer);
  if (morrow__seldom (self->below != NULL) ? turn_in_place (self) : turn (self))
    morrow__rest_begin (self->rest);
  morrow__loop_leave (&outer);
  g_object_unref (self);
  morrow__relay_return (&left);

  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
  .prepare = loop_prepare,
  .check = loop_check,
  .dispatch = loop_dispatch,
};

/* --- life --------------------------------------------------------------------------------------------------------- */

void
morrow__loop_make_source (MorrowLoop *self)
{
  MorrowLoopSource *source = (MorrowLoopSource *) g_source_new (&source_funcs, sizeof (MorrowLoopSource));

  source->loop = self;
  self->source = &source->source;
  self->rest = morrow__rest_join (self->context);
  g_source_set_static_name (self->source, "morrow loop");
  source->poll = (GPollFD) { .fd = self->epoll_fd, .events = G_IO_IN };
  g_source_add_poll (self->source, &source->poll);
  g_source_set_can_recurse (self->source, TRUE);   /* otherwise GLib takes the descriptor out and in again around each dispatch */
  g_source_attach (self->source, self->context);
}

/* The loop is no source any more. */
void
morrow__loop_leave_context (MorrowLoop *self)
{
  if (self->source == NULL)
    return;

  g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  if (self->waker != NULL)
    g_source_destroy (self->waker);
  g_clear_pointer (&self->waker, g_source_unref);
  g_clear_pointer (&self->rest, morrow__rest_leave);
}
