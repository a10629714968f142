/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting on a loop: for descriptors, timers and other threads.
 *
 * All descriptors are in an epoll set of our own, since a GMainContext pays for each descriptor at each turn. Timers
 * are in one queue, in the order of (deadline, creation). Other threads write to an eventfd in the same set; it is
 * watched for edges, as the timerfd is, so that neither is ever read.
 *
 * A loop that has its thread (morrow__loop_turn_while ()) turns by itself:
 *   1. take what other threads have posted
 *   2. run a batch of what is ready
 *   3. still something ready: when 100 us have passed, look at descriptors and timers, and at the context's other sources
 *   4. nothing ready: look for a reply for a few microseconds, if the last one came quickly; ask the context for how
 *      long it can do without us; sleep in the epoll set
 *
 *   The context's other sources are the user's. When they watch no descriptor, which is nearly always, the only
 *   descriptor that the context itself wants to be polled is the one that other threads wake it by: that is in our
 *   set, and so the loop sleeps in one system call that also brings the events. Otherwise the context polls, and our
 *   source is one among the others, as in:
 *
 * A dispatch inside an application's main loop: the set's own descriptor is polled by the context, through the one
 * GSource that a loop is. The dispatch is bounded in time; and when something is still ready after it, the next turns
 * are for others (rest-private.h), so that sources of lower priority, redrawing among them, are not starved.
 *
 * A CHILD of fork () shares the set, its entries and the timerfd with its parent, whatever it copies, and so does a context:
 * it leaves them alone, also what they have to tell, which would be lost to the parent. A task that goes on there may sleep, and
 * await what threads of the child's settle, which wake its loop by an eventfd that is the child's. Inside somebody's main loop it
 * never would, if the context were to turn the loop meanwhile: so the dispatch lasts until the task has ended.
 *
 * HOW LONG A timerfd is exact, but a system call each time that it is set; the time limit of epoll_pwait2 () costs
 * nothing, but the kernel may be late by a thousandth of it, and by 50 us at least. So the latter serves short times,
 * the former long ones; it is not set again for a later time, but wakes the loop once more than needed. */

#include "config.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock-private.h"
#include "base/fork-private.h"
#include "exec/loop-pool-private.h"
#include "exec/loop-private.h"

#define BATCH           64     /* jobs between two looks at the clock, at first, and on a pool at most; */
#define CHEAP_BATCH     256    /* elsewhere at most */
#define POLL_INTERVAL   100    /* microseconds between two looks at descriptors, while something is ready */
#define DISPATCH_LIMIT  1000   /* microseconds that a dispatch may take inside somebody's main loop */
#define PORTION         16     /* jobs between two looks at the clock there, at most, */
#define PORTION_TIME    50     /* and how many microseconds they should take at most */
#define NAP_TIME        100    /* microseconds that a loop of a pool naps: what a wake-up takes, and some more (loop-pool-wake.c) */
#define UNSURE_TIME     10000  /* that one sleeps which may have missed something */
#define CROWD           256    /* events that are taken at once when a timer is due and more may have come than a look brings, */
#define CROWD_ROUNDS    16     /* and how often */
#define SHORT_TIME      50000  /* microseconds: when a thousandth of it is 50 us */

/* --- descriptors -------------------------------------------------------------------------------------------------- */

/* In a forked child nothing is watched, and what the parent watches stays. */
gboolean
morrow__reactor_control (MorrowLoop *self, int operation, int fd, guint32 events, MorrowPollable *pollable)
{
  struct epoll_event event = { .events = events, .data.ptr = pollable };

  if (morrow__unlikely (!morrow__executor_is_ours (&self->parent_instance)))
    {
      errno = EPERM;
      return operation != EPOLL_CTL_ADD;
    }
  return epoll_ctl (self->epoll_fd, operation, fd, &event) == 0;
}

/* A task goes on in a new child, whose threads are to wake its loop, and not the parent's. */
static void
part_from_parent (void)
{
  MorrowLoop *here = morrow__loop_turned_here ();

  if (here == NULL)
    return;

  morrow__wakeup_part (&here->wakeup);
  here->parted = getpid ();
  here->forker = here->home.current != NULL ? here->home.current->id : 0;
}

MORROW__IN_EACH_CHILD (part_from_parent)

/* The eventfd: it has woken the loop, and that is all. */
static void
wakeup_ready (MorrowPollable *pollable, guint32 events)
{
}

static void
timer_ready (MorrowPollable *pollable, guint32 events)
{
  morrow__container_of (pollable, MorrowLoop, timer_pollable)->timer_armed = G_MAXINT64;
}

