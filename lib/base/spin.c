/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A spin is worth it as long as the reply comes in less time than waking would take.  It lasts as
 * long as it takes to wake the one who is to reply: of two threads that have both gone to sleep
 * between two messages, the first to be awake again waits for the other, and from then on neither
 * sleeps.  With a shorter spin they would never find back to that.
 *
 * One spin in 64 waits goes on being tried when they are all in vain, which costs a hundredth or
 * two, since it is only tried at all where replies come within the time for a few of them. */

#include "base/spin-private.h"

enum
{
  SPIN_TIME = 50,               /* Microseconds. */
  BRISK_TIME = 200,             /* A reply that came sooner would have come to a spin. */
  N_LOOKS = 16,                 /* Between two readings of the clock. */
  MAX_TO_SKIP = 63
};

static inline void
relax_processor (void)
{
#if defined (__x86_64__)
  __builtin_ia32_pause ();
#elif defined (__aarch64__)
  __asm__ volatile ("yield");
#endif
}

static gboolean
look_until (MorrowSpinFunc is_ready,
            gpointer       data,
            gint64         end)
{
  do
    for (guint i = 0; i < N_LOOKS; i++)
      {
        if (is_ready (data))
          return TRUE;
        relax_processor ();
      }
  while (g_get_monotonic_time () < end);
  return FALSE;
}

gboolean
morrow__spin_until (MorrowSpin     *spin,
                    MorrowSpinFunc  is_ready,
                    gpointer        data,
                    gint64          deadline)
{
  if (!spin->is_brisk)
    return FALSE;
  if (spin->n_to_skip > 0)
    {
      spin->n_to_skip--;
      return FALSE;
    }

  if (look_until (is_ready, data, MIN (g_get_monotonic_time () + SPIN_TIME, deadline)))
    {
      spin->n_skipped = 0;
      return TRUE;
    }
  spin->n_skipped = MIN (2 * spin->n_skipped + 1, MAX_TO_SKIP);
  spin->n_to_skip = spin->n_skipped;
  return FALSE;
}

void
morrow__spin_expect (MorrowSpin *spin)
{
  spin->is_brisk = TRUE;
}

void
morrow__spin_slept (MorrowSpin *spin,
                    gboolean    is_reply,
                    gint64      microseconds)
{
  spin->is_brisk = is_reply && microseconds < BRISK_TIME;
}
