/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The work-stealing deque, built here with room for two, so that a few steps bring it round its ring
 * and to a bigger one.
 */
#include "config.h"

#define MORROW_DEQUE_CAPACITY 2
#include "base/deque.c"

#include "morrow-check.h"
#include "rendezvous.h"

#define ITEM(n)   GUINT_TO_POINTER ((n) + 1)
#define NUMBER(p) (GPOINTER_TO_UINT (p) - 1)

START_TEST (owner_pops_the_newest)
{
  MorrowDeque deque;

  morrow__deque_init (&deque);
  ck_assert_ptr_null (morrow__deque_pop (&deque));
  for (guint i = 0; i < 1000; i++)
    morrow__deque_push (&deque, ITEM (i));
  ck_assert_uint_eq (morrow__deque_size (&deque), 1000);
  for (guint i = 1000; i-- > 0;)
    ck_assert_ptr_eq (morrow__deque_pop (&deque), ITEM (i));
  ck_assert_ptr_null (morrow__deque_pop (&deque));
  ck_assert_uint_eq (morrow__deque_size (&deque), 0);
  morrow__deque_clear (&deque);
}
END_TEST

START_TEST (thief_steals_the_oldest)
{
  MorrowDeque deque;

  morrow__deque_init (&deque);
  ck_assert_ptr_null (morrow__deque_steal (&deque));
  for (guint i = 0; i < 1000; i++)
    morrow__deque_push (&deque, ITEM (i));
  for (guint i = 0; i < 1000; i++)
    ck_assert_ptr_eq (morrow__deque_steal (&deque), ITEM (i));
  ck_assert_ptr_null (morrow__deque_steal (&deque));
  ck_assert_ptr_null (morrow__deque_pop (&deque));
  morrow__deque_clear (&deque);
}
END_TEST

START_TEST (items_go_round_the_ring_without_growth)
{
  MorrowDeque deque;

  morrow__deque_init (&deque);
  for (guint i = 0; i < 1000; i++)
    {
      morrow__deque_push (&deque, ITEM (2 * i));
      morrow__deque_push (&deque, ITEM (2 * i + 1));
      ck_assert_ptr_eq (morrow__deque_steal (&deque), ITEM (2 * i));
      ck_assert_ptr_eq (morrow__deque_steal (&deque), ITEM (2 * i + 1));
    }
  ck_assert_uint_eq (deque.ring->mask, 1);
  ck_assert_ptr_null (deque.ring->outgrown);
  morrow__deque_clear (&deque);
}
END_TEST

START_TEST (growth_keeps_order_from_the_middle_of_the_ring)
{
  MorrowDeque deque;

  morrow__deque_init (&deque);
  morrow__deque_push (&deque, ITEM (0));
  ck_assert_ptr_eq (morrow__deque_steal (&deque), ITEM (0));
  for (guint i = 1; i < 6; i++)
    morrow__deque_push (&deque, ITEM (i));
  ck_assert_ptr_eq (morrow__deque_steal (&deque), ITEM (1));
  ck_assert_ptr_eq (morrow__deque_pop (&deque), ITEM (5));
  ck_assert_ptr_eq (morrow__deque_steal (&deque), ITEM (2));
  ck_assert_ptr_eq (morrow__deque_pop (&deque), ITEM (4));
  ck_assert_ptr_eq (morrow__deque_pop (&deque), ITEM (3));
  ck_assert_ptr_null (morrow__deque_pop (&deque));
  morrow__deque_clear (&deque);
}
END_TEST

START_TEST (steal_half_moves_the_older_half_in_order)
{
  MorrowDeque deque, thief;

  morrow__deque_init (&deque);
  morrow__deque_init (&thief);
  ck_assert_uint_eq (morrow__deque_steal_half (&deque, &thief), 0);
  for (guint i = 0; i < 5; i++)
    morrow__deque_push (&deque, ITEM (i));
  ck_assert_uint_eq (morrow__deque_steal_half (&deque, &thief), 3);
  for (guint i = 0; i < 3; i++)
    ck_assert_ptr_eq (morrow__deque_steal (&thief), ITEM (i));
  ck_assert_uint_eq (morrow__deque_size (&deque), 2);
  morrow__deque_clear (&thief);
  morrow__deque_clear (&deque);
}
END_TEST

typedef struct
{
  MorrowDeque   deque;
  _Atomic guint n_stolen;       /* The thief writes, the owner reads. */
  _Atomic guint is_over;        /* The owner writes, the thief reads. */
} Duel;

static gpointer
duel_steal (gpointer data)
{
  Duel *duel = data;

  while (!atomic_load_explicit (&duel->is_over, memory_order_relaxed))
    if (morrow__deque_steal (&duel->deque) != NULL)
      atomic_fetch_add_explicit (&duel->n_stolen, 1, memory_order_relaxed);
  return NULL;
}

/* Of each @n_items that the owner pushes it pops what it can, while the thief steals all the time,
 * until each of them has won often enough.  (The bound is for an instrument that runs one thread at
 * a time.) */
