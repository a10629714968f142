/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A thread pool as its own files see it: thread-pool.c has its runs and its life, thread-worker.c the queue and the workers,
 * thread-wait.c what a worker does while its task waits, thread-stuck.c which waits are hopeless, and who stands in.
 *
 * Everything is under one lock: a thread that blocks costs more than any lock. */

#pragma once

#include <pthread.h>

#include "exec/thread-home-private.h"

struct _MorrowThreadPool
{
  MorrowExecutor parent_instance;

  guint          max_threads;   /* immutable */
  guint          number;        /* immutable: which pool it is, to who may not touch it */

  pthread_mutex_t lock;         /* for all below; recursive, since who looks at a gather may be the one to settle it,
                                   which may start the next of its tasks here */
  pthread_cond_t work;          /* there is something in a queue, or the pool stops */
  pthread_cond_t ended;         /* a task has ended, or a callback */
  MorrowQueue    callbacks;     /* jobs that do not wait: they go first */
  MorrowList     queue;         /* MorrowTask, by link */
  guint          n_queued;      /* in both */
  guint          n_callbacks;   /* jobs that do not wait: queued, or running */
  gulong         n_jobs;        /* there have been so far, of both kinds */
  guint          n_taken;       /* looks for one that workers took */
  MorrowList     claimed;       /* MorrowResident, on the stacks of those who run them: tasks that have not ended */
  GPtrArray     *threads;       /* GThread, owned */
  GHashTable    *waiting;       /* a MorrowTask that waits, mains among them, to the future that it waits for, NULL when that is
                                   a descriptor; borrowed */
  MorrowList     blocked;       /* MorrowThreadHome, where these wait */
  GHashTable    *above;         /* a MorrowTask that waits to the one that runs on top of it; borrowed */
  guint          n_idle;        /* workers that wait for work */
  guint          n_blocked;     /* workers that wait inside a task */
  guint          n_mains;       /* runs whose main has not ended */
  gboolean       wants_stand_in; /* one more job is to be taken than there are workers for */
  gboolean       no_more;       /* a thread could not be had: those that there are must do */
  gboolean       sweeping;      /* a run ends, or the pool: what is started now is swept at once */
  gboolean       stopping;      /* the pool ends, without a job: nothing is taken any more, and the workers end */
};

/* thread-worker.c. Under the lock: */
gboolean   morrow__thread_pool_add_worker       (MorrowThreadPool *self, GError **error);
void       morrow__thread_pool_want_worker      (MorrowThreadPool *self, GError **error);
MorrowJob *morrow__thread_pool_take_callback    (MorrowThreadPool *self);
gboolean   morrow__thread_pool_claim            (MorrowThreadPool *self, MorrowTask *task, MorrowResident *resident);
gboolean   morrow__thread_pool_has_queued       (MorrowThreadPool *self, MorrowTask *task);

/* Without it: */
GError    *morrow__thread_pool_enqueue          (MorrowThreadPool *self, MorrowJob *job, MorrowTask *task, gboolean *ret_sweep);
void       morrow__thread_pool_run_claimed      (MorrowThreadPool *self, MorrowResident *resident);
void       morrow__thread_pool_abandon_claimed  (MorrowThreadPool *self, MorrowResident *resident, GError *error);
void       morrow__thread_pool_run_callback     (MorrowThreadHome *home, MorrowJob *job);

/* thread-wait.c. What a home of the pool's tasks does around a wait; and, under the lock: */
extern G_GNUC_INTERNAL const MorrowBlocking morrow__thread_pool_blocking;

void       morrow__thread_pool_unpark_blocked   (MorrowThreadPool *self);

/* thread-stuck.c. Under the lock: */
gboolean   morrow__thread_pool_check_hope       (MorrowThreadPool *self, MorrowTask *task, GError **error);
gboolean   morrow__thread_pool_all_are_stuck    (MorrowThreadPool *self);
void       morrow__thread_pool_relieve_stuck    (MorrowThreadPool *self);
void       morrow__thread_pool_relieve_yielding (MorrowThreadPool *self, MorrowThreadHome *home);

/* Whose tasks a home runs. */
static inline MorrowThreadPool *
morrow__thread_pool_of (MorrowHome *home)
{
  return atomic_load_explicit (&morrow__container_of (home, MorrowThreadHome, home)->executor, memory_order_relaxed);
}

/* The rest is under the lock. */
static inline guint
morrow__thread_pool_n_workers_at_most (MorrowThreadPool *self)
{
  return self->no_more ? MIN (self->threads->len, self->max_threads) : self->max_threads;
}

/* Nobody is there to take from the queue, now or later. */
static inline gboolean
morrow__thread_pool_all_are_blocked (MorrowThreadPool *self)
{
  return self->n_blocked >= morrow__thread_pool_n_workers_at_most (self);
}

/* Workers that have a job. */
static inline guint
morrow__thread_pool_count_busy (MorrowThreadPool *self)
{
  return self->threads->len - self->n_idle;
}
