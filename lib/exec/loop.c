/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop as an object and as an executor: made, entered, run, closed. How it turns is in turn.c and source.c, what
 * it runs in scheduler.c, what it waits for in reactor.c. */

#include "config.h"

#include <errno.h>
#include <sched.h>

#include <morrow/error.h>

#include "base/cache-private.h"
#include "exec/bundle-private.h"
#include "exec/interrupt-private.h"
#include "exec/lane-private.h"
#include "exec/loop-pool-private.h"

/* Memory for small objects that a run leaves to the next, in bytes; what it had beyond that goes back to the system. */
#define KEPT_AFTER_RUN ((gsize) 1024 * 1024)

/**
 * MorrowLoop:
 *
 * One event loop on one thread. A task that waits parks its fiber, and another runs.
 *
 * A loop over an application's main context needs no run: it is one #GSource among the others, bounded in time, and
 * work given to it with morrow_executor_spawn () is done as the main loop turns. Its tasks keep it until they have ended.
 *
 * A task that forks goes on in the child as well, and may sleep there, and await threads and executors of the child's, but no
 * descriptor on this loop. The other tasks go on beside it. In an application's main loop they have the thread until the task
 * that forked has ended; from then on the child's main loop turns without them.
 */
G_DEFINE_FINAL_TYPE (MorrowLoop, morrow_loop, MORROW_TYPE_EXECUTOR)

/**
 * morrow_loop_get_current:
 *
 * Tells which loop the calling code runs on: a #MorrowLoop that was made, or one of a #MorrowLoopPool's.
 *
 * Returns: (transfer none) (nullable): the loop; %NULL where none runs
 */
MorrowLoop *
morrow_loop_get_current (void)
{
  return morrow__loop_here ();
}

/**
 * morrow_loop_get_context:
 * @self: a loop
 *
 * Gives the context that @self is a source of. Sources that are attached to it are served beside the loop's tasks.
 *
 * Returns: (transfer none) (nullable): the context; %NULL when the loop could not be made
 */
GMainContext *
morrow_loop_get_context (MorrowLoop *self)
{
  g_return_val_if_fail (MORROW_IS_LOOP (self), NULL);

  return self->context;
}

/* --- the thread -------------------------------------------------------------------------------------------------- */

/* Fibers do not move: the loop is the thread's until the run ends; of an application's main context, until it goes. */
static void
bind_to_thread (MorrowLoop *self)
{
  if (morrow__likely (self->thread == g_thread_self ()))
    return;

  if (self->thread != NULL)
    g_error ("A loop was run by two threads: the tasks on it belong to the first");

  self->thread = g_thread_self ();
  self->home.errno_at = &errno;
  self->stacks = morrow__stack_pool_new ();
  morrow__fiber_init_thread (&self->main_fiber);
  morrow__fiber_set_describe (morrow__loop_describe_fiber);
}

/* No task lives here any more. */
void
morrow__loop_unbind (MorrowLoop *self)
{
  if (self->thread == NULL)
    return;

  morrow__bundle_free (self);
  morrow__loop_drop_fibers (self);
  morrow__stack_pool_free (self->stacks);
  morrow__fiber_clear_thread (&self->main_fiber);
  self->thread = NULL;
}

/* The innermost loop that this thread turns, NULL for none. It is the thread's home, too, but while one of its tasks runs one of
 * MorrowInline on its stack. */
static __thread MorrowLoop *turned;

MorrowLoop *
morrow__loop_turned_here (void)
{
  return turned;
}

/* Makes this the loop of the thread, whatever was that before: another, this one, or none. */
void
morrow__loop_enter (MorrowLoop *self, MorrowOuter *outer)
{
  bind_to_thread (self);
  *outer = (MorrowOuter) { morrow__home, morrow__executor_current, turned };
  morrow__home = &self->home;
  morrow__executor_current = self->executor;
  turned = self;
}

void
morrow__loop_leave (const MorrowOuter *outer)
{
  morrow__home = outer->home;
  morrow__executor_current = outer->executor;
  turned = outer->loop;
}

/* --- posting ----------------------------------------------------------------------------------------------------- */

