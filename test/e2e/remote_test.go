//go:build e2e

package e2e

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daypass/backend/wire"
	"daypass/test/desk"
)

// The customer's desktop: larger than the technician's window, so that it is
// shrunk to fit or moved about in.
const deskW, deskH = 2400, 900

// remote is one session with Remote Control open, which all checks of this file
// share: the release console in its window, the customer's program headless.
type remote struct {
	*technician
	t     *testing.T
	bin   programs
	lab   *network
	cust  *desk.Desk
	notes string          // the file in the customer's editor
	box   image.Rectangle // of the picture in the window, while it cannot have moved
	say   io.WriteCloser
	host  *desk.Proc
}

// TestRemoteControl is what a technician does in Remote Control, by hand: keys
// of two layouts, every mouse button, clipboard, displays, a cable that is
// pulled.
func TestRemoteControl(t *testing.T) {
	r := newRemote(t)
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"keyboard", r.keyboard},
		{"oddities", r.oddities},
		{"letGo", r.letGo},
		{"mouse", r.mouse},
		{"cursor", r.cursor},
		{"clipboard", r.clipboard},
		{"displays", r.displays},
		{"polls", r.polls},
		{"end", r.end},
	} {
		if only := os.Getenv("DAYPASS_STEP"); only != "" && !strings.Contains(only, step.name) {
			continue
		}
		began := time.Now()
		step.do()
		t.Logf("%s: %.1f s", step.name, time.Since(began).Seconds())
	}
}

