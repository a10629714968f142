/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plain thread attaches a callback, and where would it run? Where GLib's own callbacks would: on the thread-default
 * GMainContext, which is the application's main loop unless somebody pushed another. Each job is a GSource of its
 * own: right for the odd callback, too dear for a model. */

#include "config.h"

#include "core/foreign-private.h"

typedef struct
{
  MorrowExecutor parent_instance;

  GMainContext  *context;          /* immutable, owned */
} MorrowForeign;

typedef MorrowExecutorClass MorrowForeignClass;

GType morrow_foreign_get_type (void);

G_DEFINE_TYPE (MorrowForeign, morrow_foreign, MORROW_TYPE_EXECUTOR)

static gboolean
foreign_dispatch (gpointer data)
{
  MorrowJob *job = data;

  job->run (job, FALSE);
  return G_SOURCE_REMOVE;
}

static void
foreign_post (MorrowExecutor *executor, MorrowJob *job)
{
  MorrowForeign *self = (MorrowForeign *) executor;
  GSource *source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, foreign_dispatch, job, NULL);
  g_source_set_static_name (source, "morrow callback");
  g_source_attach (source, self->context);
  g_source_unref (source);
}

static void
morrow_foreign_finalize (GObject *object)
{
  g_main_context_unref (((MorrowForeign *) object)->context);
  G_OBJECT_CLASS (morrow_foreign_parent_class)->finalize (object);
}

static void
morrow_foreign_class_init (MorrowForeignClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = morrow_foreign_finalize;
  klass->post = foreign_post;
}

static void
morrow_foreign_init (MorrowForeign *self)
{
  self->context = g_main_context_ref_thread_default ();
}

MorrowExecutor *
morrow__foreign_new_held (void)
{
  MorrowExecutor *self = g_object_new (morrow_foreign_get_type (), NULL);

  morrow__executor_hold (self);
  g_object_unref (self);
  return self;
}
