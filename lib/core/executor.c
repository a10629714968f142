/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The executor's interface, and what all models have in common. The models themselves are in exec/.
 *
 * LIFE
 *   Internal uses hold the executor: they are counted apart from GObject references, since one of those costs twice an atomic
 *   addition, and since what is queued on an executor that nobody can run any more must not keep it. All holds together own
 *   one reference, a toggle reference, by which GObject tells when it is the only one left. The references of users together
 *   are one hold, and the executor has one of its own until it has ended.
 *
 *     IN USE --- users let go ---> ABANDONED -- nothing holds it --> ENDING --- end () ---> ENDED -- nothing holds it --> gone
 *        '------ users let go, and nothing holds it -------------------^
 *
 *   A loop that only its users could have run, and Inline, end at once when they are abandoned, whatever holds them.
 *
 *   What holds a pool keeps it for the callbacks, and for what a gather starts, but not its tasks: they are swept when it is
 *   abandoned, as at its end, and waited for. The hold of the users is released after that, so that it does not end meanwhile.
 *
 *   To end takes time: what lives there is cancelled and waited for, threads are joined, user code runs. Meanwhile it is used
 *   as ever, and the uses are counted as ever, above its own hold. When it has ended, nothing of it runs, and what still holds
 *   it finds it closed. What the last of them lets go of is memory and descriptors, and that can be done anywhere. But who is woken may
 *   let go of the executor at once, and is to find it gone: so who wakes him releases his own hold before that, where he can.
 *
 *   Where it ends: a user who lets go may wait, and does: code of his may rely on it. Who only releases a hold may be
 *   anywhere inside the library, in the middle of a visit (H1), say, or on the thread that all timers hang on: he never waits,
 *   and another thread ends it, or, for a loop in a main context, that context. So does a user who is inside of such a thing, as
 *   when a value goes that has the last reference of a pool.
 *
 *   A pool may also be let go of where the code of an executor runs, or work that was given to a thread from there. That code
 *   waits as well, in the middle of its thread: what it has on its stack may be in use by the pool's tasks. But where that executor
 *   has been let go of itself, and so waits for its code, it goes on, and another thread ends the pool: so the two pools end whose
 *   tasks let go of each other. What another thread ends where an executor is in use is waited for by that one, as a thread that
 *   was given work is: when its run ends, or when it ends itself. See lane.c.
 *
 *   E3: those that wait for each other make no circle, since none waits for one that was let go of after itself. Who has let
 *   go of a pool looks, after that, whether the executor whose thread this is, or work for a thread from there, has been let go
 *   of as well. Only if it has not, he waits, or has the executor wait whose code this is. Other threads are a run's, which keeps its
 *   executor in use, or a main loop's, for which nobody waits. tests/model/ends.pml explores it. Not seen is a circle that goes
 *   through what the pool's tasks await.
 *
 *   E1: who decides? Code that runs on an executor takes holds without having one. So "nothing holds it" may come about more than
 *   once, and who has brought it about may find that another has since, that the executor has ended and is gone. So he
 *   looks it up, under a lock, among those that are abandoned and have not been told to end, and touches it only if it is
 *   there (or another at the same place, of which the same is true). What is true under the lock counts: the first who finds
 *   nothing but its own hold has it end. Each that takes the count down to there looks, after that: so somebody finds it.
 *   tests/model/life.pml explores it. */

#include "config.h"

#include <pthread.h>

#include <morrow/error.h>

#include "base/alone-private.h"
#include "base/cache-private.h"
#include "core/executor-private.h"
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

typedef enum
{
  IN_USE,
  ABANDONED,   /* it is in the table below */
  ENDING,
  ENDED
} Life;

static pthread_mutex_t life_lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *abandoned;   /* under life_lock: MorrowExecutor, borrowed */

__thread MorrowExecutor *morrow__executor_current;
__thread MorrowExecutor *morrow__executor_of_thread;
__thread guint morrow__executor_n_reasons;
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
  pthread_mutex_unlock (&life_lock);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static void users_changed (gpointer data, GObject *object, gboolean none_left);

static void
take_life_lock (void)
{
  pthread_mutex_lock (&life_lock);
}

