/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lane for blocking work. */

#pragma once

#include "core/executor-private.h"

void morrow__lane_join (MorrowExecutor *executor);
