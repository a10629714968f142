/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names are looked up in a lane of our own, before curl sees them: curl 7.88 waits for its
 * resolver's thread when a transfer is cancelled, and so would the loop.
 *
 * The lane is a few threads that call getaddrinfo (), which nobody can interrupt. Who waits for a
 * look-up waits for a promise: cancelled, or at its deadline, it goes on at once, and the
 * thread's result finds nobody. A look-up that nobody waits for any more when its turn comes is
 * not done.
 *
 *   asked ---> queued ---> looking ---> known for a minute ---> forgotten
 *                 |            '------> failed: forgotten at once
 *                 '--> unwanted: forgotten
 *
 * Everybody who asks for a name that is being looked up waits for the same look-up. */

#include "config.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include <morrow/morrow.h>

#include "http/error-private.h"
#include "http/process-private.h"
#include "http/resolver-private.h"

#define MAX_THREADS 16
#define MAX_KNOWN   1024                     /* names */
#define LIFETIME    (60 * G_USEC_PER_SEC)    /* as long as libcurl keeps names by default */
#define IDLE_TIME   10                       /* seconds until a thread without work ends */

/* Under its lock. The lock is pthread's, as is the condition, so that sanitizers see it. */
typedef struct
{
  pthread_mutex_t lock;
  pthread_cond_t  asked;     /* something is in the queue */
  GHashTable     *lookups;   /* name to Lookup */
  GQueue          queue;     /* of Lookup, owned: those that no thread has taken up */
  guint           n_threads;
  guint           n_idle;    /* of those, the ones that wait for work */
} Lane;

/* Under the lane's lock, but for the host. References: the table's, and the queue's or the
 * thread's. */
typedef struct
{
  gatomicrefcount ref_count; /* any thread */
  char           *host;      /* immutable, owned */
  GPtrArray      *waiters;   /* of MorrowPromise, while it is not known; NULL then */
  char           *addresses; /* once they are known, owned */
  gint64          expires;   /* then */
} Lookup;

/* For the process. A child of it begins with none and a new lock (process.c). */
static pthread_mutex_t lane_lock = PTHREAD_MUTEX_INITIALIZER;
static Lane *lane;             /* under lane_lock */

/* --- the system's resolver ------------------------------------------------------------------ */

/* The host's part of an address, as curl wants it. */
static gboolean
append_address (GString *list, const struct sockaddr *address)
{
  char text[INET6_ADDRSTRLEN];
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) address;

  if (address->sa_family == AF_INET)
    {
      inet_ntop (AF_INET, &((const struct sockaddr_in *) address)->sin_addr, text, sizeof text);
      g_string_append_printf (list, "%s%s", list->len > 0 ? "," : "", text);
    }
  else if (address->sa_family == AF_INET6 && v6->sin6_scope_id == 0)
    {
      inet_ntop (AF_INET6, &v6->sin6_addr, text, sizeof text);
      g_string_append_printf (list, "%s[%s]", list->len > 0 ? "," : "", text);
    }
  return list->len > 0;
}

static char *
resolve_by_system (const char *host, int *ret_code)
{
  struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
  struct addrinfo *found = NULL;
  GString *list;
  gboolean any = FALSE;

  *ret_code = getaddrinfo (host, NULL, &hints, &found);
  if (*ret_code != 0)
    return NULL;

  list = g_string_new (NULL);
  for (const struct addrinfo *each = found; each != NULL; each = each->ai_next)
    any = append_address (list, each->ai_addr);
  freeaddrinfo (found);

  *ret_code = any ? 0 : EAI_NONAME;
  return g_string_free (list, !any);
}

static MorrowResolveFunc resolve_func = resolve_by_system;   /* replaced before the first look-up */

/* For tests: NULL brings the system's back. */
void
morrow__resolver_set_func (MorrowResolveFunc func)
{
  resolve_func = func != NULL ? func : resolve_by_system;
}

/* --- look-ups ------------------------------------------------------------------------------- */

