/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* URLs: parsed by curl's own parser, so that what we have checked is what curl uses. */

#include "config.h"

#include <string.h>

#include "http/address-private.h"
#include "http/error-private.h"
#include "http/show-private.h"

/* The caller's, by curl's allocator; NULL when there is no such part. */
static char *
get_part (CURLU *url, CURLUPart part, unsigned flags)
{
  char *text = NULL;

  return curl_url_get (url, part, &text, flags) == CURLUE_OK ? text : NULL;
}

static void
clear_parts (MorrowAddress *self)
{
  g_clear_pointer (&self->text, g_free);
  g_clear_pointer (&self->public_text, g_free);
  g_clear_pointer (&self->origin, g_free);
  g_clear_pointer (&self->host, curl_free);
  g_clear_pointer (&self->port, curl_free);
}

void
morrow__address_clear (MorrowAddress *self)
{
  clear_parts (self);
  curl_url_cleanup (g_steal_pointer (&self->url));
}

static char *
get_text (CURLU *url)
{
  char *text = get_part (url, CURLUPART_URL, 0);
  char *copy = g_strdup (text);

  curl_free (text);
  return copy;
}

static gboolean
check_scheme (const char *scheme, GError **error)
{
  if (g_strcmp0 (scheme, "http") == 0 || g_strcmp0 (scheme, "https") == 0)
    return TRUE;

  morrow__http_error_set (error, CURLE_UNSUPPORTED_PROTOCOL, "%s is neither http nor https",
                          scheme);
  return FALSE;
}

/* Takes the text, and takes the URL apart. An address of IPv6 stands in brackets. */
static gboolean
take_parts (MorrowAddress *self, const char *scheme, char *text, GError **error)
{
  clear_parts (self);
  self->text = text;
  if (strchr (text, '@') != NULL)
    self->public_text = morrow__url_without_user (text);

  self->host = get_part (self->url, CURLUPART_HOST, CURLU_PUNYCODE);
  self->port = get_part (self->url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if (self->host == NULL || self->port == NULL)
    {
      morrow__http_error_set (error, CURLE_URL_MALFORMAT,
                              "Its host's name is not one that can be looked up");
      return FALSE;
    }

  self->is_numeric = self->host[0] == '[' || g_hostname_is_ip_address (self->host);
  self->origin = g_strconcat (scheme, "://", self->host, ":", self->port, NULL);
  return TRUE;
}

/* Text that is given needs no taking together again. */
static gboolean
go_to (MorrowAddress *self, const char *where, unsigned flags, const char *text, GError **error)
{
  CURLUcode code = curl_url_set (self->url, CURLUPART_URL, where, flags | CURLU_NON_SUPPORT_SCHEME);
  char *scheme;
  gboolean ok;

  if (code != CURLUE_OK)
    {
      morrow__http_error_set (error, CURLE_URL_MALFORMAT, "%s", curl_url_strerror (code));
      return FALSE;
    }

  scheme = get_part (self->url, CURLUPART_SCHEME, 0);
  ok = check_scheme (scheme, error) &&
       take_parts (self, scheme, text != NULL ? g_strdup (text) : get_text (self->url), error);
  curl_free (scheme);
  return ok;
}

/* Fails on what is no URL, and on one that is neither http nor https. curl would take any bytes;
 * a response's URI is text. */
gboolean
morrow__address_parse (MorrowAddress *self, const char *uri, GError **error)
{
  *self = (MorrowAddress) { .url = curl_url () };

  if (!g_utf8_validate (uri, -1, NULL))
    {
      morrow__http_error_set (error, CURLE_URL_MALFORMAT, "It is not in UTF-8");
      return FALSE;
    }
  return go_to (self, uri, 0, uri, error);
}

/* Goes where a response's Location says, which may be relative, and which servers do not always
 * encode as they should. When it fails the address stays where it was. */
gboolean
morrow__address_follow (MorrowAddress *self, const char *location, GError **error)
{
  return go_to (self, location, CURLU_URLENCODE, NULL, error);
}

/* Borrowed. */
const char *
morrow__address_get_public (MorrowAddress *self)
{
  return self->public_text != NULL ? self->public_text : self->text;
}
