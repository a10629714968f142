/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What other threads push to one.
 */
#include "config.h"

#include "base/mpsc-private.h"

#include "morrow-check.h"
#include "rendezvous.h"

enum
{
  N_PRODUCERS = 4
};

typedef struct
{
  MorrowQueueNode node;
  guint           producer;
  guint           number;       /* Written by the producer before its push, and by nobody else. */
} Item;

START_TEST (it_is_empty_between_a_take_and_the_next_push)
{
  MorrowMpsc mpsc;
  MorrowQueue out = MORROW__QUEUE_INIT;
  MorrowQueueNode node;

  morrow__mpsc_init (&mpsc);
  ck_assert (morrow__mpsc_is_empty (&mpsc));
  morrow__mpsc_push (&mpsc, &node);
  ck_assert (!morrow__mpsc_is_empty (&mpsc));
  morrow__mpsc_take_all (&mpsc, &out);
  ck_assert (morrow__mpsc_is_empty (&mpsc));
}
END_TEST

START_TEST (take_all_appends_in_order_of_the_pushes)
{
  MorrowMpsc mpsc;
  MorrowQueue out = MORROW__QUEUE_INIT;
  MorrowQueueNode nodes[4];

  morrow__mpsc_init (&mpsc);
  morrow__mpsc_take_all (&mpsc, &out);
  ck_assert (morrow__queue_is_empty (&out));
  morrow__queue_push (&out, &nodes[0]);
  for (guint i = 1; i < 4; i++)
    morrow__mpsc_push (&mpsc, &nodes[i]);
  morrow__mpsc_take_all (&mpsc, &out);
  for (guint i = 0; i < 4; i++)
    ck_assert_ptr_eq (morrow__queue_pop (&out), &nodes[i]);
  ck_assert (morrow__queue_is_empty (&out));
}
END_TEST

/* One producer against the consumer, once a round. */
typedef struct
{
  MorrowMpsc mpsc;
  Rendezvous rendezvous;
  Item       item;
} Duel;

static gpointer
duel_produce (gpointer data)
{
  Duel *duel = data;

  for (guint i = 1; rendezvous_follow (&duel->rendezvous); i++)
    {
      duel->item.number = i;
      morrow__mpsc_push (&duel->mpsc, &duel->item.node);
      rendezvous_meet (&duel->rendezvous);
    }
  return NULL;
}

START_TEST (push_racing_take_all_arrives_now_or_next_time)
{
  Duel duel = { .item = { .number = 0 } };
  MorrowQueue out = MORROW__QUEUE_INIT;
  guint n_taken = 0, n_takes = 0;
  GThread *producer;

  morrow__mpsc_init (&duel.mpsc);
  rendezvous_init (&duel.rendezvous, 2, N_RACES);
  producer = g_thread_new ("producer", duel_produce, &duel);
  while (rendezvous_take_round (&duel.rendezvous))
    {
      rendezvous_meet (&duel.rendezvous);
      morrow__mpsc_take_all (&duel.mpsc, &out);
      if (!morrow__queue_is_empty (&out))
        n_takes += duel.item.number == duel.rendezvous.n_rounds;
      rendezvous_meet (&duel.rendezvous);
      if (morrow__queue_is_empty (&out))
        {
          morrow__mpsc_take_all (&duel.mpsc, &out);
          n_takes += !morrow__queue_is_empty (&out);
        }
      n_taken += morrow__queue_pop (&out) == &duel.item.node;
      ck_assert (morrow__queue_is_empty (&out));
    }
  rendezvous_end (&duel.rendezvous);
  g_thread_join (producer);
  ck_assert_uint_eq (n_taken, duel.rendezvous.n_rounds);
  ck_assert_uint_eq (n_takes, duel.rendezvous.n_rounds);
}
END_TEST

/* Many producers against a consumer that never stops. */
typedef struct
{
  MorrowMpsc    mpsc;
  Item          items[N_PRODUCERS][N_RACES / N_PRODUCERS];
  _Atomic guint n_producers;    /* The next one's number. */
} Flood;

static gpointer
flood_produce (gpointer data)
{
  Flood *flood = data;
  guint producer = atomic_fetch_add (&flood->n_producers, 1);

  for (guint n = 0; n < N_RACES / N_PRODUCERS; n++)
    {
      Item *item = &flood->items[producer][n];

      item->producer = producer;
      item->number = n;
      morrow__mpsc_push (&flood->mpsc, &item->node);
    }
  return NULL;
}

START_TEST (every_push_of_four_threads_arrives_once_in_their_order)
{
  Flood *flood = g_new0 (Flood, 1);
  MorrowQueue out = MORROW__QUEUE_INIT;
  MorrowQueueNode *node;
  GThread *producers[N_PRODUCERS];
  guint n_seen[N_PRODUCERS] = { 0 };
  guint n_taken = 0;

  morrow__mpsc_init (&flood->mpsc);
  for (guint i = 0; i < N_PRODUCERS; i++)
    producers[i] = g_thread_new ("producer", flood_produce, flood);
  while (n_taken < N_RACES)
    {
      morrow__mpsc_take_all (&flood->mpsc, &out);
      if (morrow__queue_is_empty (&out))
        sched_yield ();
      while ((node = morrow__queue_pop (&out)) != NULL)
        {
          Item *item = morrow__queue_entry (node, Item, node);

          ck_assert_uint_eq (item->number, n_seen[item->producer]);
          n_seen[item->producer]++;
          n_taken++;
        }
    }
  for (guint i = 0; i < N_PRODUCERS; i++)
    g_thread_join (producers[i]);
  for (guint i = 0; i < N_PRODUCERS; i++)
    ck_assert_uint_eq (n_seen[i], N_RACES / N_PRODUCERS);
  ck_assert (morrow__mpsc_is_empty (&flood->mpsc));
  g_free (flood);
}
END_TEST

static Suite *
mpsc_suite (void)
{
  Suite *suite = suite_create ("mpsc");
  TCase *order = tcase_create ("order");
  TCase *threads = tcase_create ("threads");

  tcase_add_test (order, it_is_empty_between_a_take_and_the_next_push);
  tcase_add_test (order, take_all_appends_in_order_of_the_pushes);
  suite_add_tcase (suite, order);

  tcase_add_test (threads, push_racing_take_all_arrives_now_or_next_time);
  tcase_add_test (threads, every_push_of_four_threads_arrives_once_in_their_order);
  suite_add_tcase (suite, threads);

  return suite;
}

MORROW_CHECK_MAIN (mpsc_suite)
