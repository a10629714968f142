/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One thread, one epoll set.  In it: the listening sockets; libmicrohttpd's own epoll descriptor,
 * which stands for every connection; the timer of the waits; the descriptors that main.c watches;
 * and the sockets of clients whose long waits are under way.
 *
 * A request, in order:
 *
 *   1  handle_request (), headers read: the Request is made and routed;
 *   2  handle_request () again, body read and thrown away: if it has to wait, its connection is
 *      suspended, which takes it out of libmicrohttpd's sight, and it joins the waits;
 *   3  the wait is due: the connection is resumed;
 *   4  handle_request () once more: the answer is queued;
 *   5  end_request (): the Request is freed.
 *
 * A suspended connection's socket is polled by nobody, so a client that hangs up meanwhile would go
 * unnoticed.  Waits of LONG_WAIT and more therefore put the socket into our set, for the hang-up
 * alone: such a request is resumed at once and its connection closed.  Shorter ones are not worth
 * the two system calls.
 *
 * Requests are freed inside MHD_run () only, and MHD_run () is called when all that one poll
 * brought has been looked at: the pointers in the events stay good.
 */

#include "config.h"

#include "server/server.h"

#include "server/listeners.h"
#include "server/route.h"

#include <errno.h>
#include <gio/gio.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONG_WAIT (G_USEC_PER_SEC / 2)
#define MAX_EVENTS 64
#define MAX_ACCEPTS 64 /* From one listening socket between two polls. */
#define SPARE_DESCRIPTORS 64
#define CONNECTION_MEMORY ((size_t) 8 * 1024)

typedef struct
{
  int         fd;
  ServerWatch func;
  gpointer    data;
} Watch;

struct _Server
{
  struct MHD_Daemon *daemon;
  Waits             *waits;
  GPtrArray         *watches;    /* Of Watch. */
  GArray            *listeners;  /* Of int; watched while accepting. */
  guint16            port;
  guint              max_open;   /* As many connections as there are descriptors for. */
  gboolean           accepting;
  int                poll_fd;
  int                http_fd;    /* libmicrohttpd's epoll descriptor, its own. */
  ServerStats        stats;
};

static inline Request *
request_of_wait (Wait *wait)
{
  return (Request *) (void *) ((char *) wait - G_STRUCT_OFFSET (Request, wait));
}

