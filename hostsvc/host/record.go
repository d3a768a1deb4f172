package host

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"daypass/backend/faultpoint"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
)

// recordName is the customer's copy of the session's record, in the state
// folder: a line of JSON for each thing that was added.
const recordName = "record.log"

const (
	maxSizes      = 64     // sizes of clipboard texts that are remembered
	maxFacts      = 10_000 // things that the host says for one record
	maxObjections = 100    // of them about entries: one makes a record contradicted, and the rest are for what the customer does
)

// Bounds of the file in bytes; tests lower them. What the console sends leaves
// room for what this computer says: a file that is too large would not be read
// after a restart.
var (
	maxRecordFile int64 = MaxRecordCopy
	factRoom      int64 = 8 << 20
)

// Actors of what the host says for the record.
const (
	actorCustomer = "customer"
	actorHost     = "host"
)

// record is the customer's copy of the session's record and what this computer
// has to say for it. It signs what does not contradict what happened here. Its
// methods may be called from any goroutine.
type record struct {
	session grant.ID
	key     ed25519.PrivateKey // wiped with the session's keys
	host    grant.Key          // its public half, which stays
	now     func() time.Time

	mu      sync.Mutex
	file    *os.File // nil after the removal: what comes then is kept in memory
	entries []journal.Entry
	head    journal.Head
	console grant.Key      // whose entries are taken
	facts   []grant.Signed // all that were said, the first is number 1
	placed  uint64         // how many of them the record holds
	allowed grant.Rights   // the most that the customer granted
	active  bool           // the record tells of the activation
	asked   uint64         // times the console asked for the screen
	opened  uint64         // times the record tells of it
	open    bool           // by the record
	in, out []int64        // sizes of clipboard texts that came and that left, not claimed yet
	objects map[journal.Head]bool
	told    telling        // the record as "What was done"
	seen    []consent.Line // what was seen here and the record does not tell yet
}

// recordLine is one line of the file.
type recordLine struct {
	Entry   *journal.Entry `json:"entry,omitempty"`
	Fact    *grant.Signed  `json:"fact,omitempty"`
	Console *grant.Key     `json:"console,omitempty"`
	Asked   bool           `json:"asked,omitempty"`
	In      *int64         `json:"in,omitempty"`
	Out     *int64         `json:"out,omitempty"`
}

// openRecord reads the copy at path or begins it. A last line that a crash left
// unfinished is cut off; anything else that cannot be read is an error, and the
// host goes on with an empty copy that says so.
func openRecord(path string, session grant.ID, key ed25519.PrivateKey, console grant.Key, allowed grant.Rights) (*record, error) {
	r := &record{
		session: session, key: key, host: grant.KeyOf(key), now: time.Now, console: console, allowed: allowed, objects: map[journal.Head]bool{},
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return r, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxRecordFile+1))
	if err == nil && int64(len(b)) > maxRecordFile {
		err = errors.New("host: the copy of the record is too large")
	}
	good := bytes.LastIndexByte(b, '\n') + 1
	first := true
	for line := range bytes.Lines(b[:good]) {
		if err != nil {
			break
		}
		var l recordLine
		if err = grant.Strict(bytes.TrimSuffix(line, []byte("\n")), &l); err == nil {
			if first && l.Console != nil {
				r.console = *l.Console
			}
			err = r.replay(l)
		}
		first = false
	}
	if err == nil {
		err = f.Truncate(int64(good))
	}
	if err == nil {
		_, err = f.Seek(int64(good), io.SeekStart)
	}
	if err != nil {
		return r, errors.Join(err, f.Close())
	}
	r.file = f
	if good == 0 {
		err = r.write(recordLine{Console: &r.console})
	}
	return r, err
}

