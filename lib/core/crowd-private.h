/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The waiters of a future that thousands wait for, of whom many leave: each knows its neighbours, so that to leave takes the same time
 * for all. A list with one link, which a future has else, is walked for that: with n who wait that is n times n, as they are
 * cancelled. crowd.c tells. */

#pragma once

#include "core/future-private.h"

typedef struct _MorrowCrowd MorrowCrowd;

/* Of fewer it is no use to make one. Tests make it tiny. */
#ifndef MORROW_CROWD_MIN
#define MORROW_CROWD_MIN 1000
#endif

/* To make one takes about as long as so many walks along the list. */
#ifndef MORROW_CROWD_WALKS
#define MORROW_CROWD_WALKS 16
#endif

/* All is for who holds the future's lock, or has claimed it. @newest: of a list, which becomes the crowd's. */
MorrowCrowd  *morrow__crowd_new      (MorrowWaiter *newest);
void          morrow__crowd_push     (MorrowCrowd *self, MorrowWaiter *waiter);
void          morrow__crowd_remove   (MorrowCrowd *self, MorrowWaiter *waiter);
MorrowWaiter *morrow__crowd_newest   (MorrowCrowd *self);
gboolean      morrow__crowd_is_small (MorrowCrowd *self);

/* Frees it. Gives the newest of the list, NULL for none. */
MorrowWaiter *morrow__crowd_dissolve (MorrowCrowd *self);
