/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The version: headers and library agree, and the check refuses what it should.
 */
#include "config.h"

#include <morrow/version.h>

#include "morrow-check.h"

START_TEST (version_of_library_is_that_of_headers)
{
  ck_assert_uint_eq (morrow_get_major_version (), MORROW_MAJOR_VERSION);
  ck_assert_uint_eq (morrow_get_minor_version (), MORROW_MINOR_VERSION);
  ck_assert_uint_eq (morrow_get_micro_version (), MORROW_MICRO_VERSION);
  ck_assert_str_eq (MORROW_VERSION_STRING, PACKAGE_VERSION);
}
END_TEST

START_TEST (version_check_accepts_same_and_older)
{
  ck_assert_ptr_null (morrow_check_version (MORROW_MAJOR_VERSION, MORROW_MINOR_VERSION,
                                            MORROW_MICRO_VERSION));
  ck_assert_ptr_null (morrow_check_version (MORROW_MAJOR_VERSION, 0, 0));
}
END_TEST

START_TEST (version_check_refuses_newer_and_other_major)
{
  ck_assert_ptr_nonnull (morrow_check_version (MORROW_MAJOR_VERSION, MORROW_MINOR_VERSION,
                                               MORROW_MICRO_VERSION + 1));
  ck_assert_ptr_nonnull (morrow_check_version (MORROW_MAJOR_VERSION, MORROW_MINOR_VERSION + 1, 0));
  ck_assert_ptr_nonnull (morrow_check_version (MORROW_MAJOR_VERSION + 1, 0, 0));
}
END_TEST

static Suite *
version_suite (void)
{
  Suite *suite = suite_create ("version");
  TCase *agree = tcase_create ("agree");
  TCase *check = tcase_create ("check");

  tcase_add_test (agree, version_of_library_is_that_of_headers);
  suite_add_tcase (suite, agree);

  tcase_add_test (check, version_check_accepts_same_and_older);
  tcase_add_test (check, version_check_refuses_newer_and_other_major);
  suite_add_tcase (suite, check);

  return suite;
}

MORROW_CHECK_MAIN (version_suite)
