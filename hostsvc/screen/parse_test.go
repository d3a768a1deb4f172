//go:build linux

package screen

import (
	"image"
	"math/rand/v2"
	"testing"
)

func TestAddCoversAllAndStaysShort(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		var list, all []image.Rectangle
		for range 60 {
			p := image.Pt(r.IntN(1900), r.IntN(1000))
			x := image.Rectangle{Min: p, Max: p.Add(image.Pt(1+r.IntN(90), 1+r.IntN(90)))}
			all = append(all, x)
			list = Add(list, x)
		}
		if len(list) > maxRects {
			t.Fatalf("%d rectangles", len(list))
		}
		for _, a := range all {
			// A merged list keeps each rectangle whole in one entry.
			in := false
			for _, l := range list {
				in = in || a.In(l)
			}
			if !in {
				t.Fatalf("%v is in none of %v", a, list)
			}
		}
	}
}
