#!/usr/bin/env bash
# make.sh VERSION: icon, manifest and version of the Windows programs as *.syso, which the Go compiler links by itself.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1:?version}
# Windows wants four numbers: those of the tag, and how many commits have been made since.
numbers=$(printf '%s\n' "$version" | sed -nE 's/^v?([0-9]+)\.([0-9]+)\.([0-9]+)(-([0-9]+)-g[0-9a-f]+)?.*$/\1.\2.\3.\5/p' | sed 's/\.$/.0/')
bin=$PWD/build/cache/go-winres-$(sha256sum build/tools/go.mod | cut -c1-16)
if [ ! -x "$bin" ]; then
	mkdir -p build/cache
	(cd build/tools && go build -o "$bin" github.com/tc-hib/go-winres)
fi
make() { # FOLDER FILE ARCHITECTURES
	rm -f "$1"/rsrc_windows_*.syso
	"$bin" make --in "build/winres/$2.json" --out "$1/rsrc" --arch "$3" --product-version "${numbers:-0.0.0.0}" --file-version "${numbers:-0.0.0.0}"
}
[ build/cache/daypass.ico -nt build/appicon.png ] || convert build/appicon.png -define icon:auto-resize=256,64,48,32,16 build/cache/daypass.ico
make hostsvc host amd64,arm64
make . console amd64
