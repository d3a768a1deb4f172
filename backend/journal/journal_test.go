package journal

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"daypass/backend/grant"
)

func chain(t *testing.T, n int) ([]Entry, Keys, ed25519.PrivateKey, ed25519.PrivateKey) {
	t.Helper()
	_, c, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, h, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	id := grant.NewID()
	var head Head
	var out []Entry
	for i := range n {
		e := head.Next(id, time.Unix(1000+int64(i), 123456789), "technician", "note", strings.Repeat("ä", i))
		e.Sign(Console, c)
		head = e.Head()
		out = append(out, e)
	}
	return out, Keys{Console: grant.KeyOf(c), Host: grant.KeyOf(h)}, c, h
}

func TestWholeRecordVerifiesWithOneAndWithBothSignatures(t *testing.T) {
	es, k, _, h := chain(t, 5)
	if v := Verify(es, k, es[4].Head()); !v.OK || v.Signed != 5 || v.Both != 0 {
		t.Fatalf("%+v", v)
	}
	for i := range es {
		es[i].Sign(Host, h)
	}
	if v := Verify(es, k, es[4].Head()); !v.OK || v.Both != 5 {
		t.Fatalf("%+v", v)
	}
	if got := es[0].SignedBy(); len(got) != 2 || got[0] != "console" || got[1] != "host" {
		t.Fatal(got)
	}
}

func TestEveryChangeIsFound(t *testing.T) {
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func([]Entry) []Entry{
		"text":           func(e []Entry) []Entry { e[2].Text += "x"; return e },
		"actor":          func(e []Entry) []Entry { e[2].Actor = "customer"; return e },
		"kind":           func(e []Entry) []Entry { e[0].Kind = "x"; return e },
		"time":           func(e []Entry) []Entry { e[1].At = e[1].At.Add(time.Microsecond); return e },
		"moved boundary": func(e []Entry) []Entry { e[3].Kind, e[3].Text = "notee", ""; return e },
		"left out":       func(e []Entry) []Entry { return append(e[:2], e[3:]...) },
		"begin cut off":  func(e []Entry) []Entry { return e[1:] },
		"end cut off":    func(e []Entry) []Entry { return e[:4] },
		"swapped":        func(e []Entry) []Entry { e[1], e[2] = e[2], e[1]; return e },
		"other session": func(e []Entry) []Entry {
			e[4] = e[3].Head().Next(grant.NewID(), time.Now(), "a", "b", "c")
			return e
		},
		"unsigned":      func(e []Entry) []Entry { e[2].Signatures = nil; return e },
		"other signer":  func(e []Entry) []Entry { e[2].Sign(Console, other); return e },
		"strange host":  func(e []Entry) []Entry { e[2].Sign(Host, other); return e },
		"bad signature": func(e []Entry) []Entry { e[2].Signatures[0].Sig[5] ^= 1; return e },
		"rewritten end": func(e []Entry) []Entry {
			x := e[3].Head().Next(e[0].Session, time.Now(), "a", "b", "c")
			x.Sign(Console, other)
			e[4] = x
			return e
		},
	} {
		es, k, _, _ := chain(t, 5)
		head := es[4].Head()
		if v := Verify(f(es), k, head); v.OK || v.Reason == "" {
			t.Errorf("%s: not found: %+v", name, v)
		}
	}
}

func TestHostSignatureNeedsAPinnedHost(t *testing.T) {
	es, k, _, h := chain(t, 1)
	es[0].Sign(Host, h)
	k.Host = grant.Key{}
	if v := Verify(es, k, Head{}); v.OK {
		t.Fatal("accepted without a pin")
	}
}

func TestLongTextIsCutBetweenCharacters(t *testing.T) {
	e := Head{}.Next(grant.NewID(), time.Now(), "a", "k", strings.Repeat("ä", MaxText))
	if len(e.Text) > MaxText || strings.ContainsRune(e.Text, '�') || !strings.HasSuffix(e.Text, "ä") {
		t.Fatal(len(e.Text))
	}
}
