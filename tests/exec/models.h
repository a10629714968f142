/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests of executors are written with.  A test of what holds under every model is added with
 * tcase_add_loop_test (tcase, test, 0, N_MODELS), and makes its executor with make_model (_i).
 */
#pragma once

#include <stdatomic.h>

#include "counts.h"
#include "exec/scene.h"

enum
{
  MODEL_LOOP,
  MODEL_THREADS,
  MODEL_LOOPS,
  MODEL_INLINE,
  N_MODELS
};

static inline MorrowExecutor *
make_model (int model)
{
  switch (model)
    {
    case MODEL_LOOP:
      return morrow_loop_new (NULL);
    case MODEL_THREADS:
      return morrow_thread_pool_new (2);
    case MODEL_LOOPS:
      return morrow_loop_pool_new (2);
    default:
      return morrow_inline_new ();
    }
}

/* Runs a main coroutine; it must succeed. */
static inline void
run_scene_on (MorrowExecutor *executor, MorrowCoroutineFunc func, gpointer data)
{
  GError *error = NULL;
  gboolean ok = morrow_run_on (executor, morrow_coroutine (func, data, NULL), NULL, &error);

  assert_no_error (error);
  ck_assert (ok);
}

/* Runs a main coroutine, which must fail. */
static inline GError *
run_failing_on (MorrowExecutor *executor, MorrowCoroutineFunc func, gpointer data)
{
  GError *error = NULL;

  ck_assert (!morrow_run_on (executor, morrow_coroutine (func, data, NULL), NULL, &error));
  ck_assert_ptr_nonnull (error);
  return error;
}
