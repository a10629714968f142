/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The timers: exact, in order, whatever is inserted and removed when.
 */
#include "config.h"

#include "base/timers-private.h"

#include "morrow-check.h"

enum
{
  N_TIMERS = 300
};

typedef struct
{
  MorrowTimers timers;
  MorrowTimer  all[N_TIMERS];
} Fixture;

static Fixture *fixture;

static void
setup (void)
{
  fixture = g_new0 (Fixture, 1);
  morrow__timers_init (&fixture->timers);
}

static void
teardown (void)
{
  morrow__timers_clear (&fixture->timers);
  for (guint i = 0; i < N_TIMERS; i++)
    ck_assert (!morrow__timer_is_armed (&fixture->all[i]));
  g_free (fixture);
}

static MorrowTimer *
pop_due (gint64 now)
{
  guint n_steps = G_MAXUINT;

  return morrow__timers_pop_due (&fixture->timers, now, &n_steps);
}

START_TEST (zero_filled_timer_is_not_armed_and_may_be_removed)
{
  ck_assert (!morrow__timer_is_armed (&fixture->all[0]));
  morrow__timers_remove (&fixture->timers, &fixture->all[0]);
  ck_assert_int_eq (morrow__timers_next (&fixture->timers), G_MAXINT64);
  ck_assert_ptr_null (pop_due (G_MAXINT64));
}
END_TEST

START_TEST (timer_is_due_at_its_deadline_and_not_before)
{
  MorrowTimer *timer = &fixture->all[0];

  morrow__timers_insert (&fixture->timers, timer, 1000000);
  ck_assert (morrow__timer_is_armed (timer));
  ck_assert_int_eq (morrow__timers_next (&fixture->timers), 1000000);
  ck_assert_ptr_null (pop_due (999999));
  ck_assert_ptr_eq (pop_due (1000000), timer);
  ck_assert (!morrow__timer_is_armed (timer));
  ck_assert_int_eq (timer->deadline, 1000000);
  ck_assert_ptr_null (pop_due (1000000));
}
END_TEST

START_TEST (equal_deadlines_fire_in_order_of_creation)
{
  for (guint i = 0; i < N_TIMERS; i++)
    morrow__timers_insert (&fixture->timers, &fixture->all[i], 5000);
  for (guint i = 0; i < N_TIMERS; i++)
    ck_assert_ptr_eq (pop_due (5000), &fixture->all[i]);
}
END_TEST

START_TEST (inserting_again_counts_as_new_creation)
{
  for (guint i = 0; i < 3; i++)
    morrow__timers_insert (&fixture->timers, &fixture->all[i], 5000);
  morrow__timers_remove (&fixture->timers, &fixture->all[0]);
  morrow__timers_insert (&fixture->timers, &fixture->all[0], 5000);
  ck_assert_ptr_eq (pop_due (5000), &fixture->all[1]);
  ck_assert_ptr_eq (pop_due (5000), &fixture->all[2]);
  ck_assert_ptr_eq (pop_due (5000), &fixture->all[0]);
}
END_TEST

START_TEST (removed_timer_does_not_fire_and_twice_does_nothing)
{
  for (guint i = 0; i < 3; i++)
    morrow__timers_insert (&fixture->timers, &fixture->all[i], 1000 * (i + 1));
  morrow__timers_remove (&fixture->timers, &fixture->all[0]);
  ck_assert (!morrow__timer_is_armed (&fixture->all[0]));
  ck_assert_int_eq (morrow__timers_next (&fixture->timers), 2000);
  morrow__timers_remove (&fixture->timers, &fixture->all[0]);
  morrow__timers_remove (&fixture->timers, &fixture->all[2]);
  ck_assert_ptr_eq (pop_due (9000), &fixture->all[1]);
  ck_assert_int_eq (morrow__timers_next (&fixture->timers), G_MAXINT64);
}
END_TEST

