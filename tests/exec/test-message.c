/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The messages of requests to cancel, which lie beside the tasks.
 */
#include "config.h"

#include "exec/task-private.h"

#include "base/rendezvous.h"
#include "morrow-check.h"

#include <sys/wait.h>
#include <unistd.h>

enum
{
  N_FORKS = 200
};

static gboolean
end_well (gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

static MorrowTask *
task_new (void)
{
  return (MorrowTask *) morrow_coroutine (end_well, NULL, NULL);
}

/* A coroutine that is cancelled need not be awaited. */
static void
task_drop (MorrowTask *task)
{
  morrow_future_cancel (&task->future);
  morrow_future_unref (&task->future);
}

/* Returns: whether there was one before. */
static gboolean
put (MorrowTask *task, const char *message)
{
  g_autofree char *before = morrow__task_swap_message (task, g_strdup (message));

  return before != NULL;
}

static void
assert_takes (MorrowTask *task, const char *expected)
{
  g_autofree char *message = morrow__task_swap_message (task, NULL);

  ck_assert_pstr_eq (message, expected);
  ck_assert (!(atomic_load (&task->future.aux) & MORROW_TASK_HAS_MESSAGE));
}

START_TEST (message_is_given_once)
{
  MorrowTask *task = task_new ();

  assert_takes (task, NULL);
  ck_assert (!put (task, "one"));
  assert_takes (task, "one");
  assert_takes (task, NULL);
  task_drop (task);
}
END_TEST

START_TEST (newer_message_takes_the_place_of_the_older)
{
  MorrowTask *task = task_new ();

  ck_assert (!put (task, "one"));
  ck_assert (put (task, "two"));
  assert_takes (task, "two");
  task_drop (task);
}
END_TEST

START_TEST (message_that_is_given_back_is_there_again)
{
  MorrowTask *task = task_new ();

  put (task, "one");
  morrow__task_return_message (task, morrow__task_swap_message (task, NULL));
  assert_takes (task, "one");
  morrow__task_return_message (task, NULL);
  assert_takes (task, NULL);
  task_drop (task);
}
END_TEST

START_TEST (message_that_is_given_back_gives_way_to_a_newer_one)
{
  MorrowTask *task = task_new ();
  char *taken;

  put (task, "one");
  taken = morrow__task_swap_message (task, NULL);
  put (task, "two");
  morrow__task_return_message (task, taken);
  assert_takes (task, "two");
  task_drop (task);
}
END_TEST

/* The next one has the same address, often. */
START_TEST (message_ends_with_its_task)
{
  for (guint i = 0; i < 1000; i++)
    {
      MorrowTask *task = task_new ();

      assert_takes (task, NULL);
      ck_assert (!put (task, "left over"));
      task_drop (task);
    }
}
END_TEST

/* Three tasks, each of which gets a message. Returns: whether each has it then. It takes no lock of the test's, or of GLib's. */
static gboolean
keep_messages (MorrowTask *tasks[3], const char *name)
{
  gboolean kept = TRUE;

  for (guint i = 0; i < 3; i++)
    kept = !put (tasks[i], name) && kept;
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *message = morrow__task_swap_message (tasks[i], NULL);

      kept = g_strcmp0 (message, name) == 0 && kept;
    }
  return kept;
}

/* A task that two threads ask, and what became of the messages. */
typedef struct
{
  MorrowTask *task;
  atomic_uint n_put;
  atomic_uint n_given;     /* or replaced */
  Rendezvous  rendezvous;
} Asked;

static void
ask (Asked *self, gboolean returns)
{
  g_autofree char *before = morrow__task_swap_message (self->task, g_strdup ("of one of them"));
  char *taken = morrow__task_swap_message (self->task, NULL);

  atomic_fetch_add (&self->n_put, 1);
  atomic_fetch_add (&self->n_given, before != NULL);
  if (taken != NULL)
    ck_assert_str_eq (taken, "of one of them");
  if (returns)
    {
      morrow__task_return_message (self->task, taken);
      taken = morrow__task_swap_message (self->task, NULL);
    }
  atomic_fetch_add (&self->n_given, taken != NULL);
  g_free (taken);
}

/* Another thread asks the same task, and takes nothing. */
static gpointer
follow_asking (gpointer data)
{
  Asked *self = data;

  while (rendezvous_follow (&self->rendezvous))
    {
      put (self->task, "other");
      rendezvous_meet (&self->rendezvous);
    }
  return NULL;
}

