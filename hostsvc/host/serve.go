package host

import (
	"context"
	"image"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/lease"
	"daypass/hostsvc/screen"
)

// connectBox carries class 'C' of a session's mailbox to the link.
type connectBox struct {
	box Mailbox
	in  chan []byte
}

// Send, Receive and Online implement peer.Mailbox.
func (c *connectBox) Send(ctx context.Context, b []byte) error { return c.box.Send(ctx, b) }
func (c *connectBox) Receive() <-chan []byte                   { return c.in }
func (c *connectBox) Online() bool                             { return c.box.Online() }

// session is an activated session while it is served. Its goroutine owns it,
// but gate and feed.
type session struct {
	*run
	st    *state
	box   Mailbox
	act   *pairing.HostActivation // answers repeats of the activation; nil after a restart
	cbox  *connectBox
	link  Link
	gate  *gate
	feed  *feed
	posts chan func()
	wg    sync.WaitGroup
	ctx   context.Context // of everything that runs beside the loop

	src        screen.Source
	clip       Clipboard
	online     bool // the link is open
	away       time.Time
	paused     string // "", "customer", "bar"
	remote     *remote
	clipIn     clipIn
	blocked    wire.Blocked       // as told
	shown      []wire.DisplayInfo // as told
	lookedAt   time.Time          // for it
	serving    bool
	state      lease.State
	saved      time.Time
	ended      *ending
	rec        *record   // the customer's copy
	untold     time.Time // since when the screen is seen and the record does not say so
	untoldSaid bool
	doubted    bool // the server refused the session and is being asked
	asking     asking
	leaseEnd   *time.Timer // wakes for the next limit of a right

	// wanted is what the console has open or asks for, also while the customer
	// or a missing bar pauses it: it goes on when that is lifted.
	wanted *wire.Open

	epochs    *epochs
	relinked  bool          // link is another one
	claim     *grant.Signed // answered last
	again     *again
	againTick *time.Ticker
	stopNext  context.CancelFunc // of telling the server about st.Next

	acts     chan consent.Action // the customer's, after listen has acted on them
	live     atomic.Pointer[showing]
	gone     bool      // the console cannot be reached
	watched  bool      // and it is being looked whether that lasts
	raising  bool      // administrator rights are being asked for
	rebootAt time.Time // when the computer restarts unless the customer refuses; zero: it does not

	halted atomic.Bool  // Stop was pressed and the loop has not come to it yet
	unseen atomic.Int32 // times that seeing was switched off, the same
}

// remote is an open Remote Control.
type remote struct {
	viewOnly bool
	display  uint32
	bounds   image.Rectangle
	waiting  bool // for the bar
	since    time.Time
	show     *showing
}

// clipIn assembles clipboard text from the console.
type clipIn struct {
	id   uint32
	next int
	text strings.Builder
}

// serve serves an activated session until it ends, and then removes it. box is
// closed by it.
func (r *run) serve(ctx context.Context, st *state, box Mailbox, act *pairing.HostActivation) error {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &session{
		run: r, st: st, box: box, act: act, ctx: inner,
		stopNext: func() {}, gate: newGate(r.log), feed: &feed{}, posts: make(chan func(), 64), state: lease.Active, acts: make(chan consent.Action, 64),
	}
	defer s.close(cancel)
	if err := st.journal.Mark(r.cfg.Marks); err != nil {
		r.log.Warn("what is on the desktop could not be noted", "cause", err)
	}
	s.prepare()
	s.keep()
	s.epochs = st.epochs()
	s.openRecord()
	if err := s.connect(); err != nil {
		return r.refuse(ctx, consent.RefusedFault, err)
	}
	s.beside(s.listen)
	s.tellNext()
	if err := r.lock.Name(who(st.Technician, st.Company)); err != nil {
		r.log.Warn("lock not named", "cause", err)
	}
	r.show(func(m *consent.Model) {
		m.Screen, m.Company, m.Technician = consent.Connected, st.Company, st.Technician
		m.Rights, m.Allowed, m.Limits, m.Asked = st.Rights, st.Allowed, s.limits(), 0
		m.Expires = time.Now().Add(st.rec.Left())
		m.Watching, m.Doing, m.Paused, m.Offline = false, 0, false, false
	})
	if s.rec.stopped() { // a start of the program does not undo the customer's Stop
		s.paused = "customer"
		r.show(func(m *consent.Model) { m.Paused, m.Watching = true, true })
	}
	began := consent.LineActivated
	if act == nil {
		began = consent.LineBack
	}
	s.line(consent.Line{Kind: began})
	return s.loop(ctx)
}

