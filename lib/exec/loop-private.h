/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a loop. loop.c is the object; turn.c turns it where it has its thread, and source.c where its context does;
 * scheduler.c runs what is ready, bundle.c makes what many ask of the system at once, reactor.c waits for what is not ready,
 * main-context.c asks the context's other sources, asleep.c puts the loop to sleep; circle.c looks for what would be waited for
 * in vain, watch.c offers waiting to others.
 *
 * A loop belongs to one thread: the one that first runs or dispatches it. Unless a field says otherwise, only that
 * thread touches it.
 *
 * SLEEPING
 *   Other threads put jobs into the inbox, and wake the loop if it may be asleep.
 *   L1: the poster pushes, then looks at asleep; the loop sets asleep, then looks at the inbox. Both are sequentially
 *   consistent, so that at least one sees the other: no job is left lying, and a burst of jobs costs one wake-up, since
 *   whoever finds asleep set clears it.
 *   L2: the poster counts itself in posting, then looks at closed; who closes sets closed, then waits until posting is 0.
 *   Both are sequentially consistent, so that at least one sees the other: a job comes before the last look at the inbox,
 *   or its poster sees that nobody will run it. Nor is a loop freed before the posters have left. */

#pragma once

#include <morrow/reactor.h>

#include "base/deque-private.h"
#include "base/mpsc-private.h"
#include "base/spin-private.h"
#include "base/timers-private.h"
#include "base/wakeup-private.h"
#include "exec/circle-private.h"
#include "exec/rest-private.h"
#include "exec/task-private.h"

#define MORROW_LOOP_MAX_SPARES 16

/* How many jobs are run between two looks at the clock, at first, and on a pool at most. */
#define MORROW_LOOP_BATCH      64

/* How many descriptors are taken from the kernel at once. Less than a full batch: what the loop will touch is brought to the caches
 * for all of them (morrow__loop_warm ()). As many watches are called in one dispatch of a hosted loop. */
#define MORROW_LOOP_EVENTS     40

/* What a task may do without waiting before it is the others' turn: an answer takes a read, a write, and a read in vain. */
#define MORROW_LOOP_BURNS      4

typedef struct _MorrowEvents MorrowEvents;   /* reactor.c */
typedef struct _MorrowBundle MorrowBundle;   /* bundle.c */

/* Something that wants to be called at a time. */
typedef struct _MorrowAlarm MorrowAlarm;

struct _MorrowAlarm
{
  MorrowTimer timer;
  void      (*fire) (MorrowAlarm *self);   /* immutable; on the loop's thread, with the alarm unarmed */
};

/* Something in a loop's epoll set. Its address is what the kernel gives back, so that whoever frees it has the reactor
 * forget it before. */
typedef struct _MorrowPollable MorrowPollable;

struct _MorrowPollable
{
  /* Immutable; on the loop's thread. Runs no code of the user's, but for a watch's. */
  void (*ready) (MorrowPollable *self, guint32 events);
};

/* What a thread had before it turned to a loop, with whoever turns it there. */
typedef struct
{
  MorrowHome     *home;
  MorrowExecutor *executor;
  MorrowLoop     *loop;
} MorrowOuter;

/* A turn of the loop's context in a callback in place, on the stack of the task that awaits that. In it others may do the same. It lives
 * on that stack, and is touched by the loop's thread. */
typedef struct _MorrowTurn MorrowTurn;

struct _MorrowTurn
{
  MorrowTask *below;
  gboolean    is_woken;   /* it was, and is in no queue, since it cannot go on before the callback has returned */
  MorrowTurn *outer;
};

struct _MorrowLoop
{
  MorrowExecutor   parent_instance;

  /* Immutable once made. */
  GMainContext    *context;        /* owned, until the loop has ended; may be NULL where broken is set */
  GSource         *source;         /* owned; holds no reference of the loop */
  MorrowRest      *rest;           /* of the context; as long as the source */
  MorrowExecutor  *executor;       /* what tasks here see as their executor: this loop, or the pool that it is a part of; borrowed */
  MorrowLoopPool  *pool;           /* that pool, or NULL; borrowed */
  int              epoll_fd;
  int              timer_fd;
  MorrowWakeup     wakeup;
  gboolean         hosted;         /* the context is an application's, which turns it whether the loop is run or not */
  GError          *broken;         /* owned: why it could not be made; then nothing runs on it */
  gboolean         is_special;     /* hosted, broken or a pool's: where more is to be done for a task than to run it */
  atomic_int      *sweeping;       /* own_sweeping, or the pool's; any, relaxed: what starts while it is set is swept at once. Who
                                      starts a task asks, and need know only if it runs here */

  /* Under the peers' lock. */
  MorrowPeers     *peers;          /* the pool's, or alone; the loop's thread may read it without */
  MorrowList       peer_link;
  gboolean         at_rest;        /* the loop's thread may read it without */
  guint            last_look;      /* the number of the peers' last look for circles that it was a part of */
  guint            looked_tick;    /* tick then */

