package rights

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/hostsvc/lease"
)

func at(mono, wall time.Duration, boot string) lease.Reading {
	return lease.Reading{Wall: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).Add(wall), Mono: time.Hour + mono, Boot: boot}
}

func TestALimitEndsByWhicheverClockIsAheadAndAtARestart(t *testing.T) {
	for name, c := range map[string]struct {
		now  lease.Reading
		left time.Duration
	}{
		"at once":               {at(0, 0, "a"), 30 * time.Minute},
		"in the middle":         {at(10*time.Minute, 10*time.Minute, "a"), 20 * time.Minute},
		"the clock is set back": {at(31*time.Minute, -time.Hour, "a"), 0},
		"it is set forward":     {at(time.Minute, 40*time.Minute, "a"), 0},
		"asleep":                {at(31*time.Minute, 31*time.Minute, "a"), 0},
		"after a restart":       {at(-50*time.Minute, time.Minute, "b"), 0},
	} {
		s := New(grant.View | grant.Control)
		if err := s.Allow(grant.Control, 30*time.Minute, "", at(0, 0, "a")); err != nil {
			t.Fatal(err)
		}
		left, limited := s.Next(c.now)
		if !limited || left != c.left {
			t.Errorf("%s: %v left", name, left)
		}
		if on := s.Allowed(c.now).Has(grant.Control); on != (c.left > 0) {
			t.Errorf("%s: control is %v", name, on)
		}
		over := s.Expire(c.now)
		if over.Has(grant.Control) != (c.left == 0) || over.Has(grant.View) || !s.Allowed(c.now).Has(grant.View) {
			t.Errorf("%s: over %b", name, over)
		}
		if s.Expire(c.now) != 0 {
			t.Errorf("%s: over twice", name)
		}
	}
}

func TestWhatTheCustomerSaysLastCounts(t *testing.T) {
	now := at(0, 0, "a")
	s := New(grant.Files)
	if err := s.Allow(grant.Files, time.Hour, "/home/anna/Downloads", now); err != nil {
		t.Fatal(err)
	}
	if l := s.Of(grant.Files); l == nil || l.Scope != "/home/anna/Downloads" || len(s.Leases) != 1 {
		t.Errorf("%+v", s)
	}
	if err := s.Allow(grant.Files, 0, "", now); err != nil {
		t.Fatal(err)
	}
	if l := s.Of(grant.Files); l == nil || l.Scope != "" || l.For != 0 {
		t.Errorf("%+v", s)
	}
	before := s
	for _, bad := range []func() error{
		func() error { return s.Allow(grant.View, 0, "/home/anna", now) },
		func() error { return s.Allow(grant.Files, 0, "Downloads", now) },
		func() error { return s.Allow(grant.Files, 0, "/home/../etc", now) },
		func() error { return s.Allow(grant.Files, 0, "/", now) },
		func() error { return s.Allow(grant.Files|grant.View, 0, "", now) },
		func() error { return s.Allow(grant.View, 25*time.Hour, "", now) },
	} {
		if bad() == nil || len(s.Leases) != len(before.Leases) {
			t.Errorf("taken: %+v", s)
		}
	}
	s.Forbid(grant.Files)
	if s.Allowed(now) != 0 || s.Of(grant.Files) != nil {
		t.Errorf("%+v", s)
	}
}

func TestNothingLeadsOutOfTheFolder(t *testing.T) {
	base := t.TempDir()
	dir, secret := filepath.Join(base, "Downloads"), filepath.Join(base, "secret")
	for _, d := range []string{filepath.Join(dir, "in"), secret} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{filepath.Join(dir, "in", "a"), filepath.Join(secret, "key")} {
		if err := os.WriteFile(f, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"out": secret, "up": "..", "file": filepath.Join(secret, "key"), "nowhere": filepath.Join(secret, "new"), "ok": "in", "abs": filepath.Join(dir, "in")} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := OpenScope(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for name, want := range map[string]string{
		".": ".", "in/a": "in/a", "in/../in/a": "in/a", "in/new": "in/new", "ok/a": "ok/a",
		filepath.Join(dir, "in", "a"): "in/a",
	} {
		if got, err := s.Check(name); err != nil || got != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	for _, name := range []string{
		"..", "../secret/key", "in/../../secret/key", secret, filepath.Join(secret, "key"), "/etc/passwd", "out", "out/key", "up/secret/key", "file", "nowhere", "abs/a",
		dir + "2/x", "missing/new", "", "\x00",
	} {
		if name == "" {
			continue
		}
		if got, err := s.Check(name); fault.KindOf(err) != fault.Denied {
			t.Errorf("%q: %q %v", name, got, err)
		}
	}
	if f, err := s.Root().Open("out/key"); err == nil {
		t.Errorf("opened %s", f.Name())
	}
	if _, err := OpenScope(filepath.Join(dir, "out")); err == nil {
		t.Error("a link was taken for a folder")
	}
}
