/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a program of the build and keeps what it said, for tests that look at programs from outside:
 *
 *     g_autoptr (Program) hello = program_run ("demos/hello", "--model", "threads", NULL);
 *
 *     ck_assert_int_eq (hello->exit_status, 0);
 *     ck_assert_str_eq (hello->out, "hello\nworld\n");
 */
#pragma once

#include <check.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct
{
  char *out;
  char *err;
  int exit_status;   /* -1 when it ended by a signal */
  int signal;        /* 0 when it exited */

  /* Of one that was started and has not been finished. */
  GPid pid;
  int out_fd;
  int err_fd;
} Program;

static inline void
program_free (Program *self)
{
  g_free (self->out);
  g_free (self->err);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Program, program_free)

static inline char *
program_path (const char *name)
{
  const char *top = g_getenv ("MORROW_BUILDDIR");

  return g_build_filename (top != NULL ? top : ".", name, NULL);
}

static inline void
program_set_status (Program *self, int wait_status)
{
  self->exit_status = WIFEXITED (wait_status) ? WEXITSTATUS (wait_status) : -1;
  self->signal = WIFSIGNALED (wait_status) ? WTERMSIG (wait_status) : 0;
}

static inline GPtrArray *
program_arguments (const char *name, va_list list)
{
  GPtrArray *arguments = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_add (arguments, program_path (name));
  for (const char *argument = va_arg (list, const char *); argument != NULL; argument = va_arg (list, const char *))
    g_ptr_array_add (arguments, g_strdup (argument));
  g_ptr_array_add (arguments, NULL);

  return arguments;
}

static inline Program *
program_run_arguments (GPtrArray *arguments)
{
  Program *self = g_new0 (Program, 1);
  g_autoptr (GError) error = NULL;
  int wait_status = 0;

  if (!g_spawn_sync (NULL, (char **) arguments->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL,
                     &self->out, &self->err, &wait_status, &error))
    ck_abort_msg ("%s", error->message);
  program_set_status (self, wait_status);

  return self;
}

/* In pipes, to its end.  The list of arguments ends with NULL. */
G_GNUC_NULL_TERMINATED
static inline Program *
program_run (const char *name, ...)
{
  g_autoptr (GPtrArray) arguments = NULL;
  va_list list;

  va_start (list, name);
  arguments = program_arguments (name, list);
  va_end (list);

  return program_run_arguments (arguments);
}

/* The same, in a process that a shell has prepared: by "ulimit -n 64", or "exec <&-". */
G_GNUC_NULL_TERMINATED
static inline Program *
program_run_after (const char *preparation, const char *name, ...)
{
  g_autofree char *script = g_strconcat (preparation, "; exec \"$0\" \"$@\"", NULL);
  g_autoptr (GPtrArray) arguments = NULL;
  va_list list;

  va_start (list, name);
  arguments = program_arguments (name, list);
  va_end (list);
  g_ptr_array_insert (arguments, 0, g_strdup ("/bin/sh"));
  g_ptr_array_insert (arguments, 1, g_strdup ("-c"));
  g_ptr_array_insert (arguments, 2, g_steal_pointer (&script));

  return program_run_arguments (arguments);
}

/* In pipes, up to its start: program_finish () goes on. */
G_GNUC_NULL_TERMINATED
static inline Program *
program_start (const char *name, ...)
{
  Program *self = g_new0 (Program, 1);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) arguments = NULL;
  va_list list;

  va_start (list, name);
  arguments = program_arguments (name, list);
  va_end (list);

  if (!g_spawn_async_with_pipes (NULL, (char **) arguments->pdata, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                                 &self->pid, NULL, &self->out_fd, &self->err_fd, &error))
    ck_abort_msg ("%s: %s", name, error->message);

  return self;
}

static inline char *
program_read (int fd)
{
  g_autoptr (GString) text = g_string_new (NULL);
  char bytes[4096];
  gssize n;

  while ((n = read (fd, bytes, sizeof bytes)) > 0)
    g_string_append_len (text, bytes, n);
  close (fd);

  return g_strdup (text->str);
}

/* Waits for its end.  It must not say more on its standard error than a pipe holds. */
static inline void
program_finish (Program *self)
{
  int wait_status = 0;

  self->out = program_read (self->out_fd);
  self->err = program_read (self->err_fd);
  ck_assert_int_eq (waitpid (self->pid, &wait_status, 0), self->pid);
  program_set_status (self, wait_status);
}

/* On a terminal of so many columns, to its end; out is all that the terminal was sent.  Where awaited is not NULL, Ctrl-C
 * is typed as soon as the program has said that. */
G_GNUC_NULL_TERMINATED
static inline Program *
program_run_on_terminal (int columns, const char *awaited, const char *name, ...)
{
  Program *self = g_new0 (Program, 1);
  struct winsize size = { .ws_row = 50, .ws_col = columns };
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (GPtrArray) arguments = NULL;
  char bytes[4096];
  int master, wait_status = 0;
  va_list list;
  gssize n;
  pid_t pid;

  va_start (list, name);
  arguments = program_arguments (name, list);
  va_end (list);

  pid = forkpty (&master, NULL, NULL, &size);
  ck_assert_int_ge (pid, 0);
  if (pid == 0)
    {
      setenv ("TERM", "xterm", 1);
      execv (arguments->pdata[0], (char **) arguments->pdata);
      _exit (127);
    }

  while ((n = read (master, bytes, sizeof bytes)) > 0)
    {
      g_string_append_len (out, bytes, n);
      if (awaited != NULL && strstr (out->str, awaited) != NULL)
        {
          ck_assert_int_eq (write (master, "\003", 1), 1);
          awaited = NULL;
        }
    }
  ck_assert_int_eq (waitpid (pid, &wait_status, 0), pid);
  close (master);

  program_set_status (self, wait_status);
  self->out = g_string_free (g_steal_pointer (&out), FALSE);
  self->err = g_strdup ("");

  return self;
}

/* Starts it, waits until it has said so much on its output, sends it a signal, waits for its end. */
G_GNUC_NULL_TERMINATED
static inline Program *
program_run_until (const char *awaited, int signal, const char *name, ...)
{
  Program *self = g_new0 (Program, 1);
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) arguments = NULL;
  gboolean is_sent = FALSE;
  int wait_status = 0, out_fd;
  char bytes[4096];
  va_list list;
  gssize n;
  GPid pid;

  va_start (list, name);
  arguments = program_arguments (name, list);
  va_end (list);

  if (!g_spawn_async_with_pipes (NULL, (char **) arguments->pdata, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                                 &pid, NULL, &out_fd, NULL, &error))
    ck_abort_msg ("%s: %s", name, error->message);

  while ((n = read (out_fd, bytes, sizeof bytes)) > 0)
    {
      g_string_append_len (out, bytes, n);
      if (!is_sent && strstr (out->str, awaited) != NULL)
        {
          kill (pid, signal);
          is_sent = TRUE;
        }
    }
  ck_assert_int_eq (waitpid (pid, &wait_status, 0), pid);
  close (out_fd);

  program_set_status (self, wait_status);
  self->out = g_string_free (g_steal_pointer (&out), FALSE);
  self->err = g_strdup ("");

  return self;
}

static inline int
program_compare_lines (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* The lines of a text in alphabetical order: equal for two texts that have the same lines. */
static inline char *
program_sort_lines (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  qsort (lines, g_strv_length (lines), sizeof *lines, program_compare_lines);

  return g_strjoinv ("\n", lines);
}
