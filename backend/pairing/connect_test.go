package pairing

import (
	"bytes"
	"errors"
	"testing"
)

// paired returns both ends of a completed activation.
func paired(t testing.TB) (hd *Device, hp *Pin, cd *Device, cp *Pin) {
	t.Helper()
	r := newRig(t)
	code := NewCode()
	r.choose(code)
	r.enter(code)
	hp, cp = agree(t, r.host, r.console)
	return r.host.dev, hp, r.cd, cp
}

func reload(t testing.TB, p *Pin) *Pin {
	t.Helper()
	b, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	q, err := ParsePin(b)
	if err != nil || *q != *p {
		t.Fatalf("%+v, %v", q, err)
	}
	return q
}

// negotiate runs one handshake; mitm may change each message by name.
func negotiate(hd *Device, hp *Pin, he EpochStore, cd *Device, cp *Pin, mitm func(string, []byte) []byte) (*Dialer, *Answerer, error) {
	if mitm == nil {
		mitm = func(_ string, b []byte) []byte { return b }
	}
	d, err := NewDialer(cd, cp, nil)
	if err != nil {
		return nil, nil, err
	}
	a, err := NewAnswerer(hd, hp, he)
	if err != nil {
		return nil, nil, err
	}
	n := d.Nonce()
	ch, err := a.Challenge([NonceSize]byte(mitm("nonce", n[:])))
	if err != nil {
		return nil, nil, err
	}
	offer, err := d.Offer(mitm("challenge", ch), []byte("sdp offer"))
	if err != nil {
		return nil, nil, err
	}
	if p, err := a.Offer(mitm("offer", offer)); err != nil {
		return nil, nil, err
	} else if string(p) != "sdp offer" {
		return nil, nil, errors.New("offer changed")
	}
	answer, err := a.Answer([]byte("sdp answer"))
	if err != nil {
		return nil, nil, err
	}
	if p, err := d.Answer(mitm("answer", answer)); err != nil {
		return nil, nil, err
	} else if string(p) != "sdp answer" {
		return nil, nil, errors.New("answer changed")
	}
	return d, a, nil
}

func TestConnectsAgainAndAgainAcrossRestarts(t *testing.T) {
	hd, hp, cd, cp := paired(t)
	var epochs MemoryEpochs
	for i := range 5 {
		hp, cp = reload(t, hp), reload(t, cp)
		b, err := hd.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if hd, err = ParseDevice(b); err != nil {
			t.Fatal(err)
		}
		d, a, err := negotiate(hd, hp, &epochs, cd, cp, nil)
		if err != nil {
			t.Fatal(err)
		}
		if hp.Epoch != uint64(i+1) || cp.Epoch != hp.Epoch {
			t.Fatalf("epochs %d, %d", hp.Epoch, cp.Epoch)
		}
		hc, cc := []byte("host certificate"), []byte("console certificate")
		tt, ht := d.Tag(RoleConsole, cc, hc), a.Tag(RoleHost, hc, cc)
		if !a.CheckTag(tt[:], cc, hc) || !d.CheckTag(ht[:], hc, cc) {
			t.Fatal("tags of the true certificates do not fit")
		}
		if d.CheckTag(tt[:], hc, cc) || a.CheckTag(ht[:], cc, hc) || a.CheckTag(tt[:], []byte("other"), hc) || a.CheckTag(tt[:], nil, hc) {
			t.Fatal("reflected tag or wrong certificate accepted")
		}
	}
}

// A console that lost its epoch, or a host restored from a snapshot, still connect: the challenge carries the host's.
func TestEpochsCatchUp(t *testing.T) {
	hd, hp, cd, cp := paired(t)
	var epochs MemoryEpochs
	for range 3 {
		if _, _, err := negotiate(hd, hp, &epochs, cd, cp, nil); err != nil {
			t.Fatal(err)
		}
	}
	cp.Epoch = 0
	if _, _, err := negotiate(hd, hp, &epochs, cd, cp, nil); err != nil || hp.Epoch != 4 {
		t.Fatalf("console fell back: %v, epoch %d", err, hp.Epoch)
	}
	hp.Epoch = 1
	if _, _, err := negotiate(hd, hp, &MemoryEpochs{}, cd, cp, nil); err != nil || hp.Epoch != 5 {
		t.Fatalf("host fell back: %v, epoch %d", err, hp.Epoch)
	}
}

type failing struct{}

func (failing) Advance(uint64) error { return errors.New("disk full") }

func TestNoAnswerBeforeTheEpochIsStored(t *testing.T) {
	hd, hp, cd, cp := paired(t)
	if _, a, err := negotiate(hd, hp, failing{}, cd, cp, nil); err == nil || a != nil || hp.Epoch != 0 {
		t.Fatalf("%v, epoch %d", err, hp.Epoch)
	}
}

