/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table and the waterfall as a picture that any browser shows. */
#pragma once

#include "plan.h"
#include "summary.h"

gboolean svg_write (const char *path, const Plan *plan, GPtrArray *summaries, GError **error);
