/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The switch between stacks on aarch64: included by context-private.h.  As on x86-64, whose file explains the form.
 *
 * By hand are kept x29, the frame pointer, and x19, clang's base pointer.
 * The jump goes through x17, which may enter both a function ("bti c") and the label here.  A new context starts in
 * morrow__fiber_start (start.S), which finds the entry in the saved x19. */

#pragma once

typedef struct
{
  /* All: written by the thread that leaves this context, read by the same thread when it comes back. */
  gpointer sp;
  gpointer pc;
  gpointer x29;
  gpointer x19;
  guint64  fpcr;
} MorrowContext;

extern char morrow__fiber_start[] __attribute__ ((visibility ("hidden")));

static inline void
morrow__context_init (MorrowContext *self,
                      gpointer       low G_GNUC_UNUSED,
                      gpointer       top,
                      void         (*entry) (MorrowContext *self))
{
  self->sp = top;
  self->pc = morrow__fiber_start;
  self->x19 = (gpointer) entry;
  __asm__ volatile ("mrs %0, fpcr" : "=r" (self->fpcr));
}

/* The switch does it. */
static inline void
morrow__context_save_control (MorrowContext *self G_GNUC_UNUSED)
{
}

static inline gboolean
morrow__context_rounds_like (const MorrowContext *other)
{
  guint64 fpcr;

  __asm__ volatile ("mrs %0, fpcr" : "=r" (fpcr));
  return fpcr == other->fpcr;
}

/* Where its innermost frame is. */
static inline gpointer
morrow__context_get_frame (MorrowContext *self)
{
  return self->sp;
}

#ifdef __ARM_FEATURE_SVE
#define MORROW__CLOBBER_SVE \
  , "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13", "p14", "p15"
#else
#define MORROW__CLOBBER_SVE
#endif

/* Leaves @from, for good or until somebody switches back to it: @to is in x0 for whoever is on the other side, and @value in x2. */
static inline __attribute__ ((always_inline)) gpointer
morrow__context_switch (MorrowContext *from,
                        MorrowContext *to,
                        gpointer       value)
{
  register MorrowContext *x0 __asm__ ("x0") = to;
  register MorrowContext *x1 __asm__ ("x1") = from;
  register gpointer x2 __asm__ ("x2") = value;

  __asm__ volatile goto ("adr  x9, 2f\n\t"
                         "mov  x10, sp\n\t"
                         "mrs  x11, fpcr\n\t"
                         "str  x10, [x1, %[sp]]\n\t"
                         "str  x9, [x1, %[pc]]\n\t"
                         "str  x29, [x1, %[x29]]\n\t"
                         "str  x19, [x1, %[x19]]\n\t"
                         "str  x11, [x1, %[fpcr]]\n\t"
                         "ldr  x12, [x0, %[fpcr]]\n\t"
                         "ldr  x10, [x0, %[sp]]\n\t"
                         "ldr  x17, [x0, %[pc]]\n\t"
                         "cmp  x11, x12\n\t"
                         "b.ne 1f\n"
                         "0:\n\t"
                         "mov  sp, x10\n\t"
                         "br   x17\n"
                         "1:\n\t"
                         "msr  fpcr, x12\n\t"
                         "b    0b\n"
                         "2:\n\t"
                         "hint #34\n\t" /* bti c */
                         "ldr  x29, [x0, %[x29]]\n\t"
                         "ldr  x19, [x0, %[x19]]"
                         : "+r" (x0), "+r" (x1), "+r" (x2)
                         : [sp] "i" (offsetof (MorrowContext, sp)), [pc] "i" (offsetof (MorrowContext, pc)),
                           [x29] "i" (offsetof (MorrowContext, x29)), [x19] "i" (offsetof (MorrowContext, x19)),
                           [fpcr] "i" (offsetof (MorrowContext, fpcr))
                         : "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
                           "x17", "x18", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30",
                           "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
                           "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",
                           "v29", "v30", "v31", "memory", "cc" MORROW__CLOBBER_SVE
                         : lost);
  return x2;

lost:
  morrow__context_lost ();
  return NULL;
}
