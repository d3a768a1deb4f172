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

stage() { # NAME WHAT COMMAND...
	local name=$1 what=$2 t=$SECONDS
	shift 2
	printf '\n\033[1m== %s: %s\033[0m\n' "$name" "$what"
	if ! "$@"; then
		printf '\033[31m== %s failed after %d s\033[0m\n' "$name" $((SECONDS - t))
		exit 1
	fi
	printf -- '-- %s: %d s\n' "$name" $((SECONDS - t))
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
	for c in Xvfb openbox xdotool xclip xsel xterm mousepad import chromium dbus-daemon gnome-keyring-daemon ip nft setxkbmap; do
		command -v "$c" >/dev/null || { echo "missing: $c"; ok=1; }
	done
	[ -x /usr/libexec/at-spi-bus-launcher ] || { echo "missing: at-spi-bus-launcher"; ok=1; }
	[ "$(id -u)" = 0 ] || { echo "missing: root (network namespaces)"; ok=1; }
	if [ $ok = 0 ]; then
		ip netns add "daypass-probe-$$" && ip netns del "daypass-probe-$$" || { echo "missing: network namespaces"; ok=1; }
	fi
	return $ok
}

unit() {
	DAYPASS_REQUIRE_NETNS=1 go test -race -timeout 10m $(go list ./... | grep -v -e '^daypass$')
	go test -race -timeout 5m -tags "$TAGS" .
}

fuzz() {
	local f pkg name
	grep -rlE '^func Fuzz' --include='*_test.go' --exclude-dir=node_modules . | sort | while read -r f; do
		pkg=$(dirname "$f")
		sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$f" | while read -r name; do
			printf '%s %s: ' "$pkg" "$name"
			go test -run '^$' -fuzz "^$name\$" -fuzztime "$FUZZ" "$pkg" >"$results/fuzz.log" 2>&1 || { cat "$results/fuzz.log"; exit 1; }
			sed -nE 's/.*execs: ([0-9]+).*/\1/p' "$results/fuzz.log" | tail -n 1 | sed 's/$/ inputs/'
		done
	done
}

page() { (cd frontend && npm test --silent); }
browser() { (cd frontend && npm run --silent e2e); }
bindings() { DAYPASS_RESULTS=$results go test -tags e2e -count=1 -timeout 5m -v ./test/bindings; }
e2e() { DAYPASS_RESULTS=$results go test -tags e2e -count=1 -timeout 12m -v ./test/e2e; }

run() {
	case $1 in
	programs) stage programs "build everything" programs ;;
	check) stage check "formats, linters, types" check ;;
	cross) stage cross "other systems compile, sizes" cross ;;
	requirements) stage requirements "what the tests need is here" requirements ;;
	unit) stage unit "Go, with the race detector" unit ;;
	fuzz) stage fuzz "every parser for $FUZZ" fuzz ;;
	page) stage page "the page's units" page ;;
	browser) stage browser "every screen in Chromium" browser ;;
	bindings) stage bindings "the page in Chromium against the real console" bindings ;;
	e2e) stage e2e "a whole session with real programs" e2e ;;
	*) echo "unknown stage $1: programs check cross requirements unit fuzz page browser bindings e2e" >&2; exit 2 ;;
	esac
}

if [ $# -gt 0 ]; then
	case " $* " in *" e2e "* | *" check "* | *" bindings "*) run programs ;; esac
	for s in "$@"; do run "$s"; done
else
	for s in requirements programs check cross unit page fuzz browser bindings e2e; do run "$s"; done
fi
printf '\n\033[1mall checks passed in %d s\033[0m\n' $((SECONDS - begin))
