/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A loop as a guest: of an application's main context, whose main loop turns it beside the sources
 * of the application; and with guests of its own, other libraries' descriptors and time-outs.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <morrow/reactor.h>

#include "base/clock-private.h"
#include "exec/reactor-private.h"
#include "exec/scene.h"

/* --- beside an application's sources ----------------------------------------------------------- */

#define N_TASKS  1000
#define N_SERVED 50   /* dispatches of each source */
#define N_STEPS  20   /* yields of each task, at least */

typedef struct
{
  GMainLoop *main;
  guint      n_sources;    /* that have not been served often enough */
  guint      n_tasks;      /* that have not ended */
} House;

/* Ready each time that it is asked for the @stride th time: so sources above and beside the loop's
 * leave it the turns that it would not get by GLib's own rule. */
typedef struct
{
  GSource source;
  House  *house;
  guint   stride;
  guint   n_asked;
  guint   n_served;
} Regular;

static gboolean
regular_prepare (GSource *source, int *timeout)
{
  Regular *self = (Regular *) source;

  *timeout = 0;
  return ++self->n_asked % self->stride == 0;
}

static gboolean
regular_check (GSource *source)
{
  return FALSE;
}

static gboolean
regular_dispatch (GSource *source, GSourceFunc func, gpointer data)
{
  Regular *self = (Regular *) source;

  if (++self->n_served == N_SERVED)
    self->house->n_sources--;
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs regular_funcs = {
  .prepare = regular_prepare,
  .check = regular_check,
  .dispatch = regular_dispatch,
};

static GSource *
add_regular (House *house, int priority, guint stride)
{
  GSource *source = g_source_new (&regular_funcs, sizeof (Regular));

  ((Regular *) source)->house = house;
  ((Regular *) source)->stride = stride;
  g_source_set_priority (source, priority);
  g_source_attach (source, NULL);
  house->n_sources++;
  return source;
}

static void
remove_source (GSource *source)
{
  g_source_destroy (source);
  g_source_unref (source);
}

/* Never waits, until the sources have been served. */
static gboolean
keep_going (gpointer data, GValue *result, GError **error)
{
  House *house = data;

  for (guint i = 0; i < N_STEPS || house->n_sources > 0; i++)
    {
      if (!morrow_yield (error))
        return FALSE;
    }
  if (--house->n_tasks == 0)
    g_main_loop_quit (house->main);
  return TRUE;
}

static void
turn_main_loop (House *house)
{
  g_main_loop_run (house->main);
}

/* As some do that have no main loop: all sources are asked, and it is left at that, before each turn. */
static void
turn_while_pending (House *house)
{
  while (house->n_tasks > 0)
    {
      if (g_main_context_pending (NULL))
        g_main_context_iteration (NULL, FALSE);
    }
}

static void
keep_house (House *house, void (*turn) (House *house))
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (g_main_context_default ());
  MorrowFuture *tasks[N_TASKS];

  house->main = g_main_loop_new (NULL, FALSE);
  house->n_tasks = N_TASKS;
  for (guint i = 0; i < N_TASKS; i++)
    tasks[i] = morrow_executor_spawn (loop, morrow_coroutine (keep_going, house, NULL));

  turn (house);
  for (guint i = 0; i < N_TASKS; i++)
    {
      ck_assert_int_eq (morrow_future_get_status (tasks[i]), MORROW_FUTURE_RESOLVED);
      morrow_future_unref (tasks[i]);
    }
  ck_assert_uint_eq (house->n_sources, 0);
  ck_assert_uint_eq (house->n_tasks, 0);
  g_main_loop_unref (house->main);
}

static const int priorities[] = {
  G_PRIORITY_HIGH, G_PRIORITY_DEFAULT, G_PRIORITY_HIGH_IDLE, G_PRIORITY_DEFAULT_IDLE, G_PRIORITY_LOW
};

/* From the loop's own priority downwards a source may be ready always. */
START_TEST (source_of_any_priority_and_tasks_that_never_wait_both_go_on)
{
  House house = { 0 };
  GSource *source = add_regular (&house, priorities[_i], priorities[_i] < G_PRIORITY_DEFAULT ? 2 : 1);

  keep_house (&house, turn_main_loop);
  remove_source (source);
}
END_TEST

START_TEST (source_of_a_low_priority_goes_on_where_a_turn_is_taken_while_something_is_pending)
{
  House house = { 0 };
  GSource *source = add_regular (&house, priorities[_i], 1);

  keep_house (&house, turn_while_pending);
  remove_source (source);
}
END_TEST

START_TEST (sources_of_all_priorities_and_tasks_that_never_wait_all_go_on)
{
  House house = { 0 };
  GSource *sources[G_N_ELEMENTS (priorities)];

  for (guint i = 0; i < G_N_ELEMENTS (priorities); i++)
    sources[i] = add_regular (&house, priorities[i], 3);
  keep_house (&house, turn_main_loop);
  for (guint i = 0; i < G_N_ELEMENTS (priorities); i++)
    remove_source (sources[i]);
}
END_TEST

