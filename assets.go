//go:build production || dev

package main

import "embed"

// The page, as `make frontend` built it. Builds without the tags that make a
// window (go vet, tests of other packages on a fresh clone) have none, so that
// they do not need it to be there; see assets_none.go.
//
//go:embed all:frontend/dist
var dist embed.FS
