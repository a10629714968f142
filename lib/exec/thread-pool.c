/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Worker threads that run one task each at a time. Everything is under one lock: a thread that blocks costs more than
 * any lock.
 *
 * A WAIT ON A WORKER
 *   1. Somebody else can run what is queued: an idle worker, or one that may still be added. Then the worker just
 *      blocks.
 *   2. All workers that there may be are blocked. Then nobody runs what is queued, and each blocked worker runs, on
 *      its own stack, what it waits for and what has not started: the awaited task itself, or those of an awaited
 *      gather. Callbacks, which do not wait, are run by any of them.
 *   3. Nothing of that kind is left, and what it waits for can only come from tasks that wait themselves, in a
 *      circle: then the wait fails, with MORROW_ERROR_DEADLOCK. A promise, a timer, a thread, another executor's task
 *      count as able to settle, since they may be.
 *   4. Every worker, and main, is stuck: it waits for what nothing is sure to settle, a promise say, and a task that is
 *      queued may be the one to do so. Then that runs, on a worker beyond their number: a stand-in. Where a timer, a
 *      thread or a descriptor is sure to let one of them go on, the queue waits for that. They look again when an any of
 *      the pool's has lost one of its futures, which may have been the sure one.
 *   5. So too when a task yields: those that are queued may be what it looks for, and it would never see them run where
 *      all who work here yield like it. One stand-in goes on beside the workers, not counting those that are stuck.
 *
 * A stand-in is a thread as the others are: whoever comes when all workers have a job takes another only if one is to
 * stand in. It has a stack of its own, since on that of one who waits it would be in its way: what is queued may wait for
 * that one in turn, for a lock that it holds say, and a promise does not tell who is to resolve it.
 *
 * Main's thread is a home of the pool's tasks too while a run lasts, but no worker: it does not count among them, and
 * takes nothing from the queue.
 *
 * A task is claimed, and taken out of the queue, under the lock, be it by a worker or by whoever waits for it. */

#include "config.h"

#include <pthread.h>

#include <morrow/error.h>

#include "base/fork-private.h"
#include "exec/hopeless-private.h"
#include "exec/interrupt-private.h"
#include "exec/lane-private.h"
#include "exec/thread-home-private.h"

#define MAX_STAND_INS 256   /* beyond them, who is stuck waits as others do */

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
  MorrowList     claimed;       /* MorrowResident, on the stacks of those who run them: tasks that have not ended */
  GPtrArray     *threads;       /* GThread, owned */
  GHashTable    *waiting;       /* a MorrowTask that waits, mains among them, to the future that it waits for, NULL when that is
                                   a descriptor; borrowed */
  GHashTable    *above;         /* a MorrowTask that waits to the one that runs on top of it; borrowed */
  guint          n_idle;        /* workers that wait for work */
  guint          n_blocked;     /* workers that wait inside a task */
  guint          n_mains;       /* runs whose main has not ended */
  gboolean       wants_stand_in; /* one more job is to be taken than there are workers for */
  gboolean       no_more;       /* a thread could not be had: those that there are must do */
  gboolean       sweeping;      /* a run ends, or the pool: what is started now is swept at once */
  gboolean       stopping;      /* the pool ends, without a job: nothing is taken any more, and the workers end */
};

/**
 * MorrowThreadPool:
 *
 * Worker threads that run one task each at a time; a task that waits blocks its worker. What one does without an
 * event loop.
 *
 * When every worker waits for what only a task may bring about that is still queued, a promise to be resolved say, the
 * pool runs that too, on up to 256 threads more, which rest again afterwards.
 *
 * Dropped with tasks still alive, a pool cancels them as the end of a run does, and waits until they have ended. A task
 * that drops a pool waits in the middle of its thread: if the pool's tasks wait for another task of its loop then, that is for
 * ever. A task whose own pool has been dropped, which waits for the task, does not wait. Callbacks on the pool of what has not
 * settled are still called: they keep the pool, but not its tasks.
 */
G_DEFINE_FINAL_TYPE (MorrowThreadPool, morrow_thread_pool, MORROW_TYPE_EXECUTOR)

/* The lock is held by the caller of every function up to the next line of dashes.
 * ------------------------------------------------------------- */