  /* Any thread. */
  MorrowMpsc       inbox;          /* jobs from other threads */
  MorrowMpsc       offers;         /* on a pool: tasks from outside, that any of its loops may start */
  atomic_int       asleep;         /* L1 */
  atomic_int       summoned;       /* on a pool, relaxed, a hint: it was woken for what any loop may do */
  atomic_int       posting;        /* L2 */
  atomic_int       closed;         /* L2; set by whoever closes it, when it runs no more user code */

  /* The loop's thread: scheduling. */
  MorrowHome       home;
  GThread         *thread;         /* the thread that it belongs to; NULL before it first ran */
  MorrowQueue      ready;          /* jobs, first in first out */
  guint            tick;           /* jobs run: the clock of fairness between ready and the pool's deque */
  guint            out_of_fuel;    /* the tick at which this portion may run no more jobs */
  gboolean         has_looked;     /* at descriptors and timers in passing, since the oldest task in the deque last started */
  guint            burning;        /* the job, in ticks, that burnt counts for */
  guint            burnt;          /* what that has done without waiting (morrow__loop_burn ()) */
  MorrowBundle    *bundle;         /* owned; NULL before a call was put into it */
  guint            n_bundled;      /* calls in it; 0 when no batch is on the stack */
  guint            n_alone;        /* so many calls are made at once before there is a bundle again; G_MAXUINT for all */
  atomic_int       own_sweeping;   /* where it is no part of a pool: see sweeping */
  MorrowOuter      before_run;     /* run: what the thread had */
  MorrowFiber      main_fiber;     /* the thread's own stack; the task's instead, while something on that turns the loop's context */
  MorrowTask      *below;          /* the task on whose stack the callback that runs does so in place, NULL where none does; borrowed */
  gboolean         below_is_woken; /* it was, in a turn that is over, and is in no queue */
  MorrowTurn      *turn;           /* the innermost in which a callback in place turns the context, NULL for none */
  gboolean         in_order;       /* what has been ready for the longest is next: it is no part of a pool, and has no such turn */
  MorrowStackPool *stacks;
#ifdef MORROW_ENABLE_DEBUG
  GMainContext    *found_context;  /* the thread's default when the portion began; borrowed */
#endif
  MorrowFiber     *spares[MORROW_LOOP_MAX_SPARES];   /* parked between two tasks */
  guint            n_spares;
  MorrowList       tasks;          /* who looks for circles may touch it, and newest, while the loop is at rest: those that live here,
                                      but for newest (morrow__loop_get_tasks ()) */
  MorrowResident  *newest;         /* the one that started last, on its fiber's stack; NULL once it has ended, or is in the list */
  MorrowDeque      deque;          /* on a pool: tasks that have not started, newest first; others steal from it */
  atomic_ulong     n_started;      /* on a pool: written by this thread, read by the pool's sweep; see loop-pool-sweep.c */
  atomic_ulong     n_ended;        /* likewise */
  atomic_ulong     n_posted;       /* likewise: callbacks */

  /* The loop's thread: waiting. */
  MorrowPollable   wakeup_pollable;
  MorrowPollable   timer_pollable;
  MorrowPollable   context_pollable;
  MorrowTimers     timers;
  gint64           timer_armed;    /* what timer_fd is set to, G_MAXINT64 for nothing */
  MorrowSpin       spin;           /* of waits when others have been given nothing, */
  MorrowSpin       reply_spin;     /* and when they have, and may reply */
  MorrowPeers      alone;          /* its peers where it has none but itself */
  guint            batch;          /* run: how many jobs the next batch may run */
  gint64           last_poll;      /* when the reactor last looked at descriptors and timers, */
  gint64           look_over;      /* and when what that has brought had been dealt with */
  gboolean         says_asleep;    /* this loop has set asleep, and not woken up since */
  gboolean         is_chosen;      /* on a pool: somebody counts on it to begin what any loop may do, and it has not yet (P3) */
  gboolean         counted_asleep; /* on a pool: this loop counts in n_asleep */
  gboolean         searching;      /* on a pool: this loop counts in n_searching */
  gboolean         napping;        /* on a pool: this loop is the one that naps */
  gboolean         asks_backlog;   /* on a pool: it has last asked the backlog first for submitted work, not the ring */
  guint            n_swept;        /* on a pool: sweeps that it is not told of yet: what began before may be on the stack */
  guint            n_worked;       /* on a pool: submitted work that it has run, */
  guint            n_when_woken;   /* and that with tick when it was last woken */
  gulong           n_given_seen;   /* napping: what had been given to the pool at the last look, */
  gsize            n_taken_seen;   /* and what had been taken from its ring */
  GSource         *waker;          /* on a pool: owned; NULL before its context polls */
  int              stand_aside;    /* run: the loop looks at the context's other sources only, at this depth of dispatches; 0 when it does not */
  gboolean         context_called; /* run: another thread has woken the context */
  int              context_fd;     /* run: what it does that by, when it is in the epoll set; else -1 */
  pid_t            parted;         /* the forked child where wakeup is its own: of a loop on which a task went on there */
  guint64          forker;         /* the number of that task, 0 where it was a callback */
  MorrowEvents    *dispatching;    /* the watches that are called now, on the stack; NULL outside their callbacks */
};

