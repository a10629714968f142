/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls on sockets that are made together: that they are, what each of them gives, and what happens where they cannot be. On a
 * system without io_uring the same must come of it; only how often it was asked differs.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

#include "base/clock-private.h"
#include "core/relay-private.h"
#include "exec/bundle-private.h"
#include "exec/models.h"
#include "exec/reactor-private.h"
#include "fiber/hooks-private.h"

#define NEVER G_MAXINT64
#define MANY  8

/* How often the system was asked, by each call. */
static guint n_recvs, n_sends, n_submits;

ssize_t __real_recv (int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_recv (int fd, void *buffer, size_t size, int flags);
ssize_t __real_send (int fd, const void *buffer, size_t size, int flags);
ssize_t __wrap_send (int fd, const void *buffer, size_t size, int flags);

ssize_t
__wrap_recv (int fd, void *buffer, size_t size, int flags)
{
  n_recvs++;
  return __real_recv (fd, buffer, size, flags);
}

ssize_t
__wrap_send (int fd, const void *buffer, size_t size, int flags)
{
  n_sends++;
  return __real_send (fd, buffer, size, flags);
}

static gboolean is_refused;   /* there is no ring */

#ifdef HAVE_LIBURING

static gboolean is_out_of_memory; /* a ring takes nothing */
static gboolean is_interrupted;   /* so is the first call */

int __real_io_uring_queue_init_params (unsigned size, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params (unsigned size, struct io_uring *ring, struct io_uring_params *params);
int __real_io_uring_submit (struct io_uring *ring);
int __wrap_io_uring_submit (struct io_uring *ring);

int
__wrap_io_uring_queue_init_params (unsigned size, struct io_uring *ring, struct io_uring_params *params)
{
  return is_refused ? -ENOSYS : __real_io_uring_queue_init_params (size, ring, params);
}

int
__wrap_io_uring_submit (struct io_uring *ring)
{
  struct io_uring_cqe *first;
  int n;

  n_submits++;
  if (is_out_of_memory)
    return -EAGAIN;
  n = __real_io_uring_submit (ring);
  if (is_interrupted && io_uring_peek_cqe (ring, &first) == 0)
    first->res = -EINTR;
  return n;
}

#endif

/* Whether calls are made together here. */
static gboolean
has_rings (void)
{
#if defined (HAVE_LIBURING) && !defined (MORROW_TSAN)
  struct io_uring ring;
  struct io_uring_params params = { 0 };

  if (__real_io_uring_queue_init_params (2, &ring, &params) < 0)
    return FALSE;
  io_uring_queue_exit (&ring);
  return params.features & IORING_FEAT_FAST_POLL;
#else
  return FALSE;
#endif
}

/* --- tasks with a socket each ------------------------------------------------------------------ */

typedef struct
{
  guint         number;
  MorrowFd     *fd;      /* owned */
  int           peer;    /* owned */
  MorrowFuture *task;    /* owned; NULL before it has begun */
  char          got[16];
} End;

typedef struct
{
  End   ends[100];
  guint n;
} Ends;

static void
forget_tasks (Ends *self)
{
  for (guint i = 0; i < self->n; i++)
    g_clear_pointer (&self->ends[i].task, morrow_future_unref);
}

static void
ends_clear (Ends *self)
{
  for (guint i = 0; i < self->n; i++)
    {
      morrow_fd_unref (self->ends[i].fd);
      close (self->ends[i].peer);
    }
  forget_tasks (self);
}

static void
put (End *end, const char *text)
{
  ck_assert_int_eq (write (end->peer, text, strlen (text)), strlen (text));
}

static void
begin (End *end, MorrowCoroutineFunc func)
{
  end->task = morrow_create_task (morrow_coroutine (func, end, NULL));
}

static void
begin_all (Ends *self, MorrowCoroutineFunc func)
{
  for (guint i = 0; i < self->n; i++)
    begin (&self->ends[i], func);
}

static gboolean
end_all (Ends *self, GError **error)
{
  for (guint i = 0; i < self->n; i++)
    if (self->ends[i].task != NULL && !morrow_await (morrow_future_ref (self->ends[i].task), error))
      return FALSE;
  return TRUE;
}

static gboolean
receive (gpointer data, GValue *result, GError **error)
{
  End *self = data;
  gssize n = morrow_fd_recv (self->fd, self->got, sizeof self->got - 1, 0, NEVER, error);

  if (n < 0)
    return FALSE;
  self->got[n] = '\0';
  say ("%u got %s", self->number, self->got);
  return TRUE;
}

/* Once they have been waited for, descriptors have their places on the loop. */
static void
give_places (Ends *self)
{
  begin_all (self, receive);
  let_run ();
  for (guint i = 0; i < self->n; i++)
    {
      put (&self->ends[i], "x");
      await_ok (self->ends[i].task);
    }
  forget_tasks (self);
  forget_said ();
}

static void
ends_init (Ends *self, guint n)
{
  *self = (Ends) { .n = n };
  for (guint i = 0; i < n; i++)
    {
      int fds[2];

      ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
      self->ends[i] = (End) { .number = i, .fd = morrow_fd_new (fds[0]), .peer = fds[1] };
    }
  give_places (self);
}

static gboolean
send_hello (gpointer data, GValue *result, GError **error)
{
  End *self = data;

  return morrow_fd_send (self->fd, "hello", 5, 0, NEVER, error) == 5;
}

static void
assert_hello (const End *end)
{
  char text[16] = "";

  ck_assert_int_eq (__real_recv (end->peer, text, sizeof text - 1, MSG_DONTWAIT), 5);
  ck_assert_str_eq (text, "hello");
}

static void
forget_counts (void)
{
  n_recvs = n_sends = n_submits = 0;
}

/* --- together ---------------------------------------------------------------------------------- */

SCENE (tasks_that_receive_at_the_same_time_ask_the_system_once)
{
  Ends ends;

  ends_init (&ends, MANY);
  for (guint i = 0; i < MANY; i++)
    put (&ends.ends[i], (char[]) { 'a' + (char) i, '\0' });
  forget_counts ();
  begin_all (&ends, receive);
  ck_assert (end_all (&ends, error));
  assert_said ("0 got a; 1 got b; 2 got c; 3 got d; 4 got e; 5 got f; 6 got g; 7 got h");
  if (has_rings ())
    ck_assert_uint_eq (n_recvs * 100 + n_submits, 1);
  else
    ck_assert_uint_eq (n_recvs, MANY);
  ends_clear (&ends);
  return TRUE;
}

SCENE (tasks_that_send_at_the_same_time_ask_the_system_once)
{
  Ends ends;

  ends_init (&ends, MANY);
  forget_counts ();
  begin_all (&ends, send_hello);
  ck_assert (end_all (&ends, error));
  for (guint i = 0; i < MANY; i++)
    assert_hello (&ends.ends[i]);
  if (has_rings ())
    ck_assert_uint_eq (n_sends * 100 + n_submits, 1);
  else
    ck_assert_uint_eq (n_sends, MANY);
  ends_clear (&ends);
  return TRUE;
}

static gboolean
read_it (gpointer data, GValue *result, GError **error)
{
  End *self = data;

  return morrow_fd_read (self->fd, self->got, sizeof self->got - 1, NEVER, error) == 1;
}

static gboolean
write_it (gpointer data, GValue *result, GError **error)
{
  End *self = data;

  return morrow_fd_write (self->fd, "hello", 5, NEVER, error) == 5;
}

SCENE (reads_and_writes_of_sockets_are_made_together_too)
{
  Ends ends;

  ends_init (&ends, MANY);
  for (guint i = 0; i < MANY / 2; i++)
    put (&ends.ends[i], "x");
  forget_counts ();
  for (guint i = 0; i < MANY; i++)
    begin (&ends.ends[i], i < MANY / 2 ? read_it : write_it);
  ck_assert (end_all (&ends, error));
  for (guint i = MANY / 2; i < MANY; i++)
    assert_hello (&ends.ends[i]);
  if (has_rings ())
    ck_assert_uint_eq ((n_recvs + n_sends) * 100 + n_submits, 1);
  ends_clear (&ends);
  return TRUE;
}

SCENE (task_without_company_makes_its_call_at_once)
{
  Ends ends;

  ends_init (&ends, 1);
  put (&ends.ends[0], "x");
  forget_counts ();
  begin_all (&ends, receive);
  ck_assert (end_all (&ends, error));
  ck_assert_uint_eq (n_recvs * 100 + n_submits, 100);
  ends_clear (&ends);
  return TRUE;
}

SCENE (more_tasks_than_a_bundle_holds_all_get_theirs)
{
  Ends ends;

  ends_init (&ends, G_N_ELEMENTS (ends.ends));
  for (guint i = 0; i < ends.n; i++)
    put (&ends.ends[i], (char[]) { 'a' + (char) (i % 26), '\0' });
  begin_all (&ends, receive);
  ck_assert (end_all (&ends, error));
  for (guint i = 0; i < ends.n; i++)
    ck_assert_int_eq (ends.ends[i].got[0], 'a' + (char) (i % 26));
  ends_clear (&ends);
  return TRUE;
}

static gboolean
peek (gpointer data, GValue *result, GError **error)
{
  End *self = data;

  return morrow_fd_recv (self->fd, self->got, 1, MSG_PEEK, NEVER, error) == 1;
}

/* What each of them may receive, into one buffer that takes it from all. */
static char much[MORROW_BUNDLE_LONG + 1];
static gsize n_wanted;

static gboolean
receive_much (gpointer data, GValue *result, GError **error)
{
  return morrow_fd_recv (((End *) data)->fd, much, n_wanted, 0, NEVER, error) == 1;
}

static gboolean
receive_much_at_the_same_time (guint n, gsize size, GError **error)
{
  gboolean ok;
  Ends ends;

  morrow__clock_set_virtual (TRUE);   /* no bundle is late, and batches are long */
  ends_init (&ends, n);
  for (guint i = 0; i < n; i++)
    put (&ends.ends[i], "x");
  forget_counts ();
  n_wanted = size;
  begin_all (&ends, receive_much);
  ok = end_all (&ends, error);
  morrow__clock_set_virtual (FALSE);
  ends_clear (&ends);
  return ok;
}

SCENE (bundle_is_full_when_its_calls_may_move_a_mebibyte)
{
  ck_assert (receive_much_at_the_same_time (17, 1024 * 1024 / 16, error));
  if (has_rings ())
    ck_assert_uint_eq (n_recvs * 100 + n_submits, 101);
  return TRUE;
}

SCENE (call_that_may_move_much_is_made_at_once)
{
  ck_assert (receive_much_at_the_same_time (MANY, MORROW_BUNDLE_LONG + 1, error));
  ck_assert_uint_eq (n_recvs * 100 + n_submits, MANY * 100);
  return TRUE;
}

SCENE (calls_with_flags_are_made_at_once)
{
  Ends ends;

  ends_init (&ends, MANY);
  for (guint i = 0; i < MANY; i++)
    put (&ends.ends[i], "x");
  forget_counts ();
  begin_all (&ends, peek);
  ck_assert (end_all (&ends, error));
  ck_assert_uint_eq (n_recvs * 100 + n_submits, MANY * 100);
  ends_clear (&ends);
  return TRUE;
}

/* --- what each of them gives ------------------------------------------------------------------- */

static gboolean
send_to_the_deaf (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  Ends ends;

  ends_init (&ends, MANY);
  ck_assert_int_eq (shutdown (ends.ends[2].peer, SHUT_RD), 0);
  begin_all (&ends, send_hello);
  ck_assert (!morrow_await (morrow_future_ref (ends.ends[2].task), &local_error));
  assert_error (local_error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
  g_clear_pointer (&ends.ends[2].task, morrow_future_unref);
  ck_assert (end_all (&ends, error));
  for (guint i = 0; i < MANY; i++)
    if (i != 2)
      assert_hello (&ends.ends[i]);
  ends_clear (&ends);
  return TRUE;
}

/* _i: 1 where the system has no ring. */
START_TEST (call_that_fails_has_an_error_of_its_own_and_raises_no_signal)
{
  signal (SIGPIPE, SIG_DFL);
  is_refused = _i;
  run_scene (send_to_the_deaf, NULL);
  is_refused = FALSE;
}
END_TEST

SCENE (call_that_would_block_waits)
{
  Ends ends;

  ends_init (&ends, MANY);
  put (&ends.ends[1], "at once");
  forget_counts ();
  begin_all (&ends, receive);
  let_run ();
  assert_said ("1 got at once");
  if (has_rings ())
    ck_assert_uint_eq (n_recvs * 100 + n_submits, 1);
  else
    ck_assert_uint_eq (n_recvs, MANY);
  for (guint i = 0; i < MANY; i++)
    if (i != 1)
      put (&ends.ends[i], "late");
  ck_assert (end_all (&ends, error));
  assert_said ("0 got late; 2 got late; 3 got late; 4 got late; 5 got late; 6 got late; 7 got late");
  ends_clear (&ends);
  return TRUE;
}

static End *told;   /* that which data come for between its call and when it goes on */

/* Its call is in the bundle before that of the one that it is about, and so it goes on before. */
static gboolean
receive_and_tell (gpointer data, GValue *result, GError **error)
{
  if (!receive (data, result, error))
    return FALSE;
  put (told, "more");
  morrow__reactor_poll (morrow__loop_here ());
  return TRUE;
}

SCENE (data_that_come_between_a_call_in_vain_and_its_task_are_found)
{
  Ends ends;

  ends_init (&ends, MANY);
  told = &ends.ends[1];
  put (&ends.ends[0], "first");
  begin (&ends.ends[0], receive_and_tell);
  begin (&ends.ends[1], receive);
  for (guint i = 2; i < MANY; i++)
    {
      put (&ends.ends[i], "x");
      begin (&ends.ends[i], read_it);
    }
  ck_assert (end_all (&ends, error));
  assert_said ("0 got first; 1 got more");
  ends_clear (&ends);
  return TRUE;
}

/* In one piece where its first call is made at once, in two where that is made before the rest comes. */
static gboolean
receive_eight_bytes (gpointer data, GValue *result, GError **error)
{
  End *self = data;
  gssize n = 0, got = 1;

  while (n < 8 && got > 0)
    {
      got = morrow_fd_recv (self->fd, self->got + n, (gsize) (8 - n) + 1, 0, NEVER, error);
      n += got;
    }
  say ("%u got %s", self->number, self->got);
  return n == 8;
}

/* Of a TCP socket, whose short read tells that it is empty. */
static void
make_tcp (End *end)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl (INADDR_LOOPBACK) } };
  socklen_t length = sizeof address;
  int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

  ck_assert_int_eq (bind (listener, (struct sockaddr *) &address, length), 0);
  ck_assert_int_eq (listen (listener, 1), 0);
  ck_assert_int_eq (getsockname (listener, (struct sockaddr *) &address, &length), 0);
  fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_eq (connect (fd, (struct sockaddr *) &address, length), 0);
  morrow_fd_unref (end->fd);
  close (end->peer);
  end->fd = morrow_fd_new (fd);
  end->peer = accept (listener, NULL, NULL);
  close (listener);
}

