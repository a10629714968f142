/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Worker threads that run one task each at a time. Everything is under one lock: a thread that blocks costs more than
 * any lock.
 *
 * A WAIT ON A WORKER
 *   1. Somebody else can run what is queued: an idle worker, or one that may still be added. Then the worker just
 *      blocks.
 *   2. All workers that there may be are blocked. Then nobody runs what is queued, and each blocked worker runs, on
 *      its own stack, what it waits for and what has not started: the awaited task itself, or those of an awaited
 *      gather.
 *   3. Nothing of that kind is left, and what it waits for can only come from tasks that wait themselves, in a
 *      circle: then the wait fails, with MORROW_ERROR_DEADLOCK. A promise, a timer, a thread, another executor's task
 *      count as able to settle, since they may be.
 *
 * Main's thread is a home of the pool's tasks too while a run lasts, but no worker: it does not count among them, and
 * takes nothing from the queue.
 *
 * A task that is run by whoever waits for it stays in the queue; the worker that comes upon it finds it claimed. So
 * the queue has a reference of its own. */

#include "config.h"

#include <pthread.h>

#include <morrow/error.h>

#include "exec/interrupt-private.h"
#include "exec/lane-private.h"
#include "exec/thread-home-private.h"

struct _MorrowThreadPool
{
  MorrowExecutor parent_instance;

  guint          max_threads;   /* immutable */

  pthread_mutex_t         lock;          /* for all below */
  pthread_cond_t          work;          /* there is something in the queue, or the pool stops */
  pthread_cond_t          ended;         /* a task has ended */
  MorrowQueue    queue;         /* jobs */
  guint          n_queued;
  MorrowList     tasks;         /* those that were started and have not ended */
  GPtrArray     *threads;       /* GThread, owned */
  GPtrArray     *blocked;       /* MorrowThreadHome: those that wait, main's among them; borrowed */
  guint          n_idle;        /* workers that wait for work */
  guint          n_blocked;     /* workers that wait inside a task */
  gboolean       no_more;       /* a thread could not be had: those that there are must do */
  guint          n_sweeping;    /* runs that are ending: what is started now is swept at once */
  gboolean       stopping;
};

/**
 * MorrowThreadPool:
 *
 * Worker threads that run one task each at a time; a task that waits blocks its worker. What one does without an
 * event loop.
 */
G_DEFINE_FINAL_TYPE (MorrowThreadPool, morrow_thread_pool, MORROW_TYPE_EXECUTOR)

static void task_run (MorrowJob *job, gboolean closed);

/* The lock is held by the caller of every function up to the next line of dashes.
 * ------------------------------------------------------------- */

static guint
n_workers_at_most (MorrowThreadPool *self)
{
  return self->no_more ? self->threads->len : self->max_threads;
}

/* Nobody is there to take from the queue, now or later. */
static gboolean
all_are_blocked (MorrowThreadPool *self)
{
  return self->n_blocked >= n_workers_at_most (self);
}

static gpointer worker_main (gpointer data);

/* Adds a worker when there is more queued than idle workers to take it. */
static void
want_worker (MorrowThreadPool *self, GError **error)
{
  GThread *thread;

  if (self->n_queued <= self->n_idle || self->threads->len >= n_workers_at_most (self))
    return;

  thread = g_thread_try_new ("morrow-worker", worker_main, self, error);
  if (thread != NULL)
    g_ptr_array_add (self->threads, thread);
  else
    self->no_more = TRUE;
}

static void
unpark_blocked (MorrowThreadPool *self)
{
  for (guint i = 0; i < self->blocked->len; i++)
    morrow__parker_unpark (&((MorrowThreadHome *) g_ptr_array_index (self->blocked, i))->parker);
}

/* --- deadlock ---------------------------------------------------------------------------------------------------- */

typedef struct
{
  MorrowThreadPool *pool;
  GHashTable       *seen;   /* MorrowFuture to whether it is hopeless; TRUE while it is being looked at, which closes a circle */
} Search;

static gboolean is_hopeless (MorrowFuture *future, gpointer data);

static gboolean
search_task (MorrowTask *task, Search *search)
{
  MorrowHome *home = morrow__task_get_home (task);

  if (home == NULL || home->klass != morrow__home->klass || ((MorrowThreadHome *) home)->executor != search->pool)
    return FALSE;                                /* not started, or somebody else's */
  return task->awaiting != NULL && is_hopeless (task->awaiting, search);
}

