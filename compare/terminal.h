/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the standard output is: a terminal or not, how wide, which letters and colours it can show. */
#pragma once

#include <glib.h>

typedef enum
{
  INK_PLAIN,
  INK_BOLD,
  INK_FAINT,
  INK_WAITING,
  INK_CONNECTING,
  INK_FIRST_BYTE,
  INK_BODY,
  INK_FAILED
} Ink;

typedef struct
{
  gboolean is_terminal;
  gboolean has_colour;
  gboolean is_utf8;
} Terminal;

/* Once the locale has been set. */
Terminal terminal_detect      (void);

/* The columns now; it changes when the window does. */
int      terminal_get_width   (void);
int      terminal_get_height  (void);

/* Text in an ink; without colours the text alone. */
void     terminal_append      (const Terminal *terminal, GString *out, Ink ink, const char *text);

/* Columns that a text takes. */
int      terminal_text_width  (const char *text);

/* The longest end of a text that takes at most so many columns. */
const char *terminal_text_end (const char *text, int columns);

/* A text that begins in a column; the words that would go beyond the width begin a new line, indented. */
void     terminal_append_words (GString *out, const char *text, int column, int indent, int width);

/* Everything at once, so that a frame is never seen half drawn. FALSE when not all was taken, and errno says why. */
gboolean terminal_write       (const GString *text);
