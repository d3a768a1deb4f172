package screen

import "image"

// maxRects is how many rectangles one Take tells at most; more are merged.
const maxRects = 16

// slack is the area in pixels that merging two rectangles may waste: reading
// and comparing it costs less than another request.
const slack = 4096

func area(r image.Rectangle) int { return r.Dx() * r.Dy() }

// Add adds r to a short list of rectangles, merging what is near, so that the
// list keeps covering everything and has at most 16 entries.
func Add(list []image.Rectangle, r image.Rectangle) []image.Rectangle {
	if r.Empty() {
		return list
	}
	for i := 0; i < len(list); {
		a := list[i]
		if r.In(a) {
			return list
		}
		if u := a.Union(r); area(u) <= area(a)+area(r)+slack {
			list[i] = list[len(list)-1]
			list = list[:len(list)-1]
			r, i = u, 0
			continue
		}
		i++
	}
	list = append(list, r)
	if len(list) <= maxRects {
		return list
	}
	bi, bj, best := 0, 1, int(^uint(0)>>1)
	for i := range list {
		for j := i + 1; j < len(list); j++ {
			if w := area(list[i].Union(list[j])) - area(list[i]) - area(list[j]); w < best {
				bi, bj, best = i, j, w
			}
		}
	}
	u := list[bi].Union(list[bj])
	list[bj] = list[len(list)-1]
	list = list[:len(list)-1]
	list[bi] = list[len(list)-1]
	list = list[:len(list)-1]
	return Add(list, u)
}
