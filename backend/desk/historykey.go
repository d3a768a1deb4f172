package desk

import (
	"context"
	"crypto/ecdh"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/historykey"
	"daypass/backend/rendezvous"
	"daypass/backend/store"
)

// KeyHolder is a console that has the company's history key, or waits for it.
type KeyHolder struct {
	Person string `json:"person"`
	Name   string `json:"name"` // of the computer
	This   bool   `json:"this"`
	Has    bool   `json:"has"`
	Lead   bool   `json:"lead"` // false: has left; the key is about to be replaced
}

// HistoryKey is what the page shows of the company's history: its key and how
// far this console is.
type HistoryKey struct {
	State      string      `json:"state"`      // "off", "none", "ready", "waiting", "changed" or "lost"
	Generation int         `json:"generation"` // 0: there is none yet
	Made       int64       `json:"made"`       // unix milliseconds, 0 without a generation
	Maker      string      `json:"maker"`      // who made it, "" if not known
	Known      string      `json:"known"`      // fingerprint of what this console believes, "" without
	Claimed    string      `json:"claimed"`    // "changed": fingerprint of what the server has now
	ClaimedGen int         `json:"claimedGen"` // and its number; 0: nothing that could be believed
	ClaimedBy  string      `json:"claimedBy"`  // and who made it, as the server says; "" if it does not
	Lead       bool        `json:"lead"`       // this person reads the company's history
	Recovery   bool        `json:"recovery"`   // there is a recovery key
	Holders    []KeyHolder `json:"holders"`
	Unsent     int         `json:"unsent"`  // sessions with something that the server does not have
	Done       int64       `json:"done"`    // items that came in the download that runs
	Total      int64       `json:"total"`   // of it; 0: none runs
	Months     int         `json:"months"`  // how long the company keeps its history, 0: for good
	Shorter    int64       `json:"shorter"` // unix milliseconds: from then on Months counts here, which is shorter than before; 0: it does
	Fault      *Fault      `json:"fault"`
}

// HistoryKey returns what is known of the company's history key.
func (d *Desk) HistoryKey() (HistoryKey, error) {
	out := HistoryKey{State: "off", Holders: []KeyHolder{}}
	err := d.look(func() error {
		if d.history != nil {
			out = *d.history
		}
		return nil
	})
	return out, err
}

func pinSetting(c grant.ID) string { return "history_pin:" + c.String() }

func readPin(ctx context.Context, st *store.Store, company grant.ID) (historykey.Pin, error) {
	var pin historykey.Pin
	text, err := st.Setting(ctx, pinSetting(company))
	if err != nil || text == "" {
		return pin, err
	}
	err = json.Unmarshal([]byte(text), &pin)
	return pin, err
}

func writePin(ctx context.Context, st *store.Store, company grant.ID, pin historykey.Pin) error {
	b, err := json.Marshal(pin)
	if err != nil {
		return err
	}
	return st.SetSetting(ctx, pinSetting(company), string(b))
}

// companySetting is where the company is remembered that a server said this
// person belongs to: what is pinned is pinned by company, and a server must not
// get a first look by naming another one.
func companySetting(server, email string) string {
	return "history_company:" + server + "\n" + strings.ToLower(email)
}

// follow goes on with another key than the one that was known. All that this
// console has goes to the server again, sealed to it: what lies there may be lost
// to everybody.
func (d *Desk) follow(ctx context.Context, st *store.Store, k *keys, pin historykey.Pin) error {
	company := k.company
	if err := writePin(ctx, st, company, pin); err != nil {
		return err
	}
	if err := st.SetSetting(ctx, k.place, company.String()); err != nil {
		return err
	}
	if err := st.SetSetting(ctx, cursorSetting(company), ""); err != nil {
		return err
	}
	return st.Resend(ctx)
}

// newKeys returns what a round begins with.
func (d *Desk) newKeys() (*store.Store, *keys, error) {
	var st *store.Store
	k := &keys{private: map[int]*ecdh.PrivateKey{}}
	err := d.look(func() error {
		if d.store == nil || d.dev == nil || d.profile == nil {
			return notReady()
		}
		st, k.me = d.store, historykey.Console{Ed: d.dev.Ed, X: d.dev.X}
		k.lead = slices.Contains(d.profile.Roles, "lead")
		k.place = companySetting(d.server.Kind+" "+d.server.URL, d.profile.Email)
		if d.server.Kind == "embedded" {
			k.place = companySetting("embedded", d.profile.Email) // its port is another one each time
		}
		return nil
	})
	return st, k, err
}

