/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The same coroutines as two tasks, which wait at the same time: two units, not three.  In Python:
 *
 *     async def main():
 *         hello = asyncio.create_task(say_after(1, "hello"))
 *         world = asyncio.create_task(say_after(2, "world"))
 *         print(f"started at {time.strftime('%X')}")
 *         await hello
 *         await world
 *         print(f"finished at {time.strftime('%X')}")
 *
 * A task starts at the next await, so on a loop "started" comes first.
 */
#include "model.h"

typedef struct
{
  double delay;
  const char *what;
} SayAfter;

static gboolean
say_after (gpointer data, GValue *result, GError **error)
{
  const SayAfter *say = data;

  if (!morrow_await (morrow_sleep (model_units (say->delay)), error))
    return FALSE;
  g_print ("%s\n", say->what);

  return TRUE;
}

static void
print_time (const char *what)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_local ();
  g_autofree char *time = g_date_time_format (now, "%T");

  g_print ("%s at %s\n", what, time);
}

static gboolean
main_coro (gpointer data, GValue *result, GError **error)
{
  static SayAfter say_hello = { 1, "hello" }, say_world = { 2, "world" };
  g_autoptr (MorrowFuture) hello = morrow_create_task (morrow_coroutine (say_after, &say_hello, NULL));
  g_autoptr (MorrowFuture) world = morrow_create_task (morrow_coroutine (say_after, &say_world, NULL));

  print_time ("started");
  if (!morrow_future_await (hello, error) || !morrow_future_await (world, error))
    return FALSE;
  print_time ("finished");

  return TRUE;
}

int
main (int argc, char **argv)
{
  model_init (&argc, &argv, "Runs two coroutines as tasks: two units of time, not three.", NULL);

  return model_run (main_coro, NULL);
}
