/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is once in a process.
 *
 * SIGPIPE: curl runs with CURLOPT_NOSIGNAL, since its own way of blocking the signal is not for
 * threads. TLS libraries write to sockets without MSG_NOSIGNAL, so that a peer that goes away
 * would kill the process. As GSocket does, we ignore the signal process-wide; but only if the
 * program has left it at its default.
 *
 * Fork: libcurl's handles hold connections, and a child that went on with them would mix its
 * bytes with its parent's. Each fork begins a new generation in the child; what was made in an
 * older one is neither used nor closed there. */

#include "config.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>

#include "http/gate-private.h"
#include "http/process-private.h"
#include "http/resolver-private.h"

static guint generation;   /* written by the only thread of a new child, before it goes on */

static void
count_fork (void)
{
  generation++;
  morrow__gate_forget_all ();
  morrow__resolver_forget_all ();
}

static void
ignore_sigpipe (void)
{
  struct sigaction action;

  if (sigaction (SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
    {
      action.sa_handler = SIG_IGN;
      sigaction (SIGPIPE, &action, NULL);
    }
}

static void
init (void)
{
  curl_global_init (CURL_GLOBAL_DEFAULT);
  ignore_sigpipe ();
  pthread_atfork (NULL, NULL, count_fork);
}

/* Any thread, as often as one likes. */
void
morrow__http_init (void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;

  pthread_once (&once, init);
}

guint
morrow__http_generation (void)
{
  return generation;
}