// replay takes a line of our own file.
func (r *record) replay(l recordLine) error {
	switch {
	case l.Entry != nil:
		if err := r.fits(l.Entry); err != nil {
			return err
		}
		r.add(*l.Entry)
	case l.Fact != nil:
		f, err := journal.OpenFact(r.host, r.session, *l.Fact)
		if err != nil || f.N != uint64(len(r.facts))+1 {
			return errors.Join(err, errors.New("host: a fact out of order"))
		}
		r.noteObjection(f)
		r.facts = append(r.facts, *l.Fact)
	case l.Asked:
		r.asked++
	case l.In != nil:
		r.in = remember(r.in, *l.In)
	case l.Out != nil:
		r.out = remember(r.out, *l.Out)
	}
	return nil
}

func (r *record) noteObjection(f journal.Fact) {
	e := journal.Entry{Details: f.Details}
	if d := e.Detail(); f.Kind == journal.KindObjection && d.OfHash != nil {
		r.objects[journal.Head{Seq: d.Of, Hash: *d.OfHash}] = true
	}
}

func remember(list []int64, n int64) []int64 {
	if len(list) >= maxSizes {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, n)
}

// write adds lines to the file, durably. After the removal it keeps nothing.
func (r *record) write(lines ...recordLine) error {
	if r.file == nil {
		return nil
	}
	if err := r.put(lines...); err != nil {
		return err
	}
	return r.file.Sync()
}

// put is write without waiting for the disk.
func (r *record) put(lines ...recordLine) error {
	if r.file == nil {
		return nil
	}
	at, err := r.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	most := maxRecordFile
	for _, l := range lines {
		if l.Fact == nil {
			most = maxRecordFile - factRoom
		}
		b, err := json.Marshal(l)
		if err != nil {
			return err
		}
		buf.Write(b)
		buf.WriteByte('\n')
	}
	if at+int64(buf.Len()) > most {
		return errors.New("host: the copy of the record is full")
	}
	faultpoint.Hit("host/record", "")
	if _, err = r.file.Write(buf.Bytes()); err != nil {
		_, back := r.file.Seek(at, io.SeekStart)
		return errors.Join(err, back, r.file.Truncate(at)) // half a line must not stay
	}
	faultpoint.Hit("host/record written", "")
	return nil
}

// detach lets go of the file: it is about to be removed.
func (r *record) detach() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	return f.Close()
}

// fits reports whether e continues the copy and is by the console that may.
func (r *record) fits(e *journal.Entry) error {
	if err := e.Check(); err != nil {
		return err
	}
	if e.Session != r.session || e.Seq != r.head.Seq+1 || e.Prev != r.head.Hash {
		return errors.New("host: an entry that does not continue the record")
	}
	if e.Seq > journal.MaxEntries {
		return errors.New("host: the record is full")
	}
	by := r.console
	if e.Fact != nil {
		n, ok := e.Repeats(r.host)
		if !ok || n != r.placed+1 {
			return errors.New("host: an entry that repeats something this computer did not say, or not now")
		}
		if d := e.Detail(); e.Kind == journal.KindMovedHere && d.ConsoleKey != nil {
			by = *d.ConsoleKey
		}
	}
	if !e.SignedAs(journal.Console, by) {
		return errors.New("host: an entry that the console did not sign")
	}
	return nil
}

// add puts a checked entry into memory.
func (r *record) add(e journal.Entry) {
	r.entries = append(r.entries, e)
	r.head = e.Head()
	r.tellEntry(&e)
	if e.Fact != nil {
		r.placed++
		if r.placed > uint64(len(r.facts)) { // our own file lost it
			r.facts = append(r.facts, *e.Fact)
		}
		if d := e.Detail(); e.Kind == journal.KindMovedHere && d.ConsoleKey != nil {
			r.console = *d.ConsoleKey
		}
	}
	switch e.Kind {
	case "activated":
		r.active = true
	case journal.KindOpened:
		r.opened, r.open = r.opened+1, true
	case "remote_closed":
		r.open = false
	case journal.KindClipSent:
		r.in = claim(r.in, e.Detail().Bytes)
	case journal.KindClipFetched:
		r.out = claim(r.out, e.Detail().Bytes)
	}
}

