package grant

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func key(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSignedFactOpensOnlyUnchangedUnderItsOwnContextAndKey(t *testing.T) {
	k, other := key(t), key(t)
	in := Grant{
		Session: NewID(), Company: "Contoso IT", Technician: "Mia Roth", TechnicianKey: KeyOf(k), HostKey: KeyOf(other),
		Rights: View | Control, Issued: time.Unix(1, 0).UTC(), Expires: time.Unix(2, 0).UTC(),
	}
	s, err := Sign(k, ContextGrant, in)
	if err != nil {
		t.Fatal(err)
	}
	var out Grant
	if err := Open(KeyOf(k), ContextGrant, s, &out); err != nil || out != in {
		t.Fatalf("got %+v, %v", out, err)
	}
	if err := Open(KeyOf(other), ContextGrant, s, &out); !errors.Is(err, ErrSignature) {
		t.Errorf("another key: %v", err)
	}
	if err := Open(KeyOf(k), ContextOffer, s, &out); !errors.Is(err, ErrSignature) {
		t.Errorf("another context: %v", err)
	}
	for i := range s.Body {
		c := Signed{Body: bytes.Clone(s.Body), Sig: s.Sig}
		c.Body[i] ^= 1
		if err := Open(KeyOf(k), ContextGrant, c, &out); !errors.Is(err, ErrSignature) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
}

func TestOpenRefusesUnknownFieldsEvenWhenSigned(t *testing.T) {
	k := key(t)
	s, err := Sign(k, ContextEnded, map[string]any{"session": NewID(), "by": "expiry", "at": time.Now(), "more": 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := Open(KeyOf(k), ContextEnded, s, &Ended{}); err == nil {
		t.Error("unknown field accepted")
	}
}

func TestIDsAndKeysSurviveTextAndReadersMistakes(t *testing.T) {
	id := NewID()
	b, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	var back ID
	if err := json.Unmarshal(b, &back); err != nil || back != id {
		t.Fatalf("%v %v", back, err)
	}
	d, err := DecodeCrockford("o1il-O1IL")
	if err != nil {
		t.Fatal(err)
	}
	if want, err := DecodeCrockford("01110111"); err != nil || !bytes.Equal(d, want) {
		t.Errorf("I, L and O must read as 1, 1 and 0: %x, want %x, %v", d, want, err)
	}
	for _, bad := range []string{"", "U0000000000000000000000000", "0000000000000000000000000", "00000000000000000000000001"} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
	k := KeyOf(key(t))
	text, err := k.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var k2 Key
	if err := k2.UnmarshalText(text); err != nil || k2 != k {
		t.Fatalf("%v %v", k2, err)
	}
	if k2.UnmarshalText(text[:len(text)-2]) == nil {
		t.Error("short key accepted")
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(NewID().String())
	f.Add("o1il")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			return
		}
		if again, err := ParseID(id.String()); err != nil || again != id {
			t.Fatalf("%q: %v, %v", s, again, err)
		}
	})
}

func FuzzDecodeCrockford(f *testing.F) {
	f.Add("00")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := DecodeCrockford(s)
		if err != nil {
			return
		}
		if again, err := DecodeCrockford(Crockford.EncodeToString(b)); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q: %x, %v", s, again, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	k := ed25519.NewKeyFromSeed(make([]byte, 32))
	s, err := Sign(k, ContextEnded, Ended{By: ByExpiry})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Body, s.Sig)
	f.Fuzz(func(t *testing.T, body, sig []byte) {
		var e Ended
		err := Open(KeyOf(k), ContextEnded, Signed{Body: body, Sig: sig}, &e)
		if err == nil && !ed25519.Verify(k.Public().(ed25519.PublicKey), append([]byte(ContextEnded+"\x00"), body...), sig) {
			t.Fatal("opened without a signature")
		}
	})
}
