/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a user's own GObject implements to be awaited. */

#pragma once

#include <morrow/types.h>

G_BEGIN_DECLS

#define MORROW_TYPE_AWAITABLE (morrow_awaitable_get_type ())

MORROW_API
G_DECLARE_INTERFACE (MorrowAwaitable, morrow_awaitable, MORROW, AWAITABLE, GObject)

/**
 * MorrowAwaitableInterface:
 * @parent_iface: the parent interface
 * @get_future: gives a future of what the object does; never %NULL, and owned by the caller
 *
 * The one function to implement.
 */
struct _MorrowAwaitableInterface
{
  GTypeInterface parent_iface;

  MorrowFuture *(*get_future) (MorrowAwaitable *self);
};

MORROW_API
MorrowFuture *morrow_awaitable_get_future (MorrowAwaitable *self) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
