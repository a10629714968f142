/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a descriptor.
 *
 * WHO MAY (the use field) Each side is used by one call at a time: the call sets the side's bit when it begins and takes
 *   it off when it ends, waits and all. CLOSED is set once, by whoever closes. The descriptor is given back to the
 *   system by the closer, or, when calls are still under way, by the last of them to end: so that no call is made on a
 *   number that means something else by then. Who begins acquires what the one before released.
 *
 * WHERE A CALL WAITS On a loop, in the slot. It is made at the first wait there; at a wait on another loop it moves,
 *   which takes both sides. On a thread, in poll (), with the thread's home as the side's poller. Whoever closes sets
 *   CLOSED under the lock, and wakes who has entered himself under the lock before; who comes later finds CLOSED.
 *
 * A DESCRIPTOR THAT IS READY, poll () says, while the call would block: once the peer has hung up and what is asked for are
 *   errors, say, or where all that there is lies before the place of a peek. That may last. A call on a thread that waits again
 *   may have met it, or what was there has been taken by somebody else. It waits for edges from then on, as it would on a loop: a
 *   set of its own tells of them. Where there is no descriptor left for that, it looks again now and then. */

#pragma once

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <morrow/io.h>

#include "exec/thread-home-private.h"
#include "io/slot-private.h"

#define MORROW_FD_CLOSED 4u   /* beside the sides */

typedef enum
{
  MORROW_FD_OTHER,
  MORROW_FD_SOCKET,
  MORROW_FD_TCP
} MorrowFdKind;

struct _MorrowFd
{
  atomic_uint       ref_count;   /* any thread */
  atomic_uint       use;         /* any thread: see "Who may" */
  int               fd;          /* immutable */
  guint8            kind;        /* immutable: MorrowFdKind */
  guint8            has_mark;    /* whoever reads: something urgent was read, or found, and a read may end at its mark */
  guint16           blocking;    /* immutable: why there is none, or why it could not be made non-blocking, as errno has it; else 0 */
  MorrowSlot       *slot;        /* written under the lock by whoever has both sides; read under it, or on a loop by who has one */
  MorrowThreadHome *pollers[2];  /* under the lock: those that wait for a side; never freed */
  pthread_mutex_t   lock;
};

/* What one takes: a multiple of 32, so that the first 24 bytes, which each call on a loop touches, are in one cache line
 * (base/cache-private.h). */
#define MORROW_FD_SIZE ((sizeof (MorrowFd) + 31) & ~(gsize) 31)

/* What a call on a thread has found out; on a loop it stays as it is. */
typedef struct
{
  gboolean has_waited;
  int      edges;        /* the epoll set, owned; -1 as long as there is none */
} MorrowFdWaits;

#define MORROW_FD_WAITS { FALSE, -1 }

/* The rare ways of morrow__fd_begin () and morrow__fd_end (): it is the others' turn; perhaps it may not be; nobody uses it any more. */
gboolean morrow__fd_give_turn       (MorrowLoop *here, MorrowTask *task, GError **error);
gboolean morrow__fd_begin_otherwise (MorrowFd *self, guint sides, GError **error);
void     morrow__fd_close_for_good  (MorrowFd *self);

/* Around each call: FALSE, and the error, when it may not be. @here is the loop that the calling task is on, NULL on a thread. What never
 * waits uses up the loop's time all the same. Both are inline: after a call of the kernel a function elsewhere is in no cache. */
static inline gboolean
morrow__fd_begin (MorrowFd *self, guint sides, MorrowLoop *here, GError **error)
{
  MorrowTask *task = here != NULL ? here->home.current : NULL;
  guint use;

  if (task != NULL && morrow__seldom (!morrow__loop_burn (here)) && !morrow__fd_give_turn (here, task, error))
    return FALSE;

  use = atomic_load_explicit (&self->use, memory_order_relaxed);
  /* Acquire: pairs with the releases in morrow__fd_end () and make_slot (). */
  return (morrow__likely (self->blocking == 0 && !(use & (MORROW_FD_CLOSED | sides))) &&
          morrow__likely (atomic_compare_exchange_strong_explicit (&self->use, &use, use | sides, memory_order_acquire, memory_order_relaxed))) ||
         morrow__fd_begin_otherwise (self, sides, error);
}

static inline void
morrow__fd_end (MorrowFd *self, guint sides)
{
  /* Release: pairs with the acquires in morrow__fd_begin () and take_sides (). Acquire: of what the other side did, before the close. */
  if (morrow__unlikely (atomic_fetch_sub_explicit (&self->use, sides, memory_order_acq_rel) - sides == MORROW_FD_CLOSED))
    morrow__fd_close_for_good (self);
}

/* Within, when the system would block: waits for poll ()'s @events, which are of the call's sides; @dry are those of them of
 * which a read or a write has just told that they are. May return early. FALSE, and the error, when a cancel came instead, or
 * the deadline, when the descriptor was closed, or when it cannot be waited for. @waits are those of the call, which ends them
 * by morrow__fd_end_waits (); NULL where each wait is followed by a poll () with the same answer. */
gboolean morrow__fd_wait  (MorrowFd *self, int events, guint dry, MorrowLoop *here, MorrowFdWaits *waits, gint64 deadline,
                           GError **error);

/* In its place, in a task on a loop, when an edge has been told of since the call was made: FALSE as there. */
gboolean morrow__fd_look_again (MorrowFd *self, gint64 deadline, GError **error);

/* Likewise, where nobody tells when it is worth to try again: waits for so many microseconds. A close is noticed after it. */
gboolean morrow__fd_pause (MorrowFd *self, gint64 microseconds, gint64 deadline, GError **error);

/* Before the call ends. */
static inline void
morrow__fd_end_waits (MorrowFdWaits *waits)
{
  if (morrow__unlikely (waits->edges >= 0))
    close (waits->edges);
}

static inline guint
morrow__fd_sides (int events)
{
  return (events & (POLLIN | POLLPRI | POLLERR) ? MORROW_SIDE_IN : 0) | (events & POLLOUT ? MORROW_SIDE_OUT : 0);
}

/* Whether a wait is to come before the call. A callback cannot wait: it tries, whatever is known. */
static inline gboolean
morrow__fd_is_dry (MorrowFd *self, guint sides, MorrowLoop *here)
{
  return here != NULL && self->slot != NULL && self->slot->loop == here && (self->slot->dry & sides) &&
         here->home.current != NULL;
}
