package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/hostsvc/lease"
)

func rootConfig(dir string) RootConfig {
	return RootConfig{
		Version: 1, Name: "daypass-host-0123", UID: 1000, GID: 1000, Groups: []int{1000}, User: "anna", Home: "/home/anna",
		Program: filepath.Join(dir, "person"), Args: []string{"service"}, Until: time.Now().Add(time.Hour),
	}
}

// rooted is root's service as installed, with its person's part played by script.
func rooted(t *testing.T, script string) (*Root, *atomic.Int32, *atomic.Int32) {
	t.Helper()
	p, _ := fixture(t, "")
	m := ForSystem(p)
	dir := filepath.Join(filepath.Dir(p.Booted), "root")
	exe, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	c := rootConfig(dir)
	items := RootItems(m, c.Name, dir)
	for range 2 {
		if err := InstallRoot(t.Context(), m, dir, exe, c, lease.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for _, it := range items {
		if _, err := os.Lstat(it.Path); err != nil {
			t.Errorf("listed and not there: %v", err)
		}
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	got, err := LoadRoot(dir)
	if err != nil || got.Program != c.Program {
		t.Fatalf("%+v %v", got, err)
	}
	var boots, removed atomic.Int32
	r := &Root{
		Config: got, Dir: dir, Clock: lease.Now, Log: slog.New(slog.DiscardHandler),
		Command: func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, "sh", "-c", script) },
		Reboot:  func(context.Context) error { boots.Add(1); return nil },
		Remove: func(ctx context.Context) error {
			removed.Add(1)
			if err := RemoveRoot(ctx, m, c.Name, dir); err != nil {
				return err
			}
			for _, it := range items {
				if _, err := os.Lstat(it.Path); err == nil && !it.Folder {
					return errors.New(it.Path + " is left")
				}
			}
			return nil
		},
	}
	return r, &boots, &removed
}

func TestRootKnowsTwoVerbsAndGoesWithTheSession(t *testing.T) {
	r, boots, removed := rooted(t, "echo restart; echo 'rm -rf /'; echo nonsense; sleep 0.2; echo leave; sleep 0.2; exit 0")
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if boots.Load() != 1 || removed.Load() != 2 {
		t.Errorf("%d restarts, removed %d times", boots.Load(), removed.Load())
	}
}

func TestRootBringsThePersonsPartBack(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "n")
	r, _, removed := rooted(t, "echo x >> "+mark+"; [ $(wc -l < "+mark+") -ge 2 ] && exit 0; kill -9 $$")
	if err := r.Run(t.Context()); err != nil || removed.Load() != 1 {
		t.Errorf("%v, removed %d times", err, removed.Load())
	}
	b, err := os.ReadFile(mark)
	if err != nil || strings.Count(string(b), "x") != 2 {
		t.Errorf("%q %v", b, err)
	}
}

func TestRootGoesWhenThePersonsPartIsGone(t *testing.T) {
	r, _, removed := rooted(t, "")
	r.Command = func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, r.Config.Program) }
	if err := r.Run(t.Context()); err != nil || removed.Load() != 1 {
		t.Errorf("%v, removed %d times", err, removed.Load())
	}
}

func TestRootStaysWhenTheComputerGoesDown(t *testing.T) {
	r, _, removed := rooted(t, "trap 'exit 1' INT; while :; do sleep 0.05; done")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := r.Run(ctx); !errors.Is(err, context.DeadlineExceeded) || removed.Load() != 0 {
		t.Errorf("%v, removed %d times", err, removed.Load())
	}
}

func TestVerbsGoThroughTheFolder(t *testing.T) {
	d := t.TempDir()
	if v, ok := Asked(d); ok {
		t.Errorf("%q", v)
	}
	if err := Ask(d, Restart); err != nil {
		t.Fatal(err)
	}
	if v, ok := Asked(d); !ok || v != Restart {
		t.Errorf("%q %v", v, ok)
	}
	if _, ok := Asked(d); ok {
		t.Error("twice")
	}
	if err := os.WriteFile(filepath.Join(d, verbName), []byte("sh -c x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, ok := Asked(d); ok {
		t.Errorf("%q", v)
	}
}

func TestRootConfigIsReadStrictly(t *testing.T) {
	for name, change := range map[string]func(*RootConfig){
		"root":     func(c *RootConfig) { c.UID = 0 },
		"name":     func(c *RootConfig) { c.Name = "daypass-host-../../etc" },
		"home":     func(c *RootConfig) { c.Home = "relative" },
		"newline":  func(c *RootConfig) { c.Args = []string{"a\nUser=root"} },
		"no end":   func(c *RootConfig) { c.Until = time.Time{} },
		"version":  func(c *RootConfig) { c.Version = 9 },
		"relative": func(c *RootConfig) { c.Program = "x" },
	} {
		c := rootConfig("/x")
		change(&c)
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRootConfig(b); fault.KindOf(err) != fault.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseRootConfig(f *testing.F) {
	b, err := json.Marshal(rootConfig("/x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseRootConfig(b)
		if err != nil {
			return
		}
		if c.UID < 1 || bytes.ContainsAny([]byte(c.Name), "/.\n") {
			t.Fatalf("%+v", c)
		}
	})
}

func FuzzParseVerb(f *testing.F) {
	f.Add("restart\n")
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := ParseVerb(s); err == nil && v != Restart && v != Leave {
			t.Fatalf("%q", v)
		}
	})
}

// The groups that root's service gives the person's program come from the system.
func TestGroupsComeFromTheSystem(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Skip("this system does not tell who runs the test")
	}
	want, err := me.GroupIds()
	if err != nil {
		t.Skip(err)
	}
	gid, groups, err := GroupsOf(t.Context(), os.Getuid())
	if err != nil || strconv.Itoa(gid) != me.Gid {
		t.Fatalf("%d %v", gid, err)
	}
	for _, g := range groups {
		if !slices.Contains(want, strconv.Itoa(g)) {
			t.Errorf("group %d is not of %v", g, want)
		}
	}
	if _, _, err := GroupsOf(t.Context(), 1<<30); fault.KindOf(err) != fault.Denied {
		t.Errorf("somebody who does not exist: %v", err)
	}
}
