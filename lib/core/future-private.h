/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a future, for those who make kinds of them: promise, then, gather, task, timer ...
 *
 * THE STATE WORD
 *
 *   pending   [ newest waiter ..................... | CROWD | LOCKED | 0       ]
 *   settled   [ 0 ............ | READ | CANCELLED | REJECTED | 0      | SETTLED ]
 *
 *              add, remove                  publish
 *        .--------------------.      .-----------------> resolved
 *        v                    |      |
 *     pending --- lock ---> locked --+-----------------> rejected (or cancelled)
 *
 * One word holds the waiters, newest first, a lock bit and the settled bit. Whoever sets LOCKED by a compare-and-swap
 * owns the waiter list and the outcome until it stores the word again, and holds it for a few instructions only: to
 * unlink a waiter, or to write the outcome and publish. Nobody calls out while it holds the lock, but to make, change or free the
 * table of a crowd, of which one of 100,000 takes 10 ms to make. In a process with one thread nobody would see it: who settles does not
 * set it there. With CROWD it is not the waiters that the word holds, but a MorrowCrowd of them (crowd.c): then who pushes, and who
 * settles, goes the way of those who find it locked.
 *
 * ORDERINGS
 *   W1  morrow__future_publish () stores the word with release; every load of the word that goes on to read the outcome
 *       is an acquire. So whoever sees SETTLED sees the outcome, which nobody writes again.
 *   W2  a waiter is pushed with release; lock (acquire) takes the list. So whoever settles sees the waiter's fields.
 *   R1  an unref that is not the last is a release; the last is an acquire. So who frees sees what all others did.
 *
 * WAITERS
 *   A waiter is a hook in the memory of whoever waits. It is either in the list or not: morrow__future_unsubscribe ()
 *   either takes it out (and notify will never be called), or says that it is too late (and notify is called, or has
 *   been). notify runs in the thread that settles; it must not run user code and must not block: it puts the waiter's
 *   owner somewhere. When it returns the waiter may be gone. If it may settle another future it does that by the relay
 *   (relay-private.h).
 *
 *   A common waiter is in the lists of many futures at once, of those that had no other when it came (C4). So in each it is the
 *   oldest, and next is NULL; nobody writes to it, and it stays until each of them has notified it. notify is told which. */

#pragma once

#include <stdatomic.h>

#include <morrow/executor.h>
#include <morrow/future.h>

#include "base/alone-private.h"
#include "base/cache-private.h"
#include "core/executor-private.h"

typedef struct _MorrowWaiter    MorrowWaiter;
typedef struct _MorrowFutureOps MorrowFutureOps;
typedef struct _MorrowObserver  MorrowObserver;

/* Aligned, also where pointers have four bytes: the state word has three bits beside it. */
struct _MorrowWaiter
{
  MorrowWaiter *next;                                              /* whoever holds the future's lock; a common one's: immutable, NULL */
  void        (*notify) (MorrowWaiter *self, MorrowFuture *future); /* immutable while subscribed */
} __attribute__ ((aligned (8)));

/* A waiter that only looks on: it does not count as somebody who wants the result. */
struct _MorrowObserver
{
  MorrowWaiter waiter;
  void       (*settled) (MorrowObserver *self, MorrowFuture *future);  /* immutable; as notify */
};

void morrow__observer_notify (MorrowWaiter *waiter, MorrowFuture *future);

#define MORROW_OBSERVER(func) { .waiter.notify = morrow__observer_notify, .settled = (func) }

/* What a kind of future does, and is: the class of its instances, as GObject has it, for which all kinds are one type. (What
 * g_type_class_ref () gives is another, and empty.) Every function but free_kind may be NULL. */
struct _MorrowFutureOps
{
  GTypeClass  klass;  /* any thread; the type is set by morrow__future_prepare_ops (), before the first of the kind is made */
  const char *kind;   /* immutable, as are the rest. For reports: "task", "promise" ... */

  /* Any thread, the future not settled when last looked at: what a cancel means. NULL: it settles as cancelled. */
  gboolean (*cancel)       (MorrowFuture *self, const char *message);

  /* What a cancel leads to may drop every reference. TRUE: cancel () itself sees to it that the future lives so long; else who calls
   * it does. */
  gboolean   cancel_holds;

  /* Any thread: somebody subscribes to a lazy one (MORROW__LAZY), which starts on the executor given (NULL where there is
   * none). Idempotent. */
  void     (*start)        (MorrowFuture *self, MorrowExecutor *executor);

  /* Any thread: it is about to be awaited by a shield. NULL: that makes no difference. */
  void     (*protect)      (MorrowFuture *self);

