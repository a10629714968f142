/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Standard input, output and error. */
#pragma once

/* Opens /dev/null on those of them that are closed. */
void standard_open (void);
