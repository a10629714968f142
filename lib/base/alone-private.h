/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Read-modify-writes that cost a lock prefix only where there is somebody to be locked out.
 *
 * A process with one thread needs no atomic instruction to count: nobody can come in between but a signal handler.
 * The C library tells, in a byte of its own, which it clears before it starts the first thread.  A program on one loop
 * is such a process, unless something in it has made a thread: then these are what they are elsewhere.  The starting of
 * a thread orders all that came before it, whatever the instructions were.
 *
 * Only for what no signal handler writes.  A build for the thread sanitizer has none of this. */

#pragma once

#include "config.h"

#include <glib.h>
#include <stdatomic.h>

#include "base/likely-private.h"

#ifdef HAVE_SYS_SINGLE_THREADED_H
#include <sys/single_threaded.h>
#define morrow__is_alone() morrow__usually (__libc_single_threaded)
#else
#define morrow__is_alone() FALSE
#endif

/* Each is what atomic_..._explicit () of the same arguments is, but that the exchange, alone, does not compare; the order is that
 * of the access which pairs with it, and is told there. */

#define morrow__fetch_add(object, n, order)                                               \
  ({                                                                                      \
    __auto_type object_ = (object);                                                       \
    __auto_type old_ = atomic_load_explicit (object_, memory_order_relaxed);              \
                                                                                          \
    if (morrow__is_alone ())                                                              \
      atomic_store_explicit (object_, old_ + (n), memory_order_relaxed);                  \
    else                                                                                  \
      old_ = atomic_fetch_add_explicit (object_, n, order);                               \
    old_;                                                                                 \
  })

#define morrow__fetch_sub(object, n, order) morrow__fetch_add (object, -(n), order)

#ifdef MORROW_ENABLE_DEBUG
#define morrow__check_unchanged(object, expected) \
  g_assert (atomic_load_explicit (object, memory_order_relaxed) == (expected))
#else
#define morrow__check_unchanged(object, expected) G_STMT_START { } G_STMT_END
#endif

/* Weak: may fail for no reason.  What @expected points to is what @object was when the caller read it last, with nothing in
 * between: alone, it is so still. */
#define morrow__compare_exchange(object, expected, desired, success, failure)             \
  ({                                                                                      \
    __auto_type object_ = (object);                                                       \
    __auto_type expected_ = (expected);                                                   \
    gboolean exchanged_ = TRUE;                                                           \
                                                                                          \
    if (morrow__is_alone ())                                                              \
      {                                                                                   \
        morrow__check_unchanged (object_, *expected_);                                    \
        atomic_store_explicit (object_, desired, memory_order_relaxed);                   \
      }                                                                                   \
    else                                                                                  \
      exchanged_ = atomic_compare_exchange_weak_explicit (object_, expected_, desired,    \
                                                          success, failure);              \
    exchanged_;                                                                           \
  })

/* Takes one off a count of references, each of which keeps what is counted, and which are all that keeps it.  Returns: whether
 * that was the last.  Acquire and release (R1): who drops the last sees what the others did; nobody else can hold one where this
 * reads one, so that it needs no exchange. */
static inline gboolean
morrow__drop_reference (atomic_uint *count)
{
  unsigned n = atomic_load_explicit (count, memory_order_acquire);

  if (n == 1)
    return TRUE;
  if (!morrow__is_alone ())
    return atomic_fetch_sub_explicit (count, 1, memory_order_acq_rel) == 1;

  atomic_store_explicit (count, n - 1, memory_order_relaxed);
  return FALSE;
}

/* A sequentially consistent store: an exchange, on most processors. */
#define morrow__store_seq_cst(object, value)                                              \
  do                                                                                      \
    {                                                                                     \
      if (morrow__is_alone ())                                                            \
        {                                                                                 \
          atomic_store_explicit (object, value, memory_order_relaxed);                    \
          atomic_signal_fence (memory_order_seq_cst);   /* a handler may write what is read next */ \
        }                                                                                 \
      else                                                                                \
        {                                                                                 \
          atomic_store_explicit (object, value, memory_order_seq_cst);                    \
        }                                                                                 \
    }                                                                                     \
  while (0)
