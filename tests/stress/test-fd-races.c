/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Forced races about a descriptor: a task waits for it, and at the same time somebody else closes it, cancels the task,
 * or has it ready.  Whoever is first, the wait ends, and nothing is lost or left.
 */
#include "config.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/rendezvous.h"
#include "exec/models.h"

enum
{
  N_TESTS = 3   /* which have the races among them */
};

#ifdef MORROW_CHECK_TSAN
# define N_ROUNDS (N_RACES / N_TESTS)
#else
# define N_ROUNDS (N_RACES / N_TESTS / morrow_check_slowness ())
#endif

/* Between two meetings each field belongs to the thread that is said; else to that of the test. */
typedef struct
{
  Rendezvous    meeting;
  MorrowFuture *waiter;    /* borrowed: the task that waits */
  MorrowFd     *fd;        /* an eventfd */
  guint         round;
  guint         n_read, n_cancelled, n_closed;   /* the waiter's */
} Race;

static MorrowFd *
new_event (void)
{
  return morrow_fd_new (eventfd (0, EFD_CLOEXEC));
}

static void
make_ready (Race *race)
{
  const guint64 one = 1;

  ck_assert_int_eq (write (morrow_fd_get_fd (race->fd), &one, sizeof one), sizeof one);
}

/* What ends the wait. What has to be done to a descriptor that is open comes before the close. */
static void
end_wait (Race *race)
{
  switch (race->round % 4)
    {
    case 0:
      break;
    case 1:
      morrow_future_cancel (race->waiter);
      break;
    case 2:
      make_ready (race);
      break;
    default:
      make_ready (race);
      morrow_future_cancel (race->waiter);
    }
  morrow_fd_close (race->fd);
}

static void
wait_in_vain (MorrowFd *fd, gint64 deadline)
{
  g_autoptr (GError) error = NULL;
  guint64 value;

  ck_assert_int_eq (morrow_fd_read (fd, &value, sizeof value, deadline, &error), -1);
  assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

static void
wait_and_count (Race *race)
{
  g_autoptr (GError) error = NULL;
  guint64 value;
  gssize n = morrow_fd_read (race->fd, &value, sizeof value, G_MAXINT64, &error);

  if (n == sizeof value)
    race->n_read++;
  else if (g_error_matches (error, MORROW_ERROR, MORROW_ERROR_CLOSED))
    race->n_closed++;
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    race->n_cancelled++;
  else
    ck_abort_msg ("%s", error != NULL ? error->message : "a short read");
}

static void
forget_cancels (Race *race)
{
  while (morrow_future_uncancel (race->waiter) > 0)
    ;
}

/* --- against another thread ------------------------------------------------------------------- */

static gpointer
end_each_wait (gpointer data)
{
  Race *race = data;

  while (rendezvous_follow (&race->meeting))
    {
      end_wait (race);
      rendezvous_meet (&race->meeting);
    }
  return NULL;
}

static gboolean
wait_each_time (gpointer data, GValue *result, GError **error)
{
  Race *race = data;

  race->waiter = morrow_current_task ();
  for (race->round = 0; rendezvous_take_round (&race->meeting); race->round++)
    {
      race->fd = new_event ();
      rendezvous_meet (&race->meeting);
      wait_and_count (race);
      rendezvous_meet (&race->meeting);
      forget_cancels (race);
      ck_assert_int_eq (morrow_fd_get_fd (race->fd), -1);
      morrow_fd_unref (race->fd);
    }
  rendezvous_end (&race->meeting);
  ck_assert_uint_eq (race->n_read + race->n_cancelled + race->n_closed, race->meeting.n_rounds);
  return TRUE;
}

/* How often the calling thread has gone to sleep. */
static glong
count_sleeps (void)
{
  struct rusage usage;

  getrusage (RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

/* After the first wait a thread keeps what it is woken by. On a busy machine the time may run out before it comes to wait. */
static gboolean
wait_once (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = new_event ();
  glong n_sleeps;

  do
    {
      n_sleeps = count_sleeps ();
      wait_in_vain (fd, g_get_monotonic_time () + 1000);
    }
  while (count_sleeps () == n_sleeps);
  return TRUE;
}

START_TEST (close_cancel_and_data_from_another_thread_end_a_wait)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i == 0 ? MODEL_LOOP : MODEL_INLINE);
  guint n_descriptors;
  Race race = { 0 };
  pthread_t thread;

  run_scene_on (executor, wait_once, NULL);
  n_descriptors = count_descriptors ();
  rendezvous_init (&race.meeting, 2, N_ROUNDS);
  ck_assert_int_eq (pthread_create (&thread, NULL, end_each_wait, &race), 0);
  run_scene_on (executor, wait_each_time, &race);
  pthread_join (thread, NULL);
  if (RUNNING_ON_VALGRIND == 0)   /* which opens some of its own, when it likes */
    ck_assert_msg (count_descriptors () == n_descriptors, "There were %u descriptors before, and now:%s", n_descriptors,
                   describe_descriptors ());
}
END_TEST

/* --- while it moves --------------------------------------------------------------------------- */

/* On its own loop: the descriptor has its place there when the waiter takes it away. */
static gboolean
leave_and_end_each_wait (gpointer data, GValue *result, GError **error)
{
  Race *race = data;

  for (race->round = 0; rendezvous_take_round (&race->meeting); race->round++)
    {
      race->fd = new_event ();
      wait_in_vain (race->fd, 0);
      rendezvous_meet (&race->meeting);
      end_wait (race);
      rendezvous_meet (&race->meeting);
      morrow_fd_unref (race->fd);
      ck_assert (morrow_yield (error));
    }
  rendezvous_end (&race->meeting);
  return TRUE;
}

static gpointer
run_the_other (gpointer data)
{
  run_scene (leave_and_end_each_wait, data);
  return NULL;
}

static gboolean
take_and_wait_each_time (gpointer data, GValue *result, GError **error)
{
  Race *race = data;

  race->waiter = morrow_current_task ();
  while (rendezvous_follow (&race->meeting))
    {
      wait_and_count (race);
      rendezvous_meet (&race->meeting);
      forget_cancels (race);
    }
  ck_assert_uint_eq (race->n_read + race->n_cancelled + race->n_closed, race->meeting.n_rounds);
  return TRUE;
}

START_TEST (close_cancel_and_data_end_a_wait_on_a_loop_that_takes_the_descriptor_from_another)
{
  Race race = { 0 };
  pthread_t thread;

  rendezvous_init (&race.meeting, 2, N_ROUNDS);
  ck_assert_int_eq (pthread_create (&thread, NULL, run_the_other, &race), 0);
  run_scene (take_and_wait_each_time, &race);
  pthread_join (thread, NULL);
}
END_TEST

static Suite *
fd_races_suite (void)
{
  Suite *suite = suite_create ("fd-races");
  TCase *races = morrow_check_add_case (suite, "races");

  tcase_add_loop_test (races, close_cancel_and_data_from_another_thread_end_a_wait, 0, 2);
  tcase_add_test (races, close_cancel_and_data_end_a_wait_on_a_loop_that_takes_the_descriptor_from_another);

  return suite;
}

MORROW_CHECK_MAIN (fd_races_suite)
