/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor's place on a loop: see slot-private.h. */

#include "config.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/cache-private.h"
#include "io/slot-private.h"

#define EVENTS      (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)
#define IN_EVENTS   (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define OUT_EVENTS  (EPOLLOUT | EPOLLHUP | EPOLLERR)
#define ONCE_EVENTS (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)

G_STATIC_ASSERT (sizeof (MorrowSlot) <= 64 || GLIB_SIZEOF_VOID_P != 8);   /* a cache line */

void
morrow__slot_wake (MorrowSlot *self, guint sides)
{
  if ((sides & MORROW_SIDE_IN) || self->waits_for_both)
    morrow__pause_end (&self->pauses[0]);
  if (sides & MORROW_SIDE_OUT)
    morrow__pause_end (&self->pauses[1]);
}

static void
slot_ready (MorrowPollable *pollable, guint32 events)
{
  MorrowSlot *self = morrow__container_of (pollable, MorrowSlot, pollable);
  guint sides = (events & IN_EVENTS ? MORROW_SIDE_IN : 0) | (events & OUT_EVENTS ? MORROW_SIDE_OUT : 0);

  self->dry &= ~sides;
  self->told |= sides;
  if (morrow__seldom (events & ONCE_EVENTS))
    self->is_unsteady = TRUE;
  morrow__slot_wake (self, sides);
}

/* On the loop's thread. @owner is the MorrowFd. */
MorrowSlot *
morrow__slot_new (MorrowLoop *loop, int fd, gconstpointer owner, GError **error)
{
  MorrowSlot *self = morrow__cache_alloc (sizeof (MorrowSlot));

  *self = (MorrowSlot) { .pollable.ready = slot_ready, .loop = loop, .pauses = { { NULL, owner }, { NULL, owner } } };
  if (morrow__likely (morrow__reactor_control (loop, EPOLL_CTL_ADD, fd, EVENTS, &self->pollable)))
    {
      morrow__executor_hold (&loop->parent_instance);
      return self;
    }

  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "The descriptor cannot be waited for: %s",
               errno == EEXIST ? "this loop watches it already" : g_strerror (errno));
  morrow__cache_free (sizeof (MorrowSlot), self);
  return NULL;
}

static void
slot_free (MorrowSlot *self)
{
  morrow__executor_release (&self->loop->parent_instance);
  morrow__cache_free (sizeof (MorrowSlot), self);
}

/* A slot on its way to its loop, to be freed. */
typedef struct
{
  MorrowJob   job;
  MorrowSlot *slot;   /* owned */
} LetGo;

static void
let_go_run (MorrowJob *job, gboolean closed)
{
  MorrowSlot *slot = ((LetGo *) job)->slot;

  if (!closed)
    morrow__reactor_forget (slot->loop, &slot->pollable);
  slot_free (slot);
  g_free (job);
}

/* @fd is still open. */
void
morrow__slot_let_go (MorrowSlot *self, int fd)
{
  LetGo *let_go;

  morrow__reactor_control (self->loop, EPOLL_CTL_DEL, fd, 0, NULL);
  if (morrow__loop_here () == self->loop)
    {
      morrow__reactor_forget (self->loop, &self->pollable);
      slot_free (self);
      return;
    }
  if (!morrow__executor_is_ours (&self->loop->parent_instance))
    {
      slot_free (self);   /* the loop's thread is the parent's */
      return;
    }

  let_go = g_new (LetGo, 1);
  let_go->job.run = let_go_run;
  let_go->slot = self;
  morrow__loop_post (self->loop, &let_go->job);
}

gboolean
morrow__slot_wait_for_both (MorrowSlot *self, gint64 deadline, GError **error)
{
  gboolean ok;

  self->waits_for_both = TRUE;
  ok = morrow__pause (&self->pauses[0], deadline, error);
  self->waits_for_both = FALSE;
  return ok;
}
