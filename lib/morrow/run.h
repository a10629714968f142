/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a plain main () into coroutines and back. */

#pragma once

#include <morrow/types.h>

G_BEGIN_DECLS

/* Runs a main coroutine to its end on a new loop, cancels and awaits what is left over, closes the loop. Takes main. */
MORROW_API
gboolean morrow_run      (MorrowFuture *main, GValue *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same on the executor given, which is borrowed. */
MORROW_API
gboolean morrow_run_on   (MorrowExecutor *executor, MorrowFuture *main, GValue *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What main () returns: 0, or 1 after printing the error. */
MORROW_API
int      morrow_run_main (MorrowCoroutineFunc func, gpointer data);

G_END_DECLS
