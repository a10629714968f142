/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Coroutines awaited in turn: 1 + 2 makes three units of time.  In Python:
 *
 *     async def say_after(delay, what):
 *         await asyncio.sleep(delay)
 *         print(what)
 *
 *     async def main():
 *         print("started")
 *         await say_after(1, "hello")
 *         await say_after(2, "world")
 *         print("finished")
 *
 * say-after-tasks does the same in two.
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

static gboolean
main_coro (gpointer data, GValue *result, GError **error)
{
  static SayAfter hello = { 1, "hello" }, world = { 2, "world" };

  g_print ("started\n");
  if (!morrow_await (morrow_coroutine (say_after, &hello, NULL), error))
    return FALSE;
  if (!morrow_await (morrow_coroutine (say_after, &world, NULL), error))
    return FALSE;
  g_print ("finished\n");

  return TRUE;
}

int
main (int argc, char **argv)
{
  model_init (&argc, &argv, "Awaits two coroutines in turn: three units of time.", NULL);

  return model_run (main_coro, NULL);
}
