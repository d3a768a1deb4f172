//go:build linux || windows

package consent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// What a person and a technician do with the window is told once here, for
// every system. A desk is where they do it; each system has its own.

// TestMain: the test binary is also the program with the window, so that it
// has its own environment and its end is seen from outside.
func TestMain(m *testing.M) {
	if kind := os.Getenv("DAYPASS_CONSENT_CHILD"); kind != "" {
		os.Exit(child(kind))
	}
	goleak.VerifyTestMain(m)
}

// child shows what standard input says and tells what it sees, one JSON a line.
func child(kind string) int {
	acceptXTEST = os.Getenv("DAYPASS_CONSENT_XTEST") != ""
	prepareChild()
	out := json.NewEncoder(os.Stdout)
	v, err := Open(kind, os.Getenv("DAYPASS_CONSENT_LANG"), nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	done := make(chan struct{})
	lines := make(chan report, 64)
	go func() {
		for a := range v.Actions() {
			lines <- report{Action: &a}
		}
		close(done)
	}()
	written := make(chan struct{})
	go func() {
		for l := range lines {
			if out.Encode(l) != nil {
				break
			}
		}
		close(written)
	}()
	all := states(time.Now())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch s := in.Text(); s {
		case "bar":
			h := v.Bar()
			lines <- report{Bar: &h}
		case "close":
			err := v.Close()
			<-done
			if err == nil {
				lines <- report{Closed: true}
			}
		default:
			v.Show(all[s])
		}
	}
	close(lines)
	<-written
	return 0
}

type report struct {
	Action *Action
	Bar    *BarHealth
	Closed bool
}

// window is a child.
type window struct {
	t   *testing.T
	in  io.WriteCloser
	out chan report
	cmd *exec.Cmd
}

func (d *desk) window(kind string, env ...string) *window {
	d.t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "DAYPASS_CONSENT_CHILD="+kind, "DAYPASS_CONSENT_LANG=en")
	c.Env = append(c.Env, env...)
	c.Stderr = d.t.Output()
	in, err := c.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		d.t.Fatal(err)
	}
	w := &window{t: d.t, in: in, out: make(chan report, 64), cmd: c}
	go func() {
		defer close(w.out)
		dec := json.NewDecoder(out)
		for {
			var r report
			if dec.Decode(&r) != nil {
				return
			}
			w.out <- r
		}
	}()
	d.t.Cleanup(func() {
		in.Close()
		c.Process.Kill()
		for range w.out {
		}
		c.Wait()
	})
	return w
}

