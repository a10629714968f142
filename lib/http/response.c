/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A response: filled by a transfer, then immutable.
 *
 * The body is collected in one buffer that is as large as the server says that it will be, or
 * else doubles; it becomes the GBytes without a copy. */

#include "config.h"

#include <string.h>

#include "http/response-private.h"

#define HEADERS_SIZE 512         /* what the headers of most responses fit in */
#define BUFFER_SIZE  (8 * 1024)  /* the first buffer of a body whose size is not known */

/**
 * MorrowHttpResponse:
 *
 * What a server answered: status, headers and body. Immutable; any thread may read it.
 */
G_DEFINE_BOXED_TYPE (MorrowHttpResponse, morrow_http_response,
                     morrow_http_response_ref, morrow_http_response_unref)

MorrowHttpResponse *
morrow__response_new (void)
{
  MorrowHttpResponse *self = g_new0 (MorrowHttpResponse, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->headers = g_string_sized_new (HEADERS_SIZE);
  return self;
}

/**
 * morrow_http_response_ref:
 * @self: a response
 *
 * Returns: (transfer full): @self
 */
MorrowHttpResponse *
morrow_http_response_ref (MorrowHttpResponse *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * morrow_http_response_unref:
 * @self: (transfer full): a response
 *
 * Drops a reference.
 */
void
morrow_http_response_unref (MorrowHttpResponse *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;

  g_free (self->uri);
  g_string_free (self->headers, TRUE);
  g_clear_pointer (&self->body, g_bytes_unref);
  g_free (self->buffer);
  g_free (self);
}

/* --- coming in ------------------------------------------------------------------------------ */

/* A status line: what came before it was a 1xx, or another response of the same transfer. */
void
morrow__response_begin (MorrowHttpResponse *self, guint status)
{
  self->status = status;
  self->n_headers = 0;
  g_string_truncate (self->headers, 0);
}

static gboolean
is_blank (char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
trim (const char **text, gsize *len)
{
  while (*len > 0 && is_blank ((*text)[*len - 1]))
    (*len)--;
  while (*len > 0 && is_blank (**text))
    {
      (*text)++;
      (*len)--;
    }
}

/* A line that begins with a blank goes on with the value before it. */
static void
continue_value (MorrowHttpResponse *self, const char *text, gsize len)
{
  if (self->n_headers == 0)
    return;

  self->headers->str[self->headers->len - 1] = ' ';
  g_string_append_len (self->headers, text, len);
  g_string_append_c (self->headers, '\0');
}

void
morrow__response_add_line (MorrowHttpResponse *self, const char *line, gsize len)
{
  gboolean continues = len > 0 && (*line == ' ' || *line == '\t');
  const char *colon, *value;
  gsize value_len;

  trim (&line, &len);
  if (len == 0 || memchr (line, '\0', len) != NULL)
    return;
  if (continues)
    {
      continue_value (self, line, len);
      return;
    }

  colon = memchr (line, ':', len);
  if (colon == NULL)
    return;

  value = colon + 1;
  value_len = len - (value - line);
  trim (&value, &value_len);
  g_string_append_len (self->headers, line, colon - line);
  g_string_append_c (self->headers, '\0');
  g_string_append_len (self->headers, value, value_len);
  g_string_append_c (self->headers, '\0');
  self->n_headers++;
}

void
morrow__response_expect_body (MorrowHttpResponse *self, gsize len)
{
  g_free (self->buffer);
  self->buffer = g_malloc (len);
  self->buffer_size = len;
  self->buffer_len = 0;
}

void
morrow__response_append_body (MorrowHttpResponse *self, const void *data, gsize len)
{
  if (self->buffer_size - self->buffer_len < len)
    {
      self->buffer_size = MAX (MAX (self->buffer_size * 2, self->buffer_len + len), BUFFER_SIZE);
      self->buffer = g_realloc (self->buffer, self->buffer_size);
    }

  memcpy (self->buffer + self->buffer_len, data, len);
  self->buffer_len += len;
}

/* The body is complete. What doubling has left over is given back when it is a good part of the
 * whole. */
void
morrow__response_end (MorrowHttpResponse *self)
{
  if (self->buffer_size - self->buffer_len > self->buffer_len / 4 + 64)
    self->buffer = g_realloc (self->buffer, self->buffer_len);
  self->body = g_bytes_new_take (g_steal_pointer (&self->buffer), self->buffer_len);
  self->buffer_size = 0;
}

/* --- looking -------------------------------------------------------------------------------- */

/**
 * morrow_http_response_get_status:
 * @self: a response
 *
 * Gives the status. A request whose response says 404 has succeeded, as a request.
 *
 * Returns: the status, 200 for OK
 */
guint
morrow_http_response_get_status (MorrowHttpResponse *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->status;
}

/**
 * morrow_http_response_get_uri:
 * @self: a response
 *
 * Gives the URI that the response came from, after redirects; without a user's name and password.
 *
 * Returns: (transfer none): a URI
 */
const gchar *
morrow_http_response_get_uri (MorrowHttpResponse *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->uri;
}

/**
 * morrow_http_response_get_n_headers:
 * @self: a response
 *
 * Returns: how many headers there are
 */
guint
morrow_http_response_get_n_headers (MorrowHttpResponse *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->n_headers;
}

/* Goes to the next name and value in the block; @value is NULL at first. */
static void
next_header (MorrowHttpResponse *self, const char **name, const char **value)
{
  *name = *value == NULL ? self->headers->str : *value + strlen (*value) + 1;
  *value = *name + strlen (*name) + 1;
}

/**
 * morrow_http_response_get_nth_header:
 * @self: a response
 * @i: which of the headers, from 0
 * @name: (out) (optional) (transfer none): its name, as the server spelt it
 * @value: (out) (optional) (transfer none): its value
 *
 * Gives the headers in the order in which they came, those that came more than once more than once.
 *
 * Returns: %FALSE when there are not that many
 */
gboolean
morrow_http_response_get_nth_header (MorrowHttpResponse *self, guint i, const gchar **name,
                                     const gchar **value)
{
  const char *a_name = NULL, *a_value = NULL;

  g_return_val_if_fail (self != NULL, FALSE);

  if (i >= self->n_headers)
    return FALSE;

  for (guint n = 0; n <= i; n++)
    next_header (self, &a_name, &a_value);
  if (name != NULL)
    *name = a_name;
  if (value != NULL)
    *value = a_value;
  return TRUE;
}

/**
 * morrow_http_response_get_header:
 * @self: a response
 * @name: a header's name; upper and lower case are one
 *
 * Gives the value of a header, the first when there are several.
 *
 * Returns: (transfer none) (nullable): its value; %NULL when there is none
 */
const gchar *
morrow_http_response_get_header (MorrowHttpResponse *self, const gchar *name)
{
  const char *a_name = NULL, *a_value = NULL;

  g_return_val_if_fail (self != NULL && name != NULL, NULL);

  for (guint i = 0; i < self->n_headers; i++)
    {
      next_header (self, &a_name, &a_value);
      if (g_ascii_strcasecmp (a_name, name) == 0)
        return a_value;
    }
  return NULL;
}

/**
 * morrow_http_response_get_body:
 * @self: a response
 *
 * Gives the body, as it was sent.
 *
 * Returns: (transfer none): the body, which may be empty
 */
GBytes *
morrow_http_response_get_body (MorrowHttpResponse *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->body;
}

/**
 * morrow_http_response_get_timings:
 * @self: a response
 *
 * Tells when the request reached each of its stages.
 *
 * Returns: (transfer none): the times
 */
const MorrowHttpTimings *
morrow_http_response_get_timings (MorrowHttpResponse *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return &self->timings;
}

/**
 * morrow_http_response_get_n_redirects:
 * @self: a response
 *
 * Returns: how many redirects led here
 */
guint
morrow_http_response_get_n_redirects (MorrowHttpResponse *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->n_redirects;
}

/**
 * morrow_http_response_get_n_connections:
 * @self: a response
 *
 * Returns: how many connections were made for the request, its redirects included; 0 when open
 * ones were used
 */
guint
morrow_http_response_get_n_connections (MorrowHttpResponse *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->n_connections;
}
