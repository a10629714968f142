/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table: a line for each model. */
#pragma once

#include "summary.h"
#include "terminal.h"

/* Columns that matter less are left out where the width is too small for all; 0 stands for a pipe,
 * where all fit but the models' titles, whose blanks would be in the way of other tools. */
void table_append (const Terminal *terminal, GString *out, GPtrArray *summaries, int width);
