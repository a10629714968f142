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
 * Whoever takes it to zero finishes: settles, and lets go of the children. So nobody walks children that are gone,
 * and finish () runs once.
 *
 * Children settle on any thread, and at the same time. C1: the decrement of pending is acquire and release, so that
 * finish () sees all children settled.
 *
 * Who only looks on, to see what this waits for, may hold locks, or be about to sleep: it must not finish anything, and
 * does not count. C2: the children live until this has settled (morrow__future_ref_held ()).
 *
 * STARTING a coroutine costs no exchange where nobody else can reach it, which its single reference tells
 * (task.c:claim_for_executor ()). Nobody knows the whole before it has been made, but one of its children may decide before
 * the last has started. C3: whoever decides then leaves the others to combine_new (), which cancels them when it is not starting
 * one. A gather with a limit starts most of them later, when anybody may reach them: it takes a reference for the while. */

#include "config.h"

#include <stdarg.h>

#include <morrow/combine.h>
#include <morrow/error.h>

#include "base/alone-private.h"
#include "base/cache-private.h"
#include "core/error-private.h"
#include "core/executor-private.h"
#include "core/future-private.h"
#include "core/relay-private.h"
#include "core/results-private.h"

typedef struct _Combine Combine;

typedef enum
{
  GATHER,
  GATHER_RETURN_ERRORS,
  ALL,
  ANY,
  RACE
} Mode;

typedef struct
{
  union
  {
    MorrowWaiter waiter;   /* the child's, until it has settled */
    MorrowJob    job;      /* whoever finishes: see let_go_there () */
  };
  MorrowFuture *future;    /* owned until it is let go of at the end; immutable, and there until the owner has settled (C2) */
  Combine      *owner;     /* immutable */
} Child;

struct _Combine
{
  MorrowFuture             future;
  Mode                     mode;       /* immutable */
  atomic_int               cancelled;  /* any thread: a cancel was passed on to the children */
  gsize                    n;          /* immutable */
  atomic_size_t            next;       /* any thread: the first child that nobody has subscribed to yet */
  atomic_size_t            pending;    /* any thread; see PENDING and C1 above */
  _Atomic (MorrowFuture *) decisive;   /* any thread: the child that decides, set once, borrowed; before that NULL, or &starting */
  _Atomic (char *)         message;    /* any thread: the newest cancel's, owned; by exchange */
  MorrowExecutor          *executor;   /* immutable, held until it has finished: where children start and are let go; NULL: made
                                          on a plain thread */
  Child                    children[];
};

static MorrowFuture starting;   /* never looked into: in decisive while combine_new () starts the children (C3) */

static gsize
combine_size (gsize n)
{
  return sizeof (Combine) + n * sizeof (Child);
}

