/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a gather gives: an outcome for each argument, in the order of the arguments. All is borrowed from the results. */

#pragma once

#include <morrow/types.h>

G_BEGIN_DECLS

#define MORROW_TYPE_RESULTS (morrow_results_get_type ())

MORROW_API
GType          morrow_results_get_type    (void) G_GNUC_CONST;

MORROW_API
MorrowResults *morrow_results_ref         (MorrowResults *self);
MORROW_API
void           morrow_results_unref       (MorrowResults *self);
MORROW_API
gsize          morrow_results_get_n       (MorrowResults *self);
MORROW_API
MorrowFuture  *morrow_results_get_future  (MorrowResults *self, gsize i);
MORROW_API
const GError  *morrow_results_get_error   (MorrowResults *self, gsize i);
MORROW_API
const GValue  *morrow_results_get_value   (MorrowResults *self, gsize i);
MORROW_API
gboolean       morrow_results_get_boolean (MorrowResults *self, gsize i);
MORROW_API
gint           morrow_results_get_int     (MorrowResults *self, gsize i);
MORROW_API
gint64         morrow_results_get_int64   (MorrowResults *self, gsize i);
MORROW_API
guint64        morrow_results_get_uint64  (MorrowResults *self, gsize i);
MORROW_API
gdouble        morrow_results_get_double  (MorrowResults *self, gsize i);
MORROW_API
const gchar   *morrow_results_get_string  (MorrowResults *self, gsize i);
MORROW_API
gpointer       morrow_results_get_pointer (MorrowResults *self, gsize i);
MORROW_API
gpointer       morrow_results_get_boxed   (MorrowResults *self, gsize i);
MORROW_API
gpointer       morrow_results_get_object  (MorrowResults *self, gsize i);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MorrowResults, morrow_results_unref)

G_END_DECLS
