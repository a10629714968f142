/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The title of a page, by libxml2's HTML parser.  What comes from the network may hold anything, so
 * it is cleaned before it is shown: a title could otherwise carry a terminal's escape sequences.
 */
#include "config.h"

#include "page.h"

#include <libxml/HTMLparser.h>
#include <string.h>

static char *
clean_text (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *clean = g_string_new (NULL);

  for (const char *c = valid; *c != '\0'; c = g_utf8_next_char (c))
    {
      gunichar letter = g_utf8_get_char (c);

      if (g_unichar_isgraph (letter))
        g_string_append_unichar (clean, letter);
      else if (clean->len > 0 && clean->str[clean->len - 1] != ' ')
        g_string_append_c (clean, ' ');
    }

  return g_strchomp (g_string_free (clean, FALSE));
}

static xmlNode *
find_title (xmlNode *node)
{
  for (; node != NULL; node = node->next)
    {
      xmlNode *found;

      if (node->type != XML_ELEMENT_NODE)
        continue;
      if (xmlStrcasecmp (node->name, BAD_CAST "title") == 0)
        return node;
      /* The title of a page stands in its head; one in an SVG picture in the body is another. */
      if (xmlStrcasecmp (node->name, BAD_CAST "body") == 0)
        continue;
      found = find_title (node->children);
      if (found != NULL)
        return found;
    }

  return NULL;
}

/* The charset of a Content-Type such as "text/html; charset=utf-8"; NULL where it says none. */
static char *
dup_charset (const char *content_type)
{
  const char *charset = content_type != NULL ? strcasestr (content_type, "charset=") : NULL;

  if (charset == NULL)
    return NULL;
  charset += strlen ("charset=") + (charset[strlen ("charset=")] == '"');

  return g_strndup (charset, strcspn (charset, "\"; \t"));
}

static char *
dup_title (GBytes *body, const char *content_type)
{
  gsize size;
  const char *text = g_bytes_get_data (body, &size);
  g_autofree char *charset = dup_charset (content_type);
  char *title = NULL;
  htmlDocPtr document;
  xmlNode *node;

  if (size == 0 || size > G_MAXINT)
    return NULL;

  document = htmlReadMemory (text, size, NULL, charset,
                             HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
  if (document == NULL)
    return NULL;

  node = find_title (xmlDocGetRootElement (document));
  if (node != NULL)
    {
      xmlChar *content = xmlNodeGetContent (node);

      title = clean_text ((const char *) content);
      xmlFree (content);
    }
  xmlFreeDoc (document);

  return title;
}

static gboolean
is_html (const char *content_type)
{
  return content_type == NULL || strcasestr (content_type, "html") != NULL;
}

char *
page_describe (GBytes *body, const char *content_type)
{
  g_autofree char *title = is_html (content_type) ? dup_title (body, content_type) : NULL;

  if (title != NULL && *title != '\0')
    return g_steal_pointer (&title);

  return clean_text (content_type != NULL ? content_type : "no content type");
}
