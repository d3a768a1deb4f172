package desk

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/historykey"
	"daypass/backend/journal"
	"daypass/backend/rendezvous"
	"daypass/backend/session"
	"daypass/backend/store"
)

// historian is the part of a server that keeps the company's history.
type historian interface {
	HistoryKeys(context.Context) (rendezvous.HistoryKeys, error)
	RegisterDevice(context.Context, grant.Signed) error
	AddHistoryKey(ctx context.Context, gen int, doc grant.Signed, wraps []rendezvous.HistoryWrap, why string) error
	AddHistoryWraps(ctx context.Context, wraps []rendezvous.HistoryWrap, why string) error
	AcceptHistoryKey(ctx context.Context, accept grant.Signed, gen int, fingerprint string) error
	UploadHistory(ctx context.Context, items []rendezvous.HistoryItem) error
	DownloadHistory(ctx context.Context, after int64) (rendezvous.HistoryPage, error)
}

const (
	syncEvery   = time.Minute
	syncSettle  = 2 * time.Second  // news within this time go together
	cosignWait  = 20 * time.Second // an entry waits so long for the host's signature before it is sent without
	uploadBytes = 40 << 10         // of one request

	uploadEntries = 48 // of a session in one go
)

// syncSoon brings what is new to the company's history.
func (d *Desk) syncSoon() {
	select {
	case d.syncWake <- struct{}{}:
	default:
	}
}

// syncLoop keeps the company's history at the server and here the same, until
// ctx is done.
func (d *Desk) syncLoop(ctx context.Context, h historian) {
	for {
		next, err := d.syncOnce(ctx, h)
		if ctx.Err() != nil {
			return
		}
		if err != nil && fault.KindOf(err) != fault.Offline {
			d.log.Warn("history not synchronised", "error", err)
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
			continue
		case <-d.syncWake:
			t.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(syncSettle):
		}
	}
}

// keys is what one round knows of the company's key.
type keys struct {
	company grant.ID
	place   string // setting in which the company of this server and person is remembered
	chain   historykey.Chain
	all     rendezvous.HistoryKeys
	me      historykey.Console
	private map[int]*ecdh.PrivateKey
	lead    bool
	pin     historykey.Pin   // that the chain was checked against
	claimed historykey.Chain // what the server says instead, if the key was changed
}

func (d *Desk) syncOnce(ctx context.Context, h historian) (time.Duration, error) {
	st, k, err := d.newKeys()
	if err != nil {
		return time.Second, err
	}
	state := HistoryKey{State: "none", Lead: k.lead, Holders: []KeyHolder{}}
	err = d.syncKeys(ctx, h, st, k, &state)
	if err == nil {
		err = d.retain(ctx, st, k, &state)
	}
	if err == nil {
		err = d.upload(ctx, h, st, k, &state)
	}
	if err == nil && k.lead && len(k.private) > 0 {
		err = d.download(ctx, h, st, k, &state)
	}
	state.Fault = nil
	if err != nil && fault.KindOf(err) != fault.Offline && ctx.Err() == nil {
		state.Fault = FaultOf(err)
	}
	d.showHistory(state)
	if state.Unsent > 0 {
		return cosignWait, err
	}
	return syncEvery, err
}

func (d *Desk) showHistory(s HistoryKey) { d.post(func() { d.history = &s }) }

// document is a session as leads get it.
type document struct {
	Session    session.Session `json:"session"`
	ConsoleKey grant.Key       `json:"console_key"`
	HostKey    grant.Key       `json:"host_key"`
}

// attested is a document as it travels: with the signature of the console that
// brings it.
type attested struct {
	Document json.RawMessage `json:"document"`
	By       grant.Key       `json:"by"`
	Signed   grant.Signed    `json:"signed"` // statement
}

// statement is what a console signs of a document.
type statement struct {
	Session grant.ID `json:"session"`
	Sum     []byte   `json:"sum"` // SHA-256 of the document
}

const contextDocument = "daypass history document v1"

// attest signs a document.
func attest(key ed25519.PrivateKey, doc document) ([]byte, error) {
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	s, err := grant.Sign(key, contextDocument, statement{doc.Session.ID, sum[:]})
	if err != nil {
		return nil, err
	}
	return json.Marshal(attested{b, grant.KeyOf(key), s})
}

