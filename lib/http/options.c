/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a request is made with: safe unless somebody says otherwise.
 *
 * Options are made, set, and then given to any number of requests, on any thread. The first
 * request freezes them: that is why requests share them without a copy and without a lock. */

#include "config.h"

#include <pthread.h>
#include <string.h>

#include "http/options-private.h"

#define DEFAULT_TIMEOUT       60.0
#define DEFAULT_MAX_REDIRECTS 10
#define DEFAULT_MAX_HEADER    (64 * 1024)
#define DEFAULT_MAX_BODY      (64 * 1024 * 1024)

/**
 * MorrowHttpOptions:
 *
 * How to make requests. The defaults are safe: 60 seconds in all, 10 redirects, 64 KiB of
 * headers, 64 MiB of body, TLS verified, http and https only.
 *
 * They must not be changed any more once a request has been made with them.
 */
G_DEFINE_BOXED_TYPE (MorrowHttpOptions, morrow_http_options,
                     morrow_http_options_ref, morrow_http_options_unref)

#define return_if_frozen(self) \
  g_return_if_fail ((self) != NULL && !g_atomic_int_get (&(self)->frozen))

/**
 * morrow_http_options_new:
 *
 * Makes options that say what is said by default.
 *
 * Returns: (transfer full): options
 */
