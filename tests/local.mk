# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The tests: programs that print TAP by Check, and scripts that do (tests/meta).
#
# A test program that stands here as tests/FOLDER/test-NAME is built from tests/FOLDER/test-NAME.c
# and linked with $(LDADD); it needs no more than its line.

LDADD = lib/libmorrow-internal.la $(CHECK_LIBS) $(GLIB_LIBS)
http_test_libs = compare/libmorrow-launch.la lib/libmorrow-curl-internal.la $(LDADD) $(CURL_LIBS)

# Mirrors lib/, folder for folder.
test_programs = \
  tests/base/test-backlog \
  tests/base/test-cache \
  tests/base/test-clock \
  tests/base/test-deque \
  tests/base/test-list \
  tests/base/test-mpsc \
  tests/base/test-parker \
  tests/base/test-ring \
  tests/base/test-room \
  tests/base/test-slabs \
  tests/base/test-spin \
  tests/base/test-timers \
  tests/base/test-wakeup \
  tests/core/test-combine \
  tests/core/test-crowd \
  tests/core/test-future \
  tests/core/test-gather \
  tests/core/test-promise \
  tests/core/test-then \
  tests/core/test-version \
  tests/exec/test-await \
  tests/exec/test-cancel \
  tests/exec/test-cancellable \
  tests/exec/test-circle \
  tests/exec/test-task \
  tests/fiber/test-fiber \
  tests/fiber/test-stack \
  tests/fiber/test-stack-faults \
  tests/http/test-http \
  tests/http/test-http-cancel \
  tests/http/test-http-crowd \
  tests/http/test-http-names \
  tests/http/test-http-process \
  tests/http/test-http-shard \
  tests/http/test-http-sigpipe \
  tests/http/test-http2 \
  tests/http/test-http2-frames \
  tests/http/test-show \
  tests/compare/test-testserver

# What it tells the kernel passes through it.
tests_base_test_slabs_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=madvise
# Its mappings and advice pass through it, to fail on demand.
tests_fiber_test_stack_faults_LDFLAGS = \
  $(AM_LDFLAGS) -Wl,--wrap=mmap,--wrap=madvise,--wrap=mprotect,--wrap=syscall,--wrap=morrow__stack_memory_page_size
tests_http_test_http_LDADD = $(http_test_libs)
tests_http_test_http_cancel_LDADD = $(http_test_libs)
tests_http_test_http_crowd_LDADD = $(http_test_libs)
tests_http_test_http_names_LDADD = $(http_test_libs)
tests_http_test_http_process_LDADD = $(http_test_libs)
tests_http_test_http_shard_LDADD = $(http_test_libs)
tests_http_test_http_sigpipe_LDADD = $(http_test_libs)
tests_http_test_http2_SOURCES = \
  tests/http/test-http2.c \
  compare/server/certificate.c
tests_http_test_http2_LDADD = $(http_test_libs) $(GNUTLS_LIBS)
tests_http_test_http2_frames_SOURCES = \
  tests/http/test-http2-frames.c \
  compare/server/certificate.c
tests_http_test_http2_frames_LDADD = $(http_test_libs) $(GNUTLS_LIBS)
tests_http_test_show_LDADD = $(http_test_libs)
tests_compare_test_testserver_LDADD = compare/libmorrow-launch.la $(LDADD) $(CURL_LIBS)

# Executors and runs.
test_programs += \
  tests/exec/test-end \
  tests/exec/test-in-place \
  tests/exec/test-inline \
  tests/exec/test-interrupt \
  tests/exec/test-fairness \
  tests/exec/test-guest \
  tests/exec/test-lane \
  tests/exec/test-loop-pool \
  tests/exec/test-message \
  tests/exec/test-overflow \
  tests/exec/test-relayed \
  tests/exec/test-run \
  tests/exec/test-scheduling \
  tests/exec/test-thread-pool \
  tests/exec/test-wait \
  tests/fault/test-descriptors \
  tests/stress/test-loop-end \
  tests/exec/test-reactor

