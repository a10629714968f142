/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The heart: a future's state word, its waiters and its settling, as future-private.h tells. What is read out of a
 * settled future is in outcome.c, callbacks are in then.c. */

#include "config.h"

#include <pthread.h>
#include <sched.h>

#include <gobject/gvaluecollector.h>

#include <morrow/inline.h>

#include "base/cache-private.h"
#include "base/fork-private.h"
#include "core/crowd-private.h"
#include "core/executor-private.h"
#include "core/relay-private.h"

/**
 * MorrowFuture: (ref-func morrow_future_ref) (unref-func morrow_future_unref) (set-value-func g_value_set_instance)
 * (get-value-func g_value_peek_pointer)
 *
 * Something that will have a value, or an error.
 *
 * A future settles once. Everything that can be awaited is one: a task, a timer, a transfer, a gather, a coroutine
 * that has not started.
 *
 * A future that was rejected and that is dropped before anybody has looked at its error reports itself through GLib's
 * log, with its name and the line that made it.
 *
 * It is a type of its own and no GObject. Language bindings have to know such types: PyGObject does not before 3.48, and
 * says that it has "no means to translate" one.
 */

/* What morrow/inline.h says. */
G_STATIC_ASSERT (G_STRUCT_OFFSET (MorrowFuture, word) == G_STRUCT_OFFSET (MorrowFutureFace, state));
G_STATIC_ASSERT (G_STRUCT_OFFSET (MorrowFuture, outcome.value) == G_STRUCT_OFFSET (MorrowFutureFace, value));
G_STATIC_ASSERT (MORROW__STATE_MASK == (MORROW__SETTLED | MORROW__REJECTED) && MORROW__STATE_RESOLVED == MORROW__SETTLED);

/* --- the type ---------------------------------------------------------------------------------------------------- */

static void
future_value_init (GValue *value)
{
  value->data[0].v_pointer = NULL;
}

static void
future_value_free (GValue *value)
{
  g_clear_pointer ((MorrowFuture **) &value->data[0].v_pointer, morrow__relay_unref);
}

static void
future_value_copy (const GValue *source, GValue *copy)
{
  copy->data[0].v_pointer = source->data[0].v_pointer ? morrow_future_ref (source->data[0].v_pointer) : NULL;
}

static gpointer
future_value_peek (const GValue *value)
{
  return value->data[0].v_pointer;
}

static gchar *
future_value_collect (GValue *value, guint n_values, GTypeCValue *values, guint flags)
{
  MorrowFuture *future = values[0].v_pointer;

  value->data[0].v_pointer = future ? morrow_future_ref (future) : NULL;
  return NULL;
}

static gchar *
future_value_lcopy (const GValue *value, guint n_values, GTypeCValue *values, guint flags)
{
  MorrowFuture **to = values[0].v_pointer;

  *to = value->data[0].v_pointer;
  if (*to != NULL && !(flags & G_VALUE_NOCOPY_CONTENTS))
    morrow_future_ref (*to);
  return NULL;
}

static GType future_type;                                   /* written once, under register_once */
static pthread_once_t register_once = PTHREAD_ONCE_INIT;

static void
register_type (void)
{
  static const GTypeValueTable value_table = {
    .value_init = future_value_init,
    .value_free = future_value_free,
    .value_copy = future_value_copy,
    .value_peek_pointer = future_value_peek,
    .collect_format = "p",
    .collect_value = future_value_collect,
    .lcopy_format = "p",
    .lcopy_value = future_value_lcopy,
  };
  const GTypeInfo info = {
    .class_size = sizeof (GTypeClass),
    .instance_size = sizeof (MorrowFuture),
    .value_table = &value_table,
  };
  const GTypeFundamentalInfo fundamental = { G_TYPE_FLAG_CLASSED | G_TYPE_FLAG_INSTANTIATABLE };

  future_type = g_type_register_fundamental (g_type_fundamental_next (), g_intern_static_string ("MorrowFuture"), &info,
                                             &fundamental, G_TYPE_FLAG_ABSTRACT);
}

GType
morrow_future_get_type (void)
{
  pthread_once (&register_once, register_type);
  return future_type;
}

