// Package directory holds the rules of the signaling server: who may sign in,
// which session may move from which state to which on whose word, what the
// server signs, and when time ends a session. It must not know HTTP, sockets or
// SQL, nor anything by which a session's content could be read.
package directory

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

// Offered are the rights that this version implements.
const Offered = grant.View | grant.Control | grant.Clipboard

// Config configures a Directory. Store and Key are needed.
type Config struct {
	Store        store.Store
	Key          ed25519.PrivateKey // the server's signing key
	LAN          bool
	InviteFor    time.Duration              // life of an invitation; 0: 24 h
	RemovalGrace time.Duration              // until an ended session without a word of removal is unconfirmed; 0: 15 min
	Now          func() time.Time           // nil: time.Now
	Changed      func(s store.Session)      // called after every stored change, without locks; may be nil
	Revoked      func(key grant.Key)        // called when a console's sign-in ended; may be nil
	Link         func(code string) string   // where a person goes with a one-time code; nil: nowhere
	Own          func(from netip.Addr) bool // is this an address of the server's own computer; nil: not asked
	Log          *slog.Logger
}

// Directory applies the rules. Its methods may be called from any goroutine.
// Errors are *fault.Error, *Error or *store.NoPlace.
type Directory struct {
	cfg   Config
	pub   grant.Key
	login *limits
	hash  *hasher

	verifying sync.Mutex // one check of the audit chain at a time
}

// Error is a fault with what a program needs besides.
type Error struct {
	Fault *fault.Error
	Code  string // protocol.Code…
	Retry time.Duration
}

// Error returns the fault's text.
func (e *Error) Error() string { return e.Fault.Error() }

// Unwrap returns the fault.
func (e *Error) Unwrap() error { return e.Fault }

// New returns a Directory. It starts no goroutine.
func New(cfg Config) *Directory {
	if cfg.InviteFor == 0 {
		cfg.InviteFor = 24 * time.Hour
	}
	if cfg.RemovalGrace == 0 {
		cfg.RemovalGrace = 15 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Directory{cfg: cfg, pub: grant.KeyOf(cfg.Key), login: newLimits(), hash: newHasher()}
}

// Key returns the server's public signing key.
func (d *Directory) Key() grant.Key { return d.pub }

// Now returns the server's time, in UTC with milliseconds.
func (d *Directory) Now() time.Time { return d.cfg.Now().UTC().Truncate(time.Millisecond) }

func (d *Directory) changed(s store.Session) {
	if d.cfg.Changed != nil {
		d.cfg.Changed(s)
	}
}

// stored gives the storage's errors words.
func stored(op string, err error) error {
	var no *store.NoPlace
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*fault.Error)) || errors.As(err, new(*Error)) || errors.As(err, &no):
		return err
	case errors.Is(err, store.ErrNotFound) && !strings.HasPrefix(op, "session.") && !strings.HasPrefix(op, "invitation.") && !strings.HasPrefix(op, "host."):
		return fault.Wrap(err, fault.NotFound, op, "This is not there any more.", "Look again.")
	case errors.Is(err, store.ErrNotFound):
		return fault.Wrap(err, fault.NotFound, op, "There is no such session.", "Check the link, or ask for a new invitation.")
	case errors.Is(err, store.ErrLastAdmin):
		return fault.Wrap(err, fault.Conflict, op, "The company would be without an administrator.", "Make somebody else an administrator first.")
	case errors.Is(err, store.ErrUsed):
		return fault.Wrap(err, fault.Conflict, op, "This code was used already.", "If it was not by you, tell your administrator at once. Otherwise sign in.")
	case errors.Is(err, store.ErrOver):
		return fault.Wrap(err, fault.Expired, op, "This code is not good any more.", "Ask your administrator for a new one.")
	case errors.Is(err, store.ErrConflict):
		return fault.Wrap(err, fault.Conflict, op, "Somebody was faster.", "Look again and repeat it if it is still wanted.")
	case errors.Is(err, store.ErrNotHolder):
		return fault.Wrap(err, fault.Denied, op, "Only a console that has the key to the company's history can make the next one.", "It comes by itself as soon as another lead's console is online.")
	case errors.Is(err, store.ErrTooMany):
		return fault.Wrap(err, fault.Limit, op, "The key to the company's history was passed on too often.", "Tell whoever runs the server.")
	case errors.Is(err, store.ErrFull):
		return fault.Wrap(err, fault.Full, op, "The server has no disk space left.", "Its operator must free some; nothing was lost.")
	case errors.Is(err, store.ErrCorrupt):
		return fault.Wrap(err, fault.Corrupt, op, "The server's data is damaged.", "Its operator must restore the backup.")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Of(err)
	}
	return fault.Wrap(err, fault.Internal, op, "The server could not store this.", "Try again. If it happens again, tell its operator.")
}

