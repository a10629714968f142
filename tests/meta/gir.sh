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

# A binding gives what an array holds only with the array, if at all: what takes the one without the other is not for it.
take_elements="allv anyv racev gatherv gather_full"
borrow_elements="all_array any_array race_array gather_array"

# What the GIR says of the function $1, on a line.
tell_function ()
{
  tr '\n' ' ' <"$scratch/Morrow-1.gir" | sed 's/<function /\n&/g' | grep -F "c:identifier=\"morrow_$1\"" | sed 's/<\/function>.*//'
}

check_arrays ()
{
  for name in $take_elements; do
    tell_function $name | grep -q '^<function [^>]*introspectable="0"' || { echo "morrow_$name () is offered"; return 1; }
  done
  for name in $borrow_elements; do
    tell_function $name | grep -q 'name="futures" *transfer-ownership="none"' || { echo "morrow_$name () does not borrow"; return 1; }
    ! tell_function $name | grep -q '^<function [^>]*introspectable="0"' || { echo "morrow_$name () is left out"; return 1; }
  done
}

check "g-ir-scanner accepts headers and sources without a warning" scan
check "bindings are not offered what takes the elements of an array" check_arrays
check "g-ir-compiler accepts what it made" compile_typelib
finish
