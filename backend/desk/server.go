package desk

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"daypass/backend/account"
	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous"
	"daypass/backend/session"
)

// embeddedDomain ends the addresses of accounts on the server inside the
// console; nobody reads mail there.
const embeddedDomain = "@this.computer"

const (
	serverTimeout = 15 * time.Second // one request, retries excluded
	refreshEvery  = time.Minute
)

// tokens keeps a sign-in in the vault.
type tokens struct {
	vault *account.Vault
	name  string
}

func (t tokens) Load() (rendezvous.Tokens, error) {
	var out rendezvous.Tokens
	b, ok := t.vault.Get(t.name)
	if !ok {
		return out, nil
	}
	defer clear(b)
	if err := json.Unmarshal(b, &out); err != nil {
		return out, fault.Wrap(err, fault.Corrupt, "account.load", "The stored sign-in is damaged.", "Sign in again.")
	}
	return out, nil
}

func (t tokens) Save(v rendezvous.Tokens) error {
	if v == (rendezvous.Tokens{}) {
		return t.vault.Delete(t.name)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	defer clear(b)
	return t.vault.Put(t.name, b)
}

// UseThisComputer starts the server inside the console and signs in.
func (d *Desk) UseThisComputer() error {
	if d.cfg.Embed == nil {
		return fault.New(fault.Unsupported, "setup.embedded", "This build has no server inside.", "Enter the address of your company's server.")
	}
	if err := d.mayChooseServer(); err != nil {
		return err
	}
	if err := d.useEmbedded(""); err != nil {
		return err
	}
	return d.setting("server", "embedded", func() {})
}

func (d *Desk) mayChooseServer() error {
	return d.look(func() error {
		switch {
		case d.dev == nil:
			return notReady()
		case d.phase == PhaseReady:
			return fault.New(fault.Conflict, "setup.server", "You are signed in to a server already.", "Sign out first.")
		}
		return nil
	})
}

type embeddedAccount struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// useEmbedded runs outside the loop.
func (d *Desk) useEmbedded(lan string) error {
	v := d.cfg.Vault
	dir := filepath.Join(d.cfg.Dir, "server")
	if v.Kind() == account.Memory {
		// Nothing is kept: a server whose account nobody knows tomorrow would
		// be of no use.
		t, err := os.MkdirTemp(d.cfg.Dir, "server-")
		if err != nil {
			return fault.Wrap(err, fault.Full, "setup.embedded", "The server inside Daypass has no place for its data.", "Check space and rights of the profile folder.")
		}
		dir = t
		if err := d.do(func() error { d.tempData = t; return nil }); err != nil {
			return err
		}
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(err, fault.Denied, "setup.embedded", "The server inside Daypass has no place for its data.", "Check space and rights of the profile folder.")
	}
	if _, ok := v.Get("account:embedded"); !ok {
		var r [5]byte
		rand.Read(r[:])
		email, password, err := d.cfg.CreateAdmin(d.ctx, dir, "technician-"+strings.ToLower(grant.Crockford.EncodeToString(r[:]))+embeddedDomain, personName(), computerName())
		if err != nil {
			return err
		}
		b, err := json.Marshal(embeddedAccount{email, password})
		if err == nil {
			err = v.Put("account:embedded", b)
			clear(b)
		}
		if err != nil {
			return err
		}
	}
	e, err := d.cfg.Embed(d.ctx, EmbedConfig{DataDir: dir, LAN: lan})
	if err != nil {
		return err
	}
	u, err := url.Parse(e.URL())
	if err != nil {
		return fault.Wrap(errors.Join(err, e.Close(d.ctx)), fault.Internal, "setup.embedded", "The server inside Daypass has no usable address.", "Restart Daypass.")
	}
	return d.do(func() error {
		d.embedded = e
		d.server.LANAddress = lan
		d.clearNotice("server")
		d.connect(u, "embedded")
		return nil
	})
}

func personName() string {
	u, err := user.Current()
	if err != nil {
		return "Technician"
	}
	// GECOS may hold more than the name.
	if name, _, _ := strings.Cut(u.Name, ","); strings.TrimSpace(name) != "" {
		return strings.TrimSpace(name)
	}
	if u.Username != "" {
		return u.Username
	}
	return "Technician"
}

func computerName() string {
	if h, err := os.Hostname(); err == nil && h != "" {
		h, _, _ = strings.Cut(h, ".")
		return h
	}
	return "This computer"
}

// SetLAN lets others on the network reach the server inside the console at
// address, or no longer.
func (d *Desk) SetLAN(on bool, address string) error {
	var was string
	if err := d.look(func() error {
		if d.server.Kind != "embedded" {
			return fault.New(fault.Conflict, "setup.lan", "This is for the server inside Daypass only.", "")
		}
		was = d.server.LANAddress
		return nil
	}); err != nil {
		return err
	}
	if on {
		known := false
		for _, a := range d.cfg.LANAddresses() {
			known = known || a.Address == address
		}
		if !known {
			return fault.New(fault.Invalid, "setup.lan", "This computer does not have that address any more.", "Choose another one.")
		}
	} else {
		address = ""
	}
	if address == was {
		return nil
	}
	d.disconnectServer()
	d.closeEmbedded()
	err := d.useEmbedded(address)
	if err != nil {
		// What worked before shall work again.
		if back := d.useEmbedded(was); back != nil {
			d.post(func() { d.notice("server", "error", back) })
		}
		return err
	}
	return d.setting("lan", address, func() {})
}

func (d *Desk) closeEmbedded() {
	var e Embedded
	if d.ctx.Err() == nil {
		if err := d.do(func() error { e, d.embedded = d.embedded, nil; return nil }); err != nil {
			return
		}
	} else { // the loop has ended
		e, d.embedded = d.embedded, nil
	}
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		d.log.Warn("embedded server not closed cleanly", "error", err)
	}
}

