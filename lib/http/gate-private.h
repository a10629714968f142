/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits how many requests are under way to one host. */

#pragma once

#include <glib.h>

gboolean morrow__gate_enter      (const char *origin, guint limit, GError **error);
void     morrow__gate_leave      (const char *origin);
void     morrow__gate_forget_all (void);
