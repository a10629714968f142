/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Slabs, and what the kernel is told about their memory: all advice passes through here (--wrap=madvise).
 */
#include "config.h"

#include "base/madvise-private.h"
#include "base/slabs-private.h"

#include "morrow-check.h"
#include "rendezvous.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

enum
{
  FIRST_SLABS = 63,             /* of the first region, where the table of the arena is */
  REGION_SLABS = 64,
  ARENA_SLABS = 511,
  RUN_SLABS = 16,               /* the longest run, */
  SHARED_RUN_SLABS = 2,         /* and where others prepare slabs */
  PREPARED_SLABS = 8,           /* at most */
  RUN_SHARE = 8,                /* one in so many more */
  MANY = 1000                   /* more than an arena has */
};

/* Any thread, relaxed: counts. */
static struct
{
  atomic_uint   n_given_back;   /* calls */
  atomic_size_t given_back;     /* bytes */
  atomic_uint   n_populated;    /* calls */
  atomic_size_t populated;      /* bytes, */
  atomic_size_t longest;        /* and of the longest call */
} advice;

/* Called once, in the middle. */
static void (*while_populating) (void);

int __real_madvise (void *memory, size_t size, int kind);
int __wrap_madvise (void *memory, size_t size, int kind);

int
__wrap_madvise (void *memory, size_t size, int kind)
{
  if (kind == MADV_DONTNEED)
    {
      atomic_fetch_add_explicit (&advice.n_given_back, 1, memory_order_relaxed);
      atomic_fetch_add_explicit (&advice.given_back, size, memory_order_relaxed);
    }
  if (kind == MADV_POPULATE_WRITE)
    {
      atomic_fetch_add_explicit (&advice.n_populated, 1, memory_order_relaxed);
      atomic_fetch_add_explicit (&advice.populated, size, memory_order_relaxed);
      atomic_store_explicit (&advice.longest, MAX (size, atomic_load_explicit (&advice.longest, memory_order_relaxed)), memory_order_relaxed);
      if (while_populating != NULL)
        g_steal_pointer (&while_populating) ();
    }
  return __real_madvise (memory, size, kind);
}

static MorrowSlab *
acquire_touched (void)
{
  MorrowSlab *slab = morrow__slab_acquire (FALSE);

  memset (morrow__slab_memory (slab), 1, MORROW_SLAB_SIZE);
  return slab;
}

static void
acquire (MorrowSlab **slabs, guint n)
{
  for (guint i = 0; i < n; i++)
    slabs[i] = acquire_touched ();
}

static void
release (MorrowSlab **slabs, guint n)
{
  for (guint i = 0; i < n; i++)
    morrow__slab_release (slabs[i], 2 * MANY);
}

START_TEST (slab_is_found_from_each_address_in_it)
{
  for (guint i = 0; i < MANY; i++)
    {
      MorrowSlab *slab = acquire_touched ();
      gchar *memory = morrow__slab_memory (slab);

      ck_assert_uint_eq ((guintptr) memory % MORROW_SLAB_SIZE, 0);
      ck_assert_ptr_eq (morrow__slab_of (memory), slab);
      ck_assert_ptr_eq (morrow__slab_of (memory + MORROW_SLAB_SIZE - 1), slab);
    }
}
END_TEST

START_TEST (spare_slabs_are_taken_before_new_ones)
{
  MorrowSlab *slabs[ARENA_SLABS];

  acquire (slabs, ARENA_SLABS);
  for (guint round = 0; round < 3; round++)
    {
      release (slabs, ARENA_SLABS);
      if (round > 0)
        morrow__slabs_trim (round == 1 ? 0 : MANY);
      for (guint i = 0; i < ARENA_SLABS; i++)
        {
          MorrowSlab *slab = acquire_touched ();

          ck_assert (slabs[0] - 1 < slab && slab <= slabs[0] - 1 + ARENA_SLABS);
        }
    }
}
END_TEST

START_TEST (memory_is_given_back_by_whole_regions)
{
  MorrowSlab *slabs[FIRST_SLABS + 3 * REGION_SLABS];

  acquire (slabs, G_N_ELEMENTS (slabs));
  release (slabs, G_N_ELEMENTS (slabs));
  morrow__slabs_trim (0);
  ck_assert_uint_eq (advice.n_given_back, 4);
  ck_assert_uint_eq (advice.given_back, G_N_ELEMENTS (slabs) * MORROW_SLAB_SIZE);
}
END_TEST

START_TEST (beyond_what_is_kept_a_whole_region_goes_and_the_slab_stays)
{
  MorrowSlab *slabs[FIRST_SLABS + 3 * REGION_SLABS];

  acquire (slabs, G_N_ELEMENTS (slabs));
  for (guint i = 0; i < G_N_ELEMENTS (slabs); i++)
    morrow__slab_release (slabs[i], REGION_SLABS);
  ck_assert_uint_eq (advice.n_given_back, 3);
  ck_assert_uint_eq (advice.given_back, (FIRST_SLABS + 2 * REGION_SLABS) * MORROW_SLAB_SIZE);
}
END_TEST