  /* In whatever has it started, though later, when another may run there. NULL: that makes no difference. */
  void     (*put_off)      (MorrowFuture *self);

  /* The thread of the last unref: releases what the kind holds, and the memory. */
  void     (*free_kind)    (MorrowFuture *self);

  /* Any thread, the future locked: whether somebody wants the result who is not among the waiters. NULL: nobody does. */
  gboolean (*is_wanted)    (MorrowFuture *self);

  /* Any thread: calls visit for each future that this one waits for, and folds the answers: TRUE when what is true of
   * those is true of this one. It settles nothing, whatever happens meanwhile: the caller may hold a lock, or be about to
   * sleep. NULL: something unknown may settle it too. */
  gboolean (*visit_awaited) (MorrowFuture *self, gboolean (*visit) (MorrowFuture *awaited, gpointer data), gpointer data);

  /* Time settles it, or a thread of its own, whatever the tasks do. */
  gboolean   settles_itself;
};

#define MORROW__SETTLED   ((guintptr) 1 << 0)
#define MORROW__LOCKED    ((guintptr) 1 << 1)
#define MORROW__REJECTED  ((guintptr) 1 << 2)
#define MORROW__CANCELLED ((guintptr) 1 << 3)
#define MORROW__READ      ((guintptr) 1 << 4)
#define MORROW__CROWD     ((guintptr) 1 << 2)   /* pending */
#define MORROW__WAITERS   (~(MORROW__SETTLED | MORROW__LOCKED))

/* In aux: a name stands in the place of the site, which is kept before it. */
#define MORROW__NAMED     (1u << 31)

/* In aux: ops->start is to be called, which may find that nothing is left to be started. */
#define MORROW__LAZY      (1u << 30)

/* What a task that has not started keeps in its outcome's place (exec/task-private.h). Who reads the number, which may be too late, locks
 * the future, between morrow__future_begin_look () and end_look (): so nobody settles it meanwhile. */
typedef struct
{
  GType                   unset;        /* 0, and so it stays where there is no value */
  GDestroyNotify          data_free;    /* of its body; immutable */
  guint                   stack_kib;    /* the size of its stack, 0 for the default; whoever has made it, and then immutable */
  atomic_uint             pool_number;  /* while POOLED: any thread, relaxed: where */
} MorrowPending;

struct _MorrowFuture
{
  GTypeInstance           instance;  /* immutable; its class is the kind's MorrowFutureOps */
  atomic_uint             ref_count; /* any thread; R1 */
  atomic_uint             aux;       /* MORROW__NAMED and MORROW__LAZY, and below them the kind's own */
  atomic_uintptr_t        word;      /* any thread; see "The state word" */
  union
  {
    const MorrowSite     *site;      /* where it was made, or NULL */
    const char           *name;      /* in its place, if MORROW__NAMED */
  };
  union
  {
    GValue                value;     /* a resolved future's; unset means no value */
    _Atomic (GError *)    error;     /* a rejected future's; NULL for a cancel without a message, until somebody asks */
    MorrowPending         pending;
  } outcome;                         /* but for pending: written under the lock, once; read-only after SETTLED (W1) */
};

G_STATIC_ASSERT (sizeof (MorrowFuture) == 56 || GLIB_SIZEOF_VOID_P != 8);
G_STATIC_ASSERT (G_STRUCT_OFFSET (MorrowFuture, outcome.value.g_type) == G_STRUCT_OFFSET (MorrowFuture, outcome.error) &&
                 sizeof (GType) == sizeof (GError *));
G_STATIC_ASSERT (sizeof (MorrowPending) <= sizeof (GValue));

/* Who walks thousands, which the caches do not hold, asks for one this far ahead of where he is. */
#define MORROW__WALK_AHEAD 32

static inline __attribute__ ((always_inline)) void
morrow__future_prefetch (MorrowFuture *self)
{
  __builtin_prefetch (self);
}

typedef enum
{
  MORROW_DETACHED,       /* the waiter was taken out; others still wait */
  MORROW_SOLE,           /* it is the only one but for observers, and still in the list */
  MORROW_TOO_LATE        /* the future has settled: notify is called, or has been */
} MorrowDetach;

/* Life. */
void          morrow__future_free_rest     (MorrowFuture *self, gsize size);
MorrowFuture *morrow__future_new_plain     (const MorrowSite *site);

/* Waiting. */
gboolean      morrow__future_push_busy     (MorrowFuture *self, MorrowWaiter *waiter);
gboolean      morrow__future_unsubscribe   (MorrowFuture *self, MorrowWaiter *waiter, gboolean *ret_was_last);
MorrowDetach  morrow__future_detach_shared (MorrowFuture *self, MorrowWaiter *waiter);

