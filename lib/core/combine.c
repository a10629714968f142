/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* all, any, race and gather are one thing: a future that waits for its children, and that differs in which child
 * decides and in what becomes of the rest.
 *
 *              decides                      then                                  settles
 *   gather     the first failure, or none   the others go on                      at once; without a failure when all have settled
 *   all        the first failure, or none   the others are cancelled              when all have settled
 *   any        the first success            the others are cancelled              when all have settled
 *   race       the first to settle          the others are cancelled              when all have settled
 *
 * Cancelled, each cancels its children and settles, as cancelled, when all have settled.
 *
 * PENDING counts the children that have not settled, and one for each stretch of code that walks the children.
 * Whoever takes it to zero finishes: settles, and lets go of the children, unless they are the results. So nobody walks
 * children that are gone, and morrow__combine_finish () (combine-end.c) runs once.
 *
 * Children settle on any thread, and at the same time. C1: the decrement of pending is acquire and release, so that
 * who finishes sees all children settled.
 *
 * Who only looks on, to see what this waits for, may hold locks, or be about to sleep: it must not finish anything, and
 * does not count. C2: the children live until this has settled (morrow__future_ref_held ()).
 *
 * ONE WAITER is enough for all children that nobody else waits for, since notify is told which has settled. C4: it is pushed only
 * where there is none, so that it has no next in any list; and it is written to before the first push, and not again until this
 * finishes. A child that has a waiter, as one does that is among the arguments twice, or whose lock somebody
 * holds, gets one of its own.
 *
 * STARTING a coroutine costs no exchange where nobody else can reach it, which its single reference tells
 * (task.c:claim_for_executor ()). Nobody knows the whole before it has been made, but one of its children may decide before
 * the last has started. C3: whoever decides then leaves the others to morrow__combine_new (), which cancels them when it is
 * not starting one. A gather with a limit starts most of them later, when anybody may reach them: it takes a reference for
 * the while. */

#include "config.h"

#include <string.h>

#include <morrow/error.h>

#include "base/alone-private.h"
#include "base/cache-private.h"
#include "core/combine-private.h"
#include "core/executor-private.h"
#include "core/relay-private.h"

static MorrowFuture starting;   /* never looked into: in decisive while morrow__combine_new () starts the children (C3) */

static void
combine_free (MorrowFuture *future)
{
  MorrowCombine *self = (MorrowCombine *) future;

  g_free (atomic_load_explicit (&self->message, memory_order_relaxed));
  if (!self->has_results)
    {
      morrow__future_free (future, morrow__combine_size (self->n));
      return;
    }

  /* All that its value holds is a reference of what this is a part of. */
  morrow__future_free_name (future);
  morrow_results_unref ((MorrowResults *) self);
}

/* A child's that cannot have the common one. */
typedef struct
{
  MorrowWaiter   waiter;   /* the child's */
  MorrowCombine *owner;    /* immutable */
} OwnWaiter;

/* --- pending ----------------------------------------------------------------------------------------------------- */

static inline void
drop_pending (MorrowCombine *self)
{
  /* C1. */
  if (morrow__fetch_sub (&self->pending, 1, memory_order_acq_rel) == 1)
    morrow__combine_finish (self);
}

/* FALSE when somebody finishes, or has finished: then the children must not be walked. */
static gboolean
keep_pending (MorrowCombine *self)
{
  gsize pending = atomic_load_explicit (&self->pending, memory_order_relaxed);

  while (pending != 0)
    {
      /* Relaxed: it only delays the end; the drop that follows orders. */
      if (morrow__compare_exchange (&self->pending, &pending, pending + 1, memory_order_relaxed, memory_order_relaxed))
        return TRUE;
    }

  return FALSE;
}

/* --- the children ------------------------------------------------------------------------------------------------ */

static inline gboolean
cancels_others (MorrowCombine *self)
{
  return self->mode != MORROW_COMBINE_GATHER && self->mode != MORROW_COMBINE_GATHER_RETURN_ERRORS;
}

static inline gboolean
is_undecided (MorrowFuture *decisive)
{
  return decisive == NULL || decisive == &starting;
}

/* One has decided. The caller keeps pending up. */
static void
cancel_others (MorrowCombine *self, MorrowFuture *decisive)
{
  for (gsize i = 0; i < self->n; i++)
    {
      if (self->children[i] != decisive)
        morrow_future_cancel (self->children[i]);
    }
}

