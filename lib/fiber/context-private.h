/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A context: what must be kept of a stack that does not run, so that it can go on.
 *
 * Each machine's file defines MorrowContext and
 *
 *   morrow__context_init ()    makes @entry start on the stack that ends at @top, when it is first switched to
 *   morrow__context_switch ()  leaves one context for another
 *
 * Contexts stay on one thread for life: compilers keep the addresses of thread-local variables, errno's too, across a
 * switch.  No shadow stack is switched, and start.S keeps the library from claiming that it could run with one. */

#pragma once

#include "config.h"

#include <errno.h>
#include <glib.h>
#include <stddef.h>

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
