//go:build e2e

// Package bindings drives the page in Debian's Chromium against the real
// console: the same Go methods and events that the window uses, without a fake
// in between. The console runs as a development build on a display of its own,
// with a real keyring and its embedded server.
package bindings

import (
	"encoding/json"
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
	b := newBench(t, "bindings")
	b.drive("drive.mjs", b.console("here"), b.console("elsewhere"))
}

// An admin, a colleague who is invited, and what the one does about the other.
func TestPeopleAgainstTheRealConsoles(t *testing.T) {
	b := newBench(t, "people")
	b.drive("people.mjs", b.console("admin"), b.console("colleague"))
}

// bench is a desk with a server of a company.
type bench struct {
	t        *testing.T
	desk     *desk.Desk
	top, bin string
	address  string // of the server
	who      struct {
		Email, Password string
		TOTPSeed        string `json:"totp_seed"`
	}
}

func newBench(t *testing.T, name string) *bench {
	t.Helper()
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, top: top, bin: filepath.Join(t.TempDir(), "daypass-dev"), address: free(t)}
	cmd := exec.Command("go", "build", "-tags", "dev,desktop,webkit2_41", "-o", b.bin, ".")
	cmd.Dir = top
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b.desk = desk.New(t, desk.Options{Name: name, Width: 1280, Height: 800, Bus: true})
	server := filepath.Join(top, "build", "bin", "daypass-signaling")
	data := t.TempDir()
	out, err := exec.Command(server, "admin", "create", "--data", data, "--email", "tess@example.org", "--name", "Mia Roth", "--company", "Contoso IT").Output()
	if err != nil {
		t.Fatalf("admin create: %v (make bindings builds it)", err)
	}
	if err := json.Unmarshal(out, &b.who); err != nil {
		t.Fatalf("admin create printed %q: %v", out, err)
	}
	b.desk.Start(server, "serve", "--data", data, "--listen", b.address)
	answers(b.desk, "the signaling server", "http://"+b.address+"/healthz")
	return b
}

// console starts one with a profile of its own and returns where its page is.
func (b *bench) console(name string) string {
	b.t.Helper()
	address := free(b.t)
	b.desk.StartWith([]string{"devserver=" + address, "assetdir=" + filepath.Join(b.top, "frontend", "dist"), "DAYPASS_HOME=" + filepath.Join(b.desk.Home, name)}, nil, nil, b.bin)
	answers(b.desk, "the development server", "http://"+address+"/")
	return "http://" + address + "/"
}

// drive runs a journey.
func (b *bench) drive(journey string, consoles ...string) {
	b.t.Helper()
	drive := exec.Command("node", append(append([]string{journey}, consoles...), "http://"+b.address, b.who.Email, b.who.Password, b.who.TOTPSeed)...)
	drive.Env = append(os.Environ(), "DAYPASS_DISPLAY="+b.desk.Display, "DAYPASS_EXPORTS="+b.t.TempDir(), "DAYPASS_RESULTS="+os.Getenv("DAYPASS_RESULTS"))
	drive.Stdout, drive.Stderr = os.Stdout, os.Stderr
	if err := drive.Run(); err != nil {
		b.t.Fatalf("%s: %v; screen: %s", journey, err, b.desk.Save("failed"))
	}
}

// free is an address of this computer that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func answers(d *desk.Desk, what, url string) {
	d.Until(what, 60*time.Second, func() bool {
		r, err := http.Get(url)
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}
