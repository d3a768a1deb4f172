package export_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"daypass/backend/export"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/session"
)

var (
	console = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	host    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	at      = time.Date(2026, 3, 4, 14, 30, 5, 123456000, time.UTC)
)

// item is a whole session whose customer chose what to be called.
func item(t *testing.T, evil string) export.Item {
	t.Helper()
	x, _ := session.Create(grant.NewID(), "Mia Roth", session.Customer{Email: "anna@example.org", Name: evil, Subject: evil, Language: "de"}, at, at.Add(time.Hour))
	x.State, x.WasActive, x.Clean, x.EndedBy = session.Removed, true, true, grant.ByTechnician
	x.Host = &session.Host{Computer: evil, OS: "Debian 12", User: "anna"}
	x.Activated, x.EndedAt, x.Expires = at, at.Add(95*time.Minute), at.Add(24*time.Hour)
	x.Rights = grant.View | grant.Control
	x.Report = []string{"all <gone>"}
	receipt, err := grant.Sign(host, grant.ContextRemoved, grant.Removed{Session: x.ID, At: at, Clean: true, Report: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	x.Receipt = &receipt
	keys := journal.Keys{Console: grant.KeyOf(console), Host: grant.KeyOf(host)}
	var head journal.Head
	var es []journal.Entry
	add := func(e journal.Entry) {
		e.Sign(journal.Console, console)
		e.Sign(journal.Host, host)
		head = e.Head()
		es = append(es, e)
	}
	add(head.Next(x.ID, at, "technician", "created", "Session prepared for <b>anna</b> & \u2028 others."))
	add(head.With(x.ID, at.Add(time.Second), "technician", "file_sent", evil, journal.Details{Name: "<a>&\"ü.txt", Bytes: 5}.JSON()))
	f := journal.NewFact(x.ID, 1, at.Add(2*time.Second), "customer", "paused", "Stopped.", journal.Details{By: "customer"})
	signed, err := grant.Sign(host, journal.ContextFact, f)
	if err != nil {
		t.Fatal(err)
	}
	add(head.Repeat(f, signed))
	v := journal.Verify(es, keys, head)
	if v.Kind != journal.Complete {
		t.Fatalf("%+v", v)
	}
	return export.Item{
		Session: x, Keys: keys, Head: head, Entries: es, Verdict: v, Words: "Complete.", Tags: []string{"vip", evil},
		Notes: []export.Note{{Author: "Mia Roth", At: at, Text: evil}},
	}
}

func write(t *testing.T, f export.Format, o export.Options, items ...export.Item) string {
	t.Helper()
	var b bytes.Buffer
	w, ok := export.New(f, &b, o)
	if !ok {
		t.Fatal(f)
	}
	for _, x := range items {
		if err := w.Add(x); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCSVIsRFC4180AndRunsNothing(t *testing.T) {
	evil := []string{"=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=1", "=cmd|' /C calc'!A0", "a,b;\"c\"\r\nd", "plain"}
	var items []export.Item
	for _, e := range evil {
		items = append(items, item(t, e))
	}
	for _, o := range []export.Options{{}, {Record: true}, {Excel: true}, {Excel: true, German: true}} {
		text := write(t, export.CSV, o, items...)
		body, bom := strings.CutPrefix(text, "\ufeff")
		if bom != o.Excel {
			t.Errorf("%+v: byte order mark %v", o, bom)
		}
		r := csv.NewReader(strings.NewReader(body))
		if o.Excel && o.German {
			r.Comma = ';'
		}
		rows, err := r.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		want := len(evil)
		if o.Record {
			want *= 3
		}
		if len(rows) != want+1 {
			t.Fatalf("%d rows", len(rows))
		}
		for _, row := range rows[1:] {
			for _, cell := range row {
				if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") {
					t.Errorf("a spreadsheet would run %q", cell)
				}
			}
		}
		if !o.Record {
			last := rows[len(rows)-1]
			if last[8] != "plain" || last[9] != "anna@example.org" || last[4] != "95" || last[1] != "2026-03-04 14:30:05" {
				t.Errorf("%q", last)
			}
			if rows[1][8] != "'=1+1" || rows[9][8] != "a,b;\"c\"\nd" {
				t.Errorf("%q %q", rows[1][8], rows[9][8])
			}
		}
		for l := range strings.SplitSeq(strings.TrimSuffix(body, "\r\n"), "\r\n") {
			if strings.HasSuffix(l, "\r") {
				t.Errorf("line %q", l)
			}
		}
	}
	if rows, err := csv.NewReader(strings.NewReader(write(t, export.CSV, export.Options{}))).ReadAll(); err != nil || len(rows) != 1 {
		t.Fatal("an empty list has its header", rows, err)
	}
}

func TestThePageRunsNothingAndAsksForNothing(t *testing.T) {
	evil := `<script>alert(1)</script><img src="http://x/y">" onload='x`
	for _, german := range []bool{false, true} {
		page := write(t, export.HTML, export.Options{German: german, Title: evil, Now: at, Zone: time.FixedZone("CET", 3600)}, item(t, evil), item(t, "Zoë"))
		for _, bad := range []string{"<script", "<img", "<link", "@import", "ZgotmplZ"} {
			if strings.Contains(page, bad) {
				t.Errorf("the page has %q", bad)
			}
		}
		want := []string{"15:30:05", "Zoë", "&lt;script&gt;", "Complete", "<html lang=\"en\">"}
		if german {
			want = []string{"15:30:05", "Zoë", "&lt;script&gt;", "Vollständig", "Techniker", "<html lang=\"de\">"}
		}
		for _, w := range want {
			if !strings.Contains(page, w) {
				t.Errorf("the page lacks %q", w)
			}
		}
	}
	if p := write(t, export.HTML, export.Options{}); !strings.Contains(p, "No session.") || !strings.HasSuffix(p, "</html>\n") {
		t.Error(p)
	}
}

func TestJSONCanBeCheckedByOthers(t *testing.T) {
	good := write(t, export.JSON, export.Options{Now: at}, item(t, "=1 <b>"), item(t, "Änne"))
	if n, err := checkExport([]byte(good)); err != nil || n != 6 {
		t.Fatal(n, err)
	}
	if n, err := checkExport([]byte(write(t, export.JSON, export.Options{}))); err != nil || n != 0 {
		t.Fatal(n, err)
	}
	for what, change := range map[string][2]string{
		"a text":       {"Stopped.", "Stepped."},
		"a kind":       {`"kind":"file_sent"`, `"kind":"file_read"`},
		"an actor":     {`"actor":"technician"`, `"actor":"customer"`},
		"a time":       {"2026-03-04T14:30:06.123456Z", "2026-03-04T14:30:06.123457Z"},
		"details":      {`"bytes":5`, `"bytes":6`},
		"the order":    {`"seq":2`, `"seq":3`},
		"the head":     {`"head":{"seq":3`, `"head":{"seq":2`},
		"a key's side": {`"side":"host"`, `"side":"console"`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%s: nothing was changed", what)
		}
		if _, err := checkExport([]byte(bad)); err == nil {
			t.Errorf("%s was changed and nobody notices", what)
		}
	}
}

// checkExport is what docs/export.md tells a third party to do, written from
// there: it uses nothing of ours. It returns how many entries it checked.
func checkExport(b []byte) (int, error) {
	var doc struct {
		Format   string
		Version  int
		Sessions []struct {
			ID         string
			ConsoleKey string  `json:"console_key"`
			HostKey    *string `json:"host_key"`
			Head       struct {
				Seq  uint64
				Hash string
			}
			Entries []struct {
				V                 int
				Seq               uint64
				At                time.Time
				Actor, Kind, Text string
				Details           json.RawMessage
				Fact              *struct{ Body, Sig []byte }
				Prev, Hash        string
				Signatures        []struct {
					Side, Key, Sig string
				}
			}
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return 0, err
	}
	if doc.Format != "daypass history" || doc.Version != 1 {
		return 0, fmt.Errorf("format %q %d", doc.Format, doc.Version)
	}
	crockford := base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)
	n := 0
	for _, s := range doc.Sessions {
		id, err := crockford.DecodeString(s.ID)
		if err != nil {
			return n, err
		}
		prev := make([]byte, 32)
		for i, e := range s.Entries {
			if e.Seq != uint64(i+1) || e.Prev != hex.EncodeToString(prev) {
				return n, fmt.Errorf("entry %d does not continue", e.Seq)
			}
			m := fmt.Appendf(nil, "daypass journal v%d\x00", e.V)
			m = append(m, id...)
			m = binary.BigEndian.AppendUint64(m, e.Seq)
			m = binary.BigEndian.AppendUint64(m, uint64(e.At.UnixMicro()))
			fields := []string{e.Actor, e.Kind, e.Text}
			if e.V == 2 {
				fields = append(fields, string(e.Details), "", "")
				if e.Fact != nil {
					fields[4], fields[5] = string(e.Fact.Body), string(e.Fact.Sig)
				}
			}
			for _, f := range fields {
				m = binary.BigEndian.AppendUint32(m, uint32(len(f)))
				m = append(m, f...)
			}
			hash := sha256.Sum256(append(m, prev...))
			if hex.EncodeToString(hash[:]) != e.Hash {
				return n, fmt.Errorf("entry %d was changed", e.Seq)
			}
			by := map[string]bool{}
			for _, sig := range e.Signatures {
				want := s.ConsoleKey
				if sig.Side == "host" && s.HostKey != nil {
					want = *s.HostKey
				}
				key, err := crockford.DecodeString(want)
				if err != nil || sig.Key != want || len(key) != ed25519.PublicKeySize {
					return n, fmt.Errorf("entry %d is signed by another key", e.Seq)
				}
				raw, err := base64.StdEncoding.DecodeString(sig.Sig)
				if err != nil || !ed25519.Verify(key, append([]byte("daypass journal entry v1\x00"), hash[:]...), raw) {
					return n, fmt.Errorf("a signature of entry %d is wrong", e.Seq)
				}
				by[sig.Side] = true
			}
			if !by["console"] {
				return n, fmt.Errorf("entry %d is not signed", e.Seq)
			}
			if e.Fact != nil {
				key, err := crockford.DecodeString(*s.HostKey)
				if err != nil || !ed25519.Verify(key, append([]byte("daypass journal fact v1\x00"), e.Fact.Body...), e.Fact.Sig) {
					return n, fmt.Errorf("the computer did not say entry %d", e.Seq)
				}
			}
			prev = hash[:]
			n++
		}
		if s.Head.Seq != uint64(len(s.Entries)) || s.Head.Hash != hex.EncodeToString(prev) {
			return n, fmt.Errorf("the end is missing")
		}
	}
	return n, nil
}

type full struct{ left int }

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestAFullDiskIsNoticed(t *testing.T) {
	for _, f := range []export.Format{export.CSV, export.JSON, export.HTML} {
		whole := len(write(t, f, export.Options{}, item(t, "x")))
		for left := 0; left < whole; left += 97 {
			w, _ := export.New(f, &full{left}, export.Options{})
			err := w.Add(item(t, "x"))
			if err == nil {
				err = w.Close()
			}
			if err == nil {
				t.Fatalf("%s: %d bytes of %d were enough", f, left, whole)
			}
		}
	}
	if _, ok := export.New("exe", io.Discard, export.Options{}); ok {
		t.Error("a format that does not exist")
	}
}
