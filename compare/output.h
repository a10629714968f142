/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files that the comparison leaves. */
#pragma once

#include <gio/gio.h>

/* Whether a file could be written; one that is there stays as it is. */
gboolean output_check (const char *path, GError **error);