// text checks a text that people chose: valid, printable, bounded.
func text(op, what, s string, least, most int) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) < least || len(s) > most || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
		return "", fault.New(fault.Invalid, op, "The "+what+" cannot be used.", "Use a short text without line breaks.")
	}
	return s, nil
}

// View returns a session as its console sees it; presence is the caller's to
// add.
func (d *Directory) View(s store.Session) protocol.Session {
	v := protocol.Session{
		ID: s.ID, State: s.State, Label: s.Label, Language: s.Language, Technician: s.Technician, TechnicianID: s.Profile.String(),
		Created: s.Created, Expires: s.Deadline(), Activated: s.Activated, Ended: s.Ended, EndedBy: s.EndedBy,
		Offer: s.Offer, Grant: s.Grant, Removed: s.RemovedFact, EndedFact: s.EndedFact, ServerKey: d.pub, Rev: s.Rev,
	}
	if s.Claimed(d.Now()) {
		v.Claim = s.ClaimOffer
	}
	if s.HostInstance != (protocol.Instance{}) {
		i := s.HostInstance
		v.Host = &i
	}
	return v
}

// ProfileOf returns who is signed in, with the places taken.
func (d *Directory) ProfileOf(ctx context.Context, p store.Profile) (protocol.Profile, error) {
	const op = "profile.get"
	mine, all, err := d.cfg.Store.Usage(ctx, p.Company.ID, p.ID)
	if err != nil {
		return protocol.Profile{}, stored(op, err)
	}
	left, err := d.cfg.Store.RecoveryLeft(ctx, p.ID)
	if err != nil {
		return protocol.Profile{}, stored(op, err)
	}
	return protocol.Profile{
		ID: p.ID.String(), Name: p.Name, Email: p.Email, Company: p.Company.Name, Roles: p.Roles, Rights: p.Entitled() & Offered,
		Limits: protocol.Limits{Mine: protocol.Usage{Used: mine, Max: p.Company.MaxPerProfile}, Company: protocol.Usage{Used: all, Max: p.Company.MaxSessions}},
		TOTP:   len(p.TOTP) > 0, MustTOTP: mustTOTP(p), Enrol: mustEnrol(p), Recovery: left, Local: p.Local, Mail: mailPolicy(p.Company),
	}, nil
}

// Create makes a session, signs its offer and takes its places.
func (d *Directory) Create(ctx context.Context, a store.Auth, in protocol.NewSession) (store.Session, error) {
	const op = "session.create"
	label, err := text(op, "label", in.Subject, 1, 120)
	if err != nil {
		return store.Session{}, err
	}
	if in.Language != "en" && in.Language != "de" {
		return store.Session{}, fault.New(fault.Invalid, op, "This language is not known.", "Use en or de.")
	}
	now := d.Now()
	s := store.Session{
		ID: grant.NewID(), Company: a.Profile.Company.ID, Profile: a.Profile.ID, Console: a.Console.ID, Label: label, Language: in.Language,
		Created: now, InviteExpires: now.Add(d.cfg.InviteFor),
	}
	s.Offer, err = grant.Sign(d.cfg.Key, grant.ContextOffer, grant.Offer{
		Session: s.ID, Company: a.Profile.Company.Name, Technician: a.Profile.Name, TechnicianKey: a.Console.Key,
		Rights: a.Profile.Entitled() & Offered, Issued: now, Expires: s.InviteExpires,
	})
	if err != nil {
		return s, stored(op, err)
	}
	s, err = d.cfg.Store.CreateSession(ctx, s, actor(a))
	if err != nil {
		return s, stored(op, err)
	}
	d.changed(s)
	return s, nil
}

func actor(a store.Auth) store.Actor { return store.Actor{Kind: "console", ID: a.Console.ID.String()} }

func hostActor(i protocol.Instance) store.Actor { return store.Actor{Kind: "host", ID: i.String()} }

