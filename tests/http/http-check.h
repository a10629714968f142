/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of requests share: running something under each model, and a peer that says what
 * it was told to say, for what no honest server would.
 */
#pragma once

#include "counts.h"
#include "morrow-check.h"
#include "server-check.h"

#include <curl/curl.h>
#include <morrow/http.h>
#include <morrow/morrow.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Models ------------------------------------------------------------------------------------- */

/* For tcase_add_loop_test (): the index of a model. */
enum
{
  LOOP,
  THREADS,
  LOOPS,
  SEQUENTIAL,
  N_MODELS
};

static inline MorrowExecutor *
executor_new (int model)
{
  switch (model)
    {
    case LOOP:
      return morrow_loop_new (NULL);
    case THREADS:
      return morrow_thread_pool_new (8);
    case LOOPS:
      return morrow_loop_pool_new (2);
    default:
      return morrow_inline_new ();
    }
}

static inline void
run (int model, MorrowCoroutineFunc func, gpointer data)
{
  g_autoptr (MorrowExecutor) executor = executor_new (model);
  g_autoptr (GError) error = NULL;

  if (!morrow_run_on (executor, morrow_coroutine (func, data, NULL), NULL, &error))
    ck_abort_msg ("the run failed: %s", error->message);
}

static inline MorrowTestServer *
start_server (void)
{
  g_autoptr (GError) error = NULL;
  MorrowTestServer *server = test_server_start (NULL, &error);

  if (server == NULL)
    ck_abort_msg ("%s", error->message);
  return server;
}

/* An empty file, for a certificate.  curl keeps what it has read of a path for a day. */
static inline char *
make_certificate_file (void)
{
  char *path = NULL;
  int fd = g_file_open_tmp ("morrow-test-XXXXXX.pem", &path, NULL);

  ck_assert_int_ge (fd, 0);
  close (fd);
  return path;
}

/* Its certificate is of its own making; nobody trusts it who is not told to. */
static inline MorrowTestServer *
start_tls_server (char **ret_certificate)
{
  char *certificate = make_certificate_file ();
  g_autofree char *option = g_strconcat ("--tls=", certificate, NULL);

  *ret_certificate = certificate;
  return start_server_with (option);
}

/* One request -------------------------------------------------------------------------------- */

typedef struct
{
  char               *uri;
  MorrowHttpOptions  *options;    /* Borrowed. */
  MorrowHttpResponse *response;
  GError             *error;
} Fetch;

static inline void
fetch_clear (Fetch *fetch)
{
  g_clear_pointer (&fetch->uri, g_free);
  g_clear_pointer (&fetch->response, morrow_http_response_unref);
  g_clear_error (&fetch->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fetch, fetch_clear)

static inline gboolean
fetch_coro (gpointer data, GValue *result, GError **error)
{
  Fetch *self = data;

  self->response = morrow_await_boxed (morrow_http_get (self->uri, self->options), &self->error);
  return TRUE;
}

/* Has the outcome in fetch, whose URI is made from base and path. */
static inline void
fetch (int model, Fetch *self, const char *base, const char *path)
{
  g_free (self->uri);
  self->uri = g_strconcat (base, path, NULL);
  run (model, fetch_coro, self);
  ck_assert ((self->response != NULL) != (self->error != NULL));
}

/* The error of a request: in curl's domain, and it names the code and the URL. */
static inline void
assert_curl_error (const GError *error, CURLcode code, const char *uri)
{
  g_autofree char *named = g_strdup_printf ("(curl %d)", code);

  ck_assert_ptr_nonnull (error);
  ck_assert_msg (error->domain == MORROW_CURL_ERROR && error->code == (int) code,
                 "expected curl's %d, not %s, %d: %s", code, g_quark_to_string (error->domain),
                 error->code, error->message);
  ck_assert_int_eq (morrow_curl_error_get_code (error), code);
  ck_assert_msg (strstr (error->message, uri) != NULL, "no URL: %s", error->message);
  ck_assert_msg (strstr (error->message, named) != NULL, "no code: %s", error->message);
}

static inline void
assert_timed_out (const GError *error, const char *uri)
{
  ck_assert_ptr_nonnull (error);
  ck_assert_msg (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT), "not a time-out: %s",
                 error->message);
  ck_assert_int_eq (morrow_curl_error_get_code (error), CURLE_OPERATION_TIMEDOUT);
  ck_assert_msg (strstr (error->message, uri) != NULL, "no URL: %s", error->message);
}

static inline void
assert_cancelled (const GError *error)
{
  ck_assert_ptr_nonnull (error);
  ck_assert_msg (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED), "not a cancel: %s",
                 error->message);
}

