//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"daypass/backend/pairing"
	"daypass/test/desk"
)

// bad is a technician's lab console, a server and a customer's desk, for what
// goes wrong. The console's words are looked at in the pictures it leaves.
type bad struct {
	t        *testing.T
	bin      string // folder of the programs
	data     string // of the server
	address  string // of the server
	server   *desk.Proc
	tech     *desk.Desk
	cust     *desk.Desk
	seen     *desk.Eyes
	console  *desk.Proc
	out      string // of the console
	consoles int
}

// prepare builds the lab's programs and starts desks and server.
func prepare(t *testing.T) *bad {
	t.Helper()
	b := &bad{t: t, bin: t.TempDir(), data: t.TempDir()}
	for name, args := range map[string][]string{
		"daypass-lab":      {"-tags", "desktop,production,webkit2_41,lab", "."},
		"daypass-lab-host": {"-tags", "lab", "./hostsvc"},
	} {
		cmd := exec.Command("go", append([]string{"build", "-o", filepath.Join(b.bin, name)}, args...)...)
		cmd.Dir = root(t)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = l.Addr().String()
	l.Close()
	b.tech = desk.New(t, desk.Options{Name: "technician", Width: 1280, Height: 800, Bus: true})
	b.cust = desk.New(t, desk.Options{Name: "customer", Width: 800, Height: 600, Bus: true})
	b.seen = b.cust.Eyes()
	return b
}

func (b *bad) serve() {
	b.t.Helper()
	b.server = b.tech.Start(filepath.Join(root(b.t), "build", "bin", "daypass-signaling"), "serve", "--data", b.data, "--listen", b.address)
	b.tech.Until("the server", 20*time.Second, func() bool {
		c, err := net.Dial("tcp", b.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// invite starts a console with a session of its own and returns its link.
func (b *bad) invite() pairing.Link {
	b.t.Helper()
	b.consoles++
	account := filepath.Join(b.tech.Home, fmt.Sprintf("account%d", b.consoles))
	out, err := exec.Command(filepath.Join(root(b.t), "build", "bin", "daypass-signaling"), "admin", "create", "--data", b.data,
		"--email", fmt.Sprintf("mia%d@example.org", b.consoles), "--name", "Mia Roth", "--company", fmt.Sprintf("Contoso IT %d", b.consoles)).Output()
	if err == nil {
		err = os.WriteFile(account, out, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.out = filepath.Join(b.tech.Home, fmt.Sprintf("out%d", b.consoles))
	b.console = b.tech.Start(filepath.Join(b.bin, "daypass-lab"), "--server", "http://"+b.address, "--account", account, "--out", b.out)
	l, err := pairing.ParseLink(b.read("link"))
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// read waits for a file of the console.
func (b *bad) read(name string) string {
	b.t.Helper()
	var s string
	b.tech.Until("the console's "+name, 60*time.Second, func() bool {
		raw, err := os.ReadFile(filepath.Join(b.out, name))
		s = strings.TrimSpace(string(raw))
		return err == nil && s != ""
	})
	return s
}

func (b *bad) state(want string) {
	b.t.Helper()
	b.tech.Until("state "+want, 60*time.Second, func() bool { return b.read("state") == want })
}

// program is the customer's download for a link.
func (b *bad) program(host string, l pairing.Link) string {
	b.t.Helper()
	dir := filepath.Join(b.cust.Home, "Downloads")
	raw, err := os.ReadFile(host)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	path := filepath.Join(dir, l.FileName("linux"))
	if err == nil {
		err = os.WriteFile(path, raw, 0o700)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return path
}

// says waits for words on the customer's screen and keeps a picture.
func (b *bad) says(picture string, words ...string) {
	b.t.Helper()
	for _, w := range words {
		b.seen.Wait("", "", w, 40*time.Second)
	}
	b.cust.Save("bad-" + picture)
}

func (b *bad) press(button string) {
	b.t.Helper()
	b.seen.Press(b.seen.Steady("", "push button", button, 20*time.Second))
}

func (b *bad) gone(p *desk.Proc, what string) {
	b.t.Helper()
	select {
	case <-p.Done():
	case <-time.After(30 * time.Second):
		b.t.Fatalf("%s did not end", what)
	}
}

func (b *bad) terminate(p *desk.Proc, what string) {
	b.t.Helper()
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.t.Fatal(err)
	}
	b.gone(p, what)
	if code := p.Cmd.ProcessState.ExitCode(); code != 0 {
		b.t.Errorf("%s ended with %d", what, code)
	}
}

// hostState is what keeps sessions alive on the customer's computer. A note of one that is over, without its keys, may
// stay until a server was told.
func (b *bad) hostState() []string {
	var all []string
	for _, d := range []string{filepath.Join(".local", "state", "daypass"), ".daypass"} {
		found, err := filepath.Glob(filepath.Join(b.cust.Home, d, "daypass-host-*", "state.json"))
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// headless is a lab host that is fed by lines.
type headless struct {
	*desk.Proc
	in  io.WriteCloser
	out *bytes.Buffer
}

func (b *bad) headless() *headless {
	b.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	h := &headless{in: w, out: &bytes.Buffer{}}
	h.Proc = b.cust.StartWith(nil, r, h.out, filepath.Join(b.bin, "daypass-lab-host"), "run", "--headless")
	r.Close()
	b.t.Cleanup(func() { w.Close() })
	return h
}

func (h *headless) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(h.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// TestBadInput drives what goes wrong where a person meets it, with the built
// programs, and looks for the words.
func TestBadInput(t *testing.T) {
	host := build(t)
	b := prepare(t)
	run := func(name string, f func(t *testing.T)) {
		t.Log(name) // no subtests: what is started in one goes on in the next
		f(t)
	}
	var link pairing.Link
	b.serve()
	link = b.invite()

	run("no display", func(t *testing.T) {
		cmd := exec.Command(host, "run")
		cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "LANG=C"}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "desktop") {
			t.Errorf("%v: %s", err, out)
		}
		t.Logf("%s", out)
	})
	run("file without a link", func(t *testing.T) {
		p := b.cust.Start(host)
		b.says("no-link", "link")
		b.cust.Focus("Help with this computer")
		b.cust.Type("hello")
		b.press("Continue")
		b.says("no-link-unknown", "not")
		b.cust.Focus("Help with this computer")
		b.terminate(p, "the program")
	})
	run("wrong file", func(t *testing.T) {
		other := link
		other.Secret = pairing.NewSecret()
		p := b.cust.Start(b.program(host, other))
		b.says("wrong-file", "Paste")
		b.terminate(p, "the program")
	})
	run("server gone before", func(t *testing.T) {
		away := link
		u, err := url.Parse("http://127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		away.Server = u
		p := b.cust.Start(b.program(host, away))
		b.says("server-gone", "Try again")
		b.terminate(p, "the program")
	})
	run("wrong code, second program, killed and restarted", func(t *testing.T) {
		path := b.program(host, link)
		b.cust.Start(path)
		b.says("code", "Mia Roth")
		code := b.read("code")
		b.tech.Save("bad-console-code")
		second := b.cust.Start(path)
		b.says("already", "already")
		b.press("Close")
		b.gone(second, "the second program")
		wrong := pairing.NewCode()
		b.cust.Until("the window", 20*time.Second, func() bool { return b.cust.Focus("Help with this computer") })
		b.cust.Type(wrong.Digits())
		b.cust.Keys("Return")
		b.says("code-wrong", "2 tries left")
		b.tech.Save("bad-console-code-wrong")
		b.cust.Until("the window", 20*time.Second, func() bool { return b.cust.Focus("Help with this computer") })
		b.cust.Type(code)
		b.cust.Keys("Return")
		b.state("active")
		killAll(t, b.cust, path)
		b.state("offline")
		b.tech.Save("bad-console-host-killed")
		b.cust.Start(path)
		b.state("active")
		killAll(t, b.cust, path)
		b.state("offline")
	})
	old := link
	oldOut, oldConsole := b.out, b.console
	link = b.invite()
	run("another link while the session of a killed program is alive", func(t *testing.T) {
		p := b.cust.Start(b.program(host, link))
		b.says("earlier", "earlier session", "Mia Roth")
		b.press("Close")
		b.gone(p, "the program")
		h := b.headless()
		h.say(t, link.String())
		b.gone(h.Proc, "the headless program")
		if !strings.Contains(h.out.String(), `"refused"`) || !strings.Contains(h.out.String(), "Mia Roth") {
			t.Errorf("%s", h.out)
		}
	})
	run("the server loses its data in mid-session", func(t *testing.T) {
		mine := b.program(host, old)
		p := b.cust.Start(mine)
		newOut := b.out
		b.out = oldOut
		b.state("active")
		b.server.Kill()
		b.tech.Save("bad-console-server-gone")
		b.data = t.TempDir()
		acc, err := exec.Command(filepath.Join(root(t), "build", "bin", "daypass-signaling"), "admin", "create", "--data", b.data, "--email", "x@example.org").Output()
		if err != nil || !json.Valid(acc) {
			t.Fatal(err)
		}
		b.serve()
		limit := time.Now().Add(4 * time.Minute)
		if len(b.hostState()) == 0 {
			t.Fatal("no session's folder is found")
		}
		for len(b.hostState()) > 0 && time.Now().Before(limit) {
			time.Sleep(time.Second)
		}
		b.says("server-forgot", "does not know this session")
		b.tech.Save("bad-console-server-forgot")
		if _, err := os.Stat(mine); !os.IsNotExist(err) {
			t.Errorf("the program is still there: %v", err)
		}
		b.press("Close")
		b.gone(p, "the program")
		b.out = newOut
	})
	run("a console that is told to end", func(t *testing.T) {
		b.terminate(oldConsole, "the console")
		b.terminate(b.console, "the second console")
		if left, err := filepath.Glob(filepath.Join(b.tech.Temp(), "daypass-lab-*")); err != nil || len(left) != 0 {
			t.Errorf("left in the temporary folder: %v %v", left, err)
		}
	})
	run("another link while the session of a killed program is dead", func(t *testing.T) {
		link := b.invite()
		h := b.headless()
		h.say(t, link.String())
		h.say(t, b.read("code"))
		b.state("active")
		h.Kill()
		b.terminate(b.console, "the console")
		b.server.Kill()
		b.data = t.TempDir()
		if err := exec.Command(filepath.Join(root(t), "build", "bin", "daypass-signaling"), "admin", "create", "--data", b.data, "--email", "x@example.org").Run(); err != nil {
			t.Fatal(err)
		}
		b.serve()
		link = b.invite()
		h = b.headless()
		h.say(t, link.String())
		h.say(t, b.read("code"))
		b.state("active")
		b.terminate(h.Proc, "the host")
		if len(b.hostState()) != 1 {
			t.Errorf("%v", b.hostState())
		}
	})
}