// UseServer chooses the company's server. address is https://host[:port], or
// plain http for loopback and private addresses, which is labelled insecure.
func (d *Desk) UseServer(address string) error {
	if err := d.mayChooseServer(); err != nil {
		return err
	}
	u, err := serverURL(address)
	if err != nil {
		return err
	}
	var sig Signaling
	if err := d.look(func() error {
		sig = d.cfg.NewSignaling(rendezvous.ConsoleConfig{Server: u, Key: d.dev.Ed, Tokens: tokens{d.cfg.Vault, "tokens:" + u.String()}, Log: d.log})
		return nil
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(d.ctx, serverTimeout)
	defer cancel()
	_, err = sig.Health(ctx)
	sig.Close()
	if fault.KindOf(err) == fault.Offline {
		// Nobody keeps trying an address that was never right.
		return fault.Wrap(err, fault.Offline, "setup.server", "The server cannot be reached.", "Check the address and the network connection.")
	}
	if err != nil {
		return err
	}
	d.disconnectServer()
	d.closeEmbedded()
	return d.do(func() error {
		if err := d.store.SetSetting(d.ctx, "server", u.String()); err != nil {
			return err
		}
		d.connect(u, "remote")
		return nil
	})
}

func serverURL(address string) (*url.URL, error) {
	bad := func(m, h string) (*url.URL, error) { return nil, fault.New(fault.Invalid, "setup.server", m, h) }
	const like = "It looks like https://support.example.com."
	address = strings.TrimSpace(address)
	if len(address) > 300 {
		return bad("This is not the address of a server.", like)
	}
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return bad("This is not the address of a server.", like)
	}
	u.Path, u.Host, u.Scheme = "", strings.ToLower(u.Host), strings.ToLower(u.Scheme)
	switch u.Scheme {
	case "https":
	case "http":
		ip, err := netip.ParseAddr(u.Hostname())
		if u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast()) {
			return bad("Without https a server is used on this computer or in the local network only.", like)
		}
	default:
		return bad("This is not the address of a server.", like)
	}
	return u, nil
}

