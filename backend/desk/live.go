package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/faultpoint"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/backend/session"
	"daypass/backend/store"
)

// live is one session of this console while the desk runs. It belongs to the
// loop.
type live struct {
	row     store.Row
	head    journal.Head    // of row and pending
	pending []journal.Entry // not stored yet: the disk did not take them
	srv     *rendezvous.Session
	fault   *Fault
	before  bool // it was over before this run: shown only while the host's last word is missing

	// before it is active
	secret *pairing.Secret
	link   string
	budget *pairing.Budget
	hosts  map[rendezvous.Instance]*waiting
	// refusals that were taken, so that one that comes again is known
	refusals map[[32]byte]bool
	chosen   rendezvous.Instance
	byHand   bool // a person chose
	code     *code
	mail     uint64 // number of the latest sending
	soon     int    // which of session.WarnAt applies now

	// from the confirmation on
	pin        *pinned
	activating *pinned // which is on its way to the server
	stopAct    context.CancelFunc
	claimedAt  time.Time     // when the server was asked last to let us go on
	ending     bool          // Ended is on its way to the server
	delivered  chan struct{} // closed when it has arrived, or was given up for now
	removeBy   time.Time
	removedAt  time.Time // when the server said so while the link was open

	ended *grant.Signed // not yet at the server

	rec    recording
	reboot *rebooting // asked for, until the computer is back

	conn *conn         // link to the host
	tail chan struct{} // closed when the latest message to a host has left
}

// removalGrace is how long the link may take to bring the report of a removal
// that the server told of already.
const removalGrace = 2 * time.Second

type waiting struct {
	act    *pairing.ConsoleActivation
	report pairing.HostReport
	since  time.Time
	heard  time.Time
	sent   time.Time // when what is pending was sent last
}

type code struct {
	code    pairing.Code
	expires time.Time
	state   string
}

// linkRecord is what the vault keeps until the session is active.
type linkRecord struct {
	Secret string         `json:"secret"`
	Link   string         `json:"link"`
	Budget pairing.Budget `json:"budget"`
}

// pinned is what the vault keeps from the confirmation to the host's last word.
type pinned struct {
	Pin       []byte              `json:"pin"`
	Instance  rendezvous.Instance `json:"instance"`
	Report    pairing.HostReport  `json:"report"`
	Activated grant.Signed        `json:"activated"`
	Done      bool                `json:"done,omitempty"` // the host said that it holds its pin
	parsed    *pairing.Pin        // own copy, never given to a link
	loaded    time.Time           // by this run from the vault; zero: made by this run
}

func linkName(id grant.ID) string { return "link:" + id.String() }
func pinName(id grant.ID) string  { return "pin:" + id.String() }

func (l *live) id() grant.ID { return l.row.Session.ID }

// wipe overwrites what is secret.
func (l *live) wipe() {
	if l.secret != nil {
		l.secret.Wipe()
		l.secret = nil
	}
	for _, w := range l.hosts {
		w.act.Wipe()
	}
	l.hosts = map[rendezvous.Instance]*waiting{}
	if l.code != nil {
		l.code.code.Wipe()
		l.code = nil
	}
	if l.pin != nil && l.pin.parsed != nil {
		l.pin.parsed.Wipe()
		clear(l.pin.Pin)
	}
}

