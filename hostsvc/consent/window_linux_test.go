package consent

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"daypass/backend/grant"
)

// find waits for a window by name and tells where it is.
func (d *desk) find(name string) (id string, x, y, w, h int) {
	d.t.Helper()
	d.wait("the window "+name, func() bool {
		out, err := exec.Command("xdotool", "search", "--onlyvisible", "--name", "^"+name+"$").Output()
		f := strings.Fields(string(out))
		if err != nil || len(f) == 0 {
			return false
		}
		id = f[0]
		return true
	})
	for _, l := range strings.Split(d.run("xdotool", "getwindowgeometry", "--shell", id), "\n") {
		k, v, _ := strings.Cut(l, "=")
		var n int
		fmt.Sscan(v, &n)
		switch k {
		case "X":
			x = n
		case "Y":
			y = n
		case "WIDTH":
			w = n
		case "HEIGHT":
			h = n
		}
	}
	return id, x, y, w, h
}

func (d *desk) click(x, y int) {
	d.t.Helper()
	d.run("xdotool", "mousemove", "--sync", fmt.Sprint(x), fmt.Sprint(y), "click", "1")
}

func (d *desk) visible(name string) bool {
	out, err := exec.Command("xdotool", "search", "--onlyvisible", "--name", "^"+name+"$").Output()
	return err == nil && len(strings.TrimSpace(string(out))) > 0
}

func (d *desk) activate(id string) { d.t.Helper(); d.run("xdotool", "windowactivate", "--sync", id) }
func (d *desk) typ(s string)       { d.t.Helper(); d.run("xdotool", "type", "--delay", "40", s) }
func (d *desk) key(name string)    { d.t.Helper(); d.run("xdotool", "key", name) }

func (d *desk) drag(x, y, toX, toY int) {
	d.t.Helper()
	d.run("xdotool", "mousemove", "--sync", fmt.Sprint(x), fmt.Sprint(y), "mousedown", "1")
	d.run("xdotool", "mousemove", "--sync", fmt.Sprint(toX), fmt.Sprint(toY), "mouseup", "1")
}

// Everything that xdotool does is made up: XTEST.
func (d *desk) fakeClick(x, y int)  { d.t.Helper(); d.click(x, y) }
func (d *desk) fakeType(s string)   { d.t.Helper(); d.typ(s) }
func (d *desk) fakeKey(name string) { d.t.Helper(); d.key(name) }

// send gives the window a key that another program sends it (XSendEvent).
func (d *desk) send(id string) { d.t.Helper(); d.run("xdotool", "key", "--window", id, "space") }

func prepareChild() {}

// ready waits until a field has the keyboard: xdotool is slow enough.
func (d *desk) ready() {}

// ownHome gives this process the home folder home.
func ownHome(t *testing.T, home string) {
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
}

// bus starts a session bus with accessibility.
func (d *desk) bus() *dbus.Conn {
	d.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		d.t.Fatal(err)
	}
	c := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address=3")
	c.ExtraFiles = []*os.File{w}
	d.start(c)
	w.Close()
	addr, err := bufio.NewReader(r).ReadString('\n')
	r.Close()
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(addr))
	d.t.Setenv("NO_AT_BRIDGE", "")
	os.Unsetenv("NO_AT_BRIDGE") // restored by t.Setenv's clean-up
	s, err := dbus.Connect(strings.TrimSpace(addr))
	if err != nil {
		d.t.Fatal(err)
	}
	defer s.Close()
	var a11y string
	if err := s.Object("org.a11y.Bus", "/org/a11y/bus").Call("org.a11y.Bus.GetAddress", 0).Store(&a11y); err != nil {
		d.t.Fatal(err)
	}
	conn, err := dbus.Connect(a11y)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	return conn
}

// node is an accessible.
type node struct {
	Bus  string
	Path dbus.ObjectPath
}

// walk calls f for n and everything below it until f says true.
func walk(c *dbus.Conn, n node, depth int, f func(n node, role, name string) bool) bool {
	o := c.Object(n.Bus, n.Path)
	var role string
	if err := o.Call("org.a11y.atspi.Accessible.GetRoleName", 0).Store(&role); err != nil {
		return false
	}
	name := ""
	if v, err := o.GetProperty("org.a11y.atspi.Accessible.Name"); err == nil {
		name, _ = v.Value().(string)
	}
	if f(n, role, name) {
		return true
	}
	var below []node
	if depth == 0 || o.Call("org.a11y.atspi.Accessible.GetChildren", 0).Store(&below) != nil {
		return false
	}
	for _, b := range below {
		if walk(c, b, depth-1, f) {
			return true
		}
	}
	return false
}

var desktop = node{"org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root"}

// accessible waits for a thing of role and name.
func (d *desk) accessible(c *dbus.Conn, role, name string) node {
	d.t.Helper()
	var found node
	d.wait(role+" "+name, func() bool {
		return walk(c, desktop, 20, func(n node, r, s string) bool {
			if r == role && s == name {
				found = n
				return true
			}
			return false
		})
	})
	return found
}

