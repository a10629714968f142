/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a loop waits: what wakes it, and who else is served on its context meanwhile.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <glib-unix.h>

#include "exec/loop-private.h"
#include "exec/scene.h"

#ifdef HAVE_EPOLL_PWAIT2
static guint n_short_waits;    /* the test's thread: calls of epoll_pwait2 () */
static int   no_short_waits;   /* the test's thread: how that fails, as errno has it, else 0 */

int __real_epoll_pwait2 (int epoll_fd, struct epoll_event *events, int n, const struct timespec *timeout, const sigset_t *mask);
int __wrap_epoll_pwait2 (int epoll_fd, struct epoll_event *events, int n, const struct timespec *timeout, const sigset_t *mask);

int
__wrap_epoll_pwait2 (int epoll_fd, struct epoll_event *events, int n, const struct timespec *timeout, const sigset_t *mask)
{
  if (no_short_waits == 0)
    return __real_epoll_pwait2 (epoll_fd, events, n, timeout, mask);

  n_short_waits++;
  errno = no_short_waits;
  return -1;
}
#endif

/* --- the context's other sources --------------------------------------------------------------- */

typedef struct
{
  guint          n;         /* how often a source was called */
  guint          n_wanted;  /* after how many calls it is enough */
  MorrowPromise *enough;    /* owned until then */
  int            pipe[2];
} Served;

static gboolean
serve (gpointer data)
{
  Served *self = data;

  self->n++;
  if (self->n < self->n_wanted)
    return G_SOURCE_CONTINUE;

  morrow_promise_resolve (self->enough);
  g_clear_pointer (&self->enough, morrow_promise_unref);
  return G_SOURCE_REMOVE;
}

static gboolean
serve_fd (int fd, GIOCondition condition, gpointer data)
{
  char byte;

  ck_assert_int_eq (read (fd, &byte, 1), 1);
  return serve (data);
}

static MorrowFuture *
begin_to_serve (Served *self, guint n_wanted)
{
  *self = (Served) { .n_wanted = n_wanted };
  return new_pending (&self->enough);
}

