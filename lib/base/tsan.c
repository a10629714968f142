/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What GLib and the kernel do, told to the thread sanitizer; part of builds with --enable-tsan only.
 *
 * GLib is not built for the sanitizer, and its locks are futexes of its own, so the sanitizer does not see that they
 * order anything, and takes whatever they guard for a race.  These functions come before GLib's in the order of
 * linking, for GIO as well: each calls the real one, and says what it orders.  A lock is an acquire and a release of
 * its address rather than one of the sanitizer's mutexes, since those may not be taken on one fiber and given back on
 * another. */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <gio/gio.h>
#include <linux/futex.h>
#include <sanitizer/tsan_interface.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The function of that name which this one hides.  Looked up once by each caller; a race to do so is harmless, for
 * all find the same. */
#define REAL(name) \
  (__extension__ ({ \
    static __typeof__ (&name) real; \
    __typeof__ (&name) found = __atomic_load_n (&real, __ATOMIC_RELAXED); \
    if (found == NULL) \
      { \
        found = (__typeof__ (&name)) dlsym (RTLD_NEXT, #name); \
        __atomic_store_n (&real, found, __ATOMIC_RELAXED); \
      } \
    found; \
  }))

#define INTERPOSE __attribute__ ((visibility ("default")))

/* The lock of errors' domains, which GLib makes when one is first needed and takes without a call that could come here: it is made
 * before there are threads. */
__attribute__ ((constructor)) static void
make_domains_lock (void)
{
  g_error_free (g_error_new_literal (G_FILE_ERROR, G_FILE_ERROR_FAILED, ""));
}

INTERPOSE void
g_mutex_lock (GMutex *mutex)
{
  REAL (g_mutex_lock) (mutex);
  __tsan_acquire (mutex);
}

INTERPOSE gboolean
g_mutex_trylock (GMutex *mutex)
{
  if (!REAL (g_mutex_trylock) (mutex))
    return FALSE;

  __tsan_acquire (mutex);
  return TRUE;
}

INTERPOSE void
g_mutex_unlock (GMutex *mutex)
{
  __tsan_release (mutex);
  REAL (g_mutex_unlock) (mutex);
}

/* Waiting gives the mutex back and takes it again, inside GLib. */
INTERPOSE void
g_cond_wait (GCond  *cond,
             GMutex *mutex)
{
  __tsan_release (mutex);
  REAL (g_cond_wait) (cond, mutex);
  __tsan_acquire (mutex);
}

INTERPOSE gboolean
g_cond_wait_until (GCond  *cond,
                   GMutex *mutex,
                   gint64  end_time)
{
  gboolean signalled;

  __tsan_release (mutex);
  signalled = REAL (g_cond_wait_until) (cond, mutex, end_time);
  __tsan_acquire (mutex);
  return signalled;
}

/* Pairs with the atomic load of the location, which g_once_init_enter () does in the caller's code. */
INTERPOSE void
(g_once_init_leave) (volatile void *location,
                     gsize          result)
{
  __tsan_release ((void *) location);
  REAL (g_once_init_leave) (location, result);
}

/* Dropping a reference comes before what the last one to drop does. */
INTERPOSE gboolean
(g_atomic_ref_count_dec) (gatomicrefcount *count)
{
  __tsan_release ((void *) count);
  if (!REAL (g_atomic_ref_count_dec) (count))
    return FALSE;

  __tsan_acquire ((void *) count);
  return TRUE;
}

/* The same; the end of the object is inside of the real one. */
INTERPOSE void
(g_object_unref) (gpointer object)
{
  __tsan_release (object);
  __tsan_acquire (object);
  REAL (g_object_unref) (object);
}

/* A class is filled by the first thread that needs it, and found filled by the others. */
static void
init_class (gpointer class,
            gpointer class_init)
{
  ((GClassInitFunc) class_init) (class, NULL);
  __tsan_release (class);
}

INTERPOSE GType
g_type_register_static_simple (GType             parent_type,
                               const gchar      *type_name,
                               guint             class_size,
                               GClassInitFunc    class_init,
                               guint             instance_size,
                               GInstanceInitFunc instance_init,
                               GTypeFlags        flags)
{
  GTypeInfo info = {
    .class_size = class_size,
    .class_init = class_init != NULL ? init_class : NULL,
    .class_data = class_init,
    .instance_size = instance_size,
    .instance_init = instance_init,
  };

  return g_type_register_static (parent_type, type_name, &info, flags);
}

INTERPOSE gpointer
g_object_new (GType        object_type,
              const gchar *first_property_name,
              ...)
{
  va_list properties;
  GObject *object;

  va_start (properties, first_property_name);
  object = g_object_new_valist (object_type, first_property_name, properties);
  va_end (properties);

  __tsan_acquire (G_OBJECT_GET_CLASS (object));
  return object;
}

/* A signal is kept until the thread's next call of the C library that the sanitizer knows, and a futex is none: a thread
 * that slept on one would not hear of it.  So it sleeps for a tenth of a second at most, makes such a call, and says
 * that a signal came, which every caller has to expect. */
static long
wait_on_futex (long args[6])
{
  const struct timespec *timeout = (const struct timespec *) args[3];
  gboolean is_relative = (args[1] & FUTEX_CMD_MASK) == FUTEX_WAIT;
  struct timespec soon = { 0 };
  long result;

  if (!is_relative)
    clock_gettime (args[1] & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, &soon);
  soon.tv_nsec += 100000000;
  soon.tv_sec += soon.tv_nsec / 1000000000;
  soon.tv_nsec %= 1000000000;
  if (timeout != NULL && (timeout->tv_sec < soon.tv_sec ||
                          (timeout->tv_sec == soon.tv_sec && timeout->tv_nsec <= soon.tv_nsec)))
    return REAL (syscall) (SYS_futex, args[0], args[1], args[2], timeout, args[4], args[5]);

  result = REAL (syscall) (SYS_futex, args[0], args[1], args[2], &soon, args[4], args[5]);
  if (result != 0 && errno == ETIMEDOUT)
    errno = EINTR;
  pthread_sigmask (SIG_SETMASK, NULL, NULL);   /* known, and changes nothing */
  return result;
}

INTERPOSE long
syscall (long number, ...)
{
  long args[6];
  va_list list;

  va_start (list, number);
  for (guint i = 0; i < G_N_ELEMENTS (args); i++)
    args[i] = va_arg (list, long);
  va_end (list);

  if (number == SYS_futex && ((args[1] & FUTEX_CMD_MASK) == FUTEX_WAIT || (args[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET))
    return wait_on_futex (args);
  return REAL (syscall) (number, args[0], args[1], args[2], args[3], args[4], args[5]);
}