func newRemote(t *testing.T) *remote {
	r := &remote{t: t, bin: newPrograms(t), lab: newNetwork(t, "console", "host", "server")}
	address, acc := r.bin.serve(t, r.lab, "server")
	r.technician = &technician{t: t, desk: desk.New(t, desk.Options{Name: "hand", Width: 1300, Height: 860, Bus: true, Prefix: r.lab.in("console")})}
	r.eyes = r.desk.Eyes()
	r.cust = desk.New(t, desk.Options{Name: "far", Width: deskW, Height: deskH, Bus: true, Prefix: r.lab.in("host")})
	r.notes = filepath.Join(r.cust.Home, "notes.txt")
	if err := os.WriteFile(r.notes, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.cust.Start("mousepad", "--disable-server", r.notes)
	r.cust.Until("the customer's editor", 30*time.Second, func() bool { return r.cust.Focus("notes.txt") })
	r.cust.Output("xdotool", "search", "--onlyvisible", "--name", "notes.txt", "windowmove", "--sync", "100", "200", "windowsize", "--sync", "800", "500")

	r.start(r.bin.console)
	r.signIn(address, acc)
	link := r.invite()
	in, say := io.Pipe()
	t.Cleanup(func() { say.Close() })
	r.say = say
	r.host = r.cust.StartWith(nil, in, nil, r.bin.host, "run", "--headless")
	fmt.Fprintln(say, link)
	fmt.Fprintln(say, r.code())
	r.eyes.Wait(app, "", "Active until", 30*time.Second)
	r.openRemote()
	return r
}

// press is the technician's; the picture may move by it.
func (r *remote) press(role, name string) {
	r.t.Helper()
	r.box = image.Rectangle{}
	r.technician.press(role, name)
}

// released waits until nothing is pressed on the customer's computer.
func (r *remote) released(when string) {
	r.t.Helper()
	r.cust.Until("nothing to be held "+when, 10*time.Second, func() bool { return r.cust.Held() == "" })
}

// place is where a point of the customer's screen is on the technician's, while
// the picture is shrunk to fit.
func (r *remote) place(x, y int) image.Point {
	r.t.Helper()
	s := r.cust.Size()
	w, h := s.X, s.Y
	if r.box.Empty() {
		r.box = r.picture()
	}
	box := r.box
	k := math.Min(float64(box.Dx())/float64(w), float64(box.Dy())/float64(h))
	left := float64(box.Min.X) + (float64(box.Dx())-k*float64(w))/2
	top := float64(box.Min.Y) + (float64(box.Dy())-k*float64(h))/2
	return image.Pt(int(left+k*(float64(x)+.5)), int(top+k*(float64(y)+.5)))
}

// code is the X keycode of a key by its place.
func keycode(name string) byte {
	for _, k := range wire.Keys {
		if k.Code == name {
			return byte(k.Evdev + 8)
		}
	}
	panic("no key " + name)
}

// usKeys are the places of characters on an American keyboard; strokes are
// written in them whatever the layout is.
var usKeys = func() map[rune]stroke {
	out := map[rune]stroke{' ': {"Space", false}, '\n': {"Enter", false}, '\t': {"Tab", false}}
	for _, row := range []struct{ plain, shifted, names string }{
		{"`1234567890-=", "~!@#$%^&*()_+", "Backquote Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal"},
		{"qwertyuiop[]\\", "QWERTYUIOP{}|", "KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight Backslash"},
		{"asdfghjkl;'", "ASDFGHJKL:\"", "KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote"},
		{"zxcvbnm,./", "ZXCVBNM<>?", "KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash"},
	} {
		names := strings.Fields(row.names)
		for i, c := range []rune(row.plain) {
			out[c] = stroke{names[i], false}
		}
		for i, c := range []rune(row.shifted) {
			out[c] = stroke{names[i], true}
		}
	}
	return out
}()

type stroke struct {
	key   string
	shift bool
}

// strokes presses keys: each character stands for the key that writes it on an
// American keyboard, ⌥ for AltGr held during the next.
func strokes(d *desk.Desk, s string) {
	shift, altGr := keycode("ShiftLeft"), keycode("AltRight")
	third := false
	for _, c := range s {
		if c == '⌥' {
			third = true
			continue
		}
		k, ok := usKeys[c]
		if !ok {
			panic("no key for " + string(c))
		}
		if third {
			d.Down(altGr)
		}
		if k.shift {
			d.Down(shift)
		}
		d.Down(keycode(k.key))
		d.Up(keycode(k.key))
		if k.shift {
			d.Up(shift)
		}
		if third {
			d.Up(altGr)
			third = false
		}
	}
}

// pangram in keys, and what it is on the two layouts: shifted and third-level
// characters, and dead keys, which make one character of two keys.
const pangram = "The quick brown fox jumps over the lazy dog: 1234567890!\n" +
	"@#$%& *()_+ - = [] {} | ;: ,. <> /?\n" +
	"'e \"u `a ~n ^o +e =e ' \" ` ^ \n" +
	"⌥q ⌥5 ⌥e ⌥s ⌥/ ⌥1"

var layouts = []struct {
	name string
	args []string
	text string
}{
	{"us intl", []string{"-layout", "us", "-variant", "intl"}, "The quick brown fox jumps over the lazy dog: 1234567890!\n" +
		"@#$%& *()_+ - = [] {} | ;: ,. <> /?\n" +
		"é ü à ñ ô +e =e '\"`^\n" +
		"ä € é ß ¿ ¡"},
	{"de", []string{"-layout", "de", "-variant", ""}, "The quick brown fox jumps over the layz dogÖ 1234567890!\n" +
		"\"§$%/ ()=?`ß 'ü+ Ü* ' öÖ ,. ;: -_\n" +
		"äe Äu â °n &o è é ä Ä ^& \n" +
		"@ ½ € ſ – ¹"},
}

// keyboard types the same keys on two layouts here, on two there, by place and
// as text, into a real editor, and compares what it saved.
func (r *remote) keyboard() {
	for _, mode := range []string{"Keys by position", "As I type"} {
		r.press("", "Keyboard")
		r.press("", mode)
		for _, here := range layouts {
			for _, there := range layouts {
				r.desk.Layout(here.args...)
				r.cust.Layout(there.args...)
				want := there.text
				if mode == "As I type" {
					want = here.text
				}
				if got := r.typed(func() { strokes(r.desk, pangram) }, want); got != want {
					r.t.Errorf("%s, %s here, %s there:\n%s\nbecame\n%s", mode, here.name, there.name, want, got)
					r.cust.Save(strings.ReplaceAll(mode+here.name+there.name, " ", ""))
				}
			}
		}
	}
}

// typed empties the customer's editor, has do type into it through the picture,
// and returns what it saves, once that is want or does not change any more.
func (r *remote) typed(do func(), want string) string {
	r.t.Helper()
	control := keycode("ControlLeft")
	there := func(key string) {
		r.cust.Down(control, keycode(key))
		r.cust.Up(keycode(key), control)
	}
	read := func() string {
		b, err := os.ReadFile(r.notes)
		if err != nil {
			r.t.Fatal(err)
		}
		return strings.TrimSuffix(string(b), "\n")
	}
	r.cust.Focus("notes.txt")
	r.cust.Until("an empty editor", 10*time.Second, func() bool {
		there("KeyA")
		r.cust.Down(keycode("Delete"))
		r.cust.Up(keycode("Delete"))
		there("KeyS")
		time.Sleep(100 * time.Millisecond)
		return read() == ""
	})
	p := r.place(400, 500)
	r.desk.Click(p.X, p.Y)
	do()
	// Saving there must not meet a key that is still held by what was typed here: Control, S and Shift are another command.
	for quiet, end := 0, time.Now().Add(20*time.Second); quiet < 6 && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if quiet++; r.cust.Held() != "" {
			quiet = 0
		}
	}
	got := ""
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
		there("KeyS")
		time.Sleep(150 * time.Millisecond)
		if got = read(); got == want {
			break
		}
	}
	return got
}

