/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The read end. A future settles once, with a value or with an error, and everything that can be awaited is one:
 * a task, a timer, a transfer, a gather, a coroutine that has not started.
 * Every method borrows its future, and may be called from any thread. */

#pragma once

#include <morrow/types.h>

G_BEGIN_DECLS

#define MORROW_TYPE_FUTURE     (morrow_future_get_type ())
#define MORROW_IS_FUTURE(obj)  (G_TYPE_CHECK_INSTANCE_TYPE ((obj), MORROW_TYPE_FUTURE))

MORROW_API
GType               morrow_future_get_type      (void) G_GNUC_CONST;

/* Made settled. The error is taken. */
MORROW_API
MorrowFuture       *morrow_future_new_resolved  (const GValue *value) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture       *morrow_future_new_rejected  (GError *error) G_GNUC_WARN_UNUSED_RESULT;

MORROW_API
MorrowFuture       *morrow_future_ref           (MorrowFuture *self);
MORROW_API
void                morrow_future_unref         (MorrowFuture *self);

/* What has become of it. Values and errors that are got are borrowed, and stay as long as the future does. */
MORROW_API
MorrowFutureStatus  morrow_future_get_status    (MorrowFuture *self);
MORROW_API
gboolean            morrow_future_is_settled    (MorrowFuture *self);
MORROW_API
gboolean            morrow_future_is_cancelled  (MorrowFuture *self);
MORROW_API
const GValue       *morrow_future_get_value     (MorrowFuture *self, GError **error) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
const GError       *morrow_future_get_error     (MorrowFuture *self);
MORROW_API
gboolean            morrow_future_get_boolean   (MorrowFuture *self);
MORROW_API
gint                morrow_future_get_int       (MorrowFuture *self);
MORROW_API
gint64              morrow_future_get_int64     (MorrowFuture *self);
MORROW_API
guint64             morrow_future_get_uint64    (MorrowFuture *self);
MORROW_API
gdouble             morrow_future_get_double    (MorrowFuture *self);
MORROW_API
const gchar        *morrow_future_get_string    (MorrowFuture *self);
MORROW_API
gpointer            morrow_future_get_pointer   (MorrowFuture *self);
MORROW_API
gpointer            morrow_future_get_boxed     (MorrowFuture *self);
MORROW_API
gpointer            morrow_future_get_object    (MorrowFuture *self);

/* Callbacks: run where they were attached, never inside the call that attaches or settles. */
MORROW_API
MorrowFuture       *morrow_future_then          (MorrowFuture       *self,
                                                 MorrowContinueFunc  func,
                                                 gpointer            data,
                                                 GDestroyNotify      data_free);
MORROW_API
MorrowFuture       *morrow_future_catch         (MorrowFuture       *self,
                                                 MorrowContinueFunc  func,
                                                 gpointer            data,
                                                 GDestroyNotify      data_free);
MORROW_API
MorrowFuture       *morrow_future_finally       (MorrowFuture       *self,
                                                 MorrowContinueFunc  func,
                                                 gpointer            data,
                                                 GDestroyNotify      data_free);

/* Cancellation is a request; see the list of suspension points in ARCHITECTURE.md. */
MORROW_API
gboolean            morrow_future_cancel              (MorrowFuture *self);
MORROW_API
gboolean            morrow_future_cancel_with_message (MorrowFuture *self, const gchar *message);
MORROW_API
guint               morrow_future_get_cancelling      (MorrowFuture *self);
MORROW_API
guint               morrow_future_uncancel            (MorrowFuture *self);

/* GCancellable, both ways. */
MORROW_API
void                morrow_future_cancel_on           (MorrowFuture *self, GCancellable *cancellable);
MORROW_API
GCancellable       *morrow_future_get_cancellable     (MorrowFuture *self) G_GNUC_WARN_UNUSED_RESULT;

/* What it is called in reports. */
MORROW_API
void                morrow_future_set_name      (MorrowFuture *self, const gchar *name);
MORROW_API
gchar              *morrow_future_dup_name      (MorrowFuture *self) G_GNUC_WARN_UNUSED_RESULT;

/* For plain threads: blocks until it settles. */
MORROW_API
gboolean            morrow_future_wait          (MorrowFuture *self, GError **error) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
gboolean            morrow_future_wait_until    (MorrowFuture *self, gint64 deadline, GError **error) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MorrowFuture, morrow_future_unref)

G_END_DECLS