static void
attach (GSource *source, GSourceFunc func, gpointer data)
{
  g_source_set_callback (source, func, data, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  g_source_unref (source);
}

static gboolean
stay_busy (gpointer data, GValue *result, GError **error)
{
  while (!morrow_future_is_settled (data))
    {
      if (!morrow_yield (error))
        return FALSE;
    }
  return TRUE;
}

/* With tasks that never wait, or without. */
static void
wait_for_served (Served *self, MorrowFuture *enough, gboolean busy)
{
  g_autoptr (MorrowFuture) one = morrow_create_task (morrow_coroutine (busy ? stay_busy : await_it, enough, NULL));
  g_autoptr (MorrowFuture) two = morrow_create_task (morrow_coroutine (busy ? stay_busy : await_it, enough, NULL));

  await_ok (one);
  await_ok (two);
  ck_assert_uint_eq (self->n, self->n_wanted);
}

static void
serve_idle_source (gboolean busy)
{
  Served served;
  g_autoptr (MorrowFuture) enough = begin_to_serve (&served, 50);

  attach (g_idle_source_new (), serve, &served);
  wait_for_served (&served, enough, busy);
}

SCENE (idle_source_is_served_while_the_loop_has_nothing_to_do)
{
  serve_idle_source (FALSE);
  return TRUE;
}

SCENE (idle_source_is_served_beside_tasks_that_never_wait)
{
  serve_idle_source (TRUE);
  return TRUE;
}

static void
serve_timeout_source (gboolean busy)
{
  Served served;
  g_autoptr (MorrowFuture) enough = begin_to_serve (&served, 5);
  gint64 begin = g_get_monotonic_time ();

  attach (g_timeout_source_new (2), serve, &served);
  wait_for_served (&served, enough, busy);
  ck_assert_int_ge (g_get_monotonic_time () - begin, 10 * 1000);
}

SCENE (timeout_source_is_served_while_the_loop_has_nothing_to_do)
{
  serve_timeout_source (FALSE);
  return TRUE;
}

SCENE (timeout_source_is_served_beside_tasks_that_never_wait)
{
  serve_timeout_source (TRUE);
  return TRUE;
}

static void
serve_descriptor_source (gboolean busy)
{
  Served served;
  g_autoptr (MorrowFuture) enough = begin_to_serve (&served, 4);
  GSource *source;

  ck_assert_int_eq (pipe (served.pipe), 0);
  ck_assert_int_eq (write (served.pipe[1], "abcd", 4), 4);
  source = g_unix_fd_source_new (served.pipe[0], G_IO_IN);
  attach (source, G_SOURCE_FUNC (serve_fd), &served);
  wait_for_served (&served, enough, busy);
  close (served.pipe[0]);
  close (served.pipe[1]);
}

SCENE (descriptor_source_is_served_while_the_loop_has_nothing_to_do)
{
  serve_descriptor_source (FALSE);
  return TRUE;
}

SCENE (descriptor_source_is_served_beside_tasks_that_never_wait)
{
  serve_descriptor_source (TRUE);
  return TRUE;
}

typedef struct
{
  Served      served;
  MorrowLoop *loop;
} Awake;

static gboolean
serve_urgent_fd (int fd, GIOCondition condition, gpointer data)
{
  Awake *self = data;

  ck_assert (!atomic_load (&self->loop->asleep));
  return serve_fd (fd, condition, &self->served);
}

static void
serve_timeout (gpointer data)
{
  Awake *self = data;

  ck_assert (!atomic_load (&self->loop->asleep));
  serve (&self->served);
}

/* What it gives to a pool goes to who sleeps, and not to its own loop. */
SCENE (timeout_is_served_by_a_loop_that_is_awake)
{
  Awake late = { .loop = morrow_loop_get_current () };
  g_autoptr (MorrowFuture) enough = begin_to_serve (&late.served, 1);
  MorrowTimeout *timeout = morrow_timeout_new (late.loop, serve_timeout, &late);

  morrow_timeout_set (timeout, g_get_monotonic_time () + 1000);
  await_ok (enough);
  morrow_timeout_free (timeout);
  return TRUE;
}

/* Likewise. */
SCENE (descriptor_source_of_a_high_priority_is_served_by_a_loop_that_is_awake)
{
  Awake urgent = { .loop = morrow_loop_get_current () };
  g_autoptr (MorrowFuture) enough = begin_to_serve (&urgent.served, 2);
  GSource *source;

  ck_assert_int_eq (pipe (urgent.served.pipe), 0);
  ck_assert_int_eq (write (urgent.served.pipe[1], "ab", 2), 2);
  source = g_unix_fd_source_new (urgent.served.pipe[0], G_IO_IN);
  g_source_set_priority (source, G_PRIORITY_HIGH);
  attach (source, G_SOURCE_FUNC (serve_urgent_fd), &urgent);
  await_ok (enough);
  close (urgent.served.pipe[0]);
  close (urgent.served.pipe[1]);
  return TRUE;
}

/* Of a high priority, and always ready. */
typedef struct
{
  int      peer;   /* what is written to at the third call, or -1 */
  guint    n;      /* calls */
  GSource *source; /* owned */
} Urgent;

static gboolean
go_on_and_on (int fd, GIOCondition condition, gpointer data)
{
  Urgent *self = data;

  if (++self->n == 3 && self->peer >= 0)
    ck_assert_int_eq (write (self->peer, "x", 1), 1);
  return G_SOURCE_CONTINUE;
}

static void
urgent_begin (Urgent *self, int fd, int peer)
{
  *self = (Urgent) { .peer = peer, .source = g_unix_fd_source_new (fd, G_IO_IN) };
  g_source_set_priority (self->source, G_PRIORITY_HIGH);
  g_source_set_callback (self->source, G_SOURCE_FUNC (go_on_and_on), self, NULL);
  g_source_attach (self->source, g_main_context_get_thread_default ());
}

static void
urgent_end (Urgent *self)
{
  g_source_destroy (self->source);
  g_source_unref (self->source);
}

SCENE (descriptors_and_timers_are_served_beside_a_descriptor_source_of_a_high_priority_that_is_always_ready)
{
  int ready = eventfd (1, EFD_CLOEXEC), ends[2];
  g_autoptr (MorrowFd) fd = NULL;
  Urgent urgent;
  char byte;

  ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  fd = morrow_fd_new (ends[0]);
  urgent_begin (&urgent, ready, ends[1]);
  ck_assert_int_eq (morrow_fd_read (fd, &byte, 1, G_MAXINT64, error), 1);
  ck_assert (morrow_await (morrow_sleep (0.001), error));
  ck_assert_uint_ge (urgent.n, 3);
  urgent_end (&urgent);
  close (ends[1]);
  close (ready);
  return TRUE;
}

/* A descriptor that has the number of one that was watched before. */
SCENE (descriptor_source_after_descriptor_source_is_served)
{
  for (guint i = 0; i < 5; i++)
    serve_descriptor_source (FALSE);
  return TRUE;
}

/* --- the context, called by others ------------------------------------------------------------- */

typedef struct
{
  Served        served;
  GMainContext *context;
} Outside;

static gpointer
attach_later (gpointer data)
{
  Outside *self = data;
  GSource *source = g_idle_source_new ();

  g_source_set_callback (source, serve, &self->served, NULL);
  g_source_attach (source, self->context);
  g_source_unref (source);
  return NULL;
}

SCENE (source_attached_by_another_thread_wakes_the_loop)
{
  for (guint i = 0; i < 20; i++)
    {
      Outside outside = { .context = g_main_context_get_thread_default () };
      g_autoptr (MorrowFuture) enough = begin_to_serve (&outside.served, 1);
      GThread *thread = g_thread_new ("attach", attach_later, &outside);

      await_ok (enough);
      g_thread_join (thread);
    }
  return TRUE;
}

static int
count_and_poll (GPollFD *fds, guint n_fds, int timeout)
{
  say ("poll");
  return g_poll (fds, n_fds, timeout);
}

START_TEST (poll_function_of_the_user_is_the_one_that_polls)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (MorrowExecutor) loop = NULL;
  g_autofree char *said = NULL;
  g_autoptr (GError) error = NULL;

  g_main_context_set_poll_func (context, count_and_poll);
  loop = morrow_loop_new (context);
  ck_assert (morrow_run_on (loop, morrow_sleep (0.05 * morrow_check_slowness ()), NULL, &error));
  said = take_said ();
  ck_assert (g_str_has_prefix (said, "poll"));
}
END_TEST