/* Whether nothing can settle @future any more. */
static gboolean
is_hopeless (MorrowFuture *future, gpointer data)
{
  Search *search = data;
  gpointer known;
  gboolean hopeless;

  if (morrow__future_is_settled (future) || future->ops->visit_awaited == NULL)
    return FALSE;
  if (g_hash_table_lookup_extended (search->seen, future, NULL, &known))
    return GPOINTER_TO_INT (known);

  g_hash_table_insert (search->seen, future, GINT_TO_POINTER (TRUE));
  if (morrow__future_is_task (future))
    hopeless = search_task ((MorrowTask *) future, search);
  else
    hopeless = future->ops->visit_awaited (future, is_hopeless, search);
  g_hash_table_insert (search->seen, future, GINT_TO_POINTER (hopeless));

  return hopeless;
}

static gboolean
check_hope (MorrowThreadPool *self, MorrowTask *task, MorrowFuture *awaited, GError **error)
{
  Search search = { .pool = self, .seen = g_hash_table_new (NULL, NULL) };
  gboolean hopeless;

  g_hash_table_insert (search.seen, &task->future, GINT_TO_POINTER (TRUE));
  hopeless = is_hopeless (awaited, &search);
  g_hash_table_unref (search.seen);

  if (hopeless)
    g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_DEADLOCK,
                         "This wait would last for ever: what is awaited waits, in a circle, for tasks of the same thread pool that wait for it");
  return !hopeless;
}

/* --- tasks ------------------------------------------------------------------------------------------------------- */

static void
task_ended (MorrowThreadPool *self, MorrowTask *task)
{
  pthread_mutex_lock (&self->lock);
  morrow__list_remove (&task->link);
  pthread_cond_broadcast (&self->ended);
  pthread_mutex_unlock (&self->lock);

  morrow_future_unref (&task->future);
}

static MorrowThreadHome *
home_here (void)
{
  return morrow__container_of (morrow__home, MorrowThreadHome, home);
}

static void
run_claimed (MorrowThreadPool *self, MorrowTask *task)
{
  morrow__thread_home_run (home_here (), task);
  task_ended (self, task);
}

/* A job from the queue, with the queue's reference. */
static void
task_run (MorrowJob *job, gboolean closed)
{
  MorrowTask *task = morrow__task_of_job (job);
  MorrowThreadPool *self = MORROW_THREAD_POOL (morrow__executor_current);

  if (!morrow__task_claim (task, MORROW_TASK_OFFERED, MORROW_TASK_CLAIMED))
    ;                                           /* whoever waited for it has run it */
  else if (!closed)
    run_claimed (self, task);
  else
    {
      morrow__task_abandon (task, g_error_new_literal (MORROW_ERROR, MORROW_ERROR_CLOSED, "The executor has been closed"));
      task_ended (self, task);
    }
  morrow_future_unref (&task->future);
}

