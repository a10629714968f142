/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting test servers for tests.
 */
#pragma once

#include "loopback.h"
#include "server/launch.h"

static inline MorrowTestServer *
start_server_with (const char *option)
{
  const char *args[] = { option, NULL };
  g_autoptr (GError) error = NULL;
  MorrowTestServer *server = test_server_start_with_args (NULL, args, &error);

  if (server == NULL)
    ck_abort_msg ("%s", error->message);
  return server;
}

/*
 * One that is going to be killed. The port is the server's until its end, and nobody's from then on until
 * *ret_reserved is closed: whoever connects is refused.
 */
static inline MorrowTestServer *
start_doomed_server (int *ret_reserved)
{
  guint port;
  int reserved = reserve_port (&port);
  g_autofree char *option = g_strdup_printf ("--port=%u", port);

  *ret_reserved = reserved;
  return start_server_with (option);
}
