/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parent's side of a measured run: the process, what it reports, and its end. */
#pragma once

#include "plan.h"
#include "run.h"

/* n_done of the run's URLs have settled, n_failed of them badly. */
typedef void (*SpawnProgressFunc) (guint n_done, guint n_failed, gpointer data);

/* Runs one model in a process of its own and waits for its record.  progress may be NULL, and then the child reports none.
 * A signal caught meanwhile ends the child; it is the error SPAWN_ERROR with the signal as its code. */
Run *spawn_run (const Plan *plan, const Model *model, SpawnProgressFunc progress, gpointer data, GError **error);

/* Around all the runs: SIGINT and SIGTERM end the run under way instead of this program. */
void spawn_catch_signals   (void);
void spawn_release_signals (void);

/* Its code is a signal, or 0. */
#define SPAWN_ERROR (spawn_error_quark ())
GQuark spawn_error_quark (void);
