package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// peer is a remote desktop program under measurement.
type peer struct {
	name  string
	start func(s *stage, bin string) error
}

var peers = map[string]peer{
	"daypass":  {"daypass", startDaypass},
	"tigervnc": {"tigervnc", startTiger},
}

func word(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// startDaypass drives a whole session by the lab interface (docs/lab.md).
func startDaypass(s *stage, bin string) error {
	ctx := context.Background()
	data, out := filepath.Join(s.dir, "data"), filepath.Join(s.dir, "out")
	for _, d := range []string{data, out} {
		_ = os.RemoveAll(d)
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	account := filepath.Join(s.dir, "account")
	b, err := exec.CommandContext(ctx, filepath.Join(bin, "daypass-signaling"), "admin", "create", "--data", data, "--email", "bench@example.org").Output()
	if err != nil {
		return fmt.Errorf("admin create: %w", err)
	}
	if err := os.WriteFile(account, b, 0o600); err != nil {
		return err
	}
	s.start("relay", "r", nil, filepath.Join(bin, "daypass-signaling"), "serve", "--data", data, "--listen", relayIP+":8443", "--insecure-lan")
	if err := until(ctx, 20*time.Second, "the signaling server", func() bool {
		return run("ip", "netns", "exec", ns("r"), "sh", "-c", "ss -Hltn 'sport = :8443' | grep -q .") == nil
	}); err != nil {
		return fmt.Errorf("%w: %s", err, s.log("relay"))
	}
	r, w := io.Pipe()
	host := exec.CommandContext(context.Background(), "ip", "netns", "exec", ns("h"), filepath.Join(bin, "daypass-lab-host"), "run", "--headless")
	home := filepath.Join(s.dir, "home-host")
	if err := os.MkdirAll(home+"/run", 0o700); err != nil {
		return err
	}
	host.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home + "/run", "LANG=C.UTF-8", "DISPLAY=" + s.a}
	host.Stdin = r
	s.launch(host, "host")
	s.start("viewer", "v", []string{"DISPLAY=" + s.b}, filepath.Join(bin, "daypass-lab"), "--server", "http://"+relayIP+":8443", "--account", account, "--out", out)
	for _, f := range []string{"link", "code"} {
		path := filepath.Join(out, f)
		if err := until(ctx, 40*time.Second, "the "+f, func() bool { return word(path) != "" }); err != nil {
			return fmt.Errorf("%w\nhost: %s\nviewer: %s\nrelay: %s", err, s.log("host"), s.log("viewer"), s.log("relay"))
		}
		if _, err := io.WriteString(w, word(path)+"\n"); err != nil {
			return err
		}
	}
	if err := until(ctx, 40*time.Second, "the session", func() bool { return word(filepath.Join(out, "state")) == "active" }); err != nil {
		return fmt.Errorf("%w\nhost: %s\nviewer: %s", err, s.log("host"), s.log("viewer"))
	}
	return nil
}

// stats is the newest line of Daypass's own figures.
func stats(s *stage) map[string]any {
	lines := strings.Split(word(filepath.Join(s.dir, "out", "stats")), "\n")
	m := map[string]any{}
	_ = json.Unmarshal([]byte(lines[len(lines)-1]), &m)
	return m
}

// startTiger runs Debian's TigerVNC with its defaults.
func startTiger(s *stage, _ string) error {
	s.start("host", "h", []string{"DISPLAY=" + s.a}, "X0tigervnc", "-display", s.a, "-rfbport", "5900", "-SecurityTypes", "None", "-localhost=0")
	if err := until(context.Background(), 20*time.Second, "x0vncserver", func() bool {
		return run("ip", "netns", "exec", ns("h"), "sh", "-c", "ss -Hltn 'sport = :5900' | grep -q .") == nil
	}); err != nil {
		return fmt.Errorf("%w: %s", err, s.log("host"))
	}
	s.start("viewer", "v", []string{"DISPLAY=" + s.b}, "xtigervncviewer", "-SecurityTypes=None", "-RemoteResize=0", "-AlertOnFatalError=0", hostIP+"::5900")
	return nil
}
