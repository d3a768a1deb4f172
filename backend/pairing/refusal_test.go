package pairing

import (
	"bytes"
	"strings"
	"testing"

	"daypass/backend/grant"
)

func TestARefusalTellsWhyToWhoHoldsTheLink(t *testing.T) {
	secret, sid := NewSecret(), grant.NewID()
	rep := HostReport{Computer: "PC-ANNA", OS: "Debian 13", User: strings.Repeat("ä", 200)}
	for why := WhyOther; why <= WhyDeclined; why++ {
		m, err := SealRefusal(secret, sid, why, rep)
		if err != nil {
			t.Fatal(err)
		}
		if !IsRefusal(m) || IsHostHello(m) || len(m) > MaxMessage {
			t.Fatalf("%d bytes", len(m))
		}
		r, err := OpenRefusal(secret, sid, m)
		if err != nil || r.Why != why || r.Report.Computer != "PC-ANNA" || len(r.Report.User) > maxText {
			t.Fatalf("%v: %+v %v", why, r, err)
		}
		again, err := SealRefusal(secret, sid, why, rep)
		if err != nil || bytes.Equal(again, m) || len(again) != len(m) {
			t.Fatalf("another one is the same, or tells the reason by its length: %v", err)
		}
		if same, err := OpenRefusal(secret, sid, m); err != nil || same.ID != r.ID {
			t.Fatalf("a repeat is another one: %v", err)
		}
	}
	if _, err := SealRefusal(secret, sid, 0, rep); err == nil {
		t.Error("no reason is one")
	}
}

// Whoever does not hold the link, or changed a bit, says nothing; and nothing of
// another kind of message is taken for a refusal.
func TestAForgedRefusalIsDropped(t *testing.T) {
	secret, sid := NewSecret(), grant.NewID()
	m, err := SealRefusal(secret, sid, WhyWayland, HostReport{Computer: "PC-ANNA"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRefusal(NewSecret(), sid, m); err == nil {
		t.Error("another link's")
	}
	if _, err := OpenRefusal(secret, grant.NewID(), m); err == nil {
		t.Error("another session's")
	}
	for i := range m {
		bad := bytes.Clone(m)
		bad[i] ^= 1
		if _, err := OpenRefusal(secret, sid, bad); err == nil {
			t.Fatalf("byte %d changed", i)
		}
	}
	if bytes.Contains(m, []byte("PC-ANNA")) {
		t.Error("the server can read it")
	}
	h, err := NewHostActivation(NewDevice(), secret, sid, HostReport{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if IsRefusal(h.Hello()) {
		t.Error("a hello is a refusal")
	}
	if _, _, err := h.Handle(m); err == nil {
		t.Error("a host takes it")
	}
}

func FuzzOpenRefusal(f *testing.F) {
	var secret Secret
	sid := grant.ID{1}
	m, err := SealRefusal(secret, sid, WhyWayland, HostReport{Computer: "PC-ANNA"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m)
	f.Add(frame(derive(secret[:], 32, []byte("mac"), []byte{byte(RoleHost)}), nil, msgRefusal, m[3:60]))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := OpenRefusal(secret, sid, b)
		if err == nil && (!r.Why.Valid() || len(r.Report.Computer) > maxText) {
			t.Fatalf("%+v", r)
		}
	})
}