static inline void
push_posted (MorrowLoop *self, MorrowJob *job)
{
  morrow__home_note_ask ();
  morrow__mpsc_push (&self->inbox, &job->node);
  /* Sequentially consistent: L1, pairs with the store in morrow__loop_fall_asleep (). */
  if (atomic_load_explicit (&self->asleep, memory_order_seq_cst) &&
      atomic_exchange_explicit (&self->asleep, FALSE, memory_order_seq_cst))
    morrow__wakeup_signal (&self->wakeup);
}

/* From any thread, by who has a reference of the loop's executor that lasts beyond this call: it cannot close meanwhile. */
void
morrow__loop_post_held (MorrowLoop *self, MorrowJob *job)
{
  if (morrow__unlikely (self->broken != NULL))
    job->run (job, TRUE);
  else if (morrow__home == &self->home)
    morrow__queue_push (&self->ready, &job->node);
  else
    push_posted (self, job);
}

/* L2: whether the loop is open, and stays so until end_posting (). */
static inline gboolean
begin_posting (MorrowLoop *self)
{
  /* Sequentially consistent, both: L2, pair with the exchange and the load in morrow__loop_close (). */
  atomic_fetch_add_explicit (&self->posting, 1, memory_order_seq_cst);
  return self->broken == NULL && !atomic_load_explicit (&self->closed, memory_order_seq_cst);
}

static inline void
end_posting (MorrowLoop *self)
{
  /* Release: pairs with the load of posting in morrow__loop_close (). */
  atomic_fetch_sub_explicit (&self->posting, 1, memory_order_release);
}

static G_GNUC_NO_INLINE void
post_from_elsewhere (MorrowLoop *self, MorrowJob *job)
{
  gboolean is_open = begin_posting (self);

  if (is_open)
    push_posted (self, job);
  end_posting (self);

  if (!is_open)
    job->run (job, TRUE);   /* last: it may let go of the loop */
}

/* From any thread, by who knows only that the loop is there now. */
void
morrow__loop_post (MorrowLoop *self, MorrowJob *job)
{
  if (morrow__usually (morrow__home == &self->home))
    morrow__queue_push (&self->ready, &job->node);
  else
    post_from_elsewhere (self, job);
}

/* Likewise, of what one of a pool's loops is given by itself: the pool, which is there until that closes, has to @count it. */
static void
post_to_member (MorrowLoop *self, MorrowJob *job, void (*count) (MorrowLoop *loop))
{
  gboolean is_open = begin_posting (self);

  if (is_open)
    {
      count (self);
      morrow__loop_post_held (self, job);
    }
  end_posting (self);

  if (!is_open)
    job->run (job, TRUE);
}

/* The hold that the caller has may be the job's, which goes with it; and what is held may have been abandoned. */
static void
loop_post (MorrowExecutor *executor, MorrowJob *job)
{
  MorrowLoop *self = (MorrowLoop *) executor;

  if (morrow__unlikely (self->pool != NULL))
    post_to_member (self, job, morrow__loop_pool_count_post);
  else
    morrow__loop_post (self, job);
}

/* Where more is to be done for a task than to queue it. A hosted loop turns as long as its context does, whoever still has a
 * reference of it: its tasks hold it. Any other may have been abandoned, and one of a pool's be older than that. */
static G_GNUC_NO_INLINE void
start_unusual (MorrowLoop *self, MorrowTask *task)
{
  if (self->broken != NULL)
    {
      morrow__task_abandon (task, g_error_copy (self->broken));
      morrow_future_unref (&task->future);
      return;
    }

  morrow__loop_mark_start (task);
  if (self->pool != NULL)
    {
      morrow__task_inherit_spared (task, self->executor);
      post_to_member (self, &task->job, morrow__loop_pool_count_start);
      return;
    }

  if (morrow__loop_is_sweeping (self))
    morrow__task_inherit_spared (task, self->executor);
  if (self->hosted)
    morrow__executor_hold (self->executor);
  morrow__loop_post (self, &task->job);
}