func claim(list []int64, n int64) []int64 {
	if i := slices.Index(list, n); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// contradicts says why the entry cannot be true by what happened here; "" if it
// can.
func (r *record) contradicts(e *journal.Entry) string {
	d := e.Detail()
	switch e.Kind {
	case "activated":
		if d.Allowed&^r.allowed != 0 {
			return "the customer did not allow that much"
		}
		return ""
	case "answered", "wrong_code", "disconnected":
		return "" // of an activation, which has no record here before it succeeds
	case journal.KindOpened:
		if r.opened >= r.asked {
			return "the screen was not asked for that often"
		}
	case journal.KindClipSent:
		if !slices.Contains(r.in, d.Bytes) {
			return "no such text came for the clipboard"
		}
	case journal.KindClipFetched:
		if !slices.Contains(r.out, d.Bytes) {
			return "no such text left the clipboard"
		}
	}
	if e.Fact == nil && r.active && (e.Actor == actorCustomer || e.Actor == actorHost) {
		return "the customer's computer did not say this"
	}
	return ""
}

// take adds entries that the console sent. It returns how far the copy goes now
// with the signatures, and what is to be said for the record about it. What does
// not continue the copy is not taken: the console asks what there is.
func (r *record) take(in []journal.Entry) (*wire.RecordHave, []journal.Fact, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	have := &wire.RecordHave{}
	var say []journal.Fact
	object := func(e *journal.Entry, why string) {
		if h := e.Head(); !r.objects[h] && len(r.objects) < maxObjections {
			r.objects[h] = true
			say = append(say, journal.Fact{
				Actor: actorHost, Kind: journal.KindObjection, Text: fmt.Sprintf("The customer's computer contradicts entry %d: %s.", e.Seq, why),
				Details: journal.Details{Of: e.Seq, OfHash: &h.Hash, Error: why}.JSON(),
			})
		}
	}
	var lines []recordLine
	entries, head, console, placed := r.entries, r.head, r.console, r.placed
	active, opened, open, in0, out0 := r.active, r.opened, r.open, slices.Clone(r.in), slices.Clone(r.out)
	told, seen := r.told, r.seen
	var failed error
	for i := range in {
		e := in[i]
		if e.Seq <= r.head.Seq && e.Seq > 0 {
			old := &r.entries[e.Seq-1]
			if old.Hash != e.Hash {
				if e.SignedAs(journal.Console, r.console) && e.Session == r.session {
					object(&e, "it holds another one in that place")
				}
				break
			}
			answer(have, old)
			continue
		}
		if failed = r.fits(&e); failed != nil {
			break
		}
		e.Signatures = []journal.Signature{*e.SignatureOf(journal.Console)}
		if why := r.contradicts(&e); why != "" {
			object(&e, why)
		} else {
			e.Sign(journal.Host, r.key)
		}
		lines = append(lines, recordLine{Entry: &e})
		r.add(e)
		answer(have, &e)
	}
	if len(lines) > 0 {
		if err := r.write(lines...); err != nil {
			r.entries, r.head, r.console, r.placed = entries, head, console, placed
			r.active, r.opened, r.open, r.in, r.out = active, opened, open, in0, out0
			r.told, r.seen = told, seen
			return r.have(), nil, err
		}
	}
	have.Head = r.head
	return have, say, failed
}

// answer puts our signature of e, which follows those before, into m.
func answer(m *wire.RecordHave, e *journal.Entry) {
	if m.From == 0 {
		m.From = e.Seq
	}
	sig := []byte{}
	if s := e.SignatureOf(journal.Host); s != nil {
		sig = s.Sig
	}
	m.Signatures = append(m.Signatures, sig)
}

func (r *record) have() *wire.RecordHave { return &wire.RecordHave{Head: r.head} }

// Have returns how far the copy goes.
func (r *record) Have() *wire.RecordHave {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.have()
}

// say makes a fact, stores it and returns it. When the disk does not take it the
// fact is said all the same: it is in memory, and at the console soon.
func (r *record) say(f journal.Fact) (grant.Signed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.facts) >= maxFacts {
		return grant.Signed{}, errors.New("host: too much was said for the record")
	}
	if f.At.IsZero() {
		f.At = r.now()
	}
	var d journal.Details
	if f.Details != nil {
		if err := json.Unmarshal(f.Details, &d); err != nil {
			return grant.Signed{}, err
		}
	}
	f = journal.NewFact(r.session, uint64(len(r.facts))+1, f.At, f.Actor, f.Kind, f.Text, d)
	signed, err := grant.Sign(r.key, journal.ContextFact, f)
	if err != nil {
		return signed, err
	}
	r.facts = append(r.facts, signed)
	return signed, r.write(recordLine{Fact: &signed})
}