MorrowFuture *morrow__future_ref_held      (MorrowFuture *self, MorrowFuture *held);
gboolean      morrow__future_begin_look    (MorrowFuture *self);
void          morrow__future_end_look      (MorrowFuture *self);

/* Settling: the rare ways of claim and publish. */
guintptr      morrow__future_claim_busy    (MorrowFuture *self);
void          morrow__future_notify_several (MorrowFuture *self, MorrowWaiter *newest);

/* Each returns whether it was this call that settled. reject takes the error. */
gboolean      morrow__future_resolve       (MorrowFuture *self, const GValue *value);
gboolean      morrow__future_reject        (MorrowFuture *self, GError *error);
gboolean      morrow__future_settle_cancelled (MorrowFuture *self, const char *message);
gboolean      morrow__future_reject_cancelled (MorrowFuture *self, GError *error);
gboolean      morrow__future_settle_like   (MorrowFuture *self, MorrowFuture *source);

/* Looking. */
const GError *morrow__future_get_error     (MorrowFuture *self);
void          morrow__future_mark_read     (MorrowFuture *self);
gboolean      morrow__future_propagate_error (MorrowFuture *self, GError **error);
const MorrowSite *morrow__future_get_named_site (MorrowFuture *self);
void          morrow__future_free_name     (MorrowFuture *self);
GError       *morrow__cancelled_error      (const char *message);
void          morrow__report_unread        (MorrowFuture *self);
gboolean      morrow__future_is_shield     (MorrowFuture *self);

/* Acquire: pairs with the release in morrow__future_publish () (W1). */
static inline guintptr
morrow__future_peek (MorrowFuture *self)
{
  return atomic_load_explicit (&self->word, memory_order_acquire);
}

static inline gboolean
morrow__future_is_settled (MorrowFuture *self)
{
  return (morrow__future_peek (self) & MORROW__SETTLED) != 0;
}

/* TRUE for a resolved future; else FALSE and a copy of its error. @self has settled. */
static inline gboolean
morrow__future_propagate (MorrowFuture *self, GError **error)
{
  return morrow__likely (!(morrow__future_peek (self) & MORROW__REJECTED)) || morrow__future_propagate_error (self, error);
}

/* Lives as long as the program, or NULL. */
static inline const MorrowSite *
morrow__future_get_site (MorrowFuture *self)
{
  if (morrow__unlikely (atomic_load_explicit (&self->aux, memory_order_relaxed) & MORROW__NAMED))
    return morrow__future_get_named_site (self);
  return self->site;
}

/* "FILE:LINE", and what the function is called that it is made of; each NULL where that is not known. */
static inline const char *
morrow__future_get_location (MorrowFuture *self)
{
  const MorrowSite *site = morrow__future_get_site (self);

  return site != NULL ? site->location : NULL;
}

static inline const char *
morrow__future_get_func_name (MorrowFuture *self)
{
  const MorrowSite *site = morrow__future_get_site (self);

  return site != NULL ? site->func_name : NULL;
}

/* Relaxed: who finds it cleared has nothing to do, and otherwise start () looks at what decides. */
static inline gboolean
morrow__future_is_lazy (MorrowFuture *self)
{
  return (atomic_load_explicit (&self->aux, memory_order_relaxed) & MORROW__LAZY) != 0;
}

static inline const MorrowFutureOps *
morrow__future_get_ops (MorrowFuture *self)
{
  return (const MorrowFutureOps *) self->instance.g_class;
}

/* Starts what is lazy. */
static inline void
morrow__future_start (MorrowFuture *self, MorrowExecutor *executor)
{
  if (morrow__future_is_lazy (self))
    morrow__future_get_ops (self)->start (self, executor);
}

/* Whether to start it takes no call, nor to get its site. */
static inline gboolean
morrow__future_is_plain (MorrowFuture *self)
{
  return (atomic_load_explicit (&self->aux, memory_order_relaxed) & (MORROW__NAMED | MORROW__LAZY)) == 0;
}

/* FALSE when the future has settled, or has a crowd, or somebody holds the lock, or was faster, or for no reason: the waiter was not
 * added. */
static inline gboolean
morrow__future_push_free (MorrowFuture *self, MorrowWaiter *waiter)
{
  guintptr word = morrow__future_peek (self);

  if (morrow__unlikely (word & (MORROW__SETTLED | MORROW__LOCKED | MORROW__CROWD)))
    return FALSE;
  waiter->next = (MorrowWaiter *) word;

  /* Release: pairs with the acquire in morrow__future_claim () (W2). */
  return morrow__compare_exchange (&self->word, &word, (guintptr) waiter, memory_order_release, memory_order_relaxed);
}