SCENE (data_that_come_between_a_short_read_and_its_task_are_found)
{
  Ends ends;

  ends_init (&ends, MANY);
  told = &ends.ends[1];
  make_tcp (told);
  give_places (&ends);
  put (told, "some");
  morrow__reactor_poll (morrow__loop_here ());
  put (&ends.ends[0], "first");
  begin (&ends.ends[0], receive_and_tell);
  memset (told->got, 0, sizeof told->got);
  begin (&ends.ends[1], receive_eight_bytes);
  for (guint i = 2; i < MANY; i++)
    {
      put (&ends.ends[i], "x");
      begin (&ends.ends[i], read_it);
    }
  ck_assert (end_all (&ends, error));
  assert_said ("0 got first; 1 got somemore");
  ends_clear (&ends);
  return TRUE;
}

static End *other;   /* on whose other side a call begins between a call in vain and when its task goes on */

/* Between the two that this stands for. */
static gboolean
receive_and_send_there (gpointer data, GValue *result, GError **error)
{
  return receive (data, result, error) && send_hello (other, result, error);
}

SCENE (call_on_the_one_side_does_not_forget_what_has_come_on_the_other)
{
  Ends ends;

  ends_init (&ends, MANY);
  told = other = &ends.ends[2];
  put (&ends.ends[0], "first");
  begin (&ends.ends[0], receive_and_tell);
  put (&ends.ends[1], "second");
  begin (&ends.ends[1], receive_and_send_there);
  begin (&ends.ends[2], receive);
  for (guint i = 3; i < MANY; i++)
    {
      put (&ends.ends[i], "x");
      begin (&ends.ends[i], read_it);
    }
  ck_assert (end_all (&ends, error));
  assert_said ("0 got first; 1 got second; 2 got more");
  assert_hello (other);
  ends_clear (&ends);
  return TRUE;
}