// List returns the sessions that a may see: one's own, for leads the company's;
// live ones and those that ended within the last day.
func (d *Directory) List(ctx context.Context, a store.Auth) ([]store.Session, protocol.Limits, error) {
	who := a.Profile.ID
	if a.Profile.HasRole("lead") {
		who = grant.ID{}
	}
	l, err := d.cfg.Store.Sessions(ctx, a.Profile.Company.ID, who, d.Now().Add(-24*time.Hour))
	if err != nil {
		return nil, protocol.Limits{}, stored("session.list", err)
	}
	p, err := d.ProfileOf(ctx, a.Profile)
	return l, p.Limits, err
}

// Mine returns the live sessions of a's console, for a fresh socket.
func (d *Directory) Mine(ctx context.Context, a store.Auth) ([]store.Session, error) {
	l, err := d.cfg.Store.Sessions(ctx, a.Profile.Company.ID, a.Profile.ID, d.Now().Add(-time.Hour))
	if err != nil {
		return nil, stored("session.list", err)
	}
	out := l[:0]
	for _, s := range l {
		if s.ConsoleKey == a.Console.Key || s.Claimed(d.Now()) && s.ClaimKey == a.Console.Key {
			out = append(out, s)
		}
	}
	return out, nil
}

// may reports whether a may see s.
func may(a store.Auth, s store.Session) bool {
	return s.Profile == a.Profile.ID || s.Company == a.Profile.Company.ID && a.Profile.HasRole("lead")
}

var errNoSession = fault.New(fault.NotFound, "session.get", "There is no such session.", "It may have been put away.")

// Session returns a session that a may see; for others it does not exist.
func (d *Directory) Session(ctx context.Context, a store.Auth, id grant.ID) (store.Session, error) {
	s, err := d.cfg.Store.Session(ctx, id)
	if err != nil {
		return s, stored("session.get", err)
	}
	if !may(a, s) {
		return store.Session{}, errNoSession
	}
	return s, nil
}

// Lookup returns a session without asking who wants it.
func (d *Directory) Lookup(ctx context.Context, id grant.ID) (store.Session, error) {
	s, err := d.cfg.Store.Session(ctx, id)
	return s, stored("session.get", err)
}

func (d *Directory) update(ctx context.Context, op string, id grant.ID, by store.Actor, f store.Update) (store.Session, error) {
	wrote := false
	s, err := d.cfg.Store.Update(ctx, id, by, d.Now(), func(s *store.Session) (string, any, error) {
		kind, detail, err := f(s)
		wrote = kind != "" && err == nil
		return kind, detail, err
	})
	if err != nil {
		return s, stored(op, err)
	}
	if wrote {
		d.changed(s)
	}
	return s, nil
}

// order of the states that a console may set by hand.
var early = map[string]int{protocol.Invited: 0, protocol.Answered: 1, protocol.Pairing: 2}

// SetState moves a session between invited, answered and pairing, if it still
// is in from.
func (d *Directory) SetState(ctx context.Context, a store.Auth, id grant.ID, from, to string) error {
	const op = "session.state"
	if _, ok := early[from]; !ok {
		return fault.New(fault.Invalid, op, "This state cannot be set.", "")
	}
	if _, ok := early[to]; !ok {
		return fault.New(fault.Invalid, op, "This state cannot be set.", "")
	}
	_, err := d.update(ctx, op, id, actor(a), func(s *store.Session) (string, any, error) {
		switch {
		case s.ConsoleKey != a.Console.Key || s.Profile != a.Profile.ID:
			return "", nil, errNoSession
		case s.State == to:
			return "", nil, nil
		case s.State != from:
			return "", nil, fault.New(fault.Conflict, op, "The session is in another state by now: "+s.State+".", "Look again.")
		}
		s.State = to
		return "session." + to, map[string]string{"from": from}, nil
	})
	return err
}

func notYet() error {
	return &Error{
		Code:  protocol.CodeNotYet,
		Fault: fault.New(fault.Conflict, "session.activate", "The other side has not activated yet.", "It is asked again in a moment."),
	}
}

var (
	errOver  = fault.New(fault.Expired, "session.get", "This session is over.", "Ask for a new invitation.")
	errOther = fault.New(fault.Conflict, "session.activate", "Another computer is connected to this session.", "If this is the computer that needs help, ask for a new invitation.")
	errFact  = fault.New(fault.Invalid, "session.fact", "The signed statement does not fit this session.", "")
)

