package pairing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"daypass/backend/grant"
)

// HostActivation is the customer's side of one activation, on one link. It is
// not safe for concurrent use.
//
// The caller sends Hello at the start, everything Handle and Enter return, and
// every few seconds what Pending returns until that is nothing.
type HostActivation struct {
	side
	report    HostReport
	helloMsg  []byte
	serverKey grant.Key
	offer     grant.Offer
	seen      map[[32]byte]bool // console hellos that were answered
	attempt   uint32
	status    uint32 // latest status seen
	ask       bool   // the technician sees a code
	chosen    bool   // a console hello was accepted
	waiting   bool   // the console knows us
	rejected  bool
	committed bool
	tries     int // confirms sent without an answer that proves the code
	allowed   grant.Rights
	confirms  []byte // console confirm that was accepted
	doneMsg   []byte
}

// NewHostActivation prepares the customer's side. dev must be new for this
// session; now is the wall clock.
func NewHostActivation(dev *Device, secret Secret, sid grant.ID, report HostReport, now func() time.Time) (*HostActivation, error) {
	report.cut()
	a := &HostActivation{side: newSide(RoleHost, dev, secret, sid, now), report: report, seen: map[[32]byte]bool{}}
	info, err := json.Marshal(report)
	if err != nil {
		return nil, fmt.Errorf("pairing: encode: %w", err)
	}
	if a.host, err = a.makeHello(nil, info); err != nil {
		return nil, err
	}
	a.helloMsg = frame(a.macKey, nil, msgHostHello, a.host.body)
	return a, nil
}

// Hello returns the first message. It is the same for the life of the
// activation.
func (a *HostActivation) Hello() []byte { return bytes.Clone(a.helloMsg) }

// Invited reports whether a console answered, and with which offer.
func (a *HostActivation) Invited() (grant.Offer, bool) { return a.offer, a.chosen }

// Pending returns what to send again now, because its answer has not come.
func (a *HostActivation) Pending() [][]byte {
	switch {
	case a.rejected, a.pin != nil, a.status != 0 && a.run == nil && a.ask:
		return nil
	case a.run != nil && !a.run.wrong:
		return [][]byte{bytes.Clone(a.run.sent)}
	case !a.chosen:
		return [][]byte{a.Hello()}
	case a.ask:
		return nil
	}
	return [][]byte{a.ready()} // waiting for a code to be shown: asks for the status
}

func (a *HostActivation) ready() []byte {
	return frame(a.macKey, a.th[:], msgReady, be.AppendUint32(nil, a.status))
}

// Enter begins a try with the code that the customer typed and the rights that
// the customer ticked; rights that were not offered are left out. It fails
// with ErrState while no code is asked for or one is being checked.
func (a *HostActivation) Enter(code Code, allowed grant.Rights) ([][]byte, error) {
	if !a.chosen || !a.ask || a.pin != nil || a.rejected || (a.run != nil && !a.run.wrong) {
		return nil, ErrState
	}
	if a.tries >= TriesPerSession {
		return nil, ErrLocked
	}
	r, err := a.begin(a.attempt+1, code)
	if err != nil {
		return nil, err
	}
	a.run.wipe()
	a.attempt++
	a.run, a.allowed = r, allowed&a.offer.Rights
	r.sent = frame(a.macKey, a.th[:], msgHostShare, append(be.AppendUint32(nil, r.attempt), r.share...))
	return [][]byte{bytes.Clone(r.sent)}, nil
}

// Checking reports whether a typed code is on its way.
func (a *HostActivation) Checking() bool { return a.run != nil && !a.run.wrong && a.pin == nil }

// PinServer accepts offers under this server key only: an activation under a
// session that has one already. Call it before Hello is sent.
func (a *HostActivation) PinServer(key grant.Key) { a.serverKey = key }

// Tried returns how many confirms were sent that no right code has answered.
func (a *HostActivation) Tried() int { return a.tries }

// Spent takes over what Tried returned for earlier activations of the session,
// so that their tries count together.
func (a *HostActivation) Spent(tries int) { a.tries = tries }

// Committed reports whether Commit was called.
func (a *HostActivation) Committed() bool { return a.committed }

// Commit says that the server granted the session: from now on no other
// console hello is accepted by this activation, only repeats are answered.
func (a *HostActivation) Commit() { a.committed = true }

// Handle takes one message of class 'A'. out is to be sent in order. err is for
// the log: ErrDropped and ErrReplay changed nothing.
func (a *HostActivation) Handle(msg []byte) (out [][]byte, ev Event, err error) {
	typ, body, err := split(msg)
	if err != nil {
		return nil, Event{}, err
	}
	switch typ {
	case msgConsoleHello:
		if !a.authentic(nil, msg) {
			return nil, Event{}, ErrDropped
		}
		return a.onHello(body)
	case msgReject:
		if !a.authentic(a.host.hash[:], msg) || len(body) != 0 || a.pin != nil {
			return nil, Event{}, ErrDropped
		}
		if a.rejected {
			return nil, Event{}, nil
		}
		a.rejected = true
		return nil, Event{Kind: OtherChosen}, nil
	}
	if typ == msgWaiting {
		if len(body) != 0 || a.chosen || a.rejected || a.waiting || !a.authentic(a.host.hash[:], msg) {
			return nil, Event{}, ErrDropped
		}
		a.waiting = true
		return nil, Event{Kind: Waiting}, nil
	}
	if !a.chosen || a.rejected || !a.authentic(a.th[:], msg) {
		return nil, Event{}, ErrDropped
	}
	switch typ {
	case msgStatus:
		return a.onStatus(body)
	case msgConsoleShare:
		return a.onShare(body)
	case msgConsoleConfirm:
		return a.onConfirm(msg, body)
	}
	return nil, Event{}, ErrDropped
}

