# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The two libraries.  All objects of each go into an archive that is not installed, which the tests
# link to reach what is internal; the shared library is that archive and exports MORROW_API alone.

# In reading order, as the umbrella includes them.
morrow_headers = \
  lib/morrow/morrow.h \
  lib/morrow/macros.h \
  lib/morrow/types.h \
  lib/morrow/error.h \
  lib/morrow/task.h \
  lib/morrow/run.h \
  lib/morrow/value.h \
  lib/morrow/combine.h \
  lib/morrow/results.h \
  lib/morrow/future.h \
  lib/morrow/promise.h \
  lib/morrow/awaitable.h \
  lib/morrow/executor.h \
  lib/morrow/reactor.h \
  lib/morrow/io.h \
  lib/morrow/inline.h

morrow_curl_headers = lib/morrow/http.h

# In layer order: base, core, fiber, exec, io.
morrow_sources = \
  lib/base/alone-private.h \
  lib/base/backlog-private.h \
  lib/base/backlog.c \
  lib/base/cache-private.h \
  lib/base/cache.c \
  lib/base/clock-private.h \
  lib/base/clock.c \
  lib/base/deque-private.h \
  lib/base/deque.c \
  lib/base/fork-private.h \
  lib/base/likely-private.h \
  lib/base/list-private.h \
  lib/base/madvise-private.h \
  lib/base/mpsc-private.h \
  lib/base/parker-private.h \
  lib/base/parker.c \
  lib/base/ring-private.h \
  lib/base/ring.c \
  lib/base/room-private.h \
  lib/base/room.c \
  lib/base/slabs-private.h \
  lib/base/slabs.c \
  lib/base/spin-private.h \
  lib/base/spin.c \
  lib/base/timers-private.h \
  lib/base/timers.c \
  lib/base/wakeup-private.h \
  lib/base/wakeup.c \
  lib/core/future-private.h \
  lib/core/future.c \
  lib/core/relay-private.h \
  lib/core/relay.c \
  lib/core/outcome.c \
  lib/core/promise-private.h \
  lib/core/promise.c \
  lib/core/settle.c \
  lib/core/then-private.h \
  lib/core/then.c \
  lib/core/combine-private.h \
  lib/core/combine.c \
  lib/core/combine-end.c \
  lib/core/crowd-private.h \
  lib/core/crowd.c \
  lib/core/gather.c \
  lib/core/shield.c \
  lib/core/results.c \
  lib/core/value.c \
  lib/core/error-private.h \
  lib/core/error.c \
  lib/core/awaitable.c \
  lib/core/executor-private.h \
  lib/core/executor.c \
  lib/core/foreign.c \
  lib/core/version.c \
  lib/fiber/context-aarch64-private.h \
  lib/fiber/context-private.h \
  lib/fiber/context-ucontext-private.h \
  lib/fiber/context-x86_64-private.h \
  lib/fiber/fiber-private.h \
  lib/fiber/fiber.c \
  lib/fiber/hooks-private.h \
  lib/fiber/overflow-private.h \
  lib/fiber/overflow.c \
  lib/fiber/stack-memory-private.h \
  lib/fiber/stack-memory.c \
  lib/fiber/stack-pool-private.h \
  lib/fiber/stack-pool.c \
  lib/fiber/start.S \
  lib/exec/task-private.h \
  lib/exec/task-run-private.h \
  lib/exec/task.c \
  lib/exec/await.c \
  lib/exec/cancel.c \
  lib/exec/message.c \
  lib/exec/cancellable.c \
  lib/exec/home-private.h \
  lib/exec/home.c \
  lib/exec/circle-private.h \
  lib/exec/hopeless-private.h \
  lib/exec/hopeless.c \
  lib/exec/loop-private.h \
  lib/exec/loop.c \
  lib/exec/scheduler-private.h \
  lib/exec/scheduler.c \
  lib/exec/turn-private.h \
  lib/exec/turn.c \
  lib/exec/asleep-private.h \
  lib/exec/asleep.c \
  lib/exec/main-context-private.h \
  lib/exec/main-context.c \
  lib/exec/rest-private.h \
  lib/exec/rest.c \
  lib/exec/source.c \
  lib/exec/reactor-private.h \
  lib/exec/reactor.c \
  lib/exec/bundle-private.h \
  lib/exec/bundle.c \
  lib/exec/circle.c \
  lib/exec/watch.c \
  lib/exec/pause-private.h \
  lib/exec/pause.c \
  lib/exec/sleep.c \
  lib/exec/loop-pool-private.h \
  lib/exec/loop-pool.c \
  lib/exec/loop-pool-work.c \
  lib/exec/loop-pool-wake.c \
  lib/exec/loop-pool-sweep.c \
  lib/exec/thread-home-private.h \
  lib/exec/thread-home.c \
  lib/exec/thread-pool-private.h \
  lib/exec/thread-pool.c \
  lib/exec/thread-worker.c \
  lib/exec/thread-wait.c \
  lib/exec/thread-stuck.c \
  lib/exec/inline.c \
  lib/exec/lane-private.h \
  lib/exec/lane.c \
  lib/exec/to-thread.c \
  lib/exec/service-private.h \
  lib/exec/service.c \
  lib/exec/interrupt-private.h \
  lib/exec/interrupt.c \
  lib/exec/run.c \
  lib/io/fd-private.h \
  lib/io/fd.c \
  lib/io/slot-private.h \
  lib/io/slot.c \
  lib/io/calls.c

