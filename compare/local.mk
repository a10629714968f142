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
  compare/server/launch.h \
  compare/server/standard.c \
  compare/server/standard.h
compare_libmorrow_launch_la_CPPFLAGS = \
  $(AM_CPPFLAGS) -DMORROW_LIBEXECDIR=\"$(libexec_morrowdir)\"
compare_libmorrow_launch_la_LIBADD = $(GLIB_LIBS)

# What the pieces of lib/base cost by themselves.
noinst_PROGRAMS += compare/bench-base
compare_bench_base_LDADD = lib/libmorrow-internal.la $(GLIB_LIBS)

# Shows that the server is not the limit of a comparison.
noinst_PROGRAMS += compare/calibrate
compare_calibrate_SOURCES = compare/server/calibrate.c
compare_calibrate_LDADD = compare/libmorrow-launch.la $(GLIB_LIBS)

calibrate: compare/calibrate compare/morrow-testserver compare/morrow-compare
	$(AM_V_at)./compare/calibrate
	$(AM_V_at)./compare/morrow-compare calibrate
.PHONY: calibrate

# The comparison itself, installed with its server.  All but its main function stands apart, so that tests can reach it.
bin_PROGRAMS += compare/morrow-compare
compare_morrow_compare_SOURCES = compare/morrow-compare.c
compare_morrow_compare_LDADD = compare/libmorrow-compare.la

noinst_LTLIBRARIES += compare/libmorrow-compare.la
compare_libmorrow_compare_la_SOURCES = \
  compare/plan.c \
  compare/plan.h \
  compare/run.c \
  compare/run.h \
  compare/child.c \
  compare/child.h \
  compare/spawn.c \
  compare/spawn.h \
  compare/summary.c \
  compare/summary.h \
  compare/terminal.c \
  compare/terminal.h \
  compare/progress.c \
  compare/progress.h \
  compare/table.c \
  compare/table.h \
  compare/waterfall.c \
  compare/waterfall.h \
  compare/svg.c \
  compare/svg.h \
  compare/output.c \
  compare/output.h \
  compare/report.c \
  compare/report.h \
  compare/headroom.c \
  compare/headroom.h
compare_libmorrow_compare_la_LIBADD = \
  compare/libmorrow-launch.la \
  demos/libmorrow-demo.la \
  lib/libmorrow-curl-1.la \
  lib/libmorrow-1.la \
  $(JSON_GLIB_LIBS) $(CURL_LIBS) $(GLIB_LIBS) -lm

# README's picture, which this makes: morrow-compare gather --svg docs/compare.svg
EXTRA_DIST += docs/compare.svg

# The folder has the same name, so the target is phony.
compare: all
	compare/morrow-compare gather
.PHONY: compare

# Whether the times are as they are meant to be, on an idle machine.
compare-limits: compare/morrow-compare compare/morrow-testserver compare/micro/morrow
	$(AM_V_at)$(srcdir)/compare/limits --build $(abs_top_builddir)
.PHONY: compare-limits
EXTRA_DIST += compare/limits

# What basic operations cost, beside other runtimes: compare/micro/run builds the programs of those that are installed.
noinst_PROGRAMS += compare/micro/morrow compare/micro/morrow-static compare/micro/limits compare/micro/glib compare/micro/echo-client
compare_micro_morrow_SOURCES = \
  compare/micro/morrow.c \
  compare/micro/bench.h \
  compare/micro/echo-morrow.c \
  compare/micro/echo-morrow.h \
  compare/micro/echo-server.h
compare_micro_morrow_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
compare_micro_morrow_LDFLAGS = $(AM_LDFLAGS) -no-install
compare_micro_morrow_LDADD = lib/libmorrow-1.la $(GLIB_LIBS) -lm
# The same, without a call into another mapping.
compare_micro_morrow_static_SOURCES = $(compare_micro_morrow_SOURCES)
compare_micro_morrow_static_CPPFLAGS = $(compare_micro_morrow_CPPFLAGS)
compare_micro_morrow_static_LDADD = lib/libmorrow-internal.la $(GLIB_LIBS) -lm
compare_micro_limits_SOURCES = \
  compare/micro/limits.c \
  compare/micro/echo-epoll.c \
  compare/micro/echo-epoll.h \
  compare/micro/echo-server.h
compare_micro_limits_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
compare_micro_limits_LDADD = -lpthread -lm
compare_micro_glib_SOURCES = compare/micro/glib.c
compare_micro_glib_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
compare_micro_glib_LDADD = $(GLIB_LIBS)
compare_micro_echo_client_SOURCES = compare/micro/echo-client.c
compare_micro_echo_client_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
EXTRA_DIST += \
  compare/micro/RESULTS.md \
  compare/micro/run \
  compare/micro/go.go \
  compare/micro/tokio/Cargo.toml \
  compare/micro/tokio/src/main.rs \
  compare/micro/boost.cc \
  compare/micro/libdex.c \
  compare/micro/asyncio_program.py

# What run builds of the other runtimes.
CLEANFILES += \
  compare/micro/go-program \
  compare/micro/boost-program \
  compare/micro/libdex-program
clean-local:
	-rm -rf compare/micro/go-cache compare/micro/tokio-program compare/micro/cargo-home
.PHONY: clean-local

compare-micro: compare/micro/morrow compare/micro/limits compare/micro/echo-client
	$(AM_V_at)$(srcdir)/compare/micro/run --build $(abs_top_builddir)
.PHONY: compare-micro
