package main

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/hostsvc/host"
	"daypass/hostsvc/service"
)

// A downloaded program does not run from where it was downloaded to: it copies
// itself into its own folder and goes on as the copy. What its name said goes
// along through a pipe: the link's password is on no command line and in no
// environment.

const (
	startEnv    = "DAYPASS_START" // the descriptor of that pipe
	startPrefix = "start-"        // folders of copies; one each
	maxStart    = 8 << 10         // bytes in the pipe
)

// began is what the name of the downloaded file said.
type began struct {
	Link    string `json:"link,omitempty"`
	Renamed bool   `json:"renamed,omitempty"`
	Program string `json:"program,omitempty"`
}

// readName reads the name of the program's file.
func readName(exe string) began {
	name := filepath.Base(exe)
	if l, err := pairing.ParseFileName(name); err == nil {
		return began{Link: l.String(), Program: exe}
	}
	if strings.HasPrefix(strings.ToLower(name), "support_") {
		return began{Renamed: true, Program: exe}
	}
	return began{}
}

// started returns what this start is about, and how to tidy up after it.
func started() (began, func()) {
	exe, err := os.Executable()
	if err != nil {
		return began{}, func() {}
	}
	fd, err := strconv.Atoi(os.Getenv(startEnv))
	if os.Getenv(startEnv) == "" || err != nil || fd < 3 {
		return readName(exe), func() {}
	}
	_ = os.Unsetenv(startEnv) // children do not read it again
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "start")
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxStart))
	if err != nil {
		return began{}, func() {}
	}
	dir := filepath.Dir(exe)
	tidy := func() {
		if strings.HasPrefix(filepath.Base(dir), startPrefix) {
			_ = os.Remove(filepath.Join(dir, programName)) // it may have moved into the session's folder
			_ = os.Remove(dir)
			_ = os.Remove(filepath.Dir(dir)) // when nothing else is in it
		}
	}
	w, err := parseBegan(b)
	if err != nil {
		return began{}, tidy
	}
	return w, tidy
}

// parseBegan reads what the downloaded program wrote.
func parseBegan(b []byte) (began, error) {
	var w began
	if err := grant.Strict(b, &w); err != nil {
		return began{}, err
	}
	if w.Link != "" {
		if _, err := pairing.ParseLink(w.Link); err != nil {
			return began{}, err
		}
	}
	return w, nil
}

// relocate goes on as a copy of this program in the program's own folder. It
// returns only where that cannot be: then the program goes on where it is.
func relocate(log *slog.Logger) {
	exe, err := os.Executable()
	if err != nil || os.Getenv(startEnv) != "" {
		return
	}
	dir, err := host.PrepareBase(base())
	if err != nil || strings.HasPrefix(exe, dir+string(filepath.Separator)) {
		return // shown in words later; or it is there already
	}
	sweepStarts(dir)
	own := filepath.Join(dir, startPrefix+rand.Text()[:10])
	to := filepath.Join(own, programName)
	err = os.Mkdir(own, 0o700)
	if err == nil {
		err = service.CopyProgram(exe, to)
	}
	if err == nil {
		err = becomes(to, readName(exe))
	}
	log.Debug("the program stays where it is", "cause", err)
	_ = os.Remove(to)
	_ = os.Remove(own)
	_ = os.Remove(dir)
}

// becomes replaces this process by to. The lock on the file tells later starts
// that it is in use.
func becomes(to string, w began) error {
	f, err := os.Open(to)
	if err != nil {
		return err
	}
	defer f.Close()
	r, pipe, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := json.Marshal(w)
	if err == nil && len(b) <= maxStart {
		_, err = pipe.Write(b) // less than a pipe holds
	}
	if cerr := pipe.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH)
	}
	for _, fd := range []uintptr{f.Fd(), r.Fd()} {
		if err == nil {
			if _, _, e := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETFD, 0); e != 0 {
				err = e
			}
		}
	}
	if err != nil {
		return err
	}
	return syscall.Exec(to, append([]string{to}, os.Args[1:]...), append(os.Environ(), startEnv+"="+strconv.Itoa(int(r.Fd())))) // #nosec G204 -- our own copy
}

// sweepStarts removes copies that a crash left.
func sweepStarts(dir string) {
	found, err := filepath.Glob(filepath.Join(dir, startPrefix+"*"))
	if err != nil {
		return
	}
	for _, own := range found {
		f, err := os.Open(filepath.Join(own, programName))
		if err != nil {
			_ = os.Remove(own) // empty, or just being made: then it is not
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(own)
		}
		_ = f.Close()
	}
}