/* FALSE when the future has settled, and the waiter was not added. */
static inline gboolean
morrow__future_push_waiter (MorrowFuture *self, MorrowWaiter *waiter)
{
  return morrow__likely (morrow__future_push_free (self, waiter)) || morrow__future_push_busy (self, waiter);
}

/* FALSE when the future has settled, or has waiters already, or somebody holds the lock, or for no reason: the waiter was not added. */
static inline gboolean
morrow__future_push_common (MorrowFuture *self, MorrowWaiter *waiter)
{
  /* Relaxed: nothing is read but whether there is anything. */
  guintptr word = atomic_load_explicit (&self->word, memory_order_relaxed);

  /* Release: pairs with the acquire in morrow__future_claim () (W2). */
  return word == 0 && morrow__compare_exchange (&self->word, &word, (guintptr) waiter, memory_order_release, memory_order_relaxed);
}

/* subscribe starts what is lazy, observing does not; FALSE when the future has settled, and the waiter was not added. */
static inline gboolean
morrow__future_subscribe (MorrowFuture *self, MorrowWaiter *waiter)
{
  if (morrow__seldom (morrow__future_is_lazy (self)))
    morrow__future_get_ops (self)->start (self, morrow__executor_current);   /* which is looked at only here */
  return morrow__future_push_waiter (self, waiter);
}

static inline gboolean
morrow__future_subscribe_observer (MorrowFuture *self, MorrowObserver *observer)
{
  return morrow__future_push_waiter (self, &observer->waiter);
}

static inline MorrowFuture *
morrow__future_ref (MorrowFuture *self)
{
  /* Relaxed: whoever refs holds a reference already, so that nothing is to be ordered. */
  morrow__fetch_add (&self->ref_count, 1, memory_order_relaxed);
  return self;
}

/* Drops a reference. Returns: whether it was the last, so that the caller frees @self. */
static inline gboolean
morrow__future_drop (MorrowFuture *self)
{
  return morrow__drop_reference (&self->ref_count);   /* R1 */
}

/* Of a future that is there: what morrow_future_unref () does. */
static inline void
morrow__future_unref (MorrowFuture *self)
{
  if (morrow__future_drop (self))
    morrow__future_get_ops (self)->free_kind (self);
}

/* The same for who has the last, mostly: the compiler lays that in a line. */
static inline void
morrow__future_unref_last (MorrowFuture *self)
{
  /* Acquire: R1. */
  if (morrow__usually (atomic_load_explicit (&self->ref_count, memory_order_acquire) == 1))
    morrow__future_get_ops (self)->free_kind (self);
  else
    morrow__future_unref (self);
}

/* Whether there is no name, nothing that the kind says by @bits of aux, and no outcome that is to be released: the value types up
 * to double are numbers, which hold nothing. In the type's place stands a rejected future's error: NULL for a cancel without a
 * message, which nobody need have read, or larger than any of them. For who frees @self. */
static inline gboolean
morrow__future_holds_nothing (MorrowFuture *self, guint bits)
{
  /* Relaxed: only the last reference is left, and morrow__future_drop () has ordered it (R1). */
  return !(atomic_load_explicit (&self->aux, memory_order_relaxed) & (MORROW__NAMED | bits)) &&
         self->outcome.value.g_type <= G_TYPE_DOUBLE;
}

/* Releases the outcome and the name, and the memory, which is of @size. */
static inline void
morrow__future_free (MorrowFuture *self, gsize size)
{
  if (morrow__usually (morrow__future_holds_nothing (self, 0)))
    morrow__cache_free (size, self);
  else
    morrow__future_free_rest (self, size);
}

/* Locks for settling, after which the caller writes the outcome and publishes. Returns the newest waiter, and no flags; or what has
 * SETTLED, when it has settled already. */
static inline guintptr
morrow__future_claim (MorrowFuture *self)
{
  guintptr word = morrow__future_peek (self);

  /* Acquire: pairs with the release of whoever pushed a waiter (W2) or unlocked. */
  if (morrow__likely (!(word & (MORROW__SETTLED | MORROW__LOCKED | MORROW__CROWD)) &&
                      (morrow__is_alone () ||
                       atomic_compare_exchange_weak_explicit (&self->word, &word, word | MORROW__LOCKED, memory_order_acquire,
                                                              memory_order_relaxed))))
    return word;

  return morrow__future_claim_busy (self);
}

