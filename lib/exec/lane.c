/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Blocking work has a lane of its own: threads apart from GTask's, from the executors' and from each other's lanes,
 * so that a slow resolver cannot stop a file read. A run waits, at its end, for what was given to the lane from its
 * executor.
 *
 * Threads are started as they are needed, and end when there was nothing to do for a while. Where none can be had,
 * those that there are must do, and where there are none the work is refused.
 *
 * An executor that is let go of where nobody may wait for its end gets a thread for that, which counts as blocking work of
 * who lets it go: see "Life" in core/executor.c. It is not one of the lane's, which may all be busy, and wait for it. Where none can be
 * had the executor stays, until something is given to the lane, or another is let go of, and there is a thread for it. */

#include "config.h"

#include <pthread.h>
#include <time.h>

#include "exec/home-private.h"
#include "exec/lane-private.h"

#define MAX_THREADS  64
#define IDLE_SECONDS 15

static pthread_mutex_t lane_lock = PTHREAD_MUTEX_INITIALIZER;    /* for all below */
static pthread_cond_t lane_work = PTHREAD_COND_INITIALIZER;      /* there is something in the queue */
static pthread_cond_t lane_ended = PTHREAD_COND_INITIALIZER;     /* an executor has no errands any more */
static MorrowQueue lane_queue;
static guint lane_n_queued, lane_n_idle, lane_n_threads;
static MorrowQueue lane_farewells;  /* those that have no thread yet */
static GHashTable *lane_running;   /* executor to Running, for those that have errands here */

/* An executor is to end. */
typedef struct
{
  MorrowQueueNode node;       /* under lane_lock */
  MorrowExecutor *executor;   /* immutable */
  MorrowExecutor *waiter;     /* under lane_lock until its thread has it: who waits for that, NULL for nobody; it is counted there */
} Farewell;

/* The errands of one executor; under lane_lock. */
typedef struct
{
  guint    n;
  void   (*wake) (gpointer joiner);   /* when there is none left; or NULL */
  gpointer joiner;                    /* borrowed */
} Running;

/* --- counting, for the runs that wait ---------------------------------------------------------------------------- */

/* Under the lock, as the next. */
static void
count_started (MorrowExecutor *executor)
{
  Running *running;

  if (executor == NULL)
    return;

  morrow__executor_hold (executor);
  if (lane_running == NULL)
    lane_running = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  running = g_hash_table_lookup (lane_running, executor);
  if (running == NULL)
    {
      running = g_new0 (Running, 1);
      g_hash_table_insert (lane_running, executor, running);
    }
  running->n++;
}

/* Of an executor that may be gone. */
static void
count_down (MorrowExecutor *executor)
{
  Running *running = g_hash_table_lookup (lane_running, executor);

  if (--running->n == 0)
    {
      if (running->wake != NULL)
        running->wake (running->joiner);   /* it is there: it has yet to find out, under this lock */
      g_hash_table_remove (lane_running, executor);
      pthread_cond_broadcast (&lane_ended);
    }
}

void
morrow__lane_join (MorrowExecutor *executor)
{
  pthread_mutex_lock (&lane_lock);
  while (lane_running != NULL && g_hash_table_contains (lane_running, executor))
    pthread_cond_wait (&lane_ended, &lane_lock);
  pthread_mutex_unlock (&lane_lock);
}

gboolean
morrow__lane_is_busy (MorrowExecutor *executor, void (*wake) (gpointer joiner), gpointer joiner)
{
  Running *running;

  pthread_mutex_lock (&lane_lock);
  running = lane_running != NULL ? g_hash_table_lookup (lane_running, executor) : NULL;
  if (running != NULL)
    {
      running->wake = wake;
      running->joiner = joiner;
    }
  pthread_mutex_unlock (&lane_lock);

  return running != NULL;
}

gulong
morrow__lane_count_ended (MorrowExecutor *executor)
{
  gulong n;

  pthread_mutex_lock (&lane_lock);
  n = executor->n_errands;
  pthread_mutex_unlock (&lane_lock);

  return n;
}

/* --- the threads ------------------------------------------------------------------------------------------------- */

/* Under the lock. FALSE when nothing came for a while. */
static gboolean
wait_for_errand (void)
{
  struct timespec until;
  int status = 0;

  clock_gettime (CLOCK_REALTIME, &until);
  until.tv_sec += IDLE_SECONDS;
  lane_n_idle++;
  while (morrow__queue_is_empty (&lane_queue) && status == 0)
    status = pthread_cond_timedwait (&lane_work, &lane_lock, &until);
  lane_n_idle--;
  return !morrow__queue_is_empty (&lane_queue);
}

/* Not under the lock. Who waits for the lane may let go of the executor right after, and that is to be its end: nothing holds it
 * by then. If it is another that counts at this address afterwards, that one waits a moment longer. */
static void
finish_errand (MorrowExecutor *executor)
{
  if (executor == NULL)
    return;

  pthread_mutex_lock (&lane_lock);
  executor->n_errands++;
  pthread_mutex_unlock (&lane_lock);

  morrow__executor_release (executor);

  pthread_mutex_lock (&lane_lock);
  count_down (executor);
  pthread_mutex_unlock (&lane_lock);
}

