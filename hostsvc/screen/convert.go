package screen

import "image"

// copyRGBA copies m (of r's size) into r of dst.
func copyRGBA(dst *Frame, r image.Rectangle, m *image.RGBA) {
	for y := range r.Dy() {
		row := dst.Row(r.Min.Y+y, r.Min.X, r.Max.X)
		src := m.Pix[y*m.Stride : y*m.Stride+len(row)*4]
		for i := range row {
			p := src[i*4 : i*4+3]
			row[i] = uint32(p[0])<<16 | uint32(p[1])<<8 | uint32(p[2])
		}
	}
}
