//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"image"
	"image/draw"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"daypass/backend/rendezvous/protocol"
	"daypass/test/desk"
)

// app is the console's name on the accessibility bus.
const app = "daypass"

// email is the technician's.
const email = "tess@example.org"

// programs are what a test runs.
type programs struct {
	console, signaling string
	host               string // the customer's, as a server offers it
}

func newPrograms(t *testing.T) programs {
	t.Helper()
	bin := filepath.Join(root(t), "build", "bin")
	p := programs{console: filepath.Join(bin, "daypass"), signaling: filepath.Join(bin, "daypass-signaling")}
	for _, f := range []string{p.console, p.signaling} {
		if _, err := os.Stat(f); err != nil {
			t.Fatalf("%v (make e2e builds it)", err)
		}
	}
	p.host = build(t)
	return p
}

// serve runs a server on the node, with one technician, and returns its address
// and how to sign in.
func (p programs) serve(t *testing.T, lab *network, node string) (address string, acc account) {
	t.Helper()
	data := t.TempDir()
	out, err := exec.Command(p.signaling, "admin", "create", "--data", data, "--email", email, "--name", "Mia Roth", "--company", "Contoso IT").Output()
	if err != nil {
		t.Fatalf("admin create: %v", err)
	}
	if err := json.Unmarshal(out, &acc); err != nil || acc.Password == "" {
		t.Fatalf("admin create printed %q: %v", out, err)
	}
	server := desk.New(t, desk.Options{Name: "server", Width: 320, Height: 200, Prefix: lab.in(node)})
	address = lab.ip(node) + ":8443"
	server.Start(p.signaling, "serve", "--data", data, "--listen", address, "--insecure-lan", "--downloads", filepath.Dir(p.host))
	return address, acc
}

// signIn goes from the first start to the empty list.
func (w *technician) signIn(address string, acc account) {
	w.t.Helper()
	w.eyes.Wait(app, "", "Where should sessions meet?", 60*time.Second)
	w.desk.Save("welcome")
	w.enter("Address of the server", "http://"+address)
	w.press("push button", "Connect")
	w.eyes.Wait(app, "push button", "Sign in", 30*time.Second)
	w.enter("E-mail", acc.Email)
	w.enterAs("password text", "Password", acc.Password)
	w.press("push button", "Sign in")
	w.enter("Six digits", acc.code(w.t))
	w.press("push button", "Sign in")
	w.eyes.Wait(app, "", "Nobody is waiting", 30*time.Second)
	w.desk.Save("empty")
}

// invite makes a session and takes its link from the clipboard.
func (w *technician) invite() (link string) {
	w.t.Helper()
	w.desk.Keys("n")
	w.enter("E-mail of the customer", "anna@example.org")
	w.press("push button", "Continue to the invitation")
	w.press("push button", "Copy link")
	w.desk.Until("the link in the clipboard", 20*time.Second, func() bool {
		link = strings.TrimSpace(w.desk.Clipboard())
		return regexp.MustCompile(`^http://[0-9.]+:8443/s/[0-9A-Z]{26}#[0-9A-Z]{26}$`).MatchString(link)
	})
	w.eyes.Wait(app, "", "Waiting for the customer", 20*time.Second)
	w.desk.Save("waiting")
	return link
}

// code waits for the security code and reads it.
func (w *technician) code() (code string) {
	w.t.Helper()
	digits := regexp.MustCompile(`\b(\d{4})[\s  ](\d{4})\b`)
	w.desk.Until("the code", 30*time.Second, func() bool {
		for _, el := range w.eyes.All(app) {
			if m := digits.FindStringSubmatch(el.Name + "\n" + el.Text); m != nil {
				code = m[1] + m[2]
				return true
			}
		}
		return false
	})
	w.desk.Save("code")
	return code
}

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
	el := w.eyes.Steady(app, role, name, 30*time.Second)
	w.eyes.Press(el)
	w.desk.Until("the keyboard in "+name, 10*time.Second, func() bool { return w.eyes.Focused(el) })
	w.desk.Keys("ctrl+a")
	w.desk.Type(text)
	w.desk.Until("what was typed into "+name, 10*time.Second, func() bool { // a page that is busy shows it later
		got, ok := w.eyes.Find(app, role, name)
		return ok && (got.Text == text || (role == "password text" && utf8.RuneCountInString(got.Text) == len(text)))
	})
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
	return w.equal(func() *image.RGBA { return cust.Screen() }, when)
}

