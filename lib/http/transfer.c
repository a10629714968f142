/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One transfer: how curl's handle is set up, what becomes of the bytes, and what is told of the
 * end.
 *
 * curl is kept to moving bytes. It follows no redirect, looks up no name, reads no proxy from the
 * environment, and sets no time limit on the whole: all that is ours, so that it can be cancelled
 * without waiting for curl, and is the same under every executor. */

#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <morrow/version.h>

#include "http/error-private.h"
#include "http/transfer-private.h"

/* Room for a record of TLS, 16 KiB, and for the headers in it, which are longer when curl has written
 * them out. An answer that has no room, and does not tell its length, some versions of curl (7.88 for
 * one) do not see the end of before something else comes by its connection. */
#define RECEIVE_BUFFER (32 * 1024L)

/* --- what comes in -------------------------------------------------------------------------- */

/* Ends the transfer: what a callback returns to say so. */
static size_t
refuse (MorrowTransfer *transfer, CURLcode why)
{
  transfer->refused = why;
  return 0;
}

/* By now curl knows what the connection speaks. */
static void
begin_response (MorrowEasy *self)
{
  long status = 0, version = 0;

  curl_easy_getinfo (self->curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo (self->curl, CURLINFO_HTTP_VERSION, &version);
  self->multiplexed = version >= CURL_HTTP_VERSION_2_0;
  morrow__response_begin (self->transfer->response, status);
}

/* Tells whoever moves curl that it has given something out. */
static void
say_gave (MorrowEasy *self)
{
  if (self->multiplexed)
    *self->gave = TRUE;
}

static size_t
on_header (char *line, size_t size, size_t n, void *data)
{
  MorrowEasy *self = data;
  MorrowTransfer *transfer = self->transfer;
  size_t len = size * n;

  transfer->header_len += len;
  if (transfer->header_len > transfer->options->max_header)
    return refuse (transfer, CURLE_WEIRD_SERVER_REPLY);

  if (len > 5 && memcmp (line, "HTTP/", 5) == 0)
    begin_response (self);
  else
    morrow__response_add_line (transfer->response, line, len);
  say_gave (self);
  return len;
}

/* The first bytes of the body: by now its length is known, when the server tells it. */
static gboolean
begin_body (MorrowEasy *self, MorrowTransfer *transfer, size_t len)
{
  curl_off_t expected = -1;

  curl_easy_getinfo (self->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &expected);
  if (expected > 0 && (guint64) expected > transfer->options->max_body)
    return FALSE;

  if (expected > 0)
    morrow__response_expect_body (transfer->response, MAX ((gsize) expected, len));
  return TRUE;
}

static size_t
on_body (char *bytes, size_t size, size_t n, void *data)
{
  MorrowEasy *self = data;
  MorrowTransfer *transfer = self->transfer;
  MorrowHttpResponse *response = transfer->response;
  size_t len = size * n;

  if (response->buffer == NULL && !begin_body (self, transfer, len))
    return refuse (transfer, CURLE_FILESIZE_EXCEEDED);
  if (transfer->options->max_body - response->buffer_len < len)
    return refuse (transfer, CURLE_FILESIZE_EXCEEDED);

  morrow__response_append_body (response, bytes, len);
  say_gave (self);
  return len;
}

/* --- sockets and names ---------------------------------------------------------------------- */

curl_socket_t
morrow__easy_open_socket (MorrowEasy *self, const struct curl_sockaddr *address)
{
  int fd = socket (address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

  if (self->transfer != NULL)
    self->transfer->socket_errno = fd < 0 ? errno : 0;
  return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static curl_socket_t
on_open_socket (void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
  return morrow__easy_open_socket (data, address);
}

/* curl asks before it looks up a name. It has been told the addresses of every host but those
 * that are addresses: it never may. */
static int
on_resolve (void *state, void *reserved, void *data)
{
  MorrowEasy *self = data;

  return self->transfer == NULL || self->transfer->resolve != NULL;
}

/* --- setting up ----------------------------------------------------------------------------- */

static void
restrict_protocols (CURL *curl)
{
  curl_easy_setopt (curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt (curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt (curl, CURLOPT_PROXY, "");
  curl_easy_setopt (curl, CURLOPT_NOPROXY, "*");   /* or it would ask the environment each time */
  curl_easy_setopt (curl, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
}

/* What is the same for all transfers. */
void
morrow__easy_init (MorrowEasy *self)
{
  CURL *curl = curl_easy_init ();

  if (curl == NULL)
    g_error ("libcurl has no memory for a handle");

  *self = (MorrowEasy) { .curl = curl };
  restrict_protocols (curl);
  curl_easy_setopt (curl, CURLOPT_PRIVATE, self);
  curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (curl, CURLOPT_ERRORBUFFER, self->message);
  curl_easy_setopt (curl, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
  curl_easy_setopt (curl, CURLOPT_USERAGENT, "morrow/" MORROW_VERSION_STRING);
  curl_easy_setopt (curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt (curl, CURLOPT_HEADERDATA, self);
  curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt (curl, CURLOPT_WRITEDATA, self);
  curl_easy_setopt (curl, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
  curl_easy_setopt (curl, CURLOPT_OPENSOCKETDATA, self);
  curl_easy_setopt (curl, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
  curl_easy_setopt (curl, CURLOPT_RESOLVER_START_DATA, self);
}

void
morrow__easy_clear (MorrowEasy *self)
{
  curl_easy_cleanup (g_steal_pointer (&self->curl));
  g_clear_pointer (&self->applied, morrow_http_options_unref);
}

/* A handle is made with the system's certificates; to go back to them one has to know them. */
static void
apply_trust_store (CURL *curl, const char *ca_file)
{
  const char *file = NULL, *directory = NULL;

  if (ca_file == NULL)
    {
      curl_easy_getinfo (curl, CURLINFO_CAINFO, &file);
      curl_easy_getinfo (curl, CURLINFO_CAPATH, &directory);
    }
  curl_easy_setopt (curl, CURLOPT_CAINFO, ca_file != NULL ? ca_file : file);
  curl_easy_setopt (curl, CURLOPT_CAPATH, directory);
}

/* In milliseconds; 0 would be curl's own five minutes. */
static long
connect_timeout (const MorrowHttpOptions *options)
{
  return options->connect_timeout > 0 ? CLAMP (options->connect_timeout * 1000, 1, G_MAXINT) : 0;
}

/* Most transfers follow one with the same options. */
static void
apply_options (MorrowEasy *self, const MorrowHttpOptions *options, gboolean trusted)
{
  if (self->applied == options && self->applied_trust == trusted)
    return;

  curl_easy_setopt (self->curl, CURLOPT_HTTPHEADER,
                    trusted ? options->headers : options->public_headers);
  curl_easy_setopt (self->curl, CURLOPT_CONNECTTIMEOUT_MS, connect_timeout (options));
  curl_easy_setopt (self->curl, CURLOPT_PIPEWAIT, (long) options->pipe_wait);
  apply_trust_store (self->curl, options->ca_file);

  g_clear_pointer (&self->applied, morrow_http_options_unref);
  self->applied = morrow_http_options_ref ((MorrowHttpOptions *) options);
  self->applied_trust = trusted;
}

static void
apply_addresses (MorrowEasy *self, const char *resolve)
{
  if (resolve == NULL && self->resolve.data == NULL)
    return;

  self->resolve.data = (char *) resolve;
  curl_easy_setopt (self->curl, CURLOPT_RESOLVE, resolve != NULL ? &self->resolve : NULL);
}

void
morrow__easy_begin (MorrowEasy *self, MorrowTransfer *transfer, gboolean fresh)
{
  transfer->start = g_get_monotonic_time ();
  transfer->easy = self;
  self->transfer = transfer;
  self->message[0] = '\0';
  apply_options (self, transfer->options, transfer->trusted);
  apply_addresses (self, transfer->resolve);
  curl_easy_setopt (self->curl, CURLOPT_URL, transfer->url);
  fresh = fresh || transfer->options->fresh;
  if (self->fresh != fresh)
    {
      curl_easy_setopt (self->curl, CURLOPT_FRESH_CONNECT, (long) fresh);
      self->fresh = fresh;
    }
}

/* --- the end -------------------------------------------------------------------------------- */

static gdouble
stage (MorrowEasy *self, CURLINFO info, gdouble offset, gdouble at_least)
{
  curl_off_t microseconds = 0;

  curl_easy_getinfo (self->curl, info, &microseconds);
  return MAX (offset + microseconds / 1e6, at_least);
}

/* curl counts from the start of the transfer, we from the start of the request. */
static void
take_timings (MorrowEasy *self, MorrowTransfer *transfer)
{
  MorrowHttpTimings *timings = &transfer->response->timings;
  gdouble offset = (transfer->start - timings->start) / 1e6;

  timings->connect = stage (self, CURLINFO_CONNECT_TIME_T, offset, timings->name_lookup);
  timings->tls = stage (self, CURLINFO_APPCONNECT_TIME_T, offset, timings->connect);
  timings->first_byte = stage (self, CURLINFO_STARTTRANSFER_TIME_T, offset, timings->tls);
  timings->total = stage (self, CURLINFO_TOTAL_TIME_T, offset, timings->first_byte);
}

static void
take_connection (MorrowEasy *self, MorrowTransfer *transfer)
{
  long n_connections = 0;

  curl_easy_getinfo (self->curl, CURLINFO_NUM_CONNECTS, &n_connections);
  transfer->response->n_connections += n_connections;
}

/* curl's word for a line that it has no room for is that there is no memory. */
static gboolean
is_header_too_long (MorrowEasy *self, MorrowTransfer *transfer, CURLcode code)
{
  if (strcmp (self->message, "Too large response headers") == 0)
    return TRUE;
  return code == CURLE_OUT_OF_MEMORY && transfer->header_len > 0 && transfer->response->buffer == NULL;
}

static GError *
make_error (MorrowEasy *self, MorrowTransfer *transfer, CURLcode code)
{
  const MorrowHttpOptions *options = transfer->options;

  if (transfer->refused == CURLE_FILESIZE_EXCEEDED)
    return morrow__http_error_new (transfer->refused, "The body is longer than %zu bytes",
                                   options->max_body);
  if (transfer->refused != CURLE_OK)
    return morrow__http_error_new (transfer->refused, "The headers are longer than %zu bytes",
                                   options->max_header);
  if (is_header_too_long (self, transfer, code))
    return morrow__http_error_new (CURLE_WEIRD_SERVER_REPLY,
                                   "A header is longer than libcurl allows");
  if (code == CURLE_COULDNT_CONNECT && transfer->socket_errno != 0)
    return morrow__http_error_new (code, "No socket: %s", g_strerror (transfer->socket_errno));
  return morrow__http_error_new (code, "%s", self->message[0] != '\0' ? self->message
                                                                     : "libcurl gives no reason");
}

static void
detach (MorrowEasy *self)
{
  self->transfer->easy = NULL;
  self->transfer = NULL;
}

/* curl has ended the transfer. */
void
morrow__easy_end (MorrowEasy *self, CURLcode code)
{
  MorrowTransfer *transfer = self->transfer;

  take_connection (self, transfer);
  if (code != CURLE_OK)
    {
      transfer->error = make_error (self, transfer, code);
    }
  else
    {
      take_timings (self, transfer);
      morrow__response_end (transfer->response);
    }
  detach (self);
}

/* Its deadline has come. */
void
morrow__easy_time_out (MorrowEasy *self)
{
  MorrowTransfer *transfer = self->transfer;
  gsize received = transfer->header_len + transfer->response->buffer_len;
  g_autofree char *doing = g_strdup_printf ("with %zu bytes received", received);

  transfer->error = morrow__http_error_timed_out (transfer->options->timeout, doing);
  detach (self);
}

/* Whoever wanted it is gone. */
void
morrow__easy_abandon (MorrowEasy *self)
{
  detach (self);
}
