#!/usr/bin/env bash
# fuzz.sh DIR BINARY TARGET: runs one target of a compiled test for $FUZZ, with one worker. build/test.sh counts the marks it leaves.
set -euo pipefail
cd "$(dirname "$0")/../$1"
log=$2-$3.log
corpus() { if [ -d "testdata/fuzz/$3" ]; then find "testdata/fuzz/$3" -type f | sort; fi; }
before=$(corpus "$@")

# When the time runs out while a worker minimizes or starts, Go says FAIL and "context deadline exceeded" though it found nothing
# (golang.org/issue/48591). A finding always says more (the input it wrote, a panic, a line of the test, a seed that failed, a worker that
# hung) and leaves a file. So: only where nothing but that was said, and no file was left, it is none.
race_at_the_end() {
	[ "$(corpus "$@")" = "$before" ] && grep -qx ' *context deadline exceeded' "$log" &&
		! grep -vxE "fuzz: elapsed: .*|fuzz: minimizing .*|--- FAIL: $3 \([0-9.]+s\)| *context deadline exceeded|FAIL|" "$log" | grep -q .
}

# Minimizing is bounded by runs: its default, a minute, is longer than the whole.
rc=0
"$2" -test.run '^$' -test.fuzz "^$3\$" -test.fuzztime "$FUZZ" -test.fuzzcachedir "$2.cache" -test.fuzzminimizetime 200x -test.parallel 1 >"$log" 2>&1 || rc=$?
if [ $rc = 0 ] || { [ $rc = 1 ] && race_at_the_end "$@"; }; then
	mv "$log" "$2-$3.passed"
	printf '%-34s %-32s %9d inputs\n' "$1" "$3" "$(sed -nE 's/.*execs: ([0-9]+).*/\1/p' "$2-$3.passed" | tail -n 1)"
else
	mv "$log" "$2-$3.failed"
	printf 'FAIL %s %s\n%s\n' "$1" "$3" "$(<"$2-$3.failed")"
	exit 1
fi
