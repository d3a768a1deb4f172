//go:build e2e

// Package e2e is the one true end-to-end: the release console in its real
// window, a server process, the customer's program on a desktop of its own,
// three network namespaces between them, and nothing read that a person could
// not see: the link comes from the clipboard, the code through the
// accessibility tree, the picture from the two screens.
package e2e

import (
	"encoding/json"
	"fmt"
	"image"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"daypass/test/desk"
)

const (
	customerW, customerH = 800, 600
	email                = "tess@example.org"
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// build compiles the customer's program with the one difference that a test
// needs: clicks and keys made by XTEST count as the customer's own.
func build(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "daypass-host-linux-"+runtime.GOARCH)
	cmd := exec.Command("go", "build", "-tags", "e2e", "-o", out, "./hostsvc")
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return out
}

type account struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// technician is the console and who sits before it.
type technician struct {
	t    *testing.T
	desk *desk.Desk
	eyes *desk.Eyes
	prog *desk.Proc
}

const app = "daypass"

func (w *technician) start(bin string) {
	w.t.Helper()
	w.prog = w.desk.Start(bin)
	w.desk.Until("the console's window", 60*time.Second, func() bool { return w.desk.Focus("Daypass") })
}

func (w *technician) press(role, name string) {
	w.t.Helper()
	w.eyes.Press(w.eyes.Steady(app, role, name, 30*time.Second))
	time.Sleep(200 * time.Millisecond)
}

func (w *technician) enter(name, text string) {
	w.t.Helper()
	w.enterAs("entry", name, text)
}

func (w *technician) enterAs(role, name, text string) {
	w.t.Helper()
	w.press(role, name)
	w.desk.Keys("ctrl+a")
	w.desk.Type(text)
}

