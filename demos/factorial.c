/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A gather: several at once, and the results in the order of the arguments.  In Python:
 *
 *     async def factorial(name, number):
 *         f = 1
 *         for i in range(2, number + 1):
 *             print(f"Task {name}: Compute factorial({number}), currently i={i}...")
 *             await asyncio.sleep(1)
 *             f *= i
 *         print(f"Task {name}: factorial({number}) = {f}")
 *         return f
 *
 *     async def main():
 *         print(await asyncio.gather(factorial("A", 2), factorial("B", 3),
 *                                    factorial("C", 4), factorial("D", 5)))
 */
#include "model.h"

typedef struct
{
  const char *name;
  int number;
} Factorial;

static gboolean
factorial (gpointer data, GValue *result, GError **error)
{
  const Factorial *self = data;
  int f = 1;

  for (int i = 2; i <= self->number; i++)
    {
      g_print ("Task %s: Compute factorial(%d), currently i=%d...\n", self->name, self->number, i);
      if (!morrow_await (morrow_sleep (model_units (1)), error))
        return FALSE;
      f *= i;
    }
  g_print ("Task %s: factorial(%d) = %d\n", self->name, self->number, f);

  return morrow_return_int (result, f);
}

static gboolean
main_coro (gpointer data, GValue *result, GError **error)
{
  static Factorial a = { "A", 2 }, b = { "B", 3 }, c = { "C", 4 }, d = { "D", 5 };
  g_autoptr (MorrowResults) results =
    morrow_await_boxed (morrow_gather (morrow_coroutine (factorial, &a, NULL),
                                       morrow_coroutine (factorial, &b, NULL),
                                       morrow_coroutine (factorial, &c, NULL),
                                       morrow_coroutine (factorial, &d, NULL),
                                       NULL), error);

  if (results == NULL)
    return FALSE;
  for (gsize i = 0; i < morrow_results_get_n (results); i++)
    g_print ("%s%d", i == 0 ? "[" : ", ", morrow_results_get_int (results, i));
  g_print ("]\n");

  return TRUE;
}

int
main (int argc, char **argv)
{
  model_init (&argc, &argv, "Computes four factorials at once, slowly.", NULL);

  return model_run (main_coro, NULL);
}
