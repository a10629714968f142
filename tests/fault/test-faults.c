/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the system refuses is the error of what asked for it, and of nothing else: stacks, threads,
 * descriptors; and executors in the child of a fork.  Mappings and threads pass through the
 * functions below, which fail on demand.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/lane-private.h"
#include "exec/loop-private.h"
#include "exec/models.h"
#include "exec/thread-home-private.h"
#include "fiber/overflow-private.h"

static atomic_bool stacks_fail;
static atomic_bool threads_fail;

void *__real_mmap (void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap (void *address, size_t size, int protection, int flags, int fd, off_t offset);

void *
__wrap_mmap (void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
  if ((flags & MAP_STACK) && atomic_load (&stacks_fail))
    {
      errno = ENOMEM;
      return MAP_FAILED;
    }
  return __real_mmap (address, size, protection, flags, fd, offset);
}

#ifndef MORROW_CHECK_TSAN
/* GLib is a shared library, which finds this one first, if it can be seen. */
__attribute__ ((visibility ("default"))) int
pthread_create (pthread_t *thread, const pthread_attr_t *attributes, void *(*func) (void *), void *data)
{
  int (*real) (pthread_t *, const pthread_attr_t *, void *(*) (void *), void *);

  *(void **) &real = dlsym (RTLD_NEXT, "pthread_create");
  return atomic_load (&threads_fail) ? EAGAIN : real (thread, attributes, func, data);
}
#endif

static gboolean
run_int_on (MorrowExecutor *executor, GError **error)
{
  return morrow_run_on (executor, morrow_coroutine (return_int, GINT_TO_POINTER (7), NULL), NULL, error);
}

/* --- after fork -------------------------------------------------------------------------------- */

/* What has been done of something that is given to an executor. */
typedef struct
{
  MorrowJob job;
  gboolean  was_run;
  gboolean  was_let_go;
} Given;

static void
run_given (gpointer given)
{
  ((Given *) given)->was_run = TRUE;
}

static void
let_go_given (gpointer given)
{
  ((Given *) given)->was_let_go = TRUE;
}

static void
run_given_job (MorrowJob *job, gboolean closed)
{
  (closed ? let_go_given : run_given) (job);
}

static gboolean
is_refused (const Given *given)
{
  return given->was_let_go && !given->was_run;
}

/* In the child: its exit status. */
static int
use_after_fork (MorrowExecutor *executor)
{
  g_autoptr (GError) error = NULL;
  Given work = { .was_run = FALSE };
  MorrowFuture *task;

  if (run_int_on (executor, &error) || !g_error_matches (error, MORROW_ERROR, MORROW_ERROR_FORKED))
    return 1;
  task = morrow_executor_spawn (executor, morrow_coroutine (return_int, GINT_TO_POINTER (7), NULL));
  if (!g_error_matches (morrow_future_get_error (task), MORROW_ERROR, MORROW_ERROR_FORKED))
    return 2;
  morrow_future_unref (task);
  morrow_executor_submit (executor, run_given, &work, let_go_given);
  return is_refused (&work) ? 0 : 3;
}

/* _i: the model. */
START_TEST (executor_of_the_parent_is_refused_in_the_child_and_goes_on_in_the_parent)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  GError *error = NULL;
  int status;
  pid_t child;

  ck_assert (run_int_on (executor, &error));
  child = fork ();
  ck_assert_int_ge (child, 0);
  if (child == 0)
    morrow_check_end_child (use_after_fork (executor));

  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_msg (WIFEXITED (status) && WEXITSTATUS (status) == 0, "status %x", status);
  ck_assert (run_int_on (executor, &error));
}
END_TEST

/* As when a task that goes on in the child attaches one. */
START_TEST (callback_is_let_go_in_the_child_where_its_pool_has_no_threads)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);
  Given callback = { .job.run = run_given_job };
  int status;
  pid_t child;

  ck_assert (run_int_on (pool, NULL));
  child = fork ();
  ck_assert_int_ge (child, 0);
  if (child == 0)
    {
      morrow__executor_post (pool, &callback.job);
      morrow_check_end_child (is_refused (&callback) ? 0 : 1);
    }
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_int_eq (status, 0);
}
END_TEST

START_TEST (child_of_a_fork_can_run_on_executors_of_its_own)
{
  g_autoptr (MorrowExecutor) of_the_parent = make_model (_i);
  GError *error = NULL;
  int status;
  pid_t child;

  ck_assert (run_int_on (of_the_parent, &error));
  child = fork ();
  ck_assert_int_ge (child, 0);
  if (child == 0)
    morrow_check_end_child (morrow_run (morrow_coroutine (return_int, NULL, NULL), NULL, NULL) ? 0 : 1);

  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_msg (WIFEXITED (status) && WEXITSTATUS (status) == 0, "status %x", status);
}
END_TEST

/* In the child; the last reference there. */
static int
drop_in_child (MorrowExecutor *executor)
{
  morrow_check_limit_child ();
  g_object_unref (executor);
  return morrow_run (morrow_coroutine (return_int, NULL, NULL), NULL, NULL) ? 0 : 1;
}

static void
check_child_may_drop (MorrowExecutor *executor)
{
  int status;
  pid_t child = fork ();

  ck_assert_int_ge (child, 0);
  if (child == 0)
    morrow_check_end_child (drop_in_child (executor));
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_int_eq (status, 0);
}

/* Whom a loop waits for before it closes. */
START_TEST (child_may_drop_a_loop_whoever_was_posting_to_it)
{
  MorrowExecutor *loop = morrow_loop_new (NULL);

  ck_assert (run_int_on (loop, NULL));
  atomic_fetch_add (&MORROW_LOOP (loop)->posting, 1);
  check_child_may_drop (loop);
  atomic_fetch_sub (&MORROW_LOOP (loop)->posting, 1);
  g_object_unref (loop);
}
END_TEST

/* Comes to a home as if to cancel a task there, and stays until the barrier is passed again. */
static gpointer
visit_homes (gpointer barrier)
{
  morrow__home_visit ();
  pthread_barrier_wait (barrier);
  pthread_barrier_wait (barrier);
  morrow__home_leave_visit ();
  return NULL;
}

/* At its end a loop waits for its visitors. */
START_TEST (child_ends_a_loop_whoever_was_about_to_cancel_a_task_in_its_parent)
{
  pthread_barrier_t barrier;
  GThread *visitor;
  int status;
  pid_t child;

  pthread_barrier_init (&barrier, NULL, 2);
  visitor = g_thread_new ("visitor", visit_homes, &barrier);
  pthread_barrier_wait (&barrier);
  child = fork ();
  ck_assert_int_ge (child, 0);
  if (child == 0)
    {
      morrow_check_limit_child ();
      morrow_check_end_child (morrow_run (morrow_coroutine (return_int, NULL, NULL), NULL, NULL) ? 0 : 1);
    }
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_int_eq (status, 0);
  pthread_barrier_wait (&barrier);
  g_thread_join (visitor);
  pthread_barrier_destroy (&barrier);
}
END_TEST

#ifndef MORROW_CHECK_TSAN   /* which does not know the parent's fibers in the child */

