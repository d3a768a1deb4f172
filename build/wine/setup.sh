#!/usr/bin/env bash
# setup.sh: makes the Wine 10 in which the Windows programs are tested, once, and prints its folder. Root. About 80 s the first
# time. It is a Debian 13 (trixie) of its own: Debian 12's Wine 8 cannot start Go programs, and trixie's does not install beside it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${DAYPASS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/daypass}
made=$(cat "$here/setup.sh" "$here/patch/main.go" | sha256sum | cut -c1-12) # another recipe is another folder
dir=$cache/wine-$made
mkdir -p "$cache"
exec 9>"$cache/wine.lock"
flock 9
if [ -e "$dir/.ready" ]; then
	echo "$dir"
	exit 0
fi
[ "$(id -u)" = 0 ] || { echo "Making the Wine for the tests needs root. Run: sudo env PATH=\"\$PATH\" make test" >&2; exit 1; }
for c in debootstrap; do
	command -v "$c" >/dev/null || { echo "missing: $c (apt-get install $c)" >&2; exit 1; }
done
# The mirror that this machine's own apt uses.
mirror=$(find /etc/apt -name '*.sources' -o -name 'sources.list' -o -name '*.list' | sort | xargs awk '
	/^URIs:/ { print $2; exit }
	/^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; exit } }')
[ -n "$mirror" ] || { echo "No Debian mirror is named in /etc/apt." >&2; exit 1; }
echo "making the Wine for the tests (once, a minute or two)" >&2
new=$(mktemp -d "$cache/wine-new.XXXXXX")
log=$(mktemp)
cleanup() {
	umount "$new/proc" 2>/dev/null || true
	rm -rf --one-file-system "$new" "$log"
}
trap cleanup EXIT
fail() {
	tail -n 20 "$log" >&2
	echo "The Wine for the tests could not be made: $1" >&2
	exit 1
}
debootstrap --variant=minbase --include=ca-certificates trixie "$new" "$mirror" >"$log" 2>&1 || fail "debootstrap"
mount -t proc proc "$new/proc"
chroot "$new" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends wine wine64 fonts-dejavu-core >"$log" 2>&1 || fail "installing wine"
umount "$new/proc"
dll=$new/usr/lib/x86_64-linux-gnu/wine/x86_64-windows
(cd "$here/../.." && go run ./build/wine/patch iphlpapi "$dll/iphlpapi.dll" && go run ./build/wine/patch ws2_32 "$dll/ws2_32.dll") >"$log" 2>&1 || fail "patching it for Go"
rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/* "$new"/usr/share/{doc,locale,man}
touch "$new/.ready"
chmod 755 "$new"
mv "$new" "$dir"
for old in "$cache"/wine-*/; do # of earlier recipes
	[ "${old%/}" = "$dir" ] || [ "${old%/}" = "$new" ] || rm -rf --one-file-system "${old%/}"
done
echo "$dir"
