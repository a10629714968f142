/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The same for the library of HTTP: a request that fails before anything goes out. */
#include <morrow/http.h>
#include <morrow/morrow.h>

static gboolean
hello (gpointer data, GValue *result, GError **error)
{
  g_autoptr (GError) refused = NULL;
  g_autoptr (MorrowHttpResponse) response = morrow_await_boxed (morrow_http_get (data, NULL), &refused);

  if (response == NULL && morrow_curl_error_get_code (refused) != 0)
    g_print ("hello, %s\n", "world");
  return TRUE;
}

int
main (void)
{
  return morrow_run_main (hello, "gopher://127.0.0.1/");
}
