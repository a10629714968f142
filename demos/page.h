/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a person wants to know of a page. */
#pragma once

#include <glib.h>

/* The page's title where it has one, or else its content type; fit for a terminal: valid UTF-8, one line, no control character. */
char *page_describe (GBytes *body, const char *content_type);