// pending returns what was said and is not in the record yet.
func (r *record) pending() []grant.Signed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.facts[min(r.placed, uint64(len(r.facts))):])
}

// from returns entries of the copy, from number seq on.
func (r *record) from(seq uint64) []journal.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq == 0 || seq > r.head.Seq {
		return nil
	}
	return slices.Clone(r.entries[seq-1:])
}

// end is what the host's last word says of the copy.
func (r *record) end() *grant.RecordHead {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &grant.RecordHead{Seq: r.head.Seq, Facts: uint64(len(r.facts))}
	if h.Seq > 0 {
		h.Hash = slices.Clone(r.head.Hash[:])
	}
	return h
}

// count remembers what the record may tell of. A crash of the computer may lose
// it; then the record says that it happened once less than it did.
func (r *record) count(l recordLine) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.replay(l); err != nil {
		return err
	}
	return r.put(l)
}

// toldOfScreen reports whether the record says that the screen is open.
func (r *record) toldOfScreen() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

// Record returns the customer's copy of the session's record, with the
// signatures of both sides.
func (s *session) Record() []journal.Entry { return s.rec.from(1) }

// Unplaced returns what this computer said and the record does not hold yet,
// signed by this computer.
func (s *session) Unplaced() []grant.Signed { return s.rec.pending() }

// state the fact for the record: it is signed, stored, and goes to the console,
// which puts it into the record.
func (s *session) say(actor, kind, text string, d journal.Details) {
	s.sayFact(journal.Fact{Actor: actor, Kind: kind, Text: text, Details: d.JSON()})
}

func (s *session) sayFact(f journal.Fact) {
	signed, err := s.rec.say(f)
	if err != nil {
		s.log.Error("something could not be kept for the record", "kind", f.Kind, "cause", err)
	}
	if signed.Body != nil && s.link != nil {
		s.send(&wire.RecordFact{Fact: signed})
	}
}

// recordTaken takes entries of the console.
func (s *session) recordTaken(in []journal.Entry) {
	have, say, err := s.rec.take(in)
	if err != nil {
		s.log.Warn("entries of the record not taken", "cause", err)
	}
	s.send(have)
	for _, f := range say {
		s.sayFact(f)
	}
	if s.ended == nil {
		s.done()
	}
}

// recordAsked sends entries of the copy; asked for what is not there it says how
// far the copy goes, and once more what the record does not hold yet.
func (s *session) recordAsked(from uint64) {
	if es := s.rec.from(from); len(es) > 0 {
		s.send(wire.Pack(es))
		return
	}
	s.send(s.rec.Have())
	for _, f := range s.rec.pending() {
		s.send(&wire.RecordFact{Fact: f})
	}
}

// screenUntold says for the record that the screen is seen and the record does
// not tell of it.
func (s *session) screenUntold() {
	seen := s.remote != nil && s.remote.show != nil
	if !seen || s.rec.toldOfScreen() {
		s.untold = time.Time{}
		return
	}
	switch {
	case s.untold.IsZero():
		s.untold = time.Now()
	case !s.untoldSaid && s.online && time.Since(s.untold) > untoldAfter:
		s.untoldSaid = true
		s.say(actorHost, "screen_shown", "The screen is being seen, and the record did not tell of it.", journal.Details{})
	}
}

// untoldAfter is how long the record may lag behind what is seen.
const untoldAfter = time.Minute

