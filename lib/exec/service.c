/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that block have no loop to fire their timers or to hear SIGINT: one loop on a thread of its own does that
 * for all of them. It is started when it is first needed, once a process, and lives as long as that. */

#include "config.h"

#include <pthread.h>

#include <morrow/error.h>

#include "exec/service-private.h"

static pthread_mutex_t service_lock = PTHREAD_MUTEX_INITIALIZER;
static MorrowLoop *service_loop;   /* under service_lock */

/* In a new child, whose only thread this is: the service's is not here, and the lock may be held. */
static void
forget_parent (void)
{
  pthread_mutex_init (&service_lock, NULL);
  service_loop = NULL;
}

static void
watch_forks (void)
{
  pthread_atfork (NULL, NULL, forget_parent);
}

static gboolean
for_ever (gpointer data)
{
  return TRUE;
}

static gpointer
service_thread (gpointer data)
{
  MorrowLoop *self = data;

  morrow__executor_n_reasons++;                 /* what is to be waited for may sleep */
  if (morrow__loop_take_thread (self, NULL))
    morrow__loop_turn_while (self, for_ever, NULL);
  return NULL;
}

static MorrowLoop *
start_service (GError **error)
{
  g_autoptr (MorrowLoop) loop = MORROW_LOOP (morrow_loop_new (NULL));
  g_autoptr (GError) no_thread = NULL;
  GThread *thread;

  if (loop->broken != NULL)
    {
      g_propagate_error (error, g_error_copy (loop->broken));
      return NULL;
    }
  thread = g_thread_try_new ("morrow-service", service_thread, loop, &no_thread);
  if (thread == NULL)
    {
      g_set_error (error, MORROW_ERROR, MORROW_ERROR_NO_THREAD, "No thread could be had for timers: %s", no_thread->message);
      return NULL;
    }

  g_thread_unref (thread);
  return g_steal_pointer (&loop);
}

/* NULL and an error where it cannot be had; perhaps the next time. */
MorrowLoop *
morrow__service_loop (GError **error)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  MorrowLoop *loop;

  pthread_once (&once, watch_forks);
  pthread_mutex_lock (&service_lock);
  if (service_loop == NULL)
    service_loop = start_service (error);
  loop = service_loop;
  pthread_mutex_unlock (&service_lock);

  return loop;
}
