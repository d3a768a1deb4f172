#!/usr/bin/env bash
# run.sh [FLAGS]: the benchmark against TigerVNC and of an idle session; see main.go. Root.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p test/results
go build -o build/bin/daypass-bench ./test/bench
exec build/bin/daypass-bench "$@"
