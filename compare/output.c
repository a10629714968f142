/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file is written whole, by g_file_set_contents (): into a temporary one beside it, which takes its
 * place, so that whoever fails in the middle leaves the old one.  That it will work is found out
 * before the first run, the same way, rather than after minutes of measuring.
 */
#include "config.h"

#include "output.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <unistd.h>

gboolean
output_check (const char *path, GError **error)
{
  g_autofree char *beside = g_strconcat (path, ".XXXXXX", NULL);
  int fd;

  /* A device would be replaced, too, and a folder cannot be. */
  if (g_file_test (path, G_FILE_TEST_EXISTS) && !g_file_test (path, G_FILE_TEST_IS_REGULAR))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE, "cannot write '%s': it is not a regular file", path);
      return FALSE;
    }

  fd = g_mkstemp (beside);
  if (fd < 0)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "cannot write '%s': %s", path, g_strerror (errno));
      return FALSE;
    }
  close (fd);
  g_unlink (beside);

  return TRUE;
}