/* Before anything has been waited for: all that the loop and its context have is shared with the parent. */
static gboolean
sleep_in_child (gpointer data, GValue *result, GError **error)
{
  int status;
  pid_t child = fork ();

  ck_assert_int_ge (child, 0);
  if (child == 0)
    {
      morrow_check_limit_child ();
      morrow_check_end_child (morrow_await (morrow_sleep (0.01), NULL) ? 0 : 1);
    }

  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_msg (WIFEXITED (status) && WEXITSTATUS (status) == 0, "status %x", status);
  return morrow_await (morrow_sleep (0.01), error);
}

/* _i: 0 without more, 1 where the context watches something, and so polls by itself. */
START_TEST (task_that_forks_may_sleep_in_the_child)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (context);
  g_autoptr (GSource) source = g_unix_fd_source_new (STDERR_FILENO, 0);

  if (_i == 1)
    g_source_attach (source, context);
  run_scene_on (loop, sleep_in_child, NULL);
  g_source_destroy (source);
}
END_TEST

static void
count_release (gpointer data)
{
  ++*(guint *) data;
}

static gboolean
spawn_in_child (gpointer data, GValue *result, GError **error)
{
  guint n_released = 0;
  int status;
  pid_t child = fork ();

  ck_assert_int_ge (child, 0);
  if (child == 0)
    {
      g_autoptr (MorrowFuture) task = NULL;

      morrow_check_limit_child ();
      task = morrow_spawn (sleep_in_child, &n_released, count_release);
      morrow_check_end_child (g_error_matches (morrow_future_get_error (task), MORROW_ERROR, MORROW_ERROR_FORKED) &&
                              n_released == 1 ? 0 : 1);
    }

  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_msg (WIFEXITED (status) && WEXITSTATUS (status) == 0, "status %x", status);
  return TRUE;
}

START_TEST (task_spawned_in_the_child_of_a_task_that_forks_is_refused)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);

  run_scene_on (loop, spawn_in_child, NULL);
}
END_TEST

/* In the child what was under way is refused, and what is made there is not: there is a byte to be read. */
static gboolean
send_a_byte (gpointer data, GValue *result, GError **error)
{
  char byte;

  if (morrow_fd_send (data, "x", 1, 0, G_MAXINT64, error) == 1)
    return TRUE;
  if (morrow_fd_recv (data, &byte, 1, 0, G_MAXINT64, NULL) != 1)
    g_clear_error (error);   /* any but the one that is looked for */
  return FALSE;
}

#define N_SENDERS 4

static gboolean
are_all_refused (MorrowFuture **tasks)
{
  for (guint i = 0; i < N_SENDERS; i++)
    {
      g_autoptr (GError) error = NULL;

      if (morrow_future_await (tasks[i], &error) || !g_error_matches (error, MORROW_ERROR, MORROW_ERROR_FORKED))
        return FALSE;
    }
  return TRUE;
}

static gboolean
receive_a_byte (gpointer data, GValue *result, GError **error)
{
  char byte;

  return morrow_fd_recv (data, &byte, 1, 0, G_MAXINT64, error) == 1;
}

/* That has its place on the loop, since it has been waited for. */
static MorrowFd *
new_fd_with_place (int fd, int peer)
{
  MorrowFd *self = morrow_fd_new (fd);
  g_autoptr (MorrowFuture) task = morrow_spawn (receive_a_byte, self, NULL);

  let_run ();
  ck_assert_int_eq (write (peer, "z", 1), 1);
  await_ok (task);
  return self;
}

/* The calls have been put together, and are not made yet, when this forks. */
static gboolean
fork_beside_senders (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *tasks[N_SENDERS];
  MorrowFd *fds[N_SENDERS];
  int pairs[N_SENDERS][2], status;
  pid_t child;

  for (guint i = 0; i < N_SENDERS; i++)
    {
      ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[i]), 0);
      fds[i] = new_fd_with_place (pairs[i][0], pairs[i][1]);
      ck_assert_int_eq (write (pairs[i][1], "y", 1), 1);
    }
  for (guint i = 0; i < N_SENDERS; i++)
    tasks[i] = morrow_spawn (send_a_byte, fds[i], (GDestroyNotify) morrow_fd_unref);
  ck_assert (morrow_yield (error));
  child = fork ();
  ck_assert_int_ge (child, 0);
  if (child == 0)
    {
      morrow_check_limit_child ();
      morrow_check_end_child (are_all_refused (tasks) ? 0 : 1);
    }

  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_msg (WIFEXITED (status) && WEXITSTATUS (status) == 0, "status %x", status);
  for (guint i = 0; i < N_SENDERS; i++)
    {
      char bytes[2];

      ck_assert (morrow_await (tasks[i], error));
      ck_assert_int_eq (recv (pairs[i][1], bytes, sizeof bytes, 0), 1);
      close (pairs[i][1]);
    }
  return TRUE;
}

START_TEST (what_tasks_send_while_another_forks_is_sent_once)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);

  run_scene_on (loop, fork_beside_senders, NULL);
}
END_TEST

/* On a loop that nobody runs: the main loop of an application turns it. */
static void
await_as_guest (MorrowCoroutineFunc func, gpointer data, GMainContext *context)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (context);
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (loop, morrow_coroutine (func, data, NULL));

  turn_until_settled (context, task);
  ck_assert_ptr_null (morrow_future_get_error (task));
}

START_TEST (task_that_forks_in_a_main_loop_may_sleep_in_the_child)
{
  g_autoptr (GMainContext) context = g_main_context_new ();

  await_as_guest (sleep_in_child, NULL, context);
}
END_TEST

/* data: the child's number, 0 in the child. */
static gboolean
fork_and_sleep (gpointer data, GValue *result, GError **error)
{
  pid_t *child = data;

  ck_assert (morrow_yield (error));
  *child = fork ();
  ck_assert_int_ge (*child, 0);
  if (*child == 0)
    morrow_check_limit_child ();
  return morrow_await (morrow_sleep (0.01), error);
}

static gboolean
turn_for_a_fork (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) task = morrow_spawn (fork_and_sleep, data, NULL);

  turn_until_settled (g_main_context_get_thread_default (), task);
  return TRUE;
}

/* Its callback runs in place. */
static gboolean
await_a_fork (gpointer data, GValue *result, GError **error)
{
  MorrowPromise *promise;
  MorrowFuture *then = morrow_then (new_pending (&promise), turn_for_a_fork, data, NULL);
  pid_t *child = data;
  int status;

  morrow_resolve (promise);
  ck_assert (morrow_await (then, error));
  if (*child == 0)
    morrow_check_end_child (morrow_await (morrow_sleep (0.01), NULL) && morrow_yield (NULL) ? 0 : 1);

  ck_assert_int_eq (waitpid (*child, &status, 0), *child);
  ck_assert_msg (WIFEXITED (status) && WEXITSTATUS (status) == 0, "status %x", status);
  return morrow_await (morrow_sleep (0.01), error);
}

START_TEST (task_goes_on_in_the_child_where_another_has_forked_in_a_turn_of_its_callback)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);
  pid_t child = -1;

  run_scene_on (loop, await_a_fork, &child);
}
END_TEST

static gboolean
sleep_for_an_hour (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_sleep (3600), error);
}

/* What is left over is the parent's. */
static gboolean
fork_and_return (gpointer data, GValue *result, GError **error)
{
  if (!MORROW_IS_INLINE (morrow_executor_get_current ()))   /* where a task that is created is waited for */
    for (guint i = 0; i < 4; i++)
      morrow_future_unref (morrow_create_task (morrow_coroutine (sleep_for_an_hour, NULL, NULL)));
  if (!morrow_await (morrow_sleep (0.001), error))
    return FALSE;
  *(pid_t *) data = fork ();
  if (*(pid_t *) data == 0)
    morrow_check_limit_child ();
  return TRUE;
}

