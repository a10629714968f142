/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for what is no future: see pause-private.h. */

#include "config.h"

#include "exec/pause-private.h"

void
morrow__pause_end (MorrowPause *self)
{
  MorrowTask *task = g_steal_pointer (&self->task);

  if (task != NULL)
    morrow__task_wake (task);
}

/* What happens meanwhile on this thread is none of theirs. */
gboolean
morrow__pause_relayed (MorrowPause *self, gint64 deadline, GError **error)
{
  MorrowRelays left = morrow__relay_leave ();
  gboolean ok = morrow__pause (self, deadline, error);

  morrow__relay_return (&left);
  return ok;
}

/* The time that ends a pause. */
typedef struct
{
  MorrowAlarm  alarm;
  MorrowPause *pause;      /* immutable */
  gboolean     has_ended;  /* the loop's thread: the pause, before anything else did */
} Limit;

static void
limit_fire (MorrowAlarm *alarm)
{
  Limit *limit = morrow__container_of (alarm, Limit, alarm);

  limit->has_ended = limit->pause->task != NULL;
  morrow__pause_end (limit->pause);
}

gboolean
morrow__pause_until (MorrowPause *self, MorrowTask *task, MorrowLoop *loop, gint64 deadline, GError **error)
{
  Limit limit = { .alarm.fire = limit_fire, .pause = self };
  gboolean parked;

  morrow__alarm_set (loop, &limit.alarm, deadline);
  parked = morrow__pause_park (self, task, loop, error);
  morrow__alarm_unset (loop, &limit.alarm);

  if (parked && limit.has_ended)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "The time to wait has run out");
  return parked && !limit.has_ended;
}
