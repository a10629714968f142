/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a program does without a call of the library, where the call would be all that it costs: to await what has resolved,
 * and to get a number out of it. It changes nothing of what the functions do, and who takes a function's address gets the
 * library's. */

#pragma once

#include <morrow/future.h>
#include <morrow/task.h>

#ifndef __GI_SCANNER__

G_BEGIN_DECLS

/* Of a future, this much is a part of the ABI: where its state stands, two bits of that, and its value when it has resolved. */
typedef struct
{
  GTypeInstance instance;
  guint         counts[2];
  gsize         state;
  gpointer      site;
  GValue        value;
} MorrowFutureFace;

#define MORROW__STATE_MASK     5u
#define MORROW__STATE_RESOLVED 1u

/* C++ warns of C's casts, if it is asked to, wherever a header is included. */
#ifdef __cplusplus
#define MORROW__FUTURE_FACE(self) (reinterpret_cast<MorrowFutureFace *> (self))
#else
#define MORROW__FUTURE_FACE(self) ((MorrowFutureFace *) (self))
#endif

/* The compiler is to expect it, for what takes least then. @self may be NULL. */
static inline gboolean
morrow__future_has_resolved (MorrowFuture *self)
{
  return __builtin_expect (self != NULL, TRUE) &&
         __builtin_expect ((__atomic_load_n (&MORROW__FUTURE_FACE (self)->state, __ATOMIC_ACQUIRE) & MORROW__STATE_MASK) ==
                           MORROW__STATE_RESOLVED, TRUE);
}

static inline G_GNUC_WARN_UNUSED_RESULT gboolean
morrow__future_await (MorrowFuture *self, GError **error)
{
  return morrow__future_has_resolved (self) || (morrow_future_await) (self, error);
}

#define MORROW__DEFINE_GETTER(name, ctype, gtype)                                                        \
  static inline ctype                                                                                    \
  morrow__future_get_##name (MorrowFuture *self)                                                         \
  {                                                                                                      \
    return morrow__future_has_resolved (self) &&                                                         \
           __builtin_expect (MORROW__FUTURE_FACE (self)->value.g_type == gtype, TRUE)                    \
           ? MORROW__FUTURE_FACE (self)->value.data[0].v_##name                                          \
           : (morrow_future_get_##name) (self);                                                          \
  }

MORROW__DEFINE_GETTER (int, gint, G_TYPE_INT)
MORROW__DEFINE_GETTER (int64, gint64, G_TYPE_INT64)
MORROW__DEFINE_GETTER (uint64, guint64, G_TYPE_UINT64)
MORROW__DEFINE_GETTER (double, gdouble, G_TYPE_DOUBLE)

#undef MORROW__DEFINE_GETTER

#define morrow_future_await(self, error)  (morrow__future_await ((self), (error)))
#define morrow_future_get_int(self)       (morrow__future_get_int ((self)))
#define morrow_future_get_int64(self)     (morrow__future_get_int64 ((self)))
#define morrow_future_get_uint64(self)    (morrow__future_get_uint64 ((self)))
#define morrow_future_get_double(self)    (morrow__future_get_double ((self)))

G_END_DECLS

#endif
