/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls on descriptors: what they give, how they wait, and how a wait ends, under each model.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <morrow/reactor.h>

#include "base/clock-private.h"
#include "base/rendezvous.h"
#include "exec/models.h"
#include "io/fd-private.h"
#include "loopback.h"

#define NEVER G_MAXINT64

static atomic_uint n_tries;   /* calls of recv () */

ssize_t __real_recv (int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_recv (int fd, void *buffer, size_t size, int flags);

ssize_t
__wrap_recv (int fd, void *buffer, size_t size, int flags)
{
  atomic_fetch_add (&n_tries, 1);
  return __real_recv (fd, buffer, size, flags);
}

/* --- sockets ----------------------------------------------------------------------------------- */

static struct sockaddr_in
get_address (int fd)
{
  struct sockaddr_in address;
  socklen_t length = sizeof address;

  ck_assert_int_eq (getsockname (fd, (struct sockaddr *) &address, &length), 0);
  return address;
}

static socklen_t
get_any_address (int fd, struct sockaddr_storage *address)
{
  socklen_t length = sizeof *address;

  ck_assert_int_eq (getsockname (fd, (struct sockaddr *) address, &length), 0);
  return length;
}

/* By a name that the system makes up. */
static int
new_local_listener (int backlog)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  ck_assert_int_eq (bind (fd, (struct sockaddr *) &address, sizeof address.sun_family), 0);
  ck_assert_int_eq (listen (fd, backlog), 0);
  return fd;
}

static int
new_listener (int backlog)
{
  guint port;

  return listen_on_port (backlog, &port);
}