/* --- main loops inside ------------------------------------------------------------------------- */

static gboolean
quit_soon (gpointer data, GValue *result, GError **error)
{
  gboolean ok = morrow_await (morrow_sleep (0.001), error);

  g_main_loop_quit (data);
  return ok;
}

static gboolean
run_inner_loop (gpointer data)
{
  GMainLoop *inner = g_main_loop_new (g_main_context_get_thread_default (), FALSE);
  MorrowFuture *task = morrow_create_task (morrow_coroutine (quit_soon, inner, NULL));

  g_main_loop_run (inner);
  ck_assert (morrow_future_is_settled (task));
  morrow_future_unref (task);
  g_main_loop_unref (inner);
  return serve (data);
}

SCENE (tasks_go_on_in_a_main_loop_that_a_source_runs)
{
  Served served;
  g_autoptr (MorrowFuture) enough = begin_to_serve (&served, 3);

  attach (g_idle_source_new (), run_inner_loop, &served);
  await_ok (enough);
  return TRUE;
}

static gboolean
run_inner_loop_as_work (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  run_inner_loop (data);
  return TRUE;
}

SCENE (tasks_go_on_in_a_main_loop_that_a_callback_runs)
{
  Served served;
  g_autoptr (MorrowFuture) enough = begin_to_serve (&served, 1);
  g_autoptr (MorrowFuture) now = new_int (1);
  g_autoptr (MorrowFuture) then = morrow_future_then (now, run_inner_loop_as_work, &served, NULL);

  await_ok (enough);
  return morrow_future_await (then, error);
}

static gboolean
say_what (gpointer data, GValue *result, GError **error)
{
  say ("%s", (const char *) data);
  return TRUE;
}

SCENE (task_that_iterates_the_context_does_not_run_other_tasks)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (say_what, "ran", NULL));

  for (guint i = 0; i < 10; i++)
    g_main_context_iteration (g_main_context_get_thread_default (), FALSE);
  assert_said ("");
  await_ok (task);
  assert_said ("ran");
  return TRUE;
}

/* --- sleeping ---------------------------------------------------------------------------------- */

static guint
count_sleeps (void)
{
  struct rusage usage;

  ck_assert_int_eq (getrusage (RUSAGE_THREAD, &usage), 0);
  return usage.ru_nvcsw;
}

static gpointer
resolve_much_later (gpointer data)
{
  g_usleep (100 * 1000);   /* what is measured, not what is waited for */
  morrow_promise_resolve (data);
  morrow_promise_unref (data);
  return NULL;
}

static gboolean
never (gpointer data)
{
  ck_abort_msg ("this was to come much later");
  return G_SOURCE_REMOVE;
}

