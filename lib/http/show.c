/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told in an error may come from anybody: a redirect goes where its server likes, and a
 * certificate has the name that its maker gave it. A GError is in UTF-8, and ends on somebody's
 * terminal, which obeys control characters, or in a log, where no password belongs. */

#include "config.h"

#include <curl/curl.h>
#include <string.h>

#include "http/show-private.h"

#define SCHEME_LETTERS G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "+-."

/* Gives one line of valid UTF-8 without control characters: what is neither a space nor to be
 * seen is written as URLs write bytes, %1B. The caller's. */
char *
morrow__show_text (const char *text)
{
  GString *shown = g_string_new (NULL);

  while (*text != '\0')
    {
      gunichar letter = g_utf8_get_char_validated (text, -1);
      gsize len = 1;

      /* What is not valid is no letter that can be seen. Of one that cannot be seen the first byte
       * is written, and without it the others are not valid. */
      if (letter == ' ' || g_unichar_isgraph (letter))
        g_string_append_len (shown, text, len = g_unichar_to_utf8 (letter, NULL));
      else
        g_string_append_printf (shown, "%%%02X", (guchar) *text);
      text += len;
    }
  return g_string_free (shown, FALSE);
}

/* By curl's parser; NULL when it is no URL. */
static char *
drop_user (const char *url)
{
  CURLU *parts = curl_url ();
  char *text = NULL;
  char *copy;

  if (curl_url_set (parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
    {
      curl_url_set (parts, CURLUPART_USER, NULL, 0);
      curl_url_set (parts, CURLUPART_PASSWORD, NULL, 0);
      curl_url_get (parts, CURLUPART_URL, &text, 0);
    }
  copy = g_strdup (text);
  curl_free (text);
  curl_url_cleanup (parts);
  return copy;
}

/* What is no URL may hold a secret anywhere before its last @. */
static char *
cut_user (const char *text)
{
  gsize kept = strspn (text, SCHEME_LETTERS);

  kept = g_str_has_prefix (text + kept, "://") ? kept + strlen ("://") : 0;
  return g_strdup_printf ("%.*s...%s", (int) kept, text, strrchr (text, '@'));
}

/* Leaves out a user's name and password, which somebody may have mistyped: it need be no URL. The
 * caller's. */
char *
morrow__url_without_user (const char *url)
{
  char *text;

  if (strchr (url, '@') == NULL)
    return g_strdup (url);

  text = drop_user (url);
  return text != NULL ? text : cut_user (url);
}

/* Whatever it is, it is shown: without a user's name and password, and as any text is. The
 * caller's. */
char *
morrow__show_url (const char *url)
{
  g_autofree char *text = morrow__url_without_user (url);

  return morrow__show_text (text);
}
