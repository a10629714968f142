/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where work runs: one event loop, a pool of threads, a pool of loops, or the caller's own stack.
 * A program names its executor in one place and nowhere else. Every method may be called from any thread. */

#pragma once

#include <morrow/types.h>

G_BEGIN_DECLS

#define MORROW_TYPE_EXECUTOR    (morrow_executor_get_type ())
#define MORROW_EXECUTOR(obj)    (G_TYPE_CHECK_INSTANCE_CAST ((obj), MORROW_TYPE_EXECUTOR, MorrowExecutor))
#define MORROW_IS_EXECUTOR(obj) (G_TYPE_CHECK_INSTANCE_TYPE ((obj), MORROW_TYPE_EXECUTOR))

MORROW_API
GType           morrow_executor_get_type    (void) G_GNUC_CONST;

/* The executor that the calling code runs on, borrowed; NULL on a plain thread. */
MORROW_API
MorrowExecutor *morrow_executor_get_current (void);

/* Starts a coroutine there, as morrow_create_task () does here; the coroutine is taken, the task returned. */
MORROW_API
MorrowFuture   *morrow_executor_spawn       (MorrowExecutor *self, MorrowFuture *coroutine) G_GNUC_WARN_UNUSED_RESULT;

/* Runs a function there, once, and forgets it. */
MORROW_API
void            morrow_executor_submit      (MorrowExecutor *self,
                                             MorrowWorkFunc  func,
                                             gpointer        data,
                                             GDestroyNotify  data_free);

MORROW_API
guint           morrow_executor_get_n_threads (MorrowExecutor *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MorrowExecutor, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (MorrowLoop, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (MorrowThreadPool, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (MorrowLoopPool, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (MorrowInline, g_object_unref)

/* One event loop on one thread, over a given GMainContext or over its own. A task that waits parks its fiber. */
#define MORROW_TYPE_LOOP    (morrow_loop_get_type ())
#define MORROW_LOOP(obj)    (G_TYPE_CHECK_INSTANCE_CAST ((obj), MORROW_TYPE_LOOP, MorrowLoop))
#define MORROW_IS_LOOP(obj) (G_TYPE_CHECK_INSTANCE_TYPE ((obj), MORROW_TYPE_LOOP))

MORROW_API
GType           morrow_loop_get_type           (void) G_GNUC_CONST;

MORROW_API
MorrowExecutor *morrow_loop_new             (GMainContext *context) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
GMainContext   *morrow_loop_get_context     (MorrowLoop *self);
MORROW_API
MorrowLoop     *morrow_loop_get_current     (void);

/* Worker threads that run one task each at a time. A task that waits blocks its worker. */
#define MORROW_TYPE_THREAD_POOL    (morrow_thread_pool_get_type ())
#define MORROW_THREAD_POOL(obj)    (G_TYPE_CHECK_INSTANCE_CAST ((obj), MORROW_TYPE_THREAD_POOL, MorrowThreadPool))
#define MORROW_IS_THREAD_POOL(obj) (G_TYPE_CHECK_INSTANCE_TYPE ((obj), MORROW_TYPE_THREAD_POOL))

MORROW_API
GType           morrow_thread_pool_get_type    (void) G_GNUC_CONST;

MORROW_API
MorrowExecutor *morrow_thread_pool_new      (guint max_threads) G_GNUC_WARN_UNUSED_RESULT;

/* Several event loops, a thread each. A task that waits parks its fiber; one that has not started may be stolen. */
#define MORROW_TYPE_LOOP_POOL    (morrow_loop_pool_get_type ())
#define MORROW_LOOP_POOL(obj)    (G_TYPE_CHECK_INSTANCE_CAST ((obj), MORROW_TYPE_LOOP_POOL, MorrowLoopPool))
#define MORROW_IS_LOOP_POOL(obj) (G_TYPE_CHECK_INSTANCE_TYPE ((obj), MORROW_TYPE_LOOP_POOL))

MORROW_API
GType           morrow_loop_pool_get_type      (void) G_GNUC_CONST;

MORROW_API
MorrowExecutor *morrow_loop_pool_new        (guint n_loops) G_GNUC_WARN_UNUSED_RESULT;

/* The caller's own stack: a task runs to its end when it is created. The sequential baseline. */
#define MORROW_TYPE_INLINE    (morrow_inline_get_type ())
#define MORROW_INLINE(obj)    (G_TYPE_CHECK_INSTANCE_CAST ((obj), MORROW_TYPE_INLINE, MorrowInline))
#define MORROW_IS_INLINE(obj) (G_TYPE_CHECK_INSTANCE_TYPE ((obj), MORROW_TYPE_INLINE))

MORROW_API
GType           morrow_inline_get_type         (void) G_GNUC_CONST;

MORROW_API
MorrowExecutor *morrow_inline_new           (void) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
