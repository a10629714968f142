/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fibers made and freed; the switch itself is in the headers, where it is expanded in place. */

#include "config.h"

#include "fiber/fiber-private.h"

#include "fiber/overflow-private.h"
#include "fiber/stack-memory-private.h"
#include "fiber/stack-pool-private.h"

#include <pthread.h>
#include <sys/mman.h>

G_STATIC_ASSERT (offsetof (MorrowFiber, context) == 0);

void
morrow__context_lost (void)
{
  g_critical ("a switch went nowhere");
}

#ifdef MORROW_USE_UCONTEXT

/* makecontext () passes nothing but ints. */
static void
start_from_halves (guint entry_high,
                   guint entry_low,
                   guint self_high,
                   guint self_low)
{
  void (*entry) (MorrowContext *) = (gpointer) (guintptr) ((guint64) entry_high << 32 | entry_low);

  entry ((gpointer) (guintptr) ((guint64) self_high << 32 | self_low));
}

void
morrow__context_init (MorrowContext *self,
                      gpointer       low,
                      gpointer       top,
                      void         (*entry) (MorrowContext *self))
{
  guint64 entry_bits = (guintptr) entry;
  guint64 self_bits = (guintptr) self;

  getcontext (&self->ucontext);
  self->ucontext.uc_stack.ss_sp = low;
  self->ucontext.uc_stack.ss_size = (gsize) ((char *) top - (char *) low);
  self->ucontext.uc_link = NULL;
  makecontext (&self->ucontext, (void (*) (void)) start_from_halves, 4,
               (guint) (entry_bits >> 32), (guint) entry_bits, (guint) (self_bits >> 32), (guint) self_bits);
}

#endif

#ifdef MORROW_ASAN

/* ASan wants to be told of the arrival on a new stack before anything else happens there. */
static void
start (MorrowContext *context)
{
  MorrowFiber *self = (MorrowFiber *) context;

  morrow__fiber_hooks_arrive (&self->hooks);
  ((MorrowFiberEntry) self->hooks.entry) (self);
}

#endif

static void
set_entry (MorrowFiber      *self,
           MorrowFiberEntry  entry)
{
#ifdef MORROW_ASAN
  self->hooks.entry = (gpointer) entry;
  morrow__context_init (&self->context, self->low, self, start);
#else
  morrow__context_init (&self->context, self->low, self, (void (*) (MorrowContext *)) entry);
#endif
}

MorrowFiber *
morrow__fiber_new (MorrowStackPool   *pool,
                   gsize              stack_size,
                   MorrowFiberEntry   entry,
                   gpointer           user,
                   GError           **error)
{
  MorrowStackClass *stacks = morrow__stack_pool_get_class (pool, stack_size, error);
  MorrowFiber *self;

  if (morrow__unlikely (stacks == NULL))
    return NULL;
  self = morrow__stack_class_take (stacks, error);
  if (morrow__unlikely (self == NULL))
    return NULL;
  morrow__fiber_hooks_begin (&self->hooks, self->low, self);
  set_entry (self, entry);
  self->user = user;
  return self;
}

void
morrow__fiber_free (MorrowFiber *self)
{
  morrow__stack_class_give (self->slab->stacks, self);
}

/* --- calls on another stack ------------------------------------------------------------------------------------- */

/* On the stack that is left meanwhile. */
typedef struct
{
  void      (*func) (gpointer data);
  gpointer    data;
  MorrowFiber below;   /* where to go back to, and its hooks */
} Call;

static void
call_main (MorrowFiber *stack)
{
  Call *call = stack->wait.awaited;

  call->func (call->data);
  morrow__fiber_exit (stack, &call->below, NULL);
}

/* While @self is on another stack, that one's hooks are its own, and its floor: each switch tells sanitizers of the stack that it leaves for or
 * comes to. */
gboolean
morrow__fiber_call (MorrowFiber      *self,
                    MorrowStackPool  *pool,
                    gsize             stack_size,
                    void            (*func) (gpointer data),
                    gpointer          data,
                    GError          **error)
{
  MorrowFiber *stack = morrow__fiber_new (pool, stack_size, call_main, self->user, error);
  const guint8 *floor = self->floor;
  Call call = { .func = func, .data = data };

  if (stack == NULL)
    return FALSE;

  call.below.hooks = self->hooks;
  self->hooks = stack->hooks;
  self->floor = stack->low;
  stack->wait.awaited = &call;
  morrow__fiber_switch (&call.below, stack, NULL);
  self->floor = floor;
  self->hooks = call.below.hooks;
  return TRUE;
}