START_TEST (message_is_found_while_another_takes_its_place)
{
  Asked asked = { .task = task_new () };
  guint n_lost = 0;
  GThread *other;

  rendezvous_init (&asked.rendezvous, 2, N_RACES);
  other = g_thread_new ("other", follow_asking, &asked);
  while (rendezvous_take_round (&asked.rendezvous))
    {
      char *message;

      put (asked.task, "this");
      rendezvous_meet (&asked.rendezvous);
      message = morrow__task_swap_message (asked.task, NULL);
      n_lost += message == NULL;
      g_free (message);
      rendezvous_meet (&asked.rendezvous);
      g_free (morrow__task_swap_message (asked.task, NULL));
    }
  rendezvous_end (&asked.rendezvous);
  g_thread_join (other);
  ck_assert_uint_eq (n_lost, 0);
  task_drop (asked.task);
}
END_TEST

static gpointer
follow (gpointer data)
{
  Asked *self = data;
  MorrowTask *tasks[3] = { task_new (), task_new (), task_new () };

  while (rendezvous_follow (&self->rendezvous))
    {
      ask (self, FALSE);
      ck_assert (keep_messages (tasks, "other"));
      rendezvous_meet (&self->rendezvous);
    }
  for (guint i = 0; i < 3; i++)
    task_drop (tasks[i]);
  return NULL;
}

/* Each is taken once, unless another took its place, or came before it was given back. */
START_TEST (messages_of_two_threads_are_neither_lost_nor_mixed_up)
{
  Asked asked = { .task = task_new () };
  MorrowTask *tasks[3] = { task_new (), task_new (), task_new () };
  GThread *other;

  rendezvous_init (&asked.rendezvous, 2, N_RACES);
  other = g_thread_new ("other", follow, &asked);
  while (rendezvous_take_round (&asked.rendezvous))
    {
      rendezvous_meet (&asked.rendezvous);
      ask (&asked, asked.rendezvous.n_rounds % 2);
      ck_assert (keep_messages (tasks, "this"));
      rendezvous_meet (&asked.rendezvous);
    }
  rendezvous_end (&asked.rendezvous);
  g_thread_join (other);

  assert_takes (asked.task, NULL);
  ck_assert_uint_ge (asked.n_put, asked.n_given);
  ck_assert_uint_gt (asked.n_given, asked.n_put / 2);
  task_drop (asked.task);
  for (guint i = 0; i < 3; i++)
    task_drop (tasks[i]);
}
END_TEST

/* Another thread, which is there as the process forks. */
typedef struct
{
  MorrowTask *tasks[3];
  atomic_int  stop;
} Bystander;

static gpointer
keep_messages_until_stopped (gpointer data)
{
  Bystander *self = data;

  while (!atomic_load (&self->stop))
    keep_messages (self->tasks, "other");
  return NULL;
}

/* Not for valgrind, to which what the other thread has in its hands is a leak of the child's. */
START_TEST (child_finds_the_messages_whole_whatever_other_threads_did_with_them)
{
  MorrowTask *tasks[3] = { task_new (), task_new (), task_new () };
  Bystander bystander = { .tasks = { task_new (), task_new (), task_new () } };
  GThread *other = g_thread_new ("other", keep_messages_until_stopped, &bystander);
  guint n_forks = RUNNING_ON_VALGRIND ? 0 : N_FORKS;

  for (guint i = 0; i < n_forks; i++)
    {
      int status;
      pid_t child = fork ();

      if (child == 0)
        _exit (keep_messages (tasks, "child") ? 0 : 1);
      ck_assert_int_ge (child, 0);
      ck_assert_int_eq (waitpid (child, &status, 0), child);
      ck_assert_int_eq (status, 0);
    }
  atomic_store (&bystander.stop, TRUE);
  g_thread_join (other);
  for (guint i = 0; i < 3; i++)
    {
      task_drop (tasks[i]);
      task_drop (bystander.tasks[i]);
    }
}
END_TEST

static Suite *
message_suite (void)
{
  Suite *suite = suite_create ("message");
  TCase *one = morrow_check_add_case (suite, "one");
  TCase *threads = morrow_check_add_case (suite, "threads");

  tcase_add_test (one, message_is_given_once);
  tcase_add_test (one, newer_message_takes_the_place_of_the_older);
  tcase_add_test (one, message_that_is_given_back_is_there_again);
  tcase_add_test (one, message_that_is_given_back_gives_way_to_a_newer_one);
  tcase_add_test (one, message_ends_with_its_task);
  tcase_add_test (threads, message_is_found_while_another_takes_its_place);
  tcase_add_test (threads, messages_of_two_threads_are_neither_lost_nor_mixed_up);
  tcase_add_test (threads, child_finds_the_messages_whole_whatever_other_threads_did_with_them);
  return suite;
}

MORROW_CHECK_MAIN (message_suite)
