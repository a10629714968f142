/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A request, told once: a coroutine, straight down.
 *
 *   for each hop                                               cancelled here:
 *     wait for a place at the host's gate, if there is a limit   leaves the queue
 *     look up its name (resolver.c)                              lets the look-up end by itself
 *     one transfer: by the loop's engine, or by this thread      closes the connection
 *     is it a redirect? then the next hop
 *
 * Nothing here knows which executor it runs on but the one line that chooses who moves the
 * transfer. */

#include "config.h"

#include <string.h>

#include <morrow/morrow.h>

#include "http/address-private.h"
#include "http/blocking-private.h"
#include "http/engine-private.h"
#include "http/error-private.h"
#include "http/gate-private.h"
#include "http/process-private.h"
#include "http/resolver-private.h"
#include "http/show-private.h"

#define LONGEST_TIMEOUT 1e9   /* seconds: thirty years are for ever */

/* What the coroutine owns. */
typedef struct
{
  char              *uri;
  MorrowHttpOptions *options;
} Request;

/* While it runs, on the task's stack. */
typedef struct
{
  MorrowHttpOptions  *options;      /* borrowed */
  MorrowAddress       address;      /* of this hop */
  char               *origin;       /* owned: of the first hop, whose headers may be secrets */
  MorrowHttpResponse *response;     /* owned */
  gint64              deadline;     /* pushed back by the time spent in queues */
  guint               n_redirects;
  const char         *astray;       /* the response's: where it sent us, which is no place to go */
} Visit;

static void
request_free (gpointer data)
{
  Request *self = data;

  g_free (self->uri);
  morrow_http_options_unref (self->options);
  g_free (self);
}

/* --- a hop ---------------------------------------------------------------------------------- */

static gdouble
seconds_since (gint64 start)
{
  return (g_get_monotonic_time () - start) / (gdouble) G_USEC_PER_SEC;
}

/* Waiting for a place is not the server's fault, and is not counted. */
static gboolean
queue_up (Visit *self, GError **error)
{
  MorrowHttpTimings *timings = &self->response->timings;
  gint64 before;

  if (self->options->max_connections > 0)
    {
      before = g_get_monotonic_time ();
      if (!morrow__gate_enter (self->address.origin, self->options->max_connections, error))
        return FALSE;
      if (self->deadline != G_MAXINT64)
        self->deadline += g_get_monotonic_time () - before;
      timings->queued = seconds_since (timings->start);
    }
  return TRUE;
}

/* Gives what CURLOPT_RESOLVE wants, "+host:port:address,address"; nothing for a host that is an
 * address. */
static gboolean
look_up (Visit *self, char **ret_resolve, GError **error)
{
  MorrowHttpTimings *timings = &self->response->timings;
  g_autofree char *addresses = NULL;

  timings->name_lookup = timings->queued;
  if (self->address.is_numeric)
    return TRUE;

  addresses = morrow__resolve (self->address.host, self->deadline, error);
  if (addresses == NULL)
    return FALSE;

  *ret_resolve = g_strdup_printf ("+%s:%s:%s", self->address.host, self->address.port, addresses);
  timings->name_lookup = seconds_since (timings->start);
  return TRUE;
}

/* Loops move transfers beside each other; anywhere else a task blocks its thread. */
static gboolean
move (MorrowTransfer *transfer, GError **error)
{
  MorrowLoop *loop = morrow_loop_get_current ();
  MorrowEngine *engine;

  if (loop == NULL)
    return morrow__blocking_run (transfer, error);

  engine = morrow__engine_get (loop, error);
  return engine != NULL && morrow__engine_run (engine, transfer, error);
}

static gboolean
visit_host (Visit *self, GError **error)
{
  g_autofree char *resolve = NULL;
  MorrowTransfer transfer = {
    .url = self->address.text,
    .origin = self->address.origin,
    .options = self->options,
    .trusted = strcmp (self->origin, self->address.origin) == 0,
    .response = self->response,
  };

  if (!look_up (self, &resolve, error))
    return FALSE;

  transfer.resolve = resolve;
  transfer.deadline = self->deadline;
  if (!move (&transfer, error))
    {
      g_clear_error (&transfer.error);
      return FALSE;
    }
  if (transfer.error != NULL)
    g_propagate_error (error, transfer.error);
  return transfer.error == NULL;
}

static gboolean
do_hop (Visit *self, GError **error)
{
  gboolean ok;

  if (!queue_up (self, error))
    return FALSE;

  ok = visit_host (self, error);
  if (self->options->max_connections > 0)
    morrow__gate_leave (self->address.origin);
  return ok;
}

/* --- redirects ------------------------------------------------------------------------------ */

/* Where the response sends us; NULL when it is the one that was wanted. */
static const char *
get_redirect (MorrowHttpResponse *response)
{
  switch (response->status)
    {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
      return morrow_http_response_get_header (response, "Location");
    default:
      return NULL;
    }
}

/* The response that sends us on gives way to the next one; what has been counted goes on. */
static void
begin_next_response (Visit *self)
{
  MorrowHttpResponse *next = morrow__response_new ();

  next->timings.start = self->response->timings.start;
  next->timings.queued = seconds_since (next->timings.start);
  next->n_connections = self->response->n_connections;
  morrow_http_response_unref (self->response);
  self->response = next;
}

