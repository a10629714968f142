/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is once in a process: libcurl itself, SIGPIPE, and how often the process has forked.
 */

#pragma once

#include <glib.h>

void  morrow__http_init       (void);
guint morrow__http_generation (void);
