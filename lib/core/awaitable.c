/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The interface of objects that can be awaited. */

#include "config.h"

#include <morrow/awaitable.h>

#include "core/future-private.h"

/**
 * MorrowAwaitable:
 *
 * Implemented by objects that can be awaited: a download, a dialog, an animation. One function gives the future.
 */
G_DEFINE_INTERFACE (MorrowAwaitable, morrow_awaitable, G_TYPE_OBJECT)

static void
morrow_awaitable_default_init (MorrowAwaitableInterface *iface)
{
}

/**
 * morrow_awaitable_get_future:
 * @self: an object
 *
 * Gives the future of what @self does.
 *
 * Returns: (transfer full): a future
 */
MorrowFuture *
morrow_awaitable_get_future (MorrowAwaitable *self)
{
  g_return_val_if_fail (MORROW_IS_AWAITABLE (self), NULL);

  return MORROW_AWAITABLE_GET_IFACE (self)->get_future (self);
}
