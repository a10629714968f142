# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What each shared library exports is what its list here says (make update-symbols writes the
# lists), begins with morrow_, and is what the public headers declare.
#
# With --update, writes the lists instead.

exported ()
{
  $NM -D --defined-only "$MORROW_BUILDDIR/lib/.libs/lib$1.so" | awk '{ print $3 }' | LC_ALL=C sort
}

if test "${1-}" = --update; then
  for library in morrow-1 morrow-curl-1; do
    exported $library >"$MORROW_SRCDIR/tests/meta/symbols-$library.txt" || exit 1
  done
  exit 0
fi

. "$MORROW_SRCDIR/tests/meta/tap.sh"
make_scratch

# The difference, "<" what only the list has, ">" what only the library has.
check_list ()
{
  exported "$1" | diff "$MORROW_SRCDIR/tests/meta/symbols-$1.txt" - ||
    { echo "if this is meant: make update-symbols"; return 1; }
}

check_prefix ()
{
  ! exported "$1" | grep -v '^morrow_'
}

# Every name that the headers declare with MORROW_API is in a library: one that is not fails to link.
check_declared ()
{
  for library in morrow-1 morrow-curl-1; do
    exported $library
  done | LC_ALL=C sort -u >"$scratch/exported"
  for header in $MORROW_HEADERS $MORROW_CURL_HEADERS; do
    test -f "$MORROW_SRCDIR/$header" && cat "$MORROW_SRCDIR/$header"
  done | sed -n '/^MORROW_API/{n;s/.*[ *]\(morrow_[a-z0-9_]*\) *(.*/\1/p}' |
    LC_ALL=C sort -u >"$scratch/declared"
  test -s "$scratch/declared" && ! LC_ALL=C comm -13 "$scratch/exported" "$scratch/declared" | grep .
}

for library in morrow-1 morrow-curl-1; do
  check "lib$library exports what its list says" check_list $library
  check "lib$library exports names that begin with morrow_" check_prefix $library
done
check "everything declared in a public header is exported" check_declared
finish