/* None of them has a place on the loop, which is made with both sides. */
SCENE (reader_and_writer_of_new_descriptors_are_not_in_each_others_way)
{
  MorrowFuture *readers[MANY];
  Ends ends;

  ends_init (&ends, MANY);
  for (guint i = 0; i < MANY; i++)
    make_tcp (&ends.ends[i]);
  begin_all (&ends, send_hello);
  for (guint i = 0; i < MANY; i++)
    readers[i] = morrow_spawn (receive, &ends.ends[i], NULL);
  ck_assert (end_all (&ends, error));
  for (guint i = 0; i < MANY; i++)
    put (&ends.ends[i], "y");
  ck_assert (morrow_await (morrow_gatherv (readers, MANY), error));
  ends_clear (&ends);
  return TRUE;
}

/* --- what comes between ------------------------------------------------------------------------ */

static gboolean
receive_and_wait (gpointer data, GValue *result, GError **error)
{
  return receive (data, result, error) && morrow_await (morrow_sleep (G_USEC_PER_SEC), error);
}

SCENE (cancel_of_a_task_whose_call_is_in_a_bundle_loses_nothing)
{
  g_autoptr (GError) local_error = NULL;
  Ends ends;

  ends_init (&ends, MANY);
  for (guint i = 0; i < MANY; i++)
    put (&ends.ends[i], "x");
  begin_all (&ends, receive_and_wait);
  ck_assert (morrow_yield (error));   /* the calls are in the bundle, or made */
  for (guint i = 0; i < MANY; i++)
    ck_assert (morrow_future_cancel (ends.ends[i].task));
  let_run ();
  assert_said ("0 got x; 1 got x; 2 got x; 3 got x; 4 got x; 5 got x; 6 got x; 7 got x");
  for (guint i = 0; i < MANY; i++)
    ck_assert (morrow_future_is_cancelled (ends.ends[i].task));
  ck_assert (!morrow_await (g_steal_pointer (&ends.ends[0].task), &local_error));
  ends_clear (&ends);
  return TRUE;
}