func TestWholeSession(t *testing.T) {
	top := root(t)
	bin := func(name string) string { return filepath.Join(top, "build", "bin", name) }
	for _, p := range []string{"daypass", "daypass-signaling"} {
		if _, err := os.Stat(bin(p)); err != nil {
			t.Fatalf("%v (make e2e builds it)", err)
		}
	}
	host := build(t)
	lab := newNetwork(t, "console", "host", "server")

	// A server somewhere, with one technician.
	data := t.TempDir()
	out, err := exec.Command(bin("daypass-signaling"), "admin", "create", "--data", data, "--email", email, "--name", "Mia Roth", "--company", "Contoso IT").Output()
	if err != nil {
		t.Fatalf("admin create: %v", err)
	}
	var acc account
	if err := json.Unmarshal(out, &acc); err != nil || acc.Password == "" {
		t.Fatalf("admin create printed %q: %v", out, err)
	}
	server := desk.New(t, desk.Options{Name: "server", Width: 320, Height: 200, Prefix: lab.in("server")})
	address := lab.ip("server") + ":8443"
	server.Start(bin("daypass-signaling"), "serve", "--data", data, "--listen", address, "--insecure-lan", "--downloads", filepath.Dir(host))

	// Two desks.
	tech := &technician{t: t, desk: desk.New(t, desk.Options{Name: "technician", Width: 1280, Height: 800, Bus: true, Prefix: lab.in("console")})}
	tech.eyes = tech.desk.Eyes()
	cust := desk.New(t, desk.Options{Name: "customer", Width: customerW, Height: customerH, Bus: true, Prefix: lab.in("host")})
	seen := cust.Eyes()
	notes := filepath.Join(cust.Home, "notes.txt")
	if err := os.WriteFile(notes, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cust.Start("mousepad", "--disable-server", notes)
	cust.Until("the customer's editor", 30*time.Second, func() bool { return cust.Focus("notes.txt") })
	cust.Keys("ctrl+End")
	time.Sleep(time.Second)
	before := inventory(t, cust.Home)

	// First start: a server, sign in.
	tech.start(bin("daypass"))
	tech.eyes.Wait(app, "", "Where should sessions meet?", 60*time.Second)
	tech.desk.Save("welcome")
	tech.enter("Address of the server", "http://"+address)
	tech.press("push button", "Connect")
	tech.eyes.Wait(app, "push button", "Sign in", 30*time.Second)
	tech.enter("E-mail", acc.Email)
	tech.enterAs("password text", "Password", acc.Password)
	tech.press("push button", "Sign in")
	tech.eyes.Wait(app, "", "Nobody is waiting", 30*time.Second)
	tech.desk.Save("empty")

	// A session, as a technician makes it.
	tech.desk.Keys("n")
	tech.enter("E-mail of the customer", "anna@example.org")
	tech.press("push button", "Continue to the invitation")
	tech.press("push button", "Copy link")
	var link string
	tech.desk.Until("the link in the clipboard", 20*time.Second, func() bool {
		link = strings.TrimSpace(tech.desk.Clipboard())
		return regexp.MustCompile(`^http://[0-9.]+:8443/s/[0-9A-Z]{26}#[0-9A-Z]{26}$`).MatchString(link)
	})
	tech.eyes.Wait(app, "", "Waiting for the customer", 20*time.Second)
	tech.desk.Save("waiting")

	// The customer opens the link, downloads the program and runs it.
	name, href := invitation(t, cust, link)
	cust.Save("page")
	program := filepath.Join(cust.Home, "Downloads", name)
	lab.download(t, "host", address, href, program)
	customer := cust.Start(program)
	seen.Wait("", "", "Mia Roth", 30*time.Second)
	cust.Save("code")

	// The code appears on one side, is said, and typed on the other.
	digits := regexp.MustCompile(`\b(\d{4})[\s  ](\d{4})\b`)
	var code string
	tech.desk.Until("the code", 30*time.Second, func() bool {
		for _, el := range tech.eyes.All(app) {
			if m := digits.FindStringSubmatch(el.Name + "\n" + el.Text); m != nil {
				code = m[1] + m[2]
				return true
			}
		}
		return false
	})
	tech.desk.Save("code")
	cust.Until("the customer's window", 20*time.Second, func() bool { return cust.Focus("Help with this computer") })
	cust.Type(code)
	cust.Keys("Return")
	tech.eyes.Wait(app, "", "Active until", 30*time.Second)
	tech.desk.Save("active")

	// Remote Control: the picture is the customer's screen, pixel for pixel.
	tech.openRemote()
	tech.desk.Save("remote")
	cust.Until("the editor in front", 10*time.Second, func() bool { return cust.Focus("notes.txt") })
	first := tech.equalPictures(cust, "at the start")
	tech.typeRemote("The quick brown fox; ")
	second := tech.equalPictures(cust, "after typing")
	if string(first.Pix) == string(second.Pix) {
		t.Error("typing changed nothing in the picture")
	}

	// The cable is cut for five seconds.
	lab.cut("console")
	cut := time.Now()
	tech.eyes.Wait(app, "", "The connection is interrupted", 5*time.Second)
	tech.desk.Save("interrupted")
	time.Sleep(time.Until(cut.Add(5 * time.Second)))
	lab.mend("console")
	mended := time.Now()
	tech.desk.Until("the picture to come back", 30*time.Second, func() bool {
		_, ok := tech.eyes.Find(app, "", "The connection is interrupted")
		return !ok
	})
	t.Logf("the picture is back %.1f s after the cable", time.Since(mended).Seconds())
	tech.typeRemote("jumps over ")
	tech.equalPictures(cust, "after the cut")

	// The console dies and is started again.
	tech.prog.Kill()
	tech.start(bin("daypass"))
	tech.press("", "Remote Control")
	tech.picture()
	tech.typeRemote("the lazy dog.")
	tech.equalPictures(cust, "after the restart")
	tech.desk.Keys("ctrl+s")
	want := "The quick brown fox; jumps over the lazy dog."
	cust.Until("the text on the customer's disk", 20*time.Second, func() bool {
		b, err := os.ReadFile(notes)
		return err == nil && strings.Contains(string(b), want)
	})

	// The end: nothing of the program is left.
	tech.leaveRemote()
	tech.press("push button", "End session now")
	tech.eyes.Wait(app, "", "End the session with", 20*time.Second)
	tech.desk.Save("end")
	tech.confirm("End session now")
	seen.Wait("", "", "Everything was removed", 60*time.Second)
	cust.Save("report")
	cust.Until("the report's window", 10*time.Second, func() bool { return cust.Focus("Help with this computer") })
	cust.Keys("alt+F4") // the report stays until the customer closes it
	cust.Until("the program to end", 20*time.Second, func() bool { return !customer.Running() })
	tech.eyes.Wait(app, "", "emoved", 30*time.Second)
	tech.desk.Save("ended")
	if left := leftovers(t, cust, before, name); len(left) != 0 {
		t.Errorf("left on the customer's computer: %v", left)
	}
	// The check itself bites.
	planted := filepath.Join(cust.Home, ".config", "daypass-host-planted")
	if err := os.WriteFile(planted, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, cust, before, name); !slices.ContainsFunc(left, func(s string) bool { return strings.Contains(s, "planted") }) {
		t.Errorf("a planted left-over was not found: %v", left)
	}
}

// invitation opens the link in a browser on the customer's desk and reads what
// the page offers: the name of the file and where it comes from.
func invitation(t *testing.T, cust *desk.Desk, link string) (name, href string) {
	t.Helper()
	dom := cust.Output("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--virtual-time-budget=4000", "--user-data-dir="+t.TempDir(), "--dump-dom", link)
	if !strings.Contains(dom, "Contoso IT") || !strings.Contains(dom, "Mia Roth") {
		t.Fatalf("the page does not say who invites: %.2000s", dom)
	}
	for _, a := range regexp.MustCompile(`<a\b[^>]*>`).FindAllString(dom, -1) {
		n := regexp.MustCompile(`download="(Support_[^"]+)"`).FindStringSubmatch(a)
		h := regexp.MustCompile(`href="([^"]+linux-` + runtime.GOARCH + `[^"]*)"`).FindStringSubmatch(a)
		if n != nil && h != nil {
			return n[1], h[1]
		}
	}
	t.Fatalf("the page offers no download for this system: %.3000s", dom)
	return "", ""
}

func (w *technician) openRemote() {
	w.t.Helper()
	w.press("", "Remote Control")
	w.picture()
}

// picture waits for the customer's screen in the window and says where it is.
func (w *technician) picture() image.Rectangle {
	w.t.Helper()
	var r image.Rectangle
	w.desk.Until("the customer's screen in the window", 30*time.Second, func() bool {
		el, ok := w.eyes.Find(app, "", "Screen of")
		r = image.Rect(el.X, el.Y, el.X+el.W, el.Y+el.H)
		return ok && el.W > 100
	})
	return r
}

// equalPictures finds the customer's screen in the technician's and requires
// that every pixel is the same. It waits, because the last change may be on its
// way and bars slide away.
func (w *technician) equalPictures(cust *desk.Desk, when string) *image.RGBA {
	w.t.Helper()
	r := w.picture()
	w.desk.Output("xdotool", "mousemove", "--sync", strconv.Itoa(r.Min.X+r.Dx()/2), strconv.Itoa(r.Min.Y+r.Dy()/2)) // else the page draws the customer's pointer
	var got *image.RGBA
	var diff string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		want := cust.Screen()
		screen := w.desk.Screen()
		at, ok := locate(screen, want)
		if !ok {
			diff = "the picture is not in the window"
			continue
		}
		got = want
		n := 0
		for y := range customerH {
			for x := range customerW {
				if want.RGBAAt(x, y) != screen.RGBAAt(at.X+x, at.Y+y) {
					n++
				}
			}
		}
		if n == 0 {
			w.t.Logf("%s: all %d pixels are equal", when, customerW*customerH)
			return got
		}
		diff = fmt.Sprintf("%d of %d pixels differ", n, customerW*customerH)
	}
	w.t.Fatalf("%s: %s; screens: %s %s", when, diff, w.desk.Save("differs"), cust.Save("differs"))
	return nil
}

