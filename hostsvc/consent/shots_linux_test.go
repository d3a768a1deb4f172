package consent

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// desk is an X display of this test with a window manager.
type desk struct {
	t       *testing.T
	display string
	dir     string
	server  *exec.Cmd
}

func startDesk(t *testing.T, size string) *desk {
	t.Helper()
	for _, c := range []string{"Xvfb", "openbox", "xdotool", "import"} {
		if _, err := exec.LookPath(c); err != nil {
			t.Fatalf("this test needs %s: %v", c, err)
		}
	}
	d := &desk{t: t, dir: t.TempDir()}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", size+"x24", "-nolisten", "tcp", "-noreset", "+extension", "XINERAMA")
	c.ExtraFiles = []*os.File{w}
	d.start(c)
	d.server = c
	w.Close()
	number, err := bufio.NewReader(r).ReadString('\n') // it comes in pieces
	r.Close()
	if err != nil {
		t.Fatal(err)
	}
	d.display = ":" + strings.TrimSpace(number)
	t.Setenv("DISPLAY", d.display)
	t.Setenv("NO_AT_BRIDGE", "1")
	t.Setenv("WAYLAND_DISPLAY", "")
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	t.Setenv("XDG_RUNTIME_DIR", d.dir)
	wm := exec.Command("openbox", "--sm-disable")
	wm.Env = append(os.Environ(), "HOME="+d.dir)
	d.start(wm)
	d.wait("a window manager", func() bool {
		out, err := exec.Command("xprop", "-root", "_NET_SUPPORTING_WM_CHECK").CombinedOutput()
		return err == nil && strings.Contains(string(out), "window id")
	})
	return d
}

func (d *desk) start(c *exec.Cmd) {
	d.t.Helper()
	if err := c.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
}

func (d *desk) run(name string, args ...string) string {
	d.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestShots draws every state with DAYPASS_SHOTS=folder, to look at.
func TestShots(t *testing.T) {
	dir := os.Getenv("DAYPASS_SHOTS")
	if dir == "" {
		t.Skip("only with DAYPASS_SHOTS=folder")
	}
	kind, lang := os.Getenv("DAYPASS_SHOTS_KIND"), os.Getenv("DAYPASS_SHOTS_LANG")
	if kind == "" {
		kind = KindGTK
	}
	size := os.Getenv("DAYPASS_SHOTS_SIZE")
	if size == "" {
		size = "1280x800"
	}
	d := startDesk(t, size)
	exec.Command("xsetroot", "-solid", "#5a7184").Run()
	v, err := Open(kind, lang, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	now := time.Now()
	only := os.Getenv("DAYPASS_SHOTS_ONLY")
	for n, m := range states(now) {
		if only != "" && !strings.Contains(only, n) {
			continue
		}
		v.Show(m)
		time.Sleep(700 * time.Millisecond)
		if h := v.Bar(); m.Watching && !h.Shown {
			t.Errorf("%s: bar not shown: %+v", n, h)
		}
		d.run("import", "-window", "root", filepath.Join(dir, kind+"-"+n+".png"))
	}
}
