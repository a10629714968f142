/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Chains of futures far longer than a stack has room for: cancelled, swept, settled, let go of.
 */
#include "config.h"

#include "core/future-private.h"
#include "exec/models.h"

/* Clang's thread sanitizer has no room for more fibers, nor for the calls of more that are on one stack. */
#ifdef MORROW_CHECK_TSAN
# define MAX_TASKS 4000u
#else
# define MAX_TASKS G_MAXUINT
#endif

/* links[0] is what the others wait for in the end, and each of them waits for the one before. */
typedef struct
{
  guint          n;
  MorrowPromise *promise;
  MorrowFuture **links;
} Chain;

/* What waits for @inner, which it takes. */
typedef MorrowFuture *(*MakeLink) (MorrowFuture *inner);

static void
chain_begin (Chain *self, guint n)
{
  self->n = n;
  self->links = g_new (MorrowFuture *, n + 1);
  self->links[0] = new_pending (&self->promise);
}

static void
chain_grow (Chain *self, MakeLink make_link)
{
  for (guint i = 1; i <= self->n; i++)
    self->links[i] = make_link (morrow_future_ref (self->links[i - 1]));
}

static void
chain_init (Chain *self, guint n, MakeLink make_link)
{
  chain_begin (self, n);
  chain_grow (self, make_link);
}

static guint
chain_length (void)
{
  return 100000 / morrow_check_slowness ();
}

static MorrowFuture *
outermost (Chain *self)
{
  return self->links[self->n];
}

static guint
chain_count_cancelled (Chain *self)
{
  guint n = 0;

  for (guint i = 0; i <= self->n; i++)
    n += morrow_future_is_cancelled (self->links[i]) ? 1 : 0;
  return n;
}

/* The outermost goes last, and with it all the others. */
static void
chain_clear (Chain *self)
{
  morrow_promise_unref (self->promise);
  for (guint i = 0; i <= self->n; i++)
    morrow_future_unref (self->links[i]);
  g_free (self->links);
}

/* --- links ------------------------------------------------------------------------------------- */

static MorrowFuture *
link_gather (MorrowFuture *inner)
{
  return morrow_gather (inner, NULL);
}