// TestGTK drives the window as a person with a screen reader and as one with a
// keyboard would, and as a technician's injected input would.
func TestGTK(t *testing.T) {
	d := startDesk(t, "1280x800")
	c := d.bus()
	w := d.window(KindGTK)

	w.say("code")
	d.accessible(c, "check box", "use the mouse and the keyboard")
	first := d.accessible(c, "text", english.CodeFirst)
	d.accessible(c, "text", english.CodeSecond)
	d.accessible(c, "push button", english.Continue)
	// by keyboard, digits going on in the second field by themselves (before
	// the session is active XTEST is the customer's own keyboard)
	id, _, _, _, _ := d.find(english.WindowTitle)
	d.run("xdotool", "windowactivate", "--sync", id)
	focused := func() bool {
		var s []uint32
		err := c.Object(first.Bus, first.Path).Call("org.a11y.atspi.Accessible.GetState", 0).Store(&s)
		return err == nil && len(s) > 0 && s[0]&(1<<12) != 0 // ATSPI_STATE_FOCUSED
	}
	d.wait("the focus in the first field", focused)
	d.run("xdotool", "type", "--delay", "60", "47118862")
	second := d.accessible(c, "text", english.CodeSecond)
	d.wait("the digits", func() bool {
		var s string
		err := c.Object(second.Bus, second.Path).Call("org.a11y.atspi.Text.GetText", 0, int32(0), int32(-1)).Store(&s)
		return err == nil && s == "8862"
	})
	d.run("xdotool", "key", "Return")
	if a := w.action(); a.Kind != SubmitCode || a.Text != "47118862" || a.Rights != grant.View|grant.Control|grant.Clipboard {
		t.Errorf("%+v", a)
	}

	// a screen reader presses Stop
	w.say("watching")
	stop := d.accessible(c, "push button", english.Stop)
	d.wait("the bar", func() bool { h := w.health(); return h.Wanted && h.Shown })
	// injected input cannot press it, neither by key nor by mouse, in window and bar
	d.run("xdotool", "windowactivate", "--sync", id)
	d.run("xdotool", "key", "Return", "key", "space")
	_, x, y, ww, wh := d.find(english.WindowTitle)
	d.click(x+ww-60, y+wh-35)
	_, bx, by, bw, bh := d.find(english.BarName)
	for px := bx + bw/2; px < bx+bw; px += 20 {
		d.click(px, by+bh/2)
	}
	if h := w.health(); !h.Shown { // fails when an action came
		t.Errorf("the bar is hidden: %+v", h)
	}
	if err := c.Object(stop.Bus, stop.Path).Call("org.a11y.atspi.Action.DoAction", 0, int32(0)).Err; err != nil {
		t.Fatal(err)
	}
	if a := w.action(); a.Kind != Stop {
		t.Errorf("%+v", a)
	}
	d.accessible(c, "toggle button", "see the screen")

	// after the end the receipt is offered
	w.say("removed")
	d.accessible(c, "push button", english.SaveReceipt)
	w.say("quiet")
	d.accessible(c, "push button", english.EndRemove)
	w.close()
}

// TestGTKHands is the same with a program that takes XTEST for hands: what
// the e2e tag sets.
func TestGTKHands(t *testing.T) { hands(t, KindGTK) }

// TestX11Hands drives our own window.
func TestX11Hands(t *testing.T) { hands(t, KindX11) }

// TestX11Injected: our own window and the bar alone drop XTEST too.
func TestX11Injected(t *testing.T) { refuses(t, KindX11) }

// TestBarStaysOnTop: windows over the bar do not hide it for long, and nobody
// can take it away.
func TestBarStaysOnTop(t *testing.T) {
	d := startDesk(t, "1024x768")
	w := d.window(KindNone)
	w.say("watching")
	d.wait("the bar", func() bool { return w.health().Shown })
	id, bx, by, _, _ := d.find(english.BarName)
	d.start(exec.Command("xterm", "-fullscreen", "-e", "sleep", "60"))
	d.find("sleep|xterm|.*sleep.*")
	top := func() bool { // the pixel in the corner of the bar is the bar's
		out := d.run("import", "-window", "root", "-crop", fmt.Sprintf("1x1+%d+%d", bx+2, by+20), "-depth", "8", "txt:-")
		return strings.Contains(strings.ToUpper(out), "#1E7F4F")
	}
	d.wait("the bar over a full-screen window", func() bool { return w.health().Shown && top() })
	d.run("xdotool", "windowunmap", id)
	d.wait("the bar again", func() bool { return w.health().Shown && top() })
	d.run("xdotool", "windowmove", id, "900", "700")
	d.wait("the bar in its place", func() bool {
		_, x, y, _, _ := d.find(english.BarName)
		return w.health().Shown && x == bx && y == by
	})
	d.run("import", "-window", "root", filepath.Join(d.dir, "bar.png"))
	w.close()
}

