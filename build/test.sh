#!/usr/bin/env bash
# test.sh [STAGE...]: the checks of Daypass. Without a stage: all of them, in order. A stage that cannot run fails; none is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOFLAGS=${GOFLAGS:--buildvcs=false}
FUZZ=${FUZZ:-5s}
TAGS=desktop,production,webkit2_41
begin=$SECONDS
results=$PWD/test/results
mkdir -p "$results"
work=$(mktemp -d)
tally=$work/tally # a line "passed failed skipped" for each run of a test runner
: >"$tally"
failed=() # stages
trap 'rm -rf "$work"' EXIT
export NO_COLOR=1 # the runners' own; what is printed here is read in logs, too

stage() { # NAME WHAT COMMAND...
	local name=$1 what=$2 t=$SECONDS before
	before=$(bad)
	shift 2
	printf '\n== %s: %s\n' "$name" "$what"
	# Not "if ! command": bash would go on after a failed line inside of it.
	set +e
	(set -euo pipefail; "$@")
	local rc=$?
	set -e
	if [ $rc != 0 ]; then
		printf '== %s FAILED after %d s\n\n' "$name" $((SECONDS - t))
		failed+=("$name")
		[ "$(bad)" != "$before" ] || echo 0 1 0 >>"$tally" # a stage without tests of its own
		case $name in requirements | programs) finish ;; esac # without them nothing below says anything; else go on, to tell all at once
		return 0
	fi
	printf -- '-- %s: %d s\n' "$name" $((SECONDS - t))
}

bad() { awk '{ n += $2 } END { print n + 0 }' "$tally"; }

