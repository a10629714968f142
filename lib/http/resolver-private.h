/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks up names on threads of its own. */

#pragma once

#include <glib.h>

/* Looks up @host, blocking. Returns addresses separated by commas, those of IPv6 in brackets; or
 * NULL and one of getaddrinfo ()'s EAI_ codes. */
typedef char *(*MorrowResolveFunc) (const char *host, int *ret_code);

char *morrow__resolve             (const char *host, gint64 deadline, GError **error);
void  morrow__resolver_set_func   (MorrowResolveFunc func);
void  morrow__resolver_forget_all (void);