// prepare opens what the session may need. What cannot be opened is said when
// it is asked for.
func (s *session) prepare() {
	if s.cfg.NoDesktop != nil {
		return
	}
	src, err := s.cfg.System.Screen()
	if err != nil {
		s.log.Warn("no screen", "cause", err)
	} else {
		s.src = src
	}
	inj, err := s.cfg.System.Injector()
	if err != nil {
		s.log.Warn("no input", "cause", err)
	} else {
		s.gate.use(inj)
	}
	c, err := s.cfg.System.Clipboard()
	if err != nil {
		s.log.Warn("no clipboard", "cause", err)
	} else {
		s.clip = c
	}
}

func (s *session) close(cancel context.CancelFunc) {
	s.stopRemote()
	if s.link != nil {
		bye, stop := context.WithTimeout(context.Background(), goodbyeTimeout)
		if err := s.link.Close(bye, "host stops"); err != nil {
			s.log.Debug("link not closed", "cause", err)
		}
		stop()
	}
	cancel()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	for waiting := true; waiting; {
		select {
		case <-s.posts:
		case <-done:
			waiting = false
		}
	}
	s.gate.Close()
	if s.clip != nil {
		if err := s.clip.Close(); err != nil {
			s.log.Debug("clipboard not closed", "cause", err)
		}
	}
	if s.src != nil {
		if err := s.src.Close(); err != nil {
			s.log.Debug("screen not closed", "cause", err)
		}
	}
	s.hangUp(s.box)
	s.st.pin.Wipe()
	if s.act != nil {
		s.act.Wipe()
	}
}

// beside runs f in a goroutine that close waits for.
func (s *session) beside(f func()) { s.wg.Go(f) }

// post runs f in the session's goroutine, or not at all once it has ended.
func (s *session) post(f func()) {
	select {
	case s.posts <- f:
	case <-s.ctx.Done():
	}
}

func (s *session) takeInput(in <-chan []byte) {
	told := time.Time{}
	for b := range in {
		now := time.Now()
		if err := s.gate.Take(b, now); err != nil && now.Sub(told) > time.Minute {
			told = now
			s.log.Warn("input message refused", "cause", err)
		}
	}
}

// listen hears the customer first: Stop works at once, whatever the loop is
// waiting for (a slow disk, the X server).
func (s *session) listen() {
	defer close(s.acts)
	for {
		select {
		case a, ok := <-s.actions:
			if !ok {
				return
			}
			if a.Kind == consent.Stop || a.Kind == consent.EndAndRemove {
				s.halted.Store(true)
				s.gate.Shut()
				if show := s.live.Load(); show != nil {
					show.stop()
				}
			}
			if a.Kind == consent.SetRight && !a.On && a.Rights&(grant.View|grant.Control) != 0 {
				if a.Rights.Has(grant.View) {
					s.unseen.Add(1)
					if show := s.live.Load(); show != nil {
						show.stop()
					}
				}
				s.gate.Shut() // the loop opens it again if that was not for input
			}
			select {
			case s.acts <- a:
			case <-s.ctx.Done():
				return
			}
		case <-s.ctx.Done():
			return
		}
	}
}

// displays lists the displays for the console.
func (s *session) displays() ([]wire.DisplayInfo, error) {
	if s.src == nil {
		return nil, screen.ErrNoDisplay
	}
	list, err := s.src.Displays()
	if err != nil {
		return nil, err
	}
	out := make([]wire.DisplayInfo, 0, len(list))
	for _, d := range list[:min(len(list), wire.MaxDisplays)] {
		name := strings.ToValidUTF8(d.Name, "?")
		if len(name) > wire.MaxText {
			name = strings.ToValidUTF8(name[:wire.MaxText], "")
		}
		out = append(out, wire.DisplayInfo{
			ID: d.ID, Name: name, X: d.Bounds.Min.X, Y: d.Bounds.Min.Y,
			Width: d.Bounds.Dx(), Height: d.Bounds.Dy(), Primary: d.Primary,
		})
	}
	return out, nil
}