/* A server that is not told of what happens is none. */
static void
watch_fd (Server *self, int fd, gpointer data)
{
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = data };

  if (epoll_ctl (self->poll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
    return;

  g_printerr ("morrow-testserver: cannot poll descriptor %d: %s\n", fd, g_strerror (errno));
  exit (EXIT_FAILURE);
}

/* Accepting ------------------------------------------------------------------------------------- */

static void
start_accepting (Server *self)
{
  self->accepting = TRUE;
  for (guint i = 0; i < self->listeners->len; i++)
    watch_fd (self, g_array_index (self->listeners, int, i),
              &g_array_index (self->listeners, int, i));
}

/* Out of descriptors: connections queue up in the kernel until one of ours is closed. */
static void
stop_accepting (Server *self)
{
  self->accepting = FALSE;
  for (guint i = 0; i < self->listeners->len; i++)
    epoll_ctl (self->poll_fd, EPOLL_CTL_DEL, g_array_index (self->listeners, int, i), NULL);
}

static void
accept_some (Server *self, int listener)
{
  for (int i = 0; i < MAX_ACCEPTS && self->accepting; i++)
    {
      struct sockaddr_in address;
      socklen_t size = sizeof address;
      int fd = self->stats.open < self->max_open
                 ? accept4 (listener, (struct sockaddr *) &address, &size,
                            SOCK_NONBLOCK | SOCK_CLOEXEC)
                 : -1;

      if (fd >= 0)
        MHD_add_connection (self->daemon, fd, (struct sockaddr *) &address, size);
      else if (self->stats.open >= self->max_open || errno == EMFILE || errno == ENFILE)
        stop_accepting (self);
      else if (errno != ECONNABORTED && errno != EINTR)
        return;
    }
}

/* Whether what is among the elements of listeners. */
static gboolean
is_listener (Server *self, gconstpointer what)
{
  const int *fds = (const int *) (void *) self->listeners->data;

  return (const int *) what >= fds && (const int *) what < fds + self->listeners->len;
}

/* Waiting --------------------------------------------------------------------------------------- */

static void
set_hangup_watch (Server *self, Request *request, int operation)
{
  const union MHD_ConnectionInfo *info
    = MHD_get_connection_info (request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  struct epoll_event event = { .events = EPOLLRDHUP, .data.ptr = request };

  if (epoll_ctl (self->poll_fd, operation, info->connect_fd, &event) == 0)
    request->watched = operation == EPOLL_CTL_ADD;
}

/* Suspends the connection until deadline, or until the client hangs up. */
void
server_suspend (Server *self, Request *request, gint64 deadline)
{
  MHD_suspend_connection (request->connection);
  waits_add (self->waits, &request->wait, deadline);
  self->stats.waiting++;
  if (deadline - g_get_monotonic_time () >= LONG_WAIT)
    set_hangup_watch (self, request, EPOLL_CTL_ADD);
}

/* The request has been taken out of the waits. */
static void
resume (Server *self, Request *request)
{
  self->stats.waiting--;
  if (request->watched)
    set_hangup_watch (self, request, EPOLL_CTL_DEL);
  MHD_resume_connection (request->connection);
}

static void
hang_up (Server *self, Request *request)
{
  if (request->wait.place == NULL)
    return;

  request->gone = TRUE;
  waits_remove (self->waits, &request->wait);
  resume (self, request);
}

static void
resume_due (Server *self)
{
  gint64 now = g_get_monotonic_time ();
  Wait *wait;

  while ((wait = waits_pop_due (self->waits, now)) != NULL)
    resume (self, request_of_wait (wait));
}

/* libmicrohttpd's callbacks --------------------------------------------------------------------- */

static void
begin_request (Server *self, struct MHD_Connection *connection, const char *path, void **request_data)
{
  Request *request = g_new0 (Request, 1);

  request->server = self;
  request->connection = connection;
  request->path = g_strdup (path);
  request->began = g_get_monotonic_time ();
  self->stats.requests++;
  route_request (request);
  *request_data = request;
}

static enum MHD_Result
handle_request (void *data, struct MHD_Connection *connection, const char *path,
                const char *method, const char *version, const char *upload, size_t *upload_size,
                void **request_data)
{
  Server *self = data;
  Request *request = *request_data;

  if (request == NULL)
    {
      begin_request (self, connection, path, request_data);
      return MHD_YES;
    }

  if (*upload_size > 0)
    {
      *upload_size = 0;
      return MHD_YES;
    }

  if (request->gone)
    return MHD_NO;

  if (request->delay > 0)
    {
      gint64 delay = request->delay;

      request->delay = 0;
      server_suspend (self, request,
                      delay == G_MAXINT64 ? G_MAXINT64 : request->began + delay);
      return MHD_YES;
    }

  return request->answer (request);
}

static void
end_request (void *data, struct MHD_Connection *connection, void **request_data,
             enum MHD_RequestTerminationCode why)
{
  Request *request = *request_data;

  if (request == NULL)
    return;

  g_assert (request->wait.place == NULL);
  g_free (request->path);
  g_free (request);
  *request_data = NULL;
}

static void
count_connection (void *data, struct MHD_Connection *connection, void **connection_data,
                  enum MHD_ConnectionNotificationCode what)
{
  Server *self = data;

  if (what == MHD_CONNECTION_NOTIFY_STARTED)
    {
      self->stats.connections++;
      self->stats.open++;
    }
  else
    {
      self->stats.open--;
      if (!self->accepting)
        start_accepting (self);
    }
}

/* The loop -------------------------------------------------------------------------------------- */

/* Calls @watch when @fd is readable. */
void
server_watch (Server *self, int fd, ServerWatch func, gpointer data)
{
  Watch *watch = g_new0 (Watch, 1);

  watch->fd = fd;
  watch->func = func;
  watch->data = data;
  g_ptr_array_add (self->watches, watch);
  watch_fd (self, fd, watch);
}

/* FALSE when a watch wants the server to end. */
static gboolean
handle_event (Server *self, const struct epoll_event *event)
{
  gpointer what = event->data.ptr;

  if (what == &self->http_fd || what == self->waits)
    return TRUE; /* Both are looked at after every poll. */

  if (is_listener (self, what))
    {
      accept_some (self, *(const int *) what);
      return TRUE;
    }

  if (g_ptr_array_find (self->watches, what, NULL))
    {
      Watch *watch = what;

      return watch->func (watch->fd, watch->data);
    }

  hang_up (self, what);
  return TRUE;
}

/* Runs until a watch says that it is over. */
void
server_run (Server *self)
{
  struct epoll_event events[MAX_EVENTS];
  gboolean go_on = TRUE;

  while (go_on)
    {
      MHD_UNSIGNED_LONG_LONG timeout;
      gboolean at_once = MHD_get_timeout (self->daemon, &timeout) == MHD_YES && timeout == 0;
      int n;

      waits_arm (self->waits);
      n = epoll_wait (self->poll_fd, events, MAX_EVENTS, at_once ? 0 : -1);
      for (int i = 0; i < n && go_on; i++)
        go_on = handle_event (self, &events[i]);
      resume_due (self);
      MHD_run (self->daemon);
    }
}

/* Making and ending ----------------------------------------------------------------------------- */

/* Raises the limit on descriptors to the highest allowed; how many connections that leaves. */
static guint
raise_descriptor_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) != 0)
    return 1024 - SPARE_DESCRIPTORS;

  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  getrlimit (RLIMIT_NOFILE, &limit);
  return limit.rlim_cur > 2 * SPARE_DESCRIPTORS ? MIN (limit.rlim_cur, G_MAXINT) - SPARE_DESCRIPTORS
                                                : SPARE_DESCRIPTORS;
}

