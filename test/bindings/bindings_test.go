//go:build e2e

// Package bindings drives the page in Debian's Chromium against the real
// console: the same Go methods and events that the window uses, without a fake
// in between. The console runs as a development build on a display of its own,
// with a real keyring and its embedded server.
package bindings

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"daypass/test/desk"
)

func TestPageAgainstTheRealConsole(t *testing.T) {
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "daypass-dev")
	cmd := exec.Command("go", "build", "-tags", "dev,desktop,webkit2_41", "-o", bin, ".")
	cmd.Dir = top
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()

	d := desk.New(t, desk.Options{Name: "bindings", Width: 1280, Height: 800, Bus: true})
	d.StartWith([]string{"devserver=" + address, "assetdir=" + filepath.Join(top, "frontend", "dist")}, nil, nil, bin)
	d.Until("the development server", 60*time.Second, func() bool {
		r, err := http.Get("http://" + address + "/")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	d.Until("the console's window", 60*time.Second, func() bool { return d.Focus("Daypass") })
	drive := exec.Command("node", "drive.mjs", "http://"+address+"/")
	drive.Env = append(os.Environ(), "DAYPASS_RESULTS="+os.Getenv("DAYPASS_RESULTS"))
	drive.Stdout, drive.Stderr = os.Stdout, os.Stderr
	if err := drive.Run(); err != nil {
		t.Fatalf("the page against the real console: %v; screen: %s", err, d.Save("failed"))
	}
}
