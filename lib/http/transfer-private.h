/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One transfer: one request to one host, and its response. What it is stands here; it is moved by
 * a loop's engine (engine.c) or by the thread that waits for it (blocking.c). */

#pragma once

#include "http/options-private.h"
#include "http/response-private.h"

typedef struct _MorrowEasy     MorrowEasy;
typedef struct _MorrowTransfer MorrowTransfer;

/* On the stack of whoever makes the request, who waits until the transfer has ended. One thread. */
struct _MorrowTransfer
{
  /* Set before it starts; borrowed. */
  const char              *url;
  const char              *origin;         /* scheme, host and port */
  const char              *resolve;        /* the host's addresses, for curl; NULL when it is one */
  const MorrowHttpOptions *options;
  gboolean                 trusted;        /* the host may see all of the headers */
  gint64                   deadline;       /* of the monotonic clock; G_MAXINT64 for none */
  MorrowHttpResponse      *response;       /* filled */

  /* While it runs. */
  MorrowEasy              *easy;           /* what moves it; NULL before and after */
  gint64                   start;
  gsize                    header_len;     /* bytes so far */
  CURLcode                 refused;        /* why a callback of ours has ended it; 0 */
  int                      socket_errno;   /* why there was no socket; 0 */

  /* The outcome. */
  GError                  *error;          /* owned; NULL when it succeeded */
};

/* A handle of curl's, and what of it we have set; used for one transfer after the other. One
 * thread. */
struct _MorrowEasy
{
  CURL              *curl;           /* owned */
  MorrowTransfer    *transfer;       /* the one that it is used for; NULL */
  MorrowHttpOptions *applied;        /* owned: the options that are set; NULL */
  gboolean           applied_trust;
  gboolean           fresh;          /* what is set of CURLOPT_FRESH_CONNECT */
  gboolean           multiplexed;    /* the last connection can carry several requests at a time */
  gboolean          *gave;           /* borrowed, its mover's: set when something has come out of curl
                                      * that came in by such a connection */
  struct curl_slist  resolve;        /* what CURLOPT_RESOLVE points to */
  char               message[CURL_ERROR_SIZE];
};

void          morrow__easy_init        (MorrowEasy *self);
void          morrow__easy_clear       (MorrowEasy *self);
void          morrow__easy_begin       (MorrowEasy *self, MorrowTransfer *transfer, gboolean fresh);
void          morrow__easy_end         (MorrowEasy *self, CURLcode code);
void          morrow__easy_time_out    (MorrowEasy *self);
void          morrow__easy_abandon     (MorrowEasy *self);
curl_socket_t morrow__easy_open_socket (MorrowEasy *self, const struct curl_sockaddr *address);