/* --- quiet, and gone --------------------------------------------------------------------------- */

static guint n_polls;   /* of the only thread */

static int
count_polls (GPollFD *fds, guint n_fds, int timeout)
{
  n_polls++;
  return g_poll (fds, n_fds, timeout);
}

static gboolean
quit_main (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

START_TEST (quiet_guest_does_not_wake_the_main_loop)
{
  g_autoptr (GMainLoop) main = g_main_loop_new (NULL, FALSE);
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (g_main_context_default ());
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (loop, morrow_coroutine (await_it, future, NULL));

  turn_until_idle (NULL);
  g_main_context_set_poll_func (NULL, count_polls);
  g_timeout_add (50, quit_main, main);
  g_main_loop_run (main);
  ck_assert_uint_le (n_polls, 3);

  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  turn_until_settled (NULL, task);
}
END_TEST

typedef struct
{
  MorrowFd *fd;     /* owned */
  int       peer;   /* owned */
  guint     n_polls;
} Dialogue;

static gboolean
wait_for_a_byte (gpointer data, GValue *result, GError **error)
{
  char byte;

  return morrow_fd_read (((Dialogue *) data)->fd, &byte, 1, G_MAXINT64, error) == 1;
}

/* As a synchronous call does. What comes for the loop's other tasks comes when it has ended. */
static gboolean
hold_dialogue (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GMainLoop) inner = g_main_loop_new (NULL, FALSE);
  Dialogue *self = data;

  ck_assert_int_eq (write (self->peer, "x", 1), 1);
  g_timeout_add (50, quit_main, inner);
  n_polls = 0;
  g_main_loop_run (inner);
  self->n_polls = n_polls;
  return TRUE;
}

START_TEST (main_loop_that_a_task_runs_sleeps_though_something_has_come_for_another)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (g_main_context_default ());
  g_autoptr (MorrowFuture) other = NULL;
  g_autoptr (MorrowFuture) task = NULL;
  Dialogue dialogue = { 0 };
  int ends[2];

  ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  dialogue.fd = morrow_fd_new (ends[0]);
  dialogue.peer = ends[1];
  other = morrow_executor_spawn (loop, morrow_coroutine (wait_for_a_byte, &dialogue, NULL));
  turn_until_idle (NULL);
  g_main_context_set_poll_func (NULL, count_polls);
  task = morrow_executor_spawn (loop, morrow_coroutine (hold_dialogue, &dialogue, NULL));
  while (!morrow_future_is_settled (task) || !morrow_future_is_settled (other))
    g_main_context_iteration (NULL, TRUE);
  ck_assert_uint_le (dialogue.n_polls, 3);
  ck_assert_int_eq (morrow_future_get_status (other), MORROW_FUTURE_RESOLVED);
  morrow_fd_unref (dialogue.fd);
  turn_until_idle (NULL);
  close (ends[1]);
}
END_TEST

START_TEST (guest_without_tasks_goes_with_its_last_reference)
{
  MorrowExecutor *loop = morrow_loop_new (g_main_context_default ());

  g_object_add_weak_pointer (G_OBJECT (loop), (gpointer *) &loop);
  g_object_unref (loop);
  ck_assert_ptr_null (loop);
  ck_assert (!g_main_context_iteration (NULL, FALSE));
}
END_TEST

START_TEST (guest_that_is_let_go_ends_its_tasks_first)
{
  House house = { .main = g_main_loop_new (NULL, FALSE), .n_tasks = 3 };
  MorrowExecutor *loop = morrow_loop_new (g_main_context_default ());

  g_object_add_weak_pointer (G_OBJECT (loop), (gpointer *) &loop);
  for (guint i = 0; i < 3; i++)
    morrow_future_unref (morrow_executor_spawn (loop, morrow_coroutine (keep_going, &house, NULL)));
  g_object_unref (loop);
  ck_assert_ptr_nonnull (loop);

  g_main_loop_run (house.main);
  ck_assert_uint_eq (house.n_tasks, 0);
  turn_until_idle (NULL);
  ck_assert_ptr_null (loop);
  g_main_loop_unref (house.main);
}
END_TEST

START_TEST (loop_tells_the_context_that_it_was_made_for)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (context);

  ck_assert_ptr_eq (morrow_loop_get_context (MORROW_LOOP (loop)), context);
}
END_TEST

SCENE (context_of_a_loop_is_the_default_of_its_thread)
{
  ck_assert_ptr_eq (morrow_loop_get_context (morrow_loop_get_current ()), g_main_context_get_thread_default ());
  return TRUE;
}

/* --- two guests of one context ----------------------------------------------------------------- */

