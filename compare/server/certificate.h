/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A certificate for 127.0.0.1 and localhost, signed by itself, and its key: good for a day.
 */
#pragma once

#include <glib.h>

typedef struct
{
  char *certificate; /* Both PEM, owned. */
  char *key;
} Certificate;

gboolean certificate_make  (Certificate *self, GError **error);
void     certificate_clear (Certificate *self);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Certificate, certificate_clear)