static int
new_socket (void)
{
  return socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* Connects without waiting; the other end need not accept. */
static int
connect_to (int listener)
{
  struct sockaddr_in address = get_address (listener);
  int fd = new_socket ();

  ck_assert_int_eq (connect (fd, (struct sockaddr *) &address, sizeof address), 0);
  return fd;
}

/* Two ends of a TCP connection. */
static void
make_connection (int fds[2])
{
  int listener = new_listener (1);

  fds[0] = connect_to (listener);
  fds[1] = accept (listener, NULL, NULL);
  ck_assert_int_ge (fds[1], 0);
  close (listener);
}

static void
make_pair (int fds[2], int type)
{
  ck_assert_int_eq (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
}

/* Where there are five bytes to be read, but none to peek at. */
static void
make_pair_to_peek (int fds[2])
{
  const int offset = 5;

  make_pair (fds, SOCK_STREAM);
  ck_assert_int_eq (setsockopt (fds[0], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset), 0);
  ck_assert_int_eq (write (fds[1], "there", 5), 5);
}

/* Until there is no room. */
static void
fill (int fd)
{
  static const char zeros[65536];
  int flags = fcntl (fd, F_GETFL);

  fcntl (fd, F_SETFL, flags | O_NONBLOCK);
  for (gsize size = sizeof zeros; size > 0; size /= 2)
    {
      while (write (fd, zeros, size) > 0)
        ;
    }
  ck_assert_int_eq (errno, EAGAIN);
}

/* Until there is nothing for the moment. */
static void
drain (int fd)
{
  char buffer[65536];
  int flags = fcntl (fd, F_GETFL);

  fcntl (fd, F_SETFL, flags | O_NONBLOCK);
  while (read (fd, buffer, sizeof buffer) > 0)
    ;
}

/* --- calls that wait --------------------------------------------------------------------------- */

enum
{
  CALL_RECV,
  CALL_PEEK,       /* behind what there is, so that the descriptor is ready all the time */
  CALL_SEND,
  CALL_READ,
  CALL_WRITE,
  CALL_ACCEPT,
  CALL_CONNECT,
  CALL_CONNECT_LOCAL,
  CALL_READY,
  N_CALLS
};

/* A call that has to wait, and the other end, which can make it go on. */
typedef struct
{
  int       call;
  MorrowFd *fd;         /* owned */
  int       peer;       /* owned, or -1 */
  int       backlog[4]; /* owned: connections that fill a listener */
} Wait;

/* A listener takes one connection more than it was told; the next is not answered, or turned away if it is local. */
static void
fill_backlog (Wait *self)
{
  struct sockaddr_storage address;
  socklen_t length = get_any_address (self->peer, &address);

  for (guint i = 0; i < G_N_ELEMENTS (self->backlog); i++)
    {
      self->backlog[i] = socket (address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      connect (self->backlog[i], (struct sockaddr *) &address, length);
    }
}

/* Those that still knock are gone first, so that they do not take the place of the one that waits. */
static void
empty_backlog (Wait *self)
{
  int fd;

  for (guint i = 0; i < G_N_ELEMENTS (self->backlog); i++)
    {
      close (self->backlog[i]);
      self->backlog[i] = -1;
    }
  fcntl (self->peer, F_SETFL, O_NONBLOCK);
  while ((fd = accept (self->peer, NULL, NULL)) >= 0)
    close (fd);
}

static void
wait_init (Wait *self, int call)
{
  int fds[2] = { -1, -1 };

  *self = (Wait) { .call = call, .backlog = { -1, -1, -1, -1 } };
  switch (call)
    {
    case CALL_RECV:
      make_connection (fds);
      break;
    case CALL_PEEK:
      make_pair_to_peek (fds);
      break;
    case CALL_SEND:
      make_pair (fds, SOCK_STREAM);
      fill (fds[0]);
      break;
    case CALL_READ:
    case CALL_READY:
      ck_assert_int_eq (pipe2 (fds, O_CLOEXEC), 0);
      break;
    case CALL_WRITE:
      ck_assert_int_eq (pipe2 (fds, O_CLOEXEC), 0);
      fill (fds[1]);
      fds[0] ^= fds[1], fds[1] ^= fds[0], fds[0] ^= fds[1];
      break;
    case CALL_ACCEPT:
      fds[0] = new_listener (1);
      break;
    case CALL_CONNECT_LOCAL:
      fds[0] = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      fds[1] = new_local_listener (0);
      break;
    default:
      fds[0] = new_socket ();
      fds[1] = new_listener (0);
    }

  self->fd = morrow_fd_new (fds[0]);
  self->peer = fds[1];
  if (call == CALL_CONNECT || call == CALL_CONNECT_LOCAL)
    fill_backlog (self);
}

static void
wait_clear (Wait *self)
{
  morrow_fd_unref (self->fd);
  for (guint i = 0; i < G_N_ELEMENTS (self->backlog); i++)
    {
      if (self->backlog[i] >= 0)
        close (self->backlog[i]);
    }
  if (self->peer >= 0)
    close (self->peer);
}

static gssize
wait_call (Wait *self, gint64 deadline, GError **error)
{
  char buffer[16] = "0123456789abcde";
  struct sockaddr_storage address;
  socklen_t length;

  switch (self->call)
    {
    case CALL_RECV:
      return morrow_fd_recv (self->fd, buffer, sizeof buffer, 0, deadline, error);
    case CALL_PEEK:
      return morrow_fd_recv (self->fd, buffer, sizeof buffer, MSG_PEEK, deadline, error);
    case CALL_SEND:
      return morrow_fd_send (self->fd, buffer, sizeof buffer, 0, deadline, error);
    case CALL_READ:
      return morrow_fd_read (self->fd, buffer, sizeof buffer, deadline, error);
    case CALL_WRITE:
      return morrow_fd_write (self->fd, buffer, sizeof buffer, deadline, error);
    case CALL_ACCEPT:
      return morrow_fd_accept (self->fd, NULL, NULL, deadline, error);
    case CALL_CONNECT:
    case CALL_CONNECT_LOCAL:
      length = get_any_address (self->peer, &address);
      return morrow_fd_connect (self->fd, (struct sockaddr *) &address, length, deadline, error);
    default:
      return morrow_await (morrow_fd_ready (self->fd, G_IO_IN), error) ? 1 : -1;
    }
}

/* Makes the call go on: at the other end, from any thread. */
static void
wait_allow (Wait *self)
{
  switch (self->call)
    {
    case CALL_RECV:
    case CALL_PEEK:
    case CALL_READ:
    case CALL_READY:
      ck_assert_int_eq (write (self->peer, "hello", 5), 5);
      break;
    case CALL_SEND:
    case CALL_WRITE:
      drain (self->peer);
      break;
    case CALL_ACCEPT:
      self->peer = connect_to (morrow_fd_get_fd (self->fd));
      break;
    default:
      empty_backlog (self);
    }
}

/* Every call under every model. */
#define N_WAITS (N_CALLS * N_MODELS)

static void
run_wait (int i, gboolean (*func) (gpointer, GValue *, GError **))
{
  g_autoptr (MorrowExecutor) executor = make_model (i % N_MODELS);
  Wait wait;

  wait_init (&wait, i / N_MODELS);
  run_scene_on (executor, func, &wait);
  wait_clear (&wait);
}

static gboolean
time_out (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  gint64 deadline = g_get_monotonic_time () + 3000;

  ck_assert_int_eq (wait_call (data, deadline, &local_error), -1);
  assert_error (local_error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  ck_assert_int_ge (g_get_monotonic_time (), deadline);
  return TRUE;
}

START_TEST (wait_ends_at_the_deadline)
{
  if (_i / N_MODELS != CALL_READY)
    run_wait (_i, time_out);
}
END_TEST

/* What another thread does to a task that waits, or is about to. */
typedef struct
{
  Wait         *wait;
  MorrowFuture *task;   /* owned */
} Outside;

static gpointer
cancel_task (gpointer data)
{
  Outside *self = data;

  morrow_future_cancel_with_message (self->task, "from outside");
  morrow_future_unref (self->task);
  return NULL;
}

static gboolean
be_cancelled (gpointer data, GValue *result, GError **error)
{
  Outside outside = { .wait = data, .task = morrow_future_ref (morrow_current_task ()) };
  g_autoptr (GError) local_error = NULL;
  GThread *thread = g_thread_new ("cancel", cancel_task, &outside);

  ck_assert_int_eq (wait_call (data, NEVER, &local_error), -1);
  assert_cancelled (local_error);
  ck_assert_str_eq (local_error->message, "from outside");
  g_thread_join (thread);
  ck_assert_uint_eq (morrow_future_uncancel (morrow_current_task ()), 0);
  return TRUE;
}

START_TEST (wait_ends_by_a_cancel_from_another_thread)
{
  run_wait (_i, be_cancelled);
}
END_TEST

static gpointer
close_fd (gpointer data)
{
  morrow_fd_close (((Wait *) data)->fd);
  return NULL;
}

static gboolean
be_closed (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autoptr (GError) later_error = NULL;
  GThread *thread = g_thread_new ("close", close_fd, data);

  ck_assert_int_eq (wait_call (data, NEVER, &local_error), -1);
  assert_error (local_error, MORROW_ERROR, MORROW_ERROR_CLOSED);
  g_thread_join (thread);
  ck_assert_int_eq (wait_call (data, NEVER, &later_error), -1);
  assert_error (later_error, MORROW_ERROR, MORROW_ERROR_CLOSED);
  ck_assert_int_eq (morrow_fd_get_fd (((Wait *) data)->fd), -1);
  return TRUE;
}

START_TEST (wait_ends_by_a_close_from_another_thread)
{
  run_wait (_i, be_closed);
}
END_TEST

static gpointer
allow (gpointer data)
{
  wait_allow (data);
  return NULL;
}

static gboolean
be_allowed (gpointer data, GValue *result, GError **error)
{
  Wait *wait = data;
  GThread *thread = g_thread_new ("allow", allow, wait);
  gssize n = wait_call (wait, NEVER, error);

  g_thread_join (thread);
  ck_assert_msg (n >= 0, "%s", *error != NULL ? (*error)->message : "");
  if (wait->call == CALL_ACCEPT)
    close (n);
  else if (wait->call == CALL_SEND || wait->call == CALL_WRITE)
    ck_assert_int_eq (n, 16);
  else if (wait->call == CALL_RECV || wait->call == CALL_PEEK || wait->call == CALL_READ)
    ck_assert_int_eq (n, 5);
  return TRUE;
}

START_TEST (wait_ends_when_the_call_can_be_done)
{
  run_wait (_i, be_allowed);
}
END_TEST

/* What somebody else runs on the thread of a task that waits. */
typedef struct
{
  Wait  *wait;
  gint64 deadline;
} Long;

static gboolean
allow_and_take_long (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  Long *self = data;

  wait_allow (self->wait);
  morrow__clock_advance (self->deadline + 1 - morrow__clock_now ());
  return TRUE;
}

static gboolean
be_allowed_meanwhile (gpointer data, GValue *result, GError **error)
{
  Long work = { .wait = data, .deadline = morrow__clock_now () + 10 * G_USEC_PER_SEC };
  g_autoptr (MorrowFuture) now = new_int (1);
  g_autoptr (MorrowFuture) then = morrow_future_then (now, allow_and_take_long, &work, NULL);
  gssize n = wait_call (work.wait, work.deadline, error);

  if (n < 0)
    return FALSE;
  if (work.wait->call == CALL_ACCEPT)
    close (n);
  await_ok (then);
  return TRUE;
}

/* Not on a pool of loops, where the callback is another's, and the clock jumps for who sleeps. */
START_TEST (what_came_in_time_counts_though_the_thread_was_taken_until_after_the_deadline)
{
  if (_i % N_MODELS == MODEL_LOOPS)
    return;

  morrow__clock_set_virtual (TRUE);
  run_wait (_i, be_allowed_meanwhile);
  morrow__clock_set_virtual (FALSE);
}
END_TEST

/* --- on a loop --------------------------------------------------------------------------------- */

static gboolean
recv_until_closed (gpointer data, GValue *result, GError **error)
{
  Long *self = data;
  g_autoptr (GError) local_error = NULL;

  ck_assert_int_eq (wait_call (self->wait, self->deadline, &local_error), -1);
  assert_error (local_error, MORROW_ERROR, MORROW_ERROR_CLOSED);
  return TRUE;
}

static gboolean
do_nothing (gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

/* The task that waits goes on behind so many others that the loop looks at its timers before. */
static gboolean
close_in_time (gpointer data, GValue *result, GError **error)
{
  enum { N_OTHERS = 1000 };
  Long work = { .wait = data, .deadline = morrow__clock_now () + 10 * G_USEC_PER_SEC };
  g_autoptr (MorrowFuture) waiting = morrow_spawn (recv_until_closed, &work, NULL);
  MorrowFuture *others[N_OTHERS];
  g_autoptr (MorrowFuture) all = NULL;

  ck_assert (morrow_yield (NULL));
  for (guint i = 0; i < N_OTHERS; i++)
    others[i] = morrow_spawn (do_nothing, NULL, NULL);
  all = morrow_gatherv (others, N_OTHERS);
  morrow_fd_close (work.wait->fd);
  morrow__clock_advance (work.deadline + 1 - morrow__clock_now ());
  await_ok (waiting);
  await_ok (all);
  return TRUE;
}

START_TEST (close_that_came_in_time_counts_though_the_deadline_has_passed_before_the_task_goes_on)
{
  morrow__clock_set_virtual (TRUE);
  run_wait (CALL_RECV * N_MODELS + MODEL_LOOP, close_in_time);
  morrow__clock_set_virtual (FALSE);
}
END_TEST

static gboolean
call_for_ever (gpointer data, GValue *result, GError **error)
{
  gssize n = wait_call (data, NEVER, error);

  if (n > 0 && ((Wait *) data)->call == CALL_ACCEPT)
    close (n);
  return n >= 0;
}

static gboolean
cancel_sibling (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (call_for_ever, data, NULL));

  let_run ();
  ck_assert (!morrow_future_is_settled (task));
  morrow_future_cancel (task);
  await_cancelled (task);
  return TRUE;
}

START_TEST (parked_task_is_cancelled_by_another)
{
  run_wait (_i * N_MODELS + MODEL_LOOP, cancel_sibling);
}
END_TEST

static gboolean
close_under_sibling (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (call_for_ever, data, NULL));
  g_autoptr (GError) local_error = NULL;

  let_run ();
  ck_assert (!morrow_future_is_settled (task));
  morrow_fd_close (((Wait *) data)->fd);
  local_error = await_error (task);
  assert_error (local_error, MORROW_ERROR, MORROW_ERROR_CLOSED);
  return TRUE;
}

START_TEST (parked_task_is_told_of_a_close)
{
  run_wait (_i * N_MODELS + MODEL_LOOP, close_under_sibling);
}
END_TEST

static gboolean
second_is_refused (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (call_for_ever, data, NULL));
  g_autoptr (GError) local_error = NULL;

  let_run ();
  ck_assert_int_eq (wait_call (data, NEVER, &local_error), -1);
  assert_error (local_error, G_IO_ERROR, G_IO_ERROR_PENDING);
  wait_allow (data);
  await_ok (task);
  return TRUE;
}

START_TEST (second_task_on_the_same_side_is_refused)
{
  run_wait (_i * N_MODELS + MODEL_LOOP, second_is_refused);
}
END_TEST

static gboolean
leave_behind (gpointer data, GValue *result, GError **error)
{
  morrow_future_unref (morrow_create_task (morrow_coroutine (call_for_ever, data, NULL)));
  let_run ();
  return TRUE;
}

START_TEST (task_that_waits_at_the_end_of_the_run_is_cancelled)
{
  run_wait (_i * N_MODELS + MODEL_LOOP, leave_behind);
}
END_TEST

/* --- what the calls give ----------------------------------------------------------------------- */

static gssize
recv_some (MorrowFd *fd, gsize size)
{
  char buffer[256];
  GError *error = NULL;
  gssize n = morrow_fd_recv (fd, buffer, size, 0, NEVER, &error);

  assert_no_error (error);
  return n;
}

/* There is nothing to read: it gets its place on the loop. */
static void
wait_in_vain (MorrowFd *fd)
{
  g_autoptr (GError) error = NULL;
  char byte;

  ck_assert_int_eq (morrow_fd_read (fd, &byte, 1, g_get_monotonic_time () + 100, &error), -1);
  assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

/* On a loop: it has been told of all that had come when this was called. */
static void
wait_for_edges (void)
{
  for (guint i = 0; i < 3; i++)
    ck_assert (morrow_await (morrow_sleep (0.001), NULL));
}

static gboolean
find_the_end (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = NULL;
  int fds[2];

  /* The data and the end come together, */
  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  ck_assert_int_eq (write (fds[1], "hello", 5), 5);
  close (fds[1]);
  ck_assert_int_eq (recv_some (fd, 100), 5);
  ck_assert_int_eq (recv_some (fd, 100), 0);
  ck_assert_int_eq (recv_some (fd, 100), 0);
  morrow_fd_unref (fd);

  /* and the end comes after the data were read, to one that has waited. */
  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  wait_in_vain (fd);
  ck_assert_int_eq (write (fds[1], "hello", 5), 5);
  ck_assert_int_eq (recv_some (fd, 100), 5);
  close (fds[1]);
  ck_assert_int_eq (recv_some (fd, 100), 0);
  return TRUE;
}

static gboolean
read_to_the_end (gpointer data, GValue *result, GError **error)
{
  char buffer[100];
  guint size = 0;
  gssize n;

  while ((n = morrow_fd_read (data, buffer, sizeof buffer, NEVER, error)) > 0)
    size += n;
  return n == 0 && morrow_return_int (result, size);
}

static gboolean
write_until_it_fails (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GError) why = NULL;

  while (morrow_fd_write (data, "hello", 5, NEVER, &why) > 0)
    ;
  assert_error (why, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
  return TRUE;
}

/* They come in one edge. */
static gboolean
find_data_and_end_at_once (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (MorrowFuture) reader = NULL;
  int fds[2];

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  reader = morrow_create_task (morrow_coroutine (read_to_the_end, fd, NULL));
  let_run ();
  ck_assert_int_eq (write (fds[1], "hello", 5), 5);
  close (fds[1]);
  await_ok (reader);
  ck_assert_int_eq (morrow_future_get_int (reader), 5);
  return TRUE;
}

START_TEST (end_that_comes_with_data_is_found_by_one_who_waits)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, find_data_and_end_at_once, NULL);
}
END_TEST

/* Of a pipe, which tells no more than that the other end has gone. */
static gboolean
find_end_of_a_pipe (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) in = NULL, out = NULL;
  g_autoptr (MorrowFuture) reader = NULL, writer = NULL;
  int fds[2], full[2];

  ck_assert (pipe (fds) == 0 && pipe (full) == 0);
  fill (full[1]);
  in = morrow_fd_new (fds[0]);
  out = morrow_fd_new (full[1]);
  reader = morrow_create_task (morrow_coroutine (read_to_the_end, in, NULL));
  writer = morrow_create_task (morrow_coroutine (write_until_it_fails, out, NULL));
  let_run ();
  close (fds[1]);
  close (full[0]);
  await_ok (reader);
  await_ok (writer);
  return TRUE;
}