START_TEST (run_whose_main_forks_ends_in_the_child_too)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  pid_t child = -1;
  int status;
  gboolean ok = morrow_run_on (executor, morrow_coroutine (fork_and_return, &child, NULL), NULL, NULL);

  if (child == 0)
    morrow_check_end_child (ok ? 0 : 1);
  ck_assert (ok);
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_msg (WIFEXITED (status) && WEXITSTATUS (status) == 0, "status %x", status);
}
END_TEST

static gboolean
fork_here (gpointer data, GValue *result, GError **error)
{
  *(pid_t *) data = fork ();
  return TRUE;
}

/* On an executor that runs it on the stack of the task that awaits it. */
static gboolean
wait_in_child_of_inline (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowExecutor) inline_executor = morrow_inline_new ();
  int status;
  pid_t child = -1;

  ck_assert (morrow_await (morrow_executor_spawn (inline_executor, morrow_coroutine (fork_here, &child, NULL)), error));
  ck_assert_int_ge (child, 0);
  if (child == 0)
    {
      morrow_check_limit_child ();
      morrow_check_end_child (morrow_await (morrow_sleep (0.01), NULL) &&
                              morrow_await (morrow_to_thread (return_int, NULL, NULL), NULL) ? 0 : 1);
    }

  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_msg (WIFEXITED (status) && WEXITSTATUS (status) == 0, "status %x", status);
  return TRUE;
}

/* _i: 0 in a run, 1 in a main loop. */
START_TEST (task_that_forks_in_one_of_inline_may_wait_in_the_child)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);

  if (_i == 0)
    run_scene_on (loop, wait_in_child_of_inline, NULL);
  else
    await_as_guest (wait_in_child_of_inline, NULL, context);
}
END_TEST

/* Two tasks, of which the second forks in the child of the first, and ends after it. */
typedef struct
{
  MorrowPromise *promises[2];   /* the first has forked, the second has */
  MorrowFuture  *forked[2];     /* of these */
  MorrowFuture  *first;
} Generations;

static gboolean
fork_in_the_child (gpointer data, GValue *result, GError **error)
{
  Generations *self = data;
  int status;
  pid_t parent = getpid (), child;

  if (!morrow_future_await (self->forked[0], error) || getpid () == parent)
    return *error == NULL;

  ck_assert (morrow_await (morrow_sleep (0.01), error));   /* until the dispatch would have ended in which the first has forked */
  child = fork ();
  morrow_promise_resolve (self->promises[1]);
  if (child == 0)
    {
      morrow_check_limit_child ();
      morrow_check_end_child (morrow_future_await (self->first, NULL) && morrow_await (morrow_sleep (0.01), NULL) ? 0 : 1);
    }
  morrow_check_end_child (waitpid (child, &status, 0) == child && status == 0 ? 0 : 1);
  return TRUE;
}

static gboolean
fork_first (gpointer data, GValue *result, GError **error)
{
  Generations *self = data;
  int status;
  pid_t child;

  if (!morrow_yield (error))   /* the second waits */
    return FALSE;
  child = fork ();
  ck_assert_int_ge (child, 0);
  morrow_promise_resolve (self->promises[0]);
  if (child == 0)
    {
      morrow_check_limit_child ();
      return morrow_future_await (self->forked[1], error);
    }

  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_msg (status == 0, "status %x", status);
  return TRUE;
}

START_TEST (task_that_forks_in_the_child_of_another_that_forked_goes_on_there)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (context);
  Generations generations;
  MorrowFuture *second;

  for (guint i = 0; i < 2; i++)
    generations.forked[i] = new_pending (&generations.promises[i]);
  generations.first = morrow_executor_spawn (loop, morrow_coroutine (fork_first, &generations, NULL));
  second = morrow_executor_spawn (loop, morrow_coroutine (fork_in_the_child, &generations, NULL));
  while (!morrow_future_is_settled (generations.first) || !morrow_future_is_settled (second))
    g_main_context_iteration (context, TRUE);

  morrow_future_unref (second);
  morrow_future_unref (generations.first);
  for (guint i = 0; i < 2; i++)
    {
      morrow_promise_resolve (generations.promises[i]);
      morrow_promise_unref (generations.promises[i]);
      morrow_future_unref (generations.forked[i]);
    }
}
END_TEST

static gboolean
count_call (gpointer data, GValue *result, GError **error)
{
  ++*(guint *) data;
  return TRUE;
}

/* Two loops are sources of one context, and both are to be dispatched when a task on the first forks. */
START_TEST (other_loop_of_a_context_is_left_alone_in_a_child)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (context);
  g_autoptr (MorrowExecutor) other = morrow_loop_new (context);
  pid_t child = -1;
  guint n_calls = 0;
  int status;
  MorrowFuture *task = morrow_executor_spawn (loop, morrow_coroutine (fork_here, &child, NULL));

  morrow_future_unref (morrow_executor_spawn (other, morrow_coroutine (count_call, &n_calls, NULL)));
  turn_until_settled (context, task);
  if (child == 0)
    morrow_check_end_child (n_calls == 0 ? 0 : 1);

  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_int_eq (status, 0);
  while (n_calls == 0)
    g_main_context_iteration (context, TRUE);
  morrow_future_unref (task);
}
END_TEST

typedef struct
{
  pid_t child;         /* 0 in the child */
  guint n_served;      /* of a source that always is ready: in the child */
  guint n_served_then; /* when the task had ended there */
} Application;

static gboolean
serve (gpointer data)
{
  Application *self = data;

  self->n_served += self->child == 0;
  return G_SOURCE_CONTINUE;
}

static gboolean
sleep_a_little (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_sleep (0.01), error);
}

/* Goes on, and ends, in both. */
static gboolean
fork_and_await_another (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *other = morrow_create_task (morrow_coroutine (sleep_a_little, NULL, NULL));
  Application *self = data;
  gboolean ok;

  if (!morrow_yield (error))   /* the other sleeps */
    return FALSE;
  self->child = fork ();
  if (self->child == 0)
    morrow_check_limit_child ();
  ok = morrow_await (other, error) && morrow_yield (error);
  self->n_served_then = self->n_served;
  return ok;
}

/* Meanwhile the context, which is the parent's, is left alone. */
START_TEST (main_loop_goes_on_in_the_child_when_the_task_that_forked_has_ended)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) source = g_idle_source_new ();
  Application application = { .child = -1 };
  int status;

  g_source_set_callback (source, serve, &application, NULL);
  g_source_attach (source, context);
  await_as_guest (fork_and_await_another, &application, context);
  if (application.child == 0)
    {
      g_main_context_iteration (context, TRUE);
      morrow_check_end_child (application.n_served_then == 0 && application.n_served > 0 ? 0 : 1);
    }

  ck_assert_int_eq (waitpid (application.child, &status, 0), application.child);
  ck_assert_int_eq (status, 0);
  g_source_destroy (source);
}
END_TEST

/* What is told once, to whoever polls the set that both share. */
enum
{
  EVENT_OF_A_DESCRIPTOR,
  EVENT_OF_THE_TIMERFD,   /* which sleeps of more than 50 ms are for */
  N_EVENTS_OF_THE_PARENT
};

