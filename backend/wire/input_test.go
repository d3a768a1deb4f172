package wire

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"daypass/backend/fault"
)

var update = flag.Bool("update", false, "write the page's key table anew")

const pageKeys = "../../frontend/src/lib/viewer/keys.ts"

func inputs(t testing.TB) map[string]Input {
	text := Input{Kind: InputText, Seq: 9}
	if err := text.SetText("Grüße, 世界\n"); err != nil {
		t.Fatal(err)
	}
	chord := Input{Kind: InputText, Flags: FlagChord}
	if err := chord.SetText("z"); err != nil {
		t.Fatal(err)
	}
	return map[string]Input{
		"01000100020003000400":                     {Kind: InputMove, Seq: 1, X: 2, Y: 3, Buttons: 4},
		"0200ffff0a00ff3f01000100":                 {Kind: InputButton, Seq: 0xffff, X: 10, Y: 0x3fff, Buttons: 1, Button: ButtonLeft, Down: true},
		"020000000000000010020000":                 {Kind: InputButton, Buttons: 1 << ButtonForward, Button: ButtonRight},
		"0300020001000200880000ff":                 {Kind: InputWheel, Seq: 2, X: 1, Y: 2, DX: 0x88, DY: -256},
		"040103000400 01 01":                       {Kind: InputKey, Flags: FlagRepeat, Seq: 3, Usage: 4, Mods: ModShift, Down: true},
		"04000300e7001000":                         {Kind: InputKey, Seq: 3, Usage: 0xe7, Mods: ModAltGr},
		"050009004772c3bcc39f652c20e4b896e7958c0a": text,
		"050100007a":                               chord,
		"06000700":                                 {Kind: InputRelease, Seq: 7},
	}
}

func TestInputLayoutIsFixed(t *testing.T) {
	for want, m := range inputs(t) {
		b, err := AppendInput([]byte("x"), &m)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", b[1:]); got != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%+v: %s, want %s", m, got, want)
		}
		back, err := ParseInput(b[1:])
		if err != nil || back != m {
			t.Errorf("%s came back as %+v, %v", want, back, err)
		}
	}
}

func TestParseInputIsStrict(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":                   {},
		"head cut":                  {6, 0, 0},
		"kind 0":                    {0, 0, 0, 0},
		"kind 7":                    {7, 0, 0, 0},
		"move cut":                  {1, 0, 0, 0, 1, 0, 1, 0, 0},
		"move too long":             {1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0},
		"move with flags":           {1, 1, 0, 0, 1, 0, 1, 0, 0, 0},
		"move with a last byte":     {1, 0, 0, 0, 1, 0, 1, 0, 0, 1},
		"move off any display":      {1, 0, 0, 0, 0, 0x40, 1, 0, 0, 0},
		"sixth button in the mask":  {1, 0, 0, 0, 1, 0, 1, 0, 32, 0},
		"sixth button":              {2, 0, 0, 0, 1, 0, 1, 0, 0, 5, 0, 0},
		"down not in the mask":      {2, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0},
		"up still in the mask":      {2, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0},
		"down is 2":                 {2, 0, 0, 0, 1, 0, 1, 0, 0, 0, 2, 0},
		"key of usage 0":            {4, 0, 0, 0, 0, 0, 0, 1},
		"key of usage 0x104":        {4, 0, 0, 0, 4, 1, 0, 1},
		"key with sixth modifier":   {4, 0, 0, 0, 4, 0, 32, 1},
		"key down is 255":           {4, 0, 0, 0, 4, 0, 0, 255},
		"repeat of a key going up":  {4, 1, 0, 0, 4, 0, 0, 0},
		"empty text":                {5, 0, 0, 0},
		"text of 65 bytes":          append([]byte{5, 0, 0, 0}, bytes.Repeat([]byte("x"), 65)...),
		"text with escape":          {5, 0, 0, 0, 0x1b},
		"text with a C1 control":    {5, 0, 0, 0, 0xc2, 0x9b},
		"text not UTF-8":            {5, 0, 0, 0, 0xff},
		"text cut in a character":   {5, 0, 0, 0, 'a', 0xe4, 0xb8},
		"text with a surrogate":     {5, 0, 0, 0, 0xed, 0xa0, 0x80},
		"shortcut of two letters":   {5, 1, 0, 0, 'a', 'b'},
		"release with more than it": {6, 0, 0, 0, 0},
	} {
		if m, err := ParseInput(b); fault.KindOf(err) != fault.Hostile || m != (Input{}) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestInputDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, MaxInput)
	for _, m := range inputs(t) {
		n := testing.AllocsPerRun(50, func() {
			b, err := AppendInput(buf[:0], &m)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseInput(b); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("kind %d: %v allocations", m.Kind, n)
		}
	}
}

func TestKeysAreUniqueAndOrdered(t *testing.T) {
	codes, evdev, scan := map[string]bool{}, map[uint16]bool{}, map[uint16]bool{}
	for i, k := range Keys {
		if i > 0 && Keys[i-1].Usage >= k.Usage {
			t.Errorf("%s is out of order", k.Code)
		}
		if codes[k.Code] || evdev[k.Evdev] || scan[k.Scan] {
			t.Errorf("%+v is there twice", k)
		}
		codes[k.Code], evdev[k.Evdev], scan[k.Scan] = true, true, true
		if got, ok := KeyOf(k.Usage); !ok || got != k {
			t.Errorf("KeyOf(%#x) = %+v, %v", k.Usage, got, ok)
		}
		if k.Evdev > 247 {
			t.Errorf("%s: evdev code %d has no X keycode", k.Code, k.Evdev)
		}
		isMod := strings.HasPrefix(k.Code, "Control") || strings.HasPrefix(k.Code, "Shift") || strings.HasPrefix(k.Code, "Alt") || strings.HasPrefix(k.Code, "Meta")
		if isMod != (ModOf(k.Usage) != 0) {
			t.Errorf("%s: modifier %#x", k.Code, ModOf(k.Usage))
		}
	}
}

// The page's table must be this one. go test ./backend/wire -run PageKeys -update writes it.
func TestPageKeysAgree(t *testing.T) {
	var w bytes.Buffer
	w.WriteString("// Written from backend/wire/input_keys.go by its test; do not edit.\n\n" +
		"/** KeyboardEvent.code → USB HID usage (page 7), for every key a host accepts. */\n" +
		"export const usages: ReadonlyMap<string, number> = new Map([\n")
	for _, k := range Keys {
		fmt.Fprintf(&w, "  ['%s', 0x%02x],\n", k.Code, k.Usage)
	}
	w.WriteString("])\n")
	if *update {
		if err := os.WriteFile(pageKeys, w.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(pageKeys)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Keys {
		if !bytes.Contains(got, fmt.Appendf(nil, "  ['%s', 0x%02x],\n", k.Code, k.Usage)) {
			t.Errorf("the page does not have %s as %#x", k.Code, k.Usage)
		}
	}
	if n := bytes.Count(got, []byte(", 0x")); n != len(Keys) {
		t.Errorf("the page has %d keys, the host %d", n, len(Keys))
	}
}

func FuzzParseInput(f *testing.F) {
	for _, m := range inputs(f) {
		b, err := AppendInput(nil, &m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseInput(b)
		if err != nil {
			return
		}
		again, err := AppendInput(nil, &m)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x was written as %x, %v", b, again, err)
		}
	})
}