// locate finds want in screen by a row of its lower half that has detail.
func locate(screen, want *image.RGBA) (image.Point, bool) {
	row := -1
	for y := customerH - 1; y > customerH/3 && row < 0; y-- {
		colours := map[[4]byte]bool{}
		for x := range customerW {
			c := want.RGBAAt(x, y)
			colours[[4]byte{c.R, c.G, c.B, c.A}] = true
		}
		if len(colours) >= 4 {
			row = y
		}
	}
	if row < 0 {
		return image.Point{}, false
	}
	line := want.Pix[row*want.Stride : row*want.Stride+4*customerW]
	for y := row; y < screen.Rect.Dy(); y++ {
		for x := 0; x+customerW <= screen.Rect.Dx(); x++ {
			i := y*screen.Stride + 4*x
			if string(screen.Pix[i:i+64]) == string(line[:64]) && string(screen.Pix[i:i+len(line)]) == string(line) && y-row+customerH <= screen.Rect.Dy() {
				return image.Pt(x, y-row), true
			}
		}
	}
	return image.Point{}, false
}

// typeRemote types into the editor on the customer's computer, through the
// console's window: a click into the text, then keys.
func (w *technician) typeRemote(text string) {
	w.t.Helper()
	r := w.picture()
	w.desk.Click(r.Min.X+r.Dx()/2, r.Min.Y+r.Dy()/2)
	w.desk.Keys("ctrl+End")
	w.desk.Type(text)
	time.Sleep(500 * time.Millisecond)
}

