/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A multi handle of curl's, driven by the loop: its timer is a time-out of the loop's, its
 * sockets are watched by the loop (sockets.c).
 *
 * curl's timer is one shot: a number of milliseconds, 0 for "act soon" and -1 for none. curl must
 * not be called inside that callback, or any other of its callbacks; so 0 is a time-out that is
 * due, and is served on the loop's next turn: neither a recursion nor a millisecond lost.
 *
 * Requests that share a connection read what has come for each other. Some versions of curl (7.88 for
 * one) forget what they have read but not yet given out: when the request that read it ends, and when
 * one that had no room for its part has been given the rest of that. The socket is empty then, and all
 * would wait for ever. So when one ends, and when any has been given something, curl is told that the
 * connection can be read, until nothing more comes of it. It costs nothing worse than a look. */

#include "config.h"

#include "http/engine-private.h"

int
morrow__shard_on_timer (CURLM *multi, long milliseconds, void *data)
{
  MorrowShard *self = data;

  if (milliseconds < 0)
    morrow_timeout_unset (self->timeout);
  else
    morrow_timeout_set (self->timeout, g_get_monotonic_time () + milliseconds * (gint64) 1000);
  return 0;
}

/* Tells the requests whose transfers curl has ended. */
static void
take_ended (MorrowShard *self)
{
  CURLMsg *message;
  int n_left;

  while ((message = curl_multi_info_read (self->multi, &n_left)) != NULL)
    {
      CURLcode code = message->data.result;
      MorrowSlot *slot = NULL;

      if (message->msg != CURLMSG_DONE)
        continue;
      curl_easy_getinfo (message->easy_handle, CURLINFO_PRIVATE, &slot);
      morrow__easy_end (&slot->easy, code);
      if (code == CURLE_OK)
        morrow__host_learn (slot->host, slot->easy.multiplexed);
      morrow__engine_finish (slot);
    }
}

/* Lets curl go on, with a socket that is ready or with its timers. Never from inside one of
 * curl's callbacks. */
void
morrow__shard_act (MorrowShard *self, int fd, int events)
{
  int n_running;

  self->gave = FALSE;
  curl_multi_socket_action (self->multi, fd, events, &n_running);
  if (self->gave)
    morrow__shard_nudge (self);
  take_ended (self);
}

static void
on_timeout (gpointer data)
{
  morrow__shard_act (data, CURL_SOCKET_TIMEOUT, 0);
}

/* Acting may have the connection looked at again, on the next turn. */
static void
on_nudge (gpointer data)
{
  MorrowShard *self = data;

  for (guint fd = 0; fd < self->engine->sockets->len; fd++)
    if (morrow__sockets_is_shared (self, fd))
      morrow__shard_act (self, fd, CURL_CSELECT_IN);
}

/* Has curl look at shared connections on the loop's next turn. */
void
morrow__shard_nudge (MorrowShard *self)
{
  morrow_timeout_set (self->nudge, g_get_monotonic_time ());
}

MorrowShard *
morrow__shard_new (MorrowEngine *engine, guint index)
{
  MorrowShard *self = g_new0 (MorrowShard, 1);

  self->engine = engine;
  self->index = index;
  self->timeout = morrow_timeout_new (engine->loop, on_timeout, self);
  self->nudge = morrow_timeout_new (engine->loop, on_nudge, self);
  self->multi = curl_multi_init ();
  if (self->multi == NULL)
    g_error ("libcurl has no memory for a handle");

  curl_multi_setopt (self->multi, CURLMOPT_MAXCONNECTS, engine->max_idle);
  curl_multi_setopt (self->multi, CURLMOPT_TIMERFUNCTION, morrow__shard_on_timer);
  curl_multi_setopt (self->multi, CURLMOPT_TIMERDATA, self);
  curl_multi_setopt (self->multi, CURLMOPT_SOCKETFUNCTION, morrow__sockets_on_change);
  curl_multi_setopt (self->multi, CURLMOPT_SOCKETDATA, self);
  return self;
}

void
morrow__shard_free (MorrowShard *self)
{
  curl_multi_cleanup (self->multi);
  morrow_timeout_free (self->timeout);
  morrow_timeout_free (self->nudge);
  g_free (self);
}