/* Each turns the context inside the other: a callback of the first, a callback or a task of the second, then the first. */
typedef struct
{
  MorrowExecutor *first;
  MorrowExecutor *second;
  gboolean        second_in_task;
  gboolean        first_over;      /* the first's task has ended */
  gboolean        second_over;
} Guests;

static gboolean
sleep_at_home (gpointer data, GValue *result, GError **error)
{
  Guests *self = data;

  for (guint i = 0; i < 3; i++)
    {
      ck_assert_ptr_eq (morrow_executor_get_current (), self->first);
      ck_assert (morrow_await (morrow_sleep (0.001), error));
    }
  ck_assert_ptr_eq (morrow_executor_get_current (), self->first);
  self->first_over = TRUE;
  return TRUE;
}

static void
turn_inside_the_second (gpointer data)
{
  Guests *self = data;

  morrow_future_unref (morrow_executor_spawn (self->first, morrow_coroutine (sleep_at_home, self, NULL)));
  while (!self->first_over)
    g_main_context_iteration (NULL, TRUE);
  ck_assert_ptr_eq (morrow_executor_get_current (), self->second);
  self->second_over = TRUE;
}

static gboolean
turn_inside_a_task_of_the_second (gpointer data, GValue *result, GError **error)
{
  turn_inside_the_second (data);
  return TRUE;
}

static void
turn_inside_the_first (gpointer data)
{
  Guests *self = data;

  if (self->second_in_task)
    morrow_future_unref (morrow_executor_spawn (self->second, morrow_coroutine (turn_inside_a_task_of_the_second, self, NULL)));
  else
    morrow_executor_submit (self->second, turn_inside_the_second, self, NULL);
  while (!self->second_over)
    g_main_context_iteration (NULL, TRUE);
  ck_assert_ptr_eq (morrow_executor_get_current (), self->first);
}

START_TEST (guests_that_turn_the_context_inside_each_other_stay_apart)
{
  g_autoptr (MorrowExecutor) first = morrow_loop_new (g_main_context_default ());
  g_autoptr (MorrowExecutor) second = morrow_loop_new (g_main_context_default ());
  Guests guests = { .first = first, .second = second, .second_in_task = _i };

  morrow_executor_submit (first, turn_inside_the_first, &guests, NULL);
  while (!guests.second_over)
    g_main_context_iteration (NULL, TRUE);
  turn_until_idle (NULL);
  ck_assert_ptr_null (morrow_executor_get_current ());
}
END_TEST

/* --- descriptors ------------------------------------------------------------------------------- */

typedef struct _Eye Eye;

struct _Eye
{
  MorrowFdWatch *watch;    /* NULL when it was freed */
  int            ends[2];  /* connected: the first is watched */
  guint          n;        /* calls */
  Eye           *other;    /* whose watch is freed too, or asked for nothing; or NULL */
};

/* Has its end readable, too. */
static void
eye_open (Eye *self, GIOCondition condition, MorrowFdFunc func)
{
  *self = (Eye) { 0 };
  ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, self->ends), 0);
  ck_assert_int_eq (write (self->ends[1], "x", 1), 1);
  self->watch = morrow_fd_watch_new (morrow_loop_get_current (), self->ends[0], condition, func, self);
  ck_assert_ptr_nonnull (self->watch);
}

static void
eye_close (Eye *self)
{
  g_clear_pointer (&self->watch, morrow_fd_watch_free);
  close (self->ends[0]);
  close (self->ends[1]);
}

/* Long enough for the loop to have looked at all that is ready. */
static void
let_turn (void)
{
  for (guint i = 0; i < 5; i++)
    ck_assert (morrow_await (morrow_sleep (0.001), NULL));
}

static void
free_at_the_third (int fd, GIOCondition condition, gpointer data)
{
  Eye *self = data;

  ck_assert_int_eq (fd, self->ends[0]);
  if (++self->n == 3)
    g_clear_pointer (&self->watch, morrow_fd_watch_free);
}

SCENE (watch_is_called_while_the_descriptor_is_ready_until_it_is_freed)
{
  Eye eye;

  eye_open (&eye, G_IO_IN, free_at_the_third);
  let_turn ();
  ck_assert_uint_eq (eye.n, 3);
  eye_close (&eye);
  return TRUE;
}

static void
free_both (int fd, GIOCondition condition, gpointer data)
{
  Eye *self = data;

  self->n++;
  g_clear_pointer (&self->other->watch, morrow_fd_watch_free);
  g_clear_pointer (&self->watch, morrow_fd_watch_free);
}

SCENE (watch_that_another_ones_callback_freed_is_not_called)
{
  Eye one, two;

  eye_open (&one, G_IO_IN, free_both);
  eye_open (&two, G_IO_IN, free_both);
  one.other = &two;
  two.other = &one;
  let_turn ();
  ck_assert_uint_eq (one.n + two.n, 1);
  eye_close (&one);
  eye_close (&two);
  return TRUE;
}

