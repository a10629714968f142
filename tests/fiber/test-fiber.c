/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Switching: what is kept, in which order things run, what becomes of fibers that end and of those that do not. */

#include "config.h"

#include "fiber/fiber-private.h"

#include <execinfo.h>
#include <fenv.h>
#include <pthread.h>
#include <string.h>

#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#include "morrow-check.h"

static MorrowStackPool *pool;
static MorrowFiber thread_fiber;
static GString *trace;

static void
set_up (void)
{
  pool = morrow__stack_pool_new ();
  morrow__fiber_init_thread (&thread_fiber);
  trace = g_string_new (NULL);
}

static void
tear_down (void)
{
  g_string_free (trace, TRUE);
  morrow__fiber_clear_thread (&thread_fiber);
  morrow__stack_pool_free (pool);
}

static MorrowFiber *
make (MorrowFiberEntry entry,
      gpointer         user)
{
  GError *error = NULL;
  MorrowFiber *fiber = morrow__fiber_new (pool, 0, entry, user, &error);

  ck_assert_ptr_null (error);
  ck_assert_ptr_nonnull (fiber);
  return fiber;
}

static void
run (MorrowFiber *fiber)
{
  morrow__fiber_switch (&thread_fiber, fiber, NULL);
}

static void
park (MorrowFiber *self)
{
  morrow__fiber_switch (self, &thread_fiber, NULL);
}

/* --- order --------------------------------------------------------------------------------------------------- */

