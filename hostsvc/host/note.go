package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"daypass/backend/fault"
	"daypass/backend/faultpoint"
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/receipt"
	"daypass/backend/rendezvous"
	"daypass/hostsvc/lease"
	"daypass/hostsvc/removal"
)

// noteName is the note's file in the state folder.
const noteName = "note.json"

// maxNote bounds the note, in bytes.
const maxNote = 1 << 20

// noteLimit is how long a note waits for the server. A host that cannot tell
// anybody for so long takes the note away, too: nothing stays for ever.
const noteLimit = 7 * 24 * time.Hour

// note is all that is left of a session from its end on until the server took
// the signed removal: what to say, to whom, and the key that says it. That key
// opens nothing any more: the session is over, and the server takes nothing
// from it but these two facts. The keys of the connection, the link's password
// and the rights are not in it.
type note struct {
	Version  int             `json:"version"`
	Server   string          `json:"server"`
	Instance string          `json:"instance"`
	Device   []byte          `json:"device"`
	Since    time.Time       `json:"since"`
	Language string          `json:"language"`
	Own      bool            `json:"own"` // the end is this computer's word, which the server may not know
	Body     receipt.Body    `json:"body"`
	Removal  *removal.Report `json:"removal,omitempty"`
	Removed  *grant.Signed   `json:"removed,omitempty"` // made once
	Seal     *grant.Signed   `json:"seal,omitempty"`
	Console  *grant.Signed   `json:"console,omitempty"`
	Saved    string          `json:"saved,omitempty"`  // where the customer's receipt is, or is about to be
	Stored   bool            `json:"stored,omitempty"` // it is there
	Told     bool            `json:"told,omitempty"`

	// PeerX is the console's public key, to which what it did not take for the
	// record is sealed.
	PeerX []byte `json:"peer_x,omitempty"`

	dev     *pairing.Device
	server  *url.URL
	journal *removal.Journal
	rec     *record // the customer's copy of the record; nil: none
}

// newNote begins the removal of a session that has ended: from here on the note
// alone tells what is to be done.
func (s *state) newNote(e *ending, body receipt.Body, language string) *note {
	body.EndedBy, body.Facts.Ended = e.by, e.signed
	n := &note{
		Version: 1, Server: s.Server, Instance: s.stored.Instance, Device: s.Device, Since: time.Now().UTC(), Language: language,
		Own: e.own || e.by == grant.ByCustomer || e.by == grant.ByExpiry, Body: body,
		dev: s.dev, server: s.server, journal: s.journal,
	}
	return n
}

// save stores the note. A full disk does not keep anything from being removed:
// the caller goes on with what it holds in memory.
func (n *note) save() error {
	b, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("host: %w", err)
	}
	return lease.WriteFile(filepath.Join(n.journal.Dir(), noteName), b)
}

// parseNote reads a note strictly.
func parseNote(b []byte) (*note, error) {
	corrupt := func(err error) (*note, error) {
		return nil, fault.Wrap(err, fault.Corrupt, "host.note", "What this program stored about the session is damaged.", "")
	}
	n := &note{}
	if len(b) > maxNote {
		return corrupt(errors.New("too large"))
	}
	if err := grant.Strict(b, n); err != nil {
		return corrupt(err)
	}
	var err error
	if n.Version != 1 {
		return corrupt(fmt.Errorf("version %d", n.Version))
	}
	if n.dev, err = pairing.ParseDevice(n.Device); err != nil {
		return corrupt(err)
	}
	if _, err := rendezvous.ParseInstance(n.Instance); err != nil {
		return corrupt(err)
	}
	l, err := pairing.ParseLink(n.Server + "/s/" + n.Body.Session.String() + "#" + pairing.Secret{}.Text())
	if err != nil {
		return corrupt(err)
	}
	if grant.KeyOf(n.dev.Ed) != n.Body.HostKey || n.Removed != nil && n.Removal == nil {
		return corrupt(errors.New("does not fit together"))
	}
	n.server = l.Server
	return n, nil
}

// loadNote reads the note in folder dir; fs.ErrNotExist when there is none.
func loadNote(dir string) (*note, error) {
	b, err := readSmall(filepath.Join(dir, noteName), maxNote)
	if err != nil {
		return nil, err
	}
	n, err := parseNote(b)
	if err != nil {
		return nil, err
	}
	if n.journal, err = removal.Open(dir); err != nil {
		return nil, err
	}
	n.findRecord()
	return n, nil
}

