/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Parking a thread on a futex, or on an eventfd.
 *
 *              park: 0 -> -1, sleeps               park: takes the token, 1 -> 0, does not sleep
 *    PARKED  <----------------------    EMPTY    <--------------------------   TOKEN
 *     (-1)                               (0)                                    (1)
 *       |                                 '------------- unpark ----------------^
 *       '------------- unpark: -1 -> 1, wakes the sleeper, who takes the token -'
 *
 * Parking subtracts one, which is either of the two arrows to the left, in one step; nobody else
 * writes PARKED or takes a token, so that state only ever changes under the parked thread by an
 * unpark.  The kernel puts the thread to sleep only if the word still says PARKED, so that an
 * unpark in between is not lost.
 *
 * A thread that waits for a descriptor too sleeps in poll (): POLLING stands for PARKED then, and
 * the waker writes to an eventfd.  That the thread may have gone on by the time of the writing only
 * ends its next poll early.
 *
 * Orderings.  unpark () releases and park () acquires: they pair, and hand over whatever the waker
 * did before.  An unpark that finds POLLING acquires as well, since it goes on to read which eventfd
 * it is.  A parker promises no order between an unpark and the waker's later loads: whoever
 * both announces work and looks at who sleeps must see to that on their own. */

#include "config.h"

#include "base/parker-private.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum
{
  POLLING = -2,
  PARKED = -1,
  EMPTY = 0,
  TOKEN = 1
};

void
morrow__parker_init (MorrowParker *parker)
{
  atomic_init (&parker->state, EMPTY);
  parker->spin = (MorrowSpin) { .is_brisk = FALSE };
  parker->wakeup.fd = -1;
}

void
morrow__parker_clear (MorrowParker *parker)
{
  g_assert (atomic_load_explicit (&parker->state, memory_order_relaxed) >= EMPTY);
  morrow__wakeup_clear (&parker->wakeup);
}

/* Sleeps while the state is PARKED, at the latest until @deadline, which is absolute; may wake
 * early. Returns: FALSE when the deadline passed. */
static gboolean
sleep_while_parked (MorrowParker          *parker,
                    const struct timespec *deadline)
{
  /* The bitset form, since only that takes an absolute time. */
  return syscall (SYS_futex, &parker->state, FUTEX_WAIT_BITSET_PRIVATE, PARKED, deadline, NULL,
                  FUTEX_BITSET_MATCH_ANY) == 0
         || errno != ETIMEDOUT;
}

static gboolean
park (MorrowParker          *parker,
      const struct timespec *deadline)
{
  gboolean in_time = TRUE;

  /* Acquire: pairs with the exchange in unpark (). */
  if (atomic_fetch_sub_explicit (&parker->state, 1, memory_order_acquire) == TOKEN)
    return TRUE;

  do
    in_time = sleep_while_parked (parker, deadline);
  /* Relaxed: the exchange below takes the token. */
  while (in_time && atomic_load_explicit (&parker->state, memory_order_relaxed) == PARKED);

  /* Acquire: pairs with the exchange in unpark ().  One that came with the deadline still
   * counts. */
  return atomic_exchange_explicit (&parker->state, EMPTY, memory_order_acquire) == TOKEN;
}

static gboolean
has_token (gpointer data)
{
  MorrowParker *parker = data;

  /* Relaxed: park () takes the token. */
  return atomic_load_explicit (&parker->state, memory_order_relaxed) == TOKEN;
}

static gboolean
spin_and_park (MorrowParker *parker,
               gint64        deadline)
{
  struct timespec when = { deadline / G_USEC_PER_SEC, deadline % G_USEC_PER_SEC * 1000 };
  gboolean unparked;
  gint64 start;

  if (has_token (parker) || morrow__spin_until (&parker->spin, has_token, parker, deadline))
    return park (parker, NULL);

  start = g_get_monotonic_time ();
  unparked = park (parker, deadline != G_MAXINT64 ? &when : NULL);
  morrow__spin_slept (&parker->spin, unparked, g_get_monotonic_time () - start);
  return unparked;
}

void
morrow__parker_park (MorrowParker *parker)
{
  spin_and_park (parker, G_MAXINT64);
}

gboolean
morrow__parker_park_until (MorrowParker *parker,
                           gint64        deadline)
{
  return spin_and_park (parker, MAX (deadline, 0));
}

/* Returns: whether @fd is ready. */
static gboolean
sleep_in_poll (MorrowParker *parker,
               gint          fd,
               gint          events,
               gint64        deadline)
{
  struct pollfd fds[] = { { .fd = fd, .events = events },
                          { .fd = morrow__wakeup_fd (&parker->wakeup), .events = POLLIN } };
  gint64 left = deadline != G_MAXINT64 ? MAX (deadline - g_get_monotonic_time (), 0) : 0;
  struct timespec timeout = { left / G_USEC_PER_SEC, left % G_USEC_PER_SEC * 1000 };

  if (ppoll (fds, G_N_ELEMENTS (fds), deadline != G_MAXINT64 ? &timeout : NULL, NULL) <= 0)
    return FALSE;

  if (fds[1].revents != 0)
    morrow__wakeup_acknowledge (&parker->wakeup);
  return fds[0].revents != 0;
}

gboolean
morrow__parker_poll (MorrowParker  *parker,
                     gint           fd,
                     gint           events,
                     gint64         deadline,
                     gboolean      *ret_ready,
                     GError       **error)
{
  gint state = EMPTY;

  *ret_ready = FALSE;
  if (parker->wakeup.fd < 0 && !morrow__wakeup_init (&parker->wakeup, error))
    return FALSE;

  /* Release: pairs with the acquire of an unpark that finds POLLING. */
  if (atomic_compare_exchange_strong_explicit (&parker->state, &state, POLLING,
                                               memory_order_release, memory_order_relaxed))
    *ret_ready = sleep_in_poll (parker, fd, events, deadline);

  /* Acquire: pairs with the exchange in unpark (), as in park (). */
  atomic_exchange_explicit (&parker->state, EMPTY, memory_order_acquire);
  return TRUE;
}

void
morrow__parker_unpark (MorrowParker *parker)
{
  /* Release: pairs with park () and poll ().  Acquire: see above.  The thread may be gone the moment
   * after: the wake-up only passes an address, and a stray one is allowed for by every futex user. */
  gint was = atomic_exchange_explicit (&parker->state, TOKEN, memory_order_acq_rel);

  if (was == PARKED)
    syscall (SYS_futex, &parker->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  else if (was == POLLING)
    morrow__wakeup_signal (&parker->wakeup);
}
