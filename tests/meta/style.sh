# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What every file of the tree has, and what none has.

. "$MORROW_SRCDIR/tests/meta/tap.sh"

# What is written by hand: sources, build files, scripts.
hand_written ()
{
  (cd "$MORROW_SRCDIR" &&
     find autogen.sh configure.ac Makefile.am lib demos compare tests \
       -type f \( -name '*.[chS]' -o -name '*.cc' -o -name '*.sh' -o -name '*.py' -o -name '*.mk' \
                  -o -name '*.in' -o -name configure.ac -o -name Makefile.am \) \
       ! -name '*.pc.in' ! -path '*/.*')
}

# lines_without PATTERN: no hand-written file has a line that matches.
none_matches ()
{
  ! (cd "$MORROW_SRCDIR" && hand_written | grep -v '^tests/meta/style\.sh$' | xargs grep -nE -- "$1")
}

licensed ()
{
  (cd "$MORROW_SRCDIR" && hand_written | while read -r file; do
     head -2 "$file" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later' || echo "$file"
   done) | { ! grep .; }
}

# They say nothing to gcc: base/likely-private.h tells why, and has those that do.
no_glib_hints ()
{
  ! (cd "$MORROW_SRCDIR" && grep -rnE 'G_(UN)?LIKELY \([^)]' lib)
}

tab=$(printf '\t')

no_tabs ()
{
  ! (cd "$MORROW_SRCDIR" && hand_written | grep '\.[chS]$' | xargs grep -nE "$tab")
}

check "every file names its licence" licensed
check "no mark of unfinished work" none_matches '\<(TODO|FIXME|XXX)\>'
check "no space at the end of a line" none_matches "[ $tab]\$"
check "no line beyond 150 columns" none_matches '^.{151}'
check "no tab in a source" no_tabs
check "no branch hint of GLib's in the library" no_glib_hints
finish
