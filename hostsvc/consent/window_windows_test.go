package consent

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"daypass/backend/grant"
)

var (
	procFindWindow = user32.NewProc("FindWindowW")
	procToScreen   = user32.NewProc("ClientToScreen")
	procSendInput  = user32.NewProc("SendInput")
	procMetrics    = user32.NewProc("GetSystemMetrics")
	procFindChild  = user32.NewProc("FindWindowExW")
	procGuiObjects = user32.NewProc("GetGuiResources")
	procClassName  = user32.NewProc("GetClassNameW")
)

// desk is the desktop of Windows with a person before it: build/wine/hands,
// whose mouse and keys Wine takes for hardware.
type desk struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func startDesk(t *testing.T, _ string) *desk {
	t.Helper()
	addr := os.Getenv("DAYPASS_HANDS")
	if addr == "" {
		t.Skip("needs hands: run under build/wine/with.sh")
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &desk{t: t, conn: c, in: bufio.NewReader(c)}
}

// prepareChild gives the program with the window the resolution to be tried.
func prepareChild() {
	if n, err := strconv.Atoi(os.Getenv("DAYPASS_CONSENT_DPI")); err == nil {
		dpiOf = func(hwnd) int { return n }
		dpiOfMonitor = func(found) int { return n }
	}
	switch os.Getenv("DAYPASS_CONSENT_LOOK") { // of TestShots
	case "dark":
		k, _, err := registry.CreateKey(registry.CURRENT_USER, `Software\Microsoft\Windows\CurrentVersion\Themes\Personalize`, registry.SET_VALUE)
		if err == nil {
			err = errors.Join(k.SetDWordValue("AppsUseLightTheme", 0), k.Close())
		}
		if err != nil {
			panic(err)
		}
	case "contrast": // Windows' "Night sky", as far as colours go
		index := []int32{5, 8, 13, 14, 15, 17, 18, 26}
		colors := []uint32{0, 0xffffff, 0xd6b4fd, 0x2b2b2b, 0, 0xa6a6a6, 0x53c6ff, 0x5ff4ff}
		call(user32.NewProc("SetSysColors"), uintptr(len(index)), uintptr(unsafe.Pointer(&index[0])), uintptr(unsafe.Pointer(&colors[0])))
		highContrast = func() bool { return true }
	}
}

// ownHome makes folders of home the customer's own.
func ownHome(t *testing.T, home string) {
	old := userFolders
	t.Cleanup(func() { userFolders = old })
	userFolders = func() (out [4]string) {
		for i, d := range [4]string{"Downloads", "Documents", "Desktop", "Pictures"} {
			out[i] = filepath.Join(home, d)
		}
		return out
	}
	t.Setenv("USERPROFILE", home)
}

func TestLanguage(t *testing.T) {
	old := systemLanguages
	t.Cleanup(func() { systemLanguages = old })
	for _, c := range []struct {
		asked string
		list  []string
		want  string
	}{{"de", []string{"en-US"}, "de"}, {"", []string{"fr-FR", "de-AT", "en-US"}, "de"}, {"", []string{"en-GB", "de-DE"}, "en"}, {"", []string{"nl-NL"}, "en"}, {"", nil, "en"}} {
		systemLanguages = func() []string { return c.list }
		if got := Language(c.asked); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if l := languages(); len(l) == 0 || len(l[0]) < 2 {
		t.Errorf("the system names %q", l)
	}
}

// TestFolders: the system names folders, and a receipt goes into one of them.
func TestFolders(t *testing.T) {
	f := folders()
	if !filepath.IsAbs(f[0]) || !filepath.IsAbs(f[2]) {
		t.Fatalf("%q", f)
	}
	if p := ReceiptPath("de"); !filepath.IsAbs(p) || filepath.Ext(p) != ".html" {
		t.Error(p)
	}
}

func (d *desk) hand(line string) {
	d.t.Helper()
	if _, err := fmt.Fprintln(d.conn, line); err != nil {
		d.t.Fatal(err)
	}
	s, err := d.in.ReadString('\n')
	if err != nil || s != "ok\n" {
		d.t.Fatalf("%s: %q %v", line, s, err)
	}
}

func findWindow(name string) hwnd {
	return hwnd(call(procFindWindow, 0, uintptr(unsafe.Pointer(wide(name)))))
}

func (d *desk) visible(name string) bool {
	h := findWindow(name)
	return h != 0 && h.visible()
}

// inside is where the inside of h is on the screen.
func inside(h hwnd) image.Rectangle {
	var p struct{ x, y int32 }
	call(procToScreen, uintptr(h), uintptr(unsafe.Pointer(&p)))
	at := image.Pt(int(p.x), int(p.y))
	return image.Rectangle{Min: at, Max: at.Add(h.client())}
}

func (d *desk) find(name string) (id string, x, y, w, h int) {
	d.t.Helper()
	d.wait("the window "+name, func() bool { return d.visible(name) })
	win := findWindow(name)
	r := inside(win)
	return fmt.Sprint(uintptr(win)), r.Min.X, r.Min.Y, r.Dx(), r.Dy()
}

func (d *desk) activate(id string) {
	d.t.Helper()
	n, err := strconv.Atoi(id)
	if err != nil {
		d.t.Fatal(err)
	}
	d.wait("the window in front", func() bool {
		call(procSetForeground, uintptr(n))
		return call(procGetForeground) == uintptr(n)
	})
}

func (d *desk) typ(s string)    { d.t.Helper(); d.hand("type " + s) }
func (d *desk) key(name string) { d.t.Helper(); d.hand("key " + name) }
func (d *desk) click(x, y int)  { d.t.Helper(); d.hand(fmt.Sprintf("click %d %d", x, y)) }

func (d *desk) drag(x, y, toX, toY int) {
	d.t.Helper()
	d.hand(fmt.Sprintf("move %d %d", x, y))
	d.hand("down")
	d.hand(fmt.Sprintf("move %d %d", toX, toY))
	d.hand("up")
}

// fake plays input as a technician's: by SendInput.
func (d *desk) fake(kind uint32, a, b, c, e uint32) {
	d.t.Helper()
	var r struct {
		kind, _    uint32
		a, b, c, e uint32
		time, _    uint32
		extra      uint64
	}
	r.kind, r.a, r.b, r.c, r.e = kind, a, b, c, e
	if call(procSendInput, 1, uintptr(unsafe.Pointer(&r)), unsafe.Sizeof(r)) != 1 {
		d.t.Fatal("SendInput")
	}
	time.Sleep(20 * time.Millisecond)
}

func (d *desk) fakeClick(x, y int) {
	d.t.Helper()
	w, h := int(call(procMetrics, 0)), int(call(procMetrics, 1))
	d.fake(0, uint32((x*65536+w/2)/w), uint32((y*65536+h/2)/h), 0, 0x8001)
	d.fake(0, 0, 0, 0, 0x2)
	d.fake(0, 0, 0, 0, 0x4)
}

var fakeKeys = map[string]uint32{"Return": vkReturn, "space": 32, "Tab": vkTab}

func (d *desk) fakeKey(name string) {
	d.t.Helper()
	k, ok := fakeKeys[name]
	if !ok {
		k = uint32(name[0])
	}
	d.fake(1, k, 0, 0, 0)
	d.fake(1, k, 2, 0, 0)
}

func (d *desk) fakeType(s string) {
	d.t.Helper()
	for _, r := range s {
		d.fakeKey(string(r))
	}
}

// send gives the window a press that another program posts.
func (d *desk) send(id string) {
	d.t.Helper()
	n, err := strconv.Atoi(id)
	if err != nil {
		d.t.Fatal(err)
	}
	stop := inWindow(hwnd(n), english.Stop)
	if stop == 0 {
		d.t.Fatal("no Stop")
	}
	call(procPostMessage, uintptr(stop), wmKeyDown, 32, 1)
	call(procPostMessage, uintptr(stop), wmLButtonDown, 1, 5<<16|5)
}

// inWindow is the control below h that screen readers call name.
func inWindow(h hwnd, name string) hwnd {
	var c hwnd
	for {
		if c = hwnd(call(procFindChild, uintptr(h), uintptr(c), 0, 0)); c == 0 {
			return 0
		}
		if strings.ReplaceAll(c.text(), "&", "") == name {
			return c
		}
		if below := inWindow(c, name); below != 0 {
			return below
		}
	}
}

// control waits for a control of the window by its name.
func (d *desk) control(name string) hwnd {
	d.t.Helper()
	var c hwnd
	d.wait("the control "+name, func() bool {
		c = inWindow(findWindow(english.WindowTitle), name)
		return c != 0
	})
	return c
}

func (d *desk) press(name string) {
	d.t.Helper()
	var at image.Point
	d.wait(name+" at rest", func() bool { // the page may still be coming
		was := at
		c := inWindow(findWindow(english.WindowTitle), name)
		if c == 0 {
			return false
		}
		b := c.bounds()
		at = b.Min.Add(b.Size().Div(2))
		return at == was && !b.Empty()
	})
	d.click(at.X, at.Y)
}

// TestWindowHands and TestWindowInjected: as on Linux.
func TestWindowHands(t *testing.T)    { hands(t, KindAuto) }
func TestWindowInjected(t *testing.T) { refuses(t, KindAuto) }

// TestPerson goes through a session with real hands, by mouse and keyboard.
func TestPerson(t *testing.T) {
	d := startDesk(t, "")
	w := d.window(KindAuto)
	w.say("code")
	id, _, _, _, _ := d.find(english.WindowTitle)
	d.activate(id)
	edits := func() (out []string) {
		for c := hwnd(0); ; {
			body := inWindow(findWindow(english.WindowTitle), english.CodeFirst)
			c = hwnd(call(procFindChild, call(procAncestor, uintptr(body), 1), uintptr(c), uintptr(unsafe.Pointer(wide("Edit"))), 0))
			if c == 0 {
				return out
			}
			out = append(out, typedIn(c))
		}
	}
	d.ready()
	// too few digits are said so, and stay
	d.typ("47x1")
	d.key("Return")
	d.control(english.CodeIncomplete)
	if e := edits(); len(e) != 2 || e[0] != "471" || e[1] != "" {
		t.Fatalf("%q", e)
	}
	// going on where it was, over into the second field, and back
	d.key("End")
	d.typ("18862")
	d.wait("the digits", func() bool { e := edits(); return len(e) == 2 && e[0] == "4711" && e[1] == "8862" })
	for range 5 {
		d.key("BackSpace")
	}
	d.wait("fewer digits", func() bool { e := edits(); return len(e) == 2 && e[0] == "4711" && e[1] == "" || e[0] == "471" })
	// a right that is not given
	d.press("use the mouse and the keyboard")
	// the whole code pasted into the first field
	d.clipboard("Your code: 4711 8862")
	d.wait("the pasted code", func() bool {
		if e := edits(); len(e) == 2 && e[0] == "4711" && e[1] == "8862" {
			return true
		}
		d.click(inside(d.edit(0)).Min.X+3, inside(d.edit(0)).Min.Y+3)
		d.key("ctrl a")
		d.key("ctrl v") // again: Wine's own clipboard program may have it open
		return false
	})
	d.press(english.Continue)
	if a := w.action(); a.Kind != SubmitCode || a.Text != "47118862" || a.Rights != grant.View|grant.Clipboard {
		t.Errorf("%+v", a)
	}
	// the wrong code empties the fields and says how many are left
	w.say("code-wrong")
	d.control(fmt.Sprintf(english.CodeWrongMany, "Mia Roth", 2))
	d.wait("empty fields", func() bool { e := edits(); return len(e) == 2 && e[0] == "" && e[1] == "" })

	// connected: a switch acts at once
	w.say("watching")
	d.wait("the bar", func() bool { return w.health().Shown })
	d.press("see the screen")
	got := w.action()
	next := w.action()
	if got.Kind != SetRight || got.On || got.Rights != grant.View || next.Rights != grant.Control || next.On {
		t.Errorf("%+v %+v", got, next)
	}
	// a mnemonic presses Stop
	d.stopBy(w, "alt s")
	// the keyboard reaches the bar, and Stop there
	d.key("ctrl alt Home")
	d.wait("the keyboard on the bar", func() bool { return d.front() == english.BarName })
	d.stopBy(w, "space")
	d.key("Escape")
	d.wait("the keyboard where it was", func() bool { return d.front() == english.WindowTitle })
	// a screen reader presses Stop: its message comes from another program
	d.control(english.Stop).send(bmClick, 0, 0)
	if a := w.action(); a.Kind != Stop {
		t.Errorf("%+v", a)
	}
	// a limit
	d.press(english.SetLimit)
	d.control(english.Back) // the page before has a switch of the same name
	d.pressStarting("use the mouse and the keyboard")
	d.press("for 15 minutes")
	if a := w.action(); a.Kind != SetRight || !a.On || a.Rights != grant.Control || a.For != 15*time.Minute {
		t.Errorf("%+v", a)
	}
	// the technician asks
	w.say("asked")
	d.control(english.NotNow)
	d.key("Escape") // nothing is allowed by it
	if a := w.action(); a.Kind != AnswerRight || a.On {
		t.Errorf("%+v", a)
	}
	d.pressStarting("Allow: for 30 minutes", "Allow for 30 minutes")
	if a := w.action(); a.Kind != AnswerRight || !a.On || a.For != 30*time.Minute {
		t.Errorf("%+v", a)
	}
	// the restart
	w.say("reboot")
	d.control(english.RebootYes)
	d.key("Return")
	if a := w.action(); a.Kind != RebootNo {
		t.Errorf("%+v", a)
	}
	// closing the window asks, as its button does
	w.say("quiet")
	d.control(english.EndRemove)
	d.activate(id)
	d.key("alt F4")
	d.control(english.ConfirmNo)
	d.key("Return") // keeps it
	d.control(english.DoneTitle)
	d.press(english.EndRemove)
	d.control(english.ConfirmNo)
	d.press(english.ConfirmYes)
	if a := w.action(); a.Kind != EndAndRemove {
		t.Errorf("%+v", a)
	}
	w.say("refused-unreachable")
	d.control(english.Details)
	d.press(english.Details)
	d.wait("the details", func() bool {
		body := call(procAncestor, uintptr(d.control(english.Details)), 1)
		e := hwnd(call(procFindChild, body, 0, uintptr(unsafe.Pointer(wide("Edit"))), 0))
		return e != 0 && strings.HasPrefix(typedIn(e), "offline: ")
	})
	d.press(english.TryAgain)
	if a := w.action(); a.Kind != Retry {
		t.Errorf("%+v", a)
	}
	w.close()
}

// stopBy presses keys until they stopped: on a busy machine Wine loses some.
// What came more than once is taken away.
func (d *desk) stopBy(w *window, keys string) {
	d.t.Helper()
	got := false
	d.wait(keys, func() bool {
		if !got {
			d.key(keys)
		}
		select {
		case r := <-w.out:
			if r.Action == nil || r.Action.Kind != Stop {
				d.t.Fatalf("%s: %+v %+v", keys, r, r.Action)
			}
			got = true
			return false
		case <-time.After(1500 * time.Millisecond):
			return got
		}
	})
}

// front is the name of the window in front.
func (d *desk) front() string { return hwnd(call(procGetForeground)).text() }

// ready waits until a field has the keyboard.
func (d *desk) ready() {
	d.t.Helper()
	d.wait("the keyboard in a field", func() bool {
		var b [16]uint16
		call(procClassName, uintptr(d.focus()), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		return windows.UTF16ToString(b[:]) == "Edit"
	})
}

// typedIn is the text of a field of another program.
func typedIn(h hwnd) string {
	var b [200]uint16
	h.send(0x0d, uintptr(len(b)), uintptr(unsafe.Pointer(&b[0]))) // WM_GETTEXT
	return windows.UTF16ToString(b[:])
}

// focus is what has the keyboard of the window in front.
func (d *desk) focus() hwnd {
	var g struct {
		size, flags                               uint32
		active, focus, capture, menu, move, caret hwnd
		r                                         rect
	}
	g.size = uint32(unsafe.Sizeof(g))
	call(user32.NewProc("GetGUIThreadInfo"), 0, uintptr(unsafe.Pointer(&g)))
	return g.focus
}

// edit is the i-th field of the code.
func (d *desk) edit(i int) hwnd {
	d.t.Helper()
	label := d.control(english.CodeFirst)
	body := call(procAncestor, uintptr(label), 1)
	c := hwnd(0)
	for range i + 1 {
		c = hwnd(call(procFindChild, body, uintptr(c), uintptr(unsafe.Pointer(wide("Edit"))), 0))
	}
	return c
}

func starting(h hwnd, names ...string) hwnd {
	var c hwnd
	for {
		if c = hwnd(call(procFindChild, uintptr(h), uintptr(c), 0, 0)); c == 0 {
			return 0
		}
		for _, n := range names {
			if strings.HasPrefix(strings.ReplaceAll(c.text(), "&", ""), n) {
				return c
			}
		}
		if below := starting(c, names...); below != 0 {
			return below
		}
	}
}

func (d *desk) visibleStarting(names ...string) bool {
	return starting(findWindow(english.WindowTitle), names...) != 0
}

func (d *desk) pressStarting(names ...string) {
	d.t.Helper()
	d.wait("the control "+names[0], func() bool { return d.visibleStarting(names...) })
	d.press(strings.ReplaceAll(starting(findWindow(english.WindowTitle), names...).text(), "&", ""))
}

// clipboard puts s where Ctrl+V takes it from.
func (d *desk) clipboard(s string) {
	d.t.Helper()
	text := windows.StringToUTF16(s)
	d.wait("the clipboard", func() bool { return call(user32.NewProc("OpenClipboard"), 0) != 0 })
	defer call(user32.NewProc("CloseClipboard"))
	kernel := windows.NewLazySystemDLL("kernel32.dll")
	call(user32.NewProc("EmptyClipboard"))
	m := call(kernel.NewProc("GlobalAlloc"), 2, uintptr(len(text)*2))
	p := call(kernel.NewProc("GlobalLock"), m)
	copy(unsafe.Slice(at[uint16](&p), len(text)), text)
	call(kernel.NewProc("GlobalUnlock"), m)
	if call(user32.NewProc("SetClipboardData"), 13, m) == 0 {
		d.t.Fatal("clipboard")
	}
}

// count is how many windows lie in h.
func count(h hwnd) (n int) {
	for c := hwnd(call(procFindChild, uintptr(h), 0, 0, 0)); c != 0; c = hwnd(call(procFindChild, uintptr(h), uintptr(c), 0, 0)) {
		n += 1 + count(c)
	}
	return n
}

// TestNoLeaks: pages come and go without windows or GDI objects staying.
func TestNoLeaks(t *testing.T) {
	v, err := Open(KindAuto, "en", testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	w := v.(*winView)
	all := states(time.Now())
	settle := func() (gdi, users, known int) {
		for range 3 { // what a page asks for later comes after it
			ready := make(chan struct{})
			w.l.do(func() { close(ready) })
			<-ready
		}
		ready := make(chan struct{})
		w.bar.l.do(func() { close(ready) })
		<-ready
		procs.Lock()
		defer procs.Unlock()
		p := ^uintptr(0) // GetCurrentProcess
		return int(call(procGuiObjects, p, 0)), count(w.win), len(procs.m)
	}
	round := func() {
		for _, n := range []string{"link", "code", "code-wrong", "watching", "paused", "removed-unclean", "refused-fault", "limited", "asked", "ending", "quiet"} {
			v.Show(all[n])
			settle()
		}
	}
	round()
	g, u, k := settle()
	for range 5 {
		round()
	}
	g2, u2, k2 := settle()
	t.Logf("GDI %d, windows %d, procedures %d", g2, u2, k2)
	if g2 > g+2 || u2 > u+2 || k2 != k {
		t.Errorf("after five rounds: GDI %d → %d, windows %d → %d, procedures %d → %d", g, g2, u, u2, k, k2)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	procs.Lock()
	defer procs.Unlock()
	if len(procs.m) != 0 {
		t.Errorf("%d windows are left", len(procs.m))
	}
}

func TestMnemonics(t *testing.T) {
	got := mnemonics([]string{"Stop", "see the screen", "use the mouse", "R&D", "Über", "4"})
	want := []string{"&Stop", "se&e the screen", "&use the mouse", "&R&&D", "Ü&ber", "4"}
	for i := range want {
		if got[i] != want[i] && i != 1 {
			t.Errorf("%q is not %q", got[i], want[i])
		}
	}
	if got[1] != "see &the screen" {
		t.Errorf("%q", got[1])
	}
}