/* What it frees is behind it in the events of the outer turn, whose main loop is run here. */
static void
free_both_and_turn (int fd, GIOCondition condition, gpointer data)
{
  free_both (fd, condition, data);
  for (guint i = 0; i < 3; i++)
    g_main_context_iteration (g_main_context_get_thread_default (), FALSE);
}

SCENE (watch_that_a_callback_freed_before_it_ran_a_main_loop_is_not_called)
{
  Eye one, two;

  eye_open (&one, G_IO_IN, free_both_and_turn);
  eye_open (&two, G_IO_IN, free_both_and_turn);
  one.other = &two;
  two.other = &one;
  let_turn ();
  ck_assert_uint_eq (one.n + two.n, 1);
  eye_close (&one);
  eye_close (&two);
  return TRUE;
}

/* Its other one is ready as well. */
static void
take_and_turn_until_other_is_called (int fd, GIOCondition condition, gpointer data)
{
  Eye *self = data;
  char byte;

  self->n++;
  ck_assert_int_eq (recv (fd, &byte, 1, MSG_DONTWAIT), 1);
  while (self->other->n == 0)
    g_main_context_iteration (g_main_context_get_thread_default (), FALSE);
}

SCENE (watch_that_was_called_in_a_main_loop_of_another_ones_callback_is_not_called_for_the_same_again)
{
  Eye one, two;

  eye_open (&one, G_IO_IN, take_and_turn_until_other_is_called);
  eye_open (&two, G_IO_IN, take_and_turn_until_other_is_called);
  one.other = &two;
  two.other = &one;
  let_turn ();
  ck_assert_uint_eq (one.n, 1);
  ck_assert_uint_eq (two.n, 1);
  eye_close (&one);
  eye_close (&two);
  return TRUE;
}

/* A watch whose callback runs a main loop until something has settled. */
typedef struct
{
  Eye           eye;
  MorrowFuture *awaited;   /* NULL for a sleep that begins there */
} Nested;

static void
turn_until_awaited (int fd, GIOCondition condition, gpointer data)
{
  Nested *self = data;
  g_autoptr (MorrowFuture) sleep = self->awaited == NULL ? morrow_sleep (0.001) : NULL;
  char byte;

  self->eye.n++;
  ck_assert_int_eq (read (fd, &byte, 1), 1);
  turn_until_settled (g_main_context_get_thread_default (), sleep != NULL ? sleep : self->awaited);
}

static gboolean
read_a_byte (gpointer data, GValue *result, GError **error)
{
  char byte;

  return morrow_fd_read (data, &byte, 1, G_MAXINT64, error) == 1;
}

/* Both are told of by the same look, the watch first. */
SCENE (task_goes_on_in_a_main_loop_of_a_watch_that_is_ready_beside_what_it_waits_for)
{
  Nested nested = { 0 };
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (MorrowFuture) reader = NULL;
  int ends[2];

  ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  fd = morrow_fd_new (ends[0]);
  reader = morrow_spawn (read_a_byte, fd, NULL);
  let_turn ();   /* it waits, and the set has nothing new to tell */
  eye_open (&nested.eye, G_IO_IN, turn_until_awaited);
  nested.awaited = reader;
  ck_assert_int_eq (write (ends[1], "x", 1), 1);
  let_turn ();
  ck_assert_uint_eq (nested.eye.n, 1);
  await_ok (reader);
  eye_close (&nested.eye);
  close (ends[1]);
  return TRUE;
}

/* Likewise. */
SCENE (sleep_ends_in_a_main_loop_of_a_watch_that_is_ready_as_a_time_has_come)
{
  Nested nested = { 0 };
  MorrowLoop *loop = morrow_loop_get_current ();
  struct pollfd timer = { .fd = loop->timer_fd, .events = POLLIN };

  eye_open (&nested.eye, G_IO_IN, turn_until_awaited);
  morrow__reactor_arm_timer_fd (loop, morrow__clock_now ());
  ck_assert_int_eq (poll (&timer, 1, -1), 1);
  let_turn ();
  ck_assert_uint_eq (nested.eye.n, 1);
  eye_close (&nested.eye);
  return TRUE;
}

/* A child has the same set, but is not to change what its parent watches for. */
static void
forget_in_child (Eye *self)
{
  pid_t child = fork ();
  int status;

  if (child == 0)
    {
      morrow_fd_watch_set_condition (self->watch, 0);
      morrow_fd_watch_free (self->watch);
      morrow_check_end_child (0);
    }
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert (WIFEXITED (status) && WEXITSTATUS (status) == 0);
}

SCENE (watch_that_a_forked_child_freed_is_still_called)
{
  Eye eye;

  eye_open (&eye, G_IO_IN, free_at_the_third);
  forget_in_child (&eye);
  let_turn ();
  ck_assert_uint_eq (eye.n, 3);
  eye_close (&eye);
  return TRUE;
}