# finish says what failed and ends; the last line, for people and for CI, is what was counted.
finish() {
	if [ ${#failed[@]} = 0 ]; then
		printf '\nall checks passed in %d s\n' $((SECONDS - begin))
	else
		printf '\nfailed after %d s: %s\n' $((SECONDS - begin)) "${failed[*]}"
	fi
	[ ! -s "$tally" ] || "$work/count" -sum "$tally"
	exit $((${#failed[@]} != 0))
}

# counted TYPE COMMAND...: runs a test runner and adds what it says to the tally.
counted() {
	local type=$1
	shift
	"$@" | "$work/count" -to "$tally" "$type"
}

programs() { # every program that the tests drive
	make --no-print-directory frontend console host signaling
}

check() {
	local bad
	bad=$(go tool gofumpt -l $(git ls-files '*.go')) || return 1
	if [ -n "$bad" ]; then
		printf 'not formatted (go tool gofumpt -w FILE):\n%s\n' "$bad"
		return 1
	fi
	go vet -tags "$TAGS" ./...
	go vet -tags "$TAGS,lab,e2e" ./...
	CGO_ENABLED=0 GOOS=windows go vet ./hostsvc/...
	go mod verify >/dev/null
	build/lint.sh
	(cd frontend && npm run --silent check)
	bash -n build/*.sh test/*/*.sh .ci/run
}

cross() { # what we ship elsewhere must at least compile
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build -o /dev/null ./hostsvc
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 go build -o /dev/null ./hostsvc
	go build -tags lab -o /dev/null ./hostsvc
	local size
	size=$(stat -c %s build/bin/downloads/daypass-host-linux-amd64)
	printf 'customer program: %d bytes\n' "$size"
	[ "$size" -le $((12 << 20)) ] || { echo "larger than 12 MB"; return 1; }
}

requirements() { # by name, so that nothing is skipped in silence
	local ok=0 c
	for c in Xvfb openbox xdotool xclip xsel xterm mousepad import chromium dbus-daemon gnome-keyring-daemon ip nft setxkbmap xrandr xwininfo debootstrap unshare; do
		command -v "$c" >/dev/null || { echo "missing: $c"; ok=1; }
	done
	[ -x /usr/libexec/at-spi-bus-launcher ] || { echo "missing: at-spi-bus-launcher"; ok=1; }
	[ "$(id -u)" = 0 ] || { echo "missing: root, for network namespaces. Run: sudo env PATH=\"\$PATH\" make test"; ok=1; }
	if [ $ok = 0 ]; then
		ip netns add "daypass-probe-$$" && ip netns del "daypass-probe-$$" || { echo "missing: network namespaces"; ok=1; }
	fi
	return $ok
}

# unit: the slow packages first, so that the others fill the second core beside them. test/pairs plays hundreds of sign-ins, whose
# password hashing alone takes minutes under the race detector: there a part of it runs, and all of it without.
unit() {
	local slow="daypass/test/netlab daypass/signaling/server daypass/hostsvc/encode"
	# shellcheck disable=SC2086,SC2046 # lists of packages
	DAYPASS_REQUIRE_NETNS=1 counted go go test -json -race -timeout 10m $slow \
		$(go list ./... | grep -vx -e daypass -e daypass/test/pairs -e daypass/test/faults $(printf -- '-e %s ' $slow))
	counted go go test -json -race -timeout 10m -run '^(TestReactivation|TestReactivationDeclined|TestTheReceipt.*|TestTwo.*)$' ./test/pairs
	counted go go test -json -timeout 10m -parallel 6 ./test/pairs
	counted go go test -json -timeout 10m ./test/faults # real processes: the detector sees none of them
	go vet -tags "$TAGS" . # the window has no unit tests; test/bindings and test/e2e drive it
}

# fuzz: a package's targets are compiled once; two run at a time, each with one worker.
fuzz() {
	local dir bin targets=$work/targets
	mkdir -p "$work/fuzz"
	: >"$targets"
	git ls-files -co --exclude-standard '*_test.go' | xargs grep -lE '^func Fuzz' | xargs -n1 dirname | sort -u >"$work/packages"
	while read -r dir; do
		bin=$work/fuzz/$(tr / - <<<"$dir")
		go test -c -fuzz=. -o "$bin" "./$dir"
		cat "$dir"/*_test.go | sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' | sort -u | while read -r name; do
			echo "$dir $bin $name" >>"$targets"
		done
	done <"$work/packages"
	local rc=0
	FUZZ=$FUZZ xargs -P 2 -L 1 build/fuzz.sh <"$targets" || rc=$?
	echo "$(ls "$work/fuzz"/*.passed 2>/dev/null | wc -l) $(ls "$work/fuzz"/*.failed 2>/dev/null | wc -l) 0" >>"$tally"
	return $rc
}

# What the Windows program is made of, cross-compiled and run in Wine. The rest of it is driven by the end-to-end.
# One package at a time: they share the desktop.
wine() {
	counted go build/wine/with.sh env GOOS=windows CGO_ENABLED=0 \
		go test -json -p 1 -count=1 -timeout 5m -exec "$PWD/build/wine/exec" ./backend/fault ./backend/grant ./backend/wire ./backend/pairing/... \
		./backend/rendezvous/... ./backend/peer ./hostsvc/screen ./hostsvc/input ./hostsvc/clip ./hostsvc/lease ./hostsvc/removal ./hostsvc/consent
}

page() { (cd frontend && counted vitest npx --no-install vitest run); }
browser() { (cd frontend && counted node npm run --silent e2e); }
bindings() { DAYPASS_RESULTS=$results counted go go test -json -tags e2e -count=1 -timeout 5m ./test/bindings; }
e2e() { DAYPASS_RESULTS=$results counted go go test -json -tags e2e -count=1 -timeout 12m ./test/e2e; }

run() {
	case $1 in
	programs) stage programs "build everything" programs ;;
	check) stage check "formats, linters, types" check ;;
	cross) stage cross "other systems compile, sizes" cross ;;
	requirements) stage requirements "what the tests need is here" requirements ;;
	unit) stage unit "Go, with the race detector" unit ;;
	fuzz) stage fuzz "every parser for $FUZZ" fuzz ;;
	wine) stage wine "the Windows program's parts in Wine" wine ;;
	page) stage page "the page's units" page ;;
	browser) stage browser "every screen in Chromium" browser ;;
	bindings) stage bindings "the page in Chromium against the real console" bindings ;;
	e2e) stage e2e "a whole session with real programs" e2e ;;
	*) echo "unknown stage $1: programs check cross requirements unit wine fuzz page browser bindings e2e" >&2; exit 2 ;;
	esac
}

go build -o "$work/count" ./test/tally
if [ $# -gt 0 ]; then
	case " $* " in *" e2e "* | *" check "* | *" cross "* | *" bindings "* | *" browser "* | *" page "* | *" unit "*) run programs ;; esac
	for s in "$@"; do run "$s"; done
else
	for s in requirements programs check cross page unit wine fuzz browser bindings e2e; do run "$s"; done
fi
finish
