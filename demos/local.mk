# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The demos: programs to read, which link the shared libraries as any program would.

demo_libs = demos/libmorrow-demo.la lib/libmorrow-1.la $(GLIB_LIBS)
demo_curl_libs = lib/libmorrow-curl-1.la $(demo_libs)

# In the order of the tutorial.
noinst_PROGRAMS += \
  demos/hello \
  demos/say-after \
  demos/say-after-tasks \
  demos/knights \
  demos/factorial

# What the demos share with each other and with the comparison; no part of the libraries.
noinst_LTLIBRARIES += demos/libmorrow-demo.la
demos_libmorrow_demo_la_SOURCES = \
  demos/files.c \
  demos/files.h \
  demos/model.c \
  demos/model.h \
  demos/urls.c \
  demos/urls.h

demos_hello_LDADD = $(demo_libs)
demos_say_after_LDADD = $(demo_libs)
demos_say_after_tasks_LDADD = $(demo_libs)
demos_knights_LDADD = $(demo_libs)
demos_factorial_LDADD = $(demo_libs)

# The exercise needs HTTP, and a server to visit.
noinst_PROGRAMS += demos/gather-urls
demos_gather_urls_SOURCES = \
  demos/gather-urls.c \
  demos/page.c \
  demos/page.h
demos_gather_urls_LDADD = compare/libmorrow-launch.la $(demo_curl_libs) $(XML_LIBS)
