# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The comparison of the models, and the server that it fetches from.

libexec_morrowdir = $(libexecdir)/morrow
libexec_morrow_PROGRAMS = compare/morrow-testserver

compare_morrow_testserver_SOURCES = \
  compare/server/main.c \
  compare/server/server.c \
  compare/server/server.h \
  compare/server/listeners.c \
  compare/server/listeners.h \
  compare/server/waits.c \
  compare/server/waits.h \
  compare/server/route.c \
  compare/server/route.h \
  compare/server/reply.c \
  compare/server/reply.h \
  compare/server/request.h \
  compare/server/certificate.c \
  compare/server/certificate.h
compare_morrow_testserver_LDADD = $(MICROHTTPD_LIBS) $(GNUTLS_LIBS) $(GLIB_LIBS) -lm

# What demos, tests and the comparison start it with.
noinst_LTLIBRARIES += compare/libmorrow-launch.la
compare_libmorrow_launch_la_SOURCES = \
  compare/server/launch.c \
  compare/server/launch.h
compare_libmorrow_launch_la_CPPFLAGS = \
  $(AM_CPPFLAGS) -DMORROW_LIBEXECDIR=\"$(libexec_morrowdir)\"
compare_libmorrow_launch_la_LIBADD = $(GLIB_LIBS)

# What the pieces of lib/base cost by themselves: make compare/bench-base, when it is wanted.
EXTRA_PROGRAMS += compare/bench-base
compare_bench_base_LDADD = lib/libmorrow-internal.la $(GLIB_LIBS)
CLEANFILES += $(EXTRA_PROGRAMS)

# Shows that the server is not the limit of a comparison.
noinst_PROGRAMS += compare/calibrate
compare_calibrate_SOURCES = compare/server/calibrate.c
compare_calibrate_LDADD = compare/libmorrow-launch.la $(GLIB_LIBS)

calibrate: compare/calibrate compare/morrow-testserver
	$(AM_V_at)./compare/calibrate
.PHONY: calibrate
