package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"daypass/backend/version"
)

func call(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestVerbs(t *testing.T) {
	if code, out, _ := call(t, "version"); code != 0 || strings.TrimSpace(out) != version.Version {
		t.Errorf("version: %d %q", code, out)
	}
	for _, help := range []string{"help", "--help"} {
		code, out, _ := call(t, help)
		if code != 0 || !strings.Contains(out, "selftest") || !strings.Contains(out, "install") {
			t.Errorf("%s: %d %q", help, code, out)
		}
	}
	for _, wrong := range [][]string{{"service"}, {"agent"}, {"agent", "--state", "x", "--display", "_0"}, {"service", "--state", "x"}, {"run", "--nonsense"}, {"run", "more"}, {"verify"}, {"verify", "a", "b"}} {
		if code, out, errOut := call(t, wrong...); code != 2 || out != "" || !strings.Contains(errOut, "uninstall") {
			t.Errorf("%v: %d", wrong, code)
		}
	}
}

func TestVerifySaysWhatIsWrongWithAFile(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	d := t.TempDir()
	if err := os.WriteFile(filepath.Join(d, "a.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"a.json": "not a receipt", "b.json": "There is no file", "b.html": "There is no file"} {
		if code, out, errOut := call(t, "verify", filepath.Join(d, file)); code != 1 || out != "" || !strings.Contains(errOut, want) {
			t.Errorf("%s: %d %q %q", file, code, out, errOut)
		}
	}
	if e, err := os.ReadDir(d); err != nil || len(e) != 1 {
		t.Errorf("verify left something: %v, %v", e, err)
	}
}

func TestUninstallWithNothingToDoLeavesNothing(t *testing.T) {
	d := t.TempDir()
	t.Setenv("HOME", d)
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("DISPLAY", ":999")
	code, out, errOut := call(t, "uninstall")
	if code != 0 || !strings.Contains(out, "Nothing is left") {
		t.Errorf("%d %q %q", code, out, errOut)
	}
	if e, err := os.ReadDir(d); err != nil || len(e) != 0 {
		t.Errorf("%v, %v", e, err)
	}
}

func TestWithoutADisplayItSaysSoAndLeavesNothing(t *testing.T) {
	d := t.TempDir()
	t.Setenv("HOME", d)
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("DISPLAY", "")
	t.Setenv("WAYLAND_DISPLAY", "")
	t.Setenv("XDG_SESSION_TYPE", "")
	code, out, errOut := call(t, "run", "--headless")
	if code != 1 || !strings.Contains(out+errOut, "display") {
		t.Errorf("%d %q %q", code, out, errOut)
	}
	if e, err := os.ReadDir(d); err != nil || len(e) != 0 {
		t.Errorf("%v, %v", e, err)
	}
}

func TestWhereThingsLie(t *testing.T) {
	h := t.TempDir()
	t.Setenv("HOME", h)
	t.Setenv("XDG_STATE_HOME", "")
	if got := base(); got != filepath.Join(h, ".daypass") || !lasting(got) {
		t.Error(got)
	}
	if err := os.MkdirAll(filepath.Join(h, ".local", "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := base(); got != filepath.Join(h, ".local", "state", "daypass") || !lasting(got) {
		t.Error(got)
	}
	t.Setenv("HOME", "/nowhere")
	d := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", d)
	if got := base(); lasting(got) {
		t.Errorf("%s does not last", got)
	}
	if got := base(); got != filepath.Join(d, "daypass") {
		t.Error(got)
	}
	t.Setenv("XDG_RUNTIME_DIR", "relative")
	if got := base(); !filepath.IsAbs(got) || strings.HasPrefix(got, d) {
		t.Error(got)
	}
	for in, want := range map[string]string{":0": ":0", ":0.1": ":0", "localhost:10.0": "localhost:10", "": "none", "10.0.0.1:0": "10.0.0.1:0"} {
		t.Setenv("DISPLAY", in)
		if got := displayName(); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
