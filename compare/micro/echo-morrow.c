/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * morrow's echo server: a task for each connection, which receives and sends. On a loop of its own, or hosted: the loop
 * is a source of a main loop that the program runs.
 */
#include <morrow/morrow.h>

#include "echo-morrow.h"
#include "echo-server.h"

static gboolean
echo (gpointer data, GValue *result, GError **error)
{
  MorrowFd *connection = data;
  char buffer[ECHO_BUFFER_SIZE];
  gssize n;

  while ((n = morrow_fd_recv (connection, buffer, sizeof buffer, 0, G_MAXINT64, error)) > 0)
    {
      if (morrow_fd_send (connection, buffer, (gsize) n, 0, G_MAXINT64, error) < 0)
        return FALSE;
    }
  return n == 0;
}

static gboolean
accept_all (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) listener = morrow_fd_new (echo_listen ());
  const int one = 1;
  int fd;

  while ((fd = morrow_fd_accept (listener, NULL, NULL, G_MAXINT64, error)) >= 0)
    {
      setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      morrow_future_unref (morrow_spawn (echo, morrow_fd_new (fd), (GDestroyNotify) morrow_fd_unref));
    }
  return FALSE;
}

/* data: the main loop to quit, or NULL. */
static gboolean
serve (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) input = morrow_fd_new (dup (STDIN_FILENO));
  g_autoptr (MorrowFuture) server = morrow_spawn (accept_all, NULL, NULL);
  char byte;

  while (morrow_fd_read (input, &byte, 1, G_MAXINT64, NULL) > 0)
    ;
  if (data != NULL)
    g_main_loop_quit (data);
  morrow_future_cancel (server);
  return TRUE;
}

void
echo_morrow_serve (gboolean hosted)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (hosted ? g_main_context_default () : NULL);
  g_autoptr (GMainLoop) main_loop = hosted ? g_main_loop_new (NULL, FALSE) : NULL;
  g_autoptr (GError) error = NULL;

  if (hosted)
    {
      morrow_future_unref (morrow_executor_spawn (loop, morrow_coroutine (serve, main_loop, NULL)));
      g_main_loop_run (main_loop);
      _exit (EXIT_SUCCESS);   /* the connections' tasks end with the process */
    }
  if (!morrow_run_on (loop, morrow_coroutine (serve, NULL, NULL), NULL, &error))
    g_error ("%s", error->message);
}