#define PATIENCE ((gint64) 5 * G_USEC_PER_SEC * morrow_check_slowness ())

/* In the child, on its copy of the loop: looks around in passing, beside tasks that are ready, and then sleeps. */
static gboolean
yield_and_sleep (gdouble seconds)
{
  gint64 until = g_get_monotonic_time () + 2000;

  while (g_get_monotonic_time () < until)
    {
      if (!morrow_yield (NULL))
        return FALSE;
    }
  return morrow_await (morrow_sleep (seconds), NULL);
}

/* The parent's loop does not turn meanwhile. */
static void
wait_in_a_child (gdouble seconds)
{
  int status;
  pid_t child = fork ();

  ck_assert_int_ge (child, 0);
  if (child == 0)
    {
      morrow_check_limit_child ();
      morrow_check_end_child (yield_and_sleep (seconds) ? 0 : 1);
    }

  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_int_eq (status, 0);
}

static gboolean
read_in_time (gpointer data, GValue *result, GError **error)
{
  char byte;

  return morrow_fd_read (data, &byte, 1, g_get_monotonic_time () + PATIENCE, error) == 1;
}

static void
keep_the_event_of_a_descriptor (void)
{
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (MorrowFuture) reader = NULL;
  int fds[2];

  ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  fd = morrow_fd_new (fds[0]);
  reader = morrow_create_task (morrow_coroutine (read_in_time, fd, NULL));
  ck_assert (morrow_await (morrow_sleep (0.01), NULL));   /* it waits, and the set has nothing new to tell */
  ck_assert_int_eq (write (fds[1], "x", 1), 1);
  wait_in_a_child (0.01);
  await_ok (reader);
  close (fds[1]);
}

/* A descriptor that is ready after some time, whatever the loop knows of time. */
static MorrowFd *
new_clock (gint64 microseconds)
{
  struct itimerspec spec = { .it_value = { microseconds / G_USEC_PER_SEC, microseconds % G_USEC_PER_SEC * 1000 } };
  int fd = timerfd_create (CLOCK_MONOTONIC, TFD_CLOEXEC);

  ck_assert_int_eq (timerfd_settime (fd, 0, &spec, NULL), 0);
  return morrow_fd_new (fd);
}

static gboolean
read_clock (gpointer data, GValue *result, GError **error)
{
  guint64 n;

  return morrow_fd_read (data, &n, sizeof n, G_MAXINT64, error) == sizeof n;
}

/* The loop believes that its timerfd is set until that has told that it went off: if somebody else is told, it is never set
 * again. */
static void
keep_the_event_of_the_timerfd (void)
{
  g_autoptr (MorrowFd) soon = new_clock (10000);
  g_autoptr (MorrowFd) watchdog = new_clock (PATIENCE);
  g_autoptr (MorrowFuture) sleep = morrow_sleep (0.1);
  g_autoptr (MorrowFuture) later = NULL;
  g_autoptr (MorrowFuture) guard = NULL;
  GError *error = NULL;

  ck_assert (read_clock (soon, NULL, &error));      /* the loop sleeps, and sets the timerfd for what is first */
  wait_in_a_child (0.15);
  guard = morrow_create_task (morrow_coroutine (read_clock, watchdog, NULL));
  later = morrow_sleep (0.2);
  await_ok (later);
  ck_assert (!morrow_future_is_settled (guard));    /* which would have woken the loop in its place */
  await_ok (sleep);
  morrow_future_cancel (guard);
  await_cancelled (guard);
}

static gboolean
keep_events (gpointer data, GValue *result, GError **error)
{
  if (GPOINTER_TO_INT (data) == EVENT_OF_A_DESCRIPTOR)
    keep_the_event_of_a_descriptor ();
  else
    keep_the_event_of_the_timerfd ();
  return TRUE;
}

/* _i: which event; and from N_EVENTS_OF_THE_PARENT on the same where the context watches something, and so polls by itself. */
START_TEST (child_that_waits_takes_no_event_of_its_parents)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (context);
  g_autoptr (GSource) source = g_unix_fd_source_new (STDERR_FILENO, 0);

  if (_i >= N_EVENTS_OF_THE_PARENT)
    g_source_attach (source, context);
  run_scene_on (loop, keep_events, GINT_TO_POINTER (_i % N_EVENTS_OF_THE_PARENT));
  g_source_destroy (source);
}
END_TEST

#endif

/* The thread sanitizer allows the child no threads when the parent had some; the address sanitizer may have its allocator locked by
 * one of those, for ever. */
#if !defined (MORROW_CHECK_TSAN) && !defined (MORROW_CHECK_ASAN)

enum { N_FORKS = 200, N_LANE_THREADS = 4, N_LOCK_USERS = 2 };

/* An errand that says that it is done, and one that waits until all of them are under way. */
typedef struct
{
  MorrowErrand errand;
  atomic_bool  done;
} Chore;

static atomic_uint n_under_way;

static void
finish_chore (MorrowJob *job, gboolean closed)
{
  atomic_store (&((Chore *) job)->done, TRUE);
}

static void
finish_chore_together (MorrowJob *job, gboolean closed)
{
  atomic_fetch_add (&n_under_way, 1);
  while (atomic_load (&n_under_way) < N_LANE_THREADS)
    g_thread_yield ();
  finish_chore (job, closed);
}

/* Asserts nothing: Check's own lock must not be held as the process forks. */
static void
push_chores (Chore *chores, guint n, void (*run) (MorrowJob *job, gboolean closed))
{
  for (guint i = 0; i < n; i++)
    {
      chores[i] = (Chore) { .errand.job.run = run };
      if (!morrow__lane_push (&chores[i].errand, NULL))
        abort ();
    }
  for (guint i = 0; i < n; i++)
    while (!atomic_load (&chores[i].done))
      g_thread_yield ();
}

static gpointer
push_chores_until (gpointer stop)
{
  Chore chore;

  while (!g_atomic_int_get ((gint *) stop))
    push_chores (&chore, 1, finish_chore);
  return NULL;
}

static gboolean
send_to_thread (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_to_thread (return_int, NULL, NULL), error);
}

/* The lane has threads enough, so that none is made, with GLib's locks held, as the process forks. */
START_TEST (child_has_a_lane_of_its_own_whatever_the_parents_did)
{
  Chore chores[N_LANE_THREADS];
  gint stop = FALSE;
  GThread *pusher;

  push_chores (chores, N_LANE_THREADS, finish_chore_together);
  pusher = g_thread_new ("pusher", push_chores_until, &stop);
  for (guint i = 0; i < N_FORKS / morrow_check_slowness (); i++)
    {
      int status;
      pid_t child = fork ();

      ck_assert_int_ge (child, 0);
      if (child == 0)
        morrow_check_end_child (morrow_run (morrow_coroutine (send_to_thread, NULL, NULL), NULL, NULL) ? 0 : 1);
      ck_assert_int_eq (waitpid (child, &status, 0), child);
      ck_assert_int_eq (status, 0);
    }
  g_atomic_int_set (&stop, TRUE);
  g_thread_join (pusher);
}
END_TEST

typedef struct
{
  gint               other_is_ready;
  gint               over;
  pthread_barrier_t  barrier;
  pthread_barrier_t *both_run;   /* NULL where one thread runs both */
} Midst;