SCENE (descriptor_that_is_closed_while_its_call_is_in_a_bundle_is_there_until_that_is_made)
{
  Ends ends;

  ends_init (&ends, MANY);
  begin_all (&ends, send_hello);
  ck_assert (morrow_yield (error));
  for (guint i = 0; i < MANY; i++)
    morrow_fd_close (ends.ends[i].fd);
  ck_assert (end_all (&ends, error));
  for (guint i = 0; i < MANY; i++)
    {
      char byte;

      assert_hello (&ends.ends[i]);
      ck_assert_int_eq (__real_recv (ends.ends[i].peer, &byte, 1, MSG_DONTWAIT), 0);
    }
  ends_clear (&ends);
  return TRUE;
}

/* What a call in vain finds when its task goes on. */
SCENE (task_whose_descriptor_is_closed_while_its_call_is_in_a_bundle_is_told)
{
  Ends ends;

  ends_init (&ends, MANY);
  begin_all (&ends, receive);
  ck_assert (morrow_yield (error));
  for (guint i = 0; i < MANY; i++)
    morrow_fd_close (ends.ends[i].fd);
  for (guint i = 0; i < MANY; i++)
    {
      g_autoptr (GError) local_error = await_error (ends.ends[i].task);

      assert_error (local_error, MORROW_ERROR, MORROW_ERROR_CLOSED);
    }
  ends_clear (&ends);
  return TRUE;
}

