/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The switch between stacks on x86-64: included by context-private.h, which says what a context is.
 *
 * The whole switch is one asm statement, expanded where it is used.  All registers but two are declared clobbered, so
 * that the compiler saves just those that are live there.  The two are rbp and rbx, which compilers may need for
 * themselves (as frame and as base pointer) and then refuse to have clobbered: they are kept in the context.  Nothing is
 * pushed: what lies below the stack pointer stays as it is, and the statement needs no unwind information of its own.
 *
 * It leaves by an indirect jump.  A `ret` would miss in the return predictor each time, since the address on top of it
 * belongs to another stack.  The other side is the same asm in some other place (label 2) or, the first time, the
 * entry function itself: entered by a jump, it never returns, and the predictor holds no address that nobody returns to.
 * The place that is arrived at begins 16 bytes: elsewhere a switch took 2.8 ns longer on an AMD EPYC (family 19h).
 * Its return address is morrow__fiber_bottom, where unwinders stop; rbp is zero there, for those that follow frame pointers.
 *
 * The ABI makes the control bits of mxcsr and the x87 control word callee-saved, so each fiber has its own; the
 * sticky exception flags are nobody's.  Loading mxcsr is slow: it is done only when control bits differ.  Storing it is
 * slow, too, but other work goes on meanwhile: so that comes first, as a step of its own, which may come earlier still, and to
 * look at what was stored comes last. */

#pragma once

typedef struct
{
  /* All: written by the thread that leaves this context, read by the same thread when it comes back. */
  gpointer sp;
  gpointer pc;
  gpointer bp;
  gpointer bx;
  guint32  mxcsr;
  guint16  x87;
} MorrowContext;

#define MORROW__MXCSR_CONTROL 0xffc0

/* start.S.  The address of its second byte: an unwinder looks for what is before a return address. */
extern char morrow__fiber_bottom[] __attribute__ ((visibility ("hidden")));

static inline __attribute__ ((always_inline)) void
morrow__context_save_control (MorrowContext *self)
{
  __asm__ volatile ("stmxcsr %0\n\t"
                    "fnstcw  %1"
                    : "=m" (self->mxcsr), "=m" (self->x87));
}

/* By the x87 control word, which fesetround () and its kind change as well, and not by mxcsr, which takes several times as long to look
 * at. Who changes that alone, to have denormals flushed to zero, say, has it done to what is called in place, too. */
static inline __attribute__ ((always_inline)) gboolean
morrow__context_rounds_like (const MorrowContext *other)
{
  guint16 x87;

  __asm__ volatile ("fnstcw %0" : "=m" (x87));
  return x87 == other->x87;
}

/* @self arrives in @entry as its first argument, in rdi: see the switch.  @top is a multiple of 16. */
static inline void
morrow__context_init (MorrowContext *self,
                      gpointer       low G_GNUC_UNUSED,
                      gpointer       top,
                      void         (*entry) (MorrowContext *self))
{
  gpointer *sp = (gpointer *) top - 1;

  *sp = morrow__fiber_bottom + 1;
  self->sp = sp;
  self->pc = (gpointer) entry;
  morrow__context_save_control (self);
}

/* Where its innermost frame is. */
static inline gpointer
morrow__context_get_frame (MorrowContext *self)
{
  return self->sp;
}

#ifdef __AVX512F__
#define MORROW__CLOBBER_AVX512 \
  , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", \
  "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define MORROW__CLOBBER_AVX512
#endif

/* Leaves @from, for good or until somebody switches back to it: @to is in rdi for whoever is on the other side, and @value in rdx. */
static inline __attribute__ ((always_inline)) gpointer
morrow__context_switch (MorrowContext *from,
                        MorrowContext *to,
                        gpointer       value)
{
  __asm__ volatile goto ("leaq    2f(%%rip), %%rax\n\t"
                         "movq    %%rax, %c[pc](%%rsi)\n\t"
                         "movq    %%rsp, %c[sp](%%rsi)\n\t"
                         "movq    %%rbp, %c[bp](%%rsi)\n\t"
                         "movq    %%rbx, %c[bx](%%rsi)\n\t"
                         "movq    %c[sp](%%rdi), %%rsp\n\t"
                         "xorl    %%ebp, %%ebp\n\t"
                         "movl    %c[mxcsr](%%rsi), %%eax\n\t"
                         "movzwl  %c[x87](%%rsi), %%ecx\n\t"
                         "xorl    %c[mxcsr](%%rdi), %%eax\n\t"
                         "testl   %[control], %%eax\n\t"
                         "jnz     1f\n\t"
                         "cmpw    %c[x87](%%rdi), %%cx\n\t"
                         "jne     1f\n"
                         "0:\n\t"
                         "jmp     *%c[pc](%%rdi)\n"
                         "1:\n\t"
                         "ldmxcsr %c[mxcsr](%%rdi)\n\t"
                         "fldcw   %c[x87](%%rdi)\n\t"
                         "jmp     0b\n\t"
                         ".p2align 4\n"
                         "2:\n\t"
                         "endbr64\n\t"
                         "movq    %c[bp](%%rdi), %%rbp\n\t"
                         "movq    %c[bx](%%rdi), %%rbx"
                         : "+S" (from), "+D" (to), "+d" (value)
                         : [sp] "i" (offsetof (MorrowContext, sp)), [pc] "i" (offsetof (MorrowContext, pc)),
                           [bp] "i" (offsetof (MorrowContext, bp)), [bx] "i" (offsetof (MorrowContext, bx)),
                           [mxcsr] "i" (offsetof (MorrowContext, mxcsr)), [x87] "i" (offsetof (MorrowContext, x87)),
                           [control] "i" (MORROW__MXCSR_CONTROL)
                         : "rax", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                           "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                           "xmm12", "xmm13", "xmm14", "xmm15",
                           "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",
                           "memory", "cc" MORROW__CLOBBER_AVX512
                         : lost);
  return value;

lost:
  morrow__context_lost ();
  return NULL;
}
