# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Holds the layers of lib/: each internal #include carries its folder and goes only inward, and
# programs see the public headers alone.

. "$MORROW_SRCDIR/tests/meta/tap.sh"

# What the files of a folder may include from lib/, besides their own folder.
allowed_in ()
{
  case $1 in
    base) ;;
    core) echo base ;;
    fiber) echo base ;;
    exec) echo base core fiber ;;
    sync) echo base core fiber exec ;;
    io) echo base core fiber exec sync ;;
    gio) echo base core fiber exec sync io ;;
    http) echo base core fiber exec sync io gio ;;
    debug) echo base core fiber exec sync io gio ;;
    morrow) ;;
    *) return 1 ;;
  esac
}

# Every file FILE of FOLDER that includes "OTHER/..." outside of what FOLDER may.
check_folder ()
{
  folder=$1
  allowed=$(allowed_in "$folder") || { echo "lib/$folder is no layer"; return 1; }

  ! grep -rnE '^ *# *include +"' "$MORROW_SRCDIR/lib/$folder" --include='*.[chS]' |
    awk -v allowed="$folder $allowed" '
      BEGIN { n = split (allowed, folders, " "); for (i = 1; i <= n; i++) ok[folders[i]] = 1 }
      {
        match ($0, /"[^"]*"/)
        name = substr ($0, RSTART + 1, RLENGTH - 2)
        if (name == "config.h") next
        if (split (name, parts, "/") != 2 || !(parts[1] in ok)) print
      }' | grep .
}

# The inner layers know no type of morrow but the marks on declarations; fibers add the errors.
check_public_includes ()
{
  ! grep -nE '^ *# *include +<morrow/' "$MORROW_SRCDIR/lib/$1"/*.[ch] 2>/dev/null |
    grep -vE "<morrow/($2)\\.h>"
}

# But for compare/bench-*.c, which measure the pieces one by one.
check_programs ()
{
  ! grep -rnE '^ *# *include +(["<](base|core|fiber|exec|sync|io|http|debug)/|"gio/)' \
      "$MORROW_SRCDIR/demos" "$MORROW_SRCDIR/compare" --include='*.[ch]' --exclude='bench-*.c'
}

for path in "$MORROW_SRCDIR"/lib/*/; do
  folder=$(basename "$path")
  test -z "$(ls "$path" | grep '\.[chS]$')" || check "$folder includes only inward" check_folder "$folder"
done
check "base knows no type of morrow" check_public_includes base 'macros'
check "fibers know no future" check_public_includes fiber 'macros|error'
check "demos and the comparison see the public headers alone" check_programs
finish