static void
give_life_lock (void)
{
  pthread_mutex_unlock (&life_lock);
}

/* Under the lock. Whether nothing keeps it but its own hold, and @n_users: the hold of those who are about to let go. */
static gboolean
is_unused (MorrowExecutor *self, guint n_users)
{
  MorrowExecutorClass *klass = MORROW_EXECUTOR_GET_CLASS (self);

  /* Acquire: E1, pairs with the release in morrow__executor_release (). */
  return klass->outlives_users == NULL || !klass->outlives_users (self) ||
         atomic_load_explicit (&self->holds, memory_order_acquire) == 1 + n_users;
}

/* The users let go. Whether the caller is to have it end. */
static gboolean
abandon (MorrowExecutor *self)
{
  gboolean ends = FALSE;

  take_life_lock ();
  if (abandoned == NULL)
    abandoned = g_hash_table_new (NULL, NULL);
  if (self->life <= ABANDONED)
    {
      ends = is_unused (self, 1);
      self->life = ends ? ENDING : ABANDONED;
      if (ends)
        g_hash_table_remove (abandoned, self);
      else
        g_hash_table_add (abandoned, self);
    }
  give_life_lock ();

  return ends;
}

/* Only its own hold was left, or that has gone as well: it is looked at only if it is there. Whether the caller is to have it
 * end. */
static gboolean
find_unused (MorrowExecutor *self)
{
  gboolean ends;

  take_life_lock ();
  ends = abandoned != NULL && g_hash_table_contains (abandoned, self) && is_unused (self, 0);
  if (ends)
    {
      g_hash_table_remove (abandoned, self);
      self->life = ENDING;
    }
  give_life_lock ();

  return ends;
}

static Life
get_life (MorrowExecutor *self)
{
  Life life;

  take_life_lock ();
  life = self->life;
  give_life_lock ();

  return life;
}

gboolean
morrow__executor_is_in_use (MorrowExecutor *self)
{
  return get_life (self) == IN_USE;
}

/* Something holds what its users have let go of: that does not keep its tasks. */
static gboolean
is_to_be_swept (MorrowExecutor *self)
{
  return MORROW_EXECUTOR_GET_CLASS (self)->sweep != NULL && morrow__executor_is_ours (self) && get_life (self) == ABANDONED;
}

/* In a forked child what was inherited stays as it is, whoever drops it: threads that are not there may have been in the
 * middle of it. */
static void
arrange_end (MorrowExecutor *self, gboolean here)
{
  if (morrow__likely (morrow__executor_is_ours (self)))
    MORROW_EXECUTOR_GET_CLASS (self)->arrange_end (self, here);
}

/* All that is left is the object. */
void
morrow__executor_has_ended (MorrowExecutor *self)
{
  take_life_lock ();
  self->life = ENDED;
  give_life_lock ();

  morrow__executor_release (self);
}

void
morrow__executor_end (MorrowExecutor *self)
{
  MORROW_EXECUTOR_GET_CLASS (self)->end (self);
  morrow__executor_has_ended (self);
}

/* The users' hold is released here, so that it does not end meanwhile. */
static void
sweep_abandoned (MorrowExecutor *self)
{
  /* As a run does, whose end would do the same; see run.c for what it pairs with. Who has one has found the executor again by a
   * weak reference, and lets go of it when it is over. */
  if (!atomic_exchange_explicit (&self->running, TRUE, memory_order_acquire))
    {
      MORROW_EXECUTOR_GET_CLASS (self)->sweep (self);
      atomic_store_explicit (&self->running, FALSE, memory_order_release);
    }

  if (abandon (self))
    morrow__executor_end (self);
  morrow__executor_release (self);
}

void
morrow__executor_wind_up (MorrowExecutor *self)
{
  if (get_life (self) == ABANDONED)
    sweep_abandoned (self);
  else
    morrow__executor_end (self);
}

/* A hold was released: @n_holds are left, the executor's own, and then it may be gone, or none. */
void
morrow__executor_let_go (MorrowExecutor *self, guint n_holds)
{
  if (n_holds == 0)
    g_object_remove_toggle_ref (G_OBJECT (self), users_changed, NULL);
  else if (find_unused (self))
    arrange_end (self, FALSE);
}

