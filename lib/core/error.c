/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* MORROW_ERROR: an extended error domain, so that MORROW_ERROR_GROUP can hold the errors that it stands for. */

#include "config.h"

#include "core/error-private.h"

typedef struct
{
  GPtrArray *children;   /* of GError, shared by the copies and immutable; NULL but for a group */
} MorrowErrorPrivate;

static void
morrow_error_private_init (MorrowErrorPrivate *priv)
{
  priv->children = NULL;
}

static void
morrow_error_private_copy (const MorrowErrorPrivate *from, MorrowErrorPrivate *to)
{
  to->children = from->children != NULL ? g_ptr_array_ref (from->children) : NULL;
}

static void
morrow_error_private_clear (MorrowErrorPrivate *priv)
{
  g_clear_pointer (&priv->children, g_ptr_array_unref);
}

G_DEFINE_EXTENDED_ERROR (MorrowError, morrow_error)

/**
 * morrow_error_get_children:
 * @error: an error
 *
 * Gives the errors that a %MORROW_ERROR_GROUP stands for.
 *
 * Returns: (transfer none) (nullable) (element-type GError): the errors; %NULL when @error is no group
 */
GPtrArray *
morrow_error_get_children (const GError *error)
{
  g_return_val_if_fail (error != NULL, NULL);

  return error->domain == MORROW_ERROR ? morrow_error_get_private (error)->children : NULL;
}

/* Takes the array, which is not changed afterwards. */
GError *
morrow__error_new_group (GPtrArray *children, const char *what)
{
  const GError *first = g_ptr_array_index (children, 0);
  GError *error = g_error_new (MORROW_ERROR, MORROW_ERROR_GROUP, "%s (%u errors, the first: %s)", what, children->len, first->message);

  morrow_error_get_private (error)->children = children;
  return error;
}
