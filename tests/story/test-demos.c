/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The demos as a reader runs them.  Under the event loop, and one after another, the lines and their
 * order are exact; on several threads the same lines come in the order that these give them.  The
 * story's unit of time is a few milliseconds here.
 */
#include "config.h"

#include "morrow-check.h"
#include "program.h"

#define UNIT "0.01"

static const char *const model_names[] = { "loop", "threads", "loops", "sequential" };

#define LOOP       0
#define SEQUENTIAL 3

static const char factorial_lines[] =
  "Task A: Compute factorial(2), currently i=2...\n"
  "Task B: Compute factorial(3), currently i=2...\n"
  "Task C: Compute factorial(4), currently i=2...\n"
  "Task D: Compute factorial(5), currently i=2...\n"
  "Task A: factorial(2) = 2\n"
  "Task B: Compute factorial(3), currently i=3...\n"
  "Task C: Compute factorial(4), currently i=3...\n"
  "Task D: Compute factorial(5), currently i=3...\n"
  "Task B: factorial(3) = 6\n"
  "Task C: Compute factorial(4), currently i=4...\n"
  "Task D: Compute factorial(5), currently i=4...\n"
  "Task C: factorial(4) = 24\n"
  "Task D: Compute factorial(5), currently i=5...\n"
  "Task D: factorial(5) = 120\n"
  "[2, 6, 24, 120]\n";

/* Each from its beginning to its end. */
static const char factorial_lines_in_turn[] =
  "Task A: Compute factorial(2), currently i=2...\n"
  "Task A: factorial(2) = 2\n"
  "Task B: Compute factorial(3), currently i=2...\n"
  "Task B: Compute factorial(3), currently i=3...\n"
  "Task B: factorial(3) = 6\n"
  "Task C: Compute factorial(4), currently i=2...\n"
  "Task C: Compute factorial(4), currently i=3...\n"
  "Task C: Compute factorial(4), currently i=4...\n"
  "Task C: factorial(4) = 24\n"
  "Task D: Compute factorial(5), currently i=2...\n"
  "Task D: Compute factorial(5), currently i=3...\n"
  "Task D: Compute factorial(5), currently i=4...\n"
  "Task D: Compute factorial(5), currently i=5...\n"
  "Task D: factorial(5) = 120\n"
  "[2, 6, 24, 120]\n";

static void
assert_same_lines (const char *got, const char *wanted)
{
  g_autofree char *sorted_got = program_sort_lines (got);
  g_autofree char *sorted_wanted = program_sort_lines (wanted);

  ck_assert_str_eq (sorted_got, sorted_wanted);
}

/* A text without the times of day in it. */
static char *
cut_times (const char *text)
{
  g_autoptr (GRegex) time = g_regex_new (" at [0-9]{2}:[0-9]{2}:[0-9]{2}", 0, 0, NULL);

  return g_regex_replace_literal (time, text, -1, 0, "", 0, NULL);
}

START_TEST (hello_says_hello_then_world)
{
  g_autoptr (Program) hello = program_run ("demos/hello", "--unit", UNIT, "--model", model_names[_i], NULL);

  ck_assert_str_eq (hello->out, "hello\nworld\n");
  ck_assert_str_eq (hello->err, "");
  ck_assert_int_eq (hello->exit_status, 0);
}
END_TEST

START_TEST (say_after_awaits_in_turn_under_every_model)
{
  g_autoptr (Program) say = program_run ("demos/say-after", "--unit", UNIT, "--model", model_names[_i], NULL);

  ck_assert_str_eq (say->out, "started\nhello\nworld\nfinished\n");
  ck_assert_str_eq (say->err, "");
  ck_assert_int_eq (say->exit_status, 0);
}
END_TEST