// loadSessions reads what is not over from store and vault.
func (d *Desk) loadSessions() error {
	rows, err := d.store.Unfinished(d.ctx, time.Now())
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, r := range rows {
		l := &live{row: r, head: r.Head, hosts: map[rendezvous.Instance]*waiting{}, before: r.Session.State.Over()}
		id := r.Session.ID
		if b, ok := d.cfg.Vault.Get(linkName(id)); ok {
			var rec linkRecord
			if err := json.Unmarshal(b, &rec); err == nil {
				if s, err := pairing.ParseSecret(rec.Secret); err == nil {
					l.secret, l.link, l.budget = &s, rec.Link, &rec.Budget
				}
			}
			clear(b)
		}
		if b, ok := d.cfg.Vault.Get(pinName(id)); ok {
			var p pinned
			if err := json.Unmarshal(b, &p); err == nil {
				if p.parsed, err = pairing.ParsePin(p.Pin); err == nil {
					p.loaded = time.Now()
					l.pin = &p
					l.row.HostKey = p.parsed.PeerEd // killed after the pin and before the row was stored
				} else {
					d.log.Warn("stored pin cannot be read", "session", id, "error", err)
				}
			}
			clear(b)
		}
		if r.Session.State == session.Unconfirmed && l.pin == nil {
			continue // nothing can come of it any more
		}
		keep[linkName(id)], keep[pinName(id)] = true, true
		d.live[id] = l
		switch {
		case r.Session.State.Open() && l.secret == nil:
			l.fault = FaultOf(fault.New(fault.SignedOut, "session.secret", "The password of this invitation is not on this computer any more.", "Cancel it and start a new session."))
		case (r.Session.State == session.Active) && l.pin == nil:
			l.fault = FaultOf(fault.New(fault.SignedOut, "session.pin", "The keys of this session are not on this computer any more.", "Go on with it by the link from the mail you sent (New session), or end it."))
		}
		if r.Session.Mail.State == session.MailSending {
			d.must(l, session.MailResult{State: session.MailFailed, To: r.Session.Customer.Email, Err: interrupted(), Server: r.Session.Mail.Server})
		}
		if r.Session.State == session.Ending {
			l.removeBy = time.Now().Add(d.cfg.RemovalWait)
		}
		if r.Session.State.Live() {
			d.note(l, session.ConsoleA, session.KindConsoleBack, "Console started again.")
		}
		if r.Session.State == session.Active {
			d.dial(l)
		}
	}
	// Ends that the server has not taken yet.
	for _, n := range d.cfg.Vault.Names("end:") {
		id, err := grant.ParseID(strings.TrimPrefix(n, "end:"))
		b, ok := d.cfg.Vault.Get(n)
		var rec endRecord
		if err != nil || !ok || json.Unmarshal(b, &rec) != nil {
			d.forget(n)
			continue
		}
		l := d.live[id]
		if l == nil {
			row, err := d.store.Get(d.ctx, id)
			if err != nil {
				d.forget(n)
				continue
			}
			l = &live{row: row, head: row.Head, hosts: map[rendezvous.Instance]*waiting{}, before: true}
			d.live[id] = l
		}
		l.ended = &rec.Ended
	}
	// Secrets of what is over do not stay.
	var stale []string
	for _, prefix := range []string{"link:", "pin:"} {
		for _, n := range d.cfg.Vault.Names(prefix) {
			if !keep[n] {
				stale = append(stale, n)
			}
		}
	}
	return d.cfg.Vault.Delete(stale...)
}

// resume does what waited for the server.
func (d *Desk) resume() {
	for _, l := range d.live {
		d.activate(l)
		d.deliverEnd(l)
	}
}

// apply puts a fact to a session, stores the result and does the effects. A
// fault of the fact itself changes nothing. When the disk does not take it the
// session goes on in memory, nothing is lost, and a notice says so until it
// was stored.
func (d *Desk) apply(l *live, f session.Fact) error {
	now := time.Now()
	next, fx, err := l.row.Session.Apply(f, now)
	if err != nil {
		return err
	}
	if len(fx) == 0 && reflect.DeepEqual(next, l.row.Session) {
		return nil // as once a second, when the time is not over yet
	}
	entries, head := d.entries(l, fx, now)
	l.row.Session, l.head = next, head
	l.pending = append(l.pending, entries...)
	d.save(l)
	d.effects(l, fx)
	return nil
}

// applyStored is apply for what a person asked for: if the disk does not take
// it, it did not happen.
func (d *Desk) applyStored(l *live, f session.Fact) error {
	now := time.Now()
	next, fx, err := l.row.Session.Apply(f, now)
	if err != nil {
		return err
	}
	if len(l.pending) > 0 {
		if d.save(l); len(l.pending) > 0 {
			return fault.New(fault.Full, "store.save", "There is no space left on the disk to store this.", "Free some space and try again. Nothing that was stored is lost.")
		}
	}
	entries, head := d.entries(l, fx, now)
	row := l.row
	row.Session = next
	if err := d.store.Save(d.ctx, row, entries); err != nil {
		return err
	}
	l.row.Session, l.head, l.row.Head = next, head, head
	d.feed(l)
	d.syncSoon()
	d.effects(l, fx)
	return nil
}

func (d *Desk) entries(l *live, fx []session.Effect, now time.Time) ([]journal.Entry, journal.Head) {
	var records []session.Detailed
	for _, e := range fx {
		switch e := e.(type) {
		case session.Record:
			records = append(records, session.Detailed{Record: e})
		case session.Detailed:
			records = append(records, e)
		}
	}
	return d.entriesOf(l, l.head, now, records)
}

