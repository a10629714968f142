/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A response while it comes in. */

#pragma once

#include <morrow/http.h>

/* Written by the request's transfer until it is given to the caller; immutable, and read by any
 * thread, from then on. */
struct _MorrowHttpResponse
{
  gatomicrefcount   ref_count;     /* any thread */

  char             *uri;           /* owned */
  guint             status;
  guint             n_headers;
  GString          *headers;       /* owned: name, NUL, value, NUL, and so on */
  GBytes           *body;          /* owned; NULL while it comes in */
  guint8           *buffer;        /* owned: the body while it comes in */
  gsize             buffer_len;
  gsize             buffer_size;
  MorrowHttpTimings timings;
  guint             n_redirects;
  guint             n_connections;
};

MorrowHttpResponse *morrow__response_new (void);

void morrow__response_begin       (MorrowHttpResponse *self, guint status);
void morrow__response_add_line    (MorrowHttpResponse *self, const char *line, gsize len);
void morrow__response_expect_body (MorrowHttpResponse *self, gsize len);
void morrow__response_append_body (MorrowHttpResponse *self, const void *data, gsize len);
void morrow__response_end         (MorrowHttpResponse *self);