START_TEST (deadlines_that_have_passed_fire_in_their_order)
{
  static const gint64 deadlines[] = { 900, 700, G_MININT64, 800, 700, -5, 1000 };
  static const guint order[] = { 2, 5, 1, 4, 3, 0, 6 };

  ck_assert_ptr_null (pop_due (1000));
  for (guint i = 0; i < G_N_ELEMENTS (deadlines); i++)
    morrow__timers_insert (&fixture->timers, &fixture->all[i], deadlines[i]);
  for (guint i = 0; i < G_N_ELEMENTS (order); i++)
    {
      ck_assert_int_eq (morrow__timers_next (&fixture->timers), deadlines[order[i]]);
      ck_assert_ptr_eq (pop_due (1000), &fixture->all[order[i]]);
    }
}
END_TEST

START_TEST (next_is_exact_at_every_distance)
{
  /* The farthest first, so that each becomes the next one. */
  for (guint bit = 63; bit-- > 0;)
    {
      gint64 deadline = ((gint64) 1 << bit) + (bit > 0 ? 1 : 0);

      morrow__timers_insert (&fixture->timers, &fixture->all[bit], deadline);
      ck_assert_int_eq (morrow__timers_next (&fixture->timers), deadline);
    }
  morrow__timers_insert (&fixture->timers, &fixture->all[63], G_MAXINT64);
  for (guint bit = 0; bit < 63; bit++)
    {
      gint64 deadline = fixture->all[bit].deadline;

      ck_assert_int_eq (morrow__timers_next (&fixture->timers), deadline);
      ck_assert_ptr_null (pop_due (deadline - 1));
      ck_assert_ptr_eq (pop_due (deadline), &fixture->all[bit]);
    }
  ck_assert_ptr_null (pop_due (G_MAXINT64 - 1));
  ck_assert_ptr_eq (pop_due (G_MAXINT64), &fixture->all[63]);
}
END_TEST

START_TEST (clear_disarms_everything_wherever_it_stands)
{
  for (guint i = 0; i < N_TIMERS; i++)
    morrow__timers_insert (&fixture->timers, &fixture->all[i],
                           (i * 7919) % 1000 * (i * 104729) % 1000003);
  for (guint i = 0; i < N_TIMERS / 4; i++)
    pop_due (G_MAXINT64);
  morrow__timers_insert (&fixture->timers, &fixture->all[0], -1);
  morrow__timers_clear (&fixture->timers);
  ck_assert_int_eq (morrow__timers_next (&fixture->timers), G_MAXINT64);
}
END_TEST

/* The first of the armed timers by looking at each. */
static MorrowTimer *
first_by_search (void)
{
  MorrowTimer *first = NULL;

  for (guint i = 0; i < N_TIMERS; i++)
    {
      MorrowTimer *timer = &fixture->all[i];

      if (morrow__timer_is_armed (timer)
          && (first == NULL || timer->deadline < first->deadline
              || (timer->deadline == first->deadline && timer->seq < first->seq)))
        first = timer;
    }
  return first;
}

/* Pops what is due at @now and compares each with what a search finds.  Returns: how many. */
static guint
pop_all_due (gint64 now)
{
  guint n = 0;

  for (;;)
    {
      MorrowTimer *expected = first_by_search ();

      ck_assert_int_eq (morrow__timers_next (&fixture->timers),
                        expected != NULL ? expected->deadline : G_MAXINT64);
      if (expected != NULL && expected->deadline > now)
        expected = NULL;
      ck_assert_ptr_eq (pop_due (now), expected);
      if (expected == NULL)
        return n;
      n++;
    }
}

/* Whatever the scale: the deadlines have twice the loop's index of random bits. */
START_TEST (random_operations_agree_with_a_search)
{
  GRand *random = g_rand_new_with_seed (1000 + _i);
  gint64 span = (gint64) 1 << (2 * _i);
  gint64 now = G_GINT64_CONSTANT (1) << 40;
  guint n_inserted = 0, n_removed = 0, n_popped = 0;

  for (guint i = 0; i < 4000; i++)
    {
      MorrowTimer *timer = &fixture->all[g_rand_int_range (random, 0, N_TIMERS)];

      if (morrow__timer_is_armed (timer))
        {
          morrow__timers_remove (&fixture->timers, timer);
          n_removed++;
        }
      else
        {
          /* One in eight has passed already. */
          morrow__timers_insert (&fixture->timers, timer,
                                 now + (gint64) (g_rand_double (random) * span)
                                 - (i % 8 == 0 ? span / 2 : 0));
          n_inserted++;
        }
      if (i % 16 == 0)
        {
          now += (gint64) (g_rand_double (random) * span / 16);
          n_popped += pop_all_due (now);
        }
    }
  n_popped += pop_all_due (G_MAXINT64);
  ck_assert_uint_eq (n_inserted, n_removed + n_popped);
  g_rand_free (random);
}
END_TEST