// save stores the session with what is pending.
func (d *Desk) save(l *live) {
	faultpoint.Hit("console/journal", string(l.row.Session.State))
	err := d.store.Save(d.ctx, l.row, l.pending)
	faultpoint.Hit("console/journal stored", string(l.row.Session.State))
	if err != nil {
		d.notice("store", "error", err)
		l.fault = FaultOf(err)
		return
	}
	if l.fault != nil && l.fault.Op == "store.save" {
		l.fault = nil
		d.clearNotice("store")
	}
	l.row.Head, l.pending = l.head, nil
	d.feed(l)
	d.syncSoon()
}

func (d *Desk) note(l *live, actor session.Actor, kind, text string) {
	d.noteWith(l, actor, kind, text, journal.Details{})
}

// noteWith is note with what the entry says besides its words.
func (d *Desk) noteWith(l *live, actor session.Actor, kind, text string, det journal.Details) {
	if err := d.apply(l, session.Note{Actor: actor, Kind: kind, Text: text, Details: det}); err != nil {
		d.log.Error("note", "error", err) // Note is always allowed
	}
}

// must is apply for facts that the state may refuse without harm: they came
// late.
func (d *Desk) must(l *live, f session.Fact) bool {
	if err := d.apply(l, f); err != nil {
		d.log.Debug("fact refused", "session", l.id(), "error", err)
		return false
	}
	return true
}

func (d *Desk) effects(l *live, fx []session.Effect) {
	for _, e := range fx {
		switch e := e.(type) {
		case session.WipeSecret:
			if l.secret != nil {
				l.secret.Wipe()
				l.secret = nil
			}
			if l.code != nil {
				l.code.code.Wipe()
				l.code = nil
			}
			l.link = ""
			d.forget(linkName(l.id()))
		case session.WipePin:
			if l.pin != nil {
				l.pin.parsed.Wipe()
				clear(l.pin.Pin)
				l.pin = nil
			}
			d.forget(pinName(l.id()))
		case session.Disconnect:
			d.dropLink(l, "session over")
			for _, w := range l.hosts {
				w.act.Wipe()
			}
			l.hosts = map[rendezvous.Instance]*waiting{}
		case session.Connect:
			d.dial(l)
		case session.WarnTime:
			d.warnTime(l, e.Minutes)
		case session.AwaitRemoval:
			l.removeBy = time.Now().Add(d.cfg.RemovalWait)
		}
	}
}

func (d *Desk) forget(name string) {
	if err := d.cfg.Vault.Delete(name); err != nil {
		d.notice("vault", "error", err)
	}
}

func (d *Desk) keepLink(l *live) error {
	b, err := json.Marshal(linkRecord{Secret: l.secret.Text(), Link: l.link, Budget: *l.budget})
	if err != nil {
		return err
	}
	defer clear(b)
	return d.cfg.Vault.Put(linkName(l.id()), b)
}

func (d *Desk) keepPin(l *live) error {
	b, err := json.Marshal(l.pin)
	if err != nil {
		return err
	}
	defer clear(b)
	return d.cfg.Vault.Put(pinName(l.id()), b)
}

// get finds a session of this console.
func (d *Desk) get(id string) (*live, error) {
	g, err := grant.ParseID(id)
	if err == nil {
		if l := d.live[g]; l != nil {
			return l, nil
		}
		if _, ok := d.foreign[g]; ok {
			return nil, fault.New(fault.Denied, "session", "This session belongs to another console.", "Only the console that started it can do this.")
		}
	}
	return nil, fault.New(fault.NotFound, "session", "This session does not exist any more.", "")
}

