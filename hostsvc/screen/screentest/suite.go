package screentest

import (
	"image"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/hostsvc/screen"
)

// Rig is a source under test and the means to change its primary display,
// which shows what the rig paints and nothing else.
type Rig struct {
	Source screen.Source
	// Fill paints r of the primary display in one colour, 0x00RRGGBB, and
	// returns when it is painted.
	Fill func(r image.Rectangle, colour uint32)
	// Point moves the pointer.
	Point func(p image.Point)
}

// patience bounds a wait that must end; it is no measurement.
const patience = 10 * time.Second

// until takes damage until it covers want, and returns all that was taken.
func until(t *testing.T, c screen.Capture, want image.Rectangle) []image.Rectangle {
	t.Helper()
	var all []image.Rectangle
	end := time.After(patience)
	for {
		all = append(all, c.Take().Rects...)
		if covered(want, all) {
			return all
		}
		select {
		case <-c.Ready():
		case <-end:
			t.Fatalf("damage %v never covered %v", all, want)
		}
	}
}

func covered(want image.Rectangle, by []image.Rectangle) bool {
	for y := want.Min.Y; y < want.Max.Y; y++ {
	next:
		for x := want.Min.X; x < want.Max.X; x++ {
			for _, r := range by {
				if image.Pt(x, y).In(r) {
					continue next
				}
			}
			return false
		}
	}
	return true
}

// Run runs the suite; rig is called for each test and cleans up by itself.
func Run(t *testing.T, rig func(t *testing.T) Rig) {
	open := func(t *testing.T) (Rig, screen.Capture) {
		t.Helper()
		r := rig(t)
		c, err := r.Source.Open(0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return r, c
	}
	t.Run("displays", func(t *testing.T) {
		r := rig(t)
		list, err := r.Source.Displays()
		if err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		seen := map[uint32]bool{}
		for i, d := range list {
			if d.ID == 0 || seen[d.ID] || d.Bounds.Empty() || d.Primary != (i == 0) || d.Scale <= 0 {
				t.Errorf("display %d: %+v", i, d)
			}
			seen[d.ID] = true
		}
		if _, err := r.Source.Open(0xfffffff0); fault.KindOf(err) != fault.NotFound {
			t.Errorf("an unknown display: %v", err)
		}
		c, err := r.Source.Open(list[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if c.Display() != list[0] {
			t.Errorf("opened %+v, listed %+v", c.Display(), list[0])
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("first damage is everything", func(t *testing.T) {
		_, c := open(t)
		select {
		case <-c.Ready():
		case <-time.After(patience):
			t.Fatal("not ready")
		}
		d := c.Take()
		if !covered(image.Rectangle{Max: c.Display().Bounds.Size()}, d.Rects) || !d.Cursor || d.Changed || d.State != nil {
			t.Errorf("%+v", d)
		}
	})
	t.Run("a change is told and read", func(t *testing.T) {
		r, c := open(t)
		size := c.Display().Bounds.Size()
		f := screen.NewFrame(size.X, size.Y)
		c.Take()
		if err := c.Grab(f, []image.Rectangle{f.Bounds()}); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			at := image.Rect(7*i+3, 5*i+1, 7*i+30, 5*i+20)
			colour := uint32(0x102030*i+0x123456) & 0xffffff
			r.Fill(at, colour)
			rects := until(t, c, at)
			if err := c.Grab(f, rects[max(0, len(rects)-16):]); err != nil {
				t.Fatal(err)
			}
			if err := c.Grab(f, []image.Rectangle{at}); err != nil {
				t.Fatal(err)
			}
			for y := at.Min.Y; y < at.Max.Y; y++ {
				for x := at.Min.X; x < at.Max.X; x++ {
					if f.Row(y, x, x+1)[0] != colour {
						t.Fatalf("pixel %d,%d is %06x, not %06x", x, y, f.Row(y, x, x+1)[0], colour)
					}
				}
			}
		}
	})
	t.Run("nothing is lost while drawing goes on", func(t *testing.T) {
		r, c := open(t)
		size := c.Display().Bounds.Size()
		f := screen.NewFrame(size.X, size.Y)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 400 {
				x, y := i*37%200, i*53%150
				r.Fill(image.Rect(x, y, x+9+i%40, y+9+i%30), uint32(i*0x10305)&0xffffff)
			}
		}()
		grab := func() {
			if d := c.Take(); len(d.Rects) > 0 {
				if err := c.Grab(f, d.Rects); err != nil {
					t.Fatal(err)
				}
			}
		}
		for drawing := true; drawing; {
			select {
			case <-c.Ready():
			case <-done:
				drawing = false
			}
			grab()
		}
		// Whatever was drawn before this marker is told with or before it.
		mark := image.Rect(size.X-5, size.Y-5, size.X, size.Y)
		r.Fill(mark, 0xabcdef)
		for rest := until(t, c, mark); len(rest) > 0; {
			n := min(len(rest), 16)
			if err := c.Grab(f, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		grab()
		truth := screen.NewFrame(size.X, size.Y)
		if err := c.Grab(truth, []image.Rectangle{truth.Bounds()}); err != nil {
			t.Fatal(err)
		}
		for y := range truth.H {
			if string(truth.Bytes(y, 0, truth.W)) != string(f.Bytes(y, 0, f.W)) {
				t.Fatalf("row %d differs from the display", y)
			}
		}
	})
	t.Run("cursor and pointer", func(t *testing.T) {
		r, c := open(t)
		cur, err := c.Cursor()
		if err != nil {
			t.Fatal(err)
		}
		if len(cur.RGBA) != cur.Size.X*cur.Size.Y*4 || cur.Size != (image.Point{}) && !cur.Hot.In(image.Rectangle{Max: cur.Size}) {
			t.Errorf("cursor %v hot %v with %d bytes", cur.Size, cur.Hot, len(cur.RGBA))
		}
		for _, want := range []image.Point{{10, 20}, {111, 77}} {
			r.Point(want)
			if p, ok, err := c.Pointer(); p != want || !ok || err != nil {
				t.Errorf("pointer %v %v %v, want %v", p, ok, err, want)
			}
		}
	})
	t.Run("closing", func(t *testing.T) {
		r, c := open(t)
		f := screen.NewFrame(c.Display().Bounds.Dx(), c.Display().Bounds.Dy())
		other, err := r.Source.Open(0)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		if c.Grab(f, []image.Rectangle{image.Rect(0, 0, 1, 1)}) == nil {
			t.Error("a closed capture reads")
		}
		if err := other.Grab(f, []image.Rectangle{f.Bounds()}); err != nil {
			t.Errorf("the other capture: %v", err)
		}
		for range 2 {
			if err := r.Source.Close(); err != nil {
				t.Error(err)
			}
		}
		if other.Grab(f, []image.Rectangle{f.Bounds()}) == nil {
			t.Error("a capture of a closed source reads")
		}
		if _, err := r.Source.Displays(); err == nil {
			t.Error("a closed source lists displays")
		}
		if _, err := r.Source.Open(0); err == nil {
			t.Error("a closed source opens")
		}
	})
}
