# SPDX-License-Identifier: LGPL-2.1-or-later
#
# autogen.sh --install-deps, on systems that are made up of stubs: a folder of programs that is all
# of its PATH.  Where it cannot install, it prints every package and stops; where it can, it asks for
# what is missing and goes on.

. "$MORROW_SRCDIR/tests/meta/tap.sh"
skip_under_instruments
make_scratch

# What the script itself is written with; the rest of the system is each test's.
new_system ()
{
  rm -rf "$scratch/system" "$scratch/tree"
  mkdir "$scratch/system" "$scratch/tree"
  cp "$MORROW_SRCDIR/autogen.sh" "$scratch/tree"
  for tool in sh dirname grep mkdir; do
    ln -s "$(command -v "$tool")" "$scratch/system/$tool"
  done
  add_program autoreconf 'echo autoreconf'
  add_program id "echo ${1-0}"
}

# add_program NAME BODY
add_program ()
{
  printf '#!%s\n%s\n' "$(command -v sh)" "$2" >"$scratch/system/$1"
  chmod +x "$scratch/system/$1"
}

# A system of Debian's, on which nothing is installed.
add_debian ()
{
  add_program dpkg-query 'exit 1'
  add_program apt-get 'echo apt-get "$@"'
}

# Its output and its errors are in $said.
run_autogen ()
{
  said=$(cd "$scratch/tree" && NOCONFIGURE=1 PATH="$scratch/system" ./autogen.sh "$@" 2>&1)
}

packages=$(sed -n "/^packages='/,/'\$/p" "$MORROW_SRCDIR/autogen.sh" | tr -d "'" | sed 's/^packages=//' | xargs)

# stops_with REASON: it fails with two lines, the reason and the packages, and has done nothing.
stops_with ()
{
  ! run_autogen --install-deps || { echo "it went on: $said"; return 1; }
  test "$said" = "autogen.sh: $1; morrow needs these packages, under their Debian names:
$packages" || { printf '%s\n' "$said"; return 1; }
}

without_apt_get ()
{
  new_system
  stops_with "cannot install packages without apt-get"
}

without_rights ()
{
  new_system 1000
  add_debian
  stops_with "installing packages takes root, or sudo"
}

as_root ()
{
  new_system
  add_debian
  run_autogen --install-deps && test "$said" = "apt-get update
apt-get install -y --no-install-recommends $packages
autoreconf" || { printf '%s\n' "$said"; return 1; }
}

through_sudo ()
{
  new_system 1000
  add_debian
  add_program sudo 'echo sudo "$@"'
  run_autogen --install-deps && test "$said" = "sudo apt-get update
sudo apt-get install -y --no-install-recommends $packages
autoreconf" || { printf '%s\n' "$said"; return 1; }
}

# Only what is missing, and nothing at all where nothing is.
what_is_there_is_left_alone ()
{
  new_system
  add_debian
  add_program dpkg-query 'for last; do :; done; test "$last" = check || echo installed'
  run_autogen --install-deps && test "$said" = "apt-get update
apt-get install -y --no-install-recommends check
autoreconf" || { printf '%s\n' "$said"; return 1; }
  add_program dpkg-query 'echo installed'
  run_autogen --install-deps && test "$said" = autoreconf || { printf '%s\n' "$said"; return 1; }
}

a_failed_installation_stops ()
{
  new_system
  add_debian
  add_program apt-get 'test "$1" = update || exit 100'
  stops_with "apt-get install failed"
  add_program apt-get 'exit 100'
  stops_with "apt-get update failed"
}

without_the_option_nothing_is_installed ()
{
  new_system
  run_autogen && test "$said" = autoreconf || { printf '%s\n' "$said"; return 1; }
}

test -n "$packages" || exit 1
check 'without apt-get it prints the packages and stops' without_apt_get
check 'without root and sudo it prints the packages and stops' without_rights
check 'as root it installs them' as_root
check 'as somebody else it installs them through sudo' through_sudo
check 'what is installed already is left alone' what_is_there_is_left_alone
check 'an installation that fails stops it' a_failed_installation_stops
check 'without --install-deps nothing is installed' without_the_option_nothing_is_installed
finish