SCENE (idle_loop_does_not_wake_up)
{
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) future = new_pending (&promise);
  g_autoptr (MorrowFuture) far = morrow_sleep (1000);
  GSource *source = g_timeout_source_new_seconds (1000);
  GThread *thread = g_thread_new ("later", resolve_much_later, promise);
  guint n;

  g_source_set_callback (source, never, NULL, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  n = count_sleeps ();
  await_ok (future);
  if (RUNNING_ON_VALGRIND == 0)   /* whose threads wait for each other besides */
    ck_assert_uint_le (count_sleeps () - n, 3);
  g_thread_join (thread);
  morrow_future_cancel (far);
  g_source_destroy (source);
  g_source_unref (source);
  return TRUE;
}

/* Short times and long ones are waited for by different means: they keep their order. */
SCENE (short_and_long_sleeps_end_in_their_order_and_not_early)
{
  const double seconds[] = { 0.060, 0.001, 0.055, 0.020, 0.0002 };
  const char *names[] = { "60 ms", "1 ms", "55 ms", "20 ms", "0.2 ms" };
  const guint order[] = { 4, 1, 3, 2, 0 };
  MorrowFuture *sleeps[G_N_ELEMENTS (seconds)];
  gint64 begin = g_get_monotonic_time ();

  for (guint i = 0; i < G_N_ELEMENTS (seconds); i++)
    sleeps[i] = morrow_sleep (seconds[i]);
  for (guint i = 0; i < G_N_ELEMENTS (seconds); i++)
    {
      guint this = order[i];

      await_ok (sleeps[this]);
      ck_assert_msg (g_get_monotonic_time () - begin >= seconds[this] * G_USEC_PER_SEC, "%s was early", names[this]);
      for (guint k = i + 1; k < G_N_ELEMENTS (seconds); k++)
        ck_assert_msg (!morrow_future_is_settled (sleeps[order[k]]) ||
                         g_get_monotonic_time () - begin >= seconds[order[k]] * G_USEC_PER_SEC,
                       "%s was early", names[order[k]]);
      morrow_future_unref (sleeps[this]);
    }
  return TRUE;
}

#ifdef HAVE_EPOLL_PWAIT2
static gboolean
sleep_shortly_twice (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_sleep (0.005), error) && morrow_await (morrow_sleep (0.005), error);
}

static const int refusals[] = { ENOSYS, EPERM };

/* By a kernel that does not know the call, or by a filter of calls that does not. */
START_TEST (loop_whose_short_waits_are_refused_asks_once_and_sleeps_by_other_means)
{
  no_short_waits = refusals[_i];
  run_scene (sleep_shortly_twice, NULL);
  no_short_waits = 0;
  ck_assert_uint_le (n_short_waits, 1);   /* none where another test of the process was refused */
  n_short_waits = 0;
}
END_TEST
#endif

SCENE (slp_04_sleep_after_a_cancelled_earlier_one_ends_in_time)
{
  g_autoptr (MorrowFuture) earlier = morrow_sleep (0.060);
  g_autoptr (MorrowFuture) later = morrow_sleep (0.080);
  gint64 begin = g_get_monotonic_time ();

  ck_assert (morrow_yield (NULL));
  morrow_future_cancel (earlier);
  await_ok (later);
  ck_assert_int_ge (g_get_monotonic_time () - begin, 79 * 1000);
  return TRUE;
}

enum
{
  N_READY = 100   /* more than a loop is told of at once */
};

/* Descriptors that are ready, and a time that has come. */
typedef struct
{
  MorrowFdWatch *watches[N_READY];
  int            fds[N_READY];
  MorrowPromise *due;          /* owned until it is */
  guint          n_ready;      /* descriptors that the loop has told of */
  guint          n_ready_then; /* when it was due */
} Ready;

static void
count_ready (int fd, GIOCondition condition, gpointer data)
{
  Ready *self = data;

  for (guint i = 0; i < N_READY; i++)
    {
      if (self->fds[i] == fd)
        morrow_fd_watch_set_condition (self->watches[i], 0);
    }
  self->n_ready++;
}

static void
note_ready (gpointer data)
{
  Ready *self = data;

  self->n_ready_then = self->n_ready;
  morrow_promise_resolve (self->due);
  g_clear_pointer (&self->due, morrow_promise_unref);
}

