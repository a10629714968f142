/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of what then, catch and finally return: then.c tells its life. */

#pragma once

#include <morrow/combine.h>

#include "core/executor-private.h"
#include "core/future-private.h"

typedef enum
{
  MORROW_ON_RESOLVED = 1 << 0,
  MORROW_ON_REJECTED = 1 << 1,
  MORROW_PASS_ON     = 1 << 2    /* the callback's result is ignored, the source's outcome goes on; its error is not */
} MorrowThenFlags;

typedef struct
{
  MorrowFuture       future;
  MorrowThenFlags    flags;      /* immutable */
  union
  {
    MorrowWaiter     waiter;     /* the source's, while waiting */
    MorrowJob        job;        /* the executor's, while queued */
  };
  MorrowFuture      *source;     /* owned, until after this has settled */
  MorrowExecutor    *executor;   /* held */
  MorrowContinueFunc func;       /* immutable, as are the rest */
  gpointer           data;
  GDestroyNotify     data_free;
} MorrowThen;

extern G_GNUC_INTERNAL MorrowFutureOps morrow__then_ops;

/* Whether @self is a MorrowThen. */
static inline gboolean
morrow__future_is_then (MorrowFuture *self)
{
  return morrow__future_get_ops (self) == &morrow__then_ops;
}
