package faults

import (
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"daypass/backend/rendezvous"
	"daypass/hostsvc/screen/screentest"
	"daypass/signaling/signalingtest"
)

// A session goes on over the loss of its server: the backup was made while it
// served, and what is restored from it serves under the same address. Console
// and customer's program come back by themselves, people sign in, and the
// session ends and is removed as if nothing had been.
func TestTheSessionGoesOnAfterARestore(t *testing.T) {
	l := newLife(t, screentest.Xvfb(t, "320x240"), plan{"", ":0", "technician", "person"})
	l.between = func() {
		admin := func(args ...string) {
			t.Helper()
			if out, err := exec.Command(program(t, "signaling"), append([]string{"admin"}, args...)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v: %s", args, err, out)
			}
		}
		backup, restored := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "restored")
		admin("backup", "--data", l.data, "--to", backup)
		l.server.stop() // its disk is gone, too
		admin("restore", "--from", backup, "--data", restored)
		l.data = restored
		l.startServer()
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			conn, err := net.Dial("tcp", l.listen)
			if err == nil {
				conn.Close()
				break
			}
			if time.Now().After(end) {
				t.Fatal(err)
			}
		}
		c := rendezvous.NewClient(rendezvous.ConsoleConfig{Server: l.url, Key: signalingtest.Key(t), Tokens: &signalingtest.Memory{}})
		defer c.Close()
		if _, err := c.SignIn(t.Context(), rendezvous.SignIn{Email: l.account.Email, Password: l.account.Password, ConsoleName: "another"}); err != nil {
			t.Fatal(err)
		}
		s, err := c.Sessions(t.Context())
		if err != nil || len(s.Sessions) != 1 || s.Sessions[0].ID.String() != l.id || s.Sessions[0].State != rendezvous.Active {
			t.Fatalf("%v: %+v", err, s)
		}
	}
	l.run()
}