static void
loop_start (MorrowExecutor *executor, MorrowFuture *future)
{
  MorrowLoop *self = (MorrowLoop *) executor;
  MorrowTask *task = (MorrowTask *) future;

  if (morrow__seldom (self->is_special || morrow__loop_is_sweeping (self)))
    {
      start_unusual (self, task);
      return;
    }

  morrow__loop_mark_start (task);
  morrow__loop_post (self, &task->job);
}

/* --- running ----------------------------------------------------------------------------------------------------- */

/* Makes the calling thread the one that turns the loop. */
gboolean
morrow__loop_take_thread (MorrowLoop *self, GError **error)
{
  if (self->broken != NULL)
    {
      g_propagate_error (error, g_error_copy (self->broken));
      return FALSE;
    }
  /* Sequentially consistent, as all that is done with it: by who has kept one of a pool's, or found it by a weak reference. */
  if (atomic_load_explicit (&self->closed, memory_order_seq_cst))
    {
      g_propagate_error (error, morrow__executor_closed_error ());
      return FALSE;
    }
  if (!g_main_context_acquire (self->context))
    {
      g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_ALREADY_RUNNING, "Another thread runs this loop's main context");
      return FALSE;
    }

  g_main_context_push_thread_default (self->context);
  morrow__loop_enter (self, &self->before_run);
  return TRUE;
}

void
morrow__loop_yield_thread (MorrowLoop *self)
{
  morrow__loop_leave (&self->before_run);
  morrow__loop_unbind (self);
  g_main_context_pop_thread_default (self->context);
  g_main_context_release (self->context);
}

static gboolean
is_pending (gpointer data)
{
  return !morrow__future_is_settled (data);
}

/* Ends the batch in which main settles: what is left over is not to go on in the rest of it. */
typedef struct
{
  MorrowObserver observer;   /* main's */
  MorrowLoop    *loop;       /* immutable; borrowed */
} MainEnd;

static void
main_settled (MorrowObserver *observer, MorrowFuture *main)
{
  MorrowLoop *loop = ((MainEnd *) observer)->loop;

  loop->out_of_fuel = loop->tick;
}

/* Of a run's main, which is queued, it is known that it settles on this thread. What another has cancelled just before may settle there,
 * and nothing of it has begun. */
void
morrow__loop_run_until (MorrowLoop *self, MorrowFuture *future)
{
  MainEnd end = { .observer = MORROW_OBSERVER (main_settled), .loop = self };

  if (morrow__task_get_state ((MorrowTask *) future) == MORROW_TASK_QUEUED)
    morrow__future_subscribe_observer (future, &end.observer);
  morrow__loop_turn_while (self, is_pending, future);
}

/* Tasks that live here, or anything queued. */
gboolean
morrow__loop_has_tasks (MorrowLoop *self)
{
  return self->newest != NULL || !morrow__list_is_empty (&self->tasks) || morrow__loop_has_ready (self) || !morrow__mpsc_is_empty (&self->inbox);
}

/* From any thread: has the loop look around. */
void
morrow__loop_wake_up (gpointer self)
{
  morrow__wakeup_signal (&((MorrowLoop *) self)->wakeup);
}

static gboolean
has_leftovers (gpointer data)
{
  MorrowLoop *self = data;

  return morrow__loop_has_tasks (self) || morrow__lane_is_busy (self->executor, morrow__loop_wake_up, self) ||
         morrow__loop_has_tasks (self);   /* which a thread has made just before it was done */
}

/* Behind what is ready when it is queued. */
typedef struct
{
  MorrowJob job;
  gboolean  has_come;
} Mark;

static void
mark_run (MorrowJob *job, gboolean closed)
{
  ((Mark *) job)->has_come = TRUE;
}

/* How many are ready up to @last, which is. */
static guint
count_ready (MorrowLoop *self, const MorrowQueueNode *last)
{
  guint n = 1;

  for (const MorrowQueueNode *node = self->ready.head; node != last; node = node->next)
    n++;
  return n;
}

/* All that are ready now: a task that was created last still gets its first step, as in asyncio. What one of them does may use up the
 * fuel of others (morrow__loop_burn ()). */