/* --- life -------------------------------------------------------------------------------------------------------- */

MORROW__FORK_LOCK (ops_lock)

/* Several threads may be the first. One of them writes, before any has made an instance: GObject reads the type as if nobody did. */
void
morrow__future_prepare_ops (MorrowFutureOps *ops)
{
  GType type = morrow_future_get_type ();

  pthread_mutex_lock (&ops_lock);
  if (!morrow__future_ops_are_ready (ops))
    __atomic_store_n (&ops->klass.g_type, type, __ATOMIC_RELEASE);   /* pairs with the acquire in morrow__future_ops_are_ready () */
  pthread_mutex_unlock (&ops_lock);
}

/* Releases what every future holds, and the memory. */
void
morrow__future_free_rest (MorrowFuture *self, gsize size)
{
  /* Relaxed: as in morrow__future_holds_nothing (). */
  guintptr word = atomic_load_explicit (&self->word, memory_order_relaxed);

  if (word & MORROW__REJECTED)
    {
      if (morrow__unlikely (!(word & MORROW__READ)))
        morrow__report_unread (self);
      g_clear_error ((GError **) &self->outcome.error);
    }
  else if (self->outcome.value.g_type > G_TYPE_DOUBLE)
    {
      g_value_unset (&self->outcome.value);
    }

  morrow__future_free_name (self);
  morrow__cache_free (size, self);
}

static void
plain_free (MorrowFuture *self)
{
  morrow__future_free (self, sizeof (MorrowFuture));
}

static MorrowFutureOps plain_ops = { .kind = "future", .free_kind = plain_free };

MorrowFuture *
morrow__future_new_plain (const MorrowSite *site)
{
  MorrowFuture *self = morrow__cache_alloc (sizeof (MorrowFuture));

  morrow__future_init (self, &plain_ops, site);
  return self;
}

/**
 * morrow_future_new_resolved:
 * @value: (nullable): the value, which is copied, or %NULL for none
 *
 * Makes a future that has a value already.
 *
 * Returns: (transfer full): a resolved future
 */
MorrowFuture *
morrow_future_new_resolved (const GValue *value)
{
  MorrowFuture *self = morrow__future_new_plain (NULL);

  morrow__future_resolve (self, value);
  return self;
}

/**
 * morrow_future_new_rejected:
 * @error: (transfer full): the error
 *
 * Makes a future that has failed already.
 *
 * Returns: (transfer full): a rejected future
 */
MorrowFuture *
morrow_future_new_rejected (GError *error)
{
  MorrowFuture *self;

  g_return_val_if_fail (error != NULL, NULL);

  self = morrow__future_new_plain (NULL);
  morrow__future_reject (self, error);
  return self;
}

/**
 * morrow_future_ref:
 * @self: a future
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @self
 */
MorrowFuture *
morrow_future_ref (MorrowFuture *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return morrow__future_ref (self);
}

/**
 * morrow_future_unref:
 * @self: (transfer full): a future
 *
 * Drops a reference. Dropping a handle never cancels: what runs is held by whoever runs it.
 */
void
morrow_future_unref (MorrowFuture *self)
{
  g_return_if_fail (self != NULL);

  morrow__future_unref (self);
}

/* --- the lock, the waiters --------------------------------------------------------------------------------------- */

/* How many waiters have been passed on the way to one that leaves, before this thread last made a crowd. */
static __thread gsize n_passed;

/* Sets LOCKED and returns the word as it was before; or returns the word with SETTLED, and nothing is locked. */
static inline guintptr
future_lock (MorrowFuture *self)
{
  guint spins = 0;

  for (;;)
    {
      guintptr word = morrow__future_peek (self);

      if (word & MORROW__SETTLED)
        return word;

      /* Acquire: pairs with the release of whoever pushed a waiter (W2) or unlocked. */
      if (!(word & MORROW__LOCKED) &&
          morrow__compare_exchange (&self->word, &word, word | MORROW__LOCKED, memory_order_acquire, memory_order_relaxed))
        return word;

      if (++spins > 64)
        sched_yield ();
    }
}

