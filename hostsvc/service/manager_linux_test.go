package service

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"daypass/backend/fault"
)

var odd = []string{"service", "--state", `/home/a b/100%/"x"\y`}

// fixture is a computer with a systemctl that writes down how it was called.
func fixture(t *testing.T, systemctl string) (Places, func() []string) {
	t.Helper()
	d := t.TempDir()
	p := Places{
		System: filepath.Join(d, "etc"), User: filepath.Join(d, ".config", "systemd", "user"), Autostart: filepath.Join(d, ".config", "autostart"),
		Booted: filepath.Join(d, "booted"), Systemctl: filepath.Join(d, "systemctl"),
	}
	for _, dir := range []string{p.System, p.Booted} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	calls := filepath.Join(d, "calls")
	if err := os.WriteFile(p.Systemctl, []byte("#!/bin/sh\necho \"$@\" >> '"+calls+"'\n"+systemctl+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return p, func() []string {
		b, err := os.ReadFile(calls)
		if err != nil {
			return nil
		}
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

func spec(t *testing.T) Spec {
	t.Helper()
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	return Spec{Name: "daypass-host-0123", Program: program, Args: odd}
}

func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	if err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error { out = append(out, p); return err }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryManagerPutsWhatItListsAndTakesItAway(t *testing.T) {
	for name, kept := range map[string]struct {
		manager func(Places) Manager
		after   After
		calls   []string
	}{
		"person":    {ForUser, Login, []string{"--no-ask-password --user daemon-reload", "--no-ask-password --user start --no-block daypass-host-0123.service"}},
		"computer":  {ForSystem, Boot, []string{"--no-ask-password daemon-reload", "--no-ask-password start --no-block daypass-host-0123.service"}},
		"autostart": {func(p Places) Manager { p.Booted = "/nowhere"; return ForUser(p) }, Login, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p, calls := fixture(t, "")
			m, s, ctx := kept.manager(p), spec(t), t.Context()
			before := tree(t, filepath.Dir(p.Booted))
			if m.After() != kept.after {
				t.Errorf("after a restart: %q", m.After())
			}
			items := m.Items(s)
			for range 2 { // and again
				if err := m.Install(ctx, s); err != nil {
					t.Fatal(err)
				}
			}
			var put, listed []string
			for _, f := range tree(t, filepath.Dir(p.Booted)) {
				if !slices.Contains(before, f) {
					put = append(put, f)
				}
			}
			for _, it := range items {
				listed = append(listed, it.Path)
				if it.What == "" {
					t.Errorf("%s has no words", it.Path)
				}
			}
			slices.Sort(listed)
			slices.Sort(put)
			if !slices.Equal(put, listed) {
				t.Errorf("put    %q\nlisted %q", put, listed)
			}
			if len(calls()) != 0 {
				t.Errorf("Install called %q", calls())
			}
			if st, err := m.Status(ctx, s); err != nil && kept.calls == nil || !st.Installed {
				t.Errorf("%+v, %v", st, err)
			}
			if err := m.Start(ctx, s); err != nil {
				t.Fatal(err)
			}
			if got := calls(); kept.calls != nil && !slices.Equal(got[1:], kept.calls) { // the first is Status
				t.Errorf("called %q", got)
			}
			for range 2 {
				if err := m.Remove(ctx, s); err != nil {
					t.Fatal(err)
				}
			}
			for _, it := range slices.Backward(items) {
				if it.Folder {
					if err := os.Remove(it.Path); err != nil {
						t.Error(err)
					}
				}
			}
			if after := tree(t, filepath.Dir(p.Booted)); len(after) > len(before)+1 { // calls
				t.Errorf("left: %q", after)
			}
		})
	}
}

func TestUnitsAreWhatSystemdTakes(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here")
	}
	p, _ := fixture(t, "")
	s := spec(t)
	for _, m := range []Manager{ForUser(p), ForSystem(p)} {
		if err := m.Install(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"--user", p.User}, {"--system", p.System}} {
		cmd := exec.Command(tool, "verify", args[0], "--man=no", "--generators=no", filepath.Join(args[1], s.Name+".service"))
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), s.Name) {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
	}
}

func TestManagerThatRefusesSaysSo(t *testing.T) {
	p, _ := fixture(t, "echo 'Failed to connect to bus: No medium found' >&2; exit 1")
	m, s := ForUser(p), spec(t)
	if err := m.Install(t.Context(), s); err != nil {
		t.Fatal("the entry needs no manager that answers:", err)
	}
	err := m.Start(t.Context(), s)
	if f := fault.Of(err); fault.KindOf(err) != fault.Unsupported || f.Hint == "" || !strings.Contains(err.Error(), "No medium found") {
		t.Errorf("%v", err)
	}
	if err := m.Install(t.Context(), Spec{Name: "daypass-host-../x", Program: "/x"}); err == nil {
		t.Error("a name that leaves the folder")
	}
	if err := m.Install(t.Context(), Spec{Name: "daypass-host-a", Program: "/x", Args: []string{"a\nExecStartPre=/bin/sh"}}); err == nil {
		t.Error("a word that adds a line to the unit")
	}
	if os.Getuid() != 0 { // root writes everywhere
		p.System = "/proc/none"
		if err := ForSystem(p).Install(t.Context(), s); fault.KindOf(err) != fault.Full {
			t.Errorf("%v", err)
		}
	}
}

func TestDesktopIsFoundByItsPrograms(t *testing.T) {
	proc, sockets := t.TempDir(), t.TempDir()
	listen := func(n string) net.Listener {
		l, err := net.Listen("unix", filepath.Join(sockets, "X"+n))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	put := func(pid string, env ...string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(proc, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "environ"), []byte(strings.Join(env, "\x00")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	uid := os.Getuid()
	find := func() string {
		d, ok := findDesktop(proc, sockets, uid, 1, "")
		if ok != (d.Display != "") {
			t.Errorf("%+v, %v", d, ok)
		}
		return d.Display
	}
	if got := find(); got != "" {
		t.Errorf("nobody is there: %q", got)
	}
	put("1", "DISPLAY=:7")   // we
	put("300", "DISPLAY=:9") // a server that is gone
	put("400", "DISPLAY=far:0")
	put("500", "HOME=/x")
	put("250", "DISPLAY=:7", MarkEnv+"=1")
	if got := find(); got != "" {
		t.Errorf("no server: %q", got)
	}
	listen("7")
	if got := find(); got != "" {
		t.Errorf("only ourselves are there: %q", got)
	}
	put("700", "DISPLAY=:7.0", "XAUTHORITY=/run/a", "SECRET=x", "LANG=de_DE.UTF-8")
	put("800", "DISPLAY=:7")
	d, ok := findDesktop(proc, sockets, uid, 1, "")
	if want := []string{"DISPLAY=:7.0", "XAUTHORITY=/run/a", "LANG=de_DE.UTF-8"}; !ok || !slices.Equal(d.Env, want) {
		t.Errorf("%+v", d)
	}
	if _, ok := findDesktop(proc, sockets, uid+1, 1, ""); ok {
		t.Error("another person's desktop")
	}
	// Of two the one that we were started in, however old the other is, while it
	// is there.
	listen("3")
	put("150", "DISPLAY=:3")
	put("900", "DISPLAY=:9")
	for own, want := range map[string]string{"": ":3", ":7": ":7", ":3": ":3", ":9": ":3", ":55": ":3"} {
		if d, ok := findDesktop(proc, sockets, uid, 1, own); !ok || d.Display != want {
			t.Errorf("started in %q: %q, want %q", own, d.Display, want)
		}
	}
}

func FuzzParseEnviron(f *testing.F) {
	f.Add([]byte("DISPLAY=:0\x00XAUTHORITY=/a\x00"))
	f.Add([]byte("DISPLAY=:0\x00DISPLAY=:1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, ok := parseEnviron(b)
		if !ok {
			return
		}
		seen := map[string]bool{}
		for _, kv := range d.Env {
			k, v, _ := strings.Cut(kv, "=")
			if seen[k] || v == "" || strings.ContainsAny(kv, "\x00\n") || !slices.Contains(wantedEnv, k) {
				t.Fatalf("%q", kv)
			}
			seen[k] = true
		}
	})
}

func TestProcessEndsWhenAsked(t *testing.T) {
	for _, script := range []string{"trap 'exit 0' INT; while :; do sleep 0.05; done", "exec true"} {
		a, err := Launch(exec.Command("sh", "-c", script))
		if err != nil {
			t.Fatal(err)
		}
		a.Stop()
		<-a.Done()
	}
	if _, err := Launch(exec.Command("/nowhere/at/all")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
