/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text from elsewhere, made fit to be shown. */

#pragma once

#include <glib.h>

char *morrow__show_text        (const char *text);
char *morrow__show_url         (const char *url);
char *morrow__url_without_user (const char *url);