// syncKeys learns the company's key, checks it, and does a lead's duties: makes
// the first, passes it on, replaces it.
func (d *Desk) syncKeys(ctx context.Context, h historian, st *store.Store, k *keys, state *HistoryKey) error {
	if err := d.readKeys(ctx, h, st, k); err != nil {
		if errors.Is(err, historykey.ErrChanged) {
			d.describeChange(k, state)
			return fault.Wrap(err, fault.Hostile, "history.key", "The key to the company's history is not the one that this computer knew, and no lead who is known signed the change.",
				"Nothing is sent to it. Call a lead and compare the fingerprint.")
		}
		return err
	}
	mine := slices.IndexFunc(k.all.Consoles, func(c rendezvous.HistoryConsole) bool { return c.Key == k.me.Key() })
	if k.lead && (mine < 0 || k.all.Consoles[mine].Device == nil) {
		dev, err := k.me.SignDevice()
		if err == nil {
			err = h.RegisterDevice(ctx, dev)
		}
		if err != nil {
			return err
		}
		if err := d.readKeys(ctx, h, st, k); err != nil {
			return err
		}
	}
	if k.lead {
		if err := d.leadDuties(ctx, h, st, k); err != nil {
			return err
		}
	}
	d.describeKeys(k, state)
	return nil
}

func (d *Desk) readKeys(ctx context.Context, h historian, st *store.Store, k *keys) error {
	all, err := h.HistoryKeys(ctx)
	if err != nil {
		return err
	}
	k.all, k.company = all, all.Company
	known, err := st.Setting(ctx, k.place)
	if err != nil {
		return err
	}
	if known != "" && known != all.Company.String() {
		return d.otherCompany(ctx, st, k, known)
	}
	pin, err := readPin(ctx, st, all.Company)
	if err != nil {
		return err
	}
	k.chain, err = historykey.Parse(all.Company, all.Docs, all.Wraps, pin)
	if errors.Is(err, historykey.ErrChanged) {
		// A lead's console that was known may have said that this is right.
		if to, a, ok := historykey.Accepted(all.Company, all.Docs, all.Accepts, pin); ok {
			if k.chain, err = historykey.Parse(all.Company, all.Docs, all.Wraps, to); err == nil {
				d.log.Warn("history key changed, as a lead's console that was known says", "generation", a.Gen, "console", a.By)
				if err := d.follow(ctx, st, k, to); err != nil {
					return err
				}
				pin = to
			}
		}
	}
	k.pin = pin
	if err == nil && known == "" {
		err = st.SetSetting(ctx, k.place, all.Company.String())
	}
	if err != nil {
		if k.claimed, _ = historykey.Claimed(all.Company, all.Docs); len(k.claimed) > 0 && string(k.claimed.Last().Hash[:]) == string(pin.Hash) {
			k.claimed = nil // it is what was known, and yet does not fit: nothing to believe
		}
		return err
	}
	if now := k.chain.PinOf(); now.Gen > pin.Gen || now.Gen == pin.Gen && !slices.Equal(now.Known, pin.Known) {
		if err := writePin(ctx, st, all.Company, now); err != nil {
			return err
		}
		k.pin = now
	}
	for i := range k.chain {
		g := &k.chain[i]
		if _, have := k.private[g.Doc.Gen]; have {
			continue
		}
		key, err := g.Take(k.me.Key(), k.me.X)
		if err != nil {
			if fault.KindOf(err) != fault.NotFound {
				d.log.Warn("history key", "generation", g.Doc.Gen, "error", err)
			}
			continue
		}
		k.private[g.Doc.Gen] = key
	}
	return nil
}

// otherCompany is readKeys where the server names another company than before.
// Whatever it says of that one's key is shown as changed, for a person to decide.
func (d *Desk) otherCompany(ctx context.Context, st *store.Store, k *keys, known string) error {
	d.log.Warn("the server names another company", "before", known, "now", k.company)
	was, err := grant.ParseID(known)
	if err != nil {
		return fault.Wrap(err, fault.Corrupt, "history.key", "The stored company cannot be read.", "Put back a copy of the file with your sessions.")
	}
	if k.pin, err = readPin(ctx, st, was); err != nil {
		return err
	}
	k.chain, k.claimed = nil, nil
	if claimed, err := historykey.Claimed(k.company, k.all.Docs); err == nil {
		k.claimed = claimed
	}
	return historykey.ErrChanged
}

// leadDuties makes the first key, replaces it when somebody who has it is no
// lead's console any more, and passes it on to those who lack it.
func (d *Desk) leadDuties(ctx context.Context, h historian, st *store.Store, k *keys) error {
	last := k.chain.Last()
	left := false
	if last != nil {
		for to := range last.Known {
			i := slices.IndexFunc(k.all.Consoles, func(c rendezvous.HistoryConsole) bool { return c.Key == to })
			left = left || i < 0 || !k.all.Consoles[i].Lead
		}
	}
	if last == nil || left && k.private[last.Doc.Gen] != nil {
		if err := d.makeKey(ctx, h, k, historykey.Device{}, rendezvous.HistoryDuty); err != nil && fault.KindOf(err) != fault.Conflict {
			return err
		}
		// What the server has counts: another lead may have been faster.
		if err := d.readKeys(ctx, h, st, k); err != nil {
			return err
		}
	}
	return d.handOn(ctx, h, st, k)
}