START_TEST (where_no_region_is_whole_slabs_go_alone)
{
  MorrowSlab *slabs[FIRST_SLABS + REGION_SLABS];

  acquire (slabs, G_N_ELEMENTS (slabs));
  release (slabs + FIRST_SLABS + 1, REGION_SLABS - 1);
  morrow__slabs_trim (10);
  ck_assert_uint_eq (advice.n_given_back, REGION_SLABS - 1 - 10);
  ck_assert_uint_eq (advice.given_back, (REGION_SLABS - 1 - 10) * MORROW_SLAB_SIZE);
  morrow__slab_release (slabs[FIRST_SLABS], 10);
  ck_assert_uint_eq (advice.n_given_back, REGION_SLABS - 10);
  for (guint i = 0; i < FIRST_SLABS; i++)
    ck_assert_int_eq (*morrow__slab_memory (slabs[i]), 1);
}
END_TEST

START_TEST (region_of_which_a_slab_is_taken_again_is_not_given_back_whole)
{
  MorrowSlab *slabs[FIRST_SLABS + REGION_SLABS];
  MorrowSlab *again;

  acquire (slabs, G_N_ELEMENTS (slabs));
  release (slabs + FIRST_SLABS, REGION_SLABS);
  again = acquire_touched ();
  morrow__slabs_trim (0);
  ck_assert_uint_eq (advice.given_back, (REGION_SLABS - 1) * MORROW_SLAB_SIZE);
  ck_assert_int_eq (*morrow__slab_memory (again), 1);
}
END_TEST

/* In pieces the first time, then as a whole: it is as good as new each time. */
START_TEST (region_that_gave_its_memory_back_is_opened_again)
{
  MorrowSlab *slabs[FIRST_SLABS];

  for (guint round = 0; round < 10; round++)
    {
      acquire (slabs, FIRST_SLABS);
      if (round % 2 == 0)
        for (guint i = 0; i < FIRST_SLABS; i++)
          morrow__slab_release (slabs[i], 0);
      else
        release (slabs, FIRST_SLABS);
      morrow__slabs_trim (0);
      ck_assert_uint_eq (advice.n_given_back, (round / 2 + 1) * FIRST_SLABS + (round + 1) / 2);
      ck_assert_uint_eq (advice.given_back, (round + 1) * FIRST_SLABS * MORROW_SLAB_SIZE);
    }
}
END_TEST

/* One by one at first, then as many as are an eighth of those before. */
START_TEST (slabs_that_were_never_used_get_their_memory_in_runs_and_are_taken_in_order)
{
  MorrowSlab *first = morrow__slab_acquire (TRUE);

  for (guint i = 1; i < ARENA_SLABS; i++)
    ck_assert_ptr_eq (morrow__slab_acquire (TRUE), first + i);
  ck_assert_uint_eq (advice.populated, ARENA_SLABS * MORROW_SLAB_SIZE);
  ck_assert_uint_eq (advice.longest, RUN_SLABS * MORROW_SLAB_SIZE);
  ck_assert_uint_eq (advice.n_populated, 59);
}
END_TEST

START_TEST (what_is_not_wanted_of_a_run_is_given_back)
{
  for (guint i = 0; i < FIRST_SLABS; i++)
    morrow__slab_acquire (TRUE);
  ck_assert_uint_gt (advice.populated, FIRST_SLABS * MORROW_SLAB_SIZE);
  morrow__slabs_trim (0);
  ck_assert_uint_eq (advice.populated - advice.given_back, FIRST_SLABS * MORROW_SLAB_SIZE);
}
END_TEST

START_TEST (slabs_whose_memory_nobody_asks_for_at_once_come_one_by_one)
{
  acquire ((MorrowSlab *[ARENA_SLABS]) { NULL }, ARENA_SLABS);
  ck_assert_uint_eq (advice.n_populated, 0);
  morrow__slabs_trim (0);
  ck_assert_uint_eq (advice.given_back, 0);
}
END_TEST

/* As a thread does that has nothing else to do. */
static void
prepare (void)
{
  if (morrow__slabs_may_prepare ())
    morrow__slabs_prepare_one ();
}

/* Returns: the size of the next run that who takes slabs gives memory to. */
static gsize
take_until_run (void)
{
  gsize populated = advice.populated;

  while (advice.populated == populated)
    morrow__slab_acquire (TRUE);
  return (advice.populated - populated) / MORROW_SLAB_SIZE;
}

static void
use_many (void)
{
  while (take_until_run () < RUN_SLABS)
    ;
}

