/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors, in a task: the system's calls, which park the task instead of failing with EAGAIN.
 *
 * Each call that may wait has a deadline, in microseconds of the monotonic clock (g_get_monotonic_time ()), %G_MAXINT64 for none. It is a
 * suspension point when it waits, and when it is the others' turn, as on a loop after each fourth call that need not wait: there a cancel
 * of the task comes out as %G_IO_ERROR_CANCELLED. A deadline that passes while it waits comes out as %G_IO_ERROR_TIMED_OUT, unless what
 * it waits for has come by then all the same.
 *
 * One task may read and one may write at the same time, when both are on one loop, or both on threads: the tasks of a MorrowLoopPool may
 * be on several loops. Who would have to wait where another already uses the descriptor elsewhere gets %G_IO_ERROR_PENDING, as does a
 * second of a kind.
 *
 * A descriptor is made non-blocking once, when it is given to morrow_fd_new (). Somebody who has the same open file, by a dup () or in
 * another process, can undo that; then accept, connect, and reading and writing of what is no socket, block the thread, with
 * all that runs on it. Calls on sockets that are connected do not. */

#pragma once

#include <sys/socket.h>

#include <morrow/types.h>

G_BEGIN_DECLS

#define MORROW_TYPE_FD (morrow_fd_get_type ())

MORROW_API
GType         morrow_fd_get_type (void) G_GNUC_CONST;

/* Takes the descriptor. */
MORROW_API
MorrowFd     *morrow_fd_new      (int fd) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFd     *morrow_fd_ref      (MorrowFd *self);
MORROW_API
void          morrow_fd_unref    (MorrowFd *self);
MORROW_API
int           morrow_fd_get_fd   (MorrowFd *self);

/* From any thread: whoever waits is told by MORROW_ERROR_CLOSED. */
MORROW_API
void          morrow_fd_close    (MorrowFd *self);

/* As the system's calls of the same names: what they return, or -1 with the error. */
MORROW_API
int           morrow_fd_accept   (MorrowFd         *self,
                                  struct sockaddr  *address,
                                  socklen_t        *length,
                                  gint64            deadline,
                                  GError          **error) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
int           morrow_fd_connect  (MorrowFd               *self,
                                  const struct sockaddr  *address,
                                  socklen_t               length,
                                  gint64                  deadline,
                                  GError                **error) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
gssize        morrow_fd_recv     (MorrowFd  *self,
                                  gpointer   buffer,
                                  gsize      size,
                                  int        flags,
                                  gint64     deadline,
                                  GError   **error) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
gssize        morrow_fd_send     (MorrowFd       *self,
                                  gconstpointer   buffer,
                                  gsize           size,
                                  int             flags,
                                  gint64          deadline,
                                  GError        **error) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
gssize        morrow_fd_read     (MorrowFd  *self,
                                  gpointer   buffer,
                                  gsize      size,
                                  gint64     deadline,
                                  GError   **error) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
gssize        morrow_fd_write    (MorrowFd       *self,
                                  gconstpointer   buffer,
                                  gsize           size,
                                  gint64          deadline,
                                  GError        **error) G_GNUC_WARN_UNUSED_RESULT;

/* For calls that are not here. */
MORROW_API
MorrowFuture *morrow_fd_ready    (MorrowFd *self, GIOCondition condition) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MorrowFd, morrow_fd_unref)

G_END_DECLS
