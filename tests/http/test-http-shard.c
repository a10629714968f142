/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What curl may ask of a loop, and when the loop calls curl: with a curl_multi_socket_action () of
 * our own in the place of libcurl's.
 */

#include "http/http-check.h"
#include "http/engine-private.h"

#include <sys/eventfd.h>

static MorrowShard *shard;     /* The one that is tested. */
static guint n_actions;
static guint depth;            /* How deep in calls of curl. */
static guint n_asks_again;     /* So often an action asks for another one at once. */
static guint n_gives;          /* So often an action gives something out. */
static int calmed_fd = -1;     /* This one is wanted for reading only, after an action. */
static int last_fd, last_events;

/* In libcurl's place. */
CURLMcode
curl_multi_socket_action (CURLM *multi, curl_socket_t fd, int events, int *n_running)
{
  ck_assert_msg (depth == 0, "curl was called inside curl");
  depth++;
  n_actions++;
  last_fd = fd;
  last_events = events;
  if (n_asks_again > 0)
    {
      n_asks_again--;
      morrow__shard_on_timer (multi, 0, shard);
    }
  if (n_gives > 0)
    {
      n_gives--;
      shard->gave = TRUE;
    }
  if (calmed_fd >= 0)
    morrow__sockets_on_change (NULL, calmed_fd, CURL_POLL_IN, shard, NULL);
  depth--;
  *n_running = 0;
  return CURLM_OK;
}

static void
ask (long milliseconds)
{
  depth++;
  morrow__shard_on_timer (shard->multi, milliseconds, shard);
  depth--;
}

/* Lets the loop have some turns, by a timer of its own, which comes after those that are due. */
static void
turns (void)
{
  g_autoptr (GError) error = NULL;

  if (!morrow_await (morrow_sleep (0.002), &error))
    ck_abort_msg ("%s", error->message);
}

typedef void (*ShardFunc) (void);

static gboolean
with_shard (gpointer data, GValue *result, GError **error)
{
  ShardFunc func = *(ShardFunc *) data;
  MorrowEngine *engine = morrow__engine_get (morrow_loop_get_current (), error);

  if (engine == NULL)
    return FALSE;

  shard = morrow__shard_new (engine, 0);
  func ();
  morrow__shard_free (shard);
  return TRUE;
}

static void
run_with_shard (ShardFunc func)
{
  curl_global_init (CURL_GLOBAL_DEFAULT);
  run (LOOP, with_shard, &func);
}

/* The timer ---------------------------------------------------------------------------------- */

static void
zero (void)
{
  ask (0);
  ck_assert_uint_eq (n_actions, 0);
  turns ();
  ck_assert_uint_eq (n_actions, 1);
  ck_assert_int_eq (last_fd, CURL_SOCKET_TIMEOUT);
}

START_TEST (timer_of_zero_acts_on_the_next_turn_and_not_inside)
{
  run_with_shard (zero);
}
END_TEST

static void
one_shot (void)
{
  ask (0);
  turns ();
  turns ();
  ck_assert_uint_eq (n_actions, 1);
}

START_TEST (timer_fires_once)
{
  run_with_shard (one_shot);
}
END_TEST

static void
disarmed (void)
{
  ask (0);
  ask (-1);
  turns ();
  ck_assert_uint_eq (n_actions, 0);
  ask (-1);
  turns ();
  ck_assert_uint_eq (n_actions, 0);
}

START_TEST (timer_of_minus_one_disarms)
{
  run_with_shard (disarmed);
}
END_TEST

static void
replaced (void)
{
  ask (0);
  ask (3600 * 1000);
  turns ();
  ck_assert_uint_eq (n_actions, 0);
  ask (0);
  turns ();
  ck_assert_uint_eq (n_actions, 1);
}

START_TEST (timer_that_is_set_again_replaces_the_one_before)
{
  run_with_shard (replaced);
}
END_TEST

static void
not_before (void)
{
  gint64 before = g_get_monotonic_time ();

  ask (20);
  while (n_actions == 0)
    turns ();
  ck_assert_int_ge (g_get_monotonic_time () - before, 20000);
}

START_TEST (timer_fires_not_before_its_time)
{
  run_with_shard (not_before);
}
END_TEST

static void
again (void)
{
  n_asks_again = 100;
  ask (0);
  for (guint i = 0; i < 1000 && n_actions < 101; i++)
    turns ();
  turns ();
  ck_assert_uint_eq (n_actions, 101);
}

/* The stand-in for curl fails the test when it is called inside itself. */
START_TEST (timer_of_zero_asked_for_by_an_action_is_no_recursion)
{
  run_with_shard (again);
}
END_TEST

/* Descriptors -------------------------------------------------------------------------------- */

static void
say_change (int fd, int what)
{
  depth++;
  morrow__sockets_on_change (NULL, fd, what, shard, NULL);
  depth--;
}

static void
followed (void)
{
  int fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);

  say_change (fd, CURL_POLL_IN);
  turns ();
  ck_assert_uint_eq (n_actions, 0);

  calmed_fd = fd;
  say_change (fd, CURL_POLL_INOUT);
  turns ();
  ck_assert_uint_eq (n_actions, 1);
  ck_assert_int_eq (last_fd, fd);
  ck_assert_int_eq (last_events, CURL_CSELECT_OUT);

  eventfd_write (fd, 1);
  say_change (fd, CURL_POLL_REMOVE);
  turns ();
  ck_assert_uint_eq (n_actions, 1);
  close (fd);
}

