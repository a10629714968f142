/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting on a loop: descriptors, timers and other threads, behind the one GSource that the GMainContext sees.
 *
 * All descriptors are in an epoll set of our own, since a GMainContext pays for each descriptor at each turn; it
 * polls that set's descriptor. Timers are in one queue, in the order of (deadline, creation); a timerfd in the same
 * set wakes a loop that sleeps, to the microsecond.
 *
 * A turn of a loop that has its thread (morrow__loop_turn_while ()):
 *   1. take what other threads have posted
 *   2. run a batch of what is ready
 *   3. still something ready: every 100 us look at descriptors and timers, and let the context's other sources have a
 *      turn nothing ready: a turn of the context, which sleeps; our source is one of those that may wake it
 *
 * A dispatch inside an application's main loop: the same, bounded in time; and when something is still ready, the
 * next turn is for others, so that sources of lower priority, redrawing among them, are not starved. */

#include "config.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock-private.h"
#include "exec/loop-pool-private.h"
#include "exec/loop-private.h"

#define BATCH           64     /* jobs between two looks at the clock */
#define POLL_INTERVAL   100    /* microseconds between two looks at descriptors, while something is ready */
#define DISPATCH_LIMIT  1000   /* microseconds that a dispatch may take inside somebody's main loop */
#define EVENTS_AT_ONCE  256

struct _MorrowFdWatch
{
  MorrowLoop  *loop;    /* borrowed: watches go before their loop */
  int          fd;
  GIOCondition condition;
  MorrowFdFunc func;    /* NULL when freed inside a callback */
  gpointer     data;
  MorrowList   link;    /* among the dead */
};

struct _MorrowTimeout
{
  MorrowAlarm    alarm;
  MorrowLoop    *loop;  /* borrowed */
  MorrowWorkFunc func;
  gpointer       data;
};

/* --- descriptors ------------------------------------------------------------------------------------------------- */

static guint32
epoll_events (GIOCondition condition)
{
  return (condition & G_IO_IN ? EPOLLIN : 0) | (condition & G_IO_OUT ? EPOLLOUT : 0) | (condition & G_IO_PRI ? EPOLLPRI : 0);
}

static GIOCondition
io_condition (guint32 events)
{
  return (events & EPOLLIN ? G_IO_IN : 0) | (events & EPOLLOUT ? G_IO_OUT : 0) | (events & EPOLLPRI ? G_IO_PRI : 0) |
         (events & EPOLLERR ? G_IO_ERR : 0) | (events & EPOLLHUP ? G_IO_HUP : 0);
}

static gboolean
control (MorrowLoop *self, int operation, int fd, guint32 events, gpointer data)
{
  struct epoll_event event = { .events = events, .data.ptr = data };

  return epoll_ctl (self->epoll_fd, operation, fd, &event) == 0;
}

/**
 * morrow_fd_watch_new: (skip)
 * @loop: the loop, on whose thread this is called
 * @fd: a descriptor that epoll can watch; it stays the caller's, and must stay open as long as the watch lives
 * @condition: what to watch for; errors and hang-ups always are
 * @func: (scope notified) (closure data): what to call, as often as the descriptor is ready
 * @data: (nullable): passed to @func
 *
 * Watches a descriptor, for those who bring another event-driven library to a loop. A descriptor has one watch at
 * most.
 *
 * Returns: (transfer full) (nullable): a watch; %NULL with `errno` set when the system refuses
 */
MorrowFdWatch *
morrow_fd_watch_new (MorrowLoop *loop, int fd, GIOCondition condition, MorrowFdFunc func, gpointer data)
{
  MorrowFdWatch *self;

  g_return_val_if_fail (MORROW_IS_LOOP (loop), NULL);
  g_return_val_if_fail (fd >= 0 && func != NULL, NULL);

  self = g_new (MorrowFdWatch, 1);
  *self = (MorrowFdWatch) { .loop = loop, .fd = fd, .condition = condition, .func = func, .data = data };
  morrow__list_init (&self->link);
  if (control (loop, EPOLL_CTL_ADD, fd, epoll_events (condition), self))
    return self;

  g_free (self);
  return NULL;
}

