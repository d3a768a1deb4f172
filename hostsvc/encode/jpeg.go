package encode

import (
	"image"
	"image/jpeg"

	"daypass/backend/wire"
	"daypass/hostsvc/screen"
)

// jpegCodec is the floor of motion codecs: baseline JPEG 4:2:0, pure Go.
type jpegCodec struct {
	img image.YCbCr
}

func (*jpegCodec) ID() wire.PictureCodec { return wire.PictureJPEG }

func (j *jpegCodec) Append(dst []byte, f *screen.Frame, r image.Rectangle, quality int) ([]byte, error) {
	j.convert(f, r)
	s := sink{b: dst}
	err := jpeg.Encode(&s, &j.img, &jpeg.Options{Quality: quality})
	return s.b, err
}

// convert fills img from r: JFIF (BT.601, full range), chroma averaged over
// 2x2 pixels. image/jpeg does the same from RGBA at twice the cost.
func (j *jpegCodec) convert(f *screen.Frame, r image.Rectangle) {
	w, h := r.Dx(), r.Dy()
	cw, ch := (w+1)/2, (h+1)/2
	n := w*h + 2*cw*ch
	if cap(j.img.Y) < n {
		j.img.Y = make([]byte, n)
	}
	buf := j.img.Y[:n]
	j.img = image.YCbCr{
		Y: buf[: w*h : n], Cb: buf[w*h : w*h+cw*ch], Cr: buf[w*h+cw*ch:],
		YStride: w, CStride: cw, SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: image.Rect(0, 0, w, h),
	}
	for y := 0; y < h; y += 2 {
		a := f.Row(r.Min.Y+y, r.Min.X, r.Max.X)
		b := a
		y1 := y
		if y+1 < h {
			b = f.Row(r.Min.Y+y+1, r.Min.X, r.Max.X)
			y1 = y + 1
		}
		ya, yb := j.img.Y[y*w:y*w+w], j.img.Y[y1*w:y1*w+w]
		cb, cr := j.img.Cb[y/2*cw:y/2*cw+cw], j.img.Cr[y/2*cw:y/2*cw+cw]
		for x := 0; x < w; x += 2 {
			x1 := min(x+1, w-1)
			p0, p1, p2, p3 := a[x], a[x1], b[x], b[x1]
			ya[x], ya[x1], yb[x], yb[x1] = luma(p0), luma(p1), luma(p2), luma(p3)
			rr := int32((p0>>16 + p1>>16 + p2>>16 + p3>>16) & 0xfff)
			gg := int32((p0>>8&255 + p1>>8&255 + p2>>8&255 + p3>>8&255))
			bb := int32((p0&255 + p1&255 + p2&255 + p3&255))
			cb[x/2] = clamp((-11056*rr - 21712*gg + 32768*bb + 257<<17 - 1) >> 18)
			cr[x/2] = clamp((32768*rr - 27440*gg - 5328*bb + 257<<17 - 1) >> 18)
		}
	}
}

func luma(p uint32) byte {
	return byte((19595*(p>>16&255) + 38470*(p>>8&255) + 7471*(p&255) + 1<<15) >> 16)
}

func clamp(v int32) byte {
	if v < 0 {
		return 0
	}
	return byte(min(v, 255))
}