static void
trace_three_times (MorrowFiber *self)
{
  for (int i = 0; i < 3; i++)
    {
      g_string_append_printf (trace, "%s%d ", (const char *) self->user, i);
      park (self);
    }
  g_string_append_printf (trace, "%s. ", (const char *) self->user);
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

START_TEST (fibers_take_turns_when_told_to)
{
  MorrowFiber *a = make (trace_three_times, (gpointer) "a");
  MorrowFiber *b = make (trace_three_times, (gpointer) "b");

  for (int i = 0; i < 4; i++)
    {
      run (a);
      run (b);
    }
  ck_assert_str_eq (trace->str, "a0 b0 a1 b1 a2 b2 a. b. ");
}
END_TEST

/* Calls, each on another stack. */
typedef struct
{
  MorrowFiber *fiber;
  guint        depth;
  gpointer     frames[4];   /* of each depth, the fiber's own first */
} Nest;

static gpointer
find_frame (void)
{
  return __builtin_frame_address (0);
}

static void
go_deeper (gpointer data)
{
  Nest *nest = data;
  guint depth = ++nest->depth;

  nest->frames[depth] = find_frame ();
  g_string_append_printf (trace, "%u ", depth);
  park (nest->fiber);
  ck_assert (morrow__fiber_has_room (nest->fiber, 32 * 1024));
  if (depth < 3)
    ck_assert (morrow__fiber_call (nest->fiber, pool, 64 * 1024, go_deeper, nest, NULL));
  ck_assert (morrow__fiber_has_room (nest->fiber, 32 * 1024));
  park (nest->fiber);
  g_string_append_printf (trace, "%u. ", depth);
}

static void
call_deeper (MorrowFiber *self)
{
  Nest *nest = self->user;

  nest->fiber = self;
  nest->frames[0] = find_frame ();
  ck_assert (morrow__fiber_call (self, pool, 64 * 1024, go_deeper, nest, NULL));
  park (self);
  g_string_append (trace, "end.");
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

static gsize
distance (gconstpointer a,
          gconstpointer b)
{
  return (gsize) ABS ((const char *) a - (const char *) b);
}

START_TEST (a_fiber_that_calls_on_other_stacks_is_left_and_gone_back_to_there)
{
  Nest nest = { .depth = 0 };
  MorrowFiber *fiber = make (call_deeper, &nest);
  MorrowFiber *other = make (trace_three_times, (gpointer) "a");

  for (int i = 0; i < 4; i++)
    {
      run (fiber);
      run (other);
    }
  for (int i = 0; i < 4; i++)
    run (fiber);
  ck_assert_str_eq (trace->str, "1 a0 2 a1 3 a2 a. 3. 2. 1. end.");
  for (guint i = 0; i < G_N_ELEMENTS (nest.frames); i++)
    for (guint j = 0; j < i; j++)
      ck_assert_uint_gt (distance (nest.frames[i], nest.frames[j]), 32 * 1024);
}
END_TEST

static void
note_frame (gpointer data)
{
  *(gpointer *) data = find_frame ();
}

static void
call_twice_then_in_vain (MorrowFiber *self)
{
  gpointer frames[3] = { NULL };
  GError *error = NULL;

  for (guint i = 0; i < 2; i++)
    ck_assert (morrow__fiber_call (self, pool, 1024 * 1024, note_frame, &frames[i], NULL));
  ck_assert_ptr_eq (frames[0], frames[1]);
  ck_assert (!morrow__fiber_call (self, pool, MORROW_FIBER_MAX_STACK_SIZE + 1, note_frame, &frames[2], &error));
  ck_assert (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE));
  g_error_free (error);
  ck_assert_ptr_null (frames[2]);
  g_string_append (trace, "end.");
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

START_TEST (a_call_gives_its_stack_back_and_is_none_where_none_can_be_had)
{
  run (make (call_twice_then_in_vain, NULL));
  ck_assert_str_eq (trace->str, "end.");
}
END_TEST

static void
use_up (MorrowFiber *self,
        guint        depth)
{
  volatile char frame[4096];

  frame[0] = frame[4095] = (char) depth;
  if (morrow__fiber_has_room (self, MORROW_FIBER_RESERVE))
    use_up (self, depth + 1);
  else
    ck_assert_uint_le (distance (find_frame (), self->low), MORROW_FIBER_RESERVE);
  ck_assert_int_eq (frame[0], frame[4095]);
}

static void
be_used_up (MorrowFiber *self)
{
  use_up (self, 0);
  g_string_append (trace, "end.");
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

START_TEST (a_stack_has_no_room_where_little_is_left)
{
  run (make (be_used_up, NULL));
  ck_assert_str_eq (trace->str, "end.");
}
END_TEST

START_TEST (a_fiber_that_was_made_does_not_run_by_itself)
{
  MorrowFiber *fiber = make (trace_three_times, (gpointer) "a");

  ck_assert_str_eq (trace->str, "");
  morrow__fiber_free (fiber);
  ck_assert_str_eq (trace->str, "");
}
END_TEST

static void
pass_on (MorrowFiber *self)
{
  MorrowFiber *next = self->user;

  g_string_append_c (trace, '>');
  morrow__fiber_exit (self, next != NULL ? next : &thread_fiber, NULL);
}

START_TEST (fibers_switch_to_each_other_without_the_thread)
{
  MorrowFiber *next = NULL;

  for (int i = 0; i < 5; i++)
    next = make (pass_on, next);
  run (next);
  ck_assert_str_eq (trace->str, ">>>>>");
}
END_TEST

/* Gives back what it is brought, doubled. */
static void
double_what_is_brought (MorrowFiber *self)
{
  gpointer value = NULL;

  for (int i = 0; i < 3; i++)
    value = morrow__fiber_switch (self, &thread_fiber, GINT_TO_POINTER (2 * GPOINTER_TO_INT (value)));
  morrow__fiber_exit (self, &thread_fiber, GINT_TO_POINTER (-GPOINTER_TO_INT (value)));
}

START_TEST (a_switch_brings_a_value_both_ways)
{
  MorrowFiber *a = make (double_what_is_brought, NULL), *b = make (double_what_is_brought, NULL);
  gpointer brought[8];

  for (int i = 0; i < 8; i++)
    brought[i] = morrow__fiber_switch (&thread_fiber, i % 2 ? b : a, GINT_TO_POINTER (i));

  for (int i = 0; i < 8; i++)
    ck_assert_int_eq (GPOINTER_TO_INT (brought[i]), i < 2 ? 0 : i < 6 ? 2 * i : -i);
}
END_TEST

static void
make_another (MorrowFiber *self)
{
  MorrowFiber *other = make (pass_on, self);

  g_string_append_c (trace, '(');
  morrow__fiber_switch (self, other, NULL);
  g_string_append_c (trace, ')');
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

START_TEST (a_fiber_makes_a_fiber)
{
  run (make (make_another, NULL));
  ck_assert_str_eq (trace->str, "(>)");
}
END_TEST

/* --- what is kept -------------------------------------------------------------------------------------------- */

#define N_VALUES 20

/* More live values than there are registers, of both kinds. */
static void
keep_values (MorrowFiber *self)
{
  guint64 seed = GPOINTER_TO_SIZE (self->user);
  guint64 whole[N_VALUES];
  double real[N_VALUES];

  for (guint i = 0; i < N_VALUES; i++)
    {
      whole[i] = seed * 1000 + i;
      real[i] = (double) whole[i] / 4;
    }
  for (guint round = 0; round < 10; round++)
    {
      park (self);
      for (guint i = 0; i < N_VALUES; i++)
        {
          ck_assert_uint_eq (whole[i], seed * 1000 + i + round);
          ck_assert (real[i] == (double) (seed * 1000 + i) / 4 + round);
          whole[i]++;
          real[i]++;
        }
    }
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

START_TEST (values_survive_a_switch)
{
  MorrowFiber *fibers[7];

  for (guint i = 0; i < G_N_ELEMENTS (fibers); i++)
    fibers[i] = make (keep_values, GSIZE_TO_POINTER (i));
  for (guint round = 0; round <= 10; round++)
    for (guint i = 0; i < G_N_ELEMENTS (fibers); i++)
      run (fibers[i]);
}
END_TEST

static void
wander (MorrowFiber *self)
{
  for (;;)
    {
      volatile guint64 mess[64];

      memset ((gpointer) mess, 0xa5, sizeof mess);
      park (self);
    }
}

/* Eight sums that are carried through the loop, in registers where there are so many. */
static guint64
add_up (MorrowFiber *disturber)
{
  guint64 a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;

  for (guint i = 0; i < 1000; i++)
    {
      a += b, b += c, c += d, d += e;
      if (disturber != NULL)
        run (disturber);
      e += f, f += g, g += h, h += i ^ a;
    }
  return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h;
}

START_TEST (registers_survive_a_switch)
{
  MorrowFiber *fiber = make (wander, NULL);

  ck_assert_uint_eq (add_up (fiber), add_up (NULL));
  morrow__fiber_free (fiber);
}
END_TEST

/* gcc's ipa-reference and clang's globals-aa look through functions that contain nothing but the switch. */
static guint told;
static guint heard;

static void
listen (MorrowFiber *self)
{
  for (;;)
    {
      heard = told;
      morrow__fiber_switch (self, &thread_fiber, NULL);
    }
}

static G_NO_INLINE void
let_listen (MorrowFiber *fiber)
{
  morrow__fiber_switch (&thread_fiber, fiber, NULL);
}

START_TEST (static_variables_are_written_before_a_switch_and_read_after_it)
{
  MorrowFiber *fiber = make (listen, NULL);

  for (guint i = 1; i < 5; i++)
    {
      guint before = heard;

      ck_assert_uint_eq (before, i - 1);
      told = i;
      let_listen (fiber);
      told = 0;
      ck_assert_uint_eq (heard, i);
    }
  morrow__fiber_free (fiber);
}
END_TEST

/* --- floating point -------------------------------------------------------------------------------------------- */

/* Neither the compiler nor its optimiser knows what is divided. */
static volatile double one = 1, three = 3;

static void
round_up (MorrowFiber *self)
{
  fesetround (FE_UPWARD);
  for (;;)
    {
      g_string_append (trace, fegetround () == FE_UPWARD && one / three > 0.33333333333333331 ? "up " : "lost ");
      park (self);
    }
}

START_TEST (rounding_modes_belong_to_fibers)
{
  double nearest = one / three;
  MorrowFiber *fiber = make (round_up, NULL);

  for (int i = 0; i < 2; i++)
    {
      run (fiber);
      ck_assert_int_eq (fegetround (), FE_TONEAREST);
      ck_assert (one / three == nearest);
    }
  ck_assert_str_eq (trace->str, "up up ");
  morrow__fiber_free (fiber);
}
END_TEST

static void
note_rounding (MorrowFiber *self)
{
  g_string_append (trace, fegetround () == FE_DOWNWARD ? "down" : "other");
  fesetround (FE_TONEAREST);
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

START_TEST (a_fiber_begins_with_its_makers_rounding_mode)
{
  MorrowFiber *fiber;

  fesetround (FE_DOWNWARD);
  fiber = make (note_rounding, NULL);
  fesetround (FE_UPWARD);
  run (fiber);
  ck_assert_str_eq (trace->str, "down");
  ck_assert_int_eq (fegetround (), FE_UPWARD);
}
END_TEST

#ifdef __x86_64__

static guint16
x87_control (void)
{
  guint16 word;

  __asm__ volatile ("fnstcw %0" : "=m" (word));
  return word;
}

static void
single_precision (MorrowFiber *self)
{
  guint16 word = (guint16) (x87_control () & ~0x300);

  __asm__ volatile ("fldcw %0" : : "m" (word));
  for (;;)
    {
      ck_assert_uint_eq (x87_control (), word);
      park (self);
    }
}

START_TEST (x87_control_words_belong_to_fibers)
{
  guint16 before = x87_control ();
  MorrowFiber *fiber = make (single_precision, NULL);

  for (int i = 0; i < 3; i++)
    {
      run (fiber);
      ck_assert_uint_eq (x87_control (), before);
    }
  morrow__fiber_free (fiber);
}
END_TEST

#endif

/* --- stacks ------------------------------------------------------------------------------------------------------ */

static G_NO_INLINE guint
recurse (guint depth)
{
  volatile char frame[512];

  frame[0] = (char) depth;
  frame[511] = 0;
  return depth == 0 ? 0 : recurse (depth - 1) + 1 + (guint) frame[511];
}

static void
go_deep (MorrowFiber *self)
{
  ck_assert_uint_eq (recurse (GPOINTER_TO_UINT (self->user)), GPOINTER_TO_UINT (self->user));
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

START_TEST (a_fiber_uses_nearly_all_of_its_stack)
{
#ifdef MORROW_ASAN
  guint depth = 100;
#else
  guint depth = 350;
#endif

  run (make (go_deep, GUINT_TO_POINTER (depth)));
}
END_TEST

static void
end_at_once (MorrowFiber *self)
{
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

START_TEST (the_newest_free_stack_is_used_next)
{
  MorrowFiber *first = make (end_at_once, NULL);
  MorrowFiber *second = make (end_at_once, NULL);

  run (first);
  run (second);
  ck_assert_ptr_eq (make (end_at_once, NULL), second);
  ck_assert_ptr_eq (make (end_at_once, NULL), first);
}
END_TEST

START_TEST (an_abandoned_fibers_stack_serves_another)
{
  for (int i = 0; i < 300; i++)
    {
      MorrowFiber *fiber = make (keep_values, GSIZE_TO_POINTER (i));

      run (fiber);
      morrow__fiber_free (fiber);
    }
  run (make (go_deep, GUINT_TO_POINTER (100)));
}
END_TEST

/* Many rounds of ending on a stack while it goes back to the pool, across full and empty magazines. */
START_TEST (fibers_end_and_begin_in_waves)
{
  enum { N_FIBERS = 700 };
  MorrowFiber *fibers[N_FIBERS];

  for (guint wave = 1; wave <= 6; wave++)
    {
      guint n = N_FIBERS / wave;

      for (guint i = 0; i < n; i++)
        run (fibers[i] = make (trace_three_times, (gpointer) "w"));
      for (guint round = 0; round < 3; round++)
        for (guint i = 0; i < n; i++)
          run (fibers[i]);
    }
}
END_TEST

/* --- the rest of the world ---------------------------------------------------------------------------------------- */

static void
count_frames (MorrowFiber *self)
{
  void *frames[64];

  *(int *) self->user = backtrace (frames, G_N_ELEMENTS (frames));
  morrow__fiber_exit (self, &thread_fiber, NULL);
}

START_TEST (a_backtrace_ends_where_the_fiber_begins)
{
  int n_frames = 0;

  run (make (count_frames, &n_frames));
  ck_assert_int_ge (n_frames, 1);
  ck_assert_int_le (n_frames, 5);
}
END_TEST

typedef struct
{
  MorrowFiber fiber;
  guint       n_turns;
} Thread;

static void
take_turns (MorrowFiber *self)
{
  Thread *thread = self->user;

  for (guint i = 0; i < 1000; i++)
    {
      thread->n_turns++;
      morrow__fiber_switch (self, &thread->fiber, NULL);
    }
  morrow__fiber_exit (self, &thread->fiber, NULL);
}

static gpointer
run_thread (gpointer data)
{
  Thread *thread = data;
  MorrowStackPool *own_pool = morrow__stack_pool_new ();
  MorrowFiber *fibers[20];

  morrow__fiber_init_thread (&thread->fiber);
  for (guint i = 0; i < G_N_ELEMENTS (fibers); i++)
    fibers[i] = morrow__fiber_new (own_pool, 0, take_turns, thread, NULL);
  for (guint round = 0; round <= 1000; round++)
    for (guint i = 0; i < G_N_ELEMENTS (fibers); i++)
      morrow__fiber_switch (&thread->fiber, fibers[i], NULL);
  morrow__fiber_clear_thread (&thread->fiber);
  morrow__stack_pool_free (own_pool);
  return NULL;
}

START_TEST (each_thread_has_fibers_of_its_own)
{
  Thread threads[3] = { 0 };
  pthread_t ids[3];

  for (guint i = 0; i < 3; i++)
    ck_assert_int_eq (pthread_create (&ids[i], NULL, run_thread, &threads[i]), 0);
  for (guint i = 0; i < 3; i++)
    {
      pthread_join (ids[i], NULL);
      ck_assert_uint_eq (threads[i].n_turns, 20 * 1000);
    }
}
END_TEST

static TCase *
add_case (Suite      *suite,
          const char *name)
{
  TCase *tcase = tcase_create (name);

  tcase_add_checked_fixture (tcase, set_up, tear_down);
  suite_add_tcase (suite, tcase);
  return tcase;
}

static Suite *
fiber_suite (void)
{
  Suite *suite = suite_create ("fiber");
  TCase *tcase = add_case (suite, "order");

  tcase_add_test (tcase, fibers_take_turns_when_told_to);
  tcase_add_test (tcase, a_fiber_that_was_made_does_not_run_by_itself);
  tcase_add_test (tcase, a_switch_brings_a_value_both_ways);
  tcase_add_test (tcase, fibers_switch_to_each_other_without_the_thread);
  tcase_add_test (tcase, a_fiber_makes_a_fiber);
  tcase_add_test (tcase, a_fiber_that_calls_on_other_stacks_is_left_and_gone_back_to_there);
  tcase_add_test (tcase, a_call_gives_its_stack_back_and_is_none_where_none_can_be_had);
  tcase_add_test (tcase, a_stack_has_no_room_where_little_is_left);

  tcase = add_case (suite, "kept");
  tcase_add_test (tcase, values_survive_a_switch);
  tcase_add_test (tcase, registers_survive_a_switch);
  tcase_add_test (tcase, static_variables_are_written_before_a_switch_and_read_after_it);

  tcase = add_case (suite, "floating-point");
  /* Valgrind's processor rounds as it likes. */
  if (!RUNNING_ON_VALGRIND)
    {
      tcase_add_test (tcase, rounding_modes_belong_to_fibers);
#ifdef __x86_64__
      tcase_add_test (tcase, x87_control_words_belong_to_fibers);
#endif
    }
  tcase_add_test (tcase, a_fiber_begins_with_its_makers_rounding_mode);

  tcase = add_case (suite, "stacks");
  tcase_add_test (tcase, a_fiber_uses_nearly_all_of_its_stack);
  tcase_add_test (tcase, the_newest_free_stack_is_used_next);
  tcase_add_test (tcase, an_abandoned_fibers_stack_serves_another);
  tcase_add_test (tcase, fibers_end_and_begin_in_waves);

  tcase = add_case (suite, "world");
  tcase_add_test (tcase, a_backtrace_ends_where_the_fiber_begins);
  tcase_add_test (tcase, each_thread_has_fibers_of_its_own);
  return suite;
}

MORROW_CHECK_MAIN (fiber_suite)
