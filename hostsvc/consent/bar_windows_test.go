package consent

import (
	"image"
	"testing"
	"time"

	"golang.org/x/sys/windows/registry"
)

// bar waits for the bar and tells where it is.
func (d *desk) bar() (hwnd, image.Rectangle) {
	d.t.Helper()
	d.find(english.BarName)
	h := findWindow(english.BarName)
	return h, h.bounds()
}

// above is what a click would meet in the middle of r.
func above(r image.Rectangle) hwnd {
	at := r.Min.Add(r.Size().Div(2))
	return hwnd(call(procAncestor, call(procWindowFromPoint, uintptr(uint32(at.X))|uintptr(uint32(at.Y))<<32), gaRoot))
}

// TestBarStays: other windows over the bar do not hide it for long, and nobody
// can take it away, move it or close it.
func TestBarStays(t *testing.T) {
	d := startDesk(t, "")
	w := d.window(KindNone)
	w.say("watching")
	d.wait("the bar", func() bool { return w.health().Shown })
	h, r := d.bar()
	// a window of another program that is on top as well, over all of it
	l, err := startLoop(newPresenter("en"), testLog(t), func(*loop) error {
		cover := newWindow(className, "cover", wsPopup|wsVisible, wsExTopmost|wsExTool, 0, 0, nil)
		top := ^uintptr(0)
		call(procSetWindowPos, uintptr(cover), top, 0, 0, 1200, 300, 0x40)
		return nil
	}, func() { call(procDestroyWindow, uintptr(findWindow("cover"))) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.quit()
	d.wait("the bar over a window that is on top", func() bool { return above(r) == h && w.health().Shown })
	call(procShowWindow, uintptr(h), swHide)
	d.wait("the bar after it was hidden", func() bool { return h.visible() && w.health().Shown })
	h.place(r.Add(image.Pt(500, 600)))
	d.wait("the bar in its place", func() bool { return h.bounds() == r && w.health().Shown })
	call(procPostMessage, uintptr(h), wmClose, 0, 0)
	h.send(wmClose, 0, 0)
	d.wait("the bar after it was closed", func() bool { return h.visible() && w.health().Shown })
	w.close()
}

// TestLook: what the system's settings ask for is taken over, in the window
// that is open, too.
func TestLook(t *testing.T) {
	set := func(key, name string, v uint32) {
		t.Helper()
		k, _, err := registry.CreateKey(registry.CURRENT_USER, key, registry.SET_VALUE)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		if err := k.SetDWordValue(name, v); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if k, err := registry.OpenKey(registry.CURRENT_USER, key, registry.SET_VALUE); err == nil {
				k.DeleteValue(name)
				k.Close()
			}
		})
	}
	v, err := Open(KindAuto, "en", testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	v.Show(states(time.Now())["code"])
	w := v.(*winView)
	see := func() (a look, size image.Point, code string) {
		ready := make(chan struct{})
		w.l.do(func() {
			a, size, code = *w.look, w.win.client(), w.input().Code
			close(ready)
		})
		<-ready
		return a, size, code
	}
	type1 := func() {
		ready := make(chan struct{})
		w.l.do(func() { w.code[0].h.setText("4711"); close(ready) })
		<-ready
	}
	type1()
	a, small, _ := see()
	if a.dark || a.contrast || a.c != light {
		t.Errorf("%+v", a)
	}
	set(`Software\Microsoft\Windows\CurrentVersion\Themes\Personalize`, "AppsUseLightTheme", 0)
	set(`Software\Microsoft\Accessibility`, "TextScaleFactor", 150)
	w.win.send(wmSettingChange, 0, 0)
	deskOf(t).wait("the dark window", func() bool { a, _, _ := see(); return a.dark })
	a, large, code := see()
	if a.c != dark || a.k < 1.45 || large.X < small.X*14/10 || code != "4711" {
		t.Errorf("dark %v k %v %v → %v code %q", a.dark, a.k, small, large, code)
	}
	// high contrast: the theme's colours only. Wine has no such theme.
	old := highContrast
	defer func() { highContrast = old }()
	highContrast = func() bool { return true }
	w.win.send(wmSysColor, 0, 0)
	deskOf(t).wait("the window in high contrast", func() bool { a, _, _ := see(); return a.contrast })
	if a, _, _ := see(); a.c.Raised != a.c.Paper || a.c.Ink == a.c.Paper || a.c.Danger == light.Danger {
		t.Errorf("%+v", a.c)
	}
	v.Close() // before highContrast is as it was: its thread reads it
}

// deskOf is a desk to wait with only.
func deskOf(t *testing.T) *desk { return &desk{t: t} }

// TestNothingIsPaintedTwice: a Model that looks the same changes nothing on the
// screen: whoever captures it would send it.
func TestNothingIsPaintedTwice(t *testing.T) {
	v, err := Open(KindAuto, "en", testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	w := v.(*winView)
	procUpdate := user32.NewProc("GetUpdateRect")
	m := states(time.Now())["watching"]
	v.Show(m)
	on := func(f func()) {
		done := make(chan struct{})
		w.l.do(func() { f(); close(done) })
		<-done
	}
	for range 3 {
		on(func() {})
	}
	on(func() { call(procRedraw, uintptr(w.win), 0, 0, 0x100|0x80) }) // RDW_UPDATENOW | RDW_ALLCHILDREN
	var found []string
	on(func() {
		v.Show(m)
		w.render()
		if call(procUpdate, uintptr(w.win), 0, 0) != 0 {
			found = append(found, "the window")
		}
		if call(procUpdate, uintptr(w.body), 0, 0) != 0 {
			found = append(found, "the page")
		}
		for h, c := range w.ctls {
			if call(procUpdate, uintptr(h), 0, 0) != 0 {
				found = append(found, c.id+" "+h.text())
			}
		}
	})
	if len(found) != 0 {
		t.Errorf("painted again: %q", found)
	}
}
