/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A coroutine that waits.  In Python:
 *
 *     async def main():
 *         print("hello")
 *         await asyncio.sleep(1)
 *         print("world")
 *
 *     asyncio.run(main())
 */
#include "model.h"

static gboolean
hello (gpointer data, GValue *result, GError **error)
{
  g_print ("hello\n");
  if (!morrow_await (morrow_sleep (model_units (1)), error))
    return FALSE;
  g_print ("world\n");

  return TRUE;
}

int
main (int argc, char **argv)
{
  model_init (&argc, &argv, "Says hello, waits for one unit of time, says world.", NULL);

  return model_run (hello, NULL);
}
