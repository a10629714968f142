/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GCancellable, both ways: one that cancels a future, and one that a future's cancel cancels. */

#include "config.h"

#include <pthread.h>

#include "base/fork-private.h"
#include "exec/task-private.h"

/* --- a GCancellable cancels a future ----------------------------------------------------------------------------- */

/* References: one for the signal connection, one for being among the future's waiters, one for who makes it.
 *
 * The connection holds the future, so that it cancels what is there. So a coroutine that is dropped unstarted, which never
 * settles, would stay for good, and the GCancellable with it, were that held in turn: it is not, and when it goes, it lets go
 * of the future. To let go as soon as the future is dropped, one would have to look for a connection at each last unref. */
typedef struct
{
  MorrowObserver  observer;      /* the future's */
  atomic_uint     ref_count;     /* any thread */
  pthread_mutex_t lock;
  MorrowFuture   *future;        /* under the lock, owned: NULL once it has settled, or once the cancellable has gone */
  GWeakRef        cancellable;   /* any thread, until it goes */
  gulong          handler;       /* written before the observer is hooked on */
} CancelOn;

static void
cancel_on_unref (CancelOn *self)
{
  /* Acquire and release: the last sees what the other did. */
  if (atomic_fetch_sub_explicit (&self->ref_count, 1, memory_order_acq_rel) > 1)
    return;

  g_weak_ref_clear (&self->cancellable);
  pthread_mutex_destroy (&self->lock);
  g_free (self);
}

static MorrowFuture *
steal_future (CancelOn *self)
{
  MorrowFuture *future;

  pthread_mutex_lock (&self->lock);
  future = g_steal_pointer (&self->future);
  pthread_mutex_unlock (&self->lock);
  return future;
}

/* Or the cancellable goes, and nobody will cancel the future by it. */
static void
cancel_on_disconnected (gpointer data, GClosure *closure)
{
  CancelOn *self = data;
  MorrowFuture *future = steal_future (self);

  if (future != NULL)
    morrow_future_unref (future);
  cancel_on_unref (self);
}

static void
cancel_on_cancelled (GCancellable *cancellable, gpointer data)
{
  MorrowFuture *future = steal_future (data);

  if (future != NULL)
    {
      morrow_future_cancel (future);
      morrow_future_unref (future);
    }
}

/* The future has settled: the connection goes. A handler that runs at this moment, here or on another thread, keeps
 * what it needs by its reference; g_signal_handler_disconnect () does not wait for it, as g_cancellable_disconnect ()
 * would, and so cannot deadlock. */
static void
cancel_on_settled (MorrowObserver *observer, MorrowFuture *settled)
{
  CancelOn *self = (CancelOn *) observer;
  MorrowFuture *future = steal_future (self);
  g_autoptr (GCancellable) cancellable = g_weak_ref_get (&self->cancellable);

  if (cancellable != NULL)
    g_signal_handler_disconnect (cancellable, self->handler);
  if (future != NULL)
    morrow_future_unref (future);
  cancel_on_unref (self);
}

/**
 * morrow_future_cancel_on:
 * @self: a future
 * @cancellable: (nullable): what cancels it; %NULL for nothing
 *
 * Cancels @self when @cancellable is cancelled, at once if it is already. The connection goes when @self settles, and with
 * @cancellable, which it does not hold. Until then it holds @self: a coroutine that is dropped unstarted warns, and is
 * released, when @cancellable goes.
 */
void
morrow_future_cancel_on (MorrowFuture *self, GCancellable *cancellable)
{
  CancelOn *link;

  g_return_if_fail (self != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  if (cancellable == NULL || morrow__future_is_settled (self))
    return;
  if (g_cancellable_is_cancelled (cancellable))
    {
      morrow_future_cancel (self);
      return;
    }

  link = g_new0 (CancelOn, 1);
  link->observer = (MorrowObserver) MORROW_OBSERVER (cancel_on_settled);
  atomic_init (&link->ref_count, 3);   /* the observer's, the handler's, and this function's */
  pthread_mutex_init (&link->lock, NULL);
  link->future = morrow__future_ref (self);
  g_weak_ref_init (&link->cancellable, cancellable);
  link->handler = g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (cancel_on_cancelled), link, cancel_on_disconnected, 0);

  if (!morrow__future_subscribe_observer (self, &link->observer))
    cancel_on_settled (&link->observer, self);
  else if (g_cancellable_is_cancelled (cancellable))
    cancel_on_cancelled (cancellable, link);   /* unless the handler has */
  cancel_on_unref (link);
}

/* --- a future's cancel cancels a GCancellable -------------------------------------------------------------------- */

/* Few futures have one: they stand in a table, from when they are asked for it until they settle. */
MORROW__FORK_LOCK (links_lock)
static GHashTable *links;        /* under links_lock: MorrowFuture to CancelWith, owned by the observers */

