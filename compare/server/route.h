/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each path means.
 */
#pragma once

#include "server/request.h"

void route_request (Request *request);
