/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names for tests: a resolver that counts, knows what it is told, and is silent about names that
 * begin with "silent" until it may speak.
 */
#pragma once

#include "http/resolver-private.h"

#include <glib.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t names_spoke = PTHREAD_COND_INITIALIZER;
static gboolean names_may_speak;   /* Under the lock. */
static guint names_n_used;         /* Under the lock: so many tests have begun. */
static gint names_n_asked;         /* Any thread, atomically: all look-ups that have begun. */
static gint names_n_silent;        /* Likewise: of those, the ones that were silent at first. */

static void
names_be_silent (void)
{
  guint test;

  g_atomic_int_inc (&names_n_silent);
  pthread_mutex_lock (&names_lock);
  test = names_n_used;
  while (!names_may_speak && names_n_used == test)
    pthread_cond_wait (&names_spoke, &names_lock);
  pthread_mutex_unlock (&names_lock);
}

/* "unknown..." is not known, "busy..." cannot be asked for now, "both..." has two addresses. */
static char *
names_resolve (const char *host, int *ret_code)
{
  g_atomic_int_inc (&names_n_asked);
  if (g_str_has_prefix (host, "silent"))
    names_be_silent ();

  *ret_code = g_str_has_prefix (host, "unknown") ? EAI_NONAME
              : g_str_has_prefix (host, "busy")  ? EAI_AGAIN
                                                 : 0;
  if (*ret_code != 0)
    return NULL;
  return g_strdup (g_str_has_prefix (host, "both") ? "[::1],127.0.0.1" : "127.0.0.1");
}

/* From the beginning: none has asked. */
static inline void
names_use (void)
{
  pthread_mutex_lock (&names_lock);
  names_may_speak = FALSE;
  names_n_used++;
  pthread_cond_broadcast (&names_spoke);
  pthread_mutex_unlock (&names_lock);
  g_atomic_int_set (&names_n_asked, 0);
  g_atomic_int_set (&names_n_silent, 0);
  morrow__resolver_set_func (names_resolve);
}

static inline void
names_speak (void)
{
  pthread_mutex_lock (&names_lock);
  names_may_speak = TRUE;
  pthread_cond_broadcast (&names_spoke);
  pthread_mutex_unlock (&names_lock);
}

/* The URL's host, which is an address, under another name. */
static inline char *
names_rename (const char *url, const char *host)
{
  return g_strconcat ("http://", host, strrchr (url, ':'), NULL);
}