/* One that yields while another is queued is given a thread to run it, which would be made, with GLib's locks held, as the process
 * forks. */
static void
wait_until_both_run (Midst *self)
{
  if (self->both_run != NULL)
    pthread_barrier_wait (self->both_run);
}

static gboolean
yield_until_over (gpointer data, GValue *result, GError **error)
{
  Midst *self = data;

  wait_until_both_run (self);
  while (!g_atomic_int_get (&self->over))
    {
      g_atomic_int_set (&self->other_is_ready, TRUE);
      if (!morrow_yield (error))
        return FALSE;
    }
  return TRUE;
}

/* Stops its thread, with another task that is ready behind it. */
static gboolean
hold_up (gpointer data, GValue *result, GError **error)
{
  Midst *self = data;

  wait_until_both_run (self);
  while (!g_atomic_int_get (&self->other_is_ready))
    {
      if (!morrow_yield (error))
        return FALSE;
    }
  pthread_barrier_wait (&self->barrier);
  pthread_barrier_wait (&self->barrier);
  return TRUE;
}

/* A pool's thread is in the middle of its work, and not there in the child. _i: of loops, or of threads. */
START_TEST (child_may_drop_a_pool_whatever_that_was_doing)
{
  MorrowExecutor *pool = _i == 0 ? morrow_loop_pool_new (1) : morrow_thread_pool_new (2);
  pthread_barrier_t both_run;
  Midst midst = { .both_run = _i == 0 ? NULL : &both_run };
  MorrowFuture *first, *second;

  pthread_barrier_init (&both_run, NULL, 2);
  pthread_barrier_init (&midst.barrier, NULL, 2);
  first = morrow_executor_spawn (pool, morrow_coroutine (yield_until_over, &midst, NULL));
  second = morrow_executor_spawn (pool, morrow_coroutine (hold_up, &midst, NULL));
  pthread_barrier_wait (&midst.barrier);
  check_child_may_drop (pool);
  g_atomic_int_set (&midst.over, TRUE);
  pthread_barrier_wait (&midst.barrier);
  ck_assert (morrow_future_wait (first, NULL));
  ck_assert (morrow_future_wait (second, NULL));
  morrow_future_unref (first);
  morrow_future_unref (second);
  g_object_unref (pool);
  pthread_barrier_destroy (&midst.barrier);
  pthread_barrier_destroy (&both_run);
}
END_TEST

/* In a task, in the child: what other threads there settle. */
static gboolean
await_threads (void)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (1);
  g_autoptr (MorrowFuture) task = morrow_executor_spawn (pool, morrow_coroutine (return_int, GINT_TO_POINTER (7), NULL));

  return morrow_await (morrow_to_thread (return_int, NULL, NULL), NULL) && morrow_future_await (task, NULL) &&
         morrow_future_get_int (task) == 7;
}

static gboolean
await_threads_in_child (gpointer data, GValue *result, GError **error)
{
  int status;
  pid_t child = fork ();

  ck_assert_int_ge (child, 0);
  if (child == 0)
    {
      morrow_check_limit_child ();
      for (guint i = 0; i < 20; i++)
        if (!await_threads ())
          morrow_check_end_child (1);
      morrow_check_end_child (0);
    }
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_int_eq (status, 0);
  return TRUE;
}

/* _i: the model. */
START_TEST (task_that_forks_may_await_threads_of_the_child)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, await_threads_in_child, NULL);
}
END_TEST

START_TEST (task_that_forks_in_a_main_loop_may_await_threads_of_the_child)
{
  g_autoptr (GMainContext) context = g_main_context_new ();

  await_as_guest (await_threads_in_child, NULL, context);
}
END_TEST

/* Work for a pool, and another thread that gives it that all the time. */
typedef struct
{
  MorrowExecutor *pool;
  gint            n_run;
  gint            stop;
  int             status;   /* of the first child that failed */
} Submitter;

static void
count_work (gpointer data)
{
  g_atomic_int_inc (&((Submitter *) data)->n_run);
}

static gpointer
submit_until (gpointer data)
{
  Submitter *self = data;

  for (gint n = 0; !g_atomic_int_get (&self->stop); n++)
    {
      while (g_atomic_int_get (&self->n_run) != n)
        g_thread_yield ();
      morrow_executor_submit (self->pool, count_work, self, NULL);
    }
  return NULL;
}

/* Asserts nothing while the other runs: see above. The pool's worker is there, and none is made as the process forks. */
static gboolean
wait_in_children (gpointer data, GValue *result, GError **error)
{
  Submitter *self = data;

  while (g_atomic_int_get (&self->n_run) == 0)
    g_thread_yield ();
  for (guint i = 0; self->status == 0 && i < N_FORKS / morrow_check_slowness (); i++)
    {
      pid_t child = fork ();

      if (child == 0)
        {
          morrow_check_limit_child ();
          morrow_check_end_child (morrow_yield (NULL) && morrow_await (morrow_sleep (0.001), NULL) ? 0 : 1);
        }
      waitpid (child, &self->status, 0);
    }
  g_atomic_int_set (&self->stop, TRUE);   /* the run ends when nothing is submitted any more */
  return TRUE;
}

START_TEST (task_of_a_thread_pool_that_forks_may_wait_whoever_had_the_pools_lock)
{
  Submitter submitter = { .pool = morrow_thread_pool_new (1) };
  GThread *thread = g_thread_new ("submitter", submit_until, &submitter);

  run_scene_on (submitter.pool, wait_in_children, &submitter);
  g_thread_join (thread);
  g_object_unref (submitter.pool);
  ck_assert_int_eq (submitter.status, 0);
}
END_TEST

/* What is done under locks of the process, again and again. */
typedef struct _LockUser LockUser;

struct _LockUser
{
  void         (*use_lock) (const LockUser *self);
  MorrowFuture   *future;
  MorrowExecutor *executor;   /* a MorrowInline */
  gint            n_begun;
  gint            stop;
};

static void
use_home (const LockUser *user)
{
  static const MorrowBlocking blocking = { .yield = NULL };

  morrow__thread_home_leave (morrow__thread_home_enter (NULL, &blocking));
}

static void
ask_for_cancellable (const LockUser *user)
{
  g_object_unref (morrow_future_get_cancellable (user->future));
}

static void
watch_for_overflows (const LockUser *user)
{
  morrow__overflow_unwatch (morrow__overflow_watch ());
}

static void
free_job (MorrowJob *job, gboolean closed)
{
  g_free (job);
}

/* As when a future settles that has a callback there. Whoever spawns something runs what is queued; the child, which is refused
 * that, leaves it. */
static void
post_to_inline (const LockUser *user)
{
  MorrowJob *job = g_new (MorrowJob, 1);
  MorrowFuture *task;

  job->run = free_job;
  morrow__executor_post (user->executor, job);
  task = morrow_executor_spawn (user->executor, morrow_coroutine (return_int, NULL, NULL));
  morrow_future_get_error (task);
  morrow_future_unref (task);
}

static void (*const lock_users[]) (const LockUser *) = { use_home, ask_for_cancellable, watch_for_overflows, post_to_inline };

static gpointer
use_lock_until (gpointer data)
{
  LockUser *self = data;

  self->use_lock (self);
  g_atomic_int_inc (&self->n_begun);
  while (!g_atomic_int_get (&self->stop))
    self->use_lock (self);
  return NULL;
}

