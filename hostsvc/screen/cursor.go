package screen

import "image"

// colorCursor makes a cursor of Windows' colour bitmap (0xAARRGGBB, w x h) and
// its mask, which counts where no pixel has an alpha.
func colorCursor(color, mask []uint32, w, h, maskW, maskH int) Cursor {
	c := Cursor{Size: image.Pt(w, h), RGBA: make([]byte, w*h*4)}
	alpha := false
	for _, v := range color[:w*h] {
		alpha = alpha || v>>24 != 0
	}
	for i, v := range color[:w*h] {
		a := byte(v >> 24)
		if !alpha {
			a = 255
			if x, y := i%w, i/w; x < maskW && y < maskH && mask[y*maskW+x]&0xffffff != 0 {
				if a = 0; v&0xffffff != 0 { // inverts what is below
					a, v = 255, 0
				}
			}
		}
		c.RGBA[i*4], c.RGBA[i*4+1], c.RGBA[i*4+2], c.RGBA[i*4+3] = byte(v>>16), byte(v>>8), byte(v), a
	}
	return c
}

// maskCursor makes a cursor of Windows' two masks, AND above XOR, each w x h:
// black, white, transparent, or inverting, which becomes black with a white
// rim, to be seen on everything.
func maskCursor(masks []uint32, w, h int) Cursor {
	c := Cursor{Size: image.Pt(w, h), RGBA: make([]byte, w*h*4)}
	inverts := func(x, y int) bool {
		return x >= 0 && y >= 0 && x < w && y < h && masks[y*w+x]&0xffffff != 0 && masks[(y+h)*w+x]&0xffffff != 0
	}
	for y := range h {
		for x := range w {
			p := c.RGBA[(y*w+x)*4:][:4]
			and, xor := masks[y*w+x]&0xffffff != 0, masks[(y+h)*w+x]&0xffffff != 0
			switch {
			case !and:
				p[3] = 255
				if xor {
					p[0], p[1], p[2] = 255, 255, 255
				}
			case xor:
				p[3] = 255
			case inverts(x-1, y) || inverts(x+1, y) || inverts(x, y-1) || inverts(x, y+1):
				p[0], p[1], p[2], p[3] = 255, 255, 255, 255
			}
		}
	}
	return c
}
