/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for what a loop watches, and dealing with what has come: for who turns the loop. What others want of the set is in
 * loop-private.h. */

#pragma once

#include <sys/epoll.h>

#include "exec/loop-private.h"

int      morrow__reactor_wait_until   (MorrowLoop *self, struct epoll_event *events, gint64 deadline);
void     morrow__reactor_serve_events (MorrowLoop *self, struct epoll_event *events, int n);
gboolean morrow__reactor_poll_until   (MorrowLoop *self, gint64 until);
gboolean morrow__reactor_poll         (MorrowLoop *self);
void     morrow__reactor_arm_timer_fd (MorrowLoop *self, gint64 deadline);
guint    morrow__reactor_next_portion (guint n, gint64 took);