static gboolean
start_http (Server *self, const ServerOptions *options, GError **error)
{
  gboolean tls = options->certificate != NULL;
  struct MHD_OptionItem more[] = {
    { tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, (void *) options->certificate },
    { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) options->key },
    { MHD_OPTION_END, 0, NULL },
  };

  self->daemon = MHD_start_daemon (
    MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO
      | MHD_USE_SUPPRESS_DATE_NO_CLOCK | (tls ? MHD_USE_TLS : 0),
    0, NULL, NULL, handle_request, self, MHD_OPTION_CONNECTION_LIMIT, self->max_open,
    MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED, end_request,
    self, MHD_OPTION_NOTIFY_CONNECTION, count_connection, self, MHD_OPTION_ARRAY, more,
    MHD_OPTION_END);
  if (self->daemon == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "libmicrohttpd does not start");
      return FALSE;
    }

  self->http_fd = MHD_get_daemon_info (self->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  watch_fd (self, self->http_fd, &self->http_fd);
  return TRUE;
}

Server *
server_new (const ServerOptions *options, GError **error)
{
  Server *self = g_new0 (Server, 1);

  self->watches = g_ptr_array_new_with_free_func (g_free);
  self->poll_fd = epoll_create1 (EPOLL_CLOEXEC);
  self->max_open = raise_descriptor_limit ();
  if ((self->waits = waits_new (error)) == NULL
      || (self->listeners = listeners_open (options->port, &self->port, error)) == NULL
      || !start_http (self, options, error))
    {
      server_free (self);
      return NULL;
    }

  watch_fd (self, waits_get_fd (self->waits), self->waits);
  start_accepting (self);
  return self;
}

/* libmicrohttpd aborts if it is stopped with connections suspended. */
void
server_free (Server *self)
{
  Wait *wait;

  while (self->waits != NULL && (wait = waits_pop (self->waits)) != NULL)
    {
      request_of_wait (wait)->gone = TRUE;
      resume (self, request_of_wait (wait));
    }
  self->accepting = TRUE; /* Closing connections is no reason to take new ones any more. */
  g_clear_pointer (&self->daemon, MHD_stop_daemon);
  g_clear_pointer (&self->listeners, listeners_close);
  g_clear_pointer (&self->waits, waits_free);
  g_ptr_array_unref (self->watches);
  close (self->poll_fd);
  g_free (self);
}

guint16
server_get_port (Server *self)
{
  return self->port;
}

const ServerStats *
server_get_stats (Server *self)
{
  return &self->stats;
}
