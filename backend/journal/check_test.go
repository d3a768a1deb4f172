package journal

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"daypass/backend/grant"
)

// writer makes a record as console and host do together.
type writer struct {
	t    testing.TB
	id   grant.ID
	c, h ed25519.PrivateKey
	es   []Entry
	n    uint64
	at   int64
}

func newWriter(t testing.TB) *writer {
	t.Helper()
	key := func() ed25519.PrivateKey {
		_, k, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	return &writer{t: t, id: grant.NewID(), c: key(), h: key(), at: 1000}
}

func (w *writer) head() Head {
	if len(w.es) == 0 {
		return Head{}
	}
	return w.es[len(w.es)-1].Head()
}

func (w *writer) time() time.Time { w.at++; return time.Unix(w.at, 123456789) }

func (w *writer) add(e Entry, both bool) {
	e.Sign(Console, w.c)
	if both {
		e.Sign(Host, w.h)
	}
	w.es = append(w.es, e)
}

func (w *writer) note(kind string, both bool) {
	w.add(w.head().With(w.id, w.time(), "technician", kind, "words", Details{Bytes: 7, Name: "a<b&c"}.JSON()), both)
}

func (w *writer) fact(kind string, d Details, both bool) {
	w.t.Helper()
	w.n++
	f := NewFact(w.id, w.n, w.time(), "customer", kind, "the customer's words", d)
	s, err := grant.Sign(w.h, ContextFact, f)
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := OpenFact(grant.KeyOf(w.h), w.id, s)
	if err != nil {
		w.t.Fatal(err)
	}
	w.add(w.head().Repeat(got, s), both)
}

func (w *writer) last() *grant.RecordHead {
	h := w.head()
	return &grant.RecordHead{Seq: h.Seq, Hash: h.Hash[:], Facts: w.n}
}

func (w *writer) check(host *grant.RecordHead) Verdict {
	return Check(Chain{Entries: w.es, Keys: Keys{grant.KeyOf(w.c), grant.KeyOf(w.h)}, Head: w.head(), Host: host})
}

func TestVerdicts(t *testing.T) {
	w := newWriter(t)
	w.note("created", true)
	w.note(KindOpened, true)
	w.fact("rights", Details{Rights: []string{"view"}}, true)
	host := w.last()
	if v := w.check(nil); v.Kind != Complete || !v.OK || v.Both != 3 {
		t.Fatalf("%+v", v)
	}
	if v := w.check(host); v.Kind != Complete || !v.Closed {
		t.Fatalf("%+v", v)
	}
	w.note("note", false)
	if v := w.check(nil); v.Kind != Waiting || v.Waiting != 1 || !v.OK {
		t.Fatalf("%+v", v)
	}
	if v := w.check(host); v.Kind != Complete || v.Trailing != 1 {
		t.Fatalf("%+v", v)
	}
	for name, f := range map[string]func(*grant.RecordHead){
		"entries": func(h *grant.RecordHead) { h.Seq += 4 },
		"facts":   func(h *grant.RecordHead) { h.Facts++ },
	} {
		h := *host
		f(&h)
		if v := w.check(&h); v.Kind != HostKnowsMore || v.OK || v.Missing == 0 || v.Reason == "" {
			t.Errorf("%s: %+v", name, v)
		}
	}
	other := *host
	other.Hash = make([]byte, 32)
	if v := w.check(&other); v.Kind != Tampered || v.Bad != host.Seq {
		t.Fatalf("%+v", v)
	}
}

func TestHostObjects(t *testing.T) {
	w := newWriter(t)
	w.note("created", true)
	w.note(KindClipSent, false) // refused
	h := w.es[1].Hash
	w.fact(KindObjection, Details{Of: 2, OfHash: &h, Error: "no text came"}, true)
	w.note("note", true)
	if v := w.check(nil); v.Kind != Contradicted || v.OK || len(v.Objections) != 1 || v.Objections[0] != (Objection{2, "no text came"}) {
		t.Fatalf("%+v", v)
	}
}

func TestHostsWordCannotBeChangedLeftOutOrInvented(t *testing.T) {
	for name, f := range map[string]func(*writer){
		"changed words": func(w *writer) {
			e := w.es[1]
			e.Text, e.Signatures = "other words", nil
			e.Hash = e.sum()
			w.es = w.es[:1]
			w.add(e, false)
		},
		"left out": func(w *writer) {
			w.es = w.es[:1]
			w.fact("rights", Details{}, true) // its second; the first is gone
		},
		"said twice": func(w *writer) { w.n--; w.fact("rights", Details{}, true) },
		"invented": func(w *writer) {
			_, k, _ := ed25519.GenerateKey(nil)
			h := w.h
			w.h = k
			w.fact("rights", Details{}, false)
			w.h = h
		},
	} {
		w := newWriter(t)
		w.note("created", true)
		w.fact("rights", Details{Rights: []string{}}, true)
		f(w)
		if v := w.check(nil); v.Kind != Tampered || v.Bad == 0 {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestAnotherConsoleGoesOnByTheHostsWord(t *testing.T) {
	w := newWriter(t)
	began := w.c
	w.note("created", true)
	_, k, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.c = k
	key := grant.KeyOf(k)
	w.fact(KindMovedHere, Details{ConsoleKey: &key}, true)
	w.note("note", true)
	keys := Keys{grant.KeyOf(began), grant.KeyOf(w.h)}
	if v := Verify(w.es, keys, w.head()); v.Kind != Complete {
		t.Fatalf("%+v", v)
	}
	w.c = began
	w.note("note", false)
	if v := Verify(w.es, keys, w.head()); v.Kind != Tampered || v.Bad != 4 {
		t.Fatalf("%+v", v)
	}
}

func TestEntriesSurviveJSON(t *testing.T) {
	w := newWriter(t)
	w.note("file_sent", true)
	w.fact("rights", Details{Folder: "/home/ä <&>"}, true)
	for _, e := range w.es {
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(b)
		if err != nil || got.Hash != e.Hash || !got.SignedAs(Host, grant.KeyOf(w.h)) || !got.SignedAs(Console, grant.KeyOf(w.c)) {
			t.Fatal(err, got)
		}
		if _, err := Parse([]byte(strings.Replace(string(b), `"seq":`, `"x":1,"seq":`, 1))); err == nil {
			t.Fatal("a field that is not known was taken")
		}
		e.Details = json.RawMessage(`{"a": 1}`) // not canonical
		e.Hash = e.sum()
		if e.Check() == nil {
			t.Fatal("details in another form were taken")
		}
	}
	if n, ok := w.es[1].Repeats(grant.KeyOf(w.h)); n != 1 || !ok {
		t.Fatal(n, ok)
	}
	big := Details{Lines: make([]string, 900), Name: strings.Repeat("ä", 9000)}
	for i := range big.Lines {
		big.Lines[i] = "a line of the report"
	}
	if b := big.JSON(); len(b) > MaxDetails || checkDetails(b) != nil {
		t.Fatal(len(b))
	}
}

func FuzzParse(f *testing.F) {
	w := newWriter(f)
	w.note("file_sent", true)
	w.fact("rights", Details{Folder: "x"}, true)
	for _, e := range w.es {
		b, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Parse(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if x, err := Parse(again); err != nil || x.Hash != e.Hash {
			t.Fatal("an entry that was taken is not taken again", err)
		}
		if e.Fact != nil {
			_, _ = OpenFact(grant.Key{1}, e.Session, *e.Fact)
		}
		Verify([]Entry{e}, Keys{}, Head{})
	})
}
