package wire

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
)

var controls = []Control{
	&HostHello{
		Version: 1, Program: "1.0", Computer: "PC-ANNA", OS: "Debian 12", User: "anna", TimeZone: "Europe/Berlin",
		Rights:   grant.View | grant.Control,
		Displays: []DisplayInfo{{ID: 7, Name: "HDMI-1", X: -1920, Width: 1920, Height: 1080, Primary: true}}, Paused: "bar", ExpiresMS: 1000,
		Standing: Standing{After: "login", Reboot: true, NoDesktop: true},
	},
	&Standing{After: "boot"},
	&Reboot{},
	&Rebooting{State: RebootFailed, Left: 3, Message: "m", Hint: "h"},
	&ConsoleHello{Version: 1, Program: "1.0"},
	&Open{ViewOnly: true, Display: 7, Codecs: []string{"av1", "jpeg"}},
	&Opened{Display: 7, Codec: "jpeg"},
	&Close{},
	&Displays{Displays: []DisplayInfo{{ID: 1, Width: 1, Height: 1}}},
	&Display{Display: 3},
	&RightsNow{Rights: grant.View},
	&Paused{By: "customer"},
	&ClipGet{ID: 9},
	&Clip{ID: 9, Part: 1, Last: true, Text: "grüße"},
	&Refused{Asked: KindOpen, ID: 9, Kind: fault.Denied, Message: "no", Hint: "ask"},
	&End{Ended: grant.Signed{Body: []byte("{}"), Sig: make([]byte, 64)}},
	&Ending{By: grant.ByCustomer},
	&Removed{Removed: grant.Signed{Body: []byte("{}"), Sig: make([]byte, 64)}, Lines: []string{"a", "b"}},
	&Blocked{Message: "m", Hint: "h"},
	&Chord{Name: "ctrl-alt-del"},
	&Receipt{Seal: grant.Signed{Body: []byte("{}"), Sig: make([]byte, 64)}},
	&AskRight{Rights: grant.Control},
	&Record{Entries: []journal.Entry{recordEntry()}},
	&RecordHave{Head: journal.Head{Seq: 2, Hash: journal.Hash{1}}, From: 1, Signatures: [][]byte{make([]byte, 64), {}}},
	&RecordFact{Fact: grant.Signed{Body: []byte("{}"), Sig: make([]byte, 64)}},
	&RecordAsk{From: 3},
}

func recordEntry() journal.Entry {
	e := journal.Head{}.With(grant.ID{1}, time.Unix(5, 0), "technician", "note", "grüße <&>", journal.Details{Bytes: 5, Name: "<&>"}.JSON())
	e.Signatures = []journal.Signature{{Side: journal.Console, Key: grant.Key{2}, Sig: make([]byte, 64)}}
	return e
}

func TestPackFitsWhateverIsInIt(t *testing.T) {
	var all []journal.Entry
	var h journal.Head
	for i := range 200 {
		e := h.With(grant.ID{1}, time.Unix(5, 0), "technician", "note", strings.Repeat("\x01", 40*i), nil)
		e.Signatures = []journal.Signature{{Side: journal.Console, Key: grant.Key{2}, Sig: make([]byte, 64)}}
		if i > 100 {
			e = h.With(grant.ID{1}, time.Unix(5, 0), "technician", "note", strings.Repeat("\x01", journal.MaxText), journal.Details{Name: strings.Repeat("n", 4000)}.JSON())
		}
		h = e.Head()
		all = append(all, e)
	}
	for n := 0; n < len(all); {
		m := Pack(all[n:])
		if _, err := AppendControl(nil, m); err != nil || len(m.Entries) == 0 {
			t.Fatalf("from %d, %d entries: %v", n, len(m.Entries), err)
		}
		n += len(m.Entries)
	}
}

func TestControlRoundTripCoversEveryKind(t *testing.T) {
	seen := map[Kind]bool{}
	for _, m := range controls {
		b, err := AppendControl(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseControl(b)
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%T: got %+v", m, got)
		}
		seen[m.kind()] = true
	}
	for k := range 256 {
		if (blank(Kind(k)) != nil) != seen[Kind(k)] {
			t.Errorf("kind %d is known to the parser but not in the test, or the other way round", k)
		}
	}
}