static gboolean
receive_tell_and_end (gpointer data, GValue *result, GError **error)
{
  if (!receive_and_tell (data, result, error))
    return FALSE;
  if (told->number == 1)
    morrow_future_cancel (told->task);
  else
    morrow_fd_close (told->fd);
  return TRUE;
}

static gboolean
end_who_is_told (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  guint number = GPOINTER_TO_UINT (data);
  Ends ends;

  ends_init (&ends, 3);
  told = &ends.ends[number];
  put (&ends.ends[0], "first");
  begin (&ends.ends[0], receive_tell_and_end);
  begin (&ends.ends[1], receive);
  begin (&ends.ends[2], receive);
  local_error = await_error (told->task);
  if (number == 1)
    assert_cancelled (local_error);
  else
    assert_error (local_error, MORROW_ERROR, MORROW_ERROR_CLOSED);
  put (&ends.ends[3 - number], "x");
  await_ok (ends.ends[3 - number].task);
  ends_clear (&ends);
  return TRUE;
}

/* _i: 1 by a cancel, 2 by a close. */
START_TEST (task_that_is_told_of_data_after_a_call_in_vain_can_be_ended)
{
  run_scene (end_who_is_told, GUINT_TO_POINTER (_i));
}
END_TEST

static gboolean
receive_soon (gpointer data, GValue *result, GError **error)
{
  End *self = data;

  return morrow_fd_recv (self->fd, self->got, 1, 0, g_get_monotonic_time () + 3000, error) == 1;
}

