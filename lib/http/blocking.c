/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transfers where a task that waits blocks its thread: on a thread pool, and inline.
 *
 * Each thread has one handle of curl's, and one transfer at a time; connections stay open from
 * one transfer to the next, and close with the thread. The handle sits in a multi handle of its
 * own, since that is what another thread can wake: a cancel, which comes from there, ends the
 * wait at once. */

#include "config.h"

#include <unistd.h>

#include <morrow/morrow.h>

#include "http/blocking-private.h"
#include "http/error-private.h"
#include "http/process-private.h"

#define MAX_CONNECTIONS 32L   /* kept open by a thread */
#define SHORT_PATIENCE  50    /* milliseconds */

/* The thread's own; wakers of other threads touch multi. */
typedef struct
{
  MorrowEasy easy;
  CURLM     *multi;        /* owned */
  gboolean   gave;         /* the last look gave out what came by HTTP/2 */
  guint      generation;   /* immutable, as is the next */
  gpointer   inherited;    /* what the parent process has left here */
} Blocking;

static void
blocking_free (gpointer data)
{
  Blocking *self = data;

  if (self->generation != morrow__http_generation ())
    return;
  morrow__easy_clear (&self->easy);
  curl_multi_cleanup (self->multi);
  g_free (self);
}

static GPrivate this_thread = G_PRIVATE_INIT (blocking_free);

/* What a parent process has left us is its own: it stays as it is. */
static Blocking *
get_blocking (void)
{
  Blocking *inherited = g_private_get (&this_thread);
  Blocking *self = inherited;

  if (self != NULL && self->generation == morrow__http_generation ())
    return self;

  self = g_new0 (Blocking, 1);
  self->inherited = inherited;
  self->generation = morrow__http_generation ();
  morrow__easy_init (&self->easy);
  self->easy.gave = &self->gave;
  self->multi = curl_multi_init ();
  if (self->multi == NULL)
    g_error ("libcurl has no memory for a handle");
  curl_multi_setopt (self->multi, CURLMOPT_MAXCONNECTS, MAX_CONNECTIONS);
  g_private_set (&this_thread, self);
  return self;
}

/* --- one transfer --------------------------------------------------------------------------- */

/* A cancel of the task while it waits. The cancellable wakes it; the count of requests tells a
 * new one from one that the task has been given before. */
typedef struct
{
  MorrowFuture *task;          /* borrowed */
  guint         n_before;      /* requests that are not news */
  GCancellable *cancellable;   /* owned */
  gulong        handler;
  int           patience;      /* milliseconds: how long to sleep without a look, since a
                                * cancellable that has been cancelled says nothing more, and
                                * SIGINT's handler, on the process's main thread, never does */
} Cancel;

/* On the thread that cancels. */
static void
on_cancelled (GCancellable *cancellable, gpointer multi)
{
  curl_multi_wakeup (multi);
}

/* Returns FALSE when a request came before, and is delivered here. */
static gboolean
cancel_begin (Cancel *self, CURLM *multi, GError **error)
{
  self->task = morrow_current_task ();
  if (morrow_future_get_cancelling (self->task) > 0 && !morrow_yield (error))
    return FALSE;

  self->n_before = morrow_future_get_cancelling (self->task);
  self->cancellable = morrow_future_get_cancellable (self->task);
  self->patience = g_cancellable_is_cancelled (self->cancellable) || gettid () == getpid () ? SHORT_PATIENCE : G_MAXINT;
  self->handler = g_cancellable_connect (self->cancellable, G_CALLBACK (on_cancelled), multi, NULL);
  return TRUE;
}

static gboolean
cancel_is_due (Cancel *self)
{
  return morrow_future_get_cancelling (self->task) > self->n_before;
}

static void
cancel_end (Cancel *self)
{
  g_cancellable_disconnect (self->cancellable, self->handler);
  g_object_unref (self->cancellable);
}

/* A cancel is given to the task where it can be: at a suspension point. */
static gboolean
take_cancel (GError **error)
{
  if (morrow_yield (error))
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "The request was cancelled");
  return FALSE;
}

static gboolean
has_ended (Blocking *self, CURLcode *code)
{
  int n_running, n_left;
  CURLMsg *message;

  self->gave = FALSE;
  curl_multi_perform (self->multi, &n_running);
  message = curl_multi_info_read (self->multi, &n_left);
  if (message == NULL || message->msg != CURLMSG_DONE)
    return FALSE;

  *code = message->data.result;
  return TRUE;
}

/* In milliseconds, rounded up. The timers of curl's own end the poll by themselves. */
static int
time_left (gint64 deadline)
{
  gint64 left;

  if (deadline == G_MAXINT64)
    return G_MAXINT;
  left = (deadline - g_get_monotonic_time () + 999) / 1000;
  return CLAMP (left, 0, G_MAXINT);
}

/* Moves the transfer to its end, to its deadline, or to the cancel. What curl has of HTTP/2 it may not
 * give out all at once, and a poll does not know of it (shard.c): it is asked until it has none. */
static void
move (Blocking *self, MorrowTransfer *transfer, Cancel *cancel)
{
  CURLcode code;
  int left;

  while (self->easy.transfer != NULL)
    {
      if (has_ended (self, &code))
        morrow__easy_end (&self->easy, code);
      else if (cancel_is_due (cancel))
        morrow__easy_abandon (&self->easy);
      else if ((left = time_left (transfer->deadline)) == 0)
        morrow__easy_time_out (&self->easy);
      else if (!self->gave)
        curl_multi_poll (self->multi, NULL, 0, MIN (left, cancel->patience), NULL);
    }
}

/* Inside a task. Returns FALSE when it was cancelled; else the transfer has its outcome. */
gboolean
morrow__blocking_run (MorrowTransfer *transfer, GError **error)
{
  Blocking *self = get_blocking ();
  Cancel cancel;

  if (!cancel_begin (&cancel, self->multi, error))
    return FALSE;

  morrow__easy_begin (&self->easy, transfer, FALSE);
  curl_multi_add_handle (self->multi, self->easy.curl);
  move (self, transfer, &cancel);
  curl_multi_remove_handle (self->multi, self->easy.curl);
  cancel_end (&cancel);

  return transfer->error != NULL || transfer->response->body != NULL || take_cancel (error);
}
