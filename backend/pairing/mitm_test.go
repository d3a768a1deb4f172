package pairing

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"daypass/backend/grant"
)

// The attacker here is the server, or whoever took it over: it carries every message and may read, keep, change, make
// up and repeat them. In some tests it also holds the link's password (it sent the mail, or served a false page).

// A server that knows nothing changes one bit anywhere in any message: nobody pairs through it, no try is charged, and
// when it stops, the true activation still succeeds.
func TestServerThatKnowsNothingChangesAnything(t *testing.T) {
	for typ := msgHostHello; typ <= msgReject; typ++ {
		for _, where := range []float64{0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999} {
			r := newRig(t)
			code := NewCode()
			hit, on := false, true
			mitm := func(_ Role, m []byte) [][]byte {
				if m[2] != typ || !on {
					return [][]byte{m}
				}
				hit = true
				c := bytes.Clone(m)
				c[int(where*float64(len(c)))] ^= 0x10
				return [][]byte{c}
			}
			send := func(toConsole, toHost [][]byte) []Event {
				evs, _ := pump(r.host, r.console, toConsole, toHost, mitm)
				return evs
			}
			chosen, entered := false, false
			for range 12 {
				send([][]byte{r.host.Hello()}, nil)
				if !chosen && r.console.answered {
					chosen = true
					out, err := r.console.Choose()
					if err != nil {
						t.Fatal(err)
					}
					more, err := r.console.SetCode(code, r.clock.Add(CodeLife))
					if err != nil {
						t.Fatal(err)
					}
					send(nil, append(out, more...))
				}
				if r.host.ask && !entered {
					entered = true
					out, err := r.host.Enter(code, grant.View)
					if err != nil {
						t.Fatal(err)
					}
					send(out, nil)
				}
				send(r.host.Pending(), r.console.Pending())
				if hit {
					if *r.budget != *NewBudget() && r.console.run == nil {
						t.Fatalf("type %d: charged for a stranger", typ)
					}
					on = false
				}
			}
			if typ == msgReject {
				continue
			}
			if !hit {
				t.Fatalf("type %d never sent", typ)
			}
			agree(t, r.host, r.console)
			if *r.budget != *NewBudget() {
				t.Fatalf("type %d: budget %+v", typ, *r.budget)
			}
		}
	}
}

// A server without the password makes up its own console or host.
func TestServerWithoutThePasswordPlaysAParty(t *testing.T) {
	r := newRig(t)
	guess := NewSecret()
	if _, _, err := r.newConsole(NewDevice(), guess).Handle(r.host.Hello()); !errors.Is(err, ErrDropped) {
		t.Errorf("read the host's hello: %v", err)
	}
	evil := r.newHost(guess)
	if _, ev, err := r.console.Handle(evil.Hello()); !errors.Is(err, ErrDropped) || ev.Kind != None {
		t.Errorf("the console saw a stranger: %v, %v", ev.Kind, err)
	}
	if bytes.Contains(r.host.Hello(), []byte("ANNA-PC")) {
		t.Error("the computer's name travels in clear")
	}
	for range 20 {
		if _, _, err := r.console.Handle(evil.Hello()); !errors.Is(err, ErrDropped) {
			t.Fatal(err)
		}
	}
	if *r.budget != *NewBudget() {
		t.Errorf("strangers burned tries: %+v", *r.budget)
	}
}