/* A last one is made when the time has passed: with company it is made at once too, since it has an error already. */
SCENE (last_attempt_is_made_at_once)
{
  Ends ends;

  ends_init (&ends, MANY);
  begin_all (&ends, receive_soon);
  let_run ();
  forget_counts ();
  for (guint i = 0; i < MANY; i++)
    {
      g_autoptr (GError) local_error = await_error (ends.ends[i].task);

      assert_error (local_error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
    }
  ck_assert_uint_eq (n_recvs * 100 + n_submits, MANY * 100);
  ends_clear (&ends);
  return TRUE;
}

static gboolean
send_in_a_settling (gpointer data, GValue *result, GError **error)
{
  gboolean ok;

  morrow__relay.depth++;
  ok = send_hello (data, result, error);
  morrow__relay.depth--;
  return ok;
}

SCENE (call_in_a_settling_is_made_at_once)
{
  Ends ends;

  ends_init (&ends, MANY);
  forget_counts ();
  begin_all (&ends, send_in_a_settling);
  ck_assert (end_all (&ends, error));
  ck_assert_uint_eq (n_sends * 100 + n_submits, MANY * 100);
  ends_clear (&ends);
  return TRUE;
}

static gboolean
send_in_a_callback (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return send_hello (data, result, error);
}

SCENE (call_in_a_callback_is_made_at_once)
{
  Ends ends;

  ends_init (&ends, MANY);
  forget_counts ();
  for (guint i = 0; i < MANY; i++)
    ends.ends[i].task = morrow_then (morrow_future_new_resolved (NULL), send_in_a_callback, &ends.ends[i], NULL);
  ck_assert (end_all (&ends, error));
  ck_assert_uint_eq (n_sends * 100 + n_submits, MANY * 100);
  ends_clear (&ends);
  return TRUE;
}

static gboolean
pass (gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

static gboolean
look_for_hello (gpointer data, GValue *result, GError **error)
{
  assert_hello (data);
  return TRUE;
}

#define MORE_THAN_A_BATCH 300

/* They come behind the calls, and so the first round takes longer than a batch. */
SCENE (no_call_stays_in_a_bundle_when_the_batch_is_over)
{
  MorrowFuture *tasks[MORE_THAN_A_BATCH];
  Ends ends;

  ends_init (&ends, 2);
  begin_all (&ends, send_hello);
  for (guint i = 0; i < MORE_THAN_A_BATCH - 1; i++)
    tasks[i] = morrow_spawn (pass, NULL, NULL);
  tasks[MORE_THAN_A_BATCH - 1] = morrow_spawn (look_for_hello, &ends.ends[0], NULL);
  ck_assert (morrow_await (morrow_gatherv (tasks, G_N_ELEMENTS (tasks)), error));
  ck_assert (end_all (&ends, error));
  ends_clear (&ends);
  return TRUE;
}

/* On a loop inside an application's main loop, for which time stands still. */
static void
run_as_guest (MorrowCoroutineFunc func)
{
  g_autoptr (MorrowExecutor) guest = morrow_loop_new (g_main_context_default ());
  g_autoptr (MorrowFuture) task = NULL;

  morrow__clock_set_virtual (TRUE);
  task = morrow_executor_spawn (guest, morrow_coroutine (func, NULL, NULL));
  turn_until_settled (NULL, task);
  morrow__clock_set_virtual (FALSE);
  ck_assert_int_eq (morrow_future_get_status (task), MORROW_FUTURE_RESOLVED);
}

START_TEST (tasks_of_a_guest_that_send_at_the_same_time_ask_the_system_once)
{
  run_as_guest (tasks_that_send_at_the_same_time_ask_the_system_once_scene);
}
END_TEST

START_TEST (no_call_of_a_guest_stays_in_a_bundle_when_the_batch_is_over)
{
  run_as_guest (no_call_stays_in_a_bundle_when_the_batch_is_over_scene);
}
END_TEST

static gboolean
turn_and_look_for_hello (gpointer data, GValue *result, GError **error)
{
  turn_until_idle (NULL);
  return look_for_hello (data, result, error);
}

static gboolean
turn_beside_a_call (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *others[2];
  Ends ends;

  ends_init (&ends, 1);
  begin_all (&ends, send_hello);
  others[0] = morrow_spawn (turn_and_look_for_hello, &ends.ends[0], NULL);
  others[1] = morrow_spawn (pass, NULL, NULL);
  ck_assert (morrow_await (morrow_gatherv (others, G_N_ELEMENTS (others)), error));
  ck_assert (end_all (&ends, error));
  ends_clear (&ends);
  return TRUE;
}

START_TEST (no_call_stays_in_a_bundle_while_a_task_turns_the_context)
{
  run_as_guest (turn_beside_a_call);
}
END_TEST

static void
burn_microseconds (gint64 n)
{
  gint64 end = morrow__clock_now () + n;

  while (morrow__clock_now () < end)
    ;
}

static gboolean
send_and_burn (gpointer data, GValue *result, GError **error)
{
  burn_microseconds (200);
  return send_hello (data, result, error);
}

SCENE (calls_are_made_at_once_after_a_bundle_that_came_late)
{
  MorrowLoop *loop = morrow__loop_here ();
  Ends ends;

  ends_init (&ends, MANY);
  ck_assert_uint_eq (loop->n_alone, 0);
  begin_all (&ends, send_and_burn);
  ck_assert (end_all (&ends, error));
  ck_assert_uint_gt (loop->n_alone, 0);
  forget_counts ();
  for (guint i = 0; i < MANY; i++)
    assert_hello (&ends.ends[i]);
  forget_tasks (&ends);
  begin_all (&ends, send_hello);
  ck_assert (end_all (&ends, error));
  ck_assert_uint_eq (n_sends * 100 + n_submits, MANY * 100);

  if (loop->n_alone != G_MAXUINT)
    loop->n_alone = 3;   /* and then together again */
  forget_counts ();
  forget_tasks (&ends);
  begin_all (&ends, send_hello);
  ck_assert (end_all (&ends, error));
  if (has_rings ())
    ck_assert_uint_eq (n_sends * 100 + n_submits, 301);
  ends_clear (&ends);
  return TRUE;
}

/* --- the ring, and where there is none --------------------------------------------------------- */

#ifdef HAVE_LIBURING

static gboolean
send_twice_from_all (Ends *ends, GError **error)
{
  for (guint i = 0; i < 2; i++)
    {
      begin_all (ends, send_hello);
      if (!end_all (ends, error))
        return FALSE;
      for (guint j = 0; j < ends->n; j++)
        assert_hello (&ends->ends[j]);
      forget_tasks (ends);
    }
  return TRUE;
}

/* data: whether rings are refused. */
static gboolean
send_from_all (gpointer data, GValue *result, GError **error)
{
  gboolean ok;
  Ends ends;

  ends_init (&ends, MANY);
  ok = send_twice_from_all (&ends, error);
  ck_assert_uint_eq (count_rings (), has_rings () && data == NULL ? 1 : 0);
  ends_clear (&ends);
  return ok;
}

START_TEST (ring_goes_with_the_run)
{
  run_scene (send_from_all, NULL);
  ck_assert_uint_eq (count_rings (), 0);
}
END_TEST

static gboolean
make_ends (gpointer data, GValue *result, GError **error)
{
  ends_init (data, MANY);
  return TRUE;
}

static gboolean
send_from_ends (gpointer data, GValue *result, GError **error)
{
  return send_twice_from_all (data, error);
}

/* Their places are the first loop's. */
START_TEST (calls_on_descriptors_from_another_loop_are_made_at_once)
{
  g_autoptr (MorrowExecutor) first = morrow_loop_new (NULL);
  g_autoptr (MorrowExecutor) second = morrow_loop_new (NULL);
  Ends ends;

  run_scene_on (first, make_ends, &ends);
  forget_counts ();
  run_scene_on (second, send_from_ends, &ends);
  ck_assert_uint_eq (n_sends * 100 + n_submits, 2 * MANY * 100);
  ends_clear (&ends);
}
END_TEST

START_TEST (next_run_asks_again_for_a_ring)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);

  is_refused = TRUE;
  run_scene_on (loop, send_from_all, GINT_TO_POINTER (TRUE));
  is_refused = FALSE;
  forget_counts ();
  run_scene_on (loop, send_from_all, NULL);
  ck_assert (n_submits > 0 || !has_rings ());
}
END_TEST

