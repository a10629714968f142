/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a coroutine returns its result: `return morrow_return_int (result, 42);`
 * Each sets the unset value and returns TRUE. The _take_ forms own what they are given, the others copy. */

#pragma once

#include <morrow/types.h>

G_BEGIN_DECLS

MORROW_API
gboolean morrow_return_boolean     (GValue *result, gboolean v_boolean);
MORROW_API
gboolean morrow_return_int         (GValue *result, gint v_int);
MORROW_API
gboolean morrow_return_int64       (GValue *result, gint64 v_int64);
MORROW_API
gboolean morrow_return_uint64      (GValue *result, guint64 v_uint64);
MORROW_API
gboolean morrow_return_double      (GValue *result, gdouble v_double);
MORROW_API
gboolean morrow_return_string      (GValue *result, const gchar *v_string);
MORROW_API
gboolean morrow_return_take_string (GValue *result, gchar *v_string);
MORROW_API
gboolean morrow_return_pointer     (GValue *result, gpointer v_pointer);
MORROW_API
gboolean morrow_return_boxed       (GValue *result, GType type, gconstpointer v_boxed);
MORROW_API
gboolean morrow_return_take_boxed  (GValue *result, GType type, gpointer v_boxed);
MORROW_API
gboolean morrow_return_object      (GValue *result, gpointer v_object);
MORROW_API
gboolean morrow_return_take_object (GValue *result, gpointer v_object);
MORROW_API
gboolean morrow_return_value       (GValue *result, const GValue *value);

G_END_DECLS
