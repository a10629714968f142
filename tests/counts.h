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

static inline guint
count_threads (void)
{
  return count_entries ("/proc/self/task");
}
