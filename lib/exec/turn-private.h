/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a turn of a loop consists of, whoever turns it: turn.c where the loop has its thread, source.c where the context does. */

#pragma once

#include "exec/asleep-private.h"

#define MORROW_LOOP_POLL_INTERVAL 100   /* microseconds between two looks at descriptors, while something is ready */

/* Jobs in a batch at most, where they are cheap. On a pool the work that was submitted waits for it. */
static inline guint
morrow__loop_max_batch (const MorrowLoop *self)
{
  return self->pool == NULL ? 256 : MORROW_LOOP_BATCH;
}

static inline void
morrow__loop_take_posted (MorrowLoop *self)
{
  if (!morrow__mpsc_is_empty (&self->inbox))
    {
      self->home.has_asked = FALSE;
      morrow__mpsc_take_all (&self->inbox, &self->ready);
    }
  if (morrow__loop_serves_pool (self))
    morrow__loop_pool_take_offers (self);
}

static inline gboolean
morrow__loop_has_work (MorrowLoop *self)
{
  return morrow__loop_has_ready (self) || !morrow__mpsc_is_empty (&self->inbox);
}

/* Whether there is more to do; of what any loop of a pool may do, some has been done or taken then. */
static inline gboolean
morrow__loop_finds_more (MorrowLoop *self)
{
  return (morrow__loop_serves_pool (self) && morrow__loop_pool_work (self)) || morrow__loop_has_work (self) ||
         (morrow__loop_serves_pool (self) && morrow__loop_pool_steal (self));
}
