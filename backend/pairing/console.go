package pairing

import (
	"bytes"
	"crypto/hmac"
	"encoding/json"
	"fmt"
	"time"

	"daypass/backend/grant"
)

// ConsoleActivation is the technician's side towards one waiting host program
// (one mailbox instance); where several wait on a link each has its own, and
// they share one Budget. It is not safe for concurrent use.
//
// The caller feeds it every message of its host, sends what comes back, stores
// the Budget before sending, and every few seconds sends what Pending returns
// until that is nothing.
type ConsoleActivation struct {
	side
	budget    *Budget
	serverKey grant.Key
	offer     grant.Offer
	signed    grant.Signed
	report    HostReport
	answered  bool // a host hello was accepted
	chosen    bool
	rejected  bool
	done      bool
	code      *Code
	deadline  time.Time
	helloMsg  []byte
	attempt   uint32
	statusMsg []byte
	status    uint32 // latest sent
	acked     uint32 // latest the host has seen
	heard     bool   // the host has our hello
	confirmed []byte // our confirm
}

// NewConsoleActivation prepares the technician's side. offer is the server's
// signed grant.Offer for this session and this device, which is checked
// against serverKey; budget is shared and belongs to the caller.
func NewConsoleActivation(dev *Device, secret Secret, sid grant.ID, offer grant.Signed, serverKey grant.Key, budget *Budget, now func() time.Time) (*ConsoleActivation, error) {
	a := &ConsoleActivation{side: newSide(RoleConsole, dev, secret, sid, now), budget: budget, serverKey: serverKey, signed: offer}
	if err := grant.Open(serverKey, grant.ContextOffer, offer, &a.offer); err != nil {
		return nil, fmt.Errorf("pairing: offer: %w", err)
	}
	if a.offer.Session != sid || a.offer.TechnicianKey != grant.KeyOf(dev.Ed) {
		return nil, fmt.Errorf("pairing: offer is for another session or console: %w", ErrState)
	}
	return a, nil
}

// Host returns what the waiting computer says about itself, once it answered.
func (a *ConsoleActivation) Host() (HostReport, bool) { return a.report, a.answered }

// Choose says that this is the computer to pair with and returns the hello.
// Calling it again returns the same. Before HostAnswered it returns nothing.
func (a *ConsoleActivation) Choose() ([][]byte, error) {
	if !a.answered || a.rejected {
		return nil, ErrState
	}
	if !a.chosen {
		info, err := json.Marshal(consoleInfo{ServerKey: a.serverKey, Offer: a.signed})
		if err != nil {
			return nil, fmt.Errorf("pairing: encode: %w", err)
		}
		if a.console, err = a.makeHello(a.host.hash[:], info); err != nil {
			return nil, err
		}
		a.helloMsg = frame(a.macKey, nil, msgConsoleHello, a.console.body)
		a.bindHellos()
		a.chosen = true
	}
	out := [][]byte{bytes.Clone(a.helloMsg)}
	if a.statusMsg != nil {
		out = append(out, bytes.Clone(a.statusMsg))
	}
	return out, nil
}

// Reject tells this computer that another one was chosen.
func (a *ConsoleActivation) Reject() [][]byte {
	if !a.answered || a.pin != nil {
		return nil
	}
	a.rejected = true
	a.dropCode()
	return [][]byte{frame(a.macKey, a.host.hash[:], msgReject, nil)}
}

// SetCode shows a code until deadline, tells the host that it may be typed,
// and gives the budget its tries for a code back. Choose comes first. It fails
// with ErrLocked when the session's tries are used up.
func (a *ConsoleActivation) SetCode(code Code, deadline time.Time) ([][]byte, error) {
	if !a.chosen || a.rejected || a.pin != nil {
		return nil, ErrState
	}
	if a.budget.SessionLeft <= 0 {
		return nil, ErrLocked
	}
	a.dropCode()
	a.code, a.deadline = &code, deadline
	a.budget.Left = min(TriesPerCode, a.budget.SessionLeft)
	if a.run != nil { // a try with the older code that is still open stays charged
		a.run.wrong = true
		a.run.wipe()
	}
	return a.say(statusReady), nil
}

// Withdraw takes the code back because it is not certain any more that this is
// the customer's computer. A try that is being checked stays charged and cannot
// succeed.
func (a *ConsoleActivation) Withdraw() [][]byte {
	if !a.chosen || a.rejected || a.pin != nil {
		return nil
	}
	a.dropCode()
	if a.run != nil {
		a.run.wrong = true
		a.run.wipe()
	}
	return a.say(statusNoCode)
}

