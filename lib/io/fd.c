/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor: made, used by one reader and one writer at a time, waited for, closed. See fd-private.h. The calls are
 * in calls.c. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <morrow/error.h>
#include <morrow/task.h>

#include "base/cache-private.h"
#include "base/clock-private.h"
#include "exec/scheduler-private.h"
#include "io/fd-private.h"

#define PAUSE_WITHOUT_EDGES 1000   /* microseconds */

/**
 * MorrowFd: (ref-func morrow_fd_ref) (unref-func morrow_fd_unref)
 *
 * A descriptor that tasks read, write and wait for: a socket, a pipe, a terminal, an eventfd ...
 *
 * A call is tried before anything is waited for, and only when the system says that it would block does the task wait. On a loop
 * that parks the task's fiber; elsewhere it blocks the task's thread. One task may read and one may write at the same time; a
 * second of a kind gets %G_IO_ERROR_PENDING. A descriptor may pass from one thread to another, as data does between
 * tasks; but tasks that use it at the same time are on the same loop, or all on threads.
 *
 * On a loop, a task whose calls can all be done at once makes four of them, then it is the others' turn. Where others are ready,
 * a plain call on a socket, without flags, may be made together with theirs, when they have had their turn: by Linux's io_uring, if
 * morrow was built with liburing and the system allows it. That takes as long as a morrow_yield () or two, and no cancel comes between.
 *
 * A forked child may close what it has inherited, or use it on an executor of its own: the parent goes on waiting for it.
 */
G_DEFINE_BOXED_TYPE (MorrowFd, morrow_fd, morrow_fd_ref, morrow_fd_unref)

/* --- life -------------------------------------------------------------------------------------------------------- */

/* Returns: the option's value; -1 when @fd is no socket. */
static int
get_option (int fd, int option)
{
  int value = 0;
  socklen_t length = sizeof value;

  return getsockopt (fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

/* The number of TCP is another protocol's in other families, and raw sockets may have it, which read packets. */
static gboolean
is_internet_stream (int fd)
{
  int domain = get_option (fd, SO_DOMAIN);

  return (domain == AF_INET || domain == AF_INET6) && get_option (fd, SO_TYPE) == SOCK_STREAM;
}

static MorrowFdKind
get_kind (int fd)
{
  int protocol = get_option (fd, SO_PROTOCOL);

  if (protocol < 0)
    return MORROW_FD_OTHER;
  return protocol == IPPROTO_TCP && is_internet_stream (fd) ? MORROW_FD_TCP : MORROW_FD_SOCKET;
}

/* Returns: 0, or why not, as errno has it. */
static int
make_non_blocking (int fd)
{
  int flags = fcntl (fd, F_GETFL);

  if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl (fd, F_SETFL, flags | O_NONBLOCK) < 0))
    return errno;
  return 0;
}

/**
 * morrow_fd_new:
 * @fd: a descriptor, which is taken: it is closed by morrow_fd_close (), or with the last reference; or a negative number
 *
 * Makes a #MorrowFd of a descriptor, and makes that non-blocking, which everybody notices who has the same open file; where
 * that cannot be, each call fails with the system's error. To keep one's own descriptor, give a dup (). If @fd is negative, as what a
 * call of the system gives that has failed, each call fails with the error that errno has now.
 *
 * Returns: (transfer full): a descriptor that tasks can use
 */
MorrowFd *
morrow_fd_new (int fd)
{
  int why_none = errno != 0 ? errno : EBADF;
  MorrowFd *self = morrow__cache_alloc (MORROW_FD_SIZE);

  *self = (MorrowFd) {
    .fd = fd, .kind = get_kind (fd), .blocking = fd >= 0 ? make_non_blocking (fd) : why_none, .lock = PTHREAD_MUTEX_INITIALIZER
  };
  atomic_init (&self->ref_count, 1);
  atomic_init (&self->use, 0);
  return self;
}

/**
 * morrow_fd_ref:
 * @self: a descriptor
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @self
 */
MorrowFd *
morrow_fd_ref (MorrowFd *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  atomic_fetch_add_explicit (&self->ref_count, 1, memory_order_relaxed);
  return self;
}

/**
 * morrow_fd_unref:
 * @self: (transfer full): a descriptor
 *
 * Drops a reference. The last closes the descriptor, if it is open.
 */