// activated opens a grant.Activated and checks that it belongs to the session.
func activated(s store.Session, f grant.Signed, signer grant.Key) (grant.Activated, error) {
	var a grant.Activated
	if err := grant.Open(signer, grant.ContextActivated, f, &a); err != nil {
		return a, errFact
	}
	if a.Session != s.ID || a.TechnicianKey != s.ConsoleKey && (s.ClaimKey.IsZero() || a.TechnicianKey != s.ClaimKey) || a.HostKey.IsZero() || len(a.Transcript) != 32 {
		return a, errFact
	}
	return a, nil
}

func same(a, b grant.Activated) bool {
	return a.Session == b.Session && a.TechnicianKey == b.TechnicianKey && a.HostKey == b.HostKey && string(a.Transcript) == string(b.Transcript)
}

// ActivateConsole takes the console's word. It is idempotent and returns the
// grant once both words are there and say the same.
func (d *Directory) ActivateConsole(ctx context.Context, a store.Auth, id grant.ID, f grant.Signed) (grant.Signed, error) {
	var act grant.Activated
	s, err := d.update(ctx, "session.activate", id, actor(a), func(s *store.Session) (string, any, error) {
		if s.ConsoleKey != a.Console.Key && (s.ClaimKey != a.Console.Key || s.State != protocol.Active) || s.Profile != a.Profile.ID {
			return "", nil, errNoSession
		}
		var err error
		if act, err = activated(*s, f, a.Console.Key); err != nil {
			return "", nil, err
		}
		if act.TechnicianKey != a.Console.Key {
			return "", nil, errFact
		}
		if s.State == protocol.Active {
			return d.again(s, act, &s.ClaimActConsole, f)
		}
		if !protocol.Live(s.State) {
			return "", nil, errOver
		}
		first := s.ActConsole == nil || string(s.ActConsole.Body) != string(f.Body)
		s.ActConsole = &f
		if s.ActHost != nil {
			other, err := activated(*s, *s.ActHost, act.HostKey)
			if err == nil && same(other, act) {
				return d.activate(s, act)
			}
			// Another computer's word, or of an attempt that failed: the console decides.
			s.ActHost, s.HostInstance = nil, protocol.Instance{}
		}
		if !first {
			return "", nil, nil
		}
		return "session.console_activated", nil, nil
	})
	return granted(s, act, err)
}

// ActivateHost takes the host's word; see ActivateConsole.
func (d *Directory) ActivateHost(ctx context.Context, id grant.ID, i protocol.Instance, key grant.Key, f grant.Signed) (grant.Signed, error) {
	var act grant.Activated
	s, err := d.update(ctx, "session.activate", id, hostActor(i), func(s *store.Session) (string, any, error) {
		var err error
		if act, err = activated(*s, f, key); err != nil {
			return "", nil, err
		}
		if act.HostKey != key {
			return "", nil, errFact
		}
		if s.State == protocol.Active {
			if s.HostKey != key {
				return "", nil, errOther
			}
			return d.again(s, act, &s.ClaimActHost, f)
		}
		if !protocol.Live(s.State) {
			return "", nil, errOver
		}
		if s.ActConsole != nil {
			other, err := activated(*s, *s.ActConsole, s.ConsoleKey)
			if err != nil || !same(other, act) {
				return "", nil, notYet() // the console may still change its mind
			}
			s.ActHost, s.HostInstance = &f, i
			return d.activate(s, act)
		}
		if s.ActHost != nil && string(s.ActHost.Body) == string(f.Body) && s.HostInstance == i {
			return "", nil, nil
		}
		s.ActHost, s.HostInstance = &f, i
		return "session.host_activated", map[string]any{"host_key": key}, nil
	})
	return granted(s, act, err)
}

func agrees(s store.Session, act grant.Activated) error {
	if s.ActConsole == nil {
		return errOther
	}
	done, err := activated(s, *s.ActConsole, s.ConsoleKey)
	if err != nil || !same(done, act) {
		return errOther
	}
	return nil
}

func granted(s store.Session, act grant.Activated, err error) (grant.Signed, error) {
	switch {
	case err != nil:
		return grant.Signed{}, err
	case s.State != protocol.Active || s.Grant == nil || agrees(s, act) != nil:
		return grant.Signed{}, notYet()
	}
	return *s.Grant, nil
}

// claimFor is how long a claim asks the session's host.
const claimFor = 30 * time.Minute

