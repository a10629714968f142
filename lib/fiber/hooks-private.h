/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What AddressSanitizer, ThreadSanitizer and Valgrind have to be told about stacks.  In ordinary builds all of it is empty,
 * but for Valgrind's, which costs a few instructions when a stack is made, none when one is switched to.
 *
 * The life of a stack, as they see it:
 *
 *   map      its slot has been taken into use                       (Valgrind learns its bounds)
 *   begin    a fiber is made on it                                  (TSan: a fresh fiber; ASan: no old poison)
 *   leave, arrive, leave_for_good   around each switch
 *   stay     of a thread's own stack, in place of map and begin     (TSan: which fiber it is)
 *   unmap    its memory is given back                               (all forget it)
 *
 * A fiber of TSan's cannot be destroyed while it is current, and a fiber is freed while it runs: so the old one is
 * destroyed when the stack is used again or unmapped.
 *
 * TSan keeps a signal that comes while code runs, with the fiber, until that fiber next calls the C library.  Two losses
 * threaten: the fiber is left, and may not run again for long; or the signal comes while TSan makes the place where it
 * is kept, at the fiber's first call that can block.  So no signal comes between the last call before a switch and the
 * end of the switch; nor during such a call, which each fiber, and each thread, makes at its begin. */

#pragma once

#include "config.h"

#include <glib.h>

#if defined (__has_feature)
#if __has_feature (address_sanitizer)
#define MORROW_ASAN 1
#endif
#if __has_feature (thread_sanitizer)
#define MORROW_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define MORROW_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define MORROW_TSAN 1
#endif

#ifdef MORROW_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef MORROW_TSAN
#include <poll.h>
#include <sanitizer/tsan_interface.h>
#include <signal.h>
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#endif

/* Touched by the fiber's thread only. */
typedef struct
{
#ifdef MORROW_ASAN
  void       *fake_stack;       /* While it does not run. */
  const void *low;
  gsize       size;
  gpointer    entry;            /* What start () in fiber.c goes on to. */
#endif
#ifdef MORROW_TSAN
  void       *fiber;            /* NULL where a stack has never been used. */
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
  guint       stack_id;         /* From map to unmap. */
#endif
  char        nothing[0];
} MorrowFiberHooks;

#ifdef MORROW_TSAN

static inline void
morrow__fiber_hooks_make_signals_safe (void *fiber)
{
  void *current = __tsan_get_current_fiber ();
  sigset_t all, before;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  __tsan_switch_to_fiber (fiber, __tsan_switch_to_fiber_no_sync);
  poll (NULL, 0, 0);
  __tsan_switch_to_fiber (current, __tsan_switch_to_fiber_no_sync);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
}

static inline void
morrow__fiber_hooks_switch_tsan (MorrowFiberHooks *to)
{
  sigset_t all, before;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  __tsan_switch_to_fiber (to->fiber, 0);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
}

#endif

static inline void
morrow__fiber_hooks_map (MorrowFiberHooks *self G_GNUC_UNUSED,
                         gpointer          low G_GNUC_UNUSED,
                         gpointer          top G_GNUC_UNUSED)
{
#ifdef HAVE_VALGRIND_VALGRIND_H
  self->stack_id = VALGRIND_STACK_REGISTER (low, top);
#endif
#ifdef MORROW_TSAN
  self->fiber = NULL;
#endif
}

static inline void
morrow__fiber_hooks_unmap (MorrowFiberHooks *self G_GNUC_UNUSED,
                           gpointer          low G_GNUC_UNUSED,
                           gpointer          top G_GNUC_UNUSED)
{
#ifdef HAVE_VALGRIND_VALGRIND_H
  VALGRIND_STACK_DEREGISTER (self->stack_id);
#endif
#ifdef MORROW_TSAN
  if (self->fiber != NULL)
    __tsan_destroy_fiber (self->fiber);
#endif
#ifdef MORROW_ASAN
  __asan_unpoison_memory_region (low, (gsize) ((char *) top - (char *) low));
#endif
}

static inline void
morrow__fiber_hooks_begin (MorrowFiberHooks *self G_GNUC_UNUSED,
                           gpointer          low G_GNUC_UNUSED,
                           gpointer          top G_GNUC_UNUSED)
{
#ifdef MORROW_ASAN
  self->fake_stack = NULL;
  self->low = low;
  self->size = (gsize) ((char *) top - (char *) low);
  __asan_unpoison_memory_region (low, self->size);
#endif
#ifdef MORROW_TSAN
  if (self->fiber != NULL)
    __tsan_destroy_fiber (self->fiber);
  self->fiber = __tsan_create_fiber (0);
  morrow__fiber_hooks_make_signals_safe (self->fiber);
#endif
}

/* Before what is no fiber of a pool's is left: it may be on another stack than the last time, of a task that turns a main
 * context.  ASan keeps the thread's bounds for it, which it only needs where a stack is unwound. */
static inline void
morrow__fiber_hooks_stay (MorrowFiberHooks *self G_GNUC_UNUSED)
{
#ifdef MORROW_TSAN
  self->fiber = __tsan_get_current_fiber ();
#endif
}

static inline __attribute__ ((always_inline)) void
morrow__fiber_hooks_leave (MorrowFiberHooks *from G_GNUC_UNUSED,
                           MorrowFiberHooks *to G_GNUC_UNUSED)
{
#ifdef MORROW_ASAN
  __sanitizer_start_switch_fiber (&from->fake_stack, to->low, to->size);
#endif
#ifdef MORROW_TSAN
  morrow__fiber_hooks_switch_tsan (to);
#endif
}

/* NULL has ASan give up the fake stack. */
static inline __attribute__ ((always_inline)) void
morrow__fiber_hooks_leave_for_good (MorrowFiberHooks *from G_GNUC_UNUSED,
                                    MorrowFiberHooks *to G_GNUC_UNUSED)
{
#ifdef MORROW_ASAN
  __sanitizer_start_switch_fiber (NULL, to->low, to->size);
#endif
#ifdef MORROW_TSAN
  morrow__fiber_hooks_switch_tsan (to);
#endif
}

static inline __attribute__ ((always_inline)) void
morrow__fiber_hooks_arrive (MorrowFiberHooks *self G_GNUC_UNUSED)
{
#ifdef MORROW_ASAN
  __sanitizer_finish_switch_fiber (self->fake_stack, NULL, NULL);
#endif
}

/* Around reads of what lies below a stack pointer, which Valgrind takes for a mistake. */
static inline void
morrow__fiber_hooks_look_below (gboolean begin G_GNUC_UNUSED)
{
#ifdef HAVE_VALGRIND_VALGRIND_H
  if (begin)
    VALGRIND_DISABLE_ERROR_REPORTING;
  else
    VALGRIND_ENABLE_ERROR_REPORTING;
#endif
}
