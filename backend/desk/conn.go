package desk

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"daypass/backend/account"
	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/picture"
	"daypass/backend/rendezvous"
	"daypass/backend/session"
	"daypass/backend/wire"
)

// conn is the link to one host and what runs over it. Fields belong to the
// loop unless they say otherwise.
type conn struct {
	offered grant.Rights // what the customer could allow
	asked   grant.Rights // of that, what the customer is being asked for
	limits  map[grant.Rights]limitedRight

	link   Link
	box    *box
	state  peer.State
	since  time.Time // of state
	path   string
	rtt    time.Duration
	opened bool      // it was open at least once
	lost   time.Time // since when it is not open any more; zero while it is
	noted  bool      // that was written into the timeline

	standing wire.Standing

	displays []wire.DisplayInfo
	paused   string
	blocked  *Fault
	remote   *remote

	join     wire.ClipJoin
	clipID   uint32 // latest asked for
	clipText string // start of what came

	screen atomic.Pointer[picture.Screen] // any goroutine; nil while closed
}

// remote is an open Remote Control.
type remote struct {
	viewOnly bool
	display  uint32
	screen   *picture.Screen
	stream   Stream
	stop     context.CancelFunc // of the feedback
	gate     *gate
}

// gate is the console's courtesy on the way of input: the authority is the
// host's. Any goroutine.
type gate struct {
	open atomic.Bool
	link Link
}

// input takes one message of the page.
func (g *gate) input(b []byte) error {
	m, err := wire.ParseInput(b)
	if err != nil {
		return err
	}
	if !g.open.Load() && m.Kind != wire.InputRelease {
		return nil
	}
	if err := g.link.Input().Send(b); err != nil && fault.KindOf(err) != fault.Offline && fault.KindOf(err) != fault.Limit {
		return err
	}
	return nil
}

// set opens or shuts. Each change lets go of everything there: what is held is
// not held any more, and a host that heard an interruption hears again.
func (g *gate) set(open bool) {
	if was := g.open.Swap(open); was != open {
		g.release()
	}
}

func (g *gate) release() {
	b, err := wire.AppendInput(nil, &wire.Input{Kind: wire.InputRelease})
	if err == nil {
		err = g.link.Input().Send(b)
	}
	if err != nil && fault.KindOf(err) != fault.Offline && fault.KindOf(err) != fault.Cancelled {
		return // the host lets go by itself when the link is silent
	}
}

// box is the mailbox of one session's link.
type box struct {
	now  *atomic.Pointer[Mailbox]
	id   grant.ID
	inst rendezvous.Instance
	in   chan []byte
	mu   sync.Mutex // guards done against put
	done bool
}

func (b *box) Send(ctx context.Context, body []byte) error {
	m := b.now.Load()
	if m == nil {
		return fault.New(fault.Offline, "session.send", "The server is out of reach.", "Daypass keeps trying.")
	}
	return (*m).Send(ctx, rendezvous.Envelope{Session: b.id, Instance: b.inst, Body: body})
}

func (b *box) Receive() <-chan []byte { return b.in }

func (b *box) Online() bool {
	m := b.now.Load()
	return m != nil && (*m).Online()
}

// put hands over a message; a full box loses it, as mailboxes may.
func (b *box) put(body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return
	}
	select {
	case b.in <- body:
	default:
	}
}

func (b *box) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.done {
		b.done = true
		close(b.in)
	}
}

// epochs keeps the number of the latest connection beside the pin.
type epochs struct {
	vault *account.Vault
	name  string
	log   func(error)
	mu    sync.Mutex
	rec   pinned
}

// Advance implements peer.EpochStore. A disk that does not take it is no reason
// to refuse the connection: the host keeps the epoch that counts.
func (e *epochs) Advance(epoch uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, err := pairing.ParsePin(e.rec.Pin)
	if err != nil {
		return err
	}
	defer p.Wipe()
	if epoch <= p.Epoch {
		return pairing.ErrReplay
	}
	p.Epoch = epoch
	raw, err := p.MarshalBinary()
	if err != nil {
		return err
	}
	clear(e.rec.Pin)
	e.rec.Pin = raw
	b, err := json.Marshal(e.rec)
	if err != nil {
		return err
	}
	defer clear(b)
	if err := e.vault.Put(e.name, b); err != nil {
		e.log(err)
	}
	return nil
}

