/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Models by name, and what every demo's main () does: options in, exit status out.
 *
 * Exit status: 0 when the main coroutine succeeded, 1 when it failed, 2 for wrong usage.  After
 * Ctrl-C the run has cancelled and awaited its tasks, and the program ends by the signal, as a
 * shell expects.
 */
#include "config.h"

#include "model.h"
#include "files.h"

#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>

const Model models[] =
{
  { "sequential", "one after another" },
  { "loop",       "one event loop"    },
  { "threads",    "worker threads"    },
  { "loops",      "several loops"     },
  { NULL,         NULL                }
};

#define MAX_THREADS 1024
#define MAX_DEFAULT_THREADS 64
#define NOT_GIVEN G_MININT

static char *model_name;
static int n_threads = NOT_GIVEN;   /* once the options are checked: 0 for as many as the model has by default */
static guint default_threads = 8;
static double unit = 1.0;

static const Model *chosen;

const Model *
model_find (const char *name, GError **error)
{
  for (const Model *model = models; model->name != NULL; model++)
    if (g_str_equal (model->name, name))
      return model;

  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
               "unknown model '%s': choose loop, threads, loops or sequential", name);
  return NULL;
}

/* n_threads of 0 means as many loops as there are cores. */
MorrowExecutor *
model_new_executor (const Model *model, guint threads)
{
  if (g_str_equal (model->name, "sequential"))
    return morrow_inline_new ();
  if (g_str_equal (model->name, "threads"))
    return morrow_thread_pool_new (threads > 0 ? threads : default_threads);
  if (g_str_equal (model->name, "loops"))
    return morrow_loop_pool_new (threads > 0 ? threads : g_get_num_processors ());

  return morrow_loop_new (NULL);
}

static gboolean
print_version (const char *option, const char *value, gpointer data, GError **error)
{
  g_print ("%s (morrow) %s\n", g_get_prgname (), MORROW_VERSION_STRING);
  exit (EXIT_SUCCESS);
}

void
model_usage_error (const char *format, ...)
{
  va_list arguments;
  g_autofree char *message = NULL;

  va_start (arguments, format);
  message = g_strdup_vprintf (format, arguments);
  va_end (arguments);

  g_printerr ("%s: %s\nTry '%s --help'.\n", g_get_prgname (), message, g_get_prgname ());
  exit (2);
}

static const GOptionEntry model_entries[] =
{
  { "model", 'm', 0, G_OPTION_ARG_STRING, &model_name,
    "Where the tasks run: loop (the default), threads, loops or sequential", "MODEL" },
  { "threads", 't', 0, G_OPTION_ARG_INT, &n_threads,
    "Worker threads, or loops", "N" },
  { "version", 0, G_OPTION_FLAG_NO_ARG, G_OPTION_ARG_CALLBACK, print_version,
    "Print the version", NULL },
  G_OPTION_ENTRY_NULL
};

/* For the demos that are stories, which tell how many units of time they take. */
static const GOptionEntry story_entries[] =
{
  { "unit", 'u', 0, G_OPTION_ARG_DOUBLE, &unit, "Length of the story's unit of time (1)", "SECONDS" },
  G_OPTION_ENTRY_NULL
};

static gboolean
check_options (GError **error)
{
  chosen = model_find (model_name != NULL ? model_name : "loop", error);
  if (chosen == NULL)
    return FALSE;
  if (n_threads == NOT_GIVEN)
    {
      n_threads = 0;
    }
  else if (n_threads < 1 || n_threads > MAX_THREADS)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "--threads is a number from 1 to %d", MAX_THREADS);
      return FALSE;
    }
  if (!isfinite (unit) || unit < 0.0)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--unit is a number of seconds");
      return FALSE;
    }
  return TRUE;
}

/* A bare system sets no locale, and its terminal speaks UTF-8 like any other; who sets LC_ALL=C means it. */
void
model_set_locale (void)
{
  setlocale (LC_CTYPE, "");
  if (g_strcmp0 (setlocale (LC_CTYPE, NULL), "C") == 0 && g_getenv ("LC_ALL") == NULL)
    setlocale (LC_CTYPE, "C.UTF-8");
}

void
model_init (int *argc, char ***argv, const char *summary, const GOptionEntry *entries)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  model_set_locale ();
  g_option_context_set_summary (context, summary);
  g_option_context_add_main_entries (context, entries != NULL ? entries : story_entries, NULL);
  g_option_context_add_main_entries (context, model_entries, NULL);

  if (!g_option_context_parse (context, argc, argv, &error) || !check_options (&error))
    model_usage_error ("%s", error->message);
  if (entries == NULL && *argc > 1)
    model_usage_error ("unexpected argument '%s'", (*argv)[1]);
}

/* How many of n tasks the model has under way at once. */
static guint
count_at_once (guint n)
{
  if (g_str_equal (chosen->name, "sequential"))
    return 1;
  if (g_str_equal (chosen->name, "threads"))
    return MIN (n, n_threads > 0 ? (guint) n_threads : default_threads);

  return n;
}

void
model_make_room (guint n)
{
  g_autofree char *warning = NULL;

  default_threads = MIN (n, MAX_DEFAULT_THREADS);
  warning = files_make_room (count_at_once (n));
  if (warning != NULL)
    g_printerr ("%s: %s\n", g_get_prgname (), warning);
}

double
model_units (double n)
{
  return n * unit;
}

int
model_fail (const GError *error)
{
  if (g_error_matches (error, MORROW_ERROR, MORROW_ERROR_INTERRUPTED))
    {
      signal (SIGINT, SIG_DFL);
      raise (SIGINT);
    }
  g_printerr ("%s: %s\n", g_get_prgname (), error->message);

  return EXIT_FAILURE;
}

int
model_run (MorrowCoroutineFunc func, gpointer data)
{
  g_autoptr (MorrowExecutor) executor = model_new_executor (chosen, n_threads);
  g_autoptr (GError) error = NULL;

  if (!morrow_run_on (executor, morrow_coroutine (func, data, NULL), NULL, &error))
    return model_fail (error);

  return EXIT_SUCCESS;
}