static gboolean
pass_over (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

/* The gather is not the first to wait for it. */
static MorrowFuture *
link_gather_behind_callback (MorrowFuture *inner)
{
  morrow_future_unref (morrow_future_finally (inner, pass_over, NULL, NULL));
  return morrow_gather (inner, NULL);
}

static MorrowFuture *
link_shield (MorrowFuture *inner)
{
  return morrow_shield (inner);
}

static MorrowFuture *
link_callback (MorrowFuture *inner)
{
  MorrowFuture *callback = morrow_future_finally (inner, pass_over, NULL, NULL);

  morrow_future_unref (inner);
  return callback;
}

static guint n_given;   /* the loop's thread: tasks that were given the cancel, once, with its message */

static gboolean
await_and_count (gpointer data, GValue *result, GError **error)
{
  ck_assert (!morrow_future_await (data, error));
  assert_cancelled (*error);
  ck_assert_str_eq ((*error)->message, "enough");
  ck_assert_uint_eq (morrow_future_get_cancelling (morrow_current_task ()), 1);
  n_given++;
  return FALSE;
}

static MorrowFuture *
link_task (MorrowFuture *inner)
{
  return morrow_create_task (morrow_coroutine (await_and_count, inner, (GDestroyNotify) morrow_future_unref));
}

/* --- cancelled --------------------------------------------------------------------------------- */

/* A gather settles when a task has cleaned up, which is later. */
static void
cancel_chain (Chain *self, guint n_settled_at_once)
{
  ck_assert (morrow_future_cancel_with_message (outermost (self), "enough"));
  ck_assert_uint_eq (chain_count_cancelled (self), n_settled_at_once);
  await_cancelled (outermost (self));
  ck_assert_uint_eq (chain_count_cancelled (self), self->n + 1);
  ck_assert (!morrow_future_cancel (outermost (self)));
}

SCENE (cancel_goes_down_a_chain_of_gathers)
{
  Chain chain;

  chain_init (&chain, chain_length (), link_gather);
  cancel_chain (&chain, chain.n + 1);
  ck_assert_str_eq (morrow_future_get_error (outermost (&chain))->message, "enough");
  chain_clear (&chain);
  return TRUE;
}

SCENE (cancel_goes_down_a_chain_of_callbacks)
{
  Chain chain;

  chain_init (&chain, chain_length (), link_callback);
  cancel_chain (&chain, chain.n + 1);
  chain_clear (&chain);
  let_run ();
  return TRUE;
}

SCENE (cancel_goes_down_a_chain_of_tasks)
{
  Chain chain;

  n_given = 0;
  chain_init (&chain, MIN (chain_length (), MAX_TASKS), link_task);
  let_run ();
  cancel_chain (&chain, 1);
  ck_assert_uint_eq (n_given, chain.n);
  chain_clear (&chain);
  return TRUE;
}

static MorrowFuture *
link_mixed (MorrowFuture *inner)
{
  return link_gather (link_task (link_callback (link_gather (inner))));
}

SCENE (cancel_goes_down_a_chain_of_everything)
{
  Chain chain;

  n_given = 0;
  chain_init (&chain, MIN (chain_length () / 4, MAX_TASKS), link_mixed);
  let_run ();
  cancel_chain (&chain, 1);
  ck_assert_uint_eq (n_given, chain.n);
  chain_clear (&chain);
  let_run ();
  return TRUE;
}

/* --- refused ----------------------------------------------------------------------------------- */

typedef struct
{
  MorrowObserver observer;   /* the innermost's */
  Chain          chain;
} Late;

/* The innermost has settled, and the gathers have not heard of it. */
static void
cancel_late (MorrowObserver *observer, MorrowFuture *settled)
{
  Chain *chain = &((Late *) observer)->chain;

  ck_assert (!morrow_future_is_settled (outermost (chain)));
  ck_assert (!morrow_future_cancel (outermost (chain)));
}

SCENE (cancel_is_refused_when_the_innermost_has_just_settled)
{
  Late late = { .observer = MORROW_OBSERVER (cancel_late) };

  chain_begin (&late.chain, chain_length ());
  ck_assert (morrow__future_subscribe_observer (late.chain.links[0], &late.observer));
  chain_grow (&late.chain, link_gather);
  morrow_promise_resolve (late.chain.promise);
  await_ok (outermost (&late.chain));
  ck_assert_uint_eq (chain_count_cancelled (&late.chain), 0);
  chain_clear (&late.chain);
  return TRUE;
}

/* --- swept ------------------------------------------------------------------------------------- */

/* Each of its tasks awaits another. */
typedef struct
{
  guint         n;
  MorrowPromise *promise;      /* what the innermost awaits */
  atomic_uint   n_waiting;
  atomic_uint   n_ended;
  atomic_uint   n_most;        /* requests that one of them was made */
} LeftOver;

static gboolean
wait_until_swept (LeftOver *self, MorrowFuture *awaited, GError **error)
{
  guint n_requests, n_most;

  ck_assert (!morrow_await (awaited, error));
  assert_cancelled (*error);
  n_requests = morrow_future_get_cancelling (morrow_current_task ());
  n_most = atomic_load (&self->n_most);
  while (n_requests > n_most && !atomic_compare_exchange_weak (&self->n_most, &n_most, n_requests))
    ;
  atomic_fetch_add (&self->n_ended, 1);
  return FALSE;
}

typedef struct
{
  LeftOver     *left_over;
  MorrowFuture *awaited;
} Link;

static gboolean
await_link (gpointer data, GValue *result, GError **error)
{
  Link *self = data;

  atomic_fetch_add (&self->left_over->n_waiting, 1);
  return wait_until_swept (self->left_over, self->awaited, error);
}

/* The innermost first. */
static void
leave_chain_over (LeftOver *self)
{
  MorrowFuture *outermost = morrow_promise_get_future (self->promise);

  for (guint i = 0; i < self->n; i++)
    {
      Link *link = g_new (Link, 1);

      *link = (Link) { self, outermost };
      outermost = morrow_create_task (morrow_coroutine (await_link, link, g_free));
    }
  morrow_future_unref (outermost);
}

/* The outermost first. */
static gboolean
nest (gpointer data, GValue *result, GError **error)
{
  LeftOver *self = data;
  guint depth = atomic_fetch_add (&self->n_waiting, 1);

  return wait_until_swept (self, depth + 1 == self->n ? morrow_promise_get_future (self->promise)
                                                      : morrow_create_task (morrow_coroutine (nest, self, NULL)), error);
}

static gboolean
leave_chains_over (gpointer data, GValue *result, GError **error)
{
  LeftOver *chains = data;

  leave_chain_over (&chains[0]);
  morrow_future_unref (morrow_create_task (morrow_coroutine (nest, &chains[1], NULL)));
  while (atomic_load (&chains[0].n_waiting) < chains[0].n || atomic_load (&chains[1].n_waiting) < chains[1].n)
    ck_assert (morrow_yield (error));
  return TRUE;
}

/* Where each passed every request on, that would be five thousand million of them, for each of the two chains. */
static guint
sweep_chains (MorrowExecutor *executor)
{
  LeftOver chains[2] = { { .n = 0 } };

  for (guint i = 0; i < 2; i++)
    {
      chains[i].n = MIN (chain_length (), MAX_TASKS / 2);
      chains[i].promise = morrow_promise_new ();
    }
  run_scene_on (executor, leave_chains_over, chains);
  for (guint i = 0; i < 2; i++)
    {
      ck_assert_uint_eq (atomic_load (&chains[i].n_ended), chains[i].n);
      morrow_promise_unref (chains[i].promise);
    }
  return MAX (atomic_load (&chains[0].n_most), atomic_load (&chains[1].n_most));
}

START_TEST (tasks_that_await_each_other_are_asked_twice_at_most_by_the_end_of_a_run)
{
  g_autoptr (MorrowExecutor) loop = morrow_loop_new (NULL);

  ck_assert_uint_eq (sweep_chains (loop), 2);
}
END_TEST

START_TEST (tasks_that_await_each_other_on_many_loops_are_swept)
{
  g_autoptr (MorrowExecutor) loops = morrow_loop_pool_new (2);

  sweep_chains (loops);
}
END_TEST

/* --- settled, and let go of -------------------------------------------------------------------- */

static void
settle_chain (MakeLink make_link)
{
  Chain chain;

  chain_init (&chain, chain_length (), make_link);
  morrow_promise_resolve (chain.promise);
  await_ok (outermost (&chain));
  chain_clear (&chain);
}

SCENE (chain_of_gathers_settles_and_is_let_go_of)
{
  settle_chain (link_gather);
  return TRUE;
}

SCENE (chain_of_gathers_each_behind_a_callback_settles_and_is_let_go_of)
{
  settle_chain (link_gather_behind_callback);
  return TRUE;
}

SCENE (chain_of_shields_settles_and_is_let_go_of)
{
  settle_chain (link_shield);
  return TRUE;
}

SCENE (chain_of_callbacks_settles_and_is_let_go_of)
{
  settle_chain (link_callback);
  return TRUE;
}

static MorrowFuture *
link_combined (MorrowFuture *inner)
{
  static guint turn;

  switch (turn++ % 3)
    {
    case 0:
      return morrow_gather (inner, NULL);
    case 1:
      return morrow_any (inner, NULL);
    default:
      return morrow_shield (inner);
    }
}

static gboolean
resolve_it (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  morrow_promise_resolve (data);
  return TRUE;
}

/* In the end for a task that is queued where this one waits, and for a callback, which runs once this one waits. */
static gboolean
await_combined (gpointer data, GValue *result, GError **error)
{
  g_autoptr (MorrowPromise) promise = NULL;
  g_autoptr (MorrowFuture) settled = new_int (1);
  g_autoptr (MorrowFuture) callback = NULL;
  MorrowFuture *awaited = new_pending (&promise);

  callback = morrow_future_then (settled, resolve_it, promise, NULL);
  awaited = morrow_gather (morrow_create_task (morrow_coroutine (return_int, GINT_TO_POINTER (1), NULL)), awaited, NULL);
  for (guint i = 0; i < chain_length (); i++)
    awaited = link_combined (awaited);
  return morrow_await (awaited, error);
}

static gboolean
await_combined_in_a_task (gpointer data, GValue *result, GError **error)
{
  return morrow_await (morrow_create_task (morrow_coroutine (await_combined, NULL, NULL)), error);
}

START_TEST (task_awaits_a_chain_of_combined_futures)
{
  g_autoptr (MorrowExecutor) executor = _i == MODEL_THREADS ? morrow_thread_pool_new (1) : make_model (_i);

  run_scene_on (executor, await_combined_in_a_task, NULL);
}
END_TEST

/* Gives how deep it is from here on, itself included. */
static gboolean
await_deeper (gpointer data, GValue *result, GError **error)
{
  guint n_below = GPOINTER_TO_UINT (data), depth = 1;

  if (n_below > 0)
    depth += morrow_await_int (morrow_coroutine (await_deeper, GUINT_TO_POINTER (n_below - 1), NULL), error);
  return morrow_return_int (result, depth);
}

static gboolean
await_deep (gpointer data, GValue *result, GError **error)
{
  guint n = MIN (chain_length (), MAX_TASKS);
  MorrowFuture *coroutine = morrow_coroutine (await_deeper, GUINT_TO_POINTER (n - 1), NULL);

  morrow_future_set_stack_size (coroutine, GPOINTER_TO_SIZE (data));
  ck_assert_int_eq (morrow_await_int (coroutine, error), n);
  return TRUE;
}

/* Each needs more than half of what there is left where the next gets another stack. */
static gboolean
await_deeper_with_much (gpointer data, GValue *result, GError **error)
{
  guint n_below = GPOINTER_TO_UINT (data), depth = 1;
  volatile char frame[14 * 1024];

  __asm__ volatile ("" : : "r" (frame));   /* all of it: compilers leave out what is not used */
  frame[0] = frame[sizeof frame - 1] = 1;
  if (n_below > 0)
    depth += morrow_await_int (morrow_coroutine (await_deeper_with_much, GUINT_TO_POINTER (n_below - 1), NULL), error);
  return frame[0] == frame[sizeof frame - 1] && morrow_return_int (result, depth);
}

SCENE (coroutines_with_large_frames_await_each_other_deeper_than_one_stack_holds)
{
  ck_assert_int_eq (morrow_await_int (morrow_coroutine (await_deeper_with_much, GUINT_TO_POINTER (499), NULL), error), 500);
  return TRUE;
}

START_TEST (coroutines_await_each_other_deeper_than_one_stack_holds)
{
  g_autoptr (MorrowExecutor) executor = make_model (_i);

  run_scene_on (executor, await_deep, NULL);
  run_scene_on (executor, await_deep, GSIZE_TO_POINTER (1));
}
END_TEST

/* Likewise, each a task of its own, with 8 KiB. */
static gboolean
await_deeper_task (gpointer data, GValue *result, GError **error)
{
  guint n_below = GPOINTER_TO_UINT (data), depth = 1;
  volatile char frame[8 * 1024];

  __asm__ volatile ("" : : "r" (frame));   /* all of it: compilers leave out what is not used */
  frame[0] = frame[sizeof frame - 1] = 1;
  if (n_below > 0)
    depth += morrow_await_int (morrow_spawn (await_deeper_task, GUINT_TO_POINTER (n_below - 1), NULL), error);
  return frame[0] == frame[sizeof frame - 1] && morrow_return_int (result, depth);
}

static gboolean
await_deep_tasks (gpointer data, GValue *result, GError **error)
{
  const guint n = 1500;

  ck_assert_int_eq (morrow_await_int (morrow_spawn (await_deeper_task, GUINT_TO_POINTER (n - 1), NULL), error), n);
  return TRUE;
}

/* The one thread runs each on top of the one that waits for it. */
START_TEST (tasks_on_a_thread_await_each_other_deeper_than_its_stack_holds)
{
  g_autoptr (MorrowExecutor) executor = morrow_thread_pool_new (1);

  run_scene_on (executor, await_deep_tasks, NULL);
}
END_TEST

/* A future whose value is a future. */
static MorrowFuture *
link_value (MorrowFuture *inner)
{
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, MORROW_TYPE_FUTURE);
  g_value_set_instance (&value, inner);
  morrow_future_unref (inner);
  return morrow_future_new_resolved (&value);
}