// settleTimeout bounds the wait for the console to put our last facts into the
// record.
const settleTimeout = 2 * time.Second

// settleRecord gives the console the time to put what we said into the record, so that
// its copy and ours are the same.
func (s *session) settleRecord() {
	if !s.online {
		return
	}
	t := time.NewTimer(settleTimeout)
	defer t.Stop()
	for len(s.rec.pending()) > 0 {
		select {
		case b, ok := <-s.link.Control().Receive():
			if !ok {
				return
			}
			m, err := wire.ParseControl(b)
			if err != nil {
				continue
			}
			switch m := m.(type) {
			case *wire.Record:
				s.recordTaken(m.Entries)
			case *wire.RecordAsk:
				s.recordAsked(m.From)
			}
		case f := <-s.posts:
			f()
		case <-t.C:
			return
		}
	}
}

// openRecord opens the copy. What cannot be read is no reason to refuse the
// session; the record tells of it.
func (s *session) openRecord() {
	path := s.st.path(recordName)
	rec, err := openRecord(path, s.st.Session, s.st.dev.Ed, s.st.pin.PeerEd, s.st.Rights)
	if err != nil {
		s.log.Error("the copy of the record cannot be kept on this disk", "cause", err)
	}
	s.rec = rec
	s.recordMoved()
}

// recordMoved says for the record that another console goes on with it.
func (s *session) recordMoved() {
	key := s.rec.successor(s.st.pin.PeerEd, s.st.Rights)
	if key.IsZero() {
		return
	}
	s.say(actorCustomer, journal.KindMovedHere, "The customer confirmed with a fresh code that "+who(s.st.Technician, s.st.Company)+" goes on at another console.", journal.Details{ConsoleKey: &key})
}

// successor makes key the one whose entries are taken after the fact that names
// it, and returns it if that is still to be said.
func (r *record) successor(key grant.Key, rights grant.Rights) grant.Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.allowed |= rights
	last := r.console
	for _, s := range r.facts[min(r.placed, uint64(len(r.facts))):] {
		f, err := journal.OpenFact(r.host, r.session, s)
		if d := (&journal.Entry{Details: f.Details}).Detail(); err == nil && f.Kind == journal.KindMovedHere && d.ConsoleKey != nil {
			last = *d.ConsoleKey
		}
	}
	if last == key {
		return grant.Key{}
	}
	return key
}

// counted remembers what the record may tell of.
func (s *session) counted(l recordLine) {
	if err := s.rec.count(l); err != nil {
		s.log.Warn("the copy of the record", "cause", err)
	}
}

// pausedBy is a pause in words for the record.
func pausedBy(by string) (actor, kind, text string, d journal.Details) {
	d.By = by
	switch by {
	case "customer":
		return actorCustomer, "paused", "Stopped by the customer.", d
	case "bar":
		return actorHost, "paused", "Paused: the customer's bar is not visible.", d
	case "locked":
		return actorHost, "paused", "Paused: the customer's screen is locked.", d
	}
	return actorHost, "resumed", "Going on.", d
}

// rightsNames are the rights as the record names them, in a fixed order.
func rightsNames(r grant.Rights) []string {
	out := []string{}
	for _, n := range recordRights {
		if r.Has(n.right) {
			out = append(out, n.name)
		}
	}
	return out
}

func rightsWords(r grant.Rights) string {
	out := ""
	for _, n := range recordRights {
		if r.Has(n.right) {
			if out != "" {
				out += ", "
			}
			out += n.words
		}
	}
	if out == "" {
		return "nothing"
	}
	return out
}

var recordRights = []struct {
	right       grant.Rights
	name, words string
}{
	{grant.View, "view", "see the screen"},
	{grant.Control, "control", "mouse and keyboard"},
	{grant.Clipboard, "clipboard", "clipboard"},
	{grant.Files, "files", "files"},
	{grant.Dashboard, "dashboard", "repair tools"},
	{grant.Terminal, "terminal", "command line"},
}