static void
combine_free (MorrowFuture *future)
{
  Combine *self = (Combine *) future;

  g_free (atomic_load_explicit (&self->message, memory_order_relaxed));
  morrow__future_clear (future);
  morrow__cache_free (combine_size (self->n), self);
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

/* The results take the children. */
static void
resolve_with_results (Combine *self)
{
  MorrowResults *results = morrow__results_new (self->n);
  GValue value = G_VALUE_INIT;

  for (gsize i = 0; i < self->n; i++)
    morrow__results_take (results, i, self->children[i].future);

  g_value_init (&value, MORROW_TYPE_RESULTS);
  g_value_take_boxed (&value, results);
  morrow__future_resolve_move (&self->future, &value);
}

/* A group gives its errors, none of which is one: so groups do not nest, however deep the futures do. */
static void
add_error (GPtrArray *errors, const GError *error)
{
  GPtrArray *children = morrow_error_get_children (error);

  if (children == NULL)
    g_ptr_array_add (errors, g_error_copy (error));
  for (guint i = 0; children != NULL && i < children->len; i++)
    g_ptr_array_add (errors, g_error_copy (g_ptr_array_index (children, i)));
}

/* any, and all have failed. */
static void
reject_with_group (Combine *self)
{
  GPtrArray *errors = g_ptr_array_new_full (self->n, (GDestroyNotify) g_error_free);

  for (gsize i = 0; i < self->n; i++)
    add_error (errors, morrow_future_get_error (self->children[i].future));
  morrow__future_reject (&self->future, morrow__error_new_group (errors, "None succeeded"));
}

/* A child's cancel is a failure of a gather, and not its own cancel. */
static void
settle_as_decided (Combine *self, MorrowFuture *decisive)
{
  if (self->mode == GATHER && morrow_future_is_cancelled (decisive))
    morrow__future_reject (&self->future, g_error_copy (morrow__future_get_error (decisive)));
  else
    morrow__future_settle_like (&self->future, decisive);
}

static void
drop_children (Combine *self)
{
  for (gsize i = 0; i < self->n; i++)
    morrow_future_unref (self->children[i].future);
}

/* FALSE when it is the children's results that it is to settle with. */
static gboolean
settle_without_results (Combine *self)
{
  MorrowFuture *decisive = atomic_load_explicit (&self->decisive, memory_order_relaxed);   /* relaxed: C1 */

  if (atomic_load_explicit (&self->cancelled, memory_order_relaxed))
    morrow__future_settle_cancelled (&self->future, atomic_load_explicit (&self->message, memory_order_relaxed));
  else if (morrow__future_is_settled (&self->future))
    ;                             /* gather has failed before */
  else if (decisive != NULL)
    settle_as_decided (self, decisive);
  else if (self->mode == ANY)
    reject_with_group (self);
  else
    return FALSE;

  return TRUE;
}

static gboolean
may_belong_to_a_thread (MorrowFuture *child)
{
  GType type = morrow__future_peek (child) & MORROW__REJECTED ? G_TYPE_INVALID : G_VALUE_TYPE (&child->outcome.value);

  return type != G_TYPE_INVALID &&
         (G_TYPE_FUNDAMENTAL (type) == G_TYPE_INTERFACE || G_TYPE_FUNDAMENTAL (type) >= G_TYPE_BOXED);
}

/* Whether this is not the executor on which the whole was made, and a value may be of the thread of that. */
static gboolean
is_elsewhere (Combine *self)
{
  if (self->executor == NULL || self->executor == morrow__executor_current || !morrow__executor_is_ours (self->executor) ||
      morrow_executor_get_n_threads (self->executor) > 1)
    return FALSE;

  for (gsize i = 0; i < self->n; i++)
    if (may_belong_to_a_thread (self->children[i].future))
      return TRUE;
  return FALSE;
}

/* finish () is done with it. Whoever still has a reference keeps the outcome, and not the executor. */
static inline void
release_whole (Combine *self)
{
  MorrowExecutor *executor = self->executor;

  morrow_future_unref (&self->future);
  if (executor != NULL)
    morrow__executor_release (executor);
}

static void
release_there (MorrowJob *job, gboolean closed)
{
  release_whole (((Child *) job)->owner);
}

static void
drop_children_there (MorrowJob *job, gboolean closed)
{
  drop_children (((Child *) job)->owner);
  release_there (job, closed);
}

/* Objects that the children gave, and nobody took, are released where the whole was made, as a callback's data is. */
static void
let_go_there (Combine *self, gboolean has_children)
{
  MorrowJob *job = &self->children[0].job;

  job->run = has_children ? drop_children_there : release_there;
  morrow__executor_post (self->executor, job);
}

/* All children have settled, and nobody walks them. */
static void
finish (Combine *self)
{
  gboolean elsewhere = is_elsewhere (self), has_children = settle_without_results (self);

  if (!has_children)
    resolve_with_results (self);

  if (morrow__seldom (elsewhere))
    {
      let_go_there (self, has_children);
      return;
    }
  if (has_children)
    drop_children (self);
  release_whole (self);
}

static inline void
drop_pending (Combine *self)
{
  /* C1. */
  if (morrow__fetch_sub (&self->pending, 1, memory_order_acq_rel) == 1)
    finish (self);
}

/* FALSE when finish () runs or has run: then the children must not be walked. */
static gboolean
keep_pending (Combine *self)
{
  gsize pending = atomic_load_explicit (&self->pending, memory_order_relaxed);

  while (pending != 0)
    {
      /* Relaxed: it only delays finish (); the drop that follows orders. */
      if (morrow__compare_exchange (&self->pending, &pending, pending + 1, memory_order_relaxed, memory_order_relaxed))
        return TRUE;
    }

  return FALSE;
}

/* --- the children ------------------------------------------------------------------------------------------------ */

static inline gboolean
cancels_others (Combine *self)
{
  return self->mode != GATHER && self->mode != GATHER_RETURN_ERRORS;
}

static inline gboolean
is_undecided (MorrowFuture *decisive)
{
  return decisive == NULL || decisive == &starting;
}

/* One has decided. The caller keeps pending up. */
static void
cancel_others (Combine *self, MorrowFuture *decisive)
{
  for (gsize i = 0; i < self->n; i++)
    {
      if (self->children[i].future != decisive)
        morrow_future_cancel (self->children[i].future);
    }
}

static inline gboolean
child_decides (Combine *self, gboolean failed)
{
  static const struct { guint8 success, failure; } decides[] = {
    [GATHER] = { FALSE, TRUE },
    [GATHER_RETURN_ERRORS] = { FALSE, FALSE },
    [ALL] = { FALSE, TRUE },
    [ANY] = { TRUE, FALSE },
    [RACE] = { TRUE, TRUE },
  };

  return failed ? decides[self->mode].failure : decides[self->mode].success;
}

/* Gives what was there before: another child, when that has decided. */
static MorrowFuture *
set_decisive (Combine *self, MorrowFuture *child)
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
decide (Combine *self, MorrowFuture *child)
{
  MorrowFuture *found = set_decisive (self, child);

  if (!is_undecided (found))
    {
      if (self->mode == GATHER)
        morrow__future_mark_read (child);   /* asyncio: after the first failure, the others' are nobody's business */
      return;
    }

  if (atomic_load_explicit (&self->cancelled, memory_order_relaxed))
    return;                                 /* that is what it settles as; or, when nobody took the cancel, as the child */

  if (self->mode == GATHER)
    settle_as_decided (self, child);
  else if (found != &starting)
    cancel_others (self, child);
}

/* any is there to pass over failures; when all fail it tells of them. What it still waits for may never come by itself: who
 * waits for it is not woken, and so would not find out. */
static void
pass_over (Combine *self, MorrowFuture *child)
{
  morrow__future_mark_read (child);
  if (self->executor != NULL && MORROW_EXECUTOR_GET_CLASS (self->executor)->reconsider != NULL)
    MORROW_EXECUTOR_GET_CLASS (self->executor)->reconsider (self->executor);
}

/* A child has settled: does it decide? */
static inline void
weigh_child (Combine *self, MorrowFuture *child)
{
  if (child_decides (self, (morrow__future_peek (child) & MORROW__REJECTED) != 0))
    decide (self, child);
  else if (self->mode == ANY)
    pass_over (self, child);
}

static void subscribe_next (Combine *self);

static inline void
child_settled (MorrowFuture *future, gpointer data)
{
  Combine *self = ((Child *) data)->owner;

  weigh_child (self, future);
  if (atomic_load_explicit (&self->next, memory_order_relaxed) < self->n)
    subscribe_next (self);
  drop_pending (self);
}

static void
child_notify (MorrowWaiter *waiter, MorrowFuture *future)
{
  morrow__relay_call (&morrow__relay, child_settled, future, waiter);
}

/* Subscribes to a child, and starts it by that. One that has settled already is dealt with: FALSE. */
static inline gboolean
subscribe_to (Combine *self, Child *child)
{
  if (morrow__future_subscribe_on (child->future, &child->waiter, self->executor))
    return TRUE;

  weigh_child (self, child->future);
  drop_pending (self);            /* not the last: the caller keeps one */
  return FALSE;
}

/* As one that others may reach at the same time. */
static gboolean
subscribe_to_shared (Combine *self, Child *child)
{
  MorrowFuture *future = morrow__future_ref (child->future);
  gboolean subscribed = subscribe_to (self, child);

  morrow_future_unref (future);
  return subscribed;
}

/* The next child in order, or the first after it that has not settled. */
static void
subscribe_next (Combine *self)
{
  gsize i;

  /* Relaxed: an index is all that it hands out. */
  while ((i = morrow__fetch_add (&self->next, 1, memory_order_relaxed)) < self->n)
    {
      if (subscribe_to_shared (self, &self->children[i]))
        return;
    }
}

/* Cancels the others itself if one has decided meanwhile; from now on whoever decides does. */
static void
end_starting (Combine *self)
{
  MorrowFuture *found = &starting;

  /* Release: pairs with the acquire in set_decisive () (C3). */
  if (!atomic_compare_exchange_strong_explicit (&self->decisive, &found, NULL, memory_order_release, memory_order_relaxed))
    cancel_others (self, found);
}

/* Once one has decided, the others are cancelled before they start. */
static void
subscribe_all (Combine *self)
{
  gsize i = 0;

  atomic_init (&self->next, self->n);
  while (i < self->n && is_undecided (atomic_load_explicit (&self->decisive, memory_order_relaxed)))
    subscribe_to (self, &self->children[i++]);
  if (cancels_others (self))
    end_starting (self);
  while (i < self->n)
    subscribe_to (self, &self->children[i++]);
}

/* The first @limit start now, and each of the others when one has settled. */
static void
subscribe_first (Combine *self, gsize limit)
{
  for (gsize i = limit; i < self->n; i++)
    {
      MorrowFuture *child = self->children[i].future;

      if (child->ops->put_off != NULL)
        child->ops->put_off (child);
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
  Combine *combine;    /* borrowed; its pending is kept up */
  gsize    next;       /* the first child that has not been asked */
  gboolean accepted;   /* by one of those before */
};

/* What is to be asked next: @combine's children, unless it finishes. */
static Walk *
walk_in (Walk *outer, Combine *combine, const char *message)
{
  Walk *walk;

  if (!keep_pending (combine))
    return outer;

  /* Acquire and release: pairs with itself, since the string goes from one thread to another. */
  g_free (atomic_exchange_explicit (&combine->message, g_strdup (message), memory_order_acq_rel));
  atomic_store_explicit (&combine->cancelled, TRUE, memory_order_relaxed);   /* relaxed: finish () sees it by C1 */

  walk = g_new (Walk, 1);
  *walk = (Walk) { .outer = outer, .combine = combine };
  return walk;
}

/* All children have been asked. */
static Walk *
walk_out (Walk *walk, gboolean *ret_accepted)
{
  Walk *outer = walk->outer;

  if (walk->accepted)
    *(outer != NULL ? &outer->accepted : ret_accepted) = TRUE;
  else
    atomic_store_explicit (&walk->combine->cancelled, FALSE, memory_order_relaxed);
  drop_pending (walk->combine);
  g_free (walk);
  return outer;
}

static gboolean
combine_cancel (MorrowFuture *future, const char *message)
{
  Walk *walk = walk_in (NULL, (Combine *) future, message);
  gboolean accepted = FALSE;

  while (walk != NULL)
    {
      MorrowFuture *child = walk->next < walk->combine->n ? walk->combine->children[walk->next++].future : NULL;

      if (child == NULL)
        walk = walk_out (walk, &accepted);
      else if (child->ops->cancel != combine_cancel)
        walk->accepted |= morrow_future_cancel_with_message (child, message);
      else if (!morrow__future_is_settled (child))
        walk = walk_in (walk, (Combine *) child, message);
    }

  return accepted;
}

/* --- the future -------------------------------------------------------------------------------------------------- */

/* What holds of one child holds of the whole when all must settle; when one is enough, what holds of all. Every child
 * is visited. */
static gboolean
combine_visit_awaited (MorrowFuture *future, gboolean (*visit) (MorrowFuture *awaited, gpointer data), gpointer data)
{
  Combine *self = (Combine *) future;
  gboolean one_is_enough = self->mode == ANY || self->mode == RACE;
  guint n_pending = 0, n_true = 0;

  for (gsize i = 0; i < self->n; i++)
    {
      MorrowFuture *child = morrow__future_ref_held (future, self->children[i].future);   /* C2 */

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

static const MorrowFutureOps combine_ops[] = {
  [GATHER] = COMBINE_OPS ("gather"),
  [GATHER_RETURN_ERRORS] = COMBINE_OPS ("gather"),
  [ALL] = COMBINE_OPS ("all"),
  [ANY] = COMBINE_OPS ("any"),
  [RACE] = COMBINE_OPS ("race"),
};

static MorrowFuture *
combine_new (Mode mode, MorrowFuture *const *futures, gsize n, gsize limit)
{
  Combine *self;

  if (n == 0 && (mode == ANY || mode == RACE))
    return morrow_future_new_rejected (g_error_new (MORROW_ERROR, MORROW_ERROR_INVALID_ARGUMENT, "There is nothing to wait for in an empty %s",
                                                    combine_ops[mode].kind));

  self = morrow__cache_alloc (combine_size (n));
  morrow__future_init (&self->future, &combine_ops[mode], NULL);
  self->mode = mode;
  atomic_init (&self->cancelled, FALSE);
  self->n = n;
  atomic_init (&self->next, 0);
  atomic_init (&self->pending, n + 1);   /* one for this function */
  atomic_init (&self->decisive, cancels_others (self) ? &starting : NULL);
  atomic_init (&self->message, NULL);
  self->executor = morrow__executor_current;
  if (self->executor != NULL)
    morrow__executor_hold (self->executor);
  for (gsize i = 0; i < n; i++)
    self->children[i] = (Child) { .waiter.notify = child_notify, .future = futures[i], .owner = self };

  morrow__future_ref (&self->future);    /* finish ()'s */
  if (limit == 0 || limit >= n)
    subscribe_all (self);
  else
    subscribe_first (self, limit);
  drop_pending (self);

  return &self->future;
}

static gboolean
futures_are_valid (MorrowFuture *const *futures, gsize n_futures)
{
  g_return_val_if_fail (futures != NULL || n_futures == 0, FALSE);

  for (gsize i = 0; i < n_futures; i++)
    g_return_val_if_fail (futures[i] != NULL, FALSE);
  return TRUE;
}

static MorrowFuture *
refuse_array (void)
{
  return morrow_future_new_rejected (g_error_new_literal (MORROW_ERROR, MORROW_ERROR_INVALID_ARGUMENT, "A future is missing"));
}

static MorrowFuture *
combine_array (Mode mode, MorrowFuture *const *futures, gsize n_futures, gsize limit)
{
  if (!futures_are_valid (futures, n_futures))
    return refuse_array ();

  return combine_new (mode, futures, n_futures, limit);
}

static Mode
gather_mode (MorrowGatherFlags flags)
{
  return flags & MORROW_GATHER_RETURN_ERRORS ? GATHER_RETURN_ERRORS : GATHER;
}

static MorrowFuture *
combine_list (Mode mode, MorrowFuture *first, va_list rest)
{
  g_autoptr (GPtrArray) futures = g_ptr_array_new ();

  for (MorrowFuture *future = first; future != NULL; future = va_arg (rest, MorrowFuture *))
    g_ptr_array_add (futures, future);

  return combine_new (mode, (MorrowFuture *const *) futures->pdata, futures->len, 0);
}

#define DEFINE_LIST_FORM(name, mode)                 \
  MorrowFuture *                                     \
  morrow_##name (MorrowFuture *first, ...)           \
  {                                                  \
    MorrowFuture *combined;                          \
    va_list rest;                                    \
                                                     \
    va_start (rest, first);                          \
    combined = combine_list (mode, first, rest);     \
    va_end (rest);                                   \
    return combined;                                 \
  }

/**
 * morrow_all: (skip)
 * @first: (transfer full) (nullable): a future
 * @...: more futures, ended by %NULL
 *
 * Waits for all to succeed. See morrow_allv ().
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
DEFINE_LIST_FORM (all, ALL)

/**
 * morrow_any: (skip)
 * @first: (transfer full) (nullable): a future
 * @...: more futures, ended by %NULL
 *
 * Waits for one to succeed. See morrow_anyv ().
 *
 * Returns: (transfer full): a future of the first success
 */
DEFINE_LIST_FORM (any, ANY)

/**
 * morrow_race: (skip)
 * @first: (transfer full) (nullable): a future
 * @...: more futures, ended by %NULL
 *
 * Waits for one to settle. See morrow_racev ().
 *
 * Returns: (transfer full): a future of the first outcome
 */
DEFINE_LIST_FORM (race, RACE)

/**
 * morrow_gather: (skip)
 * @first: (transfer full) (nullable): a future
 * @...: more futures, ended by %NULL
 *
 * Waits for all as asyncio's `gather()` does. See morrow_gatherv ().
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
DEFINE_LIST_FORM (gather, GATHER)

/**
 * morrow_allv: (skip)
 * @futures: (array length=n_futures) (transfer none): the futures, each of which is taken
 * @n_futures: how many
 *
 * Waits for all to succeed. The first failure cancels the others, waits for them to end, and is the failure of the
 * whole. An error of another that is not a cancel reports itself, as every error does that nobody looks at.
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
MorrowFuture *
morrow_allv (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_array (ALL, futures, n_futures, 0);
}

/**
 * morrow_anyv: (skip)
 * @futures: (array length=n_futures) (transfer none): the futures, each of which is taken
 * @n_futures: how many, at least one
 *
 * Waits for one to succeed. The first success cancels the others, waits for them to end, and is what the whole
 * resolves with. When all have failed, it rejects with %MORROW_ERROR_GROUP; a group among
 * them gives its errors to it.
 *
 * Returns: (transfer full): a future of the first success
 */
MorrowFuture *
morrow_anyv (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_array (ANY, futures, n_futures, 0);
}

/**
 * morrow_racev: (skip)
 * @futures: (array length=n_futures) (transfer none): the futures, each of which is taken
 * @n_futures: how many, at least one
 *
 * Waits for one to settle, with a value or an error. The others are cancelled, and waited for.
 *
 * Returns: (transfer full): a future of the first outcome
 */
MorrowFuture *
morrow_racev (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_array (RACE, futures, n_futures, 0);
}

/**
 * morrow_gatherv: (skip)
 * @futures: (array length=n_futures) (transfer none): the futures, each of which is taken
 * @n_futures: how many
 *
 * Waits for all, as asyncio's `gather()` does: the first failure settles the whole at once, and the others go on
 * unobserved. Cancelled, it cancels them and waits until all have ended. morrow_allv () is what one usually wants.
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
MorrowFuture *
morrow_gatherv (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_array (GATHER, futures, n_futures, 0);
}

/**
 * morrow_gather_full: (skip)
 * @futures: (array length=n_futures) (transfer none): the futures, each of which is taken
 * @n_futures: how many
 * @flags: how to treat failures
 * @limit: how many to have running at once, 0 for all; a coroutine starts when its turn comes, what runs already
 * counts when its turn comes
 *
 * The full form of morrow_gatherv ().
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
MorrowFuture *
morrow_gather_full (MorrowFuture *const *futures, gsize n_futures, MorrowGatherFlags flags, gsize limit)
{
  return combine_array (gather_mode (flags), futures, n_futures, limit);
}

/* --- for bindings ------------------------------------------------------------------------------------------------ */

/* No annotation says that a function takes the elements of an array and not the array: these take neither. */
static MorrowFuture *
combine_borrowed (Mode mode, MorrowFuture *const *futures, gsize n_futures, gsize limit)
{
  if (!futures_are_valid (futures, n_futures))
    return refuse_array ();

  for (gsize i = 0; i < n_futures; i++)
    morrow__future_ref (futures[i]);
  return combine_new (mode, futures, n_futures, limit);
}

/**
 * morrow_all_array: (rename-to morrow_all)
 * @futures: (array length=n_futures) (transfer none): the futures, which are borrowed
 * @n_futures: how many
 *
 * For language bindings: morrow_allv (), without taking the futures.
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
MorrowFuture *
morrow_all_array (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_borrowed (ALL, futures, n_futures, 0);
}

/**
 * morrow_any_array: (rename-to morrow_any)
 * @futures: (array length=n_futures) (transfer none): the futures, which are borrowed
 * @n_futures: how many, at least one
 *
 * For language bindings: morrow_anyv (), without taking the futures.
 *
 * Returns: (transfer full): a future of the first success
 */
MorrowFuture *
morrow_any_array (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_borrowed (ANY, futures, n_futures, 0);
}

/**
 * morrow_race_array: (rename-to morrow_race)
 * @futures: (array length=n_futures) (transfer none): the futures, which are borrowed
 * @n_futures: how many, at least one
 *
 * For language bindings: morrow_racev (), without taking the futures.
 *
 * Returns: (transfer full): a future of the first outcome
 */
MorrowFuture *
morrow_race_array (MorrowFuture *const *futures, gsize n_futures)
{
  return combine_borrowed (RACE, futures, n_futures, 0);
}

/**
 * morrow_gather_array: (rename-to morrow_gather)
 * @futures: (array length=n_futures) (transfer none): the futures, which are borrowed
 * @n_futures: how many
 * @flags: how to treat failures
 * @limit: how many to have running at once, 0 for all
 *
 * For language bindings: morrow_gather_full (), without taking the futures.
 *
 * Returns: (transfer full): a future of #MorrowResults
 */
MorrowFuture *
morrow_gather_array (MorrowFuture *const *futures, gsize n_futures, MorrowGatherFlags flags, gsize limit)
{
  return combine_borrowed (gather_mode (flags), futures, n_futures, limit);
}
