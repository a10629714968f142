/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Visitors of homes: "Visiting" in home-private.h. One counter for all homes: visits are rare and short. */

#include "config.h"

#include <sched.h>

#include "base/fork-private.h"
#include "exec/home-private.h"

static atomic_uint n_visitors;   /* any thread; H1 */

/* Nobody forks during a visit of its own, which runs no code of the user's. */
static void
forget_visitors (void)
{
  /* Relaxed: the child has no other thread yet. */
  atomic_store_explicit (&n_visitors, 0, memory_order_relaxed);
}

MORROW__IN_EACH_CHILD (forget_visitors)

void
morrow__home_visit (void)
{
  morrow__executor_n_reasons++;                 /* who ends waits for visitors, and so must not be one */
  /* Sequentially consistent: H1, pairs with the exchange in morrow__home_wait_for_visitors (). */
  atomic_fetch_add_explicit (&n_visitors, 1, memory_order_seq_cst);
}

void
morrow__home_leave_visit (void)
{
  /* Release: pairs with the same. */
  atomic_fetch_sub_explicit (&n_visitors, 1, memory_order_release);
  morrow__executor_n_reasons--;
}

void
morrow__home_wait_for_visitors (void)
{
  while (atomic_fetch_add_explicit (&n_visitors, 0, memory_order_seq_cst) > 0)
    sched_yield ();
}