// openDocument reads a document. by is who signed it; zero: nobody did, as by
// consoles of before.
func openDocument(plain []byte) (doc document, by grant.Key, err error) {
	var a attested
	if err := json.Unmarshal(plain, &a); err != nil {
		return doc, by, err
	}
	if a.Document == nil {
		return doc, by, json.Unmarshal(plain, &doc)
	}
	if err := json.Unmarshal(a.Document, &doc); err != nil {
		return doc, by, err
	}
	var s statement
	if err := grant.Open(a.By, contextDocument, a.Signed, &s); err != nil {
		return doc, by, err
	}
	if sum := sha256.Sum256(a.Document); a.By.IsZero() || s.Session != doc.Session.ID || string(s.Sum) != string(sum[:]) {
		return doc, by, errors.New("a document with the signature of another one")
	}
	return doc, a.By, nil
}

// upload sends what the server does not have, sealed to the newest key.
func (d *Desk) upload(ctx context.Context, h historian, st *store.Store, k *keys, state *HistoryKey) error {
	g := k.chain.Last()
	for rounds := 0; ; rounds++ {
		list, err := st.Unsent(ctx, time.Now(), cosignWait, 16, uploadEntries)
		if err != nil {
			return err
		}
		state.Unsent = len(list)
		if len(list) == 0 || g == nil {
			return nil
		}
		progress := false
		for _, u := range list {
			n, err := d.uploadOne(ctx, h, st, g, k.me.Ed, u)
			if err != nil {
				if fault.KindOf(err) == fault.NotFound || fault.KindOf(err) == fault.Conflict {
					d.log.Info("history of a session not taken", "session", u.Row.Session.ID, "error", err)
					err = st.Sent(ctx, u) // the server does not know it: of another server, or pruned
				}
				if err != nil {
					return err
				}
			}
			progress = progress || n > 0
		}
		if !progress || rounds > 1000 {
			return nil
		}
	}
}

func (d *Desk) uploadOne(ctx context.Context, h historian, st *store.Store, g *historykey.Generation, me ed25519.PrivateKey, u store.Unsent) (int, error) {
	x := u.Row.Session
	var batch []rendezvous.HistoryItem
	done := store.Unsent{Row: u.Row, Sum: u.Sum}
	size, sent := 0, 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := h.UploadHistory(ctx, batch); err != nil {
			return err
		}
		if err := st.Sent(ctx, done); err != nil {
			return err
		}
		sent += len(batch)
		batch, size, done = nil, 0, store.Unsent{Row: u.Row, Sum: u.Sum}
		return nil
	}
	add := func(it rendezvous.HistoryItem, plain []byte) error {
		box, err := g.Seal(x.ID, it.Seq, [32]byte(it.Hash), plain)
		if err != nil {
			return err
		}
		if size+len(box)*4/3+512 > uploadBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		it.Session, it.Gen, it.Box = x.ID, g.Doc.Gen, box
		size += len(box)*4/3 + 512
		batch = append(batch, it)
		return nil
	}
	bringDoc := func() error {
		plain, err := attest(me, document{x, u.Row.ConsoleKey, u.Row.HostKey})
		if err != nil {
			return err
		}
		err = add(rendezvous.HistoryItem{Hash: u.Sum[:], At: x.Created, Actor: "console", Kind: string(x.State)}, plain)
		done.Doc = err == nil
		return err
	}
	// Of a record that another console began, the document comes after the entry
	// that says so: others do not take our word for it before.
	began := u.Row.ConsoleKey == grant.KeyOf(me)
	if u.Doc && began {
		if err := bringDoc(); err != nil {
			return sent, err
		}
	}
	for i := range u.Entries {
		e := &u.Entries[i]
		plain, err := json.Marshal(e)
		if err != nil {
			return sent, err
		}
		it := rendezvous.HistoryItem{Seq: e.Seq, Hash: e.Hash[:], At: e.At, Actor: e.Actor, Kind: e.Kind, Cosigned: e.SignatureOf(journal.Host) != nil}
		if err := add(it, plain); err != nil {
			return sent, err
		}
		done.Entries = append(done.Entries, *e)
	}
	if u.Doc && !began && len(u.Entries) < uploadEntries {
		if err := bringDoc(); err != nil {
			return sent, err
		}
	}
	return sent, flush()
}

