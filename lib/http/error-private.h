/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The errors of requests. They are made without the URL, which morrow__http_error_complete ()
 * puts in front, once, at the end. Whatever text they are made from, they are fit to be shown. */

#pragma once

#include <curl/curl.h>
#include <morrow/http.h>

GError *morrow__http_error_new       (CURLcode code, const char *detail, ...) G_GNUC_PRINTF (2, 3);
void    morrow__http_error_set       (GError **error, CURLcode code, const char *detail, ...)
                                     G_GNUC_PRINTF (3, 4);
GError *morrow__http_error_timed_out (double seconds, const char *doing);
void    morrow__http_error_complete  (GError **error, const char *url, const char *redirected_to);
