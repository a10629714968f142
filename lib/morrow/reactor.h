/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For those who bring another event-driven library to a loop: callbacks on descriptors and on time.
 * All of it is for the loop's own thread only. */

#pragma once

#include <morrow/executor.h>

G_BEGIN_DECLS

/* Watches a descriptor, level-triggered, until freed. May be freed inside any callback. The descriptor stays the caller's. */
MORROW_API
MorrowFdWatch *morrow_fd_watch_new           (MorrowLoop   *loop,
                                              int           fd,
                                              GIOCondition  condition,
                                              MorrowFdFunc  func,
                                              gpointer      data) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
void           morrow_fd_watch_set_condition (MorrowFdWatch *self, GIOCondition condition);
MORROW_API
void           morrow_fd_watch_free          (MorrowFdWatch *self);

/* A one-shot time-out that may be set again and again; unset when made. Deadlines are of the monotonic clock, in microseconds. */
MORROW_API
MorrowTimeout *morrow_timeout_new            (MorrowLoop     *loop,
                                              MorrowWorkFunc  func,
                                              gpointer        data) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
void           morrow_timeout_set            (MorrowTimeout *self, gint64 deadline);
MORROW_API
void           morrow_timeout_unset          (MorrowTimeout *self);
MORROW_API
void           morrow_timeout_free           (MorrowTimeout *self);

G_END_DECLS
