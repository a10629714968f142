/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where a fiber's stack begins, for the machines whose switch is written by hand: see context-private.h.
 *
 * morrow__fiber_bottom is what a fiber's entry function has as its return address.  Nobody returns there: it exists to
 * end backtraces, with a name and with unwind information that says that there is no caller.
 *
 * The property note says what the library as a whole may claim, since the linker keeps only what all objects agree on:
 * its indirect jumps land on marked places (IBT, BTI), but it does not switch shadow stacks (no SHSTK, no GCS). */

#include "config.h"

#if defined (__x86_64__) && defined (__LP64__) && !defined (MORROW_USE_UCONTEXT)

        .text
        .globl  morrow__fiber_bottom
        .hidden morrow__fiber_bottom
        .type   morrow__fiber_bottom, @function
morrow__fiber_bottom:
        .cfi_startproc
        .cfi_undefined rip
        nop
        ud2
        .cfi_endproc
        .size   morrow__fiber_bottom, . - morrow__fiber_bottom

#elif defined (__aarch64__) && defined (__LP64__) && !defined (MORROW_USE_UCONTEXT)

        .text
        .globl  morrow__fiber_start
        .hidden morrow__fiber_start
        .type   morrow__fiber_start, %function
morrow__fiber_start:
        .cfi_startproc
        .cfi_undefined x30
        hint    #34                     /* bti c */
        mov     x29, #0
        adr     x30, morrow__fiber_bottom + 4
        ldr     x16, [x0, #24]          /* MorrowContext.x19 */
        br      x16
        .cfi_endproc
        .size   morrow__fiber_start, . - morrow__fiber_start

        .type   morrow__fiber_bottom, %function
morrow__fiber_bottom:
        .cfi_startproc
        .cfi_undefined x30
        nop
        brk     #1
        .cfi_endproc
        .size   morrow__fiber_bottom, . - morrow__fiber_bottom

#endif

#if defined (__x86_64__) && defined (__LP64__)
#define FEATURES 0xc0000002     /* GNU_PROPERTY_X86_FEATURE_1_AND; bit 0 is IBT */
#elif defined (__aarch64__) && defined (__LP64__)
#define FEATURES 0xc0000000     /* GNU_PROPERTY_AARCH64_FEATURE_1_AND; bit 0 is BTI */
#endif

#ifdef FEATURES
        .section .note.gnu.property, "a"
        .p2align 3
        .long   4, 16, 5
        .asciz  "GNU"
        .long   FEATURES, 4, 1, 0
#endif

        .section .note.GNU-stack, "", %progbits