/* Another thread has called the context. */
static void
context_ready (MorrowPollable *pollable, guint32 events)
{
  morrow__container_of (pollable, MorrowLoop, context_pollable)->context_called = TRUE;
}

/* What a poll has brought, while it is dealt with. */
struct _MorrowEvents
{
  struct epoll_event *events;
  int                 n;
  MorrowEvents       *outer;   /* those of the callback that runs this main loop */
};

static void
dispatch_events (MorrowLoop *self, struct epoll_event *events, int n)
{
  MorrowEvents here = { events, n, self->dispatching };

  for (int i = 0; i < n; i++)
    __builtin_prefetch (events[i].data.ptr);
  self->dispatching = &here;
  for (int i = 0; i < n; i++)
    {
      MorrowPollable *pollable = events[i].data.ptr;

      if (morrow__likely (pollable != NULL))
        pollable->ready (pollable, events[i].events);
    }
  self->dispatching = here.outer;
}

/* A pollable that is not in the set any more may go: events that name it are on the stack only while callbacks run. */
void
morrow__reactor_forget (MorrowLoop *self, MorrowPollable *pollable)
{
  for (MorrowEvents *here = self->dispatching; here != NULL; here = here->outer)
    {
      for (int i = 0; i < here->n; i++)
        {
          if (here->events[i].data.ptr == pollable)
            here->events[i].data.ptr = NULL;
        }
    }
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* Fires up to @n_alarms of what is due at @due, while less than *@n_steps steps of the timers have been taken, which it counts
 * down. Returns: how many; if less, and steps are left, that was all. */
static guint
fire_some (MorrowLoop *self, gint64 due, guint n_alarms, guint *n_steps)
{
  MorrowTimer *timer;
  guint n = 0;

  while (n < n_alarms && (timer = morrow__timers_pop_due (&self->timers, due, n_steps)) != NULL)
    {
      MorrowAlarm *alarm = morrow__container_of (timer, MorrowAlarm, timer);

      alarm->fire (alarm);
      n++;
    }
  return n;
}

static void
fire_due (MorrowLoop *self, gint64 due)
{
  guint n_steps;

  do
    {
      n_steps = G_MAXUINT;
      fire_some (self, due, G_MAXUINT, &n_steps);
    }
  while (n_steps == 0);
}

/* How many jobs, or steps of the timers, may come before the next look at the clock, when the last @n took so long. */
static guint
next_portion (guint n, gint64 took)
{
  if (took <= PORTION_TIME)
    return MIN (2 * n, PORTION);
  return MAX (1, n * PORTION_TIME / took);
}

/* Inside somebody's main loop: what is left at @until is still due at the next turn. Steps in which timers only move say nothing
 * of what the first alarm will take. */
static void
fire_due_until (MorrowLoop *self, gint64 due, gint64 until)
{
  gint64 before, now = due;
  guint n_alarms = 1, n_steps = 1, left, n;

  do
    {
      left = n_steps;
      n = fire_some (self, due, n_alarms, &left);
      if (n < n_alarms && left > 0)
        return;
      before = now;
      now = morrow__clock_now ();
      n_steps = next_portion (n_steps, now - before);
      if (n > 0)
        n_alarms = next_portion (n, now - before);
    }
  while (now < until);
}

/* Has the timerfd wake the loop at @deadline, or sooner. */
static void
arm_timer_fd (MorrowLoop *self, gint64 deadline)
{
  struct itimerspec spec = { 0 };

  if (deadline >= self->timer_armed || !morrow__executor_is_ours (&self->parent_instance))
    return;

  self->timer_armed = deadline;
  deadline = MAX (deadline, 1);   /* all zero would unset it */
  spec.it_value.tv_sec = deadline / G_USEC_PER_SEC;
  spec.it_value.tv_nsec = deadline % G_USEC_PER_SEC * 1000;
  timerfd_settime (self->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* --- the epoll set ------------------------------------------------------------------------------------------------ */

/* FALSE when the system has no such call. */
static gboolean
wait_short_time (MorrowLoop *self, struct epoll_event *events, gint64 microseconds, int *ret_n)
{
#ifdef HAVE_EPOLL_PWAIT2
  static atomic_int missing;   /* any thread, relaxed: it only ever becomes TRUE */
  struct timespec timeout = { microseconds / G_USEC_PER_SEC, microseconds % G_USEC_PER_SEC * 1000 };

  if (!atomic_load_explicit (&missing, memory_order_relaxed))
    {
      *ret_n = epoll_pwait2 (self->epoll_fd, events, MORROW_LOOP_EVENTS, &timeout, NULL);
      if (*ret_n >= 0 || errno != ENOSYS)
        return TRUE;
      atomic_store_explicit (&missing, TRUE, memory_order_relaxed);
    }
#endif
  return FALSE;
}

/* In a forked child, where no event can come: until another thread of the child's wakes the loop. */
static int
sleep_in_child (MorrowLoop *self, gint64 deadline)
{
  struct pollfd wakeup = { .fd = self->parted == getpid () ? morrow__wakeup_fd (&self->wakeup) : -1, .events = POLLIN };
  gint64 left = MAX (deadline - morrow__clock_now (), 0);
  struct timespec timeout = { left / G_USEC_PER_SEC, left % G_USEC_PER_SEC * 1000 };
  int n = ppoll (&wakeup, 1, deadline != G_MAXINT64 ? &timeout : NULL, NULL);

  if (n > 0)
    morrow__wakeup_acknowledge (&self->wakeup);
  return MIN (n, 0);
}

/* Returns how many events came, until @deadline; less than 0 when a signal came. */
static int
wait_until (MorrowLoop *self, struct epoll_event *events, gint64 deadline)
{
  if (morrow__unlikely (!morrow__executor_is_ours (&self->parent_instance)))
    return sleep_in_child (self, deadline);

  if (deadline != G_MAXINT64)
    {
      gint64 left = deadline - morrow__clock_now ();
      int n;

      if (left <= 0)
        return epoll_wait (self->epoll_fd, events, MORROW_LOOP_EVENTS, 0);
      if (left <= SHORT_TIME && wait_short_time (self, events, left, &n))
        return n;
      arm_timer_fd (self, deadline);
    }

  return epoll_wait (self->epoll_fd, events, MORROW_LOOP_EVENTS, -1);
}

/* More may have come than a look brings, and a timer is due: what came before its time is dealt with before it. The rounds
 * are counted, since a descriptor with a watch may be ready however often it is told of. */
static void
serve_crowd (MorrowLoop *self)
{
  struct epoll_event events[CROWD];
  guint rounds = 0;
  int n;

  do
    {
      n = epoll_wait (self->epoll_fd, events, CROWD, 0);
      dispatch_events (self, events, n);
    }
  while (n == CROWD && ++rounds < CROWD_ROUNDS);
}

/* Deals with what has come: descriptors, then timers; some of these, where the time is over at @until. Returns: whether
 * descriptors were ready. */
static gboolean
serve_until (MorrowLoop *self, struct epoll_event *events, int n, gint64 until)
{
  dispatch_events (self, events, n);
  self->last_poll = morrow__clock_now ();
  if (morrow__seldom (n == MORROW_LOOP_EVENTS) && morrow__timers_next (&self->timers) <= self->last_poll)
    serve_crowd (self);
  if (until == G_MAXINT64)
    fire_due (self, self->last_poll);
  else
    fire_due_until (self, self->last_poll, until);
  if (n > 1)
    morrow__loop_warm (self);
  return n > 0;
}

static void
serve_events (MorrowLoop *self, struct epoll_event *events, int n)
{
  serve_until (self, events, n, G_MAXINT64);
}

/* Whether descriptors were ready. */
static gboolean
poll_until (MorrowLoop *self, gint64 until)
{
  struct epoll_event events[MORROW_LOOP_EVENTS];
  int n = 0;

  if (morrow__likely (morrow__executor_is_ours (&self->parent_instance)))
    n = epoll_wait (self->epoll_fd, events, MORROW_LOOP_EVENTS, 0);
  return serve_until (self, events, n, until);
}

gboolean
morrow__reactor_poll (MorrowLoop *self)
{
  return poll_until (self, G_MAXINT64);
}

/* --- the context -------------------------------------------------------------------------------------------------- */

typedef enum
{
  CONTEXT_QUIET,           /* nothing to do but what our epoll set would tell */
  CONTEXT_READY,           /* a source wants to be dispatched, or has a time-out that is due */
  CONTEXT_HAS_DESCRIPTORS  /* sources want descriptors to be polled, or the user's own function is to poll */
} ContextState;

/* A turn of the context's other sources: ours stands aside, but in a main loop that one of them runs meanwhile. */
static void
serve_context (MorrowLoop *self)
{
  self->context_called = FALSE;
  self->stand_aside = g_main_depth () + 1;
  g_main_context_iteration (self->context, FALSE);
  self->stand_aside = 0;
}

/* The one descriptor that the context polls by itself has a place in our set, from the first time that we see it. */
static gboolean
hold_context_fd (MorrowLoop *self, int fd)
{
  if (morrow__unlikely (self->context_fd != fd))
    {
      if (!morrow__reactor_control (self, EPOLL_CTL_ADD, fd, EPOLLIN, &self->context_pollable))
        return FALSE;
      self->context_fd = fd;
    }
  return TRUE;
}

/* Asks the context what its other sources want; @deadline becomes sooner when they want to be served before. */
static ContextState
ask_context (MorrowLoop *self, gint64 *deadline)
{
  GPollFD fds[2];   /* ours, and its own */
  gint priority, timeout, n;

  if (morrow__unlikely (!morrow__executor_is_ours (&self->parent_instance)))
    return CONTEXT_QUIET;
  if (self->context_called)
    return CONTEXT_READY;

  self->stand_aside = g_main_depth () + 1;
  g_main_context_prepare (self->context, &priority);
  n = g_main_context_query (self->context, G_MAXINT, &timeout, fds, G_N_ELEMENTS (fds));
  self->stand_aside = 0;

  if (timeout == 0)
    return CONTEXT_READY;
  if (n != G_N_ELEMENTS (fds) || g_main_context_get_poll_func (self->context) != g_poll ||
      !hold_context_fd (self, fds[0].fd != self->epoll_fd ? fds[0].fd : fds[1].fd))
    return CONTEXT_HAS_DESCRIPTORS;
  if (timeout > 0)
    *deadline = MIN (*deadline, morrow__clock_now () + timeout * (gint64) 1000);
  return CONTEXT_QUIET;
}

/* --- turns of a loop that has its thread -------------------------------------------------------------------------- */

static void
take_posted (MorrowLoop *self)
{
  if (!morrow__mpsc_is_empty (&self->inbox))
    morrow__mpsc_take_all (&self->inbox, &self->ready);
  if (self->pool != NULL)
    morrow__loop_pool_take_offers (self);
}

static gboolean
has_work (MorrowLoop *self)
{
  return morrow__loop_has_ready (self) || !morrow__mpsc_is_empty (&self->inbox);
}

/* On a pool: before anything is run (P2). */
static inline void
end_search (MorrowLoop *self)
{
  if (self->searching || self->napping)
    morrow__loop_pool_end_search (self);
}

/* On a pool: the loop does something of its own before what it was chosen for, if it was (P3). */
static inline void
do_own_first (MorrowLoop *self)
{
  if (morrow__likely (!self->is_chosen))
    return;

  self->is_chosen = FALSE;
  morrow__loop_pool_pass_on (self);
}

/* Looks at descriptors, timers and the context's other sources, though something is ready. */
static void
poll_in_passing (MorrowLoop *self)
{
  gint64 deadline = G_MAXINT64;

  end_search (self);
  do_own_first (self);
  morrow__reactor_poll (self);
  if (ask_context (self, &deadline) != CONTEXT_QUIET)
    serve_context (self);
}

/* How many jobs the next batch may run, when it is so long since the last poll: more of those that are cheap, beside which a look
 * at the clock is dear, and so few of those that are dear that the next poll is not late by much. On a pool the work that was
 * submitted waits for the batch as well, and as much of it follows. */
static guint
next_batch (MorrowLoop *self, gint64 since)
{
  if (since < POLL_INTERVAL / 4)
    return MIN (2 * self->batch, self->pool == NULL ? CHEAP_BATCH : BATCH);
  if (since >= 2 * POLL_INTERVAL)
    return MAX (1, self->batch * POLL_INTERVAL / since);
  return self->batch;
}

static void
poll_now_and_then (MorrowLoop *self)
{
  gint64 since = morrow__clock_now () - self->last_poll;

  self->batch = next_batch (self, since);
  if (since >= POLL_INTERVAL)
    poll_in_passing (self);
}

/* On a pool: the last look at what any loop may do, which a loop that cannot be sure of it repeats before long. */
static gboolean
pool_has_work (MorrowLoop *self)
{
  gboolean is_sure, has = morrow__loop_pool_has_work (self, &is_sure);

  if (morrow__unlikely (!is_sure))
    arm_timer_fd (self, morrow__clock_now () + UNSURE_TIME);
  return has;
}

/* Says that the loop is going to sleep; FALSE when somebody has posted meanwhile (L1). In either case it is to wake_up (). */
static gboolean
fall_asleep (MorrowLoop *self)
{
  self->says_asleep = TRUE;
  /* Sequentially consistent: L1, pairs with the exchange in morrow__loop_post (). */
  atomic_store_explicit (&self->asleep, TRUE, memory_order_seq_cst);
  return atomic_load_explicit (&self->inbox.newest, memory_order_seq_cst) == NULL &&
         (self->pool == NULL || self->napping || !pool_has_work (self));   /* who naps will look, late or not */
}

/* Before any code of the user's is run: who wakes a loop for something is not to choose one that is busy, nor is anybody to
 * look at its tasks. */
static void
wake_up (MorrowLoop *self)
{
  if (self->at_rest)
    morrow__loop_end_rest (self);
  if (self->counted_asleep)
    morrow__loop_pool_slept (self);
  if (!self->says_asleep)
    return;

  self->says_asleep = FALSE;
  if (self->pool == NULL)
    /* Relaxed: whoever saw it set meanwhile has signalled, which costs a turn and no more. */
    atomic_store_explicit (&self->asleep, FALSE, memory_order_relaxed);
  else if (!atomic_exchange_explicit (&self->asleep, FALSE, memory_order_seq_cst))
    /* Sequentially consistent: P3, pairs with the exchange in morrow__loop_pool_wake_one (). */
    self->is_chosen = TRUE;
}

/* Nothing is ready: TRUE when something is after all. */
static gboolean
rest (MorrowLoop *self)
{
  gint64 look_at;

  if (morrow__loop_rest (self, &look_at))
    return TRUE;

  arm_timer_fd (self, look_at);
  return FALSE;
}

static gboolean
has_posts (gpointer data)
{
  MorrowLoop *self = data;

  return !morrow__mpsc_is_empty (&self->inbox) || (self->pool != NULL && morrow__loop_pool_sees_work (self));
}

/* Looks a little longer, where that promises something, and where not enough of a pool's loops do so already. */
static gboolean
spin (MorrowLoop *self, gint64 deadline)
{
  return (self->pool == NULL || morrow__loop_pool_search (self)) && morrow__spin_until (&self->spin, has_posts, self, deadline);
}

/* Whether something else has come than a call of another thread's. */
static gboolean
has_events (MorrowLoop *self, const struct epoll_event *events, int n)
{
  return n > 1 || (n == 1 && events[0].data.ptr != &self->wakeup_pollable) ||
         morrow__timers_next (&self->timers) <= morrow__clock_now ();
}

/* In the epoll set. Whether the next wait is worth a spin is told by how soon something was posted after the last
 * poll, which is what the reply took and more. */
static void
sleep_until (MorrowLoop *self, gint64 deadline)
{
  struct epoll_event events[MORROW_LOOP_EVENTS];
  gint64 before = self->last_poll;
  int n;

  if (rest (self))
    return;

  if (!fall_asleep (self))
    {
      wake_up (self);
      return;
    }

  n = wait_until (self, events, deadline);
  wake_up (self);
  if (has_events (self, events, n))
    do_own_first (self);
  serve_events (self, events, n);
  morrow__spin_slept (&self->spin, has_posts (self), self->last_poll - before);
  if (self->pool != NULL)
    morrow__loop_pool_woken (self);
}

/* Returns how many events came during one nap; less than 0 when it is over, since there is something else to do. */
static int
doze (MorrowLoop *self, struct epoll_event *events, gint64 deadline)
{
  gint64 now = morrow__clock_now ();
  int n = -1;

  if (now < deadline && fall_asleep (self))
    n = wait_until (self, events, MIN (deadline, now + NAP_TIME));
  wake_up (self);
  return n;
}

/* On a pool: the loop watches whether the others keep up. It is not at rest, since it looks by itself. */
static void
nap_until (MorrowLoop *self, gint64 deadline)
{
  struct epoll_event events[MORROW_LOOP_EVENTS];
  int n;

  do
    n = doze (self, events, deadline);
  while (n == 0 && morrow__loop_pool_naps_on (self));

  if (n != 0)
    {
      end_search (self);
      serve_events (self, events, n);
    }
}

/* Nothing is ready, and the context wants nothing. */
static void
sleep_or_nap (MorrowLoop *self, gint64 deadline)
{
  if (self->pool != NULL && morrow__loop_pool_nap (self))
    nap_until (self, deadline);
  else
    sleep_until (self, deadline);
}

/* Has the context poll, when its sources watch more than our set. A turn of it in our own steps, so that the loop is awake before
 * any of them is called: for one of a higher priority than ours, ours is not asked whether it woke up. */
static void
poll_context (MorrowLoop *self)
{
  g_autoptr (GArray) fds = g_array_new (FALSE, FALSE, sizeof (GPollFD));
  gint64 before = self->last_poll;
  gint priority, timeout, n;
  gboolean ready;

  g_main_context_prepare (self->context, &priority);
  while ((n = g_main_context_query (self->context, priority, &timeout, (GPollFD *) fds->data, fds->len)) > (gint) fds->len)
    g_array_set_size (fds, n);
  if (timeout != 0 && self->peers->are_several && rest (self))
    timeout = 0;
  g_main_context_get_poll_func (self->context) ((GPollFD *) fds->data, n, timeout);
  wake_up (self);
  do_own_first (self);   /* ours may be the last of those that are dispatched */
  ready = g_main_context_check (self->context, priority, (GPollFD *) fds->data, n);
  if (ready)
    g_main_context_dispatch (self->context);
  if (ready && self->last_poll == before)
    morrow__reactor_poll (self);   /* our source has had to stand back, and may have to each time */
}

/* Nothing is ready: returns when something may be. */
static void
wait_for_work (MorrowLoop *self)
{
  gint64 deadline = morrow__timers_next (&self->timers);

  if (spin (self, deadline))
    {
      poll_now_and_then (self);
      return;
    }

  end_search (self);
  switch (ask_context (self, &deadline))
    {
    case CONTEXT_QUIET:
      sleep_or_nap (self, morrow__clock_jump (deadline) ? 0 : deadline);
      break;

    case CONTEXT_READY:
      serve_context (self);
      morrow__reactor_poll (self);
      break;

    case CONTEXT_HAS_DESCRIPTORS:
    default:
      poll_context (self);
      break;
    }
}

/* Whether there is more to do; of what any loop of a pool may do, some has been done or taken then. */
static inline gboolean
finds_more (MorrowLoop *self)
{
  return (self->pool != NULL && morrow__loop_pool_work (self)) || has_work (self) ||
         (self->pool != NULL && morrow__loop_pool_steal (self));
}

/* Nothing that began is on the stack any more. */
static inline void
tidy_up (MorrowLoop *self)
{
  if (morrow__unlikely (self->says_asleep))
    wake_up (self);   /* a main loop in a callback has ended by another source, which was dispatched before ours was asked */
  if (morrow__unlikely (self->n_swept > 0))
    morrow__loop_pool_tell_swept (self);
}

/* Turns of a loop that has its thread, for as long as @busy says so: it is asked again before the loop sleeps. */
void
morrow__loop_turn_while (MorrowLoop *self, gboolean (*busy) (gpointer data), gpointer data)
{
  while (busy (data))
    {
      tidy_up (self);
      take_posted (self);
      if (morrow__loop_has_ready (self))
        end_search (self);
      if (!morrow__queue_is_empty (&self->ready))
        do_own_first (self);
      self->is_chosen = FALSE;
      morrow__loop_run_batch (self, self->batch);

      if (finds_more (self))
        {
          poll_now_and_then (self);
        }
      else
        {
          tidy_up (self);
          if (busy (data))
            wait_for_work (self);
        }
    }
}

/* --- the source --------------------------------------------------------------------------------------------------- */

struct _MorrowLoopSource
{
  GSource     source;
  MorrowLoop *loop;   /* borrowed: the loop destroys its source */
  GPollFD     poll;   /* of the epoll set; not as g_source_add_unix_fd () has it, which dispatches us although we stand aside */
};

/* The loop itself has the context iterated, for the others; or a task does, which is no place to run others; or a forked
 * child does, which has none of the loop's business; or somebody does when the loop has been closed. */
static gboolean
stands_aside (MorrowLoop *self)
{
  /* Relaxed: where the loop is closed while its context turns, it is by the thread that turns it. */
  return (self->stand_aside != 0 && self->stand_aside == g_main_depth () + 1) || self->home.current != NULL ||
         !morrow__executor_is_ours (&self->parent_instance) || atomic_load_explicit (&self->closed, memory_order_relaxed);
}

/* After each poll, before any other. */
static gboolean
waker_check (GSource *source)
{
  MorrowLoop *self = ((MorrowLoopSource *) source)->loop;

  wake_up (self);
  do_own_first (self);
  return FALSE;
}

static gboolean
waker_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs waker_funcs = { .check = waker_check, .dispatch = waker_dispatch };

/* A loop's own source is not asked after a poll that has made one of a higher priority ready: that would run while the loop counts
 * as asleep, and be given what another loop might do. So a pool's loops have one that is asked first, from when the context first
 * polls: in a main loop inside of the loop's turns, mostly. For other loops nobody else looks whether they sleep. */
static void
make_waker (MorrowLoop *self)
{
  self->waker = g_source_new (&waker_funcs, sizeof (MorrowLoopSource));
  ((MorrowLoopSource *) self->waker)->loop = self;
  g_source_set_static_name (self->waker, "morrow loop's waker");
  g_source_set_priority (self->waker, G_MININT);
  g_source_attach (self->waker, self->context);
}

static gboolean
loop_prepare (GSource *source, gint *timeout)
{
  MorrowLoop *self = ((MorrowLoopSource *) source)->loop;
  gboolean aside = stands_aside (self);
  gint64 next;

  *timeout = -1;
  /* What has come for the loop stays in its set meanwhile, and would keep the context from sleeping. */
  ((MorrowLoopSource *) source)->poll.events = aside ? 0 : G_IO_IN;
  if (aside)
    return FALSE;
  wake_up (self);         /* since it fell asleep it was not asked, if sources of a higher priority were ready */
  do_own_first (self);
  if (morrow__rest_prepare (self->rest))
    {
      *timeout = 0;
      return FALSE;
    }

  next = morrow__timers_next (&self->timers);
  if (has_work (self) || next <= morrow__clock_now () || morrow__clock_jump (next) ||
      (!self->peers->are_several && rest (self)))   /* other sources are still to be asked: a loop with peers rests when it polls */
    return TRUE;
  if (self->pool != NULL && self->waker == NULL)
    make_waker (self);
  if (!fall_asleep (self))
    {
      wake_up (self);
      do_own_first (self);
      return TRUE;
    }

  arm_timer_fd (self, next);
  return FALSE;
}

static gboolean
loop_check (GSource *source)
{
  MorrowLoopSource *loop_source = (MorrowLoopSource *) source;
  MorrowLoop *self = loop_source->loop;

  wake_up (self);
  do_own_first (self);
  if (stands_aside (self) || morrow__rest_check (self->rest))
    return FALSE;

  return has_work (self) || loop_source->poll.revents != 0;
}

/* A batch, in portions: a look at the clock costs as much as a few cheap jobs, but of those that are dear only one is to
 * be too many; or a portion, where they come behind cheap ones. Returns: what time it is. */
static gint64
run_batch_until (MorrowLoop *self, gint64 until, guint *portion)
{
  gint64 before, now = morrow__clock_now ();
  guint left = BATCH, n;

  do
    {
      before = now;
      n = MIN (*portion, left);
      left -= n;
      morrow__loop_run_batch (self, n);
      now = morrow__clock_now ();
      *portion = next_portion (n, now - before);
    }
  while (left > 0 && now < until && morrow__loop_has_ready (self));

  return now;
}

/* Turns for as long as there is something to do, since one of the context's costs more than one of ours; within the
 * limit. Returns: whether it is that which has ended it. */
static gboolean
turn_hosted (MorrowLoop *self)
{
  gint64 now = morrow__clock_now (), until = now + DISPATCH_LIMIT;
  guint portion = 1;   /* nothing is known of what is ready now */
  gboolean came = TRUE;

  do
    {
      take_posted (self);
      if (came || now - self->last_poll >= POLL_INTERVAL)
        came = poll_until (self, until);
      now = run_batch_until (self, until, &portion);
      if (!finds_more (self) && !came)
        return now >= until && morrow__timers_next (&self->timers) <= now;
      if (self->pool != NULL)
        now = morrow__clock_now ();
    }
  while (now < until);

  return TRUE;
}

/* The task that has forked, NULL when it has ended, or when it was a callback. */
static MorrowTask *
find_forker (MorrowLoop *self)
{
  morrow__list_foreach (&self->tasks, node)
    {
      MorrowTask *task = morrow__list_entry (node, MorrowResident, link)->task;

      if (task->id == self->forker)
        return task;
    }
  return NULL;
}

/* In a forked child, where a dispatch comes to its end that has begun in the parent. Another task may fork meanwhile: then this goes
 * on in a child of the child's. */
static void
turn_in_child (MorrowLoop *self)
{
  MorrowTask *task;

  while ((task = find_forker (self)) != NULL)
    {
      morrow__future_ref (&task->future);
      morrow__loop_run_until (self, &task->future);
      morrow_future_unref (&task->future);
    }
}

static gboolean
loop_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  MorrowLoop *self = ((MorrowLoopSource *) source)->loop;
  MorrowOuter outer;

  if (morrow__unlikely (!morrow__executor_is_ours (&self->parent_instance)))
    return G_SOURCE_CONTINUE;   /* a source that was dispatched just before has forked */

  g_object_ref (self);
  morrow__loop_enter (self, &outer);
  if (turn_hosted (self))
    morrow__rest_begin (self->rest);
  if (morrow__unlikely (!morrow__executor_is_ours (&self->parent_instance)))
    turn_in_child (self);
  morrow__loop_leave (&outer);
  g_object_unref (self);

  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
  .prepare = loop_prepare,
  .check = loop_check,
  .dispatch = loop_dispatch,
};

static void
make_source (MorrowLoop *self)
{
  MorrowLoopSource *source = (MorrowLoopSource *) g_source_new (&source_funcs, sizeof (MorrowLoopSource));

  source->loop = self;
  self->source = &source->source;
  self->rest = morrow__rest_join (self->context);
  g_source_set_static_name (self->source, "morrow loop");
  source->poll = (GPollFD) { .fd = self->epoll_fd, .events = G_IO_IN };
  g_source_add_poll (self->source, &source->poll);
  g_source_set_can_recurse (self->source, TRUE);   /* otherwise GLib takes the descriptor out and in again around each dispatch */
  g_source_attach (self->source, self->context);
}

static void
set_system_error (GError **error, const char *what)
{
  int saved_errno = errno;

  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno), "An event loop could not be made: %s: %s", what, g_strerror (saved_errno));
}

