//go:build linux || freebsd || openbsd || netbsd

package input

import (
	"testing"

	"golang.org/x/text/encoding/charmap"
)

func TestLegacyTables(t *testing.T) {
	for name, x := range map[string]struct {
		table []rune
		of    *charmap.Charmap
	}{"Latin-2": {latin2, charmap.ISO8859_2}, "Latin-3": {latin3, charmap.ISO8859_3}, "Latin-4": {latin4, charmap.ISO8859_4}, "KOI8-R": {koi8r, charmap.KOI8R}} {
		if len(x.table) != 96 {
			t.Fatalf("%s has %d characters", name, len(x.table))
		}
		for b := 0xa0; b <= 0xff; b++ {
			want := x.of.DecodeByte(byte(b))
			if want == '\ufffd' {
				want = 0
			}
			if got := high(x.table, byte(b)); got != want {
				t.Errorf("%s %#x: %U, want %U", name, b, got, want)
			}
		}
	}
}
