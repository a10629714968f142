/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Chains of futures far longer than a stack has room for: settled, and let go of.
 */
#include "config.h"

#include "exec/scene.h"

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
chain_init (Chain *self, guint n, MakeLink make_link)
{
  self->n = n;
  self->links = g_new (MorrowFuture *, n + 1);
  self->links[0] = new_pending (&self->promise);
  for (guint i = 1; i <= n; i++)
    self->links[i] = make_link (morrow_future_ref (self->links[i - 1]));
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

static MorrowFuture *
link_shield (MorrowFuture *inner)
{
  return morrow_shield (inner);
}

static gboolean
pass_over (MorrowFuture *settled, gpointer data, GValue *result, GError **error)
{
  return TRUE;
}

static MorrowFuture *
link_callback (MorrowFuture *inner)
{
  MorrowFuture *callback = morrow_future_finally (inner, pass_over, NULL, NULL);

  morrow_future_unref (inner);
  return callback;
}

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

static Suite *
depth_suite (void)
{
  Suite *suite = suite_create ("depth");
  TCase *settled = morrow_check_add_case (suite, "settled");

  tcase_add_test (settled, chain_of_gathers_settles_and_is_let_go_of);
  tcase_add_test (settled, chain_of_shields_settles_and_is_let_go_of);
  tcase_add_test (settled, chain_of_callbacks_settles_and_is_let_go_of);
  tcase_add_test (settled, chain_of_values_is_let_go_of);

  return suite;
}

MORROW_CHECK_MAIN (depth_suite)