/* Asserts nothing while the others run: see above. They have what they need, and take none of GLib's locks either. Returns: the
 * status of the first that failed. */
static int
use_lock_in_children (LockUser *user)
{
  int status = 0;

  while (g_atomic_int_get (&user->n_begun) < N_LOCK_USERS)
    g_thread_yield ();
  for (guint i = 0; status == 0 && i < N_FORKS / 2 / morrow_check_slowness (); i++)
    {
      pid_t child = fork ();

      if (child < 0)
        return -1;
      if (child == 0)
        {
          morrow_check_limit_child ();
          user->use_lock (user);
          morrow_check_end_child (0);
        }
      waitpid (child, &status, 0);
    }
  return status;
}

/* _i: which lock. */
START_TEST (child_finds_each_lock_free_whoever_had_it)
{
  MorrowPromise *promise;
  g_autoptr (MorrowExecutor) executor = morrow_inline_new ();
  LockUser user = { .use_lock = lock_users[_i], .future = new_pending (&promise), .executor = executor };
  GThread *threads[N_LOCK_USERS];
  int status;

  g_object_unref (morrow_future_get_cancellable (user.future));   /* from now on it has one */
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("user", use_lock_until, &user);
  status = use_lock_in_children (&user);
  g_atomic_int_set (&user.stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  ck_assert_int_eq (status, 0);

  morrow_promise_resolve (promise);
  morrow_promise_unref (promise);
  morrow_future_unref (user.future);
}
END_TEST

#endif

#ifndef MORROW_CHECK_TSAN   /* which does not allow that functions are replaced */

/* --- threads ----------------------------------------------------------------------------------- */

START_TEST (task_for_which_no_thread_can_be_had_is_rejected_and_later_ones_run)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (2);
  g_autoptr (MorrowFuture) refused = NULL;
  g_autoptr (MorrowFuture) task = NULL;

  atomic_store (&threads_fail, TRUE);
  refused = morrow_executor_spawn (pool, morrow_coroutine (return_int, GINT_TO_POINTER (1), NULL));
  assert_error (morrow_future_get_error (refused), MORROW_ERROR, MORROW_ERROR_NO_THREAD);

  atomic_store (&threads_fail, FALSE);
  task = morrow_executor_spawn (pool, morrow_coroutine (return_int, GINT_TO_POINTER (2), NULL));
  ck_assert (morrow_future_wait (task, NULL));
  ck_assert_int_eq (morrow_future_get_int (task), 2);
}
END_TEST

START_TEST (worker_that_there_is_runs_what_others_cannot_be_had_for)
{
  g_autoptr (MorrowExecutor) pool = morrow_thread_pool_new (2);
  g_autoptr (MorrowFuture) first = morrow_executor_spawn (pool, morrow_coroutine (return_int, GINT_TO_POINTER (1), NULL));
  MorrowFuture *tasks[10];

  ck_assert (morrow_future_wait (first, NULL));
  atomic_store (&threads_fail, TRUE);
  for (gint i = 0; i < (gint) G_N_ELEMENTS (tasks); i++)
    tasks[i] = morrow_executor_spawn (pool, morrow_coroutine (return_int, GINT_TO_POINTER (i), NULL));
  for (gint i = 0; i < (gint) G_N_ELEMENTS (tasks); i++)
    {
      ck_assert (morrow_future_wait (tasks[i], NULL));
      ck_assert_int_eq (morrow_future_get_int (tasks[i]), i);
      morrow_future_unref (tasks[i]);
    }
  atomic_store (&threads_fail, FALSE);
}
END_TEST

/* A pool that goes where nobody may wait for its end, and no thread can be had for that. */
typedef struct
{
  pthread_mutex_t lock;
  pthread_cond_t  gone;
  gboolean        is_gone;   /* under the lock */
} Unended;

static void
say_gone (gpointer data, GObject *pool)
{
  Unended *self = data;

  pthread_mutex_lock (&self->lock);
  self->is_gone = TRUE;
  pthread_cond_signal (&self->gone);
  pthread_mutex_unlock (&self->lock);
}

static gboolean
drop_pool (gpointer data, GValue *result, GError **error)
{
  atomic_store (&threads_fail, TRUE);
  g_object_unref (data);
  atomic_store (&threads_fail, FALSE);
  return TRUE;
}

static gboolean
return_from_thread (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_to_thread (return_int, GINT_TO_POINTER (1), NULL), error);
}

START_TEST (pool_for_whose_end_no_thread_could_be_had_ends_when_there_is_one)
{
  Unended unended = { .is_gone = FALSE };
  MorrowExecutor *pool = _i == 0 ? morrow_loop_pool_new (1) : morrow_thread_pool_new (1);
  g_autoptr (MorrowExecutor) other = morrow_loop_new (NULL);
  MorrowFuture *dropped;

  pthread_mutex_init (&unended.lock, NULL);
  pthread_cond_init (&unended.gone, NULL);
  g_object_weak_ref (G_OBJECT (pool), say_gone, &unended);
  dropped = morrow_executor_spawn (pool, morrow_coroutine (drop_pool, pool, NULL));
  ck_assert (morrow_future_wait (dropped, NULL));
  morrow_future_unref (dropped);
  run_scene_on (other, return_from_thread, NULL);

  pthread_mutex_lock (&unended.lock);
  while (!unended.is_gone)
    pthread_cond_wait (&unended.gone, &unended.lock);
  pthread_mutex_unlock (&unended.lock);
}
END_TEST

/* data: the MorrowPromise that the pool's gather waits for; it goes with the pool's last hold. */
static gboolean
settle_for_pool (gpointer data, GValue *result, GError **error)
{
  atomic_store (&threads_fail, TRUE);
  morrow_resolve (data);
  atomic_store (&threads_fail, FALSE);
  return TRUE;
}

/* A gather that is made on a pool, which it keeps. */
typedef struct
{
  MorrowFuture *inner;    /* borrowed */
  MorrowFuture *gather;   /* owned */
} OnPool;

static gboolean
make_gather (gpointer data, GValue *result, GError **error)
{
  OnPool *self = data;

  self->gather = morrow_gather (morrow_future_ref (self->inner), morrow_future_ref (self->inner), NULL);
  return TRUE;
}

static void
make_on_pool_that_goes (OnPool *self)
{
  MorrowExecutor *pool = morrow_loop_pool_new (1);
  MorrowFuture *made = morrow_executor_spawn (pool, morrow_coroutine (make_gather, self, NULL));

  ck_assert (morrow_future_wait (made, NULL));
  morrow_future_unref (made);
  g_object_unref (pool);
}

/* _i: how many pools. */
START_TEST (run_does_not_wait_for_the_ends_of_pools_for_which_no_thread_could_be_had)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) inner = new_pending (&promise);
  OnPool made[2] = { { .inner = inner }, { .inner = inner } };

  for (gint i = 0; i < _i; i++)
    make_on_pool_that_goes (&made[i]);
  run_scene_on (loop, settle_for_pool, promise);
  for (gint i = 0; i < _i; i++)
    morrow_future_unref (made[i].gather);
  run_scene_on (loop, return_from_thread, NULL);   /* now they go */
}
END_TEST

