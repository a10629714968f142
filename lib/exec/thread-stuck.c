/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who of a thread pool is stuck, and what comes of it. What goes before is told in thread-wait.c: a blocked worker runs what it
 * waits for itself.
 *
 *   1. What a task waits for can only come from tasks that wait themselves, in a circle: then the wait fails, with
 *      MORROW_ERROR_DEADLOCK. A promise, a timer, a thread, another executor's task count as able to settle, since
 *      they may be.
 *   2. Every worker, and main, is stuck: it waits for what nothing is sure to settle, a promise say, and a task that is
 *      queued may be the one to do so. Then that runs, on a worker beyond their number: a stand-in. Where a timer, a
 *      thread or a descriptor is sure to let one of them go on, the queue waits for that. They look again when an any of
 *      the pool's has lost one of its futures, which may have been the sure one.
 *   3. So too when a task yields: those that are queued may be what it looks for, and it would never see them run where
 *      all who work here yield like it. One stand-in goes on beside the workers, not counting those that are stuck.
 *
 * A stand-in has a stack of its own, since on that of one who waits it would be in its way: what is queued may wait for
 * that one in turn, for a lock that it holds say, and a promise does not tell who is to resolve it.
 *
 * The lock is held by the caller of every function here. */

#include "config.h"

#include <morrow/error.h>

#include "exec/hopeless-private.h"
#include "exec/thread-pool-private.h"

#define MAX_STAND_INS 256   /* beyond them, who is stuck waits as others do */

/* --- deadlock ---------------------------------------------------------------------------------------------------- */

/* Its home is another executor's, which may go once it has settled (H1). */
static gboolean
lives_elsewhere (MorrowThreadPool *self, MorrowTask *task, MorrowHome *home)
{
  gboolean elsewhere;

  morrow__home_visit ();
  elsewhere = morrow__future_is_settled (&task->future) || home->klass != morrow__home->klass ||
              morrow__thread_pool_of (home) != self;
  morrow__home_leave_visit ();
  return elsewhere;
}

/* Another executor is to run it, or has it. */
static gboolean
is_elsewhere (MorrowThreadPool *self, MorrowTask *task)
{
  MorrowHome *home = morrow__task_get_home (task);

  if (home != NULL)
    return lives_elsewhere (self, task, home);

  switch (morrow__task_get_state (task))
    {
    case MORROW_TASK_QUEUED:
    case MORROW_TASK_CLAIMED:
      return TRUE;
    case MORROW_TASK_POOLED:
      return !morrow__thread_pool_has_queued (self, task);
    default:
      return FALSE;
    }
}

/* One that runs is not, nor one that has not started, which whoever waits for it runs. One that waits is so too when the one
 * that runs on top of it, on the same stack, is: it cannot go on before that has ended. */
static gboolean
is_hopeless (MorrowSearch *search, MorrowTask *task)
{
  MorrowThreadPool *self = search->owner;
  MorrowFuture *awaited, *above;

  if (is_elsewhere (self, task))
    return search->unknown && !morrow__future_is_settled (&task->future);
  if (morrow__task_get_home (task) == NULL)
    {
      search->found_work |= morrow__task_get_state (task) == MORROW_TASK_POOLED;
      return FALSE;
    }
  awaited = g_hash_table_lookup (self->waiting, task);
  if (awaited == NULL)
    return FALSE;

  above = g_hash_table_lookup (self->above, task);
  return morrow__search_awaited (awaited, search) || (above != NULL && morrow__search_awaited (above, search));
}

gboolean
morrow__thread_pool_check_hope (MorrowThreadPool *self, MorrowTask *task, GError **error)
{
  MorrowSearch search = MORROW_SEARCH (is_hopeless, FALSE, self);
  gboolean hopeless = morrow__search_task (&search, task);

  morrow__search_clear (&search);

  if (hopeless)
    {
      g_hash_table_insert (self->waiting, task, NULL);   /* which breaks the circle for the others */
      g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_DEADLOCK,
                           "This wait would last for ever: what is awaited waits, in a circle, for tasks of the same thread pool that wait for it");
    }
  return !hopeless;
}

/* --- stand-ins --------------------------------------------------------------------------------------------------- */

/* Whether what runs on the stack of @home, where a task waits, is one that waits for what nothing is sure to settle. */
static gboolean
is_stuck (MorrowThreadPool *self, MorrowThreadHome *home, MorrowSearch *search)
{
  return !g_hash_table_contains (self->above, home->top) && morrow__search_task (search, home->top);
}

/* How many workers are stuck. None as long as one of them waits for what it will run itself. */
static guint
count_stuck (MorrowThreadPool *self)
{
  MorrowSearch search = MORROW_SEARCH (is_hopeless, TRUE, self);
  guint n = 0;

  morrow__list_foreach (&self->blocked, node)
    {
      MorrowThreadHome *home = morrow__list_entry (node, MorrowThreadHome, link);

      n += home->is_worker && is_stuck (self, home, &search);
    }
  if (search.found_work)
    n = 0;
  morrow__search_clear (&search);
  return n;
}

/* The one that has waited for the shortest time first: it is the one that is not, mostly, and what others wait for may be a long way to go
 * through. */
static gboolean
each_is_stuck (MorrowThreadPool *self)
{
  MorrowSearch search = MORROW_SEARCH (is_hopeless, TRUE, self);
  gboolean all = TRUE;

  morrow__list_foreach_back (&self->blocked, node)
    {
      all = is_stuck (self, morrow__list_entry (node, MorrowThreadHome, link), &search) && !search.found_work;
      if (!all)
        break;
    }
  morrow__search_clear (&search);
  return all;
}

static guint
count_blocked (MorrowThreadPool *self)
{
  guint n = 0;

  morrow__list_foreach (&self->blocked, node)
    n++;
  return n;
}

/* Each worker, and main. */
gboolean
morrow__thread_pool_all_are_stuck (MorrowThreadPool *self)
{
  guint n_busy = morrow__thread_pool_count_busy (self);

  return n_busy > 0 && self->n_blocked == n_busy && count_blocked (self) == n_busy + self->n_mains && each_is_stuck (self);
}

/* Has a worker beyond their number take a job. */
static void
want_stand_in (MorrowThreadPool *self)
{
  self->wants_stand_in = self->n_idle > 0 || (self->threads->len < self->max_threads + MAX_STAND_INS &&
                                               morrow__thread_pool_add_worker (self, NULL));
  if (self->n_idle > 0)
    pthread_cond_signal (&self->work);
}

static gboolean
is_short_of_workers (MorrowThreadPool *self)
{
  return self->n_queued > 0 && !self->wants_stand_in &&
         morrow__thread_pool_count_busy (self) >= morrow__thread_pool_n_workers_at_most (self);
}

/* What is queued may be what all wait for. */
void
morrow__thread_pool_relieve_stuck (MorrowThreadPool *self)
{
  if (is_short_of_workers (self) && morrow__thread_pool_all_are_stuck (self))
    want_stand_in (self);
}

/* A task on @home yields: what is queued may be what it looks for. Beside it and those who are stuck there are to be as
 * many who go on as there may be workers. */
void
morrow__thread_pool_relieve_yielding (MorrowThreadPool *self, MorrowThreadHome *home)
{
  guint n_going = morrow__thread_pool_count_busy (self) - (home->is_worker ? 1 : 0), n_stuck = 0;

  if (!is_short_of_workers (self))
    return;

  if (n_going >= self->max_threads && self->n_blocked > 0)
    n_stuck = count_stuck (self);
  if (n_going - n_stuck < self->max_threads)
    want_stand_in (self);
}
