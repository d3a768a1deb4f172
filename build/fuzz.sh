#!/usr/bin/env bash
# fuzz.sh DIR BINARY TARGET: runs one target of a compiled test for $FUZZ, with one worker. build/test.sh counts the marks it leaves.
set -euo pipefail
cd "$(dirname "$0")/../$1"
log=$2-$3.log
# Minimizing is bounded by runs: its default, a minute, is longer than the whole. That the time ran out inside of it is no finding, though Go
# says FAIL: a finding names the input it wrote.
rc=0
"$2" -test.run '^$' -test.fuzz "^$3\$" -test.fuzztime "$FUZZ" -test.fuzzcachedir "$2.cache" -test.fuzzminimizetime 200x -test.parallel 1 >"$log" 2>&1 || rc=$?
if [ $rc = 0 ] || { grep -qx ' *context deadline exceeded' "$log" && ! grep -qE 'Failing input|panic|_test.go:' "$log"; }; then
	mv "$log" "$2-$3.passed"
	printf '%-34s %-32s %9d inputs\n' "$1" "$3" "$(sed -nE 's/.*execs: ([0-9]+).*/\1/p' "$2-$3.passed" | tail -n 1)"
else
	mv "$log" "$2-$3.failed"
	printf 'FAIL %s %s\n%s\n' "$1" "$3" "$(<"$2-$3.failed")"
	exit 1
fi
