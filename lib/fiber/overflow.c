/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When a fiber runs into its guard, the process ends, but not without saying which task it was and how large its
 * stack: a handler for SIGSEGV and SIGBUS, on a signal stack of its own since there is no room left on the other.
 *
 * A fault is an overflow when its address is in the guard of a fiber of this thread and the stack pointer is in
 * that fiber's slot, or just below.  All other faults go to whoever handled them before.
 *
 * The handler is the process's, installed while any thread watches; the signal stack is the thread's, and one that it
 * already has (ASan's, the application's) is good enough.  It goes when the thread ends its last watch; where another
 * thread ends it (a loop may be finalised anywhere) the signal stack stays until its thread ends. */

#include "config.h"

#include "fiber/overflow-private.h"

#include "base/fork-private.h"
#include "fiber/fiber-private.h"
#include "fiber/stack-pool-private.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define SIGNAL_STACK_SIZE ((gsize) 64 * 1024)

static const int signals[] = { SIGSEGV, SIGBUS };

/* Under the lock; the handler reads previous without it, which is well, since it is written before the handler can
 * run and never while it is installed. */
MORROW__FORK_LOCK (lock)
static guint n_watchers;
static struct sigaction previous[G_N_ELEMENTS (signals)];

/* Relaxed: whoever sets it does so before there are fibers to describe. */
static _Atomic (void (*) (MorrowFiber *, char *, gsize)) describe_fiber;

/* The thread's.  The address of the first is its name. */
static __thread guint thread_watches;

static void free_signal_stack (gpointer signal_stack);

static GPrivate signal_stack_key = G_PRIVATE_INIT (free_signal_stack);

void
morrow__fiber_set_describe (void (*describe) (MorrowFiber *fiber,
                                              char        *buffer,
                                              gsize        size))
{
  atomic_store_explicit (&describe_fiber, describe, memory_order_relaxed);
}

/* --- the report: nothing here may lock or allocate ----------------------------------------------------------- */

static gsize
append (char       *line,
        gsize       used,
        gsize       size,
        const char *text)
{
  while (*text != '\0' && used < size)
    line[used++] = *text++;
  return used;
}

static gsize
append_number (char  *line,
               gsize  used,
               gsize  size,
               gsize  number)
{
  char digits[24];
  char *digit = digits + sizeof digits;

  *--digit = '\0';
  do
    *--digit = (char) ('0' + number % 10);
  while ((number /= 10) > 0);
  return append (line, used, size, digit);
}

static void
report (MorrowFiber *fiber)
{
  void (*describe) (MorrowFiber *, char *, gsize) = atomic_load_explicit (&describe_fiber, memory_order_relaxed);
  char name[128] = "";
  char line[256];
  gsize used = 0;

  if (describe != NULL)
    describe (fiber, name, sizeof name);
  used = append (line, used, sizeof line, "morrow: stack overflow in task ");
  used = append (line, used, sizeof line, name[0] != '\0' ? name : "(unnamed)");
  used = append (line, used, sizeof line, " (stack of ");
  used = append_number (line, used, sizeof line, morrow__fiber_get_stack_size (fiber) / 1024);
  used = append (line, used, sizeof line, " KiB)\n");
  if (write (STDERR_FILENO, line, used) < 0)
    return;
}

static const guint8 *
stack_pointer (const ucontext_t *interrupted G_GNUC_UNUSED)
{
#if defined (__x86_64__) && defined (__LP64__)
  return (const guint8 *) interrupted->uc_mcontext.gregs[REG_RSP];
#elif defined (__aarch64__)
  return (const guint8 *) interrupted->uc_mcontext.sp;
#else
  return NULL;
#endif
}

/* The fiber that overflowed, or NULL if it was something else. */
static MorrowFiber *
find_overflow (const siginfo_t *info,
               const ucontext_t *interrupted)
{
  MorrowFiber *fiber = morrow__stack_pool_find_guard (info->si_addr);
  const guint8 *sp = stack_pointer (interrupted);

  if (fiber == NULL || sp == NULL)
    return fiber;
  /* A big frame may lie below the guard already, or have jumped over the rest of it. */
  if (sp >= (const guint8 *) fiber || sp + MORROW_FIBER_MIN_STACK_SIZE + fiber->slab->stacks->guard < fiber->low)
    return NULL;
  return fiber;
}

static void
chain (int        signal_number,
       siginfo_t *info,
       void      *interrupted)
{
  const struct sigaction *action = &previous[signal_number == signals[0] ? 0 : 1];

  if ((action->sa_flags & SA_SIGINFO) != 0)
    action->sa_sigaction (signal_number, info, interrupted);
  else if (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN)
    action->sa_handler (signal_number);
  else if (info->si_code > 0)
    /* The instruction is tried again, and faults again: the core dump shows it and not this. */
    signal (signal_number, SIG_DFL);
  else if (action->sa_handler == SIG_DFL)
    {
      /* Somebody sent it: nothing will happen again by itself. */
      signal (signal_number, SIG_DFL);
      raise (signal_number);
    }
}

static void
on_fault (int        signal_number,
          siginfo_t *info,
          void      *interrupted)
{
  MorrowFiber *fiber = info->si_code > 0 ? find_overflow (info, interrupted) : NULL;

  if (fiber == NULL)
    {
      chain (signal_number, info, interrupted);
      return;
    }
  report (fiber);
  signal (signal_number, SIG_DFL);
}

/* --- watching ---------------------------------------------------------------------------------------------- */

static void
add_signal_stack (void)
{
  gpointer signal_stack;
  stack_t stack;

  if (sigaltstack (NULL, &stack) != 0 || (stack.ss_flags & SS_DISABLE) == 0)
    return;
  signal_stack = mmap (NULL, SIGNAL_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (signal_stack == MAP_FAILED)
    return;
  stack = (stack_t) { .ss_sp = signal_stack, .ss_size = SIGNAL_STACK_SIZE };
  sigaltstack (&stack, NULL);
  g_private_set (&signal_stack_key, signal_stack);
}

/* On its thread.  Unless somebody has put another in its place. */
static void
free_signal_stack (gpointer signal_stack)
{
  stack_t stack;

  if (sigaltstack (NULL, &stack) == 0 && stack.ss_sp == signal_stack)
    {
      stack = (stack_t) { .ss_flags = SS_DISABLE };
      sigaltstack (&stack, NULL);
    }
  munmap (signal_stack, SIGNAL_STACK_SIZE);
}

static void
install_handler (void)
{
  struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

  sigemptyset (&action.sa_mask);
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    sigaction (signals[i], &action, &previous[i]);
}

/* A handler that somebody installed later stays. */
static void
restore_handler (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    {
      struct sigaction current;

      sigaction (signals[i], NULL, &current);
      if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == on_fault)
        sigaction (signals[i], &previous[i], NULL);
    }
}

gpointer
morrow__overflow_watch (void)
{
  if (thread_watches++ == 0)
    add_signal_stack ();
  pthread_mutex_lock (&lock);
  if (n_watchers++ == 0)
    install_handler ();
  pthread_mutex_unlock (&lock);
  return &thread_watches;
}

void
morrow__overflow_unwatch (gpointer watch)
{
  pthread_mutex_lock (&lock);
  if (--n_watchers == 0)
    restore_handler ();
  pthread_mutex_unlock (&lock);
  if (watch == &thread_watches && --thread_watches == 0)
    g_private_replace (&signal_stack_key, NULL);
}
