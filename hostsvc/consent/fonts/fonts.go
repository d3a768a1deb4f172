// Package fonts holds the two fonts of the customer's window and bar, so that
// they look the same on every desktop and need nothing installed. It must not
// know what is written with them.
package fonts

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"io"

	"daypass/hostsvc/consent/ttf"
)

//go:generate go run gen.go

var (
	//go:embed regular.ttf.flate
	regular []byte
	//go:embed bold.ttf.flate
	bold []byte
)

// Regular returns Go Regular.
func Regular() (*ttf.Font, error) { return open(regular) }

// Bold returns Go Bold.
func Bold() (*ttf.Font, error) { return open(bold) }

func open(packed []byte) (*ttf.Font, error) {
	b, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		return nil, err
	}
	return ttf.Parse(b)
}