SCENE (chain_of_values_is_let_go_of)
{
  settle_chain (link_value);
  return TRUE;
}

static gboolean
never_run (gpointer data, GValue *result, GError **error)
{
  ck_abort ();
  return FALSE;
}

/* Each is the next one's data. */
SCENE (chain_of_coroutines_that_nobody_starts_is_let_go_of)
{
  guint n = chain_length () / 2;
  MorrowFuture *outermost = NULL;

  for (guint i = 0; i < n; i++)
    {
      outermost = morrow_coroutine (never_run, outermost, outermost != NULL ? (GDestroyNotify) morrow_future_unref : NULL);
      morrow_check_expect_warning ("coroutine 'never_run' was never awaited*");
    }
  morrow_future_unref (outermost);
  return TRUE;
}

SCENE (chain_of_work_for_threads_that_nobody_starts_is_let_go_of)
{
  guint n = chain_length () / 2;
  MorrowFuture *outermost = NULL;

  for (guint i = 0; i < n; i++)
    {
      outermost = morrow_to_thread (never_run, outermost, outermost != NULL ? (GDestroyNotify) morrow_future_unref : NULL);
      morrow_check_expect_warning ("'never_run', for a thread, was never awaited*");
    }
  morrow_future_unref (outermost);
  return TRUE;
}