START_TEST (end_of_a_pipe_is_told_to_who_waits_at_the_other)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);
  void (*before) (int) = signal (SIGPIPE, SIG_IGN);

  run_scene_on (executor, find_end_of_a_pipe, NULL);
  signal (SIGPIPE, before);
}
END_TEST

static gboolean
read_nothing (gpointer data, GValue *result, GError **error)
{
  const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autoptr (MorrowFd) fd = NULL;
      char buffer[8];
      int fds[2];

      make_pair (fds, types[i]);
      fd = morrow_fd_new (fds[0]);
      ck_assert_int_eq (morrow_fd_read (fd, buffer, 0, NEVER, error), 0);
      ck_assert_int_eq (write (fds[1], "one", 3), 3);
      ck_assert_int_eq (morrow_fd_read (fd, buffer, 0, NEVER, error), 0);
      ck_assert_int_eq (morrow_fd_read (fd, buffer, sizeof buffer, NEVER, error), 3);
      close (fds[1]);
    }
  return TRUE;
}

START_TEST (read_of_nothing_does_not_wait_and_takes_no_packet)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, read_nothing, NULL);
}
END_TEST

START_TEST (end_is_found_after_a_short_read)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, find_the_end, NULL);
}
END_TEST

/* Reads of 1 to 8 bytes, so that some end with the data and some do not. */
static gboolean
read_in_pieces (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = NULL;
  int fds[2];
  gsize n = 0;

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  for (guint round = 0; round < 64; round++)
    {
      gsize size = 1 + round % 8;

      ck_assert_int_eq (write (fds[1], "0123456789abcdef", 16), 16);
      for (gsize left = 16; left > 0; )
        {
          gssize m = recv_some (fd, size);

          ck_assert_int_gt (m, 0);
          left -= m;
          n += m;
        }
    }
  ck_assert_uint_eq (n, 64 * 16);
  close (fds[1]);
  return TRUE;
}

START_TEST (data_come_whole_whatever_the_size_of_the_reads)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, read_in_pieces, NULL);
}
END_TEST

