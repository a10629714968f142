/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where a thread that puts into a ring faster than others take out waits for room, for a while.  room.c tells why. */

#pragma once

#include "base/ring-private.h"

#include <pthread.h>

G_BEGIN_DECLS

typedef struct
{
  pthread_mutex_t lock;
  pthread_cond_t  came;        /* With the lock: half of the ring is free. */
  atomic_uint     n_waiting;   /* R2: changed under the lock, and looked at by any thread. */
} MorrowRoom;

void     morrow__room_init  (MorrowRoom *room);
void     morrow__room_clear (MorrowRoom *room);

/* Any thread that may sleep for ten milliseconds: returns once half of @ring is free.  FALSE when it was not in that time,
 * or when there was no room the last time that this thread waited, and that is not long ago. */
gboolean morrow__room_wait  (MorrowRoom *room,
                             MorrowRing *ring);

/* Any thread, after it has taken out of @ring. */
void     morrow__room_tell  (MorrowRoom *room,
                             MorrowRing *ring);

G_END_DECLS
