/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transfers where a task that waits blocks its thread. */

#pragma once

#include "http/transfer-private.h"

gboolean morrow__blocking_run (MorrowTransfer *transfer, GError **error);
