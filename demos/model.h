/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one place where a program names its concurrency model: --model becomes a MorrowExecutor here,
 * and nothing else in the demos or in the comparison knows which it is.
 */
#pragma once

#include <morrow/morrow.h>

typedef struct
{
  const char *name;   /* for --model */
  const char *title;  /* for people */
} Model;

/* In the order in which they are compared; ends with a NULL name. */
extern const Model models[];

const Model    *model_find         (const char *name, GError **error);
MorrowExecutor *model_new_executor (const Model *model, guint n_threads);

/* The letters of the environment's locale, or UTF-8 where it names none. */
void            model_set_locale   (void);

/* For a demo's main (): --model, --threads, --help and --version; the entries, or --unit where they are NULL.
 * It ends the program after --help, --version and bad options. */
void            model_init         (int *argc, char ***argv, const char *summary, const GOptionEntry *entries);

/* For n connections at once: threads, up to 64 where --threads does not say, and open files, or a warning that they are too few. */
void            model_make_room    (guint n);

/* Runs a main coroutine under the model that was asked for; what main () returns. */
int             model_run          (MorrowCoroutineFunc func, gpointer data);

/* Prints the error, unless it is the user's Ctrl-C, by which the program then ends; what main () returns. */
int             model_fail         (const GError *error);

/* So many units of time, in seconds: one second each unless --unit says otherwise. */
double          model_units        (double n);

/* Says what is wrong with the usage, and ends the program with status 2. */
void            model_usage_error  (const char *format, ...) G_GNUC_PRINTF (1, 2) G_GNUC_NORETURN;