START_TEST (say_after_tasks_says_the_same_lines_with_times)
{
  g_autoptr (Program) say = program_run ("demos/say-after-tasks", "--unit", UNIT, "--model", model_names[_i], NULL);
  g_autofree char *lines = cut_times (say->out);

  if (_i == LOOP)
    ck_assert_str_eq (lines, "started\nhello\nworld\nfinished\n");
  else if (_i == SEQUENTIAL)
    ck_assert_str_eq (lines, "hello\nworld\nstarted\nfinished\n");
  else
    assert_same_lines (lines, "started\nhello\nworld\nfinished\n");
  ck_assert (g_str_has_suffix (lines, "finished\n"));
  ck_assert_str_ne (lines, say->out);
  ck_assert_str_eq (say->err, "");
  ck_assert_int_eq (say->exit_status, 0);
}
END_TEST

/* How long it takes, in units of 50 ms, together with starting the program: what it is never less than holds however
 * busy the machine is. */
static double
count_units (const char *demo, const char *model)
{
  gint64 began = g_get_monotonic_time ();
  g_autoptr (Program) say = program_run (demo, "--unit", "0.05", "--model", model, NULL);

  ck_assert_int_eq (say->exit_status, 0);

  return (g_get_monotonic_time () - began) / 50e3;
}

START_TEST (awaited_in_turn_they_take_at_least_three_units_and_as_tasks_two)
{
  ck_assert_double_ge (count_units ("demos/say-after", model_names[_i]), 3.0);
  ck_assert_double_ge (count_units ("demos/say-after-tasks", model_names[_i]), _i == SEQUENTIAL ? 3.0 : 2.0);
}
END_TEST

/* One after another the two can never take less than three units, however fast the machine; so once less than
 * three is proof that they waited at the same time, and a busy machine only asks for another try. */
START_TEST (say_after_tasks_on_two_threads_wait_at_the_same_time)
{
  gint64 least = G_MAXINT64;

  for (int i = 0; i < 10 && least >= 3 * 300000; i++)
    {
      gint64 began = g_get_monotonic_time ();
      g_autoptr (Program) say = program_run ("demos/say-after-tasks", "--unit", "0.3",
                                             "--model", "threads", "--threads", "2", NULL);

      ck_assert_int_eq (say->exit_status, 0);
      least = MIN (least, g_get_monotonic_time () - began);
    }

  ck_assert_int_ge (least, 2 * 300000);
  ck_assert_int_lt (least, 3 * 300000);
}
END_TEST

START_TEST (knights_warns_of_the_one_never_awaited_and_names_its_line)
{
  g_autoptr (Program) knights = program_run ("demos/knights", "--model", model_names[_i], NULL);
  g_autofree char *source = g_build_filename (g_getenv ("MORROW_SRCDIR"), "demos", "knights.c", NULL);
  g_autofree char *text = NULL;
  g_autofree char *site = NULL;
  int line = 1;

  ck_assert (g_file_get_contents (source, &text, NULL, NULL));
  ck_assert_ptr_nonnull (strstr (text, "unheard ="));
  for (const char *c = text; c < strstr (text, "unheard ="); c++)
    line += *c == '\n';
  site = g_strdup_printf ("demos/knights.c:%d", line);

  ck_assert_str_eq (knights->out, "Ni!\n");
  ck_assert_ptr_nonnull (strstr (knights->err, "knights"));
  ck_assert_ptr_nonnull (strstr (knights->err, "never awaited"));
  ck_assert_ptr_nonnull (strstr (knights->err, site));
  ck_assert_int_eq (knights->exit_status, 0);
}
END_TEST

START_TEST (factorial_prints_its_lines_and_the_list)
{
  g_autoptr (Program) factorial = program_run ("demos/factorial", "--unit", UNIT, "--model", model_names[_i], NULL);

  if (_i == LOOP)
    ck_assert_str_eq (factorial->out, factorial_lines);
  else if (_i == SEQUENTIAL)
    ck_assert_str_eq (factorial->out, factorial_lines_in_turn);
  else
    assert_same_lines (factorial->out, factorial_lines);
  ck_assert (g_str_has_suffix (factorial->out, "\n[2, 6, 24, 120]\n"));
  ck_assert_str_eq (factorial->err, "");
  ck_assert_int_eq (factorial->exit_status, 0);
}
END_TEST

