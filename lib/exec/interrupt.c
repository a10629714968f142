/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What asyncio's Runner does about SIGINT: a handler is put in place on the process's main thread only, and only
 * where the default one was; it cancels the main task, so that no code is interrupted in the middle, and is taken
 * away again unless somebody replaced it. The second SIGINT, and one that comes when main has ended, does what SIGINT
 * does by default; so does one that comes between two runs, where somebody had saved the handler and has put it back, which the
 * next run takes for the default one.
 *
 * The handler runs on any thread, in the middle of anything. It touches atomics only: it sets the request pending, as
 * morrow__task_cancel () does, and wakes main's home: a job in the loop's inbox and its eventfd, or the futex that
 * the thread sleeps on.
 *
 * I1: the handler counts itself, then looks for the run; a run that ends takes itself away, then waits until there is no
 * handler. All four are sequentially consistent, so that one of the two sees the other: the run is there as long as a
 * handler that has found it. */

#include "config.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "base/fork-private.h"
#include "exec/interrupt-private.h"

static atomic_int n_handlers;                /* any thread; I1 */
static _Atomic (MorrowInterrupt *) active;   /* the run's thread writes, the handler reads; I1; all of it is the same process's */

/* Those that were running on other threads; one on this thread has returned. */
static void
forget_handlers (void)
{
  /* Relaxed: the child has no other thread yet. */
  atomic_store_explicit (&n_handlers, 0, memory_order_relaxed);
}

MORROW__IN_EACH_CHILD (forget_handlers)

static void
end_process (int signal_number)
{
  signal (signal_number, SIG_DFL);
  raise (signal_number);
}

/* The first SIGINT of a run whose main has not settled. */
static void
cancel_main (MorrowInterrupt *self)
{
  /* Sequentially consistent: T1, as in morrow__task_cancel (). An addition, since PENDING may be set already: the bit
   * is set apart. */
  atomic_fetch_add_explicit (&self->main->cancel, MORROW__CANCEL_ONE, memory_order_seq_cst);
  atomic_fetch_or_explicit (&self->main->cancel, MORROW__CANCEL_PENDING, memory_order_seq_cst);
  if (self->loop != NULL)
    {
      morrow__mpsc_push (&self->loop->inbox, &self->job.node);
      morrow__wakeup_signal (&self->loop->wakeup);
    }
  else
    {
      morrow__parker_unpark (self->parker);
    }
}

static void
handle (int signal_number)
{
  int saved_errno = errno;
  MorrowInterrupt *self;

  /* I1: pair with the store and the load in morrow__interrupt_end (); active also with the store in
   * morrow__interrupt_begin (), for what it points to. */
  atomic_fetch_add_explicit (&n_handlers, 1, memory_order_seq_cst);
  self = atomic_load_explicit (&active, memory_order_seq_cst);
  /* Relaxed: a number; whoever reads it at the end of the run does so after I1. */
  if (self == NULL || atomic_fetch_add_explicit (&self->count, 1, memory_order_relaxed) > 0 ||
      morrow__future_is_settled (&self->main->future))
    end_process (signal_number);
  else
    cancel_main (self);
  /* Release: pairs with the load in morrow__interrupt_end (), which waits for it. */
  atomic_fetch_sub_explicit (&n_handlers, 1, memory_order_release);
  errno = saved_errno;
}

static void
deliver (MorrowJob *job, gboolean closed)
{
  MorrowInterrupt *self = (MorrowInterrupt *) job;

  if (!closed && !morrow__future_is_settled (&self->main->future))
    morrow__task_deliver_cancel (self->main);
}

/* Also when it is the handler of a run that is over. */
static gboolean
is_default (const struct sigaction *action)
{
  if (action->sa_flags & SA_SIGINFO)
    return FALSE;
  /* Relaxed: of the process's main thread, which is the one that asks. */
  return action->sa_handler == SIG_DFL ||
         (action->sa_handler == handle && atomic_load_explicit (&active, memory_order_relaxed) == NULL);
}

void
morrow__interrupt_begin (MorrowInterrupt *self, MorrowFuture *main, MorrowLoop *loop, MorrowParker *parker)
{
  struct sigaction handler = { .sa_handler = handle, .sa_flags = SA_RESTART };

  *self = (MorrowInterrupt) { .job.run = deliver, .main = (MorrowTask *) main, .loop = loop, .parker = parker };

  if (gettid () != getpid () || sigaction (SIGINT, NULL, &self->before) != 0 || !is_default (&self->before))
    return;

  self->before.sa_handler = SIG_DFL;
  /* Release: pairs with the load in handle (). */
  atomic_store_explicit (&active, self, memory_order_release);
  self->installed = sigaction (SIGINT, &handler, NULL) == 0;
}

/* Whether SIGINT came. The handler may have posted its job just now: the loop is to run what is in its inbox. */
gboolean
morrow__interrupt_end (MorrowInterrupt *self)
{
  struct sigaction now;

  if (self->installed)
    {
      if (sigaction (SIGINT, NULL, &now) == 0 && now.sa_handler == handle)
        sigaction (SIGINT, &self->before, NULL);
      /* I1: pair with the addition and the load in handle (). */
      atomic_store_explicit (&active, NULL, memory_order_seq_cst);
      while (atomic_load_explicit (&n_handlers, memory_order_seq_cst) > 0)
        sched_yield ();
    }

  return atomic_load_explicit (&self->count, memory_order_relaxed) > 0;
}