// equal is equalPictures for a part of the customer's screen.
func (w *technician) equal(there func() *image.RGBA, when string) *image.RGBA {
	w.t.Helper()
	r := w.picture()
	middle := image.Pt(r.Min.X+r.Dx()/2, r.Min.Y+r.Dy()/2)
	var got *image.RGBA
	var diff string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		// Else the page draws the customer's pointer. Again each time, as a person does: while a connection comes back, what
		// the pointer does may be lost.
		w.desk.Move(middle.Add(image.Pt(7, 7))) // it may be in the middle already
		w.desk.Move(middle)
		time.Sleep(100 * time.Millisecond)
		want := there()
		screen := w.desk.Screen()
		at, ok := locate(screen, want)
		if !ok {
			diff = "the picture is not in the window"
			continue
		}
		got = want
		n := 0
		for y := range want.Rect.Dy() {
			for x := range want.Rect.Dx() {
				if want.RGBAAt(x, y) != screen.RGBAAt(at.X+x, at.Y+y) {
					n++
				}
			}
		}
		if n == 0 {
			w.t.Logf("%s: all %d pixels are equal", when, len(want.Pix)/4)
			return got
		}
		diff = fmt.Sprintf("%d of %d pixels differ", n, len(want.Pix)/4)
	}
	w.t.Fatalf("%s: %s; screen: %s", when, diff, w.desk.Save("differs"))
	return nil
}

// locate finds want in screen by a row of its lower half that has detail.
func locate(screen, want *image.RGBA) (image.Point, bool) {
	customerW, customerH := want.Rect.Dx(), want.Rect.Dy()
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
	same := func(at image.Point, y int) bool {
		i := (at.Y+y)*screen.Stride + 4*at.X
		return string(screen.Pix[i:i+4*customerW]) == string(want.Pix[y*want.Stride:y*want.Stride+4*customerW])
	}
	line := want.Pix[row*want.Stride : row*want.Stride+64]
	var first *image.Point // many rows may look the same: the place where most do is meant
	for y := row; y-row+customerH <= screen.Rect.Dy(); y++ {
		for x := 0; x+customerW <= screen.Rect.Dx(); x++ {
			at := image.Pt(x, y-row)
			if i := y*screen.Stride + 4*x; string(screen.Pix[i:i+64]) != string(line) || !same(at, row) {
				continue
			}
			equal := 0
			for r := 0; r < customerH; r += 8 {
				if same(at, r) {
					equal++
				}
			}
			if equal > customerH/8*9/10 {
				return at, true
			}
			if first == nil {
				first = &at
			}
		}
	}
	if first != nil {
		return *first, true
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

type account struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	TOTPSeed string `json:"totp_seed"`
}

// code is what the authenticator shows now.
func (a account) code(t *testing.T) string {
	t.Helper()
	seed, err := protocol.ParseSeed(a.TOTPSeed)
	if err != nil {
		t.Fatal(err)
	}
	return protocol.TOTPCode(seed, protocol.TOTPStep(time.Now()))
}

// technician is the console and who sits before it.
type technician struct {
	t    *testing.T
	desk *desk.Desk
	eyes *desk.Eyes
	prog *desk.Proc
}

// part copies a part of a screen.
func part(of *image.RGBA, r image.Rectangle) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, r.Dx(), r.Dy()))
	draw.Draw(out, out.Rect, of, r.Min, draw.Src)
	return out
}