START_TEST (descriptors_are_watched_for_what_curl_wants)
{
  run_with_shard (followed);
}
END_TEST

static void
spun (void)
{
  gint64 until = g_get_monotonic_time () + 200 * 1000;
  int fd = eventfd (1, EFD_CLOEXEC | EFD_NONBLOCK);

  morrow_check_expect_warning ("libcurl does not serve its descriptor*");
  say_change (fd, CURL_POLL_IN);
  while (g_get_monotonic_time () < until)
    turns ();
  ck_assert_uint_ge (n_actions, 1000);
  ck_assert_uint_le (n_actions, 1000 + 30);

  say_change (fd, CURL_POLL_REMOVE);
  close (fd);
}

/* Left alone it would be served a hundred thousand times in that time; but under valgrind. */
START_TEST (a_descriptor_that_curl_does_not_serve_is_looked_at_less_often)
{
  run_with_shard (spun);
}
END_TEST

/* Shared connections ------------------------------------------------------------------------- */

/* A connection to a host, which has a request; it is the listener that is connected to. */
static int
open_connection (MorrowSlot *slot, const char *origin, int listener)
{
  struct curl_sockaddr address = { .family = AF_INET, .socktype = SOCK_STREAM };
  struct sockaddr_in target;
  socklen_t len = sizeof target;
  int fd;

  *slot = (MorrowSlot) { .engine = shard->engine, .shard = shard };
  slot->host = morrow__host_get (shard->engine, origin);
  morrow__host_use (slot->host, &slot->host->n_active[0]);
  fd = morrow__sockets_on_open (slot, CURLSOCKTYPE_IPCXN, &address);
  getsockname (listener, (struct sockaddr *) &target, &len);
  ck_assert_int_eq (connect (fd, (struct sockaddr *) &target, len), 0);
  say_change (fd, CURL_POLL_IN);
  return fd;
}

static void
close_connection (MorrowSlot *slot, int fd)
{
  morrow__sockets_on_close (shard->engine, fd);
  morrow__host_release (shard->engine, slot->host, &slot->host->n_active[0]);
}

/* Beside one that is not shared. */
static int shared_fd;

static void
with_shared (ShardFunc func)
{
  MorrowSlot plain, shared;
  g_autofree char *url = NULL;
  int listener = listen_on_loopback (2, &url);
  int plain_fd = open_connection (&plain, "http://127.0.0.1:1", listener);

  shared_fd = open_connection (&shared, "https://127.0.0.1:1", listener);
  morrow__host_learn (shared.host, TRUE);
  func ();
  close_connection (&plain, plain_fd);
  close_connection (&shared, shared_fd);
  close (listener);
}

static void
assert_was_looked_at (guint n)
{
  ck_assert_uint_eq (n_actions, n);
  ck_assert_int_eq (last_fd, shared_fd);
  ck_assert_int_eq (last_events, CURL_CSELECT_IN);
}

static void
nudge_twice (void)
{
  morrow__shard_nudge (shard);
  morrow__shard_nudge (shard);
  ck_assert_uint_eq (n_actions, 0);
  turns ();
  assert_was_looked_at (1);
}

static void
nudged (void)
{
  with_shared (nudge_twice);
}

START_TEST (shared_connections_are_looked_at_once_more_when_a_request_ends)
{
  run_with_shard (nudged);
}
END_TEST

static void
give_thrice (void)
{
  n_gives = 3;
  ask (0);
  for (guint i = 0; i < 1000 && n_actions < 4; i++)
    turns ();
  turns ();
  assert_was_looked_at (4);
}

static void
given (void)
{
  with_shared (give_thrice);
}

START_TEST (shared_connections_are_looked_at_until_they_give_nothing)
{
  run_with_shard (given);
}
END_TEST

static Suite *
shard_suite (void)
{
  Suite *suite = suite_create ("http-shard");
  TCase *tcase = tcase_create ("timer");

  tcase_add_test (tcase, timer_of_zero_acts_on_the_next_turn_and_not_inside);
  tcase_add_test (tcase, timer_fires_once);
  tcase_add_test (tcase, timer_of_minus_one_disarms);
  tcase_add_test (tcase, timer_that_is_set_again_replaces_the_one_before);
  tcase_add_test (tcase, timer_fires_not_before_its_time);
  tcase_add_test (tcase, timer_of_zero_asked_for_by_an_action_is_no_recursion);
  suite_add_tcase (suite, tcase);

  tcase = tcase_create ("descriptors");
  tcase_add_test (tcase, descriptors_are_watched_for_what_curl_wants);
  if (morrow_check_slowness () == 1)
    tcase_add_test (tcase, a_descriptor_that_curl_does_not_serve_is_looked_at_less_often);
  tcase_add_test (tcase, shared_connections_are_looked_at_once_more_when_a_request_ends);
  tcase_add_test (tcase, shared_connections_are_looked_at_until_they_give_nothing);
  suite_add_tcase (suite, tcase);
  return suite;
}

MORROW_CHECK_MAIN_FORKING (shard_suite)