func (s *session) hello() *wire.HostHello {
	rep := s.cfg.System.Report()
	list, err := s.displays()
	if err != nil {
		s.log.Info("displays not listed", "cause", err)
	}
	s.shown = list
	return &wire.HostHello{
		Version: wire.Version, Program: cut(s.cfg.Version), Computer: cut(rep.Computer), OS: cut(rep.OS), User: cut(rep.User),
		TimeZone: cut(rep.TimeZone), Rights: s.allowed(), Offered: s.st.Rights, Displays: list, Paused: s.paused, ExpiresMS: s.st.rec.Left().Milliseconds(),
		Standing: s.standing(),
	}
}

func cut(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > wire.MaxText {
		s = strings.ToValidUTF8(s[:wire.MaxText], "")
	}
	return s
}

// send sends a control message; it arrives once, also across reconnections.
func (s *session) send(m wire.Control) {
	b, err := wire.AppendControl(nil, m)
	if err == nil {
		err = s.link.Control().Send(b)
	}
	if err != nil {
		s.log.Warn("control message not sent", "cause", err)
	}
}

func (s *session) refuseAsked(k wire.Kind, id uint32, err error) {
	f := fault.Of(err)
	s.log.Info("refused", "asked", k, "kind", f.Kind, "op", f.Op)
	s.send(&wire.Refused{Asked: k, ID: id, Kind: f.Kind, Message: cut(f.Message), Hint: cut(f.Hint)})
}

// loop serves until the session ends or ctx does.
func (s *session) loop(ctx context.Context) error {
	s.tick(true)
	if s.ended != nil {
		return s.finish(ctx)
	}
	s.expireRights()
	s.leaseTimer()
	defer func() {
		if s.leaseEnd != nil {
			s.leaseEnd.Stop()
		}
	}()
	slow := time.NewTicker(lease.Checkpoint)
	defer slow.Stop()
	quick := time.NewTicker(barPoll)
	quick.Stop()
	defer quick.Stop()
	events, boxEvents, control := s.link.Events(), s.box.Events(), s.link.Control().Receive()
	watching := false
	for s.ended == nil {
		if s.relinked {
			s.relinked = false
			events, control = s.link.Events(), s.link.Control().Receive()
		}
		if w := s.remote != nil || s.paused == "bar"; w != watching {
			if watching = w; w {
				quick.Reset(barPoll)
			} else {
				quick.Stop()
			}
		}
		select {
		case <-ctx.Done():
			return nil // the session stays; the next start takes it up
		case f := <-s.posts:
			f()
		case <-slow.C:
			if s.tick(false); s.state == lease.Suspended {
				slow.Reset(lease.Checkpoint / 6) // it decides soon
			} else {
				slow.Reset(lease.Checkpoint)
			}
		case <-quick.C:
			s.watchBar()
		case <-s.againC():
			s.resendAgain()
		case a, ok := <-s.acts:
			if !ok {
				return errLeave
			}
			s.customer(a)
		case b, ok := <-s.box.Receive():
			if !ok {
				return errLeave
			}
			s.mail(b)
		case e, ok := <-boxEvents:
			if !ok {
				boxEvents = nil
				continue
			}
			s.server(e)
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			s.linked(e)
		case b, ok := <-control:
			if !ok {
				control = nil
				continue
			}
			select { // what the link said before, first
			case e, ok := <-events:
				if ok {
					s.linked(e)
				}
			default:
			}
			s.console(b)
		}
	}
	return s.finish(ctx)
}

