// Package desk gives a test a person's desk: an X display of its own with a
// window manager, a session bus with keyring and accessibility, programs on it,
// a hand (xdotool), a clipboard (xclip) and eyes (screenshots read from the
// server). It must not know Daypass: what it does, a person could do.
package desk

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// Desk is one desktop. All processes started on it end with the test.
type Desk struct {
	Display string // ":7"
	Home    string // HOME of what runs on it, empty at the start
	Bus     string // address of its session bus, "" without one
	t       testing.TB
	name    string
	dir     string
	prefix  []string // command that enters the desk's network namespace
	x       *xgb.Conn
	root    xproto.Window
	procs   []*Proc

	handOnce sync.Once
	handErr  error // the display takes no hand
}

// Options of a new desk.
type Options struct {
	Name   string   // for logs
	Width  int      // pixels
	Height int      // pixels
	Bus    bool     // with session bus, keyring service and accessibility bus
	Prefix []string // command in front of every program, to enter a network namespace
	Home   string   // an existing HOME to use; "" makes a fresh one
}

// Proc is a program on a desk. Its output goes to a log that is shown when the
// test fails.
type Proc struct {
	Cmd  *exec.Cmd
	Log  string
	done chan struct{}
}

// New starts a desk and registers its end with the test.
func New(t testing.TB, o Options) *Desk {
	t.Helper()
	d := &Desk{t: t, name: o.Name, dir: t.TempDir(), prefix: o.Prefix, Home: o.Home}
	if d.Home == "" {
		d.Home = filepath.Join(d.dir, "home")
	}
	for _, p := range []string{d.Home, d.runtimeDir(), d.Temp()} {
		if err := os.MkdirAll(p, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(d.end)

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), "Xvfb", "-displayfd", "3", "-screen", "0", fmt.Sprintf("%dx%dx24", o.Width, o.Height), "-nolisten", "tcp", "-ac", "-noreset", "-dpi", "96", "+extension", "RANDR")
	cmd.ExtraFiles = []*os.File{w}
	d.start(cmd, "xvfb")
	w.Close()
	line := make(chan string, 1)
	go func() {
		number, err := bufio.NewReader(r).ReadString('\n')
		if err != nil {
			number = ""
		}
		r.Close()
		line <- strings.TrimSpace(number)
	}()
	select {
	case n := <-line:
		if n == "" {
			t.Fatalf("desk %s: Xvfb did not start", o.Name)
		}
		d.Display = ":" + n
	case <-time.After(20 * time.Second):
		t.Fatalf("desk %s: Xvfb did not start", o.Name)
	}
	if d.x, err = xgb.NewConnDisplay(d.Display); err != nil {
		t.Fatalf("desk %s: %v", o.Name, err)
	}
	d.root = xproto.Setup(d.x).DefaultScreen(d.x).Root

	if o.Bus {
		out := d.Output("dbus-daemon", "--session", "--fork", "--print-address=1", "--print-pid=1")
		lines := strings.Fields(out)
		if len(lines) < 2 {
			t.Fatalf("desk %s: session bus: %q", o.Name, out)
		}
		d.Bus = lines[0]
		pid, err := strconv.Atoi(lines[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGTERM) })
		key := d.command(context.Background(), "gnome-keyring-daemon", "--unlock", "--components=secrets", "--foreground")
		key.Stdin = strings.NewReader("test")
		d.start(key, "keyring")
		d.Until("the keyring service", 20*time.Second, func() bool {
			// Asking the service itself would have the bus start a second, locked one.
			return strings.Contains(d.Try("dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"), "boolean true")
		})
		d.Start("/usr/libexec/at-spi-bus-launcher", "--launch-immediately")
	}
	d.Start("openbox", "--sm-disable")
	d.Until("the window manager", 20*time.Second, func() bool {
		return strings.Contains(d.Try("xprop", "-root", "_NET_SUPPORTING_WM_CHECK"), "window id")
	})
	return d
}

func (d *Desk) runtimeDir() string { return filepath.Join(d.dir, "run") }

// Runtime is XDG_RUNTIME_DIR of what runs on the desk.
func (d *Desk) Runtime() string { return d.runtimeDir() }

// Temp is the folder for temporary files of what runs on the desk.
func (d *Desk) Temp() string { return filepath.Join(d.dir, "tmp") }

