package removal

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"daypass/backend/grant"
)

// stepsName is the log of steps in the state folder.
const stepsName = "steps.log"

// maxSteps bounds the log that is read, in bytes.
const maxSteps = 4 << 20

// stepLine is one line of the log: a step begins, or is done.
type stepLine struct {
	Path string `json:"path,omitempty"`
	Do   string `json:"do"` // "run", "begin" or "done"
}

// stepLog is the durable log of what the removal has done so far. A disk that
// is full stops no removal: what cannot be logged is done all the same, and
// done once more after a crash.
type stepLog struct {
	path string
	done map[string]bool
	runs int // earlier beginnings of a removal
}

func openSteps(dir string) *stepLog {
	l := &stepLog{path: filepath.Join(dir, stepsName), done: map[string]bool{}}
	f, err := os.Open(l.path)
	if err != nil {
		return l
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSteps))
	if err != nil {
		return l
	}
	for _, s := range parseSteps(b) {
		switch s.Do {
		case "done":
			l.done[s.Path] = true
		case "run":
			l.runs++
		}
	}
	return l
}

// parseSteps reads a log of steps. A line that is torn by a crash, and what
// follows it, does not count: the step is done again, which it may be.
func parseSteps(b []byte) (out []stepLine) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return out
		}
		var s stepLine
		if grant.Strict(b[:i], &s) != nil {
			return out
		}
		out, b = append(out, s), b[i+1:]
	}
	return out
}

// write appends one line, durably where the disk lets it.
func (l *stepLog) write(s stepLine) {
	if s.Do == "done" {
		l.done[s.Path] = true
	}
	b, err := json.Marshal(s)
	if err != nil {
		return
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.Write(append(b, '\n')); err == nil {
		_ = f.Sync() // see stepLog
	}
}
