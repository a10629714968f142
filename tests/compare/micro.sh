# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What compare/micro/run makes of programs that crash, print nonsense or never end, and of outputs that cannot be written:
# its build directory holds programs that are made up here.

. "$MORROW_SRCDIR/tests/meta/tap.sh"
skip_under_instruments
command -v python3 >/dev/null || skip_all "there is no python3"
make_scratch

build=$scratch/build
mkdir -p "$build/compare/micro"
: >"$build/Makefile"

# program NAME OPERATION...: a runtime's program that has these operations; what it does for each comes from standard input.
program ()
{
  file=$build/compare/micro/$1
  shift
  {
    echo '#!/bin/sh'
    echo "test \$# -gt 0 || { echo $*; exit; }"
    cat
  } >"$file"
  chmod +x "$file"
}

# What run prints goes to $scratch/out, what it complains of to $scratch/err; both explain a failure.
run ()
{
  "$MORROW_SRCDIR/compare/micro/run" --build "$build" --repeat 1 --patience 0 "$@" >"$scratch/out" 2>"$scratch/err"
  status=$?
  cat "$scratch/out" "$scratch/err"
}

said ()
{
  grep -qF -- "$1" "$scratch/out" "$scratch/err"
}

quiet_but_for_complaints ()
{
  ! grep -q Traceback "$scratch/err"
}

program echo-client </dev/null
program morrow future_then <<'END'
printf 'future_then\t50\tns\n'
END

a_crash_is_named ()
{
  program glib future_then <<'END'
echo 'panic: all is lost' >&2
echo 'goroutine 1 [running]' >&2
kill -SEGV $$
END
  run --only future_then --runtimes glib
  test $status -eq 0 && said 'no row: future_then, glib: killed by signal 11: panic: all is lost'
}

a_crash_is_not_idle ()
{
  program glib idle <<'END'
kill -SEGV $$
END
  run --only idle,idle_cpu --runtimes glib
  said 'no row: idle, glib: killed by signal 11' && said 'no row: idle_cpu, glib: killed by signal 11'
}

missing_rows_are_named ()
{
  program glib spawn_many future_resolve <<'END'
test "$1" = future_resolve || printf 'spawn_many\t9\tns\nspawn_many\t100000\tunits\n'
END
  run --only spawn_many,spawn_many_warm,future_resolve --runtimes glib
  said 'no row: spawn_many_warm, glib: printed no figure' && said 'no row: future_resolve, glib: printed no figure' &&
    ! said 'no row: spawn_many, glib'
}

units_are_compared ()
{
  program glib future_then <<'END'
printf 'future_then\t5\tms\n'
END
  run --only future_then --runtimes glib
  said 'no row: future_then, glib: is in ms instead of ns'
}

nonsense_is_one_row ()
{
  program glib future_then <<'END'
printf 'future_then\t\377\tns\n'
END
  run --only future_then --runtimes morrow,glib
  test $status -eq 0 && said 'no row: future_then, glib: prints' && grep -q '^future_then  *ns  *50 ' "$scratch/out"
}

seconds_asleep_are_no_ratio ()
{
  for runtime in morrow glib; do
    program $runtime sleepers_100k pool_compute <<'END'
case $0 in */morrow) s=1.23 x=0.5 ;; *) s=1.14 x=0.25 ;; esac
case $1 in
  sleepers_100k) printf 'sleepers_100k\t%s\ts\nsleepers_100k\t100000\tunits\n' $s ;;
  *) printf 'pool_compute\t%s\tx\npool_compute\t20000\tunits\n' $x ;;
esac
END
  done
  run --only sleepers_100k,pool_compute --runtimes morrow,glib
  program morrow future_then <<'END'
printf 'future_then\t50\tns\n'
END
  said ' 1.64 glib' && ! said ' 2.00 glib'
}

json_to_a_full_device ()
{
  run --only future_then --runtimes morrow --json /dev/full
  test $status -eq 1 && said 'cannot write /dev/full: No space left on device' && said 'future_then' && quiet_but_for_complaints
}

json_to_a_pipe ()
{
  "$MORROW_SRCDIR/compare/micro/run" --build "$build" --patience 0 --only future_then --runtimes morrow --json /dev/stdout |
    grep -qF '"median": 50.0'
}

table_to_a_full_device ()
{
  rm -f "$scratch/json"
  "$MORROW_SRCDIR/compare/micro/run" --build "$build" --repeat 1 --patience 0 --only future_then --runtimes morrow --json "$scratch/json" \
    >/dev/full 2>"$scratch/err"
  status=$?
  cat "$scratch/err"
  test $status -eq 1 && grep -qF 'cannot print: No space left on device' "$scratch/err" && quiet_but_for_complaints &&
    python3 -m json.tool "$scratch/json" >/dev/null
}

nonsense_is_refused ()
{
  for nonsense in '--timeout inf' '--timeout 1e300' '--patience -1' '--only ,' '--only pool_compute --runtimes morrow'; do
    run --json "$scratch/none" $nonsense
    test $status -eq 2 && quiet_but_for_complaints && test ! -e "$scratch/none" || return 1
  done
}

