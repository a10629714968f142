/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server: listening sockets, libmicrohttpd, and the loop that polls for both.
 */
#pragma once

#include "server/request.h"

#include <glib.h>

typedef struct
{
  guint16     port;        /* 0: a free one. */
  const char *certificate; /* PEM; both or neither: TLS. */
  const char *key;
} ServerOptions;

typedef struct
{
  guint64 requests;
  guint64 connections;     /* Accepted since the start. */
  guint64 open;            /* Now. */
  guint64 waiting;         /* Requests whose answer is still to come. */
} ServerStats;

/* Called when the descriptor is readable; FALSE ends server_run (). */
typedef gboolean (*ServerWatch) (int fd, gpointer data);

Server            *server_new       (const ServerOptions *options, GError **error);
void               server_free      (Server *self);
guint16            server_get_port  (Server *self);
const ServerStats *server_get_stats (Server *self);
void               server_watch     (Server *self, int fd, ServerWatch watch, gpointer data);
void               server_run       (Server *self);
void               server_suspend   (Server *self, Request *request, gint64 deadline);
