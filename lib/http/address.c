/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* URLs: parsed by curl's own parser, so that what we have checked is what curl uses. */

#include "config.h"

#include <string.h>

#include "http/address-private.h"
#include "http/error-private.h"

static char *
get_part (CURLU *url, CURLUPart part, unsigned flags)
{
  char *text = NULL;
  char *copy;

  if (curl_url_get (url, part, &text, flags) != CURLUE_OK)
    return NULL;
  copy = g_strdup (text);
  curl_free (text);
  return copy;
}

static void
clear_parts (MorrowAddress *self)
{
  g_clear_pointer (&self->text, g_free);
  g_clear_pointer (&self->shown, g_free);
  g_clear_pointer (&self->host, g_free);
  g_clear_pointer (&self->port, g_free);
  g_clear_pointer (&self->origin, g_free);
}

void
morrow__address_clear (MorrowAddress *self)
{
  clear_parts (self);
  curl_url_cleanup (g_steal_pointer (&self->url));
}

/* The URL as it may be shown. */
static char *
without_password (CURLU *url, const char *text)
{
  CURLU *copy;
  char *shown;

  if (strchr (text, '@') == NULL)
    return g_strdup (text);

  copy = curl_url_dup (url);
  curl_url_set (copy, CURLUPART_USER, NULL, 0);
  curl_url_set (copy, CURLUPART_PASSWORD, NULL, 0);
  shown = get_part (copy, CURLUPART_URL, 0);
  curl_url_cleanup (copy);
  return shown;
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

/* Takes the URL apart. An address of IPv6 stands in brackets. */
static gboolean
take_parts (MorrowAddress *self, GError **error)
{
  g_autofree char *scheme = get_part (self->url, CURLUPART_SCHEME, 0);

  if (!check_scheme (scheme, error))
    return FALSE;

  clear_parts (self);
  self->text = get_part (self->url, CURLUPART_URL, 0);
  self->host = get_part (self->url, CURLUPART_HOST, CURLU_PUNYCODE);
  self->port = get_part (self->url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if (self->text == NULL || self->host == NULL || self->port == NULL)
    {
      morrow__http_error_set (error, CURLE_URL_MALFORMAT,
                              "Its host's name is not one that can be looked up");
      return FALSE;
    }

  self->shown = without_password (self->url, self->text);
  self->is_numeric = self->host[0] == '[' || g_hostname_is_ip_address (self->host);
  self->origin = g_strconcat (scheme, "://", self->host, ":", self->port, NULL);
  return TRUE;
}

static gboolean
set_url (MorrowAddress *self, const char *text, unsigned flags, GError **error)
{
  CURLUcode code = curl_url_set (self->url, CURLUPART_URL, text, flags | CURLU_NON_SUPPORT_SCHEME);

  if (code == CURLUE_OK)
    return TRUE;

  morrow__http_error_set (error, CURLE_URL_MALFORMAT, "%s", curl_url_strerror (code));
  return FALSE;
}

/* Fails on what is no URL, and on one that is neither http nor https. */
gboolean
morrow__address_parse (MorrowAddress *self, const char *uri, GError **error)
{
  *self = (MorrowAddress) { .url = curl_url () };

  return set_url (self, uri, 0, error) && take_parts (self, error);
}

/* Goes where a response's Location says, which may be relative, and which servers do not always
 * encode as they should. */
gboolean
morrow__address_follow (MorrowAddress *self, const char *location, GError **error)
{
  return set_url (self, location, CURLU_URLENCODE, error) && take_parts (self, error);
}
