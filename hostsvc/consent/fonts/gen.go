//go:build ignore

// Command gen writes the fonts of the window and the bar: Go Regular and Go
// Bold (golang.org/x/image/font/gofont, BSD licence) with all their characters,
// without the instructions that only a hinting rasterizer reads.
package main

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"log"
	"os"
	"slices"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

var be = binary.BigEndian

func main() {
	for name, b := range map[string][]byte{"regular": goregular.TTF, "bold": gobold.TTF} {
		var out bytes.Buffer
		w, err := flate.NewWriter(&out, flate.BestCompression)
		if err == nil {
			_, err = w.Write(strip(b))
		}
		if err == nil {
			err = w.Close()
		}
		if err == nil {
			err = os.WriteFile(name+".ttf.flate", out.Bytes(), 0o644)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

// strip keeps what package ttf reads. The fonts have simple glyphs alone and
// loca of 16 bits.
func strip(b []byte) []byte {
	tables := map[string][]byte{}
	for i := range int(be.Uint16(b[4:])) {
		e := b[12+16*i:]
		at, n := be.Uint32(e[8:]), be.Uint32(e[12:])
		tables[string(e[:4])] = b[at : at+n]
	}
	loca, glyf := tables["loca"], tables["glyf"]
	var newLoca, newGlyf []byte
	for i := range int(be.Uint16(tables["maxp"][4:])) {
		newLoca = be.AppendUint16(newLoca, uint16(len(newGlyf)/2))
		g := glyf[2*int(be.Uint16(loca[2*i:])) : 2*int(be.Uint16(loca[2*i+2:]))]
		if len(g) == 0 {
			continue
		}
		contours := int(int16(be.Uint16(g)))
		if contours < 0 {
			log.Fatal("a glyph of glyphs")
		}
		head := 10 + 2*contours
		newGlyf = append(newGlyf, g[:head]...)
		newGlyf = append(newGlyf, 0, 0) // no instructions
		newGlyf = append(newGlyf, g[head+2+int(be.Uint16(g[head:])):]...)
		if len(newGlyf)%2 == 1 {
			newGlyf = append(newGlyf, 0)
		}
	}
	newLoca = be.AppendUint16(newLoca, uint16(len(newGlyf)/2))
	tables["loca"], tables["glyf"] = newLoca, newGlyf
	names := []string{"cmap", "glyf", "head", "hhea", "hmtx", "loca", "maxp"}
	slices.Sort(names)
	out := append([]byte{0, 1, 0, 0}, be.AppendUint16(nil, uint16(len(names)))...)
	out = append(out, make([]byte, 6)...)
	at := 12 + 16*len(names)
	var body []byte
	for _, n := range names {
		out = append(out, n...)
		out = be.AppendUint32(out, 0) // nobody checks the sum
		out = be.AppendUint32(out, uint32(at+len(body)))
		out = be.AppendUint32(out, uint32(len(tables[n])))
		body = append(body, tables[n]...)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
	}
	return append(out, body...)
}
