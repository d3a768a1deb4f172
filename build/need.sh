#!/usr/bin/env bash
# need.sh [screen] GROUP...: check that Go, Node and the Debian packages of the groups (build/packages.txt) are there,
# and install what is missing. Root is asked for only then. With "screen" first: there must be one to open a window on.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m%s\033[0m\n' "$*"; }
die() { printf '\033[31m%s\033[0m\n' "$1" >&2; shift; for l in "$@"; do printf '  %s\n' "$l" >&2; done; exit 1; }
newer() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n1)" = "$1" ]; } # newer MIN HAVE

# What opens a window needs a screen; said before anything is built.
if [ "${1:-}" = screen ]; then
	shift
	[ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || die "There is no screen to show the console on: DISPLAY is not set." \
		"Log in to a graphical session and try again there. Over SSH, connect with ssh -X." \
		"To build without opening it: make build. To see it work without a screen: make e2e"
fi

need_go=$(sed -n 's/^go //p' go.mod)
command -v go >/dev/null || die "Go is missing." "Install Go $need_go or newer from https://go.dev/dl/ and put it on the PATH."
have_go=$(go env GOVERSION); have_go=${have_go#go}
newer "$need_go" "$have_go" || die "Go $have_go is too old: Daypass needs $need_go or newer." "Get it from https://go.dev/dl/"
command -v node >/dev/null && command -v npm >/dev/null || die "Node.js is missing." "Install Node.js 20.19 or newer from https://nodejs.org/"
have_node=$(node --version); have_node=${have_node#v}
newer 20.19.0 "$have_node" || die "Node.js $have_node is too old: Daypass needs 20.19 or newer." "Get it from https://nodejs.org/"

missing=()
for group in "$@"; do
	while IFS=$'\t' read -r g p _; do
		[ "$g" = "$group" ] || continue
		dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
	done < build/packages.txt
done
[ ${#missing[@]} = 0 ] && exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
command -v apt-get >/dev/null || die "These packages are missing: ${missing[*]}" \
	"This system has no apt-get. Install what corresponds to them, then try again."

root=()
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || die "Some Debian packages are missing. Installing them needs administrator rights, and sudo is not here." \
		"As root, run: apt-get update && apt-get install --no-install-recommends ${missing[*]}" "Then try again."
	root=(sudo)
fi
say "Installing Debian packages (a minute or two): ${missing[*]}"
[ ${#root[@]} = 0 ] || sudo -v || die "sudo does not let you install packages." \
	"As root, run: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${root[@]}" apt-get update -q && "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	die "The packages could not be installed." "Check the network and the lines above, then try again, or install them by hand:" "apt-get install ${missing[*]}"
fi
