/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cache of small objects.  Under a sanitizer or Valgrind the objects are malloc's, and what is
 * said here of memory that is kept and given back is not looked at.
 */
#include "config.h"

#include "base/cache-private.h"

#include "morrow-check.h"
#include "rendezvous.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  OBJECT_SIZE = 128,
  N_FORKS = 200,
  N_BYSTANDERS = 12
};

#define N_OBJECTS ((gsize) 400000 / morrow_check_slowness ())

/* Asks the cache itself: what was freed last comes back first, unless it is malloc's. */
static gboolean
is_caching (void)
{
  gpointer mem = morrow__cache_alloc (OBJECT_SIZE);

  morrow__cache_free (OBJECT_SIZE, mem);
  return morrow__cache_bins[morrow__cache_class (OBJECT_SIZE)].n_items > 0;
}

static gssize
get_resident_bytes (void)
{
  FILE *file = fopen ("/proc/self/statm", "r");
  long size, resident;

  ck_assert_ptr_nonnull (file);
  ck_assert_int_eq (fscanf (file, "%ld %ld", &size, &resident), 2);
  fclose (file);
  return resident * sysconf (_SC_PAGESIZE);
}

START_TEST (class_is_the_smallest_that_holds_the_size)
{
  static const gsize sizes[MORROW_CACHE_N_CLASSES] =
    { 32, 48, 64, 80, 96, 112, 128, 160, 192, 256 };

  for (gsize size = 0; size <= MORROW_CACHE_MAX_SIZE; size++)
    {
      guint size_class = morrow__cache_class (size);

      ck_assert_uint_lt (size_class, MORROW_CACHE_N_CLASSES);
      ck_assert_uint_le (size, sizes[size_class]);
      ck_assert (size_class == 0 || size > sizes[size_class - 1]);
    }
}
END_TEST

START_TEST (objects_of_all_sizes_are_apart_and_aligned)
{
  enum { N_EACH = 1000 };
  guint8 *(*objects)[N_EACH] = g_malloc (301 * sizeof *objects);
  guint n_aligned = 0, n_whole = 0;

  for (gsize size = 1; size <= 300; size++)
    for (guint i = 0; i < N_EACH; i++)
      {
        objects[size][i] = morrow__cache_alloc (size);
        n_aligned += (guintptr) objects[size][i] % 16 == 0;
        memset (objects[size][i], (int) (size + i), size);
      }
  for (gsize size = 1; size <= 300; size++)
    for (guint i = 0; i < N_EACH; i++)
      {
        n_whole += objects[size][i][0] == (guint8) (size + i) && memcmp (objects[size][i], objects[size][i] + 1, size - 1) == 0;
        morrow__cache_free (size, objects[size][i]);
      }
  ck_assert_uint_eq (n_aligned, 300 * N_EACH);
  ck_assert_uint_eq (n_whole, 300 * N_EACH);
  ck_assert_int_eq (morrow__cache_live (), 0);
  g_free (objects);
}
END_TEST

START_TEST (freed_object_comes_back_first)
{
  gpointer first = morrow__cache_alloc (OBJECT_SIZE);
  gpointer second = morrow__cache_alloc (OBJECT_SIZE);
  gboolean caching = is_caching ();

  morrow__cache_free (OBJECT_SIZE, first);
  morrow__cache_free (OBJECT_SIZE, second);
  if (caching)
    {
      ck_assert_ptr_eq (morrow__cache_alloc (OBJECT_SIZE), second);
      ck_assert_ptr_eq (morrow__cache_alloc (OBJECT_SIZE), first);
      morrow__cache_free (OBJECT_SIZE, first);
      morrow__cache_free (OBJECT_SIZE, second);
    }
  ck_assert_int_eq (morrow__cache_live (), 0);
}
END_TEST

