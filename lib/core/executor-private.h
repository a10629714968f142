/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an executor is to the core: something that takes jobs from any thread and runs each once. The models are in
 * exec/. */

#pragma once

#include <stdatomic.h>
#include <unistd.h>

#include <morrow/executor.h>

#include "base/alone-private.h"
#include "base/list-private.h"
#include "base/ring-private.h"

typedef struct _MorrowJob MorrowJob;

/* Something to be run once, in the memory of whoever wants it run: in one queue at a time. */
struct _MorrowJob
{
  MorrowQueueNode node;   /* whoever owns the queue that it is in */

  /* closed: the executor is closed and runs no more user code; the job releases what it holds. */
  void          (*run) (MorrowJob *self, gboolean closed);
};

struct _MorrowExecutor
{
  GObject     parent_instance;

  atomic_uint holds;      /* any thread: internal uses, one for all references of users, and one of its own until it has
                             ended; see "Life" in executor.c */
  guint       life;       /* under the lock of executor.c */
  guint       forks;      /* immutable: morrow__forks when it was made */
  MorrowQueue *ready;     /* immutable: where post () puts what comes from this executor's own code, if it does no more; else NULL */
  atomic_int  running;    /* any thread: an exchange decides whose run it is */
  gulong      n_errands;  /* under the lane's lock: those given from here that have ended, ever */
};

struct _MorrowExecutorClass
{
  GObjectClass parent_class;

  /* Any thread: queues a job. */
  void      (*post)          (MorrowExecutor *self, MorrowJob *job);

  /* Any thread: starts a coroutine, which has been marked as started and which the executor now holds a reference of. */
  void      (*start)         (MorrowExecutor *self, MorrowFuture *task);

  /* The calling thread: starts main (a coroutine, borrowed), runs until it has settled, then sweeps up what is left
   * over. Tells whether SIGINT came. */
  gboolean  (*run)           (MorrowExecutor *self, MorrowFuture *main, gboolean *ret_interrupted, GError **error);

  /* Any thread, by who has a reference: queues work to be run once. Where a class has nothing better it is posted as a job. */
  void      (*submit)        (MorrowExecutor *self, MorrowWorkFunc func, gpointer data, GDestroyNotify data_free);

  guint     (*get_n_threads) (MorrowExecutor *self);

  /* Any thread: what its tasks wait for has not settled, but may have nothing left that is sure to settle it. May be NULL. */
  void      (*reconsider)    (MorrowExecutor *self);

  /* Any thread, and no more than a look: whether it runs though no user has a reference, so that what holds it keeps it
   * running. NULL: it does not, and what is queued on it then is let go. */
  gboolean  (*outlives_users) (MorrowExecutor *self);

  /* Any thread: has morrow__executor_wind_up () called, where it may wait: at once if @here says that this thread may and, of a
   * pool, E3 as well; else elsewhere. */
  void      (*arrange_end)   (MorrowExecutor *self, gboolean here);

  /* Where morrow__executor_wind_up () was called, which may wait: cancels the tasks that live here, and waits until they have
   * ended, and what was queued has run. Then it goes on as before. NULL: nothing but its tasks keeps it, or nothing does. */
  void      (*sweep)         (MorrowExecutor *self);

  /* There too, or where the executor that it is a part of ends: when it returns, all that lived here has settled, what was
   * queued has gone, and what comes is refused. What is left for finalize () is memory and descriptors. */
  void      (*end)           (MorrowExecutor *self);
};

typedef struct _MorrowExecutorClass MorrowExecutorClass;

/* The models add nothing to it. */
typedef MorrowExecutorClass MorrowLoopClass;
typedef MorrowExecutorClass MorrowThreadPoolClass;
typedef MorrowExecutorClass MorrowLoopPoolClass;
typedef MorrowExecutorClass MorrowInlineClass;

#define MORROW_EXECUTOR_GET_CLASS(obj) (G_TYPE_INSTANCE_GET_CLASS ((obj), MORROW_TYPE_EXECUTOR, MorrowExecutorClass))

