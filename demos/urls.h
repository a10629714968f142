/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of URLs. */
#pragma once

#include <gio/gio.h>

/* One URL a line; empty lines and what follows a # at a line's start or after a blank are left out. */
GStrv urls_read_file (const char *path, GError **error);

/* The ten sites of a morrow-testserver, which answer after 0.1, 0.2 ... 1 second. */
GStrv urls_new_sites (const char *base);

/* As they are shown to people: without a user's name and password. */
GStrv urls_show      (const GStrv urls);
char *urls_show_one  (const char *url);
