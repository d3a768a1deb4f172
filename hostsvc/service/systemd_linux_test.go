package service

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daypass/hostsvc/lease"
)

// On a computer where systemd is the init and we are root, the real one takes
// root's unit, brings it back after a kill, and forgets it. It is skipped
// elsewhere; docs/untested.md says how it is run in a namespace.
func TestOnRealSystemd(t *testing.T) {
	p := Here()
	if os.Getuid() != 0 || !p.systemd() || os.Getenv("DAYPASS_TEST_SYSTEMD") == "" {
		t.Skip("not root under systemd, or not asked for by DAYPASS_TEST_SYSTEMD")
	}
	m := ForSystem(p)
	name := Prefix + "selftest"
	dir := RootDir(name)
	script := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := rootConfig(t.TempDir())
	c.Name = name
	if err := InstallRoot(t.Context(), m, dir, script, c, lease.Now()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = RemoveRoot(t.Context(), m, name, dir) })
	running := func() string {
		out, err := exec.Command("systemctl", "show", "-p", "MainPID", "--value", name+".service").Output()
		if err != nil {
			t.Fatal(err)
		}
		if s, err := m.Status(t.Context(), RootSpec(name, dir)); err != nil || !s.Running {
			return "0"
		}
		return strings.TrimSpace(string(out))
	}
	wait := func(what string, ok func() bool) {
		t.Helper()
		for range 300 {
			if ok() {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("waited for %s", what)
	}
	wait("a start", func() bool { return running() != "0" })
	first := running()
	if out, err := exec.Command("kill", "-9", first).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	wait("a start after the kill", func() bool { now := running(); return now != "0" && now != first })
	if out, err := exec.Command("systemctl", "is-enabled", name+".service").CombinedOutput(); strings.TrimSpace(string(out)) != "enabled" {
		t.Errorf("%s %v", out, err)
	}
	if err := m.Stop(t.Context(), RootSpec(name, dir)); err != nil {
		t.Error(err)
	}
	wait("a stop", func() bool { return running() == "0" })
	if err := RemoveRoot(t.Context(), m, name, dir); err != nil {
		t.Fatal(err)
	}
	if out, _ := exec.Command("systemctl", "cat", name+".service").CombinedOutput(); !strings.Contains(string(out), "No files found") {
		t.Errorf("still known: %s", out)
	}
}