/* A peer with a script ----------------------------------------------------------------------- */

typedef struct
{
  int        fd;
  char      *url;          /* Without a slash at the end. */
  char      *reply;        /* What each connection is sent after its request. */
  gboolean   hold;         /* Afterwards it stays open, and silent. */
  gboolean   any_request;  /* Whatever comes is a request. */
  GThread   *thread;
  GPtrArray *requests;     /* Texts: the peer's thread, and after peer_stop () ours. */
  GArray    *held;         /* Descriptors, likewise. */
  gint       n_requests;   /* Any thread, atomically. */
} Peer;

static inline char *
peer_read_request (Peer *peer, int fd)
{
  g_autoptr (GString) text = g_string_new (NULL);
  char buffer[4096];
  ssize_t n;

  while (strstr (text->str, "\r\n\r\n") == NULL && (n = read (fd, buffer, sizeof buffer)) > 0)
    {
      g_string_append_len (text, buffer, n);
      if (peer->any_request)
        break;
    }
  return g_strdup (text->str);
}

static inline void
peer_write (int fd, const char *text)
{
  gsize left = strlen (text);
  ssize_t n;

  while (left > 0 && (n = send (fd, text, left, MSG_NOSIGNAL)) > 0)
    {
      text += n;
      left -= n;
    }
}

static inline gpointer
peer_run (gpointer data)
{
  Peer *peer = data;
  int fd;

  while ((fd = accept4 (peer->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
    {
      g_ptr_array_add (peer->requests, peer_read_request (peer, fd));
      peer_write (fd, peer->reply);
      g_atomic_int_inc (&peer->n_requests);
      if (peer->hold)
        g_array_append_val (peer->held, fd);
      else
        close (fd);
    }
  return NULL;
}

/* Who connects to the URL is refused, as long as the descriptor is open. */
static inline int
refuse_on_loopback (char **ret_url)
{
  guint port;
  int fd = reserve_port (&port);

  *ret_url = g_strdup_printf ("http://127.0.0.1:%u", port);
  return fd;
}

static inline int
listen_on_loopback (int backlog, char **ret_url)
{
  guint port;
  int fd = listen_on_port (backlog, &port);

  *ret_url = g_strdup_printf ("http://127.0.0.1:%u", port);
  return fd;
}

static inline void
peer_start (Peer *peer, const char *reply, gboolean hold, gboolean any_request)
{
  *peer = (Peer) { .hold = hold, .any_request = any_request, .reply = g_strdup (reply) };
  peer->fd = listen_on_loopback (16, &peer->url);
  peer->requests = g_ptr_array_new_with_free_func (g_free);
  peer->held = g_array_new (FALSE, FALSE, sizeof (int));
  peer->thread = g_thread_new ("peer", peer_run, peer);
}

static inline void
peer_init (Peer *peer, const char *reply, gboolean hold)
{
  peer_start (peer, reply, hold, FALSE);
}

/* Ends the thread; the requests can be looked at then. */
static inline void
peer_stop (Peer *peer)
{
  if (peer->thread == NULL)
    return;

  shutdown (peer->fd, SHUT_RDWR);
  g_thread_join (g_steal_pointer (&peer->thread));
  close (peer->fd);
  for (guint i = 0; i < peer->held->len; i++)
    close (g_array_index (peer->held, int, i));
}

static inline gboolean
peer_was_sent (Peer *peer, const char *text)
{
  ck_assert_uint_eq (peer->requests->len, 1);
  return strstr (g_ptr_array_index (peer->requests, 0), text) != NULL;
}

static inline void
peer_clear (Peer *peer)
{
  peer_stop (peer);
  g_array_unref (peer->held);
  g_ptr_array_unref (peer->requests);
  g_free (peer->reply);
  g_free (peer->url);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Peer, peer_clear)

/* A listener that takes no more connections: whoever connects to it waits and waits. */
typedef struct
{
  char *url;
  int   fd;
  int   fill[4];
} Deaf;

static inline void
deaf_init (Deaf *self)
{
  struct sockaddr_in address;
  socklen_t len = sizeof address;

  self->fd = listen_on_loopback (0, &self->url);
  getsockname (self->fd, (struct sockaddr *) &address, &len);
  for (guint i = 0; i < G_N_ELEMENTS (self->fill); i++)
    {
      self->fill[i] = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      connect (self->fill[i], (struct sockaddr *) &address, sizeof address);
    }
}

static inline void
deaf_clear (Deaf *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->fill); i++)
    close (self->fill[i]);
  close (self->fd);
  g_free (self->url);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Deaf, deaf_clear)
