/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Coroutines, tasks, and the verbs that wait inside them. Verbs take the futures that they are given; methods borrow. */

#pragma once

#include <morrow/types.h>

G_BEGIN_DECLS

/* A coroutine is lazy: this runs nothing. Awaited it runs in place; given to morrow_create_task () it runs concurrently. */
MORROW_API
MorrowFuture *morrow_coroutine       (MorrowCoroutineFunc func,
                                      gpointer            data,
                                      GDestroyNotify      data_free) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_coroutine_at    (MorrowCoroutineFunc func,
                                      gpointer            data,
                                      GDestroyNotify      data_free,
                                      const MorrowSite   *site) G_GNUC_WARN_UNUSED_RESULT;
#define       morrow_coroutine(func, data, data_free) \
                                     (morrow_coroutine_at ((func), (data), (data_free), MORROW_SITE (#func)))
MORROW_API
void          morrow_future_set_stack_size (MorrowFuture *self, gsize stack_size);

/* Starts a coroutine on the current executor. Takes the coroutine, returns it as a task. */
MORROW_API
MorrowFuture *morrow_create_task     (MorrowFuture *coroutine) G_GNUC_WARN_UNUSED_RESULT;

/* morrow_create_task () of a new morrow_coroutine (), in one step. */
MORROW_API
MorrowFuture *morrow_spawn           (MorrowCoroutineFunc func,
                                      gpointer            data,
                                      GDestroyNotify      data_free) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_spawn_at        (MorrowCoroutineFunc func,
                                      gpointer            data,
                                      GDestroyNotify      data_free,
                                      const MorrowSite   *site) G_GNUC_WARN_UNUSED_RESULT;
#define       morrow_spawn(func, data, data_free) \
                                     (morrow_spawn_at ((func), (data), (data_free), MORROW_SITE (#func)))

/* The running task, borrowed; NULL outside any. */
MORROW_API
MorrowFuture *morrow_current_task    (void);

/* Waits for a future, inside a task. The typed forms return what it resolved with, or 0 and an error; strings, boxed and objects are the caller's. */
MORROW_API
gboolean      morrow_await           (MorrowFuture *future, GError **error) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
gboolean      morrow_await_boolean   (MorrowFuture *future, GError **error);
MORROW_API
gint          morrow_await_int       (MorrowFuture *future, GError **error);
MORROW_API
gint64        morrow_await_int64     (MorrowFuture *future, GError **error);
MORROW_API
guint64       morrow_await_uint64    (MorrowFuture *future, GError **error);
MORROW_API
gdouble       morrow_await_double    (MorrowFuture *future, GError **error);
MORROW_API
gchar        *morrow_await_string    (MorrowFuture *future, GError **error) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
gpointer      morrow_await_pointer   (MorrowFuture *future, GError **error);
MORROW_API
gpointer      morrow_await_boxed     (MorrowFuture *future, GError **error) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
gpointer      morrow_await_object    (MorrowFuture *future, GError **error) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
gboolean      morrow_await_value     (MorrowFuture *future, GValue *value, GError **error) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
gboolean      morrow_await_awaitable (MorrowAwaitable *awaitable, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same, borrowing: what one uses on a g_autoptr (MorrowFuture), and twice if one likes. */
MORROW_API
gboolean      morrow_future_await    (MorrowFuture *self, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Lets every other ready task run once. */
MORROW_API
gboolean      morrow_yield           (GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A future that resolves later: after some seconds, or at a time of the monotonic clock in microseconds. */
MORROW_API
MorrowFuture *morrow_sleep           (gdouble seconds) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_sleep_until     (gint64 deadline) G_GNUC_WARN_UNUSED_RESULT;

/* A coroutine whose body runs on a thread for blocking work; it must not await. */
MORROW_API
MorrowFuture *morrow_to_thread       (MorrowCoroutineFunc func,
                                      gpointer            data,
                                      GDestroyNotify      data_free) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture *morrow_to_thread_at    (MorrowCoroutineFunc func,
                                      gpointer            data,
                                      GDestroyNotify      data_free,
                                      const MorrowSite   *site) G_GNUC_WARN_UNUSED_RESULT;
#define       morrow_to_thread(func, data, data_free) \
                                     (morrow_to_thread_at ((func), (data), (data_free), MORROW_SITE (#func)))

G_END_DECLS