// dial opens the link to the pinned host. It reconnects by itself until
// dropLink.
func (d *Desk) dial(l *live) {
	if l.conn != nil || l.pin == nil {
		return
	}
	raw := append([]byte(nil), l.pin.Pin...)
	pin, err := pairing.ParsePin(raw)
	if err != nil {
		l.fault = FaultOf(err)
		return
	}
	hello, err := wire.AppendControl(nil, &wire.ConsoleHello{Version: wire.Version, Program: d.cfg.Version})
	if err != nil {
		d.log.Error("hello", "error", err)
		return
	}
	rec := *l.pin
	rec.Pin, rec.parsed = raw, nil
	id := l.id()
	b := &box{now: &d.boxNow, id: id, inst: l.pin.Instance, in: make(chan []byte, 64)}
	link := d.cfg.Dial(d.ctx, peer.Config{
		Device: d.dev, Pin: pin, Mailbox: b, LAN: d.local, Hello: hello, Log: d.log,
		Epochs: &epochs{vault: d.cfg.Vault, name: pinName(id), rec: rec, log: func(err error) { d.log.Warn("epoch not stored", "error", err) }},
		ICE: func(ctx context.Context) ([]rendezvous.ICEServer, error) {
			var sig Signaling
			if err := d.look(func() error { sig = d.sig; return nil }); err != nil {
				return nil, err
			}
			if sig == nil {
				return nil, fault.New(fault.Offline, "session.ice", "The server is out of reach.", "")
			}
			return sig.ICE(ctx, id)
		},
	})
	c := &conn{link: link, box: b, state: peer.Connecting, since: time.Now()}
	l.conn = c
	d.wg.Go(func() {
		for m := range link.Control().Receive() {
			msg, err := wire.ParseControl(m)
			d.post(func() {
				if l.conn != c {
					return
				}
				if err != nil {
					d.hostile(l, err)
					return
				}
				d.control(l, c, msg)
			})
		}
	})
	d.wg.Go(func() {
		for e := range link.Events() {
			d.post(func() {
				if l.conn == c {
					d.linkEvent(l, c, e)
				}
			})
		}
	})
	d.wg.Go(func() {
		for p := range link.Picture().Receive() {
			s := c.screen.Load()
			if s == nil {
				continue
			}
			before := s.State()
			err := s.Packet(p)
			if after := s.State(); (before == nil) != (after == nil) || after != nil && before.Message != after.Message {
				d.post(func() {}) // a screen that is locked or off is said at once
			}
			if err != nil {
				d.post(func() {
					if l.conn == c && c.screen.Load() == s {
						d.log.Warn("picture refused", "session", id, "error", err)
						l.fault = FaultOf(err)
						d.closeRemote(l, true)
					}
				})
			}
		}
	})
}

// hostile ends a link whose host breaks the protocol. The session stays; the
// technician sees why and can end it.
func (d *Desk) hostile(l *live, err error) {
	d.log.Warn("link closed: the host broke the protocol", "session", l.id(), "error", err)
	l.fault = FaultOf(err)
	d.dropLink(l, "protocol")
}

// dropLink closes the link in the background.
func (d *Desk) dropLink(l *live, reason string) {
	c := l.conn
	if c == nil {
		return
	}
	d.closeRemote(l, false)
	l.conn = nil
	l.unlinked()
	d.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := c.link.Close(ctx, reason); err != nil {
			d.log.Debug("link closed", "error", err)
		}
		c.box.close()
	})
}

