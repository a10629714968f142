/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nghttpd, which over TLS speaks HTTP/2 and nothing else: what it answers was HTTP/2.
 *
 * It serves the files of a folder, and says what it does, which a thread of ours reads: tests wait for
 * that, and not for time.  "/held" is a pipe that nobody writes to: whoever asks for it stops the whole
 * server, in the middle of opening it, until it is released or killed.
 */
#pragma once

#include "http/http-check.h"
#include "server/certificate.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* The folder --------------------------------------------------------------------------------- */

/* Before the tests are run and after they have: the parent's of all of their processes. */
static char *nghttpd_folder;
static char *nghttpd_certificate;   /* Paths in it, as is the next. */
static char *nghttpd_key;

static inline char *
nghttpd_path (const char *name)
{
  return g_build_filename (nghttpd_folder, name, NULL);
}

static inline void
nghttpd_write (const char *name, const char *bytes, gssize len)
{
  g_autofree char *path = nghttpd_path (name);

  ck_assert (g_file_set_contents (path, bytes, len, NULL));
}

static inline void
nghttpd_make_folder (void)
{
  g_auto (Certificate) certificate = { 0 };

  nghttpd_folder = g_dir_make_tmp ("morrow-http2-XXXXXX", NULL);
  nghttpd_certificate = nghttpd_path ("certificate.pem");
  nghttpd_key = nghttpd_path ("key.pem");
  ck_assert (certificate_make (&certificate, NULL));
  nghttpd_write ("certificate.pem", certificate.certificate, -1);
  nghttpd_write ("key.pem", certificate.key, -1);
}

static inline void
nghttpd_remove_folder (void)
{
  GDir *folder = g_dir_open (nghttpd_folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (folder)) != NULL)
    {
      g_autofree char *path = nghttpd_path (name);

      g_unlink (path);
    }
  g_dir_close (folder);
  g_rmdir (nghttpd_folder);
  g_free (nghttpd_folder);
  g_free (nghttpd_certificate);
  g_free (nghttpd_key);
}

/* The server --------------------------------------------------------------------------------- */

typedef struct
{
  char           *url;         /* Without a slash at the end. */
  int             reserved;    /* Its port, which nobody else has when it has ended. */
  GPid            pid;         /* 0 once it has ended. */
  int             said_fd;
  pthread_t       listener;
  pthread_mutex_t lock;        /* Which the thread sanitizer knows. */
  pthread_cond_t  says_more;
  GString        *said;        /* Under the lock, as is the next. */
  gboolean        is_silent;   /* It has ended. */
} Nghttpd;

/* Not all paths of users lead to where servers are.  NULL where there is none. */
static inline char *
nghttpd_find (void)
{
  char *found = g_find_program_in_path ("nghttpd");

  return found != NULL ? found : g_find_program_in_path ("/usr/sbin/nghttpd");
}

static inline gpointer
nghttpd_listen (gpointer data)
{
  Nghttpd *self = data;
  char bytes[4096];
  ssize_t n;

  do
    {
      n = read (self->said_fd, bytes, sizeof bytes);
      pthread_mutex_lock (&self->lock);
      g_string_append_len (self->said, bytes, MAX (n, 0));
      self->is_silent = n <= 0;
      pthread_cond_broadcast (&self->says_more);
      pthread_mutex_unlock (&self->lock);
    }
  while (n > 0);
  return NULL;
}

/* Waits until it has said something. */
static inline void
nghttpd_await (Nghttpd *self, const char *text)
{
  pthread_mutex_lock (&self->lock);
  while (strstr (self->said->str, text) == NULL)
    {
      if (self->is_silent)
        ck_abort_msg ("'%s' is not in:\n%s", text, self->said->str);
      pthread_cond_wait (&self->says_more, &self->lock);
    }
  pthread_mutex_unlock (&self->lock);
}

/* How often it has said something. */
static inline guint
nghttpd_count (Nghttpd *self, const char *text)
{
  guint n = 0;

  pthread_mutex_lock (&self->lock);
  for (const char *at = self->said->str; (at = strstr (at, text)) != NULL; at++)
    n++;
  pthread_mutex_unlock (&self->lock);
  return n;
}

/* In the child, which ends with the thread that starts it: the test's only one so far. */
static inline void
nghttpd_follow_parent (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () != GPOINTER_TO_INT (data))
    _exit (EXIT_FAILURE);
}

static inline void
nghttpd_spawn (Nghttpd *self, const char *port)
{
  g_autofree char *program = nghttpd_find ();
  const char *argv[] = {
    program, "--verbose", "--address=127.0.0.1", "--htdocs", nghttpd_folder, port, nghttpd_key, nghttpd_certificate, NULL,
  };
  g_autoptr (GError) error = NULL;

  if (!g_spawn_async_with_pipes (NULL, (char **) argv, NULL,
                                 G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_CLOEXEC_PIPES | G_SPAWN_STDERR_TO_DEV_NULL,
                                 nghttpd_follow_parent, GINT_TO_POINTER (getpid ()), &self->pid, NULL,
                                 &self->said_fd, NULL, &error))
    ck_abort_msg ("%s", error->message);
}

static inline void
nghttpd_start (Nghttpd *self)
{
  g_autofree char *text = NULL;
  guint port;

  *self = (Nghttpd) { .said = g_string_new (NULL), .reserved = reserve_port (&port) };
  pthread_mutex_init (&self->lock, NULL);
  pthread_cond_init (&self->says_more, NULL);
  text = g_strdup_printf ("%u", port);
  nghttpd_spawn (self, text);
  pthread_create (&self->listener, NULL, nghttpd_listen, self);
  nghttpd_await (self, ": listen ");
  self->url = g_strdup_printf ("https://127.0.0.1:%u", port);
}

/* Ends it on the spot, and its connections with it; all that it has said is there afterwards. */
static inline void
nghttpd_kill (Nghttpd *self)
{
  kill (self->pid, SIGKILL);
  ck_assert_int_eq (waitpid (self->pid, NULL, 0), self->pid);
  pthread_join (self->listener, NULL);
  self->pid = 0;
}

static inline void
nghttpd_clear (Nghttpd *self)
{
  if (self->pid != 0)
    nghttpd_kill (self);
  close (self->said_fd);
  close (self->reserved);
  g_string_free (self->said, TRUE);
  g_free (self->url);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Nghttpd, nghttpd_clear)

/* Holding it --------------------------------------------------------------------------------- */

/* Once in each test. */
static inline void
nghttpd_make_held (void)
{
  g_autofree char *path = nghttpd_path ("held");

  g_unlink (path);
  ck_assert_int_eq (mkfifo (path, 0600), 0);
}

static inline void
nghttpd_await_held (Nghttpd *self)
{
  nghttpd_await (self, ":path: /held\n");
}

/* Whether it is held, is going to be, or has ended. */
static inline void
nghttpd_release (void)
{
  g_autofree char *path = nghttpd_path ("held");
  int fd = open (path, O_RDWR | O_CLOEXEC);

  g_unlink (path);
  close (fd);
}