static gboolean
be_reset (gpointer data, GValue *result, GError **error)
{
  const struct linger at_once = { .l_onoff = 1 };
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (GError) local_error = NULL;
  char buffer[8];
  int fds[2];

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  setsockopt (fds[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close (fds[1]);
  ck_assert_int_eq (morrow_fd_recv (fd, buffer, sizeof buffer, 0, NEVER, &local_error), -1);
  assert_error (local_error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
  ck_assert (g_str_has_prefix (local_error->message, "recv: "));
  g_clear_error (&local_error);
  ck_assert_int_eq (morrow_fd_send (fd, "hello", 5, 0, NEVER, &local_error), -1);
  assert_error (local_error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
  g_clear_error (&local_error);
  ck_assert_int_eq (morrow_fd_write (fd, "hello", 5, NEVER, &local_error), -1);
  assert_error (local_error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
  return TRUE;
}

START_TEST (reset_is_an_error_and_no_signal)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, be_reset, NULL);
}
END_TEST

static gboolean
be_refused (gpointer data, GValue *result, GError **error)
{
  guint port;
  int reserved = reserve_port (&port);
  struct sockaddr_in address = get_address (reserved);
  g_autoptr (MorrowFd) fd = morrow_fd_new (new_socket ());
  g_autoptr (GError) local_error = NULL;

  ck_assert_int_eq (morrow_fd_connect (fd, (struct sockaddr *) &address, sizeof address, NEVER, &local_error), -1);
  assert_error (local_error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  close (reserved);
  return TRUE;
}

START_TEST (refused_connection_is_an_error)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, be_refused, NULL);
}
END_TEST

static gboolean
connect_it (gpointer data, GValue *result, GError **error)
{
  return wait_call (data, NEVER, error) == 0;
}

/* Which wakes the task for nothing. */
SCENE (connection_is_still_under_way_after_a_cancel_that_is_taken_back)
{
  g_autoptr (MorrowFuture) task = NULL;
  Wait wait;

  wait_init (&wait, CALL_CONNECT);
  task = morrow_create_task (morrow_coroutine (connect_it, &wait, NULL));
  let_run ();
  ck_assert (morrow_future_cancel (task));
  ck_assert_uint_eq (morrow_future_uncancel (task), 0);
  let_run ();
  ck_assert (!morrow_future_is_settled (task));
  ck_assert (morrow_future_cancel (task));
  await_cancelled (task);
  wait_clear (&wait);
  return TRUE;
}

/* A packet ends a read, however large the buffer; the next is there already. */
SCENE (packets_are_read_one_by_one_without_waiting)
{
  g_autoptr (MorrowFd) fd = NULL;
  int fds[2];

  make_pair (fds, SOCK_DGRAM);
  fd = morrow_fd_new (fds[0]);
  wait_in_vain (fd);
  for (guint i = 1; i <= 3; i++)
    ck_assert_int_eq (write (fds[1], "hello", i), i);
  for (guint i = 1; i <= 3; i++)
    ck_assert_int_eq (recv_some (fd, 100), i);
  close (fds[1]);
  return TRUE;
}

/* Two answers are there at once, since the system refuses a request as it is sent. */
static void
request_nonsense_twice (int fd)
{
  struct nlmsghdr request = { .nlmsg_len = sizeof request, .nlmsg_type = 0x7f, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK };

  for (guint i = 0; i < 2; i++)
    ck_assert_int_eq (send (fd, &request, sizeof request, 0), sizeof request);
}

SCENE (packets_of_a_protocol_with_the_number_of_tcp_are_read_one_by_one_without_waiting)
{
  g_autoptr (MorrowFd) fd = NULL;
  int netlink = socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);

  G_STATIC_ASSERT (NETLINK_XFRM == IPPROTO_TCP);
  if (netlink < 0)   /* the system may be without IPsec */
    return TRUE;

  fd = morrow_fd_new (netlink);
  wait_in_vain (fd);
  request_nonsense_twice (netlink);
  ck_assert_int_gt (recv_some (fd, 200), 0);
  ck_assert_int_gt (recv_some (fd, 200), 0);
  return TRUE;
}

SCENE (peeked_data_are_still_there)
{
  g_autoptr (MorrowFd) fd = NULL;
  char buffer[100];
  int fds[2];

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  wait_in_vain (fd);
  ck_assert_int_eq (write (fds[1], "hello", 5), 5);
  ck_assert_int_eq (morrow_fd_recv (fd, buffer, sizeof buffer, MSG_PEEK, NEVER, error), 5);
  ck_assert_int_eq (morrow_fd_recv (fd, buffer, sizeof buffer, MSG_PEEK, NEVER, error), 5);
  ck_assert_int_eq (recv_some (fd, 100), 5);
  close (fds[1]);
  return TRUE;
}

/* Something urgent ends a read too. */
SCENE (data_behind_something_urgent_are_found)
{
  g_autoptr (MorrowFd) fd = NULL;
  int fds[2];

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  ck_assert_int_eq (write (fds[1], "ab", 2), 2);
  ck_assert_int_eq (send (fds[1], "x", 1, MSG_OOB), 1);
  ck_assert_int_eq (write (fds[1], "cd", 2), 2);
  ck_assert (morrow_await_int (morrow_fd_ready (fd, G_IO_PRI), error) & G_IO_PRI);
  ck_assert_int_eq (recv_some (fd, 100), 2);
  ck_assert_int_eq (recv_some (fd, 100), 2);
  close (fds[1]);
  return TRUE;
}

/* The edge of what is there has passed: it is not waited for. */
SCENE (data_are_read_after_a_wait_for_something_urgent)
{
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (MorrowFuture) urgent = NULL;
  char byte;
  int fds[2];

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  wait_in_vain (fd);
  ck_assert_int_eq (write (fds[1], "ab", 2), 2);
  ck_assert_int_eq (morrow_fd_recv (fd, &byte, 1, 0, NEVER, error), 1);
  urgent = morrow_create_task (morrow_fd_ready (fd, G_IO_PRI));
  let_run ();
  ck_assert (!morrow_future_is_settled (urgent));
  morrow_future_cancel (urgent);
  await_cancelled (urgent);
  ck_assert_int_eq (morrow_fd_recv (fd, &byte, 1, 0, NEVER, error), 1);
  ck_assert_int_eq (byte, 'b');
  close (fds[1]);
  return TRUE;
}

/* What is behind it comes with no edge of its own. */
SCENE (data_behind_something_urgent_that_was_read_before_the_loop_saw_it_are_found)
{
  g_autoptr (MorrowFd) fd = NULL;
  char byte;
  int fds[2];

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  wait_in_vain (fd);
  ck_assert_int_eq (write (fds[1], "-", 1), 1);
  ck_assert_int_eq (recv_some (fd, 1), 1);   /* there may be more, for all that is known */
  ck_assert_int_eq (write (fds[1], "ab", 2), 2);
  ck_assert_int_eq (send (fds[1], "x", 1, MSG_OOB), 1);
  ck_assert_int_eq (write (fds[1], "cd", 2), 2);
  ck_assert_int_eq (morrow_fd_recv (fd, &byte, 1, MSG_OOB, NEVER, error), 1);
  ck_assert_int_eq (byte, 'x');
  wait_for_edges ();
  ck_assert_int_eq (recv_some (fd, 100), 2);
  ck_assert_int_eq (recv_some (fd, 100), 2);
  close (fds[1]);
  return TRUE;
}

/* Likewise, by a call that is not here. */
SCENE (data_behind_something_urgent_that_was_found_ready_are_found)
{
  g_autoptr (MorrowFd) fd = NULL;
  char byte;
  int fds[2];

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  wait_in_vain (fd);
  ck_assert_int_eq (write (fds[1], "ab", 2), 2);
  ck_assert_int_eq (send (fds[1], "x", 1, MSG_OOB), 1);
  ck_assert_int_eq (write (fds[1], "cd", 2), 2);
  ck_assert (morrow_await_int (morrow_fd_ready (fd, G_IO_PRI), error) & G_IO_PRI);
  ck_assert_int_eq (recv (fds[0], &byte, 1, MSG_OOB), 1);
  wait_for_edges ();
  ck_assert_int_eq (recv_some (fd, 100), 2);
  ck_assert_int_eq (recv_some (fd, 100), 2);
  close (fds[1]);
  return TRUE;
}

/* The system says at once that there is nothing and will be nothing. */
SCENE (nothing_urgent_is_an_error_whatever_the_last_read_found)
{
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (GError) local_error = NULL;
  char byte;
  int fds[2];

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  wait_in_vain (fd);
  ck_assert_int_eq (morrow_fd_recv (fd, &byte, 1, MSG_OOB, NEVER, &local_error), -1);
  assert_error (local_error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  close (fds[1]);
  return TRUE;
}

/* Which has places of its own: that nothing is there says nothing of what a read takes. */
static void
recv_in_vain (MorrowFd *fd, int flags)
{
  g_autoptr (GError) local_error = NULL;
  char buffer[100];

  ck_assert_int_eq (morrow_fd_recv (fd, buffer, sizeof buffer, flags, g_get_monotonic_time () + 100, &local_error), -1);
  assert_error (local_error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

static gboolean
look_for_errors (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = NULL;
  int fds[2];

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  ck_assert_int_eq (write (fds[1], "hello", 5), 5);
  recv_in_vain (fd, MSG_ERRQUEUE);
  ck_assert_int_eq (recv_some (fd, 100), 5);
  close (fds[1]);
  return TRUE;
}

START_TEST (data_are_read_after_a_look_for_errors_in_vain)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, look_for_errors, NULL);
}
END_TEST

SCENE (data_are_read_after_a_peek_beyond_them_in_vain)
{
  g_autoptr (MorrowFd) fd = NULL;
  int fds[2];

  make_pair_to_peek (fds);
  fd = morrow_fd_new (fds[0]);
  recv_in_vain (fd, MSG_PEEK);
  ck_assert_int_eq (recv_some (fd, 100), 5);
  close (fds[1]);
  return TRUE;
}

/* Of a connection that is over, poll () says so whatever it is asked for. */
static void
make_connection_that_is_over (int fds[2])
{
  struct pollfd poll_fd = { 0 };

  make_connection (fds);
  close (fds[1]);
  ck_assert_int_eq (shutdown (fds[0], SHUT_WR), 0);
  poll_fd.fd = fds[0];
  ck_assert_int_eq (poll (&poll_fd, 1, -1), 1);
  ck_assert_int_eq (poll_fd.revents, POLLHUP);
  fds[1] = -1;
}

/* Long enough to try very often. */
static void
recv_in_vain_and_rest (MorrowFd *fd, int flags)
{
  g_autoptr (GError) local_error = NULL;
  char buffer[100];

  atomic_store (&n_tries, 0);
  ck_assert_int_eq (morrow_fd_recv (fd, buffer, sizeof buffer, flags, g_get_monotonic_time () + 20000, &local_error), -1);
  assert_error (local_error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  ck_assert_uint_ge (atomic_load (&n_tries), 1);
  ck_assert_uint_le (atomic_load (&n_tries), 10);
}

static gboolean
recv_what_never_comes (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) errors = NULL;
  g_autoptr (MorrowFd) peek = NULL;
  int fds[2];

  make_connection_that_is_over (fds);
  errors = morrow_fd_new (fds[0]);
  recv_in_vain_and_rest (errors, MSG_ERRQUEUE);

  make_pair_to_peek (fds);
  peek = morrow_fd_new (fds[0]);
  recv_in_vain_and_rest (peek, MSG_PEEK);
  close (fds[1]);
  return TRUE;
}

START_TEST (call_that_would_block_on_a_descriptor_that_is_ready_is_not_tried_all_the_time)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, recv_what_never_comes, NULL);
}
END_TEST