/**
 * morrow_fd_watch_set_condition: (skip)
 * @self: a watch
 * @condition: what to watch for from now on
 *
 * Changes what is watched for; nothing but errors and hang-ups, for 0.
 */
void
morrow_fd_watch_set_condition (MorrowFdWatch *self, GIOCondition condition)
{
  g_return_if_fail (self != NULL);

  if (self->condition == condition)
    return;

  self->condition = condition;
  if (!control (self->loop, EPOLL_CTL_MOD, self->fd, epoll_events (condition), self))
    g_warning ("A descriptor that is watched (%d) cannot be: %s", self->fd, g_strerror (errno));
}

/**
 * morrow_fd_watch_free: (skip)
 * @self: (transfer full): a watch
 *
 * Ends a watch: its function is not called any more. May be called inside any callback.
 */
void
morrow_fd_watch_free (MorrowFdWatch *self)
{
  g_return_if_fail (self != NULL);

  /* When the caller has closed the descriptor already, the kernel has forgotten it. */
  control (self->loop, EPOLL_CTL_DEL, self->fd, 0, NULL);
  self->func = NULL;
  if (self->loop->dispatching > 0)
    morrow__list_append (&self->loop->dead_watches, &self->link);   /* events that name it may still be on the stack */
  else
    g_free (self);
}

static void
free_dead_watches (MorrowLoop *self)
{
  morrow__list_foreach_safe (&self->dead_watches, node, after)
    g_free (morrow__list_entry (node, MorrowFdWatch, link));
  morrow__list_init (&self->dead_watches);
}

static void
dispatch_event (MorrowLoop *self, const struct epoll_event *event)
{
  MorrowFdWatch *watch = event->data.ptr;
  guint64 expirations;

  if (event->data.ptr == &self->wakeup)
    {
      morrow__wakeup_acknowledge (&self->wakeup);
    }
  else if (event->data.ptr == &self->timer_fd)
    {
      if (read (self->timer_fd, &expirations, sizeof expirations) > 0)
        self->timer_armed = G_MAXINT64;
    }
  else if (watch->func != NULL)
    {
      watch->func (watch->fd, io_condition (event->events), watch->data);
    }
}

static void
poll_descriptors (MorrowLoop *self)
{
  struct epoll_event events[EVENTS_AT_ONCE];
  int n = epoll_wait (self->epoll_fd, events, EVENTS_AT_ONCE, 0);

  self->dispatching++;
  for (int i = 0; i < n; i++)
    dispatch_event (self, &events[i]);
  if (--self->dispatching == 0 && !morrow__list_is_empty (&self->dead_watches))
    free_dead_watches (self);
}

/* --- time -------------------------------------------------------------------------------------------------------- */

void
morrow__alarm_set (MorrowLoop *self, MorrowAlarm *alarm, gint64 deadline)
{
  morrow__timers_remove (&self->timers, &alarm->timer);
  morrow__timers_insert (&self->timers, &alarm->timer, deadline);
}

void
morrow__alarm_unset (MorrowLoop *self, MorrowAlarm *alarm)
{
  morrow__timers_remove (&self->timers, &alarm->timer);
}

static void
timeout_fire (MorrowAlarm *alarm)
{
  MorrowTimeout *self = (MorrowTimeout *) alarm;

  /* Relaxed: written by this thread, or by none that runs any more. */
  if (!atomic_load_explicit (&self->loop->closed, memory_order_relaxed))
    self->func (self->data);
}

/**
 * morrow_timeout_new: (skip)
 * @loop: the loop, on whose thread this is called
 * @func: (scope notified) (closure data): what to call when the time has come
 * @data: (nullable): passed to @func
 *
 * Makes a time-out that is not set, for those who bring another event-driven library to a loop.
 *
 * Returns: (transfer full): a time-out
 */
