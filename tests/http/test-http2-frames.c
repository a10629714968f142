/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * HTTP/2 frame by frame: how the bytes of an answer come is up to the server, and none of them may be
 * left lying anywhere.  The peer here says what it was told to say, all of it in one record of TLS, so
 * that libcurl reads it at once, and is silent afterwards.
 */

#include "http/http-check.h"
#include "server/certificate.h"

#include <glib/gstdio.h>
#include <gnutls/gnutls.h>
#include <stdio.h>

/* Frames ------------------------------------------------------------------------------------- */

#define PREFACE 24   /* Bytes that a client says first. */
#define HEAD     9   /* Bytes of a frame before what it carries. */

enum
{
  DATA = 0,
  HEADERS = 1,
  SETTINGS = 4,
};

#define END_STREAM  1
#define END_HEADERS 4

#define STATUS_200  0x88   /* ":status: 200", and a line of 32 bytes: a byte each in HPACK's table. */
#define LINE        0x90
#define LINE_LEN    32

static void
add_frame (GByteArray *frames, guint8 type, guint8 flags, guint8 stream, const char *bytes, gsize len)
{
  const guint8 head[HEAD] = { len >> 16, len >> 8, len, type, flags, 0, 0, 0, stream };

  g_byte_array_append (frames, head, HEAD);
  g_byte_array_append (frames, (const guint8 *) bytes, len);
}

/* Those of the first request's answer: n_lines, and a body in two parts. */
static GByteArray *
make_answer (gsize n_lines, const char *body, gsize first_len, gsize last_len)
{
  g_autofree char *headers = g_malloc (n_lines + 1);
  GByteArray *frames = g_byte_array_new ();

  memset (headers, LINE, n_lines + 1);
  headers[0] = (char) STATUS_200;
  add_frame (frames, HEADERS, END_HEADERS, 1, headers, n_lines + 1);
  add_frame (frames, DATA, 0, 1, body, first_len);
  add_frame (frames, DATA, END_STREAM, 1, body + first_len, last_len);
  return frames;
}

/* The peer ----------------------------------------------------------------------------------- */

typedef struct
{
  int                              fd;
  char                            *url;           /* Without a slash at the end. */
  char                            *certificate;   /* A path. */
  gnutls_certificate_credentials_t credentials;
  GByteArray                      *answer;
  pthread_t                        thread;
} Framer;

static void
read_whole (gnutls_session_t session, void *bytes, gsize len)
{
  for (gsize n = 0; n < len;)
    {
      ssize_t more = gnutls_record_recv (session, (char *) bytes + n, len - n);

      ck_assert_int_gt (more, 0);
      n += more;
    }
}

/* Until all of a request has come, which has no body. */
static void
read_request (gnutls_session_t session)
{
  guint8 head[HEAD] = { 0 };
  char bytes[16384];

  read_whole (session, bytes, PREFACE);
  while (head[3] != HEADERS)
    {
      read_whole (session, head, HEAD);
      read_whole (session, bytes, head[0] << 16 | head[1] << 8 | head[2]);
    }
}

/* Settings come first, and the answer in a record of its own. */
static void
send_answer (gnutls_session_t session, GByteArray *answer)
{
  g_autoptr (GByteArray) settings = g_byte_array_new ();

  add_frame (settings, SETTINGS, 0, 0, "", 0);
  ck_assert_int_eq (gnutls_record_send (session, settings->data, settings->len), settings->len);
  ck_assert_uint_le (answer->len, gnutls_record_get_max_size (session));
  ck_assert_int_eq (gnutls_record_send (session, answer->data, answer->len), answer->len);
}

/* It stays until the other side has gone. */
static void
serve (Framer *self, int fd)
{
  const gnutls_datum_t protocol = { (unsigned char *) "h2", 2 };
  gnutls_session_t session;
  char bytes[256];

  gnutls_init (&session, GNUTLS_SERVER);
  gnutls_set_default_priority (session);
  gnutls_credentials_set (session, GNUTLS_CRD_CERTIFICATE, self->credentials);
  gnutls_alpn_set_protocols (session, &protocol, 1, GNUTLS_ALPN_MANDATORY);
  gnutls_transport_set_int (session, fd);
  ck_assert_int_eq (gnutls_handshake (session), GNUTLS_E_SUCCESS);
  read_request (session);
  send_answer (session, self->answer);
  while (gnutls_record_recv (session, bytes, sizeof bytes) > 0)
    ;
  gnutls_deinit (session);
}

static gpointer
framer_run (gpointer data)
{
  Framer *self = data;
  int fd = accept4 (self->fd, NULL, NULL, SOCK_CLOEXEC);

  ck_assert_int_ge (fd, 0);
  serve (self, fd);
  close (fd);
  return NULL;
}