START_TEST (pool_of_loops_without_a_single_thread_refuses_to_run)
{
  g_autoptr (MorrowExecutor) pool = NULL;
  g_autoptr (GError) error = NULL;
  Given work = { .was_run = FALSE };

  atomic_store (&threads_fail, TRUE);
  pool = morrow_loop_pool_new (2);
  ck_assert (!run_int_on (pool, &error));
  assert_error (error, MORROW_ERROR, MORROW_ERROR_NO_THREAD);
  morrow_executor_submit (pool, run_given, &work, let_go_given);
  ck_assert (is_refused (&work));
  atomic_store (&threads_fail, FALSE);
}
END_TEST

START_TEST (task_for_a_pool_of_loops_without_a_single_thread_is_rejected)
{
  g_autoptr (MorrowExecutor) pool = NULL;
  g_autoptr (MorrowFuture) refused = NULL;

  atomic_store (&threads_fail, TRUE);
  pool = morrow_loop_pool_new (2);
  refused = morrow_executor_spawn (pool, morrow_coroutine (return_int, GINT_TO_POINTER (7), NULL));
  assert_error (morrow_future_get_error (refused), MORROW_ERROR, MORROW_ERROR_NO_THREAD);
  atomic_store (&threads_fail, FALSE);
}
END_TEST
#endif

/* --- stacks ------------------------------------------------------------------------------------ */

/* A size that no task had before, so that its stack must be mapped. */
static MorrowFuture *
create_large_task (void)
{
  MorrowFuture *coroutine = morrow_coroutine (return_int, GINT_TO_POINTER (7), NULL);

  morrow_future_set_stack_size (coroutine, 1024 * 1024);
  return morrow_create_task (coroutine);
}

SCENE (task_for_which_no_stack_can_be_had_is_rejected_and_the_others_go_on)
{
  MorrowFuture *self = morrow_current_task ();
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) gate = new_pending (&promise);
  g_autoptr (MorrowFuture) other = morrow_create_task (morrow_coroutine (await_it, gate, NULL));
  g_autoptr (MorrowFuture) refused = NULL;
  g_autoptr (MorrowFuture) later = NULL;
  g_autoptr (GError) why = NULL;

  let_run ();
  atomic_store (&stacks_fail, TRUE);
  refused = create_large_task ();
  errno = EXDEV;
  why = await_error (refused);
  ck_assert_int_eq (errno, EXDEV);
  ck_assert_ptr_eq (morrow_current_task (), self);
  assert_error (why, MORROW_ERROR, MORROW_ERROR_NO_STACK);

  morrow_promise_resolve_int (promise, 5);
  morrow_promise_unref (promise);
  await_ok (other);
  ck_assert_int_eq (morrow_future_get_int (other), 5);

  atomic_store (&stacks_fail, FALSE);
  later = create_large_task ();
  await_ok (later);
  ck_assert_int_eq (morrow_future_get_int (later), 7);
  return TRUE;
}

static gboolean
await_on_little (gpointer data, GValue *result, GError **error)
{
  volatile char frame[9 * 1024];
  gint value;

  frame[0] = 1;
  errno = EXDEV;
  value = morrow_await_int (morrow_coroutine (return_int, GINT_TO_POINTER (7), NULL), error);
  ck_assert_int_eq (errno, EXDEV);
  return morrow_return_int (result, value + frame[0]);
}

#ifndef MORROW_CHECK_TSAN   /* which does not know the parent's fibers in the child */
static gboolean
fork_on_little (gpointer data, GValue *result, GError **error)
{
  volatile char frame[9 * 1024];
  int status;
  pid_t child;

  frame[0] = 1;
  child = fork ();
  if (child == 0)
    morrow_check_end_child (morrow_await_int (morrow_coroutine (return_int, GINT_TO_POINTER (7), NULL), NULL) != 7);
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_msg (WIFEXITED (status) && WEXITSTATUS (status) == 0, "status %x", status);
  return frame[0] == 1;
}

SCENE (coroutine_runs_on_another_stack_in_the_child_of_a_task_that_forks)
{
  MorrowFuture *small = morrow_coroutine (fork_on_little, NULL, NULL);

  morrow_future_set_stack_size (small, 32 * 1024);
  return morrow_await (morrow_create_task (small), error);
}
#endif

/* There are stacks of the smallest size, and of the usual one there will be none. */
SCENE (coroutine_for_which_no_other_stack_can_be_had_runs_on_its_hosts)
{
  MorrowFuture *small = morrow_coroutine (await_on_little, NULL, NULL);
  MorrowPromise *promise;
  g_autoptr (MorrowFuture) gate = new_pending (&promise);
  g_autoptr (MorrowFuture) task = NULL;
  MorrowFuture *waiting;
  gboolean is_refused;

  morrow_future_set_stack_size (small, 32 * 1024);
  task = morrow_create_task (small);
  await_ok (task);
  atomic_store (&stacks_fail, TRUE);
  do
    {
      waiting = morrow_create_task (morrow_coroutine (await_it, gate, NULL));
      let_run ();
      is_refused = morrow_future_is_settled (waiting);
      if (is_refused)
        g_error_free (await_error (waiting));
      morrow_future_unref (waiting);
    }
  while (!is_refused);

  small = morrow_coroutine (await_on_little, NULL, NULL);
  morrow_future_set_stack_size (small, 32 * 1024);
  ck_assert_int_eq (morrow_await_int (morrow_create_task (small), error), 8);
  atomic_store (&stacks_fail, FALSE);
  morrow_promise_resolve_int (promise, 5);
  morrow_promise_unref (promise);
  let_run ();
  return TRUE;
}

static gboolean
never_run (gpointer data, GValue *result, GError **error)
{
  ck_abort ();
  return FALSE;
}

/* data: the coroutine whose data this is, which is a part of the task that awaits it. */
static void
await_oneself (gpointer data)
{
  MorrowFuture **coroutine = data;
  g_autoptr (GError) error = NULL;

  ck_assert (!morrow_await (morrow_future_ref (*coroutine), &error));
  assert_error (error, MORROW_ERROR, MORROW_ERROR_SELF_AWAIT);
  *coroutine = NULL;
}

SCENE (coroutine_for_which_no_stack_of_its_size_can_be_had_is_rejected)
{
  MorrowFuture *large, *unplaced;
  g_autoptr (GError) why = NULL;

  large = unplaced = morrow_coroutine (never_run, &unplaced, await_oneself);

  morrow_future_set_stack_size (large, 1024 * 1024);
  atomic_store (&stacks_fail, TRUE);
  ck_assert (!morrow_await (large, &why));
  atomic_store (&stacks_fail, FALSE);
  assert_error (why, MORROW_ERROR, MORROW_ERROR_NO_STACK);
  ck_assert_ptr_null (unplaced);
  return TRUE;
}

/* Deeper and deeper, in 4 KiB each, until that fails: as coroutines in place, or as tasks, which one worker runs on top of each other. */
typedef struct
{
  gboolean as_tasks;
  guint    depth;
} Dive;

static gboolean
dive (gpointer data, GValue *result, GError **error)
{
  Dive *self = data;
  MorrowFuture *next = morrow_coroutine (dive, self, NULL);
  volatile char frame[4 * 1024];
  gboolean ok;

  __asm__ volatile ("" : : "r" (frame));   /* all of it: compilers leave out what is not used */
  frame[0] = frame[sizeof frame - 1] = 1;
  self->depth++;
  ok = morrow_await (self->as_tasks ? morrow_create_task (next) : next, error);
  ck_assert_int_eq (frame[0], frame[sizeof frame - 1]);
  return ok;
}