// Claim lets another console of the session's own person ask to go on with it,
// or the same console after it lost its keys. It gives no right: the offer it
// signs lets the host ask its customer, who confirms by a fresh code, and only
// then ActivateConsole and ActivateHost move the session over. An invitation
// that was not activated has nothing to confirm: it moves at once.
func (d *Directory) Claim(ctx context.Context, a store.Auth, id grant.ID) (store.Session, error) {
	const op = "session.claim"
	return d.update(ctx, op, id, actor(a), func(s *store.Session) (string, any, error) {
		now := d.Now()
		switch {
		case s.Profile != a.Profile.ID:
			return "", nil, errNoSession
		case !protocol.Live(s.State) || !now.Before(s.Deadline()):
			return "", nil, errOver
		case s.State != protocol.Active && s.ConsoleKey == a.Console.Key:
			return "", nil, nil
		case s.Claimed(now.Add(claimFor/2)) && s.ClaimKey == a.Console.Key:
			return "", nil, nil
		}
		var old grant.Offer
		if err := grant.Open(d.pub, grant.ContextOffer, s.Offer, &old); err != nil {
			return "", nil, err
		}
		offer := grant.Offer{
			Session: s.ID, Company: a.Profile.Company.Name, Technician: a.Profile.Name, TechnicianKey: a.Console.Key,
			Rights: old.Rights & a.Profile.Entitled(), Issued: now, Expires: s.Deadline(),
		}
		detail := map[string]any{"from": s.ConsoleKey, "to": a.Console.Key}
		if s.State != protocol.Active {
			signed, err := grant.Sign(d.cfg.Key, grant.ContextOffer, offer)
			if err != nil {
				return "", nil, err
			}
			s.Console, s.Offer, s.State = a.Console.ID, signed, protocol.Invited
			s.ActConsole, s.ActHost, s.HostInstance = nil, nil, protocol.Instance{}
			return "session.moved", detail, nil
		}
		if until := now.Add(claimFor); until.Before(offer.Expires) {
			offer.Expires = until
		}
		signed, err := grant.Sign(d.cfg.Key, grant.ContextOffer, offer)
		if err != nil {
			return "", nil, err
		}
		s.Drop()
		s.Claim, s.ClaimUntil, s.ClaimOffer = a.Console.ID, offer.Expires, &signed
		return "session.claimed", detail, nil
	})
}

// again takes one side's word about a pairing that was made anew under an
// active session: by a claim, or because an activation had reached one side
// only. Once host and console say the same, the grant is theirs; its end stays
// where it was.
func (d *Directory) again(s *store.Session, act grant.Activated, word **grant.Signed, f grant.Signed) (string, any, error) {
	if agrees(*s, act) == nil {
		return "", nil, nil
	}
	if act.HostKey != s.HostKey {
		return "", nil, errOther
	}
	if *word != nil && string((*word).Body) == string(f.Body) {
		return "", nil, nil
	}
	*word = &f
	other := func(w *grant.Signed, signer grant.Key) bool {
		if w == nil {
			return false
		}
		o, err := activated(*s, *w, signer)
		return err == nil && same(o, act)
	}
	if !other(s.ClaimActConsole, act.TechnicianKey) || !other(s.ClaimActHost, act.HostKey) {
		return "session.again", map[string]any{"technician_key": act.TechnicianKey}, nil
	}
	var old grant.Grant
	if err := grant.Open(d.pub, grant.ContextGrant, *s.Grant, &old); err != nil {
		return "", nil, err
	}
	g := old
	from := s.ConsoleKey
	if act.TechnicianKey != s.ConsoleKey {
		var offer grant.Offer
		if err := grant.Open(d.pub, grant.ContextOffer, *s.ClaimOffer, &offer); err != nil {
			return "", nil, err
		}
		g.Company, g.Technician, g.Rights = offer.Company, offer.Technician, offer.Rights
		s.Console, s.ConsoleKey, s.Offer = s.Claim, s.ClaimKey, *s.ClaimOffer
	}
	g.TechnicianKey = act.TechnicianKey
	signed, err := grant.Sign(d.cfg.Key, grant.ContextGrant, g)
	if err != nil {
		return "", nil, err
	}
	s.ActConsole, s.ActHost, s.Grant = s.ClaimActConsole, s.ClaimActHost, &signed
	s.Drop()
	return "session.reactivated", map[string]any{"from": from, "to": g.TechnicianKey, "expires": g.Expires}, nil
}

