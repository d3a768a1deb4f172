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
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	d := desk.New(t, desk.Options{Name: "bindings", Width: 1280, Height: 800, Bus: true})
	post := filepath.Join(t.TempDir(), "smtpd")
	if b, err := exec.Command("go", "build", "-o", post, "daypass/test/smtpd/cmd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	mails := t.TempDir()
	cert := filepath.Join(mails, "ca.pem")
	port := mailServer(t, post, "--dir", mails, "--cert", cert, "--user", "mia", "--password", "right")
	console := func(name string) string {
		address := free(t)
		d.StartWith([]string{"devserver=" + address, "assetdir=" + filepath.Join(top, "frontend", "dist"), "DAYPASS_HOME=" + filepath.Join(d.Home, name), "SSL_CERT_FILE=" + cert}, nil, nil, bin)
		answers(d, "the development server", "http://"+address+"/")
		return "http://" + address + "/"
	}
	server := filepath.Join(top, "build", "bin", "daypass-signaling")
	data := t.TempDir()
	out, err := exec.Command(server, "admin", "create", "--data", data, "--email", "tess@example.org", "--name", "Mia Roth", "--company", "Contoso IT").Output()
	if err != nil {
		t.Fatalf("admin create: %v (make bindings builds it)", err)
	}
	var who struct {
		Email, Password string
		TOTPSeed        string `json:"totp_seed"`
	}
	if err := json.Unmarshal(out, &who); err != nil {
		t.Fatalf("admin create printed %q: %v", out, err)
	}
	address := free(t)
	d.Start(server, "serve", "--data", data, "--listen", address)
	answers(d, "the signaling server", "http://"+address+"/healthz")

	here, elsewhere := console("here"), console("elsewhere")
	drive := exec.Command("node", "drive.mjs", here, elsewhere, "http://"+address, who.Email, who.Password, who.TOTPSeed)
	drive.Env = append(os.Environ(), "DAYPASS_RESULTS="+os.Getenv("DAYPASS_RESULTS"), "SMTP_PORT="+port, "SMTP_MAILS="+mails)
	drive.Stdout, drive.Stderr = os.Stdout, os.Stderr
	if err := drive.Run(); err != nil {
		t.Fatalf("the page against the real console: %v; screen: %s", err, d.Save("failed"))
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