/* An eventfd that is ready, under many numbers. */
static void
watch_ready (Ready *self)
{
  for (guint i = 0; i < N_READY; i++)
    {
      self->fds[i] = i == 0 ? eventfd (1, EFD_CLOEXEC) : dup (self->fds[0]);
      ck_assert_int_ge (self->fds[i], 0);
      self->watches[i] = morrow_fd_watch_new (morrow_loop_get_current (), self->fds[i], G_IO_IN, count_ready, self);
    }
}

SCENE (what_is_ready_comes_before_a_time_that_has_come)
{
  Ready ready = { 0 };
  MorrowTimeout *timeout = morrow_timeout_new (morrow_loop_get_current (), note_ready, &ready);
  g_autoptr (MorrowFuture) due = new_pending (&ready.due);

  watch_ready (&ready);
  morrow_timeout_set (timeout, g_get_monotonic_time ());
  await_ok (due);
  ck_assert_uint_eq (ready.n_ready_then, N_READY);

  morrow_timeout_free (timeout);
  for (guint i = 0; i < N_READY; i++)
    {
      morrow_fd_watch_free (ready.watches[i]);
      close (ready.fds[i]);
    }
  return TRUE;
}

/* From which nothing can be subtracted. */
SCENE (sleep_until_the_least_of_times_ends_at_once)
{
  g_autoptr (MorrowFuture) least = morrow_sleep_until (G_MININT64);

  await_ok (least);
  return TRUE;
}

/* --- threads ----------------------------------------------------------------------------------- */

#define N_ROUNDS (2000 / morrow_check_slowness ())

typedef struct
{
  MorrowExecutor *there;       /* owned */
  guint           n_returned;  /* its thread, while a task runs there */
} Game;

static gboolean
strike (gpointer data, GValue *result, GError **error)
{
  Game *self = data;

  self->n_returned++;
  return TRUE;
}

SCENE (posts_back_and_forth_between_two_threads_are_counted_exactly)
{
  Game game = { .there = morrow_loop_pool_new (1) };

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr (MorrowFuture) task = morrow_executor_spawn (game.there, morrow_coroutine (strike, &game, NULL));

      await_ok (task);
    }
  ck_assert_uint_eq (game.n_returned, N_ROUNDS);
  g_object_unref (game.there);
  return TRUE;
}

/* Replies that come quickly are waited for by looking; sources and timers are served all the same. */
SCENE (sources_are_served_while_replies_are_looked_for)
{
  Game game = { .there = morrow_loop_pool_new (1) };
  Served served;
  g_autoptr (MorrowFuture) enough = begin_to_serve (&served, 3);

  attach (g_timeout_source_new (1), serve, &served);
  while (!morrow_future_is_settled (enough))
    {
      g_autoptr (MorrowFuture) task = morrow_executor_spawn (game.there, morrow_coroutine (strike, &game, NULL));

      await_ok (task);
    }
  ck_assert_uint_eq (served.n, 3);
  g_object_unref (game.there);
  return TRUE;
}

static gboolean
do_nothing (gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

static void
do_work (gpointer data)
{
}

/* Whether the loop waits for a reply, as far as it knows; it forgets that. */
static gboolean
has_asked (MorrowLoop *loop)
{
  gboolean asked = loop->home.has_asked;

  loop->home.has_asked = FALSE;
  return asked;
}

SCENE (loop_notes_what_it_gives_to_other_threads)
{
  MorrowLoop *here = (MorrowLoop *) morrow_loop_get_current ();
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);
  g_autoptr (MorrowExecutor) loops = morrow_loop_pool_new (1);
  g_autoptr (MorrowExecutor) threads = morrow_thread_pool_new (1);
  MorrowFuture *asked[3];

  asked[0] = morrow_spawn (do_nothing, NULL, NULL);
  await_ok (asked[0]);
  ck_assert (!has_asked (here));
  morrow_future_unref (asked[0]);

  morrow_executor_submit (loop, do_work, NULL, NULL);
  ck_assert (has_asked (here));
  asked[0] = morrow_executor_spawn (loops, morrow_coroutine (do_nothing, NULL, NULL));
  ck_assert (has_asked (here));
  asked[1] = morrow_executor_spawn (threads, morrow_coroutine (do_nothing, NULL, NULL));
  ck_assert (has_asked (here));
  asked[2] = morrow_create_task (morrow_to_thread (do_nothing, NULL, NULL));
  ck_assert (has_asked (here));
  return morrow_await (morrow_gatherv (asked, G_N_ELEMENTS (asked)), error);
}