static gboolean
follow (Visit *self, const char *location, GError **error)
{
  if (++self->n_redirects > self->options->max_redirects)
    {
      morrow__http_error_set (error, CURLE_TOO_MANY_REDIRECTS, "More than %u",
                              self->options->max_redirects);
      return FALSE;
    }
  if (!morrow__address_follow (&self->address, location, error))
    {
      self->astray = location;
      return FALSE;
    }

  begin_next_response (self);
  return TRUE;
}

/* --- the request ---------------------------------------------------------------------------- */

static gint64
deadline_for (gint64 now, gdouble timeout)
{
  if (timeout <= 0 || timeout > LONGEST_TIMEOUT)
    return G_MAXINT64;
  return now + (gint64) (timeout * G_USEC_PER_SEC);
}

static gboolean
begin (Visit *self, Request *request, GError **error)
{
  gint64 now = g_get_monotonic_time ();

  *self = (Visit) { .options = request->options };
  self->deadline = deadline_for (now, request->options->timeout);
  self->response = morrow__response_new ();
  self->response->timings.start = now;
  if (!morrow__address_parse (&self->address, request->uri, error))
    return FALSE;

  self->origin = g_strdup (self->address.origin);
  return TRUE;
}

static gboolean
go (Visit *self, GError **error)
{
  const char *location;

  do
    {
      if (!do_hop (self, error))
        return FALSE;
      location = self->options->max_redirects > 0 ? get_redirect (self->response) : NULL;
    }
  while (location != NULL && follow (self, location, error));

  return location == NULL;
}

/* curl encodes what a server has put into a Location, but for its fragment. */
static MorrowHttpResponse *
take_response (Visit *self)
{
  const char *uri = morrow__address_get_public (&self->address);

  self->response->uri = self->n_redirects > 0 ? morrow__show_text (uri) : g_strdup (uri);
  self->response->n_redirects = self->n_redirects;
  return g_steal_pointer (&self->response);
}

/* Where the last redirect has led, or would have; NULL without one. */
static const char *
get_target (Visit *self)
{
  if (self->astray != NULL)
    return self->astray;
  return self->n_redirects > 0 ? self->address.text : NULL;
}

static void
visit_clear (Visit *self)
{
  g_clear_pointer (&self->response, morrow_http_response_unref);
  morrow__address_clear (&self->address);
  g_free (self->origin);
}

static gboolean
get (gpointer data, GValue *result, GError **error)
{
  Request *request = data;
  Visit visit;
  gboolean ok;

  morrow__http_init ();
  ok = begin (&visit, request, error) && go (&visit, error);
  if (ok)
    morrow_return_take_boxed (result, MORROW_TYPE_HTTP_RESPONSE, take_response (&visit));
  else
    morrow__http_error_complete (error, request->uri, get_target (&visit));
  visit_clear (&visit);
  return ok;
}

/**
 * morrow_http_get_at: (skip)
 * @uri: an http or https URL
 * @options: (nullable): how to make the request; %NULL for the defaults
 * @site: (nullable): where it is made; of static storage
 *
 * What the macro morrow_http_get () calls.
 *
 * Returns: (transfer full): a coroutine
 */
MorrowFuture *
morrow_http_get_at (const gchar *uri, MorrowHttpOptions *options, const MorrowSite *site)
{
  Request *request;

  g_return_val_if_fail (uri != NULL, NULL);

  if (options == NULL)
    options = morrow__http_options_default ();
  morrow__http_options_freeze (options);

  request = g_new (Request, 1);
  request->uri = g_strdup (uri);
  request->options = morrow_http_options_ref (options);
  return morrow_coroutine_at (get, request, request_free, site);
}

/**
 * morrow_http_get:
 * @uri: an http or https URL
 * @options: (nullable): how to make the request; %NULL for the defaults
 *
 * Makes a request, of a #MorrowHttpResponse: `morrow_await_boxed (morrow_http_get (uri, NULL),
 * &error)` gives it. Lazy, as a coroutine is, and runs on any executor: on loops by libcurl's
 * multi interface, on a #MorrowThreadPool and #MorrowInline by blocking the thread.
 *
 * Redirects are followed, to http and https only. Proxies that the environment names are not
 * used. Names are looked up on threads of their own, and known for a minute. Connections are kept
 * open and used again, on a loop as long as the loop lives, on a thread as long as the thread
 * does. SIGPIPE is ignored from the first request on, unless the program has said what to do with
 * it.
 *
 * **Errors**: any response is a success, whatever its status. What has no response is a
 * %MORROW_CURL_ERROR with libcurl's code, and its message names the URL, and after a redirect the
 * one where it led, without passwords and control characters: CURLE_URL_MALFORMAT,
 * CURLE_UNSUPPORTED_PROTOCOL, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT,
 * CURLE_PEER_FAILED_VERIFICATION, CURLE_PARTIAL_FILE ...; or %G_IO_ERROR_TIMED_OUT.
 *
 * **Cancellation**: at once, whatever the request is doing; its connection is closed, unless it is
 * one of HTTP/2, which others may share: there only the request's stream is.
 *
 * Returns: (transfer full): a coroutine
 */
MorrowFuture *
(morrow_http_get) (const gchar *uri, MorrowHttpOptions *options)
{
  static const MorrowSite site = { .func_name = "morrow_http_get" };

  return morrow_http_get_at (uri, options, &site);
}
