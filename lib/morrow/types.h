/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every public type and callback type, declared once. */

#pragma once

#include <gio/gio.h>

#include <morrow/macros.h>

G_BEGIN_DECLS

typedef struct _MorrowFuture     MorrowFuture;
typedef struct _MorrowPromise    MorrowPromise;
typedef struct _MorrowResults    MorrowResults;
typedef struct _MorrowAwaitable  MorrowAwaitable;
typedef struct _MorrowExecutor   MorrowExecutor;
typedef struct _MorrowLoop       MorrowLoop;
typedef struct _MorrowThreadPool MorrowThreadPool;
typedef struct _MorrowLoopPool   MorrowLoopPool;
typedef struct _MorrowInline     MorrowInline;
typedef struct _MorrowFd         MorrowFd;
typedef struct _MorrowFdWatch    MorrowFdWatch;
typedef struct _MorrowTimeout    MorrowTimeout;

/**
 * MorrowSite: (skip)
 * @location: (nullable): where that is, `FILE:LINE`
 * @func_name: (nullable): what the function is called that a coroutine is made of there
 *
 * A place in a program where futures are made, as reports tell of it. MORROW_SITE () gives it.
 */
typedef struct
{
  const gchar *location;
  const gchar *func_name;
} MorrowSite;

/**
 * MORROW_SITE: (skip)
 * @func_name: a literal string, or %NULL
 *
 * The place where this stands, for a function whose name ends in `_at`. It lives as long as the program. In C++ it has a lambda, and
 * so, before C++20, may not stand where nothing is evaluated, as in `decltype`.
 */
#ifdef __cplusplus
#define MORROW_SITE(func_name) \
  ([] () -> const MorrowSite * { static const MorrowSite morrow__site = { G_STRLOC, func_name }; return &morrow__site; } ())
#else
#define MORROW_SITE(func_name) \
  (__extension__ ({ static const MorrowSite morrow__site = { G_STRLOC, func_name }; &morrow__site; }))
#endif

/**
 * MorrowCoroutineFunc:
 * @data: (nullable): what was given to morrow_coroutine ()
 * @result: an unset value to return a result in, with the morrow_return_ functions; left unset it means no value
 * @error: return location for an error
 *
 * The body of a coroutine. It runs on a stack of its own and may await at any depth, but not with a lock that other tasks of
 * its thread take. In C++ no exception may leave it, and it must not await in a `catch` block, nor in a destructor that an
 * exception calls: which exceptions are caught is the thread's, not the task's.
 *
 * Returns: %TRUE, or any other true value, when it succeeded; %FALSE when it failed and set @error
 */
typedef gboolean (*MorrowCoroutineFunc) (gpointer   data,
                                         GValue    *result,
                                         GError   **error);

/**
 * MorrowContinueFunc:
 * @settled: (transfer none): the future that has settled
 * @data: (nullable): what was given when the callback was attached
 * @result: an unset value to return a result in, with the morrow_return_ functions
 * @error: return location for an error
 *
 * A callback on a future. It runs where it was attached, outside any task, and must not await.
 *
 * Returns: %TRUE, or any other true value, when it succeeded; %FALSE when it failed and set @error
 */
typedef gboolean (*MorrowContinueFunc) (MorrowFuture  *settled,
                                        gpointer       data,
                                        GValue        *result,
                                        GError       **error);

/**
 * MorrowWorkFunc:
 * @data: (nullable): what was given to morrow_executor_submit ()
 *
 * A piece of work without a result. It runs on the executor, outside any task, and must not await.
 */
typedef void (*MorrowWorkFunc) (gpointer data);

/**
 * MorrowFdFunc:
 * @fd: the file descriptor that is ready
 * @condition: what it is ready for
 * @data: (nullable): what was given to morrow_fd_watch_new ()
 *
 * A callback on a file descriptor's readiness. It runs on the loop, outside any task.
 */
typedef void (*MorrowFdFunc) (int          fd,
                              GIOCondition condition,
                              gpointer     data);

/**
 * MorrowFutureStatus:
 * @MORROW_FUTURE_PENDING: neither a value nor an error yet
 * @MORROW_FUTURE_RESOLVED: settled with a value (or with none)
 * @MORROW_FUTURE_REJECTED: settled with an error, %G_IO_ERROR_CANCELLED among them
 *
 * What has become of a future.
 */
typedef enum
{
  MORROW_FUTURE_PENDING,
  MORROW_FUTURE_RESOLVED,
  MORROW_FUTURE_REJECTED
} MorrowFutureStatus;

/**
 * MorrowGatherFlags:
 * @MORROW_GATHER_DEFAULT: the first failure is the failure of the whole
 * @MORROW_GATHER_RETURN_ERRORS: errors are kept among the results, each at its place
 *
 * How morrow_gather_full () treats failures.
 */
typedef enum /*< flags >*/
{
  MORROW_GATHER_DEFAULT       = 0,
  MORROW_GATHER_RETURN_ERRORS = 1 << 0
} MorrowGatherFlags;

G_END_DECLS
