/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starts morrow-testserver for a program that needs it, and ends it.
 *
 *   g_autoptr (MorrowTestServer) server = test_server_start (NULL, &error);
 *
 * Whoever starts a server owns it and must stop it; should the owner die first, the server ends by
 * itself.  A server may be handed from thread to thread, but is used by one at a time.  Nothing
 * here needs a main context or makes a thread.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

typedef struct _MorrowTestServer MorrowTestServer;

MorrowTestServer *test_server_start           (const char         *path,
                                               GError            **error) G_GNUC_WARN_UNUSED_RESULT;
MorrowTestServer *test_server_start_with_args (const char         *path,
                                               const char *const  *args,
                                               GError            **error) G_GNUC_WARN_UNUSED_RESULT;
const char       *test_server_get_url         (MorrowTestServer   *self);
pid_t             test_server_get_pid         (MorrowTestServer   *self);
void              test_server_kill            (MorrowTestServer   *self);
void              test_server_stop            (MorrowTestServer   *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MorrowTestServer, test_server_stop)

G_END_DECLS