// activate starts the 24 hours and signs the grant.
func (d *Directory) activate(s *store.Session, act grant.Activated) (string, any, error) {
	var offer grant.Offer
	if err := grant.Open(d.pub, grant.ContextOffer, s.Offer, &offer); err != nil {
		return "", nil, err
	}
	now := d.Now()
	g := grant.Grant{
		Session: s.ID, Company: offer.Company, Technician: offer.Technician, TechnicianKey: act.TechnicianKey, HostKey: act.HostKey,
		Rights: offer.Rights & s.Entitled, Issued: now, Expires: now.Add(grant.Limit), // what was taken away since counts
	}
	signed, err := grant.Sign(d.cfg.Key, grant.ContextGrant, g)
	if err != nil {
		return "", nil, err
	}
	s.State, s.Activated, s.Expires, s.HostKey, s.Grant = protocol.Active, now, g.Expires, act.HostKey, &signed
	return "session.active", map[string]any{"host_key": act.HostKey, "expires": g.Expires}, nil
}

// finish ends a live session. f is the signed word of who ended it.
func (d *Directory) finish(s *store.Session, by grant.EndedBy, f grant.Signed, hostKnows bool) (string, any, error) {
	s.Ended, s.EndedBy, s.EndedFact = d.Now(), by, &f
	s.Drop()
	s.State = protocol.Ended
	if !s.HostKey.IsZero() && !hostKnows {
		s.State = protocol.Ending
	}
	return "session.ended", map[string]any{"by": by}, nil
}

// EndConsole ends a session on the word of its technician, or of a lead. What
// is over already stays as it is.
func (d *Directory) EndConsole(ctx context.Context, a store.Auth, id grant.ID, f grant.Signed) error {
	const op = "session.end"
	var e grant.Ended
	if err := grant.Open(a.Console.Key, grant.ContextEnded, f, &e); err != nil || e.Session != id {
		return errFact
	}
	switch e.By {
	case grant.ByTechnician, grant.ByCancel, grant.ByLock, grant.ByLead:
	default:
		return errFact
	}
	_, err := d.update(ctx, op, id, actor(a), func(s *store.Session) (string, any, error) {
		if !may(a, *s) {
			return "", nil, errNoSession
		}
		if !protocol.Live(s.State) {
			return "", nil, nil
		}
		by, fact := e.By, f
		if s.Profile != a.Profile.ID {
			by = grant.ByLead
		} else if by == grant.ByLead {
			by = grant.ByTechnician
		}
		if by != e.By || s.ConsoleKey != a.Console.Key {
			// The host knows one console key only: the server vouches for others.
			var err error
			if fact, err = d.sign(id, by); err != nil {
				return "", nil, err
			}
		}
		return d.finish(s, by, fact, false)
	})
	return err
}

func (d *Directory) sign(id grant.ID, by grant.EndedBy) (grant.Signed, error) {
	return grant.Sign(d.cfg.Key, grant.ContextEnded, grant.Ended{Session: id, By: by, At: d.Now()})
}

// EndHost ends a session on the word of its host: customer or expiry. A host
// that was never activated can only leave, which ends nothing.
func (d *Directory) EndHost(ctx context.Context, id grant.ID, i protocol.Instance, key grant.Key, f grant.Signed) error {
	const op = "session.end"
	var e grant.Ended
	if err := grant.Open(key, grant.ContextEnded, f, &e); err != nil || e.Session != id || e.By != grant.ByCustomer && e.By != grant.ByExpiry {
		return errFact
	}
	_, err := d.update(ctx, op, id, hostActor(i), func(s *store.Session) (string, any, error) {
		switch {
		case s.HostKey.IsZero():
			return "", nil, nil
		case s.HostKey != key:
			return "", nil, errOther
		case s.State == protocol.Ending:
			s.State = protocol.Ended
			return "session.host_told", nil, nil
		case !protocol.Live(s.State):
			return "", nil, nil
		}
		return d.finish(s, e.By, f, true)
	})
	return err
}

// HostTold notes that the host has heard of the end.
func (d *Directory) HostTold(ctx context.Context, id grant.ID, i protocol.Instance) error {
	_, err := d.update(ctx, "session.end", id, hostActor(i), func(s *store.Session) (string, any, error) {
		if s.State != protocol.Ending || s.HostInstance != i {
			return "", nil, nil
		}
		s.State = protocol.Ended
		return "session.host_told", nil, nil
	})
	return err
}