// tick advances the lease.
func (s *session) tick(start bool) {
	server, known := s.box.ServerTime()
	if !known || !s.box.Online() {
		server = time.Time{}
	}
	old := s.state
	s.state = s.st.rec.Tick(s.cfg.System.Clock(), server)
	soon := 0
	if s.state == lease.Active {
		soon = s.st.rec.Warn()
	}
	if time.Since(s.saved) >= lease.Checkpoint || s.state != old || start || soon != 0 {
		s.saved = time.Now()
		if err := s.st.rec.Save(s.st.path(leaseName)); err != nil {
			s.log.Error("the lease could not be stored", "cause", err)
		}
	}
	switch soon {
	case 60:
		s.line(consent.Line{Kind: consent.LineHourLeft})
	case 10:
		s.line(consent.Line{Kind: consent.LineMinutesLeft})
	}
	switch {
	case s.state == lease.Expired:
		s.end(grant.ByExpiry, nil)
		return
	case s.state == lease.Suspended && old == lease.Active:
		s.log.Warn("this computer's clock says that the session is over; asking the server")
		s.closeRemote("")
	}
	if s.remote != nil && !s.online && time.Since(s.away) > awayLimit {
		s.closeRemote("")
	}
	if left := s.st.rec.Left(); s.model.Expires.IsZero() || absDuration(time.Until(s.model.Expires)-left) > 2*time.Second {
		s.show(func(m *consent.Model) { m.Expires = time.Now().Add(left) })
	}
}

func absDuration(d time.Duration) time.Duration { return max(d, -d) }

// mail takes a message of the mailbox.
func (s *session) mail(b []byte) {
	if len(b) == 0 {
		return
	}
	switch b[0] {
	case pairing.ClassConnect:
		for {
			select {
			case s.cbox.in <- b:
				return
			default:
			}
			select { // the newest counts; everything is sent again until answered
			case <-s.cbox.in:
			default:
			}
		}
	case pairing.ClassActivation:
		if s.mailAgain(b) || s.act == nil {
			return
		}
		out, _, err := s.act.Handle(b)
		if err != nil {
			s.log.Debug("activation message", "cause", err)
		}
		for _, m := range out {
			s.beside(func() {
				c, stop := context.WithTimeout(s.ctx, 5*time.Second)
				defer stop()
				if err := s.box.Send(c, m); err != nil {
					s.log.Debug("activation message not sent", "cause", err)
				}
			})
		}
	}
}

// server takes news of the signaling server.
func (s *session) server(e rendezvous.HostEvent) {
	if e.Ended != nil {
		s.signedEnd(*e.Ended)
	}
	if e.Claim != nil && s.ended == nil {
		s.claimed(*e.Claim)
	}
	if e.Rejected == nil || e.Rejected.Kind == fault.Offline {
		return
	}
	if !s.doubted {
		s.log.Warn("the server refuses this session", "kind", e.Rejected.Kind)
		s.doubted = true
		s.beside(s.doubt)
	}
}

// doubt asks the server about a session that it refused, until it takes it again
// or has said for goneAfter that there is none: then the session is over. A
// server that cannot be reached ends nothing.
func (s *session) doubt() {
	var since time.Time
	for {
		ctx, cancel := context.WithTimeout(s.ctx, infoTimeout)
		_, err := s.box.ICE(ctx)
		cancel()
		switch is := standingOf(err); {
		case is == alive:
			s.post(func() { s.doubted = false })
			return
		case is == gone && since.IsZero():
			since = time.Now()
		case is == gone && time.Since(since) >= goneAfter:
			s.post(func() { s.end(grant.ByServer, nil) })
			return
		}
		t := time.NewTimer(goneAfter / 4)
		select {
		case <-t.C:
		case <-s.ctx.Done():
			t.Stop()
			return
		}
	}
}

// signedEnd ends the session if the technician or the server signed so.
func (s *session) signedEnd(signed grant.Signed) {
	e, ok := openEnded(signed, s.st.Session, s.st.pin.PeerEd, s.st.pin.ServerKey)
	if !ok {
		s.log.Warn("an end that nobody who may has signed")
		return
	}
	s.end(e.By, &signed)
}

// linked takes news of the link.
func (s *session) linked(e peer.Event) {
	if e.NewInstance {
		s.feed.forget()
		s.wanted = nil
		s.closeRemote("")
	}
	was := s.online
	s.online = e.State == peer.Open
	if s.online && !was {
		s.gate.Resumed(time.Now())
		s.tick(false)
		if s.ended != nil {
			return
		}
		s.goOn()
	}
	if e.PeerHello != nil && e.NewInstance {
		s.send(s.hello())
		if len(s.wireLeases()) > 0 {
			s.send(s.rightsNow())
		}
	}
	if e.Bye != "" {
		s.wanted = nil
		s.closeRemote("")
	}
	if !s.online && was {
		s.away = time.Now()
		s.gate.Interrupted()
	}
	s.follow(e.State == peer.Reconnecting || e.State == peer.Closed)
	s.serving = s.serving || s.online
}