/* Of a path alone, which nobody can read and nothing can be set of. */
static gboolean
use_a_path (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = morrow_fd_new (open ("/", O_PATH | O_CLOEXEC));
  g_autoptr (GError) read_error = NULL;
  g_autoptr (GError) ready_error = NULL;
  char byte;

  ck_assert_int_eq (morrow_fd_read (fd, &byte, 1, NEVER, &read_error), -1);
  ck_assert_str_eq (read_error->message, "The descriptor could not be made non-blocking: Bad file descriptor");
  ck_assert (!morrow_await (morrow_fd_ready (fd, G_IO_IN), &ready_error));
  ck_assert_str_eq (ready_error->message, read_error->message);
  return TRUE;
}

START_TEST (descriptor_that_cannot_be_made_non_blocking_is_of_no_use)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, use_a_path, NULL);
}
END_TEST

static MorrowFd *
new_of_none (int why)
{
  errno = why;
  return morrow_fd_new (-1);
}

static gboolean
use_none (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) refused = new_of_none (EMFILE), closed = new_of_none (0);
  g_autoptr (GError) refused_error = NULL, ready_error = NULL, closed_error = NULL;
  char byte;

  ck_assert_int_eq (morrow_fd_get_fd (refused), -1);
  ck_assert_int_eq (morrow_fd_recv (refused, &byte, 1, 0, NEVER, &refused_error), -1);
  ck_assert_str_eq (refused_error->message, "There is no descriptor: Too many open files");
  ck_assert (!morrow_await (morrow_fd_ready (refused, G_IO_IN), &ready_error));
  ck_assert_str_eq (ready_error->message, refused_error->message);
  ck_assert_int_eq (morrow_fd_write (closed, &byte, 1, NEVER, &closed_error), -1);
  ck_assert_str_eq (closed_error->message, "There is no descriptor: Bad file descriptor");
  morrow_fd_close (closed);
  return TRUE;
}

START_TEST (descriptor_that_the_system_did_not_give_is_of_no_use)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, use_none, NULL);
}
END_TEST

static void
ignore_ready (int fd, GIOCondition condition, gpointer data)
{
}

SCENE (descriptor_that_its_loop_watches_cannot_be_waited_for_as_well)
{
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (GError) local_error = NULL;
  MorrowFdWatch *watch;
  char byte;
  int fds[2];

  make_pair (fds, SOCK_STREAM);
  fd = morrow_fd_new (fds[0]);
  watch = morrow_fd_watch_new (morrow_loop_get_current (), fds[0], G_IO_IN, ignore_ready, NULL);
  ck_assert_int_eq (morrow_fd_read (fd, &byte, 1, NEVER, &local_error), -1);
  ck_assert_str_eq (local_error->message, "The descriptor cannot be waited for: this loop watches it already");
  morrow_fd_watch_free (watch);
  close (fds[1]);
  return TRUE;
}

/* As another process may, that has the same open file. */
static gboolean
make_blocking_again (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = NULL;
  int fds[2];

  make_pair (fds, SOCK_STREAM);
  fd = morrow_fd_new (fds[0]);
  fcntl (fds[0], F_SETFL, 0);
  wait_in_vain (fd);
  close (fds[1]);
  return TRUE;
}

START_TEST (read_of_a_socket_does_not_block_whatever_others_make_of_it)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, make_blocking_again, NULL);
}
END_TEST

static gboolean
read_a_file (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = morrow_fd_new (open ("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  char magic[4];

  ck_assert_int_eq (morrow_await_int (morrow_fd_ready (fd, G_IO_IN), error), G_IO_IN);
  ck_assert_int_eq (morrow_fd_read (fd, magic, sizeof magic, NEVER, error), 4);
  ck_assert_mem_eq (magic, "\177ELF", 4);
  return TRUE;
}

START_TEST (file_is_read_without_waiting)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, read_a_file, NULL);
}
END_TEST

START_TEST (call_outside_a_task_is_done_when_it_need_not_wait)
{
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (GError) error = NULL;
  char buffer[8];
  int fds[2];

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  ck_assert_int_eq (write (fds[1], "hello", 5), 5);
  ck_assert_int_eq (recv_some (fd, 8), 5);
  ck_assert_int_eq (morrow_fd_recv (fd, buffer, sizeof buffer, 0, NEVER, &error), -1);
  assert_error (error, MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK);
  close (fds[1]);
}
END_TEST

typedef struct
{
  MorrowFd *fd;
  int       peer;
  gboolean  over;
} Submitted;

static void
read_twice (gpointer data)
{
  Submitted *self = data;
  g_autoptr (GError) error = NULL;
  char byte;

  ck_assert_int_eq (write (self->peer, "x", 1), 1);
  ck_assert_int_eq (recv_some (self->fd, 8), 1);
  ck_assert_int_eq (morrow_fd_recv (self->fd, &byte, 1, 0, NEVER, &error), -1);
  assert_error (error, MORROW_ERROR, MORROW_ERROR_NOT_IN_TASK);
  self->over = TRUE;
}

/* What has come since the loop last looked is not known to it. */
SCENE (callback_reads_what_is_there_though_the_last_read_found_nothing)
{
  g_autoptr (MorrowFd) fd = NULL;
  Submitted submitted = { 0 };
  int fds[2];

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  wait_in_vain (fd);
  submitted = (Submitted) { .fd = fd, .peer = fds[1] };
  morrow_executor_submit (morrow_executor_get_current (), read_twice, &submitted, NULL);
  while (!submitted.over)
    ck_assert (morrow_yield (error));
  close (fds[1]);
  return TRUE;
}

/* --- readiness --------------------------------------------------------------------------------- */

static gboolean
ask_for_readiness (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = NULL;
  int fds[2];

  make_pair (fds, SOCK_STREAM);
  fd = morrow_fd_new (fds[0]);
  ck_assert_int_eq (morrow_await_int (morrow_fd_ready (fd, G_IO_OUT), error), G_IO_OUT);
  ck_assert_int_eq (morrow_await_int (morrow_fd_ready (fd, G_IO_IN | G_IO_OUT), error), G_IO_OUT);
  ck_assert_int_eq (write (fds[1], "hello", 5), 5);
  ck_assert_int_eq (morrow_await_int (morrow_fd_ready (fd, G_IO_IN), error), G_IO_IN);
  ck_assert_int_eq (morrow_await_int (morrow_fd_ready (fd, G_IO_IN | G_IO_OUT), error), G_IO_IN | G_IO_OUT);

  /* What was read behind our back is not there any more. */
  drain (fds[0]);
  ck_assert_int_eq (morrow_await_int (morrow_fd_ready (fd, G_IO_IN | G_IO_OUT), error), G_IO_OUT);
  close (fds[1]);
  ck_assert (morrow_await_int (morrow_fd_ready (fd, G_IO_IN), error) & G_IO_HUP);
  return TRUE;
}

START_TEST (readiness_is_that_of_the_moment)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, ask_for_readiness, NULL);
}
END_TEST

SCENE (both_sides_are_waited_for_at_once)
{
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (MorrowFuture) ready = NULL;
  int fds[2];

  make_pair (fds, SOCK_STREAM);
  fill (fds[0]);
  fd = morrow_fd_new (fds[0]);
  ready = morrow_create_task (morrow_fd_ready (fd, G_IO_IN | G_IO_OUT));
  let_run ();
  ck_assert (!morrow_future_is_settled (ready));
  ck_assert_int_eq (write (fds[1], "hello", 5), 5);
  await_ok (ready);
  ck_assert_int_eq (morrow_future_get_int (ready), G_IO_IN);
  close (fds[1]);
  return TRUE;
}

SCENE (room_is_waited_for_beside_data)
{
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (MorrowFuture) ready = NULL;
  int fds[2];

  make_pair (fds, SOCK_STREAM);
  fill (fds[0]);
  fd = morrow_fd_new (fds[0]);
  ready = morrow_create_task (morrow_fd_ready (fd, G_IO_IN | G_IO_OUT));
  let_run ();
  ck_assert (!morrow_future_is_settled (ready));
  drain (fds[1]);
  await_ok (ready);
  ck_assert_int_eq (morrow_future_get_int (ready), G_IO_OUT);
  close (fds[1]);
  return TRUE;
}

SCENE (reader_and_writer_wait_side_by_side)
{
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (MorrowFuture) in = NULL;
  g_autoptr (MorrowFuture) out = NULL;
  int fds[2];

  make_pair (fds, SOCK_STREAM);
  fill (fds[0]);
  fd = morrow_fd_new (fds[0]);
  in = morrow_create_task (morrow_fd_ready (fd, G_IO_IN));
  out = morrow_create_task (morrow_fd_ready (fd, G_IO_OUT));
  let_run ();
  ck_assert (!morrow_future_is_settled (in) && !morrow_future_is_settled (out));
  drain (fds[1]);
  await_ok (out);
  ck_assert (!morrow_future_is_settled (in));
  ck_assert_int_eq (write (fds[1], "hello", 5), 5);
  await_ok (in);
  close (fds[1]);
  return TRUE;
}

