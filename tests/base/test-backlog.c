/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lies behind a full ring, for many who put in and many who take out.
 */
#include "config.h"

#include "base/backlog-private.h"

#include "morrow-check.h"
#include "rendezvous.h"

enum
{
  N_PRODUCERS = 3,
  N_CONSUMERS = 3,
  N_EACH      = N_RACES / N_PRODUCERS
};

static void
do_nothing (gpointer data)
{
}

static void
push (MorrowBacklog *backlog, guint number)
{
  morrow__backlog_push (backlog, (MorrowRingItem) { .func = do_nothing, .data = GUINT_TO_POINTER (number) });
}

static void
push_up_to (MorrowBacklog *backlog, guint n)
{
  for (guint i = 1; i <= n; i++)
    push (backlog, i);
}

START_TEST (what_is_put_in_comes_out_whole_and_in_order)
{
  MorrowRingItem put = { .func = do_nothing, .data_free = do_nothing }, items[2];
  MorrowBacklog backlog;

  morrow__backlog_init (&backlog);
  put.data = &put;
  morrow__backlog_push (&backlog, put);
  push (&backlog, 7);
  ck_assert_uint_eq (morrow__backlog_pop (&backlog, items, 2, 1), 2);
  ck_assert (items[0].func == do_nothing && items[0].data == &put && items[0].data_free == do_nothing);
  ck_assert (items[1].func == do_nothing && items[1].data == GUINT_TO_POINTER (7) && items[1].data_free == NULL);
  morrow__backlog_clear (&backlog);
}
END_TEST

START_TEST (it_is_empty_until_something_is_put_in_and_once_all_is_taken)
{
  MorrowRingItem item;
  MorrowBacklog backlog;

  morrow__backlog_init (&backlog);
  ck_assert (morrow__backlog_is_empty (&backlog));
  ck_assert_uint_eq (morrow__backlog_pop (&backlog, &item, 1, 1), 0);
  push_up_to (&backlog, 2);
  ck_assert (!morrow__backlog_is_empty (&backlog));
  morrow__backlog_pop (&backlog, &item, 1, 1);
  ck_assert (!morrow__backlog_is_empty (&backlog));
  morrow__backlog_pop (&backlog, &item, 1, 1);
  ck_assert (morrow__backlog_is_empty (&backlog));
  ck_assert_uint_eq (morrow__backlog_n_taken (&backlog), 2);
  morrow__backlog_clear (&backlog);
}
END_TEST

START_TEST (who_takes_has_one_share_but_one_piece_at_least_and_no_more_than_he_has_room_for)
{
  static const guint expected[] = { 8, 7, 5, 4, 3, 2, 1, 1, 1, 1, 1 };
  MorrowRingItem items[8];
  MorrowBacklog backlog;

  morrow__backlog_init (&backlog);
  push_up_to (&backlog, 36);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    ck_assert_uint_eq (morrow__backlog_pop (&backlog, items, 8, 4), expected[i]);
  while (morrow__backlog_pop (&backlog, items, 8, 4) > 0)
    continue;
  morrow__backlog_clear (&backlog);
}
END_TEST

/* Threads that put in against threads that take out. */
typedef struct
{
  MorrowBacklog backlog;
  _Atomic guint n_taken;         /* Any thread. */
  _Atomic guint times[N_RACES];  /* Any thread: how often each has been taken. */
  _Atomic guint n_producers;     /* The next one's number. */
} Flood;

static gpointer
produce (gpointer data)
{
  Flood *flood = data;
  guint first = atomic_fetch_add (&flood->n_producers, 1) * N_EACH;

  for (guint i = 0; i < N_EACH; i++)
    push (&flood->backlog, first + i);
  return NULL;
}

static gpointer
consume (gpointer data)
{
  Flood *flood = data;
  MorrowRingItem items[8];

  while (atomic_load (&flood->n_taken) < N_PRODUCERS * N_EACH)
    {
      guint n = morrow__backlog_is_empty (&flood->backlog) ? 0 : morrow__backlog_pop (&flood->backlog, items, 8, 2);

      for (guint i = 0; i < n; i++)
        atomic_fetch_add (&flood->times[GPOINTER_TO_UINT (items[i].data)], 1);
      atomic_fetch_add (&flood->n_taken, n);
      if (n == 0)
        sched_yield ();
    }
  return NULL;
}

START_TEST (each_piece_of_three_threads_is_taken_once_by_one_of_three)
{
  Flood *flood = g_new0 (Flood, 1);
  GThread *threads[N_PRODUCERS + N_CONSUMERS];

  morrow__backlog_init (&flood->backlog);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("flood", i < N_PRODUCERS ? produce : consume, flood);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  for (guint i = 0; i < N_PRODUCERS * N_EACH; i++)
    ck_assert_uint_eq (flood->times[i], 1);
  ck_assert_uint_eq (morrow__backlog_n_taken (&flood->backlog), N_PRODUCERS * N_EACH);
  morrow__backlog_clear (&flood->backlog);
  g_free (flood);
}
END_TEST

static Suite *
backlog_suite (void)
{
  Suite *suite = suite_create ("backlog");
  TCase *order = tcase_create ("order");
  TCase *threads = tcase_create ("threads");

  tcase_add_test (order, what_is_put_in_comes_out_whole_and_in_order);
  tcase_add_test (order, it_is_empty_until_something_is_put_in_and_once_all_is_taken);
  tcase_add_test (order, who_takes_has_one_share_but_one_piece_at_least_and_no_more_than_he_has_room_for);
  suite_add_tcase (suite, order);

  tcase_add_test (threads, each_piece_of_three_threads_is_taken_once_by_one_of_three);
  suite_add_tcase (suite, threads);

  return suite;
}

MORROW_CHECK_MAIN (backlog_suite)