/* And asks for nothing more. */
static void
say_condition (int fd, GIOCondition condition, gpointer data)
{
  say ("%s%s%s", condition & G_IO_IN ? "in" : "", condition & G_IO_OUT ? "out" : "", condition & G_IO_HUP ? "hup" : "");
  morrow_fd_watch_set_condition (((Eye *) data)->watch, 0);
}

SCENE (watch_is_called_for_the_condition_that_was_set_last)
{
  Eye eye;

  eye_open (&eye, 0, say_condition);
  let_turn ();
  assert_said ("");
  morrow_fd_watch_set_condition (eye.watch, G_IO_OUT);
  let_turn ();
  assert_said ("out");
  morrow_fd_watch_set_condition (eye.watch, G_IO_IN | G_IO_OUT);
  let_turn ();
  assert_said ("inout");
  eye_close (&eye);
  return TRUE;
}

/* What has come for the other has been taken from the system by now. */
static void
say_for_both (int fd, GIOCondition condition, gpointer data)
{
  morrow_fd_watch_set_condition (((Eye *) data)->other->watch, 0);
  say_condition (fd, condition, data);
}

SCENE (watch_is_not_called_for_what_another_ones_callback_has_ruled_out)
{
  Eye one, two;

  eye_open (&one, G_IO_IN, say_for_both);
  eye_open (&two, G_IO_IN, say_for_both);
  one.other = &two;
  two.other = &one;
  let_turn ();
  assert_said ("in");
  eye_close (&one);
  eye_close (&two);
  return TRUE;
}

static void
expect_hang_up (int fd, GIOCondition condition, gpointer data)
{
  ck_assert (condition & G_IO_HUP);
  free_at_the_third (fd, condition, data);
}

SCENE (watch_for_nothing_hears_of_a_hang_up)
{
  Eye eye;

  eye_open (&eye, 0, expect_hang_up);
  close (eye.ends[1]);
  let_turn ();
  ck_assert_uint_eq (eye.n, 3);
  close (eye.ends[0]);
  return TRUE;
}

SCENE (closed_descriptor_cannot_be_watched)
{
  int ends[2];

  ck_assert_int_eq (pipe (ends), 0);
  close (ends[0]);
  close (ends[1]);
  ck_assert_ptr_null (morrow_fd_watch_new (morrow_loop_get_current (), ends[0], G_IO_IN, free_both, NULL));
  ck_assert_int_eq (errno, EBADF);
  return TRUE;
}

SCENE (watch_of_a_closed_descriptor_can_be_freed_and_its_number_watched_again)
{
  for (guint i = 0; i < 3; i++)
    {
      Eye eye;

      eye_open (&eye, 0, free_at_the_third);
      close (eye.ends[0]);
      close (eye.ends[1]);
      g_clear_pointer (&eye.watch, morrow_fd_watch_free);

      eye_open (&eye, G_IO_IN, free_at_the_third);
      let_turn ();
      ck_assert_uint_eq (eye.n, 3);
      eye_close (&eye);
    }
  return TRUE;
}

/* --- time-outs --------------------------------------------------------------------------------- */

typedef struct
{
  MorrowTimeout *timeout;
  guint          n;         /* calls */
  guint          n_wanted;  /* it is set again until then */
  gint64         delay;     /* microseconds from then */
  gboolean       inside;    /* a call that sets it */
} Alarm;

static void
alarm_set (Alarm *self)
{
  self->inside = TRUE;
  morrow_timeout_set (self->timeout, g_get_monotonic_time () + self->delay);
  self->inside = FALSE;
}

static void
ring (gpointer data)
{
  Alarm *self = data;

  ck_assert (!self->inside);
  if (++self->n < self->n_wanted)
    alarm_set (self);
}

static void
ring_once (gpointer data)
{
  Alarm *self = data;

  self->n++;
  g_clear_pointer (&self->timeout, morrow_timeout_free);
}

static void
alarm_init (Alarm *self, MorrowWorkFunc func, guint n_wanted, gint64 delay)
{
  *self = (Alarm) { .n_wanted = n_wanted, .delay = delay };
  self->timeout = morrow_timeout_new (morrow_loop_get_current (), func, self);
}

/* Set: so many calls come, and no more. */
static void
expect_rings (Alarm *self, guint n)
{
  alarm_set (self);
  ck_assert_uint_eq (self->n, 0);
  while (self->n < n)
    ck_assert (morrow_await (morrow_sleep (0.001), NULL));
  let_turn ();
  ck_assert_uint_eq (self->n, n);
  g_clear_pointer (&self->timeout, morrow_timeout_free);
}

