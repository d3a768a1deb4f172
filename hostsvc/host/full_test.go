//go:build unix

package host

import (
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/hostsvc/consent"
)

// full makes every write to a file fail, as on a full disk, in this process.
func full(t *testing.T, on bool) {
	t.Helper()
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
		t.Fatal(err)
	}
	if l.Cur = l.Max; on {
		l.Cur = 0
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
		t.Fatal(err)
	}
}

// TestFullDisk runs TestFullDiskChild in a process of its own: the limit that
// stands for the full disk is the whole process's.
func TestFullDisk(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDiskChild$", "-test.v")
	cmd.Env = append(os.Environ(), "DAYPASS_TEST_FULL=1")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 4 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestFullDiskChild(t *testing.T) {
	if os.Getenv("DAYPASS_TEST_FULL") == "" {
		return // only as the child of TestFullDisk
	}
	signal.Ignore(syscall.SIGXFSZ)
	t.Run("at the start", func(t *testing.T) {
		r := newRig(t)
		full(t, true)
		r.start()
		m := r.view.screen(t, consent.Refused)
		full(t, false)
		if !strings.Contains(m.Fault.Message, "cannot store") || !strings.Contains(m.Fault.Hint, "room on the disk") {
			t.Errorf("%+v", m.Fault)
		}
		r.do(consent.Action{Kind: consent.Leave})
		if err := r.wait(); err == nil {
			t.Error("no fault")
		}
		if _, err := os.Lstat(r.cfg.Base); !os.IsNotExist(err) {
			t.Error("something is left")
		}
	})
	t.Run("after the code", func(t *testing.T) {
		r := newRig(t)
		r.start()
		r.view.screen(t, consent.EnterCode)
		full(t, true)
		r.do(consent.Action{Kind: consent.SubmitCode, Text: r.server.code.Digits(), Rights: Offered})
		m := r.view.screen(t, consent.Refused)
		full(t, false)
		if m.Fault.Kind != fault.Full || m.Fault.Hint == "" {
			t.Errorf("%+v", m.Fault)
		}
		r.do(consent.Action{Kind: consent.Leave})
		if err := r.wait(); fault.KindOf(err) != fault.Full {
			t.Error(err)
		}
		if _, err := os.Lstat(r.cfg.Base); !os.IsNotExist(err) {
			t.Errorf("something is left: %v", folders(r.cfg.Base))
		}
	})
	t.Run("in mid-session", func(t *testing.T) {
		r := newRig(t)
		r.activate()
		full(t, true)
		r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Clipboard, On: false})
		r.view.until(t, "the right", func(m consent.Model) bool { return !m.Allowed.Has(grant.Clipboard) })
		r.remote() // goes on
		r.do(consent.Action{Kind: consent.EndAndRemove})
		m := r.view.screen(t, consent.Removed) // and the end needs no room
		full(t, false)
		if !m.Report.Clean || m.Report.By != grant.ByCustomer {
			t.Errorf("%+v", m.Report)
		}
		r.do(consent.Action{Kind: consent.Leave})
		if err := r.wait(); err != nil {
			t.Error(err)
		}
	})
}
