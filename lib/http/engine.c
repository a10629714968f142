/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A loop's transfers: each loop has one engine, made with its first request, and gone with the
 * loop.
 *
 * A request's task puts its transfer into a slot, and awaits a promise. The loop's descriptors
 * and timers move curl (shard.c, sockets.c); when curl has ended the transfer, or its deadline
 * has come, the slot is emptied and the promise resolved. A task that is cancelled resumes with
 * that error, and takes its transfer back: on the loop's thread, outside of curl's callbacks, and
 * without waiting for anything. */

#include "config.h"

#include <pthread.h>
#include <sys/resource.h>

#include <morrow/morrow.h>

#include "base/likely-private.h"
#include "http/engine-private.h"
#include "http/error-private.h"
#include "http/process-private.h"

#define MAX_SPARES    1024
#define MAX_IDLE      1024L   /* connections kept by a shard */
#define MIN_IDLE      4L

/* --- slots ---------------------------------------------------------------------------------- */

static void
on_deadline (gpointer data)
{
  MorrowSlot *slot = data;

  morrow__easy_time_out (&slot->easy);
  morrow__engine_finish (slot);
}

static MorrowSlot *
slot_new (MorrowEngine *engine)
{
  MorrowSlot *self = g_new0 (MorrowSlot, 1);

  self->engine = engine;
  self->timeout = morrow_timeout_new (engine->loop, on_deadline, self);
  morrow__easy_init (&self->easy);
  curl_easy_setopt (self->easy.curl, CURLOPT_OPENSOCKETFUNCTION, morrow__sockets_on_open);
  curl_easy_setopt (self->easy.curl, CURLOPT_OPENSOCKETDATA, self);
  curl_easy_setopt (self->easy.curl, CURLOPT_CLOSESOCKETFUNCTION, morrow__sockets_on_close);
  curl_easy_setopt (self->easy.curl, CURLOPT_CLOSESOCKETDATA, engine);
  return self;
}

static void
slot_free (MorrowSlot *self)
{
  morrow__easy_clear (&self->easy);
  morrow_timeout_free (self->timeout);
  g_free (self);
}

static MorrowSlot *
take_slot (MorrowEngine *self)
{
  MorrowSlot *slot = self->spares;

  if (slot == NULL)
    {
      slot = slot_new (self);
    }
  else
    {
      self->spares = slot->next;
      self->n_spares--;
    }

  slot->previous = NULL;
  slot->next = self->active;
  if (slot->next != NULL)
    slot->next->previous = slot;
  self->active = slot;
  return slot;
}

static void
give_back_slot (MorrowEngine *self, MorrowSlot *slot)
{
  if (slot->next != NULL)
    slot->next->previous = slot->previous;
  if (slot->previous != NULL)
    slot->previous->next = slot->next;
  else
    self->active = slot->next;

  if (self->n_spares >= MAX_SPARES)
    {
      slot_free (slot);
      return;
    }
  slot->next = self->spares;
  self->spares = slot;
  self->n_spares++;
}

/* --- the engine ----------------------------------------------------------------------------- */

/* Idle connections may take half of the descriptors that the process may have. */
static long
max_idle (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) != 0)
    return MAX_IDLE;
  return CLAMP ((long) MIN (limit.rlim_cur, G_MAXINT) / 2 / MORROW_MAX_SHARDS, MIN_IDLE, MAX_IDLE);
}

static pthread_once_t engine_quark_once = PTHREAD_ONCE_INIT;
static GQuark engine_quark;   /* immutable, once made */

static void
make_engine_quark (void)
{
  engine_quark = g_quark_from_static_string ("morrow-http-engine");
}

/* The loop goes. What a child process has inherited is the parent's, epoll set and connections
 * alike: it is left alone. */
