/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a loop's engine. engine.c is what requests see; shard.c drives curl, as the
 * loop's descriptors and timers say; host.c chooses connections.
 *
 * All of it belongs to the loop's thread. */

#pragma once

#include <morrow/promise.h>
#include <morrow/reactor.h>

#include "http/transfer-private.h"

#define MORROW_MAX_SHARDS 16

typedef struct _MorrowEngine MorrowEngine;
typedef struct _MorrowShard  MorrowShard;
typedef struct _MorrowHost   MorrowHost;
typedef struct _MorrowSlot   MorrowSlot;
typedef struct _MorrowSocket MorrowSocket;

/* What is known of how a host's connections carry requests. */
typedef enum
{
  MORROW_HOST_UNKNOWN,       /* TLS, and nobody has asked yet */
  MORROW_HOST_ONE_BY_ONE,    /* HTTP/1 */
  MORROW_HOST_MULTIPLEXED    /* HTTP/2 */
} MorrowHostKind;

struct _MorrowHost
{
  char          *origin;                        /* immutable, owned; the engine's key */
  MorrowHostKind kind;
  guint          n_open[MORROW_MAX_SHARDS];     /* sockets, by shard */
  guint          n_active[MORROW_MAX_SHARDS];   /* transfers, by shard */
  guint          n_uses;                        /* both together: with the last one it goes */
};

/* A multi handle of curl's. */
struct _MorrowShard
{
  MorrowEngine  *engine;    /* borrowed */
  guint          index;     /* among the engine's */
  CURLM         *multi;     /* owned */
  MorrowTimeout *timeout;   /* owned: curl's one timer */
  MorrowTimeout *nudge;     /* owned: due when curl may have more of a shared connection's */
  gboolean       gave;      /* curl has given out what came by a shared connection, in this action */
};

/* A transfer's place: an easy handle, and what is had once for it. */
struct _MorrowSlot
{
  MorrowEasy     easy;      /* first, so that it is the slot */
  MorrowEngine  *engine;    /* borrowed */
  MorrowTimeout *timeout;   /* owned: the deadline */
  MorrowShard   *shard;     /* while it runs, as are the next two: borrowed */
  MorrowHost    *host;
  MorrowPromise *promise;   /* owned: resolves when the transfer has its outcome */
  MorrowSocket  *connecting;   /* borrowed: those that it is making a connection with */
  MorrowSlot    *next;      /* among the spare ones, or the active ones */
  MorrowSlot    *previous;  /* among the active ones */
};

struct _MorrowEngine
{
  MorrowLoop   *loop;        /* borrowed: it goes first */
  guint         generation;  /* immutable */
  GHashTable   *hosts;       /* origin to MorrowHost, owned */
  GPtrArray    *sockets;     /* MorrowSocket by descriptor, owned, and NULLs */
  MorrowShard  *shards[MORROW_MAX_SHARDS];   /* owned */
  guint         n_shards;
  long          max_idle;    /* connections kept by a shard */
  MorrowSlot   *active;
  MorrowSlot   *spares;      /* owned */
  guint         n_spares;
};

/* engine.c */
MorrowEngine *morrow__engine_get          (MorrowLoop *loop, GError **error);
gboolean      morrow__engine_run          (MorrowEngine *self, MorrowTransfer *transfer,
                                           GError **error);
void          morrow__engine_finish       (MorrowSlot *slot);

/* host.c */
MorrowHost   *morrow__host_get            (MorrowEngine *engine, const char *origin);
guint         morrow__host_choose_shard   (MorrowHost *self, guint n_shards, gboolean *ret_fresh);
void          morrow__host_use            (MorrowHost *self, guint *counter);
void          morrow__host_release        (MorrowEngine *engine, MorrowHost *self, guint *counter);
void          morrow__host_learn          (MorrowHost *self, gboolean multiplexed);

/* shard.c */
MorrowShard  *morrow__shard_new           (MorrowEngine *engine, guint index);
void          morrow__shard_free          (MorrowShard *self);
void          morrow__shard_act           (MorrowShard *self, int fd, int events);
void          morrow__shard_nudge         (MorrowShard *self);
int           morrow__shard_on_timer      (CURLM *multi, long milliseconds, void *data);

/* sockets.c */
int           morrow__sockets_on_change   (CURL *curl, curl_socket_t fd, int what, void *data,
                                           void *unused);
curl_socket_t morrow__sockets_on_open     (void *data, curlsocktype purpose,
                                           struct curl_sockaddr *address);
int           morrow__sockets_on_close    (void *data, curl_socket_t fd);
gboolean      morrow__sockets_is_shared   (MorrowShard *shard, int fd);
void          morrow__sockets_settle      (MorrowSlot *slot);
void          morrow__sockets_free_socket (gpointer socket);