static Suite *
depth_suite (void)
{
  Suite *suite = suite_create ("depth");
  TCase *cancelled = morrow_check_add_case (suite, "cancelled");
  TCase *swept = morrow_check_add_case (suite, "swept");
  TCase *settled = morrow_check_add_case (suite, "settled");
  TCase *awaited = morrow_check_add_case (suite, "awaited");

  tcase_add_test (cancelled, cancel_goes_down_a_chain_of_gathers);
  tcase_add_test (cancelled, cancel_goes_down_a_chain_of_callbacks);
  tcase_add_test (cancelled, cancel_goes_down_a_chain_of_tasks);
  tcase_add_test (cancelled, cancel_goes_down_a_chain_of_everything);
  tcase_add_test (cancelled, cancel_is_refused_when_the_innermost_has_just_settled);

  tcase_add_test (swept, tasks_that_await_each_other_are_asked_twice_at_most_by_the_end_of_a_run);
  tcase_add_test (swept, tasks_that_await_each_other_on_many_loops_are_swept);

  tcase_add_test (settled, chain_of_gathers_settles_and_is_let_go_of);
  tcase_add_test (settled, chain_of_gathers_each_behind_a_callback_settles_and_is_let_go_of);
  tcase_add_test (settled, chain_of_shields_settles_and_is_let_go_of);
  tcase_add_test (settled, chain_of_callbacks_settles_and_is_let_go_of);
  tcase_add_loop_test (settled, task_awaits_a_chain_of_combined_futures, 0, N_MODELS);
  tcase_add_test (settled, chain_of_values_is_let_go_of);
  tcase_add_test (settled, chain_of_coroutines_that_nobody_starts_is_let_go_of);
  tcase_add_test (settled, chain_of_work_for_threads_that_nobody_starts_is_let_go_of);

  tcase_add_loop_test (awaited, coroutines_await_each_other_deeper_than_one_stack_holds, 0, N_MODELS);
  tcase_add_test (awaited, tasks_on_a_thread_await_each_other_deeper_than_its_stack_holds);
  tcase_add_test (awaited, coroutines_with_large_frames_await_each_other_deeper_than_one_stack_holds);

  return suite;
}

MORROW_CHECK_MAIN (depth_suite)
