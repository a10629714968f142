/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The other sources of a loop's context, as the loop that turns sees them. */

#pragma once

#include "exec/loop-private.h"

typedef enum
{
  MORROW_CONTEXT_QUIET,           /* nothing to do but what our epoll set would tell */
  MORROW_CONTEXT_READY,           /* a source wants to be dispatched, or has a time-out that is due */
  MORROW_CONTEXT_HAS_DESCRIPTORS  /* sources want descriptors to be polled, or the user's own function is to poll */
} MorrowContextState;

MorrowContextState morrow__loop_ask_context   (MorrowLoop *self, gint64 *deadline);
void               morrow__loop_serve_context (MorrowLoop *self);
void               morrow__loop_poll_context  (MorrowLoop *self);
