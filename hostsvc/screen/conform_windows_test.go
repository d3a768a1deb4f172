package screen_test

import (
	"image"
	"log/slog"
	"testing"
	"unsafe"

	"daypass/hostsvc/screen"
	"daypass/hostsvc/screen/screentest"

	"go.uber.org/goleak"
	"golang.org/x/sys/windows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	user32    = windows.NewLazySystemDLL("user32.dll")
	gdi32     = windows.NewLazySystemDLL("gdi32.dll")
	getDC     = user32.NewProc("GetDC")
	releaseDC = user32.NewProc("ReleaseDC")
	fillRect  = user32.NewProc("FillRect")
	setPos    = user32.NewProc("SetCursorPos")
	brush     = gdi32.NewProc("CreateSolidBrush")
	deleteObj = gdi32.NewProc("DeleteObject")
	flush     = gdi32.NewProc("GdiFlush")
)

// fill paints on the screen itself, above all windows.
func fill(t testing.TB) func(image.Rectangle, uint32) {
	return func(r image.Rectangle, colour uint32) {
		dc, _, err := getDC.Call(0)
		if dc == 0 {
			t.Error(err)
			return
		}
		defer releaseDC.Call(0, dc)
		b, _, _ := brush.Call(uintptr(colour>>16&0xff | colour&0xff00 | colour&0xff<<16))
		defer deleteObj.Call(b)
		at := [4]int32{int32(r.Min.X), int32(r.Min.Y), int32(r.Max.X), int32(r.Max.Y)}
		if ok, _, err := fillRect.Call(dc, uintptr(unsafe.Pointer(&at)), b); ok == 0 {
			t.Error(err)
		}
		flush.Call()
	}
}

func point(t testing.TB) func(image.Point) {
	return func(p image.Point) {
		if ok, _, err := setPos.Call(uintptr(p.X), uintptr(p.Y)); ok == 0 {
			t.Error(err)
		}
	}
}

func open(t testing.TB) screen.Source {
	s, err := screen.Default(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func rig(t *testing.T, s screen.Source) screentest.Rig {
	paint := fill(t)
	paint(image.Rect(0, 0, 8000, 8000), 0) // what an earlier rig left
	return screentest.Rig{Source: s, Fill: paint, Point: point(t)}
}

func TestWindowsPassesTheSuite(t *testing.T) {
	screentest.Run(t, func(t *testing.T) screentest.Rig {
		return rig(t, open(t))
	})
}

func TestWindowsFloorPassesTheSuite(t *testing.T) {
	screentest.Run(t, func(t *testing.T) screentest.Rig {
		s := open(t)
		screen.WithoutDuplication(s)
		return rig(t, s)
	})
}

func BenchmarkGDI(b *testing.B) {
	list, err := open(b).Displays()
	if err != nil {
		b.Fatal(err)
	}
	read, end, err := screen.ReadBy(list[0])
	if err != nil {
		b.Fatal(err)
	}
	defer end()
	f := screen.NewFrame(list[0].Bounds.Dx(), list[0].Bounds.Dy())
	for name, r := range map[string][4]int{"256x64": {100, 100, 356, 164}, "all": {0, 0, f.W, f.H}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := read(f, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
