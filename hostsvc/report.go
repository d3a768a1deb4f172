package main

import (
	"bufio"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"daypass/backend/pairing"
	"daypass/backend/version"
)

// report is what the technician may know of this computer before the code is
// typed.
func report() pairing.HostReport {
	r := pairing.HostReport{OS: osName(), Arch: runtime.GOARCH, TimeZone: timeZone(), Language: language(), Version: version.Version}
	if n, err := os.Hostname(); err == nil {
		r.Computer = n
	}
	if u, err := user.Current(); err == nil {
		if r.User = u.Name; r.User == "" {
			r.User = u.Username
		}
	}
	return r
}

// osName is the system's own name for itself (os-release(5)).
func osName() string {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return runtime.GOOS
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if v, ok := strings.CutPrefix(s.Text(), "PRETTY_NAME="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return runtime.GOOS
}

// timeZone is the zone's name in the tz database, else its abbreviation.
func timeZone() string {
	if p, err := filepath.EvalSymlinks("/etc/localtime"); err == nil {
		if _, z, ok := strings.Cut(p, "zoneinfo/"); ok {
			return z
		}
	}
	z, _ := time.Now().Zone()
	return z
}
