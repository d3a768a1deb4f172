package screen

import (
	"hash/fnv"
	"image"
	"slices"
)

// tile is the side of the areas in which changed pixels are told.
const tile = 64

// copyChanged copies r of src into dst and returns where they differed, by
// tiles of the display cut down to the rows and columns that did. Pixels' upper
// bytes, which a system may leave undefined, must be zero in both.
func copyChanged(dst, src *Frame, r image.Rectangle) []image.Rectangle {
	r = r.Intersect(dst.Bounds())
	var out []image.Rectangle
	for y0 := r.Min.Y; y0 < r.Max.Y; y0 = (y0/tile + 1) * tile {
		y1 := min((y0/tile+1)*tile, r.Max.Y)
		for x0 := r.Min.X; x0 < r.Max.X; x0 = (x0/tile + 1) * tile {
			x1 := min((x0/tile+1)*tile, r.Max.X)
			top, bottom, left, right := -1, 0, x1, x0
			for y := y0; y < y1; y++ {
				if string(src.Bytes(y, x0, x1)) == string(dst.Bytes(y, x0, x1)) {
					continue
				}
				if top < 0 {
					top = y
				}
				bottom = y + 1
				from, to := src.Row(y, x0, x1), dst.Row(y, x0, x1)
				i := 0
				for from[i] == to[i] {
					i++
				}
				j := len(from)
				for from[j-1] == to[j-1] {
					j--
				}
				left, right = min(left, x0+i), max(right, x0+j)
				copy(to[i:j], from[i:j])
			}
			if top >= 0 {
				out = append(out, image.Rect(left, top, right, bottom))
			}
		}
	}
	return out
}

// idOf makes a stable number of a display's name.
func idOf(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	if id := h.Sum32(); id != 0 && id < 0xfffffff0 {
		return id
	}
	return 1
}

// primaryFirst puts the primary display first and makes sure that there is one.
func primaryFirst(list []Display) []Display {
	p := max(slices.IndexFunc(list, func(d Display) bool { return d.Primary }), 0)
	for i := range list {
		list[i].Primary = i == p
	}
	list[0], list[p] = list[p], list[0]
	return list
}
