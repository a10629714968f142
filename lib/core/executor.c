/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The executor's interface, and what all models have in common. The models themselves are in exec/. */

#include "config.h"

#include <pthread.h>

#include <morrow/error.h>

#include "base/alone-private.h"
#include "base/cache-private.h"
#include "core/executor-private.h"
#include "core/foreign-private.h"
#include "core/future-private.h"

/**
 * MorrowExecutor:
 *
 * Where work runs: #MorrowLoop, #MorrowThreadPool, #MorrowLoopPool or #MorrowInline.
 *
 * The concurrency model is the caller's choice at run time: a program names its executor in one place and is the same
 * for all.
 */
G_DEFINE_ABSTRACT_TYPE (MorrowExecutor, morrow_executor, G_TYPE_OBJECT)

/* A morrow_executor_submit () as a job. */
typedef struct
{
  MorrowJob      job;        /* the executor's */
  MorrowRingItem item;       /* immutable */
} Work;

__thread MorrowExecutor *morrow__executor_current;
guint morrow__forks;

static guint
executor_one_thread (MorrowExecutor *self)
{
  return 1;
}

static void
count_fork (void)
{
  morrow__forks++;
}

static void
morrow_executor_class_init (MorrowExecutorClass *klass)
{
  klass->get_n_threads = executor_one_thread;
  pthread_atfork (NULL, NULL, count_fork);
}

/* LIFE Internal uses hold the executor: they are counted apart from GObject references, since one of those costs twice an
 * atomic addition, and since what is queued on an executor that nobody can run any more must not keep it. All holds
 * together own one reference, a toggle reference, by which GObject tells when it is the only one left. The references
 * of users together are one hold. With the last of them the executor is abandoned, with the last hold it goes. */
static void
users_changed (gpointer data, GObject *object, gboolean none_left)
{
  MorrowExecutor *self = (MorrowExecutor *) object;

  if (!none_left)
    {
      morrow__executor_hold (self);
      return;
    }

  if (MORROW_EXECUTOR_GET_CLASS (self)->abandon != NULL)
    MORROW_EXECUTOR_GET_CLASS (self)->abandon (self);
  morrow__executor_release (self);
}

static void
morrow_executor_init (MorrowExecutor *self)
{
  self->forks = morrow__forks;
  atomic_init (&self->holds, 1);
  g_object_add_toggle_ref (G_OBJECT (self), users_changed, NULL);
}

/* Nothing holds it any more. */
void
morrow__executor_let_go (MorrowExecutor *self)
{
  g_object_remove_toggle_ref (G_OBJECT (self), users_changed, NULL);
}

MorrowExecutor *
morrow__executor_hold_for_callback (void)
{
  if (G_UNLIKELY (morrow__executor_current == NULL))
    return morrow__foreign_new_held ();

  morrow__executor_hold (morrow__executor_current);
  return morrow__executor_current;
}

void
morrow__executor_set_forked (GError **error)
{
  g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_FORKED,
                       "This executor was made by the parent of this process, and cannot be used after fork ()");
}

/**
 * morrow_executor_get_current:
 *
 * Tells where the calling code runs.
 *
 * Returns: (transfer none) (nullable): the executor; %NULL on a thread that runs none
 */
MorrowExecutor *
morrow_executor_get_current (void)
{
  return morrow__executor_current;
}

/**
 * morrow_executor_get_n_threads:
 * @self: an executor
 *
 * Tells on how many threads @self may run tasks at the same time.
 *
 * Returns: the number of threads, at least 1
 */
guint
morrow_executor_get_n_threads (MorrowExecutor *self)
{
  g_return_val_if_fail (MORROW_IS_EXECUTOR (self), 1);

  return MORROW_EXECUTOR_GET_CLASS (self)->get_n_threads (self);
}

void
morrow__executor_do_work (const MorrowRingItem *work, gboolean closed)
{
  if (!closed)
    work->func (work->data);
  if (work->data_free != NULL)
    work->data_free (work->data);
}

static void
work_run (MorrowJob *job, gboolean closed)
{
  Work *self = (Work *) job;

  morrow__executor_do_work (&self->item, closed);
  morrow__cache_free (sizeof (Work), self);
}

/* As MORROW_IS_EXECUTOR (), whose walk through the types takes longer than to queue work: what had its class was one the last
 * time. */
static inline gboolean
is_executor (MorrowExecutor *self)
{
  static _Atomic (gpointer) known;   /* any thread, relaxed: a class, and these never go */
  gpointer klass = self != NULL ? MORROW_EXECUTOR_GET_CLASS (self) : NULL;

  if (G_LIKELY (klass != NULL && klass == atomic_load_explicit (&known, memory_order_relaxed)))
    return TRUE;
  if (!MORROW_IS_EXECUTOR (self))
    return FALSE;

  atomic_store_explicit (&known, klass, memory_order_relaxed);
  return TRUE;
}

/**
 * morrow_executor_submit:
 * @self: an executor
 * @func: (scope notified) (closure data) (destroy data_free): what to run
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, on the executor, after @func or instead of it
 *
 * Runs @func on @self, once, outside any task, and forgets it: there is no result, no name and no cancelling. The
 * cheapest way to hand work over.
 *
 * A thread outside that submits to a #MorrowLoopPool faster than it is done is held back: with a thousand pieces of work
 * waiting, the call waits until half of them have begun, for 10 ms at most, and not again for 100 ms if that was in vain.
 * Then they are queued without bound, as they always are for who runs tasks or dispatches a main loop.
 *
 * On an executor that is closed, @func is not run.
 */
void
morrow_executor_submit (MorrowExecutor *self, MorrowWorkFunc func, gpointer data, GDestroyNotify data_free)
{
  MorrowExecutorClass *klass;
  Work *work;

  g_return_if_fail (is_executor (self) && func != NULL);

  klass = MORROW_EXECUTOR_GET_CLASS (self);
  if (klass->submit != NULL && klass->submit (self, func, data, data_free))
    return;

  work = morrow__cache_alloc (sizeof (Work));
  work->job.run = work_run;
  work->item = (MorrowRingItem) { .func = func, .data = data, .data_free = data_free };
  morrow__executor_post (self, &work->job);
}