// follow shows whether the console can be reached. An interruption that is over
// before anybody could notice it is none: a link often finds a better path right
// after it was made.
func (s *session) follow(offline bool) {
	s.gone = offline
	switch {
	case !offline && s.model.Offline:
		s.line(consent.Line{Kind: consent.LineOnline})
		s.show(func(m *consent.Model) { m.Offline = false })
	case offline && !s.model.Offline && s.serving && !s.watched:
		s.watched = true
		s.beside(func() {
			t := time.NewTimer(noticedAfter)
			defer t.Stop()
			select {
			case <-t.C:
			case <-s.ctx.Done():
			}
			s.post(func() {
				s.watched = false
				if s.gone && !s.model.Offline && s.ended == nil {
					s.line(consent.Line{Kind: consent.LineOffline})
					s.show(func(m *consent.Model) { m.Offline = true })
				}
			})
		})
	}
}

// customer does what the customer asked for.
func (s *session) customer(a consent.Action) {
	switch a.Kind {
	case consent.Stop: // listen has acted already
		s.gate.Shut()
		s.stopShowing()
		s.rebootRefused()
		s.pause("customer")
		s.halted.Store(false)
	case consent.Resume:
		if s.paused == "customer" {
			s.pause("")
		}
	case consent.SetRight:
		if !a.On && a.Rights.Has(grant.View) {
			defer s.unseen.Add(-1)
		}
		s.setRight(a.Rights&s.st.Rights, a.On, a.For, a.Scope)
	case consent.AnswerRight:
		s.answered(a.On, a.For)
	case consent.RebootNow:
		s.rebootNow()
	case consent.RebootNo:
		s.rebootRefused()
	case consent.Raise:
		s.raise()
	case consent.SubmitCode:
		s.typedAgain(a.Text, a.Rights)
	case consent.EndAndRemove, consent.Cancel:
		if a.Kind == consent.Cancel && s.askedAgain() {
			s.declinedAgain()
			return
		}
		s.gate.Shut()
		s.stopShowing()
		s.end(grant.ByCustomer, nil)
	}
}

// pause stops everything, or lifts that.
func (s *session) pause(by string) {
	if s.paused == by {
		return
	}
	s.paused = by
	if by != "" {
		s.closeRemote(by)
	}
	s.say(pausedBy(by))
	s.done()
	s.send(&wire.Paused{By: by})
	s.show(func(m *consent.Model) {
		m.Paused = by == "customer"
		m.Watching = by != "" // the bar stays, with Resume
	})
	if by == "" {
		s.goOn()
	}
}

// goOn opens what the console wants and what was not allowed until now.
func (s *session) goOn() {
	if s.wanted != nil && s.remote == nil && s.online && s.may("host.open", grant.View) == nil {
		s.openRemote(s.wanted)
	}
}

// watchBar makes sure that the customer sees the bar while anything is shown.
func (s *session) watchBar() {
	now := time.Now()
	bar := s.cfg.View.Bar()
	healthy := bar.Healthy(now)
	switch {
	case s.remote != nil && s.remote.waiting:
		if bar.Shown || (s.cfg.Lab && !bar.Wanted) {
			s.begin()
		} else if now.Sub(s.remote.since) > barTimeout {
			s.noBar()
		}
	case s.remote != nil && !healthy:
		s.noBar()
	case s.paused == "bar" && (bar.Shown || (s.cfg.Lab && !bar.Wanted)):
		s.pause("")
	}
	if now.Sub(s.lookedAt) >= blockedEvery {
		s.lookedAt = now
		s.tellBlocked()
	}
	s.watchDisplays()
	s.screenUntold()
	s.expireRights() // also what ran out while the computer slept
}