func (d *Desk) linkEvent(l *live, c *conn, e peer.Event) {
	if e.State != c.state {
		was := c.state
		c.state, c.since = e.State, time.Now()
		switch {
		case e.State == peer.Open && (was == peer.Connecting || !c.opened):
			c.opened = true
			d.noteWith(l, session.ConsoleA, session.KindConnected, "Connected"+pathWords(e.Path)+".", journal.Details{Path: e.Path})
			if l.fault != nil && l.fault.Op != "store.save" {
				l.fault = nil
			}
		case e.State == peer.Open && c.noted:
			d.noteWith(l, session.ConsoleA, session.KindConnected, "Connected again"+pathWords(e.Path)+".", journal.Details{Path: e.Path})
		case e.State == peer.Reconnecting && was != peer.Connecting && c.lost.IsZero():
			c.lost = time.Now() // tick writes it down when it lasts
		}
		if e.State == peer.Open {
			c.lost, c.noted = time.Time{}, false
		}
		if e.State == peer.Open && l.row.Session.State == session.Ending {
			d.tellHost(l)
		}
	}
	if e.Path != "" {
		c.path = e.Path
	}
	if e.RTT > 0 {
		c.rtt = e.RTT
	}
	if e.NewInstance || e.PeerHello != nil {
		d.askHave(l, c)
	}
	if e.PeerHello != nil {
		if m, err := wire.ParseControl(e.PeerHello); err == nil {
			d.control(l, c, m)
		}
	}
	if e.NewInstance {
		d.rebooted(l)
	}
	if e.NewInstance && c.remote != nil {
		_ = d.sendOpen(l, c) // logged there; the state of the link says the rest
	}
	if e.Fresh {
		if s := c.screen.Load(); s != nil {
			s.Refresh()
		}
	}
	if e.Err != nil && e.Err.Kind == fault.Hostile {
		l.fault = FaultOf(e.Err)
	}
	if c.remote != nil {
		c.remote.gate.set(d.mayInput(l, c))
	}
}

func pathWords(p string) string {
	switch p {
	case peer.PathDirect:
		return " directly"
	case peer.PathRelay:
		return " through the relay"
	}
	return ""
}

// control takes one message of the host.
func (d *Desk) control(l *live, c *conn, m wire.Control) {
	switch m := m.(type) {
	case *wire.HostHello:
		if m.Version != wire.Version {
			l.fault = FaultOf(fault.New(fault.Unsupported, "session.version", "The host program is of another version.", "End the session and start a new one, so that the customer gets the current program."))
		}
		c.displays, c.paused, c.standing = m.Displays, m.Paused, m.Standing
		c.rightsNow(&wire.RightsNow{Rights: m.Rights, Offered: m.Offered})
		d.must(l, session.RightsChanged{Rights: m.Rights})
	case *wire.Standing:
		c.standing = *m
	case *wire.Rebooting:
		d.rebooting(l, m)
	case *wire.Displays:
		c.displays = m.Displays
	case *wire.RightsNow:
		c.rightsNow(m)
		d.must(l, session.RightsChanged{Rights: m.Rights})
	case *wire.Paused:
		if m.By != c.paused {
			c.paused = m.By // the host says it for the record
		}
	case *wire.Blocked:
		c.blocked = nil
		if m.Message != "" {
			c.blocked = &Fault{Kind: string(fault.Unsupported), Op: "remote.blocked", Message: m.Message, Hint: m.Hint}
		}
	case *wire.Opened:
		if r := c.remote; r != nil {
			r.display = m.Display
			r.screen.Refresh()
		}
	case *wire.Refused:
		f := &Fault{Kind: string(m.Kind), Op: "remote.refused", Message: m.Message, Hint: m.Hint}
		if m.Asked == wire.KindAskRight && m.Kind != fault.Conflict {
			c.asked = 0
		}
		switch {
		case m.Asked == wire.KindOpen && c.remote != nil:
			c.blocked = f
		default:
			d.notices = append(d.notices, Notice{ID: "refused-" + l.id().String(), Level: "warn", Fault: *f})
		}
	case *wire.Clip:
		d.clip(l, c, m)
	case *wire.End:
		var e grant.Ended
		if err := grant.Open(l.pin.parsed.PeerEd, grant.ContextEnded, m.Ended, &e); err != nil || e.Session != l.id() {
			d.log.Warn("end not signed by the pinned host", "session", l.id(), "error", err)
			return
		}
		d.must(l, session.End{By: e.By, At: e.At})
	case *wire.Ending:
		d.must(l, session.End{By: m.By})
	case *wire.Removed:
		d.receipt(l, m.Removed, m.Lines)
	case *wire.Receipt:
		d.witness(l, c, m.Seal)
	case *wire.Record:
		d.hostRecord(l, c, m)
	case *wire.RecordHave:
		d.hostHas(l, c, m)
	case *wire.RecordFact:
		d.hostFact(l, m.Fact)
	default:
		d.hostile(l, fault.New(fault.Hostile, "wire.control", "The host sent something that only a console may send.", "End the session."))
		return
	}
	if c.remote != nil {
		c.remote.gate.set(d.mayInput(l, c))
	}
}

