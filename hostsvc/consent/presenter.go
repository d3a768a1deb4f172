package consent

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"daypass/backend/grant"
)

// maxLink bounds what is taken as a pasted link, in bytes.
const maxLink = 2048

// presenter holds the Model and turns what is pressed into Actions. It is the
// same for every toolkit and for the bar, and safe for use by several at once.
type presenter struct {
	w       *words
	actions chan Action

	mu     sync.Mutex // guards all following
	model  Model
	local  local
	ticks  grant.Rights // of EnterCode: what is ticked in the window
	closed bool
}

func newPresenter(lang string) *presenter {
	return &presenter{w: catalogue(lang), actions: make(chan Action, 64)}
}

func (p *presenter) show(m Model) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.model
	p.model = m
	if old.Screen != m.Screen || old.Code != m.Code || old.CodeLeft != m.CodeLeft || old.Link != m.Link {
		p.local.problem = ""
	}
	if old.Screen != m.Screen {
		p.local.confirm, p.local.limits, p.local.limit = false, false, 0
	}
	if m.Screen == EnterCode && (old.Screen != EnterCode || old.Rights != m.Rights || old.Allowed != m.Allowed) {
		p.ticks = m.Allowed & m.Rights
	}
}

// current is the Model as the window shows it, with the customer's own ticks.
func (p *presenter) current() (Model, local) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.model
	if m.Screen == EnterCode {
		m.Allowed = p.ticks
	}
	return m, p.local
}

func (p *presenter) page() Page {
	m, l := p.current()
	return describe(m, p.w, l)
}

// bar is what the bar shows and whether it is wanted.
func (p *presenter) bar() (Bar, bool) {
	m, _ := p.current()
	return describeBar(m, p.w), m.Watching
}

// accepts decides about one event, see accept.
func (p *presenter) accepts(o origin) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return accept(&p.model, o)
}

// input is what is typed in the window when a button is pressed.
type input struct {
	Link string
	Code string
	Path string // of the receipt
}

// press acts on button id. It reports whether the page changed without a new
// Model. Unknown buttons do nothing.
func (p *presenter) press(id string, in input) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.local.problem = ""
	switch id {
	case "submit-link":
		s := strings.TrimSpace(in.Link)
		if s == "" {
			p.local.problem = p.w.LinkEmpty
			return true
		}
		if len(s) > maxLink {
			p.local.problem = p.w.LinkUnknown
			return true
		}
		p.emit(Action{Kind: SubmitLink, Text: s})
	case "submit-code":
		s := digits(in.Code)
		if len(s) != 8 {
			p.local.problem = p.w.CodeIncomplete
			return true
		}
		p.emit(Action{Kind: SubmitCode, Text: s, Rights: p.ticks})
	case "stop":
		p.emit(Action{Kind: Stop})
	case "resume":
		p.emit(Action{Kind: Resume})
	case "end":
		p.local.confirm = true
	case "keep":
		p.local.confirm = false
	case "end-now":
		p.emit(Action{Kind: EndAndRemove})
		return false // the page stays until the host shows Ending
	case "cancel":
		p.emit(Action{Kind: Cancel})
	case "leave":
		p.emit(Action{Kind: Leave})
	case "retry":
		p.emit(Action{Kind: Retry})
	case "reboot-now":
		p.emit(Action{Kind: RebootNow})
	case "reboot-no":
		p.emit(Action{Kind: RebootNo})
	case "raise":
		p.emit(Action{Kind: Raise})
	case "limits":
		p.local.limits = true
	case "back":
		if p.local.limit != 0 {
			p.local.limit = 0
		} else {
			p.local.limits = false
		}
	case "not-now":
		p.emit(Action{Kind: AnswerRight})
	case "save-receipt":
		if in.Path == "" {
			in.Path = ReceiptPath(p.w.Lang)
		}
		p.emit(Action{Kind: SaveReceipt, Path: in.Path})
	default:
		p.pick(id)
	}
	return true
}

// pick acts on a row of the pages about limits. p.mu is held.
func (p *presenter) pick(id string) {
	kind, value, _ := strings.Cut(id, "-")
	n, err := strconv.Atoi(value)
	if err != nil && value != "all" {
		return
	}
	now := Limit{}
	if l := p.model.limitOf(p.local.limit); l != nil {
		now = *l
	}
	switch kind {
	case "limit":
		p.local.limit = grant.Rights(n) & p.model.Rights
	case "allow":
		p.emit(Action{Kind: AnswerRight, On: true, For: time.Duration(n) * time.Minute})
	case "for":
		p.emit(Action{Kind: SetRight, Rights: p.local.limit, On: true, For: time.Duration(n) * time.Minute, Scope: now.Scope})
		p.local.limit, p.local.limits = 0, false
	case "folder":
		a := Action{Kind: SetRight, Rights: p.local.limit, On: true}
		if f := Folders(); value != "all" && n >= 0 && n < len(f) {
			a.Scope = f[n]
		}
		if !now.Until.IsZero() { // the time goes on
			a.For = max(time.Minute, now.Until.Sub(p.model.now()).Round(time.Minute))
		}
		p.emit(a)
	}
}

// set ticks or switches one right. Controlling needs seeing: allowing control
// allows the screen too, forbidding the screen forbids control.
func (p *presenter) set(r grant.Rights, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change := r
	switch {
	case r == grant.Control && on:
		change |= grant.View
	case r == grant.View && !on:
		change |= grant.Control
	}
	change &= p.model.Rights
	if p.model.Screen == EnterCode {
		if on {
			p.ticks |= change
		} else {
			p.ticks &^= change
		}
		return
	}
	if p.model.Screen != Connected {
		return
	}
	for _, one := range rightsInOrder {
		if change.Has(one) && p.model.Allowed.Has(one) != on {
			p.emit(Action{Kind: SetRight, Rights: one, On: on})
		}
	}
}

// shut is the window's close button. It never does more than the page offers:
// before activation it cancels, while a session lives it asks.
func (p *presenter) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.model.Screen {
	case Connected:
		p.local.confirm = true
	case Ending: // goes on; the window stays until the result is there
	case Removed, Refused:
		p.emit(Action{Kind: Leave})
	default:
		p.emit(Action{Kind: Cancel})
	}
}

// emit never waits: when nobody reads, the oldest action that is no Stop is
// lost. p.mu is held.
func (p *presenter) emit(a Action) {
	if p.closed {
		return
	}
	a.At = time.Now()
	for {
		select {
		case p.actions <- a:
			return
		default:
		}
		select {
		case old := <-p.actions:
			if old.Kind == Stop { // keep it: it is worth more than what is new
				a = old
			}
		default:
		}
	}
}

// close ends Actions. Nothing is emitted afterwards.
func (p *presenter) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.actions)
	}
}

// digits keeps the decimal digits of s, at most 8, whatever stands between.
func digits(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= '0' && r <= '9' && b.Len() < 8 {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// halves orders the digits of the two fields a and b after field i changed:
// digits that are too many for the first go on in the second, so that pasting
// the whole code works in both. full is whether eight were there before.
func halves(i int, a, b string, full bool) (x, y string) {
	x, y = digits(a), digits(b)
	switch {
	case i == 0 && len(x) > 4:
		rest := x[4:]
		x, y = x[:4], rest+y
	case i == 1 && len(y) == 8:
		x, y = y[:4], y[4:]
	}
	if i == 0 && full && len(x) == 1 {
		y = "" // the first half was selected and typed over: the second goes with it
	}
	return x, y[:min(4, len(y))]
}

// problem is what the window itself found wrong with what was typed.
func (p *presenter) problem() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.local.problem
}