// makeKey makes the next generation at the server. Conflict: somebody was
// faster. The caller reads the keys again.
func (d *Desk) makeKey(ctx context.Context, h historian, k *keys, recovery historykey.Device, why string) error {
	last := k.chain.Last()
	doc, key, err := historykey.Make(k.company, k.me, last, recovery, time.Now())
	if err != nil {
		return err
	}
	gen := 1
	if last != nil {
		gen = last.Doc.Gen + 1
	}
	to := []historykey.Device{k.me.Device()}
	if recovery == (historykey.Device{}) && last != nil {
		recovery = last.Doc.Recovery
	}
	if recovery != (historykey.Device{}) {
		to = append(to, recovery)
	}
	var wraps []rendezvous.HistoryWrap
	for _, x := range to {
		w, err := historykey.Give(k.company, gen, key, k.me, x.Ed, x.X)
		if err != nil {
			return err
		}
		wraps = append(wraps, rendezvous.HistoryWrap{Gen: gen, To: x.Ed, Wrap: w})
	}
	return h.AddHistoryKey(ctx, gen, doc, wraps, why)
}

// handOn gives what this console has to leads' consoles that lack it, and to the
// recovery key.
func (d *Desk) handOn(ctx context.Context, h historian, st *store.Store, k *keys) error {
	var to []historykey.Device
	if last := k.chain.Last(); last != nil && last.Doc.Recovery != (historykey.Device{}) {
		to = append(to, last.Doc.Recovery)
	}
	for _, c := range k.all.Consoles {
		if !c.Lead || c.Device == nil {
			continue
		}
		dev, err := historykey.OpenDevice(c.Key, *c.Device)
		if err != nil {
			d.log.Warn("device key of a colleague", "console", c.Name, "error", err)
			continue
		}
		to = append(to, dev)
	}
	var wraps []rendezvous.HistoryWrap
	for _, x := range to {
		for i := range k.chain {
			g := &k.chain[i]
			_, has := g.Wraps[x.Ed]
			key := k.private[g.Doc.Gen]
			if has || key == nil || len(wraps) >= passAtOnce {
				continue
			}
			w, err := historykey.Give(k.company, g.Doc.Gen, key, k.me, x.Ed, x.X)
			if err != nil {
				return err
			}
			wraps = append(wraps, rendezvous.HistoryWrap{Gen: g.Doc.Gen, To: x.Ed, Wrap: w})
		}
	}
	if len(wraps) == 0 {
		return nil
	}
	if err := h.AddHistoryWraps(ctx, wraps, rendezvous.HistoryDuty); err != nil {
		return err
	}
	d.log.Info("history key passed on", "wraps", len(wraps))
	return d.readKeys(ctx, h, st, k)
}

// passAtOnce bounds the wraps of one request.
const passAtOnce = 40

func (d *Desk) describeKeys(k *keys, s *HistoryKey) {
	last := k.chain.Last()
	if last == nil {
		return
	}
	s.State, s.Generation, s.Made = "ready", last.Doc.Gen, last.Doc.Made.UnixMilli()
	s.Known = last.Fingerprint()
	s.Recovery = last.Doc.Recovery != (historykey.Device{})
	holders := 0
	for _, c := range k.all.Consoles {
		_, has := last.Wraps[c.Key]
		s.Holders = append(s.Holders, KeyHolder{Person: c.Person, Name: c.Name, This: c.Key == k.me.Key(), Has: has, Lead: c.Lead})
		if has && c.Lead && c.Key != k.me.Key() {
			holders++
		}
		if c.Key == last.Doc.Maker {
			s.Maker = c.Person
		}
	}
	if k.lead && k.private[last.Doc.Gen] == nil {
		if s.State = "waiting"; holders == 0 {
			s.State = "lost" // nobody can pass it on
		}
	}
}

// describeChange says what the server has instead of what was known.
func (d *Desk) describeChange(k *keys, s *HistoryKey) {
	s.State, s.Generation, s.Known = "changed", k.pin.Gen, historykey.Fingerprint(k.pin.Hash)
	last := k.claimed.Last()
	if last == nil {
		return
	}
	s.Claimed, s.ClaimedGen, s.Made = last.Fingerprint(), last.Doc.Gen, last.Doc.Made.UnixMilli()
	for _, c := range k.all.Consoles {
		if c.Key == last.Doc.Maker {
			s.ClaimedBy = c.Person
		}
	}
}
