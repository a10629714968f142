/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* morrow's echo server: serves until standard input ends. */
#pragma once

#include <glib.h>

void echo_morrow_serve (gboolean hosted);
