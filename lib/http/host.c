/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which of the loop's multi handles a request goes to, and whether it makes a connection.
 *
 * libcurl looks for a connection to use again by walking all that it has to the host, so that n
 * requests at once cost n * n steps: with 10,000 that was six times the cost of the requests
 * themselves. So we count. When every connection to a host is busy, a request is told to make
 * one, and the walk is spared; when there are many, they are spread over several multi handles,
 * which keeps each walk short. A host that speaks HTTP/2 stays on one, since only there can
 * requests share its connection. */

#include "config.h"

#include <string.h>

#include "http/engine-private.h"

#define SHARD_IS_FULL 256   /* transfers to one host, before another shard is begun */

MorrowHost *
morrow__host_get (MorrowEngine *engine, const char *origin)
{
  MorrowHost *self = g_hash_table_lookup (engine->hosts, origin);

  if (self != NULL)
    return self;

  self = g_new0 (MorrowHost, 1);
  self->origin = g_strdup (origin);
  self->kind = g_str_has_prefix (origin, "https:") ? MORROW_HOST_UNKNOWN : MORROW_HOST_ONE_BY_ONE;
  g_hash_table_insert (engine->hosts, self->origin, self);
  return self;
}

/* Counts one more in @counter, which is one of the host's own. */
void
morrow__host_use (MorrowHost *self, guint *counter)
{
  (*counter)++;
  self->n_uses++;
}

void
morrow__host_release (MorrowEngine *engine, MorrowHost *self, guint *counter)
{
  (*counter)--;
  if (--self->n_uses > 0)
    return;

  g_hash_table_remove (engine->hosts, self->origin);
  g_free (self->origin);
  g_free (self);
}

void
morrow__host_learn (MorrowHost *self, gboolean multiplexed)
{
  self->kind = multiplexed ? MORROW_HOST_MULTIPLEXED : MORROW_HOST_ONE_BY_ONE;
}

static guint
least_active (MorrowHost *self)
{
  guint least = 0;

  for (guint i = 1; i < MORROW_MAX_SHARDS; i++)
    if (self->n_active[i] < self->n_active[least])
      least = i;
  return least;
}

/* Returns the index of a shard, or of the one that is to be made. */
guint
morrow__host_choose_shard (MorrowHost *self, guint n_shards, gboolean *ret_fresh)
{
  *ret_fresh = FALSE;
  if (self->kind != MORROW_HOST_ONE_BY_ONE)
    return 0;

  for (guint i = 0; i < n_shards; i++)
    if (self->n_open[i] > self->n_active[i])
      return i;

  *ret_fresh = TRUE;
  for (guint i = 0; i < MIN (n_shards + 1, MORROW_MAX_SHARDS); i++)
    if (self->n_active[i] < SHARD_IS_FULL)
      return i;
  return least_active (self);
}
