//go:build e2e

// Package bindings drives the page in Debian's Chromium against the real
// console: the same Go methods and events that the window uses, without a fake
// in between. The console runs as a development build on a display of its own,
// with a real keyring and its embedded server.
package bindings

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// A technician, and a lead at two computers: the company's history, its key, and
// the server gone.
func TestLeadsAgainstTheRealConsoles(t *testing.T) {
	b := newBench(t, "leads")
	stop := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { b.server.Stop() }))
	t.Cleanup(stop.Close)
	t.Setenv("STOP_SERVER", stop.URL)
	b.drive("leads.mjs", b.console("lead"), b.console("technician"), b.console("second"))
}

// bench is a desk with a server of a company.
type bench struct {
	t        *testing.T
	desk     *desk.Desk
	top, bin string
	address  string // of the server
	server   *desk.Proc
	mails    string // where the mail server puts what it took, its certificate too
	post     string // its port
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
	post := filepath.Join(t.TempDir(), "smtpd")
	if out, err := exec.Command("go", "build", "-o", post, "daypass/test/smtpd/cmd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b.mails = t.TempDir()
	b.post = mailServer(t, post, "--dir", b.mails, "--cert", b.cert(), "--user", "mia", "--password", "right")
	server := filepath.Join(top, "build", "bin", "daypass-signaling")
	data := t.TempDir()
	out, err := exec.Command(server, "admin", "create", "--data", data, "--email", "tess@example.org", "--name", "Mia Roth", "--company", "Contoso IT").Output()
	if err != nil {
		t.Fatalf("admin create: %v (make bindings builds it)", err)
	}
	if err := json.Unmarshal(out, &b.who); err != nil {
		t.Fatalf("admin create printed %q: %v", out, err)
	}
	b.server = b.desk.Start(server, "serve", "--data", data, "--listen", b.address)
	answers(b.desk, "the signaling server", "http://"+b.address+"/healthz")
	return b
}

func (b *bench) cert() string { return filepath.Join(b.mails, "ca.pem") }

// console starts one with a profile of its own and returns where its page is.
func (b *bench) console(name string) string {
	b.t.Helper()
	address := free(b.t)
	b.desk.StartWith([]string{"devserver=" + address, "assetdir=" + filepath.Join(b.top, "frontend", "dist"), "DAYPASS_HOME=" + filepath.Join(b.desk.Home, name), "SSL_CERT_FILE=" + b.cert()}, nil, nil, b.bin)
	answers(b.desk, "the development server", "http://"+address+"/")
	return "http://" + address + "/"
}

// drive runs a journey.
func (b *bench) drive(journey string, consoles ...string) {
	b.t.Helper()
	drive := exec.Command("node", append(append([]string{journey}, consoles...), "http://"+b.address, b.who.Email, b.who.Password, b.who.TOTPSeed)...)
	drive.Env = append(os.Environ(), "DAYPASS_DISPLAY="+b.desk.Display, "DAYPASS_EXPORTS="+b.t.TempDir(), "DAYPASS_RESULTS="+os.Getenv("DAYPASS_RESULTS"), "SMTP_PORT="+b.post, "SMTP_MAILS="+b.mails)
	drive.Stdout, drive.Stderr = os.Stdout, os.Stderr
	if err := drive.Run(); err != nil {
		b.t.Fatalf("%s: %v; screen: %s", journey, err, b.desk.Save("failed"))
	}
}

// mailServer runs the mail server of the tests and returns its port; it ends
// with the test.
func mailServer(t *testing.T, args ...string) string {
	t.Helper()
	c := exec.Command(args[0], args[1:]...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(port)
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