START_TEST (live_counts_what_was_not_freed)
{
  gpointer objects[100];

  for (guint i = 0; i < 100; i++)
    {
      objects[i] = morrow__cache_alloc (32 + i);
      ck_assert_int_eq (morrow__cache_live (), i + 1);
    }
  for (guint i = 0; i < 100; i++)
    {
      morrow__cache_free (32 + i, objects[i]);
      ck_assert_int_eq (morrow__cache_live (), 99 - i);
    }
}
END_TEST

/* In the order that @step makes of the indices: all of them, since it shares no factor with their
 * number. */
static void
free_by_steps (gpointer *objects,
               gsize     step)
{
  const gsize n_objects = N_OBJECTS;

  for (gsize i = 0, at = 0; i < n_objects; i++, at = (at + step) % n_objects)
    morrow__cache_free (OBJECT_SIZE, objects[at]);
}

START_TEST (memory_returns_in_whatever_order_it_is_freed)
{
  const gsize steps[] = { 1, N_OBJECTS - 1, 7, 12347, 199999 };
  gpointer *objects = g_malloc (N_OBJECTS * sizeof *objects);
  gboolean caching = is_caching ();
  gssize before, peak, after;

  memset (objects, 1, N_OBJECTS * sizeof *objects);
  before = get_resident_bytes ();
  for (gsize i = 0; i < N_OBJECTS; i++)
    {
      objects[i] = morrow__cache_alloc (OBJECT_SIZE);
      memset (objects[i], 1, OBJECT_SIZE);
    }
  peak = get_resident_bytes ();
  free_by_steps (objects, steps[_i]);
  after = get_resident_bytes ();
  ck_assert_int_eq (morrow__cache_live (), 0);

  if (caching)
    {
      ck_assert_int_ge (peak - before, (gssize) N_OBJECTS * OBJECT_SIZE);
      ck_assert_int_le (after - before, 36 * 1024 * 1024);
      morrow__cache_trim (0);
      ck_assert_int_le (get_resident_bytes () - before, 2 * 1024 * 1024);
    }
  g_free (objects);
}
END_TEST

START_TEST (trimmed_memory_is_used_again)
{
  gpointer *objects = g_malloc (N_OBJECTS * sizeof *objects);

  for (guint round = 0; round < 3; round++)
    {
      for (gsize i = 0; i < N_OBJECTS; i++)
        objects[i] = morrow__cache_alloc (round == 1 ? 256 : OBJECT_SIZE);
      for (gsize i = 0; i < N_OBJECTS; i++)
        morrow__cache_free (round == 1 ? 256 : OBJECT_SIZE, objects[i]);
      morrow__cache_trim (0);
      ck_assert_int_eq (morrow__cache_live (), 0);
    }
  g_free (objects);
}
END_TEST

/* One thread makes what another frees. */
enum
{
  N_ROUNDS = 200,
  N_A_ROUND = N_RACES / N_ROUNDS
};

typedef struct
{
  Rendezvous rendezvous;
  gpointer   objects[2][N_A_ROUND];     /* Filled by one, emptied by the other, by turns. */
} Transfer;

static gpointer
free_what_is_passed (gpointer data)
{
  Transfer *transfer = data;

  for (guint round = 0; round < N_ROUNDS; round++)
    {
      rendezvous_meet (&transfer->rendezvous);
      for (guint i = 0; i < N_A_ROUND; i++)
        morrow__cache_free (OBJECT_SIZE, transfer->objects[round % 2][i]);
    }
  return NULL;
}

START_TEST (objects_freed_on_another_thread_flow_back)
{
  Transfer *transfer = g_new0 (Transfer, 1);
  gboolean caching = is_caching ();
  gssize before = get_resident_bytes ();
  GThread *consumer;

  rendezvous_init (&transfer->rendezvous, 2, N_ROUNDS);
  consumer = g_thread_new ("consumer", free_what_is_passed, transfer);
  for (guint round = 0; round < N_ROUNDS; round++)
    {
      for (guint i = 0; i < N_A_ROUND; i++)
        {
          transfer->objects[round % 2][i] = morrow__cache_alloc (OBJECT_SIZE);
          memset (transfer->objects[round % 2][i], 1, OBJECT_SIZE);
        }
      rendezvous_meet (&transfer->rendezvous);
    }
  g_thread_join (consumer);
  ck_assert_int_eq (morrow__cache_live (), 0);
  /* All that was made would be 12 MiB. */
  if (caching)
    ck_assert_int_le (get_resident_bytes () - before, 2 * 1024 * 1024);
  g_free (transfer);
}
END_TEST

