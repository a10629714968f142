/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls on sockets made together: see bundle-private.h. */

#include "config.h"

#include <errno.h>
#include <sys/socket.h>
#ifdef HAVE_LIBURING
#include <liburing.h>
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/memcheck.h>
#endif

#include "base/clock-private.h"
#include "exec/bundle-private.h"
#include "fiber/hooks-private.h"

#define LATE     100    /* microseconds from the first call to when the bundle is made, */
#define N_ALONE  1024   /* and how many calls are made at once after one that was late */
#define FULL     (1024 * 1024)   /* bytes that all calls of a bundle may move, after which no other is put in */
#define NOT_MADE G_MINSSIZE

/* The loop's thread touches it, and nobody else. */
struct _MorrowBundle
{
  MorrowJob         job;        /* queued behind those that are ready when the first call comes, if it is not queued already */
  MorrowLoop       *loop;       /* immutable, borrowed */
  gboolean          is_queued;  /* the job */
  MorrowBundleCall *calls[MORROW_BUNDLE_SIZE];   /* the loop's n_bundled; borrowed: each is on the stack of its task */
  gint64            began;      /* when the first of them came, */
  gsize             size;       /* and how many bytes they may move */
#ifdef HAVE_LIBURING
  gboolean          has_ring;   /* made for the first bundle of several calls */
  struct io_uring   ring;       /* empty but while the bundle is made */
#endif
};

/* --- one by one -------------------------------------------------------------------------------------------------- */

