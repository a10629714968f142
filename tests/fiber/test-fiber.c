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