func (a *ConsoleActivation) dropCode() {
	if a.code != nil {
		a.code.Wipe()
		a.code = nil
	}
}

// Expire takes the code back when now is past its deadline, and tells the
// host. Otherwise it does nothing.
func (a *ConsoleActivation) Expire() ([][]byte, Event) {
	if a.code == nil || a.now().Before(a.deadline) || a.pin != nil {
		return nil, Event{}
	}
	a.dropCode()
	return a.say(statusNoCode), a.tries(NewCodeNeeded)
}

// Pending returns what to send again now, because its answer has not come.
func (a *ConsoleActivation) Pending() [][]byte {
	switch {
	case !a.chosen || a.rejected || a.done:
		return nil
	case a.pin != nil:
		return [][]byte{bytes.Clone(a.run.sent)}
	case !a.heard:
		out := [][]byte{bytes.Clone(a.helloMsg)}
		if a.statusMsg != nil {
			out = append(out, bytes.Clone(a.statusMsg))
		}
		return out
	case a.status > a.acked:
		return [][]byte{bytes.Clone(a.statusMsg)}
	}
	return nil
}

func (a *ConsoleActivation) tries(k EventKind) Event {
	return Event{Kind: k, Peer: a.host.id, Left: max(0, a.budget.Left), SessionLeft: max(0, a.budget.SessionLeft)}
}

// say makes the next status message; a later one replaces it.
func (a *ConsoleActivation) say(state byte) [][]byte {
	a.status++
	b := be.AppendUint32(nil, a.status)
	b = be.AppendUint32(b, a.attempt)
	b = append(b, state, byte(max(0, min(255, a.budget.Left))), byte(max(0, min(255, a.budget.SessionLeft))))
	a.statusMsg = frame(a.macKey, a.th[:], msgStatus, b)
	return [][]byte{bytes.Clone(a.statusMsg)}
}

// Handle takes one message of class 'A' from this host. out is to be sent in
// order, after the Budget was stored. err is for the log: ErrDropped and
// ErrReplay changed nothing and cost no try.
func (a *ConsoleActivation) Handle(msg []byte) (out [][]byte, ev Event, err error) {
	typ, body, err := split(msg)
	if err != nil {
		return nil, Event{}, err
	}
	if typ == msgHostHello {
		if !a.authentic(nil, msg) {
			return nil, Event{}, ErrDropped
		}
		return a.onHello(body)
	}
	if !a.chosen || a.rejected || !a.authentic(a.th[:], msg) {
		return nil, Event{}, ErrDropped
	}
	a.heard = true
	switch typ {
	case msgReady:
		r := reader{b: body}
		seq := r.u32()
		if r.done() != nil || seq > a.status {
			return nil, Event{}, ErrDropped
		}
		a.acked = max(a.acked, seq)
		if seq < a.status && a.pin == nil {
			return [][]byte{bytes.Clone(a.statusMsg)}, Event{}, nil
		}
		return nil, Event{}, nil
	case msgHostShare:
		return a.onShare(body)
	case msgHostConfirm:
		return a.onConfirm(body)
	case msgDone:
		return a.onDone(body)
	}
	return nil, Event{}, ErrDropped
}

func (a *ConsoleActivation) onHello(body []byte) ([][]byte, Event, error) {
	h, info, err := a.readHello(RoleHost, nil, body)
	if err != nil {
		return nil, Event{}, err
	}
	if a.answered {
		switch {
		case h.hash != a.host.hash:
			return nil, Event{}, ErrReplay // another program start has another instance and its own machine
		case a.rejected:
			return a.Reject(), Event{}, nil
		case a.chosen && a.pin == nil:
			out, err := a.Choose()
			return out, Event{}, err
		case a.pin == nil:
			return a.waiting(), Event{}, nil
		}
		return nil, Event{}, nil
	}
	if len(info) > maxReport {
		return nil, Event{}, ErrDropped
	}
	if err := grant.Strict(info, &a.report); err != nil {
		return nil, Event{}, fmt.Errorf("%w: %w", ErrDropped, err)
	}
	a.report.cut()
	a.host, a.answered = h, true
	return a.waiting(), Event{Kind: HostAnswered, Peer: h.id, Report: a.report}, nil
}

// waiting tells a host that its link is right while the technician chooses.
func (a *ConsoleActivation) waiting() [][]byte {
	return [][]byte{frame(a.macKey, a.host.hash[:], msgWaiting, nil)}
}

