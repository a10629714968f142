/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the stack pool asks of the kernel, many pieces of memory at a time. */

#pragma once

#include <gio/gio.h>
#include <sys/uio.h>

G_BEGIN_DECLS

gsize     morrow__stack_memory_page_size (void);

/* Address space that costs nothing until it is touched.  NULL, with errno set, when there is none. */
gpointer  morrow__stack_memory_reserve   (gsize size);
void      morrow__stack_memory_release   (gpointer base,
                                          gsize    size);

/* Whether a guard costs no mapping. */
gboolean  morrow__stack_memory_has_light_guards (void);

/* Makes each of @pages fault.  Returns how many, counted from the first, do; when none does, @error is set. */
guint     morrow__stack_memory_guard     (const struct iovec  *pages,
                                          guint                n_pages,
                                          GError             **error);

/* Puts memory behind @ranges before they are touched, at less than what the faults would cost.  Optional. */
void      morrow__stack_memory_populate  (const struct iovec *ranges,
                                          guint               n_ranges);

/* Gives the memory behind @ranges back; they read as zeroes. */
void      morrow__stack_memory_discard   (const struct iovec *ranges,
                                          guint               n_ranges);

G_END_DECLS
