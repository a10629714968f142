/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for what is no future: see pause-private.h. */

#include "config.h"

#include "exec/pause-private.h"

void
morrow__pause_end (MorrowPause *self)
{
  MorrowTask *task = g_steal_pointer (&self->task);

  if (task != NULL)
    morrow__home->klass->wake (morrow__home, task);
}

static void
pause_fire (MorrowAlarm *alarm)
{
  MorrowPause *self = morrow__container_of (alarm, MorrowPause, alarm);

  self->timed_out = self->task != NULL;
  morrow__pause_end (self);
}

static gboolean
park (MorrowPause *self, MorrowTask *task, GError **error)
{
  gboolean parked;

  task->pause = self;
  task->paused = TRUE;
  parked = morrow__home->klass->park (morrow__home, task, NULL, error);
  task->paused = FALSE;
  return parked;
}

gboolean
morrow__pause (MorrowPause *self, gint64 deadline, GError **error)
{
  MorrowLoop *loop = morrow__loop_here ();
  MorrowTask *task = loop->home.current;
  gboolean parked;

  if (morrow__task_fail_cancelled (task, error))
    return FALSE;

  self->task = task;
  self->timed_out = FALSE;
  if (G_LIKELY (deadline == G_MAXINT64))
    return park (self, task, error) && !morrow__task_fail_cancelled (task, error);

  self->alarm = (MorrowAlarm) { .fire = pause_fire };
  morrow__alarm_set (loop, &self->alarm, deadline);
  parked = park (self, task, error);
  morrow__alarm_unset (loop, &self->alarm);

  if (!parked || morrow__task_fail_cancelled (task, error))
    return FALSE;
  if (self->timed_out)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "The time to wait has run out");
  return !self->timed_out;
}