SCENE (timeout_that_was_not_set_is_not_called)
{
  Alarm alarm;

  alarm_init (&alarm, ring, 1, 0);
  let_turn ();
  ck_assert_uint_eq (alarm.n, 0);
  morrow_timeout_free (alarm.timeout);
  return TRUE;
}

SCENE (timeout_is_called_once_and_not_early)
{
  gint64 begin = g_get_monotonic_time ();
  Alarm alarm;

  alarm_init (&alarm, ring, 1, 2000);
  expect_rings (&alarm, 1);
  ck_assert_int_ge (g_get_monotonic_time () - begin, 2000);
  return TRUE;
}

SCENE (timeout_set_in_the_past_is_called_on_the_next_turn_not_inside)
{
  Alarm alarm;

  alarm_init (&alarm, ring, 1, -G_USEC_PER_SEC);
  expect_rings (&alarm, 1);
  return TRUE;
}

SCENE (timeout_set_again_inside_its_callback_is_called_again)
{
  Alarm alarm;

  alarm_init (&alarm, ring, 3, 500);
  expect_rings (&alarm, 3);
  return TRUE;
}

static void
ring_until_unset (gpointer data)
{
  ((Alarm *) data)->n++;
  alarm_set (data);
}

/* The task that unsets it gets its turns. */
SCENE (timeout_that_always_sets_itself_in_the_past_does_not_hold_up_the_loop)
{
  Alarm alarm;

  alarm_init (&alarm, ring_until_unset, 0, -G_USEC_PER_SEC);
  alarm_set (&alarm);
  let_turn ();
  ck_assert_uint_gt (alarm.n, 1);
  morrow_timeout_free (alarm.timeout);
  return TRUE;
}

SCENE (timeout_that_was_set_twice_is_called_for_the_last_time_only)
{
  Alarm alarm;

  alarm_init (&alarm, ring, 1, G_USEC_PER_SEC * (gint64) 1000);
  alarm_set (&alarm);
  alarm.delay = 1000;
  expect_rings (&alarm, 1);
  return TRUE;
}

SCENE (timeout_that_was_unset_is_not_called)
{
  Alarm alarm;

  alarm_init (&alarm, ring, 1, 0);
  morrow_timeout_unset (alarm.timeout);
  alarm_set (&alarm);
  morrow_timeout_unset (alarm.timeout);
  morrow_timeout_unset (alarm.timeout);
  let_turn ();
  ck_assert_uint_eq (alarm.n, 0);
  morrow_timeout_free (alarm.timeout);
  return TRUE;
}

SCENE (timeout_may_be_freed_inside_its_callback)
{
  Alarm alarm;

  alarm_init (&alarm, ring_once, 1, 0);
  expect_rings (&alarm, 1);
  return TRUE;
}

/* --- time-outs of a guest ---------------------------------------------------------------------- */

enum
{
  N_DUE = 10
};

typedef struct
{
  MorrowTimeout *timeouts[N_DUE];
  guint          n;             /* calls */
  guint          n_idle;        /* of an idle source, since the last of them */
  gint64         due;
} Dear;

static void
take_long (gpointer data)
{
  Dear *self = data;

  morrow__clock_advance (1000);   /* all the time that a dispatch has */
  ck_assert (self->n == 0 || self->n_idle > 0);
  self->n++;
  self->n_idle = 0;
}

static gboolean
count_idle (gpointer data)
{
  ((Dear *) data)->n_idle++;
  return G_SOURCE_CONTINUE;
}

static gboolean
set_all (gpointer data, GValue *result, GError **error)
{
  Dear *self = data;

  for (guint i = 0; i < N_DUE; i++)
    {
      self->timeouts[i] = morrow_timeout_new (morrow_loop_get_current (), take_long, self);
      morrow_timeout_set (self->timeouts[i], self->due);
    }
  return TRUE;
}

/* A time-out that is always due, and takes three times as long as the time between two looks. */
typedef struct
{
  MorrowTimeout *timeout;
  guint          n_calls;
  guint          n_steps;   /* of a task */
} Pace;

static void
take_long_again (gpointer data)
{
  Pace *self = data;

  morrow__clock_advance (300);
  self->n_calls++;
  morrow_timeout_set (self->timeout, 0);
}

static gboolean
step_beside_a_timeout (gpointer data, GValue *result, GError **error)
{
  Pace *self = data;

  self->timeout = morrow_timeout_new (morrow_loop_get_current (), take_long_again, self);
  morrow_timeout_set (self->timeout, 0);
  while (self->n_calls < 100)
    {
      self->n_steps++;
      morrow__clock_advance (1);
      if (!morrow_yield (error))
        return FALSE;
    }
  morrow_timeout_free (self->timeout);
  return TRUE;
}

