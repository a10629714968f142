/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Circles of waits on loops: tasks that wait for each other. None of them would ever go on.
 *
 * A circle closes when its last task parks, which is no time to look, since a task parks for a few nanoseconds. So a loop
 * looks when it has nothing to do: when it comes to rest, something has run since it was last looked at, and that is long
 * enough ago: a tenth of a second, and a hundred times what the look took. However many tasks there are, that is a
 * hundredth of the time that there is to spare.
 *
 * Who looks, looks at all peers that are at rest, at the newest of their tasks when that is very much: a look is to be over
 * before anybody notices, as a peer that wakes up meanwhile waits for its end. A peer that was not at rest looks when it comes
 * to rest. So the last of those that a circle goes through finds it. Other tasks may always settle, and so may a promise. */

#include "config.h"

#include "base/clock-private.h"
#include "exec/hopeless-private.h"
#include "exec/loop-private.h"

#define LOOK_INTERVAL 100000   /* microseconds */
#define LOOK_SHARE    100
#define LOOK_AT_MOST  4096     /* tasks, of all loops */

/* --- peers ------------------------------------------------------------------------------------------------------- */

void
morrow__peers_init (MorrowPeers *self, gboolean are_several)
{
  self->are_several = are_several;
  pthread_mutex_init (&self->lock, NULL);
  morrow__list_init (&self->loops);
}

void
morrow__peers_clear (MorrowPeers *self)
{
  pthread_mutex_destroy (&self->lock);
}

/* In a forked child the peers have no threads any more, and the lock may be one's that it has not. */
static gboolean
needs_lock (MorrowPeers *self, MorrowLoop *loop)
{
  return self->are_several && morrow__executor_is_ours (&loop->parent_instance);
}

static void
lock (MorrowPeers *self, MorrowLoop *loop)
{
  if (needs_lock (self, loop))
    pthread_mutex_lock (&self->lock);
}

static void
unlock (MorrowPeers *self, MorrowLoop *loop)
{
  if (needs_lock (self, loop))
    pthread_mutex_unlock (&self->lock);
}

void
morrow__peers_join (MorrowPeers *self, MorrowLoop *loop)
{
  lock (self, loop);
  morrow__list_remove (&loop->peer_link);
  morrow__list_append (&self->loops, &loop->peer_link);
  loop->peers = self;
  unlock (self, loop);
}

void
morrow__peers_leave (MorrowLoop *loop)
{
  MorrowPeers *peers = loop->peers;

  lock (peers, loop);
  morrow__list_remove (&loop->peer_link);
  morrow__list_append (&loop->alone.loops, &loop->peer_link);
  loop->peers = &loop->alone;
  unlock (peers, loop);
}

/* --- a look: under the lock ---------------------------------------------------------------------------------------- */

/* Whether what @task waits for may itself wait for others. */
static gboolean
awaits_waiter (MorrowTask *task)
{
  MorrowFuture *awaited = morrow__task_get_awaited (task);

  return awaited != NULL && task->interruption == MORROW_NOT_INTERRUPTED &&
         (morrow__future_is_task (awaited) || morrow__future_get_ops (awaited)->visit_awaited != NULL);
}

/* Whether @home is that of a peer at rest. It may be anybody's, who may be gone. */
static gboolean
is_at_rest (MorrowPeers *self, MorrowHome *home)
{
  morrow__list_foreach (&self->loops, node)
    {
      MorrowLoop *loop = morrow__list_entry (node, MorrowLoop, peer_link);

      if (home == &loop->home)
        return loop->at_rest;
    }
  return FALSE;
}

static gboolean
is_hopeless (MorrowSearch *search, MorrowTask *task)
{
  return is_at_rest (search->owner, morrow__task_get_home (task)) && awaits_waiter (task) &&
         morrow__search_awaited (morrow__task_get_awaited (task), search);
}

/* Each circle is opened at one of its tasks; those who only wait for one of them need not be told. */
static gboolean
open_circles (MorrowLoop *self, MorrowSearch *search, guint n_at_most)
{
  MorrowList *tasks = morrow__loop_get_tasks (self);
  gboolean opened = FALSE;

  morrow__list_foreach_back (tasks, node)
    {
      MorrowTask *task = morrow__list_entry (node, MorrowResident, link)->task;

      if (awaits_waiter (task) && morrow__search_task (search, task) && search->came_back)
        opened |= morrow__task_interrupt (task, MORROW_INTERRUPTED_HOPELESS);
      if (--n_at_most == 0)
        break;
    }
  return opened;
}

static guint
count_loops (MorrowPeers *self)
{
  guint n = 0;

  morrow__list_foreach (&self->loops, node)
    n++;
  return n;
}

static gboolean
look (MorrowPeers *self)
{
  MorrowSearch search = MORROW_SEARCH (is_hopeless, FALSE, self);
  gint64 before = morrow__clock_now ();
  guint n = count_loops (self);
  gboolean opened = FALSE;

  self->n_looks++;
  morrow__list_foreach (&self->loops, node)
    {
      MorrowLoop *loop = morrow__list_entry (node, MorrowLoop, peer_link);

      if (loop->at_rest)
        {
          opened |= open_circles (loop, &search, LOOK_AT_MOST / n + 1);
          loop->last_look = self->n_looks;
          loop->looked_tick = loop->tick;
        }
    }
  morrow__search_clear (&search);
  self->look_at = before + MAX (LOOK_INTERVAL, LOOK_SHARE * (morrow__clock_now () - before));
  return opened;
}

/* --- rest -------------------------------------------------------------------------------------------------------- */

static gboolean
has_been_looked_at (MorrowLoop *self)
{
  return self->tick == self->looked_tick && self->last_look == self->peers->n_looks;
}

/* Where the clock is virtual: it stands still but for timers, and there is none. */
static gboolean
jump_to (MorrowLoop *self, gint64 look_at)
{
  return morrow__timers_next (&self->timers) == G_MAXINT64 && morrow__clock_jump (look_at);
}

gboolean
morrow__loop_rest (MorrowLoop *self, gint64 *ret_look_at)
{
  MorrowPeers *peers = self->peers;

  *ret_look_at = G_MAXINT64;
  lock (peers, self);
  self->at_rest = TRUE;
  if (!has_been_looked_at (self) && morrow__executor_is_ours (&self->parent_instance))
    {
      if (self->last_poll < peers->look_at && !jump_to (self, peers->look_at))
        *ret_look_at = peers->look_at;
      else
        self->at_rest = !look (peers) && !morrow__loop_has_ready (self);   /* the last reference of something may go in a look */
    }
  unlock (peers, self);
  return !self->at_rest;
}

void
morrow__loop_end_rest (MorrowLoop *self)
{
  lock (self->peers, self);
  self->at_rest = FALSE;
  unlock (self->peers, self);
}
