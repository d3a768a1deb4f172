package historykey

import (
	"crypto/ecdh"
	"errors"
	"slices"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

func (c *company) giveTo(gen int, k *ecdh.PrivateKey, by Console, to Device) {
	c.t.Helper()
	c.give(gen, k, by, to.Ed, to.X)
}

// All leads' consoles are gone. A new one is given the printed key: it opens all
// generations, others believe it, and it goes on with a key of its own.
func TestRecoveryMakesAConsoleKnown(t *testing.T) {
	c := &company{t: t, id: grant.NewID()}
	a, fresh, evil := console(t), console(t), console(t)
	words, rec, err := NewRecovery()
	if err != nil {
		t.Fatal(err)
	}
	k1 := c.make(a, Device{}) // there was no recovery key yet
	k2 := c.make(a, rec.Device())
	c.giveTo(1, k1, a, rec.Device())
	c.giveTo(2, k2, a, rec.Device())
	pin := c.chain(Pin{}).PinOf()
	if len(pin.Known) != 1 || pin.Known[0] != a.Key() {
		t.Fatalf("the recovery key counts as a console: %v", pin.Known)
	}
	typed, err := ParseRecovery(words)
	if err != nil || typed.Device() != rec.Device() {
		t.Fatal(err)
	}
	ch := c.chain(Pin{})
	for gen, want := range map[int]*ecdh.PrivateKey{1: k1, 2: k2} {
		k, err := ch.Gen(gen).Take(typed.Key(), typed.X)
		if err != nil || !k.Equal(want) {
			t.Fatal(gen, err)
		}
		c.giveTo(gen, k, typed, fresh.Device())
	}
	ch = c.chain(pin)
	for gen, want := range map[int]*ecdh.PrivateKey{1: k1, 2: k2} {
		if k, err := ch.Gen(gen).Take(fresh.Key(), fresh.X); err != nil || !k.Equal(want) {
			t.Fatal(gen, err)
		}
	}
	if !ch.Last().Known[fresh.Key()] || ch.Last().Known[rec.Key()] {
		t.Fatalf("known: %v", ch.Last().Known)
	}
	// One who was not given the key by it is not known, whatever they sign.
	c.giveTo(2, k2, evil, evil.Device())
	if c.chain(pin).Last().Known[evil.Key()] {
		t.Fatal("a stranger is known")
	}
	// The next generation is signed by the new console; a technician who had pinned
	// the one before believes it, and the recovery key stays as it is.
	c.make(fresh, Device{})
	last := c.chain(pin).Last()
	if last.Doc.Gen != 3 || last.Doc.Recovery != rec.Device() {
		t.Fatalf("%+v", last.Doc)
	}
	// The recovery key itself makes none: who finds it must be let in by the server
	// as a console that shows.
	s, _, err := Make(c.id, rec, last, Device{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(c.id, append(slices.Clone(c.docs), s), c.wraps, pin); !errors.Is(err, ErrChanged) {
		t.Fatal(err)
	}
}

// A new recovery key takes the place of the old one: what comes after is not
// opened by the old.
func TestRecoveryMadeAnew(t *testing.T) {
	c := &company{t: t, id: grant.NewID()}
	a, thief := console(t), console(t)
	_, old, err := NewRecovery()
	if err != nil {
		t.Fatal(err)
	}
	_, now, err := NewRecovery()
	if err != nil {
		t.Fatal(err)
	}
	k1 := c.make(a, old.Device())
	c.giveTo(1, k1, a, old.Device())
	k2 := c.make(a, now.Device())
	c.giveTo(1, k1, a, now.Device())
	c.giveTo(2, k2, a, now.Device())
	ch := c.chain(Pin{})
	if _, err := ch.Gen(2).Take(old.Key(), old.X); fault.KindOf(err) != fault.NotFound {
		t.Fatal("the old recovery key opens what came after", err)
	}
	for gen, want := range map[int]*ecdh.PrivateKey{1: k1, 2: k2} {
		if k, err := ch.Gen(gen).Take(now.Key(), now.X); err != nil || !k.Equal(want) {
			t.Fatal(gen, err)
		}
	}
	// With the old one nobody becomes known in the newest generation.
	c.giveTo(2, k2, old, thief.Device())
	if c.chain(Pin{}).Last().Known[thief.Key()] {
		t.Fatal("the old recovery key made somebody known")
	}
}

func TestAcceptIsForThoseWhoHadTheSameKey(t *testing.T) {
	c := &company{t: t, id: grant.NewID()}
	lead, evil := console(t), console(t)
	c.make(lead, Device{})
	one := c.chain(Pin{}).PinOf()
	c.make(lead, Device{})
	two := c.chain(Pin{}).PinOf()
	back := c.docs[:1] // an older copy of the server was put back
	if _, err := Parse(c.id, back, c.wraps, two); !errors.Is(err, ErrChanged) {
		t.Fatal(err)
	}
	claimed, err := Claimed(c.id, back)
	if err != nil {
		t.Fatal(err)
	}
	if f := claimed.Last().Fingerprint(); len(f) != 19 || f != Fingerprint(one.Hash) || f == Fingerprint(two.Hash) {
		t.Fatal(f)
	}
	yes, err := lead.SignAccept(claimed.Last(), two, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pin, a, ok := Accepted(c.id, back, []grant.Signed{yes}, two)
	if !ok || pin.Gen != 1 || a.By != lead.Key() {
		t.Fatal(pin, a, ok)
	}
	if _, err := Parse(c.id, back, c.wraps, pin); err != nil {
		t.Fatal(err)
	}
	no, err := evil.SignAccept(claimed.Last(), two, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	three := two
	three.Hash = make([]byte, 32)
	broken := yes
	broken.Sig = no.Sig
	for name, f := range map[string]func() bool{
		"by a stranger":             func() bool { _, _, ok := Accepted(c.id, back, []grant.Signed{no}, two); return ok },
		"another signature":         func() bool { _, _, ok := Accepted(c.id, back, []grant.Signed{broken}, two); return ok },
		"used again with other pin": func() bool { _, _, ok := Accepted(c.id, back, []grant.Signed{yes}, three); return ok },
		"another company":           func() bool { _, _, ok := Accepted(grant.NewID(), back, []grant.Signed{yes}, two); return ok },
		"not what the server has":   func() bool { _, _, ok := Accepted(c.id, nil, []grant.Signed{yes}, two); return ok },
	} {
		if f() {
			t.Errorf("%s: believed", name)
		}
	}
	// A stranger's chain can be shown, and be believed by a person who says so. Then
	// what follows it must be signed by somebody known in it again.
	o := &company{t: t, id: c.id}
	o.make(evil, Device{})
	cl, err := Claimed(o.id, o.docs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(o.id, o.docs, o.wraps, Pin{Gen: 1, Hash: cl.Last().Hash[:]}); err != nil {
		t.Fatal(err)
	}
}

func FuzzAccepted(f *testing.F) {
	c := &company{t: f, id: grant.ID{1}}
	a := console(f)
	c.make(a, Device{})
	pin := c.chain(Pin{}).PinOf()
	s, err := a.SignAccept(c.chain(Pin{}).Last(), pin, time.Unix(1, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Body, s.Sig)
	f.Fuzz(func(t *testing.T, b, sig []byte) {
		p, x, ok := Accepted(c.id, c.docs, []grant.Signed{{Body: b, Sig: sig}}, pin)
		if ok && (x.By != a.Key() || p.Gen != 1) {
			t.Fatal("somebody else was believed")
		}
	})
}

func FuzzClaimed(f *testing.F) {
	c := &company{t: f, id: grant.ID{1}}
	c.make(console(f), Device{})
	f.Add(c.docs[0].Body, c.docs[0].Sig)
	f.Fuzz(func(t *testing.T, b, sig []byte) {
		if ch, err := Claimed(c.id, []grant.Signed{{Body: b, Sig: sig}}); err == nil && len(ch) != 1 {
			t.Fatal("a document that was read is not there")
		}
	})
}