// Env is the environment of programs on the desk.
func (d *Desk) Env() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.Home, "DISPLAY=" + d.Display, "XDG_RUNTIME_DIR=" + d.runtimeDir(), "TMPDIR=" + d.Temp(), "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
		"XDG_CONFIG_HOME=" + filepath.Join(d.Home, ".config"), "XDG_SESSION_TYPE=x11", "NO_AT_BRIDGE=0", "GTK_USE_PORTAL=0", "GDK_BACKEND=x11",
	}
	if d.Bus != "" {
		env = append(env, "DBUS_SESSION_BUS_ADDRESS="+d.Bus)
	} else {
		env = append(env, "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent")
	}
	return env
}

func (d *Desk) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	full := append(append([]string{}, d.prefix...), name)
	full = append(full, args...)
	cmd := exec.CommandContext(ctx, full[0], full[1:]...)
	cmd.Env = d.Env()
	cmd.Dir = d.Home
	return cmd
}

func (d *Desk) start(cmd *exec.Cmd, name string) *Proc {
	d.t.Helper()
	p := &Proc{Cmd: cmd, Log: filepath.Join(d.dir, fmt.Sprintf("%02d-%s.log", len(d.procs), filepath.Base(name))), done: make(chan struct{})}
	f, err := os.Create(p.Log)
	if err != nil {
		d.t.Fatal(err)
	}
	if cmd.Stdout == nil {
		cmd.Stdout = f
	}
	cmd.Stderr = f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := launch(cmd); err != nil {
		d.t.Fatalf("desk %s: %s: %v", d.name, name, err)
	}
	f.Close()
	d.procs = append(d.procs, p)
	go func() { _ = cmd.Wait(); close(p.done) }() // how it ended, its log says
	return p
}

// launch starts programs from one thread that lives as long as the test does:
// their Pdeathsig comes when the thread that started them ends, and threads of
// goroutines that changed their namespace do end.
func launch(cmd *exec.Cmd) error {
	starter.Do(func() {
		go func() {
			runtime.LockOSThread()
			for r := range starts {
				r.err <- r.cmd.Start()
			}
		}()
	})
	r := start{cmd, make(chan error, 1)}
	starts <- r
	return <-r.err
}

type start struct {
	cmd *exec.Cmd
	err chan error
}

var (
	starter sync.Once
	starts  = make(chan start)
)

// Start runs a program on the desk until the desk ends.
func (d *Desk) Start(name string, args ...string) *Proc {
	d.t.Helper()
	return d.start(d.command(context.Background(), name, args...), name)
}

// StartWith is Start with more environment ("K=V") and standard input and
// output (nil: none, and the log).
func (d *Desk) StartWith(env []string, in io.Reader, out io.Writer, name string, args ...string) *Proc {
	d.t.Helper()
	cmd := d.command(context.Background(), name, args...)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin, cmd.Stdout = in, out
	return d.start(cmd, name)
}