# Its loops' sleep passes through it, where something comes between, or fails. Waits for room are counted.
tests_exec_test_loop_pool_LDFLAGS = \
  $(AM_LDFLAGS) -Wl,--wrap=epoll_wait,--wrap=epoll_pwait2,--wrap=syscall,--wrap=morrow__room_wait

# As do the short waits of the loop, which fail on demand.
tests_exec_test_reactor_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=epoll_pwait2

# Descriptors. How often a call is tried is counted.
test_programs += tests/io/test-bundle tests/io/test-fd

tests_io_test_bundle_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=recv -Wl,--wrap=send -Wl,--wrap=io_uring_queue_init_params \
  -Wl,--wrap=io_uring_submit
tests_io_test_fd_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=recv

# Threads that race, and kernels that refuse.
test_programs += \
  tests/fault/test-faults \
  tests/stress/test-depth \
  tests/stress/test-fd-races \
  tests/stress/test-races \
  tests/stress/test-sleepers

tests_fault_test_faults_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=mmap

# Those that run the programs of the build.
test_programs += \
  tests/compare/test-pictures \
  tests/compare/test-compare \
  tests/story/test-demos \
  tests/story/test-gather-urls \
  tests/story/test-page

tests_compare_test_pictures_LDADD = compare/libmorrow-compare.la $(CHECK_LIBS)
tests_compare_test_compare_LDADD = compare/libmorrow-launch.la $(JSON_GLIB_LIBS) $(CHECK_LIBS) $(GLIB_LIBS) -lutil
tests_story_test_demos_LDADD = $(CHECK_LIBS) $(GLIB_LIBS) -lutil
tests_story_test_page_SOURCES = \
  tests/story/test-page.c \
  demos/page.c
tests_story_test_page_LDADD = $(LDADD) $(XML_LIBS)
tests_story_test_gather_urls_LDADD = compare/libmorrow-launch.la $(CHECK_LIBS) $(GLIB_LIBS) -lutil

test_scripts = \
  tests/model/run.sh \
  tests/meta/layers.sh \
  tests/meta/headers.sh \
  tests/meta/symbols.sh \
  tests/meta/style.sh \
  tests/meta/gir.sh \
  tests/meta/install.sh \
  tests/meta/install-deps.sh \
  tests/meta/map.sh \
  tests/meta/readme.sh \
  tests/compare/micro.sh \
  tests/meta/conformance.sh

# Built beside the tests, run by hand.
bench_programs = \
  tests/fiber/bench-fiber

check_PROGRAMS += $(test_programs) $(bench_programs)
TESTS += $(test_programs) $(test_scripts)
EXTRA_DIST += \
  $(test_scripts) \
  tests/base/rendezvous.h \
  tests/counts.h \
  tests/server-check.h \
  tests/exec/circle.h \
  tests/exec/models.h \
  tests/conformance-items.txt \
  tests/conformance-notes.txt \
  tests/conformance.md \
  tests/conformance.sh \
  tests/model/asked.pml \
  tests/model/cancel.pml \
  tests/model/claim.pml \
  tests/model/close.pml \
  tests/model/combine.pml \
  tests/model/common.pml \
  tests/model/deque.pml \
  tests/model/descriptor.pml \
  tests/model/edge.pml \
  tests/model/ends.pml \
  tests/model/future.pml \
  tests/model/home.pml \
  tests/model/interrupt.pml \
  tests/model/life.pml \
  tests/model/mpsc.pml \
  tests/model/outside.pml \
  tests/model/parker.pml \
  tests/model/place.pml \
  tests/model/pool.pml \
  tests/model/ring.pml \
  tests/model/room.pml \
  tests/model/start.pml \
  tests/exec/scene.h \
  tests/meta/hello.c \
  tests/meta/hello-curl.c \
  tests/meta/symbols-morrow-1.txt \
  tests/meta/symbols-morrow-curl-1.txt \
  tests/meta/tap.sh \
  tests/http/http-check.h \
  tests/http/names.h \
  tests/http/nghttpd.h \
  tests/loopback.h \
  tests/morrow-check.h \
  tests/program.h