func (d *Desk) mayInput(l *live, c *conn) bool {
	return c.remote != nil && !c.remote.viewOnly && c.paused == "" && c.state == peer.Open &&
		l.row.Session.State == session.Active && l.row.Session.Rights.Has(grant.Control)
}

func (d *Desk) send(c *conn, m wire.Control) error {
	b, err := wire.AppendControl(nil, m)
	if err != nil {
		return err
	}
	return c.link.Control().Send(b)
}

// tellHost brings the signed end to the host over the link.
func (d *Desk) tellHost(l *live) {
	if l.conn == nil || l.ended == nil {
		return
	}
	d.closeRemote(l, false)
	if err := d.send(l.conn, &wire.End{Ended: *l.ended}); err != nil {
		d.log.Debug("end not sent over the link", "error", err) // the server tells it too
	}
}

// passOn brings an end that the server signed, for a lead or for itself, to the
// host over the link: the host's own way to the server may be cut. It takes
// nobody's word but that of the server it pinned.
func (d *Desk) passOn(l *live, by grant.EndedBy, fact *grant.Signed) {
	if l.conn == nil || fact == nil || by != grant.ByLead && by != grant.ByServer {
		return
	}
	d.closeRemote(l, false)
	if err := d.send(l.conn, &wire.End{Ended: *fact}); err != nil {
		d.log.Debug("end not passed on over the link", "error", err)
	}
}

// connected finds an active session's link.
func (d *Desk) connected(id string, right grant.Rights, what string) (*live, *conn, error) {
	l, err := d.get(id)
	if err != nil {
		return nil, nil, err
	}
	x := l.row.Session
	switch {
	case x.State != session.Active:
		return nil, nil, fault.New(fault.Conflict, "remote", "The session is not active.", "It can be used from the moment the customer has typed the code until it ends.")
	case !x.Rights.Has(right):
		return nil, nil, fault.New(fault.Denied, "remote", "The customer does not allow "+what+".", "Ask the customer to switch it on in the bar.")
	case l.conn == nil:
		if l.pin == nil {
			return nil, nil, fault.New(fault.SignedOut, "remote", "The keys of this session are not on this computer any more.", "End it and start a new session.")
		}
		d.dial(l) // a link that was closed for a fault is tried again when asked
		if l.conn == nil {
			return nil, nil, fault.New(fault.Offline, "remote", "There is no connection to the computer.", "Try again.")
		}
	}
	return l, l.conn, nil
}

// OpenRemote begins Remote Control, or attaches the page anew to one that runs,
// and says where the page's stream is.
func (d *Desk) OpenRemote(id string, viewOnly bool) (Ticket, error) {
	var t Ticket
	err := d.do(func() error {
		l, c, err := d.connected(id, grant.View, "seeing the screen")
		if err != nil {
			return err
		}
		r := c.remote
		if r == nil {
			ctx, cancel := context.WithCancel(d.ctx)
			r = &remote{viewOnly: viewOnly, screen: picture.NewScreen(picture.Options{}), stop: cancel, gate: &gate{link: c.link}}
			c.remote, c.blocked = r, nil
			c.screen.Store(r.screen)
			d.wg.Go(func() { feedback(ctx, r.screen, c.link.Picture()) })
			c.link.SetBusy(true)
			if err := d.sendOpen(l, c); err != nil {
				d.closeRemote(l, false)
				return err
			}
			what := "Remote Control opened."
			if viewOnly {
				what = "Remote Control opened, view only."
			}
			d.noteWith(l, session.Technician, session.KindRemoteOpened, what, journal.Details{ViewOnly: viewOnly})
		} else {
			if r.stream != nil {
				r.stream.Close()
				r.stream = nil
			}
			r.viewOnly = viewOnly
			r.screen.Invalidate()
		}
		r.gate.set(d.mayInput(l, c))
		r.stream, t, err = d.cfg.OpenView(r.screen, r.gate.input)
		if err != nil {
			d.closeRemote(l, true)
		}
		return err
	})
	return t, err
}