// watchDisplays follows displays that come, go, or change while Remote Control
// is open: the console gets the new list, and pointing goes to where the
// display is now. One that went away gives way to the primary one.
func (s *session) watchDisplays() {
	if s.remote == nil || s.src == nil {
		return
	}
	list, err := s.displays()
	if err != nil || len(list) == 0 {
		return // the picture says so
	}
	if !slices.Equal(list, s.shown) {
		s.shown = list
		s.send(&wire.Displays{Displays: list})
	}
	r := s.remote
	d, err := s.find(r.display)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		s.wanted = &wire.Open{ViewOnly: r.viewOnly}
		s.openRemote(s.wanted)
	case err == nil && d.Bounds != r.bounds:
		r.bounds = d.Bounds
		s.gate.Release() // what was held was held elsewhere
		s.openGate()
	}
}

// tellBlocked tells the console when the system begins or ends to keep input
// away.
func (s *session) tellBlocked() {
	err := s.gate.Blocked()
	if failed := s.gate.Failed(); err == nil {
		err = failed
	}
	var m wire.Blocked
	if err != nil {
		f := fault.Of(err)
		m = wire.Blocked{Message: cut(f.Message), Hint: cut(f.Hint)}
	}
	if m != s.blocked {
		s.blocked = m
		s.send(&m)
	}
}

func (s *session) noBar() {
	s.log.Warn("the bar is not visible: capture and input pause")
	s.gate.Shut()
	s.stopShowing()
	s.pause("bar")
}

// console takes a control message.
func (s *session) console(b []byte) {
	m, err := wire.ParseControl(b)
	if err != nil {
		s.log.Warn("control message refused", "cause", err)
		return
	}
	switch m := m.(type) {
	case *wire.ConsoleHello:
		s.log.Info("console", "version", m.Version, "program", m.Program)
	case *wire.Record:
		s.recordTaken(m.Entries)
	case *wire.RecordAsk:
		s.recordAsked(m.From)
	case *wire.Open:
		s.counted(recordLine{Asked: true})
		s.wanted = m
		s.openRemote(m)
	case *wire.Display:
		if s.remote == nil {
			s.refuseAsked(wire.KindDisplay, 0, fault.New(fault.Conflict, "host.display", "Remote Control is not open.", "Open it first."))
			return
		}
		s.wanted = &wire.Open{ViewOnly: s.remote.viewOnly, Display: m.Display}
		s.openRemote(s.wanted)
	case *wire.Close:
		s.wanted = nil
		s.closeRemote("")
	case *wire.ClipGet:
		s.clipGet(m.ID)
	case *wire.Clip:
		s.clipSet(m)
	case *wire.End:
		s.signedEnd(m.Ended)
	case *wire.AskRight:
		s.askRight(m.Rights)
	case *wire.Reboot:
		s.rebootAsked()
	case *wire.Chord:
		s.refuseAsked(wire.KindChord, 0, fault.New(fault.Unsupported, "host.chord", "This system does not pass this key combination on.", "Ask the customer to press it."))
	default:
		s.log.Warn("control message that a console does not send")
	}
}

// may reports why something with these rights cannot be done now, or nil.
func (s *session) may(op string, need grant.Rights) error {
	switch {
	case s.paused == "customer", s.halted.Load():
		return fault.New(fault.Denied, op, "The customer stopped the connection.", "Ask the customer to press Resume.")
	case s.paused == "bar":
		return fault.New(fault.Denied, op, "The bar that tells the customer who is watching is not visible.", "Ask the customer to make room for it.")
	case s.state != lease.Active:
		return fault.New(fault.Expired, op, "By the remote computer's clock the session is over.", "Wait until it reaches the server, which knows the time.")
	case !s.st.Rights.Has(need):
		return fault.New(fault.Denied, op, "Your company is not entitled to this in this session.", "Ask your administrator; what is changed counts from the next session on.")
	case !s.allowed().Has(need):
		return fault.New(fault.Denied, op, "The customer does not allow this.", "Ask the customer to allow it in the window on the remote computer.")
	}
	return nil
}