/* The executor whose code runs on this thread; written by that executor only, NULL on a plain thread. */
extern __thread MorrowExecutor *morrow__executor_current;

/* Whose thread this is: a pool's, or that of work that was given to a thread from an executor, or of a pool's end. NULL on any
 * other; written as the thread begins, and as the work does and ends. */
extern __thread MorrowExecutor *morrow__executor_of_thread;

/* How many reasons this thread has not to wait for the end of an executor: it visits a home, say, or serves all that wait. */
extern __thread guint morrow__executor_n_reasons;

/* foreign.c: an executor over this thread's thread-default GMainContext, held. */
MorrowExecutor *morrow__foreign_new_held (void);

/* What a class does with submitted work that has nothing better. */
void      morrow__executor_post_work   (MorrowExecutor *self, MorrowWorkFunc func, gpointer data, GDestroyNotify data_free);

/* Life: see executor.c. */
void      morrow__executor_let_go      (MorrowExecutor *self, guint n_holds);
void      morrow__executor_wind_up     (MorrowExecutor *self);
void      morrow__executor_end         (MorrowExecutor *self);
void      morrow__executor_has_ended   (MorrowExecutor *self);
gboolean  morrow__executor_is_in_use   (MorrowExecutor *self);

/* How many fork () lie between the first executor's process and this one; written in the child of each, before it has threads. */
extern G_GNUC_INTERNAL guint morrow__forks;

void      morrow__executor_set_forked (GError **error);

/* Returns: owned. */
GError   *morrow__executor_closed_error (void);

/* Runs what was submitted, unless the executor has been @closed, and releases its data. */
static inline void
morrow__executor_do_work (const MorrowRingItem *work, gboolean closed)
{
  if (!closed)
    work->func (work->data);
  if (work->data_free != NULL)
    work->data_free (work->data);
}

/* What post () does, where it takes no call; else FALSE. */
static inline gboolean
morrow__executor_post_here (MorrowExecutor *self, MorrowJob *job)
{
  MorrowExecutor *here = morrow__executor_current, *same = morrow__apart (here);

  if (morrow__seldom (self != here || same->ready == NULL))
    return FALSE;
  morrow__queue_push (same->ready, &job->node);
  return TRUE;
}

static inline void
morrow__executor_post (MorrowExecutor *self, MorrowJob *job)
{
  MORROW_EXECUTOR_GET_CLASS (self)->post (self, job);
}

static inline void
morrow__executor_hold (MorrowExecutor *self)
{
  /* Relaxed: whoever holds has a reference or a hold already. */
  morrow__fetch_add (&self->holds, 1, memory_order_relaxed);
}

/* Whose code runs here, in a task, a callback or work for a thread; NULL where nobody's does. */
static inline MorrowExecutor *
morrow__executor_here (void)
{
  return morrow__executor_current != NULL ? morrow__executor_current : morrow__executor_of_thread;
}

/* The executor that a callback attached here runs on, held: the current one; on a plain thread a foreign one. */
static inline MorrowExecutor *
morrow__executor_hold_for_callback (void)
{
  MorrowExecutor *here = morrow__executor_current;

  if (morrow__seldom (here == NULL))
    return morrow__foreign_new_held ();

  morrow__executor_hold (here);
  return here;
}

static inline void
morrow__executor_release (MorrowExecutor *self)
{
  /* Acquire and release: E1; what was done under the hold comes before the executor ends, and before the object goes. */
  guint n_holds = morrow__fetch_sub (&self->holds, 1, memory_order_acq_rel) - 1;

  if (morrow__seldom (n_holds <= 1))
    morrow__executor_let_go (self, n_holds);
}

/* A process that was forked has its parent's memory, but none of its threads. */
static inline gboolean
morrow__executor_is_ours (MorrowExecutor *self)
{
  return self->forks == morrow__forks;
}
