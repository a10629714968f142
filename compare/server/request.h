/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One request, from its headers to the end of its answer.  Everything here belongs to the server's
 * one thread.
 */
#pragma once

#include "server/waits.h"

#include <glib.h>
#include <microhttpd.h>

typedef struct _Request Request;
typedef struct _Server Server;

/* Queues the answer; MHD_NO closes the connection without one. */
typedef enum MHD_Result (*Answer) (Request *request);

#define REQUEST_MAX_NUMBERS 4

struct _Request
{
  Server                *server;
  struct MHD_Connection *connection;
  char                  *path;       /* Owned. */
  gint64                 began;      /* When its headers had been read. */

  /* Set by route_request (): what to do, when, and with which numbers from the path. */
  Answer                 answer;
  gint64                 delay;      /* Microseconds before the answer; G_MAXINT64: for ever. */
  double                 numbers[REQUEST_MAX_NUMBERS];

  Wait                   wait;       /* In the server's waits while the connection is suspended. */
  gboolean               watched;    /* The poll set tells when the client hangs up. */
  gboolean               gone;       /* The client has hung up. */
  gboolean               body_waited; /* The pause inside a chunked body is over. */
};
