/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sleeping: a future that is a timer. It belongs to the loop of the thread that makes it, or, where there is none, to
 * the service loop; that loop's queue of timers holds a reference of it, and only that loop's thread touches the
 * timer. The loop settles it at the latest when it goes, so that it need not be held. */

#include "config.h"

#include <math.h>   /* isnan (), which is no call */

#include <morrow/error.h>
#include <morrow/task.h>

#include "base/cache-private.h"
#include "base/clock-private.h"
#include "exec/loop-private.h"
#include "exec/service-private.h"

#define LONGEST_SLEEP (100.0 * 365 * 24 * 3600)   /* seconds; anything longer is this */

typedef struct
{
  MorrowFuture  future;
  MorrowAlarm   alarm;     /* the loop's thread, once it has been set */
  MorrowLoop   *loop;      /* immutable; there until the future has settled (H1) */
} Sleep;

/* A cancel on its way to the loop. */
typedef struct
{
  MorrowJob job;
  Sleep    *sleep;         /* owned */
} Unset;

static void
sleep_free (MorrowFuture *future)
{
  morrow__future_free (future, sizeof (Sleep));
}

static void
sleep_fire (MorrowAlarm *alarm)
{
  Sleep *self = morrow__container_of (alarm, Sleep, alarm);

  if (morrow__unlikely (atomic_load_explicit (&self->loop->closed, memory_order_relaxed)))
    morrow__future_settle_cancelled (&self->future, "The loop has been closed");
  else
    morrow__future_resolve_bare (&self->future);
  morrow_future_unref (&self->future);
}

/* On the loop's thread: forgets the timer, if it has not fired. */
static void
unset_run (MorrowJob *job, gboolean closed)
{
  Unset *self = (Unset *) job;

  if (!closed && morrow__timer_is_armed (&self->sleep->alarm.timer))
    {
      morrow__alarm_unset (self->sleep->loop, &self->sleep->alarm);
      morrow__future_unref (&self->sleep->future);
    }
  morrow_future_unref (&self->sleep->future);
  g_free (self);
}

static void
post_unset (Sleep *self)
{
  Unset *there = g_new (Unset, 1);

  there->job.run = unset_run;
  there->sleep = (Sleep *) morrow__future_ref (&self->future);
  morrow__loop_post (self->loop, &there->job);
}

/* On the loop's thread, with the timer armed. */
static gboolean
cancel_here (Sleep *self, const char *message)
{
  gboolean was_pending;

  morrow__alarm_unset (self->loop, &self->alarm);   /* whose reference is ours now */
  was_pending = morrow__future_settle_cancelled (&self->future, message);
  morrow__future_unref (&self->future);
  return was_pending;
}

static gboolean
cancel_there (Sleep *self, const char *message)
{
  gboolean was_pending;

  morrow__future_ref (&self->future);
  morrow__home_visit ();
  was_pending = morrow__future_settle_cancelled (&self->future, message);
  if (was_pending)
    post_unset (self);
  morrow__home_leave_visit ();
  morrow__future_unref (&self->future);
  return was_pending;
}

/* Where the timer is not armed on its own thread, it has fired, or is on the way there (Set). */
static gboolean
sleep_cancel (MorrowFuture *future, const char *message)
{
  Sleep *self = (Sleep *) future;

  if (morrow__usually (morrow__loop_here () == self->loop && morrow__timer_is_armed (&self->alarm.timer)))
    return cancel_here (self, message);
  return cancel_there (self, message);
}

static MorrowFutureOps sleep_ops = { .kind = "sleep", .cancel = sleep_cancel, .cancel_holds = TRUE, .free_kind = sleep_free,
                                     .settles_itself = TRUE };

/* A sleep on its way to the loop, from a thread that has none. */
typedef struct
{
  MorrowJob job;
  Sleep    *sleep;         /* owned */
  gint64    deadline;
} Set;