/* With units of no time at all every deadline is equal to some other's, or nearly. */
START_TEST (factorial_keeps_its_order_when_deadlines_are_equal)
{
  g_autoptr (Program) factorial = program_run ("demos/factorial", "--unit", "0", NULL);

  ck_assert_str_eq (factorial->out, factorial_lines);
}
END_TEST

START_TEST (interrupted_a_demo_ends_by_the_signal_and_says_no_more)
{
  g_autoptr (Program) hello = program_run_until ("hello\n", SIGINT, "demos/hello", "--unit", "600",
                                                 "--model", model_names[_i], NULL);

  ck_assert_int_eq (hello->signal, SIGINT);
  ck_assert_str_eq (hello->out, "hello\n");
}
END_TEST

START_TEST (wrong_usage_is_explained_with_status_2)
{
  g_autoptr (Program) model = program_run ("demos/hello", "--model", "quantum", NULL);
  g_autoptr (Program) unit = program_run ("demos/hello", "--unit", "-1", NULL);
  g_autoptr (Program) threads = program_run ("demos/hello", "--threads", "100000", NULL);
  g_autoptr (Program) no_thread = program_run ("demos/hello", "--threads", "0", NULL);
  g_autoptr (Program) option = program_run ("demos/hello", "--no-such-option", NULL);
  g_autoptr (Program) argument = program_run ("demos/hello", "world", NULL);

  ck_assert_ptr_nonnull (strstr (model->err, "unknown model 'quantum': choose loop, threads, loops or sequential"));
  ck_assert_int_eq (model->exit_status, 2);
  ck_assert_int_eq (unit->exit_status, 2);
  ck_assert_int_eq (threads->exit_status, 2);
  ck_assert_ptr_nonnull (strstr (no_thread->err, "--threads is a number from 1 to 1024"));
  ck_assert_int_eq (no_thread->exit_status, 2);
  ck_assert_int_eq (option->exit_status, 2);
  ck_assert_int_eq (argument->exit_status, 2);
  ck_assert_str_eq (model->out, "");
}
END_TEST

START_TEST (help_and_version_are_answered)
{
  g_autoptr (Program) help = program_run ("demos/hello", "--help", NULL);
  g_autoptr (Program) version = program_run ("demos/hello", "--version", NULL);

  ck_assert_ptr_nonnull (strstr (help->out, "--model"));
  ck_assert_int_eq (help->exit_status, 0);
  ck_assert_ptr_nonnull (strstr (version->out, "(morrow) "));
  ck_assert_int_eq (version->exit_status, 0);
}
END_TEST

static Suite *
demos_suite (void)
{
  Suite *suite = suite_create ("demos");
  TCase *stories = tcase_create ("stories");
  TCase *usage = tcase_create ("usage");
  int n = G_N_ELEMENTS (model_names);

  tcase_add_loop_test (stories, hello_says_hello_then_world, 0, n);
  tcase_add_loop_test (stories, say_after_awaits_in_turn_under_every_model, 0, n);
  tcase_add_loop_test (stories, say_after_tasks_says_the_same_lines_with_times, 0, n);
  tcase_add_loop_test (stories, awaited_in_turn_they_take_at_least_three_units_and_as_tasks_two, 0, n);
  tcase_add_test (stories, say_after_tasks_on_two_threads_wait_at_the_same_time);
  tcase_add_loop_test (stories, knights_warns_of_the_one_never_awaited_and_names_its_line, 0, n);
  tcase_add_loop_test (stories, factorial_prints_its_lines_and_the_list, 0, n);
  tcase_add_test (stories, factorial_keeps_its_order_when_deadlines_are_equal);
  tcase_add_loop_test (stories, interrupted_a_demo_ends_by_the_signal_and_says_no_more, 0, n);
  suite_add_tcase (suite, stories);

  tcase_add_test (usage, wrong_usage_is_explained_with_status_2);
  tcase_add_test (usage, help_and_version_are_answered);
  suite_add_tcase (suite, usage);

  return suite;
}

MORROW_CHECK_MAIN (demos_suite)