// connect makes u the server. In the loop; an earlier one is disconnected.
func (d *Desk) connect(u *url.URL, kind string) {
	name := "tokens:" + u.String()
	if kind == "embedded" {
		name = "tokens:embedded"
	}
	d.sig = d.cfg.NewSignaling(rendezvous.ConsoleConfig{Server: u, Key: d.dev.Ed, Tokens: tokens{d.cfg.Vault, name}, Log: d.log})
	lan := d.server.LANAddress
	if kind != "embedded" {
		lan = ""
	}
	d.server = Server{Kind: kind, URL: u.String(), LANAddress: lan, LAN: lan != "", Insecure: u.Scheme == "http"}
	d.local = kind == "embedded" || isLocal(u)
	ctx, cancel := context.WithCancel(d.ctx)
	gone := make(chan struct{})
	d.stopSrv, d.srvGone = cancel, gone
	sig := d.sig
	d.wg.Go(func() {
		defer close(gone)
		defer sig.Close()
		d.serve(ctx, sig, kind)
	})
}

func isLocal(u *url.URL) bool {
	if u.Hostname() == "localhost" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return ip != nil && (ip.IsLoopback() || ip.IsPrivate())
}

// disconnectServer ends the present server's goroutines and waits for them. Not
// in the loop. Running links go on.
func (d *Desk) disconnectServer() {
	var gone chan struct{}
	if err := d.do(func() error {
		if d.stopSrv != nil {
			d.stopSrv()
			gone = d.srvGone
		}
		d.sig, d.mailbox, d.stopSrv, d.srvGone = nil, nil, nil, nil
		d.server.Online = false
		return nil
	}); err != nil || gone == nil {
		return
	}
	<-gone
}

// serve signs in where it can and then carries the mailbox until ctx is done.
func (d *Desk) serve(ctx context.Context, sig Signaling, kind string) {
	wait := 200 * time.Millisecond
	for first := true; ; first = false {
		was := sig.SignedIn()
		p, err := d.enter(ctx, sig, kind)
		if ctx.Err() != nil {
			return
		}
		if err == nil && p.Enrol {
			d.post(func() {
				if d.sig == sig {
					d.profile, d.phase, d.server.Online = &p, PhaseEnrol, true
				}
			})
			return // Kept goes on
		}
		if err == nil {
			d.post(func() { d.entered(sig, p) })
			break
		}
		k := fault.KindOf(err)
		if k == fault.SignedOut {
			d.post(func() {
				if d.sig != sig || d.phase == PhaseReady || d.phase == PhaseEnrol {
					return // a person was faster
				}
				if was && d.cachedProfile() {
					d.outOf(d.profile.Email)
				}
				d.phase, d.profile, d.server.Online = PhaseSignIn, nil, true
			})
			return // SignIn goes on
		}
		d.post(func() {
			if d.sig != sig {
				return
			}
			d.offline(err)
			if first && sig.SignedIn() && d.cachedProfile() {
				d.phase = PhaseReady // what is known is shown, and links go on
			}
		})
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, 5*time.Second)
	}
	d.carry(ctx, sig)
}

// enter finds out who we are, signing in by itself where that is possible.
func (d *Desk) enter(ctx context.Context, sig Signaling, kind string) (rendezvous.Profile, error) {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	h, err := sig.Health(ctx)
	if err != nil {
		return rendezvous.Profile{}, err
	}
	d.post(func() {
		if d.sig == sig {
			d.health = h
			d.server.Insecure, d.local = h.Insecure, h.LAN || d.local
		}
	})
	if sig.SignedIn() {
		p, err := sig.Profile(ctx)
		if err == nil || kind != "embedded" || fault.KindOf(err) != fault.SignedOut {
			return p, err
		}
	}
	if kind != "embedded" {
		return rendezvous.Profile{}, fault.New(fault.SignedOut, "account", "You are signed out.", "Sign in.")
	}
	b, ok := d.cfg.Vault.Get("account:embedded")
	if !ok {
		return rendezvous.Profile{}, fault.New(fault.SignedOut, "account", "The account of this computer is not known any more.", "Restart Daypass.")
	}
	defer clear(b)
	var a embeddedAccount
	if err := json.Unmarshal(b, &a); err != nil {
		return rendezvous.Profile{}, fault.Wrap(err, fault.Corrupt, "account", "The account of this computer is damaged.", "Restart Daypass.")
	}
	return sig.SignIn(ctx, rendezvous.SignIn{Email: a.Email, Password: a.Password, ConsoleName: computerName()})
}