// leaveRemote gives the keyboard back to the console.
func (w *technician) leaveRemote() {
	w.t.Helper()
	w.desk.Keys("ctrl+alt+Escape")
	time.Sleep(300 * time.Millisecond)
}

// confirm presses the button of that name which is in a dialog: the last one.
func (w *technician) confirm(name string) {
	w.t.Helper()
	var last *desk.Element
	for _, el := range w.eyes.All(app) {
		if el.Role == "push button" && el.Name == name {
			last = &el
		}
	}
	if last == nil {
		w.t.Fatalf("no button %q:\n%s", name, w.eyes.Describe(app))
	}
	w.eyes.Press(*last)
}

// inventory lists the files under a HOME.
func inventory(t *testing.T, home string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(home, func(p string, _ fs.DirEntry, err error) error {
		if err == nil {
			out[p] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// leftovers compares the customer's computer with what it was: processes of the
// program, and files that carry its name or were not there before. Files of
// other programs (the editor, the desktop, the browser) do not count.
func leftovers(t *testing.T, cust *desk.Desk, before map[string]bool, program string) []string {
	t.Helper()
	var out []string
	for _, p := range cust.Left(program, "daypass-host") {
		out = append(out, "process "+p)
	}
	others := regexp.MustCompile(`/(Mousepad|mousepad|dconf|gtk-3\.0|openbox|chromium|pulse|\.cache|\.pki|at-spi|keyrings|gvfs[^/]*|recently-used[^/]*)(/|$)`)
	mine := regexp.MustCompile(`(?i)daypass|^Support_`)
	for _, dir := range []string{cust.Home, filepath.Join(filepath.Dir(cust.Home), "run"), cust.Temp()} {
		for p := range inventory(t, dir) {
			name := filepath.Base(p)
			switch {
			case before[p], dir == cust.Home && name == "Downloads":
			case mine.MatchString(name):
				out = append(out, p)
			case dir == cust.Home && !others.MatchString(p):
				if st, err := os.Stat(p); err == nil && !st.IsDir() {
					out = append(out, p)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}