void
morrow_fd_unref (MorrowFd *self)
{
  g_return_if_fail (self != NULL);

  /* Acquire and release: what was done with other references comes before. */
  if (atomic_fetch_sub_explicit (&self->ref_count, 1, memory_order_acq_rel) != 1)
    return;

  morrow_fd_close (self);
  pthread_mutex_destroy (&self->lock);
  morrow__cache_free (MORROW_FD_SIZE, self);
}

/**
 * morrow_fd_get_fd:
 * @self: a descriptor
 *
 * Gives the descriptor itself, which stays @self's.
 *
 * Returns: the descriptor; -1 when it has been closed, and a negative number when there is none
 */
int
morrow_fd_get_fd (MorrowFd *self)
{
  g_return_val_if_fail (self != NULL, -1);

  return atomic_load_explicit (&self->use, memory_order_relaxed) & MORROW_FD_CLOSED ? -1 : self->fd;
}

/* --- use --------------------------------------------------------------------------------------------------------- */

static G_GNUC_NO_INLINE gboolean
set_closed_error (GError **error)
{
  g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_CLOSED, "The descriptor has been closed");
  return FALSE;
}

static G_GNUC_NO_INLINE gboolean
set_late_error (GError **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "The time to wait has run out");
  return FALSE;
}

static G_GNUC_NO_INLINE gboolean
set_blocking_error (MorrowFd *self, GError **error)
{
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (self->blocking), "%s: %s",
               self->fd < 0 ? "There is no descriptor" : "The descriptor could not be made non-blocking", g_strerror (self->blocking));
  return FALSE;
}

static G_GNUC_NO_INLINE gboolean
set_pending_error (guint sides, const char *where, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_PENDING, "Another task %s this descriptor at the same time%s",
               sides & MORROW_SIDE_IN ? "reads from" : "writes to", where);
  return FALSE;
}

gboolean
morrow__fd_give_turn (MorrowLoop *here, MorrowTask *task, GError **error)
{
  MorrowRelays left = morrow__relay_leave ();

  morrow__task_yield (task, &here->home);
  morrow__relay_return (&left);
  morrow__loop_burn (here);
  return !morrow__task_fail_cancelled (task, error);
}

static inline gboolean
take_sides (MorrowFd *self, guint sides, guint mine, GError **error)
{
  guint use = atomic_load_explicit (&self->use, memory_order_relaxed);

  do
    {
      if (morrow__unlikely (use & MORROW_FD_CLOSED))
        return set_closed_error (error);
      if (morrow__unlikely (use & sides & ~mine))
        return set_pending_error (use & sides & ~mine, mine != 0 ? ", on another loop or thread" : "", error);
    }
  /* Acquire: pairs with the releases in morrow__fd_end () and make_slot (). */
  while (!atomic_compare_exchange_weak_explicit (&self->use, &use, use | sides, memory_order_acquire, memory_order_relaxed));

  return TRUE;
}

