package host

import (
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"

	"daypass/hostsvc/consent"
)

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// Link and code come before they are asked for; every change of state is one line of JSON; the whole session runs.
func TestHeadlessRunsAWholeSession(t *testing.T) {
	r := newRig(t)
	in, typed := io.Pipe()
	defer typed.Close()
	var out lockedBuffer
	h := NewHeadless(in, &out, nil)
	r.cfg.View, r.cfg.Link, r.cfg.Lab = h, nil, true
	r.start()
	if _, err := io.WriteString(typed, r.server.link.String()+"\n\n"+r.server.code.Digits()+"\n"); err != nil {
		t.Fatal(err)
	}
	r.eventually("active", func() bool { return strings.Contains(out.String(), `"active"`) })
	if _, err := io.WriteString(typed, "end\n"); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	var states []string
	for l := range strings.Lines(out.String()) {
		var v line
		if err := json.Unmarshal([]byte(l), &v); err != nil || v.At == 0 {
			t.Fatalf("%q: %v", l, err)
		}
		if n := len(states); n == 0 || states[n-1] != v.State {
			states = append(states, v.State)
		}
		if v.State == "removed" && (v.Clean == nil || !*v.Clean || v.EndedBy != "customer") {
			t.Errorf("%s", l)
		}
	}
	if got := strings.Join(states, " "); got != "link connecting code connecting active ended removed" {
		t.Error(got)
	}
	if s := out.String(); strings.Contains(s, r.server.link.Secret.Text()) || strings.Contains(s, r.server.code.Digits()) {
		t.Error("a secret is printed")
	}
}

func TestHeadlessPassesTheBarThrough(t *testing.T) {
	v := newView()
	h := NewHeadless(strings.NewReader(""), io.Discard, v)
	h.Show(consent.Model{Screen: consent.Connected, Watching: true})
	if b := h.Bar(); !b.Wanted || !b.Shown {
		t.Errorf("%+v", b)
	}
	v.actions <- consent.Action{Kind: consent.Stop}
	if a := <-h.Actions(); a.Kind != consent.Stop || a.At.IsZero() {
		t.Errorf("%+v", a)
	}
	close(v.actions) // as a View's Close does
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}
