package host

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/hostsvc/consent"
)

// Headless is a consent.View for machines and scripts: it reads the link and
// then the code, one line each, from a reader, and writes one line of JSON for
// each change of state. It replaces only the window in which the code is typed;
// the bar is that of the View it stands before.
//
// Besides link and code it reads the words stop, resume and end. At the end of
// the input it goes on.
type Headless struct {
	bar     consent.View // nil in lab builds alone
	actions chan consent.Action
	out     *json.Encoder

	closing chan struct{}
	ended   chan struct{} // closed at the end of the input
	wg      sync.WaitGroup

	mu    sync.Mutex // guards all following
	model consent.Model
	last  line
	links []string // typed before they were asked for
	codes []string
	asked bool // what the current page asks for was given
	left  bool
}

// line is one line of output.
type line struct {
	State      string       `json:"state"`
	At         int64        `json:"at"` // unix milliseconds
	Technician string       `json:"technician,omitempty"`
	Company    string       `json:"company,omitempty"`
	Problem    string       `json:"problem,omitempty"` // of code: slip, wrong, new
	TriesLeft  int          `json:"tries_left,omitempty"`
	Paused     bool         `json:"paused,omitempty"`
	Offline    bool         `json:"offline,omitempty"`
	EndedBy    string       `json:"ended_by,omitempty"`
	Clean      *bool        `json:"clean,omitempty"`
	Left       int          `json:"left,omitempty"` // things that could not be removed
	Fault      *headlessErr `json:"fault,omitempty"`
}

type headlessErr struct {
	Kind    fault.Kind `json:"kind"`
	Message string     `json:"message"`
	Hint    string     `json:"hint"`
}

// NewHeadless reads from in and writes to out until Close; in's last Read may
// outlive Close. bar, which it owns then, shows the bar; a lab build may leave
// it out.
func NewHeadless(in io.Reader, out io.Writer, bar consent.View) *Headless {
	h := &Headless{bar: bar, actions: make(chan consent.Action, 64), out: json.NewEncoder(out), closing: make(chan struct{}), ended: make(chan struct{})}
	lines := make(chan string)
	go func() { // ends with its input, or when nobody listens any more
		s := bufio.NewScanner(in)
		s.Buffer(make([]byte, 0, 4096), 8192)
		for s.Scan() {
			select {
			case lines <- strings.TrimSpace(s.Text()):
			case <-h.closing:
				return
			}
		}
		close(h.ended)
	}()
	h.wg.Go(func() {
		for {
			select {
			case l := <-lines:
				h.typed(l)
			case <-h.closing:
				return
			}
		}
	})
	if bar != nil {
		h.wg.Go(func() {
			for a := range bar.Actions() {
				h.act(a)
			}
		})
	}
	return h
}

// InputEnded is closed when the input has ended: no link and no code will come.
func (h *Headless) InputEnded() <-chan struct{} { return h.ended }

func (h *Headless) act(a consent.Action) {
	if a.At.IsZero() {
		a.At = time.Now()
	}
	select {
	case h.actions <- a:
	case <-h.closing:
	}
}

func (h *Headless) typed(l string) {
	switch l {
	case "":
		return
	case "stop":
		h.act(consent.Action{Kind: consent.Stop})
		return
	case "resume":
		h.act(consent.Action{Kind: consent.Resume})
		return
	case "end":
		h.act(consent.Action{Kind: consent.EndAndRemove})
		return
	}
	h.mu.Lock()
	if strings.Contains(l, "/") {
		h.links = append(h.links, l)
	} else {
		h.codes = append(h.codes, l)
	}
	h.mu.Unlock()
	h.answer()
}