static inline gboolean
child_decides (MorrowCombine *self, gboolean failed)
{
  static const struct { guint8 success, failure; } decides[] = {
    [MORROW_COMBINE_GATHER] = { FALSE, TRUE },
    [MORROW_COMBINE_GATHER_RETURN_ERRORS] = { FALSE, FALSE },
    [MORROW_COMBINE_ALL] = { FALSE, TRUE },
    [MORROW_COMBINE_ANY] = { TRUE, FALSE },
    [MORROW_COMBINE_RACE] = { TRUE, TRUE },
  };

  return failed ? decides[self->mode].failure : decides[self->mode].success;
}

/* Gives what was there before: another child, when that has decided. */
static MorrowFuture *
set_decisive (MorrowCombine *self, MorrowFuture *child)
{
  MorrowFuture *found = atomic_load_explicit (&self->decisive, memory_order_relaxed);

  /* Acquire: pairs with the release in end_starting () (C3). */
  while (is_undecided (found) &&
         !atomic_compare_exchange_weak_explicit (&self->decisive, &found, child, memory_order_acquire, memory_order_relaxed))
    ;
  return found;
}

/* A child has settled as one of them may that decides. */
static void
decide (MorrowCombine *self, MorrowFuture *child)
{
  MorrowFuture *found = set_decisive (self, child);

  if (!is_undecided (found))
    {
      if (self->mode == MORROW_COMBINE_GATHER)
        morrow__future_mark_read (child);   /* asyncio: after the first failure, the others' are nobody's business */
      return;
    }

  if (atomic_load_explicit (&self->n_cancels, memory_order_relaxed) > 0)
    return;                                 /* that is what it settles as; or, when nobody took the cancel, as the child */

  if (self->mode == MORROW_COMBINE_GATHER)
    morrow__combine_settle_as_decided (self, child);
  else if (found != &starting)
    cancel_others (self, child);
}

/* any is there to pass over failures; when all fail it tells of them. What it still waits for may never come by itself: who
 * waits for it is not woken, and so would not find out. */
static void
pass_over (MorrowCombine *self, MorrowFuture *child)
{
  morrow__future_mark_read (child);
  if (self->executor != NULL && MORROW_EXECUTOR_GET_CLASS (self->executor)->reconsider != NULL)
    MORROW_EXECUTOR_GET_CLASS (self->executor)->reconsider (self->executor);
}

/* A child has settled: does it decide? */
static inline void
weigh_child (MorrowCombine *self, MorrowFuture *child)
{
  if (child_decides (self, (morrow__future_peek (child) & MORROW__REJECTED) != 0))
    decide (self, child);
  else if (self->mode == MORROW_COMBINE_ANY)
    pass_over (self, child);
}

static void subscribe_next (MorrowCombine *self);

static inline void
child_settled (MorrowFuture *child, gpointer data)
{
  MorrowCombine *self = data;

  weigh_child (self, child);
  if (atomic_load_explicit (&self->next, memory_order_relaxed) < self->n)
    subscribe_next (self);
  drop_pending (self);
}

static void
child_notify (MorrowWaiter *waiter, MorrowFuture *child)
{
  MorrowCombine *self = G_STRUCT_MEMBER_P (waiter, -(glong) G_STRUCT_OFFSET (MorrowCombine, waiter));

  morrow__relay_call (&morrow__relay, child_settled, child, self);
}

static void
own_notify (MorrowWaiter *waiter, MorrowFuture *child)
{
  MorrowCombine *self = ((OwnWaiter *) waiter)->owner;

  morrow__cache_free (sizeof (OwnWaiter), waiter);
  morrow__relay_call (&morrow__relay, child_settled, child, self);
}

/* FALSE when it has settled. */
static G_GNUC_NO_INLINE gboolean
push_own (MorrowCombine *self, MorrowFuture *child)
{
  OwnWaiter *own = morrow__cache_alloc (sizeof (OwnWaiter));

  *own = (OwnWaiter) { .waiter.notify = own_notify, .owner = self };
  if (morrow__future_push_waiter (child, &own->waiter))
    return TRUE;

  morrow__cache_free (sizeof (OwnWaiter), own);
  return FALSE;
}