/* Later than a spin could have been worth it: so much later that the asker knows. */
static gboolean
answer_a_sleeper (gpointer data, GValue *result, GError **error)
{
  MorrowLoop *asker = data;

  while (!atomic_load (&asker->asleep))
    sched_yield ();
  g_usleep (1000);   /* what is measured, not what is waited for */
  return TRUE;
}

/* What the one kind of waits has taught is neither used by the other kind nor lost in it: no spin is due yet in either. */
SCENE (waits_for_a_reply_teach_nothing_of_other_waits)
{
  MorrowLoop *here = (MorrowLoop *) morrow_loop_get_current ();
  g_autoptr (MorrowExecutor) there = morrow_thread_pool_new (1);
  g_autoptr (MorrowFuture) answer = NULL;

  here->spin = (MorrowSpin) { .is_brisk = TRUE, .n_to_skip = 10 };
  here->reply_spin = (MorrowSpin) { .is_brisk = TRUE, .n_to_skip = 20 };
  answer = morrow_executor_spawn (there, morrow_coroutine (answer_a_sleeper, here, NULL));
  await_ok (answer);
  ck_assert (!here->home.has_asked);
  ck_assert_uint_eq (here->spin.n_to_skip, 10);
  ck_assert_uint_lt (here->reply_spin.n_to_skip, 20);
  ck_assert (here->spin.is_brisk && !here->reply_spin.is_brisk);

  here->reply_spin = (MorrowSpin) { .is_brisk = TRUE, .n_to_skip = 20 };
  if (!morrow_await (morrow_sleep (0.001), error))
    return FALSE;
  ck_assert_uint_lt (here->spin.n_to_skip, 10);
  ck_assert_uint_eq (here->reply_spin.n_to_skip, 20);
  ck_assert (here->reply_spin.is_brisk && !here->spin.is_brisk);
  return TRUE;
}

static gboolean
ask_on_a_pool (gpointer data, GValue *result, GError **error)
{
  MorrowLoop *here = (MorrowLoop *) morrow_loop_get_current ();
  g_autoptr (MorrowExecutor) there = morrow_thread_pool_new (1);
  g_autoptr (MorrowFuture) answer = NULL;

  here->reply_spin = (MorrowSpin) { .is_brisk = TRUE, .n_to_skip = 20 };
  answer = morrow_executor_spawn (there, morrow_coroutine (answer_a_sleeper, here, NULL));
  await_ok (answer);
  ck_assert_uint_eq (here->reply_spin.n_to_skip, 20);
  ck_assert (here->reply_spin.is_brisk);
  return TRUE;
}

/* Each of its loops waits for what anybody may bring, and expects more when something has come. */
SCENE (pool_does_not_tell_waits_for_a_reply_from_others)
{
  g_autoptr (MorrowExecutor) pool = morrow_loop_pool_new (1);

  return morrow_await (morrow_executor_spawn (pool, morrow_coroutine (ask_on_a_pool, NULL, NULL)), error);
}

/* --- inside an application's main loop --------------------------------------------------------- */

static gboolean
quit_after (gpointer data, GValue *result, GError **error)
{
  for (guint i = 0; i < 3; i++)
    {
      if (!morrow_await (morrow_sleep (0.001), error) || !morrow_yield (error))
        return FALSE;
    }
  g_main_loop_quit (data);
  return TRUE;
}

START_TEST (hosted_loop_wakes_for_its_timers_and_for_work_from_inside)
{
  g_autoptr (GMainLoop) main = g_main_loop_new (NULL, FALSE);
  g_autoptr (MorrowExecutor) hosted = morrow_loop_new (g_main_context_default ());
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (hosted, morrow_coroutine (quit_after, main, NULL));

  g_main_loop_run (main);
  ck_assert (morrow_future_is_settled (task));
}
END_TEST

enum
{
  N_BURST = 1000
};

static void
count_work (gpointer data)
{
  ++*(guint *) data;
}

/* The two ends of what they post: the loop, and where its work counts. */
typedef struct
{
  MorrowExecutor *loop;
  guint           n_done;   /* the loop's thread */
} Burst;

static gpointer
post_burst (gpointer data)
{
  Burst *burst = data;

  for (guint i = 0; i < N_BURST; i++)
    morrow_executor_submit (burst->loop, count_work, &burst->n_done, NULL);
  return NULL;
}

/* A dispatch that its time limit has ended is followed by two turns for others, in which nothing of the loop's is done: after
 * the last of the work there may be these to come, and the loop does not sleep before them. */