/* On the loop's thread. The queue of timers takes a reference, which the caller gives. */
static void
set_here (Sleep *self, gint64 deadline)
{
  morrow__timer_init (&self->alarm.timer);
  self->alarm.fire = sleep_fire;
  morrow__alarm_set (self->loop, &self->alarm, deadline);
}

static void
set_run (MorrowJob *job, gboolean closed)
{
  Set *self = (Set *) job;

  if (closed)
    morrow__future_settle_cancelled (&self->sleep->future, "The loop has been closed");
  else if (!morrow__future_is_settled (&self->sleep->future))
    set_here ((Sleep *) morrow__future_ref (&self->sleep->future), self->deadline);
  morrow_future_unref (&self->sleep->future);
  g_free (self);
}

static void
set_there (Sleep *self, gint64 deadline)
{
  Set *set = g_new (Set, 1);

  morrow__timer_init (&self->alarm.timer);
  set->job.run = set_run;
  set->sleep = (Sleep *) morrow__future_ref (&self->future);
  set->deadline = deadline;
  morrow__loop_post (self->loop, &set->job);
}

static inline Sleep *
sleep_new (MorrowLoop *loop, guint n_refs)
{
  Sleep *self = morrow__future_alloc (sizeof (Sleep), &sleep_ops);

  morrow__future_init_with (&self->future, &sleep_ops, NULL, n_refs, 0);
  self->loop = loop;
  return self;
}

/* On a thread that turns no loop. */
static MorrowFuture *
sleep_there (gint64 deadline)
{
  GError *error = NULL;
  MorrowLoop *loop = morrow__service_loop (&error);
  Sleep *self;

  if (morrow__unlikely (loop == NULL))
    return morrow_future_new_rejected (error);

  self = sleep_new (loop, 1);
  set_there (self, deadline);
  return &self->future;
}

/**
 * morrow_sleep_until:
 * @deadline: when to wake, in microseconds of the monotonic clock
 *
 * Makes a future that resolves at a time, without a value. Deadlines that are equal come in the order in which the
 * futures were made. A time that has passed is due when the loop next looks at its timers.
 *
 * Returns: (transfer full): a pending future; a rejected one where the system has nothing left to wake a thread that
 * runs no loop
 */
MorrowFuture *
morrow_sleep_until (gint64 deadline)
{
  MorrowLoop *here = morrow__loop_here ();
  Sleep *self;

  if (here == NULL)
    return sleep_there (deadline);

  self = sleep_new (here, 2);   /* the caller's, and the queue's */
  set_here (self, deadline);
  return &self->future;
}

/* In whole microseconds, rounded up. Not by ceil (), which is a call. */
static inline gint64
get_microseconds (gdouble seconds)
{
  gdouble microseconds = MIN (seconds, LONGEST_SLEEP) * G_USEC_PER_SEC;
  gint64 whole = microseconds;

  return whole + (whole < microseconds);
}

/**
 * morrow_sleep:
 * @seconds: how long, in seconds; nothing and less is until the loop next looks at its timers
 *
 * Makes a future that resolves after some time, without a value: `morrow_await (morrow_sleep (0.5), error)`. Time is
 * the monotonic clock's, to the microsecond, and counts from this call. It is never early. To let the other tasks run once,
 * as asyncio's `sleep(0)` does, is morrow_yield (): while tasks are ready, the loop looks at its timers now and then only.
 *
 * Returns: (transfer full): a pending future; one that has rejected with %MORROW_ERROR_INVALID_ARGUMENT when @seconds
 * is not a number
 */
MorrowFuture *
morrow_sleep (gdouble seconds)
{
  if (isnan (seconds))
    return morrow_future_new_rejected (g_error_new_literal (MORROW_ERROR, MORROW_ERROR_INVALID_ARGUMENT, "A time to sleep that is not a number"));
  if (seconds <= 0)
    return morrow_sleep_until (morrow__clock_now ());

  return morrow_sleep_until (morrow__clock_ceiling () + get_microseconds (seconds));
}
