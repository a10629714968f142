# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What ARCHITECTURE.md points at is there: each file and folder that it names, each function that it
# names in a file, and a row of its table for each item of tests/conformance-notes.txt that differs.

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

differences_are_told ()
{
  status=0
  for item in $(awk -F'\t' '$2 == "differs" { print $1 }' "$MORROW_SRCDIR/tests/conformance-notes.txt"); do
    sed -n '/^## 13/,/^## 14/p' "$map" | grep -qE "^\|.*\b$item\b.*\|" || { echo "no row for $item"; status=1; }
  done
  return $status
}

check 'each file that the map names is there' files_are_there
check 'each folder that the map names is there' folders_are_there
check 'each function that the map names is in its file' functions_are_there
check 'each intended difference has its row' differences_are_told
finish
