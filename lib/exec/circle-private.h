/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Peers are loops whose tasks may wait for each other in a circle that nobody else would open: those of a pool, and main's
 * beside them while a run lasts. A loop that is an executor of its own has no peer but itself.
 *
 * AT REST
 *   A loop is at rest while it sleeps in its epoll set, and runs no code, neither ours nor the user's. It comes to rest, and
 *   ends it, under the lock: so whoever holds the lock may look at the tasks of all peers that are at rest, and take one off
 *   what it waits for, as their own threads might. */

#pragma once

#include <pthread.h>

#include <morrow/types.h>

#include "base/list-private.h"

typedef struct
{
  gboolean        are_several;   /* immutable: else there is one, and no lock is taken */
  pthread_mutex_t lock;          /* for all below */
  MorrowList      loops;         /* MorrowLoop, by peer_link */
  guint           n_looks;       /* how often somebody has looked for circles */
  gint64          look_at;       /* when somebody may do so again */
} MorrowPeers;

void     morrow__peers_init     (MorrowPeers *self, gboolean are_several);
void     morrow__peers_clear    (MorrowPeers *self);
void     morrow__peers_join     (MorrowPeers *self, MorrowLoop *loop);

/* The loop is alone again. */
void     morrow__peers_leave    (MorrowLoop *loop);

/* The loop's thread, with nothing ready. TRUE when there is something to do after all, and else the loop is at rest, and may sleep
 * until *@ret_look_at. */
gboolean morrow__loop_rest      (MorrowLoop *self, gint64 *ret_look_at);
void     morrow__loop_end_rest  (MorrowLoop *self);