func (a *HostActivation) onHello(body []byte) ([][]byte, Event, error) {
	h, info, err := a.readHello(RoleConsole, a.host.hash[:], body)
	if err != nil {
		return nil, Event{}, err
	}
	if a.chosen && h.hash == a.console.hash { // repeat: our answer was lost
		if a.pin != nil {
			return [][]byte{bytes.Clone(a.doneMsg)}, Event{}, nil
		}
		return [][]byte{a.ready()}, Event{}, nil
	}
	if a.seen[h.hash] || a.committed || len(a.seen) >= maxHellos {
		return nil, Event{}, ErrReplay
	}
	var ci consoleInfo
	if err := grant.Strict(info, &ci); err != nil {
		return nil, Event{}, fmt.Errorf("%w: %w", ErrDropped, err)
	}
	if !a.serverKey.IsZero() && ci.ServerKey != a.serverKey {
		return nil, Event{}, fmt.Errorf("%w: another server key", ErrDropped)
	}
	var offer grant.Offer
	if err := grant.Open(ci.ServerKey, grant.ContextOffer, ci.Offer, &offer); err != nil {
		return nil, Event{}, fmt.Errorf("%w: offer: %w", ErrDropped, err)
	}
	if offer.Session != a.sid || offer.TechnicianKey != h.id.Ed || offer.Rights&^grant.All != 0 {
		return nil, Event{}, fmt.Errorf("%w: offer for something else", ErrDropped)
	}
	a.run.wipe()
	a.seen[h.hash] = true
	a.console, a.serverKey, a.offer = h, ci.ServerKey, offer
	a.chosen, a.rejected, a.ask, a.status, a.attempt = true, false, false, 0, 0
	if a.pin != nil {
		a.pin.Wipe()
		a.pin = nil
	}
	a.bindHellos()
	return [][]byte{a.ready()}, Event{Kind: Invited, Peer: h.id, Offer: offer, ServerKey: ci.ServerKey}, nil
}

func (a *HostActivation) onStatus(body []byte) ([][]byte, Event, error) {
	r := reader{b: body}
	seq, attempt, state := r.u32(), r.u32(), r.u8()
	ev := Event{Left: int(r.u8()), SessionLeft: int(r.u8())}
	if r.done() != nil || a.pin != nil || state < statusReady || state > statusLocked {
		return nil, Event{}, ErrDropped
	}
	if seq <= a.status {
		return [][]byte{a.ready()}, Event{}, nil
	}
	if a.run != nil && !a.run.wrong && attempt < a.run.attempt && state != statusLocked {
		return nil, Event{}, ErrReplay // older than the try that is on its way; the console repeats what still holds
	}
	a.status = seq
	if a.run != nil && attempt >= a.run.attempt {
		a.run.wrong = true
		a.run.wipe()
	}
	switch state {
	case statusReady:
		a.ask, ev.Kind = true, NeedCode
	case statusWrong:
		a.ask, ev.Kind = true, WrongCode
	case statusNoCode:
		a.ask, ev.Kind = false, NewCodeNeeded
	case statusLocked:
		a.ask, ev.Kind = false, Locked
	}
	return [][]byte{a.ready()}, ev, nil
}

func (a *HostActivation) onShare(body []byte) ([][]byte, Event, error) {
	rd := reader{b: body}
	attempt := rd.u32()
	share := rd.take(32)
	r := a.run
	if rd.done() != nil || r == nil || r.wrong || attempt != r.attempt || a.pin != nil {
		return nil, Event{}, ErrDropped
	}
	if r.peer != nil {
		if !bytes.Equal(r.peer, share) {
			return nil, Event{}, ErrReplay
		}
		return [][]byte{bytes.Clone(r.sent)}, Event{}, nil
	}
	if err := a.finish(r, share); err != nil {
		r.wrong = true // the run is spent; the customer types again
		return nil, Event{Kind: NeedCode}, err
	}
	out, err := a.confirmBody(r, hostProof{Report: a.report, Allowed: a.allowed, Clock: a.now().UTC()})
	if err != nil {
		return nil, Event{}, err
	}
	a.tries++ // whoever holds the link can check one guess against this; given back on success
	r.sent = frame(a.macKey, a.th[:], msgHostConfirm, out)
	r.hostConfirm = out
	return [][]byte{bytes.Clone(r.sent)}, Event{}, nil
}

func (a *HostActivation) onConfirm(msg, body []byte) ([][]byte, Event, error) {
	if a.pin != nil {
		if bytes.Equal(a.confirms, msg) {
			return [][]byte{bytes.Clone(a.doneMsg)}, Event{}, nil
		}
		return nil, Event{}, ErrReplay
	}
	r := a.run
	if len(body) < 4 || r == nil || r.wrong || r.hostConfirm == nil || be.Uint32(body) != r.attempt {
		return nil, Event{}, ErrDropped
	}
	var p consoleProof
	if err := a.readConfirm(r, body, &p); err != nil {
		return nil, Event{}, err // whoever sent it does not hold the code; the run may still succeed
	}
	if p.Rights&^a.allowed != 0 {
		return nil, Event{}, fmt.Errorf("%w: rights that were not allowed", ErrDropped)
	}
	a.tries--
	a.confirms = bytes.Clone(msg)
	a.pinned(r, r.hostConfirm, body, p.Rights, a.serverKey)
	a.doneMsg = frame(a.macKey, a.th[:], msgDone, mac(r.doneKey, []byte("done"), r.th[:]))
	r.wipe()
	return [][]byte{bytes.Clone(a.doneMsg)}, Event{Kind: Confirmed, Peer: a.console.id, Offer: a.offer, Rights: p.Rights, ClockOff: p.Clock.Sub(a.now())}, nil
}