static gpointer
leave_things_in_the_bins (gpointer data)
{
  gpointer objects[200];

  for (guint i = 0; i < 200; i++)
    objects[i] = morrow__cache_alloc (OBJECT_SIZE);
  for (guint i = 0; i < 200; i++)
    morrow__cache_free (OBJECT_SIZE, objects[i]);
  return objects[0];
}

START_TEST (thread_that_ends_gives_back_what_it_keeps)
{
  gssize before = 0;

  for (guint i = 0; i < 1000; i++)
    {
      g_thread_join (g_thread_new ("short", leave_things_in_the_bins, NULL));
      if (i == 10)
        before = get_resident_bytes ();
    }
  ck_assert_int_eq (morrow__cache_live (), 0);
  if (is_caching ())
    ck_assert_int_le (get_resident_bytes () - before, 1024 * 1024);
}
END_TEST

static pthread_key_t late_key;
static gpointer late_new;

/* Keys made later are destroyed later: the cache has taken leave of the thread by now. */
static void
use_cache_late (gpointer early)
{
  morrow__cache_free (OBJECT_SIZE, early);
  late_new = morrow__cache_alloc (64);
  morrow__cache_free (64, morrow__cache_alloc (64));
}

static gpointer
end_with_a_destructor (gpointer data)
{
  pthread_setspecific (late_key, morrow__cache_alloc (OBJECT_SIZE));
  return NULL;
}

START_TEST (destructors_of_a_thread_may_still_alloc_and_free)
{
  morrow__cache_free (32, morrow__cache_alloc (32));
  ck_assert_int_eq (pthread_key_create (&late_key, use_cache_late), 0);
  g_thread_join (g_thread_new ("short", end_with_a_destructor, NULL));
  ck_assert_int_eq (morrow__cache_live (), 1);
  morrow__cache_free (64, late_new);
  ck_assert_int_eq (morrow__cache_live (), 0);
}
END_TEST

static void
use_all_classes (void)
{
  gpointer objects[100];

  for (gsize size = 32; size <= MORROW_CACHE_MAX_SIZE; size += 8)
    {
      for (guint i = 0; i < G_N_ELEMENTS (objects); i++)
        objects[i] = morrow__cache_alloc (size);
      for (guint i = 0; i < G_N_ELEMENTS (objects); i++)
        morrow__cache_free (size, objects[i]);
    }
}

static gpointer
use_all_classes_until (gpointer stop)
{
  while (!g_atomic_int_get ((gint *) stop))
    use_all_classes ();
  return NULL;
}

START_TEST (child_finds_the_cache_whole_whatever_other_threads_did_with_it)
{
  gint stop = FALSE;
  GThread *other;

  if (!is_caching ())
    return;

  other = g_thread_new ("other", use_all_classes_until, &stop);
  for (guint i = 0; i < N_FORKS; i++)
    {
      int status;
      pid_t child = fork ();

      ck_assert_int_ge (child, 0);
      if (child == 0)
        {
          use_all_classes ();
          _exit (0);
        }
      ck_assert_int_eq (waitpid (child, &status, 0), child);
      ck_assert_int_eq (status, 0);
    }
  g_atomic_int_set (&stop, TRUE);
  g_thread_join (other);
}
END_TEST

/* Threads that use the cache, and are still there when the process forks. */
typedef struct
{
  gint   n_begun;
  GMutex end;
} Bystanders;

