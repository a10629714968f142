# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The tests: programs that print TAP by Check, and scripts that do (tests/meta).
#
# A test program that stands here as tests/FOLDER/test-NAME is built from tests/FOLDER/test-NAME.c
# and linked with $(LDADD); it needs no more than its line.

LDADD = lib/libmorrow-internal.la $(CHECK_LIBS) $(GLIB_LIBS)
http_test_libs = lib/libmorrow-curl-internal.la $(LDADD) $(CURL_LIBS)

# Mirrors lib/, folder for folder.
test_programs = \
  tests/core/test-version

test_scripts =

check_PROGRAMS += $(test_programs)
TESTS += $(test_programs) $(test_scripts)
EXTRA_DIST += tests/morrow-check.h $(test_scripts)

TEST_EXTENSIONS = .sh
tap_driver = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(tap_driver)
SH_LOG_DRIVER = $(tap_driver)
SH_LOG_COMPILER = $(SHELL)

AM_TESTS_ENVIRONMENT = \
  MORROW_SRCDIR='$(abs_top_srcdir)'; export MORROW_SRCDIR; \
  MORROW_BUILDDIR='$(abs_top_builddir)'; export MORROW_BUILDDIR; \
  CK_DEFAULT_TIMEOUT=$${CK_DEFAULT_TIMEOUT-30}; export CK_DEFAULT_TIMEOUT;