static gssize
make_call (const MorrowBundleCall *call)
{
  gssize n;

  do
    n = call->kind == MORROW_BUNDLE_RECV ? recv (call->fd, call->buffer, call->size, MSG_DONTWAIT)
                                         : send (call->fd, call->buffer, call->size, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n >= 0 ? n : -errno;
}

/* --- by a ring --------------------------------------------------------------------------------------------------- */

/* TSan takes what goes through recv () and send () for an order between threads, and would miss it. */
#if defined (HAVE_LIBURING) && !defined (MORROW_TSAN)

/* FALSE where the system has none, or one that is older than its calls on sockets, 5.7. */
static gboolean
open_ring (MorrowBundle *self)
{
  struct io_uring_params params = { 0 };

  if (io_uring_queue_init_params (MORROW_BUNDLE_SIZE, &self->ring, &params) < 0)
    return FALSE;
  if (params.features & IORING_FEAT_FAST_POLL)
    return TRUE;

  io_uring_queue_exit (&self->ring);
  return FALSE;
}

static gboolean
has_ring (MorrowBundle *self)
{
  if (!self->has_ring)
    self->has_ring = open_ring (self);
  return self->has_ring;
}

static void
close_ring (MorrowBundle *self)
{
  if (self->has_ring)
    io_uring_queue_exit (&self->ring);
  self->has_ring = FALSE;
}

/* What instruments know of recv () and send (). What ASan finds fault with is left to these, so that it is told of. */
static gboolean
is_sound (const MorrowBundleCall *call)
{
#ifdef MORROW_ASAN
  return __asan_region_is_poisoned (call->buffer, call->size) == NULL;
#elif defined (HAVE_VALGRIND_VALGRIND_H)
  return call->kind == MORROW_BUNDLE_RECV ? VALGRIND_CHECK_MEM_IS_ADDRESSABLE (call->buffer, call->size) == 0
                                          : VALGRIND_CHECK_MEM_IS_DEFINED (call->buffer, call->size) == 0;
#else
  return TRUE;
#endif
}

static void
take_result (MorrowBundleCall *call, int result)
{
  if (result == -EINTR)
    return;

  call->result = result;
#ifdef HAVE_VALGRIND_VALGRIND_H
  if (call->kind == MORROW_BUNDLE_RECV && result > 0)
    VALGRIND_MAKE_MEM_DEFINED (call->buffer, result);
#endif
}

static gboolean
submit_call (MorrowBundle *self, MorrowBundleCall *call)
{
  struct io_uring_sqe *entry;

  if (!is_sound (call))
    return FALSE;

  entry = io_uring_get_sqe (&self->ring);
  if (call->kind == MORROW_BUNDLE_RECV)
    io_uring_prep_recv (entry, call->fd, call->buffer, call->size, MSG_DONTWAIT);
  else
    io_uring_prep_send (entry, call->fd, call->buffer, call->size, MSG_DONTWAIT | MSG_NOSIGNAL);
  io_uring_sqe_set_data (entry, call);
  return TRUE;
}

/* Takes the results of so many calls. They are there already; if not, the system still has the buffers, and has to be waited for. */
static void
take_results (MorrowBundle *self, int n)
{
  struct io_uring_cqe *entry;

  while (n > 0)
    {
      if (io_uring_wait_cqe (&self->ring, &entry) == 0)
        {
          take_result (io_uring_cqe_get_data (entry), entry->res);
          io_uring_cqe_seen (&self->ring, entry);
          n--;
        }
    }
}

/* FALSE when it has not taken all: the rest is to be made one by one, and the ring, which still has it, is given up. */
static gboolean
make_by_ring (MorrowBundle *self, guint n)
{
  int n_submitted = 0, n_taken;

  if (!has_ring (self))
    return FALSE;

  for (guint i = 0; i < n; i++)
    n_submitted += submit_call (self, self->calls[i]);
  n_taken = io_uring_submit (&self->ring);
  take_results (self, n_taken);
  if (morrow__likely (n_taken == n_submitted))
    return TRUE;

  close_ring (self);
  return FALSE;
}

#else

static void
close_ring (MorrowBundle *self)
{
}

static gboolean
make_by_ring (MorrowBundle *self, guint n)
{
  return FALSE;
}

#endif

/* --- the bundle -------------------------------------------------------------------------------------------------- */

gboolean
morrow__bundle_admits (MorrowLoop *loop)
{
  if (morrow__seldom (loop->n_alone > 0))
    {
      loop->n_alone -= loop->n_alone != G_MAXUINT;
      return FALSE;
    }
  return !morrow__relay_is_nested () && morrow__executor_is_ours (&loop->parent_instance);
}

/* Has the tasks go on. The kernel has driven them out of the caches. */
static void
return_calls (MorrowLoop *loop, guint n)
{
  for (guint i = 0; i < n; i++)
    morrow__loop_queue_task (loop, loop->bundle->calls[i]->task);
  if (n > 1)
    morrow__loop_warm (loop);
}

void
morrow__bundle_make (MorrowLoop *loop)
{
  MorrowBundle *self = loop->bundle;
  guint n = loop->n_bundled;

  loop->n_bundled = 0;
  if (morrow__likely (morrow__executor_is_ours (&loop->parent_instance)))
    {
      if (morrow__clock_now () - self->began > LATE)
        loop->n_alone = N_ALONE;
      if (n > 1 && !make_by_ring (self, n))
        loop->n_alone = G_MAXUINT;
      for (guint i = 0; i < n; i++)
        if (self->calls[i]->result == NOT_MADE)
          self->calls[i]->result = make_call (self->calls[i]);
    }
  return_calls (loop, n);
}

/* All that were ready when the first call came have had their turn. */
static void
bundle_run (MorrowJob *job, gboolean closed)
{
  MorrowBundle *self = (MorrowBundle *) job;

  self->is_queued = FALSE;
  if (self->loop->n_bundled > 0)
    morrow__bundle_make (self->loop);
}

static MorrowBundle *
new_bundle (MorrowLoop *loop)
{
  MorrowBundle *self = g_new0 (MorrowBundle, 1);

  self->job.run = bundle_run;
  self->loop = loop;
  return self;
}

static inline void
begin_bundle (MorrowBundle *self)
{
  self->began = morrow__clock_now ();
  self->size = 0;
  if (!self->is_queued)
    morrow__queue_push (&self->loop->ready, &self->job.node);
  self->is_queued = TRUE;
}

gssize
morrow__bundle_call (MorrowLoop *loop, MorrowBundleCall *call, GError **error)
{
  MorrowBundle *self = loop->bundle;

  if (morrow__unlikely (self == NULL))
    self = loop->bundle = new_bundle (loop);
  if (loop->n_bundled == 0)
    begin_bundle (self);
  call->task = loop->home.current;
  call->result = NOT_MADE;
  self->calls[loop->n_bundled++] = call;
  self->size += call->size;
  if (loop->n_bundled == MORROW_BUNDLE_SIZE || self->size >= FULL)
    morrow__bundle_make (loop);
  morrow__task_give_way (call->task, &loop->home, FALSE);

  if (morrow__likely (call->result >= 0))
    return call->result;
  if (call->result == NOT_MADE)
    morrow__executor_set_forked (error);
  errno = call->result == NOT_MADE ? EAGAIN : (int) -call->result;
  return -1;
}

void
morrow__bundle_free (MorrowLoop *loop)
{
  if (loop->bundle == NULL)
    return;

  close_ring (loop->bundle);
  g_clear_pointer (&loop->bundle, g_free);
  loop->n_alone = 0;
}
