//go:build e2e

package e2e

import (
	"fmt"
	"image"
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
	t      *testing.T
	bin    programs
	lab    *network
	cust   *desk.Desk
	notes  string // the file in the customer's editor
	say    io.Writer
	host   *desk.Proc
	second bool // two displays
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
	r.technician = &technician{t: t, desk: desk.New(t, desk.Options{Name: "hand", Width: 1280, Height: 800, Bus: true, Prefix: r.lab.in("console")})}
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

// held is what is pressed on the customer's computer.
func (r *remote) released(when string) {
	r.t.Helper()
	r.cust.Until("nothing to be held "+when, 10*time.Second, func() bool { return r.cust.Held() == "" })
}

// place is where a point of the customer's screen is on the technician's, while
// the picture is shrunk to fit.
func (r *remote) place(x, y int) image.Point {
	r.t.Helper()
	w, h := deskW, deskH
	box := r.picture()
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
