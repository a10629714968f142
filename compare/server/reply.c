/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bodies of /delay, /chunked, /drop and their like are the letters a to z over and over, so that a
 * client can check that nothing was lost or moved.
 */

#include "server/reply.h"

#include "server/server.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define BLOCK_SIZE (64 * 1024)
#define MAX_HEADER (1024 * 1024)
#define RAW_TIMEOUT_MS 1000
#define DROP_ANNOUNCED 1024
#define DROP_SENT 512
#define ALPHABET_LENGTH 26

/* Queues response and lets go of it. */
static enum MHD_Result
queue (Request *request, guint status, struct MHD_Response *response)
{
  enum MHD_Result result = MHD_queue_response (request->connection, status, response);

  MHD_destroy_response (response);
  return result;
}

static struct MHD_Response *
response_from_text (const char *text, const char *content_type)
{
  struct MHD_Response *response
    = MHD_create_response_from_buffer (strlen (text), (void *) text, MHD_RESPMEM_MUST_COPY);

  MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
  return response;
}

static enum MHD_Result
reply_text (Request *request, guint status, const char *text)
{
  return queue (request, status, response_from_text (text, "text/plain"));
}

static enum MHD_Result
reply_location (Request *request, const char *location)
{
  struct MHD_Response *response = response_from_text ("", "text/plain");

  if (MHD_add_response_header (response, MHD_HTTP_HEADER_LOCATION, location) == MHD_NO)
    {
      MHD_destroy_response (response);
      return reply_bad_request (request);
    }
  return queue (request, MHD_HTTP_FOUND, response);
}

static void
fill_letters (char *buffer, guint64 position, gsize length)
{
  for (gsize i = 0; i < length; i++)
    buffer[i] = 'a' + (position + i) % ALPHABET_LENGTH;
}

/* Bodies ---------------------------------------------------------------------------------------- */

static ssize_t
read_letters (void *data, uint64_t position, char *buffer, size_t max)
{
  fill_letters (buffer, position, max);
  return max;
}

/* Small bodies all lie in one block that is never freed; longer ones are made as they are sent. */
static struct MHD_Response *
response_from_letters (guint64 length)
{
  static char *block;

  if (length > BLOCK_SIZE)
    return MHD_create_response_from_callback (length, BLOCK_SIZE, read_letters, NULL, NULL);

  if (block == NULL)
    {
      block = g_malloc (BLOCK_SIZE);
      fill_letters (block, 0, BLOCK_SIZE);
    }
  return MHD_create_response_from_buffer (length, block, MHD_RESPMEM_PERSISTENT);
}

/* /delay/MS/BYTES, once the delay is over. */
enum MHD_Result
reply_bytes (Request *request)
{
  struct MHD_Response *response = response_from_letters ((guint64) request->numbers[1]);

  MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
  return queue (request, MHD_HTTP_OK, response);
}

/* /lognormal/...: says what its delay was; numbers[0] has become that. */
enum MHD_Result
reply_lognormal (Request *request)
{
  struct MHD_Response *response = response_from_letters ((guint64) request->numbers[3]);
  char delay[G_ASCII_DTOSTR_BUF_SIZE];

  g_ascii_formatd (delay, sizeof delay, "%.3f", request->numbers[0]);
  MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
  MHD_add_response_header (response, "X-Delay-Ms", delay);
  return queue (request, MHD_HTTP_OK, response);
}

/* The first half at once; then nothing for MS; then the rest. */
static ssize_t
read_chunks (void *data, uint64_t position, char *buffer, size_t max)
{
  Request *request = data;
  guint64 length = (guint64) request->numbers[1];
  guint64 half = (length + 1) / 2;
  guint64 end = request->body_waited ? length : half;

  if (request->gone)
    return MHD_CONTENT_READER_END_WITH_ERROR;

  if (position >= half && !request->body_waited)
    {
      request->body_waited = TRUE;
      server_suspend (request->server, request,
                      g_get_monotonic_time () + (gint64) (request->numbers[0] * 1000));
      return 0;
    }

  if (position >= length)
    return MHD_CONTENT_READER_END_OF_STREAM;

  max = MIN (max, end - position);
  fill_letters (buffer, position, max);
  return max;
}

/* /chunked/MS/BYTES */
enum MHD_Result
reply_chunked (Request *request)
{
  struct MHD_Response *response
    = MHD_create_response_from_callback (MHD_SIZE_UNKNOWN, BLOCK_SIZE, read_chunks, request, NULL);

  MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
  return queue (request, MHD_HTTP_OK, response);
}

static ssize_t
read_then_drop (void *data, uint64_t position, char *buffer, size_t max)
{
  if (position >= DROP_SENT)
    return MHD_CONTENT_READER_END_WITH_ERROR;

  max = MIN (max, DROP_SENT - position);
  fill_letters (buffer, position, max);
  return max;
}

/* /drop: closes the connection with half of the announced body sent. */
enum MHD_Result
reply_drop (Request *request)
{
  return queue (request, MHD_HTTP_OK,
                MHD_create_response_from_callback (DROP_ANNOUNCED, DROP_ANNOUNCED, read_then_drop,
                                                   NULL, NULL));
}