static gboolean
dive_until_it_fails (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GError) why = NULL;

  atomic_store (&stacks_fail, TRUE);
  ck_assert (!morrow_await (morrow_create_task (morrow_coroutine (dive, data, NULL)), &why));
  atomic_store (&stacks_fail, FALSE);
  assert_error (why, MORROW_ERROR, MORROW_ERROR_NO_STACK);
  return TRUE;
}

static guint
dive_on (MorrowExecutor *executor, gboolean as_tasks)
{
  Dive self = { .as_tasks = as_tasks };

  run_scene_on (executor, dive_until_it_fails, &self);
  return self.depth;
}

static void *
dive_in_sequence (void *data)
{
  g_autoptr (MorrowExecutor) sequential = morrow_inline_new ();

  ck_assert_uint_gt (dive_on (sequential, FALSE), 100);
  return NULL;
}

/* Main's stack may have no bound. */
static void
call_on_a_mebibyte (void *(*func) (void *))
{
  pthread_attr_t attributes;
  pthread_t thread;

  pthread_attr_init (&attributes);
  pthread_attr_setstacksize (&attributes, 1024 * 1024);
  ck_assert_int_eq (pthread_create (&thread, &attributes, func, NULL), 0);
  pthread_join (thread, NULL);
  pthread_attr_destroy (&attributes);
}

START_TEST (what_goes_too_deep_for_a_thread_fails_where_no_other_stack_can_be_had)
{
  g_autoptr (MorrowExecutor) threads = morrow_thread_pool_new (1);

  ck_assert_uint_gt (dive_on (threads, FALSE), 100);
  ck_assert_uint_gt (dive_on (threads, TRUE), 100);
  call_on_a_mebibyte (dive_in_sequence);
}
END_TEST

/* --- descriptors ------------------------------------------------------------------------------- */

/* Where a process has n left. */
static void
leave_descriptors (rlim_t n, struct rlimit *before)
{
  int free_fd = open ("/dev/null", O_RDONLY);
  struct rlimit limit;

  close (free_fd);
  ck_assert_int_eq (getrlimit (RLIMIT_NOFILE, before), 0);
  limit = (struct rlimit) { (rlim_t) free_fd + n, before->rlim_max };
  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &limit), 0);
}

/* _i: how many descriptors are left; the first is the context's own. */
START_TEST (run_without_descriptors_for_a_loop_says_so)
{
  g_autoptr (GError) error = NULL;
  struct rlimit before;
  gboolean ok;

  leave_descriptors ((rlim_t) _i, &before);
  ok = morrow_run (morrow_coroutine (return_int, NULL, NULL), NULL, &error);
  setrlimit (RLIMIT_NOFILE, &before);

  ck_assert (!ok);
  assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  g_clear_error (&error);
  ck_assert (morrow_run (morrow_coroutine (return_int, NULL, NULL), NULL, &error));
}
END_TEST

static Suite *
faults_suite (void)
{
  Suite *suite = suite_create ("faults");
  TCase *forks = morrow_check_add_case (suite, "fork");
  TCase *system = morrow_check_add_case (suite, "system");

  tcase_add_loop_test (forks, executor_of_the_parent_is_refused_in_the_child_and_goes_on_in_the_parent, 0, N_MODELS);
  tcase_add_test (forks, callback_is_let_go_in_the_child_where_its_pool_has_no_threads);
  tcase_add_loop_test (forks, child_of_a_fork_can_run_on_executors_of_its_own, 0, MODEL_INLINE);
  tcase_add_test (forks, child_may_drop_a_loop_whoever_was_posting_to_it);
  tcase_add_test (forks, child_ends_a_loop_whoever_was_about_to_cancel_a_task_in_its_parent);
#if !defined (MORROW_CHECK_TSAN) && !defined (MORROW_CHECK_ASAN)
  tcase_add_test (forks, child_has_a_lane_of_its_own_whatever_the_parents_did);
  tcase_add_loop_test (forks, task_that_forks_may_await_threads_of_the_child, 0, N_MODELS);
  tcase_add_test (forks, task_that_forks_in_a_main_loop_may_await_threads_of_the_child);
  tcase_add_test (forks, task_of_a_thread_pool_that_forks_may_wait_whoever_had_the_pools_lock);
  tcase_add_loop_test (forks, child_may_drop_a_pool_whatever_that_was_doing, 0, 2);
  tcase_add_loop_test (forks, child_finds_each_lock_free_whoever_had_it, 0, G_N_ELEMENTS (lock_users));
#endif
#ifndef MORROW_CHECK_TSAN
  tcase_add_loop_test (forks, task_that_forks_may_sleep_in_the_child, 0, 2);
  tcase_add_test (forks, coroutine_runs_on_another_stack_in_the_child_of_a_task_that_forks);
  tcase_add_test (forks, task_spawned_in_the_child_of_a_task_that_forks_is_refused);
  tcase_add_test (forks, what_tasks_send_while_another_forks_is_sent_once);
  tcase_add_test (forks, task_that_forks_in_a_main_loop_may_sleep_in_the_child);
  tcase_add_test (forks, task_goes_on_in_the_child_where_another_has_forked_in_a_turn_of_its_callback);
  tcase_add_loop_test (forks, task_that_forks_in_one_of_inline_may_wait_in_the_child, 0, 2);
  tcase_add_loop_test (forks, run_whose_main_forks_ends_in_the_child_too, 0, N_MODELS);
  tcase_add_test (forks, task_that_forks_in_the_child_of_another_that_forked_goes_on_there);
  tcase_add_test (forks, other_loop_of_a_context_is_left_alone_in_a_child);
  tcase_add_test (forks, main_loop_goes_on_in_the_child_when_the_task_that_forked_has_ended);
  tcase_add_loop_test (forks, child_that_waits_takes_no_event_of_its_parents, 0, N_EVENTS_OF_THE_PARENT * 2);
  tcase_add_test (system, task_for_which_no_thread_can_be_had_is_rejected_and_later_ones_run);
  tcase_add_loop_test (system, pool_for_whose_end_no_thread_could_be_had_ends_when_there_is_one, 0, 2);
  tcase_add_test (system, worker_that_there_is_runs_what_others_cannot_be_had_for);
  tcase_add_loop_test (system, run_does_not_wait_for_the_ends_of_pools_for_which_no_thread_could_be_had, 1, 3);
  tcase_add_test (system, pool_of_loops_without_a_single_thread_refuses_to_run);
  tcase_add_test (system, task_for_a_pool_of_loops_without_a_single_thread_is_rejected);
#endif
  tcase_add_test (system, task_for_which_no_stack_can_be_had_is_rejected_and_the_others_go_on);
  tcase_add_test (system, coroutine_for_which_no_other_stack_can_be_had_runs_on_its_hosts);
  tcase_add_test (system, coroutine_for_which_no_stack_of_its_size_can_be_had_is_rejected);
  tcase_add_test (system, what_goes_too_deep_for_a_thread_fails_where_no_other_stack_can_be_had);
  tcase_add_loop_test (system, run_without_descriptors_for_a_loop_says_so, 1, 4);

  return suite;
}

MORROW_CHECK_MAIN (faults_suite)
