#!/usr/bin/env bash
# reproduce.sh: builds what is shipped from the last commit in two folders of different names, the second time with an empty
# compiler cache (several minutes), and compares the bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(git describe --tags --always)
work=$(mktemp -d)
trap 'git worktree remove --force "$work/one" 2>/dev/null || true; git worktree remove --force "$work/another-folder" 2>/dev/null || true; rm -rf "$work"' EXIT
for d in one another-folder; do
	git worktree add -q --detach "$work/$d" HEAD
	mkdir -p "$work/$d/frontend/node_modules" "$work/$d/frontend/dist"
	cp -r frontend/dist/. "$work/$d/frontend/dist/" # npm's part is not what is compared
	[ $d = one ] || export GOCACHE=$work/cache
	(cd "$work/$d" && touch frontend/node_modules/.installed && find frontend/dist -exec touch {} + && make --no-print-directory VERSION="$version" host && build/windows.sh "$version")
done
for f in downloads/daypass-host-linux-amd64 downloads/daypass-host-linux-arm64 windows/daypass-host-windows-amd64.exe windows/daypass-host-windows-arm64.exe windows/daypass.exe; do
	cmp "$work/one/build/bin/$f" "$work/another-folder/build/bin/$f" || { echo "$f differs between two builds" >&2; exit 1; }
	sha256sum "$work/one/build/bin/$f" | sed "s# .*/# #"
done
echo "two builds of $version are the same, byte for byte"
