/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* MORROW_CURL_ERROR: curl's codes as a GError domain. What GLib has a word for has GLib's word. */

#include "config.h"

#include <pthread.h>

#include "http/error-private.h"
#include "http/show-private.h"

static pthread_once_t quark_once = PTHREAD_ONCE_INIT;
static GQuark quark;   /* immutable, once made */

static void
make_quark (void)
{
  quark = g_quark_from_static_string ("morrow-curl-error-quark");
}

/**
 * morrow_curl_error_quark:
 *
 * What the macro MORROW_CURL_ERROR stands for.
 *
 * Returns: the domain
 */
GQuark
morrow_curl_error_quark (void)
{
  pthread_once (&quark_once, make_quark);
  return quark;
}

/**
 * morrow_curl_error_get_code:
 * @error: an error of a request
 *
 * Gives libcurl's code for what went wrong: the error's own in the domain %MORROW_CURL_ERROR,
 * CURLE_OPERATION_TIMEDOUT for %G_IO_ERROR_TIMED_OUT, and CURLE_ABORTED_BY_CALLBACK for
 * %G_IO_ERROR_CANCELLED.
 *
 * Returns: a CURLcode; 0 when the error has nothing to do with curl
 */
gint
morrow_curl_error_get_code (const GError *error)
{
  g_return_val_if_fail (error != NULL, 0);

  if (error->domain == MORROW_CURL_ERROR)
    return error->code;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    return CURLE_OPERATION_TIMEDOUT;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return CURLE_ABORTED_BY_CALLBACK;
  return 0;
}

/* "What curl calls it: what there is to say of this case (curl 7)". */
G_GNUC_PRINTF (2, 0) static GError *
error_new_valist (CURLcode code, const char *detail, va_list args)
{
  g_autofree char *raw = g_strdup_vprintf (detail, args);
  g_autofree char *text = morrow__show_text (raw);

  if (code == CURLE_OPERATION_TIMEDOUT)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "%s (curl %d)", text, code);
  return g_error_new (MORROW_CURL_ERROR, code, "%s: %s (curl %d)", curl_easy_strerror (code),
                      text, code);
}

GError *
morrow__http_error_new (CURLcode code, const char *detail, ...)
{
  GError *error;
  va_list args;

  va_start (args, detail);
  error = error_new_valist (code, detail, args);
  va_end (args);
  return error;
}

void
morrow__http_error_set (GError **error, CURLcode code, const char *detail, ...)
{
  va_list args;

  va_start (args, detail);
  g_propagate_error (error, error_new_valist (code, detail, args));
  va_end (args);
}

GError *
morrow__http_error_timed_out (double seconds, const char *doing)
{
  return morrow__http_error_new (CURLE_OPERATION_TIMEDOUT, "Timed out after %g s, %s", seconds,
                                 doing);
}

/* Names the URL that was asked for and, unless NULL, where a redirect has led. A cancel is left as
 * it was given, since its message belongs to whoever cancelled. */
void
morrow__http_error_complete (GError **error, const char *url, const char *redirected_to)
{
  g_autofree char *asked = NULL;
  g_autofree char *target = NULL;

  if (error == NULL || g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;

  asked = morrow__show_url (url);
  if (redirected_to == NULL)
    {
      g_prefix_error (error, "%s: ", asked);
      return;
    }
  target = morrow__show_url (redirected_to);
  g_prefix_error (error, "%s: redirected to %s: ", asked, target);
}
