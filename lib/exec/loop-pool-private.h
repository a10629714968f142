/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a loop asks of the pool that it is a part of; on the loop's own thread, but for what says otherwise. */

#pragma once

#include "exec/loop-private.h"

/* Moves what was offered from outside into the deque. */
void     morrow__loop_pool_take_offers (MorrowLoop *loop);

gboolean morrow__loop_pool_steal       (MorrowLoop *loop);

/* Runs some of what was submitted to the pool. Whether there was any. */
gboolean morrow__loop_pool_work        (MorrowLoop *loop);

/* The loop looks for something to do before it sleeps, for a little while; FALSE when enough others do. It ends when
 * the loop has something, or sleeps. */
gboolean morrow__loop_pool_search      (MorrowLoop *loop);
void     morrow__loop_pool_end_search  (MorrowLoop *loop);
gboolean morrow__loop_pool_sees_work   (MorrowLoop *loop);

/* The loop goes on to run something else than what is left: another is woken for that, if need be. */
void     morrow__loop_pool_pass_on     (MorrowLoop *loop);

/* The last look before it sleeps; not @ret_sure: it may have missed something. */
gboolean morrow__loop_pool_has_work    (MorrowLoop *loop, gboolean *ret_sure);

/* Naps: the loop has slept until now; whether it naps, instead of sleeping again; and whether it goes on with that, to be asked
 * after each NAP_TIME. A nap ends as a search does. */
void     morrow__loop_pool_woken       (MorrowLoop *loop);
gboolean morrow__loop_pool_nap         (MorrowLoop *loop);
gboolean morrow__loop_pool_naps_on     (MorrowLoop *loop);

/* From any thread, while the loop is open: it is given a task, or a job, by itself. */
void     morrow__loop_pool_count_start (MorrowLoop *loop);
void     morrow__loop_pool_count_post  (MorrowLoop *loop);

gboolean morrow__loop_pool_is_sweeping (MorrowLoop *loop);
void     morrow__loop_pool_tell_swept  (MorrowLoop *loop);
void     morrow__loop_pool_task_ended  (MorrowLoop *loop);
void     morrow__loop_pool_slept       (MorrowLoop *loop);
