/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests of coroutines are written with: a record of what happened, in order, and coroutines
 * that do one thing.
 *
 *   say ("%s starts", name);
 *   ...
 *   assert_said ("a starts; b starts");
 */
#pragma once

#include <pthread.h>
#include <stdarg.h>

#include <morrow/morrow.h>

#include "morrow-check.h"

/* --- the record -------------------------------------------------------------------------------- */

static pthread_mutex_t scene_lock = PTHREAD_MUTEX_INITIALIZER;   /* which the thread sanitizer knows */
static GString *scene_said;   /* under the lock */

G_GNUC_PRINTF (1, 2) static inline void
say (const char *format, ...)
{
  va_list args;

  pthread_mutex_lock (&scene_lock);
  if (scene_said == NULL)
    scene_said = g_string_new (NULL);
  if (scene_said->len > 0)
    g_string_append (scene_said, "; ");
  va_start (args, format);
  g_string_append_vprintf (scene_said, format, args);
  va_end (args);
  pthread_mutex_unlock (&scene_lock);
}

/* What was said since the last time that this was asked. */
static inline char *
take_said (void)
{
  char *said;

  pthread_mutex_lock (&scene_lock);
  said = scene_said != NULL ? g_string_free (scene_said, FALSE) : g_strdup ("");
  scene_said = NULL;
  pthread_mutex_unlock (&scene_lock);
  return said;
}

static inline void
forget_said (void)
{
  g_free (take_said ());
}

#define assert_said(expected)              \
  G_STMT_START                             \
    {                                      \
      char *said_so_far = take_said ();    \
                                           \
      ck_assert_str_eq (said_so_far, (expected)); \
      g_free (said_so_far);                \
    }                                      \
  G_STMT_END

/* --- running ----------------------------------------------------------------------------------- */

#define assert_no_error(error) \
  ck_assert_msg ((error) == NULL, "%s", (error) != NULL ? (error)->message : "")

#define assert_error(error, domain, code)                                                          \
  ck_assert_msg (g_error_matches ((error), (domain), (code)), "%s",                                \
                 (error) != NULL ? (error)->message : "no error")

#define assert_cancelled(error) assert_error ((error), G_IO_ERROR, G_IO_ERROR_CANCELLED)

/* Runs a main coroutine on a new loop; it must succeed. */
static inline void
run_scene (MorrowCoroutineFunc func, gpointer data)
{
  GError *error = NULL;
  gboolean ok = morrow_run (morrow_coroutine (func, data, NULL), NULL, &error);

  assert_no_error (error);
  ck_assert (ok);
}

/* A test whose body is a main coroutine. */
#define SCENE(name)                                                                                \
  static gboolean name##_scene (gpointer data, GValue *result, GError **error);                    \
                                                                                                   \
  START_TEST (name)                                                                                \
  {                                                                                                \
    forget_said ();                                                                                \
    run_scene (name##_scene, NULL);                                                                \
  }                                                                                                \
  END_TEST                                                                                         \
                                                                                                   \
  static gboolean                                                                                  \
  name##_scene (gpointer data, GValue *result, GError **error)

/* Lets everything that is ready run, and what that makes ready, a few times over. */
static inline void
let_run (void)
{
  for (guint i = 0; i < 10; i++)
    {
      GError *error = NULL;
      gboolean ok = morrow_yield (&error);

      assert_no_error (error);
      ck_assert (ok);
    }
}

/* Turns a context until nothing is ready.  Two turns in which nothing is done may be those in which its loops stand back for
 * others, after a dispatch that has used up its time. */
static inline void
turn_until_idle (GMainContext *context)
{
  guint n_idle = 0;

  while (n_idle < 3)
    n_idle = g_main_context_iteration (context, FALSE) ? 0 : n_idle + 1;
}

/* Turns a context until @future has settled. */
static inline void
turn_until_settled (GMainContext *context, MorrowFuture *future)
{
  while (!morrow_future_is_settled (future))
    g_main_context_iteration (context, TRUE);
}

/* --- work that does one thing ------------------------------------------------------------------ */

/* data: what to say. */
static inline void
say_it (gpointer data)
{
  say ("%s", (const char *) data);
}

static inline void
submit_here (MorrowWorkFunc func, gpointer data)
{
  morrow_executor_submit (morrow_executor_get_current (), func, data, NULL);
}

/* --- coroutines that do one thing -------------------------------------------------------------- */

/* data: a MorrowFuture, borrowed.  Awaits it and returns its value. */
static inline gboolean
await_it (gpointer data, GValue *result, GError **error)
{
  return morrow_await_value (morrow_future_ref (data), result, error);
}

/* data: an int.  Returns it at once. */
static inline gboolean
return_int (gpointer data, GValue *result, GError **error)
{
  return morrow_return_int (result, GPOINTER_TO_INT (data));
}

/* data: a message, or NULL.  Fails at once. */
static inline gboolean
fail_with (gpointer data, GValue *result, GError **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, data != NULL ? data : "failed");
  return FALSE;
}

/* A pending future, and its promise. */
static inline MorrowFuture *
new_pending (MorrowPromise **ret_promise)
{
  *ret_promise = morrow_promise_new ();
  return morrow_promise_get_future (*ret_promise);
}

static inline MorrowFuture *
new_int (int v_int)
{
  GValue value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_INT);
  g_value_set_int (&value, v_int);
  return morrow_future_new_resolved (&value);
}

static inline MorrowFuture *
new_failed (const char *message)
{
  return morrow_future_new_rejected (g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, message));
}

/* Awaits, borrowing, and expects success. */
static inline void
await_ok (MorrowFuture *future)
{
  GError *error = NULL;
  gboolean ok = morrow_future_await (future, &error);

  assert_no_error (error);
  ck_assert (ok);
}

/* Awaits, borrowing, and expects a failure, which is given. */
static inline GError *
await_error (MorrowFuture *future)
{
  GError *error = NULL;

  ck_assert (!morrow_future_await (future, &error));
  ck_assert_ptr_nonnull (error);
  return error;
}

static inline void
await_cancelled (MorrowFuture *future)
{
  g_autoptr (GError) error = await_error (future);

  assert_cancelled (error);
}

static inline void
await_failed (MorrowFuture *future, const char *message)
{
  g_autoptr (GError) error = await_error (future);

  ck_assert_str_eq (error->message, message);
}

/* Calls @func in the middle of a settling. */
static inline void
call_in_a_settling (GWeakNotify func, gpointer data)
{
  MorrowPromise *one, *two;
  g_autoptr (MorrowFuture) all = morrow_all (new_pending (&one), new_pending (&two), NULL);
  GObject *object = g_object_new (G_TYPE_OBJECT, NULL);

  g_object_weak_ref (object, func, data);
  morrow_resolve_object (one, object);
  g_object_unref (object);
  morrow_reject (two, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "no luck"));
  await_failed (all, "no luck");
}
