/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many files a process may have open. */
#pragma once

#include <glib.h>

/* Raises the limit as far as it goes.  Where so many connections at once are too many for it, the warning to print; else NULL. */
char *files_make_room (guint n_connections);
