/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making results. */

#pragma once

#include <morrow/results.h>

MorrowResults *morrow__results_new (gsize n);
void           morrow__results_take (MorrowResults *self, gsize i, MorrowFuture *settled);
