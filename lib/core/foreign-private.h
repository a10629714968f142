/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The executor of callbacks that were attached on a thread that runs none of ours. */

#pragma once

#include "core/executor-private.h"

MorrowExecutor *morrow__foreign_new_held (void);
