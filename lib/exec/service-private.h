/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop behind the executors that have none. */

#pragma once

#include "exec/loop-private.h"

MorrowLoop *morrow__service_loop (GError **error);