static void
users_changed (gpointer data, GObject *object, gboolean none_left)
{
  MorrowExecutor *self = (MorrowExecutor *) object;

  if (!none_left)
    {
      morrow__executor_hold (self);
      return;
    }

  if (abandon (self))
    arrange_end (self, morrow__executor_n_reasons == 0);
  else if (is_to_be_swept (self))
    {
      arrange_end (self, morrow__executor_n_reasons == 0);
      return;                                   /* the hold goes with the sweep */
    }
  morrow__executor_release (self);
}

static void
morrow_executor_class_init (MorrowExecutorClass *klass)
{
  klass->get_n_threads = executor_one_thread;
  klass->submit = morrow__executor_post_work;
  pthread_atfork (take_life_lock, give_life_lock, count_fork);
}

static void
morrow_executor_init (MorrowExecutor *self)
{
  self->forks = morrow__forks;
  self->life = IN_USE;
  atomic_init (&self->holds, 2);
  g_object_add_toggle_ref (G_OBJECT (self), users_changed, NULL);
}

/* --- what all have in common -------------------------------------------------------------------------------------- */

void
morrow__executor_set_forked (GError **error)
{
  g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_FORKED,
                       "This executor was made by the parent of this process, and cannot be used after fork ()");
}

GError *
morrow__executor_closed_error (void)
{
  return g_error_new_literal (MORROW_ERROR, MORROW_ERROR_CLOSED, "The executor has been closed");
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

static void
work_run (MorrowJob *job, gboolean closed)
{
  Work *self = (Work *) job;

  morrow__executor_do_work (&self->item, closed);
  morrow__cache_free (sizeof (Work), self);
}

void
morrow__executor_post_work (MorrowExecutor *self, MorrowWorkFunc func, gpointer data, GDestroyNotify data_free)
{
  Work *work = morrow__cache_alloc (sizeof (Work));

  work->job.run = work_run;
  work->item = (MorrowRingItem) { .func = func, .data = data, .data_free = data_free };
  morrow__executor_post (self, &work->job);
}

static _Atomic (gpointer) known_class;   /* any thread, relaxed: an executor's, and these never go */

static G_GNUC_NO_INLINE gboolean
is_unknown_executor (MorrowExecutor *self)
{
  if (!MORROW_IS_EXECUTOR (self))
    return FALSE;

  atomic_store_explicit (&known_class, MORROW_EXECUTOR_GET_CLASS (self), memory_order_relaxed);
  return TRUE;
}

/* As MORROW_IS_EXECUTOR (), whose walk through the types takes longer than to queue work: what had its class was one the last
 * time. */
static inline gboolean
is_executor (MorrowExecutor *self)
{
  return morrow__likely (self != NULL &&
                         (gpointer) MORROW_EXECUTOR_GET_CLASS (self) == atomic_load_explicit (&known_class, memory_order_relaxed)) ||
         is_unknown_executor (self);
}

/**
 * morrow_executor_submit:
 * @self: an executor
 * @func: (scope notified) (closure data) (destroy data_free): what to run
 * @data: (nullable): passed to @func
 * @data_free: (nullable): releases @data, on the executor, after @func or instead of it
 *
 * Runs @func on @self, once, outside any task, and forgets it: there is no result, no name and no cancelling. The
 * cheapest way to hand work over. What is submitted to a pool may run in any order.
 *
 * A thread outside that submits to a #MorrowLoopPool faster than it is done is held back: with hundreds of pieces of work
 * waiting, the call waits until half of them have begun, for 10 ms at most, and not again for 100 ms if that was in vain.
 * Then they are queued without bound, as they always are for who runs tasks or dispatches a main loop.
 *
 * On an executor that is closed, or that the parent of this process made before a fork (), @func is not run.
 */
void
morrow_executor_submit (MorrowExecutor *self, MorrowWorkFunc func, gpointer data, GDestroyNotify data_free)
{
  g_return_if_fail (is_executor (self) && func != NULL);

  if (morrow__likely (morrow__executor_is_ours (self)))
    MORROW_EXECUTOR_GET_CLASS (self)->submit (self, func, data, data_free);
  else if (data_free != NULL)
    data_free (data);
}
