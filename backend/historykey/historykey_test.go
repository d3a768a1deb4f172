package historykey

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

func console(t testing.TB) Console {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Console{ed, x}
}

// company is what the server keeps.
type company struct {
	t           testing.TB
	id          grant.ID
	docs, wraps []grant.Signed
}

func (c *company) make(by Console, recovery Device) *ecdh.PrivateKey {
	c.t.Helper()
	ch, err := Parse(c.id, c.docs, c.wraps, Pin{})
	if err != nil {
		c.t.Fatal(err)
	}
	s, k, err := Make(c.id, by, ch.Last(), recovery, time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	c.docs = append(c.docs, s)
	c.give(len(c.docs), k, by, by.Key(), X(by.X.PublicKey().Bytes()))
	return k
}

func (c *company) give(gen int, k *ecdh.PrivateKey, by Console, to grant.Key, x X) {
	c.t.Helper()
	w, err := Give(c.id, gen, k, by, to, x)
	if err != nil {
		c.t.Fatal(err)
	}
	c.wraps = append(c.wraps, w)
}

func (c *company) chain(pin Pin) Chain {
	c.t.Helper()
	ch, err := Parse(c.id, c.docs, c.wraps, pin)
	if err != nil {
		c.t.Fatal(err)
	}
	return ch
}

func TestKeyIsPassedOnReplacedAndRecovered(t *testing.T) {
	c := &company{t: t, id: grant.NewID()}
	a, b := console(t), console(t)
	words, rec, err := NewRecovery()
	if err != nil {
		t.Fatal(err)
	}
	pub := rec.Device()
	k1 := c.make(a, pub)
	c.give(1, k1, a, pub.Ed, pub.X)
	ch := c.chain(Pin{})
	id, hash := grant.NewID(), [32]byte{1}
	box, err := ch.Last().Seal(id, 4, hash, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.Last().Take(b.Key(), b.X); fault.KindOf(err) != fault.NotFound {
		t.Fatal(err)
	}
	c.give(1, k1, a, b.Key(), X(b.X.PublicKey().Bytes()))
	got, err := c.chain(ch.PinOf()).Last().Take(b.Key(), b.X)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := Open(got, c.id, id, 1, 4, hash, box); err != nil || string(p) != "secret" {
		t.Fatal(err)
	}
	for name, f := range map[string]func() error{
		"another place":   func() error { _, err := Open(got, c.id, id, 1, 5, hash, box); return err },
		"another session": func() error { _, err := Open(got, c.id, grant.NewID(), 1, 4, hash, box); return err },
		"another company": func() error { _, err := Open(got, grant.NewID(), id, 1, 4, hash, box); return err },
		"another key":     func() error { _, err := Open(a.X, c.id, id, 1, 4, hash, box); return err },
	} {
		if fault.KindOf(f()) != fault.Hostile {
			t.Errorf("%s: opened", name)
		}
	}
	// b replaces the key; a does not get it any more.
	k2 := c.make(b, Device{})
	ch2 := c.chain(ch.PinOf())
	if ch2.Last().Doc.Gen != 2 || ch2.Last().Doc.Recovery != pub {
		t.Fatalf("%+v", ch2.Last().Doc)
	}
	if _, err := ch2.Last().Take(a.Key(), a.X); fault.KindOf(err) != fault.NotFound {
		t.Fatal(err)
	}
	box2, err := ch2.Last().Seal(id, 5, hash, []byte("later"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(k1, c.id, id, 2, 5, hash, box2); err == nil {
		t.Fatal("the old key opens what came after")
	}
	if _, err := Open(k2, c.id, id, 2, 5, hash, box2); err != nil {
		t.Fatal(err)
	}
	// The printed key opens the first generation.
	r, err := ParseRecovery(" " + strings.ToLower(strings.ReplaceAll(words, "-", " ")) + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if k, err := ch2.Gen(1).Take(r.Key(), r.X); err != nil || !k.Equal(k1) {
		t.Fatal(err)
	}
	slip := []byte(words)
	slip[3] ^= 1
	if _, err := ParseRecovery(string(slip)); fault.KindOf(err) != fault.Invalid {
		t.Fatal(err)
	}
}

func TestServerCannotSwapTheKey(t *testing.T) {
	c := &company{t: t, id: grant.NewID()}
	a, evil := console(t), console(t)
	k := c.make(a, Device{})
	c.make(a, Device{})
	pin := c.chain(Pin{}).PinOf()
	other := func() *company {
		o := &company{t: t, id: c.id}
		o.make(evil, Device{})
		o.make(evil, Device{})
		return o
	}
	for name, f := range map[string]func(*company){
		"other chain": func(x *company) { *x = *other() },
		"cut off":     func(x *company) { x.docs = x.docs[:1] },
		"all gone":    func(x *company) { x.docs = nil },
		"by a stranger": func(x *company) {
			ch := x.chain(Pin{})
			s, _, err := Make(x.id, evil, ch.Last(), Device{}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			x.docs = append(x.docs, s)
		},
		"by one who was made known by a stranger": func(x *company) {
			x.give(2, k, evil, evil.Key(), X(evil.X.PublicKey().Bytes()))
			ch := x.chain(Pin{})
			s, _, err := Make(x.id, evil, ch.Last(), Device{}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			x.docs = append(x.docs, s)
		},
	} {
		x := &company{t: t, id: c.id, docs: append([]grant.Signed{}, c.docs...), wraps: append([]grant.Signed{}, c.wraps...)}
		f(x)
		if _, err := Parse(x.id, x.docs, x.wraps, pin); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A wrap with another key inside is not taken.
	x := &company{t: t, id: c.id, docs: c.docs}
	b := console(t)
	wrong, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x.give(2, wrong, a, b.Key(), X(b.X.PublicKey().Bytes()))
	if _, err := x.chain(pin).Last().Take(b.Key(), b.X); fault.KindOf(err) != fault.Hostile {
		t.Fatal(err)
	}
	d, err := a.SignDevice()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenDevice(a.Key(), d); err != nil || got.X != X(a.X.PublicKey().Bytes()) {
		t.Fatal(err)
	}
	if _, err := OpenDevice(evil.Key(), d); err == nil {
		t.Fatal("another console's device key was taken")
	}
}

func FuzzParse(f *testing.F) {
	c := &company{t: f, id: grant.ID{1}}
	a := console(f)
	c.make(a, Device{})
	f.Add(c.docs[0].Body, c.docs[0].Sig, c.wraps[0].Body, c.wraps[0].Sig)
	f.Fuzz(func(t *testing.T, d, ds, w, ws []byte) {
		ch, err := Parse(c.id, []grant.Signed{{Body: d, Sig: ds}}, []grant.Signed{{Body: w, Sig: ws}}, Pin{})
		if err == nil && len(ch) != 1 {
			t.Fatal("a document that was taken is not there")
		}
	})
}

func FuzzParseRecovery(f *testing.F) {
	w, _, err := NewRecovery()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(w)
	f.Fuzz(func(t *testing.T, s string) { _, _ = ParseRecovery(s) })
}
