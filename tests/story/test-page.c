/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What gather-urls says of a page: its title, whatever the page has in it. */
#include "morrow-check.h"

#include <string.h>

#include "demos/page.h"

typedef struct
{
  const char *body;
  const char *content_type;
  const char *described;
} Page;

static void
assert_described (const Page *pages, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autoptr (GBytes) body = g_bytes_new (pages[i].body, strlen (pages[i].body));
      g_autofree char *described = page_describe (body, pages[i].content_type);

      ck_assert_str_eq (described, pages[i].described);
    }
}

START_TEST (page_has_the_title_of_its_head)
{
  static const Page pages[] = {
    { "<html><head><title>Tram Times</title></head><body>Late.</body></html>", "text/html", "Tram Times" },
    { "<TITLE>Bread &amp; Salt</TITLE><p>No head, no body.", "text/html", "Bread & Salt" },
    { "<title>\n  Two\n  lines\t</title>", "text/html", "Two lines" },
    { "<title>First</title><title>Second</title>", "text/html", "First" },
    { "<title>Unsaid</title>", NULL, "Unsaid" },
    { "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>X</title></head></html>", "application/xhtml+xml", "X" },
  };

  assert_described (pages, G_N_ELEMENTS (pages));
}
END_TEST

START_TEST (page_is_read_in_the_charset_that_it_says)
{
  static const Page pages[] = {
    { "<title>caf\xe9</title>", "text/html; charset=iso-8859-1", "caf\xc3\xa9" },
    { "<title>caf\xc3\xa9</title>", "text/html; charset=utf-8", "caf\xc3\xa9" },
    { "<title>caf\xc3\xa9</title>", "text/html; Charset=\"UTF-8\"; x=y", "caf\xc3\xa9" },
    { "<meta charset=\"utf-8\"><title>caf\xc3\xa9</title>", "text/html", "caf\xc3\xa9" },
    { "<meta charset=\"iso-8859-1\"><title>caf\xe9</title>", "text/html", "caf\xc3\xa9" },
    { "<title>plain</title>", "text/html; charset=no-such-charset", "plain" },
  };

  assert_described (pages, G_N_ELEMENTS (pages));
}
END_TEST

START_TEST (page_does_not_take_the_title_of_a_picture_for_its_own)
{
  static const Page pages[] = {
    { "<html><head></head><body><svg><title>A cat</title></svg></body></html>", "text/html", "text/html" },
    { "<html><head><title>Cats</title></head><body><svg><title>A cat</title></svg></body></html>", "text/html", "Cats" },
    { "<body><svg><g><title>A cat</title></g></svg>", "text/html", "text/html" },
  };

  assert_described (pages, G_N_ELEMENTS (pages));
}
END_TEST

START_TEST (page_has_no_control_character_in_its_title)
{
  static const Page pages[] = {
    { "<title>\x1b[31mred\x07</title>", "text/html", "[31mred" },
    { "<title>&#27;[31mred</title>", "text/html", "[31mred" },
    { "<title>one\xc2\x9b" "2Jtwo</title>", "text/html; charset=utf-8", "one 2Jtwo" },
    { "<title>left \xe2\x80\xae right</title>", "text/html; charset=utf-8", "left right" },
  };

  assert_described (pages, G_N_ELEMENTS (pages));
}
END_TEST

START_TEST (page_without_a_title_has_its_content_type)
{
  static const Page pages[] = {
    { "<p>Nothing.", "text/html", "text/html" },
    { "<title> </title>", "text/html; charset=utf-8", "text/html; charset=utf-8" },
    { "", "text/html", "text/html" },
    { "", NULL, "no content type" },
    { "{\"is\": \"<title>No page</title>\"}", "application/json", "application/json" },
    { "", "text/\x1b[31mred\xff", "text/ [31mred\xef\xbf\xbd" },
  };

  assert_described (pages, G_N_ELEMENTS (pages));
}
END_TEST

static Suite *
page_suite (void)
{
  Suite *suite = suite_create ("page");
  TCase *tcase = tcase_create ("describe");

  tcase_add_test (tcase, page_has_the_title_of_its_head);
  tcase_add_test (tcase, page_is_read_in_the_charset_that_it_says);
  tcase_add_test (tcase, page_does_not_take_the_title_of_a_picture_for_its_own);
  tcase_add_test (tcase, page_has_no_control_character_in_its_title);
  tcase_add_test (tcase, page_without_a_title_has_its_content_type);
  suite_add_tcase (suite, tcase);
  return suite;
}

MORROW_CHECK_MAIN (page_suite)
