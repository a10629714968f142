/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * {"manifest": {...}, "runs": [...]}: what was run, on what, and every measured run.
 * The runs stand in the order in which they were made: the models take turns.
 */
#include "config.h"

#include "report.h"

#include <curl/curl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "demos/urls.h"

static void
add_string (JsonBuilder *builder, const char *name, const char *value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, value);
}

static void
add_int (JsonBuilder *builder, const char *name, gint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, value);
}

/* The processor's name as the kernel gives it; "unknown" where it gives none. */
static char *
dup_processor (void)
{
  g_autofree char *text = NULL;
  const char *name;

  if (!g_file_get_contents ("/proc/cpuinfo", &text, NULL, NULL))
    return g_strdup ("unknown");

  name = strstr (text, "model name");
  name = name != NULL ? strchr (name, ':') : NULL;
  if (name == NULL)
    return g_strdup ("unknown");

  return g_strstrip (g_strndup (name + 1, strcspn (name + 1, "\n")));
}

static void
add_machine (JsonBuilder *builder)
{
  g_autofree char *processor = dup_processor ();
  struct utsname system;
  struct rlimit files;

  uname (&system);
  getrlimit (RLIMIT_NOFILE, &files);

  json_builder_set_member_name (builder, "machine");
  json_builder_begin_object (builder);
  add_string (builder, "system", system.sysname);
  add_string (builder, "kernel", system.release);
  add_string (builder, "architecture", system.machine);
  add_string (builder, "processor", processor);
  add_int (builder, "processors", g_get_num_processors ());
  add_int (builder, "memory_kib", (gint64) sysconf (_SC_PHYS_PAGES) * (sysconf (_SC_PAGESIZE) / 1024));
  add_int (builder, "max_open_files", files.rlim_cur);
  json_builder_end_object (builder);
}

static void
add_versions (JsonBuilder *builder)
{
  g_autofree char *glib = g_strdup_printf ("%u.%u.%u", glib_major_version, glib_minor_version, glib_micro_version);

  json_builder_set_member_name (builder, "versions");
  json_builder_begin_object (builder);
  add_string (builder, "morrow", MORROW_VERSION_STRING);
  add_string (builder, "glib", glib);
  add_string (builder, "curl", curl_version ());
  json_builder_end_object (builder);
}

static void
add_settings (JsonBuilder *builder, const Plan *plan)
{
  json_builder_set_member_name (builder, "settings");
  json_builder_begin_object (builder);
  add_string (builder, "server", plan->own_server ? "morrow-testserver" : "given");
  add_int (builder, "urls", plan->n_urls);
  add_int (builder, "concurrency", plan->concurrency);
  add_int (builder, "threads", plan->threads);
  add_int (builder, "loops", g_get_num_processors ());
  add_int (builder, "repeat", plan->repeat);
  add_int (builder, "warmup", plan->warmup);
  json_builder_set_member_name (builder, "timeout_s");
  json_builder_add_double_value (builder, plan->timeout);
  json_builder_end_object (builder);
}

/* The URLs among the arguments as people may see them, the rest as it was typed. */
static void
add_argument (JsonBuilder *builder, const Plan *plan, const char *argument)
{
  gboolean is_url = strchr (argument, '@') != NULL && g_strv_contains ((const char *const *) plan->urls, argument);
  g_autofree char *shown = is_url ? urls_show_one (argument) : g_strdup (argument);

  json_builder_add_string_value (builder, shown);
}

static void
add_manifest (JsonBuilder *builder, const Plan *plan, GStrv arguments)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *date = g_date_time_format_iso8601 (now);

  json_builder_set_member_name (builder, "manifest");
  json_builder_begin_object (builder);
  add_string (builder, "date", date);
  json_builder_set_member_name (builder, "command_line");
  json_builder_begin_array (builder);
  for (; *arguments != NULL; arguments++)
    add_argument (builder, plan, *arguments);
  json_builder_end_array (builder);
  add_settings (builder, plan);
  add_machine (builder);
  add_versions (builder);
  add_string (builder, "latency_from", "the beginning of the gather");
  json_builder_end_object (builder);
}

static void
add_runs (JsonBuilder *builder, const Plan *plan, GPtrArray *summaries)
{
  json_builder_set_member_name (builder, "runs");
  json_builder_begin_array (builder);
  for (int i = 0; i < plan->repeat; i++)
    for (guint m = 0; m < summaries->len; m++)
      {
        const Summary *summary = summaries->pdata[m];

        json_builder_add_value (builder, run_to_json (summary->runs->pdata[i], FALSE));
      }
  json_builder_end_array (builder);
}

gboolean
report_write (const char *path, const Plan *plan, GPtrArray *summaries, GStrv arguments, GError **error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new_immutable ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;
  g_autofree char *line = NULL;

  json_builder_begin_object (builder);
  add_manifest (builder, plan, arguments);
  add_runs (builder, plan, summaries);
  json_builder_end_object (builder);

  root = json_builder_get_root (builder);
  text = json_to_string (root, TRUE);
  line = g_strconcat (text, "\n", NULL);

  return g_file_set_contents (path, line, -1, error);
}
