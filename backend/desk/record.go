package desk

import (
	"encoding/json"
	"time"

	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/seal"
	"daypass/backend/session"
	"daypass/backend/wire"
)

// recording is how far the host's copy of a session's record goes. It belongs to
// the loop.
type recording struct {
	known  bool // what follows was read from the store
	facts  uint64
	writer grant.Key // whose entries the record takes now
	said   map[string]bool

	have   *journal.Head // the host's copy; nil until it said so on this link
	sent   uint64        // last entry of the batch that is on its way
	asked  uint64        // first entry that the host is asked for; 0: none
	want   journal.Head  // end of the host's copy while it is asked for
	got    []journal.Entry
	size   int  // bytes of got
	stuck  bool // the host does not take more on this link
	held   []heldNote
	looked bool // for signatures that are missing, on this link
	adopts int  // on this link, so that a hostile host cannot keep us busy
}

// heldNote is what cannot be written before the host said that this console goes
// on with the record.
type heldNote struct {
	at     time.Time
	record session.Detailed
}

const maxHeld = 500

// maxAdopt bounds what is kept of a host's copy until it is whole, in bytes.
const maxAdopt = 64 << 20

// recall reads what the store knows of the record, once.
func (d *Desk) recall(l *live) {
	if l.rec.known {
		return
	}
	l.rec.known, l.rec.writer, l.rec.said = true, grant.KeyOf(d.dev.Ed), map[string]bool{}
	if l.row.Head.Seq == 0 {
		return
	}
	es, err := d.store.Entries(d.ctx, l.id())
	if err != nil {
		d.notice("store", "error", err)
		return
	}
	l.rec.facts = 0
	l.rec.writer = l.row.ConsoleKey
	for i := range es {
		d.noted(l, &es[i])
	}
}

// noted keeps count of what an entry of the record means for those to come.
func (d *Desk) noted(l *live, e *journal.Entry) {
	if e.Fact == nil {
		return
	}
	l.rec.facts++
	l.rec.said[e.Kind] = true
	if k := e.Detail().ConsoleKey; e.Kind == journal.KindMovedHere && k != nil {
		l.rec.writer = *k
	}
}

// hostTells reports whether the host itself says this for the record, so that
// the console does not write it a second time.
func (l *live) hostTells(r session.Record) bool {
	switch r.Kind {
	case session.KindRights, session.KindPaused:
		return true
	case session.KindEnded, session.KindRemoved:
		return l.rec.said[r.Kind] && (r.Actor == session.CustomerA || r.Actor == session.HostA || r.Actor == session.ServerA)
	}
	return false
}

// entriesOf makes the entries for what is to be recorded.
func (d *Desk) entriesOf(l *live, head journal.Head, at time.Time, records []session.Detailed) ([]journal.Entry, journal.Head) {
	d.recall(l)
	var out []journal.Entry
	for _, r := range records {
		if l.hostTells(r.Record) {
			continue
		}
		if l.rec.writer != grant.KeyOf(d.dev.Ed) {
			if len(l.rec.held) < maxHeld {
				l.rec.held = append(l.rec.held, heldNote{at, r})
			}
			continue
		}
		if head.Seq >= journal.MaxEntries-16 && r.Kind != session.KindEnded && r.Kind != session.KindEndRequested && r.Kind != session.KindUnconfirmed {
			continue // full; its end is still told
		}
		x := head.With(l.id(), at, string(r.Actor), r.Kind, r.Text, r.Details.JSON())
		x.Sign(journal.Console, d.dev.Ed)
		head = x.Head()
		out = append(out, x)
	}
	return out, head
}

// put appends entries that are made already.
func (d *Desk) put(l *live, entries []journal.Entry) {
	if len(entries) == 0 {
		return
	}
	l.head = entries[len(entries)-1].Head()
	l.pending = append(l.pending, entries...)
	d.save(l)
	d.dirty = true
}

// flushHeld writes what waited for the host's word.
func (d *Desk) flushHeld(l *live) {
	held := l.rec.held
	l.rec.held = nil
	for _, h := range held {
		es, _ := d.entriesOf(l, l.head, h.at, []session.Detailed{h.record})
		d.put(l, es)
	}
}

// hostFact puts something that the host said into the record, word for word.
func (d *Desk) hostFact(l *live, s grant.Signed) {
	d.recall(l)
	f, err := journal.OpenFact(l.row.HostKey, l.id(), s)
	if err != nil {
		d.log.Warn("something for the record that the host did not sign", "session", l.id(), "error", err)
		return
	}
	mine := l.rec.writer == grant.KeyOf(d.dev.Ed)
	if k := (&journal.Entry{Details: f.Details}).Detail().ConsoleKey; f.Kind == journal.KindMovedHere && k != nil {
		mine = *k == grant.KeyOf(d.dev.Ed)
	}
	if f.N != l.rec.facts+1 || !mine || l.rec.asked != 0 || l.head.Seq >= journal.MaxEntries {
		return // known already, or it comes again when the record before it is here
	}
	e := l.head.Repeat(f, s)
	e.Sign(journal.Console, d.dev.Ed)
	d.noted(l, &e)
	d.put(l, []journal.Entry{e})
	if f.Kind == journal.KindMovedHere {
		d.flushHeld(l)
	}
}