func cursorSetting(c grant.ID) string { return "history_cursor:" + c.String() }

// download brings the company's history here. The cursor is stored after what
// came before it: a crash repeats, and loses nothing.
func (d *Desk) download(ctx context.Context, h historian, st *store.Store, k *keys, state *HistoryKey) error {
	text, err := st.Setting(ctx, cursorSetting(k.company))
	if err != nil {
		return err
	}
	// The key may have come after what it opens: then it is all read again.
	opens := strconv.Itoa(len(k.private))
	var after int64
	if text != "" {
		var with string
		if _, err := fmt.Sscanf(text, "%d %s", &after, &with); err != nil || with != opens {
			after = 0
		}
	}
	for {
		page, err := h.DownloadHistory(ctx, after)
		if err != nil {
			return err
		}
		if len(page.Items) == 0 {
			state.Done, state.Total = 0, 0
			return nil
		}
		last := page.Items[len(page.Items)-1].Rev
		if last <= after {
			return fault.New(fault.Hostile, "history.download", "The server's history does not go forward.", "Tell whoever runs the server.")
		}
		if err := d.takeItems(ctx, st, k, page.Items); err != nil {
			return err
		}
		after = last
		if err := st.SetSetting(ctx, cursorSetting(k.company), fmt.Sprintf("%d %s", after, opens)); err != nil {
			return err
		}
		state.Done, state.Total = state.Done+int64(len(page.Items)), max(state.Total, state.Done+page.Total)
		d.showHistory(*state)
		if !page.More {
			state.Done, state.Total = 0, 0
			return nil
		}
	}
}

// takeItems opens items and stores them. What cannot be opened or is not what it
// says is passed over: it is not believed, and the record then lacks it.
func (d *Desk) takeItems(ctx context.Context, st *store.Store, k *keys, items []rendezvous.HistoryItem) error {
	docs := map[grant.ID]*store.Row{}
	entries := map[grant.ID][]journal.Entry{}
	var order []grant.ID
	for i := range items {
		it := &items[i]
		key := k.private[it.Gen]
		if key == nil || len(it.Hash) != 32 {
			continue
		}
		plain, err := historykey.Open(key, k.company, it.Session, it.Gen, it.Seq, [32]byte(it.Hash), it.Box)
		if err != nil {
			d.log.Warn("history item not opened", "session", it.Session, "entry", it.Seq, "error", err)
			continue
		}
		first := docs[it.Session] == nil && entries[it.Session] == nil
		if it.Seq == 0 {
			doc, by, err := openDocument(plain)
			if err != nil || doc.Session.ID != it.Session || !doc.Session.State.Valid() {
				d.log.Warn("history document not read", "session", it.Session, "error", err)
				continue
			}
			doc.Session.Mine = false
			docs[it.Session] = &store.Row{Session: doc.Session, ConsoleKey: doc.ConsoleKey, HostKey: doc.HostKey, DocBy: by}
			if first {
				order = append(order, it.Session)
			}
			continue
		}
		e, err := journal.Parse(plain)
		if err != nil || e.Session != it.Session || e.Seq != it.Seq || [32]byte(e.Hash) != [32]byte(it.Hash) {
			d.log.Warn("history entry not read", "session", it.Session, "entry", it.Seq, "error", err)
			continue
		}
		entries[it.Session] = append(entries[it.Session], e)
		if first {
			order = append(order, it.Session)
		}
	}
	for _, id := range order {
		err := st.PutRemote(ctx, id, docs[id], entries[id])
		if fault.KindOf(err) == fault.NotFound {
			// Its document comes later: a newer one took the place of the one that was
			// before these entries. A row for them, until then.
			row := store.Row{Session: session.Session{ID: id, State: session.Ended, Created: entries[id][0].At}}
			for i := range entries[id] {
				if s := entries[id][i].SignatureOf(journal.Console); s != nil && entries[id][i].Seq == 1 {
					row.ConsoleKey = s.Key
				}
			}
			err = st.PutRemote(ctx, id, &row, entries[id])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SyncNow synchronises the company's history soon, instead of at the next
// minute.
func (d *Desk) SyncNow() { d.syncSoon() }