// heard takes what the server says of a session.
func (d *Desk) heard(s rendezvous.Session) {
	l := d.live[s.ID]
	if l == nil {
		if rendezvous.Ended != s.State && (s.Ended.IsZero() || time.Since(s.Ended) < time.Hour) {
			d.foreign[s.ID] = s
		} else {
			delete(d.foreign, s.ID)
		}
		return
	}
	if l.srv != nil && l.srv.Rev > s.Rev {
		return
	}
	l.srv = &s
	x := &l.row.Session
	if d.elsewhere(l, s) {
		return
	}
	d.knocked(l, s.Knock)
	over := s.State == rendezvous.Ending || s.State == rendezvous.Ended || s.State == rendezvous.Removed || s.State == rendezvous.Unconfirmed
	if over && !x.State.Over() && x.State != session.Ending {
		d.passOn(l, s.EndedBy, s.EndedFact)
		d.must(l, session.End{By: s.EndedBy, At: s.Ended})
		d.refreshSoon()
	}
	if s.Removed != nil && x.State != session.Removed && x.WasActive {
		if l.conn != nil && l.conn.state == peer.Open && l.removedAt.IsZero() {
			l.removedAt = time.Now() // the same comes over the link, with its report
		} else if time.Since(l.removedAt) > removalGrace {
			d.receipt(l, *s.Removed, nil)
		}
	}
	if s.State == rendezvous.Unconfirmed {
		d.must(l, session.NoReceipt{})
	}
	switch {
	case x.State.Open():
		for i, w := range l.hosts {
			if !slices.Contains(s.Waiting, i) && time.Since(w.heard) > 30*time.Second {
				w.act.Wipe()
				delete(l.hosts, i)
			}
		}
		if x.State != session.Invited && len(l.hosts) == 0 && s.State != rendezvous.Invited && len(s.Waiting) == 0 && l.pin == nil {
			l.chosen, l.byHand = rendezvous.Instance{}, false
			d.hideCode(l)
			d.must(l, session.Lost{})
		}
		d.autoChoose(l)
		d.activate(l)
		d.claimSoon(l)
	case x.State == session.Ending:
		d.deliverEnd(l)
	}
}

func (d *Desk) hideCode(l *live) {
	if l.code != nil {
		l.code.code.Wipe()
		l.code = nil
	}
}

// tick is what time does, once a second.
func (d *Desk) tick() {
	now := time.Now()
	if d.sig != nil {
		now = d.sig.Now() // believable where the clock of this computer is wrong
	}
	for _, l := range d.live {
		x := &l.row.Session
		before := x.State
		d.watchLink(l)
		if len(l.pending) > 0 || l.fault != nil && l.fault.Op == "store.save" {
			d.save(l)
			d.dirty = true
		}
		if l.code != nil && (l.code.state == "shown" || l.code.state == "wrong") && !time.Now().Before(l.code.expires) {
			l.code.state = "expired"
			d.dirty = true
		}
		for i, w := range l.hosts {
			if out, ev := w.act.Expire(); ev.Kind != pairing.None {
				d.sendAll(l, i, out)
				d.dirty = true
			}
			if time.Since(w.sent) >= 2*time.Second {
				if out := w.act.Pending(); len(out) > 0 {
					w.sent = time.Now()
					d.sendAll(l, i, out)
				}
			}
		}
		switch {
		case l.pin != nil && d.stale(l):
			d.autoChoose(l)
			d.dirty = true
		case l.pin == nil && x.State.Open() && l.chosen == (rendezvous.Instance{}) && len(l.hosts) > 1:
			// Of several one may have left: a program that was started again is two for a moment.
			if d.autoChoose(l); l.chosen != (rendezvous.Instance{}) {
				d.dirty = true
			}
		}
		if !l.removedAt.IsZero() && time.Since(l.removedAt) > removalGrace && l.srv != nil && l.srv.Removed != nil {
			d.receipt(l, *l.srv.Removed, nil)
		}
		if x.State.Live() {
			d.must(l, session.Lapse{Now: now})
		}
		if x.State == session.Ending && !l.removeBy.IsZero() && now.After(l.removeBy) && time.Now().After(l.removeBy) {
			d.must(l, session.NoReceipt{})
		}
		if x.State != before {
			d.clearNotice(timeNotice(l.id()))
			d.dirty = true
		}
		if soon := session.Soon(x.Expires.Sub(now)); x.State == session.Active && soon != l.soon {
			l.soon, d.dirty = soon, true // the page shows it
		}
	}
	d.skew = -time.Since(now)
}

// receipt takes the host's last word, from the link (with lines) or the server.
func (d *Desk) receipt(l *live, s grant.Signed, lines []string) {
	if l.pin == nil {
		return
	}
	var r grant.Removed
	if err := grant.Open(l.pin.parsed.PeerEd, grant.ContextRemoved, s, &r); err != nil || r.Session != l.id() {
		d.log.Warn("receipt not by the pinned host", "session", l.id(), "error", err)
		return
	}
	faultpoint.Hit("console/removal heard", "")
	d.trail(l, r)
	if hash := grant.HashReport(lines); len(lines) > 0 && !bytes.Equal(hash[:], r.Report) {
		d.log.Warn("the removal's list is not the one that the host signed", "session", l.id())
		d.note(l, session.ConsoleA, "removal_list_refused", "The list of what was removed is not the one that the computer signed. It is left out.")
		lines = nil
	}
	l.before = false // what was awaited is shown
	d.must(l, session.Receipt{Clean: r.Clean, Lines: lines, Fact: &s})
	faultpoint.Hit("console/removal stored", "")
	d.refreshSoon()
}