/* A local socket has room for a send long before poll () says so. */
SCENE (side_that_was_found_not_ready_is_tried_all_the_same)
{
  static const char zeros[512];
  struct pollfd poll_fd = { .events = POLLOUT };
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (MorrowFuture) ready = NULL;
  int fds[2];

  make_pair (fds, SOCK_STREAM);
  fd = morrow_fd_new (fds[0]);
  poll_fd.fd = fds[0];
  while (poll (&poll_fd, 1, 0) == 1)
    ck_assert_int_gt (write (fds[0], zeros, sizeof zeros), 0);
  ready = morrow_create_task (morrow_fd_ready (fd, G_IO_IN | G_IO_OUT));
  let_run ();
  ck_assert (!morrow_future_is_settled (ready));
  ck_assert_int_eq (write (fds[1], "hello", 5), 5);
  await_ok (ready);
  ck_assert_int_eq (morrow_future_get_int (ready), G_IO_IN);
  ck_assert_int_eq (morrow_fd_send (fd, "hello", 5, 0, NEVER, error), 5);
  close (fds[1]);
  return TRUE;
}

START_TEST (readiness_nobody_waits_for_warns_as_a_coroutine_does)
{
  MorrowFd *fd = morrow_fd_new (open ("/dev/null", O_RDWR | O_CLOEXEC));

  morrow_check_expect_warning ("coroutine 'morrow_fd_ready' was never awaited*");
  morrow_future_unref (morrow_fd_ready (fd, G_IO_IN));
  morrow_fd_unref (fd);
}
END_TEST

/* --- fairness, life, threads ------------------------------------------------------------------- */

#define N_READS 6400

static gboolean
read_zeros (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = morrow_fd_new (open ("/dev/zero", O_RDONLY | O_CLOEXEC));
  char byte;

  for (guint i = 0; i < N_READS; i++)
    {
      if (morrow_fd_read (fd, &byte, 1, NEVER, error) != 1)
        return FALSE;
    }
  return TRUE;
}

/* After four reads it is the other's turn. */
SCENE (task_whose_data_are_always_there_leaves_others_their_turn)
{
  g_autoptr (MorrowFuture) zeros = morrow_create_task (morrow_coroutine (read_zeros, NULL, NULL));
  guint n_turns = 0;

  while (!morrow_future_is_settled (zeros))
    {
      ck_assert (morrow_yield (error));
      n_turns++;
    }
  await_ok (zeros);
  ck_assert_uint_ge (n_turns, N_READS / 4 - 1);
  return TRUE;
}

static gboolean
insist (gpointer data, GValue *result, GError **error)
{
  const gboolean *enough = data;
  g_autoptr (MorrowFd) fd = morrow_fd_new (open ("/dev/zero", O_RDONLY | O_CLOEXEC));
  guint n_calls = 0;
  char byte;

  morrow_fd_close (fd);
  while (!*enough)
    {
      g_autoptr (GError) local_error = NULL;

      ck_assert_int_eq (morrow_fd_read (fd, &byte, 1, NEVER, &local_error), -1);
      assert_error (local_error, MORROW_ERROR, MORROW_ERROR_CLOSED);
      ck_assert_uint_lt (++n_calls, 100);
    }
  return TRUE;
}

SCENE (task_whose_calls_all_fail_leaves_others_their_turn)
{
  gboolean enough = FALSE;
  g_autoptr (MorrowFuture) task = morrow_create_task (morrow_coroutine (insist, &enough, NULL));

  ck_assert (morrow_yield (error));
  enough = TRUE;
  await_ok (task);
  return TRUE;
}

SCENE (task_whose_data_are_always_there_can_be_cancelled)
{
  g_autoptr (MorrowFuture) zeros = morrow_create_task (morrow_coroutine (read_zeros, NULL, NULL));

  ck_assert (morrow_yield (error));
  morrow_future_cancel (zeros);
  await_cancelled (zeros);
  return TRUE;
}

typedef struct
{
  MorrowFd *fd;     /* owned, until the callback lets go of it */
  gboolean  over;   /* the callback has returned, or is about to */
} Going;

static void
unref_fd (int fd, GIOCondition condition, gpointer data)
{
  Going *going = data;

  g_clear_pointer (&going->fd, morrow_fd_unref);
  going->over = TRUE;
}

/* As a dialogue does. */
static void
unref_fd_and_turn (int fd, GIOCondition condition, gpointer data)
{
  Going *going = data;

  drain (fd);
  g_clear_pointer (&going->fd, morrow_fd_unref);
  for (guint i = 0; i < 3; i++)
    g_main_context_iteration (g_main_context_get_thread_default (), FALSE);
  going->over = TRUE;
}

/* The event that names it may be behind the one that is being dealt with. */
static gboolean
let_go_inside (MorrowFdFunc func, GError **error)
{
  for (guint i = 0; i < 2; i++)
    {
      Going going = { NULL };
      MorrowFdWatch *watch;
      int fds[2], other[2];

      make_pair (fds, SOCK_STREAM);
      make_pair (other, SOCK_STREAM);
      going.fd = morrow_fd_new (fds[0]);
      wait_in_vain (going.fd);
      watch = morrow_fd_watch_new (morrow_loop_get_current (), other[0], G_IO_IN, func, &going);
      ck_assert_int_eq (write (i == 0 ? fds[1] : other[1], "hello", 5), 5);
      ck_assert_int_eq (write (i == 0 ? other[1] : fds[1], "hello", 5), 5);
      while (!going.over)
        ck_assert (morrow_yield (error));
      morrow_fd_watch_free (watch);
      close (fds[1]);
      close (other[0]);
      close (other[1]);
    }
  return TRUE;
}

SCENE (descriptor_may_go_inside_a_callback)
{
  return let_go_inside (unref_fd, error);
}

SCENE (descriptor_may_go_inside_a_callback_that_runs_a_main_loop)
{
  return let_go_inside (unref_fd_and_turn, error);
}

static gboolean
recv_five (gpointer data, GValue *result, GError **error)
{
  ck_assert_int_eq (recv_some (data, 5), 5);
  return TRUE;
}

static gboolean
send_after_move (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = NULL;
  int fds[2];

  make_connection (fds);
  fd = morrow_fd_new (fds[0]);
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr (MorrowFuture) task = NULL;

      /* Here it is waited for in vain, there not. */
      wait_in_vain (fd);
      ck_assert_int_eq (write (fds[1], "hello", 5), 5);
      task = morrow_create_task (morrow_coroutine (recv_five, fd, NULL));
      await_ok (task);
    }
  close (fds[1]);
  return TRUE;
}

START_TEST (descriptor_goes_from_loop_to_loop)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, send_after_move, NULL);
}
END_TEST

static gboolean
read_a_byte (gpointer data, GValue *result, GError **error)
{
  char byte;

  return morrow_fd_read (data, &byte, 1, NEVER, error) == 1;
}

/* Until the reader has made a slot for its loop it needs both sides, and would be refused itself. */
static gboolean
is_waited_for (MorrowFd *fd)
{
  gboolean has_slot;

  pthread_mutex_lock (&fd->lock);
  has_slot = fd->slot != NULL;
  pthread_mutex_unlock (&fd->lock);
  return has_slot && atomic_load (&fd->use) == MORROW_SIDE_IN;
}

SCENE (descriptor_that_is_waited_for_on_another_loop_is_refused_with_the_reason)
{
  g_autoptr (MorrowExecutor) elsewhere = morrow_loop_pool_new (1);
  g_autoptr (MorrowFd) fd = NULL;
  g_autoptr (MorrowFuture) reader = NULL;
  g_autoptr (GError) local_error = NULL;
  int fds[2];

  make_pair (fds, SOCK_STREAM);
  fill (fds[0]);
  fd = morrow_fd_new (fds[0]);
  reader = morrow_executor_spawn (elsewhere, morrow_coroutine (read_a_byte, fd, NULL));
  while (!is_waited_for (fd))
    ck_assert (morrow_yield (error));
  ck_assert_int_eq (morrow_fd_write (fd, "hello", 5, NEVER, &local_error), -1);
  assert_error (local_error, G_IO_ERROR, G_IO_ERROR_PENDING);
  ck_assert_str_eq (local_error->message, "Another task reads from this descriptor at the same time, on another loop or thread");
  ck_assert_int_eq (write (fds[1], "x", 1), 1);
  await_ok (reader);
  close (fds[1]);
  return TRUE;
}