MorrowHttpOptions *
morrow_http_options_new (void)
{
  MorrowHttpOptions *self = g_new0 (MorrowHttpOptions, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->timeout = DEFAULT_TIMEOUT;
  self->max_redirects = DEFAULT_MAX_REDIRECTS;
  self->max_header = DEFAULT_MAX_HEADER;
  self->max_body = DEFAULT_MAX_BODY;
  return self;
}

/**
 * morrow_http_options_ref:
 * @self: options
 *
 * Returns: (transfer full): @self
 */
MorrowHttpOptions *
morrow_http_options_ref (MorrowHttpOptions *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * morrow_http_options_unref:
 * @self: (transfer full): options
 *
 * Drops a reference.
 */
void
morrow_http_options_unref (MorrowHttpOptions *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;

  g_free (self->ca_file);
  curl_slist_free_all (self->headers);
  curl_slist_free_all (self->public_headers);
  g_free (self);
}

void
morrow__http_options_freeze (MorrowHttpOptions *self)
{
  if (!g_atomic_int_get (&self->frozen))
    g_atomic_int_set (&self->frozen, TRUE);
}

static pthread_once_t default_once = PTHREAD_ONCE_INIT;
static MorrowHttpOptions *default_options;   /* immutable, once made */

static void
make_default_options (void)
{
  default_options = morrow_http_options_new ();
  morrow__http_options_freeze (default_options);
}

MorrowHttpOptions *
morrow__http_options_default (void)
{
  pthread_once (&default_once, make_default_options);
  return default_options;
}

/* --- time and size -------------------------------------------------------------------------- */

/**
 * morrow_http_options_set_timeout:
 * @self: options
 * @seconds: how long a request may take, redirects included; 0 for ever. 60 by default
 *
 * Limits the time of a request, which then fails with %G_IO_ERROR_TIMED_OUT. The time it waits
 * for a place among the connections to its host (morrow_http_options_set_max_connections ()) is
 * not counted.
 */
void
morrow_http_options_set_timeout (MorrowHttpOptions *self, gdouble seconds)
{
  return_if_frozen (self);
  g_return_if_fail (seconds >= 0);

  self->timeout = seconds;
}

/**
 * morrow_http_options_set_connect_timeout:
 * @self: options
 * @seconds: how long it may take to connect, TLS included; 0, the default, for no limit but that
 * of the whole request
 *
 * Limits the time in which a connection must be made.
 */
void
morrow_http_options_set_connect_timeout (MorrowHttpOptions *self, gdouble seconds)
{
  return_if_frozen (self);
  g_return_if_fail (seconds >= 0);

  self->connect_timeout = seconds;
}

/**
 * morrow_http_options_set_max_redirects:
 * @self: options
 * @n: how many redirects are followed, 10 by default; with 0 a response that redirects is given
 * as it is
 *
 * Limits redirects. One more, and the request fails with CURLE_TOO_MANY_REDIRECTS.
 */
void
morrow_http_options_set_max_redirects (MorrowHttpOptions *self, guint n)
{
  return_if_frozen (self);

  self->max_redirects = n;
}

/**
 * morrow_http_options_set_max_header_size:
 * @self: options
 * @n_bytes: 64 KiB by default; libcurl itself refuses a line of more than 100 KiB
 *
 * Limits the size of all headers of a response together. With more the request fails with
 * CURLE_WEIRD_SERVER_REPLY.
 */
void
morrow_http_options_set_max_header_size (MorrowHttpOptions *self, gsize n_bytes)
{
  return_if_frozen (self);

  self->max_header = n_bytes;
}

/**
 * morrow_http_options_set_max_body_size:
 * @self: options
 * @n_bytes: 64 MiB by default
 *
 * Limits the size of a response's body. With more, or when more is announced, the request fails
 * with CURLE_FILESIZE_EXCEEDED.
 */
void
morrow_http_options_set_max_body_size (MorrowHttpOptions *self, gsize n_bytes)
{
  return_if_frozen (self);

  self->max_body = n_bytes;
}

/* --- connections ---------------------------------------------------------------------------- */

/**
 * morrow_http_options_set_max_connections:
 * @self: options
 * @n: how many requests may be under way to one host (scheme, name and port); 0, the default, for
 * any number
 *
 * Limits how hard a host is pressed. The limit holds for the whole process, whatever the
 * executors; requests wait for their turn in the order in which they came.
 */
void
morrow_http_options_set_max_connections (MorrowHttpOptions *self, guint n)
{
  return_if_frozen (self);

  self->max_connections = n;
}

/**
 * morrow_http_options_set_fresh_connection:
 * @self: options
 * @fresh: whether each request has a new connection
 *
 * By default connections are kept and used again, by later requests to the same host on the same
 * loop or thread.
 */
void
morrow_http_options_set_fresh_connection (MorrowHttpOptions *self, gboolean fresh)
{
  return_if_frozen (self);

  self->fresh = fresh;
}

/**
 * morrow_http_options_set_pipe_wait:
 * @self: options
 * @wait: whether to wait for a connection that is being made, in the hope to share it
 *
 * HTTP/2, which is used when a server offers it over TLS, carries many requests on one
 * connection. But while the first is being made nobody knows, and a burst makes a connection for
 * each request. With this the burst waits for the first: one connection, if the server does speak
 * HTTP/2; a lost round trip, if it does not. Off by default. libcurl carries a hundred requests at a
 * time on a connection: each one beyond that has its own.
 */
void
morrow_http_options_set_pipe_wait (MorrowHttpOptions *self, gboolean wait)
{
  return_if_frozen (self);

  self->pipe_wait = wait;
}

/**
 * morrow_http_options_set_ca_file:
 * @self: options
 * @path: (nullable): a file of PEM certificates that are trusted, instead of the system's
 *
 * Says whom to trust.
 */
void
morrow_http_options_set_ca_file (MorrowHttpOptions *self, const gchar *path)
{
  return_if_frozen (self);

  g_free (self->ca_file);
  self->ca_file = g_strdup (path);
}

/* --- headers -------------------------------------------------------------------------------- */

static gboolean
is_secret (const char *name)
{
  return g_ascii_strcasecmp (name, "Authorization") == 0 ||
         g_ascii_strcasecmp (name, "Proxy-Authorization") == 0 ||
         g_ascii_strcasecmp (name, "Cookie") == 0;
}

/**
 * morrow_http_options_add_header:
 * @self: options
 * @name: a header's name
 * @value: its value; neither may contain a line's end
 *
 * Adds a header to the requests, or replaces one that libcurl would send. `Authorization` and
 * `Cookie` are left out when a redirect leads to another host.
 */
void
morrow_http_options_add_header (MorrowHttpOptions *self, const gchar *name, const gchar *value)
{
  g_autofree char *line = NULL;

  return_if_frozen (self);
  g_return_if_fail (name != NULL && *name != '\0' && strpbrk (name, "\r\n: \t") == NULL);
  g_return_if_fail (value != NULL && strpbrk (value, "\r\n") == NULL);

  /* For curl "Name:" removes a header, and "Name;" is one without a value. */
  line = *value != '\0' ? g_strconcat (name, ": ", value, NULL) : g_strconcat (name, ";", NULL);
  self->headers = curl_slist_append (self->headers, line);
  if (!is_secret (name))
    self->public_headers = curl_slist_append (self->public_headers, line);
}
