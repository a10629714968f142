/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What this process has, as the kernel lists it: for tests that count before and after.
 */
#pragma once

#include "config.h"

#include <dirent.h>
#include <glib.h>

/* . and .. are no entries. */
static inline guint
count_entries (const char *path)
{
  DIR *directory = opendir (path);
  guint n = 0;

  while (readdir (directory) != NULL)
    n++;
  closedir (directory);
  return n - 2;
}

/* What it has open; the one that is used for counting is counted as well, each time. */
static inline guint
count_descriptors (void)
{
  return count_entries ("/proc/self/fd");
}

/* To say which one is too many. */
static inline gchar *
describe_descriptors (void)
{
  GString *all = g_string_new (NULL);
  GDir *directory = g_dir_open ("/proc/self/fd", 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (directory)) != NULL)
    {
      g_autofree gchar *link = g_strconcat ("/proc/self/fd/", name, NULL);
      g_autofree gchar *target = g_file_read_link (link, NULL);

      g_string_append_printf (all, " %s=%s", name, target);
    }
  g_dir_close (directory);
  return g_string_free (all, FALSE);
}

/* Those by which its loops make calls together, as long as they have their threads. */
static inline guint
count_rings (void)
{
  g_autofree gchar *all = describe_descriptors ();
  guint n = 0;

  for (const char *ring = all; (ring = strstr (ring, "[io_uring]")) != NULL; ring++)
    n++;
  return n;
}

static inline guint
count_threads (void)
{
  return count_entries ("/proc/self/task");
}