/* --- in a forked child ------------------------------------------------------------------------- */

/* Runs @func in a child. Returns: whether it was content there. */
static gboolean
ask_child (gboolean (*func) (gpointer), gpointer data)
{
  pid_t child = fork ();
  int status;

  if (child == 0)
    morrow_check_end_child (func (data) ? 0 : 1);
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  return WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

static gboolean
let_go_in_child (gpointer data)
{
  morrow_fd_unref (data);
  return TRUE;
}

static gboolean
wait_in_child (gpointer data)
{
  g_autoptr (GError) error = NULL;
  char byte;

  return morrow_fd_read (data, &byte, 1, NEVER, &error) < 0 && g_error_matches (error, MORROW_ERROR, MORROW_ERROR_FORKED);
}

static gboolean
run_in_child (gpointer data)
{
  return morrow_run (morrow_coroutine (read_a_byte, data, NULL), NULL, NULL);
}

static gboolean (*const in_child[]) (gpointer) = { let_go_in_child, wait_in_child };

static gboolean
fork_and_wait (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) fd = NULL;
  char byte;
  int fds[2];

  make_pair (fds, SOCK_STREAM);
  fd = morrow_fd_new (fds[0]);
  wait_in_vain (fd);
  ck_assert (ask_child (in_child[GPOINTER_TO_INT (data)], fd));
  ck_assert_int_eq (write (fds[1], "x", 1), 1);
  ck_assert_int_eq (morrow_fd_read (fd, &byte, 1, NEVER, error), 1);
  close (fds[1]);
  return TRUE;
}

START_TEST (parent_goes_on_waiting_for_what_a_child_has_let_go_or_was_refused)
{
  run_scene (fork_and_wait, GINT_TO_POINTER (_i));
}
END_TEST

/* The loop is not in the middle of a turn when the process forks, and its context is the child's too. */
static gboolean
turn_and_let_go_in_child (gpointer data)
{
  for (guint i = 0; i < 3; i++)
    g_main_context_iteration (NULL, FALSE);
  morrow_fd_close (data);
  morrow_fd_unref (data);
  return TRUE;
}

START_TEST (hosts_loop_goes_on_waiting_while_a_child_turns_its_context)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (g_main_context_default ());
  g_autoptr (MorrowFuture) task = NULL;
  int fds[2];
  MorrowFd *fd;

  make_pair (fds, SOCK_STREAM);
  fd = morrow_fd_new (fds[0]);
  task = morrow_executor_spawn (loop, morrow_coroutine (read_a_byte, fd, NULL));
  turn_until_idle (NULL);
  ck_assert_int_eq (write (fds[1], "x", 1), 1);
  ck_assert (ask_child (turn_and_let_go_in_child, fd));
  turn_until_settled (NULL, task);
  ck_assert_int_eq (morrow_future_get_status (task), MORROW_FUTURE_RESOLVED);
  morrow_fd_unref (fd);
  turn_until_idle (NULL);
  close (fds[1]);
}
END_TEST

START_TEST (child_uses_what_it_has_inherited_on_an_executor_of_its_own)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);
  int fds[2];
  MorrowFd *fd;

  make_pair (fds, SOCK_STREAM);
  fd = morrow_fd_new (fds[0]);
  ck_assert_int_eq (write (fds[1], "x", 1), 1);
  run_scene_on (loop, read_a_byte, fd);
  ck_assert_int_eq (write (fds[1], "y", 1), 1);
  ck_assert (ask_child (run_in_child, fd));
  morrow_fd_unref (fd);
  close (fds[1]);
}
END_TEST

/* --- an echo ----------------------------------------------------------------------------------- */

#define N_CLIENTS  8
#define N_MESSAGES 50

static gboolean
echo (gpointer data, GValue *result, GError **error)
{
  MorrowFd *fd = data;
  char buffer[64];
  gssize n;

  while ((n = morrow_fd_recv (fd, buffer, sizeof buffer, 0, NEVER, error)) > 0)
    {
      if (morrow_fd_send (fd, buffer, n, 0, NEVER, error) != n)
        return FALSE;
    }
  return n == 0;
}

static gboolean
serve (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *handlers[N_CLIENTS];

  for (guint i = 0; i < N_CLIENTS; i++)
    {
      int fd = morrow_fd_accept (data, NULL, NULL, NEVER, error);

      if (fd < 0)
        return FALSE;
      handlers[i] = morrow_create_task (morrow_coroutine (echo, morrow_fd_new (fd), (GDestroyNotify) morrow_fd_unref));
    }
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      await_ok (handlers[i]);
      morrow_future_unref (handlers[i]);
    }
  return TRUE;
}

/* Messages of 1 to 100 bytes, so that some take two reads. */
static gboolean
ask (gpointer data, GValue *result, GError **error)
{
  struct sockaddr_in *address = data;
  g_autoptr (MorrowFd) fd = morrow_fd_new (new_socket ());
  char message[100] = "a message", reply[100];
  gsize n = 0;

  if (morrow_fd_connect (fd, (struct sockaddr *) address, sizeof *address, NEVER, error) < 0)
    return FALSE;
  for (guint i = 0; i < N_MESSAGES; i++)
    {
      gsize size = 1 + i * 37 % 100, got = 0;

      ck_assert_int_eq (morrow_fd_write (fd, message, size, NEVER, error), size);
      while (got < size)
        {
          gssize m = morrow_fd_read (fd, reply + got, sizeof reply - got, NEVER, error);

          ck_assert_int_gt (m, 0);
          got += m;
        }
      ck_assert_uint_eq (got, size);
      ck_assert_mem_eq (message, reply, size);
      n += got;
    }
  return morrow_return_uint64 (result, n);
}

static gboolean
serve_and_ask (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowFd) listener = morrow_fd_new (new_listener (N_CLIENTS));
  struct sockaddr_in address = get_address (morrow_fd_get_fd (listener));
  g_autoptr (MorrowFuture) server = morrow_create_task (morrow_coroutine (serve, listener, NULL));
  MorrowFuture *clients[N_CLIENTS];
  guint64 n = 0, n_expected = 0;

  for (guint i = 0; i < N_CLIENTS; i++)
    clients[i] = morrow_create_task (morrow_coroutine (ask, &address, NULL));
  for (guint i = 0; i < N_CLIENTS; i++)
    n += morrow_await_uint64 (clients[i], error);
  for (guint i = 0; i < N_MESSAGES; i++)
    n_expected += 1 + i * 37 % 100;
  ck_assert_uint_eq (n, N_CLIENTS * n_expected);
  await_ok (server);
  return TRUE;
}

START_TEST (echo_gives_back_every_byte)
{
  g_autoptr (MorrowExecutor) executor = _i == MODEL_THREADS ? morrow_thread_pool_new (3 * N_CLIENTS) : make_model (_i);
  guint n_descriptors = 0;

  for (guint i = 0; i < 2; i++)
    {
      run_scene_on (executor, serve_and_ask, NULL);
      if (i == 0 && _i != MODEL_THREADS)
        n_descriptors = count_descriptors () - count_rings ();
    }
  if (_i != MODEL_THREADS)
    ck_assert_uint_eq (count_descriptors () - count_rings (), n_descriptors);
}
END_TEST

/* --- races ------------------------------------------------------------------------------------- */

#define N_RACED_WAITS (400 / morrow_check_slowness ())

/* A cancel, a close and data, all at once: one of them ends the wait, and nothing is lost or left. */
typedef struct
{
  Wait          wait;
  MorrowFuture *task;
} Race;

static gpointer
race_cancel (gpointer data)
{
  Race *self = data;

  morrow_future_cancel (self->task);
  return NULL;
}

static gpointer
race_close (gpointer data)
{
  Race *self = data;

  morrow_fd_close (self->wait.fd);
  return NULL;
}

static gboolean
be_raced_for (gpointer data, GValue *result, GError **error)
{
  for (guint i = 0; i < N_RACED_WAITS; i++)
    {
      Race race = { .task = morrow_current_task () };
      g_autoptr (GError) local_error = NULL;
      GThread *threads[2];
      gssize n;

      wait_init (&race.wait, CALL_READ);
      if (i % 4 == 0)
        wait_allow (&race.wait);
      threads[0] = g_thread_new ("cancel", race_cancel, &race);
      threads[1] = g_thread_new ("close", race_close, &race);
      n = wait_call (&race.wait, g_get_monotonic_time () + i % 100, &local_error);
      ck_assert_msg (n == 5 || g_error_matches (local_error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ||
                       g_error_matches (local_error, MORROW_ERROR, MORROW_ERROR_CLOSED) ||
                       g_error_matches (local_error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT),
                     "%s", local_error != NULL ? local_error->message : "");
      g_thread_join (threads[0]);
      g_thread_join (threads[1]);
      while (morrow_future_uncancel (race.task) > 0)
        ;
      ck_assert_int_eq (morrow_fd_get_fd (race.wait.fd), -1);
      wait_clear (&race.wait);
    }
  return TRUE;
}

START_TEST (cancel_close_and_data_race)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, be_raced_for, NULL);
}
END_TEST

