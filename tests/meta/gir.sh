# SPDX-License-Identifier: LGPL-2.1-or-later
#
# g-ir-scanner, where there is one, accepts the doc comments and annotations of the public headers
# and the sources without a warning.

. "$MORROW_SRCDIR/tests/meta/tap.sh"

command -v g-ir-scanner >/dev/null || skip_all "no g-ir-scanner"
test -f "$($PKG_CONFIG --variable=girdir gobject-introspection-1.0)/Gio-2.0.gir" || skip_all "no Gio-2.0.gir"

make_scratch

in_tree ()
{
  for file in "$@"; do
    case $file in
      *-private.h) ;;
      */version.h) echo "$MORROW_BUILDDIR/$file" ;;
      *.c | *.h) echo "$MORROW_SRCDIR/$file" ;;
    esac
  done
}

scan ()
{
  cd "$scratch" &&
    LD_LIBRARY_PATH=$MORROW_BUILDDIR/lib/.libs CC="$CC" g-ir-scanner --quiet --warn-all --warn-error \
      --namespace=Morrow --nsversion=1 --symbol-prefix=morrow --identifier-prefix=Morrow \
      --include=GObject-2.0 --include=Gio-2.0 --pkg=gio-2.0 --c-include=morrow/morrow.h \
      --library=morrow-1 -L"$MORROW_BUILDDIR/lib/.libs" \
      --cflags-begin -I"$MORROW_SRCDIR/lib" -I"$MORROW_BUILDDIR/lib" -I"$MORROW_BUILDDIR" --cflags-end \
      --output=Morrow-1.gir $(in_tree $MORROW_HEADERS $MORROW_SOURCES)
}

compile_typelib ()
{
  command -v g-ir-compiler >/dev/null || return 0
  g-ir-compiler --output="$scratch/Morrow-1.typelib" "$scratch/Morrow-1.gir"
}

check "g-ir-scanner accepts headers and sources without a warning" scan
check "g-ir-compiler accepts what it made" compile_typelib
finish
