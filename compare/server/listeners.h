/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The listening sockets: several on one port.
 *
 * The kernel cuts the queue of a listening socket to net.core.somaxconn, 4096 as a rule, and drops
 * what comes beyond; the client tries again a whole second later.  Ten thousand connects at once
 * would overflow one queue whenever the server is off the processor for a moment, so there are as
 * many sockets as LISTEN_TOTAL takes; the kernel spreads the connections over them.
 */
#pragma once

#include <glib.h>

#define LISTEN_TOTAL 32768

GArray *listeners_open  (guint16 port, guint16 *real_port, GError **error);
void    listeners_close (GArray *listeners);
