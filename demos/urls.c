/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads a list of URLs, and shows them.  A # inside a URL is its fragment, so a comment is a # that
 * begins the line or follows a blank.
 */
#include "config.h"

#include "urls.h"

#include <string.h>

#define N_SITES 10

static void
cut_comment (char *line)
{
  for (char *c = line; *c != '\0'; c++)
    if (*c == '#' && (c == line || g_ascii_isspace (c[-1])))
      {
        *c = '\0';
        return;
      }
}

GStrv
urls_read_file (const char *path, GError **error)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_auto (GStrv) urls = NULL;

  if (!g_file_get_contents (path, &text, NULL, error))
    return NULL;
  if (!g_utf8_validate (text, -1, NULL))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "'%s' is not a text in UTF-8", path);
      return NULL;
    }

  lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    {
      cut_comment (*line);
      if (*g_strstrip (*line) != '\0')
        g_strv_builder_add (builder, *line);
    }

  urls = g_strv_builder_end (builder);
  if (*urls == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "no URL in '%s'", path);
      return NULL;
    }

  return g_steal_pointer (&urls);
}

GStrv
urls_new_sites (const char *base)
{
  GStrv urls = g_new0 (char *, N_SITES + 1);

  for (int i = 0; i < N_SITES; i++)
    urls[i] = g_strdup_printf ("%s/site/%d", base, i + 1);

  return urls;
}

/* What is no URL may hold a secret anywhere before its last @. */
char *
urls_show_one (const char *url)
{
  const char *at = strrchr (url, '@');
  g_autoptr (GUri) uri = NULL;

  if (at == NULL)
    return g_strdup (url);

  uri = g_uri_parse (url, G_URI_FLAGS_ENCODED | G_URI_FLAGS_PARSE_RELAXED, NULL);
  if (uri == NULL || g_uri_get_host (uri) == NULL)
    return g_strconcat ("...", at, NULL);
  if (g_uri_get_userinfo (uri) == NULL)
    return g_strdup (url);

  return g_uri_to_string_partial (uri, G_URI_HIDE_USERINFO);
}

GStrv
urls_show (const GStrv urls)
{
  guint n = g_strv_length (urls);
  GStrv shown = g_new0 (char *, n + 1);

  for (guint i = 0; i < n; i++)
    shown[i] = urls_show_one (urls[i]);

  return shown;
}
