/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reports of fibers whose stack was too small. */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* On each thread that runs fibers, around the time that it does.  May be nested.  Another thread may end it. */
gpointer morrow__overflow_watch   (void);
void     morrow__overflow_unwatch (gpointer watch);

G_END_DECLS
