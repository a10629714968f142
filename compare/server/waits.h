/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The requests that wait, in the order of their deadlines, behind one timerfd.
 *
 * A deadline is microseconds of the monotonic clock; nothing is ever due before it.  A timerfd,
 * since epoll_wait () counts whole milliseconds and is late by the timer slack of the process, 50
 * us; and one for all, armed again only when the earliest deadline changes.
 */
#pragma once

#include <glib.h>

typedef struct _Waits Waits;

/* Embedded in what waits, zeroed before its first use. */
typedef struct
{
  gint64         deadline; /* When it is due; read-only while it waits. */
  GSequenceIter *place;    /* Its place in the order; NULL while it does not wait. */
} Wait;

Waits   *waits_new       (GError **error);
void     waits_free      (Waits *self);
int      waits_get_fd    (Waits *self);
void     waits_add       (Waits *self, Wait *wait, gint64 deadline);
void     waits_remove    (Waits *self, Wait *wait);
Wait    *waits_pop_due   (Waits *self, gint64 now);
Wait    *waits_pop       (Waits *self);
void     waits_arm       (Waits *self);
