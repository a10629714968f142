/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls on sockets that tasks of a loop make at the same time, and the system is asked for by one call of its own.
 *
 * To enter the kernel and to leave it is a twentieth of what a short message costs. So, where others are ready, a task
 * that receives or sends puts its call into the loop's bundle and parks, and the others run, which may do the same. The
 * bundle is made, through io_uring, when all that were ready have had their turn, or the batch of jobs is over, or it is
 * full. Each call in it is one that does not block, so that all have been made when the system returns; then their tasks are
 * ready, in the order in which they came. So a call takes as long as a yield, or two.
 *
 * NOTHING WAITS FOR MORE than the batch: a bundle is empty whenever the loop sleeps, and when it looks at descriptors, but in a
 * callback that turns its context. Where jobs take long, though, a call would be late by some of them. So after a bundle that
 * was not made in time each call is made at once for a while. And where the calls take long, since they move much, all else
 * would wait for the bundle. So it is full as well when its calls may move a mebibyte, and one that may move more than a sixteenth
 * of that is made at once: the kernel's door costs it next to nothing.
 *
 * WITHOUT io_uring, which a system may not have, or not allow, each call is made at once as well.
 *
 * A CANCEL is not noticed in a bundle, as it is not in a call that is made at once: what has been received is not lost.
 *
 * AN EDGE of a descriptor may be told of between the call and when its task goes on, which then finds in vain that there was
 * nothing: see told in io/slot-private.h.
 *
 * In a CHILD of fork () what is in the bundle is the parent's to make: there it fails, as a wait for a descriptor does. */

#pragma once

#include "exec/scheduler-private.h"

#define MORROW_BUNDLE_SIZE 64
#define MORROW_BUNDLE_LONG (64 * 1024)   /* bytes that a call in one may move at most */

typedef enum
{
  MORROW_BUNDLE_RECV,
  MORROW_BUNDLE_SEND
} MorrowBundleKind;

/* Lives on the stack of the task that waits for it; the loop's thread. */
typedef struct
{
  MorrowBundleKind kind;
  int              fd;
  gpointer         buffer;
  guint            size;     /* MORROW_BUNDLE_LONG at most */
  MorrowTask      *task;     /* borrowed */
  gssize           result;   /* what the system's call gives; instead of -1, errno below zero */
} MorrowBundleCall;

/* Whether a call is to be put into the bundle: for some time it is not, or never. */
gboolean morrow__bundle_admits (MorrowLoop *loop);

/* In the task that runs on @loop, which admits it: makes @call with those of others, without flags but those by which it neither blocks nor
 * raises a signal. -1 and errno when it fails, and @error too where that is not the system's. */
gssize   morrow__bundle_call   (MorrowLoop *loop, MorrowBundleCall *call, GError **error);

/* Makes what is in the bundle, which is not empty. */
void     morrow__bundle_make   (MorrowLoop *loop);

void     morrow__bundle_free   (MorrowLoop *loop);

/* Whether a call that the running task is about to make has company. Inline: most have none. */
static inline gboolean
morrow__bundle_is_open (MorrowLoop *loop)
{
  const MorrowQueueNode *next = loop->ready.head;

  return (loop->n_bundled > 0 || (next != NULL && next->next != NULL)) && loop->home.current != NULL && morrow__bundle_admits (loop);
}