func (w *window) say(s string) {
	w.t.Helper()
	if _, err := io.WriteString(w.in, s+"\n"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *window) action() Action {
	w.t.Helper()
	select {
	case r, ok := <-w.out:
		if !ok {
			w.t.Fatal("the window is gone")
		}
		if r.Action == nil {
			w.t.Fatalf("not an action: %+v", r)
		}
		return *r.Action
	case <-time.After(20 * time.Second):
		w.t.Fatal("no action")
	}
	return Action{}
}

// health asks for BarHealth; what comes before it must not be an action.
func (w *window) health() BarHealth {
	w.t.Helper()
	w.say("bar")
	select {
	case r := <-w.out:
		if r.Bar == nil {
			w.t.Fatalf("not a health: %+v %+v", r, r.Action)
		}
		return *r.Bar
	case <-time.After(20 * time.Second):
		w.t.Fatal("no health")
	}
	return BarHealth{}
}

func (w *window) close() {
	w.t.Helper()
	w.say("close")
	for r := range w.out {
		if r.Closed {
			return
		}
	}
	w.t.Fatal("the window ended without closing")
}

// wait is for things that another process does: there is nothing to wait on.
func (d *desk) wait(what string, f func() bool) {
	d.t.Helper()
	end := time.Now().Add(30 * time.Second)
	for !f() {
		if time.Now().After(end) {
			d.t.Fatalf("waited for %s in vain", what)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// hands drives the window as a person does whose input is taken for real.
func hands(t *testing.T, kind string) {
	rest := func(d *desk) (x, y, w, h int) { // where the window is once it has grown to its page
		d.wait("the window at rest", func() bool {
			_, a, b, c, e := d.find(english.WindowTitle)
			same := a == x && b == y && c == w && e == h
			x, y, w, h = a, b, c, e
			return same
		})
		return x, y, w, h
	}
	d := startDesk(t, "1280x800")
	w := d.window(kind, "DAYPASS_CONSENT_XTEST=1")
	w.say("link")
	id, _, _, _, _ := d.find(english.WindowTitle)
	d.activate(id)
	d.ready()
	d.typ("https://example.org/s/x")
	d.key("Return")
	if a := w.action(); a.Kind != SubmitLink || a.Text != "https://example.org/s/x" {
		t.Errorf("%+v", a)
	}
	w.say("watching")
	d.wait("the bar", func() bool { return w.health().Shown })
	d.activate(id)
	d.wait("the page", func() bool {
		_, _, _, _, h := d.find(english.WindowTitle)
		return h > 500
	})
	x, y, ww, wh := rest(d)
	d.click(x+ww-60, y+wh-35)
	if a := w.action(); a.Kind != Stop {
		t.Errorf("%+v", a)
	}
	// the bar: the button stands left of the chevron
	_, bx, by, bw, bh := d.find(english.BarName)
	d.click(bx+bw-70, by+bh/2)
	if a := w.action(); a.Kind != Stop {
		t.Errorf("%+v", a)
	}
	// it can be moved, and stays where it was put
	d.drag(bx+30, by+20, bx+130, by+320)
	d.wait("the bar in its new place", func() bool {
		_, nx, ny, _, _ := d.find(english.BarName)
		return nx == bx+100 && ny == by+300 && w.health().Shown
	})
	// ending asks first
	w.say("quiet")
	d.activate(id)
	x, y, _, wh = rest(d)
	d.click(x+60, y+wh-35)
	d.wait("the question", func() bool {
		_, _, _, _, h := d.find(english.WindowTitle)
		return h < 400
	})
	x, y, _, wh = rest(d)
	d.click(x+60, y+wh-35)
	if a := w.action(); a.Kind != EndAndRemove {
		t.Errorf("%+v", a)
	}
	w.say("removed")
	d.activate(id)
	d.wait("the result", func() bool {
		_, _, _, _, h := d.find(english.WindowTitle)
		return h > 330
	})
	x, y, ww, wh = rest(d)
	d.click(x+ww-80, y+wh-35)
	if kind != KindX11 {
		dialog, _, _, _, _ := d.find(english.SaveTitle)
		d.activate(dialog)
		d.key("Return")
	}
	if a := w.action(); a.Kind != SaveReceipt || !strings.HasSuffix(a.Path, ".html") {
		t.Errorf("%+v", a)
	}
	w.say("quiet")
	d.wait("no bar", func() bool {
		h := w.health()
		return !h.Wanted && !d.visible(english.BarName)
	})
	w.close()
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// refuses: what a program makes up presses nothing while a technician may be
// the one who makes it up, in the window and on the bar.
func refuses(t *testing.T, kind string) {
	d := startDesk(t, "1024x768")
	w := d.window(kind)
	w.say("watching")
	d.wait("the bar", func() bool { return w.health().Shown })
	id, x, y, ww, wh := d.find(english.WindowTitle)
	d.activate(id)
	d.fakeKey("Return")
	d.fakeKey("space")
	d.fakeKey("Tab")
	d.fakeKey("space")
	d.fakeClick(x+ww-60, y+wh-35)
	d.send(id)
	_, bx, by, bw, bh := d.find(english.BarName)
	for px := bx + 10; px < bx+bw; px += 20 {
		d.fakeClick(px, by+bh/2)
	}
	if h := w.health(); !h.Shown { // fails when an action came
		t.Errorf("%+v", h)
	}
	w.say("code") // before the session is active it is the customer's own keyboard
	d.find(english.WindowTitle)
	d.activate(id)
	d.ready()
	d.fakeType("47118862")
	d.fakeKey("Return")
	if a := w.action(); a.Kind != SubmitCode || a.Text != "47118862" {
		t.Errorf("%+v", a)
	}
	w.close()
}
