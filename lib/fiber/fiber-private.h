/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fibers: a thread that has several stacks, and goes from one to another when it says so.
 *
 * A fiber is a function that runs on a stack of its own.  The MorrowFiber lives at the top of that stack, in the page that
 * the function touches anyway, so that a fiber costs no memory but its stack.  The thread's own stack is a fiber
 * too (morrow__fiber_init_thread ()): something to switch away from and back to.  A fiber whose stack is used up may go on
 * on another for a while (morrow__fiber_call ()).
 *
 *          a slot of the stack pool
 *         | guard | low: unused, no memory behind it ... <- frames of the entry | MorrowFiber | colour | high
 *
 * Rules: a fiber stays on the thread that made it.  Nothing unwinds through a switch.  The floating-point control words
 * belong to the fiber (it begins with its maker's); errno and all other thread-local state are the thread's.
 *
 * stack-pool.c says where stacks come from and go to, context-private.h how the switch works, overflow.c what happens
 * when a stack is too small. */

#pragma once

#include <stdatomic.h>

#include <gio/gio.h>

#include "fiber/context-private.h"
#include "fiber/hooks-private.h"

G_BEGIN_DECLS

/* Of address space, the MorrowFiber included and the guard not; what is not touched costs no memory. On the smallest the
 * library's own reports fit, which GLib formats: 16 KiB did not hold them. */
#define MORROW_FIBER_DEFAULT_STACK_SIZE ((gsize) 256 * 1024)
#define MORROW_FIBER_MIN_STACK_SIZE     ((gsize) 32 * 1024)
#define MORROW_FIBER_MAX_STACK_SIZE     ((gsize) 1024 * 1024 * 1024)

/* Of a stack of the default size, for what is not the task's own and runs on it all the same. */
#define MORROW_FIBER_ROOM               ((gsize) 128 * 1024)

/* Of any stack, for what runs on it and needs little. The smallest has it as it begins. */
#define MORROW_FIBER_RESERVE            ((gsize) 24 * 1024)

typedef struct _MorrowFiber     MorrowFiber;
typedef struct _MorrowStackPool MorrowStackPool;
typedef struct _MorrowStackSlab MorrowStackSlab;

/* Runs on the fiber's own stack.  Never returns: ends with morrow__fiber_exit (). */
typedef void (*MorrowFiberEntry) (MorrowFiber *self);

/* What a stack keeps of the task that has it (exec/task-private.h), which may wait even when it has settled: what it has settled with
 * may be released then, and that may await.  Here it costs no memory. */
typedef struct
{
  gpointer    awaited;    /* The home's thread, or who looks at it while that is at rest: the MorrowFuture that it waits for while parked,
                             borrowed from the awaiting call, or the MorrowPause while paused; else NULL. */
  guint       passed_on;  /* The home's thread: the number of the newest request that it passed on; 0 for none. */
  atomic_uint request;    /* Any thread that locks the future, so that this is there, relaxed: the number of a request from another thread,
                             which it has not looked at; 0 when it has none yet. */
} MorrowWait;

/* Nearly all of it is touched by the fiber's thread only; reports of overflows read it, on the same thread. */
struct _MorrowFiber
{
  MorrowContext     context;    /* Valid while it does not run.  First: the entry gets a pointer to it. */
  gpointer          user;       /* Whoever made the fiber. */
  union
  {
    MorrowFiber    *next_free;  /* The pool, while the stack is free. */
    MorrowWait      wait;       /* The task that runs on it; in morrow__fiber_call () awaited is that call. */
  };
  MorrowStackSlab  *slab;       /* Immutable; NULL for a thread's own stack. */
  guint8           *low;        /* Immutable: the lowest byte that may be used. */
  union
  {
    gpointer        watch;      /* Immutable, of a thread's own stack: see overflow.c. */
    const guint8   *floor;      /* Of others, and of callers: the low of the stack that it is on, another one's in morrow__fiber_call (). */
  };
  MorrowFiberHooks  hooks;      /* What sanitizers want to know. */
};

/* Stacks: one pool per thread that runs fibers, made and used on that thread.  Freeing it takes all its stacks along,
 * whatever was on them; another thread may do it when this one no longer uses it. */
MorrowStackPool *morrow__stack_pool_new         (void);
void             morrow__stack_pool_free        (MorrowStackPool *pool);

/* @stack_size is rounded up to a power of two; 0 is the default.  NULL and a G_IO_ERROR when no stack could be had. */
MorrowFiber     *morrow__fiber_new              (MorrowStackPool  *pool,
                                                 gsize             stack_size,
                                                 MorrowFiberEntry  entry,
                                                 gpointer          user,
                                                 GError          **error);

/* Calls @func with @data on another stack, which it takes and gives back, while @self, which runs and is a pool's or a caller, stays what it
 * is: it may be left there, and is gone back to there, but not freed.  May be nested.  How numbers are rounded is afterwards as it was
 * before, and errno anything.  FALSE and a G_IO_ERROR when no stack could be had. */
gboolean         morrow__fiber_call             (MorrowFiber      *self,
                                                 MorrowStackPool  *pool,
                                                 gsize             stack_size,
                                                 void            (*func) (gpointer data),
                                                 gpointer          data,
                                                 GError          **error);

/* For one that never ran, or that will never run again.  What it had on its stack is forgotten, not unwound. */
void             morrow__fiber_free             (MorrowFiber *self);

/* The calling thread's own stack; the storage is the caller's.  May be nested.  As with pools, another thread may clear
 * it. */
void             morrow__fiber_init_thread      (MorrowFiber *self);
void             morrow__fiber_clear_thread     (MorrowFiber *self);

/* Likewise of a caller, which goes nowhere but into morrow__fiber_call (); there is nothing to clear. */
void             morrow__fiber_init_caller      (MorrowFiber *self);

gsize            morrow__fiber_get_stack_size   (MorrowFiber *self);
gsize            morrow__fiber_high_water       (MorrowFiber *self);

/* @describe writes the name of what runs on @fiber, for reports of overflows: it must be async-signal-safe. */
void             morrow__fiber_set_describe     (void (*describe) (MorrowFiber *fiber,
                                                                   char        *buffer,
                                                                   gsize        size));

/* Where the frames of a fiber begin; they grow down, to low.  Not for a thread's own stack, nor in morrow__fiber_call (). */
static inline gpointer
morrow__fiber_get_stack_top (MorrowFiber *self)
{
  return self;
}

static inline gpointer
morrow__fiber_get_stack_low (MorrowFiber *self)
{
  return self->low;
}

/* What has not run for a while is out of all caches, and with thousands of fibers their pages are out of the processor's
 * translation tables: to touch one takes hundreds of nanoseconds.  These ask for its registers, and, when they have come,
 * for its frames, without waiting.  Always inline: gcc leaves out calls of a function that has no other effect. */
static inline __attribute__ ((always_inline)) void
morrow__fiber_prefetch (MorrowFiber *self)
{
  __builtin_prefetch (self);
}

static inline __attribute__ ((always_inline)) void
morrow__fiber_prefetch_frames (MorrowFiber *self)
{
  const char *frame = morrow__context_get_frame (&self->context);

  for (guint i = 0; i < 6; i++)
    __builtin_prefetch (frame + i * 64);
}

/* Whether what may be called on the stack of @other, which does not run, may just as well be called here, on that of @self, which does:
 * there is MORROW_FIBER_ROOM, and numbers are rounded in the same way. */
static inline __attribute__ ((always_inline)) gboolean
morrow__fiber_may_stand_in (MorrowFiber *self,
                            MorrowFiber *other)
{
  const guint8 *here = __builtin_frame_address (0);

  return here < (const guint8 *) self && here >= self->low + MORROW_FIBER_ROOM && morrow__context_rounds_like (&other->context);
}

/* Whether @self, which runs and is a pool's or a caller, has that much left of the stack that it is on; so does one that nobody knows of. */
static inline __attribute__ ((always_inline)) gboolean
morrow__fiber_has_room (MorrowFiber *self,
                        gsize        room)
{
  return (gsize) ((const guint8 *) __builtin_frame_address (0) - self->floor) >= room;
}

/* The first half of a switch from @self, which runs: for who has something to do before the second, which the processor then does
 * meanwhile.  Nothing in between may change how floating-point numbers are dealt with. */
static inline __attribute__ ((always_inline)) void
morrow__fiber_prepare_switch (MorrowFiber *self)
{
  morrow__context_save_control (&self->context);
}

/* The second half.  Returns when somebody switches back to @from. */
static inline __attribute__ ((always_inline)) gpointer
morrow__fiber_switch_prepared (MorrowFiber *from,
                               MorrowFiber *to,
                               gpointer     value)
{
  gpointer brought;

  morrow__fiber_hooks_leave (&from->hooks, &to->hooks);
  brought = morrow__context_switch (&from->context, &to->context, value);
  morrow__fiber_hooks_arrive (&from->hooks);
  return brought;
}

/* From @from, which runs, to @to, where the switch that left it returns @value.  Returns when somebody switches back to @from,
 * and what he brings. */
static inline __attribute__ ((always_inline)) gpointer
morrow__fiber_switch (MorrowFiber *from,
                      MorrowFiber *to,
                      gpointer     value)
{
  morrow__fiber_prepare_switch (from);
  return morrow__fiber_switch_prepared (from, to, value);
}

/* @from has ended: its stack goes back to its pool, and @to continues, with @value.  The stack is in the pool while this still runs
 * on it; that is well, since only this thread could take it, and what the pool writes is the MorrowFiber, above it.
 * Always inline: a call that never returns would leave its address on the return predictor. */
G_GNUC_NORETURN static inline __attribute__ ((always_inline)) void
morrow__fiber_exit (MorrowFiber *from,
                    MorrowFiber *to,
                    gpointer     value)
{
  morrow__fiber_free (from);
  morrow__fiber_prepare_switch (from);
  morrow__fiber_hooks_leave_for_good (&from->hooks, &to->hooks);
  morrow__context_switch (&from->context, &to->context, value);
  __builtin_unreachable ();
}

G_END_DECLS
