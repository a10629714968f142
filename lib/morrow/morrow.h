/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* morrow: asyncio for C, on a GLib main context. In reading order. */

#pragma once

#include <morrow/macros.h>
#include <morrow/version.h>
#include <morrow/types.h>
#include <morrow/error.h>
#include <morrow/task.h>
#include <morrow/run.h>
#include <morrow/value.h>
#include <morrow/combine.h>
#include <morrow/results.h>
#include <morrow/future.h>
#include <morrow/promise.h>
#include <morrow/awaitable.h>
#include <morrow/executor.h>
#include <morrow/reactor.h>
#include <morrow/io.h>
#include <morrow/inline.h>