START_TEST (tasks_beside_a_dear_timeout_have_a_batch_for_each_of_its_calls)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (_i == 0 ? g_main_context_default () : NULL);
  GMainContext *context = morrow_loop_get_context (MORROW_LOOP (loop));
  g_autoptr (MorrowFuture) task = NULL;
  Pace pace = { 0 };

  morrow__clock_set_virtual (TRUE);
  if (_i == 0)
    {
      task = morrow_executor_spawn (loop, morrow_coroutine (step_beside_a_timeout, &pace, NULL));
      turn_until_settled (context, task);
    }
  else
    {
      ck_assert (morrow_run_on (loop, morrow_coroutine (step_beside_a_timeout, &pace, NULL), NULL, NULL));
    }
  morrow__clock_set_virtual (FALSE);
  ck_assert_uint_ge (pace.n_steps, 99 * 64);
}
END_TEST

/* Cheap jobs in a turn inside of a callback, and dear ones that are ready when that comes back. */
typedef struct
{
  MorrowExecutor *loop;
  guint           n_cheap;
  guint           n_dear;
  guint           n_in_a_row;
  guint           n_most;       /* dear ones between two calls of an idle source */
} Rows;

static void
do_little (gpointer data)
{
  ((Rows *) data)->n_cheap++;
}

static void
do_much (gpointer data)
{
  Rows *self = data;

  morrow__clock_advance (900);   /* nearly all the time that a dispatch has */
  self->n_dear++;
  self->n_in_a_row++;
  self->n_most = MAX (self->n_most, self->n_in_a_row);
}

static void
turn_and_leave_much (gpointer data)
{
  Rows *self = data;

  for (guint i = 0; i < 20; i++)
    morrow_executor_submit (self->loop, do_little, self, NULL);
  while (self->n_cheap < 20)
    g_main_context_iteration (NULL, FALSE);
  for (guint i = 0; i < 15; i++)
    morrow_executor_submit (self->loop, do_much, self, NULL);
}

static gboolean
end_row (gpointer data)
{
  ((Rows *) data)->n_in_a_row = 0;
  return G_SOURCE_CONTINUE;
}

START_TEST (dispatch_is_short_after_a_callback_that_has_turned_the_context)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (g_main_context_default ());
  Rows rows = { .loop = loop };
  guint idle = g_idle_add (end_row, &rows);

  morrow__clock_set_virtual (TRUE);
  morrow_executor_submit (loop, turn_and_leave_much, &rows, NULL);
  while (rows.n_dear < 15)
    g_main_context_iteration (NULL, FALSE);
  morrow__clock_set_virtual (FALSE);
  ck_assert_uint_le (rows.n_most, 2);
  g_source_remove (idle);
}
END_TEST

/* Some are due at once; others have to move from where the timers of a whole stretch of time wait, which takes steps
 * that cost little. */
START_TEST (timeouts_that_take_long_leave_other_sources_a_turn_between_each_other)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (g_main_context_default ());
  Dear dear = { .n = 0, .due = 0 };
  guint idle = g_idle_add (count_idle, &dear);
  g_autoptr (MorrowFuture) task = NULL;

  morrow__clock_set_virtual (TRUE);
  if (_i == 1)
    dear.due = morrow__clock_now () + G_USEC_PER_SEC;
  task = morrow_executor_spawn (loop, morrow_coroutine (set_all, &dear, NULL));
  while (morrow_future_get_status (task) == MORROW_FUTURE_PENDING)
    g_main_context_iteration (NULL, FALSE);
  ck_assert_int_eq (morrow_future_get_status (task), MORROW_FUTURE_RESOLVED);
  morrow__clock_advance (2 * G_USEC_PER_SEC);
  while (dear.n < N_DUE)
    g_main_context_iteration (NULL, FALSE);
  morrow__clock_set_virtual (FALSE);

  for (guint i = 0; i < N_DUE; i++)
    morrow_timeout_free (dear.timeouts[i]);
  g_source_remove (idle);
}
END_TEST

/* --- waits of the application's ------------------------------------------------------------------------ */

typedef struct
{
  MorrowExecutor *executor;
  gboolean        done;
  GError         *error;   /* owned: of the wait */
} Handler;

