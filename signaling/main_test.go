package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daypass/signaling/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(t.Context(), args, &o, &e)
	return status, o.String(), e.String()
}

func TestUsageListsEveryVerb(t *testing.T) {
	for _, args := range [][]string{nil, {"nonsense"}, {"serve"}, {"admin"}, {"admin", "delete"}, {"verify"}, {"serve", "--data", "x", "--listen", "y", "--nonsense"}, {"backup", "--data", "x"}} {
		if st, out, err := call(t, args...); st != 2 || out != "" || err != usage {
			t.Errorf("%v: status %d, %q", args, st, out)
		}
	}
	src, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`case "([a-z ]+)"[,:]`).FindAllStringSubmatch(string(src), -1) {
		if m[1] != "help" && !strings.Contains(usage, "\n  "+m[1]) && !strings.Contains(usage, "\n  admin "+m[1]) {
			t.Errorf("verb %s is not in the usage", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?:fs\.\w+|option)\((?:&[\w.]+, )?"([a-z-]+)"`).FindAllStringSubmatch(string(src), -1) {
		if !strings.Contains(usage, "--"+m[1]) {
			t.Errorf("option --%s is not in the usage", m[1])
		}
	}
	if st, out, _ := call(t, "help"); st != 0 || out != usage {
		t.Errorf("help: %d", st)
	}
}

func TestAdminServeVerifyBackupRestore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	st, out, errs := call(t, "admin", "create", "--data", dir, "--email", "mia@example.org", "--company", "Contoso")
	var a server.Account
	if err := json.Unmarshal([]byte(out), &a); err != nil || st != 0 || a.Email != "mia@example.org" || a.Password == "" || a.Company != "Contoso" {
		t.Fatalf("%d %q %q %v", st, out, errs, err)
	}
	if st, _, errs := call(t, "admin", "create", "--data", dir, "--email", "mia@example.org"); st != 1 || !strings.Contains(errs, "already") {
		t.Errorf("twice: %d %q", st, errs)
	}
	if st, out, errs := call(t, "admin", "reset", "--data", dir, "--email", "MIA@example.org"); st != 0 || strings.Contains(out, a.Password) || !strings.Contains(out, `"password"`) {
		t.Errorf("reset: %d %q %q", st, out, errs)
	}
	if st, _, errs := call(t, "admin", "reset", "--data", dir, "--email", "x@example.org"); st != 1 || !strings.Contains(errs, "no account") {
		t.Errorf("reset of nobody: %d %q", st, errs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	pr, pw := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--turn-listen", "127.0.0.1:0"}, io.Discard, pw)
		pw.Close()
	}()
	var url string
	buf := make([]byte, 4096)
	for log := ""; url == ""; {
		n, err := pr.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		log += string(buf[:n])
		if m := regexp.MustCompile(`url=(\S+)`).FindStringSubmatch(log); m != nil {
			url = m[1]
		}
	}
	go io.Copy(io.Discard, pr)
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	resp, err := c.Get(url + "/healthz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	to := filepath.Join(t.TempDir(), "backup")
	if st, _, errs := call(t, "backup", "--data", dir, "--to", to); st != 0 {
		t.Errorf("backup beside a running server: %s", errs)
	}
	if st, _, errs := call(t, "admin", "company", "create", "--data", dir, "--name", "Fabrikam"); st != 0 {
		t.Errorf("company create: %s", errs)
	}
	if st, _, errs := call(t, "admin", "company", "create", "--data", dir, "--name", "Contoso"); st != 1 || !strings.Contains(errs, "already") {
		t.Errorf("company twice: %d %s", st, errs)
	}
	if st, _, errs := call(t, "admin", "company", "suspend", "--data", dir, "--name", "Contoso"); st != 0 {
		t.Errorf("suspend: %s", errs)
	}
	if st, out, _ := call(t, "admin", "company", "list", "--data", dir); st != 0 || !regexp.MustCompile(`Contoso +1 +0 +suspended\nFabrikam +0 +0 +active`).MatchString(out) {
		t.Errorf("list: %d\n%s", st, out)
	}
	if st, _, errs := call(t, "admin", "company", "resume", "--data", dir, "--name", "Contoso"); st != 0 {
		t.Errorf("resume: %s", errs)
	}
	if st, _, errs := call(t, "admin", "company", "resume", "--data", dir, "--name", "Nobody"); st != 1 || !strings.Contains(errs, "company list") {
		t.Errorf("resume of nobody: %d %s", st, errs)
	}
	cancel()
	if st := <-done; st != 0 {
		t.Errorf("serve ended with %d", st)
	}
	if st, out, errs := call(t, "verify", "--data", dir); st != 0 || !strings.HasPrefix(out, "ok: 6 entries, 1 signed checkpoint") {
		t.Errorf("%d %q %q", st, out, errs)
	}
	again := filepath.Join(t.TempDir(), "again")
	if st, _, errs := call(t, "admin", "restore", "--from", to, "--data", again); st != 0 {
		t.Errorf("restore: %s", errs)
	}
	if st, _, errs := call(t, "admin", "restore", "--from", to, "--data", again); st != 1 || !strings.Contains(errs, "ever written over") {
		t.Errorf("restored over data: %d %s", st, errs)
	}
	b, err := os.ReadFile(filepath.Join(to, server.DatabaseFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, server.DatabaseFile), b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad")
	if st, _, errs := call(t, "admin", "restore", "--from", to, "--data", bad); st != 1 || !strings.Contains(errs, "damaged") {
		t.Errorf("a damaged backup: %d %s", st, errs)
	}
	if left, err := os.ReadDir(bad); err != nil || slices.ContainsFunc(left, func(f os.DirEntry) bool { return f.Name() == server.DatabaseFile || f.Name() == server.KeyFile }) {
		t.Errorf("left: %v %v", left, err)
	}
	if st, _, errs := call(t, "verify", "--data", filepath.Join(dir, "none")); st != 1 || !strings.Contains(errs, "no server data") {
		t.Errorf("nothing there: %d %q", st, errs)
	}
	if st, _, errs := call(t, "serve", "--data", dir, "--listen", "0.0.0.0:0"); st != 1 || !strings.Contains(errs, "--insecure-lan") {
		t.Errorf("plain HTTP: %d %q", st, errs)
	}
}