static void
engine_free (gpointer data, GObject *loop)
{
  MorrowEngine *self = data;

  if (self->generation != morrow__http_generation ())
    return;

  while (self->active != NULL)
    {
      morrow__easy_abandon (&self->active->easy);
      morrow__engine_finish (self->active);
    }
  while (self->spares != NULL)
    {
      MorrowSlot *slot = self->spares;

      self->spares = slot->next;
      slot_free (slot);
    }
  for (guint i = 0; i < self->n_shards; i++)
    morrow__shard_free (self->shards[i]);
  g_ptr_array_unref (self->sockets);
  g_hash_table_unref (self->hosts);
  g_free (self);
}

static MorrowEngine *
engine_new (MorrowLoop *loop)
{
  MorrowEngine *self = g_new0 (MorrowEngine, 1);

  self->loop = loop;
  self->generation = morrow__http_generation ();
  self->hosts = g_hash_table_new (g_str_hash, g_str_equal);
  self->sockets = g_ptr_array_new_with_free_func (morrow__sockets_free_socket);
  self->max_idle = max_idle ();
  g_object_set_qdata (G_OBJECT (loop), engine_quark, self);
  g_object_weak_ref (G_OBJECT (loop), engine_free, self);
  return self;
}

/* On the loop's thread. */
MorrowEngine *
morrow__engine_get (MorrowLoop *loop, GError **error)
{
  MorrowEngine *self;

  pthread_once (&engine_quark_once, make_engine_quark);
  self = g_object_get_qdata (G_OBJECT (loop), engine_quark);
  if (morrow__unlikely (self == NULL))
    return engine_new (loop);
  if (morrow__likely (self->generation == morrow__http_generation ()))
    return self;

  g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_FORKED,
                       "The loop was made by the parent of this process");
  return NULL;
}

/* --- a transfer ----------------------------------------------------------------------------- */

static MorrowFuture *
start (MorrowEngine *self, MorrowSlot *slot, MorrowTransfer *transfer)
{
  gboolean fresh;
  guint index;

  slot->host = morrow__host_get (self, transfer->origin);
  index = morrow__host_choose_shard (slot->host, self->n_shards, &fresh);
  if (index == self->n_shards)
    self->shards[self->n_shards++] = morrow__shard_new (self, index);
  slot->shard = self->shards[index];
  slot->easy.gave = &slot->shard->gave;
  slot->promise = morrow_promise_new ();
  morrow__host_use (slot->host, &slot->host->n_active[index]);

  morrow__easy_begin (&slot->easy, transfer, fresh);
  if (transfer->deadline != G_MAXINT64)
    morrow_timeout_set (slot->timeout, transfer->deadline);
  curl_multi_add_handle (slot->shard->multi, slot->easy.curl);
  return morrow_promise_get_future (slot->promise);
}

/* Empties the slot of a transfer that has its outcome, or that nobody wants any more. Never from
 * inside one of curl's callbacks. */
void
morrow__engine_finish (MorrowSlot *slot)
{
  MorrowEngine *self = slot->engine;

  morrow_timeout_unset (slot->timeout);
  morrow__sockets_settle (slot);
  curl_multi_remove_handle (slot->shard->multi, slot->easy.curl);
  if (slot->host->kind != MORROW_HOST_ONE_BY_ONE)
    morrow__shard_nudge (slot->shard);
  morrow__host_release (self, slot->host, &slot->host->n_active[slot->shard->index]);
  slot->host = NULL;
  slot->shard = NULL;
  morrow_resolve (g_steal_pointer (&slot->promise));
  give_back_slot (self, slot);
}

/* Inside a task. Returns FALSE when it was cancelled; else the transfer has its outcome. */
gboolean
morrow__engine_run (MorrowEngine *self, MorrowTransfer *transfer, GError **error)
{
  g_autoptr (MorrowFuture) ended = start (self, take_slot (self), transfer);
  MorrowSlot *slot;

  if (morrow_future_await (ended, error))
    return TRUE;

  slot = (MorrowSlot *) transfer->easy;
  if (slot != NULL)
    {
      morrow__easy_abandon (&slot->easy);
      morrow__engine_finish (slot);
    }
  return FALSE;
}