// hold presses a key here and waits until it is down there.
func (r *remote) hold(keys ...string) {
	r.t.Helper()
	for _, k := range keys {
		r.desk.Down(keycode(k))
	}
	r.cust.Until("the keys to be down", 10*time.Second, func() bool {
		held := r.cust.Held()
		for _, k := range keys {
			if !strings.Contains(held, fmt.Sprintf("key %d", keycode(k))) {
				return false
			}
		}
		return true
	})
}

func (r *remote) let(keys ...string) {
	r.t.Helper()
	for _, k := range keys {
		r.desk.Up(keycode(k))
	}
}

// oddities are keys that do more than write one character.
func (r *remote) oddities() {
	american := layouts[0]
	r.desk.Layout(american.args...)
	r.cust.Layout(american.args...)
	tap := func(k string) { r.desk.Down(keycode(k)); r.desk.Up(keycode(k)) }
	for _, mode := range []string{"Keys by position", "As I type"} {
		r.press("", "Keyboard")
		r.press("", mode)
		want := "ABC abc ABC"
		if got := r.typed(func() {
			tap("CapsLock")
			strokes(r.desk, "abc ")
			tap("CapsLock")
			strokes(r.desk, "abc ABC")
		}, want); got != want {
			r.t.Errorf("%s: with CapsLock it became %q, want %q", mode, got, want)
		}
		want = "kept"
		if got := r.typed(func() {
			strokes(r.desk, "lost 'e")
			r.desk.Down(keycode("ControlLeft"))
			tap("KeyA")
			r.desk.Up(keycode("ControlLeft"))
			tap("Delete")
			strokes(r.desk, "kXpe")
			tap("ArrowLeft")
			tap("ArrowLeft")
			tap("Backspace")
			strokes(r.desk, "e")
			tap("Delete")
			tap("End")
			tap("Backspace")
			strokes(r.desk, "pt")
		}, want); got != want {
			r.t.Errorf("%s: after shortcuts and arrows it became %q, want %q", mode, got, want)
		}
		got := r.typed(func() {
			r.desk.Down(keycode("KeyX"))
			time.Sleep(1200 * time.Millisecond)
			r.desk.Up(keycode("KeyX"))
			strokes(r.desk, "y")
		}, "")
		if n := strings.Count(got, "x"); n < 5 || n > 60 || got != strings.Repeat("x", n)+"y" {
			r.t.Errorf("%s: a key held for 1.2 s became %q", mode, got)
		}
	}
	r.press("", "Keyboard")
	r.press("", "Keys by position")
}

