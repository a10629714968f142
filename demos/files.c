/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "files.h"

#include <sys/resource.h>

/* A process has files open beside its connections: the standard ones, libraries' and the loops' own. */
#define FILES_BESIDE_CONNECTIONS 64

char *
files_make_room (guint n_connections)
{
  rlim_t needed = (rlim_t) n_connections + FILES_BESIDE_CONNECTIONS;
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) != 0)
    return NULL;

  limit.rlim_cur = limit.rlim_max;
  if (setrlimit (RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= needed)
    return NULL;

  getrlimit (RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= needed)
    return NULL;

  return g_strdup_printf ("only %llu files may be open, and %u URLs at once take %llu: "
                          "some will fail. Raise the limit (ulimit -Hn), or give --concurrency.",
                          (unsigned long long) limit.rlim_cur, n_connections,
                          (unsigned long long) needed);
}
