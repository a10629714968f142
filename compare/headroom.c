/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who measures clients against a server measures the server when that is the slower of the two.
 * So for each kind of load the models that ask the most of it are run, and beside each stands what
 * the server used of its own processor meanwhile.  Where it was busy nearly all the time, it was the
 * limit, and the comparison would say nothing.
 *
 * What the server can do with no library before it at all is measured by compare/calibrate.
 */
#include "config.h"

#include "headroom.h"

#include <stdlib.h>
#include <time.h>

#include "compare/server/launch.h"
#include "demos/files.h"
#include "demos/urls.h"
#include "plan.h"
#include "spawn.h"

/* A server that is busy for more than this part of a run is near its limit. */
#define BUSY_LIMIT 0.85

typedef struct
{
  const char *title;
  const char *path;     /* NULL: the ten sites */
  guint n;
  guint concurrency;
} Load;

static const Load loads[] =
{
  { "ten sites, 0.1 to 1 s",            NULL,              10,    10    },
  { "1,000 of 50 ms, all at once",      "/delay/50/1024",  1000,  1000  },
  { "10,000 of 100 ms, all at once",    "/delay/100/1024", 10000, 10000 },
  { "20,000 without delay, 64 at once", "/delay/0/1024",   20000, 64    }
};

/* CPU seconds that the server has used. */
static double
server_cpu (MorrowTestServer *server)
{
  struct timespec time = { 0 };
  clockid_t clock;

  if (clock_getcpuclockid (test_server_get_pid (server), &clock) == 0)
    clock_gettime (clock, &time);

  return time.tv_sec + time.tv_nsec / 1e9;
}

static GStrv
load_urls (const Load *load, MorrowTestServer *server)
{
  GStrv urls;

  if (load->path == NULL)
    return urls_new_sites (test_server_get_url (server));

  urls = g_new0 (char *, load->n + 1);
  for (guint i = 0; i < load->n; i++)
    urls[i] = g_strconcat (test_server_get_url (server), load->path, NULL);

  return urls;
}

/* Prints one line; whether the server had time to spare is left in *has_headroom. */
static gboolean
measure (const Plan *plan, const Load *load, const char *model, MorrowTestServer *server,
         gboolean *has_headroom, GError **error)
{
  double cpu = server_cpu (server), busy;
  g_autoptr (Run) run = spawn_run (plan, model_find (model, NULL), NULL, NULL, error);

  if (run == NULL)
    return FALSE;
  if (run->n_failed > 0)
    {
      g_set_error (error, SPAWN_ERROR, 0, "%u of %u failed: %s", run->n_failed, run->n, run->first_failure);
      return FALSE;
    }

  cpu = server_cpu (server) - cpu;
  busy = cpu / run->wall_s;
  *has_headroom &= busy < BUSY_LIMIT;
  g_print ("%-34s %-6s %8.3f %10.1f %10.1f %5.0f%%  %s\n", load->title, model, run->wall_s,
           (run->user_s + run->sys_s) * 1e6 / run->n, cpu * 1e6 / run->n, busy * 100.0,
           busy < BUSY_LIMIT ? "time to spare" : "near its limit");

  return TRUE;
}

static gboolean
measure_load (const Load *load, MorrowTestServer *server, gboolean *has_headroom, GError **error)
{
  g_autoptr (Plan) plan = plan_new ();
  g_autofree char *warning = NULL;

  plan->concurrency = load->concurrency;
  plan_set_urls (plan, load_urls (load, server));
  warning = files_make_room (plan->concurrency);
  if (warning != NULL)
    {
      g_print ("%-34s left out: %s\n", load->title, warning);
      return TRUE;
    }

  return measure (plan, load, "loop", server, has_headroom, error)
         && measure (plan, load, "loops", server, has_headroom, error);
}

int
headroom_main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (MorrowTestServer) server = NULL;
  gboolean has_headroom = TRUE, ok;

  if (argc > 1)
    {
      g_print ("Usage:\n  morrow-compare calibrate\n\n"
               "Runs four kinds of load, and shows how busy the test server was with each.\n"
               "Exit status: 0 when it had time to spare, 1 when not.\n");
      return g_str_equal (argv[1], "--help") ? EXIT_SUCCESS : 2;
    }

  server = test_server_start (NULL, &error);
  ok = server != NULL;
  if (ok)
    g_print ("%-34s %-6s %8s %10s %10s %6s\n", "", "model", "wall s", "model us", "server us", "busy");
  for (guint i = 0; ok && i < G_N_ELEMENTS (loads); i++)
    ok = measure_load (&loads[i], server, &has_headroom, &error);

  if (!ok)
    g_printerr ("morrow-compare: %s\n", error->message);

  return ok && has_headroom ? EXIT_SUCCESS : EXIT_FAILURE;
}