static inline void
future_unlock (MorrowFuture *self, guintptr word)
{
  /* Release: pairs with the acquire in future_lock (). */
  atomic_store_explicit (&self->word, word, memory_order_release);
}

static inline MorrowCrowd *
crowd_of (guintptr word)
{
  return (MorrowCrowd *) (word & ~MORROW__CROWD);
}

/* The future is locked. */
static inline MorrowWaiter *
newest_of (guintptr word)
{
  return morrow__unlikely (word & MORROW__CROWD) ? morrow__crowd_newest (crowd_of (word)) : (MorrowWaiter *) word;
}

/* FALSE when the future has settled. */
static G_GNUC_NO_INLINE gboolean
push_to_crowd (MorrowFuture *self, MorrowWaiter *waiter)
{
  guintptr word = future_lock (self);

  if (word & MORROW__SETTLED)
    return FALSE;
  if (!(word & MORROW__CROWD))
    {
      future_unlock (self, word);
      return morrow__future_push_waiter (self, waiter);
    }

  morrow__crowd_push (crowd_of (word), waiter);
  future_unlock (self, word);
  return TRUE;
}

/* Pushes where there is a crowd, or somebody holds the lock, or has settled, or was faster. */
gboolean
morrow__future_push_busy (MorrowFuture *self, MorrowWaiter *waiter)
{
  guintptr word = morrow__future_peek (self);
  guint spins = 0;

  for (;;)
    {
      if (word & MORROW__SETTLED)
        return FALSE;

      if (word & MORROW__LOCKED)
        {
          if (++spins > 64)
            sched_yield ();
          word = morrow__future_peek (self);
          continue;
        }

      if (word & MORROW__CROWD)
        return push_to_crowd (self, waiter);

      waiter->next = (MorrowWaiter *) word;

      /* Release: pairs with the acquire in future_lock () and in morrow__future_claim () (W2). Acquire on failure: the word
       * may have become SETTLED (W1). */
      if (morrow__compare_exchange (&self->word, &word, (guintptr) waiter, memory_order_release, memory_order_acquire))
        return TRUE;
    }
}

static guint
list_length (MorrowWaiter *waiter)
{
  guint n = 0;

  for (; waiter != NULL; waiter = waiter->next)
    n++;
  return n;
}

/* A crowd takes several times as long to make as its list to walk: so it is made once this thread has spent as much on walks, of which
 * the last was one of @n, up to one who leaves a list, with @rest behind. */
static gboolean
is_worth_a_crowd (guint n, MorrowWaiter *rest)
{
  guint n_rest;

  n_passed += n;
  if (n < MORROW_CROWD_MIN || n_passed < MORROW_CROWD_WALKS * (gsize) n)
    return FALSE;

  n_rest = list_length (rest);
  n_passed += n_rest;
  if (n_passed < MORROW_CROWD_WALKS * ((gsize) n + n_rest))
    return FALSE;
  n_passed = 0;
  return TRUE;
}

/* The word of a list without a waiter; the future is locked. */
static guintptr
list_without (MorrowWaiter *newest, MorrowWaiter *waiter)
{
  MorrowWaiter **link = &newest;
  guint n = 0;

  for (; *link != waiter; link = &(*link)->next)
    n++;
  *link = waiter->next;

  if (morrow__unlikely (is_worth_a_crowd (n, waiter->next)))
    return (guintptr) morrow__crowd_new (newest) | MORROW__CROWD;
  return (guintptr) newest;
}

/* Likewise, of what there is. */
static guintptr
word_without (guintptr word, MorrowWaiter *waiter)
{
  MorrowCrowd *crowd;

  if (morrow__likely (!(word & MORROW__CROWD)))
    return list_without ((MorrowWaiter *) word, waiter);

  crowd = crowd_of (word);
  morrow__crowd_remove (crowd, waiter);
  return morrow__crowd_is_small (crowd) ? (guintptr) morrow__crowd_dissolve (crowd) : word;
}

