/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be read of a future: its state, its value or error, its name; and the report of an error that nobody read. */

#include "config.h"

#include <string.h>

#include <morrow/error.h>

#include "core/future-private.h"

/**
 * morrow_future_get_status:
 * @self: a future
 *
 * Tells what has become of @self. A settled future never changes again. This does not count as looking at the error.
 *
 * Returns: the status
 */
MorrowFutureStatus
morrow_future_get_status (MorrowFuture *self)
{
  guintptr word;

  g_return_val_if_fail (self != NULL, MORROW_FUTURE_PENDING);

  word = morrow__future_peek (self);
  if (!(word & MORROW__SETTLED))
    return MORROW_FUTURE_PENDING;
  return word & MORROW__REJECTED ? MORROW_FUTURE_REJECTED : MORROW_FUTURE_RESOLVED;
}

/**
 * morrow_future_is_settled:
 * @self: a future
 *
 * Tells whether @self has a value or an error. asyncio's `done()`.
 *
 * Returns: whether it has settled
 */
gboolean
morrow_future_is_settled (MorrowFuture *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return morrow__future_is_settled (self);
}

/**
 * morrow_future_is_cancelled:
 * @self: a future
 *
 * Tells whether @self ended by being cancelled, rather than by an error of its own. asyncio's `cancelled()`.
 *
 * Returns: whether it has settled as cancelled
 */
gboolean
morrow_future_is_cancelled (MorrowFuture *self)
{
  guintptr word;

  g_return_val_if_fail (self != NULL, FALSE);

  word = morrow__future_peek (self);
  return (word & MORROW__SETTLED) && (word & MORROW__CANCELLED);   /* while it is pending, that bit may be a waiter's */
}

/* Nobody may miss an error: whoever hands it on, or shows it, says so here. */
void
morrow__future_mark_read (MorrowFuture *self)
{
  guintptr word = morrow__future_peek (self);

  /* Relaxed: only the last unref looks at READ, and R1 orders it. */
  if ((word & (MORROW__SETTLED | MORROW__REJECTED | MORROW__READ)) == (MORROW__SETTLED | MORROW__REJECTED))
    atomic_fetch_or_explicit (&self->word, MORROW__READ, memory_order_relaxed);
}

/* The error of a rejected future. A cancel without a message has none until somebody asks: most are never looked at. */
const GError *
morrow__future_get_error (MorrowFuture *self)
{
  /* Acquire, as when the exchange below fails: pairs with that of another thread, which releases the error that it made. */
  GError *error = atomic_load_explicit (&self->outcome.error, memory_order_acquire);
  GError *none = NULL;

  if (error != NULL)
    return error;

  error = morrow__cancelled_error (NULL);
  if (atomic_compare_exchange_strong_explicit (&self->outcome.error, &none, error, memory_order_acq_rel, memory_order_acquire))
    return error;

  g_error_free (error);
  return none;
}

/* FALSE, always, and a copy of the error. @self has rejected. */
gboolean
morrow__future_propagate_error (MorrowFuture *self, GError **error)
{
  morrow__future_mark_read (self);
  if (error != NULL)
    *error = g_error_copy (morrow__future_get_error (self));
  return FALSE;
}

/**
 * morrow_future_get_value:
 * @self: a future
 * @error: return location for an error
 *
 * Looks at the value. A future that resolved without one has an unset #GValue.
 *
 * Returns: (transfer none) (nullable): the value; or %NULL with the future's error, or with %MORROW_ERROR_PENDING
 */
const GValue *
morrow_future_get_value (MorrowFuture *self, GError **error)
{
  g_return_val_if_fail (self != NULL, NULL);

  if (!morrow__future_is_settled (self))
    {
      g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_PENDING, "The future has not settled yet");
      return NULL;
    }

  return morrow__future_propagate (self, error) ? &self->outcome.value : NULL;
}

/**
 * morrow_future_get_error:
 * @self: a future
 *
 * Looks at the error.
 *
 * Returns: (transfer none) (nullable): the error; %NULL when @self is pending or resolved
 */
const GError *
morrow_future_get_error (MorrowFuture *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  if (morrow_future_get_status (self) != MORROW_FUTURE_REJECTED)
    return NULL;

  morrow__future_mark_read (self);
  return morrow__future_get_error (self);
}

/* The value if there is one of the type that the caller names; asking for another type is the caller's mistake. */
static inline const GValue *
resolved_value (MorrowFuture *self, GType type)
{
  const GValue *value = &self->outcome.value;
  guintptr word = morrow__future_peek (self);

  if ((word & (MORROW__SETTLED | MORROW__REJECTED)) != MORROW__SETTLED || value->g_type == 0)
    return NULL;

  g_return_val_if_fail (G_VALUE_HOLDS (value, type), NULL);
  return value;
}

/* Numbers, without the type that a getter of GLib's would look at once more. */
#define number_in_boolean(value) ((value)->data[0].v_int)
#define number_in_int(value)     ((value)->data[0].v_int)
#define number_in_int64(value)   ((value)->data[0].v_int64)
#define number_in_uint64(value)  ((value)->data[0].v_uint64)
#define number_in_double(value)  ((value)->data[0].v_double)