enum
{
  N_MANY = 100000
};

START_TEST (hundred_thousand_fire_in_order)
{
  MorrowTimer *many = g_new0 (MorrowTimer, N_MANY);
  MorrowTimer last = { .deadline = G_MININT64 };
  MorrowTimer *timer;
  GRand *random = g_rand_new_with_seed (_i);
  guint n_fired = 0;

  for (guint i = 0; i < N_MANY; i++)
    morrow__timers_insert (&fixture->timers, &many[i],
                           g_rand_int_range (random, 0, _i == 0 ? 1 : 10000000));
  for (guint i = 0; i < N_MANY; i += 3)
    morrow__timers_remove (&fixture->timers, &many[i]);
  for (gint64 now = 0; n_fired < N_MANY - (N_MANY + 2) / 3; now += 1000)
    for (; (timer = pop_due (now)) != NULL; n_fired++)
      {
        /* Its seq is gone, but they were created in the order of the array. */
        guint64 seq = timer - many + 1;

        ck_assert (timer->deadline > last.deadline
                   || (timer->deadline == last.deadline && seq > last.seq));
        ck_assert_int_le (timer->deadline, now);
        last.deadline = timer->deadline;
        last.seq = seq;
      }
  ck_assert_int_eq (morrow__timers_next (&fixture->timers), G_MAXINT64);
  g_rand_free (random);
  g_free (many);
}
END_TEST

/* --- what one call may take ------------------------------------------------------------------------ */

static guint
count_children (const MorrowTimer *parent)
{
  guint n = 0;

  for (const MorrowTimer *child = parent->child; child != NULL; child = child->next)
    n++;
  return n;
}

/* Heaps may be as deep as they have timers. */
static guint
count_below (MorrowTimer *root)
{
  GPtrArray *found = g_ptr_array_new ();
  guint n;

  g_ptr_array_add (found, root);
  for (guint i = 0; i < found->len; i++)
    {
      MorrowTimer *parent = g_ptr_array_index (found, i);

      for (MorrowTimer *child = parent->child; child != NULL; child = child->next)
        g_ptr_array_add (found, child);
    }
  n = found->len - 1;
  g_ptr_array_free (found, TRUE);
  return n;
}

/* What a removal of the root would link. */
START_TEST (among_many_with_one_deadline_the_first_has_few_children)
{
  MorrowTimer *many = g_new0 (MorrowTimer, N_MANY);
  MorrowTimer **heap = &fixture->timers.heaps[0][50];

  for (guint i = 0; i < N_MANY; i++)
    morrow__timers_insert (&fixture->timers, &many[i], 50);
  for (guint i = 0; i < N_MANY - 1; i++)
    {
      ck_assert_ptr_eq (*heap, &many[i]);
      ck_assert_uint_le (count_children (*heap), 32);
      ck_assert_ptr_eq (pop_due (50), &many[i]);
      /* As many again come while they fire. */
      if (i < N_MANY / 2)
        {
          MorrowTimer *last = &many[N_MANY - 1];

          morrow__timers_remove (&fixture->timers, last);
          morrow__timers_insert (&fixture->timers, last, 50);
        }
    }
  morrow__timers_clear (&fixture->timers);
  g_free (many);
}
END_TEST

