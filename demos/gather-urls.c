/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The exercise: information from ten-ish web sites.  One coroutine a site, gathered: the results come
 * in the order of the sites, and a site that fails does not disturb the others.  In Python:
 *
 *     sites = await asyncio.gather(*[visit(url) for url in urls], return_exceptions=True)
 * The gather is the same under every model, and the model is named only in model_run ().
 */
#include <morrow/http.h>

#include "compare/server/launch.h"
#include "demos/model.h"
#include "demos/page.h"
#include "demos/urls.h"

typedef struct
{
  const char *url;
  guint status;
  gsize n_bytes;
  double seconds;
  char *about;        /* the page's title, or else its content type */
} Site;

static char *urls_path;
static GStrv urls;
static int concurrency = G_MAXINT;
static double timeout = 60.0;
static MorrowHttpOptions *options;   /* for the whole program, as are the URLs */

static gboolean
visit (gpointer data, GValue *result, GError **error)
{
  Site *site = data;
  g_autoptr (MorrowHttpResponse) response = morrow_await_boxed (morrow_http_get (site->url, options), error);

  if (response == NULL)
    return FALSE;
  site->status = morrow_http_response_get_status (response);
  site->n_bytes = g_bytes_get_size (morrow_http_response_get_body (response));
  site->seconds = morrow_http_response_get_timings (response)->total;
  site->about = page_describe (morrow_http_response_get_body (response),
                               morrow_http_response_get_header (response, "Content-Type"));
  return TRUE;
}

/* One line; whether the site is well. */
static gboolean
print_site (const Site *site, const char *url, int url_width, const GError *error)
{
  if (error != NULL)
    g_print ("---                           %s\n", error->message);   /* which begins with the URL */
  else
    g_print ("%3u %9" G_GSIZE_FORMAT " bytes %7.3f s  %-*s  %s\n", site->status, site->n_bytes, site->seconds,
             url_width, url, site->about);
  return error == NULL && site->status < 400;
}

static gboolean
gather_urls (gpointer data, GValue *result, GError **error)
{
  guint n = g_strv_length (urls), n_failed = 0;
  g_autofree Site *sites = g_new0 (Site, n);
  g_autofree MorrowFuture **visits = g_new (MorrowFuture *, n);
  g_auto (GStrv) shown = urls_show (urls);
  g_autoptr (MorrowResults) results = NULL;
  int url_width = 0;

  for (guint i = 0; i < n; i++)
    {
      sites[i].url = urls[i];
      visits[i] = morrow_coroutine (visit, &sites[i], NULL);
      url_width = MAX (url_width, (int) strlen (shown[i]));
    }
  results = morrow_await_boxed (morrow_gather_full (visits, n, MORROW_GATHER_RETURN_ERRORS, concurrency), error);
  /* One after another, the sites have been visited before main first waits: Ctrl-C meanwhile is told here. */
  if (results != NULL && !morrow_yield (error))
    g_clear_pointer (&results, morrow_results_unref);

  for (guint i = 0; i < n; i++)
    {
      n_failed += results != NULL && !print_site (&sites[i], shown[i], url_width, morrow_results_get_error (results, i));
      g_free (sites[i].about);
    }
  if (n_failed > 0)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%u of %u sites failed", n_failed, n);
  return results != NULL && n_failed == 0;
}

int
main (int argc, char **argv)
{
  const GOptionEntry entries[] =
  {
    { "urls", 0, 0, G_OPTION_ARG_FILENAME, &urls_path, "A file of URLs, one a line, with # comments", "FILE" },
    { "concurrency", 'c', 0, G_OPTION_ARG_INT, &concurrency, "URLs under way at once (all)", "N" },
    { "timeout", 0, 0, G_OPTION_ARG_DOUBLE, &timeout, "Time for each URL (60)", "SECONDS" },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &urls, NULL, "[URL...]" },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr (MorrowTestServer) server = NULL;
  g_autoptr (GError) error = NULL;

  model_init (&argc, &argv, "Visits web sites, ten of its own where no URL is given, and prints a line for each.", entries);
  if (concurrency < 1 || !(timeout > 0.0) || (urls != NULL && urls_path != NULL))
    model_usage_error ("--concurrency is a number from 1, --timeout one above 0; give URLs or a file of them, not both");

  if (urls_path != NULL)
    urls = urls_read_file (urls_path, &error);
  else if (urls == NULL && (server = test_server_start (NULL, &error)) != NULL)
    urls = urls_new_sites (test_server_get_url (server));
  if (urls == NULL)
    return model_fail (error);

  options = morrow_http_options_new ();
  morrow_http_options_set_timeout (options, timeout);
  model_make_room (MIN (g_strv_length (urls), (guint) concurrency));
  return model_run (gather_urls, NULL);
}