static guint
n_workers_at_most (MorrowThreadPool *self)
{
  return self->no_more ? MIN (self->threads->len, self->max_threads) : self->max_threads;
}

static MorrowThreadPool *
executor_of (MorrowHome *home)
{
  return atomic_load_explicit (&morrow__container_of (home, MorrowThreadHome, home)->executor, memory_order_relaxed);
}

/* Nobody is there to take from the queue, now or later. */
static gboolean
all_are_blocked (MorrowThreadPool *self)
{
  return self->n_blocked >= n_workers_at_most (self);
}

/* Workers that have a job. */
static guint
count_busy (MorrowThreadPool *self)
{
  return self->threads->len - self->n_idle;
}

static gpointer worker_main (gpointer data);

static gboolean
add_worker (MorrowThreadPool *self, GError **error)
{
  GThread *thread = g_thread_try_new ("morrow-worker", worker_main, self, error);

  if (thread != NULL)
    g_ptr_array_add (self->threads, thread);
  else
    self->no_more = TRUE;
  return thread != NULL;
}

/* Adds a worker when there is more queued than idle workers to take it. */
static void
want_worker (MorrowThreadPool *self, GError **error)
{
  if (self->n_queued > self->n_idle && self->threads->len < n_workers_at_most (self))
    add_worker (self, error);
}

static MorrowJob *
take_callback (MorrowThreadPool *self)
{
  MorrowQueueNode *node = morrow__queue_pop (&self->callbacks);

  if (node == NULL)
    return NULL;

  self->n_queued--;
  return morrow__queue_entry (node, MorrowJob, node);
}

/* Takes a task out of the queue: the caller is to run it. FALSE when it has been taken before. */
static gboolean
claim (MorrowThreadPool *self, MorrowTask *task, MorrowResident *resident)
{
  if (!morrow__task_claim (task, MORROW_TASK_POOLED, MORROW_TASK_CLAIMED))
    return FALSE;

  self->n_queued--;
  morrow__list_remove (&task->link);
  resident->task = task;
  morrow__list_append (&self->claimed, &resident->link);
  return TRUE;
}

static MorrowThreadHome *
home_of (MorrowTask *task)
{
  return morrow__container_of (task->home, MorrowThreadHome, home);
}

static void
unpark_blocked (MorrowThreadPool *self)
{
  GHashTableIter all;
  gpointer task;

  g_hash_table_iter_init (&all, self->waiting);
  while (g_hash_table_iter_next (&all, &task, NULL))
    morrow__parker_unpark (&home_of (task)->parker);
}

/* --- deadlock ---------------------------------------------------------------------------------------------------- */