gboolean
morrow__fd_begin_otherwise (MorrowFd *self, guint sides, GError **error)
{
  if (self->blocking != 0)
    return set_blocking_error (self, error);

  return take_sides (self, sides, 0, error);
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

static gboolean
is_closed (MorrowFd *self)
{
  /* Relaxed: nothing follows from it but the error. */
  return atomic_load_explicit (&self->use, memory_order_relaxed) & MORROW_FD_CLOSED;
}

/* The caller has both sides. */
static MorrowSlot *
replace_slot (MorrowFd *self, MorrowLoop *here, GError **error)
{
  MorrowSlot *slot;

  pthread_mutex_lock (&self->lock);
  if (self->slot != NULL)
    morrow__slot_let_go (self->slot, self->fd);
  self->slot = slot = morrow__slot_new (here, self->fd, self, error);
  pthread_mutex_unlock (&self->lock);

  return slot;
}

static G_GNUC_NO_INLINE MorrowSlot *
make_slot (MorrowFd *self, guint sides, MorrowLoop *here, GError **error)
{
  MorrowSlot *slot;

  if (!take_sides (self, MORROW_SIDES, sides, error))
    return NULL;

  slot = replace_slot (self, here, error);
  /* Release: pairs with the acquires in morrow__fd_begin () and take_sides (). */
  atomic_fetch_and_explicit (&self->use, ~(MORROW_SIDES & ~sides), memory_order_release);
  return slot;
}

/* The slot on the loop @here, which is made or moved there if need be. */
static inline MorrowSlot *
take_slot (MorrowFd *self, guint sides, MorrowLoop *here, GError **error)
{
  MorrowSlot *slot = self->slot;

  return morrow__likely (slot != NULL && slot->loop == here) ? slot : make_slot (self, sides, here, error);
}

static inline gboolean
wait_on_loop (MorrowFd *self, int events, guint dry, MorrowLoop *here, gint64 deadline, GError **error)
{
  guint sides = morrow__fd_sides (events);
  MorrowSlot *slot;

  if (morrow__unlikely (!morrow__executor_is_ours (&here->parent_instance)))
    {
      morrow__executor_set_forked (error);
      return FALSE;
    }

  slot = take_slot (self, sides, here, error);
  if (slot == NULL)
    return FALSE;
  /* By somebody who has found another slot, or nobody in this one, while the call was in the bundle. */
  if (morrow__unlikely (is_closed (self)))
    return set_closed_error (error);
  if (!morrow__slot_wait (slot, sides, dry, deadline, error))
    return FALSE;
  return morrow__likely (!is_closed (self)) || set_closed_error (error);
}

/* Says where the sides are waited for; FALSE when it is too late. */
static gboolean
set_pollers (MorrowFd *self, guint sides, MorrowThreadHome *home)
{
  gboolean open;

  pthread_mutex_lock (&self->lock);
  open = !is_closed (self);
  for (guint i = 0; i < G_N_ELEMENTS (self->pollers); i++)
    {
      if (sides & 1u << i)
        self->pollers[i] = home;
    }
  pthread_mutex_unlock (&self->lock);

  return open;
}

/* Of what there is already the set tells too: it may have come since the call was tried. */
static gboolean
open_edges (MorrowFd *self, int events, MorrowFdWaits *waits)
{
  struct epoll_event event = { .events = (guint32) events | EPOLLET };   /* epoll has taken its values from poll () */

  waits->edges = epoll_create1 (EPOLL_CLOEXEC);
  if (waits->edges >= 0 && epoll_ctl (waits->edges, EPOLL_CTL_ADD, self->fd, &event) == 0)
    return TRUE;

  morrow__fd_end_waits (waits);
  waits->edges = -1;
  return FALSE;
}

static void
note_wait (MorrowFdWaits *waits)
{
  struct epoll_event event;

  waits->has_waited = TRUE;
  if (waits->edges >= 0)
    epoll_wait (waits->edges, &event, 1, 0);   /* it tells of this edge no more */
}

/* For want of a descriptor more: what sleeps need may be still to be made, and take some. */
static gboolean
poll_without_edges (MorrowThreadHome *home, MorrowPoll *wait, GError **error)
{
  gint64 deadline = wait->deadline;
  GError *wait_error = NULL;

  wait->fd = -1;
  wait->deadline = MIN (deadline, morrow__clock_now () + PAUSE_WITHOUT_EDGES);
  if (morrow__thread_home_poll (home, wait, &wait_error))
    return TRUE;
  if (wait->deadline < deadline && g_error_matches (wait_error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    {
      g_error_free (wait_error);
      return TRUE;
    }

  g_propagate_error (error, wait_error);
  return FALSE;
}

static G_GNUC_NO_INLINE gboolean
wait_on_thread (MorrowFd *self, int events, MorrowThreadHome *home, MorrowFdWaits *waits, gint64 deadline, GError **error)
{
  MorrowPoll wait = {
    .fd = self->fd, .events = events, .deadline = deadline, .flags = &self->use, .stop = MORROW_FD_CLOSED
  };
  guint sides = morrow__fd_sides (events);
  gboolean for_edges = waits != NULL && waits->has_waited, ok = TRUE;

  if (for_edges && (waits->edges >= 0 || open_edges (self, events, waits)))
    {
      wait.fd = waits->edges;
      wait.events = POLLIN;
    }

  if (set_pollers (self, sides, home))
    ok = for_edges && waits->edges < 0 ? poll_without_edges (home, &wait, error) : morrow__thread_home_poll (home, &wait, error);
  set_pollers (self, sides, NULL);
  if (waits != NULL)
    note_wait (waits);
  return ok && (!is_closed (self) || set_closed_error (error));
}

static G_GNUC_NO_INLINE gboolean
set_not_in_task_error (GError **error)
{
  g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK, "Only a task can wait for a descriptor");
  return FALSE;
}

static inline gboolean
can_wait (GError **error)
{
  return morrow__likely (morrow__home != NULL && morrow__home->current != NULL) || set_not_in_task_error (error);
}

gboolean
morrow__fd_wait (MorrowFd *self, int events, guint dry, MorrowLoop *here, MorrowFdWaits *waits, gint64 deadline, GError **error)
{
  if (!can_wait (error))
    return FALSE;

  if (here != NULL)
    return wait_on_loop (self, events, dry, here, deadline, error);
  return wait_on_thread (self, events, morrow__thread_home_here (), waits, deadline, error);
}

gboolean
morrow__fd_look_again (MorrowFd *self, gint64 deadline, GError **error)
{
  if (morrow__task_fail_cancelled (morrow__home->current, error))
    return FALSE;
  if (is_closed (self))
    return set_closed_error (error);
  return deadline == G_MAXINT64 || morrow__clock_now () < deadline || set_late_error (error);
}

gboolean
morrow__fd_pause (MorrowFd *self, gint64 microseconds, gint64 deadline, GError **error)
{
  gint64 now = morrow__clock_now ();

  if (!can_wait (error))
    return FALSE;
  if (now >= deadline)
    return set_late_error (error);

  if (!morrow_await (morrow_sleep_until (MIN (deadline, now + microseconds)), error))
    return FALSE;
  return !is_closed (self) || set_closed_error (error);
}

/* --- closing ----------------------------------------------------------------------------------------------------- */

/* Nobody uses it any more. */
void
morrow__fd_close_for_good (MorrowFd *self)
{
  MorrowSlot *slot;

  pthread_mutex_lock (&self->lock);
  slot = g_steal_pointer (&self->slot);
  pthread_mutex_unlock (&self->lock);

  if (slot != NULL)
    morrow__slot_let_go (slot, self->fd);
  if (self->fd >= 0)
    close (self->fd);
}

/* On its way to the loop where tasks wait. */
typedef struct
{
  MorrowJob job;
  MorrowFd *fd;   /* owned */
} Wake;

/* The slot does not move any more, since the descriptor is closed; it may be gone. */
static void
wake_run (MorrowJob *job, gboolean closed)
{
  Wake *self = (Wake *) job;

  pthread_mutex_lock (&self->fd->lock);
  if (!closed && self->fd->slot != NULL)
    morrow__slot_wake (self->fd->slot, MORROW_SIDES);
  pthread_mutex_unlock (&self->fd->lock);

  morrow_fd_unref (self->fd);
  g_free (self);
}

static void
wake_there (MorrowFd *self, MorrowLoop *loop)
{
  Wake *wake = g_new (Wake, 1);

  wake->job.run = wake_run;
  wake->fd = morrow_fd_ref (self);
  morrow__loop_post (loop, &wake->job);
  morrow__executor_release (&loop->parent_instance);
}

/* Under the lock: those that wait find it closed. Gives the loop where others still have to be told, held, or NULL. */
static MorrowLoop *
wake_waiters (MorrowFd *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->pollers); i++)
    {
      if (self->pollers[i] != NULL)
        morrow__parker_unpark (&self->pollers[i]->parker);
    }

  if (self->slot == NULL || !morrow__executor_is_ours (&self->slot->loop->parent_instance))
    return NULL;
  if (self->slot->loop == morrow__loop_here ())
    {
      morrow__slot_wake (self->slot, MORROW_SIDES);
      return NULL;
    }

  morrow__executor_hold (&self->slot->loop->parent_instance);
  return self->slot->loop;
}

/**
 * morrow_fd_close:
 * @self: a descriptor
 *
 * Closes it, from any thread. Tasks that wait for it go on, and get %MORROW_ERROR_CLOSED, as every call does from now
 * on. The system is given the descriptor back when the last of them has ended its call. Again, it does nothing.
 */
void
morrow_fd_close (MorrowFd *self)
{
  MorrowLoop *there = NULL;
  guint use;

  g_return_if_fail (self != NULL);

  pthread_mutex_lock (&self->lock);
  /* Acquire and release: whoever is the last, this or a call, sees what the others did. */
  use = atomic_fetch_or_explicit (&self->use, MORROW_FD_CLOSED, memory_order_acq_rel);
  if (use != 0 && !(use & MORROW_FD_CLOSED))
    there = wake_waiters (self);
  pthread_mutex_unlock (&self->lock);

  if (there != NULL)
    wake_there (self, there);
  if (use == 0)
    morrow__fd_close_for_good (self);
}
