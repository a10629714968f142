/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * morrow-testserver: a web server on 127.0.0.1 whose answers are slow, broken or endless on
 * request.  The first line on stdout is its base URL.
 *
 * It never outlives the program that started it.  Two signs tell that this has ended: the kernel's
 * parent-death signal, and, with --stdin, the end of standard input, a pipe whose other end only
 * that program holds.  The signal comes when the *thread* that started us ends, too, so it only
 * makes us look who our parent is.
 */

#include "config.h"

#include "server/certificate.h"
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define PARENT_SIGNAL SIGUSR1

typedef struct
{
  int      port;
  int      parent;
  gboolean watch_stdin;
  gboolean version;
  char    *tls_file;
} Options;

static gboolean
read_options (int *argc, char ***argv, Options *options, GError **error)
{
  const GOptionEntry entries[] = {
    { "port", 'p', 0, G_OPTION_ARG_INT, &options->port, "Listen on PORT; 0, the default: a free one", "PORT" },
    { "parent", 0, 0, G_OPTION_ARG_INT, &options->parent, "End at once unless PID is the parent", "PID" },
    { "stdin", 0, 0, G_OPTION_ARG_NONE, &options->watch_stdin, "End when standard input does", NULL },
    { "tls", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_file, "Speak TLS with a certificate of its own making, written to FILE", "FILE" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version and exit", NULL },
    { NULL }
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- a web server for tests");

  g_option_context_set_summary (
    context, "Paths: /delay/MS/BYTES /chunked/MS/BYTES /lognormal/MEDIAN_MS/SIGMA/SEED/BYTES[/...]\n"
             "  /site/1 ... /site/10 /status/CODE /redirect/N /redirect-loop /redirect-to?url=URL\n"
             "  /headers/BYTES /drop /close /hang /stats");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;

  if (*argc > 1 || options->port < 0 || options->port > G_MAXUINT16)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "See --help");
      return FALSE;
    }
  if (options->watch_stdin && fcntl (STDIN_FILENO, F_GETFD) < 0)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--stdin: standard input is closed");
      return FALSE;
    }
  return TRUE;
}

/* FALSE when the parent has ended before we could ask to be told. */
static gboolean
follow_parent (const Options *options)
{
  prctl (PR_SET_PDEATHSIG, PARENT_SIGNAL);
  return options->parent == 0 || getppid () == options->parent;
}

/* A parent that names itself decides when we end: a Ctrl-C at the terminal is meant for it. */
static int
open_signals (const Options *options)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, PARENT_SIGNAL);
  sigaddset (&set, SIGTERM);
  if (options->parent == 0)
    sigaddset (&set, SIGINT);
  else
    signal (SIGINT, SIG_IGN);
  signal (SIGPIPE, SIG_IGN);
  sigprocmask (SIG_BLOCK, &set, NULL);

  return signalfd (-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static gboolean
on_signal (int fd, gpointer data)
{
  const pid_t *parent = data;
  struct signalfd_siginfo info;

  if (read (fd, &info, sizeof info) != sizeof info)
    return TRUE;

  return info.ssi_signo == PARENT_SIGNAL && getppid () == *parent;
}

static gboolean
on_stdin (int fd, gpointer data)
{
  char buffer[256];
  ssize_t n = read (fd, buffer, sizeof buffer);

  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static Server *
start (const Options *options, GError **error)
{
  g_auto (Certificate) certificate = { 0 };
  ServerOptions server_options = { .port = options->port };

  if (options->tls_file != NULL)
    {
      if (!certificate_make (&certificate, error)
          || !g_file_set_contents (options->tls_file, certificate.certificate, -1, error))
        return NULL;
      server_options.certificate = certificate.certificate;
      server_options.key = certificate.key;
    }
  return server_new (&server_options, error);
}

static void
serve (Server *server, const Options *options, int signal_fd, pid_t parent)
{
  server_watch (server, signal_fd, on_signal, &parent);
  if (options->watch_stdin)
    server_watch (server, STDIN_FILENO, on_stdin, NULL);

  g_print ("%s://127.0.0.1:%d\n", options->tls_file != NULL ? "https" : "http",
           server_get_port (server));
  fflush (stdout);
  server_run (server);
}

int
main (int argc, char **argv)
{
  Options options = { 0 };
  g_autoptr (GError) error = NULL;
  pid_t parent = getppid ();
  Server *server;
  int signal_fd;

  setlocale (LC_ALL, "");
  if (!read_options (&argc, &argv, &options, &error))
    {
      g_printerr ("morrow-testserver: %s\n", error->message);
      return EXIT_FAILURE;
    }
  if (options.version)
    {
      g_print ("morrow-testserver %s\n", PACKAGE_VERSION);
      return EXIT_SUCCESS;
    }
  signal_fd = open_signals (&options);
  if (!follow_parent (&options))
    return EXIT_SUCCESS;

  server = start (&options, &error);
  if (server == NULL)
    {
      g_printerr ("morrow-testserver: %s\n", error->message);
      return EXIT_FAILURE;
    }
  serve (server, &options, signal_fd, parent);
  server_free (server);
  close (signal_fd);
  g_free (options.tls_file);
  return EXIT_SUCCESS;
}
