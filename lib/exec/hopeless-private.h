/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Searching for waits that never end. A future is hopeless when what it waits for is; what that is, tells visit_awaited
 * of its kind, and of a task the executor. Something unknown may always come: a promise is not hopeless. Who asks whether
 * anything is sure to come takes what is unknown to be hopeless too.
 *
 * A circle is taken to be hopeless until one of its members proves not to be; what was concluded from that meanwhile is
 * thrown away, and the search begins again. */

#pragma once

#include "exec/task-private.h"

#define MORROW_SEARCH_MAX_DEPTH 1000   /* a wait that leads further counts as one that will end: who searches has a stack too */

typedef struct _MorrowSearch MorrowSearch;

struct _MorrowSearch
{
  /* Immutable. */
  gboolean  (*is_hopeless) (MorrowSearch *self, MorrowTask *task);   /* whether a task is that does not run in place */
  gboolean    unknown;        /* whether what something unknown may settle is hopeless */
  gpointer    owner;          /* the executor's; borrowed */

  GHashTable *seen;           /* MorrowFuture to whether it is hopeless, as far as is known */
  guint       n_hopeless;     /* of these, those that are taken to be so */
  guint       depth;
  gboolean    was_mistaken;   /* one that had been taken to be hopeless is not */
  MorrowFuture *start;        /* borrowed */
  gboolean    came_back;      /* what was asked about is among what it waits for */
  gboolean    found_work;     /* is_hopeless (): who waits is to run something itself */
};

#define MORROW_SEARCH(func, what_is_unknown, executor) \
  { .is_hopeless = (func), .unknown = (what_is_unknown), .owner = (executor), .seen = g_hash_table_new (NULL, NULL) }

void     morrow__search_clear  (MorrowSearch *self);

/* Whether nothing can settle @task any more. What waits may change between two calls only so that there is more hope. */
gboolean morrow__search_task   (MorrowSearch *self, MorrowTask *task);

/* For is_hopeless of the search, @search: whether what a task waits for is hopeless. Also of a whole search, where is_hopeless
 * does not ask. */
gboolean morrow__search_awaited (MorrowFuture *awaited, gpointer search);