/* Whether anybody but this waiter wants the result; the future is locked. */
static gboolean
is_wanted_by_other (MorrowFuture *self, MorrowWaiter *newest, MorrowWaiter *waiter)
{
  for (; newest != NULL; newest = newest->next)
    {
      if (newest != waiter && newest->notify != morrow__observer_notify)
        return TRUE;
    }

  return morrow__future_get_ops (self)->is_wanted != NULL && morrow__future_get_ops (self)->is_wanted (self);
}

gboolean
morrow__future_unsubscribe (MorrowFuture *self, MorrowWaiter *waiter, gboolean *ret_was_last)
{
  guintptr word = future_lock (self);

  if (word & MORROW__SETTLED)
    return FALSE;

  word = word_without (word, waiter);
  if (ret_was_last != NULL)
    *ret_was_last = !is_wanted_by_other (self, newest_of (word), NULL);
  future_unlock (self, word);
  return TRUE;
}

/* Takes the waiter out if somebody else wants the result too. */
MorrowDetach
morrow__future_detach_shared (MorrowFuture *self, MorrowWaiter *waiter)
{
  guintptr word = future_lock (self);

  if (word & MORROW__SETTLED)
    return MORROW_TOO_LATE;

  if (!is_wanted_by_other (self, newest_of (word), waiter))
    {
      future_unlock (self, word);
      return MORROW_SOLE;
    }

  future_unlock (self, word_without (word, waiter));
  return MORROW_DETACHED;
}

static void
tell_observer (MorrowFuture *future, gpointer data)
{
  MorrowObserver *self = data;

  self->settled (self, future);
}

void
morrow__observer_notify (MorrowWaiter *waiter, MorrowFuture *future)
{
  morrow__relay_call (&morrow__relay, tell_observer, future, waiter);
}

/* --- settling ---------------------------------------------------------------------------------------------------- */

/* In the order in which they came. The oldest may be in other lists as well, and is not written to. */
static void
notify_list (MorrowFuture *self, gpointer newest)
{
  MorrowWaiter *oldest = newest, *waiter = NULL;

  while (oldest->next != NULL)
    {
      MorrowWaiter *older = oldest->next;

      oldest->next = waiter;
      waiter = oldest;
      oldest = older;
    }

  oldest->notify (oldest, self);
  while (waiter != NULL)
    {
      MorrowWaiter *next = waiter->next;   /* first: when notify returns the waiter may be gone */

      waiter->notify (waiter, self);
      waiter = next;
    }
}

/* Also in that order where the relay is full: those that use it would be put off one by one, and made from the last to the first. */
void
morrow__future_notify_several (MorrowFuture *self, MorrowWaiter *newest)
{
  if (morrow__unlikely (morrow__relay_is_full (&morrow__relay)))
    morrow__relay_put_off (&morrow__relay, notify_list, self, newest);
  else
    notify_list (self, newest);
}

/* Claims where somebody holds the lock, or has settled, or where there is a crowd. */
guintptr
morrow__future_claim_busy (MorrowFuture *self)
{
  guintptr word = future_lock (self);

  if (morrow__likely ((word & (MORROW__SETTLED | MORROW__CROWD)) != MORROW__CROWD))
    return word;

  word = (guintptr) morrow__crowd_dissolve (crowd_of (word));
  atomic_store_explicit (&self->word, word | MORROW__LOCKED, memory_order_relaxed);   /* it stays locked: nobody reads what it holds */
  return word;
}

/* A reference of @held, which somebody keeps until @self has settled; NULL when it has. */
MorrowFuture *
morrow__future_ref_held (MorrowFuture *self, MorrowFuture *held)
{
  guintptr word = future_lock (self);

  if (word & MORROW__SETTLED)
    return NULL;
  morrow__future_ref (held);
  future_unlock (self, word);
  return held;
}

/* It does not settle before end_look (), which comes some instructions later. FALSE when it has. */
gboolean
morrow__future_begin_look (MorrowFuture *self)
{
  return !(future_lock (self) & MORROW__SETTLED);
}

void
morrow__future_end_look (MorrowFuture *self)
{
  /* Relaxed: nobody else writes it while it is locked. */
  future_unlock (self, atomic_load_explicit (&self->word, memory_order_relaxed) & MORROW__WAITERS);
}

