/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a loop waits for: descriptors, timers and other threads.
 *
 * All descriptors are in an epoll set of our own, since a GMainContext pays for each descriptor at each turn. Timers
 * are in one queue, in the order of (deadline, creation). Other threads write to an eventfd in the same set; it is
 * watched for edges, as the timerfd is, so that neither is ever read.
 *
 * A CHILD of fork () shares the set, its entries and the timerfd with its parent, whatever it copies, and so does a context:
 * it leaves them alone, also what they have to tell, which would be lost to the parent. A task that goes on there may sleep, and
 * await what threads of the child's settle, which wake its loop by an eventfd that is the child's.
 *
 * HOW LONG A timerfd is exact, but a system call each time that it is set; the time limit of epoll_pwait2 () costs
 * nothing, but the kernel may be late by a thousandth of it, and by 50 us at least. So the latter serves short times,
 * the former long ones; it is not set again for a later time, but wakes the loop once more than needed. */

#include "config.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#include "base/clock-private.h"
#include "base/fork-private.h"
#include "exec/reactor-private.h"

#define PORTION         16     /* jobs between two looks at the clock inside somebody's main loop, at most, */
#define PORTION_TIME    50     /* and how many microseconds they should take at most */
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
  here->forker = here->home.current != NULL ? morrow__task_get_number (here->home.current) : 0;
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

/* What a poll has brought for watches, while they are called. */
struct _MorrowEvents
{
  struct epoll_event *events;
  int                 n;
  MorrowEvents       *outer;   /* those of the callback that runs this main loop */
};

static void
forget_in (MorrowEvents *here, MorrowPollable *pollable)
{
  for (; here != NULL; here = here->outer)
    {
      for (int i = 0; i < here->n; i++)
        {
          if (here->events[i].data.ptr == pollable)
            here->events[i].data.ptr = NULL;
        }
    }
}

/* A pollable that is not in the set any more may go: events that name it are on the stack only while callbacks run. */
void
morrow__reactor_forget (MorrowLoop *self, MorrowPollable *pollable)
{
  forget_in (self->dispatching, pollable);
}

/* A callback may run a main loop, which calls others. What it has called need not be ready any more: if it is, the system tells of
 * it again. */
static G_GNUC_NO_INLINE void
call_watches (MorrowLoop *self, struct epoll_event *events, int n)
{
  MorrowEvents here = { events, n, self->dispatching };

  self->dispatching = &here;
  for (int i = 0; i < n; i++)
    {
      MorrowPollable *pollable = events[i].data.ptr;

      if (pollable == NULL)
        continue;
      forget_in (here.outer, pollable);
      morrow__watch_ready (pollable, events[i].events);
    }
  self->dispatching = here.outer;
}

/* Watches come last: an edge is told of once, to this look, and the tasks that wait for it may be needed in a main loop that a watch's
 * callback runs, as may be the timerfd, which is not set again before it has been heard of. */
static void
dispatch_events (MorrowLoop *self, struct epoll_event *events, int n)
{
  int n_watches = 0;

  for (int i = 0; i < n; i++)
    __builtin_prefetch (events[i].data.ptr);
  for (int i = 0; i < n; i++)
    {
      MorrowPollable *pollable = events[i].data.ptr;

      if (morrow__seldom (pollable->ready == morrow__watch_ready))
        events[n_watches++] = events[i];
      else
        pollable->ready (pollable, events[i].events);
    }
  if (morrow__seldom (n_watches > 0))
    call_watches (self, events, n_watches);
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
guint
morrow__reactor_next_portion (guint n, gint64 took)
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
      n_steps = morrow__reactor_next_portion (n_steps, now - before);
      if (n > 0)
        n_alarms = morrow__reactor_next_portion (n, now - before);
    }
  while (now < until);
}

/* Has the timerfd wake the loop at @deadline, or sooner. */
void
morrow__reactor_arm_timer_fd (MorrowLoop *self, gint64 deadline)
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

/* FALSE when the system has no such call, or a filter of calls does not know it, nor Valgrind, which has a lot to say then. */
static gboolean
wait_short_time (MorrowLoop *self, struct epoll_event *events, gint64 microseconds, int *ret_n)
{
#ifdef HAVE_EPOLL_PWAIT2
  static atomic_int missing;   /* any thread, relaxed: it only ever becomes TRUE */
  struct timespec timeout = { microseconds / G_USEC_PER_SEC, microseconds % G_USEC_PER_SEC * 1000 };

  if (!RUNNING_ON_VALGRIND && !atomic_load_explicit (&missing, memory_order_relaxed))
    {
      *ret_n = epoll_pwait2 (self->epoll_fd, events, MORROW_LOOP_EVENTS, &timeout, NULL);
      if (*ret_n >= 0 || (errno != ENOSYS && errno != EPERM))
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
int
morrow__reactor_wait_until (MorrowLoop *self, struct epoll_event *events, gint64 deadline)
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
      morrow__reactor_arm_timer_fd (self, deadline);
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
  self->look_over = morrow__clock_now ();
  if (n > 1)
    morrow__loop_warm (self);
  return n > 0;
}

void
morrow__reactor_serve_events (MorrowLoop *self, struct epoll_event *events, int n)
{
  serve_until (self, events, n, G_MAXINT64);
}

/* Whether descriptors were ready. */
gboolean
morrow__reactor_poll_until (MorrowLoop *self, gint64 until)
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
  return morrow__reactor_poll_until (self, G_MAXINT64);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

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
  self->timer_armed = G_MAXINT64;
  self->wakeup_pollable.ready = wakeup_ready;
  self->timer_pollable.ready = timer_ready;
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

  return make_contexts (self, error);
}

/* What is still armed fires, and finds the loop closed. */
void
morrow__reactor_settle_timers (MorrowLoop *self)
{
  fire_due (self, G_MAXINT64);
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
