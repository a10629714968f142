/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The marks that public declarations carry.
 *
 * MORROW_API is the only way out of the libraries: all else is compiled with hidden visibility.
 */
#pragma once

#include <glib.h>

#define MORROW_API __attribute__ ((visibility ("default"))) extern
