# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What ARCHITECTURE.md points at is there: each file and folder that it names, each function that it
# names in a file, and in its table a row for each item of tests/conformance-notes.txt that differs,
# and for no other.

. "$MORROW_SRCDIR/tests/meta/tap.sh"
skip_under_instruments

map=$MORROW_SRCDIR/ARCHITECTURE.md

files_are_there ()
{
  status=0
  for file in $(grep -oE '`[a-z]+/[a-z-]+(-private)?\.[ch]`' "$map" | tr -d '`' | sort -u); do
    test -f "$MORROW_SRCDIR/lib/$file" || { echo "no $file"; status=1; }
  done
  return $status
}

# In backquotes, or at the beginning of a line of a list.
folders_are_there ()
{
  status=0
  for folder in $(grep -oE '(`|^ +)(lib|tests|compare)/([a-z]+/)*' "$map" | tr -d '` ' | sort -u); do
    test -d "$MORROW_SRCDIR/$folder" || { echo "no $folder"; status=1; }
  done
  return $status
}

# `file.c:function ()`
functions_are_there ()
{
  status=0
  for place in $(grep -oE '`[a-z-]+\.[ch]:[a-z_]+ \(\)`' "$map" | tr -d '`() ' | sort -u); do
    grep -qE "^${place#*:} \(" "$MORROW_SRCDIR"/lib/*/"${place%:*}" || { echo "no $place"; status=1; }
  done
  return $status
}

items=$MORROW_SRCDIR/tests/conformance-items.txt
notes=$MORROW_SRCDIR/tests/conformance-notes.txt

# The items in the first column of the table.
told_items ()
{
  sed -n '/^## 13/,/^## 14/p' "$map" | awk -F'|' '/^\|/ { print $2 }' | grep -oE '[A-Z]{3}-[0-9]+' | sort -u
}

differing_items ()
{
  awk -F'\t' '$2 == "differs" { print $1 }' "$notes" | sort -u
}

# Those that tests can hold: the table may tell of others, too.
known_items ()
{
  awk -F'\t' '/^[A-Z]/ { print $1 }' "$items" | sort -u
}

# but LIST LIST: the first's lines that the second has not.
but ()
{
  printf '%s\n' "$1" | grep -vxF "$2"
}

differences_are_told ()
{
  ! but "$(differing_items)" "$(told_items)" | sed 's/^/no row for /' | grep .
}

told_differences_are_noted ()
{
  ! but "$(told_items | grep -xF "$(known_items)")" "$(differing_items)" | sed 's/$/ has a row, and no note/' | grep .
}

check 'each file that the map names is there' files_are_there
check 'each folder that the map names is there' folders_are_there
check 'each function that the map names is in its file' functions_are_there
check 'each intended difference has its row' differences_are_told
check 'each row is of an item that is noted to differ' told_differences_are_noted
finish
