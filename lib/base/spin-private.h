/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whether to look a little longer before going to sleep.
 *
 * To wake a sleeping thread takes 20 to 60 us, nearly all of it the processor's own awakening; one
 * that still looks sees a reply within 100 ns.  But a spin holds a processor that somebody else may
 * want, perhaps the very thread that is to reply, and an idle thread must not spin at all.  So
 * whoever waits spins only after a reply that came soon, and a spin that was in vain doubles the
 * number of waits that are not to be preceded by one. */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Belongs to the thread that waits.  Filled with zeros it is ready for use. */
typedef struct
{
  gboolean is_brisk;            /* The last reply came soon. */
  guint    n_to_skip;           /* Waits without a spin from now on, */
  guint    n_skipped;           /* and after the last spin in vain. */
  gint64   yield_at;            /* The processor is not given away before this time. */
} MorrowSpin;

typedef gboolean (*MorrowSpinFunc) (gpointer data);

/* Calls @is_ready for a few microseconds, not beyond @deadline, if that promises something.  Returns:
 * whether it said TRUE; if not, it is time to sleep. */
gboolean morrow__spin_until (MorrowSpin     *spin,
                             MorrowSpinFunc  is_ready,
                             gpointer        data,
                             gint64          deadline);

/* Tells that something came while nobody slept, of which there may be more. */
void     morrow__spin_expect (MorrowSpin    *spin);

/* Tells how a sleep ended that morrow__spin_until () did not spare. */
void     morrow__spin_slept (MorrowSpin     *spin,
                             gboolean        is_reply,
                             gint64          microseconds);

G_END_DECLS
