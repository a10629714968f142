/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bounded queue between many and many. Its ring is tiny here.
 */
#include "config.h"

#define MORROW_RING_CAPACITY 8
#include "base/ring.c"

#include "morrow-check.h"
#include "rendezvous.h"

enum
{
  N_PRODUCERS = 2,
  N_CONSUMERS = 2,
  N_EACH = N_RACES / N_PRODUCERS
};

static void
do_nothing (gpointer data)
{
}

static gboolean
push_number (MorrowRing *ring, guint number)
{
  return morrow__ring_push (ring, do_nothing, GUINT_TO_POINTER (number), do_nothing);
}

static void
assert_pops (MorrowRing *ring, guint max, guint n_shares, guint first, guint n)
{
  MorrowRingItem items[MORROW_RING_CAPACITY];

  ck_assert_uint_eq (morrow__ring_pop (ring, items, max, n_shares), n);
  for (guint i = 0; i < n; i++)
    {
      ck_assert_uint_eq (GPOINTER_TO_UINT (items[i].data), first + i);
      ck_assert (items[i].func == do_nothing && items[i].data_free == do_nothing);
    }
}

START_TEST (items_come_out_in_the_order_of_their_pushes)
{
  MorrowRing ring;

  morrow__ring_init (&ring);
  ck_assert (morrow__ring_is_empty (&ring));
  assert_pops (&ring, 4, 1, 0, 0);
  for (guint i = 0; i < 5; i++)
    ck_assert (push_number (&ring, i));
  ck_assert (!morrow__ring_is_empty (&ring));
  ck_assert_uint_eq (morrow__ring_size (&ring), 5);
  assert_pops (&ring, 4, 1, 0, 4);
  ck_assert_uint_eq (morrow__ring_size (&ring), 1);
  assert_pops (&ring, 4, 1, 4, 1);
  ck_assert (morrow__ring_is_empty (&ring));
}
END_TEST

START_TEST (full_ring_refuses_and_takes_again_when_there_is_room)
{
  MorrowRing ring;

  morrow__ring_init (&ring);
  for (guint round = 0; round < 10; round++)
    {
      for (guint i = 0; i < MORROW_RING_CAPACITY; i++)
        ck_assert (push_number (&ring, i));
      ck_assert (!push_number (&ring, 99));
      assert_pops (&ring, 1, 1, 0, 1);
      ck_assert (push_number (&ring, MORROW_RING_CAPACITY));
      ck_assert (!push_number (&ring, 99));
      assert_pops (&ring, MORROW_RING_CAPACITY, 1, 1, MORROW_RING_CAPACITY);
    }
}
END_TEST

START_TEST (share_is_smaller_the_less_there_is)
{
  MorrowRing ring;

  morrow__ring_init (&ring);
  for (guint i = 0; i < 8; i++)
    push_number (&ring, i);
  assert_pops (&ring, 4, 2, 0, 4);
  assert_pops (&ring, 4, 2, 4, 2);
  assert_pops (&ring, 4, 2, 6, 1);
  assert_pops (&ring, 4, 2, 7, 1);
  ck_assert (morrow__ring_is_empty (&ring));
}
END_TEST

typedef struct
{
  MorrowRing    ring;
  Rendezvous    rendezvous;
  atomic_uint   n_producers;           /* the next one's number */
  atomic_uint   n_popped;              /* the consumers */
  atomic_uchar  n_seen[N_RACES];       /* the consumers: how often each number */
  gboolean      in_order[N_CONSUMERS]; /* each consumer: what one producer pushed came in its order */
  atomic_uint   n_consumers;
} Crowd;

static gpointer
produce (gpointer data)
{
  Crowd *crowd = data;
  guint first = atomic_fetch_add (&crowd->n_producers, 1) * N_EACH;

  rendezvous_meet (&crowd->rendezvous);
  for (guint i = 0; i < N_EACH; i++)
    while (!push_number (&crowd->ring, first + i))
      sched_yield ();
  return NULL;
}

static gpointer
consume (gpointer data)
{
  Crowd *crowd = data;
  guint consumer = atomic_fetch_add (&crowd->n_consumers, 1);
  gint64 newest[N_PRODUCERS] = { -1, -1 };
  MorrowRingItem items[4];

  crowd->in_order[consumer] = TRUE;
  rendezvous_meet (&crowd->rendezvous);
  while (atomic_load (&crowd->n_popped) < N_RACES)
    {
      guint n = morrow__ring_pop (&crowd->ring, items, 4, N_CONSUMERS);

      for (guint i = 0; i < n; i++)
        {
          guint number = GPOINTER_TO_UINT (items[i].data);

          crowd->in_order[consumer] &= newest[number / N_EACH] < number;
          newest[number / N_EACH] = number;
          atomic_fetch_add (&crowd->n_seen[number], 1);
        }
      atomic_fetch_add (&crowd->n_popped, n);
      if (n == 0)
        sched_yield ();
    }
  return NULL;
}

START_TEST (each_item_between_four_threads_is_taken_once_and_in_order)
{
  Crowd *crowd = g_new0 (Crowd, 1);
  GThread *threads[N_PRODUCERS + N_CONSUMERS];

  morrow__ring_init (&crowd->ring);
  rendezvous_init (&crowd->rendezvous, G_N_ELEMENTS (threads), 1);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("crowd", i < N_PRODUCERS ? produce : consume, crowd);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);

  for (guint i = 0; i < N_RACES; i++)
    ck_assert_uint_eq (crowd->n_seen[i], 1);
  for (guint i = 0; i < N_CONSUMERS; i++)
    ck_assert (crowd->in_order[i]);
  ck_assert (morrow__ring_is_empty (&crowd->ring));
  g_free (crowd);
}
END_TEST

static Suite *
ring_suite (void)
{
  Suite *suite = suite_create ("ring");
  TCase *order = tcase_create ("order");
  TCase *threads = tcase_create ("threads");

  tcase_add_test (order, items_come_out_in_the_order_of_their_pushes);
  tcase_add_test (order, full_ring_refuses_and_takes_again_when_there_is_room);
  tcase_add_test (order, share_is_smaller_the_less_there_is);
  suite_add_tcase (suite, order);

  tcase_add_test (threads, each_item_between_four_threads_is_taken_once_and_in_order);
  suite_add_tcase (suite, threads);

  return suite;
}

MORROW_CHECK_MAIN (ring_suite)