// answer gives what is asked for, if it was typed.
func (h *Headless) answer() {
	h.mu.Lock()
	var a consent.Action
	switch {
	case h.asked:
	case h.model.Screen == consent.AskLink && len(h.links) > 0:
		a = consent.Action{Kind: consent.SubmitLink, Text: h.links[0]}
		h.links = h.links[1:]
	case h.model.Screen == consent.EnterCode && h.model.Code != consent.CodeNew && len(h.codes) > 0:
		a = consent.Action{Kind: consent.SubmitCode, Text: h.codes[0], Rights: h.model.Rights}
		h.codes = h.codes[1:]
	case h.model.Screen == consent.Connected && len(h.links) > 0: // never silently: this session is not the link's
		h.links = nil
		_ = h.out.Encode(line{
			State: "refused", At: time.Now().UnixMilli(), Technician: h.model.Technician, Company: h.model.Company,
			Fault: &headlessErr{fault.Conflict, "This computer is in a session already.", "End it first, or run the program with the verb uninstall."},
		})
	case (h.model.Screen == consent.Removed || h.model.Screen == consent.Refused) && !h.left:
		h.left = true
		a = consent.Action{Kind: consent.Leave}
	}
	h.asked = h.asked || a.Kind != 0
	h.mu.Unlock()
	if a.Kind != 0 {
		h.act(a)
	}
}

// Show implements consent.View.
func (h *Headless) Show(m consent.Model) {
	if h.bar != nil {
		h.bar.Show(m)
	}
	h.mu.Lock()
	if m.Screen != h.model.Screen || m.Code != h.model.Code || m.CodeLeft != h.model.CodeLeft || m.Link != h.model.Link || m.Progress != h.model.Progress {
		h.asked = false
	}
	h.model = m
	if l, ok := describe(m); ok && !sameLine(l, h.last) {
		h.last = l
		l.At = time.Now().UnixMilli()
		_ = h.out.Encode(l) // whoever reads us may be gone; the session goes on
	}
	h.mu.Unlock()
	h.wg.Go(h.answer)
}

func sameLine(a, b line) bool {
	same := (a.Fault == nil) == (b.Fault == nil) && (a.Clean == nil) == (b.Clean == nil)
	if same && a.Fault != nil {
		same = *a.Fault == *b.Fault
	}
	if same && a.Clean != nil {
		same = *a.Clean == *b.Clean
	}
	a.Fault, b.Fault, a.Clean, b.Clean, a.At, b.At = nil, nil, nil, nil, 0, 0
	return same && a == b
}

func describe(m consent.Model) (line, bool) {
	l := line{Technician: m.Technician, Company: m.Company}
	switch m.Screen {
	case consent.AskLink:
		l.State = "link"
		if m.Link != consent.LinkAsk {
			l.Problem = map[consent.LinkState]string{consent.LinkUnknown: "unknown", consent.LinkCut: "cut", consent.LinkFile: "file"}[m.Link]
		}
	case consent.Connecting:
		l.State = "connecting"
	case consent.EnterCode:
		l.State, l.TriesLeft = "code", m.CodeLeft
		l.Problem = map[consent.CodeState]string{consent.CodeSlip: "slip", consent.CodeWrong: "wrong", consent.CodeNew: "new"}[m.Code]
	case consent.Connected:
		l.State, l.Paused, l.Offline = "active", m.Paused, m.Offline
		if m.Doing.Has(grant.View) {
			l.State = "watching"
		}
	case consent.Ending:
		l.State = "ended"
	case consent.Removed:
		l.State = "removed"
		if r := m.Report; r != nil {
			l.EndedBy, l.Clean, l.Left = string(r.By), &r.Clean, len(r.Left)
		}
	case consent.Refused:
		l.State = "refused"
		if f := m.Fault; f != nil {
			l.Fault = &headlessErr{f.Kind, f.Message, f.Hint}
		}
	default:
		return l, false
	}
	return l, true
}

// Actions implements consent.View.
func (h *Headless) Actions() <-chan consent.Action { return h.actions }

// Bar implements consent.View. Without a bar none is wanted.
func (h *Headless) Bar() consent.BarHealth {
	if h.bar == nil {
		return consent.BarHealth{}
	}
	return h.bar.Bar()
}

// Close implements consent.View.
func (h *Headless) Close() error {
	close(h.closing)
	var err error
	if h.bar != nil {
		err = h.bar.Close()
	}
	h.wg.Wait()
	close(h.actions)
	return err
}

var _ consent.View = (*Headless)(nil)
