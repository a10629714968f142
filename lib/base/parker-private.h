/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A parker lets one thread sleep until another wakes it.  Waking leaves a token: an unpark before
 * the park makes that return at once, and several of them count as one. */

#pragma once

#include "base/spin-private.h"

#include <glib.h>
#include <stdatomic.h>

G_BEGIN_DECLS

typedef struct
{
  _Atomic (gint) state;         /* Any thread, atomically: see parker.c. */
  MorrowSpin     spin;          /* The thread that parks. */
} MorrowParker;

/* No thread may be parked, nor unpark any longer, when it is cleared. */
void     morrow__parker_init       (MorrowParker *parker);
void     morrow__parker_clear      (MorrowParker *parker);

/* One thread at a time.  What the unparking thread did before is visible afterwards.  park_until
 * returns FALSE when @deadline, of g_get_monotonic_time (), passed without an unpark. */
void     morrow__parker_park       (MorrowParker *parker);
gboolean morrow__parker_park_until (MorrowParker *parker,
                                    gint64        deadline);

/* Any thread. */
void     morrow__parker_unpark     (MorrowParker *parker);

G_END_DECLS
