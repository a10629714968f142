/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two pipes tie the server to us.  It reads the one as its standard input and ends when that does;
 * only we hold the other end.  Its standard output is the other: the base URL comes as the first
 * line, and its end tells, without a sleep or a signal handler, that the server has ended.
 *
 * g_spawn, not GSubprocess, which would start GLib's worker thread: programs that count their
 * threads, or fork, use this.
 */

#include "config.h"

#include "server/launch.h"

#include "server/standard.h"

#include <errno.h>
#include <gio/gio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "morrow-testserver"
#define START_SECONDS 30
#define STOP_SECONDS 5
#define BUILD_TREE_DEPTH 4

struct _MorrowTestServer
{
  char  *url;
  pid_t  pid;       /* 0 once it has been reaped. */
  int    stdin_fd;  /* Nothing is ever written to it. */
  int    stdout_fd; /* At its end when the server has ended. */
};

/* Finding the program --------------------------------------------------------------------------- */

/* The one of the build tree that @directory is in; (nullable) (transfer full). */
static char *
find_in_build_tree (const char *directory)
{
  g_autofree char *level = g_strdup (directory);

  for (int i = 0; i < BUILD_TREE_DEPTH; i++)
    {
      g_autofree char *mark = g_build_filename (level, "config.status", NULL);
      char *parent;

      if (g_file_test (mark, G_FILE_TEST_EXISTS))
        return g_build_filename (level, "compare", PROGRAM, NULL);

      parent = g_path_get_dirname (level);
      g_free (level);
      level = parent;
    }

  return NULL;
}

static gboolean
is_program (const char *path)
{
  return path != NULL && g_file_test (path, G_FILE_TEST_IS_EXECUTABLE);
}

/*
 * What MORROW_TESTSERVER names; the one of the build tree that our executable stands in; the one
 * that was installed beside it; the one in the configured libexecdir.
 */
static char *
find_program (void)
{
  const char *named = g_getenv ("MORROW_TESTSERVER");
  g_autofree char *executable = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *directory = executable != NULL ? g_path_get_dirname (executable) : NULL;
  g_autofree char *built = directory != NULL ? find_in_build_tree (directory) : NULL;
  g_autofree char *beside
    = directory != NULL
        ? g_build_filename (directory, "..", "libexec", "morrow", PROGRAM, NULL)
        : NULL;

  if (named != NULL && *named != '\0')
    return g_strdup (named);
  if (is_program (built))
    return g_steal_pointer (&built);
  if (is_program (beside))
    return g_steal_pointer (&beside);
  return g_build_filename (MORROW_LIBEXECDIR, PROGRAM, NULL);
}

/* Starting -------------------------------------------------------------------------------------- */

static GStrv
make_argv (const char *path, const char *const *args)
{
  GStrvBuilder *builder = g_strv_builder_new ();
  g_autofree char *parent = g_strdup_printf ("--parent=%d", (int) getpid ());
  GStrv argv;

  g_strv_builder_add_many (builder, path, "--stdin", parent, NULL);
  if (args != NULL)
    g_strv_builder_addv (builder, (const char **) args);
  argv = g_strv_builder_end (builder);
  g_strv_builder_unref (builder);
  return argv;
}

/*
 * Waits for @events or the other end to be closed; FALSE when the deadline passes first.  Without
 * events it is the closed end alone that counts, whatever is still to be read.
 */
static gboolean
wait_pipe (int fd, short events, gint64 deadline)
{
  for (;;)
    {
      struct pollfd poll_fd = { .fd = fd, .events = events };
      gint64 left = MAX (deadline - g_get_monotonic_time (), 0);
      int n = poll (&poll_fd, 1, (int) ((left + 999) / 1000));

      if (n > 0)
        return TRUE;
      if (n == 0 || errno != EINTR)
        return FALSE;
    }
}

/* Reads the first line, without its end. */
static gboolean
read_url (MorrowTestServer *self, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + START_SECONDS * G_USEC_PER_SEC;
  g_autoptr (GString) line = g_string_new (NULL);

  while (wait_pipe (self->stdout_fd, POLLIN, deadline))
    {
      char c;
      ssize_t n = read (self->stdout_fd, &c, 1);

      if (n == 1 && c == '\n')
        {
          self->url = g_string_free (g_steal_pointer (&line), FALSE);
          return TRUE;
        }
      if (n == 1)
        g_string_append_c (line, c);
      else if (n == 0 || errno != EINTR)
        {
          g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
                       "The test server ended before it listened");
          return FALSE;
        }
    }

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
               "The test server does not listen after %d s", START_SECONDS);
  return FALSE;
}

/*
 * Starts the server at @path and waits until it listens.  @path NULL: it is looked for.  @args, a
 * NULL-terminated list or NULL, are more of its options.  NULL with @error when it cannot be.
 */
MorrowTestServer *
test_server_start_with_args (const char *path, const char *const *args, GError **error)
{
  g_autofree char *found = path == NULL ? find_program () : NULL;
  const char *program = path != NULL ? path : found;
  g_auto (GStrv) argv = make_argv (program, args);
  MorrowTestServer *self = g_new0 (MorrowTestServer, 1);
  GPid pid;

  standard_open ();
  if (!g_spawn_async_with_pipes (NULL, argv, NULL,
                                 G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_CLOEXEC_PIPES, NULL, NULL,
                                 &pid, &self->stdin_fd, &self->stdout_fd, NULL, error))
    {
      g_prefix_error (error, "Cannot start the test server %s: ", program);
      g_free (self);
      return NULL;
    }

  self->pid = pid;
  if (!read_url (self, error))
    {
      test_server_stop (self);
      return NULL;
    }
  return self;
}

/* test_server_start_with_args () without more options. */
MorrowTestServer *
test_server_start (const char *path, GError **error)
{
  return test_server_start_with_args (path, NULL, error);
}

/* Its base URL, such as http://127.0.0.1:40321, without a slash at the end. */
const char *
test_server_get_url (MorrowTestServer *self)
{
  return self->url;
}

/* Its process; 0 when it was killed. */
pid_t
test_server_get_pid (MorrowTestServer *self)
{
  return self->pid;
}

/* Ending ---------------------------------------------------------------------------------------- */

static void
reap (MorrowTestServer *self)
{
  while (waitpid (self->pid, NULL, 0) < 0 && errno == EINTR)
    ;
  self->pid = 0;
}

/* Ends the server on the spot, its connections with it; its port is closed on return. */
void
test_server_kill (MorrowTestServer *self)
{
  if (self->pid == 0)
    return;

  kill (self->pid, SIGKILL);
  reap (self);
}

/* Asks the server to end, sees that it does, and frees self.  NULL does nothing. */
void
test_server_stop (MorrowTestServer *self)
{
  if (self == NULL)
    return;

  close (self->stdin_fd);
  if (self->pid != 0)
    {
      kill (self->pid, SIGTERM);
      if (wait_pipe (self->stdout_fd, 0,
                     g_get_monotonic_time () + STOP_SECONDS * G_USEC_PER_SEC))
        reap (self);
      else
        test_server_kill (self);
    }
  close (self->stdout_fd);
  g_free (self->url);
  g_free (self);
}