/* Nobody has come between: also where the lock is left out. */
static inline void
morrow__check_claimed (MorrowFuture *self, guintptr claimed)
{
#ifdef MORROW_ENABLE_DEBUG
  /* Relaxed: this thread has claimed. */
  g_assert ((atomic_load_explicit (&self->word, memory_order_relaxed) & ~MORROW__LOCKED) == claimed);
#endif
}

/* The caller has @claimed, has written the outcome, and holds a reference. */
static inline void
morrow__future_publish (MorrowFuture *self, guintptr claimed, guintptr flags)
{
  MorrowWaiter *newest = (MorrowWaiter *) claimed;

  morrow__check_claimed (self, claimed);

  /* Release: pairs with morrow__future_peek () (W1). */
  atomic_store_explicit (&self->word, MORROW__SETTLED | flags, memory_order_release);

  if (newest == NULL)
    return;
  if (morrow__usually (newest->next == NULL))
    newest->notify (newest, self);
  else
    morrow__future_notify_several (self, newest);
}

/* Without a value. Returns: whether it was this call that settled. */
static inline gboolean
morrow__future_resolve_bare (MorrowFuture *self)
{
  guintptr claimed = morrow__future_claim (self);

  if (morrow__unlikely (claimed & MORROW__SETTLED))
    return FALSE;
  morrow__future_publish (self, claimed, 0);
  return TRUE;
}

/* Word by word, of which the fences keep gcc from making vectors: words that have just been written, as by the function whose result
 * this is, are not forwarded to a load of two, which waits until they are in the cache. */
static inline void
morrow__future_move_value (GValue *to, const GValue *from)
{
  to->g_type = from->g_type;
  atomic_signal_fence (memory_order_seq_cst);
  to->data[0] = from->data[0];
  atomic_signal_fence (memory_order_seq_cst);
  to->data[1] = from->data[1];
}

/* Publishes with the contents of @value, which then means nothing. */
static inline void
morrow__future_publish_move (MorrowFuture *self, guintptr claimed, GValue *value)
{
  if (value->g_type != 0)   /* else it is unset as it is */
    morrow__future_move_value (&self->outcome.value, value);
  morrow__future_publish (self, claimed, 0);
}

/* Takes the contents of @value, which then means nothing. Returns: whether it was this call that settled. */
static inline gboolean
morrow__future_resolve_move (MorrowFuture *self, GValue *value)
{
  guintptr claimed = morrow__future_claim (self);

  if (morrow__unlikely (claimed & MORROW__SETTLED))
    {
      if (value->g_type != 0)
        g_value_unset (value);
      return FALSE;
    }

  morrow__future_publish_move (self, claimed, value);
  return TRUE;
}

void morrow__future_prepare_ops (MorrowFutureOps *ops);

/* FALSE before the first future of the kind is made. */
static inline gboolean
morrow__future_ops_are_ready (MorrowFutureOps *ops)
{
  return __atomic_load_n (&ops->klass.g_type, __ATOMIC_ACQUIRE) != 0;   /* pairs with the release in morrow__future_prepare_ops () */
}

/* For who makes one that others hold from the beginning, or of which the kind keeps something in aux. @ops are ready. */
static inline void
morrow__future_init_with (MorrowFuture *self, MorrowFutureOps *ops, const MorrowSite *site, guint ref_count, guint aux)
{
  self->instance.g_class = &ops->klass;
  atomic_init (&self->ref_count, ref_count);
  atomic_init (&self->aux, aux);
  atomic_init (&self->word, 0);
  self->site = site;
  self->outcome.value.g_type = 0;
}

/* Memory of @size, of at most MORROW_CACHE_MAX_SIZE, for one of which @ops are ready then. */
static inline gpointer
morrow__future_alloc (gsize size, MorrowFutureOps *ops)
{
  if (morrow__unlikely (!morrow__future_ops_are_ready (ops)))
    morrow__future_prepare_ops (ops);
  return morrow__cache_alloc (size);
}

/* For who makes many: the same, where it takes no call; else NULL. What is made without a call needs nothing to be kept across it. */
static inline gpointer
morrow__future_take (gsize size, MorrowFutureOps *ops)
{
  return morrow__likely (morrow__future_ops_are_ready (ops)) ? morrow__cache_take (size) : NULL;
}

/* For who has the memory. Gives one reference. */
static inline void
morrow__future_init (MorrowFuture *self, MorrowFutureOps *ops, const MorrowSite *site)
{
  if (morrow__unlikely (!morrow__future_ops_are_ready (ops)))
    morrow__future_prepare_ops (ops);
  morrow__future_init_with (self, ops, site, 1, 0);
}
