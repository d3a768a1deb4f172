package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"daypass/backend/fault"
)

// Lock keeps a second host program of the same user away from a display. The
// system releases it when the process dies, however it dies.
type Lock struct {
	f    *os.File
	path string
}

// Busy says that another host program holds the lock.
type Busy struct {
	Holder string // whose session it serves, as a phrase; "" when it has none yet
	PID    int
	fault  *fault.Error
}

// Error returns the fault's text.
func (b *Busy) Error() string { return b.fault.Error() }

// Unwrap returns the *fault.Error of kind Conflict.
func (b *Busy) Unwrap() error { return b.fault }

type holder struct {
	PID     int    `json:"pid"`
	Session string `json:"session"` // "Mia Roth, Contoso IT"
}

// fileName makes a display's name fit for a file. It leaves its own result as
// it is.
func fileName(display string) string {
	return strings.Map(func(c rune) rune {
		if (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' {
			return c
		}
		return '_'
	}, display)
}

// Acquire takes the lock of display in folder dir.
func Acquire(dir, display string) (*Lock, error) {
	path := filepath.Join(dir, "host-"+fileName(display)+".lock")
	for range 3 {
		f, err := openLock(path)
		if err != nil {
			return nil, fault.Wrap(err, fault.Internal, "host.lock", "The program cannot store what it needs.", "Make some room on the disk, then try again.")
		}
		held, err := tryLock(f)
		for try := 0; err == nil && !held && try < 3; try++ { // somebody may only be looking, see Held
			time.Sleep(20 * time.Millisecond)
			held, err = tryLock(f)
		}
		if err != nil {
			f.Close()
			return nil, fault.Wrap(err, fault.Internal, "host.lock", "The program cannot make sure that it runs only once.", "")
		}
		if !held {
			h := readHolder(f)
			f.Close()
			return nil, &Busy{Holder: h.Session, PID: h.PID, fault: fault.New(fault.Conflict, "host.lock", "Daypass is running on this computer already.", "Use the window that is open, or end that session first.")}
		}
		// The file may have been removed by the one who held it before.
		mine, err1 := f.Stat()
		there, err2 := os.Lstat(path)
		if err1 == nil && err2 == nil && os.SameFile(mine, there) {
			l := &Lock{f: f, path: path}
			if err := l.Name(""); err != nil {
				l.Release()
				return nil, err
			}
			return l, nil
		}
		f.Close()
	}
	return nil, fault.New(fault.Conflict, "host.lock", "Daypass is being started or ended on this computer at this moment.", "Wait a few seconds, then start it again.")
}

// Held reports whether a host program serves display now.
func Held(dir, display string) bool {
	f, err := os.OpenFile(filepath.Join(dir, "host-"+fileName(display)+".lock"), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	free, err := tryLock(f)
	return err == nil && !free
}

// PrepareBase makes the folder for lock and state and makes sure that it is this
// user's alone. It returns its cleaned name.
func PrepareBase(dir string) (string, error) { return prepareBase(dir) }

// Name tells those who come later whose session this is.
func (l *Lock) Name(session string) error {
	b, err := json.Marshal(holder{PID: os.Getpid(), Session: session})
	if err == nil {
		err = l.f.Truncate(0)
	}
	if err == nil {
		_, err = l.f.WriteAt(b, 0)
	}
	if err != nil {
		return fault.Wrap(err, fault.Full, "host.lock", "The program cannot store what it needs.", "Make some room on the disk, then try again.")
	}
	return nil
}

func readHolder(f *os.File) holder {
	b, err := io.ReadAll(io.LimitReader(io.NewSectionReader(f, 0, 4096), 4096))
	if err != nil {
		return holder{}
	}
	h, err := parseHolder(b)
	if err != nil {
		return holder{}
	}
	return h
}

// parseHolder reads a lock file's content.
func parseHolder(b []byte) (holder, error) {
	var h holder
	if len(b) > 4096 {
		return h, errors.New("host: lock file too large")
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return holder{}, fmt.Errorf("host: lock file: %w", err)
	}
	if len(h.Session) > 300 {
		return holder{}, errors.New("host: lock file: name too long")
	}
	return h, nil
}

// Path returns the lock's file.
func (l *Lock) Path() string { return l.path }

// Release removes the file and the lock. It may be called twice and on nil.
func (l *Lock) Release() {
	if l == nil || l.f == nil {
		return
	}
	os.Remove(l.path)
	l.f.Close()
	l.f = nil
}

// prepareBase makes the folder for lock and state and makes sure that it is
// this user's alone.
func prepareBase(dir string) (string, error) {
	dir = filepath.Clean(dir)
	err := os.Mkdir(dir, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fault.Wrap(err, fault.Full, "host.base", "The program cannot store what it needs.", "Make some room on the disk, then try again.")
	}
	st, err := os.Lstat(dir)
	if err != nil || !st.IsDir() || !private(st) {
		return "", fault.Wrap(err, fault.Denied, "host.base", "The folder for this program's keys does not belong to you alone.", "Remove "+dir+", then start the program again.")
	}
	return dir, nil
}

func removeEmpty(dir string) { os.Remove(dir) } // fails while there is something in it, as it should

func removeProgram(path string, log *slog.Logger) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the downloaded program could not be removed", "cause", err)
	}
}