#define DEFINE_GETTER(name, ctype, gtype, getter, none)        \
  ctype                                                        \
  morrow_future_get_##name (MorrowFuture *self)                \
  {                                                            \
    const GValue *value;                                       \
                                                               \
    g_return_val_if_fail (self != NULL, none);                 \
                                                               \
    value = resolved_value (self, gtype);                      \
    return value != NULL ? getter (value) : none;              \
  }

/**
 * morrow_future_get_boolean:
 * @self: a future that resolves with a boolean
 *
 * Returns: the value; %FALSE when there is none
 */
DEFINE_GETTER (boolean, gboolean, G_TYPE_BOOLEAN, number_in_boolean, FALSE)

/**
 * morrow_future_get_int:
 * @self: a future that resolves with an int
 *
 * Returns: the value; 0 when there is none
 */
DEFINE_GETTER (int, gint, G_TYPE_INT, number_in_int, 0)

/**
 * morrow_future_get_int64:
 * @self: a future that resolves with a 64-bit integer
 *
 * Returns: the value; 0 when there is none
 */
DEFINE_GETTER (int64, gint64, G_TYPE_INT64, number_in_int64, 0)

/**
 * morrow_future_get_uint64:
 * @self: a future that resolves with an unsigned 64-bit integer
 *
 * Returns: the value; 0 when there is none
 */
DEFINE_GETTER (uint64, guint64, G_TYPE_UINT64, number_in_uint64, 0)

/**
 * morrow_future_get_double:
 * @self: a future that resolves with a double
 *
 * Returns: the value; 0 when there is none
 */
DEFINE_GETTER (double, gdouble, G_TYPE_DOUBLE, number_in_double, 0)

/**
 * morrow_future_get_string:
 * @self: a future that resolves with a string
 *
 * Returns: (transfer none) (nullable): the string, valid as long as @self is; %NULL when there is none
 */
DEFINE_GETTER (string, const gchar *, G_TYPE_STRING, g_value_get_string, NULL)

/**
 * morrow_future_get_pointer:
 * @self: a future that resolves with a pointer
 *
 * Returns: (transfer none) (nullable): the pointer; %NULL when there is none
 */
DEFINE_GETTER (pointer, gpointer, G_TYPE_POINTER, g_value_get_pointer, NULL)

/**
 * morrow_future_get_boxed: (skip)
 * @self: a future that resolves with a boxed value
 *
 * Returns: (transfer none) (nullable): the boxed value, valid as long as @self is; %NULL when there is none
 */
DEFINE_GETTER (boxed, gpointer, G_TYPE_BOXED, g_value_get_boxed, NULL)

/**
 * morrow_future_get_object:
 * @self: a future that resolves with an object
 *
 * Returns: (transfer none) (nullable) (type GObject): the object, valid as long as @self is; %NULL when there is none
 */
DEFINE_GETTER (object, gpointer, G_TYPE_OBJECT, g_value_get_object, NULL)

/* --- names ------------------------------------------------------------------------------------------------------- */

/* A name, and the site in whose place it stands: others keep that beyond the name. */
typedef struct
{
  const MorrowSite *site;     /* immutable, as is the name */
  char              name[];
} Named;

static Named *
get_named (MorrowFuture *self)
{
  return G_STRUCT_MEMBER_P (self->name, -(glong) G_STRUCT_OFFSET (Named, name));
}

static gboolean
is_named (MorrowFuture *self)
{
  return (atomic_load_explicit (&self->aux, memory_order_relaxed) & MORROW__NAMED) != 0;
}

const MorrowSite *
morrow__future_get_named_site (MorrowFuture *self)
{
  return get_named (self)->site;
}

void
morrow__future_free_name (MorrowFuture *self)
{
  if (is_named (self))
    g_free (get_named (self));
}

/**
 * morrow_future_set_name:
 * @self: a future
 * @name: what to call it in reports
 *
 * Names a future. Not to be called from two threads at a time, nor while another asks for the name.
 */
void
morrow_future_set_name (MorrowFuture *self, const gchar *name)
{
  Named *named;
  gsize size;

  g_return_if_fail (self != NULL && name != NULL);

  size = strlen (name) + 1;
  named = g_malloc (sizeof (Named) + size);
  named->site = morrow__future_get_site (self);
  memcpy (named->name, name, size);

  morrow__future_free_name (self);
  self->name = named->name;
  /* Relaxed: the caller keeps other threads away. */
  atomic_fetch_or_explicit (&self->aux, MORROW__NAMED, memory_order_relaxed);
}

/* --- errors ------------------------------------------------------------------------------------------------------ */

GError *
morrow__cancelled_error (const char *message)
{
  return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, message != NULL ? message : "Operation was cancelled");
}

void
morrow__report_unread (MorrowFuture *self)
{
  g_autofree char *name = morrow_future_dup_name (self);
  const char *location = morrow__future_get_location (self);
  const GError *error = morrow__future_get_error (self);

  g_log_structured (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                    "MORROW_FUTURE", name,
                    "MORROW_SITE", location != NULL ? location : "",
                    "MORROW_ERROR_DOMAIN", g_quark_to_string (error->domain),
                    "MESSAGE", "The error of %s%s%s%s was never looked at: %s", name,
                    location != NULL ? ", made at " : "", location != NULL ? location : "", location != NULL ? "," : "", error->message);
}
