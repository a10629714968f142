# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Each public header compiles alone, in C and in C++, without a warning.

. "$MORROW_SRCDIR/tests/meta/tap.sh"
make_scratch

# compiles NAME COMPILER...: whether a file that is one #include, twice over, does.
compiles ()
{
  name=$1
  shift
  printf '#include <morrow/%s>\n#include <morrow/%s>\n' "$name" "$name" |
    "$@" -Wall -Wextra -Werror -I"$MORROW_SRCDIR/lib" -I"$MORROW_BUILDDIR/lib" \
      $MORROW_GLIB_CFLAGS -fsyntax-only -
}

# The umbrella has every header of the library, so that nobody needs another #include.
in_umbrella ()
{
  grep -qF "<morrow/$1>" "$MORROW_SRCDIR/lib/morrow/morrow.h"
}

for header in $MORROW_HEADERS $MORROW_CURL_HEADERS; do
  name=$(basename "$header")
  check "$name compiles alone in C" compiles "$name" $CC -std=gnu11 -x c
  check "$name compiles alone in C++" compiles "$name" $CXX -x c++
done
for header in $MORROW_HEADERS; do
  name=$(basename "$header")
  test "$name" = morrow.h || check "morrow.h includes $name" in_umbrella "$name"
done
finish
