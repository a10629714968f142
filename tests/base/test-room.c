/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for room in a ring, which is tiny here. The clock that says when to wait stands still; a wait itself ends at its
 * time by the machine's clock.
 */
#include "config.h"

#include <glib.h>

/* Microseconds. */
static gint64 clock_now;

#define MORROW_RING_CAPACITY 8
#define g_get_monotonic_time() clock_now
#include "base/ring.c"
#include "base/room.c"
#undef g_get_monotonic_time

#include "morrow-check.h"
#include "rendezvous.h"

enum
{
  NEVER = G_MAXINT32,           /* A wait that begins then ends in a thousand machine's lives, */
  LONG_AGO = 1                  /* and one that begins then has ended. */
};

typedef struct
{
  MorrowRing    ring;
  MorrowRoom    room;
  _Atomic guint n_done;         /* Work that was run. */
} Hall;

static void
count (gpointer data)
{
  Hall *hall = data;

  atomic_fetch_add (&hall->n_done, 1);
}

static gboolean
push (Hall *hall)
{
  return morrow__ring_push (&hall->ring, count, hall, NULL);
}

/* Takes out and runs, at most, @max. */
static void
pop (Hall *hall, guint max)
{
  MorrowRingItem items[MORROW_RING_CAPACITY];
  guint n = morrow__ring_pop (&hall->ring, items, max, 1);

  for (guint i = 0; i < n; i++)
    items[i].func (items[i].data);
  if (n > 0)
    morrow__room_tell (&hall->room, &hall->ring);
}

static Hall *
hall_new (gint64 time)
{
  Hall *hall = g_new0 (Hall, 1);

  clock_now = time * G_USEC_PER_SEC;
  morrow__ring_init (&hall->ring);
  morrow__room_init (&hall->room);
  while (push (hall))
    continue;
  return hall;
}

static void
hall_free (Hall *hall)
{
  morrow__room_clear (&hall->room);
  g_free (hall);
}

static gboolean
wait_for_room (Hall *hall)
{
  return morrow__room_wait (&hall->room, &hall->ring);
}

START_TEST (half_a_ring_is_room_enough)
{
  Hall *hall = hall_new (NEVER);

  pop (hall, MORROW_RING_CAPACITY / 2);
  ck_assert (wait_for_room (hall));
  hall_free (hall);
}
END_TEST

START_TEST (who_has_waited_in_vain_does_not_wait_again_before_ten_times_as_long)
{
  Hall *hall = hall_new (LONG_AGO);

  ck_assert (!wait_for_room (hall));
  pop (hall, MORROW_RING_CAPACITY);
  clock_now += 11 * WAIT_TIME - 1;
  ck_assert (!wait_for_room (hall));
  clock_now++;
  ck_assert (wait_for_room (hall));
  ck_assert_uint_eq (atomic_load (&hall->room.n_waiting), 0);
  hall_free (hall);
}
END_TEST

static gpointer
wait_for_room_in_thread (gpointer data)
{
  return GINT_TO_POINTER (wait_for_room (data));
}

START_TEST (who_waits_goes_on_when_half_of_the_ring_is_free_and_no_sooner)
{
  Hall *hall = hall_new (NEVER);
  GThread *thread = g_thread_new ("waits", wait_for_room_in_thread, hall);

  while (atomic_load (&hall->room.n_waiting) == 0)
    sched_yield ();
  pop (hall, 2);
  pop (hall, 1);
  ck_assert_uint_eq (atomic_load (&hall->room.n_waiting), 1);
  pop (hall, 1);
  ck_assert (GPOINTER_TO_INT (g_thread_join (thread)));
  ck_assert_uint_eq (atomic_load (&hall->room.n_waiting), 0);
  hall_free (hall);
}
END_TEST

static gpointer
push_all (gpointer data)
{
  Hall *hall = data;

  for (guint i = 0; i < N_RACES; i++)
    while (!push (hall))
      ck_assert (wait_for_room (hall));
  return NULL;
}

/* A wait that nobody ends hangs. */
START_TEST (nobody_who_waits_is_forgotten)
{
  Hall *hall = hall_new (NEVER);
  GThread *thread = g_thread_new ("pushes", push_all, hall);

  while (atomic_load (&hall->n_done) < N_RACES + MORROW_RING_CAPACITY)
    pop (hall, 2);
  g_thread_join (thread);
  ck_assert (morrow__ring_is_empty (&hall->ring));
  hall_free (hall);
}
END_TEST

static Suite *
room_suite (void)
{
  Suite *suite = suite_create ("room");
  TCase *waits = tcase_create ("waits");
  TCase *threads = tcase_create ("threads");

  tcase_add_test (waits, half_a_ring_is_room_enough);
  tcase_add_test (waits, who_has_waited_in_vain_does_not_wait_again_before_ten_times_as_long);
  tcase_add_test (waits, who_waits_goes_on_when_half_of_the_ring_is_free_and_no_sooner);
  suite_add_tcase (suite, waits);

  tcase_add_test (threads, nobody_who_waits_is_forgotten);
  suite_add_tcase (suite, threads);

  return suite;
}

MORROW_CHECK_MAIN (room_suite)