static Lookup *
lookup_ref (Lookup *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

static void
lookup_unref (gpointer data)
{
  Lookup *self = data;

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;

  g_clear_pointer (&self->waiters, g_ptr_array_unref);
  g_free (self->addresses);
  g_free (self->host);
  g_free (self);
}

static Lookup *
lookup_new (const char *host)
{
  Lookup *self = g_new0 (Lookup, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->host = g_strdup (host);
  self->waiters = g_ptr_array_new_with_free_func ((GDestroyNotify) morrow_promise_unref);
  return self;
}

/* With the lock. It has ended: nobody new finds it, unless it has been kept. */
static GPtrArray *
take_waiters (Lane *self, Lookup *lookup, gboolean keep)
{
  GPtrArray *waiters = g_steal_pointer (&lookup->waiters);

  if (!keep && g_hash_table_lookup (self->lookups, lookup->host) == lookup)
    g_hash_table_remove (self->lookups, lookup->host);
  return waiters;
}

/* With the lock. */
static gboolean
is_wanted (Lookup *lookup)
{
  for (guint i = 0; lookup->waiters != NULL && i < lookup->waiters->len; i++)
    {
      MorrowPromise *waiter = g_ptr_array_index (lookup->waiters, i);
      g_autoptr (MorrowFuture) future = morrow_promise_get_future (waiter);

      if (!morrow_future_is_settled (future))
        return TRUE;
    }
  return FALSE;
}

/* Settles all of them, outside the lock; takes the error, and the array, which may be NULL. */
static void
settle_waiters (GPtrArray *waiters, const char *addresses, GError *error)
{
  for (guint i = 0; waiters != NULL && i < waiters->len; i++)
    {
      if (error == NULL)
        morrow_promise_resolve_string (g_ptr_array_index (waiters, i), addresses);
      else
        morrow_promise_reject (g_ptr_array_index (waiters, i), g_error_copy (error));
    }
  g_clear_pointer (&waiters, g_ptr_array_unref);
  g_clear_error (&error);
}

static void
do_lookup (Lane *self, Lookup *lookup)
{
  int code = 0;
  char *addresses = resolve_func (lookup->host, &code);
  GError *error = NULL;
  GPtrArray *waiters;

  if (addresses == NULL)
    error = morrow__http_error_new (CURLE_COULDNT_RESOLVE_HOST, "%s: %s", lookup->host,
                                    gai_strerror (code));

  pthread_mutex_lock (&self->lock);
  lookup->addresses = addresses;
  lookup->expires = g_get_monotonic_time () + LIFETIME;
  waiters = take_waiters (self, lookup, addresses != NULL);
  pthread_mutex_unlock (&self->lock);

  settle_waiters (waiters, addresses, error);
}

/* On a thread of the lane; takes the reference. */
static void
run_lookup (Lane *self, Lookup *lookup)
{
  GPtrArray *unwanted = NULL;
  gboolean wanted;

  pthread_mutex_lock (&self->lock);
  wanted = is_wanted (lookup);
  if (!wanted)
    unwanted = take_waiters (self, lookup, FALSE);
  pthread_mutex_unlock (&self->lock);

  if (wanted)
    do_lookup (self, lookup);
  g_clear_pointer (&unwanted, g_ptr_array_unref);
  lookup_unref (lookup);
}

/* --- the lane's threads --------------------------------------------------------------------- */

/* With the lock. Waits for work; NULL when there was none for a while. */
static Lookup *
wait_for_work (Lane *self)
{
  struct timespec until;
  int status = 0;

  clock_gettime (CLOCK_MONOTONIC, &until);
  until.tv_sec += IDLE_TIME;
  self->n_idle++;
  while (g_queue_is_empty (&self->queue) && status == 0)
    status = pthread_cond_timedwait (&self->asked, &self->lock, &until);
  self->n_idle--;
  return g_queue_pop_head (&self->queue);
}

static gpointer
lane_thread (gpointer data)
{
  Lane *self = data;
  Lookup *lookup;

  pthread_mutex_lock (&self->lock);
  while ((lookup = wait_for_work (self)) != NULL)
    {
      pthread_mutex_unlock (&self->lock);
      run_lookup (self, lookup);
      pthread_mutex_lock (&self->lock);
    }
  self->n_threads--;
  pthread_mutex_unlock (&self->lock);
  return NULL;
}

/* With the lock. Has a thread take up what is in the queue; fails when there is none at all. */
static gboolean
call_thread (Lane *self, GError **error)
{
  g_autoptr (GError) local = NULL;
  GThread *thread;

  pthread_cond_signal (&self->asked);
  if (g_queue_get_length (&self->queue) <= self->n_idle || self->n_threads >= MAX_THREADS)
    return TRUE;

  thread = g_thread_try_new ("morrow-names", lane_thread, self, &local);
  if (thread != NULL)
    {
      self->n_threads++;
      g_thread_unref (thread);
    }
  else if (self->n_threads == 0)
    {
      g_set_error (error, MORROW_ERROR, MORROW_ERROR_NO_THREAD,
                   "No thread to look up a name: %s", local->message);
      return FALSE;
    }
  return TRUE;
}

/* --- the lane ------------------------------------------------------------------------------- */

static Lane *
lane_new (void)
{
  Lane *self = g_new0 (Lane, 1);
  pthread_condattr_t attributes;

  pthread_mutex_init (&self->lock, NULL);
  pthread_condattr_init (&attributes);
  pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
  pthread_cond_init (&self->asked, &attributes);
  pthread_condattr_destroy (&attributes);
  self->lookups = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, lookup_unref);
  g_queue_init (&self->queue);
  return self;
}

/* In a new child, whose only thread this is: the threads are not here, and the locks may be held. */
void
morrow__resolver_forget_all (void)
{
  pthread_mutex_init (&lane_lock, NULL);
  lane = NULL;
}

static Lane *
get_lane (void)
{
  Lane *self;

  pthread_mutex_lock (&lane_lock);
  if (lane == NULL)
    lane = lane_new ();
  self = lane;
  pthread_mutex_unlock (&lane_lock);

  return self;
}

static gboolean
is_forgettable (gpointer host, gpointer value, gpointer only_before)
{
  const Lookup *lookup = value;

  return lookup->waiters == NULL && lookup->expires <= *(const gint64 *) only_before;
}

/* With the lock: makes room, first from what has expired, then from all that is not being looked
 * up. */
static void
forget (Lane *self, gint64 now)
{
  gint64 always = G_MAXINT64;

  if (g_hash_table_size (self->lookups) < MAX_KNOWN)
    return;
  g_hash_table_foreach_remove (self->lookups, is_forgettable, &now);
  if (g_hash_table_size (self->lookups) >= MAX_KNOWN)
    g_hash_table_foreach_remove (self->lookups, is_forgettable, &always);
}

/* With the lock. NULL when there is no thread to do it. */
static Lookup *
start_lookup (Lane *self, const char *host, gint64 now, GError **error)
{
  Lookup *lookup = lookup_new (host);

  g_queue_push_tail (&self->queue, lookup_ref (lookup));
  if (!call_thread (self, error))
    {
      lookup_unref (g_queue_pop_tail (&self->queue));
      lookup_unref (lookup);
      return NULL;
    }

  forget (self, now);
  g_hash_table_replace (self->lookups, lookup->host, lookup);
  return lookup;
}

/* With the lock. Gives the addresses, or else a promise of them, or else an error. */
static char *
ask (Lane *self, const char *host, MorrowPromise **ret_promise, GError **error)
{
  gint64 now = g_get_monotonic_time ();
  Lookup *lookup = g_hash_table_lookup (self->lookups, host);

  if (lookup != NULL && lookup->waiters == NULL && lookup->expires > now)
    return g_strdup (lookup->addresses);

  if (lookup == NULL || lookup->waiters == NULL)
    lookup = start_lookup (self, host, now, error);
  if (lookup != NULL)
    {
      *ret_promise = morrow_promise_new ();
      g_ptr_array_add (lookup->waiters, morrow_promise_ref (*ret_promise));
    }
  return NULL;
}

/* Takes the promise. */
static char *
wait_until (MorrowPromise *promise, const char *host, gint64 deadline, GError **error)
{
  MorrowFuture *found = morrow_promise_get_future (promise);
  GValue value = G_VALUE_INIT;
  char *addresses = NULL;

  morrow_promise_unref (promise);
  if (deadline != G_MAXINT64)
    found = morrow_race (found, morrow_sleep_until (deadline), NULL);
  if (!morrow_await_value (found, &value, error))
    return NULL;

  if (!G_IS_VALUE (&value))
    morrow__http_error_set (error, CURLE_OPERATION_TIMEDOUT,
                            "Timed out while the name %s was looked up", host);
  else
    addresses = g_value_dup_string (&value);
  if (G_IS_VALUE (&value))
    g_value_unset (&value);
  return addresses;
}

/* Inside a task. Gives the addresses of @host, for a limited time known without asking again. */
char *
morrow__resolve (const char *host, gint64 deadline, GError **error)
{
  Lane *self = get_lane ();
  MorrowPromise *promise = NULL;
  char *addresses;

  pthread_mutex_lock (&self->lock);
  addresses = ask (self, host, &promise, error);
  pthread_mutex_unlock (&self->lock);

  return promise != NULL ? wait_until (promise, host, deadline, error) : addresses;
}