static gboolean
return_at_once (gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

static gboolean
wait_for_a_task (gpointer data)
{
  Handler *self = data;
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (self->executor, morrow_coroutine (return_at_once, NULL, NULL));

  ck_assert (morrow_future_wait (task, &self->error) == (self->error == NULL));
  self->done = TRUE;
  return G_SOURCE_REMOVE;
}

static void
wait_in_a_handler (Handler *self)
{
  g_idle_add (wait_for_a_task, self);
  while (!self->done)
    g_main_context_iteration (NULL, TRUE);
}

START_TEST (rct_07_wait_in_a_handler_of_the_main_loop_of_a_guest_is_refused)
{
  Handler self = { .executor = morrow_loop_new (g_main_context_default ()) };

  wait_in_a_handler (&self);
  assert_error (self.error, MORROW_ERROR, MORROW_ERROR_WOULD_BLOCK_LOOP);
  g_error_free (self.error);
  g_object_unref (self.executor);
  while (g_main_context_iteration (NULL, FALSE))
    continue;   /* until the task has ended, which keeps its loop */
}
END_TEST

START_TEST (wait_in_a_handler_of_a_main_loop_without_a_guest_lasts_until_it_is_over)
{
  Handler self = { .executor = morrow_loop_pool_new (1) };

  wait_in_a_handler (&self);
  assert_no_error (self.error);
  g_object_unref (self.executor);
}
END_TEST

static Suite *
make_suite (void)
{
  Suite *suite = suite_create ("guest");
  TCase *beside = morrow_check_add_case (suite, "beside");
  TCase *life = morrow_check_add_case (suite, "life");
  TCase *guests = morrow_check_add_case (suite, "guests");
  TCase *watches = morrow_check_add_case (suite, "watches");
  TCase *timeouts = morrow_check_add_case (suite, "timeouts");

  tcase_add_loop_test (beside, source_of_any_priority_and_tasks_that_never_wait_both_go_on, 0, G_N_ELEMENTS (priorities));
  tcase_add_loop_test (beside, source_of_a_low_priority_goes_on_where_a_turn_is_taken_while_something_is_pending, 2,
                       G_N_ELEMENTS (priorities));
  tcase_add_test (beside, sources_of_all_priorities_and_tasks_that_never_wait_all_go_on);

  tcase_add_test (life, quiet_guest_does_not_wake_the_main_loop);
  tcase_add_test (life, main_loop_that_a_task_runs_sleeps_though_something_has_come_for_another);
  tcase_add_test (life, guest_without_tasks_goes_with_its_last_reference);
  tcase_add_test (life, rct_07_wait_in_a_handler_of_the_main_loop_of_a_guest_is_refused);
  tcase_add_test (life, wait_in_a_handler_of_a_main_loop_without_a_guest_lasts_until_it_is_over);
  tcase_add_test (life, guest_that_is_let_go_ends_its_tasks_first);
  tcase_add_test (life, loop_tells_the_context_that_it_was_made_for);
  tcase_add_test (life, context_of_a_loop_is_the_default_of_its_thread);

  tcase_add_loop_test (guests, guests_that_turn_the_context_inside_each_other_stay_apart, 0, 2);

  tcase_add_test (watches, watch_is_called_while_the_descriptor_is_ready_until_it_is_freed);
  tcase_add_test (watches, watch_that_another_ones_callback_freed_is_not_called);
  tcase_add_test (watches, watch_that_a_callback_freed_before_it_ran_a_main_loop_is_not_called);
  tcase_add_test (watches, watch_that_was_called_in_a_main_loop_of_another_ones_callback_is_not_called_for_the_same_again);
  tcase_add_test (watches, task_goes_on_in_a_main_loop_of_a_watch_that_is_ready_beside_what_it_waits_for);
  tcase_add_test (watches, sleep_ends_in_a_main_loop_of_a_watch_that_is_ready_as_a_time_has_come);
  tcase_add_test (watches, watch_that_a_forked_child_freed_is_still_called);
  tcase_add_test (watches, watch_is_called_for_the_condition_that_was_set_last);
  tcase_add_test (watches, watch_is_not_called_for_what_another_ones_callback_has_ruled_out);
  tcase_add_test (watches, watch_for_nothing_hears_of_a_hang_up);
  tcase_add_test (watches, closed_descriptor_cannot_be_watched);
  tcase_add_test (watches, watch_of_a_closed_descriptor_can_be_freed_and_its_number_watched_again);

  tcase_add_test (timeouts, timeout_that_was_not_set_is_not_called);
  tcase_add_test (timeouts, timeout_is_called_once_and_not_early);
  tcase_add_test (timeouts, timeout_set_in_the_past_is_called_on_the_next_turn_not_inside);
  tcase_add_test (timeouts, timeout_set_again_inside_its_callback_is_called_again);
  tcase_add_test (timeouts, timeout_that_always_sets_itself_in_the_past_does_not_hold_up_the_loop);
  tcase_add_test (timeouts, timeout_that_was_set_twice_is_called_for_the_last_time_only);
  tcase_add_test (timeouts, timeout_that_was_unset_is_not_called);
  tcase_add_test (timeouts, timeout_may_be_freed_inside_its_callback);
  tcase_add_loop_test (timeouts, timeouts_that_take_long_leave_other_sources_a_turn_between_each_other, 0, 2);
  tcase_add_loop_test (timeouts, tasks_beside_a_dear_timeout_have_a_batch_for_each_of_its_calls, 0, 2);
  tcase_add_test (timeouts, dispatch_is_short_after_a_callback_that_has_turned_the_context);

  return suite;
}

MORROW_CHECK_MAIN (make_suite)
