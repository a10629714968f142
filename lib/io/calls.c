/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The system's calls on a descriptor, in a task. Each is tried first, and waits only when the system would block, or
 * when the last one has told that it would: a read of a TCP socket that came up short has emptied it. Of other kinds
 * that cannot be said: a packet, a line or a message with descriptors ends a read too; nor of one that has had something
 * urgent, whose place in the data ends one as well.
 *
 * Only a read and a write tell that a side is dry. What is urgent, errors, and what a peek begins with lie elsewhere; and poll ()
 * may say no where a write would be taken. An edge that has passed is not told of again: a side that is held to be dry for
 * these would never be tried. */

#include "config.h"

#include <errno.h>
#include <unistd.h>

#include <morrow/task.h>
#include <morrow/value.h>

#include "exec/bundle-private.h"
#include "io/fd-private.h"

/* Between two attempts to connect, in microseconds. */
#define SHORT_PAUSE 1000
#define LONG_PAUSE  32000

/* One of the calls, with its arguments. */
typedef struct
{
  const char      *name;
  int              events;    /* what it waits for, as poll () has it */
  guint            dry;       /* the sides of which EAGAIN tells that they are, and that are waited for first when they are */
  gboolean         is_read;   /* of everything that there is, into buffer */
  gboolean         is_plain;  /* a recv () or a send () without flags, which others may be made together with */
  gpointer         buffer;
  gsize            size;
  int              flags;
  struct sockaddr *address;
  socklen_t       *length;
} Call;

static G_GNUC_NO_INLINE void
set_error (const char *name, int code, GError **error)
{
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "%s: %s", name, g_strerror (code));
}