MorrowTimeout *
morrow_timeout_new (MorrowLoop *loop, MorrowWorkFunc func, gpointer data)
{
  MorrowTimeout *self;

  g_return_val_if_fail (MORROW_IS_LOOP (loop) && func != NULL, NULL);

  self = g_new0 (MorrowTimeout, 1);
  self->alarm.fire = timeout_fire;
  self->loop = loop;
  self->func = func;
  self->data = data;
  return self;
}

/**
 * morrow_timeout_set: (skip)
 * @self: a time-out
 * @deadline: when, in microseconds of the monotonic clock
 *
 * Sets it, once, in place of what it was set to before. A time that has passed is due on the loop's next turn, never
 * inside this call.
 */
void
morrow_timeout_set (MorrowTimeout *self, gint64 deadline)
{
  g_return_if_fail (self != NULL);

  morrow__alarm_set (self->loop, &self->alarm, deadline);
}

/**
 * morrow_timeout_unset: (skip)
 * @self: a time-out
 *
 * Unsets it, whether it was set or not.
 */
void
morrow_timeout_unset (MorrowTimeout *self)
{
  g_return_if_fail (self != NULL);

  morrow__alarm_unset (self->loop, &self->alarm);
}

/**
 * morrow_timeout_free: (skip)
 * @self: (transfer full): a time-out
 *
 * Unsets and frees it. May be called inside its own function.
 */
void
morrow_timeout_free (MorrowTimeout *self)
{
  g_return_if_fail (self != NULL);

  morrow__alarm_unset (self->loop, &self->alarm);
  g_free (self);
}

static void
fire_due (MorrowLoop *self, gint64 now)
{
  MorrowTimer *timer;

  while ((timer = morrow__timers_pop_due (&self->timers, now)) != NULL)
    {
      MorrowAlarm *alarm = morrow__container_of (timer, MorrowAlarm, timer);

      alarm->fire (alarm);
    }
}