// letGo holds keys and a button while the picture loses the keyboard and while
// the cable is cut, and asks the customer's X server what is down.
func (r *remote) letGo() {
	middle := r.place(400, 500)
	r.desk.Click(middle.X, middle.Y)
	r.hold("ShiftLeft", "ControlLeft", "F9")
	other := r.desk.Start("xterm", "-T", "Another window", "-geometry", "20x4+0+0")
	r.desk.Until("another window", 10*time.Second, func() bool { return r.desk.Focus("Another window") })
	r.released("when another window took the keyboard")
	other.Stop()
	r.let("F9", "ControlLeft", "ShiftLeft")
	r.desk.Until("the window again", 10*time.Second, func() bool { return r.desk.Focus("Daypass") })

	r.desk.Click(middle.X, middle.Y)
	r.desk.Button(1, true)
	r.hold("ShiftLeft", "KeyH")
	if held := r.cust.Held(); !strings.Contains(held, "button 1") {
		r.t.Errorf("the mouse button is not down there: %s", held)
	}
	r.lab.cut("console")
	cut := time.Now()
	r.released("when the cable was cut")
	r.t.Logf("nothing is held %.1f s after the cable was cut", time.Since(cut).Seconds())
	r.desk.Button(1, false)
	r.let("KeyH", "ShiftLeft")
	r.lab.mend("console")
	r.desk.Until("the picture to come back", 30*time.Second, func() bool {
		_, ok := r.eyes.Find(app, "", "The connection is interrupted")
		return !ok
	})
	if got := r.typed(func() { strokes(r.desk, "abc") }, "abc"); got != "abc" {
		r.t.Errorf("after the cut it became %q", got)
	}
}

// padAt is where the customer's pad lies: below the bar, over the editor.
var padAt = image.Rect(80, 180, 1300, 860)

// mouse uses every button, the wheel and a drag while the picture is shrunk to
// fit, and the edges of it at 1:1.
func (r *remote) mouse() {
	pad := r.cust.Pad(padAt, nil)
	defer pad.Close()
	do := func(what, want string, hand func()) {
		r.t.Helper()
		pad.Forget()
		hand()
		var got string
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			var said []string
			for _, s := range pad.Said() {
				if !strings.HasPrefix(s, "move") {
					said = append(said, strings.Split(s, " at")[0])
				}
			}
			if got = strings.Join(said, ", "); got == want {
				return
			}
		}
		r.t.Errorf("%s: the customer's window got %q, want %q", what, got, want)
	}
	click := func(b byte) { r.desk.Button(b, true); r.desk.Button(b, false) }
	for _, at := range []image.Point{{333, 444}, {1111, 222}, {101, 801}} {
		p := r.place(at.X, at.Y)
		r.desk.Move(p)
		do("left", "press 1, release 1", func() { click(1) })
		if far := r.cust.Pointer().Sub(at); max(far.X, -far.X) > 2 || max(far.Y, -far.Y) > 2 {
			r.t.Errorf("aimed at %v, it came to %v", at, r.cust.Pointer())
		}
	}
	do("middle", "press 2, release 2", func() { click(2) })
	do("right", "press 3, release 3", func() { click(3) })
	do("back", "press 8, release 8", func() { click(8) })
	do("forward", "press 9, release 9", func() { click(9) })
	do("wheel up", "press 4, release 4, press 4, release 4", func() { click(4); click(4) })
	do("wheel down", "press 5, release 5, press 5, release 5, press 5, release 5", func() { click(5); click(5); click(5) })
	do("wheel left and right", "press 6, release 6, press 7, release 7", func() { click(6); click(7) })
	do("two buttons", "press 1, press 3, release 1, release 3", func() {
		r.desk.Button(1, true)
		r.desk.Button(3, true)
		r.desk.Button(1, false)
		r.desk.Button(3, false)
	})
	do("drag", "press 1, release 1", func() {
		r.desk.Move(r.place(200, 300))
		r.desk.Button(1, true)
		for x := 200; x <= 1000; x += 50 {
			r.desk.Move(r.place(x, 300+x/4))
		}
		r.desk.Button(1, false)
	})
	said := pad.Said()
	if n := strings.Count(strings.Join(said, "\n"), "move"); n < 8 {
		r.t.Errorf("the drag had %d moves: %v", n, said)
	}

	// At 1:1 the picture moves at the window's edges, so that everything can be reached.
	r.press("section", "1:1")
	box := r.picture()
	for _, e := range []struct {
		what string
		at   image.Point
		ok   func(image.Point) bool
	}{
		{"right", image.Pt(box.Max.X-1, box.Min.Y+300), func(p image.Point) bool { return p.X >= deskW-2 }},
		{"lower", image.Pt(box.Min.X+600, box.Max.Y-1), func(p image.Point) bool { return p.Y >= deskH-2 }},
		{"left", image.Pt(box.Min.X, box.Min.Y+300), func(p image.Point) bool { return p.X <= 1 }},
		{"upper", image.Pt(box.Min.X+600, box.Min.Y), func(p image.Point) bool { return p.Y <= 1 }},
	} {
		r.desk.Move(image.Pt(box.Min.X+box.Dx()/2, box.Min.Y+box.Dy()/2))
		r.desk.Move(e.at)
		for end := time.Now().Add(5 * time.Second); !e.ok(r.cust.Pointer()); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				r.t.Errorf("at the %s edge the customer's pointer comes to %v only; screen: %s", e.what, r.cust.Pointer(), r.desk.Save("edge-"+e.what))
				break
			}
		}
	}
	r.press("section", "Fit")
}

