/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a forked child goes on with.
 *
 * LOCKS of the process.  A child has its parent's memory and one thread: a lock that another held as the process forked is
 * never given back there, and what it guards may be half changed.  So fork () takes each of these first, and gives it back on
 * both sides.
 * It takes them one after the other: inside of none is another lock of the library's taken, so that any order will do.
 * Those of the cache, which have one, see to it themselves (cache.c).
 *
 * Not for what is the parent's business alone, nor for what is waited for under the lock: there a child begins anew.
 *
 * COUNTS of the threads that are in the middle of something: of those the child has none. */

#pragma once

#include <pthread.h>

/* Defines a static lock.  Watched from the start of the program on, so that who takes it need not ask. */
#define MORROW__FORK_LOCK(name)                                        \
  static pthread_mutex_t name = PTHREAD_MUTEX_INITIALIZER;             \
                                                                       \
  static void                                                          \
  name##_hold (void)                                                   \
  {                                                                    \
    pthread_mutex_lock (&name);                                        \
  }                                                                    \
                                                                       \
  static void                                                          \
  name##_let_go (void)                                                 \
  {                                                                    \
    pthread_mutex_unlock (&name);                                      \
  }                                                                    \
                                                                       \
  __attribute__ ((constructor)) static void                            \
  name##_watch_forks (void)                                            \
  {                                                                    \
    pthread_atfork (name##_hold, name##_let_go, name##_let_go);        \
  }

/* Calls a static function in each new child, whose only thread that is. */
#define MORROW__IN_EACH_CHILD(func)                                    \
  __attribute__ ((constructor)) static void                            \
  func##_watch_forks (void)                                            \
  {                                                                    \
    pthread_atfork (NULL, NULL, func);                                 \
  }