// SignIn signs in at the chosen server. totp may be empty, or a one-time or
// recovery code; see NeedsCode.
func (d *Desk) SignIn(email, password, totp string) error {
	if err := d.look(func() error {
		if d.phase != PhaseSignIn {
			return notReady()
		}
		return nil
	}); err != nil {
		return err
	}
	return d.signInBy(func(ctx context.Context, s Signaling) (rendezvous.Profile, error) {
		return s.SignIn(ctx, rendezvous.SignIn{Email: email, Password: password, TOTP: totp, ConsoleName: computerName()})
	})
}

// SignOut forgets the sign-in and the server. Sessions of this console go on
// and come back with the next sign-in.
func (d *Desk) SignOut() error {
	var sig Signaling
	if err := d.look(func() error {
		sig = d.sig
		for _, l := range d.live {
			if l.row.Session.State.Live() {
				return fault.New(fault.Conflict, "account.signout", "A session of yours is running.", "End it first, then sign out.")
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if sig != nil {
		ctx, cancel := context.WithTimeout(d.ctx, serverTimeout)
		defer cancel()
		if err := sig.SignOut(ctx); err != nil && fault.KindOf(err) != fault.Offline {
			return err
		}
	}
	d.disconnectServer()
	d.closeEmbedded()
	return d.do(func() error {
		if err := d.store.SetSetting(d.ctx, "server", ""); err != nil {
			return err
		}
		d.phase, d.profile, d.company, d.server, d.limits = PhaseWelcome, nil, nil, Server{}, Limits{}
		d.signedOut, d.handOut = nil, nil
		d.foreign = map[grant.ID]rendezvous.Session{}
		return nil
	})
}

// entered makes the console ready.
func (d *Desk) entered(sig Signaling, p rendezvous.Profile) {
	if d.sig != sig {
		return
	}
	d.profile = &p
	d.phase = PhaseReady
	d.limits = Limits{Mine: Usage(p.Limits.Mine), Company: Usage(p.Limits.Company)}
	if b, err := json.Marshal(p); err == nil {
		if err := d.store.SetSetting(d.ctx, "profile", string(b)); err != nil {
			d.notice("store", "error", err)
		}
	}
}

func (d *Desk) cachedProfile() bool {
	v, err := d.store.Setting(d.ctx, "profile")
	if err != nil || v == "" {
		return false
	}
	var p rendezvous.Profile
	if json.Unmarshal([]byte(v), &p) != nil {
		return false
	}
	d.profile = &p
	return true
}

func (d *Desk) offline(err error) {
	if d.server.Online || d.server.OfflineSince == 0 {
		d.server.Online, d.server.OfflineSince = false, time.Now().UnixMilli()
		if err == nil {
			err = errSocket
		}
		d.log.Info("server out of reach", "error", err)
	}
}

// carry moves messages and events between mailbox and loop until ctx is done.
func (d *Desk) carry(ctx context.Context, sig Signaling) {
	box := sig.OpenMailbox(ctx)
	defer func() {
		if err := box.Close(); err != nil {
			d.log.Debug("mailbox closed", "error", err)
		}
	}()
	defer d.boxNow.CompareAndSwap(&box, nil)
	if err := d.do(func() error {
		if d.sig != sig {
			return errClosed
		}
		d.mailbox = box
		d.boxNow.Store(&box)
		return nil
	}); err != nil {
		return
	}
	if h, ok := sig.(historian); ok {
		sctx, stop := context.WithCancel(ctx)
		gone := make(chan struct{})
		go func() { defer close(gone); d.syncLoop(sctx, h) }()
		defer func() { stop(); <-gone }()
	}
	again := time.NewTicker(refreshEvery)
	defer again.Stop()
	d.refresh(ctx, sig)
	d.readSelf(ctx, sig)
	online := false
	for {
		select {
		case e, ok := <-box.Receive():
			if !ok {
				return
			}
			d.post(func() {
				if d.sig == sig {
					d.envelope(e)
				}
			})
		case e, ok := <-box.Events():
			if !ok {
				return
			}
			if e.Online && !online {
				d.refresh(ctx, sig)
			}
			online = e.Online
			d.post(func() {
				if d.sig == sig {
					d.event(e)
				}
			})
		case <-again.C:
			d.refresh(ctx, sig)
			d.readSelf(ctx, sig)
		case <-ctx.Done():
			return
		}
	}
}

// event takes what the server says.
func (d *Desk) event(e rendezvous.ConsoleEvent) {
	switch {
	case e.Online:
		if !d.server.Online {
			d.resume()
		}
		d.server.Online, d.server.OfflineSince = true, 0
		d.clearNotice("server")
	case e.Fault != nil && e.Fault.Kind == fault.SignedOut:
		d.offline(e.Fault)
		if d.server.Kind == "remote" && d.stopSrv != nil {
			d.stopSrv()
			if d.profile != nil {
				d.outOf(d.profile.Email)
			}
			d.phase, d.profile, d.company, d.mailbox = PhaseSignIn, nil, nil, nil
			d.foreign = map[grant.ID]rendezvous.Session{}
			d.server.Online = true
			return
		}
		d.notice("server", "error", e.Fault)
	default:
		d.offline(nil)
		if e.Fault != nil {
			d.notice("server", "warn", e.Fault)
		}
	}
	if e.Session != nil {
		d.heard(*e.Session)
	}
}

// refresh asks the server for all sessions and the places taken.
func (d *Desk) refresh(ctx context.Context, sig Signaling) {
	rctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	list, err := sig.Sessions(rctx)
	if errors.Is(err, rendezvous.ErrEnrol) {
		d.post(func() { d.mustEnrol(sig) })
		return
	}
	if err != nil {
		if ctx.Err() == nil {
			d.log.Info("sessions not read", "error", err)
		}
		return
	}
	d.post(func() {
		if d.sig != sig {
			return
		}
		d.limits = Limits{Mine: Usage(list.Mine), Company: Usage(list.Company)}
		seen := map[grant.ID]bool{}
		for _, s := range list.Sessions {
			seen[s.ID] = true
			d.heard(s)
		}
		for id := range d.foreign {
			if !seen[id] {
				delete(d.foreign, id)
			}
		}
		for id, l := range d.live {
			switch {
			case seen[id]:
				if l.fault != nil && l.fault.Op == opForgotten {
					l.fault = nil
				}
			case l.row.Session.State.Live():
				d.forgotten(sig, id)
			}
		}
	})
}

// opForgotten marks the fault of a session that the server does not know.
const opForgotten = "session.forgotten"

// forgotten says so when the server does not know a session of ours: its data
// were lost, or replaced by an older copy. Nothing ends here by that: the
// technician decides, and a running link goes on.
func (d *Desk) forgotten(sig Signaling, id grant.ID) {
	d.async(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, serverTimeout)
		defer cancel()
		if _, err := sig.Session(ctx, id); fault.KindOf(err) != fault.NotFound {
			return
		}
		d.post(func() {
			l := d.live[id]
			if l == nil || l.fault != nil || !l.row.Session.State.Live() {
				return
			}
			f := fault.New(fault.NotFound, opForgotten, "The server does not know this invitation any more.", "Cancel it and start a new session.")
			if l.row.Session.State == session.Active {
				f = fault.New(fault.NotFound, opForgotten, "The server does not know this session any more.",
					"End it and start a new one. The customer's program removes itself when it hears of this, at the latest when its 24 hours are over.")
			}
			l.fault = FaultOf(f)
			d.dirty = true
		})
	})
}

// refreshSoon is refresh from the loop.
func (d *Desk) refreshSoon() {
	if sig := d.sig; sig != nil {
		d.async(func(ctx context.Context) { d.refresh(ctx, sig) })
	}
}

var errSocket = errors.New("the socket to the server closed")
