/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which way a branch goes, for the compiler to lay that way in a line.  Likely and unlikely mean almost always and almost never:
 * what is needed across the rare call is then not kept where the usual way would pay for it.  Usually and seldom are for what is
 * one way in most programs, and the other way all the time in some.
 *
 * In place of G_LIKELY () and G_UNLIKELY (): GLib's first turn the condition into a number, by a branch of their own.  gcc
 * (12) joins that with the branch that was meant before it looks at what is expected, which then says nothing. */

#pragma once

#define morrow__likely(condition)   (__builtin_expect_with_probability (!!(condition), 1, 0.9999))
#define morrow__unlikely(condition) (__builtin_expect_with_probability (!!(condition), 0, 0.9999))
#define morrow__usually(condition)  (__builtin_expect (!!(condition), 1))
#define morrow__seldom(condition)   (__builtin_expect (!!(condition), 0))

/* @pointer, of which the compiler does not learn what it is compared with. Where two are equal it takes either; the processor, which
 * guesses that they will be, goes on at once by the one that it has, and by the other when that has been read. */
#define morrow__apart(pointer)                         \
  ({                                                   \
    __typeof__ (pointer) pointer_ = (pointer);         \
    __asm__ ("" : "+r" (pointer_));                    \
    pointer_;                                          \
  })
