/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The failures that GLib has no word for. */

#pragma once

#include <morrow/types.h>

G_BEGIN_DECLS

/**
 * MORROW_ERROR:
 *
 * The error domain of morrow; its codes are #MorrowError. Cancellation is always %G_IO_ERROR_CANCELLED and a time that has run out always
 * %G_IO_ERROR_TIMED_OUT, in GIO's domain.
 */
#define MORROW_ERROR (morrow_error_quark ())

/**
 * MorrowError:
 * @MORROW_ERROR_BROKEN_PROMISE: the promise was dropped before it was settled
 * @MORROW_ERROR_PENDING: the future has not settled yet
 * @MORROW_ERROR_NOT_IN_TASK: the call is for coroutines, and no task runs here
 * @MORROW_ERROR_WOULD_BLOCK_LOOP: waiting here would stop the loop that is to do the work
 * @MORROW_ERROR_ALREADY_RUNNING: this thread already runs a main coroutine, or another thread one on the same executor
 * @MORROW_ERROR_SELF_AWAIT: the task awaits itself, or a coroutine that it is running
 * @MORROW_ERROR_DEADLOCK: the wait would last for ever: what is awaited waits for the task that awaits it
 * @MORROW_ERROR_CLOSED: the executor has been closed
 * @MORROW_ERROR_FORKED: the runtime was made by the parent of this process
 * @MORROW_ERROR_INTERRUPTED: the run was ended by SIGINT
 * @MORROW_ERROR_GROUP: several errors; morrow_error_get_children () gives them
 * @MORROW_ERROR_NO_STACK: no stack could be had for a task, or for a coroutine that needs one of its own
 * @MORROW_ERROR_NO_THREAD: no thread could be had
 * @MORROW_ERROR_INVALID_ARGUMENT: an argument that no call could satisfy
 * @MORROW_ERROR_WRONG_TYPE: what was awaited has a value of another type than was asked for, or no number
 *
 * The codes of %MORROW_ERROR.
 */
typedef enum
{
  MORROW_ERROR_BROKEN_PROMISE,
  MORROW_ERROR_PENDING,
  MORROW_ERROR_NOT_IN_TASK,
  MORROW_ERROR_WOULD_BLOCK_LOOP,
  MORROW_ERROR_ALREADY_RUNNING,
  MORROW_ERROR_SELF_AWAIT,
  MORROW_ERROR_DEADLOCK,
  MORROW_ERROR_CLOSED,
  MORROW_ERROR_FORKED,
  MORROW_ERROR_INTERRUPTED,
  MORROW_ERROR_GROUP,
  MORROW_ERROR_NO_STACK,
  MORROW_ERROR_NO_THREAD,
  MORROW_ERROR_INVALID_ARGUMENT,
  MORROW_ERROR_WRONG_TYPE
} MorrowError;

MORROW_API
GQuark    morrow_error_quark        (void);

MORROW_API
GPtrArray *morrow_error_get_children (const GError *error);

G_END_DECLS
