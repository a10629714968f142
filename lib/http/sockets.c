/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptors that curl wants watched.
 *
 * curl gives up its interest in a connection after each request, and has it again with the next.
 * A descriptor that we have opened stays in the loop's set meanwhile, and most of the time
 * nothing happens there: two system calls a request are saved. Should something happen after all,
 * the server closing its end for one, then the watch ends, and begins again when curl wants it.
 *
 * While it connects, a socket stands in a list of its slot: some versions of curl close one that
 * did not come to be connected, without a word. It is known to be connected when curl wants to read
 * from it. What is left in the list when curl has done with the transfer is forgotten before.
 *
 * Of a descriptor that curl brings along by itself (a pipe to a thread of its own) nothing can be
 * assumed: it is let go at once, since nobody tells us when it is closed. And there have been
 * versions of curl that did not read what made it ready; so one that is ready a thousand times
 * within a tenth of a second is looked at a hundred times a second only, and a warning says so. */

#include "config.h"

#include <sys/socket.h>
#include <unistd.h>

#include "http/engine-private.h"

#define SPIN_EVENTS  1000
#define SPIN_PERIOD  (G_USEC_PER_SEC / 10)
#define SPIN_PAUSE   (G_USEC_PER_SEC / 100)

struct _MorrowSocket
{
  MorrowShard   *shard;        /* borrowed: who is told */
  MorrowHost    *host;         /* whose connection it is; NULL when we have not opened it */
  MorrowSlot    *slot;         /* borrowed: who connects it; NULL once it is connected */
  MorrowSocket  *next;         /* among those that the slot connects */
  int            fd;
  MorrowFdWatch *watch;        /* owned; NULL while it is not in the loop's set */
  GIOCondition   watched;      /* what the loop looks for */
  GIOCondition   wanted;       /* what curl wants to be told of; 0 between two requests */
  guint          n_events;     /* since since */
  gint64         since;
  MorrowTimeout *pause;        /* owned: ends a pause; NULL for one that has never spun */
};

static MorrowSocket **
place_of (MorrowEngine *engine, int fd)
{
  if ((guint) fd >= engine->sockets->len)
    g_ptr_array_set_size (engine->sockets, MAX ((guint) fd + 1, engine->sockets->len * 2));
  return (MorrowSocket **) &g_ptr_array_index (engine->sockets, fd);
}

static MorrowSocket *
socket_new (MorrowShard *shard, int fd, MorrowHost *host)
{
  MorrowSocket *self = g_new0 (MorrowSocket, 1);

  self->shard = shard;
  self->fd = fd;
  self->host = host;
  if (host == NULL)
    self->since = g_get_monotonic_time ();
  *place_of (shard->engine, fd) = self;
  return self;
}

static void
stop_watching (MorrowSocket *self)
{
  g_clear_pointer (&self->watch, morrow_fd_watch_free);
  g_clear_pointer (&self->pause, morrow_timeout_free);
  self->watched = 0;
}

void
morrow__sockets_free_socket (gpointer data)
{
  MorrowSocket *self = data;

  if (self == NULL)
    return;
  stop_watching (self);
  g_free (self);
}

static void
connected (MorrowSocket *self)
{
  MorrowSocket **link = &self->slot->connecting;

  while (*link != self)
    link = &(*link)->next;
  *link = self->next;
  self->slot = NULL;
}

static void
forget (MorrowSocket *self)
{
  MorrowEngine *engine = self->shard->engine;
  MorrowHost *host = self->host;
  guint index = self->shard->index;

  if (self->slot != NULL)
    connected (self);
  *place_of (engine, self->fd) = NULL;
  morrow__sockets_free_socket (self);
  if (host != NULL)
    morrow__host_release (engine, host, &host->n_open[index]);
}

/* Whether requests of the shard may be under way on it side by side. */
gboolean
morrow__sockets_is_shared (MorrowShard *shard, int fd)
{
  MorrowSocket *self = *place_of (shard->engine, fd);

  return self != NULL && self->shard == shard && self->host != NULL &&
         self->host->kind != MORROW_HOST_ONE_BY_ONE && self->host->n_active[shard->index] > 0;
}

/* curl is about to be done with the slot's transfer. A connection that has been made by now may
 * be used again: the answer was there before curl had to wait for it. */