// Removed takes the host's word that it is gone from the computer.
func (d *Directory) Removed(ctx context.Context, id grant.ID, i protocol.Instance, key grant.Key, f grant.Signed) error {
	const op = "session.removed"
	var r grant.Removed
	if err := grant.Open(key, grant.ContextRemoved, f, &r); err != nil || r.Session != id || len(r.Report) != 32 {
		return errFact
	}
	_, err := d.update(ctx, op, id, hostActor(i), func(s *store.Session) (string, any, error) {
		switch {
		case s.HostKey.IsZero():
			return "", nil, nil // never activated: nothing was granted, nothing is awaited
		case s.HostKey != key:
			return "", nil, errOther
		case s.State == protocol.Removed && !(r.Clean && unclean(s, key)):
			return "", nil, nil // but a later start of the host may get away what an earlier one could not
		}
		if protocol.Live(s.State) { // its End got lost
			end, err := d.sign(id, grant.ByCustomer)
			if err != nil {
				return "", nil, err
			}
			if _, _, err := d.finish(s, grant.ByCustomer, end, true); err != nil {
				return "", nil, err
			}
		}
		s.State, s.RemovedAt, s.RemovedFact = protocol.Removed, d.Now(), &f
		return "session.removed", map[string]any{"clean": r.Clean, "report": r.Report}, nil
	})
	return err
}

// unclean reports whether the host has said that something was left.
func unclean(s *store.Session, key grant.Key) bool {
	var r grant.Removed
	return s.RemovedFact != nil && grant.Open(key, grant.ContextRemoved, *s.RemovedFact, &r) == nil && !r.Clean
}

// Invitation returns what anybody with the link may know. Faults: NotFound,
// Expired, Denied (suspended company).
func (d *Directory) Invitation(ctx context.Context, id grant.ID) (protocol.Invitation, error) {
	const op = "invitation.get"
	s, err := d.cfg.Store.Session(ctx, id)
	if err != nil {
		return protocol.Invitation{}, stored(op, err)
	}
	if !protocol.Live(s.State) || !d.Now().Before(s.Deadline()) {
		return protocol.Invitation{}, fault.New(fault.Expired, op, "This invitation is over.", "Ask for a new one.")
	}
	p, err := d.cfg.Store.Profile(ctx, s.Profile)
	if err != nil {
		return protocol.Invitation{}, stored(op, err)
	}
	if p.Disabled || p.Company.Suspended {
		return protocol.Invitation{}, fault.New(fault.Denied, op, "This company may not use this server at the moment.", "Ask the person who invited you.")
	}
	return protocol.Invitation{
		Session: s.ID, State: s.State, Company: s.CompanyName, Technician: s.Technician, Language: s.Language,
		Expires: s.Deadline(), ServerKey: d.pub, Now: d.Now(), LAN: d.cfg.LAN,
	}, nil
}

// Host checks whether a host program may open a socket. online are the
// instances of the session that are connected now. A session that is over
// admits its own host, so that it can be told.
func (d *Directory) Host(ctx context.Context, id grant.ID, i protocol.Instance, key grant.Key, online []protocol.Instance) (store.Session, error) {
	const op = "host.connect"
	s, err := d.cfg.Store.Session(ctx, id)
	if err != nil {
		return s, stored(op, err)
	}
	if !s.HostKey.IsZero() {
		if s.HostKey != key {
			if !protocol.Live(s.State) {
				return s, errOver
			}
			return s, errOther
		}
		return s, nil
	}
	if !protocol.Live(s.State) && s.EndedFact == nil {
		return s, errOver
	}
	err = d.cfg.Store.Instance(ctx, id, i, key, d.Now(), protocol.MaxInstances, online)
	var no *store.NoPlace
	switch {
	case errors.Is(err, store.ErrConflict):
		return s, fault.New(fault.Denied, op, "This program is known to the server by another key.", "Download it again from the link.")
	case errors.As(err, &no):
		return s, fault.New(fault.Limit, op, "Too many computers opened this invitation.", "Close Daypass on the others, or ask for a new invitation.")
	}
	return s, stored(op, err)
}

// Stranger reports whether an error of Host says that the program has a link
// that was valid once and is not for it: another computer uses it, or it is
// over.
func Stranger(err error) bool { return errors.Is(err, errOther) || errors.Is(err, errOver) }

// ActiveHost checks that key is the host of an active session.
func (d *Directory) ActiveHost(ctx context.Context, id grant.ID, key grant.Key) (store.Session, error) {
	s, err := d.Lookup(ctx, id)
	switch {
	case err != nil:
		return s, err
	case !s.HostKey.IsZero() && s.HostKey != key:
		return s, errOther
	}
	return s, d.active(s)
}