/* Has the timerfd wake the loop for the earliest timer; it is set again only when that has changed. */
void
morrow__reactor_arm (MorrowLoop *self)
{
  gint64 next = morrow__timers_next (&self->timers);
  struct itimerspec spec = { 0 };

  if (next == self->timer_armed)
    return;

  if (next != G_MAXINT64)
    {
      next = MAX (next, 1);   /* all zero would unset it */
      spec.it_value.tv_sec = next / G_USEC_PER_SEC;
      spec.it_value.tv_nsec = next % G_USEC_PER_SEC * 1000;
    }
  timerfd_settime (self->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
  self->timer_armed = next;
}

/* --- turns ------------------------------------------------------------------------------------------------------- */

void
morrow__reactor_poll (MorrowLoop *self)
{
  poll_descriptors (self);
  self->last_poll = morrow__clock_now ();
  fire_due (self, self->last_poll);
}

static void
take_posted (MorrowLoop *self)
{
  MorrowQueue posted = MORROW__QUEUE_INIT;

  if (morrow__mpsc_is_empty (&self->inbox))
    return;

  morrow__mpsc_take_all (&self->inbox, &posted);
  if (self->pool != NULL)
    morrow__loop_pool_sort_posted (self, &posted);
  morrow__queue_splice (&self->ready, &posted);
}

static gboolean
has_work (MorrowLoop *self)
{
  return morrow__loop_has_ready (self) || !morrow__mpsc_is_empty (&self->inbox);
}

/* Looks at descriptors and timers, and lets the context's other sources have a turn, though something is ready. */
static void
poll_in_passing (MorrowLoop *self)
{
  morrow__reactor_poll (self);
  self->own_poll = TRUE;
  g_main_context_iteration (self->context, FALSE);
  self->own_poll = FALSE;
}

/* Turns of a loop that has its thread, for as long as @busy says so: it is asked again before the loop sleeps. */
void
morrow__loop_turn_while (MorrowLoop *self, gboolean (*busy) (gpointer data), gpointer data)
{
  while (busy (data))
    {
      take_posted (self);
      morrow__loop_run_batch (self, BATCH);

      if (has_work (self))
        {
          if (morrow__clock_now () - self->last_poll >= POLL_INTERVAL)
            poll_in_passing (self);
        }
      else if ((self->pool == NULL || !morrow__loop_pool_steal (self)) && busy (data))
        {
          g_main_context_iteration (self->context, TRUE);
        }
    }
}

/* --- the source -------------------------------------------------------------------------------------------------- */

struct _MorrowLoopSource
{
  GSource     source;
  MorrowLoop *loop;   /* borrowed: the loop destroys its source */
};

/* Says that the loop is going to sleep, unless somebody has posted meanwhile (L1). */
static gboolean
fall_asleep (MorrowLoop *self)
{
  /* Sequentially consistent: L1, pairs with the exchange in morrow__loop_post (). */
  atomic_store_explicit (&self->asleep, TRUE, memory_order_seq_cst);
  if (atomic_load_explicit (&self->inbox.newest, memory_order_seq_cst) == NULL &&
      (self->pool == NULL || !morrow__loop_pool_has_work (self)))
    return TRUE;

  atomic_store_explicit (&self->asleep, FALSE, memory_order_relaxed);
  return FALSE;
}

static gboolean
loop_prepare (GSource *source, gint *timeout)
{
  MorrowLoop *self = ((MorrowLoopSource *) source)->loop;
  gint64 next;

  *timeout = -1;
  if (self->own_poll)
    return FALSE;
  if (self->rest)
    {
      *timeout = 0;
      return FALSE;
    }

  next = morrow__timers_next (&self->timers);
  if (has_work (self) || next <= morrow__clock_now () || morrow__clock_jump (next) || !fall_asleep (self))
    return TRUE;

  morrow__reactor_arm (self);
  return FALSE;
}

static gboolean
loop_check (GSource *source)
{
  MorrowLoop *self = ((MorrowLoopSource *) source)->loop;

  /* Relaxed: whoever saw it set meanwhile has signalled, which costs a turn and no more. */
  atomic_store_explicit (&self->asleep, FALSE, memory_order_relaxed);
  if (self->counted_asleep)
    morrow__loop_pool_slept (self);
  if (self->own_poll)
    return FALSE;
  if (self->rest)
    {
      self->rest = FALSE;
      return FALSE;
    }

  return has_work (self) || g_source_query_unix_fd (source, self->source_tag) != 0;
}

static gboolean
loop_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  MorrowLoop *self = ((MorrowLoopSource *) source)->loop;
  gint64 until;

  g_object_ref (self);
  morrow__loop_enter (self);
  take_posted (self);
  morrow__reactor_poll (self);
  until = self->last_poll + DISPATCH_LIMIT;
  do
    {
      morrow__loop_run_batch (self, BATCH);
      take_posted (self);
    }
  while (morrow__loop_has_ready (self) && morrow__clock_now () < until);
  self->rest = morrow__loop_has_ready (self);
  morrow__loop_leave (self);
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
  g_source_set_static_name (self->source, "morrow loop");
  self->source_tag = g_source_add_unix_fd (self->source, self->epoll_fd, G_IO_IN);
  g_source_attach (self->source, self->context);
}

static void
set_system_error (GError **error, const char *what)
{
  int saved_errno = errno;

  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno), "An event loop could not be made: %s: %s", what, g_strerror (saved_errno));
}

gboolean
morrow__reactor_init (MorrowLoop *self, GError **error)
{
  self->timer_armed = G_MAXINT64;
  morrow__timers_init (&self->timers);
  morrow__list_init (&self->dead_watches);

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

  if (!control (self, EPOLL_CTL_ADD, self->timer_fd, EPOLLIN, &self->timer_fd) ||
      !control (self, EPOLL_CTL_ADD, morrow__wakeup_fd (&self->wakeup), EPOLLIN, &self->wakeup))
    {
      set_system_error (error, "epoll_ctl");
      return FALSE;
    }

  make_source (self);
  return TRUE;
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
  free_dead_watches (self);

  if (self->source != NULL)
    {
      g_source_destroy (self->source);
      g_clear_pointer (&self->source, g_source_unref);
    }
  if (self->epoll_fd >= 0)
    close (self->epoll_fd);
  if (self->timer_fd >= 0)
    close (self->timer_fd);
  morrow__wakeup_clear (&self->wakeup);
}
