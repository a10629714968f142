/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The answers: each queues one on the request's connection, from the numbers in its path.
 */
#pragma once

#include "server/request.h"

#define N_SITES 10

enum MHD_Result reply_bytes         (Request *request);
enum MHD_Result reply_lognormal     (Request *request);
enum MHD_Result reply_site          (Request *request);
enum MHD_Result reply_chunked       (Request *request);
enum MHD_Result reply_status        (Request *request);
enum MHD_Result reply_redirect      (Request *request);
enum MHD_Result reply_redirect_loop (Request *request);
enum MHD_Result reply_redirect_to   (Request *request);
enum MHD_Result reply_headers       (Request *request);
enum MHD_Result reply_drop          (Request *request);
enum MHD_Result reply_close         (Request *request);
enum MHD_Result reply_stats         (Request *request);
enum MHD_Result reply_not_found     (Request *request);
enum MHD_Result reply_bad_request   (Request *request);
