package service

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// wantedEnv is what a program needs of a desktop's environment.
var wantedEnv = []string{
	"DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP",
	"WAYLAND_DISPLAY", "LANG", "LC_ALL", "LC_MESSAGES", "GTK_THEME", "QT_ACCESSIBILITY", "GTK_MODULES",
}

const maxEnviron = 256 << 10 // bytes of one process's environment that are read

// FindDesktop finds the desktop that the person with this uid is signed in to,
// by what that person's programs have in their environment. (What logind tells
// names the display but not the way to its cookie, and is missing on systems
// without it.) A display that does not answer is none. Of several the one whose
// programs are oldest counts: the session itself, not what was started in it;
// before all others the one on display, where this process itself was started
// ("" if it was not in one).
func FindDesktop(uid int, display string) (Desktop, bool) {
	return findDesktop("/proc", "/tmp/.X11-unix", uid, os.Getpid(), display)
}

func findDesktop(proc, sockets string, uid, self int, display string) (Desktop, bool) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return Desktop{}, false
	}
	dead := map[string]bool{}
	var best Desktop
	bestPID := 0
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == self {
			continue
		}
		d, ok := readDesktop(filepath.Join(proc, e.Name()), uid)
		if !ok || dead[d.Display] {
			continue
		}
		if !answers(sockets, d.Display) {
			dead[d.Display] = true
			continue
		}
		own, had := d.Display == display, best.Display == display
		if bestPID == 0 || own && !had || own == had && pid < bestPID {
			best, bestPID = d, pid
		}
	}
	return best, bestPID != 0
}

// readDesktop reads one process. Ours and those that we started are left out:
// they would keep a desktop alive that is gone.
func readDesktop(dir string, uid int) (Desktop, bool) {
	st, err := os.Stat(dir)
	if err != nil {
		return Desktop{}, false
	}
	if s, ok := st.Sys().(*syscall.Stat_t); !ok || int(s.Uid) != uid {
		return Desktop{}, false
	}
	f, err := os.Open(filepath.Join(dir, "environ"))
	if err != nil {
		return Desktop{}, false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	if err != nil || len(b) == 0 {
		return Desktop{}, false
	}
	return parseEnviron(b)
}

// MarkEnv stands in the environment of every agent.
const MarkEnv = "DAYPASS_AGENT"

// parseEnviron reads a desktop out of an environment as /proc tells it.
func parseEnviron(b []byte) (Desktop, bool) {
	var d Desktop
	seen := map[string]bool{}
	for kv := range bytes.SplitSeq(b, []byte{0}) {
		k, v, ok := strings.Cut(string(kv), "=")
		if !ok || v == "" || len(v) > 4096 || seen[k] || strings.ContainsAny(v, "\n\r") {
			continue
		}
		seen[k] = true
		if k == MarkEnv {
			return Desktop{}, false
		}
		for _, w := range wantedEnv {
			if k == w {
				d.Env = append(d.Env, k+"="+v)
			}
		}
		if k == "DISPLAY" {
			d.Display = v
		}
	}
	if _, ok := number(d.Display); !ok {
		return Desktop{}, false
	}
	return d, true
}

// number is a local display's.
func number(display string) (int, bool) {
	rest, ok := strings.CutPrefix(display, ":")
	if !ok {
		return 0, false // another computer's: that is not this person's desktop
	}
	rest, _, _ = strings.Cut(rest, ".")
	n, err := strconv.Atoi(rest)
	return n, err == nil && n >= 0 && n < 65536
}

// answers reports whether an X server listens for the display.
func answers(sockets, display string) bool {
	n, ok := number(display)
	if !ok {
		return false
	}
	name := filepath.Join(sockets, "X"+strconv.Itoa(n))
	for _, path := range []string{name, "@" + name} { // in the file system, and the abstract one
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		cancel()
		if err == nil {
			_ = c.Close() // nothing was said on it
			return true
		}
	}
	return false
}
