/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file that --json writes. */
#pragma once

#include "plan.h"
#include "summary.h"

/* summaries: of Summary; arguments: the command line, ends with NULL. */
gboolean report_write (const char *path, const Plan *plan, GPtrArray *summaries,
                       GStrv arguments, GError **error);