static void
duel (guint n_items)
{
  Duel duel = { .n_stolen = 0 };
  guint n_pushed = 0, n_popped = 0;
  GThread *thief;

  morrow__deque_init (&duel.deque);
  thief = g_thread_new ("thief", duel_steal, &duel);
  for (guint i = 0; i < 10 * N_RACES && (n_popped < N_RACES || duel.n_stolen < N_RACES); i++)
    {
      for (guint j = 0; j < n_items; j++, n_pushed++)
        morrow__deque_push (&duel.deque, ITEM (j));
      while (morrow__deque_pop (&duel.deque) != NULL)
        n_popped++;
    }
  atomic_store (&duel.is_over, TRUE);
  g_thread_join (thief);
  ck_assert_uint_eq (n_popped + duel.n_stolen, n_pushed);
  morrow__deque_clear (&duel.deque);
}

START_TEST (race_for_the_only_item_has_one_winner)
{
  duel (1);
}
END_TEST

START_TEST (race_for_the_last_of_three_takes_each_once)
{
  duel (3);
}
END_TEST

/* An owner that pushes and pops, growing now and then, against a thief of single items and one of
 * halves. */
enum
{
  N_THIEVES = 2
};

typedef struct
{
  MorrowDeque    deque;
  _Atomic guint8 n_taken[N_RACES];      /* Any thread: how often each item was taken. */
  _Atomic guint  n_left;                /* Any thread: items not yet taken. */
  guint          n_thefts[N_THIEVES];   /* Each thief its own. */
} Brawl;

static void
brawl_take (Brawl    *brawl,
            gpointer  item)
{
  atomic_fetch_add (&brawl->n_taken[NUMBER (item)], 1);
  atomic_fetch_sub (&brawl->n_left, 1);
}

static gpointer
brawl_steal (gpointer data)
{
  Brawl *brawl = data;

  while (atomic_load (&brawl->n_left) > 0)
    {
      gpointer item = morrow__deque_steal (&brawl->deque);

      if (item == NULL)
        {
          sched_yield ();
          continue;
        }
      brawl_take (brawl, item);
      brawl->n_thefts[0]++;
    }
  return NULL;
}

static gpointer
brawl_steal_half (gpointer data)
{
  Brawl *brawl = data;
  MorrowDeque own;
  gpointer item;

  morrow__deque_init (&own);
  while (atomic_load (&brawl->n_left) > 0)
    {
      if (morrow__deque_steal_half (&brawl->deque, &own) == 0)
        sched_yield ();
      while ((item = morrow__deque_pop (&own)) != NULL)
        {
          brawl_take (brawl, item);
          brawl->n_thefts[1]++;
        }
    }
  morrow__deque_clear (&own);
  return NULL;
}

START_TEST (every_item_is_taken_once_among_owner_and_two_thieves)
{
  Brawl *brawl = g_aligned_alloc0 (1, sizeof *brawl, 64);
  GThread *thieves[N_THIEVES];
  guint n_pushed = 0, n_popped = 0;
  GRand *random = g_rand_new_with_seed (20221122);
  gpointer item;

  morrow__deque_init (&brawl->deque);
  atomic_store (&brawl->n_left, N_RACES);
  thieves[0] = g_thread_new ("thief", brawl_steal, brawl);
  thieves[1] = g_thread_new ("thief of halves", brawl_steal_half, brawl);
  while (n_pushed < N_RACES)
    {
      for (gint i = g_rand_int_range (random, 1, 8); i > 0 && n_pushed < N_RACES; i--)
        morrow__deque_push (&brawl->deque, ITEM (n_pushed++));
      for (gint i = g_rand_int_range (random, 0, 8); i > 0; i--)
        if ((item = morrow__deque_pop (&brawl->deque)) != NULL)
          {
            brawl_take (brawl, item);
            n_popped++;
          }
    }
  while ((item = morrow__deque_pop (&brawl->deque)) != NULL)
    {
      brawl_take (brawl, item);
      n_popped++;
    }
  for (guint i = 0; i < N_THIEVES; i++)
    g_thread_join (thieves[i]);

  for (guint i = 0; i < N_RACES; i++)
    ck_assert_uint_eq (brawl->n_taken[i], 1);
  ck_assert_uint_eq (n_popped + brawl->n_thefts[0] + brawl->n_thefts[1], N_RACES);
  morrow__deque_clear (&brawl->deque);
  g_rand_free (random);
  g_aligned_free (brawl);
}
END_TEST

static Suite *
deque_suite (void)
{
  Suite *suite = suite_create ("deque");
  TCase *order = tcase_create ("order");
  TCase *threads = tcase_create ("threads");

  tcase_add_test (order, owner_pops_the_newest);
  tcase_add_test (order, thief_steals_the_oldest);
  tcase_add_test (order, items_go_round_the_ring_without_growth);
  tcase_add_test (order, growth_keeps_order_from_the_middle_of_the_ring);
  tcase_add_test (order, steal_half_moves_the_older_half_in_order);
  suite_add_tcase (suite, order);

  tcase_add_test (threads, race_for_the_only_item_has_one_winner);
  tcase_add_test (threads, race_for_the_last_of_three_takes_each_once);
  tcase_add_test (threads, every_item_is_taken_once_among_owner_and_two_thieves);
  suite_add_tcase (suite, threads);

  return suite;
}

MORROW_CHECK_MAIN (deque_suite)
