/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A path is a word and the numbers that follow it.  The table says how many numbers a word needs,
 * who answers, and which number is the delay; a few words compute theirs.
 */

#include "server/route.h"

#include "server/reply.h"

#include <math.h>
#include <string.h>

#define MAX_DELAY_MS (24.0 * 60 * 60 * 1000)
#define MAX_BYTES (1024.0 * 1024 * 1024)

typedef struct
{
  const char *word;
  guint       n_numbers; /* At least so many must follow. */
  Answer      answer;
  void      (*plan) (Request *request); /* Sets the delay; NULL: there is none. */
} Route;

static void
wait_ms (Request *request, double ms)
{
  request->delay = (gint64) ceil (CLAMP (ms, 0, MAX_DELAY_MS) * 1000);
}

static void
plan_delay (Request *request)
{
  wait_ms (request, request->numbers[0]);
}

static void
plan_site (Request *request)
{
  if (request->numbers[0] <= N_SITES)
    wait_ms (request, 100 * request->numbers[0]);
}

static void
plan_hang (Request *request)
{
  request->delay = G_MAXINT64;
}

/* The finisher of SplitMix64: every bit of the result depends on every bit of x. */
static guint64
mix (guint64 x)
{
  x += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return x ^ (x >> 31);
}

/* In (0, 1]. */
static double
uniform (guint64 x)
{
  return ((x >> 11) + 1) * 0x1p-53;
}

/* A median and a sigma make a delay that depends on the seed and the whole path alone. */
static void
plan_lognormal (Request *request)
{
  guint64 bits = mix (g_str_hash (request->path) ^ mix ((guint64) request->numbers[2]));
  double normal = sqrt (-2 * log (uniform (bits))) * cos (2 * G_PI * uniform (mix (bits)));

  wait_ms (request, request->numbers[0] * exp (request->numbers[1] * normal));
  request->numbers[0] = request->delay / 1000.0;
}

static const Route routes[] = {
  { "delay", 2, reply_bytes, plan_delay },             /* /delay/MS/BYTES */
  { "lognormal", 4, reply_lognormal, plan_lognormal },     /* /lognormal/MEDIAN_MS/SIGMA/SEED/BYTES[/...] */
  { "site", 1, reply_site, plan_site },                /* /site/1 ... /site/10 */
  { "chunked", 2, reply_chunked, NULL },               /* /chunked/MS/BYTES */
  { "status", 1, reply_status, NULL },                 /* /status/CODE */
  { "redirect", 1, reply_redirect, NULL },             /* /redirect/N */
  { "redirect-loop", 0, reply_redirect_loop, NULL },   /* /redirect-loop */
  { "redirect-to", 0, reply_redirect_to, NULL },       /* /redirect-to?url=URL */
  { "headers", 1, reply_headers, NULL },               /* /headers/BYTES */
  { "drop", 0, reply_drop, NULL },                     /* /drop */
  { "close", 0, reply_close, NULL },                   /* /close */
  { "hang", 0, reply_close, plan_hang },               /* /hang */
  { "stats", 0, reply_stats, NULL },                   /* /stats */
};

/* Reads "/NUMBER" at *rest and moves past it; no sign, no infinity, nothing over MAX_BYTES. */
static gboolean
parse_number (const char **rest, double *number)
{
  const char *start = *rest + 1;
  char *end;

  if (**rest != '/' || !g_ascii_isdigit (*start))
    return FALSE;

  *number = g_ascii_strtod (start, &end);
  *rest = end;
  return (*end == '/' || *end == '\0') && *number <= MAX_BYTES;
}

static const Route *
find_route (const char *word, gsize length)
{
  for (guint i = 0; i < G_N_ELEMENTS (routes); i++)
    if (strncmp (routes[i].word, word, length) == 0 && routes[i].word[length] == '\0')
      return &routes[i];

  return NULL;
}

/* Sets the request's answer, numbers and delay by its path. */
void
route_request (Request *request)
{
  const char *word = request->path + (request->path[0] == '/');
  gsize length = strcspn (word, "/");
  const char *rest = word + length;
  const Route *route = find_route (word, length);

  if (route == NULL)
    {
      request->answer = reply_not_found;
      return;
    }

  for (guint i = 0; i < route->n_numbers; i++)
    if (!parse_number (&rest, &request->numbers[i]))
      {
        request->answer = reply_bad_request;
        return;
      }

  request->answer = route->answer;
  if (route->plan != NULL)
    route->plan (request);
}
