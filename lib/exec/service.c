/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that block have no loop to fire their timers or to hear SIGINT: one loop on a thread of its own does that
 * for all of them. It is started when it is first needed, once a process, and lives as long as that. */

#include "config.h"

#include <pthread.h>

#include "exec/service-private.h"

static pthread_mutex_t service_lock = PTHREAD_MUTEX_INITIALIZER;
static MorrowLoop *service_loop;   /* under service_lock */

static gboolean
for_ever (gpointer data)
{
  return TRUE;
}

static gpointer
service_thread (gpointer data)
{
  MorrowLoop *self = data;

  if (morrow__loop_take_thread (self, NULL))
    morrow__loop_turn_while (self, for_ever, NULL);
  return NULL;
}

/* A broken loop, or a thread that cannot be had, shows in what is posted: it finds the loop closed. */
static void
start_service (void)
{
  GThread *thread;

  service_loop = MORROW_LOOP (morrow_loop_new (NULL));
  thread = service_loop->broken == NULL ? g_thread_try_new ("morrow-service", service_thread, service_loop, NULL) : NULL;
  if (thread != NULL)
    g_thread_unref (thread);
  else
    morrow__loop_close (service_loop);
}

MorrowLoop *
morrow__service_loop (void)
{
  MorrowLoop *loop;

  pthread_mutex_lock (&service_lock);
  /* After fork () the thread is gone: another is started, on another loop. */
  if (service_loop == NULL || !morrow__executor_is_ours (&service_loop->parent_instance))
    start_service ();
  loop = service_loop;
  pthread_mutex_unlock (&service_lock);

  return loop;
}
