/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a loop asks of the pool that it is a part of. All on the loop's own thread. */

#pragma once

#include "exec/loop-private.h"

/* Keeps what has started, moves what has not into the deque. */
void     morrow__loop_pool_sort_posted (MorrowLoop *loop, MorrowQueue *posted);

gboolean morrow__loop_pool_steal       (MorrowLoop *loop);
gboolean morrow__loop_pool_has_work    (MorrowLoop *loop);
gboolean morrow__loop_pool_is_sweeping (MorrowLoop *loop);
void     morrow__loop_pool_task_ended  (MorrowLoop *loop);
void     morrow__loop_pool_slept       (MorrowLoop *loop);