/* GLib ends the process when it has no descriptor for a context: so it is tried first whether there are any left, for
 * the loop's own and for the default one, which GLib makes as soon as it compares another with it. */
static gboolean
make_contexts (MorrowLoop *self, GError **error)
{
  int spares[] = { eventfd (0, EFD_CLOEXEC), eventfd (0, EFD_CLOEXEC) };
  gboolean enough = spares[0] >= 0 && spares[1] >= 0;

  if (!enough)
    set_system_error (error, "eventfd");
  for (guint i = 0; i < G_N_ELEMENTS (spares); i++)
    {
      if (spares[i] >= 0)
        close (spares[i]);
    }
  if (!enough)
    return FALSE;

  g_main_context_default ();
  if (self->context == NULL)
    self->context = g_main_context_new ();
  return TRUE;
}

gboolean
morrow__reactor_init (MorrowLoop *self, GError **error)
{
  self->batch = BATCH;
  self->timer_armed = G_MAXINT64;
  self->context_fd = -1;
  self->wakeup_pollable.ready = wakeup_ready;
  self->timer_pollable.ready = timer_ready;
  self->context_pollable.ready = context_ready;
  morrow__timers_init (&self->timers);

  self->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  if (self->epoll_fd < 0)
    {
      set_system_error (error, "epoll_create1");
      return FALSE;
    }
  self->timer_fd = timerfd_create (CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (self->timer_fd < 0)
    {
      set_system_error (error, "timerfd_create");
      return FALSE;
    }
  if (!morrow__wakeup_init (&self->wakeup, error))
    return FALSE;

  if (!morrow__reactor_control (self, EPOLL_CTL_ADD, self->timer_fd, EPOLLIN | EPOLLET, &self->timer_pollable) ||
      !morrow__reactor_control (self, EPOLL_CTL_ADD, morrow__wakeup_fd (&self->wakeup), EPOLLIN | EPOLLET, &self->wakeup_pollable))
    {
      set_system_error (error, "epoll_ctl");
      return FALSE;
    }

  if (!make_contexts (self, error))
    return FALSE;
  make_source (self);
  return TRUE;
}

/* What is still armed fires, and finds the loop closed. */
void
morrow__reactor_settle_timers (MorrowLoop *self)
{
  fire_due (self, G_MAXINT64);
}

/* The loop is no source any more. */
void
morrow__reactor_leave_context (MorrowLoop *self)
{
  if (self->source == NULL)
    return;

  g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  if (self->waker != NULL)
    g_source_destroy (self->waker);
  g_clear_pointer (&self->waker, g_source_unref);
  g_clear_pointer (&self->rest, morrow__rest_leave);
}

void
morrow__reactor_clear (MorrowLoop *self)
{
  morrow__timers_clear (&self->timers);
  if (self->epoll_fd >= 0)
    close (self->epoll_fd);
  if (self->timer_fd >= 0)
    close (self->timer_fd);
  morrow__wakeup_clear (&self->wakeup);
}