/* Subscribes to a child, and starts it by that. One that has settled already is dealt with: FALSE. */
static inline gboolean
subscribe_to (MorrowCombine *self, MorrowFuture *child)
{
  morrow__future_start (child, self->executor);
  if (morrow__usually (morrow__future_push_common (child, &self->waiter)) ||
      (!morrow__future_is_settled (child) && push_own (self, child)))
    return TRUE;

  weigh_child (self, child);
  drop_pending (self);            /* not the last: the caller keeps one */
  return FALSE;
}

/* As one that others may reach at the same time. */
static gboolean
subscribe_to_shared (MorrowCombine *self, MorrowFuture *child)
{
  gboolean subscribed;

  morrow__future_ref (child);
  subscribed = subscribe_to (self, child);
  morrow_future_unref (child);
  return subscribed;
}

/* The next child in order, or the first after it that has not settled. */
static void
subscribe_next (MorrowCombine *self)
{
  gsize i;

  /* Relaxed: an index is all that it hands out. */
  while ((i = morrow__fetch_add (&self->next, 1, memory_order_relaxed)) < self->n)
    {
      if (subscribe_to_shared (self, self->children[i]))
        return;
    }
}

/* Cancels the others itself if one has decided meanwhile; from now on whoever decides does. */
static void
end_starting (MorrowCombine *self)
{
  MorrowFuture *found = &starting;

  /* Release: pairs with the acquire in set_decisive () (C3). */
  if (!atomic_compare_exchange_strong_explicit (&self->decisive, &found, NULL, memory_order_release, memory_order_relaxed))
    cancel_others (self, found);
}

/* Once one has decided, the others are cancelled before they start. */
static void
subscribe_all (MorrowCombine *self)
{
  gsize i = 0;

  atomic_init (&self->next, self->n);
  while (i < self->n && is_undecided (atomic_load_explicit (&self->decisive, memory_order_relaxed)))
    {
      morrow__combine_prefetch_after (self, i);
      subscribe_to (self, self->children[i++]);
    }
  if (cancels_others (self))
    end_starting (self);
  while (i < self->n)
    subscribe_to (self, self->children[i++]);
}

/* The first @limit start now, and each of the others when one has settled. */
static void
subscribe_first (MorrowCombine *self, gsize limit)
{
  for (gsize i = limit; i < self->n; i++)
    {
      MorrowFuture *child = self->children[i];

      if (morrow__future_get_ops (child)->put_off != NULL)
        morrow__future_get_ops (child)->put_off (child);
    }
  for (gsize i = 0; i < limit; i++)
    subscribe_next (self);
}

/* --- cancelling -------------------------------------------------------------------------------------------------- */

/* Whether a gather accepts a cancel is known when all of its children have been asked. So it cannot be put off as
 * relay-private.h does: a gather of a gather of a gather ... is walked instead. */
typedef struct _Walk Walk;

struct _Walk
{
  Walk    *outer;      /* owned; NULL for the one that was cancelled */
  MorrowCombine *combine;    /* borrowed; its pending is kept up */
  gsize    next;       /* the first child that has not been asked */
  gboolean accepted;   /* by one of those before */
};

/* What is to be asked next: @combine's children, unless it finishes. It counts as cancelled while they are asked, since the last of them
 * may settle by that. Relaxed, all of it: who finishes sees it by C1. */
static Walk *
walk_in (Walk *outer, MorrowCombine *combine)
{
  Walk *walk;

  if (!keep_pending (combine))
    return outer;

  atomic_fetch_add_explicit (&combine->n_cancels, 1, memory_order_relaxed);
  walk = g_new (Walk, 1);
  *walk = (Walk) { .outer = outer, .combine = combine };
  return walk;
}

/* All children have been asked. Others may have been accepted before, or meanwhile. */
static Walk *
walk_out (Walk *walk, const char *message, gboolean *ret_accepted)
{
  Walk *outer = walk->outer;

  if (walk->accepted)
    {
      /* Acquire and release: pairs with itself, since the string goes from one thread to another. */
      g_free (atomic_exchange_explicit (&walk->combine->message, g_strdup (message), memory_order_acq_rel));
      *(outer != NULL ? &outer->accepted : ret_accepted) = TRUE;
    }
  else
    {
      atomic_fetch_sub_explicit (&walk->combine->n_cancels, 1, memory_order_relaxed);
    }
  drop_pending (walk->combine);
  g_free (walk);
  return outer;
}