# The processors take twice as long from the first run of glib's program on, until that has been noticed.
slow_at_first ()
{
  rm -f "$scratch/runs" "$scratch/slow"
  program limits pace <<END
if rm "$scratch/slow" 2>/dev/null; then printf 'pace\t4\tns\n'; else printf 'pace\t2\tns\n'; fi
END
  program glib future_then <<END
if test -e "$scratch/runs"; then ns=50; else ns=100; touch "$scratch/slow"; fi
echo run >>"$scratch/runs"
printf 'future_then\t%s\tns\n' \$ns
END
}

a_slow_run_is_repeated ()
{
  slow_at_first
  run --only future_then --runtimes glib --patience 100
  test $status -eq 0 && said ' 50' && test "$(wc -l <"$scratch/runs")" -eq 2
}

without_patience_it_is_not ()
{
  slow_at_first
  run --only future_then --runtimes glib
  test $status -eq 0 && said ' 100' && test "$(wc -l <"$scratch/runs")" -eq 1
}

runs_that_stay_slow_are_told ()
{
  slow_at_first
  program glib future_then <<END
touch "$scratch/slow"
printf 'future_then\t70\tns\n'
END
  run --only future_then --runtimes glib --patience 0.5 --json "$scratch/json"
  test $status -eq 0 && said ' 70' && said 'below the best pace: future_then' && grep -q '"below_best": ' "$scratch/json"
}

# Of the limit's two runs one is slow, of morrow's both.
rows_of_a_ratio_have_one_pace ()
{
  rm -f "$scratch/second" "$scratch/slow"
  program limits pace eventfd_round_trip_idle <<END
if test "\$1" = pace; then
  if rm "$scratch/slow" 2>/dev/null; then printf 'pace\t4\tns\n'; else printf 'pace\t2\tns\n'; fi
elif test -e "$scratch/second"; then
  touch "$scratch/slow"
  printf 'eventfd_round_trip_idle\t100\tns\n'
else
  touch "$scratch/second"
  printf 'eventfd_round_trip_idle\t50\tns\n'
fi
END
  program morrow cross_thread_idle <<END
touch "$scratch/slow"
printf 'cross_thread_idle\t60\tns\ncross_thread_idle\t200\tunits\n'
END
  run --only cross_thread_idle,eventfd_round_trip_idle --runtimes limit,morrow --repeat 2 --patience 0.5
  test $status -eq 0 && said ' 0.8 x limit' && said 'below the best pace: eventfd_round_trip_idle, cross_thread_idle'
}

# ends_by SIGNAL STATUS OPERATION: run ends by itself, and so does the program that it runs, which holds a pipe until then.
# A shell's background job ignores SIGINT, and who runs the tests by nohup SIGHUP, which Python and run take as a wish.
ends_by ()
{
  rm -f "$scratch/life" "$scratch/none"
  mkfifo "$scratch/life"
  program glib "$3" <<END
exec >"$scratch/life"
echo \$\$
exec sleep 600
END
  python3 -c 'import os, signal, sys
for end in signal.SIGINT, signal.SIGHUP:
    signal.signal(end, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$MORROW_SRCDIR/compare/micro/run" --build "$build" --patience 0 --only "$3" \
    --runtimes glib --json "$scratch/none" >"$scratch/out" 2>"$scratch/err" &
  run_pid=$!
  exec 3<"$scratch/life"
  read -r pid <&3
  kill -"$1" $run_pid
  wait $run_pid
  status=$?
  cat "$scratch/out" "$scratch/err"
  timeout 20 cat <&3 || { echo "$pid is left"; kill -KILL "$pid"; return 1; }
  echo "status $status"
  test $status -eq "$2" && test ! -s "$scratch/err" && test ! -e "$scratch/none"
}

check 'a program that crashes gives no row, and the signal and what it said first are named' a_crash_is_named
check 'a program that crashes is not idle' a_crash_is_not_idle
check 'each row that is missing is named' missing_rows_are_named
check 'a figure in another unit gives no row' units_are_compared
check 'a peer that prints nonsense does not take the figures of others with it' nonsense_is_one_row
check 'the second that sleepers sleep is taken off before a ratio, and multiples have none' seconds_asleep_are_no_ratio
check 'figures that a full device does not take are complained of, and the table is printed' json_to_a_full_device
check 'figures go to a pipe' json_to_a_pipe
check 'a table that a full device does not take leaves the figures whole' table_to_a_full_device
check 'what makes no sense is refused, and leaves no file' nonsense_is_refused
check 'a run for which the processors were slow is repeated' a_slow_run_is_repeated
check 'without patience nothing is repeated' without_patience_it_is_not
check 'runs that stay slow are told' runs_that_stay_slow_are_told
check 'rows that are divided by each other have figures of one pace' rows_of_a_ratio_have_one_pace
check 'SIGTERM ends a program that is measured' ends_by TERM 143 future_then
check 'SIGHUP ends a program that is idle' ends_by HUP 129 idle
check 'SIGINT ends a program that is measured, without a traceback' ends_by INT 130 future_then
finish