/* loop.c */
MorrowLoop *morrow__loop_new          (MorrowExecutor *executor, MorrowLoopPool *pool);
gboolean    morrow__loop_take_thread  (MorrowLoop *self, GError **error);
void        morrow__loop_yield_thread (MorrowLoop *self);
void        morrow__loop_unbind       (MorrowLoop *self);
gboolean    morrow__loop_has_tasks    (MorrowLoop *self);
void        morrow__loop_drain        (MorrowLoop *self);
void        morrow__loop_wake_up      (gpointer self);
void        morrow__loop_run_until    (MorrowLoop *self, MorrowFuture *future);
void        morrow__loop_post         (MorrowLoop *self, MorrowJob *job);
void        morrow__loop_post_held    (MorrowLoop *self, MorrowJob *job);
void        morrow__loop_enter        (MorrowLoop *self, MorrowOuter *outer);
void        morrow__loop_leave        (const MorrowOuter *outer);
MorrowLoop *morrow__loop_turned_here  (void);
void        morrow__loop_close        (MorrowLoop *self);

/* turn.c */
void        morrow__loop_turn_while   (MorrowLoop *self, gboolean (*busy) (gpointer data), gpointer data);

/* scheduler.c */
extern G_GNUC_INTERNAL const MorrowHomeClass morrow__loop_home_class;

/* What a job that starts a task is known by; called when the loop has been closed. */
void        morrow__loop_start_run    (MorrowJob *job, gboolean closed);

MorrowList *morrow__loop_get_tasks    (MorrowLoop *self);
gboolean    morrow__loop_has_ready    (MorrowLoop *self);
void        morrow__loop_run_portion  (MorrowLoop *self, guint fuel);
void        morrow__loop_end_batch    (MorrowLoop *self);
void        morrow__loop_run_batch    (MorrowLoop *self, guint fuel);
void        morrow__loop_sweep        (MorrowLoop *self);
void        morrow__loop_warm         (MorrowLoop *self);
void        morrow__loop_drop_fibers  (MorrowLoop *self);
void        morrow__loop_describe_fiber (MorrowFiber *fiber, char *buffer, gsize size);

/* reactor.c */
gboolean    morrow__reactor_init      (MorrowLoop *self, GError **error);
void        morrow__reactor_settle_timers (MorrowLoop *self);
void        morrow__reactor_clear     (MorrowLoop *self);
gboolean    morrow__reactor_control   (MorrowLoop *self, int operation, int fd, guint32 events, MorrowPollable *pollable);
void        morrow__reactor_forget    (MorrowLoop *self, MorrowPollable *pollable);

/* watch.c */

/* What a pollable that is a watch is known by. */
void        morrow__watch_ready       (MorrowPollable *pollable, guint32 events);

/* source.c */
void        morrow__loop_make_source  (MorrowLoop *self);
void        morrow__loop_leave_context (MorrowLoop *self);

/* Sets an alarm, which may be set already. What is before the clock's beginning is at it: the time that is left can be told. */
static inline void
morrow__alarm_set (MorrowLoop *self, MorrowAlarm *alarm, gint64 deadline)
{
  if (morrow__timer_is_armed (&alarm->timer))   /* most are new, and need no call to find out */
    morrow__timers_remove (&self->timers, &alarm->timer);
  morrow__timers_insert (&self->timers, &alarm->timer, MAX (deadline, 0));
}

static inline void
morrow__alarm_unset (MorrowLoop *self, MorrowAlarm *alarm)
{
  morrow__timers_remove (&self->timers, &alarm->timer);
}

/* What a task's job is before the task has started. */
static inline void
morrow__loop_mark_start (MorrowTask *task)
{
  task->job.run = morrow__loop_start_run;
}

static inline gboolean
morrow__loop_is_sweeping (MorrowLoop *self)
{
  return atomic_load_explicit (self->sweeping, memory_order_relaxed);
}

/* The loop whose tasks and callbacks run on this thread, NULL when there is none. */
static inline MorrowLoop *
morrow__loop_here (void)
{
  MorrowHome *home = morrow__home;

  if (home == NULL || morrow__seldom (!morrow__home_is_loop (home)))
    return NULL;
  return morrow__container_of (home, MorrowLoop, home);
}

/* Whether it does what is its pool's: in a forked child that is the parent's to do, and a lock of the pool's may be held for ever. */
static inline gboolean
morrow__loop_serves_pool (MorrowLoop *self)
{
  return self->pool != NULL && morrow__executor_is_ours (&self->parent_instance);
}

/* In a task, for something done that might have been a wait: a task that never has to wait may do a few of them, and then it
 * is the others' turn. It uses up fuel as a job does. FALSE when the task is to yield. */
static inline gboolean
morrow__loop_burn (MorrowLoop *self)
{
  if (self->burning != self->tick)
    {
      self->burning = self->tick;
      self->burnt = 0;
    }
  if (self->burnt == MORROW_LOOP_BURNS)
    return FALSE;

  self->burnt++;
  self->out_of_fuel -= self->out_of_fuel != self->tick;
  return TRUE;
}