static gboolean
combine_cancel (MorrowFuture *future, const char *message)
{
  Walk *walk = walk_in (NULL, (MorrowCombine *) future);
  gboolean accepted = FALSE;

  while (walk != NULL)
    {
      MorrowFuture *child = walk->next < walk->combine->n ? walk->combine->children[walk->next++] : NULL;

      if (child == NULL)
        walk = walk_out (walk, message, &accepted);
      else if (morrow__future_get_ops (child)->cancel != combine_cancel)
        walk->accepted |= morrow_future_cancel_with_message (child, message);
      else if (!morrow__future_is_settled (child))
        walk = walk_in (walk, (MorrowCombine *) child);
    }

  return accepted;
}

/* --- the future -------------------------------------------------------------------------------------------------- */

/* What holds of one child holds of the whole when all must settle; when one is enough, what holds of all. Every child
 * is visited. */
static gboolean
combine_visit_awaited (MorrowFuture *future, gboolean (*visit) (MorrowFuture *awaited, gpointer data), gpointer data)
{
  MorrowCombine *self = (MorrowCombine *) future;
  gboolean one_is_enough = self->mode == MORROW_COMBINE_ANY || self->mode == MORROW_COMBINE_RACE;
  guint n_pending = 0, n_true = 0;

  for (gsize i = 0; i < self->n; i++)
    {
      MorrowFuture *child = morrow__future_ref_held (future, self->children[i]);   /* C2 */

      if (child == NULL)
        return FALSE;
      if (!morrow__future_is_settled (child))
        {
          n_pending++;
          n_true += visit (child, data) ? 1 : 0;
        }
      morrow_future_unref (child);
    }

  return one_is_enough ? n_pending > 0 && n_true == n_pending : n_true > 0;
}

#define COMBINE_OPS(name) { .kind = name, .cancel = combine_cancel, .free_kind = combine_free, .visit_awaited = combine_visit_awaited }

static MorrowFutureOps combine_ops[] = {
  [MORROW_COMBINE_GATHER] = COMBINE_OPS ("gather"),
  [MORROW_COMBINE_GATHER_RETURN_ERRORS] = COMBINE_OPS ("gather"),
  [MORROW_COMBINE_ALL] = COMBINE_OPS ("all"),
  [MORROW_COMBINE_ANY] = COMBINE_OPS ("any"),
  [MORROW_COMBINE_RACE] = COMBINE_OPS ("race"),
};

/* Of children that nobody has subscribed to yet. */
static inline MorrowCombine *
make_combine (MorrowCombineMode mode, MorrowFuture *const *futures, gsize n)
{
  MorrowCombine *self = morrow__cache_alloc (morrow__combine_size (n));

  morrow__future_init (&self->future, &combine_ops[mode], NULL);
  self->waiter = (MorrowWaiter) { .next = NULL, .notify = child_notify };
  self->mode = mode;
  self->has_results = FALSE;
  atomic_init (&self->n_cancels, 0);
  self->n = n;
  atomic_init (&self->next, 0);
  atomic_init (&self->pending, n + 1);   /* one for morrow__combine_new () */
  atomic_init (&self->decisive, cancels_others (self) ? &starting : NULL);
  atomic_init (&self->message, NULL);
  self->executor = morrow__executor_current;
  if (self->executor != NULL)
    morrow__executor_hold (self->executor);
  if (n > 0)
    memcpy (self->children, futures, n * sizeof (MorrowFuture *));
  return self;
}

MorrowFuture *
morrow__combine_new (MorrowCombineMode mode, MorrowFuture *const *futures, gsize n, gsize limit)
{
  MorrowCombine *self;

  if (n == 0 && (mode == MORROW_COMBINE_ANY || mode == MORROW_COMBINE_RACE))
    return morrow_future_new_rejected (g_error_new (MORROW_ERROR, MORROW_ERROR_INVALID_ARGUMENT, "There is nothing to wait for in an empty %s",
                                                    combine_ops[mode].kind));

  self = make_combine (mode, futures, n);
  morrow__future_ref (&self->future);    /* morrow__combine_finish ()'s */
  if (limit == 0 || limit >= n)
    subscribe_all (self);
  else
    subscribe_first (self, limit);
  drop_pending (self);

  return &self->future;
}