SCENE (calls_are_made_at_once_for_ever_where_the_system_has_no_ring)
{
  Ends ends;

  ends_init (&ends, MANY);
  is_refused = TRUE;
  forget_counts ();
  ck_assert (send_twice_from_all (&ends, error));
  is_refused = FALSE;
  ck_assert_uint_eq (n_sends * 100 + n_submits, 2 * MANY * 100);
  ck_assert_uint_eq (morrow__loop_here ()->n_alone, G_MAXUINT);
  ends_clear (&ends);
  return TRUE;
}

SCENE (what_a_ring_does_not_take_is_made_all_the_same)
{
  Ends ends;

  ends_init (&ends, MANY);
  is_out_of_memory = TRUE;
  forget_counts ();
  ck_assert (send_twice_from_all (&ends, error));
  is_out_of_memory = FALSE;
  ck_assert_uint_eq (n_sends, 2 * MANY);
  ck_assert_uint_eq (n_submits, has_rings () ? 1 : 0);
  ends_clear (&ends);
  return TRUE;
}

SCENE (call_that_a_signal_interrupts_is_made_again)
{
  Ends ends;

  ends_init (&ends, MANY);
  is_interrupted = TRUE;
  begin_all (&ends, receive);
  ck_assert (morrow_yield (error));
  ck_assert (morrow_yield (error));
  is_interrupted = FALSE;
  for (guint i = 0; i < MANY; i++)
    put (&ends.ends[i], "x");
  ck_assert (end_all (&ends, error));
  assert_said ("0 got x; 1 got x; 2 got x; 3 got x; 4 got x; 5 got x; 6 got x; 7 got x");
  ends_clear (&ends);
  return TRUE;
}