func (d *Desk) sendOpen(l *live, c *conn) error {
	r := c.remote
	err := d.send(c, &wire.Open{ViewOnly: r.viewOnly, Display: r.display, Codecs: []string{"jpeg"}})
	if err != nil {
		d.log.Warn("open not sent", "session", l.id(), "error", err)
	}
	return err
}

// feedback carries the screen's messages back to the host until ctx is done.
func feedback(ctx context.Context, s *picture.Screen, ch peer.Channel) {
	for {
		select {
		case m := <-s.Feedback():
			for {
				err := ch.Send(m)
				if fault.KindOf(err) != fault.Limit {
					break // sent, or of no use: a fresh connection asks anew
				}
				if ch.Writable(ctx, 1<<16) != nil {
					return
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// closeRemote ends Remote Control; tell says whether the host is told.
func (d *Desk) closeRemote(l *live, tell bool) {
	c := l.conn
	if c == nil || c.remote == nil {
		return
	}
	r := c.remote
	r.gate.set(false)
	c.screen.Store(nil)
	r.stop()
	if r.stream != nil {
		r.stream.Close()
	}
	c.remote, c.blocked = nil, nil
	c.link.SetBusy(false)
	if tell {
		if err := d.send(c, &wire.Close{}); err != nil {
			d.log.Debug("close not sent", "error", err)
		}
	}
	d.note(l, session.Technician, session.KindRemoteClosed, "Remote Control closed.")
}

// CloseRemote ends Remote Control. The session goes on.
func (d *Desk) CloseRemote(id string) error {
	return d.do(func() error {
		l, err := d.get(id)
		if err != nil {
			return err
		}
		d.closeRemote(l, true)
		return nil
	})
}

// SelectDisplay shows another display.
func (d *Desk) SelectDisplay(id string, display uint32) error {
	return d.withRemote(id, func(l *live, c *conn) error {
		for _, x := range c.displays {
			if x.ID == display {
				c.remote.gate.release()
				c.remote.display = display
				if err := d.send(c, &wire.Display{Display: display}); err != nil {
					return err
				}
				d.noteWith(l, session.Technician, session.KindDisplay, "Display "+x.Name+" shown.", journal.Details{Display: x.Name})
				return nil
			}
		}
		return fault.New(fault.NotFound, "remote.display", "That display is not there any more.", "Choose another one.")
	})
}

// SetViewOnly holds back mouse and keyboard, or no longer.
func (d *Desk) SetViewOnly(id string, on bool) error {
	return d.withRemote(id, func(l *live, c *conn) error {
		was := c.remote.viewOnly
		c.remote.viewOnly = on
		c.remote.gate.set(d.mayInput(l, c))
		err := d.sendOpen(l, c)
		if was != on {
			what := "View only switched off: mouse and keyboard go through."
			if on {
				what = "View only switched on."
			}
			d.noteWith(l, session.Technician, "view_only", what, journal.Details{ViewOnly: on})
		}
		return err
	})
}

func (d *Desk) withRemote(id string, f func(*live, *conn) error) error {
	return d.do(func() error {
		l, err := d.get(id)
		if err != nil {
			return err
		}
		if l.conn == nil || l.conn.remote == nil {
			return fault.New(fault.Conflict, "remote", "Remote Control is not open.", "Open it first.")
		}
		return f(l, l.conn)
	})
}

// HID usages of the chords' keys (page 7).
const (
	keyCtrl, keyShift, keyAlt, keySuper               = 0xe0, 0xe1, 0xe2, 0xe3
	keyTab, keyEsc, keyDelete, keyF4, keyPrint, keyF1 = 0x2b, 0x29, 0x4c, 0x3d, 0x46, 0x3a
)

var chords = map[string][]uint16{
	"alt-tab":        {keyAlt, keyTab},
	"alt-f4":         {keyAlt, keyF4},
	"alt-esc":        {keyAlt, keyEsc},
	"ctrl-esc":       {keyCtrl, keyEsc},
	"ctrl-shift-esc": {keyCtrl, keyShift, keyEsc},
	"super":          {keySuper},
	"super-d":        {keySuper, 0x07},
	"super-e":        {keySuper, 0x08},
	"super-l":        {keySuper, 0x0f},
	"super-r":        {keySuper, 0x15},
	"print":          {keyPrint},
	"alt-print":      {keyAlt, keyPrint},
	"ctrl-alt-f1":    {keyCtrl, keyAlt, keyF1},
	"ctrl-alt-t":     {keyCtrl, keyAlt, 0x17},
}

// Chord sends a key combination by its name.
func (d *Desk) Chord(id, name string) error {
	return d.withRemote(id, func(l *live, c *conn) error {
		if !d.mayInput(l, c) {
			return fault.New(fault.Denied, "remote.chord", "Keys are not sent now.", "View only is on, the customer stopped it, or the connection is down.")
		}
		if name == "ctrl-alt-del" {
			if err := d.send(c, &wire.Chord{Name: name}); err != nil {
				return err
			}
		} else {
			keys, ok := chords[name]
			if !ok {
				return fault.New(fault.Invalid, "remote.chord", "This key combination is not known.", "")
			}
			if err := press(c.link.Input(), keys); err != nil {
				return err
			}
		}
		d.noteWith(l, session.Technician, session.KindChord, "Key combination "+name+" sent.", journal.Details{Keys: name})
		return nil
	})
}

// press puts the keys down in order and lets go in reverse.
func press(ch peer.Channel, keys []uint16) error {
	for i := range 2 * len(keys) {
		k, down := i, true
		if i >= len(keys) {
			k, down = 2*len(keys)-1-i, false
		}
		b, err := wire.AppendInput(nil, &wire.Input{Kind: wire.InputKey, Usage: keys[k], Down: down})
		if err != nil {
			return err
		}
		if err := ch.Send(b); err != nil {
			return err
		}
	}
	return nil
}

// SendClipboard puts this computer's clipboard text on the host's clipboard.
func (d *Desk) SendClipboard(id string) error {
	if err := d.look(func() error { _, _, err := d.connected(id, grant.Clipboard, "the clipboard"); return err }); err != nil {
		return err
	}
	text, err := d.cfg.System.ClipboardText()
	if err != nil {
		return fault.Wrap(err, fault.Unsupported, "clipboard.read", "The clipboard of this computer cannot be read.", "Copy the text again.")
	}
	if text == "" {
		return fault.New(fault.Invalid, "clipboard.read", "There is no text in the clipboard.", "Copy a text first.")
	}
	var parts []*wire.Clip
	var ch peer.Channel
	err = d.do(func() error {
		_, c, err := d.connected(id, grant.Clipboard, "the clipboard")
		if err != nil {
			return err
		}
		c.clipID++
		ch = c.link.Control()
		parts, err = wire.SplitClip(c.clipID, text)
		return err
	})
	if err != nil {
		return err
	}
	sent := int64(0)
	for _, p := range parts {
		sent += int64(len(p.Text))
	}
	// At the pace of the connection, and beside everything else.
	ctx, cancel := context.WithTimeout(d.ctx, clipTimeout)
	defer cancel()
	for _, p := range parts {
		b, err := wire.AppendControl(nil, p)
		if err != nil {
			return err
		}
		if err := ch.Writable(ctx, clipAhead); err != nil {
			return fault.Wrap(err, fault.Offline, "clipboard.send", "The text could not be sent whole.", "Send it again when the connection is better.")
		}
		if err := ch.Send(b); err != nil {
			return err
		}
	}
	return d.do(func() error {
		l, err := d.get(id)
		if err == nil {
			d.noteWith(l, session.Technician, session.KindClipSent, "Text sent to the computer's clipboard.", journal.Details{Bytes: sent})
		}
		return err
	})
}

const (
	clipTimeout = time.Minute
	clipAhead   = 256 << 10 // bytes that wait to leave while clipboard text is sent
)

// FetchClipboard asks for the host's clipboard text. When it has come it is on
// this computer's clipboard and its start in the snapshot.
func (d *Desk) FetchClipboard(id string) error {
	return d.do(func() error {
		_, c, err := d.connected(id, grant.Clipboard, "the clipboard")
		if err != nil {
			return err
		}
		c.clipID++
		c.clipText = ""
		return d.send(c, &wire.ClipGet{ID: c.clipID})
	})
}

const clipShown = 400 // bytes of fetched text that the page shows

func (d *Desk) clip(l *live, c *conn, m *wire.Clip) {
	if m.ID != c.clipID {
		return // an answer to an older question
	}
	text, done, err := c.join.Add(m)
	if err != nil {
		d.hostile(l, err)
		return
	}
	if !done {
		return
	}
	shown := text
	if len(shown) > clipShown {
		n := clipShown
		for n > 0 && shown[n]&0xc0 == 0x80 {
			n--
		}
		shown = shown[:n] + "…"
	}
	// The native clipboard may take its time.
	d.async(func(context.Context) {
		err := d.cfg.System.SetClipboardText(text)
		d.post(func() {
			if err != nil {
				d.notice("clipboard", "warn", fault.Wrap(err, fault.Unsupported, "clipboard.write", "The clipboard of this computer did not take the text.", "Fetch it again."))
				return
			}
			c.clipText = shown
			d.noteWith(l, session.Technician, session.KindClipFetched, "Text fetched from the computer's clipboard.", journal.Details{Bytes: int64(len(text))})
		})
	})
}

// RemoteStats are the figures of an open Remote Control. Durations are
// milliseconds, means of the last second.
type RemoteStats struct {
	RTTMs         float64 `json:"rttMs"`
	Path          string  `json:"path"`
	UpdatesPerSec float64 `json:"updatesPerSec"`
	KbitPerSec    float64 `json:"kbitPerSec"`
	CaptureMs     float64 `json:"captureMs"`
	EncodeMs      float64 `json:"encodeMs"`
	NetworkMs     float64 `json:"networkMs"`
	DecodeMs      float64 `json:"decodeMs"`
	PaintMs       float64 `json:"paintMs"`
	Width         int     `json:"width"`
	Height        int     `json:"height"`
	Codec         string  `json:"codec"`
	Quality       string  `json:"quality"`
}

// Stats returns the figures; zero ones where Remote Control is not open.
func (d *Desk) Stats(id string) (RemoteStats, error) {
	var out RemoteStats
	err := d.look(func() error {
		l, err := d.get(id)
		if err != nil {
			return err
		}
		if l.conn == nil {
			return nil
		}
		s := l.conn.link.Stats()
		out.RTTMs, out.Path = millis(s.RTT), s.Path
		r := l.conn.remote
		if r == nil {
			return nil
		}
		p := r.screen.Stats()
		out.UpdatesPerSec, out.KbitPerSec, out.Width, out.Height, out.Codec = p.UpdatesPerSecond, p.KbitPerSecond, p.Width, p.Height, p.Codec
		out.CaptureMs, out.EncodeMs, out.NetworkMs, out.DecodeMs = millis(p.Capture), millis(p.Encode), millis(p.Network), millis(p.Decode)
		out.Quality = "exact"
		if p.Codec != "lossless" && p.Codec != "" {
			out.Quality = "motion"
		}
		if r.stream != nil {
			out.PaintMs = millis(r.stream.Paint())
		}
		return nil
	})
	return out, err
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