static void
run_errand (MorrowErrand *errand)
{
  MorrowExecutor *executor = errand->executor;

  pthread_mutex_unlock (&lane_lock);
  morrow__executor_of_thread = executor;
  errand->job.run (&errand->job, FALSE);
  morrow__executor_of_thread = NULL;
  finish_errand (executor);
  pthread_mutex_lock (&lane_lock);
}

static gpointer
lane_thread (gpointer unused)
{
  pthread_mutex_lock (&lane_lock);
  while (wait_for_errand ())
    {
      lane_n_queued--;
      run_errand ((MorrowErrand *) morrow__queue_entry (morrow__queue_pop (&lane_queue), MorrowJob, node));
    }
  lane_n_threads--;
  pthread_mutex_unlock (&lane_lock);
  return NULL;
}

/* Under the lock. FALSE when there is no thread at all. */
static gboolean
want_thread (GError **error)
{
  GError *no_more = NULL;
  GThread *thread;

  if (lane_n_queued < lane_n_idle || lane_n_threads == MAX_THREADS)
    return TRUE;

  thread = g_thread_try_new ("morrow-lane", lane_thread, NULL, &no_more);
  if (thread != NULL)
    {
      lane_n_threads++;
      g_thread_unref (thread);
    }
  else if (lane_n_threads == 0)
    {
      g_propagate_error (error, no_more);
      return FALSE;
    }
  g_clear_error (&no_more);
  return TRUE;
}

/* In a new child, whose only thread this is: those of the lane are not here, and one of them may hold the lock. What they
 * were to do, and for whom, is the parent's business. */
static void
forget_parent (void)
{
  pthread_mutex_init (&lane_lock, NULL);
  pthread_cond_init (&lane_work, NULL);
  pthread_cond_init (&lane_ended, NULL);
  morrow__queue_init (&lane_queue);
  morrow__queue_init (&lane_farewells);
  lane_n_queued = lane_n_idle = lane_n_threads = 0;
  lane_running = NULL;
}

static void
watch_forks (void)
{
  pthread_atfork (NULL, NULL, forget_parent);
}

static void
take_lock (void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;

  pthread_once (&once, watch_forks);
  pthread_mutex_lock (&lane_lock);
}

/* --- the ends of executors ---------------------------------------------------------------------------------------- */

static gpointer
end_thread (gpointer data)
{
  Farewell *self = data;

  /* It is detached, and so leaves nothing when it has ended. */
  pthread_mutex_lock (&lane_lock);
  pthread_mutex_unlock (&lane_lock);

  morrow__executor_of_thread = self->executor;
  morrow__executor_wind_up (self->executor);
  morrow__executor_of_thread = NULL;
  finish_errand (self->waiter);
  g_free (self);
  return NULL;
}

/* Under the lock: for as many as there are threads. */
static void
begin_farewells (void)
{
  GThread *thread;

  while (!morrow__queue_is_empty (&lane_farewells) &&
         (thread = g_thread_try_new ("morrow-end", end_thread, morrow__queue_entry (lane_farewells.head, Farewell, node), NULL)) != NULL)
    {
      morrow__queue_pop (&lane_farewells);
      g_thread_unref (thread);
    }
}

/* Who is to wait for the end of what is let go of here, and has been: see E3 in core/executor.c. NULL where none may, and where no
 * executor's code runs. */
static MorrowExecutor *
find_waiter (void)
{
  MorrowExecutor *of_thread = morrow__executor_of_thread;

  return of_thread == NULL || morrow__executor_is_in_use (of_thread) ? morrow__executor_here () : NULL;
}

/* Nobody waits for an end that has yet to begin. */
static void
end_elsewhere (MorrowExecutor *executor)
{
  Farewell *farewell = g_new (Farewell, 1);
  MorrowExecutor *freed = NULL;

  *farewell = (Farewell) { .executor = executor, .waiter = find_waiter () };
  take_lock ();
  count_started (farewell->waiter);
  morrow__queue_push (&lane_farewells, &farewell->node);
  begin_farewells ();
  if (!morrow__queue_is_empty (&lane_farewells))
    freed = g_steal_pointer (&farewell->waiter);
  pthread_mutex_unlock (&lane_lock);
  finish_errand (freed);
}

void
morrow__lane_arrange_end (MorrowExecutor *executor, gboolean here)
{
  if (here)
    morrow__executor_wind_up (executor);
  else
    end_elsewhere (executor);
}

void
morrow__lane_arrange_end_of_pool (MorrowExecutor *executor, gboolean here)
{
  morrow__lane_arrange_end (executor, here && (morrow__executor_here () == NULL || find_waiter () != NULL));
}

/* --- giving ------------------------------------------------------------------------------------------------------- */

gboolean
morrow__lane_push (MorrowErrand *errand, GError **error)
{
  gboolean taken;

  take_lock ();
  taken = want_thread (error);
  if (taken)
    {
      morrow__home_note_ask ();
      count_started (errand->executor);
      lane_n_queued++;
      morrow__queue_push (&lane_queue, &errand->job.node);
      pthread_cond_signal (&lane_work);
      begin_farewells ();
    }
  pthread_mutex_unlock (&lane_lock);

  return taken;
}
