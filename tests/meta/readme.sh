# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The program that README.md shows compiles without a warning, and prints what README.md says: the
# first block of C, and the block of text after it.

. "$MORROW_SRCDIR/tests/meta/tap.sh"
make_scratch

# block LANGUAGE: the first block of README.md in that language.
block ()
{
  awk -v fence="\`\`\`$1" '$0 == fence && !done { inside = 1; next }
                           inside && /^```/ { inside = 0; done = 1 }
                           inside' "$MORROW_SRCDIR/README.md"
}

compiles ()
{
  block c >"$scratch/readme.c" && test -s "$scratch/readme.c" &&
    $CC -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Werror -o "$scratch/readme" "$scratch/readme.c" \
      -I"$MORROW_SRCDIR/lib" -I"$MORROW_BUILDDIR/lib" $MORROW_GLIB_CFLAGS \
      -L"$MORROW_BUILDDIR/lib/.libs" -lmorrow-1 $MORROW_GLIB_LIBS
}

prints ()
{
  block text >"$scratch/expected" && test -s "$scratch/expected" &&
    LD_LIBRARY_PATH=$MORROW_BUILDDIR/lib/.libs "$scratch/readme" | diff "$scratch/expected" -
}

# In lines of code, without what is blank.
is_short ()
{
  lines=$(block c | grep -c '[^ ]')
  echo "$lines lines"
  test "$lines" -le 30
}

check "the program of README.md compiles" compiles
check "it prints what README.md says" prints
check "it is short" is_short
finish
