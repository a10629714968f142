/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which morrow is linked, as opposed to which one was compiled against.
 */
#include "config.h"

#include <morrow/version.h>

/**
 * morrow_get_major_version:
 *
 * The major version of the library that is linked.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint
morrow_get_major_version (void)
{
  return MORROW_MAJOR_VERSION;
}

/**
 * morrow_get_minor_version:
 *
 * The minor version of the library that is linked.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint
morrow_get_minor_version (void)
{
  return MORROW_MINOR_VERSION;
}

/**
 * morrow_get_micro_version:
 *
 * The micro version of the library that is linked.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint
morrow_get_micro_version (void)
{
  return MORROW_MICRO_VERSION;
}

/**
 * morrow_check_version:
 * @major: the major version that is needed
 * @minor: the minor version that is needed
 * @micro: the micro version that is needed
 *
 * Whether the library that is linked can serve a program that needs the given version.
 *
 * Another major version never can; an older minor or micro version cannot either.
 *
 * Returns: (nullable): %NULL if it can, else what is wrong, in English
 *
 * Since: 0.1
 */
const char *
morrow_check_version (guint major,
                      guint minor,
                      guint micro)
{
  if (major != MORROW_MAJOR_VERSION)
    return "morrow has another major version";
  if (!MORROW_CHECK_VERSION (major, minor, micro))
    return "morrow is too old";

  return NULL;
}
