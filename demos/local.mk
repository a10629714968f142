# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The demos: programs to read, which link the shared libraries as any program would.

demo_libs = lib/libmorrow-1.la $(GLIB_LIBS)
demo_curl_libs = lib/libmorrow-curl-1.la $(demo_libs)
