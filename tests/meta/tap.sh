# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the scripts of this folder share: each is a TAP test of the tree itself, run by make check
# with the variables that tests/local.mk exports.  A script sources this file, calls check once for
# each claim, and finish at its end.

set -u

tap_count=0

# check NAME COMMAND...: one test, which passes if the command does; what it prints explains a failure.
check ()
{
  tap_name=$1
  shift
  tap_count=$((tap_count + 1))
  if tap_output=$("$@" 2>&1); then
    echo "ok $tap_count - $tap_name"
  else
    echo "not ok $tap_count - $tap_name"
    printf '%s\n' "$tap_output" | sed 's/^/# /'
  fi
}

finish ()
{
  echo "1..$tap_count"
}

skip_all ()
{
  echo "1..0 # SKIP $1"
  exit 0
}

# The tree does not change from one tool or sanitizer to the next, so looking at it once is enough.
skip_under_instruments ()
{
  test -z "${VALGRIND:-}" || skip_all "not a program for valgrind"
  test -z "${MORROW_SANITIZER_CFLAGS:-}" || skip_all "not for a build with sanitizers"
}

# A folder for what the script makes, gone when the script ends.
make_scratch ()
{
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/morrow-meta.XXXXXX") || exit 1
  trap 'rm -rf "$scratch"' EXIT
}

skip_under_instruments
