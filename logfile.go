package main

import (
	"os"
	"sync"
)

// maxLog is how long daypass.log gets, in bytes, before it becomes
// daypass.log.1 in the place of the one before: a console may run for weeks.
const maxLog = 4 << 20

// logFile is a log that stays bounded. It is safe for concurrent use.
type logFile struct {
	path string

	mu   sync.Mutex // guards all following
	f    *os.File   // nil after close, and while it cannot be opened
	size int64
}

func openLogFile(path string) (*logFile, error) {
	l := &logFile{path: path}
	return l, l.open()
}

// open is called with mu held, or before anybody else knows l.
func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.f, l.size = f, st.Size()
	return nil
}

// Write implements io.Writer; the handler gives it whole lines.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return 0, os.ErrClosed
	}
	if l.size > 0 && l.size+int64(len(b)) > maxLog {
		l.f.Close() // Windows renames no open file
		l.f = nil
		if err := os.Rename(l.path, l.path+".1"); err != nil {
			// It cannot be moved: what it says is worth less than the disk.
			if err := os.Truncate(l.path, 0); err != nil {
				return 0, err
			}
		}
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	n, err := l.f.Write(b)
	l.size += int64(n)
	return n, err
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}