/* Wanted are slabs, and those without memory are some that gave it back. */
static void
use_many_and_trim (void)
{
  use_many ();
  morrow__slabs_trim (0);
  morrow__slab_acquire (TRUE);
  ck_assert (morrow__slabs_may_prepare ());
}

START_TEST (slab_that_was_prepared_is_taken_with_its_memory)
{
  guint n_populated;

  use_many_and_trim ();
  n_populated = advice.n_populated;
  prepare ();
  ck_assert_uint_eq (advice.n_populated, n_populated + 1);
  morrow__slab_acquire (TRUE);
  ck_assert_uint_eq (advice.n_populated, n_populated + 1);
}
END_TEST

START_TEST (no_more_slabs_are_prepared_than_are_likely_to_be_wanted)
{
  gsize populated;

  use_many_and_trim ();
  populated = advice.populated;
  for (guint i = 0; i < MANY; i++)
    prepare ();
  ck_assert_uint_eq (advice.populated, populated + PREPARED_SLABS * MORROW_SLAB_SIZE);

  /* Another has seen that they were wanted, and comes too late. */
  morrow__slabs_prepare_one ();
  ck_assert_uint_eq (advice.populated, populated + PREPARED_SLABS * MORROW_SLAB_SIZE);

}
END_TEST

START_TEST (nothing_is_prepared_for_who_has_let_go_of_slabs)
{
  MorrowSlab *slab;

  use_many_and_trim ();
  slab = morrow__slab_acquire (TRUE);
  ck_assert (morrow__slabs_may_prepare ());
  morrow__slab_release (slab, MANY);
  ck_assert (!morrow__slabs_may_prepare ());

  morrow__slab_acquire (TRUE);
  ck_assert (morrow__slabs_may_prepare ());
  morrow__slabs_trim (0);
  ck_assert (!morrow__slabs_may_prepare ());
}
END_TEST

START_TEST (no_arena_is_mapped_for_what_nobody_has_asked_for)
{
  guint n_populated;

  for (guint i = 0; i < ARENA_SLABS; i++)
    morrow__slab_acquire (TRUE);
  n_populated = advice.n_populated;
  ck_assert (!morrow__slabs_may_prepare ());
  morrow__slabs_prepare_one ();
  ck_assert_uint_eq (advice.n_populated, n_populated);
}
END_TEST

static void
prepare_another (void)
{
  guint n_populated = advice.n_populated;

  ck_assert (!morrow__slabs_may_prepare ());
  morrow__slabs_prepare_one ();
  ck_assert_uint_eq (advice.n_populated, n_populated);
}

START_TEST (one_slab_is_prepared_at_a_time)
{
  use_many_and_trim ();
  while_populating = prepare_another;
  morrow__slabs_prepare_one ();
  ck_assert_ptr_null (while_populating);
  ck_assert (morrow__slabs_may_prepare ());
}
END_TEST

static void
begin_child (void)
{
  morrow__slabs_hold ();
  morrow__slabs_begin_child ();
  morrow__slabs_let_go ();
  ck_assert (morrow__slabs_may_prepare ());
}

/* The thread is not there that was about it. */
START_TEST (child_prepares_slabs_whatever_its_parent_did_as_it_forked)
{
  use_many_and_trim ();
  while_populating = begin_child;
  morrow__slabs_prepare_one ();
  ck_assert_ptr_null (while_populating);
}
END_TEST

START_TEST (nothing_is_prepared_where_few_slabs_were_used)
{
  for (guint i = 0; i < RUN_SHARE - 1; i++)
    morrow__slab_acquire (TRUE);
  prepare ();
  ck_assert_uint_eq (advice.n_populated, RUN_SHARE - 1);

  morrow__slab_acquire (TRUE);
  prepare ();
  ck_assert_uint_eq (advice.n_populated, RUN_SHARE + 1);
}
END_TEST

START_TEST (who_is_helped_gives_memory_to_fewer_at_once)
{
  use_many ();
  prepare ();             /* It has what is left of that run, and is not wanted. */
  ck_assert_uint_eq (take_until_run (), RUN_SLABS);

  for (guint i = 0; i < RUN_SLABS - 1; i++)
    morrow__slab_acquire (TRUE);
  prepare ();
  ck_assert_uint_eq (take_until_run (), SHARED_RUN_SLABS);
  ck_assert_uint_eq (take_until_run (), RUN_SLABS);
}
END_TEST