gboolean
morrow__future_resolve (MorrowFuture *self, const GValue *value)
{
  GValue copy = G_VALUE_INIT;

  if (value != NULL && value->g_type != 0)
    {
      g_value_init (&copy, value->g_type);
      g_value_copy (value, &copy);
    }

  return morrow__future_resolve_move (self, &copy);
}

/* Takes the error, which is NULL for a cancel without a message. */
static inline gboolean
settle_with_error (MorrowFuture *self, GError *error, guintptr flags)
{
  guintptr claimed = morrow__future_claim (self);

  if (morrow__unlikely (claimed & MORROW__SETTLED))
    {
      g_clear_error (&error);
      return FALSE;
    }

  atomic_init (&self->outcome.error, error);
  morrow__future_publish (self, claimed, MORROW__REJECTED | flags);
  return TRUE;
}

/* That something was cancelled is no failure that somebody must hear of. */
static guintptr
flags_of_error (const GError *error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ? MORROW__READ : 0;
}

gboolean
morrow__future_reject (MorrowFuture *self, GError *error)
{
  return settle_with_error (self, error, flags_of_error (error));
}

gboolean
morrow__future_reject_cancelled (MorrowFuture *self, GError *error)
{
  return settle_with_error (self, error, MORROW__CANCELLED | MORROW__READ);
}

gboolean
morrow__future_settle_cancelled (MorrowFuture *self, const char *message)
{
  return morrow__future_reject_cancelled (self, message != NULL ? morrow__cancelled_error (message) : NULL);
}

/* Gives @self the outcome of @source, which has settled. An error that nobody takes over stays unread. */
gboolean
morrow__future_settle_like (MorrowFuture *self, MorrowFuture *source)
{
  guintptr word = morrow__future_peek (source);
  guintptr cancelled = word & MORROW__CANCELLED;
  GError *error;

  if (!(word & MORROW__REJECTED))
    return morrow__future_resolve (self, &source->outcome.value);

  error = g_error_copy (morrow__future_get_error (source));
  if (!(cancelled ? morrow__future_reject_cancelled (self, error) : morrow__future_reject (self, error)))
    return FALSE;

  morrow__future_mark_read (source);
  return TRUE;
}

/* --- cancelling -------------------------------------------------------------------------------------------------- */

/**
 * morrow_future_cancel:
 * @self: a future, in any state
 *
 * Asks for @self not to be done. asyncio's `cancel()`.
 *
 * What that means is the kind's affair: a task is interrupted at its next suspension point, once for each request; a
 * timer, or what a promise was made for, settles at once with %G_IO_ERROR_CANCELLED; a gather passes it on to what it
 * waits for. A coroutine that is awaited in place is a part of the task that awaits it, which is what is interrupted.
 * It never blocks.
 *
 * Returns: %FALSE when @self has settled already, so that nothing was asked of anybody; %TRUE promises no more than that
 * it was asked: a task may go on, or have looked for requests for the last time
 */
gboolean
morrow_future_cancel (MorrowFuture *self)
{
  return morrow_future_cancel_with_message (self, NULL);
}

/**
 * morrow_future_cancel_with_message:
 * @self: a future, in any state
 * @message: (nullable): why, for the error's message
 *
 * Asks for @self not to be done, and says why. See morrow_future_cancel (). Where a task is asked several times before it is given a
 * request, that counts which has ended its wait, the first, or, where it did not wait, the last.
 *
 * Returns: %FALSE when @self has settled already
 */
gboolean
morrow_future_cancel_with_message (MorrowFuture *self, const gchar *message)
{
  gboolean accepted;

  g_return_val_if_fail (self != NULL, FALSE);

  if (morrow__future_is_settled (self))
    return FALSE;

  if (morrow__seldom (morrow__future_get_ops (self)->cancel_holds))
    return morrow__future_get_ops (self)->cancel (self, message);

  morrow__future_ref (self);
  if (morrow__future_get_ops (self)->cancel != NULL)
    accepted = morrow__future_get_ops (self)->cancel (self, message);
  else
    accepted = morrow__future_settle_cancelled (self, message);
  morrow__future_unref (self);

  return accepted;
}