// remove does the first phase and signs what came of it, once: a removal that
// was signed as clean is not done again. say, which may be nil, adds to the
// signed fact what the record of the session has to say.
func (n *note) remove(ctx context.Context, log logger, step func(done, all int), say func(removal.Report, *grant.Removed)) removal.Report {
	if n.Removed != nil && n.Removal.Clean {
		return *n.Removal
	}
	n.keep(log)
	faultpoint.Hit("host/removal", "note stored")
	rep := n.journal.Run(context.WithoutCancel(ctx), step)
	n.Removal, n.Removed, n.Seal, n.Console, n.Told, n.Stored = &rep, nil, nil, nil, false, false
	n.Body.Ended = time.Now().UTC().Truncate(time.Second)
	n.Body.Removal = receipt.Removal{Clean: rep.Clean, Removed: rep.Removed, Left: rep.Left, Last: rep.Last, Report: cutLines(rep.Lines())}
	h := removal.HashLines(n.Body.Removal.Report)
	gone := grant.Removed{Session: n.Body.Session, At: n.Body.Ended, Clean: rep.Clean, Report: h[:]}
	if say != nil {
		say(rep, &gone)
	}
	fact, err := grant.Sign(n.dev.Ed, grant.ContextRemoved, gone)
	if err != nil {
		log.Error("the removal could not be signed", "cause", err)
		return rep
	}
	n.Removed, n.Body.Facts.Removed = &fact, fact
	if _, sum, err := receipt.Marshal(n.Body); err != nil {
		log.Error("the receipt could not be made", "cause", err)
	} else if seal, err := grant.Sign(n.dev.Ed, grant.ContextReceipt, grant.Receipt{Session: n.Body.Session, SHA256: sum[:]}); err != nil {
		log.Error("the receipt could not be signed", "cause", err)
	} else {
		n.Seal = &seal
	}
	faultpoint.Hit("host/removal", "removal signed")
	n.keep(log)
	faultpoint.Hit("host/removal", "removal stored")
	return rep
}

type logger interface {
	Warn(msg string, args ...any)
	Error(msg string, args ...any)
}

func (n *note) keep(log logger) {
	if err := n.save(); err != nil {
		log.Warn("the note about the removal could not be stored", "cause", err)
	}
}

// tell brings end and removal to the server, until ctx ends. Whoever does not
// know the session need not be told.
func (r *run) tell(ctx context.Context, box Mailbox, n *note) bool {
	if n.Told {
		return true
	}
	if n.Removed == nil {
		return false
	}
	if n.Own && n.Body.Facts.Ended != nil && !r.retry(ctx, "end", func(c context.Context) error { return box.End(c, *n.Body.Facts.Ended) }) && ctx.Err() != nil {
		return false
	}
	faultpoint.Hit("host/removal", "end told")
	n.Told = r.retry(ctx, "removed", func(c context.Context) error { return box.Removed(c, *n.Removed) })
	if n.Told {
		n.keep(r.log)
	}
	faultpoint.Hit("host/removal", "removal told")
	return n.Told
}

// store saves the customer's receipt where the customer looks for it, once.
func (n *note) store(path func() string, log logger) {
	if n.Stored || path == nil || n.Seal == nil {
		return
	}
	if n.Saved == "" {
		n.Saved = path() // before the file: a crash in between repeats the same file
		n.keep(log)
	} else if err := n.receipt().sweep(n.Saved); err != nil {
		log.Warn("a half of the receipt could not be removed", "cause", err)
	}
	if n.Saved == "" {
		return
	}
	faultpoint.Hit("host/removal", "receipt begun")
	if err := n.receipt().save(n.Saved); err != nil {
		log.Warn("the receipt could not be saved", "cause", err)
		n.Saved = ""
	} else {
		n.Stored = true
	}
	n.keep(log)
	faultpoint.Hit("host/removal", "receipt saved")
}

// finish ends the removal when the server was told, or will never be. It
// reports whether the note is gone.
func (n *note) finish(ctx context.Context) (removal.Report, bool) {
	if n.Removal == nil {
		return removal.Report{}, false
	}
	late := time.Since(n.Since)
	if (!n.Told && late < noteLimit && late > -noteLimit) || !n.Removal.Clean {
		return *n.Removal, false
	}
	if n.rec != nil {
		if err := n.rec.detach(); err != nil {
			return *n.Removal, false
		}
	}
	rep := n.journal.Finish(context.WithoutCancel(ctx), *n.Removal, nil)
	return rep, rep.Clean
}

// settle does all that is left to do about an ended session of an earlier
// process, and tells the server within a bound.
func (r *run) settle(ctx context.Context, n *note) removal.Report {
	r.leave(n.journal.Dir())
	rep := n.remove(ctx, r.log, nil, n.lastSaid)
	ctx, cancel := context.WithTimeout(ctx, tellTimeout/2)
	defer cancel()
	if !n.Told {
		if instance, err := rendezvous.ParseInstance(n.Instance); err != nil {
			r.log.Error("the server cannot be told", "cause", err)
		} else {
			box := r.connect(pairing.Link{Server: n.server, Session: n.Body.Session}, n.dev.Ed, instance)
			r.tell(ctx, box, n)
			r.hangUp(box)
		}
	}
	n.store(r.cfg.ReceiptPath, r.log)
	if last, over := n.finish(ctx); over {
		rep = last
	} else {
		r.log.Info("a note of an ended session stays until the server was told", "session", n.Body.Session)
	}
	n.dev.Wipe()
	return rep
}

// Pending reports how many ended sessions in folder base still wait for the
// server to take their removal.
func Pending(base string) int {
	count := 0
	for _, dir := range folders(base) {
		if _, err := os.Lstat(filepath.Join(dir, noteName)); err == nil {
			count++
		}
	}
	return count
}
