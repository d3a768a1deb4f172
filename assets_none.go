//go:build !production && !dev

package main

import "embed"

// dist is empty: this build opens no window (Wails says so when it is started).
var dist embed.FS
