/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a request is made with. */

#pragma once

#include <curl/curl.h>
#include <morrow/http.h>

/* Written by whoever made them until frozen; read-only, and read by any thread, from then on. */
struct _MorrowHttpOptions
{
  gatomicrefcount    ref_count;        /* any thread */
  gint               frozen;           /* any thread, atomically: a request is made with them */

  double             timeout;          /* seconds, queueing apart; 0 for ever */
  double             connect_timeout;  /* seconds for one connection; 0 for no limit of its own */
  guint              max_redirects;
  gsize              max_header;       /* bytes, of all headers of one response */
  gsize              max_body;         /* bytes */
  guint              max_connections;  /* to one host, in the whole process; 0 for no limit */
  gboolean           fresh;            /* no connection that another request has used */
  gboolean           pipe_wait;        /* wait for a connection that may come to be shared */
  char              *ca_file;          /* owned; NULL for the system's */
  struct curl_slist *headers;          /* owned, "Name: value" */
  struct curl_slist *public_headers;   /* owned: those of them that any host may see */
};

/* Borrowed, for those who gave none; frozen. */
MorrowHttpOptions *morrow__http_options_default (void);
void               morrow__http_options_freeze  (MorrowHttpOptions *self);