/* /close: not a byte; and /hang, when the client has given up. */
enum MHD_Result
reply_close (Request *request)
{
  return MHD_NO;
}

/* Pages ----------------------------------------------------------------------------------------- */

static const char *const site_titles[N_SITES] = {
  "The Morning Post", "Harbour Weather",  "A Field Guide to Moss", "Tram Times", "The Slow Kitchen",
  "Chess by Letter",  "Night Sky Almanac", "Bread & Salt",         "Old Maps",   "Tomorrow's News",
};

/* Title as HTML text. */
static char *
make_page (guint number, const char *title)
{
  g_autofree char *text = g_markup_escape_text (title, -1);

  return g_strdup_printf ("<!DOCTYPE html>\n"
                          "<html lang=\"en\">\n"
                          "<head><meta charset=\"utf-8\"><title>%s</title></head>\n"
                          "<body><h1>%s</h1><p>Page %u of %d, after %u ms.</p></body>\n"
                          "</html>\n",
                          text, text, number, N_SITES, 100 * number);
}

/* /site/1 ... /site/10 */
enum MHD_Result
reply_site (Request *request)
{
  double number = request->numbers[0];
  g_autofree char *page = NULL;

  if (number < 1 || number > N_SITES)
    return reply_not_found (request);

  page = make_page ((guint) number, site_titles[(guint) number - 1]);
  return queue (request, MHD_HTTP_OK, response_from_text (page, "text/html; charset=utf-8"));
}

/* Statuses and headers -------------------------------------------------------------------------- */

/* /status/CODE */
enum MHD_Result
reply_status (Request *request)
{
  double code = request->numbers[0];
  gboolean has_body = code != MHD_HTTP_NO_CONTENT && code != MHD_HTTP_NOT_MODIFIED;

  if (code < 200 || code > 599)
    return reply_bad_request (request);

  return reply_text (request, (guint) code,
                     has_body ? MHD_get_reason_phrase_for ((guint) code) : "");
}

/* /redirect/N: N hops, then 200. */
enum MHD_Result
reply_redirect (Request *request)
{
  g_autofree char *location = NULL;

  if (request->numbers[0] < 1)
    return reply_text (request, MHD_HTTP_OK, "arrived\n");

  location = g_strdup_printf ("/redirect/%.0f", request->numbers[0] - 1);
  return reply_location (request, location);
}

enum MHD_Result
reply_redirect_loop (Request *request)
{
  return reply_location (request, "/redirect-loop");
}

/* /redirect-to?url=URL, whatever the URL. */
enum MHD_Result
reply_redirect_to (Request *request)
{
  const char *url
    = MHD_lookup_connection_value (request->connection, MHD_GET_ARGUMENT_KIND, "url");

  return url != NULL ? reply_location (request, url) : reply_bad_request (request);
}

/* Sends all of text past libmicrohttpd, which has nothing under way on this connection. */
static void
send_raw (struct MHD_Connection *connection, const char *text, gsize length)
{
  int fd = MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
  struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

  while (length > 0 && poll (&poll_fd, 1, RAW_TIMEOUT_MS) == 1)
    {
      ssize_t n = send (fd, text, length, MSG_NOSIGNAL);

      if (n < 0)
        return;
      text += n;
      length -= n;
    }
}

/*
 * /headers/BYTES: a header whose value is so long.  libmicrohttpd would want room for it in the
 * memory of every connection, so this one answer is sent by hand, and the connection closed.  A
 * client that does not read it holds up the whole server, but not for long.
 */
enum MHD_Result
reply_headers (Request *request)
{
  gsize length = (gsize) request->numbers[0];
  GString *answer;

  if (length > MAX_HEADER
      || MHD_get_connection_info (request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION) != NULL)
    return reply_bad_request (request);

  answer = g_string_new ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\nX-Long: ");
  for (gsize i = 0; i < length; i++)
    g_string_append_c (answer, 'x');
  g_string_append (answer, "\r\n\r\nlong\n");
  send_raw (request->connection, answer->str, answer->len);
  g_string_free (answer, TRUE);
  return MHD_NO;
}

/* /stats: counts this very request too. */
enum MHD_Result
reply_stats (Request *request)
{
  const ServerStats *stats = server_get_stats (request->server);
  g_autofree char *json
    = g_strdup_printf ("{\"requests\": %" G_GUINT64_FORMAT ", \"connections\": %" G_GUINT64_FORMAT
                       ", \"open\": %" G_GUINT64_FORMAT ", \"waiting\": %" G_GUINT64_FORMAT "}\n",
                       stats->requests, stats->connections, stats->open, stats->waiting);

  return queue (request, MHD_HTTP_OK, response_from_text (json, "application/json"));
}

enum MHD_Result
reply_not_found (Request *request)
{
  return reply_text (request, MHD_HTTP_NOT_FOUND, "No such page\n");
}

enum MHD_Result
reply_bad_request (Request *request)
{
  return reply_text (request, MHD_HTTP_BAD_REQUEST, "A number is missing or out of range\n");
}