// End asks for the end of an active session, or takes an invitation back.
func (d *Desk) End(id string) error {
	err := d.do(func() error {
		l, err := d.get(id)
		if err != nil {
			return err
		}
		switch l.row.Session.State {
		case session.Active:
			return d.end(l, grant.ByTechnician, session.AskEnd{By: session.Technician})
		}
		if l.row.Session.Again {
			return d.giveUp(l)
		}
		switch l.row.Session.State {
		case session.Invited, session.Answered, session.Pairing:
			return d.end(l, grant.ByCancel, session.Cancel{})
		}
		return nil
	})
	return err
}

// Cancel takes an invitation back.
func (d *Desk) Cancel(id string) error {
	return d.do(func() error {
		l, err := d.get(id)
		if err != nil {
			return err
		}
		if !l.row.Session.State.Open() {
			return fault.New(fault.Conflict, "session.cancel", "The invitation cannot be cancelled any more.", "End the session instead.")
		}
		if l.row.Session.Again {
			return d.giveUp(l)
		}
		return d.end(l, grant.ByCancel, session.Cancel{})
	})
}

// end signs the end, stores it where it survives a restart, and tells server
// and host.
func (d *Desk) end(l *live, by grant.EndedBy, f session.Fact) error {
	now := time.Now()
	if d.sig != nil {
		now = d.sig.Now()
	}
	signed, err := grant.Sign(d.dev.Ed, grant.ContextEnded, grant.Ended{Session: l.id(), By: by, At: now.UTC().Truncate(time.Millisecond)})
	if err != nil {
		return err
	}
	rec := endRecord{Ended: signed}
	b, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	if err := d.cfg.Vault.Put(endName(l.id()), b); err != nil {
		// The end must not wait for a disk.
		d.notice("vault", "error", err)
	}
	faultpoint.Hit("console/end kept", "")
	l.ended = &signed
	if err := d.apply(l, f); err != nil {
		l.ended = nil
		d.forget(endName(l.id()))
		return err
	}
	faultpoint.Hit("console/end stored", "")
	d.tellHost(l)
	d.deliverEnd(l)
	return nil
}

type endRecord struct {
	Ended grant.Signed `json:"ended"`
}

func endName(id grant.ID) string { return "end:" + id.String() }

// deliverEnd brings the signed end to the server until it took it.
func (d *Desk) deliverEnd(l *live) {
	sig := d.sig
	if l.ended == nil || l.ending || sig == nil {
		return
	}
	l.ending, l.delivered = true, make(chan struct{})
	id, signed := l.id(), *l.ended
	d.async(func(ctx context.Context) {
		err := retry(ctx, func(ctx context.Context) error { return sig.End(ctx, id, signed) })
		faultpoint.Hit("console/end taken", "")
		d.post(func() {
			l.ending = false
			close(l.delivered)
			if err != nil && !errors.Is(err, context.Canceled) {
				d.log.Warn("the server did not take the end", "session", id, "error", err)
				if k := fault.KindOf(err); k == fault.Offline || k == fault.SignedOut {
					return // resume tries again
				}
			}
			l.ended = nil
			d.forget(endName(id))
			d.refreshSoon()
		})
	})
}

// retry repeats f while the server is out of reach, for a minute.
func retry(ctx context.Context, f func(context.Context) error) error {
	wait := 300 * time.Millisecond
	for start := time.Now(); ; {
		c, cancel := context.WithTimeout(ctx, serverTimeout)
		err := f(c)
		cancel()
		if err == nil || ctx.Err() != nil || fault.KindOf(err) != fault.Offline || time.Since(start) > time.Minute {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// PutAway removes an ended session from the list.
func (d *Desk) PutAway(id string) error {
	return d.do(func() error {
		l, err := d.get(id)
		if err != nil {
			return err
		}
		return d.applyStored(l, session.PutAway{})
	})
}