// ActiveConsole checks that a's console is the one of an active session.
func (d *Directory) ActiveConsole(ctx context.Context, a store.Auth, id grant.ID) (store.Session, error) {
	s, err := d.Session(ctx, a, id)
	if err != nil {
		return s, err
	}
	if s.ConsoleKey != a.Console.Key {
		return s, errNoSession
	}
	return s, d.active(s)
}

func (d *Directory) active(s store.Session) error {
	if s.State == protocol.Active && d.Now().Before(s.Expires) {
		return nil
	}
	if protocol.Live(s.State) && s.State != protocol.Active {
		return fault.New(fault.Conflict, "session.ice", "The session is not active yet.", "")
	}
	return errOver
}

// Sweep ends what time has ended, and returns when to come again at the latest.
func (d *Directory) Sweep(ctx context.Context) (time.Duration, error) {
	for range 50 { // 100 each; what is left comes a second later
		now := d.Now()
		due, next, err := d.cfg.Store.Due(ctx, now, now.Add(-d.cfg.RemovalGrace))
		if err != nil {
			return time.Minute, stored("sweep", err)
		}
		for _, s := range due {
			if _, err := d.update(ctx, "sweep", s.ID, store.Actor{Kind: "server"}, func(s *store.Session) (string, any, error) {
				switch {
				case protocol.Live(s.State) && !now.Before(s.Deadline()):
					by := grant.ByLapse
					if s.State == protocol.Active {
						by = grant.ByExpiry
					}
					f, err := d.sign(s.ID, by)
					if err != nil {
						return "", nil, err
					}
					return d.finish(s, by, f, false)
				case s.State == protocol.Ending || s.State == protocol.Ended && !s.HostKey.IsZero():
					s.State = protocol.Unconfirmed
					return "session.unconfirmed", nil, nil
				}
				return "", nil, nil
			}); err != nil {
				return time.Minute, err
			}
		}
		if len(due) > 0 {
			continue
		}
		wait := time.Minute
		if !next.IsZero() {
			wait = min(wait, max(next.Sub(d.Now()), 0)+time.Millisecond)
		}
		return wait, nil
	}
	return time.Second, nil
}

// Checkpoint signs where the audit chain stands.
func (d *Directory) Checkpoint(ctx context.Context) error {
	e, err := d.cfg.Store.Head(ctx)
	if err != nil || e.Seq == 0 {
		return err
	}
	now := d.Now()
	return d.cfg.Store.AddCheckpoint(ctx, store.Checkpoint{Seq: e.Seq, Hash: e.Hash, At: now, Sig: ed25519.Sign(d.cfg.Key, store.CheckpointMessage(e.Seq, e.Hash, now))})
}

// Verify walks the audit chain and its checkpoints and returns how many entries
// there are. The error says the first thing that is wrong.
func Verify(ctx context.Context, st store.Store, key grant.Key) (entries, checkpoints int, err error) {
	cps, err := st.Checkpoints(ctx)
	if err != nil {
		return 0, 0, err
	}
	marks := map[int64]store.Checkpoint{}
	for _, c := range cps {
		if !ed25519.Verify(key[:], store.CheckpointMessage(c.Seq, c.Hash, c.At), c.Sig) {
			return 0, 0, fault.New(fault.Corrupt, "audit.verify", "A checkpoint of the audit chain is not signed by this server.", "Compare with a backup.")
		}
		marks[c.Seq] = c
	}
	var prev store.Hash
	err = st.Audit(ctx, func(e store.Entry) error {
		if e.Seq != int64(entries)+1 || e.Prev != prev || e.Sum() != e.Hash {
			return fault.New(fault.Corrupt, "audit.verify", "The audit chain is broken.", "Compare with a backup.")
		}
		if c, ok := marks[e.Seq]; ok {
			if c.Hash != e.Hash {
				return fault.New(fault.Corrupt, "audit.verify", "The audit chain was rewritten after a checkpoint.", "Compare with a backup.")
			}
			checkpoints++
		}
		entries++
		prev = e.Hash
		return nil
	})
	if err == nil && checkpoints != len(cps) {
		err = fault.New(fault.Corrupt, "audit.verify", "Entries of the audit chain are missing at its end.", "Compare with a backup.")
	}
	return entries, checkpoints, err
}
