/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Searching for waits that never end. A future is hopeless when what it waits for is; who else may settle it, is told
 * by visit_awaited of its kind, and by the executor for a task.
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
  gboolean  (*is_hopeless) (MorrowSearch *self, MorrowTask *task);   /* whether a task that has a home is */
  gpointer    owner;          /* the executor's; borrowed */

  GHashTable *seen;           /* MorrowFuture to whether it is hopeless, as far as is known */
  guint       n_hopeless;     /* of these, those that are taken to be so */
  guint       depth;
  gboolean    was_mistaken;   /* one that had been taken to be hopeless is not */
};

void     morrow__search_init   (MorrowSearch *self, gboolean (*is_hopeless) (MorrowSearch *self, MorrowTask *task), gpointer owner);
void     morrow__search_clear  (MorrowSearch *self);

/* Whether nothing can settle @task any more. What waits may change between two calls only so that there is more hope. */
gboolean morrow__search_task   (MorrowSearch *self, MorrowTask *task);

/* For is_hopeless of the search, @search: whether what a task waits for is hopeless. */
gboolean morrow__search_awaited (MorrowFuture *awaited, gpointer search);
