/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plain thread attaches a callback, and where would it run? Where GLib's own callbacks would: on the thread-default
 * GMainContext, which is the application's main loop unless somebody pushed another. Each callback has an executor of its
 * own, and its job is a GSource: right for the odd callback, too dear for a model. */

#include "config.h"

#include "core/executor-private.h"

typedef struct
{
  MorrowExecutor parent_instance;

  GMainContext  *context;          /* whoever posts the one job takes it: what is queued on a context does not keep it */
} MorrowForeign;

typedef MorrowExecutorClass MorrowForeignClass;

GType morrow_foreign_get_type (void);

G_DEFINE_TYPE (MorrowForeign, morrow_foreign, MORROW_TYPE_EXECUTOR)

typedef struct
{
  GSource    source;
  MorrowJob *job;                  /* whoever dispatches or frees the source; NULL once it runs */
} JobSource;

static gboolean
job_dispatch (GSource *source, GSourceFunc func, gpointer data)
{
  MorrowJob *job = g_steal_pointer (&((JobSource *) source)->job);

  job->run (job, FALSE);
  return G_SOURCE_REMOVE;
}

/* The context has gone without it. */
static void
job_finalize (GSource *source)
{
  MorrowJob *job = ((JobSource *) source)->job;

  if (job != NULL)
    job->run (job, TRUE);
}

static GSourceFuncs job_funcs = { .dispatch = job_dispatch, .finalize = job_finalize };

static void
foreign_post (MorrowExecutor *executor, MorrowJob *job)
{
  g_autoptr (GMainContext) context = g_steal_pointer (&((MorrowForeign *) executor)->context);
  GSource *source = g_source_new (&job_funcs, sizeof (JobSource));

  ((JobSource *) source)->job = job;
  g_source_set_ready_time (source, 0);
  g_source_set_static_name (source, "morrow callback");
  g_source_attach (source, context);
  g_source_unref (source);
}

static void
morrow_foreign_finalize (GObject *object)
{
  g_clear_pointer (&((MorrowForeign *) object)->context, g_main_context_unref);
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
  morrow__executor_has_ended (self);            /* nothing of it is to be ended */
  g_object_unref (self);
  return self;
}