static void
run_generation (MorrowLoop *self)
{
  Mark mark = { .job.run = mark_run };

  morrow__queue_push (&self->ready, &mark.job.node);
  while (!mark.has_come)
    morrow__loop_run_batch (self, count_ready (self, &mark.job.node));
}

/* Turns until nothing is left over: no task, nothing queued, no thread that was given work from here. All of these may
 * still make more of the others. */
void
morrow__loop_drain (MorrowLoop *self)
{
  morrow__loop_turn_while (self, has_leftovers, self);
}

static gboolean
loop_run (MorrowExecutor *executor, MorrowFuture *main, gboolean *ret_interrupted, GError **error)
{
  MorrowLoop *self = (MorrowLoop *) executor;
  MorrowInterrupt interrupt;

  if (!morrow__loop_take_thread (self, error))
    return FALSE;

  morrow__task_start_on ((MorrowTask *) main, executor);
  morrow__interrupt_begin (&interrupt, main, self, NULL);
  morrow__loop_run_until (self, main);
  run_generation (self);
  morrow__loop_sweep (self);
  morrow__loop_drain (self);
  *ret_interrupted = morrow__interrupt_end (&interrupt);
  morrow__loop_drain (self);   /* the job of an interrupt that came late */
  atomic_store_explicit (&self->own_sweeping, FALSE, memory_order_relaxed);
  morrow__loop_yield_thread (self);
  morrow__cache_trim (KEPT_AFTER_RUN);
  return TRUE;
}

/* --- life -------------------------------------------------------------------------------------------------------- */

/* Runs no more user code: what is queued is let go, what is posted from now on too. */
void
morrow__loop_close (MorrowLoop *self)
{
  MorrowQueueNode *node;

  /* Sequentially consistent, both: L2, pair with the addition and the load in begin_posting (). The load also acquires
   * what a poster that has left did. */
  if (atomic_exchange_explicit (&self->closed, TRUE, memory_order_seq_cst))
    return;
  while (atomic_load_explicit (&self->posting, memory_order_seq_cst) != 0)
    sched_yield ();

  morrow__mpsc_take_all (&self->inbox, &self->ready);
  while ((node = morrow__queue_pop (&self->ready)) != NULL)
    {
      MorrowJob *job = morrow__queue_entry (node, MorrowJob, node);

      job->run (job, TRUE);
    }
}

/* A loop over a context of its own turns when somebody runs it, but for one whose context is turned by hand. */
static gboolean
loop_outlives_users (MorrowExecutor *executor)
{
  MorrowLoop *self = (MorrowLoop *) executor;

  return self->hosted || self->thread != NULL;
}

static gboolean
end_in_context (gpointer data)
{
  morrow__executor_wind_up (data);
  return G_SOURCE_REMOVE;
}

/* Once for each loop: the caller has seen to it that nobody else ends it. */
static void
post_end (MorrowLoop *self)
{
  GSource *source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, end_in_context, self, NULL);
  g_source_set_static_name (source, "morrow loop's end");
  g_source_attach (source, self->context);
  g_source_unref (source);
}

/* Who has the context: whether it may end on this thread. The tasks of one whose own context was turned by hand live on that thread. */
static gboolean
may_end_here (MorrowLoop *self)
{
  return self->hosted || self->thread == g_thread_self () || !morrow__loop_has_tasks (self);
}

/* A loop that others turn ends where they do, since they may be looking at it: in its context, which the caller may turn, or,
 * if nobody does at the moment, may keep from being turned. A context that nobody ever turns again keeps the loop. */
static void
loop_arrange_end (MorrowExecutor *executor, gboolean here)
{
  MorrowLoop *self = (MorrowLoop *) executor;
  g_autoptr (GMainContext) context = NULL;
  gboolean ends = FALSE;

  if (self->broken != NULL || !loop_outlives_users (executor))
    {
      morrow__lane_arrange_end (executor, here);
      return;
    }

  context = g_main_context_ref (self->context);
  if (here && g_main_context_acquire (context))
    {
      ends = may_end_here (self);
      if (ends)
        morrow__executor_wind_up (executor);
      g_main_context_release (context);
    }
  if (!ends)
    post_end (self);
}

