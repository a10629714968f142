/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A shield is a future that settles as another does, and that keeps a cancel to itself. */

#include "config.h"

#include <morrow/combine.h>

#include "base/cache-private.h"
#include "core/future-private.h"
#include "core/relay-private.h"

typedef struct
{
  MorrowFuture  future;
  MorrowWaiter  waiter;   /* the inner future's; while it is in the list, the list has a reference of this */
  MorrowFuture *inner;    /* immutable, owned */
} Shield;

static void
shield_free (MorrowFuture *future)
{
  Shield *self = (Shield *) future;

  morrow__relay_unref (self->inner);
  morrow__future_free (future, sizeof (Shield));
}

static void
settle_as_inner (MorrowFuture *inner, gpointer data)
{
  Shield *self = data;

  morrow__future_settle_like (&self->future, inner);
  morrow_future_unref (&self->future);
}

static void
shield_notify (MorrowWaiter *waiter, MorrowFuture *inner)
{
  morrow__relay_call (&morrow__relay, settle_as_inner, inner, G_STRUCT_MEMBER_P (waiter, -(glong) G_STRUCT_OFFSET (Shield, waiter)));
}

static gboolean
shield_cancel (MorrowFuture *future, const char *message)
{
  Shield *self = (Shield *) future;
  gboolean settled = morrow__future_settle_cancelled (future, message);

  if (settled && morrow__future_unsubscribe (self->inner, &self->waiter, NULL))
    morrow_future_unref (future);
  return settled;
}

static gboolean
shield_visit_awaited (MorrowFuture *future, gboolean (*visit) (MorrowFuture *awaited, gpointer data), gpointer data)
{
  return visit (((Shield *) future)->inner, data);
}

static MorrowFutureOps shield_ops = {
  .kind = "shield",
  .cancel = shield_cancel,
  .free_kind = shield_free,
  .visit_awaited = shield_visit_awaited,
};

gboolean
morrow__future_is_shield (MorrowFuture *self)
{
  return morrow__future_get_ops (self) == &shield_ops;
}

/**
 * morrow_shield:
 * @future: (transfer full): what to protect; a coroutine becomes a task
 *
 * Protects @future from one caller's cancel: cancelling the future returned leaves @future running. asyncio's
 * `shield()`.
 *
 * In a task that is being swept up at the end of a run, awaiting a shield is what still works. A coroutine that is given
 * to it there is not swept, nor are the tasks that this creates, and the run waits for them: this is how to clean up.
 * A task that runs already is no clean-up, and is swept as any other; so are the coroutines of a gather that is given to it,
 * which has started them before. To clean up with a gather, await one in such a coroutine.
 *
 * Returns: (transfer full): a future that settles as @future does; @future itself when that has settled
 */
MorrowFuture *
morrow_shield (MorrowFuture *future)
{
  Shield *self;

  g_return_val_if_fail (future != NULL, NULL);

  if (morrow__future_is_settled (future))
    return future;

  self = morrow__cache_alloc (sizeof (Shield));
  morrow__future_init (&self->future, &shield_ops, morrow__future_get_site (future));
  self->inner = future;
  self->waiter.notify = shield_notify;

  if (morrow__future_get_ops (future)->protect != NULL)
    morrow__future_get_ops (future)->protect (future);
  morrow__future_ref (&self->future);
  if (!morrow__future_subscribe (future, &self->waiter))
    shield_notify (&self->waiter, future);
  return &self->future;
}
