/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A context: what must be kept of a stack that does not run, so that it can go on.
 *
 * Each machine's file defines MorrowContext and
 *
 *   morrow__context_init ()          makes @entry start on the stack that ends at @top, when it is first switched to
 *   morrow__context_save_control ()  keeps what a function may change and has to put back, of the one that runs: how floating-point
 *                                    numbers are dealt with
 *   morrow__context_rounds_like ()   whether what runs has numbers rounded as another context had when it was left; FALSE where that
 *                                    cannot be told
 *   morrow__context_switch ()        leaves one context, of which that has been kept, for another, where it returns @value: in a
 *                                    register, if it can, which is there sooner than what is written and read again
 *
 * The asm declares that it may also jump to a call of morrow__context_lost (), which it never does.  Without that call,
 * compilers conclude (gcc's ipa-reference, clang's globals-aa) that a function which contains nothing but the
 * asm leaves the file's static variables alone, "memory" clobber or not, and drop stores before a switch that whoever runs next
 * was to read.  A function that nobody has seen may read and write everything.
 *
 * Contexts stay on one thread for life: compilers keep the addresses of thread-local variables, errno's too, across a
 * switch.  No shadow stack is switched, and start.S keeps the library from claiming that it could run with one. */

#pragma once

#include "config.h"

#include <errno.h>
#include <glib.h>
#include <stddef.h>

/* fiber.c.  Not G_GNUC_NORETURN: what does not return need not be thought to write. */
void morrow__context_lost (void);

#if defined (__x86_64__) && defined (__LP64__) && !defined (MORROW_USE_UCONTEXT)
#include "fiber/context-x86_64-private.h"
#elif defined (__aarch64__) && defined (__LP64__) && !defined (MORROW_USE_UCONTEXT)
#include "fiber/context-aarch64-private.h"
#else
#ifndef MORROW_USE_UCONTEXT
#define MORROW_USE_UCONTEXT 1
#endif
#include "fiber/context-ucontext-private.h"
#endif