func (a *ConsoleActivation) onShare(body []byte) ([][]byte, Event, error) {
	rd := reader{b: body}
	attempt := rd.u32()
	share := rd.take(32)
	if rd.done() != nil || a.pin != nil || attempt == 0 {
		return nil, Event{}, ErrDropped
	}
	if attempt == a.attempt && a.run != nil {
		switch {
		case !bytes.Equal(a.run.peer, share):
			return nil, Event{}, ErrReplay
		case a.run.wrong:
			return [][]byte{bytes.Clone(a.statusMsg)}, Event{}, nil
		}
		return [][]byte{bytes.Clone(a.run.sent)}, Event{}, nil
	}
	if attempt <= a.attempt {
		if a.statusMsg == nil {
			return nil, Event{}, ErrReplay
		}
		return [][]byte{bytes.Clone(a.statusMsg)}, Event{}, nil
	}
	if attempt > 4*TriesPerSession {
		return nil, Event{}, ErrDropped
	}
	if a.code != nil && !a.now().Before(a.deadline) {
		a.attempt = attempt
		out, ev := a.Expire()
		return out, ev, nil
	}
	if a.budget.SessionLeft <= 0 {
		a.attempt = attempt
		a.dropCode()
		return a.say(statusLocked), a.tries(Locked), ErrLocked
	}
	if a.code == nil || a.budget.Left <= 0 {
		a.attempt = attempt
		a.dropCode()
		return a.say(statusNoCode), a.tries(NewCodeNeeded), ErrLocked
	}
	r, err := a.begin(attempt, *a.code)
	if err != nil {
		return nil, Event{}, err
	}
	if err := a.finish(r, share); err != nil {
		return nil, Event{}, err // not a group element: nothing was revealed, nothing is charged
	}
	a.budget.charge()
	a.attempt = attempt
	a.run.wipe()
	a.run = r
	r.sent = frame(a.macKey, a.th[:], msgConsoleShare, append(be.AppendUint32(nil, attempt), r.share...))
	return [][]byte{bytes.Clone(r.sent)}, a.tries(Checking), nil
}

func (a *ConsoleActivation) onConfirm(body []byte) ([][]byte, Event, error) {
	r := a.run
	if len(body) < 4 || r == nil || be.Uint32(body) != r.attempt {
		return nil, Event{}, ErrDropped
	}
	if a.pin != nil {
		if !bytes.Equal(r.hostConfirm, body) {
			return nil, Event{}, ErrReplay
		}
		return [][]byte{bytes.Clone(r.sent)}, Event{}, nil
	}
	if r.wrong {
		return [][]byte{bytes.Clone(a.statusMsg)}, Event{}, nil
	}
	var p hostProof
	if err := a.readConfirm(r, body, &p); err != nil {
		r.wrong = true
		r.wipe()
		switch {
		case a.budget.SessionLeft <= 0:
			a.dropCode()
			return a.say(statusLocked), a.tries(Locked), err
		case a.budget.Left <= 0:
			a.dropCode()
			return a.say(statusNoCode), a.tries(NewCodeNeeded), err
		}
		return a.say(statusWrong), a.tries(WrongCode), err
	}
	a.budget.refund()
	p.Report.cut()
	a.report = p.Report
	r.hostConfirm = bytes.Clone(body)
	rights := p.Allowed & a.offer.Rights
	out, err := a.confirmBody(r, consoleProof{Rights: rights, Clock: a.now().UTC()})
	if err != nil {
		return nil, Event{}, err
	}
	r.sent = frame(a.macKey, a.th[:], msgConsoleConfirm, out)
	a.pinned(r, r.hostConfirm, out, rights, a.serverKey)
	a.confirmed = mac(r.doneKey, []byte("done"), r.th[:])
	r.wipe()
	a.dropCode()
	return [][]byte{bytes.Clone(r.sent)}, Event{
		Kind: Confirmed, Peer: a.host.id, Report: a.report, Rights: rights,
		ClockOff: p.Clock.Sub(a.now()), Left: a.budget.Left, SessionLeft: a.budget.SessionLeft,
	}, nil
}

func (a *ConsoleActivation) onDone(body []byte) ([][]byte, Event, error) {
	if a.pin == nil || !hmac.Equal(body, a.confirmed) {
		return nil, Event{}, ErrDropped
	}
	if a.done {
		return nil, Event{}, nil
	}
	a.done = true
	return nil, Event{Kind: Done, Peer: a.host.id, Rights: a.pin.Rights}, nil
}
