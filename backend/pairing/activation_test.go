package pairing

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"testing"
	"time"

	"daypass/backend/grant"
)

// rig is both sides of one activation, with the server's key and a clock.
type rig struct {
	t       testing.TB
	link    Secret
	sid     grant.ID
	server  ed25519.PrivateKey
	cd      *Device // console's
	evil    *Device // an attacker's console; the server, which is the attacker, vouches for it
	host    *HostActivation
	console *ConsoleActivation
	budget  *Budget
	clock   time.Time
}

func newRig(t testing.TB) *rig {
	t.Helper()
	_, server, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, link: NewSecret(), sid: grant.NewID(), server: server, cd: NewDevice(), evil: NewDevice(), budget: NewBudget(), clock: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	r.host = r.newHost(r.link)
	r.console = r.newConsole(r.cd, r.link)
	return r
}

func (r *rig) now() time.Time { return r.clock }

func (r *rig) newHost(s Secret) *HostActivation {
	h, err := NewHostActivation(NewDevice(), s, r.sid, HostReport{Computer: "ANNA-PC", OS: "Debian 12"}, r.now)
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

func (r *rig) offer(k grant.Key) grant.Signed {
	o, err := grant.Sign(r.server, grant.ContextOffer, grant.Offer{
		Session: r.sid, Company: "Contoso IT", Technician: "Mia Roth", TechnicianKey: k,
		Rights: grant.View | grant.Control | grant.Clipboard, Issued: r.clock, Expires: r.clock.Add(24 * time.Hour),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return o
}

func (r *rig) newConsole(d *Device, s Secret) *ConsoleActivation {
	c, err := NewConsoleActivation(d, s, r.sid, r.offer(grant.KeyOf(d.Ed)), grant.KeyOf(r.server), r.budget, r.now)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// pump carries messages both ways until none is left. mitm may change or drop each.
func pump(h *HostActivation, c *ConsoleActivation, toConsole, toHost [][]byte, mitm func(from Role, m []byte) [][]byte) (evs []Event, errs []error) {
	if mitm == nil {
		mitm = func(_ Role, m []byte) [][]byte { return [][]byte{m} }
	}
	for len(toConsole)+len(toHost) > 0 {
		var nc, nh [][]byte
		for _, q := range toConsole {
			for _, m := range mitm(RoleHost, q) {
				out, ev, err := c.Handle(m)
				nh, evs, errs = append(nh, out...), append(evs, ev), append(errs, err)
			}
		}
		for _, q := range toHost {
			for _, m := range mitm(RoleConsole, q) {
				out, ev, err := h.Handle(m)
				nc, evs, errs = append(nc, out...), append(evs, ev), append(errs, err)
			}
		}
		toConsole, toHost = nc, nh
	}
	return evs, errs
}

func (r *rig) pump(toConsole, toHost [][]byte) []Event {
	evs, _ := pump(r.host, r.console, toConsole, toHost, nil)
	return evs
}

func kinds(evs []Event) (out []EventKind) {
	for _, e := range evs {
		if e.Kind != None {
			out = append(out, e.Kind)
		}
	}
	return out
}

func want(t testing.TB, evs []Event, k ...EventKind) {
	t.Helper()
	if got := kinds(evs); fmt.Sprint(got) != fmt.Sprint(k) {
		t.Fatalf("events %v, want %v", got, k)
	}
}

func (r *rig) choose(code Code) {
	r.t.Helper()
	if got := kinds(r.pump([][]byte{r.host.Hello()}, nil)); got[0] != HostAnswered || len(got) > 2 {
		r.t.Fatalf("events %v", got)
	}
	out, err := r.console.Choose()
	if err != nil {
		r.t.Fatal(err)
	}
	want(r.t, r.pump(nil, out), Invited)
	r.show(code)
}

func (r *rig) show(code Code) {
	r.t.Helper()
	out, err := r.console.SetCode(code, r.clock.Add(CodeLife))
	if err != nil {
		r.t.Fatal(err)
	}
	want(r.t, r.pump(nil, out), NeedCode)
}

func (r *rig) enter(code Code) []Event {
	r.t.Helper()
	out, err := r.host.Enter(code, grant.View|grant.Control|grant.Terminal)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.pump(out, nil)
}

func agree(t testing.TB, h *HostActivation, c *ConsoleActivation) (*Pin, *Pin) {
	t.Helper()
	hp, ht, err := h.Result()
	if err != nil {
		t.Fatal(err)
	}
	cp, ct, err := c.Result()
	if err != nil {
		t.Fatal(err)
	}
	if hp.PSK != cp.PSK || ht != ct || hp.PSK == [32]byte{} || hp.Rights != cp.Rights || hp.Peer() != c.dev.Public() || cp.Peer() != h.dev.Public() {
		t.Fatalf("pins do not agree: %+v %+v", *hp, *cp)
	}
	return hp, cp
}

// otherCode returns a valid code that is not c.
func otherCode(c Code) Code {
	for {
		if o := NewCode(); o != c {
			return o
		}
	}
}

func TestRightCodePairsBothSidesAndRefunds(t *testing.T) {
	r := newRig(t)
	code := NewCode()
	r.choose(code)
	evs := r.enter(code)
	want(t, evs, Checking, Confirmed, Confirmed, Done)
	hp, _ := agree(t, r.host, r.console)
	if hp.Rights != grant.View|grant.Control {
		t.Errorf("rights %b: what was ticked and offered, no more", hp.Rights)
	}
	if *r.budget != *NewBudget() {
		t.Errorf("budget %+v after success", *r.budget)
	}
	if hp.Expires != r.clock.Add(24*time.Hour) {
		t.Errorf("expires %v", hp.Expires)
	}
	if len(r.host.Pending())+len(r.console.Pending()) != 0 {
		t.Error("something is still to be sent")
	}
}

func TestWrongCodesAreCountedAndLock(t *testing.T) {
	r := newRig(t)
	code := NewCode()
	r.choose(code)
	left, total := TriesPerCode, TriesPerSession
	for total > 0 {
		evs := r.enter(otherCode(code))
		left, total = left-1, total-1
		last := evs[len(evs)-1]
		for i := len(evs) - 1; last.Kind == None; i-- {
			last = evs[i]
		}
		if last.Left != left || last.SessionLeft != total {
			t.Fatalf("told %d, %d left; want %d, %d", last.Left, last.SessionLeft, left, total)
		}
		switch {
		case total == 0:
			want(t, evs, Checking, Locked, Locked)
		case left == 0:
			want(t, evs, Checking, NewCodeNeeded, NewCodeNeeded)
			if _, err := r.host.Enter(code, 0); !errors.Is(err, ErrState) {
				t.Fatalf("typed without a code shown: %v", err)
			}
			code, left = NewCode(), TriesPerCode
			r.show(code)
		default:
			want(t, evs, Checking, WrongCode, WrongCode)
		}
	}
	if _, err := r.console.SetCode(NewCode(), r.clock.Add(time.Hour)); !errors.Is(err, ErrLocked) {
		t.Errorf("another code after lock: %v", err)
	}
	if _, _, err := r.host.Result(); !errors.Is(err, ErrState) {
		t.Errorf("a pin without the code: %v", err)
	}
}

func TestWrongThenRightCode(t *testing.T) {
	r := newRig(t)
	code := NewCode()
	r.choose(code)
	want(t, r.enter(otherCode(code)), Checking, WrongCode, WrongCode)
	want(t, r.enter(code), Checking, Confirmed, Confirmed, Done)
	agree(t, r.host, r.console)
	if r.budget.Left != 2 || r.budget.SessionLeft != 8 {
		t.Errorf("budget %+v", *r.budget)
	}
}

func TestExpiredCodeCostsNoTry(t *testing.T) {
	r := newRig(t)
	code := NewCode()
	r.choose(code)
	r.clock = r.clock.Add(CodeLife)
	want(t, r.enter(code), NewCodeNeeded, NewCodeNeeded)
	if *r.budget != *NewBudget() {
		t.Errorf("budget %+v", *r.budget)
	}
	code = NewCode()
	r.show(code)
	want(t, r.enter(code), Checking, Confirmed, Confirmed, Done)
}

// Every message may be lost, doubled, delayed and reordered; both sides send Pending now and then.
func TestPairsOverABadMailbox(t *testing.T) {
	for seed := range uint64(400) {
		rnd := mrand.New(mrand.NewPCG(seed, 1))
		r := newRig(t)
		code := NewCode()
		type env struct {
			to Role
			m  []byte
		}
		var q []env
		put := func(to Role, ms [][]byte) {
			for _, m := range ms {
				for range rnd.IntN(3) { // lost, once, twice
					q = append(q, env{to, m})
				}
			}
		}
		chosen, wrongFirst, confirmed, done := false, seed%3 == 0, 0, false
		for step := 0; ; step++ {
			if step > 20000 {
				t.Fatalf("seed %d: not paired", seed)
			}
			if done && confirmed == 2 {
				break
			}
			if len(q) == 0 || rnd.IntN(8) == 0 {
				put(RoleConsole, r.host.Pending())
				put(RoleHost, r.console.Pending())
				if r.host.ask && !r.host.Checking() && r.host.pin == nil {
					c := code
					if wrongFirst {
						c, wrongFirst = otherCode(code), false
					}
					if out, err := r.host.Enter(c, grant.View); err == nil {
						put(RoleConsole, out)
					}
				}
				continue
			}
			i := rnd.IntN(len(q))
			e := q[i]
			if rnd.IntN(6) != 0 { // some stay and come again later
				q = append(q[:i], q[i+1:]...)
			}
			var out [][]byte
			var ev Event
			if e.to == RoleHost {
				out, ev, _ = r.host.Handle(e.m)
				put(RoleConsole, out)
			} else {
				out, ev, _ = r.console.Handle(e.m)
				put(RoleHost, out)
			}
			switch ev.Kind {
			case HostAnswered:
				if !chosen {
					chosen = true
					o1, err1 := r.console.Choose()
					o2, err2 := r.console.SetCode(code, r.clock.Add(CodeLife))
					if err1 != nil || err2 != nil {
						t.Fatal(err1, err2)
					}
					put(RoleHost, append(o1, o2...))
				}
			case Confirmed:
				confirmed++
			case Done:
				done = true
			case Locked, NewCodeNeeded, OtherChosen:
				t.Fatalf("seed %d: %v", seed, ev.Kind)
			}
		}
		agree(t, r.host, r.console)
		spent := 0
		if seed%3 == 0 {
			spent = 1
		}
		if r.budget.SessionLeft != TriesPerSession-spent {
			t.Fatalf("seed %d: budget %+v: repeats must not be charged", seed, *r.budget)
		}
	}
}

func TestTwoComputersOnOneLink(t *testing.T) {
	r := newRig(t)
	second := r.newHost(r.link)
	other := r.newConsole(r.cd, r.link)
	evs, _ := pump(second, other, [][]byte{second.Hello()}, nil, nil)
	want(t, evs, HostAnswered, Waiting)
	code := NewCode()
	r.choose(code)
	evs, _ = pump(second, other, nil, other.Reject(), nil)
	want(t, evs, OtherChosen)
	if _, err := other.Choose(); !errors.Is(err, ErrState) {
		t.Errorf("chosen after rejection: %v", err)
	}
	if _, err := second.Enter(code, grant.View); !errors.Is(err, ErrState) {
		t.Errorf("the rejected computer may type: %v", err)
	}
	if len(second.Pending()) != 0 {
		t.Error("the rejected computer goes on asking")
	}
	want(t, r.enter(code), Checking, Confirmed, Confirmed, Done)
}

// The console restarts between the two confirms: both discard, the code is typed again.
func TestConsoleVanishesBetweenConfirms(t *testing.T) {
	r := newRig(t)
	code := NewCode()
	r.choose(code)
	out, err := r.host.Enter(code, grant.View)
	if err != nil {
		t.Fatal(err)
	}
	evs, _ := pump(r.host, r.console, out, nil, func(from Role, m []byte) [][]byte {
		if from == RoleConsole && m[2] == msgConsoleConfirm {
			return nil
		}
		return [][]byte{m}
	})
	want(t, evs, Checking, Confirmed)
	late := r.console.Pending()
	r.console = r.newConsole(r.cd, r.link)
	code = NewCode()
	r.choose(code)
	if _, ev, err := r.host.Handle(late[0]); err == nil || ev.Kind != None {
		t.Errorf("confirm of the run that was given up: %v, %v", ev.Kind, err)
	}
	want(t, r.enter(code), Checking, Confirmed, Confirmed, Done)
	agree(t, r.host, r.console)

	r.host.Commit()
	again := r.newConsole(r.cd, r.link)
	if _, _, err := again.Handle(r.host.Hello()); err != nil {
		t.Fatal(err)
	}
	out, err = again.Choose()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.host.Handle(out[0]); !errors.Is(err, ErrReplay) {
		t.Errorf("another console after the grant: %v", err)
	}
	agree(t, r.host, r.console)
}

func TestNothingParsesIntoAPanic(t *testing.T) {
	r := newRig(t)
	code := NewCode()
	r.choose(code)
	for typ := range byte(16) {
		for n := range 200 {
			m := append([]byte{ClassActivation, Version, typ}, make([]byte, n)...)
			if _, ev, _ := r.host.Handle(m); ev.Kind != None {
				t.Fatalf("type %d, %d bytes: %v", typ, n, ev.Kind)
			}
			if _, ev, _ := r.console.Handle(m); ev.Kind != None {
				t.Fatalf("type %d, %d bytes: %v", typ, n, ev.Kind)
			}
			// and the same from someone who holds the link
			for _, ctx := range [][]byte{nil, r.host.th[:], r.host.host.hash[:]} {
				if _, ev, _ := r.host.Handle(frame(r.console.macKey, ctx, typ, make([]byte, n))); ev.Kind != None && ev.Kind != OtherChosen {
					t.Fatalf("type %d, %d bytes: %v", typ, n, ev.Kind)
				}
				if _, ev, _ := r.console.Handle(frame(r.host.macKey, ctx, typ, make([]byte, n))); ev.Kind != None {
					t.Fatalf("type %d, %d bytes: %v", typ, n, ev.Kind)
				}
			}
		}
	}
}

func fuzzHandle(f *testing.F, host bool) {
	r := newRig(f)
	r.choose(NewCode())
	f.Add(r.host.Hello()[2:], byte(0))
	out, err := r.host.Enter(NewCode(), grant.View)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(out[0][2:len(out[0])-macSize], byte(1))
	f.Fuzz(func(t *testing.T, b []byte, ctx byte) {
		if len(b) == 0 {
			return
		}
		c := [][]byte{nil, r.host.th[:], r.host.host.hash[:]}[ctx%3]
		if host {
			_, ev, _ := r.host.Handle(b)
			_, ev2, _ := r.host.Handle(frame(r.console.macKey, c, b[0], b[1:]))
			if ev.Kind != None || ev2.Kind == Confirmed {
				t.Fatal("paired with a stranger")
			}
			return
		}
		_, ev, _ := r.console.Handle(b)
		_, ev2, _ := r.console.Handle(frame(r.host.macKey, c, b[0], b[1:]))
		if ev.Kind != None || ev2.Kind == Confirmed {
			t.Fatal("paired with a stranger")
		}
	})
}

func FuzzHostHandle(f *testing.F)    { fuzzHandle(f, true) }
func FuzzConsoleHandle(f *testing.F) { fuzzHandle(f, false) }

func BenchmarkActivation(b *testing.B) {
	for b.Loop() {
		r := newRig(b)
		code := NewCode()
		r.choose(code)
		r.enter(code)
		agree(b, r.host, r.console)
	}
}
