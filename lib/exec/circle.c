/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Circles of waits on a loop: tasks that wait for each other. None of them would ever go on.
 *
 * A circle closes when its last task parks, which is no time to look, since a task parks for a few nanoseconds. So the
 * loop looks when it has nothing to do: when it is about to sleep, something has run since it last looked, and that is
 * long enough ago: a tenth of a second, and a hundred times what the look took. However many tasks there are, that is a
 * hundredth of the time that the loop has to spare.
 *
 * It looks at what lives here, at the newest of it when that is very much: a look is to be over before anybody notices. A
 * task of another loop or thread may always settle, and so may a promise. */

#include "config.h"

#include "base/clock-private.h"
#include "exec/hopeless-private.h"
#include "exec/loop-private.h"

#define LOOK_INTERVAL 100000   /* microseconds */
#define LOOK_SHARE    100
#define LOOK_AT_MOST  4096     /* tasks */

/* Whether what @task waits for may itself wait for others. */
static gboolean
awaits_waiter (MorrowTask *task)
{
  MorrowFuture *awaited = task->awaiting;

  return awaited != NULL && task->interruption == MORROW_NOT_INTERRUPTED &&
         (morrow__future_is_task (awaited) || awaited->ops->visit_awaited != NULL);
}

static gboolean
is_hopeless (MorrowSearch *search, MorrowTask *task)
{
  return morrow__task_get_home (task) == search->owner && awaits_waiter (task) && morrow__search_awaited (task->awaiting, search);
}

/* Each circle is opened at one of its tasks; those who only wait for one of them need not be told. */
static gboolean
open_circles (MorrowLoop *self)
{
  MorrowSearch search = MORROW_SEARCH (is_hopeless, FALSE, &self->home);
  gboolean opened = FALSE;
  guint n_seen = 0;

  morrow__list_foreach_back (&self->tasks, node)
    {
      MorrowTask *task = morrow__list_entry (node, MorrowTask, link);

      if (awaits_waiter (task) && morrow__search_task (&search, task) && search.came_back)
        opened |= morrow__task_interrupt (task, MORROW_INTERRUPTED_HOPELESS);
      if (++n_seen == LOOK_AT_MOST)
        break;
    }
  morrow__search_clear (&search);
  return opened;
}

/* Nothing is ready: TRUE when something is now, and else the loop may sleep until *@ret_look_at. */
gboolean
morrow__loop_look_for_circles (MorrowLoop *self, gint64 *ret_look_at)
{
  gint64 now;
  gboolean opened;

  *ret_look_at = G_MAXINT64;
  if (self->tick == self->looked_tick)
    return FALSE;
  if (self->last_poll < self->look_at)
    {
      *ret_look_at = self->look_at;
      return FALSE;
    }

  now = morrow__clock_now ();
  opened = open_circles (self);
  self->looked_tick = self->tick;
  self->look_at = now + MAX (LOOK_INTERVAL, LOOK_SHARE * (morrow__clock_now () - now));
  return opened;
}
