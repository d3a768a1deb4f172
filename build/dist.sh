#!/usr/bin/env bash
# dist.sh VERSION: archives of what was built, with checksums, in build/bin/dist.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?version}
arch=$(go env GOARCH)
out=build/bin/dist
name=daypass-$version-linux-$arch
rm -rf "$out"
mkdir -p "$out/$name/downloads"
cp build/bin/daypass build/bin/daypass-signaling LICENSE README.md CHANGELOG.md "$out/$name/"
cp build/bin/downloads/* "$out/$name/downloads/"
tar -C "$out" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -czf "$out/$name.tar.gz" "$name"
rm -rf "${out:?}/$name"
(cd "$out" && sha256sum ./*.tar.gz >SHA256SUMS)
ls -l "$out"
