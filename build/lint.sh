#!/usr/bin/env bash
# lint.sh: golangci-lint, built from the version pinned in build/tools/go.mod (a module of its own, so that the linter's
# dependencies are not Daypass's) and kept in build/cache.
set -euo pipefail
cd "$(dirname "$0")/.."
want=$(sha256sum build/tools/go.mod | cut -c1-16)
bin=$PWD/build/cache/golangci-lint-$want
if [ ! -x "$bin" ]; then
	echo "building the linter (once, about two minutes)"
	mkdir -p build/cache
	(cd build/tools && go build -o "$bin" github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
fi
# What is released first, then what only tests and the laboratory build.
for tags in desktop,production,webkit2_41 desktop,production,webkit2_41,lab,e2e; do
	"$bin" run --allow-parallel-runners --build-tags "$tags" ./...
done