static gpointer
use_cache_and_stay (gpointer data)
{
  Bystanders *self = data;

  use_all_classes ();
  g_atomic_int_inc (&self->n_begun);
  g_mutex_lock (&self->end);
  g_mutex_unlock (&self->end);
  return NULL;
}

static gpointer
use_cache_once (gpointer data)
{
  use_all_classes ();
  return NULL;
}

/* In the child, whose threads get the memory that the parent's had: stacks with what belongs to a thread. */
static void
use_cache_on_new_threads (void)
{
  GThread *threads[N_BYSTANDERS];

  for (guint i = 0; i < N_BYSTANDERS; i++)
    threads[i] = g_thread_new ("new", use_cache_once, NULL);
  for (guint i = 0; i < N_BYSTANDERS; i++)
    g_thread_join (threads[i]);
  morrow__cache_live ();   /* which looks at all threads */
}

START_TEST (child_forgets_the_threads_of_its_parent)
{
  Bystanders bystanders = { .n_begun = 0 };
  GThread *threads[N_BYSTANDERS];
  int status;
  pid_t child;

  if (!is_caching ())
    return;

  g_mutex_lock (&bystanders.end);
  for (guint i = 0; i < N_BYSTANDERS; i++)
    threads[i] = g_thread_new ("bystander", use_cache_and_stay, &bystanders);
  while (g_atomic_int_get (&bystanders.n_begun) < N_BYSTANDERS)
    g_thread_yield ();

  child = fork ();
  ck_assert_int_ge (child, 0);
  if (child == 0)
    {
      morrow_check_limit_child ();
      for (guint i = 0; i < 3; i++)
        use_cache_on_new_threads ();
      _exit (0);
    }
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_int_eq (status, 0);

  g_mutex_unlock (&bystanders.end);
  for (guint i = 0; i < N_BYSTANDERS; i++)
    g_thread_join (threads[i]);
}
END_TEST

/* Each test has its own process, where the cache was not yet used. */
START_TEST (environment_turns_the_cache_off)
{
  gpointer objects[200];

  g_setenv ("MORROW_CACHE", "malloc", TRUE);
  for (guint i = 0; i < 200; i++)
    objects[i] = morrow__cache_alloc (OBJECT_SIZE);
  ck_assert_int_eq (morrow__cache_live (), 200);
  for (guint i = 0; i < 200; i++)
    morrow__cache_free (OBJECT_SIZE, objects[i]);
  ck_assert_int_eq (morrow__cache_live (), 0);
  ck_assert (!is_caching ());
  morrow__cache_trim (0);
}
END_TEST

static Suite *
cache_suite (void)
{
  Suite *suite = suite_create ("cache");
  TCase *objects = tcase_create ("objects");
  TCase *memory = tcase_create ("memory");
  TCase *threads = tcase_create ("threads");
  TCase *off = tcase_create ("off");

  tcase_add_test (objects, class_is_the_smallest_that_holds_the_size);
  tcase_add_test (objects, objects_of_all_sizes_are_apart_and_aligned);
  tcase_add_test (objects, freed_object_comes_back_first);
  tcase_add_test (objects, live_counts_what_was_not_freed);
  suite_add_tcase (suite, objects);

  tcase_add_loop_test (memory, memory_returns_in_whatever_order_it_is_freed, 0, 5);
  tcase_add_test (memory, trimmed_memory_is_used_again);
  suite_add_tcase (suite, memory);

  tcase_add_test (threads, objects_freed_on_another_thread_flow_back);
  tcase_add_test (threads, thread_that_ends_gives_back_what_it_keeps);
  tcase_add_test (threads, destructors_of_a_thread_may_still_alloc_and_free);
  tcase_add_test (threads, child_finds_the_cache_whole_whatever_other_threads_did_with_it);
  tcase_add_test (threads, child_forgets_the_threads_of_its_parent);
  suite_add_tcase (suite, threads);

  tcase_add_test (off, environment_turns_the_cache_off);
  suite_add_tcase (suite, off);

  return suite;
}

MORROW_CHECK_MAIN_FORKING (cache_suite)
