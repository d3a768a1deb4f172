#!/usr/bin/env bash
# windows.sh VERSION: the Windows programs in build/bin/windows, not signed: host for amd64 and arm64, console for amd64.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?version}
out=build/bin/windows
mkdir -p "$out"
build/winres/make.sh "$version"
echo "building the Windows programs (the console takes a few minutes the first time)"
make --no-print-directory VERSION="$version" windows-host
ld="-s -w -H windowsgui -X daypass/backend/version.Version=$version"
# The linker of mingw writes the time into the file unless it is told not to.
CGO_ENABLED=1 CC=x86_64-w64-mingw32-gcc GOOS=windows GOARCH=amd64 go build -trimpath -tags desktop,production \
	-ldflags "$ld -extldflags '-static -Wl,--no-insert-timestamp'" -o "$out/daypass.exe" .
cp build/cache/daypass.ico "$out/daypass.ico"
size=$(stat -c %s "$out/daypass-host-windows-amd64.exe")
[ "$size" -le $((12 << 20)) ] || { echo "the customer's program for Windows has $size bytes, more than 12 MB" >&2; exit 1; }