typedef struct
{
  MorrowObserver observer;       /* the future's */
  GCancellable  *cancellable;    /* owned; under links_lock while this is in the table, then of who settles the future */
} CancelWith;

/* Under the lock. */
static CancelWith *
find_link (MorrowFuture *future)
{
  return links != NULL ? g_hash_table_lookup (links, future) : NULL;
}

/* A request came for @future, or it has settled as cancelled. */
void
morrow__cancellable_cancel (MorrowFuture *future)
{
  g_autoptr (GCancellable) cancellable = NULL;
  CancelWith *link;

  pthread_mutex_lock (&links_lock);
  link = find_link (future);
  if (link != NULL)
    cancellable = g_object_ref (link->cancellable);
  pthread_mutex_unlock (&links_lock);

  if (cancellable != NULL)
    g_cancellable_cancel (cancellable);
}

static void
cancel_with_settled (MorrowObserver *observer, MorrowFuture *future)
{
  CancelWith *self = (CancelWith *) observer;

  pthread_mutex_lock (&links_lock);
  g_hash_table_remove (links, future);
  pthread_mutex_unlock (&links_lock);

  if (morrow__future_peek (future) & MORROW__CANCELLED)
    g_cancellable_cancel (self->cancellable);
  g_object_unref (self->cancellable);
  g_free (self);
}

/* The request to cancel @future that @cancellable was cancelled by has been undone, as have all: it stays cancelled, and is of no use. */
static gboolean
is_spent (MorrowFuture *future, GCancellable *cancellable)
{
  return g_cancellable_is_cancelled (cancellable) && morrow__future_is_task (future) &&
         atomic_load_explicit (&((MorrowTask *) future)->cancel, memory_order_relaxed) < MORROW__CANCEL_ONE;
}

/* Gives what stands in the table, where another takes the place of what is spent; NULL for nothing. */
static GCancellable *
get_link (MorrowFuture *future)
{
  g_autoptr (GCancellable) spent = NULL;   /* released without the lock: it may call what users have given it */
  GCancellable *cancellable = NULL;
  CancelWith *link;

  pthread_mutex_lock (&links_lock);
  link = find_link (future);
  if (link != NULL && is_spent (future, link->cancellable))
    {
      spent = link->cancellable;
      link->cancellable = g_cancellable_new ();
    }
  if (link != NULL)
    cancellable = g_object_ref (link->cancellable);
  pthread_mutex_unlock (&links_lock);

  return cancellable;
}

/* Gives NULL when another thread has made one meanwhile. */
static GCancellable *
make_link (MorrowFuture *future)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  CancelWith *link = g_new0 (CancelWith, 1);
  gboolean is_first;

  link->observer = (MorrowObserver) MORROW_OBSERVER (cancel_with_settled);
  link->cancellable = g_object_ref (cancellable);

  pthread_mutex_lock (&links_lock);
  if (links == NULL)
    links = g_hash_table_new (NULL, NULL);
  is_first = find_link (future) == NULL;
  if (is_first)
    g_hash_table_insert (links, future, link);
  pthread_mutex_unlock (&links_lock);

  if (!is_first)
    {
      g_object_unref (link->cancellable);
      g_free (link);
      return NULL;
    }
  if (!morrow__future_subscribe_observer (future, &link->observer))
    cancel_with_settled (&link->observer, future);
  return g_steal_pointer (&cancellable);
}

/**
 * morrow_future_get_cancellable:
 * @self: a future
 *
 * Gives a #GCancellable that is cancelled when @self is, for what understands GIO's kind only. For a task that is
 * when it is asked to end, before it has ended; it is cancelled in the thread that cancels @self, or in its own when
 * SIGINT does. A coroutine that runs in place is asked when somebody cancels it, rather than the task that it is part of;
 * one that is dropped before it has started counts as cancelled.
 *
 * It is the same each time. But a #GCancellable stays cancelled: once all requests have been undone by morrow_future_uncancel (),
 * another is given, and what the task begins from then on should be given that.
 *
 * Returns: (transfer full): a cancellable
 */
GCancellable *
morrow_future_get_cancellable (MorrowFuture *self)
{
  GCancellable *cancellable;

  g_return_val_if_fail (self != NULL, NULL);

  do
    {
      cancellable = get_link (self);
      if (cancellable == NULL)
        cancellable = make_link (self);
    }
  while (cancellable == NULL);

  /* Acquire and release: pairs with the exchange of the same word in morrow__task_cancel (), and with the additions in
   * cancel_host () and in SIGINT's handler. Whichever comes second sees the other, and cancels. */
  if (morrow__future_is_task (self) &&
      atomic_fetch_or_explicit (&((MorrowTask *) self)->cancel, MORROW__CANCEL_LINKED, memory_order_acq_rel) / MORROW__CANCEL_ONE > 0)
    g_cancellable_cancel (cancellable);
  return cancellable;
}
