/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The terminal, as far as a table and some bars need one.  Text is built in a GString and written in
 * one go; nothing here keeps a state of the screen.
 */
#include "config.h"

#include "terminal.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEFAULT_WIDTH  80
#define DEFAULT_HEIGHT 24

static const char *const ink_codes[] =
{
  [INK_PLAIN]      = NULL,
  [INK_BOLD]       = "1",
  [INK_FAINT]      = "2",
  [INK_WAITING]    = "2",
  [INK_CONNECTING] = "33",
  [INK_FIRST_BYTE] = "34",
  [INK_BODY]       = "32",
  [INK_FAILED]     = "31"
};

Terminal
terminal_detect (void)
{
  const char *type = g_getenv ("TERM"), *no_colour = g_getenv ("NO_COLOR");
  Terminal terminal;

  terminal.is_terminal = isatty (STDOUT_FILENO) && g_strcmp0 (type, "dumb") != 0;
  terminal.has_colour = terminal.is_terminal && (no_colour == NULL || *no_colour == '\0');
  terminal.is_utf8 = MB_CUR_MAX > 1;

  return terminal;
}

int
terminal_get_width (void)
{
  struct winsize size;

  return ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : DEFAULT_WIDTH;
}

int
terminal_get_height (void)
{
  struct winsize size;

  return ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : DEFAULT_HEIGHT;
}

void
terminal_append (const Terminal *terminal, GString *out, Ink ink, const char *text)
{
  if (!terminal->has_colour || ink_codes[ink] == NULL)
    g_string_append (out, text);
  else
    g_string_append_printf (out, "\033[%sm%s\033[0m", ink_codes[ink], text);
}

static int
letter_width (const char *text)
{
  gunichar letter = g_utf8_get_char (text);

  return g_unichar_iszerowidth (letter) ? 0 : g_unichar_iswide (letter) ? 2 : 1;
}

int
terminal_text_width (const char *text)
{
  int width = 0;

  for (; *text != '\0'; text = g_utf8_next_char (text))
    width += letter_width (text);

  return width;
}

const char *
terminal_text_end (const char *text, int columns)
{
  int width = terminal_text_width (text);

  for (; *text != '\0' && width > columns; text = g_utf8_next_char (text))
    width -= letter_width (text);

  return text;
}

void
terminal_append_words (GString *out, const char *text, int column, int indent, int width)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);

  for (char **word = words; *word != NULL; word++)
    {
      int needed = terminal_text_width (*word);

      if (word != words && column + 1 + needed > width)
        {
          g_string_append_printf (out, "\n%*s", indent, "");
          column = indent;
        }
      else if (word != words)
        {
          g_string_append_c (out, ' ');
          column++;
        }
      g_string_append (out, *word);
      column += needed;
    }
}

gboolean
terminal_write (const GString *text)
{
  gsize written = 0;

  while (written < text->len)
    {
      gssize n = write (STDOUT_FILENO, text->str + written, text->len - written);

      if (n < 0)
        return FALSE;
      written += n;
    }
  return TRUE;
}