func TestParseControlRefuses(t *testing.T) {
	for name, b := range map[string]string{
		"empty":             "",
		"no body":           "\x02",
		"unknown kind":      "\xc8{}",
		"unknown field":     "\x08{\"by\":\"\",\"x\":1}",
		"data behind":       "\x08{\"by\":\"\"}{}",
		"wrong type":        "\x08[]",
		"unknown value":     "\x08{\"by\":\"me\"}",
		"not UTF-8":         "\x12{\"name\":\"\xff\"}",
		"unknown right":     "\x07{\"rights\":4096}",
		"zero-size display": "\x05{\"displays\":[{\"id\":1,\"width\":0,\"height\":5}]}",
		"huge display":      "\x05{\"displays\":[{\"id\":1,\"width\":20000,\"height\":5}]}",
		"long name":         "\x12{\"name\":\"" + strings.Repeat("x", 33) + "\"}",
		"too long":          "\x12{\"name\":\"" + strings.Repeat("x", MaxControl) + "\"}",
		"too many displays": "\x05{\"displays\":[" + strings.Repeat("{\"id\":1,\"width\":1,\"height\":1},", MaxDisplays) + "{\"id\":1,\"width\":1,\"height\":1}]}",
		"back after what":   "\x14{\"after\":\"magic\",\"reboot\":true,\"no_desktop\":false}",
		"restarts somehow":  "\x16{\"state\":\"maybe\"}",
		"restarts in years": "\x16{\"state\":\"asked\",\"left\":99999}",
		"short signature":   "\x0c{\"ended\":{\"body\":\"e30=\",\"sig\":\"AA==\"}}",
		"more than a day":   "\x01{\"expires_ms\":86400001}",
	} {
		m, err := ParseControl([]byte(b))
		if !errors.Is(err, &fault.Error{Kind: fault.Hostile}) {
			t.Errorf("%s: got %+v, %v", name, m, err)
		}
	}
}

func TestClipboardTextSurvivesSplittingAtAnyCharacter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("a\x01ä€😀\"\\")
	for _, n := range []int{0, 1, 100, 5000, 40000} {
		var sb strings.Builder
		for range n {
			sb.WriteRune(alphabet[r.IntN(len(alphabet))])
		}
		parts, err := SplitClip(3, sb.String())
		if err != nil {
			t.Fatal(err)
		}
		var j ClipJoin
		for i, p := range parts {
			if !utf8.ValidString(p.Text) {
				t.Fatal("cut inside a character")
			}
			b, err := AppendControl(nil, p)
			if err != nil {
				t.Fatal(err)
			}
			m, err := ParseControl(b)
			if err != nil {
				t.Fatal(err)
			}
			text, done, err := j.Add(m.(*Clip))
			if err != nil || done != (i == len(parts)-1) {
				t.Fatalf("part %d: done %v, %v", i, done, err)
			}
			if done && text != sb.String() {
				t.Fatalf("%d characters: text changed", n)
			}
		}
	}
	if _, err := SplitClip(1, strings.Repeat("x", MaxClipboard+1)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("oversized text: %v", err)
	}
}

func TestClipJoinRefusesPartsOutOfOrder(t *testing.T) {
	var j ClipJoin
	if _, _, err := j.Add(&Clip{ID: 1, Part: 1}); err == nil {
		t.Error("part 1 without part 0")
	}
	j.Add(&Clip{ID: 1, Part: 0, Text: "a"})
	if _, _, err := j.Add(&Clip{ID: 2, Part: 1, Last: true}); err == nil {
		t.Error("a part of another text")
	}
	if text, done, err := j.Add(&Clip{ID: 5, Text: "b", Last: true}); text != "b" || !done || err != nil {
		t.Error("part 0 must begin anew")
	}
	for i := 0; ; i++ {
		if _, _, err := j.Add(&Clip{ID: 6, Part: i, Text: strings.Repeat("x", MaxClipPart)}); err != nil {
			if i < MaxClipboard/MaxClipPart {
				t.Errorf("refused at part %d: %v", i, err)
			}
			return
		}
		if i > MaxClipboard/MaxClipPart {
			t.Fatal("no bound on the whole text")
		}
	}
}

func FuzzParseControl(f *testing.F) {
	for _, m := range controls {
		b, err := AppendControl(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseControl(b)
		if err != nil {
			return
		}
		again, err := AppendControl(nil, m)
		if err != nil {
			if len(b) > MaxControl/6 { // encoding may be longer than what came
				return
			}
			t.Fatalf("what was parsed cannot be written: %v", err)
		}
		m2, err := ParseControl(again)
		if err != nil {
			t.Fatalf("what was written cannot be parsed: %v", err)
		}
		again2, err := AppendControl(nil, m2)
		if err != nil || string(again2) != string(again) {
			t.Fatalf("unstable: %q, then %q, %v", again, again2, err)
		}
	})
}
