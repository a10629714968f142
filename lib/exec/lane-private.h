/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lane for blocking work. */

#pragma once

#include "exec/loop-private.h"

/* Waits until the lane has done all that was given to it from @executor. TRUE when there was something to wait for. */
gboolean morrow__lane_join    (MorrowExecutor *executor);

/* The same for who does other things meanwhile: TRUE when the lane is not done; then it calls @wake, under a lock of its
 * own, when it is. Asked again before @joiner goes. */
gboolean morrow__lane_is_busy (MorrowExecutor *executor, void (*wake) (gpointer joiner), gpointer joiner);
