/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The morrow_return_ functions: how a coroutine sets its result. */

#include "config.h"

#include <morrow/value.h>

/* G_IS_VALUE () and g_value_init () take GLib's type lock, which tasks that end on several threads would fight over: half
 * the time of a million of them. So an unset value is known by its type, and numbers are written as g_value_init ()
 * and a setter would. */
#define DEFINE_RETURN(name, ctype, gtype, field, v)                          \
  gboolean                                                                   \
  morrow_return_##name (GValue *result, ctype v_##name)                      \
  {                                                                          \
    g_return_val_if_fail (result != NULL && G_VALUE_TYPE (result) == 0, TRUE); \
                                                                             \
    result->g_type = gtype;                                                  \
    result->data[0].field = v;                                               \
    return TRUE;                                                             \
  }

/**
 * morrow_return_boolean:
 * @result: an unset value
 * @v_boolean: the result
 *
 * Returns: %TRUE
 */
DEFINE_RETURN (boolean, gboolean, G_TYPE_BOOLEAN, v_int, v_boolean != FALSE)

/**
 * morrow_return_int:
 * @result: an unset value
 * @v_int: the result
 *
 * Returns: %TRUE
 */
DEFINE_RETURN (int, gint, G_TYPE_INT, v_int, v_int)

/**
 * morrow_return_int64:
 * @result: an unset value
 * @v_int64: the result
 *
 * Returns: %TRUE
 */
DEFINE_RETURN (int64, gint64, G_TYPE_INT64, v_int64, v_int64)

/**
 * morrow_return_uint64:
 * @result: an unset value
 * @v_uint64: the result
 *
 * Returns: %TRUE
 */
DEFINE_RETURN (uint64, guint64, G_TYPE_UINT64, v_uint64, v_uint64)

/**
 * morrow_return_double:
 * @result: an unset value
 * @v_double: the result
 *
 * Returns: %TRUE
 */
DEFINE_RETURN (double, gdouble, G_TYPE_DOUBLE, v_double, v_double)

/**
 * morrow_return_string:
 * @result: an unset value
 * @v_string: (nullable): the result, which is copied
 *
 * Returns: %TRUE
 */
gboolean
morrow_return_string (GValue *result, const gchar *v_string)
{
  return morrow_return_take_string (result, g_strdup (v_string));
}

/**
 * morrow_return_pointer:
 * @result: an unset value
 * @v_pointer: (nullable): the result, whose ownership is the caller's and the awaiter's affair
 *
 * Returns: %TRUE
 */
DEFINE_RETURN (pointer, gpointer, G_TYPE_POINTER, v_pointer, v_pointer)

/**
 * morrow_return_take_string:
 * @result: an unset value
 * @v_string: (nullable) (transfer full): the result
 *
 * Returns: %TRUE
 */
gboolean
morrow_return_take_string (GValue *result, gchar *v_string)
{
  g_return_val_if_fail (result != NULL && G_VALUE_TYPE (result) == 0, TRUE);

  g_value_init (result, G_TYPE_STRING);
  g_value_take_string (result, v_string);
  return TRUE;
}

/**
 * morrow_return_boxed:
 * @result: an unset value
 * @type: the boxed type
 * @v_boxed: (nullable): the result, which is copied
 *
 * Returns: %TRUE
 */
gboolean
morrow_return_boxed (GValue *result, GType type, gconstpointer v_boxed)
{
  g_return_val_if_fail (result != NULL && G_VALUE_TYPE (result) == 0 && G_TYPE_IS_BOXED (type), TRUE);

  g_value_init (result, type);
  g_value_set_boxed (result, v_boxed);
  return TRUE;
}

/**
 * morrow_return_take_boxed:
 * @result: an unset value
 * @type: the boxed type
 * @v_boxed: (nullable) (transfer full): the result
 *
 * Returns: %TRUE
 */
gboolean
morrow_return_take_boxed (GValue *result, GType type, gpointer v_boxed)
{
  g_return_val_if_fail (result != NULL && G_VALUE_TYPE (result) == 0 && G_TYPE_IS_BOXED (type), TRUE);

  g_value_init (result, type);
  g_value_take_boxed (result, v_boxed);
  return TRUE;
}

/**
 * morrow_return_object:
 * @result: an unset value
 * @v_object: (nullable) (type GObject): the result, of which a reference is taken
 *
 * Returns: %TRUE
 */
gboolean
morrow_return_object (GValue *result, gpointer v_object)
{
  return morrow_return_take_object (result, v_object != NULL ? g_object_ref (v_object) : NULL);
}

/**
 * morrow_return_take_object:
 * @result: an unset value
 * @v_object: (nullable) (type GObject) (transfer full): the result
 *
 * Returns: %TRUE
 */
gboolean
morrow_return_take_object (GValue *result, gpointer v_object)
{
  g_return_val_if_fail (result != NULL && G_VALUE_TYPE (result) == 0, TRUE);
  g_return_val_if_fail (v_object == NULL || G_IS_OBJECT (v_object), TRUE);

  g_value_init (result, v_object != NULL ? G_OBJECT_TYPE (v_object) : G_TYPE_OBJECT);
  g_value_take_object (result, v_object);
  return TRUE;
}

/**
 * morrow_return_value:
 * @result: an unset value
 * @value: the result, which is copied
 *
 * Returns: %TRUE
 */
gboolean
morrow_return_value (GValue *result, const GValue *value)
{
  g_return_val_if_fail (result != NULL && G_VALUE_TYPE (result) == 0 && G_IS_VALUE (value), TRUE);

  g_value_init (result, G_VALUE_TYPE (value));
  g_value_copy (value, result);
  return TRUE;
}