// clipboard sends text by the page's buttons, each way only when asked.
func (r *remote) clipboard() {
	send := func() { r.press("", "Clipboard"); r.press("", "Send my clipboard") }
	fetch := func() { r.press("", "Clipboard"); r.press("", "Get theirs") }
	arrives := func(d *desk.Desk, what, want string) {
		r.t.Helper()
		var got string
		for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if got = d.Clipboard(); got == want {
				return
			}
		}
		r.t.Errorf("%s: %d bytes are in the clipboard (%.60q), want %d (%.60q)", what, len(got), got, len(want), want)
	}
	ours, theirs := "Grüße aus Köln 👋\n\tzweite Zeile: 5 € “so” 世界", "ihr Text: äöüß 🙂 ñ"
	r.cust.SetClipboard(theirs)
	r.desk.SetClipboard(ours)
	time.Sleep(500 * time.Millisecond)
	if got := r.cust.Clipboard(); got != theirs {
		r.t.Errorf("without being asked the customer's clipboard became %q", got)
	}
	send()
	arrives(r.cust, "sent", ours)
	arrives(r.desk, "ours stays", ours)
	r.cust.SetClipboard(theirs)
	time.Sleep(500 * time.Millisecond)
	if got := r.desk.Clipboard(); got != ours {
		r.t.Errorf("without being asked our clipboard became %q", got)
	}
	fetch()
	arrives(r.desk, "fetched", theirs)
	arrives(r.cust, "theirs stays", theirs)

	most := strings.Repeat("0123456789abcde\n", wire.MaxClipboard/16)
	r.desk.SetClipboard(most)
	send()
	arrives(r.cust, "a megabyte sent", most)
	r.cust.SetClipboard(strings.ToUpper(most))
	fetch()
	arrives(r.desk, "a megabyte fetched", strings.ToUpper(most))
	r.desk.SetClipboard(most + "+")
	send()
	r.eyes.Wait(app, "", "larger than 1 MB", 10*time.Second)
	r.desk.Save("clipboard-too-long")
	for {
		if _, more := r.eyes.Find(app, "push button", "Dismiss"); !more {
			break
		}
		r.press("push button", "Dismiss")
	}
	if got := r.cust.Clipboard(); got != strings.ToUpper(most) {
		r.t.Errorf("a refused text changed the customer's clipboard to %d bytes", len(got))
	}
}

