/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What newer kernels take of madvise () and process_madvise (), where the C library's headers do not name it yet. */

#pragma once

#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef PIDFD_SELF
#define PIDFD_SELF -10000
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
