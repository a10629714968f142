# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Each public header compiles alone, in C and in C++, without a warning, of those too that a program may ask for; and so does what
# its macros say.

. "$MORROW_SRCDIR/tests/meta/tap.sh"
make_scratch

# GLib's are not ours to warn of.
glib_cflags=$(printf '%s\n' "$MORROW_GLIB_CFLAGS" | sed 's/-I/-isystem /g')

# clean COMPILER...: whether standard input compiles.
clean ()
{
  "$@" -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wundef -Werror \
    -I"$MORROW_SRCDIR/lib" -I"$MORROW_BUILDDIR/lib" $glib_cflags -fsyntax-only -
}

# compiles NAME COMPILER...: whether a file that is one #include, twice over, does.
compiles ()
{
  name=$1
  shift
  printf '#include <morrow/%s>\n#include <morrow/%s>\n' "$name" "$name" | clean "$@"
}

# One in the other, and as one more argument.
macros='
#include <morrow/morrow.h>
#include <morrow/http.h>
gboolean body (gpointer data, GValue *result, GError **error);
MorrowFuture *make (MorrowPromise **promise);
MorrowFuture *make (MorrowPromise **promise)
{
  MorrowFuture *future, *other = morrow_create_task (morrow_coroutine (body, morrow_coroutine (body, NULL, NULL), NULL));
  *promise = morrow_promise_new_with_future (&future);
  return morrow_gather (future, other, morrow_spawn (body, morrow_promise_new (), NULL), morrow_to_thread (body, NULL, NULL),
                        morrow_http_get ("http://localhost/", NULL), NULL);
}'

# Where C++ takes no statement in an expression.
member='
struct Holder
{
  MorrowPromise *promise = morrow_promise_new ();
};'

# use_macros TEXT COMPILER...
use_macros ()
{
  text=$1
  shift
  printf '%s\n' "$text" | clean "$@"
}

# The umbrella has every header of the library, so that nobody needs another #include.
in_umbrella ()
{
  grep -qF "<morrow/$1>" "$MORROW_SRCDIR/lib/morrow/morrow.h"
}

for header in $MORROW_HEADERS $MORROW_CURL_HEADERS; do
  name=$(basename "$header")
  check "$name compiles alone in C" compiles "$name" $CC -std=gnu11 -x c
  check "$name compiles alone in C++" compiles "$name" $CXX -Wold-style-cast -x c++
done

check "the macros compile in C" use_macros "$macros" $CC -std=gnu11 -Wpedantic -x c
check "the macros compile in C++" use_macros "$macros$member" $CXX -Wold-style-cast -Wpedantic -x c++

# It warns of casts in extern "C" too, which g++ does not.
if command -v clang++ >/dev/null; then
  for header in $MORROW_HEADERS $MORROW_CURL_HEADERS; do
    name=$(basename "$header")
    check "$name compiles alone with clang++" compiles "$name" clang++ -Wold-style-cast -x c++
  done
  check "the macros compile with clang++" use_macros "$macros$member" clang++ -Wold-style-cast -Wpedantic -x c++
fi

for header in $MORROW_HEADERS; do
  name=$(basename "$header")
  test "$name" = morrow.h || check "morrow.h includes $name" in_umbrella "$name"
done
finish
