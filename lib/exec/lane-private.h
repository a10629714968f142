/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lane for blocking work. */

#pragma once

#include "core/executor-private.h"

/* A piece of blocking work, in the memory of whoever wants it done. */
typedef struct
{
  MorrowJob       job;        /* the lane's; run once, on a thread of its own */
  MorrowExecutor *executor;   /* immutable: from where it was given, NULL for a plain thread; the lane holds it */
} MorrowErrand;

/* FALSE and an error when there is no thread to do it: then it was not taken. */
gboolean morrow__lane_push    (MorrowErrand *errand, GError **error);

/* Waits until the lane has done all that was given to it from @executor, and holds it no more. */
void     morrow__lane_join    (MorrowExecutor *executor);

/* The same for who does other things meanwhile: TRUE when the lane is not done; then it calls @wake, under a lock of its
 * own, when it is. Asked again before @joiner goes. */
gboolean morrow__lane_is_busy (MorrowExecutor *executor, void (*wake) (gpointer joiner), gpointer joiner);

/* How many errands from @executor have ended, ever. */
gulong   morrow__lane_count_ended (MorrowExecutor *executor);

/* Has @executor end: at once if @here says that this thread may wait for what that takes, else on a thread for it, which counts
 * as an errand from here. The end of a pool takes the ends of its tasks, for which not every thread may wait that runs any: E3. */
void     morrow__lane_arrange_end         (MorrowExecutor *executor, gboolean here);
void     morrow__lane_arrange_end_of_pool (MorrowExecutor *executor, gboolean here);