/* Each slab bears its number, which another taker would overwrite. */
START_TEST (nobody_else_has_a_slab_that_is_taken)
{
  MorrowSlab *slabs[MANY];
  GRand *rand = g_rand_new_with_seed (_i);
  guint n_taken = 0, n_made = 0;

  for (guint i = 0; i < 200000 / morrow_check_slowness (); i++)
    {
      gboolean grows = (i / (2 * MANY)) % 2 == 0;
      guint at = n_taken == 0 ? 0 : (guint) g_rand_int_range (rand, 0, (gint32) n_taken);

      if (n_taken < MANY && (n_taken == 0 || g_rand_int_range (rand, 0, 4) < (grows ? 3 : 1)))
        {
          slabs[n_taken] = morrow__slab_acquire (i % 2);
          slabs[n_taken]->n_taken = (guint16) n_made;
          *(guint *) morrow__slab_memory (slabs[n_taken++]) = n_made++;
        }
      else
        {
          ck_assert_uint_eq ((guint16) *(guint *) morrow__slab_memory (slabs[at]), slabs[at]->n_taken);
          morrow__slab_release (slabs[at], (gsize) g_rand_int_range (rand, 0, MANY / 2));
          slabs[at] = slabs[--n_taken];
        }
      if (i % 7 == 0)
        prepare ();
      if (i % 1000 == 0)
        morrow__slabs_trim ((gsize) g_rand_int_range (rand, 0, MANY / 2));
    }
  g_rand_free (rand);
}
END_TEST

/* Takes a few, writes to them, sees that nobody else did, and lets go of them, keeping some or none; now and then it prepares one. */
static gpointer
take_and_let_go (gpointer data)
{
  Rendezvous *rendezvous = data;
  MorrowSlab *slabs[3];

  for (guint round = 0; round < N_RACES / morrow_check_slowness (); round++)
    {
      if (round % 100 == 0)
        rendezvous_meet (rendezvous);
      for (guint i = 0; i < G_N_ELEMENTS (slabs); i++)
        {
          slabs[i] = morrow__slab_acquire (round % 2);
          *(gpointer *) morrow__slab_memory (slabs[i]) = &slabs[i];
        }
      if (round % 3 == 0)
        prepare ();
      for (guint i = 0; i < G_N_ELEMENTS (slabs); i++)
        {
          ck_assert_ptr_eq (*(gpointer *) morrow__slab_memory (slabs[i]), &slabs[i]);
          morrow__slab_release (slabs[i], round % 4);
        }
    }
  return NULL;
}

START_TEST (threads_that_take_and_let_go_have_slabs_of_their_own)
{
  Rendezvous rendezvous;
  GThread *other;

  use_many ();
  rendezvous_init (&rendezvous, 2, N_RACES);
  other = g_thread_new ("other", take_and_let_go, &rendezvous);
  take_and_let_go (&rendezvous);
  g_thread_join (other);
}
END_TEST

static Suite *
slabs_suite (void)
{
  Suite *suite = suite_create ("slabs");
  TCase *tcase = tcase_create ("slabs");

  /* Each in a process of its own, where no region was opened. */
  tcase_add_checked_fixture (tcase, morrow__slabs_init, NULL);
  tcase_add_test (tcase, slab_is_found_from_each_address_in_it);
  tcase_add_test (tcase, spare_slabs_are_taken_before_new_ones);
  tcase_add_test (tcase, memory_is_given_back_by_whole_regions);
  tcase_add_test (tcase, beyond_what_is_kept_a_whole_region_goes_and_the_slab_stays);
  tcase_add_test (tcase, where_no_region_is_whole_slabs_go_alone);
  tcase_add_test (tcase, region_of_which_a_slab_is_taken_again_is_not_given_back_whole);
  tcase_add_test (tcase, region_that_gave_its_memory_back_is_opened_again);
  tcase_add_test (tcase, slabs_that_were_never_used_get_their_memory_in_runs_and_are_taken_in_order);
  tcase_add_test (tcase, what_is_not_wanted_of_a_run_is_given_back);
  tcase_add_test (tcase, slabs_whose_memory_nobody_asks_for_at_once_come_one_by_one);
  tcase_add_test (tcase, slab_that_was_prepared_is_taken_with_its_memory);
  tcase_add_test (tcase, no_more_slabs_are_prepared_than_are_likely_to_be_wanted);
  tcase_add_test (tcase, nothing_is_prepared_for_who_has_let_go_of_slabs);
  tcase_add_test (tcase, no_arena_is_mapped_for_what_nobody_has_asked_for);
  tcase_add_test (tcase, one_slab_is_prepared_at_a_time);
  tcase_add_test (tcase, child_prepares_slabs_whatever_its_parent_did_as_it_forked);
  tcase_add_test (tcase, nothing_is_prepared_where_few_slabs_were_used);
  tcase_add_test (tcase, who_is_helped_gives_memory_to_fewer_at_once);
  tcase_add_loop_test (tcase, nobody_else_has_a_slab_that_is_taken, 0, 4);
  tcase_add_test (tcase, threads_that_take_and_let_go_have_slabs_of_their_own);
  suite_add_tcase (suite, tcase);
  return suite;
}

MORROW_CHECK_MAIN_FORKING (slabs_suite)
