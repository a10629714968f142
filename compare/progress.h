/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The live picture while the models run: a bar for each. */
#pragma once

#include "plan.h"
#include "run.h"
#include "terminal.h"

typedef struct _Progress Progress;

/* On the terminal; the bars stay until it is freed, which takes them away. */
Progress *progress_new         (const Terminal *terminal, const Plan *plan);
void      progress_free        (Progress *self);

/* A run of a model begins, gets on, and ends.  A warm-up has the number 0, measured runs count from 1. */
void      progress_begin_run   (Progress *self, const Model *model, int number);
void      progress_set_done    (guint n_done, guint n_failed, gpointer self);
void      progress_end_run     (Progress *self, const Run *run);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Progress, progress_free)
