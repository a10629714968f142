/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program may be started with its standard input closed, and what it opens first is then
 * descriptor 0.  When that is a pipe for a child's standard input, there is nothing to move in the
 * child, so that it stays close-on-exec, and the child begins without.
 */

#include "config.h"

#include "server/standard.h"

#include <fcntl.h>
#include <unistd.h>

void
standard_open (void)
{
  int fd;

  do
    fd = open ("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0)
    close (fd);
}