TEST_EXTENSIONS = .sh
tap_driver = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(tap_driver)
SH_LOG_DRIVER = $(tap_driver)
SH_LOG_COMPILER = $(SHELL)

# What the scripts know of the build.
script_environment = \
  MORROW_SRCDIR='$(abs_top_srcdir)'; export MORROW_SRCDIR; \
  MORROW_BUILDDIR='$(abs_top_builddir)'; export MORROW_BUILDDIR; \
  MORROW_VERSION='$(VERSION)'; export MORROW_VERSION; \
  MORROW_PREFIX='$(prefix)'; export MORROW_PREFIX; \
  MORROW_BINDIR='$(bindir)'; export MORROW_BINDIR; \
  MORROW_LIBDIR='$(libdir)'; export MORROW_LIBDIR; \
  MORROW_INCLUDEDIR='$(includedir)'; export MORROW_INCLUDEDIR; \
  MORROW_PKGCONFIGDIR='$(pkgconfigdir)'; export MORROW_PKGCONFIGDIR; \
  MORROW_HEADERS='$(morrow_headers) lib/morrow/version.h'; export MORROW_HEADERS; \
  MORROW_CURL_HEADERS='$(morrow_curl_headers)'; export MORROW_CURL_HEADERS; \
  MORROW_SOURCES='$(morrow_sources)'; export MORROW_SOURCES; \
  MORROW_GLIB_CFLAGS='$(GLIB_CFLAGS)'; export MORROW_GLIB_CFLAGS; \
  MORROW_GLIB_LIBS='$(GLIB_LIBS)'; export MORROW_GLIB_LIBS; \
  MORROW_SANITIZER_CFLAGS='$(SANITIZER_CFLAGS)'; export MORROW_SANITIZER_CFLAGS; \
  CC='$(CC)'; export CC; \
  CXX='$(CXX)'; export CXX; \
  NM='$(NM)'; export NM; \
  MAKE='$(MAKE)'; export MAKE; \
  PKG_CONFIG='$(PKG_CONFIG)'; export PKG_CONFIG;

# GLib is not built for the thread sanitizer: what its own code does is none of our races.  Its objects come from
# malloc () here, so that the address sanitizer sees them freed.
AM_TESTS_ENVIRONMENT = \
  $(script_environment) \
  TSAN_OPTIONS=$${TSAN_OPTIONS-ignore_noninstrumented_modules=1:atexit_sleep_ms=0}; export TSAN_OPTIONS; \
  G_SLICE=$${G_SLICE-always-malloc}; export G_SLICE; \
  UBSAN_OPTIONS=$${UBSAN_OPTIONS-print_stacktrace=1}; export UBSAN_OPTIONS;

VALGRIND_SUPPRESSIONS_FILES = $(wildcard $(GLIB_PREFIX)/share/glib-2.0/valgrind/glib.supp) \
  $(top_srcdir)/tests/glibc.supp
EXTRA_DIST += tests/glibc.supp
# Who spins until another thread has done something gives it a turn.
VALGRIND_FLAGS = --num-callers=30 --quiet --fair-sched=try
# What is "possibly lost" is reached by a pointer into its middle, as threads and list nodes are.
VALGRIND_memcheck_FLAGS = --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite

# Scripts look at the libraries and the installation, so those come first.
check-am: all-am

installcheck-local:
	@$(script_environment) $(SHELL) $(srcdir)/tests/meta/install.sh --installed >installcheck.log; \
	  cat installcheck.log; ! grep '^not ok' installcheck.log >/dev/null
CLEANFILES += installcheck.log

update-symbols: all-am
	$(AM_V_GEN)$(script_environment) $(SHELL) $(srcdir)/tests/meta/symbols.sh --update

update-conformance:
	$(AM_V_GEN)$(SHELL) $(srcdir)/tests/conformance.sh $(srcdir) >$(srcdir)/tests/conformance.md
.PHONY: update-symbols update-conformance