/* Runs what a blocked worker waits for and what has not started. TRUE when it did. */
static gboolean
run_awaited (MorrowFuture *future, gpointer data)
{
  MorrowTask *task = (MorrowTask *) future;
  gboolean *did = data;

  if (!morrow__future_is_task (future))
    {
      if (!morrow__future_is_settled (future) && future->ops->visit_awaited != NULL)
        future->ops->visit_awaited (future, run_awaited, data);
    }
  else if (morrow__task_get_state (task) == MORROW_TASK_OFFERED && task->offered_by == home_here ()->executor &&
           morrow__task_claim (task, MORROW_TASK_OFFERED, MORROW_TASK_CLAIMED))
    {
      morrow__future_ref (future);
      run_claimed (home_here ()->executor, task);
      morrow_future_unref (future);
      *did = TRUE;
    }
  return TRUE;
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

static __thread gboolean is_worker;   /* this thread: whether it counts among the workers */
static __thread gboolean is_orphan;   /* this thread: a worker that ran a job which let go of the last of the pool */

static gboolean
before_wait (MorrowThreadHome *home, MorrowTask *task, MorrowFuture *awaited, GError **error)
{
  MorrowThreadPool *self = home->executor;
  gboolean hope;

  pthread_mutex_lock (&self->lock);
  if (home->parked->len == 1)
    {
      g_ptr_array_add (self->blocked, home);
      self->n_blocked += is_worker ? 1 : 0;
    }
  want_worker (self, NULL);
  if (all_are_blocked (self))
    unpark_blocked (self);                      /* each looks at what it waits for */
  hope = check_hope (self, task, awaited, error);
  pthread_mutex_unlock (&self->lock);

  return hope;
}

static gboolean
idle_wait (MorrowThreadHome *home)
{
  MorrowThreadPool *self = home->executor;
  gboolean all_blocked, did = FALSE;

  pthread_mutex_lock (&self->lock);
  all_blocked = all_are_blocked (self);
  pthread_mutex_unlock (&self->lock);

  for (guint i = home->parked->len; all_blocked && !did && i > 0; i--)
    run_awaited (((MorrowTask *) g_ptr_array_index (home->parked, i - 1))->awaiting, &did);
  return did;
}

static void
after_wait (MorrowThreadHome *home, MorrowTask *task)
{
  MorrowThreadPool *self = home->executor;

  pthread_mutex_lock (&self->lock);
  task->awaiting = NULL;
  if (home->parked->len == 1)
    {
      g_ptr_array_remove_fast (self->blocked, home);
      self->n_blocked -= is_worker ? 1 : 0;
    }
  pthread_mutex_unlock (&self->lock);
}

static const MorrowBlocking blocking = { .before = before_wait, .idle = idle_wait, .after = after_wait };

/* --- workers ----------------------------------------------------------------------------------------------------- */

/* Waits for a job; NULL when the pool stops. */
static MorrowJob *
take_job (MorrowThreadPool *self)
{
  MorrowQueueNode *node;

  pthread_mutex_lock (&self->lock);
  self->n_idle++;
  while ((node = morrow__queue_pop (&self->queue)) == NULL && !self->stopping)
    pthread_cond_wait (&self->work, &self->lock);
  self->n_idle--;
  if (node != NULL)
    self->n_queued--;
  pthread_mutex_unlock (&self->lock);

  return node != NULL ? morrow__queue_entry (node, MorrowJob, node) : NULL;
}

static gpointer
worker_main (gpointer data)
{
  MorrowThreadPool *self = data;
  MorrowThreadHome *home = morrow__thread_home_enter (&self->parent_instance, &blocking);
  MorrowJob *job;

  is_worker = TRUE;
  while (!is_orphan && (job = take_job (self)) != NULL)
    job->run (job, FALSE);
  morrow__thread_home_leave (home);
  return NULL;
}

/* Under the lock. */
static void
offer (MorrowThreadPool *self, MorrowTask *task)
{
  morrow__list_append (&self->tasks, &task->link);
  task->offered_by = &self->parent_instance;

  /* Release: pairs with the load in morrow__task_get_state (), of a worker that awaits it. */
  atomic_store_explicit (&task->state, MORROW_TASK_OFFERED, memory_order_release);
}

/* Takes the job, or gives back why nobody ever will run it. */
static GError *
enqueue (MorrowThreadPool *self, MorrowJob *job, MorrowTask *task, gboolean *ret_sweep)
{
  GError *error = NULL;

  pthread_mutex_lock (&self->lock);
  self->n_queued++;
  want_worker (self, &error);
  if (self->threads->len > 0)
    {
      g_clear_error (&error);
      morrow__queue_push (&self->queue, &job->node);
      if (task != NULL)
        offer (self, task);
      pthread_cond_signal (&self->work);
    }
  else
    {
      self->n_queued--;
      self->no_more = FALSE;                    /* perhaps the next time */
    }
  *ret_sweep = self->n_sweeping > 0;
  pthread_mutex_unlock (&self->lock);

  return error;
}

static void
thread_pool_post (MorrowExecutor *executor, MorrowJob *job)
{
  gboolean sweep;
  GError *error = enqueue (MORROW_THREAD_POOL (executor), job, NULL, &sweep);

  if (error != NULL)
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

  task->job.run = task_run;
  morrow__future_ref (future);                  /* the queue's */
  morrow__future_ref (future);                  /* this function's: for the sweep */
  error = enqueue (self, &task->job, task, &sweep);
  if (error != NULL)
    {
      morrow__task_claim (task, MORROW_TASK_QUEUED, MORROW_TASK_CLAIMED);
      morrow__task_abandon (task, g_error_new (MORROW_ERROR, MORROW_ERROR_NO_THREAD, "No thread could be had for a task: %s", error->message));
      g_error_free (error);
      morrow_future_unref (future);
      morrow_future_unref (future);
    }
  else if (sweep)
    {
      morrow__task_sweep (task);
    }
  morrow_future_unref (future);
}

/* --- runs -------------------------------------------------------------------------------------------------------- */

/* Cancels what is left over, and what is started from now on. */
static void
sweep (MorrowThreadPool *self)
{
  g_autoptr (GPtrArray) left = g_ptr_array_new_with_free_func ((GDestroyNotify) morrow_future_unref);

  pthread_mutex_lock (&self->lock);
  self->n_sweeping++;
  morrow__list_foreach (&self->tasks, node)
    g_ptr_array_add (left, morrow__future_ref (&morrow__list_entry (node, MorrowTask, link)->future));
  pthread_mutex_unlock (&self->lock);

  for (guint i = 0; i < left->len; i++)
    morrow__task_sweep (g_ptr_array_index (left, i));
}

static void
wait_for_tasks (MorrowThreadPool *self)
{
  pthread_mutex_lock (&self->lock);
  while (!morrow__list_is_empty (&self->tasks))
    pthread_cond_wait (&self->ended, &self->lock);
  pthread_mutex_unlock (&self->lock);
}

/* Tasks may still give work to threads, and these may still create tasks. */
static void
finish (MorrowThreadPool *self)
{
  sweep (self);
  do
    wait_for_tasks (self);
  while (morrow__lane_join (&self->parent_instance));

  pthread_mutex_lock (&self->lock);
  self->n_sweeping--;
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
  morrow__thread_home_run (home, (MorrowTask *) main);
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

/* Lets the workers do what is queued, and ends them. */
static void
morrow_thread_pool_dispose (GObject *object)
{
  MorrowThreadPool *self = MORROW_THREAD_POOL (object);

  pthread_mutex_lock (&self->lock);
  self->stopping = TRUE;
  pthread_cond_broadcast (&self->work);
  pthread_mutex_unlock (&self->lock);

  for (guint i = 0; i < self->threads->len; i++)
    {
      GThread *thread = g_ptr_array_index (self->threads, i);

      if (thread != g_thread_self () && morrow__executor_is_ours (&self->parent_instance))
        g_thread_join (thread);
      else
        g_thread_unref (thread);
    }
  g_ptr_array_set_size (self->threads, 0);

  G_OBJECT_CLASS (morrow_thread_pool_parent_class)->dispose (object);
}

static void
morrow_thread_pool_finalize (GObject *object)
{
  MorrowThreadPool *self = MORROW_THREAD_POOL (object);

  is_orphan = is_worker && home_here ()->executor == self;
  g_ptr_array_unref (self->threads);
  g_ptr_array_unref (self->blocked);
  pthread_cond_destroy (&self->ended);
  pthread_cond_destroy (&self->work);
  pthread_mutex_destroy (&self->lock);

  G_OBJECT_CLASS (morrow_thread_pool_parent_class)->finalize (object);
}

static void
morrow_thread_pool_class_init (MorrowThreadPoolClass *klass)
{
  G_OBJECT_CLASS (klass)->dispose = morrow_thread_pool_dispose;
  G_OBJECT_CLASS (klass)->finalize = morrow_thread_pool_finalize;
  klass->post = thread_pool_post;
  klass->start = thread_pool_start;
  klass->run = thread_pool_run;
  klass->get_n_threads = thread_pool_get_n_threads;
}

static void
morrow_thread_pool_init (MorrowThreadPool *self)
{
  pthread_mutex_init (&self->lock, NULL);
  pthread_cond_init (&self->work, NULL);
  pthread_cond_init (&self->ended, NULL);
  morrow__queue_init (&self->queue);
  morrow__list_init (&self->tasks);
  self->threads = g_ptr_array_new ();
  self->blocked = g_ptr_array_new ();
}

/**
 * morrow_thread_pool_new:
 * @max_threads: how many workers there may be; 0 for the number of processors
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
