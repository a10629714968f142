# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every item of asyncio's behaviour is held by a test or has its reason, and the page that says so
# is up to date.

. "$MORROW_SRCDIR/tests/meta/tap.sh"

no_problems ()
{
  ! sh "$MORROW_SRCDIR/tests/conformance.sh" "$MORROW_SRCDIR" --problems | LC_ALL=C sort | grep .
}

up_to_date ()
{
  sh "$MORROW_SRCDIR/tests/conformance.sh" "$MORROW_SRCDIR" |
    diff "$MORROW_SRCDIR/tests/conformance.md" - || { echo "run make update-conformance"; return 1; }
}

check "every item has a test or a reason" no_problems
check "tests/conformance.md is up to date" up_to_date
finish
