/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The child's side of a measured run. */
#pragma once

#include "plan.h"

#define CHILD_COMMAND   "run-child"
#define CHILD_REPORT_FD 3

/* What the child is to do. */
char *child_order_to_json (const Plan *plan, const Model *model, gboolean progress);

/* The child's main (): reads its order, gathers, reports. */
int   child_main          (void);
