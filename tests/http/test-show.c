/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text from elsewhere, made fit to be shown. */

#include "morrow-check.h"

#include "http/show-private.h"

typedef struct
{
  const char *text;
  const char *shown;
} Shown;

static void
assert_shown (char *(*show) (const char *), const Shown *cases, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *shown = show (cases[i].text);

      ck_assert_str_eq (shown, cases[i].shown);
    }
}

START_TEST (show_text_keeps_what_can_be_seen)
{
  static const Shown cases[] = {
    { "", "" },
    { "http://127.0.0.1/a b?c=%1B#d", "http://127.0.0.1/a b?c=%1B#d" },
    { "b\xc3\xbc" "cher \xe6\x97\xa5\xe6\x9c\xac", "b\xc3\xbc" "cher \xe6\x97\xa5\xe6\x9c\xac" },
  };

  assert_shown (morrow__show_text, cases, G_N_ELEMENTS (cases));
}
END_TEST

START_TEST (show_text_writes_control_characters_as_bytes)
{
  static const Shown cases[] = {
    { "\x1b[31mred\x7f", "%1B[31mred%7F" },
    { "one\r\ntwo\t", "one%0D%0Atwo%09" },
    { "\xc2\x9b" "2J", "%C2%9B2J" },              /* a terminal's other escape */
    { "\xe2\x80\xae" "txt.exe", "%E2%80%AEtxt.exe" },   /* turns the writing round */
  };

  assert_shown (morrow__show_text, cases, G_N_ELEMENTS (cases));
}
END_TEST

START_TEST (show_text_writes_what_is_not_utf8_as_bytes)
{
  static const Shown cases[] = {
    { "ftp://\xff\xfe/", "ftp://%FF%FE/" },
    { "cut \xe6\x97", "cut %E6%97" },
    { "\xc0\x80 \xed\xa0\x80", "%C0%80 %ED%A0%80" },
  };

  assert_shown (morrow__show_text, cases, G_N_ELEMENTS (cases));
}
END_TEST

START_TEST (show_url_hides_who_asks)
{
  static const Shown cases[] = {
    { "http://127.0.0.1/@x", "http://127.0.0.1/@x" },
    { "http://user:secret@127.0.0.1/@x", "http://127.0.0.1/@x" },
    { "http://user@127.0.0.1/", "http://127.0.0.1/" },
    { "ftp://user:secret@127.0.0.1/", "ftp://127.0.0.1/" },
    { "unheard-of://user:secret@127.0.0.1/", "unheard-of://127.0.0.1/" },
  };

  assert_shown (morrow__show_url, cases, G_N_ELEMENTS (cases));
}
END_TEST

START_TEST (show_url_hides_who_asks_in_what_is_no_url)
{
  static const Shown cases[] = {
    { "http://user:secret@127.0.0.1:99999/", "http://...@127.0.0.1:99999/" },
    { "http://user:sec/ret@127.0.0.1/", "http://...@127.0.0.1/" },
    { "http://user:sec@ret@127.0.0.1:x/", "http://...@127.0.0.1:x/" },
    { "http://user:se cret@127.0.0.1/", "http://...@127.0.0.1/" },
    { "http://user:\x1b" "secret@127.0.0.1/\x1b", "http://...@127.0.0.1/%1B" },
    { "user:secret@127.0.0.1/", "...@127.0.0.1/" },
    { "//user:secret@127.0.0.1/", "...@127.0.0.1/" },
    { "@", "...@" },
  };

  assert_shown (morrow__show_url, cases, G_N_ELEMENTS (cases));
}
END_TEST

static Suite *
show_suite (void)
{
  Suite *suite = suite_create ("show");
  TCase *tcase = tcase_create ("show");

  tcase_add_test (tcase, show_text_keeps_what_can_be_seen);
  tcase_add_test (tcase, show_text_writes_control_characters_as_bytes);
  tcase_add_test (tcase, show_text_writes_what_is_not_utf8_as_bytes);
  tcase_add_test (tcase, show_url_hides_who_asks);
  tcase_add_test (tcase, show_url_hides_who_asks_in_what_is_no_url);
  suite_add_tcase (suite, tcase);
  return suite;
}

MORROW_CHECK_MAIN (show_suite)
