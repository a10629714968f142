/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A coroutine that nobody awaits does not run, and the library says so.  In Python:
 *
 *     async def knights():
 *         return "Ni!"
 *
 *     async def main():
 *         knights()                # RuntimeWarning: coroutine 'knights' was never awaited
 *         print(await knights())   # Ni!
 */
#include "model.h"

static gboolean
knights (gpointer data, GValue *result, GError **error)
{
  return morrow_return_string (result, "Ni!");
}

static gboolean
main_coro (gpointer data, GValue *result, GError **error)
{
  MorrowFuture *unheard = morrow_coroutine (knights, NULL, NULL);
  g_autofree char *said = NULL;

  /* Makes the warning, which names the line above. */
  morrow_future_unref (unheard);

  said = morrow_await_string (morrow_coroutine (knights, NULL, NULL), error);
  if (said == NULL)
    return FALSE;
  g_print ("%s\n", said);

  return TRUE;
}

int
main (int argc, char **argv)
{
  model_init (&argc, &argv, "Makes a coroutine twice, and awaits it once.", NULL);

  return model_run (main_coro, NULL);
}
