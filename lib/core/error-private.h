/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a group of errors. */

#pragma once

#include <morrow/error.h>

GError *morrow__error_new_group (GPtrArray *children, const char *what);