// openRemote begins Remote Control, or changes display or mode of an open one.
func (s *session) openRemote(m *wire.Open) {
	asked := wire.KindOpen
	if err := s.may("host.open", grant.View); err != nil {
		s.refuseAsked(asked, 0, err)
		return
	}
	if f := s.cfg.NoDesktop; f != nil {
		s.refuseAsked(asked, 0, f)
		return
	}
	if s.src == nil {
		src, err := s.cfg.System.Screen()
		if err != nil {
			s.refuseAsked(asked, 0, err)
			return
		}
		s.src = src
	}
	d, err := s.find(m.Display)
	if err != nil {
		s.refuseAsked(asked, 0, err)
		return
	}
	if r := s.remote; r != nil && r.display == d.ID && r.bounds == d.Bounds {
		r.viewOnly = m.ViewOnly
		s.openGate()
		if !r.waiting {
			s.send(&wire.Opened{Display: d.ID, Codec: "jpeg"})
			s.doing()
		}
		return
	}
	s.gate.Shut()
	s.stopShowing()
	s.remote = &remote{viewOnly: m.ViewOnly, display: d.ID, bounds: d.Bounds, waiting: true, since: time.Now()}
	s.link.SetBusy(true)
	s.show(func(m *consent.Model) { m.Watching = true })
	s.doing()
	s.waitBar()
}

// waitBar looks often while the bar is being put up: that takes milliseconds,
// and the technician waits for it.
func (s *session) waitBar() {
	if s.watchBar(); s.remote == nil || !s.remote.waiting {
		return
	}
	s.beside(func() {
		t := time.NewTimer(10 * time.Millisecond)
		defer t.Stop()
		select {
		case <-t.C:
			s.post(func() {
				if s.remote != nil && s.remote.waiting && s.ended == nil {
					s.waitBar()
				}
			})
		case <-s.ctx.Done():
		}
	})
}

func (s *session) find(id uint32) (screen.Display, error) {
	list, err := s.src.Displays()
	if err != nil {
		return screen.Display{}, err
	}
	for _, d := range list {
		if d.ID == id || (id == 0 && d.Primary) {
			return d, nil
		}
	}
	if id == 0 && len(list) > 0 {
		return list[0], nil
	}
	return screen.Display{}, fault.New(fault.NotFound, "host.open", "This display is not there any more.", "Choose another display.")
}

// begin starts the picture; the bar is visible.
func (s *session) begin() {
	r := s.remote
	r.waiting = false
	r.show = startShowing(s.cfg.System.Serve, s.src, r.display, s.link.Picture(), s.feed, s.log, func(err error) {
		s.post(func() { s.pictureEnded(r, err) })
	})
	s.live.Store(r.show)
	s.openGate()
	if s.halted.Load() || s.unseen.Load() > 0 { // pressed meanwhile: its action comes next
		r.show.stop()
	}
	s.send(&wire.Opened{Display: r.display, Codec: "jpeg"})
	s.blocked = wire.Blocked{}
	s.send(&wire.Blocked{}) // whatever stood in the way before
	s.line(consent.Line{Kind: consent.LineWatching, Rights: s.doing()})
}

// pictureEnded: the picture ended by itself.
func (s *session) pictureEnded(r *remote, err error) {
	if s.remote != r {
		return
	}
	s.log.Warn("the picture ended", "cause", err)
	s.wanted = nil
	s.closeRemote("")
	s.refuseAsked(wire.KindOpen, 0, err)
}

// openGate opens or shuts the gate as everything stands.
func (s *session) openGate() {
	r := s.remote
	if r != nil && r.show != nil {
		r.show.limit(s.seenLeft())
	}
	if r == nil || r.waiting || r.viewOnly || s.paused != "" || !s.allowed().Has(grant.View|grant.Control) {
		s.gate.Shut()
	} else {
		s.gate.Limit(s.inputLeft())
		s.gate.Open(r.bounds)
		if s.halted.Load() || s.unseen.Load() > 0 {
			s.gate.Shut()
		}
	}
	s.doing()
}

// doing shows what is on right now and returns it.
func (s *session) doing() grant.Rights {
	var d grant.Rights
	if r := s.remote; r != nil && s.paused == "" {
		d = grant.View
		if !r.viewOnly && s.allowed().Has(grant.Control) {
			d |= grant.Control
		}
	}
	if d != s.model.Doing {
		s.show(func(m *consent.Model) { m.Doing = d })
	}
	return d
}

