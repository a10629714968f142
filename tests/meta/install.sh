# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installs into a temporary root, compiles and runs there a ten-line program for each library with
# what pkg-config says and nothing else, runs the comparison, and uninstalls, after which nothing is
# left.
#
# With --installed (make installcheck), tries all that with the prefix that is installed.

. "$MORROW_SRCDIR/tests/meta/tap.sh"
make_scratch

unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR

# pkg-config with the .pc files of the installation, which below a temporary root are told so.
installed_pkg_config ()
{
  PKG_CONFIG_PATH=$pkgconfigdir${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH} $PKG_CONFIG "$@"
}

# compile_and_run SOURCE MODULE
compile_and_run ()
{
  $CC -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Werror -o "$scratch/hello" \
    "$MORROW_SRCDIR/tests/meta/$1" $(installed_pkg_config --cflags --libs "$2") &&
    output=$(LD_LIBRARY_PATH="$libdir" "$scratch/hello") && test "$output" = "hello, world"
}

# Without URLs it needs the server that is installed with it.
compare ()
{
  LD_LIBRARY_PATH="$libdir" "$MORROW_ROOT$MORROW_BINDIR/morrow-compare" gather --model loop --repeat 1 | grep '^loop '
}

has_version ()
{
  test "$(installed_pkg_config --modversion morrow-1)" = "$MORROW_VERSION" &&
    test "$(installed_pkg_config --modversion morrow-curl-1)" = "$MORROW_VERSION"
}

install_tree ()
{
  $MAKE -C "$MORROW_BUILDDIR" install DESTDIR="$scratch/root" &&
    sed -i "s|^prefix=.*|prefix=$scratch/root$MORROW_PREFIX|; s|^\\(libdir\\|includedir\\)=/|\\1=$scratch/root/|" \
      "$pkgconfigdir"/*.pc
}

has_headers ()
{
  for header in $MORROW_HEADERS $MORROW_CURL_HEADERS; do
    test -f "$MORROW_ROOT$MORROW_INCLUDEDIR/morrow-1/morrow/$(basename "$header")" || { echo "no $header"; return 1; }
  done
}

uninstall_leaves_nothing ()
{
  $MAKE -C "$MORROW_BUILDDIR" uninstall DESTDIR="$scratch/root" >/dev/null &&
    ! find "$scratch/root" ! -type d | grep . &&
    ! find "$scratch/root$(dirname "$MORROW_LIBDIR")" -mindepth 1 -type d -name '*morrow*' 2>/dev/null | grep .
}

MORROW_ROOT=$scratch/root
test "${1-}" != --installed || MORROW_ROOT=
libdir=$MORROW_ROOT$MORROW_LIBDIR
pkgconfigdir=$MORROW_ROOT$MORROW_PKGCONFIGDIR

test -z "$MORROW_ROOT" || check "make install" install_tree
check "every public header is installed" has_headers
check "pkg-config knows the version" has_version
check "a program compiles and runs with morrow-1" compile_and_run hello.c morrow-1
check "a program compiles and runs with morrow-curl-1" compile_and_run hello-curl.c morrow-curl-1
check "the comparison runs, with its server" compare
test -z "$MORROW_ROOT" || check "make uninstall leaves nothing" uninstall_leaves_nothing
finish
