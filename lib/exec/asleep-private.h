/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a loop falls asleep and comes awake: what it owes to others before it sleeps, and before it runs anything again. */

#pragma once

#include "exec/loop-pool-private.h"

gboolean morrow__loop_come_to_rest (MorrowLoop *self);
gboolean morrow__loop_fall_asleep  (MorrowLoop *self);
void     morrow__loop_come_awake   (MorrowLoop *self);

/* For a loop that has its thread. */
gboolean morrow__loop_spin         (MorrowLoop *self, gint64 deadline);
void     morrow__loop_sleep_or_nap (MorrowLoop *self, gint64 deadline);

/* On a pool: before anything is run (P2). */
static inline void
morrow__loop_end_search (MorrowLoop *self)
{
  if (self->searching || self->napping)
    morrow__loop_pool_end_search (self);
}

/* On a pool: the loop does something of its own before what it was chosen for, if it was (P3). */
static inline void
morrow__loop_do_own_first (MorrowLoop *self)
{
  if (morrow__likely (!self->is_chosen))
    return;

  self->is_chosen = FALSE;
  morrow__loop_pool_pass_on (self);
}
