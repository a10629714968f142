/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a request goes: a URL, and what of it the library needs to know. */

#pragma once

#include <curl/curl.h>
#include <glib.h>

/* The task that makes the request. All strings are owned, host and port by curl's allocator. */
typedef struct
{
  CURLU   *url;
  char    *text;         /* the whole URL, for curl */
  char    *public_text;  /* without a user's name and password; NULL when it has neither */
  char    *host;         /* in the form in which names are looked up */
  char    *port;
  char    *origin;       /* scheme, host and port */
  gboolean is_numeric;   /* the host is an address */
} MorrowAddress;

gboolean    morrow__address_parse      (MorrowAddress *self, const char *uri, GError **error);
gboolean    morrow__address_follow     (MorrowAddress *self, const char *location, GError **error);
const char *morrow__address_get_public (MorrowAddress *self);
void        morrow__address_clear      (MorrowAddress *self);