/* Inserted in one order and in the other: the slot's heap is as wide, or as deep, as it has timers. */
START_TEST (timers_of_a_slot_move_in_as_many_steps_as_are_allowed)
{
  MorrowTimer *many = g_new0 (MorrowTimer, N_MANY);
  const gint64 start = 1 << 24;
  guint n_left = N_MANY, n_calls = 0, n_steps;

  for (guint i = 0; i < N_MANY; i++)
    morrow__timers_insert (&fixture->timers, &many[i], start + (_i == 0 ? i : N_MANY - 1 - i));
  do
    {
      MorrowTimer *timer;
      guint n_moving;

      n_steps = 1000;
      timer = morrow__timers_pop_due (&fixture->timers, start, &n_steps);
      n_calls++;
      ck_assert_ptr_eq (timer, n_steps == 0 ? NULL : &many[_i == 0 ? 0 : N_MANY - 1]);
      ck_assert_int_eq (morrow__timers_next (&fixture->timers), start + (timer != NULL));
      n_moving = count_below (&fixture->timers.moving);
      ck_assert (n_calls == 1 || n_moving + 1000 >= n_left);
      n_left = n_moving;
    }
  while (n_steps == 0);
  ck_assert_uint_gt (n_calls, N_MANY / 1000);
  morrow__timers_clear (&fixture->timers);
  g_free (many);
}
END_TEST

START_TEST (timers_come_and_go_while_their_slot_moves)
{
  MorrowTimer *many = g_new0 (MorrowTimer, N_MANY);
  GRand *random = g_rand_new_with_seed (_i);
  const gint64 start = 1 << 24;
  guint n_left = N_MANY, n_steps = 0;
  gint64 last = 0;

  for (guint i = 0; i < N_MANY; i++)
    morrow__timers_insert (&fixture->timers, &many[i], start + g_rand_int_range (random, 0, 1 << 23));
  while (n_steps == 0)
    {
      MorrowTimer *timer;

      n_steps = 20;
      while ((timer = morrow__timers_pop_due (&fixture->timers, start + (1 << 23), &n_steps)) != NULL)
        {
          ck_assert_int_ge (timer->deadline, last);
          last = timer->deadline;
          n_left--;
        }
      timer = &many[g_rand_int_range (random, 0, N_MANY)];
      if (_i % 2 == 0 && fixture->timers.moving.child != NULL)
        timer = fixture->timers.moving.child;
      if (!morrow__timer_is_armed (timer))
        continue;
      ck_assert_int_le (morrow__timers_next (&fixture->timers), timer->deadline);
      morrow__timers_remove (&fixture->timers, timer);
      n_left--;
      if (_i < 2)
        continue;
      /* Not before what has fired. */
      morrow__timers_insert (&fixture->timers, timer, MAX (timer->deadline - 1000, last));
      n_left++;
      ck_assert_int_le (morrow__timers_next (&fixture->timers),
                        fixture->timers.moving.child != NULL ? start + (1 << 23) : timer->deadline);
    }
  ck_assert_uint_eq (n_left, 0);
  g_rand_free (random);
  g_free (many);
}
END_TEST

static Suite *
timers_suite (void)
{
  Suite *suite = suite_create ("timers");
  TCase *order = tcase_create ("order");
  TCase *random = tcase_create ("random");
  TCase *bounds = tcase_create ("bounds");

  tcase_add_checked_fixture (order, setup, teardown);
  tcase_add_test (order, zero_filled_timer_is_not_armed_and_may_be_removed);
  tcase_add_test (order, timer_is_due_at_its_deadline_and_not_before);
  tcase_add_test (order, equal_deadlines_fire_in_order_of_creation);
  tcase_add_test (order, inserting_again_counts_as_new_creation);
  tcase_add_test (order, removed_timer_does_not_fire_and_twice_does_nothing);
  tcase_add_test (order, deadlines_that_have_passed_fire_in_their_order);
  tcase_add_test (order, next_is_exact_at_every_distance);
  tcase_add_test (order, clear_disarms_everything_wherever_it_stands);
  suite_add_tcase (suite, order);

  tcase_add_checked_fixture (random, setup, teardown);
  tcase_add_loop_test (random, random_operations_agree_with_a_search, 1, 20);
  tcase_add_loop_test (random, hundred_thousand_fire_in_order, 0, 2);
  suite_add_tcase (suite, random);

  tcase_add_checked_fixture (bounds, setup, teardown);
  tcase_add_test (bounds, among_many_with_one_deadline_the_first_has_few_children);
  tcase_add_loop_test (bounds, timers_of_a_slot_move_in_as_many_steps_as_are_allowed, 0, 2);
  tcase_add_loop_test (bounds, timers_come_and_go_while_their_slot_moves, 0, 4);
  suite_add_tcase (suite, bounds);

  return suite;
}

MORROW_CHECK_MAIN (timers_suite)
