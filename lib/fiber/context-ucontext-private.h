/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The switch between stacks where it has not been written by hand: included by context-private.h.
 *
 * The C library's contexts do the same at the price of two system calls, for a signal mask that nobody changes. */

#pragma once

#include <ucontext.h>

#include "base/likely-private.h"

typedef struct
{
  /* Both: the thread of all contexts that it switches between. */
  ucontext_t ucontext; /* Written by who leaves this context, read when somebody comes back to it. */
  gpointer   value;    /* What that brings. */
} MorrowContext;

/* fiber.c */
void morrow__context_init (MorrowContext *self,
                           gpointer       low,
                           gpointer       top,
                           void         (*entry) (MorrowContext *self));

/* The switch does it. */
static inline void
morrow__context_save_control (MorrowContext *self G_GNUC_UNUSED)
{
}

/* What the C library keeps of that is its own. */
static inline gboolean
morrow__context_rounds_like (const MorrowContext *other G_GNUC_UNUSED)
{
  return FALSE;
}

/* Where its innermost frame is: the C library knows; near, at any rate. */
static inline gpointer
morrow__context_get_frame (MorrowContext *self)
{
  return self;
}

static inline gpointer
morrow__context_switch (MorrowContext *from,
                        MorrowContext *to,
                        gpointer       value)
{
  to->value = value;
  if (morrow__unlikely (swapcontext (&from->ucontext, &to->ucontext) != 0))
    g_error ("swapcontext: %s", g_strerror (errno));
  return from->value;
}
