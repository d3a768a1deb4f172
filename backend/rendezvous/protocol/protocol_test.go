package protocol

import (
	"bytes"
	"crypto/ed25519"
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"time"

	"daypass/backend/grant"
)

func TestFramesSurviveTheWire(t *testing.T) {
	id, in := grant.NewID(), NewInstance()
	for _, console := range []bool{true, false} {
		for _, f := range []Frame{
			{Op: OpSend, ID: 7, Body: []byte("b")},
			{Op: OpTaken, ID: 1 << 31, Result: Full},
			{Op: OpDeliver, Seq: 1 << 40, Body: bytes.Repeat([]byte("x"), MaxBody)},
			{Op: OpReceived, Seq: 3},
			{Op: OpEvent, Body: []byte("{}")},
		} {
			if console && (f.Op == OpSend || f.Op == OpDeliver) {
				f.Session, f.Instance = id, in
			}
			got, err := ParseFrame(f.Append(nil, console), console)
			if err != nil || !reflect.DeepEqual(got, f) {
				t.Errorf("console %v: got %+v, %v", console, got, err)
			}
		}
	}
	for _, bad := range [][]byte{nil, {0}, {9, 1}, {1}, {1, 0, 0, 0, 1}, {2, 0, 0, 0, 1}, {4, 1}, {5}, append([]byte{1, 0, 0, 0, 1}, make([]byte, MaxBody+1)...)} {
		if _, err := ParseFrame(bad, false); err == nil {
			t.Errorf("%x accepted", bad[:min(len(bad), 8)])
		}
	}
}

func TestAProofCoversEverythingThatMatters(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	now := time.UnixMilli(1_700_000_000_123)
	SignRequest(h, key, "POST", "s.example:1", "/a?b=c", "token", []byte("body"), now)
	p, err := OpenProof(h, "POST", "s.example:1", "/a?b=c", []byte("body"))
	if err != nil || p.Key != grant.KeyOf(key) || !p.At.Equal(now) || p.Token != "token" {
		t.Fatalf("%+v %v", p, err)
	}
	for name, open := range map[string]func() error{
		"method":    func() error { _, err := OpenProof(h, "GET", "s.example:1", "/a?b=c", []byte("body")); return err },
		"authority": func() error { _, err := OpenProof(h, "POST", "t.example:1", "/a?b=c", []byte("body")); return err },
		"path":      func() error { _, err := OpenProof(h, "POST", "s.example:1", "/a?b=d", []byte("body")); return err },
		"body":      func() error { _, err := OpenProof(h, "POST", "s.example:1", "/a?b=c", []byte("bodY")); return err },
	} {
		if open() == nil {
			t.Errorf("another %s is accepted", name)
		}
	}
	for header, value := range map[string]string{"Authorization": "Daypass other", HeaderTime: "1700000000124", HeaderNonce: h.Get(HeaderNonce)[1:] + "0"} {
		c := h.Clone()
		c.Set(header, value)
		if _, err := OpenProof(c, "POST", "s.example:1", "/a?b=c", []byte("body")); err == nil {
			t.Errorf("another %s is accepted", header)
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add(Frame{Op: OpSend, ID: 1, Body: []byte("x")}.Append(nil, true), true)
	f.Add(Frame{Op: OpDeliver, Seq: 1, Body: []byte("x")}.Append(nil, false), false)
	f.Fuzz(func(t *testing.T, b []byte, console bool) {
		fr, err := ParseFrame(b, console)
		if err == nil && !bytes.Equal(fr.Append(nil, console), b) {
			t.Fatalf("%x reads as %+v, which writes as %x", b, fr, fr.Append(nil, console))
		}
	})
}

func FuzzParseInstance(f *testing.F) {
	f.Add(NewInstance().String())
	f.Fuzz(func(t *testing.T, s string) {
		i, err := ParseInstance(s)
		if err != nil {
			return
		}
		if again, err := ParseInstance(i.String()); err != nil || again != i {
			t.Fatalf("%q: %v %v", s, again, err)
		}
	})
}

func FuzzOpenProof(f *testing.F) {
	f.Add("K", "1", "N", "S", "Daypass t")
	f.Fuzz(func(t *testing.T, key, at, nonce, sig, auth string) {
		h := http.Header{HeaderKey: {key}, HeaderTime: {at}, HeaderNonce: {nonce}, HeaderSignature: {sig}, "Authorization": {auth}}
		if _, err := OpenProof(h, "GET", "h", "/", nil); err == nil {
			t.Fatal("accepted what nobody signed")
		}
	})
}

// FuzzParseQueries: what one side writes the other reads, and nothing else gets
// through.
func FuzzParseQueries(f *testing.F) {
	id := grant.NewID()
	at := time.UnixMilli(1_700_000_000_000).UTC()
	f.Add(SessionFilter{Live: true, States: []string{Active, Ended}, Technician: id, Text: "50 % of_it", From: at, To: at, Before: "1-x", Limit: 3}.Values().Encode())
	f.Add(AuditFilter{Kind: "session.", Person: id, Session: id, From: at, To: at, Before: 7, Limit: 3}.Values().Encode())
	f.Add("limit=0&state=no&live=2&x=y&text=%00")
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		if s, err := ParseSessionFilter(v); err == nil {
			again, err := ParseSessionFilter(s.Values())
			if err != nil || !reflect.DeepEqual(again, s) || s.Limit > MaxPage || len(s.Text) > maxText {
				t.Fatalf("%+v became %+v: %v", s, again, err)
			}
		}
		if a, err := ParseAuditFilter(v); err == nil {
			if again, err := ParseAuditFilter(a.Values()); err != nil || again != a || a.Limit > MaxPage {
				t.Fatalf("%+v became %+v: %v", a, again, err)
			}
		}
	})
}

func FuzzParseSeed(f *testing.F) {
	f.Add("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
	f.Add("gezd gnbv gy3t qojq")
	f.Fuzz(func(t *testing.T, s string) {
		seed, err := ParseSeed(s)
		if err != nil {
			return
		}
		if again, err := ParseSeed(SeedText(seed)); err != nil || string(again) != string(seed) || len(TOTPCode(seed, 1)) != 6 {
			t.Fatalf("%q: %x, %x, %v", s, seed, again, err)
		}
	})
}