// pixels counts those of a colour in a part of a screen and says where they are.
func pixels(img *image.RGBA, in image.Rectangle, want color.RGBA) (n int, at image.Rectangle) {
	in = in.Intersect(img.Rect)
	for y := in.Min.Y; y < in.Max.Y; y++ {
		for x := in.Min.X; x < in.Max.X; x++ {
			if img.RGBAAt(x, y) == want {
				n++
				at = at.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return n, at
}

var magenta = color.RGBA{255, 0, 255, 255}

// cursor looks at the pointer's shape: the customer's while the technician
// points, none where theirs is hidden, and drawn into the picture when only
// watching.
func (r *remote) cursor() {
	pad := r.cust.Pad(padAt, desk.SolidCursor(16, 5, 7, magenta))
	middle := r.place(600, 500)
	r.desk.Move(middle)
	same := func(n int) func() bool {
		return func() bool {
			img, hot := r.desk.Cursor()
			got, _ := pixels(img, img.Rect, magenta)
			return got == n && (n == 0 || hot == image.Pt(5, 7))
		}
	}
	r.desk.Until("the pointer to look as theirs", 10*time.Second, same(256))

	// Only watching: their pointer is drawn where it is, and nothing is sent.
	r.press("", "View only")
	r.desk.Until("the pointer to be the technician's own", 10*time.Second, same(0))
	r.cust.Move(image.Pt(700, 600))
	want := r.place(700-5, 600-7)
	r.desk.Move(r.place(300, 300))
	drawn := func() bool {
		n, at := pixels(r.desk.Screen(), r.picture(), magenta)
		return n > 20 && max(at.Min.X-want.X, want.X-at.Min.X) <= 2 && max(at.Min.Y-want.Y, want.Y-at.Min.Y) <= 2
	}
	r.desk.Until("their pointer in the picture", 10*time.Second, drawn)
	r.desk.Save("view-only")
	pad.Forget()
	r.desk.Click(middle.X, middle.Y)
	strokes(r.desk, "abc")
	time.Sleep(300 * time.Millisecond)
	if said := pad.Said(); len(said) > 0 || r.cust.Pointer() != image.Pt(700, 600) {
		r.t.Errorf("while only watching the customer's window got %v, the pointer is at %v", said, r.cust.Pointer())
	}
	r.press("", "View only")
	r.desk.Move(middle)
	r.desk.Until("the pointer to look as theirs again", 10*time.Second, same(256))
	pad.Close()

	hidden := r.cust.Pad(padAt, desk.SolidCursor(16, 0, 0, color.RGBA{}))
	defer hidden.Close()
	r.desk.Move(r.place(500, 400))
	r.desk.Until("no pointer where theirs is hidden", 10*time.Second, func() bool {
		img, _ := r.desk.Cursor()
		for i := 3; i < len(img.Pix); i += 4 {
			if img.Pix[i] != 0 {
				return false
			}
		}
		return true
	})
}

// displays makes two displays of one while it is open, looks at both, and
// changes the resolution.
func (r *remote) displays() {
	r.cust.Output("xrandr", "--setmonitor", "left", "1400/370x900/238+0+0", "screen")
	r.cust.Output("xrandr", "--setmonitor", "right", "1000/265x620/164+1400+100", "none")
	r.eyes.Wait(app, "", "Display", 15*time.Second)
	right := image.Rect(1400, 100, 2400, 720)
	pad := r.cust.Pad(image.Rect(1500, 200, 2300, 450), nil)
	r.cust.Start("xterm", "-T", "To the right", "-geometry", "60x8+1600+500")
	r.cust.Until("a window on the right display", 10*time.Second, func() bool { return r.cust.Focus("To the right") })
	defer pad.Close()
	r.press("", "Display")
	r.desk.Save("displays")
	r.press("", "right")
	r.equal(func() *image.RGBA { return part(r.cust.Screen(), right) }, "the right display")
	box := r.picture()
	at := image.Pt(box.Min.X+(box.Dx()-1000)/2+321, box.Min.Y+(box.Dy()-620)/2+234)
	r.desk.Click(at.X, at.Y)
	want := image.Pt(1400+321, 100+234)
	r.cust.Until("the pointer on the right display", 5*time.Second, func() bool { p := r.cust.Pointer().Sub(want); return max(p.X, -p.X, p.Y, -p.Y) <= 1 })
	r.cust.Until("the click on the right display", 5*time.Second, func() bool { return strings.Contains(strings.Join(pad.Said(), "\n"), "press 1 at 17") })
	r.press("", "Display")
	r.press("", "left")
	r.eyes.Wait(app, "", "left", 10*time.Second)
	if got := r.typed(func() {}, ""); got != "" {
		r.t.Errorf("the editor has %q", got)
	}

	// The right one is unplugged, the resolution changes.
	r.cust.Output("xrandr", "--delmonitor", "right")
	r.cust.Output("xrandr", "--delmonitor", "left")
	r.cust.Resize(1000, 620)
	r.equal(func() *image.RGBA { return r.cust.Screen() }, "after the resolution changed")
	box = r.picture()
	at = image.Pt(box.Min.X+(box.Dx()-1000)/2+777, box.Min.Y+(box.Dy()-620)/2+444)
	r.desk.Move(at)
	want = image.Pt(777, 444)
	r.cust.Until("the pointer to be right after the resolution changed", 5*time.Second, func() bool { p := r.cust.Pointer().Sub(want); return max(p.X, -p.X, p.Y, -p.Y) <= 1 })
}

// polls refuses the page its WebSocket: the picture comes by polls, exact, and
// takes keys; afterwards the socket is used again.
func (r *remote) polls() {
	if r.cust.Size() != image.Pt(1000, 620) { // so that it fits exactly
		r.cust.Resize(1000, 620)
	}
	r.desk.Layout(layouts[0].args...)
	r.cust.Layout(layouts[0].args...)
	if n := r.sockets(); n == 0 {
		r.t.Error("the picture does not come by the socket")
	}
	table := func(rule string) {
		r.desk.Output("nft", "add table inet daypass; flush table inet daypass; add chain inet daypass out { type filter hook output priority 0; }; "+rule)
	}
	for _, refuse := range []string{"drop", "reject with tcp reset"} {
		r.press("", "To the session")
		table("add rule inet daypass out oifname lo tcp dport 1024-65535 " + refuse)
		began := time.Now()
		r.press("push button", "Open Remote Control")
		r.equal(func() *image.RGBA { return r.cust.Screen() }, "by polls, with "+refuse)
		r.t.Logf("by polls, with %s: there %.1f s after the press", refuse, time.Since(began).Seconds())
		if n := r.sockets(); n != 0 {
			r.t.Errorf("%d sockets are open in spite of the refusal", n)
		}
		if got := r.typed(func() { strokes(r.desk, "by polls: 'e ABC") }, "by polls: é ABC"); got != "by polls: é ABC" {
			r.t.Errorf("by polls it became %q", got)
		}
		r.equal(func() *image.RGBA { return r.cust.Screen() }, "by polls, after typing")
		r.desk.Output("nft", "delete table inet daypass")
	}
	r.press("", "To the session")
	r.press("push button", "Open Remote Control")
	r.equal(func() *image.RGBA { return r.cust.Screen() }, "by the socket again")
	if r.sockets() == 0 {
		r.t.Error("the picture does not come by the socket again")
	}
}

// sockets counts the loopback connections on the technician's computer.
func (r *remote) sockets() int {
	n := 0
	for _, line := range strings.Split(r.desk.Output("cat", "/proc/net/tcp"), "\n") {
		f := strings.Fields(line)
		if len(f) > 3 && strings.HasPrefix(f[1], "0100007F:") && strings.HasPrefix(f[2], "0100007F:") && f[3] == "01" {
			n++
		}
	}
	return n / 2
}

// end: the customer ends the session while keys are held.
func (r *remote) end() {
	p := r.place(400, 500)
	r.desk.Click(p.X, p.Y)
	r.hold("ShiftLeft", "F9")
	fmt.Fprintln(r.say, "end")
	r.released("after the end")
	r.let("F9", "ShiftLeft")
	r.say.Close()
	select {
	case <-r.host.Done():
	case <-time.After(30 * time.Second):
		r.t.Error("the customer's program did not end")
	}
	r.eyes.Wait(app, "", "emoved", 30*time.Second)
}
