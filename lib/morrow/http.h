/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HTTP, under every executor: one call gives a future of a response. In a library of its own,
 * libmorrow-curl, so that the core does not need libcurl; so it is not a part of
 * <morrow/morrow.h>. */

#pragma once

#include <morrow/types.h>

G_BEGIN_DECLS

typedef struct _MorrowHttpOptions  MorrowHttpOptions;
typedef struct _MorrowHttpResponse MorrowHttpResponse;

/**
 * MorrowHttpTimings:
 * @start: when the request began, in microseconds of the monotonic clock
 * @queued: when it had a place among the connections to its host; all of these are in seconds
 * after @start
 * @name_lookup: when the host's address was known
 * @connect: when the connection was made, or an open one found
 * @tls: when TLS was agreed upon; as @connect when there is none
 * @first_byte: when the response began
 * @total: when the response was complete
 *
 * When a request reached each of its stages. They only grow; with redirects they are those of the
 * last request of the chain.
 */
typedef struct
{
  gint64  start;
  gdouble queued;
  gdouble name_lookup;
  gdouble connect;
  gdouble tls;
  gdouble first_byte;
  gdouble total;
} MorrowHttpTimings;

/* A request: lazy, as a coroutine is. The options are borrowed; NULL means the defaults. */
MORROW_API
MorrowFuture       *morrow_http_get                         (const gchar        *uri,
                                                             MorrowHttpOptions  *options)
                                                            G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowFuture       *morrow_http_get_at                      (const gchar        *uri,
                                                             MorrowHttpOptions  *options,
                                                             const MorrowSite   *site)
                                                            G_GNUC_WARN_UNUSED_RESULT;
#define morrow_http_get(uri, options) (morrow_http_get_at ((uri), (options), MORROW_SITE ("morrow_http_get")))

/* How to make requests. Not changed any more once a request has been made with them. */
#define MORROW_TYPE_HTTP_OPTIONS (morrow_http_options_get_type ())
MORROW_API
GType               morrow_http_options_get_type            (void) G_GNUC_CONST;
MORROW_API
MorrowHttpOptions  *morrow_http_options_new                 (void) G_GNUC_WARN_UNUSED_RESULT;
MORROW_API
MorrowHttpOptions  *morrow_http_options_ref                 (MorrowHttpOptions  *self);
MORROW_API
void                morrow_http_options_unref               (MorrowHttpOptions  *self);
MORROW_API
void                morrow_http_options_set_timeout         (MorrowHttpOptions  *self,
                                                             gdouble             seconds);
MORROW_API
void                morrow_http_options_set_connect_timeout (MorrowHttpOptions  *self,
                                                             gdouble             seconds);
MORROW_API
void                morrow_http_options_set_max_redirects   (MorrowHttpOptions  *self,
                                                             guint               n);
MORROW_API
void                morrow_http_options_set_max_header_size (MorrowHttpOptions  *self,
                                                             gsize               n_bytes);
MORROW_API
void                morrow_http_options_set_max_body_size   (MorrowHttpOptions  *self,
                                                             gsize               n_bytes);
MORROW_API
void                morrow_http_options_set_max_connections (MorrowHttpOptions  *self,
                                                             guint               n);
MORROW_API
void                morrow_http_options_set_fresh_connection (MorrowHttpOptions *self,
                                                             gboolean            fresh);
MORROW_API
void                morrow_http_options_set_pipe_wait       (MorrowHttpOptions  *self,
                                                             gboolean            wait);
MORROW_API
void                morrow_http_options_set_ca_file         (MorrowHttpOptions  *self,
                                                             const gchar        *path);
MORROW_API
void                morrow_http_options_add_header          (MorrowHttpOptions  *self,
                                                             const gchar        *name,
                                                             const gchar        *value);

/* A response, immutable. What is got is borrowed, and stays as long as the response does. */
#define MORROW_TYPE_HTTP_RESPONSE (morrow_http_response_get_type ())
MORROW_API
GType               morrow_http_response_get_type           (void) G_GNUC_CONST;
MORROW_API
MorrowHttpResponse *morrow_http_response_ref                (MorrowHttpResponse *self);
MORROW_API
void                morrow_http_response_unref              (MorrowHttpResponse *self);
MORROW_API
guint               morrow_http_response_get_status         (MorrowHttpResponse *self);
MORROW_API
const gchar        *morrow_http_response_get_uri            (MorrowHttpResponse *self);
MORROW_API
const gchar        *morrow_http_response_get_header         (MorrowHttpResponse *self,
                                                             const gchar        *name);
MORROW_API
guint               morrow_http_response_get_n_headers      (MorrowHttpResponse *self);
MORROW_API
gboolean            morrow_http_response_get_nth_header     (MorrowHttpResponse *self,
                                                             guint               i,
                                                             const gchar       **name,
                                                             const gchar       **value);
MORROW_API
GBytes             *morrow_http_response_get_body           (MorrowHttpResponse *self);
MORROW_API
const MorrowHttpTimings *
                    morrow_http_response_get_timings        (MorrowHttpResponse *self);
MORROW_API
guint               morrow_http_response_get_n_redirects    (MorrowHttpResponse *self);
MORROW_API
guint               morrow_http_response_get_n_connections  (MorrowHttpResponse *self);

/**
 * MORROW_CURL_ERROR:
 *
 * The error domain of failed requests; its codes are libcurl's, CURLcode. A request that ran out
 * of time fails with %G_IO_ERROR_TIMED_OUT and a cancelled one with %G_IO_ERROR_CANCELLED, as
 * everywhere; morrow_curl_error_get_code () knows these too.
 */
#define MORROW_CURL_ERROR (morrow_curl_error_quark ())

MORROW_API
GQuark              morrow_curl_error_quark                 (void);
MORROW_API
gint                morrow_curl_error_get_code              (const GError       *error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MorrowHttpOptions, morrow_http_options_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (MorrowHttpResponse, morrow_http_response_unref)

G_END_DECLS
