/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a plain main () into coroutines and back: what is the same for all executors. */

#include "config.h"

#include <signal.h>
#include <stdlib.h>

#include <morrow/error.h>
#include <morrow/run.h>

#include "core/relay-private.h"
#include "exec/task-private.h"

/* A run cannot begin inside another on the same thread, nor in the child of the process that made the executor. */
static gboolean
may_run (MorrowExecutor *executor, GError **error)
{
  if (executor != NULL && !morrow__executor_is_ours (executor))
    {
      morrow__executor_set_forked (error);
      return FALSE;
    }
  if (morrow__home == NULL && morrow__executor_current == NULL)
    return TRUE;

  g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_ALREADY_RUNNING,
                       "This thread already runs coroutines: await, or create a task, instead of running another main");
  return FALSE;
}

/* An executor has one run at a time, since the end of a run sweeps up whatever lives there. */
static gboolean
begin_run (MorrowExecutor *executor, GError **error)
{
  /* Acquire: pairs with the release in end_run (). */
  if (!atomic_exchange_explicit (&executor->running, TRUE, memory_order_acquire))
    return TRUE;

  g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_ALREADY_RUNNING,
                       "Another thread has a run on this executor: give it tasks with morrow_executor_spawn (), and wait for them");
  return FALSE;
}

static void
end_run (MorrowExecutor *executor)
{
  atomic_store_explicit (&executor->running, FALSE, memory_order_release);
}

static gboolean
is_lazy_task (MorrowFuture *future)
{
  return morrow__future_is_task (future) &&
         atomic_load_explicit (&((MorrowTask *) future)->state, memory_order_relaxed) == MORROW_TASK_LAZY;
}

/* Lets go of what was to run. What nobody has started never will be, and is dropped without the warning of that; what runs
 * is somebody else's. */
static void
drop_main (gpointer data)
{
  MorrowFuture *main = data;

  if (is_lazy_task (main) ||
      (!morrow__future_is_task (main) && (atomic_load_explicit (&main->aux, memory_order_relaxed) & MORROW__LAZY)))
    morrow_future_cancel (main);
  morrow_future_unref (main);
}

/* What is awaited by the run is a task; another future is wrapped in one. */
static gboolean
await_main (gpointer data, GValue *result, GError **error)
{
  return morrow_await_value (morrow_future_ref (data), result, error);
}

static MorrowFuture *
as_coroutine (MorrowFuture *main)
{
  return is_lazy_task (main) ? main : morrow_coroutine (await_main, main, drop_main);
}

static gboolean
get_outcome (MorrowFuture *main, gboolean interrupted, GValue *result, GError **error)
{
  const GValue *value;

  if (interrupted && morrow_future_is_cancelled (main) && morrow_future_uncancel (main) == 0)
    {
      g_set_error_literal (error, MORROW_ERROR, MORROW_ERROR_INTERRUPTED, "Interrupted");
      return FALSE;
    }

  value = morrow_future_get_value (main, error);
  if (value != NULL && result != NULL && G_IS_VALUE (value))
    {
      g_value_init (result, G_VALUE_TYPE (value));
      g_value_copy (value, result);
    }
  return value != NULL;
}

/**
 * morrow_run_on:
 * @executor: where to run
 * @main: (transfer full): a coroutine, or another future to wait for
 * @result: (out caller-allocates) (optional): an unset value for main's result
 * @error: return location for an error
 *
 * Runs @main to its end on @executor, and itself on the calling thread. asyncio's `run()`.
 *
 * When @main has ended, the tasks that are left over on @executor, whoever started them, are cancelled, and waited for: in
 * them every await fails from then on, but for one of a morrow_shield (). Threads of morrow_to_thread () are waited for
 * too, and so are callbacks and submitted work, if they are queued: all of them may use what @main's caller has on its
 * stack. So is what lives on pools that were dropped there.
 *
 * An executor has one run at a time. Threads that share a pool give it tasks with morrow_executor_spawn (), and wait for
 * them with morrow_future_wait (): that needs no run.
 *
 * On the process's main thread, and where SIGINT has its default action, the first SIGINT cancels @main; when it ends
 * by that, the error is %MORROW_ERROR_INTERRUPTED. The second ends the process.
 *
 * A run that is refused leaves alone what runs already, and cancels a coroutine.
 *
 * Returns: %TRUE when @main has succeeded; %FALSE with its error, or with %MORROW_ERROR_ALREADY_RUNNING when this
 * thread runs a main already, or another one does on @executor
 */
gboolean
morrow_run_on (MorrowExecutor *executor, MorrowFuture *main, GValue *result, GError **error)
{
  gboolean interrupted = FALSE, ok;
  MorrowRelays left;

  g_return_val_if_fail (MORROW_IS_EXECUTOR (executor), FALSE);
  g_return_val_if_fail (main != NULL, FALSE);
  g_return_val_if_fail (result == NULL || !G_IS_VALUE (result), FALSE);

  if (!may_run (executor, error) || !begin_run (executor, error))
    {
      drop_main (main);
      return FALSE;
    }

  main = as_coroutine (main);
  g_object_ref (executor);
  left = morrow__relay_leave ();   /* a release may have a run of its own */
  ok = MORROW_EXECUTOR_GET_CLASS (executor)->run (executor, main, &interrupted, error);
  end_run (executor);
  morrow__relay_return (&left);
  g_object_unref (executor);

  if (ok)
    ok = get_outcome (main, interrupted, result, error);
  drop_main (main);
  return ok;
}

/**
 * morrow_run:
 * @main: (transfer full): a coroutine, or another future to wait for
 * @result: (out caller-allocates) (optional): an unset value for main's result
 * @error: return location for an error
 *
 * Runs @main to its end on a new #MorrowLoop. See morrow_run_on ().
 *
 * Returns: %TRUE when @main has succeeded
 */
gboolean
morrow_run (MorrowFuture *main, GValue *result, GError **error)
{
  g_autoptr (MorrowExecutor) loop = NULL;

  g_return_val_if_fail (main != NULL, FALSE);

  if (!may_run (NULL, error))
    {
      drop_main (main);
      return FALSE;
    }

  loop = morrow_loop_new (NULL);
  return morrow_run_on (loop, main, result, error);
}

/**
 * morrow_run_main: (skip)
 * @func: the body of the main coroutine
 * @data: (nullable): passed to @func
 *
 * What a program's `main ()` returns: runs @func on a new #MorrowLoop, and prints its error if there is one.
 * Interrupted by SIGINT, it cleans up and then dies of it, as a shell expects.
 *
 * Returns: 0, or 1 after an error
 */
int
morrow_run_main (MorrowCoroutineFunc func, gpointer data)
{
  g_autoptr (GError) error = NULL;

  if (morrow_run (morrow_coroutine (func, data, NULL), NULL, &error))
    return EXIT_SUCCESS;

  if (g_error_matches (error, MORROW_ERROR, MORROW_ERROR_INTERRUPTED))
    {
      signal (SIGINT, SIG_DFL);
      raise (SIGINT);
    }
  g_printerr ("%s: %s\n", g_get_prgname () != NULL ? g_get_prgname () : "error", error->message);
  return EXIT_FAILURE;
}