// Running reports whether the program has not ended.
func (p *Proc) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Done is closed when the program has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Kill ends the program and everything it started, at once.
func (p *Proc) Kill() {
	if p.Running() {
		_ = syscall.Kill(-p.Cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// Stop asks the program to end and waits up to ten seconds before it kills it.
func (p *Proc) Stop() {
	if !p.Running() {
		return
	}
	_ = syscall.Kill(-p.Cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.Kill()
	}
}

// Output runs a program to its end and returns what it printed; failure fails
// the test.
func (d *Desk) Output(name string, args ...string) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := d.command(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatalf("desk %s: %s %v: %v: %s%s", d.name, name, args, err, out, stderr.String())
	}
	return string(out)
}

// Try is Output that returns "" where the program fails.
func (d *Desk) Try(name string, args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := d.command(ctx, name, args...).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// Until waits for what a person would wait for; after the limit the test fails
// with a screenshot in test/results.
func (d *Desk) Until(what string, limit time.Duration, ok func() bool) {
	d.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("desk %s: waited %v for %s; screen: %s", d.name, limit, what, d.Save("failed"))
		}
	}
}

// Click presses the left button at a place on the screen, after moving there.
func (d *Desk) Click(x, y int) {
	d.t.Helper()
	d.Move(image.Pt(x, y)) // xdotool's would wait for a move where the pointer is there already
	time.Sleep(mousePause)
	d.Button(1, true)
	d.Button(1, false)
}

// Keys presses key combinations ("ctrl+a", "Return") as a hand does.
func (d *Desk) Keys(keys ...string) {
	d.t.Helper()
	d.Output("xdotool", append([]string{"key", "--delay", "40"}, keys...)...)
}

// Type types text as a hand does.
func (d *Desk) Type(text string) {
	d.t.Helper()
	d.Output("xdotool", "type", "--delay", "30", "--", text)
}

// Clipboard returns the text in the clipboard, "" where there is none.
func (d *Desk) Clipboard() string { return d.Try("xclip", "-selection", "clipboard", "-o") }

// Focus raises the first window whose title contains name and gives it the
// keyboard; it reports whether there was one.
func (d *Desk) Focus(name string) bool {
	ids := strings.Fields(d.Try("xdotool", "search", "--onlyvisible", "--name", name))
	if len(ids) == 0 {
		return false
	}
	return d.command(context.Background(), "xdotool", "windowactivate", "--sync", ids[0]).Run() == nil
}

// Screen reads the whole screen.
func (d *Desk) Screen() *image.RGBA {
	d.t.Helper()
	img, err := d.screen()
	if err != nil {
		d.t.Fatalf("desk %s: screenshot: %v", d.name, err)
	}
	return img
}

func (d *Desk) screen() (*image.RGBA, error) {
	if d.x == nil {
		return nil, errors.New("no connection to the display")
	}
	g, err := xproto.GetGeometry(d.x, xproto.Drawable(d.root)).Reply()
	if err != nil {
		return nil, err
	}
	r, err := xproto.GetImage(d.x, xproto.ImageFormatZPixmap, xproto.Drawable(d.root), 0, 0, g.Width, g.Height, ^uint32(0)).Reply()
	if err != nil {
		return nil, err
	}
	img := image.NewRGBA(image.Rect(0, 0, int(g.Width), int(g.Height)))
	if len(r.Data) < len(img.Pix) {
		return nil, fmt.Errorf("%d bytes for %d×%d", len(r.Data), g.Width, g.Height)
	}
	for i := 0; i < len(img.Pix); i += 4 {
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = r.Data[i+2], r.Data[i+1], r.Data[i], 255
	}
	return img, nil
}

// Save writes a screenshot to test/results and returns its path.
func (d *Desk) Save(name string) string {
	img, err := d.screen()
	if err != nil {
		return err.Error()
	}
	dir := os.Getenv("DAYPASS_RESULTS")
	if dir == "" {
		dir = d.dir
	}
	p := filepath.Join(dir, d.name+"-"+name+".png")
	f, err := os.Create(p)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		return err.Error()
	}
	return p
}

// Left lists what of a program is left on the desk: processes on its display
// whose executable or command line contains any of the words.
func (d *Desk) Left(words ...string) []string {
	var out []string
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return []string{err.Error()}
	}
	for _, p := range dirs {
		cmd, err := os.ReadFile(p + "/cmdline")
		if err != nil {
			continue
		}
		env, err := os.ReadFile(p + "/environ")
		if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), "DISPLAY="+d.Display) {
			continue
		}
		exe, err := os.Readlink(p + "/exe")
		if err != nil {
			exe = ""
		}
		for _, w := range words {
			if strings.Contains(string(cmd), w) || strings.Contains(exe, w) {
				out = append(out, filepath.Base(p)+" "+strings.ReplaceAll(string(cmd), "\x00", " "))
				break
			}
		}
	}
	return out
}

func (d *Desk) end() {
	if d.t.Failed() {
		d.t.Logf("desk %s at its end: %s", d.name, d.Save("end"))
		for _, p := range d.procs {
			b, err := os.ReadFile(p.Log)
			if err != nil || len(bytes.TrimSpace(b)) == 0 {
				continue
			}
			if len(b) > 6000 {
				b = append([]byte("…"), b[len(b)-6000:]...)
			}
			d.t.Logf("--- %s %s\n%s", d.name, filepath.Base(p.Log), b)
		}
	}
	for i := len(d.procs) - 1; i > 0; i-- {
		d.procs[i].Stop()
	}
	if d.x != nil {
		d.x.Close()
	}
	if len(d.procs) > 0 {
		d.procs[0].Stop()
	}
}