// stopShowing takes the picture away at once.
func (s *session) stopShowing() {
	if s.remote == nil || s.remote.show == nil {
		return
	}
	show := s.remote.show
	s.remote.show = nil
	s.live.Store(nil)
	show.stop()
	s.beside(show.wait)
}

// stopRemote ends Remote Control without telling anybody.
func (s *session) stopRemote() bool {
	if s.remote == nil {
		return false
	}
	s.gate.Shut()
	s.stopShowing()
	s.remote = nil
	return true
}

// closeRemote ends Remote Control; the bar stays when by pauses it.
func (s *session) closeRemote(by string) {
	if !s.stopRemote() {
		return
	}
	s.link.SetBusy(false)
	s.show(func(m *consent.Model) { m.Watching, m.Doing = by != "", 0 })
	s.line(consent.Line{Kind: consent.LineLeft})
}

// clipGet sends our clipboard's text.
func (s *session) clipGet(id uint32) {
	err := s.may("host.clipboard", grant.Clipboard)
	if err == nil && s.clip == nil {
		err = fault.New(fault.Unsupported, "host.clipboard", "The remote computer's clipboard cannot be used.", "Ask the customer to send the text another way.")
	}
	if err != nil {
		s.refuseAsked(wire.KindClipGet, id, err)
		return
	}
	ch := s.link.Control()
	s.beside(func() {
		ctx, cancel := context.WithTimeout(s.ctx, clipTimeout)
		text, err := s.clip.Get(ctx)
		cancel()
		text = strings.ToValidUTF8(text, "\ufffd")
		if err == nil && len(text) > wire.MaxClipboard {
			err = fault.New(fault.Limit, "host.clipboard", "The text in the remote computer's clipboard is too long.", "Copy a smaller part of it.")
		}
		if err == nil {
			n := int64(len(text))
			s.counted(recordLine{Out: &n}) // the record may tell of it from now on
			err = s.sendClip(ch, id, text)
		}
		s.post(func() {
			if err != nil {
				s.refuseAsked(wire.KindClipGet, id, err)
				return
			}
			s.line(consent.Line{Kind: consent.LineClipboardOut})
		})
	})
}

func (s *session) sendClip(ch peer.Channel, id uint32, text string) error {
	for part := 0; ; part++ {
		n := min(len(text), wire.MaxClipPart)
		for n < len(text) && n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		b, err := wire.AppendControl(nil, &wire.Clip{ID: id, Part: part, Last: n == len(text), Text: text[:n]})
		if err != nil {
			return err
		}
		if err := ch.Writable(s.ctx, 256<<10); err != nil {
			return err
		}
		if err := ch.Send(b); err != nil {
			return err
		}
		if text = text[n:]; text == "" {
			return nil
		}
	}
}

// clipSet takes a part of text for our clipboard.
func (s *session) clipSet(m *wire.Clip) {
	c := &s.clipIn
	if m.Part == 0 {
		c.id, c.next = m.ID, 0
		c.text.Reset()
	}
	if m.ID != c.id || m.Part != c.next || c.text.Len()+len(m.Text) > wire.MaxClipboard {
		c.next = -1
		s.refuseAsked(wire.KindClip, m.ID, fault.New(fault.Invalid, "host.clipboard", "The text did not arrive whole.", "Send it again."))
		return
	}
	c.text.WriteString(m.Text)
	c.next++
	if !m.Last {
		return
	}
	text := c.text.String()
	c.text.Reset()
	c.next = -1
	n := int64(len(text))
	s.counted(recordLine{In: &n})
	err := s.may("host.clipboard", grant.Clipboard)
	if err == nil && s.clip == nil {
		err = fault.New(fault.Unsupported, "host.clipboard", "The remote computer's clipboard cannot be used.", "Type the text instead.")
	}
	if err != nil {
		s.refuseAsked(wire.KindClip, m.ID, err)
		return
	}
	s.beside(func() {
		ctx, cancel := context.WithTimeout(s.ctx, clipTimeout)
		err := s.clip.Set(ctx, text)
		cancel()
		s.post(func() {
			if err != nil {
				s.refuseAsked(wire.KindClip, m.ID, err)
				return
			}
			s.line(consent.Line{Kind: consent.LineClipboardIn})
		})
	})
}