func TestRepeatsAreHarmless(t *testing.T) {
	hd, hp, cd, cp := paired(t)
	d, err := NewDialer(cd, cp, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewAnswerer(hd, hp, &MemoryEpochs{})
	if err != nil {
		t.Fatal(err)
	}
	c1, _ := a.Challenge(d.Nonce())
	c2, _ := a.Challenge(d.Nonce())
	if !bytes.Equal(c1, c2) || !d.CheckChallenge(c1) {
		t.Fatal("challenge")
	}
	if _, err := a.Challenge([32]byte{1}); !errors.Is(err, ErrState) {
		t.Errorf("two nonces for one negotiation: %v", err)
	}
	o1, _ := d.Offer(c1, []byte("x"))
	o2, _ := d.Offer(c2, []byte("y"))
	if !bytes.Equal(o1, o2) {
		t.Fatal("another offer for the same negotiation")
	}
	if _, err := a.Offer(make([]byte, 200)); !errors.Is(err, ErrDropped) {
		t.Errorf("junk first: %v", err)
	}
	if _, err := a.Offer(o1); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Offer(o1); !errors.Is(err, ErrReplay) {
		t.Errorf("offer again: %v", err)
	}
	m, err := a.Answer([]byte("z"))
	if err != nil || !bytes.Equal(m, a.Answered()) {
		t.Fatal(err)
	}
	if _, err := d.Answer(make([]byte, 100)); !errors.Is(err, ErrDropped) {
		t.Errorf("junk before the answer: %v", err)
	}
	if _, err := d.Answer(m); err != nil {
		t.Fatal("after junk:", err)
	}
	if _, err := d.Answer(m); !errors.Is(err, ErrReplay) {
		t.Errorf("answer again: %v", err)
	}
}

func TestTrickleInAnyOrderEachOnce(t *testing.T) {
	hd, hp, cd, cp := paired(t)
	d, a, err := negotiate(hd, hp, &MemoryEpochs{}, cd, cp, nil)
	if err != nil {
		t.Fatal(err)
	}
	var ms [][]byte
	for i := range 20 {
		m, err := d.Seal([]byte{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		ms = append(ms, m)
	}
	for i := 19; i >= 0; i -= 2 { // half of them, backwards
		if b, err := a.Open(ms[i]); err != nil || b[0] != byte(i) {
			t.Fatal(err)
		}
		if _, err := a.Open(ms[i]); !errors.Is(err, ErrReplay) {
			t.Errorf("twice: %v", err)
		}
	}
	if _, err := d.Open(ms[0]); !errors.Is(err, ErrDropped) {
		t.Errorf("reflected: %v", err)
	}
	renumbered := bytes.Clone(ms[0])
	renumbered[7] = 2
	if _, err := a.Open(renumbered); !errors.Is(err, ErrDropped) {
		t.Errorf("renumbered: %v", err)
	}
	for n := len(ms); n < MaxTrickle; n++ {
		if _, err := d.Seal(nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Seal(nil); !errors.Is(err, ErrState) {
		t.Errorf("beyond the bound: %v", err)
	}
}

func fuzzPair(f *testing.F) (*Dialer, *Answerer, []byte, []byte) {
	hd, hp, cd, cp := paired(f)
	var offer, answer []byte
	d, a, err := negotiate(hd, hp, &MemoryEpochs{}, cd, cp, func(n string, b []byte) []byte {
		switch n {
		case "offer":
			offer = b
		case "answer":
			answer = b
		}
		return b
	})
	if err != nil {
		f.Fatal(err)
	}
	return d, a, offer, answer
}

func FuzzConnectOpen(f *testing.F) {
	d, a, _, _ := fuzzPair(f)
	m, _ := d.Seal([]byte("candidate"))
	f.Add(m[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := a.Open(b); err == nil && string(p) != "candidate" {
			t.Fatal("opened a forgery")
		}
		if _, err := d.Open(b); err == nil {
			t.Fatal("opened a forgery")
		}
	})
}

func FuzzConnectOffer(f *testing.F) {
	hd, hp, cd, cp := paired(f)
	d, _ := NewDialer(cd, cp, nil)
	a, _ := NewAnswerer(hd, hp, &MemoryEpochs{})
	c, _ := a.Challenge(d.Nonce())
	f.Add(c)
	other, _ := NewDialer(cd, cp, nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := a.Offer(b); err == nil {
			t.Fatal("accepted a forgery")
		}
		if _, err := other.Offer(b, nil); err == nil {
			t.Fatal("accepted a forged challenge")
		}
		if d.offer == nil {
			if _, err := d.Offer(c, nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := d.Answer(b); err == nil {
			t.Fatal("accepted a forged answer")
		}
	})
}

func BenchmarkNegotiate(b *testing.B) {
	hd, hp, cd, cp := paired(b)
	var e MemoryEpochs
	for b.Loop() {
		if _, _, err := negotiate(hd, hp, &e, cd, cp, nil); err != nil {
			b.Fatal(err)
		}
	}
}