static void
finish_burst (GMainContext *context, const Burst *burst, guint round)
{
  while (burst->n_done < round * N_BURST)
    g_main_context_iteration (context, FALSE);
  for (guint i = 0; i < MORROW_REST_TURNS; i++)
    g_main_context_iteration (context, FALSE);
}

/* A loop that is about to be polled has said that it sleeps: the descriptor that wakes it counts who rang. */
START_TEST (burst_of_posts_wakes_a_sleeping_loop_once)
{
  GMainContext *context = g_main_context_default ();
  Burst burst = { .loop = morrow_loop_new (context) };
  GPollFD fds[8];
  guint64 n_rings = 0;
  int priority, timeout, n;

  for (guint round = 1; round <= 3; round++)
    {
      ck_assert (g_main_context_acquire (context));
      ck_assert (!g_main_context_prepare (context, &priority));
      n = g_main_context_query (context, priority, &timeout, fds, G_N_ELEMENTS (fds));
      g_thread_join (g_thread_new ("burst", post_burst, &burst));
      ck_assert_int_eq (read (morrow__wakeup_fd (&((MorrowLoop *) burst.loop)->wakeup), &n_rings, sizeof n_rings), sizeof n_rings);
      ck_assert_uint_eq (n_rings, 1);
      ck_assert_int_ge (g_poll (fds, (guint) n, 0), 0);
      g_main_context_check (context, priority, fds, n);
      g_main_context_dispatch (context);
      g_main_context_release (context);
      finish_burst (context, &burst, round);
      ck_assert_uint_eq (burst.n_done, round * N_BURST);
    }
  g_object_unref (burst.loop);
}
END_TEST

/* --- what a loop is to its context ------------------------------------------------------------- */

enum
{
  N_WATCHED = 1000
};

/* What the loop has to wait for. */
typedef struct
{
  MorrowFdWatch *watches[N_WATCHED];
  MorrowTimeout *timeouts[N_WATCHED];
  MorrowFuture  *sleeps[N_WATCHED];
  int            fds[N_WATCHED];
} Crowd;

static void
never_readable (int fd, GIOCondition condition, gpointer data)
{
  ck_abort_msg ("nothing was written");
}

static void
never_due (gpointer data)
{
  ck_abort_msg ("this was to come much later");
}

static void
make_room_for_descriptors (void)
{
  struct rlimit limit;

  ck_assert_int_eq (getrlimit (RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &limit), 0);
}

static void
crowd_come (Crowd *self, int fd)
{
  for (guint i = 0; i < N_WATCHED; i++)
    {
      self->fds[i] = dup (fd);
      ck_assert_int_ge (self->fds[i], 0);
      self->watches[i] = morrow_fd_watch_new (morrow_loop_get_current (), self->fds[i], G_IO_IN, never_readable, NULL);
      self->timeouts[i] = morrow_timeout_new (morrow_loop_get_current (), never_due, NULL);
      morrow_timeout_set (self->timeouts[i], g_get_monotonic_time () + 1000 * G_USEC_PER_SEC);
      self->sleeps[i] = morrow_sleep (1000);
    }
}

static void
crowd_go (Crowd *self)
{
  for (guint i = 0; i < N_WATCHED; i++)
    {
      morrow_fd_watch_free (self->watches[i]);
      morrow_timeout_free (self->timeouts[i]);
      morrow_future_cancel (self->sleeps[i]);
      morrow_future_unref (self->sleeps[i]);
      close (self->fds[i]);
    }
}

/* How many descriptors the context polls. */
static int
count_polled (GMainContext *context)
{
  int priority, timeout, n;

  ck_assert (g_main_context_acquire (context));
  g_main_context_prepare (context, &priority);
  n = g_main_context_query (context, G_MAXINT, &timeout, NULL, 0);
  g_main_context_release (context);
  return n;
}

/* A context numbers its sources as they are attached. */
static guint
next_source_id (GMainContext *context)
{
  GSource *source = g_idle_source_new ();
  guint id = g_source_attach (source, context);

  g_source_destroy (source);
  g_source_unref (source);
  return id;
}

static gboolean
come_and_look (gpointer data, GValue *result, GError **error)
{
  GMainContext *context = data;
  guint next_id = next_source_id (context);
  int n_polled = count_polled (context), ends[2];
  g_autofree Crowd *crowd = g_new (Crowd, 1);

  make_room_for_descriptors ();
  ck_assert_int_eq (pipe (ends), 0);
  crowd_come (crowd, ends[0]);
  ck_assert (morrow_yield (NULL));
  ck_assert_int_eq (count_polled (context), n_polled);
  ck_assert_uint_eq (next_source_id (context), next_id + 1);
  crowd_go (crowd);
  close (ends[0]);
  close (ends[1]);
  return TRUE;
}