static void
framer_make_certificate (Framer *self)
{
  g_auto (Certificate) made = { 0 };
  gnutls_datum_t certificate, key;

  ck_assert (certificate_make (&made, NULL));
  self->certificate = make_certificate_file ();
  ck_assert (g_file_set_contents (self->certificate, made.certificate, -1, NULL));
  certificate = (gnutls_datum_t) { (unsigned char *) made.certificate, strlen (made.certificate) };
  key = (gnutls_datum_t) { (unsigned char *) made.key, strlen (made.key) };
  gnutls_certificate_allocate_credentials (&self->credentials);
  ck_assert_int_eq (gnutls_certificate_set_x509_key_mem (self->credentials, &certificate, &key, GNUTLS_X509_FMT_PEM),
                    GNUTLS_E_SUCCESS);
}

/* Takes the answer. */
static void
framer_init (Framer *self, GByteArray *answer)
{
  g_autofree char *url = NULL;

  *self = (Framer) { .answer = answer };
  framer_make_certificate (self);
  self->fd = listen_on_loopback (1, &url);
  self->url = g_strconcat ("https", url + strlen ("http"), NULL);
  pthread_create (&self->thread, NULL, framer_run, self);
}

/* When the connection has been closed. */
static void
framer_clear (Framer *self)
{
  pthread_join (self->thread, NULL);
  close (self->fd);
  g_unlink (self->certificate);
  g_byte_array_unref (self->answer);
  gnutls_certificate_free_credentials (self->credentials);
  g_free (self->certificate);
  g_free (self->url);
}

/* -------------------------------------------------------------------------------------------- */

typedef struct
{
  Framer *framer;
  int     model;
  gsize   body_len;
} Visit;

static void
assert_is_counting (MorrowHttpResponse *response, gsize expected_len)
{
  gsize len;
  const guint8 *body = g_bytes_get_data (morrow_http_response_get_body (response), &len);

  ck_assert_uint_eq (len, expected_len);
  for (gsize i = 0; i < len; i++)
    ck_assert_uint_eq (body[i], (guint8) i);
}

/* On a thread of its own, which closes what it has kept as it ends. */
static gpointer
visit_thread (gpointer data)
{
  Visit *self = data;
  g_autoptr (MorrowHttpOptions) options = morrow_http_options_new ();
  g_auto (Fetch) got = { .options = options };

  morrow_http_options_set_ca_file (options, self->framer->certificate);
  fetch (self->model, &got, self->framer->url, "/");
  ck_assert_msg (got.response != NULL, "%s", got.error != NULL ? got.error->message : "");
  assert_is_counting (got.response, self->body_len);
  return NULL;
}

/* An answer of so many bytes of headers, and a body in two frames. */
static void
visit (int model, gsize header_len, gsize first_len, gsize last_len)
{
  Framer framer;
  Visit self = { &framer, model, first_len + last_len };
  g_autofree char *body = g_malloc (self.body_len);

  for (gsize i = 0; i < self.body_len; i++)
    body[i] = i;
  framer_init (&framer, make_answer (header_len / LINE_LEN, body, first_len, last_len));
  g_thread_join (g_thread_new ("visit", visit_thread, &self));
  framer_clear (&framer);
}

START_TEST (an_answer_that_comes_at_once_is_whole)
{
  visit (_i, 1024, 8000, 500);
}
END_TEST

/* With its headers written out it is longer than it came. */
START_TEST (an_answer_that_curl_makes_longer_is_whole)
{
  visit (_i, 8192, 6000, 9000);
}
END_TEST

/* It has a buffer for each answer, into which the headers go in full. */
START_TEST (an_answer_that_curl_has_no_room_for_is_whole)
{
  visit (_i, 40000, 14000, 500);
}
END_TEST

static Suite *
http2_frames_suite (void)
{
  Suite *suite = suite_create ("http2-frames");
  TCase *tcase = morrow_check_add_case (suite, "http2-frames");

  tcase_add_loop_test (tcase, an_answer_that_comes_at_once_is_whole, 0, N_MODELS);
  tcase_add_loop_test (tcase, an_answer_that_curl_makes_longer_is_whole, 0, N_MODELS);
  tcase_add_loop_test (tcase, an_answer_that_curl_has_no_room_for_is_whole, 0, N_MODELS);
  return suite;
}

int
main (void)
{
  if (!(curl_version_info (CURLVERSION_NOW)->features & CURL_VERSION_HTTP2))
    {
      puts ("1..0 # SKIP libcurl does not speak HTTP/2");
      return EXIT_SUCCESS;
    }
  return morrow_check_run (http2_frames_suite);
}
