/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A measured run has a process to itself, so that its CPU time, memory, threads and context switches
 * are its own.  The process is this same program, started as `morrow-compare run-child`:
 *
 *     its standard input   the order, a JSON object (child.h)
 *     its descriptor 3     what it reports, a JSON object a line: {"done": N, "failed": N} while it
 *                          runs, at last the record of the run (run.h)
 *
 * The order is a file in memory, so that thousands of URLs fit and nobody waits for a reader.
 * The parent sleeps in its main loop meanwhile: it shares the machine with what is measured.
 */
#include "config.h"

#include "spawn.h"

#include <fcntl.h>
#include <gio/gunixinputstream.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"

G_DEFINE_QUARK (morrow-compare-spawn-error-quark, spawn_error)

typedef struct
{
  GMainLoop *loop;
  GDataInputStream *reports;
  GPid pid;

  SpawnProgressFunc progress;
  gpointer progress_data;

  Run *run;          /* set by the last report */
  GError *error;     /* the first thing that went wrong */
  int wait_status;
  gboolean exited;
  gboolean read_all;
} Spawn;

static void
quit_when_complete (Spawn *self)
{
  if (self->exited && self->read_all)
    g_main_loop_quit (self->loop);
}

static void
take_report (Spawn *self, const char *line)
{
  g_autoptr (JsonNode) node = json_from_string (line, self->error == NULL ? &self->error : NULL);
  JsonObject *object;

  if (node == NULL || !JSON_NODE_HOLDS_OBJECT (node))
    return;

  object = json_node_get_object (node);
  if (json_object_has_member (object, "model"))
    self->run = run_from_json (node, self->error == NULL ? &self->error : NULL);
  else if (json_object_has_member (object, "error") && self->error == NULL)
    g_set_error_literal (&self->error, SPAWN_ERROR, 0, json_object_get_string_member (object, "error"));
  else if (self->progress != NULL)
    self->progress (json_object_get_int_member (object, "done"),
                    json_object_get_int_member (object, "failed"), self->progress_data);
}

static void
on_line (GObject *source, GAsyncResult *result, gpointer data)
{
  Spawn *self = data;
  g_autofree char *line = g_data_input_stream_read_line_finish (self->reports, result, NULL, NULL);

  if (line == NULL)
    {
      self->read_all = TRUE;
      quit_when_complete (self);
      return;
    }

  take_report (self, line);
  g_data_input_stream_read_line_async (self->reports, G_PRIORITY_DEFAULT, NULL, on_line, self);
}

static void
on_child_exit (GPid pid, int wait_status, gpointer data)
{
  Spawn *self = data;

  self->exited = TRUE;
  self->wait_status = wait_status;
  quit_when_complete (self);
}

/* The run under way, and the signal that came to end it all; the main context's own. */
static Spawn *running;
static int caught_signal;
static guint signal_sources[2];

static gboolean
on_signal (gpointer number)
{
  caught_signal = GPOINTER_TO_INT (number);
  /* The child may be waiting for slow URLs: it is not asked twice. */
  if (running != NULL && !running->exited)
    kill (running->pid, SIGKILL);

  return G_SOURCE_CONTINUE;
}

void
spawn_catch_signals (void)
{
  signal_sources[0] = g_unix_signal_add (SIGINT, on_signal, GINT_TO_POINTER (SIGINT));
  signal_sources[1] = g_unix_signal_add (SIGTERM, on_signal, GINT_TO_POINTER (SIGTERM));
}

void
spawn_release_signals (void)
{
  g_source_remove (signal_sources[0]);
  g_source_remove (signal_sources[1]);
}

/* A descriptor that reads as the order. */
static int
open_order (const Plan *plan, const Model *model, gboolean progress, GError **error)
{
  g_autofree char *order = child_order_to_json (plan, model, progress);
  gsize size = strlen (order), written = 0;
  int fd = memfd_create ("order", MFD_CLOEXEC);

  while (fd >= 0 && written < size)
    {
      gssize n = write (fd, order + written, size - written);

      if (n < 0)
        break;
      written += n;
    }
  if (fd >= 0 && written == size && lseek (fd, 0, SEEK_SET) == 0)
    return fd;

  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
               "cannot hand over the URLs: %s", g_strerror (errno));
  if (fd >= 0)
    close (fd);

  return -1;
}

static gboolean
start_child (Spawn *self, int order_fd, GError **error)
{
  g_autofree char *program = g_file_read_link ("/proc/self/exe", error);
  const char *const arguments[] = { program, CHILD_COMMAND, NULL };
  int pipe_fds[2], report_target = CHILD_REPORT_FD;
  gboolean started;
  GInputStream *stream;

  if (program == NULL || !g_unix_open_pipe (pipe_fds, FD_CLOEXEC, error))
    return FALSE;

  started = g_spawn_async_with_pipes_and_fds (NULL, arguments, NULL,
                                              G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                                              order_fd, -1, -1, &pipe_fds[1], &report_target, 1,
                                              &self->pid, NULL, NULL, NULL, error);
  close (pipe_fds[1]);
  if (!started)
    {
      close (pipe_fds[0]);
      return FALSE;
    }

  stream = g_unix_input_stream_new (pipe_fds[0], TRUE);
  self->reports = g_data_input_stream_new (stream);
  g_object_unref (stream);

  return TRUE;
}

static void
wait_for_child (Spawn *self)
{
  running = self;
  g_child_watch_add (self->pid, on_child_exit, self);
  g_data_input_stream_read_line_async (self->reports, G_PRIORITY_DEFAULT, NULL, on_line, self);
  g_main_loop_run (self->loop);
  running = NULL;
  g_spawn_close_pid (self->pid);
}

/* What became of it, the most telling first: a signal to us, what the child said, how it ended. */
static Run *
conclude (Spawn *self, const Model *model, GError **error)
{
  g_autoptr (Run) run = g_steal_pointer (&self->run);
  g_autoptr (GError) said = g_steal_pointer (&self->error);

  /* Ctrl-C goes to both, and the child may be the quicker. */
  if (WIFSIGNALED (self->wait_status) && WTERMSIG (self->wait_status) == SIGINT)
    caught_signal = SIGINT;
  if (caught_signal != 0)
    {
      g_set_error (error, SPAWN_ERROR, caught_signal, "%s", g_strsignal (caught_signal));
      return NULL;
    }
  if (said != NULL)
    {
      g_propagate_prefixed_error (error, g_steal_pointer (&said), "model %s: ", model->name);
      return NULL;
    }
  if (!g_spawn_check_wait_status (self->wait_status, error))
    {
      g_prefix_error (error, "model %s: ", model->name);
      return NULL;
    }
  if (run == NULL)
    g_set_error (error, SPAWN_ERROR, 0, "model %s: its process ended without a record", model->name);

  return g_steal_pointer (&run);
}

Run *
spawn_run (const Plan *plan, const Model *model, SpawnProgressFunc progress, gpointer data, GError **error)
{
  Spawn self = { .progress = progress, .progress_data = data };
  int order_fd = open_order (plan, model, progress != NULL, error);
  gboolean started;

  if (order_fd < 0)
    return NULL;
  started = start_child (&self, order_fd, error);
  close (order_fd);
  if (!started)
    return NULL;

  self.loop = g_main_loop_new (NULL, FALSE);
  wait_for_child (&self);
  g_main_loop_unref (self.loop);
  g_object_unref (self.reports);

  return conclude (&self, model, error);
}
