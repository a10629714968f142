/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ten-line program that the installed library is tried with. */
#include <morrow/morrow.h>

static gboolean
hello (gpointer data, GValue *result, GError **error)
{
  g_print ("hello, %s\n", (const char *) data);
  return morrow_await (morrow_sleep (0.01), error);
}

int
main (void)
{
  return morrow_run_main (hello, "world");
}