// TestBarOnEveryMonitor: one on each, and none where a monitor went away.
func TestBarOnEveryMonitor(t *testing.T) {
	d := startDesk(t, "1600x600")
	w := d.window(KindNone)
	bars := func() string {
		out, _ := exec.Command("xdotool", "search", "--onlyvisible", "--name", "^"+english.BarName+"$").Output()
		var at []string
		for _, id := range strings.Fields(string(out)) {
			g, err := exec.Command("xdotool", "getwindowgeometry", "--shell", id).Output()
			if err != nil {
				return ""
			}
			var x, y, width int
			for _, l := range strings.Split(string(g), "\n") {
				fmt.Sscanf(l, "X=%d", &x)
				fmt.Sscanf(l, "Y=%d", &y)
				fmt.Sscanf(l, "WIDTH=%d", &width)
			}
			at = append(at, fmt.Sprintf("%d,%d", (x+width/2+5)/10*10, y))
		}
		slices.Sort(at)
		return strings.Join(at, " ")
	}
	w.say("watching")
	d.wait("one bar", func() bool { return w.health().Shown && bars() == "800,8" })
	d.run("xrandr", "--setmonitor", "left", "800/200x600/150+0+0", "screen")
	d.run("xrandr", "--setmonitor", "right", "800/200x600/150+800+0", "none")
	d.wait("two bars", func() bool { return w.health().Shown && bars() == "1200,8 400,8" })
	d.run("xrandr", "--delmonitor", "right")
	d.run("xrandr", "--delmonitor", "left")
	d.wait("one bar again", func() bool { return w.health().Shown && bars() == "800,8" })
	w.close()
}

// TestDisplayLost: when the display goes away the program lives on, to end and
// remove; the bar says that it is not shown.
func TestDisplayLost(t *testing.T) {
	for _, kind := range []string{KindGTK, KindX11} {
		t.Run(kind, func(t *testing.T) {
			d := startDesk(t, "1024x768")
			w := d.window(kind)
			w.say("watching")
			d.wait("the bar", func() bool { return w.health().Shown })
			d.server.Process.Kill()
			d.wait("that the bar is missed", func() bool { h := w.health(); return h.Wanted && !h.Shown && !h.HiddenSince.IsZero() })
			w.close()
		})
	}
}

// TestTerminal talks as a person at a terminal does.
func TestTerminal(t *testing.T) {
	near, far := net.Pipe()
	p := newPresenter("en")
	v := newTTY(p, far, slog.New(slog.DiscardHandler))
	seen := make(chan string, 256)
	go func() {
		defer close(seen)
		b := make([]byte, 4096)
		for {
			n, err := near.Read(b)
			if err != nil {
				return
			}
			seen <- string(b[:n])
		}
	}()
	all := ""
	expect := func(s string) {
		t.Helper()
		for !strings.Contains(all, s) {
			select {
			case more, ok := <-seen:
				if !ok {
					t.Fatalf("ended without %q:\n%s", s, all)
				}
				all += more
			case <-time.After(10 * time.Second):
				t.Fatalf("no %q in\n%s", s, all)
			}
		}
		_, all, _ = strings.Cut(all, s)
	}
	say := func(s string) {
		t.Helper()
		if _, err := io.WriteString(near, s+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	v.Show(states(time.Now())["code"])
	expect("Mia Roth wants to help you")
	expect("2  [x] use the mouse and the keyboard")
	expect("4  Stop and remove")
	say("2")
	expect("2  [ ] use the mouse and the keyboard")
	say("4711 8862")
	if a := <-v.Actions(); a.Kind != SubmitCode || a.Text != "47118862" || a.Rights != grant.View|grant.Clipboard {
		t.Errorf("%+v", a)
	}
	v.Show(states(time.Now())["watching"])
	expect("4  Set a time limit")
	expect("6  Stop")
	say("nonsense")
	expect(english.TTYUnknown)
	say("stop")
	if a := <-v.Actions(); a.Kind != Stop {
		t.Errorf("%+v", a)
	}
	if h := v.Bar(); h.Shown || h.Healthy(time.Now()) {
		t.Errorf("a bar without a display: %+v", h)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	near.Close()
	for range seen {
	}
}

// FuzzX: what an X server says never makes us panic.
func FuzzX(f *testing.F) {
	f.Add(make([]byte, 80))
	f.Fuzz(func(t *testing.T, b []byte) {
		decodeDevices(b)
		if e, ok := decodeDevice(b, 131); ok && (e.Type < xiKeyPress || e.Type > xiMotion) {
			t.Errorf("%+v", e)
		}
		clean(string(b), 40)
	})
}

func TestLanguage(t *testing.T) {
	for _, c := range []struct{ asked, language, all, lang, want string }{
		{"de", "", "", "en_US.UTF-8", "de"},
		{"", "fr:de", "", "en_US.UTF-8", "de"},
		{"", "", "de_AT.UTF-8", "en_US.UTF-8", "de"},
		{"", "", "", "de_DE.UTF-8", "de"},
		{"", "", "C", "de_DE.UTF-8", "en"},
		{"", "", "", "nl_NL", "en"},
		{"dear", "", "", "", "en"},
	} {
		t.Setenv("LANGUAGE", c.language)
		t.Setenv("LC_ALL", c.all)
		t.Setenv("LC_MESSAGES", "")
		t.Setenv("LANG", c.lang)
		if got := Language(c.asked); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