START_TEST (loop_is_one_source_whatever_it_waits_for)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (context);
  g_autoptr (GError) error = NULL;

  ck_assert (morrow_run_on (loop, morrow_coroutine (come_and_look, context, NULL), NULL, &error));
}
END_TEST

START_TEST (hosted_loop_is_one_source_whatever_it_waits_for)
{
  GMainContext *context = g_main_context_default ();
  g_autoptr (MorrowExecutor) hosted = morrow_loop_new (context);
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (hosted, morrow_coroutine (come_and_look, context, NULL));

  turn_until_settled (context, task);
  ck_assert_ptr_null (morrow_future_get_error (task));
}
END_TEST

static Suite *
make_suite (void)
{
  Suite *suite = suite_create ("reactor");
  TCase *sources = morrow_check_add_case (suite, "sources");
  TCase *inner = morrow_check_add_case (suite, "inner");
  TCase *sleeping = morrow_check_add_case (suite, "sleeping");
  TCase *threads = morrow_check_add_case (suite, "threads");
  TCase *hosted = morrow_check_add_case (suite, "hosted");
  TCase *source = morrow_check_add_case (suite, "source");

  tcase_add_test (sources, idle_source_is_served_while_the_loop_has_nothing_to_do);
  tcase_add_test (sources, idle_source_is_served_beside_tasks_that_never_wait);
  tcase_add_test (sources, timeout_source_is_served_while_the_loop_has_nothing_to_do);
  tcase_add_test (sources, timeout_source_is_served_beside_tasks_that_never_wait);
  tcase_add_test (sources, descriptor_source_is_served_while_the_loop_has_nothing_to_do);
  tcase_add_test (sources, descriptor_source_is_served_beside_tasks_that_never_wait);
  tcase_add_test (sources, timeout_is_served_by_a_loop_that_is_awake);
  tcase_add_test (sources, descriptor_source_of_a_high_priority_is_served_by_a_loop_that_is_awake);
  tcase_add_test (sources, descriptors_and_timers_are_served_beside_a_descriptor_source_of_a_high_priority_that_is_always_ready);
  tcase_add_test (sources, descriptor_source_after_descriptor_source_is_served);
  tcase_add_test (sources, source_attached_by_another_thread_wakes_the_loop);
  tcase_add_test (sources, poll_function_of_the_user_is_the_one_that_polls);

  tcase_add_test (inner, tasks_go_on_in_a_main_loop_that_a_source_runs);
  tcase_add_test (inner, tasks_go_on_in_a_main_loop_that_a_callback_runs);
  tcase_add_test (inner, task_that_iterates_the_context_does_not_run_other_tasks);

  tcase_add_test (sleeping, idle_loop_does_not_wake_up);
  tcase_add_test (sleeping, short_and_long_sleeps_end_in_their_order_and_not_early);
#ifdef HAVE_EPOLL_PWAIT2
  tcase_add_loop_test (sleeping, loop_whose_short_waits_are_refused_asks_once_and_sleeps_by_other_means, 0, G_N_ELEMENTS (refusals));
#endif
  tcase_add_test (sleeping, slp_04_sleep_after_a_cancelled_earlier_one_ends_in_time);
  tcase_add_test (sleeping, what_is_ready_comes_before_a_time_that_has_come);
  tcase_add_test (sleeping, sleep_until_the_least_of_times_ends_at_once);

  tcase_add_test (threads, posts_back_and_forth_between_two_threads_are_counted_exactly);
  tcase_add_test (threads, sources_are_served_while_replies_are_looked_for);
  tcase_add_test (threads, burst_of_posts_wakes_a_sleeping_loop_once);
  tcase_add_test (threads, loop_notes_what_it_gives_to_other_threads);
  tcase_add_test (threads, waits_for_a_reply_teach_nothing_of_other_waits);
  tcase_add_test (threads, pool_does_not_tell_waits_for_a_reply_from_others);

  tcase_add_test (hosted, hosted_loop_wakes_for_its_timers_and_for_work_from_inside);

  tcase_add_test (source, loop_is_one_source_whatever_it_waits_for);
  tcase_add_test (source, hosted_loop_is_one_source_whatever_it_waits_for);

  return suite;
}

MORROW_CHECK_MAIN (make_suite)