// trail reads what the host said after the console had gone, out of its last
// word.
func (d *Desk) trail(l *live, r grant.Removed) {
	if len(r.Trail) == 0 {
		return
	}
	b, err := seal.Open(d.dev.X, grant.ContextTrail, r.Session[:], r.Trail)
	var facts []grant.Signed
	if err == nil {
		err = json.Unmarshal(b, &facts)
	}
	if err != nil {
		d.log.Warn("the host's last facts cannot be read", "session", l.id(), "error", err)
		return
	}
	for _, f := range facts {
		d.hostFact(l, f)
	}
}

// unlinked forgets what was said on a link that is gone.
func (l *live) unlinked() {
	l.rec.have, l.rec.sent, l.rec.asked, l.rec.got, l.rec.stuck, l.rec.looked, l.rec.adopts = nil, 0, 0, nil, false, false, 0
}

// askHave asks a host that was not connected before how far its copy goes.
func (d *Desk) askHave(l *live, c *conn) {
	l.unlinked()
	if err := d.send(c, &wire.RecordAsk{From: journal.MaxEntries + 1}); err != nil {
		d.log.Warn("record not asked for", "session", l.id(), "error", err)
	}
}

// feed sends the host what its copy lacks, one batch at a time.
func (d *Desk) feed(l *live) {
	c := l.conn
	if c == nil || l.rec.have == nil || l.rec.stuck || l.rec.asked != 0 || l.rec.sent > l.rec.have.Seq || l.rec.have.Seq >= l.row.Head.Seq {
		return
	}
	es, err := d.store.EntriesFrom(d.ctx, l.id(), l.rec.have.Seq+1, wire.MaxRecord)
	if err != nil || len(es) == 0 {
		d.log.Warn("the record cannot be read", "session", l.id(), "error", err)
		return
	}
	for i := range es {
		es[i].Signatures = es[i].Signatures[:1] // ours; the host makes its own
	}
	m := wire.Pack(es)
	if err := d.send(c, m); err != nil {
		d.log.Debug("record not sent", "session", l.id(), "error", err)
		return
	}
	l.rec.sent = m.Entries[len(m.Entries)-1].Seq
}

// hostHas takes the host's word of how far its copy goes.
func (d *Desk) hostHas(l *live, c *conn, m *wire.RecordHave) {
	d.recall(l)
	if len(m.Signatures) > 0 {
		d.cosigned(l, m)
	}
	if len(l.pending) > 0 || l.rec.asked != 0 {
		return // the disk first; the next word finds us
	}
	switch at, ok := d.entryAt(l, m.Head.Seq); {
	case m.Head.Seq == 0, ok && at == m.Head:
		before := l.rec.have
		if from := d.unsigned(l); before == nil && !l.rec.looked && from != 0 && from <= m.Head.Seq {
			l.rec.looked = true // its signatures were on their way when the link went
			d.askRecord(l, c, from, m.Head)
			return
		}
		h := m.Head
		l.rec.have = &h
		if before != nil && l.rec.sent > h.Seq {
			if h.Seq == before.Seq {
				l.rec.stuck = true
				d.log.Warn("the host does not take the record", "session", l.id(), "entry", h.Seq+1)
				return
			}
			l.rec.sent = h.Seq
		}
		d.feed(l)
	case m.Head.Seq > l.row.Head.Seq:
		d.askRecord(l, c, l.row.Head.Seq+1, m.Head)
	default:
		d.askRecord(l, c, 1, m.Head)
	}
}

// unsigned is the first entry that the host has not signed, 0 if there is none.
func (d *Desk) unsigned(l *live) uint64 {
	n, err := d.store.FirstUnsigned(d.ctx, l.id())
	if err != nil {
		d.log.Warn("the record cannot be read", "session", l.id(), "error", err)
	}
	return n
}

func (d *Desk) entryAt(l *live, seq uint64) (journal.Head, bool) {
	if seq == 0 || seq > l.row.Head.Seq {
		return journal.Head{}, false
	}
	es, err := d.store.EntriesFrom(d.ctx, l.id(), seq, 1)
	if err != nil || len(es) == 0 {
		return journal.Head{}, false
	}
	return es[0].Head(), true
}