typedef struct
{
  const guint8 *low;
  gsize         size;
} ThreadStack;

/* Of the calling thread's own stack. FALSE where the C library does not know. */
static gboolean
measure_thread_stack (const guint8 **ret_low,
                      gsize         *ret_size)
{
  pthread_attr_t attributes;
  void *low;

  if (pthread_getattr_np (pthread_self (), &attributes) != 0)
    return FALSE;

  pthread_attr_getstack (&attributes, &low, ret_size);
  pthread_attr_destroy (&attributes);
  *ret_low = low;
  return TRUE;
}

static void
init_thread_hooks (MorrowFiberHooks *hooks G_GNUC_UNUSED)
{
#ifdef MORROW_ASAN
  const guint8 *low;

  if (measure_thread_stack (&low, &hooks->size))
    hooks->low = low;
#endif
#ifdef MORROW_TSAN
  hooks->fiber = __tsan_get_current_fiber ();
  morrow__fiber_hooks_make_signals_safe (hooks->fiber);
#endif
}

void
morrow__fiber_init_thread (MorrowFiber *self)
{
  *self = (MorrowFiber) { .slab = NULL };
  init_thread_hooks (&self->hooks);
  self->watch = morrow__overflow_watch ();
}

/* Where the calling thread's own stack ends. For the main thread the C library reads that in a file, so it is asked once in a thread. NULL
 * where it does not know, and where this is called on another stack. (A key, since three thread-local variables more had those of a yield
 * lie elsewhere: 1.05 of its time.) */
static const guint8 *
find_thread_floor (void)
{
  static GPrivate key = G_PRIVATE_INIT (g_free);
  const guint8 *here = __builtin_frame_address (0);
  ThreadStack *own = g_private_get (&key);

  if (own == NULL)
    {
      own = g_new0 (ThreadStack, 1);
      if (!measure_thread_stack (&own->low, &own->size))
        own->size = 0;
      g_private_set (&key, own);
    }
  return here >= own->low && here < own->low + own->size ? own->low : NULL;
}

void
morrow__fiber_init_caller (MorrowFiber *self)
{
  *self = (MorrowFiber) { .floor = find_thread_floor () };
  init_thread_hooks (&self->hooks);
}

void
morrow__fiber_clear_thread (MorrowFiber *self)
{
  morrow__overflow_unwatch (self->watch);
}

/* 0 for a thread's own stack, which is not ours to measure. */
gsize
morrow__fiber_get_stack_size (MorrowFiber *self)
{
  return self->slab == NULL ? 0 : self->slab->stacks->size;
}

/* The first byte at or above @page that holds something. */
static const guint8 *
first_trace (const guint8 *page,
             const guint8 *top)
{
  morrow__fiber_hooks_look_below (TRUE);
  while (page < top && *page == 0)
    page++;
  morrow__fiber_hooks_look_below (FALSE);
  return page;
}

/* How deep the stack has been, the MorrowFiber not counted: from the top to the lowest byte that is not zero, in the lowest
 * page that has memory.  A warm stack shows what its earlier fibers left, so this is a bound from above. */
gsize
morrow__fiber_high_water (MorrowFiber *self)
{
  gsize page_size = morrow__stack_memory_page_size ();
  guchar resident[256];

  if (self->slab == NULL)
    return 0;
  for (const guint8 *low = self->low; low < (guint8 *) self; low += sizeof resident * page_size)
    {
      gsize left = (gsize) ((guint8 *) self - low);
      gsize n_pages = MIN ((left + page_size - 1) / page_size, sizeof resident);

      if (mincore ((gpointer) low, n_pages * page_size, resident) != 0)
        return 0;
      for (gsize i = 0; i < n_pages; i++)
        if (resident[i] & 1)
          return (gsize) ((guint8 *) self - first_trace (low + i * page_size, (guint8 *) self));
    }
  return 0;
}