/* Its home is another executor's, which may go once it has settled (H1). */
static gboolean
lives_elsewhere (MorrowThreadPool *self, MorrowTask *task, MorrowHome *home)
{
  gboolean elsewhere;

  morrow__home_visit ();
  elsewhere = morrow__future_is_settled (&task->future) || home->klass != morrow__home->klass || executor_of (home) != self;
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
      return atomic_load_explicit (&task->pool_number, memory_order_relaxed) != self->number;
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

static gboolean
check_hope (MorrowThreadPool *self, MorrowTask *task, GError **error)
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

/* --- stand-ins ---------------------------------------------------------------------------------------------------- */

/* How many stacks wait for what nothing is sure to settle: workers', and mains'. None as long as one of them waits for
 * what it will run itself. */
static void
count_stuck (MorrowThreadPool *self, guint *ret_n_workers, guint *ret_n_mains)
{
  MorrowSearch search = MORROW_SEARCH (is_hopeless, TRUE, self);
  GHashTableIter all;
  gpointer task;

  *ret_n_workers = *ret_n_mains = 0;
  g_hash_table_iter_init (&all, self->waiting);
  while (g_hash_table_iter_next (&all, &task, NULL))
    {
      if (g_hash_table_contains (self->above, task) || !morrow__search_task (&search, task))
        continue;
      if (home_of (task)->is_worker)
        ++*ret_n_workers;
      else
        ++*ret_n_mains;
    }
  if (search.found_work)
    *ret_n_workers = *ret_n_mains = 0;
  morrow__search_clear (&search);
}

static gboolean
all_are_stuck (MorrowThreadPool *self)
{
  guint n_workers, n_mains;

  if (self->n_blocked < count_busy (self) || g_hash_table_size (self->waiting) < count_busy (self) + self->n_mains)
    return FALSE;

  count_stuck (self, &n_workers, &n_mains);
  return n_workers > 0 && n_workers == count_busy (self) && n_mains == self->n_mains;
}

/* Has a worker beyond their number take a job. */
static void
want_stand_in (MorrowThreadPool *self)
{
  self->wants_stand_in = self->n_idle > 0 || (self->threads->len < self->max_threads + MAX_STAND_INS && add_worker (self, NULL));
  if (self->n_idle > 0)
    pthread_cond_signal (&self->work);
}

static gboolean
is_short_of_workers (MorrowThreadPool *self)
{
  return self->n_queued > 0 && !self->wants_stand_in && count_busy (self) >= n_workers_at_most (self);
}

/* What is queued may be what all wait for. */
static void
relieve_stuck (MorrowThreadPool *self)
{
  if (is_short_of_workers (self) && all_are_stuck (self))
    want_stand_in (self);
}

/* A task on @home yields: what is queued may be what it looks for. Beside it and those who are stuck there are to be as
 * many who go on as there may be workers. */
static void
relieve_yielding (MorrowThreadPool *self, MorrowThreadHome *home)
{
  guint n_going = count_busy (self) - (home->is_worker ? 1 : 0), n_stuck = 0, n_mains;

  if (!is_short_of_workers (self))
    return;

  if (n_going >= self->max_threads && self->n_blocked > 0)
    count_stuck (self, &n_stuck, &n_mains);
  if (n_going - n_stuck < self->max_threads)
    want_stand_in (self);
}

/* --- tasks ------------------------------------------------------------------------------------------------------- */

static void
task_ended (MorrowThreadPool *self, MorrowResident *resident)
{
  pthread_mutex_lock (&self->lock);
  morrow__list_remove (&resident->link);
  pthread_cond_broadcast (&self->ended);
  pthread_mutex_unlock (&self->lock);

  morrow_future_unref (&resident->task->future);
}

static MorrowThreadHome *
home_here (void)
{
  return morrow__container_of (morrow__home, MorrowThreadHome, home);
}

static void
run_claimed (MorrowThreadPool *self, MorrowResident *resident)
{
  morrow__thread_home_run (home_here (), resident->task);
  task_ended (self, resident);
}

/* Claims it, to run it on top of the task that waits here. Under the lock it is on top from the moment that it is claimed. */
static gboolean
claim_here (MorrowThreadPool *self, MorrowTask *task, MorrowResident *resident)
{
  gboolean claimed;

  /* Acquire, in the look at the state: pairs with the release in add_task (), for the number. */
  if (morrow__task_get_state (task) != MORROW_TASK_POOLED ||
      atomic_load_explicit (&task->pool_number, memory_order_relaxed) != self->number)
    return FALSE;

  pthread_mutex_lock (&self->lock);
  claimed = claim (self, task, resident);
  if (claimed)
    g_hash_table_insert (self->above, morrow__home->current, morrow__future_ref (&task->future));
  pthread_mutex_unlock (&self->lock);
  return claimed;
}

/* Runs it on top of the task that waits here. FALSE when it is not for this thread to run, or not any more. */
static gboolean
run_on_top (MorrowThreadPool *self, MorrowTask *task)
{
  MorrowResident resident;

  if (!claim_here (self, task, &resident))
    return FALSE;

  run_claimed (self, &resident);

  pthread_mutex_lock (&self->lock);
  g_hash_table_remove (self->above, morrow__home->current);
  pthread_mutex_unlock (&self->lock);
  morrow_future_unref (&task->future);
  return TRUE;
}

static gboolean
add_awaited (MorrowFuture *future, gpointer awaited)
{
  g_ptr_array_add (awaited, morrow__future_ref (future));
  return TRUE;
}

/* Runs what a blocked worker waits for and what has not started, however deep it lies in gathers of gathers. TRUE when it
 * did. */
static gboolean
run_awaited (MorrowThreadPool *self, MorrowFuture *awaited)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func ((GDestroyNotify) morrow_future_unref);
  gboolean did = FALSE;

  add_awaited (awaited, all);
  for (guint i = 0; i < all->len; i++)
    {
      MorrowFuture *future = g_ptr_array_index (all, i);

      if (morrow__future_is_task (future))
        did |= run_on_top (self, (MorrowTask *) future);
      else if (!morrow__future_is_settled (future) && future->ops->visit_awaited != NULL)
        future->ops->visit_awaited (future, add_awaited, all);
    }
  return did;
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

static gboolean
before_wait (MorrowThreadHome *home, MorrowTask *task, MorrowFuture *awaited, GError **error)
{
  MorrowThreadPool *self = executor_of (&home->home);
  gboolean hope;

  pthread_mutex_lock (&self->lock);
  g_hash_table_insert (self->waiting, task, awaited);
  if (home->is_worker && home->parked->len == 1)
    self->n_blocked++;
  want_worker (self, NULL);
  if (all_are_blocked (self))
    unpark_blocked (self);                      /* each looks at what it waits for */
  hope = check_hope (self, task, error);
  pthread_mutex_unlock (&self->lock);

  return hope;
}

static void
callback_ended (MorrowThreadPool *self)
{
  pthread_mutex_lock (&self->lock);
  self->n_callbacks--;
  pthread_cond_broadcast (&self->ended);
  pthread_mutex_unlock (&self->lock);
}

/* Outside any task, though perhaps on the stack of one. */
static void
run_callback (MorrowThreadHome *home, MorrowJob *job)
{
  MorrowTask *current = home->home.current;

  home->home.current = NULL;
  job->run (job, FALSE);
  home->home.current = current;
  callback_ended (executor_of (&home->home));
}

static gboolean
idle_wait (MorrowThreadHome *home)
{
  MorrowThreadPool *self = executor_of (&home->home);
  MorrowJob *callback = NULL;
  gboolean all_blocked, did = FALSE;

  pthread_mutex_lock (&self->lock);
  all_blocked = all_are_blocked (self);
  if (all_blocked && home->is_worker)
    callback = take_callback (self);
  pthread_mutex_unlock (&self->lock);

  if (callback != NULL)
    {
      run_callback (home, callback);
      return TRUE;
    }

  for (guint i = home->parked->len; all_blocked && !did && i > 0; i--)
    {
      MorrowFuture *awaited = morrow__task_get_awaited (g_ptr_array_index (home->parked, i - 1));

      if (awaited != NULL)                      /* else it waits for a descriptor */
        did = run_awaited (self, awaited);
    }
  if (all_blocked && !did)
    {
      pthread_mutex_lock (&self->lock);
      relieve_stuck (self);
      pthread_mutex_unlock (&self->lock);
    }
  return did;
}

static gboolean
yield_worker (MorrowThreadHome *home)
{
  MorrowThreadPool *self = executor_of (&home->home);

  pthread_mutex_lock (&self->lock);
  relieve_yielding (self, home);
  pthread_mutex_unlock (&self->lock);

  return home->parked->len > 0 && idle_wait (home);
}

static void
after_wait (MorrowThreadHome *home, MorrowTask *task)
{
  MorrowThreadPool *self = executor_of (&home->home);

  pthread_mutex_lock (&self->lock);
  g_hash_table_remove (self->waiting, task);
  if (home->is_worker && home->parked->len == 1)
    self->n_blocked--;
  pthread_mutex_unlock (&self->lock);
}

static const MorrowBlocking blocking = { .before = before_wait, .idle = idle_wait, .after = after_wait, .yield = yield_worker };

static gboolean
yield_in_child (MorrowThreadHome *home)
{
  return FALSE;
}

/* Just blocks. */
static const MorrowBlocking blocking_in_child = { .yield = yield_in_child };

/* A task goes on in a new child: what else is the pool's is not there, and a thread of the parent's may have had the lock. */
static void
leave_pool (void)
{
  MorrowThreadHome *home = morrow__thread_home_here ();

  if (home != NULL && home->blocking == &blocking)
    home->blocking = &blocking_in_child;
}

MORROW__IN_EACH_CHILD (leave_pool)

/* --- workers ----------------------------------------------------------------------------------------------------- */

/* What a worker is to do. */
typedef struct
{
  MorrowJob     *callback;   /* or, when it is NULL, */
  MorrowResident resident;   /* a task that has been claimed */
} Work;

/* More than there may be workers are to be busy only where one stands in. */
static gboolean
take_next (MorrowThreadPool *self, Work *work)
{
  if (count_busy (self) >= self->max_threads && !self->stopping && !self->wants_stand_in && !(self->n_queued > 0 && all_are_stuck (self)))
    return FALSE;

  self->wants_stand_in = FALSE;
  work->callback = take_callback (self);
  return work->callback != NULL ||
         (!morrow__list_is_empty (&self->queue) &&
          claim (self, morrow__list_entry (self->queue.next, MorrowTask, link), &work->resident));
}

/* Waits for something to do; FALSE when the pool stops. */
static gboolean
take_work (MorrowThreadPool *self, Work *work)
{
  gboolean taken;

  pthread_mutex_lock (&self->lock);
  self->n_idle++;
  while (!(taken = take_next (self, work)) && !self->stopping)
    pthread_cond_wait (&self->work, &self->lock);
  self->n_idle--;
  pthread_mutex_unlock (&self->lock);

  return taken;
}

static gpointer
worker_main (gpointer data)
{
  MorrowThreadPool *self = data;
  MorrowThreadHome *home = morrow__thread_home_enter (&self->parent_instance, &blocking);
  Work work;

  morrow__executor_of_thread = &self->parent_instance;
  home->is_worker = TRUE;
  while (take_work (self, &work))
    {
      if (work.callback != NULL)
        run_callback (home, work.callback);
      else
        run_claimed (self, &work.resident);
    }
  morrow__thread_home_leave (home);
  return NULL;
}

/* Under the lock. */
static void
add_task (MorrowThreadPool *self, MorrowTask *task)
{
  morrow__list_append (&self->queue, &task->link);
  atomic_store_explicit (&task->pool_number, self->number, memory_order_relaxed);
  /* Release: pairs with the acquire in claim_here (), for the number. */
  atomic_store_explicit (&task->state, MORROW_TASK_POOLED, memory_order_release);
}

/* Under the lock. */
static void
add_callback (MorrowThreadPool *self, MorrowJob *job)
{
  morrow__queue_push (&self->callbacks, &job->node);
  self->n_callbacks++;
}

/* Under the lock. Takes the callback @job, or @task, unless there is nobody to run it, nor will be. */
static gboolean
take_job (MorrowThreadPool *self, MorrowJob *job, MorrowTask *task, GError **error)
{
  g_autoptr (GError) no_thread = NULL;

  if (self->stopping)
    {
      g_propagate_error (error, morrow__executor_closed_error ());
      return FALSE;
    }

  self->n_queued++;
  self->no_more = FALSE;                        /* perhaps this time */
  want_worker (self, &no_thread);
  if (self->threads->len == 0)
    {
      self->n_queued--;
      g_set_error (error, MORROW_ERROR, MORROW_ERROR_NO_THREAD, "No thread could be had for a task: %s", no_thread->message);
      return FALSE;
    }

  if (task != NULL)
    add_task (self, task);
  else
    add_callback (self, job);
  self->n_jobs++;
  return TRUE;
}

/* Takes the callback @job, or @task, or gives back why nobody ever will run it. */
static GError *
enqueue (MorrowThreadPool *self, MorrowJob *job, MorrowTask *task, gboolean *ret_sweep)
{
  GError *error = NULL;

  pthread_mutex_lock (&self->lock);
  if (take_job (self, job, task, &error))
    {
      pthread_cond_signal (&self->work);
      if (all_are_blocked (self))
        unpark_blocked (self);                  /* it may be what one of them waits for */
    }
  *ret_sweep = self->sweeping;
  pthread_mutex_unlock (&self->lock);

  return error;
}

/* In a forked child there are no workers, and the lock may be one's. */
static void
thread_pool_post (MorrowExecutor *executor, MorrowJob *job)
{
  GError *error = NULL;
  gboolean sweep, taken = FALSE;

  if (morrow__likely (morrow__executor_is_ours (executor)))
    {
      error = enqueue (MORROW_THREAD_POOL (executor), job, NULL, &sweep);
      taken = error == NULL;
    }

  if (!taken)
    job->run (job, TRUE);
  g_clear_error (&error);
}

static void
thread_pool_start (MorrowExecutor *executor, MorrowFuture *future)
{
  MorrowThreadPool *self = MORROW_THREAD_POOL (executor);
  MorrowTask *task = (MorrowTask *) future;
  gboolean sweep;
  GError *error;

  morrow__task_inherit_spared (task, executor);
  morrow__future_ref (future);                  /* this function's: for the sweep */
  error = enqueue (self, NULL, task, &sweep);
  if (error != NULL)
    {
      morrow__task_claim (task, MORROW_TASK_QUEUED, MORROW_TASK_CLAIMED);
      morrow__task_abandon (task, error);
      morrow_future_unref (future);
    }
  else if (sweep)
    {
      morrow__task_sweep (task);
    }
  morrow_future_unref (future);
}

/* Those who wait look again whether they are stuck. */
static void
thread_pool_reconsider (MorrowExecutor *executor)
{
  MorrowThreadPool *self = MORROW_THREAD_POOL (executor);

  pthread_mutex_lock (&self->lock);
  if (self->n_queued > 0 && all_are_blocked (self))
    unpark_blocked (self);
  pthread_mutex_unlock (&self->lock);
}

/* --- runs -------------------------------------------------------------------------------------------------------- */

static void
mark_swept (MorrowTask *task, GPtrArray *left)
{
  if (morrow__task_mark_swept (task))
    g_ptr_array_add (left, morrow__future_ref (&task->future));
}

/* Cancels what is left over, and what is started from now on. All are marked before one is asked, since that may be passed on
 * to another, which cleans up as what is swept does. */
static void
sweep (MorrowThreadPool *self)
{
  g_autoptr (GPtrArray) left = g_ptr_array_new_with_free_func ((GDestroyNotify) morrow_future_unref);

  pthread_mutex_lock (&self->lock);
  self->sweeping = TRUE;
  morrow__list_foreach (&self->claimed, node)
    mark_swept (morrow__list_entry (node, MorrowResident, link)->task, left);
  morrow__list_foreach (&self->queue, node)
    mark_swept (morrow__list_entry (node, MorrowTask, link), left);
  pthread_mutex_unlock (&self->lock);

  for (guint i = 0; i < left->len; i++)
    morrow_future_cancel (g_ptr_array_index (left, i));
}

/* Under the lock: until no task is alive, and no callback is queued or running. Returns: how many jobs there have been so far. */
static gulong
wait_for_jobs (MorrowThreadPool *self)
{
  while (!morrow__list_is_empty (&self->queue) || !morrow__list_is_empty (&self->claimed) || self->n_callbacks > 0)
    pthread_cond_wait (&self->ended, &self->lock);
  return self->n_jobs;
}

/* Tasks and callbacks may still give work to threads, and these may still make some of them: until there was none of
 * all from one look to the next. */
static void
wait_for_all (MorrowThreadPool *self)
{
  gulong n_jobs;

  pthread_mutex_lock (&self->lock);
  do
    {
      n_jobs = wait_for_jobs (self);
      pthread_mutex_unlock (&self->lock);
      morrow__lane_join (&self->parent_instance);
      pthread_mutex_lock (&self->lock);
    }
  while (wait_for_jobs (self) != n_jobs);
  pthread_mutex_unlock (&self->lock);
}

static void
finish (MorrowThreadPool *self)
{
  sweep (self);
  wait_for_all (self);

  pthread_mutex_lock (&self->lock);
  self->sweeping = FALSE;
  pthread_mutex_unlock (&self->lock);
}

static void
add_mains (MorrowThreadPool *self, gint n)
{
  pthread_mutex_lock (&self->lock);
  self->n_mains += n;
  pthread_mutex_unlock (&self->lock);
}

static gboolean
thread_pool_run (MorrowExecutor *executor, MorrowFuture *main, gboolean *ret_interrupted, GError **error)
{
  MorrowThreadPool *self = MORROW_THREAD_POOL (executor);
  MorrowThreadHome *home = morrow__thread_home_enter (executor, &blocking);
  MorrowInterrupt interrupt;

  morrow__task_claim ((MorrowTask *) main, MORROW_TASK_LAZY, MORROW_TASK_CLAIMED);
  morrow__interrupt_begin (&interrupt, main, NULL, &home->parker);
  add_mains (self, 1);
  morrow__thread_home_run (home, (MorrowTask *) main);
  add_mains (self, -1);
  finish (self);
  *ret_interrupted = morrow__interrupt_end (&interrupt);
  morrow__thread_home_leave (home);
  return TRUE;
}

static guint
thread_pool_get_n_threads (MorrowExecutor *executor)
{
  return MORROW_THREAD_POOL (executor)->max_threads;
}

/* --- life -------------------------------------------------------------------------------------------------------- */

/* Cancels what is still alive, waits until it has ended, and ends the workers once they have done what was submitted. */
static void
shut_down (MorrowThreadPool *self)
{
  sweep (self);
  wait_for_all (self);

  pthread_mutex_lock (&self->lock);
  wait_for_jobs (self);
  self->stopping = TRUE;                        /* at a moment without a job, and there will be none */
  pthread_cond_broadcast (&self->work);
  pthread_mutex_unlock (&self->lock);

  for (guint i = 0; i < self->threads->len; i++)
    g_thread_join (g_ptr_array_index (self->threads, i));
  g_ptr_array_set_size (self->threads, 0);
}

static void
thread_pool_sweep (MorrowExecutor *executor)
{
  finish (MORROW_THREAD_POOL (executor));
}

static gboolean
thread_pool_outlives_users (MorrowExecutor *executor)
{
  return TRUE;
}

static void
thread_pool_end (MorrowExecutor *executor)
{
  if (morrow__executor_is_ours (executor))
    shut_down (MORROW_THREAD_POOL (executor));
}

static void
morrow_thread_pool_finalize (GObject *object)
{
  MorrowThreadPool *self = MORROW_THREAD_POOL (object);

  g_ptr_array_unref (self->threads);
  g_hash_table_unref (self->waiting);
  g_hash_table_unref (self->above);
  pthread_cond_destroy (&self->ended);
  pthread_cond_destroy (&self->work);
  pthread_mutex_destroy (&self->lock);

  G_OBJECT_CLASS (morrow_thread_pool_parent_class)->finalize (object);
}

static void
morrow_thread_pool_class_init (MorrowThreadPoolClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = morrow_thread_pool_finalize;
  klass->outlives_users = thread_pool_outlives_users;
  klass->arrange_end = morrow__lane_arrange_end_of_pool;
  klass->sweep = thread_pool_sweep;
  klass->end = thread_pool_end;
  klass->post = thread_pool_post;
  klass->start = thread_pool_start;
  klass->run = thread_pool_run;
  klass->get_n_threads = thread_pool_get_n_threads;
  klass->reconsider = thread_pool_reconsider;
}

static void
morrow_thread_pool_init (MorrowThreadPool *self)
{
  static atomic_uint n_pools;   /* any thread: relaxed, a number is all that it hands out */
  pthread_mutexattr_t recursive;

  self->number = atomic_fetch_add_explicit (&n_pools, 1, memory_order_relaxed);
  pthread_mutexattr_init (&recursive);
  pthread_mutexattr_settype (&recursive, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init (&self->lock, &recursive);
  pthread_mutexattr_destroy (&recursive);
  pthread_cond_init (&self->work, NULL);
  pthread_cond_init (&self->ended, NULL);
  morrow__queue_init (&self->callbacks);
  morrow__list_init (&self->queue);
  morrow__list_init (&self->claimed);
  self->threads = g_ptr_array_new ();
  self->waiting = g_hash_table_new (NULL, NULL);
  self->above = g_hash_table_new (NULL, NULL);
}

/**
 * morrow_thread_pool_new:
 * @max_threads: how many workers there may be, not counting those that stand in for others that wait; 0 for the number of
 *   processors
 *
 * Makes a pool. Its threads are started as they are needed. When the pool goes, they do what is queued, and end.
 *
 * Returns: (transfer full) (type MorrowThreadPool): a pool
 */
MorrowExecutor *
morrow_thread_pool_new (guint max_threads)
{
  MorrowThreadPool *self = g_object_new (MORROW_TYPE_THREAD_POOL, NULL);

  self->max_threads = max_threads != 0 ? max_threads : g_get_num_processors ();
  return &self->parent_instance;
}
