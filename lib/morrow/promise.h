/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The write end of a future. Settling twice is ignored; dropped unsettled, the future rejects.
 * Methods borrow the promise, verbs take it; each may be called from any thread. */

#pragma once

#include <morrow/types.h>

G_BEGIN_DECLS

#define MORROW_TYPE_PROMISE (morrow_promise_get_type ())

MORROW_API
GType          morrow_promise_get_type         (void) G_GNUC_CONST;

MORROW_API
MorrowPromise *morrow_promise_new              (void) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowPromise *morrow_promise_new_at           (const MorrowSite *site) G_GNUC_WARN_UNUSED_RESULT;
#define        morrow_promise_new()            (morrow_promise_new_at (MORROW_SITE (NULL)))
/* Both ends at once. */
MORROW_API
MorrowPromise *morrow_promise_new_with_future    (MorrowFuture **ret_future) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowPromise *morrow_promise_new_with_future_at (MorrowFuture **ret_future, const MorrowSite *site) G_GNUC_WARN_UNUSED_RESULT;
#define        morrow_promise_new_with_future(future) \
                                               (morrow_promise_new_with_future_at ((future), MORROW_SITE (NULL)))
MORROW_API
MorrowPromise *morrow_promise_ref              (MorrowPromise *self);
MORROW_API
void           morrow_promise_unref            (MorrowPromise *self);
MORROW_API
MorrowFuture  *morrow_promise_get_future       (MorrowPromise *self) G_GNUC_WARN_UNUSED_RESULT;

/* Each returns whether it was this call that settled the future. */
MORROW_API
gboolean       morrow_promise_resolve          (MorrowPromise *self);
MORROW_API
gboolean       morrow_promise_resolve_boolean  (MorrowPromise *self, gboolean v_boolean);
MORROW_API
gboolean       morrow_promise_resolve_int      (MorrowPromise *self, gint v_int);
MORROW_API
gboolean       morrow_promise_resolve_int64    (MorrowPromise *self, gint64 v_int64);
MORROW_API
gboolean       morrow_promise_resolve_uint64   (MorrowPromise *self, guint64 v_uint64);
MORROW_API
gboolean       morrow_promise_resolve_double   (MorrowPromise *self, gdouble v_double);
MORROW_API
gboolean       morrow_promise_resolve_string   (MorrowPromise *self, const gchar *v_string);
MORROW_API
gboolean       morrow_promise_resolve_pointer  (MorrowPromise *self, gpointer v_pointer);
MORROW_API
gboolean       morrow_promise_resolve_boxed    (MorrowPromise *self, GType type, gconstpointer v_boxed);
MORROW_API
gboolean       morrow_promise_resolve_object   (MorrowPromise *self, gpointer v_object);
MORROW_API
gboolean       morrow_promise_resolve_value    (MorrowPromise *self, const GValue *value);
MORROW_API
gboolean       morrow_promise_reject           (MorrowPromise *self, GError *error);

/* The same for who has no use for the promise afterwards: each drops it. */
MORROW_API
gboolean       morrow_resolve                  (MorrowPromise *promise);
MORROW_API
gboolean       morrow_resolve_boolean          (MorrowPromise *promise, gboolean v_boolean);
MORROW_API
gboolean       morrow_resolve_int              (MorrowPromise *promise, gint v_int);
MORROW_API
gboolean       morrow_resolve_int64            (MorrowPromise *promise, gint64 v_int64);
MORROW_API
gboolean       morrow_resolve_uint64           (MorrowPromise *promise, guint64 v_uint64);
MORROW_API
gboolean       morrow_resolve_double           (MorrowPromise *promise, gdouble v_double);
MORROW_API
gboolean       morrow_resolve_string           (MorrowPromise *promise, const gchar *v_string);
MORROW_API
gboolean       morrow_resolve_pointer          (MorrowPromise *promise, gpointer v_pointer);
MORROW_API
gboolean       morrow_resolve_boxed            (MorrowPromise *promise, GType type, gconstpointer v_boxed);
MORROW_API
gboolean       morrow_resolve_object           (MorrowPromise *promise, gpointer v_object);
MORROW_API
gboolean       morrow_resolve_value            (MorrowPromise *promise, const GValue *value);
MORROW_API
gboolean       morrow_reject                   (MorrowPromise *promise, GError *error);

/* Tells the producer that nobody wants the result any more. */
MORROW_API
void           morrow_promise_on_cancel        (MorrowPromise  *self,
                                                MorrowWorkFunc  func,
                                                gpointer        data,
                                                GDestroyNotify  data_free);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MorrowPromise, morrow_promise_unref)

G_END_DECLS