/* Tasks hold a hosted loop, and none outlives a run; but what somebody began by turning the context of any other by hand ends now. */
static void
end_tasks (MorrowLoop *self)
{
  if (self->hosted || self->thread == NULL || !morrow__loop_has_tasks (self) || !morrow__loop_take_thread (self, NULL))
    return;

  morrow__loop_sweep (self);
  morrow__loop_drain (self);
  morrow__loop_yield_thread (self);
}

static void
loop_end (MorrowExecutor *executor)
{
  MorrowLoop *self = (MorrowLoop *) executor;

  end_tasks (self);
  morrow__loop_close (self);
  morrow__reactor_settle_timers (self);
  morrow__home_wait_for_visitors ();   /* H1 */
  morrow__loop_leave_context (self);
  morrow__loop_unbind (self);
  g_clear_pointer (&self->context, g_main_context_unref);
}

static void
morrow_loop_finalize (GObject *object)
{
  MorrowLoop *self = MORROW_LOOP (object);

  morrow__reactor_clear (self);
  morrow__deque_clear (&self->deque);
  morrow__peers_clear (&self->alone);
  g_clear_error (&self->broken);

  G_OBJECT_CLASS (morrow_loop_parent_class)->finalize (object);
}

static void
morrow_loop_class_init (MorrowLoopClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = morrow_loop_finalize;
  klass->post = loop_post;
  klass->start = loop_start;
  klass->run = loop_run;
  klass->outlives_users = loop_outlives_users;
  klass->arrange_end = loop_arrange_end;
  klass->end = loop_end;
}

static void
morrow_loop_init (MorrowLoop *self)
{
  self->executor = &self->parent_instance;
  self->epoll_fd = self->timer_fd = self->context_fd = -1;
  self->wakeup.fd = -1;
  self->batch = MORROW_LOOP_BATCH;
  self->home.klass = &morrow__loop_home_class;
  self->home.executor = &self->parent_instance;
  morrow__mpsc_init (&self->inbox);
  morrow__mpsc_init (&self->offers);
  morrow__queue_init (&self->ready);
  self->parent_instance.ready = &self->ready;
  morrow__list_init (&self->tasks);
  morrow__deque_init (&self->deque);
  morrow__list_init (&self->peer_link);
  self->sweeping = &self->own_sweeping;
  self->in_order = TRUE;
  morrow__peers_init (&self->alone, FALSE);
  morrow__peers_join (&self->alone, self);
}

/**
 * morrow_loop_new:
 * @context: (nullable): the context to be a source of; %NULL for a new one
 *
 * Makes a loop. One with a context of its own is turned by morrow_run_on (), and else only by who iterates that context: what is spawned
 * there waits. One on an application's context is turned by the application's main loop; when that has ended, a last morrow_run_on ()
 * cancels what is still alive there, and waits for it.
 *
 * When the system has no descriptors left for it, what is given to it is rejected with that error.
 *
 * Returns: (transfer full) (type MorrowLoop): a loop
 */
MorrowExecutor *
morrow_loop_new (GMainContext *context)
{
  MorrowLoop *self = g_object_new (MORROW_TYPE_LOOP, NULL);

  self->hosted = context != NULL;
  self->context = context != NULL ? g_main_context_ref (context) : NULL;
  if (morrow__reactor_init (self, &self->broken))
    morrow__loop_make_source (self);
  self->is_special = self->hosted || self->broken != NULL;
  return &self->parent_instance;
}

/* A loop that is a part of another executor. */
MorrowLoop *
morrow__loop_new (MorrowExecutor *executor, MorrowLoopPool *pool)
{
  MorrowLoop *self = MORROW_LOOP (morrow_loop_new (NULL));

  self->executor = self->home.executor = executor;
  self->parent_instance.ready = NULL;   /* its tasks are that one's */
  if (pool != NULL)
    {
      self->pool = pool;
      self->sweeping = &pool->sweeping;
      self->is_special = TRUE;
      self->in_order = FALSE;
    }
  return self;
}