// A server that holds the password sits between both with keys of its own: it gets one guess for each code typed, and
// nothing that it recorded lets it try others offline.
func TestServerWithThePasswordInTheMiddle(t *testing.T) {
	for range 20 {
		r := newRig(t)
		code := NewCode()
		guess := otherCode(code)
		evilBudget := NewBudget()
		evilConsole, err := NewConsoleActivation(r.evil, r.link, r.sid, r.offer(grant.KeyOf(r.evil.Ed)), grant.KeyOf(r.server), evilBudget, r.now)
		if err != nil {
			t.Fatal(err)
		}
		evilHost := r.newHost(r.link)
		// towards the true console
		want(t, mustPump(evilHost, r.console, [][]byte{evilHost.Hello()}, nil), HostAnswered, Waiting)
		out, _ := r.console.Choose()
		more, _ := r.console.SetCode(code, r.clock.Add(CodeLife))
		mustPump(evilHost, r.console, nil, append(out, more...))
		// towards the true host
		mustPump(r.host, evilConsole, [][]byte{r.host.Hello()}, nil)
		out, _ = evilConsole.Choose()
		more, _ = evilConsole.SetCode(guess, r.clock.Add(CodeLife))
		mustPump(r.host, evilConsole, nil, append(out, more...))
		// the customer types the true code
		ya, err := r.host.Enter(code, grant.View)
		if err != nil {
			t.Fatal(err)
		}
		evs, errs := pump(r.host, evilConsole, ya, nil, nil)
		if !containsErr(errs, ErrCode) {
			t.Fatal("the guess was not refused")
		}
		want(t, evs, Checking, WrongCode, WrongCode)
		yb, err := evilHost.Enter(guess, grant.View)
		if err != nil {
			t.Fatal(err)
		}
		want(t, mustPump(evilHost, r.console, yb, nil), Checking, WrongCode, WrongCode)
		for _, side := range []interface {
			Result() (*Pin, [32]byte, error)
		}{r.host, r.console, evilHost, evilConsole} {
			if _, _, err := side.Result(); !errors.Is(err, ErrState) {
				t.Fatal("somebody paired through the middle")
			}
		}
		if r.budget.SessionLeft != TriesPerSession-1 {
			t.Fatalf("the guess cost nothing: %+v", *r.budget)
		}
		// Offline: the recorded messages are worth nothing for another guess, the true code included, because the
		// attacker's share was made for one generator only.
		replay := *evilConsole
		replay.run, replay.attempt = nil, 0
		replay.budget = NewBudget()
		if _, err := replay.SetCode(code, r.clock.Add(CodeLife)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := replay.Handle(ya[0]); err != nil {
			t.Fatal(err)
		}
		if _, ev, err := replay.Handle(r.host.run.sent); err == nil || ev.Kind == Confirmed {
			t.Fatal("an offline guess could be checked against the recorded confirm")
		}
	}
}

func mustPump(h *HostActivation, c *ConsoleActivation, a, b [][]byte) []Event {
	evs, _ := pump(h, c, a, b, nil)
	return evs
}

func containsErr(errs []error, want error) bool {
	for _, e := range errs {
		if errors.Is(e, want) {
			return true
		}
	}
	return false
}

// Relaying honest messages while swapping the console's key for the attacker's: the offer names the true key, and the
// channel identifier holds both, so the host drops it.
func TestSwappedKeysAndFalseOffers(t *testing.T) {
	r := newRig(t)
	evil := NewDevice()
	if _, err := NewConsoleActivation(evil, r.link, r.sid, r.offer(grant.KeyOf(r.cd.Ed)), grant.KeyOf(r.server), NewBudget(), r.now); err == nil {
		t.Error("an offer for another console's key is taken")
	}
	c := r.newConsole(r.cd, r.link)
	c.dev = evil // the library refuses; an attacker's does not
	if _, _, err := c.Handle(r.host.Hello()); err != nil {
		t.Fatal(err)
	}
	out, err := c.Choose()
	if err != nil {
		t.Fatal(err)
	}
	if _, ev, err := r.host.Handle(out[0]); !errors.Is(err, ErrDropped) || ev.Kind != None {
		t.Errorf("keys that the offer does not name: %v %v", ev.Kind, err)
	}
	for name, f := range map[string]func(*grant.Offer){
		"another session": func(o *grant.Offer) { o.Session = grant.NewID() },
		"unknown rights":  func(o *grant.Offer) { o.Rights |= 1 << 30 },
	} {
		o := grant.Offer{Session: r.sid, TechnicianKey: grant.KeyOf(r.cd.Ed), Rights: grant.View}
		f(&o)
		c := r.newConsole(r.cd, r.link)
		if c.signed, err = grant.Sign(r.server, grant.ContextOffer, o); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Handle(r.host.Hello()); err != nil {
			t.Fatal(err)
		}
		out, err := c.Choose()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.host.Handle(out[0]); !errors.Is(err, ErrDropped) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// the host keeps to the server key that it saw first
	code := NewCode()
	r.choose(code)
	c2 := r.newConsole(r.cd, r.link)
	_, other, _ := ed25519.GenerateKey(nil)
	c2.serverKey = grant.KeyOf(other)
	c2.signed, _ = grant.Sign(other, grant.ContextOffer, c2.offer)
	if _, _, err := c2.Handle(r.host.Hello()); err != nil {
		t.Fatal(err)
	}
	out, _ = c2.Choose()
	if _, _, err := r.host.Handle(out[0]); !errors.Is(err, ErrDropped) {
		t.Errorf("another server key: %v", err)
	}
	want(t, r.enter(code), Checking, Confirmed, Confirmed, Done)
}

// Each side's own messages sent back to it.
func TestReflectionOfActivation(t *testing.T) {
	r := newRig(t)
	code := NewCode()
	var fromHost, fromConsole [][]byte
	rec := func(from Role, m []byte) [][]byte {
		if from == RoleHost {
			fromHost = append(fromHost, m)
		} else {
			fromConsole = append(fromConsole, m)
		}
		return [][]byte{m}
	}
	r.choose(code)
	out, _ := r.host.Enter(otherCode(code), grant.View)
	pump(r.host, r.console, append(out, r.host.Hello()), r.console.Pending(), rec)
	before := *r.budget
	for _, m := range fromHost {
		if _, ev, err := r.host.Handle(m); err == nil || ev.Kind != None {
			t.Errorf("host took its own message %d: %v", m[2], ev.Kind)
		}
	}
	for _, m := range fromConsole {
		if _, ev, err := r.console.Handle(m); err == nil || ev.Kind != None {
			t.Errorf("console took its own message %d: %v", m[2], ev.Kind)
		}
	}
	if *r.budget != before {
		t.Error("reflection cost a try")
	}
}

// Everything recorded in one activation, repeated into another of the same session.
func TestReplayIntoAnotherActivation(t *testing.T) {
	r := newRig(t)
	code := NewCode()
	var toHost, toConsole [][]byte
	r.choose(code)
	out, _ := r.host.Enter(code, grant.View)
	pump(r.host, r.console, append(out, r.host.Hello()), r.console.Pending(), func(from Role, m []byte) [][]byte {
		if from == RoleHost {
			toConsole = append(toConsole, m)
		} else {
			toHost = append(toHost, m)
		}
		return [][]byte{m}
	})
	agree(t, r.host, r.console)
	h, c := r.newHost(r.link), r.newConsole(r.cd, r.link)
	mustPump(h, c, [][]byte{h.Hello()}, nil)
	ch, _ := c.Choose()
	mustPump(h, c, nil, ch)
	sc, _ := c.SetCode(code, r.clock.Add(CodeLife))
	mustPump(h, c, nil, sc)
	before := *r.budget
	for _, m := range toHost {
		if _, ev, err := h.Handle(m); err == nil || ev.Kind != None {
			t.Errorf("host took old message %d: %v %v", m[2], ev.Kind, err)
		}
	}
	for _, m := range toConsole {
		if _, ev, err := c.Handle(m); err == nil || ev.Kind != None {
			t.Errorf("console took old message %d: %v %v", m[2], ev.Kind, err)
		}
	}
	if *r.budget != before {
		t.Error("replay cost a try")
	}
}

func TestDowngrade(t *testing.T) {
	r := newRig(t)
	for _, v := range []byte{0, 2, 255} {
		m := r.host.Hello()
		m[1] = v
		if _, ev, err := r.console.Handle(m); !errors.Is(err, ErrVersion) || ev.Kind != None {
			t.Errorf("version %d: %v", v, err)
		}
	}
}

// ---- connection ----

func TestConnectUnderAttack(t *testing.T) {
	for _, name := range []string{"nonce", "challenge", "offer", "answer"} {
		hd, hp, cd, cp := paired(t)
		hit := 0
		for at := 0; ; at += 7 {
			done := false
			_, _, err := negotiate(hd, hp, &MemoryEpochs{}, cd, cp, func(n string, b []byte) []byte {
				if n != name {
					return b
				}
				if at >= len(b) {
					done = true
					return b
				}
				hit++
				c := bytes.Clone(b)
				c[at] ^= 1
				return c
			})
			if done {
				if err != nil {
					t.Fatalf("%s untouched: %v", name, err)
				}
				break
			}
			if err == nil {
				t.Fatalf("%s changed at %d: connected", name, at)
			}
		}
		if hit == 0 {
			t.Fatal("nothing changed")
		}
	}
}

func TestReplayedAndForeignHandshakes(t *testing.T) {
	hd, hp, cd, cp := paired(t)
	var epochs MemoryEpochs
	rec := map[string][]byte{}
	if _, _, err := negotiate(hd, hp, &epochs, cd, cp, func(n string, b []byte) []byte { rec[n] = bytes.Clone(b); return b }); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"challenge", "offer", "answer"} {
		if _, _, err := negotiate(hd, hp, &epochs, cd, cp, func(n string, b []byte) []byte {
			if n == name {
				return rec[n]
			}
			return b
		}); err == nil {
			t.Errorf("%s of another connection accepted", name)
		}
	}
	// all of the console's side repeated: the fresh challenge is in the prologue
	a, err := NewAnswerer(hd, hp, &epochs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Challenge([32]byte(rec["nonce"])); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Offer(rec["offer"]); !errors.Is(err, ErrDropped) {
		t.Errorf("recorded offer: %v", err)
	}
	// a party with the right keys but another pairing's shared key, and the other way round
	evil := *cp
	evil.PSK[0] ^= 1
	if _, _, err := negotiate(hd, hp, &epochs, cd, &evil, nil); err == nil {
		t.Error("another shared key accepted")
	}
	if _, _, err := negotiate(hd, hp, &epochs, NewDevice(), cp, nil); err == nil {
		t.Error("another device accepted")
	}
	other := *cp
	other.Session = grant.NewID()
	if _, _, err := negotiate(hd, hp, &epochs, cd, &other, nil); err == nil {
		t.Error("another session accepted")
	}
	if _, _, err := negotiate(hd, hp, &epochs, cd, cp, nil); err != nil {
		t.Error("the true one no longer:", err)
	}
}

// middle is a server that terminates DTLS on both sides with certificates of its own and relays what it reads. The
// handshake itself it can only carry; here it is even given that SDP travels outside it (a defect, or a naive design).
type middle struct{ cert []byte }

// serve models the first data-channel messages through the middle. bound says whether the ends check the channel tag;
// without the check (a variant that exists in this test only) the attacker reads what it wants.
func (m middle) serve(d *Dialer, a *Answerer, console, host []byte, bound bool) (read string) {
	secret := "what the technician types"
	if bound {
		// DTLS of each end really ends at the attacker, so each sees the attacker's certificate as its peer's.
		tag := d.Tag(RoleConsole, console, m.cert)
		if !a.CheckTag(tag[:], m.cert, host) {
			return ""
		}
		back := a.Tag(RoleHost, host, m.cert)
		if !d.CheckTag(back[:], m.cert, console) {
			return ""
		}
	}
	return secret
}

func TestSwappedCertificates(t *testing.T) {
	hd, hp, cd, cp := paired(t)
	d, a, err := negotiate(hd, hp, &MemoryEpochs{}, cd, cp, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := middle{cert: []byte("attacker's certificate")}
	console, host := []byte("console's certificate"), []byte("host's certificate")
	if got := m.serve(d, a, console, host, false); got == "" {
		t.Error("without binding this attack must succeed, or the test proves nothing")
	}
	if got := m.serve(d, a, console, host, true); got != "" {
		t.Errorf("with binding the attacker reads %q", got)
	}
	// the same through tags of an earlier connection of the same pairing
	old := d.Tag(RoleConsole, console, host)
	_, a2, err := negotiate(hd, hp, &MemoryEpochs{}, cd, cp, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a2.CheckTag(old[:], console, host) {
		t.Error("a tag of another connection fits")
	}
}
