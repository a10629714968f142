#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Prepares a git checkout for building: generates the build system and runs configure.
#
#   ./autogen.sh [--install-deps] [configure arguments]
#
# --install-deps first installs what is missing, with apt-get, as root or through sudo; where that
# cannot be done it prints the packages and stops.  With NOCONFIGURE set, configure is not run.

set -eu

srcdir=$(dirname "$0")
test "$srcdir" != . || srcdir=$PWD

packages='build-essential autoconf automake libtool autoconf-archive pkg-config ca-certificates
  libglib2.0-dev liburing-dev libcurl4-openssl-dev libmicrohttpd-dev libgnutls28-dev libxml2-dev libjson-glib-dev
  check nghttp2-server spin valgrind'

# The packages of the list that dpkg does not know as installed.
missing_packages ()
{
  for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
      printf '%s ' "$package"
  done
}

give_up ()
{
  echo "autogen.sh: $1; morrow needs these packages, under their Debian names:" >&2
  echo $packages >&2
  exit 1
}

install_deps ()
{
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
    give_up "cannot install packages without apt-get"

  missing=$(missing_packages)
  test -n "$missing" || return 0

  as_root=
  if test "$(id -u)" -ne 0; then
    command -v sudo >/dev/null || give_up "installing packages takes root, or sudo"
    as_root=sudo
  fi

  export DEBIAN_FRONTEND=noninteractive
  $as_root apt-get update || give_up "apt-get update failed"
  $as_root apt-get install -y --no-install-recommends $missing || give_up "apt-get install failed"
}

n_arguments=$#
while test "$n_arguments" -gt 0; do
  argument=$1
  shift
  n_arguments=$((n_arguments - 1))
  if test "$argument" = --install-deps; then
    install_deps
  else
    set -- "$@" "$argument"
  fi
done

mkdir -p "$srcdir/m4"
autoreconf --install --force "$srcdir"

if test -n "${NOCONFIGURE:-}"; then
  exit 0
fi
exec "$srcdir/configure" "$@"
