# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Each public header compiles alone, in C and in C++, without a warning, of those too that a program may ask for.

. "$MORROW_SRCDIR/tests/meta/tap.sh"
make_scratch

# GLib's are not ours to warn of.
glib_cflags=$(printf '%s\n' "$MORROW_GLIB_CFLAGS" | sed 's/-I/-isystem /g')

# compiles NAME COMPILER...: whether a file that is one #include, twice over, does.
compiles ()
{
  name=$1
  shift
  printf '#include <morrow/%s>\n#include <morrow/%s>\n' "$name" "$name" |
    "$@" -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wundef -Werror \
      -I"$MORROW_SRCDIR/lib" -I"$MORROW_BUILDDIR/lib" $glib_cflags -fsyntax-only -
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

# It warns of casts in extern "C" too, which g++ does not.
if command -v clang++ >/dev/null; then
  for header in $MORROW_HEADERS $MORROW_CURL_HEADERS; do
    name=$(basename "$header")
    check "$name compiles alone with clang++" compiles "$name" clang++ -Wold-style-cast -x c++
  done
fi

for header in $MORROW_HEADERS; do
  name=$(basename "$header")
  test "$name" = morrow.h || check "morrow.h includes $name" in_umbrella "$name"
done
finish
