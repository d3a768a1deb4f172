package screentest

import (
	"image"
	"testing"

	"daypass/hostsvc/screen"
)

func TestFakePassesTheSuite(t *testing.T) {
	Run(t, func(*testing.T) Rig {
		f := New(640, 480)
		return Rig{
			Source: f,
			Point:  f.SetPointer,
			Fill: func(r image.Rectangle, colour uint32) {
				f.Draw(func(m *screen.Frame) []image.Rectangle {
					for y := r.Min.Y; y < r.Max.Y; y++ {
						row := m.Row(y, r.Min.X, r.Max.X)
						for i := range row {
							row[i] = colour
						}
					}
					return []image.Rectangle{r}
				})
			},
		}
	})
}