#endif

static Suite *
make_suite (void)
{
  Suite *suite = suite_create ("bundle");
  TCase *together = morrow_check_add_case (suite, "together");
  TCase *results = morrow_check_add_case (suite, "results");
  TCase *between = morrow_check_add_case (suite, "between");
  TCase *without = morrow_check_add_case (suite, "without");

  tcase_add_test (together, tasks_that_receive_at_the_same_time_ask_the_system_once);
  tcase_add_test (together, tasks_that_send_at_the_same_time_ask_the_system_once);
  tcase_add_test (together, reads_and_writes_of_sockets_are_made_together_too);
  tcase_add_test (together, task_without_company_makes_its_call_at_once);
  tcase_add_test (together, more_tasks_than_a_bundle_holds_all_get_theirs);
  tcase_add_test (together, bundle_is_full_when_its_calls_may_move_a_mebibyte);
  tcase_add_test (together, call_that_may_move_much_is_made_at_once);
  tcase_add_test (together, calls_with_flags_are_made_at_once);
  tcase_add_test (together, tasks_of_a_guest_that_send_at_the_same_time_ask_the_system_once);

  tcase_add_loop_test (results, call_that_fails_has_an_error_of_its_own_and_raises_no_signal, 0, 2);
  tcase_add_test (results, call_that_would_block_waits);
  tcase_add_test (results, data_that_come_between_a_call_in_vain_and_its_task_are_found);
  tcase_add_test (results, data_that_come_between_a_short_read_and_its_task_are_found);
  tcase_add_test (results, call_on_the_one_side_does_not_forget_what_has_come_on_the_other);
  tcase_add_test (results, reader_and_writer_of_new_descriptors_are_not_in_each_others_way);

  tcase_add_test (between, cancel_of_a_task_whose_call_is_in_a_bundle_loses_nothing);
  tcase_add_test (between, descriptor_that_is_closed_while_its_call_is_in_a_bundle_is_there_until_that_is_made);
  tcase_add_test (between, task_whose_descriptor_is_closed_while_its_call_is_in_a_bundle_is_told);
  tcase_add_loop_test (between, task_that_is_told_of_data_after_a_call_in_vain_can_be_ended, 1, 3);
  tcase_add_test (between, last_attempt_is_made_at_once);
  tcase_add_test (between, call_in_a_settling_is_made_at_once);
  tcase_add_test (between, call_in_a_callback_is_made_at_once);
  tcase_add_test (between, no_call_stays_in_a_bundle_when_the_batch_is_over);
  tcase_add_test (between, no_call_of_a_guest_stays_in_a_bundle_when_the_batch_is_over);
  tcase_add_test (between, no_call_stays_in_a_bundle_while_a_task_turns_the_context);
  tcase_add_test (between, calls_are_made_at_once_after_a_bundle_that_came_late);

#ifdef HAVE_LIBURING
  tcase_add_test (without, ring_goes_with_the_run);
  tcase_add_test (without, next_run_asks_again_for_a_ring);
  tcase_add_test (without, calls_on_descriptors_from_another_loop_are_made_at_once);
  tcase_add_test (without, calls_are_made_at_once_for_ever_where_the_system_has_no_ring);
  tcase_add_test (without, what_a_ring_does_not_take_is_made_all_the_same);
  tcase_add_test (without, call_that_a_signal_interrupts_is_made_again);
#endif

  return suite;
}

MORROW_CHECK_MAIN (make_suite)
