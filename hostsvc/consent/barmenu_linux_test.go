package consent

import (
	"os"
	"path/filepath"
	"testing"

	"daypass/backend/grant"
)

// The switches are in the bar, too: by mouse and by keyboard, and Stop with
// them.
func TestBarSwitches(t *testing.T) {
	d := startDesk(t, "1280x800")
	w := d.window(KindX11, "DAYPASS_CONSENT_XTEST=1")
	w.say("watching")
	d.wait("the bar", func() bool { return w.health().Shown })
	_, bx, by, bw, bh := d.find(english.BarName)
	height := func(want func(h int) bool) func() bool {
		return func() bool { _, _, _, _, h := d.find(english.BarName); return want(h) }
	}
	d.click(bx+bw-20, by+bh/2)
	d.wait("the menu", height(func(h int) bool { return h > bh+3*barRow }))
	d.wait("the bar is seen", func() bool { return w.health().Shown })
	expect := func(kind ActionKind, right grant.Rights, on bool) {
		t.Helper()
		if a := w.action(); a.Kind != kind || a.Rights != right || a.On != on {
			t.Errorf("%+v", a)
		}
	}
	if dir := os.Getenv("DAYPASS_SHOTS"); dir != "" {
		d.run("import", "-window", "root", filepath.Join(dir, "bar-menu.png"))
	}
	d.key("Down")
	d.key("space")
	expect(SetRight, grant.Control, false)
	d.key("Tab")
	d.key("Return")
	expect(SetRight, grant.Clipboard, false)
	d.key("Up")
	d.key("Up")
	d.key("Up") // past the first: Stop
	d.key("Return")
	expect(Stop, 0, false)
	d.click(bx+60, by+bh+barRow/2)
	expect(SetRight, grant.View, false)
	expect(SetRight, grant.Control, false)
	d.key("Escape")
	d.wait("the bar alone", height(func(h int) bool { return h == bh }))
	d.click(bx+bw-20, by+bh/2)
	d.wait("the menu", height(func(h int) bool { return h > bh+3*barRow }))
	d.click(900, 780) // somewhere else, on nothing
	id, _, _, _, _ := d.find(english.WindowTitle)
	d.activate(id)
	d.wait("the bar alone", height(func(h int) bool { return h == bh }))
	w.close()
}