void
morrow__sockets_settle (MorrowSlot *slot)
{
  curl_socket_t fd = CURL_SOCKET_BAD;

  if (slot->connecting == NULL)
    return;

  curl_easy_getinfo (slot->easy.curl, CURLINFO_ACTIVESOCKET, &fd);
  while (slot->connecting != NULL)
    {
      if (slot->connecting->fd == fd)
        connected (slot->connecting);
      else
        forget (slot->connecting);
    }
}

/* --- what happens there --------------------------------------------------------------------- */

static void
end_pause (gpointer data)
{
  MorrowSocket *self = data;

  if (self->watch != NULL)
    morrow_fd_watch_set_condition (self->watch, self->watched);
}

static void
begin_pause (MorrowSocket *self)
{
  if (self->pause == NULL)
    {
      g_warning ("libcurl does not serve its descriptor %d, which is looked at less often now",
                 self->fd);
      self->pause = morrow_timeout_new (self->shard->engine->loop, end_pause, self);
    }
  morrow_fd_watch_set_condition (self->watch, 0);
  morrow_timeout_set (self->pause, g_get_monotonic_time () + SPIN_PAUSE);
}

/* Of those that curl has brought along. One that has spun is paused after each event. */
static gboolean
is_spinning (MorrowSocket *self)
{
  gint64 now;

  if (self->pause != NULL)
    return TRUE;
  if (++self->n_events < SPIN_EVENTS)
    return FALSE;

  now = g_get_monotonic_time ();
  self->n_events = 0;
  if (now - self->since < SPIN_PERIOD)
    return TRUE;
  self->since = now;
  return FALSE;
}

/* An error or a hang-up is for curl to find out, by doing what it wants to do. */
static int
curl_events (GIOCondition ready, GIOCondition wanted)
{
  if (ready & (G_IO_ERR | G_IO_HUP))
    ready |= wanted;
  return (ready & G_IO_IN ? CURL_CSELECT_IN : 0) | (ready & G_IO_OUT ? CURL_CSELECT_OUT : 0);
}

/* When curl acts, the socket may go. */
static void
on_ready (int fd, GIOCondition ready, gpointer data)
{
  MorrowSocket *self = data;

  if (self->wanted == 0)
    {
      stop_watching (self);
      return;
    }

  if (self->host == NULL && is_spinning (self))
    begin_pause (self);
  morrow__shard_act (self->shard, fd, curl_events (ready, self->wanted));
}

/* --- what curl says ------------------------------------------------------------------------- */

static void
watch (MorrowSocket *self, GIOCondition wanted)
{
  if (self->watch == NULL)
    self->watch = morrow_fd_watch_new (self->shard->engine->loop, self->fd, wanted, on_ready, self);
  else if (self->watched != wanted)
    morrow_fd_watch_set_condition (self->watch, wanted);

  if (self->watch == NULL)
    g_warning ("The loop cannot watch descriptor %d: %m", self->fd);
  self->watched = wanted;
}

/* The loop's set follows what curl wants, but for a connection that it wants nothing of for now. */
int
morrow__sockets_on_change (CURL *curl, curl_socket_t fd, int what, void *data, void *unused)
{
  MorrowShard *shard = data;
  MorrowSocket *self = *place_of (shard->engine, fd);

  if (self == NULL && what == CURL_POLL_REMOVE)
    return 0;
  if (self == NULL)
    self = socket_new (shard, fd, NULL);

  self->wanted = (what & CURL_POLL_REMOVE) == CURL_POLL_REMOVE ? 0 :
                 (what & CURL_POLL_IN ? G_IO_IN : 0) | (what & CURL_POLL_OUT ? G_IO_OUT : 0);
  if ((self->wanted & G_IO_IN) && self->slot != NULL)
    connected (self);
  if (self->wanted != 0)
    watch (self, self->wanted);
  else if (self->host == NULL || self->slot != NULL)
    forget (self);
  return 0;
}

curl_socket_t
morrow__sockets_on_open (void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
  MorrowSlot *slot = data;
  MorrowSocket *self;
  curl_socket_t fd = morrow__easy_open_socket (&slot->easy, address);

  if (fd == CURL_SOCKET_BAD)
    return fd;

  self = socket_new (slot->shard, fd, slot->host);
  morrow__host_use (slot->host, &slot->host->n_open[slot->shard->index]);
  self->slot = slot;
  self->next = slot->connecting;
  slot->connecting = self;
  return fd;
}

int
morrow__sockets_on_close (void *data, curl_socket_t fd)
{
  MorrowEngine *engine = data;
  MorrowSocket *self = *place_of (engine, fd);

  if (self != NULL)
    forget (self);
  return close (fd);
}