// cosigned keeps the host's signatures.
func (d *Desk) cosigned(l *live, m *wire.RecordHave) {
	es, err := d.store.EntriesFrom(d.ctx, l.id(), m.From, len(m.Signatures))
	if err != nil {
		d.log.Warn("the record cannot be read", "session", l.id(), "error", err)
		return
	}
	var out []journal.Entry
	for i := range es {
		if len(m.Signatures[i]) == 0 {
			continue // it refuses; its objection follows
		}
		e := es[i]
		e.AddSignature(journal.Signature{Side: journal.Host, Key: l.row.HostKey, Sig: m.Signatures[i]})
		if !e.SignedAs(journal.Host, l.row.HostKey) {
			d.log.Warn("the host signed another entry than ours", "session", l.id(), "entry", e.Seq)
			break
		}
		out = append(out, e)
	}
	if err := d.store.Cosign(d.ctx, out); err != nil {
		d.notice("store", "error", err)
	}
	d.syncSoon()
}

// askRecord asks for the host's copy from an entry on: it knows more than we do.
func (d *Desk) askRecord(l *live, c *conn, from uint64, end journal.Head) {
	if l.rec.adopts++; l.rec.adopts > 4 {
		return
	}
	l.rec.asked, l.rec.want, l.rec.got, l.rec.size = from, end, nil, 0
	if err := d.send(c, &wire.RecordAsk{From: from}); err != nil {
		d.log.Debug("record not asked for", "session", l.id(), "error", err)
		l.rec.asked = 0
	}
}

// hostRecord takes entries of the host's copy.
func (d *Desk) hostRecord(l *live, c *conn, m *wire.Record) {
	next := l.rec.asked + uint64(len(l.rec.got))
	if l.rec.asked == 0 || m.Entries[0].Seq != next {
		return
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		l.rec.size += 512 + len(e.Text) + len(e.Details)
		if e.Fact != nil {
			l.rec.size += len(e.Fact.Body)
		}
	}
	if l.rec.size > maxAdopt {
		d.log.Warn("the host's copy of the record is larger than any record", "session", l.id())
		l.rec.asked, l.rec.got = 0, nil
		return
	}
	l.rec.got = append(l.rec.got, m.Entries...)
	last := l.rec.got[len(l.rec.got)-1].Seq
	if last < l.rec.want.Seq {
		if err := d.send(c, &wire.RecordAsk{From: last + 1}); err != nil {
			l.rec.asked, l.rec.got = 0, nil
		}
		return
	}
	from, got := l.rec.asked, l.rec.got
	l.rec.asked, l.rec.got = 0, nil
	if !d.adopt(l, from, got) {
		return
	}
	// What the host said meanwhile comes again.
	if err := d.send(c, &wire.RecordAsk{From: l.row.Head.Seq + 1}); err != nil {
		d.log.Debug("record not asked for", "session", l.id(), "error", err)
	}
}

// adopt makes the host's copy our record from an entry on. It must be whole, and
// signed by the consoles that wrote it: a host cannot make up what a console
// says, nor who began a record that began here.
func (d *Desk) adopt(l *live, from uint64, got []journal.Entry) bool {
	ours, err := d.store.Entries(d.ctx, l.id())
	if err != nil {
		d.notice("store", "error", err)
		return false
	}
	full := append(ours[:min(from-1, uint64(len(ours))):min(from-1, uint64(len(ours)))], got...)
	root := l.row.ConsoleKey
	// Who has not its beginning learns from the host which console began it. Who
	// has takes no other: a host could write a record of its own with any key.
	if begun := len(ours) > 0 && ours[0].Kind == session.KindCreated; from == 1 && !begun {
		if s := full[0].SignatureOf(journal.Console); s != nil {
			root = s.Key
		}
	}
	if v := journal.Verify(full, journal.Keys{Console: root, Host: l.row.HostKey}, journal.Head{}); v.Kind == journal.Tampered {
		d.log.Warn("the host's copy of the record is not whole", "session", l.id(), "entry", v.Bad, "reason", v.Reason)
		return false
	}
	var again []journal.Entry
	for i := range ours {
		if e := &ours[i]; e.Seq >= from && e.Fact == nil && (e.Seq > uint64(len(full)) || full[e.Seq-1].Hash != e.Hash) {
			again = append(again, *e)
		}
	}
	head, err := d.store.Adopt(d.ctx, l.id(), got)
	if err != nil {
		d.notice("store", "error", err)
		return false
	}
	l.head, l.row.Head, l.row.ConsoleKey = head, head, root
	l.rec.known = false
	held := l.rec.held
	d.recall(l)
	for i := range again {
		e := &again[i]
		held = append(held, heldNote{e.At, session.Detailed{Record: session.Record{Actor: session.Actor(e.Actor), Kind: e.Kind, Text: e.Text}, Details: e.Detail()}})
	}
	l.rec.held = held[:min(len(held), maxHeld)]
	d.save(l)
	if l.rec.writer == grant.KeyOf(d.dev.Ed) {
		d.flushHeld(l)
	}
	return true
}