# In reading order: what a request is, then what it is made of, from the outside in.
morrow_curl_sources = \
  lib/http/get.c \
  lib/http/options-private.h \
  lib/http/options.c \
  lib/http/response-private.h \
  lib/http/response.c \
  lib/http/error-private.h \
  lib/http/error.c \
  lib/http/show-private.h \
  lib/http/show.c \
  lib/http/address-private.h \
  lib/http/address.c \
  lib/http/gate-private.h \
  lib/http/gate.c \
  lib/http/resolver-private.h \
  lib/http/resolver.c \
  lib/http/transfer-private.h \
  lib/http/transfer.c \
  lib/http/blocking-private.h \
  lib/http/blocking.c \
  lib/http/engine-private.h \
  lib/http/engine.c \
  lib/http/host.c \
  lib/http/shard.c \
  lib/http/sockets.c \
  lib/http/process-private.h \
  lib/http/process.c

morrowincludedir = $(includedir)/morrow-1/morrow
morrowinclude_HEADERS = $(morrow_headers) $(morrow_curl_headers)
nodist_morrowinclude_HEADERS = lib/morrow/version.h

pkgconfig_DATA = lib/morrow-1.pc lib/morrow-curl-1.pc

noinst_LTLIBRARIES += lib/libmorrow-internal.la lib/libmorrow-curl-internal.la
lib_LTLIBRARIES += lib/libmorrow-1.la lib/libmorrow-curl-1.la

lib_libmorrow_internal_la_SOURCES = $(morrow_sources)
if TSAN
lib_libmorrow_internal_la_SOURCES += lib/base/tsan.c
endif
lib_libmorrow_internal_la_LIBADD = $(GLIB_LIBS) $(URING_LIBS) -lpthread -lm

lib_libmorrow_1_la_SOURCES =
lib_libmorrow_1_la_LIBADD = lib/libmorrow-internal.la
lib_libmorrow_1_la_LDFLAGS = $(AM_LDFLAGS) $(LIBRARY_LDFLAGS) -no-undefined -version-info $(MORROW_LT_VERSION)

lib_libmorrow_curl_internal_la_SOURCES = $(morrow_curl_sources)
lib_libmorrow_curl_internal_la_LIBADD = $(CURL_LIBS) $(GLIB_LIBS)

lib_libmorrow_curl_1_la_SOURCES =
lib_libmorrow_curl_1_la_LIBADD = lib/libmorrow-curl-internal.la lib/libmorrow-1.la
lib_libmorrow_curl_1_la_LDFLAGS = $(AM_LDFLAGS) $(LIBRARY_LDFLAGS) -no-undefined -version-info $(MORROW_LT_VERSION)