typedef struct
{
  MorrowFd   *fd;        /* borrowed: a socket with a byte to be read, and room */
  Rendezvous  meeting;
} Sides;

static gboolean
peek_often (gpointer data, GValue *result, GError **error)
{
  Sides *self = data;
  char byte;

  while (rendezvous_take_round (&self->meeting))
    {
      rendezvous_meet (&self->meeting);
      ck_assert_int_eq (morrow_fd_recv (self->fd, &byte, 1, MSG_PEEK, NEVER, error), 1);
      rendezvous_meet (&self->meeting);
    }
  rendezvous_end (&self->meeting);
  return TRUE;
}

static gboolean
send_nothing_often (gpointer data, GValue *result, GError **error)
{
  Sides *self = data;

  while (rendezvous_follow (&self->meeting))
    {
      ck_assert_int_eq (morrow_fd_send (self->fd, "", 0, 0, NEVER, error), 0);
      rendezvous_meet (&self->meeting);
    }
  return TRUE;
}

/* Neither is in the other's way, and neither takes the other's mark off. */
SCENE (reader_and_writer_on_two_threads_begin_and_end_at_once)
{
  g_autoptr (MorrowExecutor) threads = morrow_thread_pool_new (2);
  g_autoptr (MorrowFd) fd = NULL;
  MorrowFuture *tasks[2];
  Sides sides;
  int fds[2];

  ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  ck_assert_int_eq (write (fds[1], "x", 1), 1);
  sides.fd = fd = morrow_fd_new (fds[0]);
  rendezvous_init (&sides.meeting, G_N_ELEMENTS (tasks), N_RACES);
  tasks[0] = morrow_executor_spawn (threads, morrow_coroutine (peek_often, &sides, NULL));
  tasks[1] = morrow_executor_spawn (threads, morrow_coroutine (send_nothing_often, &sides, NULL));
  ck_assert (morrow_await (morrow_gatherv (tasks, G_N_ELEMENTS (tasks)), error));
  close (fds[1]);
  return TRUE;
}

static Suite *
make_suite (void)
{
  Suite *suite = suite_create ("fd");
  TCase *waits = morrow_check_add_case (suite, "waits");
  TCase *parked = morrow_check_add_case (suite, "parked");
  TCase *calls = morrow_check_add_case (suite, "calls");
  TCase *ready = morrow_check_add_case (suite, "ready");
  TCase *life = morrow_check_add_case (suite, "life");
  TCase *children = morrow_check_add_case (suite, "children");
  TCase *threads = morrow_check_add_case (suite, "threads");

  tcase_add_loop_test (waits, wait_ends_at_the_deadline, 0, N_WAITS);
  tcase_add_loop_test (waits, wait_ends_by_a_cancel_from_another_thread, 0, N_WAITS);
  tcase_add_loop_test (waits, wait_ends_by_a_close_from_another_thread, 0, N_WAITS);
  tcase_add_loop_test (waits, wait_ends_when_the_call_can_be_done, 0, N_WAITS);
  tcase_add_test (waits, close_that_came_in_time_counts_though_the_deadline_has_passed_before_the_task_goes_on);
  tcase_add_loop_test (waits, what_came_in_time_counts_though_the_thread_was_taken_until_after_the_deadline, 0,
                       CALL_CONNECT * N_MODELS);

  tcase_add_loop_test (parked, parked_task_is_cancelled_by_another, 0, N_CALLS);
  tcase_add_loop_test (parked, parked_task_is_told_of_a_close, 0, N_CALLS);
  tcase_add_loop_test (parked, second_task_on_the_same_side_is_refused, 0, N_CALLS);
  tcase_add_loop_test (parked, task_that_waits_at_the_end_of_the_run_is_cancelled, 0, N_CALLS);

  tcase_add_loop_test (calls, end_is_found_after_a_short_read, 0, N_MODELS);
  tcase_add_loop_test (calls, end_that_comes_with_data_is_found_by_one_who_waits, 0, MODEL_INLINE);
  tcase_add_loop_test (calls, end_of_a_pipe_is_told_to_who_waits_at_the_other, 0, MODEL_INLINE);
  tcase_add_loop_test (calls, read_of_nothing_does_not_wait_and_takes_no_packet, 0, N_MODELS);
  tcase_add_loop_test (calls, data_come_whole_whatever_the_size_of_the_reads, 0, N_MODELS);
  tcase_add_loop_test (calls, reset_is_an_error_and_no_signal, 0, N_MODELS);
  tcase_add_loop_test (calls, refused_connection_is_an_error, 0, N_MODELS);
  tcase_add_test (calls, connection_is_still_under_way_after_a_cancel_that_is_taken_back);
  tcase_add_test (calls, packets_are_read_one_by_one_without_waiting);
  tcase_add_test (calls, packets_of_a_protocol_with_the_number_of_tcp_are_read_one_by_one_without_waiting);
  tcase_add_test (calls, peeked_data_are_still_there);
  tcase_add_test (calls, data_behind_something_urgent_are_found);
  tcase_add_test (calls, data_are_read_after_a_wait_for_something_urgent);
  tcase_add_test (calls, data_behind_something_urgent_that_was_read_before_the_loop_saw_it_are_found);
  tcase_add_test (calls, data_behind_something_urgent_that_was_found_ready_are_found);
  tcase_add_test (calls, nothing_urgent_is_an_error_whatever_the_last_read_found);
  tcase_add_loop_test (calls, data_are_read_after_a_look_for_errors_in_vain, 0, N_MODELS);
  tcase_add_test (calls, data_are_read_after_a_peek_beyond_them_in_vain);
  tcase_add_loop_test (calls, call_that_would_block_on_a_descriptor_that_is_ready_is_not_tried_all_the_time, 0, N_MODELS);
  tcase_add_loop_test (calls, descriptor_that_cannot_be_made_non_blocking_is_of_no_use, 0, N_MODELS);
  tcase_add_loop_test (calls, descriptor_that_the_system_did_not_give_is_of_no_use, 0, N_MODELS);
  tcase_add_test (calls, descriptor_that_its_loop_watches_cannot_be_waited_for_as_well);
  tcase_add_loop_test (calls, read_of_a_socket_does_not_block_whatever_others_make_of_it, 0, N_MODELS);
  tcase_add_loop_test (calls, file_is_read_without_waiting, 0, N_MODELS);
  tcase_add_test (calls, call_outside_a_task_is_done_when_it_need_not_wait);
  tcase_add_test (calls, callback_reads_what_is_there_though_the_last_read_found_nothing);

  tcase_add_loop_test (ready, readiness_is_that_of_the_moment, 0, N_MODELS);
  tcase_add_test (ready, both_sides_are_waited_for_at_once);
  tcase_add_test (ready, room_is_waited_for_beside_data);
  tcase_add_test (ready, reader_and_writer_wait_side_by_side);
  tcase_add_test (ready, side_that_was_found_not_ready_is_tried_all_the_same);
  tcase_add_test (ready, readiness_nobody_waits_for_warns_as_a_coroutine_does);

  tcase_add_test (life, task_whose_data_are_always_there_leaves_others_their_turn);
  tcase_add_test (life, task_whose_calls_all_fail_leaves_others_their_turn);
  tcase_add_test (life, task_whose_data_are_always_there_can_be_cancelled);
  tcase_add_test (life, descriptor_may_go_inside_a_callback);
  tcase_add_test (life, descriptor_may_go_inside_a_callback_that_runs_a_main_loop);
  tcase_add_test (life, descriptor_that_is_waited_for_on_another_loop_is_refused_with_the_reason);
  tcase_add_loop_test (life, descriptor_goes_from_loop_to_loop, 0, N_MODELS);

  tcase_add_loop_test (children, parent_goes_on_waiting_for_what_a_child_has_let_go_or_was_refused, 0, G_N_ELEMENTS (in_child));
  tcase_add_test (children, hosts_loop_goes_on_waiting_while_a_child_turns_its_context);
  tcase_add_test (children, child_uses_what_it_has_inherited_on_an_executor_of_its_own);

  tcase_add_loop_test (threads, echo_gives_back_every_byte, 0, MODEL_INLINE);
  tcase_add_loop_test (threads, cancel_close_and_data_race, 0, N_MODELS);
  tcase_add_test (threads, reader_and_writer_on_two_threads_begin_and_end_at_once);

  return suite;
}

MORROW_CHECK_MAIN (make_suite)
