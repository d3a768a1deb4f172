//go:build linux

package input

import (
	"bytes"
	"fmt"
	"image"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/wire"
	"daypass/hostsvc/screen/screentest"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desktop starts an X server of its own with a window manager.
func desktop(t *testing.T) string {
	t.Helper()
	screentest.Need(t, "openbox", "setxkbmap")
	display := screentest.Xvfb(t, "800x600")
	run(t, exec.Command("openbox"), display)
	return display
}

func env(display string) []string {
	out := []string{"DISPLAY=" + display, "LC_ALL=C.UTF-8", "GTK_IM_MODULE=gtk-im-context-simple", "NO_AT_BRIDGE=1", "GSETTINGS_BACKEND=memory"}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "DISPLAY", "LC_ALL", "LANG", "WAYLAND_DISPLAY", "XMODIFIERS", "GTK_IM_MODULE":
		default:
			out = append(out, v)
		}
	}
	return out
}

func run(t *testing.T, cmd *exec.Cmd, display ...string) *bytes.Buffer {
	t.Helper()
	var said bytes.Buffer
	cmd.Stderr = &said
	if len(display) > 0 {
		cmd.Env = env(display[0])
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // what it started may hold its output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with what it started; it may have ended
		_ = cmd.Wait()
		if t.Failed() && said.Len() > 0 {
			t.Logf("%s said: %s", cmd.Path, said.String())
		}
	})
	return &said
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func open(t *testing.T, display string) *player {
	t.Helper()
	p, err := openX11(display, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func setLayout(t *testing.T, display string, args ...string) {
	t.Helper()
	cmd := exec.Command("setxkbmap", args...)
	cmd.Env = env(display)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("setxkbmap: %v %s", err, out)
	}
}

var screen = image.Rect(0, 0, 800, 600)

func usage(t *testing.T, code string) uint16 {
	t.Helper()
	for _, k := range wire.Keys {
		if k.Code == code {
			return k.Usage
		}
	}
	t.Fatalf("no key %s", code)
	return 0
}

// keys presses places on the keyboard; "+X" goes down, "-X" up, "X" both.
func keys(t *testing.T, p *player, codes string) {
	t.Helper()
	mods := uint8(0)
	for _, c := range strings.Fields(codes) {
		down, up := true, true
		switch c[0] {
		case '+':
			up, c = false, c[1:]
		case '-':
			down, c = false, c[1:]
		}
		u := usage(t, c)
		for _, d := range []bool{true, false} {
			if (d && !down) || (!d && !up) {
				continue
			}
			if m := wire.ModOf(u) &^ wire.ModAltGr; d {
				mods |= m
			} else {
				mods &^= m
			}
			if err := p.Apply(wire.Input{Kind: wire.InputKey, Usage: u, Down: d, Mods: mods}, screen); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func typeText(t *testing.T, p *player, s string) {
	t.Helper()
	for len(s) > 0 {
		n := min(len(s), wire.MaxInputText)
		for n < len(s) && s[n]&0xc0 == 0x80 {
			n--
		}
		m := wire.Input{Kind: wire.InputText}
		if err := m.SetText(s[:n]); err != nil {
			t.Fatal(err)
		}
		if err := p.Apply(m, screen); err != nil {
			t.Fatal(err)
		}
		s = s[n:]
	}
}

// editor opens a text file in a real editor, has f type into it, saves by
// Control+S and returns what is in the file.
func editor(t *testing.T, display string, p *player, saveKey func(), f func()) string {
	t.Helper()
	screentest.Need(t, "mousepad")
	file := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(file, []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-run-session", "--", "mousepad", "--disable-server", file)
	if _, err := exec.LookPath("dbus-run-session"); err != nil {
		cmd = exec.Command("mousepad", "--disable-server", file)
	}
	run(t, cmd, display)
	c, err := xgb.NewConnDisplay(display)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wait(t, "the editor to have the keyboard", func() bool {
		r, err := xproto.GetInputFocus(c).Reply()
		if err != nil {
			return false
		}
		for w := r.Focus; w > 1; {
			n, err := xproto.GetProperty(c, false, w, xproto.AtomWmClass, xproto.AtomString, 0, 64).Reply()
			if err == nil && bytes.Contains(bytes.ToLower(n.Value), []byte("mousepad")) {
				return true
			}
			q, err := xproto.QueryTree(c, w).Reply()
			if err != nil || q.Parent == w {
				return false
			}
			w = q.Parent
		}
		return false
	})
	// It has the keyboard before it has read the file: type until that is seen.
	wait(t, "the editor to be ready", func() bool {
		keys(t, p, "+ControlLeft KeyA -ControlLeft KeyX")
		saveKey()
		time.Sleep(150 * time.Millisecond)
		b, err := os.ReadFile(file)
		return err == nil && strings.TrimSpace(string(b)) == "x"
	})
	keys(t, p, "+ControlLeft KeyA -ControlLeft Delete")
	f()
	var got []byte
	wait(t, "the file to be saved", func() bool {
		saveKey()
		time.Sleep(150 * time.Millisecond)
		got, err = os.ReadFile(file)
		return err == nil && strings.TrimSpace(string(got)) != "x"
	})
	return strings.TrimSuffix(string(got), "\n")
}

const control = "+ControlLeft KeyS -ControlLeft"

func TestTypingTextOnTwoLayouts(t *testing.T) {
	// Shifted, third level (€ @ { ~), dead keys (é ñ ü Ç ô), characters that neither layout has (Ж 世 → ő).
	const pangram = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n" +
		"The quick brown Fox jumps over the lazy Dog! \"0123456789\" 'x' `y` ^z^ ~w~\n" +
		"Voilà: l'été, ça va? El pingüino niño; Ñandú, hôtel Ç É È Ô ñ õ ï ÿ\n" +
		"mail@example.org {a} [b] \\c\\ |d| <e> #f $g %h &i *j (k) _l_ =m= +n+ /o/ ;p: €5 £6 ¿q? ß µ\n" +
		"Съешь ещё этих мягких булок, Żółć, ő ű, 世界, → ✓ “quoted” – … 😀\n\ttab"
	for _, layout := range [][]string{
		{"-layout", "us", "-variant", "intl"},
		{"-layout", "de"},
	} {
		t.Run(strings.Join(layout, " "), func(t *testing.T) {
			display := desktop(t)
			setLayout(t, display, layout...)
			p := open(t, display)
			got := editor(t, display, p, func() { keys(t, p, control) }, func() { typeText(t, p, pangram) })
			if got != pangram {
				t.Errorf("typed\n%q, it became\n%q", pangram, got)
			}
		})
	}
}

func TestTypingKeysByTheirPlace(t *testing.T) {
	const places = "KeyY KeyZ Space Minus Quote Space +ShiftLeft Digit2 KeyA -ShiftLeft Space +AltRight KeyQ KeyE -AltRight Space " +
		"BracketLeft BracketRight Space Quote KeyE Space Backquote KeyO +ShiftRight BracketLeft -ShiftRight Backslash IntlBackslash Enter Numpad7 Tab KeyX"
	for layout, want := range map[string]string{
		// Where the layout has a dead key, it composes with what follows.
		"us intl": "yz -'@A äé [] é ò{\\\\\n7\tx",
		"de":      "zy ßä \"A @€ ü+ äe ôÜ#<\n7\tx",
	} {
		t.Run(layout, func(t *testing.T) {
			display := desktop(t)
			name, variant, _ := strings.Cut(layout, " ")
			setLayout(t, display, "-layout", name, "-variant", variant)
			p := open(t, display)
			got := editor(t, display, p, func() { keys(t, p, control) }, func() { keys(t, p, "NumLock "+places) })
			if got != want {
				t.Errorf("it became %q, want %q", got, want)
			}
		})
	}
}

func TestShortcutByCharacter(t *testing.T) {
	display := desktop(t)
	p := open(t, display)
	got := editor(t, display, p, func() { keys(t, p, control) }, func() {
		setLayout(t, display, "-layout", "fr") // A and Q are exchanged: by its place, Control+A would quit
		typeText(t, p, "lost à")
		held := wire.Input{Kind: wire.InputKey, Usage: 0xe0, Down: true, Mods: wire.ModControl}
		if err := p.Apply(held, screen); err != nil {
			t.Fatal(err)
		}
		m := wire.Input{Kind: wire.InputText, Flags: wire.FlagChord}
		if err := m.SetText("a"); err != nil {
			t.Fatal(err)
		}
		if err := p.Apply(m, screen); err != nil {
			t.Fatal(err)
		}
		keys(t, p, "-ControlLeft")
		typeText(t, p, "été: kept")
	})
	if got != "été: kept" {
		t.Errorf("it became %q", got)
	}
}

// xdown reports the keycodes and buttons that are down on the server.
func xdown(t *testing.T, c *xgb.Conn) (codes []int, buttons uint16, at image.Point) {
	t.Helper()
	k, err := xproto.QueryKeymap(c).Reply()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 256 {
		if k.Keys[i/8]>>(i%8)&1 == 1 {
			codes = append(codes, i)
		}
	}
	q, err := xproto.QueryPointer(c, xproto.Setup(c).DefaultScreen(c).Root).Reply()
	if err != nil {
		t.Fatal(err)
	}
	return codes, q.Mask & 0x1f00, image.Pt(int(q.RootX), int(q.RootY))
}

func settled(t *testing.T, p *player) {
	t.Helper()
	if err := p.Blocked(); err != nil { // a round trip on the injector's connection
		t.Fatal(err)
	}
}

func TestPointerHeldKeysAndRelease(t *testing.T) {
	display := desktop(t)
	p := open(t, display)
	c, err := xgb.NewConnDisplay(display)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	apply := func(m wire.Input, d image.Rectangle) {
		t.Helper()
		if err := p.Apply(m, d); err != nil {
			t.Fatal(err)
		}
	}
	second := image.Rect(400, 100, 800, 400)
	apply(wire.Input{Kind: wire.InputMove, X: 10, Y: 20}, second)
	settled(t, p)
	if _, _, at := xdown(t, c); at != image.Pt(410, 120) {
		t.Errorf("the pointer is at %v", at)
	}
	apply(wire.Input{Kind: wire.InputMove, X: 9999, Y: 9999}, second)
	settled(t, p)
	if _, _, at := xdown(t, c); at != image.Pt(799, 399) {
		t.Errorf("beyond the display the pointer is at %v", at)
	}
	apply(wire.Input{Kind: wire.InputButton, X: 1, Y: 1, Button: wire.ButtonRight, Buttons: 4, Down: true}, second)
	keys(t, p, "+ControlLeft +KeyA")
	settled(t, p)
	codes, buttons, _ := xdown(t, c)
	if fmt.Sprint(codes) != "[37 38]" || buttons != xproto.ButtonMask3 {
		t.Errorf("down: keys %v, buttons %#x", codes, buttons)
	}
	// Control went up unseen: the next key says so.
	apply(wire.Input{Kind: wire.InputKey, Usage: usage(t, "KeyB"), Down: true}, screen)
	settled(t, p)
	if codes, _, _ := xdown(t, c); fmt.Sprint(codes) != "[38 56]" {
		t.Errorf("after a key without Control: %v", codes)
	}
	// Shift went down unseen.
	apply(wire.Input{Kind: wire.InputKey, Usage: usage(t, "F5"), Down: true, Mods: wire.ModShift}, screen)
	settled(t, p)
	if codes, _, _ := xdown(t, c); fmt.Sprint(codes) != "[38 50 56 71]" {
		t.Errorf("after a key with Shift: %v", codes)
	}
	// The right Alt key is a third level to one layout and Alt to another: never let go by inference.
	apply(wire.Input{Kind: wire.InputKey, Usage: usage(t, "AltRight"), Down: true}, screen)
	apply(wire.Input{Kind: wire.InputKey, Usage: usage(t, "KeyQ"), Down: true}, screen)
	settled(t, p)
	if codes, _, _ := xdown(t, c); fmt.Sprint(codes) != "[24 38 56 71 108]" {
		t.Errorf("with the right Alt key: %v", codes)
	}
	// A button's release that was lost.
	apply(wire.Input{Kind: wire.InputMove, X: 1, Y: 1}, second)
	settled(t, p)
	if _, buttons, _ := xdown(t, c); buttons != 0 {
		t.Errorf("the button is still down: %#x", buttons)
	}
	apply(wire.Input{Kind: wire.InputButton, X: 1, Y: 1, Button: wire.ButtonMiddle, Buttons: 2, Down: true}, second)
	if err := p.ReleaseAll(); err != nil {
		t.Fatal(err)
	}
	settled(t, p)
	if codes, buttons, _ := xdown(t, c); len(codes) > 0 || buttons != 0 {
		t.Errorf("after ReleaseAll: keys %v, buttons %#x", codes, buttons)
	}
	keys(t, p, "+KeyA")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if codes, _, _ := xdown(t, c); len(codes) > 0 {
		t.Errorf("after Close: keys %v", codes)
	}
	if err := p.Apply(wire.Input{Kind: wire.InputRelease}, screen); fault.KindOf(err) != fault.Cancelled {
		t.Errorf("after Close: %v", err)
	}
}

func TestWheelCollectsPartsOfNotches(t *testing.T) {
	display := desktop(t)
	p := open(t, display)
	c, err := xgb.NewConnDisplay(display)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := xproto.Setup(c).DefaultScreen(c)
	win, err := xproto.NewWindowId(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := xproto.CreateWindowChecked(c, 0, win, s.Root, 0, 0, 800, 600, 0, xproto.WindowClassInputOnly, s.RootVisual,
		xproto.CwOverrideRedirect|xproto.CwEventMask, []uint32{1, xproto.EventMaskButtonPress}).Check(); err != nil {
		t.Fatal(err)
	}
	if err := xproto.MapWindowChecked(c, win).Check(); err != nil {
		t.Fatal(err)
	}
	for _, d := range [][2]int16{{0, 60}, {0, 59}, {0, 1}, {0, 40}, {0, -120}, {0, -119}, {0, -1}, {360, 0}, {-120, 0}} {
		if err := p.Apply(wire.Input{Kind: wire.InputWheel, X: 5, Y: 5, DX: d[0], DY: d[1]}, screen); err != nil {
			t.Fatal(err)
		}
	}
	for b := range []int{wire.ButtonBack, wire.ButtonForward} {
		b := uint8(b + wire.ButtonBack)
		if err := p.Apply(wire.Input{Kind: wire.InputButton, X: 5, Y: 5, Button: b, Buttons: 1 << b, Down: true}, screen); err != nil {
			t.Fatal(err)
		}
		if err := p.Apply(wire.Input{Kind: wire.InputButton, X: 5, Y: 5, Button: b}, screen); err != nil {
			t.Fatal(err)
		}
	}
	settled(t, p)
	var got []byte
	for len(got) < 9 {
		ev, err := c.WaitForEvent()
		if err != nil {
			t.Fatal(err)
		}
		if b, ok := ev.(xproto.ButtonPressEvent); ok {
			got = append(got, byte(b.Detail))
		}
	}
	if want := []byte{5, 4, 4, 7, 7, 7, 6, 8, 9}; !bytes.Equal(got, want) {
		t.Errorf("clicks %v, want %v", got, want)
	}
}

func TestLentKeycodesAreGivenBack(t *testing.T) {
	display := desktop(t)
	setLayout(t, display, "-layout", "us")
	p := open(t, display)
	c, err := xgb.NewConnDisplay(display)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	read := func() []xproto.Keysym {
		r, err := xproto.GetKeyboardMapping(c, 8, 248).Reply()
		if err != nil {
			t.Fatal(err)
		}
		var out []xproto.Keysym
		for i := range 248 {
			out = append(out, r.Keysyms[i*int(r.KeysymsPerKeycode)])
		}
		return out
	}
	before := read()
	typeText(t, p, "世界")
	if fmt.Sprint(read()) == fmt.Sprint(before) {
		t.Fatal("nothing was lent: the test tests nothing")
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(read()) != fmt.Sprint(before) {
		t.Error("the keyboard map is not what it was")
	}
}

func TestNoDesktop(t *testing.T) {
	for _, d := range []string{"", ":4711"} {
		if _, err := openX11(d, nil); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("display %q: %v", d, err)
		}
	}
}
