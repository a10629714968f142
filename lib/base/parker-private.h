/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A parker lets one thread sleep until another wakes it.  Waking leaves a token: an unpark before
 * the park makes that return at once, and several of them count as one. */

#pragma once

#include "base/spin-private.h"
#include "base/wakeup-private.h"

#include <glib.h>
#include <stdatomic.h>

G_BEGIN_DECLS

typedef struct
{
  _Atomic (gint) state;         /* Any thread, atomically: see parker.c. */
  MorrowSpin     spin;          /* The thread that parks. */
  MorrowWakeup   wakeup;        /* Made by the thread that parks, before it first polls. */
} MorrowParker;

/* No thread may be parked, nor unpark any longer, when it is cleared. */
void     morrow__parker_init       (MorrowParker *parker);
void     morrow__parker_clear      (MorrowParker *parker);

/* One thread at a time.  What the unparking thread did before is visible afterwards.  park_until
 * returns FALSE when @deadline, of g_get_monotonic_time (), passed without an unpark. */
void     morrow__parker_park       (MorrowParker *parker);
gboolean morrow__parker_park_until (MorrowParker *parker,
                                    gint64        deadline);

/* As park_until, and waits at the same time for @fd to be ready for @events, which are poll ()'s.
 * May return early.  Returns: FALSE, with @error set, when the process has no descriptor left to be
 * woken by; else @ret_ready tells whether the descriptor is ready, or in error. */
gboolean morrow__parker_poll       (MorrowParker  *parker,
                                    gint           fd,
                                    gint           events,
                                    gint64         deadline,
                                    gboolean      *ret_ready,
                                    GError       **error);

/* Any thread. */
void     morrow__parker_unpark     (MorrowParker *parker);

G_END_DECLS
