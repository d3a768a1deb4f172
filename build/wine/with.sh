#!/usr/bin/env bash
# with.sh COMMAND...: a Windows desktop by Wine on a display of its own, for as long as COMMAND runs. COMMAND finds there
#   GOTMPDIR    a folder that both sides see, for programs and files
#   DISPLAY     the X display that shows the desktop (WINE_SIZE, 1920x1080)
#   build/wine/run, build/wine/exec    run programs on it
#   DAYPASS_HANDS    where build/wine/hands listens: a person's mouse and keys
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
WINE_ROOT=$("$here/setup.sh")
WINE_BIND=$(mktemp -d "${TMPDIR:-/tmp}/daypass-wine.XXXXXX")
WINEPREFIX=$WINE_BIND/prefix
GOTMPDIR=$WINE_BIND/tmp
size=${WINE_SIZE:-1920x1080}
export WINE_ROOT WINE_BIND WINEPREFIX GOTMPDIR
mkdir -p "$GOTMPDIR"
pids=()
end() {
	local rc=$?
	trap - EXIT INT TERM
	"$here/run" wineserver -k >/dev/null 2>&1 || true
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
	wait
	rm -rf --one-file-system "$WINE_BIND"
	exit $rc
}
trap end EXIT
trap 'exit 130' INT TERM
Xvfb -displayfd 3 -screen 0 "${size}x24" -nolisten tcp 3>"$WINE_BIND/display" >/dev/null 2>"$WINE_BIND/xvfb.log" &
pids+=($!)
for _ in $(seq 200); do
	[ "$(wc -l <"$WINE_BIND/display")" = 1 ] && break
	kill -0 "${pids[0]}" 2>/dev/null || { cat "$WINE_BIND/xvfb.log" >&2; exit 1; }
	sleep 0.05
done
DISPLAY=:$(cat "$WINE_BIND/display")
export DISPLAY
# A prefix made once is copied: making it takes longer than most tests.
template=$WINE_ROOT/prefix
(
	flock 9
	if [ ! -e "$template/.ready" ]; then
		rm -rf "$template"
		"$here/run" wineboot -i >/dev/null 2>&1
		"$here/run" wineserver -w # or services time out
		mv "$WINEPREFIX" "$template"
		touch "$template/.ready"
	fi
) 9>"$WINE_ROOT.lock"
cp -a "$template" "$WINEPREFIX"
# The desktop; without it Wine ends services when the last window closes.
"$here/run" wine explorer "/desktop=Default,$size" >/dev/null 2>&1 &
pids+=($!)
for _ in $(seq 300); do
	DISPLAY=$DISPLAY xwininfo -root -tree 2>/dev/null | grep -q '"Default - Wine desktop"\|explorer.exe' && break
	sleep 0.1
done
# Hands that Wine takes for hardware, for tests of what must not be pressed by programs.
(cd "$here/../.." && GOOS= GOARCH= CGO_ENABLED=0 go build -o "$WINE_BIND/hands" ./build/wine/hands)
"$WINE_BIND/hands" "$WINE_BIND/hands.address" &
pids+=($!)
for _ in $(seq 100); do
	[ -s "$WINE_BIND/hands.address" ] && break
	sleep 0.05
done
DAYPASS_HANDS=$(cat "$WINE_BIND/hands.address")
export DAYPASS_HANDS
"$@"