static G_GNUC_NO_INLINE gboolean
is_late (const GError *error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

static inline void
note_short_read (MorrowFd *self, const Call *call, gssize n, MorrowLoop *here)
{
  if (morrow__usually (n > 0 && (gsize) n < call->size && self->kind == MORROW_FD_TCP) &&
      morrow__usually (here != NULL && self->slot != NULL && self->slot->loop == here) &&
      morrow__usually (!self->slot->is_unsteady && !self->has_mark))
    self->slot->dry |= MORROW_SIDE_IN;
}

/* Whether @call is to be made together with those of others. The last attempt is not, nor one on a descriptor that has no place on this
 * loop yet: to get it takes both sides, of which the other may be in the bundle. */
static inline gboolean
is_for_bundle (MorrowFd *self, const Call *call, MorrowLoop *here, const GError *wait_error)
{
  return call->is_plain && here != NULL && self->slot != NULL && self->slot->loop == here && wait_error == NULL && morrow__bundle_is_open (here);
}

/* @ret_told: whether an edge has come since. */
static G_GNUC_NO_INLINE gssize
make_in_bundle (MorrowFd *self, const Call *call, MorrowLoop *here, gboolean *ret_told, GError **error)
{
  MorrowBundleCall bundled = {
    .kind = call->events == POLLIN ? MORROW_BUNDLE_RECV : MORROW_BUNDLE_SEND,
    .fd = self->fd, .buffer = call->buffer, .size = (guint) call->size
  };
  guint sides = morrow__fd_sides (call->events);
  gssize n;

  self->slot->told &= ~sides;
  n = morrow__bundle_call (here, &bundled, error);
  *ret_told = (self->slot->told & sides) != 0;
  return n;
}

/* What comes before the next attempt. */
static inline gboolean
wait_for (MorrowFd *self, const Call *call, MorrowLoop *here, gboolean told, MorrowFdWaits *waits, gint64 deadline, GError **error)
{
  if (morrow__seldom (told))
    return morrow__fd_look_again (self, deadline, error);
  return morrow__likely (morrow__fd_wait (self, call->events, call->dry, here, waits, deadline, error));
}

/* Does @call by @once, which does it without blocking. What came in time counts though others had the thread until after the
 * deadline: so one that has passed while the call waited is followed by a last attempt. */
static inline __attribute__ ((always_inline)) gssize
perform (MorrowFd *self, const Call *call, gssize (*once) (MorrowFd *self, const Call *call), gint64 deadline, GError **error)
{
  MorrowLoop *here = morrow__loop_here ();
  guint sides = morrow__fd_sides (call->events);
  MorrowFdWaits waits = MORROW_FD_WAITS;
  GError *wait_error = NULL;
  gssize n = -1;
  gboolean wait, told = FALSE;

  if (morrow__unlikely (!morrow__fd_begin (self, sides, here, error)))
    return -1;

  wait = morrow__fd_is_dry (self, call->dry, here);
  while (!wait || wait_for (self, call, here, told, &waits, deadline, &wait_error) || is_late (wait_error))
    {
      told = FALSE;
      if (is_for_bundle (self, call, here, wait_error))
        n = make_in_bundle (self, call, here, &told, &wait_error);
      else
        n = once (self, call);
      wait = morrow__seldom (n < 0) && errno == EAGAIN;
      if (morrow__usually (!wait) || wait_error != NULL)
        break;
    }

  if (morrow__unlikely (n < 0 && !wait))
    set_error (call->name, errno, error);
  else if (call->is_read && morrow__usually (!told))
    note_short_read (self, call, n, here);
  else if (call->events == POLLPRI)
    self->has_mark = TRUE;
  if (morrow__unlikely (wait_error != NULL))
    g_propagate_error (wait ? error : NULL, wait_error);
  morrow__fd_end_waits (&waits);
  morrow__fd_end (self, sides);
  return n;
}

/* --- reading and writing ----------------------------------------------------------------------------------------- */

static inline gboolean
can_be_bundled (gsize size)
{
  return size > 0 && size <= MORROW_BUNDLE_LONG;
}

/* What a recv () with @flags waits for. */
static inline int
recv_events (int flags)
{
  if (morrow__unlikely (flags & MSG_ERRQUEUE))
    return POLLERR;
  return flags & MSG_OOB ? POLLPRI : POLLIN;
}

static inline guint
recv_dry (int flags)
{
  return flags & (MSG_ERRQUEUE | MSG_OOB | MSG_PEEK) ? 0 : MORROW_SIDE_IN;
}

static gssize
recv_once (MorrowFd *self, const Call *call)
{
  return TEMP_FAILURE_RETRY (recv (self->fd, call->buffer, call->size, call->flags | MSG_DONTWAIT));
}

/**
 * morrow_fd_recv:
 * @self: a socket
 * @buffer: (out caller-allocates) (array length=size) (element-type guint8): where to put what comes
 * @size: the size of @buffer, in bytes
 * @flags: those of recv ()
 * @deadline: until when to wait, in microseconds of the monotonic clock; %G_MAXINT64 for ever
 * @error: return location for an error
 *
 * Receives what there is, at most @size bytes, and waits when there is nothing.
 *
 * Returns: how many bytes came; 0 at the end; -1 with @error set
 */
gssize
morrow_fd_recv (MorrowFd *self, gpointer buffer, gsize size, int flags, gint64 deadline, GError **error)
{
  Call call = {
    .name = "recv", .events = recv_events (flags), .dry = recv_dry (flags), .is_read = flags == 0,
    .is_plain = flags == 0 && can_be_bundled (size), .buffer = buffer, .size = size, .flags = flags
  };

  g_return_val_if_fail (self != NULL && (buffer != NULL || size == 0), -1);

  return perform (self, &call, recv_once, deadline, error);
}

static gssize
send_once (MorrowFd *self, const Call *call)
{
  return TEMP_FAILURE_RETRY (send (self->fd, call->buffer, call->size, call->flags | MSG_DONTWAIT | MSG_NOSIGNAL));
}

/**
 * morrow_fd_send:
 * @self: a socket
 * @buffer: (array length=size) (element-type guint8): what to send
 * @size: how many bytes
 * @flags: those of send (); there is never a SIGPIPE
 * @deadline: until when to wait, in microseconds of the monotonic clock; %G_MAXINT64 for ever
 * @error: return location for an error
 *
 * Sends as much as there is room for, and waits when there is none.
 *
 * Returns: how many bytes were sent, perhaps not all; -1 with @error set
 */
gssize
morrow_fd_send (MorrowFd *self, gconstpointer buffer, gsize size, int flags, gint64 deadline, GError **error)
{
  Call call = {
    .name = "send", .events = POLLOUT, .dry = MORROW_SIDE_OUT,
    .is_plain = flags == 0 && can_be_bundled (size), .buffer = (gpointer) buffer, .size = size, .flags = flags
  };

  g_return_val_if_fail (self != NULL && (buffer != NULL || size == 0), -1);

  return perform (self, &call, send_once, deadline, error);
}

/* To recv () nothing is to wait, or to take a packet, where to read () it is nothing at all. */
static gssize
read_once (MorrowFd *self, const Call *call)
{
  if (self->kind != MORROW_FD_OTHER && morrow__usually (call->size > 0))
    return recv_once (self, call);
  return TEMP_FAILURE_RETRY (read (self->fd, call->buffer, call->size));
}

/**
 * morrow_fd_read:
 * @self: a descriptor
 * @buffer: (out caller-allocates) (array length=size) (element-type guint8): where to put what comes
 * @size: the size of @buffer, in bytes
 * @deadline: until when to wait, in microseconds of the monotonic clock; %G_MAXINT64 for ever
 * @error: return location for an error
 *
 * Reads what there is, at most @size bytes, and waits when there is nothing.
 *
 * Returns: how many bytes came; 0 at the end; -1 with @error set
 */
gssize
morrow_fd_read (MorrowFd *self, gpointer buffer, gsize size, gint64 deadline, GError **error)
{
  Call call = {
    .name = "read", .events = POLLIN, .dry = size > 0 ? MORROW_SIDE_IN : 0, .is_read = TRUE, .buffer = buffer, .size = size
  };

  g_return_val_if_fail (self != NULL && (buffer != NULL || size == 0), -1);

  call.is_plain = self->kind != MORROW_FD_OTHER && can_be_bundled (size);
  return perform (self, &call, read_once, deadline, error);
}

static gssize
write_once (MorrowFd *self, const Call *call)
{
  if (self->kind != MORROW_FD_OTHER)
    return send_once (self, call);
  return TEMP_FAILURE_RETRY (write (self->fd, call->buffer, call->size));
}

/**
 * morrow_fd_write:
 * @self: a descriptor
 * @buffer: (array length=size) (element-type guint8): what to write
 * @size: how many bytes
 * @deadline: until when to wait, in microseconds of the monotonic clock; %G_MAXINT64 for ever
 * @error: return location for an error
 *
 * Writes as much as there is room for, and waits when there is none. A pipe without a reader raises SIGPIPE, as
 * always, unless the program ignores that; a socket does not.
 *
 * Returns: how many bytes were written, perhaps not all; -1 with @error set
 */
gssize
morrow_fd_write (MorrowFd *self, gconstpointer buffer, gsize size, gint64 deadline, GError **error)
{
  Call call = { .name = "write", .events = POLLOUT, .dry = MORROW_SIDE_OUT, .buffer = (gpointer) buffer, .size = size };

  g_return_val_if_fail (self != NULL && (buffer != NULL || size == 0), -1);

  call.is_plain = self->kind != MORROW_FD_OTHER && can_be_bundled (size);
  return perform (self, &call, write_once, deadline, error);
}

/* --- connections ------------------------------------------------------------------------------------------------- */

/* A connection that was lost before it could be accepted: the next is wanted. */
static gboolean
is_lost (int code)
{
  switch (code)
    {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EINTR:
      return TRUE;
    default:
      return FALSE;
    }
}

static gssize
accept_once (MorrowFd *self, const Call *call)
{
  int fd;

  do
    fd = accept4 (self->fd, call->address, call->length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  while (fd < 0 && is_lost (errno));
  return fd;
}

/**
 * morrow_fd_accept: (skip)
 * @self: a socket that listens
 * @address: (nullable): where to put the peer's address
 * @length: (nullable): the size of @address, then that of the address
 * @deadline: until when to wait, in microseconds of the monotonic clock; %G_MAXINT64 for ever
 * @error: return location for an error
 *
 * Accepts a connection. The new descriptor does not block, is closed on exec, and is the caller's: give it to
 * morrow_fd_new (). A connection that was lost meanwhile is passed over. When no descriptor is left
 * (%G_IO_ERROR_TOO_MANY_OPEN_FILES) the connection keeps waiting for a later call.
 *
 * Returns: a descriptor; -1 with @error set
 */
int
morrow_fd_accept (MorrowFd *self, struct sockaddr *address, socklen_t *length, gint64 deadline, GError **error)
{
  Call call = { .name = "accept", .events = POLLIN, .dry = MORROW_SIDE_IN, .address = address, .length = length };

  g_return_val_if_fail (self != NULL, -1);

  return (int) perform (self, &call, accept_once, deadline, error);
}

/* What the descriptor is ready for, of poll ()'s @events, errors and hang-ups; at this moment. */
static int
poll_now (MorrowFd *self, int events)
{
  struct pollfd poll_fd = { .fd = self->fd, .events = events };

  return TEMP_FAILURE_RETRY (poll (&poll_fd, 1, 0)) > 0 ? poll_fd.revents : 0;
}

/* A local socket whose peer has too many waiting already says so at once, and nobody tells when there is room again: so it
 * is tried again, after pauses that grow. Returns: 0, or why not, as errno has it; -1 and the error when a cancel came
 * instead, or the deadline. */
static int
begin_to_connect (MorrowFd *self, const struct sockaddr *address, socklen_t length, gint64 deadline, GError **error)
{
  gint64 pause = SHORT_PAUSE;

  while (connect (self->fd, address, length) < 0)
    {
      if (errno != EAGAIN || address->sa_family != AF_UNIX)
        return errno;
      if (!morrow__fd_pause (self, pause, deadline, error))
        return -1;
      pause = MIN (2 * pause, LONG_PAUSE);
    }
  return 0;
}

/* Waits until the connection that is under way has been made, or has failed. */
static int
finish_connect (MorrowFd *self, MorrowLoop *here, gint64 deadline, GError **error)
{
  GError *wait_error = NULL;
  gboolean made = FALSE;
  int code = 0;
  socklen_t length = sizeof code;

  /* A task may be woken for nothing, by a cancel that is taken back at once; and the deadline may have passed while others had
   * the thread. */
  while (!made)
    {
      gboolean woken = morrow__fd_wait (self, POLLOUT, 0, here, NULL, deadline, &wait_error);

      made = (woken || is_late (wait_error)) && poll_now (self, POLLOUT);
      if (!woken && !made)
        {
          g_propagate_error (error, wait_error);
          return -1;
        }
    }
  g_clear_error (&wait_error);

  if (getsockopt (self->fd, SOL_SOCKET, SO_ERROR, &code, &length) != 0)
    code = errno;
  if (code == 0)
    return 0;
  set_error ("connect", code, error);
  return -1;
}

/**
 * morrow_fd_connect: (skip)
 * @self: a socket
 * @address: whom to connect to
 * @length: the size of the address
 * @deadline: until when to wait, in microseconds of the monotonic clock; %G_MAXINT64 for ever
 * @error: return location for an error
 *
 * Connects a socket. A local one whose peer has too many connections waiting is tried again until there is room. After a
 * failure, a cancel or a deadline it is of no more use, and is to be closed.
 *
 * Returns: 0; -1 with @error set
 */
int
morrow_fd_connect (MorrowFd *self, const struct sockaddr *address, socklen_t length, gint64 deadline, GError **error)
{
  MorrowLoop *here = morrow__loop_here ();
  int code, result;

  g_return_val_if_fail (self != NULL && address != NULL, -1);

  if (!morrow__fd_begin (self, MORROW_SIDE_OUT, here, error))
    return -1;

  code = begin_to_connect (self, address, length, deadline, error);
  result = code == 0 ? 0 : -1;
  if (code == EINPROGRESS || code == EINTR)
    result = finish_connect (self, here, deadline, error);
  else if (code > 0)
    set_error ("connect", code, error);
  morrow__fd_end (self, MORROW_SIDE_OUT);
  return result;
}

/* --- readiness --------------------------------------------------------------------------------------------------- */

typedef struct
{
  MorrowFd *fd;       /* owned */
  int       events;
} Ready;

static void
ready_free (gpointer data)
{
  Ready *self = data;

  morrow_fd_unref (self->fd);
  g_free (self);
}

/* The one place where the system is asked before, and after, a wait: what others have done to the descriptor, behind
 * our back, is not known. */
static gboolean
wait_until_ready (gpointer data, GValue *result, GError **error)
{
  Ready *self = data;
  MorrowLoop *here = morrow__loop_here ();
  guint sides = morrow__fd_sides (self->events);
  int events = 0;

  if (!morrow__fd_begin (self->fd, sides, here, error))
    return FALSE;

  do
    events = poll_now (self->fd, self->events);
  while (events == 0 && morrow__fd_wait (self->fd, self->events, 0, here, NULL, G_MAXINT64, error));

  if (events & POLLPRI)
    self->fd->has_mark = TRUE;   /* it is read by a call that is not here */
  morrow__fd_end (self->fd, sides);
  return events != 0 && morrow_return_int (result, events);
}

/**
 * morrow_fd_ready:
 * @self: a descriptor
 * @condition: what to wait for: %G_IO_IN, %G_IO_OUT, %G_IO_PRI, or several of them
 *
 * Makes a future that resolves when @self is ready, for calls that are not here. It is lazy, as a coroutine is: to
 * await it, or to combine it, starts it. Its value is a #GIOCondition: what the descriptor is ready for, with
 * %G_IO_ERR and %G_IO_HUP, as an int.
 *
 * Returns: (transfer full): a future of an int
 */
MorrowFuture *
morrow_fd_ready (MorrowFd *self, GIOCondition condition)
{
  static const MorrowSite site = { .func_name = "morrow_fd_ready" };
  Ready *ready;

  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (condition != 0 && !(condition & ~(G_IO_IN | G_IO_OUT | G_IO_PRI)), NULL);

  /* GLib has taken its values from the system's. */
  ready = g_new (Ready, 1);
  *ready = (Ready) { .fd = morrow_fd_ref (self), .events = (int) condition };
  return morrow_coroutine_at (wait_until_ready, ready, ready_free, &site);
}
